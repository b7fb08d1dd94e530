//! `GET /api/v1/sites/{id}/quality`, and the same for the command line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use utoipa::ToSchema;
use wan_wire::{LinkName, SiteId, UnixMillis};

use super::common::Range;
use super::params::{self, Params};
use super::problem::{ErrorKind, Problem};
use super::{json_response, province_of, uptime};
use crate::ledger::timeline::Window;
use crate::province::Province;
use crate::quality::hour::{HOUR_MS, HourTotal, MINUTE_MS};
use crate::quality::read::{self, Grain, Quality, Steps, add};
use crate::quality::{HOURS_KEPT, MINUTES_KEPT};
use crate::state::State;
use crate::store::{Store, StoreError};
use crate::{clock, localtime};

/// The parameters.
pub const PARAMETERS: [&str; 4] = ["link", "from", "to", "step"];

/// So many steps a link has in one answer: a day of minutes, two months of hours, four years of days.
pub const MOST_STEPS: i64 = 1_500;
/// And so many points of all its links together.
const MOST_POINTS: usize = 20_000;
/// This many answers are read at a time, as other answers are.
const READ_AT_ONCE: usize = 2;
/// One who waited this long for a turn is told to come back later.
const READ_WAIT: Duration = Duration::from_secs(10);

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// The site's id.
    pub site: &'q str,
    /// One of its links.
    pub link: Option<&'q str>,
    /// Start of the window.
    pub from: Option<&'q str>,
    /// End of the window.
    pub to: Option<&'q str>,
    /// How long a point is.
    pub step: Option<&'q str>,
}

/// How long a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A minute; kept 14 days.
    Minute,
    /// A UTC hour; kept three years.
    Hour,
    /// A day of the province.
    Day,
}

impl Step {
    const WORDS: [(&'static str, Option<Self>); 4] = [
        ("auto", None),
        ("minute", Some(Self::Minute)),
        ("hour", Some(Self::Hour)),
        ("day", Some(Self::Day)),
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn millis(self) -> i64 {
        match self {
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
            Self::Day => 24 * HOUR_MS,
        }
    }

    const fn grain(self) -> Grain {
        match self {
            Self::Minute => Grain::Minute,
            Self::Hour | Self::Day => Grain::Hour,
        }
    }

    fn steps(self, window: Window) -> i64 {
        window.millis() / self.millis() + 1
    }
}

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    site: SiteId,
    link: Option<LinkName>,
    window: Window,
    step: Step,
    /// Links of the site that the register or the evidence know.
    known: Vec<LinkName>,
    zone: TimeZone,
}

/// How well the links of a site carried packets over a window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QualityAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The site's id.
    pub site: String,
    /// The time it covers: what was asked for, cut to now and to what is kept.
    pub window: Range,
    /// How long a point is.
    pub step: Step,
    /// The links that are known of, by name; without points where nothing was measured.
    pub links: Vec<LinkQuality>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LinkQuality {
    /// The link.
    pub link: String,
    /// Over the whole window.
    pub whole: QualityFigures,
    /// By step, in order; a step in which nothing was measured has none.
    pub points: Vec<QualityPoint>,
}

/// One step of a link.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QualityPoint {
    /// First instant, Unix milliseconds.
    pub start: i64,
    /// The same, RFC 3339 in the province's zone.
    pub start_local: String,
    /// The figures.
    #[serde(flatten)]
    pub figures: QualityFigures,
}

/// Figures of packets. Times are in seconds, and null where nothing was answered. They are of the way there and back.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct QualityFigures {
    /// How many rounds they are of.
    pub rounds: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets answered.
    pub received: u64,
    /// The share that was not answered, 0 to 1 (ITU-T Y.1540 IPLR); null where nothing was sent.
    pub loss: Option<f64>,
    /// The same of rounds that got any answer: one without any is time down. It is what contracts are held to; null where nothing was
    /// answered.
    pub loss_while_up: Option<f64>,
    /// The shortest round-trip time.
    pub rtt_min_seconds: Option<f64>,
    /// The mean round-trip time.
    pub rtt_mean_seconds: Option<f64>,
    /// The round-trip time that 95 % of the replies did not exceed, within 5 %.
    pub rtt_p95_seconds: Option<f64>,
    /// The longest round-trip time.
    pub rtt_max_seconds: Option<f64>,
    /// By how much a reply took longer than the shortest of its round, in the mean (RFC 5481 §4.2, PDV); null where no round
    /// had two replies.
    pub jitter_seconds: Option<f64>,
    /// An estimate, not a measurement: the mean opinion score, 1 to 4.5, that a G.711 call would have by the E-model of ITU-T
    /// G.107, from half the round-trip time, jitter and loss.
    pub mos_estimate: Option<f64>,
}

impl From<Quality> for QualityFigures {
    fn from(quality: Quality) -> Self {
        Self {
            rounds: quality.rounds,
            sent: quality.sent,
            received: quality.received,
            loss: quality.loss,
            loss_while_up: quality.loss_while_up,
            rtt_min_seconds: quality.rtt_min,
            rtt_mean_seconds: quality.rtt_mean,
            rtt_p95_seconds: quality.rtt_p95,
            rtt_max_seconds: quality.rtt_max,
            jitter_seconds: quality.jitter,
            mos_estimate: quality.mos,
        }
    }
}

/// Reads the question.
///
/// # Errors
/// When site or link is not there, a time or the step cannot be read, or the window has too many steps.
pub fn ask(province: &Province<'_>, question: Question<'_>) -> Result<Asked, Problem> {
    let site = params::site(province, "id", question.site)?;
    let link = question.link.map(|text| params::link("link", text)).transpose()?;
    let asked = params::window(province, question.from, question.to)?;
    // What is older is not kept; a window that begins in 1970 costs no more than one that begins with it.
    let window = asked.within(province.now.minus(HOURS_KEPT), asked.end);
    let step = step(question.step, window, province.now)?;
    let known = province
        .site(&site)
        .map(|site| site.links.iter().map(|link| link.name.clone()).collect())
        .unwrap_or_default();
    Ok(Asked { site, link, window, step, known, zone: province.config().timezone.clone() })
}

fn step(text: Option<&str>, window: Window, now: UnixMillis) -> Result<Step, Problem> {
    let words = Step::WORDS.map(|(word, _)| word);
    let text = text.unwrap_or("auto");
    let Some((_, step)) = Step::WORDS.iter().find(|(word, _)| *word == text) else {
        let expected = format!("one of {}", words.join(", "));
        return Err(Problem::parameter("step", text, &expected, "without it, the finest that fits is taken"));
    };
    let fits = |step: &Step| step.steps(window) <= MOST_STEPS;
    match step {
        None => {
            let minutes = window.start >= now.minus(MINUTES_KEPT);
            let finest = [Step::Minute, Step::Hour]
                .into_iter()
                .find(|step| fits(step) && (*step != Step::Minute || minutes));
            Ok(finest.unwrap_or(Step::Day))
        }
        Some(step) if fits(step) => Ok(*step),
        Some(step) => Err(Problem::other(
            StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge,
            format!(
                "the window has {} steps of a {}, more than the {MOST_STEPS} of one answer",
                step.steps(window),
                step.as_str()
            ),
            "ask for a shorter window with from and to, or for step=auto",
        )),
    }
}

/// Reads the figures that were asked for.
///
/// # Errors
/// What the store says.
pub async fn load<S: Store>(store: &S, asked: &Asked) -> Result<BTreeMap<LinkName, Steps>, StoreError> {
    read::steps(store, &asked.site, asked.link.as_ref(), asked.window, asked.step.grain()).await
}

/// Answers.
///
/// # Errors
/// When the site has no such link, or the answer would be too large.
pub fn answer(
    province: &Province<'_>,
    asked: &Asked,
    mut found: BTreeMap<LinkName, Steps>,
) -> Result<QualityAnswer, Problem> {
    for known in &asked.known {
        if asked.link.as_ref().is_none_or(|link| link == known) {
            found.entry(known.clone()).or_default();
        }
    }
    if let Some(link) = asked.link.as_ref().filter(|link| !found.contains_key(link)) {
        return Err(uptime::no_link(province, Some(&asked.site), link));
    }
    let zone = &asked.zone;
    let links: Vec<LinkQuality> =
        found.iter().map(|(link, steps)| link_quality(link, steps, asked)).collect();
    let points: usize = links.iter().map(|link| link.points.len()).sum();
    if points > MOST_POINTS {
        return Err(Problem::other(
            StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge,
            format!("the links have {points} points, more than the {MOST_POINTS} of one answer"),
            "ask for one link, or for a longer step",
        ));
    }
    Ok(QualityAnswer {
        zone: localtime::zone_name(zone),
        site: asked.site.to_string(),
        window: Range::of(asked.window, zone),
        step: asked.step,
        links,
    })
}

fn link_quality(link: &LinkName, steps: &Steps, asked: &Asked) -> LinkQuality {
    let zone = &asked.zone;
    let mut points: BTreeMap<UnixMillis, HourTotal> = BTreeMap::new();
    for (at, total) in steps {
        let start = match asked.step {
            Step::Minute | Step::Hour => *at,
            Step::Day => localtime::start_of_day(*at, zone).unwrap_or(*at),
        };
        add(points.entry(start).or_default(), total);
    }
    let point = |(start, total): (&UnixMillis, &HourTotal)| QualityPoint {
        start: start.0,
        start_local: localtime::rfc3339(*start, zone),
        figures: Quality::from(total).into(),
    };
    LinkQuality {
        link: link.to_string(),
        whole: Quality::from(&read::whole(steps)).into(),
        points: points.iter().map(point).collect(),
    }
}

#[derive(Debug)]
pub(super) struct App<S> {
    state: Arc<State>,
    store: Arc<S>,
    turns: Arc<Semaphore>,
    clock: fn() -> UnixMillis,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        let Self { state, store, turns, clock } = self;
        Self { state: Arc::clone(state), store: Arc::clone(store), turns: Arc::clone(turns), clock: *clock }
    }
}

/// The endpoint.
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
        .route("/api/v1/sites/{id}/quality", get(get_quality::<S>))
        .layer(CompressionLayer::new())
        .with_state(App { state, store, turns: Arc::new(Semaphore::new(READ_AT_ONCE)), clock })
}

/// How well the links of a site carried packets over a window: loss, round-trip times, jitter, and an estimate of what a call
/// would sound like. What was pushed in the last minute may not be in it yet.
#[utoipa::path(get, path = "/api/v1/sites/{id}/quality", tag = "api",
    params(
        ("id" = String, Path, description = "The site's id"),
        ("link" = Option<String>, Query, description = "One of its links; without it all of them"),
        ("from" = Option<String>, Query, description = "Start of the window: an RFC 3339 time, a local day or time of the province, or before now such as -7d. 24 hours before `to` unless given"),
        ("to" = Option<String>, Query, description = "End of the window, not part of it; written like `from`. Now unless given"),
        ("step" = Option<String>, Query, description = "How long a point is: minute (of the last 14 days), hour (of the last three years), day, or auto, the finest that fits. auto unless given"),
    ),
    responses(
        (status = 200, description = "Figures of each link, whole and by step", body = QualityAnswer),
        (status = 400, description = "A parameter is wrong, or the window has too many steps", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such site or link", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many other questions are being answered, or the store cannot be read", body = Problem, content_type = "application/problem+json")
    )
)]
pub(super) async fn get_quality<S: Store>(
    Shared(app): Shared<App<S>>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    let answer = quality(&app, &id, &uri).await.and_then(|answer| json_response(&answer));
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn quality<S: Store>(app: &App<S>, id: &str, uri: &Uri) -> Result<QualityAnswer, Problem> {
    let given = Params::read(uri, &PARAMETERS)?;
    let question = Question {
        site: id,
        link: given.get("link"),
        from: given.get("from"),
        to: given.get("to"),
        step: given.get("step"),
    };
    let asked = ask(&province_of(&app.state, (app.clock)(), id), question)?;
    let turn = tokio::time::timeout(READ_WAIT, app.turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(Problem::busy());
    };
    let found = load(&*app.store, &asked).await.map_err(|error| {
        tracing::error!(%error, "figures of quality could not be read");
        Problem::other(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Failed,
            "the figures could not be read",
            "see the collector's log, and report this",
        )
    })?;
    answer(&province_of(&app.state, (app.clock)(), id), &asked, found)
}
