//! JSON: the model itself, exact values, described by the OpenAPI document.

use serde::Deserialize;
use serde_json::Value;

use super::{Grid, GridTable, NotWritten, Unreadable, number};
use crate::report::model::Report;

#[derive(Deserialize)]
struct Given {
    tables: Vec<GivenTable>,
}

#[derive(Deserialize)]
struct GivenTable {
    name: String,
    columns: Vec<GivenColumn>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct GivenColumn {
    title: String,
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>, NotWritten> {
    let mut bytes = serde_json::to_vec_pretty(report)?;
    bytes.push(b'\n');
    Ok(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Grid, Unreadable> {
    let given: Given = serde_json::from_slice(bytes)?;
    let table = |table: GivenTable| GridTable {
        name: table.name,
        columns: table.columns.into_iter().map(|column| column.title).collect(),
        rows: table.rows.iter().map(|row| row.iter().map(cell).collect()).collect(),
    };
    Ok(Grid { tables: given.tables.into_iter().map(table).collect() })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(value) => value.as_f64().map_or_else(|| value.to_string(), number),
        Value::Object(map) => map.values().next().map(cell).unwrap_or_default(),
        Value::Bool(_) | Value::Array(_) => value.to_string(),
    }
}
