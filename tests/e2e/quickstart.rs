//! `deploy/quickstart`, as a newcomer runs it: twice on the same data, stopped with Ctrl-C, in a machine with a gateway and an
//! Internet of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use nix::sys::signal::Signal;
use wan_tests::api::Api;
use wan_tests::clock::eventually;
use wan_tests::netns::{Namespace, Province};
use wan_tests::process::{Process, binary_dir, repository, tail};
use wan_tests::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(90);

struct Quickstart {
    process: Process,
    data: String,
}

impl Quickstart {
    fn start(scene: &Scene, name: &str, space: &Namespace, arguments: &[&str]) -> Result<Self> {
        let data = scene.path("data");
        let mut command: Command = space.command(script()?);
        command.args(["--data", &data, "--bin-dir"]).arg(binary_dir()?).args(arguments);
        Ok(Self { process: Process::spawn(name, command, scene.dir())?, data })
    }

    /// Waits until its output contains every text.
    fn says(&mut self, texts: &[&str]) -> Result<()> {
        let missing = |log: &str| texts.iter().find(|text| !log.contains(**text)).copied();
        let ended = eventually("quickstart says what it sees", PATIENCE, || {
            let log = self.process.log();
            let ended = self.process.check_running().is_err();
            match missing(&log) {
                Some(text) if !ended => bail!("no {text:?} in its output:\n{}", tail(&log, 40)),
                Some(_) | None => Ok(ended),
            }
        })?;
        ensure!(!ended, "it ended by itself:\n{}", tail(&self.process.log(), 40));
        Ok(())
    }

    /// Ctrl-C: exit code 0, and nothing of it runs any more.
    fn interrupt(mut self, space: &Namespace) -> Result<String> {
        let status = self.process.stop_with(Signal::SIGINT, Duration::from_secs(30))?;
        let log = self.process.log();
        ensure!(status.success(), "it ended with {status}:\n{}", tail(&log, 30));
        let left = Command::new("ip").args(["netns", "pids", space.name()]).output()?;
        ensure!(left.stdout.is_empty(), "still running: {}", String::from_utf8_lossy(&left.stdout));
        for log in ["collector.log", "agent.log"] {
            let text = std::fs::read_to_string(format!("{}/{log}", self.data))?;
            ensure!(!text.contains("panicked"), "{log}:\n{text}");
        }
        Ok(log)
    }
}

fn script() -> Result<PathBuf> {
    Ok(repository()?.join("deploy/quickstart"))
}

#[test]
fn quickstart_shows_this_hosts_links_stops_on_ctrl_c_and_runs_again_on_the_same_data() -> Result<()> {
    let scene = Scene::new("quickstart")?;
    let province = Province::build(1)?;
    let machine = province.site(1)?;
    machine.allow_ping_sockets(true)?;
    // What the agent pings unless it is told otherwise answers in this Internet too.
    province.answer_in_internet("1.1.1.1")?;
    let api = Api::new(([127, 0, 0, 1], 8080).into(), Some(machine.name()));

    let mut first = Quickstart::start(&scene, "first", machine, &[])?;
    first.says(&["the register has", "http://127.0.0.1:8080/", "lan up", "internet up"])?;
    let sites = api.json("/api/v1/sites/trung-tam-du-lieu")?;
    ensure!(sites.to_string().contains("\"internet\""), "this host's links: {sites}");

    // A second one beside it is refused, and says what to do.
    let mut other = Quickstart::start(&scene, "other", machine, &[])?;
    let ended = eventually("a second one is refused", PATIENCE, || {
        ensure!(other.process.check_running().is_err(), "it still runs");
        Ok(other.process.log())
    })?;
    ensure!(ended.contains("another quickstart runs on"), "{ended}");
    let taken = scene.path("other-data");
    let mut other = Quickstart::start(&scene, "taken", machine, &["--data", &taken])?;
    let ended = eventually("a taken port is refused", PATIENCE, || {
        ensure!(other.process.check_running().is_err(), "it still runs");
        Ok(other.process.log())
    })?;
    ensure!(ended.contains("in use") && ended.contains("--listen 127.0.0.1:8081"), "{ended}");

    let secret_file = format!("{}/agent/secret", first.data);
    let secret = std::fs::read_to_string(&secret_file)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secret_file)?.permissions());
    ensure!(mode & 0o777 == 0o600, "{secret_file} has mode {mode:o}");
    // The sample's routers are made up: nobody pings them from a network where somebody else may have their addresses.
    let other = api.json("/api/v1/sites/van-phong-tinh-uy")?;
    let states: Vec<_> =
        other["links"].as_array().into_iter().flatten().map(|link| &link["state"]["state"]).collect();
    ensure!(!states.is_empty() && states.iter().all(|state| *state == "unknown"), "somebody asked: {other}");
    let agents = std::fs::read_to_string(format!("{}/agent.log", first.data))?;
    ensure!(!agents.contains("about="), "{agents}");
    first.interrupt(machine)?;

    let mut second = Quickstart::start(&scene, "second", machine, &[])?;
    second.says(&["the register has", "lan up"])?;
    ensure!(std::fs::read_to_string(&secret_file)? == secret, "the second run made another secret");
    let log = second.interrupt(machine)?;
    ensure!(log.contains("Stopped."), "{log}");
    scene.passed();
    Ok(())
}

#[test]
fn quickstart_explains_itself_and_its_refusals() -> Result<()> {
    let help = Command::new(script()?).arg("--help").output()?;
    ensure!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--listen"), "{help:?}");
    let unknown = Command::new(script()?).arg("--nonsense").output()?;
    ensure!(unknown.status.code() == Some(2), "{unknown:?}");
    let wrong = Command::new(script()?).args(["--listen", "here"]).output()?;
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    ensure!(wrong.status.code() == Some(1) && text.contains("expected an IP address and a port"), "{text}");
    // Others cannot reach it: what it shows asks for no login.
    for listen in ["0.0.0.0:8080", "[::]:8080", "10.20.0.10:8080"] {
        let open = Command::new(script()?).args(["--listen", listen]).output()?;
        let text = String::from_utf8_lossy(&open.stderr).into_owned();
        ensure!(
            open.status.code() == Some(1) && text.contains("one of loopback, such as 127.0.0.1:8080"),
            "{text}"
        );
    }
    // Without cargo, then without a compiler, it says so, and what to install.
    let scene = Scene::new("quickstart-bare")?;
    for (tools, missing) in [
        (&[("dirname", "/usr/bin/dirname"), ("sed", "/bin/sed")][..], "cargo is missing: install Rust"),
        (&[("cargo", "/bin/true")][..], "cc, a C compiler, is missing"),
    ] {
        for (name, real) in tools {
            std::os::unix::fs::symlink(real, scene.dir().join(name))?;
        }
        let bare = Command::new("/bin/bash").arg(script()?).env("PATH", scene.dir()).output()?;
        let text = String::from_utf8_lossy(&bare.stderr).into_owned();
        ensure!(bare.status.code() == Some(1) && text.contains(missing), "{text}");
    }
    scene.passed();
    Ok(())
}
