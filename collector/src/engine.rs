//! The engine: the one writer (design.md, invariants 3 and 9).
//!
//! Handlers authenticate and decode in parallel, and hand over a [`Submission`]: the request as it came and the rounds
//! that were read in it. The engine is one thread that takes all submissions that wait, appends each to the journal, syncs
//! the journal **once** for the group, then paints the rounds into the evidence and answers every handler. So:
//!
//! - a 2xx is sent after the sync, never before: what was acknowledged survives `kill -9` and a power cut;
//! - evidence that a reader can see is already durable, because painting comes after the sync;
//! - a busy disk makes groups larger, not answers wrong: the cost of a sync is shared by all who wait for it.
//!
//! It is a thread, not a task: it blocks in `fdatasync`, and while it does, the handlers decode the next group.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};
use wan_journal::{Journal, JournalError, Seq};
use wan_wire::{Outcome, UnixMillis};

use crate::clock;
use crate::counters::Counters;
use crate::ledger::life::Life;
use crate::state::{AgentFacts, Latest, SiteRuntime};

/// The name of the journal cursor behind which everything is in the store's evidence.
pub const LEDGER_CURSOR: &str = "ledger";
/// The name of the journal cursor behind which everything is in the store's figures of quality.
pub const QUALITY_CURSOR: &str = "quality";

/// At most this many submissions share one sync: beyond it the first of them would wait for the last one's append.
const GROUP_SUBMISSIONS: usize = 512;
/// At most this many bytes share one sync, for the same reason: about 10 ms of a slow disk's writing.
const GROUP_BYTES: usize = 8 << 20;

/// One observed span that is to be merged into the evidence.
#[derive(Debug)]
pub struct Painting {
    /// The site that the round is about, where it is not the sender's own.
    pub about: Option<Arc<SiteRuntime>>,
    /// Index of the track in that site's evidence.
    pub track: u32,
    /// Start of the span, inclusive.
    pub start: UnixMillis,
    /// End of the span, exclusive: the round's timestamp.
    pub end: UnixMillis,
    /// What the round showed.
    pub outcome: Outcome,
    /// The round's figures, for "now" displays.
    pub latest: Latest,
}

/// One accepted request on its way to the journal.
#[derive(Debug)]
pub struct Submission {
    /// Who sent it, by its credential.
    pub site: Arc<SiteRuntime>,
    /// When the collector received it.
    pub received: UnixMillis,
    /// The journal record: the request as it came ([`crate::record`]).
    pub record: Vec<u8>,
    /// What it says about links.
    pub paintings: Vec<Painting>,
    /// What it says about the agent itself, if anything.
    pub facts: Option<Box<AgentFacts>>,
    /// Which boot and start of the agent it tells of.
    pub lives: Vec<Life>,
    /// Told once the record is durable, or why it is not.
    pub reply: oneshot::Sender<Result<(), CommitError>>,
}

/// Why a submission was not made durable. The sender keeps its data and tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The journal is at its size limit: the store has not taken a checkpoint for long.
    #[error("the journal is full; see the collector's log")]
    JournalFull,
    /// The disk refused an append or a sync.
    #[error("the journal could not be written; see the collector's log")]
    JournalFailed,
}

/// What can be asked of the engine.
#[derive(Debug)]
pub enum Command {
    /// Make this durable and derive from it.
    Submit(Submission),
    /// The owner of this cursor is done with everything before this journal position: the journal may forget what every
    /// cursor has passed.
    Done(Cow<'static, str>, Seq),
    /// Answer with when the engine took this up: proves that it is alive.
    Ping(oneshot::Sender<UnixMillis>),
    /// Sync and stop.
    Stop,
}

/// Most bytes that the journal may take for the sake of each cursor, by name. The ledger's has no bound: what is not in the evidence
/// stays, and past the journal's own limit pushes are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room(BTreeMap<String, u64>);

impl Room {
    /// The same with a bound for one more cursor.
    #[must_use]
    pub fn with(mut self, cursor: &str, bytes: u64) -> Self {
        self.0.insert(cursor.to_owned(), bytes);
        self
    }
}

/// So much for the figures of quality.
impl From<u64> for Room {
    fn from(bytes: u64) -> Self {
        Self::default().with(QUALITY_CURSOR, bytes)
    }
}

/// The handlers' side of the engine.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    sender: mpsc::Sender<Command>,
    counters: Arc<Counters>,
    applied: Arc<AtomicU64>,
    kept: Arc<AtomicU64>,
}

/// Why a submission was not taken up at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many requests wait for the disk.
    #[error("too many requests wait for the journal")]
    Busy,
    /// The collector is stopping.
    #[error("the collector is stopping")]
    Stopped,
}

impl EngineHandle {
    /// Hands a submission over without waiting for room.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] when the engine's queue is full: the caller answers 429, and the sender keeps its data.
    pub fn submit(&self, submission: Submission) -> Result<(), SubmitError> {
        // Counted before it is sent: the engine may have taken it before this thread runs on.
        self.counters.queue.inc();
        self.sender.try_send(Command::Submit(submission)).map_err(|error| {
            self.counters.queue.dec();
            match error {
                mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
                mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
            }
        })
    }

    /// Sends any other command, waiting for room; false when the engine has stopped.
    pub async fn send(&self, command: Command) -> bool {
        self.sender.send(command).await.is_ok()
    }

    /// The journal position behind which every record is in the in-memory evidence.
    #[must_use]
    pub fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::Acquire))
    }

    /// The journal position before which nothing is kept any more.
    #[must_use]
    pub fn kept(&self) -> Seq {
        Seq(self.kept.load(Ordering::Acquire))
    }

    /// Whether the engine has stopped, as it does when its thread ends.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.sender.is_closed()
    }
}

/// Starts the engine's thread over an opened, already replayed journal.
///
/// `queue` bounds how many submissions may wait; past it handlers answer 429. Past the bytes that `room` has for a cursor the journal
/// waits for it no longer: what only figures of quality, or a store that is away, still want of it goes, so that pushes are not refused.
///
/// # Errors
/// When the operating system refuses another thread.
pub fn start(
    journal: Journal,
    queue: usize,
    room: impl Into<Room>,
    counters: Arc<Counters>,
) -> std::io::Result<(EngineHandle, std::thread::JoinHandle<()>)> {
    let (sender, receiver) = mpsc::channel(queue);
    let applied = Arc::new(AtomicU64::new(journal.next_seq().0));
    let kept = Arc::new(AtomicU64::new(journal.oldest().0));
    let handle = EngineHandle {
        sender,
        counters: Arc::clone(&counters),
        applied: Arc::clone(&applied),
        kept: Arc::clone(&kept),
    };
    let engine = Engine { journal, room: room.into(), applied, kept, counters };
    let thread = std::thread::Builder::new().name("engine".into()).spawn(move || engine.run(receiver))?;
    Ok((handle, thread))
}

struct Engine {
    journal: Journal,
    room: Room,
    applied: Arc<AtomicU64>,
    kept: Arc<AtomicU64>,
    counters: Arc<Counters>,
}

impl Engine {
    fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let mut group: Vec<Submission> = Vec::with_capacity(GROUP_SUBMISSIONS);
        while let Some(first) = receiver.blocking_recv() {
            let mut bytes = 0;
            let mut next = Some(first);
            let mut stop = false;
            while let Some(command) = next.take() {
                match command {
                    Command::Submit(submission) => {
                        bytes += submission.record.len();
                        group.push(submission);
                    }
                    Command::Done(cursor, seq) => self.done(&cursor, seq),
                    Command::Ping(reply) => drop(reply.send(clock::now())),
                    Command::Stop => {
                        stop = true;
                        break;
                    }
                }
                if group.len() < GROUP_SUBMISSIONS && bytes < GROUP_BYTES {
                    next = receiver.try_recv().ok();
                }
            }
            if !group.is_empty() {
                self.commit(&mut group);
            }
            if stop {
                break;
            }
        }
    }

    /// Appends, syncs, paints, answers: in this order.
    fn commit(&mut self, group: &mut Vec<Submission>) {
        let started = clock::monotonic();
        let result = self.write(group);
        let synced = clock::monotonic();
        self.counters.journal_sync_seconds.observe(synced.duration_since(started).as_secs_f64());
        self.counters.group_size.observe(group.len() as f64);
        self.counters.queue.sub(i64::try_from(group.len()).unwrap_or(i64::MAX));
        self.counters.journal_bytes.set(i64::try_from(self.journal.used_bytes()).unwrap_or(i64::MAX));
        match result {
            Ok(()) => {
                for submission in group.drain(..) {
                    let Submission { site, received, paintings, facts, lives, reply, .. } = submission;
                    apply(&site, received, paintings, facts, lives);
                    // A handler whose client has gone no longer listens; the data is kept all the same.
                    let _ = reply.send(Ok(()));
                }
                self.applied.store(self.journal.next_seq().0, Ordering::Release);
                self.keep_room();
            }
            Err(error) => {
                for submission in group.drain(..) {
                    let _ = submission.reply.send(Err(error));
                }
            }
        }
    }

    fn write(&mut self, group: &[Submission]) -> Result<(), CommitError> {
        for submission in group {
            if let Err(error) = self.journal.append(&submission.record) {
                tracing::error!(%error, "cannot append to the journal; nothing of this group is acknowledged");
                // The senders are told to send all of it again, so none of it need be tried again here.
                self.journal.discard_unsynced();
                self.counters.journal_failures.inc();
                return Err(if matches!(error, JournalError::Full { .. }) {
                    CommitError::JournalFull
                } else {
                    CommitError::JournalFailed
                });
            }
        }
        self.journal.sync().map(drop).map_err(|error| {
            tracing::error!(%error, "cannot sync the journal; nothing of this group is acknowledged");
            self.journal.discard_unsynced();
            self.counters.journal_failures.inc();
            CommitError::JournalFailed
        })
    }

    fn done(&mut self, cursor: &str, seq: Seq) {
        // It may have been moved on meanwhile, to keep room.
        let seq = self.journal.cursor(cursor).map_or(seq, |at| at.max(seq));
        if let Err(error) = self.journal.set_cursor(cursor, seq) {
            tracing::error!(%error, cursor, "cannot move the journal's cursor; its old segments stay");
            return;
        }
        self.trim();
        self.keep_room();
    }

    fn trim(&mut self) {
        if let Err(error) = self.journal.trim() {
            tracing::error!(%error, "cannot delete old journal segments");
        }
        self.kept.store(self.journal.oldest().0, Ordering::Release);
    }

    /// Lets the oldest segments go that are in the evidence and that only others wait for, while the journal takes more than it
    /// should for these. Their readers find a gap, count and log it.
    fn keep_room(&mut self) {
        loop {
            let used = self.journal.used_bytes();
            if self.room.0.values().all(|bound| used <= *bound) {
                return;
            }
            let (Some(end), Some(ledger)) = (self.journal.oldest_end(), self.journal.cursor(LEDGER_CURSOR))
            else {
                return;
            };
            let is_late = |cursor: &str| self.journal.cursor(cursor).is_some_and(|at| at < end);
            let late = self.room.0.iter().filter(|(cursor, bound)| used > **bound && is_late(cursor));
            let late: Vec<String> = late.map(|(cursor, _)| cursor.clone()).collect();
            if ledger < end || late.is_empty() {
                return;
            }
            for cursor in late {
                tracing::warn!(cursor, before = %end, "the journal has no more room for this reader: it loses what it has not read");
                if let Err(error) = self.journal.set_cursor(&cursor, end) {
                    tracing::error!(%error, "cannot move the journal's cursor; its old segments stay");
                    return;
                }
            }
            self.trim();
            if self.journal.oldest() < end {
                return;
            }
        }
    }
}

/// Merges what one durable request says into the site's state. Also used by the replay at start: both paths are one.
pub fn apply(
    site: &Arc<SiteRuntime>,
    received: UnixMillis,
    paintings: Vec<Painting>,
    facts: Option<Box<AgentFacts>>,
    lives: Vec<Life>,
) {
    site.note_push(received);
    if let Some(facts) = facts {
        site.note_facts(*facts);
    }
    if !lives.is_empty() {
        site.note_lives(lives);
    }
    // One lock at a time: a reader that walks over all sites may hold any other.
    {
        let mut own = site.evidence_mut();
        for painting in paintings.iter().filter(|painting| painting.about.is_none()) {
            own.paint(painting);
        }
    }
    for painting in &paintings {
        if let Some(subject) = &painting.about {
            subject.evidence_mut().paint(painting);
        }
    }
}
