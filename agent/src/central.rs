//! The central configuration: what the collector says about `round`, `icmp` and `links` goes before what the agent's own file
//! says. What becomes of a document is decided here, without a socket.
//!
//! ```text
//!  pusher: wan-config header ──seen──►┐                       ┌──► report: applied, or refused and why (once per ETag)
//!          GET ◄──────────── wants ───┤ settled? ─► decision ─┤
//!          document ───────── fetched─►┘                      └──► the rounds, at their next boundary ─► DATA/central.yaml
//! ```
//!
//! - Every answer of the collector names the document's ETag, so a change is noticed with the next push, and nothing is asked
//!   for in between.
//! - A document that cannot be used (no YAML, an unknown key, nothing to probe, more targets than an agent probes) is
//!   **refused**: what ran goes on, and the collector is told why. So is one that is right by itself but not over this
//!   agent's own file, whose sections hold where the document has none.
//! - The rounds take a new configuration **at a boundary**: the round under way ends as it began, and the next one begins where
//!   that ended.
//! - The last good document is kept in the data folder (`store`), so that an agent that starts without a collector probes
//!   what was last good. A document that says nothing gives the agent back to its own file.

mod decide;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use wan_settings::probes::Origins;
use wan_wire::UnixMillis;
use wan_wire::api::ConfigReport;

pub use decide::{Decision, Planned, decide};
pub use store::{Kept, NAME};

use crate::config::Config;

/// Most bytes of a document.
pub const MOST_BYTES: usize = 1 << 20;
/// Most characters of a reason that is reported.
pub const MOST_REASON: usize = 500;
/// Most bytes of an ETag.
const MOST_ETAG: usize = 200;

/// What is probed, and why. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Central {
    state: Arc<Mutex<State>>,
    running: Arc<watch::Sender<Arc<Config>>>,
}

/// What the collector is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The ETag of the document that is in force, for `If-None-Match`.
    pub known: Option<String>,
}

struct State {
    local: Arc<Config>,
    file: Option<PathBuf>,
    on: bool,
    /// The ETag that the collector last named.
    seen: Option<String>,
    /// The ETag of which it is known what became of it.
    settled: Option<String>,
    good: Option<Good>,
    refused: Option<Refused>,
    fetched: Option<UnixMillis>,
    report: Option<ConfigReport>,
    /// What the collector was told last.
    told: Option<ConfigReport>,
    /// What kept the stored document from being used at the start.
    trouble: Option<String>,
    /// What kept the document in force from being stored.
    unkept: Option<String>,
}

/// A document that is in force, or will be at the next boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// Its ETag.
    pub etag: String,
    /// Where each part comes from.
    pub origins: Origins,
    /// Which sections it has: `round`, `icmp`, `links`.
    pub sections: Vec<&'static str>,
    /// Since when rounds are made by it; `None`: from the next boundary on.
    pub in_force: Option<UnixMillis>,
}

/// A document that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its ETag.
    pub etag: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: UnixMillis,
}

/// What there is to say of the central configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whether the agent's own file allows one.
    pub on: bool,
    /// The document in force.
    pub good: Option<Good>,
    /// The one that was refused since.
    pub refused: Option<Refused>,
    /// When a document last came.
    pub fetched: Option<UnixMillis>,
    /// What kept the stored document from being used at the start.
    pub trouble: Option<String>,
    /// What kept the document in force from being stored, so that the next start begins with another.
    pub unkept: Option<String>,
}

impl Central {
    /// Begins with the last good document in `local`'s data folder, if there is one and the file allows it, else with the
    /// file alone.
    pub fn open(local: Config) -> Central {
        let on = local.central && local.data.is_some();
        let file = local.data.as_deref().filter(|_| on).map(|folder| folder.join(NAME));
        let local = Arc::new(local);
        let (running, _) = watch::channel(Arc::clone(&local));
        let state = State {
            local,
            file,
            on,
            seen: None,
            settled: None,
            good: None,
            refused: None,
            fetched: None,
            report: None,
            told: None,
            trouble: None,
            unkept: None,
        };
        let central = Central { state: Arc::new(Mutex::new(state)), running: Arc::new(running) };
        central.load();
        central
    }

    /// The rounds' end of it.
    pub fn current(&self) -> Current {
        Current { central: self.clone(), receiver: self.running.subscribe() }
    }

    /// The configuration of the rounds to come.
    pub fn running(&self) -> Arc<Config> {
        Arc::clone(&self.running.borrow())
    }

    /// An answer of the collector to this authenticated agent named this ETag, or none.
    pub fn seen(&self, etag: Option<&str>) {
        let Some(etag) = etag.filter(|etag| etag.len() <= MOST_ETAG) else { return };
        let mut state = self.state();
        if !state.on {
            // Said once of each, so that nobody waits for what never comes.
            let reason = "the agent's own file says central: off".to_owned();
            let report = ConfigReport { etag: etag.to_owned(), applied: false, reason };
            if state.told.as_ref() != Some(&report) {
                state.report = Some(report);
            }
        } else if state.seen.as_deref() != Some(etag) {
            state.seen = Some(etag.to_owned());
        }
    }

    /// Whether the document is to be fetched now: the collector has named one of which it is not known what became.
    pub fn wants(&self) -> Option<Want> {
        let state = self.state();
        (state.on && state.seen.is_some() && state.seen != state.settled).then(|| state.want())
    }

    /// What to ask for before the first push, when nothing has been named yet; `None` where none is allowed.
    pub fn first(&self) -> Option<Want> {
        let state = self.state();
        state.on.then(|| state.want())
    }

    /// The collector has no document (404). What runs, goes on.
    pub fn none(&self) {
        let mut state = self.state();
        state.settled = state.seen.clone();
    }

    /// The collector means the document that is in force (304). So none is refused any more; and where the collector last heard
    /// something else, or nothing since this agent's start, it is told that this one holds.
    pub fn unchanged(&self) {
        let mut state = self.state();
        state.settled = state.seen.clone();
        state.refused = None;
        let holds =
            |good: &Good| ConfigReport { etag: good.etag.clone(), applied: true, reason: String::new() };
        let holds = state.good.as_ref().map(holds);
        state.report = holds.filter(|holds| state.told.as_ref() != Some(holds));
    }

    /// A document has come. Reading and keeping it takes its time, on a thread of its own.
    pub async fn fetched(&self, etag: String, body: Vec<u8>, now: UnixMillis) {
        // What was not wanted is not taken, however it came to be asked for.
        if !self.state().on {
            return;
        }
        let central = self.clone();
        let work = tokio::task::spawn_blocking(move || central.settle(&etag, &body, now));
        if let Err(error) = work.await {
            tracing::error!(%error, "a central configuration was lost to a defect of the agent");
        }
    }

    /// What the collector is to be told, until it has been. That a document holds is said once rounds are made by it.
    pub fn report(&self) -> Option<ConfigReport> {
        let state = self.state();
        let waits = state.good.as_ref().is_some_and(|good| good.in_force.is_none());
        state.report.clone().filter(|report| !(report.applied && waits))
    }

    /// The collector has been told.
    pub fn reported(&self, report: &ConfigReport) {
        let mut state = self.state();
        state.told = Some(report.clone());
        if state.report.as_ref() == Some(report) {
            state.report = None;
        }
    }

    /// What there is to say of it.
    pub fn view(&self) -> View {
        let state = self.state();
        View {
            on: state.on,
            good: state.good.clone(),
            refused: state.refused.clone(),
            fetched: state.fetched,
            trouble: state.trouble.clone(),
            unkept: state.unkept.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self) {
        let Some(file) = self.state().file.clone() else { return };
        let kept = match store::load(&file) {
            Ok(Some(kept)) => kept,
            Ok(None) => return,
            Err(trouble) => {
                tracing::warn!("{trouble}; the agent begins with its own file");
                self.state().trouble = Some(trouble);
                return;
            }
        };
        let local = Arc::clone(&self.state().local);
        match decide(&local, None, &kept.etag, &kept.body) {
            Decision::Apply(planned) => self.adopt(&kept.etag, *planned),
            Decision::Refuse(reason) => {
                let trouble = format!("{}: not usable over the agent's own file: {reason}", file.display());
                tracing::warn!("{trouble}; the agent begins with its own file");
                self.state().trouble = Some(trouble);
            }
            Decision::Same => {}
        }
    }

    /// Decides, keeps, hands on.
    fn settle(&self, etag: &str, body: &[u8], now: UnixMillis) {
        let (local, in_force, file) = {
            let state = self.state();
            (Arc::clone(&state.local), state.good.as_ref().map(|good| good.etag.clone()), state.file.clone())
        };
        let decision = decide(&local, in_force.as_deref(), etag, body);
        let saved = match (&decision, &file) {
            (Decision::Apply(_), Some(file)) => Some(store::save(file, etag, body)),
            (Decision::Apply(_) | Decision::Same | Decision::Refuse(_), _) => None,
        };
        if let Some(Err(error)) = &saved {
            tracing::warn!(error, "the central configuration holds, but cannot be kept for the next start");
        }
        let mut state = self.state();
        if let Some(saved) = saved {
            state.unkept = saved.err();
        }
        state.fetched = Some(now);
        state.settled = Some(etag.to_owned());
        state.seen = Some(etag.to_owned());
        let (applied, reason) = match decision {
            Decision::Apply(planned) => {
                state.refused = None;
                drop(state);
                self.adopt(etag, *planned);
                state = self.state();
                (true, String::new())
            }
            Decision::Same => {
                state.refused = None;
                (true, String::new())
            }
            Decision::Refuse(reason) => {
                tracing::warn!(etag, reason, "the central configuration is refused; what ran goes on");
                state.refused = Some(Refused { etag: etag.to_owned(), reason: reason.clone(), at: now });
                (false, reason)
            }
        };
        state.report = Some(ConfigReport { etag: etag.to_owned(), applied, reason });
    }

    /// Hands a document's configuration to the rounds.
    fn adopt(&self, etag: &str, planned: Planned) {
        let Planned { config, origins, sections } = planned;
        tracing::info!(
            etag,
            sections = sections.join(", "),
            links = config.links.len(),
            targets = config.links.iter().map(|link| link.targets.len()).sum::<usize>(),
            interval_seconds = config.round.interval.as_secs_f64(),
            "the central configuration holds from the next round on"
        );
        if let Some(why) = crate::report::unasked(&config) {
            tracing::warn!("{why}");
        }
        let mut state = self.state();
        state.settled = Some(etag.to_owned());
        state.good = Some(Good { etag: etag.to_owned(), origins, sections, in_force: None });
        drop(state);
        self.running.send_replace(Arc::new(config));
    }
}

impl State {
    fn want(&self) -> Want {
        Want { known: self.good.as_ref().map(|good| good.etag.clone()) }
    }
}

/// What the rounds are made by; it changes only when they ask.
pub struct Current {
    central: Central,
    receiver: watch::Receiver<Arc<Config>>,
}

impl Current {
    /// What the first round is made by.
    pub fn begin(&mut self, now: UnixMillis) -> Arc<Config> {
        self.take(now)
    }

    /// Asked between two rounds: what the next one is made by, where that has changed.
    pub fn at_boundary(&mut self, now: impl FnOnce() -> UnixMillis) -> Option<Arc<Config>> {
        // An error means that nobody is left who could change it.
        self.receiver.has_changed().unwrap_or(false).then(|| self.take(now()))
    }

    fn take(&mut self, now: UnixMillis) -> Arc<Config> {
        let config = Arc::clone(&self.receiver.borrow_and_update());
        let mut state = self.central.state();
        if let Some(good) = &mut state.good {
            good.in_force.get_or_insert(now);
        }
        config
    }
}

/// Where the document is kept, in this data folder.
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

#[cfg(test)]
mod tests;
