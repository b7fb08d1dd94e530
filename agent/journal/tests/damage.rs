//! Damage to the files of a journal on the real file system.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use wan_journal::{HEADER_LEN, Item, Journal, Options, Reader, Seq};

fn options() -> Options {
    Options { segment_bytes: 2000, max_bytes: 1 << 20, zero_ahead: 700, ..Options::default() }
}

/// Writes the payloads, a group after another, and gives the place of every frame.
fn write(dir: &Path, groups: &[Vec<Vec<u8>>]) -> BTreeMap<u64, (PathBuf, Range<usize>, Vec<u8>)> {
    let (mut journal, _) = Journal::open_dir(dir, options()).unwrap();
    let mut places = BTreeMap::new();
    let mut file = PathBuf::new();
    let mut at = 0;
    for group in groups {
        let mut numbered = Vec::new();
        for payload in group {
            numbered.push((journal.append(payload).unwrap(), payload));
        }
        journal.sync().unwrap();
        let newest = segments(dir).pop().unwrap();
        if newest != file {
            (file, at) = (newest, 0);
        }
        for (seq, payload) in numbered {
            let end = at + HEADER_LEN + payload.len();
            places.insert(seq.0, (file.clone(), at..end, payload.clone()));
            at = end;
        }
    }
    places
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "wj1"));
    found.sort();
    found
}

fn read(mut reader: Reader) -> BTreeMap<u64, Vec<u8>> {
    let mut frames = BTreeMap::new();
    let mut next = 1;
    while let Some(item) = reader.read().unwrap() {
        match item {
            Item::Frame { seq, payload } => {
                assert_eq!(seq.0, next);
                frames.insert(seq.0, payload.to_vec());
            }
            Item::Gap(gap) => assert_eq!(gap.from.0, next),
        }
        next = reader.position().0;
    }
    frames
}

fn groups() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let payload = prop::collection::vec(any::<u8>(), 0..400);
    prop::collection::vec(prop::collection::vec(payload, 1..5), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn overwritten_bytes_cost_the_frames_they_touch_and_no_other(
        groups in groups(),
        hits in prop::collection::vec((any::<Index>(), any::<Index>(), 1..40usize, any::<u8>()), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let places = write(dir.path(), &groups);
        let files = segments(dir.path());
        let mut hit = Vec::new();
        for (file, at, len, with) in hits {
            let file = file.get(&files);
            let mut bytes = fs::read(file).unwrap();
            let from = at.index(bytes.len());
            let to = (from + len).min(bytes.len());
            bytes[from..to].fill(with);
            fs::write(file, bytes).unwrap();
            hit.push((file.clone(), from..to));
        }
        let untouched = |(_, (file, place, _)): &(&u64, &(PathBuf, Range<usize>, Vec<u8>))| {
            !hit.iter().any(|(path, range)| path == file && range.start < place.end && place.start < range.end)
        };
        let kept = places.iter().filter(untouched).map(|(seq, (_, _, payload))| (*seq, payload.clone()));
        let kept: BTreeMap<u64, Vec<u8>> = kept.collect();

        let check = |frames: BTreeMap<u64, Vec<u8>>| {
            for (seq, payload) in &kept {
                assert_eq!(frames.get(seq), Some(payload), "{seq} was not touched");
            }
            for (seq, payload) in &frames {
                assert_eq!(Some(payload), places.get(seq).map(|(_, _, payload)| payload));
            }
        };
        check(read(Reader::open_read_only(dir.path(), Seq::FIRST).unwrap()));

        let (mut journal, recovery) = Journal::open_dir(dir.path(), options()).unwrap();
        check(read(journal.reader(Seq::FIRST)));
        let seq = journal.append(b"goes on").unwrap();
        prop_assert_eq!(seq, recovery.next);
        journal.sync().unwrap();
        let mut frames = read(journal.reader(Seq::FIRST));
        prop_assert_eq!(frames.remove(&seq.0), Some(b"goes on".to_vec()));
    }

    #[test]
    fn bytes_cut_out_cost_the_frames_they_touch_and_no_other(
        groups in groups(),
        file: Index,
        at: Index,
        len in 1..900usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let places = write(dir.path(), &groups);
        let files = segments(dir.path());
        let file = file.get(&files);
        let mut bytes = fs::read(file).unwrap();
        let from = at.index(bytes.len());
        let to = (from + len).min(bytes.len());
        bytes.drain(from..to);
        fs::write(file, bytes).unwrap();
        let frames = read(Journal::open_dir(dir.path(), options()).unwrap().0.reader(Seq::FIRST));
        for (seq, (path, place, payload)) in &places {
            let touched = path == file && from < place.end && place.start < to;
            prop_assert!(frames.get(seq) == Some(payload) || touched && !frames.contains_key(seq), "{}", seq);
        }
    }
}

#[test]
fn a_frame_stored_inside_a_payload_is_not_taken_for_one_when_its_carrier_is_damaged() {
    // The best that a sender can do: bytes that are a whole, valid frame of another journal, many times over.
    let elsewhere = tempfile::tempdir().unwrap();
    write(elsewhere.path(), &vec![vec![b"not ours".to_vec()]; 20]);
    let stolen = fs::read(&segments(elsewhere.path())[0]).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let places = write(dir.path(), &[vec![stolen, b"after".to_vec()]]);
    let (file, place, _) = &places[&1];
    let mut bytes = fs::read(file).unwrap();
    bytes[place.start + 5] ^= 0x40;
    fs::write(file, bytes).unwrap();
    let frames = read(Journal::open_dir(dir.path(), options()).unwrap().0.reader(Seq::FIRST));
    assert_eq!(frames, BTreeMap::from([(2, b"after".to_vec())]));
}

#[test]
fn a_damaged_cursor_starts_from_the_oldest_frame_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[vec![b"one".to_vec(), b"two".to_vec()]]);
    let (mut journal, _) = Journal::open_dir(dir.path(), options()).unwrap();
    journal.set_cursor("forward", Seq(3)).unwrap();
    drop(journal);
    let file = dir.path().join("forward.cursor1");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("seq 3", "seq 2")).unwrap();
    let (journal, recovery) = Journal::open_dir(dir.path(), options()).unwrap();
    assert_eq!(recovery.damaged_cursors, ["forward"]);
    assert_eq!(journal.cursor("forward"), Some(Seq(1)));
}

#[test]
fn files_of_others_and_of_other_versions_are_reported_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[vec![b"one".to_vec()]]);
    let foreign = [
        "00000007-00000000000000000040-00000000000000ff.wj2",
        "1-1-1.wj1",
        "README",
        "forward.cursor2",
        "notes.txt.wj1",
    ];
    for name in foreign {
        fs::write(dir.path().join(name), "someone's\n").unwrap();
    }
    let (mut journal, recovery) = Journal::open_dir(dir.path(), options()).unwrap();
    assert_eq!(recovery.foreign, foreign);
    assert!(recovery.next > Seq(40), "the numbers that the newer segment has are not used again");
    let seq = journal.append(b"two").unwrap();
    journal.sync().unwrap();
    journal.set_cursor("all", seq.next()).unwrap();
    journal.trim().unwrap();
    for name in foreign {
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "someone's\n");
    }
}
