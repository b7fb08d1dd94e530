//! Times as people write and read them: days and hours are the province's, whatever zone the server or the reader is in.
//!
//! # What is understood
//!
//! | written | means |
//! | --- | --- |
//! | `2026-11-01T08:00:00+07:00`, `2026-11-01T01:00:00Z` | RFC 3339: that instant |
//! | `2026-11-01` | the first instant of that day in the province |
//! | `2026-11-01T08:00`, `2026-11-01 08:00:30` | that time of day in the province |
//! | `now`, `today` | the present; the first instant of the present day |
//! | `-24h`, `-90m`, `-7d`, `now-2w` | so long before the present; a day is 24 hours, a week seven days |
//! | `1793466000000` | Unix milliseconds, as the answers of the API give them |
//!
//! A local time that a change of the clocks skips or repeats is taken as RFC 5545 takes it: after the gap, and the first of
//! two. Vietnam has had no such change since 1975.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use wan_wire::UnixMillis;

use crate::lang::Lang;

/// What a reader is told to write instead.
pub const EXPECTED: &str = "a day (2026-11-01), a local time (2026-11-01T08:00), an RFC 3339 time with an offset \
                            (2026-11-01T08:00:00+07:00), a time before now (-24h, -7d), today or now";

/// Text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time")]
pub struct NotATime;

/// The instant that `text` means in the province's `zone` at the present `now`.
///
/// # Errors
/// When it is none of the forms above, or lies outside the years −9999 to 9999.
pub fn parse(text: &str, zone: &TimeZone, now: UnixMillis) -> Result<UnixMillis, NotATime> {
    let text = text.trim();
    if text == "today" {
        return start_of_day(now, zone).ok_or(NotATime);
    }
    if let Some(rest) = text.strip_prefix("now").or_else(|| text.starts_with('-').then_some(text)) {
        return before(rest, now).ok_or(NotATime);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) && text.len() > UNIX_SECONDS_DIGITS {
        let millis = text.parse().map_err(|_| NotATime)?;
        Timestamp::from_millisecond(millis).map_err(|_| NotATime)?;
        return Ok(UnixMillis(millis));
    }
    // A `+` that was not escaped in a URL arrives as a space; only an offset can stand there.
    let mended = match text.rsplit_once(' ') {
        Some((head, offset)) if head.contains(['T', 't']) && is_offset(offset) => format!("{head}+{offset}"),
        Some(_) | None => text.to_owned(),
    };
    if let Ok(instant) = mended.parse::<Timestamp>() {
        return Ok(UnixMillis(instant.as_millisecond()));
    }
    let local: DateTime = text.parse().map_err(|_| NotATime)?;
    let zoned = local.to_zoned(zone.clone()).map_err(|_| NotATime)?;
    Ok(UnixMillis(zoned.timestamp().as_millisecond()))
}

/// RFC 3339 with the offset of `zone`: `2026-11-23T13:12:48.25+07:00`. What is beyond the calendar is shown in UTC.
#[must_use]
pub fn rfc3339(at: UnixMillis, zone: &TimeZone) -> String {
    show(at, zone, "%Y-%m-%dT%H:%M:%S%.f%:z")
}

/// For tables whose head says the zone: `2026-11-23 13:12:48`.
#[must_use]
pub fn plain(at: UnixMillis, zone: &TimeZone) -> String {
    show(at, zone, "%Y-%m-%d %H:%M:%S")
}

/// A length of time in its two largest units: `2 d 3 h`, `5 phút 10 giây`; `0 s` for none.
#[must_use]
pub fn duration(millis: i64, lang: Lang) -> String {
    let seconds = millis.max(0) / 1000;
    let units = [
        (seconds / 86_400, lang.pick("ngày", "d")),
        (seconds / 3600 % 24, lang.pick("giờ", "h")),
        (seconds / 60 % 60, lang.pick("phút", "min")),
        (seconds % 60, lang.pick("giây", "s")),
    ];
    let first = units.iter().position(|(count, _)| *count > 0).unwrap_or(units.len() - 1);
    let shown: Vec<String> = units
        .iter()
        .skip(first)
        .take(2)
        .enumerate()
        .filter(|(place, (count, _))| *place == 0 || *count > 0)
        .map(|(_, (count, unit))| format!("{count} {unit}"))
        .collect();
    shown.join(" ")
}

/// The zone's name: `Asia/Ho_Chi_Minh`.
#[must_use]
pub fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

/// The first instant of the day in `zone` that holds `at`.
#[must_use]
pub fn start_of_day(at: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
    let zoned = Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone());
    Some(UnixMillis(zoned.start_of_day().ok()?.timestamp().as_millisecond()))
}

/// The midnights that bound the days in `zone` which the time from `start` to `end` touches: one more than there are days, and at most
/// `most` + 1. None when the calendar does not reach so far, or the time is empty.
#[must_use]
pub fn midnights(start: UnixMillis, end: UnixMillis, zone: &TimeZone, most: usize) -> Vec<UnixMillis> {
    let first = Timestamp::from_millisecond(start.0).ok().map(|at| at.to_zoned(zone.clone()).date());
    let Some(first) = first.filter(|_| start < end) else { return Vec::new() };
    let mut found: Vec<UnixMillis> = Vec::new();
    for day in first.series(jiff::Span::new().days(1)).take(most + 1) {
        let Ok(midnight) = day.to_zoned(zone.clone()) else { return Vec::new() };
        let midnight = UnixMillis(midnight.timestamp().as_millisecond());
        found.push(midnight);
        if midnight >= end {
            break;
        }
    }
    found
}

/// The first instant of the month in `zone` that holds `at`.
#[must_use]
pub fn start_of_month(at: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
    let zoned = Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone());
    let first = zoned.first_of_month().ok()?.start_of_day().ok()?;
    Some(UnixMillis(first.timestamp().as_millisecond()))
}

/// A whole number with at most as many digits may be meant as Unix seconds or as a date; ten digits of milliseconds are
/// in April 1970.
const UNIX_SECONDS_DIGITS: usize = 10;

/// In `zone` as `format` says. What is beyond the calendar is shown in UTC.
pub(crate) fn show(at: UnixMillis, zone: &TimeZone, format: &str) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(instant) => instant.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => at.to_string(),
    }
}

/// `` or `-24h`.
fn before(text: &str, now: UnixMillis) -> Option<UnixMillis> {
    if text.is_empty() {
        return Some(now);
    }
    let text = text.strip_prefix('-')?;
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    if !count.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = count.parse::<i64>().ok()?.checked_mul(seconds)?.checked_mul(1000)?;
    let at = UnixMillis(now.0.checked_sub(millis)?);
    Timestamp::from_millisecond(at.0).is_ok().then_some(at)
}

/// `07:00`
fn is_offset(text: &str) -> bool {
    let digit = |i: usize| text.as_bytes().get(i).is_some_and(u8::is_ascii_digit);
    text.len() == 5 && text.as_bytes()[2] == b':' && [0, 1, 3, 4].into_iter().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 13:12:48.250 in Vietnam.
    const NOW: UnixMillis = UnixMillis(1_795_414_368_250);

    fn vietnam() -> TimeZone {
        TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
    }

    fn read(text: &str) -> Result<String, NotATime> {
        parse(text, &vietnam(), NOW).map(|at| at.to_string())
    }

    #[test]
    fn every_way_to_write_a_time_is_understood() {
        let cases = [
            ("2026-11-01T08:00:00+07:00", "2026-11-01T01:00:00.000Z"),
            ("2026-11-01T08:00:00 07:00", "2026-11-01T01:00:00.000Z"),
            ("2026-11-01T01:00:00Z", "2026-11-01T01:00:00.000Z"),
            ("2026-11-01T01:00:00.125Z", "2026-11-01T01:00:00.125Z"),
            ("2026-11-01", "2026-10-31T17:00:00.000Z"),
            ("2026-11-01T08:00", "2026-11-01T01:00:00.000Z"),
            ("2026-11-01 08:00:30", "2026-11-01T01:00:30.000Z"),
            (" now ", "2026-11-23T06:12:48.250Z"),
            ("today", "2026-11-22T17:00:00.000Z"),
            ("-24h", "2026-11-22T06:12:48.250Z"),
            ("-90m", "2026-11-23T04:42:48.250Z"),
            ("-30s", "2026-11-23T06:12:18.250Z"),
            ("now-7d", "2026-11-16T06:12:48.250Z"),
            ("-2w", "2026-11-09T06:12:48.250Z"),
            ("1795414368250", "2026-11-23T06:12:48.250Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let bad = [
            "",
            "yesterday",
            "-",
            "now-",
            "-h",
            "-24",
            "-24H",
            "-1.5h",
            "--24h",
            "-+5h",
            "+24h",
            "24h",
            "2026-13-01",
            "2026-02-29",
            "2026-11-01T25:00",
            "01/11/2026",
            "1795414368",
            "-99999999999999999999d",
            "-9999999999d",
            "99999999999999999999",
            "9999999999999999",
            "2026-11-01T08:00:00+7",
            "-5ầ",
        ];
        for text in bad {
            assert_eq!(read(text), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_in_the_provinces_zone() {
        assert_eq!(rfc3339(NOW, &vietnam()), "2026-11-23T13:12:48.25+07:00");
        assert_eq!(rfc3339(UnixMillis(1_795_414_368_000), &vietnam()), "2026-11-23T13:12:48+07:00");
        assert_eq!(plain(NOW, &vietnam()), "2026-11-23 13:12:48");
        assert_eq!(rfc3339(UnixMillis::MIN, &vietnam()), UnixMillis::MIN.to_string());
        assert_eq!(zone_name(&vietnam()), "Asia/Ho_Chi_Minh");
        let shown = rfc3339(NOW, &vietnam());
        assert_eq!(parse(&shown, &vietnam(), UnixMillis(0)), Ok(NOW), "what is shown can be asked for again");
    }

    #[test]
    fn the_midnights_of_a_time_bound_the_provinces_days() {
        let shown = |from: &str, to: &str, zone: &TimeZone, most| {
            let at = |text| parse(text, zone, NOW).unwrap();
            let found = midnights(at(from), at(to), zone, most);
            found.iter().map(|at| plain(*at, zone)).collect::<Vec<_>>()
        };
        let two = ["2026-11-01 00:00:00", "2026-11-02 00:00:00", "2026-11-03 00:00:00"];
        assert_eq!(shown("2026-11-01T23:59", "2026-11-02T00:01", &vietnam(), 9), two);
        assert_eq!(shown("2026-11-01", "2026-11-03", &vietnam(), 9), two, "the end is not part of it");
        assert_eq!(shown("2026-11-01", "2026-12-01", &vietnam(), 2), two, "no more than asked for");
        assert!(shown("2026-11-01", "2026-11-01", &vietnam(), 9).is_empty());
        // On 29 March a clock of Berlin skips an hour: that day has 23.
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text| parse(text, &berlin, NOW).unwrap();
        let days = midnights(at("2026-03-28"), at("2026-03-31"), &berlin, 9);
        let hours: Vec<i64> = days.windows(2).map(|pair| pair[1].millis_since(pair[0]) / 3_600_000).collect();
        assert_eq!(hours, [24, 23, 24]);
    }

    #[test]
    fn a_month_begins_at_the_provinces_midnight() {
        let first = UnixMillis(1_793_466_000_000); // 2026-11-01 00:00 in Vietnam
        assert_eq!(start_of_month(NOW, &vietnam()), Some(first));
        assert_eq!(start_of_month(first, &vietnam()), Some(first));
        assert_eq!(
            start_of_month(first.plus_millis(-1), &vietnam()).map(|at| plain(at, &vietnam())).as_deref(),
            Some("2026-10-01 00:00:00")
        );
        assert_eq!(start_of_day(UnixMillis::MAX, &vietnam()), None);
    }
}
