//! What requests that change something have in common: who asks, a body that is read within limits, and the answers.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Extension;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::{ErrorKind, Problem};
use crate::access::Reader;
use crate::planned::draft::Wrong;

/// What people ask for takes some hundred bytes.
pub(crate) const BODY_BYTES: usize = 16 * 1024;
/// A client that takes longer than this for so little has gone away.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The name under which somebody's changes are kept.
pub(crate) fn who(reader: Option<Extension<Reader>>) -> String {
    match reader.map(|Extension(reader)| reader) {
        Some(Reader::User(name, _)) => name.to_string(),
        Some(Reader::Token(name, _)) => format!("token {name}"),
        // On loopback nobody logs in.
        Some(Reader::Local | Reader::Anonymous) | None => "127.0.0.1".to_owned(),
    }
}

/// The body as `what`, which the answers name: `a planned window`.
///
/// # Errors
/// When it is too large, does not come, or is something else.
pub(crate) async fn read<T: DeserializeOwned>(body: Body, what: &str) -> Result<T, Problem> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES).collect()).await;
    let Ok(Ok(body)) = collected else {
        let (status, kind) = (StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::TooLarge);
        let detail = format!("the body is larger than {BODY_BYTES} bytes, or did not come");
        return Err(Problem::other(status, kind, detail, format!("send {what} as a JSON object")));
    };
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let detail = format!("the body is not {what}: {error}");
        let remedy = "send a JSON object as /api/v1/openapi.json describes it";
        Problem::other(StatusCode::BAD_REQUEST, ErrorKind::BadParameter, detail, remedy)
    })
}

/// That something is so already, or cannot be as things are.
pub(crate) fn conflict(detail: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem::other(StatusCode::CONFLICT, ErrorKind::Conflict, detail, remedy)
}

/// 201 with what was made, and where it is.
pub(crate) fn created<T: Serialize>(row: &T, location: &str) -> Response {
    let mut response = super::json_response(row).unwrap_or_else(Problem::into_response);
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::CREATED;
    }
    let location = HeaderValue::try_from(location);
    response.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
    response
}

impl From<Wrong> for Problem {
    fn from(wrong: Wrong) -> Self {
        Self::parameter(wrong.part, &wrong.found, &wrong.expected, wrong.remedy)
    }
}
