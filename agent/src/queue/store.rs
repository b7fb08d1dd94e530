//! The rounds that wait on the disk: policy over one journal.
//!
//! A cursor says which frames are done. One batch at a time is handed out; what of it was not delivered is held in memory and
//! handed out again, so nothing is read twice. The cursor moves in memory with each delivery and is made durable now and then:
//! a crash only sends a few rounds again, under the same times.
//!
//! What is not to be sent is passed over, each kind counted in a [`Tally`]: rounds over their age, rounds that can never be
//! dated, frames that are damaged, and payloads that cannot be read. The undatable and the unreadable are first copied to a
//! journal of their own, where someone who can read them may look for them.
//!
//! # A disk that cannot be written to
//!
//! Reading goes on. A batch ends before the first frame that would first have to be set aside, or whose boot's offset would
//! first have to be noted; what is before it goes. On a full file system the cursor's file cannot be replaced either: then the
//! oldest segment goes that the cursor in memory has passed, and makes room for it. After a power cut in between, the cursor is
//! behind the oldest segment, and an opening takes what is not there any more for done.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wan_journal::{
    Disk, FullPolicy, HEADER_LEN, Item as Found, Journal, JournalError, Options, Reader, Seq, SeqRange,
};
use wan_wire::UnixMillis;

use super::memory::Spilling;
use super::offsets::{self, Offsets};
use super::record::{Record, Unreadable};
use super::{Dates, Dropped, Folders, Item, offset_of, wall_at};
use crate::clock::{Dating, Undatable};

const CURSOR: &str = "delivered";
/// The longest payload: a link of ten thousand targets has less.
const MOST_PAYLOAD: u32 = 1 << 20;
/// Frames that are looked at for one batch: passing over a long stretch of them goes on at the next call.
const MOST_FRAMES: usize = 4096;
/// Bytes of what was set aside; the oldest goes first.
const MOST_ASIDE: u64 = 16 << 20;

/// Why the disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// The journal says so.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The file system says so.
    #[error("cannot {op} {}: {source}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
}

impl StoreError {
    /// What to do about it, for people.
    pub(super) fn remedy(&self) -> &'static str {
        if let StoreError::Journal(JournalError::Locked { .. }) = self {
            return "another wan-agent runs with this `data` folder: stop it, or give this one a folder of its own";
        }
        match self.kind() {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => "free some space there",
            Some(io::ErrorKind::ReadOnlyFilesystem) => {
                "mount it writable; if it became read-only by itself, its medium is failing: replace it"
            }
            Some(io::ErrorKind::PermissionDenied) => "let the agent's user write there",
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                "make the folder, or name another as `data`"
            }
            _ => "check the medium and its file system, or name another folder as `data`",
        }
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        let source = match self {
            StoreError::Journal(error) => error.io(),
            StoreError::Io { source, .. } => Some(source),
        };
        source.map(io::Error::kind)
    }

    fn is_full(&self) -> bool {
        matches!(self.kind(), Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// What was passed over or is gone, to be counted and told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: Passed,
    /// Entries of what was set aside that had to go because there was too much of it.
    pub(super) aside_dropped: u64,
    /// Files beside what was set aside that are not this program's, left alone.
    pub(super) aside_foreign: Vec<String>,
    /// What ended a batch early: something had to be written down first and could not be.
    pub(super) blocked: Option<StoreError>,
}

/// What was passed over or is gone.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Passed {
    /// Dropped because the disk's share is full.
    pub(super) full: Option<Dropped>,
    /// Frames that were dropped for that without having been looked at.
    pub(super) full_unseen: u64,
    /// Dropped because the collector would not take rounds so old.
    pub(super) aged: Option<Dropped>,
    /// Target rounds that can never be dated, and why the last of them cannot.
    pub(super) undatable: u64,
    pub(super) why: Option<Undatable>,
    /// Payloads that cannot be read, and why the last of them cannot.
    pub(super) unreadable: u64,
    pub(super) unreadable_why: Option<Unreadable>,
    /// Frames that are damaged or missing.
    pub(super) damaged: Damaged,
    /// Rounds longer than a frame may be; none is.
    pub(super) too_long: Option<Dropped>,
}

/// Frames that are damaged or missing, and when their neighbours were.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Damaged {
    /// How many: a frame is one link's round.
    pub(super) link_rounds: u64,
    /// The end of the round before the first of them, where it was seen.
    pub(super) from: Option<UnixMillis>,
    /// The start of the round after the last of them, where it was seen.
    pub(super) to: Option<UnixMillis>,
}

impl Damaged {
    fn add(&mut self, link_rounds: u64, before: Option<UnixMillis>) {
        if link_rounds == 0 {
            return;
        }
        if self.link_rounds == 0 {
            self.from = before;
        }
        (self.link_rounds, self.to) = (self.link_rounds + link_rounds, None);
    }

    fn followed_by(&mut self, record: &Record) {
        if self.link_rounds > 0 && self.to.is_none() {
            self.to = Some(record.about_when().minus(record.interval));
        }
    }
}

/// What there was at the opening.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// Frames that wait.
    pub(super) waiting: u64,
    /// Bytes of a torn write at the end.
    pub(super) torn_bytes: u64,
    /// Files that are not this program's, left alone.
    pub(super) foreign: Vec<String>,
    /// Small files that were damaged, or a newer version's; what they say counts no more.
    pub(super) damaged: Vec<String>,
}

/// Where a batch ends that may not go on.
#[derive(Debug, Clone, Copy)]
struct Cut {
    items: usize,
    through: Seq,
    passed: Passed,
}

/// The part of a batch that is not delivered.
#[derive(Debug)]
struct Batch {
    items: VecDeque<Item>,
    /// One past the last frame that it accounts for.
    through: Seq,
}

/// The rounds that wait on the disk.
pub(super) struct Store<F: Folders> {
    disk: F::Disk,
    journal: Journal<F::Disk>,
    aside: Aside<F>,
    offsets: Offsets,
    /// Everything before it is done.
    cursor: Seq,
    is_saved: bool,
    batch: Option<Batch>,
    reader: Option<Reader<F::Disk>>,
    most_bytes: u64,
    /// Target rounds of this many frames, to tell how many wait.
    seen: (u64, u64),
    oldest: Option<UnixMillis>,
    /// The end of the round that was read last.
    read: Option<UnixMillis>,
    /// Numbers that a torn write may have had: no frame of them was ever there for certain.
    torn: Option<SeqRange>,
    bytes: Vec<u8>,
}

impl<F: Folders> Store<F> {
    /// Opens it, for at most `most_bytes` of segments. Where a store of this process was closed by a failure, its cursor is
    /// given: what it had delivered is not sent again.
    pub(super) fn open(
        folders: F,
        most_bytes: u64,
        cursor: Option<Seq>,
    ) -> Result<(Store<F>, Opened), StoreError> {
        let disk = folders.queue().map_err(|(path, source)| StoreError::Io { op: "make", path, source })?;
        let segment_bytes = (most_bytes / 16).clamp(64 << 10, 2 << 20);
        let options = Options {
            segment_bytes,
            // The oldest are dropped here, where they can be counted, before the journal has to.
            max_bytes: most_bytes.saturating_add(4 * segment_bytes),
            full: FullPolicy::DropOldest,
            max_payload: MOST_PAYLOAD,
            max_unsynced: 8 << 20,
            zero_ahead: 0,
        };
        let (mut journal, recovery) = Journal::open(disk.clone(), options)?;
        let found = Offsets::load(&disk).map_err(|source| at(&disk, "read", offsets::FILE, source))?;
        let mut damaged: Vec<String> = recovery.damaged_cursors.clone();
        let mut offsets = match found {
            Some(offsets) => offsets,
            None => {
                wan_journal::keep_unreadable(&disk, offsets::FILE)
                    .map_err(|source| at(&disk, "keep", offsets::FILE, source))?;
                damaged.push(offsets::FILE.to_owned());
                Offsets::default()
            }
        };
        let durable = journal.cursor(CURSOR);
        let mut position = durable.unwrap_or(recovery.oldest).max(recovery.oldest);
        if let Some(cursor) = cursor.filter(|cursor| *cursor <= recovery.next) {
            position = position.max(cursor);
        }
        journal.advance_cursor(CURSOR, position)?;
        if position == recovery.next {
            offsets.forget();
        }
        let ours = |name: &String| *name != offsets::FILE && *name != offsets::TEMPORARY;
        let opened = Opened {
            waiting: recovery.next.0 - position.0,
            torn_bytes: recovery.torn_bytes,
            foreign: recovery.foreign.into_iter().filter(ours).collect(),
            damaged,
        };
        let mut store = Store {
            disk,
            journal,
            aside: Aside { folders, journal: None, foreign: Vec::new() },
            offsets,
            cursor: position,
            is_saved: position == durable.unwrap_or(recovery.oldest),
            batch: None,
            reader: None,
            most_bytes,
            seen: (0, 0),
            oldest: None,
            read: None,
            torn: recovery.torn,
            bytes: Vec::new(),
        };
        store.look_ahead()?;
        Ok((store, opened))
    }

    /// Makes the folder again if it is gone, as after someone has emptied the medium.
    pub(super) fn find_folder(&self) -> Result<(), StoreError> {
        let found = self.aside.folders.queue();
        found.map(drop).map_err(|(path, source)| StoreError::Io { op: "make", path, source })
    }

    /// Writes for no other reason than to see whether the disk can be written to.
    pub(super) fn prove(&mut self) -> Result<(), StoreError> {
        self.save()?;
        self.offsets.write_again();
        self.save_offsets()
    }

    /// Makes these durable, in this order; says of how many it is certain.
    pub(super) fn append(
        &mut self,
        rounds: &[Spilling],
        tally: &mut Tally,
    ) -> (usize, Result<(), StoreError>) {
        let mut durable = 0;
        let done = self.append_all(rounds, &mut durable, tally);
        if done.is_err() {
            // They stay in memory, and go to a new segment when the disk works again.
            self.journal.discard_unsynced();
        }
        (durable, done)
    }

    /// The next batch: the oldest rounds, about `most` target rounds of them; none when nothing can be sent now.
    ///
    /// `now` is the time where it is known for certain: rounds that ended more than `max_age` ago are dropped.
    pub(super) fn take(
        &mut self,
        most: usize,
        now: Option<UnixMillis>,
        max_age: Duration,
        dates: &dyn Dates,
        tally: &mut Tally,
    ) -> Result<Vec<Item>, StoreError> {
        if let Some(batch) = &self.batch {
            return Ok(first_of(&batch.items, most));
        }
        let mut reader = self.reader.take().unwrap_or_else(|| self.journal.reader(self.cursor));
        let mut items: VecDeque<Item> = VecDeque::new();
        let (mut rounds, mut frames, mut through) = (0, 0, self.cursor);
        let (mut before_aside, mut before_offset): (Option<Cut>, Option<Cut>) = (None, None);
        let mut aside = Ok(());
        let mut is_blocked = false;
        while rounds < most && frames < MOST_FRAMES {
            let (seq, payload) = match reader.read() {
                // What was read before it goes first, and is counted once.
                Err(_) if through > self.cursor => {
                    is_blocked = true;
                    break;
                }
                Err(error) => return Err(error.into()),
                Ok(None) => break,
                Ok(Some(Found::Gap(gap))) => {
                    tally.passed.damaged.add(self.missing(gap), self.read);
                    through = gap.to.next();
                    continue;
                }
                Ok(Some(Found::Frame { seq, payload })) => (seq, payload),
            };
            frames += 1;
            let cut = Cut { items: items.len(), through: seq, passed: tally.passed };
            let record = match Record::decode(payload) {
                Ok(record) => record,
                Err(why) => {
                    before_aside.get_or_insert(cut);
                    aside = self.aside.append(payload);
                    if aside.is_err() {
                        break;
                    }
                    tally.passed.unreadable += 1;
                    tally.passed.unreadable_why = Some(why);
                    through = seq.next();
                    continue;
                }
            };
            let count = record.targets.len();
            self.count(1, count);
            self.read = Some(record.about_when());
            tally.passed.damaged.followed_by(&record);
            let end = match self.date(&record, dates) {
                Dating::At(end) => end,
                Dating::Later => {
                    is_blocked = true;
                    break;
                }
                Dating::Never(why) => {
                    before_aside.get_or_insert(cut);
                    aside = self.aside.append(payload);
                    if aside.is_err() {
                        break;
                    }
                    tally.passed.undatable += u64::try_from(count).unwrap_or(u64::MAX);
                    tally.passed.why = Some(why);
                    through = seq.next();
                    continue;
                }
            };
            if record.end.offset.is_none() && !self.offsets.is_saved() {
                before_offset.get_or_insert(cut);
            }
            through = seq.next();
            if now.is_some_and(|now| now.since(end) > max_age) {
                Dropped::add(&mut tally.passed.aged, &record, end);
                continue;
            }
            rounds += count;
            items.push_back(Item { id: seq.0, record: Arc::new(record), end });
        }
        // Before anything is sent under an offset, and before anything set aside is passed.
        let aside = aside.and_then(|()| self.aside.sync(tally));
        let offsets = if before_offset.is_some() { self.save_offsets() } else { Ok(()) };
        let ends = [before_aside.filter(|_| aside.is_err()), before_offset.filter(|_| offsets.is_err())];
        if let Some(cut) = ends.into_iter().flatten().min_by_key(|cut| cut.through) {
            items.truncate(cut.items);
            (through, tally.passed) = (cut.through, cut.passed);
            tally.blocked = aside.err().or(offsets.err());
        } else if !is_blocked {
            self.reader = Some(reader);
        }
        if items.is_empty() {
            self.advance(through);
            return Ok(Vec::new());
        }
        let taken = items.iter().cloned().collect();
        self.batch = Some(Batch { items, through });
        Ok(taken)
    }

    /// The first `gone` rounds of the batch are delivered, or were refused for good; the others are handed out again.
    pub(super) fn settle(&mut self, gone: usize) {
        let Some(batch) = &mut self.batch else { return };
        let last = batch.items.drain(..gone.min(batch.items.len())).next_back();
        let to = match batch.items.front() {
            Some(next) => Seq(next.id),
            None => batch.through,
        };
        // What comes behind a batch begins about where it ended.
        let oldest = batch.items.front().or(last.as_ref()).map(|item| item.end);
        self.oldest = oldest.or(self.oldest);
        if batch.items.is_empty() {
            self.batch = None;
        }
        self.advance(to);
    }

    /// Makes the cursor durable and gives back the room of what is done.
    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        self.journal.advance_cursor(CURSOR, self.cursor)?;
        let saved = self.journal.trim().map_err(StoreError::from);
        if let Err(error) = saved {
            if !error.is_full() || self.journal.trim_one_unsaved()?.segments == 0 {
                return Err(error);
            }
            self.journal.trim()?;
        }
        self.is_saved = true;
        Ok(())
    }

    /// For the end of the process: everything that is not delivered is on the disk, and the cursor is durable.
    pub(super) fn close(&mut self, tally: &mut Tally) -> Result<(), StoreError> {
        // Frames of the batch that were dropped from the disk while it was held.
        let lost = |item: &&Item| Seq(item.id) < self.cursor;
        let again = |item: &Item| {
            let offset = Some(offset_of(&item.record.end, item.end));
            Spilling { id: item.id, record: Arc::clone(&item.record), offset }
        };
        let batch = self.batch.take();
        let lost: Vec<Spilling> =
            batch.iter().flat_map(|batch| &batch.items).filter(lost).map(again).collect();
        self.append(&lost, tally).1?;
        self.save()
    }

    /// Whether a frame waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.batch.is_some() || self.cursor < self.journal.durable().next()
    }

    /// Whether [`Store::save`] has something to do.
    pub(super) fn is_saved(&self) -> bool {
        self.is_saved
    }

    /// Everything before it is done.
    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Bytes of the segments.
    pub(super) fn used_bytes(&self) -> u64 {
        self.journal.used_bytes()
    }

    /// About how many target rounds wait: frames are counted, targets only where they were seen.
    pub(super) fn rounds(&self) -> u64 {
        let frames = self.journal.durable().next().0.saturating_sub(self.cursor.0);
        match self.seen {
            (0, _) => frames,
            (seen, rounds) => frames.saturating_mul(rounds) / seen,
        }
    }

    /// The end of the oldest round that waits, as far as is known.
    pub(super) fn oldest(&self) -> Option<UnixMillis> {
        self.oldest.filter(|_| self.has_waiting())
    }

    #[cfg(test)]
    pub(super) fn set_aside(&mut self, payload: &[u8], tally: &mut Tally) -> Result<(), StoreError> {
        self.aside.append(payload)?;
        self.aside.sync(tally)
    }

    fn append_all(
        &mut self,
        rounds: &[Spilling],
        durable: &mut usize,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let was_empty = !self.has_waiting();
        for (at, round) in rounds.iter().enumerate() {
            round.record.encode(round.offset, &mut bytes);
            self.make_room((bytes.len() + HEADER_LEN) as u64, tally)?;
            let appended = match self.journal.append(&bytes) {
                Err(JournalError::Unsynced { .. }) => {
                    self.journal.sync()?;
                    *durable = at;
                    self.journal.append(&bytes)
                }
                appended => appended,
            };
            match appended {
                Ok(_) => {}
                Err(JournalError::TooLong { .. }) => {
                    let end = round.record.about_when();
                    Dropped::add(&mut tally.passed.too_long, &round.record, end);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.journal.sync()?;
        *durable = rounds.len();
        bytes.shrink_to(64 << 10);
        self.bytes = bytes;
        let targets = rounds.iter().map(|round| round.record.targets.len()).sum();
        self.count(rounds.len() as u64, targets);
        if let (true, Some(first)) = (was_empty, rounds.first()) {
            let end = &first.record.end;
            self.oldest = Some(first.offset.map_or(end.host, |offset| wall_at(end.since_boot, offset)));
        }
        if let Some(gone) = self.journal.take_dropped() {
            tally.passed.full_unseen += gone.count();
        }
        Ok(())
    }

    /// Drops the oldest segments until there is room, and counts what was in them.
    fn make_room(&mut self, needed: u64, tally: &mut Tally) -> Result<(), StoreError> {
        while self.journal.used_bytes() + needed > self.most_bytes {
            let Some(end) = self.journal.oldest_end() else { break };
            let before = tally.passed;
            if let Err(error) = self.count_oldest(end, tally) {
                // They are still there, and are counted when they go.
                tally.passed = before;
                return Err(error);
            }
            self.advance(end);
            if self.reader.as_ref().is_some_and(|reader| reader.position() < end) {
                self.reader = None;
            }
            self.save()?;
            self.look_ahead()?;
        }
        Ok(())
    }

    /// Counts what is dropped with the oldest segment, which ends before `end`.
    fn count_oldest(&mut self, end: Seq, tally: &mut Tally) -> Result<(), StoreError> {
        // What the batch holds is in memory still, and may be at the collector.
        let held = self.batch.as_ref().map_or(Seq::NONE, |batch| batch.through);
        let mut reader = self.journal.reader(self.cursor.max(held));
        let mut read = None;
        while reader.position() < end {
            match reader.read()? {
                None => break,
                Some(Found::Gap(gap)) => {
                    let gap = SeqRange { to: gap.to.min(end.previous()), ..gap };
                    tally.passed.damaged.add(self.missing(gap), read);
                }
                Some(Found::Frame { payload, .. }) => match Record::decode(payload) {
                    Ok(record) => {
                        read = Some(record.about_when());
                        tally.passed.damaged.followed_by(&record);
                        Dropped::add(&mut tally.passed.full, &record, record.about_when());
                    }
                    Err(why) => {
                        self.aside.append(payload)?;
                        tally.passed.unreadable += 1;
                        tally.passed.unreadable_why = Some(why);
                    }
                },
            }
        }
        self.aside.sync(tally)
    }

    /// How many frames of these numbers are missing: those of a torn write are not.
    fn missing(&self, gap: SeqRange) -> u64 {
        let torn = self
            .torn
            .map_or(0, |torn| SeqRange { from: torn.from.max(gap.from), to: torn.to.min(gap.to) }.count());
        gap.count() - torn
    }

    /// When a round on the disk ended.
    fn date(&mut self, record: &Record, dates: &dyn Dates) -> Dating {
        let end = &record.end;
        if let Some(offset) = end.offset.or_else(|| self.offsets.of(&record.boot)) {
            return Dating::At(wall_at(end.since_boot, offset));
        }
        let dating = dates.date(&record.boot, end);
        // Boots without an id cannot be told apart.
        if let (Dating::At(time), false) = (dating, record.boot.is_empty()) {
            self.offsets.set(&record.boot, offset_of(end, time));
        }
        dating
    }

    fn save_offsets(&mut self) -> Result<(), StoreError> {
        let saved = self.offsets.save(&self.disk);
        saved.map_err(|source| at(&self.disk, "replace", offsets::FILE, source))
    }

    fn advance(&mut self, to: Seq) {
        if to > self.cursor {
            self.cursor = to;
            self.is_saved = false;
        }
    }

    fn count(&mut self, frames: u64, rounds: usize) {
        let (all_frames, all_rounds) = self.seen;
        self.seen = (all_frames + frames, all_rounds + u64::try_from(rounds).unwrap_or(0));
    }

    /// Looks at the first round that waits: its time, and how many targets it has.
    fn look_ahead(&mut self) -> Result<(), StoreError> {
        let mut reader = self.journal.reader(self.cursor);
        // Whatever is damaged is counted when it is passed.
        for _ in 0..4 {
            if let Some(Found::Frame { payload, .. }) = reader.read()?
                && let Ok(record) = Record::decode(payload)
            {
                self.oldest = Some(record.about_when());
                self.count(1, record.targets.len());
                break;
            }
        }
        Ok(())
    }
}

/// What was set aside: a journal beside the queue, made when the first thing is.
struct Aside<F: Folders> {
    folders: F,
    journal: Option<Journal<F::Disk>>,
    /// To be told: files there that are not this program's.
    foreign: Vec<String>,
}

impl<F: Folders> Aside<F> {
    fn append(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let appended = self.try_append(payload);
        self.unless_failed(appended)
    }

    fn sync(&mut self, tally: &mut Tally) -> Result<(), StoreError> {
        tally.aside_foreign.append(&mut self.foreign);
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let synced = journal.sync().map(drop).map_err(StoreError::from);
        tally.aside_dropped += journal.take_dropped().map_or(0, |dropped| dropped.count());
        self.unless_failed(synced)
    }

    /// After a failure it is opened anew: what was not synced then comes again.
    fn unless_failed(&mut self, done: Result<(), StoreError>) -> Result<(), StoreError> {
        if done.is_err() {
            self.journal = None;
        }
        done
    }

    fn try_append(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            None => {
                let disk = self.folders.aside();
                let disk = disk.map_err(|(path, source)| StoreError::Io { op: "make", path, source })?;
                let options = Options {
                    segment_bytes: 1 << 20,
                    max_bytes: MOST_ASIDE,
                    full: FullPolicy::DropOldest,
                    max_payload: MOST_PAYLOAD,
                    max_unsynced: 4 << 20,
                    zero_ahead: 0,
                };
                let (journal, recovery) = Journal::open(disk, options)?;
                self.foreign = recovery.foreign;
                self.journal.insert(journal)
            }
        };
        match journal.append(payload) {
            Err(JournalError::Unsynced { .. }) => {
                journal.sync()?;
                journal.append(payload)?;
            }
            appended => {
                appended?;
            }
        }
        Ok(())
    }
}

fn first_of(items: &VecDeque<Item>, most: usize) -> Vec<Item> {
    let mut rounds = 0;
    let fits = |item: &&Item| {
        let fits = rounds < most;
        rounds += item.record.targets.len();
        fits
    };
    items.iter().take_while(fits).cloned().collect()
}

fn at<D: Disk>(disk: &D, op: &'static str, name: &str, source: io::Error) -> StoreError {
    StoreError::Io { op, path: disk.path(name), source }
}
