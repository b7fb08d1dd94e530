//! Sets of instants and figures under terms, against an oracle that asks every instant by itself.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::collection::vec;
use proptest::prelude::*;
use wan_collector::ledger::periods::{Period, Periods};
use wan_collector::ledger::timeline::{Interval, State, Why, Window};
use wan_collector::report::uptime::{Policy, Terms, Uptime};
use wan_wire::UnixMillis;

/// Instants that sets may hold; windows reach beyond.
const T: i64 = 60;

fn ms(t: i64) -> UnixMillis {
    UnixMillis(t)
}

/// Periods as they come: overlapping, touching, empty and reversed ones among them.
fn pieces() -> impl Strategy<Value = Vec<(i64, i64)>> {
    vec((0..T, -2..20i64).prop_map(|(start, length)| (start, start + length)), 0..8)
}

fn set(pieces: &[(i64, i64)]) -> Periods {
    pieces.iter().map(|&(start, end)| (ms(start), ms(end))).collect()
}

fn holds(pieces: &[(i64, i64)], t: i64) -> bool {
    pieces.iter().any(|&(start, end)| start <= t && t < end)
}

fn is_canonical(set: &Periods) -> bool {
    let periods = set.as_slice();
    periods.iter().all(|period| period.start < period.end)
        && periods.windows(2).all(|pair| pair[0].end < pair[1].start)
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Up), Just(State::Degraded), Just(State::Down), Just(State::Unknown(Why::Silent))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn operations_on_sets_are_those_on_each_instant(a in pieces(), b in pieces(), from in -5..T, length in -3..T) {
        let (left, right) = (set(&a), set(&b));
        let window = Window::new(ms(from), ms(from + length));
        let mut added = Periods::new();
        for &(start, end) in &a {
            added.add(ms(start), ms(end));
        }
        prop_assert_eq!(&added, &left, "one by one or all at once");
        let inside = |t: i64| from <= t && t < from + length;
        type Oracle<'o> = &'o dyn Fn(i64) -> bool;
        let results: [(Periods, Oracle<'_>); 6] = [
            (left.union(&right), &|t| holds(&a, t) || holds(&b, t)),
            (left.intersect(&right), &|t| holds(&a, t) && holds(&b, t)),
            (left.subtract(&right), &|t| holds(&a, t) && !holds(&b, t)),
            (left.within(window), &|t| holds(&a, t) && inside(t)),
            (left.complement(window), &|t| !holds(&a, t) && inside(t)),
            (left.clone(), &|t| holds(&a, t)),
        ];
        for (result, oracle) in &results {
            prop_assert!(is_canonical(result), "{:?}", result);
            let instants = -10..2 * T;
            for t in instants.clone() {
                prop_assert_eq!(result.contains(ms(t)), oracle(t), "at {} of {:?}", t, result);
                let holding = |period: Period| period.start <= ms(t) && ms(t) < period.end;
                prop_assert_eq!(result.at(ms(t)).map(holding), oracle(t).then_some(true));
            }
            prop_assert_eq!(result.total_ms(), i64::try_from(instants.filter(|&t| oracle(t)).count()).unwrap());
        }
        prop_assert_eq!(left.union(&right), right.union(&left));
        prop_assert_eq!(left.intersect(&right), right.intersect(&left));
    }

    #[test]
    fn every_instant_is_charged_as_the_terms_say(
        steps in vec((state(), 1..20i64), 0..8),
        planned in pieces(),
        hours in proptest::option::of(pieces()),
        policy in 0..3usize,
    ) {
        let policy = Policy::ALL[policy];
        let mut sweep = Vec::new();
        let mut end = 0;
        for &(state, length) in &steps {
            sweep.push(Interval { start: ms(end), end: ms(end + length), state });
            end += length;
        }
        let (planned_set, hours_set) = (set(&planned), hours.as_deref().map(set));
        let terms = Terms { planned: &planned_set, policy, hours: hours_set.as_ref() };
        let figures = Uptime::over(Window::new(ms(0), ms(end)), sweep.iter().copied(), terms);

        let (mut up, mut degraded, mut down, mut unknown, mut out, mut outside) = (0, 0, 0, 0, 0, 0);
        let (mut outages, mut open) = (0, false);
        for t in 0..end {
            let seen = sweep.iter().find(|i| i.start <= ms(t) && ms(t) < i.end).unwrap().state;
            let is_planned = holds(&planned, t);
            let counts = hours.as_ref().is_none_or(|hours| holds(hours, t));
            let state = if counts && is_planned && policy == Policy::CountAsUp { State::Up } else { seen };
            let excluded = is_planned && policy == Policy::Exclude;
            match state {
                _ if !counts => outside += 1,
                _ if excluded => out += 1,
                State::Up => up += 1,
                State::Degraded => degraded += 1,
                State::Down => down += 1,
                State::Unknown(_) => unknown += 1,
            }
            match state {
                State::Up | State::Degraded => open = false,
                State::Down if counts && !excluded => {
                    outages += u32::from(!open);
                    open = true;
                }
                State::Down | State::Unknown(_) => {}
            }
        }
        let d = figures.durations;
        prop_assert_eq!(
            (d.up_ms, d.degraded_ms, d.down_ms, d.unknown_ms, d.planned_ms, d.outside_ms, figures.outages),
            (up, degraded, down, unknown, out, outside, outages)
        );
        prop_assert_eq!(d.counted_ms() + d.planned_ms + d.outside_ms, end, "all adds up to the window");
    }
}
