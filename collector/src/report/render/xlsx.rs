//! XLSX: a sheet for each table, with number formats, a frozen head, filters, print settings and charts. Every cell is a number or a
//! text; none is a formula.

use std::io::Cursor;

use calamine::{Data, Reader as _, Xlsx};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use rust_xlsxwriter::{
    Chart as Drawing, ChartFormat, ChartLegendPosition, ChartLine, ChartSolidFill, ChartType, Color, Format,
    FormatAlign, FormatBorder, Workbook, Worksheet,
};

use super::{Grid, GridTable, NotWritten, Unreadable, number};
use crate::lang::Lang;
use crate::report::model::{Cell, Chart, Column, Kind, Report, Table};

/// The row of the heads; above it stand title and note.
const HEAD_ROW: u32 = 3;
/// The day before Excel's day 1, if February 1900 is taken as Excel takes it.
const DAY_ZERO: Date = Date::constant(1899, 12, 30);
const DAY_MS: f64 = 86_400_000.0;
/// A4 (ECMA-376 part 1, 18.3.1.63).
const A4: u8 = 9;
/// Widest that a column of text is made, in characters.
const WIDEST: usize = 44;
const PROSE_WIDTH: usize = 60;
const BLUE: u32 = 0x1F_4E_79;

struct Styles {
    title: Format,
    note: Format,
    head: Format,
    text: Format,
    prose: Format,
    count: Format,
    number: Format,
    share: Format,
    duration: Format,
    instant: Format,
    date: Format,
}

impl Styles {
    fn new(lang: Lang) -> Self {
        let cell = || Format::new().set_border(FormatBorder::Hair).set_align(FormatAlign::Top);
        let day = lang.pick("dd/mm/yyyy", "yyyy-mm-dd");
        // What is not all is never shown as all.
        let share =
            lang.pick("[=1]0.00%;[>=0.99995]\"99,99%\";0.00%", "[=1]0.00%;[>=0.99995]\"99.99%\";0.00%");
        Self {
            title: Format::new().set_bold().set_font_size(14).set_font_color(Color::RGB(BLUE)),
            note: Format::new()
                .set_italic()
                .set_text_wrap()
                .set_align(FormatAlign::Top)
                .set_align(FormatAlign::Left),
            head: Format::new()
                .set_bold()
                .set_text_wrap()
                .set_font_color(Color::White)
                .set_background_color(Color::RGB(BLUE))
                .set_border(FormatBorder::Thin)
                .set_align(FormatAlign::Center)
                .set_align(FormatAlign::VerticalCenter),
            text: cell(),
            prose: cell().set_text_wrap(),
            count: cell().set_num_format("#,##0"),
            number: cell().set_num_format("0.00"),
            share: cell().set_num_format(share),
            duration: cell().set_num_format("[h]:mm:ss"),
            instant: cell().set_num_format(format!("{day} hh:mm:ss")),
            date: cell().set_num_format(day),
        }
    }
}

pub(super) fn write(report: &Report) -> Result<Vec<u8>, NotWritten> {
    let styles = Styles::new(report.lang);
    let mut book = Workbook::new();
    let properties =
        rust_xlsxwriter::DocProperties::new().set_title(&report.title).set_subject(&report.subtitle);
    book.set_properties(&properties);
    for table in &report.tables {
        // Rows go to a temporary file as they come: of ten thousand sites they would be some hundred megabytes.
        let sheet = book.add_worksheet_with_low_memory()?;
        sheet.set_name(table.name)?;
        fill(sheet, report, table, &styles)?;
    }
    Ok(book.save_to_buffer()?)
}

fn fill(sheet: &mut Worksheet, report: &Report, table: &Table, styles: &Styles) -> Result<(), NotWritten> {
    // Room for two marks over a capital.
    sheet.set_default_row_height(17);
    let last_column = index(table.columns.len().saturating_sub(1));
    let last_row = HEAD_ROW + u32::try_from(table.rows.len()).unwrap_or(u32::MAX - HEAD_ROW);
    let mut whole = 0;
    for (at, column) in table.columns.iter().enumerate() {
        let width = width(table, at, column);
        whole += width;
        sheet.set_column_width(index(at), u32::try_from(width).unwrap_or(10))?;
    }
    sheet.write_string_with_format(0, 0, format!("{} – {}", table.title, report.title), &styles.title)?;
    sheet.write_string_with_format(1, 0, &report.subtitle, &Format::new().set_italic())?;
    if !table.note.is_empty() {
        if last_column > 0 {
            sheet.merge_range(2, 0, 2, last_column, &table.note, &styles.note)?;
        } else {
            sheet.write_string_with_format(2, 0, &table.note, &styles.note)?;
        }
        let lines = table.note.chars().count() / whole.max(1) + 1;
        sheet.set_row_height(2, 16 * u32::try_from(lines).unwrap_or(1))?;
    }
    let heads = table.columns.iter().enumerate().map(|(at, column)| {
        column.title.chars().count().div_ceil(width(table, at, column).saturating_sub(1).max(1))
    });
    let lines = u32::try_from(heads.max().unwrap_or(1)).unwrap_or(1).clamp(1, 6);
    sheet.set_row_height(HEAD_ROW, 6 + 16 * lines)?;
    for (at, column) in table.columns.iter().enumerate() {
        sheet.write_string_with_format(HEAD_ROW, index(at), &column.title, &styles.head)?;
    }
    for (row, cells) in (HEAD_ROW + 1..).zip(&table.rows) {
        for (at, (cell, column)) in cells.iter().zip(&table.columns).enumerate() {
            write_cell(sheet, (row, index(at)), cell, column, report, styles)?;
        }
    }
    sheet.set_freeze_panes(HEAD_ROW + 1, index(table.key.len().min(2)))?;
    if !table.rows.is_empty() {
        sheet.autofilter(HEAD_ROW, 0, last_row, last_column)?;
    }
    sheet.set_paper_size(A4).set_print_fit_to_pages(1, 0).set_margins(0.4, 0.4, 0.5, 0.6, 0.3, 0.3);
    // Upright, a table of a month and its chart fit on one page.
    if whole > 90 && table.chart.is_none() {
        sheet.set_landscape();
    }
    sheet.set_repeat_rows(HEAD_ROW, HEAD_ROW)?;
    sheet.set_footer(format!("&L{}&R&P/&N", report.subtitle.replace('&', "&&")));
    if let (Some(chart), false) = (table.chart, table.rows.is_empty()) {
        let drawing = draw(table, chart, last_row);
        sheet.insert_chart(last_row + 2, 0, &drawing)?;
    }
    Ok(())
}

fn write_cell(
    sheet: &mut Worksheet,
    (row, at): (u32, u16),
    cell: &Cell,
    column: &Column,
    report: &Report,
    styles: &Styles,
) -> Result<(), NotWritten> {
    match cell.plain() {
        Cell::Empty | Cell::Mixed(_) => sheet.write_blank(row, at, &styles.text)?,
        Cell::Text(text) => {
            let style = if column.kind == Kind::Prose { &styles.prose } else { &styles.text };
            sheet.write_string_with_format(row, at, text, style)?
        }
        Cell::Count(count) => sheet.write_number_with_format(row, at, exact(*count), &styles.count)?,
        Cell::Number(number) => sheet.write_number_with_format(row, at, *number, &styles.number)?,
        Cell::Share(share) => sheet.write_number_with_format(row, at, *share, &styles.share)?,
        Cell::Duration(millis) => {
            sheet.write_number_with_format(row, at, exact(*millis) / DAY_MS, &styles.duration)?
        }
        Cell::Instant(instant) => match Timestamp::from_millisecond(instant.0) {
            Ok(time) => {
                let local = time.to_zoned(report.zone.clone()).datetime();
                sheet.write_number_with_format(row, at, serial(local), &styles.instant)?
            }
            Err(_) => sheet.write_string_with_format(row, at, instant.to_string(), &styles.text)?,
        },
        Cell::Date(day) => {
            sheet.write_number_with_format(row, at, serial(day.at(0, 0, 0, 0)), &styles.date)?
        }
    };
    Ok(())
}

/// Days since [`DAY_ZERO`].
fn serial(local: DateTime) -> f64 {
    let since = local.duration_since(DAY_ZERO.at(0, 0, 0, 0));
    since.as_millis_f64() / DAY_MS
}

/// In characters.
fn width(table: &Table, at: usize, column: &Column) -> usize {
    match column.kind {
        Kind::Prose => PROSE_WIDTH,
        Kind::Text | Kind::Mixed => {
            let texts = table.rows.iter().filter_map(|row| row.get(at)?.as_text());
            let longest = texts.map(|text| text.chars().count());
            let head = column.title.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
            (longest.max().unwrap_or(0).max(head) + 2).clamp(12, WIDEST)
        }
        Kind::Count | Kind::Number => 11,
        Kind::Share => 12,
        Kind::Duration => 13,
        Kind::Instant => 20,
        Kind::Date => 13,
    }
}

fn draw(table: &Table, chart: Chart, last_row: u32) -> Drawing {
    let first_row = HEAD_ROW + 1;
    let range = |column: usize| (table.name, first_row, index(column), last_row, index(column));
    let name = |column: usize| table.columns.get(column).map_or("", |column| column.title.as_str());
    let mut drawing = match chart {
        Chart::Bounds { .. } => Drawing::new(ChartType::Line),
        Chart::Stacked { .. } => Drawing::new(ChartType::BarStacked),
    };
    match chart {
        Chart::Bounds { low, high } => {
            for (column, colour) in [(high, 0x8F_BC_E6), (low, BLUE)] {
                let line = ChartLine::new().set_color(Color::RGB(colour)).set_width(2.25).clone();
                let mut format = ChartFormat::new();
                format.set_line(&line);
                drawing
                    .add_series()
                    .set_categories(range(0))
                    .set_values(range(column))
                    .set_name(name(column))
                    .set_format(&mut format);
            }
            drawing.y_axis().set_min(floor(table, low)).set_max(1).set_num_format("0%");
            drawing.x_axis().set_num_format("dd/mm");
        }
        Chart::Stacked { parts } => {
            for (column, colour) in parts.iter().zip(PART_COLOURS) {
                let mut format = ChartFormat::new();
                format.set_solid_fill(ChartSolidFill::new().set_color(Color::RGB(colour)));
                drawing
                    .add_series()
                    .set_categories(range(0))
                    .set_values(range(*column))
                    .set_name(name(*column))
                    .set_format(&mut format);
            }
            drawing.y_axis().set_reverse();
            drawing.x_axis().set_num_format("[h]:mm");
        }
    }
    drawing.title().set_name(&table.title);
    drawing.legend().set_position(ChartLegendPosition::Bottom);
    drawing.set_width(720).set_height(380);
    drawing
}

/// Where an axis of shares begins: so that what is drawn can be told apart.
fn floor(table: &Table, column: usize) -> f64 {
    let shares = table.rows.iter().filter_map(|row| row.get(column)?.as_share());
    ((shares.fold(1.0, f64::min) * 10.0).floor() / 10.0 - 0.1).max(0.0)
}

/// Down, degraded, unknown: the same colours as on the page.
const PART_COLOURS: [u32; 3] = [0xC6_28_28, 0xF9_A8_25, 0x9E_9E_9E];

pub(super) fn read(bytes: &[u8]) -> Result<Grid, Unreadable> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes))?;
    let mut grid = Grid::default();
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name)?;
        let Some((last_row, last_column)) = range.end() else { continue };
        let row = |row: u32| -> Vec<String> {
            let cells =
                (0..=last_column).map(|column| range.get_value((row, column)).map_or_else(String::new, cell));
            let mut cells: Vec<String> = cells.collect();
            while cells.last().is_some_and(String::is_empty) {
                cells.pop();
            }
            cells
        };
        let rows = (HEAD_ROW + 1..=last_row).map(row).filter(|row| !row.is_empty()).collect();
        grid.tables.push(GridTable { name, columns: row(HEAD_ROW), rows });
    }
    Ok(grid)
}

fn cell(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Float(value) => number(*value),
        Data::Int(value) => number(exact(*value)),
        Data::DateTime(value) => number(value.as_f64()),
        other @ (Data::Bool(_) | Data::DateTimeIso(_) | Data::DurationIso(_) | Data::Error(_)) => {
            other.to_string()
        }
    }
}

fn index(column: usize) -> u16 {
    u16::try_from(column).unwrap_or(u16::MAX)
}

/// Exact below 2⁵³, as a count of milliseconds is.
#[allow(clippy::cast_precision_loss, reason = "below 2⁵³")]
const fn exact(value: i64) -> f64 {
    value as f64
}
