//! The province's calendar: days, months and quarters as windows, and the hours in which a service is expected.
//!
//! # Hours
//!
//! A [`Calendar`] says of each day of the province which hours are hours of service. The first line that applies decides:
//!
//! | the day | has the hours of |
//! | --- | --- |
//! | is a working day in exchange for another (`working_days`) | the weekday that is named there |
//! | is a holiday | none |
//! | else | its own weekday |
//!
//! Hours are wall time. Where the clocks are changed, each edge of a range is taken as RFC 5545 takes it (and
//! [`crate::localtime`]): an edge that is skipped lies after the gap by as much as it lies in it, one that is repeated is the first of the
//! two. A range that lies in a gap as a whole is empty. Vietnam has had no such change since 1975; other zones are tested all the same.
//!
//! Lunar days are configuration: Tết and the death anniversary of the Hùng Kings move, and which Saturday is worked in exchange is
//! decided anew each year.
//!
//! # Limits
//!
//! Days are known from 1970 to 2199 ([`FIRST_DAY`], [`LAST_DAY`]): no evidence lies outside, and a window without an end costs no more
//! than one of 230 years, some milliseconds.

mod days;
mod period;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use crate::ledger::periods::Periods;
use crate::ledger::timeline::Window;

pub use days::{Day, Days};
pub use period::{CivilPeriod, Month, NotAPeriod, Quarter};

/// The first day that has hours.
pub const FIRST_DAY: Date = Date::constant(1970, 1, 1);
/// The last day that has hours.
pub const LAST_DAY: Date = Date::constant(2199, 12, 31);

/// The weekdays from Monday on, with the names that configuration and command line have for them.
pub const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

const MINUTES_A_DAY: u16 = 24 * 60;

/// A time of day in whole minutes, 00:00 to 24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(u16);

/// The text is no time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time of day from 00:00 to 24:00")]
pub struct NotAMinute;

impl Minute {
    /// The start of the day.
    pub const MIDNIGHT: Self = Self(0);
    /// The end of the day, which is the start of the next.
    pub const END_OF_DAY: Self = Self(MINUTES_A_DAY);

    /// `hour:minute`; `None` where there is no such time.
    #[must_use]
    pub const fn at(hour: u16, minute: u16) -> Option<Self> {
        if minute < 60 && (hour < 24 || (hour == 24 && minute == 0)) {
            Some(Self(hour * 60 + minute))
        } else {
            None
        }
    }

    /// Milliseconds since the start of a day without a change of the clocks.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.0) * 60_000
    }

    /// The wall time; `None` for 24:00.
    fn wall(self) -> Option<Time> {
        let (hour, minute) = (i8::try_from(self.0 / 60).ok()?, i8::try_from(self.0 % 60).ok()?);
        Time::new(hour, minute, 0, 0).ok()
    }
}

impl FromStr for Minute {
    type Err = NotAMinute;

    fn from_str(text: &str) -> Result<Self, NotAMinute> {
        let (hour, minute) = text.split_once(':').ok_or(NotAMinute)?;
        let number = |text: &str| {
            let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let minute = Some(minute).filter(|minute| minute.len() == 2).and_then(number).ok_or(NotAMinute)?;
        Self::at(number(hour).ok_or(NotAMinute)?, minute).ok_or(NotAMinute)
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Hours of one day: the half-open wall time `[from, to)`, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: Minute,
    to: Minute,
}

impl Hours {
    /// All hours from one time to a later one of the same day.
    #[must_use]
    pub fn new(from: Minute, to: Minute) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// Their first minute.
    #[must_use]
    pub const fn from(self) -> Minute {
        self.from
    }

    /// The minute after their last.
    #[must_use]
    pub const fn to(self) -> Minute {
        self.to
    }

    /// Whether the two share a minute.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }
}

/// Days without hours of service, the first and the last among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// What is celebrated.
    pub name: String,
}

/// When a service is expected. See the module's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    hours: [Vec<Hours>; 7],
    /// In order, and no day in two of them.
    holidays: Vec<Holiday>,
    working_days: BTreeMap<Date, Weekday>,
}

impl Calendar {
    /// The hours of each weekday from Monday on; holidays in any order, but no day in two; days that are worked like another weekday.
    #[must_use]
    pub fn new(
        hours: [Vec<Hours>; 7],
        mut holidays: Vec<Holiday>,
        working_days: BTreeMap<Date, Weekday>,
    ) -> Self {
        holidays.sort_by_key(|holiday| holiday.from);
        Self { hours, holidays, working_days }
    }

    /// The holiday that a day belongs to; a day that is worked in exchange is none.
    #[must_use]
    pub fn holiday(&self, day: Date) -> Option<&Holiday> {
        if self.working_days.contains_key(&day) {
            return None;
        }
        let index = self.holidays.partition_point(|holiday| holiday.to < day);
        self.holidays.get(index).filter(|holiday| holiday.from <= day)
    }

    /// The hours of service of a day.
    #[must_use]
    pub fn hours(&self, day: Date) -> &[Hours] {
        let weekday = match self.working_days.get(&day) {
            Some(like) => *like,
            None if self.holiday(day).is_some() => return &[],
            None => day.weekday(),
        };
        self.hours.get(monday_first(weekday)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The hours of service in a window.
    #[must_use]
    pub fn service_time(&self, window: Window, zone: &TimeZone) -> Periods {
        self.service_time_of(&Days::of(window, zone), window)
    }

    /// The same from days that are known already.
    pub(crate) fn service_time_of(&self, days: &Days<'_>, window: Window) -> Periods {
        let of_day = |day: &Day| {
            let day = *day;
            self.hours(day.date).iter().map(move |hours| (days.at(day, hours.from), days.at(day, hours.to)))
        };
        days.iter().flat_map(of_day).collect::<Periods>().within(window)
    }

    /// The holidays in a window, from midnight to midnight.
    pub(crate) fn holidays_of(&self, days: &Days<'_>, window: Window) -> Periods {
        let holidays = days.iter().filter(|day| self.holiday(day.date).is_some());
        holidays.map(|day| (day.start, day.end)).collect::<Periods>().within(window)
    }
}

/// Vietnam's office hours ([`office_hours`]), and no holiday.
impl Default for Calendar {
    fn default() -> Self {
        Self::new(office_hours(), Vec::new(), BTreeMap::new())
    }
}

/// The hours of each weekday from Monday on in Vietnam's offices: Monday to Friday 07:30–11:30 and 13:30–17:00.
#[must_use]
pub fn office_hours() -> [Vec<Hours>; 7] {
    let part =
        |from: (u16, u16), to: (u16, u16)| Hours::new(Minute::at(from.0, from.1)?, Minute::at(to.0, to.1)?);
    let office: Vec<Hours> =
        [part((7, 30), (11, 30)), part((13, 30), (17, 0))].into_iter().flatten().collect();
    WEEKDAYS.map(|(_, weekday)| match weekday {
        Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday | Weekday::Thursday | Weekday::Friday => {
            office.clone()
        }
        Weekday::Saturday | Weekday::Sunday => Vec::new(),
    })
}

/// The weekday that a word names: `mon` to `sun`.
#[must_use]
pub fn weekday(word: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(name, _)| *name == word).map(|(_, weekday)| *weekday)
}

/// The word for a weekday.
#[must_use]
pub fn weekday_word(weekday: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == weekday).map_or("mon", |(name, _)| name)
}

/// The position of a weekday in a week that begins on Monday.
pub(crate) fn monday_first(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
