//! Planned work: what was announced, for whom and when, by whom and why.
//!
//! A [`PlannedWindow`] is a decision of people, kept as it was made. Which time it covers ([`Planned::over`]) is derived, like
//! everything else, so a window that is added after the fact takes its time out of the past, and one that is void gives it back.
//!
//! # For whom: [`Scope`]
//!
//! | scope | applies to |
//! | --- | --- |
//! | all, tier, district | every site (of the tier, of the district) with all its links |
//! | site | the site with all its links |
//! | subtree | the site and all whose WAN path depends on it, with all their links |
//! | carrier | the links that the register says are this carrier's, and nothing else |
//!
//! Which sites these are, the register says, that of the time itself: a commune's window covers a site only while it was a commune. Somebody
//! who leaves it is no longer covered; a window for a site, tier, district or carrier
//! that the register no longer has is kept and covers nobody.
//!
//! **A carrier's works must not excuse the LAN.** Of a site's links only those of the carrier are excused. The site itself is, where
//! all its links of a required kind are excused and no other required kind is down ([`Schedule::of_site`]): when the leased line is
//! worked on, the site cannot be connected, and that is planned; when its LAN fails meanwhile, that is not; and where a second carrier's
//! line should have carried the traffic, nothing is excused.
//!
//! # When: [`When`]
//!
//! Once, from an instant to another; every week or every month from one time of day to another, over midnight where the end is not after
//! the start; or by the calendar, outside the hours of service or on holidays. Times of day are the province's and follow its clocks as
//! [`crate::calendar`] says. A month without the day has no occurrence. Recurring windows have a first day, the day on which they were added
//! unless another is told, and may have a day from which they hold no more; an occurrence belongs to the day on which it begins. Windows
//! that overlap are one time.
//!
//! # The end of a window
//!
//! Nothing is deleted. A window that is **removed** ends at that instant, and what it covered before stays as it was. One that is
//! **void** was a mistake: it covers nothing, as if it had never been. Either way the list still shows it, with who and when.
//!
//! # Limits
//!
//! [`MOST_WINDOWS`] that are not void; [`MOST_REASON`] characters of a reason; one-off windows of at most [`LONGEST_DAYS`] days. An
//! expansion looks at each day of the question once for each recurring window, and holds no more than the time that they cover together.

pub mod draft;
mod schedule;
mod scope;
mod when;
mod words;

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

use crate::calendar::{Calendar, Days};
use crate::lang::is_hidden;
use crate::ledger::periods::{Period, Periods};
use crate::ledger::timeline::Window;

pub use schedule::{LinkFacts, Schedule, SiteAt, SiteFacts};
pub use scope::Scope;
pub(crate) use scope::same;
pub use when::{CalendarTime, DayHours, MonthDay, NotAWhen, When};

/// Most windows that are not void, those that are over among them: three a day for nine years.
pub const MOST_WINDOWS: usize = 10_000;
/// Most windows that are void. They cost the list only.
pub const MOST_VOID: usize = 10_000;
/// Most characters of a reason.
pub const MOST_REASON: usize = 200;
/// Most characters of the name of who added or removed a window.
pub const MOST_BY: usize = 64;
/// Longest one-off window in days. What is out of service for longer is closed in the register.
pub const LONGEST_DAYS: i64 = 366;

/// How far from an instant the window that covers it is looked for: the longest holiday and its weekends lie within.
const LOOK_MS: i64 = 70 * 86_400_000;

/// The number of a window; stays the same for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlannedId(pub i64);

impl fmt::Display for PlannedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is planned, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// For whom.
    pub scope: Scope,
    /// When.
    pub when: When,
    /// The first day on which an occurrence may begin; `None`: a one-off window, which has its own start.
    pub valid_from: Option<Date>,
    /// The first day on which none begins any more.
    pub valid_to: Option<Date>,
    /// Why.
    pub reason: String,
    /// When it was added.
    pub added: UnixMillis,
    /// By whom.
    pub by: String,
}

/// One planned window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWindow {
    /// Its number.
    pub id: PlannedId,
    /// What is planned.
    pub work: Work,
    /// How it was ended, if it was.
    pub removed: Option<Removal>,
}

/// The end of a window before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// When.
    pub at: UnixMillis,
    /// By whom.
    pub by: String,
    /// Whether it is void, as if it had never been.
    pub void: bool,
}

/// Why a window cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRemovable {
    /// It is void already.
    Void(Removal),
    /// It was ended already; it could still be made void.
    Ended(Removal),
    /// It is over; it could still be made void.
    Over,
}

impl PlannedWindow {
    /// Whether it can be ended at `now`, or made `void`.
    ///
    /// # Errors
    /// When that would change nothing.
    pub fn may_be_removed(&self, void: bool, now: UnixMillis, zone: &TimeZone) -> Result<(), NotRemovable> {
        match &self.removed {
            Some(removal) if removal.void => Err(NotRemovable::Void(removal.clone())),
            Some(removal) if !void => Err(NotRemovable::Ended(removal.clone())),
            None if !void && self.is_over(now, zone) => Err(NotRemovable::Over),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it covers no time after `now`, removed or not.
    #[must_use]
    pub fn is_over(&self, now: UnixMillis, zone: &TimeZone) -> bool {
        if self.removed.is_some() {
            return true;
        }
        match self.work.when {
            When::Once { to, .. } => to <= now,
            When::Weekly { .. } | When::Monthly { .. } | When::Calendar(_) => {
                let ends = self.work.valid_to.and_then(|day| day.to_zoned(zone.clone()).ok());
                // The last occurrence may reach over midnight.
                ends.is_some_and(|ends| ends.timestamp().as_millisecond() + 86_400_000 <= now.0)
            }
        }
    }

    /// Its occurrences on `days` that share an instant with the window, one by one, cut by its end before its time. Those of the last day
    /// end with it; those by the calendar are cut to the window.
    #[must_use]
    pub fn times(&self, days: &Days<'_>, window: Window, calendar: &Calendar) -> Vec<Period> {
        let times = self.expanded(days, window, calendar);
        let times = times.into_iter().map(|(start, end)| Period { start, end });
        let touches =
            |time: &Period| time.start < time.end && time.start < window.end && window.start < time.end;
        let mut times: Vec<Period> = times.filter(touches).collect();
        times.sort_by_key(|time| (time.start, time.end));
        times
    }

    /// Its occurrences, whole, as far as they touch the window of `days`.
    fn occurrences(&self, days: &Days<'_>, window: Window, calendar: &Calendar) -> Periods {
        self.expanded(days, window, calendar).into_iter().collect()
    }

    /// The same one by one, each cut by the window's end before its time: it may be empty, or end before it begins.
    fn expanded(
        &self,
        days: &Days<'_>,
        window: Window,
        calendar: &Calendar,
    ) -> Vec<(UnixMillis, UnixMillis)> {
        let ended = match &self.removed {
            Some(removal) if removal.void => return Vec::new(),
            Some(removal) => removal.at,
            None => UnixMillis::MAX,
        };
        let mut found = Vec::new();
        self.work.expand(days, window, calendar, &mut found);
        for (_, end) in &mut found {
            *end = (*end).min(ended);
        }
        found
    }
}

/// All planned windows, in the order of their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    windows: Vec<PlannedWindow>,
}

impl Planned {
    /// Of windows in any order.
    #[must_use]
    pub fn new(mut windows: Vec<PlannedWindow>) -> Self {
        windows.sort_by_key(|window| window.id);
        Self { windows }
    }

    /// Every window, ended and void ones included.
    #[must_use]
    pub fn windows(&self) -> &[PlannedWindow] {
        &self.windows
    }

    /// Which time is planned in a window, for every scope at once.
    #[must_use]
    pub fn over(&self, window: Window, zone: &TimeZone, calendar: &Calendar) -> Schedule {
        Schedule::of(&self.windows, window, zone, calendar)
    }

    /// Of the windows that `wanted` names, those that cover an instant, each with its occurrence that does.
    #[must_use]
    pub fn covering(
        &self,
        at: UnixMillis,
        zone: &TimeZone,
        calendar: &Calendar,
        wanted: impl Fn(&PlannedWindow) -> bool,
    ) -> Vec<(&PlannedWindow, Period)> {
        let around = Window::new(at.plus_millis(-LOOK_MS), at.plus_millis(LOOK_MS));
        let days = Days::of(around, zone);
        let covers = |window: &PlannedWindow| window.occurrences(&days, around, calendar).at(at);
        let wanted = self.windows.iter().filter(|window| wanted(window));
        wanted.filter_map(|window| Some((window, covers(window)?))).collect()
    }

    /// The window of this number.
    #[must_use]
    pub fn get(&self, id: PlannedId) -> Option<&PlannedWindow> {
        let index = self.windows.binary_search_by_key(&id, |window| window.id).ok()?;
        self.windows.get(index)
    }
}

/// Whether text that people write here is one line that can be shown as it is: no control characters, and none that turn the
/// direction of what is shown.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hidden)
}

#[cfg(test)]
mod tests;
