//! The real binaries as child processes: found beside the test binary, logged to files, stopped in every way that counts.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock;
use crate::netns::Namespace;

/// The folder of the built binaries: `target/debug` when the test runs from `target/debug/deps`.
pub fn binary_dir() -> Result<PathBuf> {
    let test = std::env::current_exe().context("where is the test binary?")?;
    let mut dir = test.parent().ok_or_else(|| anyhow!("{} has no folder", test.display()))?;
    if dir.ends_with("deps") {
        dir = dir.parent().unwrap_or(dir);
    }
    Ok(dir.to_owned())
}

/// The path of a built binary of the workspace (`wan-agent`, `wan-collector`).
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = binary_dir()?.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run `cargo build --workspace --bins` first (./tests/run does)",
        path.display()
    );
    Ok(path)
}

/// The root of the repository's work tree.
pub fn repository() -> Result<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(tests.parent().ok_or_else(|| anyhow!("{} has no parent", tests.display()))?.to_owned())
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program args` (inside `space`, when given), standard output and error appended to `log_dir/NAME.log`.
    pub fn start(
        name: &str,
        program: &Path,
        args: &[&str],
        space: Option<&Namespace>,
        log_dir: &Path,
    ) -> Result<Self> {
        let mut command = match space {
            Some(space) => space.command(program),
            None => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL"]).arg(program);
                command
            }
        };
        command.args(args);
        Self::spawn(name, command, log_dir)
    }

    /// Starts a command made elsewhere, with the same logging.
    pub fn spawn(name: &str, mut command: Command, log_dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(log_dir).with_context(|| format!("make {}", log_dir.display()))?;
        let log = log_dir.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("open {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("clone the log's handle")?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed, over all starts under this name.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// An error if it has ended, with the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("ask for its state")? {
            bail!("{} ended by itself ({status}); its log ends:\n{}", self.name, tail(&self.log(), 30));
        }
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).context("process id")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("send {signal} to {}", self.name))
    }

    /// `signal`, then waits for the end; an error (and SIGKILL) if it takes longer than `limit`.
    pub fn stop_with(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        self.check_running()?;
        self.signal(signal)?;
        let asked = clock::now();
        loop {
            if let Some(status) = self.child.try_wait().context("ask for its state")? {
                return Ok(status);
            }
            if asked.elapsed() > limit {
                let _ = self.child.kill();
                let _ = self.child.wait();
                bail!(
                    "{} still ran {} s after {signal}; its log ends:\n{}",
                    self.name,
                    limit.as_secs(),
                    tail(&self.log(), 30)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A clean stop: SIGTERM must end it with exit code 0 within 15 s.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.stop_with(Signal::SIGTERM, Duration::from_secs(15))?;
        ensure!(
            status.success(),
            "{} ended with {status} after SIGTERM:\n{}",
            self.name,
            tail(&self.log(), 30)
        );
        Ok(())
    }

    /// SIGKILL, as a power cut would: nothing of the process runs any more afterwards.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("kill {}", self.name))?;
        let status = self.child.wait().context("wait for it")?;
        ensure!(
            status.signal() == Some(9),
            "{} had already ended: {status}\n{}",
            self.name,
            tail(&self.log(), 30)
        );
        Ok(())
    }

    /// Resident memory now, and the highest so far, in bytes (VmRSS and VmHWM of /proc/PID/status).
    pub fn resident(&self) -> Result<Resident> {
        resident(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// VmRSS.
    pub now: u64,
    /// VmHWM.
    pub peak: u64,
}

/// Reads VmRSS and VmHWM of any process.
pub fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let field = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .map(|kib| kib * 1024)
            .ok_or_else(|| anyhow!("{path} has no {key}"))
    };
    Ok(Resident { now: field("VmRSS:")?, peak: field("VmHWM:")? })
}

/// CPU time used by all threads of a process so far (utime + stime of /proc/PID/stat; resolution 10 ms).
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let after_name = text.rsplit_once(')').ok_or_else(|| anyhow!("{path}: no process name"))?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |index: usize| -> Result<u64> {
        fields.get(index).ok_or_else(|| anyhow!("{path}: too short"))?.parse().context("a number of ticks")
    };
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .context("sysconf")?
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(100);
    Ok(Duration::from_millis((field(11)? + field(12)?) * 1000 / per_second))
}

/// Runs a command to its end and gives its standard output; a failure carries both outputs.
pub fn run(program: &Path, args: &[&str]) -> Result<String> {
    let out = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", program.display()))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    ensure!(
        out.status.success(),
        "{} {} ended with {}:\n{stdout}{stderr}",
        program.display(),
        args.join(" "),
        out.status
    );
    Ok(stdout.into_owned())
}

/// The last `lines` lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
