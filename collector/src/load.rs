//! From disk to memory: register, secrets and evidence out of the store, then the journal behind the checkpoint.
//!
//! The read-only commands (`wan-collector coverage`, `uptime`) load all of it. The server's start loads what it needs to serve, and
//! the rest in the background ([`crate::history`]); what it answers then is the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use wan_journal::{Item, JournalError, Reader, Seq};
use wan_wire::{Limits, SiteId, UnixMillis};

use crate::ingest::series::{self, Decoded};
use crate::ledger::span::{Span, Spans};
use crate::record;
use crate::state::State;
use crate::store::{Alive, Recent, Series, SeriesId, Store, StoreError};
use crate::{engine, history, record::RecordError};

/// Why the state could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// What the replay of the journal met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// Requests whose rounds were merged in again.
    pub requests: u64,
    /// Frames that are gone: damaged on disk. What they said is lost.
    pub missing: u64,
    /// Frames that are whole but not readable by this version.
    pub unreadable: u64,
    /// When the newest of them was received.
    pub last_received: Option<UnixMillis>,
}

/// Fills `state` with all that the store has: register, secrets, evidence, and when the collector ran.
///
/// # Errors
/// When the store cannot be read.
pub async fn store<S: Store>(state: &State, store: &S) -> Result<(), LoadError> {
    whole(state, store, || {}).await
}

/// The same; `read` is told after each series.
///
/// # Errors
/// When the store cannot be read.
pub async fn whole<S: Store>(
    state: &State,
    store: &S,
    mut read: impl FnMut() + Send,
) -> Result<(), LoadError> {
    state.replace_register(store.snapshot().await?);
    let mut stored: Vec<(SeriesId, Series, Vec<Span>)> = Vec::new();
    let take = |id, series, spans| {
        stored.push((id, series, spans));
        read();
    };
    store.load_evidence(take).await?;
    let sites: BTreeSet<&SiteId> = stored.iter().map(|(_, series, _)| &series.site).collect();
    state.ensure_runtimes(sites.into_iter());
    let directory = state.directory();
    for (id, series, spans) in stored {
        // Painting is what makes spans canonical, so a store that something else has written to is mended by the way.
        let mut merged = Spans::new();
        for span in spans {
            merged.paint(span.start, span.end, span.outcome);
        }
        if let Some(runtime) = directory.runtimes.get(&series.site) {
            runtime.restore(id, &series, merged);
        }
    }
    lives(state, store).await?;
    state.restore_alive(store.alive().await?);
    Ok(())
}

/// Fills `state` with what is needed to serve: register, secrets, the evidence of the last days, and when the collector ran. The
/// rest is for [`crate::history`] to load.
///
/// # Errors
/// When the store cannot be read.
pub async fn recent<S: Store>(state: &State, store: &S, now: UnixMillis) -> Result<(), LoadError> {
    let alive = store.alive().await?;
    let since = history::start_from(alive.iter().map(|run| run.end).max(), now);
    let mut stored: Vec<Recent> = Vec::new();
    let (snapshot, ()) =
        tokio::try_join!(store.snapshot(), store.load_recent(since, |recent| stored.push(recent)))?;
    state.replace_register(snapshot);
    let sites: BTreeSet<&SiteId> = stored.iter().map(|recent| &recent.series.site).collect();
    state.ensure_runtimes(sites.into_iter());
    let directory = state.directory();
    for recent in stored {
        if let Some(runtime) = directory.runtimes.get(&recent.series.site) {
            runtime.restore_recent(recent, since);
        }
    }
    state.history.begin(since, directory.runtimes.len());
    state.restore_alive(alive);
    Ok(())
}

/// Merges in when hosts booted and agents started.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn lives<S: Store>(state: &State, store: &S) -> Result<(), LoadError> {
    let mut lives = Vec::new();
    store.load_lives(|site, of_site| lives.push((site, of_site))).await?;
    state.ensure_runtimes(lives.iter().map(|(site, _)| site));
    let directory = state.directory();
    for (site, of_site) in lives {
        if let Some(runtime) = directory.runtimes.get(&site) {
            runtime.restore_lives(&of_site);
        }
    }
    Ok(())
}

/// Merges the journal's records from `reader`'s position on into `state`.
///
/// # Errors
/// When a segment cannot be opened or read. Damage is no error: it is counted, and the rest is read.
pub fn journal(state: &State, mut reader: Reader) -> Result<Replay, LoadError> {
    let mut replay = Replay::default();
    let limits = state.config.ingest.limits();
    while let Some(item) = reader.read()? {
        match item {
            Item::Gap(range) => {
                tracing::warn!(%range, "the journal is damaged: these records are gone");
                replay.missing += range.count();
            }
            Item::Frame { seq, payload } => match record(state, payload, &limits) {
                Ok(received) => {
                    replay.requests += 1;
                    replay.last_received = replay.last_received.max(Some(received));
                }
                Err(error) => {
                    tracing::warn!(%seq, %error, "a journal record is not readable; it stays in the journal");
                    replay.unreadable += 1;
                }
            },
        }
    }
    Ok(replay)
}

/// Merges in what the journal still holds behind the store's position: what agents last said of themselves is nowhere else.
/// Evidence of it changes nothing, since the store has it.
///
/// # Errors
/// When the journal cannot be opened or read.
pub fn remembered(state: &State) -> Result<(), LoadError> {
    let directory = state.config.journal_dir();
    if !directory.is_dir() {
        return Ok(());
    }
    let limits = state.config.ingest.limits();
    let mut reader = Reader::open_read_only(&directory, Seq::FIRST)?;
    while let Some(item) = reader.read()? {
        match item {
            // What is gone is long in the store, or was said when it was found.
            Item::Gap(_) => {}
            Item::Frame { payload, .. } => {
                let _ = record(state, payload, &limits);
            }
        }
    }
    Ok(())
}

/// Lengthens the last known run of the collector to when it last received something: a run that ended by `kill -9` or a
/// power cut lasted at least until then, whatever the last checkpoint says.
#[must_use]
pub fn last_run(alive: &[Alive], last_received: Option<UnixMillis>) -> Option<Alive> {
    let last = alive.last()?;
    last_received.filter(|received| *received > last.end).map(|end| Alive { start: last.start, end })
}

#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("its body was accepted but cannot be decoded now: {0}")]
    Body(#[from] wan_wire::DecodeError),
}

fn record(state: &State, payload: &[u8], limits: &Limits) -> Result<UnixMillis, ReplayError> {
    let record = record::parse(payload)?;
    if !state.directory().runtimes.contains_key(&record.site) {
        state.ensure_runtimes(std::iter::once(&record.site));
    }
    let directory = state.directory();
    let Some(site) = directory.runtimes.get(&record.site) else { return Ok(record.received) };
    let Decoded { paintings, facts, lives, .. } =
        series::decode(&state.config, &directory, site, &record, limits)?;
    engine::apply(&Arc::clone(site), record.received, paintings, facts, lives);
    Ok(record.received)
}
