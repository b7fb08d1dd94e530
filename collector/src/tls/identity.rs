//! A certificate with its chain and private key, read from PEM and checked before anyone sees it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use wan_wire::UnixMillis;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A PEM file is at most this long: a chain of a dozen certificates.
const FILE_BYTES: u64 = 1 << 20;

/// A certificate that can be served.
#[derive(Debug)]
pub struct Identity {
    /// What is known of it.
    pub facts: Facts,
    pub(super) key: CertifiedKey,
}

/// What is known of a certificate, for people and for the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The hosts that it names.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub begins: UnixMillis,
    /// Until when.
    pub ends: UnixMillis,
    /// Its SHA-256, in hexadecimal with colons.
    pub fingerprint: String,
    /// The pin of its own key.
    pub own_pin: String,
    /// What agents are to pin: the key of the chain's root, where the chain has it.
    pub pin: Option<String>,
    /// How many certificates the chain has, this one included.
    pub chain: usize,
}

/// Why files are no certificate that can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// A file cannot be read.
    #[error("{}: {why}; the collector's user must be able to read it (`tls` in the configuration names it)", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A file has not what it should have.
    #[error("{}: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        why: String,
    },
    /// Certificate and key do not belong together.
    #[error(
        "{} is not the key of the first certificate in {}; {remedy}",
        key.display(),
        certificate.display()
    )]
    OtherKey {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What to do.
        remedy: String,
    },
}

/// Where a given certificate is.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Files {
    /// Reads and checks both, but for the time.
    pub(super) fn read(&self) -> Result<Identity, BadIdentity> {
        let (certificate, key) = (read(&self.certificate)?, read(&self.key)?);
        self.check(&certificate, &key)
    }

    pub(super) fn check(&self, certificate: &[u8], key: &[u8]) -> Result<Identity, BadIdentity> {
        let bad = |path: &Path, why: String| BadIdentity::Malformed { path: path.to_owned(), why };
        let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
            CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain
            .map_err(|error| bad(&self.certificate, format!("not whole PEM ({error}); write it anew")))?;
        if chain.is_empty() {
            let why = "no PEM certificate in it; it must begin with -----BEGIN CERTIFICATE-----";
            return Err(bad(&self.certificate, why.to_owned()));
        }
        let parsed: Result<Vec<_>, _> = chain.iter().map(|der| X509Certificate::from_der(der)).collect();
        let parsed = parsed.map_err(|error| {
            bad(&self.certificate, format!("a certificate in it cannot be read: {error}"))
        })?;
        let (Some((_, leaf)), Some((_, last))) = (parsed.first(), parsed.last()) else {
            return Err(bad(&self.certificate, "no certificate in it".to_owned()));
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| bad(&self.key, no_key(key, &error)))?;
        let signing = ring::default_provider().key_provider.load_private_key(key).map_err(|error| {
            bad(&self.key, format!("a private key of a kind that is not known here: {error}"))
        })?;
        let public = signing.public_key();
        let own = |certificate: &X509Certificate<'_>| {
            public.as_ref().is_none_or(|key| key.as_ref() == certificate.public_key().raw)
        };
        if !own(leaf) {
            let remedy = match parsed.iter().position(|(_, certificate)| own(certificate)) {
                Some(at) => format!("it is that of certificate {}: put that one first", at + 1),
                None => {
                    "both must be of one renewal: write both, or set `tls` to the files that belong together"
                        .to_owned()
                }
            };
            let (certificate, key) = (self.certificate.clone(), self.key.clone());
            return Err(BadIdentity::OtherKey { certificate, key, remedy });
        }
        let pin_of = |certificate: &X509Certificate<'_>| pin(certificate.public_key().raw);
        let root = last.subject() == last.issuer();
        let facts = Facts {
            names: names(leaf),
            begins: UnixMillis(leaf.validity().not_before.timestamp().saturating_mul(1000)),
            ends: UnixMillis(leaf.validity().not_after.timestamp().saturating_mul(1000)),
            fingerprint: fingerprint(&chain[0]),
            own_pin: pin_of(leaf),
            pin: root.then(|| pin_of(last)),
            chain: chain.len(),
        };
        drop(parsed);
        Ok(Identity { facts, key: CertifiedKey::new(chain, signing) })
    }
}

impl Facts {
    /// Why it should not be served at `now`, if so.
    #[must_use]
    pub fn out_of_time(&self, now: UnixMillis) -> Option<String> {
        if now > self.ends {
            Some(format!("it ended at {}; renew it", self.ends))
        } else if now < self.begins {
            Some(format!("it begins only at {}; is this machine's clock right?", self.begins))
        } else {
            None
        }
    }
}

/// A key's pin: the hash of its SubjectPublicKeyInfo.
pub(super) fn pin(public_key: &[u8]) -> String {
    format!("sha256:{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(public_key)))
}

/// Reads a file that is not too long to be what it should be.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, BadIdentity> {
    use std::io::Read as _;
    let unreadable = |why: String| BadIdentity::Unreadable { path: path.to_owned(), why };
    let file = std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(unreadable(format!("larger than {} KiB, so no such file", FILE_BYTES >> 10)));
    }
    Ok(bytes)
}

fn no_key(text: &[u8], error: &pem::Error) -> String {
    let encrypted = text.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY")
        || text.windows(21).any(|window| window == b"Proc-Type: 4,ENCRYPTE");
    if encrypted {
        "the private key has a password; write it without one (`openssl pkey -in FILE -out NEW`), readable by the \
         collector's user only"
            .to_owned()
    } else {
        format!("no whole PEM private key in it ({error}); it must begin with -----BEGIN PRIVATE KEY-----")
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "another crate's names: only these two kinds are hosts")]
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::IpAddr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::IpAddr::from(ip).to_string()),
        },
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).collect()
}

fn fingerprint(der: &[u8]) -> String {
    let bytes = Sha256::digest(der);
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}
