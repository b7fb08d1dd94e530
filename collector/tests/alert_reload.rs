//! The `alerts` section of the configuration, changed under a running collector.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod notices;
mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use running::Running;
use serde_json::Value;
use wan_collector::alert::Event;
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;

/// For what takes a second or two, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

struct Office {
    folder: tempfile::TempDir,
    collector: Running,
    store: SqliteStore,
}

/// A program that notes the events that it is told.
fn teller(folder: &Path, name: &str) -> PathBuf {
    let (script, told) = (folder.join(format!("{name}.sh")), folder.join(name));
    let text = format!("#!/bin/sh\ncat >/dev/null\necho \"$WANWATCH_ID\" >> {}\n", told.display());
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

impl Office {
    async fn new(channels: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), channels);
        let config = Config::load(&folder.path().join("collector.yaml")).unwrap();
        let database = config.database();
        fs::create_dir_all(&config.data).unwrap();
        let collector = Running::begin(config).await;
        let store = SqliteStore::open(&database).await.unwrap();
        Self { folder, collector, store }
    }

    async fn push(&self, alert: i64, channel: &str) -> String {
        let notice = notices::notice(alert, Event::Fired, clock::now());
        notices::push(&self.store, &[(notice.clone(), channel.parse().unwrap())]).await;
        notice.id.to_string()
    }

    /// What a channel's program was told.
    fn told(&self, channel: &str) -> Vec<String> {
        let told = fs::read_to_string(self.folder.path().join(channel)).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }

    async fn get(&self, path: &str) -> String {
        self.collector.client.get(self.collector.url(path)).send().await.unwrap().text().await.unwrap()
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("it did not happen: {what}"));
    }

    async fn metric(&self, line: &str) -> bool {
        self.get("/metrics").await.lines().any(|found| found == line)
    }

    async fn stop(self) {
        self.store.close().await;
        self.collector.stop().await;
    }
}

/// Replaces the configuration by one of these channels; `away` cannot be told anything.
fn write(folder: &Path, channels: &[&str]) {
    let mut text = format!("data: {}\nalerts:\n  channels:\n", folder.join("data").display());
    for channel in channels {
        let program = if *channel == "away" { PathBuf::from("/bin/false") } else { teller(folder, channel) };
        text.push_str(&format!("    - {{name: {channel}, command: {{run: [{}]}}}}\n", program.display()));
    }
    replace(folder, &text);
}

fn replace(folder: &Path, text: &str) {
    fs::write(folder.join("new"), text).unwrap();
    fs::rename(folder.join("new"), folder.join("collector.yaml")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_come_and_go_without_a_restart_and_what_waits_for_one_that_is_gone_is_given_up() {
    let office = Office::new(&["one", "away"]).await;
    let first = office.push(1, "one").await;
    office.until("the first is told", async |office| office.told("one") == [first.clone()]).await;
    for alert in 1..=3 {
        office.push(alert, "away").await;
    }
    let waits = "wan_collector_outbox_pending{channel=\"away\"} 3";
    office.until("three wait", async |office| office.metric(waits).await).await;

    write(office.folder.path(), &["one", "two"]);
    let gone = "wan_collector_notices_total{channel=\"away\",result=\"refused\"} 3";
    office.until("they are given up", async |office| office.metric(gone).await).await;
    office
        .until("its gauge is gone", async |office| {
            !office.get("/metrics").await.contains("outbox_pending{channel=\"away\"}")
        })
        .await;
    let (second, third) = (office.push(4, "two").await, office.push(4, "one").await);
    office.until("the new one tells", async |office| office.told("two") == [second.clone()]).await;
    office
        .until("the old one too", async |office| office.told("one") == [first.clone(), third.clone()])
        .await;
    let ids: Vec<_> = office.store.firing_notices(&"one".parse().unwrap(), 10).await.unwrap();
    assert_eq!(ids.len(), 2, "nothing of a channel that stays is lost");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_told_everywhere_and_alerts_go_on_until_it_is_mended() {
    let office = Office::new(&["one"]).await;
    let good = "wan_collector_alert_config_good 1";
    office.until("it is good", async |office| office.metric(good).await).await;
    let bad = "alerts:\n  channels:\n    - {name: one, comand: {run: [/bin/true]}}\n";
    replace(office.folder.path(), bad);
    office
        .until("the metric says so", async |office| office.metric("wan_collector_alert_config_good 0").await)
        .await;
    let answer: Value = serde_json::from_str(&office.get("/api/v1/alerts").await).unwrap();
    let told: Vec<&str> =
        answer["config_mistakes"].as_array().unwrap().iter().map(|told| told.as_str().unwrap()).collect();
    let found =
        |part: &str| told.iter().any(|told| told.contains("collector.yaml:3:") && told.contains(part));
    assert!(found("comand") && found("one of alertmanager"), "{told:?}");
    let id = office.push(1, "one").await;
    office.until("it is told as before", async |office| office.told("one") == [id.clone()]).await;
    write(office.folder.path(), &["one"]);
    office.until("all is well", async |office| office.metric(good).await).await;
    let answer: Value = serde_json::from_str(&office.get("/api/v1/alerts").await).unwrap();
    assert_eq!(answer["config_mistakes"], serde_json::json!([]));
    office.stop().await;
}
