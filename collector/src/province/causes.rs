//! Charges and incidents of the province's sites over a window.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use wan_wire::{LinkName, SiteId, UnixMillis};

use super::{Province, SiteNow};
use crate::inventory::Site;
use crate::ledger::cause::{self, Around, Charge, EDGE, LinkAround, Path};
use crate::ledger::incident::{Incident, incidents};
use crate::ledger::span::Periods;
use crate::ledger::timeline::Window;

/// The causes of the province's bad time over one window. What is found of a site's parents is remembered, so that asking for every
/// site costs each site's own evidence.
#[derive(Debug)]
pub struct Causes<'p> {
    province: &'p Province<'p>,
    window: Window,
    /// By site and time, since a site may have had several parents.
    paths: RefCell<BTreeMap<(SiteId, UnixMillis, UnixMillis), Arc<Path>>>,
}

/// What the rules know of one site beside its evidence, kept while they look at it.
struct Kept {
    boots: Vec<UnixMillis>,
    starts: Vec<UnixMillis>,
    path: Arc<Path>,
    planned: Vec<Periods>,
}

impl Kept {
    fn around<'a>(&'a self, site: &'a SiteNow<'_>) -> Around<'a> {
        let links = site.seen_links().zip(&self.planned).map(|(link, planned)| LinkAround {
            planned,
            carrier: site.site.link(&link.name).and_then(|link| link.carrier.as_deref()),
        });
        Around { boots: &self.boots, starts: &self.starts, path: &self.path, links: links.collect() }
    }
}

impl Province<'_> {
    /// The causes of all bad time in a window, which is cut to now.
    #[must_use]
    pub fn causes(&self, window: Window) -> Causes<'_> {
        Causes { province: self, window: window.within(window.start, self.now), paths: RefCell::default() }
    }
}

impl Causes<'_> {
    /// The window, cut to now.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// The charges of a site as a whole (`None`) and of each of its links that was ever seen, in one look at its evidence; each in
    /// order of time.
    #[must_use]
    pub fn of(&self, site: &SiteNow<'_>) -> BTreeMap<Option<LinkName>, Vec<Charge>> {
        // What fails above bears on the WAN a little before and after it, and so does that on what goes by it.
        let around = Window::new(self.window.start.minus(EDGE * 2), self.window.end.plus(EDGE * 2));
        let kept = self.kept(site, around);
        let charges = cause::charges(site.view(), &kept.around(site), &self.province.basis(), self.window);
        let links = site.seen_links().map(|link| Some(link.name.clone())).zip(charges.links);
        std::iter::once((None, charges.site)).chain(links).collect()
    }

    /// The incidents of a site as a whole (`None`) and of its links, in order of start; what has none is left out.
    #[must_use]
    pub fn incidents(&self, site: &SiteNow<'_>) -> BTreeMap<Option<LinkName>, Vec<Incident>> {
        self.incidents_among(site, &self.of(site))
    }

    /// The same, from the site's charges.
    #[must_use]
    pub fn incidents_among(
        &self,
        site: &SiteNow<'_>,
        charges: &BTreeMap<Option<LinkName>, Vec<Charge>>,
    ) -> BTreeMap<Option<LinkName>, Vec<Incident>> {
        let until = site.view().clip(self.window, self.province.now).end;
        let found = charges.iter().map(|(link, charges)| (link.clone(), incidents(charges, until)));
        found.filter(|(_, incidents)| !incidents.is_empty()).collect()
    }

    fn kept(&self, site: &SiteNow<'_>, window: Window) -> Kept {
        let (boots, starts) = (site.lives.boots(), site.lives.starts());
        let planned =
            site.seen_links().map(|link| self.province.planned_of(site, Some(&link.name), window)).collect();
        Kept { boots, starts, path: self.path(site.site, window), planned }
    }

    /// When the path to a site failed above it, each parent asked for the time in which it was that. On no day do parents form a
    /// circle, so the chain ends.
    fn path(&self, site: &Site, window: Window) -> Arc<Path> {
        let key = (site.id.clone(), window.start, window.end);
        if let Some(known) = self.paths.borrow().get(&key) {
            return Arc::clone(known);
        }
        let mut all = Path::new();
        let (register, zone) = (self.province.register(), &self.province.config().timezone);
        for (time, parent) in register.parents_over(site, window, zone) {
            let parent = self.province.site_now(parent);
            let kept = self.kept(&parent, time);
            let basis = self.province.basis();
            all.add(&cause::path_for_children(parent.view(), &kept.around(&parent), &basis, time));
        }
        let all = Arc::new(all);
        self.paths.borrow_mut().insert(key, Arc::clone(&all));
        all
    }
}
