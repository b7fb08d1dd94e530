//! When rounds begin and end, and when their packets go: pure arithmetic over a monotonic clock.
//!
//! Round boundaries lie at `base + k · period`, all links share them, and nothing that happens in between moves them: no
//! drift. `base` is shifted by a hash of the host, so that three hundred agents that got their power back at one moment
//! neither probe nor push at one moment. The round that begins with the agent ends at `base`: it is shorter or longer than
//! the others, so that probing begins at once and is on the grid from the second round.
//!
//! A tick that came too late (a stopped process, an overloaded host) is skipped: the next round begins at the next boundary
//! and the time between stays unobserved: missed rounds are not made up for. Within a round that is under way, packets whose
//! time passed meanwhile go at once.
//!
//! The grid lies on the monotonic clock, which stands still while the host is suspended; [`Ruler`] says where that is on the
//! time since boot, by which rounds are stamped, and notices a suspend.
//!
//! On the wire a round is `[end − interval, end)` in wall time. [`interval`] lets each round begin where the one before it
//! ended, to the millisecond, as long as the two wall times are about as far apart as they should be; so an offset that is
//! corrected a little makes no gaps.

use std::time::Duration;

use wan_wire::UnixMillis;

/// One round's place on the monotonic clock, measured from the agent's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When it begins.
    pub start: Duration,
    /// When it ends, and the next one begins.
    pub end: Duration,
}

impl Turn {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.end.saturating_sub(self.start)
    }
}

/// The grid of round boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    base: Duration,
    period: Duration,
}

impl Schedule {
    /// A grid of `period` for the host with this `identity`, and the first round, which begins `now`.
    ///
    /// The first round is at least `shortest` long, so that it has room for a packet.
    pub fn begin(now: Duration, period: Duration, shortest: Duration, identity: u64) -> (Schedule, Turn) {
        let phase = Duration::from_nanos(identity % nanos(period).max(1));
        let base = now + shortest + phase;
        (Schedule { base, period }, Turn { start: now, end: base })
    }

    /// The round after the one that ended at `boundary`, when the agent noticed its end at `woke`.
    ///
    /// On time or less than half a period late: the round that begins at the boundary. Later: the one that begins at the
    /// next boundary after `woke`.
    pub fn next(&self, boundary: Duration, woke: Duration) -> Turn {
        let start = if woke.saturating_sub(boundary) * 2 < self.period { boundary } else { self.after(woke) };
        Turn { start, end: start + self.period }
    }

    /// The first boundary after `at`.
    fn after(&self, at: Duration) -> Duration {
        let Some(since) = at.checked_sub(self.base) else { return self.base };
        let passed = nanos(since) / nanos(self.period).max(1) + 1;
        self.base + Duration::from_nanos(passed.saturating_mul(nanos(self.period)))
    }
}

/// The time since boot that goes by unnoticed by the monotonic clock is a suspend from this on. Shorter is the uncertainty of
/// two readings; no host sleeps and wakes that fast.
const ASLEEP: Duration = Duration::from_millis(100);

/// Where the schedule's monotonic clock lies on the time since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruler {
    zero: Duration,
}

impl Ruler {
    /// The schedule's zero is at this time since boot.
    pub fn new(zero: Duration) -> Ruler {
        Ruler { zero }
    }

    /// Both clocks at one moment: how long the host slept since they were last seen together, if it did.
    pub fn slept(&mut self, monotonic: Duration, since_boot: Duration) -> Option<Duration> {
        let ahead = since_boot.saturating_sub(self.zero + monotonic);
        if ahead < ASLEEP {
            return None;
        }
        self.zero += ahead;
        Some(ahead)
    }

    /// A moment of the schedule in whole milliseconds since boot.
    pub fn since_boot(&self, at: Duration) -> u64 {
        u64::try_from((self.zero + at).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Up to this many targets each have a moment of their own; of more, some share one. An agent of a site stays below it. Above
/// it wake-ups are saved, which are what probing costs.
const ALONE: u64 = 8;
/// At most this many targets share a moment: so few packets are no burst.
const TOGETHER: u64 = 4;

/// When the packets of a round go, from its start: `packets` of them evenly spaced, shifted within the spacing by the
/// target's place among `targets`, so that an agent's targets are spread evenly. Those that share a moment are far
/// apart in the list, so mostly on different links.
pub fn packet_offsets(length: Duration, packets: u32, place: usize, targets: usize) -> Vec<Duration> {
    let packets = packets.max(1);
    let targets = u64::try_from(targets).unwrap_or(u64::MAX).max(1);
    let moments = targets.div_ceil(targets.div_ceil(ALONE).min(TOGETHER));
    let moment = u64::try_from(place).unwrap_or(u64::MAX) % moments;
    // In halves of a moment's share, so that a single target sits in the middle of its spacing.
    let shift = 2 * u128::from(moment) + 1;
    let parts = 2 * u128::from(moments);
    (0..packets)
        .map(|packet| {
            let at = (u128::from(packet) * parts + shift) * length.as_nanos() / (parts * u128::from(packets));
            Duration::from_nanos(u64::try_from(at).unwrap_or(u64::MAX))
        })
        .collect()
}

/// How many packets a round of `length` has room for at the spacing that `packets` have in a whole `period`; at least one.
pub fn packets_in(length: Duration, period: Duration, packets: u32) -> u32 {
    let fit = u128::from(packets) * length.as_nanos() / period.as_nanos().max(1);
    u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, packets.max(1))
}

/// The interval of a round that ended at `end` and lasted `nominal` on the monotonic clock.
///
/// From the end of the round before it when that is `nominal` ago, give or take half: then the two touch exactly. After a
/// large correction of the time, a skipped tick or a suspend it is `nominal`.
pub fn interval(previous_end: Option<UnixMillis>, end: UnixMillis, nominal: Duration) -> Duration {
    let touching = previous_end.map(|previous| end.since(previous)).filter(|gap| {
        let (gap, nominal) = (gap.as_millis(), nominal.as_millis());
        gap * 2 >= nominal && gap * 2 <= nominal * 3 && gap > 0
    });
    let millis = touching.unwrap_or(nominal).as_millis().max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// A number that tells hosts apart, from any text (FNV-1a, 64 bits).
pub fn identity(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(5);
    const SPACING: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn rounds_on_time_touch_and_never_drift() {
        let (schedule, first) = Schedule::begin(ms(7), PERIOD, SPACING, 1_234_567_890);
        let mut turn = first;
        for k in 0..10_000u32 {
            // Every wake-up is a little late; the grid does not care.
            let next = schedule.next(turn.end, turn.end + ms(u64::from(k % 900)));
            assert_eq!(next.start, turn.end);
            turn = next;
        }
        assert_eq!(turn.start, first.end + PERIOD * 9_999);
    }

    #[test]
    fn a_tick_that_came_too_late_is_skipped_to_the_next_boundary() {
        let (schedule, first) = Schedule::begin(ms(0), PERIOD, SPACING, 0);
        assert_eq!(first, Turn { start: ms(0), end: ms(1000) });
        assert_eq!(schedule.next(ms(1000), ms(3499)).start, ms(1000));
        assert_eq!(schedule.next(ms(1000), ms(3500)).start, ms(6000));
        assert_eq!(schedule.next(ms(1000), ms(3_600_000)), Turn { start: ms(3_601_000), end: ms(3_606_000) });
    }

    #[test]
    fn hosts_are_spread_over_the_whole_period() {
        let mut per_second = [0u32; 5];
        for host in 0..3000 {
            let (_, first) = Schedule::begin(ms(0), PERIOD, SPACING, identity(&format!("boot-{host}")));
            let second = (first.end - SPACING).as_secs() % 5;
            per_second[usize::try_from(second).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|count| (480..720).contains(count)), "{per_second:?}");
    }

    #[test]
    fn a_suspend_moves_rounds_on_the_time_since_boot_and_not_on_the_schedule() {
        let mut ruler = Ruler::new(ms(700_000));
        assert_eq!(ruler.since_boot(ms(5000)), 705_000);
        assert_eq!(ruler.slept(ms(5000), ms(705_003)), None);
        assert_eq!(ruler.slept(ms(5000), ms(704_990)), None, "two readings of one moment");
        assert_eq!(ruler.slept(ms(6000), ms(700_000 + 6000 + 3_600_000)), Some(ms(3_600_000)));
        assert_eq!(ruler.slept(ms(6000), ms(4_306_000)), None, "said once");
        assert_eq!(ruler.since_boot(ms(10_000)), 4_310_000);
    }

    #[test]
    fn suspends_too_short_to_be_told_do_not_add_up_unseen() {
        let mut ruler = Ruler::new(ms(0));
        let unseen =
            (1..1000u64).filter(|number| ruler.slept(ms(1000 * number), ms(1060 * number)).is_none());
        assert!(unseen.count() < 510);
        assert!(1060 * 1000 - ruler.since_boot(ms(1000 * 1000)) <= 160);
    }

    #[test]
    fn packets_of_all_targets_are_evenly_spaced_and_inside_the_round() {
        for (targets, moments, apart) in
            [(1, 5, 1000), (8, 40, 125), (9, 25, 200), (20, 35, 142), (501, 630, 7)]
        {
            let all = (0..targets).flat_map(|place| packet_offsets(PERIOD, 5, place, targets));
            let mut shared = std::collections::BTreeMap::new();
            all.for_each(|at| *shared.entry(at).or_insert(0) += 1);
            assert!(shared.values().all(|packets| *packets <= 4));
            assert_eq!(shared.len(), moments);
            let times: Vec<Duration> = shared.into_keys().collect();
            assert!(times.windows(2).all(|pair| (pair[1] - pair[0]).as_millis() == apart), "{targets}");
            assert!(times[0] > Duration::ZERO && times[moments - 1] < PERIOD);
        }
        assert_eq!(packet_offsets(PERIOD, 5, 0, 1), [ms(500), ms(1500), ms(2500), ms(3500), ms(4500)]);
    }

    #[test]
    fn a_short_first_round_has_as_many_packets_as_fit() {
        assert_eq!(packets_in(ms(1000), PERIOD, 5), 1);
        assert_eq!(packets_in(ms(4900), PERIOD, 5), 4);
        assert_eq!(packets_in(ms(5900), PERIOD, 5), 5);
        assert_eq!(packets_in(ms(1), PERIOD, 5), 1);
        assert_eq!(packets_in(PERIOD, PERIOD, 1), 1);
    }

    #[test]
    fn the_interval_closes_the_gap_only_when_the_clock_ran_about_evenly() {
        let at = UnixMillis;
        let cases = [
            (None, 10_000, 5000),
            (Some(at(5_000)), 10_000, 5000),
            (Some(at(4_998)), 10_000, 5002), // slewed
            (Some(at(7_500)), 10_000, 2500), // half, still touching
            (Some(at(7_501)), 10_000, 5000), // stepped backward
            (Some(at(2_500)), 10_000, 7500),
            (Some(at(2_499)), 10_000, 5000), // stepped forward, or a tick was skipped
            (Some(at(10_000)), 10_000, 5000),
            (Some(at(12_000)), 10_000, 5000),
            (Some(at(i64::MIN)), 10_000, 5000),
        ];
        for (previous, end, expected) in cases {
            assert_eq!(interval(previous, at(end), PERIOD), ms(expected), "{previous:?} {end}");
        }
    }

    proptest! {
        #[test]
        fn no_sequence_of_delays_makes_a_burst(delays in prop::collection::vec(0u64..60_000, 1..200), id: u64) {
            let (schedule, first) = Schedule::begin(ms(3), PERIOD, SPACING, id);
            let mut turn = first;
            for delay in delays {
                let woke = turn.end + ms(delay);
                let next = schedule.next(turn.end, woke);
                // Never before the last one ended, never two for one period, and never a start that is half gone.
                prop_assert!(next.start >= turn.end);
                prop_assert_eq!(next.length(), PERIOD);
                prop_assert!(next.start + PERIOD / 2 > woke);
                prop_assert_eq!((next.start - first.end).as_nanos() % PERIOD.as_nanos(), 0);
                turn = next;
            }
        }

        #[test]
        fn rounds_touch_whatever_the_slew(slews in prop::collection::vec(-2400i64..2400, 1..100)) {
            let mut end = UnixMillis(1_700_000_000_000);
            for slew in slews {
                let next = UnixMillis(end.0 + 5000 + slew);
                prop_assert_eq!(next.minus(interval(Some(end), next, PERIOD)), end);
                end = next;
            }
        }
    }
}
