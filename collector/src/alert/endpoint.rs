//! `/api/v1/alerts` and `/api/v1/silences`: for readers to see; for operators to take up, and to ask not to be told.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{StatusCode, Uri};
use serde::Deserialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::list::{
    self, AlertRow, AlertsAnswer, Asked, PARAMETERS, Question, Rows, SilenceRow, SilencesAnswer,
};
use super::notice::AlertId;
use super::orders::{AckDraft, MOST_SILENCES, SilenceDraft};
use super::record::{Acknowledgement, Record, Silence, SilenceId, WantedAlerts};
use crate::access::Reader;
use crate::api::change::{self, conflict, created, who};
use crate::api::common::App;
use crate::api::params::{self, Params};
use crate::api::problem::{ErrorKind, Problem};
use crate::lang::Lang;
use crate::planned::draft::Known;
use crate::state::State;
use crate::store::Store;
use crate::{api, clock};

/// That an alert is taken up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewAck {
    /// Why, or what is being done: one line of at most 200 characters.
    pub reason: Option<String>,
    /// Until when it holds: how long (2h), or a time as elsewhere. Until the alert is over unless given.
    pub until: Option<String>,
}

/// Alerts that are not to be told for a while. One of `site`, `subtree`, `tier`, `district`, `carrier` and `all`; one of `to` and `for`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewSilence {
    /// Everything.
    pub all: bool,
    /// One site, by its id.
    pub site: Option<String>,
    /// A site and all whose WAN path depends on it.
    pub subtree: Option<String>,
    /// The sites of a tier, and its coverage.
    pub tier: Option<String>,
    /// The sites of a district.
    pub district: Option<String>,
    /// The links of a carrier, and the sites that have one.
    pub carrier: Option<String>,
    /// Only alerts of this rule.
    pub rule: Option<String>,
    /// From when on: a time as elsewhere, or the next such time of day (22:00). Now unless given.
    pub from: Option<String>,
    /// Until when: a time as elsewhere, or the first such time of day after that (23:30).
    pub to: Option<String>,
    /// For how long: 30m, 2h, 1d12h.
    #[serde(rename = "for")]
    pub length: Option<String>,
    /// Why: one line of at most 200 characters.
    pub reason: Option<String>,
}

impl NewSilence {
    fn draft(&self) -> SilenceDraft<'_> {
        SilenceDraft {
            all: self.all,
            site: self.site.as_deref(),
            subtree: self.subtree.as_deref(),
            tier: self.tier.as_deref(),
            district: self.district.as_deref(),
            carrier: self.carrier.as_deref(),
            rule: self.rule.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            length: self.length.as_deref(),
            reason: self.reason.as_deref(),
        }
    }
}

/// The endpoints.
pub fn router<S: Store>(state: Arc<State>, store: Arc<S>) -> axum::Router {
    router_at(state, store, clock::now)
}

/// The same with another clock.
pub(crate) fn router_at<S: Store>(
    state: Arc<State>,
    store: Arc<S>,
    clock: fn() -> UnixMillis,
) -> axum::Router {
    axum::Router::new()
        .route("/api/v1/alerts", get(list::<S>))
        .route("/api/v1/alerts/{id}", get(one::<S>))
        .route("/api/v1/alerts/{id}/ack", post(take::<S>).delete(leave::<S>))
        .route("/api/v1/silences", get(silences::<S>).post(silence::<S>))
        .route("/api/v1/silences/{id}", delete(unsilence::<S>))
        .method_not_allowed_fallback(bad_method)
        .with_state(App { state, store, clock })
        .layer(tower_http::compression::CompressionLayer::new())
}

async fn bad_method() -> Response {
    let (status, detail) = (StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method");
    let remedy = "GET /api/v1/alerts and /api/v1/alerts/{id}, POST or DELETE /api/v1/alerts/{id}/ack, \
                  GET or POST /api/v1/silences, DELETE /api/v1/silences/{id}";
    Problem::other(status, ErrorKind::BadMethod, detail, remedy).into_response()
}

/// Alerts: those that fire, or with a window all that fired in it.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "api",
    params(
        ("from" = Option<String>, Query, description = "Start of the window: an RFC 3339 time, a local day or time of the province, or before now such as -30d. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of the window, not part of it; written like `from`. Now unless given"),
        ("site" = Option<String>, Query, description = "Only this site and its links"),
        ("rule" = Option<String>, Query, description = "Only alerts of this rule"),
        ("open" = Option<bool>, Query, description = "true: only those that fire; false: also those that are over. true unless `from` or `to` is given"),
        ("folded" = Option<bool>, Query, description = "true: leave out those for which an alert about many stands"),
        ("limit" = Option<u32>, Query, description = "At most so many, those that fired last; 1000 unless given"),
        ("lang" = Option<String>, Query, description = "Language of names and sentences: vi or en")
    ),
    responses(
        (status = 200, description = "Those that fired last first", body = AlertsAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn list<S: Store>(Shared(app): Shared<App<S>>, uri: Uri) -> Response {
    app.list(&uri).await.unwrap_or_else(IntoResponse::into_response)
}

/// One alert, with all its sites.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "api",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("lang" = Option<String>, Query, description = "Language of names and sentences: vi or en")
    ),
    responses(
        (status = 200, description = "The alert", body = AlertRow),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn one<S: Store>(Shared(app): Shared<App<S>>, Path(id): Path<String>, uri: Uri) -> Response {
    let done = async {
        let lang = params::lang(Params::read(&uri, &["lang"])?.get("lang"))?;
        let record = app.record(&id).await?;
        app.row(&record, lang).await
    };
    done.await.unwrap_or_else(IntoResponse::into_response)
}

/// Takes an alert up, in place of whoever had: there are no reminders of it while that holds. Operators only.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/ack", tag = "api", request_body = NewAck,
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The alert as it is now", body = AlertRow),
        (status = 400, description = "Something in it is wrong, and which", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The alert is over", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn take<S: Store>(
    Shared(app): Shared<App<S>>,
    Path(id): Path<String>,
    reader: Option<Extension<Reader>>,
    body: Body,
) -> Response {
    let done = async {
        let new: NewAck = change::read(body, "an acknowledgement").await?;
        let draft = AckDraft { reason: new.reason.as_deref(), until: new.until.as_deref() };
        let taken = draft.read(&who(reader), &app.state.config.timezone, (app.clock)())?;
        app.take(&id, Some(&taken)).await
    };
    done.await.unwrap_or_else(IntoResponse::into_response)
}

/// Leaves an alert to whoever takes it up next. Operators only.
#[utoipa::path(delete, path = "/api/v1/alerts/{id}/ack", tag = "api",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The alert as it is now", body = AlertRow),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The alert is over, or nobody has taken it up", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn leave<S: Store>(Shared(app): Shared<App<S>>, Path(id): Path<String>) -> Response {
    app.take(&id, None).await.unwrap_or_else(IntoResponse::into_response)
}

/// The silences: what is not told now or later.
#[utoipa::path(get, path = "/api/v1/silences", tag = "api",
    params(("state" = Option<String>, Query, description = "`lasting`: silences that hold or are to come; `all`: also those that are over or ended. Default `lasting`")),
    responses(
        (status = 200, description = "By number", body = SilencesAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn silences<S: Store>(Shared(app): Shared<App<S>>, uri: Uri) -> Response {
    let done = async {
        let all = params::also_over(&Params::read(&uri, &["state"])?)?;
        let now = (app.clock)();
        let after = if all { UnixMillis::MIN } else { now };
        let silences = app.store.silences(after).await.map_err(|error| Problem::store(&error))?;
        api::json_response(&list::silences(&silences, all, now, &app.state.config.timezone))
    };
    done.await.unwrap_or_else(IntoResponse::into_response)
}

/// Asks that alerts are not told for a while. They fire all the same, and are told when the silence is over and they still do. Operators only.
#[utoipa::path(post, path = "/api/v1/silences", tag = "api", request_body = NewSilence,
    responses(
        (status = 201, description = "The silence", body = SilenceRow),
        (status = 400, description = "Something in it is wrong, and which", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There are as many silences as there may be", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn silence<S: Store>(
    Shared(app): Shared<App<S>>,
    reader: Option<Extension<Reader>>,
    body: Body,
) -> Response {
    let done = async {
        let new: NewSilence = change::read(body, "a silence").await?;
        app.silence(&new, &who(reader)).await
    };
    match done.await {
        Ok(row) => created(&row, &format!("/api/v1/silences/{}", row.id)),
        Err(problem) => problem.into_response(),
    }
}

/// Ends a silence before its time. Operators only.
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "api",
    params(("id" = i64, Path, description = "The silence's number")),
    responses(
        (status = 200, description = "The silence as it is now", body = SilenceRow),
        (status = 404, description = "There is no such silence", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over or ended already", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn unsilence<S: Store>(
    Shared(app): Shared<App<S>>,
    Path(id): Path<String>,
    reader: Option<Extension<Reader>>,
) -> Response {
    let done = async {
        let row = app.unsilence(&id, &who(reader)).await?;
        api::json_response(&row)
    };
    done.await.unwrap_or_else(IntoResponse::into_response)
}

impl<S: Store> App<S> {
    async fn list(&self, uri: &Uri) -> Result<Response, Problem> {
        let given = Params::read(uri, &PARAMETERS)?;
        let question = Question {
            from: given.get("from"),
            to: given.get("to"),
            site: given.get("site"),
            rule: given.get("rule"),
            open: given.get("open"),
            folded: given.get("folded"),
            limit: given.get("limit"),
            lang: given.get("lang"),
        };
        let (register, config) = (Arc::clone(&self.state.directory().register), &self.state.config);
        let now = (self.clock)();
        let asked = Asked::read(&question, &register, &config.timezone, now)?;
        let records = self.store.alerts(asked.wanted()).await.map_err(|error| Problem::store(&error))?;
        let silences = self.store.silences(now).await.map_err(|error| Problem::store(&error))?;
        let answer = asked.answer(&records, &silences, &register, config, now);
        api::json_response(&AlertsAnswer { config_mistakes: self.state.alert_mistakes().to_vec(), ..answer })
    }

    async fn record(&self, text: &str) -> Result<Record, Problem> {
        let missing = || {
            let detail = Problem::parameter("id", text, "the id of an alert", "").detail;
            Problem::not_found("id", detail, "GET /api/v1/alerts lists those that fire")
        };
        let id = AlertId::parse(text).ok_or_else(missing)?;
        let wanted = WantedAlerts { ids: Some(vec![id]), open: false, ..WantedAlerts::open() };
        let found = self.store.alerts(&wanted).await.map_err(|error| Problem::store(&error))?;
        found.into_iter().next().ok_or_else(missing)
    }

    async fn row(&self, record: &Record, lang: Lang) -> Result<Response, Problem> {
        let now = (self.clock)();
        let silences = self.store.silences(now).await.map_err(|error| Problem::store(&error))?;
        let register = Arc::clone(&self.state.directory().register);
        let rows = Rows { register: &register, config: &self.state.config, silences: &silences, now, lang };
        api::json_response(&rows.row(record, usize::MAX))
    }

    async fn take(&self, id: &str, taken: Option<&Acknowledgement>) -> Result<Response, Problem> {
        let record = self.record(id).await?;
        may_be_taken(&record, taken.is_some())
            .map_err(|why| conflict(why, "GET /api/v1/alerts lists those that fire"))?;
        self.store.acknowledge(&record.id, taken).await.map_err(|error| Problem::store(&error))?;
        tracing::info!(alert = %record.id, by = taken.map(|taken| taken.by.as_str()), "alert taken up or left");
        let record = Record { taken: taken.cloned(), ..record };
        self.row(&record, Lang::default()).await
    }

    async fn silence(&self, new: &NewSilence, by: &str) -> Result<SilenceRow, Problem> {
        let (now, config) = ((self.clock)(), &self.state.config);
        let silence = {
            let directory = self.state.directory();
            let known =
                Known { register: &directory.register, plan: &config.plan, zone: &config.timezone, now };
            new.draft().read(by, &known)?
        };
        let lasting = self.store.silences(now).await.map_err(|error| Problem::store(&error))?;
        may_be_added(&lasting).map_err(|why| conflict(why, FULL_REMEDY))?;
        let id = self.store.add_silence(&silence).await.map_err(|error| Problem::store(&error))?;
        tracing::info!(id = id.0, scope = %silence.scope, by, "alerts silenced");
        Ok(SilenceRow::of(id, &silence, now, &config.timezone))
    }

    async fn unsilence(&self, text: &str, by: &str) -> Result<SilenceRow, Problem> {
        let missing = || {
            let detail = Problem::parameter("id", text, "the number of a silence", "").detail;
            Problem::not_found("id", detail, "GET /api/v1/silences?state=all shows all")
        };
        let id = text.parse().map(SilenceId).map_err(|_| missing())?;
        let (now, zone) = ((self.clock)(), &self.state.config.timezone);
        let all = self.store.silences(UnixMillis::MIN).await.map_err(|error| Problem::store(&error))?;
        let (_, silence) = all.into_iter().find(|(known, _)| *known == id).ok_or_else(missing)?;
        if !self.store.end_silence(id, by, now).await.map_err(|error| Problem::store(&error))? {
            return Err(conflict(over(id), "GET /api/v1/silences lists those that hold or are to come"));
        }
        tracing::info!(id = id.0, by, "silence ended");
        Ok(SilenceRow::of(
            id,
            &Silence { ended: Some(now), ended_by: Some(by.to_owned()), ..silence },
            now,
            zone,
        ))
    }
}

/// Whether an alert can be taken up, or left.
///
/// # Errors
/// When it is over, or is to be left and nobody has taken it up: in words.
pub fn may_be_taken(record: &Record, take: bool) -> Result<(), String> {
    if record.until.is_some() {
        return Err(format!("alert {} is over: there is nothing to take up", record.id));
    }
    if !take && record.taken.is_none() {
        return Err(format!("nobody has taken alert {} up", record.id));
    }
    Ok(())
}

/// Whether one more silence may be added, beside those that end later than now.
///
/// # Errors
/// When there are as many as there may be: in words.
pub fn may_be_added(later: &[(SilenceId, Silence)]) -> Result<(), String> {
    let lasting = later.iter().filter(|(_, silence)| silence.ended.is_none()).count();
    if lasting >= MOST_SILENCES {
        return Err(format!(
            "there are {MOST_SILENCES} silences that hold or are to come, and no more are kept"
        ));
    }
    Ok(())
}

/// What to do then.
pub const FULL_REMEDY: &str = "end those that are not needed, or silence a tier, a district or all at once";

/// That a silence cannot be ended.
#[must_use]
pub fn over(id: SilenceId) -> String {
    format!("silence {} is over or was ended already", id.0)
}

#[cfg(test)]
mod tests;
