//! The register of sites: who is to be connected, since when, by which links.
//!
//! A register is written as YAML or CSV ([`read`]), checked whole, and kept in the store. A [`Register`] holds only sites
//! that are consistent with each other: ids are unique, every parent is a site, no site is its own ancestor.
//!
//! Dates are days of the province. `valid_from` is the first day on which the site is registered, `valid_to` the first
//! day on which it is not any more, so that two sites can follow each other without a gap or an overlap.

mod csv_file;
pub mod diff;
pub mod read;
mod slug;
mod value;
mod yaml_file;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use wan_settings::InterfaceName;
use wan_wire::{LinkName, SiteId, UnixMillis};

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
}

impl Link {
    /// A link of which only the name is known.
    pub fn named(name: LinkName) -> Self {
        Self { name, carrier: None, contract: None, uptime: None, interface: None, router: None }
    }
}

impl Site {
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
            if let Some(parent) = &site.parent
                && !register.sites.contains_key(parent)
            {
                wrong.push(Inconsistent::NoParent { site: site.id.clone(), parent: parent.clone() });
            }
        }
        wrong.extend(register.cycles().into_iter().map(Inconsistent::Cycle));
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

    /// The sites whose tier or branch is not in `plan`: they would be counted nowhere.
    pub fn outside<'r>(&'r self, plan: &'r Plan) -> impl Iterator<Item = &'r Site> {
        self.sites().filter(|site| {
            plan.tier(site.tier.as_str()).is_none() || plan.branch(site.branch.as_str()).is_none()
        })
    }

    /// The sites as a map by id.
    pub fn into_map(self) -> BTreeMap<SiteId, Site> {
        self.sites
    }

    /// Every circle of parents once, each beginning and ending with its smallest id.
    fn cycles(&self) -> Vec<Vec<SiteId>> {
        let mut done: BTreeSet<&SiteId> = BTreeSet::new();
        let mut cycles = Vec::new();
        for start in self.sites.keys() {
            let mut trail: Vec<&SiteId> = Vec::new();
            let mut on_trail: BTreeMap<&SiteId, usize> = BTreeMap::new();
            let mut next = Some(start);
            while let Some(id) = next {
                if done.contains(id) {
                    break;
                }
                if let Some(&from) = on_trail.get(id) {
                    cycles.push(circle(trail.get(from..).unwrap_or_default()));
                    break;
                }
                on_trail.insert(id, trail.len());
                trail.push(id);
                next = self.sites.get(id).and_then(|site| site.parent.as_ref());
            }
            done.extend(trail);
        }
        cycles
    }
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
