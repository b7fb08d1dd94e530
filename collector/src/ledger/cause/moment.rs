//! One stretch of a site's bad time, and how it follows from its WAN.

use wan_wire::{LinkKind, UnixMillis};

use super::{EDGE, Rule, Scene, decide};
use crate::ledger::timeline::{State, Why, Window};

/// What a link is while it is not the site's, and a kind of which it has none.
const NOT_MEASURED: State = State::Unknown(Why::NotMeasured);

/// Whether somebody is charged for this.
pub(super) const fn is_bad(state: State) -> bool {
    match state {
        State::Up | State::Unknown(Why::NotYet | Why::NotEquipped | Why::NotMeasured) => false,
        State::Degraded | State::Down | State::Unknown(Why::CollectorStopped | Why::Silent | Why::Fault) => {
            true
        }
    }
}

/// The best of the links of a kind; not measured where there is none. A link outside its validity is none.
pub(super) fn best_of_kind(lines: impl Iterator<Item = (LinkKind, State)>, kind: LinkKind) -> State {
    let states = lines.filter(|(of, state)| *of == kind && *state != NOT_MEASURED).map(|(_, state)| state);
    states.reduce(State::either).unwrap_or(NOT_MEASURED)
}

/// A link all through a moment.
pub(super) struct LineNow<'a> {
    pub(super) carrier: Option<&'a str>,
    /// Without what follows from the WAN.
    pub(super) scene: Scene,
}

/// A stretch over which nothing of the site itself changes, and in which a link is bad.
pub(super) struct Moment<'a> {
    pub(super) start: UnixMillis,
    pub(super) end: UnixMillis,
    /// In the order of the site's links.
    pub(super) lines: Vec<LineNow<'a>>,
}

/// The rule that charges a link, and what it looked at; `None`: it is not bad.
pub(super) type Decided = Option<(Rule, Scene)>;

impl Moment<'_> {
    fn kind(&self, kind: LinkKind) -> State {
        best_of_kind(self.lines.iter().map(|line| (line.scene.kind, line.scene.state)), kind)
    }

    /// What the site is, and to what that is charged, if it is bad.
    pub(super) fn site(&self, decided: &[Decided], required: &[LinkKind]) -> Option<(State, Rule, Scene)> {
        let states = required.iter().map(|&kind| (kind, self.kind(kind)));
        let state = states.clone().map(|(_, state)| state).reduce(State::both)?;
        // What another vantage could not measure of a site without an agent is nobody's bad time.
        if !is_bad(state) {
            return None;
        }
        let same = |other: State| match (state, other) {
            (State::Unknown(_), State::Unknown(_)) => true,
            (state, other) => state == other,
        };
        let mut chosen: Decided = None;
        for (kind, _) in states.filter(|(_, of_kind)| same(*of_kind)) {
            let lines = self.lines.iter().zip(decided);
            let lines = lines.filter(|(line, _)| line.scene.kind == kind && same(line.scene.state));
            // Of two lines that are both down, and of two kinds, the one nearest to the root.
            for decided in lines.filter_map(|(_, decided)| *decided) {
                let nearer = |(rule, _): (Rule, Scene)| decided.0.cause().rank() < rule.cause().rank();
                if chosen.is_none_or(nearer) {
                    chosen = Some(decided);
                }
            }
        }
        chosen.map(|(rule, scene)| (state, rule, scene))
    }
}

/// When the WAN fails: what goes by it is charged with it, as long as two observers of one edge may differ.
pub(super) struct WanFailures<'m> {
    /// In order of time.
    failures: Vec<WanFailure<'m>>,
}

struct WanFailure<'m> {
    start: UnixMillis,
    end: UnixMillis,
    state: State,
    lines: Vec<(State, Rule, Option<&'m str>)>,
}

impl<'m> WanFailures<'m> {
    pub(super) fn of(moments: &'m [Moment<'_>]) -> Self {
        let failure = |moment: &'m Moment<'_>| {
            let state = moment.kind(LinkKind::Wan);
            if !matches!(state, State::Down | State::Degraded) {
                return None;
            }
            let lines = moment.lines.iter().filter(|line| line.scene.kind == LinkKind::Wan);
            let lines = lines.filter_map(|line| Some((line.scene.state, decide(&line.scene)?, line.carrier)));
            Some(WanFailure { start: moment.start, end: moment.end, state, lines: lines.collect() })
        };
        Self { failures: moments.iter().filter_map(failure).collect() }
    }

    /// The part of a moment that lies in the window, cut where the WAN comes near or is near no more.
    pub(super) fn pieces(
        &self,
        moment: &Moment<'_>,
        window: Window,
    ) -> impl Iterator<Item = (UnixMillis, UnixMillis)> + use<> {
        let cut = Window::new(moment.start, moment.end).within(window.start, window.end);
        let mut cuts = vec![cut.start, cut.end];
        if moment.lines.iter().any(|line| goes_by_wan(line.scene.kind)) {
            let near = self.around(cut.start, cut.end);
            let edges = near.iter().flat_map(|failure| [failure.start.minus(EDGE), failure.end.plus(EDGE)]);
            cuts.extend(edges.filter(|edge| cut.start < *edge && *edge < cut.end));
            cuts.sort_unstable();
            cuts.dedup();
        }
        let ends: Vec<UnixMillis> = cuts.iter().skip(1).copied().collect();
        cuts.into_iter().zip(ends).filter(|(start, end)| start < end)
    }

    /// The rule of each link from an instant of a moment until its piece ends.
    pub(super) fn decided(&self, moment: &Moment<'_>, at: UnixMillis) -> Vec<Decided> {
        let decided = |line: &LineNow<'_>| {
            let mut scene = line.scene;
            if goes_by_wan(scene.kind)
                && let Some(failure) = self.near(at, scene.state)
            {
                let bad = || failure.lines.iter().filter(|(state, ..)| fails_like(*state, scene.state));
                // Of several lines the one nearest to the root.
                scene.wan_rule = bad().map(|(_, rule, _)| *rule).min_by_key(|rule| rule.cause().rank());
                scene.same_carrier =
                    line.carrier.is_some() && bad().any(|(_, _, carrier)| *carrier == line.carrier);
            }
            decide(&scene).map(|rule| (rule, scene))
        };
        moment.lines.iter().map(decided).collect()
    }

    /// The failure of the WAN, at least as bad as a link's, that an instant lies in; else the one that was over last, else the one that
    /// comes, within [`EDGE`].
    fn near(&self, at: UnixMillis, link: State) -> Option<&WanFailure<'m>> {
        let like = |failure: &&WanFailure<'m>| fails_like(failure.state, link);
        let around = self.around(at, at.plus_millis(1));
        let begun = around.partition_point(|failure| failure.start <= at);
        let (before, after) = around.split_at(begun);
        before.iter().rev().find(like).or_else(|| after.iter().find(like))
    }

    /// The failures that reach into `[from, to)`, or come within [`EDGE`] of it.
    fn around(&self, from: UnixMillis, to: UnixMillis) -> &[WanFailure<'m>] {
        let first = self.failures.partition_point(|failure| failure.end.plus(EDGE) <= from);
        let near = self.failures.get(first..).unwrap_or_default();
        near.get(..near.partition_point(|failure| failure.start.minus(EDGE) < to)).unwrap_or_default()
    }
}

/// Whether links of this kind are charged with the WAN where it fails.
const fn goes_by_wan(kind: LinkKind) -> bool {
    match kind {
        LinkKind::Internet | LinkKind::Service => true,
        LinkKind::Lan | LinkKind::Wan => false,
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
