use proptest::prelude::*;

use super::*;
use crate::alert::notice::{Common, Severity};

fn s(seconds: i64) -> UnixMillis {
    UnixMillis(1_793_466_000_000).plus_millis(seconds * 1000)
}

/// An alert of a site that was told to be offline from 0 to 600 s, of an unknown cause.
fn record() -> Record {
    let subject = Subject::Site { site: "xa-a".parse().unwrap() };
    let id = AlertId::of(Rule::SiteOffline, &subject, s(7));
    Record {
        since: s(0),
        until: Some(s(600)),
        told: Some(s(601)),
        cause: Some(Cause::Unknown),
        ..Record::begun(id, Rule::SiteOffline, subject, Severity::Critical, s(7))
    }
}

fn hindsight(said: Said, known: i64) -> Hindsight {
    Hindsight { said, because: Because::Backlog, known_ms: (known, known) }
}

fn said() -> Said {
    record().said().unwrap()
}

fn worked() -> Said {
    Said { found: Found::Worked, cause: None, ..said() }
}

fn charged(cause: Cause) -> Said {
    Said { cause: Some(cause), ..said() }
}

/// What is corrected from one second to another, looked at twice a second; `find` says what there is to be found at a second.
fn corrected(
    corrector: &mut Corrector,
    (from, to): (i64, i64),
    find: impl Fn(i64) -> Option<Hindsight>,
) -> Vec<(i64, Record)> {
    let mut found = Vec::new();
    for half in from * 2..to * 2 {
        let now = s(0).plus_millis(half * 500);
        for record in corrector.tick(now, |_| true, |_| find(half / 2)) {
            found.push((half / 2, record));
        }
    }
    found
}

#[test]
fn what_turns_out_otherwise_is_corrected_once_when_it_has_settled() {
    let mut corrector = Corrector::restored(vec![record()], s(601));
    let found = corrected(&mut corrector, (601, 700), |_| Some(hindsight(said(), 0)));
    assert_eq!(found, [], "it is as was told");
    let found = corrected(&mut corrector, (700, 9_000), |_| Some(hindsight(worked(), 5)));
    let [(at, now)] = &found[..] else { panic!("{found:?}") };
    assert!((760..=790).contains(at), "a minute after it was first found: {at}");
    let [correction] = now.corrections[..] else { panic!("{now:?}") };
    assert_eq!((correction.was, correction.is, correction.because), (said(), worked(), Because::Backlog));
    assert_eq!((now.cause, now.until, now.told), (None, Some(s(600)), Some(correction.at)));
    assert_eq!(now.said(), Some(worked()));
    assert_eq!(now.first_said(), Some(said()));
}

#[test]
fn while_the_backlog_still_comes_nothing_is_said() {
    let mut corrector = Corrector::restored(vec![record()], s(601));
    // What there is to say is the same, and more is known of that time each half minute.
    let find = |at: i64| Some(hindsight(charged(Cause::Carrier), at.min(1_500) / 30));
    let found = corrected(&mut corrector, (601, 3_000), find);
    assert_eq!(found.len(), 1);
    assert!((1_560..=1_600).contains(&found[0].0), "{}", found[0].0);
    // It came, and went before it had settled.
    let mut corrector = Corrector::restored(vec![record()], s(601));
    let find = |at: i64| Some(hindsight(if at / 50 % 2 == 0 { worked() } else { said() }, 5));
    assert_eq!(corrected(&mut corrector, (601, 3_000), find), []);
}

#[test]
fn two_corrections_are_ten_minutes_apart_and_ten_are_the_most() {
    let mut corrector = Corrector::restored(vec![record()], s(601));
    // A planned window is entered and taken out again, every two minutes and for ever.
    let find = |at: i64| {
        let planned = at / 120 % 2 == 0;
        Some(hindsight(charged(if planned { Cause::Planned } else { Cause::Carrier }), 5))
    };
    let found = corrected(&mut corrector, (601, 30_000), find);
    assert_eq!(found.len(), MOST);
    for pair in found.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= 600, "{} {}", pair[0].0, pair[1].0);
        let (before, after) = (pair[0].1.corrections.last().unwrap(), pair[1].1.corrections.last().unwrap());
        assert_eq!(before.is, after.was, "each goes on from what was said last");
    }
}

#[test]
fn a_restart_neither_loses_a_correction_nor_makes_it_again() {
    let find = |_| Some(hindsight(worked(), 5));
    let mut corrector = Corrector::restored(vec![record()], s(601));
    assert_eq!(corrected(&mut corrector, (601, 650), find), []);
    // Anew, before it had settled.
    let mut corrector = Corrector::restored(vec![record()], s(650));
    let found = corrected(&mut corrector, (650, 800), find);
    assert_eq!(found.len(), 1);
    // Anew, with what was written.
    let mut corrector = Corrector::restored(vec![found[0].1.clone()], s(800));
    assert_eq!(corrected(&mut corrector, (800, 5_000), find), []);
    // Anew, and nothing had been written.
    let mut corrector = Corrector::restored(vec![record()], s(800));
    assert_eq!(corrected(&mut corrector, (800, 5_000), find).len(), 1);
}

#[test]
fn a_silence_holds_a_correction_up_until_it_is_over() {
    let mut corrector = Corrector::restored(vec![record()], s(601));
    let mut told = Vec::new();
    for at in 601..2_000 {
        told.extend(
            corrector.tick(s(at), |_| at >= 1_500, |_| Some(hindsight(worked(), 5))).into_iter().map(|_| at),
        );
    }
    assert_eq!(told.len(), 1);
    assert!((1_500..=1_510).contains(&told[0]), "{told:?}");
}

#[test]
fn only_what_was_told_is_over_and_can_be_judged_later_is_corrected() {
    let link = Subject::Link { site: "xa-a".parse().unwrap(), link: "wan".parse().unwrap() };
    let many = Subject::Many { common: Common::All };
    let cases = [
        (record(), true),
        (Record { rule: Rule::AgentSilent, ..record() }, true),
        (Record { rule: Rule::LinkDown, subject: link.clone(), ..record() }, true),
        (Record { rule: Rule::LinkDegraded, subject: link, ..record() }, false),
        (Record { rule: Rule::ClockWrong, ..record() }, false),
        (Record { rule: Rule::CollectorBlind, subject: Subject::Collector, ..record() }, false),
        (Record { subject: many.clone(), ..record() }, false),
        (Record { under: Some(many), ..record() }, false),
        (Record { told: None, ..record() }, false),
        (Record { until: None, ..record() }, false),
        (Record { drill: true, ..record() }, false),
    ];
    for (record, is) in cases {
        let mut corrector = Corrector::restored(vec![record.clone()], s(601));
        let found = corrected(&mut corrector, (601, 800), |_| Some(hindsight(worked(), 5)));
        assert_eq!(found.len(), usize::from(is), "{record:?}");
    }
    // Eight days after its end nothing is said of it any more.
    let late = i64::try_from(LOOK_BACK.as_secs()).unwrap() + 600;
    let mut corrector = Corrector::restored(vec![record()], s(late));
    assert_eq!(corrected(&mut corrector, (late, late + 300), |_| Some(hindsight(worked(), 5))), []);
    let mut corrector = Corrector::restored(vec![record()], s(late - 300));
    assert_eq!(corrected(&mut corrector, (late - 300, late), |_| Some(hindsight(worked(), 5))).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let mut corrector = Corrector::restored(vec![record()], s(90_000));
    assert_eq!(corrected(&mut corrector, (90_000, 90_030), |_| Some(hindsight(worked(), 5))), []);
    let found = corrected(&mut corrector, (700, 900), |_| Some(hindsight(worked(), 5)));
    assert_eq!(found.len(), 1);
}

#[test]
fn those_that_ended_lately_are_looked_at_often_and_none_is_forgotten_among_many() {
    let mut records = Vec::new();
    for number in 0..400 {
        let mut record = record();
        record.id = AlertId::of(record.rule, &record.subject, s(number));
        // Some seconds to four days ago.
        record.until = Some(s(400_000 - number * number * 2));
        records.push(record);
    }
    let mut corrector = Corrector::restored(records, s(400_000));
    let mut looked: BTreeMap<AlertId, u32> = BTreeMap::new();
    for half in 0..2_400 {
        let mut now = 0;
        corrector.tick(
            s(400_000).plus_millis(half * 500),
            |_| true,
            |record| {
                now += 1;
                *looked.entry(record.id.clone()).or_default() += 1;
                record.said().map(|said| hindsight(said, 0))
            },
        );
        assert!(now <= MOST_A_LOOK);
    }
    assert_eq!(looked.len(), 400);
    assert!(looked.values().all(|times| (2..=130).contains(times)), "{looked:?}");
    let of = |number: i64| looked[&AlertId::of(Rule::SiteOffline, &record().subject, s(number))];
    assert!(of(0) >= 20 && of(399) <= 4, "{} {}", of(0), of(399));
}

#[test]
fn a_cause_that_is_not_known_denies_none_and_one_that_is_denies_what_was_told() {
    let (none, unknown, carrier, lan) = (None, Some(Cause::Unknown), Some(Cause::Carrier), Some(Cause::Lan));
    for (was, is, denied) in [
        (none, none, false),
        (none, unknown, false),
        (none, carrier, true),
        (unknown, none, false),
        (unknown, unknown, false),
        (unknown, carrier, true),
        (carrier, none, false),
        (carrier, unknown, true),
        (carrier, carrier, false),
        (carrier, lan, true),
    ] {
        let (was, is) = (Said { cause: was, ..said() }, Said { cause: is, ..said() });
        assert_eq!(was.is_denied_by(&is), denied, "{was:?} {is:?}");
    }
    assert!(said().is_denied_by(&Said { found: Found::NotKnown, ..said() }));
    assert!(said().is_denied_by(&Said { since: s(1), ..said() }));
    assert!(said().is_denied_by(&Said { until: s(1), ..said() }));
}

#[test]
fn a_correction_is_a_sentence_in_the_provinces_time() {
    let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
    let is = Said { since: s(-60), cause: Some(Cause::Carrier), ..said() };
    let correction = Correction { at: s(900), was: said(), is, because: Because::Backlog };
    assert_eq!(
        correction.sentence(Rule::SiteOffline, Lang::En, &zone),
        "corrected 2026-11-01 00:15:00: formerly told: 2026-11-01 00:00:00 – 2026-11-01 00:10:00, Not known; \
         now: 2026-10-31 23:59:00 – 2026-11-01 00:10:00, Carrier (WAN); because of the site's backlog"
    );
    let taken_back = Correction { is: worked(), ..correction };
    assert_eq!(
        taken_back.sentence(Rule::SiteOffline, Lang::Vi, &zone),
        "đính chính 2026-11-01 00:15:00: trước đó đã báo: 2026-11-01 00:00:00 – 2026-11-01 00:10:00, Chưa rõ; \
         nay: đơn vị không mất kết nối trong thời gian này: sự cố nằm ở việc giám sát; do số liệu gửi bù của đơn vị"
    );
    let cut = Said { found: Found::CutOff, ..is };
    let cut = Correction { is: cut, ..correction }.sentence(Rule::AgentSilent, Lang::En, &zone);
    assert!(cut.contains("now: the site was cut off at that time (2026-10-31 23:59:00 – "), "{cut}");
}

proptest! {
    /// Whatever is found when: nothing is said twice in a row, each note goes on from the last, and all keep their distance.
    #[test]
    fn notes_follow_from_each_other(
        steps in prop::collection::vec((0..5_i64, 20..400_i64, 0..6_usize, 0..3_i64), 1..30)
    ) {
        let mut record = record();
        let mut corrector = Corrector::restored(vec![record.clone()], s(601));
        let mut at = 601;
        let mut last_at = None;
        for (restart, length, which, known) in steps {
            if restart == 0 {
                corrector = Corrector::restored(vec![record.clone()], s(at));
            }
            let is = match which {
                0 => None,
                1 => Some(said()),
                2 => Some(worked()),
                3 => Some(charged(Cause::Carrier)),
                4 => Some(charged(Cause::Lan)),
                _ => Some(Said { until: s(300), ..charged(Cause::Power) }),
            };
            for (when, now) in corrected(&mut corrector, (at, at + length), |_| is.map(|is| hindsight(is, known))) {
                let newest = now.corrections.last().unwrap();
                prop_assert_eq!(now.corrections.len(), record.corrections.len() + 1);
                prop_assert_eq!(Some(newest.was), record.said());
                prop_assert!(newest.was.is_denied_by(&newest.is));
                prop_assert_eq!(Some(newest.is), is);
                prop_assert!(last_at.is_none_or(|last| when - last >= 600));
                last_at = Some(when);
                record = now;
            }
            at += length;
        }
    }
}
