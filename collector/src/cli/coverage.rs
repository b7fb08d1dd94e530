//! `wan-collector coverage`.

use std::path::Path;
use std::process::ExitCode;

use super::figures;
use super::output::Format;
use crate::api::coverage::{CoverageAnswer, CoverageRow, Question, answer};
use crate::report::coverage::Standing;

const EXAMPLES: &str = "Examples:
  wan-collector coverage                                   now
  wan-collector coverage --at 2026-11-01T08:00             on a morning
  wan-collector coverage --from 2026-11-01 --to 2026-12-01 the mean of November
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
    /// Only sites of these tiers, separated by commas.
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
    };
    figures::run(file, args.format, |province| answer(province, question), table, csv)
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
    let header = [
        "tier",
        "branch",
        "sites",
        "equipped",
        "covered",
        "not covered",
        "unknown",
        "low",
        "high",
        "target",
        "standing",
    ];
    let row = |row: &CoverageRow| {
        vec![
            row.tier.clone().unwrap_or_else(|| "all".to_owned()),
            row.branch.clone().unwrap_or_else(|| "all".to_owned()),
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
        ]
    };
    let body = figures::table(&header, 2, rows(answer).map(row));
    format!("Coverage {when} ({}); required: {}\n{body}", answer.zone, answer.required.join(", "))
}

fn csv(answer: &CoverageAnswer) -> anyhow::Result<String> {
    let header = [
        "tier",
        "branch",
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
    let window = answer.window.as_ref();
    let row = |row: &CoverageRow| {
        vec![
            row.tier.clone().unwrap_or_default(),
            row.branch.clone().unwrap_or_default(),
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
    figures::csv(&header, rows(answer).map(row))
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "met",
        Standing::Missed => "missed",
        Standing::Undecided => "undecided",
    }
}
