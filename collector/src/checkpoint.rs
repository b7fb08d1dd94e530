//! The checkpoint: evidence from memory to the store, every few seconds, so that a start replays little.
//!
//! It is **fuzzy**: it notes the journal position first, then copies each site's changes under that site's lock, while the
//! engine goes on. What it copies may thus be newer than the position, never older. That is sound because evidence merges
//! by maximum: replaying a record over evidence that already contains it changes nothing. So nothing ever has to stop for
//! a checkpoint, and the position and the evidence are committed in one transaction.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wan_journal::Seq;

use crate::clock;
use crate::engine::{Command, EngineHandle};
use crate::state::{DirtyTrack, State};
use crate::store::{Alive, Checkpoint, EvidenceUpdate, Series, Store, StoreError};

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
        take(&state, &*store, &engine).await;
    }
}

/// Takes one checkpoint; a failure is logged and counted, and everything stays due for the next. Returns whether it worked.
pub async fn take<S: Store>(state: &State, store: &S, engine: &EngineHandle) -> bool {
    let started = clock::monotonic();
    // The order matters: the position before the evidence.
    let position = engine.applied();
    let mut dirty = Vec::new();
    for runtime in state.directory().runtimes.values() {
        runtime.take_dirty(&mut dirty);
    }
    let result = write(state, store, &mut dirty, position).await;
    state.counters.checkpoint_seconds.observe(clock::monotonic().duration_since(started).as_secs_f64());
    match result {
        Ok(()) => {
            // The engine is the journal's owner; when it has stopped, the next start trims.
            engine.send(Command::Checkpointed(position)).await;
            true
        }
        Err(error) => {
            state.counters.checkpoint_failures.inc();
            tracing::error!(%error, "the checkpoint failed; the journal keeps everything, and the next one tries again");
            for track in &dirty {
                track.runtime.mark_dirty(track.track, track.from);
            }
            false
        }
    }
}

async fn write<S: Store>(
    state: &State,
    store: &S,
    dirty: &mut [DirtyTrack],
    position: Seq,
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
    let now = clock::now();
    let alive = state.started.map(|start| Alive { start, end: now.max(start) });
    store.checkpoint(Checkpoint { updates: &updates, alive, journal_position: position.0 }).await
}
