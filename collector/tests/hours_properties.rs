//! Sets of instants and figures under terms, against an oracle that asks every instant by itself.

#![allow(clippy::unwrap_used, reason = "a test")]

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use wan_collector::calendar::{Calendar, Holiday, office_hours};
use wan_collector::ledger::periods::{Period, Periods};
use wan_collector::ledger::timeline::{Interval, State, Why, Window};
use wan_collector::planned::{Planned, PlannedId, PlannedWindow, Removal, Scope, SiteFacts, Work};
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
        let singles = a.iter().map(|piece| set(&[*piece]));
        prop_assert_eq!(&Periods::union_of(singles), &left, "piece by piece");
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

// ---------------------------------------------------------------------------------------------- planned windows

/// A window in the oracle's own terms: minutes, days and lists of weekdays.
#[derive(Debug, Clone)]
struct Naive {
    when: NaiveWhen,
    valid: (Option<i8>, Option<i8>),
    /// Minute of the question at which it was ended.
    ended: Option<i64>,
    void: bool,
}

#[derive(Debug, Clone)]
enum NaiveWhen {
    Once(i64, i64),
    Weekly(Vec<usize>, i64, i64),
    DayOfMonth(i8, i64, i64),
    LastDay(i64, i64),
    Nth(i8, usize, i64, i64),
    LastOf(usize, i64, i64),
    Holidays,
    OutsideService,
}

const DAY: i64 = 1440;
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn naive() -> impl Strategy<Value = Naive> {
    let from = || (0..48i64).prop_map(|half| half * 30);
    let hours = || (from(), 1..48i64).prop_map(|(from, length)| (from, (from + length * 30 - 1) % DAY + 1));
    // From and to are never equal, but for a whole day.
    let hours = move || hours().prop_filter("not empty", |(from, to)| from != to && (*from, *to) != (0, 0));
    let weekday = 0..7usize;
    let when = prop_oneof![
        (-3000..50_000i64, 1..3000i64).prop_map(|(from, length)| NaiveWhen::Once(from, from + length)),
        (proptest::sample::subsequence((0..7).collect::<Vec<usize>>(), 1..7), hours())
            .prop_map(|(days, (from, to))| NaiveWhen::Weekly(days, from, to)),
        (1..=31i8, hours()).prop_map(|(day, (from, to))| NaiveWhen::DayOfMonth(day, from, to)),
        hours().prop_map(|(from, to)| NaiveWhen::LastDay(from, to)),
        (1..=4i8, weekday.clone(), hours())
            .prop_map(|(nth, day, (from, to))| NaiveWhen::Nth(nth, day, from, to)),
        (weekday, hours()).prop_map(|(day, (from, to))| NaiveWhen::LastOf(day, from, to)),
        Just(NaiveWhen::Holidays),
        Just(NaiveWhen::OutsideService),
    ];
    let day = || proptest::option::of(1..28i8);
    let ended = proptest::option::of(0..50_000i64);
    (when, (day(), day()), ended, prop::bool::weighted(0.1)).prop_map(|(when, valid, ended, void)| Naive {
        when,
        valid,
        ended,
        void,
    })
}

impl Naive {
    fn text(&self, begin: UnixMillis) -> String {
        let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours = |from: i64, to: i64| format!("{}-{}", clock(from), clock(to));
        match &self.when {
            NaiveWhen::Once(from, to) => {
                format!("once {}..{}", begin.plus_millis(from * 60_000).0, begin.plus_millis(to * 60_000).0)
            }
            NaiveWhen::Weekly(days, from, to) => {
                let days: Vec<&str> = days.iter().map(|day| NAMES[*day]).collect();
                format!("weekly {} {}", days.join(","), hours(*from, *to))
            }
            NaiveWhen::DayOfMonth(day, from, to) => format!("monthly {day} {}", hours(*from, *to)),
            NaiveWhen::LastDay(from, to) => format!("monthly last {}", hours(*from, *to)),
            NaiveWhen::Nth(nth, day, from, to) => {
                format!("monthly {nth}-{} {}", NAMES[*day], hours(*from, *to))
            }
            NaiveWhen::LastOf(day, from, to) => {
                format!("monthly last-{} {}", NAMES[*day], hours(*from, *to))
            }
            NaiveWhen::Holidays => "calendar holidays".to_owned(),
            NaiveWhen::OutsideService => "calendar outside-service-hours".to_owned(),
        }
    }

    /// Whether it covers a minute of the question, which begins with `first` and has no change of the clocks.
    fn covers(&self, first: Date, minute: i64) -> bool {
        if self.void || self.ended.is_some_and(|ended| minute >= ended) {
            return false;
        }
        let date = |minute: i64| first.checked_add(minute.div_euclid(DAY).days()).unwrap();
        let today = date(minute);
        let is_valid = |day: Date| {
            self.valid.0.is_none_or(|from| day >= november(from))
                && self.valid.1.is_none_or(|to| day < november(to))
        };
        let at = minute.rem_euclid(DAY);
        let recurs = |from: i64, to: i64, is: &dyn Fn(Date) -> bool| {
            let began = |day: Date, at: i64| {
                let end = if to > from { to } else { to + DAY };
                is_valid(day) && is(day) && from <= at && at < end
            };
            began(today, at) || began(today.yesterday().unwrap(), at + DAY)
        };
        let weekday = |day: Date| usize::try_from(day.weekday().to_monday_zero_offset()).unwrap();
        let last = |day: Date| day.tomorrow().unwrap().month() != day.month();
        let holiday = today == november(12);
        match &self.when {
            NaiveWhen::Once(from, to) => *from <= minute && minute < *to,
            NaiveWhen::Weekly(days, from, to) => recurs(*from, *to, &|day| days.contains(&weekday(day))),
            NaiveWhen::DayOfMonth(number, from, to) => recurs(*from, *to, &|day| day.day() == *number),
            NaiveWhen::LastDay(from, to) => recurs(*from, *to, &last),
            NaiveWhen::Nth(nth, wanted, from, to) => recurs(*from, *to, &|day| {
                let before = (1..=day.day()).filter(|number| {
                    weekday(Date::new(day.year(), day.month(), *number).unwrap()) == *wanted
                });
                weekday(day) == *wanted && before.count() == usize::try_from(*nth).unwrap()
            }),
            NaiveWhen::LastOf(wanted, from, to) => recurs(*from, *to, &|day| {
                let week_later = day.checked_add(7.days()).unwrap();
                weekday(day) == *wanted && week_later.month() != day.month()
            }),
            NaiveWhen::Holidays => is_valid(today) && holiday,
            NaiveWhen::OutsideService => {
                let open =
                    weekday(today) < 5 && !holiday && ((450..690).contains(&at) || (810..1020).contains(&at));
                is_valid(today) && !open
            }
        }
    }
}

fn november(day: i8) -> Date {
    Date::new(2026, 11, day).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn planned_time_is_that_of_each_half_hour_asked_of_each_window(
        windows in vec(naive(), 1..4),
        (start, length) in (0..30 * 48i64, 1..8 * 48i64),
    ) {
        let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let begin = november(1).to_zoned(zone.clone()).unwrap().timestamp().as_millisecond();
        let begin = UnixMillis(begin);
        let at = |minute: i64| begin.plus_millis(minute * 60_000);
        let holiday = Holiday { from: november(12), to: november(12), name: "x".to_owned() };
        let calendar = Calendar::new(office_hours(), vec![holiday], std::collections::BTreeMap::new());
        let planned = windows.iter().zip(1..).map(|(window, id)| {
            let removal = |at, void| Removal { at, by: "x".to_owned(), void };
            let ended = window.ended.map(|ended| removal(at(ended), window.void));
            PlannedWindow {
                id: PlannedId(id),
                work: Work {
                    scope: Scope::All,
                    when: window.text(begin).parse().unwrap(),
                    valid_from: window.valid.0.map(november).filter(|_| !matches!(window.when, NaiveWhen::Once(..))),
                    valid_to: window.valid.1.map(november).filter(|_| !matches!(window.when, NaiveWhen::Once(..))),
                    reason: "x".to_owned(),
                    added: begin,
                    by: "x".to_owned(),
                },
                removed: ended.or(window.void.then(|| removal(begin, true))),
            }
        });
        let planned = Planned::new(planned.collect());
        let question = Window::new(at(start * 30), at((start + length) * 30));
        let site = "a".parse().unwrap();
        let facts = SiteFacts { time: question, path: vec![&site], tier: "commune", district: None };
        let time = planned.over(question, &zone, &calendar).for_site(&[facts]);
        prop_assert!(is_canonical(&time));
        for half in start - 2..start + length + 2 {
            let inside = (start..start + length).contains(&half);
            let minute = half * 30;
            let expected = windows.iter().any(|window| window.covers(november(1), minute));
            prop_assert_eq!(time.contains(at(minute)), inside && expected, "minute {}", minute);
            let covering = planned.covering(at(minute), &zone, &calendar, |_| true);
            let covering: Vec<i64> = covering.iter().map(|(window, _)| window.id.0).collect();
            let each = windows.iter().zip(1..).filter(|(window, _)| window.covers(november(1), minute));
            prop_assert_eq!(covering, each.map(|(_, id)| id).collect::<Vec<i64>>(), "minute {}", minute);
        }
    }
}
