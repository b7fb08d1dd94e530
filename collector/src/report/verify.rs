//! Whether a report that was kept still says what the ledger says.
//!
//! The report is made anew for the month, the language and the instant that the file names, in the file's format, and both are compared
//! cell by cell. Rows are matched by what their first cells say, so one that is missing is told as that.

use std::collections::BTreeMap;

use serde::Serialize;

use super::model::Report;
use super::render::{Grid, GridTable, NotWritten, Unreadable, read, write};

/// Something that a file says otherwise than the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The table's name.
    pub table: String,
    /// What tells the row from others, as text; empty where the whole table is meant.
    pub row: String,
    /// The column's head; empty where the whole row is meant.
    pub column: String,
    /// What the file says; `None`: it has no such table, column or row.
    pub was: Option<String>,
    /// What the ledger says; `None`: there is no such table, column or row.
    pub is: Option<String>,
}

/// What was compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many cells.
    pub cells: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// Compares a file with the report as it is now.
///
/// # Errors
/// When the file is no report, or the report cannot be written in its format.
pub fn verify(file: &[u8], now: &Report) -> Result<Compared, NotVerified> {
    let (format, kept) = read(file)?;
    let (_, made) = read(&write(now, format)?)?;
    Ok(compare(&kept, &made, now))
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// The file is no report.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The report cannot be written.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

fn compare(kept: &Grid, made: &Grid, now: &Report) -> Compared {
    let mut compared = Compared::default();
    let key =
        |name: &str| now.tables.iter().find(|table| table.name == name).map_or(&[][..], |table| table.key);
    let missing = |table: &GridTable, was, is| Difference {
        table: table.name.clone(),
        row: String::new(),
        column: String::new(),
        was,
        is,
    };
    for table in &made.tables {
        match kept.tables.iter().find(|kept| kept.name == table.name) {
            Some(kept) => compare_tables(kept, table, key(&table.name), &mut compared),
            None => compared.differences.push(missing(table, None, Some(rows(table)))),
        }
    }
    for table in &kept.tables {
        if !made.tables.iter().any(|made| made.name == table.name) {
            compared.differences.push(missing(table, Some(rows(table)), None));
        }
    }
    compared
}

fn rows(table: &GridTable) -> String {
    format!("{} rows", table.rows.len())
}

fn compare_tables(kept: &GridTable, made: &GridTable, key: &[usize], compared: &mut Compared) {
    let differ = |row: &str, column: &str, was: Option<&str>, is: Option<&str>| Difference {
        table: made.name.clone(),
        row: row.to_owned(),
        column: column.to_owned(),
        was: was.map(str::to_owned),
        is: is.map(str::to_owned),
    };
    let width = made.columns.len().max(kept.columns.len());
    for at in 0..width {
        let (was, is) = (kept.columns.get(at), made.columns.get(at));
        if was != is {
            let column = is.or(was).map_or("", String::as_str);
            compared.differences.push(differ("", column, was.map(String::as_str), is.map(String::as_str)));
        }
    }
    let column = |at: usize| made.columns.get(at).map_or("", String::as_str);
    let mut kept_rows = keyed(kept, key);
    for (name, row) in keyed(made, key) {
        let Some(before) = kept_rows.remove(&name) else {
            compared.differences.push(differ(&name.0, "", None, Some(&row.join(" | "))));
            continue;
        };
        // A workbook has no cells after the last one of a row that is filled; they count in every format.
        for at in 0..width.max(row.len()).max(before.len()) {
            compared.cells += 1;
            let (was, is) = (cell(before, at), cell(row, at));
            if was != is {
                compared.differences.push(differ(&name.0, column(at), Some(was), Some(is)));
            }
        }
    }
    for (name, row) in kept_rows {
        compared.differences.push(differ(&name.0, "", Some(&row.join(" | ")), None));
    }
}

fn cell(row: &[String], at: usize) -> &str {
    row.get(at).map_or("", String::as_str)
}

/// The rows by what tells them apart; of equal ones, by their number among these.
fn keyed<'t>(table: &'t GridTable, key: &[usize]) -> BTreeMap<(String, usize), &'t [String]> {
    let mut rows = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in &table.rows {
        let parts: Vec<&str> = key.iter().map(|at| cell(row, *at)).filter(|part| !part.is_empty()).collect();
        let name = parts.join(" / ");
        let number = seen.entry(name.clone()).or_default();
        rows.insert((name, *number), row.as_slice());
        *number += 1;
    }
    rows
}
