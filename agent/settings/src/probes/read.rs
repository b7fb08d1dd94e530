//! YAML to [`Layer`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use wan_wire::{LinkName, SiteId};

use super::peer::{bare_host, host, host_port, parse_url};
use super::{
    DnsConfig, Family, HostPort, HttpConfig, IcmpSocket, LONGEST_INTERVAL, LONGEST_LABEL, Layer, LinkLayer,
    MOST_LINKS, MOST_PACKETS, Place, ProbeConfig, RoundConfig, RoundLayer, SHORTEST_INTERVAL,
    SHORTEST_TIMEOUT, TargetLayer,
};
use crate::interface::InterfaceName;
use crate::yaml::{At, Fields};

/// Response codes that may be expected, with their numbers (RFC 1035, 2136; IANA).
pub const RCODES: [(&str, u16); 11] = [
    ("NOERROR", 0),
    ("FORMERR", 1),
    ("SERVFAIL", 2),
    ("NXDOMAIN", 3),
    ("NOTIMP", 4),
    ("REFUSED", 5),
    ("YXDOMAIN", 6),
    ("YXRRSET", 7),
    ("NXRRSET", 8),
    ("NOTAUTH", 9),
    ("NOTZONE", 10),
];

/// Record types that can be asked for.
pub const RECORD_TYPES: [&str; 27] = [
    "A",
    "AAAA",
    "ANAME",
    "ANY",
    "CAA",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CNAME",
    "CSYNC",
    "DNSKEY",
    "DS",
    "HINFO",
    "HTTPS",
    "MX",
    "NAPTR",
    "NS",
    "NSEC",
    "NSEC3PARAM",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SOA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TXT",
];

const NAME: &str = "lan, wan, internet or service, alone or with a suffix as in “wan-vnpt”";
const TARGET_KINDS: [&str; 4] = ["icmp", "tcp", "http", "dns"];

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All that there is: it names at least one link if it names any, each with its targets.
    Whole,
    /// One layer among others: it may take links away, and say of a link only what it changes.
    Part,
}

impl Layer {
    /// Reads [`Layer::KEYS`] of a mapping; what is wrong is noted in its document. Of a [`Form::Whole`] all that is wrong is
    /// noted, also in what its parts mean together.
    pub fn read(fields: &Fields<'_>, form: Form) -> Layer {
        let round = fields.get("round").map(|at| read_round(&at, form)).unwrap_or_default();
        let icmp = fields.get("icmp").and_then(|at| read_socket(&at.fields(&["socket"])?.get("socket")?));
        let longest_timeout = match form {
            Form::Whole => round.interval.unwrap_or(RoundConfig::default().interval),
            Form::Part => LONGEST_INTERVAL,
        };
        let at = fields.get("links");
        let links = at.as_ref().and_then(|at| read_links(at, form, longest_timeout));
        let layer = Layer { round, icmp, links, links_place: at.as_ref().map(place) };
        if form == Form::Whole {
            for flaw in layer.resolve_as(form).1 {
                flaw.note(fields.at());
            }
        }
        layer
    }
}

/// The path of a file.
pub fn read_path(at: &At<'_>) -> Option<PathBuf> {
    let text = at.text("the path of a file")?;
    if text.is_empty() || text.contains('\0') {
        at.wrong("the path of a file", "write it as in “/etc/wanwatch/NAME”");
        return None;
    }
    Some(PathBuf::from(text))
}

/// The name of a link.
pub fn read_name(at: &At<'_>) -> Option<LinkName> {
    at.scalar(NAME, "use small letters, digits and hyphens", |text| text.parse().ok())
}

/// An address of the host itself.
pub fn read_source(at: &At<'_>) -> Option<IpAddr> {
    let remedy = "write an address of this host, see “ip addr”";
    at.scalar("an IPv4 or IPv6 address", remedy, |text| text.parse().ok())
}

/// The name of an interface.
pub fn read_interface(at: &At<'_>) -> Option<InterfaceName> {
    let name = at.text(InterfaceName::EXPECTED)?.parse();
    if name.is_err() {
        at.wrong(InterfaceName::EXPECTED, InterfaceName::REMEDY);
    }
    name.ok()
}

fn place(at: &At<'_>) -> Place {
    Place { path: at.path().clone(), name: at.name().to_owned() }
}

fn read_socket(at: &At<'_>) -> Option<IcmpSocket> {
    at.scalar("auto, raw or datagram", "leave it out for auto", |text| match text {
        "auto" => Some(IcmpSocket::Auto),
        "raw" => Some(IcmpSocket::Raw),
        "datagram" => Some(IcmpSocket::Datagram),
        _ => None,
    })
}

fn read_round(at: &At<'_>, form: Form) -> RoundLayer {
    let mut round = RoundLayer { place: Some(place(at)), ..RoundLayer::default() };
    let Some(fields) = at.fields(&["interval", "packets", "timeout"]) else { return round };
    round.interval = fields.get("interval").and_then(|at| at.duration(SHORTEST_INTERVAL, LONGEST_INTERVAL));
    round.packets = read_packets(&fields);
    let interval = round.interval.unwrap_or(RoundConfig::default().interval);
    let longest = match form {
        Form::Whole => interval,
        Form::Part => round.interval.unwrap_or(LONGEST_INTERVAL),
    };
    round.timeout = read_timeout(&fields, longest);
    round
}

/// `packets` of a round or a target.
fn read_packets(fields: &Fields<'_>) -> Option<u32> {
    fields.get("packets")?.whole(1, MOST_PACKETS).and_then(|packets| u32::try_from(packets).ok())
}

/// `timeout` of a round or a target: not over the interval, so that at most two rounds are under way at once.
fn read_timeout(fields: &Fields<'_>, longest: Duration) -> Option<Duration> {
    fields.get("timeout")?.duration(SHORTEST_TIMEOUT, longest)
}

fn read_links(at: &At<'_>, form: Form, longest_timeout: Duration) -> Option<Vec<LinkLayer>> {
    let items = at.items("links")?;
    if (form == Form::Whole && items.is_empty()) || items.len() > MOST_LINKS {
        let remedy = match form {
            Form::Whole => "leave “links” out to probe gateway, collector and Internet",
            Form::Part => "divide them among several agents",
        };
        at.wrong(format!("1 to {MOST_LINKS} links"), remedy);
    }
    let mut names = BTreeSet::new();
    Some(items.iter().filter_map(|item| read_link(item, form, longest_timeout, &mut names)).collect())
}

fn read_link(
    at: &At<'_>,
    form: Form,
    longest_timeout: Duration,
    names: &mut BTreeSet<LinkName>,
) -> Option<LinkLayer> {
    let known: &[&str] = match form {
        Form::Whole => &["name", "interface", "source", "c1", "rtt_limit", "targets"],
        Form::Part => &["name", "interface", "source", "c1", "rtt_limit", "targets", "remove"],
    };
    let fields = at.fields(known)?;
    let name_at = fields.need_with("name", NAME, "name the link");
    let name = name_at.as_ref().and_then(read_name);
    if let (Some(at), Some(name)) = (&name_at, &name)
        && !names.insert(name.clone())
    {
        at.wrong("every link once", "give it another suffix, or move its targets to the first one");
    }
    let remove = read_remove(&fields);
    let interface = fields.get("interface").and_then(|at| read_interface(&at));
    let source = fields.get("source").and_then(|at| read_source(&at));
    let c1 = fields.get("c1").and_then(|at| at.share("0.20 is ITU-T Y.1540's value"));
    let rtt_limit =
        fields.get("rtt_limit").and_then(|at| at.duration(Duration::from_millis(1), Duration::from_secs(60)));
    // What cannot be read is said; an empty list in its place is not said again.
    let targets = match (fields.has("targets"), form) {
        (false, Form::Part) => None,
        (true, Form::Part) | (_, Form::Whole) => {
            Some(target_items(&fields).iter().filter_map(|item| read_target(item, longest_timeout)).collect())
        }
    };
    let place = Some(place(at));
    Some(LinkLayer { name: name?, remove, interface, source, c1, rtt_limit, targets, place })
}

fn read_remove(fields: &Fields<'_>) -> bool {
    let truth = |text: &str| (text == "true").then_some(());
    let Some(at) = fields.get("remove") else { return false };
    let remove = at.truth().filter(|remove| *remove).or_else(|| at.peek().and_then(truth).map(|()| true));
    if remove.is_none() {
        at.wrong("true", "write “remove: true”, or leave it out");
        return false;
    }
    let others = ["interface", "source", "c1", "rtt_limit", "targets"];
    if let Some(other) = others.iter().find(|key| fields.has(key)) {
        at.wrong_as(
            format!("“remove” beside “{other}”"),
            "nothing but the name of a link that is taken away",
            "remove one of the two",
        );
    }
    true
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

fn read_target(at: &At<'_>, longest_timeout: Duration) -> Option<TargetLayer> {
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
    let timeout = read_timeout(&fields, longest_timeout);
    Some(TargetLayer { probe: probe?, label, about, packets, timeout, place: Some(place(at)) })
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
fn read_url(at: &At<'_>) -> Option<(String, Url)> {
    let expected = "an http:// or https:// URL with a host, without user or fragment";
    let text = at.text(expected)?;
    let parsed = Url::parse(text).ok().filter(|parsed| {
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

fn read_dns(at: &At<'_>, family: Option<Family>) -> Option<ProbeConfig> {
    let fields = at.fields(&["server", "name", "type", "expect_rcode", "expect_answer"])?;
    let server = fields
        .need_with("server", "the name server's address", "add “server: 8.8.8.8”")
        .and_then(|at| read_peer(&at, family, Some(53)));
    let asked = fields.need_with("name", "the name to ask for", "add “name: example.vn”").and_then(|at| {
        let remedy = "write an internationalised name in its “xn--” form";
        at.scalar("a DNS name in ASCII", remedy, |text| is_dns_name(text).then(|| text.to_owned()))
    });
    let record = fields.get("type").and_then(|at| {
        let expected = "a record type such as A, AAAA, MX, TXT";
        at.scalar(expected, "correct it, or leave it out for A", |text| {
            Some(text.to_ascii_uppercase()).filter(|text| RECORD_TYPES.contains(&text.as_str()))
        })
    });
    let rcode = fields.get("expect_rcode").and_then(|at| {
        let known: Vec<&str> = RCODES.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of {}", known.join(", "));
        at.scalar(&expected, "correct it, or leave it out for NOERROR", |text| {
            Some(text.to_ascii_uppercase()).filter(|text| known.contains(&text.as_str()))
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

/// Labels of letters, digits, hyphens and underscores (service names have these), a wildcard's asterisk, or the root.
fn is_dns_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*'))
    };
    text == "." || (labels.len() <= 253 && labels.split('.').all(is_label))
}

fn read_family(at: &At<'_>) -> Option<Family> {
    at.scalar("ipv4 or ipv6", "leave it out for ipv4; an address needs none", |text| match text {
        "ipv4" => Some(Family::V4),
        "ipv6" => Some(Family::V6),
        _ => None,
    })
}
