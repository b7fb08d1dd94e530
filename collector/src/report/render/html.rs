//! HTML: one file without anything from elsewhere, that reads on a screen and prints on A4.
//!
//! Names come from a register that people write: everything goes through [`escape`]. Each figure stands in a cell twice, as it is shown
//! and exactly (`data-v`); the reader gives both, so that a change of either is seen.

use std::fmt::Write as _;

use super::{Grid, GridTable, text};
use crate::report::model::{Cell, Chart, Kind, Report, Table};

const STYLE: &str = include_str!("report.css");
/// Digits of a percentage behind the decimal mark.
const DIGITS: usize = 2;

pub(super) fn write(report: &Report) -> String {
    let lang = report.lang;
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"subtitle\">{subtitle}</p>\n</header>\n",
        title = escape(&report.title),
        subtitle = escape(&report.subtitle),
    );
    if report.tables.len() > 1 {
        out.push_str("<nav>");
        for table in &report.tables {
            let _ = write!(out, "<a href=\"#{}\">{}</a> ", table.id, escape(table.name));
        }
        out.push_str("</nav>\n");
    }
    for table in &report.tables {
        section(&mut out, report, table);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn section(out: &mut String, report: &Report, table: &Table) {
    let wide = if table.columns.len() > 8 { " class=\"wide\"" } else { "" };
    let _ = write!(out, "<section id=\"{}\"{wide}>\n<h2>{}</h2>\n", table.id, escape(&table.title));
    if !table.note.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&table.note));
    }
    match table.chart {
        Some(Chart::Bounds { low, high }) => bounds(out, report, table, low, high),
        Some(Chart::Stacked { parts }) => stacked(out, report, table, parts),
        None => {}
    }
    let _ = write!(out, "<table data-table=\"{}\">\n<thead><tr>", escape(table.name));
    for column in &table.columns {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(&column.title));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(&table.columns) {
            write_cell(out, report, cell, column.kind);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
}

fn write_cell(out: &mut String, report: &Report, cell: &Cell, kind: Kind) {
    let plain = cell.plain();
    let class = match (plain.as_text(), kind == Kind::Prose) {
        (Some(_), true) => " class=\"p\"",
        (Some(_), false) => " class=\"t\"",
        (None, _) => "",
    };
    let exact = match plain {
        Cell::Number(number) | Cell::Share(number) => Some(number.to_string()),
        Cell::Duration(millis) => Some(millis.to_string()),
        Cell::Instant(at) => Some(at.0.to_string()),
        Cell::Empty | Cell::Text(_) | Cell::Count(_) | Cell::Date(_) | Cell::Mixed(_) => None,
    };
    let exact = exact.map(|value| format!(" data-v=\"{value}\"")).unwrap_or_default();
    let shown =
        if *plain == Cell::Empty { "–".to_owned() } else { escape(&text::show(plain, report, DIGITS)) };
    let _ = write!(out, "<td{class}{exact}>{shown}</td>");
}

/// Text as content or attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 26.0;
const TOP: f64 = 10.0;

/// Two lines over the days and what lies between them.
fn bounds(out: &mut String, report: &Report, table: &Table, low: usize, high: usize) {
    let points = |column: usize| -> Vec<(f64, f64)> {
        let days = table.rows.len().saturating_sub(1).max(1);
        let rows = table.rows.iter().enumerate();
        let shares = rows.filter_map(|(day, row)| Some((day, row.get(column)?.as_share()?)));
        let point =
            |(day, share): (usize, f64)| (LEFT + (WIDTH - LEFT - RIGHT) * part(day, days), height(share));
        shares.map(point).collect()
    };
    let (low, high) = (points(low), points(high));
    if low.len() < 2 {
        return;
    }
    let path = |points: &mut dyn Iterator<Item = &(f64, f64)>| {
        points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    let _ = write!(
        out,
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(&table.title)
    );
    for step in 0..=4_u8 {
        let share = f64::from(step) / 4.0;
        let y = height(share);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}%</text>",
            LEFT - 6.0,
            y + 4.0,
            u16::from(step) * 25,
        );
    }
    let days = table.rows.len();
    for (index, row) in table.rows.iter().enumerate() {
        if index % 5 == 0
            && let Some(Cell::Date(day)) = row.first()
        {
            let x = LEFT + (WIDTH - LEFT - RIGHT) * part(index, days.saturating_sub(1).max(1));
            let _ = write!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 8.0,
                day.strftime(report.lang.pick("%d/%m", "%m-%d"))
            );
        }
    }
    let _ = writeln!(
        out,
        "<polygon class=\"between\" points=\"{}\"/><polyline class=\"high\" points=\"{}\"/><polyline class=\"low\" points=\"{}\"/></svg>",
        path(&mut low.iter().chain(high.iter().rev())),
        path(&mut high.iter()),
        path(&mut low.iter()),
    );
}

fn height(share: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
}

/// `part ÷ whole` of small counts.
fn part(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// Bars of several parts, one for each row that has any.
fn stacked(out: &mut String, report: &Report, table: &Table, parts: &[usize]) {
    const BAR: f64 = 26.0;
    const NAMES: f64 = 240.0;
    let millis = |row: &[Cell], column: usize| match row.get(column) {
        Some(Cell::Duration(millis)) => *millis,
        Some(_) | None => 0,
    };
    let whole = |row: &[Cell]| -> i64 { parts.iter().map(|column| millis(row, *column)).sum() };
    let rows: Vec<&Vec<Cell>> = table.rows.iter().filter(|row| whole(row) > 0).collect();
    let Some(most) = rows.iter().map(|row| whole(row)).max() else { return };
    let tall = BAR * part(rows.len(), 1) + 26.0;
    let _ = write!(
        out,
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {tall}\" role=\"img\" aria-label=\"{}\">",
        escape(&table.title)
    );
    for (index, row) in rows.iter().enumerate() {
        let y = BAR * part(index, 1);
        let name = row.first().map(|cell| text::show(cell, report, DIGITS)).unwrap_or_default();
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            NAMES - 8.0,
            y + 16.0,
            escape(&name)
        );
        let mut x = NAMES;
        for (class, column) in parts.iter().enumerate() {
            let wide = (WIDTH - NAMES - 90.0)
                * super::super::uptime::ratio(millis(row, *column), most).unwrap_or_default();
            let _ = write!(
                out,
                "<rect class=\"part{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"16\"/>",
                y + 4.0
            );
            x += wide;
        }
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x + 6.0,
            y + 16.0,
            text::duration(whole(row))
        );
    }
    let mut x = NAMES;
    for (class, column) in parts.iter().enumerate() {
        let title = table.columns.get(*column).map_or("", |column| column.title.as_str());
        let _ = write!(
            out,
            "<rect class=\"part{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            tall - 16.0,
            x + 18.0,
            tall - 6.0,
            escape(title)
        );
        x += 190.0;
    }
    out.push_str("</svg>\n");
}

/// The tables of a page: whatever else is in it is passed over. Any text gives some grid.
pub(super) fn read(page: &str) -> Grid {
    let mut grid = Grid::default();
    let mut rest = page;
    let mut open: Option<(bool, Option<&str>, String)> = None;
    let mut cells: Vec<(bool, String)> = Vec::new();
    while let Some(at) = rest.find('<') {
        if let Some((_, _, content)) = &mut open {
            content.push_str(&unescape(&rest[..at]));
        }
        let Some(length) = rest[at..].find('>') else { break };
        let tag = &rest[at + 1..at + length];
        rest = &rest[at + length + 1..];
        match tag.split([' ', '\n', '/']).next().unwrap_or_default() {
            "table" => grid.tables.push(GridTable {
                name: attribute(tag, "data-table").map(unescape).unwrap_or_default(),
                ..GridTable::default()
            }),
            name @ ("td" | "th") => open = Some((name == "th", attribute(tag, "data-v"), String::new())),
            "tr" => cells.clear(),
            _ => {}
        }
        match tag {
            "/td" | "/th" => {
                let Some((is_head, exact, content)) = open.take() else { continue };
                let content = if content == "–" { String::new() } else { content };
                let exact = exact.map(|exact| format!(" [{}]", unescape(exact))).unwrap_or_default();
                cells.push((is_head, content + &exact));
            }
            "/tr" => {
                let Some(table) = grid.tables.last_mut() else { continue };
                let heads = !cells.is_empty() && cells.iter().all(|(is_head, _)| *is_head);
                let row = cells.drain(..).map(|(_, content)| content).collect();
                if heads {
                    table.columns = row;
                } else {
                    table.rows.push(row);
                }
            }
            _ => {}
        }
    }
    grid
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let (_, value) = tag.split_once(name)?;
    value.strip_prefix("=\"")?.split('"').next()
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup_and_every_text_comes_back() {
        for text in ["<script>alert(1)</script>", "a&amp;b", "\"x\" onclick='y'", "&lt;"] {
            let escaped = escape(text);
            assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            assert_eq!(unescape(&escaped), text);
        }
        assert_eq!(escape("a\u{1b}b"), "a\u{fffd}b");
    }

    #[test]
    fn a_page_that_is_cut_anywhere_is_read_as_far_as_it_goes() {
        let page =
            "<table data-table=\"Một\"><tr><th>a</th></tr><tr><td data-v=\"1\">x – y</td></tr></table>";
        let whole = read(page);
        assert_eq!(whole.tables[0].rows, [["x – y [1]"]]);
        for (end, _) in page.char_indices() {
            assert!(read(&page[..end]).tables.len() <= 1);
        }
    }
}
