//! The JSON API and the health checks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::routing::get;

use crate::engine::EngineHandle;
use crate::state::State;

/// The engine answers within milliseconds; one that does not in this time has stalled.
const READY_LIMIT: Duration = Duration::from_secs(2);

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    /// The collector's state.
    pub state: Arc<State>,
    /// The engine, to ask whether it lives.
    pub engine: EngineHandle,
}

/// Everything that is served but the write endpoint.
pub fn router(state: Arc<State>, engine: EngineHandle) -> axum::Router {
    axum::Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(App { state, engine })
}

async fn ready(Shared(app): Shared<App>) -> (StatusCode, &'static str) {
    if crate::engine_answers(&app.engine, READY_LIMIT).await {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer\n")
    }
}
