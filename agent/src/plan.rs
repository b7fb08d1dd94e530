//! Configuration and the host's state of the moment → what this round asks: pure.
//!
//! Symbolic targets become addresses here: `gateway` the default gateways behind the link's interface, `collector` the host
//! of the first collector URL. A gateway that is gone is asked after until another one comes: its absence is what an outage
//! looks like. Before the first one was ever seen there is nothing to ask, and the target is a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use wan_wire::{LinkName, OutcomeRule, ProbeKind, SiteId};

use crate::config::{Config, Family, Host, LinkConfig, ProbeConfig, TargetConfig};
use crate::link::gateway::Gateway;
use crate::probe::{Question, Way};

/// One link's part of a round.
#[derive(Debug, Clone)]
pub(crate) struct LinkPlan {
    pub(crate) name: LinkName,
    pub(crate) rule: OutcomeRule,
    pub(crate) way: Way,
    pub(crate) targets: Vec<TargetPlan>,
}

/// One target's part of a round.
#[derive(Debug, Clone)]
pub(crate) struct TargetPlan {
    pub(crate) series: Arc<Series>,
    pub(crate) packets: u32,
    pub(crate) timeout: Duration,
    /// What to ask; `Err`: why there is nothing to ask.
    pub(crate) question: Result<Question, String>,
}

/// What a round is known by on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The link.
    pub link: LinkName,
    /// How it was probed.
    pub probe: ProbeKind,
    /// The value of the `target` label.
    pub target: String,
    /// The site that is watched, where it is not the agent's own.
    pub about: Option<SiteId>,
}

/// Makes each round's plan, and remembers the gateways that were seen.
#[derive(Debug, Default)]
pub(crate) struct Planner {
    gateways: BTreeMap<LinkName, Vec<Gateway>>,
    series: BTreeSet<Arc<Series>>,
}

impl Planner {
    /// The plan of a round that begins while these are the default gateways. Links with nothing to ask are left out.
    pub(crate) fn plan(&mut self, config: &Config, gateways: &[Gateway]) -> Vec<LinkPlan> {
        let known = std::mem::take(&mut self.series);
        config
            .links
            .iter()
            .map(|link| self.plan_link(config, link, gateways, &known))
            .filter(|plan| !plan.targets.is_empty())
            .collect()
    }

    fn plan_link(
        &mut self,
        config: &Config,
        link: &LinkConfig,
        gateways: &[Gateway],
        known: &BTreeSet<Arc<Series>>,
    ) -> LinkPlan {
        let mut targets: Vec<TargetPlan> = Vec::new();
        for target in &link.targets {
            for (question, label) in self.questions(config, link, target, gateways) {
                let probe = question.as_ref().map_or(ProbeKind::Icmp, Question::kind);
                let label = target.label.clone().filter(|_| !is_symbolic(&target.probe)).unwrap_or(label);
                let series =
                    Series { link: link.name.clone(), probe, target: label, about: target.about.clone() };
                // A gateway may also be listed by its address.
                if targets.iter().any(|other| *other.series == series) {
                    continue;
                }
                let series = known.get(&series).cloned().unwrap_or_else(|| Arc::new(series));
                self.series.insert(Arc::clone(&series));
                targets.push(TargetPlan {
                    series,
                    packets: target.packets,
                    timeout: target.timeout,
                    question,
                });
            }
        }
        let way = Way { interface: link.interface.as_ref().map(ToString::to_string), source: link.source };
        LinkPlan { name: link.name.clone(), rule: link.rule, way, targets }
    }

    fn questions(
        &mut self,
        config: &Config,
        link: &LinkConfig,
        target: &TargetConfig,
        gateways: &[Gateway],
    ) -> Vec<(Result<Question, String>, String)> {
        let icmp = |host: Host, scope| Question::Icmp { host, scope, socket: config.icmp };
        let question = match &target.probe {
            ProbeConfig::Icmp(host) => icmp(host.clone(), None),
            ProbeConfig::Tcp(peer) => Question::Tcp(peer.clone()),
            ProbeConfig::Http(http) => Question::Http(http.clone()),
            ProbeConfig::Dns(dns) => Question::Dns(dns.clone()),
            ProbeConfig::CollectorHost => match collector_host(config) {
                Some(host) => icmp(host, None),
                None => return Vec::new(),
            },
            ProbeConfig::Gateway => {
                let found = self.gateways_of(link, gateways);
                if found.is_empty() {
                    return vec![(Err("no default gateway was ever seen".into()), target.probe.label())];
                }
                let question = |gateway: &Gateway| {
                    let family = if gateway.address.is_ipv4() { Family::V4 } else { Family::V6 };
                    let host = Host { name: gateway.address.to_string(), family };
                    let scope = is_link_local(gateway.address).then(|| gateway.interface.clone());
                    (Ok(icmp(host, scope)), gateway.address.to_string())
                };
                return found.iter().map(question).collect();
            }
        };
        let label = match &question {
            Question::Icmp { host, .. } => host.name.clone(),
            Question::Tcp(_) | Question::Http(_) | Question::Dns(_) => target.probe.label(),
        };
        vec![(Ok(question), label)]
    }

    /// The gateways to ask on a link: the present ones behind its interface and of its source's family, else the last seen.
    fn gateways_of(&mut self, link: &LinkConfig, gateways: &[Gateway]) -> Vec<Gateway> {
        let fits = |gateway: &&Gateway| {
            link.interface.as_ref().is_none_or(|interface| interface.as_str() == gateway.interface)
                && link.source.is_none_or(|source| source.is_ipv4() == gateway.address.is_ipv4())
        };
        let present: Vec<Gateway> = gateways.iter().filter(fits).cloned().collect();
        if present.is_empty() {
            return self.gateways.get(&link.name).cloned().unwrap_or_default();
        }
        self.gateways.insert(link.name.clone(), present.clone());
        present
    }
}

/// The host of the first collector URL, unless it is this very host, whose answer would say nothing about a link.
pub(crate) fn collector_host(config: &Config) -> Option<Host> {
    let name = config.collector.as_ref()?.urls.first()?.host.clone();
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => None,
        Ok(address) => Some(Host { name, family: if address.is_ipv4() { Family::V4 } else { Family::V6 } }),
        Err(_) if name == "localhost" || name.ends_with(".localhost") => None,
        Err(_) => Some(Host { name, family: Family::V4 }),
    }
}

fn is_symbolic(probe: &ProbeConfig) -> bool {
    matches!(probe, ProbeConfig::Gateway)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Use;

    fn gateway(address: &str, interface: &str) -> Gateway {
        Gateway { address: address.parse().unwrap(), interface: interface.into() }
    }

    fn config(yaml: &str) -> Config {
        Config::parse("f", yaml.as_bytes(), Use::Probe).unwrap()
    }

    fn shown(plan: &[LinkPlan]) -> Vec<String> {
        plan.iter()
            .flat_map(|link| &link.targets)
            .map(|target| {
                let state = if target.question.is_ok() { "" } else { " (nothing to ask)" };
                format!("{} {} {}{state}", target.series.link, target.series.probe, target.series.target)
            })
            .collect()
    }

    #[test]
    fn a_changed_gateway_is_followed_and_a_lost_one_is_asked_after() {
        let config = config("links: [{name: lan, targets: [{icmp: gateway}]}]");
        let mut planner = Planner::default();
        let mut plan = |gateways: &[Gateway]| shown(&planner.plan(&config, gateways));
        assert_eq!(plan(&[]), ["lan icmp gateway (nothing to ask)"]);
        assert_eq!(plan(&[gateway("10.0.0.1", "eth0")]), ["lan icmp 10.0.0.1"]);
        assert_eq!(plan(&[]), ["lan icmp 10.0.0.1"]);
        let both = [gateway("10.0.0.2", "eth0"), gateway("fe80::1", "eth0")];
        assert_eq!(plan(&both), ["lan icmp 10.0.0.2", "lan icmp fe80::1"]);
    }

    #[test]
    fn a_link_with_an_interface_asks_only_the_gateway_behind_it() {
        let config = config(
            "links:\n- {name: wan-a, interface: eth1, targets: [{icmp: gateway}]}\n\
             - {name: wan-b, source: 10.9.0.7, targets: [{icmp: gateway}, {icmp: 10.9.0.1}]}\n",
        );
        let gateways = [gateway("10.8.0.1", "eth1"), gateway("10.9.0.1", "eth2"), gateway("fe80::1", "eth2")];
        let plan = Planner::default().plan(&config, &gateways);
        assert_eq!(shown(&plan), ["wan-a icmp 10.8.0.1", "wan-b icmp 10.8.0.1", "wan-b icmp 10.9.0.1"]);
        assert_eq!(plan[0].way.interface.as_deref(), Some("eth1"));
    }

    #[test]
    fn a_link_local_gateway_is_asked_through_its_interface() {
        let config = config("links: [{name: lan, targets: [{icmp: gateway}]}]");
        let plan = Planner::default().plan(&config, &[gateway("fe80::1", "eth0")]);
        let Ok(Question::Icmp { scope, .. }) = &plan[0].targets[0].question else { panic!("not ICMP") };
        assert_eq!(scope.as_deref(), Some("eth0"));
    }

    #[test]
    fn the_collector_is_the_wan_target_unless_it_is_this_host() {
        let with = |url: &str| {
            let config = config(&format!("collector: {{urls: [{{url: '{url}'}}], secret: x}}"));
            shown(&Planner::default().plan(&config, &[gateway("10.0.0.1", "eth0")]))
        };
        let rest = ["internet icmp 1.1.1.1", "internet icmp 8.8.8.8"];
        assert_eq!(
            with("http://10.20.0.1:8080"),
            [&["lan icmp 10.0.0.1", "wan icmp 10.20.0.1"], &rest[..]].concat()
        );
        assert_eq!(with("http://[::1]:8080"), [&["lan icmp 10.0.0.1"], &rest[..]].concat());
        assert_eq!(with("http://localhost:8080"), [&["lan icmp 10.0.0.1"], &rest[..]].concat());
    }
}
