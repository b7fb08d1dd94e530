//! When a window is, and on which days it recurs.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use wan_wire::UnixMillis;

use super::Work;
use crate::calendar::{Calendar, Day, Days, Minute, WEEKDAYS, monday_first, weekday, weekday_word};
use crate::ledger::timeline::Window;

/// When a window is. Written as text it is what the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Once, over `[from, to)`.
    Once {
        /// First instant.
        from: UnixMillis,
        /// First instant after it.
        to: UnixMillis,
    },
    /// Every week.
    Weekly {
        /// On these days.
        weekdays: Weekdays,
        /// From and to which time of day.
        hours: DayHours,
    },
    /// Every month.
    Monthly {
        /// On which day.
        day: MonthDay,
        /// From and to which time of day.
        hours: DayHours,
    },
    /// As the calendar says.
    Calendar(CalendarTime),
}

/// The text says no time of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the time of a planned window")]
pub struct NotAWhen;

/// Some days of the week, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekdays([bool; 7]);

/// From one time of day to another; over midnight where the end is not after the start. Never empty, at most 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayHours {
    from: Minute,
    to: Minute,
}

/// A day of each month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonthDay {
    /// This one, 1 to 31; months that are shorter have none.
    Day(i8),
    /// The last one.
    Last,
    /// The first to fourth such weekday.
    Nth(i8, Weekday),
    /// The last such weekday.
    LastOf(Weekday),
}

/// Time by the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarTime {
    /// All that is not an hour of service.
    OutsideServiceHours,
    /// Holidays, from midnight to midnight.
    Holidays,
}

impl CalendarTime {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OutsideServiceHours, Self::Holidays];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutsideServiceHours => "outside-service-hours",
            Self::Holidays => "holidays",
        }
    }
}

impl DayHours {
    /// From one time to another; `None` where they are equal, or it begins at 24:00.
    #[must_use]
    pub fn new(from: Minute, to: Minute) -> Option<Self> {
        (from != to && from != Minute::END_OF_DAY).then_some(Self { from, to })
    }

    fn on(self, day: Day, next: Option<Day>, days: &Days<'_>) -> (UnixMillis, UnixMillis) {
        let start = days.at(day, self.from);
        let end = match next {
            _ if self.from < self.to => days.at(day, self.to),
            Some(next) => days.at(next, self.to),
            // The day after the last one of a question: what lies in it is not asked for.
            None => day.end,
        };
        (start, end)
    }
}

impl Weekdays {
    pub(super) fn holds(self, weekday: Weekday) -> bool {
        self.0.get(monday_first(weekday)).copied().unwrap_or_default()
    }
}

impl MonthDay {
    fn is(self, day: Date) -> bool {
        let last = day.days_in_month();
        match self {
            Self::Day(number) => day.day() == number,
            Self::Last => day.day() == last,
            Self::Nth(nth, weekday) => day.weekday() == weekday && (day.day() - 1) / 7 + 1 == nth,
            Self::LastOf(weekday) => day.weekday() == weekday && day.day() + 7 > last,
        }
    }
}

impl Work {
    /// Adds the occurrences that may touch the window, whole where they are bounded, to `found`; those of the time by the calendar are
    /// cut to the window.
    pub(super) fn expand(
        &self,
        days: &Days<'_>,
        window: Window,
        calendar: &Calendar,
        found: &mut Vec<(UnixMillis, UnixMillis)>,
    ) {
        let valid = || days.between(self.valid_from, self.valid_to);
        let mut recur = |is: &dyn Fn(Date) -> bool, hours: DayHours| {
            for (day, next) in valid().filter(|(day, _)| is(day.date)) {
                found.push(hours.on(day, next, days));
            }
        };
        match &self.when {
            When::Once { from, to } => {
                if *from < window.end && window.start < *to {
                    found.push((*from, *to));
                }
            }
            When::Weekly { weekdays, hours } => recur(&|date| weekdays.holds(date.weekday()), *hours),
            When::Monthly { day, hours } => recur(&|date| day.is(date), *hours),
            When::Calendar(time) => {
                let (Some((first, _)), Some((last, _))) = (valid().next(), valid().last()) else { return };
                let valid = window.within(first.start, last.end);
                let periods = match time {
                    CalendarTime::Holidays => calendar.holidays_of(days, valid),
                    CalendarTime::OutsideServiceHours => {
                        calendar.service_time_of(days, valid).complement(valid)
                    }
                };
                found.extend(periods.as_slice().iter().map(|period| (period.start, period.end)));
            }
        }
    }
}

/// `sat`, `mon-fri`, `mon,wed,fri`, `day` for all seven.
impl FromStr for Weekdays {
    type Err = NotAWhen;

    fn from_str(text: &str) -> Result<Self, NotAWhen> {
        if text == "day" {
            return Ok(Self([true; 7]));
        }
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let find = |word: &str| weekday(word.trim()).map(monday_first).ok_or(NotAWhen);
            let range = find(first)?..=find(last)?;
            if range.is_empty() {
                return Err(NotAWhen);
            }
            range.for_each(|day| {
                if let Some(day) = days.get_mut(day) {
                    *day = true;
                }
            });
        }
        Ok(Self(days))
    }
}

/// `sat`, `mon,wed`, `day`.
impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == [true; 7] {
            return f.write_str("day");
        }
        let names = WEEKDAYS.iter().zip(self.0).filter(|(_, on)| *on).map(|((name, _), _)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

/// `15`, `last`, `2-tue`, `last-sun`; also `2nd-tue`.
impl FromStr for MonthDay {
    type Err = NotAWhen;

    fn from_str(text: &str) -> Result<Self, NotAWhen> {
        if text == "last" {
            return Ok(Self::Last);
        }
        if let Some((nth, day)) = text.split_once('-') {
            let day = weekday(day).ok_or(NotAWhen)?;
            return Ok(match nth {
                "last" => Self::LastOf(day),
                "1" | "1st" | "first" => Self::Nth(1, day),
                "2" | "2nd" | "second" => Self::Nth(2, day),
                "3" | "3rd" | "third" => Self::Nth(3, day),
                "4" | "4th" | "fourth" => Self::Nth(4, day),
                _ => return Err(NotAWhen),
            });
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && (1..=31).contains(number));
        number.map(Self::Day).ok_or(NotAWhen)
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(number) => number.fmt(f),
            Self::Last => f.write_str("last"),
            Self::Nth(nth, weekday) => write!(f, "{nth}-{}", weekday_word(*weekday)),
            Self::LastOf(weekday) => write!(f, "last-{}", weekday_word(*weekday)),
        }
    }
}

/// `22:00-02:00`
impl FromStr for DayHours {
    type Err = NotAWhen;

    fn from_str(text: &str) -> Result<Self, NotAWhen> {
        let (from, to) = text.split_once('-').ok_or(NotAWhen)?;
        let read = |text: &str| text.parse::<Minute>().map_err(|_| NotAWhen);
        Self::new(read(from)?, read(to)?).ok_or(NotAWhen)
    }
}

impl fmt::Display for DayHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

impl FromStr for CalendarTime {
    type Err = NotAWhen;

    fn from_str(text: &str) -> Result<Self, NotAWhen> {
        Self::ALL.into_iter().find(|time| time.as_str() == text).ok_or(NotAWhen)
    }
}

/// As [`When`] is displayed: `once 1793466000000..1793469600000`, `weekly sat 22:00-23:00`, `monthly last-sun 22:00-02:00`,
/// `calendar holidays`.
impl FromStr for When {
    type Err = NotAWhen;

    fn from_str(text: &str) -> Result<Self, NotAWhen> {
        let words: Vec<&str> = text.split(' ').collect();
        Ok(match words.as_slice() {
            ["once", window] => {
                let (from, to) = window.split_once("..").ok_or(NotAWhen)?;
                let read = |text: &str| text.parse().map(UnixMillis).map_err(|_| NotAWhen);
                let (from, to) = (read(from)?, read(to)?);
                if from >= to {
                    return Err(NotAWhen);
                }
                Self::Once { from, to }
            }
            ["weekly", weekdays, hours] => {
                Self::Weekly { weekdays: weekdays.parse()?, hours: hours.parse()? }
            }
            ["monthly", day, hours] => Self::Monthly { day: day.parse()?, hours: hours.parse()? },
            ["calendar", time] => Self::Calendar(time.parse()?),
            _ => return Err(NotAWhen),
        })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once { from, to } => write!(f, "once {}..{}", from.0, to.0),
            Self::Weekly { weekdays, hours } => write!(f, "weekly {weekdays} {hours}"),
            Self::Monthly { day, hours } => write!(f, "monthly {day} {hours}"),
            Self::Calendar(time) => write!(f, "calendar {}", time.as_str()),
        }
    }
}
