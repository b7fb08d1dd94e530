//! What the collector serves beside the write endpoint: the JSON API, `/metrics`, the page and the health checks.
//!
//! Every answer is derived from a [`Province`] taken for that request: off the async threads, since a month of 300 sites is
//! work, and only so many at a time, since readers must not take the machine from the engine. The answers themselves are
//! plain functions of a province and a question ([`coverage::answer`], [`uptime::answer`], …), which the command line
//! shares, so that both give the same figures.
//!
//! Errors are [`problem::Problem`]s. Times are read and written as [`crate::localtime`] says. The whole is described by the
//! OpenAPI document at `/api/v1/openapi.json` ([`openapi`]).

pub mod agents;
pub(crate) mod change;
pub mod common;
pub mod coverage;
pub mod fold;
pub mod openapi;
pub mod overview;
pub mod params;
pub mod planned;
pub mod problem;
pub mod quality;
pub mod reach;
pub mod report;
pub mod sites;
pub mod timeline;
pub mod uptime;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use wan_wire::UnixMillis;
use xxhash_rust::xxh3::xxh3_64;

use self::common::Rolling;
use self::params::Params;
use self::problem::{ErrorKind, Problem};
use crate::engine::EngineHandle;
use crate::province::Province;
use crate::state::State;
use crate::{clock, metrics, web};

/// The engine answers within milliseconds; one that does not in this time has stalled.
const READY_LIMIT: Duration = Duration::from_secs(2);
/// This many answers are computed at a time; the others wait. Two cores of a small server still leave one for the engine.
const COMPUTE_AT_ONCE: usize = 2;
/// One who waited this long for a turn is told to come back later.
const COMPUTE_WAIT: Duration = Duration::from_secs(10);
/// One who asks for what is still being loaded after a start waits this long for it, then is told to come back.
const LOADING_WAIT: Duration = Duration::from_secs(5);
/// An overview is computed at most this often, however many pages are open: each page asks every five seconds.
const OVERVIEW_AGE_MS: i64 = 1_000;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct App {
    /// The collector's state.
    pub state: Arc<State>,
    /// The engine, to ask whether it lives.
    pub engine: EngineHandle,
    clock: fn() -> UnixMillis,
    turns: Arc<Semaphore>,
    overview: Arc<OverviewCache>,
    scraper: Arc<metrics::Scraper>,
}

/// Everything that is served but the write endpoint.
pub fn router(state: Arc<State>, engine: EngineHandle) -> axum::Router {
    router_at(state, engine, clock::now)
}

/// The same with another clock.
pub(crate) fn router_at(state: Arc<State>, engine: EngineHandle, clock: fn() -> UnixMillis) -> axum::Router {
    let turns = Arc::new(Semaphore::new(COMPUTE_AT_ONCE));
    let app = App { state, engine, clock, turns, overview: Arc::default(), scraper: Arc::default() };
    axum::Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(get_metrics))
        .route("/api/v1/openapi.json", get(get_openapi))
        .route("/api/v1/overview", get(get_overview))
        .route("/api/v1/sites", get(get_sites))
        .route("/api/v1/sites/{id}", get(get_site))
        .route("/api/v1/sites/{id}/timeline", get(get_timeline))
        .route("/api/v1/coverage", get(get_coverage))
        .route("/api/v1/reach", get(get_reach))
        .route("/api/v1/uptime", get(get_uptime))
        .route("/api/v1/agents", get(get_agents))
        .with_state(app.clone())
        .merge(web::router(app))
        .fallback(not_found)
        .method_not_allowed_fallback(bad_method)
        .layer(CompressionLayer::new())
}

impl App {
    /// Computes an answer from the province as it is now, off the async threads. One that reaches back to what is still being
    /// loaded waits a little for it.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl Fn(&State, UnixMillis) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Result<T, Problem> {
        let work = Arc::new(work);
        let until = clock::monotonic() + LOADING_WAIT;
        loop {
            let known_from = self.state.history.known_from();
            let answer = self.compute_once(Arc::clone(&work)).await;
            let left = until.saturating_duration_since(clock::monotonic());
            match answer {
                Err(problem) if problem.error == ErrorKind::Loading => {
                    let more = self.state.history.more_than(known_from);
                    if tokio::time::timeout(left, more).await.is_err() {
                        return Err(problem);
                    }
                }
                Ok(_) | Err(_) => return answer,
            }
        }
    }

    async fn compute_once<T: Send + 'static>(
        &self,
        work: Arc<impl Fn(&State, UnixMillis) -> Result<T, Problem> + Send + Sync + 'static>,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(COMPUTE_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::busy());
        };
        let (state, now) = (Arc::clone(&self.state), (self.clock)());
        let answer = tokio::task::spawn_blocking(move || {
            let answer = work(&state, now);
            drop(turn);
            answer
        });
        answer.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be computed");
            Err(Problem::other(
                StatusCode::INTERNAL_SERVER_ERROR,
                ErrorKind::Failed,
                "the answer could not be computed",
                "see the collector's log, and report this",
            ))
        })
    }

    async fn json<T: Serialize + Send + 'static>(
        &self,
        work: impl Fn(&State, UnixMillis) -> Result<T, Problem> + Send + Sync + 'static,
    ) -> Response {
        let answer = self.compute(move |state, now| work(state, now).and_then(|answer| bytes(&answer))).await;
        answer.map_or_else(IntoResponse::into_response, json_body)
    }
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, description = "The process answers", body = String, content_type = "text/plain")
))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether it can take what agents push and tell of it: the state of now is loaded, the engine answers, alerts are looked for and delivered. Says
/// so if older history is still being loaded.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "Ready", body = String, content_type = "text/plain"),
    (status = 503, description = "Why not: the engine does not answer, alerts stand still, or the host's clock cannot be right", body = String, content_type = "text/plain")
))]
async fn readyz(Shared(app): Shared<App>) -> (StatusCode, Cow<'static, str>) {
    if let Some(trouble) = app.state.clock.trouble((app.clock)()) {
        return (StatusCode::SERVICE_UNAVAILABLE, (trouble + "\n").into());
    }
    if let Some(trouble) = app.state.alerting.trouble(clock::monotonic()) {
        return (StatusCode::SERVICE_UNAVAILABLE, (trouble + "\n").into());
    }
    if crate::engine_answers(&app.engine, READY_LIMIT).await {
        let history = app.state.history.loading().map(|loading| loading.tell(&app.state.config.timezone));
        (StatusCode::OK, history.map_or("ready\n".into(), |history| format!("ready; {history}\n").into()))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer\n".into())
    }
}

/// The derived state of now and the collector's own counters, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "metrics", responses(
    (status = 200, description = "Prometheus text exposition format 0.0.4", body = String, content_type = "text/plain"),
    (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
))]
async fn get_metrics(Shared(app): Shared<App>, headers: HeaderMap) -> Response {
    // Dropped with this future when the client is gone.
    let wanted = metrics::Wanted::default();
    let (scraper, watch) = (Arc::clone(&app.scraper), wanted.watch());
    let _gone = OnDrop(|| wanted.gone());
    let asked = clock::monotonic();
    let made = app.compute(move |state, now| {
        let zone = &state.config.timezone;
        let known = state.history.reaches(Rolling::earliest(now, zone));
        known.map_err(|loading| Problem::loading(loading, zone))?;
        scraper.scrape(state, now, asked, &watch).ok_or_else(Problem::busy)
    });
    match made.await {
        Ok(scrape) => metrics::answer(&scrape, &headers),
        Err(problem) => problem.into_response(),
    }
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The description of this API.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "api", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")
))]
async fn get_openapi() -> Response {
    json_response(&openapi::document()).unwrap_or_else(IntoResponse::into_response)
}

/// The page's whole content in one answer: verdicts, coverage and counts of now. Cheap to ask every few seconds: send the
/// ETag of the last answer, and 304 says that nothing but the time has changed.
#[utoipa::path(get, path = "/api/v1/overview", tag = "api",
    params(("If-None-Match" = Option<String>, Header, description = "ETag of the answer that you have")),
    responses(
        (status = 200, description = "The province at a glance", body = overview::Overview),
        (status = 304, description = "Nothing has changed but the time; the Date header tells it"),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_overview(Shared(app): Shared<App>, uri: Uri, headers: HeaderMap) -> Response {
    if let Err(problem) = Params::read(&uri, &[]) {
        return problem.into_response();
    }
    let overview = match app.overview().await {
        Ok(overview) => overview,
        Err(problem) => return problem.into_response(),
    };
    let tag = [(header::ETAG, overview.etag.clone()), (header::CACHE_CONTROL, NO_CACHE)];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim().as_bytes() == overview.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, json_body(overview.body)).into_response()
}

/// The registered sites with their verdicts, states and links.
#[utoipa::path(get, path = "/api/v1/sites", tag = "api",
    params(
        ("tier" = Option<String>, Query, description = "Only sites of these tiers, separated by commas"),
        ("branch" = Option<String>, Query, description = "Only sites of these branches, separated by commas"),
        ("verdict" = Option<String>, Query, description = "Only sites of which one of these verdicts holds, separated by commas"),
        ("q" = Option<String>, Query, description = "Only sites whose id, name or district contains this; case and Vietnamese marks do not matter"),
    ),
    responses(
        (status = 200, description = "The sites that fit", body = sites::SitesAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_sites(Shared(app): Shared<App>, uri: Uri) -> Response {
    app.json(move |state, now| {
        let given = Params::read(&uri, &sites::PARAMETERS)?;
        let question = sites::Question {
            tier: given.get("tier"),
            branch: given.get("branch"),
            verdict: given.get("verdict"),
            q: given.get("q"),
        };
        sites::list(&Province::of(state, now), question)
    })
    .await
}

/// Everything about one site.
#[utoipa::path(get, path = "/api/v1/sites/{id}", tag = "api",
    params(("id" = String, Path, description = "The site's id")),
    responses(
        (status = 200, description = "The site, its links, its agent, its uptime", body = sites::SiteAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_site(Shared(app): Shared<App>, Path(id): Path<String>, uri: Uri) -> Response {
    app.json(move |state, now| {
        Params::read(&uri, &[])?;
        sites::one(&province_of(state, now, &id), &id)
    })
    .await
}

/// The states of a site, or of one of its links, over a window: gap-free and in order.
#[utoipa::path(get, path = "/api/v1/sites/{id}/timeline", tag = "api",
    params(
        ("id" = String, Path, description = "The site's id"),
        ("link" = Option<String>, Query, description = "One of its links; without it the site itself, as the plan defines connected"),
        ("from" = Option<String>, Query, description = "Start of the window: an RFC 3339 time, a local day or time of the province, or before now such as -7d. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of the window, not part of it; written like `from`. Now unless given"),
    ),
    responses(
        (status = 200, description = "The timeline", body = timeline::TimelineAnswer),
        (status = 400, description = "A parameter is wrong, or the window holds too many intervals", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site or link", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_timeline(Shared(app): Shared<App>, Path(id): Path<String>, uri: Uri) -> Response {
    app.json(move |state, now| {
        let given = Params::read(&uri, &timeline::PARAMETERS)?;
        let question = timeline::Question {
            site: &id,
            link: given.get("link"),
            from: given.get("from"),
            to: given.get("to"),
        };
        timeline::answer(&province_of(state, now, &id), question)
    })
    .await
}

/// How much of the province is connected: at an instant (now unless given), or over a window.
#[utoipa::path(get, path = "/api/v1/coverage", tag = "api",
    params(
        ("at" = Option<String>, Query, description = "An instant: an RFC 3339 time, a local day or time of the province, or before now such as -24h"),
        ("from" = Option<String>, Query, description = "Start of a window, written like `at`. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of a window, not part of it. Now unless given"),
        ("tier" = Option<String>, Query, description = "Only sites that were of these tiers at the time, separated by commas"),
        ("by" = Option<String>, Query, description = "What to group by beside tier and branch: branch, district or carrier. A site counts under each carrier of its WAN links"),
        ("trend" = Option<String>, Query, description = "`day`: also each day of the province that the window touches; without a window, the last 30 days"),
    ),
    responses(
        (status = 200, description = "Coverage by tier and branch, with bounds", body = coverage::CoverageAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_coverage(Shared(app): Shared<App>, uri: Uri) -> Response {
    app.json(move |state, now| {
        let given = Params::read(&uri, &coverage::PARAMETERS)?;
        let question = coverage::Question {
            at: given.get("at"),
            from: given.get("from"),
            to: given.get("to"),
            tier: given.get("tier"),
            by: given.get("by"),
            trend: given.get("trend"),
        };
        coverage::answer(&Province::of(state, now), question)
    })
    .await
}

/// How much of the province reaches each shared system: at an instant (now unless given), or over a window.
#[utoipa::path(get, path = "/api/v1/reach", tag = "api",
    params(
        ("at" = Option<String>, Query, description = "An instant: an RFC 3339 time, a local day or time of the province, or before now such as -24h"),
        ("from" = Option<String>, Query, description = "Start of a window, written like `at`. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of a window, not part of it. Now unless given"),
        ("tier" = Option<String>, Query, description = "Only sites that were of these tiers at the time, separated by commas"),
    ),
    responses(
        (status = 200, description = "Reach by system and tier, with bounds", body = reach::ReachAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_reach(Shared(app): Shared<App>, uri: Uri) -> Response {
    app.json(move |state, now| {
        let given = Params::read(&uri, &reach::PARAMETERS)?;
        let question = reach::Question {
            at: given.get("at"),
            from: given.get("from"),
            to: given.get("to"),
            tier: given.get("tier"),
        };
        reach::answer(&Province::of(state, now), question)
    })
    .await
}

/// What agents are told to probe, and what became of it.
#[utoipa::path(get, path = "/api/v1/agents", tag = "api", responses(
    (status = 200, description = "The file, and every site's configuration", body = agents::AgentsAnswer),
    (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
))]
async fn get_agents(Shared(app): Shared<App>, uri: Uri) -> Response {
    app.json(move |state, now| {
        Params::read(&uri, &[])?;
        Ok(agents::answer(&Province::of(state, now), state.central.standing()))
    })
    .await
}

/// How reliable sites and links were over a window.
#[utoipa::path(get, path = "/api/v1/uptime", tag = "api",
    params(
        ("from" = Option<String>, Query, description = "Start of the window: an RFC 3339 time, a local day or time of the province, or before now such as -30d. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of the window, not part of it; written like `from`. Now unless given"),
        ("tier" = Option<String>, Query, description = "Only sites of these tiers, separated by commas"),
        ("site" = Option<String>, Query, description = "Only this site"),
        ("link" = Option<String>, Query, description = "Only links of this name"),
        ("period" = Option<String>, Query, description = "A month (2026-10) or a quarter (2026-Q4) of the province, in place of `from` and `to`"),
        ("hours" = Option<String>, Query, description = "`all`, or `service`: only the calendar's hours of service count. Default `all`"),
        ("planned" = Option<String>, Query, description = "What planned time is: `exclude`, in no figure; `up`, counted as up; `ignore`, counted as it was seen. Default `exclude`"),
    ),
    responses(
        (status = 200, description = "One row for each site, and one for each of its links", body = uptime::UptimeAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site or link", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the history that it reaches back to is still being loaded", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_uptime(Shared(app): Shared<App>, uri: Uri) -> Response {
    app.json(move |state, now| {
        let given = Params::read(&uri, &uptime::PARAMETERS)?;
        let question = uptime::Question {
            from: given.get("from"),
            to: given.get("to"),
            tier: given.get("tier"),
            site: given.get("site"),
            link: given.get("link"),
            period: given.get("period"),
            hours: given.get("hours"),
            planned: given.get("planned"),
        };
        match given.get("site") {
            Some(site) => uptime::answer(&province_of(state, now, site), question),
            None => uptime::answer(&Province::of(state, now), question),
        }
    })
    .await
}

/// The province with the evidence of one site; of none when `id` is no id, since then none is needed.
fn province_of<'s>(state: &'s State, now: UnixMillis, id: &str) -> Province<'s> {
    match id.parse() {
        Ok(id) => Province::of_site(state, now, &id),
        Err(_) => Province::of(state, now),
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Ask each time whether it is still so.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// An answer as JSON.
pub(crate) fn json_response<T: Serialize>(answer: &T) -> Result<Response, Problem> {
    bytes(answer).map(json_body)
}

fn json_body(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, NO_CACHE)], body).into_response()
}

fn bytes<T: Serialize>(answer: &T) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        Problem::other(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Failed,
            "the answer could not be written",
            "see the collector's log, and report this",
        )
    })
}

#[derive(Debug, Default)]
struct OverviewCache {
    /// Held briefly, also by async tasks.
    newest: Mutex<Option<CachedOverview>>,
    /// Held while one is computed, by blocking threads only.
    turn: Mutex<()>,
}

#[derive(Debug, Clone)]
struct CachedOverview {
    at: UnixMillis,
    revision: i64,
    etag: HeaderValue,
    body: Vec<u8>,
}

impl CachedOverview {
    fn holds(&self, now: UnixMillis, revision: i64) -> bool {
        (0..OVERVIEW_AGE_MS).contains(&now.millis_since(self.at)) && self.revision == revision
    }
}

impl App {
    async fn overview(&self) -> Result<CachedOverview, Problem> {
        let revision = self.state.directory().revision;
        let cached = self.overview.newest.lock().clone();
        if let Some(cached) = cached.filter(|cached| cached.holds((self.clock)(), revision)) {
            return Ok(cached);
        }
        let cache = Arc::clone(&self.overview);
        self.compute(move |state, now| {
            // Of several that found it too old at once, the first computes it for all.
            let _turn = cache.turn.lock();
            if let Some(cached) = cache.newest.lock().clone().filter(|cached| cached.holds(now, revision)) {
                return Ok(cached);
            }
            let overview = overview::answer(&Province::of(state, now), state.started().map(|at| at.0));
            let etag = format!("W/\"{:016x}\"", xxh3_64(&bytes(&overview.content)?));
            let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("W/\"\""));
            let fresh = CachedOverview { at: now, revision, etag, body: bytes(&overview)? };
            *cache.newest.lock() = Some(fresh.clone());
            Ok(fresh)
        })
        .await
    }
}

async fn not_found(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    if !path.starts_with("/api/") {
        return web::not_found();
    }
    Problem::other(
        StatusCode::NOT_FOUND,
        ErrorKind::NotFound,
        format!("there is nothing at {path}"),
        "GET /api/v1/openapi.json describes what there is",
    )
    .into_response()
}

async fn bad_method(method: axum::http::Method, uri: Uri) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    Problem::other(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::BadMethod,
        format!("{path} does not take {method}"),
        "use GET",
    )
    .into_response()
}

#[cfg(test)]
pub(crate) mod tests;
