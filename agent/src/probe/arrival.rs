//! How long an echo took, by the kernel's own time of its arrival: pure.
//!
//! A process notices an answer when it gets to run. On a busy machine that is later than the answer came, by microseconds or
//! by milliseconds, and none of that is the network's doing. The kernel notes when a packet arrives (`ping` uses that too), and
//! lends the time of the packet that was read last from a socket. Where answers are read in one go it is the last one's time,
//! so a time that comes out of it is never below the true one, and never above what the process itself could see.

use std::time::Duration;

use crate::clock::Moment;

/// The difference that two readings of both clocks may have for reasons other than a step of the wall clock: the readings of
/// one moment are not quite simultaneous. Where the process was interrupted between them, its own view is taken.
const SIMULTANEOUS: Duration = Duration::from_micros(10);

/// The time from `sent` to the arrival at `stamp` (wall clock, as the kernel notes it) of an answer that was noticed at
/// `noticed`. Without a stamp, or with one that cannot be, the time until it was noticed.
///
/// The stamp is of the wall clock, so it is believed only if that did not step while the packet was under way: what both
/// clocks say about the span must agree. Slewing moves both alike.
pub(super) fn took(sent: Moment, noticed: Moment, stamp: Option<Duration>) -> Duration {
    let seen = noticed.instant.saturating_duration_since(sent.instant);
    let by_wall = noticed.wall.checked_sub(sent.wall);
    if by_wall.is_none_or(|by_wall| by_wall.abs_diff(seen) > SIMULTANEOUS) {
        return seen;
    }
    let lateness = stamp.and_then(|stamp| noticed.wall.checked_sub(stamp));
    match lateness.and_then(|lateness| seen.checked_sub(lateness)) {
        Some(took) if !took.is_zero() => took,
        Some(_) | None => seen,
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

    /// What is said of a packet that was sent at 0 and noticed at `noticed` µs, by which the wall clock had moved `by_wall`.
    fn of(noticed: u64, by_wall: u64, stamp: Option<Duration>) -> Duration {
        let sent = clock::moment();
        let sent = Moment { wall: wall(0), ..sent };
        took(sent, Moment { instant: sent.instant + us(noticed), wall: wall(by_wall) }, stamp)
    }

    #[test]
    fn the_kernels_time_of_arrival_counts_and_not_when_the_process_got_to_run() {
        assert_eq!(of(3100, 3100, Some(wall(100))), us(100));
        assert_eq!(
            of(3100, 3105, Some(wall(100))),
            us(95),
            "the readings of a moment differ by microseconds"
        );
        assert_eq!(of(100, 100, Some(wall(100))), us(100));
    }

    #[test]
    fn without_a_stamp_it_is_what_the_process_saw() {
        assert_eq!(of(3100, 3100, None), us(3100));
    }

    #[test]
    fn a_stamp_that_cannot_be_is_not_believed() {
        assert_eq!(of(100, 100, Some(wall(101))), us(100), "after it was noticed");
        assert_eq!(of(100, 100, Some(wall(0))), us(100), "zero is no time");
        assert_eq!(of(100, 100, Some(Duration::from_secs(999_999))), us(100), "before it was sent");
        assert_eq!(of(100, 100, Some(Duration::MAX)), us(100));
    }

    #[test]
    fn a_step_of_the_wall_clock_shortens_and_lengthens_nothing() {
        assert_eq!(of(3100, 2_003_100, Some(wall(100))), us(3100), "forward, after the arrival");
        assert_eq!(of(3100, 2_003_100, Some(wall(2_000_100))), us(3100), "forward, before the arrival");
        assert_eq!(of(3100, 0, Some(wall(0))), us(3100), "back");
        let sent = Moment { wall: wall(0), ..clock::moment() };
        let back = Moment { instant: sent.instant + us(3100), wall: Duration::ZERO };
        assert_eq!(took(sent, back, Some(wall(100))), us(3100), "back before the sending");
    }
}
