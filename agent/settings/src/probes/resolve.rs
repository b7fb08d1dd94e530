//! What a layer means: defaults filled in, and what is wrong only in the whole.

use std::collections::BTreeSet;
use std::time::Duration;

use wan_wire::{LinkKind, OutcomeRule};

use super::{
    DEFAULT_HTTP_TIMEOUT, DEFAULT_TIMEOUT, Family, Form, Host, Layer, LinkConfig, LinkLayer, MOST_LINKS,
    MOST_PACKETS_A_SECOND, MOST_TARGETS, Place, ProbeConfig, Probes, RoundConfig, TargetConfig, TargetLayer,
};
use crate::units::show_duration;
use crate::yaml::At;

/// Something that is wrong in what layers say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Flaw {
    /// Where what is wrong was said, if it was said anywhere.
    pub place: Option<Place>,
    /// What is there.
    pub found: String,
    /// What could have been there.
    pub expected: String,
    /// What to do about it.
    pub remedy: String,
}

impl Flaw {
    fn new(
        place: Option<&Place>,
        found: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Flaw {
        Flaw { place: place.cloned(), found: found.into(), expected: expected.into(), remedy: remedy.into() }
    }

    /// Notes it in the document of `at`, at its own place or else there.
    pub fn note(&self, at: &At<'_>) {
        let at = match &self.place {
            Some(place) => at.elsewhere(&place.path).renamed(place.name.clone()),
            None => at.clone(),
        };
        at.wrong_as(self.found.clone(), self.expected.clone(), self.remedy.clone());
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(place) = self.place.as_ref().filter(|place| !place.name.is_empty()) {
            write!(f, "{}: ", place.name)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl Layer {
    /// What the layer means together with the defaults, and everything that is wrong with it. Where there are flaws, the
    /// probes are not to be used.
    pub fn resolve(&self) -> (Probes, Vec<Flaw>) {
        self.resolve_as(Form::Part)
    }

    /// The same; of a whole text, the number of its links was looked at when it was read.
    pub(super) fn resolve_as(&self, form: Form) -> (Probes, Vec<Flaw>) {
        let mut flaws = Vec::new();
        let round = self.round(&mut flaws);
        let links = match &self.links {
            None => Layer::usual_links().iter().map(|link| resolve_link(link, &round, &mut flaws)).collect(),
            Some(links) => {
                let links: Vec<LinkConfig> = links
                    .iter()
                    .filter(|link| !link.remove)
                    .map(|link| resolve_link(link, &round, &mut flaws))
                    .collect();
                self.count(&links, form, &mut flaws);
                self.rate(&links, round.interval, &mut flaws);
                links
            }
        };
        (Probes { round, icmp: self.icmp.unwrap_or_default(), links }, flaws)
    }

    /// The links that are probed where no layer names any: the gateway, the collector's host, and two public resolvers of
    /// different operators.
    pub fn usual_links() -> Vec<LinkLayer> {
        let resolvers = ["1.1.1.1", "8.8.8.8"]
            .map(|name| ProbeConfig::Icmp(Host { name: name.into(), family: Family::V4 }));
        let link = |kind: LinkKind, probes: Vec<ProbeConfig>| {
            let targets = Some(probes.into_iter().map(TargetLayer::of).collect());
            LinkLayer { targets, ..LinkLayer::named(kind.into()) }
        };
        vec![
            link(LinkKind::Lan, vec![ProbeConfig::Gateway]),
            link(LinkKind::Wan, vec![ProbeConfig::CollectorHost]),
            link(LinkKind::Internet, resolvers.to_vec()),
        ]
    }

    fn round(&self, flaws: &mut Vec<Flaw>) -> RoundConfig {
        let usual = RoundConfig::default();
        let interval = self.round.interval.unwrap_or(usual.interval);
        if let Some(timeout) = self.round.timeout {
            check_timeout(timeout, interval, self.round.place.as_ref(), flaws);
        }
        RoundConfig {
            interval,
            packets: self.round.packets.unwrap_or(usual.packets),
            timeout: self.round.timeout.unwrap_or(DEFAULT_TIMEOUT.min(interval)),
        }
    }

    fn count(&self, links: &[LinkConfig], form: Form, flaws: &mut Vec<Flaw>) {
        let place = self.links_place.as_ref();
        if links.is_empty() && form == Form::Part {
            let remedy = "leave a link, or leave “links” out to probe gateway, collector and Internet";
            flaws.push(Flaw::new(
                place,
                "no link: nothing to probe",
                format!("1 to {MOST_LINKS} links"),
                remedy,
            ));
        }
        if links.len() > MOST_LINKS && form == Form::Part {
            let found = format!("{} links", links.len());
            let remedy = "divide them among several agents";
            flaws.push(Flaw::new(place, found, format!("1 to {MOST_LINKS} links"), remedy));
        }
        let targets: usize = links.iter().map(|link| link.targets.len()).sum();
        if targets > MOST_TARGETS {
            let found = format!("{targets} targets");
            let expected = format!("at most {MOST_TARGETS} targets in all");
            flaws.push(Flaw::new(place, found, expected, "divide them among several agents"));
        }
    }

    /// The usual links are too few to send too much, so only those that a layer names are looked at. Of too many targets it is
    /// not said again.
    fn rate(&self, links: &[LinkConfig], interval: Duration, flaws: &mut Vec<Flaw>) {
        let targets = links.iter().flat_map(|link| &link.targets);
        if targets.clone().count() > MOST_TARGETS {
            return;
        }
        let packets: u64 = targets.map(|target| u64::from(target.packets)).sum();
        let most = u128::from(MOST_PACKETS_A_SECOND) * interval.as_millis();
        if u128::from(packets) * 1_000 > most {
            let found = format!("{packets} packets in each round of {}", show_duration(interval));
            let expected = format!("at most {MOST_PACKETS_A_SECOND} packets a second in all");
            let remedy =
                "lengthen the interval, send fewer packets, or divide the targets among several agents";
            let place = self.round.place.as_ref().or(self.links_place.as_ref());
            flaws.push(Flaw::new(place, found, expected, remedy));
        }
    }
}

fn check_timeout(timeout: Duration, interval: Duration, place: Option<&Place>, flaws: &mut Vec<Flaw>) {
    if timeout > interval {
        let found = format!("a timeout of {}", show_duration(timeout));
        let expected = format!("at most the round's interval of {}", show_duration(interval));
        flaws.push(Flaw::new(place, found, expected, "shorten the timeout, or lengthen the interval"));
    }
}

fn resolve_link(link: &LinkLayer, round: &RoundConfig, flaws: &mut Vec<Flaw>) -> LinkConfig {
    let usual = OutcomeRule::default();
    let rule = OutcomeRule {
        c1: link.c1.unwrap_or(usual.c1),
        rtt_limit: link.rtt_limit.map(|limit| limit.as_secs_f64()).or(usual.rtt_limit),
    };
    if link.targets.is_none() {
        flaws.push(Flaw::new(
            link.place.as_ref(),
            format!("no targets of link {}", link.name),
            "a list of at least one target",
            "add “targets: […]” here or in a layer below, or correct the link's name",
        ));
    }
    let mut labels = BTreeSet::new();
    let mut targets = Vec::new();
    for target in link.targets.iter().flatten() {
        let place = target.place.as_ref();
        if let Some(timeout) = target.timeout {
            check_timeout(timeout, round.interval, place, flaws);
        }
        check_family(link, target, flaws);
        let label = target.label.clone().unwrap_or_else(|| target.probe.label());
        let kind = target.probe.kind();
        if !labels.insert((kind, label.clone(), target.about.clone())) {
            flaws.push(Flaw::new(
                place,
                format!("a second {kind} target “{label}”"),
                "every target of a link once",
                "remove it, or give it its own “label”",
            ));
        }
        targets.push(resolve_target(target, round));
    }
    LinkConfig {
        name: link.name.clone(),
        interface: link.interface.clone(),
        source: link.source,
        rule,
        targets,
    }
}

/// A source address of one family cannot reach a target of the other: better said now than as a fault each round.
fn check_family(link: &LinkLayer, target: &TargetLayer, flaws: &mut Vec<Flaw>) {
    let (Some(source), Some(host)) = (link.source, target.probe.host()) else { return };
    if source.is_ipv4() != (host.family == Family::V4) {
        flaws.push(Flaw::new(
            target.place.as_ref(),
            format!("“{}” of the other family than the link's source {source}", host.name),
            "one family within a link that has a source",
            "give the other family its own link, with a suffix to its name",
        ));
    }
}

fn resolve_target(target: &TargetLayer, round: &RoundConfig) -> TargetConfig {
    let is_http = matches!(target.probe, ProbeConfig::Http(_));
    let usual_timeout = if is_http { DEFAULT_HTTP_TIMEOUT.min(round.interval) } else { round.timeout };
    TargetConfig {
        probe: target.probe.clone(),
        label: target.label.clone(),
        about: target.about.clone(),
        // One request a round: five in five seconds is a load on a server, and says little more.
        packets: target.packets.unwrap_or(if is_http { 1 } else { round.packets }),
        timeout: target.timeout.unwrap_or(usual_timeout),
    }
}
