//! Runs every text scenario in `tests/scenarios/`: what happened in a few lines, and the rows that must follow.
//!
//! A scenario reads like a log; `tests/scenarios/README.md` describes the format. `SCENARIO_PRINT=1` prints what each
//! expectation gives now (with `--nocapture`), to be read, judged and pasted.
//!
//! Beside its expectations every scenario is run with its rounds in reverse and with each of them twice: the evidence must be
//! identical.

#[path = "scenarios/asked.rs"]
mod asked;
#[path = "scenarios/told.rs"]
mod told;
#[path = "scenarios/works.rs"]
mod works;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use asked::Answers;
use told::{Scenario, Told};

#[test]
fn every_scenario_gives_the_rows_it_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the scenarios' folder")
        .map(|entry| entry.expect("an entry of the scenarios' folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 40, "only {} scenarios in {}", files.len(), folder.display());
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a scenario");
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(file).display().to_string();
        wrong.extend(run(&name, &text));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_mistake_in_a_scenario_is_named_by_line() {
    let text = "site a commune state\nrounds a wan 08:00..08:10 upp\nrounds b wan 08:00..08:10 up\n";
    let wrong = run("x.txt", text);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].starts_with("x.txt:2: outcome `upp`"), "{}", wrong[0]);
    assert!(wrong[1].starts_with("x.txt:3: no site `b`"), "{}", wrong[1]);
    let text = "site a commune state\nexpect timeline a over 08:00..08:10\n  08:00:00 08:10:00 up\n";
    assert!(run("x.txt", text)[0].starts_with("x.txt:3: expected `08:00:00 08:10:00 up`"));
}

/// Every deviation, as `file:line: what`.
fn run(name: &str, text: &str) -> Vec<String> {
    let print = std::env::var_os("SCENARIO_PRINT").is_some();
    let mut wrong = Vec::new();
    let mut scenario = match Scenario::new() {
        Ok(scenario) => scenario,
        Err(problem) => return vec![problem],
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let words: Vec<&str> = content(lines[at]).split_whitespace().collect();
        at += 1;
        if words.first() != Some(&"expect") {
            wrong.extend(scenario.tell(&words).err().map(|problem| format!("{name}:{number}: {problem}")));
            continue;
        }
        let first = at;
        while at < lines.len() && lines[at].starts_with(' ') {
            at += 1;
        }
        let rows = (first..at).map(|row| (row + 1, squeeze(content(lines[row]))));
        let expected: Vec<(usize, String)> = rows.filter(|(_, row)| !row.is_empty()).collect();
        let answer = |scenario: &Scenario| -> Told<Vec<String>> { Answers::new(scenario)?.ask(&words[1..]) };
        match answer(&scenario) {
            Err(problem) => wrong.push(format!("{name}:{number}: {problem}")),
            Ok(actual) => {
                if print {
                    println!("{name}:{number}: {}", words.join(" "));
                    actual.iter().for_each(|row| println!("  {row}"));
                }
                wrong.extend(compare(name, number, &expected, &actual));
            }
        }
    }
    let twice = scenario.rounds.iter().rev().flat_map(|round| [round, round]);
    if scenario.evidence(twice) != scenario.evidence(scenario.rounds.iter()) {
        wrong.push(format!("{name}: the rounds in reverse and twice give other evidence"));
    }
    wrong
}

fn compare(name: &str, number: usize, expected: &[(usize, String)], actual: &[String]) -> Option<String> {
    let rows = expected.len().max(actual.len());
    let differs =
        |&row: &usize| expected.get(row).map(|e| &e.1) != actual.get(row).map(|a| squeeze(a)).as_ref();
    let row = (0..rows).find(differs)?;
    let line = expected.get(row).map_or(number, |e| e.0);
    let expected = expected.get(row).map_or("no more rows", |e| &e.1);
    let found = actual.get(row).map_or("no more rows", String::as_str);
    let mut text = format!("{name}:{line}: expected `{expected}`, found `{found}`; all of it:");
    for row in actual {
        let _ = write!(text, "\n  {row}");
    }
    Some(text)
}

fn content(line: &str) -> &str {
    line.split('#').next().unwrap_or("")
}

fn squeeze(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}
