//! Planned windows as time: which instants of a question are planned, for whom.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use wan_wire::{LinkKind, SiteId, UnixMillis};

use super::PlannedWindow;
use super::scope::{Key, plain};
use crate::calendar::{Calendar, Days};
use crate::inventory::{Register, Site};
use crate::ledger::periods::Periods;
use crate::ledger::timeline::{Basis, KindsSweep, SiteView, State, Window};

/// What the register says of a site for some time, as far as it decides which windows are for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFacts<'r> {
    /// For which time.
    pub time: Window,
    /// The site, its parent, the parent's parent, and so on.
    pub path: Vec<&'r SiteId>,
    /// Its tier.
    pub tier: &'r str,
    /// Its district.
    pub district: Option<&'r str>,
}

impl<'r> SiteFacts<'r> {
    /// The facts of a site of `register` over a window, each for the time in which they hold, in order. Of most sites they never change.
    #[must_use]
    pub fn over(site: &'r Site, register: &'r Register, window: Window, zone: &TimeZone) -> Vec<Self> {
        let mut facts = Vec::new();
        for era in site.eras(zone) {
            let time = window.within(era.from.unwrap_or(UnixMillis::MIN), era.to.unwrap_or(UnixMillis::MAX));
            let (tier, district) = (era.registered.tier.as_str(), era.registered.district);
            let paths = paths(site, register, time, zone).into_iter();
            facts.extend(paths.map(|(time, path)| Self { time, path, tier, district }));
        }
        facts
    }
}

/// A site and all above it over a window, each for the time in which that is its path. On no day do parents form a circle, so the
/// recursion ends.
fn paths<'r>(
    site: &'r Site,
    register: &'r Register,
    window: Window,
    zone: &TimeZone,
) -> Vec<(Window, Vec<&'r SiteId>)> {
    let mut found = Vec::new();
    if window.is_empty() {
        return found;
    }
    let mut from = window.start;
    for (time, parent) in register.parents_over(site, window, zone) {
        found.push((Window::new(from, time.start), vec![&site.id]));
        for (time, above) in paths(parent, register, time, zone) {
            found.push((time, std::iter::once(&site.id).chain(above).collect()));
        }
        from = time.end;
    }
    found.push((Window::new(from, window.end), vec![&site.id]));
    found.retain(|(time, _)| !time.is_empty());
    found
}

/// A site of the register at an instant, with the carriers of its links.
#[derive(Debug, Clone)]
pub struct SiteAt<'r> {
    /// What the register says of it; `None`: it is not registered then.
    pub facts: Option<SiteFacts<'r>>,
    /// Who provides its links.
    pub carriers: Vec<&'r str>,
}

impl<'r> SiteAt<'r> {
    /// A site of `register` at an instant.
    #[must_use]
    pub fn of(site: &'r Site, register: &'r Register, at: UnixMillis, zone: &TimeZone) -> Self {
        let links = site.links.iter().filter(|link| {
            let valid = link.valid(zone);
            valid.start <= at && at < valid.end
        });
        Self {
            facts: SiteFacts::over(site, register, Window::instant(at), zone).pop(),
            carriers: links.filter_map(|link| link.carrier.as_deref()).collect(),
        }
    }
}

/// A link of a site, as far as it decides whether its works excuse the site.
#[derive(Debug, Clone, Copy)]
pub struct LinkFacts<'l> {
    /// What it is for.
    pub kind: LinkKind,
    /// When it is a link of the site.
    pub valid: Window,
    /// Who provides it.
    pub carrier: Option<&'l str>,
}

/// The planned time of one question, by scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    by_scope: BTreeMap<Key, Periods>,
}

impl Schedule {
    /// Expands every window once.
    pub(super) fn of(
        windows: &[PlannedWindow],
        window: Window,
        zone: &TimeZone,
        calendar: &Calendar,
    ) -> Self {
        if windows.is_empty() || window.is_empty() {
            return Self::default();
        }
        let days = Days::of(window, zone);
        let mut of_scope: BTreeMap<Key, Vec<&PlannedWindow>> = BTreeMap::new();
        for planned in windows {
            of_scope.entry(planned.work.scope.key()).or_default().push(planned);
        }
        let expand = |windows: Vec<&PlannedWindow>| {
            let each = windows.into_iter().map(|planned| planned.occurrences(&days, window, calendar));
            Periods::union_of(each.map(|periods| periods.within(window)))
        };
        let by_scope = of_scope.into_iter().map(|(scope, windows)| (scope, expand(windows)));
        Self { by_scope: by_scope.filter(|(_, periods)| !periods.is_empty()).collect() }
    }

    /// Whether nothing is planned for anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    /// What is planned for a site with all its links, given its facts over the window.
    #[must_use]
    pub fn for_site(&self, facts: &[SiteFacts<'_>]) -> Periods {
        if self.is_empty() {
            return Periods::new();
        }
        let of_time = |facts: &SiteFacts<'_>| {
            let of_path = facts.path.iter().map(|id| Key::Subtree(id.to_string()));
            let own = facts.path.first().map(|id| Key::Site(id.to_string()));
            let district = facts.district.map(|district| Key::District(plain(district)));
            let keys = [Key::All, Key::Tier(facts.tier.to_owned())].into_iter();
            self.union(keys.chain(own).chain(district).chain(of_path)).within(facts.time)
        };
        Periods::union_of(facts.iter().map(of_time))
    }

    /// What is planned for one of a site's links: what is for the site, and what is for the link's carrier.
    #[must_use]
    pub fn for_link(&self, facts: &[SiteFacts<'_>], carrier: Option<&str>) -> Periods {
        let own = self.for_site(facts);
        match carrier.and_then(|carrier| self.by_scope.get(&Key::Carrier(plain(carrier)))) {
            Some(carriers) => own.union(carriers),
            None => own,
        }
    }

    /// What is planned for the site as the plan defines connected: what is for the site, and where all links of a required kind are
    /// worked on while no other required kind is down. `links` are the links that are measured.
    #[must_use]
    pub fn of_site<'l>(
        &self,
        facts: &[SiteFacts<'_>],
        links: impl IntoIterator<Item = LinkFacts<'l>>,
        view: &SiteView<'_>,
        basis: &Basis<'_>,
    ) -> Periods {
        let own = self.for_site(facts);
        // Of each kind: when all its links are worked on or are not the site's, and when any is that is.
        let mut kinds: BTreeMap<LinkKind, (Periods, Periods)> = BTreeMap::new();
        let ever = Window::new(UnixMillis::MIN, UnixMillis::MAX);
        for link in links.into_iter().filter(|link| basis.required.contains(&link.kind)) {
            let key = link.carrier.map(|carrier| Key::Carrier(plain(carrier)));
            let works = key.and_then(|key| self.by_scope.get(&key)).cloned().unwrap_or_default();
            let works = works.within(link.valid);
            let valid: Periods = [(link.valid.start, link.valid.end)].into_iter().collect();
            let free = works.union(&valid.complement(ever));
            let kind = match kinds.get(&link.kind) {
                Some((all, any)) => (all.intersect(&free), any.union(&works)),
                None => (free, works),
            };
            kinds.insert(link.kind, kind);
        }
        let kinds: BTreeMap<LinkKind, Periods> =
            kinds.into_iter().map(|(kind, (all, any))| (kind, all.intersect(&any))).collect();
        let works = kinds.values().fold(Periods::new(), |all, kind| all.union(kind)).subtract(&own);
        if works.is_empty() {
            return own;
        }
        let mut down: BTreeMap<LinkKind, Vec<(UnixMillis, UnixMillis)>> = BTreeMap::new();
        for period in works.as_slice() {
            // The present instant is part of what is known; the future is not.
            let window = Window::new(period.start, period.end.min(basis.now.plus_millis(1)));
            for (start, end, states) in KindsSweep::new(view, basis.required, basis, window) {
                for kind in basis.required.iter().filter(|kind| states.get(**kind) == State::Down) {
                    down.entry(*kind).or_default().push((start, end));
                }
            }
        }
        let nothing = Periods::new();
        let blamed = down.into_iter().map(|(kind, down)| {
            down.into_iter().collect::<Periods>().subtract(kinds.get(&kind).unwrap_or(&nothing))
        });
        let blamed = blamed.fold(Periods::new(), |all, kind| all.union(&kind));
        own.union(&works.subtract(&blamed))
    }

    fn union(&self, keys: impl Iterator<Item = Key>) -> Periods {
        let parts: Vec<&Periods> = keys.filter_map(|key| self.by_scope.get(&key)).collect();
        match parts.as_slice() {
            [] => Periods::new(),
            [one] => (*one).clone(),
            [first, rest @ ..] => rest.iter().fold((*first).clone(), |all, part| all.union(part)),
        }
    }
}
