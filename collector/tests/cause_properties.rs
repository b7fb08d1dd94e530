//! The charges of random histories against an oracle that asks every rule anew at every second.
//!
//! The oracle knows the states of links from [`SiteView::link_state_at`] (which `tests/ledger_properties.rs` holds against an oracle
//! of its own) and the table from [`decide`] (which has a case for each row); what is tested here is the sweep between the two:
//! silences, edges, what follows what, and that every bad second is charged exactly once.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use wan_collector::ledger::cause::{
    Around, Charge, Charges, EDGE, LinkAround, Path, Rule, Scene, Silence, Voice, charges, decide,
    path_for_children,
};
use wan_collector::ledger::incident::{IncidentKind, incidents};
use wan_collector::ledger::span::{Periods, Spans};
use wan_collector::ledger::timeline::{Basis, LinkView, SiteView, State, Why, Window};
use wan_wire::{LinkKind, Outcome, UnixMillis};

/// Evidence lies within seconds 0..T.
const T: i64 = 120;
const EDGE_S: i64 = EDGE.as_secs().cast_signed();
const REQUIRED: [LinkKind; 3] = [LinkKind::Lan, LinkKind::Wan, LinkKind::Internet];

#[derive(Debug, Clone)]
struct Link {
    kind: LinkKind,
    own: Vec<(i64, i64, Outcome)>,
    other: Vec<(i64, i64, Outcome)>,
    planned: Vec<(i64, i64)>,
    carrier: Option<&'static str>,
    valid: (i64, i64),
}

#[derive(Debug, Clone)]
struct History {
    links: Vec<Link>,
    boots: Vec<i64>,
    starts: Vec<i64>,
    path_cut: Vec<(i64, i64)>,
    path_degraded: Vec<(i64, i64)>,
    running: Vec<(i64, i64)>,
    now: i64,
    from: i64,
    to: i64,
}

fn rounds() -> impl Strategy<Value = Vec<(i64, i64, Outcome)>> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Up),
        3 => Just(Outcome::Down),
        1 => Just(Outcome::Degraded),
        1 => Just(Outcome::Fault)
    ];
    vec(((0..T / 5, 1..6i64), outcome).prop_map(|((s, n), o)| (s * 5, (s + n) * 5, o)), 0..10)
}

fn periods() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((-10..T, 1..50i64).prop_map(|(start, length)| (start, start + length)), 0..2)
}

fn link() -> impl Strategy<Value = Link> {
    let kind = prop::sample::select(LinkKind::ALL.to_vec());
    let carrier = prop::sample::select(vec![None, Some("vnpt"), Some("viettel")]);
    let planned = prop_oneof![3 => Just(Vec::new()), 1 => periods()];
    let valid = prop_oneof![3 => Just((-1000, 1000)), 1 => (-10..T, 1..80i64).prop_map(|(a, b)| (a, a + b))];
    (kind, rounds(), prop_oneof![Just(Vec::new()), rounds()], planned, carrier, valid).prop_map(
        |(kind, own, other, planned, carrier, valid)| Link { kind, own, other, planned, carrier, valid },
    )
}

fn history() -> impl Strategy<Value = History> {
    let times = (T / 2..T + 20, -10..T, 1..T + 30i64);
    let running = prop_oneof![2 => Just(vec![(-20, T + 40)]), 1 => periods()];
    (vec(link(), 1..5), vec(-5..T, 0..2), vec(-5..T, 0..2), (periods(), periods()), running, times).prop_map(
        |(links, mut boots, mut starts, (path_cut, path_degraded), running, (now, from, length))| {
            boots.sort_unstable();
            starts.sort_unstable();
            History { links, boots, starts, path_cut, path_degraded, running, now, from, to: from + length }
        },
    )
}

fn at(second: i64) -> UnixMillis {
    UnixMillis(second * 1000)
}

fn set(periods: &[(i64, i64)]) -> Periods {
    periods.iter().map(|&(start, end)| (at(start), at(end))).collect()
}

fn painted(rounds: &[(i64, i64, Outcome)]) -> Option<Spans> {
    let mut spans = Spans::new();
    for &(start, end, outcome) in rounds {
        spans.paint(at(start), at(end), outcome);
    }
    (!rounds.is_empty()).then_some(spans)
}

/// Everything that the derivation borrows.
struct Kept {
    own: Vec<Option<Spans>>,
    other: Vec<Option<Spans>>,
    planned: Vec<Periods>,
    boots: Vec<UnixMillis>,
    starts: Vec<UnixMillis>,
    path: Path,
    running: Periods,
}

impl Kept {
    fn of(history: &History) -> Self {
        let links = || history.links.iter();
        Self {
            own: links().map(|link| painted(&link.own)).collect(),
            other: links().map(|link| painted(&link.other)).collect(),
            planned: links().map(|link| set(&link.planned)).collect(),
            boots: history.boots.iter().map(|&t| at(t)).collect(),
            starts: history.starts.iter().map(|&t| at(t)).collect(),
            path: Path {
                cut: set(&history.path_cut),
                bad: set(&[history.path_cut.as_slice(), &history.path_degraded].concat()),
            },
            running: set(&history.running),
        }
    }

    fn view<'a>(&'a self, history: &'a History) -> SiteView<'a> {
        let link = |(index, link): (usize, &Link)| LinkView {
            kind: link.kind,
            valid: Window::new(at(link.valid.0), at(link.valid.1)),
            own: self.own[index].as_ref(),
            others: self.other[index].iter().map(Into::into).collect(),
            hold: Duration::ZERO,
        };
        SiteView {
            tier: "commune",
            branch: "state",
            valid_from: at(-100),
            valid_to: None,
            equipped_from: Some(at(-100)),
            links: history.links.iter().enumerate().map(link).collect(),
        }
    }

    fn around<'a>(&'a self, history: &History) -> Around<'a> {
        let links = history.links.iter().zip(&self.planned);
        Around {
            boots: &self.boots,
            starts: &self.starts,
            path: &self.path,
            links: links.map(|(link, planned)| LinkAround { planned, carrier: link.carrier }).collect(),
        }
    }

    fn basis(&self, history: &History) -> Basis<'_> {
        Basis { now: at(history.now), running: &self.running, hold: Duration::ZERO, required: &REQUIRED }
    }
}

// ---------------------------------------------------------------------------------------------- the oracle

/// The scene and the charge of every link at one second.
struct Oracle<'a> {
    history: &'a History,
    view: SiteView<'a>,
    basis: Basis<'a>,
}

fn covers(periods: &[(i64, i64)], t: i64) -> bool {
    periods.iter().any(|&(start, end)| start <= t && t < end)
}

fn near(mut holds: impl FnMut(i64) -> bool, t: i64) -> bool {
    (t - EDGE_S..=t + EDGE_S).any(|u| holds(u) && u - EDGE_S <= t && t < u + 1 + EDGE_S)
}

impl Oracle<'_> {
    fn state(&self, link: usize, t: i64) -> State {
        self.view.link_state_at(&self.view.links[link], &self.basis, at(t))
    }

    fn kind(&self, kind: LinkKind, t: i64) -> State {
        let links = (0..self.view.links.len()).filter(|&link| self.view.links[link].kind == kind);
        links
            .filter(|&link| covers(&[self.history.links[link].valid], t))
            .map(|link| self.state(link, t))
            .reduce(State::either)
            .unwrap_or(State::Unknown(Why::NotMeasured))
    }

    fn own_word(&self, link: usize, t: i64) -> bool {
        self.history.links[link]
            .own
            .iter()
            .any(|&(start, end, outcome)| start <= t && t < end && outcome != Outcome::Fault)
    }

    fn speaks(&self, t: i64) -> bool {
        self.history.links.iter().any(|link| link.own.iter().any(|&(start, end, _)| start <= t && t < end))
    }

    fn silence(&self, t: i64) -> Silence {
        if self.speaks(t) {
            return Silence::Speaks;
        }
        let before = (-30..t).rev().find(|&u| self.speaks(u)).map(|u| u + 1);
        let after = (t..T + 60).find(|&u| self.speaks(u));
        let Some(before) = before else { return Silence::Before };
        let within = |times: &[i64]| {
            times.iter().any(|&b| b > before - EDGE_S / 2 && after.is_none_or(|end| b <= end))
        };
        if within(&self.history.boots) {
            return Silence::Booted;
        }
        match after {
            None => Silence::Open,
            Some(_) if within(&self.history.starts) => Silence::Restarted,
            Some(_) => Silence::RanOn,
        }
    }

    /// What other vantages see of the WAN at a second: down, traffic.
    fn seen(&self, t: i64) -> (bool, bool) {
        if t >= self.history.now {
            return (false, false);
        }
        let mut seen = (false, false);
        let wans = self.history.links.iter().filter(|link| link.kind == LinkKind::Wan);
        for link in wans.filter(|link| covers(&[link.valid], t)) {
            let word = link.other.iter().filter(|r| r.0 <= t && t < r.1).map(|r| r.2).max();
            match word {
                Some(Outcome::Down) => seen.0 = true,
                Some(Outcome::Up | Outcome::Degraded) => seen.1 = true,
                Some(Outcome::Fault) | None => {}
            }
        }
        seen
    }

    /// Whether the site's own agent saw traffic on a link of one of these kinds at a second.
    fn carried(&self, kinds: &[LinkKind], t: i64) -> bool {
        self.history.links.iter().filter(|link| kinds.contains(&link.kind) && covers(&[link.valid], t)).any(
            |link| {
                let word = link.own.iter().filter(|r| r.0 <= t && t < r.1).map(|r| r.2).max();
                matches!(word, Some(Outcome::Up | Outcome::Degraded))
            },
        )
    }

    /// Whether the LAN's silence at a second says something of a kind behind it: it has answered, and nothing passed it for two
    /// rounds on end since.
    fn silence_is_news(&self, kind: LinkKind, t: i64) -> bool {
        let passing: &[LinkKind] = match kind {
            LinkKind::Lan => return true,
            LinkKind::Wan => &[LinkKind::Wan],
            LinkKind::Internet => &[LinkKind::Internet],
            LinkKind::Service => &[LinkKind::Wan, LinkKind::Service],
        };
        let mut passed = 0;
        let mut longest = 0;
        for u in (-30..=t).rev() {
            if self.carried(&[LinkKind::Lan], u) {
                return longest <= EDGE_S;
            }
            passed = if self.carried(passing, u) { passed + 1 } else { 0 };
            longest = longest.max(passed);
        }
        false
    }

    /// Whether the LAN takes a link of a kind, in a state, with it.
    fn lan_fails(&self, kind: LinkKind, state: State, t: i64) -> bool {
        let bad = |u: i64| match self.kind(LinkKind::Lan, u) {
            State::Down => self.silence_is_news(kind, u),
            State::Degraded => state == State::Degraded,
            State::Up | State::Unknown(_) => false,
        };
        near(|u| u < self.history.now && bad(u), t)
    }

    fn scene(&self, link: usize, t: i64) -> Scene {
        let facts = &self.history.links[link];
        let state = self.state(link, t);
        let other_word = facts.other.iter().any(|r| r.0 <= t && t < r.1 && r.2 != Outcome::Fault);
        let known = !matches!(state, State::Unknown(why) if why != Why::Fault);
        let voice = match (self.own_word(link, t), known) {
            (_, false) => Voice::Nobody,
            (true, true) => Voice::Own,
            (false, true) if other_word => Voice::Other,
            // Only faults: the site's own first.
            (false, true) if facts.own.iter().any(|r| r.0 <= t && t < r.1) => Voice::Own,
            (false, true) => Voice::Other,
        };
        let seen_down = near(|u| self.seen(u).0, t);
        let mut scene = Scene {
            kind: facts.kind,
            state,
            voice,
            silence: self.silence(t),
            planned: covers(&facts.planned, t),
            path_cut: near(
                |u| {
                    covers(&self.history.path_cut, u)
                        || state == State::Degraded && covers(&self.history.path_degraded, u)
                },
                t,
            ),
            lan: self.kind(LinkKind::Lan, t),
            wan: self.kind(LinkKind::Wan, t),
            internet: self.kind(LinkKind::Internet, t),
            lan_fails: self.lan_fails(facts.kind, state, t),
            seen_down,
            seen_up: self.seen(t).1 && !seen_down,
            wan_rule: None,
            same_carrier: false,
        };
        let as_bad = |wan: State| {
            matches!(
                (wan, state),
                (State::Down, State::Down | State::Degraded) | (State::Degraded, State::Degraded)
            )
        };
        if matches!(facts.kind, LinkKind::Internet | LinkKind::Service) {
            // Now, else the last that is over, else the first that comes.
            let order = (t - EDGE_S..=t).rev().chain(t + 1..=t + EDGE_S);
            let mut order = order.filter(|u| *u < self.history.now && near(|v| v == *u, t));
            if let Some(u) = order.find(|u| as_bad(self.kind(LinkKind::Wan, *u))) {
                let wans = (0..self.view.links.len())
                    .filter(|&of| self.history.links[of].kind == LinkKind::Wan && as_bad(self.state(of, u)));
                let rules: Vec<(Rule, Option<&str>)> = wans
                    .filter_map(|of| Some((decide(&self.scene(of, u))?, self.history.links[of].carrier)))
                    .collect();
                scene.wan_rule = rules.iter().map(|(rule, _)| *rule).min_by_key(|rule| rule.cause().rank());
                scene.same_carrier =
                    facts.carrier.is_some() && rules.iter().any(|(_, carrier)| *carrier == facts.carrier);
            }
        }
        scene
    }
}

fn charged(charges: &[Charge], t: i64) -> Vec<&Charge> {
    charges.iter().filter(|charge| charge.start <= at(t) && at(t) < charge.end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_bad_second_is_charged_once_by_the_rule_that_the_oracle_finds(history in history()) {
        let kept = Kept::of(&history);
        let (view, around, basis) = (kept.view(&history), kept.around(&history), kept.basis(&history));
        let window = Window::new(at(history.from), at(history.to));
        let Charges { site, links: by_link } = charges(&view, &around, &basis, window);
        let oracle = Oracle { history: &history, view: view.clone(), basis };
        for t in history.from..history.to.min(history.now) {
            let mut rules = Vec::new();
            for (link, charges) in by_link.iter().enumerate() {
                let scene = oracle.scene(link, t);
                let expected = decide(&scene);
                let found = charged(charges, t);
                prop_assert_eq!(found.iter().map(|c| c.rule).collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(),
                    "link {} at {}: {:?}", link, t, scene);
                for charge in found {
                    prop_assert_eq!(charge.scene, scene, "link {} at {}", link, t);
                }
                rules.push((scene.kind, scene.state, expected));
            }
            let state = view.state_at(&basis, at(t));
            let same = |of: State| of == state || matches!((of, state), (State::Unknown(_), State::Unknown(_)));
            let of_kinds = rules.iter().filter(|(kind, of_link, _)| {
                REQUIRED.contains(kind) && same(oracle.kind(*kind, t)) && same(*of_link)
            });
            let expected = of_kinds.filter_map(|(.., rule)| rule.as_ref()).min_by_key(|rule| rule.cause().rank());
            let found = charged(&site, t);
            let found: Vec<_> = found.iter().map(|charge| charge.rule.cause()).collect();
            let expected: Vec<_> =
                expected.filter(|_| state != State::Up).map(|rule| rule.cause()).into_iter().collect();
            prop_assert_eq!(found, expected, "the site at {}, {:?}: {:?}", t, state, rules);
        }
    }

    #[test]
    fn what_is_known_twice_an_edge_around_a_window_is_all_that_bears_on_it(history in history()) {
        let kept = Kept::of(&history);
        let (view, around, basis) = (kept.view(&history), kept.around(&history), kept.basis(&history));
        let window = Window::new(at(history.from), at(history.to));
        let known = Window::new(window.start.minus(EDGE * 2), window.end.plus(EDGE * 2));
        let cut = |periods: &Periods| periods.within(known);
        let path = Path { cut: cut(&kept.path.cut), bad: cut(&kept.path.bad) };
        let around_it = Kept { planned: kept.planned.iter().map(cut).collect(), path, ..Kept::of(&history) };
        prop_assert_eq!(
            charges(&view, &around_it.around(&history), &basis, window),
            charges(&view, &around, &basis, window)
        );
    }

    #[test]
    fn children_have_no_path_while_wan_or_power_are_gone_and_the_path_above_only_where_nothing_is_known(
        history in history()
    ) {
        let kept = Kept::of(&history);
        let (view, around, basis) = (kept.view(&history), kept.around(&history), kept.basis(&history));
        let window = Window::new(at(history.from), at(history.to));
        let path = path_for_children(&view, &around, &basis, window);
        let oracle = Oracle { history: &history, view: view.clone(), basis };
        for t in history.from..history.to.min(history.now) {
            let (cut_above, degraded_above) =
                (covers(&history.path_cut, t), covers(&history.path_degraded, t));
            let reached = oracle.seen(t).1 && !near(|u| oracle.seen(u).0, t);
            let lan_fails = oracle.lan_fails(LinkKind::Wan, State::Degraded, t);
            let (cut, bad) = match oracle.kind(LinkKind::Wan, t) {
                State::Down => (!reached, !reached),
                State::Degraded => (false, !lan_fails),
                State::Up => (false, false),
                State::Unknown(_) if oracle.silence(t) == Silence::Booted => (true, true),
                State::Unknown(_) => (cut_above, cut_above || degraded_above),
            };
            prop_assert_eq!((path.cut.contains(at(t)), path.bad.contains(at(t))), (cut, bad), "at {}", t);
        }
    }

    #[test]
    fn incidents_hold_all_down_time_and_do_not_overlap(history in history()) {
        let kept = Kept::of(&history);
        let (view, around, basis) = (kept.view(&history), kept.around(&history), kept.basis(&history));
        let window = Window::new(at(history.from), at(history.to));
        let until = view.clip(window, basis.now).end;
        for charges in charges(&view, &around, &basis, window).links {
            let found = incidents(&charges, until);
            for pair in found.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start, "{:?}", found);
            }
            let down: i64 = charges.iter().filter(|c| c.state == State::Down).map(Charge::millis).sum();
            let told: i64 = found.iter().filter(|i| i.kind == IncidentKind::Outage).map(|i| i.bad_ms).sum();
            prop_assert_eq!(told, down);
            for incident in &found {
                prop_assert_eq!(incident.causes.values().sum::<i64>(), incident.bad_ms);
                prop_assert!(incident.causes.contains_key(&incident.cause()));
                prop_assert!(incident.ongoing == (incident.end == until));
            }
        }
    }
}
