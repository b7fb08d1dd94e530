//! The only reader of clocks in the agent (design invariant 8), and what makes one time of several clocks.
//!
//! # Four clocks
//!
//! | clock | what it is good for | what it is not |
//! | --- | --- | --- |
//! | [`monotonic`] | schedules, deadlines, round-trip times: never steps | stands still during suspend |
//! | [`since_boot`] | rounds' boundaries: never steps, goes on during suspend | no wall time; begins anew with each boot |
//! | [`wall`], the host's clock | nothing, alone: a dead battery starts it in 1970, a hand sets it to 2038 | |
//! | the collector's clock | the province's time: all sites' evidence is compared under it | only seen in answers, late by an unknown part of a round trip |
//!
//! So a round is stamped with its time since boot, and its wall time is that and an *offset*, which the collector's answers
//! teach ([`offset`]). A [`Stamp`] is what is known at the round's end; [`Timekeeper::date`] turns it into wall time, at once
//! or, for rounds from before the first contact of their boot, later ([`dating`]). What must outlive a boot for that is in a
//! small file ([`memory`]). [`keeper`] is all of it without clocks and files; [`Timekeeper`] is the shell.
//!
//! A step of the host's clock in either direction therefore changes nothing but the reported `wan_agent_clock_offset_seconds`.
#![allow(clippy::disallowed_methods)]

mod adjtimex;
pub mod dating;
pub mod keeper;
pub mod memory;
pub mod offset;
pub mod stamp;
mod timekeeper;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;
use wan_wire::UnixMillis;

pub use offset::Learnt;
pub use stamp::{Dating, Exchange, Stamp, Undatable};
pub use timekeeper::{Offset, Timekeeper};

/// The monotonic clock (`CLOCK_MONOTONIC`): never steps, stands still while the machine is suspended.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// One moment on both clocks, to set a time that the kernel noted by the wall clock beside one of ours.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the wall clock, since 1970 (zero before that). Read first, so that it is never the later one.
    pub wall: Duration,
    /// By the monotonic clock.
    pub instant: Instant,
}

/// This moment.
pub fn moment() -> Moment {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { wall, instant: monotonic() }
}

/// The system's wall clock in Unix milliseconds UTC. May be wrong and may step; negative before 1970.
pub fn wall() -> UnixMillis {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    UnixMillis(millis)
}

/// Whole milliseconds since the host booted (`CLOCK_BOOTTIME`): never steps, goes on while the machine is suspended.
pub fn since_boot() -> u64 {
    u64::try_from(boot_clock().as_millis()).unwrap_or(u64::MAX)
}

/// The monotonic clock and the time since boot at one moment.
///
/// Between the two readings the process may be kept from running; then they are read again, a few times.
pub fn together() -> (Instant, Duration) {
    const APART: Duration = Duration::from_millis(2);
    let mut tries = 5;
    loop {
        let before = monotonic();
        let boot = boot_clock();
        tries -= 1;
        if tries == 0 || monotonic().duration_since(before) <= APART {
            return (before, boot);
        }
    }
}

/// Whether something disciplines the host's clock by NTP or the like, as the kernel knows it (`adjtimex(2)`): it stops
/// saying so some hours after the last correction. `false` also where the kernel may not be asked.
pub fn synchronised() -> bool {
    adjtimex::synchronised()
}

/// When this program was built: no right clock shows an earlier time.
pub fn built() -> UnixMillis {
    UnixMillis::from_seconds(env!("WAN_AGENT_BUILT_SECONDS").parse().unwrap_or(0))
}

/// The time since boot. Every Linux that this program runs on has this clock, so it cannot fail.
fn boot_clock() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_boot_goes_on_with_the_monotonic_clock() {
        let (monotonic_before, boot_before) = together();
        std::thread::sleep(Duration::from_millis(30));
        let (monotonic_after, boot_after) = together();
        let monotonic = monotonic_after.duration_since(monotonic_before);
        let boot = boot_after - boot_before;
        assert!(monotonic.abs_diff(boot) < Duration::from_millis(20), "{monotonic:?} {boot:?}");
        assert!(u128::from(since_boot()) >= boot_after.as_millis());
    }

    #[test]
    fn this_program_was_built_in_the_past_and_after_it_was_written() {
        assert!(built() > UnixMillis(1_700_000_000_000));
        assert!(built() <= wall());
    }
}
