//! What can go wrong, each with the operation and the path.

use crate::Seq;
use std::io;
use std::path::PathBuf;

/// An operation on a journal failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system refused an operation.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        op: &'static str,
        /// The file or directory it was tried on.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Another process, or another journal of this one, has the directory open for writing.
    #[error(
        "the journal in {} is in use by another process; stop that one, or use another directory",
        dir.display()
    )]
    Locked {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// The journal holds as many bytes as it may; nothing was appended.
    #[error(
        "the journal in {} is full: {used} of {max} bytes, the frame is {needed}; trim it or raise the limit",
        dir.display()
    )]
    Full {
        /// The journal's directory.
        dir: PathBuf,
        /// Bytes in use, unsynced ones included.
        used: u64,
        /// The limit in bytes.
        max: u64,
        /// Bytes the frame would take.
        needed: u64,
    },
    /// Too many bytes wait for a sync; nothing was appended. Sync first (or again, when the last one failed).
    #[error("{waiting} bytes wait for a sync of the journal in {}, the limit is {max}", dir.display())]
    Unsynced {
        /// The journal's directory.
        dir: PathBuf,
        /// Bytes that wait.
        waiting: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The payload is longer than this journal takes; nothing was appended.
    #[error("a payload of {len} bytes is longer than this journal takes ({max} bytes)")]
    TooLong {
        /// Length of the payload in bytes.
        len: usize,
        /// The limit in bytes.
        max: u32,
    },
    /// An option has a value that cannot work.
    #[error("journal option {option}: found {found}, expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        expected: String,
    },
    /// A cursor's name cannot be a file name.
    #[error("cursor name {name:?}: expected 1 to 64 characters of a-z, 0-9 and '-'")]
    CursorName {
        /// The name.
        name: String,
    },
    /// A cursor was to be set past the frames that are durable.
    #[error("cursor {name}: {seq} is past the end of the durable frames, {end}")]
    CursorPastEnd {
        /// The cursor's name.
        name: String,
        /// Where it was to be set.
        seq: Seq,
        /// The furthest it can be set: one past the last durable frame.
        end: Seq,
    },
}

impl JournalError {
    /// The operating system's error, when it was one.
    #[must_use]
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Locked { .. }
            | Self::Full { .. }
            | Self::Unsynced { .. }
            | Self::TooLong { .. }
            | Self::Option { .. }
            | Self::CursorName { .. }
            | Self::CursorPastEnd { .. } => None,
        }
    }
}

/// Names the operation and the path of an [`io::Error`].
pub(crate) trait Context<T> {
    fn context(self, op: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, JournalError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, op: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io { op, path: path(), source })
    }
}
