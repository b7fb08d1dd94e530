//! The `calendar` key: hours of service, holidays, and days that are worked in exchange.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use wan_settings::{At, Fields};

use super::parse::label;
use crate::calendar::{
    Calendar, FIRST_DAY, Holiday, Hours, LAST_DAY, Minute, WEEKDAYS, monday_first, office_hours, weekday,
};

/// Most ranges of hours that one day may have.
const MOST_RANGES: usize = 24;
/// Most holidays of a file; ten a year for a century.
const MOST_HOLIDAYS: usize = 1000;
/// Longest holiday in days: what is longer is no holiday but a site that is closed.
const LONGEST_HOLIDAY: i32 = 60;

const WEEKDAY: &str = "a weekday: mon, tue, wed, thu, fri, sat or sun";

/// Reads the calendar; what cannot be read keeps its default and is noted.
pub(super) fn calendar(at: &At<'_>) -> Option<Calendar> {
    let fields = at.fields(&["service_hours", "holidays", "working_days"])?;
    let hours = match fields.get("service_hours") {
        Some(at) => service_hours(&at)?,
        None => office_hours(),
    };
    let holidays = fields.get("holidays").map_or(Some(Vec::new()), |at| holidays(&at))?;
    let working_days =
        fields.get("working_days").map_or(Some(BTreeMap::new()), |at| working_days(&at, &holidays))?;
    Some(Calendar::new(hours, holidays, working_days))
}

/// `mon-fri: ["07:30-11:30", "13:30-17:00"]`; days that are not named have none.
fn service_hours(at: &At<'_>) -> Option<[Vec<Hours>; 7]> {
    let mut hours: [Option<Vec<Hours>>; 7] = [const { None }; 7];
    let entries = at.entries("weekdays and their hours")?;
    if entries.is_empty() {
        at.wrong(
            "the hours of at least one weekday",
            "remove the key to have office hours from Monday to Friday",
        );
        return None;
    }
    for (key, value) in entries {
        let days = match weekdays(key) {
            Ok(days) => days,
            Err(remedy) => {
                let expected = "a weekday from mon to sun, or a range such as mon-fri";
                value.at_key().wrong_as(format!("“{key}”"), expected, remedy);
                continue;
            }
        };
        let Some(ranges) = ranges(&value) else { continue };
        for day in days {
            let Some(slot) = hours.get_mut(day) else { continue };
            if slot.is_some() {
                let name = WEEKDAYS.get(day).map_or("", |(name, _)| name);
                value.at_key().wrong_as(
                    format!("the day {name} twice"),
                    "each weekday once",
                    "give all its hours in one list",
                );
            }
            *slot = Some(ranges.clone());
        }
    }
    Some(hours.map(Option::unwrap_or_default))
}

/// The positions of the weekdays that a key names, from Monday on; else what to do.
fn weekdays(key: &str) -> Result<std::ops::RangeInclusive<usize>, String> {
    let names = || WEEKDAYS.iter().map(|(name, _)| *name);
    let find = |word: &str| {
        weekday(word).map(monday_first).ok_or_else(|| match wan_settings::nearest(word, names()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "write mon, tue, wed, thu, fri, sat or sun".to_owned(),
        })
    };
    let (first, last) = key.split_once('-').unwrap_or((key, key));
    let (from, to) = (find(first)?, find(last)?);
    if from > to {
        return Err(format!("a week begins on Monday: write {first}-sun and mon-{last} as two keys"));
    }
    Ok(from..=to)
}

/// `["07:30-11:30", "13:30-17:00"]`: each ends after its start, in order, and no two overlap.
fn ranges(at: &At<'_>) -> Option<Vec<Hours>> {
    let expected = "hours of one day, such as 07:30-11:30";
    let mut found: Vec<Hours> = Vec::new();
    let items = at.items("hours such as \"07:30-11:30\"")?;
    if items.len() > MOST_RANGES {
        at.wrong_as(
            format!("{} ranges", items.len()),
            format!("at most {MOST_RANGES} a day"),
            "join ranges that touch",
        );
        return None;
    }
    for item in items {
        let text = item.text(expected)?;
        let Some((from, to)) = text.split_once('-') else {
            item.wrong(expected, "write a start and an end with a hyphen between");
            return None;
        };
        let (Ok(from), Ok(to)) = (from.trim().parse::<Minute>(), to.trim().parse::<Minute>()) else {
            item.wrong(expected, "times of day are 00:00 to 23:59, and 24:00 as an end");
            return None;
        };
        let Some(hours) = Hours::new(from, to) else {
            let remedy = match (from, to) {
                (Minute::END_OF_DAY, _) => {
                    "24:00 is the end of a day, and begins nothing: write 00:00 on the next weekday"
                }
                (from, to) if from == to => "for the whole day write 00:00-24:00",
                _ => {
                    "exchange the two; hours over midnight are written on two weekdays, each up to or from midnight"
                }
            };
            item.wrong("an end after the start", remedy);
            return None;
        };
        if found.iter().any(|other| other.overlaps(hours)) {
            item.wrong("hours that no other range of the day has", "join the two to one range");
            return None;
        }
        found.push(hours);
    }
    found.sort_by_key(|hours| hours.from());
    Some(found)
}

/// `- {days: 2027-02-05..2027-02-11, name: Tết Nguyên đán}`
fn holidays(at: &At<'_>) -> Option<Vec<Holiday>> {
    let mut found: Vec<Holiday> = Vec::new();
    let items = at.items("holidays, each with “days” and “name”")?;
    if items.len() > MOST_HOLIDAYS {
        at.wrong_as(
            format!("{} holidays", items.len()),
            format!("at most {MOST_HOLIDAYS}"),
            "remove those of long ago",
        );
        return None;
    }
    for item in items {
        let Some(fields) = item.fields(&["days", "name"]) else { continue };
        let days = fields.need(
            "days",
            "a day such as 2027-09-02, or the first and the last such as 2027-02-05..2027-02-11",
        );
        let days = days.and_then(|at| range_of_days(&at));
        let name = name(&fields);
        let (Some((from, to)), Some(name)) = (days, name) else { continue };
        if let Some(other) = found.iter().find(|other| other.from <= to && from <= other.to) {
            let found = format!("a day that also belongs to {}", other.name);
            item.wrong_as(found, "each day in one holiday", "shorten one of the two");
            continue;
        }
        found.push(Holiday { from, to, name });
    }
    Some(found)
}

fn name(fields: &Fields<'_>) -> Option<String> {
    fields.need("name", "what is celebrated").and_then(|at| label(&at))
}

fn range_of_days(at: &At<'_>) -> Option<(Date, Date)> {
    let text = at.text("a day, or two with “..” between")?;
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (Some(from), Some(to)) = (day(from), day(to)) else {
        at.wrong(DAY, "write year-month-day; a holiday of several days is FIRST..LAST");
        return None;
    };
    if to < from {
        at.wrong("a last day that is not before the first", "exchange the two");
        return None;
    }
    let length = from.until(to).map_or(i32::MAX, |span| span.get_days()).saturating_add(1);
    if length > LONGEST_HOLIDAY {
        at.wrong_as(
            format!("{length} days"),
            format!("at most {LONGEST_HOLIDAY}"),
            "is one of the years mistyped?",
        );
        return None;
    }
    Some((from, to))
}

/// `2027-02-20: mon`
fn working_days(at: &At<'_>, holidays: &[Holiday]) -> Option<BTreeMap<Date, Weekday>> {
    let mut found = BTreeMap::new();
    for (key, value) in at.entries("days and the weekday whose hours they have, such as 2027-02-20: mon")? {
        let Some(date) = day(key) else {
            value.at_key().wrong_as(format!("“{key}”"), DAY, "write year-month-day");
            continue;
        };
        let remedy = "name the weekday whose hours are worked on this day";
        let Some(like) = value.scalar(WEEKDAY, remedy, weekday) else { continue };
        if let Some(holiday) = holidays.iter().find(|holiday| (holiday.from..=holiday.to).contains(&date)) {
            value.at_key().wrong_as(
                format!("{date}, a day of {}", holiday.name),
                "a day that is no holiday",
                "shorten the holiday, or remove this day",
            );
            continue;
        }
        found.insert(date, like);
    }
    Some(found)
}

const DAY: &str = "a day that exists, of the years 1970 to 2199, such as 2027-02-05";

fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Option<Date> = plain.then(|| text.parse().ok()).flatten();
    date.filter(|date| (FIRST_DAY..=LAST_DAY).contains(date))
}
