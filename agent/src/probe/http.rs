//! HTTP(S): one GET on a fresh connection, so that every request measures the whole way: connecting, TLS, the first byte, the
//! body. Redirects are not followed: they are an answer with their own status.
//!
//! The name is looked up at the start of the round (as for every probe) and is not part of the time; the phases stand in the
//! note. Body and wait are bounded.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, Response, redirect};
use tower::{Layer, Service};
use wan_wire::UnixMillis;

use super::lookup::Lookup;
use super::socket::{Way, answer_of};
use super::{Answer, Boxed, IcmpPool, NotReady, Prober, Question};
use crate::certificate;
use crate::clock;
use crate::config::{BODY_LIMIT, HttpConfig};

pub(super) fn make(question: &Question, way: &Way, _: &Arc<IcmpPool>) -> Option<Arc<dyn Prober>> {
    let Question::Http(config) = question else { return None };
    Some(Arc::new(Http {
        lookup: Arc::new(Lookup::new(&config.peer.host)),
        config: (**config).clone(),
        way: way.clone(),
        client: Mutex::new(None),
        connected: Connected::default(),
    }))
}

struct Http {
    lookup: Arc<Lookup>,
    config: HttpConfig,
    way: Way,
    client: Mutex<Option<Client>>,
    connected: Connected,
}

impl Prober for Http {
    fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
        Box::pin(async {
            self.way.prove(self.lookup.family()).map_err(NotReady::Fault)?;
            self.client().map_err(NotReady::Fault)?;
            self.lookup.find().await.map(|_| ())
        })
    }

    fn attempt(&self) -> Boxed<'_, Answer> {
        Box::pin(async { self.ask().await.unwrap_or_else(|answer| answer) })
    }
}

impl Http {
    async fn ask(&self) -> Result<Answer, Answer> {
        let client = self.client().map_err(Answer::Fault)?;
        let asked = clock::monotonic();
        let response =
            client.get(&self.config.url).send().await.map_err(|error| answer_of_request(&error))?;
        let first_byte = clock::monotonic().duration_since(asked);
        let status = response.status().as_u16();
        let days = certificate_days(&response, clock::wall());
        let body = read_body(response).await?;
        let total = clock::monotonic().duration_since(asked);
        let phases = format!(
            "{status}, connected {}, first byte {}, total {}",
            show(self.connected.latest()),
            show(first_byte),
            show(total)
        );
        let note = match days {
            Some(days) => format!("{phases}, certificate {days} d"),
            None => phases,
        };
        Ok(match self.objection(status, &body, days) {
            Some(why) => Answer::Bad(why),
            None => Answer::Good(Some(note)),
        })
    }

    /// What is wrong with an answer.
    fn objection(&self, status: u16, body: &[u8], days: Option<i64>) -> Option<String> {
        if !self.config.status.iter().any(|(from, to)| (*from..=*to).contains(&status)) {
            return Some(format!("status {status}"));
        }
        if let Some(wanted) = &self.config.body_match
            && !contains(body, wanted.as_bytes())
        {
            return Some(format!("`{wanted}` is not in the first {} KiB of the body", BODY_LIMIT / 1024));
        }
        match (self.config.certificate_days, days) {
            (Some(least), Some(days)) if days < i64::from(least) => {
                Some(format!("its certificate ends in {days} d"))
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    /// The client, made when first used: TLS roots cost memory that an agent without HTTP targets should not spend.
    fn client(&self) -> Result<Client, String> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let built = self.build()?;
        *client = Some(built.clone());
        Ok(built)
    }

    fn build(&self) -> Result<Client, String> {
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .http1_only()
            .tls_info(true)
            .user_agent(concat!("wan-agent/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Found(Arc::clone(&self.lookup)))
            .connector_layer(self.connected.clone());
        if let Some(interface) = &self.way.interface {
            builder = builder.interface(interface);
        }
        if let Some(source) = self.way.source {
            builder = builder.local_address(source);
        }
        if !self.config.url.starts_with("https:") {
            // No roots are needed, so none are loaded.
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = &self.config.ca_file {
            builder = builder.tls_certs_only(read_certificates(path)?);
        }
        builder.build().map_err(|error| format!("no HTTP client: {}", innermost(&error)))
    }
}

/// The certificates of a PEM file.
fn read_certificates(path: &std::path::Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("ca_file {shown}: {error}"))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("ca_file {shown}: no PEM certificate in it")),
        Err(error) => Err(format!("ca_file {shown}: {error}")),
    }
}

/// Hands the address that the round's look-up found to the client.
struct Found(Arc<Lookup>);

impl Resolve for Found {
    fn resolve(&self, _: Name) -> Resolving {
        let found = self.0.latest();
        Box::pin(async move {
            match found {
                Some(address) => {
                    let addresses: Addrs = Box::new(std::iter::once(SocketAddr::new(address, 0)));
                    Ok(addresses)
                }
                None => Err("the name was not found".into()),
            }
        })
    }
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, Answer> {
    let mut body = Vec::new();
    while body.len() < BODY_LIMIT {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(BODY_LIMIT - body.len())]),
            Ok(None) => break,
            Err(error) => return Err(answer_of_request(&error)),
        }
    }
    Ok(body)
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}

/// Whole days until the server's certificate ends; negative when it has.
fn certificate_days(response: &Response, now: UnixMillis) -> Option<i64> {
    let der = response.extensions().get::<TlsInfo>()?.peer_certificate()?;
    let end = certificate::not_after(der)?;
    Some(end.millis_since(now).div_euclid(86_400_000))
}

/// The answer that a failed request means: the system's error when one is at its root, else the peer's doing.
fn answer_of_request(error: &reqwest::Error) -> Answer {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<io::Error>()
            && error.raw_os_error().is_some()
        {
            return answer_of(error);
        }
        source = inner.source();
    }
    Answer::Bad(innermost(error))
}

/// The root of a chain of errors: what happened, without the layers through which it was told.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut told: &dyn std::error::Error = error;
    while let Some(inner) = told.source() {
        told = inner;
    }
    told.to_string()
}

fn show(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Times connecting, TLS included: a layer around the client's connector.
#[derive(Clone, Default)]
struct Connected(Arc<Mutex<Duration>>);

impl Connected {
    fn latest(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for Connected {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner, connected: self.clone() }
    }
}

#[derive(Clone)]
struct Timed<S> {
    inner: S,
    connected: Connected,
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.inner.call(request);
        let connected = self.connected.clone();
        Box::pin(async move {
            let began = clock::monotonic();
            let connection = connecting.await;
            *connected.0.lock().unwrap_or_else(PoisonError::into_inner) =
                clock::monotonic().duration_since(began);
            connection
        })
    }
}
