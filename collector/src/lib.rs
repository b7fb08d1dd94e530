//! The Wanwatch collector: takes what agents push, keeps it as evidence, and answers how much of the province is connected
//! and how reliably.
//!
//! ```text
//!  POST /api/v1/write                                                    /metrics, /api/v1/…, page
//!        │                                                                       ▲
//!        ▼                                                                       │ reads, one site's lock at a time
//!   ingest: credential → decode → rounds ──► engine (one thread): journal, one sync for a group, evidence
//!                                                 │                              │
//!                                                 └── 2xx after the sync         └─► checkpoint ──► store (SQLite)
//! ```
//!
//! - [`alert`] looks at the province twice a second, says what is wrong, and tells whom it concerns;
//! - [`forward`] reads the journal for each store that samples are sent on to;
//! - [`quality`] reads the journal a second time and keeps loss, round-trip times and jitter by minute and hour;
//! - [`ledger`], [`report`] and [`verdict`] are the pure core: spans of evidence, timelines, figures, the state now;
//! - [`ingest`], [`engine`], [`checkpoint`], [`load`], [`server`] and [`tls`] are the shell around it;
//! - [`access`] and [`attempts`] say who may read, and how often somebody may be wrong;
//! - [`config`], [`inventory`] and [`store`] are what it is told and what it keeps.

pub mod access;
pub mod alert;
pub mod api;
pub mod attempts;
pub mod calendar;
pub mod central;
pub mod checkpoint;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counters;
pub mod credential;
pub mod engine;
pub mod enrolment;
pub mod forward;
pub mod history;
pub mod incidents;
pub mod ingest;
pub mod inventory;
pub mod lang;
pub mod ledger;
pub mod load;
pub mod localtime;
pub mod metrics;
mod outgoing;
pub mod planned;
pub mod province;
pub mod quality;
pub mod record;
pub mod report;
pub mod rolling;
pub mod secret;
pub mod server;
mod service;
pub mod state;
pub mod store;
pub mod tls;
pub mod verdict;
pub mod web;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wan_journal::{FullPolicy, Journal, Options, Reader, Seq};
use wan_wire::UnixMillis;

use crate::access::Guard;
use crate::checkpoint::Pace;
use crate::clock::guard::Watch;
use crate::config::{Config, is_loopback};
use crate::counters::Counters;
use crate::engine::{Command, EngineHandle};
use crate::ingest::Ingest;
use crate::server::{Limits, Listener};
use crate::state::State;
use crate::store::sqlite::SqliteStore;
use crate::store::{Checkpoint, Store};
use crate::tls::Secured;

/// How often the store is asked whether the register or a secret has changed: a new secret works this soon.
const REVISION_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the collector on `sockets` until `shutdown`; then finishes requests that have begun and takes a last checkpoint.
///
/// # Errors
/// When data folder, store or journal cannot be opened, or the engine ends by itself.
pub async fn run(
    config: Config,
    sockets: Vec<TcpListener>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let started = clock::now();
    service::starting("loading what is stored");
    let store = Arc::new(SqliteStore::open(&config.database()).await?);
    let addresses: Vec<_> = sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    access::may_serve(&addresses, store.somebody_may_read(started).await?)?;
    let counters = Arc::new(Counters::new().context("cannot register the collector's own metrics")?);
    let (listeners, secured) = secure(&config, sockets, started)?;
    let state = Arc::new(State::new(config, None, Arc::clone(&counters)));
    let (mut journal, unread) = start_state(&state, &store, started).await?;
    state.central.restore(store.agent_configs().await?);
    let ran_until = state.alive(started).iter().map(|run| run.end).max();
    let watch = Watch::begin(&state, ran_until);
    let follower = central::follow::Follower::start(Arc::clone(&state))?;

    let second = journal.reader(unread);
    let stores = forward::begin(&state.config.forward, &mut journal)?;
    journal.trim()?;
    let room = forward::room(&state.config.forward, state.config.journal.max_bytes / 2);
    let (engine, thread) = engine::start(journal, state.config.ingest.backlog, room, counters)
        .context("cannot start the engine's thread")?;
    checkpoint::begin(&state, &*store).await;

    let stop = shutdown.child_token();
    let background = CancellationToken::new();
    let checkpoints = tokio::spawn(checkpoint::run(
        Arc::clone(&state),
        Arc::clone(&store),
        engine.clone(),
        background.clone(),
    ));
    let figures =
        quality::follow::Follower::start(Arc::clone(&state), Arc::clone(&store), engine.clone(), second)
            .await?;
    let figures = tokio::spawn(figures.run(background.clone()));
    let forwarding = CancellationToken::new();
    let forwards = forward::start(stores, &state, &engine, &forwarding);
    let history = tokio::spawn(history::load(Arc::clone(&state), Arc::clone(&store), background.clone()));
    let watch = tokio::spawn(watch.run(background.clone()));
    let revisions = tokio::spawn(follow_register(Arc::clone(&state), Arc::clone(&store), background.clone()));
    let incidents = tokio::spawn(incidents::run(Arc::clone(&state), Arc::clone(&store), background.clone()));
    let bell = Arc::new(alert::deliver::Bell::default());
    let alerts = tokio::spawn(alert::watch::run(
        Arc::clone(&state),
        Arc::clone(&store),
        Arc::clone(&bell),
        background.clone(),
    ));
    let deliveries =
        tokio::spawn(alert::deliver::run(Arc::clone(&state), Arc::clone(&store), bell, background.clone()));
    let reloads = alert::follow::Follower::new(Arc::clone(&state))
        .map(|follower| tokio::spawn(follower.run(background.clone())));
    let heartbeat =
        tokio::spawn(alert::heartbeat::run(Arc::clone(&state), engine.clone(), background.clone()));
    let configurations = tokio::spawn(follower.run(background.clone()));
    let mut ended = tokio::task::spawn_blocking(move || thread.join().is_ok());

    let ingest = Arc::new(Ingest::new(Arc::clone(&state), engine.clone()));
    let guard = Arc::new(Guard::new(Arc::clone(&store), Arc::clone(&state)));
    let router = api::router(Arc::clone(&state), engine.clone())
        .merge(api::planned::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(api::report::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(enrolment::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(alert::endpoint::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(incidents::endpoint::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(central::endpoint::router(Arc::clone(&state), Arc::clone(&store)))
        .merge(api::quality::router(Arc::clone(&state), Arc::clone(&store)));
    let router = access::guarded(router, guard);
    let certificate = tokio::spawn(tls::follow(secured, Arc::clone(&state.counters), background.clone()));
    let mut server =
        tokio::spawn(server::serve(listeners, ingest, router, Limits::of_this_process(), stop.clone()));
    let manager = tokio::spawn(service::run(Arc::clone(&state), engine.clone(), stop.clone()));

    let by_itself = tokio::select! {
        _ = &mut server => None,
        clean = &mut ended => Some(clean.unwrap_or(false)),
    };
    // Before the engine stops, which takes the stores' last cursors.
    forwarding.cancel();
    for forward in forwards {
        let _ = forward.await;
    }
    if by_itself.is_some() {
        stop.cancel();
        let _ = server.await;
    } else {
        engine.send(Command::Stop).await;
        let _ = ended.await;
    }
    background.cancel();
    let _ = tokio::join!(
        watch,
        history,
        checkpoints,
        figures,
        revisions,
        configurations,
        incidents,
        alerts,
        deliveries,
        heartbeat,
        manager,
        certificate
    );
    if let Some(reloads) = reloads {
        let _ = reloads.await;
    }
    let stored = checkpoint::take(&state, &*store, &engine, Pace::AtOnce).await;
    anyhow::ensure!(by_itself.is_none(), "the engine stopped by itself; see the log above");
    anyhow::ensure!(stored, "the last checkpoint failed; the next start replays the journal instead");
    Ok(())
}

/// Gives each socket the certificate of the configuration where it is to speak TLS, and says how each is reached.
fn secure(
    config: &Config,
    sockets: Vec<TcpListener>,
    now: UnixMillis,
) -> anyhow::Result<(Vec<Listener>, Option<Arc<Secured>>)> {
    let addresses: Vec<_> = sockets.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    // Where only loopback is listened on, no certificate is made.
    let needed = addresses.iter().any(|address| config.speaks_tls(address));
    let secured = if needed { Secured::open(config, now)?.map(Arc::new) } else { None };
    let mut listeners = Vec::with_capacity(sockets.len());
    for (socket, address) in sockets.into_iter().zip(addresses) {
        let own = secured.clone().filter(|_| config.speaks_tls(&address));
        if own.is_none() && !is_loopback(&address) {
            tracing::warn!(
                %address,
                "this address speaks plain HTTP (`tls: off`): unless a proxy in front of it speaks TLS, secrets and passwords \
                 can be read on their way"
            );
        }
        tracing::info!("listening on {}://{address}", if own.is_some() { "https" } else { "http" });
        listeners.push(Listener::new(socket, own)?);
    }
    Ok((listeners, secured))
}

/// Opens the journal, loads what of the store is needed to serve, and replays what the journal has beyond it. Gives the journal, and
/// from where on the figures of quality lack it.
async fn start_state(
    state: &Arc<State>,
    store: &SqliteStore,
    now: UnixMillis,
) -> anyhow::Result<(Journal, Seq)> {
    let directory = state.config.journal_dir();
    let options = Options {
        segment_bytes: state.config.journal.segment_bytes,
        max_bytes: state.config.journal.max_bytes,
        full: FullPolicy::Refuse,
        max_payload: u32::try_from(state.config.ingest.compressed_limit + record::MAX_HEAD)?,
        ..Options::default()
    };
    let (mut journal, recovery) = Journal::open_dir(&directory, options)?;
    if recovery.torn_bytes > 0 {
        tracing::warn!(bytes = recovery.torn_bytes, "the journal ends in a torn write, as after a power cut");
    }
    for file in &recovery.foreign {
        tracing::warn!(%file, "a file in the journal's folder is not this version's; it is left alone");
    }
    load::recent(state, store, now).await?;
    let mut from = store.journal_position().await?.map_or(Seq::FIRST, Seq);
    if from > journal.next_seq() {
        // Nothing is missing from the evidence, but the journal's newest frames have been cut off or moved away.
        tracing::error!(position = %from, next = %journal.next_seq(), "the journal ends before the last checkpoint");
        from = journal.next_seq();
        // What is appended from now on lies behind it, also if a kill comes before the first checkpoint.
        store.checkpoint(Checkpoint { journal_position: Some(from.0), ..Checkpoint::default() }).await?;
    }
    let replay = load::journal(state, journal.reader(from))?;
    state.counters.journal_damaged.inc_by(replay.missing + replay.unreadable);
    tracing::info!(
        requests = replay.requests,
        missing = replay.missing,
        "journal replayed behind the last checkpoint"
    );
    if let Some(alive) = load::last_run(&store.alive().await?, replay.last_received) {
        let journal_position = Some(from.0);
        store
            .checkpoint(Checkpoint { alive: Some(alive), journal_position, ..Checkpoint::default() })
            .await?;
        state.restore_alive(store.alive().await?);
    }
    journal.set_cursor(engine::LEDGER_CURSOR, from)?;
    // A data folder that never had such figures gets them from all that is still there.
    let unread = store.quality_position().await?.map_or(journal.oldest(), Seq).min(journal.next_seq());
    journal.set_cursor(engine::QUALITY_CURSOR, unread)?;
    Ok((journal, unread))
}

/// Takes over changes that `wan-collector sites import`, `enroll` and `agents` make while the server runs, and tells the
/// store which offered secrets agents have begun to use.
async fn follow_register(state: Arc<State>, store: Arc<SqliteStore>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REVISION_INTERVAL) => {}
            used = state.offers.wait() => {
                for secret in used {
                    match store.confirm_secret(&secret, clock::now()).await {
                        Ok(true) => {
                            let directory = state.directory();
                            let site = directory.credentials.get(&secret).map(|site| site.id.as_str());
                            tracing::info!(site, "the agent uses its new secret; the former one is revoked");
                        }
                        Ok(false) => {}
                        Err(error) => tracing::warn!(%error, "cannot note that a new secret is in use"),
                    }
                    state.offers.settled(&secret);
                }
            }
        }
        match refresh(&state, &*store).await {
            Ok(Some(revision)) => {
                tracing::info!(sites = state.directory().register.len(), revision, "register taken over");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot see whether the register has changed"),
        }
    }
}

/// Takes register and secrets over if the store has newer ones; gives the revision that was taken over.
///
/// # Errors
/// What the store says.
pub(crate) async fn refresh<S: Store>(state: &State, store: &S) -> Result<Option<i64>, store::StoreError> {
    let revision = store.revision().await?;
    if revision == state.directory().revision {
        return Ok(None);
    }
    let snapshot = store.snapshot().await?;
    let revision = snapshot.revision;
    state.replace_register(snapshot);
    Ok(Some(revision))
}

/// A progress bar on a terminal's standard error, once something takes longer than a second.
struct Shown {
    began: std::time::Instant,
    bar: ProgressBar,
}

impl Shown {
    const PATIENCE: Duration = Duration::from_secs(1);

    fn new(total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        Self { began: clock::monotonic(), bar: bar.with_message("reading what is stored") }
    }

    fn one_more(&mut self) {
        self.bar.inc(1);
        if self.bar.is_hidden() && clock::monotonic().duration_since(self.began) > Self::PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {eta}") {
                self.bar.set_style(style);
            }
            // Where standard error is no terminal it stays hidden: look again in a second, not at each series.
            self.began = clock::monotonic();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Loads the state of a data folder without changing anything: for commands that print figures, also beside a server.
///
/// # Errors
/// When there is no store yet, or it or the journal cannot be read.
pub async fn load_read_only(config: Config) -> anyhow::Result<State> {
    let store = SqliteStore::open_read_only(&config.database()).await?;
    let counters = Arc::new(Counters::new().context("cannot register metrics")?);
    let state = State::new(config, None, counters);
    // The position before the evidence: a server beside may take a checkpoint between the two, and evidence that is newer
    // than the position does no harm.
    let from = store.journal_position().await?.map_or(Seq::FIRST, Seq);
    let mut shown = Shown::new(store.count_series().await?);
    load::whole(&state, &store, || shown.one_more()).await?;
    let directory = state.config.journal_dir();
    if directory.is_dir() {
        load::journal(&state, Reader::open_read_only(&directory, from)?)?;
    }
    Ok(state)
}

/// Whether the engine answers within `limit`: what `/readyz` says.
pub async fn engine_answers(engine: &EngineHandle, limit: Duration) -> bool {
    let (reply, answer) = tokio::sync::oneshot::channel();
    let ping = async { engine.send(Command::Ping(reply)).await && answer.await.is_ok() };
    tokio::time::timeout(limit, ping).await.unwrap_or(false)
}
