//! The tasks that push: they take from the queue, send, and do what the policy says. Rounds never wait for them.
//!
//! | task | does |
//! | --- | --- |
//! | live | at each tick what is fresh, with the agent's own state; before the first push of a process that does not know the time it says hello |
//! | backlog | what an outage left, in requests of its own beside the live ones, by the path that works, at a bounded rate |
//! | asking | whether a preferred path is back, by a small request, while another one works |
//! | tending | the queue's disk: opening it, writing to it, on a thread that may wait |
//! | errands | the central configuration: fetches it when an answer names another one, reports what became of it |
//!
//! They share [`State`], which is locked for microseconds and never across an await.

mod backlog;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wan_wire::encode::EncodeError;
use wan_wire::round::encode_round;
use wan_wire::{Label, LinkName, Metric, Protocol, RequestBuilder, UnixMillis};

use super::client::{Asked, Fetched, Pushing, Told};
use super::credential::Credential;
use super::trust::times_of;
use super::{Action, Answered, Paths, action};
use crate::central::Central;
use crate::clock::{self, Dating, Stamp, Timekeeper};
use crate::config::{Collector, QueueConfig};
use crate::queue::{Item, Queue};
use crate::status::Board;
use crate::telemetry::{PushCounts, Telemetry};

/// Target rounds in one live request: at seven samples each about 3,500, some 60 KB before compression, a second or so on a
/// line of 256 kbit/s after it.
const MOST_ROUNDS: usize = 500;

/// How long the last push may take: a host that shuts down does not wait long.
const LAST_PUSH: Duration = Duration::from_secs(2);

/// How long a push waits for the first anchor of a boot to be written down, before which it dates no round.
const ANCHOR_WAIT: Duration = Duration::from_secs(1);

/// The disk is not worked on more often than this.
const TEND_REST: Duration = Duration::from_millis(100);

/// The queue as rounds and pushes share it.
pub(crate) type SharedQueue = Arc<Queue>;

pub(crate) struct Pusher {
    pushing: Pushing,
    urls: Vec<String>,
    links: Vec<LinkName>,
    queue: SharedQueue,
    timekeeper: Timekeeper,
    central: Central,
    board: Board,
    backlog_rate: u32,
    state: Mutex<State>,
    /// A push got through, or there is a backlog: it may follow.
    through: Notify,
    /// A path that is not the preferred one works.
    ask: Notify,
    /// There is something to do for the central configuration.
    errand: Notify,
    origin: Instant,
}

/// What the tasks share.
struct State {
    paths: Paths,
    credential: Credential,
    telemetry: Telemetry,
    counts: PushCounts,
    /// The hello was answered.
    is_greeted: bool,
    /// The path by which the collector was heard last, whatever it answered.
    heard_by: Option<usize>,
}

/// A request's bytes, and how many samples are in them.
struct Body {
    bytes: Vec<u8>,
    samples: u64,
}

/// What a request carries beside its rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The agent's own state.
    Live,
    /// Nothing.
    Backlog,
}

/// What one answer led to.
enum Step {
    /// So many of the rounds are done for.
    Gone(usize),
    /// The same again, changed as the state now says, with at most so many rounds.
    Again(usize),
    /// This path does not take them now; it asks to be left alone for so long.
    Failed(Option<Duration>, String),
}

impl Pusher {
    pub(crate) fn new(
        collector: Collector,
        config: &QueueConfig,
        queue: SharedQueue,
        telemetry: Telemetry,
        timekeeper: Timekeeper,
        central: Central,
        board: Board,
    ) -> Pusher {
        let state = State {
            paths: Paths::new(collector.urls.len()),
            credential: Credential::new(collector.secret.clone()),
            telemetry,
            counts: PushCounts::default(),
            is_greeted: false,
            heard_by: None,
        };
        Pusher {
            urls: collector.urls.iter().map(|endpoint| endpoint.url.clone()).collect(),
            links: collector.urls.iter().map(|endpoint| endpoint.path.clone()).collect(),
            pushing: Pushing::with_times(collector, times_of(&timekeeper)),
            queue,
            timekeeper,
            central,
            board,
            backlog_rate: config.backlog_rate,
            state: Mutex::new(state),
            through: Notify::new(),
            ask: Notify::new(),
            errand: Notify::new(),
            origin: clock::monotonic(),
        }
    }

    /// Where answers that ask for a new secret are noted.
    pub(crate) fn asked(&self) -> Arc<Asked> {
        self.pushing.asked()
    }

    /// Pushes at each tick, and when a wait is over, until `stop`; gives itself back for the last push.
    pub(crate) async fn run(self, tick: &Notify, stop: CancellationToken) -> Pusher {
        {
            let tasks = async {
                tokio::join!(self.live(tick), self.backlog(), self.asking(), self.tending(), self.errands())
            };
            tokio::select! {
                _ = tasks => {}
                // Cut off in the middle: what was under way goes again, under the same times.
                () = stop.cancelled() => {}
            }
        }
        self
    }

    /// The last push, with what is fresh and what was under way; every path is tried at once, whatever its wait. What is not
    /// delivered then goes to the disk.
    pub(crate) async fn last(self) {
        self.state().paths.forgive();
        self.queue.end_all_under_way();
        if timeout(LAST_PUSH, self.push()).await.is_err() {
            tracing::warn!("the last push was not acknowledged within {} s", LAST_PUSH.as_secs());
        }
        let left = self.on_disk(|queue, now| queue.close(now)).await.unwrap_or(0);
        if left > 0 {
            tracing::warn!(rounds = left, "rounds that were not delivered end with the agent");
        }
    }

    async fn live(&self, tick: &Notify) {
        loop {
            let retry = self.retry_at();
            tokio::select! {
                () = tick.notified() => {}
                () = sleep_until(retry.unwrap_or(self.origin)), if retry.is_some() => {}
            }
            self.push().await;
        }
    }

    /// When to try again without a tick: only while something waits and every path was told to wait.
    fn retry_at(&self) -> Option<Instant> {
        let now = self.now();
        let next = self.state().paths.next_ready().filter(|next| *next > now)?;
        self.queue.has_waiting().then(|| self.origin + next)
    }

    /// One live request.
    async fn push(&self) {
        let order = self.state().paths.ready(self.now());
        if order.is_empty() {
            return;
        }
        if !self.greet(&order).await {
            self.queue.set_offline(true);
            return;
        }
        let items = self.queue.take_live(MOST_ROUNDS, &self.timekeeper);
        // Not those that just failed to be greeted.
        let order = self.state().paths.ready(self.now());
        let gone = self.send(&items, &order).await;
        let (delivered, kept) = items.split_at(gone.unwrap_or(0));
        self.queue.delivered(delivered);
        self.queue.put_back(kept);
        if gone.is_none() {
            self.queue.set_offline(true);
        }
    }

    /// Says hello where this process does not know the time yet: asking for the central configuration teaches it. Whether
    /// someone answered, now or before.
    async fn greet(&self, order: &[usize]) -> bool {
        if self.timekeeper.anchored() || self.state().is_greeted {
            return true;
        }
        for path in order {
            let Some(told) = self.ask_config(*path).await else { continue };
            if !is_collector(&told.answered) {
                self.failed(*path, retry_after(told.answered), &told.why);
                continue;
            }
            {
                let mut state = self.state();
                state.is_greeted = true;
                state.paths.is_back(*path);
            }
            self.wait_for_anchor().await;
            return true;
        }
        false
    }

    /// Until rounds from before can be dated: their times must be durable first.
    async fn wait_for_anchor(&self) {
        const STEP: Duration = Duration::from_millis(20);
        let moment = Stamp { since_boot: 0, host: UnixMillis(0), synchronised: false, offset: None };
        let waits = || self.timekeeper.date(self.timekeeper.boot(), &moment) == Dating::Later;
        let mut waited = Duration::ZERO;
        while self.timekeeper.anchored() && waits() && waited < ANCHOR_WAIT {
            sleep(STEP).await;
            waited += STEP;
        }
    }

    /// Sends a live batch by the first of these paths that takes it: how many of its rounds are done for.
    async fn send(&self, items: &[Item], order: &[usize]) -> Option<usize> {
        for path in order {
            match self.send_by(*path, items, Kind::Live).await {
                Ok(gone) => return Some(gone),
                Err((retry_after, why)) => self.failed(*path, retry_after, &why),
            }
        }
        None
    }

    /// Sends a batch by one path: how many of its rounds, from the first on, are done for; else how long the peer wants to be
    /// left alone, and why.
    async fn send_by(
        &self,
        path: usize,
        items: &[Item],
        kind: Kind,
    ) -> Result<usize, (Option<Duration>, String)> {
        let (mut count, mut asked_again) = (items.len(), false);
        loop {
            let (secret, protocol) = {
                let mut state = self.state();
                (state.credential.read(), state.paths.protocol(path))
            };
            let Some(secret) = secret else { return Err((None, "no secret".into())) };
            let part = &items[..count];
            let body = match self.body(path, protocol, part, kind) {
                Ok(body) => body,
                Err(error) => {
                    // Never our own rounds; were it so, one must not block the rest for ever.
                    tracing::error!(%error, "rounds that cannot be encoded are set aside");
                    self.refused(samples(part));
                    return Ok(count);
                }
            };
            let Body { bytes, samples } = body;
            let told = self.pushing.post(path, protocol, &secret, bytes).await;
            self.heard(&told);
            match self.step(path, protocol, part, samples, kind, &told, &secret, &mut asked_again) {
                Step::Gone(gone) => return Ok(gone),
                Step::Again(most) => count = most,
                Step::Failed(retry_after, why) => return Err((retry_after, why)),
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        path: usize,
        protocol: Protocol,
        items: &[Item],
        sent: u64,
        kind: Kind,
        told: &Told,
        secret: &str,
        asked_again: &mut bool,
    ) -> Step {
        match action(told.answered, protocol, items.len()) {
            Action::Delete => {
                self.delivered(path, items, kind, told);
                if is_known(told) {
                    self.state().credential.worked(secret);
                }
                Step::Gone(items.len())
            }
            Action::SetAside => {
                let (url, why) = (self.urls[path].as_str(), told.why.as_str());
                // The rest of such a request was written, and is durable. The agent's own state is told again anyway.
                let left = told.written.map_or(u64::MAX, |written| sent.saturating_sub(written));
                let refused = left.min(samples(items));
                let from = items.iter().map(|item| item.end.minus(item.record.interval)).min();
                let to = items.iter().map(|item| item.end).max();
                tracing::warn!(
                    url,
                    samples = refused,
                    from = from.map(tracing::field::display),
                    to = to.map(tracing::field::display),
                    why,
                    "the collector refused samples for good, of rounds of this time"
                );
                self.refused(refused);
                if is_known(told) {
                    self.state().credential.worked(secret);
                }
                if told.written.is_some() || is_known(told) {
                    self.reached(path, told);
                } else {
                    self.state().paths.worked(path);
                }
                Step::Gone(items.len())
            }
            Action::Halve => Step::Again(items.len() / 2),
            Action::SpeakV1 => {
                tracing::info!(url = self.urls[path], "the peer does not speak remote write 2.0; using 1.0");
                self.state().paths.speak_v1(path);
                Step::Again(items.len())
            }
            Action::Credential if !*asked_again && self.state().credential.changed(secret) => {
                *asked_again = true;
                Step::Again(items.len())
            }
            Action::Credential | Action::BackOff => {
                if is_known(told) {
                    self.run_errands(path);
                }
                Step::Failed(retry_after(told.answered), told.why.clone())
            }
        }
    }

    fn body(&self, path: usize, protocol: Protocol, items: &[Item], kind: Kind) -> Result<Body, EncodeError> {
        let mut request = RequestBuilder::new(protocol);
        for round in items.iter().flat_map(|item| item.record.rounds(item.end)) {
            if let Err(error) = encode_round(&round, &mut request) {
                tracing::error!(%error, link = %round.link, target = round.target, "a round cannot be encoded");
                self.state().counts.set_aside_samples += 1;
            }
        }
        let now = self.timekeeper.now();
        request.sample(Metric::AgentPath, &[(Label::Path, self.links[path].as_str())], now, 1.0)?;
        match kind {
            Kind::Live => {
                let figures = self.queue.figures();
                let mut state = self.state();
                let counts = state.counts;
                state.telemetry.add(&mut request, now, clock::monotonic(), &figures, &counts)?;
            }
            Kind::Backlog => {}
        }
        let samples = u64::try_from(request.samples()).unwrap_or(u64::MAX);
        Ok(Body { bytes: request.finish_compressed()?, samples })
    }

    fn delivered(&self, path: usize, items: &[Item], kind: Kind, told: &Told) {
        {
            let mut state = self.state();
            state.counts.delivered += 1;
            if kind == Kind::Live {
                state.telemetry.pushed();
            }
        }
        self.reached(path, told);
        let url = self.urls[path].as_str();
        tracing::debug!(url, link_rounds = items.len(), written = told.written, "pushed");
    }

    /// The collector has taken a push by this path, all of it or a part: the path works, and what waited for one may go.
    fn reached(&self, path: usize, told: &Told) {
        if told.exchange.is_none() {
            self.timekeeper.no_time();
        }
        self.queue.set_offline(false);
        self.board.delivered(path, self.timekeeper.now());
        let url = self.urls[path].as_str();
        let (had_failed, is_first) = {
            let mut state = self.state();
            let PushCounts { delivered, refused, .. } = state.counts;
            (state.paths.worked(path), delivered + refused == 1)
        };
        if had_failed {
            tracing::info!(url, rounds_waiting = self.queue.figures().rounds, "the collector answers again");
        } else if is_first {
            tracing::info!(url, "the collector answers");
        }
        self.through.notify_one();
        if path > 0 {
            self.ask.notify_one();
        }
        self.run_errands(path);
    }

    /// The collector was heard by this path: it can be asked, and told, what is to be. After a push, not after each answer:
    /// what fails is tried again at that pace.
    fn run_errands(&self, path: usize) {
        self.state().heard_by = Some(path);
        if self.central.wants().is_some() || self.central.report().is_some() {
            self.errand.notify_one();
        }
    }

    fn failed(&self, path: usize, retry_after: Option<Duration>, why: &str) {
        self.board.failed(path, self.timekeeper.now(), why);
        let (wait, failures) = {
            let mut state = self.state();
            state.counts.failed += 1;
            state.paths.failed(path, self.now(), retry_after, rand::random())
        };
        let url = self.urls[path].as_str();
        // Once when it begins, then only for who looks closely.
        if failures == 1 {
            tracing::warn!(url, why, "the push failed; rounds are kept");
        } else {
            tracing::debug!(url, why, failures, wait_seconds = wait.as_secs_f64(), "the push failed again");
        }
    }

    fn refused(&self, samples: u64) {
        let mut state = self.state();
        state.counts.refused += 1;
        state.counts.set_aside_samples += samples;
    }

    /// What an answer says beside its status.
    fn heard(&self, told: &Told) {
        if let Some(exchange) = told.exchange
            && tells_time(&told.answered, exchange.resolution)
        {
            self.timekeeper.learn(exchange);
        }
        self.central.seen(told.config.as_deref());
    }

    /// Asks whether a preferred path is back, while another works.
    async fn asking(&self) {
        loop {
            let next = self.state().paths.worth_asking(self.now());
            match next {
                None => self.ask.notified().await,
                Some(Err(later)) => sleep_until(self.origin + later).await,
                Some(Ok(path)) => {
                    let Some(told) = self.ask_config(path).await else {
                        self.failed(path, None, "no secret");
                        continue;
                    };
                    let url = self.urls[path].as_str();
                    if is_collector(&told.answered) {
                        self.state().paths.is_back(path);
                        tracing::info!(url, "the collector answers at the preferred URL again");
                    } else {
                        self.failed(path, retry_after(told.answered), &told.why);
                    }
                }
            }
        }
    }

    /// One request for the central configuration; `None` without a secret.
    async fn ask_config(&self, path: usize) -> Option<Told> {
        let secret = self.state().credential.read()?;
        let known = self.central.first().and_then(|want| want.known);
        let (told, fetched) = self.pushing.config(path, &secret, known.as_deref()).await;
        self.heard(&told);
        match (fetched, told.answered) {
            (Some(Fetched { etag, body }), _) => {
                self.central.fetched(etag, body, self.timekeeper.now()).await;
                self.state().heard_by = Some(path);
                self.errand.notify_one();
            }
            (None, Answered::Status { code: 304, .. }) => self.central.unchanged(),
            (None, Answered::Status { code: 404, .. }) => self.central.none(),
            (None, Answered::Status { .. } | Answered::Failed) => {}
        }
        Some(told)
    }

    /// Fetches the central configuration when another one is named, and reports what became of it.
    async fn errands(&self) {
        loop {
            self.errand.notified().await;
            // Also by one that takes no pushes now: the configuration may be what has to change for that.
            let path = {
                let state = self.state();
                state.heard_by.or(state.paths.current())
            };
            let Some(path) = path else { continue };
            if self.central.wants().is_some() {
                // When it fails, the next answer names it again.
                self.ask_config(path).await;
            }
            let Some(report) = self.central.report() else { continue };
            let Some(secret) = self.state().credential.read() else { continue };
            let told = self.pushing.report(path, &secret, &report).await;
            if matches!(told.answered, Answered::Status { code: 200..=299, .. }) {
                self.central.reported(&report);
            } else {
                tracing::debug!(why = told.why, "what became of the central configuration was not reported");
            }
        }
    }

    /// Works on the queue's disk when it is due.
    async fn tending(&self) {
        loop {
            // Every round that is collected may make something due, also while a request hangs.
            let due = self.queue.tend_at().map(|at| self.origin + at);
            tokio::select! {
                () = sleep_until(due.unwrap_or(self.origin)), if due.is_some() => {}
                () = self.queue.changed() => continue,
            }
            self.on_disk(|queue, now| queue.tend(now)).await;
            if self.queue.has_backlog() {
                // Opened just now, it may have found one.
                self.through.notify_one();
            }
            sleep(TEND_REST).await;
        }
    }

    /// Runs what may wait for the disk on a thread of its own.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Queue, Duration) -> T + Send + 'static,
    ) -> Option<T> {
        let (queue, now) = (Arc::clone(&self.queue), self.now());
        tokio::task::spawn_blocking(move || work(&queue, now)).await.ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        clock::monotonic().duration_since(self.origin)
    }
}

/// Whether an answer is that of a collector, or of another receiver that works: not of a proxy whose upstream is gone, nor of a
/// captive portal. A receiver that knows no such endpoint answers 404; a wrong secret is for the push to find out.
fn is_collector(answered: &Answered) -> bool {
    match *answered {
        Answered::Status { code, html, .. } => {
            !html && matches!(code, 200..=299 | 304 | 400 | 401 | 403 | 404 | 405)
        }
        Answered::Failed => false,
    }
}

/// Whether an answer's time is the collector's: one to the millisecond is its own header; a date may be a portal's or a
/// proxy's.
fn tells_time(answered: &Answered, resolution: u32) -> bool {
    resolution < 1000 || is_collector(answered)
}

/// Whether the peer is a collector that knows this agent.
fn is_known(told: &Told) -> bool {
    told.exchange.is_some_and(|exchange| exchange.is_collectors())
}

fn samples(items: &[Item]) -> u64 {
    items.iter().map(Item::samples).sum()
}

fn retry_after(answered: Answered) -> Option<Duration> {
    match answered {
        Answered::Status { retry_after, .. } => retry_after,
        Answered::Failed => None,
    }
}

#[cfg(test)]
mod tests;
