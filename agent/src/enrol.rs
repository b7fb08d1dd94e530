//! `wan-agent enroll`: from one pasted line to an agent that runs.
//!
//! ```text
//!  already enrolled? ─► secret made, kept in DATA/enrolment ─► POST {token, SHA-256} to the first URL that answers
//!                                                                   │ refused: said in both languages
//!  DATA/secret, configuration in place ◄── written beside, synced ◄─┘ accepted
//!        └─► service enabled and started ─► what a person wants to know
//! ```
//!
//! The secret is on the disk before its hash is sent. So whatever goes wrong afterwards, the same line pasted again finds the
//! same secret and is answered as before: a token is never used up for nothing. Files appear under their names only when all
//! of them are complete; what stood there before (`--force`) is kept beside them.
//!
//! No clock is asked for anything but the certificate's validity, and there one that is wrong does not matter: until a
//! collector has confirmed the time, a certificate only has to be good at some time since this program was built.

mod place;
mod start;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use wan_settings::probes::{bare_host, parse_url};
use wan_wire::api::{ApiRefusal, ENROL_PATH, EnrolAnswer, EnrolRequest, PathUrl};
use wan_wire::secret::{SECRET_PREFIX, TOKEN_PREFIX, is};

use crate::clock;
use crate::config::{DEFAULT_DATA, DEFAULT_PATH, Endpoint, Pin, WRITE_PATH};
use crate::push::client::{Answer, NoAnswer, post_json};
use crate::push::trust::{Times, TlsTimes, Trust};

pub use words::{Language, Said};

/// How long one URL may take to answer: a satellite line and a busy collector included.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A collector that asks for patience is asked again so often …
const PATIENCE: u32 = 3;
/// … and waited for at most this long each time.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Exit codes of `wan-agent enroll`.
pub mod exit {
    /// Enrolled.
    pub const DONE: u8 = 0;
    /// The collector refused.
    pub const REFUSED: u8 = 1;
    /// The line is wrong, this machine is enrolled already, or its files cannot be written.
    pub const USAGE: u8 = 2;
    /// No collector answered.
    pub const UNREACHABLE: u8 = 3;
    /// Enrolled, but the service could not be started.
    pub const NOT_STARTED: u8 = 4;
}

/// The arguments, as `wan-collector enroll` prints them.
#[derive(Debug, Clone, Args)]
pub struct Line {
    /// The collector's addresses, preferred first; =PATH names the link by which one is reached (default wan)
    #[arg(required = true, value_name = "URL[=PATH]")]
    pub urls: Vec<String>,
    /// The one-time token
    #[arg(long, value_name = "TOKEN")]
    pub token: String,
    /// A key of the collector to trust; again for each further one. Without any, the system's authorities decide
    #[arg(long = "pin", value_name = "sha256:…")]
    pub pins: Vec<String>,
    /// Where to write the configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// The folder of the secret and of what else outlives the agent
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
    /// Also on a machine that is enrolled already; its files are kept beside the new ones
    // Once more does not matter: the line of a site that was enrolled before ends in it.
    #[arg(long, overrides_with = "force")]
    pub force: bool,
    /// Leave the service as it is
    #[arg(long)]
    pub no_start: bool,
    /// Send the token over unencrypted http:// to another machine; whoever listens on the way can then speak for the site
    #[arg(long)]
    pub insecure_http: bool,
}

/// How it ended, for the shell and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// What to say: on standard output when it is done, else on standard error.
    pub said: Said,
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// The line is wrong.
    Line(Said),
    /// Files.
    Place(Said),
    /// The collector's refusal.
    Refused(ApiRefusal),
    /// What became of each URL.
    Unreachable(Vec<Tried>),
}

/// A URL that brought no enrolment, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tried {
    url: String,
    why: String,
    /// Somebody answers there who is not the collector that is meant.
    is_stranger: bool,
}

impl Failure {
    fn ended(self) -> Ended {
        match self {
            Failure::Line(said) | Failure::Place(said) => Ended { code: exit::USAGE, said },
            Failure::Refused(refusal) => Ended { code: exit::REFUSED, said: words::refused(&refusal) },
            Failure::Unreachable(tried) => {
                Ended { code: exit::UNREACHABLE, said: words::unreachable(&tried, clock::wall()) }
            }
        }
    }
}

/// Does what the line says.
pub async fn run(line: Line) -> Ended {
    crate::install_crypto();
    match enrol(&line).await {
        Ok(ended) => ended,
        Err(failure) => failure.ended(),
    }
}

async fn enrol(line: &Line) -> Result<Ended, Failure> {
    let Checked { urls, pins } = check(line).map_err(Failure::Line)?;
    let token = line.token.trim();
    let place = place::Place::open(&line.config, &line.data).map_err(Failure::Place)?;
    let secret = place.begin(token, line.force).map_err(Failure::Place)?;
    let request = EnrolRequest { token: token.to_owned(), secret_sha256: secret.sha256() };
    let answer = match exchange(&urls, &pins, &request).await {
        Ok(answer) => answer,
        Err(failure) => {
            if let Failure::Refused(refusal) = &failure
                && ends_the_token(refusal)
            {
                place.forget();
            }
            return Err(failure);
        }
    };
    let known = Known::of(&answer, urls, &pins, line.insecure_http);
    // An agent that runs would send what it has measured as the former site under the secret of the new one.
    let stopped = place.is_of_another(&known.site) && !line.no_start && start::stop(&line.config, &line.data);
    let kept = place.finish(&secret, &known).map_err(|said| {
        if stopped {
            // As it was before: nothing has changed.
            start::service(&line.config, &line.data);
        }
        Failure::Place(said)
    })?;
    let started =
        if line.no_start { start::Started::NotAsked } else { start::service(&line.config, &line.data) };
    let code = if started.failed() { exit::NOT_STARTED } else { exit::DONE };
    Ok(Ended { code, said: words::done(&known, &place, &kept, &started) })
}

/// Whether the token can never be good again, with any secret. Everything else a collector may say while the token has been
/// used by this very request, the answer to which was lost: another secret would be refused then.
fn ends_the_token(refusal: &ApiRefusal) -> bool {
    matches!(refusal.reason.as_str(), "used" | "expired" | "revoked" | "closed")
}

/// What is written into the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    site: String,
    name: String,
    urls: Vec<PathUrl>,
    pins: Vec<String>,
}

impl Known {
    /// The line's own addresses and keys first, since they have just worked; then what else the collector named.
    fn of(answer: &EnrolAnswer, urls: Vec<PathUrl>, pins: &[String], insecure_http: bool) -> Known {
        let mut known = Known {
            site: answer.site.to_string(),
            name: words::plain(&answer.name),
            urls,
            pins: pins.to_vec(),
        };
        for url in &answer.urls {
            let tagged = PathUrl::tagged(&format!("{}={}", url.url, url.path));
            let good = check_url(&tagged.url, insecure_http).is_ok() && tagged.path == url.path;
            if good && known.urls.iter().all(|have| have.url != tagged.url) {
                known.urls.push(tagged);
            }
        }
        for pin in &answer.pins {
            // A collector that is recognised by an authority stays so: its keys may change without notice.
            if !pins.is_empty() && pin.parse::<Pin>().is_ok() && !known.pins.contains(pin) {
                known.pins.push(pin.clone());
            }
        }
        known
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Checked {
    urls: Vec<PathUrl>,
    pins: Vec<String>,
}

/// The line's words, before anything is done.
fn check(line: &Line) -> Result<Checked, Said> {
    let token = line.token.trim();
    if !is(TOKEN_PREFIX, token) {
        return Err(words::no_token(is(SECRET_PREFIX, token)));
    }
    let mut urls: Vec<PathUrl> = Vec::new();
    for text in &line.urls {
        let found = PathUrl::tagged(text);
        check_url(&found.url, line.insecure_http)?;
        if urls.iter().all(|have| have.url != found.url) {
            urls.push(found);
        }
    }
    for pin in &line.pins {
        if pin.parse::<Pin>().is_err() {
            return Err(words::no_pin(pin));
        }
    }
    Ok(Checked { urls, pins: line.pins.clone() })
}

fn check_url(url: &str, insecure_http: bool) -> Result<(), Said> {
    let Some(parsed) = parse_url(url) else { return Err(words::no_url(url)) };
    let host = bare_host(&parsed);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if parsed.scheme() == "https" || loopback || insecure_http { Ok(()) } else { Err(words::plain_http(url)) }
}

/// Asks one URL after the other; the first that answers decides.
async fn exchange(urls: &[PathUrl], pins: &[String], request: &EnrolRequest) -> Result<EnrolAnswer, Failure> {
    let trust = Trust { pins: pins.iter().filter_map(|pin| pin.parse().ok()).collect(), ca_file: None };
    let times: Times = Arc::new(|| {
        // No collector has confirmed this clock: what is certain is that this program had been built.
        let built = clock::built();
        TlsTimes { now: clock::wall().max(built), floor: Some(built), host: None }
    });
    let json = serde_json::to_vec(request).unwrap_or_default();
    let mut tried = Vec::new();
    for url in urls {
        let endpoint = endpoint(url);
        for patience in (0..PATIENCE).rev() {
            match post_json(&endpoint, &trust, &times, TIMEOUT, json.clone()).await.map(judge) {
                Ok(Judged::Accepted(answer)) => return Ok(answer),
                Ok(Judged::Refused(refusal)) => return Err(Failure::Refused(refusal)),
                Ok(Judged::Wait(wait, _)) if patience > 0 => {
                    tracing::warn!(seconds = wait.as_secs(), "the collector asks for patience; waiting");
                    tokio::time::sleep(wait).await;
                }
                Ok(Judged::Wait(_, refusal)) => return Err(Failure::Refused(refusal)),
                Ok(Judged::Other(why)) | Err(NoAnswer::Failed(why)) => {
                    tried.push(Tried { url: url.url.clone(), why, is_stranger: false });
                    break;
                }
                Err(NoAnswer::Stranger(why)) => {
                    tried.push(Tried { url: url.url.clone(), why: words::stranger(&why), is_stranger: true });
                    break;
                }
            }
        }
    }
    Err(Failure::Unreachable(tried))
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Accepted(EnrolAnswer),
    Refused(ApiRefusal),
    /// How long to wait, and what it said.
    Wait(Duration, ApiRefusal),
    /// Not a collector, or none that can answer now: why.
    Other(String),
}

fn judge(answer: Answer) -> Judged {
    let status = answer.status;
    if status == 200 {
        return match serde_json::from_slice(&answer.body) {
            Ok(answer) => Judged::Accepted(answer),
            Err(_) => Judged::Other("what answers there is no Wanwatch collector".to_owned()),
        };
    }
    match (status, serde_json::from_slice::<ApiRefusal>(&answer.body)) {
        (429, Ok(refusal)) => {
            let wait = answer.retry_after.unwrap_or(Duration::from_secs(5));
            Judged::Wait(wait.min(LONGEST_WAIT), refusal)
        }
        // Its own trouble, which another of its addresses may not have.
        (500..=599, Ok(refusal)) => Judged::Other(words::plain(&refusal.en)),
        (_, Ok(refusal)) => Judged::Refused(refusal),
        (404, Err(_)) => {
            Judged::Other("no enrolment there (404): is this the collector's address?".to_owned())
        }
        (300..=399, Err(_)) => {
            Judged::Other(format!("it answers with a redirect ({status}): is this the collector's address?"))
        }
        (_, Err(_)) => Judged::Other(format!("it answers with status {status}")),
    }
}

fn endpoint(url: &PathUrl) -> Endpoint {
    Endpoint {
        url: format!("{}{ENROL_PATH}", url.url),
        host: parse_url(&url.url).map(|parsed| bare_host(&parsed)).unwrap_or_default(),
        path: wan_wire::LinkKind::Wan.into(),
        interface: None,
        source: None,
    }
}

/// The URL as the configuration takes it: one with a path of its own, as behind a proxy, is the write endpoint's in full.
fn configured(url: &str) -> String {
    match parse_url(url) {
        Some(parsed) if !matches!(parsed.path(), "" | "/") => format!("{url}{WRITE_PATH}"),
        Some(_) | None => url.to_owned(),
    }
}

/// What to say to one who runs an agent that was never enrolled; `None` when there is a configuration.
#[must_use]
pub fn not_enrolled(config: &Path) -> Option<Said> {
    (!config.exists()).then(|| words::not_enrolled(config))
}

#[cfg(test)]
mod tests;
