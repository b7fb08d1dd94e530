//! `/metrics` as Prometheus' own checker reads it, and its figures against those of the API.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod common;
mod register;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Folder, HOUR, START};
use wan_collector::api::common::Rolling;
use wan_collector::incidents::Teller;
use wan_collector::inventory::Location;
use wan_collector::inventory::diff::Change;
use wan_collector::metrics;
use wan_collector::province::Province;
use wan_collector::state::State;
use wan_collector::store::Store;
use wan_collector::store::sqlite::SqliteStore;
use wan_wire::{Metric, UnixMillis};

fn exposition(state: &State, now: UnixMillis) -> String {
    let scrape = metrics::scrape(state, now, &|| true).unwrap();
    String::from_utf8(scrape.text().collect::<Vec<_>>().concat()).unwrap()
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap();
    let text = exposition(&state, UnixMillis(START + 20 * HOUR));
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
    let derived = exposition(&state, now);
    let store = runtime.block_on(SqliteStore::open(&folder.config().database())).unwrap();
    let pass = |now| runtime.block_on(Teller::default().pass(&state, &store, now)).unwrap();
    pass(now);
    let told = exposition(&state, now);
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
    assert_eq!(over_windows(&exposition(&state, later)), over_windows(&told));
    let late = now.plus_millis(HOUR);
    assert_ne!(over_windows(&exposition(&state, late)), over_windows(&told));
    pass(later);
    assert_ne!(over_windows(&exposition(&state, later)), over_windows(&told));
}

/// The folder with a contract for the line that was down, and a place.
fn with_contract() -> Folder {
    let folder = Folder::prepare();
    let mut text = std::fs::read_to_string(folder.path()).unwrap();
    text += "contracts: [{id: HĐ-12, carrier: VNPT, kind: wan, uptime: 99%}]\n";
    std::fs::write(folder.path(), text).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&folder.config().database()).await.unwrap();
        let snapshot = store.snapshot().await.unwrap();
        let before = snapshot.register.get(&"xa-a".parse().unwrap()).unwrap().clone();
        let mut after = before.clone();
        after.links[0].contract = Some("HĐ-12".to_owned());
        after.location = Some(Location { latitude: 11.31, longitude: 106.125 });
        store.change_register(snapshot.revision, &[Change::Changed { before, after }]).await.unwrap();
    });
    folder
}

#[test]
fn a_contract_s_month_is_told_as_the_monthly_report_counts_it() {
    let folder = with_contract();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap();
    let text = exposition(&state, UnixMillis(START + 20 * HOUR));
    let labels = "site=\"xa-a\",link=\"wan\",kind=\"wan\",carrier=\"VNPT\",contract=\"HĐ-12\"";
    for line in [
        format!("wan_contract_uptime_ratio{{{labels}}} 0.95"),
        format!("wan_contract_uptime_bound_ratio{{{labels},bound=\"high\"}} 0.95"),
        format!("wan_contract_target_ratio{{{labels}}} 0.99"),
        format!("wan_contract_time_seconds{{{labels},state=\"kept\"}} 68400"),
        format!("wan_contract_time_seconds{{{labels},state=\"charged\"}} 3600"),
        format!("wan_contract_time_seconds{{{labels},state=\"excused\"}} 0"),
        format!("wan_contract_time_seconds{{{labels},state=\"undecided\"}} 0"),
        format!("wan_contract_standing{{{labels},standing=\"missed\"}} 1"),
        "wan_site_latitude_degrees{site=\"xa-a\"} 11.31".to_owned(),
        "wan_site_longitude_degrees{site=\"xa-a\"} 106.125".to_owned(),
        "wan_site_up{site=\"xa-a\"} 1".to_owned(),
        "wan_site_uptime_ratio{site=\"xa-a\",window=\"24h\"} 0.95".to_owned(),
        "wan_site_downtime_seconds{site=\"xa-a\",cause=\"carrier\",window=\"month\"} 3600".to_owned(),
    ] {
        assert!(text.lines().any(|have| have == line), "no {line} in\n{text}");
    }
    assert_eq!(text.matches("wan_contract_uptime_ratio{").count(), 1, "other links are under none");
}

#[test]
fn an_incident_is_told_while_it_is_open_and_not_after() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = Arc::new(runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap());
    let store = runtime.block_on(SqliteStore::open(&folder.config().database())).unwrap();
    let mut teller = Teller::default();
    let mut open = |now| {
        runtime.block_on(teller.pass(&state, &store, now)).unwrap();
        let text = exposition(&state, now);
        let name = "wan_incident_start_timestamp_seconds{site=\"xa-a\"";
        let found = text.lines().filter_map(|line| line.strip_prefix(name));
        Vec::from_iter(found.map(str::to_owned))
    };
    let start = (START + 4 * HOUR) / 1000;
    assert_eq!(
        open(UnixMillis(START + 5 * HOUR)),
        [
            format!(",kind=\"outage\",cause=\"carrier\"}} {start}"),
            format!(",link=\"wan\",kind=\"outage\",cause=\"carrier\"}} {start}")
        ]
    );
    assert_eq!(open(UnixMillis(START + 20 * HOUR)), [""; 0]);
}

#[test]
fn what_is_exposed_has_the_labels_of_the_table_and_no_others() {
    let folder = with_contract();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = Arc::new(runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap());
    let store = runtime.block_on(SqliteStore::open(&folder.config().database())).unwrap();
    let now = UnixMillis(START + 5 * HOUR);
    runtime.block_on(Teller::default().pass(&state, &store, now)).unwrap();
    let text = exposition(&state, now);
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("wan_")) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let parts = ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part));
        let name = if Metric::from_bytes(name.as_bytes()).is_some() { name } else { parts.unwrap() };
        let metric = Metric::from_bytes(name.as_bytes()).unwrap();
        let known: Vec<&str> = metric.labels().iter().map(|label| label.as_str()).chain(["le"]).collect();
        let names = rest.split("=\"").filter_map(|part| part.rsplit(['{', ',']).next());
        for label in
            names.filter(|name| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'))
        {
            assert!(label.is_empty() || known.contains(&label), "{label} of {line}");
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}
