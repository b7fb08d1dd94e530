//! `wan-collector report` as a user runs it, on a data folder that the store has written.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
mod register;

use assert_cmd::Command;
use common::{Folder, HOUR, START};
use wan_collector::ledger::span::Span;
use wan_collector::quality::bucket::Bucket;
use wan_collector::quality::codec::encode_day;
use wan_collector::quality::hour::{Day, HourTotal};
use wan_collector::quality::{RowKey, Rows, Stream};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{Checkpoint, EvidenceUpdate, Series, Store};
use wan_wire::{Outcome, ProbeKind, RoundFacts, Rtt, UnixMillis};

impl Folder {
    fn report(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::cargo_bin("wan-collector").unwrap();
        let config = self.path();
        command.env_remove("WANWATCH_CONFIG").args(["--config", &config, "report"]).args(arguments).assert()
    }

    fn kept(&self, name: &str) -> String {
        let folder = std::path::PathBuf::from(self.path());
        folder.with_file_name(name).display().to_string()
    }
}

fn output(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

#[test]
fn a_report_is_kept_verified_and_restated_when_the_backlog_comes() {
    let folder = Folder::prepare();
    let files = ["xlsx", "html", "csv", "json"].map(|format| (format, folder.kept(&format!("r.{format}"))));
    for (format, file) in &files {
        folder.report(&["--month", "2025-11", "--format", format, "--output", file]).success();
        let verified = output(&folder.report(&["--verify", file]).success());
        assert!(verified.contains("all as the ledger has them"), "{verified}");
    }
    let before = output(&folder.report(&["--month", "2025-11", "--format", "json"]).success());
    assert!(!before.contains("\"restated\""), "nothing has changed: {before}");
    // A report tells whole seconds and is restated by what is made in a later one; all of the above may have gone by within one.
    std::thread::sleep(std::time::Duration::from_millis(1100));

    // The hour that was missing behind the twentieth comes, and the site was down in it.
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(&folder.config().database()).await.unwrap();
        let id = || "xa-a".parse().unwrap();
        let series = Series { site: id(), link: "wan".parse().unwrap(), vantage: id() };
        let series = store.series_ids(&[series]).await.unwrap()[0];
        let (start, end) = (UnixMillis(START + 20 * HOUR), UnixMillis(START + 21 * HOUR));
        let spans = vec![Span { start, end, outcome: Outcome::Down }];
        let updates = [EvidenceUpdate { series, dirty_from: start, spans }];
        store.checkpoint(Checkpoint { updates: &updates, ..Checkpoint::default() }).await.unwrap();
        store.close().await;
    });
    let after = output(&folder.report(&["--month", "2025-11", "--format", "csv", "--lang", "en"]).success());
    assert!(after.contains("Restated since") && after.contains("Time down,1:00:00,2:00:00"), "{after}");
    for (format, file) in &files {
        let differs = output(&folder.report(&["--verify", file]).code(1));
        assert!(differs.contains("Thời gian mất kết nối") && differs.contains("xa-a"), "{format}: {differs}");
    }
    let json = output(&folder.report(&["--verify", &files[0].1, "--json"]).code(1));
    let differences: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(differences.iter().any(|one| one["row"] == "xa-a" && one["column"] == "Thời gian mất kết nối"));
}

/// Writes what one hour of the WAN showed, in the day that begins at `START` by UTC and the hour behind it that is `hour`.
fn measure(folder: &Folder, hour: u8, rtt: f64) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = SqliteStore::open(&folder.config().database()).await.unwrap();
        let stream = Stream {
            site: "xa-a".parse().unwrap(),
            link: "wan".parse().unwrap(),
            vantage: "xa-a".parse().unwrap(),
            probe: ProbeKind::Icmp,
            target: "192.0.2.1".to_owned(),
        };
        let stream = store.quality_stream_ids(&[stream]).await.unwrap()[0];
        let rtt = Some(Rtt { min: rtt, median: rtt, mean: rtt, max: rtt });
        let bucket = Bucket::of(&RoundFacts { sent: 5, received: 4, rtt, fault: false }).unwrap();
        let day = Day([(hour, HourTotal { rounds: 1, bucket })].into());
        let row = (RowKey { number: (START + 24 * HOUR) / (24 * HOUR), stream }, encode_day(&day));
        store.write_quality(&Rows { hours: vec![row], ..Rows::default() }).await.unwrap();
        store.close().await;
    });
}

#[test]
fn quality_is_in_every_format_and_an_hour_that_is_other_now_is_named() {
    let folder = Folder::prepare();
    measure(&folder, 3, 0.012);
    let files = ["xlsx", "html", "csv", "json"].map(|format| (format, folder.kept(&format!("q.{format}"))));
    for (format, file) in &files {
        folder
            .report(&["--month", "2025-11", "--lang", "en", "--format", format, "--output", file])
            .success();
        let verified = output(&folder.report(&["--verify", file]).success());
        assert!(verified.contains("all as the ledger has them"), "{format}: {verified}");
    }
    let csv = std::fs::read_to_string(&files[2].1).unwrap();
    assert!(csv.contains(",wan,WAN,,1,20.0000%,20.0000%,12.00,"), "{csv}");
    measure(&folder, 3, 0.015);
    for (format, file) in &files {
        let differs = output(&folder.report(&["--verify", file]).code(1));
        assert!(differs.contains("Mean RTT (ms)") && differs.contains("xa-a / wan"), "{format}: {differs}");
    }
    // Figures of another month are none of this one.
    let other = output(&folder.report(&["--month", "2025-10", "--format", "json"]).success());
    assert!(!other.contains("\"quality\""), "{other}");
}

#[test]
fn wrong_questions_and_files_are_answered_with_what_was_expected() {
    let folder = Folder::prepare();
    let cases = [
        (vec!["--month", "2025-13"], "a month such as 2026-10"),
        (vec!["--month", "2199-01"], "a month that has begun"),
        (vec!["--lang", "fr"], "vi or en"),
        (vec!["--planned", "never"], "exclude, up or ignore"),
        (vec!["--verify", "/nowhere/r.xlsx"], "cannot read /nowhere/r.xlsx"),
    ];
    for (arguments, expected) in cases {
        let refused = folder.report(&arguments).code(1);
        let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let other = folder.kept("other.json");
    std::fs::write(&other, "{\"tables\": []}").unwrap();
    let refused = folder.report(&["--verify", &other]).code(1);
    assert!(String::from_utf8_lossy(&refused.get_output().stderr).contains("of which month it is"));
}
