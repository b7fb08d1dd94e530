use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The state of one position, as plainly as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Unread,
    Sent,
    Done,
    Lost,
}

/// A store, its coverage, and what is true of each position. Positions begin at 1.
struct Model {
    coverage: Coverage,
    places: BTreeMap<u64, Place>,
    flying: Vec<(u64, u64)>,
    /// Every position that was ever confirmed.
    confirmed: std::collections::BTreeSet<u64>,
    end: u64,
    now: i64,
    saved: u64,
    order: Order,
    away: Option<Seq>,
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Pass(i64),
    Live(u64),
    Backlog(u64),
    Settle(usize),
    GiveUp(u64),
    Save,
    Fail(u64),
    Wait,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..20_u64).prop_map(Step::Append),
        4 => (1..3000_i64).prop_map(Step::Pass),
        4 => (1..30_u64).prop_map(Step::Live),
        4 => (1..30_u64).prop_map(Step::Backlog),
        6 => any::<usize>().prop_map(Step::Settle),
        1 => (0..40_u64).prop_map(Step::GiveUp),
        2 => Just(Step::Save),
        2 => (0..30_u64).prop_map(Step::Fail),
        2 => Just(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

impl Model {
    fn new(order: Order) -> Self {
        Self {
            coverage: Coverage::new(order, Seq(1), Seq(1)),
            places: BTreeMap::new(),
            flying: Vec::new(),
            confirmed: std::collections::BTreeSet::new(),
            end: 1,
            now: 0,
            saved: 1,
            order,
            away: None,
        }
    }

    fn read(&mut self, stream: Stream, range: Range<Seq>, most: u64) {
        let end = Seq(range.end.0.min(range.start.0 + most));
        for at in range.start.0..end.0 {
            assert_eq!(self.places[&at], Place::Unread, "{at} is read twice, or after it was given up");
            self.places.insert(at, Place::Sent);
        }
        self.flying.push((range.start.0, end.0));
        self.coverage.began(stream, range.start, end, UnixMillis(self.now));
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append(count) => {
                for at in self.end..self.end + count {
                    self.places.insert(at, Place::Unread);
                }
                self.end += count;
            }
            Step::Pass(millis) => {
                for _ in 0..millis / 100 {
                    self.now += 100;
                    self.coverage.note(UnixMillis(self.now), Seq(self.end));
                }
                self.now += millis % 100;
            }
            Step::Live(most) => {
                if let Some(range) = self.coverage.live(UnixMillis(self.now), Seq(self.end), self.away) {
                    self.read(Stream::Live, range, most);
                }
            }
            Step::Backlog(most) => {
                if let Some(range) = self.coverage.backlog() {
                    self.read(Stream::Backlog, range, most);
                }
            }
            Step::Settle(which) => {
                if !self.flying.is_empty() {
                    let (from, end) = self.flying.swap_remove(which % self.flying.len());
                    for at in from..end {
                        self.places.insert(at, Place::Done);
                        self.confirmed.insert(at);
                    }
                    self.coverage.settled(Seq(from));
                }
            }
            Step::GiveUp(back) => {
                let before = self.end.saturating_sub(back).max(1);
                let lost: Vec<u64> = self
                    .places
                    .range(..before)
                    .filter(|(_, place)| **place == Place::Unread)
                    .map(|(at, _)| *at)
                    .collect();
                let given_up = self.coverage.give_up(Seq(before));
                assert_eq!(given_up.as_ref().map_or(0, |g| g.requests), lost.len() as u64);
                assert_eq!(given_up.map(|g| g.range.start.0), lost.first().copied());
                for at in lost {
                    self.places.insert(at, Place::Lost);
                }
            }
            // Whenever it began: also before anything that the store lacks.
            Step::Fail(back) => self.away = self.away.max(Some(Seq(self.end.saturating_sub(back)))),
            Step::Wait => self.coverage.leave_past(UnixMillis(self.now), Seq(self.end), self.away),
            Step::Save => self.saved = self.coverage.cursor().0,
            Step::Crash => {
                for (at, place) in &mut self.places {
                    if *at >= self.saved {
                        *place = Place::Unread;
                    }
                }
                self.flying.clear();
                self.away = None;
                self.coverage = Coverage::new(self.order, Seq(self.saved), Seq(self.end));
            }
        }
    }

    fn check(&self) {
        let open = |place: &Place| matches!(place, Place::Unread | Place::Sent);
        let first = self.places.iter().find(|(_, place)| open(place)).map_or(self.end, |(at, _)| *at);
        assert_eq!(self.coverage.cursor().0, first, "the cursor is the first that is not done with");
        let missing = self.places.values().filter(|place| open(place)).count() as u64;
        assert_eq!(self.coverage.missing(Seq(self.end)), missing);
        assert!(self.coverage.cursor().0 >= self.saved);
        assert!(missing > 0 || self.coverage.oldest(Seq(self.end)).is_none(), "nothing waits");
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            if self.coverage.cursor().0 == self.end {
                return;
            }
            self.step(&Step::Live(7));
            self.step(&Step::Backlog(7));
            self.step(&Step::Settle(0));
            self.step(&Step::Settle(0));
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_whatever_finishes_first_and_whenever_it_is_killed(
        in_order in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new(if in_order { Order::InOrder } else { Order::LiveFirst });
        let mut lost_for_good = std::collections::BTreeSet::new();
        for step in &steps {
            model.step(step);
            model.check();
            if matches!(step, Step::GiveUp(_)) {
                lost_for_good.extend(model.places.iter().filter(|(_, p)| **p == Place::Lost).map(|(at, _)| *at));
            }
        }
        model.drain();
        model.check();
        prop_assert_eq!(model.coverage.cursor().0, model.end);
        for at in 1..model.end {
            prop_assert!(model.confirmed.contains(&at) || lost_for_good.contains(&at), "{} never went", at);
        }
    }

    #[test]
    fn the_live_stream_is_never_late_but_by_five_seconds(pauses in prop::collection::vec(100..15_000_i64, 1..40)) {
        let mut coverage = Coverage::new(Order::LiveFirst, Seq(1), Seq(1));
        let (mut now, mut end) = (0, 1);
        // When each position came.
        let mut came = BTreeMap::new();
        for pause in pauses {
            for _ in 0..pause / 100 {
                now += 100;
                came.insert(end, now);
                end += 1;
                coverage.note(UnixMillis(now), Seq(end));
            }
            let range = coverage.live(UnixMillis(now), Seq(end), None).unwrap();
            prop_assert!(now - came[&range.start.0] <= 5200, "{} ms", now - came[&range.start.0]);
            coverage.began(Stream::Live, range.start, range.end, UnixMillis(now));
        }
    }
}

fn noted(coverage: &mut Coverage, from: i64, to: i64, end: u64) {
    for now in (from..=to).step_by(100) {
        coverage.note(UnixMillis(now), Seq(end));
    }
}

#[test]
fn after_an_outage_the_newest_goes_first_and_the_hole_is_filled_beside_it() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(10), Seq(10));
    noted(&mut coverage, 0, 0, 12);
    assert_eq!(coverage.live(UnixMillis(0), Seq(12), None), Some(Seq(10)..Seq(12)));
    coverage.began(Stream::Live, Seq(10), Seq(12), UnixMillis(0));
    // Nothing is confirmed for an hour, while more comes.
    noted(&mut coverage, 100, 3_600_000, 1000);
    noted(&mut coverage, 3_600_100, 3_600_200, 1010);
    assert_eq!(coverage.oldest_live(Seq(1010)), Some(UnixMillis(0)));
    coverage.settled(Seq(10));
    let live = coverage.live(UnixMillis(3_600_200), Seq(1010), None).unwrap();
    assert_eq!(live, Seq(1000)..Seq(1010), "what came in the last two seconds");
    assert_eq!(coverage.backlog(), Some(Seq(12)..Seq(1000)));
    assert_eq!(coverage.cursor(), Seq(12));
    coverage.began(Stream::Live, Seq(1000), Seq(1010), UnixMillis(3_600_200));
    coverage.settled(Seq(1000));
    assert_eq!(coverage.cursor(), Seq(12), "what is newer moves no cursor");
    coverage.began(Stream::Backlog, Seq(12), Seq(1000), UnixMillis(100));
    assert_eq!(coverage.oldest(Seq(1010)), Some(UnixMillis(100)));
    coverage.settled(Seq(12));
    assert_eq!((coverage.cursor(), coverage.missing(Seq(1010))), (Seq(1010), 0));
    assert_eq!(coverage.oldest(Seq(1010)), None);
}

#[test]
fn in_order_nothing_is_left_behind() {
    let mut coverage = Coverage::new(Order::InOrder, Seq(1), Seq(500));
    noted(&mut coverage, 0, 10_000, 500);
    assert_eq!(coverage.backlog(), None);
    assert_eq!(coverage.live(UnixMillis(10_000), Seq(500), None), Some(Seq(1)..Seq(500)));
}

#[test]
fn a_start_fills_what_was_missed_beside_the_present() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(5), Seq(9));
    assert_eq!(coverage.backlog(), Some(Seq(5)..Seq(9)));
    assert_eq!(coverage.live(UnixMillis(0), Seq(9), None), None);
    assert_eq!(coverage.live(UnixMillis(0), Seq(11), None), Some(Seq(9)..Seq(11)));
    coverage.know(Seq(6), UnixMillis(-7000));
    assert_eq!(coverage.oldest(Seq(9)), Some(UnixMillis(-7000)));
}

#[test]
fn what_is_too_old_is_known_to_within_ten_seconds_and_given_up_with_its_span() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(1), Seq(1));
    for second in 0..100 {
        coverage.note(UnixMillis(second * 1000), Seq(1 + second.cast_unsigned()));
    }
    assert_eq!(coverage.older_than(UnixMillis(0)), None);
    let end = coverage.older_than(UnixMillis(55_000)).unwrap();
    assert_eq!(end, Seq(51));
    let _ = coverage.live(UnixMillis(99_000), Seq(100), None);
    let given_up = coverage.give_up(end).unwrap();
    assert_eq!((given_up.requests, given_up.range), (50, Seq(1)..Seq(51)));
    assert_eq!((given_up.since, given_up.until), (Some(UnixMillis(0)), Some(UnixMillis(50_000))));
    assert_eq!(coverage.give_up(end), None);
    assert_eq!(coverage.cursor(), Seq(51));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_late() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(1), Seq(1));
    noted(&mut coverage, 100_000, 101_000, 5);
    noted(&mut coverage, 0, 300, 6);
    assert_eq!(coverage.live(UnixMillis(300), Seq(6), None), Some(Seq(1)..Seq(6)));
}

#[test]
fn a_late_live_stream_goes_on_where_the_store_was_last_away_and_is_not_late_while_it_catches_up() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(1), Seq(1));
    // One position each 100 ms for a minute; the last request that failed began 13 s ago.
    for tick in 0..600 {
        coverage.note(UnixMillis(tick * 100), Seq(1 + tick.cast_unsigned()));
    }
    let away = Some(Seq(470));
    assert_eq!(coverage.live(UnixMillis(60_000), Seq(601), away), Some(Seq(470)..Seq(601)));
    assert_eq!(coverage.backlog(), Some(Seq(1)..Seq(470)));
    coverage.began(Stream::Live, Seq(470), Seq(480), UnixMillis(47_000));
    // Still late, and nothing is left behind.
    for tick in 600..749 {
        coverage.note(UnixMillis(tick * 100), Seq(1 + tick.cast_unsigned()));
    }
    assert_eq!(coverage.live(UnixMillis(74_900), Seq(750), away), Some(Seq(480)..Seq(750)));
    assert!(coverage.is_pressed(UnixMillis(74_900), Seq(750)));
    // One that does not catch up is brought to the present.
    assert_eq!(coverage.live(UnixMillis(75_000), Seq(750), away), Some(Seq(731)..Seq(750)));
    assert_eq!(coverage.backlog(), Some(Seq(1)..Seq(470)));
    coverage.began(Stream::Backlog, Seq(1), Seq(470), UnixMillis(0));
    assert_eq!(coverage.backlog(), Some(Seq(480)..Seq(731)));
    coverage.settled(Seq(470));
    coverage.began(Stream::Live, Seq(731), Seq(750), UnixMillis(74_500));
    assert!(!coverage.is_pressed(UnixMillis(75_000), Seq(750)));
    assert!(coverage.is_pressed(UnixMillis(75_600), Seq(750)), "what is under way counts");
}

#[test]
fn a_failed_request_is_made_up_for_once_and_a_slow_store_gets_the_present_after_that() {
    let mut coverage = Coverage::new(Order::LiveFirst, Seq(1), Seq(1));
    noted(&mut coverage, 0, 2000, 50);
    let away = Some(Seq(40));
    assert_eq!(coverage.live(UnixMillis(2000), Seq(50), away), Some(Seq(1)..Seq(50)), "it is not late");
    coverage.began(Stream::Live, Seq(1), Seq(50), UnixMillis(0));
    // Late behind a failure that it has read past: what came since waits for nothing else.
    noted(&mut coverage, 2100, 9000, 90);
    assert_eq!(coverage.live(UnixMillis(9000), Seq(90), away), Some(Seq(50)..Seq(90)));
    noted(&mut coverage, 9100, 23_900, 100);
    assert_eq!(coverage.live(UnixMillis(23_900), Seq(100), away), Some(Seq(50)..Seq(100)));
    noted(&mut coverage, 24_000, 25_000, 110);
    assert_eq!(coverage.live(UnixMillis(25_000), Seq(110), away), Some(Seq(100)..Seq(110)));
    assert_eq!(coverage.backlog(), Some(Seq(50)..Seq(100)));
}
