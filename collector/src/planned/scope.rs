//! For whom a window is.

use std::fmt;

use wan_wire::SiteId;

use super::schedule::SiteAt;
use crate::config::TierId;

/// For whom a window is. See the module's page above for what each covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every site.
    All,
    /// One site.
    Site(SiteId),
    /// A site and all below it.
    Subtree(SiteId),
    /// The sites of a tier.
    Tier(TierId),
    /// The sites of a district, as the register writes it.
    District(String),
    /// The links of a carrier, as the register writes it.
    Carrier(String),
}

/// What schedules are kept by: names that the register writes in other capitals mean the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    All,
    Site(String),
    Subtree(String),
    Tier(String),
    District(String),
    Carrier(String),
}

impl Scope {
    /// The word for its kind: `all`, `site`, `subtree`, `tier`, `district` or `carrier`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Site(_) => "site",
            Self::Subtree(_) => "subtree",
            Self::Tier(_) => "tier",
            Self::District(_) => "district",
            Self::Carrier(_) => "carrier",
        }
    }

    /// Whom it names; `None`: all.
    #[must_use]
    pub fn of(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Site(id) | Self::Subtree(id) => Some(id.as_str()),
            Self::Tier(id) => Some(id.as_str()),
            Self::District(name) | Self::Carrier(name) => Some(name),
        }
    }

    /// The scope of a kind that names `of`.
    #[must_use]
    pub fn from_parts(kind: &str, of: &str) -> Option<Self> {
        match kind {
            "all" if of.is_empty() => Some(Self::All),
            "site" => of.parse().ok().map(Self::Site),
            "subtree" => of.parse().ok().map(Self::Subtree),
            "tier" => of.parse().ok().map(Self::Tier),
            "district" if !of.is_empty() => Some(Self::District(of.to_owned())),
            "carrier" if !of.is_empty() => Some(Self::Carrier(of.to_owned())),
            _ => None,
        }
    }

    /// Whether it covers the site or one of its links.
    #[must_use]
    pub fn touches(&self, site: &SiteAt<'_>) -> bool {
        let Some(facts) = &site.facts else { return false };
        match self {
            Self::All => true,
            Self::Site(id) => facts.path.first() == Some(&id),
            Self::Subtree(id) => facts.path.contains(&id),
            Self::Tier(tier) => tier.as_str() == facts.tier,
            Self::District(name) => facts.district.is_some_and(|district| same(district, name)),
            Self::Carrier(name) => site.carriers.iter().any(|carrier| same(carrier, name)),
        }
    }

    pub(super) fn key(&self) -> Key {
        match self {
            Self::All => Key::All,
            Self::Site(id) => Key::Site(id.to_string()),
            Self::Subtree(id) => Key::Subtree(id.to_string()),
            Self::Tier(id) => Key::Tier(id.to_string()),
            Self::District(name) => Key::District(plain(name)),
            Self::Carrier(name) => Key::Carrier(plain(name)),
        }
    }
}

/// `site xa-tan-ha`, `all`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of() {
            None => f.write_str(self.kind()),
            Some(of) => write!(f, "{} {of}", self.kind()),
        }
    }
}

/// A name without regard to capitals and to spaces around it.
pub(super) fn plain(name: &str) -> String {
    name.trim().to_lowercase()
}

pub(crate) fn same(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}
