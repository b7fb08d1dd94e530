//! The days of a window, each with its instants: looked up in the zone once, however many hours are then asked of them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use wan_wire::UnixMillis;

use super::{FIRST_DAY, LAST_DAY, Minute};
use crate::ledger::timeline::Window;

const DAY_MS: i64 = 86_400_000;

/// One day of the province.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// Its first instant.
    pub start: UnixMillis,
    /// The first instant of the next day.
    pub end: UnixMillis,
    /// It begins at 00:00 and has 24 hours: no clock is changed in it, and a time of day is so long after its start.
    regular: bool,
}

/// The days of a province that share an instant with a window, and the one before the first: what begins in the evening may reach
/// into the window.
#[derive(Debug, Clone)]
pub struct Days<'z> {
    days: Vec<Day>,
    zone: &'z TimeZone,
}

impl<'z> Days<'z> {
    /// The days of a window; none where it is empty.
    #[must_use]
    pub fn of(window: Window, zone: &'z TimeZone) -> Self {
        let mut days = Vec::new();
        if window.is_empty() {
            return Self { days, zone };
        }
        let mut date = date_of(window.start, zone);
        date = date.yesterday().unwrap_or(date);
        let mut start = start_of_day(date, zone);
        while date <= LAST_DAY && start < window.end {
            let Ok(next) = date.tomorrow() else { break };
            let end = start_of_day(next, zone);
            let regular = end.millis_since(start) == DAY_MS && wall(start, zone).is_some_and(is_midnight);
            days.push(Day { date, start, end, regular });
            (date, start) = (next, end);
        }
        Self { days, zone }
    }

    /// The days in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Day> {
        self.days.iter()
    }

    /// The days from the first up to, not including, the other, each with the day after it; without one or both, all from the
    /// beginning or to the end.
    pub(crate) fn between(
        &self,
        from: Option<Date>,
        to: Option<Date>,
    ) -> impl DoubleEndedIterator<Item = (Day, Option<Day>)> {
        let first = from.map_or(0, |from| self.days.partition_point(|day| day.date < from));
        let last = to.map_or(self.days.len(), |to| self.days.partition_point(|day| day.date < to));
        (first..last).filter_map(|index| Some((*self.days.get(index)?, self.days.get(index + 1).copied())))
    }

    /// The instant of a time of day; 24:00 is the start of the next.
    #[must_use]
    pub fn at(&self, day: Day, minute: Minute) -> UnixMillis {
        if day.regular {
            return day.start.plus_millis(minute.millis());
        }
        let Some(time) = minute.wall() else { return day.end };
        instant(day.date.to_datetime(time), self.zone).unwrap_or(day.end)
    }
}

/// The day of the province that holds an instant; instants before 1970 and after 2199 are of the first and the last day.
#[must_use]
pub(super) fn date_of(at: UnixMillis, zone: &TimeZone) -> Date {
    let (first, last) = (start_of_day(FIRST_DAY, zone), start_of_day(LAST_DAY, zone));
    wall(at.clamp(first, last), zone).map_or(FIRST_DAY, DateTime::date)
}

/// The first instant of a day: mostly midnight, later where midnight is skipped.
#[must_use]
pub(super) fn start_of_day(date: Date, zone: &TimeZone) -> UnixMillis {
    // Days are of the years 1970 to 2199, far within what can be told as an instant.
    instant(date.to_datetime(jiff::civil::Time::midnight()), zone).unwrap_or(UnixMillis(0))
}

/// Every day from one up to, not including, another, each as a window.
pub(super) fn days_between(from: Date, to: Date, zone: &TimeZone) -> Vec<(Date, Window)> {
    let dates = from.series(1.day()).take_while(|date| *date < to);
    let window = |date: Date| {
        let next = date.tomorrow().unwrap_or(date);
        (date, Window::new(start_of_day(date, zone), start_of_day(next, zone)))
    };
    dates.map(window).collect()
}

fn instant(local: DateTime, zone: &TimeZone) -> Option<UnixMillis> {
    Some(UnixMillis(zone.to_zoned(local).ok()?.timestamp().as_millisecond()))
}

fn wall(at: UnixMillis, zone: &TimeZone) -> Option<DateTime> {
    Some(zone.to_datetime(Timestamp::from_millisecond(at.0).ok()?))
}

fn is_midnight(local: DateTime) -> bool {
    local.time() == jiff::civil::Time::midnight()
}
