//! `GET` and `POST /api/v1/agent/config`: an agent fetches its site's document, and says what became of it.
//!
//! | answer | when |
//! | --- | --- |
//! | 200 | the document, `text/yaml`, with its ETag |
//! | 204 | the agent's word is stored |
//! | 304 | `If-None-Match` names the document that there is |
//! | 400, 413 | a word that cannot be read, or is too long |
//! | 401 | no secret, or not a known one |
//! | 404 | the site has no document: the agent keeps what it has |
//! | 503 | the word cannot be stored now |
//!
//! Every answer to a known agent carries the time and the ETag of the site's document, if it has one.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use wan_wire::api::{CONFIG_PATH, ConfigReport};

use super::Told;
use crate::clock;
use crate::credential::{Sender, authenticate, wrong};
use crate::state::State;
use crate::store::Store;

/// Most bytes of an agent's word: an ETag and a reason.
const MOST_BYTES: usize = 8 << 10;
/// Most characters of a reason that is kept.
const MOST_REASON: usize = 500;
/// Most characters of an ETag.
const MOST_ETAG: usize = 200;
/// An agent's word must arrive within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct App<S> {
    state: Arc<State>,
    store: Arc<S>,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), store: Arc::clone(&self.store) }
    }
}

/// The endpoint.
pub fn router<S: Store>(state: Arc<State>, store: Arc<S>) -> axum::Router {
    axum::Router::new()
        .route(CONFIG_PATH, get(fetch::<S>).post(hear::<S>))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(App { state, store })
}

async fn fetch<S: Store>(Shared(app): Shared<App<S>>, request: Request) -> Response {
    let sender = match authenticate(&app.state, request.headers()) {
        Ok(sender) => sender,
        Err(reason) => return unauthorized(&app.state, &request, reason),
    };
    let mut response = document(&app.state, &sender, &request);
    sender.tell(&mut response, clock::now());
    response
}

fn document(state: &State, sender: &Sender, request: &Request) -> Response {
    let Some(document) = sender.site.document() else {
        let site = &sender.site.id;
        let why = match state.central.held(site) {
            Some(why) => format!(
                "no configuration can be made for {site} now, so that its agent keeps what it has: {why}"
            ),
            None => format!(
                "nothing is said of {site} here: its agent keeps what it has, or its own configuration"
            ),
        };
        return text(StatusCode::NOT_FOUND, why);
    };
    let headers = [
        (header::ETAG, document.etag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private")),
    ];
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|tag| matches(tag.trim(), document.tag())) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/yaml; charset=utf-8"))];
    (kind, headers, document.body.clone()).into_response()
}

/// Weak comparison (RFC 9110, 13.1.2): something on the way may have made the tag a weak one.
fn matches(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
}

async fn hear<S: Store>(Shared(app): Shared<App<S>>, request: Request) -> Response {
    let sender = match authenticate(&app.state, request.headers()) {
        Ok(sender) => sender,
        Err(reason) => return unauthorized(&app.state, &request, reason),
    };
    let mut response = told(&app, &sender, request).await;
    sender.tell(&mut response, clock::now());
    response
}

async fn told<S: Store>(app: &App<S>, sender: &Sender, request: Request) -> Response {
    let read = http_body_util::Limited::new(request.into_body(), MOST_BYTES).collect();
    let body: Bytes = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {MOST_BYTES} bytes are taken"));
        }
        Ok(Err(error)) => return text(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time".to_owned()),
    };
    let report: ConfigReport = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(error) => {
            return text(StatusCode::BAD_REQUEST, format!("expected {{etag, applied, reason}}: {error}"));
        }
    };
    let shown = |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect();
    let told = Told {
        etag: shown(&report.etag, MOST_ETAG),
        applied: report.applied,
        reason: shown(&report.reason, MOST_REASON),
        at: clock::now(),
    };
    let site = &sender.site.id;
    if app.state.central.is_news(site, &told) {
        if let Err(error) = app.store.note_agent_config(site, &told).await {
            tracing::warn!(%site, %error, "what an agent says of its configuration cannot be stored");
            return text(StatusCode::SERVICE_UNAVAILABLE, "it cannot be stored now; say it again".to_owned());
        }
        if told.applied {
            tracing::info!(%site, etag = told.etag, "the agent probes by its new configuration");
        } else {
            tracing::warn!(%site, etag = told.etag, reason = told.reason, "the agent refuses its new configuration");
        }
        app.state.central.hear(site, told);
    }
    StatusCode::NO_CONTENT.into_response()
}

fn unauthorized(state: &State, request: &Request, reason: &'static str) -> Response {
    if let Err(wait) = wrong(state, request.extensions()) {
        let reason = "too many requests with a wrong secret came from this address";
        let mut response = text(StatusCode::TOO_MANY_REQUESTS, reason.to_owned());
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.seconds()));
        return response;
    }
    let mut response = text(StatusCode::UNAUTHORIZED, reason.to_owned());
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn text(status: StatusCode, reason: String) -> Response {
    let mut response = Response::new(Body::from(reason + "\n"));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
