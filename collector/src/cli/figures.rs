//! What `coverage` and `uptime` share: where the figures come from, and how they are printed.
//!
//! - **table**: for people; times are the province's, and the head says which zone; percentages with two decimals;
//! - **json**: byte for byte what the API answers;
//! - **csv**: RFC 4180, UTF-8 without a byte order mark (programs read it as it is; a spreadsheet asks for the encoding on
//!   import), ratios 0 to 1, times RFC 3339.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::api::problem::Problem;
use crate::clock;
use crate::config::Config;
use crate::lang::Lang;
use crate::localtime;
use crate::province::Province;
use crate::state::State;

use super::output::{Format, block_on, print};

/// Asks the province of now, and prints the answer.
///
/// # Errors
/// When the configuration is wrong, the data cannot be read, or the question is wrong.
pub(super) fn run<A: Serialize>(
    file: &Path,
    format: Format,
    ask: impl FnOnce(&Province<'_>) -> Result<A, Problem>,
    table: impl FnOnce(&A) -> String,
    csv: impl FnOnce(&A) -> anyhow::Result<String>,
) -> anyhow::Result<ExitCode> {
    let state = load(file)?;
    let answer = ask(&Province::of(&state, clock::now()))?;
    print(match format {
        Format::Table => table(&answer),
        Format::Json => json(&answer)?,
        Format::Csv => csv(&answer)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The state of the data folder that the configuration names, also beside a running server.
fn load(file: &Path) -> anyhow::Result<State> {
    let config = Config::load(file)?;
    block_on(crate::load_read_only(config))
}

/// What the API answers, and a line break.
fn json<T: Serialize>(answer: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_string(answer).context("cannot write JSON")? + "\n")
}

/// Rows as CSV: CRLF, quoted where needed.
///
/// # Errors
/// Never in practice: it is written to memory.
pub(super) fn csv(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> anyhow::Result<String> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::<u8>::new());
    writer.write_record(header).context("cannot write CSV")?;
    for row in rows {
        writer.write_record(row).context("cannot write CSV")?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("cannot write CSV: {error}"))?;
    String::from_utf8(bytes).context("cannot write CSV")
}

/// A table; the columns from `numbers` on are aligned to the right.
pub(super) fn table(header: &[&str], numbers: usize, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(|cell| visible(&cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A share as a percentage with two decimals. What is not all is never shown as 100.00 %, and what is not nothing never as
/// 0.00 %: a second of downtime in a month must stay visible.
#[must_use]
pub(super) fn percent(share: Option<f64>) -> String {
    let Some(share) = share else { return "–".to_owned() };
    let percent = share * 100.0;
    let shown = if share < 1.0 { percent.min(99.99) } else { percent };
    let shown = if share > 0.0 { shown.max(0.01) } else { shown };
    format!("{shown:.2} %")
}

/// A number of sites: whole at an instant, with one decimal as a mean.
#[must_use]
pub(super) fn sites(count: f64) -> String {
    if count.fract() == 0.0 { format!("{count}") } else { format!("{count:.1}") }
}

/// A length of time as the command line writes it: `2 d 3 h`.
#[must_use]
pub(super) fn duration(millis: i64) -> String {
    localtime::duration(millis, Lang::En)
}

/// A ratio for programs: empty where there is none.
#[must_use]
pub(super) fn ratio(share: Option<f64>) -> String {
    share.map(|share| share.to_string()).unwrap_or_default()
}

/// A name from the register cannot move the cursor or change colours of somebody's terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `2026-11-02 08:20:00` of an RFC 3339 time: the table's head names the zone.
pub(super) fn local(time: &str) -> String {
    time.chars().take(19).map(|letter| if letter == 'T' { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_never_hides_a_little() {
        let cases = [
            (None, "–"),
            (Some(1.0), "100.00 %"),
            (Some(0.999_999), "99.99 %"),
            (Some(0.7), "70.00 %"),
            (Some(0.123_45), "12.35 %"),
            (Some(1e-9), "0.01 %"),
            (Some(0.0), "0.00 %"),
        ];
        for (share, expected) in cases {
            assert_eq!(percent(share), expected, "{share:?}");
        }
    }

    #[test]
    fn a_length_of_time_is_told_in_two_units() {
        let cases = [(0, "0 s"), (999, "0 s"), (59_000, "59 s"), (60_000, "1 min"), (310_000, "5 min 10 s")];
        for (millis, expected) in cases {
            assert_eq!(duration(millis), expected, "{millis}");
        }
        assert_eq!(duration(183_600_000), "2 d 3 h");
        assert_eq!(duration(172_805_000), "2 d");
        assert_eq!(duration(-5), "0 s");
    }

    #[test]
    fn csv_is_quoted_and_ends_lines_as_rfc_4180_says() {
        let rows = [vec!["a\"b".to_owned(), "c,d".to_owned()], vec!["Đảng ủy".to_owned(), String::new()]];
        let text = csv(&["x", "y"], rows.into_iter()).unwrap();
        assert_eq!(text, "x,y\r\n\"a\"\"b\",\"c,d\"\r\nĐảng ủy,\r\n");
    }

    #[test]
    fn a_table_shows_control_characters_harmlessly() {
        let shown = table(&["name"], 1, [vec!["a\u{1b}[31mb".to_owned()]].into_iter());
        assert!(shown.contains("a\u{fffd}[31mb") && !shown.contains('\u{1b}'), "{shown}");
    }
}
