//! What the service manager hears: that the collector serves, whom it hears from, and that its engine answers (sd_notify(3)).
//!
//! - `READY=1` once the journal is replayed and requests are answered.
//! - `STATUS=` at each beat: the line that `systemctl status` shows.
//! - `WATCHDOG=1` at half of the time that the manager allows, and only after the engine has answered: a server whose one writer
//!   is stuck takes nothing, however well it listens.
//! - `STOPPING=1` at the stop.
//!
//! Without `NOTIFY_SOCKET` nothing of this is done, and no timer runs. The variable stays in the environment: programs
//! that tell of alerts are started without it, and the unit listens to the main process only.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::EngineHandle;
use crate::state::{SiteRuntime, State};

/// How often the status is said where no watchdog asks for more.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// Says what a start is busy with: loading and replaying may take a while.
pub(crate) fn starting(what: &str) {
    say(&[NotifyState::Status(what)]);
}

/// Says that requests are answered, then goes on saying so while they are, until `stop`.
pub(crate) async fn run(state: Arc<State>, engine: EngineHandle, stop: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let beat = watchdog.map_or(STATUS_INTERVAL, |limit| (limit / 2).min(STATUS_INTERVAL));
    say(&[NotifyState::Ready, NotifyState::Status(&status(&state))]);
    loop {
        tokio::select! {
            () = tokio::time::sleep(beat) => {}
            () = stop.cancelled() => break,
        }
        if watchdog.is_none() || crate::engine_answers(&engine, beat / 2).await {
            say(&[NotifyState::Watchdog, NotifyState::Status(&status(&state))]);
        } else if !stop.is_cancelled() {
            tracing::error!(
                "the engine does not answer; unless it does soon, the service manager starts the collector anew"
            );
            say(&[NotifyState::Status("the engine does not answer")]);
        }
    }
    say(&[NotifyState::Stopping, NotifyState::Status("finishing requests, then a last checkpoint")]);
}

/// Whom it hears from, in one line.
fn status(state: &State) -> String {
    let now = clock::now();
    if let Some(trouble) = state.clock.trouble(now) {
        return trouble;
    }
    if let Some(trouble) = state.alerting.trouble(clock::monotonic()) {
        return trouble;
    }
    let directory = state.directory();
    let is_heard = |site: &SiteRuntime| {
        site.last_push().is_some_and(|at| at >= now.minus(state.silence_limit(site.expected_round())))
    };
    let heard = directory.runtimes.values().filter(|site| is_heard(site)).count();
    let (equipped, registered) = (directory.issued.len(), directory.register.len());
    let history = state.history.loading().map(|loading| loading.tell(&state.config.timezone) + "; ");
    let history = history.unwrap_or_default();
    format!("{history}hears {heard} of {equipped} equipped sites; {registered} in the register")
}

fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
