//! `GET /api/v1/coverage`, and the same for the command line.

use serde::Serialize;
use utoipa::ToSchema;
use wan_settings::nearest;
use wan_wire::UnixMillis;

use super::common::{Range, number};
use super::params;
use super::problem::Problem;
use crate::inventory::era::day_of;
use crate::ledger::timeline::{Basis, SiteView, Window};
use crate::localtime;
use crate::province::{Group, Province, SiteNow};
use crate::report::coverage::{Coverage, Row, Standing, TierTarget};

/// The parameters.
pub const PARAMETERS: [&str; 6] = ["at", "from", "to", "tier", "by", "trend"];

/// Most days of a trend: three years.
const MAX_DAYS: usize = 1100;
/// The days of a trend when no window is asked for.
const DEFAULT_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// What sites may be grouped by.
const GROUPS: [&str; 4] = ["tier", "branch", "district", "carrier"];

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
    /// By what to group beside tier and branch: branch, district or carrier.
    pub by: Option<&'q str>,
    /// `day`: also each day of the window.
    pub trend: Option<&'q str>,
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
    /// By what `groups` are: tier (then there are none), branch, district or carrier.
    pub by: String,
    /// Every group, by name; last those without a name. A site counts under each carrier of its WAN links, so carriers overlap.
    pub groups: Vec<CoverageRow>,
    /// Each day of the province that the window touches, when the trend was asked for; the last is cut to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<Vec<TrendDay>>,
}

/// Coverage over one day of the province.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrendDay {
    /// The day, YYYY-MM-DD.
    pub day: String,
    /// Its time, cut to now.
    #[serde(flatten)]
    pub window: Range,
    /// Every tier, or every group that was asked for; the target is that day's.
    pub rows: Vec<CoverageRow>,
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
    /// The district, where districts are told; empty: sites in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// The carrier of WAN links, where carriers are told; empty: sites with none that the register names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
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
    /// The plan's target for the tier at that time, or at the end of that window; null where it names none.
    pub target: Option<f64>,
    /// Whether the target is met, missed, or lies between the bounds (undecided).
    pub standing: Option<Standing>,
}

/// Answers; with neither `at` nor a window, for now; a trend then for the last 30 days.
///
/// # Errors
/// When a time cannot be read, a tier or group is none, both an instant and a window are asked for, or a trend is of an instant or
/// over too many days.
pub fn answer(province: &Province<'_>, question: Question<'_>) -> Result<CoverageAnswer, Problem> {
    let plan: Vec<&str> = province.config().plan.tiers.iter().map(|tier| tier.id.as_str()).collect();
    let only = params::list("tier", question.tier, &plan)?;
    let wanted = |tier: &str| only.as_ref().is_none_or(|only| only.contains(&tier));
    let by = group(question.by)?;
    let when = When::asked(province, question)?;
    let sites: Vec<SiteNow<'_>> = province.sites().collect();
    let mut views = province.views(&sites);
    views.retain(|view| wanted(view.tier));
    let grouped = by.map(|by| (by, province.grouped(&sites, by, wanted)));
    let mut plan = when.targets(province);
    plan.retain(|target| wanted(target.tier));
    let basis = province.basis();
    let mut answer = tell(province, &when.coverage(&views, &plan, &basis), when.instant());
    if let Some((by, grouped)) = &grouped {
        answer.by = by.as_str().to_owned();
        answer.groups = tell_groups(&when.coverage(grouped, &[], &basis), *by);
    }
    if let When::Trend(_, midnights) = &when {
        let zone = &province.config().timezone;
        let mut groups = grouped.iter().flat_map(|(by, views)| {
            let days = Coverage::by_day(views, &[], &basis, midnights);
            days.into_iter().map(|day| tell_groups(&day, *by))
        });
        let days = Coverage::by_day(&views, &plan, &basis, midnights).into_iter().map(|day| {
            let targets = province.targets_over(day.window);
            let day = day.against(&targets);
            let tiers = || day.tiers.iter().map(|row| tell_row(&day, row)).collect();
            TrendDay {
                day: day_of(day.window.start, zone).to_string(),
                window: Range::of(day.window, zone),
                rows: groups.next().unwrap_or_else(tiers),
                total: tell_row(&day, &day.total),
            }
        });
        answer.trend = Some(days.collect());
    }
    Ok(answer)
}

/// The time that is asked about.
#[derive(Debug)]
pub(super) enum When {
    /// An instant.
    At(UnixMillis),
    /// A window.
    Over(Window),
    /// A window, and each of the days between these midnights.
    Trend(Window, Vec<UnixMillis>),
}

impl When {
    /// An instant or a window, of which all that bears on it is loaded; now, when neither is asked for.
    fn asked(province: &Province<'_>, question: Question<'_>) -> Result<Self, Problem> {
        let when = Self::read(province, question)?;
        params::reached(province, when.window().start)?;
        Ok(when)
    }

    fn read(province: &Province<'_>, question: Question<'_>) -> Result<Self, Problem> {
        let (zone, now) = (&province.config().timezone, province.now);
        let windowed = question.from.or(question.to).is_some();
        if let Some(text) = question.at {
            if windowed {
                let remedy = "remove `at`, or remove `from` and `to`";
                return Err(Problem::parameter("at", text, "either an instant or a window", remedy));
            }
            if question.trend.is_some() {
                return Err(Problem::parameter("at", text, "no instant for a trend", "use `from` and `to`"));
            }
            return Ok(Self::At(past(text, params::time("at", text, zone, now)?, now)?));
        }
        let Some(trend) = question.trend else {
            if !windowed {
                return Ok(Self::At(now));
            }
            return Ok(Self::Over(params::window(province, question.from, question.to)?));
        };
        params::list("trend", Some(trend), &["day"])?;
        let window = if windowed {
            params::window(province, question.from, question.to)?
        } else {
            Window::new(now.plus_millis(-DEFAULT_DAYS * DAY_MS), now)
        };
        let midnights = localtime::midnights(window.start, window.end, zone, MAX_DAYS + 1);
        if midnights.len() > MAX_DAYS + 1 {
            let expected = format!("a trend of at most {MAX_DAYS} days");
            let from = question.from.unwrap_or_default();
            return Err(Problem::parameter("from", from, &expected, "ask for a shorter window"));
        }
        Ok(Self::Trend(window, midnights))
    }

    /// The same without a trend.
    pub(super) fn of(
        province: &Province<'_>,
        at: Option<&str>,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<Self, Problem> {
        Self::asked(province, Question { at, from, to, ..Question::default() })
    }

    pub(super) fn instant(&self) -> Option<UnixMillis> {
        match self {
            Self::At(at) => Some(*at),
            Self::Over(_) | Self::Trend(..) => None,
        }
    }

    /// What it is about as a window; an instant is its one millisecond.
    pub(super) fn window(&self) -> Window {
        match self {
            Self::At(at) => Window::instant(*at),
            Self::Over(window) | Self::Trend(window, _) => *window,
        }
    }

    fn targets<'p>(&self, province: &'p Province<'_>) -> Vec<TierTarget<'p>> {
        match self {
            Self::At(at) => province.targets_at(*at),
            Self::Over(window) | Self::Trend(window, _) => province.targets_over(*window),
        }
    }

    pub(super) fn coverage(
        &self,
        views: &[SiteView<'_>],
        plan: &[TierTarget<'_>],
        basis: &Basis<'_>,
    ) -> Coverage {
        match self {
            Self::At(at) => Coverage::at(views, plan, basis, *at),
            Self::Over(window) | Self::Trend(window, _) => Coverage::over(views, plan, basis, *window),
        }
    }
}

/// By what to group beside tier and branch.
fn group(text: Option<&str>) -> Result<Option<Group>, Problem> {
    let Some(text) = text.filter(|text| *text != GROUPS[0]) else { return Ok(None) };
    let group = Group::ALL.into_iter().find(|group| group.as_str() == text);
    if group.is_none() {
        let expected = format!("one of {}", GROUPS.join(", "));
        let remedy = nearest(text, GROUPS)
            .map_or_else(|| "ask for each alone".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Problem::parameter("by", text, &expected, remedy));
    }
    Ok(group)
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
        by: GROUPS[0].to_owned(),
        groups: Vec::new(),
        trend: None,
    }
}

/// The rows of a coverage whose views have the group in the place of the tier: by name, those in none last.
fn tell_groups(coverage: &Coverage, by: Group) -> Vec<CoverageRow> {
    let registered = coverage.tiers.iter().filter(|row| row.counts.registered > 0);
    let mut rows: Vec<CoverageRow> = registered
        .map(|row| {
            let name = row.tier.clone();
            let row = CoverageRow { tier: None, branch: None, ..tell_row(coverage, row) };
            match by {
                Group::Branch => CoverageRow { branch: name, ..row },
                Group::District => CoverageRow { district: name, ..row },
                Group::Carrier => CoverageRow { carrier: name, ..row },
            }
        })
        .collect();
    rows.sort_by_key(|row| row.district.as_deref().or(row.carrier.as_deref()) == Some(""));
    rows
}

pub(super) fn tell_row(coverage: &Coverage, row: &Row) -> CoverageRow {
    let sites = |count: i64| coverage.sites(count).unwrap_or(0.0);
    CoverageRow {
        tier: row.tier.clone(),
        branch: row.branch.clone(),
        district: None,
        carrier: None,
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
