//! A year of alerts against known truth: loss, bursts, outages, restarts of the collector and cuts of the centre, from a seed.
//!
//! Packets, rounds and pushes are made as agents make them: the centre's agent asks each router five times in two and a half seconds, a site's
//! agent makes rounds of five seconds and pushes each when its last packet was answered or given up, and a push that meets loss is
//! sent again by TCP's timers (RFC 6298: 200 ms on Linux, doubled each time). All that arrives goes through the state as the engine applies it; the
//! province is looked at twice a second.
//!
//! Nothing can happen in the time between two events (ten packets in a row are lost by chance once in 10¹⁷), so only the time around events is
//! gone through.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wan_wire::{Outcome, SiteId, UnixMillis};

use super::correct::Said;
use super::hindsight;
use super::machine::{Key, Machine, Orders, Settings};
use super::notice::{AlertId, Event, Rule, Severity, Subject};
use super::observe::{Memory, Own, observe};
use super::record::Record;
use crate::config::Config;
use crate::counters::Counters;
use crate::engine::{Painting, apply};
use crate::inventory::{Link, Register, Site, Watches};
use crate::planned::Planned;
use crate::province::Province;
use crate::state::{Latest, State};
use crate::store::{AgentSecret, Rotation, Snapshot};

const BEGIN: i64 = 1_795_000_000_000;
const LOSS: f64 = 0.02;
const TICK: i64 = 500;

/// How agents probe, and what the collector makes of it, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// A site's own rounds, and the time between two packets.
    own: (i64, i64),
    /// The centre's.
    watch: (i64, i64),
    /// How long an answer may take.
    timeout: i64,
    /// So long the centre must have seen a site down: `ingest.confirm`.
    confirm: u64,
}

/// What holds unless it is configured.
const USUAL: Pace = Pace { own: (5_000, 1_000), watch: (2_500, 500), timeout: 1_000, confirm: 4_500 };
/// The profile of one second of deploy/alerts.md.
const QUICK: Pace = Pace { own: (1_000, 200), watch: (500, 166), timeout: 300, confirm: 1_500 };

/// What arrives at the collector at a time.
#[derive(Debug, Clone)]
struct Arrival {
    by: usize,
    of: usize,
    link: &'static str,
    start: i64,
    end: i64,
    outcome: Outcome,
    is_push: bool,
}

/// What is wrong when.
#[derive(Debug, Clone, Default)]
struct Truth {
    /// By site: bursts and outages.
    dead: BTreeMap<usize, Vec<(i64, i64)>>,
    /// The collector does not run.
    stopped: Vec<(i64, i64)>,
    /// The centre's uplink is cut.
    cut: Vec<(i64, i64)>,
}

fn within(spans: &[(i64, i64)], at: i64) -> bool {
    spans.iter().any(|(start, end)| *start <= at && at < *end)
}

impl Truth {
    /// Whether a packet between a site and the centre is lost at a time.
    fn loses(&self, site: usize, at: i64, dice: &mut StdRng) -> bool {
        let dead = self.dead.get(&site).is_some_and(|spans| within(spans, at));
        dead || within(&self.cut, at) || dice.random_bool(LOSS)
    }
}

/// One stretch of time in a province of so many sites, the centre not counted.
struct Stretch {
    pace: Pace,
    sites: usize,
    /// The sites behind the first one.
    behind: BTreeSet<usize>,
    truth: Truth,
    length: i64,
}

/// What was told: when, what, of which site; the beginning by the evidence.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    at: i64,
    event: Event,
    key: Key,
    since: i64,
    until: Option<i64>,
}

fn id(site: usize) -> SiteId {
    if site == 0 { "trung-tam".parse().unwrap() } else { format!("xa-{site}").parse().unwrap() }
}

impl Stretch {
    fn state(&self, started: i64) -> State {
        let mut config = Config::default();
        config.ingest.confirm = Duration::from_millis(self.pace.confirm);
        let state = State::new(config, Some(UnixMillis(started)), Arc::new(Counters::new().unwrap()));
        let site = |number: usize| Site {
            parent: self.behind.contains(&number).then(|| id(1)),
            watches: if number == 0 { Watches::All } else { Watches::None },
            links: vec![Link::named("wan".parse().unwrap())],
            ..Site::named(
                id(number),
                id(number).as_str(),
                "commune".parse().unwrap(),
                "state".parse().unwrap(),
            )
        };
        let secret = |number: usize| AgentSecret {
            site: id(number),
            hash: {
                let mut hash = [0; 32];
                hash[..8].copy_from_slice(&number.to_le_bytes());
                hash
            },
            issued: UnixMillis(BEGIN - 86_400_000),
            revoked: None,
        };
        state.replace_register(Snapshot {
            revision: 1,
            register: Register::new((0..=self.sites).map(site)).unwrap(),
            secrets: (0..=self.sites).map(secret).collect(),
            rotation: Rotation::default(),
            planned: Planned::default(),
        });
        state
    }

    /// All that arrives, by time.
    fn arrivals(&self, dice: &mut StdRng) -> BTreeMap<i64, Vec<Arrival>> {
        let mut arrivals: BTreeMap<i64, Vec<Arrival>> = BTreeMap::new();
        let mut centre_free = i64::MIN;
        let Pace { own, watch, timeout, .. } = self.pace;
        let phase = dice.random_range(0..watch.0);
        for start in (BEGIN - phase..BEGIN + self.length).step_by(usize::try_from(watch.0).unwrap()) {
            let mut lost_any = false;
            let mut found = Vec::new();
            for site in 1..=self.sites {
                let (outcome, lost) = self.round(start, watch, |at| self.truth.loses(site, at, dice));
                lost_any |= lost > 0;
                found.push((site, "wan", outcome));
            }
            // The centre's own Internet line is cut with its uplink.
            let uplink =
                if within(&self.truth.cut, start + watch.0 / 2) { Outcome::Down } else { Outcome::Up };
            found.push((0, "internet", uplink));
            let end = start + watch.0;
            // The last packet goes a spacing before the end; what was lost is given up some time later.
            let ready = if lost_any { end - watch.1 + timeout } else { end + 20 };
            let at = self.heard(ready.max(centre_free), 0, dice, true);
            centre_free = at;
            for (of, link, outcome) in found {
                let arrival = Arrival { by: 0, of, link, start, end, outcome, is_push: true };
                arrivals.entry(at).or_default().push(arrival);
            }
        }
        for site in 1..=self.sites {
            let phase = dice.random_range(0..own.0);
            let mut free = i64::MIN;
            for start in (BEGIN - phase..BEGIN + self.length).step_by(usize::try_from(own.0).unwrap()) {
                let (outcome, lost) = self.round(start, own, |at| self.truth.loses(site, at, dice));
                let end = start + own.0;
                let ready = if lost > 0 { end - own.1 + timeout + 20 } else { end + 20 };
                let at = self.heard(ready.max(free), site, dice, false);
                free = at;
                let arrival = Arrival { by: site, of: site, link: "wan", start, end, outcome, is_push: true };
                arrivals.entry(at).or_default().push(arrival);
            }
        }
        arrivals
    }

    fn round(
        &self,
        start: i64,
        (length, spacing): (i64, i64),
        mut loses: impl FnMut(i64) -> bool,
    ) -> (Outcome, i64) {
        let packets = length / spacing;
        let lost = (0..packets).filter(|packet| loses(start + packet * spacing)).count();
        let lost = i64::try_from(lost).unwrap();
        let outcome = match lost {
            _ if lost == packets => Outcome::Down,
            _ if lost * 5 > packets => Outcome::Degraded,
            _ => Outcome::Up,
        };
        (outcome, lost)
    }

    /// When a push that is ready at a time is taken: sent again at 0.2, 0.6, 1.4, 3.0, 6.2 … s until it gets through, and given up and tried
    /// anew after ten seconds.
    fn heard(&self, ready: i64, by: usize, dice: &mut StdRng, local: bool) -> i64 {
        let mut attempt = ready;
        loop {
            let (mut at, mut timer) = (attempt, 200);
            while at - attempt < 10_000 {
                let stopped = within(&self.truth.stopped, at);
                if !stopped && (local || !self.truth.loses(by, at, dice)) {
                    return at + 5;
                }
                if stopped {
                    // Refused at once; tried again after a second or two.
                    break;
                }
                at += timer;
                timer *= 2;
            }
            attempt = at.max(attempt) + dice.random_range(200..1500);
        }
    }

    fn run(&self, dice: &mut StdRng) -> Vec<Told> {
        self.run_whole(dice).0
    }

    /// What was told, and all that the collector knows in the end.
    fn run_whole(&self, dice: &mut StdRng) -> (Vec<Told>, State) {
        let mut arrivals = self.arrivals(dice);
        let mut state = self.state(BEGIN - 3_600_000);
        let (mut machine, mut memory, settings) =
            (Machine::default(), Memory::default(), Settings::default());
        let mut told = Vec::new();
        let mut kept: Vec<Arrival> = Vec::new();
        // All was well before.
        for site in 0..=self.sites {
            let before = |by, link| Arrival {
                by,
                of: site,
                link,
                start: BEGIN - self.pace.own.0,
                end: BEGIN - self.pace.watch.0 - 100,
                outcome: Outcome::Up,
                is_push: by == site,
            };
            kept.push(before(site, if site == 0 { "internet" } else { "wan" }));
            if site > 0 {
                kept.push(before(0, "wan"));
            }
        }
        for arrival in &kept {
            take(&state, arrival, BEGIN);
        }
        let mut was_stopped = false;
        for now in (BEGIN..BEGIN + self.length).step_by(usize::try_from(TICK).unwrap()) {
            if within(&self.truth.stopped, now) {
                was_stopped = true;
                continue;
            }
            if was_stopped {
                // What was stored is read again; when pushes were received is not.
                was_stopped = false;
                state = self.state(now);
                memory = Memory::default();
                for arrival in &kept {
                    take(&state, &Arrival { is_push: false, ..arrival.clone() }, now);
                }
            }
            let later = arrivals.split_off(&(now + 1));
            for (at, arrived) in std::mem::replace(&mut arrivals, later) {
                for arrival in arrived {
                    take(&state, &arrival, at);
                    kept.push(arrival);
                }
            }
            let province = Province::of(&state, UnixMillis(now));
            let sight = observe(
                &province,
                &Own { certificate_ends: None, many: settings.many.at_least },
                &mut memory,
            );
            let orders = Orders { silenced: &|_| false, acknowledged: &|_| false };
            for telling in machine.tick(&sight, &orders, &settings, UnixMillis(now)).tellings {
                let (event, key) = (telling.event, telling.key);
                let until = telling.until.map(|at| at.0);
                told.push(Told { at: now, event, key, since: telling.since.0, until });
            }
        }
        (told, state)
    }
}

fn take(state: &State, arrival: &Arrival, at: i64) {
    let directory = state.directory();
    let (by, of) = (&directory.runtimes[&id(arrival.by)], &directory.runtimes[&id(arrival.of)]);
    let track = of.track(&arrival.link.parse().unwrap(), &id(arrival.by)).unwrap();
    let latest = Latest {
        end: UnixMillis(arrival.end),
        interval_ms: arrival.end - arrival.start,
        sent: 5,
        received: 5,
        rtt_median: None,
        outcome: arrival.outcome,
    };
    let painting = Painting {
        about: (arrival.by != arrival.of).then(|| Arc::clone(of)),
        track,
        start: UnixMillis(arrival.start),
        end: UnixMillis(arrival.end),
        outcome: arrival.outcome,
        latest,
    };
    if arrival.is_push {
        apply(by, UnixMillis(at), vec![painting], None, Vec::new());
    } else {
        of.evidence_mut().paint(&painting);
    }
}

/// Bursts of loss of up to `longest`, on top of two per cent at all times: `count` of them, ten in each stretch.
fn bursts(pace: Pace, seed: u64, count: usize, longest: i64) {
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..count.div_ceil(10) {
        let mut truth = Truth::default();
        for burst in 0..10 {
            let start = BEGIN + 20_000 + burst * 30_000 + dice.random_range(0..5_000);
            let length = dice.random_range(200..=longest);
            truth.dead.entry(1).or_default().push((start, start + length));
        }
        let stretch = Stretch { pace, sites: 1, behind: BTreeSet::new(), truth, length: 330_000 };
        let told = stretch.run(&mut dice);
        assert_eq!(told, [], "{:?}", stretch.truth.dead);
    }
}

#[test]
fn bursts_of_loss_are_no_outage() {
    bursts(USUAL, 1, 300, 3_000);
}

#[test]
fn bursts_of_a_second_are_no_outage_to_the_profile_of_one_second() {
    bursts(QUICK, 6, 300, 1_000);
}

/// A year of 300 sites, told no wrong word and missing none: a burst a day at each site, an outage a month at each, 30 restarts of the
/// collector, 12 cuts of the centre's uplink and 12 of a hub, with all sites there.
#[test]
#[ignore = "a measurement: some minutes, optimised; see tests/bench/README.md"]
fn a_year_of_three_hundred_sites() {
    soon(outages(USUAL, 12, 300 * 12));
    befallen(13, 300, 30, 12);
    hubs(14, 300, 12);
    bursts(USUAL, 11, 300 * 365, 3_000);
}

#[test]
fn every_outage_is_told_once_and_soon() {
    soon(outages(USUAL, 3, 30));
}

fn soon((fired, resolved): ((i64, i64), (i64, i64))) {
    assert!(fired.0 <= 8_000 && fired.1 <= 15_000, "{fired:?}");
    assert!(resolved.0 <= 5_000, "{resolved:?}");
}

#[test]
fn every_outage_is_told_once_and_within_seconds_by_the_profile_of_one_second() {
    let (fired, resolved) = outages(QUICK, 7, 30);
    assert!(fired.0 <= 2_500 && fired.1 <= 4_000, "{fired:?}");
    assert!(resolved.0 <= 2_500, "{resolved:?}");
}

/// Outages of half a minute and more at sites of their own, in a province that loses two per cent: each told once. How long after its
/// beginning and its end: median and most.
fn outages(pace: Pace, seed: u64, count: usize) -> ((i64, i64), (i64, i64)) {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut fired, mut resolved) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let start = BEGIN + 20_000 + dice.random_range(0..5_000);
        let end = start + dice.random_range(30_000..120_000);
        let truth = Truth { dead: BTreeMap::from([(2, vec![(start, end)])]), ..Truth::default() };
        let stretch = Stretch { pace, sites: 6, behind: BTreeSet::from([2, 3, 4]), truth, length: 190_000 };
        let (told, state) = stretch.run_whole(&mut dice);
        told_once(&told, 2, start, pace);
        // What was told holds when all is known: an outage like any other needs no correction.
        let record = record_of(&told[0], &told[1]);
        let province = Province::of(&state, UnixMillis(BEGIN + stretch.length));
        let found = hindsight::look(&record, &province).unwrap().said;
        assert_eq!(Some(found), record.said().map(|said| Said { cause: found.cause, ..said }));
        assert!((found.until.0 - end).abs() <= 2 * (pace.own.0 + pace.watch.0), "{found:?} at {end}");
        fired.push(told[0].at - start);
        resolved.push(told[1].at - end);
    }
    let summed = |values: &mut Vec<i64>| {
        values.sort_unstable();
        (values[values.len() / 2], values[values.len() - 1])
    };
    let (fired, resolved) = (summed(&mut fired), summed(&mut resolved));
    println!(
        "{count} outages at {pace:?}: told after (median, most) {fired:?} ms, over after {resolved:?} ms"
    );
    (fired, resolved)
}

/// One alert of a site that began at a time, and one word when it was over.
fn told_once(told: &[Told], site: usize, start: i64, pace: Pace) {
    let events: Vec<Event> = told.iter().map(|told| told.event).collect();
    assert_eq!(events, [Event::Fired, Event::Resolved], "{told:?}");
    let key = Key { rule: Rule::SiteOffline, subject: Subject::Site { site: id(site) } };
    assert!(told.iter().all(|told| told.key == key), "{told:?}");
    assert!((told[0].since - start).abs() <= pace.own.0 + pace.watch.0, "{told:?} at {start}");
}

fn record_of(fired: &Told, over: &Told) -> Record {
    let Key { rule, subject } = fired.key.clone();
    let id = AlertId::of(rule, &subject, UnixMillis(fired.at));
    Record {
        since: UnixMillis(over.since),
        until: over.until.map(UnixMillis),
        told: Some(UnixMillis(over.at)),
        ..Record::begun(id, rule, subject, Severity::Critical, UnixMillis(fired.at))
    }
}

#[test]
fn a_hub_that_is_cut_is_one_notice_at_any_phase() {
    hubs(4, 40, 6);
}

/// A hub with all that is behind it, and a site that is not: one alert, and one word when it is over.
fn hubs(seed: u64, sites: usize, cuts: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..cuts {
        let start = BEGIN + 20_000 + dice.random_range(0..5_000);
        let dead = (1..=sites).map(|site| (site, vec![(start, start + 60_000)])).collect();
        let stretch = Stretch {
            pace: USUAL,
            sites: sites + 1,
            behind: (2..=sites).collect(),
            truth: Truth { dead, ..Truth::default() },
            length: 140_000,
        };
        let told = stretch.run(&mut dice);
        told_once(&told, 1, start, USUAL);
        assert!(told[0].at - start <= 15_000, "{told:?}");
    }
    println!("{cuts} cuts of a hub of {sites} sites: each told once, in time");
}

#[test]
fn what_befalls_the_monitor_is_no_outage_of_sites() {
    befallen(5, 12, 6, 6);
}

/// The collector's own stops and the cuts of the centre's uplink: not one word about a site that was there, and no second one about the
/// one that was down before, all the while, and after.
fn befallen(seed: u64, sites: usize, stops: usize, cuts: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    for event in 0..stops + cuts {
        let start = BEGIN + 45_000 + dice.random_range(0..5_000);
        let end = start + dice.random_range(2_000..60_000);
        let is_cut = event < cuts;
        let mut truth = Truth::default();
        if is_cut {
            truth.cut = vec![(start, end)];
        } else {
            truth.stopped = vec![(start, end)];
        }
        let down = start - dice.random_range(15_500..25_000);
        truth.dead = BTreeMap::from([(2, vec![(down, end + 40_000)])]);
        let stretch = Stretch { pace: USUAL, sites, behind: BTreeSet::new(), truth, length: 185_000 };
        let told = stretch.run(&mut dice);
        let blind = |told: &&Told| told.key.rule == Rule::CollectorBlind;
        let of_sites: Vec<Told> = told.iter().filter(|told| !blind(told)).cloned().collect();
        told_once(&of_sites, 2, down, USUAL);
        let blind: Vec<Event> = told.iter().filter(blind).map(|told| told.event).collect();
        if is_cut && end - start > 30_000 {
            assert_eq!(blind, [Event::Fired, Event::Resolved], "{:?}", stretch.truth);
        }
        assert!(is_cut || blind.is_empty(), "a restart is told to nobody");
    }
    println!(
        "{stops} restarts and {cuts} cuts of the centre with {sites} sites: nothing false, nothing missed"
    );
}
