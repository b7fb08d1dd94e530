//! TLS for the listeners that other machines reach: which certificate, and how it is replaced while the collector runs.
//!
//! ```text
//!  tls: auto ───► own: authority (20 years) signs a certificate ─┐
//!  tls: {…}  ───► given: the operator's files, watched ──────────┴─► Identity ─► ServerConfig, swapped as a whole
//! ```
//!
//! - **Of its own making** ([`Own`]): agents pin the key of the authority, so the certificate below it can be made anew, for
//!   other names or because it ends, and locks nobody out.
//! - **Given**: the files are looked at every few seconds, and at once on SIGHUP. What cannot be used (another key, cut
//!   short, ended, not begun) is refused with a line in the log, and the former certificate stays in use.
//! - **Replaced** means for handshakes from then on: connections that stand go on. Tickets of former handshakes end with the
//!   former certificate, so that nobody resumes past the new one.
//! - **Another pin** than the former certificate's is taken over as well, since the operator may mean it, and is an error in the
//!   log: agents that pinned the former one refuse it. The pin is remembered, so that a start says it too.
//!
//! What agents are told to pin ([`pins`]): the authority of the collector's own making; of a given certificate the last of its
//! chain, where that is a root (signed by itself). A chain without its root is taken for one of a public authority: its
//! intermediates change with a renewal, and agents know it by their system's authorities and the URL's name.

mod identity;
mod own;
mod watch;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use wan_wire::UnixMillis;
use wan_wire::api::COLLECTOR_NAME;

use crate::config::{Config, Tls};

use identity::Files;
pub use identity::{BadIdentity, Facts, Identity};
pub use own::Own;
pub use watch::follow;

/// Tickets that a client gets with a TLS 1.3 handshake. An agent resumes with one; each costs bytes on its line.
const TICKETS: usize = 1;

/// The certificate in use, for any number of listeners.
#[derive(Debug)]
pub struct Secured {
    source: Source,
    /// Where the pin that agents were last to have is remembered.
    memory: Own,
    in_use: ArcSwap<InUse>,
}

#[derive(Debug)]
enum Source {
    Own { own: Own, names: BTreeSet<String> },
    Files(Files),
}

#[derive(Debug)]
struct InUse {
    facts: Facts,
    config: Arc<ServerConfig>,
}

impl Secured {
    /// Opens what the configuration says; `None` where TLS is off. A given certificate that has ended is used all
    /// the same, and said in the log: the collector is still worth more than none.
    ///
    /// # Errors
    /// When a file is missing or cannot be used, with its path and the remedy.
    pub fn open(config: &Config, now: UnixMillis) -> anyhow::Result<Option<Self>> {
        let (source, identity) = match &config.tls {
            Tls::Off => return Ok(None),
            Tls::Auto => {
                let (own, names) = (Own::new(config), names(config));
                let identity = own.certificate(&names, now)?;
                (Source::Own { own, names }, identity)
            }
            Tls::Files { certificate, key } => {
                let files = Files { certificate: certificate.clone(), key: key.clone() };
                let identity = files.read()?;
                (Source::Files(files), identity)
            }
        };
        Ok(Some(Self {
            source,
            memory: Own::new(config),
            in_use: ArcSwap::from_pointee(InUse::new(identity)?),
        }))
    }

    /// What to shake hands with.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.in_use.load().config)
    }

    /// What is known of the certificate in use.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.in_use.load().facts.clone()
    }

    fn replace(&self, identity: Identity) -> anyhow::Result<()> {
        self.in_use.store(Arc::new(InUse::new(identity)?));
        Ok(())
    }
}

impl InUse {
    fn new(identity: Identity) -> anyhow::Result<Self> {
        let Identity { facts, key } = identity;
        Ok(Self { facts, config: Arc::new(server_config(key)?) })
    }
}

/// The pins that agents are to have, as `sha256:` and base64. Empty where they recognise the collector by other means: a public
/// authority, or the proxy in front of it. Makes the collector's own authority if there is none yet.
///
/// # Errors
/// When a file is missing or cannot be used.
pub fn pins(config: &Config) -> anyhow::Result<Vec<String>> {
    if !config.listen.iter().any(|address| config.speaks_tls(address)) {
        return Ok(Vec::new());
    }
    match &config.tls {
        Tls::Off => Ok(Vec::new()),
        Tls::Auto => Ok(vec![Own::new(config).pin(crate::clock::now())?]),
        Tls::Files { certificate, key } => {
            let files = Files { certificate: certificate.clone(), key: key.clone() };
            Ok(files.read()?.facts.pin.into_iter().collect())
        }
    }
}

/// The names of the collector's own certificate: hosts of its URLs, addresses that it listens on, the machine's name, and the
/// name by which an agent that pinned its authority knows it at any address.
fn names(config: &Config) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["localhost".to_owned(), COLLECTOR_NAME.to_owned()]);
    let hosts = config.urls.iter().filter_map(|url| {
        let url: http::Uri = url.url.parse().ok()?;
        Some(url.host()?.trim_start_matches('[').trim_end_matches(']').to_lowercase())
    });
    names.extend(hosts);
    let concrete = config.listen.iter().map(|address| address.ip().to_canonical());
    names.extend(concrete.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string()));
    let machine =
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
    names.insert(machine);
    names.retain(|name| own::is_name(name));
    names
}

fn server_config(key: CertifiedKey) -> anyhow::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("no TLS")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets instead of a table of sessions: nothing is kept for thousands of agents that come back together.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().context("no random bytes for tickets")?;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

#[cfg(test)]
mod tests;
