//! Incidents: the runs of bad time that people talk about, each with its cause.
//!
//! Three kinds:
//!
//! - an **outage** is a run of down that nothing seen up or degraded interrupts. Unknown time does not end it (nothing said that it
//!   had ended), and is not counted into it; it ends with the last instant seen down;
//! - a **degradation** is a run of degraded;
//! - a **gap** is a run of unknown that belongs to no outage: nobody can say what was.
//!
//! Degradations and gaps shorter than [`NOTED`] are charged like all bad time, but are not told as incidents: of five packets two are
//! lost by chance now and then, and a push may be late.
//!
//! An incident's cause is the one with the most bad time in it; of several as long, the one nearest to the root.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::UnixMillis;

use super::cause::{Cause, Charge, Rule, Scene};
use super::timeline::State;

/// Degradations and gaps that are shorter are not told as incidents.
pub const NOTED: Duration = Duration::from_secs(60);

/// What sort of run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// Down.
    Outage,
    /// Degraded.
    Degradation,
    /// Unknown.
    Gap,
}

impl IncidentKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Outage, Self::Degradation, Self::Gap];

    /// The word for it in the API and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Degradation => "degradation",
            Self::Gap => "gap",
        }
    }
}

impl std::str::FromStr for IncidentKind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NotAKind)
    }
}

/// Text that is no kind of incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected outage, degradation or gap")]
pub struct NotAKind;

/// One incident of a link or a site, as the evidence has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What sort of run it is.
    pub kind: IncidentKind,
    /// Its first bad instant.
    pub start: UnixMillis,
    /// The first instant after its last bad one; of one that goes on, the end of what was asked about.
    pub end: UnixMillis,
    /// It reaches the end of what was asked about: nothing says that it is over.
    pub ongoing: bool,
    /// Milliseconds of it in which it was as its kind says.
    pub bad_ms: i64,
    /// Milliseconds by cause; they add up to `bad_ms`.
    pub causes: BTreeMap<Cause, i64>,
    /// The rule with the most time of those that charge [`Self::cause`].
    pub rule: Rule,
    /// What that rule first looked at.
    pub scene: Scene,
}

impl Incident {
    /// The cause that is charged.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.rule.cause()
    }
}

/// The incidents among the charges of a link or a site: those of [`super::cause::charges`] over a window
/// that ends at `until`. In order of start.
#[must_use]
pub fn incidents(charges: &[Charge], until: UnixMillis) -> Vec<Incident> {
    let mut found = Vec::new();
    let mut rest = charges;
    while let Some(first) = rest.first() {
        // As long as charges touch and are alike, nothing that works came between.
        let degraded = first.state == State::Degraded;
        let mut length = 1;
        while let Some(next) = rest.get(length) {
            if next.start != rest[length - 1].end || (next.state == State::Degraded) != degraded {
                break;
            }
            length += 1;
        }
        let (run, behind) = rest.split_at(length);
        if degraded {
            found.extend(told(IncidentKind::Degradation, run, until));
        } else {
            split(run, until, &mut found);
        }
        rest = behind;
    }
    found
}

/// A run of down and unknown: an outage from the first down to the last, and what is unknown before and after it.
fn split(run: &[Charge], until: UnixMillis, found: &mut Vec<Incident>) {
    let is_down = |charge: &Charge| charge.state == State::Down;
    let Some(first) = run.iter().position(is_down) else {
        found.extend(told(IncidentKind::Gap, run, until));
        return;
    };
    let last = run.iter().rposition(is_down).unwrap_or(first);
    let goes_on = run.last().is_some_and(|charge| charge.end >= until);
    let (before, rest) = run.split_at(first);
    // While it is not known to be over, what is unknown after it belongs to it.
    let (outage, after) = if goes_on { (rest, &rest[..0]) } else { rest.split_at(last - first + 1) };
    found.extend(told(IncidentKind::Gap, before, until));
    found.extend(told(IncidentKind::Outage, outage, until));
    found.extend(told(IncidentKind::Gap, after, until));
}

fn told(kind: IncidentKind, run: &[Charge], until: UnixMillis) -> Option<Incident> {
    let (first, last) = run.first().zip(run.last())?;
    let counts = |charge: &&Charge| match kind {
        IncidentKind::Outage => charge.state == State::Down,
        IncidentKind::Degradation | IncidentKind::Gap => true,
    };
    let mut causes: BTreeMap<Cause, i64> = BTreeMap::new();
    let mut rules: BTreeMap<Rule, (i64, Scene)> = BTreeMap::new();
    let mut bad_ms = 0;
    for charge in run.iter().filter(counts) {
        bad_ms += charge.millis();
        *causes.entry(charge.rule.cause()).or_default() += charge.millis();
        rules.entry(charge.rule).or_insert((0, charge.scene)).0 += charge.millis();
    }
    let noted = i64::try_from(NOTED.as_millis()).unwrap_or(i64::MAX);
    if kind != IncidentKind::Outage && bad_ms < noted {
        return None;
    }
    let cause = *causes.iter().max_by_key(|(cause, millis)| (**millis, u8::MAX - cause.rank()))?.0;
    let of_cause = rules.iter().filter(|(rule, _)| rule.cause() == cause);
    // Of rules that charged as long, the first of the table.
    let (rule, (_, scene)) = of_cause.rev().max_by_key(|(_, (millis, _))| *millis)?;
    let ongoing = last.end >= until;
    Some(Incident {
        kind,
        start: first.start,
        end: last.end,
        ongoing,
        bad_ms,
        causes,
        rule: *rule,
        scene: *scene,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::cause::{Silence, Voice};
    use crate::ledger::timeline::Why;
    use wan_wire::LinkKind;

    const SILENT: State = State::Unknown(Why::Silent);

    /// Charges of minutes: start, end, state, rule.
    fn found(
        charges: &[(i64, i64, State, Rule)],
        until: i64,
    ) -> Vec<(IncidentKind, i64, i64, bool, i64, Rule)> {
        let charge = |&(start, end, state, rule): &(i64, i64, State, Rule)| Charge {
            start: UnixMillis(start * 60_000),
            end: UnixMillis(end * 60_000),
            state,
            rule,
            scene: Scene {
                kind: LinkKind::Wan,
                state,
                voice: Voice::Own,
                silence: Silence::Speaks,
                planned: false,
                path_cut: false,
                lan: State::Up,
                wan: state,
                internet: State::Up,
                lan_fails: false,
                seen_down: false,
                seen_up: false,
                wan_rule: None,
                same_carrier: false,
            },
        };
        let charges: Vec<Charge> = charges.iter().map(charge).collect();
        let found = incidents(&charges, UnixMillis(until * 60_000));
        let row = |i: &Incident| {
            (i.kind, i.start.0 / 60_000, i.end.0 / 60_000, i.ongoing, i.bad_ms / 60_000, i.rule)
        };
        found.iter().map(row).collect()
    }

    #[test]
    fn an_outage_goes_on_through_unknown_time_to_the_last_instant_seen_down() {
        let rows = found(
            &[
                (0, 2, SILENT, Rule::NotYetTold),
                (2, 5, State::Down, Rule::GatewayAnswers),
                (5, 9, SILENT, Rule::CollectorStopped),
                (9, 10, State::Down, Rule::GatewayAnswers),
                (10, 14, SILENT, Rule::RoundsMissing),
                (20, 21, State::Down, Rule::BehindLan),
            ],
            30,
        );
        let expected = [
            (IncidentKind::Gap, 0, 2, false, 2, Rule::NotYetTold),
            (IncidentKind::Outage, 2, 10, false, 4, Rule::GatewayAnswers),
            (IncidentKind::Gap, 10, 14, false, 4, Rule::RoundsMissing),
            (IncidentKind::Outage, 20, 21, false, 1, Rule::BehindLan),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_is_unknown_after_an_outage_belongs_to_it_until_something_is_seen() {
        let charges = [(2, 5, State::Down, Rule::PathCut), (5, 9, SILENT, Rule::NotYetTold)];
        assert_eq!(found(&charges, 9), [(IncidentKind::Outage, 2, 9, true, 3, Rule::PathCut)]);
        let over = [
            (IncidentKind::Outage, 2, 5, false, 3, Rule::PathCut),
            (IncidentKind::Gap, 5, 9, false, 4, Rule::NotYetTold),
        ];
        assert_eq!(found(&charges, 20), over);
    }

    #[test]
    fn degraded_time_ends_an_outage_and_is_one_of_its_own() {
        let rows = found(
            &[
                (0, 1, State::Down, Rule::GatewayAnswers),
                (1, 4, State::Degraded, Rule::GatewayAnswers),
                (4, 5, State::Down, Rule::GatewayAnswers),
            ],
            5,
        );
        let expected = [
            (IncidentKind::Outage, 0, 1, false, 1, Rule::GatewayAnswers),
            (IncidentKind::Degradation, 1, 4, false, 3, Rule::GatewayAnswers),
            (IncidentKind::Outage, 4, 5, true, 1, Rule::GatewayAnswers),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn the_cause_is_the_one_with_the_most_time_and_of_equal_ones_the_nearest_to_the_root() {
        let most = [(0, 3, State::Down, Rule::PathCut), (3, 7, State::Down, Rule::GatewayAnswers)];
        assert_eq!(found(&most, 9)[0].5, Rule::GatewayAnswers);
        let equal = [(0, 3, State::Down, Rule::GatewayAnswers), (3, 6, State::Down, Rule::BootInGap)];
        assert_eq!(found(&equal, 9)[0].5, Rule::BootInGap);
        let two_rules = [
            (0, 2, State::Down, Rule::BothSides),
            (2, 5, State::Down, Rule::BootInGap),
            (5, 7, State::Down, Rule::GatewayAnswers),
        ];
        assert_eq!(
            found(&two_rules, 9)[0].5,
            Rule::BothSides,
            "both of its rules charge the carrier: 4 of 7"
        );
    }

    #[test]
    fn short_gaps_and_degradations_are_not_told_and_short_outages_are() {
        let charge = |state| {
            let mut charges = found(&[(0, 1, state, Rule::GatewayAnswers)], 9);
            charges.pop().map(|row| row.0)
        };
        assert_eq!(charge(State::Degraded), Some(IncidentKind::Degradation), "a minute is noted");
        assert_eq!(charge(SILENT), Some(IncidentKind::Gap));
        assert_eq!(found(&[], 9), []);
    }
}
