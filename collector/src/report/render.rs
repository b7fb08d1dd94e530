//! A report in a format, and back.
//!
//! | format | for | a cell |
//! | --- | --- | --- |
//! | xlsx | the official file | a number, date or text with a format; never a formula |
//! | html | reading and printing on A4 | what is shown, and the exact value in `data-v` |
//! | csv | spreadsheets and scripts | what is shown; text that a spreadsheet would take for a formula is led by `'` |
//! | json | programs | the exact value |
//!
//! Reading gives a [`Grid`] of texts. A report that is written and read again gives the same grid as the first time, so two reports are
//! compared by their grids, in whatever format one of them was kept ([`super::verify`]).

mod csv_file;
mod html;
mod json;
pub(super) mod text;
mod xlsx;

use super::model::Report;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An Excel workbook.
    Xlsx,
    /// A page to read and print.
    Html,
    /// Comma-separated values, one section for each table; semicolons and decimal commas in Vietnamese.
    Csv,
    /// For programs.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Xlsx, Self::Html, Self::Csv, Self::Json];

    /// The word for it, which is also how names of its files end.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xlsx => "xlsx",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Html => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    /// What a file is, by how it begins.
    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"PK") {
            return Some(Self::Xlsx);
        }
        if bytes.starts_with(csv_file::MARK.as_bytes()) {
            return Some(Self::Csv);
        }
        match bytes.trim_ascii_start().first() {
            Some(b'{') => Some(Self::Json),
            Some(b'<') => Some(Self::Html),
            Some(_) | None => None,
        }
    }
}

/// The tables of a report as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grid {
    /// The tables in their order.
    pub tables: Vec<GridTable>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GridTable {
    /// Its name.
    pub name: String,
    /// The heads of its columns.
    pub columns: Vec<String>,
    /// Its rows; one may be shorter than the columns.
    pub rows: Vec<Vec<String>>,
}

/// Why a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// The workbook's writer refused.
    #[error("cannot write the workbook: {0}")]
    Workbook(#[from] rust_xlsxwriter::XlsxError),
    /// The JSON's writer refused.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The CSV's writer refused.
    #[error("cannot write CSV: {0}")]
    Csv(String),
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is none of the formats.
    #[error(
        "it is no report: expected a workbook (xlsx), HTML, JSON, or CSV as `wan-collector report` writes them"
    )]
    NoFormat,
    /// It looks like a workbook and is none.
    #[error("it is no workbook that can be read: {0}")]
    Workbook(#[from] calamine::XlsxError),
    /// It looks like JSON and is none, or is no report.
    #[error("it is no report in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It looks like CSV and is none.
    #[error("it is no report in CSV: {0}")]
    Csv(#[from] csv::Error),
    /// It is not text.
    #[error("it is not UTF-8 text")]
    NotText,
}

/// The report as a file's bytes.
///
/// # Errors
/// What the format's writer says, as when a table has more rows than a sheet can.
pub fn write(report: &Report, format: Format) -> Result<Vec<u8>, NotWritten> {
    match format {
        Format::Xlsx => xlsx::write(report),
        Format::Html => Ok(html::write(report).into_bytes()),
        Format::Csv => csv_file::write(report),
        Format::Json => json::write(report),
    }
}

/// The tables of a report's file, and what format it has.
///
/// # Errors
/// When the file is no report.
pub fn read(bytes: &[u8]) -> Result<(Format, Grid), Unreadable> {
    let format = Format::of(bytes).ok_or(Unreadable::NoFormat)?;
    let text = || std::str::from_utf8(bytes).map_err(|_| Unreadable::NotText);
    let grid = match format {
        Format::Xlsx => xlsx::read(bytes)?,
        Format::Html => html::read(text()?),
        Format::Csv => csv_file::read(text()?)?,
        Format::Json => json::read(bytes)?,
    };
    Ok((format, grid))
}

/// A number as text in a grid: twelve digits, more than any program changes when it saves a file anew.
fn number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.11e}") }
}
