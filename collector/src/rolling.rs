//! The figures of every site and link over the usual windows ([`Rolling`]), and of the month's contracts, for `/metrics`: a month of every link's causes is not derived anew
//! at each scrape.
//!
//! Whoever derives the incidents of now ([`crate::incidents`]) has a month of every site's charges in hand, and takes these figures from
//! them in the same pass. They are of that pass's instant, [`RollingFigures::at`], and exactly what the API says of that instant. A scrape
//! shows them as long as they are [`FRESH`]; before the first pass, or where passes fail, it derives them itself.

use std::collections::BTreeMap;
use std::time::Duration;

use wan_wire::{LinkName, SiteId, UnixMillis};

use crate::api::common::Rolling;
use crate::ledger::cause::{Cause, Charge};
use crate::ledger::periods::Periods;
use crate::ledger::timeline::{Interval, LinkSweep, SiteSweep, State, Window};
use crate::province::{Link, Province, SiteNow};
use crate::report::contract::{Account, Promised};
use crate::report::uptime::{HoursOf, Policy, Terms, Uptime};

/// Figures are shown that long. A pass over 10,000 sites takes seconds and comes every minute or so; what is five minutes old says that
/// no pass works.
pub const FRESH: Duration = Duration::from_secs(300);

/// What is said of one link over one window that ends at the figures' instant. Ratios are absent where nothing was observed.
#[derive(Debug, Clone, PartialEq)]
pub struct OverWindow {
    /// (up + degraded) ÷ observed.
    pub uptime: Option<f64>,
    /// up ÷ observed.
    pub availability: Option<f64>,
    /// observed ÷ (window − planned).
    pub observed_share: Option<f64>,
    /// Milliseconds down by cause; none without any.
    pub downtime_ms: Vec<(Cause, i64)>,
}

/// Over each window, in the order of [`Rolling::ALL`].
pub type OverWindows = [OverWindow; Rolling::ALL.len()];

/// What is said of one link.
#[derive(Debug, Clone, PartialEq)]
pub struct OfLink {
    /// Over the usual windows.
    pub windows: OverWindows,
    /// Its account of the province's present month, where it is under a contract.
    pub account: Option<Account>,
}

/// What is said of one site.
#[derive(Debug, Clone, PartialEq)]
struct OfSite {
    windows: OverWindows,
    links: Vec<(LinkName, OfLink)>,
}

/// The figures of every link that a site has at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct RollingFigures {
    /// The instant at which the windows end.
    pub at: UnixMillis,
    sites: BTreeMap<SiteId, OfSite>,
}

impl RollingFigures {
    /// Figures of `at` without any site.
    #[must_use]
    pub const fn new(at: UnixMillis) -> Self {
        Self { at, sites: BTreeMap::new() }
    }

    /// The figures of every registered site, derived now.
    #[must_use]
    pub fn of(province: &Province<'_>) -> Self {
        let mut figures = Self::new(province.now);
        let earliest = Rolling::earliest(province.now, &province.config().timezone);
        let causes = province.causes(Window::new(earliest, province.now));
        for site in province.sites() {
            figures.add(province, &site, &causes.of(&site));
        }
        figures
    }

    /// Adds a site, if it is registered at the present, which must be [`RollingFigures::at`]. Its charges, by link, must reach back to the
    /// start of the longest window.
    pub(crate) fn add(
        &mut self,
        province: &Province<'_>,
        site: &SiteNow<'_>,
        charges: &BTreeMap<Option<LinkName>, Vec<Charge>>,
    ) {
        if !site.site.registered_at(province.now, &province.config().timezone) {
            return;
        }
        let asked = Rolling::ALL.map(|rolling| rolling.window(province.now, &province.config().timezone));
        let of = |link: Option<&LinkName>| charges.get(&link.cloned()).map_or(&[][..], Vec::as_slice);
        let links = site.seen_links().filter(|link| link.valid.holds(province.now)).map(|link| {
            let charges = of(Some(&link.name));
            let windows = of_link(province, site, link, charges, asked);
            (link.name.clone(), OfLink { windows, account: account(province, site, link, charges) })
        });
        let links = links.collect();
        let windows = of_site(province, site, of(None), asked);
        self.sites.insert(site.site.id.clone(), OfSite { windows, links });
    }

    /// What is said of a site as a whole; nothing of one that was not registered then.
    #[must_use]
    pub fn site(&self, site: &SiteId) -> Option<&OverWindows> {
        self.sites.get(site).map(|of_site| &of_site.windows)
    }

    /// What is said of one link; nothing of one that was none of the site's then, or not seen.
    #[must_use]
    pub fn link(&self, site: &SiteId, link: &LinkName) -> Option<&OfLink> {
        let links = &self.sites.get(site)?.links;
        links.iter().find(|(name, _)| name == link).map(|(_, figures)| figures)
    }

    /// Whether they may still be shown at `now`.
    #[must_use]
    pub fn is_fresh(&self, now: UnixMillis) -> bool {
        self.at <= now && now.since(self.at) <= FRESH
    }
}

fn of_site(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    charges: &[Charge],
    asked: [Window; Rolling::ALL.len()],
) -> OverWindows {
    let (view, basis) = (site.view(), province.basis());
    asked.map(|asked| {
        let planned = province.planned_of(site, None, asked);
        let window = view.clip(asked, province.now);
        over(window, SiteSweep::new(view, &basis, window), &planned, downtime(charges, asked))
    })
}

fn of_link(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    link: &Link,
    charges: &[Charge],
    asked: [Window; Rolling::ALL.len()],
) -> OverWindows {
    let (view, link_view, basis) = (site.view(), link.view(), province.basis());
    asked.map(|asked| {
        let planned = province.planned_of(site, Some(&link.name), asked);
        let window = view.clip_link(&link_view, asked, province.now);
        let sweep = LinkSweep::new(view, &link_view, &basis, window);
        over(window, sweep, &planned, downtime(charges, asked))
    })
}

fn over(
    window: Window,
    sweep: impl Iterator<Item = Interval>,
    planned: &Periods,
    downtime_ms: Vec<(Cause, i64)>,
) -> OverWindow {
    let terms = Terms { planned, policy: Policy::Exclude, hours: None };
    let Uptime { uptime, availability, observed_share, .. } = Uptime::over(window, sweep, terms);
    OverWindow { uptime, availability, observed_share, downtime_ms }
}

/// The account of the month so far, as the monthly report would have it.
fn account(province: &Province<'_>, site: &SiteNow<'_>, link: &Link, charges: &[Charge]) -> Option<Account> {
    let promised = Promised::of(province.config(), site.site, &link.name)?;
    let window = Rolling::Month.window(province.now, &province.config().timezone);
    let hours = match promised.hours {
        HoursOf::All => None,
        HoursOf::Service => Some(province.service_time(window)),
    };
    let timeline = province.timeline(site, Some(&link.name), window)?;
    let within = |charge: &Charge| {
        let cut = Window::new(charge.start, charge.end).within(window.start, window.end);
        (!cut.is_empty()).then_some(Charge { start: cut.start, end: cut.end, ..*charge })
    };
    let charges: Vec<Charge> = charges.iter().filter_map(within).collect();
    let planned = province.planned_of(site, Some(&link.name), window);
    Some(Account::of(link.name.kind(), &timeline.intervals, &charges, &planned, hours.as_deref()))
}

/// Milliseconds down by cause in a window, in the order of causes.
fn downtime(charges: &[Charge], window: Window) -> Vec<(Cause, i64)> {
    let mut causes = BTreeMap::new();
    for charge in charges.iter().filter(|charge| charge.state == State::Down) {
        let millis = Window::new(charge.start, charge.end).within(window.start, window.end).millis();
        if millis > 0 {
            *causes.entry(charge.rule.cause()).or_default() += millis;
        }
    }
    causes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_until_no_pass_can_have_failed_for_so_long() {
        let figures = RollingFigures::new(UnixMillis(1000));
        let limit = UnixMillis(1000).plus(FRESH);
        assert!(figures.is_fresh(UnixMillis(1000)) && figures.is_fresh(limit));
        assert!(!figures.is_fresh(limit.plus_millis(1)), "passes fail");
        assert!(!figures.is_fresh(UnixMillis(999)), "the clock was set back");
    }
}
