//! `POST /api/v1/write`: Prometheus remote write 2.0 and 1.0.
//!
//! The order of checks is the order of their cost, and of what an unknown sender may learn: credential, content type,
//! announced length, room, body, decompression, decoding. Only then is the engine asked to make it durable, and only
//! after that is 2xx said. The site is the credential's (design.md, invariant 5): no byte of the body can change it.
//!
//! | answer | when | the sender's data |
//! | --- | --- | --- |
//! | 204 | everything is durable | may be deleted |
//! | 400 | malformed: nothing kept; or some samples refused by name: the rest is durable | sending it again is useless |
//! | 401 | no secret, or not a known one | keep; the credential is wrong |
//! | 405, 415 | not a POST; not a remote write that this collector reads | |
//! | 413 | compressed or decompressed over the limit | send smaller requests |
//! | 429 | too much is waiting, or many wrong secrets came from this address; `Retry-After` says how long to rest | keep |
//! | 503 | what is 429 to an agent, to a sender that is none (`ingest::foreign`); the journal cannot be written, or the collector is stopping, or its clock cannot be right ([`clock::guard`]) | keep |

pub(crate) mod foreign;
pub(crate) mod series;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use wan_wire::{Answer, Limits, Protocol, UnixMillis};

use crate::clock;
use crate::counters::Counters;
use crate::credential::{self, Sender};
use crate::engine::{CommitError, EngineHandle, Submission, SubmitError};
use crate::record::{self, By, Record};
use crate::server;
use crate::state::{SiteRuntime, State};

/// Where agents push to.
pub const PATH: &str = "/api/v1/write";

/// Bodies of requests in flight hold at most this much together, in KiB: 256 MiB. Past it: 429.
const IN_FLIGHT_KIB: usize = 256 << 10;
/// A body whose length was not announced is counted as this many KiB until it has been read.
const UNANNOUNCED_KIB: u32 = 64;
/// One site may have at most this many requests in flight: an agent has two (live and backlog).
const IN_FLIGHT_PER_SITE: u32 = 32;
/// And one that is no agent so many: Prometheus sends by up to 200 shards.
const IN_FLIGHT_PER_SENDER: u32 = 256;
/// A body must arrive within this, whatever its size: at 4 MiB a line of 1 Mbit/s needs 34 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// After how many seconds a sender that met a full queue should come back.
const RETRY_BUSY: u32 = 1;
/// After how many seconds a sender should come back to a collector that cannot write.
const RETRY_BROKEN: u32 = 10;

/// The write endpoint.
#[derive(Debug)]
pub struct Ingest {
    state: Arc<State>,
    engine: EngineHandle,
    limits: Limits,
    in_flight: Semaphore,
}

/// An answer other than "all accepted".
struct Refusal {
    status: StatusCode,
    reason: String,
    retry_after: Option<u32>,
}

impl Refusal {
    fn new(answer: Answer, reason: impl Into<String>) -> Self {
        Self::with_status(status(answer), reason)
    }

    fn retry(answer: Answer, reason: impl Into<String>, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(answer, reason) }
    }

    /// For what HTTP itself refuses, whatever the protocol spoken over it.
    fn with_status(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), retry_after: None }
    }

    fn response(self) -> Response {
        let mut response = text(self.status, self.reason);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl Ingest {
    /// The endpoint over `state`, handing accepted requests to `engine`.
    #[must_use]
    pub fn new(state: Arc<State>, engine: EngineHandle) -> Self {
        let limits = state.config.ingest.limits();
        Self { state, engine, limits, in_flight: Semaphore::new(IN_FLIGHT_KIB) }
    }

    /// Proxies that are believed when they say for whom they ask.
    #[must_use]
    pub fn proxies(&self) -> &[server::Network] {
        &self.state.config.proxies
    }

    /// The collector's counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.state.counters
    }

    /// What any request of an agent is answered while this host's clock cannot be right: nothing that tells the time.
    pub(crate) fn clock_is_wrong(&self) -> Option<Response> {
        let trouble = self.state.clock.trouble(clock::now())?;
        Some(Refusal::retry(Answer::Unavailable, trouble, clock::guard::RETRY).response())
    }

    /// What kind of sender a credential's owner is: a name that is a site's too has no good credential.
    fn by(&self, owner: &SiteRuntime) -> By {
        if self.state.config.sender(&owner.id).is_some() { By::Sender } else { By::Agent }
    }

    /// Counts an answer to a write request.
    pub(crate) fn count(&self, response: &Response) {
        self.state.counters.requests.with_label_values(&[response.status().as_str()]).inc();
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        let sender = credential::authenticate(&self.state, &head.headers);
        let mut response = match self.accept(&head, body, &sender).await {
            Ok(response) => response,
            Err(mut refusal) => {
                // Unless told otherwise Prometheus drops what is answered 429, and sends again what is answered 503.
                let is_foreign = sender.as_ref().is_ok_and(|sender| self.by(&sender.site) == By::Sender);
                if is_foreign && refusal.status == StatusCode::TOO_MANY_REQUESTS {
                    refusal.status = StatusCode::SERVICE_UNAVAILABLE;
                }
                refusal.response()
            }
        };
        if let Ok(sender) = sender {
            sender.tell(&mut response, clock::now());
        }
        self.count(&response);
        response
    }

    async fn accept(
        &self,
        head: &Parts,
        mut body: Incoming,
        sender: &Result<Sender, &'static str>,
    ) -> Result<Response, Refusal> {
        if sender.is_err() {
            credential::wrong(&self.state, &head.extensions).map_err(|wait| {
                let reason = "too many requests with a wrong secret came from this address";
                Refusal::retry(Answer::Busy, reason, u32::try_from(wait.seconds()).unwrap_or(RETRY_BROKEN))
            })?;
        }
        let received = clock::now();
        let (site, protocol, _turn, _room, record) = match self.admit(head, &mut body, sender, received).await
        {
            Ok(admitted) => admitted,
            Err(refusal) => {
                server::drain(body).await;
                return Err(refusal);
            }
        };
        let started = clock::monotonic();
        let response = self.commit(site, protocol, received, record).await;
        let seconds = clock::monotonic().duration_since(started).as_secs_f64();
        self.state.counters.request_seconds.observe(seconds);
        response
    }

    /// Whether the request may come in, and if so its journal record.
    async fn admit(
        &self,
        head: &Parts,
        body: &mut Incoming,
        sender: &Result<Sender, &'static str>,
        received: UnixMillis,
    ) -> Result<Admitted<'_>, Refusal> {
        if head.method != Method::POST {
            return Err(Refusal::with_status(
                StatusCode::METHOD_NOT_ALLOWED,
                "remote write is a POST; this address serves nothing else",
            ));
        }
        let sender = sender.as_ref().map_err(|reason| Refusal::new(Answer::Unauthorized, *reason))?;
        let site = Arc::clone(&sender.site);
        let most = match self.by(&site) {
            By::Agent => IN_FLIGHT_PER_SITE,
            By::Sender => IN_FLIGHT_PER_SENDER,
        };
        let turn = Turn::take(Arc::clone(&site), most)?;
        let header = |name| text_header(&head.headers, &name);
        let protocol = wan_wire::negotiate(header(CONTENT_TYPE), header(CONTENT_ENCODING))
            .map_err(|unsupported| Refusal::new(Answer::from(&unsupported), unsupported.to_string()))?;
        let announced = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let (room, record) = self.read(body, announced, &site, protocol, received).await?;
        Ok((site, protocol, turn, room, record))
    }

    /// Reads the body straight into its journal record.
    async fn read(
        &self,
        body: &mut Incoming,
        announced: Option<usize>,
        site: &SiteRuntime,
        protocol: Protocol,
        received: UnixMillis,
    ) -> Result<(SemaphorePermit<'_>, Vec<u8>), Refusal> {
        let limit = self.limits.compressed;
        let too_large = || {
            Refusal::new(
                Answer::TooLarge,
                format!(
                    "the body is larger than the limit of {limit} bytes; send fewer samples in a request"
                ),
            )
        };
        if announced.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let busy = || {
            let reason = "too many requests are in flight";
            Refusal::retry(Answer::Busy, reason, RETRY_BUSY)
        };
        let kib =
            announced.and_then(|length| u32::try_from(length / 1024 + 1).ok()).unwrap_or(UNANNOUNCED_KIB);
        let mut room = self.in_flight.try_acquire_many(kib).map_err(|_| busy())?;

        let mut record = record::start(self.by(site), &site.id, received, protocol, announced.unwrap_or(0));
        let head = record.len();
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| {
                    Refusal::new(Answer::Malformed, format!("the body broke off: {error}"))
                })?;
                let Some(data) = frame.data_ref() else { continue };
                let length = record.len() - head + data.len();
                if length > limit {
                    return Err(too_large());
                }
                while length / 1024 >= room.num_permits() {
                    room.merge(self.in_flight.try_acquire_many(UNANNOUNCED_KIB).map_err(|_| busy())?);
                }
                record.extend_from_slice(data);
            }
            Ok(())
        };
        // A small body has come with its head, and needs neither timer nor another wake-up.
        tokio::time::timeout(BODY_TIMEOUT, read).await.map_err(|_| {
            let reason = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            Refusal::with_status(StatusCode::REQUEST_TIMEOUT, reason)
        })??;
        Ok((room, record))
    }

    /// Decodes, has it made durable, and says how it went.
    async fn commit(
        &self,
        site: Arc<SiteRuntime>,
        protocol: Protocol,
        received: UnixMillis,
        record: Vec<u8>,
    ) -> Result<Response, Refusal> {
        let by = self.by(&site);
        let body = record.get(record::body_offset(&site.id)..).unwrap_or_default();
        let bytes = body.len();
        let request = Record { by, site: site.id.clone(), received, protocol, body };
        let mut decoded = {
            let directory = self.state.directory();
            series::decode(&self.state.config, &directory, &site, &request, &self.limits)
                .map_err(|error| Refusal::new(error.answer(), error.to_string()))?
        };
        let (reply, answer) = oneshot::channel();
        let submission = Submission {
            site,
            received,
            record,
            paintings: std::mem::take(&mut decoded.paintings),
            facts: decoded.facts.take(),
            lives: std::mem::take(&mut decoded.lives),
            reply,
        };
        let rounds = submission.paintings.len();
        let sender = (by == By::Sender).then(|| submission.site.id.clone());
        self.engine.submit(submission).map_err(|error| match error {
            SubmitError::Busy => Refusal::retry(Answer::Busy, error.to_string(), RETRY_BUSY),
            SubmitError::Stopped => Refusal::retry(Answer::Unavailable, error.to_string(), RETRY_BUSY),
        })?;
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(error @ (CommitError::JournalFull | CommitError::JournalFailed))) => {
                return Err(Refusal::retry(Answer::Unavailable, error.to_string(), RETRY_BROKEN));
            }
            Err(_stopped) => {
                let reason = SubmitError::Stopped.to_string();
                return Err(Refusal::retry(Answer::Unavailable, reason, RETRY_BUSY));
            }
        }
        let counters = &self.state.counters;
        counters.samples.inc_by(decoded.written.samples);
        counters.histograms.inc_by(decoded.written.histograms);
        counters.exemplars.inc_by(decoded.written.exemplars);
        counters.refused_samples.inc_by(decoded.refused.samples());
        counters.rounds.inc_by(rounds as u64);
        counters.incomplete_rounds.inc_by(decoded.incomplete_rounds);
        if let Some(sender) = sender {
            let used = decoded.written.samples - decoded.ignored;
            let results =
                [("taken", used), ("ignored", decoded.ignored), ("refused", decoded.refused.samples())];
            for (result, samples) in results {
                counters.sender_samples.with_label_values(&[sender.as_str(), result]).inc_by(samples);
            }
        }
        counters.bytes.inc_by(bytes as u64);

        let mut response = match decoded.refused.reason() {
            None => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status(Answer::Accepted);
                response
            }
            Some(reason) => text(status(Answer::PartlyRefused), reason),
        };
        if protocol == Protocol::V2 {
            for (name, value) in decoded.written.headers() {
                response.headers_mut().insert(name, HeaderValue::from(value));
            }
        }
        Ok(response)
    }
}

/// A request that may come in: who sent it, in which protocol, its place among the site's and among all requests in flight,
/// and its journal record.
type Admitted<'i> = (Arc<SiteRuntime>, Protocol, Turn, SemaphorePermit<'i>, Vec<u8>);

/// One of the requests that a site may have in flight.
struct Turn(Arc<SiteRuntime>);

impl Turn {
    fn take(site: Arc<SiteRuntime>, most: u32) -> Result<Self, Refusal> {
        let turn = Self(site);
        if turn.0.in_flight.fetch_add(1, Ordering::Relaxed) >= most {
            let reason = format!("{} has {most} requests in flight already", turn.0.id);
            return Err(Refusal::retry(Answer::Busy, reason, RETRY_BUSY));
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn text_header<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    // A header that is not ASCII is no content type and no encoding that exists: it must not pass as absent.
    headers.get(name).map(|value| value.to_str().unwrap_or("(not ASCII)"))
}

fn text(status: StatusCode, reason: String) -> Response {
    let mut response = Response::new(Body::from(reason + "\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// The table of answers is the wire contract's; every code in it is a valid status.
fn status(answer: Answer) -> StatusCode {
    StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
