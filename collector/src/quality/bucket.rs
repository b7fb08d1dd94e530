//! One bucket: what the rounds of a target showed over a minute, an hour, or any longer time. Whole numbers throughout, so that
//! adding is commutative and associative to the last bit.

use wan_wire::{RoundFacts, Rtt};

use super::histogram::Histogram;
use super::mos;

/// A round shorter than this is left out: a bucket knows its rounds by the second in which they end.
pub const SHORTEST_ROUND_MS: u32 = 1000;

/// The round-trip times of one round in microseconds, or of several together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// All of them together.
    pub sum: u64,
    /// How much each was longer than the shortest of its round, together; see [`Bucket::jitter`].
    pub over_min: u64,
    /// Of how many replies `over_min` tells: those of rounds with at least two.
    pub compared: u64,
    /// Each by its length.
    pub histogram: Histogram,
}

/// What rounds showed, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Packets sent.
    pub sent: u64,
    /// Packets answered.
    pub received: u64,
    /// Of the packets sent, those of rounds that got no answer at all: what evidence calls `down`. Rows of before this was counted know it
    /// only of a minute or hour that is silent as a whole.
    pub unanswered: u64,
    /// Their times; `None` exactly when `received` is 0.
    pub times: Option<Times>,
}

impl Bucket {
    /// What one round showed; `None` where it measured nothing: the instrument failed, or nothing was sent.
    #[must_use]
    pub fn of(facts: &RoundFacts) -> Option<Self> {
        if facts.fault || facts.sent == 0 {
            return None;
        }
        let times = facts.rtt.filter(|_| facts.received > 0).map(|rtt| Times::of(rtt, facts.received));
        let sent = u64::from(facts.sent);
        let (received, unanswered) = if times.is_some() { (u64::from(facts.received), 0) } else { (0, sent) };
        Some(Self { sent, received, unanswered, times })
    }

    /// Adds what other rounds showed.
    pub fn merge(&mut self, other: &Self) {
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        match (&mut self.times, &other.times) {
            (Some(times), Some(others)) => times.merge(others),
            (times @ None, Some(others)) => *times = Some(others.clone()),
            (Some(_) | None, None) => {}
        }
    }

    /// The share that was not answered, 0 to 1: the loss ratio (IPLR) of ITU-T Y.1540 §6.3, of the way there and back together.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.sent > 0).then(|| ratio(self.sent.saturating_sub(self.received), self.sent))
    }

    /// The same of the rounds that got any answer: what a link loses while it is not down. `None` where no round got one.
    #[must_use]
    pub fn loss_while_up(&self) -> Option<f64> {
        let sent = self.sent.saturating_sub(self.unanswered);
        (sent > 0).then(|| ratio(sent.saturating_sub(self.received), sent))
    }

    /// The mean round-trip time in seconds.
    #[must_use]
    pub fn rtt_mean(&self) -> Option<f64> {
        self.times.as_ref().map(|times| ratio(times.sum, self.received) / MICROS)
    }

    /// The shortest round-trip time in seconds.
    #[must_use]
    pub fn rtt_min(&self) -> Option<f64> {
        self.times.as_ref().map(|times| seconds(times.min))
    }

    /// The longest round-trip time in seconds.
    #[must_use]
    pub fn rtt_max(&self) -> Option<f64> {
        self.times.as_ref().map(|times| seconds(times.max))
    }

    /// The round-trip time in seconds that 95 % of the replies did not exceed, within 5 % (and 10 µs).
    #[must_use]
    pub fn rtt_p95(&self) -> Option<f64> {
        let times = self.times.as_ref()?;
        times.histogram.percentile(95).map(|micros| seconds(micros.clamp(times.min, times.max)))
    }

    /// Jitter in seconds: by how much a reply took longer than the shortest of its round, in the mean. That is the packet delay
    /// variation (PDV) of RFC 5481 §4.2, with a round as its interval and of the way there and back; not the smoothed
    /// difference of consecutive packets of RFC 3550 §6.4.1. `None` where no round had two replies.
    #[must_use]
    pub fn jitter(&self) -> Option<f64> {
        let times = self.times.as_ref().filter(|times| times.compared > 0)?;
        Some(ratio(times.over_min, times.compared) / MICROS)
    }

    /// The mean opinion score that a call over this link would have, estimated ([`mos`]); `None` where nothing was answered.
    #[must_use]
    pub fn mos(&self) -> Option<f64> {
        Some(mos::estimate(self.rtt_mean()?, self.jitter().unwrap_or(0.0), self.loss()?))
    }
}

impl Times {
    /// Of a round one knows the shortest, the median, the mean and the longest. Up to three replies these are all; of more, the
    /// inner ones are placed at the median (one, where they are odd), half-way between the shortest and the median, and where
    /// the mean then wants the rest. Only the histogram knows of this.
    fn of(rtt: Rtt, received: u32) -> Self {
        let count = u64::from(received);
        let min = micros(rtt.min);
        let max = micros(rtt.max).max(min);
        let median = micros(rtt.median).clamp(min, max);
        let sum = total(rtt.mean, received).clamp(min.saturating_mul(count), max.saturating_mul(count));
        let mut histogram = Histogram::default();
        histogram.add(min, 1);
        if count > 1 {
            histogram.add(max, 1);
        }
        let inner = count.saturating_sub(2);
        let half = inner / 2;
        histogram.add(median, inner % 2);
        if half > 0 {
            let low = min.midpoint(median);
            let placed = min + max + median * (inner % 2) + low.saturating_mul(half);
            histogram.add(low, half);
            histogram.add((sum.saturating_sub(placed) / half).clamp(median, max), half);
        }
        let compared = if count > 1 { count } else { 0 };
        let over_min = if count > 1 { sum - min.saturating_mul(count) } else { 0 };
        Self { min, max, sum, over_min, compared, histogram }
    }

    fn merge(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.over_min = self.over_min.saturating_add(other.over_min);
        self.compared = self.compared.saturating_add(other.compared);
        self.histogram.merge(&other.histogram);
    }
}

const MICROS: f64 = 1e6;

/// A round-trip time in whole microseconds; the wire has bounded it to an hour.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3.6e9; a cast saturates")]
fn micros(seconds: f64) -> u64 {
    (seconds * MICROS).round() as u64
}

/// All round-trip times of a round together, in microseconds: at most 3.6e15.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3.6e15; a cast saturates")]
pub(super) fn total(mean: f64, received: u32) -> u64 {
    (mean * MICROS * f64::from(received)).round() as u64
}

#[allow(clippy::cast_precision_loss, reason = "a figure of sixteen digits is exact enough")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn seconds(micros: u64) -> f64 {
    ratio(micros, 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sent: u32, received: u32, rtt: [f64; 4]) -> RoundFacts {
        let [min, median, mean, max] = rtt.map(|millis| millis / 1000.0);
        let rtt = (received > 0).then_some(Rtt { min, median, mean, max });
        RoundFacts { sent, received, rtt, fault: false }
    }

    #[test]
    fn what_measured_nothing_is_no_figure() {
        assert_eq!(Bucket::of(&RoundFacts { sent: 5, fault: true, ..RoundFacts::default() }), None);
        assert_eq!(Bucket::of(&RoundFacts::default()), None);
        let none = Bucket::of(&facts(5, 0, [0.0; 4])).unwrap();
        assert_eq!((none.loss(), none.rtt_mean(), none.rtt_p95(), none.mos()), (Some(1.0), None, None, None));
    }

    #[test]
    fn the_figures_of_a_round_are_its_own() {
        let five = Bucket::of(&facts(5, 4, [10.0, 12.0, 14.0, 22.0])).unwrap();
        assert_eq!((five.loss(), five.rtt_min(), five.rtt_max()), (Some(0.2), Some(0.010), Some(0.022)));
        assert_eq!((five.rtt_mean(), five.jitter()), (Some(0.014), Some(0.004)));
        let one = Bucket::of(&facts(1, 1, [7.0; 4])).unwrap();
        assert_eq!((one.rtt_p95(), one.jitter()), (Some(0.007), None), "one reply does not vary");
    }

    #[test]
    fn rounds_without_any_answer_are_time_down_and_no_loss_of_a_link_that_works() {
        let mut bucket = Bucket::of(&facts(5, 4, [10.0; 4])).unwrap();
        assert_eq!((bucket.loss(), bucket.loss_while_up()), (Some(0.2), Some(0.2)));
        bucket.merge(&Bucket::of(&facts(5, 0, [0.0; 4])).unwrap());
        assert_eq!((bucket.loss(), bucket.loss_while_up(), bucket.unanswered), (Some(0.6), Some(0.2), 5));
        let silent = Bucket::of(&facts(5, 0, [0.0; 4])).unwrap();
        assert_eq!((silent.loss(), silent.loss_while_up()), (Some(1.0), None));
        // Answers without any time are none.
        let untimed = Bucket::of(&RoundFacts { sent: 5, received: 3, rtt: None, fault: false }).unwrap();
        assert_eq!((untimed.received, untimed.unanswered), (0, 5));
    }

    #[test]
    fn jitter_is_of_the_replies_that_had_others_beside_them() {
        let mut bucket = Bucket::of(&facts(5, 5, [10.0, 10.0, 11.0, 15.0])).unwrap();
        bucket.merge(&Bucket::of(&facts(5, 1, [90.0; 4])).unwrap());
        assert_eq!(bucket.jitter(), Some(0.001));
    }

    #[test]
    fn zero_and_absurd_times_and_many_packets_are_counted_without_overflow() {
        let zero = Bucket::of(&facts(5, 5, [0.0; 4])).unwrap();
        assert_eq!((zero.rtt_mean(), zero.rtt_p95(), zero.jitter()), (Some(0.0), Some(0.0), Some(0.0)));
        let hour = 3_600_000.0;
        let mut all = Bucket::default();
        let worst = Bucket::of(&facts(1_000_000, 1_000_000, [hour; 4])).unwrap();
        for _ in 0..3600 {
            all.merge(&worst);
        }
        assert_eq!(
            (all.rtt_mean(), all.rtt_p95(), all.received),
            (Some(3600.0), Some(3600.0), 3_600_000_000)
        );
        let thousand = Bucket::of(&facts(1000, 1000, [10.0, 11.0, 12.0, 100.0])).unwrap();
        let p95 = thousand.rtt_p95().unwrap();
        assert!((0.012..0.015).contains(&p95), "{p95}: the slower half, not the one slowest");
        assert_eq!(thousand.times.unwrap().histogram.count(), 1000);
    }

    #[test]
    fn every_reply_is_in_the_histogram_once() {
        for received in 1..30 {
            let bucket = Bucket::of(&facts(30, received, [10.0, 11.0, 12.0, 20.0])).unwrap();
            assert_eq!(bucket.times.unwrap().histogram.count(), u64::from(received));
        }
    }
}
