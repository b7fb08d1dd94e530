//! Rounds that wait for the collector: what to keep, where, and what to send next.
//!
//! # Memory, then disk
//!
//! The unit is one link's round, which is never divided: a round split over requests gives no evidence. While pushes succeed a
//! round lives in memory for the moment until it is delivered, and the disk is left alone: flash wears. When a push has failed
//! on every path, what waits goes to a journal ([`wan_journal`]) in the data folder: at once for the first failure, then
//! `sync` after the last time (or when half of the memory is taken), whether or not another push has failed by then, and with
//! it what a request that hangs still carries. So **a power cut or a kill during an outage costs at most the rounds of the
//! last `sync`**, 60 s unless configured, and the time that the disk takes to write them; where it strikes before the first
//! push of the outage has failed, the rounds since the last push that succeeded. At a clean end everything undelivered goes
//! to the disk.
//!
//! A round is in memory until its frame is durable; a write that fails leaves it there. Whatever is wrong with the disk, the
//! agent goes on from memory, says so once, shows it as a metric, and tries again every [`RETRY`]. It is taken to work when
//! something was written. A disk that can only be read is read: its backlog is sent, once in the life of a process.
//!
//! # What goes first
//!
//! Rounds that were never tried go first, newest first, so that the present is right at once after an outage. The backlog
//! follows, oldest first: from the disk, then what of it is in memory. A batch from the disk counts as done when the collector
//! has acknowledged it, not before.
//!
//! # One round, one time
//!
//! A sample that is sent twice is harmless only under one time. A round that ended before the first contact of its boot gets
//! its time when it is first sent ([`Dates`]), and keeps it: in memory with the round; on the disk by its boot's offset, which
//! is durable before the first such round is sent (see `offsets`).
//!
//! # Bounds
//!
//! Memory, disk and age are bounded. Past a bound the oldest go, counted in samples, and the log says which span is gone. The
//! age is looked at when a round comes from the disk, which keeps days of them; the memory keeps hours. What cannot be read or
//! dated is set aside in a journal of its own beside the queue, never sent under a guess.
//!
//! # Who waits for whom
//!
//! Rounds and the pusher share the memory, which is locked for microseconds. The disk has a lock of its own, which only threads
//! that may wait take: [`Queue::tend`], [`Queue::take_backlog`], [`Queue::settle`] and [`Queue::close`] are for such threads.
//! A disk that hangs for a minute does not move a round by a millisecond. Nothing here reads a clock.

mod losses;
mod memory;
mod offsets;
pub mod record;
mod store;
mod told;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use wan_journal::{DirDisk, Disk, Seq};
use wan_wire::UnixMillis;

use crate::clock::{Dating, Stamp, Timekeeper};
use crate::config::QueueConfig;
pub(crate) use losses::Losses;
use memory::Memory;
use record::Record;
use store::{Store, Tally};
use told::Told;

/// How long a disk that could not be used is left alone; less where syncs are close together: `RETRY_SYNCS` of them.
pub const RETRY: Duration = Duration::from_secs(60);
/// See [`RETRY`].
const RETRY_SYNCS: u32 = 10;
/// How often the cursor is made durable while the backlog is delivered: so much of it goes twice after a power cut, and the
/// room of what is done is given back.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Bytes in memory of the rounds that go to the disk under one sync.
const SPILL_BYTES: u64 = 512 << 10;

/// Turns stamps into wall time.
pub trait Dates {
    /// When a moment of a boot was.
    fn date(&self, boot: &str, stamp: &Stamp) -> Dating;
}

impl Dates for Timekeeper {
    fn date(&self, boot: &str, stamp: &Stamp) -> Dating {
        Timekeeper::date(self, boot, stamp)
    }
}

/// Where a queue's folders are.
pub trait Folders: Clone {
    /// The kind of folder.
    type Disk: Disk;

    /// The queue's own, made when it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    fn queue(&self) -> Result<Self::Disk, (PathBuf, io::Error)>;

    /// That of what was set aside, made when it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    fn aside(&self) -> Result<Self::Disk, (PathBuf, io::Error)>;
}

/// `queue` and `queue-aside` in the agent's data folder.
#[derive(Debug, Clone)]
pub struct DataFolder(pub PathBuf);

impl Folders for DataFolder {
    type Disk = DirDisk;

    fn queue(&self) -> Result<DirDisk, (PathBuf, io::Error)> {
        let path = self.0.join("queue");
        DirDisk::create(&path).map_err(|error| (path, error))
    }

    fn aside(&self) -> Result<DirDisk, (PathBuf, io::Error)> {
        let path = self.0.join("queue-aside");
        DirDisk::create(&path).map_err(|error| (path, error))
    }
}

/// One link's round, dated, on its way to the collector.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place in the queue's order.
    pub id: u64,
    /// The round.
    pub record: Arc<Record>,
    /// When it ended: the time under which it is sent, however often.
    pub end: UnixMillis,
}

/// Rounds of the backlog on their way to the collector.
#[derive(Debug, Clone)]
pub struct Backlog {
    /// The rounds, oldest first. Never empty.
    pub items: Vec<Item>,
    is_from_disk: bool,
}

/// What had to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The start of the oldest round dropped, as far as is known.
    pub from: UnixMillis,
    /// The end of the newest round dropped, as far as is known.
    pub to: UnixMillis,
    /// Samples dropped.
    pub samples: u64,
}

/// What the queue holds and has lost, for telemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of rounds in memory.
    pub memory_bytes: u64,
    /// Bytes of the queue's files.
    pub disk_bytes: u64,
    /// Target rounds that wait; of those on the disk only about so many.
    pub rounds: u64,
    /// The end of the oldest round that waits, as far as is known.
    pub oldest: Option<UnixMillis>,
    /// Samples dropped since the start.
    pub dropped_samples: u64,
    /// Target rounds that can never be dated, set aside since the start.
    pub undated_rounds: u64,
    /// Link-rounds on the disk that were damaged or missing, since the start.
    pub damaged_rounds: u64,
    /// Entries on the disk that this version cannot read, set aside since the start.
    pub unreadable_entries: u64,
    /// Whether there is a disk that cannot be used.
    pub has_failed: bool,
}

/// Rounds that wait for the collector.
pub struct Queue<F: Folders = DataFolder> {
    config: QueueConfig,
    boot: Arc<str>,
    memory: Mutex<Waiting>,
    disk: Mutex<OnDisk<F>>,
    /// [`Queue::tend_at`] may be sooner.
    changed: Notify,
}

/// What rounds and pushes share.
struct Waiting {
    memory: Memory,
    /// No path works: what comes is to go to the disk as well.
    is_offline: bool,
    dropped_samples: u64,
    undated_rounds: u64,
    damaged_rounds: u64,
    unreadable_entries: u64,
    /// As it was when the disk was last worked on.
    disk: Seen,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Whether there is a disk at all.
    is_there: bool,
    bytes: u64,
    rounds: u64,
    oldest: Option<UnixMillis>,
    has_waiting: bool,
    has_failed: bool,
    /// When it is to be opened, or tried again.
    open_at: Option<Duration>,
    /// When what waits in memory may be written.
    spill_at: Duration,
    /// When the cursor is to be made durable.
    save_at: Option<Duration>,
}

struct OnDisk<F: Folders> {
    folders: Option<F>,
    store: Option<Store<F>>,
    /// Of the store before this one.
    cursor: Option<Seq>,
    told: Told,
}

impl<F: Folders> Queue<F> {
    /// An empty one for rounds of this boot. Without folders it is in memory only; they are opened by [`Queue::tend`].
    pub fn new(config: QueueConfig, boot: &str, folders: Option<F>) -> Queue<F> {
        let is_there = folders.is_some();
        let disk = Seen { is_there, open_at: is_there.then_some(Duration::ZERO), ..Seen::default() };
        let memory = Memory::new(config.memory);
        Queue {
            config,
            boot: boot.into(),
            memory: Mutex::new(Waiting {
                memory,
                is_offline: false,
                dropped_samples: 0,
                undated_rounds: 0,
                damaged_rounds: 0,
                unreadable_entries: 0,
                disk,
            }),
            disk: Mutex::new(OnDisk { folders, store: None, cursor: None, told: Told::default() }),
            changed: Notify::new(),
        }
    }

    /// The boot whose rounds come.
    pub fn boot(&self) -> &Arc<str> {
        &self.boot
    }

    /// Adds a link's round; says what had to go for it.
    pub fn push(&self, record: Record) -> Option<Dropped> {
        let mut waiting = self.waiting();
        let dropped = waiting.memory.push(record);
        waiting.dropped_samples += dropped.map_or(0, |dropped| dropped.samples);
        self.wake(&waiting);
        dropped
    }

    /// The fresh rounds, newest first, at most `most` target rounds (but at least one link's); what does not fit is backlog
    /// from now on.
    pub fn take_live(&self, most: usize, dates: &dyn Dates) -> Vec<Item> {
        self.waiting().memory.take_fresh(most, dates)
    }

    /// The collector has these, or will never take them.
    pub fn delivered(&self, items: &[Item]) {
        let mut waiting = self.waiting();
        waiting.memory.remove(items.iter().map(|item| item.id));
    }

    /// These are backlog: they do not fit in a request, or were not delivered.
    pub fn put_back(&self, items: &[Item]) {
        let mut waiting = self.waiting();
        waiting.memory.put_back(items.iter().map(|item| item.id));
        self.wake(&waiting);
    }

    /// A push succeeded, or failed on every path.
    pub fn set_offline(&self, is_offline: bool) {
        let mut waiting = self.waiting();
        waiting.is_offline = is_offline;
        self.wake(&waiting);
    }

    /// Whether [`Queue::take_backlog`] may have something.
    pub fn has_backlog(&self) -> bool {
        let waiting = self.waiting();
        waiting.disk.has_waiting || waiting.memory.has_backlog()
    }

    /// Whether anything waits that is not under way.
    pub fn has_waiting(&self) -> bool {
        let waiting = self.waiting();
        waiting.disk.has_waiting || waiting.memory.has_waiting()
    }

    /// When [`Queue::tend`] has something to do next; `None`: not before something else happens.
    pub fn tend_at(&self) -> Option<Duration> {
        self.waiting().tend_at()
    }

    /// Waits until [`Queue::tend_at`] may have become sooner than it was.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Opens the disk, writes to it and saves the cursor, each when it is due. `now` is monotonic.
    ///
    /// For a thread that may wait.
    pub fn tend(&self, now: Duration) {
        let mut disk = self.disk();
        let open_at = self.waiting().disk.open_at;
        if disk.folders.is_none() || open_at.is_some_and(|at| at > now) {
            return;
        }
        if open_at.is_none() || self.begin(&mut disk, now) {
            if self.waiting().spill_is_due(now) {
                self.spill(&mut disk, now, false);
            }
            let save_at = self.waiting().disk.save_at;
            if save_at.is_some_and(|at| at <= now)
                && let Some(store) = &mut disk.store
                && let Err(error) = store.save()
            {
                self.fail(&mut disk, &error, now);
            }
        }
        self.look(&disk, now);
    }

    /// The oldest of the backlog, about `most` target rounds; `None` when nothing can be sent now. One batch at a time is
    /// under way: the next comes after [`Queue::settle`].
    ///
    /// `wall` is the time where it is known for certain: what is over its age is dropped. For a thread that may wait.
    pub fn take_backlog(
        &self,
        most: usize,
        now: Duration,
        wall: Option<UnixMillis>,
        dates: &dyn Dates,
    ) -> Option<Backlog> {
        let mut disk = self.disk();
        let mut tally = Tally::default();
        while let Some(store) = disk.store.as_mut().filter(|store| store.has_waiting()) {
            let before = store.cursor();
            let taken = store.take(most, wall, self.config.max_age, dates, &mut tally);
            // Nothing but what is passed over: there may be more behind it.
            let goes_on = store.cursor() > before;
            let blocked = tally.blocked.take();
            self.tell(&mut disk, std::mem::take(&mut tally));
            if let Some(error) = blocked {
                self.fail(&mut disk, &error, now);
            }
            match taken {
                Ok(items) if !items.is_empty() => {
                    self.look(&disk, now);
                    return Some(Backlog { items, is_from_disk: true });
                }
                Ok(_) if goes_on => {}
                Ok(_) => break,
                Err(error) => {
                    // Opened anew, it may be read again.
                    disk.cursor = disk.store.take().map(|store| store.cursor());
                    self.fail(&mut disk, &error, now);
                    break;
                }
            }
        }
        self.look(&disk, now);
        drop(disk);
        let items = self.waiting().memory.take_backlog(most, dates);
        (!items.is_empty()).then_some(Backlog { items, is_from_disk: false })
    }

    /// The first `gone` rounds of the batch are delivered, or were refused for good; the others wait on.
    ///
    /// For a thread that may wait.
    pub fn settle(&self, batch: &Backlog, gone: usize, now: Duration) {
        if batch.is_from_disk {
            let mut disk = self.disk();
            if let Some(store) = &mut disk.store {
                store.settle(gone);
            }
            self.look(&disk, now);
            return;
        }
        let (gone, kept) = batch.items.split_at(gone.min(batch.items.len()));
        self.delivered(gone);
        self.put_back(kept);
    }

    /// No live push is under way any longer: what was, is fresh again.
    pub fn end_all_under_way(&self) {
        self.waiting().memory.end_all_under_way();
    }

    /// Brings everything undelivered to the disk, also what is in a request; the target rounds that stay in memory, and so end
    /// with the process.
    ///
    /// For a thread that may wait.
    pub fn close(&self, now: Duration) -> usize {
        let mut disk = self.disk();
        if disk.folders.is_some() {
            // What failed a while ago may work now.
            if disk.store.is_none() {
                self.begin(&mut disk, now);
            }
            self.spill(&mut disk, now, true);
            let mut tally = Tally::default();
            let closed = disk.store.as_mut().map(|store| store.close(&mut tally));
            self.tell(&mut disk, tally);
            if let Some(Err(error)) = closed {
                self.fail(&mut disk, &error, now);
            }
            self.look(&disk, now);
            disk.store = None;
        }
        self.waiting().memory.rounds()
    }

    /// What it holds and has lost.
    pub fn figures(&self) -> Figures {
        let waiting = self.waiting();
        let in_memory = u64::try_from(waiting.memory.rounds()).unwrap_or(u64::MAX);
        let oldest = [waiting.memory.oldest(), waiting.disk.oldest];
        Figures {
            memory_bytes: waiting.memory.bytes(),
            disk_bytes: waiting.disk.bytes,
            rounds: in_memory.saturating_add(waiting.disk.rounds),
            oldest: oldest.into_iter().flatten().min(),
            dropped_samples: waiting.dropped_samples,
            undated_rounds: waiting.undated_rounds,
            damaged_rounds: waiting.damaged_rounds,
            unreadable_entries: waiting.unreadable_entries,
            has_failed: waiting.disk.has_failed,
        }
    }

    /// Opens the disk, or tries the one that failed again: what is open can still be read, and knows what is at the collector.
    /// Whether it can be used, as far as is known.
    fn begin(&self, disk: &mut OnDisk<F>, now: Duration) -> bool {
        let Some(folders) = disk.folders.clone() else { return false };
        let opened = match &disk.store {
            Some(store) => store.find_folder(),
            None => Store::open(folders, self.config.disk, disk.cursor).map(|(store, opened)| {
                disk.told.opened(&opened);
                disk.store = Some(store);
            }),
        };
        let opened = opened.and_then(|()| {
            let is_idle = {
                let waiting = self.waiting();
                !waiting.memory.can_spill(waiting.is_offline)
            };
            match &mut disk.store {
                Some(store) if is_idle => store.prove().map(|()| true),
                // The write that is due shows whether it works.
                Some(_) | None => Ok(false),
            }
        });
        match opened {
            Ok(is_proven) => {
                self.waiting().disk.open_at = None;
                if is_proven {
                    self.works(disk);
                }
                true
            }
            Err(error) => {
                self.fail(disk, &error, now);
                false
            }
        }
    }

    /// Writes what waits in memory, a part at a time; with `all` whatever there is.
    fn spill(&self, disk: &mut OnDisk<F>, now: Duration, all: bool) {
        while let Some(store) = &mut disk.store {
            let rounds = {
                let mut waiting = self.waiting();
                let all = all || waiting.is_offline;
                waiting.memory.begin_spill(SPILL_BYTES, all)
            };
            if rounds.is_empty() {
                break;
            }
            let mut tally = Tally::default();
            let (durable, done) = store.append(&rounds, &mut tally);
            {
                let mut waiting = self.waiting();
                waiting.memory.remove(rounds[..durable].iter().map(|round| round.id));
                waiting.memory.end_spill(rounds[durable..].iter().map(|round| round.id));
            }
            self.tell(disk, tally);
            if let Err(error) = done {
                self.fail(disk, &error, now);
                break;
            }
            self.waiting().disk.spill_at = now + self.config.sync;
            self.works(disk);
        }
    }

    /// The disk cannot be used for now. What can be read from it still is.
    fn fail(&self, disk: &mut OnDisk<F>, error: &store::StoreError, now: Duration) {
        disk.told.failed(error);
        let mut waiting = self.waiting();
        waiting.disk.has_failed = true;
        // A try that was not the one that is due does not put that off.
        let due = waiting.disk.open_at.filter(|at| *at > now);
        waiting.disk.open_at = due.or(Some(now + RETRY.min(self.config.sync * RETRY_SYNCS)));
    }

    fn works(&self, disk: &mut OnDisk<F>) {
        disk.told.works();
        self.waiting().disk.has_failed = false;
    }

    fn tell(&self, disk: &mut OnDisk<F>, tally: Tally) {
        let mut waiting = self.waiting();
        let passed = &tally.passed;
        let dropped = [passed.full, passed.aged, passed.too_long];
        waiting.dropped_samples += dropped.iter().flatten().map(|dropped| dropped.samples).sum::<u64>();
        waiting.undated_rounds += passed.undatable;
        waiting.damaged_rounds += passed.damaged.link_rounds;
        waiting.unreadable_entries += passed.unreadable;
        drop(waiting);
        disk.told.tally(&tally);
    }

    /// Writes down what is known of the disk, for those who must not wait for it.
    fn look(&self, disk: &OnDisk<F>, now: Duration) {
        let mut waiting = self.waiting();
        let seen = &mut waiting.disk;
        let Some(store) = &disk.store else {
            // How much waits there is no less for that.
            (seen.has_waiting, seen.save_at) = (false, None);
            return;
        };
        seen.bytes = store.used_bytes();
        seen.rounds = store.rounds();
        seen.oldest = store.oldest();
        seen.has_waiting = store.has_waiting();
        seen.save_at = match (store.is_saved(), seen.save_at) {
            (true, _) => None,
            (false, None) => Some(now + self.config.sync.min(SAVE_EVERY)),
            (false, at) => at,
        };
        self.wake(&waiting);
    }

    fn wake(&self, waiting: &Waiting) {
        if waiting.tend_at().is_some() {
            self.changed.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self) -> MutexGuard<'_, OnDisk<F>> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn tend_at(&self) -> Option<Duration> {
        if !self.disk.is_there {
            return None;
        }
        let spill = self.memory.can_spill(self.is_offline).then(|| match self.memory.is_half_full() {
            true => Duration::ZERO,
            false => self.disk.spill_at,
        });
        match self.disk.open_at {
            // Nothing else can be done before.
            Some(at) => Some(at),
            None => [spill, self.disk.save_at].into_iter().flatten().min(),
        }
    }

    fn spill_is_due(&self, now: Duration) -> bool {
        self.memory.can_spill(self.is_offline) && (self.disk.spill_at <= now || self.memory.is_half_full())
    }
}

impl Item {
    /// Samples that it makes on the wire.
    pub fn samples(&self) -> u64 {
        self.record.samples()
    }
}

impl Dropped {
    fn add(to: &mut Option<Dropped>, record: &Record, end: UnixMillis) {
        let gone = Dropped { from: end.minus(record.interval), to: end, samples: record.samples() };
        *to = Some(to.map_or(gone, |so_far| so_far.with(gone)));
    }

    fn with(self, other: Dropped) -> Dropped {
        Dropped {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            samples: self.samples + other.samples,
        }
    }
}

/// The offset by which a moment has this time.
fn offset_of(moment: &Stamp, time: UnixMillis) -> i64 {
    time.millis_since(UnixMillis(signed(moment.since_boot)))
}

fn wall_at(since_boot: u64, offset: i64) -> UnixMillis {
    UnixMillis(signed(since_boot)).plus_millis(offset)
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
