//! The register of sites: who is to be connected, since when, by which links.
//!
//! A register is written as YAML or CSV ([`read`]), checked whole, and kept in the store. A [`Register`] holds only sites
//! that are consistent with each other: ids are unique, every parent is a site, no site is its own ancestor.
//!
//! Dates are days of the province. `valid_from` is the first day on which the site is registered, `valid_to` the first
//! day on which it is not any more, so that two sites can follow each other without a gap or an overlap. What a site was
//! before a day is kept with it ([`era`]), so that every figure about a past day uses that day's register.
//!
//! | odd | what follows |
//! | --- | --- |
//! | a parent that is no site at all, now or formerly | refused |
//! | parents that form a circle on some day | refused |
//! | a parent that opens later than its child or closes earlier | a warning; for that time the child has no parent |
//! | `merged_into` of a site that is not closed, is itself, or leads in a circle | refused |
//! | a site merged into one that is not registered on that day | a warning |
//! | former facts that hold on no day of the site's registration | refused |
//! | a link that is valid on no day of the site's registration | refused |
//! | a link that is valid also before or after it | cut to the registration |

mod csv_file;
pub mod diff;
pub mod era;
pub mod read;
mod slug;
mod value;
mod yaml_file;

pub(crate) use value::day as parse_day;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use wan_settings::InterfaceName;
use wan_wire::{LinkName, SiteId, UnixMillis};

use self::era::Former;
use crate::config::{BranchId, Plan, TierId};

/// One agency at one place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Site {
    /// Its id, a slug that never changes.
    pub id: SiteId,
    /// Its name in Vietnamese.
    pub name: String,
    /// Its tier, one of the plan's.
    pub tier: TierId,
    /// Its branch, one of the plan's.
    pub branch: BranchId,
    /// The site that its WAN path depends on.
    pub parent: Option<SiteId>,
    /// The district that it lies in.
    pub district: Option<String>,
    /// First day on which it is registered; `None`: since ever.
    pub valid_from: Option<Date>,
    /// First day on which it is not registered any more; `None`: not closed.
    pub valid_to: Option<Date>,
    /// What it was before what stands above: ascending by the day until which that was so.
    pub former: Vec<Former>,
    /// The site that took over its duties when it closed.
    pub merged_into: Option<SiteId>,
    /// Where it stands.
    pub location: Option<Location>,
    /// Whom to call, each as one line of text.
    pub contacts: Vec<String>,
    /// Of which other sites its agent may report evidence.
    pub watches: Watches,
    /// Its links, in the order of their names.
    pub links: Vec<Link>,
    /// Anything else that people should know.
    pub note: Option<String>,
}

/// A place in WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Location {
    /// Degrees north, −90 to 90.
    pub latitude: f64,
    /// Degrees east, −180 to 180.
    pub longitude: f64,
}

/// Of which other sites a site's agent may report evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Watches {
    /// Of none: the rule.
    #[default]
    None,
    /// Of all: the agent at the centre.
    All,
    /// Of these.
    Only(BTreeSet<SiteId>),
}

impl Watches {
    /// Whether evidence about `site` is allowed.
    pub fn allows(&self, site: &SiteId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(sites) => sites.contains(site),
        }
    }
}

/// `"all"`, or the list of ids.
impl Serialize for Watches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.collect_seq([] as [&SiteId; 0]),
            Self::All => serializer.serialize_str("all"),
            Self::Only(sites) => serializer.collect_seq(sites),
        }
    }
}

/// One way out of a site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    /// Its name; the first part is its kind.
    pub name: LinkName,
    /// Who provides it.
    pub carrier: Option<String>,
    /// The contract's number.
    pub contract: Option<String>,
    /// The uptime that the contract promises, 0 to 1.
    pub uptime: Option<f64>,
    /// The interface of the agent's host that leads to it.
    pub interface: Option<InterfaceName>,
    /// The site's router on it: what the centre's agent probes.
    pub router: Option<IpAddr>,
    /// First day on which it is one of the site's; `None`: as long as the site.
    pub valid_from: Option<Date>,
    /// First day on which it is not any more; `None`: as long as the site.
    pub valid_to: Option<Date>,
}

impl Link {
    /// A link of which only the name is known.
    pub fn named(name: LinkName) -> Self {
        Self {
            name,
            carrier: None,
            contract: None,
            uptime: None,
            interface: None,
            router: None,
            valid_from: None,
            valid_to: None,
        }
    }
}

impl Site {
    /// A site of which only this is known.
    #[must_use]
    pub fn named(id: SiteId, name: impl Into<String>, tier: TierId, branch: BranchId) -> Self {
        Self {
            id,
            name: name.into(),
            tier,
            branch,
            parent: None,
            district: None,
            valid_from: None,
            valid_to: None,
            former: Vec::new(),
            merged_into: None,
            location: None,
            contacts: Vec::new(),
            watches: Watches::None,
            links: Vec::new(),
            note: None,
        }
    }

    /// First instant of its registration; `None`: since ever.
    pub fn valid_from_ms(&self, zone: &TimeZone) -> Option<UnixMillis> {
        self.valid_from.map(|day| start_of(day, zone, i64::MIN))
    }

    /// First instant after its registration; `None`: not closed.
    pub fn valid_to_ms(&self, zone: &TimeZone) -> Option<UnixMillis> {
        self.valid_to.map(|day| start_of(day, zone, i64::MAX))
    }

    /// Whether it was registered at the instant `at`.
    pub fn registered_at(&self, at: UnixMillis, zone: &TimeZone) -> bool {
        self.valid_from_ms(zone).is_none_or(|from| from <= at)
            && self.valid_to_ms(zone).is_none_or(|to| at < to)
    }

    /// Whether it was registered on a day.
    #[must_use]
    pub fn registered_on(&self, day: Date) -> bool {
        self.valid_from.is_none_or(|from| from <= day) && self.valid_to.is_none_or(|to| day < to)
    }

    /// The link called `name`.
    pub fn link(&self, name: &LinkName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == *name)
    }
}

/// Sites that are consistent with each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    sites: BTreeMap<SiteId, Site>,
}

/// Why a set of sites is no register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// Two sites have the same id.
    #[error("the site id {0} is given twice")]
    Repeated(SiteId),
    /// A parent is not a site.
    #[error("the parent {parent} of {site} is not registered")]
    NoParent {
        /// The child.
        site: SiteId,
        /// What it names as its parent.
        parent: SiteId,
    },
    /// Sites are each other's ancestors; the first is repeated at the end.
    #[error("the parents form a circle: {}", show_cycle(.0))]
    Cycle(Vec<SiteId>),
    /// A site is merged into one that is no site.
    #[error("{site} is merged into {into}, which is not registered")]
    NoSuccessor {
        /// The site that closes.
        site: SiteId,
        /// What it names.
        into: SiteId,
    },
    /// A site that is not closed is merged into another.
    #[error("{0} is merged into another site and has no valid_to")]
    MergedAndOpen(SiteId),
    /// Sites are merged into each other; the first is repeated at the end.
    #[error("sites are merged in a circle: {}", show_cycle(.0))]
    MergeCycle(Vec<SiteId>),
}

impl Register {
    /// Checks that `sites` are consistent with each other and returns all that is wrong otherwise.
    pub fn new(sites: impl IntoIterator<Item = Site>) -> Result<Self, Vec<Inconsistent>> {
        let mut register = Self::default();
        let mut wrong = Vec::new();
        for site in sites {
            match register.sites.entry(site.id.clone()) {
                Entry::Vacant(free) => {
                    free.insert(site);
                }
                Entry::Occupied(taken) => wrong.push(Inconsistent::Repeated(taken.key().clone())),
            }
        }
        for site in register.sites.values() {
            let former = site.former.iter().filter_map(|former| former.parent.as_ref());
            let parents: BTreeSet<&SiteId> = former.chain(&site.parent).collect();
            let missing = parents.into_iter().filter(|parent| !register.sites.contains_key(*parent));
            wrong.extend(
                missing
                    .map(|parent| Inconsistent::NoParent { site: site.id.clone(), parent: parent.clone() }),
            );
            if let Some(into) = &site.merged_into {
                if !register.sites.contains_key(into) {
                    wrong.push(Inconsistent::NoSuccessor { site: site.id.clone(), into: into.clone() });
                }
                if site.valid_to.is_none() {
                    wrong.push(Inconsistent::MergedAndOpen(site.id.clone()));
                }
            }
        }
        wrong.extend(register.parent_cycles().into_iter().map(Inconsistent::Cycle));
        let merges = circles(register.sites.keys(), |id| register.sites.get(id)?.merged_into.as_ref());
        wrong.extend(merges.into_iter().map(Inconsistent::MergeCycle));
        if wrong.is_empty() { Ok(register) } else { Err(wrong) }
    }

    /// The site called `id`.
    pub fn get(&self, id: &SiteId) -> Option<&Site> {
        self.sites.get(id)
    }

    /// All sites in the order of their ids.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.values()
    }

    /// How many sites there are, closed ones included.
    pub fn len(&self) -> usize {
        self.sites.len()
    }

    /// Whether there is no site.
    pub fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// The sites whose tier or branch, now or formerly, is not in `plan`: they would be counted nowhere.
    pub fn outside<'r>(&'r self, plan: &'r Plan) -> impl Iterator<Item = &'r Site> {
        self.sites().filter(|site| {
            let former = site.former.iter().map(Former::registered);
            former
                .chain([site.latest()])
                .any(|of| plan.tier(of.tier.as_str()).is_none() || plan.branch(of.branch.as_str()).is_none())
        })
    }

    /// The contracts that links name, each with how many links do.
    pub fn contracts(&self) -> BTreeMap<&str, usize> {
        let mut named = BTreeMap::new();
        for id in self.sites().flat_map(|site| &site.links).filter_map(|link| link.contract.as_deref()) {
            *named.entry(id).or_default() += 1;
        }
        named
    }

    /// The sites as a map by id.
    pub fn into_map(self) -> BTreeMap<SiteId, Site> {
        self.sites
    }

    /// Every circle that the parents form on some day, once.
    ///
    /// Only on days on which a parent changes can a circle come to be. Each of them is looked at, but only among the sites whose
    /// parents of any time lead back to them: in a register without a circle of that kind, which is the rule, there are none.
    fn parent_cycles(&self) -> Vec<Vec<SiteId>> {
        let suspects = self.suspects();
        let changes = suspects.iter().filter_map(|id| self.sites.get(*id)).flat_map(|site| &site.former);
        let mut days: BTreeSet<Date> = changes.map(|former| former.until).collect();
        days.insert(Date::MIN);
        let mut found: Vec<Vec<SiteId>> = Vec::new();
        for day in days.into_iter().filter(|_| !suspects.is_empty()) {
            for circle in circles(suspects.iter().copied(), |id| self.sites.get(id)?.as_of(day).parent) {
                if !found.contains(&circle) {
                    found.push(circle);
                }
            }
        }
        found
    }

    /// The sites that remain when those are taken away, again and again, none of whose parents of any time remain.
    fn suspects(&self) -> BTreeSet<&SiteId> {
        let parents = |site: &'_ Site| -> BTreeSet<SiteId> {
            let former = site.former.iter().filter_map(|former| former.parent.clone());
            former.chain(site.parent.clone()).filter(|parent| self.sites.contains_key(parent)).collect()
        };
        let mut children: BTreeMap<SiteId, Vec<&SiteId>> = BTreeMap::new();
        let mut left: BTreeMap<&SiteId, usize> = BTreeMap::new();
        let mut free: Vec<&SiteId> = Vec::new();
        for (id, site) in &self.sites {
            let parents = parents(site);
            if parents.is_empty() {
                free.push(id);
            }
            left.insert(id, parents.len());
            for parent in parents {
                children.entry(parent).or_default().push(id);
            }
        }
        while let Some(id) = free.pop() {
            left.remove(id);
            for child in children.get(id).into_iter().flatten() {
                if let Some(count) = left.get_mut(child) {
                    *count -= 1;
                    if *count == 0 {
                        free.push(child);
                    }
                }
            }
        }
        left.into_keys().collect()
    }
}

/// Every circle once that `next` leads round from one of `ids`, each beginning and ending with its smallest id.
fn circles<'i>(
    ids: impl Iterator<Item = &'i SiteId>,
    next: impl Fn(&'i SiteId) -> Option<&'i SiteId>,
) -> Vec<Vec<SiteId>> {
    let mut done: BTreeSet<&SiteId> = BTreeSet::new();
    let mut found = Vec::new();
    for start in ids {
        let mut trail: Vec<&SiteId> = Vec::new();
        let mut on_trail: BTreeMap<&SiteId, usize> = BTreeMap::new();
        let mut at = Some(start);
        while let Some(id) = at {
            if done.contains(id) {
                break;
            }
            if let Some(&from) = on_trail.get(id) {
                found.push(circle(trail.get(from..).unwrap_or_default()));
                break;
            }
            on_trail.insert(id, trail.len());
            trail.push(id);
            at = next(id);
        }
        done.extend(trail);
    }
    found
}

/// A circle from its smallest id round to the same.
fn circle(ids: &[&SiteId]) -> Vec<SiteId> {
    let first = ids.iter().enumerate().min_by_key(|(_, id)| **id).map_or(0, |(index, _)| index);
    ids.iter().cycle().skip(first).take(ids.len() + 1).map(|id| (*id).clone()).collect()
}

fn show_cycle(ids: &[SiteId]) -> String {
    ids.iter().map(SiteId::as_str).collect::<Vec<_>>().join(" → ")
}

/// The first instant of `day` in `zone`; a day beyond what can be told as an instant is as far away as can be.
fn start_of(day: Date, zone: &TimeZone, beyond: i64) -> UnixMillis {
    UnixMillis(day.to_zoned(zone.clone()).map_or(beyond, |start| start.timestamp().as_millisecond()))
}
