//! What an append, a group sync and a read cost. `cargo bench -p wan-journal --bench journal`
//!
//! Set `TMPDIR` to a directory on the disk that is to be measured: on a tmpfs a sync costs nothing.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use std::hint::black_box;
use wan_journal::{FullPolicy, Journal, Options, Seq};

/// About one agent's push.
const PAYLOAD: [u8; 3000] = [0xA5; 3000];

fn main() {
    divan::main();
}

fn options(zero_ahead: u64) -> Options {
    // Dropping, so that a long run does not fill the disk.
    Options { zero_ahead, full: FullPolicy::DropOldest, max_bytes: 512 << 20, ..Options::default() }
}

fn groups(bencher: Bencher<'_, '_>, group: usize, zero_ahead: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_dir(dir.path(), options(zero_ahead)).unwrap();
    bencher.counter(ItemsCount::new(group)).bench_local(|| {
        for _ in 0..group {
            journal.append(black_box(&PAYLOAD)).unwrap();
        }
        journal.sync().unwrap()
    });
}

#[divan::bench(args = [1, 16, 64], sample_count = 1000, sample_size = 1)]
fn append_and_sync_zeros_ahead(bencher: Bencher<'_, '_>, group: usize) {
    groups(bencher, group, 1 << 20);
}

#[divan::bench(args = [1, 16, 64], sample_count = 1000, sample_size = 1)]
fn append_and_sync_growing(bencher: Bencher<'_, '_>, group: usize) {
    groups(bencher, group, 0);
}

/// The processor's share: framing and checking one payload into memory.
#[divan::bench(sample_count = 200)]
fn append_only(bencher: Bencher<'_, '_>) {
    const GROUP: usize = 1000;
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_dir(dir.path(), options(1 << 20)).unwrap();
    // The buffer has its size after the first group.
    for _ in 0..GROUP {
        journal.append(&PAYLOAD).unwrap();
    }
    bencher.counter(ItemsCount::new(GROUP)).bench_local(|| {
        journal.discard_unsynced();
        for _ in 0..GROUP {
            journal.append(black_box(&PAYLOAD)).unwrap();
        }
    });
}

#[divan::bench(sample_count = 20)]
fn read_back(bencher: Bencher<'_, '_>) {
    const FRAMES: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open_dir(dir.path(), options(0)).unwrap();
    for _ in 0..FRAMES {
        journal.append(&PAYLOAD).unwrap();
    }
    journal.sync().unwrap();
    bencher.counter(BytesCount::new(FRAMES * PAYLOAD.len())).bench_local(|| {
        let mut reader = journal.reader(Seq::FIRST);
        let mut items = 0;
        while let Some(item) = reader.read().unwrap() {
            black_box(item);
            items += 1;
        }
        assert_eq!(items, FRAMES);
    });
}
