//! Cells as people read them: percentages, times of the province, and the decimal mark of the language.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::lang::Lang;
use crate::report::model::{Cell, Report};

/// How a date is written.
const fn date_format(lang: Lang) -> &'static str {
    lang.pick("%d/%m/%Y", "%Y-%m-%d")
}

/// What is shown for a cell; `digits` of a percentage behind the decimal mark.
pub(super) fn show(cell: &Cell, report: &Report, digits: usize) -> String {
    let lang = report.lang;
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Count(count) => count.to_string(),
        Cell::Number(number) => decimal(format!("{number:.2}"), lang),
        Cell::Share(share) => percent(*share, digits, lang),
        Cell::Duration(millis) => duration(*millis),
        Cell::Instant(at) => Timestamp::from_millisecond(at.0).map_or_else(
            |_| at.to_string(),
            |instant| {
                let format = format!("{} %H:%M:%S", date_format(lang));
                instant.to_zoned(report.zone.clone()).strftime(&format).to_string()
            },
        ),
        Cell::Date(day) => date(*day, lang),
        Cell::Mixed(inner) => show(inner, report, digits),
    }
}

/// A day.
pub(super) fn date(day: Date, lang: Lang) -> String {
    day.strftime(date_format(lang)).to_string()
}

/// Hours, minutes and seconds: `27:05:10`.
pub(super) fn duration(millis: i64) -> String {
    let seconds = millis.saturating_add(500) / 1000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A share as a percentage. What is not all is never shown as all, nor what is not nothing as nothing.
pub(in crate::report) fn percent(share: f64, digits: usize, lang: Lang) -> String {
    let step = 10_f64.powi(-i32::try_from(digits).unwrap_or(2));
    let percent = share * 100.0;
    let percent = if share < 1.0 { percent.min(100.0 - step) } else { percent };
    let percent = if share > 0.0 { percent.max(step) } else { percent };
    decimal(format!("{percent:.digits$}%"), lang)
}

/// Seconds as milliseconds: `12.3 ms`.
pub(in crate::report) fn millis(seconds: f64, lang: Lang) -> String {
    decimal(format!("{:.1} ms", seconds * 1000.0), lang)
}

fn decimal(text: String, lang: Lang) -> String {
    match lang {
        Lang::Vi => text.replace('.', ","),
        Lang::En => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_hides_neither_a_second_of_downtime_nor_a_second_of_uptime() {
        let cases = [
            (1.0, "100.00%"),
            (0.999_999, "99.99%"),
            (0.7, "70.00%"),
            (0.123_45, "12.35%"),
            (1e-9, "0.01%"),
            (0.0, "0.00%"),
        ];
        for (share, expected) in cases {
            assert_eq!(percent(share, 2, Lang::En), expected, "{share}");
        }
        assert_eq!(percent(0.999_912_3, 4, Lang::Vi), "99,9912%");
    }

    #[test]
    fn a_length_of_time_is_hours_minutes_and_seconds() {
        let cases = [(0, "0:00:00"), (499, "0:00:00"), (500, "0:00:01"), (97_510_000, "27:05:10")];
        for (millis, expected) in cases {
            assert_eq!(duration(millis), expected, "{millis}");
        }
    }
}
