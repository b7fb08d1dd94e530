//! The ledger against an oracle that knows no spans: it asks every rule anew at every single instant.
//!
//! Histories are random and small (a hundred instants, a few sites), so that every kind of overlap, edge and coincidence is
//! common: rounds that arrive in order, late, twice, shuffled and overlapping; several vantages and targets; collector stops;
//! sites that open, close or get their agent within the window.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use proptest::test_runner::TestCaseResult;
use wan_collector::ledger::span::{Changed, Periods, Spans};
use wan_collector::ledger::timeline::{Basis, LinkView, Other, SiteView, State, Timeline, Why, Window};
use wan_collector::report::coverage::{Counts, Coverage, Row, TierTarget};
use wan_collector::report::uptime::{Outage, Uptime};
use wan_wire::{LinkKind, Outcome, UnixMillis};

/// Instants 0..T may hold evidence; windows reach beyond.
const T: i64 = 100;

// ---------------------------------------------------------------------------------------------- random histories

#[derive(Debug, Clone, Copy)]
struct Round {
    start: i64,
    end: i64,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
struct Link {
    kind: LinkKind,
    /// When it is one of the site's.
    valid: (i64, i64),
    /// What each vantage sent; the first is the site's own agent.
    vantages: Vec<Vec<Round>>,
}

#[derive(Debug, Clone)]
struct Site {
    tier: &'static str,
    branch: &'static str,
    /// Until when it was of another tier and branch, and of which.
    former: Option<(i64, &'static str, &'static str)>,
    valid_from: i64,
    valid_to: Option<i64>,
    equipped_from: Option<i64>,
    links: Vec<Link>,
}

#[derive(Debug, Clone)]
struct Province {
    sites: Vec<Site>,
    running: Vec<(i64, i64)>,
    planned: Vec<(i64, i64)>,
    /// When the second vantage of every link was itself cut off.
    cut_off: Vec<(i64, i64)>,
    required: Vec<LinkKind>,
    now: i64,
    hold: i64,
    from: i64,
    to: i64,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Up),
        2 => Just(Outcome::Down),
        1 => Just(Outcome::Degraded),
        1 => Just(Outcome::Fault)
    ]
}

fn round() -> impl Strategy<Value = Round> {
    // Mostly on a grid of five, as agents send them; some off it, as clocks drift.
    let grid = (0..T / 5, 1..4i64).prop_map(|(start, rounds)| (start * 5, start * 5 + rounds * 5));
    let off = (0..T, 1..30i64).prop_map(|(start, length)| (start, start + length));
    (prop_oneof![3 => grid, 1 => off], outcome()).prop_map(|((start, end), outcome)| Round {
        start,
        end,
        outcome,
    })
}

fn link() -> impl Strategy<Value = Link> {
    let kind = prop::sample::select(LinkKind::ALL.to_vec());
    let valid = prop_oneof![
        2 => Just((-1000, 1000)),
        1 => (-20..T, 0..T).prop_map(|(from, length)| (from, from + length)),
    ];
    (kind, valid, vec(vec(round(), 0..12), 1..4)).prop_map(|(kind, valid, vantages)| Link {
        kind,
        valid,
        vantages,
    })
}

fn site() -> impl Strategy<Value = Site> {
    let tier = || prop::sample::select(vec!["province", "commune", "hamlet"]);
    let branch = || prop::sample::select(vec!["party", "state"]);
    let now = (tier(), branch());
    let former = option::of((-30..T + 10, tier(), branch()));
    (now, former, -20..T / 2, option::of(0..T + 10), option::of(-20..T), vec(link(), 0..5)).prop_map(
        |((tier, branch), former, valid_from, valid_to, equipped_from, links)| Site {
            tier,
            branch,
            former,
            valid_from,
            valid_to,
            equipped_from,
            links,
        },
    )
}

fn periods() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((-10..T, 0..60i64).prop_map(|(start, length)| (start, start + length)), 0..4)
}

fn province() -> impl Strategy<Value = Province> {
    let required = subsequence(LinkKind::ALL.to_vec(), 0..=4);
    let times = (T / 2..T + 20, 0..15i64, -20..T, 0..T + 40i64);
    (vec(site(), 0..5), periods(), periods(), periods(), required, times).prop_map(
        |(sites, running, planned, cut_off, required, (now, hold, from, length))| Province {
            sites,
            running,
            planned,
            cut_off,
            required,
            now,
            hold,
            from,
            to: from + length,
        },
    )
}

// ---------------------------------------------------------------------------------------------- the oracle

/// What a vantage saw at an instant: the best of its rounds that cover it.
fn naive_evidence(rounds: &[Round], t: i64) -> Option<Outcome> {
    rounds.iter().filter(|r| r.start <= t && t < r.end).map(|r| r.outcome).max()
}

fn covers(periods: &[(i64, i64)], t: i64) -> bool {
    periods.iter().any(|&(start, end)| start <= t && t < end)
}

impl Province {
    /// The same, with the newest word held on until now.
    fn naive_word(&self, rounds: &[Round], t: i64) -> Option<Outcome> {
        let end = rounds.iter().map(|r| r.end).max()?;
        let held = end <= self.now && self.now - end < self.hold && end <= t && t <= self.now;
        naive_evidence(rounds, if held { end - 1 } else { t })
    }

    fn naive_nobody(&self, site: &Site, t: i64) -> Why {
        if site.naive_equipped().is_none_or(|from| t < from) {
            return Why::NotEquipped;
        }
        // A run that reaches now holds the instant now too.
        if covers(&self.running, t) || (t == self.now && covers(&self.running, t - 1)) {
            Why::Silent
        } else {
            Why::CollectorStopped
        }
    }

    fn naive_link(&self, site: &Site, link: &Link, t: i64) -> State {
        let own = self.naive_word(&link.vantages[0], t);
        // What the second vantage could not reach while it was itself cut off says nothing.
        let heeded = |&(vantage, word): &(usize, Outcome)| {
            vantage != 1 || word != Outcome::Down || !covers(&self.cut_off, t)
        };
        let words = link.vantages.iter().enumerate().skip(1);
        let words = words.filter_map(|(vantage, rounds)| Some((vantage, self.naive_word(rounds, t)?)));
        let others = words.filter(heeded).map(|(_, word)| word).max();
        let decisive = own.filter(|&outcome| outcome != Outcome::Fault);
        match decisive.or(own.max(others)) {
            Some(Outcome::Up) => State::Up,
            Some(Outcome::Degraded) => State::Degraded,
            Some(Outcome::Down) => State::Down,
            Some(Outcome::Fault) => State::Unknown(Why::Fault),
            None => State::Unknown(self.naive_nobody(site, t)),
        }
    }

    fn naive_site(&self, site: &Site, t: i64) -> State {
        let measured = site.links.iter().any(|link| self.required.contains(&link.kind));
        let mut kinds = Vec::new();
        for kind in &self.required {
            let links = site.links.iter().filter(|link| link.kind == *kind && link.naive_valid(t));
            let states: Vec<State> = links.map(|link| self.naive_link(site, link, t)).collect();
            kinds.push(if states.is_empty() {
                match self.naive_nobody(site, t) {
                    Why::NotEquipped => State::Unknown(Why::NotEquipped),
                    why if !measured => State::Unknown(why),
                    Why::CollectorStopped | Why::Silent | Why::NotYet | Why::Fault | Why::NotMeasured => {
                        State::Unknown(Why::NotMeasured)
                    }
                }
            } else if states.contains(&State::Up) {
                State::Up
            } else if states.contains(&State::Degraded) {
                State::Degraded
            } else {
                unknown_of(&states).map_or(State::Down, State::Unknown)
            });
        }
        if kinds.contains(&State::Down) {
            State::Down
        } else if let Some(why) = unknown_of(&kinds) {
            State::Unknown(why)
        } else if kinds.contains(&State::Degraded) {
            State::Degraded
        } else if kinds.contains(&State::Up) {
            State::Up
        } else {
            State::Unknown(Why::NotMeasured)
        }
    }

    fn naive_count(&self, site: &Site, t: i64) -> Counts {
        let equipped = site.naive_equipped().is_some_and(|from| from <= t);
        let state = if t > self.now { State::Unknown(Why::NotYet) } else { self.naive_site(site, t) };
        let covered = matches!(state, State::Up | State::Degraded);
        let not_covered = state == State::Down || (!covered && !equipped);
        Counts {
            registered: 1,
            equipped: i64::from(equipped),
            covered: i64::from(covered),
            not_covered: i64::from(not_covered),
            unknown: i64::from(!covered && !not_covered),
        }
    }

    /// The instants of the window in which the site is registered, up to now.
    fn instants(&self, site: &Site) -> impl Iterator<Item = i64> + use<> {
        let site = site.clone();
        (self.from..self.to.min(self.now)).filter(move |&t| site.naive_registered(t))
    }
}

impl Link {
    fn naive_valid(&self, t: i64) -> bool {
        self.valid.0 <= t && t < self.valid.1
    }
}

impl Site {
    /// The tier and branch that it had.
    fn naive_group(&self, t: i64) -> (&'static str, &'static str) {
        let now = (self.tier, self.branch);
        self.former.filter(|&(until, _, _)| t < until).map_or(now, |(_, tier, branch)| (tier, branch))
    }

    fn naive_registered(&self, t: i64) -> bool {
        self.valid_from <= t && self.valid_to.is_none_or(|to| t < to)
    }

    fn naive_equipped(&self) -> Option<i64> {
        let own = self.links.iter().flat_map(|link| &link.vantages[0]).map(|round| round.start);
        own.chain(self.equipped_from).min()
    }
}

fn unknown_of(states: &[State]) -> Option<Why> {
    let why = |state: &State| if let State::Unknown(why) = state { Some(*why) } else { None };
    states.iter().filter_map(why).min()
}

// ---------------------------------------------------------------------------------------------- the real thing

/// The evidence of every vantage as the ledger keeps it.
struct Painted {
    /// By site, link, vantage.
    spans: Vec<Vec<Vec<Spans>>>,
    running: Periods,
    planned: Periods,
    cut_off: Periods,
}

impl Painted {
    fn new(province: &Province) -> Self {
        let site = |site: &Site| site.links.iter().map(link).collect();
        fn link(link: &Link) -> Vec<Spans> {
            link.vantages.iter().map(|rounds| painted(rounds)).collect()
        }
        let set = |periods: &[(i64, i64)]| periods.iter().map(|&(a, b)| (ms(a), ms(b))).collect();
        Self {
            spans: province.sites.iter().map(site).collect(),
            running: set(&province.running),
            planned: set(&province.planned),
            cut_off: set(&province.cut_off),
        }
    }

    fn views<'a>(&'a self, province: &'a Province) -> Vec<SiteView<'a>> {
        let mut views = Vec::new();
        for (site, spans) in province.sites.iter().zip(&self.spans) {
            let links = site.links.iter().zip(spans).map(|(link, vantages)| LinkView {
                kind: link.kind,
                valid: Window::new(ms(link.valid.0), ms(link.valid.1)),
                own: vantages.first(),
                others: self.others(vantages),
                hold: Duration::ZERO,
            });
            views.push(SiteView {
                tier: site.tier,
                branch: site.branch,
                valid_from: ms(site.valid_from),
                valid_to: site.valid_to.map(ms),
                equipped_from: site.equipped_from.map(ms),
                links: links.collect(),
            });
        }
        views
    }

    fn others<'a>(&'a self, vantages: &'a [Spans]) -> Vec<Other<'a>> {
        let mut others: Vec<Other<'a>> = vantages[1..].iter().map(Into::into).collect();
        if let Some(second) = others.first_mut() {
            second.cut_off = &self.cut_off;
        }
        others
    }

    /// For coverage: one view for each era of a site.
    fn eras<'a>(&'a self, province: &'a Province) -> Vec<SiteView<'a>> {
        let mut eras = Vec::new();
        for (site, view) in province.sites.iter().zip(self.views(province)) {
            let Some((until, tier, branch)) = site.former else {
                eras.push(view);
                continue;
            };
            let (until, end) = (ms(until), view.valid_to.unwrap_or(UnixMillis::MAX));
            eras.push(SiteView { tier, branch, valid_to: Some(until.min(end)), ..view.clone() });
            eras.push(SiteView { valid_from: view.valid_from.max(until), ..view });
        }
        eras
    }

    fn basis<'a>(&'a self, province: &'a Province) -> Basis<'a> {
        let hold = Duration::from_millis(province.hold.unsigned_abs());
        Basis { now: ms(province.now), running: &self.running, hold, required: &province.required }
    }
}

fn ms(t: i64) -> UnixMillis {
    UnixMillis(t)
}

fn painted(rounds: &[Round]) -> Spans {
    let mut spans = Spans::new();
    for round in rounds {
        spans.paint(ms(round.start), ms(round.end), round.outcome);
    }
    spans
}

/// The timeline has no gap, no equal neighbours, and at every instant the oracle's state.
fn check_timeline(timeline: &Timeline, instants: &[i64], naive: impl Fn(i64) -> State) -> TestCaseResult {
    let mut derived = Vec::new();
    for interval in &timeline.intervals {
        prop_assert!(interval.start < interval.end);
        derived.extend((interval.start.0..interval.end.0).map(|t| (t, interval.state)));
    }
    for pair in timeline.intervals.windows(2) {
        prop_assert_eq!(pair[0].end, pair[1].start);
        prop_assert_ne!(pair[0].state, pair[1].state);
    }
    let expected: Vec<_> = instants.iter().map(|&t| (t, naive(t))).collect();
    prop_assert_eq!(derived, expected);
    Ok(())
}

/// The figures are what counting instants gives, to the last bit.
fn check_uptime(figures: &Uptime, states: &[(i64, State)], planned: &[(i64, i64)]) -> TestCaseResult {
    let (mut up, mut degraded, mut down, mut unknown, mut out) = (0, 0, 0, 0, 0);
    let mut outages: Vec<Outage> = Vec::new();
    let mut open = false;
    for &(t, state) in states {
        let is_planned = covers(planned, t);
        match state {
            _ if is_planned => out += 1,
            State::Up => up += 1,
            State::Degraded => degraded += 1,
            State::Down => down += 1,
            State::Unknown(_) => unknown += 1,
        }
        match state {
            State::Up | State::Degraded => open = false,
            State::Down if !is_planned => {
                if !open {
                    outages.push(Outage { start: ms(t), end: ms(t), down_ms: 0 });
                }
                open = true;
                if let Some(outage) = outages.last_mut() {
                    outage.end = ms(t + 1);
                    outage.down_ms += 1;
                }
            }
            State::Down | State::Unknown(_) => {}
        }
    }
    let d = figures.durations;
    prop_assert_eq!(
        (d.up_ms, d.degraded_ms, d.down_ms, d.unknown_ms, d.planned_ms),
        (up, degraded, down, unknown, out)
    );
    #[allow(clippy::cast_precision_loss)]
    let ratio = |part: i64, whole: i64| (whole > 0).then(|| part as f64 / whole as f64);
    let observed = up + degraded + down;
    prop_assert_eq!(figures.uptime, ratio(up + degraded, observed));
    prop_assert_eq!(figures.availability, ratio(up, observed));
    prop_assert_eq!(figures.observed_share, ratio(observed, observed + unknown));
    prop_assert_eq!(figures.low, ratio(up + degraded, observed + unknown));
    prop_assert_eq!(figures.high, ratio(up + degraded + unknown, observed + unknown));
    let count = i64::from(figures.outages);
    prop_assert_eq!(figures.outages as usize, outages.len());
    prop_assert_eq!(figures.mean_outage_ms, (count > 0).then(|| down / count));
    prop_assert_eq!(figures.mean_between_ms, (count > 0).then(|| (up + degraded) / count));
    let longest = outages.iter().rev().max_by_key(|outage| outage.down_ms);
    prop_assert_eq!(figures.longest_outage.as_ref(), longest);
    prop_assert_eq!(figures.last.map(|last| last.state), states.last().map(|last| last.1));
    let since = states.iter().rev().take_while(|s| Some(s.1) == states.last().map(|last| last.1)).last();
    prop_assert_eq!(figures.last.map(|last| last.start.0), since.map(|s| s.0));
    Ok(())
}

/// One group's counts instant by instant against its row.
fn check_row(row: &Row, instants: &[Counts]) -> TestCaseResult {
    let mut sum = Counts::default();
    let (mut low, mut high, mut equipped, mut defined) = (0.0, 0.0, 0.0, 0.0);
    for c in instants {
        sum.registered += c.registered;
        sum.equipped += c.equipped;
        sum.covered += c.covered;
        sum.not_covered += c.not_covered;
        sum.unknown += c.unknown;
        #[allow(clippy::cast_precision_loss)]
        if c.registered > 0 {
            low += c.covered as f64 / c.registered as f64;
            high += (c.covered + c.unknown) as f64 / c.registered as f64;
            equipped += c.equipped as f64 / c.registered as f64;
            defined += 1.0;
        }
    }
    prop_assert_eq!(row.counts, sum);
    for (figure, naive) in [(row.low, low), (row.high, high), (row.equipped_share, equipped)] {
        match figure {
            None => prop_assert_eq!(defined, 0.0),
            Some(figure) => prop_assert!((figure - naive / defined).abs() < 1e-9, "{} {}", figure, naive),
        }
    }
    Ok(())
}

fn check_coverage(coverage: &Coverage, province: &Province, instants: &[i64]) -> TestCaseResult {
    type Group = (Option<&'static str>, Option<&'static str>);
    let mut groups: BTreeMap<Group, Vec<Counts>> = BTreeMap::new();
    for tier in ["province", "commune"] {
        groups.insert((Some(tier), None), vec![Counts::default(); instants.len()]);
    }
    groups.insert((None, None), vec![Counts::default(); instants.len()]);
    let of_site = [-1000, 1000].map(|t| province.sites.iter().map(move |site| site.naive_group(t)));
    for (tier, branch) in of_site.into_iter().flatten() {
        for group in [(Some(tier), Some(branch)), (Some(tier), None)] {
            groups.entry(group).or_insert_with(|| vec![Counts::default(); instants.len()]);
        }
    }
    for site in &province.sites {
        for (i, &t) in instants.iter().enumerate().filter(|(_, t)| site.naive_registered(**t)) {
            let one = province.naive_count(site, t);
            let (tier, branch) = site.naive_group(t);
            for group in [(Some(tier), Some(branch)), (Some(tier), None), (None, None)] {
                if let Some(sum) = groups.get_mut(&group).and_then(|counts| counts.get_mut(i)) {
                    sum.registered += one.registered;
                    sum.equipped += one.equipped;
                    sum.covered += one.covered;
                    sum.not_covered += one.not_covered;
                    sum.unknown += one.unknown;
                }
            }
        }
    }
    let rows: Vec<&Row> = coverage.cells.iter().chain(&coverage.tiers).chain([&coverage.total]).collect();
    for row in &rows {
        let naive = groups.iter().find(|(g, _)| g.0 == row.tier.as_deref() && g.1 == row.branch.as_deref());
        let Some((_, counts)) = naive else {
            return Err(TestCaseError::fail(format!("a row without sites: {row:?}")));
        };
        check_row(row, counts)?;
    }
    for (group, counts) in groups {
        let shown = rows.iter().any(|r| r.tier.as_deref() == group.0 && r.branch.as_deref() == group.1);
        prop_assert!(shown || (group.1.is_some() && counts.iter().all(|c| c.registered == 0)), "{group:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn spans_hold_at_every_instant_the_best_of_the_rounds_that_cover_it(rounds in vec(round(), 0..40)) {
        let spans = painted(&rounds);
        prop_assert_eq!(Spans::from_sorted(spans.as_slice().to_vec()), Ok(spans.clone()));
        for t in -2..T + 32 {
            prop_assert_eq!(spans.at(ms(t)), naive_evidence(&rounds, t));
        }
    }

    #[test]
    fn any_order_repetition_and_grouping_of_the_rounds_gives_the_identical_ledger(
        rounds in vec(round(), 0..40),
        order in vec(any::<Index>(), 0..80),
        cut in any::<Index>(),
    ) {
        let in_order = painted(&rounds);
        // Some of them once more, anywhere, and all of them at last in reverse.
        let mut shuffled: Vec<Round> = if rounds.is_empty() {
            Vec::new()
        } else {
            order.iter().map(|index| *index.get(&rounds)).collect()
        };
        shuffled.extend(rounds.iter().rev());
        prop_assert_eq!(&painted(&shuffled), &in_order);
        let (left, right) = rounds.split_at(cut.index(rounds.len() + 1));
        let mut merged = painted(right);
        merged.merge(&painted(left));
        prop_assert_eq!(&merged, &in_order);
    }

    #[test]
    fn paint_reports_exactly_the_hull_of_the_instants_that_changed(
        rounds in vec(round(), 0..20),
        next in round(),
    ) {
        let mut spans = painted(&rounds);
        let changed = spans.paint(ms(next.start), ms(next.end), next.outcome);
        let differs = |t: &i64| naive_evidence(&rounds, *t) < naive_evidence(&[rounds.clone(), vec![next]].concat(), *t);
        let instants: Vec<i64> = (-2..T + 32).filter(differs).collect();
        let hull = instants.first().zip(instants.last());
        prop_assert_eq!(changed, hull.map(|(&from, &to)| Changed { from: ms(from), to: ms(to + 1) }));
    }

    #[test]
    fn sets_of_instants_are_the_oracles(a in periods(), b in periods(), by in 0..20i64) {
        let set = |periods: &[(i64, i64)]| -> Periods { periods.iter().map(|&(a, b)| (ms(a), ms(b))).collect() };
        let mut removed = set(&a);
        b.iter().for_each(|&(start, end)| removed.remove(ms(start), ms(end)));
        let both = set(&a).intersect(&set(&b));
        let widened = set(&a).widened(Duration::from_millis(by.unsigned_abs()));
        for t in -40..T + 90 {
            prop_assert_eq!(removed.contains(ms(t)), covers(&a, t) && !covers(&b, t), "removed at {}", t);
            prop_assert_eq!(both.contains(ms(t)), covers(&a, t) && covers(&b, t), "both at {}", t);
            let near = a.iter().any(|&(start, end)| start < end && start - by <= t && t < end + by);
            prop_assert_eq!(widened.contains(ms(t)), near, "widened at {}", t);
            prop_assert_eq!(set(&a).overlaps(ms(t), ms(t + by)), (t..t + by).any(|i| covers(&a, i)), "overlaps at {}", t);
        }
        for set in [removed, both, widened] {
            prop_assert!(set.as_slice().windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", set);
        }
    }

    #[test]
    fn windows_of_spans_are_what_lies_inside(rounds in vec(round(), 0..20), from in -5..T, length in -5..50i64) {
        let spans = painted(&rounds);
        let mut seen = vec![None; 200];
        for span in spans.window(ms(from), ms(from + length)) {
            for t in span.start.0..span.end.0 {
                seen[usize::try_from(t + 5).unwrap()] = Some(span.outcome);
            }
        }
        for (t, seen) in (-5..).zip(seen) {
            let inside = from <= t && t < from + length;
            prop_assert_eq!(seen, naive_evidence(&rounds, t).filter(|_| inside));
        }
    }

    #[test]
    fn link_timelines_and_their_figures_are_the_oracles(province in province()) {
        let painted = Painted::new(&province);
        let basis = painted.basis(&province);
        let window = Window::new(ms(province.from), ms(province.to));
        for (site, view) in province.sites.iter().zip(painted.views(&province)) {
            for (link, link_view) in site.links.iter().zip(view.links.iter()) {
                let instants: Vec<i64> = province.instants(site).filter(|&t| link.naive_valid(t)).collect();
                let naive = |t| province.naive_link(site, link, t);
                let timeline = Timeline::of_link(&view, link_view, &basis, window);
                check_timeline(&timeline, &instants, naive)?;
                let states: Vec<_> = instants.iter().map(|&t| (t, naive(t))).collect();
                check_uptime(&Uptime::of(&timeline, &painted.planned), &states, &province.planned)?;
                for t in -5..=province.now {
                    let not_its = State::Unknown(Why::NotMeasured);
                    let expected = if link.naive_valid(t) { naive(t) } else { not_its };
                    prop_assert_eq!(view.link_state_at(link_view, &basis, ms(t)), expected, "at {}", t);
                }
            }
        }
    }

    #[test]
    fn site_timelines_and_their_figures_are_the_oracles(province in province()) {
        let painted = Painted::new(&province);
        let basis = painted.basis(&province);
        let window = Window::new(ms(province.from), ms(province.to));
        for (site, view) in province.sites.iter().zip(painted.views(&province)) {
            let instants: Vec<i64> = province.instants(site).collect();
            let naive = |t| province.naive_site(site, t);
            let timeline = Timeline::of_site(&view, &basis, window);
            check_timeline(&timeline, &instants, naive)?;
            let states: Vec<_> = instants.iter().map(|&t| (t, naive(t))).collect();
            check_uptime(&Uptime::of(&timeline, &painted.planned), &states, &province.planned)?;
            for t in -5..=province.now {
                prop_assert_eq!(view.state_at(&basis, ms(t)), naive(t), "at {}", t);
            }
        }
    }

    #[test]
    fn coverage_at_an_instant_and_over_a_window_is_the_oracles(province in province()) {
        let painted = Painted::new(&province);
        let basis = painted.basis(&province);
        let views = painted.eras(&province);
        let plan = [
            TierTarget { tier: "province", target: Some(0.7) },
            TierTarget { tier: "commune", target: Some(0.5) },
        ];
        for t in [province.from, province.to, province.now] {
            check_coverage(&Coverage::at(&views, &plan, &basis, ms(t)), &province, &[t])?;
        }
        let window = Window::new(ms(province.from), ms(province.to));
        let instants: Vec<i64> = (province.from..province.to.min(province.now)).collect();
        check_coverage(&Coverage::over(&views, &plan, &basis, window), &province, &instants)?;
        // The same day by day, in one pass: each as if it had been asked for alone.
        let midnights: Vec<_> = (province.from..=province.to).step_by(17).map(ms).collect();
        let days = midnights.windows(2).map(|day| Window::new(day[0], day[1]));
        let alone: Vec<_> = days
            .filter(|day| day.start < ms(province.now))
            .map(|day| Coverage::over(&views, &plan, &basis, day))
            .collect();
        let by_day = Coverage::by_day(&views, &plan, &basis, &midnights);
        prop_assert_eq!(by_day.len(), alone.len());
        for (day, alone) in by_day.iter().zip(&alone) {
            let instants: Vec<i64> = (day.window.start.0..day.window.end.0).collect();
            prop_assert_eq!(day.window, alone.window);
            check_coverage(day, &province, &instants)?;
        }
    }

    #[test]
    fn a_stop_of_the_collector_moves_no_figure(province in province()) {
        let always = Province { running: vec![(-1000, 1000)], ..province.clone() };
        let (stopped, never) = (Painted::new(&province), Painted::new(&always));
        let window = Window::new(ms(province.from), ms(province.to));
        let figures = |painted: &Painted, province: &Province| {
            let views = painted.views(province);
            let figures = views.iter().map(|site| {
                let timeline = Timeline::of_site(site, &painted.basis(province), window);
                let figures = Uptime::of(&timeline, &painted.planned);
                Uptime { last: None, ..figures }
            });
            let coverage = Coverage::over(&views, &[], &painted.basis(province), window);
            (figures.collect::<Vec<_>>(), coverage)
        };
        prop_assert_eq!(figures(&stopped, &province), figures(&never, &always));
    }
}
