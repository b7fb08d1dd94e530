//! Time on the wire and in every core: Unix milliseconds, UTC.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
///
/// This is remote write's own unit, so a time is never converted on its way from the wire to the ledger. Every `i64` is
/// a valid value; arithmetic saturates at the ends, since a foreign sender may send either end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The earliest time that can be written.
    pub const MIN: UnixMillis = UnixMillis(i64::MIN);
    /// The latest time that can be written.
    pub const MAX: UnixMillis = UnixMillis(i64::MAX);

    /// The time of so many whole seconds since the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> UnixMillis {
        UnixMillis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time and `span` more, to the whole millisecond below.
    #[must_use]
    pub fn plus(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(millis(span)))
    }

    /// This time less `span`, whose part below a millisecond is not counted.
    #[must_use]
    pub fn minus(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub(millis(span)))
    }

    /// This time and so many milliseconds more (fewer, when negative).
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> UnixMillis {
        UnixMillis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: UnixMillis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time from `earlier` to this one; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.millis_since(earlier)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-23T06:12:48.250Z`. For messages; pages show the province's own zone.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (days, in_day) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: years of 400 begin on 1 March of year 0, so that the
/// leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    const FROM_0000_03_01: i64 = 719_468;
    let days = days + FROM_0000_03_01;
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_rfc_3339_in_utc() {
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(UnixMillis(1_709_164_800_000).to_string(), "2024-02-29T00:00:00.000Z");
        assert_eq!(UnixMillis(1_795_414_368_250).to_string(), "2026-11-23T06:12:48.250Z");
        assert_eq!(UnixMillis(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn both_ends_of_time_can_be_shown_and_do_not_overflow() {
        assert!(UnixMillis::MIN.to_string().starts_with("-292275055-05-16T"));
        assert!(UnixMillis::MAX.to_string().starts_with("292278994-08-17T"));
        assert_eq!(UnixMillis::MAX.plus(Duration::MAX), UnixMillis::MAX);
        assert_eq!(UnixMillis::MIN.minus(Duration::from_millis(1)), UnixMillis::MIN);
        assert_eq!(UnixMillis::MAX.millis_since(UnixMillis::MIN), i64::MAX);
    }

    #[test]
    fn spans_are_counted_both_ways() {
        let (noon, later) = (UnixMillis(1_000), UnixMillis(6_000));
        assert_eq!(noon.plus(Duration::from_secs(5)), later);
        assert_eq!(later.minus(Duration::from_secs(5)), noon);
        assert_eq!(later.since(noon), Duration::from_secs(5));
        assert_eq!(noon.since(later), Duration::ZERO);
        assert_eq!(noon.millis_since(later), -5_000);
        assert_eq!(UnixMillis::from_seconds(6), later);
        assert_eq!(noon.plus_millis(5_000), later);
    }
}
