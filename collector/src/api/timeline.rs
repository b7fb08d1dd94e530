//! `GET /api/v1/sites/{id}/timeline`.

use serde::Serialize;
use utoipa::ToSchema;

use super::common::{Range, Word};
use super::problem::{ErrorKind, Problem};
use super::{params, uptime};
use crate::ledger::timeline::{Interval, Why};
use crate::localtime;
use crate::province::Province;

/// The parameters.
pub const PARAMETERS: [&str; 3] = ["link", "from", "to"];

/// An answer holds at most this many intervals, some 20 MB: past it the reader is asked for a shorter window.
pub const MAX_INTERVALS: usize = 100_000;

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
}

/// The states of a site or a link over a window, gap-free and in order.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TimelineAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The site's id.
    pub site: String,
    /// The link; null: the site itself, as the plan defines connected.
    pub link: Option<String>,
    /// The time it covers: what was asked for, cut to the site's registration and to now.
    pub window: Range,
    /// From the window's start to its end without a gap; none when the window is empty.
    pub intervals: Vec<IntervalRow>,
}

/// One stretch of a timeline: a state over the half-open time `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IntervalRow {
    /// First instant, Unix milliseconds.
    pub start: i64,
    /// The same, RFC 3339 in the province's zone.
    pub start_local: String,
    /// First instant after it, Unix milliseconds.
    pub end: i64,
    /// The same, RFC 3339 in the province's zone.
    pub end_local: String,
    /// How long it lasts, milliseconds.
    pub duration_ms: i64,
    /// What holds all through it.
    pub state: Word,
    /// Why it is unknown.
    pub why: Option<Why>,
}

/// Answers.
///
/// # Errors
/// When site or link is not there, a time cannot be read, or the window holds too many intervals.
pub fn answer(province: &Province<'_>, question: Question<'_>) -> Result<TimelineAnswer, Problem> {
    let id = params::site(province, "id", question.site)?;
    let window = params::window(province, question.from, question.to)?;
    let link = question.link.map(|text| params::link("link", text)).transpose()?;
    let site =
        province.site(&id).ok_or_else(|| params::site(province, "id", "").err().unwrap_or_else(gone))?;
    let Some(timeline) = province.timeline(&site, link.as_ref(), window) else {
        return Err(link.map_or_else(gone, |link| uptime::no_link(province, Some(&id), &link)));
    };
    if timeline.intervals.len() > MAX_INTERVALS {
        return Err(Problem::other(
            axum::http::StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge,
            format!(
                "the window holds {} intervals, more than the {MAX_INTERVALS} of one answer",
                timeline.intervals.len()
            ),
            "ask for a shorter window with from and to",
        ));
    }
    let zone = &province.config().timezone;
    let row = |interval: &Interval| {
        let (state, why) = Word::of(interval.state);
        IntervalRow {
            start: interval.start.0,
            start_local: localtime::rfc3339(interval.start, zone),
            end: interval.end.0,
            end_local: localtime::rfc3339(interval.end, zone),
            duration_ms: interval.millis(),
            state,
            why,
        }
    };
    Ok(TimelineAnswer {
        zone: localtime::zone_name(zone),
        site: id.to_string(),
        link: link.map(|link| link.to_string()),
        window: Range::of(timeline.window, zone),
        intervals: timeline.intervals.iter().map(row).collect(),
    })
}

/// The register was replaced between two looks at it; the next request sees one or the other.
fn gone() -> Problem {
    Problem::not_found("id", "the site is not registered any more", "ask again")
}
