//! The collector's configuration: one YAML file, read once into types that need no later check.
//!
//! Every key has a default, so an empty file is a valid configuration of a collector on loopback with the three tiers and
//! branches that the plan of a province usually has. `deploy/examples/collector.yaml` shows every key with its default.
//! [`Config::parse`] lists all mistakes of a file at once.

pub mod alerts;
mod calendar;
mod contracts;
pub mod forward;
mod parse;
mod plan;
pub mod senders;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use wan_settings::{CONFIGURATION_BYTES, Mistakes, read_file};
use wan_wire::api::PathUrl;
use wan_wire::{Limits, SiteId};

use crate::access::user::SessionRules;
use crate::calendar::Calendar;
use crate::server::Network;

pub use alerts::Alerts;
pub use contracts::Contract;
pub use forward::RemoteStore;
pub use plan::{Branch, BranchId, LocalName, Plan, Target, Targets, Tier, TierId};
pub use senders::Sender;

/// Where the configuration is looked for unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/wanwatch/collector.yaml";

/// The whole configuration of a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Addresses and ports of the HTTP server, each once, at least one. Default `127.0.0.1:8080`: only this machine can
    /// reach it.
    pub listen: Vec<SocketAddr>,
    /// By which certificate the addresses that other machines reach speak TLS. Default: one of the collector's own making.
    pub tls: Tls,
    /// How agents reach this collector, preferred first. Default: none, as its listening addresses need not be what they
    /// see.
    pub urls: Vec<PathUrl>,
    /// Folder of the database and the journal. Default `/var/lib/wanwatch`. In a file, a relative path starts at the
    /// folder of that file.
    pub data: PathBuf,
    /// The province's time zone, in which days and months begin. Default `Asia/Ho_Chi_Minh`.
    pub timezone: TimeZone,
    /// Tiers, branches, targets and what counts as connected.
    pub plan: Plan,
    /// Hours of service and holidays. Default: Vietnam's office hours, and no holiday.
    pub calendar: Calendar,
    /// What carriers have promised. Default: nothing.
    pub contracts: Vec<Contract>,
    /// What is watched for, and who is told of it.
    pub alerts: Alerts,
    /// Stores that every accepted sample goes to. Default none.
    pub forward: Vec<Arc<RemoteStore>>,
    /// What is accepted from agents.
    pub ingest: Ingest,
    /// Who else pushes. Default: nobody.
    pub senders: Vec<Sender>,
    /// The durable log of accepted requests.
    pub journal: JournalLimits,
    /// The file that says what agents probe ([`crate::central`]). Default none: each agent's own file says it. In a file, a
    /// relative path starts at the folder of that file.
    pub agents: Option<PathBuf>,
    /// How often evidence is written from memory to the database. Default 10 s: a start replays at most about this much
    /// of the journal.
    pub checkpoint_interval: Duration,
    /// How long a login lasts.
    pub access: SessionRules,
    /// Proxies that are believed when they say for whom they ask. Default none.
    pub proxies: Vec<Network>,
    /// The file that it was read from, if it was.
    pub file: Option<PathBuf>,
}

/// How addresses that other machines reach are secured. Loopback is plain HTTP in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// By a certificate that the collector makes for itself, in its data folder.
    #[default]
    Auto,
    /// By a given certificate.
    Files {
        /// PEM file of the certificate and the chain that leads to its authority.
        certificate: PathBuf,
        /// PEM file of the certificate's private key.
        key: PathBuf,
    },
    /// Not at all: a proxy in front does it.
    Off,
}

/// Limits on what agents may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// Samples older than this are refused by name. Default 35 d: a month of backlog and some days to bring it in.
    pub max_age: Duration,
    /// Samples further in the future than this are refused by name. Default 5 min: clocks set by hand are that wrong.
    pub max_future: Duration,
    /// A link without a new round for this long counts as silent. Default 15 s: three rounds of 5 s.
    pub silence_limit: Duration,
    /// So long another vantage must have seen a site's WAN down, in at least two rounds, for its agent to count as silent as soon as a
    /// push is late ([`crate::verdict`]). Default 4.5 s: two rounds of 2.5 s, however their ends fall.
    pub confirm: Duration,
    /// Largest request body as sent, in bytes. Default 4 MiB.
    pub compressed_limit: usize,
    /// Largest request body after decompression, in bytes. Default 32 MiB.
    pub decompressed_limit: usize,
    /// Requests that may wait for the engine; past it agents are told to come back later (429). Default 4096.
    pub backlog: usize,
}

impl Ingest {
    /// The limits of a request's decoding.
    pub fn limits(&self) -> Limits {
        Limits {
            compressed: self.compressed_limit,
            decompressed: self.decompressed_limit,
            ..Limits::default()
        }
    }
}

/// Size of the journal on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLimits {
    /// Size at which a new segment file begins, in bytes. Default 64 MiB.
    pub segment_bytes: u64,
    /// Most that all segments may take, in bytes; a full journal refuses requests (503). Default 8 GiB.
    pub max_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            tls: Tls::default(),
            urls: Vec::new(),
            data: PathBuf::from("/var/lib/wanwatch"),
            timezone: parse::zone("Asia/Ho_Chi_Minh").unwrap_or(TimeZone::UTC),
            plan: Plan::default(),
            calendar: Calendar::default(),
            contracts: Vec::new(),
            alerts: Alerts::default(),
            forward: Vec::new(),
            ingest: Ingest::default(),
            senders: Vec::new(),
            journal: JournalLimits::default(),
            agents: None,
            checkpoint_interval: Duration::from_secs(10),
            access: SessionRules::default(),
            proxies: Vec::new(),
            file: None,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(35 * 86_400),
            max_future: Duration::from_secs(5 * 60),
            silence_limit: Duration::from_secs(15),
            confirm: Duration::from_millis(4500),
            compressed_limit: 4 << 20,
            decompressed_limit: 32 << 20,
            backlog: 4096,
        }
    }
}

impl Default for JournalLimits {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, max_bytes: 8 << 30 }
    }
}

impl Config {
    /// Reads the file at `path`. Relative paths in it start at the file's own folder.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        let bytes = read_file(path, CONFIGURATION_BYTES)?;
        let mut config = Self::parse(&file, &bytes)?;
        if let Some(folder) = path.parent() {
            // An absolute path replaces what it is joined to.
            config.data = folder.join(&config.data);
            if let Tls::Files { certificate, key } = &mut config.tls {
                (*certificate, *key) = (folder.join(&certificate), folder.join(&key));
            }
        }
        if let (Some(agents), Some(folder)) = (&mut config.agents, path.parent()) {
            // An absolute path stays as it is.
            *agents = folder.join(&agents);
        }
        if let Some(folder) = path.parent() {
            config.alerts.start_at(folder);
            for store in &mut config.forward {
                Arc::make_mut(store).start_at(folder);
            }
        }
        config.file = Some(path.to_owned());
        Ok(config)
    }

    /// Reads `bytes` as the configuration file called `file`; all mistakes are reported together.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Mistakes> {
        parse::config(file, bytes)
    }

    /// Whether a listener at `address` speaks TLS: all do but those on loopback, unless TLS is off.
    pub fn speaks_tls(&self, address: &SocketAddr) -> bool {
        self.tls != Tls::Off && !is_loopback(address)
    }

    /// `URL` or `URL=PATH`, as a command line gives an address of `urls`.
    ///
    /// # Errors
    /// What is expected.
    pub fn parse_url(text: &str) -> Result<PathUrl, String> {
        let found = PathUrl::tagged(text);
        if parse::is_url(&found.url) {
            return Ok(found);
        }
        Err(format!(
            "expected https://ADDRESS:PORT, or with the link by which it is reached, https://ADDRESS:PORT=internet; found {text}"
        ))
    }

    /// The sender of this name.
    pub fn sender(&self, name: &SiteId) -> Option<&Sender> {
        self.senders.iter().find(|sender| sender.name == *name)
    }

    /// The contract of this id.
    pub fn contract(&self, id: &str) -> Option<&Contract> {
        self.contracts.iter().find(|contract| contract.id == id)
    }

    /// Where readers of alerts find the collector's page, without a slash at the end, where that is known.
    pub fn page<'c>(&'c self, alerts: &'c Alerts) -> Option<&'c str> {
        alerts.page.as_deref().or_else(|| self.urls.first().map(|url| url.url.as_str()))
    }

    /// The keys of the file in which two configurations differ, `alerts` left out.
    #[must_use]
    pub fn other_than(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            listen,
            tls,
            urls,
            data,
            timezone,
            plan,
            calendar,
            contracts,
            alerts: _,
            forward,
            ingest,
            senders,
            journal,
            agents,
            checkpoint_interval,
            access,
            proxies,
            file: _,
        } = self;
        let same = [
            ("listen", *listen == other.listen),
            ("tls", *tls == other.tls),
            ("urls", *urls == other.urls),
            ("data", *data == other.data),
            ("timezone", *timezone == other.timezone),
            ("plan", *plan == other.plan),
            ("calendar", *calendar == other.calendar),
            ("contracts", *contracts == other.contracts),
            ("forward", *forward == other.forward),
            ("ingest", *ingest == other.ingest),
            ("senders", *senders == other.senders),
            ("journal", *journal == other.journal),
            ("agents", *agents == other.agents),
            ("checkpoint_interval", *checkpoint_interval == other.checkpoint_interval),
            ("access", *access == other.access && *proxies == other.proxies),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect()
    }

    /// The database file of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.data.join("wanwatch.db")
    }

    /// The folder of the certificate that the collector makes for itself.
    pub fn tls_dir(&self) -> PathBuf {
        self.data.join("tls")
    }

    /// The journal's folder.
    pub fn journal_dir(&self) -> PathBuf {
        self.data.join("journal")
    }
}

/// Whether an address can be reached only from this machine.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
