//! The certificate that the collector makes for itself: an authority that agents pin, and below it a certificate that is
//! made anew when its names change or a third of its life is left.
//!
//! `authority.pem` (key and certificate) is the collector's identity: lost, every agent has to be enrolled again. It belongs
//! into a backup, and is never replaced by itself, whatever state it is in. `server.pem` can be lost; it is made anew.
//! Both lie in the data folder's `tls/`, for the collector's user alone.
//!
//! `wan-collector enroll` and `certificate` write there as root, in a folder that the collector's user owns and may have
//! exchanged for links to anywhere. So nothing is written, or given to that user, by a path: the folder is held open, and what
//! is in it is new and held open as well.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use wan_wire::UnixMillis;

use super::identity::{self, Files, Identity};
use crate::config::Config;

/// The authority's life. Longer than any machine it runs on; agents that pin its key do not ask for its end.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// The certificate's life: what browsers take at most is a little over a year.
const CERTIFICATE_DAYS: i64 = 396;
/// With this much of it left it is made anew.
const RENEWED_DAYS: i64 = CERTIFICATE_DAYS / 3;
/// No right clock shows an earlier time: an authority made by a clock of 1970 must not end in 1990. 2026-01-01.
const NOT_EARLIER: UnixMillis = UnixMillis(1_767_225_600_000);
const DAY: i64 = 86_400_000;

/// The file of the pin that agents were last to have.
const LAST_PIN: &str = "last-pin";

/// Numbers the files that are being written.
static TURN: AtomicU32 = AtomicU32::new(0);

/// Where the collector's own certificate lies.
#[derive(Debug, Clone)]
pub struct Own {
    data: PathBuf,
    folder: PathBuf,
}

/// The authority, ready to sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    pin: String,
}

impl Own {
    /// In the data folder of `config`.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { data: config.data.clone(), folder: config.tls_dir() }
    }

    /// The authority's file.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The file of the certificate below it.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// What agents pin. Makes the authority if there is none yet.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn pin(&self, now: UnixMillis) -> anyhow::Result<String> {
        Ok(self.authority(now)?.pin)
    }

    /// The authority's certificate as PEM, for browsers and for `ca_file`.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn authority_certificate(&self, now: UnixMillis) -> anyhow::Result<String> {
        Ok(self.authority(now)?.certificate)
    }

    /// The certificate for these names: the one that is there while it will do, else a new one.
    ///
    /// # Errors
    /// When it or its authority cannot be read or made.
    pub fn certificate(&self, names: &BTreeSet<String>, now: UnixMillis) -> anyhow::Result<Identity> {
        let authority = self.authority(now)?;
        let path = self.certificate_file();
        let files = Files { certificate: path.clone(), key: path.clone() };
        match files.read() {
            Ok(identity) => match self.objection(&identity, &authority, names, now) {
                None => return Ok(identity),
                Some(why) => {
                    tracing::info!(file = %path.display(), why, "the collector makes its certificate anew")
                }
            },
            Err(_) if !path.exists() => {}
            Err(error) => tracing::warn!(%error, "the collector makes its certificate anew"),
        }
        let text = make_certificate(&authority, names, now)?;
        self.write(&path, &text, Existing::Replace)?;
        let identity = files.check(text.as_bytes(), text.as_bytes())?;
        tracing::info!(
            file = %path.display(),
            ends = %identity.facts.ends,
            names = identity.facts.names.join(", "),
            "the collector made itself a certificate"
        );
        Ok(identity)
    }

    /// Why the certificate that is there will not do.
    fn objection(
        &self,
        identity: &Identity,
        authority: &Authority,
        names: &BTreeSet<String>,
        now: UnixMillis,
    ) -> Option<String> {
        let facts = &identity.facts;
        if facts.pin.as_ref() != Some(&authority.pin) {
            return Some("it is of another authority".to_owned());
        }
        let known: BTreeSet<String> = facts.names.iter().cloned().collect();
        if known != *names {
            let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
            return Some(format!("it is for {}, and should be for {}", list(&known), list(names)));
        }
        (facts.ends.millis_since(now) < RENEWED_DAYS * DAY).then(|| format!("it ends at {}", facts.ends))
    }

    fn authority(&self, now: UnixMillis) -> anyhow::Result<Authority> {
        let path = self.authority_file();
        let read = |path: &Path| -> anyhow::Result<Authority> {
            let text = identity::read(path)?;
            read_authority(path, &text).with_context(|| {
                format!(
                    "{} is the collector's identity and cannot be used; restore it from a backup. Only if there is none: move it \
                     away, the next start makes another, and every agent has to be enrolled again",
                    path.display()
                )
            })
        };
        if path.exists() {
            return read(&path);
        }
        self.write(&path, &make_authority(now)?, Existing::Keep)?;
        // Whoever came first, `serve` or a command beside it, has made the authority.
        read(&path)
    }

    /// Writes a file whole or not at all, for the data folder's owner alone.
    fn write(&self, path: &Path, text: &str, existing: Existing) -> anyhow::Result<()> {
        let folder = self.open_folder()?;
        // The folder that is held, whatever has its name by now.
        let held = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Other processes, and other threads of this one, may be about it as well.
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let new = held.join(format!("{name}.{}-{turn}.new", std::process::id()));
        let target = held.join(&*name);
        let whole = || -> io::Result<()> {
            // Of a process of the same number that was killed.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            self.belongs(&file);
            match existing {
                Existing::Replace => fs::rename(&new, &target)?,
                Existing::Keep => {
                    match fs::hard_link(&new, &target) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                        Ok(()) | Err(_) => {}
                    }
                    fs::remove_file(&new)?;
                }
            }
            folder.sync_all()
        };
        let written = whole();
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// The folder, made when it is missing; only one that is the data folder's owner's or root's.
    fn open_folder(&self) -> anyhow::Result<File> {
        let folder = &self.folder;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let opened = File::open(folder).and_then(|opened| Ok((opened.metadata()?, opened)));
        let (held, opened) = opened.with_context(|| format!("cannot open {}", folder.display()))?;
        let named = fs::symlink_metadata(folder);
        if !named.is_ok_and(|named| named.is_dir() && (named.dev(), named.ino()) == (held.dev(), held.ino()))
        {
            bail!(
                "{} must be a folder itself, not a link to one: nothing is written there",
                folder.display()
            );
        }
        let owners = [Some(0), fs::metadata(&self.data).ok().map(|data| data.uid())];
        if !owners.contains(&Some(held.uid())) {
            bail!(
                "{} belongs neither to root nor to the owner of {}: nothing is written there; see who made it",
                folder.display(),
                self.data.display()
            );
        }
        self.belongs(&opened);
        Ok(opened)
    }

    /// Gives what root made, as by a command beside the server, to the user whose data folder it is in.
    fn belongs(&self, made: &File) {
        let (Ok(data), Ok(found)) = (fs::metadata(&self.data), made.metadata()) else { return };
        if found.uid() != data.uid()
            && let Err(error) = std::os::unix::fs::fchown(made, Some(data.uid()), Some(data.gid()))
        {
            tracing::warn!(folder = %self.folder.display(), %error, "cannot give what is in it to the data folder's owner");
        }
    }

    /// The pin that agents were to have when the collector last ran; empty when there was none.
    pub(super) fn last_pin(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(LAST_PIN)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Remembers it.
    pub(super) fn remember_pin(&self, pin: &str) -> anyhow::Result<()> {
        self.write(&self.folder.join(LAST_PIN), &format!("{pin}\n"), Existing::Replace)
    }
}

/// What happens to a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replace,
    Keep,
}

/// Whether a certificate can name it: an address, or a host name of letters, digits, hyphens and dots.
pub(super) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// The authority's parameters but for its life. They are the same in every collector and version, so that a certificate can be
/// signed with nothing but the authority's key at hand.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Wanwatch collector");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn make_authority(now: UnixMillis) -> anyhow::Result<String> {
    let key = KeyPair::generate().context("cannot make a key")?;
    let mut params = authority_params();
    live(&mut params, now, AUTHORITY_DAYS)?;
    let certificate = params.self_signed(&key).context("cannot make an authority")?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

fn read_authority(path: &Path, text: &[u8]) -> anyhow::Result<Authority> {
    let files = Files { certificate: path.to_owned(), key: path.to_owned() };
    let facts = files.check(text, text)?.facts;
    let Some(pin) = facts.pin else { bail!("{}: its certificate is no authority's", path.display()) };
    let key = PrivateKeyDer::from_pem_slice(text).context("no private key")?;
    let key = KeyPair::try_from(&key).context("a private key of another kind")?;
    let text = String::from_utf8_lossy(text);
    let certificate = text.find("-----BEGIN CERTIFICATE-----").map(|at| text[at..].to_owned());
    Ok(Authority {
        issuer: Issuer::new(authority_params(), key),
        certificate: certificate.unwrap_or_default(),
        pin,
    })
}

/// Key, certificate and authority as one PEM text: one file is replaced whole.
fn make_certificate(
    authority: &Authority,
    names: &BTreeSet<String>,
    now: UnixMillis,
) -> anyhow::Result<String> {
    let key = KeyPair::generate().context("cannot make a key")?;
    let names: Vec<String> = names.iter().cloned().collect();
    let mut params = CertificateParams::new(names).context("a name that no certificate can have")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Wanwatch collector's server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    live(&mut params, now, CERTIFICATE_DAYS)?;
    let certificate = params.signed_by(&key, &authority.issuer).context("cannot sign a certificate")?;
    Ok(format!("{}{}{}", key.serialize_pem(), certificate.pem(), authority.certificate))
}

/// From the distant past, so that a clock which is behind refuses nothing, until so many days after `now`.
fn live(params: &mut CertificateParams, now: UnixMillis, days: i64) -> anyhow::Result<()> {
    let end = now.max(NOT_EARLIER).0.saturating_add(days * DAY);
    let end = jiff::Timestamp::from_millisecond(end)
        .context("this machine's clock shows no usable time; set it")?;
    let date = end.to_zoned(jiff::tz::TimeZone::UTC).date();
    let (month, day) = (u8::try_from(date.month())?, u8::try_from(date.day())?);
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(i32::from(date.year()), month, day);
    Ok(())
}
