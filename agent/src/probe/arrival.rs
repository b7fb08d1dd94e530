//! How long an echo took, by the kernel's own time of its arrival: pure.
//!
//! A process notices an answer when it gets to run. On a busy machine that is later than the answer came, by microseconds or
//! by milliseconds, and none of that is the network's doing. The kernel notes when a packet arrives (`ping` uses that too), so
//! the end of a round trip is known however late it is noticed. Its beginning lies between two readings of the process's own
//! clock, just before and just after the packet was handed to the kernel; mostly they are microseconds apart. A process that was
//! kept from running between the two knows the time only to within that.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Moment;

/// The difference that two readings of both clocks may have for reasons other than a step of the wall clock: the readings of
/// one moment are not quite simultaneous. Where the process was interrupted between them, its own view is taken.
const SIMULTANEOUS: Duration = Duration::from_micros(10);

/// How long an answer took, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Took {
    /// Not less than this. Zero where only an upper bound is known.
    pub(crate) least: Duration,
    /// Not more than this.
    pub(crate) most: Duration,
}

impl Took {
    /// The time until the process saw the answer; when that came is not known.
    pub(crate) fn at_most(seen: Duration) -> Self {
        Self { least: Duration::ZERO, most: seen }
    }
}

/// How long the answer took that arrived at `stamp` (wall clock, as the kernel notes it) and was noticed at `noticed`, to a packet
/// that was sent after `asked` and before `sent`. Without a stamp, or with one that cannot be, at most the time until it was
/// noticed.
///
/// The stamp is of the wall clock, so it is believed only if that did not step while the packet was under way: what both
/// clocks say about the span must agree. Slewing moves both alike.
pub(super) fn took(asked: Moment, sent: Instant, noticed: Moment, stamp: Option<Duration>) -> Took {
    let seen = noticed.instant.saturating_duration_since(asked.instant);
    let by_wall = noticed.wall.checked_sub(asked.wall);
    if by_wall.is_none_or(|by_wall| by_wall.abs_diff(seen) > SIMULTANEOUS) {
        return Took::at_most(seen);
    }
    let lateness = stamp.and_then(|stamp| noticed.wall.checked_sub(stamp));
    match lateness.and_then(|lateness| seen.checked_sub(lateness)) {
        Some(most) if !most.is_zero() => {
            Took { least: most.saturating_sub(sent.saturating_duration_since(asked.instant)), most }
        }
        Some(_) | None => Took::at_most(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// A million seconds after 1970, and so many microseconds.
    fn wall(micros: u64) -> Duration {
        Duration::from_secs(1_000_000) + us(micros)
    }

    fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// What is said of a packet that was sent from 0 to 5 µs and noticed at `noticed` µs, by which the wall clock had moved
    /// `by_wall`.
    fn of(noticed: u64, by_wall: u64, stamp: Option<Duration>) -> Took {
        let asked = Moment { wall: wall(0), ..clock::moment() };
        let noticed = Moment { instant: asked.instant + us(noticed), wall: wall(by_wall) };
        took(asked, asked.instant + us(5), noticed, stamp)
    }

    fn between(least: u64, most: u64) -> Took {
        Took { least: us(least), most: us(most) }
    }

    #[test]
    fn the_kernels_time_of_arrival_counts_and_not_when_the_process_got_to_run() {
        assert_eq!(of(3100, 3100, Some(wall(100))), between(95, 100));
        assert_eq!(
            of(3100, 3105, Some(wall(100))),
            between(90, 95),
            "the readings of a moment differ by microseconds"
        );
        assert_eq!(of(100, 100, Some(wall(100))), between(95, 100));
        assert_eq!(of(100, 100, Some(wall(3))), between(0, 3), "it was there before the sending returned");
    }

    #[test]
    fn a_process_that_was_kept_from_running_while_it_sent_knows_the_time_to_within_that() {
        let asked = Moment { wall: wall(0), ..clock::moment() };
        let noticed = Moment { instant: asked.instant + us(9000), wall: wall(9000) };
        assert_eq!(took(asked, asked.instant + us(7000), noticed, Some(wall(8000))), between(1000, 8000));
    }

    #[test]
    fn without_a_stamp_it_is_at_most_what_the_process_saw() {
        assert_eq!(of(3100, 3100, None), between(0, 3100));
    }

    #[test]
    fn a_stamp_that_cannot_be_is_not_believed() {
        assert_eq!(of(100, 100, Some(wall(101))), between(0, 100), "after it was noticed");
        assert_eq!(of(100, 100, Some(wall(0))), between(0, 100), "zero is no time");
        assert_eq!(of(100, 100, Some(Duration::from_secs(999_999))), between(0, 100), "before it was sent");
        assert_eq!(of(100, 100, Some(Duration::MAX)), between(0, 100));
    }

    #[test]
    fn a_step_of_the_wall_clock_shortens_and_lengthens_nothing() {
        assert_eq!(of(3100, 2_003_100, Some(wall(100))), between(0, 3100), "forward, after the arrival");
        assert_eq!(
            of(3100, 2_003_100, Some(wall(2_000_100))),
            between(0, 3100),
            "forward, before the arrival"
        );
        assert_eq!(of(3100, 0, Some(wall(0))), between(0, 3100), "back");
        let asked = Moment { wall: wall(0), ..clock::moment() };
        let back = Moment { instant: asked.instant + us(3100), wall: Duration::ZERO };
        let took = took(asked, asked.instant + us(5), back, Some(wall(100)));
        assert_eq!(took, between(0, 3100), "back before the sending");
    }
}
