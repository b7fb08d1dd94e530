//! Hosts whose clocks are wrong, step, or whose machine sleeps: the real agent's rounds arrive under right times all the same.
//!
//! `libfaketime` (Debian's `faketime`) gives the agent's process the wall clock of a host whose battery is dead or that somebody
//! set by hand; the monotonic clock and the time since boot stay the machine's own. A small library of the test's own makes the
//! monotonic clock stand still, as a suspend does. What is right is what the test's own clock says.
//!
//! Agents push over TLS and know the collector by its pin: a certificate that is long out of date in 2038, and not made yet in
//! 1970, must not lock them out.

use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use wan_tests::api::Row;
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::{CENTRE_V4, Province};
use wan_tests::process::{self, Process};
use wan_tests::scene::{Scene, undisturbed};

/// Length of a round, in milliseconds: two seconds, so that an agent that is kept from running for one skips none.
const ROUND: i64 = 2000;
/// How far a boundary may be from where the test's clock has it: a round, and what a busy machine adds.
const NEAR: i64 = ROUND + 500;
/// How long anything may take to show on the collector.
const PATIENCE: Duration = Duration::from_secs(60);
const DAY: i64 = 86_400;

/// A site's agent with a wall clock of its own.
struct Host {
    site: &'static str,
    number: u8,
    /// How many seconds its wall clock is ahead of the machine's.
    ahead: i64,
    process: Option<Process>,
}

impl Host {
    fn new(site: &'static str, number: u8, ahead: i64) -> Self {
        Self { site, number, ahead, process: None }
    }

    /// Sets its clock, whether its agent runs or not.
    fn set_clock(&mut self, scene: &Scene, ahead: i64) -> Result<()> {
        self.ahead = ahead;
        // Replaced as a whole: libfaketime reads it while we write.
        let new = scene.write(&format!("{}.time.new", self.site), &format!("{ahead:+}\n"))?;
        std::fs::rename(&new, scene.path(&format!("{}.time", self.site))).context("replace the time file")
    }

    /// Starts its agent under its clock.
    fn start(&mut self, scene: &Scene, province: &Province, collector: &Collector) -> Result<()> {
        self.set_clock(scene, self.ahead)?;
        let mut command = province.site(self.number)?.command("env");
        command
            .arg(format!("LD_PRELOAD={}", libfaketime()?.display()))
            .arg(format!("FAKETIME_TIMESTAMP_FILE={}", scene.path(&format!("{}.time", self.site))))
            // A step is seen within a second; files and the monotonic clock keep their times.
            .args(["FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]);
        self.process = Some(agent(scene, self.site, collector, command)?);
        Ok(())
    }

    fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// Starts an agent by a command that ends with the program to run, and waits until it says that it begins; its configuration is
/// written anew.
fn agent(scene: &Scene, site: &str, collector: &Collector, mut command: Command) -> Result<Process> {
    let secret = scene.write(&format!("{site}.secret"), collector.secret(site)?)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).with_context(|| format!("chmod 600 {secret}"))?;
    let printed = collector.command(&["certificate"], &[])?;
    let pin = printed.lines().find_map(|line| line.strip_prefix("pin")?.split_whitespace().next());
    let pin = pin.with_context(|| format!("no pin in:\n{printed}"))?;
    let text = format!(
        "data: {}\ncollector:\n  urls: [{{url: 'https://{CENTRE_V4}:8443'}}]\n  secret_file: {secret}\n  pins: [\"{pin}\"]\n\
         round: {{interval: 2s, packets: 5, timeout: 900ms}}\n\
         links: [{{name: lan, targets: [{{icmp: gateway}}]}}, {{name: wan, targets: [{{icmp: {CENTRE_V4}}}]}}]\n",
        scene.path(&format!("{site}-data"))
    );
    let config = scene.write(&format!("{site}.yaml"), &text)?;
    command.arg(process::binary("wan-agent")?).args(["run", "--config", &config]);
    let name = format!("agent-{site}");
    let begun = |log: &str| log.matches("wan-agent begins").count();
    let before = begun(&std::fs::read_to_string(scene.path(&format!("{name}.log"))).unwrap_or_default());
    let mut process = Process::spawn(&name, command, scene.dir())?;
    eventually("the agent begins", PATIENCE, || {
        process.check_running()?;
        ensure!(begun(&process.log()) > before, "its log does not say so");
        Ok(())
    })?;
    Ok(process)
}

fn libfaketime() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").context("list /usr/lib")?;
    let mut candidates = folders
        .flatten()
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")]);
    candidates.find(|path| path.is_file()).context("libfaketime is missing: apt-get install faketime")
}

/// When this machine booted, in Unix milliseconds by the test's own clock.
fn booted() -> Result<i64> {
    Ok(clock::unix_millis() - clock::since_boot_millis()?)
}

fn begin(scene: &Scene, sites: &[&'static str]) -> Result<(Province, Collector)> {
    let province = Province::build(u8::try_from(sites.len())?)?;
    let listen: SocketAddr = format!("{CENTRE_V4}:8443").parse().context("an address")?;
    let register: Vec<Site> = sites.iter().map(|site| Site::commune(site)).collect();
    let collector = Collector::prepare(scene, listen, "ingest: {silence_limit: 10s}\n", &register, sites)?
        .inside(province.centre()?)
        .reached_at("127.0.0.1:8080".parse().context("an address")?);
    let config = std::fs::read_to_string(collector.config())?;
    let (one, both) = (format!("\"{listen}\""), format!("[\"127.0.0.1:8080\", \"{listen}\"]"));
    std::fs::write(collector.config(), config.replace(&one, &both))?;
    Ok((province, collector))
}

/// The rows of a site's WAN over a window, those that say `up` joined where they touch.
fn rows(collector: &Collector, site: &str, from: i64, to: i64) -> Result<Vec<Row>> {
    let mut joined: Vec<Row> = Vec::new();
    for row in collector.api().timeline(site, "wan", from, to)? {
        match joined.last_mut() {
            Some(last) if last.state == row.state && last.end == row.start => last.end = row.end,
            _ => joined.push(row),
        }
    }
    Ok(joined)
}

/// Waits until the site's WAN was up without a gap over all of [`from`, `to`).
fn up_throughout(collector: &Collector, host: &Host, from: i64, to: i64) -> Result<()> {
    eventually(&format!("{} is up from {from} to {to}", host.site), PATIENCE, || {
        let rows = rows(collector, host.site, from, to)?;
        let whole =
            matches!(rows.as_slice(), [row] if row.state == "up" && row.start == from && row.end == to);
        ensure!(whole, "{rows:?}");
        Ok(())
    })
}

/// What the collector knows of a site's agent.
fn facts(collector: &Collector, site: &str) -> Result<Value> {
    let answer = collector.api().json(&format!("/api/v1/sites/{site}"))?;
    answer.get("agent").cloned().with_context(|| format!("no agent in {answer}"))
}

fn number(facts: &Value, key: &str) -> Result<f64> {
    facts.get(key).and_then(Value::as_f64).with_context(|| format!("no {key} in {facts}"))
}

/// Waits until the site's agent reports that its host's clock is as far off as it is, and a boot time that is right.
fn offset_is_told(collector: &Collector, host: &Host) -> Result<()> {
    let expected = -f64::from(i32::try_from(host.ahead)?);
    eventually(&format!("{} reports an offset of {expected} s", host.site), PATIENCE, || {
        let facts = facts(collector, host.site)?;
        let (offset, bound) =
            (number(&facts, "clock_offset_seconds")?, number(&facts, "clock_offset_bound_seconds")?);
        ensure!((offset - expected).abs() < 2.0, "it says {offset} s");
        ensure!((0.0..0.5).contains(&bound), "its bound is {bound} s");
        let wrong = facts.get("clock_wrong").and_then(Value::as_bool);
        ensure!(wrong == Some(host.ahead != 0), "whether it is called wrong: {wrong:?}");
        let boot = number(&facts, "boot_time")?;
        let off = boot - f64::from(i32::try_from(booted()? / 1000)?) * 1000.0;
        ensure!(off.abs() < 2000.0, "its boot time is {off} ms off");
        Ok(())
    })
}

#[test]
fn rounds_of_hosts_in_1970_and_2038_arrive_under_right_times() -> Result<()> {
    undisturbed("clocks", rounds_arrive_under_right_times)
}

fn rounds_arrive_under_right_times(scene: Scene) -> Result<()> {
    let (province, mut collector) = begin(&scene, &["xa-1970", "xa-2038"])?;
    // Its first start makes its certificate.
    collector.start()?;
    collector.stop()?;
    let now = clock::unix_millis() / 1000;
    let mut hosts = [Host::new("xa-1970", 1, 10 - now), Host::new("xa-2038", 2, 2_147_483_640 - now)];

    // The collector is away: these rounds precede every contact.
    let before = clock::unix_millis();
    for host in &mut hosts {
        host.start(&scene, &province, &collector)?;
    }
    let started = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(10));
    collector.start()?;
    let contact = clock::unix_millis();
    for host in &hosts {
        up_throughout(&collector, host, started + NEAR, contact)?;
        offset_is_told(&collector, host)?;
        let early = rows(&collector, host.site, before - 60_000, before)?;
        ensure!(early.iter().all(|row| row.state != "up"), "{} was up before it ran: {early:?}", host.site);
    }

    // The clocks step while the agents run: a day forward, two days back, and to what is right.
    for ahead in [hosts[0].ahead + DAY, hosts[0].ahead - DAY, 0] {
        for host in &mut hosts {
            host.set_clock(&scene, ahead)?;
        }
        for host in &hosts {
            offset_is_told(&collector, host)?;
        }
    }
    let stepped = clock::unix_millis();
    for host in &hosts {
        up_throughout(&collector, host, started + NEAR, stepped - NEAR)?;
    }

    // The collector is away and an agent's host loses its power; its next rounds are under right times before any contact.
    collector.stop()?;
    let host = &mut hosts[0];
    host.process.as_mut().context("it runs")?.kill()?;
    let killed = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(4));
    host.ahead = 10 - clock::unix_millis() / 1000;
    let dead_until = clock::unix_millis();
    host.start(&scene, &province, &collector)?;
    let again = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(8));
    collector.start()?;
    up_throughout(&collector, host, again + NEAR, clock::unix_millis())?;
    offset_is_told(&collector, host)?;
    let dead = rows(&collector, host.site, killed, dead_until)?;
    let up: i64 = dead.iter().filter(|row| row.state == "up").map(|row| row.end - row.start).sum();
    ensure!(up <= NEAR, "it was dead from {killed} to {dead_until}: {dead:?}");
    // The other one went on all the while.
    up_throughout(&collector, &hosts[1], started + NEAR, clock::unix_millis() - NEAR)?;

    for host in &mut hosts {
        ensure!(!host.log().contains("ERROR"), "{} logged an error", host.site);
        host.process.as_mut().context("it runs")?.stop()?;
    }
    collector.stop()?;
    scene.passed();
    Ok(())
}

#[test]
fn no_round_spans_a_suspend() -> Result<()> {
    undisturbed("suspend", a_suspend)
}

fn a_suspend(scene: Scene) -> Result<()> {
    const SITE: &str = "xa-ngu";
    let (province, mut collector) = begin(&scene, &[SITE])?;
    collector.start()?;
    let slept = scene.write("slept", "\0\0\0\0\0\0\0\0")?;
    let mut command = province.site(1)?.command("env");
    command.arg(format!("LD_PRELOAD={}", sleeper(&scene)?.display())).arg(format!("SLEPT_FILE={slept}"));
    let mut process = agent(&scene, SITE, &collector, command)?;
    let host = Host::new(SITE, 1, 0);
    let started = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(8));
    up_throughout(&collector, &host, started + NEAR, started + 6000)?;

    // In the middle of a round, whichever it is; asleep for a while that is no multiple of a round.
    let asleep = clock::unix_millis();
    let since = clock::now();
    process.signal(Signal::SIGSTOP)?;
    std::thread::sleep(Duration::from_millis(7300));
    let file = std::fs::File::options().write(true).open(&slept).context("open the sleep's length")?;
    let nanos = i64::try_from(since.elapsed().as_nanos())?;
    file.write_all_at(&nanos.to_ne_bytes(), 0).context("write the sleep's length")?;
    process.signal(Signal::SIGCONT)?;
    let awake = clock::unix_millis();
    std::thread::sleep(Duration::from_secs(8));

    let end = clock::unix_millis() - NEAR;
    up_throughout(&collector, &host, awake + ROUND + NEAR, end)?;
    let rows = rows(&collector, SITE, started + NEAR, end)?;
    let [before, hole, after] = rows.as_slice() else { return Err(anyhow!("not up, hole, up: {rows:?}")) };
    ensure!((before.state.as_str(), after.state.as_str()) == ("up", "up"), "{rows:?}");
    ensure!(hole.state == "unknown", "{rows:?}");
    // The sleep is in the hole, and of what was seen no more than the rounds on its edges.
    ensure!(hole.start <= asleep && hole.start >= asleep - 2 * NEAR, "asleep at {asleep}: {rows:?}");
    ensure!(hole.end >= awake - 50 && hole.end <= awake + NEAR, "awake at {awake}: {rows:?}");
    ensure!(process.log().contains("the host was suspended"), "the log does not say so");
    process.stop()?;
    collector.stop()?;
    scene.passed();
    Ok(())
}

/// The library that makes a stopped process believe that its host slept, compiled.
fn sleeper(scene: &Scene) -> Result<PathBuf> {
    let source = process::repository()?.join("tests/suspend.c");
    let library = scene.path("suspend.so");
    let source = source.to_str().context("the repository's path")?;
    process::run(FilePath::new("cc"), &["-shared", "-fPIC", "-O1", "-o", &library, source, "-ldl"])?;
    Ok(PathBuf::from(library))
}
