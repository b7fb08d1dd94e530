//! `/api/v1/planned`: the planned windows, for readers to see and operators to change.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use http::{StatusCode, Uri};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::change::{self, conflict, created, who};
use super::params::{self, Params};
use super::problem::{ErrorKind, Problem};
use crate::access::Reader;
use crate::clock;
use crate::localtime;
use crate::planned::draft::{Draft, Known};
use crate::planned::{MOST_WINDOWS, NotRemovable, PlannedId, PlannedWindow, Removal, SiteAt, When};
use crate::state::State;
use crate::store::{AddedWindow, Store};

/// The parameters of the list.
pub const PARAMETERS: [&str; 2] = ["site", "state"];

/// What a window is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowState {
    /// It covers the present.
    Open,
    /// It covers time to come.
    Coming,
    /// All that it covers is past.
    Over,
    /// It was ended by somebody; what it covered before stays planned.
    Ended,
    /// It was a mistake, and covers nothing.
    Void,
}

impl WindowState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Coming => "coming",
            Self::Over => "over",
            Self::Ended => "ended",
            Self::Void => "void",
        }
    }

    /// Whether it may cover time from now on.
    #[must_use]
    pub const fn lasts(self) -> bool {
        match self {
            Self::Open | Self::Coming => true,
            Self::Over | Self::Ended | Self::Void => false,
        }
    }
}

/// One planned window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedRow {
    /// Its number.
    pub id: i64,
    /// For whom: `all`, `site`, `subtree`, `tier`, `district` or `carrier`.
    pub scope: String,
    /// Which of them; null: all.
    pub of: Option<String>,
    /// When, in words: `weekly sat 22:00-23:00`, or from when to when in the province's time.
    pub when: String,
    /// Start of a one-off window, Unix milliseconds.
    pub from: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub from_local: Option<String>,
    /// End of a one-off window, Unix milliseconds.
    pub to: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub to_local: Option<String>,
    /// The first day of a recurring window.
    pub valid_from: Option<String>,
    /// The first day on which a recurring window holds no more; null: none is set.
    pub valid_to: Option<String>,
    /// What it is now.
    pub state: WindowState,
    /// Why.
    pub reason: String,
    /// When it was added, Unix milliseconds.
    pub added: i64,
    /// The same, RFC 3339 in the province's zone.
    pub added_local: String,
    /// By whom it was added.
    pub added_by: String,
    /// When it was ended or made void, Unix milliseconds.
    pub removed: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub removed_local: Option<String>,
    /// By whom.
    pub removed_by: Option<String>,
}

/// The planned windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlannedAnswer {
    /// The province's time zone.
    pub zone: String,
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The windows by number.
    pub windows: Vec<PlannedRow>,
}

/// A window to add. One of `site`, `subtree`, `tier`, `district`, `carrier` and `all`; none of `every`, `monthly` and `calendar` for
/// a one-off window, else one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewWindow {
    /// Every site.
    pub all: bool,
    /// One site, by its id.
    pub site: Option<String>,
    /// A site and all whose WAN path depends on it.
    pub subtree: Option<String>,
    /// The sites of a tier.
    pub tier: Option<String>,
    /// The sites of a district.
    pub district: Option<String>,
    /// The links of a carrier, and nothing else of their sites.
    pub carrier: Option<String>,
    /// Start: a time as elsewhere (2026-11-30T22:00), of a recurring window a time of day (22:00).
    pub from: Option<String>,
    /// End, likewise; of a one-off window also a time of day.
    pub to: Option<String>,
    /// Weekdays: sat, mon-fri, mon,thu, or day for all.
    pub every: Option<String>,
    /// A day of the month: 15, last, 2-tue, last-sun.
    pub monthly: Option<String>,
    /// `outside-service-hours` or `holidays`.
    pub calendar: Option<String>,
    /// First day of a recurring window; today unless given.
    pub valid_from: Option<String>,
    /// First day on which it holds no more.
    pub valid_to: Option<String>,
    /// Why: one line of at most 200 characters.
    pub reason: Option<String>,
}

impl NewWindow {
    fn draft(&self) -> Draft<'_> {
        Draft {
            all: self.all,
            site: self.site.as_deref(),
            subtree: self.subtree.as_deref(),
            tier: self.tier.as_deref(),
            district: self.district.as_deref(),
            carrier: self.carrier.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            every: self.every.as_deref(),
            monthly: self.monthly.as_deref(),
            calendar: self.calendar.as_deref(),
            valid_from: self.valid_from.as_deref(),
            valid_to: self.valid_to.as_deref(),
            reason: self.reason.as_deref(),
        }
    }
}

impl PlannedRow {
    /// The row of a window that does, or does not, cover the present.
    #[must_use]
    pub fn of(window: &PlannedWindow, open: bool, now: UnixMillis, zone: &TimeZone) -> Self {
        let work = &window.work;
        let (from, to) = match work.when {
            When::Once { from, to } => (Some(from), Some(to)),
            When::Weekly { .. } | When::Monthly { .. } | When::Calendar(_) => (None, None),
        };
        let state = match &window.removed {
            Some(Removal { void: true, .. }) => WindowState::Void,
            Some(_) => WindowState::Ended,
            None if open => WindowState::Open,
            None if window.is_over(now, zone) => WindowState::Over,
            None => WindowState::Coming,
        };
        let local = |at: UnixMillis| localtime::rfc3339(at, zone);
        Self {
            id: window.id.0,
            scope: work.scope.kind().to_owned(),
            of: work.scope.of().map(str::to_owned),
            when: match (from, to) {
                (Some(from), Some(to)) => {
                    format!("{} to {}", localtime::plain(from, zone), localtime::plain(to, zone))
                }
                _ => work.when.to_string(),
            },
            from: from.map(|at| at.0),
            from_local: from.map(local),
            to: to.map(|at| at.0),
            to_local: to.map(local),
            valid_from: work.valid_from.map(|day| day.to_string()),
            valid_to: work.valid_to.map(|day| day.to_string()),
            state,
            reason: work.reason.clone(),
            added: work.added.0,
            added_local: local(work.added),
            added_by: work.by.clone(),
            removed: window.removed.as_ref().map(|removal| removal.at.0),
            removed_local: window.removed.as_ref().map(|removal| local(removal.at)),
            removed_by: window.removed.as_ref().map(|removal| removal.by.clone()),
        }
    }
}

/// The windows that fit, as rows: with `site` those for it or any of its links; those that may cover time from now on, or all.
///
/// # Errors
/// When there is no such site.
pub fn rows(state: &State, site: Option<&str>, all: bool, now: UnixMillis) -> Result<PlannedAnswer, Problem> {
    let directory = state.directory();
    let (zone, calendar) = (&state.config.timezone, &state.config.calendar);
    let site = site.map(|text| params::registered(&directory.register, "site", text)).transpose()?;
    let site = site.and_then(|id| directory.register.get(&id));
    let site = site.map(|site| SiteAt::of(site, &directory.register, now, zone));
    let fits = |window: &PlannedWindow| site.as_ref().is_none_or(|site| window.work.scope.touches(site));
    let open = directory.planned.covering(now, zone, calendar, fits);
    let open: BTreeSet<PlannedId> = open.into_iter().map(|(window, _)| window.id).collect();
    let windows = directory.planned.windows().iter().filter(|window| fits(window));
    let rows = windows.map(|window| PlannedRow::of(window, open.contains(&window.id), now, zone));
    Ok(PlannedAnswer {
        zone: localtime::zone_name(zone),
        now: now.0,
        windows: rows.filter(|row| all || row.state.lasts()).collect(),
    })
}

/// The list, and the ways to change it.
pub fn router<S: Store>(state: Arc<State>, store: Arc<S>) -> axum::Router {
    axum::Router::new()
        .route("/api/v1/planned", get(get_planned::<S>).post(post_planned::<S>))
        .route("/api/v1/planned/{id}", delete(delete_planned::<S>))
        .method_not_allowed_fallback(bad_method)
        .with_state(Office { state, store })
}

#[derive(Debug)]
struct Office<S> {
    state: Arc<State>,
    store: Arc<S>,
}

impl<S> Clone for Office<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), store: Arc::clone(&self.store) }
    }
}

async fn bad_method() -> Response {
    let (status, detail) = (StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method");
    let remedy = "GET or POST /api/v1/planned, DELETE /api/v1/planned/{id}";
    Problem::other(status, ErrorKind::BadMethod, detail, remedy).into_response()
}

/// The planned windows.
#[utoipa::path(get, path = "/api/v1/planned", tag = "api",
    params(
        ("site" = Option<String>, Query, description = "Only windows for this site or any of its links"),
        ("state" = Option<String>, Query, description = "`lasting`: windows that may cover time from now on; `all`: also those that are over, ended or void. Default `lasting`"),
    ),
    responses(
        (status = 200, description = "The windows", body = PlannedAnswer),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_planned<S: Store>(Shared(office): Shared<Office<S>>, uri: Uri) -> Response {
    let answer = Params::read(&uri, &PARAMETERS).and_then(|given| {
        let all = params::also_over(&given)?;
        rows(&office.state, given.get("site"), all, clock::now())
    });
    answer.and_then(|answer| super::bytes(&answer)).map_or_else(Problem::into_response, super::json_body)
}

/// Adds a planned window, also after the fact. Operators only.
#[utoipa::path(post, path = "/api/v1/planned", tag = "api", request_body = NewWindow,
    responses(
        (status = 201, description = "The window", body = PlannedRow),
        (status = 400, description = "Something in it is wrong, and which", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The same is planned already, or there are as many windows as there may be", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json")
    )
)]
async fn post_planned<S: Store>(
    Shared(office): Shared<Office<S>>,
    reader: Option<Extension<Reader>>,
    body: Body,
) -> Response {
    let done = async {
        let new: NewWindow = change::read(body, "a planned window").await?;
        office.add(&new, &who(reader)).await
    };
    match done.await {
        Ok(row) => created(&row, &format!("/api/v1/planned/{}", row.id)),
        Err(problem) => problem.into_response(),
    }
}

/// Ends a planned window, or with `void=true` takes it back as if it had never been. Operators only.
#[utoipa::path(delete, path = "/api/v1/planned/{id}", tag = "api",
    params(
        ("id" = i64, Path, description = "The window's number"),
        ("void" = Option<bool>, Query, description = "It was a mistake: what it covered is planned no more, also in the past"),
    ),
    responses(
        (status = 200, description = "The window as it is now", body = PlannedRow),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such window", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, ended or void already", body = Problem, content_type = "application/problem+json")
    )
)]
async fn delete_planned<S: Store>(
    Shared(office): Shared<Office<S>>,
    Path(id): Path<String>,
    uri: Uri,
    reader: Option<Extension<Reader>>,
) -> Response {
    let done = async {
        let given = Params::read(&uri, &["void"])?;
        let void = params::flag("void", given.get("void"), "leave it out for false")?;
        office.remove(&id, void.unwrap_or(false), &who(reader)).await
    };
    match done.await {
        Ok(row) => super::bytes(&row).map_or_else(Problem::into_response, super::json_body),
        Err(problem) => problem.into_response(),
    }
}

impl<S: Store> Office<S> {
    async fn add(&self, new: &NewWindow, by: &str) -> Result<PlannedRow, Problem> {
        let now = clock::now();
        let work = {
            let (directory, config) = (self.state.directory(), &self.state.config);
            let known =
                Known { register: &directory.register, plan: &config.plan, zone: &config.timezone, now };
            new.draft().read(by, &known)?
        };
        let id = match self.store.add_planned(&work).await.map_err(|error| Problem::store(&error))? {
            AddedWindow::Added(id) => id,
            AddedWindow::Already(id) => {
                let remedy = format!("GET /api/v1/planned shows it; DELETE /api/v1/planned/{id} ends it");
                return Err(conflict(format!("the same is planned already, as window {id}"), remedy));
            }
            AddedWindow::Full => return Err(conflict(full(), FULL_REMEDY)),
        };
        tracing::info!(%id, scope = %work.scope, when = %work.when, by, "planned");
        self.take_over().await?;
        self.row(id, now)
    }

    async fn remove(&self, id: &str, void: bool, by: &str) -> Result<PlannedRow, Problem> {
        let number = id.parse().map(PlannedId);
        let no_such = || {
            let expected = "the number of a planned window";
            let told = Problem::parameter("id", id, expected, "GET /api/v1/planned?state=all shows all");
            Problem::not_found("id", told.detail, told.remedy)
        };
        let id = number.map_err(|_| no_such())?;
        // The store may be ahead of what this server has taken over.
        self.take_over().await?;
        let now = clock::now();
        let zone = &self.state.config.timezone;
        let may = self.state.directory().planned.get(id).map(|window| window.may_be_removed(void, now, zone));
        may.ok_or_else(no_such)?.map_err(|why| {
            conflict(not_removable(&why, id, zone), "add ?void=true to take it back altogether")
        })?;
        let removal = Removal { at: now, by: by.to_owned(), void };
        if !self.store.remove_planned(id, &removal).await.map_err(|error| Problem::store(&error))? {
            return Err(conflict(format!("somebody else ended window {id} just now"), "look again"));
        }
        tracing::info!(%id, by, void, "no longer planned");
        self.take_over().await?;
        self.row(id, now)
    }

    /// What was changed holds for the next question.
    async fn take_over(&self) -> Result<(), Problem> {
        crate::refresh(&self.state, &*self.store).await.map(|_| ()).map_err(|error| Problem::store(&error))
    }

    fn row(&self, id: PlannedId, now: UnixMillis) -> Result<PlannedRow, Problem> {
        let answer = rows(&self.state, None, true, now)?;
        let row = answer.windows.into_iter().find(|row| row.id == id.0);
        row.ok_or_else(|| conflict(format!("window {id} is not there any more"), "look again"))
    }
}

/// Why a window is not removed, in words.
#[must_use]
pub fn not_removable(why: &NotRemovable, id: PlannedId, zone: &TimeZone) -> String {
    let told = |removal: &Removal| format!("{}, by {}", localtime::plain(removal.at, zone), removal.by);
    match why {
        NotRemovable::Void(removal) => format!("window {id} is void already, since {}", told(removal)),
        NotRemovable::Ended(removal) => format!("window {id} was ended already, on {}", told(removal)),
        NotRemovable::Over => format!("window {id} is over, so ending it would change nothing"),
    }
}

/// That there are as many windows as there may be.
#[must_use]
pub fn full() -> String {
    format!("there are {MOST_WINDOWS} planned windows, and no more are kept")
}

/// What to do then.
pub const FULL_REMEDY: &str =
    "make those void that were mistakes, and plan what recurs by one window (every, monthly, calendar)";

#[cfg(test)]
mod tests;
