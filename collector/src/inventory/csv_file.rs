//! The register as CSV, with what spreadsheets do to it: a byte order mark, `;` or tabs for commas, a `sep=` line, blank
//! rows and columns at the end, days as 31/12/2020, numbers with a decimal comma.
//!
//! A site that was renamed, re-parented or moved to another tier has a row for each era, all with its id: each row's `valid_to` is the
//! next one's `valid_from`. What a row says of name, tier, branch, parent and district held in its time; all else is told once, in the
//! last of them, and blank or the same in the others.
//!
//! The first row names the columns in any order: the fields of a site, and `LINK.FIELD` for its links, such as
//! `wan-vnpt.router`. A site has a link where one of the link's cells is filled or `links` names it.

use std::collections::{BTreeMap, BTreeSet};

use wan_settings::{nearest, quote};
use wan_wire::LinkName;

use super::Site;
use super::era::Former;
use super::read::{MAX_SITES, Place};
use super::value::{Cell, Draft, Field, LinkField, Noted, Wrong, day, link_fields, site_fields};

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
    join(drafts, wrong)
}

/// Joins the rows of each site that follow each other in time into one draft. Rows whose days do not tell their order stay apart,
/// and are an id that is given twice.
fn join(drafts: Vec<Draft>, wrong: &mut Vec<Wrong>) -> Vec<Draft> {
    let mut by_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.noted != Noted::Whole) {
        if let Some(id) = text_of(draft, &Field::Id) {
            by_id.entry(id.to_owned()).or_default().push(index);
        }
    }
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    for rows in by_id.into_values().filter(|rows| rows.len() > 1) {
        let days = |&index: &usize| {
            let draft = drafts.get(index)?.as_ref()?;
            let day_of = |field| text_of(draft, &field).map_or(Some(None), |text| day(text).map(Some));
            Some((day_of(Field::ValidFrom)?, day_of(Field::ValidTo)?, index))
        };
        let Some(mut dated) = rows.iter().map(days).collect::<Option<Vec<_>>>() else { continue };
        dated.sort_unstable();
        // Every row but the first begins on a day, every row but the last ends on one.
        let (ends, begins) = (dated.iter().rev().skip(1), dated.iter().skip(1));
        if ends.clone().any(|row| row.1.is_none()) || begins.clone().any(|row| row.0.is_none()) {
            continue;
        }
        let mut eras: Vec<Draft> = dated.iter().filter_map(|row| drafts.get_mut(row.2)?.take()).collect();
        for (((_, end, _), (begin, _, _)), pair) in dated.iter().zip(begins).zip(eras.windows(2)) {
            let ([before, after], Some(end), Some(begin)) = (pair, end, begin) else { continue };
            if begin != end {
                let (place, key) = place_of(after, &Field::ValidFrom);
                let before = place_of(before, &Field::ValidTo).0;
                let found =
                    format!("{begin}, where the row before it in time ({}) ends on {end}", line(&before));
                let expected = "rows of one site that follow each other without a gap or an overlap";
                let remedy = format!("write {end}, or give one of them another id");
                wrong.push(Wrong::new(&place, &key, found, expected, remedy));
            }
        }
        let (Some(mut last), Some(&(_, _, at))) = (eras.pop(), dated.last()) else { continue };
        for era in eras {
            last = before(last, era, wrong);
        }
        if let Some(slot) = drafts.get_mut(at) {
            *slot = Some(last);
        }
    }
    drafts.into_iter().flatten().collect()
}

/// `last` with what `era` says the site was.
fn before(mut last: Draft, era: Draft, wrong: &mut Vec<Wrong>) -> Draft {
    let mut cells = Vec::with_capacity(Field::OF_FORMER.len());
    let first = last.former.is_empty();
    for cell in era.cells {
        match &cell.field {
            Field::Name | Field::Tier | Field::Branch | Field::Parent | Field::District => cells.push(cell),
            Field::ValidTo => cells.push(Cell { field: Field::Until, ..cell }),
            // The site opened when its first row begins.
            Field::ValidFrom if first => {
                last.cells.retain(|cell| cell.field != Field::ValidFrom);
                last.cells.push(cell);
            }
            Field::ValidFrom | Field::Id | Field::Until => {}
            Field::MergedInto
            | Field::Latitude
            | Field::Longitude
            | Field::Contacts
            | Field::Watches
            | Field::Links
            | Field::Note
            | Field::Link(..) => {
                let text = cell.text.trim();
                let same = last.cells.iter().any(|of| of.field == cell.field && of.text.trim() == text);
                if !text.is_empty() && !same {
                    let expected =
                        format!("nothing, or the same as in the site's last row ({})", line(&last.place));
                    let remedy = "only name, tier, branch, parent and district are told for each era; a link's own days are \
                                  LINK.valid_from and LINK.valid_to";
                    wrong.push(Wrong::new(&cell.place, &cell.key, quote(text), expected, remedy));
                }
            }
        }
    }
    last.former.push(Draft { place: era.place, cells, former: Vec::new(), noted: era.noted });
    last
}

/// What a row says in a cell that is not blank.
fn text_of<'d>(draft: &'d Draft, field: &Field) -> Option<&'d str> {
    let cell = draft.cells.iter().find(|cell| cell.field == *field)?;
    Some(cell.text.trim()).filter(|text| !text.is_empty())
}

fn place_of(draft: &Draft, field: &Field) -> (Place, String) {
    let cell = draft.cells.iter().find(|cell| cell.field == *field);
    cell.map_or_else(|| (draft.place.clone(), String::new()), |cell| (cell.place.clone(), cell.key.clone()))
}

fn line(place: &Place) -> String {
    match place {
        Place::Line(line) => format!("line {line}"),
        Place::Node(_) => String::new(),
    }
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
        let mut opens = site.valid_from;
        for former in &site.former {
            let era = Site {
                valid_from: opens.replace(former.until),
                valid_to: Some(former.until),
                ..era_row(site, former)
            };
            let blank = columns.iter().map(|_| String::new());
            push_row(&mut out, &site_fields(&era).into_iter().chain(blank).collect::<Vec<_>>());
        }
        let site = &Site { valid_from: opens, ..Site::clone(site) };
        let mut cells = site_fields(site).to_vec();
        cells.extend(columns.iter().map(|(name, field)| link_cell(site, name, *field)));
        push_row(&mut out, &cells);
    }
    out
}

/// What a site was, and nothing else.
fn era_row(site: &Site, former: &Former) -> Site {
    let Former { until: _, name, tier, branch, parent, district } = former.clone();
    Site { parent, district, ..Site::named(site.id.clone(), name, tier, branch) }
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
                    "one of {}, or LINK.FIELD such as wan.carrier (fields: carrier, contract, uptime, interface, router, valid_from, valid_to)",
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
        return Draft { place, cells: id.into_iter().collect(), former: Vec::new(), noted: Noted::Whole };
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
    Draft { place, cells, former: Vec::new(), noted: Noted::Fields(missing.collect()) }
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
