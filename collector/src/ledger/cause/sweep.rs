//! The rules along time: which stretches of a window are bad, and to what each is charged.

use wan_wire::{LinkKind, UnixMillis};

use super::moment::WanFailures;
use super::stage::Stage;
use super::{EDGE, Rule, Scene, Silence};
use crate::ledger::span::Periods;
use crate::ledger::timeline::{Basis, SiteView, State, Window};

/// What the rules know of a site beside its evidence; what has a time is known from twice [`EDGE`] before the window that is asked about
/// until as long behind it: the WAN is looked at from [`EDGE`] before, and what is said about that counts as far beyond its own time.
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
    if window.is_empty() {
        return charges;
    }
    // What the WAN is a little before and after bears on what goes by it.
    let beyond = Window::new(window.start.minus(EDGE), window.end.plus(EDGE).min(basis.now));
    let mut stage = Stage::new(site, around, basis, beyond);
    let mut moments = Vec::new();
    while let Some((start, end)) = stage.step() {
        moments.extend(stage.bad_moment(start, end));
    }
    let wan = WanFailures::of(&moments);
    for moment in &moments {
        for (start, end) in wan.pieces(moment, window) {
            let decided = wan.decided(moment, start);
            if let Some((state, rule, scene)) = moment.site(&decided, basis.required) {
                push(&mut charges.site, Charge { start, end, state, rule, scene });
            }
            for (decided, of_link) in decided.into_iter().zip(&mut charges.links) {
                if let Some((rule, scene)) = decided {
                    push(of_link, Charge { start, end, state: scene.state, rule, scene });
                }
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
        match stage.kind(LinkKind::Wan) {
            // A LAN that fails takes the site's own word of its WAN with it, and nobody's path.
            State::Down if stage.reached() => {}
            State::Degraded if stage.lan_fails(LinkKind::Wan, State::Degraded) => {}
            State::Down => path.cut.add(start, end),
            State::Degraded => path.bad.add(start, end),
            State::Unknown(_) if stage.silence() == Silence::Booted => path.cut.add(start, end),
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
