//! The outbox as deliveries see it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod notices;

use notices::push;
use proptest::prelude::*;
use wan_collector::alert::outbox::{Attempt, Due, KEPT, LONGEST_WAIT, MOST_PENDING};
use wan_collector::alert::{Event, Notice, NoticeId};
use wan_collector::config::alerts::ChannelName;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;
use wan_wire::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_793_466_000_000);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn store(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap()
}

fn at(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * 1000)
}

fn channel(name: &str) -> ChannelName {
    name.parse().unwrap()
}

/// What is told of the alert of this number, at this second.
fn notice(alert: i64, event: Event, second: i64) -> Notice {
    notices::notice(alert, event, at(second))
}

fn ids(due: &[Due]) -> Vec<NoticeId> {
    due.iter().map(|due| due.notice.id.clone()).collect()
}

#[test]
fn a_notice_is_taken_in_once_for_each_channel_also_after_it_was_delivered() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = store(&folder).await;
        let (a, b) = (channel("a"), channel("b"));
        let fired = notice(1, Event::Fired, 0);
        let both = [(fired.clone(), a.clone()), (fired.clone(), b.clone())];
        push(&store, &both).await;
        assert_eq!(store.newest_notice().await.unwrap(), 2);
        push(&store, &both).await;
        assert_eq!(store.newest_notice().await.unwrap(), 2);
        let due = store.due_notices(&a, at(0), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(due[0].notice, fired);
        store.note_delivery(due[0].number, &Attempt::Delivered(None), at(1)).await.unwrap();
        push(&store, &both).await;
        assert_eq!(store.newest_notice().await.unwrap(), 2);
        assert_eq!(store.due_notices(&a, at(1), 10).await.unwrap(), []);
        assert_eq!(store.due_notices(&b, at(1), 10).await.unwrap().len(), 1, "the other channel has its own");
        drop(store);
        let store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
        assert_eq!(store.due_notices(&a, at(1), 10).await.unwrap(), [], "and after a start");
        let progress = store.notice_progress(&fired.id).await.unwrap();
        let states: Vec<_> = progress.iter().map(|row| (row.channel.as_str(), row.state.as_str())).collect();
        assert_eq!(states, [("a", "delivered"), ("b", "pending")]);
        assert_eq!(store.newest_notice().await.unwrap(), 2);
    });
}

#[test]
fn of_each_alert_only_the_first_is_due_and_one_that_failed_holds_up_no_other_alert() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        let (one, two) = (notice(1, Event::Fired, 0), notice(1, Event::Reminder, 1));
        let other = notice(2, Event::Fired, 2);
        let all = [&one, &two, &other].map(|notice| (notice.clone(), a.clone()));
        push(&store, &all).await;
        let due = store.due_notices(&a, at(5), 10).await.unwrap();
        assert_eq!(ids(&due), [one.id.clone(), other.id.clone()]);
        assert!(!due[0].superseded);
        store.note_delivery(due[0].number, &Attempt::Again(at(60), "away".into()), at(5)).await.unwrap();
        assert_eq!(ids(&store.due_notices(&a, at(59), 10).await.unwrap()), std::slice::from_ref(&other.id));
        let waiting = store.waiting_notices(&a, at(5)).await.unwrap();
        assert_eq!((waiting.pending, waiting.next, waiting.newest), (3, Some(at(60)), Some(at(2))));
        assert_eq!(store.waiting_notices(&channel("b"), at(5)).await.unwrap().newest, None);
        let due = store.due_notices(&a, at(60), 10).await.unwrap();
        assert_eq!((ids(&due), due[0].attempts), (vec![one.id, other.id], 1));
        store.note_delivery(due[0].number, &Attempt::Progress(50), at(60)).await.unwrap();
        assert_eq!(store.due_notices(&a, at(60), 1).await.unwrap()[0].progress, 50);
    });
}

#[test]
fn a_clock_that_is_set_back_puts_no_try_off_for_longer_than_a_receiver_may() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        push(&store, &[(notice(1, Event::Fired, 0), a.clone())]).await;
        let number = store.due_notices(&a, at(0), 1).await.unwrap()[0].number;
        store.note_delivery(number, &Attempt::Again(at(300), "away".into()), at(0)).await.unwrap();
        let longest = i64::try_from(LONGEST_WAIT.as_secs()).unwrap();
        for (now, due, next) in [
            (299, false, Some(at(300))),
            (300, true, None),
            (300 - longest, false, Some(at(300))),
            (299 - longest, true, None),
            (-86_400, true, None),
        ] {
            assert_eq!(store.due_notices(&a, at(now), 1).await.unwrap().len(), usize::from(due), "{now}");
            assert_eq!(store.waiting_notices(&a, at(now)).await.unwrap().next, next, "{now}");
        }
    });
}

#[test]
fn what_waits_is_superseded_exactly_by_what_the_rule_says() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        let mut alert = 0;
        for earlier in Event::ALL {
            for later in Event::ALL {
                alert += 1;
                let pair = [notice(alert, earlier, 0), notice(alert, later, 1)];
                push(&store, &pair.map(|notice| (notice, a.clone()))).await;
                let due = store.due_notices(&a, at(9), 1000).await.unwrap();
                // The end says since when and until when, and of two reminders the later is enough.
                let needless = match later {
                    Event::Resolved | Event::Corrected => true,
                    Event::Reminder => matches!(earlier, Event::Reminder),
                    Event::Fired | Event::Flapping => false,
                };
                let first =
                    due.iter().find(|due| due.notice.alert == notice(alert, earlier, 0).alert).unwrap();
                assert_eq!(first.superseded, needless, "{earlier:?} {later:?}");
            }
        }
    });
}

#[test]
fn who_was_told_of_an_alert_is_whoever_got_or_will_get_a_word_of_it() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = store(&folder).await;
        let all = ["a", "b", "c", "d", "e", "f"].map(channel);
        let (fired, resolved) = (notice(1, Event::Fired, 0), notice(1, Event::Resolved, 9));
        for name in &all[..4] {
            push(&store, &[(fired.clone(), name.clone())]).await;
        }
        push(&store, &[(notice(2, Event::Fired, 0), channel("e"))]).await;
        let end = |attempt: Attempt| {
            let store = &store;
            async move |name: &ChannelName| {
                let number = store.due_notices(name, at(5), 1).await.unwrap()[0].number;
                store.note_delivery(number, &attempt, at(5)).await.unwrap();
            }
        };
        end(Attempt::Delivered(None))(&all[0]).await;
        end(Attempt::Refused("no".into()))(&all[1]).await;
        end(Attempt::Refused("no".into()))(&all[2]).await;
        push(&store, &[(resolved, all[2].clone())]).await;
        // The fourth still waits; the fifth was told of another alert, the sixth of nothing.
        let told = store.channels_told(&fired.alert, &all).await.unwrap();
        assert_eq!(told, [all[0].clone(), all[2].clone(), all[3].clone()]);
        assert_eq!(store.channels_told(&fired.alert, &all[3..]).await.unwrap(), [all[3].clone()]);
        assert_eq!(store.channels_told(&fired.alert, &[]).await.unwrap(), []);
    });
}

#[test]
fn what_fires_is_known_until_its_end_whether_it_was_delivered_or_not() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        let push = async |notice: &Notice| push(&store, &[(notice.clone(), a.clone())]).await;
        let (fired, reminder) = (notice(1, Event::Fired, 0), notice(1, Event::Reminder, 5));
        push(&fired).await;
        assert_eq!(store.firing_notices(&a, 10).await.unwrap(), std::slice::from_ref(&fired));
        push(&reminder).await;
        push(&notice(2, Event::Fired, 6)).await;
        push(&notice(2, Event::Resolved, 7)).await;
        assert_eq!(store.firing_notices(&a, 10).await.unwrap(), [reminder], "the last word of it");
        push(&notice(1, Event::Resolved, 9)).await;
        assert_eq!(store.firing_notices(&a, 10).await.unwrap(), []);
        assert_eq!(store.firing_notices(&channel("b"), 10).await.unwrap(), []);
    });
}

#[test]
fn what_is_too_old_or_too_much_or_for_nobody_is_given_up_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        let all: Vec<_> = (0..10).map(|second| (notice(second, Event::Fired, second), a.clone())).collect();
        push(&store, &all).await;
        push(&store, &[(notice(1, Event::Fired, 1), channel("gone"))]).await;
        let given_up =
            store.expire_notices(at(3), MOST_PENDING, std::slice::from_ref(&a), at(20)).await.unwrap();
        let told: Vec<_> = given_up
            .iter()
            .map(|count| (count.channel.as_str(), count.state.as_str(), count.count))
            .collect();
        assert_eq!(told, [("gone", "refused", 1), ("a", "expired", 3)]);
        let given_up = store.expire_notices(at(3), 2, std::slice::from_ref(&a), at(20)).await.unwrap();
        assert_eq!(given_up[0].count, 5, "the oldest of seven, so that two wait");
        let left: Vec<_> = store.due_notices(&a, at(20), 10).await.unwrap();
        assert_eq!(ids(&left), ids_of(&all[8..]));
        assert_eq!(store.expire_notices(at(3), 2, std::slice::from_ref(&a), at(20)).await.unwrap(), []);
    });
}

fn ids_of(all: &[(Notice, ChannelName)]) -> Vec<NoticeId> {
    all.iter().map(|(notice, _)| notice.id.clone()).collect()
}

#[test]
fn what_was_done_with_long_ago_is_deleted_but_what_still_fires() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, a) = (store(&folder).await, channel("a"));
        let ended = [notice(1, Event::Fired, 0), notice(1, Event::Resolved, 1)];
        let fires = notice(2, Event::Fired, 2);
        for notice in ended.iter().chain([&fires]) {
            push(&store, &[(notice.clone(), a.clone())]).await;
            let due = store.due_notices(&a, at(9), 1).await.unwrap();
            store.note_delivery(due[0].number, &Attempt::Delivered(None), at(9)).await.unwrap();
        }
        let later = UnixMillis(at(10).0 + i64::try_from(KEPT.as_millis()).unwrap());
        store.expire_notices(NOW, MOST_PENDING, std::slice::from_ref(&a), later).await.unwrap();
        for (notice, kept) in [(&ended[0], 0), (&ended[1], 0), (&fires, 1)] {
            assert_eq!(store.notice_progress(&notice.id).await.unwrap().len(), kept, "{:?}", notice.event);
        }
        assert_eq!(store.firing_notices(&a, 10).await.unwrap(), [fires]);
    });
}

/// What a delivery does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push(i64, usize),
    Succeed,
    Fail,
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever fails, and whenever it is started anew: everything is delivered or superseded once, and in the order of its alert.
    #[test]
    fn everything_is_delivered_once_and_in_order(steps in prop::collection::vec(prop_oneof![
        4 => (0..3_i64, 0..Event::ALL.len()).prop_map(|(alert, event)| Step::Push(alert, event)),
        3 => Just(Step::Succeed),
        2 => Just(Step::Fail),
        1 => Just(Step::Reopen),
    ], 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let (mut store, a) = (store(&folder).await, channel("a"));
            let mut pushed: Vec<Notice> = Vec::new();
            let mut settled: Vec<Notice> = Vec::new();
            let last = steps.len() as i64;
            let drain = (0..200).map(|_| Step::Succeed);
            for (second, step) in steps.iter().copied().chain(drain).enumerate() {
                let now = at(second as i64 + if (second as i64) < last { 0 } else { 1000 });
                match step {
                    Step::Push(alert, event) => {
                        let notice = notice(alert, Event::ALL[event], second as i64);
                        push(&store, &[(notice.clone(), a.clone()), (notice.clone(), a.clone())]).await;
                        pushed.push(notice);
                    }
                    Step::Succeed | Step::Fail => {
                        let due = store.due_notices(&a, now, 1).await.unwrap();
                        let Some(due) = due.first() else { continue };
                        let attempt = match step {
                            _ if due.superseded => Attempt::Superseded,
                            Step::Fail => Attempt::Again(UnixMillis(now.0 + 3000), "away".into()),
                            Step::Push(..) | Step::Succeed | Step::Reopen => Attempt::Delivered(None),
                        };
                        if !matches!(attempt, Attempt::Again(..)) {
                            settled.push(due.notice.clone());
                        }
                        store.note_delivery(due.number, &attempt, now).await.unwrap();
                    }
                    Step::Reopen => {
                        store.close().await;
                        store = SqliteStore::open(&folder.path().join("wanwatch.db")).await.unwrap();
                    }
                }
            }
            for alert in 0..3 {
                let of = |all: &[Notice]| -> Vec<NoticeId> {
                    let alert = notice(alert, Event::Fired, 0).alert;
                    all.iter().filter(|notice| notice.alert == alert).map(|notice| notice.id.clone()).collect()
                };
                prop_assert_eq!(of(&settled), of(&pushed));
            }
            Ok(())
        })?;
    }
}
