//! `wan-collector drill`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};
use wan_settings::units::duration;

use super::output::{block_on, find_site, print, say};
use crate::alert::Rule;
use crate::alert::drill::{Drill, LONGEST};
use crate::alert::orders;
use crate::alert::outbox::Progress;
use crate::alert::record::WantedAlerts;
use crate::alert::watch::end_drill;
use crate::clock;
use crate::config::Config;
use crate::config::alerts::ChannelName;
use crate::counters::Counters;
use crate::province::Province;
use crate::state::State;
use crate::store::Store as _;
use crate::store::sqlite::SqliteStore;

/// The outbox is looked at this often: what the printed times are exact to is written by the server and does not depend on it.
const LOOK: Duration = Duration::from_millis(50);

/// Try the way of alerts: send a marked test by the routes and channels, and print how long each step took.
///
/// The alert is written as a real one is, goes by the routes that a real one of this site would, and is marked as a drill in every message,
/// list and label. When it is confirmed everywhere, or the time is over, its end is told likewise; should this be killed, the server tells it. No figure is touched. Silences do not hold
/// it back. The server must be running: it is what sends.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  wan-collector drill xa-tan-ha
  wan-collector drill xa-tan-ha --rule link_down --timeout 2m

Exit code 0: every channel confirmed both; 1: one did not, and which and why is printed.")]
pub struct Args {
    /// The site that the test is about.
    #[arg(value_name = "SITE")]
    site: String,
    /// The rule: site_offline, link_down, agent_silent, …
    #[arg(long, default_value = "site_offline")]
    rule: String,
    /// How long to wait for each of beginning and end to be confirmed.
    #[arg(long, default_value = "60s", value_name = "DURATION")]
    timeout: String,
}

/// Sends the test, and prints how it went.
///
/// # Errors
/// When there is nobody to tell, the question is wrong, or the store cannot be used.
pub fn run(file: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(file)?;
    let rule = orders::rule(&args.rule)?;
    let timeout = duration(&args.timeout).filter(|timeout| (LOOK..=LONGEST).contains(timeout));
    let Some(timeout) = timeout else {
        bail!("--timeout: found {:?}, expected how long, such as 60s, at most 1h", args.timeout);
    };
    let confirmed = block_on(drill(config, &args.site, rule, timeout))?;
    Ok(if confirmed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn drill(config: Config, site: &str, rule: Rule, timeout: Duration) -> anyhow::Result<bool> {
    let store = SqliteStore::open(&config.database()).await?;
    let counters = Arc::new(Counters::new().context("cannot register metrics")?);
    let state = State::new(config, None, counters);
    state.replace_register(store.snapshot().await?);
    let site = find_site(&state.directory().register, site)?;
    let drill = Drill::begin(&Province::of(&state, clock::now()), &site, rule, timeout)?;
    let channels = drill.channels(&state.config);
    if channels.is_empty() {
        bail!(
            "no channel would be told of this: see `alerts` in the configuration, its channels and its routes"
        );
    }
    end_earlier(&store).await?;

    let alert = &drill.record.id;
    let names: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
    print(format_args!("drill {alert}: {} at {site}, to {}\n", rule.as_str(), names.join(", ")))?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let began = tell(&store, &drill, &channels, timeout);
    let began = tokio::select! {
        began = began => began?,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    };
    // Also where it was broken off: nobody is left with a test that goes on.
    let end = drill.ended(clock::now());
    let ended = tell(&store, &end, &channels, timeout);
    let ended = tokio::select! {
        ended = ended => ended?,
        _ = interrupt.recv() => false,
        _ = terminate.recv() => false,
    };
    store.close().await;
    Ok(began && ended)
}

/// Ends drills that were killed before they could end themselves.
async fn end_earlier(store: &SqliteStore) -> anyhow::Result<()> {
    for record in store.alerts(&WantedAlerts { drills: true, ..WantedAlerts::open() }).await? {
        say(format_args!("an earlier drill, {}, was left open: it is ended", record.id));
        end_drill(store, record, clock::now()).await?;
    }
    Ok(())
}

/// Writes a notice and waits for what becomes of it; whether every channel confirmed it.
async fn tell(
    store: &SqliteStore,
    drill: &Drill,
    channels: &[ChannelName],
    timeout: Duration,
) -> anyhow::Result<bool> {
    let (event, at) = (drill.notice.event.as_str(), drill.notice.at);
    let began = clock::monotonic();
    store.write_alerts(&drill.changes(channels.to_vec())).await?;
    let written = clock::monotonic();
    print(format_args!("{event}: written in {}\n", shown(written.duration_since(began))))?;
    let mut open = channels.len();
    let mut printed = Vec::new();
    loop {
        let progress = store.notice_progress(&drill.notice.id).await?;
        for one in progress.iter().filter(|one| !one.waits()) {
            if printed.contains(&one.channel) {
                continue;
            }
            printed.push(one.channel.clone());
            open = open.saturating_sub(1);
            let after =
                one.done.map(|done| Duration::from_millis(u64::try_from(done.millis_since(at)).unwrap_or(0)));
            print(format_args!("{event}: {}\n", told(one, after)))?;
        }
        if open == 0 {
            return Ok(progress.iter().all(Progress::is_delivered));
        }
        if clock::monotonic().duration_since(written) >= timeout {
            for one in progress.iter().filter(|one| one.waits()) {
                print(format_args!("{event}: {}\n", waiting(one, timeout)))?;
            }
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn told(one: &Progress, after: Option<Duration>) -> String {
    let after = after.map(|after| format!(" {} after it was made", shown(after))).unwrap_or_default();
    let tries = if one.attempts > 1 { format!(", after {} tries", one.attempts) } else { String::new() };
    let complaint = one.complaint.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let state = if one.is_delivered() { "confirmed" } else { one.state.as_str() };
    format!("{} {state}{after}{tries}{complaint}", one.channel)
}

fn waiting(one: &Progress, timeout: Duration) -> String {
    let why = match &one.complaint {
        Some(why) => format!("tried {} times: {why}", one.attempts),
        None => {
            "not tried yet: the server does not run, or the channel has failed lately and pauses; see its log"
                .to_owned()
        }
    };
    format!("{} not confirmed within {}, {why}", one.channel, shown(timeout))
}

fn shown(length: Duration) -> String {
    if length < Duration::from_secs(10) {
        format!("{} ms", length.as_millis())
    } else {
        format!("{:.1} s", length.as_secs_f64())
    }
}
