//! `wan-agent status`: what the running agent does, and why.
//!
//! The agent answers on a Unix socket in its data folder ([`socket`]), with one JSON document for each connection. Nothing is
//! gathered while nobody asks: a document is made of what the parts remember anyway.

mod board;
mod show;
pub mod socket;

use serde::{Deserialize, Serialize};

pub use board::Board;
pub use show::show;

/// Exit codes of `wan-agent status`.
pub mod exit {
    /// It runs, and the collector has what it measured.
    pub const FINE: u8 = 0;
    /// It runs, but pushes to no collector: none has answered well last.
    pub const NOT_PUSHING: u8 = 1;
    /// A mistake in the configuration or the arguments.
    pub const USAGE: u8 = 2;
    /// No agent runs here.
    pub const NOT_RUNNING: u8 = 3;
}

/// What the agent does. Times are Unix milliseconds of the province's clock as far as the agent knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it was started.
    pub started: i64,
    /// When this was so.
    pub now: i64,
    /// The site that it speaks for, where the collector has told.
    pub site: Option<String>,
    /// Where it pushes to, preferred first.
    pub collector: Vec<PathStatus>,
    /// What it knows of the time.
    pub clock: ClockStatus,
    /// What waits to be pushed.
    pub queue: QueueStatus,
    /// What it probes by.
    pub config: ConfigStatus,
    /// What it probes, and what that last showed.
    pub links: Vec<LinkStatus>,
}

/// One URL of the collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    /// The URL.
    pub url: String,
    /// The link by which it is reached.
    pub path: String,
    /// How the last push by it ended.
    pub state: PathState,
    /// When a push was last delivered by it.
    pub last_success: Option<i64>,
    /// When a push last failed by it.
    pub last_failure: Option<i64>,
    /// And why.
    pub last_error: Option<String>,
}

/// How the last push by a URL ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathState {
    /// Nothing was pushed by it yet.
    #[default]
    Untried,
    /// It was delivered.
    Works,
    /// It was not.
    Fails,
}

/// What the agent knows of the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// Whether the collector has told the time since this host booted.
    pub anchored: bool,
    /// The collector's clock less the host's, in milliseconds.
    pub offset_ms: Option<i64>,
    /// How far from the truth that can be, in milliseconds.
    pub bound_ms: Option<u64>,
}

/// What waits to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Rounds of targets; of those on disk, about so many.
    pub rounds: u64,
    /// The end of the oldest one.
    pub oldest: Option<i64>,
    /// Samples dropped since the start.
    pub dropped_samples: u64,
    /// Rounds that can never be dated, set aside since the start.
    pub undated_rounds: u64,
    /// Whether there is a disk that cannot be used.
    pub disk_failed: bool,
}

/// What the agent probes by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Whether the agent's own file allows a central configuration.
    pub central: bool,
    /// The ETag of the central configuration in force.
    pub etag: Option<String>,
    /// Which sections it has; the others are the agent's own.
    pub sections: Vec<String>,
    /// Since when rounds are made by it.
    pub applied: Option<i64>,
    /// When one was last fetched.
    pub fetched: Option<i64>,
    /// One that was refused since.
    pub refused: Option<RefusedStatus>,
    /// What kept the stored one from being used at the start.
    pub trouble: Option<String>,
    /// What kept the one in force from being stored, so that the next start begins with another.
    pub unkept: Option<String>,
    /// How rounds are made.
    pub round: RoundStatus,
}

/// How rounds are made, and which layers say so: `default`, `local`, or as the collector names them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoundStatus {
    /// A round's length in milliseconds.
    pub interval_ms: u64,
    /// Packets per round and target, unless a target says otherwise.
    pub packets: u32,
    /// How long an answer may take, in milliseconds, unless a target says otherwise.
    pub timeout_ms: u64,
    /// Where that comes from.
    pub origin: String,
    /// Which kind of ICMP socket is used: auto, raw or datagram.
    pub socket: String,
    /// Where that comes from.
    pub socket_origin: String,
}

/// A central configuration that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// Its ETag.
    pub etag: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: i64,
}

/// One link, or what is watched on it of another site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The link.
    pub link: String,
    /// The site that is watched, where it is not the agent's own.
    pub about: Option<String>,
    /// What is probed.
    pub targets: Vec<String>,
    /// Which layers it comes from: `default`, `local`, `all`, `tier commune`, `site`, `register`.
    pub origin: String,
    /// What its last round showed: up, degraded, down or fault; `None` before the first.
    pub outcome: Option<String>,
    /// Since when.
    pub since: Option<i64>,
    /// What there is to say about it.
    pub why: Option<String>,
}

impl Status {
    /// The exit code that says the most about it.
    pub fn exit_code(&self) -> u8 {
        let pushes = self.collector.iter().any(|path| path.state == PathState::Works);
        if pushes { exit::FINE } else { exit::NOT_PUSHING }
    }
}

#[cfg(test)]
mod tests;
