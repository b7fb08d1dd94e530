//! A machine of its own inside this one, for tests that install packages and run services: this system's files as the lower layer
//! of an overlay in memory, namespaces of its own (mount, PID, network, UTS, IPC, cgroup), and a real systemd as its first process.
//!
//! Nothing that happens inside changes the host: files go to memory, `/proc/sys` and `/sys` are read-only, the network has only a
//! loopback, and all ends with the first process. Only root can make one; see `machine.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::clock::eventually;
use crate::netns::require_root;
use crate::process::Process;
use crate::scene::Scene;

/// How long a boot may take on a busy host; it takes half a second on an idle one.
const BOOT_LIMIT: Duration = Duration::from_secs(60);
const CGROUP_PREFIX: &str = "wanwatch-test-";
const SCRIPT: &str = include_str!("machine.sh");

/// What the machine's first process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// systemd, up to `basic.target`.
    Systemd,
    /// A process that does nothing: what a container without a service manager looks like.
    Nothing,
}

/// A running machine; all of it ends when this is dropped.
#[derive(Debug)]
pub struct Machine {
    init: u32,
    cgroup: PathBuf,
    outer: Option<Process>,
}

impl Machine {
    /// Makes a machine and waits until it has booted.
    pub fn boot(scene: &Scene, name: &str, init: Init) -> Result<Self> {
        require_root()?;
        let unified = cgroup2_mount()?;
        remove_stale(&unified);
        let cgroup = unified.join(format!("{CGROUP_PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&cgroup).with_context(|| format!("make {}", cgroup.display()))?;
        let made = format!("root/tmp/made-{CGROUP_PREFIX}{}-{name}", std::process::id());
        let script = scene.write(&format!("{name}.sh"), SCRIPT)?;
        let folder = scene.path(&format!("{name}-root"));
        fs::create_dir_all(&folder).with_context(|| format!("make {folder}"))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--net", "--uts", "--ipc"]);
        command.args(["--fork", "--kill-child", "sh", &script, &folder]).arg(&cgroup).arg(match init {
            Init::Systemd => "systemd",
            Init::Nothing => "none",
        });
        let outer = Process::spawn(name, command, scene.dir())?;
        let mut machine = Self { init: 0, cgroup, outer: Some(outer) };
        machine.init = eventually("the machine's first process is there", BOOT_LIMIT, || {
            let outer = machine.outer.as_mut().ok_or_else(|| anyhow!("it has ended"))?;
            outer.check_running()?;
            let init = child_of(outer.pid())?;
            let made = Path::new("/proc").join(init.to_string()).join(&made);
            ensure!(made.exists(), "its files are not there yet");
            Ok(init)
        })?;
        if init == Init::Systemd {
            eventually("systemd has booted", BOOT_LIMIT, || {
                let state = machine.output("systemctl", &["is-system-running"])?;
                let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
                ensure!(state == "running" || state == "degraded", "it is {state:?}");
                Ok(())
            })?;
        }
        Ok(machine)
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.init.to_string();
        command.args(["--target", &target, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--"]);
        command.arg(program).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Runs a command inside to its end, whatever that is.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program).args(args).output().with_context(|| format!("run {program} in the machine"))
    }

    /// Runs a command inside, which must succeed, and gives what it prints.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let out = self.output(program, args)?;
        let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        ensure!(
            out.status.success(),
            "{program} {} ended with {} in the machine:\n{stdout}{stderr}",
            args.join(" "),
            out.status
        );
        Ok(stdout.into_owned())
    }

    /// A path of the machine as this process reaches it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Copies a file into the machine.
    pub fn take_in(&self, from: &Path, to: &str) -> Result<()> {
        let target = self.path(to);
        fs::copy(from, &target)
            .with_context(|| format!("copy {} to {}", from.display(), target.display()))?;
        Ok(())
    }

    /// Writes a file in the machine, with its folder.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let target = self.path(path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(&target, text).with_context(|| format!("write {}", target.display()))
    }

    /// One property of a unit, as `systemctl show` has it.
    pub fn property(&self, unit: &str, property: &str) -> Result<String> {
        Ok(self.run("systemctl", &["show", "--value", "--property", property, unit])?.trim().to_owned())
    }

    /// What the journal has of a unit, with the service manager's lines about it.
    pub fn journal(&self, unit: &str) -> Result<String> {
        self.run("journalctl", &["--no-pager", "--output=short-precise", "--unit", unit])
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the outer process the first one inside is killed, and with that all the others.
        drop(self.outer.take());
        for _ in 0..100 {
            remove_cgroups(&self.cgroup);
            if !self.cgroup.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Where the unified cgroup hierarchy is mounted.
fn cgroup2_mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(place))
        })
        .next()
        .ok_or_else(|| {
            anyhow!("no cgroup2 file system is mounted here: systemd cannot run (mount -t cgroup2)")
        })
}

/// Removes what machines of test processes that no longer live have left behind.
fn remove_stale(unified: &Path) {
    for entry in fs::read_dir(unified).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(CGROUP_PREFIX) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            remove_cgroups(&entry.path());
        }
    }
}

/// Removes a cgroup with those below it, as far as no process is left in them.
fn remove_cgroups(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}

fn child_of(parent: u32) -> Result<u32> {
    let wanted = format!("PPid:\t{parent}");
    for entry in fs::read_dir("/proc").context("list /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line == wanted) {
            return Ok(pid);
        }
    }
    Err(anyhow!("process {parent} has no child"))
}
