//! YAML to [`Config`]: each key read on its own, so that every mistake is found.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use wan_settings::{At, Document, Fields, Mistakes};
use wan_wire::api::PathUrl;
use wan_wire::{LinkKind, LinkName};

use super::alerts::alerts;
use super::calendar::calendar;
use super::contracts::contracts;
use super::forward::forward;
use super::senders::senders;
use super::{Branch, Config, Ingest, JournalLimits, LocalName, Plan, Target, Targets, Tier, Tls};
use crate::inventory::parse_day;

const KINDS: &str = "one of lan, wan, internet, service";

pub(super) fn config(file: &str, bytes: &[u8]) -> Result<Config, Mistakes> {
    let document = Document::read(file, bytes)?;
    let config = read(file, &document.root());
    document.finish(config)
}

pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// Reads what can be read; what cannot keeps its default and is noted in the document.
fn read(file: &str, root: &At<'_>) -> Config {
    let mut config = Config::default();
    let keys = [
        "listen",
        "tls",
        "urls",
        "data",
        "timezone",
        "plan",
        "ingest",
        "journal",
        "checkpoint_interval",
        "agents",
        "access",
        "calendar",
        "contracts",
        "alerts",
        "forward",
        "senders",
    ];
    let Some(fields) = root.fields(&keys) else { return config };
    set(&mut config.listen, &fields, "listen", listen);
    set(&mut config.tls, &fields, "tls", tls);
    set(&mut config.urls, &fields, "urls", urls);
    set(&mut config.data, &fields, "data", |at| path(at, "a folder such as /var/lib/wanwatch"));
    set(&mut config.timezone, &fields, "timezone", |at| {
        at.scalar("an IANA time zone such as Asia/Ho_Chi_Minh", "see the list of tz database zones", zone)
    });
    set(&mut config.checkpoint_interval, &fields, "checkpoint_interval", |at| {
        at.duration(Duration::from_secs(1), Duration::from_secs(3600))
    });
    config.agents = fields.get("agents").and_then(|at| path(&at, "a file such as agents.yaml"));
    if let Some(at) = fields.get("ingest") {
        ingest(&at, &mut config.ingest);
    }
    if let Some(at) = fields.get("journal") {
        journal(&at, &mut config.journal);
    }
    if let Some(at) = fields.get("access") {
        access(&at, &mut config);
    }
    if let Some(at) = fields.get("plan") {
        plan(&at, &mut config.plan);
    }
    set(&mut config.calendar, &fields, "calendar", calendar);
    set(&mut config.contracts, &fields, "contracts", contracts);
    set(&mut config.forward, &fields, "forward", forward);
    set(&mut config.senders, &fields, "senders", |at| senders(at, &config.plan));
    // Last: it names tiers and branches of the plan.
    set(&mut config.alerts, &fields, "alerts", |at| alerts(at, file, &config.plan));
    config
}

/// One address, or a list of them.
fn listen(at: &At<'_>) -> Option<Vec<SocketAddr>> {
    let address = |at: &At<'_>| {
        at.scalar(
            "an IP address and port such as 127.0.0.1:8080",
            "write [::]:8443 or 0.0.0.0:8443 to listen on every address",
            |text| text.parse().ok(),
        )
    };
    if !at.is_list() {
        return address(at).map(|address| vec![address]);
    }
    let mut found = Vec::new();
    for item in at.items("addresses")? {
        let Some(address) = address(&item) else { continue };
        if found.contains(&address) {
            item.wrong("every address once", "remove the repeated one");
        }
        found.push(address);
    }
    not_empty(at, found)
}

/// `auto`, `off`, or the files of a certificate.
fn tls(at: &At<'_>) -> Option<Tls> {
    if at.is_map() {
        let fields = at.fields(&["certificate", "key"])?;
        let file = |key: &str, what: &str| fields.need(key, what).and_then(|at| path(&at, what));
        let certificate = file("certificate", "the PEM file of the certificate and its chain");
        let key = file("key", "the PEM file of the certificate's private key");
        return Some(Tls::Files { certificate: certificate?, key: key? });
    }
    let expected = "auto, off, or a mapping of certificate and key";
    at.scalar(expected, "write {certificate: FILE, key: FILE} to use a certificate that you have", |text| {
        match text {
            "auto" => Some(Tls::Auto),
            "off" => Some(Tls::Off),
            _ => None,
        }
    })
}

fn urls(at: &At<'_>) -> Option<Vec<PathUrl>> {
    let mut found: Vec<PathUrl> = Vec::new();
    for item in at.items("“url: …”")? {
        let Some(fields) = item.fields(&["url", "path"]) else { continue };
        let expected =
            "https://HOST:PORT, or http:// for a collector without TLS, without user, query or fragment";
        let remedy = "write it as in “https://10.0.0.1:8443”";
        let url = fields.need("url", expected).and_then(|at| url(&at, expected, "a URL with a user", remedy));
        let name = "lan, wan, internet or service, alone or with a suffix as in “wan-vnpt”";
        let path = match fields.get("path") {
            Some(at) => at.scalar(name, "use small letters, digits and hyphens", |text| text.parse().ok()),
            None => Some(LinkName::from(LinkKind::Wan)),
        };
        let (Some(url), Some(path)) = (url, path) else { continue };
        let url = url.trim_end_matches('/').to_owned();
        if found.iter().any(|known| known.url == url) {
            item.wrong_as(format!("the URL “{url}” twice"), "every URL once", "remove the repeated one");
        }
        found.push(PathUrl { url, path: path.to_string() });
    }
    Some(found)
}

pub(super) fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<http::Uri>() else { return false };
    let host = url.authority().is_some_and(|authority| {
        !authority.host().is_empty()
            && !authority.as_str().contains('@')
            && !authority.as_str().ends_with(':')
    });
    matches!(url.scheme_str(), Some("http" | "https")) && host && url.query().is_none() && !text.contains('#')
}

/// An address that may be shown; `expected` and `remedy` are told where it is none.
pub(super) fn url(at: &At<'_>, expected: &str, with_user: &str, remedy: &str) -> Option<String> {
    let text = at.text(expected)?;
    if is_url(text) {
        return Some(text.to_owned());
    }
    if text.contains('@') {
        // A password has no place in a log.
        at.wrong_as(with_user, expected, "remove what stands before the “@”");
    } else {
        at.wrong(expected, remedy);
    }
    None
}

/// True or false; `remedy` is told where it is neither.
pub(super) fn truth(at: &At<'_>, remedy: &str) -> Option<bool> {
    let truth = at.truth();
    if truth.is_none() {
        at.wrong("true or false", remedy);
    }
    truth
}

pub(super) fn path(at: &At<'_>, expected: &str) -> Option<PathBuf> {
    let text = at.text(expected)?;
    if text.is_empty() || text.contains('\0') {
        at.wrong(expected, "");
        return None;
    }
    Some(PathBuf::from(text))
}

fn ingest(at: &At<'_>, ingest: &mut Ingest) {
    let keys = [
        "max_age",
        "max_future",
        "silence_limit",
        "confirm",
        "compressed_limit",
        "decompressed_limit",
        "backlog",
    ];
    let Some(fields) = at.fields(&keys) else { return };
    let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
    set(&mut ingest.max_age, &fields, "max_age", |at| at.duration(second * 60, day * 3660));
    set(&mut ingest.max_future, &fields, "max_future", |at| at.duration(Duration::ZERO, day));
    set(&mut ingest.silence_limit, &fields, "silence_limit", |at| at.duration(second, day));
    set(&mut ingest.confirm, &fields, "confirm", |at| at.duration(second / 2, day));
    set(&mut ingest.compressed_limit, &fields, "compressed_limit", body_limit);
    set(&mut ingest.decompressed_limit, &fields, "decompressed_limit", body_limit);
    set(&mut ingest.backlog, &fields, "backlog", |at| {
        at.whole(1, 1_000_000).and_then(|most| usize::try_from(most).ok())
    });
    if ingest.decompressed_limit < ingest.compressed_limit
        && let Some(at) = fields.get("decompressed_limit").or_else(|| fields.get("compressed_limit"))
    {
        at.wrong("a decompressed_limit not below compressed_limit", "raise decompressed_limit");
    }
}

fn journal(at: &At<'_>, journal: &mut JournalLimits) {
    let Some(fields) = at.fields(&["segment", "limit"]) else { return };
    set(&mut journal.segment_bytes, &fields, "segment", |at| at.size(1 << 20, 1 << 30));
    set(&mut journal.max_bytes, &fields, "limit", |at| at.size(16 << 20, 1 << 44));
    if journal.max_bytes < 2 * journal.segment_bytes
        && let Some(at) = fields.get("limit").or_else(|| fields.get("segment"))
    {
        at.wrong("a limit of at least two segments", "raise journal.limit or lower journal.segment");
    }
}

fn access(at: &At<'_>, config: &mut Config) {
    let Some(fields) = at.fields(&["idle_limit", "session_limit", "proxies"]) else { return };
    let (second, year) = (Duration::from_secs(1), Duration::from_secs(366 * 86_400));
    set(&mut config.proxies, &fields, "proxies", |at| {
        let network = |at: &At<'_>| {
            at.scalar(
                "an IP address such as 10.0.0.5, or a network such as 10.0.0.0/24",
                "name the proxy by its address",
                |text| text.parse().ok(),
            )
        };
        Some(at.items("addresses")?.iter().filter_map(network).collect())
    });
    let rules = &mut config.access;
    set(&mut rules.idle, &fields, "idle_limit", |at| at.duration(second, year));
    set(&mut rules.absolute, &fields, "session_limit", |at| at.duration(second, year));
}

fn plan(at: &At<'_>, plan: &mut Plan) {
    let Some(fields) = at.fields(&["tiers", "branches", "required", "c1", "rtt_limit"]) else { return };
    set(&mut plan.tiers, &fields, "tiers", tiers);
    set(&mut plan.branches, &fields, "branches", branches);
    set(&mut plan.required, &fields, "required", |at| {
        let items = at.items("kinds of link")?;
        let found: Option<_> = items.iter().map(kind).collect();
        if items.is_empty() {
            at.wrong("at least one kind of link", "write [lan, wan, internet]");
            return None;
        }
        found
    });
    set(&mut plan.c1, &fields, "c1", |at| at.share("0.20 is ITU-T Y.1540's value"));
    set(&mut plan.rtt_limit, &fields, "rtt_limit", |at| {
        let mut limits = std::collections::BTreeMap::new();
        for (key, value) in at.entries("a kind of link and a duration each")? {
            let Ok(kind) = LinkKind::from_str(key) else {
                value.wrong_as(format!("the kind “{key}”"), KINDS, "");
                continue;
            };
            if let Some(limit) = value.duration(Duration::from_millis(1), Duration::from_secs(60)) {
                limits.insert(kind, limit);
            }
        }
        Some(limits)
    });
}

fn tiers(at: &At<'_>) -> Option<Vec<Tier>> {
    let mut tiers: Vec<Tier> = Vec::new();
    for item in at.items("tiers")? {
        let Some(fields) = item.fields(&["id", "name", "target"]) else { continue };
        let id = fields.need("id", "the tier's id").and_then(|at| id(&at));
        let name = fields.need("name", "the tier's name").and_then(|at| local_name(&at));
        let target = fields.get("target").and_then(|at| targets(&at)).unwrap_or_default();
        if let (Some(id), Some(name)) = (id, name) {
            if tiers.iter().any(|tier| tier.id == id) {
                item.wrong_as(
                    format!("the tier “{id}” twice"),
                    "each id once",
                    "rename or remove one of them",
                );
            }
            tiers.push(Tier { id, name, target });
        }
    }
    not_empty(at, tiers)
}

/// A share, or a list of `{from: DAY, target: SHARE}`.
fn targets(at: &At<'_>) -> Option<Targets> {
    const REMEDY: &str = "write 70% or 0.7";
    if !at.is_list() {
        return at.share(REMEDY).map(Targets::always);
    }
    let mut found: Vec<Target> = Vec::new();
    for item in at.items("“from: DAY” and “target: SHARE”")? {
        let Some(fields) = item.fields(&["from", "target"]) else { continue };
        let from = fields.need("from", "the first day of the target").and_then(|at| {
            at.scalar(
                "a day that exists, as 2026-01-01 or 1/1/2026",
                "write year-month-day, or day/month/year",
                parse_day,
            )
        });
        let share = fields.need("target", "a share such as 70%").and_then(|at| at.share(REMEDY));
        let (Some(from), Some(share)) = (from, share) else { continue };
        if found.iter().any(|known| known.from == Some(from)) {
            item.wrong_as(format!("{from} again"), "one target for each day", "remove one of them");
            continue;
        }
        found.push(Target { from: Some(from), share });
    }
    not_empty(at, found).and_then(Targets::dated)
}

fn branches(at: &At<'_>) -> Option<Vec<Branch>> {
    let mut branches: Vec<Branch> = Vec::new();
    for item in at.items("branches")? {
        let Some(fields) = item.fields(&["id", "name"]) else { continue };
        let id = fields.need("id", "the branch's id").and_then(|at| id(&at));
        let name = fields.need("name", "the branch's name").and_then(|at| local_name(&at));
        if let (Some(id), Some(name)) = (id, name) {
            if branches.iter().any(|branch| branch.id == id) {
                item.wrong_as(
                    format!("the branch “{id}” twice"),
                    "each id once",
                    "rename or remove one of them",
                );
            }
            branches.push(Branch { id, name });
        }
    }
    not_empty(at, branches)
}

fn not_empty<T>(at: &At<'_>, items: Vec<T>) -> Option<Vec<T>> {
    if at.items("").is_some_and(|found| found.is_empty()) {
        at.wrong("at least one", "remove the key to have the default");
        return None;
    }
    Some(items)
}

fn id<T: FromStr>(at: &At<'_>) -> Option<T> {
    let expected = "1 to 32 lower-case letters, digits, “-” or “_”";
    at.scalar(expected, "write for example “commune”", |text| text.parse().ok())
}

/// `name: Xã` for both languages, or `name: {vi: Xã, en: Commune}`.
pub(super) fn local_name(at: &At<'_>) -> Option<LocalName> {
    if !at.is_map() {
        let name = label(at)?;
        return Some(LocalName { vi: name.clone(), en: name });
    }
    let fields = at.fields(&["vi", "en"])?;
    let vi = fields.need("vi", "the Vietnamese name").and_then(|at| label(&at));
    let en = fields.get("en").map_or_else(|| vi.clone(), |at| label(&at));
    Some(LocalName { vi: vi?, en: en? })
}

pub(super) fn label(at: &At<'_>) -> Option<String> {
    let text = at.text("a name, or {vi: …, en: …}")?.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        at.wrong("a name without control characters", "");
        return None;
    }
    Some(text.to_owned())
}

pub(super) fn kind(at: &At<'_>) -> Option<LinkKind> {
    at.scalar(KINDS, "", |text| text.parse().ok())
}

fn body_limit(at: &At<'_>) -> Option<usize> {
    at.size(1 << 16, 1 << 30).and_then(|bytes| usize::try_from(bytes).ok())
}

/// Replaces a default by what the file says, if it says something that can be read.
pub(super) fn set<T>(slot: &mut T, fields: &Fields<'_>, key: &str, read: impl FnOnce(&At<'_>) -> Option<T>) {
    if let Some(value) = fields.get(key).and_then(|at| read(&at)) {
        *slot = value;
    }
}
