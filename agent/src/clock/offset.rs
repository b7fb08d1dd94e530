//! Wall time less time since boot, learnt from the collector's answers: interval algebra, pure.
//!
//! # One exchange
//!
//! The collector read its clock at some moment between the request's departure and its answer's arrival. With `server` its
//! reading, rounded down to `resolution`, the offset was then somewhere in
//!
//! ```text
//! server − received  ≤  offset  ≤  server + resolution − sent
//! ```
//!
//! however the way there and back shared the time: nothing is assumed about symmetry. The interval is as wide as the round
//! trip took; its half is the bound that is reported.
//!
//! # Many exchanges
//!
//! What was known before is widened by how far the clocks may have drifted apart since (`DRIFT`), and intersected with what
//! the new exchange says. So one fast answer among slow ones is worth as much as it deserves, for as long as it deserves.
//!
//! When the two are disjoint, something stepped. It was not the time since boot, which never does, so it was the collector's
//! clock (set by hand, or another collector took over), or this machine stood still without its knowing, as a paused virtual
//! machine does. Either way the newest is what holds from now on.
//!
//! # What is applied
//!
//! Rounds are dated by an *applied* offset, which moves only when the estimate excludes it. Between moves consecutive rounds
//! therefore touch to the millisecond, however the estimate trembles.

use std::time::Duration;

use wan_wire::UnixMillis;

use super::stamp::{Exchange, signed};

/// How fast the time since boot and the collector's clock may drift apart: one millisecond in so many.
///
/// That is 500 ppm, the most by which a kernel lets NTP discipline correct a clock's rate (`MAXFREQ`), and the time since
/// boot runs at that rate too. Crystals themselves stay within 100 ppm.
const DRIFT: u64 = 2000;

/// Where the offset was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Not below this.
    pub low: i64,
    /// Not above this.
    pub high: i64,
    /// At this time since boot.
    pub at: u64,
}

/// What an exchange taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    /// The first time of this boot: rounds from before it can be dated now.
    First,
    /// What was known holds.
    Agrees,
    /// The clocks drifted apart: the applied offset was moved by so many milliseconds.
    Drifted(i64),
    /// It contradicts what was known: the applied offset was moved by so many milliseconds.
    Stepped(i64),
    /// The peer's clock cannot be right, for the reason given; nothing was learnt.
    Refused(Implausible),
}

/// Why a peer's clock cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implausible {
    /// It is before this program was built.
    BeforeBuild,
    /// It is further ahead than this program will be used.
    TooLate,
    /// The answer came before its request.
    Backwards,
}

impl Estimate {
    /// What one exchange says; `None` when its answer came before its request.
    ///
    /// All readings are whole milliseconds, rounded down: an answer that is received "at" 7 may have come just before 8.
    pub fn of(exchange: &Exchange) -> Option<Estimate> {
        let drift = drift(exchange.received.checked_sub(exchange.sent)?);
        let server = exchange.server.as_millis();
        let low = server.saturating_sub(signed(exchange.received)).saturating_sub(1);
        let high =
            server.saturating_add(i64::from(exchange.resolution)).saturating_sub(signed(exchange.sent));
        Some(Estimate {
            low: low.saturating_sub(drift),
            high: high.saturating_add(drift),
            at: exchange.received,
        })
    }

    /// What it says about another moment.
    pub fn at(&self, since_boot: u64) -> Estimate {
        let drift = drift(since_boot.abs_diff(self.at));
        let (low, high) = (self.low.saturating_sub(drift), self.high.saturating_add(drift));
        Estimate { low, high, at: since_boot }
    }

    /// What holds when both do, at the later one's moment; `None` when they contradict each other.
    pub fn and(&self, other: &Estimate) -> Option<Estimate> {
        let at = self.at.max(other.at);
        let (this, other) = (self.at(at), other.at(at));
        let both = Estimate { low: this.low.max(other.low), high: this.high.min(other.high), at };
        (both.low <= both.high).then_some(both)
    }

    /// Whether the offset may be this.
    pub fn holds(&self, offset: i64) -> bool {
        (self.low..=self.high).contains(&offset)
    }

    /// The middle: the value with the least possible error.
    pub fn middle(&self) -> i64 {
        // Half the distance: the sum of two large ones could overflow.
        self.low.saturating_add(self.high.saturating_sub(self.low) / 2)
    }

    /// How far the truth may be from the middle.
    pub fn bound(&self) -> Duration {
        Duration::from_millis(self.high.abs_diff(self.low).div_ceil(2))
    }
}

/// The estimate as it stands, and the offset that is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracker {
    /// The estimate.
    pub estimate: Estimate,
    /// The offset that rounds are dated by.
    pub applied: i64,
}

impl Tracker {
    /// From the first estimate of a boot.
    pub fn new(estimate: Estimate) -> Tracker {
        Tracker { estimate, applied: estimate.middle() }
    }

    /// Takes what an exchange says.
    pub fn learn(&mut self, said: Estimate) -> Learnt {
        let (estimate, stepped) = match self.estimate.and(&said) {
            Some(both) => (both, false),
            None => (said, true),
        };
        self.estimate = estimate;
        if self.estimate.holds(self.applied) {
            return Learnt::Agrees;
        }
        let moved = self.estimate.middle();
        let by = moved.saturating_sub(self.applied);
        self.applied = moved;
        if stepped { Learnt::Stepped(by) } else { Learnt::Drifted(by) }
    }
}

/// The latest time that a peer's clock may say: this long after the program was built.
const LIFETIME: Duration = Duration::from_secs(50 * 366 * 86_400);

/// Whether a peer's clock may say this time. A collector whose own clock starts in 1970 must not date anything.
pub fn plausible(server: UnixMillis, built: UnixMillis) -> Result<(), Implausible> {
    if server < built {
        return Err(Implausible::BeforeBuild);
    }
    if server > built.plus(LIFETIME) {
        return Err(Implausible::TooLate);
    }
    Ok(())
}

fn drift(millis: u64) -> i64 {
    signed(millis.div_ceil(DRIFT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A right offset: the host booted on 2026-11-23.
    const TRUE: i64 = 1_795_413_068_000;

    fn exchange(sent: u64, received: u64, server: i64) -> Exchange {
        Exchange { sent, received, server: UnixMillis(server), resolution: 1 }
    }

    fn estimate(low: i64, high: i64, at: u64) -> Estimate {
        Estimate { low, high, at }
    }

    #[test]
    fn one_exchange_says_as_much_as_its_round_trip_was_short() {
        let fast = Estimate::of(&exchange(1000, 1004, TRUE + 1002)).unwrap();
        assert_eq!(fast, estimate(TRUE - 4, TRUE + 4, 1004));
        assert_eq!((fast.middle(), fast.bound()), (TRUE, Duration::from_millis(4)));
        let slow = Estimate::of(&exchange(1000, 9000, TRUE + 1002)).unwrap();
        assert_eq!((slow.low, slow.high), (TRUE - 8003, TRUE + 7));
        let date = Estimate::of(&Exchange { resolution: 1000, ..exchange(1000, 1004, TRUE + 1002) }).unwrap();
        assert_eq!((date.low, date.high), (TRUE - 4, TRUE + 1003));
        assert_eq!(Estimate::of(&exchange(1000, 999, TRUE)), None);
    }

    #[test]
    fn a_fast_answer_among_slow_ones_keeps_its_worth_until_the_clocks_may_have_drifted() {
        let mut tracker = Tracker::new(Estimate::of(&exchange(1000, 5000, TRUE + 1100)).unwrap());
        assert_eq!(tracker.estimate.bound(), Duration::from_millis(2003));
        tracker.learn(Estimate::of(&exchange(6000, 6004, TRUE + 6002)).unwrap());
        assert_eq!(tracker.estimate.bound(), Duration::from_millis(4));
        tracker.learn(Estimate::of(&exchange(7000, 11_000, TRUE + 9000)).unwrap());
        assert_eq!(
            tracker.estimate.bound(),
            Duration::from_millis(7),
            "a half millisecond a second, either way"
        );
        tracker.learn(Estimate::of(&exchange(3_600_000, 3_604_000, TRUE + 3_602_000)).unwrap());
        assert_eq!(tracker.estimate.bound(), Duration::from_millis(1804));
    }

    #[test]
    fn what_is_applied_moves_only_when_it_must() {
        let mut tracker = Tracker::new(estimate(-100, 100, 0));
        assert_eq!(tracker.applied, 0);
        assert_eq!(tracker.learn(estimate(0, 90, 10)), Learnt::Agrees);
        assert_eq!((tracker.applied, tracker.estimate.middle()), (0, 45));
        assert_eq!(tracker.learn(estimate(20, 60, 20)), Learnt::Drifted(40));
        assert_eq!(tracker.applied, 40);
    }

    #[test]
    fn a_contradiction_is_a_step_and_the_newest_holds() {
        let mut tracker = Tracker::new(estimate(-10, 10, 0));
        assert_eq!(tracker.learn(estimate(86_400_000, 86_400_020, 1000)), Learnt::Stepped(86_400_010));
        assert_eq!((tracker.applied, tracker.estimate.bound()), (86_400_010, Duration::from_millis(10)));
        assert_eq!(tracker.learn(estimate(-10, 10, 2000)), Learnt::Stepped(-86_400_010));
    }

    #[test]
    fn a_peer_whose_clock_cannot_be_right_is_not_believed() {
        let built = UnixMillis(TRUE);
        assert_eq!(plausible(UnixMillis(0), built), Err(Implausible::BeforeBuild));
        assert_eq!(plausible(UnixMillis(TRUE - 1), built), Err(Implausible::BeforeBuild));
        assert_eq!(plausible(UnixMillis(TRUE), built), Ok(()));
        assert_eq!(plausible(UnixMillis(2_147_483_648_000), built), Ok(()), "2038 will come");
        for late in [UnixMillis(253_402_300_800_000), UnixMillis::MAX] {
            assert_eq!(plausible(late, built), Err(Implausible::TooLate));
        }
        assert_eq!(plausible(UnixMillis::MIN, built), Err(Implausible::BeforeBuild));
    }

    /// One exchange of the model: a pause before it, the ways there and back, the collector's own time; all in microseconds.
    type Model = (u64, u64, u64, u64);

    fn exchanges() -> impl Strategy<Value = Vec<Model>> {
        let way = || prop_oneof![4 => 100u64..80_000, 1 => 0u64..3_000_000];
        let pause = prop_oneof![8 => 0u64..6_000_000, 1 => 0u64..40_000_000_000];
        prop::collection::vec((pause, way(), way(), 0u64..200_000), 1..60)
    }

    proptest! {
        /// The naive oracle: one true line through time, in microseconds, whose slope is off by up to 100 ppm and bends at each
        /// exchange. Wherever the truth is, the estimate holds it, and it is not wider than the best single exchange allows.
        #[test]
        fn the_truth_is_always_within_the_bound(
            start in 0u64..10_000_000_000,
            first in -4_000_000_000_000_000i64..4_000_000_000_000_000,
            models in exchanges(),
            drifts in prop::collection::vec(-100i64..=100, 60),
            resolution in prop_oneof![Just(1u32), Just(1000u32)],
        ) {
            let mut boot = i128::from(start);
            let mut offset = i128::from(first);
            let mut tracker: Option<Tracker> = None;
            for ((pause, there, back, own), ppm) in models.into_iter().zip(drifts) {
                let pass = |boot: &mut i128, offset: &mut i128, micros: u64| {
                    *boot += i128::from(micros);
                    *offset += i128::from(micros) * i128::from(ppm) / 1_000_000;
                };
                pass(&mut boot, &mut offset, pause);
                let sent = boot;
                pass(&mut boot, &mut offset, there);
                let wall = boot + offset;
                pass(&mut boot, &mut offset, own + back);
                let millis = |micros: i128| i64::try_from(micros.div_euclid(1000)).unwrap();
                let step = i64::from(resolution);
                let told = Exchange {
                    sent: u64::try_from(millis(sent)).unwrap(),
                    received: u64::try_from(millis(boot)).unwrap(),
                    server: UnixMillis(millis(wall).div_euclid(step) * step),
                    resolution,
                };
                let said = Estimate::of(&told).unwrap();
                let learnt = tracker.as_mut().map(|tracker| tracker.learn(said));
                let tracker = tracker.get_or_insert_with(|| Tracker::new(said));
                prop_assert!(!matches!(learnt, Some(Learnt::Stepped(_))), "no step in {learnt:?}");
                let estimate = tracker.estimate;
                // The true offset in microseconds, between the bounds in milliseconds.
                prop_assert!(i128::from(estimate.low) * 1000 <= offset && offset <= i128::from(estimate.high) * 1000,
                    "{offset} µs is outside {estimate:?}");
                let off = (offset - i128::from(estimate.middle()) * 1000).unsigned_abs();
                prop_assert!(off <= estimate.bound().as_micros(), "{off} µs off, bound {:?}", estimate.bound());
                prop_assert!(estimate.holds(tracker.applied));
                let (lone, joint) = (said.high - said.low, estimate.high - estimate.low);
                prop_assert!(joint <= lone, "what one exchange says is not forgotten");
            }
        }

        /// Rounds between any two contacts touch, and a move of the offset is never for nothing.
        #[test]
        fn the_applied_offset_is_still_while_it_may_be(edges in prop::collection::vec((-50i64..50, 0i64..100), 1..50)) {
            let mut tracker: Option<Tracker> = None;
            for (at, (low, width)) in (0u64..).step_by(1000).zip(edges) {
                let said = estimate(low, low + width, at);
                let Some(tracker) = &mut tracker else { tracker = Some(Tracker::new(said)); continue };
                let before = tracker.applied;
                match tracker.learn(said) {
                    Learnt::Agrees => prop_assert_eq!(tracker.applied, before),
                    Learnt::Drifted(by) | Learnt::Stepped(by) => {
                        prop_assert_eq!(tracker.applied, before + by);
                        prop_assert!(!tracker.estimate.holds(before));
                    }
                    learnt @ (Learnt::First | Learnt::Refused(_)) => prop_assert!(false, "{learnt:?}"),
                }
            }
        }

        #[test]
        fn no_answer_however_hostile_breaks_the_arithmetic(sent: u64, received: u64, server: i64, resolution: u32, at: u64) {
            let told = Exchange { sent, received, server: UnixMillis(server), resolution };
            if let Some(said) = Estimate::of(&told) {
                prop_assert!(said.low <= said.high);
                let later = said.at(at);
                prop_assert!(later.holds(said.middle()) && later.bound() >= said.bound());
                let mut tracker = Tracker::new(estimate(-5, 5, 7));
                tracker.learn(said);
                prop_assert!(tracker.estimate.holds(tracker.applied));
            }
        }
    }
}
