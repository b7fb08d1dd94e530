//! Grafana's alert rules, made of Prometheus' ones: one table of what is bad, wherever somebody warns from.
//!
//! A rule of Prometheus fires for each series that its expression finds, whatever the value. In Grafana that is a query and the condition
//! `is_number` of it. `$value` of an annotation is `$values.found.Value` there.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// The uid of the data source that is provisioned.
const DATA_SOURCE: &str = "wanwatch";
/// Grafana's own data source, of expressions.
const EXPRESSION: &str = "__expr__";
/// How often Grafana evaluates the rules: a multiple of its scheduler's 10 s.
const INTERVAL: &str = "30s";
/// How far back an instant query looks is Prometheus' to say; Grafana wants a range all the same.
const LOOK_BACK_SECONDS: u32 = 600;
/// The name that a query has within its rule.
const FOUND: &str = "found";
/// The name that a condition has within its rule.
const FIRES: &str = "fires";

/// The file's first lines.
const HEAD: &str =
    "# Made by `cargo run -p wan-dashboards` of deploy/prometheus/wanwatch-alerts.yml: change it there.\n";

/// A rules file of Prometheus, as far as alerts go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(rename = "for", default = "at_once")]
    hold: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn at_once() -> String {
    "0s".to_owned()
}

/// A file of `provisioning/alerting`, as Grafana 10.4 and later read it.
#[derive(Serialize)]
struct Provisioned {
    #[serde(rename = "apiVersion")]
    version: u32,
    groups: Vec<ProvisionedGroup>,
}

#[derive(Serialize)]
struct ProvisionedGroup {
    #[serde(rename = "orgId")]
    org: u32,
    name: String,
    folder: &'static str,
    interval: &'static str,
    rules: Vec<ProvisionedRule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisionedRule {
    uid: String,
    title: String,
    condition: &'static str,
    data: Vec<Query>,
    no_data_state: &'static str,
    exec_err_state: &'static str,
    #[serde(rename = "for")]
    hold: String,
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Query {
    ref_id: &'static str,
    relative_time_range: Range,
    datasource_uid: &'static str,
    model: Model,
}

#[derive(Clone, Copy, Serialize)]
struct Range {
    from: u32,
    to: u32,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Model {
    #[serde(rename_all = "camelCase")]
    PromQl { ref_id: &'static str, expr: String, instant: bool, range: bool },
    #[serde(rename_all = "camelCase")]
    Math { ref_id: &'static str, r#type: &'static str, expression: String },
}

/// Grafana's file of the alerts in a rules file of Prometheus.
///
/// # Errors
///
/// What is no such file, and an alert whose name Grafana cannot take for an id.
pub fn grafana(prometheus: &str) -> Result<String> {
    let rules: Rules = serde_yaml::from_str(prometheus).context("read the rules of Prometheus")?;
    let groups = rules.groups.into_iter().map(group).collect::<Result<_>>()?;
    let text = serde_yaml::to_string(&Provisioned { version: 1, groups }).context("write YAML")?;
    Ok(format!("{HEAD}{text}"))
}

fn group(group: Group) -> Result<ProvisionedGroup> {
    let rules = group.rules.into_iter().map(rule).collect::<Result<_>>()?;
    Ok(ProvisionedGroup { org: 1, name: group.name, folder: "Wanwatch", interval: INTERVAL, rules })
}

fn rule(rule: Rule) -> Result<ProvisionedRule> {
    // Grafana's ids have at most 40 characters of these.
    let plain = rule.alert.bytes().all(|byte| byte.is_ascii_alphanumeric());
    ensure!(plain && (1..=40).contains(&rule.alert.len()), "{}: no id for Grafana", rule.alert);
    // Grafana replaces $NAME by the environment's in all of a file but annotations; $$ is a $ (grafana#71007).
    ensure!(!rule.expr.contains('$'), "{}: its expression has a $", rule.alert);
    let range = Range { from: LOOK_BACK_SECONDS, to: 0 };
    let query = Query {
        ref_id: FOUND,
        relative_time_range: range,
        datasource_uid: DATA_SOURCE,
        model: Model::PromQl { ref_id: FOUND, expr: rule.expr, instant: true, range: false },
    };
    let expression = format!("is_number($${FOUND})");
    let condition = Query {
        ref_id: FIRES,
        relative_time_range: range,
        datasource_uid: EXPRESSION,
        model: Model::Math { ref_id: FIRES, r#type: "math", expression },
    };
    let value = format!("$values.{FOUND}.Value");
    let annotations = rule.annotations.into_iter().map(|(name, text)| (name, text.replace("$value", &value)));
    Ok(ProvisionedRule {
        uid: rule.alert.clone(),
        title: rule.alert,
        condition: FIRES,
        data: vec![query, condition],
        // Nothing found is nothing bad; that the collector is gone is a rule of its own.
        no_data_state: "OK",
        exec_err_state: "Error",
        hold: rule.hold,
        annotations: annotations.collect(),
        labels: rule.labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_of_prometheus_becomes_a_query_and_a_condition() {
        let made = grafana(
            "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up == 0\n        for: 1m\n        labels: {severity: info}\n        annotations: {summary: '{{ $value | humanizeDuration }} of {{ $labels.site }}'}\n",
        )
        .unwrap();
        for line in [
            "apiVersion: 1",
            "uid: A",
            "condition: fires",
            "expr: up == 0",
            "instant: true",
            "datasourceUid: wanwatch",
            "datasourceUid: __expr__",
            "expression: is_number($$found)",
            "for: 1m",
            "noDataState: OK",
            "summary: '{{ $values.found.Value | humanizeDuration }} of {{ $labels.site }}'",
        ] {
            assert!(made.contains(line), "no “{line}” in:\n{made}");
        }
    }

    #[test]
    fn what_is_no_rules_file_is_refused() {
        for (text, why) in [
            ("", "groups"),
            ("groups: [{name: g, rules: [{record: r, expr: up}]}]", "record"),
            ("groups: [{name: g, rules: [{alert: 'a b', expr: up}]}]", "no id for Grafana"),
        ] {
            let said = format!("{:#}", grafana(text).unwrap_err());
            assert!(said.contains(why), "{said}");
        }
    }
}
