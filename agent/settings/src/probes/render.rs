//! A layer as YAML: what the collector sends to an agent, and people read in `wan-collector config show`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use wan_wire::LinkName;

use super::{Family, Layer, LinkLayer, ProbeConfig, TargetLayer};
use crate::units::show_duration;
use crate::yaml::{At, Fields};

/// Characters of an origin that are kept.
const LONGEST_ORIGIN: usize = 120;

/// From which layer each part comes, in words for people: `all`, `tier commune`, `all, site`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// For which site the whole was put together.
    pub site: Option<String>,
    /// Of `round`.
    pub round: Option<String>,
    /// Of `icmp`.
    pub icmp: Option<String>,
    /// Of each link.
    pub links: BTreeMap<LinkName, String>,
}

impl Origins {
    /// Reads the key `origin` of a document, if it is there. It is for people: what cannot be read is passed over.
    pub fn read(fields: &Fields<'_>) -> Origins {
        let text = |at: &At<'_>| {
            let text = at.peek()?;
            Some(text.chars().filter(|c| !c.is_control()).take(LONGEST_ORIGIN).collect::<String>())
        };
        let mut origins = Origins::default();
        let entries = fields.get("origin").filter(At::is_map).and_then(|at| at.entries("origins"));
        for (key, at) in entries.into_iter().flatten() {
            match key {
                "site" => origins.site = text(&at),
                "round" => origins.round = text(&at),
                "icmp" => origins.icmp = text(&at),
                "links" if at.is_map() => {
                    let links = at.entries("links").into_iter().flatten();
                    origins.links =
                        links.filter_map(|(name, at)| Some((name.parse().ok()?, text(&at)?))).collect();
                }
                _ => {}
            }
        }
        origins
    }
}

/// `layer` as YAML that [`Layer::read`] takes back as it is, with `origins` beside it. Links that are taken away are left out.
pub fn render(layer: &Layer, origins: &Origins) -> String {
    let mut out = String::new();
    let from = |origin: Option<&String>| origin.map(|text| format!(" # {text}")).unwrap_or_default();
    if !layer.round.is_empty() {
        line(&mut out, 0, &format!("round:{}", from(origins.round.as_ref())));
        if let Some(interval) = layer.round.interval {
            line(&mut out, 2, &format!("interval: {}", show_duration(interval)));
        }
        if let Some(packets) = layer.round.packets {
            line(&mut out, 2, &format!("packets: {packets}"));
        }
        if let Some(timeout) = layer.round.timeout {
            line(&mut out, 2, &format!("timeout: {}", show_duration(timeout)));
        }
    }
    if let Some(socket) = layer.icmp {
        line(&mut out, 0, &format!("icmp:{}", from(origins.icmp.as_ref())));
        line(&mut out, 2, &format!("socket: {}", socket.as_str()));
    }
    if let Some(links) = &layer.links {
        let kept: Vec<&LinkLayer> = links.iter().filter(|link| !link.remove).collect();
        line(&mut out, 0, if kept.is_empty() { "links: []" } else { "links:" });
        for link in kept {
            render_link(&mut out, link, &from(origins.links.get(&link.name)));
        }
    }
    render_origins(&mut out, origins);
    out
}

fn render_origins(out: &mut String, origins: &Origins) {
    if *origins == Origins::default() {
        return;
    }
    line(out, 0, "origin:");
    for (key, origin) in [("site", &origins.site), ("round", &origins.round), ("icmp", &origins.icmp)] {
        if let Some(origin) = origin {
            line(out, 2, &format!("{key}: {}", quoted(origin)));
        }
    }
    if !origins.links.is_empty() {
        line(out, 2, "links:");
        for (name, origin) in &origins.links {
            line(out, 4, &format!("{name}: {}", quoted(origin)));
        }
    }
}

fn render_link(out: &mut String, link: &LinkLayer, from: &str) {
    line(out, 2, &format!("- name: {}{from}", link.name));
    if let Some(interface) = &link.interface {
        line(out, 4, &format!("interface: {}", quoted(interface.as_str())));
    }
    if let Some(source) = link.source {
        line(out, 4, &format!("source: {}", quoted(&source.to_string())));
    }
    if let Some(c1) = link.c1 {
        line(out, 4, &format!("c1: {c1}"));
    }
    if let Some(limit) = link.rtt_limit {
        line(out, 4, &format!("rtt_limit: {}", show_duration(limit)));
    }
    if let Some(targets) = &link.targets {
        line(out, 4, if targets.is_empty() { "targets: []" } else { "targets:" });
        for target in targets {
            line(out, 6, &format!("- {}", render_target(target)));
        }
    }
}

/// One target in one line: a site's document is mostly these.
fn render_target(target: &TargetLayer) -> String {
    let mut keys = vec![render_probe(&target.probe)];
    // An address is of its own family.
    let named = target.probe.host().filter(|host| host.name.parse::<std::net::IpAddr>().is_err());
    if named.is_some_and(|host| host.family == Family::V6) {
        keys.push("family: ipv6".into());
    }
    if let Some(label) = &target.label {
        keys.push(format!("label: {}", quoted(label)));
    }
    if let Some(about) = &target.about {
        keys.push(format!("about: {}", quoted(about.as_str())));
    }
    if let Some(packets) = target.packets {
        keys.push(format!("packets: {packets}"));
    }
    if let Some(timeout) = target.timeout {
        keys.push(format!("timeout: {}", show_duration(timeout)));
    }
    format!("{{{}}}", keys.join(", "))
}

fn render_probe(probe: &ProbeConfig) -> String {
    match probe {
        ProbeConfig::Icmp(host) => format!("icmp: {}", quoted(&host.name)),
        ProbeConfig::Gateway => "icmp: gateway".into(),
        ProbeConfig::CollectorHost => "icmp: collector".into(),
        ProbeConfig::Tcp(peer) => format!("tcp: {}", quoted(&peer.to_string())),
        ProbeConfig::Http(http) => {
            let mut keys = vec![format!("url: {}", quoted(&http.url))];
            if http.status != [(200, 299)] {
                let ranges: Vec<String> = http.status.iter().map(|range| quoted(&status(*range))).collect();
                keys.push(format!("status: [{}]", ranges.join(", ")));
            }
            if let Some(text) = &http.body_match {
                keys.push(format!("body_match: {}", quoted(text)));
            }
            if let Some(path) = &http.ca_file {
                keys.push(format!("ca_file: {}", quoted(&shown(path))));
            }
            if let Some(days) = http.certificate_days {
                keys.push(format!("certificate_days: {days}"));
            }
            format!("http: {{{}}}", keys.join(", "))
        }
        ProbeConfig::Dns(dns) => {
            let mut keys = vec![
                format!("server: {}", quoted(&dns.server.to_string())),
                format!("name: {}", quoted(&dns.name)),
            ];
            if dns.record != "A" {
                keys.push(format!("type: {}", quoted(&dns.record)));
            }
            if dns.expect_rcode != "NOERROR" {
                keys.push(format!("expect_rcode: {}", quoted(&dns.expect_rcode)));
            }
            if let Some(answer) = &dns.expect_answer {
                keys.push(format!("expect_answer: {}", quoted(answer)));
            }
            format!("dns: {{{}}}", keys.join(", "))
        }
    }
}

fn status((from, to): (u16, u16)) -> String {
    if from == to { from.to_string() } else { format!("{from}-{to}") }
}

fn shown(path: &Path) -> String {
    // It came out of a UTF-8 text.
    path.to_string_lossy().into_owned()
}

/// YAML's double-quoted style, in which every text can stand.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Writing to a String does not fail.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn line(out: &mut String, indent: usize, text: &str) {
    let _ = writeln!(out, "{:indent$}{text}", "");
}
