//! Figures of quality: exact over kills, duplicates, late and bad rounds; through the journal, the store, the API and the command
//! line.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod register;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use running::Running;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wan_collector::config::Config;
use wan_collector::counters::Counters;
use wan_collector::inventory::{Link, Site};
use wan_collector::ledger::timeline::Window;
use wan_collector::quality::bucket::Bucket;
use wan_collector::quality::codec::{decode_day, encode_hour};
use wan_collector::quality::follow::Follower;
use wan_collector::quality::hour::{HOUR_MS, Hour, Place, day_of};
use wan_collector::quality::{self, RowKey, StreamId, Table};
use wan_collector::state::State;
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{Checkpoint, Store as _};
use wan_collector::{engine, load, record};
use wan_journal::{Journal, Options, Reader, Seq};
use wan_wire::{
    ProbeKind, Protocol, RequestBuilder, Round, RoundFacts, Rtt, UnixMillis, round::encode_round,
};

const SITE: &str = "an-hoa";

/// The same numbers in every run of a seed (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, usize::try_from(self.below(at as u64 + 1)).unwrap());
        }
    }
}

fn config(data: &Path) -> Config {
    Config { data: data.to_owned(), checkpoint_interval: Duration::from_millis(50), ..Config::default() }
}

async fn seed(data: &Path) -> SqliteStore {
    let links = ["wan", "internet"].map(|link| Link::named(link.parse().unwrap())).into();
    let site = Site { links, ..register::site(SITE, "Ủy ban nhân dân xã An Hòa") };
    register::seed(&config(data).database(), [site], &[(SITE, secret())]).await
}

fn secret() -> &'static str {
    "wan_secret-of-an-hoa"
}

/// A round of `sent` packets whose times are given in milliseconds, in order.
fn round(link: &str, target: &str, end: UnixMillis, sent: u32, times: &[f64]) -> Round {
    let rtt = (!times.is_empty()).then(|| Rtt {
        min: times[0] / 1000.0,
        median: times[times.len() / 2] / 1000.0,
        mean: times.iter().sum::<f64>() / times.len() as f64 / 1000.0,
        max: times[times.len() - 1] / 1000.0,
    });
    Round {
        link: link.parse().unwrap(),
        probe: ProbeKind::Icmp,
        target: target.into(),
        about: None,
        end,
        interval: Duration::from_secs(5),
        facts: RoundFacts { sent, received: u32::try_from(times.len()).unwrap(), rtt, fault: false },
    }
}

fn random_round(random: &mut Random, link: &str, target: &str, end: UnixMillis) -> Round {
    let received = random.below(6);
    let mut times: Vec<f64> = (0..received).map(|_| (8_000 + random.below(9_000)) as f64 / 1000.0).collect();
    times.sort_by(f64::total_cmp);
    round(link, target, end, 5, &times)
}

fn request(rounds: &[Round]) -> Vec<u8> {
    let mut request = RequestBuilder::new(Protocol::V2);
    for round in rounds {
        encode_round(round, &mut request).unwrap();
    }
    request.finish_compressed().unwrap()
}

/// What a target's hours must be, from its rounds alone.
fn expected(rounds: &[Round]) -> BTreeMap<(String, i64), Hour> {
    let mut hours: BTreeMap<(String, i64), Hour> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for round in rounds {
        if seen.insert((round.target.clone(), round.end)) {
            let place = Place::of(round.end);
            let hour = hours.entry((round.target.clone(), place.hour)).or_default();
            hour.insert(place, &Bucket::of(&round.facts).unwrap());
        }
    }
    hours
}

/// Any order, any repetition, any split into requests and any moment at which the work breaks off give the same rows, byte for
/// byte: the reader is dropped at whatever it awaits, and a new one begins where the store says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_repetition_and_crash_gives_the_same_rows() {
    for seed_number in 1..=2 {
        let mut random = Random(seed_number);
        let data = tempfile::tempdir().unwrap();
        let store = Arc::new(seed(data.path()).await);
        // Of the last days, so that the hours keep their minutes.
        let base = wan_collector::clock::now().0.div_euclid(HOUR_MS) * HOUR_MS - 60 * HOUR_MS;
        let targets: Vec<String> = (0..25).map(|target| format!("10.0.0.{target}")).collect();
        let rounds: Vec<Round> = (0..3_000)
            .map(|_| {
                let target = &targets[usize::try_from(random.below(25)).unwrap()];
                // Fifty hours: more rows than are written in one transaction.
                let end = UnixMillis(base + i64::try_from(random.below(36_000)).unwrap() * 5_000);
                random_round(&mut random, "wan", target, end)
            })
            .collect();
        // One target's rounds do not overlap, so the first of two with one end stands for both.
        let mut unique = BTreeMap::new();
        for round in &rounds {
            unique.entry((round.target.clone(), round.end)).or_insert_with(|| round.clone());
        }
        let unique: Vec<Round> = unique.into_values().collect();
        let mut sent: Vec<Round> = unique.iter().chain(unique.iter().step_by(3)).cloned().collect();
        random.shuffle(&mut sent);

        let directory = config(data.path()).journal_dir();
        let (mut journal, _) = Journal::open_dir(&directory, Options::default()).unwrap();
        let site = SITE.parse().unwrap();
        let mut left = &sent[..];
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(1 + usize::try_from(random.below(80)).unwrap()));
            let mut bytes =
                record::start(record::By::Agent, &site, UnixMillis(base + 51 * HOUR_MS), Protocol::V2, 0);
            bytes.extend(request(now));
            journal.append(&bytes).unwrap();
            left = later;
        }
        journal.sync().unwrap();
        let end = journal.next_seq();
        let counters = Arc::new(Counters::new().unwrap());
        let quick = Config { checkpoint_interval: Duration::from_millis(1), ..config(data.path()) };
        let state = Arc::new(State::new(quick, None, Arc::clone(&counters)));
        load::store(&state, &*store).await.unwrap();
        let (engine, _thread) = engine::start(journal, 16, 1 << 40, counters).unwrap();
        let mut crashes = 0;
        loop {
            let from = store.quality_position().await.unwrap().map_or(Seq::FIRST, Seq);
            if from >= end {
                break;
            }
            let reader = Reader::open_read_only(&directory, from).unwrap();
            let (state, store) = (Arc::clone(&state), Arc::clone(&store));
            let follower = Follower::start(state, store, engine.clone(), reader).await.unwrap();
            // The longer it has taken, the longer it may: so that it ends.
            let limit = Duration::from_millis(10 + random.below(60 + 40 * crashes));
            let _ = tokio::time::timeout(limit, follower.run(CancellationToken::new())).await;
            crashes += 1;
        }
        assert!(crashes > 2, "it was never interrupted");

        let streams: BTreeMap<String, StreamId> =
            store.quality_streams(None).await.unwrap().into_iter().map(|(id, s)| (s.target, id)).collect();
        for ((target, hour), expected) in expected(&unique) {
            let key = RowKey { number: hour, stream: streams[&target] };
            let found = store.quality_rows(Table::Minutes, &[key]).await.unwrap();
            assert_eq!(found.get(&key), Some(&encode_hour(&expected)), "{target}, hour {hour}");
            let (day, at) = day_of(hour);
            let key = RowKey { number: day, ..key };
            let found = store.quality_rows(Table::Hours, &[key]).await.unwrap();
            assert_eq!(decode_day(&found[&key]).unwrap().0[&at], expected.total());
        }
    }
}

/// What alerts hold against contracts: the last closed minutes, made as soon as the reader has read them, from the journal alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_minutes_are_known_where_a_contract_promises_something() {
    for promised in [true, false] {
        let data = tempfile::tempdir().unwrap();
        let store = Arc::new(seed(data.path()).await);
        let directory = config(data.path()).journal_dir();
        let (mut journal, _) = Journal::open_dir(&directory, Options::default()).unwrap();
        let now = wan_collector::clock::now();
        let last = now.0.div_euclid(5_000) * 5_000;
        // Eight minutes: whichever five are closed when they are looked at are full.
        let rounds: Vec<Round> = (0..96)
            .map(|back| {
                round("wan", "10.0.0.1", UnixMillis(last - back * 5_000), 5, &[30.0, 40.0, 50.0, 60.0])
            })
            .collect();
        let mut bytes = record::start(record::By::Agent, &SITE.parse().unwrap(), now, Protocol::V2, 0);
        bytes.extend(request(&rounds));
        for _ in 0..2 {
            journal.append(&bytes).unwrap();
        }
        journal.sync().unwrap();
        let counters = Arc::new(Counters::new().unwrap());
        let limit = if promised { "rtt_limit: 40ms" } else { "uptime: 99%" };
        let text = format!("contracts: [{{id: HD-01, kind: wan, {limit}}}]");
        let contracts = Config::parse("collector.yaml", text.as_bytes()).unwrap().contracts;
        let config = Config { contracts, ..config(data.path()) };
        let state = Arc::new(State::new(config, None, Arc::clone(&counters)));
        load::store(&state, &*store).await.unwrap();
        let (engine, _thread) = engine::start(journal, 16, 1 << 40, counters).unwrap();
        let reader = Reader::open_read_only(&directory, Seq::FIRST).unwrap();
        let follower =
            Follower::start(Arc::clone(&state), Arc::clone(&store), engine.clone(), reader).await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(follower.run(stop.clone()));
        while store.quality_position().await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let found = state.last_minutes();
        let figures = found.of(&SITE.parse().unwrap(), &"wan".parse().unwrap());
        let told =
            figures.map(|figures| (figures.minutes, figures.counted, figures.loss(), figures.rtt_mean()));
        assert_eq!(told, promised.then_some((5, 300, Some(0.2), Some(0.045))));
        stop.cancel();
        running.await.unwrap();
    }
}

/// A collector as a process of its own, to be killed.
struct Process {
    child: Child,
    address: String,
    client: reqwest::Client,
}

impl Process {
    async fn start(folder: &Path, port: u16) -> Self {
        let file = folder.join("collector.yaml");
        let text = format!("listen: 127.0.0.1:{port}\ndata: data\ncheckpoint_interval: 1s\n");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_wan-collector"))
            .arg("--config")
            .arg(&file)
            .arg("serve")
            .env("RUST_LOG", "warn")
            .spawn()
            .unwrap();
        let this =
            Self { child, address: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() };
        for _ in 0..600 {
            let ready = this.client.get(format!("{}/readyz", this.address)).send().await;
            if ready.is_ok_and(|answer| answer.status() == 200) {
                return this;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the collector did not become ready");
    }

    async fn push(&self, rounds: &[Round]) {
        let answer = self
            .client
            .post(format!("{}/api/v1/write", self.address))
            .header("content-type", Protocol::V2.content_type())
            .header("content-encoding", "snappy")
            .bearer_auth(secret())
            .body(request(rounds))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }

    /// Waits until nothing waits for the figures any more.
    async fn settled(&self) {
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let text = self.client.get(format!("{}/metrics", self.address)).send().await.unwrap();
            let text = text.text().await.unwrap();
            let all = "wan_collector_quality_behind_seconds 0\n";
            let some = text.lines().any(|line| {
                line.strip_prefix("wan_collector_quality_rounds_total ").is_some_and(|n| n != "0")
            });
            if text.contains(all) && some {
                return;
            }
        }
        panic!("the figures do not catch up");
    }

    async fn quality(&self, query: &str) -> Value {
        let url = format!("{}/api/v1/sites/{SITE}/quality?{query}", self.address);
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        value(answer).await
    }

    /// SIGKILL: nothing is flushed.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn value(answer: reqwest::Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn near(found: &Value, expected: f64) -> bool {
    found.as_f64().is_some_and(|found| (found - expected).abs() < 1e-9)
}

/// Sums as one adds them up by hand.
fn check(figures: &Value, rounds: &[Round]) {
    let (sent, received) = rounds
        .iter()
        .fold((0, 0), |(sent, received), round| (sent + round.facts.sent, received + round.facts.received));
    assert_eq!(figures["rounds"], rounds.len(), "{figures}");
    assert_eq!((&figures["sent"], &figures["received"]), (&sent.into(), &received.into()), "{figures}");
    assert!(near(&figures["loss"], f64::from(sent - received) / f64::from(sent)), "{figures}");
    let some: u32 =
        rounds.iter().filter(|round| round.facts.received > 0).map(|round| round.facts.sent).sum();
    assert!(near(&figures["loss_while_up"], f64::from(some - received) / f64::from(some)), "{figures}");
    let answered = || rounds.iter().filter_map(|round| Some((round.facts.rtt?, round.facts.received)));
    let total: f64 = answered().map(|(rtt, count)| rtt.mean * f64::from(count)).sum();
    assert!(near(&figures["rtt_mean_seconds"], total / f64::from(received)), "{figures}");
    let min = answered().map(|(rtt, _)| rtt.min).fold(f64::MAX, f64::min);
    let max = answered().map(|(rtt, _)| rtt.max).fold(0.0, f64::max);
    assert!(near(&figures["rtt_min_seconds"], min) && near(&figures["rtt_max_seconds"], max), "{figures}");
    let several = || answered().filter(|(_, count)| *count > 1);
    let over: f64 = several().map(|(rtt, count)| (rtt.mean - rtt.min) * f64::from(count)).sum();
    let count: u32 = several().map(|(_, count)| count).sum();
    assert!(near(&figures["jitter_seconds"], over / f64::from(count)), "{figures}");
    let mos = figures["mos_estimate"].as_f64().unwrap();
    assert!((1.0..=4.5).contains(&mos), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_exact_over_kills_duplicates_late_rounds_and_hours_without_minutes() {
    let folder = tempfile::tempdir().unwrap();
    seed(&folder.path().join("data")).await.close().await;
    let port = free_port();
    let mut random = Random(11);
    let now = wan_collector::clock::now().0;
    let hour = now.div_euclid(HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
    let mut make = |start: i64, count: i64| -> Vec<Round> {
        (1..=count)
            .map(|number| random_round(&mut random, "wan", "10.0.0.1", UnixMillis(start + number * 5_000)))
            .collect()
    };
    let (recent, old) = (make(hour, 720), make(hour - 20 * 24 * HOUR_MS, 60));
    let mut sent: Vec<&[Round]> = recent.chunks(6).collect();
    random.shuffle(&mut sent);

    let mut collector = Process::start(folder.path(), port).await;
    for (number, rounds) in sent.iter().enumerate() {
        collector.push(rounds).await;
        if number % 4 == 0 {
            // The answer was lost, and the agent sends it again.
            collector.push(rounds).await;
        }
        if number % 30 == 29 {
            // At any time of a write of figures, of which there is one each six seconds.
            tokio::time::sleep(Duration::from_millis(1_700 * (number as u64 / 30))).await;
            collector.kill();
            collector = Process::start(folder.path(), port).await;
        }
    }
    collector.push(&old[..40]).await;
    collector.settled().await;
    let window = format!("link=wan&from={hour}&to={}&step=minute", hour + HOUR_MS);
    let answer = collector.quality(&window).await;
    check(&answer["links"][0]["whole"], &recent);
    let points = answer["links"][0]["points"].as_array().unwrap();
    assert_eq!(points.len(), 60);
    for (minute, point) in points.iter().enumerate() {
        assert_eq!(point["start"], hour + i64::try_from(minute).unwrap() * 60_000);
        check(point, &recent[minute * 12..minute * 12 + 12]);
    }
    // The command line says the same beside the running server.
    let cli = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("wan-collector").unwrap();
        command.arg("--config").arg(folder.path().join("collector.yaml")).args(["quality", SITE, "wan"]);
        let (from, to) = (hour.to_string(), (hour + HOUR_MS).to_string());
        let output = command.args(["--from", &from, "--to", &to]).args(arguments).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let printed: Value = serde_json::from_str(&cli(&["--json", "--step", "minute"])).unwrap();
    assert_eq!(printed, answer);
    let table = cli(&[]);
    for shown in ["MOS (estimate)", " ms", " %", "Asia/Ho_Chi_Minh", "3600"] {
        assert!(table.contains(shown), "{shown} in {table}");
    }
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(cli(&["--step", "minute"]).lines().count(), 62);
    let csv = cli(&["--format", "csv", "--step", "minute"]);
    assert!(csv.starts_with("site,link,from,step,rounds,sent,received,loss,"), "{csv}");
    assert_eq!(csv.lines().count(), 61);
    let p95 = {
        let mut longest: Vec<f64> = recent.iter().filter_map(|round| Some(round.facts.rtt?.max)).collect();
        longest.sort_by(f64::total_cmp);
        answer["links"][0]["whole"]["rtt_p95_seconds"].as_f64().unwrap() / longest[longest.len() / 2]
    };
    assert!(
        (0.9..1.1).contains(&p95),
        "of packets as long as one another the 95th of 100 is a long one: {p95}"
    );

    // Twenty days old: the start takes the minutes away, and what comes after still counts once.
    collector.kill();
    let collector = Process::start(folder.path(), port).await;
    let store = SqliteStore::open_read_only(&folder.path().join("data/wanwatch.db")).await.unwrap();
    let before = (hour - 14 * 24 * HOUR_MS) / HOUR_MS;
    for _ in 0..100 {
        if store.quality_rows_before(Table::Minutes, before, 9).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(store.quality_rows_before(Table::Minutes, before, 9).await.unwrap().is_empty());
    assert_eq!(store.quality_rows_before(Table::Seen, before, 9).await.unwrap().len(), 1);
    for _ in 0..2 {
        collector.push(&old[20..]).await;
    }
    collector.settled().await;
    let start = hour - 20 * 24 * HOUR_MS;
    let window = format!("from={start}&to={}", start + HOUR_MS);
    let answer = collector.quality(&window).await;
    assert_eq!(answer["step"], "hour", "the minutes are gone");
    check(&answer["links"][1]["whole"], &old);
    assert_eq!(answer["links"][0]["whole"]["sent"], 0, "internet is registered and was not measured");
    let link = "wan".parse().unwrap();
    let month = Window::new(UnixMillis(start - HOUR_MS), UnixMillis(now));
    let both: Vec<Round> = recent.iter().chain(&old).cloned().collect();
    let quality = quality::of(&store, &SITE.parse().unwrap(), &link, month).await.unwrap();
    let sum = |part: fn(&Round) -> u32| both.iter().map(|round| u64::from(part(round))).sum::<u64>();
    assert_eq!((quality.sent, quality.received), (sum(|r| r.facts.sent), sum(|r| r.facts.received)));
    collector.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rounds_cost_themselves_and_are_counted() {
    let data = tempfile::tempdir().unwrap();
    seed(data.path()).await.close().await;
    let collector = Running::begin(config(data.path())).await;
    let hour = wan_collector::clock::now().0.div_euclid(HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
    let at = |second: i64| UnixMillis(hour + second * 1000);
    let short = Round { interval: Duration::from_millis(500), ..round("wan", "a", at(10), 5, &[1.0]) };
    let long = Round { interval: Duration::from_secs(3600), ..round("wan", "a", at(20), 5, &[1.0]) };
    let fault = RoundFacts { sent: 0, received: 0, rtt: None, fault: true };
    let rounds = [
        short,
        long,
        Round { facts: fault, ..round("wan", "a", at(30), 5, &[]) },
        round("wan", "a", at(40), 1000, &[9.0; 1000]),
        round("wan", "a", at(50), 5, &[0.0; 5]),
        round("wan", "a", at(60), 1, &[3_599_000.0]),
        // A second target of the link, which never answers: it is down, and not the link.
        round("wan", "b", at(40), 5, &[]),
        // The one target of another link, which never answers.
        round("internet", "c", at(40), 5, &[]),
    ];
    let mut bad = RequestBuilder::new(Protocol::V2);
    for round in &rounds {
        encode_round(round, &mut bad).unwrap();
    }
    // Of a site that this one may not watch, and an hour ahead of the clock: refused, and in no figure.
    let refused = [
        Round { about: Some("xa-khac".parse().unwrap()), ..round("wan", "a", at(70), 5, &[1.0]) },
        round("wan", "a", UnixMillis(wan_collector::clock::now().0 + HOUR_MS), 5, &[1.0]),
    ];
    for round in &refused {
        encode_round(round, &mut bad).unwrap();
    }
    let answer = collector
        .client
        .post(collector.url("/api/v1/write"))
        .header("content-type", Protocol::V2.content_type())
        .header("content-encoding", "snappy")
        .bearer_auth(secret())
        .body(bad.finish_compressed().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400, "some are refused, the rest is kept");
    let get = async |path: String| collector.client.get(collector.url(&path)).send().await.unwrap();
    let quality = async |query: &str| {
        value(get(format!("/api/v1/sites/{SITE}/quality?from={hour}&to={}{query}", hour + HOUR_MS)).await)
            .await
    };
    let mut answer = Value::Null;
    for _ in 0..200 {
        answer = quality("").await;
        if answer["links"][0]["whole"]["sent"] != 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let [internet, wan] = [&answer["links"][0]["whole"], &answer["links"][1]["whole"]];
    assert_eq!((&internet["sent"], &internet["loss"]), (&5.into(), &1.0.into()), "{answer}");
    assert!(internet["rtt_mean_seconds"].is_null() && internet["loss_while_up"].is_null(), "{answer}");
    assert!(internet["rtt_mean_seconds"].is_null() && internet["mos_estimate"].is_null(), "{answer}");
    // The minute in which both answer nothing but one: 5 + 1000 + 5 + 1 sent, 1 + 1000 + 5 + 1 answered.
    assert_eq!((&wan["rounds"], &wan["sent"], &wan["received"]), (&4.into(), &1011.into(), &1007.into()));
    assert_eq!((&wan["rtt_min_seconds"], &wan["rtt_max_seconds"]), (&0.0.into(), &3599.0.into()));
    let p95 = wan["rtt_p95_seconds"].as_f64().unwrap();
    assert!((p95 - 0.009).abs() <= 0.009 * 0.05, "{p95}");
    let metrics = get("/metrics".to_owned()).await.text().await.unwrap();
    for line in [
        "wan_collector_quality_left_out_rounds_total{reason=\"short\"} 1",
        "wan_collector_quality_left_out_rounds_total{reason=\"targets\"} 0",
        "wan_collector_quality_left_out_rounds_total{reason=\"closed\"} 0",
        "wan_collector_quality_missed_requests_total 0",
        "wan_collector_quality_rounds_total 6",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line} in {metrics}");
    }

    let cases = [
        ("xa-khac", "", 404, "expected the id of a registered site"),
        (SITE, "?link=wan-x", 404, "expected a link of an-hoa"),
        (SITE, "?link=WAN", 400, "expected a link's name"),
        (SITE, "?step=second", 400, "expected one of auto, minute, hour, day"),
        (SITE, "?from=-8d&step=minute", 400, "11521 steps of a minute, more than the 1500"),
        (SITE, "?form=-1d", 400, "did you mean from?"),
    ];
    for (site, query, status, said) in cases {
        let answer = get(format!("/api/v1/sites/{site}/quality{query}")).await;
        assert_eq!(answer.status(), status, "{site} {query}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(said), "{said} in {text}");
    }
    for (query, step) in [("", "minute"), ("?from=-3d", "hour"), ("?from=1970-01-01", "day")] {
        let answer: Value = value(get(format!("/api/v1/sites/{SITE}/quality{query}")).await).await;
        assert_eq!(answer["step"], step, "{query}");
    }
    collector.stop().await;
}

/// Rounds as records of a journal that the engine of some collector has left.
fn journal_of(data: &Path, options: Options, records: &[Vec<Round>]) -> Journal {
    let (mut journal, _) = Journal::open_dir(&config(data).journal_dir(), options).unwrap();
    for rounds in records {
        let received = rounds.last().unwrap().end;
        let mut bytes = record::start(record::By::Agent, &SITE.parse().unwrap(), received, Protocol::V2, 0);
        bytes.extend(request(rounds));
        journal.append(&bytes).unwrap();
        journal.sync().unwrap();
    }
    journal
}

/// The journal of a version without figures has no cursor of theirs, and its store no position; what is too old goes.
#[tokio::test(flavor = "multi_thread")]
async fn the_data_folder_of_a_former_version_gets_figures_of_what_its_journal_still_holds() {
    let data = tempfile::tempdir().unwrap();
    let store = seed(data.path()).await;
    let hour = wan_collector::clock::now().0.div_euclid(HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
    let rounds: Vec<Round> =
        (1..=24).map(|n| round("wan", "a", UnixMillis(hour + n * 5_000), 5, &[7.0, 8.0])).collect();
    let mut journal = journal_of(data.path(), Options::default(), std::slice::from_ref(&rounds));
    journal.set_cursor(engine::LEDGER_CURSOR, journal.next_seq()).unwrap();
    let position = journal.next_seq().0;
    drop(journal);
    let checkpoint = Checkpoint { updates: &[], lives: &[], alive: None, journal_position: Some(position) };
    store.checkpoint(checkpoint).await.unwrap();
    let key = |number: i64| RowKey { number, stream: StreamId(1) };
    let (day, _) = day_of(hour / HOUR_MS);
    let rows = quality::Rows {
        seen: vec![(key(hour / HOUR_MS - 37 * 24), Vec::new()), (key(hour / HOUR_MS - 30 * 24), Vec::new())],
        hours: vec![(key(day - 1098), Vec::new()), (key(day - 1090), Vec::new())],
        ..quality::Rows::default()
    };
    store.write_quality(&rows).await.unwrap();

    let collector = Running::begin(config(data.path())).await;
    let (site, link) = (SITE.parse().unwrap(), "wan".parse().unwrap());
    let window = Window::new(UnixMillis(hour), UnixMillis(hour + HOUR_MS));
    let mut found = quality::of(&store, &site, &link, window).await.unwrap();
    for _ in 0..200 {
        if found.rounds > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        found = quality::of(&store, &site, &link, window).await.unwrap();
    }
    assert_eq!((found.rounds, found.sent, found.received), (24, 120, 48));
    collector.stop().await;
    let left = async |table| store.quality_rows_before(table, i64::from(i32::MAX), 9).await.unwrap();
    let old: Vec<i64> = left(Table::Seen).await.into_iter().map(|(key, _)| key.number).collect();
    assert_eq!(old, [hour / HOUR_MS - 30 * 24], "a closed hour is forgotten");
    let days: Vec<i64> = left(Table::Hours).await.into_iter().map(|(key, _)| key.number).collect();
    assert_eq!(days, [day - 1090, day], "hours of more than three years are gone");
}

/// The second reader must not fill the journal: it loses what it has not read, and says so; nothing else is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_far_behind_loses_the_oldest_and_counts_it() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(seed(data.path()).await);
    let options = Options { segment_bytes: 1 << 14, max_bytes: 1 << 20, zero_ahead: 0, ..Options::default() };
    let hour = wan_collector::clock::now().0.div_euclid(HOUR_MS) * HOUR_MS - 3 * HOUR_MS;
    let mut random = Random(5);
    let records: Vec<Vec<Round>> = (1..=360)
        .map(|n| vec![random_round(&mut random, "wan", "a", UnixMillis(hour + n * 5_000))])
        .collect();
    let mut journal = journal_of(data.path(), options, &records);
    let (used, end) = (journal.used_bytes(), journal.next_seq());
    let room = used / 2;
    journal.set_cursor(engine::QUALITY_CURSOR, Seq::FIRST).unwrap();
    let counters = Arc::new(Counters::new().unwrap());
    let state = Arc::new(State::new(config(data.path()), None, Arc::clone(&counters)));
    load::store(&state, &*store).await.unwrap();
    let (handle, thread) = engine::start(journal, 16, room, Arc::clone(&counters)).unwrap();
    // Half of it is not in the evidence yet: that stays, whatever room there is.
    assert!(handle.send(engine::Command::Done(engine::LEDGER_CURSOR.into(), Seq(end.0 / 4))).await);
    let (reply, answer) = tokio::sync::oneshot::channel();
    assert!(handle.send(engine::Command::Ping(reply)).await);
    answer.await.unwrap();
    let first = |from| {
        let mut reader = Reader::open_read_only(&config(data.path()).journal_dir(), from).unwrap();
        match reader.read().unwrap().unwrap() {
            wan_journal::Item::Frame { seq, .. } => seq,
            wan_journal::Item::Gap(gap) => gap.to.next(),
        }
    };
    assert!(first(Seq::FIRST) > Seq::FIRST && first(Seq::FIRST) <= Seq(end.0 / 4), "{}", first(Seq::FIRST));
    assert!(handle.send(engine::Command::Done(engine::LEDGER_CURSOR.into(), end)).await);
    let (reply, answer) = tokio::sync::oneshot::channel();
    assert!(handle.send(engine::Command::Ping(reply)).await);
    answer.await.unwrap();
    let kept = first(Seq::FIRST);
    assert!(kept > Seq(end.0 / 4) && kept < end, "{kept}: no more than there is to");

    let reader = Reader::open_read_only(&config(data.path()).journal_dir(), Seq::FIRST).unwrap();
    let follower = Follower::start(state, Arc::clone(&store), handle.clone(), reader).await.unwrap();
    let stop = CancellationToken::new();
    let following = tokio::spawn(follower.run(stop.clone()));
    for _ in 0..200 {
        if store.quality_position().await.unwrap() == Some(end.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    following.await.unwrap();
    let (site, link) = (SITE.parse().unwrap(), "wan".parse().unwrap());
    let window = Window::new(UnixMillis(hour), UnixMillis(hour + HOUR_MS));
    let found = quality::of(&*store, &site, &link, window).await.unwrap();
    assert_eq!(counters.quality_missed.get(), kept.0 - 1);
    assert_eq!(found.rounds, end.0 - kept.0);
    handle.send(engine::Command::Stop).await;
    thread.join().unwrap();
    let (journal, _) = Journal::open_dir(&config(data.path()).journal_dir(), options).unwrap();
    assert_eq!(journal.cursor(engine::QUALITY_CURSOR), Some(end));
}
