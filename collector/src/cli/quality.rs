//! `wan-collector quality`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::figures;
use super::output::{Format, block_on, print};
use crate::api::quality::{LinkQuality, QualityAnswer, QualityFigures, Question, answer, ask, load};
use crate::clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::province::Province;
use crate::state::State;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

const EXAMPLES: &str = "Examples:
  wan-collector quality ubnd-xa-loc-hung                         every link, the last 24 hours
  wan-collector quality ubnd-xa-loc-hung wan-vnpt --last 2h --step minute
  wan-collector quality ubnd-xa-loc-hung --from 2026-11-01 --to 2026-12-01 --step day --format csv

Loss is of the way there and back (ITU-T Y.1540); while up: of rounds that got any answer, as contracts are held to it. p95
is within 5 %. Jitter is by how much a reply took longer than the shortest of its round, in the mean (RFC 5481, PDV). MOS is
an estimate and no measurement: what a G.711 call would score by the E-model (ITU-T G.107), from half the round-trip time,
jitter and loss. What was pushed in the last minute may be missing.";

/// What is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, long_about = "How well the links of a site carried packets: loss, round-trip times, jitter, estimated MOS.\n\n\
    Reads the data folder; a running server is not disturbed and not needed. Without --last, --from and --to: the last 24 hours.\n\
    Times are the province's zone. Minutes are kept 14 days, hours three years.")]
pub struct Args {
    /// The site's id.
    #[arg(value_name = "SITE")]
    site: String,
    /// One of its links [default: all].
    #[arg(value_name = "LINK")]
    link: Option<String>,
    /// The window: so long before now, as 24h, 90m or 7d.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["from", "to"])]
    last: Option<String>,
    /// Start of the window: 2026-11-01, 2026-11-01T08:00 (the province's zone), -7d.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End of the window, not part of it [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// A row for each minute, hour or day (or auto, the finest that fits) instead of one for the whole window.
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The same as --format json: what the API answers.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Prints figures.
///
/// # Errors
/// When the data cannot be read or the question is wrong.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let answer = block_on(read(Config::load(file)?, args))?;
    let by_step = args.step.is_some();
    print(match if args.json { Format::Json } else { args.format } {
        Format::Table => table(&answer, by_step),
        Format::Json => serde_json::to_string(&answer)? + "\n",
        Format::Csv => figures::csv(&CSV, answer.links.iter().flat_map(|link| csv(&answer, link, by_step)))?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Evidence is not read: the figures are in the store alone.
async fn read(config: Config, args: &Args) -> anyhow::Result<QualityAnswer> {
    let store = SqliteStore::open_read_only(&config.database()).await?;
    let state = State::new(config, None, Arc::new(Counters::new()?));
    state.replace_register(store.snapshot().await?);
    let last = args.last.as_ref().map(|last| format!("-{last}"));
    let question = Question {
        site: &args.site,
        link: args.link.as_deref(),
        from: last.as_deref().or(args.from.as_deref()),
        to: args.to.as_deref(),
        step: args.step.as_deref(),
    };
    let province = Province::of(&state, clock::now());
    let asked = ask(&province, question)?;
    Ok(answer(&province, &asked, load(&store, &asked).await?)?)
}

fn table(answer: &QualityAnswer, by_step: bool) -> String {
    let header = [
        "link",
        "from",
        "sent",
        "received",
        "loss",
        "while up",
        "min",
        "mean",
        "p95",
        "max",
        "jitter",
        "MOS (estimate)",
    ];
    let row = |link: &str, from: &str, figures: &QualityFigures| {
        vec![
            link.to_owned(),
            from.to_owned(),
            figures.sent.to_string(),
            figures.received.to_string(),
            figures::percent(figures.loss),
            figures::percent(figures.loss_while_up),
            millis(figures.rtt_min_seconds),
            millis(figures.rtt_mean_seconds),
            millis(figures.rtt_p95_seconds),
            millis(figures.rtt_max_seconds),
            millis(figures.jitter_seconds),
            figures.mos_estimate.map_or_else(nothing, |mos| format!("{mos:.2}")),
        ]
    };
    let rows = answer.links.iter().flat_map(|link| {
        if by_step {
            let points = link.points.iter();
            points.map(|point| row(&link.link, &point.start_local, &point.figures)).collect()
        } else {
            vec![row(&link.link, &answer.window.start_local, &link.whole)]
        }
    });
    let body = figures::table(&header, 2, rows);
    let window = &answer.window;
    format!(
        "Quality of {} from {} to {} ({})\n{body}",
        answer.site, window.start_local, window.end_local, answer.zone
    )
}

const CSV: [&str; 15] = [
    "site",
    "link",
    "from",
    "step",
    "rounds",
    "sent",
    "received",
    "loss",
    "loss_while_up",
    "rtt_min_seconds",
    "rtt_mean_seconds",
    "rtt_p95_seconds",
    "rtt_max_seconds",
    "jitter_seconds",
    "mos_estimate",
];

fn csv(answer: &QualityAnswer, link: &LinkQuality, by_step: bool) -> Vec<Vec<String>> {
    let row = |from: &str, step: &str, figures: &QualityFigures| {
        vec![
            answer.site.clone(),
            link.link.clone(),
            from.to_owned(),
            step.to_owned(),
            figures.rounds.to_string(),
            figures.sent.to_string(),
            figures.received.to_string(),
            figures::ratio(figures.loss),
            figures::ratio(figures.loss_while_up),
            figures::ratio(figures.rtt_min_seconds),
            figures::ratio(figures.rtt_mean_seconds),
            figures::ratio(figures.rtt_p95_seconds),
            figures::ratio(figures.rtt_max_seconds),
            figures::ratio(figures.jitter_seconds),
            figures::ratio(figures.mos_estimate),
        ]
    };
    if by_step {
        link.points.iter().map(|p| row(&p.start_local, answer.step.as_str(), &p.figures)).collect()
    } else {
        vec![row(&answer.window.start_local, "window", &link.whole)]
    }
}

fn millis(seconds: Option<f64>) -> String {
    seconds.map_or_else(nothing, |seconds| format!("{:.1} ms", seconds * 1000.0))
}

fn nothing() -> String {
    "–".to_owned()
}
