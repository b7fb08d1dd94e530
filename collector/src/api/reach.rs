//! `GET /api/v1/reach`, and the same for the command line.

use serde::Serialize;
use utoipa::ToSchema;

use super::common::Range;
use super::coverage::{CoverageRow, When, tell_row};
use super::params;
use super::problem::Problem;
use crate::localtime;
use crate::province::{Province, SiteNow};
use crate::report::coverage::TierTarget;

/// The parameters.
pub const PARAMETERS: [&str; 4] = ["at", "from", "to", "tier"];

/// What is asked, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'q> {
    /// An instant.
    pub at: Option<&'q str>,
    /// Start of a window.
    pub from: Option<&'q str>,
    /// End of a window.
    pub to: Option<&'q str>,
    /// Only sites of these tiers, separated by commas.
    pub tier: Option<&'q str>,
}

/// How much of the province reaches each shared system: at an instant, or over a window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReachAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The instant, Unix milliseconds; null for a window.
    pub at: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: Option<String>,
    /// The window, cut to now; null for an instant.
    pub window: Option<Range>,
    /// Every shared system that a `service` link leads to, by the link's name.
    pub systems: Vec<SystemReach>,
}

/// The reach of one shared system. Of the registered sites, those count as covered whose link to it is up; one whose agent does not
/// measure it is unknown, one without an agent is not covered.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SystemReach {
    /// The name of the links that lead to it, such as `service-dms`.
    pub link: String,
    /// Every tier, in the plan's order.
    pub tiers: Vec<CoverageRow>,
    /// All sites that were asked for.
    pub total: CoverageRow,
}

/// Answers; with neither `at` nor a window, for now.
///
/// # Errors
/// When a time cannot be read, a tier is none, or both an instant and a window are asked for.
pub fn answer(province: &Province<'_>, question: Question<'_>) -> Result<ReachAnswer, Problem> {
    let plan: Vec<&str> = province.config().plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let only = params::list("tier", question.tier, &plan)?;
    let wanted = |tier: &str| only.as_ref().is_none_or(|only| only.contains(&tier));
    let when = When::of(province, question.at, question.from, question.to)?;
    let tiers = plan.iter().filter(|tier| wanted(tier));
    let tiers: Vec<TierTarget<'_>> = tiers.map(|tier| TierTarget { tier, target: None }).collect();
    let (sites, basis): (Vec<SiteNow<'_>>, _) = (province.sites().collect(), province.reach_basis());
    let mut systems = Vec::new();
    for link in province.systems(&sites, when.window()) {
        let mut views = province.reaching(&sites, &link);
        views.retain(|view| wanted(view.tier));
        let reach = when.coverage(&views, &tiers, &basis);
        systems.push(SystemReach {
            link: link.to_string(),
            tiers: reach.tiers.iter().map(|row| tell_row(&reach, row)).collect(),
            total: tell_row(&reach, &reach.total),
        });
    }
    let zone = &province.config().timezone;
    Ok(ReachAnswer {
        zone: localtime::zone_name(zone),
        at: when.instant().map(|at| at.0),
        at_local: when.instant().map(|at| localtime::rfc3339(at, zone)),
        window: when.instant().is_none().then(|| Range::of(when.window(), zone)),
        systems,
    })
}
