//! The Debian packages, as an administrator uses them: built by `deploy/package`, installed, started by a real systemd, upgraded,
//! stopped, removed and purged, in a machine of its own inside this one.
//!
//! The machine's network is a loopback of its own: the agent pings 127.0.0.1 there and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use wan_tests::clock::{eventually, now};
use wan_tests::machine::{Init, Machine};
use wan_tests::netns::require_root;
use wan_tests::process::{binary_dir, repository, tail};
use wan_tests::scene::Scene;

const PATIENCE: Duration = Duration::from_secs(60);
/// What the issue asks of an agent that was killed: it probes again within this time of its start.
const RECOVERY: Duration = Duration::from_secs(1);
const AGENT: &str = "wan-agent.service";
const COLLECTOR: &str = "wan-collector.service";
const BOTH: [&str; 2] = ["wan-agent", "wan-collector"];

/// Builds both packages from the binaries beside the test.
fn build(scene: &Scene, folder: &str) -> Result<BTreeMap<String, PathBuf>> {
    let out = Command::new(repository()?.join("deploy/package"))
        .arg("--bin-dir")
        .arg(binary_dir()?)
        .arg("--out")
        .arg(scene.path(folder))
        // Unoptimised binaries are large; how well they are packed is not what is tested.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1")
        // Also of a source that git does not know.
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .output()?;
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(out.status.success(), "deploy/package: {}{printed}", String::from_utf8_lossy(&out.stderr));
    let mut packages = BTreeMap::new();
    for line in printed.lines() {
        let file = PathBuf::from(line);
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let package = name.split('_').next().unwrap_or_default().to_owned();
        packages.insert(package, file);
    }
    ensure!(packages.keys().map(String::as_str).eq(BOTH), "deploy/package printed {printed:?}");
    Ok(packages)
}

/// Copies the packages into a machine and gives their paths there.
fn take_in(machine: &Machine, packages: &BTreeMap<String, PathBuf>) -> Result<Vec<String>> {
    packages
        .iter()
        .map(|(package, file)| {
            let inside = format!("/tmp/{package}.deb");
            machine.take_in(file, &inside)?;
            Ok(inside)
        })
        .collect()
}

fn install(machine: &Machine, files: &[String]) -> Result<String> {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    machine.run("dpkg", &[&["--install"], &files[..]].concat())
}

fn state(machine: &Machine, unit: &str) -> Result<String> {
    let state = machine.output("systemctl", &["is-active", unit])?;
    Ok(String::from_utf8_lossy(&state.stdout).trim().to_owned())
}

fn pid(machine: &Machine, unit: &str) -> Result<u32> {
    machine.property(unit, "MainPID")?.parse().with_context(|| format!("the main process of {unit}"))
}

/// Waits until a unit is active with another main process than `before`.
fn restarted(machine: &Machine, unit: &str, before: u32) -> Result<u32> {
    eventually(&format!("{unit} is started anew"), PATIENCE, || {
        let (state, now) = (state(machine, unit)?, pid(machine, unit)?);
        ensure!(state == "active" && now != before && now != 0, "it is {state} with process {now}");
        Ok(now)
    })
    .with_context(|| tail(&machine.journal(unit).unwrap_or_default(), 30))
}

/// A field of a process's /proc/PID/status, by its id in the machine.
fn status_field(machine: &Machine, pid: u32, field: &str) -> Result<String> {
    let path = machine.path(&format!("/proc/{pid}/status"));
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let found = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(found.with_context(|| format!("no {field} in {text}"))?.trim().to_owned())
}

fn metadata(machine: &Machine, path: &str) -> Result<String> {
    Ok(machine.run("stat", &["--format", "%U:%G %a", path])?.trim().to_owned())
}

fn exists(machine: &Machine, path: &str) -> bool {
    // Not through a link that would be followed out of the machine.
    machine.path(path).symlink_metadata().is_ok()
}

/// The collector's word about the site's links.
fn collector_says(machine: &Machine) -> Result<String> {
    let out = machine.output("curl", &["--silent", "--fail", "http://127.0.0.1:8080/metrics"])?;
    ensure!(out.status.success(), "/metrics: {}", out.status);
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A register with one site, and its agent enrolled by the line that the collector prints: that starts the service.
fn set_up(machine: &Machine) -> Result<()> {
    machine.write("/tmp/sites.csv", "id,name,tier,branch\nubnd-xa,UBND xã,commune,state\n")?;
    machine.run("wan-collector", &["sites", "import", "/tmp/sites.csv"])?;
    let line = machine.run("wan-collector", &["enroll", "ubnd-xa", "--url", "http://127.0.0.1:8080"])?;
    let words: Vec<&str> = line.split_whitespace().collect();
    ensure!(words.starts_with(&["sudo", "wan-agent", "enroll"]), "the line to paste: {line}");
    // The running collector takes a new register over within seconds.
    let said = eventually("the line enrols", PATIENCE, || machine.run("wan-agent", &words[2..]))?;
    ensure!(said.contains("ubnd-xa"), "{said}");
    ensure!(state(machine, AGENT)? == "active", "enrolment did not start it: {}", machine.journal(AGENT)?);
    // What is to be pinged in a machine without a network.
    let config = std::fs::read_to_string(machine.path("/etc/wanwatch/agent.yaml"))?;
    let links = "round: {interval: 1s, packets: 2, timeout: 500ms}\n\
                 links:\n  - name: wan\n    targets:\n      - icmp: 127.0.0.1\n";
    machine.write("/etc/wanwatch/agent.yaml", &format!("{config}\n{links}"))?;
    machine.run("systemctl", &["restart", AGENT])?;
    Ok(())
}

#[test]
fn installed_like_any_service_and_gone_without_a_trace_after_a_purge() -> Result<()> {
    let scene = Scene::new("package")?;
    let machine = Machine::boot(&scene, "machine", Init::Systemd)?;
    let packages = take_in(&machine, &build(&scene, "packages")?)?;

    // On a machine where somebody has run the agent by hand, as root.
    machine.write("/var/lib/wanwatch-agent/left", "by root")?;

    // Installed: both are enabled, the collector serves, the agent waits for its enrolment.
    install(&machine, &packages)?;
    for unit in [AGENT, COLLECTOR] {
        let enabled = machine.run("systemctl", &["is-enabled", unit])?;
        ensure!(enabled.trim() == "enabled", "{unit} is {enabled}");
        let verified =
            machine.output("systemd-analyze", &["verify", &format!("/usr/lib/systemd/system/{unit}")])?;
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        ensure!(verified.status.success() && !said.contains("wan-"), "systemd-analyze verify {unit}: {said}");
    }
    ensure!(state(&machine, COLLECTOR)? == "active", "{}", machine.journal(COLLECTOR)?);
    ensure!(state(&machine, AGENT)? == "inactive", "{}", machine.journal(AGENT)?);
    ensure!(collector_says(&machine)?.contains("wan_collector_build_info"), "no metrics");
    machine.run("wan-collector", &["config", "check"])?;

    // Set up: rounds begin, and the collector hears of them.
    set_up(&machine)?;
    ensure!(state(&machine, AGENT)? == "active", "{}", machine.journal(AGENT)?);
    eventually("the collector knows that the WAN is up", PATIENCE, || {
        let metrics = collector_says(&machine)?;
        let up = metrics.lines().find(|line| line.starts_with("wan_link_up{site=\"ubnd-xa\",link=\"wan\""));
        ensure!(up.is_some_and(|line| line.ends_with(" 1")), "{up:?}");
        Ok(())
    })
    .with_context(|| tail(&machine.journal(AGENT).unwrap_or_default(), 30))?;
    eventually("systemctl status shows the links", PATIENCE, || {
        let status = machine.property(AGENT, "StatusText")?;
        ensure!(status.contains("wan up"), "{status:?}");
        Ok(())
    })?;
    ensure!(machine.property(COLLECTOR, "StatusText")?.contains("sites"), "the collector's status");
    eventually("wan-agent status answers an administrator", PATIENCE, || {
        let asked = machine.output("wan-agent", &["status"])?;
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        ensure!(asked.status.success() && said.contains("wan"), "{}: {said}", asked.status);
        Ok(())
    })?;
    as_little_as_needed(&machine)?;
    killed_and_back(&machine)?;
    hung_and_back(&machine)?;
    rests_after_an_exit(&machine)?;
    takes_over_what_root_has_made(&machine)?;

    // Reloaded: the same process.
    let collector = pid(&machine, COLLECTOR)?;
    machine.run("systemctl", &["reload", COLLECTOR])?;
    ensure!(collector_says(&machine)?.contains("wan_collector_build_info"), "no metrics after a reload");
    ensure!(pid(&machine, COLLECTOR)? == collector, "a reload has ended the collector");

    // Opened to the network: a user made by root, then a listener beside loopback.
    machine.write("/tmp/password", "mật khẩu của tỉnh\n")?;
    machine.run(
        "wan-collector",
        &["users", "add", "quan-tri", "--role", "operator", "--password-file", "/tmp/password"],
    )?;
    let open = "listen: [127.0.0.1:8080, \"0.0.0.0:8443\"]\ndata: /var/lib/wanwatch\n";
    machine.write("/etc/wanwatch/collector.yaml", open)?;
    machine.run("wan-collector", &["config", "check"])?;
    machine.run("systemctl", &["restart", COLLECTOR])?;
    let ready = ["--silent", "--fail", "--insecure", "https://127.0.0.1:8443/readyz"];
    machine.run("curl", &ready).with_context(|| tail(&machine.journal(COLLECTOR).unwrap_or_default(), 20))?;

    // Upgraded: the same version again. Both run anew, with the same data and the same choices.
    machine.run("systemctl", &["disable", AGENT])?;
    machine
        .write("/etc/wanwatch/collector.yaml", "listen: 127.0.0.1:8080\ndata: /var/lib/wanwatch\n# ours\n")?;
    let (agent, collector) = (pid(&machine, AGENT)?, pid(&machine, COLLECTOR)?);
    install(&machine, &packages)?;
    restarted(&machine, AGENT, agent)?;
    restarted(&machine, COLLECTOR, collector)?;
    let enabled = machine.output("systemctl", &["is-enabled", AGENT])?;
    ensure!(enabled.stdout.starts_with(b"disabled"), "an upgrade has enabled what was disabled");
    let config = std::fs::read_to_string(machine.path("/etc/wanwatch/collector.yaml"))?;
    ensure!(config.contains("# ours"), "an upgrade has replaced the administrator's configuration");
    ensure!(collector_says(&machine)?.contains("site=\"ubnd-xa\""), "the register is gone");

    // Stopped: within the limit, with everything stored.
    for (unit, word) in [(AGENT, "wan-agent ends"), (COLLECTOR, "everything is stored")] {
        machine.run("systemctl", &["stop", unit])?;
        ensure!(machine.property(unit, "Result")? == "success", "{}", machine.journal(unit)?);
        ensure!(machine.journal(unit)?.contains(word), "{}", machine.journal(unit)?);
        machine.run("systemctl", &["start", unit])?;
    }

    // What the administrator keeps beside the configuration.
    machine.write("/etc/wanwatch/agents.yaml", "# ours\n")?;

    // Removed: nothing runs, data and configuration stay.
    machine.run("dpkg", &[&["--remove"], &BOTH[..]].concat())?;
    ensure!(
        !exists(&machine, "/usr/bin/wan-agent") && !exists(&machine, "/usr/bin/wan-collector"),
        "binaries stay"
    );
    ensure!(
        machine.output("pgrep", &["-x", "wan-agent|wan-collector"])?.stdout.is_empty(),
        "something still runs"
    );
    for kept in [
        "/var/lib/wanwatch/wanwatch.db",
        "/etc/wanwatch/agent.yaml",
        "/etc/wanwatch/agents.yaml",
        "/var/lib/wanwatch-agent/secret",
    ] {
        ensure!(exists(&machine, kept), "a removal has deleted {kept}");
    }

    // Purged: data, secrets, users and folders are gone.
    machine.run("dpkg", &[&["--purge"], &BOTH[..]].concat())?;
    purged(&machine)?;
    scene.passed();
    Ok(())
}

/// The user, the capability, the filter and the folders of the running services.
fn as_little_as_needed(machine: &Machine) -> Result<()> {
    const CAP_NET_RAW: u64 = 1 << 13;
    for (unit, user, data, capabilities) in [
        (AGENT, "wanwatch-agent", "/var/lib/wanwatch-agent", CAP_NET_RAW),
        (COLLECTOR, "wanwatch-collector", "/var/lib/wanwatch", 0),
    ] {
        let pid = pid(machine, unit)?;
        ensure!(
            metadata(machine, &format!("/proc/{pid}"))?.starts_with(&format!("{user}:{user}")),
            "{unit}: user"
        );
        for set in ["CapEff", "CapBnd", "CapAmb"] {
            let found = u64::from_str_radix(&status_field(machine, pid, set)?, 16)?;
            ensure!(found == capabilities, "{unit} has {set} {found:x}");
        }
        ensure!(status_field(machine, pid, "NoNewPrivs")? == "1", "{unit}: NoNewPrivs");
        ensure!(status_field(machine, pid, "Seccomp")? == "2", "{unit}: no filter of system calls");
        ensure!(
            metadata(machine, data)? == format!("{user}:{user} 700"),
            "{data}: {}",
            metadata(machine, data)?
        );
    }
    Ok(())
}

/// SIGKILL: started anew by itself, and the rounds begin within a second of the start.
fn killed_and_back(machine: &Machine) -> Result<()> {
    let mut shortest = Duration::MAX;
    // The host may be busy with something else for a moment.
    for _ in 0..3 {
        let before = pid(machine, AGENT)?;
        machine.run("kill", &["-KILL", &before.to_string()])?;
        restarted(machine, AGENT, before)?;
        let at = |property: &str| -> Result<Duration> {
            Ok(Duration::from_micros(machine.property(AGENT, property)?.parse()?))
        };
        // READY=1 is sent when the first round begins.
        let took =
            at("ActiveEnterTimestampMonotonic")?.saturating_sub(at("ExecMainStartTimestampMonotonic")?);
        shortest = shortest.min(took);
        if shortest < RECOVERY {
            break;
        }
    }
    ensure!(shortest < RECOVERY, "the first round began {shortest:?} after the start");
    println!("after SIGKILL the first round began {shortest:?} after the start");
    Ok(())
}

/// A process that does nothing any more, but is there: the watchdog ends it, and it is started anew.
fn hung_and_back(machine: &Machine) -> Result<()> {
    // The limits of the packaged units, cut short so that the test is.
    for unit in [AGENT, COLLECTOR] {
        let short = "[Service]\nWatchdogSec=20s\nTimeoutAbortSec=1s\n";
        machine.write(&format!("/etc/systemd/system/{unit}.d/short.conf"), short)?;
    }
    machine.run("systemctl", &["daemon-reload"])?;
    machine.run("systemctl", &["restart", AGENT, COLLECTOR])?;
    let before: Vec<(&str, u32)> =
        [AGENT, COLLECTOR].into_iter().map(|unit| Ok((unit, pid(machine, unit)?))).collect::<Result<_>>()?;
    // Longer than the limit, which a busy host does not reach: who feeds the watchdog is left alone.
    std::thread::sleep(Duration::from_secs(25));
    for (unit, before) in &before {
        ensure!(
            pid(machine, unit)? == *before,
            "{unit} did not feed its watchdog: {}",
            machine.journal(unit)?
        );
        machine.run("kill", &["-STOP", &before.to_string()])?;
    }
    for (unit, before) in before {
        restarted(machine, unit, before)?;
        ensure!(machine.journal(unit)?.contains("Watchdog timeout"), "{}", machine.journal(unit)?);
        machine.run("rm", &["-r", &format!("/etc/systemd/system/{unit}.d")])?;
    }
    machine.run("systemctl", &["daemon-reload"])?;
    Ok(())
}

/// One that ends by itself, as by a panic, is started anew, but does not keep the host busy with it.
fn rests_after_an_exit(machine: &Machine) -> Result<()> {
    const REST: Duration = Duration::from_secs(10);
    for unit in [AGENT, COLLECTOR] {
        let broken = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exit 101'\n";
        machine.write(&format!("/etc/systemd/system/{unit}.d/broken.conf"), broken)?;
    }
    machine.run("systemctl", &["daemon-reload"])?;
    let begun = now();
    machine.run("systemctl", &["restart", "--no-block", AGENT, COLLECTOR])?;
    std::thread::sleep(Duration::from_secs(6));
    for unit in [AGENT, COLLECTOR] {
        let journal = machine.journal(unit)?;
        let ends = journal.matches("status=101").count();
        let most = 1 + begun.elapsed().as_secs() / REST.as_secs();
        ensure!(ends >= 1 && ends as u64 <= most, "{unit} ended {ends} times: {}", tail(&journal, 30));
        machine.run("rm", &["-r", &format!("/etc/systemd/system/{unit}.d")])?;
    }
    machine.run("systemctl", &["daemon-reload"])?;
    machine.run("systemctl", &["restart", COLLECTOR, AGENT])?;
    Ok(())
}

/// Run by hand as root, once: the queue that it makes is the service's afterwards. What a link leads to stays whose it is.
fn takes_over_what_root_has_made(machine: &Machine) -> Result<()> {
    const QUEUE: &str = "/var/lib/wanwatch-agent/queue";
    machine.run("systemctl", &["stop", AGENT])?;
    machine.run("rm", &["-rf", QUEUE])?;
    let by_hand = machine.output("timeout", &["--signal=INT", "5", "wan-agent", "run"])?;
    ensure!(metadata(machine, QUEUE)?.starts_with("root:root"), "run by hand: {by_hand:?}");
    machine.write("/etc/roots", "own")?;
    machine.run("ln", &["-s", "/etc/roots", "/var/lib/wanwatch-agent/link"])?;

    machine.run("systemctl", &["start", AGENT])?;
    let queue = metadata(machine, QUEUE)?;
    ensure!(queue.starts_with("wanwatch-agent:wanwatch-agent"), "the queue is {queue}");
    ensure!(metadata(machine, "/etc/roots")?.starts_with("root:root"), "a link was followed");
    Ok(())
}

fn purged(machine: &Machine) -> Result<()> {
    for gone in ["/var/lib/wanwatch", "/var/lib/wanwatch-agent", "/etc/wanwatch", "/usr/share/doc/wan-agent"]
    {
        ensure!(!exists(machine, gone), "a purge leaves {gone}");
    }
    for user in ["wanwatch-agent", "wanwatch-collector"] {
        for database in ["passwd", "group"] {
            ensure!(
                !machine.output("getent", &[database, user])?.status.success(),
                "a purge leaves {user} in {database}"
            );
        }
    }
    let left = machine.output(
        "dpkg-query",
        &["--show", "--showformat=${Package} ${Status}", "wan-agent", "wan-collector"],
    )?;
    ensure!(!String::from_utf8_lossy(&left.stdout).contains("installed"), "dpkg still knows them");
    Ok(())
}

#[test]
fn without_systemd_the_packages_install_start_nothing_and_purge() -> Result<()> {
    let scene = Scene::new("package-bare")?;
    let machine = Machine::boot(&scene, "bare", Init::Nothing)?;
    let packages = take_in(&machine, &build(&scene, "packages")?)?;
    // Also where there is no systemd-sysusers that could make the users.
    let sysusers = machine.run("sh", &["-c", "command -v systemd-sysusers || true"])?;
    if !sysusers.trim().is_empty() {
        machine.run("rm", &[sysusers.trim()])?;
    }
    install(&machine, &packages)?;
    install(&machine, &packages)?;
    ensure!(
        metadata(&machine, "/var/lib/wanwatch-agent")? == "wanwatch-agent:wanwatch-agent 700",
        "the data folder"
    );
    for package in BOTH {
        let version = machine.run(package, &["--version"])?;
        ensure!(version.starts_with(package), "{version}");
        ensure!(machine.output("pgrep", &["-x", package])?.stdout.is_empty(), "{package} runs");
    }
    machine.run("dpkg", &[&["--purge"], &BOTH[..]].concat())?;
    purged(&machine)?;
    scene.passed();
    Ok(())
}

#[test]
fn the_same_binaries_give_the_same_packages_and_the_script_explains_itself() -> Result<()> {
    require_root()?;
    let scene = Scene::new("package-twice")?;
    let (first, second) = (build(&scene, "first")?, build(&scene, "second")?);
    for (package, file) in &first {
        let other = second.get(package).ok_or_else(|| anyhow!("no {package} the second time"))?;
        ensure!(std::fs::read(file)? == std::fs::read(other)?, "{package} is not the same twice");
        owned_by_root(file)?;
    }
    let script = repository()?.join("deploy/package");
    let help = Command::new(&script).arg("--help").output()?;
    ensure!(String::from_utf8_lossy(&help.stdout).contains("--bin-dir"), "{help:?}");
    let unknown = Command::new(&script).arg("--nonsense").output()?;
    ensure!(unknown.status.code() == Some(2), "{unknown:?}");
    let empty = Command::new(&script)
        .args(["--bin-dir", &scene.path("first"), "--out", &scene.path("none")])
        .output()?;
    let said = String::from_utf8_lossy(&empty.stderr).into_owned();
    ensure!(empty.status.code() == Some(1) && said.contains("wan-agent is not there"), "{said}");

    // Git's own words say why it does not know the time.
    let alone = Command::new(&script).env_remove("SOURCE_DATE_EPOCH").env("GIT_DIR", "/nowhere").output()?;
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    let why = ["not a git repository: '/nowhere'", "git: command not found"];
    ensure!(alone.status.code() == Some(1) && why.iter().any(|why| said.contains(why)), "{said}");
    ensure!(said.contains("SOURCE_DATE_EPOCH="), "{said}");

    // For another processor: any program will do, since none of them is run.
    for name in BOTH {
        std::fs::create_dir_all(scene.path("foreign"))?;
        std::fs::copy("/bin/true", format!("{}/{name}", scene.path("foreign")))?;
    }
    let out = scene.path("arm64");
    let foreign = Command::new(&script)
        .args(["--arch", "arm64", "--bin-dir", &scene.path("foreign"), "--out", &out])
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .output()?;
    let printed = String::from_utf8_lossy(&foreign.stdout).into_owned();
    ensure!(foreign.status.success() && printed.lines().count() == 2, "{foreign:?}");
    for package in printed.lines() {
        let fields =
            Command::new("dpkg-deb").args(["--field", package, "Architecture", "Depends"]).output()?;
        let fields = String::from_utf8_lossy(&fields.stdout).into_owned();
        ensure!(fields.contains("arm64") && fields.contains("libc6"), "{package}: {fields}");
    }
    let without = Command::new(&script).args(["--arch", "arm64"]).output()?;
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    ensure!(without.status.code() == Some(1) && said.contains("--arch needs --bin-dir"), "{said}");
    scene.passed();
    Ok(())
}

/// No file belongs to who built the package, and nobody but its owner may write one.
fn owned_by_root(package: &Path) -> Result<()> {
    let out = Command::new("dpkg-deb").arg("--contents").arg(package).output()?;
    let listing = String::from_utf8_lossy(&out.stdout).into_owned();
    ensure!(out.status.success() && listing.contains("/usr/bin/"), "dpkg-deb --contents: {listing}");
    for line in listing.lines() {
        let (mode, owner) = line.split_once(' ').unwrap_or_default();
        ensure!(owner.starts_with("root/root"), "{line}");
        ensure!(!mode.get(4..).unwrap_or_default().contains('w'), "others may write it: {line}");
    }
    Ok(())
}
