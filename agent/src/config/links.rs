//! `links`: what to probe.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use wan_settings::{At, Fields};
use wan_wire::{LinkName, OutcomeRule, SiteId};

use super::{
    DEFAULT_HTTP_TIMEOUT, DnsConfig, Family, Host, HostPort, HttpConfig, LinkConfig, ProbeConfig,
    RoundConfig, TargetConfig, bare_host, parse_url, read_packets, read_path, read_timeout,
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

pub(super) fn read(at: Option<&At<'_>>, round: &RoundConfig, defaults: Vec<LinkConfig>) -> Vec<LinkConfig> {
    let Some(at) = at else {
        // The defaults follow the file's round.
        let mut links = defaults;
        for target in links.iter_mut().flat_map(|link| &mut link.targets) {
            target.packets = round.packets;
            target.timeout = round.timeout;
        }
        return links;
    };
    let Some(items) = at.items("links") else { return defaults };
    if items.is_empty() || items.len() > MOST_LINKS {
        at.wrong(
            format!("1 to {MOST_LINKS} links"),
            "leave “links” out to probe gateway, collector and Internet",
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
        at.wrong(format!("at most {MOST_TARGETS} targets in all"), "divide them among several agents");
    }
    links
}

fn read_link(at: &At<'_>, round: &RoundConfig, names: &mut BTreeSet<String>) -> Option<LinkConfig> {
    let known = ["name", "interface", "source", "c1", "rtt_limit", "targets"];
    let fields = at.fields(&known)?;
    let name_at = fields.need_with("name", NAME, "name the link");
    let name = name_at.as_ref().and_then(read_name);
    if let (Some(at), Some(name)) = (&name_at, &name)
        && !names.insert(name.to_string())
    {
        at.wrong("every link once", "give it another suffix, or move its targets to the first one");
    }
    let interface = fields.get("interface").and_then(|at| read_interface(&at));
    let source = fields.get("source").and_then(|at| read_source(&at));
    let mut rule = OutcomeRule::default();
    if let Some(c1) = fields.get("c1").and_then(|at| at.share("0.20 is ITU-T Y.1540's value")) {
        rule.c1 = c1;
    }
    rule.rtt_limit = fields
        .get("rtt_limit")
        .and_then(|at| at.duration(Duration::from_millis(1), Duration::from_secs(60)))
        .map(|limit| limit.as_secs_f64());

    let mut labels = BTreeSet::new();
    let mut targets = Vec::new();
    for item in target_items(&fields) {
        let Some(target) = read_target(&item, round) else { continue };
        check_family(&item, source, &target);
        let label = target.label.clone().unwrap_or_else(|| target.probe.label());
        let kind = kind_word(&target.probe);
        if !labels.insert((kind, label.clone(), target.about.clone())) {
            item.wrong_as(
                format!("a second {kind} target “{label}”"),
                "every target of a link once",
                "remove it, or give it its own “label”",
            );
        }
        targets.push(target);
    }
    Some(LinkConfig { name: name?, interface, source, rule, targets })
}

fn target_items<'d>(fields: &Fields<'d>) -> Vec<At<'d>> {
    let expected = "a list of at least one target";
    let remedy = "add one, as in “- icmp: gateway”";
    let Some(at) = fields.need_with("targets", expected, remedy) else { return Vec::new() };
    let Some(items) = at.items("targets") else { return Vec::new() };
    if items.is_empty() {
        at.wrong(expected, remedy);
    }
    items
}

const NAME: &str = "lan, wan, internet or service, alone or with a suffix as in “wan-vnpt”";

pub(super) fn read_name(at: &At<'_>) -> Option<LinkName> {
    at.scalar(NAME, "use small letters, digits and hyphens", |text| text.parse().ok())
}

pub(super) fn read_source(at: &At<'_>) -> Option<IpAddr> {
    let remedy = "write an address of this host, see “ip addr”";
    at.scalar("an IPv4 or IPv6 address", remedy, |text| text.parse().ok())
}

pub(super) fn read_interface(at: &At<'_>) -> Option<String> {
    let expected = format!("an interface name of 1 to {LONGEST_INTERFACE} bytes");
    let text = at.text(&expected)?;
    let odd = |c: char| c == '/' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.len() > LONGEST_INTERFACE || text.chars().any(odd) {
        at.wrong(expected, "see “ip link” for the names");
        return None;
    }
    Some(text.to_owned())
}

fn read_target(at: &At<'_>, round: &RoundConfig) -> Option<TargetConfig> {
    let known = ["icmp", "tcp", "http", "dns", "family", "label", "about", "packets", "timeout"];
    let fields = at.fields(&known)?;
    let kinds: Vec<&str> = TARGET_KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    let [kind] = kinds.as_slice() else {
        at.wrong_as(
            if kinds.is_empty() { "no probe".to_owned() } else { kinds.join(" and ") },
            "exactly one of icmp, tcp, http, dns",
            "write one target for each probe",
        );
        return None;
    };
    let family = fields.get("family").and_then(|at| read_family(&at));
    let probe =
        fields.need_with(kind, "what to probe", "give an address, or remove the target").and_then(|at| {
            match *kind {
                "icmp" => read_icmp(&at, family),
                "tcp" => read_peer(&at, family, None).map(ProbeConfig::Tcp),
                "http" => read_http(&at, family),
                _ => read_dns(&at, family),
            }
        });
    let label = fields.get("label").and_then(|at| read_label(&at));
    let about = fields.get("about").and_then(|at| read_about(&at));
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

fn read_label(at: &At<'_>) -> Option<String> {
    let expected = format!("a text of 1 to {LONGEST_LABEL} bytes");
    let text = at.text(&expected)?;
    if text.is_empty() || text.len() > LONGEST_LABEL || text.chars().any(char::is_control) {
        at.wrong(expected, "shorten it, or leave it out");
        return None;
    }
    Some(text.to_owned())
}

fn read_about(at: &At<'_>) -> Option<SiteId> {
    let expected = "the id of a site";
    let site = at.text(expected)?.parse();
    if site.is_err() {
        at.wrong(expected, "write the id as in the register");
    }
    site.ok()
}

fn read_icmp(at: &At<'_>, family: Option<Family>) -> Option<ProbeConfig> {
    let expected = "an address, a host name, “gateway” or “collector”";
    let remedy = "write it without port or scheme; leave “family” out for an address";
    at.scalar(expected, remedy, |text| match text {
        "gateway" => Some(ProbeConfig::Gateway),
        "collector" => Some(ProbeConfig::CollectorHost),
        name => host(name, family).map(ProbeConfig::Icmp),
    })
}

fn read_peer(at: &At<'_>, family: Option<Family>, default_port: Option<u16>) -> Option<HostPort> {
    let (expected, example) = match default_port {
        Some(port) => (format!("host or host:port (port {port} unless given)"), "“8.8.8.8”"),
        None => ("host:port".to_owned(), "“10.0.0.1:443” or “[fd00::1]:443”"),
    };
    let remedy = format!("write it as in {example}");
    at.scalar(&expected, &remedy, |text| host_port(text, family, default_port))
}

fn read_http(at: &At<'_>, family: Option<Family>) -> Option<ProbeConfig> {
    let fields = at.fields(&["url", "status", "body_match", "ca_file", "certificate_days"])?;
    let url = fields.need_with("url", "an http:// or https:// URL", "add “url: https://…”");
    let parsed = url.as_ref().and_then(read_url);
    let status = fields.get("status").map_or_else(Vec::new, |at| read_status(&at));
    let status = if status.is_empty() { vec![(200, 299)] } else { status };
    let body_match =
        fields.get("body_match").and_then(|at| at.text("text of the answer's body")).map(str::to_owned);
    let ca_file = fields.get("ca_file").and_then(|at| read_path(&at));
    let days_at = fields.get("certificate_days");
    let certificate_days =
        days_at.as_ref().and_then(|at| at.whole(0, 3650)).and_then(|days| u32::try_from(days).ok());
    let (url, (text, parsed)) = (url?, parsed?);
    if let (Some(at), Some(_), "http") = (&days_at, certificate_days, parsed.scheme()) {
        at.wrong("it only with an https:// URL", "remove it");
    }
    let Some(host) = host(&bare_host(&parsed), family) else {
        url.wrong("a host of the family given", "correct “family”");
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

/// The URL as it is written, and parsed.
fn read_url(at: &At<'_>) -> Option<(String, reqwest::Url)> {
    let expected = "an http:// or https:// URL with a host, without user or fragment";
    let text = at.text(expected)?;
    let parsed = reqwest::Url::parse(text).ok().filter(|parsed| {
        // A query is welcome in a probe; the rest is as for the collector.
        let mut bare = parsed.clone();
        bare.set_query(None);
        parse_url(bare.as_str()).is_some()
    });
    if parsed.is_none() {
        at.wrong(expected, "write it as a browser shows it");
    }
    Some((text.to_owned(), parsed?))
}

/// A list of status codes and ranges; a single one is taken as a list of one.
fn read_status(at: &At<'_>) -> Vec<(u16, u16)> {
    let items = if at.is_list() { at.items("").unwrap_or_default() } else { vec![at.clone()] };
    let expected = "a status code or a range, as in “200” or “200-299”";
    items.iter().filter_map(|item| item.scalar(expected, "use codes from 100 to 599", parse_status)).collect()
}

fn read_dns(at: &At<'_>, family: Option<Family>) -> Option<ProbeConfig> {
    let fields = at.fields(&["server", "name", "type", "expect_rcode", "expect_answer"])?;
    let server = fields
        .need_with("server", "the name server's address", "add “server: 8.8.8.8”")
        .and_then(|at| read_peer(&at, family, Some(53)));
    let asked = fields.need_with("name", "the name to ask for", "add “name: example.vn”").and_then(|at| {
        let remedy = "write an internationalised name in its “xn--” form";
        at.scalar("a DNS name in ASCII", remedy, |text| {
            (!text.is_empty() && Name::from_ascii(text).is_ok()).then(|| text.to_owned())
        })
    });
    let record = fields.get("type").and_then(|at| {
        let expected = "a record type such as A, AAAA, MX, TXT";
        at.scalar(expected, "correct it, or leave it out for A", |text| {
            Some(text.to_ascii_uppercase()).filter(|text| text.parse::<RecordType>().is_ok())
        })
    });
    let rcode = fields.get("expect_rcode").and_then(|at| {
        let known: Vec<&str> = RCODES.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of {}", known.join(", "));
        at.scalar(&expected, "correct it, or leave it out for NOERROR", |text| {
            Some(text.to_ascii_uppercase()).filter(|text| rcode_known(text))
        })
    });
    let rcode = rcode.unwrap_or_else(|| "NOERROR".to_owned());
    let answer_at = fields.get("expect_answer");
    if let (Some(at), "NXDOMAIN") = (&answer_at, rcode.as_str()) {
        at.wrong("none with NXDOMAIN, which has no answers", "remove one of the two");
    }
    let expect_answer = answer_at.and_then(|at| at.text("record data of the answer").map(str::to_owned));
    Some(ProbeConfig::Dns(Box::new(DnsConfig {
        server: server?,
        name: asked?,
        record: record.unwrap_or_else(|| "A".to_owned()),
        expect_rcode: rcode,
        expect_answer,
    })))
}

fn read_family(at: &At<'_>) -> Option<Family> {
    at.scalar("ipv4 or ipv6", "leave it out for ipv4; an address needs none", |text| match text {
        "ipv4" => Some(Family::V4),
        "ipv6" => Some(Family::V6),
        _ => None,
    })
}

/// A source address of one family cannot reach a target of the other: better said now than as a fault each round.
fn check_family(at: &At<'_>, source: Option<IpAddr>, target: &TargetConfig) {
    let host = match &target.probe {
        ProbeConfig::Icmp(host) => host,
        ProbeConfig::Tcp(peer) => &peer.host,
        ProbeConfig::Http(http) => &http.peer.host,
        ProbeConfig::Dns(dns) => &dns.server.host,
        ProbeConfig::Gateway | ProbeConfig::CollectorHost => return,
    };
    let Some(source) = source else { return };
    if source.is_ipv4() != (host.family == Family::V4) {
        at.wrong_as(
            format!("“{}” of the other family than the link's source {source}", host.name),
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
