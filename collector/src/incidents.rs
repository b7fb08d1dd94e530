//! Tells incidents: derives them anew every few seconds, and writes what is new or is said otherwise than before.
//!
//! The derivation is a pure function of the evidence ([`crate::ledger::incident`]), and so is what has to be written
//! ([`crate::ledger::told::reconcile`]). So a pass needs to know nothing of what has changed since the last one: it derives the
//! whole of the time in which evidence can still change (a month beyond `ingest.max_age`), and writes the difference. A pass
//! that fails, or is cut short by a stop, is made up for by the next. From the same charges it takes the figures over the usual windows that
//! `/metrics` shows ([`crate::rolling`]).
//!
//! It is background work: a pass is followed by a rest at least ten times as long as it took.

pub mod endpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_wire::{LinkName, UnixMillis};

use crate::api::common::Rolling;
use crate::clock;
use crate::ledger::incident::{Incident, IncidentKind};
use crate::ledger::timeline::Window;
use crate::ledger::told::{Changes, Subject, Told, Word, reconcile};
use crate::metrics::Windows;
use crate::province::{Causes, Province, SiteNow};
use crate::quality::HOURS_KEPT;
use crate::rolling::RollingFigures;
use crate::state::State;
use crate::store::{Store, StoreError, Wanted};

/// A pass is made this often at most.
const EVERY: Duration = Duration::from_secs(5);
/// A pass is followed by a rest so many times as long.
const REST: u32 = 10;
/// Evidence may be as old as `ingest.max_age` when it comes; an incident around it may have begun a month before.
pub const HORIZON_MARGIN: Duration = Duration::from_secs(31 * 86_400);

/// So far back is looked for the start of an incident that goes back further than what is derived each time and was never told: as long as
/// figures of quality are kept. That is so after a start with evidence that an earlier version has kept.
const FURTHEST: Duration = HOURS_KEPT;

/// What is open now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// How many of sites as a whole, by kind: each kind is there.
    pub counts: BTreeMap<IncidentKind, u64>,
    /// Each, of sites as a whole and of links, by what it is about.
    pub each: Vec<(Subject, Word)>,
}

/// Tells incidents until `shutdown`.
pub async fn run<S: Store>(state: Arc<State>, store: Arc<S>, shutdown: CancellationToken) {
    let mut teller = Teller::default();
    let mut rest = EVERY;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        let began = clock::monotonic();
        if let Err(error) = teller.pass(&state, &*store, clock::now()).await {
            tracing::error!(%error, "incidents could not be told; the next pass makes up for it");
        }
        rest = EVERY.max(clock::monotonic().duration_since(began) * REST);
    }
}

/// What was told so far, as far as it may still change.
#[derive(Debug, Default)]
pub struct Teller {
    told: Option<BTreeMap<Subject, Vec<Told>>>,
}

impl Teller {
    /// Derives the incidents of now, writes what has changed, and says what that was: nothing while a start is still loading the
    /// history that they rest on.
    ///
    /// # Errors
    /// When the store cannot be read or written. Then nothing is taken as told.
    pub async fn pass<S: Store>(
        &mut self,
        state: &Arc<State>,
        store: &S,
        now: UnixMillis,
    ) -> Result<Changes, StoreError> {
        let horizon = now.minus(state.config.ingest.max_age + HORIZON_MARGIN);
        let horizon = horizon.min(Rolling::earliest(now, &state.config.timezone));
        let window = Window::new(horizon, now);
        if state.history.reaches(horizon).is_err() {
            // Half of the evidence would take back what was told rightly.
            return Ok(Changes::default());
        }
        let told = match self.told.take() {
            Some(told) => told,
            None => by_subject(store.incidents(&Wanted::all(window)).await?),
        };
        let derived = {
            let state = Arc::clone(state);
            tokio::task::spawn_blocking(move || {
                let changes = changes(&state, &told, window);
                (told, changes)
            })
        };
        let Ok((mut told, changes)) = derived.await else {
            // A panic was logged; what was told is read again.
            return Ok(Changes::default());
        };
        if changes != Changes::default() {
            // Until it is written, it is not told: on failure all is read anew.
            store.note_incidents(&changes).await?;
        }
        for next in &changes.told {
            let of_subject = told.entry(next.subject.clone()).or_default();
            match of_subject.iter_mut().find(|old| old.id == next.id) {
                Some(old) => *old = next.clone(),
                None => of_subject.push(next.clone()),
            }
        }
        told.retain(|_, of_subject| {
            of_subject.retain(|told| told.word.end.is_none_or(|end| end > horizon));
            !of_subject.is_empty()
        });
        state.set_open_incidents(open(&told));
        self.told = Some(told);
        Ok(changes)
    }
}

fn by_subject(all: Vec<Told>) -> BTreeMap<Subject, Vec<Told>> {
    let mut told: BTreeMap<Subject, Vec<Told>> = BTreeMap::new();
    for one in all {
        told.entry(one.subject.clone()).or_default().push(one);
    }
    told
}

fn changes(state: &State, told: &BTreeMap<Subject, Vec<Told>>, window: Window) -> Changes {
    let now = window.end;
    let province = Province::of(state, now);
    let causes = province.causes(window);
    let further = province.causes(Window::new(window.start.minus(FURTHEST), window.end));
    let mut figures = RollingFigures::new(province.now);
    let mut all = Changes::default();
    let mut add = |subject: &Subject, found: &[_]| {
        let told = told.get(subject).map_or(&[][..], Vec::as_slice);
        if told.is_empty() && found.is_empty() {
            return;
        }
        let changes = reconcile(subject, told, found, window, now);
        all.told.extend(changes.told);
        all.restatements.extend(changes.restatements);
    };
    for site in province.sites() {
        let charges = causes.of(&site);
        figures.add(&province, &site, &charges);
        let mut found = causes.incidents_among(&site, &charges);
        complete(&mut found, state, &further, &site, told, window);
        let known = told.range(Subject { site: site.site.id.clone(), link: None }..);
        let known = known.map(|(subject, _)| subject).take_while(|subject| subject.site == site.site.id);
        let links: BTreeSet<_> = found.keys().chain(known.map(|subject| &subject.link)).collect();
        for link in links {
            let subject = Subject { site: site.site.id.clone(), link: link.clone() };
            add(&subject, found.get(link).map_or(&[][..], Vec::as_slice));
        }
    }
    let figures = Arc::new(figures);
    // First the text, then the figures: a scrape in between makes neither for itself.
    if let Some(text) = Windows::of(Arc::clone(&figures), &province, &|| true) {
        state.set_windows_text(Arc::new(text));
    }
    state.set_rolling_figures(figures);
    all
}

/// Of an incident of the site that reaches back to the window's start and was never told, the whole, from the causes over a `further` window:
/// else it would be told with a start that is the window's and not its own. While that history is still being loaded it is left out, and a
/// later pass tells it.
fn complete(
    found: &mut BTreeMap<Option<LinkName>, Vec<Incident>>,
    state: &State,
    further: &Causes<'_>,
    site: &SiteNow<'_>,
    told: &BTreeMap<Subject, Vec<Told>>,
    window: Window,
) {
    let is_told = |link: &Option<LinkName>, first: &Incident| {
        let subject = Subject { site: site.site.id.clone(), link: link.clone() };
        let mut of_subject = told.get(&subject).into_iter().flatten().filter(|told| told.gone.is_none());
        of_subject
            .any(|told| told.word.start <= first.end && told.word.end.is_none_or(|end| end >= first.start))
    };
    let cut = |(link, incidents): (&Option<LinkName>, &Vec<Incident>)| {
        let first = incidents.first().filter(|first| first.start <= window.start)?;
        (!is_told(link, first)).then(|| link.clone())
    };
    let cut: Vec<Option<LinkName>> = found.iter().filter_map(cut).collect();
    if cut.is_empty() {
        return;
    }
    let known = state.history.reaches(further.window().start).is_ok();
    let whole = if known { further.incidents(site) } else { BTreeMap::new() };
    for link in cut {
        let Some(of_link) = found.get_mut(&link) else { continue };
        let reaches = |one: &&Incident| one.start <= window.start && one.end > window.start;
        match whole.get(&link).and_then(|all| all.iter().find(reaches)) {
            Some(whole) => {
                of_link.retain(|one| one.start >= whole.end);
                of_link.insert(0, whole.clone());
            }
            None if known => {}
            None => {
                of_link.remove(0);
            }
        }
    }
}

fn open(told: &BTreeMap<Subject, Vec<Told>>) -> Open {
    let all = told.values().flatten().filter(|told| told.gone.is_none() && told.word.end.is_none());
    let each: Vec<(Subject, Word)> = all.map(|told| (told.subject.clone(), told.word)).collect();
    let mut counts: BTreeMap<_, u64> = IncidentKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
    for (_, word) in each.iter().filter(|(subject, _)| subject.link.is_none()) {
        *counts.entry(word.kind).or_default() += 1;
    }
    Open { counts, each }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::counters::Counters;
    use crate::engine::Painting;
    use crate::inventory::Register;
    use crate::inventory::read::{File, Format, read};
    use crate::planned::Planned;
    use crate::state::Latest;
    use crate::store::sqlite::SqliteStore;
    use crate::store::{AgentSecret, Alive, Rotation, Snapshot};
    use wan_wire::{Outcome, SiteId};

    const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

    fn days_ago(days: i64) -> UnixMillis {
        NOW.plus_millis(-days * 86_400_000)
    }

    /// One commune whose WAN was what is listed, from and to so many days ago.
    fn state(seen: &[(i64, i64, Outcome)]) -> Arc<State> {
        let config = Config::parse("collector.yaml", b"plan: {required: [wan]}\n").unwrap();
        let state = State::new(config, None, Arc::new(Counters::new().unwrap()));
        let file = b"id,name,tier,branch,links\nxa-a,A,commune,state,wan\n";
        let file = File { name: "sites.csv", bytes: file, format: Format::Csv };
        let sites = read(&[file], &state.config.plan, &Register::default()).unwrap();
        let site: SiteId = "xa-a".parse().unwrap();
        state.replace_register(Snapshot {
            revision: 1,
            register: Register::new(sites).unwrap(),
            secrets: vec![AgentSecret {
                site: site.clone(),
                hash: [1; 32],
                issued: days_ago(300),
                revoked: None,
            }],
            rotation: Rotation::default(),
            planned: Planned::default(),
        });
        let directory = state.directory();
        let runtime = &directory.runtimes[&site];
        let track = runtime.track(&"wan".parse().unwrap(), &site).unwrap();
        for (from, to, outcome) in seen {
            let (start, end, outcome) = (days_ago(*from), days_ago(*to), *outcome);
            let latest = Latest { end, interval_ms: 5_000, sent: 5, received: 0, rtt_median: None, outcome };
            runtime.evidence_mut().paint(&Painting { about: None, track, start, end, outcome, latest });
        }
        state.restore_alive(vec![Alive { start: days_ago(400), end: NOW }]);
        Arc::new(state)
    }

    async fn store(folder: &tempfile::TempDir) -> SqliteStore {
        SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap()
    }

    fn words(changes: &Changes) -> Vec<(UnixMillis, Option<UnixMillis>)> {
        let of_site = changes.told.iter().filter(|told| told.subject.link.is_none());
        of_site.map(|told| (told.word.start, told.word.end)).collect()
    }

    #[tokio::test]
    async fn what_began_before_all_that_is_derived_is_first_told_with_its_own_start() {
        // What is derived begins 66 days ago: once in the midst of what was seen down, once where nobody observed.
        for hole in [(70, 70), (70, 60)] {
            let folder = tempfile::tempdir().unwrap();
            let store = store(&folder).await;
            let down = Outcome::Down;
            let state = state(&[
                (200, 100, Outcome::Up),
                (100, hole.0, down),
                (hole.1, 10, down),
                (10, 0, Outcome::Up),
            ]);
            let mut teller = Teller::default();
            let changes = teller.pass(&state, &store, NOW).await.unwrap();
            assert_eq!(words(&changes), [(days_ago(100), Some(days_ago(10)))], "{hole:?}");
            for minutes in [1, 60, 24 * 60] {
                let later = NOW.plus_millis(minutes * 60_000);
                let again = teller.pass(&state, &store, later).await.unwrap();
                assert_eq!(again.restatements, [], "{hole:?} {minutes}");
                let of_then: Vec<_> = words(&again).into_iter().filter(|word| word.0 < days_ago(5)).collect();
                assert_eq!(of_then, [], "{hole:?} {minutes}");
            }
        }
    }

    #[tokio::test]
    async fn while_history_is_loaded_it_is_not_told_with_a_start_that_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let state = state(&[(200, 100, Outcome::Up), (100, 10, Outcome::Down), (10, 0, Outcome::Up)]);
        state.history.begin(days_ago(80), 5);
        let mut teller = Teller::default();
        assert_eq!(words(&teller.pass(&state, &store, NOW).await.unwrap()), []);
        state.history.known(UnixMillis::MIN);
        let changes = teller.pass(&state, &store, NOW).await.unwrap();
        assert_eq!(words(&changes), [(days_ago(100), Some(days_ago(10)))]);
    }
}
