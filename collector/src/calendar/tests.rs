use jiff::Timestamp;
use jiff::civil::DateTime;
use wan_wire::UnixMillis;

use super::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(zone: &TimeZone, text: &str) -> UnixMillis {
    let local: DateTime = text.parse().unwrap();
    UnixMillis(local.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond())
}

fn hours(parts: &[(&str, &str)]) -> Vec<Hours> {
    parts.iter().map(|(from, to)| Hours::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()).collect()
}

/// The same hours on every day.
fn daily(parts: &[(&str, &str)]) -> Calendar {
    let parts = hours(parts);
    Calendar::new(std::array::from_fn(|_| parts.clone()), Vec::new(), BTreeMap::new())
}

fn show(periods: &Periods, zone: &TimeZone) -> Vec<String> {
    let local = |at: UnixMillis| crate::localtime::plain(at, zone);
    periods.as_slice().iter().map(|p| format!("{}..{}", local(p.start), local(p.end))).collect()
}

fn of_day(calendar: &Calendar, zone: &TimeZone, day: &str) -> (Vec<String>, i64) {
    let date: Date = day.parse().unwrap();
    let window = Window::new(at(zone, day), days::start_of_day(date.tomorrow().unwrap(), zone));
    let time = calendar.service_time(window, zone);
    (show(&time, zone), time.total_ms() / 60_000)
}

#[test]
fn a_day_of_the_office_has_seven_and_a_half_hours_and_a_weekend_none() {
    let (vietnam, calendar) = (zone("Asia/Ho_Chi_Minh"), Calendar::default());
    let (shown, minutes) = of_day(&calendar, &vietnam, "2026-11-02");
    assert_eq!(
        shown,
        ["2026-11-02 07:30:00..2026-11-02 11:30:00", "2026-11-02 13:30:00..2026-11-02 17:00:00"]
    );
    assert_eq!(minutes, 450);
    for weekend in ["2026-11-07", "2026-11-08"] {
        assert_eq!(of_day(&calendar, &vietnam, weekend).1, 0, "{weekend}");
    }
    let month = Month::parse("2026-11").unwrap().window(&vietnam);
    assert_eq!(calendar.service_time(month, &vietnam).total_ms(), 21 * 450 * 60_000);
}

#[test]
fn service_time_is_that_of_every_minute_asked_by_itself() {
    let vietnam = zone("Asia/Ho_Chi_Minh");
    let holiday = Holiday {
        from: "2026-04-30".parse().unwrap(),
        to: "2026-05-01".parse().unwrap(),
        name: "30/4".to_owned(),
    };
    let exchanged = BTreeMap::from([("2026-05-09".parse().unwrap(), Weekday::Monday)]);
    let calendar = Calendar::new(Calendar::default().hours, vec![holiday], exchanged);
    let window = Window::new(at(&vietnam, "2026-04-27T09:17"), at(&vietnam, "2026-05-12T14:00"));
    let time = calendar.service_time(window, &vietnam);
    let mut minute = window.start;
    while minute < window.end {
        let local = vietnam.to_datetime(Timestamp::from_millisecond(minute.0).unwrap());
        let (day, now) = (local.date(), local.time());
        let open = match day.to_string().as_str() {
            "2026-04-30" | "2026-05-01" | "2026-05-02" | "2026-05-03" | "2026-05-10" => false,
            _ => {
                let from = |h: i8, m: i8| now >= jiff::civil::Time::constant(h, m, 0, 0);
                (from(7, 30) && !from(11, 30)) || (from(13, 30) && !from(17, 0))
            }
        };
        assert_eq!(time.contains(minute), open, "{local}");
        minute = minute.plus_millis(60_000);
    }
    assert!(!time.contains(window.start.plus_millis(-1)) && !time.contains(window.end));
}

#[test]
fn a_day_that_is_worked_in_exchange_has_the_hours_of_its_weekday_and_is_no_holiday() {
    let calendar = Calendar::new(
        Calendar::default().hours,
        vec![
            Holiday {
                from: "2026-09-01".parse().unwrap(),
                to: "2026-09-02".parse().unwrap(),
                name: "Quốc khánh".into(),
            },
            Holiday {
                from: "2026-02-14".parse().unwrap(),
                to: "2026-02-22".parse().unwrap(),
                name: "Tết".into(),
            },
        ],
        BTreeMap::from([("2026-02-22".parse().unwrap(), Weekday::Friday)]),
    );
    let named = |day: &str| calendar.holiday(day.parse().unwrap()).map(|holiday| holiday.name.as_str());
    assert_eq!(
        (named("2026-02-13"), named("2026-02-14"), named("2026-02-21")),
        (None, Some("Tết"), Some("Tết"))
    );
    assert_eq!(
        (named("2026-02-22"), named("2026-09-02"), named("2026-09-03")),
        (None, Some("Quốc khánh"), None)
    );
    assert_eq!(calendar.hours("2026-02-16".parse().unwrap()), []);
    assert_eq!(calendar.hours("2026-02-22".parse().unwrap()).len(), 2);
}

#[test]
fn hours_where_the_clocks_are_put_forward_begin_after_the_gap() {
    // 02:00 becomes 03:00.
    let berlin = zone("Europe/Berlin");
    let night = daily(&[("01:00", "05:00")]);
    assert_eq!(of_day(&night, &berlin, "2026-03-29").1, 180);
    let (shown, minutes) = of_day(&daily(&[("02:30", "04:00")]), &berlin, "2026-03-29");
    assert_eq!((shown, minutes), (vec!["2026-03-29 03:30:00..2026-03-29 04:00:00".to_owned()], 30));
    assert_eq!(of_day(&daily(&[("02:10", "02:20")]), &berlin, "2026-03-29").1, 10, "moved as a whole");
    assert_eq!(of_day(&daily(&[("02:30", "03:15")]), &berlin, "2026-03-29").1, 0, "reversed by the gap");
    assert_eq!(of_day(&daily(&[("00:00", "24:00")]), &berlin, "2026-03-29").1, 23 * 60);
}

#[test]
fn hours_where_the_clocks_are_put_back_end_at_the_first_of_the_two() {
    // 03:00 becomes 02:00.
    let berlin = zone("Europe/Berlin");
    assert_eq!(of_day(&daily(&[("02:00", "03:00")]), &berlin, "2026-10-25").1, 120);
    assert_eq!(of_day(&daily(&[("01:00", "02:30")]), &berlin, "2026-10-25").1, 90);
    assert_eq!(of_day(&daily(&[("00:00", "24:00")]), &berlin, "2026-10-25").1, 25 * 60);
    assert_eq!(of_day(&daily(&[("09:00", "17:00")]), &berlin, "2026-10-25").1, 480);
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_when_the_clocks_say_one() {
    // 2026-09-06 00:00 becomes 01:00.
    let santiago = zone("America/Santiago");
    let (shown, minutes) = of_day(&daily(&[("00:00", "24:00")]), &santiago, "2026-09-06");
    assert_eq!((shown, minutes), (vec!["2026-09-06 01:00:00..2026-09-07 00:00:00".to_owned()], 23 * 60));
    assert_eq!(of_day(&daily(&[("00:00", "01:00")]), &santiago, "2026-09-06").1, 0);
    assert_eq!(of_day(&daily(&[("22:00", "24:00")]), &santiago, "2026-09-05").1, 120);
    // 2026-04-05 00:00 becomes 2026-04-04 23:00: the evening before has 25 hours.
    assert_eq!(of_day(&daily(&[("00:00", "24:00")]), &santiago, "2026-04-04").1, 25 * 60);
    let september = Month::parse("2026-09").unwrap();
    let days = september.days(&santiago);
    assert_eq!(days.len(), 30);
    assert_eq!(days.iter().map(|(_, day)| day.millis()).sum::<i64>(), september.window(&santiago).millis());
}

#[test]
fn a_window_without_an_end_costs_what_230_years_cost() {
    let vietnam = zone("Asia/Ho_Chi_Minh");
    let calendar = Calendar::default();
    let ever = Window::new(UnixMillis::MIN, UnixMillis::MAX);
    let time = calendar.service_time(ever, &vietnam);
    assert!(time.as_slice().len() < 230 * 262 * 2 + 4, "{}", time.as_slice().len());
    assert!(calendar.service_time(Window::new(UnixMillis(5), UnixMillis(5)), &vietnam).is_empty());
    assert!(calendar.service_time(Window::new(UnixMillis(9), UnixMillis(5)), &vietnam).is_empty());
    assert!(
        calendar.service_time(Window::new(UnixMillis(i64::MAX - 5), UnixMillis::MAX), &vietnam).is_empty()
    );
    assert!(
        calendar.service_time(Window::new(UnixMillis::MIN, UnixMillis(i64::MIN + 5)), &vietnam).is_empty()
    );
}

#[test]
fn months_and_quarters_are_the_provinces() {
    let vietnam = zone("Asia/Ho_Chi_Minh");
    let month: Month = "2026-10".parse().unwrap();
    assert_eq!(month.window(&vietnam), Window::new(at(&vietnam, "2026-10-01"), at(&vietnam, "2026-11-01")));
    assert_eq!((month.to_string().as_str(), month.days(&vietnam).len()), ("2026-10", 31));
    assert_eq!(month.previous().map(|month| month.to_string()).as_deref(), Some("2026-09"));
    assert_eq!(month.first_day().to_string(), "2026-10-01");
    let end = at(&vietnam, "2026-11-01");
    assert!(month.is_over(end, &vietnam) && !month.is_over(end.plus_millis(-1), &vietnam));
    assert_eq!(Month::of(end.plus_millis(-1), &vietnam), month);
    assert_eq!(Month::of(end, &vietnam).to_string(), "2026-11");
    // 2026-10-31T17:00Z is already November in Vietnam: a day never breaks at 07:00.
    assert_eq!(end, at(&TimeZone::UTC, "2026-10-31T17:00"));

    let quarter: Quarter = "2026-Q4".parse().unwrap();
    assert_eq!(quarter.window(&vietnam), Window::new(at(&vietnam, "2026-10-01"), at(&vietnam, "2027-01-01")));
    assert_eq!((quarter.to_string().as_str(), quarter.days(&vietnam).len()), ("2026-Q4", 92));
    assert_eq!(Quarter::of(end, &vietnam), quarter);
    assert!(!quarter.is_over(end, &vietnam) && quarter.is_over(at(&vietnam, "2027-01-01"), &vietnam));
    assert_eq!("2026-q1".parse::<Quarter>().unwrap().window(&vietnam).end, at(&vietnam, "2026-04-01"));
    assert_eq!("2026-10".parse(), Ok(CivilPeriod::Month(month)));
    assert_eq!("2026-Q4".parse::<CivilPeriod>().map(|p| p.window(&vietnam)), Ok(quarter.window(&vietnam)));
    assert!(!CivilPeriod::Quarter(quarter).is_over(end, &vietnam));
    let last = Month::parse("2199-12").unwrap();
    assert_eq!(last.days(&vietnam).len(), 31);
    assert_eq!(Month::parse("1970-01").unwrap().previous(), None);
}

#[test]
fn what_is_no_month_or_quarter_is_refused() {
    let bad = [
        "",
        "2026",
        "2026-",
        "2026-13",
        "2026-00",
        "2026-1",
        "26-10",
        "2026-10-01",
        "1969-12",
        "2200-01",
        "-2026-1",
        "2026-Q",
        "2026-Q0",
        "2026-Q5",
        "2026-Q11",
        "+026-10",
        "2026-1０",
        "10/2026",
    ];
    for text in bad {
        assert_eq!(text.parse::<CivilPeriod>(), Err(NotAPeriod), "{text}");
    }
}

#[test]
fn a_time_of_day_has_two_digits_of_minutes_and_ends_at_24_00() {
    for (text, minutes) in [("00:00", 0), ("7:30", 450), ("07:30", 450), ("23:59", 1439), ("24:00", 1440)] {
        assert_eq!(text.parse::<Minute>().unwrap().millis(), minutes * 60_000, "{text}");
    }
    assert_eq!("7:05".parse::<Minute>().unwrap().to_string(), "07:05");
    for text in
        ["", "7", "7:5", "24:01", "25:00", "12:60", "007:00", "+7:00", "07:3０", "07:30:00", "-1:00", "7h30"]
    {
        assert_eq!(text.parse::<Minute>(), Err(NotAMinute), "{text}");
    }
    assert_eq!(Hours::new(Minute::END_OF_DAY, Minute::MIDNIGHT), None);
    assert_eq!(Hours::new(Minute::MIDNIGHT, Minute::MIDNIGHT), None);
}
