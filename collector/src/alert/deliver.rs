//! Delivers what is in the outbox. The shell around [`super::route`], [`super::text`] and [`super::channel`].
//!
//! # Order and pace
//!
//! Each channel has a task of its own, so one that hangs delays no other. When the configuration changes ([`super::follow`]), the tasks of channels that
//! are as before go on; any other ends, a try that has begun included, before another of its name begins. It sends one notice at a time, in the order of the
//! outbox. One that fails waits for its own next try, and those of the same alert behind it; those of other alerts go on, so a
//! notice that its receiver cannot take holds up nothing else. Between failures the channel pauses ([`Pace`]), longer each
//! time; with a new notice it asks again sooner than that.
//!
//! # Once
//!
//! What the receiver confirmed is written before anything else is sent. A crash between the two has the notice sent again under the
//! same id: `Idempotency-Key`, `Message-ID`, `alert_id`.

mod pace;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
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
use crate::config::alerts::{Alerts, Channel, ChannelName};
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

/// Delivers until `shutdown`, by the channels that the configuration has at any time.
pub async fn run<S: Store>(state: Arc<State>, store: Arc<S>, bell: Arc<Bell>, shutdown: CancellationToken) {
    let _watch = state.alerting.watches("the outbox", &shutdown);
    let mut followed = state.follow_alerts();
    let mut tasks = Tasks::default();
    let posts = Posts {
        state: Arc::clone(&state),
        store: Arc::clone(&store),
        bell: Arc::clone(&bell),
        stop: shutdown.clone(),
    };
    let first = Arc::clone(&followed.borrow_and_update());
    posts.take(&mut tasks, &first);
    tasks.spawn(EXPIRES, expire(Arc::clone(&state), store, bell, shutdown.clone()));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = followed.changed() => {
                if changed.is_err() {
                    break;
                }
                let alerts = Arc::clone(&followed.borrow_and_update());
                posts.take(&mut tasks, &alerts);
            }
            Some(ended) = tasks.all.join_next_with_id() => {
                tasks.note(&ended, &state.alerting, &shutdown);
                posts.tidy(&mut tasks);
            }
        }
    }
    while let Some(ended) = tasks.all.join_next_with_id().await {
        tasks.note(&ended, &state.alerting, &shutdown);
    }
}

/// The tasks that deliver.
#[derive(Debug, Default)]
struct Tasks {
    all: JoinSet<()>,
    /// What those are called that are to go on until the stop.
    names: HashMap<Id, String>,
    /// Those of channels.
    posts: BTreeMap<ChannelName, Post>,
    /// Those of channels that are gone, or were replaced, until they have ended.
    leaving: Vec<(ChannelName, CancellationToken)>,
}

/// A channel's task.
#[derive(Debug)]
struct Post {
    task: Id,
    channel: Channel,
    page: Option<String>,
    stop: CancellationToken,
    /// It has ended.
    done: CancellationToken,
}

impl Tasks {
    fn spawn(&mut self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) -> Id {
        let task = self.all.spawn(task).id();
        self.names.insert(task, name.into());
        task
    }

    /// Ends a channel's task as a stop would: a try that has begun may end.
    fn leave(&mut self, name: &ChannelName) {
        if let Some(post) = self.posts.remove(name) {
            self.names.remove(&post.task);
            post.stop.cancel();
            self.leaving.push((name.clone(), post.done));
        }
    }

    /// Tells of one that has ended before it was to, by its name.
    fn note(&mut self, ended: &Result<(Id, ()), JoinError>, alerting: &Pulse, shutdown: &CancellationToken) {
        let task = match ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        self.posts.retain(|_, post| post.task != task);
        if let Some(name) = self.names.remove(&task)
            && (ended.is_err() || !shutdown.is_cancelled())
        {
            alerting.ended(&name);
        }
    }
}

/// All that a channel's task is made with.
struct Posts<S> {
    state: Arc<State>,
    store: Arc<S>,
    bell: Arc<Bell>,
    stop: CancellationToken,
}

impl<S: Store> Posts<S> {
    /// Has exactly the channels of the configuration delivered by. Those of which nothing has changed go on undisturbed.
    fn take(&self, tasks: &mut Tasks, alerts: &Arc<Alerts>) {
        for rule in route::unheard(alerts).into_iter().filter(|_| !alerts.channels.is_empty()) {
            tracing::warn!(%rule, "no route of the configuration tells anybody of this rule's alerts");
        }
        for mistake in alerts.unknown_places(&self.state.directory().register) {
            tracing::warn!("{mistake}");
        }
        let gone: Vec<ChannelName> =
            tasks.posts.keys().filter(|name| alerts.channel(name).is_none()).cloned().collect();
        for name in gone {
            // What still waits is given up by `expire`.
            tasks.leave(&name);
        }
        let page = self.state.config.page(alerts);
        for channel in &alerts.channels {
            let as_before = tasks.posts.get(&channel.name).is_some_and(|post| {
                // A file may say something else under the same name.
                post.channel == *channel
                    && post.page.as_deref() == page
                    && channel.template_files().next().is_none()
            });
            if !as_before {
                tasks.leave(&channel.name);
                self.begin(tasks, channel, alerts);
            }
        }
    }

    /// Forgets those that have left.
    fn tidy(&self, tasks: &mut Tasks) {
        let Tasks { leaving, posts, .. } = tasks;
        leaving.retain(|(name, done)| {
            if done.is_cancelled() && !posts.contains_key(name) {
                // An error means that it never said how many wait.
                let _ = self.state.counters.outbox_pending.remove_label_values(&[name.as_str()]);
            }
            !done.is_cancelled()
        });
    }

    fn begin(&self, tasks: &mut Tasks, channel: &Channel, alerts: &Arc<Alerts>) {
        let setting = Setting::of(channel, alerts, &self.state.config);
        let Loaded { engine, mistakes } = load(channel, &setting);
        for mistake in mistakes {
            tracing::error!(channel = %channel.name, "{mistake}");
        }
        let (stop, done) = (self.stop.child_token(), CancellationToken::new());
        let delivery = Delivery {
            state: Arc::clone(&self.state),
            store: Arc::clone(&self.store),
            alerts: Arc::clone(alerts),
            sender: Sender::new(channel),
            channel: channel.clone(),
            engine,
            pace: Pace::default(),
            shutdown: stop.clone(),
        };
        let name = &channel.name;
        let before: Vec<CancellationToken> =
            tasks.leaving.iter().filter(|(of, _)| of == name).map(|(_, done)| done.clone()).collect();
        let (ends, bell) = (done.clone().drop_guard(), self.bell.0.subscribe());
        let task = tasks.spawn(name.to_string(), async move {
            let _ends = ends;
            // Two at a time would send twice.
            for done in before {
                done.cancelled().await;
            }
            delivery.run(bell).await;
        });
        let page = self.state.config.page(alerts).map(str::to_owned);
        tasks.posts.insert(name.clone(), Post { task, channel: channel.clone(), page, stop, done });
    }
}

/// Gives up what is too old, what is too much, and what is for channels that are gone.
async fn expire<S: Store>(state: Arc<State>, store: Arc<S>, bell: Arc<Bell>, shutdown: CancellationToken) {
    let mut followed = state.follow_alerts();
    loop {
        let alerts = Arc::clone(&followed.borrow_and_update());
        let channels: Vec<ChannelName> = alerts.channels.iter().map(|channel| channel.name.clone()).collect();
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
            changed = followed.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(EXPIRY) => {}
        }
    }
}

/// One channel's work.
struct Delivery<S> {
    state: Arc<State>,
    store: Arc<S>,
    /// The configuration that its channel is of.
    alerts: Arc<Alerts>,
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
        let setting = Setting::of(&self.channel, &self.alerts, &self.state.config);
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
        let setting = Setting::of(&self.channel, &self.alerts, &self.state.config);
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
            let (stop, pulse, mut tasks) = (CancellationToken::new(), Pulse::default(), Tasks::default());
            tasks.spawn("mail", async { std::panic::resume_unwind(Box::new(())) });
            let waits = stop.clone();
            tasks.spawn("sms", async move { waits.cancelled().await });
            let ended = tasks.all.join_next_with_id().await.unwrap();
            tasks.note(&ended, &pulse, &stop);
            assert!(pulse.trouble(clock::monotonic()).is_some());
            stop.cancel();
            let ended = tasks.all.join_next_with_id().await.unwrap();
            tasks.note(&ended, &pulse, &stop);
            let told = pulse.trouble(clock::monotonic()).unwrap();
            assert!(told.contains(": mail ended by a defect"), "{told}");
        });
    }
}
