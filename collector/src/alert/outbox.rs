//! The outbox: notices that are to be delivered, each to one channel, kept until they are. Types; the rows are in
//! [`crate::store`].
//!
//! A notice is written in the transaction of the state that caused it. Its row stays after delivery for [`KEPT`], so that the same notice
//! is never taken in twice.
//!
//! ```text
//!              ┌──────────────► delivered   the receiver confirmed it
//!  pending ────┼──────────────► refused     the receiver never will, or the channel is gone from the configuration
//!     ▲   │    ├──────────────► superseded  its alert is over before it could be told: only the end is
//!     └───┘    └──────────────► expired     for too long nobody could be told, or more wait than may
//!   tried again, later and later
//! ```

use std::time::Duration;

use wan_wire::UnixMillis;

use crate::alert::notice::Notice;
use crate::config::alerts::ChannelName;
pub use crate::outgoing::LONGEST_WAIT;

/// At most so many notices wait; beyond it the oldest are given up, and counted: a day of a province in which everything flaps.
pub const MOST_PENDING: u32 = 100_000;
/// What is done with is kept for as long, against being told twice, and for the history.
pub const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// A notice that is to be tried now.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Its number in the outbox; those of later notices are greater.
    pub number: i64,
    /// The notice.
    pub notice: Notice,
    /// How often it was tried.
    pub attempts: u32,
    /// How many of the channel's recipients are done with it.
    pub progress: u32,
    /// When it came into the outbox.
    pub created: UnixMillis,
    /// What waits behind it of the same alert makes it needless: the end says since when and until when, and of two reminders the later is
    /// enough.
    pub superseded: bool,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has it; or all that could get it have, and why others could not.
    Delivered(Option<String>),
    /// So many of its recipients are done with it.
    Progress(u32),
    /// It is to be tried again then, and why it failed.
    Again(UnixMillis, String),
    /// It will never be accepted, and why.
    Refused(String),
    /// It is needless.
    Superseded,
}

/// How far a notice has come by one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The channel.
    pub channel: ChannelName,
    /// The state's word: pending, delivered, refused, superseded, expired.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was done with.
    pub done: Option<UnixMillis>,
    /// What the last try that failed, or a receiver that could not get it, said.
    pub complaint: Option<String>,
}

impl Progress {
    /// Whether it waits, to be tried for the first time or again.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == "pending"
    }

    /// Whether the receiver confirmed it.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.state == "delivered"
    }
}

/// How many notices of a channel are in each state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The channel.
    pub channel: ChannelName,
    /// The state's word.
    pub state: String,
    /// How many.
    pub count: u64,
}

/// What a channel's waiting notices look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub pending: u64,
    /// When the first of those that may not be tried yet may be.
    pub next: Option<UnixMillis>,
    /// When the newest came into the outbox; `None` where none waits.
    pub newest: Option<UnixMillis>,
}
