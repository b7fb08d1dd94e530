//! `GET /api/v1/overview`: what the page shows, in one answer.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::common::Word;
use super::coverage::{self, CoverageAnswer};
use super::sites;
use crate::localtime;
use crate::province::Province;
use crate::verdict::{Rule, Verdict};

/// The province at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Overview {
    /// When this was so, Unix milliseconds.
    pub now: i64,
    /// The same, RFC 3339 in the province's zone.
    pub now_local: String,
    /// What `now` does not touch; the ETag is of this part.
    #[serde(flatten)]
    pub content: Content,
}

/// The part of the overview that changes only when something happened.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Content {
    /// The province's time zone.
    pub zone: String,
    /// When the collector was started, Unix milliseconds.
    pub started: Option<i64>,
    /// The tiers of the plan, in its order.
    pub tiers: Vec<Named>,
    /// The branches of the plan, in its order.
    pub branches: Vec<Named>,
    /// How many sites there are of each verdict, every verdict named.
    pub counts: BTreeMap<String, u64>,
    /// Coverage now.
    pub coverage: CoverageNow,
    /// The registered sites, in the order of their ids.
    pub sites: Vec<Tile>,
}

/// Coverage now, without its time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CoverageNow {
    /// The kinds of link that must all be up for a site to be covered.
    pub required: Vec<String>,
    /// Every tier × branch that a site is registered in.
    pub cells: Vec<coverage::CoverageRow>,
    /// Every tier, in the plan's order.
    pub tiers: Vec<coverage::CoverageRow>,
    /// All sites.
    pub total: coverage::CoverageRow,
}

/// A tier or branch and its names.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name in Vietnamese.
    pub vi: String,
    /// Its name in English.
    pub en: String,
}

/// One site, as its tile shows it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Tile {
    /// The site's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Its branch.
    pub branch: String,
    /// The district that it lies in.
    pub district: Option<String>,
    /// What it is now.
    pub verdict: Verdict,
    /// Since when, Unix milliseconds; null: since ever.
    pub since: Option<i64>,
    /// Whether it may have been so before `since`: while older history is still being loaded.
    pub since_before: bool,
    /// The rule that says so.
    pub rule: Rule,
    /// The state by kind of link.
    pub kinds: BTreeMap<String, Word>,
}

/// The province at a glance.
#[must_use]
pub fn answer(province: &Province<'_>, started: Option<i64>) -> Overview {
    let config = province.config();
    let standings = province.standings();
    let mut counts: BTreeMap<String, u64> =
        Verdict::ALL.iter().map(|verdict| (verdict.as_str().to_owned(), 0)).collect();
    let mut tiles = Vec::with_capacity(standings.len());
    for site in province.sites() {
        let Some(standing) = standings.get(&site.site.id) else { continue };
        *counts.entry(standing.verdict.as_str().to_owned()).or_default() += 1;
        let kinds = sites::kinds(province, &site);
        let (since, since_before) = province.begun(*standing);
        tiles.push(Tile {
            id: site.site.id.to_string(),
            name: site.registered.name.to_owned(),
            tier: site.registered.tier.to_string(),
            branch: site.registered.branch.to_string(),
            district: site.registered.district.map(str::to_owned),
            verdict: standing.verdict,
            since: since.map(|at| at.0),
            since_before,
            rule: standing.rule,
            kinds: kinds
                .into_iter()
                .map(|(kind, state)| (kind.as_str().to_owned(), Word::of(state).0))
                .collect(),
        });
    }
    let now = province.now;
    let CoverageAnswer { zone, required, cells, tiers, total, .. } =
        coverage::tell(province, &province.coverage_at(now), Some(now));
    let named = |id: &str, name: &crate::config::LocalName| Named {
        id: id.to_owned(),
        vi: name.vi.clone(),
        en: name.en.clone(),
    };
    Overview {
        now: now.0,
        now_local: localtime::rfc3339(now, &config.timezone),
        content: Content {
            zone,
            started,
            tiers: config.plan.tiers.iter().map(|tier| named(tier.id.as_str(), &tier.name)).collect(),
            branches: config.plan.branches.iter().map(|b| named(b.id.as_str(), &b.name)).collect(),
            counts,
            coverage: CoverageNow { required, cells, tiers, total },
            sites: tiles,
        },
    }
}
