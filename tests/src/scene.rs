//! One test's folder: fresh at its start, logs shown when it fails.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::fcntl::{Flock, FlockArg};

use crate::process;

/// The folder `target/e2e/NAME` of one test, held alone until dropped: other scenes, of whatever test process, wait. Unless [`Scene::passed`] is called, dropping it prints the end of every log in it.
#[derive(Debug)]
pub struct Scene {
    dir: PathBuf,
    passed: bool,
    /// One scene at a time on a machine: the tests measure what real processes do in real time, on few cores.
    _turn: Flock<File>,
}

impl Scene {
    /// Waits for its turn and makes the folder anew.
    pub fn new(name: &str) -> Result<Self> {
        let target = process::binary_dir()?;
        let all = target.parent().unwrap_or(&target).join("e2e");
        std::fs::create_dir_all(&all).with_context(|| format!("make {}", all.display()))?;
        let lock = all.join("turn.lock");
        let file = File::create(&lock).with_context(|| format!("open {}", lock.display()))?;
        let turn = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| error)
            .with_context(|| format!("lock {}", lock.display()))?;
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

impl Drop for Scene {
    fn drop(&mut self) {
        if self.passed {
            return;
        }
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        let mut logs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        logs.sort();
        for log in logs.iter().filter(|path| path.extension().is_some_and(|ext| ext == "log")) {
            let text = std::fs::read(log).unwrap_or_default();
            println!("==== {}\n{}", log.display(), process::tail(&String::from_utf8_lossy(&text), 60));
        }
    }
}
