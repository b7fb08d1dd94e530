//! The task that pushes: takes from the queue, sends, and does what the policy says. Rounds never wait for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wan_wire::encode::EncodeError;
use wan_wire::round::encode_round;
use wan_wire::{Protocol, RequestBuilder};

use super::client::{Asked, Pushing, Told};
use super::credential::Credential;
use super::{Action, Answered, Paths, action};
use crate::clock;
use crate::config::Collector;
use crate::queue::{Item, Queue};
use crate::telemetry::{PushCounts, Telemetry};

/// Target rounds in one request: at seven samples each about 3,500, some 60 KB before compression, a second or so on a line of
/// 256 kbit/s after it. One request of the backlog follows each live one: at rounds of 5 s and twenty targets the backlog
/// shrinks twenty-five times as fast as it grew.
const MOST_ROUNDS: usize = 500;

/// How long the last push may take: a host that shuts down does not wait long.
const LAST_PUSH: Duration = Duration::from_secs(2);

/// The queue as rounds and pushes share it. It is locked for microseconds, never across an await.
pub(crate) type SharedQueue = Arc<Mutex<Queue>>;

pub(crate) struct Pusher {
    pushing: Pushing,
    paths: Paths,
    urls: Vec<String>,
    credential: Credential,
    queue: SharedQueue,
    telemetry: Telemetry,
    counts: PushCounts,
    origin: Instant,
}

/// How the sending of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// It left the queue.
    Gone,
    /// It is back in the queue.
    Kept,
}

impl Pusher {
    pub(crate) fn new(collector: Collector, queue: SharedQueue, telemetry: Telemetry) -> Pusher {
        Pusher {
            paths: Paths::new(collector.urls.len()),
            urls: collector.urls.iter().map(|endpoint| endpoint.url.clone()).collect(),
            credential: Credential::new(collector.secret.clone()),
            pushing: Pushing::new(collector),
            queue,
            telemetry,
            counts: PushCounts::default(),
            origin: clock::monotonic(),
        }
    }

    /// Where answers that ask for a new secret are noted.
    pub(crate) fn asked(&self) -> Arc<Asked> {
        self.pushing.asked()
    }

    /// Pushes at each tick, and when a wait is over, until `stop`; gives itself back for the last push.
    pub(crate) async fn run(mut self, tick: &Notify, stop: CancellationToken) -> Pusher {
        loop {
            let retry = self.retry_at();
            tokio::select! {
                () = tick.notified() => {}
                () = sleep_until(retry.unwrap_or(self.origin)), if retry.is_some() => {}
                () = stop.cancelled() => return self,
            }
            tokio::select! {
                () = self.push() => {}
                // Cut off in the middle: what was under way goes again with the last push, which is harmless.
                () = stop.cancelled() => return self,
            }
        }
    }

    /// The last push, with what is fresh and what was under way; every path is tried at once, whatever its wait.
    pub(crate) async fn last(mut self) {
        self.paths.forgive();
        lock(&self.queue).end_all_under_way();
        if tokio::time::timeout(LAST_PUSH, self.push()).await.is_err() {
            tracing::warn!("the last push was not acknowledged within {} s", LAST_PUSH.as_secs());
        }
        let left = lock(&self.queue).rounds();
        if left > 0 {
            tracing::warn!(rounds = left, "rounds that were not delivered end with the agent");
        }
    }

    /// When to try again without a tick: only while something waits and every path was told to wait.
    fn retry_at(&self) -> Option<Instant> {
        let now = self.now();
        let next = self.paths.next_ready().filter(|next| *next > now)?;
        lock(&self.queue).has_waiting().then(|| self.origin + next)
    }

    /// One live request, and when it was delivered one of the backlog.
    async fn push(&mut self) {
        if self.paths.ready(self.now()).is_empty() {
            return;
        }
        let fresh = lock(&self.queue).take_fresh(MOST_ROUNDS);
        if self.send(fresh, true).await == Sent::Kept {
            return;
        }
        let backlog = lock(&self.queue).take_backlog(MOST_ROUNDS);
        if !backlog.is_empty() {
            self.send(backlog, false).await;
        }
    }

    /// Sends a batch by the first path that takes it.
    async fn send(&mut self, mut items: Vec<Item>, live: bool) -> Sent {
        for path in self.paths.ready(self.now()) {
            let mut asked_again = false;
            loop {
                let Some(secret) = self.credential.read() else {
                    self.failed(path, None, "no secret");
                    break;
                };
                let protocol = self.paths.protocol(path);
                let body = match self.body(protocol, &items, live) {
                    Ok(body) => body,
                    Err(error) => {
                        // Never our own rounds; were it so, one must not block the rest for ever.
                        tracing::error!(%error, "rounds that cannot be encoded are set aside");
                        self.set_aside(&items);
                        return Sent::Gone;
                    }
                };
                let told = self.pushing.post(path, protocol, &secret, body).await;
                match action(told.answered, protocol, items.len()) {
                    Action::Delete => {
                        self.delivered(path, &items, live, &told);
                        return Sent::Gone;
                    }
                    Action::SetAside => {
                        let (url, why) = (self.urls[path].as_str(), told.why.as_str());
                        tracing::warn!(
                            url,
                            samples = samples(&items),
                            why,
                            "the collector refused samples for good"
                        );
                        self.paths.worked(path);
                        self.set_aside(&items);
                        return Sent::Gone;
                    }
                    Action::Halve => {
                        let rest = items.split_off(items.len() / 2);
                        lock(&self.queue).put_back(&rest);
                    }
                    Action::SpeakV1 => {
                        tracing::info!(
                            url = self.urls[path],
                            "the peer does not speak remote write 2.0; using 1.0"
                        );
                        self.paths.speak_v1(path);
                    }
                    Action::Credential if !asked_again && self.credential.changed(&secret) => {
                        asked_again = true
                    }
                    Action::Credential | Action::BackOff => {
                        self.failed(path, retry_after(told.answered), &told.why);
                        break;
                    }
                }
            }
        }
        lock(&self.queue).put_back(&items);
        Sent::Kept
    }

    fn body(&self, protocol: Protocol, items: &[Item], live: bool) -> Result<Vec<u8>, EncodeError> {
        let mut request = RequestBuilder::new(protocol);
        for round in items.iter().flat_map(Item::rounds) {
            encode_round(&round, &mut request)?;
        }
        if live {
            let (now, instant) = (self.telemetry.now(), clock::monotonic());
            self.telemetry.add(&mut request, now, instant, &lock(&self.queue), &self.counts)?;
        }
        request.finish_compressed()
    }

    fn delivered(&mut self, path: usize, items: &[Item], live: bool, told: &Told) {
        self.counts.delivered += 1;
        if live {
            self.telemetry.pushed(clock::monotonic());
        }
        lock(&self.queue).remove(items);
        let url = self.urls[path].as_str();
        if self.paths.worked(path) {
            tracing::info!(url, rounds_waiting = lock(&self.queue).rounds(), "the collector answers again");
        } else if self.counts.delivered == 1 {
            tracing::info!(url, "the collector answers");
        }
        tracing::debug!(url, link_rounds = items.len(), written = told.written, "pushed");
    }

    fn failed(&mut self, path: usize, retry_after: Option<Duration>, why: &str) {
        self.counts.failed += 1;
        let (wait, failures) = self.paths.failed(path, self.now(), retry_after, rand::random());
        let url = self.urls[path].as_str();
        // Once when it begins, then only for who looks closely.
        if failures == 1 {
            tracing::warn!(url, why, "the push failed; rounds are kept");
        } else {
            tracing::debug!(url, why, failures, wait_seconds = wait.as_secs_f64(), "the push failed again");
        }
    }

    fn set_aside(&mut self, items: &[Item]) {
        self.counts.refused += 1;
        self.counts.set_aside_samples += samples(items);
        lock(&self.queue).remove(items);
    }

    fn now(&self) -> Duration {
        clock::monotonic().duration_since(self.origin)
    }
}

fn lock(queue: &SharedQueue) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
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
