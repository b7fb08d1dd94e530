//! Starting the service, by whatever starts services here.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::{DEFAULT_DATA, DEFAULT_PATH};

/// What became of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Started {
    /// It runs, and will after the next boot.
    Runs(&'static str),
    /// `--no-start`.
    NotAsked,
    /// The files are not those that the service reads.
    OwnPlace,
    /// No service manager, or none that knows the agent.
    NoService,
    /// It did not start.
    Failed {
        /// The command that failed.
        command: String,
        /// What it said.
        why: String,
    },
}

impl Started {
    pub(super) fn failed(&self) -> bool {
        matches!(self, Started::Failed { .. })
    }
}

/// What starts services on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Systemd,
    OpenRc,
    Procd,
}

impl Manager {
    /// The one that runs here and knows the agent.
    fn of(exists: impl Fn(&str) -> bool) -> Option<Manager> {
        let units = ["/etc", "/run", "/usr/lib", "/lib", "/usr/local/lib"];
        let unit = units.iter().any(|folder| exists(&format!("{folder}/systemd/system/wan-agent.service")));
        let script = exists("/etc/init.d/wan-agent");
        if exists("/run/systemd/system") && unit {
            Some(Manager::Systemd)
        } else if exists("/sbin/procd") && script {
            Some(Manager::Procd)
        } else if (exists("/run/openrc") || exists("/sbin/openrc-run")) && script {
            Some(Manager::OpenRc)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Manager::Systemd => "systemd",
            Manager::OpenRc => "OpenRC",
            Manager::Procd => "procd",
        }
    }

    fn stop(self) -> &'static [&'static str] {
        match self {
            Manager::Systemd => &["systemctl", "stop", "wan-agent.service"],
            Manager::OpenRc => &["rc-service", "wan-agent", "stop"],
            Manager::Procd => &["/etc/init.d/wan-agent", "stop"],
        }
    }

    /// Enables it, then starts it, anew if it runs already.
    fn commands(self) -> [&'static [&'static str]; 2] {
        match self {
            Manager::Systemd => [
                &["systemctl", "enable", "wan-agent.service"],
                &["systemctl", "restart", "wan-agent.service"],
            ],
            Manager::OpenRc => {
                [&["rc-update", "add", "wan-agent", "default"], &["rc-service", "wan-agent", "restart"]]
            }
            Manager::Procd => [&["/etc/init.d/wan-agent", "enable"], &["/etc/init.d/wan-agent", "restart"]],
        }
    }
}

/// Stops the service that reads these files. Whether there is one that was told to.
pub(super) fn stop(config: &Path, data: &Path) -> bool {
    if !is_the_services(config, data) {
        return false;
    }
    let manager = Manager::of(|path| Path::new(path).exists());
    // One that does not stop is found out by what it holds.
    manager.is_some_and(|manager| run(manager.stop()).is_ok())
}

fn is_the_services(config: &Path, data: &Path) -> bool {
    config == Path::new(DEFAULT_PATH) && data == Path::new(DEFAULT_DATA)
}

/// Enables and starts the service that reads these files, if there is one.
pub(super) fn service(config: &Path, data: &Path) -> Started {
    if !is_the_services(config, data) {
        return Started::OwnPlace;
    }
    let Some(manager) = Manager::of(|path| Path::new(path).exists()) else { return Started::NoService };
    for words in manager.commands() {
        if let Err(why) = run(words) {
            return Started::Failed { command: words.join(" "), why };
        }
    }
    Started::Runs(manager.name())
}

fn run(words: &[&str]) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{} {}", output.status, super::words::plain(last)).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_is_the_one_that_runs_and_knows_the_agent() {
        fn of(paths: &[&str]) -> Option<Manager> {
            Manager::of(|path| paths.contains(&path))
        }
        let unit = "/usr/lib/systemd/system/wan-agent.service";
        assert_eq!(of(&["/run/systemd/system", unit]), Some(Manager::Systemd));
        assert_eq!(of(&["/run/systemd/system"]), None, "installed without a package");
        assert_eq!(of(&[unit]), None, "systemd is there, but does not run, as in a container");
        assert_eq!(of(&["/sbin/procd", "/etc/init.d/wan-agent"]), Some(Manager::Procd));
        assert_eq!(of(&["/run/openrc", "/etc/init.d/wan-agent"]), Some(Manager::OpenRc));
        assert_eq!(of(&["/etc/init.d/wan-agent"]), None);
    }

    #[test]
    fn a_command_that_fails_says_its_last_line() {
        assert_eq!(run(&["true"]), Ok(()));
        let why = run(&["sh", "-c", "echo one >&2; echo two >&2; exit 3"]).unwrap_err();
        assert_eq!(why, "exit status: 3 two");
        assert!(run(&["/no/such/program"]).is_err());
        assert_eq!(service(Path::new("/tmp/agent.yaml"), Path::new(DEFAULT_DATA)), Started::OwnPlace);
        assert!(!stop(Path::new("/tmp/agent.yaml"), Path::new(DEFAULT_DATA)));
    }
}
