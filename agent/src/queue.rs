//! Rounds that wait for the collector: what to keep, what to send next. Pure.
//!
//! The unit is one link's round, which is never divided: a round split over requests gives no evidence. Rounds that were
//! never tried are *fresh* and go first, so that the present is right at once; what an outage left behind is the *backlog* and
//! follows oldest first. A full queue drops the oldest and says which span is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wan_wire::{Round, RoundFacts, UnixMillis};

use crate::plan::Series;
use crate::watch::LinkRound;

/// One link's round as it waits: strings are shared with the plan.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place in the queue's order, never used again.
    pub id: u64,
    /// When the round ended.
    pub end: UnixMillis,
    /// How long it was.
    pub interval: Duration,
    /// Its targets.
    pub targets: Vec<(Arc<Series>, RoundFacts)>,
}

impl Item {
    /// Its rounds in the wire's form.
    pub fn rounds(&self) -> impl Iterator<Item = Round> {
        self.targets.iter().map(|(series, facts)| Round {
            link: series.link.clone(),
            probe: series.probe,
            target: series.target.clone(),
            about: series.about.clone(),
            end: self.end,
            interval: self.interval,
            facts: *facts,
        })
    }

    /// Samples that its rounds make on the wire.
    pub fn samples(&self) -> u64 {
        let of = |facts: &RoundFacts| 3 + if facts.rtt.is_some() { 4 } else { 0 } + u64::from(facts.fault);
        self.targets.iter().map(|(_, facts)| of(facts)).sum()
    }

    /// When the round began.
    pub fn start(&self) -> UnixMillis {
        self.end.minus(self.interval)
    }

    /// Memory that it takes, near enough: the bound is on the whole, not on a byte.
    fn bytes(&self) -> u64 {
        let bytes = size_of::<Waiting>() + self.targets.capacity() * size_of::<(Arc<Series>, RoundFacts)>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, Clone)]
struct Waiting {
    item: Item,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Never tried.
    Fresh,
    /// Tried in vain, or left behind by newer ones.
    Backlog,
    /// In a request that is under way.
    UnderWay,
}

/// What a full queue had to drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The start of the oldest round dropped.
    pub from: UnixMillis,
    /// The end of the newest round dropped.
    pub to: UnixMillis,
    /// Samples dropped.
    pub samples: u64,
}

/// Rounds that wait for the collector.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    next_id: u64,
    bytes: u64,
    most_bytes: u64,
    dropped_samples: u64,
}

impl Queue {
    /// An empty queue of at most `most_bytes`.
    pub fn new(most_bytes: u64) -> Queue {
        Queue { waiting: VecDeque::new(), next_id: 0, bytes: 0, most_bytes, dropped_samples: 0 }
    }

    /// Adds a link's round; drops the oldest when the queue is over its bound.
    pub fn push(&mut self, round: &LinkRound) -> Option<Dropped> {
        let targets = round.targets.iter().map(|target| (Arc::clone(&target.series), target.facts)).collect();
        let item = Item { id: self.next_id, end: round.end.apparent(), interval: round.interval, targets };
        self.next_id += 1;
        self.bytes += item.bytes();
        self.waiting.push_back(Waiting { item, state: State::Fresh });
        self.shrink()
    }

    /// The fresh rounds, newest first, at most `most` target rounds (but at least one link's); what does not fit is backlog
    /// from now on.
    pub fn take_fresh(&mut self, most: usize) -> Vec<Item> {
        let mut taken = Vec::new();
        let mut count = 0;
        for waiting in self.waiting.iter_mut().rev().filter(|waiting| waiting.state == State::Fresh) {
            count += waiting.item.targets.len();
            if taken.is_empty() || count <= most {
                waiting.state = State::UnderWay;
                taken.push(waiting.item.clone());
            } else {
                waiting.state = State::Backlog;
            }
        }
        taken
    }

    /// The oldest of the backlog, at most `most` target rounds (but at least one link's).
    pub fn take_backlog(&mut self, most: usize) -> Vec<Item> {
        let mut taken: Vec<Item> = Vec::new();
        let mut count = 0;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.state == State::Backlog) {
            count += waiting.item.targets.len();
            if !taken.is_empty() && count > most {
                break;
            }
            waiting.state = State::UnderWay;
            taken.push(waiting.item.clone());
        }
        taken
    }

    /// The collector has these, or will never take them: they leave the queue.
    pub fn remove(&mut self, items: &[Item]) {
        for item in items {
            // Ids ascend from front to back.
            if let Ok(at) = self.waiting.binary_search_by_key(&item.id, |waiting| waiting.item.id) {
                self.bytes -= self.waiting[at].item.bytes();
                self.waiting.remove(at);
            }
        }
        if self.waiting.is_empty() {
            // After an outage the memory is given back.
            self.waiting.shrink_to(64);
        }
    }

    /// These were not delivered: they are backlog.
    pub fn put_back(&mut self, items: &[Item]) {
        for item in items {
            if let Ok(at) = self.waiting.binary_search_by_key(&item.id, |waiting| waiting.item.id) {
                self.waiting[at].state = State::Backlog;
            }
        }
    }

    /// No request is under way any longer: what was, is fresh again.
    pub fn end_all_under_way(&mut self) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.state == State::UnderWay) {
            waiting.state = State::Fresh;
        }
    }

    /// Whether anything waits that is not under way.
    pub fn has_waiting(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.state != State::UnderWay)
    }

    /// Bytes that wait, those under way included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Target rounds that wait, those under way included.
    pub fn rounds(&self) -> usize {
        self.waiting.iter().map(|waiting| waiting.item.targets.len()).sum()
    }

    /// The end of the oldest round that waits.
    pub fn oldest(&self) -> Option<UnixMillis> {
        self.waiting.front().map(|waiting| waiting.item.end)
    }

    /// Samples dropped since the start.
    pub fn dropped_samples(&self) -> u64 {
        self.dropped_samples
    }

    fn shrink(&mut self) -> Option<Dropped> {
        let mut dropped: Option<Dropped> = None;
        let mut at = 0;
        // What is under way may be at the collector already; it is not dropped from under its request.
        while self.bytes > self.most_bytes && at < self.waiting.len() {
            if self.waiting[at].state == State::UnderWay {
                at += 1;
                continue;
            }
            let Some(Waiting { item, .. }) = self.waiting.remove(at) else { break };
            self.bytes -= item.bytes();
            self.dropped_samples += item.samples();
            let so_far = dropped.unwrap_or(Dropped { from: item.start(), to: item.end, samples: 0 });
            dropped = Some(Dropped {
                from: so_far.from.min(item.start()),
                to: so_far.to.max(item.end),
                samples: so_far.samples + item.samples(),
            });
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wan_wire::{LinkKind, OutcomeRule, ProbeKind};

    use super::*;
    use crate::clock::Stamp;
    use crate::watch::TargetResult;

    fn round(number: i64, targets: usize) -> LinkRound {
        let result = |at: usize| TargetResult {
            series: Arc::new(Series {
                link: LinkKind::Wan.into(),
                probe: ProbeKind::Icmp,
                target: format!("10.0.0.{at}"),
                about: None,
            }),
            facts: RoundFacts { sent: 5, ..RoundFacts::default() },
            note: None,
        };
        LinkRound {
            link: LinkKind::Wan.into(),
            rule: OutcomeRule::default(),
            end: Stamp::at(UnixMillis(5000 * number)),
            interval: Duration::from_secs(5),
            targets: (0..targets).map(result).collect(),
        }
    }

    fn ends(items: &[Item]) -> Vec<i64> {
        items.iter().map(|item| item.end.0 / 5000).collect()
    }

    #[test]
    fn after_an_outage_the_newest_goes_first_and_the_backlog_follows_oldest_first() {
        let mut queue = Queue::new(1 << 20);
        for number in 1..=6 {
            queue.push(&round(number, 10));
        }
        let live = queue.take_fresh(20);
        assert_eq!(ends(&live), [6, 5]);
        queue.remove(&live);
        queue.push(&round(7, 10));
        assert_eq!(ends(&queue.take_fresh(20)), [7]);
        let backlog = queue.take_backlog(20);
        assert_eq!(ends(&backlog), [1, 2]);
        queue.put_back(&backlog);
        assert_eq!(ends(&queue.take_backlog(5)), [1], "one link's round always goes, however large");
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_says_which_span() {
        let mut queue = Queue::new(1);
        assert!(queue.push(&round(1, 1)).is_some_and(|dropped| dropped.samples == 3));
        let one = {
            let mut probe = Queue::new(u64::MAX);
            probe.push(&round(1, 1));
            probe.bytes()
        };
        let mut queue = Queue::new(3 * one);
        assert!((1..=3).all(|number| queue.push(&round(number, 1)).is_none()));
        let dropped = queue.push(&round(4, 1)).unwrap();
        assert_eq!(dropped, Dropped { from: UnixMillis(0), to: UnixMillis(5000), samples: 3 });
        assert_eq!(queue.oldest(), Some(UnixMillis(10_000)));
        assert_eq!(queue.dropped_samples(), 3);
    }

    #[test]
    fn what_is_under_way_is_not_dropped() {
        let mut queue = Queue::new(u64::MAX);
        queue.push(&round(1, 1));
        let one = queue.bytes();
        queue.most_bytes = 2 * one;
        let under_way = queue.take_fresh(10);
        queue.push(&round(2, 1));
        let dropped = queue.push(&round(3, 1)).unwrap();
        assert_eq!(dropped.to, UnixMillis(10_000));
        queue.remove(&under_way);
        assert_eq!(queue.oldest(), Some(UnixMillis(15_000)));
    }

    #[test]
    fn the_documented_room_is_there() {
        let mut queue = Queue::new(crate::config::QueueConfig::default().memory);
        // Twenty targets in three links, rounds of five seconds.
        let hours = (0..)
            .find(|number| [8, 6, 6].map(|n| queue.push(&round(*number, n))).iter().any(Option::is_some));
        let hours = f64::from(u32::try_from(hours.unwrap()).unwrap()) * 5.0 / 3600.0;
        assert!((6.0..12.0).contains(&hours), "{hours} h");
    }

    proptest! {
        /// Whatever happens, each round is in exactly one place: waiting, under way, delivered or dropped; the bytes are those
        /// of what is there; and the bound holds but for what is under way.
        #[test]
        fn nothing_is_lost_or_doubled(steps in prop::collection::vec((0u8..5, 1usize..4), 1..200), most in 500u64..5000) {
            let mut queue = Queue::new(most);
            let mut under_way: Vec<Vec<Item>> = Vec::new();
            let (mut pushed, mut delivered, mut number) = (0u64, 0u64, 0);
            for (step, size) in steps {
                match step {
                    0 | 1 => {
                        number += 1;
                        let round = round(number, size);
                        pushed += 3 * round.targets.len() as u64;
                        queue.push(&round);
                    }
                    2 => under_way.push(queue.take_fresh(size)),
                    3 => under_way.push(queue.take_backlog(size)),
                    _ => if let Some(batch) = under_way.pop() {
                        if size == 1 {
                            queue.put_back(&batch);
                        } else {
                            delivered += batch.iter().map(Item::samples).sum::<u64>();
                            queue.remove(&batch);
                        }
                    }
                }
                let there: u64 = queue.waiting.iter().map(|waiting| waiting.item.samples()).sum();
                prop_assert_eq!(pushed, there + delivered + queue.dropped_samples());
                prop_assert_eq!(queue.bytes(), queue.waiting.iter().map(|waiting| waiting.item.bytes()).sum::<u64>());
                let held: u64 = queue
                    .waiting
                    .iter()
                    .filter(|waiting| waiting.state == State::UnderWay)
                    .map(|waiting| waiting.item.bytes())
                    .sum();
                prop_assert!(queue.bytes() <= most.max(held));
            }
        }
    }
}
