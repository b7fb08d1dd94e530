//! When a channel may be tried again. Pure.

use std::time::Duration;

use wan_wire::UnixMillis;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// At most.
const LONGEST: Duration = Duration::from_secs(300);
/// With something new since the last failure the channel is tried as soon as this after it: whether the receiver is back is not known,
/// and what is new may be the most urgent of all.
const NEWS: Duration = Duration::from_secs(5);

/// The pauses between a channel's failures: 1 s, 2 s, 4 s … 5 min, each shortened by up to a half at random, so that many channels of
/// one receiver that was away do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    failures: u32,
    last: Option<UnixMillis>,
    until: Option<UnixMillis>,
}

impl Pace {
    /// When the channel may be tried again, if the newest notice that waits came into the outbox at `newest`; `None`: now.
    #[must_use]
    pub fn opens(&self, newest: UnixMillis, now: UnixMillis) -> Option<UnixMillis> {
        let (until, last) = (self.until?, self.last?);
        let opens = if newest > last { until.min(last.plus(NEWS)) } else { until };
        // A clock that was set back must not make the pause longer.
        (now < opens && last <= now).then_some(opens)
    }

    /// The receiver took something.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A try failed that was the notice's `attempts`th (from 0), and the receiver asked for `after`; when to try it again. `chance` is at
    /// random, 0 to 1.
    pub fn failed(
        &mut self,
        attempts: u32,
        after: Option<Duration>,
        now: UnixMillis,
        chance: f64,
    ) -> UnixMillis {
        let pause = pause(self.failures, chance).max(after.unwrap_or_default());
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
        self.until = Some(now.plus(pause));
        now.plus(self::pause(attempts, chance).max(after.unwrap_or_default()))
    }
}

fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.min(31)).unwrap_or(u32::MAX));
    doubled.min(LONGEST).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_793_466_000_000);

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(NOW.0 + seconds * 1000)
    }

    #[test]
    fn pauses_double_up_to_five_minutes_and_a_success_ends_them() {
        let mut pace = Pace::default();
        assert_eq!(pace.opens(NOW, NOW), None);
        let pauses: Vec<i64> =
            (0..12).map(|attempts| (pace.failed(attempts, None, NOW, 0.0).0 - NOW.0) / 1000).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(pace.opens(NOW, NOW), Some(at(300)));
        assert_eq!(pace.opens(NOW, at(300)), None);
        pace.succeeded();
        assert_eq!(pace.opens(NOW, NOW), None);
    }

    #[test]
    fn what_is_new_asks_again_sooner() {
        let mut pace = Pace::default();
        for _ in 0..12 {
            pace.failed(0, None, NOW, 0.0);
        }
        assert_eq!(pace.opens(at(2), at(2)), Some(at(5)));
        assert_eq!(pace.opens(at(2), at(5)), None);
        assert_eq!(pace.opens(at(0), at(5)), Some(at(300)), "what had failed waits");
    }

    #[test]
    fn a_receiver_that_asks_for_a_time_gets_it() {
        let mut pace = Pace::default();
        assert_eq!(pace.failed(0, Some(Duration::from_secs(90)), NOW, 1.0), at(90));
        assert_eq!(pace.opens(NOW, at(89)), Some(at(90)));
    }

    proptest! {
        #[test]
        fn a_pause_is_within_its_bounds(failures in any::<u32>(), chance in -1.0..2.0_f64) {
            let found = pause(failures, chance);
            prop_assert!(found >= FIRST / 2 && found <= LONGEST, "{found:?}");
        }

        #[test]
        fn a_clock_that_is_set_back_holds_nothing_up(by in 1_i64..1_000_000_000) {
            let mut pace = Pace::default();
            pace.failed(9, None, NOW, 0.0);
            prop_assert_eq!(pace.opens(NOW, UnixMillis(NOW.0 - by)), None);
        }
    }
}
