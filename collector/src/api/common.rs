//! Shapes that several answers share.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use crate::ledger::timeline::{self, Why, Window};
use crate::localtime;
use crate::report::uptime::Uptime;
use crate::state::State;

/// What handlers share that read the store beside the state.
#[derive(Debug)]
pub(crate) struct App<S> {
    pub(crate) state: Arc<State>,
    pub(crate) store: Arc<S>,
    /// The present: the machine's, or a test's.
    pub(crate) clock: fn() -> UnixMillis,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), store: Arc::clone(&self.store), clock: self.clock }
    }
}

/// What a link, a kind of link or a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It carries traffic as it should.
    Up,
    /// It carries traffic, but loses or delays too much of it.
    Degraded,
    /// It carries none.
    Down,
    /// Nothing is known; `why` says for what reason.
    Unknown,
}

impl Word {
    /// The word, and the reason of an unknown.
    #[must_use]
    pub fn of(state: timeline::State) -> (Self, Option<Why>) {
        match state {
            timeline::State::Up => (Self::Up, None),
            timeline::State::Degraded => (Self::Degraded, None),
            timeline::State::Down => (Self::Down, None),
            timeline::State::Unknown(why) => (Self::Unknown, Some(why)),
        }
    }

    /// The word as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// A state, and why it is unknown where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct StateNow {
    /// The state.
    pub state: Word,
    /// Why it is unknown.
    pub why: Option<Why>,
}

impl From<timeline::State> for StateNow {
    fn from(state: timeline::State) -> Self {
        let (state, why) = Word::of(state);
        Self { state, why }
    }
}

/// A half-open time `[start, end)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Range {
    /// First instant, Unix milliseconds.
    pub start: i64,
    /// The same, RFC 3339 in the province's zone.
    pub start_local: String,
    /// First instant after it, Unix milliseconds.
    pub end: i64,
    /// The same, RFC 3339 in the province's zone.
    pub end_local: String,
}

impl Range {
    /// The window in the province's zone.
    #[must_use]
    pub fn of(window: Window, zone: &TimeZone) -> Self {
        Self {
            start: window.start.0,
            start_local: localtime::rfc3339(window.start, zone),
            end: window.end.0,
            end_local: localtime::rfc3339(window.end, zone),
        }
    }
}

/// One outage, as far as the window shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutageRow {
    /// First instant seen down, Unix milliseconds.
    pub start: i64,
    /// The same, RFC 3339 in the province's zone.
    pub start_local: String,
    /// First instant after the last seen down, Unix milliseconds.
    pub end: i64,
    /// The same, RFC 3339 in the province's zone.
    pub end_local: String,
    /// Milliseconds seen down between the two; less than `end − start` where nobody looked, or time was
    /// planned or outside the hours.
    pub down_ms: i64,
}

/// How reliable a site or a link was over a window. Ratios are 0 to 1, and null where nothing was observed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// The time the figures are about: what was asked for, cut to the site's registration and to now.
    pub window: Range,
    /// (up + degraded) ÷ observed.
    pub uptime: Option<f64>,
    /// up ÷ observed.
    pub availability: Option<f64>,
    /// observed ÷ (window − planned − outside): how much of the time the two rest on.
    pub observed_share: Option<f64>,
    /// Uptime, had all the unobserved time been down.
    pub low: Option<f64>,
    /// Uptime, had none of the unobserved time been down.
    pub high: Option<f64>,
    /// Milliseconds up.
    pub up_ms: i64,
    /// Milliseconds degraded.
    pub degraded_ms: i64,
    /// Milliseconds down.
    pub down_ms: i64,
    /// Milliseconds of which nothing is known.
    pub unknown_ms: i64,
    /// Milliseconds taken out of every figure, because they were planned.
    pub planned_ms: i64,
    /// Milliseconds outside the hours that count, planned ones among them.
    pub outside_ms: i64,
    /// How many outages the window saw.
    pub outages: u32,
    /// The one with the most time down.
    pub longest_outage: Option<OutageRow>,
    /// Mean time down per outage, milliseconds.
    pub mean_outage_ms: Option<i64>,
    /// Mean time up or degraded per outage, milliseconds.
    pub mean_between_ms: Option<i64>,
}

impl Figures {
    /// The figures as they are told.
    #[must_use]
    pub fn of(uptime: &Uptime, zone: &TimeZone) -> Self {
        let longest_outage = uptime.longest_outage.map(|outage| OutageRow {
            start: outage.start.0,
            start_local: localtime::rfc3339(outage.start, zone),
            end: outage.end.0,
            end_local: localtime::rfc3339(outage.end, zone),
            down_ms: outage.down_ms,
        });
        Self {
            window: Range::of(uptime.window, zone),
            uptime: uptime.uptime,
            availability: uptime.availability,
            observed_share: uptime.observed_share,
            low: uptime.low,
            high: uptime.high,
            up_ms: uptime.durations.up_ms,
            degraded_ms: uptime.durations.degraded_ms,
            down_ms: uptime.durations.down_ms,
            unknown_ms: uptime.durations.unknown_ms,
            planned_ms: uptime.durations.planned_ms,
            outside_ms: uptime.durations.outside_ms,
            outages: uptime.outages,
            longest_outage,
            mean_outage_ms: uptime.mean_outage_ms,
            mean_between_ms: uptime.mean_between_ms,
        }
    }
}

/// The windows that figures of the present are given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rolling {
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    ThirtyDays,
    /// From the start of the province's month.
    Month,
}

impl Rolling {
    /// All of them, the shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::ThirtyDays, Self::Month];

    /// The word for it in labels and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::ThirtyDays => "30d",
            Self::Month => "month",
        }
    }

    /// The start of the longest of these windows.
    #[must_use]
    pub fn earliest(now: UnixMillis, zone: &TimeZone) -> UnixMillis {
        Self::ALL.map(|rolling| rolling.window(now, zone).start).into_iter().min().unwrap_or(now)
    }

    /// The window that ends now.
    #[must_use]
    pub fn window(self, now: UnixMillis, zone: &TimeZone) -> Window {
        const DAY_MS: i64 = 86_400_000;
        let start = match self {
            Self::Day => now.plus_millis(-DAY_MS),
            Self::Week => now.plus_millis(-7 * DAY_MS),
            Self::ThirtyDays => now.plus_millis(-30 * DAY_MS),
            Self::Month => localtime::start_of_month(now, zone).unwrap_or(now),
        };
        Window::new(start, now)
    }
}

/// Writes a whole number as one: 12, not 12.0.
#[allow(clippy::cast_possible_truncation, reason = "bounded by 2⁵³, checked before")]
pub(super) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}
