//! A durable log of checked frames in segment files, with named cursors.

mod cursor;
mod disk;
mod error;
mod frame;
mod journal;
mod options;
mod reader;
mod segment;
#[cfg(feature = "testing")]
pub mod sim;

pub use disk::{DirDisk, Disk, Entry, ReadAt, WriteAt};
pub use error::JournalError;
pub use frame::{HEADER_LEN, PAYLOAD_CEILING};
pub use journal::{Journal, Trimmed};
pub use options::{FullPolicy, Options, Recovery};
pub use reader::{Item, Reader};

use std::fmt;

/// The number of a frame: the first is 1, and each is one more than the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first frame.
    pub const NONE: Self = Self(0);
    /// The first frame.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; [`Seq::NONE`] has itself.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Sequence numbers from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub from: Seq,
    /// The last.
    pub to: Seq,
}

impl SeqRange {
    /// How many they are.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.to.0 + 1).saturating_sub(self.from.0)
    }

    /// `[from, end)`; `None` when that is empty.
    pub(crate) fn between(from: Seq, end: Seq) -> Option<Self> {
        (from < end).then(|| Self { from, to: end.previous() })
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}
