//! `wan-collector reach`.

use std::path::Path;
use std::process::ExitCode;

use super::figures;
use super::output::Format;
use crate::api::coverage::CoverageRow;
use crate::api::reach::{Question, ReachAnswer, answer};

const EXAMPLES: &str = "Examples:
  wan-collector reach                                   now
  wan-collector reach --from 2026-11-01 --to 2026-12-01 the mean of November
  wan-collector reach --tier commune --format csv

A shared system is known by the name of the links that lead to it: service-dms, service-mail. All registered sites count: one whose
agent does not measure the link is unknown, one without an agent is not reached. Low counts the unknown ones as not reached, high as
reached; the truth lies between.";

/// What is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, long_about = "How much of the province reaches each shared system, by tier.\n\n\
    Reads the data folder; a running server is not disturbed and not needed. Without --at, --from and --to: now.")]
pub struct Args {
    /// Reach at this instant: 2026-11-01, 2026-11-01T08:00 (the province's zone), -24h, now.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to"])]
    at: Option<String>,
    /// Mean reach since then [default: 24 hours before --to].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Mean reach up to then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only sites that were of these tiers at the time, separated by commas.
    #[arg(long, value_name = "TIER,…")]
    tier: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Prints the reach of every shared system.
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

fn rows(answer: &ReachAnswer) -> impl Iterator<Item = (&str, &CoverageRow)> {
    answer
        .systems
        .iter()
        .flat_map(|system| system.tiers.iter().chain([&system.total]).map(|row| (system.link.as_str(), row)))
}

fn table(answer: &ReachAnswer) -> String {
    let when = match (&answer.at_local, &answer.window) {
        (Some(at), _) => format!("at {at}"),
        (None, Some(window)) => format!("from {} to {}, mean", window.start_local, window.end_local),
        (None, None) => String::new(),
    };
    if answer.systems.is_empty() {
        return format!(
            "Reach {when} ({}): no link of the kind service is registered or measured\n",
            answer.zone
        );
    }
    let header = ["system", "tier", "sites", "reached", "not reached", "unknown", "low", "high"];
    let row = |(system, row): (&str, &CoverageRow)| {
        vec![
            system.to_owned(),
            row.tier.clone().unwrap_or_else(|| "all".to_owned()),
            figures::sites(row.registered),
            figures::sites(row.covered),
            figures::sites(row.not_covered),
            figures::sites(row.unknown),
            figures::percent(row.low),
            figures::percent(row.high),
        ]
    };
    let body = figures::table(&header, 2, rows(answer).map(row));
    format!("Reach {when} ({})\n{body}", answer.zone)
}

fn csv(answer: &ReachAnswer) -> anyhow::Result<String> {
    let header = [
        "system",
        "tier",
        "at",
        "from",
        "to",
        "registered",
        "reached",
        "not_reached",
        "unknown",
        "low",
        "high",
    ];
    let window = answer.window.as_ref();
    let row = |(system, row): (&str, &CoverageRow)| {
        vec![
            system.to_owned(),
            row.tier.clone().unwrap_or_default(),
            answer.at_local.clone().unwrap_or_default(),
            window.map(|window| window.start_local.clone()).unwrap_or_default(),
            window.map(|window| window.end_local.clone()).unwrap_or_default(),
            row.registered.to_string(),
            row.covered.to_string(),
            row.not_covered.to_string(),
            row.unknown.to_string(),
            figures::ratio(row.low),
            figures::ratio(row.high),
        ]
    };
    figures::csv(&header, rows(answer).map(row))
}
