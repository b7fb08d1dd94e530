//! `wan-collector coverage` and `uptime` as a user runs them, on a data folder that the store has written.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;
mod register;

use assert_cmd::Command;
use common::{Folder, HOUR, START};
use serde_json::Value;
use wan_collector::api::{coverage, uptime};
use wan_collector::province::Province;
use wan_wire::UnixMillis;

impl Folder {
    fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = Command::cargo_bin("wan-collector").unwrap();
        command.env_remove("WANWATCH_CONFIG").args(["--config", &self.path()]).args(arguments).assert()
    }

    fn output(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).success().get_output().stdout.clone()).unwrap()
    }
}

const DAY: [&str; 4] = ["--from", "2025-11-01", "--to", "2025-11-02"];

#[test]
fn json_is_what_the_api_answers_for_the_same_question() {
    let folder = Folder::prepare();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(wan_collector::load_read_only(folder.config())).unwrap();
    let province = Province::of(&state, UnixMillis(START + 1000 * 24 * HOUR));

    let (from, to) = (Some("2025-11-01"), Some("2025-11-02"));
    let expected =
        coverage::answer(&province, coverage::Question { from, to, ..Default::default() }).unwrap();
    let printed = folder.output(&[&["coverage", "--format", "json"], &DAY[..]].concat());
    assert_eq!(printed, serde_json::to_string(&expected).unwrap() + "\n");

    let at = Some("2025-11-01T04:30");
    let expected = coverage::answer(&province, coverage::Question { at, ..Default::default() }).unwrap();
    let printed = folder.output(&["coverage", "--at", "2025-11-01T04:30", "--format", "json"]);
    assert_eq!(printed, serde_json::to_string(&expected).unwrap() + "\n");

    let expected = uptime::answer(&province, uptime::Question { from, to, ..Default::default() }).unwrap();
    let printed = folder.output(&[&["uptime", "--format", "json"], &DAY[..]].concat());
    assert_eq!(printed, serde_json::to_string(&expected).unwrap() + "\n");
    let figures: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&figures["rows"][0]["uptime"], &figures["rows"][0]["observed_share"]),
        (&0.95.into(), &(20.0 / 24.0).into())
    );
}

#[test]
fn the_table_says_zone_bounds_and_standing() {
    let folder = Folder::prepare();
    let table = folder.output(&[&["coverage"], &DAY[..]].concat());
    assert!(table.contains("from 2025-11-01T00:00:00+07:00 to 2025-11-02T00:00:00+07:00"), "{table}");
    assert!(table.contains("(Asia/Ho_Chi_Minh)"), "{table}");
    // 19 of 24 hours covered, 4 unknown, of one of two sites.
    assert!(table.contains("39.58 %") && table.contains("47.92 %") && table.contains("50.00 %"), "{table}");
    assert!(table.contains("missed"), "{table}");
    let table = folder.output(&[&["uptime", "--site", "xa-a"], &DAY[..]].concat());
    for shown in ["95.00 %", "79.17 %", "95.83 %", "83.33 %", "1 h", "(site)", "internet"] {
        assert!(table.contains(shown), "{shown} in {table}");
    }
}

#[test]
fn csv_has_one_row_a_figure_and_names_quoted() {
    let folder = Folder::prepare();
    let text = folder.output(&[&["uptime", "--format", "csv"], &DAY[..]].concat());
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(
        lines.len(),
        1 + 4 + 2,
        "head; a site and three links; a site and the link of its entry: {text}"
    );
    assert!(
        lines[1]
            .starts_with("xa-a,\"Ủy ban nhân dân xã \"\"A\"\", Trảng Bàng\",commune,state,,,,,2025-11-01T00"),
        "{}",
        lines[1]
    );
    let text =
        folder.output(&["coverage", "--format", "csv", "--at", "2025-11-01T04:30", "--tier", "commune"]);
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(lines[2], "commune,,,,2025-11-01T04:30:00+07:00,,,2,1,0,2,0,0.5,0,0,0.5,missed");
}

#[test]
fn a_question_that_cannot_be_answered_says_why() {
    let folder = Folder::prepare();
    let cases: [(&[&str], &str); 6] = [
        (&["coverage", "--at", "01/11/2025"], "at: found “01/11/2025”, expected a day"),
        (&["coverage", "--from", "2025-11-02", "--to", "2025-11-01"], "before to=2025-11-01"),
        (&["uptime", "--site", "xa-c"], "did you mean xa-"),
        (&["uptime", "--tier", "comune"], "did you mean commune?"),
        (&["uptime", "--site", "xa-a", "--link", "wan-x"], "it has internet, lan, wan"),
        (&["uptime", "--from", "-1x"], "found “-1x”"),
    ];
    for (arguments, expected) in cases {
        let failed = folder.run(arguments).code(1);
        let said = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    folder.run(&["coverage", "--at", "now", "--from", "-1h"]).code(2);
}

#[test]
fn a_folder_without_data_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("collector.yaml");
    std::fs::write(&file, "data: data\n").unwrap();
    let mut command = Command::cargo_bin("wan-collector").unwrap();
    let failed = command.arg("--config").arg(&file).arg("coverage").assert().code(1);
    let said = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(said.contains("there is no database yet; import a register or start the server first"), "{said}");
}

#[test]
fn help_has_examples() {
    for command in ["coverage", "uptime"] {
        let mut program = Command::cargo_bin("wan-collector").unwrap();
        let help = program.args([command, "--help"]).assert().success();
        let help = String::from_utf8(help.get_output().stdout.clone()).unwrap();
        assert!(help.contains("Examples:") && help.contains("province's zone"), "{help}");
    }
}
