//! The checkpoint: evidence from memory to the store, every few seconds, so that a start replays little.
//!
//! It is **fuzzy**: it notes the journal position first, then copies each site's changes under that site's lock, while the
//! engine goes on. What it copies may thus be newer than the position, never older. That is sound because evidence merges
//! by maximum: replaying a record over evidence that already contains it changes nothing. So nothing ever has to stop for
//! a checkpoint. For the same reason it need not be one transaction: it is written in parts, and the position is committed
//! with the last of them.
//!
//! While a start still loads the history ([`crate::history`]), a change before what is loaded is held back, and the position stays
//! where it is: the journal keeps what the store cannot be told yet.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_journal::Seq;

use crate::clock;
use crate::engine::{Command, EngineHandle, LEDGER_CURSOR};
use crate::state::{DirtyLives, DirtyTrack, SiteRuntime, State};
use crate::store::{Alive, Checkpoint, EvidenceUpdate, LifeUpdate, Series, Store, StoreError};

/// How a checkpoint is spread over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In parts with a rest after each, so that neither core nor disk is busy with it when a push wants them.
    Gentle,
    /// Without rests: when nobody is served, at start and stop.
    AtOnce,
}

/// A part holds about so many tracks: some ten milliseconds of the store's work. Each part ends in a sync of the store, which the
/// journal's own syncs wait for, so parts must not be many.
const PART: usize = 4000;
/// The least rest after a part. A part that took longer is followed by a rest as long as itself.
const REST: Duration = Duration::from_millis(5);

/// Takes a checkpoint at the configured interval until `shutdown`.
pub async fn run<S: Store>(
    state: Arc<State>,
    store: Arc<S>,
    engine: EngineHandle,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(state.config.checkpoint_interval) => {}
        }
        take(&state, &*store, &engine, Pace::Gentle).await;
    }
}

/// Says in the store that the collector runs: a kill in its first seconds then leaves a trace. A failure is logged and counted.
pub async fn begin<S: Store>(state: &State, store: &S) {
    let Some(start) = state.started() else { return };
    let alive = Some(Alive { start, end: clock::now().max(start) });
    if let Err(error) = store.checkpoint(Checkpoint { alive, ..Checkpoint::default() }).await {
        state.counters.checkpoint_failures.inc();
        tracing::error!(%error, "cannot note that the collector runs; the next checkpoint tries again");
    }
}

/// Takes one checkpoint; a failure is logged and counted, and everything stays due for the next. Returns whether it worked.
pub async fn take<S: Store>(state: &State, store: &S, engine: &EngineHandle, pace: Pace) -> bool {
    let started = clock::monotonic();
    // The order matters: the position before the evidence.
    let position = engine.applied();
    let result = write_all(state, store, position, pace).await;
    state.counters.checkpoint_seconds.observe(clock::monotonic().duration_since(started).as_secs_f64());
    match result {
        Ok(all) => {
            state.counters.checkpoint_timestamp.set(clock::now().0 as f64 / 1000.0);
            if all {
                // The engine is the journal's owner; when it has stopped, the next start trims.
                engine.send(Command::Done(LEDGER_CURSOR.into(), position)).await;
            }
            true
        }
        Err(error) => {
            state.counters.checkpoint_failures.inc();
            tracing::error!(%error, "the checkpoint failed; the journal keeps everything, and the next one tries again");
            false
        }
    }
}

/// Writes all changed evidence part by part, and with the last part the position that all of it contains. False when some was
/// held back, and the position with it.
async fn write_all<S: Store>(
    state: &State,
    store: &S,
    position: Seq,
    pace: Pace,
) -> Result<bool, StoreError> {
    let runtimes: Vec<Arc<SiteRuntime>> = state.directory().runtimes.values().map(Arc::clone).collect();
    let mut sites = runtimes.iter();
    let mut all = true;
    loop {
        let started = clock::monotonic();
        let mut dirty = Vec::new();
        let mut lives = Vec::new();
        while dirty.len() + lives.len() < PART
            && let Some(site) = sites.next()
        {
            all &= site.take_dirty(&mut dirty);
            if state.history.has_lives() {
                site.take_dirty_lives(&mut lives);
            } else {
                all &= !site.has_dirty_lives();
            }
        }
        let is_last = sites.len() == 0;
        if let Err(error) =
            write(state, store, &mut dirty, &lives, is_last, (is_last && all).then_some(position)).await
        {
            for track in &dirty {
                track.runtime.mark_dirty(track.track, track.from);
            }
            for of_site in &lives {
                of_site.runtime.mark_dirty_lives(of_site.lives.iter().map(|(key, _)| *key));
            }
            return Err(error);
        }
        if is_last {
            return Ok(all);
        }
        if pace == Pace::Gentle {
            tokio::time::sleep(clock::monotonic().duration_since(started).max(REST)).await;
        }
    }
}

async fn write<S: Store>(
    state: &State,
    store: &S,
    dirty: &mut [DirtyTrack],
    lives: &[DirtyLives],
    is_last: bool,
    position: Option<Seq>,
) -> Result<(), StoreError> {
    let (unnumbered, series): (Vec<usize>, Vec<Series>) = dirty
        .iter()
        .enumerate()
        .filter(|(_, track)| track.id.is_none())
        .map(|(index, track)| (index, track.series.clone()))
        .unzip();
    if !series.is_empty() {
        for (index, id) in unnumbered.into_iter().zip(store.series_ids(&series).await?) {
            let track = &mut dirty[index];
            track.id = Some(id);
            track.runtime.set_series(track.track, id);
        }
    }
    let updates: Vec<EvidenceUpdate> = dirty
        .iter_mut()
        .filter_map(|track| {
            let spans = std::mem::take(&mut track.spans);
            track.id.map(|series| EvidenceUpdate { series, dirty_from: track.from, spans })
        })
        .collect();
    let lives: Vec<LifeUpdate> = lives
        .iter()
        .map(|of_site| LifeUpdate { site: of_site.runtime.id.clone(), lives: of_site.lives.clone() })
        .collect();
    let now = clock::now();
    let run = state.started().map(|start| Alive { start, end: now.max(start) });
    let alive = run.filter(|_| is_last);
    let journal_position = position.map(|position| position.0);
    store.checkpoint(Checkpoint { updates: &updates, lives: &lives, alive, journal_position }).await
}
