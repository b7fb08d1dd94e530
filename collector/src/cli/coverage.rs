//! `wan-collector coverage`.

use std::path::Path;
use std::process::ExitCode;

use super::figures;
use super::output::Format;
use crate::api::coverage::{CoverageAnswer, CoverageRow, Question, TrendDay, answer};
use crate::report::coverage::Standing;

const EXAMPLES: &str = "Examples:
  wan-collector coverage                                   now
  wan-collector coverage --at 2026-11-01T08:00             on a morning
  wan-collector coverage --from 2026-11-01 --to 2026-12-01 the mean of November
  wan-collector coverage --by district --at 2025-03-01       by the districts of that day's register
  wan-collector coverage --by carrier --from 2026-11-01     a site counts under each carrier of its WAN links
  wan-collector coverage --trend --from 2026-11-01          each day, for the tiers (with --by: for the groups)
  wan-collector coverage --from -7d --tier commune --format csv > communes.csv

Low counts the unknown sites as not connected, high as connected; the truth lies between. The target is met when low
reaches it, missed when high does not, undecided between.";

/// What is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, long_about = "How much of the province is connected, by tier and branch, against the plan.\n\n\
    Reads the data folder; a running server is not disturbed and not needed. Without --at, --from and --to: now.")]
pub struct Args {
    /// Coverage at this instant.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to"], help = AT)]
    at: Option<String>,
    /// Mean coverage since then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help = FROM)]
    from: Option<String>,
    /// Mean coverage up to then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// By what to group: tier and branch, or one of these.
    #[arg(long, value_name = "branch|district|carrier")]
    by: Option<String>,
    /// Each day of the window [default window: the last 30 days].
    #[arg(long, conflicts_with = "at")]
    trend: bool,
    /// Only sites that were of these tiers at the time, separated by commas.
    #[arg(long, value_name = "TIER,…")]
    tier: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const AT: &str = "Coverage at this instant: 2026-11-01, 2026-11-01T08:00 (the province's zone), -24h, now";
const FROM: &str = "Mean coverage since then [default: 24 hours before --to]";

/// Prints coverage.
///
/// # Errors
/// When the data cannot be read or the question is wrong.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let question = Question {
        at: args.at.as_deref(),
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        tier: args.tier.as_deref(),
        by: args.by.as_deref(),
        trend: args.trend.then_some("day"),
    };
    figures::run(file, args.format, |province| answer(province, question), table, csv)
}

/// A row's group as it is shown: tier and branch, or the one name of a group.
fn names(row: &CoverageRow) -> (String, String) {
    let group = row.district.as_ref().or(row.carrier.as_ref());
    if let Some(group) = group {
        return (if group.is_empty() { "–".to_owned() } else { group.clone() }, String::new());
    }
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "all".to_owned());
    (name(&row.tier), name(&row.branch))
}

/// The rows to print, each with its time: those of each day of a trend, of the groups, or of tiers and branches.
fn timed(answer: &CoverageAnswer) -> Vec<(Option<&TrendDay>, &CoverageRow)> {
    if let Some(trend) = &answer.trend {
        let of_day = |day: &'_ TrendDay| day.rows.iter().chain([&day.total]).count();
        let mut all = Vec::with_capacity(trend.iter().map(of_day).sum());
        for day in trend {
            all.extend(day.rows.iter().chain([&day.total]).map(|row| (Some(day), row)));
        }
        return all;
    }
    if answer.by == "tier" {
        rows(answer).map(|row| (None, row)).collect()
    } else {
        answer.groups.iter().chain([&answer.total]).map(|row| (None, row)).collect()
    }
}

/// Cells under their tier, then all.
fn rows(answer: &CoverageAnswer) -> impl Iterator<Item = &CoverageRow> {
    let of_tier = |tier: &'_ CoverageRow| {
        let tier = tier.tier.clone();
        answer.cells.iter().filter(move |cell| cell.tier == tier)
    };
    let tiers = answer.tiers.iter().flat_map(move |tier| of_tier(tier).chain(std::iter::once(tier)));
    tiers.chain(std::iter::once(&answer.total))
}

fn table(answer: &CoverageAnswer) -> String {
    let when = match (&answer.at_local, &answer.window) {
        (Some(at), _) => format!("at {at}"),
        (None, Some(window)) => format!("from {} to {}, mean", window.start_local, window.end_local),
        (None, None) => String::new(),
    };
    let grouped = answer.by != "tier";
    let mut header: Vec<&str> = if grouped { vec![&answer.by] } else { vec!["tier", "branch"] };
    header.extend([
        "sites",
        "equipped",
        "covered",
        "not covered",
        "unknown",
        "low",
        "high",
        "target",
        "standing",
    ]);
    let trend = answer.trend.is_some();
    if trend {
        header.insert(0, "day");
    }
    let numbers = usize::from(trend) + if grouped { 1 } else { 2 };
    let row = |(day, row): (Option<&TrendDay>, &CoverageRow)| {
        let (first, second) = names(row);
        let mut cells: Vec<String> = day.map(|day| day.day.clone()).into_iter().collect();
        match (grouped, answer.by.as_str()) {
            (true, "branch") => cells.push(second),
            (true, _) => cells.push(first),
            (false, _) => cells.extend([first, second]),
        }
        cells.extend([
            figures::sites(row.registered),
            figures::sites(row.equipped),
            figures::sites(row.covered),
            figures::sites(row.not_covered),
            figures::sites(row.unknown),
            figures::percent(row.low),
            figures::percent(row.high),
            row.target.map_or_else(String::new, |target| figures::percent(Some(target))),
            // A branch has no target of its own: its tier's is told, its standing is not a promise of the plan's.
            row.standing.filter(|_| row.branch.is_none()).map_or("", word).to_owned(),
        ]);
        cells
    };
    let body = figures::table(&header, numbers, timed(answer).into_iter().map(row));
    format!("Coverage {when} ({}); required: {}\n{body}", answer.zone, answer.required.join(", "))
}

fn csv(answer: &CoverageAnswer) -> anyhow::Result<String> {
    let header = [
        "tier",
        "branch",
        "district",
        "carrier",
        "at",
        "from",
        "to",
        "registered",
        "equipped",
        "covered",
        "not_covered",
        "unknown",
        "equipped_share",
        "low",
        "high",
        "target",
        "standing",
    ];
    let row = |(day, row): (Option<&TrendDay>, &CoverageRow)| {
        let window = day.map(|day| &day.window).or(answer.window.as_ref());
        vec![
            row.tier.clone().unwrap_or_default(),
            row.branch.clone().unwrap_or_default(),
            row.district.clone().unwrap_or_default(),
            row.carrier.clone().unwrap_or_default(),
            answer.at_local.clone().unwrap_or_default(),
            window.map(|window| window.start_local.clone()).unwrap_or_default(),
            window.map(|window| window.end_local.clone()).unwrap_or_default(),
            row.registered.to_string(),
            row.equipped.to_string(),
            row.covered.to_string(),
            row.not_covered.to_string(),
            row.unknown.to_string(),
            figures::ratio(row.equipped_share),
            figures::ratio(row.low),
            figures::ratio(row.high),
            figures::ratio(row.target),
            row.standing.map_or("", word).to_owned(),
        ]
    };
    figures::csv(&header, timed(answer).into_iter().map(row))
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "met",
        Standing::Missed => "missed",
        Standing::Undecided => "undecided",
    }
}
