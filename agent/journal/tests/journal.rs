//! The journal on the real file system.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use wan_journal::{FullPolicy, Item, Journal, JournalError, Options, Reader, Recovery, Seq, SeqRange};

fn options() -> Options {
    Options { segment_bytes: 1000, max_bytes: 100_000, zero_ahead: 500, ..Options::default() }
}

fn open(dir: &Path, options: Options) -> (Journal, Recovery) {
    Journal::open_dir(dir, options).unwrap()
}

/// `Ok((number, payload))` for a frame, `Err((from, to))` for a gap.
type Read = Result<(u64, Vec<u8>), (u64, u64)>;

fn drain(reader: &mut Reader) -> Vec<Read> {
    let mut items = Vec::new();
    while let Some(item) = reader.read().unwrap() {
        items.push(match item {
            Item::Frame { seq, payload } => Ok((seq.0, payload.to_vec())),
            Item::Gap(gap) => Err((gap.from.0, gap.to.0)),
        });
    }
    items
}

fn payload(number: u64) -> Vec<u8> {
    format!("payload {number} ").into_bytes().repeat(10)
}

fn fill(journal: &mut Journal, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(journal.append(&payload(number)).unwrap(), Seq(number));
        assert_eq!(journal.sync().unwrap(), Seq(number));
    }
}

fn frames(numbers: std::ops::RangeInclusive<u64>) -> Vec<Read> {
    numbers.map(|number| Ok((number, payload(number)))).collect()
}

#[test]
fn what_was_synced_is_read_back_in_order_now_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovery) = open(dir.path(), options());
    assert_eq!(recovery, Recovery { oldest: Seq(1), next: Seq(1), ..Recovery::default() });
    fill(&mut journal, 1..=50);
    assert_eq!(drain(&mut journal.reader(Seq(1))), frames(1..=50));
    assert_eq!(drain(&mut journal.reader(Seq(33))), frames(33..=50));
    drop(journal);

    let (mut journal, recovery) = open(dir.path(), options());
    assert!(recovery.segments > 3);
    assert_eq!((recovery.next, recovery.torn_bytes, recovery.torn), (Seq(51), 0, None));
    fill(&mut journal, 51..=60);
    assert_eq!(drain(&mut journal.reader(Seq(1))), frames(1..=60));
}

#[test]
fn journal_and_reader_can_be_moved_between_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Journal>();
    is_send::<Reader>();
}

#[test]
fn a_reader_follows_the_writer_and_never_passes_the_durable_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options());
    let mut reader = journal.reader(Seq(1));
    assert_eq!(drain(&mut reader), []);
    for number in 1..=40 {
        journal.append(&payload(number)).unwrap();
        assert_eq!(drain(&mut reader), [], "not durable yet");
        journal.sync().unwrap();
        assert_eq!(drain(&mut reader), frames(number..=number));
    }
}

#[test]
fn another_process_can_read_a_live_journal_but_not_write_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options());
    let mut reader = Reader::open_read_only(dir.path(), Seq(1)).unwrap();
    for round in 0..10 {
        fill(&mut journal, round * 3 + 1..=round * 3 + 3);
        assert_eq!(drain(&mut reader), frames(round * 3 + 1..=round * 3 + 3));
    }
    let refused = Journal::open_dir(dir.path(), options()).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { .. }));
    assert!(refused.to_string().contains(&dir.path().display().to_string()));
}

#[test]
fn trim_removes_what_every_cursor_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options());
    fill(&mut journal, 1..=50);
    assert_eq!(journal.trim().unwrap().segments, 0, "no cursor: nothing is known to be done");
    journal.set_cursor("ledger", Seq(40)).unwrap();
    journal.set_cursor("forward", Seq(20)).unwrap();
    let before = journal.used_bytes();
    let trimmed = journal.trim().unwrap();
    assert!(trimmed.segments > 0);
    assert_eq!(journal.used_bytes(), before - trimmed.bytes);
    assert!(journal.oldest() > Seq(1) && journal.oldest() <= Seq(20));
    assert_eq!(drain(&mut journal.reader(Seq(20))), frames(20..=50));

    assert!(journal.remove_cursor("forward").unwrap());
    journal.set_cursor("ledger", Seq(51)).unwrap();
    journal.trim().unwrap();
    drop(journal);
    let (mut journal, recovery) = open(dir.path(), options());
    assert_eq!(recovery.next, Seq(51));
    assert_eq!(journal.cursor("ledger"), Some(Seq(51)));
    assert_eq!(journal.cursor("forward"), None);
    fill(&mut journal, 51..=52);
    assert_eq!(drain(&mut journal.reader(Seq(51))), frames(51..=52));
}

#[test]
fn a_full_journal_refuses_until_it_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), Options { max_bytes: 3000, ..options() });
    let mut last = 0;
    let refused = loop {
        match journal.append(&payload(last + 1)) {
            Ok(seq) => last = seq.0,
            Err(error) => break error,
        }
        journal.sync().unwrap();
        assert!(journal.used_bytes() <= 3000);
    };
    assert!(matches!(refused, JournalError::Full { max: 3000, .. }), "{refused}");
    assert_eq!(drain(&mut journal.reader(Seq(1))), frames(1..=last));
    journal.set_cursor("all", Seq(last + 1)).unwrap();
    journal.trim().unwrap();
    fill(&mut journal, last + 1..=last + 1);
}

#[test]
fn a_full_journal_that_drops_says_which_frames_went() {
    let dir = tempfile::tempdir().unwrap();
    let dropping = Options { max_bytes: 3000, full: FullPolicy::DropOldest, ..options() };
    let (mut journal, _) = open(dir.path(), dropping);
    fill(&mut journal, 1..=10);
    journal.set_cursor("push", Seq(3)).unwrap();
    fill(&mut journal, 11..=60);
    assert!(journal.used_bytes() <= 3000);
    let oldest = journal.oldest();
    let gone = SeqRange { from: Seq(3), to: oldest.previous() };
    assert_eq!(journal.take_dropped(), Some(gone), "1 and 2 were done");
    assert_eq!(journal.take_dropped(), None);
    let mut expected = vec![Err((3, oldest.0 - 1))];
    expected.extend(frames(oldest.0..=60));
    assert_eq!(drain(&mut journal.reader(journal.cursor("push").unwrap())), expected);
}

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = [
        ("segment_bytes", Options { segment_bytes: 0, ..options() }),
        ("max_bytes", Options { max_bytes: 1999, ..options() }),
        ("max_payload", Options { max_payload: u32::MAX, ..options() }),
        ("max_unsynced", Options { max_unsynced: 4 << 20, ..options() }),
        ("zero_ahead", Options { zero_ahead: 1001, ..options() }),
    ];
    for (name, options) in wrong {
        let refused = Journal::open_dir(dir.path(), options).unwrap_err();
        assert!(matches!(refused, JournalError::Option { option, .. } if option == name), "{refused}");
    }
}

#[test]
fn limits_refuse_and_leave_the_journal_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), Options { max_payload: 100, max_unsynced: 300, ..options() });
    assert!(matches!(journal.append(&[0; 101]), Err(JournalError::TooLong { len: 101, max: 100 })));
    journal.append(&[1; 100]).unwrap();
    journal.append(&[2; 100]).unwrap();
    assert!(matches!(journal.append(&[3; 100]), Err(JournalError::Unsynced { waiting: 248, max: 300, .. })));
    assert_eq!(journal.sync().unwrap(), Seq(2));
    assert_eq!(drain(&mut journal.reader(Seq(1))), [Ok((1, vec![1; 100])), Ok((2, vec![2; 100]))]);
}

#[test]
fn readers_beside_a_busy_writer_see_every_frame_once_and_no_gap() {
    const LAST: u64 = 3000;
    let dir = tempfile::tempdir().unwrap();
    let wide = Options { segment_bytes: 200_000, max_bytes: 10 << 20, zero_ahead: 30_000, ..options() };
    let (mut journal, _) = open(dir.path(), wide);
    let readers = [journal.reader(Seq(1)), Reader::open_read_only(dir.path(), Seq(1)).unwrap()];
    std::thread::scope(|scope| {
        for mut reader in readers {
            scope.spawn(move || {
                while reader.position() <= Seq(LAST) {
                    match reader.read().unwrap() {
                        Some(Item::Frame { seq, payload: found }) => assert_eq!(found, payload(seq.0)),
                        Some(Item::Gap(gap)) => panic!("{gap}"),
                        None => std::thread::yield_now(),
                    }
                }
            });
        }
        while journal.next_seq() <= Seq(LAST) {
            for _ in 0..journal.next_seq().0 % 50 + 1 {
                journal.append(&payload(journal.next_seq().0)).unwrap();
            }
            journal.sync().unwrap();
        }
    });
}

#[test]
fn missing_directories_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("var/lib/journal");
    let (mut journal, _) = open(&deep, options());
    fill(&mut journal, 1..=2);
    assert!(deep.join("lock").exists());
}
