//! Damage to the files of a queue on the real file system: opening never fails, what comes out was put in, and what is lost is
//! what was touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use wan_agent::Series;
use wan_agent::clock::{Dating, Stamp};
use wan_agent::config::QueueConfig;
use wan_agent::queue::record::Record;
use wan_agent::queue::{DataFolder, Dates, Queue};
use wan_journal::HEADER_LEN;
use wan_wire::{LinkKind, ProbeKind, RoundFacts, UnixMillis};

const MINUTE: Duration = Duration::from_secs(60);

struct Known;

impl Dates for Known {
    fn date(&self, _: &str, _: &Stamp) -> Dating {
        Dating::Later
    }
}

fn record(number: u64) -> Record {
    let series = |at: u64| Series {
        link: LinkKind::Wan.into(),
        probe: ProbeKind::Icmp,
        target: format!("10.0.{number}.{at}"),
        about: None,
    };
    let facts = RoundFacts { sent: 5, ..RoundFacts::default() };
    let end = Stamp { since_boot: 5000 * number, host: UnixMillis(0), synchronised: false, offset: Some(7) };
    Record {
        boot: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".into(),
        link: LinkKind::Wan.into(),
        end,
        interval: Duration::from_secs(5),
        targets: (0..1 + number % 5).map(|at| (Arc::new(series(at)), facts)).collect(),
    }
}

fn queue(data: &Path) -> Queue {
    let queue = Queue::new(QueueConfig::default(), "this-boot", Some(DataFolder(data.to_owned())));
    queue.tend(Duration::ZERO);
    queue
}

/// Everything that comes out, by number; each must be what was put in.
fn drain(queue: &Queue) -> BTreeMap<u64, UnixMillis> {
    let mut found = BTreeMap::new();
    while let Some(batch) = queue.take_backlog(50, MINUTE, None, &Known) {
        for item in &batch.items {
            let number = item.record.end.since_boot / 5000;
            assert_eq!(*item.record, record(number));
            found.insert(number, item.end);
        }
        queue.settle(&batch, batch.items.len(), MINUTE);
    }
    found
}

/// A queue of so many rounds that was closed, some of it delivered; its files.
fn write(data: &Path, rounds: u64, delivered: usize) -> Vec<PathBuf> {
    let queue = queue(data);
    queue.set_offline(true);
    for number in 0..rounds {
        assert_eq!(queue.push(record(number)), None);
        if number % 40 == 39 {
            queue.tend(MINUTE * u32::try_from(number).unwrap());
        }
    }
    queue.tend(MINUTE * u32::try_from(rounds + 1).unwrap());
    if let Some(batch) = queue.take_backlog(delivered.max(1), MINUTE, None, &Known) {
        queue.settle(&batch, delivered.min(batch.items.len()), MINUTE);
    }
    assert_eq!(queue.close(MINUTE), 0);
    let mut files: Vec<PathBuf> =
        fs::read_dir(data.join("queue")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().is_some_and(|name| name != "lock"));
    files.sort();
    files
}

/// How many whole frames these first bytes of a segment hold.
fn frames(bytes: &[u8]) -> u64 {
    let (mut at, mut count) = (0, 0);
    while let Some(length) = bytes.get(at + 4..at + 8) {
        at += HEADER_LEN + usize::try_from(u32::from_le_bytes(length.try_into().unwrap())).unwrap();
        count += u64::from(at <= bytes.len());
    }
    count
}

#[test]
fn a_folder_that_can_only_be_read_is_read() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), 120, 0);
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let queue_folder = folder.path().join("queue");
    for entry in fs::read_dir(&queue_folder).unwrap() {
        mode(&entry.unwrap().path(), 0o444);
    }
    mode(&queue_folder, 0o555);
    mode(folder.path(), 0o555);
    let found = std::thread::scope(|scope| {
        let reads = scope.spawn(|| {
            // Of this thread alone; root may write anywhere.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            let queue = queue(folder.path());
            let figures = queue.figures();
            assert!(figures.has_failed && figures.rounds > 0 && figures.disk_bytes > 0, "{figures:?}");
            let found = drain(&queue);
            queue.tend(MINUTE * 5);
            assert!(drain(&queue).is_empty(), "once in the life of a process");
            found
        });
        reads.join().unwrap()
    });
    assert_eq!(found.len(), 120);
    mode(&queue_folder, 0o755);
    mode(folder.path(), 0o755);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_cost_the_rounds_they_touch(
        rounds in 50u64..300,
        delivered in 0usize..60,
        hits in prop::collection::vec((any::<Index>(), any::<Index>(), 1u8..), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), rounds, delivered);
        for (file, at, bits) in &hits {
            let file = &files[file.index(files.len())];
            let mut bytes = fs::read(file).unwrap();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
                fs::write(file, bytes).unwrap();
            }
        }
        let queue = queue(folder.path());
        prop_assert!(!queue.figures().has_failed);
        let found = drain(&queue);
        prop_assert!(found.iter().all(|(number, end)| *number < rounds && end.0 == 7 + 5000 * i64::try_from(*number).unwrap()));
        // A damaged cursor sends all of it again; else what was delivered stays so. A hit costs one round at most.
        let waiting = usize::try_from(rounds).unwrap() - delivered.min(usize::try_from(rounds).unwrap());
        prop_assert!(found.len() + hits.len() >= waiting, "{} of {waiting} after {} hits", found.len(), hits.len());
        // It goes on.
        queue.set_offline(true);
        queue.push(record(rounds + 7));
        queue.tend(MINUTE * 1000);
        prop_assert!(drain(&queue).contains_key(&(rounds + 7)));
    }

    #[test]
    fn files_that_are_cut_or_emptied_cost_what_was_cut(
        rounds in 50u64..300,
        file in any::<Index>(),
        at in any::<Index>(),
        removed in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), rounds, 0);
        let file = &files[file.index(files.len())];
        let bytes = fs::read(file).unwrap();
        let kept = at.index(bytes.len() + 1);
        if removed {
            fs::remove_file(file).unwrap();
        } else {
            fs::write(file, &bytes[..kept]).unwrap();
        }
        let queue = queue(folder.path());
        prop_assert!(!queue.figures().has_failed);
        let found = drain(&queue);
        prop_assert!(found.keys().all(|number| *number < rounds));
        let (held, left) = match file.extension() {
            Some(extension) if extension == "wj1" && removed => (frames(&bytes), 0),
            Some(extension) if extension == "wj1" => (frames(&bytes), frames(&bytes[..kept])),
            // Only the rounds' own files hold rounds.
            Some(_) | None => (0, 0),
        };
        prop_assert_eq!(found.len() as u64, rounds - held + left);
        prop_assert!(!queue.has_waiting());
    }

    #[test]
    fn files_full_of_anything_are_left_alone_or_passed_over(
        name in "[a-z0-9.-]{1,30}|[0-9]{8}-[0-9]{20}-[0-9a-f]{16}\\.wj[1-3]|(delivered|other)\\.cursor1|offsets",
        content in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        prop_assume!(name != "." && name != ".." && name != "lock");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("queue")).unwrap();
        let file = folder.path().join("queue").join(&name);
        fs::write(&file, &content).unwrap();
        let queue = queue(folder.path());
        prop_assert!(!queue.figures().has_failed);
        prop_assert!(drain(&queue).is_empty());
        queue.set_offline(true);
        queue.push(record(1));
        queue.tend(MINUTE * 2);
        prop_assert_eq!(drain(&queue).len(), 1);
        if !name.ends_with(".wj1") && !name.contains(".cursor1") && name != "offsets" && name != "offsets.tmp" {
            prop_assert_eq!(fs::read(&file).unwrap(), content, "{}", name);
        }
    }
}
