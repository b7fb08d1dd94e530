//! The journal against a model, on a disk that loses, tears and reorders what was not synced.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use wan_journal::sim::SimDisk;
use wan_journal::{FullPolicy, HEADER_LEN, Item, Journal, JournalError, Options, Reader, Recovery, Seq};

const CURSORS: [&str; 2] = ["ledger", "forward"];

#[derive(Debug, Clone)]
enum Step {
    Append(Payload),
    Sync,
    Discard,
    /// The reader that was opened first goes on; a new one reads all; so does one of another process.
    Read,
    SetCursor(usize, Index),
    AdvanceCursor(usize, Index),
    Trim,
    Reopen,
    Crash,
    /// So many changing operations succeed, then so many fail.
    Fault(u32, u32),
    LeaveFree(Option<u64>),
    Flip(Index, Index, u32),
    CutTail(Index, usize),
    CutMiddle(Index, Index, usize),
    FlipCursor(usize, Index),
}

#[derive(Debug, Clone)]
enum Payload {
    /// So many bytes, made from the seed.
    Random(usize, u64),
    Zeros(usize),
    /// Holds what looks like the frames that come next, made with a guessed salt.
    Forged(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let payload = prop_oneof![
        6 => (0..300usize, any::<u64>()).prop_map(|(len, seed)| Payload::Random(len, seed)),
        1 => (400..1500usize).prop_map(Payload::Zeros),
        2 => any::<u64>().prop_map(Payload::Forged),
    ];
    let index = any::<Index>();
    let cursor = 0..CURSORS.len();
    prop_oneof![
        30 => payload.prop_map(Step::Append),
        20 => Just(Step::Sync),
        1 => Just(Step::Discard),
        6 => Just(Step::Read),
        4 => (cursor.clone(), index.clone()).prop_map(|(cursor, to)| Step::SetCursor(cursor, to)),
        4 => (cursor.clone(), index.clone()).prop_map(|(cursor, to)| Step::AdvanceCursor(cursor, to)),
        3 => Just(Step::Trim),
        4 => Just(Step::Reopen),
        5 => Just(Step::Crash),
        4 => (0..8u32, 1..4u32).prop_map(|(good, bad)| Step::Fault(good, bad)),
        2 => prop::option::of(0..3000u64).prop_map(Step::LeaveFree),
        2 => (index.clone(), index.clone(), 0..8u32).prop_map(|(file, at, bit)| Step::Flip(file, at, bit)),
        1 => (index.clone(), 1..200usize).prop_map(|(file, len)| Step::CutTail(file, len)),
        1 => (index.clone(), index.clone(), 1..200usize).prop_map(|(file, at, len)| Step::CutMiddle(file, at, len)),
        1 => (cursor, index).prop_map(|(cursor, at)| Step::FlipCursor(cursor, at)),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let full = prop_oneof![Just(FullPolicy::Refuse), Just(FullPolicy::DropOldest)];
    (200..3000u64, 2..20u64, full, prop_oneof![Just(0), 1..1500u64]).prop_map(
        |(segment, times, full, ahead)| Options {
            segment_bytes: segment,
            max_bytes: segment * times,
            full,
            max_payload: 1500,
            max_unsynced: 6000,
            zero_ahead: ahead.min(segment),
        },
    )
}

struct Model {
    disk: SimDisk,
    options: Options,
    journal: Option<Journal<SimDisk>>,
    follower: Option<Reader<SimDisk>>,
    /// Every payload that was ever appended under a number.
    candidates: BTreeMap<u64, Vec<Vec<u8>>>,
    /// Must be read back.
    durable: BTreeMap<u64, Vec<u8>>,
    /// Were once durable, and may be gone since: their numbers are not used again all the same.
    used: BTreeSet<u64>,
    waiting: Vec<(u64, Vec<u8>)>,
    /// What each cursor's file may say.
    on_disk: BTreeMap<&'static str, BTreeSet<Option<u64>>>,
    in_memory: BTreeMap<&'static str, u64>,
    damaged_cursors: BTreeSet<&'static str>,
    /// A sync failed and none has succeeded since.
    sync_failed: bool,
    /// Bytes were cut off or out of a segment.
    cut: bool,
    /// Of a failed sync, and found in the cache by the next process: on the disk or not, nobody can tell.
    /// Never acknowledged.
    doubtful: BTreeSet<u64>,
}

impl Model {
    fn new(seed: u64, options: Options) -> Self {
        let on_disk = CURSORS.iter().map(|name| (*name, BTreeSet::from([None]))).collect();
        let mut model = Self {
            disk: SimDisk::new(seed),
            options,
            journal: None,
            follower: None,
            candidates: BTreeMap::new(),
            durable: BTreeMap::new(),
            used: BTreeSet::new(),
            waiting: Vec::new(),
            on_disk,
            in_memory: BTreeMap::new(),
            damaged_cursors: BTreeSet::new(),
            sync_failed: false,
            cut: false,
            doubtful: BTreeSet::new(),
        };
        model.open();
        model
    }

    fn journal(&mut self) -> &mut Journal<SimDisk> {
        self.journal.as_mut().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(payload) => self.append(payload),
            Step::Sync => self.sync(),
            Step::Discard => {
                self.journal().discard_unsynced();
                self.waiting.clear();
            }
            Step::Read => self.read(),
            Step::SetCursor(cursor, to) => self.set_cursor(CURSORS[cursor], to, true),
            Step::AdvanceCursor(cursor, to) => self.set_cursor(CURSORS[cursor], to, false),
            Step::Trim => self.trim(),
            Step::Reopen => self.reopen(false),
            Step::Crash => self.reopen(true),
            Step::Fault(good, bad) => self.disk.fail(good, bad),
            Step::LeaveFree(free) => self.disk.leave_free(free),
            Step::Flip(file, at, bit) => self.damage(file, |len| {
                let at = at.index(len);
                (
                    at..at + 1,
                    Box::new(move |bytes: &mut Vec<u8>| {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 1 << bit;
                        }
                    }),
                )
            }),
            Step::CutTail(file, cut) => self.damage(file, |len| {
                let from = len.saturating_sub(cut);
                (from..len, Box::new(move |bytes: &mut Vec<u8>| bytes.truncate(from)))
            }),
            Step::CutMiddle(file, at, cut) => self.damage_closed(file, |len| {
                let from = at.index(len);
                let to = (from + cut).min(len);
                (
                    from..to,
                    Box::new(move |bytes: &mut Vec<u8>| {
                        let len = bytes.len();
                        bytes.drain(from.min(len)..to.min(len));
                    }),
                )
            }),
            Step::FlipCursor(cursor, at) => self.flip_cursor(CURSORS[cursor], at),
        }
    }

    fn append(&mut self, payload: Payload) {
        let next = self.journal().next_seq().0;
        let payload = match payload {
            Payload::Random(len, seed) => random(len, seed),
            Payload::Zeros(len) => vec![0; len],
            Payload::Forged(salt) => (0..4).flat_map(|ahead| forge(next + ahead, salt)).collect(),
        };
        match self.journal().append(&payload) {
            Ok(seq) => {
                assert_eq!(seq.0, next);
                assert!(!self.used.contains(&seq.0), "{seq} was durable once and is used again");
                self.candidates.entry(seq.0).or_default().push(payload.clone());
                self.waiting.push((seq.0, payload));
            }
            Err(JournalError::Full { .. } | JournalError::Unsynced { .. }) => {
                assert_eq!(self.journal().next_seq().0, next);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn sync(&mut self) {
        let oldest = self.journal().oldest();
        let done = self.journal().sync();
        let dropped = self.journal().take_dropped();
        if self.journal().oldest() > oldest {
            assert_eq!(self.options.full, FullPolicy::DropOldest);
            let from = self.slowest().unwrap_or(1).max(oldest.0);
            let to = self.journal().oldest().0;
            assert_eq!(
                dropped.map_or(to, |range| range.from.0),
                from.min(to),
                "told what went and was not done"
            );
            self.durable.retain(|seq, _| *seq >= to);
        }
        if let Some(dropped) = dropped {
            assert!(dropped.to < self.journal().oldest());
        }
        match done {
            Ok(last) => {
                if !self.waiting.is_empty() {
                    self.sync_failed = false;
                }
                for (seq, payload) in std::mem::take(&mut self.waiting) {
                    assert!(seq <= last.0);
                    self.used.insert(seq);
                    self.doubtful.remove(&seq);
                    self.durable.insert(seq, payload);
                }
                assert_eq!(last.next(), self.journal().next_seq());
            }
            Err(JournalError::Io { .. }) => self.sync_failed = true,
            Err(error) => panic!("{error}"),
        }
    }

    fn slowest(&self) -> Option<u64> {
        self.in_memory.values().copied().min()
    }

    fn set_cursor(&mut self, name: &'static str, to: Index, durable: bool) {
        let end = self.journal().durable().0 + 1;
        let to = u64::try_from(to.index(usize::try_from(end).unwrap())).unwrap() + 1;
        self.in_memory.insert(name, to);
        self.journal().advance_cursor(name, Seq(to)).unwrap();
        let past = self.journal().set_cursor(name, Seq(end + 1)).unwrap_err();
        assert!(matches!(past, JournalError::CursorPastEnd { .. }));
        if durable {
            let done = self.journal().sync_cursors();
            self.cursors_saved(done.is_ok());
        }
    }

    fn cursors_saved(&mut self, done: bool) {
        for (name, seq) in &self.in_memory {
            let on_disk = self.on_disk.get_mut(name).unwrap();
            if done && !self.damaged_cursors.contains(name) {
                on_disk.clear();
            }
            on_disk.insert(Some(*seq));
        }
    }

    fn trim(&mut self) {
        let slowest = self.slowest();
        let done = self.journal().trim();
        self.cursors_saved(done.is_ok());
        // Their removal may have come to the disk or not.
        self.durable.retain(|seq, _| slowest.is_none_or(|slowest| *seq >= slowest));
        assert!(matches!(done, Ok(_) | Err(JournalError::Io { .. })));
    }

    fn reopen(&mut self, crash: bool) {
        drop(self.journal.take());
        if crash {
            self.disk.crash();
        }
        self.disk.leave_free(None);
        self.open();
    }

    fn open(&mut self) {
        // Faults may still be on: then opening fails with an error, and succeeds when they are over.
        let (journal, recovery) = match Journal::open(self.disk.clone(), self.options) {
            Ok(opened) => opened,
            Err(JournalError::Io { .. }) => {
                self.disk.fail(0, 0);
                Journal::open(self.disk.clone(), self.options).unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        assert_eq!(recovery.foreign, Vec::<String>::new());
        self.check_cursors(&journal, &recovery);
        self.waiting.clear();
        // A follower goes on where it was: what it has seen was durable. Not so what a process that came
        // after a failed sync found in the cache, and what was cut off has left no trace of its number but in
        // a cursor.
        let unsure = self.sync_failed || self.cut;
        let follower =
            self.follower.take().filter(|follower| !unsure || follower.position() <= journal.next_seq());
        let from = follower.map_or(Seq::FIRST, |follower| follower.position());
        assert!(from <= journal.next_seq());
        self.follower = Some(journal.reader(from));
        self.journal = Some(journal);
        let survived = self.read_all();
        for (seq, payload) in survived {
            if self.sync_failed && !self.durable.contains_key(&seq) {
                self.doubtful.insert(seq);
            } else if !self.doubtful.contains(&seq) {
                self.used.insert(seq);
                self.durable.insert(seq, payload);
            }
        }
    }

    fn check_cursors(&mut self, journal: &Journal<SimDisk>, recovery: &Recovery) {
        self.in_memory.clear();
        for name in CURSORS {
            let found = journal.cursor(name).map(|seq| seq.0);
            if recovery.damaged_cursors.iter().any(|damaged| damaged == name) {
                assert!(self.damaged_cursors.contains(name));
                assert_eq!(found, Some(recovery.oldest.0));
            } else {
                assert!(
                    self.on_disk[name].contains(&found),
                    "{name}: {found:?} not in {:?}",
                    self.on_disk[name]
                );
                // Still only in the cache, perhaps.
            }
            if let Some(found) = found {
                assert!(found <= journal.next_seq().0);
                self.in_memory.insert(name, found);
            }
        }
    }

    fn read_all(&mut self) -> BTreeMap<u64, Vec<u8>> {
        let mut reader = self.journal().reader(Seq::FIRST);
        let end = self.journal().durable();
        let seen = self.check(&mut reader, Some(end));
        for (seq, payload) in &self.durable {
            assert_eq!(seen.get(seq), Some(payload), "{seq} was durable");
        }
        seen
    }

    fn read(&mut self) {
        self.read_all();
        let end = self.journal().durable();
        let Some(mut follower) = self.follower.take() else { return };
        let from = follower.position().0;
        let seen = self.check(&mut follower, Some(end));
        for (seq, payload) in self.durable.range(from..) {
            assert_eq!(seen.get(seq), Some(payload), "{seq} was durable");
        }
        self.follower = Some(follower);
        let mut other = Reader::on(self.disk.clone(), Seq::FIRST).unwrap();
        let seen = self.check(&mut other, None);
        for (seq, payload) in &self.durable {
            assert_eq!(seen.get(seq), Some(payload), "{seq} was durable");
        }
    }

    /// Reads to the end; every number must come once, in order, in a frame that was appended or in a gap.
    fn check(&self, reader: &mut Reader<SimDisk>, end: Option<Seq>) -> BTreeMap<u64, Vec<u8>> {
        let mut seen = BTreeMap::new();
        loop {
            let position = reader.position();
            match reader.read().unwrap() {
                None => break,
                Some(Item::Gap(gap)) => {
                    assert!(gap.from == position && gap.to >= gap.from, "{gap} at {position}");
                    assert_eq!(reader.position(), gap.to.next());
                }
                Some(Item::Frame { seq, payload }) => {
                    assert_eq!(seq, position);
                    let whole =
                        self.candidates.get(&seq.0).is_some_and(|all| all.iter().any(|one| one == payload));
                    assert!(whole, "{seq} was never appended");
                    seen.insert(seq.0, payload.to_vec());
                }
            }
        }
        if let Some(end) = end {
            assert!(reader.position() > end);
        }
        seen
    }

    fn segments(&self) -> Vec<String> {
        let mut names = self.disk.names();
        names.retain(|name| name.ends_with(".wj1"));
        names
    }

    fn damage(
        &mut self,
        file: Index,
        how: impl Fn(usize) -> (std::ops::Range<usize>, Box<dyn Fn(&mut Vec<u8>)>),
    ) {
        let names = self.segments();
        if names.is_empty() {
            return;
        }
        let name = &names[file.index(names.len())];
        let bytes = self.disk.contents(name);
        if bytes.is_empty() {
            return;
        }
        let (touched, change) = how(bytes.len());
        let cut = {
            let mut after = bytes.clone();
            change(&mut after);
            after.len() < bytes.len()
        };
        if cut {
            self.cut = true;
        }
        for (seq, payloads) in &self.candidates {
            for payload in payloads {
                for at in occurrences(&bytes, &head(*seq, payload.len())) {
                    let frame = at..at + HEADER_LEN + payload.len();
                    if frame.start < touched.end && touched.start < frame.end {
                        self.durable.remove(seq);
                    }
                }
            }
        }
        if cut {
            // What was cut off as a whole leaves no trace of its number.
            self.used.retain(|seq| self.durable.contains_key(seq));
        }
        self.disk.corrupt(name, change);
    }

    /// As [`Self::damage`], but not on the newest segment: the writer writes at its offsets there.
    fn damage_closed(
        &mut self,
        file: Index,
        how: impl Fn(usize) -> (std::ops::Range<usize>, Box<dyn Fn(&mut Vec<u8>)>),
    ) {
        // After reopening every segment is closed.
        self.reopen(false);
        self.damage(file, how);
        self.reopen(false);
    }

    fn flip_cursor(&mut self, name: &'static str, at: Index) {
        let file = format!("{name}.cursor1");
        let len = self.disk.contents(&file).len();
        if len > 0 {
            let at = at.index(len);
            self.disk.corrupt(&file, |bytes| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
            });
            self.damaged_cursors.insert(name);
        }
    }
}

fn random(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// How a frame begins on the disk, as far as that does not depend on the salt.
fn head(seq: u64, len: usize) -> Vec<u8> {
    let len = u32::try_from(len).unwrap();
    [b"\xF7WJ1".as_slice(), &len.to_le_bytes(), &seq.to_le_bytes()].concat()
}

/// A frame made apart from the crate, for a salt that is not the segment's.
fn forge(seq: u64, salt: u64) -> Vec<u8> {
    let payload = b"forged";
    let mut hasher = crc32fast::Hasher::new_with_initial((salt >> 32) as u32);
    hasher.update(payload);
    let mut frame = head(seq, payload.len());
    frame.extend(hasher.finalize().to_le_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(salt as u32);
    hasher.update(&frame);
    frame.extend(hasher.finalize().to_le_bytes());
    frame.extend(payload);
    frame
}

fn occurrences<'a>(bytes: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(wanted.len()).enumerate().filter(move |(_, window)| *window == wanted).map(|(at, _)| at)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_time: 60_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_synced_is_read_back_once_in_order_and_whole(
        seed: u64,
        options in options(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut model = Model::new(seed, options);
        for step in steps {
            model.step(step);
        }
        model.read();
        model.reopen(true);
        model.read();
    }
}
