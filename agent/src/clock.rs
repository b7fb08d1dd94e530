//! The only reader of clocks in the agent (design invariant 8): everything else takes a time as an argument.
//!
//! Two clocks are kept apart on purpose. [`monotonic`] orders and measures: it never steps, so schedules, deadlines and
//! round-trip times use it. [`wall`] only labels: it is read once at each round boundary and once for each push.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wan_wire::UnixMillis;

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
