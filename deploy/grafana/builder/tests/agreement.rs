//! The committed JSON is what the builder makes, and what the builder makes hangs together.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use wan_dashboards::dashboard::{COLUMNS, Which};
use wan_dashboards::words::Lang;

#[test]
fn the_committed_dashboards_are_what_the_builder_makes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    let renew = "renew them with `cargo run -p wan-dashboards` and look at the difference";
    let files = wan_dashboards::files();
    assert_eq!(files.len(), 8, "four dashboards in two languages");
    for (path, text) in &files {
        let committed = std::fs::read_to_string(folder.join(path)).unwrap_or_default();
        // Not assert_eq, which would print both files whole.
        assert!(committed == *text, "{} is not what the builder makes: {renew}", path.display());
    }
    for lang in Lang::ALL {
        for entry in std::fs::read_dir(folder.join(lang.code())).unwrap() {
            let path = Path::new(lang.code()).join(entry.unwrap().file_name());
            assert!(files.contains_key(&path), "the builder does not make {}: {renew}", path.display());
        }
    }
}

#[test]
fn the_committed_alert_rules_are_made_of_prometheus_rules_which_name_only_what_there_is() {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(deploy.join(path)).unwrap();
    let (alerts, recording) =
        (read("prometheus/wanwatch-alerts.yml"), read("prometheus/wanwatch-recording.yml"));
    let made = wan_dashboards::rules::grafana(&alerts).unwrap();
    assert!(
        read("grafana/provisioning/alerting/wanwatch.yaml") == made,
        "deploy/grafana/provisioning/alerting/wanwatch.yaml: renew it with `cargo run -p wan-dashboards`"
    );
    // Every name is a metric, or one that a recording rule makes; and every rule has a case.
    let cases = read("../tests/rules/wanwatch.test.yml");
    let value_of = |line: &str, key: &str| {
        line.trim().trim_start_matches("- ").strip_prefix(key).map(|name| name.trim().to_owned())
    };
    let named = |key: &str| -> BTreeSet<String> {
        alerts.lines().chain(recording.lines()).filter_map(|line| value_of(line, key)).collect()
    };
    let (recorded, warned) = (named("record:"), named("alert:"));
    assert!(recorded.len() >= 5 && warned.len() >= 15, "{recorded:?} {warned:?}");
    for name in recorded.iter().chain(&warned) {
        assert!(cases.contains(name.as_str()), "tests/rules/wanwatch.test.yml has no case of {name}");
    }
    let is_name = |byte: char| byte.is_ascii_alphanumeric() || byte == '_' || byte == ':';
    let code = |text: &str| -> String {
        text.lines().filter(|line| !line.trim().starts_with('#')).map(|line| format!("{line}\n")).collect()
    };
    let all = code(&alerts) + &code(&recording);
    let names: BTreeSet<&str> =
        all.split(|letter| !is_name(letter)).filter(|word| word.contains("wan_")).collect();
    // A verdict's name begins as metrics do.
    let names: BTreeSet<&str> = names.into_iter().filter(|name| *name != "wan_down").collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let name = name.strip_suffix(':').unwrap_or(name);
        let metric = wan_wire::Metric::from_bytes(name.as_bytes());
        assert!(metric.is_some() || recorded.contains(name), "{name} is neither a metric nor recorded");
    }
}

#[test]
fn the_check_finds_a_file_that_was_edited_by_hand_and_one_too_many() {
    let folder = std::env::temp_dir().join(format!("wan-dashboards-{}", std::process::id()));
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wan-dashboards"));
        command.arg("--folder").arg(&folder).arg("--alerting").arg(folder.join("alerting.yaml"));
        command.args(more).output().unwrap()
    };
    std::fs::create_dir_all(&folder).unwrap();
    assert!(run(&[]).status.success());
    assert!(run(&["--check"]).status.success());
    std::fs::write(folder.join("vi/site.json"), "{}").unwrap();
    std::fs::write(folder.join("en/old.json"), "{}").unwrap();
    let said = String::from_utf8(run(&["--check"]).stderr).unwrap();
    assert!(said.contains("makes: vi/site.json; not made by it: en/old.json; run `cargo run"), "{said}");
    assert!(run(&[]).status.success());
    assert!(run(&["--check"]).status.success(), "written anew, and what is too many removed");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Every panel of a dashboard that is no heading.
fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

#[test]
fn panels_lie_within_the_grid_and_not_on_each_other() {
    for (path, text) in wan_dashboards::files() {
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let (mut taken, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()));
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w >= 1 && h >= 1 && x + w <= u64::from(COLUMNS), "{} {panel}", path.display());
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{}: {} lies on another", path.display(), panel["title"]);
            }
        }
    }
}

#[test]
fn both_languages_have_the_same_panels_and_queries() {
    let files = wan_dashboards::files();
    for which in Which::ALL {
        let [vi, en] = Lang::ALL.map(|lang| {
            let path = Path::new(lang.code()).join(format!("{}.json", which.slug()));
            serde_json::from_str::<Value>(&files[&path]).unwrap()
        });
        assert_ne!(vi["uid"], en["uid"]);
        assert_eq!(panels(&vi).len(), panels(&en).len());
        for (vi, en) in panels(&vi).into_iter().zip(panels(&en)) {
            for part in ["id", "type", "gridPos", "transformations"] {
                assert_eq!(vi[part], en[part]);
            }
            let queries = |panel: &Value| -> Vec<Value> {
                panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].clone()).collect()
            };
            assert_eq!(queries(vi), queries(en));
            assert_ne!(vi["fieldConfig"]["defaults"]["noValue"], en["fieldConfig"]["defaults"]["noValue"]);
            assert_ne!(vi["description"], en["description"]);
        }
    }
}

#[test]
fn every_label_that_a_query_chooses_by_is_one_that_its_metric_has() {
    for dashboard in wan_dashboards::all() {
        for query in dashboard.queries() {
            for (metric, label) in query.uses() {
                assert!(metric.labels().contains(label), "{metric} has no label {label}: {}", query.text());
            }
        }
    }
}

#[test]
fn every_variable_that_is_used_is_one_of_the_dashboard() {
    for (path, text) in wan_dashboards::files() {
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let list = dashboard["templating"]["list"].as_array().unwrap();
        let offered: BTreeSet<&str> =
            list.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        let mut used = BTreeSet::new();
        let marks = dashboard["annotations"]["list"].as_array().unwrap();
        let mut places: Vec<&Value> = marks.iter().map(|mark| &mark["expr"]).collect();
        for panel in panels(&dashboard) {
            places.extend(panel["targets"].as_array().unwrap().iter().map(|target| &target["expr"]));
            places.push(&panel["title"]);
        }
        for text in places.into_iter().filter_map(Value::as_str) {
            used.extend(text.split('$').skip(1).map(|rest| {
                rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_')
                    .next()
                    .unwrap()
                    .to_owned()
            }));
        }
        for var in used.iter().filter(|var| !var.starts_with("__")) {
            assert!(offered.contains(var.as_str()), "{}: ${var}", path.display());
        }
    }
}

#[test]
fn no_panel_asks_the_internet() {
    for (path, text) in wan_dashboards::files() {
        let hosts: Vec<&str> =
            text.split("://").skip(1).map(|rest| rest.split(['/', '"', '$']).next().unwrap()).collect();
        assert!(hosts.iter().all(|host| *host == "giamsat.example.vn"), "{}: {hosts:?}", path.display());
    }
}
