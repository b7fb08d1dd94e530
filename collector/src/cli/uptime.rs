//! `wan-collector uptime`.

use std::path::Path;
use std::process::ExitCode;

use super::figures;
use super::output::Format;
use crate::api::uptime::{Question, UptimeAnswer, UptimeRow, answer};
use crate::report::uptime::{HoursOf, Policy};

const EXAMPLES: &str = "Examples:
  wan-collector uptime --from -7d --site ubnd-xa-loc-hung   one site and its links, last week
  wan-collector uptime --period 2026-11                     all of November
  wan-collector uptime --period 2026-Q4 --hours service --planned ignore
                                                            in office hours, as if nothing had been planned
  wan-collector uptime --link wan-vnpt --format csv > vnpt.csv

Uptime is (up + degraded) ÷ observed. Low and high are what it would be, had all or none of the unobserved time been
down: the truth lies between. A row without a link is the site itself, as the plan defines connected.";

/// What is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, long_about = "How reliable sites and links were over a window, with bounds.\n\n\
    Reads the data folder; a running server is not disturbed and not needed. Without --from and --to: the last 24 hours.")]
pub struct Args {
    /// Start of the window.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help = FROM)]
    from: Option<String>,
    /// End of the window, not part of it [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// A month (2026-10) or a quarter (2026-Q4) of the province, in place of both.
    #[arg(long, value_name = "PERIOD", conflicts_with_all = ["from", "to"])]
    period: Option<String>,
    /// Which hours count: all, or those of service by the configuration's calendar [default: all].
    #[arg(long, value_name = "all|service")]
    hours: Option<String>,
    /// What planned time is: in no figure, counted as up, or counted as it was seen [default: exclude].
    #[arg(long, value_name = "exclude|up|ignore")]
    planned: Option<String>,
    /// Only sites of these tiers, separated by commas.
    #[arg(long, value_name = "TIER,…")]
    tier: Option<String>,
    /// Only this site.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Only links of this name.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const FROM: &str = "Start of the window: 2026-11-01, 2026-11-01T08:00 (the province's zone), -7d [default: 24 hours before --to]";

/// Prints uptime.
///
/// # Errors
/// When the data cannot be read or the question is wrong.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let question = Question {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        tier: args.tier.as_deref(),
        site: args.site.as_deref(),
        link: args.link.as_deref(),
        period: args.period.as_deref(),
        hours: args.hours.as_deref(),
        planned: args.planned.as_deref(),
    };
    figures::run(file, args.format, |province| answer(province, question), table, csv)
}

fn table(answer: &UptimeAnswer) -> String {
    let header = [
        "site",
        "name",
        "link",
        "uptime",
        "low",
        "high",
        "observed",
        "availability",
        "down",
        "planned",
        "outside",
        "outages",
        "longest",
    ];
    let row = |row: &UptimeRow| {
        let figures = &row.figures;
        vec![
            row.site.clone(),
            row.name.clone(),
            row.link.clone().unwrap_or_else(|| "(site)".to_owned()),
            figures::percent(figures.uptime),
            figures::percent(figures.low),
            figures::percent(figures.high),
            figures::percent(figures.observed_share),
            figures::percent(figures.availability),
            figures::duration(figures.down_ms),
            figures::duration(figures.planned_ms),
            figures::duration(figures.outside_ms),
            figures.outages.to_string(),
            figures.longest_outage.as_ref().map_or_else(String::new, |o| figures::duration(o.down_ms)),
        ]
    };
    let body = figures::table(&header, 3, answer.rows.iter().map(row));
    let window = &answer.window;
    let terms = match (answer.hours, answer.planned) {
        (HoursOf::All, Policy::Exclude) => String::new(),
        (hours, planned) => format!("; hours: {}, planned: {}", hours.as_str(), planned.as_str()),
    };
    format!("Uptime from {} to {} ({}{terms})\n{body}", window.start_local, window.end_local, answer.zone)
}

fn csv(answer: &UptimeAnswer) -> anyhow::Result<String> {
    let header = [
        "site",
        "name",
        "tier",
        "branch",
        "link",
        "kind",
        "carrier",
        "contract_uptime",
        "from",
        "to",
        "uptime",
        "availability",
        "low",
        "high",
        "observed_share",
        "up_ms",
        "degraded_ms",
        "down_ms",
        "unknown_ms",
        "planned_ms",
        "outages",
        "longest_outage_from",
        "longest_outage_to",
        "longest_outage_down_ms",
        "outside_ms",
        "hours",
        "planned",
    ];
    let row = |row: &UptimeRow| {
        let figures = &row.figures;
        let longest = figures.longest_outage.as_ref();
        vec![
            row.site.clone(),
            row.name.clone(),
            row.tier.clone(),
            row.branch.clone(),
            row.link.clone().unwrap_or_default(),
            row.kind.clone().unwrap_or_default(),
            row.carrier.clone().unwrap_or_default(),
            figures::ratio(row.contract_uptime),
            figures.window.start_local.clone(),
            figures.window.end_local.clone(),
            figures::ratio(figures.uptime),
            figures::ratio(figures.availability),
            figures::ratio(figures.low),
            figures::ratio(figures.high),
            figures::ratio(figures.observed_share),
            figures.up_ms.to_string(),
            figures.degraded_ms.to_string(),
            figures.down_ms.to_string(),
            figures.unknown_ms.to_string(),
            figures.planned_ms.to_string(),
            figures.outages.to_string(),
            longest.map(|outage| outage.start_local.clone()).unwrap_or_default(),
            longest.map(|outage| outage.end_local.clone()).unwrap_or_default(),
            longest.map(|outage| outage.down_ms.to_string()).unwrap_or_default(),
            figures.outside_ms.to_string(),
            answer.hours.as_str().to_owned(),
            answer.planned.as_str().to_owned(),
        ]
    };
    figures::csv(&header, answer.rows.iter().map(row))
}
