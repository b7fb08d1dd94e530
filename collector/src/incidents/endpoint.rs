//! `GET /api/v1/incidents` and `GET /api/v1/incidents/{id}`, and the same for the command line.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, Uri};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{LinkName, UnixMillis};

use crate::api::common::{App, Range};
use crate::api::params::{self, Params};
use crate::api::problem::{ErrorKind, Problem};
use crate::inventory::Register;
use crate::lang::Lang;
use crate::ledger::cause::{Cause, Rule};
use crate::ledger::incident::IncidentKind;
use crate::ledger::timeline::Window;
use crate::ledger::told::{Because, Gone, IncidentId, Restatement, Told, Word};
use crate::localtime;
use crate::state::State;
use crate::store::{Store, StoreError, Wanted};
use crate::{api, clock};

/// The parameters of the list.
pub const PARAMETERS: [&str; 9] = ["from", "to", "site", "link", "kind", "cause", "open", "limit", "lang"];
/// So many incidents are listed unless another number is asked for.
pub const DEFAULT_LIMIT: u32 = 1000;
/// At most so many are listed.
pub const MAX_LIMIT: u32 = 50_000;

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// Start of the window.
    pub from: Option<&'q str>,
    /// End of the window.
    pub to: Option<&'q str>,
    /// Only this site and its links.
    pub site: Option<&'q str>,
    /// Only this link; `site`: only sites as a whole.
    pub link: Option<&'q str>,
    /// Only this kind.
    pub kind: Option<&'q str>,
    /// Only this cause.
    pub cause: Option<&'q str>,
    /// `true`: only those that go on.
    pub open: Option<&'q str>,
    /// At most so many.
    pub limit: Option<&'q str>,
    /// The language of sentences.
    pub lang: Option<&'q str>,
}

/// The question, read.
#[derive(Debug, Clone)]
pub struct Asked {
    wanted: Wanted,
    link: Option<Option<LinkName>>,
    kind: Option<IncidentKind>,
    cause: Option<Cause>,
    limit: usize,
    lang: Lang,
}

/// Incidents that share an instant with a window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IncidentsAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The window, cut to now.
    pub window: Range,
    /// The newest first.
    pub incidents: Vec<IncidentRow>,
    /// There are more than `limit`: ask for a shorter window.
    pub more: bool,
}

/// What is said of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct WordRow {
    /// outage, degradation or gap.
    pub kind: IncidentKind,
    /// Its first bad instant, Unix milliseconds.
    pub start: i64,
    /// The same, RFC 3339 in the province's zone.
    pub start_local: String,
    /// The first instant after its last bad one; null while it goes on.
    pub end: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub end_local: Option<String>,
    /// Milliseconds of it in which it was as its kind says.
    pub bad_ms: i64,
    /// To what it is charged.
    pub cause: Cause,
    /// The rule that decided.
    pub rule: Rule,
    /// The rule in a sentence.
    pub why: String,
}

/// One incident as it is told now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IncidentRow {
    /// Its id, which never changes.
    pub id: String,
    /// The site's id.
    pub site: String,
    /// The site's name.
    pub name: String,
    /// The link; null: the site as a whole.
    pub link: Option<String>,
    /// What is said of it.
    #[serde(flatten)]
    pub word: WordRow,
    /// The evidence that the rule looked at.
    pub evidence: String,
    /// When it was first told, Unix milliseconds.
    pub told: i64,
    /// The same, RFC 3339 in the province's zone.
    pub told_local: String,
    /// Since when it is taken back: it is no incident any more.
    pub taken_back: Option<i64>,
    /// The incident of which it turned out to be a part.
    pub part_of: Option<String>,
    /// What was said before and is not so any more, in the order in which it was restated.
    pub restatements: Vec<RestatementRow>,
}

/// That something which had been said is said differently.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RestatementRow {
    /// When, Unix milliseconds.
    pub at: i64,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: String,
    /// What had been said.
    pub was: WordRow,
    /// What was said from then on; null: it was taken back.
    pub now: Option<WordRow>,
    /// Because of what.
    pub because: Because,
}

impl Asked {
    /// Reads the question.
    ///
    /// # Errors
    /// When a parameter cannot be read, or the site is not registered.
    pub fn read(
        question: &Question<'_>,
        register: &Register,
        zone: &TimeZone,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let open = params::flag("open", question.open, "")?.unwrap_or(false);
        // What is open now may have begun at any time.
        let window = if open && question.from.is_none() && question.to.is_none() {
            Window::new(UnixMillis::MIN, now)
        } else {
            params::window_at(zone, now, question.from, question.to)?
        };
        let site = question.site.map(|text| params::registered(register, "site", text)).transpose()?;
        let link = match question.link {
            None => None,
            Some("site") => Some(None),
            Some(text) => Some(Some(params::link("link", text)?)),
        };
        let kind = params::parsed("kind", question.kind, "outage, degradation or gap")?;
        let causes = Cause::ALL.map(Cause::as_str).join(", ");
        let cause = params::parsed("cause", question.cause, &format!("one of {causes}"))?;
        let limit = params::limit(question.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let lang = params::lang(question.lang)?;
        // One more than is shown, to say whether there are more; what the store does not sift is sifted here.
        let sifted = link.is_some() || kind.is_some() || cause.is_some();
        let limit_in_store = if sifted { u32::MAX } else { limit + 1 };
        let wanted = Wanted { site, open, limit: limit_in_store, ..Wanted::all(window) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self { wanted, link, kind, cause, limit, lang })
    }

    /// What to ask the store for.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn fits(&self, told: &Told) -> bool {
        self.link.as_ref().is_none_or(|link| *link == told.subject.link)
            && self.kind.is_none_or(|kind| kind == told.word.kind)
            && self.cause.is_none_or(|cause| cause == told.word.cause())
    }

    /// The answer, from what the store gave.
    #[must_use]
    pub fn answer(
        &self,
        told: &[Told],
        restatements: &[Restatement],
        register: &Register,
        zone: &TimeZone,
    ) -> IncidentsAnswer {
        let fitting: Vec<&Told> = told.iter().filter(|told| self.fits(told)).collect();
        let rows = Rows::new(restatements, register, zone, self.lang);
        IncidentsAnswer {
            zone: localtime::zone_name(zone),
            window: Range::of(self.wanted.window, zone),
            more: fitting.len() > self.limit,
            incidents: fitting.into_iter().take(self.limit).map(|told| rows.row(told)).collect(),
        }
    }
}

struct Rows<'a> {
    restatements: BTreeMap<&'a IncidentId, Vec<&'a Restatement>>,
    register: &'a Register,
    zone: &'a TimeZone,
    lang: Lang,
}

impl<'a> Rows<'a> {
    fn new(all: &'a [Restatement], register: &'a Register, zone: &'a TimeZone, lang: Lang) -> Self {
        let mut restatements: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in all {
            restatements.entry(&one.id).or_default().push(one);
        }
        Self { restatements, register, zone, lang }
    }

    fn row(&self, told: &Told) -> IncidentRow {
        let restatements = self.restatements.get(&told.id).map_or(&[][..], Vec::as_slice);
        IncidentRow {
            id: told.id.to_string(),
            site: told.subject.site.to_string(),
            name: self.register.get(&told.subject.site).map(|site| site.name.clone()).unwrap_or_default(),
            link: told.subject.link.as_ref().map(ToString::to_string),
            word: self.word(&told.word),
            evidence: told.scene.evidence(self.lang),
            told: told.since.0,
            told_local: localtime::rfc3339(told.since, self.zone),
            taken_back: told.gone.as_ref().map(|(at, _)| at.0),
            part_of: told.gone.as_ref().and_then(|(_, gone)| match gone {
                Gone::Withdrawn => None,
                Gone::Into(id) => Some(id.to_string()),
            }),
            restatements: restatements.iter().map(|restatement| self.restatement(restatement)).collect(),
        }
    }

    fn word(&self, word: &Word) -> WordRow {
        WordRow {
            kind: word.kind,
            start: word.start.0,
            start_local: localtime::rfc3339(word.start, self.zone),
            end: word.end.map(|end| end.0),
            end_local: word.end.map(|end| localtime::rfc3339(end, self.zone)),
            bad_ms: word.bad_ms,
            cause: word.cause(),
            rule: word.rule,
            why: word.rule.sentence(self.lang).to_owned(),
        }
    }

    fn restatement(&self, restatement: &Restatement) -> RestatementRow {
        RestatementRow {
            at: restatement.at.0,
            at_local: localtime::rfc3339(restatement.at, self.zone),
            was: self.word(&restatement.was),
            now: restatement.is.as_ref().map(|word| self.word(word)),
            because: restatement.because,
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
        .route("/api/v1/incidents", get(list::<S>))
        .route("/api/v1/incidents/{id}", get(one::<S>))
        .with_state(App { state, store, clock })
        .layer(tower_http::compression::CompressionLayer::new())
}

/// Incidents with their causes, and what was said of them before.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "api",
    params(
        ("from" = Option<String>, Query, description = "Start of the window: an RFC 3339 time, a local day or time of the province, or before now such as -30d. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of the window, not part of it; written like `from`. Now unless given"),
        ("site" = Option<String>, Query, description = "Only this site and its links"),
        ("link" = Option<String>, Query, description = "Only links of this name; `site`: only sites as a whole"),
        ("kind" = Option<String>, Query, description = "outage, degradation or gap"),
        ("cause" = Option<String>, Query, description = "Only what is charged to this cause"),
        ("open" = Option<bool>, Query, description = "true: only those that go on; without `from` and `to`, however old"),
        ("limit" = Option<u32>, Query, description = "At most so many, the newest; 1000 unless given"),
        ("lang" = Option<String>, Query, description = "Language of the sentences: vi or en")
    ),
    responses(
        (status = 200, description = "The newest first", body = IncidentsAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn list<S: Store>(Shared(app): Shared<App<S>>, uri: Uri) -> Response {
    answer_list(&app, &uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer_list<S: Store>(app: &App<S>, uri: &Uri) -> Result<Response, Problem> {
    let given = Params::read(uri, &PARAMETERS)?;
    let question = Question {
        from: given.get("from"),
        to: given.get("to"),
        site: given.get("site"),
        link: given.get("link"),
        kind: given.get("kind"),
        cause: given.get("cause"),
        open: given.get("open"),
        limit: given.get("limit"),
        lang: given.get("lang"),
    };
    let (register, zone) = (Arc::clone(&app.state.directory().register), &app.state.config.timezone);
    let asked = Asked::read(&question, &register, zone, (app.clock)())?;
    let told = app.store.incidents(asked.wanted()).await.map_err(|error| unavailable(&error))?;
    let restatements = app.store.restatements(asked.wanted()).await.map_err(|error| unavailable(&error))?;
    api::json_response(&asked.answer(&told, &restatements, &register, zone))
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "api",
    params(
        ("id" = String, Path, description = "The incident's id"),
        ("lang" = Option<String>, Query, description = "Language of the sentences: vi or en")
    ),
    responses(
        (status = 200, description = "The incident as it is told now, and what was said of it before", body = IncidentRow),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such incident", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json")
    )
)]
async fn one<S: Store>(Shared(app): Shared<App<S>>, Path(id): Path<String>, uri: Uri) -> Response {
    answer_one(&app, &id, &uri).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer_one<S: Store>(app: &App<S>, text: &str, uri: &Uri) -> Result<Response, Problem> {
    let given = Params::read(uri, &["lang"])?;
    let lang = params::lang(given.get("lang"))?;
    let missing = || {
        Problem::not_found(
            "id",
            format!(
                "id: found “{}”, expected the id of an incident",
                text.chars().take(40).collect::<String>()
            ),
            "GET /api/v1/incidents lists them",
        )
    };
    let id: IncidentId = text.parse().map_err(|_| missing())?;
    let ever = Window::new(UnixMillis::MIN, UnixMillis::MAX);
    let wanted = Wanted { id: Some(id), ..Wanted::all(ever) };
    let told = app.store.incidents(&wanted).await.map_err(|error| unavailable(&error))?;
    let restatements = app.store.restatements(&wanted).await.map_err(|error| unavailable(&error))?;
    let register = Arc::clone(&app.state.directory().register);
    let rows = Rows::new(&restatements, &register, &app.state.config.timezone, lang);
    api::json_response(&rows.row(told.first().ok_or_else(missing)?))
}

fn unavailable(error: &StoreError) -> Problem {
    tracing::error!(%error, "incidents could not be read");
    Problem::other(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Failed,
        "the incidents could not be read",
        "see the collector's log, and ask again",
    )
}
