//! One pasted line, in the province: `wan-collector enroll` prints it, a machine at a site runs it as it stands, its agent's
//! rounds arrive; then the secret is rotated while it runs, revoked, and the machine enrolled anew.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::{CENTRE_V4, Province};
use wan_tests::process::{self, Process, tail};
use wan_tests::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(90);
const SITE: &str = "xa-hung-thuan";
/// Where the line writes without being told otherwise; on each machine of the test these are folders of its own.
const ETC: &str = "/etc/wanwatch";
const DATA: &str = "/var/lib/wanwatch-agent";

/// A site's machine: a network namespace, and a view of the files in which [`ETC`] and [`DATA`] are its own.
struct Machine<'p> {
    name: &'static str,
    province: &'p Province,
    number: u8,
    scene: &'p Scene,
    /// Places to mount on that were not there before.
    made: Vec<&'static str>,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        for folder in &self.made {
            // Empty, since nothing is written but under what is mounted there.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl<'p> Machine<'p> {
    fn new(scene: &'p Scene, province: &'p Province, name: &'static str, number: u8) -> Result<Self> {
        let mut machine = Self { name, province, number, scene, made: Vec::new() };
        for folder in [ETC, DATA] {
            // Only the places to mount on; they stay empty.
            if !Path::new(folder).exists() {
                std::fs::create_dir_all(folder).with_context(|| folder.to_owned())?;
                machine.made.push(folder);
            }
        }
        for folder in ["etc", "data"] {
            std::fs::create_dir_all(machine.path(folder)).context("a folder of the machine")?;
        }
        Ok(machine)
    }

    fn path(&self, name: &str) -> String {
        self.scene.path(&format!("{}/{name}", self.name))
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        std::fs::read_to_string(&path).with_context(|| path)
    }

    fn script(&self, line: &str) -> Result<Vec<String>> {
        let programs = process::binary_dir()?;
        let script = format!(
            "mount --bind {} {ETC} && mount --bind {} {DATA} && PATH={}:$PATH && exec {line}",
            self.path("etc"),
            self.path("data"),
            programs.display()
        );
        Ok(["--mount", "--propagation", "private", "sh", "-c", &script].map(str::to_owned).into())
    }

    /// Runs one line of a shell, as a person would who has pasted it.
    fn paste(&self, line: &str, language: &str) -> Result<Pasted> {
        let mut command = self.province.site(self.number)?.command("unshare");
        let output =
            command.args(self.script(line)?).env("LC_ALL", language).output().context("paste a line")?;
        Ok(Pasted::from(output))
    }

    fn agent(&self) -> Result<Process> {
        let arguments = self.script("wan-agent run")?;
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let space = self.province.site(self.number)?;
        let name = format!("agent-{}", self.name);
        Process::start(&name, Path::new("unshare"), &arguments, Some(space), self.scene.dir())
    }
}

#[derive(Debug)]
struct Pasted {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Pasted {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Pasted {
    fn ended(&self, code: i32, words: &[&str]) -> Result<()> {
        ensure!(self.code == code, "ended with {} instead of {code}: {self:?}", self.code);
        for word in words {
            ensure!(self.out.contains(word) || self.err.contains(word), "no “{word}” in {self:?}");
        }
        Ok(())
    }
}

/// A line as an administrator gets it; a test's machines have no sudo and need none.
fn line(collector: &Collector, arguments: &[&str]) -> Result<String> {
    let printed = collector.command(&["enroll"], &[&[SITE], arguments].concat())?;
    ensure!(printed.lines().count() == 1 && printed.ends_with('\n'), "not one line: {printed}");
    let line = printed.trim_end().strip_prefix("sudo ").ok_or_else(|| anyhow!("no sudo: {printed}"))?;
    Ok(line.to_owned())
}

/// For how long the collector knows the site's WAN as up within a window, in milliseconds.
fn up(collector: &Collector, from: i64, to: i64) -> Result<i64> {
    let rows = collector.api().timeline(SITE, "wan", from, to)?;
    Ok(rows.iter().filter(|row| row.state == "up").map(|row| row.end - row.start).sum())
}

/// Waits until the collector has heard of the link for some seconds from now on.
fn delivers(collector: &Collector, agent: &mut Process) -> Result<()> {
    let asked = clock::unix_millis();
    eventually("rounds arrive", PATIENCE, || {
        agent.check_running()?;
        let up = up(collector, asked, clock::unix_millis())?;
        ensure!(up >= 4000, "up for {up} ms since {asked}; the agent:\n{}", tail(&agent.log(), 20));
        Ok(())
    })
}

/// For how long the host kept the agent from running, as it says itself, in milliseconds.
fn stalled(log: &str) -> i64 {
    let lines = log.lines().filter(|line| line.contains("the host kept the agent from running"));
    let seconds =
        lines.filter_map(|line| line.split_once("unobserved_seconds=")?.1.split_whitespace().next());
    let spans = seconds.filter_map(|seconds| Duration::try_from_secs_f64(seconds.parse().ok()?).ok());
    i64::try_from(spans.sum::<Duration>().as_millis()).unwrap_or(i64::MAX)
}

fn listed(collector: &Collector, key: &str) -> Result<String> {
    let listed = collector.command(&["agents", "list"], &["--format", "json"])?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    Ok(listed[0][key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn one_pasted_line_makes_an_agent_whose_secret_can_be_rotated_and_revoked() -> Result<()> {
    let scene = Scene::new("enrolment")?;
    let province = Province::build(2)?;
    let address = format!("{CENTRE_V4}:8443");
    let further = format!("urls: [{{url: \"https://{address}\"}}]\n");
    let mut collector = Collector::prepare(&scene, address.parse()?, &further, &[Site::commune(SITE)], &[])?
        .inside(province.centre()?);
    let text = std::fs::read_to_string(collector.config())?;
    let both = format!("listen: [\"127.0.0.1:8080\", \"{address}\"]");
    std::fs::write(collector.config(), text.replace(&format!("listen: \"{address}\""), &both))?;
    collector = collector.reached_at("127.0.0.1:8080".parse()?);
    let machine = Machine::new(&scene, &province, "first", 1)?;
    let other = Machine::new(&scene, &province, "other", 2)?;

    machine.paste("wan-agent run", "C")?.ended(2, &["not enrolled yet", "chưa được ghi danh"])?;
    let first = line(&collector, &["--ttl", "1h"])?;
    ensure!(first.starts_with(&format!("wan-agent enroll https://{address} --token wane_")), "{first}");
    ensure!(first.contains(" --pin sha256:"), "{first}");
    // Before the collector is there: what to check, and nothing is lost by it.
    machine
        .paste(&first, "C")?
        .ended(3, &["No collector answered", "Check that the network cable", "dây mạng"])?;
    ensure!(!Path::new(&machine.path("etc/agent.yaml")).exists(), "a configuration after a failure");

    collector.start()?;
    let stranger =
        first.replace("--pin sha256:", "--pin sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= #");
    let words = [&*format!("another collector answers at {address}"), "Do not go on", "Đừng tiếp tục"];
    machine.paste(&stranger, "C")?.ended(3, &words)?;
    let plain = first.replace("https://", "http://");
    machine.paste(&plain, "C")?.ended(2, &["--insecure-http"])?;
    let torn = &first[..first.find(" --pin").unwrap_or(first.len()) - 5];
    machine.paste(torn, "C")?.ended(2, &["copy the whole line"])?;

    let pasted = machine.paste(&first, "vi_VN.UTF-8")?;
    pasted.ended(
        0,
        &[
            &format!("Cơ quan {SITE} ({SITE})"),
            "Done: this machine is enrolled",
            &format!("https://{address}"),
        ],
    )?;
    ensure!(pasted.out.starts_with("Xong:"), "Vietnamese comes first where that is the language: {pasted:?}");
    let mode = std::fs::metadata(machine.path("data/secret"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "the secret has mode {mode:o}");
    let config = machine.read("etc/agent.yaml")?;
    ensure!(
        config.contains("secret_file: \"/var/lib/wanwatch-agent/secret\"") && !config.contains("wan_"),
        "{config}"
    );

    let mut agent = machine.agent()?;
    delivers(&collector, &mut agent)?;
    ensure!(listed(&collector, "state")? == "active" && listed(&collector, "line_until")?.is_empty());
    ensure!(!listed(&collector, "version")?.is_empty() && !listed(&collector, "last_seen")?.is_empty());
    ensure!(listed(&collector, "by")? == "wan", "heard by {}", listed(&collector, "by")?);

    // The line again: here it is said that it has been done, elsewhere that it is used up.
    machine.paste(&first, "C")?.ended(2, &["enrolled already", "--force"])?;
    other.paste(&first, "C")?.ended(1, &["used already, at 20", "from 10.77.1.", "đã được dùng"])?;
    ensure!(std::fs::read_dir(other.path("data"))?.count() == 0, "a refusal leaves nothing");

    // A new secret while it runs.
    let before = machine.read("data/secret")?;
    collector.command(&["agents", "rotate"], &[SITE])?;
    eventually("the agent has another secret, and the collector knows", PATIENCE, || {
        agent.check_running()?;
        ensure!(
            machine.read("data/secret")? != before,
            "it has the same secret:\n{}",
            tail(&agent.log(), 10)
        );
        ensure!(
            listed(&collector, "rotation")?.is_empty(),
            "the rotation is {}",
            listed(&collector, "rotation")?
        );
        Ok(())
    })?;
    ensure!(collector.log().contains("the agent uses its new secret"), "nothing in the collector's log");
    let mode = std::fs::metadata(machine.path("data/secret"))?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "the new secret has mode {mode:o}");
    delivers(&collector, &mut agent)?;

    // Revoked: the agent goes on measuring. Enrolled anew: it brings everything in, without being started again.
    collector.command(&["agents", "revoke"], &[SITE])?;
    eventually("the agent is refused", PATIENCE, || {
        agent.check_running()?;
        ensure!(agent.log().contains("was revoked"), "it says nothing of it:\n{}", tail(&agent.log(), 10));
        Ok(())
    })?;
    let (refused, said) = (clock::unix_millis(), agent.log().len());
    std::thread::sleep(Duration::from_secs(20));
    let back = clock::unix_millis();
    ensure!(up(&collector, refused + 5000, back)? == 0, "something arrived under a revoked secret");
    let second = line(&collector, &[])?;
    ensure!(second.ends_with(" --force"), "the site's machine has files already: {second}");
    machine.paste(&second, "C")?.ended(0, &["secret.old", "agent.yaml.old"])?;
    eventually("what was measured meanwhile arrives", PATIENCE, || {
        agent.check_running()?;
        let (up, stalled) = (up(&collector, refused, back)?, stalled(&agent.log()[said..]));
        ensure!(
            up >= back - refused - 6000 - stalled,
            "up for {up} of {} ms, {stalled} ms not on the host:\n{}",
            back - refused,
            tail(&agent.log(), 20)
        );
        Ok(())
    })?;
    delivers(&collector, &mut agent)?;
    agent.stop()?;
    collector.stop()?;
    ensure!(!collector.log().contains("panicked"), "the collector panicked");
    let shown = [collector.log(), agent.log()].concat();
    ensure!(
        !shown.contains("wane_") && !shown.contains(machine.read("data/secret")?.trim()),
        "a log shows a secret"
    );
    drop((machine, other));
    scene.passed();
    Ok(())
}
