//! What the register says of a site on a day: names, tiers and parents change, and the past keeps what it was.
//!
//! A [`Site`] holds what is so last; each [`Former`] what was so before a day. They ascend by that day, so the first whose day is
//! still to come tells what holds. An **era** begins and ends at midnights of the province.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use wan_wire::{SiteId, UnixMillis};

use super::{Link, Register, Site, start_of};
use crate::config::{BranchId, TierId};
use crate::ledger::timeline::Window;

/// What a site was until a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Former {
    /// First day on which it was this no more.
    pub until: Date,
    /// Its name in Vietnamese.
    pub name: String,
    /// Its tier.
    pub tier: TierId,
    /// Its branch.
    pub branch: BranchId,
    /// The site that its WAN path depended on.
    pub parent: Option<SiteId>,
    /// The district that it lay in.
    pub district: Option<String>,
}

/// What the register says of a site at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered<'s> {
    /// Its name in Vietnamese.
    pub name: &'s str,
    /// Its tier.
    pub tier: &'s TierId,
    /// Its branch.
    pub branch: &'s BranchId,
    /// The site that its WAN path depends on, whether or not that one is registered at the time: see [`Register::parent_at`].
    pub parent: Option<&'s SiteId>,
    /// The district that it lies in.
    pub district: Option<&'s str>,
}

/// A time within its registration in which nothing of [`Registered`] changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Era<'s> {
    /// First instant; `None`: since ever.
    pub from: Option<UnixMillis>,
    /// First instant after it; `None`: it goes on.
    pub to: Option<UnixMillis>,
    /// What held.
    pub registered: Registered<'s>,
}

impl Former {
    /// What held.
    #[must_use]
    pub fn registered(&self) -> Registered<'_> {
        Registered {
            name: &self.name,
            tier: &self.tier,
            branch: &self.branch,
            parent: self.parent.as_ref(),
            district: self.district.as_deref(),
        }
    }
}

impl Registered<'_> {
    /// The same as what a site was until a day.
    #[must_use]
    pub fn until(&self, until: Date) -> Former {
        Former {
            until,
            name: self.name.to_owned(),
            tier: self.tier.clone(),
            branch: self.branch.clone(),
            parent: self.parent.cloned(),
            district: self.district.map(str::to_owned),
        }
    }
}

impl Site {
    /// What holds in the end.
    #[must_use]
    pub fn latest(&self) -> Registered<'_> {
        Registered {
            name: &self.name,
            tier: &self.tier,
            branch: &self.branch,
            parent: self.parent.as_ref(),
            district: self.district.as_deref(),
        }
    }

    /// What held on a day, whether or not the site was registered on it.
    #[must_use]
    pub fn as_of(&self, day: Date) -> Registered<'_> {
        self.former.iter().find(|former| day < former.until).map_or_else(|| self.latest(), Former::registered)
    }

    /// What held at an instant, whether or not the site was registered then.
    #[must_use]
    pub fn as_of_instant(&self, at: UnixMillis, zone: &TimeZone) -> Registered<'_> {
        // Most sites never change, and what never changes needs no calendar.
        if self.former.is_empty() { self.latest() } else { self.as_of(day_of(at, zone)) }
    }

    /// Its eras from its opening to its closing: none empty, each beginning where the last ended.
    pub fn eras(&self, zone: &TimeZone) -> impl Iterator<Item = Era<'_>> {
        let (opens, closes) = (self.valid_from, self.valid_to);
        let ends = self.former.iter().map(|former| (Some(former.until), former.registered()));
        let mut begin = opens;
        ends.chain([(None, self.latest())]).filter_map(move |(until, registered)| {
            let end = match (until, closes) {
                (Some(until), Some(closes)) => Some(until.min(closes)),
                (until, closes) => until.or(closes),
            };
            let from = begin;
            begin = begin.max(end);
            let empty = matches!((from, end), (Some(from), Some(end)) if end <= from);
            let instant = |day: Date, beyond| start_of(day, zone, beyond);
            (!empty).then(|| Era {
                from: from.map(|day| instant(day, i64::MIN)),
                to: end.map(|day| instant(day, i64::MAX)),
                registered,
            })
        })
    }

    /// The same site, changed on `day` to what `self` is last: what `before` was until then is kept as its past, and what it was
    /// to become later is not.
    #[must_use]
    pub fn since(mut self, day: Date, before: &Site) -> Self {
        self.former = before.former.iter().filter(|former| former.until < day).cloned().collect();
        let opened = before.valid_from.is_none_or(|opens| opens < day);
        if let Some(last) = day.yesterday().ok().filter(|_| opened).map(|last| before.as_of(last))
            && last != self.latest()
        {
            self.former.push(last.until(day));
        }
        self
    }

    /// The same site, closed on `day`: what was to hold or to be connected only later is no more.
    #[must_use]
    pub fn close_on(&self, day: Date) -> Self {
        let mut site = Site { valid_to: Some(day), ..self.clone() };
        if let Some(first) = self.former.iter().position(|former| former.until >= day) {
            let Former { name, tier, branch, parent, district, .. } = self.former[first].clone();
            site.former.truncate(first);
            site = Site { name, tier, branch, parent, district, ..site };
        }
        site.links.retain(|link| link.valid_from.is_none_or(|from| from < day));
        site
    }
}

impl Link {
    /// When it is one of its site's links.
    #[must_use]
    pub fn valid(&self, zone: &TimeZone) -> Window {
        Window::new(
            self.valid_from.map_or(UnixMillis::MIN, |day| start_of(day, zone, i64::MIN)),
            self.valid_to.map_or(UnixMillis::MAX, |day| start_of(day, zone, i64::MAX)),
        )
    }
}

impl Register {
    /// The site that the WAN path of `site` depends on at an instant: its parent then, provided that this one is registered
    /// then. One that has not opened yet or has closed is no parent: nothing is charged to it, and nobody is unreachable for it.
    #[must_use]
    pub fn parent_at(&self, site: &SiteId, at: UnixMillis, zone: &TimeZone) -> Option<&Site> {
        self.parent_of(self.get(site)?, at, zone)
    }

    /// The same of a site that is in hand.
    #[must_use]
    pub fn parent_of(&self, site: &Site, at: UnixMillis, zone: &TimeZone) -> Option<&Site> {
        let parent = self.get(site.as_of_instant(at, zone).parent?)?;
        parent.registered_at(at, zone).then_some(parent)
    }

    /// The parents of a site over a window, each for the time in which it is that, as [`Register::parent_at`] has it: in the order of
    /// time, and without an empty one. On no day do parents form a circle, though over a longer time they may.
    #[must_use]
    pub fn parents_over<'r>(
        &'r self,
        site: &'r Site,
        window: Window,
        zone: &TimeZone,
    ) -> Vec<(Window, &'r Site)> {
        let within = |window: Window, from: Option<UnixMillis>, to: Option<UnixMillis>| {
            window.within(from.unwrap_or(UnixMillis::MIN), to.unwrap_or(UnixMillis::MAX))
        };
        let parents = site.eras(zone).filter_map(|era| {
            let parent = self.get(era.registered.parent?)?;
            let time = within(window, era.from, era.to);
            let time = within(time, parent.valid_from_ms(zone), parent.valid_to_ms(zone));
            (!time.is_empty()).then_some((time, parent))
        });
        parents.collect()
    }

    /// What in the register is odd and yet can be so: each is said on import, and has a defined answer.
    #[must_use]
    pub fn oddities(&self) -> Vec<Oddity> {
        let mut found = Vec::new();
        for site in self.sites() {
            let mut begin = site.valid_from;
            let eras = site.former.iter().map(|former| (Some(former.until), former.parent.as_ref()));
            for (until, parent) in eras.chain([(site.valid_to, site.parent.as_ref())]) {
                let from = std::mem::replace(&mut begin, until);
                let Some(parent) = parent.and_then(|parent| self.get(parent)) else { continue };
                let late = parent.valid_from.filter(|opens| from.is_none_or(|from| from < *opens));
                let early = parent.valid_to.filter(|closes| until.is_none_or(|until| *closes < until));
                if late.is_some() || early.is_some() {
                    found.push(Oddity::ParentNotRegistered {
                        site: site.id.clone(),
                        parent: parent.id.clone(),
                        opens: late,
                        closes: early,
                    });
                }
            }
            if let (Some(into), Some(day)) = (&site.merged_into, site.valid_to)
                && let Some(target) = self.get(into)
                && (target.valid_from.is_some_and(|opens| opens > day)
                    || target.valid_to.is_some_and(|closes| closes <= day))
            {
                found.push(Oddity::MergedIntoClosed { site: site.id.clone(), into: into.clone(), day });
            }
        }
        found
    }
}

/// Something odd in a register that is no contradiction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// A site's parent is not registered all the time that it is its parent.
    #[error(
        "{site}: its parent {parent} {}; for the rest of the time it counts as having no parent",
        registered_only(.opens.as_ref(), .closes.as_ref())
    )]
    ParentNotRegistered {
        /// The child.
        site: SiteId,
        /// The parent.
        parent: SiteId,
        /// When the parent opens, if that is later.
        opens: Option<Date>,
        /// When the parent closes, if that is earlier.
        closes: Option<Date>,
    },
    /// A site was merged into one that is not registered on that day.
    #[error("{site}: it is merged into {into}, which is not registered on {day}")]
    MergedIntoClosed {
        /// The site that closes.
        site: SiteId,
        /// Where it went.
        into: SiteId,
        /// When.
        day: Date,
    },
}

fn registered_only(opens: Option<&Date>, closes: Option<&Date>) -> String {
    match (opens, closes) {
        (Some(opens), Some(closes)) => format!("is registered only from {opens} to {closes}"),
        (Some(opens), None) => format!("is registered only from {opens} on"),
        (None, Some(closes)) => format!("closes on {closes}"),
        (None, None) => "is not registered".to_owned(),
    }
}

/// The province's day that holds an instant; beyond the calendar its first or last day.
#[must_use]
pub fn day_of(at: UnixMillis, zone: &TimeZone) -> Date {
    match Timestamp::from_millisecond(at.0) {
        Ok(instant) => instant.to_zoned(zone.clone()).date(),
        Err(_) if at.0 < 0 => Date::MIN,
        Err(_) => Date::MAX,
    }
}
