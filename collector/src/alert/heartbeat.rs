//! The dead man's switch: as long as the collector serves, its engine answers and alerts are looked after ([`super::pulse`]), somebody else is
//! told so regularly; that one raises the alarm when it stays away. What tells of everything else cannot tell of its own end.
//!
//! To a URL it is a GET, as services for this take it; to an Alertmanager an alert that always fires, which its routes send on to one.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::alert::channel::alertmanager::{Alertmanagers, heartbeat};
use crate::alert::channel::{Outcome, http};
use crate::clock;
use crate::config::alerts::{Alerts, HeartbeatTo, Kind};
use crate::engine::EngineHandle;
use crate::state::State;

/// How long the engine may take to answer.
const ENGINE: Duration = Duration::from_secs(5);
/// How long one beat may take.
const BEAT: Duration = Duration::from_secs(10);

/// To whom it beats.
enum To<'c> {
    Url(&'c str, http::Http),
    Alertmanagers(Alertmanagers),
}

/// Beats until `shutdown`, where and as the configuration asks for it at any time.
pub async fn run(state: Arc<State>, engine: EngineHandle, shutdown: CancellationToken) {
    let mut followed = state.follow_alerts();
    loop {
        let alerts = Arc::clone(&followed.borrow_and_update());
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = beats(&state, &engine, &alerts) => {}
            changed = followed.changed() => if changed.is_err() { return },
        }
    }
}

/// Beats for ever, if at all.
async fn beats(state: &State, engine: &EngineHandle, alerts: &Alerts) {
    let Some(settings) = &alerts.heartbeat else { return std::future::pending().await };
    let to = match &settings.to {
        HeartbeatTo::Url(url) => To::Url(&url.0, http::Http::new(None, BEAT)),
        HeartbeatTo::Channel(name) => match alerts.channel(name).map(|channel| &channel.kind) {
            Some(Kind::Alertmanager(manager)) => To::Alertmanagers(Alertmanagers::new(manager.clone())),
            // The configuration allows no other.
            Some(Kind::Smtp(_) | Kind::Webhook(_) | Kind::Command(_)) | None => {
                return std::future::pending().await;
            }
        },
    };
    loop {
        let result = match beat(state, engine, alerts, &to).await {
            Outcome::Delivered(_) | Outcome::Progress(_) => "delivered",
            Outcome::Again { why, .. } | Outcome::Never(why) => {
                tracing::warn!("heartbeat: {why}");
                "failed"
            }
        };
        state.counters.notices.with_label_values(&["heartbeat", result]).inc();
        tokio::time::sleep(settings.every).await;
    }
}

async fn beat(state: &State, engine: &EngineHandle, alerts: &Alerts, to: &To<'_>) -> Outcome {
    if !crate::engine_answers(engine, ENGINE).await {
        return Outcome::again("the engine does not answer, so no heartbeat is sent");
    }
    if let Some(trouble) = state.alerting.trouble(clock::monotonic()) {
        return Outcome::again(format!("no heartbeat is sent: {trouble}"));
    }
    match to {
        To::Url(url, http) => match http.client().await {
            Ok(client) => http::exchange(client.get(*url), None, &[], clock::now()).await,
            Err(outcome) => outcome,
        },
        To::Alertmanagers(managers) => {
            managers.post(&[heartbeat(state.config.page(alerts))], clock::now()).await
        }
    }
}
