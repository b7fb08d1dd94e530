//! `GET /api/v1/coverage`, and the same for the command line.

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::common::{Range, number};
use super::params;
use super::problem::Problem;
use crate::ledger::timeline::Window;
use crate::localtime;
use crate::province::{Province, SiteNow};
use crate::report::coverage::{Coverage, Row, Standing};

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

/// How much of the province is connected: at an instant, or over a window.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CoverageAnswer {
    /// The province's time zone.
    pub zone: String,
    /// The instant, Unix milliseconds; null for a window.
    pub at: Option<i64>,
    /// The same, RFC 3339 in the province's zone.
    pub at_local: Option<String>,
    /// The window, cut to now; null for an instant.
    pub window: Option<Range>,
    /// The kinds of link that must all be up for a site to be covered.
    pub required: Vec<String>,
    /// Every tier × branch that a site was registered in: tiers in the plan's order, branches by id.
    pub cells: Vec<CoverageRow>,
    /// Every tier, in the plan's order.
    pub tiers: Vec<CoverageRow>,
    /// All sites that were asked for.
    pub total: CoverageRow,
}

/// The coverage of one group of sites. covered + not_covered + unknown = registered; over a window these are mean numbers of
/// sites.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CoverageRow {
    /// The tier; null: all of them.
    pub tier: Option<String>,
    /// The branch; null: all of them.
    pub branch: Option<String>,
    /// Sites in the register.
    #[serde(serialize_with = "number")]
    pub registered: f64,
    /// Sites with an agent.
    #[serde(serialize_with = "number")]
    pub equipped: f64,
    /// Sites that are connected.
    #[serde(serialize_with = "number")]
    pub covered: f64,
    /// Sites that are known not to be, or have no agent.
    #[serde(serialize_with = "number")]
    pub not_covered: f64,
    /// Sites of which neither can be said.
    #[serde(serialize_with = "number")]
    pub unknown: f64,
    /// equipped ÷ registered.
    pub equipped_share: Option<f64>,
    /// The share that is connected, if none of the unknown is. Null without registered sites.
    pub low: Option<f64>,
    /// The share that is connected, if all of the unknown are.
    pub high: Option<f64>,
    /// The plan's target for the tier; null where it names none.
    pub target: Option<f64>,
    /// Whether the target is met, missed, or lies between the bounds (undecided).
    pub standing: Option<Standing>,
}

/// Answers; with neither `at` nor a window, for now.
///
/// # Errors
/// When a time cannot be read, a tier is none, or both an instant and a window are asked for.
pub fn answer(province: &Province<'_>, question: Question<'_>) -> Result<CoverageAnswer, Problem> {
    let (zone, now) = (&province.config().timezone, province.now);
    let at = match (question.at, question.from.or(question.to)) {
        (Some(text), Some(_)) => {
            return Err(Problem::parameter(
                "at",
                text,
                "either an instant or a window",
                "remove `at`, or remove `from` and `to`",
            ));
        }
        (Some(text), None) => Some(past(text, params::time("at", text, zone, now)?, now)?),
        (None, Some(_)) => None,
        (None, None) => Some(now),
    };
    let plan: Vec<&str> = province.config().plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let only = params::list("tier", question.tier, &plan)?;
    let wanted = |tier: &str| only.as_ref().is_none_or(|only| only.contains(&tier));
    let sites: Vec<SiteNow<'_>> = province.sites().collect();
    let eras = sites.iter().flat_map(|site| province.eras(site)).map(|era| era.1);
    let views: Vec<_> = eras.filter(|view| wanted(view.tier)).collect();
    let window = match at {
        Some(_) => None,
        None => Some(params::window(province, question.from, question.to)?),
    };
    let mut targets = match (at, window) {
        (_, Some(window)) => province.targets_over(window),
        (at, None) => province.targets_at(at.unwrap_or(now)),
    };
    targets.retain(|target| wanted(target.tier));
    let coverage = match window {
        Some(window) => Coverage::over(&views, &targets, &province.basis(), window),
        None => Coverage::at(&views, &targets, &province.basis(), at.unwrap_or(now)),
    };
    Ok(tell(province, &coverage, at))
}

/// A coverage as it is told; `at` where it is about an instant.
#[must_use]
pub fn tell(province: &Province<'_>, coverage: &Coverage, at: Option<UnixMillis>) -> CoverageAnswer {
    let zone = &province.config().timezone;
    let rows = |rows: &[Row]| rows.iter().map(|row| tell_row(coverage, row)).collect();
    CoverageAnswer {
        zone: localtime::zone_name(zone),
        at: at.map(|at| at.0),
        at_local: at.map(|at| localtime::rfc3339(at, zone)),
        window: at
            .is_none()
            .then(|| Range::of(Window::new(coverage.window.start, coverage.window.end), zone)),
        required: province.config().plan.required.iter().map(|kind| kind.as_str().to_owned()).collect(),
        cells: rows(&coverage.cells),
        tiers: rows(&coverage.tiers),
        total: tell_row(coverage, &coverage.total),
    }
}

fn tell_row(coverage: &Coverage, row: &Row) -> CoverageRow {
    let sites = |count: i64| coverage.sites(count).unwrap_or(0.0);
    CoverageRow {
        tier: row.tier.clone(),
        branch: row.branch.clone(),
        registered: sites(row.counts.registered),
        equipped: sites(row.counts.equipped),
        covered: sites(row.counts.covered),
        not_covered: sites(row.counts.not_covered),
        unknown: sites(row.counts.unknown),
        equipped_share: row.equipped_share,
        low: row.low,
        high: row.high,
        target: row.target,
        standing: row.standing,
    }
}

fn past(text: &str, at: UnixMillis, now: UnixMillis) -> Result<UnixMillis, Problem> {
    if at > now {
        return Err(Problem::parameter("at", text, "a time not after now", "nothing is known of the future"));
    }
    Ok(at)
}
