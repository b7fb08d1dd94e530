//! What an alert that is over turned out to be, from all evidence that there is now. Pure.
//!
//! | alert | bad while | it was | if most of that time |
//! | --- | --- | --- | --- |
//! | `site_offline` | the WAN is down | as told; only the WAN | the Internet did not work; it did |
//! | `link_down` | the link is down | as told | |
//! | both | never | all worked; not known | more of the time told was seen to work; nobody saw |
//! | `agent_silent` | the site is cut off | cut off; all worked; as told | of the time told; the agent's own rounds fill it and say so; else |
//!
//! Bad time goes on through time of which nothing is known, as incidents do. A run of it counts as the alert's where it shares
//! [`EDGE`] and a round with the time that was first told, or half of the shorter of both: the one before and the one after are alerts of their own. An edge that
//! moves by no more than that stays as it was told: observers do not see the same edge at the same instant, and an end is told when it is seen.

use std::time::Duration;

use wan_wire::{LinkKind, UnixMillis};

use super::compose;
use super::correct::{Found, Said};
use super::notice::Rule;
use super::record::Record;
use crate::ledger::cause::{self, EDGE};
use crate::ledger::timeline::{Basis, Kinds, KindsSweep, LinkSweep, SiteView, State, Window};
use crate::ledger::told::Because;
use crate::province::{Link, Province};

/// So far before and after an alert its beginning and end are looked for.
const AROUND: Duration = Duration::from_secs(86_400);

/// What an alert turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hindsight {
    /// What is to be said of it.
    pub said: Said,
    /// Because of what.
    pub because: Because,
    /// Of how many milliseconds of the time told something is known, by the site's own word and by anybody's: while that grows, a backlog
    /// is still coming.
    pub known_ms: (i64, i64),
}

/// What something is at an instant, as far as an alert is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// As bad as the alert says.
    Bad,
    /// The WAN fails, and the Internet works.
    Part,
    /// It works.
    Well,
    /// Nothing is known.
    Unknown,
}

/// A time in which a sign holds.
type Stretch = (UnixMillis, UnixMillis, Sign);

/// What an alert that is over turned out to be; `None` where that cannot be said: site or link are gone, or their history is still being loaded.
#[must_use]
pub fn look(record: &Record, province: &Province<'_>) -> Option<Hindsight> {
    let first = record.first_said()?;
    let was = record.said()?;
    let site = province.site(record.subject.site()?)?;
    let view = site.view();
    let told = Window::new(first.since, first.until);
    let around = Window::new(first.since.minus(AROUND), first.until.plus(AROUND));
    province.reaches(around.start).ok()?;
    // What is past is not held on.
    let basis = Basis { hold: Duration::ZERO, ..province.basis() };
    let name = record.subject.link();
    let link = name.map(|name| site.link(name).filter(|link| link.is_seen()));
    let (signs, round): (Vec<Stretch>, Duration) = match link {
        Some(None) => return None,
        Some(Some(link)) => (link_signs(view, link, &basis, around), link.round),
        None => {
            let wan = site.seen_links().filter(|link| link.name.kind() == LinkKind::Wan);
            let round = wan.map(|link| link.round).max().unwrap_or_default();
            (site_signs(view, &basis, around), round)
        }
    };
    if signs.is_empty() {
        return None;
    }
    let asked = site.seen_links().filter(|link| name.is_none_or(|name| link.name == *name));
    let own = SiteView { links: asked.map(|link| link.view().seen_from_inside()).collect(), ..view.clone() };
    let own_ms = own_known(&own, &basis, told);
    let slack = EDGE + round;
    let (found, since, until) = match record.rule {
        Rule::AgentSilent => (silent(&signs, own_ms, told), told.start, told.end),
        Rule::SiteOffline
        | Rule::LinkDown
        | Rule::LinkDegraded
        | Rule::InstrumentFault
        | Rule::CoverageUnderTarget
        | Rule::CollectorBlind
        | Rule::ClockWrong
        | Rule::CertificateExpiring
        | Rule::QueueDropping => {
            let (found, since, until) = failed(&signs, told, slack);
            let moved = |was: UnixMillis, is: Option<UnixMillis>| {
                is.filter(|is| was.max(*is).since(was.min(*is)) > slack).unwrap_or(was)
            };
            (found, moved(was.since, since), moved(was.until, until))
        }
    };
    let charge = if found == Found::Worked {
        None
    } else {
        compose::charge(province, &site, name, record.rule, since, Some(until), false)
    };
    let kept = was.cause.filter(|_| found.failed());
    let cause = charge.as_ref().map(|charge| charge.rule.cause()).or(kept);
    let because = match charge.as_ref().map(|charge| charge.rule) {
        Some(cause::Rule::PlannedWork) => Because::Planned,
        Some(cause::Rule::BootInGap | cause::Rule::AgentRestarted) => Because::Boot,
        Some(_) | None if own_ms * 2 > told.millis() => Because::Backlog,
        Some(_) | None => Because::Evidence,
    };
    let known = signs.iter().filter(|(_, _, sign)| *sign != Sign::Unknown);
    let known_ms = (own_ms, known.map(|stretch| shared(stretch, told)).sum());
    Some(Hindsight { said: Said { found, since, until, cause }, because, known_ms })
}

/// What a site was, by its WAN and its Internet.
fn site_signs(site: &SiteView<'_>, basis: &Basis<'_>, window: Window) -> Vec<Stretch> {
    let window = site.clip(window, basis.now);
    let kinds = KindsSweep::new(site, &[LinkKind::Wan, LinkKind::Internet], basis, window);
    kinds.map(|(start, end, kinds)| (start, end, site_sign(&kinds))).collect()
}

fn site_sign(kinds: &Kinds) -> Sign {
    match (kinds.get(LinkKind::Wan), kinds.get(LinkKind::Internet)) {
        (State::Down, State::Up | State::Degraded) => Sign::Part,
        (State::Down, State::Down | State::Unknown(_)) => Sign::Bad,
        (State::Up | State::Degraded, _) | (State::Unknown(_), State::Up | State::Degraded) => Sign::Well,
        (State::Unknown(_), State::Down | State::Unknown(_)) => Sign::Unknown,
    }
}

fn link_signs(site: &SiteView<'_>, link: &Link, basis: &Basis<'_>, window: Window) -> Vec<Stretch> {
    let link = link.view();
    let window = site.clip_link(&link, window, basis.now);
    let sign = |state: State| match state {
        State::Up | State::Degraded => Sign::Well,
        State::Down => Sign::Bad,
        State::Unknown(_) => Sign::Unknown,
    };
    let states = LinkSweep::new(site, &link, basis, window);
    states.map(|interval| (interval.start, interval.end, sign(interval.state))).collect()
}

/// Of how much of a time the site's own agent tells.
fn own_known(own: &SiteView<'_>, basis: &Basis<'_>, window: Window) -> i64 {
    let window = own.clip(window, basis.now);
    let known =
        |kinds: &Kinds| LinkKind::ALL.into_iter().any(|kind| !matches!(kinds.get(kind), State::Unknown(_)));
    let all = KindsSweep::new(own, &LinkKind::ALL, basis, window);
    all.filter(|(_, _, kinds)| known(kinds)).map(|(start, end, _)| end.millis_since(start)).sum()
}

/// How much of a stretch lies in a time.
fn shared((start, end, _): &Stretch, time: Window) -> i64 {
    Window::new(*start, *end).within(time.start, time.end).millis()
}

/// How much of a time is of these signs.
fn amount(signs: &[Stretch], time: Window, wanted: &[Sign]) -> i64 {
    let of = signs.iter().filter(|(_, _, sign)| wanted.contains(sign));
    of.map(|stretch| shared(stretch, time)).sum()
}

/// What a silence was.
fn silent(signs: &[Stretch], own_ms: i64, told: Window) -> Found {
    let most = |millis: i64| millis * 2 > told.millis();
    if most(amount(signs, told, &[Sign::Bad])) {
        Found::CutOff
    } else if most(amount(signs, told, &[Sign::Bad, Sign::Part])) {
        Found::WanOnly
    } else if most(own_ms) {
        Found::Worked
    } else {
        Found::AsTold
    }
}

/// A run of bad time that nothing which works interrupts.
#[derive(Debug, Clone, Copy)]
struct Run {
    window: Window,
    bad_ms: i64,
    part_ms: i64,
    /// It was seen to work before and after.
    edges: (bool, bool),
}

fn runs(signs: &[Stretch]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut open, mut worked) = (false, false);
    for &(start, end, sign) in signs {
        match sign {
            Sign::Bad | Sign::Part => {
                let run =
                    Run { window: Window::new(start, end), bad_ms: 0, part_ms: 0, edges: (worked, false) };
                if !open {
                    runs.push(run);
                    open = true;
                }
                if let Some(run) = runs.last_mut() {
                    run.window.end = end;
                    let of = if sign == Sign::Bad { &mut run.bad_ms } else { &mut run.part_ms };
                    *of += end.millis_since(start);
                }
            }
            Sign::Well => {
                if let Some(run) = runs.last_mut().filter(|_| open) {
                    run.edges.1 = true;
                }
                (open, worked) = (false, true);
            }
            Sign::Unknown => {}
        }
    }
    runs
}

/// What an outage was, and when it began and ended, where that is known.
fn failed(
    signs: &[Stretch],
    told: Window,
    slack: Duration,
) -> (Found, Option<UnixMillis>, Option<UnixMillis>) {
    let slack = i64::try_from(slack.as_millis()).unwrap_or(i64::MAX);
    let of_told = |run: &Run| {
        let least = slack.min(run.window.millis().min(told.millis()) / 2).max(1);
        run.window.within(told.start, told.end).millis() >= least
    };
    let runs: Vec<Run> = runs(signs).into_iter().filter(of_told).collect();
    let Some((first, last)) = runs.first().zip(runs.last()) else {
        let well = amount(signs, told, &[Sign::Well]);
        let found = if well * 2 > told.millis() { Found::Worked } else { Found::NotKnown };
        return (found, None, None);
    };
    let (bad, part) = runs.iter().fold((0, 0), |(bad, part), run| (bad + run.bad_ms, part + run.part_ms));
    let found = if bad >= part { Found::AsTold } else { Found::WanOnly };
    // Where it was not seen to work before, or after, there may be more of it.
    let since = Some(first.window.start).filter(|_| first.edges.0);
    (found, since, Some(last.window.end).filter(|_| last.edges.1))
}

#[cfg(test)]
mod tests;
