//! SIGKILL under load, twenty times: every round that was acknowledged is in the evidence afterwards, exactly once.
//!
//! Each sender speaks for one site and sends rounds of one second that are up and down by turns. So a round that is missing
//! shows as a hole, one that is counted twice as too much time, and one that was painted with another's outcome as a changed
//! pattern. A round that was not acknowledged is sent again, as an agent would.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use wan_tests::api::Row;
use wan_tests::clock::{self, eventually};
use wan_tests::collector::{Collector, Site};
use wan_tests::netns::Namespace;
use wan_tests::payload::{self, Round};
use wan_tests::scene::Scene;
use wan_tests::sender::{self, Connection};

const KILLS: usize = 20;
const SITES: usize = 6;
const ROUND: i64 = 1000;
/// The load of one sender is bounded: it rests this long after each acknowledged round.
const REST: Duration = Duration::from_millis(2);

/// One site and how far its rounds got.
struct Sender {
    site: String,
    bearer: String,
    /// Rounds acknowledged; round number `n` covers [base + n, base + n + 1) seconds.
    acknowledged: AtomicI64,
    /// Answers other than 2xx; none is expected.
    refused: Mutex<Vec<String>>,
}

impl Sender {
    /// Sends rounds, each until it is acknowledged, until `stop`.
    fn run(&self, server: SocketAddr, base: i64, stop: &AtomicBool) {
        let mut connection = None;
        while !stop.load(Ordering::Relaxed) {
            let number = self.acknowledged.load(Ordering::Relaxed);
            match self.send(&mut connection, server, base, number) {
                Ok(()) => {
                    self.acknowledged.store(number + 1, Ordering::Relaxed);
                    std::thread::sleep(REST);
                }
                // Killed, or not yet back: the same round again.
                Err(_) => {
                    connection = None;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    fn send(
        &self,
        connection: &mut Option<Connection>,
        server: SocketAddr,
        base: i64,
        number: i64,
    ) -> Result<()> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(server, Duration::from_secs(10))?),
        };
        let received = if number % 2 == 0 { 5 } else { 0 };
        let end = base + (number + 1) * ROUND;
        let round = Round { link: "wan", target: "10.79.0.2", end, interval: ROUND, sent: 5, received };
        let mut request = Vec::new();
        payload::push_round(&mut request, &round, &[]);
        let body = payload::compress(&request)?;
        let answer = connection.post("/api/v1/write", &sender::push_headers(&self.bearer), &body)?;
        if answer.status / 100 != 2 {
            if let (false, Ok(mut refused)) = (answer.status == 503, self.refused.lock()) {
                refused.push(format!("round {number}: {} {}", answer.status, answer.body));
            }
            return Err(anyhow!("{}", answer.status));
        }
        Ok(())
    }

    /// Compares the site's evidence with what was acknowledged.
    fn check(&self, collector: &Collector, base: i64, acknowledged: i64) -> Result<()> {
        ensure!(acknowledged > 0, "no round of {} was ever acknowledged", self.site);
        let to = base + acknowledged * ROUND;
        let api = collector.api();
        let uptime = api.uptime(&self.site, "wan", base, to)?.context("no figures")?;
        let expected = (((acknowledged + 1) / 2) * ROUND, (acknowledged / 2) * ROUND);
        ensure!(
            (uptime.up_ms, uptime.down_ms) == expected && uptime.degraded_ms == 0,
            "{} rounds were acknowledged, (up, down) must be {expected:?} ms: {uptime:?}",
            acknowledged
        );
        let rows = api.timeline(&self.site, "wan", base, to)?;
        for (number, row) in (0..acknowledged).zip(&rows) {
            let start = base + number * ROUND;
            let state = if number % 2 == 0 { "up" } else { "down" };
            let expected = Row { start, end: start + ROUND, state: state.to_owned(), why: None };
            ensure!(*row == expected, "round {number} of {}: {row:?} instead of {expected:?}", self.site);
        }
        let count = i64::try_from(rows.len())?;
        ensure!(count == acknowledged, "{count} rows for {acknowledged} rounds of {}", self.site);
        Ok(())
    }
}

#[test]
fn twenty_kills_under_load_lose_no_acknowledged_round_and_count_none_twice() -> Result<()> {
    let scene = Scene::new("durability")?;
    let space = Namespace::alone("machine")?;
    let listen: SocketAddr = "127.0.0.1:8080".parse().context("an address")?;
    let names: Vec<String> = (1..=SITES).map(|number| format!("xa-{number}")).collect();
    let sites: Vec<Site> = names.iter().map(|name| Site::commune(name)).collect();
    let equipped: Vec<&str> = names.iter().map(String::as_str).collect();
    // Small segments, so that the journal rolls and is trimmed while this goes on.
    let config = "journal:\n  segment: 1MiB\n  limit: 64MiB\n";
    let mut collector = Collector::prepare(&scene, listen, config, &sites, &equipped)?.inside(&space);
    collector.start()?;

    let senders: Vec<Sender> = names
        .iter()
        .map(|site| {
            Ok(Sender {
                site: site.clone(),
                bearer: collector.bearer(site)?,
                acknowledged: AtomicI64::new(0),
                refused: Mutex::new(Vec::new()),
            })
        })
        .collect::<Result<_>>()?;
    let base = (clock::unix_millis() / ROUND - 5 * 86_400) * ROUND;
    let stop = AtomicBool::new(false);
    let mut random = SmallRng::seed_from_u64(20);
    std::thread::scope(|scope| {
        for sender in &senders {
            scope.spawn(|| {
                space.within(|| {
                    sender.run(listen, base, &stop);
                    Ok(())
                })
            });
        }
        let killed = kill_and_check(&mut collector, &senders, base, &mut random);
        stop.store(true, Ordering::Relaxed);
        killed
    })?;
    for sender in &senders {
        let acknowledged = sender.acknowledged.load(Ordering::Relaxed);
        sender.check(&collector, base, acknowledged).context("at the end")?;
        let refused = sender.refused.lock().map_err(|_| anyhow!("a sender panicked"))?;
        ensure!(refused.is_empty(), "{}: {refused:?}", sender.site);
        println!("{}: {acknowledged} rounds acknowledged, all there once", sender.site);
    }
    // A clean stop and start changes nothing either.
    collector.stop()?;
    collector.start()?;
    for sender in &senders {
        sender
            .check(&collector, base, sender.acknowledged.load(Ordering::Relaxed))
            .context("after a clean restart")?;
    }
    collector.stop()?;
    scene.passed();
    Ok(())
}

fn kill_and_check(
    collector: &mut Collector,
    senders: &[Sender],
    base: i64,
    random: &mut SmallRng,
) -> Result<()> {
    for kill in 1..=KILLS {
        let sum = || senders.iter().map(|sender| sender.acknowledged.load(Ordering::Relaxed)).sum::<i64>();
        let before = sum();
        eventually("the load goes on", Duration::from_secs(60), || {
            ensure!(sum() > before, "no round was acknowledged");
            Ok(())
        })?;
        std::thread::sleep(Duration::from_millis(random.random_range(150..700)));
        collector.kill()?;
        // Read after the kill: what was acknowledged up to now must survive it.
        let acknowledged: Vec<i64> =
            senders.iter().map(|sender| sender.acknowledged.load(Ordering::Relaxed)).collect();
        collector.start().with_context(|| format!("start after kill {kill}"))?;
        for (sender, acknowledged) in senders.iter().zip(acknowledged) {
            sender.check(collector, base, acknowledged).with_context(|| format!("after kill {kill}"))?;
        }
    }
    Ok(())
}
