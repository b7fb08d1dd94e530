//! The rules along time: which stretches of a window are bad, and to what each is charged.

use wan_wire::{LinkKind, Outcome, UnixMillis};

use super::{EDGE, Rule, Scene, Silence, Voice, decide};
use crate::ledger::span::{Period, Periods, Spans, look_in};
use crate::ledger::timeline::{Basis, KindsSweep, LinkSweep, LinkView, SiteView, State, Why, Window};

/// What a link is while it is not the site's, and a kind of which it has none.
const NOT_MEASURED: State = State::Unknown(Why::NotMeasured);

/// What the rules know of a site beside its evidence.
#[derive(Debug, Clone)]
pub struct Around<'a> {
    /// When its host booted, in order.
    pub boots: &'a [UnixMillis],
    /// When its agent was started, in order.
    pub starts: &'a [UnixMillis],
    /// When the path to it failed above it: [`path_for_children`] of its parent.
    pub path: &'a Path,
    /// What the register and the plan say of its links, in the order of [`SiteView::links`].
    pub links: Vec<LinkAround<'a>>,
}

/// When the path to a site failed above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path {
    /// It carried nothing.
    pub cut: Periods,
    /// It carried nothing, or lost or delayed too much of what it carried.
    pub bad: Periods,
}

impl Path {
    /// The path of a site without a parent.
    #[must_use]
    pub const fn new() -> Self {
        Self { cut: Periods::new(), bad: Periods::new() }
    }

    /// Adds the time in which another path failed: that of another parent.
    pub fn add(&mut self, other: &Self) {
        for (periods, others) in [(&mut self.cut, &other.cut), (&mut self.bad, &other.bad)] {
            others.as_slice().iter().for_each(|period| periods.add(period.start, period.end));
        }
    }
}

/// What the register and the plan say of a link.
#[derive(Debug, Clone, Copy)]
pub struct LinkAround<'a> {
    /// When planned work covers it.
    pub planned: &'a Periods,
    /// Whose line it is.
    pub carrier: Option<&'a str>,
}

/// A bad stretch of time over which nothing that decides changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// First instant.
    pub start: UnixMillis,
    /// First instant after it.
    pub end: UnixMillis,
    /// What the link or the site is: down, degraded, or unknown.
    pub state: State,
    /// The rule that charges it.
    pub rule: Rule,
    /// What the rule looked at; of a site, the link whose rule decided.
    pub scene: Scene,
}

impl Charge {
    /// How long it lasts, in milliseconds.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.end.millis_since(self.start)
    }
}

/// To what the bad time of a site and of each of its links is charged. Each list is in order of time; neighbours that touch differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charges {
    /// The site as a whole: bad is what makes the worst of the kinds in [`Basis::required`] worse than up.
    pub site: Vec<Charge>,
    /// Its links, in the order of [`SiteView::links`].
    pub links: Vec<Vec<Charge>>,
}

/// The charges of a site and of its links over a window, cut to the site's registration and to now.
#[must_use]
pub fn charges(site: &SiteView<'_>, around: &Around<'_>, basis: &Basis<'_>, window: Window) -> Charges {
    let mut charges = Charges { site: Vec::new(), links: vec![Vec::new(); site.links.len()] };
    let window = site.clip(window, basis.now);
    let mut stage = Stage::new(site, around, basis, window);
    while let Some((start, end)) = stage.step() {
        if let Some((state, rule, scene)) = stage.site(basis.required) {
            push(&mut charges.site, Charge { start, end, state, rule, scene });
        }
        for (line, of_link) in stage.lines.iter().zip(&mut charges.links) {
            if let Some((rule, scene)) = line.decided {
                push(of_link, Charge { start, end, state: scene.state, rule, scene });
            }
        }
    }
    charges
}

/// When what hangs behind a site has no path to the centre, or a bad one: while the site's WAN is down and no other vantage reaches it,
/// or degraded and not by its LAN. Where nobody knows of its WAN: while it had no power, and while the path above it failed; a WAN
/// that works is proof that the path above does.
#[must_use]
pub fn path_for_children(
    site: &SiteView<'_>,
    around: &Around<'_>,
    basis: &Basis<'_>,
    window: Window,
) -> Path {
    let mut path = Path::new();
    let mut not_known = Periods::new();
    let window = site.clip(window, basis.now);
    let mut stage = Stage::new(site, around, basis, window);
    while let Some((start, end)) = stage.step() {
        let reached = stage.seen_up.holds && !stage.seen_down.holds;
        match stage.wan {
            // A LAN that fails takes the site's own word of its WAN with it, and nobody's path.
            State::Down if reached => {}
            State::Degraded if stage.lan_bad.holds => {}
            State::Down => path.cut.add(start, end),
            State::Degraded => path.bad.add(start, end),
            State::Unknown(_) if stage.silence == Silence::Booted => path.cut.add(start, end),
            State::Unknown(_) => not_known.add(start, end),
            State::Up => {}
        }
    }
    let [cut, bad] = [&around.path.cut, &around.path.bad].map(|above| above.intersect(&not_known));
    path.add(&Path { cut, bad });
    for period in path.cut.as_slice() {
        path.bad.add(period.start, period.end);
    }
    path
}

fn push(charges: &mut Vec<Charge>, next: Charge) {
    match charges.last_mut() {
        Some(last)
            if last.end == next.start
                && last.state == next.state
                && last.rule == next.rule
                && last.scene == next.scene =>
        {
            last.end = next.end;
        }
        Some(_) | None => charges.push(next),
    }
}

/// Everything that the rules look at, moved along time together.
struct Stage<'a> {
    at: UnixMillis,
    end: UnixMillis,
    lines: Vec<Line<'a>>,
    silences: Vec<(UnixMillis, UnixMillis, Silence)>,
    next_silence: usize,
    path_cut: Near,
    path_bad: Near,
    lan_down: Near,
    lan_bad: Near,
    seen_down: Near,
    seen_up: Near,
    silence: Silence,
    wan: State,
}

struct Line<'a> {
    kind: LinkKind,
    carrier: Option<&'a str>,
    sweep: LinkSweep<'a>,
    until: UnixMillis,
    state: State,
    voice: Voice,
    planned: &'a [Period],
    is_planned: bool,
    decided: Option<(Rule, Scene)>,
}

/// A cursor over times that count a little beyond their ends.
struct Near {
    periods: Periods,
    next: usize,
    holds: bool,
}

impl Near {
    fn new(periods: &Periods, from: UnixMillis) -> Self {
        let periods = periods.widened(EDGE);
        let next = periods.as_slice().len() - periods.from(from).len();
        Self { periods, next, holds: false }
    }

    /// Looks at `at`, which never goes back; gives when that changes.
    fn look(&mut self, at: UnixMillis) -> UnixMillis {
        let mut rest = &self.periods.as_slice()[self.next..];
        let before = rest.len();
        let (holds, until) = look_in(&mut rest, at);
        self.next += before - rest.len();
        self.holds = holds;
        until
    }
}

impl<'a> Stage<'a> {
    fn new(site: &SiteView<'a>, around: &Around<'a>, basis: &Basis<'a>, window: Window) -> Self {
        let margin = Window::new(window.start.minus(EDGE), window.end.plus(EDGE).min(basis.now));
        let (lan_down, lan_bad) = lan_failing(site, basis, margin);
        let (seen_down, seen_up) = seen(site, basis, margin);
        let lines = site.links.iter().enumerate().map(|(index, link)| {
            let known = around.links.get(index);
            Line {
                kind: link.kind,
                carrier: known.and_then(|known| known.carrier),
                sweep: LinkSweep::new(site, link, basis, window),
                until: window.start,
                state: State::Unknown(Why::NotYet),
                voice: Voice::Nobody,
                planned: known.map_or(&[], |known| known.planned.from(window.start)),
                is_planned: false,
                decided: None,
            }
        });
        Self {
            at: window.start,
            end: window.end,
            lines: lines.collect(),
            silences: silences(site, around, window),
            next_silence: 0,
            path_cut: Near::new(&around.path.cut, window.start),
            path_bad: Near::new(&around.path.bad, window.start),
            lan_down: Near::new(&lan_down, window.start),
            lan_bad: Near::new(&lan_bad, window.start),
            seen_down: Near::new(&seen_down, window.start),
            seen_up: Near { periods: seen_up, next: 0, holds: false },
            silence: Silence::Speaks,
            wan: NOT_MEASURED,
        }
    }

    /// Goes on to the next stretch; afterwards everything is as it is all through it.
    fn step(&mut self) -> Option<(UnixMillis, UnixMillis)> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let mut until = self.end;
        for near in [
            &mut self.path_cut,
            &mut self.path_bad,
            &mut self.lan_down,
            &mut self.lan_bad,
            &mut self.seen_down,
            &mut self.seen_up,
        ] {
            until = until.min(near.look(start));
        }
        until = until.min(self.look_for_silence(start));
        for line in &mut self.lines {
            if line.until <= start {
                let (state, voice, change) = line.sweep.look_with_voice(start);
                (line.state, line.voice, line.until) = (state, voice, change);
            }
            let (planned, change) = look_in(&mut line.planned, start);
            line.is_planned = planned;
            until = until.min(line.until).min(change);
        }
        self.decide();
        self.at = until;
        Some((start, until))
    }

    fn look_for_silence(&mut self, at: UnixMillis) -> UnixMillis {
        while let Some(&(start, end, silence)) = self.silences.get(self.next_silence) {
            if at < start {
                self.silence = Silence::Speaks;
                return start;
            }
            if at < end {
                self.silence = silence;
                return end;
            }
            self.next_silence += 1;
        }
        self.silence = Silence::Speaks;
        UnixMillis::MAX
    }

    /// The best of the links of a kind; not measured where there is none. A link outside its validity is none.
    fn kind(&self, kind: LinkKind) -> State {
        let of_kind = self.lines.iter().filter(|line| line.kind == kind).map(|line| line.state);
        let states = of_kind.filter(|state| *state != State::Unknown(Why::NotMeasured));
        states.reduce(State::either).unwrap_or(State::Unknown(Why::NotMeasured))
    }

    fn decide(&mut self) {
        let [lan, wan, internet] =
            [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet].map(|kind| self.kind(kind));
        self.wan = wan;
        let scene = |line: &Line<'_>| Scene {
            kind: line.kind,
            state: line.state,
            voice: line.voice,
            silence: self.silence,
            planned: line.is_planned,
            path_cut: if line.state == State::Degraded { self.path_bad.holds } else { self.path_cut.holds },
            lan,
            wan,
            internet,
            lan_fails: if line.state == State::Degraded { self.lan_bad.holds } else { self.lan_down.holds },
            seen_down: self.seen_down.holds,
            seen_up: self.seen_up.holds && !self.seen_down.holds,
            wan_rule: None,
            same_carrier: false,
        };
        let mut decided: Vec<Option<(Rule, Scene)>> = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            let scene = scene(line);
            let waits = matches!(line.kind, LinkKind::Internet | LinkKind::Service);
            decided.push(if waits { None } else { decide(&scene).map(|rule| (rule, scene)) });
        }
        // What goes by the WAN is charged with it: the rule of the WAN line nearest to the root.
        let wans: Vec<(State, Rule, Option<&str>)> = self
            .lines
            .iter()
            .zip(&decided)
            .filter(|(line, _)| line.kind == LinkKind::Wan)
            .filter_map(|(line, decided)| Some((line.state, decided.as_ref()?.0, line.carrier)))
            .collect();
        for (line, decided) in self.lines.iter().zip(&mut decided) {
            if !matches!(line.kind, LinkKind::Internet | LinkKind::Service) {
                continue;
            }
            let mut scene = scene(line);
            if fails_like(wan, line.state) {
                let bad = wans.iter().filter(|(state, ..)| fails_like(*state, line.state));
                scene.wan_rule = bad.clone().map(|(_, rule, _)| *rule).min_by_key(|rule| rule.cause().rank());
                scene.same_carrier =
                    line.carrier.is_some() && bad.clone().any(|(_, _, carrier)| *carrier == line.carrier);
            }
            *decided = decide(&scene).map(|rule| (rule, scene));
        }
        for (line, decided) in self.lines.iter_mut().zip(decided) {
            line.decided = decided;
        }
    }

    /// What the site is, and to what that is charged, if it is bad.
    fn site(&self, required: &[LinkKind]) -> Option<(State, Rule, Scene)> {
        let states = required.iter().map(|&kind| (kind, self.kind(kind)));
        let state = states.clone().map(|(_, state)| state).reduce(State::both)?;
        // What another vantage could not measure of a site without an agent is nobody's bad time.
        match state {
            State::Up | State::Unknown(Why::NotYet | Why::NotEquipped | Why::NotMeasured) => return None,
            State::Degraded
            | State::Down
            | State::Unknown(Why::CollectorStopped | Why::Silent | Why::Fault) => {}
        }
        let same = |other: State| match (state, other) {
            (State::Unknown(_), State::Unknown(_)) => true,
            (state, other) => state == other,
        };
        let mut chosen: Option<(Rule, Scene)> = None;
        for (kind, of_kind) in states {
            if !same(of_kind) {
                continue;
            }
            let lines = self.lines.iter().filter(|line| line.kind == kind && same(line.state));
            // Of two lines that are both down, and of two kinds, the one nearest to the root.
            for decided in lines.filter_map(|line| line.decided) {
                let nearer = |(rule, _): (Rule, Scene)| decided.0.cause().rank() < rule.cause().rank();
                if chosen.is_none_or(nearer) {
                    chosen = Some(decided);
                }
            }
        }
        chosen.map(|(rule, scene)| (state, rule, scene))
    }
}

/// Whether the WAN is at least as bad as a link that is down or degraded.
fn fails_like(wan: State, link: State) -> bool {
    match (wan, link) {
        (State::Down, State::Down | State::Degraded) | (State::Degraded, State::Degraded) => true,
        (State::Up | State::Unknown(_), _)
        | (_, State::Up | State::Unknown(_))
        | (State::Degraded, State::Down) => false,
    }
}

/// When the LAN was down, and when it was down or degraded.
fn lan_failing<'a>(site: &SiteView<'a>, basis: &Basis<'a>, window: Window) -> (Periods, Periods) {
    let (mut down, mut bad) = (Periods::new(), Periods::new());
    for (start, end, kinds) in KindsSweep::new(site, &[LinkKind::Lan], basis, window) {
        match kinds.get(LinkKind::Lan) {
            State::Down => {
                down.add(start, end);
                bad.add(start, end);
            }
            State::Degraded => bad.add(start, end),
            State::Up | State::Unknown(_) => {}
        }
    }
    (down, bad)
}

/// When other vantages saw the WAN down, and when they saw it carry traffic.
fn seen<'a>(site: &SiteView<'a>, basis: &Basis<'a>, window: Window) -> (Periods, Periods) {
    let (mut down, mut up) = (Periods::new(), Periods::new());
    for link in site.links.iter().filter(|link| link.kind == LinkKind::Wan && !link.others.is_empty()) {
        let outside = LinkView { own: None, ..link.clone() };
        for interval in LinkSweep::new(site, &outside, basis, window) {
            match interval.state {
                State::Down => down.add(interval.start, interval.end),
                State::Up | State::Degraded => up.add(interval.start, interval.end),
                State::Unknown(_) => {}
            }
        }
    }
    (down, up)
}

/// When the site's agent said nothing of any link, with what became of it. In order, disjoint.
fn silences(
    site: &SiteView<'_>,
    around: &Around<'_>,
    window: Window,
) -> Vec<(UnixMillis, UnixMillis, Silence)> {
    let mut spoken = Periods::new();
    for spans in site.links.iter().filter_map(|link| link.own) {
        for (start, end) in near(spans, window) {
            spoken.add(start, end);
        }
    }
    let periods = spoken.as_slice();
    let mut silences = Vec::new();
    if let Some(first) = periods.first().filter(|first| first.start > window.start) {
        silences.push((window.start, first.start, Silence::Before));
    }
    for pair in periods.windows(2) {
        let (from, to) = (pair[0].end, pair[1].start);
        let within = |times: &[UnixMillis]| has_within(times, from, to);
        let silence = if within(around.boots) {
            Silence::Booted
        } else if within(around.starts) {
            Silence::Restarted
        } else {
            Silence::RanOn
        };
        silences.push((from, to, silence));
    }
    match periods.last() {
        Some(last) if last.end < window.end => {
            let booted = has_within(around.boots, last.end, UnixMillis::MAX);
            silences.push((last.end, window.end, if booted { Silence::Booted } else { Silence::Open }));
        }
        Some(_) => {}
        None => silences.push((window.start, window.end, Silence::Before)),
    }
    silences
}

/// The spans that touch the window, the one before them and the one behind.
fn near(spans: &Spans, window: Window) -> impl Iterator<Item = (UnixMillis, UnixMillis)> {
    let all = spans.as_slice();
    let first = all.partition_point(|span| span.end <= window.start).saturating_sub(1);
    let last = all.partition_point(|span| span.start < window.end);
    let all = &all[first..all.len().min(last + 1)];
    all.iter().map(|span| {
        // Every outcome is a word of an agent that runs.
        match span.outcome {
            Outcome::Up | Outcome::Degraded | Outcome::Down | Outcome::Fault => (span.start, span.end),
        }
    })
}

/// Whether one of the times lies in the silence. The clocks that dated them may differ by one round from those of the rounds.
fn has_within(times: &[UnixMillis], from: UnixMillis, to: UnixMillis) -> bool {
    let from = from.minus(EDGE / 2);
    let next = times.partition_point(|time| *time <= from);
    times.get(next).is_some_and(|time| *time <= to)
}
