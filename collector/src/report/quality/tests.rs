use proptest::prelude::*;

use super::*;

fn tally(sent: u64, unanswered: u64, received: u64, rtt_ms: u64) -> Tally {
    Tally { hours: 1, sent, unanswered, received, rtt_sum: received * rtt_ms * 1000 }
}

fn at(hour: i64) -> UnixMillis {
    UnixMillis(hour * HOUR_MS)
}

const LIMITS: Limits = Limits { rtt: Some(0.040), loss: Some(0.01) };

fn found(hours: &[(i64, Tally)], limits: Limits) -> Vec<(Limit, i64, i64, i64)> {
    let hours: Vec<(UnixMillis, Tally)> = hours.iter().map(|(hour, tally)| (at(*hour), *tally)).collect();
    let runs = runs(hours.iter().map(|(at, tally)| (*at, tally)), limits).into_iter();
    let hour = |at: UnixMillis| at.0 / HOUR_MS;
    runs.map(|run| (run.limit, hour(run.start), hour(run.end), hour(run.worst_at))).collect()
}

#[test]
fn a_figure_at_its_limit_has_kept_it() {
    let at_limit = tally(1000, 0, 990, 40);
    assert_eq!(against(at_limit.rtt_mean(), LIMITS.rtt), Some(Standing::Met));
    assert_eq!(against(at_limit.loss(), LIMITS.loss), Some(Standing::Met));
    assert_eq!(against(tally(1000, 0, 989, 41).rtt_mean(), LIMITS.rtt), Some(Standing::Missed));
    assert_eq!(against(tally(1000, 0, 989, 41).loss(), LIMITS.loss), Some(Standing::Missed));
    assert_eq!(against(None, LIMITS.rtt), None, "not measured");
    assert_eq!(against(Some(9.0), None), None, "not promised");
    assert_eq!(against(Some(0.0), Some(0.0)), Some(Standing::Met), "no loss at all is a promise, too");
}

#[test]
fn what_was_not_answered_at_all_is_no_loss_and_no_figure_where_nothing_was() {
    assert_eq!(tally(1000, 500, 495, 10).loss(), Some(0.01));
    let silent = tally(1000, 1000, 0, 0);
    assert_eq!((silent.loss(), silent.rtt_mean()), (None, None));
    assert_eq!(Tally::default().loss(), None);
}

#[test]
fn hours_over_a_limit_are_joined_where_they_follow_each_other() {
    let (good, slow, slower) = (tally(100, 0, 100, 10), tally(100, 0, 100, 50), tally(100, 0, 100, 90));
    let lossy = tally(100, 0, 95, 10);
    let silent = tally(100, 100, 0, 0);
    let hours = [(1, slow), (2, slower), (3, slow), (4, good), (5, slow), (7, slow), (8, silent), (9, slow)];
    let expected = [(1, 4, 2), (5, 6, 5), (7, 8, 7), (9, 10, 9)];
    let expected = expected.map(|(start, end, worst)| (Limit::Rtt, start, end, worst));
    assert_eq!(found(&hours, LIMITS), expected, "a gap, a good hour and a silent one end a run");
    assert_eq!(
        found(&[(1, slow), (2, lossy), (3, lossy)], LIMITS),
        [(Limit::Rtt, 1, 2, 1), (Limit::Loss, 2, 4, 2)]
    );
    let both = tally(100, 0, 90, 60);
    assert_eq!(found(&[(1, both), (2, both)], LIMITS), [(Limit::Rtt, 1, 3, 1), (Limit::Loss, 1, 3, 1)]);
    assert_eq!(found(&hours, Limits { rtt: None, ..LIMITS }), []);
    assert_eq!(found(&[], LIMITS), []);
}

proptest! {
    /// A naive oracle: each hour for itself.
    #[test]
    fn runs_hold_exactly_the_hours_over_a_limit(
        hours in prop::collection::btree_map(0_i64..40, (0_u64..=20, 0_u64..=20, 1_u64..90), 0..30),
    ) {
        let hours: BTreeMap<i64, Tally> = hours.into_iter()
            .map(|(hour, (unanswered, lost, rtt))| (hour, tally(1000, unanswered * 50, (1000 - unanswered * 50).saturating_sub(lost), rtt)))
            .collect();
        let list: Vec<(i64, Tally)> = hours.iter().map(|(hour, tally)| (*hour, *tally)).collect();
        let runs = found(&list, LIMITS);
        for limit in [Limit::Rtt, Limit::Loss] {
            let most = match limit { Limit::Rtt => LIMITS.rtt, Limit::Loss => LIMITS.loss };
            for hour in 0..40 {
                let over = hours.get(&hour).and_then(|tally| tally.figure(limit)).zip(most).is_some_and(|(is, most)| is > most);
                let within = runs.iter().filter(|(of, start, end, _)| *of == limit && (*start..*end).contains(&hour)).count();
                prop_assert_eq!(within, usize::from(over), "{:?} {}", limit, hour);
            }
            for (_, start, end, worst) in runs.iter().filter(|(of, ..)| *of == limit) {
                prop_assert!((*start..*end).all(|hour| hours[&hour].figure(limit) <= hours[worst].figure(limit)));
            }
        }
    }

    #[test]
    fn the_longest_runs_are_kept_in_whatever_order_they_come(
        lengths in prop::collection::vec((0_i64..5, 1_i64..4), 0..12), order in any::<u64>(), most in 0_usize..8,
    ) {
        let all: Vec<Exceeded> = lengths.iter().enumerate().map(|(number, (start, length))| Exceeded {
            site: format!("s-{}", number % 3).parse().unwrap(),
            link: format!("wan-{number}").parse().unwrap(),
            run: Run { limit: Limit::Rtt, start: at(*start), end: at(start + length), worst_at: at(*start), worst: Tally::default() },
        }).collect();
        let kept = |exceeded: Vec<Exceeded>| {
            let mut month = MonthQuality::default();
            exceeded.into_iter().for_each(|found| month.exceed(found));
            assert_eq!(month.all_exceeded, lengths.len());
            month.cut(most);
            let mut links: Vec<_> = month.exceeded.into_iter().map(|found| (found.link, found.run.end.millis_since(found.run.start))).collect();
            links.sort();
            links
        };
        let first = kept(all.clone());
        prop_assert_eq!(first.len(), most.min(all.len()));
        let mut mixed = all;
        let length = mixed.len().max(1);
        mixed.rotate_left(usize::try_from(order).unwrap() % length);
        if order & 1 == 1 { mixed.reverse(); }
        prop_assert_eq!(&kept(mixed), &first);
        let shortest = first.iter().map(|(_, length)| *length).min().unwrap_or(0);
        let longer = lengths.iter().filter(|(_, length)| length * HOUR_MS > shortest).count();
        prop_assert!(first.is_empty() || longer <= first.len(), "a longer one was left out");
    }
}
