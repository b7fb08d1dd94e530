//! Planned windows and the calendar, as a scenario tells them, and the time that follows.

use std::collections::BTreeMap;

use jiff::civil::Date;
use wan_collector::calendar::{Calendar, Holiday, Hours, WEEKDAYS, office_hours, weekday};
use wan_collector::ledger::span::Periods;
use wan_collector::ledger::timeline::{Basis, SiteView, Window};
use wan_collector::planned::{
    LinkFacts, Planned, PlannedId, PlannedWindow, Removal, Scope, SiteFacts, When, Work,
};
use wan_wire::{LinkName, SiteId, UnixMillis};

use crate::told::{Scenario, Site, Told};

/// What was told of planned windows and of the calendar.
#[derive(Default)]
pub(crate) struct Works {
    windows: Vec<PlannedWindow>,
    hours: Option<[Vec<Hours>; 7]>,
    holidays: Vec<Holiday>,
    worked: BTreeMap<Date, jiff::civil::Weekday>,
}

impl Scenario {
    /// `planned for SCOPE WHEN [valid FROM [TO]]`.
    pub(crate) fn tell_works(&mut self, words: &[&str]) -> Told<()> {
        let (scope, rest) = match words {
            ["all", rest @ ..] => (Scope::All, rest),
            [kind, of, rest @ ..] => {
                let of = of.replace('_', " ");
                let scope = Scope::from_parts(kind, &of);
                (
                    scope.ok_or(format!(
                        "`{kind} {of}`: expected all, site, subtree, tier, district or carrier"
                    ))?,
                    rest,
                )
            }
            _ => return Err("expected for whom it is planned".to_owned()),
        };
        let (when, valid) = match rest.iter().position(|word| *word == "valid") {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &[][..]),
        };
        let when = match when {
            [window] => {
                let window = self.window(window)?;
                When::Once { from: window.start, to: window.end }
            }
            words => words.join(" ").parse().map_err(|e| format!("`{}`: {e}", words.join(" ")))?,
        };
        let (from, to) = match valid {
            [] => (None, None),
            [from] => (Some(date(from)?), None),
            [from, to] => (Some(date(from)?), Some(date(to)?)),
            _ => return Err("expected one or two days after `valid`".to_owned()),
        };
        let work = Work {
            scope,
            when,
            valid_from: from,
            valid_to: to,
            reason: "scenario".to_owned(),
            added: UnixMillis(0),
            by: "scenario".to_owned(),
        };
        let id = PlannedId(i64::try_from(self.works.windows.len()).map_err(|e| e.to_string())? + 1);
        self.works.windows.push(PlannedWindow { id, work, removed: None });
        Ok(())
    }

    /// `planned ended NUMBER TIME`, `planned void NUMBER`: the windows are numbered from 1 in the order in which they are told.
    pub(crate) fn end_works(&mut self, number: &str, at: Option<&str>) -> Told<()> {
        let at = at.map(|at| self.instant(at)).transpose()?;
        let number: i64 = number.parse().map_err(|e| format!("`{number}`: {e}"))?;
        let window = self.works.windows.iter_mut().find(|window| window.id == PlannedId(number));
        let window = window.ok_or(format!("no planned window {number} so far"))?;
        let removal =
            Removal { at: at.unwrap_or(UnixMillis(0)), by: "scenario".to_owned(), void: at.is_none() };
        window.removed = Some(removal);
        Ok(())
    }

    /// `hours WEEKDAYS FROM-TO…`, `holiday DAY|FROM..TO NAME…`, `worked DAY like WEEKDAY`.
    pub(crate) fn tell_calendar(&mut self, words: &[&str]) -> Told<()> {
        match words {
            ["hours", days, ranges @ ..] => {
                let range = |text: &&str| {
                    let (from, to) = text.split_once('-')?;
                    Hours::new(from.parse().ok()?, to.parse().ok()?)
                };
                let ranges: Option<Vec<Hours>> = ranges.iter().map(range).collect();
                let ranges = ranges.ok_or("expected hours such as 07:30-11:30")?;
                let (first, last) = days.split_once('-').unwrap_or((days, days));
                let position = |word: &str| WEEKDAYS.iter().position(|(name, _)| *name == word);
                let (Some(first), Some(last)) = (position(first), position(last)) else {
                    return Err(format!("`{days}`: expected weekdays such as mon-fri"));
                };
                let hours = self.works.hours.get_or_insert_with(|| std::array::from_fn(|_| Vec::new()));
                hours[first..=last].iter_mut().for_each(|day| day.clone_from(&ranges));
            }
            ["holiday", days, name @ ..] => {
                let (from, to) = days.split_once("..").unwrap_or((days, days));
                self.works.holidays.push(Holiday { from: date(from)?, to: date(to)?, name: name.join(" ") });
            }
            ["worked", day, "like", like] => {
                let like = weekday(like).ok_or(format!("`{like}`: expected a weekday such as mon"))?;
                self.works.worked.insert(date(day)?, like);
            }
            _ => return Err("expected hours, holiday or worked".to_owned()),
        }
        Ok(())
    }

    fn calendar(&self) -> Calendar {
        let hours = self.works.hours.clone().unwrap_or_else(office_hours);
        Calendar::new(hours, self.works.holidays.clone(), self.works.worked.clone())
    }

    /// The hours of service in a window.
    pub(crate) fn service_time(&self, window: Window) -> Periods {
        self.calendar().service_time(window, &self.zone)
    }

    /// What is planned for one link of a site.
    pub(crate) fn planned_of_link(&self, id: &str, link: &LinkName, window: Window) -> Told<Periods> {
        let (site, path) = (self.site(id)?, self.path(id)?);
        let schedule = Planned::new(self.works.windows.clone()).over(window, &self.zone, &self.calendar());
        Ok(schedule.for_link(&[facts(site, &path, window)], site.carriers.get(link).map(String::as_str)))
    }

    /// What is planned for a site, of whose links these are measured.
    pub(crate) fn planned_of_site(
        &self,
        id: &str,
        links: &[LinkName],
        view: &SiteView<'_>,
        basis: &Basis<'_>,
        window: Window,
    ) -> Told<Periods> {
        let (site, path) = (self.site(id)?, self.path(id)?);
        let schedule = Planned::new(self.works.windows.clone()).over(window, &self.zone, &self.calendar());
        let links = links.iter().map(|link| LinkFacts {
            kind: link.kind(),
            valid: Window::new(UnixMillis::MIN, UnixMillis::MAX),
            carrier: site.carriers.get(link).map(String::as_str),
        });
        Ok(schedule.of_site(&[facts(site, &path, window)], links, view, basis))
    }

    fn path(&self, id: &str) -> Told<Vec<SiteId>> {
        self.line_of(id).map(|id| id.parse().map_err(|e| format!("`{id}`: {e}"))).collect()
    }
}

/// A scenario's sites stay where they are.
fn facts<'s>(site: &'s Site, path: &'s [SiteId], time: Window) -> SiteFacts<'s> {
    SiteFacts { time, path: path.iter().collect(), tier: &site.tier, district: site.district.as_deref() }
}

fn date(text: &str) -> Told<Date> {
    text.parse().map_err(|e| format!("day `{text}`: {e}"))
}
