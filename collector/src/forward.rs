//! Forwarding: every accepted sample goes by Prometheus remote write to the stores of the configuration, with its own time.
//!
//! ```text
//!  journal ──► reader ──► live stream ────► shard 0 … n ──► POST, 2xx ─┐
//!     ▲   └──► reader ──► backlog stream ─► shard 0 … n ──► POST, 2xx ─┤
//!     │                                                                ▼
//!     └────────────── durable cursor of the store ◄────────── what the store lacks
//! ```
//!
//! # What goes
//!
//! A record of the journal is a request as it came, with the site of its credential. It is decoded by the same code that the ingest ran
//! (`ingest::series`), with the time at which it was received then; so exactly the samples that were accepted go, and of a request that was
//! refused in part the rest does not. The label `site` is written here, from the record. What the register lets a site's agent watch is asked
//! again: a right that was taken away meanwhile costs the samples under way. Of a sender that is no agent (`ingest::foreign`) what its mapping takes
//! goes, under the site that the mapping found and with the sender's name as the label `sender`; nothing else of it does. Native histograms and
//! exemplars do not go, and are counted.
//!
//! # Two streams
//!
//! The live stream reads at the journal's end. When the store does not keep up with it, or is away, the stream would soon tell of the past:
//! once what it is to read next is older than five seconds it moves on, and leaves a hole behind. The backlog stream reads
//! the holes, the oldest first. The live stream moves to where the last request began that failed, which is not behind the store's return: so nothing
//! that was received since waits for the past ([`coverage`] says why, and a model holds it to that). And while the live stream
//! is behind, the backlog makes room for it. So after an outage the present is right at once, while the past fills up beside it; and nothing of an outage is
//! held in memory, for it is in the journal. Each stream has as many connections as the store has shards. A series belongs to one shard, by the
//! hash of its labels without its name, or of what it is a round of, and a shard sends one request at a time: within a stream the order of a series is that
//! of its arrival. So the
//! figures of a round are in one shard, and in one request: another collector can put the round together again. Between
//! the two it is not. Prometheus takes that with `out_of_order_time_window`, VictoriaMetrics as it is. For a store that does not,
//! `order: in_order` has all go in one stream: live samples then wait until the backlog is through.
//!
//! # The cursor
//!
//! [`Coverage`] knows what the store lacks: holes, what is being sent, and what is not read yet. The cursor is the first of these,
//! whatever shards finish first, and is written to disk every two seconds. It moves only over what a 2xx has confirmed, what the store refused
//! for good, and what was given up. A collector that is killed sends again what was confirmed behind the cursor: a sample is known by its series
//! and time, so that is harmless.
//!
//! # What an answer means
//!
//! [`answer::action`] is the whole table. A store that is away, overloaded, or not to be reached for a reason that is not in the samples
//! (401, 404, a redirect) is asked again, with growing pauses, for as long as it takes. One that refuses a request for what is in it (400) costs the
//! samples at fault: [`Split`] finds them by halves, in order and within a bound. A request on which it fails time and again while it takes others is treated
//! so too; the live stream does not stay behind it, but leaves what comes after it to the backlog. One that refuses everything is asked less and less
//! ([`pace::Standing`]), and loses only what it was asked with. Remote write 2.0 is spoken first; 415, or a 2xx that does not say what was
//! written, has the same samples sent as 1.0 at once.
//!
//! # What bounds it
//!
//! In memory two chunks a stream, of some `shards × samples` samples each. On disk `max_bytes` of the journal, kept by the engine, and `max_age`:
//! past either the oldest is given up, counted, and its span is logged. No push ever waits for a store, and no store for another: each has tasks,
//! connections, cursor and readers of its own.
//!
//! | module | is | |
//! | --- | --- | --- |
//! | [`coverage`] | pure | what the store lacks, what to read next, where the cursor is |
//! | [`answer`] | pure | status → action |
//! | [`split`] | pure | which samples of a refused batch are at fault |
//! | [`pace`] | pure | how long to wait |
//! | `batch` | pure | records → batches of series by shard → bodies |
//! | `send` | shell | one batch until it is settled |
//! | `store` | shell | one store: its streams, its cursor, its figures |

pub mod answer;
mod batch;
pub mod coverage;
pub mod figures;
pub mod pace;
mod send;
pub mod split;
mod store;

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wan_journal::{Journal, JournalError, Reader, Seq};

pub use coverage::Coverage;
pub use split::Split;

use crate::config::forward::{RemoteStore, Start};
use crate::engine::{EngineHandle, Room};
use crate::state::State;

/// What the names of the stores' cursors begin with.
const CURSOR: &str = "forward-";

/// The name of a store's journal cursor.
#[must_use]
pub fn cursor(store: &RemoteStore) -> String {
    format!("{CURSOR}{}", store.name)
}

/// A store, from where on it lacks the journal, and a reader there.
#[derive(Debug)]
pub struct Begun {
    store: Arc<RemoteStore>,
    reader: Reader,
    end: Seq,
}

/// Takes up the cursors of the configured stores: a new store's begins where its configuration says, and one that no store has any more
/// goes, so that it holds nothing back.
///
/// # Errors
/// The journal's.
pub fn begin(stores: &[Arc<RemoteStore>], journal: &mut Journal) -> Result<Vec<Begun>, JournalError> {
    let known: Vec<String> = stores.iter().map(|store| cursor(store)).collect();
    let gone: Vec<String> = journal
        .cursors()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with(CURSOR) && !known.contains(name))
        .collect();
    for name in gone {
        tracing::info!(cursor = %name, "a store is no longer configured: what it lacks is not kept for it");
        journal.remove_cursor(&name)?;
    }
    let mut begun = Vec::with_capacity(stores.len());
    for (store, name) in stores.iter().zip(known) {
        let from = journal.cursor(&name).unwrap_or(match store.start {
            Start::Now => journal.next_seq(),
            Start::Oldest => journal.oldest(),
        });
        // The journal's newest frames may have been cut off or moved away.
        let from = from.min(journal.next_seq());
        journal.set_cursor(&name, from)?;
        begun.push(Begun { store: Arc::clone(store), reader: journal.reader(from), end: journal.next_seq() });
    }
    Ok(begun)
}

/// The engine's bounds for the journal, with those of the stores: none lets it take more than `most`.
#[must_use]
pub fn room(stores: &[Arc<RemoteStore>], most: u64) -> Room {
    let add = |room: Room, store: &Arc<RemoteStore>| room.with(&cursor(store), store.max_bytes.min(most));
    stores.iter().fold(Room::from(most), add)
}

/// Forwards to each of them until `stop`; then what is being sent may still be confirmed for a moment.
#[must_use]
pub fn start(
    begun: Vec<Begun>,
    state: &Arc<State>,
    engine: &EngineHandle,
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let run = |begun| tokio::spawn(store::run(begun, Arc::clone(state), engine.clone(), stop.clone()));
    begun.into_iter().map(run).collect()
}
