//! Whether who answers is the collector that is meant, decided inside the TLS handshake: before it ends nothing is sent, so
//! the secret never reaches anyone else.
//!
//! | `collector` has | the certificate must be | its name |
//! | --- | --- | --- |
//! | `pins` | of a pinned key; or signed, through the chain that is shown, by a certificate of a pinned key | with a pinned authority: the URL's host, or [`COLLECTOR_NAME`] |
//! | `ca_file` | signed by an authority of that file | the URL's host |
//! | neither | signed by an authority that this host's system trusts | the URL's host |
//!
//! The authority that a collector makes for itself signs nothing but that collector, and says so by [`COLLECTOR_NAME`]. So
//! agents reach it by whatever address leads there. Any other authority may sign others too, hence the name check: to pin a
//! province's authority does not let every one of its servers be the collector.
//!
//! A certificate is judged at the time that [`Times`] gives: the best that is known, and never before what is known to have
//! passed. While no collector has confirmed the clock, all that is known is that it is not earlier than that floor: then a
//! certificate that will be in time at any moment from the floor on is in time. A clock of 2038 must not lock the agent out, nor
//! a collector's certificate that was renewed while the host, whose clock begins in 1970, was without power: the collector is
//! who would put the clock right. Nor must a floor that lies ahead, as a collector whose clock was wrong has left it: where
//! the host's clock is behind it and can be right, what is in time by that is in time until a collector has spoken.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, InvalidMessage, OtherError,
    RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use wan_wire::UnixMillis;
use wan_wire::api::COLLECTOR_NAME;

use crate::certificate;
use crate::clock::{self, Timekeeper};
use crate::config::Pin;

/// Where to find out what a collector's certificate is; stands in every refusal that a person must judge.
const COMPARE: &str = "compare it with what `wan-collector certificate` shows on the collector's host";

/// By what a collector is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Keys of which the certificate, or one in its chain, must have one. Empty: `ca_file` decides.
    pub pins: Vec<Pin>,
    /// A PEM file of the only authorities; `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

/// The times at which a certificate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsTimes {
    /// The best that is known: the clock, but not before the latest time that is known to have passed.
    pub now: UnixMillis,
    /// That latest time, while no collector has confirmed the clock.
    pub floor: Option<UnixMillis>,
    /// The host's own clock, where it is behind that floor and not before this program was built: one of them is wrong.
    pub host: Option<UnixMillis>,
}

/// Tells the times at which a certificate is judged, anew at each handshake.
pub trait TellsTimes: Send + Sync {
    /// They are these now.
    fn times(&self) -> TlsTimes;

    /// The time now where somebody told it: for how long a certificate still lasts.
    fn told(&self) -> Option<UnixMillis> {
        Some(self.times().now)
    }

    /// The collector's certificate has ended by them.
    fn ended(&self) {}
}

/// The same, shared.
pub type Times = Arc<dyn TellsTimes>;

impl<F: Fn() -> TlsTimes + Send + Sync> TellsTimes for F {
    fn times(&self) -> TlsTimes {
        self()
    }
}

impl TellsTimes for Timekeeper {
    fn times(&self) -> TlsTimes {
        let (now, floor) = self.tls_times();
        let host = floor.map(|floor| clock::built()..floor).and_then(|behind| {
            let host = clock::wall();
            behind.contains(&host).then_some(host)
        });
        TlsTimes { now, floor, host }
    }

    fn told(&self) -> Option<UnixMillis> {
        Timekeeper::told(self)
    }

    fn ended(&self) {
        self.certificate_ended();
    }
}

/// As the timekeeper tells them.
pub fn times_of(timekeeper: &Timekeeper) -> Times {
    Arc::new(timekeeper.clone())
}

/// The TLS side of a client that talks to `host` (with its port, for messages).
///
/// # Errors
/// That `ca_file` cannot be used, with the path.
pub(super) fn client_config(trust: &Trust, host: &str, times: Times) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let anchors = match (&trust.ca_file, trust.pins.as_slice()) {
        (_, [_, ..]) => Anchors::Pins(trust.pins.clone()),
        (Some(path), []) => {
            Anchors::Roots(roots_of(path)?, format!("an authority in {} (ca_file)", path.display()))
        }
        (None, []) => Anchors::Roots(system_roots(), "an authority that this host trusts".to_owned()),
    };
    let verifier = Verifier {
        anchors,
        host: host.to_owned(),
        times,
        algorithms: provider.signature_verification_algorithms,
    };
    config_with(provider, verifier).map_err(|error| format!("no TLS client: {error}"))
}

/// The pin of a certificate: the hash of its public key. `None` when it is no certificate.
pub(crate) fn pin(der: &[u8]) -> Option<Pin> {
    certificate::public_key(der).map(|key| Pin(Sha256::digest(key).into()))
}

/// A pin as people copy it.
pub(crate) fn show_pin(pin: Pin) -> String {
    format!("sha256:{}", base64::engine::general_purpose::STANDARD.encode(pin.0))
}

/// Who answers in place of the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// What an administrator can do about it.
    pub why: String,
    /// The host, with its port.
    pub host: String,
    /// The pin of what it shows.
    pub pin: String,
}

/// What a failed handshake or connection means, where this module knows better than the error's own words.
pub(super) fn explain(error: &(dyn std::error::Error + 'static), host: &str) -> Option<String> {
    explain_tls(tls_error(error)?, host)
}

/// Who answered, when the handshake failed because it is not the collector that is meant.
pub(super) fn stranger(error: &(dyn std::error::Error + 'static)) -> Option<Stranger> {
    refused_in(tls_error(error)?)?.stranger.clone()
}

fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An I/O error's `source` is the source of what it carries: that itself would be passed over.
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[allow(clippy::wildcard_enum_match_arm, reason = "another crate's errors: the rest says enough by itself")]
fn explain_tls(error: &TlsError, host: &str) -> Option<String> {
    match error {
        TlsError::InvalidCertificate(_) => refused_in(error).map(|refused| refused.why.clone()),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Some(format!(
            "{host} does not speak TLS; if this is the collector's plain port, as behind a proxy or on loopback, write \
             http:// in collector.urls, else the port that speaks HTTPS"
        )),
        _ => None,
    }
}

fn refused_in(error: &TlsError) -> Option<&Refused> {
    let TlsError::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error else { return None };
    inner.downcast_ref::<Refused>()
}

fn config_with(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The authorities of a PEM file.
pub(crate) fn roots_of(path: &std::path::Path) -> Result<RootCertStore, String> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| format!("ca_file {shown}: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(|error| error.to_string()).and_then(|certificate| {
            roots.add(certificate).map_err(|error| format!("a certificate in it cannot be used: {error}"))
        });
        added.map_err(|why| format!("ca_file {shown}: {why}"))?;
    }
    if roots.is_empty() {
        return Err(format!("ca_file {shown}: no PEM certificate in it"));
    }
    Ok(roots)
}

/// The authorities of the system, as far as they can be read. None at all is said when a certificate is judged.
pub(crate) fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "an authority of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

#[derive(Debug)]
enum Anchors {
    Pins(Vec<Pin>),
    /// With what they are, for messages.
    Roots(RootCertStore, String),
}

struct Verifier {
    anchors: Anchors,
    host: String,
    times: Times,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate is not the collector's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// No authority that is trusted signed it.
    Stranger,
    /// None of the keys is pinned.
    OtherKey,
    /// It is good, but for these names.
    Name(Vec<String>),
    /// It ended, at the time it was judged.
    Ended { end: UnixMillis, judged: UnixMillis },
    /// It has not begun.
    NotBegun { begin: UnixMillis, judged: UnixMillis },
    /// Anything else that is wrong with it.
    Unusable(String),
}

impl Refusal {
    /// Whether somebody else answers, rather than the collector with a certificate that will not do.
    fn is_stranger(&self) -> bool {
        match self {
            Refusal::Stranger | Refusal::OtherKey | Refusal::Name(_) => true,
            Refusal::Ended { .. } | Refusal::NotBegun { .. } | Refusal::Unusable(_) => false,
        }
    }
}

/// A refusal in words, as the error that leaves rustls.
#[derive(Debug)]
struct Refused {
    why: String,
    stranger: Option<Stranger>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("host", &self.host).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.judge(leaf, chain, name).map(|()| ServerCertVerified::assertion()).map_err(|refusal| {
            let shown = chain.last().unwrap_or(leaf);
            let why = self.in_words(&refusal, leaf, shown);
            let stranger = refusal.is_stranger().then(|| Stranger {
                why: why.clone(),
                host: self.host.clone(),
                pin: pin(shown).map_or_else(|| "unreadable".to_owned(), show_pin),
            });
            let refused = Refused { why, stranger };
            TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls12_signature(message, leaf, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Verifier {
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), Refusal> {
        let times = self.times.times();
        let first = self.judge_at(leaf, chain, name, times.now);
        let judged = match (&first, times.floor) {
            (Err(Refusal::Ended { .. } | Refusal::NotBegun { .. }), Some(floor)) => {
                let at_host = |first| match times.host {
                    Some(host) => self.judge_at(leaf, chain, name, host).or(first),
                    None => first,
                };
                self.judge_from(leaf, chain, name, floor).or_else(|_| at_host(first.clone()))
            }
            _ => first,
        };
        if matches!(judged, Err(Refusal::Ended { .. })) {
            self.times.ended();
        }
        judged
    }

    /// Whether the certificate is good at some time from `floor` on.
    fn judge_from(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        floor: UnixMillis,
    ) -> Result<(), Refusal> {
        let mut at = floor;
        // Each certificate of the chain can put the time off once, to its own beginning; so can the anchor.
        for _ in 0..chain.len() + 2 {
            match self.judge_at(leaf, chain, name, at) {
                Err(Refusal::NotBegun { begin, .. }) if begin > at => at = begin,
                judged => return judged,
            }
        }
        self.judge_at(leaf, chain, name, at)
    }

    fn judge_at(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| refusal(&error, now))?;
        match &self.anchors {
            Anchors::Pins(pins) => {
                let pinned = |der: &[u8]| pin(der).is_some_and(|pin| pins.contains(&pin));
                if pinned(leaf) {
                    return in_time(leaf, now);
                }
                let mut roots = RootCertStore::empty();
                for certificate in chain.iter().filter(|certificate| pinned(certificate)) {
                    let usable = roots.add(certificate.clone().into_owned());
                    usable.map_err(|error| refusal(&error, now))?;
                }
                if roots.is_empty() {
                    return Err(Refusal::OtherKey);
                }
                self.signed_by(&parsed, &roots, chain, now)?;
                let own = ServerName::try_from(COLLECTOR_NAME).map_err(|_| Refusal::OtherKey)?;
                verify_server_name(&parsed, &own)
                    .or_else(|_| verify_server_name(&parsed, name))
                    .map_err(|error| refusal(&error, now))
            }
            Anchors::Roots(roots, _) => {
                self.signed_by(&parsed, roots, chain, now)?;
                verify_server_name(&parsed, name).map_err(|error| refusal(&error, now))
            }
        }
    }

    fn signed_by(
        &self,
        leaf: &ParsedCertificate<'_>,
        roots: &RootCertStore,
        chain: &[CertificateDer<'_>],
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let seconds = u64::try_from(now.0 / 1000).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verify_server_cert_signed_by_trust_anchor(leaf, roots, chain, time, self.algorithms.all)
            .map_err(|error| refusal(&error, now))
    }

    /// Whether a certificate was judged at a time that only the file of the clock knows, rather than at the host's.
    fn is_kept(&self, judged: UnixMillis) -> bool {
        judged > clock::built() && self.times.times().floor == Some(judged)
    }

    /// What is wrong and what to do about it. `shown` is the certificate of the chain whose pin the collector shows.
    fn in_words(&self, refusal: &Refusal, leaf: &CertificateDer<'_>, shown: &CertificateDer<'_>) -> String {
        let host = &self.host;
        let show = |der: &CertificateDer<'_>| pin(der).map_or_else(|| "unreadable".to_owned(), show_pin);
        match (refusal, &self.anchors) {
            (Refusal::OtherKey | Refusal::Stranger, Anchors::Pins(_)) => format!(
                "another collector answers at {host}: none of the keys it shows is in collector.pins. If its certificate \
                 was replaced on purpose, enrol again, or put its pin {} there; {COMPARE}",
                show(shown)
            ),
            (Refusal::OtherKey | Refusal::Stranger, Anchors::Roots(roots, _)) if roots.is_empty() => format!(
                "the certificate of {host} cannot be judged: this host trusts no authority at all (Debian's are in the \
                 package ca-certificates). Install them, or enrol again, or set collector.pins or collector.ca_file; its \
                 pin is {}, {COMPARE}",
                show(shown)
            ),
            (Refusal::OtherKey | Refusal::Stranger, Anchors::Roots(_, what)) => format!(
                "the certificate of {host} is not signed by {what}. If this is the collector, enrol again, or set \
                 collector.pins or collector.ca_file; its pin is {}, {COMPARE}",
                show(shown)
            ),
            (Refusal::Name(names), Anchors::Pins(_) | Anchors::Roots(..)) => format!(
                "the certificate of {host} is for {}: write one of these hosts in collector.urls, or have the collector's \
                 certificate made for this one (`urls` in its configuration), or pin its own key, {}, in collector.pins",
                if names.is_empty() { "no host at all".to_owned() } else { names.join(", ") },
                show(leaf)
            ),
            (Refusal::Ended { end, judged }, Anchors::Pins(_) | Anchors::Roots(..))
                if self.is_kept(*judged) =>
            {
                format!(
                    "the certificate of {host} ended at {end}, and by what a collector last said it is at least {judged}: have \
                     it renewed at the collector (`wan-collector certificate` shows its file). If that time lies ahead, stop \
                     the agent, remove the file `clock` in its data folder, and start it"
                )
            }
            (Refusal::Ended { end, judged }, Anchors::Pins(_) | Anchors::Roots(..)) => format!(
                "the certificate of {host} ended at {end}, and here it is {judged}: have it renewed at the collector \
                 (`wan-collector certificate` shows its file), or put this host's clock right"
            ),
            (Refusal::NotBegun { begin, judged }, Anchors::Pins(_) | Anchors::Roots(..)) => format!(
                "the certificate of {host} begins at {begin}, and here it is {judged}: put this host's clock right, or the \
                 collector's when it made the certificate"
            ),
            (Refusal::Unusable(why), Anchors::Pins(_) | Anchors::Roots(..)) => format!(
                "the certificate of {host} cannot be used: {why}; see `wan-collector certificate` on the collector's host"
            ),
        }
    }
}

/// Whether a certificate that is trusted by itself is in its time.
fn in_time(leaf: &CertificateDer<'_>, now: UnixMillis) -> Result<(), Refusal> {
    let Some((begin, end)) = certificate::validity(leaf) else {
        return Err(Refusal::Unusable("its validity cannot be read".to_owned()));
    };
    if now > end {
        Err(Refusal::Ended { end, judged: now })
    } else if now < begin {
        Err(Refusal::NotBegun { begin, judged: now })
    } else {
        Ok(())
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "another crate's errors: what is not told apart is told in its words"
)]
fn refusal(error: &TlsError, judged: UnixMillis) -> Refusal {
    let time = |time: &UnixTime| {
        UnixMillis(i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 1000).saturating_mul(1000))
    };
    match error {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => Refusal::Stranger,
        // Signed by another key of the same name: as unknown as any other.
        TlsError::InvalidCertificate(CertificateError::BadSignature) => Refusal::Stranger,
        TlsError::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Refusal::Ended { end: time(not_after), judged }
        }
        TlsError::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Refusal::NotBegun { begin: time(not_before), judged }
        }
        TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            Refusal::Name(presented.clone())
        }
        other => Refusal::Unusable(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
