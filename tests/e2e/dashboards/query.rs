//! What a store is filled with beside what is forwarded to it, and questions as Grafana asks them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;
use wan_tests::api::point;
use wan_tests::payload::{self, Sample};
use wan_tests::stores::{Kind, Store};

use super::day::{Day, END, MINUTE, START};

/// One request has the samples of so many minutes.
const AT_ONCE: i64 = 30;

/// One series of an answer: its labels, and its values by time.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) points: Vec<(i64, f64)>,
}

impl Series {
    /// The value at exactly this time.
    pub(crate) fn at(&self, time: i64) -> Option<f64> {
        self.points.iter().find(|(at, _)| *at == time).map(|(_, value)| *value)
    }
}

/// Writes what was scraped that day.
pub(crate) fn write(store: &Store, day: &Day) -> Result<()> {
    let mut from = START;
    while from < END {
        let until = from + AT_ONCE * MINUTE;
        let mut request = Vec::new();
        for (labels, samples) in &day.series {
            let samples: Vec<Sample> = samples
                .iter()
                .filter(|(time, _)| (from + 1..=until).contains(time))
                .map(|(time, value)| Sample { value: *value, time: *time })
                .collect();
            if !samples.is_empty() {
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                payload::push_series(&mut request, &labels, &samples);
            }
        }
        store.write(&request)?;
        from = until;
    }
    if store.kind() == Kind::VictoriaMetrics {
        // What was just written is looked for only after it has been put where searches look.
        store.api().get("/internal/force_flush")?;
    }
    Ok(())
}

/// An instant query.
pub(crate) fn instant(store: &Store, query: &str, at: i64) -> Result<Vec<Series>> {
    let data = store.api().ask("/api/v1/query", &[("query", query), ("time", &seconds(at))])?;
    series(&data, "value")
}

/// A range query over the day.
pub(crate) fn range(store: &Store, query: &str, step: i64) -> Result<Vec<Series>> {
    let parameters =
        [("query", query), ("start", &seconds(START)), ("end", &seconds(END)), ("step", &seconds(step))];
    series(&store.api().ask("/api/v1/query_range", &parameters)?, "values")
}

/// The values of a label in series, as Grafana's `label_values` asks for them.
pub(crate) fn label_values(store: &Store, selector: &str, label: &str) -> Result<Vec<String>> {
    let parameters = [("match[]", selector), ("start", &seconds(START)), ("end", &seconds(END))];
    let data = store.api().ask(&format!("/api/v1/label/{label}/values"), &parameters)?;
    let values = data.as_array().context("no list")?;
    Ok(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of this century are below 2⁵³")]
fn seconds(millis: i64) -> String {
    format!("{}", millis as f64 / 1000.0)
}

fn series(data: &Value, field: &str) -> Result<Vec<Series>> {
    let rows = data["result"].as_array().with_context(|| format!("no result in {data}"))?;
    rows.iter()
        .map(|row| {
            let labels: BTreeMap<String, String> = serde_json::from_value(row["metric"].clone())?;
            let points = if field == "value" {
                vec![row[field].clone()]
            } else {
                row[field].as_array().cloned().unwrap_or_default()
            };
            let points: Result<Vec<(i64, f64)>> = points.iter().map(point).collect();
            Ok(Series { labels, points: points? })
        })
        .collect()
}
