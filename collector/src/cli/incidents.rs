//! `wan-collector incidents`.

use std::path::Path;
use std::process::ExitCode;

use wan_wire::UnixMillis;

use super::figures::{self, local};
use super::output::{Format, block_on, print};
use crate::clock;
use crate::config::Config;
use crate::incidents::endpoint::{Asked, IncidentRow, IncidentsAnswer, Question};
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

const EXAMPLES: &str = "Examples:
  wan-collector incidents --open                          what goes on now
  wan-collector incidents --from -7d --kind outage        last week's outages
  wan-collector incidents --from 2026-10-01 --to 2026-11-01 --cause carrier --format csv > carrier.csv

Every incident names its cause, the rule that decided, and the evidence. `unknown` means that the evidence does not tell: it is never
a guess. A restated incident shows what was said before with --format json.";

/// What is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, long_about = "Outages, degradations and gaps of sites and links, with their causes.\n\n\
    Reads what the running server has told; that is written every few seconds. Without --from and --to: the last 24 hours.")]
pub struct Args {
    /// Start of the window.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End of the window, not part of it [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only this site and its links.
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// Only links of this name; `site`: only sites as a whole.
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// Only this kind: outage, degradation or gap.
    #[arg(long)]
    kind: Option<String>,
    /// Only this cause: carrier, isp, lan, power, agent, upstream, collector, planned or unknown.
    #[arg(long)]
    cause: Option<String>,
    /// Only those that go on.
    #[arg(long)]
    open: bool,
    /// At most so many, the newest [default: 1000].
    #[arg(long, value_name = "NUMBER")]
    limit: Option<String>,
    /// Language of the sentences: vi or en.
    #[arg(long, default_value = "en")]
    lang: String,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// Prints incidents.
///
/// # Errors
/// When the data cannot be read or the question is wrong.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    let answer = block_on(ask(&config, args, clock::now()))?;
    print(match args.format {
        Format::Table => table(&answer),
        Format::Json => serde_json::to_string(&answer)? + "\n",
        Format::Csv => csv(&answer)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(config: &Config, args: &Args, now: UnixMillis) -> anyhow::Result<IncidentsAnswer> {
    let store = SqliteStore::open_read_only(&config.database()).await?;
    let question = Question {
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        site: args.site.as_deref(),
        link: args.link.as_deref(),
        kind: args.kind.as_deref(),
        cause: args.cause.as_deref(),
        open: args.open.then_some("true"),
        limit: args.limit.as_deref(),
        lang: Some(&args.lang),
    };
    let register = store.snapshot().await?.register;
    let asked = Asked::read(&question, &register, &config.timezone, now)?;
    let (told, restatements) =
        (store.incidents(asked.wanted()).await?, store.restatements(asked.wanted()).await?);
    Ok(asked.answer(&told, &restatements, &register, &config.timezone))
}

fn table(answer: &IncidentsAnswer) -> String {
    let header = ["start", "end", "lasted", "site", "name", "link", "kind", "cause", "why"];
    let row = |row: &IncidentRow| {
        let word = &row.word;
        let note = match (row.taken_back, row.restatements.len()) {
            (Some(_), _) => " (taken back)",
            (None, 0) => "",
            (None, _) => " (restated)",
        };
        vec![
            local(&word.start_local),
            word.end_local.as_deref().map_or_else(|| "goes on".to_owned(), local),
            figures::duration(word.bad_ms),
            row.site.clone(),
            row.name.clone(),
            row.link.clone().unwrap_or_else(|| "–".to_owned()),
            word.kind.as_str().to_owned(),
            word.cause.as_str().to_owned(),
            format!("{}{note}", word.why),
        ]
    };
    let window = &answer.window;
    let mut text = format!("Incidents up to {} ({})\n", local(&window.end_local), answer.zone);
    if answer.incidents.is_empty() {
        text.push_str("none\n");
        return text;
    }
    text.push_str(&figures::table(&header, header.len(), answer.incidents.iter().map(row)));
    if answer.more {
        text.push_str("there are more: ask for a shorter window, or raise --limit\n");
    }
    text
}

fn csv(answer: &IncidentsAnswer) -> anyhow::Result<String> {
    let header = [
        "id",
        "site",
        "name",
        "link",
        "kind",
        "start",
        "end",
        "bad_ms",
        "cause",
        "rule",
        "why",
        "evidence",
        "restated",
        "taken_back",
    ];
    let row = |row: &IncidentRow| {
        vec![
            row.id.clone(),
            row.site.clone(),
            row.name.clone(),
            row.link.clone().unwrap_or_default(),
            row.word.kind.as_str().to_owned(),
            row.word.start_local.clone(),
            row.word.end_local.clone().unwrap_or_default(),
            row.word.bad_ms.to_string(),
            row.word.cause.as_str().to_owned(),
            row.word.rule.as_str().to_owned(),
            row.word.why.clone(),
            row.evidence.clone(),
            row.restatements.len().to_string(),
            row.taken_back.is_some().to_string(),
        ]
    };
    figures::csv(&header, answer.incidents.iter().map(row))
}
