//! From evidence to a gap-free sequence of states: of a link, of a kind of link, of a site.
//!
//! # States
//!
//! At every instant of a window a link or a site is in exactly one [`State`]: `up`, `degraded`, `down`, or `unknown`
//! with the reason [`Why`]. The reason explains a figure and never changes it.
//!
//! # Rules
//!
//! **A link**, from the evidence of those who look at it:
//!
//! 1. The site's own agent decides where it says up, degraded or down: it stands where the users are.
//! 2. Where it says nothing, or that its instrument failed, the best that any other vantage saw holds. Of several
//!    failed paths to a site one that works is proof; a path that fails may have failed nearer to the observer. While a
//!    vantage is known to be cut off itself ([`super::vantage`]), what it could not reach is no evidence at all.
//! 3. Else the link is unknown: because every instrument failed (`fault`), because the site had no agent yet
//!    (`not_equipped`), because the collector did not run and no backlog has filled the time since
//!    (`collector_stopped`), or simply because nobody spoke (`silent`). Silence is never `down`.
//!
//! The collector's own running time explains a gap and never makes one: evidence that arrived later for a time in which
//! the collector was stopped counts like any other. So a stop of the collector costs no second of uptime.
//!
//! **A kind** (`lan`, `wan`, `internet`, …) is the best of the site's links of that kind in the order
//! up > degraded > unknown > down: one of two lines is enough to be connected, and the kind is down only when all of
//! them are known to be.
//!
//! **A site** is the worst of its *required* kinds in the same order: down as soon as one is down, else unknown if one
//! is unknown, else degraded if one is, else up. This is the plan's definition of an agency that is connected: LAN, WAN
//! and Internet together. A required kind that nobody measures is unknown, not down.
//!
//! # The window
//!
//! A link that is valid for a part of the time only (it was renamed, ended, or came later) is no link of the site for the
//! rest of it: nothing that is heard of it then counts, and its silence then is not that of its kind.
//!
//! A window is cut to the time in which the site is registered (`[valid_from, valid_to)`) and to `now`: neither the
//! future nor the time before an agency existed is unknown, it is not part of the question.
//!
//! # The last seconds
//!
//! Evidence always ends a little before `now`: the current round is still under way. [`Basis::hold`] lets the newest span of
//! each observer speak on until `now`, for at most that long after its end, so that the present is not unknown for ever. Of a
//! link with long rounds it is [`LinkView::hold`], if that is longer: the next round is not late before it could have ended. A
//! gap that has evidence behind it is never held over, and with a hold of zero (closed periods, reports) nothing is.
//!
//! # Cost
//!
//! A sweep visits each span of the window once, in order, and holds one cursor per observer. Nothing is proportional to the
//! length of time.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wan_wire::{LinkKind, Outcome, UnixMillis};

use super::cause::Voice;
use super::span::{Period, Periods, Span, Spans, look_in};

/// Why a state is unknown. The order is that of explanation: of several reasons the first is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The instant lies after `now`.
    NotYet,
    /// The site had no agent yet, and nobody else looked.
    NotEquipped,
    /// The collector did not run, and no backlog has filled the time.
    CollectorStopped,
    /// The collector ran, an agent was expected to speak, and nobody did.
    Silent,
    /// Those who looked had an instrument that failed.
    Fault,
    /// The site measures, but has no link of a required kind.
    NotMeasured,
}

/// What a link, a kind or a site is at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum State {
    /// It carries traffic as it should.
    Up,
    /// It carries traffic, but loses or delays too much of it.
    Degraded,
    /// It carries none.
    Down,
    /// Nothing is known, and why.
    Unknown(Why),
}

impl State {
    /// The better of two links that serve the same purpose.
    #[must_use]
    pub fn either(self, other: Self) -> Self {
        self.pick(other, self.rank() >= other.rank())
    }

    /// The worse of two kinds that are both needed.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        self.pick(other, self.rank() <= other.rank())
    }

    /// This or the other; of two unknowns, the one whose reason is shown first.
    fn pick(self, other: Self, this: bool) -> Self {
        if let (Self::Unknown(a), Self::Unknown(b)) = (self, other) {
            return Self::Unknown(a.min(b));
        }
        if this { self } else { other }
    }

    /// Down < unknown < degraded < up.
    fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Unknown(_) => 1,
            Self::Degraded => 2,
            Self::Up => 3,
        }
    }
}

/// One stretch of a timeline: a state over the half-open time `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Interval {
    /// First instant, Unix milliseconds.
    #[schema(value_type = i64)]
    pub start: UnixMillis,
    /// First instant after it, Unix milliseconds.
    #[schema(value_type = i64)]
    pub end: UnixMillis,
    /// What holds all through it.
    #[serde(flatten)]
    pub state: State,
}

impl Interval {
    /// How long it lasts, in milliseconds.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.end.millis_since(self.start)
    }
}

/// A half-open time `[start, end)` that is asked about. Empty when it does not end after its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Window {
    /// First instant, Unix milliseconds.
    #[schema(value_type = i64)]
    pub start: UnixMillis,
    /// First instant after it, Unix milliseconds.
    #[schema(value_type = i64)]
    pub end: UnixMillis,
}

impl Window {
    /// Without beginning or end.
    pub const ALWAYS: Self = Self { start: UnixMillis::MIN, end: UnixMillis::MAX };

    /// The time from `start` up to, not including, `end`.
    #[must_use]
    pub const fn new(start: UnixMillis, end: UnixMillis) -> Self {
        Self { start, end }
    }

    /// The one millisecond at an instant.
    #[must_use]
    pub const fn instant(at: UnixMillis) -> Self {
        Self { start: at, end: at.plus_millis(1) }
    }

    /// What is left of it inside `[from, to)`; where nothing is left, an empty window.
    #[must_use]
    pub fn within(self, from: UnixMillis, to: UnixMillis) -> Self {
        let start = self.start.max(from);
        Self { start, end: self.end.min(to).max(start) }
    }

    /// Whether it holds the instant.
    #[must_use]
    pub fn holds(&self, at: UnixMillis) -> bool {
        self.start <= at && at < self.end
    }

    /// Whether it holds no instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Its length in milliseconds; 0 when empty.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.end.millis_since(self.start).max(0)
    }
}

/// What a derivation rests on besides the evidence.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The present. Nothing after it is derived.
    pub now: UnixMillis,
    /// When the collector ran; the current run up to `now` included.
    pub running: &'a Periods,
    /// How long the newest word of an observer holds on after its end, at most until `now`. Zero for what is past; the
    /// silence limit for the present.
    pub hold: Duration,
    /// The kinds that a site must have up to be connected.
    pub required: &'a [LinkKind],
}

/// The evidence about one link, by vantage.
#[derive(Debug, Clone)]
pub struct LinkView<'a> {
    /// What the link is for.
    pub kind: LinkKind,
    /// When it is a link of the site.
    pub valid: Window,
    /// What the site's own agent saw.
    pub own: Option<&'a Spans>,
    /// What the others saw, one each.
    pub others: Vec<Other<'a>>,
    /// How long the newest word about it holds at least, where [`Basis::hold`] lets any hold: as long as some rounds of those
    /// that observe it.
    pub hold: Duration,
}

impl LinkView<'_> {
    /// How others see it: without the word of the site's own agent.
    #[must_use]
    pub fn seen_from_outside(&self) -> Self {
        Self { own: None, ..self.clone() }
    }

    /// How the site's own agent sees it: without the word of others.
    #[must_use]
    pub fn seen_from_inside(self) -> Self {
        Self { others: Vec::new(), ..self }
    }
}

/// What another vantage saw of a link.
#[derive(Debug, Clone, Copy)]
pub struct Other<'a> {
    /// What it saw.
    pub spans: &'a Spans,
    /// When it was itself cut off ([`super::vantage`]): what it could not reach then is no evidence of a failure.
    pub cut_off: &'a Periods,
}

/// The word of a vantage that was never cut off.
impl<'a> From<&'a Spans> for Other<'a> {
    fn from(spans: &'a Spans) -> Self {
        static NEVER: Periods = Periods::new();
        Self { spans, cut_off: &NEVER }
    }
}

/// One site: its place in the register, and the evidence about its links.
#[derive(Debug, Clone)]
pub struct SiteView<'a> {
    /// Its tier, as the register says (province, commune, …).
    pub tier: &'a str,
    /// Its branch, as the register says (party, state, mass).
    pub branch: &'a str,
    /// Since when it is registered.
    pub valid_from: UnixMillis,
    /// From when on it is registered no more.
    pub valid_to: Option<UnixMillis>,
    /// When its agent was first given a secret.
    pub equipped_from: Option<UnixMillis>,
    /// Its links: shared by the views of one site, which may be several.
    pub links: Arc<[LinkView<'a>]>,
}

impl SiteView<'_> {
    /// Whether the register held the site at this instant.
    #[must_use]
    pub fn registered_at(&self, at: UnixMillis) -> bool {
        self.valid_from <= at && self.valid_to.is_none_or(|to| at < to)
    }

    /// Since when the site has an agent: its first secret, or its own first evidence if that is earlier (a backlog may
    /// reach back before the secret that carried it). `None`: it has none.
    #[must_use]
    pub fn equipped(&self) -> Option<UnixMillis> {
        let own = self.links.iter().filter_map(|link| link.own?.first().map(|span| span.start));
        own.chain(self.equipped_from).min()
    }

    /// The part of a window in which the site was registered and that is not in the future.
    #[must_use]
    pub fn clip(&self, window: Window, now: UnixMillis) -> Window {
        window.within(self.valid_from, self.valid_to.map_or(now, |to| to.min(now)))
    }

    /// What the site is at an instant, registered or not.
    #[must_use]
    pub fn state_at(&self, basis: &Basis<'_>, at: UnixMillis) -> State {
        if at > basis.now {
            return State::Unknown(Why::NotYet);
        }
        let state = SiteSweep::new(self, basis, Window::instant(at)).next().map(|interval| interval.state);
        state.unwrap_or(State::Unknown(Why::NotYet))
    }

    /// The part of a window in which the link was one of the site's, the site was registered, and that is not in the future.
    #[must_use]
    pub fn clip_link(&self, link: &LinkView<'_>, window: Window, now: UnixMillis) -> Window {
        self.clip(window, now).within(link.valid.start, link.valid.end)
    }

    /// What one of its links is at an instant, registered or not. While it is none of its links, it is not measured.
    #[must_use]
    pub fn link_state_at(&self, link: &LinkView<'_>, basis: &Basis<'_>, at: UnixMillis) -> State {
        let nobody = Nobody::new(self.equipped(), Some(basis.running), basis.now, at);
        LinkSweep::state_at(link, nobody, basis, at)
    }

    /// What each of its links is at an instant, in their order: [`SiteView::link_state_at`] of all.
    pub fn link_states_at(&self, basis: &Basis<'_>, at: UnixMillis) -> impl Iterator<Item = State> {
        let nobody = Nobody::new(self.equipped(), Some(basis.running), basis.now, at);
        self.links.iter().map(move |link| LinkSweep::state_at(link, nobody.clone(), basis, at))
    }
}

/// A window as a gap-free sequence of intervals, neighbours differing in state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Timeline {
    /// The time it covers: what was asked for, cut to the site's registration and to now.
    pub window: Window,
    /// From the window's start to its end without a gap; none when the window is empty.
    pub intervals: Vec<Interval>,
}

impl Timeline {
    /// The timeline of one link of a site.
    #[must_use]
    pub fn of_link(site: &SiteView<'_>, link: &LinkView<'_>, basis: &Basis<'_>, window: Window) -> Self {
        let window = site.clip_link(link, window, basis.now);
        Self::collect(window, LinkSweep::new(site, link, basis, window))
    }

    /// The timeline of a site.
    #[must_use]
    pub fn of_site(site: &SiteView<'_>, basis: &Basis<'_>, window: Window) -> Self {
        let window = site.clip(window, basis.now);
        Self::collect(window, SiteSweep::new(site, basis, window))
    }

    /// Joins neighbours of equal state.
    fn collect(window: Window, sweep: impl Iterator<Item = Interval>) -> Self {
        let mut intervals: Vec<Interval> = Vec::new();
        for next in sweep {
            match intervals.last_mut() {
                Some(last) if last.state == next.state => last.end = next.end,
                Some(_) | None => intervals.push(next),
            }
        }
        Self { window, intervals }
    }
}

/// What a link is while it is none of its site's: no link that is one is ever this.
const NOT_ITS: State = State::Unknown(Why::NotMeasured);

/// The states of one link from the start of a window to its end, gap-free, in order; neighbours may be equal.
///
/// The window is taken as it is: cut it with [`SiteView::clip_link`] first.
#[derive(Debug, Clone)]
pub struct LinkSweep<'a> {
    at: UnixMillis,
    end: UnixMillis,
    valid: Window,
    own: Lane<'a>,
    others: Vec<OtherLane<'a>>,
    nobody: Nobody<'a>,
}

impl<'a> LinkSweep<'a> {
    /// A sweep over one link of a site.
    #[must_use]
    pub fn new(site: &SiteView<'_>, link: &LinkView<'a>, basis: &Basis<'a>, window: Window) -> Self {
        let nobody = Nobody::new(site.equipped(), Some(basis.running), basis.now, window.start);
        Self::with(link, nobody, basis, window)
    }

    fn with(link: &LinkView<'a>, nobody: Nobody<'a>, basis: &Basis<'_>, window: Window) -> Self {
        let hold = if basis.hold.is_zero() { basis.hold } else { basis.hold.max(link.hold) };
        let lane = |spans: &'a Spans| Lane::new(spans, basis.now, hold, window.start);
        Self {
            at: window.start,
            end: window.end,
            valid: link.valid,
            own: link.own.map_or(Lane::EMPTY, lane),
            others: link
                .others
                .iter()
                .map(|other| OtherLane { lane: lane(other.spans), cut_off: other.cut_off.from(window.start) })
                .collect(),
            nobody,
        }
    }

    fn state_at(link: &LinkView<'a>, nobody: Nobody<'a>, basis: &Basis<'_>, at: UnixMillis) -> State {
        if at > basis.now {
            return State::Unknown(Why::NotYet);
        }
        Self::with(link, nobody, basis, Window::instant(at)).look(at).0
    }

    /// The state at `t`, and until when nothing that decided it changes. `t` never goes back.
    fn look(&mut self, t: UnixMillis) -> (State, UnixMillis) {
        let (state, _, until) = self.look_with_voice(t);
        (state, until)
    }

    /// The same, and who says so.
    pub(super) fn look_with_voice(&mut self, t: UnixMillis) -> (State, Voice, UnixMillis) {
        if !self.valid.holds(t) {
            let until = if t < self.valid.start { self.valid.start } else { FOREVER };
            return (NOT_ITS, Voice::Nobody, until);
        }
        let (mut seen, mut until) = self.own.look(t);
        until = until.min(self.valid.end);
        let mut voice = Voice::Own;
        if !matches!(seen, Some(Outcome::Up | Outcome::Degraded | Outcome::Down)) {
            for other in &mut self.others {
                let (outcome, change) = other.look(t);
                if outcome > seen {
                    (seen, voice) = (outcome, Voice::Other);
                }
                until = until.min(change);
            }
        }
        let state = match seen {
            Some(Outcome::Up) => State::Up,
            Some(Outcome::Degraded) => State::Degraded,
            Some(Outcome::Down) => State::Down,
            Some(Outcome::Fault) => State::Unknown(Why::Fault),
            None => {
                let (why, change) = self.nobody.look(t);
                return (State::Unknown(why), Voice::Nobody, until.min(change));
            }
        };
        (state, voice, until)
    }
}

impl Iterator for LinkSweep<'_> {
    type Item = Interval;

    fn next(&mut self) -> Option<Interval> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let (state, until) = self.look(start);
        self.at = until.min(self.end);
        Some(Interval { start, end: self.at, state })
    }
}

/// The state of every kind of link at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    states: [State; 4],
}

impl Kinds {
    /// Nothing measured, of any kind.
    pub const NOT_MEASURED: Self = Self { states: [State::Unknown(Why::NotMeasured); 4] };

    /// The state of one kind.
    #[must_use]
    pub fn get(&self, kind: LinkKind) -> State {
        self.states[index(kind)]
    }

    /// The same with one kind set.
    #[must_use]
    pub fn with(mut self, kind: LinkKind, state: State) -> Self {
        self.states[index(kind)] = state;
        self
    }

    /// What a site is whose required kinds are these. With nothing required nothing can be said.
    #[must_use]
    pub fn site(&self, required: &[LinkKind]) -> State {
        let states = required.iter().map(|&kind| self.get(kind));
        states.reduce(State::both).unwrap_or(State::Unknown(Why::NotMeasured))
    }
}

/// The states of a site's kinds of link from the start of a window to its end, gap-free, in order.
///
/// Yields `(start, end, states)`. A kind that is not asked for, or that the site has no valid link of, is not measured.
#[derive(Debug, Clone)]
pub struct KindsSweep<'a> {
    at: UnixMillis,
    end: UnixMillis,
    lines: Vec<Line<'a>>,
    asked: [bool; 4],
    /// For the kinds asked for of which the site has no valid link.
    nobody: Nobody<'a>,
}

#[derive(Debug, Clone)]
struct Line<'a> {
    kind: LinkKind,
    sweep: LinkSweep<'a>,
    state: State,
    until: UnixMillis,
}

impl<'a> KindsSweep<'a> {
    /// A sweep over the site's links of these kinds.
    #[must_use]
    pub fn new(site: &SiteView<'a>, kinds: &[LinkKind], basis: &Basis<'a>, window: Window) -> Self {
        let equipped = site.equipped();
        let mut asked = [false; 4];
        for &kind in kinds {
            asked[index(kind)] = true;
        }
        let mut lines = Vec::with_capacity(site.links.len());
        for link in site.links.iter().filter(|link| kinds.contains(&link.kind)) {
            let nobody = Nobody::new(equipped, Some(basis.running), basis.now, window.start);
            let sweep = LinkSweep::with(link, nobody, basis, window);
            // Ends before it begins: the first step looks.
            lines.push(Line {
                kind: link.kind,
                sweep,
                state: State::Unknown(Why::NotYet),
                until: window.start,
            });
        }
        // A site that measures something, but not this, does not measure this; of a site that measures nothing at
        // all the silence is the better word.
        let running = lines.is_empty().then_some(basis.running);
        let nobody = Nobody::new(equipped, running, basis.now, window.start);
        Self { at: window.start, end: window.end, lines, asked, nobody }
    }
}

impl Iterator for KindsSweep<'_> {
    type Item = (UnixMillis, UnixMillis, Kinds);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let start = self.at;
        let mut until = self.end;
        let mut kinds = Kinds::NOT_MEASURED;
        let mut seen = [false; 4];
        for line in &mut self.lines {
            if line.until <= start {
                (line.state, line.until) = line.sweep.look(start);
            }
            until = until.min(line.until);
            if line.state == NOT_ITS {
                continue;
            }
            let index = index(line.kind);
            let state = &mut kinds.states[index];
            *state = if seen[index] { state.either(line.state) } else { line.state };
            seen[index] = true;
        }
        if seen != self.asked {
            let (why, change) = self.nobody.look(start);
            until = until.min(change);
            for ((state, asked), seen) in kinds.states.iter_mut().zip(self.asked).zip(seen) {
                if asked && !seen {
                    *state = State::Unknown(why);
                }
            }
        }
        self.at = until;
        Some((start, until, kinds))
    }
}

/// The states of a site from the start of a window to its end, gap-free, in order; neighbours may be equal.
///
/// The window is taken as it is: cut it with [`SiteView::clip`] first.
#[derive(Debug, Clone)]
pub struct SiteSweep<'a> {
    kinds: KindsSweep<'a>,
    required: &'a [LinkKind],
}

impl<'a> SiteSweep<'a> {
    /// A sweep over the required kinds of a site.
    #[must_use]
    pub fn new(site: &SiteView<'a>, basis: &Basis<'a>, window: Window) -> Self {
        Self { kinds: KindsSweep::new(site, basis.required, basis, window), required: basis.required }
    }
}

impl Iterator for SiteSweep<'_> {
    type Item = Interval;

    fn next(&mut self) -> Option<Interval> {
        let (start, end, kinds) = self.kinds.next()?;
        Some(Interval { start, end, state: kinds.site(self.required) })
    }
}

/// A cursor over what one observer saw.
#[derive(Debug, Clone)]
struct Lane<'a> {
    rest: &'a [Span],
    /// Where the newest span is taken to end.
    held: UnixMillis,
}

impl<'a> Lane<'a> {
    const EMPTY: Self = Self { rest: &[], held: FOREVER };

    fn new(spans: &'a Spans, now: UnixMillis, hold: Duration, from: UnixMillis) -> Self {
        let Some(last) = spans.last() else { return Self::EMPTY };
        let fresh = last.end <= now && now.since(last.end) < hold;
        let held = if fresh { now.plus_millis(1) } else { last.end };
        // The held span is kept even where its evidence ends before `from`.
        let all = spans.as_slice();
        let rest = match all {
            // Of the present, which is asked about most, only the newest span tells.
            [.., before, newest] if before.end <= from => std::slice::from_ref(newest),
            _ => &all[all.partition_point(|span| span.end <= from).min(all.len() - 1)..],
        };
        Self { rest, held }
    }

    /// What was seen at `t`, and until when that is so. `t` never goes back.
    fn look(&mut self, t: UnixMillis) -> (Option<Outcome>, UnixMillis) {
        while let [first, behind @ ..] = self.rest {
            let end = if behind.is_empty() { self.held } else { first.end };
            if t < first.start {
                return (None, first.start);
            }
            if t < end {
                return (Some(first.outcome), end);
            }
            self.rest = behind;
        }
        (None, FOREVER)
    }
}

/// A cursor over what another vantage saw, without what it could not reach while it was itself cut off.
#[derive(Debug, Clone)]
struct OtherLane<'a> {
    lane: Lane<'a>,
    cut_off: &'a [Period],
}

impl OtherLane<'_> {
    /// As [`Lane::look`].
    fn look(&mut self, t: UnixMillis) -> (Option<Outcome>, UnixMillis) {
        let (seen, until) = self.lane.look(t);
        if seen != Some(Outcome::Down) {
            return (seen, until);
        }
        let (cut_off, change) = look_in(&mut self.cut_off, t);
        (seen.filter(|_| !cut_off), until.min(change))
    }
}

/// A cursor over the reasons for which nobody spoke.
#[derive(Debug, Clone)]
struct Nobody<'a> {
    now: UnixMillis,
    equipped: UnixMillis,
    /// `None`: not measured, whether the collector ran or not.
    running: Option<&'a [Period]>,
}

impl<'a> Nobody<'a> {
    fn new(
        equipped: Option<UnixMillis>,
        running: Option<&'a Periods>,
        now: UnixMillis,
        from: UnixMillis,
    ) -> Self {
        let running = running.map(|running| running.from(from));
        Self { now, equipped: equipped.unwrap_or(FOREVER), running }
    }

    /// The reason at `t`, and until when it is so. `t` never goes back.
    fn look(&mut self, t: UnixMillis) -> (Why, UnixMillis) {
        if t < self.equipped {
            return (Why::NotEquipped, self.equipped);
        }
        let Some(running) = &mut self.running else { return (Why::NotMeasured, FOREVER) };
        while let [first, behind @ ..] = *running {
            if t < first.start {
                return (Why::CollectorStopped, first.start);
            }
            // A run that reaches `now` is the present one: it holds the instant `now` too.
            let end = if first.end >= self.now { FOREVER } else { first.end };
            if t < end {
                return (Why::Silent, end);
            }
            *running = behind;
        }
        (Why::CollectorStopped, FOREVER)
    }
}

/// Later than every instant: no change is known.
const FOREVER: UnixMillis = UnixMillis::MAX;

/// Its place in [`LinkKind::ALL`].
pub(super) const fn index(kind: LinkKind) -> usize {
    match kind {
        LinkKind::Lan => 0,
        LinkKind::Wan => 1,
        LinkKind::Internet => 2,
        LinkKind::Service => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkKind::{Internet, Lan, Wan};
    use State::{Degraded, Down, Unknown, Up};

    const REQUIRED: [LinkKind; 3] = [Lan, Wan, Internet];

    fn ms(t: i64) -> UnixMillis {
        UnixMillis(t)
    }

    fn spans(rounds: &[(i64, i64, Outcome)]) -> Spans {
        let mut spans = Spans::new();
        for &(start, end, outcome) in rounds {
            spans.paint(ms(start), ms(end), outcome);
        }
        spans
    }

    fn site(links: Vec<LinkView<'_>>) -> SiteView<'_> {
        SiteView {
            tier: "commune",
            branch: "state",
            valid_from: ms(0),
            valid_to: None,
            equipped_from: Some(ms(0)),
            links: links.into(),
        }
    }

    fn link<'a>(kind: LinkKind, own: Option<&'a Spans>, others: &[&'a Spans]) -> LinkView<'a> {
        let others = others.iter().map(|&spans| spans.into()).collect();
        LinkView { kind, valid: Window::ALWAYS, own, others, hold: Duration::ZERO }
    }

    fn rows(timeline: &Timeline) -> Vec<(i64, i64, State)> {
        timeline.intervals.iter().map(|i| (i.start.0, i.end.0, i.state)).collect()
    }

    fn link_rows(own: &Spans, others: &[&Spans], running: &[(i64, i64)], to: i64) -> Vec<(i64, i64, State)> {
        let running = running.iter().map(|&(a, b)| (ms(a), ms(b))).collect();
        let basis = Basis { now: ms(1000), running: &running, hold: Duration::ZERO, required: &REQUIRED };
        let site = site(vec![link(Wan, Some(own), others)]);
        rows(&Timeline::of_link(&site, &site.links[0], &basis, Window::new(ms(0), ms(to))))
    }

    #[test]
    fn an_interval_is_flat_in_json() {
        let interval = |state| Interval { start: ms(1), end: ms(3), state };
        let json = |state| serde_json::to_value(interval(state)).unwrap();
        assert_eq!(json(Up), serde_json::json!({"start": 1, "end": 3, "state": "up"}));
        let silent = serde_json::json!({"start": 1, "end": 3, "state": "unknown", "why": "silent"});
        assert_eq!(json(Unknown(Why::Silent)), silent);
    }

    #[test]
    fn the_sites_own_agent_decides_where_it_speaks() {
        let own = spans(&[(0, 10, Outcome::Up), (10, 20, Outcome::Down), (20, 30, Outcome::Fault)]);
        let centre = spans(&[(0, 10, Outcome::Down), (10, 25, Outcome::Up), (35, 40, Outcome::Down)]);
        assert_eq!(
            link_rows(&own, &[&centre], &[(0, 1000)], 40),
            [
                (0, 10, Up),
                (10, 20, Down),
                (20, 25, Up),
                (25, 30, Unknown(Why::Fault)),
                (30, 35, Unknown(Why::Silent)),
                (35, 40, Down)
            ]
        );
    }

    #[test]
    fn of_several_other_vantages_the_one_that_got_through_is_proof() {
        let (a, b) = (spans(&[(0, 20, Outcome::Down)]), spans(&[(10, 15, Outcome::Up)]));
        let expected = [(0, 10, Down), (10, 15, Up), (15, 20, Down)];
        assert_eq!(link_rows(&Spans::new(), &[&a, &b], &[(0, 1000)], 20), expected);
    }

    #[test]
    fn a_stop_of_the_collector_explains_a_gap_and_never_makes_one() {
        let own = spans(&[(0, 20, Outcome::Up), (30, 40, Outcome::Up)]);
        assert_eq!(
            link_rows(&own, &[], &[(0, 10), (25, 1000)], 40),
            [
                (0, 20, Up),
                (20, 25, Unknown(Why::CollectorStopped)),
                (25, 30, Unknown(Why::Silent)),
                (30, 40, Up)
            ]
        );
    }

    #[test]
    fn one_of_two_lines_is_enough_and_an_unknown_one_is_not_down() {
        assert_eq!(Up.either(Down), Up);
        assert_eq!(Degraded.either(Unknown(Why::Silent)), Degraded);
        assert_eq!(Down.either(Unknown(Why::Silent)), Unknown(Why::Silent));
        assert_eq!(Down.either(Down), Down);
    }

    #[test]
    fn a_site_is_as_bad_as_its_worst_required_kind() {
        let all = |lan, wan, internet| {
            Kinds::NOT_MEASURED.with(Lan, lan).with(Wan, wan).with(Internet, internet).site(&REQUIRED)
        };
        assert_eq!(all(Up, Up, Up), Up);
        assert_eq!(all(Up, Degraded, Up), Degraded);
        assert_eq!(all(Up, Degraded, Unknown(Why::Fault)), Unknown(Why::Fault));
        assert_eq!(all(Unknown(Why::Silent), Down, Up), Down);
        assert_eq!(
            all(Unknown(Why::NotMeasured), Unknown(Why::Silent), Unknown(Why::Fault)),
            Unknown(Why::Silent)
        );
        assert_eq!(Kinds::NOT_MEASURED.with(Wan, Up).site(&[Wan]), Up);
        assert_eq!(Kinds::NOT_MEASURED.site(&[]), Unknown(Why::NotMeasured));
    }

    #[test]
    fn a_required_kind_without_a_link_is_not_measured_and_not_down() {
        let up = spans(&[(0, 30, Outcome::Up)]);
        let running = [(ms(0), ms(1000))].into_iter().collect();
        let basis = Basis { now: ms(1000), running: &running, hold: Duration::ZERO, required: &REQUIRED };
        let site = site(vec![link(Lan, Some(&up), &[]), link(Wan, Some(&up), &[])]);
        let timeline = Timeline::of_site(&site, &basis, Window::new(ms(0), ms(40)));
        assert_eq!(
            rows(&timeline),
            [(0, 30, Unknown(Why::NotMeasured)), (30, 40, Unknown(Why::Silent))],
            "silence is the better word where nothing at all was heard"
        );
    }

    #[test]
    fn before_its_first_secret_a_site_is_not_equipped() {
        let up = spans(&[(30, 40, Outcome::Up)]);
        let running = [(ms(10), ms(1000))].into_iter().collect();
        let basis = Basis { now: ms(1000), running: &running, hold: Duration::ZERO, required: &[Wan] };
        let mut site = site(vec![link(Wan, Some(&up), &[])]);
        site.equipped_from = Some(ms(25));
        let window = Window::new(ms(0), ms(40));
        let expected = [(0, 25, Unknown(Why::NotEquipped)), (25, 30, Unknown(Why::Silent)), (30, 40, Up)];
        assert_eq!(rows(&Timeline::of_site(&site, &basis, window)), expected);
        site.equipped_from = Some(ms(35));
        assert_eq!(site.equipped(), Some(ms(30)), "own evidence is proof of an agent");
    }

    #[test]
    fn the_window_is_cut_to_registration_and_to_now() {
        let up = spans(&[(0, 5000, Outcome::Up)]);
        let running = [(ms(0), ms(1000))].into_iter().collect();
        let basis = Basis { now: ms(1000), running: &running, hold: Duration::ZERO, required: &[Wan] };
        let mut site = site(vec![link(Wan, Some(&up), &[])]);
        site.valid_from = ms(100);
        let timeline = |site: &SiteView<'_>| Timeline::of_site(site, &basis, Window::new(ms(0), ms(9000)));
        assert_eq!(rows(&timeline(&site)), [(100, 1000, Up)]);
        site.valid_to = Some(ms(200));
        assert_eq!(rows(&timeline(&site)), [(100, 200, Up)]);
        site.valid_from = ms(3000);
        assert!(timeline(&site).intervals.is_empty() && timeline(&site).window.is_empty());
    }

    #[test]
    fn the_newest_word_holds_until_now_and_no_longer_than_the_hold() {
        let own = spans(&[(0, 980, Outcome::Up), (980, 990, Outcome::Down)]);
        let running = [(ms(0), ms(1000))].into_iter().collect();
        let site = site(vec![link(Wan, Some(&own), &[])]);
        let at = |hold: u64, now: i64, t: i64| {
            let hold = Duration::from_millis(hold);
            let basis = Basis { now: ms(now), running: &running, hold, required: &[Wan] };
            site.state_at(&basis, ms(t))
        };
        assert_eq!(at(15, 1000, 1000), Down, "now itself is an instant of the present");
        assert_eq!(at(15, 1000, 995), Down);
        assert_eq!(at(10, 1000, 995), Unknown(Why::Silent), "as old as the hold is too old");
        assert_eq!(at(0, 1000, 1000), Unknown(Why::Silent), "the present run of the collector holds now");
        assert_eq!(at(15, 1000, 1001), Unknown(Why::NotYet));
    }

    #[test]
    fn the_newest_word_about_a_link_with_long_rounds_holds_for_longer() {
        let own = spans(&[(0, 990, Outcome::Down)]);
        let running = [(ms(0), ms(1000))].into_iter().collect();
        let site = site(vec![LinkView { hold: Duration::from_millis(11), ..link(Wan, Some(&own), &[]) }]);
        let at = |hold: u64| {
            let hold = Duration::from_millis(hold);
            let basis = Basis { now: ms(1000), running: &running, hold, required: &[Wan] };
            site.state_at(&basis, ms(1000))
        };
        assert_eq!(at(5), Down);
        assert_eq!(at(0), Unknown(Why::Silent), "of what is past nothing is held");
    }

    #[test]
    fn a_link_outside_its_validity_is_none_of_the_sites() {
        let (old, new) = (spans(&[(0, 60, Outcome::Down)]), spans(&[(40, 100, Outcome::Up)]));
        let running = [(ms(0), ms(1000))].into_iter().collect();
        let basis = Basis { now: ms(1000), running: &running, hold: Duration::ZERO, required: &[Wan] };
        let first = LinkView { valid: Window::new(UnixMillis::MIN, ms(50)), ..link(Wan, Some(&old), &[]) };
        let second = LinkView { valid: Window::new(ms(50), ms(90)), ..link(Wan, Some(&new), &[]) };
        let mut site = site(vec![first, second]);
        let window = Window::new(ms(0), ms(100));
        // Renamed at 50: neither is the old one's silence unknown afterwards, nor the new one's word heard before. From 90 on
        // the site has no such line at all.
        let expected = [(0, 50, Down), (50, 90, Up), (90, 100, Unknown(Why::NotMeasured))];
        assert_eq!(rows(&Timeline::of_site(&site, &basis, window)), expected);
        let of_link = |i: usize| rows(&Timeline::of_link(&site, &site.links[i], &basis, window));
        assert_eq!((of_link(0), of_link(1)), (vec![(0, 50, Down)], vec![(50, 90, Up)]));
        let at = |t| site.link_state_at(&site.links[0], &basis, ms(t));
        assert_eq!((at(49), at(50)), (Down, Unknown(Why::NotMeasured)));
        site.valid_to = Some(ms(20));
        let cut = Timeline::of_link(&site, &site.links[1], &basis, window);
        assert!(cut.window.is_empty() && cut.intervals.is_empty(), "valid only after the site has closed");
    }
}
