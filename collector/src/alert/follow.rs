//! Takes the `alerts` section of the collector's configuration anew while the server runs: channels, routes, rules, texts, the heartbeat.
//!
//! The file, and the files of templates that it names, are looked at once a second (not read: their times, lengths and inodes). A change that
//! two looks agree on, so that nobody is writing it, is taken over as a whole if it is without mistakes, the templates' included; SIGHUP has it taken at
//! once, changed or not. With a mistake everything goes on as it was, and log, `/metrics` and page say what is wrong. What is sent is never lost by it:
//! notices of a channel that stays wait on, and those of one that is gone are given up and counted ([`super::deliver`]).
//!
//! An empty file is a good configuration at a start. Here it is a mistake: it is what an editor leaves on a full disk, and nobody would be told of
//! anything any more.
//!
//! The rest of the file holds after a restart, and the log says so when it has changed.

use std::collections::BTreeSet;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wan_settings::{Mistake, Mistakes};

use super::text::{Setting, load};
use crate::central::follow::{Look, look_at};
use crate::config::Config;
use crate::config::alerts::Alerts;
use crate::state::State;

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// So many mistakes are logged and shown.
const MOST_SHOWN: usize = 20;

/// Follows the file.
#[derive(Debug)]
pub struct Follower {
    state: Arc<State>,
    path: PathBuf,
    /// The rest of the configuration, which the server was started with.
    rest: Config,
    /// The files of templates.
    templates: Vec<PathBuf>,
    /// What all of them looked like last.
    seen: Vec<Look>,
    /// What they looked like when they were last taken, or refused.
    taken: Vec<Look>,
    mistakes: Vec<Mistake>,
    /// Keys that have changed and need a restart.
    waits: Vec<&'static str>,
}

impl Follower {
    /// One that has not looked yet, where the configuration came from a file.
    #[must_use]
    pub fn new(state: Arc<State>) -> Option<Self> {
        let path = state.config.file.clone()?;
        let templates = template_files(&state.config.alerts);
        // As the file has it: the command line may have said otherwise.
        let rest = Config::load(&path).unwrap_or_else(|_| state.config.clone());
        let mut follower = Self {
            state,
            path,
            rest,
            templates,
            seen: Vec::new(),
            taken: Vec::new(),
            mistakes: Vec::new(),
            waits: Vec::new(),
        };
        follower.seen = follower.looks();
        follower.taken.clone_from(&follower.seen);
        Some(follower)
    }

    /// Looks once a second, and at once on SIGHUP, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::warn!(%error, "cannot wait for SIGHUP"),
        };
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                _ = hangup.recv() => true,
            };
            let looked = tokio::task::spawn_blocking(move || {
                self.look(asked);
                self
            });
            match looked.await {
                Ok(follower) => self = follower,
                Err(error) => {
                    tracing::error!(%error, "the configuration of alerts is no longer followed: a defect of the collector");
                    return;
                }
            }
        }
    }

    /// Looks whether anything has changed, and takes it over if it is good. `asked`: by an operator, who does not want to wait.
    fn look(&mut self, asked: bool) {
        let seen = self.looks();
        let still = mem::replace(&mut self.seen, seen) == self.seen;
        if asked || (still && self.seen != self.taken) {
            self.take(asked);
        }
    }

    fn looks(&self) -> Vec<Look> {
        std::iter::once(&self.path).chain(&self.templates).map(|path| look_at(path)).collect()
    }

    fn take(&mut self, asked: bool) {
        let read = read(&self.path, &self.state.config);
        match read {
            Ok(config) => {
                self.templates = template_files(&config.alerts);
                self.good(config, asked);
            }
            Err(mistakes) => {
                let mistakes = mistakes.into_vec();
                if asked || mistakes != self.mistakes {
                    for mistake in mistakes.iter().take(MOST_SHOWN) {
                        tracing::error!("{mistake}");
                    }
                    tracing::error!(
                        file = %self.path.display(), mistakes = mistakes.len(),
                        "the configuration has mistakes; alerts go on by the former one"
                    );
                }
                self.mistakes = mistakes;
            }
        }
        // With what the files of templates look like that are named now.
        self.seen = self.looks();
        self.taken.clone_from(&self.seen);
        self.state.counters.alert_config_good.set(i64::from(self.mistakes.is_empty()));
        let shown = self.mistakes.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
        self.state.set_alert_mistakes(shown);
    }

    fn good(&mut self, config: Config, asked: bool) {
        let mended = !mem::take(&mut self.mistakes).is_empty();
        let waits = config.other_than(&self.rest);
        if (asked || waits != self.waits) && !waits.is_empty() {
            tracing::warn!(
                file = %self.path.display(), keys = waits.join(", "),
                "the configuration has changed where it is read at a start only: restart the collector for it to hold"
            );
        }
        self.waits = waits;
        let before = self.state.alerts();
        if *before == config.alerts && self.templates.is_empty() && !mended && !asked {
            return;
        }
        let names = |alerts: &Alerts| -> BTreeSet<String> {
            alerts.channels.iter().map(|channel| channel.name.to_string()).collect()
        };
        let (old, new) = (names(&before), names(&config.alerts));
        let told = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        tracing::info!(
            file = %self.path.display(),
            added = told(new.difference(&old).collect()),
            removed = told(old.difference(&new).collect()),
            "the configuration of alerts is taken over"
        );
        self.state.set_alerts(config.alerts);
    }
}

/// Reads the configuration, and tries its templates.
fn read(path: &Path, running: &Config) -> Result<Config, Mistakes> {
    let config = Config::load(path)?;
    if std::fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        let mistake = Mistake::of_file(
            path.display().to_string(),
            "an empty file".to_owned(),
            "the collector's configuration".to_owned(),
            "write it anew; to tell nobody write alerts: {channels: []}",
        );
        return Err(Mistakes::one(mistake));
    }
    let of = |channel| load(channel, &Setting::of(channel, &config.alerts, running)).mistakes;
    let mistakes: Vec<Mistake> = config.alerts.channels.iter().flat_map(of).collect();
    if mistakes.is_empty() { Ok(config) } else { Err(Mistakes::new(mistakes)) }
}

fn template_files(alerts: &Alerts) -> Vec<PathBuf> {
    alerts.channels.iter().flat_map(|channel| channel.template_files()).cloned().collect()
}

#[cfg(test)]
mod tests;
