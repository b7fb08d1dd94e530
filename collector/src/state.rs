//! What the running collector holds in memory: the register, who may speak for whom, and every site's evidence.
//!
//! The engine is the only writer of evidence; readers (API, metrics, page, checkpoint) take one site's lock at a time and
//! briefly. The register is replaced as a whole when the store's revision changes, and evidence outlives it: a site that
//! leaves the register keeps what was seen of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::{Notify, watch};
use wan_wire::{LinkName, Outcome, SiteId, UnixMillis};

use crate::alert::pulse::Pulse;
use crate::attempts::Attempts;
use crate::central::{Central, Document, Slot};
use crate::clock::guard::Guard;
use crate::config::Config;
use crate::config::alerts::Alerts;
use crate::counters::Counters;
use crate::credential;
use crate::engine::Painting;
use crate::history::History;
use crate::incidents::Open;
use crate::ingest::series::SeriesCache;
use crate::inventory::Register;
use crate::ledger::life::{LastWord, Life, LifeKey, Lives};
use crate::ledger::span::{Span, Spans};
use crate::metrics::Windows;
use crate::planned::Planned;
use crate::quality::recent::LastMinutes;
use crate::rolling::RollingFigures;
use crate::store::{Alive, Recent, Rotation, Series, SeriesId, Snapshot};
use crate::verdict;

/// No time at which a collector started.
const NOT_STARTED: i64 = i64::MIN;

/// A site has at most this many tracks (links × vantages). Real sites have four to ten; a hostile or broken sender that
/// invents link names ends here, by name, instead of in memory without end.
pub const MAX_TRACKS: usize = 128;

/// The figures of the last round that was seen on a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latest {
    /// The round's end.
    pub end: UnixMillis,
    /// The round's length in milliseconds.
    pub interval_ms: i64,
    /// Packets sent.
    pub sent: u32,
    /// Packets answered.
    pub received: u32,
    /// Median round trip time in seconds, where anything was answered and the sender said it.
    pub rtt_median: Option<f64>,
    /// What the round showed.
    pub outcome: Outcome,
}

impl Latest {
    /// The round's length.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.interval_ms.unsigned_abs())
    }

    /// Whether the other round is newer, or as new and of a target that answered better: the one that decides the state of
    /// a link with several targets.
    fn tells_less_than(&self, other: &Self) -> bool {
        let rank = |latest: &Self| (latest.end, latest.outcome, latest.received);
        rank(self) <= rank(other)
    }
}

/// The evidence of one link as one vantage saw it.
#[derive(Debug)]
pub struct Track {
    /// The link.
    pub link: LinkName,
    /// Who observed: the site itself, or the site whose agent watches it.
    pub vantage: SiteId,
    /// What was seen, when. Shared with readers: the engine copies it only where one of them still looks at it.
    pub spans: Arc<Spans>,
    /// The newest round, if one came since the collector's start; of several targets the one that answered best.
    pub latest: Option<Latest>,
    /// Its number in the store, once it has one.
    series: Option<SeriesId>,
    /// From when on the spans differ from the stored ones; `None` when the store has them all.
    dirty_from: Option<UnixMillis>,
    /// All stored spans that start here or later are in `spans`; [`UnixMillis::MIN`] when nothing else is stored.
    loaded_from: UnixMillis,
    /// Start of the first stored span, where not all are loaded.
    stored_first: Option<UnixMillis>,
}

impl Track {
    /// The first instant of which it tells, whether that is loaded or not.
    #[must_use]
    pub fn first(&self) -> Option<UnixMillis> {
        self.spans.first().map(|span| span.start).into_iter().chain(self.stored_first).min()
    }

    fn mark_dirty(&mut self, from: UnixMillis) {
        self.dirty_from = Some(self.dirty_from.map_or(from, |earlier| earlier.min(from)));
    }

    /// Whether a change lies before what is loaded: what it replaces in the store is not known yet.
    fn is_held_back(&self) -> bool {
        self.dirty_from.is_some_and(|from| from < self.loaded_from)
    }

    /// Merges in spans that are stored before `loaded_from`: all of them that start at `since` or later.
    fn merge_older(&mut self, rows: &[Span], since: UnixMillis) {
        let stored = canonical(rows);
        let before = self.loaded_from;
        let apart = match (stored.last(), self.spans.first()) {
            (Some(last), Some(first)) => {
                first.start > last.end || (first.start == last.end && first.outcome != last.outcome)
            }
            (Some(_) | None, _) => true,
        };
        let merged = if apart {
            // The usual case: nothing came late, and the two lie one behind the other.
            let mut all = Vec::with_capacity(stored.len() + self.spans.len());
            all.extend(stored.iter().copied());
            all.extend(self.spans.iter().copied());
            canonical(&all)
        } else {
            let mut merged = stored.clone();
            merged.merge(&self.spans);
            merged.shrink_to_fit();
            merged
        };
        // Where the first difference to what is stored lies before what was loaded, the store lacks it from there on.
        if let Some(from) = first_difference(rows, merged.iter().take_while(|span| span.start < before)) {
            self.mark_dirty(from);
        }
        self.spans = Arc::new(merged);
        // The one before `since` is among them; without it there is nothing before.
        let earliest = stored.first().map(|span| span.start).filter(|start| *start < since);
        self.loaded_from =
            earliest.filter(|earliest| self.stored_first != Some(*earliest)).unwrap_or(UnixMillis::MIN);
        if self.loaded_from == UnixMillis::MIN {
            self.stored_first = None;
        }
    }
}

/// Stored spans as they should be: what something else has written to is mended by painting.
fn canonical(stored: &[Span]) -> Spans {
    Spans::from_sorted(stored.to_vec()).unwrap_or_else(|_| {
        let mut spans = Spans::new();
        for span in stored {
            spans.paint(span.start, span.end, span.outcome);
        }
        spans
    })
}

/// From when on stored rows are not the spans that they should be; `None`: they are.
fn first_difference<'s>(rows: &[Span], spans: impl Iterator<Item = &'s Span>) -> Option<UnixMillis> {
    let mut rows = rows.iter();
    for span in spans {
        match rows.next() {
            Some(row) if row == span => {}
            Some(row) => return Some(row.start.min(span.start)),
            None => return Some(span.start),
        }
    }
    rows.next().map(|row| row.start)
}

/// Everything that was observed of one site.
#[derive(Debug, Default)]
pub struct Evidence {
    tracks: Vec<Track>,
}

/// One track's spans that the store lacks: from `from` on it is to hold exactly these.
#[derive(Debug, Clone)]
pub(crate) struct DirtyTrack {
    pub(crate) runtime: Arc<SiteRuntime>,
    pub(crate) track: usize,
    pub(crate) series: Series,
    pub(crate) id: Option<SeriesId>,
    pub(crate) from: UnixMillis,
    pub(crate) spans: Vec<Span>,
}

/// Lives of one site that the store lacks, or is to drop.
#[derive(Debug, Clone)]
pub(crate) struct DirtyLives {
    pub(crate) runtime: Arc<SiteRuntime>,
    pub(crate) lives: Vec<(LifeKey, Option<LastWord>)>,
}

impl Evidence {
    /// The tracks, in the order in which they were first seen.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn index(&self, link: &LinkName, vantage: &SiteId) -> Option<usize> {
        self.tracks.iter().position(|track| &track.link == link && &track.vantage == vantage)
    }

    fn ensure(&mut self, link: &LinkName, vantage: &SiteId) -> Option<usize> {
        if let Some(found) = self.index(link, vantage) {
            return Some(found);
        }
        if self.tracks.len() >= MAX_TRACKS {
            return None;
        }
        self.tracks.push(Track {
            link: link.clone(),
            vantage: vantage.clone(),
            spans: Arc::default(),
            latest: None,
            series: None,
            dirty_from: None,
            loaded_from: UnixMillis::MIN,
            stored_first: None,
        });
        Some(self.tracks.len() - 1)
    }

    /// Merges one span in; what changed is remembered for the next checkpoint.
    pub fn paint(&mut self, painting: &Painting) {
        let Some(track) = self.tracks.get_mut(painting.track as usize) else { return };
        if let Some(changed) =
            Arc::make_mut(&mut track.spans).paint(painting.start, painting.end, painting.outcome)
        {
            // Rows are keyed by a span's start, and a change may have cut or extended the span before it: its row too is new.
            let before = UnixMillis(changed.from.0.saturating_sub(1));
            let after = UnixMillis(changed.from.0.saturating_add(1));
            let from = track.spans.overlapping(before, after).first().map_or(changed.from, |span| span.start);
            track.mark_dirty(from);
        }
        if track.latest.is_none_or(|latest| latest.tells_less_than(&painting.latest)) {
            track.latest = Some(painting.latest);
        }
    }

    /// The first instant of which any track of a vantage tells, whether that is loaded or not.
    pub(crate) fn first_of(&self, vantage: &SiteId) -> Option<UnixMillis> {
        self.tracks.iter().filter(|track| track.vantage == *vantage).filter_map(Track::first).min()
    }
}

/// What an agent last said of itself. Fields it did not send are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentFacts {
    /// Build version.
    pub version: Option<String>,
    /// The kernel's boot id.
    pub boot_id: Option<String>,
    /// When its host booted, Unix seconds.
    pub boot_time: Option<f64>,
    /// When it was started, Unix seconds.
    pub start_time: Option<f64>,
    /// The collector's clock less its host's, in seconds.
    pub clock_offset: Option<f64>,
    /// How far from the truth that can be at most, in seconds.
    pub clock_offset_bound: Option<f64>,
    /// Bytes that wait in its queue.
    pub queue_bytes: Option<f64>,
    /// Samples it had to drop since its start.
    pub dropped_samples: Option<f64>,
    /// By which of the site's links its requests came, as its configuration names them, and when the last one came by each.
    pub paths: BTreeMap<LinkName, UnixMillis>,
    /// The certificates that its targets showed.
    pub certificates: Arc<BTreeMap<CertificateOf, CertificateSeen>>,
}

/// Of which target a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateOf {
    /// The link that it is probed by.
    pub link: LinkName,
    /// The target, as the agent names it.
    pub target: String,
}

/// What an agent said of a target's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateSeen {
    /// When it ends.
    pub ends: UnixMillis,
    /// When the agent last said so.
    pub told: UnixMillis,
}

/// So many certificates of a site are remembered: it has a handful of services.
const MAX_CERTIFICATES: usize = 64;

/// So many paths of a site are remembered: an agent has two or three.
const MAX_PATHS: usize = 8;

impl AgentFacts {
    /// The path of the newest request.
    #[must_use]
    pub fn path(&self) -> Option<&LinkName> {
        self.paths.iter().max_by_key(|(_, at)| **at).map(|(path, _)| path)
    }

    /// Takes in that a certificate ends at so many Unix seconds; what is no time that a certificate can have is nothing.
    pub(crate) fn note_certificate(&mut self, of: CertificateOf, ends: f64, told: UnixMillis) {
        // The last second of the year 9999, the latest that X.509 can say (RFC 5280, 4.1.2.5).
        const LATEST: f64 = 253_402_300_799.0;
        if (0.0..=LATEST).contains(&ends) {
            #[allow(clippy::cast_possible_truncation)] // within the bounds above
            let ends = UnixMillis((ends * 1000.0) as i64);
            Arc::make_mut(&mut self.certificates).insert(of, CertificateSeen { ends, told });
        }
    }

    fn update(&mut self, newer: Self) {
        fn take<T>(slot: &mut Option<T>, newer: Option<T>) {
            if newer.is_some() {
                *slot = newer;
            }
        }
        take(&mut self.version, newer.version);
        take(&mut self.boot_id, newer.boot_id);
        take(&mut self.boot_time, newer.boot_time);
        take(&mut self.start_time, newer.start_time);
        take(&mut self.clock_offset, newer.clock_offset);
        take(&mut self.clock_offset_bound, newer.clock_offset_bound);
        take(&mut self.queue_bytes, newer.queue_bytes);
        take(&mut self.dropped_samples, newer.dropped_samples);
        for (path, at) in newer.paths {
            let last = self.paths.entry(path).or_insert(at);
            *last = at.max(*last);
        }
        while self.paths.len() > MAX_PATHS {
            let oldest = self.paths.iter().min_by_key(|(_, at)| **at).map(|(path, _)| path.clone());
            let Some(oldest) = oldest else { break };
            self.paths.remove(&oldest);
        }
        if newer.certificates.is_empty() {
            return;
        }
        let known = Arc::make_mut(&mut self.certificates);
        known.extend(newer.certificates.iter().map(|(of, seen)| (of.clone(), *seen)));
        while known.len() > MAX_CERTIFICATES {
            let oldest = known.iter().min_by_key(|(_, seen)| seen.told).map(|(of, _)| of.clone());
            let Some(oldest) = oldest else { break };
            known.remove(&oldest);
        }
    }
}

/// The lives of a site's agent, shared with readers, and those that the store lacks.
#[derive(Debug, Default)]
struct LifeSlot {
    lives: Arc<Lives>,
    dirty: BTreeSet<LifeKey>,
}

/// "No push yet" in [`SiteRuntime::last_push`].
const NEVER: i64 = i64::MIN;

/// What the collector holds of one site, registered or not.
#[derive(Debug)]
pub struct SiteRuntime {
    /// The site.
    pub id: SiteId,
    evidence: RwLock<Evidence>,
    facts: RwLock<Arc<AgentFacts>>,
    lives: Mutex<LifeSlot>,
    last_push: AtomicI64,
    document: Slot,
    /// Requests of this site that are being read or wait for the journal ([`crate::ingest`] bounds them).
    pub in_flight: AtomicU32,
    pub(crate) series: Mutex<SeriesCache>,
    /// How many are in it, for those who do not want to wait for it.
    known_series: AtomicUsize,
}

impl SiteRuntime {
    fn new(id: SiteId) -> Self {
        Self {
            id,
            evidence: RwLock::default(),
            facts: RwLock::default(),
            lives: Mutex::default(),
            last_push: AtomicI64::new(NEVER),
            document: Slot::default(),
            in_flight: AtomicU32::new(0),
            series: Mutex::default(),
            known_series: AtomicUsize::new(0),
        }
    }

    /// What was observed of this site.
    pub fn evidence(&self) -> RwLockReadGuard<'_, Evidence> {
        self.evidence.read()
    }

    pub(crate) fn evidence_mut(&self) -> RwLockWriteGuard<'_, Evidence> {
        self.evidence.write()
    }

    /// The track's index, made when it is new; `None` past [`MAX_TRACKS`].
    pub(crate) fn track(&self, link: &LinkName, vantage: &SiteId) -> Option<u32> {
        if let Some(found) = self.evidence().index(link, vantage) {
            return u32::try_from(found).ok();
        }
        self.evidence_mut().ensure(link, vantage).and_then(|index| u32::try_from(index).ok())
    }

    /// Puts a track in as the store has it.
    pub(crate) fn restore(&self, id: SeriesId, series: &Series, spans: Spans) {
        let mut evidence = self.evidence_mut();
        if let Some(index) = evidence.ensure(&series.link, &series.vantage) {
            evidence.tracks[index].spans = Arc::new(spans);
            evidence.tracks[index].series = Some(id);
        } else {
            tracing::warn!(site = %self.id, link = %series.link, "the store holds more links of this site than are read");
        }
    }

    /// Puts a track in of which the store has more before `since`, if its first span says so.
    pub(crate) fn restore_recent(&self, recent: Recent, since: UnixMillis) {
        let spans = canonical(&recent.spans);
        // Rows that should be one, since what lies before them was not loaded when the later was written, are written anew as one.
        let differs = first_difference(&recent.spans, spans.iter());
        let mut evidence = self.evidence_mut();
        let Some(index) = evidence.ensure(&recent.series.link, &recent.series.vantage) else {
            tracing::warn!(site = %self.id, link = %recent.series.link, "the store holds more links of this site than are read");
            return;
        };
        let track = &mut evidence.tracks[index];
        let earliest = spans.first().map(|span| span.start).filter(|start| *start < since);
        track.spans = Arc::new(spans);
        track.series = Some(recent.id);
        track.stored_first = recent.first.filter(|first| earliest.is_some_and(|earliest| *first < earliest));
        track.loaded_from = earliest.filter(|_| track.stored_first.is_some()).unwrap_or(UnixMillis::MIN);
        if let Some(from) = differs {
            track.mark_dirty(from);
        }
    }

    /// The tracks of which the store may have spans between `from` and what is loaded: index, number, and from when on it is.
    pub(crate) fn wants_older(&self, from: UnixMillis) -> Vec<(usize, SeriesId, UnixMillis)> {
        let evidence = self.evidence();
        let tracks = evidence.tracks.iter().enumerate().filter(|(_, track)| track.loaded_from > from);
        tracks.filter_map(|(index, track)| Some((index, track.series?, track.loaded_from))).collect()
    }

    /// Merges in the stored spans of a track that start before what is loaded of it: those from `since` on and the one before.
    pub(crate) fn merge_older(&self, track: usize, stored: &[Span], since: UnixMillis) {
        if let Some(track) = self.evidence_mut().tracks.get_mut(track) {
            track.merge_older(stored, since);
        }
    }

    /// How many of its series are known by their bytes.
    #[must_use]
    pub fn known_series(&self) -> usize {
        self.known_series.load(Ordering::Relaxed)
    }

    pub(crate) fn note_known_series(&self, known: usize) {
        self.known_series.store(known, Ordering::Relaxed);
    }

    /// When the site's agent last pushed, by the collector's clock; `None` when it has not since the collector's memory begins.
    #[must_use]
    pub fn last_push(&self) -> Option<UnixMillis> {
        match self.last_push.load(Ordering::Relaxed) {
            NEVER => None,
            millis => Some(UnixMillis(millis)),
        }
    }

    pub(crate) fn note_push(&self, received: UnixMillis) {
        self.last_push.fetch_max(received.0, Ordering::Relaxed);
    }

    /// What its agent is to probe, if anything is said of that here.
    #[must_use]
    pub fn document(&self) -> Option<Arc<Document>> {
        self.document.read().clone()
    }

    pub(crate) fn set_document(&self, document: Option<Document>) {
        let mut slot = self.document.write();
        if slot.as_deref() != document.as_ref() {
            *slot = document.map(Arc::new);
        }
    }

    /// How long the rounds of its own agent are: as long as the last one, or, before one has come since the collector's start, as
    /// the agent is told to make them.
    #[must_use]
    pub fn expected_round(&self) -> Option<Duration> {
        self.expected_round_by(&self.evidence())
    }

    /// The same, for who reads its evidence.
    pub(crate) fn expected_round_by(&self, evidence: &Evidence) -> Option<Duration> {
        let own = evidence.tracks().iter().filter(|track| track.vantage == self.id);
        let last = own.filter_map(|track| track.latest).max_by_key(|latest| latest.end);
        last.map(|latest| latest.length()).or_else(|| self.document.read().as_ref()?.interval)
    }

    /// What the agent last said of itself.
    #[must_use]
    pub fn facts(&self) -> Arc<AgentFacts> {
        Arc::clone(&self.facts.read())
    }

    pub(crate) fn note_facts(&self, newer: AgentFacts) {
        Arc::make_mut(&mut self.facts.write()).update(newer);
    }

    /// When its host booted and its agent started, by the agent's word.
    #[must_use]
    pub fn lives(&self) -> Arc<Lives> {
        Arc::clone(&self.lives.lock().lives)
    }

    pub(crate) fn note_lives(&self, words: Vec<Life>) {
        let mut slot = self.lives.lock();
        let changed = Arc::make_mut(&mut slot.lives).merge(words);
        slot.dirty.extend(changed);
    }

    /// Takes in what the store has. What is dropped for it to have room is dropped from the store too.
    pub(crate) fn restore_lives(&self, stored: &[Life]) {
        let mut slot = self.lives.lock();
        let changed = Arc::make_mut(&mut slot.lives).merge(stored.iter().copied());
        slot.dirty.extend(changed);
        for life in stored {
            if slot.lives.get(life.key) == Some(life.told) {
                slot.dirty.remove(&life.key);
            } else {
                slot.dirty.insert(life.key);
            }
        }
    }

    /// Moves the lives that the store lacks into `out`; such that it is to drop are there without a word.
    pub(crate) fn take_dirty_lives(self: &Arc<Self>, out: &mut Vec<DirtyLives>) {
        let mut slot = self.lives.lock();
        if slot.dirty.is_empty() {
            return;
        }
        let keys = std::mem::take(&mut slot.dirty);
        let lives = keys.into_iter().map(|key| (key, slot.lives.get(key))).collect();
        out.push(DirtyLives { runtime: Arc::clone(self), lives });
    }

    /// Whether the store lacks any life.
    pub(crate) fn has_dirty_lives(&self) -> bool {
        !self.lives.lock().dirty.is_empty()
    }

    /// Takes back lives that a failed checkpoint did not store.
    pub(crate) fn mark_dirty_lives(&self, keys: impl Iterator<Item = LifeKey>) {
        self.lives.lock().dirty.extend(keys);
    }

    /// Moves what the store lacks into `out`. A failed checkpoint gives it back with [`Self::mark_dirty`].
    /// False when something was held back, because it lies before what is loaded ([`crate::history`]).
    #[must_use]
    pub(crate) fn take_dirty(self: &Arc<Self>, out: &mut Vec<DirtyTrack>) -> bool {
        if self.evidence().tracks.iter().all(|track| track.dirty_from.is_none()) {
            return true;
        }
        let mut all = true;
        for (index, track) in self.evidence_mut().tracks.iter_mut().enumerate() {
            if track.is_held_back() {
                all = false;
                continue;
            }
            let Some(from) = track.dirty_from.take() else { continue };
            out.push(DirtyTrack {
                runtime: Arc::clone(self),
                track: index,
                series: Series {
                    site: self.id.clone(),
                    link: track.link.clone(),
                    vantage: track.vantage.clone(),
                },
                id: track.series,
                from,
                spans: track.spans.overlapping(from, UnixMillis::MAX).to_vec(),
            });
        }
        all
    }

    /// Remembers the number that the store gave to a track.
    pub(crate) fn set_series(&self, track: usize, id: SeriesId) {
        if let Some(track) = self.evidence_mut().tracks.get_mut(track) {
            track.series = Some(id);
        }
    }

    /// Takes back what a failed checkpoint did not store.
    pub(crate) fn mark_dirty(&self, track: usize, from: UnixMillis) {
        if let Some(track) = self.evidence_mut().tracks.get_mut(track) {
            track.mark_dirty(from);
        }
    }
}

/// The SHA-256 of an agent's secret.
pub type SecretHash = [u8; 32];

/// The register with every site's runtime beside it, as of one revision of the store.
#[derive(Debug, Default)]
pub struct Directory {
    /// The store's revision that this was loaded from.
    pub revision: i64,
    /// The register.
    pub register: Arc<Register>,
    /// Every known site: registered, or known only by its evidence.
    pub runtimes: BTreeMap<SiteId, Arc<SiteRuntime>>,
    /// Secret → site. Keyed by a hash of 256 random bits, so how long a look-up takes tells nothing about a secret.
    pub credentials: HashMap<SecretHash, Arc<SiteRuntime>>,
    /// When each site was first given a secret: from then on it counts as equipped.
    pub issued: BTreeMap<SiteId, UnixMillis>,
    /// Secrets that are being replaced.
    pub rotation: Rotation,
    /// Planned windows.
    pub planned: Arc<Planned>,
}

/// Offered secrets that have been used, until the store knows it.
#[derive(Debug, Default)]
pub struct UsedOffers {
    used: Mutex<BTreeSet<SecretHash>>,
    wake: Notify,
}

impl UsedOffers {
    /// Notes one. As often as it is used, it is noted once.
    pub fn used(&self, secret: SecretHash) {
        if self.used.lock().insert(secret) {
            self.wake.notify_one();
        }
    }

    /// Waits until some were noted since the last time; they stay noted until [`Self::settled`].
    pub async fn wait(&self) -> Vec<SecretHash> {
        self.wake.notified().await;
        self.used.lock().iter().copied().collect()
    }

    /// The store knows of it, or could not be told: the next use is noted again.
    pub fn settled(&self, secret: &SecretHash) {
        self.used.lock().remove(secret);
    }
}

/// All that handlers, engine, checkpoint and readers share.
#[derive(Debug)]
pub struct State {
    /// The configuration it was started with. What alerts do is in [`State::alerts`].
    pub config: Config,
    alerts: watch::Sender<Arc<Alerts>>,
    alert_mistakes: RwLock<Arc<[String]>>,
    /// When this process became the collector, by its clock; `None` where it only reads.
    started: AtomicI64,
    /// Counters of the collector's own work.
    pub counters: Arc<Counters>,
    /// Offered secrets that agents have begun to use.
    pub offers: UsedOffers,
    /// What agents are to probe, as far as it is not with their sites.
    pub central: Central,
    /// Whether this host's clock can be right.
    pub clock: Guard,
    /// Whether alerts are looked after.
    pub alerting: Pulse,
    /// How far back the evidence reaches that is in memory.
    pub history: History,
    /// Addresses that sent secrets of agents that are not good.
    pub wrong_secrets: Mutex<Attempts<IpAddr>>,
    directory: ArcSwap<Directory>,
    /// Held while a new directory is made from the present one.
    replacing: Mutex<()>,
    alive: RwLock<Vec<Alive>>,
    open_incidents: RwLock<Option<Arc<Open>>>,
    rolling: RwLock<Option<Arc<RollingFigures>>>,
    windows_text: RwLock<Option<Arc<Windows>>>,
    last_minutes: RwLock<Arc<LastMinutes>>,
}

impl State {
    /// A state with an empty register.
    #[must_use]
    pub fn new(config: Config, started: Option<UnixMillis>, counters: Arc<Counters>) -> Self {
        Self {
            alerts: watch::Sender::new(Arc::new(config.alerts.clone())),
            alert_mistakes: RwLock::default(),
            config,
            started: AtomicI64::new(started.map_or(NOT_STARTED, |started| started.0)),
            counters,
            offers: UsedOffers::default(),
            central: Central::default(),
            clock: Guard::default(),
            alerting: Pulse::default(),
            history: History::default(),
            wrong_secrets: Mutex::new(Attempts::new(credential::WRONG)),
            directory: ArcSwap::default(),
            replacing: Mutex::default(),
            alive: RwLock::default(),
            open_incidents: RwLock::default(),
            rolling: RwLock::default(),
            windows_text: RwLock::default(),
            last_minutes: RwLock::default(),
        }
    }

    /// What alerts do, as the configuration says it now.
    #[must_use]
    pub fn alerts(&self) -> Arc<Alerts> {
        Arc::clone(&self.alerts.borrow())
    }

    /// The same, to be told when it changes.
    #[must_use]
    pub fn follow_alerts(&self) -> watch::Receiver<Arc<Alerts>> {
        self.alerts.subscribe()
    }

    pub(crate) fn set_alerts(&self, alerts: Alerts) {
        self.alerts.send_replace(Arc::new(alerts));
    }

    /// The first mistakes of the configuration that is there, for which alerts go on by the former one.
    #[must_use]
    pub fn alert_mistakes(&self) -> Arc<[String]> {
        Arc::clone(&self.alert_mistakes.read())
    }

    pub(crate) fn set_alert_mistakes(&self, mistakes: Arc<[String]>) {
        *self.alert_mistakes.write() = mistakes;
    }

    /// The incidents that are open now; `None` before they were first derived.
    #[must_use]
    pub fn open_incidents(&self) -> Option<Arc<Open>> {
        self.open_incidents.read().clone()
    }

    /// The figures over the usual windows that the newest pass derived; `None` before the first.
    #[must_use]
    pub fn rolling_figures(&self) -> Option<Arc<RollingFigures>> {
        self.rolling.read().clone()
    }

    pub(crate) fn set_rolling_figures(&self, figures: Arc<RollingFigures>) {
        *self.rolling.write() = Some(figures);
    }

    /// The families of `/metrics` over windows, as they were last made.
    pub(crate) fn windows_text(&self) -> Option<Arc<Windows>> {
        self.windows_text.read().clone()
    }

    pub(crate) fn set_windows_text(&self, text: Arc<Windows>) {
        *self.windows_text.write() = Some(text);
    }

    /// The quality of all links over the last minutes; of no time before any is known.
    #[must_use]
    pub fn last_minutes(&self) -> Arc<LastMinutes> {
        Arc::clone(&self.last_minutes.read())
    }

    pub(crate) fn set_last_minutes(&self, minutes: LastMinutes) {
        *self.last_minutes.write() = Arc::new(minutes);
    }

    pub(crate) fn set_open_incidents(&self, open: Open) {
        *self.open_incidents.write() = Some(Arc::new(open));
    }

    /// Since when the collector runs with a clock that can be right; `None` where it does not serve, or not yet.
    #[must_use]
    pub fn started(&self) -> Option<UnixMillis> {
        Some(self.started.load(Ordering::Acquire)).filter(|at| *at != NOT_STARTED).map(UnixMillis)
    }

    /// It runs with a clock that can be right since `now`.
    pub(crate) fn start(&self, now: UnixMillis) {
        self.started.store(now.0, Ordering::Release);
    }

    /// The register and runtimes as they are now; hold it no longer than one request.
    pub fn directory(&self) -> arc_swap::Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Replaces the register and the secrets; runtimes that exist are kept, whatever the new register says. A snapshot that is
    /// older than what is known changes nothing: two tasks may have read the store at once.
    pub(crate) fn replace_register(&self, snapshot: Snapshot) {
        let _turn = self.replacing.lock();
        if snapshot.revision < self.directory().revision {
            return;
        }
        for site in snapshot.register.outside(&self.config.plan) {
            tracing::warn!(site = %site.id, tier = %site.tier, branch = %site.branch, "tier or branch is not in the plan");
        }
        let mut runtimes = self.directory().runtimes.clone();
        for site in snapshot.register.sites() {
            runtimes.entry(site.id.clone()).or_insert_with(|| Arc::new(SiteRuntime::new(site.id.clone())));
        }
        for name in self.config.senders.iter().map(|sender| &sender.name) {
            if snapshot.register.get(name).is_some() {
                tracing::error!(%name, "a site has the name of a sender: its secret is refused until one of them is renamed");
            }
            runtimes.entry(name.clone()).or_insert_with(|| Arc::new(SiteRuntime::new(name.clone())));
        }
        let mut credentials = HashMap::new();
        let mut issued = BTreeMap::<SiteId, UnixMillis>::new();
        for secret in snapshot.secrets {
            let first = issued.entry(secret.site.clone()).or_insert(secret.issued);
            *first = secret.issued.min(*first);
            // Whose it is cannot be said where a site has the name of a sender.
            if self.config.sender(&secret.site).is_some() && snapshot.register.get(&secret.site).is_some() {
                continue;
            }
            if let (None, Some(runtime)) = (secret.revoked, runtimes.get(&secret.site)) {
                credentials.insert(secret.hash, Arc::clone(runtime));
            }
        }
        let register = Arc::new(snapshot.register);
        self.directory.store(Arc::new(Directory {
            revision: snapshot.revision,
            register,
            runtimes,
            credentials,
            issued,
            rotation: snapshot.rotation,
            planned: Arc::new(snapshot.planned),
        }));
    }

    /// Makes runtimes for sites of which only evidence is known. One call for all, since it copies the directory.
    pub(crate) fn ensure_runtimes<'a>(&self, sites: impl Iterator<Item = &'a SiteId>) {
        let _turn = self.replacing.lock();
        let current = self.directory();
        let mut next = Directory {
            revision: current.revision,
            register: Arc::clone(&current.register),
            runtimes: current.runtimes.clone(),
            credentials: current.credentials.clone(),
            issued: current.issued.clone(),
            rotation: current.rotation.clone(),
            planned: Arc::clone(&current.planned),
        };
        for site in sites {
            next.runtimes.entry(site.clone()).or_insert_with(|| Arc::new(SiteRuntime::new(site.clone())));
        }
        self.directory.store(Arc::new(next));
    }

    /// How long the site's agent may be silent before that is worth a word.
    #[must_use]
    pub fn silence_limit(&self, expected_round: Option<Duration>) -> Duration {
        verdict::silence_limit(self.config.ingest.silence_limit, expected_round)
    }

    /// When the collector ran, in order; the present run reaches to `now`.
    #[must_use]
    pub fn alive(&self, now: UnixMillis) -> Vec<Alive> {
        let mut alive = self.alive.read().clone();
        if let Some(start) = self.started() {
            alive.retain(|run| run.start != start);
            alive.push(Alive { start, end: now.max(start) });
        }
        alive
    }

    pub(crate) fn restore_alive(&self, alive: Vec<Alive>) {
        *self.alive.write() = alive;
    }
}

#[cfg(test)]
mod history_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn painting(end: i64, received: u32, outcome: Outcome) -> Painting {
        let end = UnixMillis(end);
        let latest = Latest { end, interval_ms: 5_000, sent: 5, received, rtt_median: None, outcome };
        Painting { about: None, track: 0, start: end.plus_millis(-5_000), end, outcome, latest }
    }

    #[test]
    fn rounds_are_expected_to_be_as_long_as_the_last_one_and_before_any_as_the_agent_is_told() {
        let site = SiteRuntime::new("a".parse().unwrap());
        assert_eq!(site.expected_round(), None);
        let told = Document { interval: Some(Duration::from_secs(60)), ..Document::of(String::new()) };
        site.set_document(Some(told));
        assert_eq!(site.expected_round(), Some(Duration::from_secs(60)));
        site.track(&"wan".parse().unwrap(), &site.id);
        site.evidence_mut().paint(&painting(5_000, 5, Outcome::Up));
        assert_eq!(site.expected_round(), Some(Duration::from_secs(5)), "it does not do so");
    }

    #[test]
    fn the_latest_round_of_a_link_is_that_of_the_target_that_decides_its_state() {
        let site = SiteRuntime::new("a".parse().unwrap());
        site.track(&"internet".parse().unwrap(), &site.id);
        let latest = || site.evidence().tracks()[0].latest.map(|latest| (latest.end.0, latest.received));
        site.evidence_mut().paint(&painting(5_000, 5, Outcome::Up));
        site.evidence_mut().paint(&painting(5_000, 0, Outcome::Down));
        assert_eq!(latest(), Some((5_000, 5)), "another target that does not answer changes nothing");
        site.evidence_mut().paint(&painting(10_000, 0, Outcome::Down));
        assert_eq!(latest(), Some((10_000, 0)), "a newer round does, whatever it shows");
        site.evidence_mut().paint(&painting(10_000, 4, Outcome::Up));
        assert_eq!(latest(), Some((10_000, 4)));
        site.evidence_mut().paint(&painting(5_000, 5, Outcome::Up));
        assert_eq!(latest(), Some((10_000, 4)), "and a late one does not");
    }

    #[test]
    fn what_a_checkpoint_takes_begins_at_the_span_that_a_change_cut_or_extended() {
        let site = Arc::new(SiteRuntime::new("a".parse().unwrap()));
        site.track(&"wan".parse().unwrap(), &site.id);
        let take = || {
            let mut dirty = Vec::new();
            assert!(site.take_dirty(&mut dirty));
            dirty.into_iter().map(|track| (track.from.0, track.spans.len())).collect::<Vec<_>>()
        };
        site.evidence_mut().paint(&painting(5_000, 0, Outcome::Down));
        assert_eq!(take(), [(0, 1)]);
        assert_eq!(take(), [], "nothing has changed since");
        site.evidence_mut().paint(&painting(10_000, 0, Outcome::Down));
        assert_eq!(take(), [(0, 1)], "the span that was extended");
        let inside = Painting { start: UnixMillis(4_000), ..painting(6_000, 5, Outcome::Up) };
        site.evidence_mut().paint(&inside);
        assert_eq!(take(), [(0, 3)], "the span that was cut in two, with what is between");
        site.mark_dirty(0, UnixMillis(4_000));
        assert_eq!(take(), [(4_000, 2)], "a failed checkpoint is taken again");
    }
}
