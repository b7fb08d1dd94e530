//! The queue as a whole, on simulated and real disks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use wan_journal::sim::SimDisk;

use super::record::tests::record;
use super::*;
use crate::clock::Undatable;

mod model;

/// A simulated machine: the queue's folder and that of what is set aside.
#[derive(Debug, Clone)]
pub(super) struct Sim {
    pub(super) queue: SimDisk,
    pub(super) aside: SimDisk,
}

impl Sim {
    pub(super) fn new(seed: u64) -> Sim {
        Sim { queue: SimDisk::new(seed), aside: SimDisk::new(seed + 1) }
    }
}

impl Folders for Sim {
    type Disk = SimDisk;

    fn queue(&self) -> Result<SimDisk, (PathBuf, io::Error)> {
        Ok(self.queue.clone())
    }

    fn aside(&self) -> Result<SimDisk, (PathBuf, io::Error)> {
        Ok(self.aside.clone())
    }
}

/// Dates what a boot with the id `later` or `never` has so, and any other by the offset it is set to.
pub(super) struct Fixed(AtomicI64);

impl Fixed {
    pub(super) fn at(offset: i64) -> Fixed {
        Fixed(AtomicI64::new(offset))
    }
}

impl Dates for Fixed {
    fn date(&self, boot: &str, stamp: &Stamp) -> Dating {
        match (boot, stamp.offset) {
            (_, Some(offset)) => Dating::At(wall_at(stamp.since_boot, offset)),
            ("later", None) => Dating::Later,
            ("never", None) => Dating::Never(Undatable::Unproven),
            (_, None) => Dating::At(wall_at(stamp.since_boot, self.0.load(Ordering::Relaxed))),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn config() -> QueueConfig {
    QueueConfig { disk: 4 << 20, ..QueueConfig::default() }
}

fn sim_queue(sim: &Sim) -> Queue<Sim> {
    Queue::new(config(), "this-boot", Some(sim.clone()))
}

fn undated(number: u64, boot: &str) -> Record {
    let mut record = record(number, 1);
    record.boot = boot.into();
    record.end.offset = None;
    record
}

/// Their rounds' numbers.
fn numbers(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.record.end.since_boot / 5000).collect()
}

/// Everything of the backlog, delivered.
fn drain<F: Folders>(queue: &Queue<F>, dates: &dyn Dates) -> Vec<Item> {
    let mut all = Vec::new();
    while let Some(batch) = queue.take_backlog(7, SECOND, None, dates) {
        queue.settle(&batch, batch.items.len(), SECOND);
        all.extend(batch.items);
    }
    all
}

#[test]
fn while_pushes_succeed_the_disk_is_left_alone() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    let syncs = sim.queue.syncs();
    for number in 0..100 {
        queue.push(record(number, 8));
        let live = queue.take_live(500, &Fixed::at(0));
        assert_eq!(numbers(&live), [number]);
        queue.delivered(&live);
        assert_eq!(queue.tend_at(), None);
        queue.tend(SECOND * u32::try_from(number).unwrap());
    }
    assert_eq!(sim.queue.syncs(), syncs);
    assert_eq!(queue.figures().rounds, 0);
}

#[test]
fn a_failure_brings_what_waits_to_the_disk_at_once_and_then_at_most_every_minute() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.push(record(1, 8));
    let live = queue.take_live(500, &Fixed::at(0));
    queue.put_back(&live);
    queue.set_offline(true);
    assert_eq!(queue.tend_at(), Some(Duration::ZERO));
    queue.tend(SECOND);
    assert_eq!((queue.figures().memory_bytes, queue.figures().rounds), (0, 8));
    queue.push(record(2, 8));
    assert_eq!(queue.tend_at(), Some(SECOND * 61));
    queue.tend(SECOND * 60);
    assert!(queue.figures().memory_bytes > 0);
    queue.tend(SECOND * 61);
    assert_eq!((queue.figures().memory_bytes, queue.figures().rounds), (0, 16));
    drop(queue);
    sim.queue.crash();
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [1, 2]);
}

#[test]
fn after_an_outage_the_newest_goes_first_then_the_disk_oldest_first() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    (0..50).for_each(|number| assert_eq!(queue.push(record(number, 1)), None));
    queue.tend(SECOND);
    (50..55).for_each(|number| assert_eq!(queue.push(record(number, 1)), None));
    queue.set_offline(false);
    assert_eq!(numbers(&queue.take_live(3, &Fixed::at(0))), [54, 53, 52]);
    let mut expected: Vec<u64> = (0..50).collect();
    expected.extend([50, 51]);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), expected);
}

#[test]
fn what_was_not_delivered_is_handed_out_again_under_the_same_times_also_after_a_crash() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    (0..10).for_each(|number| assert_eq!(queue.push(undated(number, "a-boot")), None));
    queue.tend(SECOND);
    let first = queue.take_backlog(6, SECOND, None, &Fixed::at(1000)).unwrap();
    assert_eq!(first.items[0].end, UnixMillis(1000));
    queue.settle(&first, 2, SECOND);
    assert_eq!(queue.figures().oldest, Some(UnixMillis(11_000)));
    let again = queue.take_backlog(6, SECOND, None, &Fixed::at(2000)).unwrap();
    assert_eq!(numbers(&again.items), [2, 3, 4, 5]);
    assert_eq!(again.items[0].end, UnixMillis(10_000 + 1000), "one boot, one offset");
    drop(queue);
    sim.queue.crash();
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    let after = drain(&queue, &Fixed::at(3000));
    assert_eq!(numbers(&after), (0..10).collect::<Vec<_>>());
    assert!(after.iter().all(|item| item.end.0 % 5000 == 1000));
}

#[test]
fn a_round_in_memory_keeps_the_time_of_its_first_push() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.push(undated(1, "this-boot"));
    let live = queue.take_live(10, &Fixed::at(7));
    queue.put_back(&live);
    assert_eq!(queue.take_backlog(10, SECOND, None, &Fixed::at(8)).unwrap().items[0].end, live[0].end);
    queue.end_all_under_way();
    assert_eq!(queue.close(SECOND), 0);
    let queue = sim_queue(&sim);
    queue.tend(SECOND);
    assert_eq!(drain(&queue, &Fixed::at(9))[0].end, live[0].end);
}

#[test]
fn rounds_that_cannot_be_dated_yet_wait_and_those_that_never_can_are_set_aside() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    queue.push(undated(1, "never"));
    queue.push(undated(2, "never"));
    queue.push(record(3, 1));
    queue.push(undated(4, "later"));
    assert_eq!(queue.take_live(10, &Fixed::at(0)).len(), 1);
    queue.end_all_under_way();
    queue.tend(SECOND);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [3]);
    let figures = queue.figures();
    assert_eq!((figures.undated_rounds, figures.dropped_samples, figures.rounds), (2, 0, 1));
    assert!(sim.aside.names().iter().any(|name| name.ends_with(".wj1")), "{:?}", sim.aside.names());
}

#[test]
fn entries_of_a_newer_version_and_foreign_files_are_kept_aside_and_the_rest_goes_on() {
    let sim = Sim::new(1);
    let options = wan_journal::Options { zero_ahead: 0, ..wan_journal::Options::default() };
    let (mut journal, _) = wan_journal::Journal::open(sim.queue.clone(), options).unwrap();
    let mut bytes = Vec::new();
    record(1, 1).encode(Some(0), &mut bytes);
    journal.append(&bytes).unwrap();
    journal.append(&[9, 9, 9]).unwrap();
    journal.append(b"").unwrap();
    record(2, 1).encode(Some(0), &mut bytes);
    journal.append(&bytes).unwrap();
    journal.sync().unwrap();
    drop(journal);
    sim.queue.corrupt("notes.txt", |bytes| bytes.extend(b"by hand"));
    sim.queue.corrupt("00000099-00000000000000000001-0000000000000000.wj2", |bytes| bytes.extend(b"newer"));
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [1, 2]);
    assert_eq!(queue.close(SECOND), 0);
    assert_eq!(sim.queue.contents("notes.txt"), b"by hand");
    assert_eq!(sim.queue.contents("00000099-00000000000000000001-0000000000000000.wj2"), b"newer");
    let mut reader = wan_journal::Reader::on(sim.aside.clone(), Seq::FIRST).unwrap();
    let mut kept = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        if let wan_journal::Item::Frame { payload, .. } = item {
            kept.push(payload.to_vec());
        }
    }
    assert_eq!(kept, [vec![9, 9, 9], vec![]]);
}

#[test]
fn over_its_share_of_the_disk_the_oldest_go_and_are_counted_with_their_span() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    let (mut pushed, mut now) = (0, Duration::ZERO);
    while queue.figures().dropped_samples == 0 {
        for _ in 0..200 {
            queue.push(record(pushed, 20));
            pushed += 1;
        }
        now += SECOND * 60;
        queue.tend(now);
        assert!(queue.figures().disk_bytes <= config().disk, "{:?}", queue.figures());
    }
    let dropped = queue.figures().dropped_samples / (20 * 7);
    let left = drain(&queue, &Fixed::at(0));
    assert_eq!(numbers(&left), (dropped..pushed).collect::<Vec<_>>(), "exactly the oldest are gone");
    assert_eq!(queue.figures().dropped_samples, dropped * 20 * 7);
}

#[test]
fn a_batch_whose_frames_are_dropped_meanwhile_is_neither_lost_nor_counted() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    let (mut pushed, mut now) = (0, Duration::ZERO);
    let mut add = |queue: &Queue<Sim>| {
        for _ in 0..200 {
            queue.push(record(pushed, 20));
            pushed += 1;
        }
        now += SECOND * 60;
        queue.tend(now);
        pushed
    };
    add(&queue);
    let held = queue.take_backlog(100, SECOND, None, &Fixed::at(0)).unwrap();
    while queue.figures().dropped_samples == 0 {
        add(&queue);
    }
    let pushed = add(&queue);
    queue.settle(&held, 2, SECOND);
    let dropped = queue.figures().dropped_samples / (20 * 7);
    assert_eq!(queue.close(SECOND), 0);
    drop(queue);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    let mut left = numbers(&drain(&queue, &Fixed::at(0)));
    left.sort_unstable();
    let held = held.items.len() as u64;
    assert_eq!(left.len() as u64, pushed - 2 - dropped);
    assert_eq!(left[..3], [2, 3, 4]);
    assert_eq!(left[usize::try_from(held).unwrap() - 2], held + dropped);
}

#[test]
fn rounds_over_their_age_are_dropped_once_the_time_is_certain() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    (0..10).for_each(|number| assert_eq!(queue.push(record(number, 1)), None));
    queue.tend(SECOND);
    let fourth = UnixMillis(1_795_000_000_000 + 20_000);
    let wall = Some(fourth.plus(config().max_age));
    let batch = queue.take_backlog(100, SECOND, wall, &Fixed::at(0)).unwrap();
    assert_eq!(numbers(&batch.items), [4, 5, 6, 7, 8, 9]);
    assert_eq!(queue.figures().dropped_samples, 4 * 7);
}

#[test]
fn a_disk_that_fails_costs_nothing_but_its_safety_and_is_tried_again() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    sim.queue.leave_free(Some(0));
    queue.push(record(1, 1));
    queue.tend(SECOND);
    assert!(queue.figures().has_failed);
    assert_eq!(queue.tend_at(), Some(SECOND + RETRY));
    // From memory all goes on.
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [1]);
    queue.push(record(2, 1));
    queue.tend(SECOND + RETRY);
    assert!(queue.figures().has_failed, "still full");
    sim.queue.leave_free(None);
    queue.tend(SECOND + RETRY * 2);
    assert!(!queue.figures().has_failed);
    assert_eq!(queue.figures().memory_bytes, 0);
    // Another agent has the folder.
    let other = sim_queue(&sim);
    other.set_offline(true);
    other.push(record(9, 1));
    other.tend(Duration::ZERO);
    assert!(other.figures().has_failed);
    let live = other.take_live(10, &Fixed::at(0));
    assert_eq!(numbers(&live), [9]);
    other.delivered(&live);
    drop(queue);
    other.tend(RETRY);
    assert!(!other.figures().has_failed, "free again");
    assert_eq!(numbers(&drain(&other, &Fixed::at(0))), [2]);
}

#[test]
fn what_a_request_still_carries_goes_to_the_disk_with_the_rest() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    queue.push(record(1, 8));
    let hangs = queue.take_live(500, &Fixed::at(0));
    queue.push(record(2, 8));
    assert_eq!(queue.tend_at(), Some(Duration::ZERO));
    queue.tend(SECOND);
    assert_eq!((queue.figures().memory_bytes, queue.figures().rounds), (0, 16));
    // Whatever becomes of the request, the round goes under its one time.
    queue.put_back(&hangs);
    assert_eq!(queue.figures().memory_bytes, 0);
    let all = drain(&queue, &Fixed::at(0));
    assert_eq!((numbers(&all), all[0].end), (vec![1, 2], hangs[0].end));

    // So does a batch that is taken while the process ends.
    queue.push(record(3, 8));
    let live = queue.take_live(500, &Fixed::at(0));
    queue.put_back(&live);
    assert_eq!(queue.take_backlog(9, SECOND, None, &Fixed::at(0)).unwrap().items.len(), 1);
    assert_eq!(queue.close(SECOND), 0);
    let queue = sim_queue(&sim);
    queue.tend(SECOND);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [3]);
}

#[test]
fn on_a_full_file_system_what_is_delivered_makes_room() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    let mut now = Duration::ZERO;
    for number in 0..1500 {
        queue.push(record(number, 20));
        if number % 100 == 99 {
            now += SECOND * 60;
            queue.tend(now);
        }
    }
    let before = queue.figures().disk_bytes;
    assert!(before > 600_000, "{before}");
    sim.queue.leave_free(Some(0));
    assert_eq!(drain(&queue, &Fixed::at(0)).len(), 1500);
    queue.tend(now + SECOND * 60);
    assert!(!queue.figures().has_failed);
    assert!(queue.figures().disk_bytes < before / 2, "{:?}", queue.figures());
    drop(queue);
    sim.queue.crash();
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [] as [u64; 0], "none of it goes again");
}

#[test]
fn on_a_full_file_system_a_batch_ends_before_what_must_be_set_aside_and_counts_once() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    queue.push(record(1, 1));
    queue.push(undated(2, "never"));
    queue.push(record(3, 1));
    queue.push(undated(4, "a-boot"));
    queue.push(record(5, 1));
    queue.tend(SECOND);
    sim.queue.leave_free(Some(0));
    sim.aside.leave_free(Some(0));
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [1]);
    for _ in 0..5 {
        assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [] as [u64; 0]);
    }
    assert!(queue.figures().has_failed);
    assert_eq!((queue.figures().undated_rounds, queue.figures().rounds), (0, 4));
    sim.aside.leave_free(None);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [3], "its offset cannot be noted");
    assert_eq!(queue.figures().undated_rounds, 1);
    sim.queue.leave_free(None);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [4, 5]);
    queue.set_offline(false);
    queue.tend(SECOND + RETRY);
    assert!(!queue.figures().has_failed);
    assert_eq!(queue.figures().undated_rounds, 1);
}

#[test]
fn a_disk_that_can_only_be_read_is_read() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.set_offline(true);
    (0..20).for_each(|number| assert_eq!(queue.push(record(number, 1)), None));
    queue.tend(Duration::ZERO);
    // It becomes so under a running agent.
    sim.queue.set_read_only(true);
    queue.push(record(20, 1));
    for minutes in 1..4 {
        queue.tend(SECOND * 60 * minutes);
        let figures = queue.figures();
        assert!(figures.has_failed && figures.rounds == 21 && figures.disk_bytes > 0, "{figures:?}");
    }
    let first = queue.take_backlog(5, SECOND, None, &Fixed::at(0)).unwrap();
    assert_eq!(numbers(&first.items), [0, 1, 2, 3, 4]);
    queue.settle(&first, 5, SECOND);
    queue.tend(SECOND * 300);
    // A new process finds it so: the cursor is lost, nothing else.
    drop(queue);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    assert!(queue.figures().has_failed, "told at once");
    assert_eq!(queue.figures().rounds, 20);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), (0..20).collect::<Vec<_>>());
    (1..4).for_each(|minutes| queue.tend(SECOND * 60 * minutes));
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [] as [u64; 0], "once in the life of a process");
    sim.queue.set_read_only(false);
    queue.tend(SECOND * 300);
    assert!(!queue.figures().has_failed);
}

#[test]
fn a_disk_that_fails_and_is_idle_does_not_pass_for_one_that_works() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    queue.push(record(1, 1));
    sim.queue.leave_free(Some(0));
    queue.tend(SECOND);
    queue.set_offline(false);
    assert_eq!(drain(&queue, &Fixed::at(0)).len(), 1);
    for tries in 1..5 {
        queue.tend(SECOND + RETRY * tries);
        assert!(queue.figures().has_failed, "nothing was written");
        assert_eq!(queue.tend_at(), Some(SECOND + RETRY * (tries + 1)));
    }
}

#[test]
fn a_held_batch_outlives_a_disk_that_fails_after_its_frames_were_dropped() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    let (mut pushed, mut now) = (0, Duration::ZERO);
    let mut add = |queue: &Queue<Sim>| {
        for _ in 0..200 {
            queue.push(record(pushed, 20));
            pushed += 1;
        }
        now += SECOND * 60;
        queue.tend(now);
        now
    };
    add(&queue);
    let held = queue.take_backlog(100, SECOND, None, &Fixed::at(0)).unwrap();
    while queue.figures().dropped_samples == 0 {
        add(&queue);
    }
    sim.queue.fail(0, 2);
    add(&queue);
    assert!(queue.figures().has_failed);
    let now = add(&queue) + RETRY;
    queue.tend(now);
    assert!(!queue.figures().has_failed);
    queue.settle(&held, 0, now);
    let again = queue.take_backlog(100, now, None, &Fixed::at(0)).unwrap();
    assert_eq!(numbers(&again.items), numbers(&held.items), "it is not lost with them");
}

#[test]
fn damage_is_counted_and_numbers_that_a_torn_write_may_have_had_are_not() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.set_offline(true);
    (0..20).for_each(|number| assert_eq!(queue.push(record(number, 1)), None));
    queue.tend(Duration::ZERO);
    let names = sim.queue.names();
    let segment = names.iter().find(|name| name.ends_with(".wj1")).unwrap().clone();
    let middle = sim.queue.contents(&segment).len() / 2;
    drop(queue);
    sim.queue.corrupt(&segment, |bytes| bytes[middle] ^= 1);
    sim.queue.corrupt(&segment, |bytes| bytes.extend([7; 200]));
    let queue = sim_queue(&sim);
    queue.set_offline(true);
    queue.push(record(20, 1));
    queue.tend(Duration::ZERO);
    let mut tally = Tally::default();
    {
        let mut disk = queue.disk();
        let store = disk.store.as_mut().unwrap();
        store.take(100, None, Duration::MAX, &Fixed::at(0), &mut tally).unwrap();
    }
    let damaged = tally.passed.damaged;
    assert_eq!(damaged.link_rounds, 1);
    let (from, to) = (damaged.from.unwrap(), damaged.to.unwrap());
    assert_eq!(to.minus(Duration::from_secs(5)), from, "the one round between");
}

#[test]
fn what_was_set_aside_and_had_to_go_is_told() {
    let sim = Sim::new(1);
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    sim.aside.corrupt("notes.txt", |bytes| bytes.extend(b"by hand"));
    let mut tally = Tally::default();
    let mut disk = queue.disk();
    let store = disk.store.as_mut().unwrap();
    let payload = vec![9; 1 << 19];
    for _ in 0..40 {
        store.set_aside(&payload, &mut tally).unwrap();
    }
    assert!(tally.aside_dropped > 5, "{}", tally.aside_dropped);
    assert_eq!(tally.aside_foreign, ["notes.txt"]);
}

#[test]
fn offsets_of_a_newer_version_are_kept() {
    let sim = Sim::new(1);
    sim.queue.corrupt(offsets::FILE, |bytes| bytes.extend(b"wan-agent offsets 2\n"));
    let queue = sim_queue(&sim);
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    queue.push(undated(1, "a-boot"));
    queue.tend(SECOND);
    assert_eq!(drain(&queue, &Fixed::at(0)).len(), 1);
    assert_eq!(sim.queue.contents("offsets.bad-1"), b"wan-agent offsets 2\n");
}

#[test]
fn without_a_disk_everything_is_in_memory_and_over_the_bound_the_oldest_go() {
    let most = QueueConfig { memory: 64 << 10, ..QueueConfig::default() };
    let queue: Queue<Sim> = Queue::new(most.clone(), "this-boot", None);
    queue.set_offline(true);
    assert_eq!(queue.tend_at(), None);
    let mut dropped = BTreeMap::new();
    for number in 0..200 {
        if let Some(gone) = queue.push(record(number, 8)) {
            dropped.insert(number, gone);
        }
    }
    queue.tend(SECOND);
    let lost = queue.figures().dropped_samples / (8 * 7);
    assert!(queue.figures().memory_bytes <= most.memory && lost > 0);
    let first = dropped.values().next().unwrap();
    assert_eq!(first.to.0, 1_795_000_000_000);
    assert_eq!(first.from, first.to.minus(Duration::from_secs(5)));
    let left = queue.take_live(usize::MAX, &Fixed::at(0));
    assert_eq!(numbers(&left), (lost..200).rev().collect::<Vec<_>>());
}

#[test]
fn what_is_under_way_is_not_dropped() {
    let queue: Queue<Sim> =
        Queue::new(QueueConfig { memory: 2000, ..QueueConfig::default() }, "this-boot", None);
    queue.push(record(1, 8));
    let under_way = queue.take_live(10, &Fixed::at(0));
    (2..20).for_each(|number| {
        let _ = queue.push(record(number, 8));
    });
    queue.put_back(&under_way);
    assert_eq!(numbers(&drain(&queue, &Fixed::at(0))), [1]);
}

#[test]
fn the_documented_room_is_there() {
    let queue: Queue<Sim> = Queue::new(QueueConfig::default(), "this-boot", None);
    // Twenty targets in three links, rounds of five seconds.
    let full =
        (0..).find(|number| [8, 6, 6].map(|n| queue.push(record(*number, n))).iter().any(Option::is_some));
    let hours = f64::from(u32::try_from(full.unwrap()).unwrap()) * 5.0 / 3600.0;
    assert!((5.0..12.0).contains(&hours), "{hours} h");
}

/// A week of twenty targets, as files: how much, and how long opening and reading take. `cargo test --release -- --ignored`.
#[test]
#[ignore = "a measurement, not a check"]
fn a_week_measured() {
    let folder = tempfile::tempdir().unwrap();
    let began = crate::clock::monotonic();
    let queue = Queue::new(QueueConfig::default(), "this-boot", Some(DataFolder(folder.path().into())));
    queue.tend(Duration::ZERO);
    queue.set_offline(true);
    let mut now = Duration::ZERO;
    for number in 0..7 * 86_400 / 5 {
        let _ = [8, 6, 6].map(|targets| queue.push(record(number, targets)));
        if number % 12 == 0 {
            now += SECOND * 60;
            queue.tend(now);
        }
    }
    queue.close(now);
    let written = crate::clock::monotonic().duration_since(began);
    let queue = Queue::new(QueueConfig::default(), "this-boot", Some(DataFolder(folder.path().into())));
    let began = crate::clock::monotonic();
    queue.tend(Duration::ZERO);
    let opened = crate::clock::monotonic().duration_since(began);
    let bytes = queue.figures().disk_bytes;
    let mut rounds = 0;
    while let Some(batch) = queue.take_backlog(1000, SECOND, None, &Fixed::at(0)) {
        rounds += batch.items.iter().map(|item| item.record.targets.len()).sum::<usize>();
        queue.settle(&batch, batch.items.len(), SECOND);
    }
    let read = crate::clock::monotonic().duration_since(began);
    println!(
        "{bytes} bytes, {rounds} rounds; written in {written:?}, opened in {opened:?}, read in {read:?}"
    );
}
