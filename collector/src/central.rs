//! The central configuration: what each site's agent probes, as one file of the collector says.
//!
//! ```text
//!  agents.yaml ── all, tiers, sites ──┐
//!  register ── watches, routers ──────┴─ compile ──► a document for each site ──► GET /api/v1/agent/config (ETag)
//!                                          │ mistakes: the last good goes on                 │
//!                                          ▼                                                 ▼
//!                               log, /api/v1/agents, gauge            applied, or refused and why ──► store
//! ```
//!
//! # Layers
//!
//! A file has up to three kinds of layer, each with `round`, `icmp` and `links` in the grammar of the agent's own file:
//! `all`, one for each of `tiers`, and one for each of `sites`. A site's configuration is its own layer over its tier's over
//! `all` ([`Layer::over`](wan_settings::probes::Layer::over)): `round` and `icmp` by key, links by name and then by key, and
//! `{name: x, remove: true}` takes a link away.
//!
//! - A site to which no layer says anything has no document, and its agent uses its own file.
//! - A section that no layer names (`round`, `icmp` or `links`) is not in the document: the agent's own holds.
//! - A site that had a document, and to which nothing is said any more, gets one that says nothing: its agent goes back to its
//!   own file. (An agent that is told nothing at all keeps the last good.)
//!
//! # The centre's agent
//!
//! For a site that `watches` others in the register, each watched site's link with a `router` becomes a target `{icmp: ROUTER,
//! about: SITE}` under the link's name ([`watch`]); where no layer names links, the usual ones stay beside them. So the
//! register alone configures the centre's agent, and whatever changes there reaches it within seconds.
//!
//! # Soundness
//!
//! - **Nothing half-good is served.** A file is compiled as a whole, for every site of the register, before any document
//!   changes ([`compile`]); what an agent would refuse is refused here, with file, line and site.
//! - **A bad file stops nothing.** The last good one goes on, also over a restart ([`follow`]).
//! - **One site's register costs no other's document.** What the register alone makes wrong, as routers that are too many for
//!   one agent, leaves the site that watches them with the document that it has, and all others with theirs.
//! - **An agent pays nothing for it.** Each answer to a push carries the ETag, which is made when the document is.

pub mod compile;
pub mod endpoint;
pub mod follow;
pub mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::RwLock;
use wan_settings::Mistake;
use wan_wire::{SiteId, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

/// One site's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its ETag, with its quotes.
    pub etag: HeaderValue,
    /// YAML.
    pub body: String,
    /// How long it says that rounds are, if it says so.
    pub interval: Option<Duration>,
}

impl Document {
    /// The document with this text. Its ETag is its hash, so that it is the same after a restart and at every collector.
    #[must_use]
    pub fn of(body: String) -> Self {
        let etag = format!("\"{:016x}\"", xxh3_64(body.as_bytes()));
        let etag = HeaderValue::try_from(etag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { etag, body, interval: None }
    }

    /// Its ETag as text.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.etag.to_str().unwrap_or_default()
    }
}

/// What an agent said became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The document's ETag.
    pub etag: String,
    /// Whether it is in force; else the one before it is.
    pub applied: bool,
    /// Why it is not.
    pub reason: String,
    /// When it was said.
    pub at: UnixMillis,
}

/// What the file is at present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// The configuration names none.
    #[default]
    None,
    /// It is good, and was taken over then.
    Good(UnixMillis),
    /// It is bad, or does not fit the register, since then; what that concerns goes on as it was.
    Bad(UnixMillis, Vec<Mistake>),
}

/// What handlers and readers share of the central configuration. The documents themselves are with their sites
/// ([`SiteRuntime::document`](crate::state::SiteRuntime::document)).
#[derive(Debug, Default)]
pub struct Central {
    told: RwLock<BTreeMap<SiteId, Told>>,
    held: RwLock<BTreeMap<SiteId, String>>,
    standing: RwLock<Standing>,
}

impl Central {
    /// What each agent last said.
    #[must_use]
    pub fn told(&self) -> BTreeMap<SiteId, Told> {
        self.told.read().clone()
    }

    /// What one site's agent last said.
    #[must_use]
    pub fn told_by(&self, site: &SiteId) -> Option<Told> {
        self.told.read().get(site).cloned()
    }

    /// Takes in what the store knows.
    pub fn restore(&self, told: BTreeMap<SiteId, Told>) {
        *self.told.write() = told;
    }

    /// Whether an agent says something that it has not said before.
    #[must_use]
    pub fn is_news(&self, site: &SiteId, told: &Told) -> bool {
        !self.told.read().get(site).is_some_and(|known| {
            (&known.etag, known.applied, &known.reason) == (&told.etag, told.applied, &told.reason)
        })
    }

    /// Takes in what an agent has said, once it is stored.
    pub fn hear(&self, site: &SiteId, told: Told) {
        self.told.write().insert(site.clone(), told);
    }

    /// Why a site gets nothing new, if it does not.
    #[must_use]
    pub fn held(&self, site: &SiteId) -> Option<String> {
        self.held.read().get(site).cloned()
    }

    pub(crate) fn set_held(&self, held: BTreeMap<SiteId, String>) {
        *self.held.write() = held;
    }

    /// What the file is at present.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.read().clone()
    }

    pub(crate) fn set_standing(&self, standing: Standing) {
        *self.standing.write() = standing;
    }
}

/// A site's document, as the state holds it.
pub(crate) type Slot = RwLock<Option<Arc<Document>>>;

/// Where an agent's word and the site's document stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There is no document.
    None,
    /// The agent has not said anything about this document yet.
    Waiting,
    /// It is in force.
    Applied,
    /// The agent refused it, and uses the one before.
    Refused,
}

impl Progress {
    /// Where they stand.
    #[must_use]
    pub fn of(document: Option<&Document>, told: Option<&Told>) -> Self {
        match (document, told) {
            (None, _) => Self::None,
            (Some(document), Some(told)) if told.etag == document.tag() && told.applied => Self::Applied,
            (Some(document), Some(told)) if told.etag == document.tag() => Self::Refused,
            (Some(_), Some(_) | None) => Self::Waiting,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Waiting => "waiting",
            Self::Applied => "applied",
            Self::Refused => "refused",
        }
    }
}
