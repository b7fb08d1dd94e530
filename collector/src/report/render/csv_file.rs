//! CSV that a spreadsheet opens by a double click: UTF-8 with a mark, and in Vietnamese the semicolon and the decimal comma that a
//! Vietnamese Windows expects.
//!
//! One file holds all tables, each as a section: a row `#`, its name and its title; a row `#`, nothing, its note; the heads; the rows; an
//! empty line. A text that a spreadsheet would take for a formula, or that begins like a section, is led by `'`.

use super::{Grid, GridTable, NotWritten, Unreadable, text};
use crate::lang::Lang;
use crate::report::model::{Cell, Report, Table};

/// What tells a spreadsheet that the file is UTF-8.
pub(super) const MARK: &str = "\u{feff}";
/// The first cell of a row that begins a section.
const SECTION: &str = "#";
/// Digits of a percentage behind the decimal mark: half a second in a week.
const DIGITS: usize = 4;

const fn delimiter(lang: Lang) -> u8 {
    match lang {
        Lang::Vi => b';',
        Lang::En => b',',
    }
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>, NotWritten> {
    let mut out = MARK.as_bytes().to_vec();
    section(&mut out, report.lang, [vec![guarded(&report.title)], vec![guarded(&report.subtitle)]])?;
    for table in &report.tables {
        section(&mut out, report.lang, rows(report, table))?;
    }
    Ok(out)
}

fn rows<'r>(report: &'r Report, table: &'r Table) -> impl Iterator<Item = Vec<String>> + 'r {
    let head = vec![SECTION.to_owned(), table.name.to_owned(), table.title.clone()];
    let note = (!table.note.is_empty()).then(|| vec![SECTION.to_owned(), String::new(), table.note.clone()]);
    let columns = table.columns.iter().map(|column| guarded(&column.title)).collect();
    let cell = |cell: &Cell| cell.as_text().map_or_else(|| text::show(cell.plain(), report, DIGITS), guarded);
    let rows = table.rows.iter().map(move |row| row.iter().map(cell).collect());
    std::iter::once(head).chain(note).chain(std::iter::once(columns)).chain(rows)
}

fn section(
    out: &mut Vec<u8>,
    lang: Lang,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), NotWritten> {
    let failed = |error: csv::Error| NotWritten::Csv(error.to_string());
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter(lang))
        .terminator(csv::Terminator::CRLF)
        .flexible(true)
        .from_writer(&mut *out);
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer.flush().map_err(|error| NotWritten::Csv(error.to_string()))?;
    drop(writer);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Text that no spreadsheet takes for a formula (OWASP, CSV injection), and no reader for the begin of a section.
fn guarded(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '#', '\'']);
    if risky { format!("'{text}") } else { text.to_owned() }
}

pub(super) fn read(text: &str) -> Result<Grid, Unreadable> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if is_vietnamese(text) { b';' } else { b',' })
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut grid = Grid::default();
    for record in reader.records() {
        let record = record?;
        let row: Vec<String> = record.iter().map(str::to_owned).collect();
        let is_section = row.first().is_some_and(|cell| cell == SECTION);
        match grid.tables.last_mut() {
            _ if is_section => {
                // One without a name is a note.
                if let Some(name) = row.get(1).filter(|name| !name.is_empty()) {
                    grid.tables.push(GridTable { name: name.clone(), ..GridTable::default() });
                }
            }
            // The title.
            None => {}
            Some(table) if table.columns.is_empty() => table.columns = row,
            // What a spreadsheet writes for an empty line.
            Some(_) if row.iter().all(String::is_empty) => {}
            Some(table) => table.rows.push(row),
        }
    }
    for table in &mut grid.tables {
        // A spreadsheet that saves the file makes all rows as long as the longest.
        trim(&mut table.columns);
        table.rows.iter_mut().for_each(trim);
    }
    Ok(grid)
}

fn trim(row: &mut Vec<String>) {
    while row.last().is_some_and(String::is_empty) {
        row.pop();
    }
}

/// By the first section's row.
fn is_vietnamese(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("#;"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_a_formula_or_a_section() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "#", "'=1"] {
            assert_eq!(guarded(text), format!("'{text}"));
        }
        assert_eq!(guarded("Xã A = B"), "Xã A = B");
    }
}
