//! Bytes and back, hostile bytes, and what a province takes.

use proptest::prelude::*;
use wan_wire::{RoundFacts, Rtt, UnixMillis};

use super::super::hour::{DAY_HOURS, HOUR_MS, Place, day_of};
use super::*;

/// The same numbers in every run (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1_u64 << 24) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        self.share();
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// A round of five packets of a leased line: 8 ms and a tail, one packet in a thousand lost.
    fn round(&mut self) -> RoundFacts {
        let mut times: Vec<f64> = (0..5)
            .filter(|_| self.share() > 0.001)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|_| 0.008 - 0.002 * self.share().max(1e-7).ln())
            .collect();
        times.sort_by(f64::total_cmp);
        let received = u32::try_from(times.len()).unwrap();
        let mean = times.iter().sum::<f64>() / f64::from(received.max(1));
        let rtt = (received > 0).then(|| Rtt {
            min: times[0],
            median: times[times.len() / 2],
            mean,
            max: times[times.len() - 1],
        });
        RoundFacts { sent: 5, received, rtt, fault: false }
    }
}

fn hours(random: &mut Random, count: i64) -> Vec<Hour> {
    let hour = |number: i64, random: &mut Random| {
        let mut hour = Hour::default();
        for round in 0..720 {
            let end = UnixMillis(number * HOUR_MS + 3_250 + round * 5_000 - 250);
            hour.insert(Place::of(end), &Bucket::of(&random.round()).unwrap());
        }
        hour
    };
    (0..count).map(|number| hour(number, random)).collect()
}

#[test]
fn rows_are_no_longer_than_the_documentation_says() {
    let hours = hours(&mut Random(7), 24);
    let mut day = Day::default();
    for (at, hour) in hours.iter().enumerate() {
        let (_, at) = day_of(i64::try_from(at).unwrap() % DAY_HOURS);
        day.0.insert(at, hour.total());
    }
    let full = hours.iter().map(|hour| encode_hour(hour).len()).sum::<usize>() / 24;
    let thin = hours.iter().map(|hour| encode_hour(&hour.clone().thin()).len()).sum::<usize>() / 24;
    let day = encode_day(&day).len();
    println!("an hour of minutes {full} B, without them {thin} B, a day of hours {day} B");
    assert!(full <= 1300, "{full} B of minutes");
    assert!(thin <= 90, "{thin} B of an hour without its minutes");
    assert!(day <= 820, "{day} B of hours");
}

fn facts() -> impl Strategy<Value = RoundFacts> {
    (1_u32..2000, any::<u32>(), prop::array::uniform4(0.0..3600.0_f64), any::<bool>()).prop_map(
        |(sent, answered, mut times, small)| {
            let received = answered % (sent + 1);
            if small {
                times = times.map(|time| time / 1e5);
            }
            times.sort_by(f64::total_cmp);
            let [min, median, mean, max] = times;
            let rtt = (received > 0).then_some(Rtt { min, median, mean, max });
            RoundFacts { sent, received, rtt, fault: false }
        },
    )
}

fn hour() -> impl Strategy<Value = Hour> {
    prop::collection::vec((0_i64..3_600_000, facts()), 0..60).prop_map(|rounds| {
        let mut hour = Hour::default();
        for (at, facts) in rounds {
            hour.insert(Place::of(UnixMillis(at + 1)), &Bucket::of(&facts).unwrap());
        }
        hour
    })
}

/// Rows as they were written before it was counted which packets were in rounds without any answer.
#[test]
fn rows_of_earlier_formats_are_read() {
    let round = |received: u32| {
        let rtt = (received > 0).then_some(Rtt { min: 0.010, median: 0.011, mean: 0.012, max: 0.015 });
        Bucket::of(&RoundFacts { sent: 5, received, rtt, fault: false }).unwrap()
    };
    let mut hour = Hour::default();
    for (second, received) in [(0, 5), (5, 4), (70, 0), (130, 5)] {
        hour.insert(Place::of(UnixMillis(second * 1000 + 500)), &round(received));
    }
    let mut mixed = hour.clone();
    mixed.insert(Place::of(UnixMillis(136_000)), &round(0));
    let day = Day(BTreeMap::from([(3, hour.total())]));
    // None of these has a round without an answer beside one with: but for its number the row is the same.
    let earlier = |mut bytes: Vec<u8>| {
        bytes[0] -= EARLIER;
        bytes
    };
    assert_eq!(decode_hour(&earlier(encode_hour(&hour))).unwrap(), hour);
    let silent_alone = Hour::Full(BTreeMap::from([(1, Minute { seen: 1, bucket: round(0) })]));
    assert_eq!(
        decode_hour(&earlier(encode_hour(&silent_alone.clone().thin()))).unwrap(),
        silent_alone.thin()
    );
    for bytes in [encode_hour(&mixed), encode_hour(&mixed.thin()), encode_day(&day)] {
        assert_eq!(decode_hour(&earlier(bytes.clone())), Err(Unreadable), "what an earlier row cannot say");
        assert_eq!(decode_day(&earlier(bytes)), Err(Unreadable));
    }
    let without = Bucket { unanswered: 0, ..round(4) };
    let day = Day(BTreeMap::from([(3, HourTotal { rounds: 1, bucket: without })]));
    assert_eq!(decode_day(&earlier(encode_day(&day))).unwrap(), day);
}

proptest! {
    #[test]
    fn what_is_written_is_read(hours in prop::collection::vec(hour(), 0..24)) {
        let mut day = Day::default();
        for (at, hour) in hours.into_iter().enumerate() {
            day.0.insert(u8::try_from(at).unwrap(), hour.total());
            prop_assert_eq!(&decode_hour(&encode_hour(&hour)).unwrap(), &hour);
            let thin = hour.clone().thin();
            prop_assert_eq!(thin.total(), hour.total());
            prop_assert_eq!(&decode_hour(&encode_hour(&thin)).unwrap(), &thin);
        }
        prop_assert_eq!(&decode_day(&encode_day(&day)).unwrap(), &day);
    }

    #[test]
    fn bytes_that_are_cut_or_changed_are_refused_or_read_and_never_panic(
        hour in hour(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let bytes = encode_hour(&hour);
        let at = at.index(bytes.len());
        prop_assert!(decode_hour(&bytes[..at]).is_err());
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        let _ = decode_hour(&changed);
        let _ = decode_day(&changed);
        prop_assert!(decode_hour(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_hour(&bytes);
        let _ = decode_day(&bytes);
    }

    #[test]
    fn any_order_repetition_and_storing_between_gives_the_same_hour(
        rounds in prop::collection::vec((0_i64..3600, facts()), 1..40),
        order in any::<u64>(), stored in any::<u64>(), thinned in prop::option::of(0_usize..80),
    ) {
        // Each second once, as of one agent.
        let rounds: BTreeMap<i64, RoundFacts> = rounds.into_iter().collect();
        let place = |second: &i64| Place::of(UnixMillis(second * 1000 + 1000));
        let mut expected = Hour::default();
        for (second, facts) in &rounds {
            expected.insert(place(second), &Bucket::of(facts).unwrap());
        }
        let mut random = Random(order);
        let mut sent: Vec<(&i64, &RoundFacts)> = rounds.iter().chain(rounds.iter()).collect();
        for at in (1..sent.len()).rev() {
            sent.swap(at, random.below(at + 1));
        }
        let mut hour = Hour::default();
        for (number, (second, facts)) in sent.into_iter().enumerate() {
            hour.insert(place(second), &Bucket::of(facts).unwrap());
            if stored & 1 << (number % 64) != 0 {
                hour = decode_hour(&encode_hour(&hour)).unwrap();
            }
            if thinned == Some(number) {
                hour = hour.thin();
            }
        }
        prop_assert_eq!(hour.total(), expected.total());
        if matches!(hour, Hour::Full(_)) {
            prop_assert_eq!(encode_hour(&hour), encode_hour(&expected));
        } else {
            prop_assert_eq!(encode_hour(&hour), encode_hour(&expected.thin()));
        }
    }
}
