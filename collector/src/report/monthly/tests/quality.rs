//! What was measured of quality, and what contracts promise of it.

use wan_wire::{RoundFacts, Rtt};

use super::*;
use crate::quality::bucket::Bucket;
use crate::quality::hour::HourTotal;
use crate::quality::read::{Steps, add};
use crate::report::quality::{Gathering, MonthQuality};

/// What a link measured in each hour of some: (site, link, from, to in hours of the month, RTT in ms, of 20 rounds of five packets one
/// packet lost in so many, so many without any answer).
pub(super) type Measured = (&'static str, &'static str, i64, i64, u32, u32, u32);

/// A leased line that is slow for two hours of an evening and lossy for one; another that keeps its promise; an Internet line that is
/// slow outside of hours of service alone.
pub(super) const MEASURED: [Measured; 8] = [
    ("xa-a", "wan", 0, 19, 12, 0, 0),
    ("xa-a", "wan", 19, 21, 95, 0, 0),
    ("xa-a", "wan", 21, 22, 30, 6, 0),
    ("xa-a", "wan", 22, 744, 12, 0, 0),
    ("xa-a", "wan", 58, 59, 0, 0, 20),
    ("xa-a", "internet", 0, 200, 25, 0, 0),
    ("xa-a", "internet", 66, 67, 300, 0, 0),
    ("xa-c", "lan", 0, 744, 1, 0, 0),
];

fn hour(rtt_ms: u32, lossy: u32, silent: u32) -> HourTotal {
    let rtt = f64::from(rtt_ms) / 1000.0;
    let mut hour = HourTotal::default();
    for round in 0..20 {
        let received = if round < silent {
            0
        } else if round < silent + lossy {
            4
        } else {
            5
        };
        let rtt = (received > 0).then_some(Rtt { min: rtt, median: rtt, mean: rtt, max: rtt });
        let bucket = Bucket::of(&RoundFacts { sent: 5, received, rtt, fault: false }).unwrap();
        add(&mut hour, &HourTotal { rounds: 1, bucket });
    }
    hour
}

/// Of hours that are listed twice the last counts.
fn month(province: &Province<'_>, measured: &[Measured]) -> MonthQuality {
    let mut links: std::collections::BTreeMap<(&str, &str), Steps> = std::collections::BTreeMap::new();
    for (site, link, from, to, rtt, lossy, silent) in measured {
        let steps = links.entry((site, link)).or_default();
        steps.extend((*from..*to).map(|at| (UnixMillis(START + at * HOUR), hour(*rtt, *lossy, *silent))));
    }
    let whole = Month::parse("2026-10").unwrap().window(&province.config().timezone);
    let mut gathering = Gathering::new(province, whole.within(whole.start, province.now));
    for ((site, link), steps) in links {
        let steps: Vec<(UnixMillis, HourTotal)> = steps.into_iter().collect();
        gathering.add(&id(site), &link.parse().unwrap(), &steps);
    }
    gathering.done()
}

pub(super) fn kept(province: &Province<'_>, measured: &[Measured]) -> Kept {
    Kept { quality: month(province, measured), ..Kept::default() }
}

fn made(state: &State, measured: &[Measured], now: UnixMillis) -> Made {
    let province = Province::of(state, now);
    report(&province, subject(Lang::En), &kept(&province, measured), &mut |_, _| {}).unwrap()
}

/// RTT and loss of a link against its contract: measured hours, then figure and standing of each.
fn promise(report: &Report, site: &str, link: &str) -> Option<[Cell; 5]> {
    let table = report.tables.iter().find(|table| table.id == "contract_quality")?;
    let of = |row: &&Vec<Cell>| row[1] == Cell::text(site) && row[3] == Cell::text(link);
    let row = table.rows.iter().find(of)?;
    let names = ["hours_measured", "rtt_mean_ms", "rtt_standing", "loss_while_up", "loss_standing"];
    Some(names.map(|name| row[column(table, name)].clone()))
}

fn rtt(report: &Report, site: &str, link: &str) -> (i64, Option<f64>, String) {
    let [hours, mean, standing, ..] = promise(report, site, link).unwrap();
    let Cell::Count(hours) = hours else { panic!("{hours:?}") };
    let mean = if let Cell::Number(mean) = mean {
        Some((mean * 1000.0).round() / 1000.0)
    } else {
        assert_eq!(mean, Cell::Empty);
        None
    };
    (hours, mean, standing.as_text().unwrap_or_default().to_owned())
}

fn loss(report: &Report, site: &str, link: &str) -> (Option<f64>, String) {
    let [.., loss, standing] = promise(report, site, link).unwrap();
    (loss.as_share(), standing.as_text().unwrap_or_default().to_owned())
}

/// What, from and to in hours of the month, and evidence.
fn exceeded(report: &Report, site: &str, link: &str) -> Vec<(String, i64, i64, String)> {
    let Some(table) = report.tables.iter().find(|table| table.id == "evidence") else { return Vec::new() };
    let of = |row: &&Vec<Cell>| {
        row[1] == Cell::text(site)
            && row[3] == Cell::text(link)
            && row[column(table, "charged")] == Cell::Empty
    };
    let hour = |cell: &Cell| {
        let Cell::Instant(at) = cell else { panic!("{cell:?} is no instant") };
        (at.0 - START) / HOUR
    };
    let text = |cell: &Cell| cell.as_text().unwrap_or_default().to_owned();
    let told = |row: &Vec<Cell>| {
        let at = |name: &str| &row[column(table, name)];
        (text(at("what")), hour(at("from")), hour(at("to")), text(at("evidence")))
    };
    table.rows.iter().filter(of).map(told).collect()
}

#[test]
fn a_mean_and_a_loss_within_the_limits_of_a_month_are_met_and_their_bad_hours_are_told() {
    let report = made(&small(), &MEASURED, CLOSED).report;
    // An hour is planned; it was silent for another, which is time down and no loss.
    assert_eq!(rtt(&report, "xa-a", "wan"), (743, Some(12.247), "met".to_owned()));
    let lost = 6.0 / f64::from(743 * 100 - 100);
    assert_eq!(loss(&report, "xa-a", "wan"), (Some(lost), "met".to_owned()));
    let told = exceeded(&report, "xa-a", "wan");
    let expected = [
        (
            "RTT over the limit",
            19,
            21,
            "2 hours; worst in the hour from 2026-10-01 19:00:00: 95.0 ms in the mean of 100 answers",
        ),
        (
            "Loss over the limit",
            21,
            22,
            "1 hour; worst in the hour from 2026-10-01 21:00:00: 6 of 100 packets lost (6.00%)",
        ),
    ];
    let expected =
        expected.map(|(what, from, to, evidence)| (what.to_owned(), from, to, evidence.to_owned()));
    assert_eq!(told, expected);
}

#[test]
fn a_month_over_a_limit_is_missed_and_so_is_its_contract() {
    let state = small();
    let slow: [Measured; 2] = [("xa-a", "wan", 0, 744, 41, 0, 0), ("trung-tam", "wan", 0, 744, 12, 1, 0)];
    let report = made(&state, &slow, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "wan"), (743, Some(41.0), "missed".to_owned()));
    assert_eq!(loss(&report, "xa-a", "wan"), (Some(0.0), "met".to_owned()));
    assert_eq!(loss(&report, "trung-tam", "wan"), (Some(0.01), "missed".to_owned()));
    assert_eq!(exceeded(&report, "xa-a", "wan").len(), 2, "planned work at the hour 59 parts them");
    let contracts = table(&report, "contracts");
    let row = contracts.rows.iter().find(|row| row[0] == Cell::text("HD-01")).unwrap();
    let cell = |name: &str| row[column(contracts, name)].clone();
    assert_eq!((cell("links_over_rtt"), cell("links_over_loss")), (Cell::Count(1), Cell::Count(1)));
    // The centre's line kept its uptime, and is no link that met its contract.
    assert_eq!((cell("links_missed"), cell("standing")), (Cell::Count(2), Cell::text("missed")));
    let links = table(&report, "contract_links");
    let centre =
        links.rows.iter().find(|row| row[1] == Cell::text("trung-tam") && row[0] == Cell::text("HD-01"));
    assert_eq!(centre.unwrap()[column(links, "standing")], Cell::text("met"), "of uptime alone");
}

#[test]
fn what_nobody_measured_has_broken_no_promise() {
    let state = small();
    let report = made(&state, &[], CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "wan"), (0, None, "not measured".to_owned()));
    assert_eq!(loss(&report, "xa-a", "wan"), (None, "not measured".to_owned()));
    assert!(report.tables.iter().all(|table| table.id != "quality"));
    let silent: [Measured; 1] = [("xa-a", "wan", 0, 744, 0, 0, 20)];
    let report = made(&state, &silent, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "wan"), (743, None, "not measured".to_owned()), "no answer has no time");
    assert_eq!(exceeded(&report, "xa-a", "wan"), []);
    let quality = table(&report, "quality");
    assert_eq!(quality.rows[0][column(quality, "loss")], Cell::share(Some(1.0)));
    assert_eq!(quality.rows[0][column(quality, "loss_while_up")], Cell::Empty);
}

#[test]
fn only_hours_that_lie_wholly_within_those_that_count_do() {
    let state = small();
    // Thursday, 1 October: hours of service are 07:30–11:30 and 13:30–17:00.
    let day: [Measured; 1] = [("xa-a", "internet", 0, 24, 25, 0, 0)];
    let report = made(&state, &day, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "internet"), (6, Some(25.0), "met".to_owned()), "8, 9, 10, 14, 15, 16");
    assert_eq!(loss(&report, "xa-a", "internet"), (Some(0.0), String::new()), "nothing is promised of it");
    let evening: [Measured; 2] =
        [("xa-a", "internet", 0, 24, 25, 0, 0), ("xa-a", "internet", 18, 24, 900, 0, 0)];
    let report = made(&state, &evening, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "internet").1, Some(25.0));
    assert_eq!(exceeded(&report, "xa-a", "internet"), []);
    let cut: [Measured; 2] = [("xa-a", "internet", 7, 8, 900, 0, 0), ("xa-a", "internet", 11, 14, 900, 0, 0)];
    let report = made(&state, &cut, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "internet"), (0, None, "not measured".to_owned()));
}

#[test]
fn an_hour_that_planned_work_touches_counts_for_no_contract() {
    let state = state(
        vec![site("trung-tam", "Trung tâm", "province"), site("xa-a", "Xã A", "commune")],
        vec![(59.75, 60.25)],
        &month_of("xa-a", &[]),
    );
    let measured: [Measured; 2] = [("xa-a", "wan", 57, 62, 20, 0, 0), ("xa-a", "wan", 59, 61, 999, 0, 0)];
    let report = made(&state, &measured, CLOSED).report;
    assert_eq!(rtt(&report, "xa-a", "wan"), (3, Some(20.0), "met".to_owned()));
    let quality = table(&report, "quality");
    assert_eq!(quality.rows[0][column(quality, "hours_measured")], Cell::Count(5), "but it was measured");
}

#[test]
fn of_a_month_that_is_not_over_the_hours_that_are_count() {
    let state = small();
    let measured: [Measured; 2] = [("xa-a", "wan", 0, 744, 20, 0, 0), ("xa-a", "wan", 10, 11, 99, 0, 0)];
    let middle = UnixMillis(START + 10 * HOUR + HOUR / 2);
    let report = made(&state, &measured, middle).report;
    assert!(report.preliminary);
    assert_eq!(rtt(&report, "xa-a", "wan"), (10, Some(20.0), "met".to_owned()));
}

#[test]
fn a_link_without_a_contract_has_figures_and_no_promise() {
    let state = small();
    // `?` is no contract that the configuration knows.
    let measured: [Measured; 2] = [("xa-c", "lan", 0, 744, 1, 0, 0), ("xa-c", "internet", 0, 744, 900, 5, 0)];
    let report = made(&state, &measured, CLOSED).report;
    assert_eq!(promise(&report, "xa-c", "lan"), None);
    assert_eq!(promise(&report, "xa-c", "internet"), None);
    assert_eq!(table(&report, "quality").rows.len(), 2);
}

#[test]
fn figures_of_no_registered_site_or_link_and_of_days_outside_the_register_are_left_out() {
    let mut late = site("xa-a", "Xã A", "commune");
    late.valid_from = Some("2026-10-02".parse().unwrap());
    let state =
        state(vec![site("trung-tam", "Trung tâm", "province"), late], Vec::new(), &month_of("xa-a", &[]));
    let province = Province::of(&state, CLOSED);
    let measured: [Measured; 3] = [
        ("xa-a", "wan", 0, 30, 10, 0, 0),
        ("xa-la", "wan", 0, 744, 10, 0, 0),
        ("xa-a", "wan-khac", 0, 744, 10, 0, 0),
    ];
    let month = month(&province, &measured);
    assert_eq!(month.link(&id("xa-a"), &"wan".parse().unwrap()).map(|link| link.hours), Some(6));
    assert_eq!(month.link(&id("xa-la"), &"wan".parse().unwrap()), None);
    assert_eq!(month.link(&id("xa-a"), &"wan-khac".parse().unwrap()), None);
}

#[test]
fn quality_that_a_late_backlog_changes_is_told_with_both_values() {
    let state = small();
    let first = made(&state, &MEASURED, CLOSED).figures.unwrap();
    let province = Province::of(&state, CLOSED.plus_millis(DAY));
    let later: Vec<Measured> = MEASURED.into_iter().chain([("xa-a", "wan", 100, 101, 62, 10, 0)]).collect();
    let first = Some(FirstReport { at: CLOSED, figures: first });
    let kept = Kept { first, ..kept(&province, &later) };
    let report = report(&province, subject(Lang::En), &kept, &mut |_, _| {}).unwrap().report;
    let restated = table(&report, "restated");
    let rows: Vec<&Vec<Cell>> =
        restated.rows.iter().filter(|row| row[0] == Cell::text("Contract HD-01")).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[0][1], Cell::text("Mean RTT (ms)"));
    assert_eq!(rows[1][1], Cell::text("Loss while up"));
    assert!(rows.iter().all(|row| row[2] != row[3]));
}
