//! One test's folder: fresh at its start, logs shown when it fails; and its turn on this machine.
//!
//! Scenes measure what real processes do in real time, but mostly wait for it: as many run at a time as there are cores (at most
//! [`SLOTS`]), each holding a slot, which is a locked file. One whose subject is precise timing runs alone ([`Scene::alone`]) and holds
//! all of them. Who waits for slots holds the gate, so that nobody is overtaken for ever.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::process;

/// Most scenes at a time, on however large a machine.
pub const SLOTS: usize = 4;
/// How often one that waits for a slot looks.
const LOOK: Duration = Duration::from_millis(50);
/// How often a scenario is tried whose agents the host keeps from running.
const ATTEMPTS: usize = 3;
/// What an agent's log says when the host kept it from running for so long that a round or an answer is missing.
const KEPT: &str = "the host kept the agent from running";

/// Runs a scenario that proves something only where its agents run all the while: an agent that wakes up more than half a round
/// late skips that round, as it should, and no patience brings it back. Of a scenario that failed and whose agents' logs say that
/// this happened nothing is known: it is run again from the start, in a fresh scene. One that failed without such a line has failed.
pub fn undisturbed(name: &str, scenario: impl Fn(Scene) -> Result<()>) -> Result<()> {
    for attempt in 1.. {
        let scene = Scene::new(name)?;
        let dir = scene.dir.clone();
        let Err(error) = scenario(scene) else { break };
        let kept: Vec<String> = logs(&dir).iter().flat_map(|(_, text)| kept_lines(text)).collect();
        if kept.is_empty() || attempt >= ATTEMPTS {
            return Err(error.context(format!(
                "attempt {attempt}; the host kept agents from running {} times",
                kept.len()
            )));
        }
        println!("attempt {attempt} proves nothing: {error:#}\n{}", kept.join("\n"));
    }
    Ok(())
}

fn kept_lines(log: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(KEPT)).map(str::to_owned).collect()
}

/// The logs in a folder, by name.
fn logs(dir: &Path) -> Vec<(PathBuf, String)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "log"));
    let text =
        |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    paths.iter().map(|path| (path.clone(), text(path))).collect()
}

/// The folder `target/e2e/NAME` of one test and its turn, held until dropped. Unless [`Scene::passed`] is called, dropping it prints
/// the end of every log in it.
#[derive(Debug)]
pub struct Scene {
    dir: PathBuf,
    passed: bool,
    _turn: Vec<Flock<File>>,
}

impl Scene {
    /// Waits for a slot and makes the folder anew.
    pub fn new(name: &str) -> Result<Self> {
        Self::begin(name, false)
    }

    /// Waits until no other scene runs, keeps others from beginning, and makes the folder anew.
    pub fn alone(name: &str) -> Result<Self> {
        Self::begin(name, true)
    }

    fn begin(name: &str, alone: bool) -> Result<Self> {
        let target = process::binary_dir()?;
        let all = target.parent().unwrap_or(&target).join("e2e");
        std::fs::create_dir_all(&all).with_context(|| format!("make {}", all.display()))?;
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let turn = turn(&all, cores.min(SLOTS), alone)?;
        let dir = all.join(name);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).with_context(|| format!("empty {}", dir.display()))?;
        }
        std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        Ok(Self { dir, passed: false, _turn: turn })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path in the folder, as text for a command line or a configuration.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Writes a file in the folder and gives its path.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// The test has passed: its logs stay in the folder and are not printed.
    pub fn passed(mut self) {
        self.passed = true;
    }
}

/// Waits for one of the slots whose locks lie in the folder, or for all of them.
fn turn(folder: &Path, slots: usize, alone: bool) -> Result<Vec<Flock<File>>> {
    let lock = |name: &str, how| -> Result<Option<Flock<File>>> {
        let path = folder.join(name);
        let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        match Flock::lock(file, how) {
            Ok(lock) => Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    };
    let names: Vec<String> = (0..slots).map(|slot| format!("turn-{slot}.lock")).collect();
    let _gate = lock("gate.lock", FlockArg::LockExclusive)?;
    if alone {
        let all: Result<Vec<_>> = names.iter().map(|name| lock(name, FlockArg::LockExclusive)).collect();
        return Ok(all?.into_iter().flatten().collect());
    }
    loop {
        for name in &names {
            if let Some(slot) = lock(name, FlockArg::LockExclusiveNonblock)? {
                return Ok(vec![slot]);
            }
        }
        std::thread::sleep(LOOK);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.passed {
            return;
        }
        for (log, text) in logs(&self.dir) {
            println!("==== {}\n{}", log.display(), process::tail(&text, 60));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::mpsc;

    use anyhow::ensure;

    use super::*;

    /// Asks for a turn on a thread of its own; what comes back says when it has it, and lets it go.
    fn ask(folder: &Path, alone: bool) -> (mpsc::Receiver<usize>, mpsc::Sender<()>) {
        let (has, had) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            let turn = turn(&folder, 2, alone).unwrap();
            has.send(turn.len()).unwrap();
            let _ = gone.recv();
        });
        (had, go)
    }

    #[test]
    fn as_many_have_a_turn_as_there_are_slots_and_one_alone_has_them_all() {
        let folder = std::env::temp_dir().join(format!("wan-turns-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (soon, long) = (Duration::from_millis(300), Duration::from_secs(60));
        let (first, second) = (ask(&folder, false), ask(&folder, false));
        assert_eq!((first.0.recv_timeout(long), second.0.recv_timeout(long)), (Ok(1), Ok(1)));
        let alone = ask(&folder, true);
        drop(first.1);
        alone.0.recv_timeout(soon).unwrap_err();
        let behind = ask(&folder, false);
        behind.0.recv_timeout(soon).unwrap_err();
        drop(second.1);
        assert_eq!(alone.0.recv_timeout(long), Ok(2));
        behind.0.recv_timeout(soon).unwrap_err();
        drop(alone.1);
        assert_eq!(behind.0.recv_timeout(long), Ok(1));
        drop(behind.1);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    fn run(name: &str, fails: usize, log: &str) -> (Result<()>, usize) {
        let runs = Cell::new(0);
        let result = undisturbed(name, |scene| {
            runs.set(runs.get() + 1);
            scene.write("agent.log", log)?;
            ensure!(runs.get() > fails, "a gap");
            scene.passed();
            Ok(())
        });
        (result, runs.get())
    }

    #[test]
    fn only_a_scenario_whose_agents_were_kept_from_running_is_tried_again() {
        let kept = "begins\nWARN the host kept the agent from running; no round covers this time\n";
        assert!(matches!(run("undisturbed-0", 0, kept), (Ok(()), 1)));
        assert!(matches!(run("undisturbed-1", 1, "begins\n"), (Err(_), 1)));
        assert!(matches!(run("undisturbed-2", 2, kept), (Ok(()), 3)));
        assert!(matches!(run("undisturbed-3", 3, kept), (Err(_), 3)));
    }
}
