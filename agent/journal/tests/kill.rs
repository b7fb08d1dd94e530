//! A process that is killed while it writes loses nothing that it said was durable.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use wan_journal::{Item, Journal, Options, Seq, SeqRange};

const DIR: &str = "WAN_JOURNAL_KILLED_IN";

fn options() -> Options {
    Options { segment_bytes: 100_000, zero_ahead: 20_000, max_bytes: 1 << 30, ..Options::default() }
}

fn payload(seq: u64) -> Vec<u8> {
    format!("{seq} ").into_bytes().repeat(usize::try_from(seq % 300).unwrap())
}

/// Not a test of its own: the process that the one below starts and kills.
#[test]
#[ignore = "started by the test below"]
fn writer() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (mut journal, recovery) = Journal::open_dir(Path::new(&dir), options()).unwrap();
    assert_eq!(recovery.foreign, Vec::<String>::new());
    let mut out = std::io::stdout().lock();
    loop {
        let group = journal.next_seq().0 % 7 + 1;
        for _ in 0..group {
            let seq = journal.next_seq();
            journal.append(&payload(seq.0)).unwrap();
        }
        let durable = journal.sync().unwrap();
        journal.set_cursor("half", Seq(durable.0 / 2 + 1)).unwrap();
        // One write, so that what arrives is a whole line or a partial last one.
        out.write_all(format!("durable {}\n", durable.0).as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_said_was_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut durable = 0;
    let mut passed_over = Vec::new();
    for round in 0..15u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        // After so many groups, somewhere within the next one.
        let mut left = 1 + round * 5;
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_suffix('\n').and_then(|line| line.strip_prefix("durable ")) {
                durable = said.parse().unwrap();
                left = left.saturating_sub(1);
                if left == 0 {
                    // Killed; what it said before it died is still read.
                    child.kill().unwrap();
                }
            }
            line.clear();
        }
        child.wait().unwrap();

        let (journal, recovery) = Journal::open_dir(dir.path(), options()).unwrap();
        assert!(recovery.next.0 > durable);
        // A frame that the kill tore was not durable; its number is passed over.
        assert!(recovery.torn.is_none_or(|range| range.from.0 > durable));
        passed_over.extend(recovery.torn);
        assert!(journal.cursor("half") >= Some(Seq(durable / 2 + 1)));
        let mut frames = BTreeMap::new();
        let mut reader = journal.reader(Seq::FIRST);
        while let Some(item) = reader.read().unwrap() {
            match item {
                Item::Frame { seq, payload } => assert!(frames.insert(seq.0, payload.to_vec()).is_none()),
                Item::Gap(gap) => assert!(passed_over.contains(&gap), "{gap}"),
            }
        }
        for seq in 1..=durable {
            let never = passed_over.iter().any(|range: &SeqRange| (range.from.0..=range.to.0).contains(&seq));
            assert!(frames.contains_key(&seq) || never, "{seq} of {durable} in round {round}");
        }
        assert!(frames.iter().all(|(seq, bytes)| *bytes == payload(*seq)));
    }
    assert!(durable > 200);
}
