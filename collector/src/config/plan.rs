//! The plan: which tiers and branches the province has, what each tier is to reach, and what counts as connected.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use wan_wire::LinkKind;

/// Most characters of a tier's or branch's id.
const MAX_ID: usize = 32;

macro_rules! plan_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                is_id(text).then(|| Self(text.to_owned())).ok_or(NotAnId)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

plan_id! {
    /// A tier's id: lower-case letters, digits, `-` and `_`, such as `commune`.
    TierId
}
plan_id! {
    /// A branch's id: lower-case letters, digits, `-` and `_`, such as `party`.
    BranchId
}

/// The text is no tier or branch id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 32 lower-case letters, digits, “-” or “_”")]
pub struct NotAnId;

/// A name in the two languages of pages and reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalName {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

/// One tier of administration.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// The id that registers use.
    pub id: TierId,
    /// Its name on pages.
    pub name: LocalName,
    /// What the plan wants of it.
    pub target: Targets,
}

/// The share of a tier's sites that the plan wants connected, and from when on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets(Vec<Target>);

/// One target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// First day on which it holds; `None`: since ever.
    pub from: Option<Date>,
    /// The share, 0 to 1.
    pub share: f64,
}

impl Targets {
    /// None at any time.
    pub const NONE: Self = Self(Vec::new());

    /// The same share all the time.
    #[must_use]
    pub fn always(share: f64) -> Self {
        Self(vec![Target { from: None, share }])
    }

    /// Each from its day to the next one's; `None` when two are of the same day.
    #[must_use]
    pub fn dated(mut targets: Vec<Target>) -> Option<Self> {
        targets.sort_by_key(|target| target.from);
        let apart = targets.windows(2).all(|pair| pair.first().map(|t| t.from) < pair.last().map(|t| t.from));
        apart.then_some(Self(targets))
    }

    /// The target on a day; `None`: there is none yet.
    #[must_use]
    pub fn on(&self, day: Date) -> Option<f64> {
        let held = self.0.iter().rev().find(|target| target.from.is_none_or(|from| from <= day));
        held.map(|target| target.share)
    }

    /// All of them in the order of their days.
    #[must_use]
    pub fn all(&self) -> &[Target] {
        &self.0
    }
}

/// One branch of the political system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The id that registers use.
    pub id: BranchId,
    /// Its name on pages.
    pub name: LocalName,
}

/// What the province has promised and how it is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The tiers from the highest to the lowest. Default: province, district, commune, without targets.
    pub tiers: Vec<Tier>,
    /// The branches in their order on pages. Default: party, state, mass.
    pub branches: Vec<Branch>,
    /// The kinds of link that must all be up for a site to be covered. Default: lan, wan, internet.
    pub required: BTreeSet<LinkKind>,
    /// Largest share of lost packets of a round that is still `up`. Default 0.20 (ITU-T Y.1540's c1).
    pub c1: f64,
    /// Median round-trip time above which a round is `degraded`, per kind of link. Default: no limit.
    pub rtt_limit: BTreeMap<LinkKind, Duration>,
}

impl Plan {
    /// The tier called `id`.
    pub fn tier(&self, id: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.id.as_str() == id)
    }

    /// The branch called `id`.
    pub fn branch(&self, id: &str) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.id.as_str() == id)
    }
}

impl Default for Plan {
    fn default() -> Self {
        let tier = |id: &str, vi: &str, en: &str| Tier {
            id: TierId(id.to_owned()),
            name: name(vi, en),
            target: Targets::NONE,
        };
        let branch =
            |id: &str, vi: &str, en: &str| Branch { id: BranchId(id.to_owned()), name: name(vi, en) };
        Self {
            tiers: vec![
                tier("province", "Cấp tỉnh", "Province"),
                tier("district", "Cấp huyện", "District"),
                tier("commune", "Cấp xã", "Commune"),
            ],
            branches: vec![
                branch("party", "Đảng", "Party"),
                branch("state", "Nhà nước", "State"),
                branch("mass", "Mặt trận và đoàn thể", "Mass organisations"),
            ],
            required: BTreeSet::from([LinkKind::Lan, LinkKind::Wan, LinkKind::Internet]),
            c1: 0.20,
            rtt_limit: BTreeMap::new(),
        }
    }
}

fn name(vi: &str, en: &str) -> LocalName {
    LocalName { vi: vi.to_owned(), en: en.to_owned() }
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}
