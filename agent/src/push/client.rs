//! HTTP around the push policy: requests to the collector's URLs. No redirects, no proxy, bounded answers, one limit for each
//! whole exchange.
//!
//! Each URL has a client of its own, bound to that URL's interface and source address, with two connections that are kept: that
//! of the live pushes, and that of the backlog beside them. Who answers there is checked by [`super::trust`] before anything is
//! sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, ETAG, HeaderMap, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use tokio::sync::Notify;
use wan_wire::api::{
    CONFIG_HEADER, CONFIG_PATH, ConfigReport, ROTATE_HEADER, SECRET_PATH, SecretOffer, TIME_HEADER,
};
use wan_wire::{Protocol, UnixMillis, Written, protocol};

use super::trust::{self, Stranger, Times, TlsTimes, Trust};
use super::{Answered, retry_after};
use crate::central;
use crate::clock::{self, Exchange};
use crate::config::{Collector, Endpoint, WRITE_PATH, show_duration};
use crate::probe::innermost;

/// Bytes of an answer's body that are read: enough for the reason of a refusal.
const ANSWER_LIMIT: usize = 4 * 1024;
/// Characters of it that reach the log.
const SHOWN_LIMIT: usize = 400;
/// Bytes of a central configuration that are read: one more than it may have, so that one that is too long is known to be, and
/// refused by its ETag instead of being fetched again with every push.
const CONFIG_LIMIT: usize = central::MOST_BYTES + 1;
/// The answer to an enrolment is at most this long.
const JSON_LIMIT: usize = 64 << 10;

/// An answer with its reason, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How it ended.
    pub answered: Answered,
    /// The peer's words, or the error's.
    pub why: String,
    /// The samples that a 2.0 receiver says it wrote.
    pub written: Option<u64>,
    /// What the answer says about the time.
    pub exchange: Option<Exchange>,
    /// The ETag of the site's central configuration, where the answer names one.
    pub config: Option<String>,
}

/// A central configuration as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its ETag, with its quotes.
    pub etag: String,
    /// The document; of one that is too long its first bytes, which are too many too.
    pub body: Vec<u8>,
}

/// An answer to [`post_json`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, at most 64 KiB of it.
    pub body: Vec<u8>,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// What the answer says about the time.
    pub exchange: Option<Exchange>,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Who answers there is not the collector that is meant.
    Stranger(Stranger),
    /// Anything else, for people.
    Failed(String),
}

/// That the collector has asked for a new secret ([`ROTATE_HEADER`]), and on which path.
#[derive(Debug, Default)]
pub struct Asked {
    path: AtomicUsize,
    wake: Notify,
}

impl Asked {
    /// Waits until it was asked since the last time; gives the path's place in the configuration.
    pub async fn wait(&self) -> usize {
        self.wake.notified().await;
        self.path.load(Ordering::Relaxed)
    }

    fn note(&self, path: usize) {
        self.path.store(path, Ordering::Relaxed);
        self.wake.notify_one();
    }
}

/// Requests to the collector's URLs, with the site's secret.
pub struct Pushing {
    asked: Arc<Asked>,
    collector: Collector,
    trust: Trust,
    times: Times,
    clients: Vec<Mutex<Option<Client>>>,
}

impl Pushing {
    /// For this collector. A URL's client is made at its first request. Certificates are judged by the host's clock.
    pub fn new(collector: Collector) -> Pushing {
        let by_the_host = || TlsTimes { now: clock::wall(), floor: None, host: None };
        Pushing::with_times(collector, Arc::new(by_the_host))
    }

    /// The same, with certificates judged at the times that `times` tells.
    pub fn with_times(collector: Collector, times: Times) -> Pushing {
        let trust = Trust { pins: collector.pins.clone(), ca_file: collector.ca_file.clone() };
        let clients = collector.urls.iter().map(|_| Mutex::new(None)).collect();
        Pushing { asked: Arc::default(), collector, trust, times, clients }
    }

    /// Where answers that ask for a new secret are noted.
    pub fn asked(&self) -> Arc<Asked> {
        Arc::clone(&self.asked)
    }

    /// Posts a compressed request to the URL at `path` in the configuration.
    pub async fn post(&self, path: usize, protocol: Protocol, secret: &str, body: Vec<u8>) -> Told {
        let sent = self.send(path, secret, ANSWER_LIMIT, |client, endpoint| {
            let request = client
                .post(&endpoint.url)
                .header(CONTENT_TYPE, protocol.content_type())
                .header(CONTENT_ENCODING, protocol::CONTENT_ENCODING)
                .header(protocol::VERSION_HEADER, protocol.version())
                .body(body);
            Ok(request)
        });
        sent.await.0
    }

    /// Asks for the site's central configuration, unless it still is the one of `etag`. Nothing is fetched then, and where the
    /// site has none (404). It teaches the time in any case.
    pub async fn config(&self, path: usize, secret: &str, etag: Option<&str>) -> (Told, Option<Fetched>) {
        let sent = self.send(path, secret, CONFIG_LIMIT, |client, endpoint| {
            let mut request = client.get(beside(&endpoint.url, CONFIG_PATH)?);
            if let Some(etag) = etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            Ok(request)
        });
        let (mut told, answer) = sent.await;
        let Some((200, headers, body)) = answer else { return (told, None) };
        let Some(etag) = text(&headers, ETAG.as_str()) else {
            "the answer has no ETag, so it is no central configuration".clone_into(&mut told.why);
            return (told, None);
        };
        let fetched = Fetched { etag: etag.to_owned(), body };
        (told, Some(fetched))
    }

    /// Says what became of a central configuration.
    pub async fn report(&self, path: usize, secret: &str, report: &ConfigReport) -> Told {
        let sent = self.send(path, secret, ANSWER_LIMIT, |client, endpoint| {
            let body = serde_json::to_vec(report).map_err(|error| error.to_string())?;
            let url = beside(&endpoint.url, CONFIG_PATH)?;
            Ok(client.post(url).header(CONTENT_TYPE, "application/json").body(body))
        });
        sent.await.0
    }

    /// Offers a new secret in place of `secret`.
    pub async fn offer(&self, path: usize, secret: &str, offer: &SecretOffer) -> Told {
        let sent = self.send(path, secret, ANSWER_LIMIT, |client, endpoint| {
            let body = serde_json::to_vec(offer).map_err(|error| error.to_string())?;
            let url = beside(&endpoint.url, SECRET_PATH)?;
            Ok(client.post(url).header(CONTENT_TYPE, "application/json").body(body))
        });
        sent.await.0
    }

    /// Sends one request with the secret and reads at most `limit` bytes of the answer's body.
    async fn send(
        &self,
        path: usize,
        secret: &str,
        limit: usize,
        request: impl FnOnce(&Client, &Endpoint) -> Result<RequestBuilder, String>,
    ) -> (Told, Option<(u16, HeaderMap, Vec<u8>)>) {
        let failed = |why: String| {
            (Told { answered: Answered::Failed, why, written: None, exchange: None, config: None }, None)
        };
        let Some(endpoint) = self.collector.urls.get(path) else { return failed("no such URL".into()) };
        let client = self.client(path, endpoint);
        let request = match client.and_then(|client| request(&client, endpoint)) {
            Ok(request) => request.header(AUTHORIZATION, format!("Bearer {secret}")),
            Err(why) => return failed(why),
        };
        match exchange(request, limit, self.collector.timeout, &endpoint.url).await {
            Ok(Got { status, headers, body, exchange }) => {
                let written = Written::from_headers(|name| text(&headers, name));
                let html = is_html(&headers);
                if headers.contains_key(ROTATE_HEADER) {
                    self.asked.note(path);
                }
                let answered = Answered::Status {
                    code: status,
                    html,
                    written: written.is_some(),
                    collector: exchange.is_some_and(|exchange| exchange.is_collectors()),
                    retry_after: retry_after(text(&headers, RETRY_AFTER.as_str())),
                };
                let told = Told {
                    answered,
                    why: why(status, &body),
                    written: written.map(|written| written.samples),
                    exchange,
                    config: text(&headers, CONFIG_HEADER).map(str::to_owned),
                };
                (told, Some((status, headers, body)))
            }
            Err(NoAnswer::Stranger(who)) => failed(who.why),
            Err(NoAnswer::Failed(why)) => failed(why),
        }
    }

    fn client(&self, path: usize, endpoint: &Endpoint) -> Result<Client, String> {
        let Some(client) = self.clients.get(path) else { return Err("no such URL".into()) };
        let mut client = client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let built = build(endpoint, &self.trust, &self.times)?;
        *client = Some(built.clone());
        Ok(built)
    }
}

/// Posts JSON to a URL without a secret, as an enrolment does; the connection is not kept. Nothing is sent to a peer that
/// `trust` does not know.
///
/// # Errors
/// Why there was no answer, for people.
pub async fn post_json(
    endpoint: &Endpoint,
    trust: &Trust,
    times: &Times,
    timeout: Duration,
    json: Vec<u8>,
) -> Result<Answer, NoAnswer> {
    let client = build(endpoint, trust, times).map_err(NoAnswer::Failed)?;
    let request = client.post(&endpoint.url).header(CONTENT_TYPE, "application/json").body(json);
    let Got { status, headers, body, exchange } =
        exchange(request, JSON_LIMIT, timeout, &endpoint.url).await?;
    let retry_after = retry_after(text(&headers, RETRY_AFTER.as_str()));
    Ok(Answer { status, body, retry_after, exchange })
}

/// The URL of another endpoint of the collector whose write endpoint is `url`, behind the same proxy's prefix if there is one.
fn beside(url: &str, path: &str) -> Result<Url, String> {
    let mut beside = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    let prefix = beside.path().strip_suffix(WRITE_PATH).unwrap_or_default();
    let path = format!("{prefix}{path}");
    beside.set_path(&path);
    Ok(beside)
}

fn build(endpoint: &Endpoint, trust: &Trust, times: &Times) -> Result<Client, String> {
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(2)
        .tcp_nodelay(true)
        .http1_only()
        .user_agent(concat!("wan-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(interface) = &endpoint.interface {
        builder = builder.interface(interface);
    }
    if let Some(source) = endpoint.source {
        builder = builder.local_address(source);
    }
    builder = if endpoint.url.starts_with("https:") {
        let config = trust::client_config(trust, authority(&endpoint.url), Arc::clone(times))?;
        builder.tls_backend_preconfigured(config)
    } else {
        // No authorities are needed, so none are loaded: they are a good part of the memory that the agent takes.
        builder.tls_certs_only([])
    };
    builder.build().map_err(|error| format!("no HTTP client: {}", innermost(&error)))
}

/// The host and port of a URL that was read from a configuration, for messages.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// What came back.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    exchange: Option<Exchange>,
}

/// One request and its answer within `limit`, by the end of the body.
async fn exchange(
    request: RequestBuilder,
    bytes: usize,
    limit: Duration,
    url: &str,
) -> Result<Got, NoAnswer> {
    let whole = async {
        let sent = clock::since_boot();
        let response = request.send().await?;
        let received = clock::since_boot();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let known = told_time(&headers, status, url.starts_with("https:"));
        let exchange = known.map(|(server, resolution)| Exchange { sent, received, server, resolution });
        let body = body(response, bytes).await?;
        Ok(Got { status, headers, body, exchange })
    };
    match tokio::time::timeout(limit, whole).await {
        Ok(Ok(got)) => Ok(got),
        Ok(Err(error)) => Err(explain(&error, url)),
        Err(_) => Err(NoAnswer::Failed(format!("no answer within {}", show_duration(limit)))),
    }
}

fn explain(error: &reqwest::Error, url: &str) -> NoAnswer {
    if let Some(stranger) = trust::stranger(error) {
        return NoAnswer::Stranger(stranger);
    }
    NoAnswer::Failed(trust::explain(error, authority(url)).unwrap_or_else(|| innermost(error)))
}

/// The peer's clock, and to how many milliseconds. `wan-time` is only said to an agent that the collector knows. Any server
/// says `Date`; it counts where the server is known by its certificate, or has taken what it was sent and is no web page, as
/// the portal of a hotel would show.
fn told_time(headers: &HeaderMap, status: u16, known: bool) -> Option<(UnixMillis, u32)> {
    if let Some(time) = text(headers, TIME_HEADER).and_then(|time| time.parse().ok()) {
        return Some((UnixMillis(time), 1));
    }
    let taken = (200..300).contains(&status) && !is_html(headers);
    let date = text(headers, DATE.as_str()).filter(|_| known || taken)?;
    let date = jiff::fmt::rfc2822::parse(date).ok()?;
    Some((UnixMillis(date.timestamp().as_millisecond()), 1000))
}

fn is_html(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE.as_str()).is_some_and(|kind| kind.trim_start().starts_with("text/html"))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// At most `limit` bytes of the body; what follows is not read.
async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let Some(chunk) = response.chunk().await? else { break };
        bytes.extend_from_slice(&chunk[..chunk.len().min(limit - bytes.len())]);
    }
    Ok(bytes)
}

/// The status, with the beginning of the body as one printable line.
fn why(status: u16, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(ANSWER_LIMIT)]);
    let line = text.trim().replace('\n', "; ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_LIMIT).collect();
    if line.is_empty() { format!("status {status}") } else { format!("status {status}: {line}") }
}

#[cfg(test)]
mod tests;
