//! The province's months and quarters.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

use super::days::{date_of, days_between, start_of_day};
use super::{FIRST_DAY, LAST_DAY};
use crate::ledger::timeline::Window;

/// A month of the province.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// Its first day.
    first: Date,
}

/// A quarter of the province.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quarter {
    /// Its first month.
    first: Month,
}

/// A month or a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CivilPeriod {
    /// One month.
    Month(Month),
    /// One quarter.
    Quarter(Quarter),
}

/// The text is no month or no quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a month such as 2026-10 or a quarter such as 2026-Q4, of the years 1970 to 2199")]
pub struct NotAPeriod;

impl Month {
    /// Reads `2026-10`.
    ///
    /// # Errors
    /// When it is written otherwise, or of a year before 1970 or after 2199.
    pub fn parse(text: &str) -> Result<Self, NotAPeriod> {
        let (year, month) = text.split_once('-').ok_or(NotAPeriod)?;
        Self::new(digits(year, 4)?, i8::try_from(digits(month, 2)?).map_err(|_| NotAPeriod)?)
    }

    /// The month `month` (1 to 12) of a year.
    ///
    /// # Errors
    /// When there is none, or the year is before 1970 or after 2199.
    pub fn new(year: i16, month: i8) -> Result<Self, NotAPeriod> {
        let first = Date::new(year, month, 1).map_err(|_| NotAPeriod)?;
        if (FIRST_DAY..=LAST_DAY).contains(&first) { Ok(Self { first }) } else { Err(NotAPeriod) }
    }

    /// The month that holds an instant.
    #[must_use]
    pub fn of(at: UnixMillis, zone: &TimeZone) -> Self {
        Self { first: date_of(at, zone).first_of_month() }
    }

    /// Its first day.
    #[must_use]
    pub fn first_day(self) -> Date {
        self.first
    }

    /// The month before; the first one that is known has none.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        let before = self.first.yesterday().ok()?;
        (before >= FIRST_DAY).then(|| Self { first: before.first_of_month() })
    }

    /// From the first instant of its first day up to that of the next month.
    #[must_use]
    pub fn window(self, zone: &TimeZone) -> Window {
        Window::new(start_of_day(self.first, zone), start_of_day(self.end(), zone))
    }

    /// Whether all of it is past.
    #[must_use]
    pub fn is_over(self, now: UnixMillis, zone: &TimeZone) -> bool {
        self.window(zone).end <= now
    }

    /// Its days, each as a window.
    #[must_use]
    pub fn days(self, zone: &TimeZone) -> Vec<(Date, Window)> {
        days_between(self.first, self.end(), zone)
    }

    /// The first day after it.
    fn end(self) -> Date {
        after(self.first, 1)
    }
}

impl Quarter {
    /// Reads `2026-Q4`.
    ///
    /// # Errors
    /// When it is written otherwise, or of a year before 1970 or after 2199.
    pub fn parse(text: &str) -> Result<Self, NotAPeriod> {
        let (year, quarter) = text.split_once("-Q").or_else(|| text.split_once("-q")).ok_or(NotAPeriod)?;
        let quarter = i8::try_from(digits(quarter, 1)?).map_err(|_| NotAPeriod)?;
        if !(1..=4).contains(&quarter) {
            return Err(NotAPeriod);
        }
        Ok(Self { first: Month::new(digits(year, 4)?, quarter * 3 - 2)? })
    }

    /// The quarter that holds an instant.
    #[must_use]
    pub fn of(at: UnixMillis, zone: &TimeZone) -> Self {
        let first = Month::of(at, zone).first;
        let into = (first.month() - 1) % 3;
        let first = first.checked_sub(i32::from(into).months()).unwrap_or(first);
        Self { first: Month { first } }
    }

    /// From the first instant of its first day up to that of the next quarter.
    #[must_use]
    pub fn window(self, zone: &TimeZone) -> Window {
        Window::new(start_of_day(self.first.first, zone), start_of_day(self.end(), zone))
    }

    /// Whether all of it is past.
    #[must_use]
    pub fn is_over(self, now: UnixMillis, zone: &TimeZone) -> bool {
        self.window(zone).end <= now
    }

    /// Its days, each as a window.
    #[must_use]
    pub fn days(self, zone: &TimeZone) -> Vec<(Date, Window)> {
        days_between(self.first.first, self.end(), zone)
    }

    /// The first day after it.
    fn end(self) -> Date {
        after(self.first.first, 3)
    }
}

impl CivilPeriod {
    /// From its first instant up to that of the next one.
    #[must_use]
    pub fn window(self, zone: &TimeZone) -> Window {
        match self {
            Self::Month(month) => month.window(zone),
            Self::Quarter(quarter) => quarter.window(zone),
        }
    }

    /// Whether all of it is past.
    #[must_use]
    pub fn is_over(self, now: UnixMillis, zone: &TimeZone) -> bool {
        self.window(zone).end <= now
    }
}

impl FromStr for Month {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        Self::parse(text)
    }
}

impl FromStr for Quarter {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        Self::parse(text)
    }
}

/// `2026-10` or `2026-Q4`.
impl FromStr for CivilPeriod {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        Month::parse(text).map(Self::Month).or_else(|_| Quarter::parse(text).map(Self::Quarter))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-Q{}", self.first.first.year(), (self.first.first.month() + 2) / 3)
    }
}

/// The day that is so many months after the first of a month.
fn after(first: Date, months: i32) -> Date {
    first.checked_add(months.months()).unwrap_or(LAST_DAY)
}

fn digits(text: &str, length: usize) -> Result<i16, NotAPeriod> {
    if text.len() != length || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotAPeriod);
    }
    text.parse().map_err(|_| NotAPeriod)
}
