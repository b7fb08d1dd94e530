//! The collector's only clock. Everything else takes `now` as an argument.

use jiff::Timestamp;
use wan_wire::UnixMillis;

/// The present instant.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> UnixMillis {
    UnixMillis(Timestamp::now().as_millisecond())
}

/// The monotonic clock, for durations of the collector's own work.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}
