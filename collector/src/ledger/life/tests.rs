//! The algebra against a naive account of all words, and what agents may send that is no time.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// 2026-11-01 00:00 UTC.
const NOW: i64 = 1_793_491_200_000;
const HOUR: i64 = 3_600_000;
const ID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

#[allow(clippy::cast_precision_loss, reason = "far below 2⁵³")]
fn seconds(at: i64) -> Option<f64> {
    Some(at as f64 / 1000.0)
}

fn word(told: i64, id: Option<&str>, boot: i64, start: i64) -> Life {
    Life::of(UnixMillis(told), id, seconds(boot), seconds(start)).unwrap()
}

fn times(times: &[UnixMillis]) -> Vec<i64> {
    times.iter().map(|at| at.0 - NOW).collect()
}

fn lives(words: &[Life]) -> Lives {
    let mut lives = Lives::new();
    lives.merge(words.iter().copied());
    lives
}

#[test]
fn the_newest_word_says_when_a_boot_was_and_all_of_its_starts_follow() {
    // The host's clock was two hours behind until the collector had answered.
    let wrong = word(NOW - 2 * HOUR + 60_000, Some(ID), NOW - 2 * HOUR, NOW - 2 * HOUR + 30_000);
    let right = word(NOW + 90_000, Some(ID), NOW, NOW + 30_200);
    let restarted = word(NOW + 600_000, Some(ID), NOW + 40, NOW + 500_500);
    for words in [[wrong, right, restarted], [restarted, right, wrong], [right, restarted, wrong]] {
        let lives = lives(&words);
        assert_eq!(times(&lives.boots()), [40]);
        assert_eq!(times(&lives.starts()), [30_040, 500_040], "to the second, rounded down");
        assert_eq!(lives.all()[0].key.to_string(), ID);
    }
}

#[test]
fn starts_that_lie_two_seconds_apart_are_one() {
    let start = |after: i64| word(NOW + 60_000, Some(ID), NOW, NOW + after);
    assert_eq!(times(&lives(&[start(12_900), start(10_000), start(11_999)]).starts()), [10_000]);
    assert_eq!(times(&lives(&[start(13_000), start(10_000)]).starts()), [10_000, 13_000]);
}

#[test]
fn a_boot_without_an_id_is_known_by_its_minute() {
    let boot = |at: i64| word(NOW + HOUR, None, NOW + at, NOW + at + 5_000);
    // Rounded to different minutes, and yet one boot.
    let same = lives(&[boot(29_000), boot(31_000)]);
    assert_eq!(same.len(), 2);
    assert_eq!((times(&same.boots()), times(&same.starts())), (vec![29_000], vec![34_000]));
    let two = lives(&[boot(0), boot(600_000)]);
    assert_eq!(times(&two.boots()), [0, 600_000]);
    // Another boot with an id in between does not make two of one.
    let mixed = lives(&[boot(0), word(NOW + HOUR, Some(ID), NOW + 30_000, NOW + 31_000), boot(60_000)]);
    assert_eq!(times(&mixed.boots()), [0, 30_000]);
    assert_eq!(word(NOW + HOUR, Some("  "), NOW, NOW).key.boot, BootKey::Minute(NOW / 60_000));
}

#[test]
fn what_cannot_be_a_boot_is_none_and_what_cannot_be_a_start_leaves_the_boot() {
    let of = |boot: f64, start: f64| Life::of(UnixMillis(NOW), Some(ID), Some(boot), Some(start));
    let now = seconds(NOW).unwrap();
    for boot in [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -1.0,
        0.0,
        1e300,
        32_503_680_000.0,
        now + 3.0,
        946_684_800.0,
    ] {
        assert_eq!(of(boot, now), None, "{boot}");
    }
    for start in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, now - 63.0, now + 3.0] {
        assert_eq!(of(now - 60.0, start).unwrap().key.start, None, "{start}");
    }
    assert_eq!(of(now - 60.0, now - 61.0).unwrap().key.start, Some(0), "rounding");
    assert_eq!(of(now - 60.0, now + 1.0).unwrap().key.start, Some(61), "rounding");
    assert_eq!(Life::of(UnixMillis(NOW), Some(ID), None, Some(now)), None);
    assert_eq!(Life::of(UnixMillis(NOW), Some(ID), Some(now), None).unwrap().key.start, None);
    // Ends of time do not overflow.
    assert_eq!(Life::of(UnixMillis::MAX, None, Some(now), None), None);
    assert_eq!(Life::of(UnixMillis::MIN, None, Some(now), None), None);
}

#[test]
fn a_boot_id_is_any_text_and_stored_keys_come_back() {
    let named = |id| BootKey::named(id).unwrap();
    assert_eq!(named(ID), named("0F8FAD5BD9CB469FA16570867728950E"));
    assert_ne!(named("kernel 7"), named("kernel 8"));
    let long = "x".repeat(100_000);
    for key in [
        named(ID),
        named("kernel 7"),
        named(&long),
        named("+0f8fad5bd9cb469fa16570867728950"),
        BootKey::Minute(29_891_520),
        BootKey::Minute(-1),
    ] {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    for text in ["", "@", "@x", "0f8fad5b", "zf8fad5b-d9cb-469f-a165-70867728950e"] {
        assert_eq!(text.parse::<BootKey>(), Err(BadBootKey), "{text}");
    }
    assert_eq!(size_of::<Packed>(), 40, "the page of MOST says so");
}

#[test]
fn ten_thousand_boots_a_minute_are_bounded_and_the_newest_stay() {
    let word = |n: i64| word(NOW + n * 6, Some(&format!("boot {n}")), NOW, NOW + n * 6);
    let mut one_by_one = Lives::new();
    for n in 0..10_000 {
        one_by_one.merge([word(n)]);
        assert!(one_by_one.len() <= MOST);
    }
    let at_once = lives(&(0..10_000).rev().map(word).collect::<Vec<_>>());
    assert_eq!(at_once, one_by_one);
    assert_eq!(at_once.len(), MOST);
    let oldest = at_once.iter().map(|life| life.told.at).min();
    assert_eq!(oldest, Some(word(10_000 - 1024).told.at));
}

#[test]
fn what_changed_is_told_by_key_and_what_made_room_too() {
    let word = |n: i64| word(NOW + n * 6, Some(&format!("boot {n}")), NOW, NOW);
    let mut lives = Lives::new();
    assert_eq!(lives.merge([word(1)]), [word(1).key]);
    assert_eq!(lives.merge([word(1)]), [], "a duplicate changes nothing");
    assert_eq!(lives.merge([]), []);
    lives.merge((2..=1024).map(word));
    assert_eq!(lives.merge([word(0)]), [], "older than all that are kept");
    let changed = lives.merge([word(2000)]);
    assert_eq!(changed.len(), 2);
    assert!(changed.contains(&word(1).key) && changed.contains(&word(2000).key));
    assert_eq!((lives.get(word(1).key), lives.get(word(2000).key)), (None, Some(word(2000).told)));
}

fn any_life() -> impl Strategy<Value = Life> {
    // Few keys and times, so that they meet; more keys than are kept, so that some are dropped.
    (0..1500_u128, prop::option::of(0..3_u32), 0..40_i64, 0..4_i64, any::<bool>()).prop_map(
        |(boot, start, at, by, named)| Life {
            key: LifeKey {
                boot: if named {
                    BootKey::Id(boot)
                } else {
                    BootKey::Minute(i64::try_from(boot).unwrap_or(0))
                },
                start,
            },
            told: LastWord { at: UnixMillis(NOW + at), boot: UnixMillis(NOW - by) },
        },
    )
}

/// All words by key, the greatest of each; then the greatest of all.
fn oracle(words: &[Life]) -> Vec<Life> {
    let mut greatest = BTreeMap::new();
    for life in words {
        let told = greatest.entry(life.key).or_insert(life.told);
        *told = life.told.max(*told);
    }
    let mut all: Vec<Life> = greatest.into_iter().map(|(key, told)| Life { key, told }).collect();
    all.sort_by_key(Life::rank);
    let mut kept = all.split_off(all.len().saturating_sub(MOST));
    kept.sort_by_key(|life| life.key);
    kept
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_and_grouping_of_the_words_gives_identical_lives(
        words in vec(any_life(), 0..1800),
        order in vec(any::<Index>(), 0..200),
        cut in any::<Index>(),
    ) {
        let whole = lives(&words);
        prop_assert_eq!(whole.iter().collect::<Vec<_>>(), oracle(&words));
        let mut shuffled: Vec<Life> = if words.is_empty() { Vec::new() } else { order.iter().map(|index| *index.get(&words)).collect() };
        shuffled.extend(words.iter().rev());
        let mut one_by_one = Lives::new();
        for life in &shuffled {
            one_by_one.merge([*life]);
        }
        prop_assert_eq!(&one_by_one, &whole);
        // Two parts, merged either way, and once more.
        let (left, right) = words.split_at(cut.index(words.len() + 1));
        let (left, right) = (lives(left), lives(right));
        for (into, other) in [(&left, &right), (&right, &left)] {
            let mut merged = into.clone();
            merged.merge(other.iter());
            merged.merge(other.iter());
            prop_assert_eq!(&merged, &whole);
        }
        prop_assert!(whole.boots().is_sorted() && whole.starts().is_sorted());
    }

    #[test]
    fn a_store_that_is_told_only_of_changed_keys_holds_what_memory_holds(parts in vec(vec(any_life(), 0..600), 0..6)) {
        let (mut memory, mut stored) = (Lives::new(), BTreeMap::new());
        for part in parts {
            for key in memory.merge(part) {
                match memory.get(key) {
                    Some(told) => stored.insert(key, told),
                    None => stored.remove(&key),
                };
            }
            let held: BTreeMap<_, _> = memory.iter().map(|life| (life.key, life.told)).collect();
            prop_assert_eq!(&held, &stored);
        }
    }
}
