//! The collector's only clock, and whether it can be right ([`guard`]). Everything else takes `now` as an argument.

pub mod guard;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

/// The present instant.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn now() -> UnixMillis {
    UnixMillis(Timestamp::now().as_millisecond())
}

/// The present day in `zone`.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn today(zone: &TimeZone) -> Date {
    Timestamp::now().to_zoned(zone.clone()).date()
}

/// The monotonic clock, for durations of the collector's own work.
#[allow(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn monotonic() -> std::time::Instant {
    std::time::Instant::now()
}
