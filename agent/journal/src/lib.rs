//! A durable log of checked frames in segment files, with named cursors.
//!
//! The collector's ingest journal and the agent's queue are this one log. Payloads are opaque bytes, and
//! those of the collector are chosen by whoever sends requests, so nothing in a payload may be able to pass
//! for a frame.
//!
//! ```no_run
//! use wan_journal::{Item, Journal, Options, Seq};
//! # fn main() -> Result<(), wan_journal::JournalError> {
//! let dir = std::path::Path::new("/var/lib/wan-collector/journal");
//! let (mut journal, recovery) = Journal::open_dir(dir, Options::default())?;
//! journal.append(b"a request as it came")?;
//! journal.append(b"another")?;
//! let durable = journal.sync()?; // one write, one fdatasync; only now may both be acknowledged
//!
//! let mut reader = journal.reader(journal.cursor("ledger").unwrap_or(Seq::FIRST));
//! while let Some(item) = reader.read()? {
//!     match item {
//!         Item::Frame { seq, payload } => println!("{seq}: {} bytes", payload.len()),
//!         Item::Gap(gap) => println!("{gap} cannot be read any more"),
//!     }
//! }
//! journal.set_cursor("ledger", reader.position())?;
//! journal.trim()?;
//! # let _ = (recovery, durable); Ok(())
//! # }
//! ```
//!
//! # On the disk
//!
//! ```text
//! journal/
//! ├── lock                                                  flock(2)ed by the one writer
//! ├── 00000012-00000000000000001234-9f86d081884c7d65.wj1    a segment: NUMBER-FIRST-SALT.wjVERSION
//! ├── 00000013-00000000000000001310-60303ae22b998861.wj1    the newest one
//! ├── forward.cursor1                                       a cursor: name, sequence number, CRC, as text
//! └── ledger.cursor1
//!
//! segment   ┌───────┬───────┬───────┬─────────────┐
//!           │ frame │ frame │ frame │ zeros ahead │   frames have consecutive sequence numbers from FIRST on
//!           └───────┴───────┴───────┴─────────────┘
//!
//! frame     0       4        8          16            20           24
//!           ┌───────┬────────┬──────────┬─────────────┬────────────┬─────────┐
//!           │ magic │ length │ sequence │ payload CRC │ header CRC │ payload │   integers are little endian
//!           └───────┴────────┴──────────┴─────────────┴────────────┴─────────┘
//! ```
//!
//! Both CRCs are CRC-32 (IEEE): that of the header covers the 20 bytes before it and starts from the low half
//! of SALT, that of the payload starts from the high half. What orders, numbers, salts and versions a segment
//! is in its name, none of it in bytes that bad blocks, torn writes or payloads can touch.
//!
//! # What it guarantees, and why
//!
//! **A frame that [`Journal::sync`] covered survives `kill -9` and a power cut.** A sync writes the group,
//! calls fdatasync, and after a new segment's first group also syncs the directory. Nothing writes over a
//! durable frame: groups go behind each other, and a segment that was there when the journal was opened is
//! never written to again. This supposes what disks promise: a sector that was being rewritten holds, at each
//! byte, the old or the new.
//!
//! **Damage costs the frames it touches and no other.** Where no valid frame begins, the reader searches byte
//! by byte for the next header whose CRC holds, whose sequence number is above the last one's and below the
//! next segment's FIRST, and whose payload's CRC holds. So a flipped length costs one frame, as does a
//! payload; and as the search goes on right behind the damaged header, not behind the length that it tells,
//! bytes that are missing altogether cost no more either. What is missing is reported as [`Item::Gap`], for
//! sequence numbers have no holes of their own (but see torn tails).
//!
//! **A frame inside a payload is never taken for one.** While its carrier is whole it is not looked at. When
//! its carrier is damaged, it has to meet the 64 bits of salt, which no sender can learn: they never leave
//! the directory, and are new for each segment. One guess succeeds with a chance of 2⁻⁶⁴; 4 MiB of guesses
//! with less than 10⁻¹⁴. A guess of the header's half alone, 2⁻³², only makes the reader check one payload
//! more.
//!
//! **A torn tail costs the torn frame.** After a crash the newest segment ends in whole frames and then in
//! anything: part of a frame, sectors of a group without those before them, zeros. Whole frames are kept,
//! wherever they stand: they were appended once, and a sender that was not answered only sends them again.
//! Nothing is cut off and nothing is appended behind it: a new segment is begun, so a bug in judging a tail
//! can never destroy it. The frames found are synced before they are read, since the process before may have
//! died between write and sync.
//!
//! **A sequence number that was durable is not used again.** A new segment begins above every number that the
//! newest one shows: valid frames, headers of damaged ones, and for bytes that neither explains, as many
//! numbers as there are headers' lengths in them; above every cursor; and above all that a newer version's
//! segment can hold by its length. (Numbers that are passed over so read as a gap.) Only where durable bytes
//! at the end of the newest segment are cut off or zeroed as a whole, and no cursor has passed them, is there
//! nothing left to tell.
//!
//! **A failed write or sync is never taken back.** After it nobody knows what is on the disk: Linux marks the
//! pages clean, and a second fsync succeeds without having written them. So the segment is abandoned with the
//! frames that were durable before, the unsynced ones are written again from memory to a new segment by the
//! next [`Journal::sync`], and the caller has its error and acknowledges nothing. The new segment's FIRST
//! overrides whatever of them the old one shows. One thing remains: a process that starts between such a
//! failure and the next success may read frames, never acknowledged, that only the cache has.
//!
//! **A cursor is the old one or the new one, never a mixture, and never ahead of what was asked for.** It is
//! written beside, synced, renamed and the directory synced. A damaged one starts from the oldest frame and
//! is reported: frames are then read twice, which every user of this crate bears, and none is missed.
//! [`Journal::trim`] makes cursors durable before it removes what they passed.
//!
//! **What is not this version's is left alone**: other files, other versions' segments and cursors are
//! reported in [`Recovery::foreign`], not read, not counted and not removed.
//!
//! # Zeros ahead
//!
//! A sync of a file that grew commits the file system's own journal as well. Where the blocks are already
//! allocated *and* initialised it only writes the data. `fallocate` gives the first but not the second, and
//! is not in the standard library; a preset length gives neither. So [`Options::zero_ahead`] writes zeros
//! behind a group whenever it reaches the end of the last ones. On ext4 with 3 KB writes, the medians of
//! three runs were, in µs: growing 192–249, preset length 162–206, fallocate 151–175, zeros written before
//! 122–141. When both cores are busy with other work, any of them waits about 4 ms to be scheduled again, and
//! only large groups help. The price is twice the bytes written, so an SD card does without. Zeros are no
//! frame, so they are the end.
//!
//! # Reading
//!
//! [`Journal::reader`] reads what is durable, and follows the journal from any thread.
//! [`Reader::open_read_only`] reads the journal of another process without its lock and sees the files as
//! they are: a frame may be there before it is durable. Either holds one window of 64 KiB, or a frame. Before
//! it calls anything damage, a reader reads the file again from the last good frame: it may have seen bytes
//! that were being written.
//!
//! # How it is tested
//!
//! [`Disk`] stands between this crate and the file system. `sim::SimDisk` (feature `testing`) loses, tears
//! and reorders what was not synced, forgets names, fails, and runs full; `tests/model.rs` compares random
//! histories on it with a model, `tests/damage.rs` overwrites and cuts real files, `tests/kill.rs` kills a
//! real process while it writes.

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

pub use disk::{DirDisk, Disk, Entry, ReadAt, WriteAt, keep_unreadable};
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
