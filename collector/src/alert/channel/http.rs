//! What webhooks and Alertmanagers have in common: the client, and what an answer means.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, redirect};
use tokio::sync::OnceCell;
use wan_wire::UnixMillis;

use super::Outcome;
use super::expect::{MOST_ANSWER_BYTES, judge};
use crate::alert::text::one_line;
use crate::config::alerts::Expect;
use crate::outgoing::{causes, client_tls, read, wait};

/// So much of an answer's body is read to tell of an error: more than is told, since secrets are taken out before it is cut.
const TOLD_BYTES: usize = 4 << 10;
/// Shorter words are not taken out: they would blacken what is told, and are no secrets.
const LEAST_SECRET: usize = 4;

/// What an answer means.
///
/// | status | |
/// | --- | --- |
/// | 2xx | delivered |
/// | 401, 407 | again: the secret has run out or is about to be replaced, and is read anew for each try |
/// | 408, 425, 429, 5xx | again, not before `Retry-After` |
/// | 3xx | never: redirects are not followed, since what is sent is for the configured receiver alone |
/// | other 4xx, any other | never: the same request would be answered the same |
#[must_use]
pub fn meaning(status: u16, retry_after: Option<&str>, now: UnixMillis) -> Outcome {
    let why = format!("answered {status}");
    match status {
        200..=299 => Outcome::Delivered(None),
        401 | 407 | 408 | 425 | 429 | 500..=599 => {
            Outcome::Again { after: retry_after.and_then(|text| wait(text, now)), why }
        }
        300..=399 => {
            Outcome::Never(format!("{why}, a redirect, which is not followed: configure the final address"))
        }
        _ => Outcome::Never(why),
    }
}

/// A client that is made at its first use.
#[derive(Debug)]
pub(in crate::alert) struct Http {
    ca_file: Option<PathBuf>,
    timeout: Duration,
    client: OnceCell<Client>,
}

impl Http {
    pub(in crate::alert) fn new(ca_file: Option<PathBuf>, timeout: Duration) -> Self {
        Self { ca_file, timeout, client: OnceCell::new() }
    }

    /// The client; what hinders it is tried again with the next notice.
    pub(in crate::alert) async fn client(&self) -> Result<&Client, Outcome> {
        let made = self.client.get_or_try_init(|| async { self.make() });
        made.await.map_err(Outcome::again)
    }

    fn make(&self) -> Result<Client, String> {
        let tls = client_tls(self.ca_file.as_deref())?;
        Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .timeout(self.timeout)
            .user_agent(concat!("wan-collector/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {error}"))
    }
}

/// Sends a request, and says what its answer means. The address stands in no message: it may be a secret; nor does one of `secrets`, which a
/// receiver may repeat.
pub(in crate::alert) async fn exchange(
    request: RequestBuilder,
    expect: Option<&Expect>,
    secrets: &[String],
    now: UnixMillis,
) -> Outcome {
    let mut answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Outcome::again(causes(&error.without_url())),
    };
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get(::http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let meant = meaning(status, retry_after, now);
    let after = retry_after.and_then(|text| wait(text, now));
    match (meant, expect) {
        (Outcome::Delivered(_), Some(expect)) => {
            let (body, whole) = read(&mut answer, MOST_ANSWER_BYTES).await;
            let told = |why: &str| tell(&format!("answered {status}, {why}"), &body, secrets);
            match judge(expect, &body, whole) {
                Outcome::Again { why, after: _ } => Outcome::Again { after, why: told(&why) },
                Outcome::Never(why) => Outcome::Never(told(&why)),
                taken @ (Outcome::Delivered(_) | Outcome::Progress(_)) => taken,
            }
        }
        (Outcome::Again { after, why }, _) => {
            let (body, _) = read(&mut answer, TOLD_BYTES).await;
            Outcome::Again { after, why: tell(&why, &body, secrets) }
        }
        (Outcome::Never(why), _) => {
            let (body, _) = read(&mut answer, TOLD_BYTES).await;
            Outcome::Never(tell(&why, &body, secrets))
        }
        (meant @ (Outcome::Delivered(_) | Outcome::Progress(_)), _) => meant,
    }
}

/// What went wrong, with the beginning of the answer's body on one line, where it has one.
fn tell(why: &str, body: &[u8], secrets: &[String]) -> String {
    let mut body = String::from_utf8_lossy(body).into_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET) {
        body = body.replace(secret.as_str(), "…");
    }
    let (why, body) = (one_line(why), one_line(&body));
    if body.is_empty() { why } else { format!("{why}: {body}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        let now = UnixMillis(1_793_466_000_000);
        for status in 0..=1000_u16 {
            let meant = meaning(status, None, now);
            let expected = match status {
                200..=299 => "delivered",
                401 | 407 | 408 | 425 | 429 | 500..=599 => "again",
                _ => "never",
            };
            let found = match meant {
                Outcome::Delivered(None) => "delivered",
                Outcome::Again { after: None, .. } => "again",
                Outcome::Never(_) => "never",
                Outcome::Delivered(Some(_))
                | Outcome::Progress(_)
                | Outcome::Again { after: Some(_), .. } => "?",
            };
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn what_is_told_of_an_answer_is_short_on_one_line_and_without_secrets() {
        let secrets = ["hunter22".to_owned(), "ab".to_owned()];
        let body = format!("bad\r\ntoken hunter22 of {}hunter22 ab", "x".repeat(5000));
        let told = tell("answered 403", body.as_bytes(), &secrets);
        assert!(told.starts_with("answered 403: bad token … of xxx") && !told.contains("hunter"), "{told}");
        assert!(told.chars().count() < 250 && !told.contains('\n'), "{told}");
        let cut = format!("{}hunter22", "y".repeat(195));
        assert!(!tell("answered 403", cut.as_bytes(), &secrets).contains("hunt"), "nor a part of one");
        assert_eq!(tell("answered 403", b" \xff ", &secrets), "answered 403: \u{fffd}");
        assert_eq!(tell("answered 403", b"\r\n", &secrets), "answered 403");
    }
}
