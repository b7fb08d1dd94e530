//! Incidents as a running collector tells them: derived from what agents push, restated when the backlog says more, the same after a
//! restart, and for the API and the command line alike.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod running;

use std::path::Path;
use std::time::Duration;

use running::Running;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use wan_collector::config::Config;
use wan_collector::inventory::Register;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::read::{File, Format, read};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Store as _};
use wan_wire::{
    Metric, ProbeKind, Protocol, RequestBuilder, Round, RoundFacts, Rtt, UnixMillis, round::encode_round,
};

const REGISTER: &str = "\
sites:
  - {id: an-hoa, name: Xã An Hòa, tier: commune, branch: state, links: {wan: {carrier: vnpt}}}
  - {id: centre, name: Trung tâm, tier: province, branch: state, watches: all}
";

fn config(data: &Path) -> Config {
    let text = format!("data: {}\nplan: {{required: [wan]}}\n", data.display());
    let file = data.join("collector.yaml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).unwrap()
}

async fn seed(config: &Config) {
    let store = SqliteStore::open(&config.database()).await.unwrap();
    let file = File { name: "sites.yaml", bytes: REGISTER.as_bytes(), format: Format::Yaml };
    let sites = read(&[file], &config.plan, &Register::default()).unwrap();
    let changes: Vec<Change> = sites.into_iter().map(Change::Added).collect();
    let revision = store.change_register(0, &changes).await.unwrap();
    let secret = |site: &str| AgentSecret {
        site: site.parse().unwrap(),
        hash: Sha256::digest(format!("wan_secret-of-{site}")).into(),
        issued: UnixMillis(0),
        revoked: None,
    };
    store.issue_secrets(revision, &["an-hoa", "centre"].map(secret)).await.unwrap();
    store.close().await;
}

/// Rounds of half a minute over minutes before `now`.
fn rounds(now: UnixMillis, link: &str, from: i64, to: i64, received: u32, about: Option<&str>) -> Vec<Round> {
    let rtt = Rtt { min: 0.010, median: 0.011, mean: 0.012, max: 0.020 };
    let round = |half_minute: i64| Round {
        link: link.parse().unwrap(),
        probe: ProbeKind::Icmp,
        target: "10.72.3.1".into(),
        about: about.map(|site| site.parse().unwrap()),
        end: now.plus_millis(half_minute * 30_000),
        interval: Duration::from_secs(30),
        facts: RoundFacts { sent: 5, received, rtt: (received > 0).then_some(rtt), fault: false },
    };
    (-2 * from + 1..=-2 * to).map(round).collect()
}

async fn push(collector: &Running, site: &str, rounds: &[Round], facts: &[(Metric, f64)], now: UnixMillis) {
    let mut request = RequestBuilder::new(Protocol::V2);
    for round in rounds {
        encode_round(round, &mut request).unwrap();
    }
    for (metric, value) in facts {
        request.sample(*metric, &[], now, *value).unwrap();
    }
    let answer = collector
        .client
        .post(collector.url("/api/v1/write"))
        .header("content-type", Protocol::V2.content_type())
        .header("content-encoding", "snappy")
        .bearer_auth(format!("wan_secret-of-{site}"))
        .body(request.finish_compressed().unwrap())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

async fn get(collector: &Running, url: &str) -> Value {
    let answer = collector.client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// The outages of a link, once there is one that `fits`: incidents are told every few seconds.
async fn outages(collector: &Running, query: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    for _ in 0..600 {
        let url = collector.url(&format!("/api/v1/incidents?lang=en&kind=outage&{query}"));
        let answer = get(collector, &url).await;
        let found = answer["incidents"].as_array().unwrap().clone();
        if found.iter().any(&fits) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no such outage was told: {query}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_restated_by_the_backlog_and_the_same_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path());
    seed(&config).await;
    let now = UnixMillis(wan_collector::clock::now().0 / 1000 * 1000);
    let collector = Running::begin(config.clone()).await;

    // The WAN is cut for three minutes; the agent pushes again, and its backlog is still to come.
    let mut seen = rounds(now, "wan", 20, 10, 5, Some("an-hoa"));
    seen.extend(rounds(now, "wan", 10, 7, 0, Some("an-hoa")));
    seen.extend(rounds(now, "wan", 7, 0, 5, Some("an-hoa")));
    push(&collector, "centre", &seen, &[], now).await;
    let mut own = rounds(now, "wan", 20, 10, 5, None);
    own.extend(rounds(now, "wan", 7, 0, 5, None));
    own.extend(rounds(now, "lan", 20, 10, 5, None));
    own.extend(rounds(now, "lan", 7, 0, 5, None));
    push(&collector, "an-hoa", &own, &[], now).await;
    let first = outages(&collector, "link=wan", |_| true).await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!((&first[0]["cause"], &first[0]["rule"]), (&"unknown".into(), &"nobody_at_site".into()));
    assert_eq!(first[0]["bad_ms"], 180_000);
    assert_eq!(first[0]["restatements"], Value::Array(Vec::new()));

    // The backlog: the gateway answered all the time.
    let mut backlog = rounds(now, "wan", 10, 7, 0, None);
    backlog.extend(rounds(now, "lan", 10, 7, 5, None));
    push(&collector, "an-hoa", &backlog, &[], now).await;
    let told = outages(&collector, "link=wan", |row| row["cause"] == "carrier").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["id"], first[0]["id"], "it is the same incident");
    assert_eq!(told[0]["rule"], "both_sides");
    assert_eq!(told[0]["why"], "the gateway answers; the WAN target is unreachable from both sides");
    let restated = &told[0]["restatements"];
    assert_eq!(restated.as_array().unwrap().len(), 1, "{restated}");
    assert_eq!(restated[0]["because"], "backlog");
    assert_eq!(
        (&restated[0]["was"]["cause"], &restated[0]["now"]["cause"]),
        (&"unknown".into(), &"carrier".into())
    );
    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let downtime = "wan_link_downtime_seconds{site=\"an-hoa\",link=\"wan\",kind=\"wan\",carrier=\"vnpt\",cause=\"carrier\",window=\"24h\"} 180";
    assert!(metrics.lines().any(|line| line == downtime), "{metrics}");
    assert!(metrics.lines().any(|line| line == "wan_incidents_open{kind=\"outage\"} 0"), "{metrics}");

    let url = collector.url(&format!("/api/v1/incidents/{}?lang=en", told[0]["id"].as_str().unwrap()));
    let one = get(&collector, &url).await;
    assert_eq!(one, told[0]);
    collector.stop().await;

    let file = data.path().join("collector.yaml");
    let output = assert_cmd::Command::cargo_bin("wan-collector")
        .unwrap()
        .args(["--config", file.to_str().unwrap(), "incidents", "--kind", "outage", "--cause", "carrier"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Xã An Hòa") && text.contains("3 min") && text.contains("(restated)"), "{text}");

    let collector = Running::begin(config).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(outages(&collector, "link=wan", |_| true).await, told, "a restart tells nothing anew");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_is_told_by_the_boot_in_the_gap() {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path());
    seed(&config).await;
    let now = UnixMillis(wan_collector::clock::now().0 / 1000 * 1000);
    let collector = Running::begin(config).await;
    let mut seen = rounds(now, "wan", 20, 10, 5, Some("an-hoa"));
    seen.extend(rounds(now, "wan", 10, 4, 0, Some("an-hoa")));
    seen.extend(rounds(now, "wan", 4, 0, 5, Some("an-hoa")));
    push(&collector, "centre", &seen, &[], now).await;
    push(&collector, "an-hoa", &rounds(now, "wan", 20, 10, 5, None), &[], now).await;
    let minutes_ago = |minutes: f64| now.0 as f64 / 1000.0 - minutes * 60.0;
    let facts =
        [(Metric::AgentBootTimeSeconds, minutes_ago(4.5)), (Metric::AgentStartTimeSeconds, minutes_ago(4.1))];
    push(&collector, "an-hoa", &rounds(now, "wan", 4, 0, 5, None), &facts, now).await;
    let told = outages(&collector, "link=wan", |row| row["cause"] == "power").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["rule"], &told[0]["bad_ms"]), (&"boot_in_gap".into(), &360_000.into()));
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_says_why() {
    let data = tempfile::tempdir().unwrap();
    let config = config(data.path());
    seed(&config).await;
    let collector = Running::begin(config).await;
    let cases = [
        ("incidents?cause=magic", 400, "expected one of carrier, isp"),
        ("incidents?kind=fire", 400, "expected outage, degradation or gap"),
        ("incidents?open=perhaps", 400, "expected true or false"),
        ("incidents?limit=0", 400, "expected a number from 1 to 50000"),
        ("incidents?lang=fr", 400, "expected vi or en"),
        ("incidents?site=an-hao", 404, "did you mean an-hoa?"),
        ("incidents?colour=red", 400, "colour"),
        ("incidents?from=2999-01-01", 400, "a time before now"),
        ("incidents/0123456789abc", 404, "the id of an incident"),
        ("incidents/%00", 404, "the id of an incident"),
    ];
    for (path, status, says) in cases {
        let answer = collector.client.get(collector.url(&format!("/api/v1/{path}"))).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(says), "{path}: {text}");
    }
    let empty = get(&collector, &collector.url("/api/v1/incidents?open=true")).await;
    assert_eq!(empty["incidents"], Value::Array(Vec::new()));
    collector.stop().await;
}
