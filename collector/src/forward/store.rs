//! One store: its two streams, its shards, its cursor and its figures.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wan_journal::{Item, JournalError, Reader, Seq};
use wan_wire::{Limits, UnixMillis};

use super::answer::Reason;
use super::batch::{Batch, Chunk, Gather};
use super::coverage::{Coverage, GivenUp, Order, Stream};
use super::send::Sender;
use super::{Begun, cursor};
use crate::config::forward::RemoteStore;
use crate::engine::{Command, EngineHandle};
use crate::state::State;
use crate::{clock, record};

/// Chunks of a stream at a time: one on its way, and the next.
const CHUNKS: usize = 2;
/// How often a stream looks for more, once it has read all there is: what comes meanwhile goes together.
const TICK: Duration = Duration::from_millis(200);
/// A stretch of reading takes no longer, and is followed by a rest as long as itself, so that the ingest keeps most of a core.
const SLICE: Duration = Duration::from_millis(20);
/// The backlog's rest after each chunk while the live stream is behind. Not without end: what the live stream is held up by may be one bad request,
/// and only what goes beside it can show that.
const YIELD: Duration = Duration::from_millis(500);
/// How often it is noted where the journal ends, and whether something is to be done.
const BEAT: Duration = Duration::from_millis(100);
/// How often figures are set.
const FIGURES: Duration = Duration::from_secs(1);
/// How often the cursor is made durable. It costs two syncs of the disk.
const SAVE: Duration = Duration::from_secs(2);
/// At the end, what is on its way may still be confirmed for so long.
const GRACE: Duration = Duration::from_secs(2);

/// What the tasks of a store share.
struct Shared {
    store: Arc<RemoteStore>,
    state: Arc<State>,
    engine: EngineHandle,
    coverage: Mutex<Coverage>,
    sender: Sender,
    /// No more is read.
    stop: CancellationToken,
    /// Nothing more is sent.
    cut: CancellationToken,
}

/// What was read at a time, until the last of its batches is settled.
struct Flight {
    shared: Arc<Shared>,
    from: Seq,
    left: AtomicUsize,
    _permit: OwnedSemaphorePermit,
}

impl Flight {
    fn landed(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.coverage.lock().settled(self.from);
        }
    }
}

type Job = (Batch, Arc<Flight>);

/// Forwards to one store until `stop`.
pub(super) async fn run(begun: Begun, state: Arc<State>, engine: EngineHandle, stop: CancellationToken) {
    let Begun { store, reader, end } = begun;
    let mut coverage = Coverage::new(store.order, reader.position(), end);
    if let Some((at, received)) = first(&reader) {
        coverage.know(at.next(), received);
    }
    let counters = Arc::clone(&state.counters);
    counters.forward.begin(store.name.as_str(), store.shards);
    let shared = Arc::new(Shared {
        sender: Sender::new(Arc::clone(&store), counters, engine.clone()),
        store,
        state,
        engine,
        coverage: Mutex::new(coverage),
        stop,
        cut: CancellationToken::new(),
    });
    let mut tasks = JoinSet::new();
    let streams = match shared.store.order {
        Order::LiveFirst => vec![Stream::Live, Stream::Backlog],
        Order::InOrder => vec![Stream::Live],
    };
    for stream in streams {
        let mut shards = Vec::with_capacity(shared.store.shards);
        for _ in 0..shared.store.shards {
            let (sender, jobs) = mpsc::unbounded_channel();
            shards.push(sender);
            tasks.spawn(shard(Arc::clone(&shared), stream, jobs));
        }
        tasks.spawn(follow(Arc::clone(&shared), stream, reader.another(reader.position()), shards));
    }
    keep(&shared).await;
    // Streams end with `stop`, shards when their stream has and all is sent; or when they are cut off.
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        shared.cut.cancel();
        while tasks.join_next().await.is_some() {}
    }
    let done = shared.coverage.lock().cursor();
    shared.engine.send(Command::Done(cursor(&shared.store).into(), done)).await;
}

/// Where the first record is that the reader would read, and when it was received.
fn first(reader: &Reader) -> Option<(Seq, UnixMillis)> {
    let mut reader = reader.another(reader.position());
    match reader.read() {
        Ok(Some(Item::Frame { seq, payload })) => {
            record::parse(payload).ok().map(|record| (seq, record.received))
        }
        Ok(Some(Item::Gap(_)) | None) | Err(_) => None,
    }
}

/// Sends the batches of one shard, one after the other.
async fn shard(shared: Arc<Shared>, stream: Stream, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some((batch, flight)) = jobs.recv().await {
        if shared.sender.settle(stream, &batch, &shared.cut).await.is_err() {
            return;
        }
        flight.landed();
    }
}

/// What reads: moved to a thread that may block, and back.
struct Tail {
    reader: Reader,
    gather: Gather,
    limits: Limits,
}

/// One stream: reads what the coverage has for it, and hands it to its shards.
async fn follow(
    shared: Arc<Shared>,
    stream: Stream,
    reader: Reader,
    shards: Vec<mpsc::UnboundedSender<Job>>,
) {
    let limits = shared.state.config.ingest.limits();
    let mut tail = Tail { reader, gather: Gather::default(), limits };
    let room = Arc::new(Semaphore::new(CHUNKS));
    loop {
        let permit = tokio::select! {
            () = shared.stop.cancelled() => return,
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = tokio::time::sleep(BEAT) => {
                match stream {
                    Stream::Live => {
                        let (now, end, away) = (clock::now(), shared.engine.applied(), shared.sender.away());
                        shared.coverage.lock().leave_past(now, end, away);
                    }
                    Stream::Backlog => {}
                }
                continue;
            }
        };
        let Ok(permit) = permit else { return };
        let range = {
            let mut coverage = shared.coverage.lock();
            match stream {
                Stream::Live => coverage.live(clock::now(), shared.engine.applied(), shared.sender.away()),
                Stream::Backlog => coverage.backlog(),
            }
        };
        let mut rest = TICK;
        if let Some(range) = range {
            let started = clock::monotonic();
            let reading = Arc::clone(&shared);
            let read = tokio::task::spawn_blocking(move || {
                let read = tail.read(&reading, range, started);
                (tail, read)
            });
            let Ok((back, read)) = read.await else {
                tracing::error!(store = %shared.store.name, "forwarding stops until the next start; please report this");
                return;
            };
            tail = back;
            match read {
                Ok(Some((range, chunk))) => {
                    launch(&shared, stream, range, chunk, &shards, permit);
                    rest = clock::monotonic().duration_since(started);
                    let end = shared.engine.applied();
                    let least = match stream {
                        Stream::Live if tail.reader.position() >= end => TICK,
                        Stream::Backlog if shared.coverage.lock().is_pressed(clock::now(), end) => YIELD,
                        Stream::Live | Stream::Backlog => Duration::ZERO,
                    };
                    rest = rest.max(least);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, store = %shared.store.name, "the journal cannot be read for a store; tried again");
                }
            }
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

impl Tail {
    /// Reads as much of a range as one chunk may hold; `None` when there is nothing there yet.
    fn read(
        &mut self,
        shared: &Shared,
        range: Range<Seq>,
        started: Instant,
    ) -> Result<Option<(Range<Seq>, Chunk)>, JournalError> {
        if self.reader.position() != range.start {
            self.reader = self.reader.another(range.start);
        }
        let store = &shared.store;
        let cutoff = clock::now().minus(store.max_age);
        let mut chunk = Chunk::new(store.shards, store.samples);
        // Less than all batches hold, so that few shards need a second one.
        let most = store.shards.saturating_mul(store.samples) * 7 / 8;
        let mut missing = 0;
        while self.reader.position() < range.end
            && chunk.samples < most
            && clock::monotonic().duration_since(started) < SLICE
        {
            match self.reader.read()? {
                None => break,
                Some(Item::Gap(gap)) => {
                    let to = gap.to.next().min(range.end);
                    tracing::warn!(store = %store.name, requests = %gap, "the journal lacks these: the store does not get them");
                    missing += to.0.saturating_sub(gap.from.0);
                }
                Some(Item::Frame { seq, payload }) => {
                    let read = self.gather.read(
                        payload,
                        &shared.state,
                        &self.limits,
                        &store.labels,
                        cutoff,
                        &mut chunk,
                    );
                    if let Err(error) = read {
                        chunk.unreadable += 1;
                        tracing::warn!(%seq, error, store = %store.name, "a journal record is not readable for forwarding");
                    }
                }
            }
        }
        let end = self.reader.position().min(range.end);
        if end <= range.start {
            return Ok(None);
        }
        let counters = &shared.state.counters.forward;
        let name = store.name.as_str();
        counters.given_up.with_label_values(&[name]).inc_by(missing + chunk.unreadable + chunk.too_old);
        counters.refused(name, Reason::Histogram).inc_by(chunk.histograms);
        counters.refused(name, Reason::Exemplar).inc_by(chunk.exemplars);
        Ok(Some((range.start..end, chunk)))
    }
}

/// Hands a chunk to the shards.
fn launch(
    shared: &Arc<Shared>,
    stream: Stream,
    range: Range<Seq>,
    chunk: Chunk,
    shards: &[mpsc::UnboundedSender<Job>],
    permit: OwnedSemaphorePermit,
) {
    let received = chunk.oldest.unwrap_or_else(clock::now);
    shared.coverage.lock().began(stream, range.start, range.end, received);
    let batches: usize = chunk.batches.iter().map(Vec::len).sum();
    let flight = Arc::new(Flight {
        shared: Arc::clone(shared),
        from: range.start,
        // One more for the hands that it leaves here.
        left: AtomicUsize::new(batches + 1),
        _permit: permit,
    });
    for (shard, batches) in shards.iter().zip(chunk.batches) {
        for batch in batches {
            // A shard ends before its stream only when it was cut off; then nothing is settled any more.
            let _ = shard.send((batch, Arc::clone(&flight)));
        }
    }
    flight.landed();
}

/// Keeps the store's cursor and figures, and gives up what is too old or gone, until `stop`.
async fn keep(shared: &Shared) {
    let (mut saved, mut said) = (clock::monotonic(), clock::monotonic());
    let mut cursor_was = None;
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(BEAT) => {}
        }
        let (now, end) = (clock::now(), shared.engine.applied());
        shared.coverage.lock().note(now, end);
        let at = clock::monotonic();
        if at.duration_since(said) >= FIGURES {
            said = at;
            give_up(shared, now);
            say(shared, now, end);
        }
        if at.duration_since(saved) >= SAVE {
            saved = at;
            let done = shared.coverage.lock().cursor();
            if cursor_was != Some(done) {
                shared.engine.send(Command::Done(cursor(&shared.store).into(), done)).await;
                cursor_was = Some(done);
            }
        }
    }
}

/// Gives up what is older than it may be, and what the journal has no more.
fn give_up(shared: &Shared, now: UnixMillis) {
    let (store, zone) = (&shared.store, &shared.state.config.timezone);
    let (old, gone) = {
        let mut coverage = shared.coverage.lock();
        let old = coverage.older_than(now.minus(store.max_age)).and_then(|end| coverage.give_up(end));
        (old, coverage.give_up(shared.engine.kept()))
    };
    for (given_up, why) in
        [(old, "it is older than max_age"), (gone, "there was no more room for it in the journal")]
    {
        let Some(GivenUp { requests, range: _, since, until }) = given_up else { continue };
        let local = |at: Option<UnixMillis>| at.map(|at| crate::localtime::plain(at, zone));
        let (since, until) = (local(since), local(until));
        tracing::warn!(
            store = %store.name,
            requests,
            since,
            until,
            "the store was away for too long: what was received then is given up, since {why}"
        );
        shared.state.counters.forward.given_up.with_label_values(&[store.name.as_str()]).inc_by(requests);
    }
}

fn say(shared: &Shared, now: UnixMillis, end: Seq) {
    let (missing, oldest, live) = {
        let coverage = shared.coverage.lock();
        (coverage.missing(end), coverage.oldest(end), coverage.oldest_live(end))
    };
    let seconds = |at: Option<UnixMillis>| at.map_or(0.0, |at| now.since(at).as_secs_f64());
    shared.state.counters.forward.say(shared.store.name.as_str(), missing, seconds(oldest), seconds(live));
}
