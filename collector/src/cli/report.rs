//! `wan-collector report`: the report of a month, and whether one that was kept still says what the ledger says.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args as ClapArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wan_wire::UnixMillis;

use super::figures;
use super::output::{block_on, print, say};
use crate::api::report::{Question, file_name, none, whole_second};
use crate::calendar::Month;
use crate::clock;
use crate::config::Config;
use crate::province::Province;
use crate::report::monthly::{self, FirstReport, Kept, Made, Subject, asked};
use crate::report::render::{self, Format};
use crate::report::verify::{Difference, verify};
use crate::state::State;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

const EXAMPLES: &str = "Examples:
  wan-collector report                                              last month, Vietnamese, as a workbook
  wan-collector report --month 2026-10 --lang en --format html --output october.html
  wan-collector report --month 2026-10 --format json | jq '.tables[0]'
  wan-collector report --verify wanwatch-2026-10-vi.xlsx            does it still say what the ledger says?

A month that is not over gives a preliminary report, of the part up to now. The key figures of the first report of a closed month are
remembered; when late evidence changes them, later reports show both values under “restated since”.
With --verify the exit code is 1 when a figure differs.";

/// Largest file that is verified.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// Differences that are shown as a table; --json has all.
const SHOWN_AT_MOST: usize = 200;
/// How often the progress bar is drawn anew.
const DRAWN_EVERY: usize = 16;

/// What is asked.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES, long_about = "The report of a month for the head of the department: coverage against the plan, uptime by site \
    and contract, the longest incidents and their causes, and by what rules all was counted.\n\nReads the data folder, also beside a running \
    server.")]
pub struct Args {
    /// The month [default: the last one that is over].
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
    /// Its language: vi or en [default: vi].
    #[arg(long, value_name = "vi|en")]
    lang: Option<String>,
    /// Its format.
    #[arg(long, value_enum, default_value = "xlsx")]
    format: Format,
    /// What planned time is to the figures of sites and links: left out, counted as up, or counted as it was seen [default: exclude].
    #[arg(long, value_name = "exclude|up|ignore")]
    planned: Option<String>,
    /// Where it is written; - is standard output [default: wanwatch-MONTH-LANG.FORMAT here, or standard output where that is no terminal].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Compute a report that was kept anew, and say which figures differ. Its format is seen by itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["month", "lang", "format", "planned", "output"])]
    verify: Option<PathBuf>,
    /// With --verify: print the differences as JSON.
    #[arg(long, requires = "verify")]
    json: bool,
}

/// Makes or verifies a report.
///
/// # Errors
/// When the configuration or the question is wrong, the data cannot be read, or the file cannot be read or written.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    match &args.verify {
        Some(kept) => check(config, kept, args.json),
        None => make(config, args),
    }
}

fn make(config: Config, args: &Args) -> anyhow::Result<ExitCode> {
    let database = config.database();
    let now = whole_second(clock::now());
    let state = block_on(crate::load_read_only(config))?;
    let question = Question {
        month: args.month.as_deref(),
        lang: args.lang.as_deref(),
        planned: args.planned.as_deref(),
    };
    let subject = question.read(&state, now)?;
    let (made, known) = report(&state, &database, subject, now)?;
    let bytes = render::write(&made.report, args.format)?;
    if let (false, Some(figures)) = (known, made.figures) {
        let kept = block_on(keep(&database, subject.month, FirstReport { at: now, figures }));
        if let Err(error) = kept {
            say(format_args!(
                "warning: the figures of this report could not be remembered as the first of its month: {error:#}"
            ));
        }
    }
    let to_terminal = std::io::stdout().is_terminal();
    let output = match &args.output {
        Some(path) => Some(path.clone()).filter(|path| path != Path::new("-")),
        None if to_terminal => Some(PathBuf::from(file_name(&made.report, args.format))),
        None => None,
    };
    match output {
        Some(path) => {
            std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
            say(format_args!("{}\n{}\n{}", made.report.title, made.report.subtitle, path.display()));
        }
        None => {
            ensure!(
                !(to_terminal && args.format == Format::Xlsx),
                "a workbook is not for a terminal; name a file with --output"
            );
            let mut out = std::io::stdout().lock();
            match out.write_all(&bytes).and_then(|()| out.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(config: Config, path: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    ensure!(
        size <= MAX_FILE_BYTES,
        "{shown}: found {size} bytes, expected a report of at most {MAX_FILE_BYTES}"
    );
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let (_, grid) = render::read(&bytes).with_context(|| format!("{shown}"))?;
    let Some(asked) = asked(&grid, &config.timezone) else {
        bail!(
            "{shown}: it does not say of which month it is and when it was made; expected the table of rules and parameters as \
             `wan-collector report` writes it"
        );
    };
    let database = config.database();
    let state = block_on(crate::load_read_only(config))?;
    let (made, _) = report(&state, &database, asked.subject, asked.made_at)?;
    let compared = verify(&bytes, &made.report).with_context(|| format!("{shown}"))?;
    let differences = &compared.differences;
    if json {
        print(format_args!("{}\n", serde_json::to_string_pretty(differences)?))?;
    } else if differences.is_empty() {
        print(format_args!("{shown}: {} figures, all as the ledger has them\n", compared.cells))?;
    } else {
        let more = differences.len().saturating_sub(SHOWN_AT_MOST);
        let more = if more > 0 { format!("… and {more} more; --json has all\n") } else { String::new() };
        let rows = differences.iter().take(SHOWN_AT_MOST).map(row);
        let table = figures::table(&["table", "row", "column", "the file says", "the ledger says"], 5, rows);
        print(format_args!(
            "{shown}: {} of {} figures differ from the ledger\n{table}{more}",
            differences.len(),
            compared.cells
        ))?;
    }
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(difference: &Difference) -> Vec<String> {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not there)".to_owned());
    vec![
        difference.table.clone(),
        difference.row.clone(),
        difference.column.clone(),
        value(&difference.was),
        value(&difference.is),
    ]
}

/// The report as of `now`, and whether one was made of its month before.
fn report(state: &State, database: &Path, subject: Subject, now: UnixMillis) -> anyhow::Result<(Made, bool)> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    // Links come many at a time, sites one by one.
    let draw = |done: usize, total: usize, every: usize, of: &'static str| {
        if done == 0 {
            bar.reset();
            bar.set_message(of);
            bar.set_length(u64::try_from(total).unwrap_or(u64::MAX));
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        if done.is_multiple_of(every) || done == total {
            bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        }
    };
    let province = Province::of(state, now);
    let read = &mut |done, total| draw(done, total, 1, "links");
    let kept = block_on(load(database, &province, subject.month, read))?;
    let made = monthly::report(&province, subject, &kept, &mut |done, total| {
        draw(done, total, DRAWN_EVERY, "sites")
    });
    bar.finish_and_clear();
    Ok((made.map_err(|why| none(why, &subject))?, kept.first.is_some()))
}

async fn load(
    database: &Path,
    province: &Province<'_>,
    month: Month,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> anyhow::Result<Kept> {
    let store = SqliteStore::open_read_only(database).await?;
    Ok(Kept::load(&store, province, month, progress).await?)
}

async fn keep(database: &Path, month: Month, first: FirstReport) -> anyhow::Result<()> {
    let store = SqliteStore::open(database).await?;
    store.keep_first_report(month, &first).await?;
    store.close().await;
    Ok(())
}
