//! The province's sites as they are counted: by tier and branch, by another group, and by the reach of one shared system.

use std::collections::BTreeSet;

use wan_wire::{LinkKind, LinkName, UnixMillis};

use super::{Link, Province, SiteNow};
use crate::ledger::timeline::{Basis, SiteView, Window};

/// What sites are grouped by beside tier and branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The branch, over all tiers.
    Branch,
    /// The district that a site lies in at the time.
    District,
    /// Who provides its WAN at the time. A site counts under each carrier of those of its WAN links that the register names and that
    /// are valid then, so the groups overlap: with two carriers it is in both, connected or not as the whole site is. One without
    /// such a link is under none.
    Carrier,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Branch, Self::District, Self::Carrier];

    /// The word for it in questions and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::District => "district",
            Self::Carrier => "carrier",
        }
    }
}

/// The kinds of link that must be up for a shared system to be reached: the one that leads to it.
const SERVICE: [LinkKind; 1] = [LinkKind::Service];

impl Province<'_> {
    /// Every site in each of its eras.
    #[must_use]
    pub fn views<'s>(&self, sites: &'s [SiteNow<'_>]) -> Vec<SiteView<'s>> {
        sites.iter().flat_map(|site| self.eras(site)).map(|era| era.1).collect()
    }

    /// The same with the group in the place of the tier, and no branch; `""` for sites that are in none. Only eras of tiers that are
    /// `wanted`.
    #[must_use]
    pub fn grouped<'s>(
        &self,
        sites: &'s [SiteNow<'_>],
        by: Group,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<SiteView<'s>> {
        let mut views = Vec::with_capacity(sites.len());
        for site in sites {
            for (registered, view) in self.eras(site) {
                if !wanted(view.tier) {
                    continue;
                }
                match by {
                    Group::Branch => views.push(SiteView { tier: view.branch, branch: "", ..view }),
                    Group::District => {
                        let tier = registered.district.unwrap_or_default();
                        views.push(SiteView { tier, branch: "", ..view });
                    }
                    Group::Carrier => self.by_carrier(site, &view, &mut views),
                }
            }
        }
        views
    }

    fn by_carrier<'s>(&self, site: &'s SiteNow<'_>, view: &SiteView<'s>, views: &mut Vec<SiteView<'s>>) {
        let zone = &self.config.timezone;
        let era = Window::new(view.valid_from, view.valid_to.unwrap_or(UnixMillis::MAX));
        let lines = site.site.links.iter().filter(|link| link.name.kind() == LinkKind::Wan);
        let lines: Vec<(&str, Window)> = lines
            .filter_map(|link| Some((link.carrier.as_deref()?, link.valid(zone).within(era.start, era.end))))
            .filter(|(_, valid)| !valid.is_empty())
            .collect();
        let bounds = lines.iter().flat_map(|(_, valid)| [valid.start, valid.end]);
        let bounds: BTreeSet<UnixMillis> = bounds.chain([era.start, era.end]).collect();
        for (&start, &end) in bounds.iter().zip(bounds.iter().skip(1)) {
            let held = lines.iter().filter(|(_, valid)| valid.holds(start)).map(|(carrier, _)| *carrier);
            let mut carriers: BTreeSet<&str> = held.collect();
            if carriers.is_empty() {
                carriers.insert("");
            }
            let valid_to = Some(end).filter(|end| *end < UnixMillis::MAX);
            views.extend(carriers.into_iter().map(|tier| SiteView {
                tier,
                branch: "",
                valid_from: start,
                valid_to,
                ..view.clone()
            }));
        }
    }

    /// The shared systems that a `service` link of some site leads to at some time of the window, by the links' name: those that
    /// the register lists for then, and those that an agent has measured.
    #[must_use]
    pub fn systems(&self, sites: &[SiteNow<'_>], window: Window) -> BTreeSet<LinkName> {
        let links = sites.iter().flat_map(|site| site.links.values());
        let overlaps = |link: &&Link| !window.within(link.valid.start, link.valid.end).is_empty();
        links
            .filter(|link| link.name.kind() == LinkKind::Service)
            .filter(overlaps)
            .map(|link| link.name.clone())
            .collect()
    }

    /// Every site in each of its eras with one of its links alone: by [`Province::reach_basis`], connected is who reaches the system
    /// that it leads to. All sites count: a system is for every agency, so one whose agent does not measure it is unknown,
    /// and one without an agent does not show that it reaches it.
    #[must_use]
    pub fn reaching<'s>(&self, sites: &'s [SiteNow<'_>], system: &LinkName) -> Vec<SiteView<'s>> {
        let mut views = Vec::with_capacity(sites.len());
        for site in sites {
            let link: Vec<_> =
                site.links.get(system).filter(|link| link.is_seen()).map(Link::view).into_iter().collect();
            views.extend(self.eras(site).into_iter().map(|(_, view)| SiteView {
                equipped_from: view.equipped(),
                links: link.clone(),
                ..view
            }));
        }
        views
    }

    /// What the reach of a system is derived from.
    #[must_use]
    pub fn reach_basis(&self) -> Basis<'_> {
        Basis { required: &SERVICE, ..self.basis() }
    }
}
