//! What one text says of probing, and several of them on top of each other.

use std::net::IpAddr;
use std::time::Duration;

use wan_wire::{LinkName, SiteId};

use super::{IcmpSocket, ProbeConfig};
use crate::interface::InterfaceName;
use crate::yaml::NodePath;

/// Where in its text something was said. Two places are always equal: what is said is compared, not where.
#[derive(Debug, Clone)]
pub struct Place {
    /// The node.
    pub path: NodePath,
    /// Its name in messages.
    pub name: String,
}

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

/// What one text says: only that, no defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// How rounds are made.
    pub round: RoundLayer,
    /// Which kind of ICMP socket to use.
    pub icmp: Option<IcmpSocket>,
    /// The links, in order and each name once; `None` when the text names none, so that the layer below, or in the end the
    /// defaults, hold.
    pub links: Option<Vec<LinkLayer>>,
    /// Where the links stand.
    pub links_place: Option<Place>,
}

/// What one text says of a round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoundLayer {
    /// A round's length.
    pub interval: Option<Duration>,
    /// Packets per round and target.
    pub packets: Option<u32>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Where it stands.
    pub place: Option<Place>,
}

impl RoundLayer {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.interval.is_none() && self.packets.is_none() && self.timeout.is_none()
    }
}

/// What one text says of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkLayer {
    /// Its name.
    pub name: LinkName,
    /// The link of the layers below is taken away; then nothing else is said of it.
    pub remove: bool,
    /// Its interface.
    pub interface: Option<InterfaceName>,
    /// Its source address.
    pub source: Option<IpAddr>,
    /// The loss above which it is degraded.
    pub c1: Option<f64>,
    /// The median round-trip time above which it is degraded.
    pub rtt_limit: Option<Duration>,
    /// Its targets, all of them: a list replaces the list of the layer below.
    pub targets: Option<Vec<TargetLayer>>,
    /// Where it stands.
    pub place: Option<Place>,
}

/// What one text says of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetLayer {
    /// What to probe, and how.
    pub probe: ProbeConfig,
    /// The value of the `target` label.
    pub label: Option<String>,
    /// The site that this target stands for.
    pub about: Option<SiteId>,
    /// Packets per round.
    pub packets: Option<u32>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
    /// Where it stands.
    pub place: Option<Place>,
}

impl Layer {
    /// The keys of a layer.
    pub const KEYS: [&str; 3] = ["round", "icmp", "links"];

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.round.is_empty() && self.icmp.is_none() && self.links.is_none()
    }

    /// This layer on top of another:
    ///
    /// - `round` and `icmp` by key: what this one says, else what `lower` says;
    /// - `links` by name, and within a link by key; `targets` is one key, so a list replaces a list;
    /// - a link with `remove` is taken away;
    /// - links keep the order of `lower`, those that only this one names follow in its order.
    pub fn over(&self, lower: &Layer) -> Layer {
        let links = match (&self.links, &lower.links) {
            (None, links) | (links, None) => {
                links.as_ref().map(|links| links.iter().filter(|link| !link.remove).cloned().collect())
            }
            (Some(upper), Some(lower)) => Some(merge(upper, lower)),
        };
        Layer {
            round: self.round.over(&lower.round),
            icmp: self.icmp.or(lower.icmp),
            links,
            links_place: self.links_place.clone().or_else(|| lower.links_place.clone()),
        }
    }

    /// The links that this layer takes away although `lower` has none of their name: most likely mistyped.
    pub fn removes_in_vain<'l>(&'l self, lower: &'l Layer) -> impl Iterator<Item = &'l LinkLayer> {
        let known = |name| lower.links.iter().flatten().any(|link| link.name == name);
        self.links.iter().flatten().filter(move |link| link.remove && !known(link.name.clone()))
    }
}

impl RoundLayer {
    fn over(&self, lower: &RoundLayer) -> RoundLayer {
        RoundLayer {
            interval: self.interval.or(lower.interval),
            packets: self.packets.or(lower.packets),
            timeout: self.timeout.or(lower.timeout),
            place: self.place.clone().or_else(|| lower.place.clone()),
        }
    }
}

impl LinkLayer {
    /// A link of which nothing is said.
    pub fn named(name: LinkName) -> LinkLayer {
        LinkLayer {
            name,
            remove: false,
            interface: None,
            source: None,
            c1: None,
            rtt_limit: None,
            targets: None,
            place: None,
        }
    }

    fn over(&self, lower: &LinkLayer) -> LinkLayer {
        LinkLayer {
            name: self.name.clone(),
            remove: self.remove,
            interface: self.interface.clone().or_else(|| lower.interface.clone()),
            source: self.source.or(lower.source),
            c1: self.c1.or(lower.c1),
            rtt_limit: self.rtt_limit.or(lower.rtt_limit),
            targets: self.targets.clone().or_else(|| lower.targets.clone()),
            place: self.place.clone().or_else(|| lower.place.clone()),
        }
    }
}

impl TargetLayer {
    /// A target of which nothing but the probe is said.
    pub fn of(probe: ProbeConfig) -> TargetLayer {
        TargetLayer { probe, label: None, about: None, packets: None, timeout: None, place: None }
    }
}

fn merge(upper: &[LinkLayer], lower: &[LinkLayer]) -> Vec<LinkLayer> {
    let mut merged: Vec<LinkLayer> = lower.iter().filter(|link| !link.remove).cloned().collect();
    for link in upper {
        match merged.iter().position(|known| known.name == link.name) {
            Some(at) if link.remove => {
                merged.remove(at);
            }
            Some(at) => merged[at] = link.over(&merged[at]),
            None if link.remove => {}
            None => merged.push(link.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
