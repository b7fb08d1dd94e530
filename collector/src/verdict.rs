//! The site's state now: one word for the tile, the alert and `wan_site_verdict`, and the rule that gave it.
//!
//! A verdict is derived anew from what is known at `now` and kept nowhere. It has two layers: [`decide`], the table below
//! over a [`Situation`] of plain words, and [`standing`], which reads the situation and the time since which it holds from
//! the evidence.
//!
//! # The table
//!
//! The first row that applies decides.
//!
//! | # | enrolled | planned | agent | what is seen | parent | verdict | [`Rule`] |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | 1 | no | | | | | `not_enrolled` | `NotEnrolled` |
//! | 2 | | yes | | | | `maintenance` | `Planned` |
//! | 3 | | | never heard | | | `not_enrolled` | `NeverHeard` |
//! | 4 | | | heard | WAN down, Internet down | | `offline` | `AllLinesDown` |
//! | 5 | | | heard | WAN down | | `wan_down` | `WanDown` |
//! | 6 | | | heard | WAN unknown, nothing else known | | `unknown` | `NothingSeen` |
//! | 7 | | | heard | LAN or Internet down | | `degraded` | `PartDown` |
//! | 8 | | | heard | any of the three degraded | | `degraded` | `PartDegraded` |
//! | 9 | | | heard | else | | `online` | `AllWell` |
//! | 10 | | | cannot be judged | | | `unknown` | `Blind` |
//! | 11 | | | silent | another vantage has the WAN up or degraded | | `agent_silent` | `LineWorks` |
//! | 12 | | | silent | | cut off | `unreachable` | `ParentCutOff` |
//! | 13 | | | silent | another vantage has the WAN down | | `offline` | `SeenDown` |
//! | 14 | | | silent | nobody else sees the WAN | | `agent_silent` | `NobodyElseSees` |
//!
//! Why these, in this order:
//!
//! - **Planned work wins over all that is measured** (2), and suppresses the verdict only: evidence goes on.
//! - **A secret that nobody ever used is not an agent that fell silent** (3). Issuing secrets for all sites must not raise
//!   an alarm for each.
//! - **An agent that is heard proves a path, not service** (4). When its own rounds say that neither WAN nor Internet carries
//!   traffic, the users have nothing, by whatever path the push came. This is mostly the first push after a cut, whose last
//!   round still failed; so a healing site goes from offline to online without a spell of `wan_down` between.
//! - **A push that comes by the Internet while the WAN is cut** (5) is the reason to have both paths: the site is alive.
//! - **What is not measured is not held against a site** (6–9): many have no Internet link of their own. But a site of which
//!   no kind is known is not called online.
//! - **Silence can be judged only by a collector that was there to hear** (10): until it has run for the silence limit, or
//!   while it is itself cut off, a missing push says nothing. 300 sites do not go silent because the collector restarted.
//! - **A line that is seen to work is not cut, wherever its parent is** (11): the agent, its host or its power has failed.
//! - **The hub's outage is one outage** (12 before 13): its children are unreachable, not offline.
//! - **Silence alone is never offline** (14): it takes another vantage that saw the WAN fail.
//!
//! # How soon silence is silence
//!
//! An agent is silent after [`silence_limit`], three rounds. It is so after [`late_limit`] already, a round and two fifths, where every other
//! vantage that looks has seen the WAN down for some seconds and at least two rounds in a row: two witnesses that do not know of each other are as
//! good as time. So a cut is known within some seven seconds, and a lost push, or a lost round, or a burst of loss of three seconds that costs both,
//! is none.
//!
//! # Since when
//!
//! From the evidence, never from when somebody looked: what the agent's own word decides holds since its timeline last
//! began to say so; silence since the agent's last word; and where two facts decide, since the later of them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;
use wan_wire::{LinkKind, Outcome, UnixMillis};

use crate::ledger::span::{Periods, Span, Spans};
use crate::ledger::timeline::{Basis, Kinds, KindsSweep, LinkView, SiteView, State, Window};

/// What a site is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Heard, and all that is measured works.
    Online,
    /// Heard, the WAN carries traffic, and something else is down or anything is degraded.
    Degraded,
    /// Heard, and the WAN is down.
    WanDown,
    /// Cut off: seen down by another vantage while silent, or by its own word.
    Offline,
    /// Not heard, and not known to be cut off.
    AgentSilent,
    /// Not heard, behind a parent that is itself cut off.
    Unreachable,
    /// The collector cannot tell.
    Unknown,
    /// Planned work is under way.
    Maintenance,
    /// No agent has spoken for the site yet.
    NotEnrolled,
}

impl Verdict {
    /// Every verdict, in the order of the design's list.
    pub const ALL: [Self; 9] = [
        Self::Online,
        Self::Degraded,
        Self::WanDown,
        Self::Offline,
        Self::AgentSilent,
        Self::Unreachable,
        Self::Unknown,
        Self::Maintenance,
        Self::NotEnrolled,
    ];

    /// The word for it in the API, the metrics and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::WanDown => "wan_down",
            Self::Offline => "offline",
            Self::AgentSilent => "agent_silent",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
            Self::Maintenance => "maintenance",
            Self::NotEnrolled => "not_enrolled",
        }
    }

    /// Whether a site in this state takes its children's path to the centre with it.
    #[must_use]
    pub const fn cuts_children_off(self) -> bool {
        match self {
            Self::Offline | Self::Unreachable => true,
            Self::Online
            | Self::Degraded
            | Self::WanDown
            | Self::AgentSilent
            | Self::Unknown
            | Self::Maintenance
            | Self::NotEnrolled => false,
        }
    }
}

/// Which row of the table decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No secret was issued.
    NotEnrolled,
    /// A planned window is open.
    Planned,
    /// A secret was issued, and no agent has used it.
    NeverHeard,
    /// The agent says that neither WAN nor Internet carries traffic.
    AllLinesDown,
    /// The agent is heard, and the WAN is down.
    WanDown,
    /// The agent is heard, and none of its links is known.
    NothingSeen,
    /// The agent is heard; its LAN or Internet is down.
    PartDown,
    /// The agent is heard; LAN, WAN or Internet loses or delays too much.
    PartDegraded,
    /// The agent is heard, and nothing is known to be wrong.
    AllWell,
    /// The agent is not heard, and the collector was not there to hear it.
    Blind,
    /// The agent is not heard, and another vantage sees its WAN work.
    LineWorks,
    /// The agent is not heard, and its parent is cut off.
    ParentCutOff,
    /// The agent is not heard, and another vantage sees its WAN down.
    SeenDown,
    /// The agent is not heard, and nobody else looks at its WAN.
    NobodyElseSees,
}

/// Whether the site's own agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It has never spoken.
    Never,
    /// Its last push is no older than the silence limit.
    Heard,
    /// It is overdue, and the collector was there to hear.
    Silent,
    /// It is overdue, but the collector has not been there for as long as the silence limit.
    Blind,
}

/// What the table is about: a site at an instant, in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// A secret was issued for it.
    pub enrolled: bool,
    /// A planned window is open.
    pub planned: bool,
    /// Whether its own agent speaks.
    pub hearing: Hearing,
    /// Its links by kind, the agent's own word first.
    pub kinds: Kinds,
    /// Its WAN as the other vantages see it.
    pub seen: State,
    /// Its parent is offline or itself unreachable.
    pub parent_cut_off: bool,
}

/// The table: see the module's page.
#[must_use]
pub fn decide(situation: &Situation) -> (Verdict, Rule) {
    if !situation.enrolled {
        return (Verdict::NotEnrolled, Rule::NotEnrolled);
    }
    if situation.planned {
        return (Verdict::Maintenance, Rule::Planned);
    }
    match situation.hearing {
        Hearing::Never => (Verdict::NotEnrolled, Rule::NeverHeard),
        Hearing::Heard => decide_heard(&situation.kinds),
        Hearing::Blind => (Verdict::Unknown, Rule::Blind),
        Hearing::Silent => match situation.seen {
            State::Up | State::Degraded => (Verdict::AgentSilent, Rule::LineWorks),
            State::Down | State::Unknown(_) if situation.parent_cut_off => {
                (Verdict::Unreachable, Rule::ParentCutOff)
            }
            State::Down => (Verdict::Offline, Rule::SeenDown),
            State::Unknown(_) => (Verdict::AgentSilent, Rule::NobodyElseSees),
        },
    }
}

/// Rows 4 to 9: the agent is heard.
fn decide_heard(kinds: &Kinds) -> (Verdict, Rule) {
    let [lan, wan, internet] = THE_THREE.map(|kind| kinds.get(kind));
    let any = |state: State| [lan, wan, internet].contains(&state);
    match wan {
        State::Down if internet == State::Down => (Verdict::Offline, Rule::AllLinesDown),
        State::Down => (Verdict::WanDown, Rule::WanDown),
        State::Unknown(_) if matches!((lan, internet), (State::Unknown(_), State::Unknown(_))) => {
            (Verdict::Unknown, Rule::NothingSeen)
        }
        State::Up | State::Degraded | State::Unknown(_) => {
            if any(State::Down) {
                (Verdict::Degraded, Rule::PartDown)
            } else if any(State::Degraded) {
                (Verdict::Degraded, Rule::PartDegraded)
            } else {
                (Verdict::Online, Rule::AllWell)
            }
        }
    }
}

/// What the shell knows about a site beside its evidence.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// When a secret was first issued for it; `None`: never, or all were revoked.
    pub enrolled: Option<UnixMillis>,
    /// Since when the planned window that holds now is open.
    pub planned: Option<UnixMillis>,
    /// When its agent's last push was received. `None` where that was forgotten over a restart: then the end of its
    /// newest evidence stands for it.
    pub last_push: Option<UnixMillis>,
    /// Since when its parent is cut off ([`Verdict::cuts_children_off`]); `None`: it is not, or there is none.
    pub parent_cut_off: Option<UnixMillis>,
    /// Since when the collector hears without a break: its start, or the end of its own isolation. `None`: it does not.
    pub hears_since: Option<UnixMillis>,
    /// How long an agent may be silent ([`silence_limit`]).
    pub silence_limit: Duration,
    /// How late a push may be where another vantage sees the site's WAN down ([`late_limit`]).
    pub late_limit: Duration,
    /// Whether that is so, and for long enough ([`seen_down`]).
    pub seen_down: bool,
}

/// A verdict, since when it holds, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Standing {
    /// What the site is.
    pub verdict: Verdict,
    /// Since when, Unix milliseconds. [`UnixMillis::MIN`], and absent in JSON: since ever (a site without an agent whose
    /// registration has no beginning).
    #[schema(value_type = Option<i64>)]
    #[serde(skip_serializing_if = "is_since_ever")]
    pub since: UnixMillis,
    /// The rule that says so.
    pub rule: Rule,
}

/// Three pushes of five seconds: one lost push, or one late by a retransmission, is no silence.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// So many pushes make up the silence limit.
const PUSHES: u32 = 3;

/// How long an agent may be silent that pushes each of its rounds, where the last one took so long: three rounds, but no less
/// than is configured for all.
#[must_use]
pub fn silence_limit(configured: Duration, round: Option<Duration>) -> Duration {
    configured.max(rounds_hold(round.unwrap_or_default()))
}

/// How long the word of a round of this length holds: until the third one after it should have ended.
#[must_use]
pub fn rounds_hold(round: Duration) -> Duration {
    round.saturating_mul(PUSHES)
}

/// How late the push of a round of this length may be: two fifths of a round more than the round itself, which is two seconds of
/// five. A push waits for the answers of its round and a lost segment of it is sent again, both within that.
#[must_use]
pub fn late_limit(round: Option<Duration>) -> Duration {
    round.unwrap_or(ROUND).mul_f64(1.4)
}

/// A round where nothing else is known.
const ROUND: Duration = Duration::from_secs(5);

/// One vantage that looks at a line.
#[derive(Debug, Clone, Copy)]
pub struct Witness<'w> {
    /// What it saw.
    pub spans: &'w Spans,
    /// When it was itself cut off: what it could not reach then is no evidence.
    pub cut_off: &'w Periods,
    /// How long its rounds are.
    pub round: Duration,
}

impl<'w> Witness<'w> {
    /// Its newest span, unless that is older than `hold`, or what it could not reach while it was cut off itself.
    #[must_use]
    pub fn word(&self, now: UnixMillis, hold: Duration) -> Option<&'w Span> {
        let last = self.spans.last().filter(|span| now.since(span.end) <= hold)?;
        (!self.cut_off.contains(last.end.plus_millis(-1))).then_some(last)
    }
}

/// Whether each line that others look at was seen down for at least `confirm`, and by no less than two rounds in a row: one round that was
/// lost whole is an accident that happens. What is older than `hold` is no word about the present.
#[must_use]
pub fn seen_down<'w, L>(lines: L, now: UnixMillis, hold: Duration, confirm: Duration) -> bool
where
    L: IntoIterator,
    L::Item: IntoIterator<Item = Witness<'w>>,
{
    let mut any = false;
    for line in lines {
        for witness in line {
            let Some(last) = witness.word(now, hold.max(rounds_hold(witness.round))) else { continue };
            // A round and a half tells one round from two however unevenly they end.
            let least = confirm.max(witness.round.mul_f64(1.5));
            if last.outcome != Outcome::Down || last.end.since(last.start) < least {
                return false;
            }
            any = true;
        }
    }
    any
}

/// The site's verdict at `basis.now`. `basis.hold` is how long another vantage's word holds, and should be the silence
/// limit; `basis.required` is not used: the verdict tells LAN, WAN and Internet apart whatever coverage counts.
#[must_use]
pub fn standing(site: &SiteView<'_>, facts: &Facts, basis: &Basis<'_>) -> Standing {
    let now = basis.now;
    let word_ends = site.links.iter().filter_map(|link| Some(link.own?.last()?.end)).max();
    let heard_at = facts.last_push.or(word_ends);
    let overdue = |since: UnixMillis| now.since(since) > facts.silence_limit;
    let late = |at: UnixMillis| {
        facts.late_limit < facts.silence_limit && now.since(at) > facts.late_limit && facts.seen_down
    };
    let there = facts.hears_since.is_some_and(overdue);
    let gone = |at: UnixMillis| overdue(at) || (there && late(at));
    let hearing = match heard_at {
        None => Hearing::Never,
        Some(at) if !gone(at) => Hearing::Heard,
        Some(_) if there => Hearing::Silent,
        Some(_) => Hearing::Blind,
    };
    // While the agent is heard its newest round speaks: the push may be as old as the limit, and the round was as old
    // again when it came.
    let own_hold = Basis { hold: facts.silence_limit.saturating_mul(2), ..*basis };
    // How others see the site's WAN: the same evidence without its own word.
    let wan = site.links.iter().filter(|link| link.kind == LinkKind::Wan);
    let outside = SiteView { links: wan.map(LinkView::seen_from_outside).collect(), ..site.clone() };
    let situation = Situation {
        enrolled: facts.enrolled.is_some(),
        planned: facts.planned.is_some(),
        hearing,
        kinds: kinds_at(site, &THE_THREE, &own_hold),
        seen: kinds_at(&outside, &[LinkKind::Wan], basis).get(LinkKind::Wan),
        parent_cut_off: facts.parent_cut_off.is_some(),
    };
    let (verdict, rule) = decide(&situation);
    let silent_since = word_ends.or(heard_at).unwrap_or(now);
    let seen_since = |same: fn(State) -> bool| {
        since(&outside, &[LinkKind::Wan], basis, |kinds| same(kinds.get(LinkKind::Wan)))
    };
    let since = match rule {
        Rule::NotEnrolled => site.valid_from,
        Rule::Planned => facts.planned.unwrap_or(now),
        Rule::NeverHeard => facts.enrolled.unwrap_or(now),
        Rule::AllLinesDown
        | Rule::WanDown
        | Rule::NothingSeen
        | Rule::PartDown
        | Rule::PartDegraded
        | Rule::AllWell => since(site, &THE_THREE, &own_hold, |kinds| decide_heard(kinds).0 == verdict),
        Rule::Blind | Rule::LineWorks | Rule::NobodyElseSees => silent_since,
        Rule::ParentCutOff => silent_since.max(facts.parent_cut_off.unwrap_or(now)),
        Rule::SeenDown => silent_since.max(seen_since(|state| state == State::Down)),
    };
    Standing { verdict, since: since.min(now), rule }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it by reference
fn is_since_ever(since: &UnixMillis) -> bool {
    *since == UnixMillis::MIN
}

/// The kinds that the verdict tells apart.
const THE_THREE: [LinkKind; 3] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet];

/// How far to look back at first, at least, for the start of what holds now: most sites changed long ago or just now, and a span
/// is cheap. Each further look goes eight times as far.
const FIRST_LOOK_BACK_MS: i64 = 3_600_000;

fn kinds_at(site: &SiteView<'_>, kinds: &[LinkKind], basis: &Basis<'_>) -> Kinds {
    let mut sweep = KindsSweep::new(site, kinds, basis, Window::instant(basis.now));
    sweep.next().map_or(Kinds::NOT_MEASURED, |(_, _, kinds)| kinds)
}

/// The start of the run up to now in which the site's kinds are such that `same` holds.
fn since(
    site: &SiteView<'_>,
    kinds: &[LinkKind],
    basis: &Basis<'_>,
    same: impl Fn(&Kinds) -> bool,
) -> UnixMillis {
    let views = || {
        site.links
            .iter()
            .flat_map(|link| link.own.into_iter().chain(link.others.iter().map(|other| other.spans)))
    };
    // Nothing changes before the first evidence of all.
    let first = views().filter_map(|spans| spans.first()).map(|span| span.start).min();
    let first = first.unwrap_or(basis.now).min(basis.now);
    // Nor between the start of the newest evidence and its end: past it, at once.
    let newest = views().filter_map(|spans| spans.last()).map(|span| span.start).max();
    let unchanged = newest.map_or(0, |newest| basis.now.millis_since(newest).saturating_add(1));
    let mut back = FIRST_LOOK_BACK_MS.max(unchanged);
    loop {
        let from = basis.now.plus_millis(-back).max(first);
        let window = Window::new(from, Window::instant(basis.now).end);
        let mut start = None;
        for (at, _, kinds) in KindsSweep::new(site, kinds, basis, window) {
            start = if same(&kinds) { start.or(Some(at)) } else { None };
        }
        match start {
            Some(start) if start > from || from <= first => return start,
            None => return basis.now,
            Some(_) => back = back.saturating_mul(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::timeline::Why;
    use State::{Degraded, Down, Up};
    use wan_wire::Outcome;

    const QUIET: State = State::Unknown(Why::Silent);

    fn heard(lan: State, wan: State, internet: State) -> Situation {
        let kinds = Kinds::NOT_MEASURED
            .with(LinkKind::Lan, lan)
            .with(LinkKind::Wan, wan)
            .with(LinkKind::Internet, internet);
        Situation {
            enrolled: true,
            planned: false,
            hearing: Hearing::Heard,
            kinds,
            seen: QUIET,
            parent_cut_off: false,
        }
    }

    fn silent(seen: State, parent_cut_off: bool) -> Situation {
        Situation { hearing: Hearing::Silent, seen, parent_cut_off, ..heard(QUIET, QUIET, QUIET) }
    }

    #[test]
    fn every_row_of_the_table_decides_as_written() {
        let well = heard(Up, Up, Up);
        let cut = silent(Down, true);
        let cases = [
            ("no secret", Situation { enrolled: false, ..well }, Verdict::NotEnrolled, Rule::NotEnrolled),
            (
                "no secret, planned",
                Situation { enrolled: false, planned: true, ..cut },
                Verdict::NotEnrolled,
                Rule::NotEnrolled,
            ),
            (
                "planned, heard and well",
                Situation { planned: true, ..well },
                Verdict::Maintenance,
                Rule::Planned,
            ),
            (
                "planned, silent and cut",
                Situation { planned: true, ..cut },
                Verdict::Maintenance,
                Rule::Planned,
            ),
            (
                "planned, collector blind",
                Situation { planned: true, hearing: Hearing::Blind, ..well },
                Verdict::Maintenance,
                Rule::Planned,
            ),
            (
                "never heard, seen down",
                Situation { hearing: Hearing::Never, ..cut },
                Verdict::NotEnrolled,
                Rule::NeverHeard,
            ),
            (
                "never heard, seen up",
                Situation { hearing: Hearing::Never, ..silent(Up, false) },
                Verdict::NotEnrolled,
                Rule::NeverHeard,
            ),
            ("heard, all three down", heard(Down, Down, Down), Verdict::Offline, Rule::AllLinesDown),
            ("heard, both lines down", heard(Up, Down, Down), Verdict::Offline, Rule::AllLinesDown),
            ("heard, WAN down", heard(Up, Down, Up), Verdict::WanDown, Rule::WanDown),
            (
                "heard, WAN down, Internet degraded",
                heard(Up, Down, Degraded),
                Verdict::WanDown,
                Rule::WanDown,
            ),
            (
                "heard, WAN down, Internet not measured",
                heard(Up, Down, QUIET),
                Verdict::WanDown,
                Rule::WanDown,
            ),
            ("heard, LAN and WAN down", heard(Down, Down, Up), Verdict::WanDown, Rule::WanDown),
            ("heard, nothing known", heard(QUIET, QUIET, QUIET), Verdict::Unknown, Rule::NothingSeen),
            ("heard, LAN down", heard(Down, Up, Up), Verdict::Degraded, Rule::PartDown),
            ("heard, Internet down", heard(Up, Up, Down), Verdict::Degraded, Rule::PartDown),
            (
                "heard, Internet down, WAN degraded",
                heard(Up, Degraded, Down),
                Verdict::Degraded,
                Rule::PartDown,
            ),
            ("heard, Internet down, WAN unknown", heard(Up, QUIET, Down), Verdict::Degraded, Rule::PartDown),
            ("heard, LAN degraded", heard(Degraded, Up, Up), Verdict::Degraded, Rule::PartDegraded),
            ("heard, WAN degraded", heard(Up, Degraded, Up), Verdict::Degraded, Rule::PartDegraded),
            ("heard, Internet degraded", heard(Up, Up, Degraded), Verdict::Degraded, Rule::PartDegraded),
            ("heard, all up", well, Verdict::Online, Rule::AllWell),
            ("heard, only the WAN measured", heard(QUIET, Up, QUIET), Verdict::Online, Rule::AllWell),
            ("heard, WAN unknown, LAN up", heard(Up, QUIET, QUIET), Verdict::Online, Rule::AllWell),
            (
                "heard and well, parent cut off",
                Situation { parent_cut_off: true, ..well },
                Verdict::Online,
                Rule::AllWell,
            ),
            ("heard and well, seen down", Situation { seen: Down, ..well }, Verdict::Online, Rule::AllWell),
            (
                "blind, seen down",
                Situation { hearing: Hearing::Blind, ..silent(Down, false) },
                Verdict::Unknown,
                Rule::Blind,
            ),
            (
                "blind, parent cut off",
                Situation { hearing: Hearing::Blind, ..cut },
                Verdict::Unknown,
                Rule::Blind,
            ),
            (
                "blind, seen up",
                Situation { hearing: Hearing::Blind, ..silent(Up, false) },
                Verdict::Unknown,
                Rule::Blind,
            ),
            ("silent, seen up", silent(Up, false), Verdict::AgentSilent, Rule::LineWorks),
            ("silent, seen degraded", silent(Degraded, false), Verdict::AgentSilent, Rule::LineWorks),
            ("silent, seen up, parent cut off", silent(Up, true), Verdict::AgentSilent, Rule::LineWorks),
            ("silent, seen down, parent cut off", cut, Verdict::Unreachable, Rule::ParentCutOff),
            (
                "silent, seen by nobody, parent cut off",
                silent(QUIET, true),
                Verdict::Unreachable,
                Rule::ParentCutOff,
            ),
            ("silent, seen down", silent(Down, false), Verdict::Offline, Rule::SeenDown),
            ("silent, seen by nobody", silent(QUIET, false), Verdict::AgentSilent, Rule::NobodyElseSees),
            (
                "silent, the other's instrument failed",
                silent(State::Unknown(Why::Fault), false),
                Verdict::AgentSilent,
                Rule::NobodyElseSees,
            ),
        ];
        for (name, situation, verdict, rule) in cases {
            assert_eq!(decide(&situation), (verdict, rule), "{name}");
        }
    }

    fn ms(seconds: i64) -> UnixMillis {
        UnixMillis(seconds * 1000)
    }

    /// Seconds, outcome.
    fn spans(runs: &[(i64, i64, Outcome)]) -> Spans {
        let mut spans = Spans::new();
        for &(start, end, outcome) in runs {
            spans.paint(ms(start), ms(end), outcome);
        }
        spans
    }

    struct Site {
        lan: Spans,
        wan: Spans,
        internet: Spans,
        centre: Spans,
        facts: Facts,
    }

    impl Site {
        /// Heard for 1000 s with all well, last pushed at 1000; the collector runs since 0.
        fn well() -> Self {
            let up = || spans(&[(0, 1000, Outcome::Up)]);
            let facts = Facts {
                enrolled: Some(ms(-500)),
                planned: None,
                last_push: Some(ms(1000)),
                parent_cut_off: None,
                hears_since: Some(ms(0)),
                silence_limit: SILENCE_LIMIT,
                late_limit: late_limit(None),
                seen_down: false,
            };
            Self { lan: up(), wan: up(), internet: up(), centre: up(), facts }
        }

        fn at(&self, now: i64) -> (Verdict, i64, Rule) {
            let link = |kind, own, others| LinkView {
                kind,
                valid: Window::ALWAYS,
                own: Some(own),
                others,
                hold: Duration::ZERO,
            };
            let site = SiteView {
                tier: "commune",
                branch: "state",
                valid_from: ms(-1000),
                valid_to: None,
                equipped_from: self.facts.enrolled,
                links: [
                    link(LinkKind::Lan, &self.lan, vec![]),
                    link(LinkKind::Wan, &self.wan, vec![(&self.centre).into()]),
                    link(LinkKind::Internet, &self.internet, vec![]),
                ]
                .into(),
            };
            let running: Periods = [(ms(0), ms(now))].into_iter().collect();
            let basis = Basis { now: ms(now), running: &running, hold: SILENCE_LIMIT, required: &THE_THREE };
            let never = Periods::new();
            let witness =
                Witness { spans: &self.centre, cut_off: &never, round: Duration::from_millis(2500) };
            let seen_down = seen_down([[witness]], ms(now), SILENCE_LIMIT, Duration::from_millis(4500));
            let standing = standing(&site, &Facts { seen_down, ..self.facts }, &basis);
            assert_eq!(standing.since.0 % 1000, 0);
            (standing.verdict, standing.since.0 / 1000, standing.rule)
        }
    }

    #[test]
    fn a_site_that_is_well_is_online_since_it_last_became_so() {
        let mut site = Site::well();
        assert_eq!(site.at(1003), (Verdict::Online, 0, Rule::AllWell));
        site.internet = spans(&[(0, 400, Outcome::Down), (400, 1000, Outcome::Up)]);
        assert_eq!(site.at(1003), (Verdict::Online, 400, Rule::AllWell));
    }

    #[test]
    fn a_late_push_is_silence_where_another_vantage_saw_the_wan_down_for_two_rounds() {
        let mut site = Site::well();
        site.centre = spans(&[(0, 1001, Outcome::Up), (1001, 1006, Outcome::Down)]);
        assert_eq!(site.at(1007), (Verdict::Online, 0, Rule::AllWell), "the push is not late yet");
        assert_eq!(site.at(1008), (Verdict::Offline, 1001, Rule::SeenDown));
        site.centre = spans(&[(0, 1003, Outcome::Up), (1003, 1007, Outcome::Down)]);
        assert_eq!(site.at(1008), (Verdict::Online, 0, Rule::AllWell), "four seconds are not enough");
        site.centre =
            spans(&[(0, 1000, Outcome::Up), (1000, 1007, Outcome::Down), (1007, 1009, Outcome::Degraded)]);
        assert_eq!(site.at(1010), (Verdict::Online, 0, Rule::AllWell), "it answered again");
        site.centre = spans(&[(0, 980, Outcome::Up), (980, 990, Outcome::Down)]);
        assert_eq!(site.at(1010), (Verdict::Online, 0, Rule::AllWell), "what was seen is too old");
        site.centre = spans(&[(0, 1001, Outcome::Up), (1001, 1006, Outcome::Down)]);
        site.facts.hears_since = Some(ms(1000));
        assert_eq!(
            site.at(1008),
            (Verdict::Online, 0, Rule::AllWell),
            "the collector has only just begun to hear"
        );
    }

    #[test]
    fn the_start_is_found_however_long_ago_it_was() {
        let mut site = Site::well();
        site.wan = spans(&[(0, 5, Outcome::Down), (5, 40_000_000, Outcome::Up)]);
        site.lan = spans(&[(0, 40_000_000, Outcome::Up)]);
        site.internet = site.lan.clone();
        site.facts.last_push = Some(ms(40_000_000));
        assert_eq!(site.at(40_000_000), (Verdict::Online, 5, Rule::AllWell));
    }

    #[test]
    fn a_cut_that_the_agent_reports_by_the_other_path_holds_since_its_first_lost_round() {
        let mut site = Site::well();
        site.wan = spans(&[(0, 900, Outcome::Up), (900, 1000, Outcome::Down)]);
        assert_eq!(site.at(1003), (Verdict::WanDown, 900, Rule::WanDown));
        site.internet = spans(&[(0, 950, Outcome::Up), (950, 1000, Outcome::Down)]);
        assert_eq!(site.at(1003), (Verdict::Offline, 950, Rule::AllLinesDown));
    }

    #[test]
    fn one_late_push_is_no_silence() {
        let site = Site::well();
        assert_eq!(site.at(1015).0, Verdict::Online);
        assert_eq!(site.at(1016).0, Verdict::AgentSilent);
    }

    #[test]
    fn silence_holds_since_the_agents_last_word() {
        let mut site = Site::well();
        site.facts.last_push = Some(ms(1002));
        site.centre = spans(&[(0, 1100, Outcome::Up)]);
        assert_eq!(site.at(1100), (Verdict::AgentSilent, 1000, Rule::LineWorks));
        site.centre = Spans::new();
        assert_eq!(site.at(1100), (Verdict::AgentSilent, 1000, Rule::NobodyElseSees));
    }

    #[test]
    fn offline_holds_since_both_silence_and_the_other_vantages_word() {
        let mut site = Site::well();
        site.centre = spans(&[(0, 1005, Outcome::Up), (1005, 1100, Outcome::Down)]);
        assert_eq!(site.at(1100), (Verdict::Offline, 1005, Rule::SeenDown));
        site.centre = spans(&[(0, 1100, Outcome::Down)]);
        assert_eq!(site.at(1100), (Verdict::Offline, 1000, Rule::SeenDown));
    }

    #[test]
    fn an_old_word_of_another_vantage_proves_nothing_now() {
        let mut site = Site::well();
        site.centre = spans(&[(0, 1050, Outcome::Down)]);
        assert_eq!(site.at(1064).0, Verdict::Offline);
        assert_eq!(site.at(1065).0, Verdict::AgentSilent);
    }

    #[test]
    fn the_child_of_a_dead_hub_is_unreachable_since_the_later_of_both() {
        let mut site = Site::well();
        site.centre = spans(&[(0, 1000, Outcome::Up), (1000, 1100, Outcome::Down)]);
        site.facts.parent_cut_off = Some(ms(1020));
        assert_eq!(site.at(1100), (Verdict::Unreachable, 1020, Rule::ParentCutOff));
        site.facts.parent_cut_off = Some(ms(980));
        assert_eq!(site.at(1100), (Verdict::Unreachable, 1000, Rule::ParentCutOff));
    }

    #[test]
    fn a_collector_that_just_started_does_not_accuse_anybody_of_silence() {
        let mut site = Site::well();
        site.facts.hears_since = Some(ms(1090));
        assert_eq!(site.at(1100), (Verdict::Unknown, 1000, Rule::Blind));
        assert_eq!(site.at(1105).0, Verdict::Unknown, "exactly the limit is not yet past it");
        assert_eq!(site.at(1106).0, Verdict::AgentSilent);
        site.facts.hears_since = None;
        assert_eq!(site.at(5000).0, Verdict::Unknown);
    }

    #[test]
    fn after_a_restart_that_forgot_the_push_the_evidence_stands_for_it() {
        let mut site = Site::well();
        site.facts.last_push = None;
        assert_eq!(site.at(1010).0, Verdict::Online);
        assert_eq!(site.at(1100).0, Verdict::AgentSilent);
    }

    #[test]
    fn a_secret_that_was_never_used_is_not_enrolled_since_it_was_issued() {
        let mut site = Site::well();
        (site.lan, site.wan, site.internet) = (Spans::new(), Spans::new(), Spans::new());
        site.facts.last_push = None;
        assert_eq!(site.at(1100), (Verdict::NotEnrolled, -500, Rule::NeverHeard));
        site.facts.enrolled = None;
        assert_eq!(site.at(1100), (Verdict::NotEnrolled, -1000, Rule::NotEnrolled));
    }

    #[test]
    fn an_agent_that_is_heard_but_measures_nothing_is_unknown_since_its_last_word() {
        let mut site = Site::well();
        site.facts.last_push = Some(ms(2000));
        site.centre = Spans::new();
        assert_eq!(site.at(2000), (Verdict::Unknown, 1000, Rule::NothingSeen));
    }

    #[test]
    fn planned_work_is_maintenance_since_its_window_opened() {
        let mut site = Site::well();
        site.facts.planned = Some(ms(700));
        assert_eq!(site.at(1500), (Verdict::Maintenance, 700, Rule::Planned));
    }

    #[test]
    fn a_time_without_beginning_is_left_out_of_json() {
        let standing = |since| Standing { verdict: Verdict::NotEnrolled, since, rule: Rule::NotEnrolled };
        let json = |since| serde_json::to_value(standing(since)).unwrap();
        let ever = serde_json::json!({"verdict": "not_enrolled", "rule": "not_enrolled"});
        assert_eq!(json(UnixMillis::MIN), ever);
        assert_eq!(json(ms(1))["since"], 1000);
    }

    #[test]
    fn only_a_site_that_is_cut_off_takes_its_children_with_it() {
        let cut: Vec<_> = Verdict::ALL.into_iter().filter(|v| v.cuts_children_off()).collect();
        assert_eq!(cut, [Verdict::Offline, Verdict::Unreachable]);
        assert_eq!(
            serde_json::to_value(Verdict::ALL).unwrap(),
            serde_json::json!(Verdict::ALL.map(Verdict::as_str))
        );
    }
}
