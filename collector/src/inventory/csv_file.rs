//! The register as CSV, with what spreadsheets do to it: a byte order mark, `;` or tabs for commas, a `sep=` line, blank
//! rows and columns at the end, days as 31/12/2020, numbers with a decimal comma.
//!
//! The first row names the columns in any order: the fields of a site, and `LINK.FIELD` for its links, such as
//! `wan-vnpt.router`. A site has a link where one of the link's cells is filled or `links` names it.

use std::collections::BTreeSet;

use wan_settings::{nearest, quote};
use wan_wire::LinkName;

use super::Site;
use super::read::{MAX_SITES, Place};
use super::value::{Cell, Draft, Field, LinkField, Noted, Wrong, link_fields, site_fields};

/// Reads the rows of `text`. Mistakes in the table's form are noted in `wrong`.
pub(super) fn drafts(text: &str, wrong: &mut Vec<Wrong>) -> Vec<Draft> {
    let (delimiter, skipped, text) = dialect(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Option<(String, Field)>>> = None;
    let mut drafts = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let before = reader.position().clone();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => {
                let place = Place::Line(line_of(&before, text) + skipped);
                wrong.push(Wrong::new(&place, "", format!("a row that cannot be read ({error})"), "CSV", ""));
                break;
            }
        }
        let line = line_of(&before, text) + skipped;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let Some(columns) = &columns else {
            columns = Some(header(&record, line, wrong));
            continue;
        };
        if drafts.len() == MAX_SITES {
            let place = Place::Line(line);
            wrong.push(Wrong::new(
                &place,
                "",
                "more rows",
                format!("at most {MAX_SITES} sites"),
                "split the file",
            ));
            break;
        }
        drafts.push(row(&record, columns, line, wrong));
    }
    if columns.is_none() {
        let place = Place::Line(1);
        let expected = "a first row with the columns' names: id, name, tier, branch, …";
        wrong.push(Wrong::new(&place, "", "no rows", expected, "is this the right file?"));
    }
    drafts
}

/// Writes `sites` as CSV that reads back to the same.
pub(super) fn write(sites: &[&Site]) -> String {
    let columns: BTreeSet<(&LinkName, LinkField)> = sites
        .iter()
        .flat_map(|site| &site.links)
        .flat_map(|link| link_fields(link).map(move |(_, field, _)| (&link.name, field)))
        .collect();
    let mut out = String::new();
    let link_columns = columns.iter().map(|(name, field)| format!("{name}.{}", link_key(*field)));
    let head: Vec<String> =
        Field::OF_SITE.iter().map(|(key, _)| (*key).to_owned()).chain(link_columns).collect();
    push_row(&mut out, &head);
    for site in sites {
        let mut cells = site_fields(site).to_vec();
        cells.extend(columns.iter().map(|(name, field)| link_cell(site, name, *field)));
        push_row(&mut out, &cells);
    }
    out
}

/// The delimiter, the lines that are not part of the table, and the table.
fn dialect(text: &str) -> (u8, usize, &str) {
    let first = text.lines().next().unwrap_or_default();
    if let Some(told) = first.strip_prefix("sep=")
        && let [delimiter] = told.trim_end().as_bytes()
    {
        let rest = text.get(first.len()..).unwrap_or_default();
        let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
        return (*delimiter, 1, rest);
    }
    let head = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| head.bytes().filter(|&b| b == delimiter).count();
    let best = [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
    (best, 0, text)
}

/// The line on which the record begins that is read from `before` on. The parser skips blank lines as part of it.
fn line_of(before: &csv::Position, text: &str) -> usize {
    let rest =
        usize::try_from(before.byte()).ok().and_then(|at| text.as_bytes().get(at..)).unwrap_or_default();
    let blank = rest.iter().take_while(|&&b| b == b'\r' || b == b'\n').filter(|&&b| b == b'\n').count();
    usize::try_from(before.line()).unwrap_or(usize::MAX).saturating_add(blank)
}

/// What each column holds; `None` for one without a name.
fn header(record: &csv::StringRecord, line: usize, wrong: &mut Vec<Wrong>) -> Vec<Option<(String, Field)>> {
    let place = Place::Line(line);
    let mut columns: Vec<Option<(String, Field)>> = Vec::with_capacity(record.len());
    for (index, name) in record.iter().enumerate() {
        let key = name.trim().to_lowercase();
        if key.is_empty() {
            columns.push(None);
            continue;
        }
        let subject = format!("column {}", index + 1);
        match column(&key) {
            Ok(field) if columns.iter().flatten().any(|(_, known)| *known == field) => {
                let found = format!("{} again", quote(&key));
                wrong.push(Wrong::new(&place, &subject, found, "each column once", "remove one of them"));
                columns.push(None);
            }
            Ok(field) => columns.push(Some((key, field))),
            Err(remedy) => {
                let known: Vec<&str> = Field::OF_SITE.iter().map(|(key, _)| *key).collect();
                let expected = format!(
                    "one of {}, or LINK.FIELD such as wan.carrier (fields: carrier, contract, uptime, interface, router)",
                    known.join(", ")
                );
                wrong.push(Wrong::new(
                    &place,
                    &subject,
                    format!("the unknown column {}", quote(&key)),
                    expected,
                    remedy,
                ));
                columns.push(Some((key, Field::Note)));
            }
        }
    }
    for (key, field) in Field::REQUIRED {
        if !columns.iter().flatten().any(|(_, known)| *known == field) {
            let remedy =
                format!("add a column named {key}, or is the delimiter not a comma, semicolon or tab?");
            wrong.push(Wrong::new(&place, key, "no such column", "it among the columns", remedy));
        }
    }
    columns
}

/// The field that a column is for, or what to do about its name.
fn column(key: &str) -> Result<Field, String> {
    if let Some((_, field)) = Field::OF_SITE.iter().find(|(known, _)| *known == key) {
        return Ok(field.clone());
    }
    let of_link = || {
        let (name, field) = key.split_once('.')?;
        let (_, field) = LinkField::ALL.into_iter().find(|(known, _)| *known == field)?;
        Some(Field::Link(name.parse().ok()?, field))
    };
    of_link().ok_or_else(|| match nearest(key, Field::OF_SITE.iter().map(|(known, _)| *known)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "remove or rename it".to_owned(),
    })
}

fn row(
    record: &csv::StringRecord,
    columns: &[Option<(String, Field)>],
    line: usize,
    wrong: &mut Vec<Wrong>,
) -> Draft {
    let place = Place::Line(line);
    let id_column = columns.iter().position(|column| matches!(column, Some((_, Field::Id))));
    let id = id_column.and_then(|index| record.get(index)).map(str::trim).filter(|id| !id.is_empty());
    let subject = |key: &str| match id {
        Some(id) if key != "id" => format!("{key} of {}", quote(id)),
        Some(_) | None => key.to_owned(),
    };
    if record.len() != columns.len() {
        let found = format!("{} cells", record.len());
        let expected = format!("{} as in the first row", columns.len());
        let remedy = "put text that holds the delimiter in quotation marks, and close every quotation mark";
        wrong.push(Wrong::new(&place, &subject("row"), found, expected, remedy));
        let id = id.map(|text| Cell {
            field: Field::Id,
            key: "id".to_owned(),
            text: text.to_owned(),
            place: place.clone(),
        });
        return Draft { place, cells: id.into_iter().collect(), noted: Noted::Whole };
    }
    let mut cells = Vec::with_capacity(columns.len());
    for (cell, column) in record.iter().zip(columns) {
        match column {
            Some((key, field)) => {
                let (field, key, text) = (field.clone(), subject(key), cell.to_owned());
                cells.push(Cell { field, key, text, place: place.clone() });
            }
            None if cell.trim().is_empty() => {}
            None => wrong.push(Wrong::new(
                &place,
                &subject("row"),
                quote(cell),
                "nothing in a column without a name",
                "name the column in the first row, or empty it",
            )),
        }
    }
    // A required column that is missing has been noted once; not again for each row.
    let missing = Field::REQUIRED.into_iter().map(|(_, field)| field);
    let missing = missing.filter(|field| !columns.iter().flatten().any(|(_, known)| known == field));
    Draft { place, cells, noted: Noted::Fields(missing.collect()) }
}

fn link_key(field: LinkField) -> &'static str {
    LinkField::ALL.into_iter().find(|(_, known)| *known == field).map_or("", |(key, _)| key)
}

fn link_cell(site: &Site, name: &LinkName, field: LinkField) -> String {
    let link = site.links.iter().find(|link| link.name == *name);
    let cell = link.and_then(|link| link_fields(link).find(|(_, known, _)| *known == field));
    cell.map(|(_, _, text)| text).unwrap_or_default()
}

fn push_row(out: &mut String, cells: &[String]) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', ';', '\t']) || cell.starts_with("sep=") {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push('\n');
}
