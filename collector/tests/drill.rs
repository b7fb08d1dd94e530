//! `wan-collector drill` beside a running collector: by the routes and channels of the configuration, with what is left when it is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test")]

mod running;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use running::Running;
use serde_json::Value;
use wan_collector::alert::Rule;
use wan_collector::alert::drill::Drill;
use wan_collector::alert::record::WantedAlerts;
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::inventory::Register;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::read::{File, Format, read};
use wan_collector::province::Province;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;

const REGISTER: &str = "\
sites:
  - {id: an-hoa, name: Xã An Hòa, tier: commune, branch: state, links: {wan: {carrier: vnpt}}}
  - {id: no-links, name: Xã Không, tier: commune, branch: state}
";

/// A province of two sites, and channels that are commands.
async fn office(folder: &Path, alerts: &str) -> Config {
    let told = folder.join("tell.sh");
    let log = folder.join("told");
    let script = format!(
        "#!/bin/sh\ncat >/dev/null\necho \"$WANWATCH_EVENT $WANWATCH_DRILL $WANWATCH_RULE $WANWATCH_SITE $WANWATCH_LINK\" >> {}\n",
        log.display()
    );
    fs::write(&told, script).unwrap();
    fs::set_permissions(&told, fs::Permissions::from_mode(0o755)).unwrap();
    let alerts = alerts.replace("TELL", &told.display().to_string());
    let file = folder.join("collector.yaml");
    fs::write(&file, format!("data: {}\n{alerts}", folder.join("data").display())).unwrap();
    let config = Config::load(&file).unwrap();
    let store = SqliteStore::open(&config.database()).await.unwrap();
    let file = File { name: "sites.yaml", bytes: REGISTER.as_bytes(), format: Format::Yaml };
    let sites = read(&[file], &config.plan, &Register::default()).unwrap();
    let changes: Vec<Change> = sites.into_iter().map(Change::Added).collect();
    store.change_register(0, &changes).await.unwrap();
    store.close().await;
    config
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wan-collector"));
    command.arg("drill").args(arguments).arg("--config").arg(folder.join("collector.yaml"));
    command
}

async fn drill(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = command(folder, arguments);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

async fn open_drills(config: &Config) -> usize {
    let store = SqliteStore::open(&config.database()).await.unwrap();
    let open = store.alerts(&WantedAlerts::open()).await.unwrap();
    store.close().await;
    open.iter().filter(|alert| alert.drill).count()
}

const TWO: &str = "alerts:\n  channels:\n    - {name: one, command: {run: [TELL]}}\n    - {name: two, command: {run: [TELL]}}\n  \
                   routes: [{tiers: commune, to: [one, two]}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_the_whole_way_and_says_how_long_each_step_took() {
    let folder = tempfile::tempdir().unwrap();
    let config = office(folder.path(), TWO).await;
    let collector = Running::begin(config.clone()).await;
    let (code, said) = drill(folder.path(), &["an-hoa", "--rule", "link_down"]).await;
    assert_eq!(code, 0, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("drill a") && lines[0].ends_with(": link_down at an-hoa, to one, two"),
        "{said}"
    );
    for event in ["fired", "resolved"] {
        assert!(said.contains(&format!("{event}: written in ")), "{said}");
        for channel in ["one", "two"] {
            assert!(said.contains(&format!("{event}: {channel} confirmed ")), "{said}");
        }
    }
    let mut told: Vec<String> =
        fs::read_to_string(folder.path().join("told")).unwrap().lines().map(str::to_owned).collect();
    told.sort();
    let line = |event: &str| format!("{event} 1 link_down an-hoa wan");
    assert_eq!(told, [line("fired"), line("fired"), line("resolved"), line("resolved")]);

    let answer = collector.client.get(collector.url("/api/v1/alerts?from=-1h")).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let rows = answer["alerts"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{answer}");
    assert_eq!((&rows[0]["drill"], rows[0]["until"].is_i64()), (&true.into(), true));
    assert!(rows[0]["why"].as_str().unwrap().contains("diễn tập"), "{answer}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_not_confirmed_says_by_which_channel_and_why_and_is_ended_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let alerts = "alerts:\n  channels:\n    - {name: good, command: {run: [TELL]}}\n    - {name: bad, command: {run: [/bin/false]}}\n";
    let config = office(folder.path(), alerts).await;
    let (code, said) = drill(folder.path(), &["an-hoa", "--timeout", "300ms"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("fired: good not confirmed within 300 ms, not tried yet: the server does not run"),
        "{said}"
    );
    assert_eq!(open_drills(&config).await, 0);

    // A channel that has failed pauses; this one has not.
    let folder = tempfile::tempdir().unwrap();
    let config = office(folder.path(), alerts).await;
    let collector = Running::begin(config.clone()).await;
    let (code, said) = drill(folder.path(), &["an-hoa", "--timeout", "3s"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("fired: good confirmed") && said.contains("resolved: good confirmed"), "{said}");
    assert!(said.contains("fired: bad not confirmed within 3000 ms, tried "), "{said}");
    collector.stop().await;
    assert_eq!(open_drills(&config).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_was_killed_is_ended_by_the_next_and_one_that_is_interrupted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let config = office(folder.path(), TWO).await;
    let begun = |folder: &Path| {
        let mut child =
            command(folder, &["an-hoa", "--timeout", "1h"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("fired: written in")));
        child
    };
    let mut killed = begun(folder.path());
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(open_drills(&config).await, 1);

    let collector = Running::begin(config.clone()).await;
    let (code, said) = drill(folder.path(), &["an-hoa"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("was left open: it is ended"), "{said}");
    collector.stop().await;
    assert_eq!(open_drills(&config).await, 0);

    let mut broken = begun(folder.path());
    let pid = nix::unistd::Pid::from_raw(i32::try_from(broken.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    for _ in 0..200 {
        if open_drills(&config).await == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(broken.wait().unwrap().code(), Some(1));
    assert_eq!(open_drills(&config).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_was_killed_is_ended_by_the_server_when_its_time_is_over_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = office(folder.path(), TWO).await;
    let store = SqliteStore::open(&config.database()).await.unwrap();
    let state = wan_collector::load_read_only(config.clone()).await.unwrap();
    let begun = |ago: u64, rule: Rule| {
        let at = clock::now().minus(Duration::from_secs(ago));
        let (province, site) = (Province::of(&state, at), "an-hoa".parse().unwrap());
        Drill::begin(&province, &site, rule, Duration::from_secs(60)).unwrap()
    };
    // Killed a while ago, and one whose beginner may be there yet.
    let (left, goes_on) = (begun(600, Rule::SiteOffline), begun(1, Rule::LinkDown));
    for drill in [&left, &goes_on] {
        store.write_alerts(&drill.changes(drill.channels(&config))).await.unwrap();
    }
    assert_eq!(open_drills(&config).await, 2);
    let collector = Running::begin(config.clone()).await;
    let ended = || {
        let told = fs::read_to_string(folder.path().join("told")).unwrap_or_default();
        let ends = told.lines().filter(|line| *line == "resolved 1 site_offline an-hoa ").count();
        (ends, told)
    };
    for _ in 0..600 {
        if ended().0 == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ended().0, 2, "by both channels: {}", ended().1);
    // The beginner was only slow, and writes the same end once more.
    let number = store.newest_notice().await.unwrap();
    let end = left.ended(clock::now());
    store.write_alerts(&end.changes(left.channels(&config))).await.unwrap();
    assert_eq!(store.newest_notice().await.unwrap(), number, "nothing new is to be told");
    store.close().await;
    collector.stop().await;
    let open = SqliteStore::open(&config.database()).await.unwrap();
    let ids: Vec<_> =
        open.alerts(&WantedAlerts::open()).await.unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(ids, [goes_on.record.id]);
    open.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_cannot_be_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = office(folder.path(), TWO).await;
    for (arguments, code, expected) in [
        (&["an-hao"][..], 1, "did you mean an-hoa?"),
        (&["an-hoa", "--rule", "site_ofline"], 1, "did you mean site_offline?"),
        (&["an-hoa", "--rule", "collector_blind"], 1, "expected a rule about a site or a link"),
        (&["no-links", "--rule", "link_down"], 1, "the register has no link of this one"),
        (&["an-hoa", "--timeout", "2h"], 1, "--timeout: found \"2h\""),
        (&["an-hoa", "--timeout", "0s"], 1, "--timeout: found \"0s\""),
        (&[], 2, "SITE"),
    ] {
        let (found, said) = drill(folder.path(), arguments).await;
        assert_eq!(found, code, "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let other = tempfile::tempdir().unwrap();
    office(other.path(), "").await;
    let (code, said) = drill(other.path(), &["an-hoa"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("no channel would be told of this"), "{said}");
    let store = SqliteStore::open(&config.database()).await.unwrap();
    assert_eq!(store.newest_notice().await.unwrap(), 0);
    assert!(store.alerts(&WantedAlerts { open: false, ..WantedAlerts::open() }).await.unwrap().is_empty());
}
