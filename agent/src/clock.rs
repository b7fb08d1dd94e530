//! The only reader of clocks in the agent (design invariant 8): everything else takes a time as an argument.
//!
//! Two clocks are kept apart on purpose. [`monotonic`] orders and measures: it never steps, so schedules, deadlines and
//! round-trip times use it. [`wall`] only labels: it is read once at each round boundary and once for each push.
#![allow(clippy::disallowed_methods)]

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wan_wire::UnixMillis;

/// The monotonic clock (`CLOCK_MONOTONIC`): never steps, stands still while the machine is suspended.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The system's wall clock in Unix milliseconds UTC. May be wrong and may step; negative before 1970.
pub fn wall() -> UnixMillis {
    let millis = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    UnixMillis(millis)
}
