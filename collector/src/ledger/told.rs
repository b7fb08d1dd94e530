//! What was told of an incident, and what is told now: incidents with an identity, and their restatements.
//!
//! An [`Incident`] is derived anew each time and has no memory. People have: an alert was sent, a
//! report was filed, a carrier was called. So each incident that was ever told keeps an **id** and the words that were last said of
//! it ([`Told`]). When late evidence changes the derived past, [`reconcile`] finds for each incident of now the one that was told of
//! the same time, and says what has to be written:
//!
//! - an incident that goes on, grows and ends keeps its id, and that is no restatement;
//! - where something that *had been said* is not so any more (its start, its end once given, its kind, its cause), the
//!   [`Restatement`] keeps both, with the reason;
//! - one that was told and is no incident now is withdrawn; of two that turn out to be one, the other says into which it went.
//!   Nothing that was told is ever deleted.
//!
//! # Which is which
//!
//! An incident of now takes the id of the one told before that overlaps it, of the same kind first, then the one with the longest
//! overlap, then the earlier. The id of a new one is made from site, link and its first start, so a replay of the same evidence gives
//! the same ids; and an incident that was withdrawn and comes back as it was is the same one again.
//!
//! Edges that move by no more than [`EDGE`] are corrected without a word: two observers never see the same edge at the same instant.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::{LinkName, SiteId, UnixMillis};
use xxhash_rust::xxh3::xxh3_64;

use super::cause::{Cause, EDGE, Rule, Scene, Voice};
use super::incident::{Incident, IncidentKind};
use super::timeline::Window;
use crate::lang::Lang;

/// An incident's id: 13 characters of Crockford's base 32.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
pub struct IncidentId(String);

impl IncidentId {
    /// The id of an incident that is first told with this start.
    #[must_use]
    pub fn of(subject: &Subject, start: UnixMillis) -> Self {
        let link = subject.link.as_ref().map_or("", |link| link.as_str());
        let hash = xxh3_64(format!("{}\n{link}\n{}", subject.site, start.0).as_bytes());
        // 13 digits of five bits hold 64 bits.
        let digit = |place: u32| {
            let digit = (hash >> (5 * place)) & 31;
            usize::try_from(digit)
                .ok()
                .and_then(|digit| DIGITS.get(digit))
                .map_or('0', |digit| char::from(*digit))
        };
        Self((0..13).rev().map(digit).collect())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the letters that are taken for digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no id of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an incident's id has 13 digits and small letters")]
pub struct NotAnId;

impl std::str::FromStr for IncidentId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let good = text.len() == 13 && text.bytes().all(|byte| DIGITS.contains(&byte));
        good.then(|| Self(text.to_owned())).ok_or(NotAnId)
    }
}

/// What an incident is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// The site.
    pub site: SiteId,
    /// One of its links; `None`: the site as a whole.
    pub link: Option<LinkName>,
}

/// What is said of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Word {
    /// What sort of run it is.
    pub kind: IncidentKind,
    /// Its first bad instant, Unix milliseconds.
    #[schema(value_type = i64)]
    pub start: UnixMillis,
    /// The first instant after its last bad one; `None` while it goes on.
    #[schema(value_type = Option<i64>)]
    pub end: Option<UnixMillis>,
    /// Milliseconds of it in which it was as its kind says.
    pub bad_ms: i64,
    /// The rule that charged most of it; the cause is the rule's.
    pub rule: Rule,
}

impl Word {
    /// The cause that is charged.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.rule.cause()
    }

    /// What is derived of it now.
    fn of(incident: &Incident) -> Self {
        Self {
            kind: incident.kind,
            start: incident.start,
            end: (!incident.ongoing).then_some(incident.end),
            bad_ms: incident.bad_ms,
            rule: incident.rule,
        }
    }

    /// Whether what was said is not so any more, where edges that move by no more than `edge` are the same. That it ended, or lasts
    /// longer by now, was not denied before.
    #[must_use]
    pub fn is_denied_by(&self, now: &Self, edge: Duration) -> bool {
        let moved = |was: UnixMillis, is: UnixMillis| was.max(is).since(was.min(is)) > edge;
        let end_moved = match (self.end, now.end) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(was), Some(is)) => moved(was, is),
        };
        self.kind != now.kind || moved(self.start, now.start) || end_moved || self.cause() != now.cause()
    }
}

/// Why an incident that was told is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// The evidence says that nothing of the kind happened.
    Withdrawn,
    /// It is a part of another one.
    Into(IncidentId),
}

/// One incident as it was last told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: IncidentId,
    /// What it is about.
    pub subject: Subject,
    /// What was last said.
    pub word: Word,
    /// What the rule looked at.
    pub scene: Scene,
    /// When it was first told.
    pub since: UnixMillis,
    /// When and why it was taken back.
    pub gone: Option<(UnixMillis, Gone)>,
    /// How often it was restated.
    pub restated: u32,
}

/// Because of what something is said differently now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The site's agent told of that time afterwards.
    Backlog,
    /// The agent told afterwards when its host had booted, or when it was started itself.
    Boot,
    /// A planned window was added or removed.
    Planned,
    /// Other evidence came: of another vantage, of a parent, or of the collector itself.
    Evidence,
}

impl Because {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Backlog, Self::Boot, Self::Planned, Self::Evidence];

    /// The word for it in the API and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Boot => "boot",
            Self::Planned => "planned",
            Self::Evidence => "evidence",
        }
    }

    /// The reason for people.
    #[must_use]
    pub const fn name(self, lang: Lang) -> &'static str {
        match self {
            Self::Backlog => lang.pick("số liệu gửi bù của đơn vị", "the site's backlog"),
            Self::Boot => lang.pick("thời điểm khởi động được gửi sau", "boot times told later"),
            Self::Planned => lang.pick("kế hoạch nhập hoặc bỏ sau", "planned work entered or taken out"),
            Self::Evidence => lang.pick("bằng chứng khác đến sau", "other evidence"),
        }
    }

    /// What most likely made the difference between two rules.
    fn of(was: Rule, is: Option<(Rule, &Scene)>) -> Self {
        let rules = [Some(was), is.map(|(rule, _)| rule)];
        let any = |rule: Rule| rules.contains(&Some(rule));
        if any(Rule::PlannedWork) {
            return Self::Planned;
        }
        if let Some((Rule::BootInGap | Rule::AgentRestarted, _)) = is {
            return Self::Boot;
        }
        let waited = match was {
            Rule::NotYetTold
            | Rule::NobodyAtSite
            | Rule::RoundsMissing
            | Rule::CollectorStopped
            | Rule::LineWorks => true,
            Rule::PlannedWork
            | Rule::InstrumentFailed
            | Rule::BootInGap
            | Rule::AgentRestarted
            | Rule::PathCut
            | Rule::NeverSpoke
            | Rule::NotProbed
            | Rule::LanFails
            | Rule::BehindLan
            | Rule::Contradiction
            | Rule::BothSides
            | Rule::GatewayAnswers
            | Rule::OtherLineWorks
            | Rule::PathNotSeen
            | Rule::BothLinesFail
            | Rule::WanWorks
            | Rule::GatewayAnswersOnly
            | Rule::SystemFails => false,
        };
        let own = is.is_none_or(|(_, scene)| scene.voice == Voice::Own);
        if waited && own { Self::Backlog } else { Self::Evidence }
    }
}

/// That something which had been said is said differently now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restatement {
    /// The incident.
    pub id: IncidentId,
    /// When it was restated.
    pub at: UnixMillis,
    /// What had been said; of one that had been taken back, what was said before that.
    pub was: Word,
    /// What is said now; `None`: it is taken back.
    pub is: Option<Word>,
    /// Because of what.
    pub because: Because,
}

/// What is to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Incidents that are new or have changed, as they are told from now on.
    pub told: Vec<Told>,
    /// What was said and is not so any more.
    pub restatements: Vec<Restatement>,
}

/// An incident is restated at most so often; afterwards its words still change, without a note of each.
pub const MOST_RESTATEMENTS: u32 = 50;

/// Holds what was told of one subject against what is found of it in a window.
///
/// `told` is everything of the subject that shares an instant with the window or touches it, gone or not. Of an incident that reaches
/// beyond the window's start only the end can be judged. `now` is when this is said.
#[must_use]
pub fn reconcile(
    subject: &Subject,
    told: &[Told],
    found: &[Incident],
    window: Window,
    now: UnixMillis,
) -> Changes {
    let joined = joined(told, found, window);
    let found = joined.as_deref().unwrap_or(found);
    let mut changes = Changes::default();
    let mut taken = vec![false; told.len()];
    // The ones with a predecessor first take what is theirs; only then is the rest new.
    let mut heirs: Vec<Option<usize>> = vec![None; found.len()];
    for (index, incident) in found.iter().enumerate() {
        let heir = best(told, &taken, incident, window);
        if let Some(of) = heir {
            taken[of] = true;
        }
        heirs[index] = heir;
    }
    let mut ids: Vec<IncidentId> = Vec::with_capacity(found.len());
    for (incident, heir) in found.iter().zip(&heirs) {
        ids.push(match heir {
            Some(of) => {
                update(&told[*of], incident, window, now, &mut changes);
                told[*of].id.clone()
            }
            None => begin(subject, told, incident, now, &mut changes),
        });
    }
    for (index, old) in told.iter().enumerate() {
        // Of one that begins before the window nothing is known here but what lies inside.
        if taken[index] || old.gone.is_some() || old.word.start < window.start {
            continue;
        }
        let into =
            found.iter().zip(&ids).find(|(incident, id)| overlap(&old.word, incident) > 0 && **id != old.id);
        let gone = into.map_or(Gone::Withdrawn, |(_, id)| Gone::Into(id.clone()));
        let is = into.map(|(incident, _)| (incident.rule, &incident.scene));
        let next = Told { gone: Some((now, gone)), ..old.clone() };
        restate(next, old.word, None, Because::of(old.word.rule, is), now, &mut changes);
    }
    changes
}

/// Where an outage was told that began before the window, what is unknown at the window's start and ends with an outage is part of it: that it was
/// down before, the window does not show. `None`: there is no such thing.
fn joined(told: &[Told], found: &[Incident], window: Window) -> Option<Vec<Incident>> {
    let [gap, outage, rest @ ..] = found else { return None };
    let reaches = |old: &Told| {
        old.gone.is_none()
            && old.word.kind == IncidentKind::Outage
            && old.word.start < window.start
            && old.word.end.is_none_or(|end| end > gap.end)
    };
    let cut = gap.kind == IncidentKind::Gap
        && gap.start <= window.start
        && outage.kind == IncidentKind::Outage
        && outage.start == gap.end;
    (cut && told.iter().any(reaches)).then(|| {
        let whole = Incident { start: gap.start, ..outage.clone() };
        std::iter::once(whole).chain(rest.iter().cloned()).collect()
    })
}

/// The incident told before that this one continues.
fn best(told: &[Told], taken: &[bool], incident: &Incident, window: Window) -> Option<usize> {
    let fits = |(index, old): &(usize, &Told)| {
        !taken[*index] && old.gone.is_none() && overlap(&old.word, incident) > 0
    };
    let better = |(_, old): &(usize, &Told)| {
        let before_window = old.word.start < window.start && incident.start <= window.start;
        let same = before_window || old.word.kind == incident.kind;
        (same, overlap(&old.word, incident), std::cmp::Reverse((old.word.start, old.id.clone())))
    };
    told.iter().enumerate().filter(fits).max_by_key(better).map(|(index, _)| index)
}

/// How many milliseconds both hold, counting a touch as one.
fn overlap(word: &Word, incident: &Incident) -> i64 {
    let end = word.end.unwrap_or(UnixMillis::MAX).min(incident.end);
    end.millis_since(word.start.max(incident.start)).saturating_add(1)
}

fn update(old: &Told, incident: &Incident, window: Window, now: UnixMillis, changes: &mut Changes) {
    let mut word = Word::of(incident);
    if old.word.start < window.start && incident.start <= window.start {
        // It began before the window: only how it goes on can be told from here, and at least so much of it was bad.
        word = Word { end: word.end, bad_ms: old.word.bad_ms.max(word.bad_ms), ..old.word };
    }
    if word == old.word {
        return;
    }
    let next = Told { word, scene: incident.scene, ..old.clone() };
    if old.word.is_denied_by(&word, EDGE) {
        let because = Because::of(old.word.rule, Some((incident.rule, &incident.scene)));
        restate(next, old.word, Some(word), because, now, changes);
    } else {
        changes.told.push(next);
    }
}

/// A new incident, or one that was taken back and is there again; gives its id.
fn begin(
    subject: &Subject,
    told: &[Told],
    incident: &Incident,
    now: UnixMillis,
    changes: &mut Changes,
) -> IncidentId {
    let id = IncidentId::of(subject, incident.start);
    let word = Word::of(incident);
    match told.iter().find(|old| old.id == id) {
        Some(old) if old.gone.is_some() => {
            let next = Told { word, scene: incident.scene, gone: None, ..old.clone() };
            let because = Because::of(old.word.rule, Some((incident.rule, &incident.scene)));
            restate(next, old.word, Some(word), because, now, changes);
            id
        }
        // Another one of now continues the one with this id. Of so many other starts one is free.
        Some(_) => {
            let others = (1..).map(|later| IncidentId::of(subject, incident.start.plus_millis(later)));
            let free = others.take(told.len() + 1).find(|id| told.iter().all(|old| old.id != *id));
            let id = free.unwrap_or(id);
            changes.told.push(fresh(id.clone(), subject, word, incident, now));
            id
        }
        None => {
            changes.told.push(fresh(id.clone(), subject, word, incident, now));
            id
        }
    }
}

fn fresh(id: IncidentId, subject: &Subject, word: Word, incident: &Incident, now: UnixMillis) -> Told {
    Told { id, subject: subject.clone(), word, scene: incident.scene, since: now, gone: None, restated: 0 }
}

fn restate(
    mut next: Told,
    was: Word,
    is: Option<Word>,
    because: Because,
    now: UnixMillis,
    changes: &mut Changes,
) {
    if next.restated < MOST_RESTATEMENTS {
        next.restated += 1;
        changes.restatements.push(Restatement { id: next.id.clone(), at: now, was, is, because });
    }
    changes.told.push(next);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::cause::Silence;
    use crate::ledger::timeline::State;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use wan_wire::LinkKind;

    const WHOLE: Window = Window::new(UnixMillis(0), UnixMillis(1_000_000_000));

    fn subject() -> Subject {
        Subject { site: "xa-tan-ha".parse().unwrap(), link: Some("wan".parse().unwrap()) }
    }

    fn minute(minute: i64) -> UnixMillis {
        UnixMillis(minute * 60_000)
    }

    /// An incident from minute to minute; without an end it goes on until minute 1000.
    fn incident(kind: IncidentKind, start: i64, end: Option<i64>, rule: Rule) -> Incident {
        let scene = Scene {
            kind: LinkKind::Wan,
            state: State::Down,
            voice: if rule == Rule::NotYetTold { Voice::Other } else { Voice::Own },
            silence: Silence::Speaks,
            planned: false,
            path_cut: false,
            lan: State::Up,
            wan: State::Down,
            internet: State::Up,
            lan_fails: false,
            seen_down: false,
            seen_up: false,
            wan_rule: None,
            same_carrier: false,
        };
        let end_at = minute(end.unwrap_or(1000));
        Incident {
            kind,
            start: minute(start),
            end: end_at,
            ongoing: end.is_none(),
            bad_ms: end_at.millis_since(minute(start)),
            causes: BTreeMap::from([(rule.cause(), 1)]),
            rule,
            scene,
        }
    }

    fn outage(start: i64, end: Option<i64>, rule: Rule) -> Incident {
        incident(IncidentKind::Outage, start, end, rule)
    }

    /// The store: what was told, by id, and every restatement.
    #[derive(Default)]
    struct Memory {
        told: BTreeMap<IncidentId, Told>,
        restatements: Vec<Restatement>,
    }

    impl Memory {
        fn hear(&mut self, found: &[Incident], now: i64) -> usize {
            let told: Vec<Told> = self.told.values().cloned().collect();
            let changes = reconcile(&subject(), &told, found, WHOLE, minute(now));
            let count = changes.told.len();
            self.told.extend(changes.told.into_iter().map(|told| (told.id.clone(), told)));
            self.restatements.extend(changes.restatements);
            count
        }

        /// Those that are not gone: start, end, cause, number of restatements.
        fn live(&self) -> Vec<(i64, Option<i64>, Cause, u32)> {
            let live = self.told.values().filter(|told| told.gone.is_none());
            let row = |told: &Told| {
                let word = &told.word;
                (word.start.0 / 60_000, word.end.map(|end| end.0 / 60_000), word.cause(), told.restated)
            };
            let mut rows: Vec<_> = live.map(row).collect();
            rows.sort_unstable();
            rows
        }
    }

    #[test]
    fn an_incident_that_grows_and_ends_keeps_its_id_and_is_not_restated() {
        let mut memory = Memory::default();
        memory.hear(&[outage(10, None, Rule::GatewayAnswers)], 11);
        let id = memory.told.keys().next().cloned().unwrap();
        assert_eq!(id, IncidentId::of(&subject(), minute(10)), "made from site, link and start");
        memory.hear(&[outage(10, Some(25), Rule::GatewayAnswers)], 26);
        assert_eq!(memory.live(), [(10, Some(25), Cause::Carrier, 0)]);
        assert_eq!((memory.told.len(), memory.restatements.len()), (1, 0));
        assert_eq!(
            memory.hear(&[outage(10, Some(25), Rule::GatewayAnswers)], 27),
            0,
            "nothing new, nothing written"
        );
    }

    #[test]
    fn a_backlog_that_tells_the_cause_restates_it_with_both_words() {
        let mut memory = Memory::default();
        memory.hear(&[outage(10, Some(25), Rule::NotYetTold)], 26);
        memory.hear(&[outage(10, Some(25), Rule::GatewayAnswers)], 40);
        assert_eq!(memory.live(), [(10, Some(25), Cause::Carrier, 1)]);
        let [only] = &memory.restatements[..] else { panic!("{:?}", memory.restatements) };
        assert_eq!((only.was.cause(), only.is.map(|is| is.cause())), (Cause::Unknown, Some(Cause::Carrier)));
        assert_eq!((only.because, only.at), (Because::Backlog, minute(40)));
    }

    #[test]
    fn each_reason_is_told_apart() {
        let because = |was, is| {
            let mut memory = Memory::default();
            memory.hear(&[outage(10, Some(25), was)], 26);
            memory.hear(&[outage(10, Some(25), is)], 40);
            memory.restatements.first().map(|restatement| restatement.because)
        };
        assert_eq!(because(Rule::NotYetTold, Rule::BootInGap), Some(Because::Boot));
        assert_eq!(because(Rule::GatewayAnswers, Rule::PlannedWork), Some(Because::Planned));
        assert_eq!(because(Rule::PlannedWork, Rule::GatewayAnswers), Some(Because::Planned));
        assert_eq!(because(Rule::GatewayAnswers, Rule::PathCut), Some(Because::Evidence));
        assert_eq!(because(Rule::GatewayAnswers, Rule::BothSides), None, "the cause is the same");
    }

    #[test]
    fn what_turns_out_not_to_have_happened_is_withdrawn_and_never_deleted() {
        let mut memory = Memory::default();
        memory.hear(&[outage(10, Some(25), Rule::NotYetTold)], 26);
        memory.hear(&[], 40);
        assert_eq!(memory.live(), []);
        let old = memory.told.values().next().unwrap();
        assert_eq!(old.gone, Some((minute(40), Gone::Withdrawn)));
        assert_eq!(memory.restatements[0].is, None);
        assert_eq!(memory.hear(&[], 41), 0, "it is taken back once");
        memory.hear(&[outage(10, Some(25), Rule::GatewayAnswers)], 50);
        assert_eq!(memory.live(), [(10, Some(25), Cause::Carrier, 2)], "the same one again");
        assert_eq!(memory.told.len(), 1);
    }

    #[test]
    fn two_that_are_one_keep_the_id_of_one_and_the_other_says_so() {
        let mut memory = Memory::default();
        memory.hear(
            &[outage(10, Some(12), Rule::GatewayAnswers), outage(20, Some(30), Rule::GatewayAnswers)],
            31,
        );
        memory.hear(&[outage(10, Some(30), Rule::GatewayAnswers)], 40);
        assert_eq!(memory.live(), [(10, Some(30), Cause::Carrier, 1)]);
        let kept = IncidentId::of(&subject(), minute(20));
        assert!(memory.told[&kept].gone.is_none(), "the longer overlap keeps its id");
        let other = &memory.told[&IncidentId::of(&subject(), minute(10))];
        assert_eq!(other.gone, Some((minute(40), Gone::Into(kept))));
    }

    #[test]
    fn one_that_is_two_keeps_its_id_for_the_first() {
        let mut memory = Memory::default();
        memory.hear(&[outage(10, Some(30), Rule::NotYetTold)], 31);
        memory.hear(
            &[outage(10, Some(12), Rule::GatewayAnswers), outage(20, Some(30), Rule::GatewayAnswers)],
            40,
        );
        assert_eq!(memory.live(), [(10, Some(12), Cause::Carrier, 1), (20, Some(30), Cause::Carrier, 0)]);
    }

    #[test]
    fn a_gap_that_was_an_outage_keeps_its_id() {
        let mut memory = Memory::default();
        memory.hear(&[incident(IncidentKind::Gap, 10, Some(30), Rule::NotYetTold)], 31);
        memory.hear(&[outage(10, Some(30), Rule::GatewayAnswers)], 40);
        assert_eq!((memory.told.len(), memory.restatements[0].because), (1, Because::Backlog));
    }

    #[test]
    fn an_edge_that_moves_by_two_rounds_is_corrected_without_a_word() {
        let mut memory = Memory::default();
        memory.hear(&[outage(10, Some(25), Rule::GatewayAnswers)], 26);
        let mut moved = outage(10, Some(25), Rule::GatewayAnswers);
        moved.start = moved.start.minus(EDGE);
        memory.hear(std::slice::from_ref(&moved), 40);
        assert_eq!(memory.restatements, []);
        moved.end = moved.end.plus_millis(10_001);
        memory.hear(&[moved], 41);
        assert_eq!(memory.restatements.len(), 1);
    }

    #[test]
    fn of_one_that_began_before_the_window_only_the_end_is_judged() {
        let old = [fresh_told(10, None)];
        let window = Window::new(minute(100), WHOLE.end);
        let found = outage(100, Some(120), Rule::PathCut);
        let changes = reconcile(&subject(), &old, &[found], window, minute(130));
        assert_eq!(changes.restatements, []);
        assert_eq!((changes.told[0].word.start, changes.told[0].word.end), (minute(10), Some(minute(120))));
        assert_eq!(reconcile(&subject(), &old, &[], window, minute(130)), Changes::default());
    }

    fn fresh_told(start: i64, end: Option<i64>) -> Told {
        let incident = outage(start, end, Rule::GatewayAnswers);
        fresh(
            IncidentId::of(&subject(), incident.start),
            &subject(),
            Word::of(&incident),
            &incident,
            minute(0),
        )
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = IncidentId::of(&subject(), minute(10));
        assert_eq!(id.as_str().parse(), Ok(id));
        for bad in ["", "0123456789abc4", "0123456789abi", "0123456789AB0"] {
            assert!(bad.parse::<IncidentId>().is_err(), "{bad}");
        }
    }

    fn history() -> impl Strategy<Value = Vec<Incident>> {
        let rule = prop::sample::select(vec![
            Rule::GatewayAnswers,
            Rule::NotYetTold,
            Rule::BootInGap,
            Rule::PlannedWork,
        ]);
        let kind = prop::sample::select(IncidentKind::ALL.to_vec());
        proptest::collection::vec((1..20i64, 1..20i64, rule, kind), 0..6).prop_map(|runs| {
            let mut at = 0;
            let mut found = Vec::new();
            for (gap, length, rule, kind) in runs {
                found.push(incident(kind, at + gap, Some(at + gap + length), rule));
                at += gap + length;
            }
            found
        })
    }

    proptest! {
        #[test]
        fn whatever_is_found_each_incident_is_told_once_and_nothing_told_is_lost(
            histories in proptest::collection::vec(history(), 1..6)
        ) {
            let mut memory = Memory::default();
            for (now, found) in (1000..).zip(&histories) {
                let before: Vec<IncidentId> = memory.told.keys().cloned().collect();
                memory.hear(found, now);
                prop_assert!(before.iter().all(|id| memory.told.contains_key(id)));
                let mut live: Vec<Word> =
                    memory.told.values().filter(|told| told.gone.is_none()).map(|told| told.word).collect();
                live.sort_by_key(|word| word.start);
                prop_assert_eq!(live, found.iter().map(Word::of).collect::<Vec<_>>());
                prop_assert_eq!(memory.hear(found, now), 0, "to hear it again changes nothing");
            }
            // What was last said of each that was restated; one that was taken back may return word for word.
            let mut said: BTreeMap<&IncidentId, Option<Word>> = BTreeMap::new();
            for restatement in &memory.restatements {
                let last = said.insert(&restatement.id, restatement.is).unwrap_or(Some(restatement.was));
                prop_assert!(restatement.is != last, "{restatement:?}");
            }
        }
    }

    #[test]
    fn what_was_taken_back_and_returns_word_for_word_is_restated() {
        let mut memory = Memory::default();
        let same = [outage(10, Some(25), Rule::GatewayAnswers)];
        memory.hear(&same, 26);
        memory.hear(&[], 40);
        memory.hear(&same, 50);
        let word = Word::of(&same[0]);
        let notes: Vec<_> = memory.restatements.iter().map(|note| (note.was, note.is)).collect();
        assert_eq!(notes, [(word, None), (word, Some(word))]);
        assert_eq!(memory.live(), [(10, Some(25), Cause::Carrier, 2)]);
    }
}
