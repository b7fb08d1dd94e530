//! What the agents make of the truth: rounds of five packets, in the order in which they arrive at the collector.
//!
//! A round whose packets meet a change is classified packet by packet; rounds that all show the same are one [`Seen`], as long as they
//! follow one another.

use wan_collector::ledger::span::Spans;
use wan_wire::{Outcome, OutcomeRule, RoundFacts, Rtt, UnixMillis, classify};

use super::random::Random;
use super::times::{Times, walk};
use super::truth::{HOUR, SECOND, START, Site, Truth};

/// Five packets, one a second.
pub(crate) const ROUND: i64 = 5 * SECOND;
const PACKETS: i64 = 5;

/// When a link carries nothing, and when it loses two packets of five (a part of `down` may be in it, and does not count).
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    pub(crate) down: Times,
    pub(crate) bad: Times,
}

/// What the network is for those who stand at a site, and for those who look at its router from the centre.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) lan: Network,
    pub(crate) wan: Network,
    pub(crate) internet: Network,
    pub(crate) service: Network,
    pub(crate) outside: Network,
    /// The path above the site.
    pub(crate) path: Network,
}

impl Truth {
    /// The networks of every site; parents come before their children.
    pub(crate) fn networks(&self) -> Vec<Networks> {
        let mut all: Vec<Networks> = Vec::with_capacity(self.sites.len());
        for site in &self.sites {
            let path = match site.parent.map(|parent| (&self.sites[parent], &all[parent])) {
                None => Network::default(),
                // Behind the centre lies its LAN, in which the data centre is.
                Some((parent, nets)) if parent.parent.is_none() => {
                    Network { down: nets.wan.down.clone(), bad: nets.wan.bad.clone() }
                }
                Some((_, nets)) => Network { down: nets.outside.down.clone(), bad: nets.outside.bad.clone() },
            };
            let lan = Network { down: site.lan_down.or(&site.router_off), bad: site.lan_bad.clone() };
            let outside = Network {
                down: site.line_down.or(&site.router_off).or(&path.down),
                bad: site.line_bad.or(&path.bad),
            };
            let wan = Network { down: outside.down.or(&lan.down), bad: outside.bad.or(&lan.bad) };
            let mut internet = Network { down: lan.down.or(&site.isp_down), bad: lan.bad.or(&site.isp_bad) };
            if site.one_line {
                internet.down = internet.down.or(&site.line_down);
                internet.bad = internet.bad.or(&site.line_bad);
            }
            let service = Network { down: wan.down.or(&self.system_down), bad: wan.bad.clone() };
            all.push(Networks { lan, wan, internet, service, outside, path });
        }
        all
    }
}

/// Rounds one after another that show the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Net {
    Up,
    Bad,
    Down,
}

/// All rounds of one observer about one link that ever arrive, dated by its clock.
pub(crate) fn rounds(observer: &Site, end: i64, network: &Network, phase: i64) -> Vec<Seen> {
    let mut steps: Vec<(i64, Net, bool)> = Vec::new();
    walk([&network.down, &network.bad, &observer.fault], START, end, |_, until, [down, bad, fault]| {
        let net = if down {
            Net::Down
        } else if bad {
            Net::Bad
        } else {
            Net::Up
        };
        steps.push((until, net, fault));
    });
    let lost = observer.lost_collector.or(&observer.lost_agent);
    let mut seen = Vec::new();
    let mut step = 0;
    for &(started, stopped) in observer.running(end).as_slice() {
        let mut at = started + phase;
        let error = observer.clock_at(started);
        while at + ROUND <= stopped {
            while steps[step].0 <= at {
                step += 1;
            }
            let (until, net, fault) = steps[step];
            let whole = (until.min(stopped) - at) / ROUND;
            let (rounds, outcome) = if whole > 0 {
                (whole, if fault { Outcome::Fault } else { outcome(PACKETS, answered(PACKETS, net)) })
            } else {
                (1, if fault { Outcome::Fault } else { partial(&steps[step..], at) })
            };
            let next = at + rounds * ROUND;
            for &(start, end) in lost.gaps(at, next).as_slice() {
                // A round of which a part is lost is lost.
                let first = at + (start - at + ROUND - 1) / ROUND * ROUND;
                let last = at + (end - at) / ROUND * ROUND;
                if first < last {
                    seen.push(Seen { start: first + error, end: last + error, outcome });
                }
            }
            at = next;
        }
    }
    seen
}

/// A round that meets a change.
fn partial(steps: &[(i64, Net, bool)], start: i64) -> Outcome {
    let mut received = 0;
    for packet in 0..PACKETS {
        let at = start + packet * SECOND;
        let net = steps.iter().find(|step| step.0 > at).map_or(Net::Up, |step| step.1);
        received += match net {
            Net::Up => 1,
            Net::Bad => i64::from(packet % 2 == 0),
            Net::Down => 0,
        };
    }
    outcome(PACKETS, received)
}

/// Of a bad network's five packets the second and the fourth are lost.
fn answered(packets: i64, net: Net) -> i64 {
    match net {
        Net::Up => packets,
        Net::Bad => (packets + 1) / 2,
        Net::Down => 0,
    }
}

fn outcome(sent: i64, received: i64) -> Outcome {
    let count = |packets: i64| u32::try_from(packets).unwrap_or(0);
    let rtt = Rtt { min: 0.01, median: 0.01, mean: 0.01, max: 0.01 };
    let rtt = (received > 0).then_some(rtt);
    let facts = RoundFacts { sent: count(sent), received: count(received), rtt, fault: false };
    classify(&facts, &OutcomeRule { c1: OutcomeRule::DEFAULT_C1, rtt_limit: None })
}

/// The evidence when rounds come as they do in life: what cannot be sent waits, and then the newest comes first, some of it twice.
pub(crate) fn as_it_comes(seen: &[Seen], cut_off: &Times) -> Spans {
    // When a piece arrives; of one backlog the newest first.
    let mut arrivals: Vec<(i64, i64, Seen)> = Vec::with_capacity(seen.len());
    for seen in seen {
        let mut at = seen.start;
        while at < seen.end {
            // At most an hour: a run is as many pushes, not one.
            let until = seen.end.min(at + HOUR);
            let next = cut_off.as_slice().partition_point(|period| period.1 <= at);
            let (end, arrival, order) = match cut_off.as_slice().get(next) {
                Some(&(from, to)) if from <= at => (until.min(to), to, -at),
                Some(&(from, _)) => (until.min(from), until.min(from), at),
                None => (until, until, at),
            };
            arrivals.push((arrival, order, Seen { start: at, end, outcome: seen.outcome }));
            at = end;
        }
    }
    arrivals.sort_unstable_by_key(|(arrival, order, seen)| (*arrival, *order, seen.start));
    let mut spans = Spans::new();
    for (index, (_, _, seen)) in arrivals.iter().enumerate() {
        let again = if index % 7 == 0 { 2 } else { 1 };
        for _ in 0..again {
            spans.paint(UnixMillis(seen.start), UnixMillis(seen.end), seen.outcome);
        }
    }
    spans
}

/// The evidence when everything comes in any order, cut anyhow, and one piece in three twice.
pub(crate) fn shuffled(seen: &[Seen], random: &mut Random) -> Spans {
    let mut pieces: Vec<Seen> = Vec::with_capacity(seen.len() * 2);
    for &Seen { start, end, outcome } in seen {
        let cut = start + random.between(0, (end - start) / ROUND + 1) * ROUND;
        pieces.push(Seen { start, end: cut, outcome });
        pieces.push(Seen { start: cut, end, outcome });
        if random.chance(33) {
            pieces.push(Seen { start, end, outcome });
        }
    }
    random.shuffle(&mut pieces);
    let mut spans = Spans::new();
    for piece in pieces {
        spans.paint(UnixMillis(piece.start), UnixMillis(piece.end), piece.outcome);
    }
    spans
}
