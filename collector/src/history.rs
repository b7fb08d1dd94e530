//! How far back the evidence in memory reaches, while a start is still loading what is older.
//!
//! Three years of 10,000 sites are millions of spans, and a collector that read them all before it served would be deaf for half
//! a minute. So a start loads the last days, serves, and loads the rest in the background, the newest first ([`load`]).
//! Painting is a maximum, so what is merged in late is merged in exactly.
//!
//! # What is known when
//!
//! From [`History::known_from`] on everything that is stored is in memory: of each series all spans that start there or later,
//! and the one before. So whatever is derived of a time after it is exact. What asks for an earlier time ([`History::reaches`]) waits
//! a little (`api`) and is then told to come back: 503 with Retry-After, never a figure from half of the evidence. What a derivation
//! may look at around its window is allowed for with [`LOOK_AROUND`].
//!
//! # The store while that goes on
//!
//! A checkpoint replaces the stored spans of a series from a changed one on, so it must know all of them from there on. A
//! track whose change lies before what was loaded of it is **held back** (`state.rs`), and the journal's position stays where it
//! is until the track's history is there. So rows that are not loaded are never touched, and the reader below needs no lock
//! against the checkpoint. When older spans are merged in, they are compared with what was stored, and a difference at the seam is
//! a change like any other.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wan_wire::UnixMillis;

use crate::clock;
use crate::ledger::cause::GATEWAY_MEMORY;
use crate::load::{self, LoadError};
use crate::localtime;
use crate::state::{SiteRuntime, State};
use crate::store::Store;

/// This much is loaded before anybody is served: the last two days, which most questions are about, and what is looked at around them.
pub const AT_START: Duration = LOOK_AROUND.saturating_add(Duration::from_secs(2 * 86_400));
/// The steps in which the rest is loaded; the last is all. The first holds every rolling window and the province's month.
const STEPS: [Option<Duration>; 3] =
    [Some(Duration::from_secs(45 * 86_400)), Some(Duration::from_secs(200 * 86_400)), None];
/// Derivations look at evidence around the time that they are about: a cause at what happened before, a state at the word before. None looks
/// further than a cause at when the gateway last answered.
pub const LOOK_AROUND: Duration = GATEWAY_MEMORY.saturating_add(Duration::from_secs(86_400));
/// Sites whose spans are read at once. Each such read is some ten thousand rows.
const SITES_AT_ONCE: usize = 100;
/// The first who ask after a start have the machine for themselves this long.
const HEAD_START: Duration = Duration::from_millis(500);
/// Between two tries where the store could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// How far the loading is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Progress {
    /// Everything from here on is in memory.
    known_from: UnixMillis,
    /// Sites done, of all steps.
    done: usize,
    /// Sites to do, of all steps.
    total: usize,
    /// Whether hosts' boots and agents' starts are in memory.
    lives: bool,
}

/// How far back the evidence in memory reaches. See the module's page.
#[derive(Debug)]
pub struct History {
    progress: watch::Sender<Progress>,
}

/// All of it is there.
impl Default for History {
    fn default() -> Self {
        let all = Progress { known_from: UnixMillis::MIN, done: 0, total: 0, lives: true };
        Self { progress: watch::Sender::new(all) }
    }
}

/// A time that was asked about is not in memory yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// What lies before this is not known yet.
    pub before: UnixMillis,
    /// How much of the whole is there, in percent; never 100.
    pub percent: usize,
}

impl Loading {
    /// In a few words, for people.
    #[must_use]
    pub fn tell(self, zone: &TimeZone) -> String {
        format!(
            "loads the history before {} ({} % is done)",
            localtime::rfc3339(self.before, zone),
            self.percent
        )
    }

    /// Whether all that bears on a time from `start` on was in memory then.
    ///
    /// # Errors
    /// This, when it was not.
    pub fn covers(self, start: UnixMillis) -> Result<(), Self> {
        if start.minus(LOOK_AROUND) < self.before { Err(self) } else { Ok(()) }
    }
}

impl History {
    /// From when on all that is stored is in memory; [`UnixMillis::MIN`] when nothing is missing.
    #[must_use]
    pub fn known_from(&self) -> UnixMillis {
        self.progress.borrow().known_from
    }

    /// What is missing, if anything is.
    #[must_use]
    pub fn loading(&self) -> Option<Loading> {
        let progress = self.progress.borrow();
        let before = Some(progress.known_from).filter(|from| *from != UnixMillis::MIN)?;
        let percent = (progress.done * 100).checked_div(progress.total).unwrap_or(0).min(99);
        Some(Loading { before, percent })
    }

    /// Whether all that bears on a time from `start` on is in memory.
    ///
    /// # Errors
    /// What is missing.
    pub fn reaches(&self, start: UnixMillis) -> Result<(), Loading> {
        self.loading().map_or(Ok(()), |loading| loading.covers(start))
    }

    /// Whether hosts' boots and agents' starts are in memory.
    pub(crate) fn has_lives(&self) -> bool {
        self.progress.borrow().lives
    }

    /// Waits until more is known than from `known_from` on.
    pub(crate) async fn more_than(&self, known_from: UnixMillis) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as this.
        let _ = progress.wait_for(|progress| progress.known_from < known_from).await;
    }

    /// A start has loaded what lies after `known_from`.
    pub(crate) fn begin(&self, known_from: UnixMillis, sites: usize) {
        let total = sites * STEPS.len();
        self.progress.send_replace(Progress { known_from, done: 0, total, lives: false });
    }

    /// Everything from there on is in memory.
    pub(crate) fn known(&self, from: UnixMillis) {
        self.update(|progress| progress.known_from = from);
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }
}

/// Where a start begins to load: so long before the collector last ran. By the store's own times, because the host's clock may be
/// wrong; and if it is behind, more is loaded, never less than is right.
#[must_use]
pub fn start_from(ran_until: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
    ran_until.unwrap_or(now).min(now).minus(AT_START)
}

/// Loads what is stored before [`History::known_from`], until it is all there or `stop`.
pub(crate) async fn load<S: Store>(state: Arc<State>, store: Arc<S>, stop: CancellationToken) {
    let began = state.history.known_from();
    if began == UnixMillis::MIN {
        return;
    }
    let base = began.plus(AT_START);
    let runtimes: Vec<Arc<SiteRuntime>> = state.directory().runtimes.values().map(Arc::clone).collect();
    tokio::select! {
        () = stop.cancelled() => return,
        () = tokio::time::sleep(HEAD_START) => {}
    }
    for step in STEPS {
        let from = step.map_or(UnixMillis::MIN, |length| base.minus(length)).min(began);
        for sites in runtimes.chunks(SITES_AT_ONCE) {
            let began = clock::monotonic();
            if !persist(&stop, || older(sites, &*store, from)).await {
                return;
            }
            if state.history.has_lives() {
                // Nobody waits for what is older than the usual windows: half of a core is left to those who push and ask.
                tokio::time::sleep(clock::monotonic().duration_since(began) / 2).await;
            }
            state.history.update(|progress| progress.done += sites.len());
        }
        if !state.history.has_lives() {
            if !persist(&stop, || load::lives(&state, &*store)).await {
                return;
            }
            state.history.update(|progress| progress.lives = true);
        }
        state.history.known(from);
    }
    tracing::info!("all of the history is loaded");
}

/// Tries until it works; false when it was stopped before.
async fn persist<F: Future<Output = Result<(), LoadError>>>(
    stop: &CancellationToken,
    attempt: impl Fn() -> F,
) -> bool {
    loop {
        if stop.is_cancelled() {
            return false;
        }
        let Err(error) = attempt().await else { return true };
        tracing::error!(%error, "cannot load the history; what was asked of it waits, and the next try is in 5 s");
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Merges in the spans of some sites back to `from`.
async fn older<S: Store>(sites: &[Arc<SiteRuntime>], store: &S, from: UnixMillis) -> Result<(), LoadError> {
    let mut wanted = Vec::new();
    let mut owners = std::collections::HashMap::new();
    for site in sites {
        for (track, id, before) in site.wants_older(from) {
            wanted.push((id, before));
            owners.insert(id, (site, track));
        }
    }
    let mut found = Vec::with_capacity(wanted.len());
    store.load_older(&wanted, from, |id, spans| found.push((id, spans))).await?;
    for (id, spans) in found {
        if let Some((site, track)) = owners.remove(&id) {
            site.merge_older(track, &spans, from);
        }
    }
    // Of the others nothing is stored before what is loaded already.
    for (site, track) in owners.into_values() {
        site.merge_older(track, &[], from);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn a_start_loads_back_from_when_the_collector_last_ran_or_from_a_clock_that_is_behind() {
        let day = |day: i64| UnixMillis(day * DAY);
        assert_eq!(start_from(Some(day(100)), day(110)), day(90));
        assert_eq!(start_from(Some(day(100)), day(40)), day(30));
        assert_eq!(start_from(None, day(40)), day(30));
    }

    #[test]
    fn what_is_asked_of_a_time_that_is_not_loaded_is_told_so() {
        let history = History::default();
        assert_eq!((history.reaches(UnixMillis::MIN), history.loading()), (Ok(()), None));
        history.begin(UnixMillis(10 * DAY), 100);
        assert_eq!(history.reaches(UnixMillis(18 * DAY)), Ok(()));
        let loading = Loading { before: UnixMillis(10 * DAY), percent: 0 };
        assert_eq!(history.reaches(UnixMillis(18 * DAY - 1)), Err(loading));
        assert_eq!(history.reaches(UnixMillis::MIN), Err(loading));
        history.update(|progress| progress.done = 300);
        assert_eq!(history.loading().map(|loading| loading.percent), Some(99), "not all before it is all");
        history.known(UnixMillis::MIN);
        assert_eq!((history.reaches(UnixMillis::MIN), history.loading()), (Ok(()), None));
    }
}
