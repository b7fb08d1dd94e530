//! The `forward` key: stores that every accepted sample goes to ([`crate::forward`]).

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use wan_settings::{At, Fields, quote};
use wan_wire::{Label, Protocol};

use super::alerts::{Hidden, Login, login, timeout};
use super::parse::{path, set, url};
use crate::forward::coverage::Order;

const URL: &str = "an http:// or https:// address of remote write, without a user in it";
const DAY: Duration = Duration::from_secs(86_400);
/// Most stores: each reads the whole journal for itself.
const MOST_STORES: usize = 8;
/// Most labels that are added.
const MOST_LABELS: usize = 16;

/// One store, and how samples go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteStore {
    /// Its name in metrics, the log, and the journal's cursor: a store with another name is another store.
    pub name: StoreName,
    /// Where it takes remote write.
    pub url: String,
    /// The protocol to speak; `None`: 2.0, and 1.0 where the store's answers say that it does not know that. Default `None`.
    pub protocol: Option<Protocol>,
    /// Which samples go first after an outage. Default the newest.
    pub order: Order,
    /// Where a store begins that is new in the configuration. Default now.
    pub start: Start,
    /// How the collector logs in. Default not at all.
    pub login: Option<Login>,
    /// Further headers.
    pub headers: Vec<(String, Hidden)>,
    /// Labels that every series gets which does not have them, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Further authorities that are trusted, as PEM.
    pub ca_file: Option<std::path::PathBuf>,
    /// How long one request may take. Default 10 s.
    pub timeout: Duration,
    /// Requests at a time, for each of live and backlog. Default 4.
    pub shards: usize,
    /// Most samples of one request. Default 2,000, as Prometheus has it.
    pub samples: usize,
    /// What is older is given up. Default 7 d.
    pub max_age: Duration,
    /// Most bytes of journal that are kept for this store alone; at most half of `journal.limit` in any case. Default 4 GiB.
    pub max_bytes: u64,
}

/// Where a new store begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what is accepted from now on.
    #[default]
    Now,
    /// With the oldest that the journal has.
    Oldest,
}

/// A store's name: 1 to 32 lower-case letters, digits or `-`, so that a cursor can have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName(String);

/// The text is no store's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 32 lower-case letters, digits or “-”")]
pub struct NotAStoreName;

impl StoreName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreName {
    type Err = NotAStoreName;

    fn from_str(text: &str) -> Result<Self, NotAStoreName> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=32).contains(&text.len()) && text.bytes().all(good);
        good.then(|| Self(text.to_owned())).ok_or(NotAStoreName)
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RemoteStore {
    /// A store of this name at this address, everything else as it is by default.
    #[must_use]
    pub fn new(name: StoreName, url: String) -> Self {
        Self {
            name,
            url,
            protocol: None,
            order: Order::default(),
            start: Start::default(),
            login: None,
            headers: Vec::new(),
            labels: Vec::new(),
            ca_file: None,
            timeout: Duration::from_secs(10),
            shards: 4,
            samples: 2000,
            max_age: DAY * 7,
            max_bytes: 4 << 30,
        }
    }

    /// Has every relative path start at `folder`.
    pub(super) fn start_at(&mut self, folder: &Path) {
        let login = self.login.as_mut().and_then(Login::file);
        for path in self.ca_file.as_mut().into_iter().chain(login) {
            // An absolute path replaces what it is joined to.
            *path = folder.join(&*path);
        }
    }
}

/// Reads the key.
pub(super) fn forward(at: &At<'_>) -> Option<Vec<Arc<RemoteStore>>> {
    let mut found: Vec<Arc<RemoteStore>> = Vec::new();
    for item in at.items("stores")? {
        let Some(store) = store(&item) else { continue };
        if found.iter().any(|known| known.name == store.name) {
            let twice = format!("the store “{}” twice", store.name);
            item.wrong_as(twice, "each name once", "rename or remove one of them");
            continue;
        }
        found.push(Arc::new(store));
    }
    if found.len() > MOST_STORES {
        let expected = format!("at most {MOST_STORES}");
        at.wrong_as(format!("{} stores", found.len()), expected, "have one of them pass samples on");
    }
    Some(found)
}

fn store(at: &At<'_>) -> Option<RemoteStore> {
    let keys = [
        "name",
        "url",
        "protocol",
        "order",
        "start",
        "user",
        "password_file",
        "password_env",
        "token_file",
        "token_env",
        "headers",
        "labels",
        "ca_file",
        "timeout",
        "shards",
        "samples",
        "max_age",
        "max_bytes",
    ];
    let fields = at.fields(&keys)?;
    let name = fields.need("name", "a name for metrics and the log").and_then(|at| {
        let expected = "1 to 32 lower-case letters, digits or “-”";
        at.scalar(expected, "write for example “victoria”", |text| text.parse().ok())
    });
    let address = fields.need("url", URL).and_then(|at| {
        let remedy = "write it as in “http://127.0.0.1:8428/api/v1/write”, and logins in user or token_file";
        url(&at, URL, "an address with a user", remedy)
    });
    let login = login(&fields);
    let mut store = RemoteStore::new(name?, address?);
    store.login = login?;
    set(&mut store.protocol, &fields, "protocol", |at| {
        at.scalar("auto, 2.0 or 1.0", "auto finds out which the store speaks", |text| match text {
            "auto" => Some(None),
            // YAML takes 2.0 for a number, and that is written 2.
            "2.0" | "2" => Some(Some(Protocol::V2)),
            "1.0" | "1" => Some(Some(Protocol::V1)),
            _ => None,
        })
    });
    set(&mut store.order, &fields, "order", |at| {
        let remedy = "in_order is for a store that takes no sample older than its newest of the series";
        at.scalar("live_first or in_order", remedy, |text| match text {
            "live_first" => Some(Order::LiveFirst),
            "in_order" => Some(Order::InOrder),
            _ => None,
        })
    });
    set(&mut store.start, &fields, "start", |at| {
        at.scalar("now or oldest", "where a store begins that is new here", |text| match text {
            "now" => Some(Start::Now),
            "oldest" => Some(Start::Oldest),
            _ => None,
        })
    });
    set(&mut store.headers, &fields, "headers", headers);
    set(&mut store.labels, &fields, "labels", labels);
    store.ca_file = fields.get("ca_file").and_then(|at| path(&at, "a PEM file"));
    store.timeout = timeout(&fields, store.timeout)?;
    store.shards = whole(&fields, "shards", 1, 64, store.shards);
    store.samples = whole(&fields, "samples", 1, 100_000, store.samples);
    set(&mut store.max_age, &fields, "max_age", |at| at.duration(Duration::from_secs(60), DAY * 3_660));
    set(&mut store.max_bytes, &fields, "max_bytes", |at| at.size(1 << 20, 1 << 44));
    Some(store)
}

fn whole(fields: &Fields<'_>, key: &str, least: u64, most: u64, usual: usize) -> usize {
    let mut found = usual;
    set(&mut found, fields, key, |at| at.whole(least, most).and_then(|number| usize::try_from(number).ok()));
    found
}

fn headers(at: &At<'_>) -> Option<Vec<(String, Hidden)>> {
    /// What the collector itself says.
    const OWN: [&str; 8] = [
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "expect",
        "x-prometheus-remote-write-version",
    ];
    let mut found = Vec::new();
    for (name, at) in at.entries("a header's name and value each")? {
        let good = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !good || OWN.contains(&name.to_ascii_lowercase().as_str()) {
            let remedy = "the collector itself says Host, Content-Type and what remote write has";
            at.at_key().wrong_as(quote(name), "the name of an HTTP header", remedy);
            continue;
        }
        let value = at.scalar("text on one line", "put it in quotes", |text| {
            http::HeaderValue::from_str(text).is_ok().then(|| text.to_owned())
        });
        found.extend(value.map(|value| (name.to_owned(), Hidden(value))));
    }
    Some(found)
}

fn labels(at: &At<'_>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (name, at) in at.entries("a label's name and value each")? {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let good = first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !good || name.starts_with("__") || name == Label::Site.as_str() {
            let remedy =
                "the collector itself writes site; names that begin with two underscores are Prometheus' own";
            at.at_key().wrong_as(quote(name), "a label's name such as province", remedy);
            continue;
        }
        let value = at.scalar("text", "put it in quotes", |text| (!text.is_empty()).then(|| text.to_owned()));
        found.extend(value.map(|value| (name.to_owned(), value)));
    }
    if found.len() > MOST_LABELS {
        at.wrong_as(format!("{} labels", found.len()), format!("at most {MOST_LABELS}"), "");
    }
    found.sort_unstable();
    Some(found)
}
