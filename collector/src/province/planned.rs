//! What is planned for the province's sites and links, and which hours are those of service.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wan_wire::{LinkName, UnixMillis};

use super::{Province, SiteNow};
use crate::inventory::Site;
use crate::ledger::periods::{Period, Periods};
use crate::ledger::timeline::Window;
use crate::planned::{LinkFacts, PlannedWindow, Schedule, SiteAt, SiteFacts};

/// How far back the start of planned time is looked for at first: most of it takes some hours. Each further look goes eight times
/// as far.
const FIRST_LOOK_BACK_MS: i64 = 86_400_000;
/// The last look goes at least as far as the longest window. Time that recurs without a gap is shown to begin there.
const LAST_LOOK_BACK_MS: i64 = crate::planned::LONGEST_DAYS * 86_400_000;

/// What was derived for a window, for the next site that is asked about over the same.
#[derive(Debug, Default)]
pub(super) struct Memo {
    schedules: Mutex<BTreeMap<(UnixMillis, UnixMillis), Arc<Schedule>>>,
    service: Mutex<Option<(Window, Arc<Periods>)>>,
}

impl Province<'_> {
    /// What is planned in a window for a site, or for one of its links. [`crate::planned`] says what a carrier's works are to either.
    #[must_use]
    pub fn planned_of(&self, site: &SiteNow<'_>, link: Option<&LinkName>, window: Window) -> Periods {
        if self.planned.windows().is_empty() {
            return Periods::new();
        }
        let schedule = self.schedule(window);
        if schedule.is_empty() {
            return Periods::new();
        }
        let facts = SiteFacts::over(site.site, &self.register, window, &self.config.timezone);
        let carrier = |link: &LinkName| site.site.link(link).and_then(|entry| entry.carrier.as_deref());
        match link {
            Some(link) => schedule.for_link(&facts, carrier(link)),
            None => {
                let links = site.seen_links().map(|link| LinkFacts {
                    kind: link.name.kind(),
                    valid: link.valid,
                    carrier: carrier(&link.name),
                });
                schedule.of_site(&facts, links, site.view(), &self.basis())
            }
        }
    }

    /// Every planned window, ended and void ones included.
    #[must_use]
    pub fn planned_windows(&self) -> &[PlannedWindow] {
        self.planned.windows()
    }

    /// The planned windows that hold now for the site or for any of its links, each with its occurrence.
    #[must_use]
    pub fn planned_now(&self, site: &Site) -> Vec<(&PlannedWindow, Period)> {
        let (zone, calendar) = (&self.config.timezone, &self.config.calendar);
        let site = SiteAt::of(site, &self.register, self.now, zone);
        self.planned.covering(self.now, zone, calendar, |window| window.work.scope.touches(&site))
    }

    /// Since when the planned time holds in which the site is now; `None`: it is not in any.
    pub(super) fn planned_since(&self, site: &SiteNow<'_>) -> Option<UnixMillis> {
        let mut back = FIRST_LOOK_BACK_MS;
        loop {
            let window = Window::new(self.now.plus_millis(-back), self.now.plus_millis(1));
            let since = self.planned_of(site, None, window).at(self.now)?.start;
            if since > window.start || back > LAST_LOOK_BACK_MS {
                return Some(since);
            }
            back *= 8;
        }
    }

    fn schedule(&self, window: Window) -> Arc<Schedule> {
        /// Questions about the present have some windows; more than these are asked one by one.
        const KEPT: usize = 32;
        let mut schedules = self.memo.schedules.lock();
        let key = (window.start, window.end);
        if let Some(known) = schedules.get(&key) {
            return Arc::clone(known);
        }
        if schedules.len() >= KEPT {
            schedules.clear();
        }
        let schedule = Arc::new(self.planned.over(window, &self.config.timezone, &self.config.calendar));
        schedules.insert(key, Arc::clone(&schedule));
        schedule
    }

    /// The hours of service in a window.
    pub(crate) fn service_time(&self, window: Window) -> Arc<Periods> {
        let mut service = self.memo.service.lock();
        if let Some((_, known)) = service.as_ref().filter(|(of, _)| *of == window) {
            return Arc::clone(known);
        }
        let time = Arc::new(self.config.calendar.service_time(window, &self.config.timezone));
        *service = Some((window, Arc::clone(&time)));
        time
    }
}
