//! Tells incidents: derives them anew every few seconds, and writes what is new or is said otherwise than before.
//!
//! The derivation is a pure function of the evidence ([`crate::ledger::incident`]), and so is what has to be written
//! ([`crate::ledger::told::reconcile`]). So a pass needs to know nothing of what has changed since the last one: it derives the
//! whole of the time in which evidence can still change (a month beyond `ingest.max_age`), and writes the difference. A pass
//! that fails, or is cut short by a stop, is made up for by the next.
//!
//! It is background work: a pass is followed by a rest at least ten times as long as it took.

pub mod endpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_wire::UnixMillis;

use crate::clock;
use crate::ledger::incident::IncidentKind;
use crate::ledger::timeline::Window;
use crate::ledger::told::{Changes, Subject, Told, reconcile};
use crate::province::Province;
use crate::state::State;
use crate::store::{Store, StoreError, Wanted};

/// A pass is made this often at most.
const EVERY: Duration = Duration::from_secs(5);
/// A pass is followed by a rest so many times as long.
const REST: u32 = 10;
/// Evidence may be as old as `ingest.max_age` when it comes; an incident around it may have begun a month before.
pub const HORIZON_MARGIN: Duration = Duration::from_secs(31 * 86_400);

/// What is open now, by kind: of sites as a whole.
pub type Open = BTreeMap<IncidentKind, u64>;

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
        let found = causes.incidents(&site);
        let known = told.range(Subject { site: site.site.id.clone(), link: None }..);
        let known = known.map(|(subject, _)| subject).take_while(|subject| subject.site == site.site.id);
        let links: BTreeSet<_> = found.keys().chain(known.map(|subject| &subject.link)).collect();
        for link in links {
            let subject = Subject { site: site.site.id.clone(), link: link.clone() };
            add(&subject, found.get(link).map_or(&[][..], Vec::as_slice));
        }
    }
    all
}

fn open(told: &BTreeMap<Subject, Vec<Told>>) -> Open {
    let mut open: Open = IncidentKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
    let of_sites = told.iter().filter(|(subject, _)| subject.link.is_none()).flat_map(|(_, told)| told);
    for told in of_sites.filter(|told| told.gone.is_none() && told.word.end.is_none()) {
        *open.entry(told.word.kind).or_default() += 1;
    }
    open
}
