//! Quality: how well a link carried packets, by minute, hour and any longer window. Loss, round-trip times, jitter, and what a
//! call over it would sound like.
//!
//! ```text
//!  journal ──► engine's own cursor ─► evidence
//!     │
//!     └──────► this module's cursor: [`follow`] reads the records again, a second or so later
//!                 │  rounds by target and hour, at most a minute or 200,000 of them
//!                 ▼
//!              store: hour with minutes (14 d) ─► the same without (as long as rounds of it may come) ─► day of hours (3 y)
//! ```
//!
//! # What a round becomes
//!
//! - A *stream* is one target of a link as one vantage's agent probes it: its rounds do not overlap. Its figures are kept apart.
//! - A round's figures are a [`bucket::Bucket`]: whole numbers that add up. It counts in the minute and second in which it ends
//!   ([`hour::Place`]); a bit for each second says which rounds a minute holds.
//! - So **what is stored is a function of the set of rounds**: not of their order, of how often one came, nor of where the work was
//!   interrupted. The hour's figures are the sum of its minutes, made anew whenever one of them changes.
//! - Left out, and counted by reason: rounds shorter than [`bucket::SHORTEST_ROUND_MS`] (two could end in one second), of more than
//!   [`MAX_TARGETS`] targets of a link, and of hours that are long closed. Rounds whose instrument failed measured nothing.
//!
//! # Exactly once
//!
//! The journal's position is written with the last part of what it led to. After `kill -9` the records behind it are read
//! again, and a round that is in the store already changes nothing. The journal's cursor moves only after that.
//!
//! # It never holds up a push
//!
//! It has a thread of its own, works in slices of some milliseconds and rests as long after each, so that behind a long stop it
//! catches up with at most half a core. It holds at most [`follow::MOST_PENDING`] rounds. If it falls so far behind that the
//! journal is half full because of it, the engine lets the oldest segments go all the same: what was in them is evidence
//! and stays so, but is missing from these figures; that is counted (`wan_collector_quality_missed_requests_total`) and logged.
//!
//! # A link's figures
//!
//! The site's own agent is believed first: where it measured anything in the window, only its streams count, else those of all
//! other vantages. Of several targets of a link, packets are added up; a target that answered nothing in a step (minute or hour) in
//! which another one of the link answered is left out of that step, since it is the target that is down and not the link: the
//! same rule by which evidence calls a link up when any target answers.
//!
//! [`read`] tells one site's figures over any window; [`sweep`] those of all links over whole hours, for a report; [`recent`] those of the last
//! minutes, for alerts.
//!
//! # What it takes
//!
//! With a round of five packets each five seconds, a minute of a link takes some 18 bytes and an hour some 28; in the database, pages
//! that are not full included, an hour of minutes takes 1.5 KB and a day of hours 1 KB. So 300 sites of four links take 600 MB
//! for the minutes of 14 days, 50 MB for which rounds the hours behind them have, and 1.3 GB for the hours of three years.

pub mod bucket;
pub mod codec;
pub mod follow;
pub mod histogram;
pub mod hour;
pub mod mos;
pub mod read;
pub mod recent;
pub mod sweep;

use std::time::Duration;

use wan_wire::{LinkName, ProbeKind, SiteId};
use xxhash_rust::xxh3::xxh3_128;

pub use read::{Quality, of, of_site};

/// Minutes are kept this long.
pub const MINUTES_KEPT: Duration = Duration::from_secs(14 * 86_400);
/// Hours are kept this long: three years.
pub const HOURS_KEPT: Duration = Duration::from_secs(1096 * 86_400);
/// So many targets that a link ever had, as one vantage sees it, have figures. An agent has a few and changes them rarely; a
/// sender that invents targets ends here.
pub const MAX_TARGETS: usize = 256;

/// One target of a link, as one vantage's agent probes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The site that the link belongs to.
    pub site: SiteId,
    /// The link.
    pub link: LinkName,
    /// The site whose agent sent the packets.
    pub vantage: SiteId,
    /// How the target is probed.
    pub probe: ProbeKind,
    /// The target.
    pub target: String,
}

impl Stream {
    /// A hash that tells it from every other one: no part but the last can hold a zero byte.
    pub(crate) fn digest(&self) -> u128 {
        let Self { site, link, vantage, probe, target } = self;
        xxh3_128(format!("{site}\0{vantage}\0{link}\0{probe}\0{target}").as_bytes())
    }
}

/// Number of a stream in the store, 1 to 2³² − 1; stays the same for the store's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// A row of figures: of one stream, in one hour or one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Hours or days since 1970, UTC.
    pub number: i64,
    /// The stream.
    pub stream: StreamId,
}

/// What [`crate::store::Store::write_quality`] makes durable, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Hours with minutes.
    pub minutes: Vec<(RowKey, Vec<u8>)>,
    /// Hours without minutes, each in place of the one with minutes where there is one.
    pub seen: Vec<(RowKey, Vec<u8>)>,
    /// Days of hours.
    pub hours: Vec<(RowKey, Vec<u8>)>,
    /// Sequence number of the first journal record that is not in the figures yet; `None` leaves the stored one.
    pub position: Option<u64>,
}

/// Which rows are read or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Hours with minutes.
    Minutes,
    /// Hours without minutes.
    Seen,
    /// Days of hours.
    Hours,
}
