//! The collector's configuration: one YAML file, read once into types that need no later check.
//!
//! Every key has a default, so an empty file is a valid configuration of a collector on loopback with the three tiers and
//! branches that the plan of a province usually has. `deploy/examples/collector.yaml` shows every key with its default.
//! [`Config::parse`] lists all mistakes of a file at once.

mod parse;
mod plan;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use wan_settings::{CONFIGURATION_BYTES, Mistakes, read_file};
use wan_wire::Limits;

pub use plan::{Branch, BranchId, LocalName, Plan, Tier, TierId};

/// Where the configuration is looked for unless `--config` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/wanwatch/collector.yaml";

/// The whole configuration of a collector.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Address and port of the HTTP server. Default `127.0.0.1:8080`: only this machine can reach it.
    pub listen: SocketAddr,
    /// Folder of the database and the journal. Default `/var/lib/wanwatch`. In a file, a relative path starts at the
    /// folder of that file.
    pub data: PathBuf,
    /// The province's time zone, in which days and months begin. Default `Asia/Ho_Chi_Minh`.
    pub timezone: TimeZone,
    /// Tiers, branches, targets and what counts as connected.
    pub plan: Plan,
    /// What is accepted from agents.
    pub ingest: Ingest,
    /// The durable log of accepted requests.
    pub journal: JournalLimits,
    /// How often evidence is written from memory to the database. Default 10 s: a start replays at most about this much
    /// of the journal.
    pub checkpoint_interval: Duration,
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
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("/var/lib/wanwatch"),
            timezone: parse::zone("Asia/Ho_Chi_Minh").unwrap_or(TimeZone::UTC),
            plan: Plan::default(),
            ingest: Ingest::default(),
            journal: JournalLimits::default(),
            checkpoint_interval: Duration::from_secs(10),
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(35 * 86_400),
            max_future: Duration::from_secs(5 * 60),
            silence_limit: Duration::from_secs(15),
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
    /// Reads the file at `path`. A relative `data` folder is taken from the file's own folder.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        let bytes = read_file(path, CONFIGURATION_BYTES)?;
        let mut config = Self::parse(&file, &bytes)?;
        if let (true, Some(folder)) = (config.data.is_relative(), path.parent()) {
            config.data = folder.join(&config.data);
        }
        Ok(config)
    }

    /// Reads `bytes` as the configuration file called `file`; all mistakes are reported together.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Mistakes> {
        parse::config(file, bytes)
    }

    /// The database file of the embedded store.
    pub fn database(&self) -> PathBuf {
        self.data.join("wanwatch.db")
    }

    /// The journal's folder.
    pub fn journal_dir(&self) -> PathBuf {
        self.data.join("journal")
    }
}
