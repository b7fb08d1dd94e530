//! `GET /api/v1/report`: the report of a month as a file.
//!
//! The first one of a closed month is remembered, whoever asks for it: what is told once is not told otherwise in silence.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;
use wan_wire::UnixMillis;

use super::params::{self, Params};
use super::problem::{ErrorKind, Problem};
use crate::calendar::Month;
use crate::clock;
use crate::lang::Lang;
use crate::province::Province;
use crate::report::model::Report;
use crate::report::monthly::{self, FirstReport, Kept, NoReport, Subject};
use crate::report::render::{self, Format};
use crate::report::uptime::Policy;
use crate::state::State;
use crate::store::Store;

/// The parameters.
pub const PARAMETERS: [&str; 4] = ["month", "lang", "format", "planned"];

/// One who waited this long for another's report is told to come back later.
const WAIT: Duration = Duration::from_secs(30);
/// Nothing but its own styles.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// The month; the last one that is over unless given.
    pub month: Option<&'q str>,
    /// The language; Vietnamese unless given.
    pub lang: Option<&'q str>,
    /// What planned time is; left out unless given.
    pub planned: Option<&'q str>,
}

impl Question<'_> {
    /// What is to be reported, as of `now`.
    ///
    /// # Errors
    /// When a value cannot be used.
    pub fn read(self, state: &State, now: UnixMillis) -> Result<Subject, Problem> {
        let zone = &state.config.timezone;
        let month = match self.month {
            Some(text) => Month::parse(text).map_err(|_| {
                Problem::parameter("month", text, "a month such as 2026-10", "write year and month, YYYY-MM")
            })?,
            None => {
                let this = Month::of(now, zone);
                this.previous().unwrap_or(this)
            }
        };
        let lang = match self.lang {
            Some(text) => text
                .parse()
                .map_err(|_| Problem::parameter("lang", text, "vi or en", "leave it out for vi"))?,
            None => Lang::default(),
        };
        let policy = match self.planned {
            Some(text) => {
                Policy::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or_else(|| {
                    Problem::parameter("planned", text, "exclude, up or ignore", "leave it out for exclude")
                })?
            }
            None => Policy::default(),
        };
        Ok(Subject { month, lang, policy })
    }
}

/// That a month has no report yet.
#[must_use]
pub fn none(why: NoReport, subject: &Subject) -> Problem {
    match why {
        NoReport::Future => Problem::parameter(
            "month",
            &subject.month.first_day().strftime("%Y-%m").to_string(),
            "a month that has begun",
            "a month that is not over gives a preliminary report",
        ),
    }
}

/// What somebody saves the file as.
#[must_use]
pub fn file_name(report: &Report, format: Format) -> String {
    format!("wanwatch-{}-{}.{}", report.month, report.lang, format.as_str())
}

/// `now` as a report tells it: a whole second.
#[must_use]
pub const fn whole_second(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.div_euclid(1000) * 1000)
}

/// The report.
pub fn router<S: Store>(state: Arc<State>, store: Arc<S>) -> axum::Router {
    router_at(state, store, clock::now)
}

/// The same with another clock.
fn router_at<S: Store>(state: Arc<State>, store: Arc<S>, clock: fn() -> UnixMillis) -> axum::Router {
    let desk = Desk { state, store, turn: Arc::new(Semaphore::new(1)), clock };
    axum::Router::new().route("/api/v1/report", get(get_report::<S>)).with_state(desk)
}

#[derive(Debug)]
struct Desk<S> {
    state: Arc<State>,
    store: Arc<S>,
    turn: Arc<Semaphore>,
    clock: fn() -> UnixMillis,
}

impl<S> Clone for Desk<S> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            store: Arc::clone(&self.store),
            turn: Arc::clone(&self.turn),
            clock: self.clock,
        }
    }
}

/// The report of a month: coverage against the plan, uptime, contracts (uptime, round-trip time, loss) with evidence, incidents, causes,
/// quality by link, and by what rules all was counted. A month
/// that is not over gives a preliminary one. The first report of a closed month is remembered, and later ones say what has been restated
/// since.
#[utoipa::path(get, path = "/api/v1/report", tag = "api",
    params(
        ("month" = Option<String>, Query, description = "The month, as in 2026-10. The last one that is over unless given"),
        ("lang" = Option<String>, Query, description = "`vi` or `en`. Default `vi`"),
        ("format" = Option<String>, Query, description = "`html`, `xlsx`, `csv` or `json`. Default `html`"),
        ("planned" = Option<String>, Query, description = "What planned time is to the figures: `exclude`, `up` or `ignore`. Default `exclude`"),
    ),
    responses(
        (status = 200, description = "The report; in JSON as described here, else a file", content(
            (Report = "application/json"),
            (String = "text/html"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        )),
        (status = 400, description = "A parameter is wrong, or the month has not begun", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Another report is being made, the history that it rests on is still being loaded, or the database cannot be read", body = Problem, content_type = "application/problem+json")
    )
)]
async fn get_report<S: Store>(Shared(desk): Shared<Desk<S>>, uri: Uri) -> Response {
    desk.answer(&uri).await.unwrap_or_else(IntoResponse::into_response)
}

impl<S: Store> Desk<S> {
    async fn answer(&self, uri: &Uri) -> Result<Response, Problem> {
        let now = whole_second((self.clock)());
        let given = Params::read(uri, &PARAMETERS)?;
        let question =
            Question { month: given.get("month"), lang: given.get("lang"), planned: given.get("planned") };
        let subject = question.read(&self.state, now)?;
        let format = match given.get("format") {
            None => Format::Html,
            Some(text) => {
                Format::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| {
                    Problem::parameter("format", text, "html, xlsx, csv or json", "leave it out for html")
                })?
            }
        };
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::other(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorKind::Busy,
                "another report is being made",
                "ask again in a minute",
            ));
        };
        let state = Arc::clone(&self.state);
        let store = Arc::clone(&self.store);
        let runtime = tokio::runtime::Handle::current();
        let made = tokio::task::spawn_blocking(move || {
            let province = Province::of(&state, now);
            // What is first reported of a month is kept: it must not rest on half of the evidence.
            params::reached(&province, subject.month.window(&state.config.timezone).start)?;
            // Reading alternates with computing: it waits on this thread, and holds up no other request.
            let kept = runtime.block_on(Kept::load(&*store, &province, subject.month, &mut |_, _| {}));
            let kept = kept.map_err(|error| Problem::store(&error))?;
            let made = monthly::report(&province, subject, &kept, &mut |_, _| {});
            let made = made.map_err(|why| none(why, &subject))?;
            let bytes = render::write(&made.report, format).map_err(|error| failed(&error))?;
            drop(turn);
            Ok::<_, Problem>((made, bytes, kept.first.is_some()))
        });
        let (made, bytes, known) = made.await.map_err(|error| failed(&error))??;
        if let (false, Some(figures)) = (known, made.figures) {
            let first = FirstReport { at: now, figures };
            self.store
                .keep_first_report(subject.month, &first)
                .await
                .map_err(|error| Problem::store(&error))?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let place = match format {
            Format::Html | Format::Json => "inline",
            Format::Xlsx | Format::Csv => "attachment",
        };
        let name = file_name(&made.report, format);
        if let Ok(value) = HeaderValue::try_from(format!("{place}; filename=\"{name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        Ok((headers, bytes).into_response())
    }
}

fn failed(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a report could not be made");
    Problem::other(
        StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Failed,
        "the report could not be made",
        "see the collector's log, and report this",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{NOW, conforms, get, province};
    use crate::report::render::read;
    use crate::store::sqlite::SqliteStore;

    fn now() -> UnixMillis {
        NOW
    }

    #[test]
    fn a_report_is_served_in_each_format_and_the_first_of_a_closed_month_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = runtime.block_on(SqliteStore::open(&folder.path().join("wanwatch.db"))).unwrap();
        let store = Arc::new(store);
        let state = province();
        let router = router_at(Arc::clone(&state), Arc::clone(&store), now);
        let first = || {
            let month = Month::parse("2026-10").unwrap();
            runtime.block_on(store.first_report(month)).unwrap().map(|first| first.at)
        };
        let (status, headers, body) = get(&router, "/api/v1/report?month=2026-11&lang=en");
        assert_eq!(status, 200);
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(body.contains("PRELIMINARY up to 2026-11-23 13:12:48"), "{}", &body[..400]);
        assert_eq!(first(), None, "a preliminary report binds nobody");
        // Just started: October is not all there yet.
        state.history.begin(NOW.plus_millis(-45 * 86_400_000), 5);
        let (status, headers, body) = get(&router, "/api/v1/report");
        assert_eq!((status, headers.contains_key(header::RETRY_AFTER)), (503, true), "{body}");
        assert!(body.contains("still loads the history before"), "{body}");
        assert_eq!(first(), None, "half of the evidence binds nobody");
        state.history.known(UnixMillis::MIN);
        for format in ["html", "csv", "json"] {
            let (status, headers, body) = get(&router, &format!("/api/v1/report?format={format}"));
            assert_eq!(status, 200, "{format}");
            assert_eq!(headers[header::CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(read(body.as_bytes()).unwrap().0.as_str(), format);
        }
        assert_eq!(first(), Some(whole_second(NOW)), "last month is closed");
        let document = serde_json::to_value(crate::api::openapi::document()).unwrap();
        let described = &document["paths"]["/api/v1/report"]["get"]["responses"];
        let holds = |question: &str, status: &str, media: &str| {
            let (_, _, body) = get(&router, &format!("/api/v1/report?{question}"));
            let schema = &described[status]["content"][media]["schema"];
            assert!(schema.is_object(), "{status} {media}");
            conforms(&document, schema, &serde_json::from_str(&body).unwrap(), "$").unwrap();
        };
        holds("format=json", "200", "application/json");
        holds("format=json&lang=en&month=2026-11", "200", "application/json");
        holds("format=doc", "400", "application/problem+json");
        let (status, headers, _) = get(&router, "/api/v1/report?format=xlsx");
        assert_eq!(status, 200);
        assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=\"wanwatch-2026-10-vi.xlsx\"");
        for (question, about) in [
            ("month=2026-13", "month"),
            ("month=2026-12", "month"),
            ("lang=fr", "lang"),
            ("format=doc", "format"),
            ("planned=x", "planned"),
            ("x=1", "x"),
        ] {
            let (status, _, body) = get(&router, &format!("/api/v1/report?{question}"));
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, &problem["parameter"]), (400, &about.into()), "{body}");
        }
    }
}
