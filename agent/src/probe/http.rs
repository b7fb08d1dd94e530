//! HTTP(S): one GET on a fresh connection, so that every request measures the whole way: connecting, TLS, the first byte, the
//! body. Redirects are not followed: they are an answer with their own status.
//!
//! The name is looked up at the start of the round (as for every probe) and is not part of the time; the phases stand in the
//! note. Body and wait are bounded.
//!
//! Certificates are judged as those of pushes are ([`crate::push::trust`]): a host whose clock begins in 1970, or stands in 2038,
//! must not say that every service is down. For how long one still lasts is said, and held against it, once the time was told.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::tls::TlsInfo;
use reqwest::{Client, Response, redirect};
use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme};
use tower::{Layer, Service};
use wan_wire::UnixMillis;

use super::lookup::Lookup;
use super::socket::{Way, answer_of};
use super::{Answer, Boxed, IcmpPool, NotReady, Prober, Question};
use crate::certificate;
use crate::clock;
use crate::config::{BODY_LIMIT, HttpConfig};
use crate::push::trust::{Times, roots_of, system_roots};

pub(super) fn make(
    question: &Question,
    way: &Way,
    _: &Arc<IcmpPool>,
    times: &Times,
) -> Option<Arc<dyn Prober>> {
    let Question::Http(config) = question else { return None };
    Some(Arc::new(Http {
        lookup: Arc::new(Lookup::new(&config.peer.host)),
        config: (**config).clone(),
        way: way.clone(),
        times: Arc::clone(times),
        client: Mutex::new(None),
        connected: Connected::default(),
        certificate_end: Mutex::default(),
    }))
}

struct Http {
    lookup: Arc<Lookup>,
    config: HttpConfig,
    way: Way,
    times: Times,
    client: Mutex<Option<Client>>,
    connected: Connected,
    certificate_end: Mutex<Option<UnixMillis>>,
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

    fn certificate_end(&self) -> Option<UnixMillis> {
        *self.certificate_end.lock().unwrap_or_else(PoisonError::into_inner)
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
        let end = certificate_end(&response);
        *self.certificate_end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        // Whole days until then; negative when it has ended.
        let days = end.zip(self.times.told()).map(|(end, now)| end.millis_since(now).div_euclid(86_400_000));
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
        } else {
            builder = builder.tls_backend_preconfigured(self.tls()?);
        }
        builder.build().map_err(|error| format!("no HTTP client: {}", innermost(&error)))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let roots = match &self.config.ca_file {
            Some(path) => roots_of(path)?,
            None => system_roots(),
        };
        let provider = Arc::new(ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| format!("no authority can be trusted: {error}"))?;
        let verifier = AtOurTime { inner, times: AsTold(Arc::clone(&self.times)) };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("no TLS client: {error}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session shows no certificate, and skips a part of what is measured.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// Judges certificates as the web does, but at the agent's time.
#[derive(Debug)]
struct AtOurTime {
    inner: Arc<WebPkiServerVerifier>,
    times: AsTold,
}

/// The times, in what must be printable.
struct AsTold(Times);

impl fmt::Debug for AsTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Times")
    }
}

impl ServerCertVerifier for AtOurTime {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let times = self.times.0.times();
        let judged = |at: u64| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
            self.inner.verify_server_cert(leaf, chain, name, ocsp, at)
        };
        let first = judged(seconds(times.now));
        let (Err(error), Some(floor)) = (&first, times.floor) else { return first };
        if !is_of_time(error) {
            return first;
        }
        // Good at some time from the floor on: each certificate of the chain can put that off to its own beginning.
        let mut at = seconds(floor);
        for _ in 0..chain.len() + 2 {
            match judged(at) {
                Err(TlsError::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before.as_secs() > at => {
                    at = not_before.as_secs();
                }
                Ok(good) => return Ok(good),
                Err(_) => break,
            }
        }
        match times.host {
            Some(host) => judged(seconds(host)).or(first),
            None => first,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn seconds(time: UnixMillis) -> u64 {
    u64::try_from(time.0 / 1000).unwrap_or(0)
}

/// Whether it is only the time that is wrong with a certificate.
fn is_of_time(error: &TlsError) -> bool {
    matches!(
        error,
        TlsError::InvalidCertificate(
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
        )
    )
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

/// When the certificate that the server showed ends.
fn certificate_end(response: &Response) -> Option<UnixMillis> {
    certificate::not_after(response.extensions().get::<TlsInfo>()?.peer_certificate()?)
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
