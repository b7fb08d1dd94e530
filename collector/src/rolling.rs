//! The figures of every link over the usual windows ([`Rolling`]), for `/metrics`: a month of every link's causes is not derived anew
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
use crate::ledger::timeline::{LinkSweep, State, Window};
use crate::province::{Link, Province, SiteNow};
use crate::report::uptime::{Policy, Terms, Uptime};

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

/// Of one link, in the order of [`Rolling::ALL`].
pub type OfLink = [OverWindow; Rolling::ALL.len()];

/// The figures of every link that a site has at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct RollingFigures {
    /// The instant at which the windows end.
    pub at: UnixMillis,
    sites: BTreeMap<SiteId, Vec<(LinkName, OfLink)>>,
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
        let windows = Rolling::ALL.map(|rolling| rolling.window(province.now, &province.config().timezone));
        let links = site.seen_links().filter(|link| link.valid.holds(province.now)).map(|link| {
            let charges = charges.get(&Some(link.name.clone())).map_or(&[][..], Vec::as_slice);
            (link.name.clone(), of_link(province, site, link, charges, windows))
        });
        self.sites.insert(site.site.id.clone(), links.collect());
    }

    /// What is said of one link; nothing of one that was none of the site's then, or not seen.
    #[must_use]
    pub fn link(&self, site: &SiteId, link: &LinkName) -> Option<&OfLink> {
        let links = self.sites.get(site)?;
        links.iter().find(|(name, _)| name == link).map(|(_, figures)| figures)
    }

    /// Whether they may still be shown at `now`.
    #[must_use]
    pub fn is_fresh(&self, now: UnixMillis) -> bool {
        self.at <= now && now.since(self.at) <= FRESH
    }
}

fn of_link(
    province: &Province<'_>,
    site: &SiteNow<'_>,
    link: &Link,
    charges: &[Charge],
    windows: [Window; Rolling::ALL.len()],
) -> OfLink {
    let (view, link_view, basis) = (site.view(), link.view(), province.basis());
    windows.map(|asked| {
        let planned = province.planned_of(site, Some(&link.name), asked);
        let window = view.clip_link(&link_view, asked, province.now);
        let sweep = LinkSweep::new(&view, &link_view, &basis, window);
        let terms = Terms { planned: &planned, policy: Policy::Exclude, hours: None };
        let Uptime { uptime, availability, observed_share, .. } = Uptime::over(window, sweep, terms);
        OverWindow { uptime, availability, observed_share, downtime_ms: downtime(charges, asked) }
    })
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
