//! What a failing or full disk does, one case at a time, on the simulated disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wan_journal::sim::SimDisk;
use wan_journal::{Item, Journal, JournalError, Options, Seq};

fn open(disk: &SimDisk) -> Journal<SimDisk> {
    let options = Options { segment_bytes: 1000, max_bytes: 100_000, zero_ahead: 0, ..Options::default() };
    Journal::open(disk.clone(), options).unwrap().0
}

fn read(journal: &Journal<SimDisk>) -> Vec<(u64, Vec<u8>)> {
    let mut reader = journal.reader(Seq::FIRST);
    let mut frames = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        match item {
            Item::Frame { seq, payload } => frames.push((seq.0, payload.to_vec())),
            // A number that is passed over because a torn frame may have had it.
            Item::Gap(gap) => assert!(gap.from > Seq(1), "{gap}"),
        }
    }
    frames
}

fn three() -> Vec<(u64, Vec<u8>)> {
    vec![(1, b"one".to_vec()), (2, b"two".to_vec()), (3, b"three".to_vec())]
}

/// Appends and syncs "one", then makes the next sync fail at its operation number `good`.
fn one_durable_then_failing(disk: &SimDisk, good: u32) -> Journal<SimDisk> {
    let mut journal = open(disk);
    journal.append(b"one").unwrap();
    assert_eq!(journal.sync().unwrap(), Seq(1));
    journal.append(b"two").unwrap();
    journal.append(b"three").unwrap();
    disk.fail(good, 1);
    journal
}

#[test]
fn after_a_failed_write_or_sync_the_frames_go_to_a_new_segment() {
    // On the segment that is open already the first operation is the write, the second the sync.
    for (good, op) in [(0, "write"), (1, "sync")] {
        let disk = SimDisk::new(1);
        let mut journal = one_durable_then_failing(&disk, good);
        let failed = journal.sync().unwrap_err();
        assert!(matches!(failed, JournalError::Io { op: at, .. } if at == op), "{failed}");
        assert_eq!(journal.durable(), Seq(1), "not acknowledged");
        assert_eq!(read(&journal), three()[..1]);

        assert_eq!(journal.sync().unwrap(), Seq(3));
        assert_eq!(disk.names().len(), 2);
        drop(journal);
        disk.crash();
        assert_eq!(read(&open(&disk)), three(), "seed {good}");
    }
}

#[test]
fn a_failed_sync_that_is_followed_by_a_crash_costs_nothing_that_was_durable() {
    for seed in 0..200 {
        for good in 0..2 {
            let disk = SimDisk::new(seed);
            let mut journal = one_durable_then_failing(&disk, good);
            journal.sync().unwrap_err();
            drop(journal);
            disk.crash();
            let journal = open(&disk);
            let frames = read(&journal);
            assert_eq!(frames[0], three()[0]);
            assert!(frames.iter().all(|frame| three().contains(frame)));
        }
    }
}

#[test]
fn what_is_refused_after_a_failed_sync_can_be_discarded() {
    let disk = SimDisk::new(1);
    let mut journal = one_durable_then_failing(&disk, 1);
    let mut follower = journal.reader(Seq::FIRST);
    assert!(matches!(follower.read().unwrap(), Some(Item::Frame { payload: b"one", .. })));
    // Not even the room can be given back: the refused frames stay in the file.
    disk.fail(1, 2);
    journal.sync().unwrap_err();
    journal.discard_unsynced();
    assert_eq!(journal.append(b"another").unwrap(), Seq(2));
    journal.sync().unwrap();
    assert!(matches!(follower.read().unwrap(), Some(Item::Frame { payload: b"another", .. })));
    drop(journal);
    disk.crash();
    assert_eq!(read(&open(&disk)), [(1, b"one".to_vec()), (2, b"another".to_vec())]);
}

#[test]
fn a_full_disk_refuses_to_sync_and_takes_up_again_when_there_is_room() {
    for free in [0, 1, 30, 50] {
        let disk = SimDisk::new(free);
        let mut journal = open(&disk);
        journal.append(b"one").unwrap();
        journal.sync().unwrap();
        disk.leave_free(Some(free));
        journal.append(b"two").unwrap();
        journal.append(b"three").unwrap();
        for _ in 0..5 {
            let full = journal.sync().unwrap_err();
            assert_eq!(full.io().unwrap().kind(), std::io::ErrorKind::StorageFull);
            assert!(full.to_string().contains("simulated/"), "{full}");
        }
        assert_eq!(disk.names().len(), 1, "attempts leave no files behind");
        disk.leave_free(None);
        assert_eq!(journal.sync().unwrap(), Seq(3));
        drop(journal);
        disk.crash();
        assert_eq!(read(&open(&disk)), three());
    }
}

#[test]
fn a_group_costs_one_sync_and_a_new_segment_one_more() {
    let disk = SimDisk::new(1);
    let mut journal = open(&disk);
    let before = disk.syncs();
    journal.append(b"one").unwrap();
    journal.sync().unwrap();
    assert_eq!(disk.syncs() - before, 2, "the file and the directory");
    for _ in 0..10 {
        journal.append(b"more").unwrap();
    }
    journal.sync().unwrap();
    journal.sync().unwrap();
    assert_eq!(disk.syncs() - before, 3);
}
