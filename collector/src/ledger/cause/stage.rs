//! Everything that the rules look at, moved along time together.

use wan_wire::{LinkKind, Outcome, UnixMillis};

use super::lan::LanFailing;
use super::moment::{LineNow, Moment, best_of_kind, is_bad};
use super::sweep::Around;
use super::{EDGE, Scene, Silence, Voice};
use crate::ledger::span::{Period, Periods, Spans, look_in};
use crate::ledger::timeline::{Basis, LinkSweep, LinkView, SiteView, State, Why, Window, index};

/// A site along a window. Each [`Stage::step`] goes on to where something changes.
pub(super) struct Stage<'a> {
    at: UnixMillis,
    end: UnixMillis,
    lines: Vec<Line<'a>>,
    silences: Vec<(UnixMillis, UnixMillis, Silence)>,
    next_silence: usize,
    path_cut: Near,
    path_bad: Near,
    /// Of each kind, in the order of [`LinkKind::ALL`]: the LAN is down, and takes links of the kind with it.
    lan_down: [Near; 4],
    lan_degraded: Near,
    seen_down: Near,
    seen_up: Near,
    silence: Silence,
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
    /// A stage that begins where the window does, which is taken as it is.
    pub(super) fn new(site: &SiteView<'a>, around: &Around<'a>, basis: &Basis<'a>, window: Window) -> Self {
        let margin = Window::new(window.start.minus(EDGE), window.end.plus(EDGE).min(basis.now));
        let lan = LanFailing::of(site, basis, margin);
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
            lan_down: LinkKind::ALL.map(|kind| Near::new(lan.down(kind), window.start)),
            lan_degraded: Near::new(lan.degraded(), window.start),
            seen_down: Near::new(&seen_down, window.start),
            seen_up: Near { periods: seen_up, next: 0, holds: false },
            silence: Silence::Speaks,
        }
    }

    /// Goes on to the next stretch; afterwards everything is as it is all through it.
    pub(super) fn step(&mut self) -> Option<(UnixMillis, UnixMillis)> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let mut until = self.end;
        let nears = [
            &mut self.path_cut,
            &mut self.path_bad,
            &mut self.lan_degraded,
            &mut self.seen_down,
            &mut self.seen_up,
        ];
        for near in nears.into_iter().chain(&mut self.lan_down) {
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
        self.at = until;
        Some((start, until))
    }

    /// Whether the site's agent speaks.
    pub(super) fn silence(&self) -> Silence {
        self.silence
    }

    /// The best of the links of a kind; not measured where there is none. A link outside its validity is none.
    pub(super) fn kind(&self, kind: LinkKind) -> State {
        best_of_kind(self.lines.iter().map(|line| (line.kind, line.state)), kind)
    }

    /// Another vantage reaches the site.
    pub(super) fn reached(&self) -> bool {
        self.seen_up.holds && !self.seen_down.holds
    }

    /// The LAN takes a link of this kind and in this state with it.
    pub(super) fn lan_fails(&self, kind: LinkKind, state: State) -> bool {
        self.lan_down[index(kind)].holds || state == State::Degraded && self.lan_degraded.holds
    }

    /// The stretch that [`Stage::step`] gave, if a link is bad in it.
    pub(super) fn bad_moment(&self, start: UnixMillis, end: UnixMillis) -> Option<Moment<'a>> {
        if !self.lines.iter().any(|line| is_bad(line.state)) {
            return None;
        }
        let [lan, wan, internet] =
            [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet].map(|kind| self.kind(kind));
        let line = |line: &Line<'a>| {
            let path = if line.state == State::Degraded { &self.path_bad } else { &self.path_cut };
            let scene = Scene {
                kind: line.kind,
                state: line.state,
                voice: line.voice,
                silence: self.silence,
                planned: line.is_planned,
                path_cut: path.holds,
                lan,
                wan,
                internet,
                lan_fails: self.lan_fails(line.kind, line.state),
                seen_down: self.seen_down.holds,
                seen_up: self.reached(),
                wan_rule: None,
                same_carrier: false,
            };
            LineNow { carrier: line.carrier, scene }
        };
        Some(Moment { start, end, lines: self.lines.iter().map(line).collect() })
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
