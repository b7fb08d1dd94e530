//! The province's sites as they are counted: by tier and branch, by another group, and by the reach of one shared system.

use std::collections::BTreeSet;
use std::sync::Arc;

use wan_wire::{LinkKind, LinkName, UnixMillis};

use super::{Link, Province, SiteNow};
use crate::inventory::Site;
use crate::ledger::timeline::{Basis, LinkView, SiteView, Window};
use crate::report::coverage::Present;

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

/// A site that the register holds now, and what it is counted as now.
pub type AtPresent<'p, 's> = (&'p SiteNow<'s>, Present<'s>);

/// The kinds of link that must be up for a shared system to be reached: the one that leads to it.
const SERVICE: [LinkKind; 1] = [LinkKind::Service];

impl Province<'_> {
    /// Every site in each of its eras.
    #[must_use]
    pub fn views<'s>(&self, sites: &[SiteNow<'s>]) -> Vec<SiteView<'s>> {
        sites.iter().flat_map(|site| self.eras(site)).map(|era| era.1).collect()
    }

    /// The same with the group in the place of the tier, and no branch; `""` for sites that are in none. Only eras of tiers that are
    /// `wanted`.
    #[must_use]
    pub fn grouped<'s>(
        &self,
        sites: &[SiteNow<'s>],
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

    fn by_carrier<'s>(&self, site: &SiteNow<'s>, view: &SiteView<'s>, views: &mut Vec<SiteView<'s>>) {
        let era = Window::new(view.valid_from, view.valid_to.unwrap_or(UnixMillis::MAX));
        let lines = self.lines(site.site);
        let cut = lines.iter().map(|(_, valid)| valid.within(era.start, era.end));
        let bounds = cut.filter(|valid| !valid.is_empty()).flat_map(|valid| [valid.start, valid.end]);
        let bounds: BTreeSet<UnixMillis> = bounds.chain([era.start, era.end]).collect();
        for (&start, &end) in bounds.iter().zip(bounds.iter().skip(1)) {
            let valid_to = Some(end).filter(|end| *end < UnixMillis::MAX);
            views.extend(carriers(&lines, start).into_iter().map(|tier| SiteView {
                tier,
                branch: "",
                valid_from: start,
                valid_to,
                ..view.clone()
            }));
        }
    }

    /// A site's WAN links of which the register knows the carrier, and when each is one of the site's.
    fn lines<'s>(&self, site: &'s Site) -> Vec<(&'s str, Window)> {
        let wan = site.links.iter().filter(|link| link.name.kind() == LinkKind::Wan);
        wan.filter_map(|link| Some((link.carrier.as_deref()?, link.valid(&self.config.timezone)))).collect()
    }

    /// Every site that the register holds now, as it is counted now, beside it.
    #[must_use]
    pub fn present<'s, 'p>(&self, sites: &'p [SiteNow<'s>]) -> Vec<AtPresent<'p, 's>> {
        let (now, basis) = (self.now, self.basis());
        let registered = sites.iter().filter(|site| site.view().registered_at(now));
        registered.map(|site| (site, Present::of(site.view(), &basis, now))).collect()
    }

    /// The same with the group in the place of the tier, as [`Province::grouped`] has it.
    #[must_use]
    pub fn present_by<'s>(&self, present: &[AtPresent<'_, 's>], by: Group) -> Vec<Present<'s>> {
        let mut all = Vec::with_capacity(present.len());
        for (site, present) in present {
            let of = |tier| Present { tier, branch: "", ..*present };
            match by {
                Group::Branch => all.push(of(present.branch)),
                Group::District => all.push(of(site.registered.district.unwrap_or_default())),
                Group::Carrier => all.extend(carriers(&self.lines(site.site), self.now).into_iter().map(of)),
            }
        }
        all
    }

    /// The shared systems that a `service` link of some site leads to at some time of the window, by the links' name: those that
    /// the register lists for then, and those that an agent has measured.
    #[must_use]
    pub fn systems(&self, sites: &[SiteNow<'_>], window: Window) -> BTreeSet<LinkName> {
        let mut systems: BTreeSet<&LinkName> = BTreeSet::new();
        for link in sites.iter().flat_map(|site| site.links) {
            let overlaps = || !window.within(link.valid.start, link.valid.end).is_empty();
            if link.name.kind() == LinkKind::Service && !systems.contains(&link.name) && overlaps() {
                systems.insert(&link.name);
            }
        }
        systems.into_iter().cloned().collect()
    }

    /// Every site in each of its eras with one of its links alone: by [`Province::reach_basis`], connected is who reaches the system
    /// that it leads to. All sites count: a system is for every agency, so one whose agent does not measure it is unknown,
    /// and one without an agent does not show that it reaches it.
    #[must_use]
    pub fn reaching<'s>(&self, sites: &[SiteNow<'s>], system: &LinkName) -> Vec<SiteView<'s>> {
        let mut views = Vec::with_capacity(sites.len());
        for site in sites {
            let links = alone(site, system);
            let equipped_from = site.view().equipped();
            views.extend(self.eras(site).into_iter().map(|(_, view)| SiteView {
                equipped_from,
                links: Arc::clone(&links),
                ..view
            }));
        }
        views
    }

    /// The sites that the register holds now with one of their links alone, as [`Province::reaching`] has them, as they are counted now.
    #[must_use]
    pub fn present_reaching<'s>(&self, present: &[AtPresent<'_, 's>], system: &LinkName) -> Vec<Present<'s>> {
        let basis = self.reach_basis();
        let reaching = present.iter().map(|(site, counted)| {
            let view = SiteView { links: alone(site, system), ..site.view().clone() };
            Present { state: view.state_at(&basis, self.now), ..*counted }
        });
        reaching.collect()
    }

    /// What the reach of a system is derived from.
    #[must_use]
    pub fn reach_basis(&self) -> Basis<'_> {
        Basis { required: &SERVICE, ..self.basis() }
    }
}

/// One of a site's links, if it was ever seen.
fn alone<'s>(site: &SiteNow<'s>, link: &LinkName) -> Arc<[LinkView<'s>]> {
    site.link(link).filter(|link| link.is_seen()).map(Link::view).into_iter().collect()
}

/// The carriers of those of the lines that are valid at an instant; where there is none, `""`.
fn carriers<'s>(lines: &[(&'s str, Window)], at: UnixMillis) -> BTreeSet<&'s str> {
    let valid = lines.iter().filter(|(_, valid)| valid.holds(at)).map(|(carrier, _)| *carrier);
    let mut carriers: BTreeSet<&str> = valid.collect();
    if carriers.is_empty() {
        carriers.insert("");
    }
    carriers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wan_wire::Outcome;

    use super::super::tests::{NOW, id, province_of, see, site};
    use super::*;
    use crate::config::Config;
    use crate::inventory::Link as Entry;
    use crate::inventory::era::Former;
    use crate::report::coverage::{Coverage, TierTarget};

    /// A day of the register about now, by the number of days that it lies ahead.
    fn day(ahead: i32) -> jiff::civil::Date {
        let today = crate::inventory::era::day_of(NOW, &Config::default().timezone);
        today.saturating_add(jiff::Span::new().days(ahead))
    }

    fn some_site() -> impl Strategy<Value = (Site, Vec<(usize, Outcome)>)> {
        let days = || prop::option::weighted(0.3, -2..3_i32);
        let word = prop_oneof![Just("a"), Just("b"), Just("")];
        let carrier = (word.clone(), days(), days());
        let outcome = prop_oneof![
            Just(Outcome::Up),
            Just(Outcome::Degraded),
            Just(Outcome::Down),
            Just(Outcome::Fault)
        ];
        let seen = prop::collection::vec((0..5_usize, outcome), 0..5);
        let was = prop::option::weighted(0.3, (-2..3_i32, word.clone()));
        (word, days(), days(), was, prop::collection::vec(carrier, 0..3), seen).prop_map(
            |(district, opens, closes, was, lines, seen)| {
                let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
                let mut site = site("unnamed", None);
                site.district = named(district);
                (site.valid_from, site.valid_to) = (opens.map(day), closes.map(day));
                if let Some((until, district)) = was {
                    let tier = "district".parse().unwrap();
                    site.former = vec![Former {
                        until: day(until),
                        name: "before".to_owned(),
                        tier,
                        branch: "party".parse().unwrap(),
                        parent: None,
                        district: named(district),
                    }];
                }
                let line = |(number, (carrier, opens, closes)): (usize, (&str, Option<i32>, Option<i32>))| {
                    let mut link = Entry::named(["wan", "wan-2"][number].parse().unwrap());
                    link.carrier = named(carrier);
                    (link.valid_from, link.valid_to) = (opens.map(day), closes.map(day));
                    link
                };
                site.links = lines.into_iter().enumerate().map(line).collect();
                (site, seen)
            },
        )
    }

    /// Without the tiers that no site is in: those that none is in now are named only where sites of other times are counted too.
    fn shown(mut coverage: Coverage) -> Coverage {
        coverage.tiers.retain(|row| row.counts.registered > 0);
        coverage
    }

    proptest! {
        #[test]
        fn what_is_counted_now_is_what_is_counted_at_the_instant_of_now(
            told in prop::collection::vec(some_site(), 1..6),
        ) {
            let sites = told.iter().enumerate().map(|(number, (told, _))| {
                let mut site = told.clone();
                site.id = id(&format!("s-{number}"));
                site
            });
            let state = province_of(Config::default(), sites.collect());
            for (number, (_, seen)) in told.iter().enumerate() {
                for &(link, outcome) in seen {
                    let link = ["lan", "wan", "wan-2", "internet", "service-mail"][link];
                    let name = format!("s-{number}");
                    see(&state, &name, link, &name, (3_600, 10), outcome);
                }
            }
            let province = Province::of(&state, NOW);
            let sites: Vec<SiteNow<'_>> = province.sites().collect();
            let (present, basis) = (province.present(&sites), province.basis());
            let counted: Vec<Present<'_>> = present.iter().map(|(_, counted)| *counted).collect();
            let plan: Vec<TierTarget<'_>> = province.targets_at(NOW);
            let at = |views: &[SiteView<'_>], plan: &[TierTarget<'_>]| {
                shown(Coverage::at(views, plan, &basis, NOW))
            };
            prop_assert_eq!(shown(Coverage::of(&counted, &plan, NOW)), at(&province.views(&sites), &plan));
            for by in Group::ALL {
                let now = shown(Coverage::of(&province.present_by(&present, by), &[], NOW));
                prop_assert_eq!(now, at(&province.grouped(&sites, by, |_| true), &[]));
            }
            for system in province.systems(&sites, Window::instant(NOW)) {
                let now = shown(Coverage::of(&province.present_reaching(&present, &system), &[], NOW));
                let views = province.reaching(&sites, &system);
                prop_assert_eq!(now, shown(Coverage::at(&views, &[], &province.reach_basis(), NOW)));
            }
        }
    }
}
