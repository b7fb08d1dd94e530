//! Reading frames in order, within bounded memory, beside the writer or from another process.

use crate::disk::{DirDisk, Disk};
use crate::error::{Context, JournalError};
use crate::segment::{Scan, SegmentName, segments};
use crate::{PAYLOAD_CEILING, Seq, SeqRange};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`Reader`] comes to next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'r> {
    /// A frame, bit for bit as it was appended.
    Frame {
        /// Its sequence number.
        seq: Seq,
        /// Its payload.
        payload: &'r [u8],
    },
    /// No readable frame has these sequence numbers: they were damaged, dropped or trimmed, or never became
    /// durable.
    Gap(SeqRange),
}

/// Reads the frames of a journal in order, each once.
///
/// Holds one file open and one window of it: 64 KiB, or a frame when that is longer.
#[derive(Debug)]
pub struct Reader<D: Disk = DirDisk> {
    disk: D,
    max_payload: u32,
    next: Seq,
    /// Told by the writer in this process; `None` when reading another's journal.
    progress: Option<Arc<Progress>>,
    /// [`Progress::begun`] when the segments were last listed.
    begun: u64,
    /// As last listed; what the writer has added since is found when these are read through.
    segments: Vec<SegmentName>,
    scan: Option<Scan<D::Source>>,
}

/// What a writer tells the readers in its process.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The last durable sequence number.
    pub(crate) durable: AtomicU64,
    /// Counts the segments that have durable frames; stored before `durable`. Such a segment may supersede
    /// what lies at the end of the one before it, after a failed sync, so a reader must know of it before it
    /// reads on.
    pub(crate) begun: AtomicU64,
}

impl Reader<DirDisk> {
    /// Reads a journal that another process may be writing, without its lock and without changing anything.
    ///
    /// A partial frame at the end is the end for now. Frames may be seen before they are durable; after a
    /// power cut such frames may be gone and their sequence numbers used again for others.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn open_read_only(dir: &Path, from: Seq) -> Result<Self, JournalError> {
        Self::on(DirDisk::at(dir), from)
    }
}

impl<D: Disk> Reader<D> {
    /// [`Reader::open_read_only`] on any [`Disk`].
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn on(disk: D, from: Seq) -> Result<Self, JournalError> {
        let mut reader = Self::new(disk, from, PAYLOAD_CEILING, None);
        reader.refresh()?;
        Ok(reader)
    }

    pub(crate) fn new(disk: D, from: Seq, max_payload: u32, progress: Option<Arc<Progress>>) -> Self {
        let next = from.max(Seq::FIRST);
        Self { disk, max_payload, next, progress, begun: 0, segments: Vec::new(), scan: None }
    }

    /// Another reader of the same journal, from `from` on: it ends where this one does.
    #[must_use]
    pub fn another(&self, from: Seq) -> Self {
        Self::new(self.disk.clone(), from, self.max_payload, self.progress.clone())
    }

    /// The sequence number that the next item begins with.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.next
    }

    /// The next frame or gap; `None` at the end for now: call again when there may be more.
    ///
    /// A reader from [`Journal::reader`](crate::Journal::reader) ends at the last durable frame, and asks no
    /// file when it is there already.
    ///
    /// # Errors
    /// A file cannot be opened or read; the next call tries again. Damage is no error but a [`Item::Gap`].
    pub fn read(&mut self) -> Result<Option<Item<'_>>, JournalError> {
        let mut end = None;
        if let Some(progress) = &self.progress {
            let durable = Seq(progress.durable.load(Ordering::Acquire));
            if self.next > durable {
                return Ok(None);
            }
            end = Some(durable);
            let begun = progress.begun.load(Ordering::Acquire);
            if begun != self.begun {
                self.refresh()?;
                self.begun = begun;
            }
        }
        loop {
            if self.scan.is_none() && !self.select()? {
                return Ok(self.finish(end));
            }
            let following = self.following();
            let before = match (following.map(|name| name.first), end) {
                (Some(first), Some(end)) => Some(first.min(end.next())),
                (first, end) => first.or(end.map(Seq::next)),
            };
            let Some(scan) = self.scan.as_mut() else { continue };
            let name = *scan.name();
            let found = scan.find(self.next, before).context("read", || self.disk.path(&name.file_name()))?;
            if let Some(found) = found {
                if found.seq() > self.next {
                    let gap = SeqRange { from: self.next, to: found.seq().previous() };
                    self.next = found.seq();
                    return Ok(Some(Item::Gap(gap)));
                }
                self.next = found.seq().next();
                return self.payload(found);
            }
            if let Some(following) = following {
                self.open(following)?;
            } else {
                self.refresh()?;
                // A segment that was begun meanwhile bounds this one, which may itself have grown before
                // that: read on here.
                if self.following().is_none() {
                    return Ok(self.finish(end));
                }
            }
        }
    }

    fn payload(&mut self, found: crate::segment::Found) -> Result<Option<Item<'_>>, JournalError> {
        let Some(scan) = self.scan.as_mut() else { return Ok(None) };
        let name = *scan.name();
        let payload = scan.payload(&found).context("read", || self.disk.path(&name.file_name()))?;
        Ok(Some(Item::Frame { seq: found.seq(), payload }))
    }

    /// At the end of the last segment: whatever was promised and is not there is gone.
    fn finish(&mut self, end: Option<Seq>) -> Option<Item<'static>> {
        let end = end.or_else(|| self.scan.as_ref().map(|scan| scan.name().first.previous()))?;
        if self.next > end {
            return None;
        }
        let gap = SeqRange { from: self.next, to: end };
        self.next = end.next();
        Some(Item::Gap(gap))
    }

    /// The segment after the one being read.
    fn following(&self) -> Option<SegmentName> {
        let current = self.scan.as_ref()?.name().number;
        self.segments.iter().find(|name| name.number > current).copied()
    }

    /// Opens the segment that has, or would have, the next frame. `false` when there is no segment at all.
    fn select(&mut self) -> Result<bool, JournalError> {
        self.refresh()?;
        // Of several that begin with the same number, the last: it superseded the others.
        let holding = self.segments.iter().rev().find(|name| name.first <= self.next);
        let Some(name) = holding.or(self.segments.first()).copied() else { return Ok(false) };
        self.open(name)?;
        Ok(true)
    }

    fn open(&mut self, name: SegmentName) -> Result<(), JournalError> {
        let file = name.file_name();
        match self.disk.open(&file) {
            Ok(source) => self.scan = Some(Scan::new(source, name, self.max_payload)),
            // Trimmed or dropped since it was listed: the next round of the loop selects from a new list.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.scan = None,
            Err(error) => return Err(error).context("open the segment", || self.disk.path(&file)),
        }
        Ok(())
    }

    fn refresh(&mut self) -> Result<(), JournalError> {
        let entries = self.disk.list().context("list", || self.disk.path(""))?;
        self.segments.clear();
        self.segments.extend(segments(&entries).into_iter().map(|(name, _)| name));
        Ok(())
    }
}
