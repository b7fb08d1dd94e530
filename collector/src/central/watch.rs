//! From the register to the targets of an agent that watches other sites: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::tz::TimeZone;
use wan_settings::probes::{Family, Host, Layer, LinkLayer, ProbeConfig, RoundLayer, TargetLayer};
use wan_wire::{LinkName, UnixMillis};

use crate::inventory::{Register, Site};

/// How an agent that watches others makes its rounds unless the file says otherwise, or they are too many for that: five packets in two and a half seconds, twice as often as a
/// site's own. Two rounds of which every packet was lost are ten packets over five seconds, which no burst of loss of three seconds
/// explains, and a cut is seen by them within 7.5 seconds.
#[must_use]
pub fn round() -> RoundLayer {
    RoundLayer { interval: Some(Duration::from_millis(2500)), packets: Some(5), timeout: None, place: None }
}

/// The targets, by link, that `watcher` is to probe: the router of every link of the sites that it watches and that are
/// registered at `now`, if it is one of their links then. Not its own: that is its own layers' business.
#[must_use]
pub fn targets(
    watcher: &Site,
    register: &Register,
    zone: &TimeZone,
    now: UnixMillis,
) -> BTreeMap<LinkName, Vec<TargetLayer>> {
    let mut links: BTreeMap<LinkName, Vec<TargetLayer>> = BTreeMap::new();
    let watched = register
        .sites()
        .filter(|site| site.id != watcher.id && watcher.watches.allows(&site.id))
        .filter(|site| site.registered_at(now, zone));
    for site in watched {
        for link in site.links.iter().filter(|link| link.valid(zone).holds(now)) {
            let Some(router) = link.router else { continue };
            let family = if router.is_ipv4() { Family::V4 } else { Family::V6 };
            let target = TargetLayer {
                about: Some(site.id.clone()),
                ..TargetLayer::of(ProbeConfig::Icmp(Host { name: router.to_string(), family }))
            };
            links.entry(link.name.clone()).or_default().push(target);
        }
    }
    links
}

/// `layer` with these targets: behind those that it has under the same link, but for the ones that it has already, as it has
/// them. Links of `removed` stay away. Where it names no
/// links, the usual ones are put first, since the agent would drop its own for those of a document.
#[must_use]
pub fn add(
    mut layer: Layer,
    targets: BTreeMap<LinkName, Vec<TargetLayer>>,
    removed: &BTreeSet<LinkName>,
) -> Layer {
    let mut links = layer.links.unwrap_or_else(Layer::usual_links);
    for (name, targets) in targets {
        if removed.contains(&name) {
            continue;
        }
        match links.iter_mut().find(|link| link.name == name) {
            Some(link) => {
                let known = link.targets.get_or_insert_default();
                let named = |target: &TargetLayer| {
                    let same =
                        |known: &TargetLayer| (&known.probe, &known.about) == (&target.probe, &target.about);
                    known.iter().any(same)
                };
                let new: Vec<TargetLayer> = targets.into_iter().filter(|target| !named(target)).collect();
                known.extend(new);
            }
            None => links.push(LinkLayer { targets: Some(targets), ..LinkLayer::named(name) }),
        }
    }
    layer.links = Some(links);
    layer
}
