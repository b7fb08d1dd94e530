//! `/metrics` as Prometheus' own checker reads it, and its figures against those of the API.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Folder, HOUR, START};
use wan_collector::api::common::Rolling;
use wan_collector::incidents::Teller;
use wan_collector::metrics;
use wan_collector::province::Province;
use wan_collector::store::sqlite::SqliteStore;
use wan_wire::UnixMillis;

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap();
    let text = metrics::exposition(&state, UnixMillis(START + 20 * HOUR));
    assert!(
        text.contains("wan_link_uptime_ratio{site=\"xa-a\",link=\"wan\",kind=\"wan\",window=\"24h\"} 0.95"),
        "{text}"
    );
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: install Debian's package prometheus, or run ./tests/run as root, which does");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

/// What is exposed of `wan_link_*` over windows, by its labels.
fn over_windows(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("wan_link_") && line.contains("window=")).collect()
}

#[test]
fn the_figures_over_windows_are_those_of_the_newest_pass_and_exactly_those_of_the_api_then() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = Arc::new(runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap());
    let now = UnixMillis(START + 20 * HOUR);
    let derived = metrics::exposition(&state, now);
    let store = runtime.block_on(SqliteStore::open(&folder.config().database())).unwrap();
    let pass = |now| runtime.block_on(Teller::default().pass(&state, &store, now)).unwrap();
    pass(now);
    let told = metrics::exposition(&state, now);
    assert_eq!(over_windows(&told), over_windows(&derived), "a scrape derives the same by itself");

    let province = Province::of(&state, now);
    let site = province.site(&"xa-a".parse().unwrap()).unwrap();
    let mut compared = 0;
    for link in site.seen_links() {
        for rolling in Rolling::ALL {
            let window = rolling.window(now, &province.config().timezone);
            let uptime = province.uptime(&site, Some(&link.name), window).unwrap();
            let kind = link.name.kind().as_str();
            let labels = format!("{{site=\"xa-a\",link=\"{}\",kind=\"{kind}\"", link.name);
            let mut same = |name: &str, more: &str, value: Option<f64>| {
                let start = format!("{name}{labels}{more},window=\"{}\"}} ", rolling.as_str());
                let found: Vec<f64> =
                    told.lines().filter_map(|line| line.strip_prefix(&start)?.parse().ok()).collect();
                assert_eq!(found, Vec::from_iter(value), "{start}");
                compared += found.len();
            };
            same("wan_link_uptime_ratio", "", uptime.uptime);
            same("wan_link_availability_ratio", "", uptime.availability);
            same("wan_link_observed_ratio", "", uptime.observed_share);
            let down = Some(uptime.durations.down_ms).filter(|down| *down > 0);
            #[allow(clippy::cast_precision_loss, reason = "an hour")]
            same("wan_link_downtime_seconds", ",cause=\"carrier\"", down.map(|down| down as f64 / 1000.0));
        }
    }
    assert_eq!(
        compared,
        3 * 4 * 3 + 4,
        "three ratios of three links, and the hour that one was down, in each window"
    );

    // What happens between two passes shows with the next one; and where none works, a scrape derives anew.
    let later = now.plus_millis(60_000);
    assert_eq!(over_windows(&metrics::exposition(&state, later)), over_windows(&told));
    let late = now.plus_millis(HOUR);
    assert_ne!(over_windows(&metrics::exposition(&state, late)), over_windows(&told));
    pass(later);
    assert_ne!(over_windows(&metrics::exposition(&state, later)), over_windows(&told));
}
