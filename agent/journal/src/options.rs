//! How a journal is set up, and what opening one found.

use crate::error::JournalError;
use crate::frame::PAYLOAD_CEILING;
use crate::{Seq, SeqRange};

/// What happens to an append when the journal is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullPolicy {
    /// It is refused with [`JournalError::Full`]: nothing that is kept may be lost (the collector's ingest
    /// journal).
    Refuse,
    /// The oldest segments go, and [`Journal::take_dropped`](crate::Journal::take_dropped) says which frames
    /// went with them: the present matters more than the distant past (the agent's queue).
    DropOldest,
}

/// How a journal is set up. The limits may differ from one opening to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A segment is closed by the sync that makes it this long, in bytes. Trimming and dropping work on whole
    /// segments.
    pub segment_bytes: u64,
    /// All segments together take no more than this, in bytes, unsynced frames included.
    pub max_bytes: u64,
    /// What happens past `max_bytes`.
    pub full: FullPolicy,
    /// The longest payload, in bytes. A frame in the files that is longer than this is not read.
    pub max_payload: u32,
    /// The most that may wait for a sync, in bytes of memory.
    pub max_unsynced: u64,
    /// How far ahead the active segment is filled with zeros, in bytes; 0 for not at all.
    ///
    /// Where the file's blocks exist and are initialised already, a sync has only data to write; where the
    /// file grows, it commits the file system's own journal too, which costs as much again. Zeros double the
    /// bytes that are written, so this is for a server's disk; on an SD card leave it 0.
    pub zero_ahead: u64,
}

impl Default for Options {
    /// 64 MiB segments, 4 GiB in all, refusing; payloads up to 4 MiB (a whole compressed request), 64 MiB
    /// unsynced; zeros 1 MiB ahead.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_bytes: 4 << 30,
            full: FullPolicy::Refuse,
            max_payload: 4 << 20,
            max_unsynced: 64 << 20,
            zero_ahead: 1 << 20,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), JournalError> {
        // A sequence number in a segment is within 2^32 of its first because a segment is not longer than
        // this.
        const SEGMENT_CEILING: u64 = 1 << 30;
        let within = |option, found, low: u64, high: u64| {
            if (low..=high).contains(&found) {
                return Ok(());
            }
            Err(JournalError::Option { option, found, expected: format!("{low} to {high}") })
        };
        within("segment_bytes", self.segment_bytes, 1, SEGMENT_CEILING)?;
        within("max_bytes", self.max_bytes, self.segment_bytes.saturating_mul(2), u64::MAX)?;
        within("max_payload", self.max_payload.into(), 1, PAYLOAD_CEILING.into())?;
        let frame = u64::from(self.max_payload) + crate::HEADER_LEN as u64;
        within("max_unsynced", self.max_unsynced, frame, SEGMENT_CEILING)?;
        within("zero_ahead", self.zero_ahead, 0, self.segment_bytes)
    }
}

/// What opening a journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Recovery {
    /// The first sequence number of the oldest segment; equal to `next` when there is none.
    pub oldest: Seq,
    /// The sequence number that the next append will have.
    pub next: Seq,
    /// Segment files found.
    pub segments: usize,
    /// Bytes behind the last valid frame of the last segment that are no whole frame: a torn write, or
    /// damage. They are left where they are, and nothing is appended to that segment any more.
    pub torn_bytes: u64,
    /// Sequence numbers that frames in the torn bytes may have had, and which are therefore not used again.
    pub torn: Option<SeqRange>,
    /// Cursors whose file was damaged: they start again from the oldest frame.
    pub damaged_cursors: Vec<String>,
    /// Files that are not this format version's: newer or older segments, and what others put there. They are
    /// left alone.
    pub foreign: Vec<String>,
}
