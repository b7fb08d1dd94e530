//! Wanwatch's agent: probes a site's LAN, WAN and Internet links in rounds and pushes what it measured.
//!
//! ```text
//!  config ─► plan ─► probe ─► round ─► watch ─► queue ─► push ─► collector
//!              ▲                 schedule ──┘              ▲
//!   gateways ──┘                                           └── telemetry (interfaces, boot, queue)
//! ```
//!
//! Pure, with time as an argument: [`schedule`], [`round`], [`queue`], [`push`] (the policy), the parsers of [`link`], the
//! planning. Shells: `watch` makes the rounds, `probe` owns sockets, `push::client` owns HTTP, [`clock`] owns the clocks.
//!
//! Rounds and pushes are separate tasks that share only the queue, which is locked for microseconds: a collector that hangs
//! does not move a round by a millisecond.

pub mod central;
pub mod clock;
pub mod config;
pub mod enrol;
pub mod link;
pub mod push;
pub mod queue;
pub mod report;
pub mod round;
pub mod schedule;
pub mod states;
pub mod status;

mod certificate;
mod files;
mod plan;
mod probe;
mod rotate;
mod secret;
mod service;
mod telemetry;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use wan_wire::Outcome;

pub use plan::Series;
pub use watch::{LinkRound, TargetResult};

use central::Central;
use clock::Timekeeper;
use config::Config;
use push::pusher::{Pusher, SharedQueue};
use queue::record::Record;
use queue::{DataFolder, Dropped, Figures, Losses, Queue};
use service::Service;
use states::{Change, States};
use status::{Board, QueueStatus};
use telemetry::{Certificates, Telemetry};
use watch::Sink;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nowhere to push to.
    #[error("the configuration names no collector; add `collector` with urls and secret_file")]
    NoCollector,
}

/// Probes and pushes until `shutdown`; then ends the round under way, pushes once more within two seconds, and returns.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let Some(collector) = config.collector.clone() else { return Err(RunError::NoCollector) };
    install_crypto();
    let boot = link::boot();
    // Random for each boot of each host, also where disks are copies of one image.
    let identity = schedule::identity(&boot.id) ^ if boot.id.is_empty() { rand::random() } else { 0 };
    let folder = config.data.clone().map(DataFolder);
    let queue: SharedQueue = Arc::new(Queue::new(config.queue.clone(), &boot.id, folder));
    let certificates: Arc<Certificates> = Arc::default();
    let sink = Arc::new(Collecting {
        queue: Arc::clone(&queue),
        tick: Notify::new(),
        states: Mutex::default(),
        service: Service::of_environment(),
        losses: Mutex::default(),
        certificates: Arc::clone(&certificates),
    });
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        collector = collector.urls.first().map(|endpoint| endpoint.url.as_str()),
        links = config.links.len(),
        interval_seconds = config.round.interval.as_secs_f64(),
        "wan-agent begins"
    );
    if let Some(why) = report::unasked(&config) {
        tracing::warn!("{why}");
    }
    let central = Central::open(config.clone());
    let board = Board::new(&collector, clock::since_boot());
    let timekeeper = Timekeeper::open(config.data.as_deref(), &boot, clock::built());
    let mut telemetry = Telemetry::new(&config, boot, timekeeper.clone());
    telemetry.follow(central.clone(), certificates);
    let times = push::trust::times_of(&timekeeper);
    let pusher = Pusher::new(
        collector.clone(),
        &config.queue,
        queue,
        telemetry,
        timekeeper.clone(),
        central.clone(),
        board.clone(),
    );
    let asked = pusher.asked();
    let rotation = rotate::run(&collector, &times, &asked, &shutdown);
    let pushes = async { pusher.run(&sink.tick, shutdown.clone()).await };
    let rounds = watch::run(
        central.current(),
        identity,
        &timekeeper,
        Arc::clone(&sink) as Arc<dyn Sink>,
        shutdown.clone(),
    );
    let status = async {
        let Some(folder) = &config.data else { return };
        let status = || {
            let queue = queue_status(&sink.queue.figures());
            board.status(&timekeeper, queue, &central, &sink.states())
        };
        status::socket::serve(folder, status, &shutdown).await;
    };
    let (pusher, (), (), (), ()) =
        tokio::join!(pushes, rounds, rotation, sink.service.feed(&shutdown), status);
    tell_dropped(sink.losses().rest());
    pusher.last().await;
    timekeeper.close();
    tracing::info!("wan-agent ends");
    Ok(())
}

fn queue_status(figures: &Figures) -> QueueStatus {
    QueueStatus {
        memory_bytes: figures.memory_bytes,
        disk_bytes: figures.disk_bytes,
        rounds: figures.rounds,
        oldest: figures.oldest.map(|at| at.0),
        dropped_samples: figures.dropped_samples,
        undated_rounds: figures.undated_rounds,
        disk_failed: figures.has_failed,
    }
}

/// Sets the process's TLS implementation; later calls change nothing.
pub(crate) fn install_crypto() {
    // An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Puts rounds in the queue, and says in the log when a link's state changes.
struct Collecting {
    queue: SharedQueue,
    tick: Notify,
    states: Mutex<States>,
    service: Service,
    losses: Mutex<Losses>,
    certificates: Arc<Certificates>,
}

fn tell_dropped(dropped: Option<Dropped>) {
    if let Some(dropped) = dropped {
        tracing::warn!(
            from = %dropped.from,
            to = %dropped.to,
            samples = dropped.samples,
            "the queue's memory is full; the oldest rounds were dropped"
        );
    }
}

impl Collecting {
    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Collecting {
    fn begun(&self, config: &Config) {
        self.service.round_begun(clock::monotonic(), config.round.interval);
    }

    fn changed(&self, config: &Config) {
        self.states().keep(config);
        self.certificates.keep(config);
    }

    fn link_round(&self, round: LinkRound) {
        self.certificates.note(&round);
        let changes = {
            let mut states = self.states();
            let changes = states.update(&round);
            if !changes.is_empty() {
                self.service.links(&states.own());
            }
            changes
        };
        for Change { watched, before, now } in changes {
            tracing::info!(
                link = %watched.link,
                about = watched.about.as_ref().map(tracing::field::display),
                from = before.map_or("unknown", Outcome::as_str),
                to = now.outcome.as_str(),
                since = %now.since,
                why = now.why,
                "link state"
            );
        }
        if let Some(dropped) = self.queue.push(Record::of(&round, self.queue.boot())) {
            self.losses().add(dropped);
        }
    }

    fn tick(&self) {
        tell_dropped(self.losses().due(clock::monotonic()));
        self.tick.notify_one();
    }
}
