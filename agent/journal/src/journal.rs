//! The one writer of a journal.

use crate::cursor::{Cursors, check_name};
use crate::disk::{DirDisk, Disk, WriteAt, unless_read_only};
use crate::error::{Context, JournalError};
use crate::frame::{self, HEADER_LEN};
use crate::options::{FullPolicy, Options, Recovery};
use crate::reader::{Progress, Reader};
use crate::segment::{Named, Scan, SegmentName, segments};
use crate::{Seq, SeqRange};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A journal, open for writing: the only writer of its directory.
#[derive(Debug)]
pub struct Journal<D: Disk = DirDisk> {
    disk: D,
    options: Options,
    _lock: D::Lock,
    /// Written to no more, oldest first, with their lengths.
    closed: VecDeque<(SegmentName, u64)>,
    active: Active<D::File>,
    /// The frames that are not durable yet, encoded for the active segment.
    unsynced: Vec<u8>,
    next: Seq,
    /// Shared with readers.
    progress: Arc<Progress>,
    next_number: u64,
    cursors: Cursors,
    dropped: Option<SeqRange>,
    /// A name was created or removed since the directory was synced.
    dir_changed: bool,
}

/// The segment that the next sync writes to. Its file is created by the first one.
#[derive(Debug)]
struct Active<F> {
    name: SegmentName,
    file: Option<F>,
    /// Bytes of durable frames: where the next group goes.
    written: u64,
    /// Length of the file: the frames, and the zeros ahead of them.
    len: u64,
}

/// What [`Journal::trim`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Segment files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Journal<DirDisk> {
    /// [`Journal::open`] on a directory, which is made when it is missing.
    ///
    /// # Errors
    /// As [`Journal::open`], and when the directory cannot be made.
    pub fn open_dir(dir: &Path, options: Options) -> Result<(Self, Recovery), JournalError> {
        let disk = DirDisk::create(dir).context("create the directory", || dir.to_owned())?;
        Self::open(disk, options)
    }
}

impl<D: Disk> Journal<D> {
    /// Opens a journal for writing, and says what was found.
    ///
    /// Nothing is written to the segments that are there: the next frames go to a new one. What is read from
    /// this journal is durable, also where the process before this one died between writing and syncing it.
    ///
    /// A directory that cannot be written to is opened all the same: it can be read, and every write fails. (There a sync
    /// that is refused is none that is owed: what is there does not change.)
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Option`], or the file system refused something.
    pub fn open(disk: D, options: Options) -> Result<(Self, Recovery), JournalError> {
        options.check()?;
        let lock = disk.lock().map_err(|source| {
            if source.kind() == io::ErrorKind::WouldBlock {
                return JournalError::Locked { dir: disk.path("") };
            }
            JournalError::Io { op: "lock", path: disk.path(DirDisk::LOCK), source }
        })?;
        // What an earlier process left is taken as it is found, so it must be durable first: names here, the
        // newest contents below.
        unless_read_only(disk.sync_dir()).context("sync the directory", || disk.path(""))?;
        let entries = disk.list().context("list", || disk.path(""))?;
        let found = segments(&entries);
        let oldest = found.first().map(|(name, _)| name.first);

        let mut recovery = Recovery { segments: found.len(), ..Recovery::default() };
        let mut next = Seq::FIRST;
        let mut next_number = 1;
        if let Some((last, _)) = found.last() {
            next_number = last.number + 1;
            let file = last.file_name();
            unless_read_only(disk.sync_file(&file)).context("sync", || disk.path(&file))?;
            let source = disk.open(&file).context("open the segment", || disk.path(&file))?;
            let mut scan = Scan::new(source, *last, options.max_payload);
            // No frame has the highest number: the scan passes over all of them.
            let beyond = Seq(u64::MAX);
            scan.find(beyond, None).context("read", || disk.path(&file))?;
            let tail = scan.tail().context("read", || disk.path(&file))?;
            next = tail.next;
            recovery.torn_bytes = tail.torn;
            recovery.torn = SeqRange::between(tail.first, tail.next);
        }
        for entry in &entries {
            match SegmentName::parse(&entry.name) {
                Named::Segment(_) => {}
                Named::OtherVersion(name, _) => {
                    // Its frames cannot be read, but are not more than its bytes: their numbers are not used
                    // again.
                    next = next.max(Seq(name.first.0.saturating_add(entry.len)));
                    next_number = next_number.max(name.number.saturating_add(1));
                    recovery.foreign.push(entry.name.clone());
                }
                Named::Other if Cursors::owns(&entry.name) || entry.name == DirDisk::LOCK => {}
                Named::Other => recovery.foreign.push(entry.name.clone()),
            }
        }
        recovery.foreign.sort();
        let (cursors, damaged) = Cursors::load(&disk, &entries, oldest.unwrap_or(next))?;
        recovery.damaged_cursors = damaged;
        // A cursor says that the frames before it were read, so they were there, whatever has become of them.
        next = next.max(cursors.furthest().unwrap_or(next));
        recovery.next = next;
        recovery.oldest = oldest.unwrap_or(next);

        let active = Active::plan(&disk, next_number, next);
        let journal = Self {
            disk,
            options,
            _lock: lock,
            closed: found.into(),
            active,
            unsynced: Vec::new(),
            next,
            progress: Arc::new(Progress { durable: AtomicU64::new(next.0 - 1), begun: AtomicU64::new(0) }),
            next_number: next_number + 1,
            cursors,
            dropped: None,
            dir_changed: false,
        };
        Ok((journal, recovery))
    }

    /// Takes a payload into memory and numbers it; the next [`Journal::sync`] makes it durable.
    ///
    /// # Errors
    /// [`JournalError::TooLong`], [`JournalError::Full`] or [`JournalError::Unsynced`]; the journal is as
    /// before.
    pub fn append(&mut self, payload: &[u8]) -> Result<Seq, JournalError> {
        let max = self.options.max_payload;
        if payload.len() > max as usize {
            return Err(JournalError::TooLong { len: payload.len(), max });
        }
        let needed = (HEADER_LEN + payload.len()) as u64;
        let waiting = self.unsynced.len() as u64;
        if waiting + needed > self.options.max_unsynced {
            return Err(JournalError::Unsynced {
                dir: self.disk.path(""),
                waiting,
                max: self.options.max_unsynced,
            });
        }
        // The zeros ahead are room for this frame.
        let active = self.active.len.max(self.active.written + waiting + needed);
        let others = match self.options.full {
            FullPolicy::Refuse => self.closed_bytes(),
            // They can be dropped.
            FullPolicy::DropOldest => 0,
        };
        if others + active > self.options.max_bytes {
            let (used, max) = (self.used_bytes(), self.options.max_bytes);
            return Err(JournalError::Full { dir: self.disk.path(""), used, max, needed });
        }
        let seq = self.next;
        frame::encode_into(&mut self.unsynced, seq, payload, self.active.name.salt);
        self.next = seq.next();
        Ok(seq)
    }

    /// Makes everything that was appended durable, with one write and one sync, and gives the last durable
    /// sequence number ([`Seq::NONE`] when there has never been a frame).
    ///
    /// # Errors
    /// The file system refused the write or the sync. Nothing that was appended since the last success may be
    /// acknowledged. It stays in memory, and the next call writes it to a new segment: what the kernel did
    /// with the pages of a failed sync is not known, and a second sync of the same file may succeed without
    /// having written them.
    pub fn sync(&mut self) -> Result<Seq, JournalError> {
        if self.unsynced.is_empty() {
            return Ok(self.durable());
        }
        self.drop_oldest()?;
        if let Err(error) = self.write_unsynced() {
            self.abandon_active();
            return Err(error);
        }
        let durable = self.next.previous();
        if self.active.written == self.unsynced.len() as u64 {
            self.progress.begun.fetch_add(1, Ordering::Release);
        }
        self.progress.durable.store(durable.0, Ordering::Release);
        self.unsynced.clear();
        // A group of unusual size does not hold its memory for ever.
        self.unsynced.shrink_to(4 << 20);
        if self.active.written >= self.options.segment_bytes {
            self.close_active();
        }
        Ok(durable)
    }

    /// Forgets what was appended since the last sync that succeeded; the sequence numbers are used again. For
    /// who has refused those payloads after a failed sync, and will be sent them again.
    pub fn discard_unsynced(&mut self) {
        self.unsynced.clear();
        self.next = self.durable().next();
    }

    /// The last durable sequence number; [`Seq::NONE`] when there has never been a frame.
    #[must_use]
    pub fn durable(&self) -> Seq {
        Seq(self.progress.durable.load(Ordering::Acquire))
    }

    /// The sequence number that the next append will have.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.next
    }

    /// The first sequence number of the oldest segment: what lies before it was trimmed or dropped.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.closed.front().map_or(self.active.name.first, |(name, _)| name.first)
    }

    /// One past the last sequence number that the oldest segment can hold; `None` when there is none that may go: the
    /// newest never does. For who wants to know what is about to be dropped: a cursor set here lets [`Journal::trim`] remove
    /// just that segment.
    #[must_use]
    pub fn oldest_end(&self) -> Option<Seq> {
        self.droppable()
    }

    /// Bytes of all segments, with the zeros ahead and the frames in memory.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let active = self.active.len.max(self.active.written + self.unsynced.len() as u64);
        self.closed_bytes() + active
    }

    /// Bytes in memory that the next sync writes.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced.len() as u64
    }

    /// Reads the durable frames from `from` on. May be moved to another thread; it follows this journal as
    /// that grows.
    pub fn reader(&self, from: Seq) -> Reader<D> {
        Reader::new(self.disk.clone(), from, self.options.max_payload, Some(Arc::clone(&self.progress)))
    }

    /// Where a cursor is: everything before this is done. `None` when it was never set.
    ///
    /// It may be before [`Journal::oldest`], when frames were dropped that it had not passed: the reader then
    /// begins with that gap.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<Seq> {
        self.cursors.get(name)
    }

    /// Every cursor, by name.
    pub fn cursors(&self) -> impl Iterator<Item = (&str, Seq)> {
        self.cursors.iter()
    }

    /// Moves a cursor, forward or back, and makes that durable: everything before `seq` is done.
    ///
    /// # Errors
    /// [`JournalError::CursorName`], [`JournalError::CursorPastEnd`], or the file system refused; then the
    /// move holds in memory and is made durable with the next that succeeds.
    pub fn set_cursor(&mut self, name: &str, seq: Seq) -> Result<(), JournalError> {
        self.advance_cursor(name, seq)?;
        self.sync_cursors()
    }

    /// Moves a cursor in memory only, for those whose work is harmless to repeat: a crash takes it back to
    /// where it was last durable. [`Journal::sync_cursors`] and [`Journal::trim`] make it durable.
    ///
    /// # Errors
    /// [`JournalError::CursorName`] or [`JournalError::CursorPastEnd`].
    pub fn advance_cursor(&mut self, name: &str, seq: Seq) -> Result<(), JournalError> {
        check_name(name)?;
        let end = self.durable().next();
        if seq > end {
            return Err(JournalError::CursorPastEnd { name: name.to_owned(), seq, end });
        }
        self.cursors.advance(name, seq)
    }

    /// Makes the moves of all cursors durable.
    ///
    /// # Errors
    /// The file system refused.
    pub fn sync_cursors(&mut self) -> Result<(), JournalError> {
        self.cursors.save(&self.disk)
    }

    /// Forgets a cursor, so that it holds no frames back any more. `false` when there was none of that name.
    ///
    /// # Errors
    /// The file system refused.
    pub fn remove_cursor(&mut self, name: &str) -> Result<bool, JournalError> {
        self.cursors.remove(&self.disk, name)
    }

    /// Removes the segments that every cursor has passed; none when there is no cursor, and never the newest,
    /// which knows the sequence numbers in use.
    ///
    /// # Errors
    /// The file system refused; what was removed by then is gone.
    pub fn trim(&mut self) -> Result<Trimmed, JournalError> {
        let mut trimmed = Trimmed::default();
        let Some(done) = self.cursors.slowest() else { return Ok(trimmed) };
        // A removal must not outrun the cursor that allowed it: after a crash its frames would be a gap.
        self.sync_cursors()?;
        while let Some(end) = self.droppable().filter(|end| *end <= done) {
            trimmed.bytes += self.remove_front()?;
            trimmed.segments += 1;
            debug_assert!(self.oldest() >= end.min(done));
        }
        if trimmed.segments > 0 {
            self.sync_dir()?;
        }
        Ok(trimmed)
    }

    /// Removes one segment that every cursor has passed, although that they have is not durable: on a full file system a
    /// cursor's file cannot be replaced, and so nothing trimmed, before something is removed. Only for who takes what is
    /// before the oldest segment for done at an opening: a power cut may leave a cursor there.
    ///
    /// # Errors
    /// The file system refused.
    pub fn trim_one_unsaved(&mut self) -> Result<Trimmed, JournalError> {
        let Some(done) = self.cursors.slowest() else { return Ok(Trimmed::default()) };
        if self.droppable().is_none_or(|end| end > done) {
            return Ok(Trimmed::default());
        }
        let bytes = self.remove_front()?;
        self.sync_dir()?;
        Ok(Trimmed { segments: 1, bytes })
    }

    /// The frames that were dropped since this was last asked because the journal was full, and that some
    /// cursor had not passed.
    pub fn take_dropped(&mut self) -> Option<SeqRange> {
        self.dropped.take()
    }

    fn closed_bytes(&self) -> u64 {
        self.closed.iter().map(|(_, len)| len).sum()
    }

    /// One past the oldest segment's last possible sequence number, when it may be removed.
    fn droppable(&self) -> Option<Seq> {
        match self.closed.get(1) {
            Some((name, _)) => Some(name.first),
            // The newest file on disk stays.
            None if self.active.file.is_some() && !self.closed.is_empty() => Some(self.active.name.first),
            None => None,
        }
    }

    fn drop_oldest(&mut self) -> Result<(), JournalError> {
        if self.options.full == FullPolicy::Refuse {
            return Ok(());
        }
        while self.used_bytes() > self.options.max_bytes {
            let Some(end) = self.droppable() else { break };
            let from = self.cursors.slowest().unwrap_or(Seq::FIRST).max(self.oldest());
            self.remove_front()?;
            if let Some(range) = SeqRange::between(from, end) {
                let from = self.dropped.map_or(range.from, |dropped| dropped.from);
                self.dropped = Some(SeqRange { from, ..range });
            }
        }
        Ok(())
    }

    fn remove_front(&mut self) -> Result<u64, JournalError> {
        let Some((name, len)) = self.closed.front().copied() else { return Ok(0) };
        let file = name.file_name();
        match self.disk.remove(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.context("remove the segment", || self.disk.path(&file))?,
        }
        self.closed.pop_front();
        self.dir_changed = true;
        Ok(len)
    }

    fn write_unsynced(&mut self) -> Result<(), JournalError> {
        let ahead = self.options.zero_ahead;
        // The zeros are no reason to close a segment late, nor to go over the limit.
        let limit =
            self.options.segment_bytes.min(self.options.max_bytes.saturating_sub(self.closed_bytes()));
        let name = self.active.name.file_name();
        let path = || self.disk.path(&name);
        let mut file = match self.active.file.take() {
            Some(file) => file,
            None => {
                self.dir_changed = true;
                self.disk.create(&name).context("create the segment", path)?
            }
        };
        let done = self.active.write(&mut file, &self.unsynced, ahead, limit);
        self.active.file = Some(file);
        done.context("write", path)?;
        let synced = self.active.file.as_mut().map_or(Ok(()), WriteAt::sync_data);
        synced.context("sync", path)?;
        if self.dir_changed {
            self.sync_dir()?;
        }
        self.active.written += self.unsynced.len() as u64;
        Ok(())
    }

    /// After a failed write or sync: the active segment keeps its durable frames, the others go to a new one.
    fn abandon_active(&mut self) {
        let name = self.active.name;
        if self.active.written > 0 {
            // Only to give back the room: what lies behind the durable frames is ignored, for the new segment
            // begins with its sequence numbers.
            let cut = self.active.file.as_mut().is_some_and(|file| file.set_len(self.active.written).is_ok());
            self.closed.push_back((name, if cut { self.active.written } else { self.active.len }));
        } else if self.active.file.is_some() && self.disk.remove(&name.file_name()).is_err() {
            // It holds nothing durable, and is trimmed as any other.
            self.closed.push_back((name, self.active.len));
        }
        self.begin_segment(self.durable().next());
        frame::reseal(&mut self.unsynced, self.active.name.salt);
    }

    fn close_active(&mut self) {
        let Active { name, file, written, len } = &mut self.active;
        let mut closed = *len;
        if let Some(file) = file
            && len > written
            && file.set_len(*written).is_ok()
        {
            closed = *written;
        }
        self.closed.push_back((*name, closed));
        self.begin_segment(self.next);
    }

    fn begin_segment(&mut self, first: Seq) {
        self.active = Active::plan(&self.disk, self.next_number, first);
        self.next_number += 1;
    }

    fn sync_dir(&mut self) -> Result<(), JournalError> {
        self.disk.sync_dir().context("sync the directory", || self.disk.path(""))?;
        self.dir_changed = false;
        Ok(())
    }
}

impl<F: WriteAt> Active<F> {
    fn plan<D: Disk>(disk: &D, number: u64, first: Seq) -> Self {
        let name = SegmentName { number, first, salt: frame::Salt(disk.fresh_salt()) };
        Self { name, file: None, written: 0, len: 0 }
    }

    fn write(&mut self, file: &mut F, group: &[u8], ahead: u64, limit: u64) -> io::Result<()> {
        let end = self.written + group.len() as u64;
        file.write_all_at(self.written, group)?;
        if end <= self.len {
            return Ok(());
        }
        self.len = end;
        let end = (end + ahead).min(limit);
        while self.len < end {
            let zeros = usize::try_from(end - self.len).unwrap_or(usize::MAX).min(ZEROS.len());
            file.write_all_at(self.len, &ZEROS[..zeros])?;
            self.len += zeros as u64;
        }
        Ok(())
    }
}
