use std::collections::BTreeMap;

use jiff::civil::DateTime;
use wan_wire::LinkKind;

use super::draft::{Draft, Known, Wrong};
use super::*;
use crate::calendar::{Holiday, office_hours};
use crate::config::Plan as ConfiguredPlan;
use crate::inventory::{Link, Register, Site};

/// Monday, 2026-11-23 13:12 in Vietnam.
const NOW: &str = "2026-11-23T13:12";

fn vietnam() -> TimeZone {
    TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
}

fn at_in(zone: &TimeZone, text: &str) -> UnixMillis {
    let local: DateTime = text.parse().unwrap();
    UnixMillis(local.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond())
}

fn at(text: &str) -> UnixMillis {
    at_in(&vietnam(), text)
}

fn window(from: &str, to: &str) -> Window {
    Window::new(at(from), at(to))
}

fn show_in(periods: &Periods, zone: &TimeZone) -> Vec<String> {
    let local = |at: UnixMillis| crate::localtime::plain(at, zone)[5..16].to_owned();
    periods.as_slice().iter().map(|p| format!("{}..{}", local(p.start), local(p.end))).collect()
}

fn show(periods: &Periods) -> Vec<String> {
    show_in(periods, &vietnam())
}

fn site(id: &str, tier: &str, parent: Option<&str>, district: &str, links: &[(&str, &str)]) -> Site {
    let link = |(name, carrier): &(&str, &str)| Link {
        carrier: Some((*carrier).to_owned()).filter(|carrier| !carrier.is_empty()),
        ..Link::named(name.parse().unwrap())
    };
    Site {
        parent: parent.map(|parent| parent.parse().unwrap()),
        district: Some(district.to_owned()),
        links: links.iter().map(link).collect(),
        ..Site::named(id.parse().unwrap(), id, tier.parse().unwrap(), "state".parse().unwrap())
    }
}

/// The facts of a site of the register, for all time.
fn facts_of<'r>(site: &'r Site, register: &'r Register) -> Vec<SiteFacts<'r>> {
    SiteFacts::over(site, register, Window::new(UnixMillis::MIN, UnixMillis::MAX), &vietnam())
}

/// A hub with two communes below it, and one elsewhere.
fn register() -> Register {
    Register::new([
        site("hub", "district", None, "Tân Châu", &[("lan", ""), ("wan", "Viettel")]),
        site(
            "xa-tan-ha",
            "commune",
            Some("hub"),
            "Tân Châu",
            &[("lan", ""), ("wan-vnpt", "VNPT"), ("internet", "FPT")],
        ),
        site(
            "xa-tan-hoi",
            "commune",
            Some("xa-tan-ha"),
            "Tân Châu",
            &[("lan", ""), ("wan-vnpt", "VNPT"), ("wan-viettel", "Viettel")],
        ),
        site("xa-loc-hung", "commune", None, "Trảng Bàng", &[("lan", ""), ("wan", "VNPT")]),
    ])
    .unwrap()
}

fn read_at(draft: Draft<'_>, now: &str) -> Result<Work, Wrong> {
    let (register, plan, zone) = (register(), ConfiguredPlan::default(), vietnam());
    draft.read("binh", &Known { register: &register, plan: &plan, zone: &zone, now: at(now) })
}

fn read(draft: Draft<'_>) -> Result<Work, Wrong> {
    read_at(draft, NOW)
}

const WHY: Option<&str> = Some("thay cáp quang");

fn all() -> Draft<'static> {
    Draft { all: true, reason: WHY, ..Draft::default() }
}

fn planned(works: impl IntoIterator<Item = Work>) -> Planned {
    let window = |(id, work): (i64, Work)| PlannedWindow { id: PlannedId(id), work, removed: None };
    Planned::new((1..).zip(works).map(window).collect())
}

/// The planned time of everybody.
fn over(works: impl IntoIterator<Item = Work>, question: Window, calendar: &Calendar) -> Vec<String> {
    let register = register();
    let schedule = planned(works).over(question, &vietnam(), calendar);
    show(&schedule.for_site(&facts_of(register.sites().next().unwrap(), &register)))
}

fn one(draft: Draft<'_>, from: &str, to: &str) -> Vec<String> {
    over([read(draft).unwrap()], window(from, to), &Calendar::default())
}

// ---------------------------------------------------------------------------------------------- when

#[test]
fn a_one_off_window_is_from_an_instant_to_another_and_may_be_past() {
    let draft = Draft { from: Some("2026-11-30T22:00"), to: Some("2026-11-30T23:30"), ..all() };
    assert_eq!(one(draft, "2026-11-01", "2026-12-31"), ["11-30 22:00..11-30 23:30"]);
    assert_eq!(one(draft, "2026-11-30T23:00", "2026-12-31"), ["11-30 23:00..11-30 23:30"]);
    assert_eq!(one(draft, "2026-12-01", "2026-12-31"), [""; 0]);
    let short = Draft { to: Some("23:30"), ..draft };
    assert_eq!(read(short), read(draft));
    let night = Draft { to: Some("02:00"), ..draft };
    assert_eq!(
        one(night, "2026-11-01", "2026-12-31"),
        ["11-30 22:00..12-01 02:00"],
        "over midnight and the month's end"
    );
    let past = Draft { from: Some("-3h"), to: Some("-1h"), ..all() };
    assert_eq!(one(past, "2026-11-01", "2026-12-31"), ["11-23 10:12..11-23 12:12"]);
}

#[test]
fn a_weekly_window_begins_on_its_weekdays_and_may_end_the_day_after() {
    let weekly = Draft { every: Some("sat"), from: Some("22:00"), to: Some("23:00"), ..all() };
    assert_eq!(
        one(weekly, "2026-11-01", "2026-12-06"),
        ["11-28 22:00..11-28 23:00", "12-05 22:00..12-05 23:00"]
    );
    let past = Draft { valid_from: Some("2026-11-14"), valid_to: Some("2026-11-28"), ..weekly };
    assert_eq!(
        one(past, "2026-11-01", "2026-12-06"),
        ["11-14 22:00..11-14 23:00", "11-21 22:00..11-21 23:00"]
    );
    let night = Draft { every: Some("mon,wed-thu"), from: Some("22:00"), to: Some("02:00"), ..all() };
    assert_eq!(
        one(night, "2026-11-30T01:00", "2026-12-04T01:00"),
        ["11-30 22:00..12-01 02:00", "12-02 22:00..12-03 02:00", "12-03 22:00..12-04 01:00"]
    );
    assert_eq!(
        one(night, "2026-12-01T00:30", "2026-12-01T01:00"),
        ["12-01 00:30..12-01 01:00"],
        "begun the day before"
    );
    let whole = Draft { every: Some("day"), from: Some("00:00"), to: Some("24:00"), ..all() };
    assert_eq!(
        one(whole, "2026-11-24", "2026-11-27"),
        ["11-24 00:00..11-27 00:00"],
        "days that touch are one time"
    );
}

#[test]
fn a_monthly_window_is_on_a_day_of_the_month_and_months_without_it_have_none() {
    let monthly = |day| Draft { monthly: Some(day), from: Some("22:00"), to: Some("23:00"), ..all() };
    let days = |day| {
        let shown = one(monthly(day), "2027-01-01", "2027-04-30T23:59");
        shown.iter().map(|row| row[..5].to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(days("15"), "01-15 02-15 03-15 04-15");
    assert_eq!(days("31"), "01-31 03-31");
    assert_eq!(days("last"), "01-31 02-28 03-31 04-30");
    assert_eq!(days("last-sun"), "01-31 02-28 03-28 04-25");
    assert_eq!(days("2-tue"), "01-12 02-09 03-09 04-13");
    assert_eq!(days("1st-mon"), "01-04 02-01 03-01 04-05");
    let night = Draft { to: Some("01:00"), ..monthly("last") };
    assert_eq!(one(night, "2026-12-15", "2027-01-15"), ["12-31 22:00..01-01 01:00"], "over the year's end");
}

#[test]
fn time_by_the_calendar_is_all_but_service_hours_or_holidays() {
    let tet = Holiday {
        from: "2026-12-01".parse().unwrap(),
        to: "2026-12-02".parse().unwrap(),
        name: "Tết".into(),
    };
    let calendar = Calendar::new(office_hours(), vec![tet], BTreeMap::new());
    let work = |time| read(Draft { calendar: Some(time), ..all() }).unwrap();
    let december = window("2026-11-30", "2026-12-04");
    assert_eq!(over([work("holidays")], december, &calendar), ["12-01 00:00..12-03 00:00"]);
    assert_eq!(
        over([work("outside-service-hours")], december, &calendar),
        [
            "11-30 00:00..11-30 07:30",
            "11-30 11:30..11-30 13:30",
            "11-30 17:00..12-03 07:30",
            "12-03 11:30..12-03 13:30",
            "12-03 17:00..12-04 00:00"
        ]
    );
    // Added on the 23rd: what lies before is not planned, unless it is said.
    assert_eq!(
        over([work("outside-service-hours")], window("2026-11-20", "2026-11-23T01:00"), &calendar),
        ["11-23 00:00..11-23 01:00"]
    );
}

#[test]
fn times_of_day_follow_the_provinces_clocks() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let work = read(Draft {
        every: Some("sun"),
        from: Some("01:30"),
        to: Some("03:30"),
        valid_from: Some("2026-01-01"),
        ..all()
    })
    .unwrap();
    let register = register();
    let facts = facts_of(register.sites().next().unwrap(), &register);
    let of_day = |day: &str| {
        let question = Window::new(at_in(&berlin, day), at_in(&berlin, day).plus_millis(86_400_000));
        let periods = planned([work.clone()]).over(question, &berlin, &Calendar::default()).for_site(&facts);
        (show_in(&periods, &berlin), periods.total_ms() / 60_000)
    };
    assert_eq!(of_day("2026-03-22").1, 120);
    assert_eq!(of_day("2026-03-29"), (vec!["03-29 01:30..03-29 03:30".to_owned()], 60), "an hour is skipped");
    assert_eq!(
        of_day("2026-10-25"),
        (vec!["10-25 01:30..10-25 03:30".to_owned()], 180),
        "an hour comes twice"
    );
    let santiago = TimeZone::get("America/Santiago").unwrap();
    let night = read(Draft {
        every: Some("sat"),
        from: Some("23:00"),
        to: Some("00:30"),
        valid_from: Some("2026-01-01"),
        ..all()
    })
    .unwrap();
    let question = Window::new(at_in(&santiago, "2026-09-05"), at_in(&santiago, "2026-09-07"));
    let periods = planned([night]).over(question, &santiago, &Calendar::default()).for_site(&facts);
    assert_eq!(
        show_in(&periods, &santiago),
        ["09-05 23:00..09-06 01:30"],
        "00:30 does not exist that night: half past one"
    );
}

#[test]
fn overlapping_windows_are_one_time_and_the_time_of_each_is_asked_alone() {
    let works = [
        ("2026-11-30T22:00", "23:00"),
        ("2026-11-30T22:30", "23:30"),
        ("2026-11-30T23:30", "23:45"),
        ("2026-11-30T22:10", "22:20"),
    ]
    .map(|(from, to)| read(Draft { from: Some(from), to: Some(to), ..all() }).unwrap());
    assert_eq!(
        over(works.clone(), window("2026-11-01", "2026-12-31"), &Calendar::default()),
        ["11-30 22:00..11-30 23:45"]
    );
    let planned = planned(works);
    let covering = |text| {
        let found = planned.covering(at(text), &vietnam(), &Calendar::default(), |_| true);
        found.iter().map(|(window, _)| window.id.0).collect::<Vec<_>>()
    };
    assert_eq!((covering("2026-11-30T22:15"), covering("2026-11-30T22:45")), (vec![1, 4], vec![1, 2]));
    assert_eq!((covering("2026-11-30T23:30"), covering("2026-11-30T23:45")), (vec![3], vec![]));
}

#[test]
fn the_text_of_a_time_is_read_back_as_the_same() {
    let drafts = [
        Draft { from: Some("2026-11-30T22:00"), to: Some("23:30"), ..all() },
        Draft { every: Some("sat"), from: Some("22:00"), to: Some("24:00"), ..all() },
        Draft { every: Some("day"), from: Some("7:30"), to: Some("07:00"), ..all() },
        Draft { every: Some("mon-wed,sun"), from: Some("22:00"), to: Some("02:00"), ..all() },
        Draft { monthly: Some("31"), from: Some("22:00"), to: Some("02:00"), ..all() },
        Draft { monthly: Some("last"), from: Some("22:00"), to: Some("02:00"), ..all() },
        Draft { monthly: Some("4th-fri"), from: Some("22:00"), to: Some("02:00"), ..all() },
        Draft { monthly: Some("last-sun"), from: Some("22:00"), to: Some("02:00"), ..all() },
        Draft { calendar: Some("holidays"), ..all() },
        Draft { calendar: Some("outside-service-hours"), ..all() },
    ];
    for draft in drafts {
        let when = read(draft).unwrap().when;
        assert_eq!(when.to_string().parse(), Ok(when.clone()), "{when}");
    }
    for bad in [
        "",
        "once",
        "once 5..5",
        "once 6..5",
        "weekly  22:00-23:00",
        "weekly sat 22:00-22:00",
        "weekly sat 24:00-01:00",
        "monthly 0 22:00-23:00",
        "monthly 32 22:00-23:00",
        "monthly 5-sun 22:00-23:00",
        "calendar tet",
        "weekly sat 22:00-23:00 x",
    ] {
        assert_eq!(bad.parse::<When>(), Err(NotAWhen), "{bad}");
    }
}

// ---------------------------------------------------------------------------------------------- for whom

/// Who has planned time under a scope: `site`, or `site/link` where only the link has.
fn covered(scope: Draft<'_>) -> String {
    let register = register();
    let draft = Draft { from: Some("2026-11-30T22:00"), to: Some("23:30"), reason: WHY, ..scope };
    let schedule = planned([read(draft).unwrap()]).over(
        window("2026-11-01", "2026-12-31"),
        &vietnam(),
        &Calendar::default(),
    );
    let mut covered = Vec::new();
    for site in register.sites() {
        let facts = facts_of(site, &register);
        let whole = !schedule.for_site(&facts).is_empty();
        if whole {
            covered.push(site.id.to_string());
        }
        for link in &site.links {
            let planned = schedule.for_link(&facts, link.carrier.as_deref());
            assert!(!whole || !planned.is_empty(), "what is for the site is for its links");
            if !whole && !planned.is_empty() {
                covered.push(format!("{}/{}", site.id, link.name));
            }
        }
    }
    covered.join(" ")
}

#[test]
fn each_scope_covers_whom_the_register_says() {
    let none = Draft::default();
    assert_eq!(covered(Draft { all: true, ..none }), "hub xa-loc-hung xa-tan-ha xa-tan-hoi");
    assert_eq!(covered(Draft { site: Some("xa-tan-ha"), ..none }), "xa-tan-ha");
    assert_eq!(covered(Draft { subtree: Some("xa-tan-ha"), ..none }), "xa-tan-ha xa-tan-hoi");
    assert_eq!(covered(Draft { subtree: Some("hub"), ..none }), "hub xa-tan-ha xa-tan-hoi");
    assert_eq!(covered(Draft { tier: Some("commune"), ..none }), "xa-loc-hung xa-tan-ha xa-tan-hoi");
    assert_eq!(covered(Draft { district: Some("Trảng Bàng"), ..none }), "xa-loc-hung");
    assert_eq!(
        covered(Draft { district: Some("trang bang"), ..none }),
        "xa-loc-hung",
        "marks may be left out"
    );
    assert_eq!(
        covered(Draft { carrier: Some("vnpt"), ..none }),
        "xa-loc-hung/wan xa-tan-ha/wan-vnpt xa-tan-hoi/wan-vnpt"
    );
}

#[test]
fn a_window_whose_site_has_left_the_register_is_kept_and_covers_nobody() {
    let work = Work {
        scope: Scope::Site("closed".parse().unwrap()),
        ..read(Draft { from: Some("-1h"), to: Some("now"), ..all() }).unwrap()
    };
    let gone = [
        work.clone(),
        Work { scope: Scope::Subtree("closed".parse().unwrap()), ..work.clone() },
        Work { scope: Scope::Carrier("Gone".into()), ..work },
    ];
    assert_eq!(over(gone, window("2026-11-01", "2026-12-31"), &Calendar::default()), [""; 0]);
}

/// The planned time of the sites themselves while VNPT works from 22:00 to 24:00, given what is down meanwhile.
fn of_site(site: &str, works: &[&str], down: &[(&str, &str, &str)]) -> Vec<String> {
    use crate::ledger::span::Spans;
    use crate::ledger::timeline::{Basis, LinkView, SiteView};
    let register = register();
    let site = register.get(&site.parse().unwrap()).unwrap();
    let works = works.iter().map(|carrier| {
        read(Draft {
            carrier: Some(carrier),
            from: Some("2026-11-30T22:00"),
            to: Some("24:00"),
            reason: WHY,
            ..Draft::default()
        })
        .unwrap()
    });
    let night = window("2026-11-30T20:00", "2026-12-01T02:00");
    let schedule = planned(works).over(night, &vietnam(), &Calendar::default());
    let spans: Vec<Spans> = site
        .links
        .iter()
        .map(|link| {
            let mut spans = Spans::new();
            let mut from = night.start;
            for (name, start, end) in down.iter().filter(|(name, _, _)| *name == link.name.as_str()) {
                assert!(!name.is_empty());
                spans.paint(from, at(start), wan_wire::Outcome::Up);
                spans.paint(at(start), at(end), wan_wire::Outcome::Down);
                from = at(end);
            }
            spans.paint(from, night.end, wan_wire::Outcome::Up);
            spans
        })
        .collect();
    let links = site.links.iter().zip(&spans).map(|(link, spans)| LinkView {
        kind: link.name.kind(),
        valid: link.valid(&vietnam()),
        own: Some(spans),
        others: Vec::new(),
        hold: std::time::Duration::ZERO,
    });
    let view = SiteView {
        tier: "commune",
        branch: "state",
        valid_from: UnixMillis::MIN,
        valid_to: None,
        equipped_from: None,
        links: links.collect(),
    };
    let running: Periods = [(UnixMillis(0), night.end)].into_iter().collect();
    let basis = Basis {
        now: night.end,
        running: &running,
        hold: std::time::Duration::ZERO,
        required: &[LinkKind::Lan, LinkKind::Wan],
    };
    let measured = site.links.iter().map(|link| LinkFacts {
        kind: link.name.kind(),
        valid: link.valid(&vietnam()),
        carrier: link.carrier.as_deref(),
    });
    show(&schedule.of_site(&facts_of(site, &register), measured, &view, &basis))
}

#[test]
fn a_carriers_works_excuse_the_site_but_neither_its_lan_nor_the_line_of_another() {
    let whole = ["11-30 22:00..12-01 00:00"];
    let wan = ("wan-vnpt", "2026-11-30T22:00", "2026-12-01T00:30");
    assert_eq!(of_site("xa-tan-ha", &["vnpt"], &[wan]), whole);
    assert_eq!(of_site("xa-tan-ha", &["vnpt"], &[]), whole, "whether or not the works cut it");
    assert_eq!(
        of_site("xa-tan-ha", &["vnpt"], &[wan, ("lan", "2026-11-30T23:00", "2026-11-30T23:20")]),
        ["11-30 22:00..11-30 23:00", "11-30 23:20..12-01 00:00"],
        "the LAN is charged"
    );
    assert_eq!(
        of_site("xa-tan-ha", &["fpt"], &[("internet", "2026-11-30T22:00", "2026-11-30T23:00")]),
        [""; 0],
        "not required here"
    );
    assert_eq!(of_site("xa-tan-hoi", &["vnpt"], &[wan]), [""; 0], "the second line should have carried it");
    assert_eq!(of_site("xa-tan-hoi", &["vnpt", "viettel"], &[wan]), whole);
}

#[test]
fn a_site_is_covered_while_it_was_in_the_tier_the_district_or_below_the_hub() {
    use crate::inventory::era::Former;
    // A town of Tân Châu below the hub until the end of the 15th; since then a commune of Tân Hà with no parent.
    let mut moved = site("xa-moi", "commune", None, "Tân Hà", &[("wan", "VNPT")]);
    moved.former = vec![Former {
        until: "2026-11-16".parse().unwrap(),
        name: "xa-moi".to_owned(),
        tier: "district".parse().unwrap(),
        branch: "state".parse().unwrap(),
        parent: Some("hub".parse().unwrap()),
        district: Some("Tân Châu".to_owned()),
    }];
    let register = Register::new(register().sites().cloned().chain([moved])).unwrap();
    let moved = register.get(&"xa-moi".parse().unwrap()).unwrap();
    let covered = |scope: Scope| {
        let daily = Work {
            scope,
            when: "weekly day 00:00-24:00".parse().unwrap(),
            ..read(Draft { from: Some("-1h"), to: Some("now"), ..all() }).unwrap()
        };
        let november = window("2026-11-01", "2026-12-01");
        let schedule = planned([daily]).over(november, &vietnam(), &Calendar::default());
        show(&schedule.for_site(&SiteFacts::over(moved, &register, november, &vietnam())))
    };
    let (before, since) = (["11-01 00:00..11-16 00:00"], ["11-16 00:00..12-01 00:00"]);
    assert_eq!(covered(Scope::Tier("district".parse().unwrap())), before);
    assert_eq!(covered(Scope::Tier("commune".parse().unwrap())), since);
    assert_eq!(covered(Scope::District("Tân Châu".to_owned())), before);
    assert_eq!(covered(Scope::Subtree("hub".parse().unwrap())), before);
    assert_eq!(covered(Scope::Subtree("xa-moi".parse().unwrap())), ["11-01 00:00..12-01 00:00"]);
    let now = SiteAt::of(moved, &register, at(NOW), &vietnam());
    assert!(
        Scope::Carrier("vnpt".to_owned()).touches(&now)
            && !Scope::Subtree("hub".parse().unwrap()).touches(&now)
    );
    let former =
        Draft { all: false, district: Some("Tân Hà"), from: Some("-1h"), to: Some("now"), ..all() };
    assert!(read(former).is_err(), "only the register of this test has it");
}

// ---------------------------------------------------------------------------------------------- its end

#[test]
fn a_removed_window_ends_then_and_a_void_one_never_was() {
    let zone = vietnam();
    let work = read(Draft {
        every: Some("day"),
        from: Some("12:00"),
        to: Some("14:00"),
        valid_from: Some("2026-11-20"),
        ..all()
    })
    .unwrap();
    let removal = |void| Removal { at: at("2026-11-23T13:00"), by: "an".to_owned(), void };
    let mut window = PlannedWindow { id: PlannedId(1), work, removed: None };
    let question = super::tests::window("2026-11-22", "2026-11-25");
    let shown = |window: &PlannedWindow| {
        let register = register();
        let facts = facts_of(register.sites().next().unwrap(), &register);
        let planned = Planned::new(vec![window.clone()]);
        let noon = planned.covering(at("2026-11-22T12:30"), &zone, &Calendar::default(), |_| true).len();
        (show(&planned.over(question, &zone, &Calendar::default()).for_site(&facts)), noon)
    };
    let now = at("2026-11-23T13:12");
    assert_eq!(window.may_be_removed(false, now, &zone), Ok(()));
    window.removed = Some(removal(false));
    assert_eq!(
        shown(&window),
        (vec!["11-22 12:00..11-22 14:00".to_owned(), "11-23 12:00..11-23 13:00".to_owned()], 1)
    );
    assert_eq!(window.may_be_removed(false, now, &zone), Err(NotRemovable::Ended(removal(false))));
    assert_eq!(window.may_be_removed(true, now, &zone), Ok(()), "an ended one may turn out to be a mistake");
    window.removed = Some(removal(true));
    assert_eq!(shown(&window), (vec![], 0));
    assert_eq!(window.may_be_removed(true, now, &zone), Err(NotRemovable::Void(removal(true))));
    let past = read(Draft { from: Some("-3h"), to: Some("-1h"), ..all() }).unwrap();
    let past = PlannedWindow { id: PlannedId(2), work: past, removed: None };
    assert_eq!(past.may_be_removed(false, now, &zone), Err(NotRemovable::Over));
    assert_eq!(past.may_be_removed(true, now, &zone), Ok(()));
    let limited = Work { valid_to: Some("2026-11-22".parse().unwrap()), ..window.work };
    let limited = PlannedWindow { id: PlannedId(3), work: limited, removed: None };
    assert!(limited.is_over(now, &zone) && !limited.is_over(at("2026-11-22T13:00"), &zone));
}

// ---------------------------------------------------------------------------------------------- mistakes and limits

#[test]
fn each_wrong_draft_is_answered_with_what_was_expected_and_a_remedy() {
    let times = Draft { from: Some("2026-11-30T22:00"), to: Some("23:30"), ..all() };
    let sat = Draft { every: Some("sat"), from: Some("22:00"), to: Some("23:00"), ..all() };
    let long = "x".repeat(MOST_REASON + 1);
    let cases = [
        (
            Draft { all: false, ..times },
            "--site: found “”, expected one of site, subtree, tier, district, carrier and all; say for whom it is",
        ),
        (
            Draft { site: Some("hub"), ..times },
            "--site: found “hub”, expected one of site, subtree, tier, district, carrier and all; leave out this or all; a second one may be added",
        ),
        (
            Draft { all: false, site: Some("xa-tanha"), ..times },
            "--site: found “xa-tanha”, expected the id of a registered site; did you mean xa-tan-ha?",
        ),
        (
            Draft { all: false, subtree: Some("Hub!"), ..times },
            "--subtree: found “Hub!”, expected the id of a registered site; see wan-collector sites list",
        ),
        (
            Draft { all: false, tier: Some("comune"), ..times },
            "--tier: found “comune”, expected one of the plan's tiers: province, district, commune; did you mean commune?",
        ),
        (
            Draft { all: false, carrier: Some("Vietel"), ..times },
            "--carrier: found “Vietel”, expected a carrier that the register names; did you mean Viettel?",
        ),
        (
            Draft { all: false, district: Some("Tân Trâu"), ..times },
            "--district: found “Tân Trâu”, expected a district that the register names; did you mean Tân Châu?",
        ),
        (Draft { from: None, ..times }, "--from: found “”, expected "),
        (
            Draft { to: Some("soon"), ..times },
            "--to: found “soon”, expected a day (2026-11-01), a local time",
        ),
        (
            Draft { to: Some("2026-11-30T21:00"), ..times },
            "--to: found “2026-11-30T21:00”, expected a time after the start, 2026-11-30 22:00:00; exchange the two",
        ),
        (
            Draft { to: Some("2026-11-30T22:00"), ..times },
            "--to: found “2026-11-30T22:00”, expected a time after the start, 2026-11-30 22:00:00; a window has at least a moment",
        ),
        (
            Draft { to: Some("2027-12-02T22:00"), ..times },
            "--to: found “2027-12-02T22:00”, expected an end at most 366 days after the start; what is out of service for longer is closed in the register",
        ),
        (
            Draft { from: Some("2062-11-30T22:00"), ..times },
            "--from: found “2062-11-30T22:00”, expected a time within ten years; is the year mistyped?",
        ),
        (
            Draft { valid_from: Some("2026-11-30"), ..times },
            "--valid-from: found “2026-11-30”, expected it only with every, monthly or calendar; a one-off window has its own start and end",
        ),
        (
            Draft { every: Some("sat-tue"), ..sat },
            "--every: found “sat-tue”, expected weekdays such as sat, mon-fri or mon,thu, or day for all; mon, tue, wed, thu, fri, sat, sun; a range goes from an earlier to a later one",
        ),
        (
            Draft { monthly: Some("last"), ..sat },
            "--monthly: found “last”, expected one of every, monthly and calendar; leave out this or every",
        ),
        (
            Draft { every: None, monthly: Some("5th-sun"), ..sat },
            "--monthly: found “5th-sun”, expected a day of the month: 1 to 31, last, or a weekday in it such as 2-tue or last-sun; a month without the day is left out",
        ),
        (
            Draft { to: Some("22:00"), ..sat },
            "--to: found “22:00”, expected another time than the start; it may be on the next day; for the whole day write 00:00 and 24:00",
        ),
        (
            Draft { from: Some("2026-11-30T22:00"), ..sat },
            "--from: found “2026-11-30T22:00”, expected a time of day such as 22:00; a recurring window begins and ends at times of day of the province",
        ),
        (
            Draft { valid_to: Some("2026-11-23"), ..sat },
            "--valid-to: found “2026-11-23”, expected a day after the first one, 2026-11-23; it is the first day on which the window holds no more",
        ),
        (
            Draft { valid_from: Some("2026-02-30"), ..sat },
            "--valid-from: found “2026-02-30”, expected a day that exists, such as 2026-11-30; write year-month-day",
        ),
        (
            Draft { valid_from: Some("1970-01-01"), ..sat },
            "--valid-from: found “1970-01-01”, expected a time within ten years; is the year mistyped?",
        ),
        (
            Draft { calendar: Some("holiday"), ..all() },
            "--calendar: found “holiday”, expected outside-service-hours or holidays; did you mean holidays?",
        ),
        (
            Draft { calendar: Some("holidays"), from: Some("22:00"), ..all() },
            "--from: found “22:00”, expected no time of day with --calendar; leave it out: the calendar says the hours",
        ),
        (
            Draft { reason: Some("  "), ..times },
            "--reason: found “  ”, expected a reason of 1 to 200 characters, without line breaks or control characters; it is shown to everybody who asks why the time is not counted",
        ),
        (Draft { reason: Some("a\u{1b}[2Jb"), ..times }, "--reason: found “a\\u{1b}[2Jb”, expected a reason"),
        (Draft { reason: Some("a\u{202e}b"), ..times }, "--reason: found "),
        (Draft { reason: Some(&long), ..times }, "--reason: found "),
    ];
    for (draft, expected) in cases {
        let wrong = read(draft).expect_err(expected).to_string();
        assert!(wrong.starts_with(expected), "{wrong}\n{expected}");
    }
    let (register, plan, zone) = (register(), ConfiguredPlan::default(), vietnam());
    let known = Known { register: &register, plan: &plan, zone: &zone, now: at(NOW) };
    assert_eq!(times.read("a\nb", &known).map_err(|wrong| wrong.part), Err("by"));
}

#[test]
fn a_year_is_the_longest_window_and_shows_as_it_was_written() {
    let year = Draft { from: Some("2026-12-01"), to: Some("2027-12-02"), ..all() };
    assert_eq!(one(year, "2026-01-01", "2028-01-01"), ["12-01 00:00..12-02 00:00"]);
    let work = read(Draft { reason: Some(" <b>thay cáp</b> & 'x' "), ..year }).unwrap();
    assert_eq!((work.reason.as_str(), work.by.as_str()), ("<b>thay cáp</b> & 'x'", "binh"));
}

#[test]
fn an_expansion_grows_with_days_and_windows_and_not_with_their_product_in_instants() {
    // Three years, a thousand windows: the number of days that are looked at bounds the work, and joined time bounds the memory.
    let kinds = ["sat", "mon-fri", "day"];
    let works = (0..1000).map(|n: usize| {
        let from = format!("{:02}:{:02}", n % 24, n % 60);
        read(Draft {
            every: Some(kinds[n / 24 % 3]),
            from: Some(&from),
            to: Some("24:00"),
            valid_from: Some("2020-01-01"),
            ..all()
        })
        .unwrap()
    });
    let planned = planned(works);
    let register = register();
    let facts = facts_of(register.sites().next().unwrap(), &register);
    let three_years = window("2023-11-23", "2026-11-23");
    let time = planned.over(three_years, &vietnam(), &Calendar::default()).for_site(&facts);
    assert_eq!(time.as_slice().len(), 1);
    assert_eq!(time.total_ms(), three_years.millis());
    // A question without a beginning is one from the first day of the oldest window.
    let ever = Planned::new(planned.windows().iter().take(48).cloned().collect());
    let ever =
        ever.over(Window::new(UnixMillis::MIN, at(NOW)), &vietnam(), &Calendar::default()).for_site(&facts);
    assert!(ever.as_slice().first().is_some_and(|first| first.start >= at("2020-01-01")));
    assert!(ever.at(at(NOW).plus_millis(-1)).is_some());
}
