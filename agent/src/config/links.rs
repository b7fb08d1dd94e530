//! `links`: what to probe.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use wan_wire::{LinkName, OutcomeRule, SiteId};

use super::yaml::Node;
use super::{
    DEFAULT_HTTP_TIMEOUT, DnsConfig, Family, Host, HostPort, HttpConfig, LinkConfig, ProbeConfig,
    RoundConfig, TargetConfig, bare_host, parse_url, read_packets, read_timeout,
};
use crate::probe::dns::{RCODES, rcode_known};

/// Links of one agent; a site has a handful, the centre's agent one for each kind.
const MOST_LINKS: usize = 64;
/// Targets of one agent: at five packets in five seconds this is 2,000 packets a second, within what one core sends evenly.
const MOST_TARGETS: usize = 2_000;
/// `IFNAMSIZ` less its closing zero.
const LONGEST_INTERFACE: usize = 15;
/// Bytes of a `target` label: longer ones are cut by stores or refused.
const LONGEST_LABEL: usize = 512;

const TARGET_KINDS: [&str; 4] = ["icmp", "tcp", "http", "dns"];

pub(super) fn read(node: &Node<'_, '_>, round: &RoundConfig, defaults: Vec<LinkConfig>) -> Vec<LinkConfig> {
    if node.is_absent() {
        // The defaults follow the file's round.
        let mut links = defaults;
        for target in links.iter_mut().flat_map(|link| &mut link.targets) {
            target.packets = round.packets;
            target.timeout = round.timeout;
        }
        return links;
    }
    let Some(items) = node.items() else { return defaults };
    if items.is_empty() || items.len() > MOST_LINKS {
        node.mistake(
            format!("1 to {MOST_LINKS} links"),
            "leave `links` out to probe gateway, collector and Internet",
        );
    }
    let mut names = BTreeSet::new();
    let mut links = Vec::new();
    for item in &items {
        if let Some(link) = read_link(item, round, &mut names) {
            links.push(link);
        }
    }
    if links.iter().map(|link| link.targets.len()).sum::<usize>() > MOST_TARGETS {
        node.mistake(format!("at most {MOST_TARGETS} targets in all"), "divide them among several agents");
    }
    links
}

fn read_link(node: &Node<'_, '_>, round: &RoundConfig, names: &mut BTreeSet<String>) -> Option<LinkConfig> {
    let known = ["name", "interface", "source", "c1", "rtt_limit", "targets"];
    let Some(fields) = node.mapping(&known) else {
        if node.is_absent() {
            node.mistake("a mapping with name and targets", "write `- name: wan`");
        }
        return None;
    };
    let name_node = fields.get("name");
    let expected = "lan, wan, internet or service, alone or with a suffix as in `wan-vnpt`";
    if name_node.is_absent() {
        name_node.mistake(expected, "name the link");
    }
    let name = name_node.parse::<LinkName>(expected, "use small letters, digits and hyphens");
    if let Some(name) = &name
        && !names.insert(name.to_string())
    {
        name_node.mistake("every link once", "give it another suffix, or move its targets to the first one");
    }
    let interface = fields.get("interface").text();
    if let Some(interface) = &interface
        && (interface.is_empty()
            || interface.len() > LONGEST_INTERFACE
            || interface.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control()))
    {
        fields.get("interface").mistake(
            format!("an interface name of 1 to {LONGEST_INTERFACE} bytes"),
            "see `ip link` for the names",
        );
    }
    let source = fields
        .get("source")
        .parse::<IpAddr>("an IPv4 or IPv6 address", "write an address of this host, see `ip addr`");
    let mut rule = OutcomeRule::default();
    if let Some(c1) = fields.get("c1").number(0.0, 1.0) {
        rule.c1 = c1;
    }
    rule.rtt_limit = fields
        .get("rtt_limit")
        .duration(Duration::from_millis(1), Duration::from_secs(60))
        .map(|limit| limit.as_secs_f64());

    let targets_node = fields.get("targets");
    let items = targets_node.items();
    if targets_node.is_absent() || items.as_ref().is_some_and(Vec::is_empty) {
        targets_node.mistake("a list of at least one target", "add one, as in `- icmp: gateway`");
    }
    let mut labels = BTreeSet::new();
    let mut targets = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(target) = read_target(&item, round) else { continue };
        check_family(&item, source, &target);
        let label = target.label.clone().unwrap_or_else(|| target.probe.label());
        let kind = kind_word(&target.probe);
        if !labels.insert((kind, label.clone(), target.about.clone())) {
            item.mistake_found(
                format!("a second {kind} target `{label}`"),
                "every target of a link once",
                "remove it, or give it its own `label`",
            );
        }
        targets.push(target);
    }
    Some(LinkConfig { name: name?, interface, source, rule, targets })
}

fn read_target(node: &Node<'_, '_>, round: &RoundConfig) -> Option<TargetConfig> {
    let known = ["icmp", "tcp", "http", "dns", "family", "label", "about", "packets", "timeout"];
    let Some(fields) = node.mapping(&known) else {
        if node.is_absent() {
            node.mistake("a mapping with icmp, tcp, http or dns", "write it as in `- icmp: gateway`");
        }
        return None;
    };
    let kinds = fields.present(&TARGET_KINDS);
    let [kind] = kinds.as_slice() else {
        node.mistake_found(
            if kinds.is_empty() { "no probe".to_owned() } else { kinds.join(" and ") },
            "exactly one of icmp, tcp, http, dns",
            "write one target for each probe",
        );
        return None;
    };
    let family = read_family(&fields.get("family"));
    let probe_node = fields.get(kind);
    if probe_node.is_absent() {
        probe_node.mistake("what to probe", "give an address, or remove the target");
    }
    let probe = match *kind {
        "icmp" => read_icmp(&probe_node, family),
        "tcp" => read_peer(&probe_node, family, None).map(ProbeConfig::Tcp),
        "http" => read_http(&probe_node, family),
        _ => read_dns(&probe_node, family),
    };
    let label = fields.get("label").text();
    if let Some(label) = &label
        && (label.is_empty() || label.len() > LONGEST_LABEL || label.chars().any(char::is_control))
    {
        fields
            .get("label")
            .mistake(format!("a text of 1 to {LONGEST_LABEL} bytes"), "shorten it, or leave it out");
    }
    let about = fields.get("about").parse::<SiteId>("the id of a site", "write the id as in the register");
    let packets = read_packets(&fields);
    let timeout = read_timeout(&fields, round.interval);
    let probe = probe?;
    let is_http = matches!(probe, ProbeConfig::Http(_));
    Some(TargetConfig {
        label,
        about,
        // One request a round: five in five seconds is a load on a server, and says little more.
        packets: packets.unwrap_or(if is_http { 1 } else { round.packets }),
        timeout: timeout.unwrap_or(if is_http {
            DEFAULT_HTTP_TIMEOUT.min(round.interval)
        } else {
            round.timeout
        }),
        probe,
    })
}

fn read_icmp(node: &Node<'_, '_>, family: Option<Family>) -> Option<ProbeConfig> {
    let text = node.text()?;
    match text.as_str() {
        "gateway" => Some(ProbeConfig::Gateway),
        "collector" => Some(ProbeConfig::CollectorHost),
        name => match host(name, family) {
            Some(host) => Some(ProbeConfig::Icmp(host)),
            None => {
                node.mistake(
                    "an address, a host name, `gateway` or `collector`",
                    "write it without port or scheme; leave `family` out for an address",
                );
                None
            }
        },
    }
}

fn read_peer(node: &Node<'_, '_>, family: Option<Family>, default_port: Option<u16>) -> Option<HostPort> {
    let text = node.text()?;
    let peer = host_port(&text, family, default_port);
    if peer.is_none() {
        let (expected, example) = match default_port {
            Some(port) => (format!("host or host:port (port {port} unless given)"), "8.8.8.8"),
            None => ("host:port".to_owned(), "10.0.0.1:443` or `[fd00::1]:443"),
        };
        node.mistake(expected, format!("write it as in `{example}`"));
    }
    peer
}

fn read_http(node: &Node<'_, '_>, family: Option<Family>) -> Option<ProbeConfig> {
    let fields = node.mapping(&["url", "status", "body_match", "ca_file", "certificate_days"])?;
    let url = fields.get("url");
    if url.is_absent() {
        url.mistake("an http:// or https:// URL", "add `url: https://…`");
    }
    let text = url.text();
    let parsed = text.as_deref().and_then(|text| reqwest::Url::parse(text).ok()).filter(|parsed| {
        // A query is welcome in a probe; the rest is as for the collector.
        let mut bare = parsed.clone();
        bare.set_query(None);
        parse_url(bare.as_str()).is_some()
    });
    if text.is_some() && parsed.is_none() {
        url.mistake(
            "an http:// or https:// URL with a host, without user or fragment",
            "write it as a browser shows it",
        );
    }
    let mut status = Vec::new();
    let status_node = fields.get("status");
    // A single value is taken as a list of one.
    let items = if matches!(status_node.show().as_str(), shown if shown.starts_with("a list")) {
        status_node.items().unwrap_or_default()
    } else if status_node.is_absent() {
        Vec::new()
    } else {
        vec![status_node]
    };
    for item in items {
        match item.text().as_deref().map(parse_status) {
            Some(Some(range)) => status.push(range),
            Some(None) => item
                .mistake("a status code or a range, as in `200` or `200-299`", "use codes from 100 to 599"),
            None => {}
        }
    }
    if status.is_empty() {
        status.push((200, 299));
    }
    let body_match = fields.get("body_match").text();
    let ca_file = fields.get("ca_file").text().map(PathBuf::from);
    let certificate_days =
        fields.get("certificate_days").whole(0, 3650).and_then(|days| u32::try_from(days).ok());
    let (text, parsed) = (text?, parsed?);
    if certificate_days.is_some() && parsed.scheme() == "http" {
        fields.get("certificate_days").mistake("it only with an https:// URL", "remove it");
    }
    let Some(host) = host(&bare_host(&parsed), family) else {
        url.mistake("a host of the family given", "correct `family`");
        return None;
    };
    let peer = HostPort { host, port: parsed.port_or_known_default().unwrap_or(80) };
    Some(ProbeConfig::Http(Box::new(HttpConfig {
        url: text,
        peer,
        status,
        body_match,
        ca_file,
        certificate_days,
    })))
}

fn read_dns(node: &Node<'_, '_>, family: Option<Family>) -> Option<ProbeConfig> {
    let fields = node.mapping(&["server", "name", "type", "expect_rcode", "expect_answer"])?;
    if fields.get("server").is_absent() {
        fields.get("server").mistake("the name server's address", "add `server: 8.8.8.8`");
    }
    let server = read_peer(&fields.get("server"), family, Some(53));
    let name = fields.get("name");
    if name.is_absent() {
        name.mistake("the name to ask for", "add `name: example.vn`");
    }
    let asked = name.text().filter(|text| {
        let good = !text.is_empty() && Name::from_ascii(text).is_ok();
        if !good {
            name.mistake("a DNS name in ASCII", "write an internationalised name in its `xn--` form");
        }
        good
    });
    let record_node = fields.get("type");
    let record = record_node.text().map_or_else(|| "A".to_owned(), |text| text.to_ascii_uppercase());
    if record.parse::<RecordType>().is_err() {
        record_node.mistake("a record type such as A, AAAA, MX, TXT", "correct it, or leave it out for A");
    }
    let rcode_node = fields.get("expect_rcode");
    let rcode = rcode_node.text().map_or_else(|| "NOERROR".to_owned(), |text| text.to_ascii_uppercase());
    if !rcode_known(&rcode) {
        let known: Vec<&str> = RCODES.iter().map(|(name, _)| *name).collect();
        rcode_node.mistake(format!("one of {}", known.join(", ")), "correct it, or leave it out for NOERROR");
    }
    let expect_answer = fields.get("expect_answer").text();
    if expect_answer.is_some() && rcode == "NXDOMAIN" {
        fields
            .get("expect_answer")
            .mistake("none with NXDOMAIN, which has no answers", "remove one of the two");
    }
    Some(ProbeConfig::Dns(Box::new(DnsConfig {
        server: server?,
        name: asked?,
        record,
        expect_rcode: rcode,
        expect_answer,
    })))
}

fn read_family(node: &Node<'_, '_>) -> Option<Family> {
    match node.text()?.as_str() {
        "ipv4" => Some(Family::V4),
        "ipv6" => Some(Family::V6),
        _ => {
            node.mistake("ipv4 or ipv6", "leave it out for ipv4; an address needs none");
            None
        }
    }
}

/// A source address of one family cannot reach a target of the other: better said now than as a fault each round.
fn check_family(node: &Node<'_, '_>, source: Option<IpAddr>, target: &TargetConfig) {
    let host = match &target.probe {
        ProbeConfig::Icmp(host) => host,
        ProbeConfig::Tcp(peer) => &peer.host,
        ProbeConfig::Http(http) => &http.peer.host,
        ProbeConfig::Dns(dns) => &dns.server.host,
        ProbeConfig::Gateway | ProbeConfig::CollectorHost => return,
    };
    let Some(source) = source else { return };
    if source.is_ipv4() != (host.family == Family::V4) {
        node.mistake_found(
            format!("`{}` of the other family than the link's source {source}", host.name),
            "one family within a link that has a source",
            "give the other family its own link, with a suffix to its name",
        );
    }
}

fn kind_word(probe: &ProbeConfig) -> &'static str {
    match probe {
        ProbeConfig::Icmp(_) | ProbeConfig::Gateway | ProbeConfig::CollectorHost => "icmp",
        ProbeConfig::Tcp(_) => "tcp",
        ProbeConfig::Http(_) => "http",
        ProbeConfig::Dns(_) => "dns",
    }
}

/// `text` as a host; `None` when it is neither an address nor a name, or an address of another family than `family`.
pub(crate) fn host(text: &str, family: Option<Family>) -> Option<Host> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let own = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        return (family.is_none() || family == Some(own))
            .then(|| Host { name: address.to_string(), family: own });
    }
    let named = !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
        })
        // A name whose last part is a number is a mistyped address.
        && !text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    named.then(|| Host { name: text.to_ascii_lowercase(), family: family.unwrap_or_default() })
}

fn host_port(text: &str, family: Option<Family>, default_port: Option<u16>) -> Option<HostPort> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (name, after) = rest.split_once(']')?;
        name.parse::<std::net::Ipv6Addr>().ok()?;
        (name, after.strip_prefix(':').map(str::to_owned).or_else(|| after.is_empty().then(String::new))?)
    } else if text.parse::<IpAddr>().is_ok() {
        (text, String::new())
    } else {
        match text.split_once(':') {
            Some((name, port)) => (name, if port.is_empty() { return None } else { port.to_owned() }),
            None => (text, String::new()),
        }
    };
    let port =
        if port.is_empty() { default_port? } else { port.parse::<u16>().ok().filter(|port| *port > 0)? };
    Some(HostPort { host: host(name, family)?, port })
}

fn parse_status(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    match text.split_once('-') {
        Some((from, to)) => {
            let (from, to) = (code(from)?, code(to)?);
            (from <= to).then_some((from, to))
        }
        None => code(text).map(|code| (code, code)),
    }
}
