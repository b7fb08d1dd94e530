//! A start that serves before it has read its history, killed again and again while late rounds arrive: what is evidence at the
//! end is what a run that was never interrupted would have.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test"
)]

mod register;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use sha2::{Digest as _, Sha256};
use wan_collector::config::Config;
use wan_collector::inventory::diff::Change;
use wan_collector::inventory::{Link, Site};
use wan_collector::ledger::span::{Span, Spans};
use wan_collector::store::sqlite::SqliteStore;
use wan_collector::store::{AgentSecret, Alive, Checkpoint, EvidenceUpdate, Series, Store as _};
use wan_wire::{
    Outcome, ProbeKind, Protocol, RequestBuilder, Round, RoundFacts, Rtt, SiteId, UnixMillis,
    round::encode_round,
};

const SITES: usize = 60;
const LINKS: [&str; 3] = ["lan", "wan-vnpt", "internet"];
const DAY: i64 = 86_400_000;
const MINUTE: i64 = 60_000;
/// Two spans a day: so many that an unoptimised program is busy with them for a second or two.
const DAYS: i64 = 300;
const KILLS: usize = 6;

type Ledger = BTreeMap<(String, String), Spans>;

fn name(site: usize) -> String {
    format!("xa-{site:03}")
}

fn id(site: usize) -> SiteId {
    name(site).parse().unwrap()
}

fn site(number: usize) -> Site {
    let links = LINKS.map(|link| Link::named(link.parse().unwrap())).into();
    Site { links, ..register::site(&name(number), &format!("Ủy ban nhân dân xã {number}")) }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn file(&self) -> PathBuf {
        self.0.path().join("collector.yaml")
    }

    fn config(&self) -> Config {
        Config::load(&self.file()).unwrap()
    }

    /// A year of outages, and what it says.
    async fn fill(random: &mut SmallRng, now: i64) -> (Self, Ledger) {
        let folder = Self(tempfile::tempdir().unwrap());
        let text =
            "data: data\nlisten: [\"127.0.0.1:0\"]\ningest: {max_age: 400d}\ncheckpoint_interval: 1s\n";
        std::fs::write(folder.file(), text).unwrap();
        let store = SqliteStore::open(&folder.config().database()).await.unwrap();
        let changes: Vec<Change> = (0..SITES).map(|number| Change::Added(site(number))).collect();
        let revision = store.change_register(0, &changes).await.unwrap();
        let secret = |number: usize| AgentSecret {
            site: id(number),
            hash: Sha256::digest(name(number)).into(),
            issued: UnixMillis(now),
            revoked: None,
        };
        store.issue_secrets(revision, &(0..SITES).map(secret).collect::<Vec<_>>()).await.unwrap();
        let mut ledger = Ledger::new();
        for number in 0..SITES {
            for link in LINKS {
                let spans = ledger.entry((name(number), link.to_owned())).or_default();
                for day in (2..DAYS).rev() {
                    let start = now - day * DAY;
                    let outage = start + random.random_range(2 * MINUTE..DAY - 60 * MINUTE);
                    let end = outage + random.random_range(MINUTE..50 * MINUTE);
                    spans.paint(UnixMillis(start), UnixMillis(outage), Outcome::Up);
                    spans.paint(UnixMillis(outage), UnixMillis(end), Outcome::Down);
                    spans.paint(UnixMillis(end), UnixMillis(start + DAY), Outcome::Up);
                }
            }
        }
        let series: Vec<Series> = ledger
            .keys()
            .map(|(site, link)| Series {
                site: site.parse().unwrap(),
                link: link.parse().unwrap(),
                vantage: site.parse().unwrap(),
            })
            .collect();
        let ids = store.series_ids(&series).await.unwrap();
        let updates: Vec<EvidenceUpdate> = ids
            .into_iter()
            .zip(ledger.values())
            .map(|(series, spans)| EvidenceUpdate {
                series,
                dirty_from: UnixMillis::MIN,
                spans: spans.as_slice().to_vec(),
            })
            .collect();
        let alive = Some(Alive { start: UnixMillis(now - DAYS * DAY), end: UnixMillis(now - DAY) });
        store.checkpoint(Checkpoint { updates: &updates, alive, ..Checkpoint::default() }).await.unwrap();
        store.close().await;
        (folder, ledger)
    }

    async fn stored(&self) -> Ledger {
        let store = SqliteStore::open_read_only(&self.config().database()).await.unwrap();
        let mut ledger = Ledger::new();
        let take = |_, series: Series, spans: Vec<Span>| {
            let spans = Spans::from_sorted(spans).unwrap();
            ledger.insert((series.site.to_string(), series.link.to_string()), spans);
        };
        store.load_evidence(take).await.unwrap();
        ledger
    }

    /// What a reader of the folder derives from: the store, and the journal behind its position.
    async fn derived(&self) -> Ledger {
        let state = wan_collector::load_read_only(self.config()).await.unwrap();
        let mut ledger = Ledger::new();
        for (site, runtime) in &state.directory().runtimes {
            for track in runtime.evidence().tracks() {
                ledger.insert((site.to_string(), track.link.to_string()), Spans::clone(&track.spans));
            }
        }
        ledger
    }
}

/// A collector as a process of its own.
struct Running {
    process: Child,
    address: SocketAddr,
    client: reqwest::Client,
}

impl Running {
    async fn start(file: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wan-collector"))
            .args(["--config", file.to_str().unwrap(), "serve"])
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It says on which port it listens; all it says further is read too, so that it never waits for a reader.
        let (sender, receiver) = std::sync::mpsc::channel();
        let log = BufReader::new(process.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on http://") {
                    let _ = sender.send(address.trim().parse::<SocketAddr>().unwrap());
                } else if line.contains("ERROR") {
                    eprintln!("{line}");
                }
            }
        });
        let address = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        let running = Self { process, address, client: reqwest::Client::new() };
        let until = wan_collector::clock::monotonic() + Duration::from_secs(60);
        while running.readyz().await.is_none() {
            assert!(wan_collector::clock::monotonic() < until, "it did not become ready");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn readyz(&self) -> Option<String> {
        let answer = self.client.get(self.url("/readyz")).send().await.ok()?;
        if answer.status() == 200 { answer.text().await.ok() } else { None }
    }

    async fn push(&self, site: usize, rounds: &[Round]) -> bool {
        let mut request = RequestBuilder::new(Protocol::V2);
        for round in rounds {
            encode_round(round, &mut request).unwrap();
        }
        let post = self.client.post(self.url("/api/v1/write")).bearer_auth(name(site));
        let post =
            post.header("content-encoding", "snappy").header("content-type", Protocol::V2.content_type());
        let sent = post.body(request.finish_compressed().unwrap()).send().await;
        sent.is_ok_and(|answer| answer.status() == 204)
    }

    /// Waits until all of the history is loaded.
    async fn whole(&self) {
        let until = wan_collector::clock::monotonic() + Duration::from_secs(120);
        while self.readyz().await.as_deref() != Some("ready\n") {
            assert!(wan_collector::clock::monotonic() < until, "the history was never loaded");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and a clean end.
    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn round(link: &str, end: i64, received: u32) -> Round {
    let rtt = Rtt { min: 0.010, median: 0.011, mean: 0.012, max: 0.020 };
    Round {
        link: link.parse().unwrap(),
        probe: ProbeKind::Icmp,
        target: "10.72.3.1".into(),
        about: None,
        end: UnixMillis(end),
        interval: Duration::from_secs(60),
        facts: RoundFacts { sent: 5, received, rtt: (received > 0).then_some(rtt), fault: false },
    }
}

/// Some rounds of one site at any time of its history; also what they make of the ledger once they are acknowledged.
fn late(random: &mut SmallRng, now: i64) -> (usize, Vec<(usize, i64, u32)>) {
    let site = random.random_range(0..SITES);
    // Mostly before what a start loads at first.
    let rounds = (0..random.random_range(1..8)).map(|_| {
        let end = now - random.random_range(0..(DAYS + 5) * DAY / MINUTE) * MINUTE;
        (random.random_range(0..LINKS.len()), end, if random.random_bool(0.7) { 5 } else { 0 })
    });
    (site, rounds.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_while_the_history_is_loaded_and_late_rounds_arrive_leave_the_evidence_of_a_run_without_them() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut random = SmallRng::seed_from_u64(8);
    let now = wan_collector::clock::now().0 / MINUTE * MINUTE;
    let (folder, mut expected) = Folder::fill(&mut random, now).await;
    let (mut while_loading, mut acknowledged) = (0, 0);
    for kill in 0..=KILLS {
        let collector = Running::start(&folder.file()).await;
        let lives = Duration::from_millis(random.random_range(50..1600));
        let until = wan_collector::clock::monotonic() + lives;
        while wan_collector::clock::monotonic() < until {
            let (site, rounds) = late(&mut random, now);
            let sent: Vec<Round> =
                rounds.iter().map(|(link, end, received)| round(LINKS[*link], *end, *received)).collect();
            assert!(collector.push(site, &sent).await, "after {kill} kills");
            acknowledged += sent.len();
            for (link, end, received) in rounds {
                let outcome = if received > 0 { Outcome::Up } else { Outcome::Down };
                let spans = expected.entry((name(site), LINKS[link].to_owned())).or_default();
                spans.paint(UnixMillis(end - MINUTE), UnixMillis(end), outcome);
            }
        }
        while_loading +=
            usize::from(collector.readyz().await.is_some_and(|ready| ready.contains("loads the history")));
        if kill < KILLS {
            collector.kill();
            continue;
        }
        // The last one may finish, and then it is killed all the same.
        collector.whole().await;
        collector.kill();
    }
    println!(
        "{acknowledged} late rounds; {while_loading} of {KILLS} kills and one check fell into the loading"
    );
    assert!(
        while_loading > 0 && acknowledged > 100,
        "the test tested nothing: {while_loading}, {acknowledged}"
    );
    let same = |found: &Ledger, whose: &str| {
        assert_eq!(found.len(), expected.len());
        for (series, spans) in &expected {
            assert!(found.get(series) == Some(spans), "{whose}: {series:?}");
        }
    };
    same(&folder.derived().await, "store and journal after the last kill");
    Running::start(&folder.file()).await.stop();
    same(&folder.derived().await, "after a stop in the middle of loading");
    let collector = Running::start(&folder.file()).await;
    collector.whole().await;
    collector.stop();
    same(&folder.stored().await, "the store alone, after all was loaded and a clean stop");
}
