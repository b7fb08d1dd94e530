//! Delivers what is in the outbox. The shell around [`super::route`], [`super::text`] and [`super::channel`].
//!
//! # Order and pace
//!
//! Each channel has a task of its own, so one that hangs delays no other. It sends one notice at a time, in the order of the
//! outbox. One that fails waits for its own next try, and those of the same alert behind it; those of other alerts go on, so a
//! notice that its receiver cannot take holds up nothing else. Between failures the channel pauses ([`Pace`]), longer each
//! time; with a new notice it asks again sooner than that.
//!
//! # Once
//!
//! What the receiver confirmed is written before anything else is sent. A crash between the two has the notice sent again under the
//! same id: `Idempotency-Key`, `Message-ID`, `alert_id`.

mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use wan_wire::UnixMillis;

use crate::alert::channel::alertmanager::{self, Alertmanagers, BATCH};
use crate::alert::channel::{Letter, Outcome, Sender};
use crate::alert::notice::Notice;
use crate::alert::outbox::{Attempt, Due, MOST_PENDING};
use crate::alert::pulse::Pulse;
use crate::alert::route;
use crate::alert::text::{Engine, Loaded, Setting, load};
use crate::clock;
use crate::config::alerts::{Channel, ChannelName};
use crate::state::State;
use crate::store::{Store, StoreError};

pub use pace::Pace;

/// Notices that are read at once.
const READ: u32 = 256;
/// How often old notices are given up.
const EXPIRY: Duration = Duration::from_secs(60);
/// A channel looks at the outbox this often at most, but for what is rung for.
const SHORTEST: Duration = Duration::from_millis(50);
/// After a failure of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long a try that has begun may go on after the stop.
const LAST_TRY: Duration = Duration::from_secs(3);
/// Most alerts that are told again to an Alertmanager.
const MOST_FIRING: u32 = 20_000;

/// What the task is called that gives up old notices.
const EXPIRES: &str = "the outbox's expiry";

/// Rung when something was written to the outbox.
#[derive(Debug)]
pub struct Bell(watch::Sender<()>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Bell {
    /// Has every channel look at once.
    pub fn ring(&self) {
        self.0.send_replace(());
    }
}

/// Delivers until `shutdown`.
pub async fn run<S: Store>(state: Arc<State>, store: Arc<S>, bell: Arc<Bell>, shutdown: CancellationToken) {
    let alerts = &state.config.alerts;
    for rule in route::unheard(alerts).into_iter().filter(|_| !alerts.channels.is_empty()) {
        tracing::warn!(%rule, "no route of the configuration tells anybody of this rule's alerts");
    }
    for mistake in alerts.unknown_places(&state.directory().register) {
        tracing::warn!("{mistake}");
    }
    let _watch = state.alerting.watches("the outbox", &shutdown);
    let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
    for channel in &alerts.channels {
        let setting = Setting::of(channel, &state.config);
        let Loaded { engine, mistakes } = load(channel, &setting);
        for mistake in mistakes {
            tracing::error!(channel = %channel.name, "{mistake}");
        }
        let task = Delivery {
            state: Arc::clone(&state),
            store: Arc::clone(&store),
            sender: Sender::new(channel),
            channel: channel.clone(),
            engine,
            pace: Pace::default(),
            shutdown: shutdown.clone(),
        };
        let task = tasks.spawn(task.run(bell.0.subscribe()));
        names.insert(task.id(), channel.name.to_string());
    }
    let task = tasks.spawn(expire(Arc::clone(&state), store, bell, shutdown.clone()));
    names.insert(task.id(), EXPIRES.to_owned());
    attend(tasks, &names, &state.alerting, &shutdown).await;
}

/// Waits for the end of all tasks. One that ends before the stop is told of by its name.
async fn attend(
    mut tasks: JoinSet<()>,
    names: &HashMap<Id, String>,
    alerting: &Pulse,
    shutdown: &CancellationToken,
) {
    while let Some(ended) = tasks.join_next_with_id().await {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        if ended.is_err() || !shutdown.is_cancelled() {
            alerting.ended(names.get(&task).map_or("the outbox", String::as_str));
        }
    }
}

/// Gives up what is too old, what is too much, and what is for channels that are gone.
async fn expire<S: Store>(state: Arc<State>, store: Arc<S>, bell: Arc<Bell>, shutdown: CancellationToken) {
    let alerts = &state.config.alerts;
    let channels: Vec<ChannelName> = alerts.channels.iter().map(|channel| channel.name.clone()).collect();
    loop {
        let now = clock::now();
        match store.expire_notices(now.minus(alerts.expire), MOST_PENDING, &channels, now).await {
            Ok(counts) => {
                for count in counts {
                    tracing::error!(channel = %count.channel, notices = count.count, "given up: {}", count.state);
                    let labels = [count.channel.as_str(), count.state.as_str()];
                    state.counters.notices.with_label_values(&labels).inc_by(count.count);
                    bell.ring();
                }
            }
            Err(error) => tracing::error!(%error, "old notices could not be given up"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EXPIRY) => {}
        }
    }
}

/// One channel's work.
struct Delivery<S> {
    state: Arc<State>,
    store: Arc<S>,
    channel: Channel,
    sender: Sender,
    engine: Engine,
    pace: Pace,
    shutdown: CancellationToken,
}

impl<S: Store> Delivery<S> {
    async fn run(mut self, mut bell: watch::Receiver<()>) {
        // By no clock that can be set: an Alertmanager takes what it does not hear of as over.
        let mut resend = clock::monotonic();
        let shutdown = self.shutdown.clone();
        while !shutdown.is_cancelled() {
            bell.borrow_and_update();
            let mut wait = match self.pass().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(channel = %self.channel.name, %error, "the outbox cannot be used");
                    STORE_PAUSE
                }
            };
            if let Sender::Alertmanager(managers) = &self.sender {
                let now = clock::monotonic();
                if resend <= now {
                    self.resend(managers, clock::now()).await;
                    resend = now + managers.settings().resend;
                }
                wait = wait.min(resend.saturating_duration_since(clock::monotonic()));
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                changed = bell.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends what is due; says when to look again.
    async fn pass(&mut self) -> Result<Duration, StoreError> {
        let name = &self.channel.name.clone();
        loop {
            let waiting = self.store.waiting_notices(name, clock::now()).await?;
            let gauge = self.state.counters.outbox_pending.with_label_values(&[name.as_str()]);
            gauge.set(i64::try_from(waiting.pending).unwrap_or(i64::MAX));
            let Some(newest) = waiting.newest else { return Ok(EXPIRY) };
            let now = clock::now();
            if let Some(opens) = self.pace.opens(newest, now) {
                return Ok(pause(now, opens));
            }
            let due = self.store.due_notices(name, now, READ).await?;
            let mut settled = false;
            for due in &due {
                if self.shutdown.is_cancelled() {
                    return Ok(Duration::ZERO);
                }
                if due.superseded {
                    self.note(due, Attempt::Superseded).await;
                    settled = true;
                } else if self.pace.opens(newest, clock::now()).is_none() {
                    settled |= self.deliver(due).await;
                }
            }
            if settled {
                continue;
            }
            let now = clock::now();
            let opens = self.pace.opens(newest, now).unwrap_or(now);
            let at = match waiting.next {
                // What is due waits for the pace alone.
                _ if !due.is_empty() => opens,
                Some(next) => next.max(opens),
                None => opens,
            };
            return Ok(pause(now, at));
        }
    }

    /// Tries a notice until it is done with or fails; says whether something of it went through, so that others may.
    async fn deliver(&mut self, due: &Due) -> bool {
        let setting = Setting::of(&self.channel, &self.state.config);
        let notice = &due.notice;
        let (rendered, wrong) = self.engine.render(notice, &setting);
        if let Some(wrong) = wrong {
            tracing::error!(channel = %self.channel.name, notice = %notice.id, "a template failed: {wrong}");
        }
        let mut progress = due.progress;
        loop {
            let letter = Letter { notice, rendered: &rendered, setting: &setting, progress };
            let Some(outcome) = self.attempt(letter).await else { return false };
            let now = clock::now();
            match outcome {
                Outcome::Progress(done) => {
                    self.pace.succeeded();
                    self.note(due, Attempt::Progress(done)).await;
                    progress = done;
                }
                Outcome::Delivered(complaint) => {
                    self.pace.succeeded();
                    if let Some(complaint) = &complaint {
                        tracing::warn!(channel = %self.channel.name, notice = %notice.id, "{complaint}");
                    }
                    self.note(due, Attempt::Delivered(complaint)).await;
                    return true;
                }
                Outcome::Never(why) => {
                    tracing::error!(channel = %self.channel.name, notice = %notice.id, "refused for good: {why}");
                    self.note(due, Attempt::Refused(why)).await;
                    return true;
                }
                Outcome::Again { after, why } => {
                    let next = self.pace.failed(due.attempts, after, now, rand::random());
                    tracing::warn!(
                        channel = %self.channel.name, notice = %notice.id, tries = due.attempts.saturating_add(1),
                        "not delivered, to be tried again: {why}"
                    );
                    self.note(due, Attempt::Again(next, why)).await;
                    return false;
                }
            }
        }
    }

    /// One try within the channel's time; `None` where the stop cut it short.
    async fn attempt(&self, letter: Letter<'_>) -> Option<Outcome> {
        let limit = self.channel.timeout() + Duration::from_secs(1);
        let attempt = tokio::time::timeout(limit, self.sender.send(letter, &self.engine, clock::now()));
        let stop = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(LAST_TRY).await;
        };
        tokio::select! {
            outcome = attempt => Some(outcome.unwrap_or_else(|_| Outcome::again(format!("no answer within {limit:?}")))),
            () = stop => None,
        }
    }

    /// Writes how a try ended. Until that is done nothing else is sent: what was confirmed would be sent again.
    async fn note(&self, due: &Due, attempt: Attempt) {
        let result = match &attempt {
            Attempt::Delivered(_) => "delivered",
            Attempt::Progress(_) => "progress",
            Attempt::Again(..) => "failed",
            Attempt::Refused(_) => "refused",
            Attempt::Superseded => "superseded",
        };
        let counters = &self.state.counters;
        let name = self.channel.name.as_str();
        let now = clock::now();
        loop {
            match self.store.note_delivery(due.number, &attempt, now).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(channel = name, notice = %due.notice.id, %error, "cannot write that it is {result}");
                    tokio::select! {
                        () = self.shutdown.cancelled() => break,
                        () = tokio::time::sleep(STORE_PAUSE) => {}
                    }
                }
            }
        }
        counters.notices.with_label_values(&[name, result]).inc();
        if result == "delivered" {
            #[allow(clippy::cast_precision_loss, reason = "whole seconds up to the year 9999")]
            counters.notice_delivered.with_label_values(&[name]).set((now.0 / 1000) as f64);
            let after = now.millis_since(due.created);
            tracing::info!(channel = name, notice = %due.notice.id, event = due.notice.event.as_str(), after_ms = after, "delivered");
        }
    }

    /// Tells an Alertmanager again what fires.
    async fn resend(&self, managers: &Alertmanagers, now: UnixMillis) {
        let firing = match self.store.firing_notices(&self.channel.name, MOST_FIRING).await {
            Ok(firing) => firing,
            Err(error) => {
                tracing::error!(channel = %self.channel.name, %error, "cannot read what fires");
                return;
            }
        };
        for batch in firing.chunks(BATCH) {
            let alerts: Vec<_> = batch.iter().map(|notice| self.as_alert(notice)).collect();
            let stopped = self.shutdown.cancelled();
            let outcome = tokio::select! {
                outcome = managers.post(&alerts, now) => outcome,
                () = stopped => return,
            };
            let result = match &outcome {
                Outcome::Delivered(None) | Outcome::Progress(_) => "resent",
                Outcome::Delivered(Some(why)) | Outcome::Again { why, .. } | Outcome::Never(why) => {
                    tracing::warn!(channel = %self.channel.name, alerts = alerts.len(), "not told again that they fire: {why}");
                    "resend_failed"
                }
            };
            let labels = [self.channel.name.as_str(), result];
            self.state.counters.notices.with_label_values(&labels).inc_by(alerts.len() as u64);
            if result == "resend_failed" {
                // The next round tries them all.
                return;
            }
        }
    }

    fn as_alert(&self, notice: &Notice) -> alertmanager::Alert {
        let setting = Setting::of(&self.channel, &self.state.config);
        let (rendered, _) = self.engine.render(notice, &setting);
        alertmanager::alert(Letter { notice, rendered: &rendered, setting: &setting, progress: 0 })
    }
}

/// How long to sleep until `at`. A clock that is set back must not make it long, nor one that jumps make it none.
fn pause(now: UnixMillis, at: UnixMillis) -> Duration {
    at.since(now).clamp(SHORTEST, EXPIRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_whose_task_dies_is_told_by_name_and_the_others_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (stop, pulse) = (CancellationToken::new(), Pulse::default());
            let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
            let died = tasks.spawn(async { std::panic::resume_unwind(Box::new(())) });
            names.insert(died.id(), "mail".to_owned());
            let waits = stop.clone();
            let good = tasks.spawn(async move { waits.cancelled().await });
            names.insert(good.id(), "sms".to_owned());
            let attends = attend(tasks, &names, &pulse, &stop);
            tokio::pin!(attends);
            let told = async {
                while pulse.trouble(clock::monotonic()).is_none() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = &mut attends => panic!("the other goes on"),
                () = told => {}
            }
            stop.cancel();
            attends.await;
            let told = pulse.trouble(clock::monotonic()).unwrap();
            assert!(told.contains(": mail ended by a defect"), "{told}");
        });
    }
}
