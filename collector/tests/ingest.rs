//! The write endpoint and the engine behind it, over real HTTP, on a real data folder.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod register;
mod running;

use std::path::Path;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use running::Running as Collector;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wan_collector::config::Config;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::{Site, Watches};
use wan_collector::ledger::timeline::{State, Window};
use wan_collector::province::Province;
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Alive, Checkpoint, Store as _};
use wan_wire::{
    Label, LinkName, Metric, ProbeKind, Protocol, RequestBuilder, Round, RoundFacts, Rtt, Sample, SiteId,
    UnixMillis, round::encode_round,
};

fn config(data: &Path) -> Config {
    Config { data: data.to_owned(), checkpoint_interval: Duration::from_millis(200), ..Config::default() }
}

fn site(id: &str, watches: Watches) -> Site {
    Site { watches, ..register::site(id, &format!("Ủy ban nhân dân {id}")) }
}

fn secret(site: &str) -> AgentSecret {
    let hash = Sha256::digest(secret_text(site)).into();
    AgentSecret { site: site.parse().unwrap(), hash, issued: UnixMillis(0), revoked: None }
}

fn secret_text(site: &str) -> String {
    format!("wan_secret-of-{site}")
}

/// A register of three sites, of which `centre` may watch `an-hoa`.
async fn seed(data: &Path) {
    let store = SqliteStore::open(&config(data).database()).await.unwrap();
    let watches = Watches::Only(["an-hoa".parse().unwrap()].into());
    let sites = [site("an-hoa", Watches::None), site("binh-minh", Watches::None), site("centre", watches)];
    let changes: Vec<Change> = sites.map(Change::Added).into();
    let revision = store.change_register(store.revision().await.unwrap(), &changes).await.unwrap();
    let secrets = ["an-hoa", "binh-minh", "centre"].map(secret);
    store.issue_secrets(revision, &secrets).await.unwrap();
    store.close().await;
}

impl Collector {
    async fn start(data: &Path) -> Self {
        Self::begin(config(data)).await
    }

    async fn push(&self, site: &str, request: RequestBuilder) -> Response {
        let protocol = request.protocol();
        self.post(Some(&secret_text(site)), protocol.content_type(), request.finish_compressed().unwrap())
            .await
    }

    async fn post(&self, secret: Option<&str>, content_type: &str, body: Vec<u8>) -> Response {
        let mut request = self.client.post(self.url("/api/v1/write")).header("content-type", content_type);
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        request.header("content-encoding", "snappy").body(body).send().await.unwrap()
    }
}

fn round(link: &str, end: UnixMillis, received: u32, about: Option<&str>) -> Round {
    let rtt = Rtt { min: 0.010, median: 0.011, mean: 0.012, max: 0.020 };
    Round {
        link: link.parse().unwrap(),
        probe: ProbeKind::Icmp,
        target: "10.72.3.1".into(),
        about: about.map(|site| site.parse().unwrap()),
        end,
        interval: Duration::from_secs(5),
        facts: RoundFacts { sent: 5, received, rtt: (received > 0).then_some(rtt), fault: false },
    }
}

fn request(protocol: Protocol, rounds: &[Round]) -> RequestBuilder {
    let mut request = RequestBuilder::new(protocol);
    for round in rounds {
        encode_round(round, &mut request).unwrap();
    }
    request
}

/// The present, on a whole second, some time ago: rounds end within the past.
fn base() -> UnixMillis {
    UnixMillis(wan_collector::clock::now().0 / 1000 * 1000 - 60_000)
}

/// What a data folder says of a link, spans as (start − base, end − base, state) in seconds; unknown time left out.
async fn timeline(data: &Path, base: UnixMillis, site: &str, link: &str) -> Vec<(i64, i64, State)> {
    let state = wan_collector::load_read_only(config(data)).await.unwrap();
    let province = Province::of(&state, base.plus_millis(60_000));
    let id: SiteId = site.parse().unwrap();
    let link: LinkName = link.parse().unwrap();
    let window = Window::new(base.plus_millis(-60_000), base.plus_millis(60_000));
    let site = province.site(&id).unwrap();
    let Some(timeline) = province.timeline(&site, Some(&link), window) else { return Vec::new() };
    let known = timeline.intervals.iter().filter(|interval| !matches!(interval.state, State::Unknown(_)));
    let second = |at: UnixMillis| (at.0 - base.0) / 1000;
    known.map(|interval| (second(interval.start), second(interval.end), interval.state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_round_is_evidence_at_once_and_after_a_kill() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    for protocol in [Protocol::V1, Protocol::V2] {
        let rounds =
            [round("wan", base.plus_millis(5_000), 5, None), round("wan", base.plus_millis(10_000), 0, None)];
        let answer = collector.push("an-hoa", request(protocol, &rounds)).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        let written = answer.headers().get("x-prometheus-remote-write-samples-written");
        // 7 figures of the round with replies, 3 of the one without.
        let expected = (protocol == Protocol::V2).then_some("10");
        assert_eq!(written.map(|value| value.to_str().unwrap()), expected);
    }
    // Another process's view, while the first has stored nothing of its own accord: the state after `kill -9`.
    let expected = [(0, 5, State::Up), (5, 10, State::Down)];
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected);

    collector.stop().await;
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected, "after a clean stop");
    let again = Collector::start(data.path()).await;
    again.push("an-hoa", request(Protocol::V2, &[round("wan", base.plus_millis(15_000), 5, None)])).await;
    again.stop().await;
    let expected = [(0, 5, State::Up), (5, 10, State::Down), (10, 15, State::Up)];
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected, "after a second run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_or_late_round_changes_nothing_that_was_right() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    for (end, received) in [(15, 5), (5, 5), (10, 0), (5, 5), (15, 5), (10, 0)] {
        let round = round("wan", base.plus_millis(end * 1000), received, None);
        assert_eq!(collector.push("an-hoa", request(Protocol::V1, &[round])).await.status(), 204);
        tokio::time::sleep(Duration::from_millis(150)).await; // so that checkpoints fall between them
    }
    let expected = [(0, 5, State::Up), (5, 10, State::Down), (10, 15, State::Up)];
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected);
    collector.stop().await;
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_secret_is_401_and_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    for secret in [None, Some(""), Some("wan_guess"), Some("wan_secret-of-nobody")] {
        let body = request(Protocol::V2, &[round("wan", base, 0, None)]).finish_compressed().unwrap();
        let answer = collector.post(secret, Protocol::V2.content_type(), body).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert!(answer.text().await.unwrap().to_lowercase().contains("secret"));
    }
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, []);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_speaks_for_itself_only_and_the_rest_of_its_request_is_kept() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;

    let mut mixed = request(Protocol::V2, &[round("wan", base.plus_millis(5_000), 5, None)]);
    let sample = Sample { time: base, value: 1.0 };
    let foreign = [
        ("__name__", "wan_round_sent"),
        ("link", "wan"),
        ("probe", "icmp"),
        ("site", "binh-minh"),
        ("target", "x"),
    ];
    mixed.series(&foreign, &[sample]).unwrap();
    encode_round(&round("wan", base.plus_millis(5_000), 0, Some("binh-minh")), &mut mixed).unwrap();
    let answer = collector.push("an-hoa", mixed).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["x-prometheus-remote-write-samples-written"], "7");
    let reason = answer.text().await.unwrap();
    assert!(reason.starts_with("4 of 11 samples were refused, the rest is kept:"), "{reason}");
    assert!(reason.contains("speaks for site binh-minh, but the secret is that of an-hoa"), "{reason}");
    assert!(reason.contains("does not let an-hoa watch binh-minh"), "{reason}");
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, [(0, 5, State::Up)]);
    assert_eq!(timeline(data.path(), base, "binh-minh", "wan").await, []);

    let watched = round("wan", base.plus_millis(10_000), 0, Some("an-hoa"));
    assert_eq!(collector.push("centre", request(Protocol::V2, &[watched])).await.status(), 204);
    let expected = [(0, 5, State::Up), (5, 10, State::Down)];
    assert_eq!(
        timeline(data.path(), base, "an-hoa", "wan").await,
        expected,
        "the centre's word where its own is silent"
    );
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_wan_is_cut_is_seen_to_be_heard_by_its_other_path() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let collector = Collector::start(data.path()).await;
    let push = async |path: &str| {
        let mut request = request(Protocol::V2, &[round("wan", base(), 0, None)]);
        request.sample(Metric::AgentPath, &[(Label::Path, path)], base(), 1.0).unwrap();
        collector.push("an-hoa", request).await.status().as_u16()
    };
    assert_eq!(push("wan").await, 204);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(push("internet").await, 204);
    let site: serde_json::Value = {
        let url = collector.url("/api/v1/sites/an-hoa");
        serde_json::from_slice(&collector.client.get(url).send().await.unwrap().bytes().await.unwrap())
            .unwrap()
    };
    let paths = site["agent"]["paths"].as_array().unwrap();
    assert_eq!(paths.iter().map(|seen| &seen["path"]).collect::<Vec<_>>(), ["internet", "wan"]);
    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let sample = r#"wan_site_path_last_seen_timestamp_seconds{site="an-hoa",path="internet"} "#;
    assert!(metrics.contains(sample), "{metrics}");
    // A word that is no link's name is refused by name, and a flood of paths is bounded.
    assert_eq!(push("by pigeon").await, 400);
    for suffix in 0..40 {
        assert_eq!(push(&format!("wan-{suffix}")).await, 204);
    }
    let metrics = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert_eq!(metrics.matches("wan_site_path_last_seen_timestamp_seconds{").count(), 8);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_from_far_past_or_future_and_impossible_rounds_are_refused_by_name() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    let day = 86_400_000;
    let mut bad = request(
        Protocol::V1,
        &[
            round("wan", base.plus_millis(-36 * day), 0, None),
            round("wan", base.plus_millis(day), 0, None),
            round("wan", base.plus_millis(5_000), 5, None),
        ],
    );
    let labels = |name| [("__name__", name), ("link", "wan-x"), ("probe", "icmp"), ("target", "t")];
    for (name, value) in
        [("wan_round_interval_seconds", 5.0), ("wan_round_sent", 5.0), ("wan_round_received", 6.0)]
    {
        bad.series(&labels(name), &[Sample { time: base, value }]).unwrap();
    }
    let answer = collector.push("an-hoa", bad).await;
    assert_eq!(answer.status(), 400);
    let reason = answer.text().await.unwrap();
    assert!(reason.contains("older than ingest.max_age"), "{reason}");
    assert!(reason.contains("further in the future than ingest.max_future"), "{reason}");
    assert!(reason.contains("6 received of 5 sent"), "{reason}");
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, [(0, 5, State::Up)]);
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan-x").await, []);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_remote_write_is_answered_with_its_reason_and_keeps_nothing() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    let good = request(Protocol::V2, &[round("wan", base, 0, None)]).finish_compressed().unwrap();
    let secret = secret_text("an-hoa");
    let v2 = Protocol::V2.content_type();
    let bomb = {
        // 64 MiB announced: the header alone must be enough to refuse it.
        let mut bomb = vec![0x80, 0x80, 0x80, 0x20];
        bomb.resize(4 << 20, 0);
        bomb
    };
    let cases = [
        (v2, good[..good.len() - 1].to_vec(), 400),
        (v2, Vec::new(), 400),
        (v2, b"<html>not snappy</html>".to_vec(), 400),
        (v2, vec![0xff; 100_000], 400),
        (v2, bomb, 413),
        (v2, vec![0; (4 << 20) + 1], 413),
        ("application/json", good.clone(), 415),
        ("application/x-protobuf;proto=io.prometheus.write.v9.Request", good.clone(), 415),
    ];
    for (content_type, body, status) in cases {
        let shown = format!("{content_type}, {} bytes", body.len());
        let answer = collector.post(Some(&secret), content_type, body).await;
        assert_eq!(answer.status(), status, "{shown}");
        assert!(answer.text().await.unwrap().trim().len() > 10, "{shown}: a reason");
    }
    // Refused by its credential before its body is read: the sender still gets to see why.
    let answer = collector.post(Some("wan_guess"), v2, vec![0; 6 << 20]).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, []);
    assert_eq!(collector.post(Some(&secret), v2, good).await.status(), 204, "and it still serves");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_and_a_secret_that_are_added_while_it_runs_work_within_seconds_and_a_revoked_one_stops() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let collector = Collector::start(data.path()).await;
    let push = || collector.push("moi", request(Protocol::V2, &[round("lan", base(), 5, None)]));
    let answers = async |status: u16| {
        for _ in 0..600 {
            if push().await.status() == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never answers {status}");
    };
    assert_eq!(push().await.status(), 401);
    let store = SqliteStore::open(&config(data.path()).database()).await.unwrap();
    let change = Change::Added(site("moi", Watches::None));
    let revision = store.change_register(store.revision().await.unwrap(), &[change]).await.unwrap();
    store.issue_secrets(revision, &[secret("moi")]).await.unwrap();
    answers(204).await;
    store.revoke_secrets(&"moi".parse().unwrap(), UnixMillis(1)).await.unwrap();
    answers(401).await;
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_collector_on_the_same_data_is_refused() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let collector = Collector::start(data.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error =
        wan_collector::run(config(data.path()), vec![listener], CancellationToken::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("journal"), "{error:#}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_moved_away_costs_no_evidence_and_no_later_round() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    for end in 1..=5 {
        let round = round("wan", base.plus_millis(end * 5_000), 5, None);
        assert_eq!(collector.push("an-hoa", request(Protocol::V2, &[round])).await.status(), 204);
    }
    collector.stop().await;
    std::fs::remove_dir_all(config(data.path()).journal_dir()).unwrap();
    let again = Collector::start(data.path()).await;
    let answer =
        again.push("an-hoa", request(Protocol::V2, &[round("wan", base.plus_millis(30_000), 0, None)])).await;
    assert_eq!(answer.status(), 204);
    let expected = [(0, 25, State::Up), (25, 30, State::Down)];
    assert_eq!(timeline(data.path(), base, "an-hoa", "wan").await, expected);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_series_of_an_agent_that_watches_a_province_are_known_by_their_bytes() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await;
    let base = base();
    let collector = Collector::start(data.path()).await;
    let rounds = |about: Option<&str>| -> Vec<Round> {
        let of = |at: u32| Round {
            target: format!("10.72.{}.{}", at / 250, at % 250),
            ..round("wan", base, 5, about)
        };
        (0..700).map(of).collect()
    };
    let known = async || {
        let text =
            collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("wan_collector_series ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(collector.push("centre", request(Protocol::V2, &rounds(Some("an-hoa")))).await.status(), 204);
    assert_eq!(known().await, 700 * 7);
    // One that watches nobody is bounded more narrowly, however often its request is decoded.
    assert_eq!(collector.push("an-hoa", request(Protocol::V2, &rounds(None))).await.status(), 204);
    let own = known().await - 700 * 7;
    assert!(own <= 4096, "{own}");
    collector.stop().await;
}

/// A data folder in which a collector was alive until so many seconds from now: this host's clock is behind.
async fn behind_by(data: &Path, seconds: i64) {
    seed(data).await;
    let now = wan_collector::clock::now();
    let alive = Some(Alive { start: now.plus_millis(-3_600_000), end: now.plus_millis(seconds * 1000) });
    let store = SqliteStore::open(&config(data).database()).await.unwrap();
    store.checkpoint(Checkpoint { alive, ..Checkpoint::default() }).await.unwrap();
    store.close().await;
}

/// Waits for an answer of `/readyz` with this status.
async fn readyz(collector: &Collector, status: u16) -> String {
    for _ in 0..1200 {
        if let Ok(answer) = collector.client.get(collector.url("/readyz")).send().await
            && answer.status() == status
        {
            return answer.text().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("/readyz was never answered with {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_its_clock_is_behind_a_former_run_agents_keep_their_rounds_and_learn_no_time() {
    let data = tempfile::tempdir().unwrap();
    behind_by(data.path(), 7200).await;
    let collector = Collector::spawn(config(data.path())).await;
    let why = readyz(&collector, 503).await;
    assert!(why.contains("the collector's clock is wrong"), "{why}");
    // The right time, two hours ahead of this clock.
    let right = base().plus_millis(7_200_000);
    let push = || request(Protocol::V2, &[round("wan", right, 5, None)]);
    let refused = collector.push("an-hoa", push()).await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after") && !refused.headers().contains_key("wan-time"));
    let asked =
        collector.client.get(collector.url("/api/v1/agent/config")).bearer_auth(secret_text("an-hoa"));
    let asked = asked.send().await.unwrap();
    assert_eq!((asked.status().as_u16(), asked.headers().get("wan-time")), (503, None));
    // A person says that the clock is right: it was ahead before.
    std::fs::write(data.path().join("clock-is-right"), "").unwrap();
    readyz(&collector, 200).await;
    let now = request(Protocol::V2, &[round("wan", base(), 5, None)]);
    let taken = collector.push("an-hoa", now).await;
    assert_eq!(taken.status(), 204);
    assert!(taken.headers().contains_key("wan-time"));
    assert!(!data.path().join("clock-is-right").exists());
    collector.stop().await;
    // A later start in the same boot does not ask again.
    Collector::start(data.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_its_clock_is_past_the_former_run_it_goes_on_by_itself_and_counts_as_running_from_then() {
    let data = tempfile::tempdir().unwrap();
    // A minute does no harm, so this is some seconds too much.
    behind_by(data.path(), 65).await;
    let began = wan_collector::clock::now();
    let collector = Collector::spawn(config(data.path())).await;
    readyz(&collector, 503).await;
    let state = wan_collector::load_read_only(config(data.path())).await.unwrap();
    assert_eq!(state.alive(began).len(), 1, "time in which agents were not heard is no time of running");
    readyz(&collector, 200).await;
    collector.stop().await;
    let state = wan_collector::load_read_only(config(data.path())).await.unwrap();
    let runs = state.alive(began);
    assert!(runs.iter().any(|run| run.start.millis_since(began) >= 2000), "{runs:?} since {began}");
}
