//! The journal's second reader: from records to stored figures.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use wan_journal::{Item, JournalError, Reader, Seq};
use wan_wire::{AssembledRound, Limits, LinkName, RoundFacts, SiteId, UnixMillis};

use super::bucket::{Bucket, SHORTEST_ROUND_MS};
use super::codec::{Unreadable, decode_day, decode_hour, encode_day, encode_hour};
use super::hour::{DAY_HOURS, HOUR_MS, Hour, Place, day_of};
use super::recent::{LastMinutes, Recent};
use super::{HOURS_KEPT, MAX_TARGETS, MINUTES_KEPT, RowKey, Rows, Stream, StreamId, Table};
use crate::engine::{Command, EngineHandle, QUALITY_CURSOR};
use crate::ingest::series::{RoundKey, TakeRounds, decode_rounds};
use crate::report::quality::Limits as QualityLimits;
use crate::state::{SiteRuntime, State};
use crate::store::{Store, StoreError};
use crate::{clock, record};

/// So many rounds wait in memory at most, some 20 MB; at that many they are written at once.
pub const MOST_PENDING: usize = 200_000;
/// Figures are written after so many of the configuration's checkpoint intervals: a minute by default, since a row has the minutes
/// of an hour and is written as a whole.
const CHECKPOINTS: u32 = 6;
/// How often the journal is looked at.
const TICK: Duration = Duration::from_secs(1);
/// A slice of reading takes no longer, and is followed by a rest as long as itself.
const SLICE: Duration = Duration::from_millis(20);
/// The least rest after a part of writing, as for a checkpoint.
const REST: Duration = Duration::from_millis(5);
/// Hours written in one transaction: some ten milliseconds of the store's work.
const PART: usize = 1000;
/// Old rows that one transaction thins or deletes.
const PIECE: u32 = 500;
/// How often what is too old is looked for.
const PRUNE: Duration = Duration::from_secs(600);
/// Hours are closed for good this much later than the oldest round is accepted, so that the two never meet.
const SLACK: Duration = Duration::from_secs(86_400);

/// Why a round is not in the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It is shorter than [`SHORTEST_ROUND_MS`].
    Short,
    /// Its link has [`MAX_TARGETS`] other targets.
    Targets,
    /// Its hour is closed: which rounds it has is not known any more.
    Closed,
}

impl LeftOut {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Short, Self::Targets, Self::Closed];

    /// The word for it in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Targets => "targets",
            Self::Closed => "closed",
        }
    }
}

/// One round as it waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    place: Place,
    facts: RoundFacts,
}

/// What is known of a stream by its digest.
#[derive(Debug)]
struct Known {
    stream: Stream,
    id: Option<StreamId>,
    waiting: Vec<Waiting>,
}

/// Streams, and their rounds that are not in the store yet.
#[derive(Debug, Default)]
struct Pending {
    streams: HashMap<u128, Known>,
    /// How many targets each link has, by vantage.
    targets: HashMap<(SiteId, LinkName, SiteId), usize>,
    rounds: usize,
    left_out: BTreeMap<LeftOut, u64>,
    /// The last minutes, where a contract promises something that they are held against.
    recent: Option<Recent>,
}

impl Pending {
    fn learn(&mut self, digest: u128, stream: Stream, id: Option<StreamId>) {
        let link = (stream.site.clone(), stream.link.clone(), stream.vantage.clone());
        *self.targets.entry(link).or_default() += 1;
        self.streams.insert(digest, Known { stream, id, waiting: Vec::new() });
    }

    fn leave_out(&mut self, why: LeftOut, rounds: u64) {
        *self.left_out.entry(why).or_default() += rounds;
    }
}

/// The rounds of one record.
struct Sent<'p> {
    pending: &'p mut Pending,
    sender: &'p Arc<SiteRuntime>,
}

impl TakeRounds for Sent<'_> {
    fn expect(&mut self, _: usize) {}

    fn take(&mut self, key: &RoundKey, round: &AssembledRound) {
        if round.facts.fault || round.facts.sent == 0 {
            return;
        }
        if round.interval_ms < SHORTEST_ROUND_MS {
            self.pending.leave_out(LeftOut::Short, 1);
            return;
        }
        let digest = key.digest();
        if !self.pending.streams.contains_key(&digest) {
            let stream = key.stream(&self.sender.id);
            let link = (stream.site.clone(), stream.link.clone(), stream.vantage.clone());
            if self.pending.targets.get(&link).is_some_and(|targets| *targets >= MAX_TARGETS) {
                self.pending.leave_out(LeftOut::Targets, 1);
                return;
            }
            self.pending.learn(digest, stream, None);
        }
        if let Some(recent) = &mut self.pending.recent {
            recent.take(digest, || key.stream(&self.sender.id), round.end, &round.facts);
        }
        if let Some(known) = self.pending.streams.get_mut(&digest) {
            known.waiting.push(Waiting { place: Place::of(round.end), facts: round.facts });
            self.pending.rounds += 1;
        }
    }
}

/// What reads: moved to a thread that may block for each slice, and back.
struct Tail {
    reader: Reader,
    state: Arc<State>,
    limits: Limits,
    pending: Pending,
    /// When the first record that is not in the store yet was received.
    oldest: Option<UnixMillis>,
}

/// How a slice ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slice {
    /// There may be more.
    More,
    /// At the journal's end for now.
    End,
    /// As many rounds wait as may.
    Full,
}

impl Tail {
    fn slice(&mut self, started: Instant) -> Result<Slice, JournalError> {
        loop {
            if self.pending.rounds >= MOST_PENDING {
                return Ok(Slice::Full);
            }
            match self.reader.read()? {
                None => return Ok(Slice::End),
                Some(Item::Gap(gap)) => {
                    tracing::warn!(requests = %gap, "the journal lacks these: the figures of quality are without their rounds");
                    self.state.counters.quality_missed.inc_by(gap.count());
                }
                Some(Item::Frame { seq, payload }) => {
                    let received = read(&self.state, &self.limits, payload, &mut self.pending);
                    match received {
                        Ok(received) => self.oldest = self.oldest.or(Some(received)),
                        Err(error) => {
                            tracing::warn!(%seq, error, "a journal record is not readable for the figures of quality");
                            self.state.counters.quality_missed.inc();
                        }
                    }
                }
            }
            if clock::monotonic().duration_since(started) >= SLICE {
                return Ok(Slice::More);
            }
        }
    }
}

fn read(state: &State, limits: &Limits, payload: &[u8], pending: &mut Pending) -> Result<UnixMillis, String> {
    let record = record::parse(payload).map_err(|error| error.to_string())?;
    let directory = state.directory();
    // The engine has taken it, so its site, or sender, is known.
    let sender =
        directory.runtimes.get(&record.site).ok_or_else(|| format!("no site or sender {}", record.site))?;
    let mut sent = Sent { pending, sender };
    decode_rounds(&state.config, &directory, sender, &record, limits, &mut sent)
        .map_err(|error| error.to_string())?;
    Ok(record.received)
}

/// Follows the journal and writes figures.
pub struct Follower<S> {
    tail: Option<Tail>,
    state: Arc<State>,
    store: Arc<S>,
    engine: EngineHandle,
    /// What the store has.
    written: Seq,
    wrote: Instant,
    pruned: Option<Instant>,
}

impl<S: Store> Follower<S> {
    /// Begins where `reader` stands, which is where the store's figures end.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(
        state: Arc<State>,
        store: Arc<S>,
        engine: EngineHandle,
        reader: Reader,
    ) -> Result<Self, StoreError> {
        let promised = state.config.contracts.iter().any(|contract| QualityLimits::of(contract).is_some());
        let mut pending = Pending { recent: promised.then(Recent::default), ..Pending::default() };
        for (id, stream) in store.quality_streams(None).await? {
            pending.learn(stream.digest(), stream, Some(id));
        }
        let written = reader.position();
        let limits = state.config.ingest.limits();
        let tail = Tail { reader, state: Arc::clone(&state), limits, pending, oldest: None };
        Ok(Self { tail: Some(tail), state, store, engine, written, wrote: clock::monotonic(), pruned: None })
    }

    /// Follows until `stop`, then writes what it has read; the journal has the rest.
    pub async fn run(mut self, stop: CancellationToken) {
        let every = self.state.config.checkpoint_interval * CHECKPOINTS;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(TICK.min(every)) => {}
            }
            self.read(&stop).await;
            self.close_minutes();
            if clock::monotonic().duration_since(self.wrote) >= every {
                self.write(true).await;
            }
            self.say();
            if self.pruned.is_none_or(|at| clock::monotonic().duration_since(at) >= PRUNE) {
                self.prune(&stop).await;
                self.pruned = Some(clock::monotonic());
            }
        }
        self.write(false).await;
    }

    /// Reads to the journal's end, in slices; writes whenever as much waits as may.
    async fn read(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let Some(mut tail) = self.tail.take() else { return };
            if tail.reader.position() >= self.engine.applied() {
                self.tail = Some(tail);
                return;
            }
            let started = clock::monotonic();
            let slice = tokio::task::spawn_blocking(move || {
                let slice = tail.slice(started);
                (tail, slice)
            });
            let slice = match slice.await {
                Ok((tail, slice)) => {
                    self.tail = Some(tail);
                    slice
                }
                Err(error) => {
                    tracing::error!(%error, "the figures of quality stop until the next start; please report this");
                    return;
                }
            };
            match slice {
                Ok(Slice::More) => {}
                Ok(Slice::End) => return,
                Ok(Slice::Full) => {
                    if !self.write(true).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be read for the figures of quality; tried again");
                    return;
                }
            }
            let worked = clock::monotonic().duration_since(started);
            tokio::time::sleep(worked.max(REST)).await;
        }
    }

    /// Writes what waits; what cannot be written waits on. Whether it worked.
    async fn write(&mut self, gentle: bool) -> bool {
        self.wrote = clock::monotonic();
        let Some(tail) = &mut self.tail else { return false };
        let position = tail.reader.position();
        if position == self.written {
            return true;
        }
        let counters = Arc::clone(&self.state.counters);
        match flush(&*self.store, &mut tail.pending, position, gentle).await {
            Ok(rounds) => {
                counters.quality_rounds.inc_by(rounds);
                for (why, rounds) in std::mem::take(&mut tail.pending.left_out) {
                    counters.quality_left_out.with_label_values(&[why.as_str()]).inc_by(rounds);
                }
                tail.oldest = None;
                self.written = position;
                // When the engine has stopped, the next start moves the cursor.
                self.engine.send(Command::Done(QUALITY_CURSOR.into(), position)).await;
                true
            }
            Err(error) => {
                counters.quality_failures.inc();
                tracing::error!(%error, "the figures of quality could not be written; tried again");
                false
            }
        }
    }

    /// Tells the figures of the last minutes, once one more of them is closed.
    fn close_minutes(&mut self) {
        let Some(recent) = self.tail.as_mut().and_then(|tail| tail.pending.recent.as_mut()) else { return };
        let now = clock::now();
        if self.state.last_minutes().window != LastMinutes::window_at(now) {
            self.state.set_last_minutes(recent.figures(now));
        }
    }

    /// How far the stored figures are behind.
    fn say(&self) {
        let Some(tail) = &self.tail else { return };
        let waits = self.engine.applied() > self.written;
        let now = clock::now();
        let behind = tail.oldest.filter(|_| waits).map_or(0, |oldest| now.millis_since(oldest).max(0));
        self.state.counters.quality_behind.set(behind as f64 / 1000.0);
    }

    /// Takes the minutes from hours that are too old for them, and deletes what is too old altogether; in small pieces.
    async fn prune(&self, stop: &CancellationToken) {
        let closed = self.state.config.ingest.max_age.max(MINUTES_KEPT) + SLACK;
        let now = clock::now();
        let hour = |kept: Duration| now.minus(kept).0.div_euclid(HOUR_MS);
        while !stop.is_cancelled() {
            let done = async {
                let thinned = thin(&*self.store, hour(MINUTES_KEPT)).await?;
                let closed = self.store.delete_quality_before(Table::Seen, hour(closed), PIECE).await?;
                let day = hour(HOURS_KEPT).div_euclid(DAY_HOURS);
                let old = self.store.delete_quality_before(Table::Hours, day, PIECE).await?;
                Ok::<_, StoreError>(thinned + closed + old)
            };
            match done.await {
                Ok(0) => return,
                Ok(_) => tokio::time::sleep(REST * 10).await,
                Err(error) => {
                    tracing::warn!(%error, "old figures of quality could not be deleted; tried again later");
                    return;
                }
            }
        }
    }
}

/// Why what waits was not written.
#[derive(Debug, thiserror::Error)]
enum FlushError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("adding up broke off: {0}")]
    Died(#[from] tokio::task::JoinError),
}

/// Writes all that waits in parts, and with the last part the position behind it. On an error all of it waits on: what of it
/// is in the store by then is found there when it is written again. How many rounds were new.
async fn flush<S: Store>(
    store: &S,
    pending: &mut Pending,
    position: Seq,
    gentle: bool,
) -> Result<u64, FlushError> {
    number(store, pending).await?;
    let mut parts = Parts::of(pending);
    let (mut rounds, mut closed) = (0, 0);
    loop {
        let started = clock::monotonic();
        let part = parts.next();
        let is_last = parts.is_empty();
        let found = Found::of(store, &part).await?;
        let mut merged = tokio::task::spawn_blocking(move || merge(part, found)).await?;
        merged.rows.position = is_last.then_some(position.0);
        store.write_quality(&merged.rows).await?;
        rounds += merged.rounds;
        closed += merged.closed;
        if is_last {
            break;
        }
        if gentle {
            tokio::time::sleep(clock::monotonic().duration_since(started).max(REST)).await;
        }
    }
    for known in pending.streams.values_mut() {
        // An hour of backlog does not hold its memory for ever.
        known.waiting = Vec::new();
    }
    pending.rounds = 0;
    if closed > 0 {
        pending.leave_out(LeftOut::Closed, closed);
    }
    Ok(rounds)
}

/// Gives numbers to the streams that have none yet.
async fn number<S: Store>(store: &S, pending: &mut Pending) -> Result<(), StoreError> {
    let mut new: Vec<(Stream, u128)> = pending
        .streams
        .iter()
        .filter(|(_, known)| known.id.is_none())
        .map(|(digest, known)| (known.stream.clone(), *digest))
        .collect();
    new.sort_unstable();
    for part in new.chunks(PART) {
        let streams: Vec<Stream> = part.iter().map(|(stream, _)| stream.clone()).collect();
        for ((_, digest), id) in part.iter().zip(store.quality_stream_ids(&streams).await?) {
            if let Some(known) = pending.streams.get_mut(digest) {
                known.id = Some(id);
            }
        }
    }
    Ok(())
}

/// Rounds by the row that they belong to.
type Part = Vec<(RowKey, Vec<Waiting>)>;

/// All that waits, in the order of the rows.
struct Parts(std::iter::Peekable<std::collections::btree_map::IntoIter<RowKey, Vec<Waiting>>>);

impl Parts {
    fn of(pending: &Pending) -> Self {
        let mut rows: BTreeMap<RowKey, Vec<Waiting>> = BTreeMap::new();
        for known in pending.streams.values() {
            let Some(stream) = known.id else { continue };
            for waiting in &known.waiting {
                rows.entry(RowKey { number: waiting.place.hour, stream }).or_default().push(*waiting);
            }
        }
        Self(rows.into_iter().peekable())
    }

    fn next(&mut self) -> Part {
        self.0.by_ref().take(PART).collect()
    }

    fn is_empty(&mut self) -> bool {
        self.0.peek().is_none()
    }
}

/// What the store has of a part's rows.
struct Found {
    minutes: BTreeMap<RowKey, Vec<u8>>,
    seen: BTreeMap<RowKey, Vec<u8>>,
    hours: BTreeMap<RowKey, Vec<u8>>,
}

impl Found {
    async fn of<S: Store>(store: &S, part: &Part) -> Result<Self, StoreError> {
        let keys: Vec<RowKey> = part.iter().map(|(key, _)| *key).collect();
        let minutes = store.quality_rows(Table::Minutes, &keys).await?;
        let others: Vec<RowKey> = keys.iter().filter(|key| !minutes.contains_key(key)).copied().collect();
        let seen = store.quality_rows(Table::Seen, &others).await?;
        let mut days: Vec<RowKey> =
            keys.iter().map(|key| RowKey { number: day_of(key.number).0, ..*key }).collect();
        days.sort_unstable();
        days.dedup();
        let hours = store.quality_rows(Table::Hours, &days).await?;
        Ok(Self { minutes, seen, hours })
    }
}

/// A part as it is to be written.
#[derive(Default)]
struct Merged {
    rows: Rows,
    rounds: u64,
    closed: u64,
}

/// Counts the rounds of a part in.
fn merge(part: Part, found: Found) -> Merged {
    let mut merged = Merged::default();
    let mut days = BTreeMap::new();
    for (key, waiting) in part {
        let (day, at) = day_of(key.number);
        let day_key = RowKey { number: day, ..key };
        let (day, changed) = days.entry(day_key).or_insert_with(|| {
            let day = found.hours.get(&day_key).map(|bytes| decode_day(bytes));
            (readable(day, day_key).unwrap_or_default(), false)
        });
        let stored = found.minutes.get(&key).or_else(|| found.seen.get(&key));
        let hour = readable(stored.map(|bytes| decode_hour(bytes)), key);
        let mut hour = match hour {
            Some(hour) => hour,
            None if stored.is_none() && day.0.contains_key(&at) => {
                merged.closed += waiting.len() as u64;
                continue;
            }
            None => Hour::default(),
        };
        let before = merged.rounds;
        for Waiting { place, facts } in &waiting {
            let new = Bucket::of(facts).is_some_and(|round| hour.insert(*place, &round));
            merged.rounds += u64::from(new);
        }
        if merged.rounds == before {
            continue;
        }
        day.0.insert(at, hour.total());
        *changed = true;
        let bytes = encode_hour(&hour);
        match hour {
            Hour::Full(_) => merged.rows.minutes.push((key, bytes)),
            Hour::Thin { .. } => merged.rows.seen.push((key, bytes)),
        }
    }
    let changed = days.into_iter().filter(|(_, (_, changed))| *changed);
    merged.rows.hours = changed.map(|(key, (day, _))| (key, encode_day(&day))).collect();
    merged
}

/// A row that cannot be read has been damaged where it was stored; it begins anew.
fn readable<T>(row: Option<Result<T, Unreadable>>, key: RowKey) -> Option<T> {
    row?.inspect_err(|error| tracing::error!(?key, %error, "figures of quality in the store are damaged"))
        .ok()
}

/// Takes the minutes from a piece of the rows before `hour`; how many it were.
async fn thin<S: Store>(store: &S, hour: i64) -> Result<u64, StoreError> {
    let old = store.quality_rows_before(Table::Minutes, hour, PIECE).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let count = old.len() as u64;
    let seen = |(key, bytes): (RowKey, Vec<u8>)| {
        let hour = readable(Some(decode_hour(&bytes)), key).unwrap_or_default();
        (key, encode_hour(&hour.thin()))
    };
    let rows = Rows { seen: old.into_iter().map(seen).collect(), ..Rows::default() };
    store.write_quality(&rows).await?;
    Ok(count)
}
