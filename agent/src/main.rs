//! `wan-agent`: arguments, logging, signals.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use wan_agent::config::{Config, DEFAULT_DATA, DEFAULT_PATH, Use};
use wan_agent::enrol::{self, Language};
use wan_agent::report::{self, exit};
use wan_agent::status;
use wan_agent::status::socket::AskError;

/// Probes a site's LAN, WAN and Internet links in rounds and pushes what it measured to the collector.
#[derive(Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "\
Without `links` in its configuration the agent probes the default gateway (lan), the collector's host (wan) and two\n\
public resolvers (internet). The sample configuration documents every key."
)]
struct Arguments {
    /// What to log: error, warn, info, debug, or a filter such as `info,wan_agent::push=debug` [default: info for run, else warn]
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    log: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Enrol this machine: do what the line says that `wan-collector enroll SITE` prints
    #[command(
        alias = "enrol",
        after_help = "\
The secret is made here and stays here; the collector keeps its hash. The same line may be pasted again after any failure.\n\n\
Exit codes: 0 enrolled, 1 the collector refused, 2 a mistake in the line, enrolled already, or files cannot be written,\n\
3 no collector answered, 4 enrolled but the service did not start."
    )]
    Enroll(enrol::Line),
    /// Probe and push until SIGTERM or SIGINT; then push once more and exit with 0
    #[command(
        after_help = "Exit codes: 0 stopped by a signal, 2 a mistake in the configuration or the arguments."
    )]
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
        config: PathBuf,
    },
    /// Probe everything for one round and show a table; needs no collector
    #[command(after_help = "\
Exit codes: 0 all links are up, 1 some link is degraded or down, 2 a mistake in the configuration or the arguments,\n\
3 the instrument failed on some link (no permission, no socket, interface missing, nothing to ask).")]
    Probe {
        /// The configuration file; without it the defaults
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show what the running agent does, and why: where it pushes, what waits, what it probes by
    #[command(after_help = "\
Exit codes: 0 it runs and pushes, 1 it runs, but its last pushes failed, 2 a mistake in the arguments or no answer,\n\
3 no agent runs with this data folder.")]
    Status {
        /// The configuration file, which names the data folder
        #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
        config: PathBuf,
        /// The data folder, instead of the one that the configuration names
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration file for `run`, and list every mistake at once
    #[command(after_help = "Exit codes: 0 no mistake, 2 mistakes, each as FILE:LINE:COLUMN: KEY: …")]
    CheckConfig {
        /// The configuration file
        file: PathBuf,
        /// How to show mistakes
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line for each mistake
    Text,
    /// A JSON array of objects with file, line, column, key, found, expected, remedy
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A service's log tells its story; a table is not to be buried in one.
    let usual = if matches!(arguments.command, Command::Run { .. }) { "info" } else { "warn" };
    let log = arguments.log.unwrap_or_else(|| usual.to_owned());
    let filter = match EnvFilter::try_new(&log) {
        Ok(filter) => filter,
        Err(error) => return refuse(&format!("--log {log}: {error}; use error, warn, info or debug")),
    };
    let coloured = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(coloured).init();
    let code = match arguments.command {
        Command::Enroll(line) => in_runtime(enroll(line)),
        Command::Run { config } => match Config::load(&config, Use::Run) {
            Ok(config) => in_runtime(run(config)),
            Err(error) => {
                let why = enrol::not_enrolled(&config).map(|said| said.show(Language::of_environment()));
                return refuse(&why.unwrap_or_else(|| error.to_string()));
            }
        },
        Command::Probe { config } => {
            match config.map_or(Ok(Config::default()), |path| Config::load(&path, Use::Probe)) {
                Ok(config) => in_runtime(probe(config)),
                Err(error) => return refuse(&error.to_string()),
            }
        }
        Command::Status { config, data, json } => in_runtime(status(config, data, json)),
        Command::CheckConfig { file, format } => check(&file, format),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => refuse(&format!("{error:#}")),
    }
}

/// One thread: steadier round-trip times and less memory. Its blocking threads look up names and work on small files and the
/// queue's disk, and do not linger.
fn in_runtime(work: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(32)
        .thread_keep_alive(Duration::from_secs(1))
        .build()?;
    let result = runtime.block_on(work);
    // A name look-up that hangs must not hold the exit; what is to be on the disk by then was waited for.
    runtime.shutdown_background();
    result
}

async fn enroll(line: enrol::Line) -> anyhow::Result<u8> {
    let enrol::Ended { code, said } = enrol::run(line).await;
    let text = said.show(Language::of_environment());
    if code == enrol::exit::DONE {
        writeln!(std::io::stdout(), "{text}")?;
    } else {
        writeln!(std::io::stderr(), "{text}")?;
    }
    Ok(code)
}

async fn run(config: Config) -> anyhow::Result<u8> {
    let shutdown = on_signal()?;
    wan_agent::run(config, shutdown).await?;
    Ok(0)
}

async fn probe(config: Config) -> anyhow::Result<u8> {
    let stop = on_signal()?;
    let shown = CancellationToken::new();
    let progress = tokio::spawn(progress(config.round.interval, shown.clone()));
    let report = report::probe(&config, &stop).await;
    shown.cancel();
    let _ = progress.await;
    let width = (!std::io::stdout().is_terminal()).then_some(200);
    std::io::stdout().write_all(report.show(width).as_bytes())?;
    Ok(report.exit_code())
}

async fn status(config: PathBuf, data: Option<PathBuf>, json: bool) -> anyhow::Result<u8> {
    // The agent runs by what it has read; a file that was spoilt since is no reason to show nothing.
    let folder = data.map_or_else(|| Config::data_of(&config), Ok).or_else(|mistakes| {
        let usual = PathBuf::from(DEFAULT_DATA);
        writeln!(std::io::stderr(), "{mistakes}; asking the agent with the data folder {}", usual.display())?;
        anyhow::Ok(usual)
    })?;
    let status = match status::socket::ask(&folder).await {
        Ok(status) => status,
        Err(error @ AskError::NotRunning(_)) => {
            writeln!(std::io::stderr(), "{error}")?;
            return Ok(status::exit::NOT_RUNNING);
        }
        Err(error) => return Err(error.into()),
    };
    let mut out = std::io::stdout();
    let text = if json {
        serde_json::to_string_pretty(&status)? + "\n"
    } else {
        let width = (!out.is_terminal()).then_some(200);
        status::show(&status, &TimeZone::system(), width)
    };
    match out.write_all(text.as_bytes()) {
        // Who reads no further, as `head`, has seen what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(status.exit_code())
}

/// How far the round is, on a terminal.
async fn progress(length: Duration, done: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let total = length.as_secs();
    for second in 0.. {
        let bar: String = (0..total).map(|at| if at < second { '#' } else { '.' }).collect();
        let _ = write!(std::io::stderr(), "\rprobing [{bar}] {} of {total} s ", second.min(total));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = done.cancelled() => break,
        }
    }
    let _ = write!(std::io::stderr(), "\r\x1b[K");
}

fn check(file: &std::path::Path, format: Format) -> anyhow::Result<u8> {
    let result = Config::load(file, Use::Run);
    let mut out = std::io::stdout();
    match (result, format) {
        (Ok(config), Format::Text) => {
            let targets: usize = config.links.iter().map(|link| link.targets.len()).sum();
            let (name, links) = (file.display(), config.links.len());
            writeln!(out, "{name}: no mistakes; {links} links, {targets} targets")?;
            Ok(0)
        }
        (Ok(_), Format::Json) => {
            writeln!(out, "[]")?;
            Ok(0)
        }
        (Err(mistakes), Format::Json) => {
            writeln!(out, "{}", serde_json::to_string_pretty(&mistakes)?)?;
            Ok(exit::USAGE)
        }
        (Err(mistakes), Format::Text) => Err(mistakes.into()),
    }
}

/// A token that SIGTERM or SIGINT cancels.
fn on_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}

/// Says what is wrong, on standard error.
fn refuse(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(exit::USAGE)
}
