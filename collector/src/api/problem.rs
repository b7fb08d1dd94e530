//! What the API answers when it cannot answer: what is wrong, what was found, what was expected, what to do.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::history::Loading;
use crate::localtime;
use crate::store::StoreError;

/// The kind of a problem, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// A parameter is unknown, given twice, or has a value that cannot be used.
    BadParameter,
    /// There is no such site, link or address.
    NotFound,
    /// The address does not take this method.
    BadMethod,
    /// The answer would be larger than is served at once.
    TooLarge,
    /// What is asked for is so already, or is not possible as things are.
    Conflict,
    /// A login or a token is needed, or the one that was sent is not good.
    Unauthorized,
    /// The login or token does not allow this.
    Forbidden,
    /// On loopback nobody logs in, and this request names another host or comes by a proxy.
    Misdirected,
    /// Too many other questions are being answered; ask again later.
    Busy,
    /// The history that the question reaches back to is still being loaded after a start; ask again later.
    Loading,
    /// The collector failed. Its log says why.
    Failed,
}

/// A question that was not answered, and why. The body of every 4xx and 5xx of the API, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The kind of problem.
    pub error: ErrorKind,
    /// The parameter that it is about, if it is about one.
    pub parameter: Option<String>,
    /// What is wrong: what was found, and what was expected.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A value of a parameter that cannot be used.
    #[must_use]
    pub fn parameter(name: &str, found: &str, expected: &str, remedy: impl Into<String>) -> Self {
        Self {
            status: 400,
            error: ErrorKind::BadParameter,
            parameter: Some(name.to_owned()),
            detail: format!("{name}: found “{}”, expected {expected}", cut(found)),
            remedy: remedy.into(),
        }
    }

    /// Something that is not there.
    #[must_use]
    pub fn not_found(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            status: 404,
            error: ErrorKind::NotFound,
            parameter: Some(name.to_owned()),
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }

    /// A question that reaches back to what is still being loaded.
    #[must_use]
    pub fn loading(loading: Loading, zone: &TimeZone) -> Self {
        let Loading { before, percent } = loading;
        let before = localtime::rfc3339(before, zone);
        Self::other(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Loading,
            format!(
                "the collector was started a short time ago and still loads the history before {before} ({percent} % is done)"
            ),
            "ask again in a few seconds; what lies more than eight days after that time is answered already",
        )
    }

    /// No turn came in time.
    #[must_use]
    pub fn busy() -> Self {
        Self::other(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Busy,
            "too many other questions are being answered",
            "ask again in a few seconds, or for a shorter window",
        )
    }

    /// The store did not do what was asked; what it says, which names the operation, goes to the log.
    #[must_use]
    pub fn store(error: &StoreError) -> Self {
        tracing::error!(%error, "the store did not do what was asked of it by the API");
        Self::other(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Failed,
            "the database cannot be read or written",
            "see the collector's log",
        )
    }

    /// A problem that is not about a parameter.
    #[must_use]
    pub fn other(
        status: StatusCode,
        error: ErrorKind,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status: status.as_u16(), error, parameter: None, detail: detail.into(), remedy: remedy.into() }
    }
}

/// For the command line: the same words.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.detail, self.remedy)
    }
}

impl std::error::Error for Problem {}

/// After how many seconds a reader that was told to come back later should.
const RETRY_AFTER: &str = "2";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let headers =
            [(header::CONTENT_TYPE, "application/problem+json"), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, headers, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

/// Hostile values are told back, but not at any length.
fn cut(found: &str) -> String {
    const LONGEST: usize = 80;
    if found.chars().count() <= LONGEST {
        return found.to_owned();
    }
    found.chars().take(LONGEST).chain(['…']).collect()
}
