//! One batch until it is settled: every sample of it confirmed by the store, or refused for good.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::HeaderValue;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use parking_lot::Mutex;
use reqwest::{Client, redirect};
use tokio_util::sync::CancellationToken;
use wan_journal::Seq;
use wan_wire::protocol::{CONTENT_ENCODING as SNAPPY, VERSION_HEADER};
use wan_wire::{Protocol, UnixMillis, Written};

use super::answer::{Action, Reason, action};
use super::batch::Batch;
use super::coverage::Stream;
use super::pace::{Backoff, Standing};
use super::split::Split;
use crate::alert::text::one_line;
use crate::clock;
use crate::config::alerts::Login;
use crate::config::forward::RemoteStore;
use crate::counters::Counters;
use crate::engine::EngineHandle;
use crate::outgoing::{causes, client_tls, read, read_secret, wait};

/// So much of an answer's text is read: reasons stand at its beginning.
const ANSWER_BYTES: usize = 4 << 10;
/// A login is read anew after this, and after every failure.
const LOGIN_KEPT: Duration = Duration::from_secs(10);
/// What is refused is logged this often for each reason.
const TELL_AGAIN: i64 = 60_000;
/// A request that failed so often in a row while the store took at least as many others is at fault itself.
const POISONED: u32 = 10;
/// And a part of one that is, when it failed so often while the store took another.
const POISONED_PART: u32 = 3;
/// A connection that is not there after this does not come: the first packet has been sent twice then. Without it a host that is switched off would be
/// asked once in `timeout`, and its return seen as late.
const CONNECT: Duration = Duration::from_secs(3);

/// While a store is away the live stream asks it again so long after the last time, at most, and still waits for what it asked before: one that takes
/// requests and answers none is seen to be back by the next, and one that is slow has all of its `timeout`.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// What all shards of a store share.
pub(super) struct Sender {
    store: Arc<RemoteStore>,
    counters: Arc<Counters>,
    engine: EngineHandle,
    client: OnceLock<Client>,
    /// Whether 1.0 is spoken.
    is_v1: AtomicBool,
    standing: Mutex<Standing>,
    /// Requests that the store took.
    taken: AtomicU64,
    /// Whether the store was last heard to take nothing.
    is_away: AtomicBool,
    /// Where the journal ended when the last of the requests that failed began.
    away: Mutex<Option<Seq>>,
    /// When a refusal for each reason was last told.
    told: Mutex<[i64; Reason::ALL.len()]>,
    login: Mutex<Option<(Instant, HeaderValue)>>,
}

/// An answer, as far as it matters.
struct Heard {
    status: u16,
    written: Option<Written>,
    retry_after: Option<Duration>,
    text: String,
}

/// What decides how long to wait after a request that failed.
enum Pause {
    /// It was answered, perhaps with a wish.
    Asked(Option<Duration>),
    /// There was no answer for so long.
    Silence(Duration),
}

/// The sender has been told to stop; what is not settled is sent again after the next start.
pub(super) struct Stopped;

impl Sender {
    pub(super) fn new(store: Arc<RemoteStore>, counters: Arc<Counters>, engine: EngineHandle) -> Self {
        let is_v1 = AtomicBool::new(store.protocol == Some(Protocol::V1));
        Self {
            store,
            counters,
            engine,
            client: OnceLock::new(),
            is_v1,
            standing: Mutex::default(),
            taken: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            away: Mutex::default(),
            told: Mutex::new([i64::MIN; Reason::ALL.len()]),
            login: Mutex::default(),
        }
    }

    /// Where the journal ended when the last of the requests that failed began: since it is back, none did.
    pub(super) fn away(&self) -> Option<Seq> {
        *self.away.lock()
    }

    /// Sends a batch until all of it is settled.
    pub(super) async fn settle(
        &self,
        stream: Stream,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Result<(), Stopped> {
        let budget = self.standing.lock().budget();
        let mut split = Split::new(batch.len(), budget);
        let mut backoff = Backoff::new(stream);
        let mut others = self.taken.load(Ordering::Relaxed);
        let (mut failures, mut besides) = (POISONED, u64::from(POISONED));
        let mut body: Option<(std::ops::Range<usize>, Protocol, Bytes)> = None;
        while let Some(piece) = split.piece() {
            let protocol = self.protocol();
            let bytes = match body.take() {
                Some((range, of, bytes)) if range == piece && of == protocol => bytes,
                Some(_) | None => match batch.body(piece.clone(), protocol) {
                    Ok(bytes) => Bytes::from(bytes),
                    Err(_) => {
                        let lost = split.too_large();
                        self.refuse(Reason::TooLarge, lost, "too long for a snappy block");
                        continue;
                    }
                },
            };
            let (began, end) = (clock::monotonic(), self.engine.applied());
            let heard = tokio::select! {
                () = stop.cancelled() => return Err(Stopped),
                heard = self.ask(stream, &bytes, protocol) => heard,
            };
            let samples = piece.len() as u64;
            let choice = self.store.protocol.is_none();
            let (action, pause, text) = match heard {
                Ok(heard) => {
                    let Heard { status, written, retry_after, text } = heard;
                    let action = action(status, written, &text, protocol, samples, choice);
                    (action, Pause::Asked(retry_after), format!("answered {status}: {text}"))
                }
                Err(why) => {
                    // What comes back may be another version.
                    self.is_v1.store(self.store.protocol == Some(Protocol::V1), Ordering::Relaxed);
                    (Action::Later, Pause::Silence(clock::monotonic().duration_since(began)), why)
                }
            };
            match action {
                Action::Taken => {
                    self.took(samples);
                    split.taken();
                }
                Action::TakenInPart(written, reason) => {
                    self.took(written);
                    self.refuse(reason, piece.len() - usize::try_from(written).unwrap_or(piece.len()), &text);
                    split.taken();
                }
                Action::Downgrade => {
                    self.is_v1.store(true, Ordering::Relaxed);
                    tracing::info!(store = %self.store.name, "the store does not speak remote write 2.0: it gets 1.0");
                }
                Action::Refused(reason) => {
                    let lost = split.refused();
                    self.refuse(reason, lost, &text);
                }
                Action::TooLarge => {
                    let lost = split.too_large();
                    self.refuse(Reason::TooLarge, lost, &text);
                }
                Action::Later => {
                    let pause = match pause {
                        Pause::Asked(asked) => backoff.after(asked, rand::random()),
                        Pause::Silence(spent) => backoff.after_silence(spent, rand::random()),
                    };
                    self.failed(&text, backoff.failures());
                    let taken = self.taken.load(Ordering::Relaxed);
                    {
                        let mut away = self.away.lock();
                        *away = (*away).max(Some(end));
                    }
                    if backoff.failures() >= failures && taken - others >= besides {
                        let lost = split.refused();
                        self.refuse(Reason::Failed, lost, &text);
                        (failures, besides) = (POISONED_PART, 1);
                        backoff.reset();
                        others = taken;
                        continue;
                    }
                    body = Some((piece, protocol, bytes));
                    tokio::select! {
                        () = stop.cancelled() => return Err(Stopped),
                        () = tokio::time::sleep(pause) => {}
                    }
                    continue;
                }
            }
            backoff.reset();
            others = self.taken.load(Ordering::Relaxed);
        }
        if split.accepted() == 0 && batch.len() > 0 {
            let pause = self.standing.lock().refused_whole();
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    fn protocol(&self) -> Protocol {
        if self.is_v1.load(Ordering::Relaxed) { Protocol::V1 } else { Protocol::V2 }
    }

    /// Counts what the store has confirmed.
    #[allow(clippy::cast_precision_loss, reason = "milliseconds up to the year 9999")]
    fn took(&self, samples: u64) {
        let name = self.store.name.as_str();
        self.counters.forward.samples.with_label_values(&[name]).inc_by(samples);
        let now = clock::now();
        self.counters.forward.success.with_label_values(&[name]).set(now.0 as f64 / 1000.0);
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.standing.lock().took();
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!(store = name, "the store takes samples again");
        }
    }

    /// Counts and tells what the store refused for good.
    fn refuse(&self, reason: Reason, samples: usize, text: &str) {
        if samples == 0 {
            return;
        }
        let name = self.store.name.as_str();
        self.counters.forward.refused(name, reason).inc_by(samples as u64);
        let now = clock::now().0;
        let mut told = self.told.lock();
        if let Some(last) = told.get_mut(reason as usize)
            && now.saturating_sub(*last) >= TELL_AGAIN
        {
            *last = now;
            let (reason, answer) = (reason.as_str(), one_line(text));
            tracing::warn!(
                store = name,
                samples,
                reason,
                answer,
                "the store refuses samples for good; they are counted"
            );
        }
    }

    /// Counts a failure; one that comes again is told, once until something goes through.
    fn failed(&self, why: &str, times: u32) {
        let name = self.store.name.as_str();
        self.counters.forward.retries.with_label_values(&[name]).inc();
        *self.login.lock() = None;
        if times > 1 && !self.is_away.swap(true, Ordering::Relaxed) {
            let why = one_line(why);
            tracing::warn!(store = name, why, "the store does not take samples; they wait in the journal");
        }
    }

    /// Sends a request, and gives the answer, or why there is none. Of a store that is away the live stream asks more than once at a time; the first
    /// answer holds, and so does the first failure, since what was asked first has waited for the longest. What a store takes twice is once in it.
    async fn ask(&self, stream: Stream, body: &Bytes, protocol: Protocol) -> Result<Heard, String> {
        let (mut asked, again) = (FuturesUnordered::new(), ASK_AGAIN.min(self.store.timeout / 3));
        loop {
            asked.push(self.post(body.clone(), protocol));
            tokio::select! {
                Some(heard) = asked.next() => return heard,
                () = tokio::time::sleep(again), if stream == Stream::Live && self.is_away.load(Ordering::Relaxed) => {}
            }
        }
    }

    /// Sends one request, and gives the answer, or why there is none.
    async fn post(&self, body: Bytes, protocol: Protocol) -> Result<Heard, String> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = make(&self.store)?;
                self.client.get_or_init(|| made)
            }
        };
        let mut request = client
            .post(&self.store.url)
            .header(CONTENT_TYPE, protocol.content_type())
            .header(CONTENT_ENCODING, SNAPPY)
            .header(VERSION_HEADER, protocol.version())
            .body(body);
        if let Some(login) = &self.store.login {
            request = request.header(AUTHORIZATION, self.authorization(login)?);
        }
        let mut answer = request.send().await.map_err(|error| causes(&error.without_url()))?;
        let now = clock::now();
        let status = answer.status().as_u16();
        let (written, retry_after) = headers(answer.headers(), now);
        let (text, _) = read(&mut answer, ANSWER_BYTES).await;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok(Heard { status, written, retry_after, text })
    }

    /// The value of the header `Authorization`, with the secret as it is now.
    fn authorization(&self, login: &Login) -> Result<HeaderValue, String> {
        let now = clock::monotonic();
        let mut kept = self.login.lock();
        if let Some((at, value)) = &*kept
            && now.duration_since(*at) < LOGIN_KEPT
        {
            return Ok(value.clone());
        }
        let text = match login {
            Login::Basic(user, password) => {
                use base64::Engine as _;
                let pair = format!("{user}:{}", read_secret(password)?);
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
            Login::Bearer(token) => format!("Bearer {}", read_secret(token)?),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| "the secret has characters that no header may have".to_owned())?;
        value.set_sensitive(true);
        *kept = Some((now, value.clone()));
        Ok(value)
    }
}

/// What an answer's headers say of what was written, and of when to come back.
fn headers(headers: &HeaderMap, now: UnixMillis) -> (Option<Written>, Option<Duration>) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = text(RETRY_AFTER.as_str()).and_then(|text| wait(text, now));
    (Written::from_headers(text), retry_after)
}

fn make(store: &RemoteStore) -> Result<Client, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &store.headers {
        let (Ok(name), Ok(mut value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value.0)) else {
            continue;
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Client::builder()
        .tls_backend_preconfigured(client_tls(store.ca_file.as_deref())?)
        .redirect(redirect::Policy::none())
        .timeout(store.timeout)
        .connect_timeout(CONNECT)
        .default_headers(headers)
        .user_agent(concat!("wan-collector/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("cannot make an HTTP client: {error}"))
}
