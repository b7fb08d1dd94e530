use std::sync::Arc;

use proptest::prelude::*;
use wan_wire::{Outcome, SiteId};

use super::*;
use crate::config::Config;
use crate::counters::Counters;
use crate::engine::Painting;
use crate::inventory::{Link, Register, Site};
use crate::ledger::cause::Cause;
use crate::planned::{Planned, PlannedId, PlannedWindow, Scope, When, Work};
use crate::report::model::{Cell, Table};
use crate::report::render::{Format, read, write};
use crate::report::verify::verify;
use crate::state::{Latest, State};
use crate::store::{AgentSecret, Rotation, Snapshot};

mod corrected;
mod quality;
mod works;

const HOUR: i64 = 3_600_000;
/// 2026-10-01 00:00 in Vietnam.
const START: i64 = 1_790_787_600_000;
const DAY: i64 = 24 * HOUR;
const HOSTILE: &str = "=HYPERLINK(\"http://x\") <script>alert('1')</script> & \"–\"";

const CONFIG: &str = "\
plan: {tiers: [{id: province, name: {vi: Cấp tỉnh, en: Province}, target: 70%}, {id: commune, name: {vi: Cấp xã, en: Commune}, target: 50%}]}
contracts:
  - {id: HD-01, name: {vi: Thuê kênh, en: Leased lines}, carrier: VNPT, kind: wan, uptime: 99.9%, rtt_limit: 40ms, loss_limit: 0.5%}
  - {id: NET, kind: internet, uptime: 99%, hours: service, rtt_limit: 100ms}
";

fn id(text: &str) -> SiteId {
    text.parse().unwrap()
}

fn site(name: &str, title: &str, tier: &str) -> Site {
    let link = |link: &str, contract: Option<&str>, carrier: &str| Link {
        contract: contract.map(str::to_owned),
        carrier: Some(carrier.to_owned()),
        ..Link::named(link.parse().unwrap())
    };
    Site {
        parent: (name != "trung-tam").then(|| id("trung-tam")),
        district: Some("Tân Châu".to_owned()),
        links: vec![
            link("internet", Some(if name == "xa-c" { "?" } else { "NET" }), "Viettel"),
            link("wan", Some("HD-01"), "VNPT"),
        ],
        ..Site::named(id(name), title, tier.parse().unwrap(), "state".parse().unwrap())
    }
}

/// What a link showed: (site, link, from, to, outcome), in hours since the month began.
type Seen = (&'static str, &'static str, f64, f64, Outcome);

fn state(sites: Vec<Site>, planned: Vec<(f64, f64)>, seen: &[Seen]) -> State {
    let config = Config::parse("collector.yaml", CONFIG.as_bytes()).unwrap();
    let state = State::new(config, None, Arc::new(Counters::new().unwrap()));
    let secret = |site: &Site| AgentSecret {
        site: site.id.clone(),
        hash: [u8::try_from(site.id.as_str().len()).unwrap(); 32],
        issued: UnixMillis(START - DAY),
        revoked: None,
    };
    let window = |(number, (from, to)): (usize, (f64, f64))| PlannedWindow {
        id: PlannedId(i64::try_from(number).unwrap()),
        work: Work {
            scope: Scope::All,
            when: When::Once { from: at(from), to: at(to) },
            valid_from: None,
            valid_to: None,
            reason: "Bảo trì".to_owned(),
            added: UnixMillis(START),
            by: "binh".to_owned(),
        },
        removed: None,
    };
    state.replace_register(Snapshot {
        revision: 1,
        secrets: sites.iter().filter(|site| site.id.as_str() != "xa-trong").map(secret).collect(),
        register: Register::new(sites).unwrap(),
        rotation: Rotation::default(),
        planned: Planned::new(planned.into_iter().enumerate().map(window).collect()),
    });
    for (site, link, from, to, outcome) in seen {
        paint(&state, site, link, at(*from), at(*to), *outcome);
    }
    state.restore_alive(vec![crate::store::Alive {
        start: UnixMillis(START - DAY),
        end: UnixMillis(START + 40 * DAY),
    }]);
    state
}

#[allow(clippy::cast_possible_truncation)]
fn at(hours: f64) -> UnixMillis {
    UnixMillis(START + (hours * 3600.0).round() as i64 * 1000)
}

fn paint(state: &State, site: &str, link: &str, start: UnixMillis, end: UnixMillis, outcome: Outcome) {
    let directory = state.directory();
    let runtime = &directory.runtimes[&id(site)];
    let track = runtime.track(&link.parse().unwrap(), &id(site)).unwrap();
    let received = if outcome == Outcome::Down { 0 } else { 5 };
    let latest = Latest { end, interval_ms: 5_000, sent: 5, received, rtt_median: None, outcome };
    runtime.evidence_mut().paint(&Painting { about: None, track, start, end, outcome, latest });
}

/// Up for the whole month, but for what is listed.
fn month_of(site: &'static str, bad: &[(&'static str, f64, f64, Outcome)]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for link in ["lan", "wan", "internet"] {
        let mut begin = 0.0;
        for (of, from, to, outcome) in bad.iter().filter(|(of, ..)| *of == link) {
            seen.push((site, *of, begin, *from, Outcome::Up));
            seen.push((site, *of, *from, *to, *outcome));
            begin = *to;
        }
        seen.push((site, link, begin, 744.0, Outcome::Up));
    }
    seen
}

/// A small fixed province: a carrier's cut, an ISP's, a failed LAN, an hour of planned work, one site without an agent.
fn small() -> State {
    let sites = vec![
        site("trung-tam", "Trung tâm dữ liệu", "province"),
        site("xa-a", "Ủy ban nhân dân xã A", "commune"),
        site("xa-c", HOSTILE, "commune"),
        site("xa-trong", "Đảng ủy xã chưa trang bị", "commune"),
    ];
    let mut seen = month_of("trung-tam", &[]);
    seen.extend(month_of(
        "xa-a",
        &[("wan", 58.0, 60.0, Outcome::Down), ("internet", 202.0, 205.0, Outcome::Down)],
    ));
    seen.extend(month_of(
        "xa-c",
        &[
            ("lan", 300.0, 301.0, Outcome::Down),
            ("wan", 300.0, 301.0, Outcome::Down),
            ("internet", 300.0, 301.0, Outcome::Down),
            ("wan", 500.0, 500.5, Outcome::Degraded),
        ],
    ));
    state(sites, vec![(59.0, 60.0)], &seen)
}

/// 2026-11-02 08:00 in Vietnam.
const CLOSED: UnixMillis = UnixMillis(START + 32 * DAY + 8 * HOUR);

fn subject(lang: Lang) -> Subject {
    Subject { month: Month::parse("2026-10").unwrap(), lang, policy: Policy::Exclude }
}

fn made(state: &State, lang: Lang, now: UnixMillis) -> Report {
    let province = Province::of(state, now);
    report(&province, subject(lang), &quality::kept(&province, &quality::MEASURED), &mut |_, _| {})
        .unwrap()
        .report
}

fn table<'r>(report: &'r Report, id: &str) -> &'r Table {
    report.tables.iter().find(|table| table.id == id).unwrap_or_else(|| panic!("no table {id}"))
}

fn column(table: &Table, id: &str) -> usize {
    table.columns.iter().position(|column| column.id == id).unwrap_or_else(|| panic!("no column {id}"))
}

fn text(report: &Report, format: Format) -> String {
    String::from_utf8(write(report, format).unwrap()).unwrap()
}

#[test]
fn a_small_month_in_every_format_that_is_text() {
    let state = small();
    for lang in [Lang::Vi, Lang::En] {
        let report = made(&state, lang, CLOSED);
        insta::assert_snapshot!(format!("json-{lang}"), text(&report, Format::Json));
        insta::assert_snapshot!(format!("csv-{lang}"), text(&report, Format::Csv).replace('\r', ""));
        let html = text(&report, Format::Html);
        let (head, rest) = html.split_once("<style>").unwrap();
        let (_, body) = rest.split_once("</style>").unwrap();
        insta::assert_snapshot!(format!("html-{lang}"), format!("{head}{body}"));
    }
}

#[test]
fn minutes_are_charged_to_who_is_responsible() {
    let state = small();
    let report = made(&state, Lang::En, CLOSED);
    let contracts = table(&report, "contracts");
    let cell = |row: usize, id: &str| contracts.rows[row][column(contracts, id)].clone();
    // Two hours of the WAN, one of them planned; of the Internet three, of which 10:00 to 11:30 in hours of service.
    assert_eq!((cell(1, "contract"), cell(1, "charged")), (Cell::text("HD-01"), Cell::Duration(HOUR)));
    assert_eq!(cell(1, "standing"), Cell::text("missed"), "one hour of 743 is more than 0.1 %");
    assert_eq!((cell(2, "contract"), cell(2, "charged")), (Cell::text("NET"), Cell::Duration(HOUR * 3 / 2)));
    assert_eq!(cell(0, "contract"), Cell::text("?"));
    assert!(contracts.note.contains("Not in the configuration (contracts): ?."), "{}", contracts.note);
    let links = table(&report, "contract_links");
    let excused = |row: usize| links.rows[row][column(links, "excused")].clone();
    assert!(links.rows.iter().any(|row| row[column(links, "site")] == Cell::text("xa-c")));
    assert_eq!(excused(0), Cell::Duration(HOUR), "the LAN's hour is not the provider's");
    let evidence = table(&report, "evidence");
    let (what, why) = (column(evidence, "what"), column(evidence, "rule"));
    let outages: Vec<_> = evidence.rows.iter().filter(|row| row[what] == Cell::text("Down")).collect();
    assert_eq!(outages.len(), 2);
    assert_eq!(outages[0][why], Cell::text("the gateway answers; the WAN fails"));
}

#[test]
fn who_reaches_a_shared_system_is_told_by_tier_with_bounds() {
    let state = small();
    paint(&state, "xa-a", "service-van-ban", at(0.0), at(372.0), Outcome::Up);
    paint(&state, "xa-a", "service-van-ban", at(372.0), at(744.0), Outcome::Down);
    let report = made(&state, Lang::En, CLOSED);
    let reach = table(&report, "reach");
    let row = |row: usize| reach.rows[row].clone();
    let share = |share: f64| Cell::share(Some(share));
    // The centre does not measure it. Of three communes one reaches it half the time, one does not measure it, one has no agent.
    let system = || Cell::text("service-van-ban");
    assert_eq!(row(0), [system(), Cell::text("Province"), Cell::Number(1.0), share(0.0), share(1.0)]);
    assert_eq!(row(1)[..3], [system(), Cell::text("Commune"), Cell::Number(3.0)]);
    let near =
        |cell: &Cell, expected: f64| matches!(cell, Cell::Share(share) if (share - expected).abs() < 1e-9);
    assert!(near(&row(1)[3], 0.5 / 3.0) && near(&row(1)[4], 1.5 / 3.0), "{:?}", row(1));
    assert_eq!(row(2)[1], Cell::text("Whole province"));
    assert_eq!(reach.rows.len(), 3);
    assert!(
        made(&small(), Lang::En, CLOSED).tables.iter().all(|table| table.id != "reach"),
        "there is no system"
    );
}

#[test]
fn a_figure_that_is_changed_by_hand_is_named_in_every_format() {
    let state = small();
    let report = made(&state, Lang::En, CLOSED);
    // Each as somebody would do it who wants xa-a to look better: fewer outages, in each format's own way.
    for format in Format::ALL {
        let bytes = write(&report, format).unwrap();
        assert_eq!(verify(&bytes, &report).unwrap().differences, [], "{format:?}: nothing was changed");
        let mut changed = report.clone();
        let sites = changed.tables.iter_mut().find(|table| table.id == "sites").unwrap();
        let (row, at) = (1, column(sites, "outages"));
        assert_eq!(sites.rows[row][at], Cell::Count(2));
        sites.rows[row][at] = Cell::Count(1);
        let found = verify(&write(&changed, format).unwrap(), &report).unwrap().differences;
        assert_eq!(found.len(), 1, "{format:?}: {found:?}");
        assert_eq!((found[0].table.as_str(), found[0].row.as_str()), ("Sites", "xa-a"));
        assert_eq!(found[0].column, "Outages");
        assert!(found[0].was != found[0].is);
    }
    let html = text(&report, Format::Html).replacen("data-v=\"7200000\"", "data-v=\"3600000\"", 1);
    assert!(!verify(html.as_bytes(), &report).unwrap().differences.is_empty(), "the exact value alone");
    let csv = text(&report, Format::Csv);
    let without: Vec<&str> =
        csv.split_inclusive("\r\n").filter(|line| !line.starts_with("xa-a,Ủy ban")).collect();
    let found = verify(without.concat().as_bytes(), &report).unwrap().differences;
    assert!(found.iter().any(|difference| difference.row.starts_with("xa-a") && difference.was.is_none()));
}

#[test]
fn as_many_figures_are_compared_in_every_format() {
    let report = made(&small(), Lang::Vi, CLOSED);
    let cells: usize = report.tables.iter().map(|table| table.columns.len() * table.rows.len()).sum();
    for format in Format::ALL {
        let compared = verify(&write(&report, format).unwrap(), &report).unwrap();
        assert_eq!(compared.cells, cells, "{format:?}");
    }
}

#[test]
fn every_file_says_what_it_is_a_report_of() {
    let state = small();
    let zone = &state.config.timezone;
    for lang in [Lang::Vi, Lang::En] {
        let report = made(&state, lang, CLOSED);
        for format in Format::ALL {
            let (known, grid) = read(&write(&report, format).unwrap()).unwrap();
            assert_eq!(known, format);
            let expected = Asked { subject: subject(lang), made_at: CLOSED };
            assert_eq!(asked(&grid, zone), Some(expected), "{format:?} {lang}");
        }
    }
}

#[test]
fn what_is_no_report_is_refused_and_what_is_cut_does_no_harm() {
    for bytes in
        [&b""[..], b"hello", b"PK\x03\x04 no zip", b"{}", b"{\"tables\": 1}", b"{\"tables\": [", b"<\xff"]
    {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
    let report = made(&small(), Lang::Vi, CLOSED);
    for format in Format::ALL {
        let whole = write(&report, format).unwrap();
        for length in [1, 100, whole.len() / 2, whole.len() - 1] {
            let _ = verify(&whole[..length], &report);
        }
    }
}

#[test]
fn names_from_the_register_are_neither_markup_nor_formulas() {
    let report = made(&small(), Lang::Vi, CLOSED);
    let html = text(&report, Format::Html);
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    let csv = text(&report, Format::Csv);
    assert!(csv.contains("'=HYPERLINK") && !csv.contains(";=HYPERLINK") && !csv.contains(";\"=HYPERLINK"));
    let (_, grid) = read(&write(&report, Format::Xlsx).unwrap()).unwrap();
    assert!(
        grid.tables.iter().any(|table| table.rows.iter().any(|row| row.iter().any(|cell| cell == HOSTILE)))
    );
}

#[test]
fn a_month_that_is_not_over_is_preliminary_and_one_that_has_not_begun_has_no_report() {
    let state = small();
    let middle = UnixMillis(START + 10 * DAY + HOUR);
    let province = Province::of(&state, middle);
    let now = report(&province, subject(Lang::Vi), &Kept::default(), &mut |_, _| {}).unwrap();
    assert!(now.report.preliminary && now.figures.is_none());
    assert!(now.report.subtitle.starts_with("TẠM TÍNH đến 11/10/2026 01:00:00"), "{}", now.report.subtitle);
    assert_eq!(table(&now.report, "trend").rows.len(), 11);
    let province = Province::of(&state, UnixMillis(START));
    let future = report(&province, subject(Lang::Vi), &Kept::default(), &mut |_, _| {});
    assert_eq!(future.unwrap_err(), NoReport::Future);
}

#[test]
fn an_empty_register_has_a_report_that_says_so() {
    let report = made(&state(Vec::new(), Vec::new(), &[]), Lang::En, CLOSED);
    assert!(report.subtitle.contains("The register has no site"), "{}", report.subtitle);
    let names: Vec<&str> = report.tables.iter().map(|table| table.id).collect();
    assert_eq!(names, ["summary", "parameters"]);
    for format in Format::ALL {
        assert_eq!(verify(&write(&report, format).unwrap(), &report).unwrap().differences, []);
    }
}

#[test]
fn what_late_evidence_changes_is_told_with_both_values() {
    let state = small();
    let first = {
        let province = Province::of(&state, CLOSED);
        let made = report(&province, subject(Lang::En), &Kept::default(), &mut |_, _| {}).unwrap();
        FirstReport { at: CLOSED, figures: made.figures.unwrap() }
    };
    let later = |first: &FirstReport| {
        let province = Province::of(&state, CLOSED.plus_millis(DAY));
        report(
            &province,
            subject(Lang::En),
            &Kept { first: Some(first.clone()), ..Kept::default() },
            &mut |_, _| {},
        )
        .unwrap()
        .report
    };
    assert!(later(&first).tables.iter().all(|table| table.id != "restated"), "nothing has changed");
    paint(&state, "xa-a", "wan", at(58.0), at(59.0), Outcome::Up);
    let report = later(&first);
    let restated = table(&report, "restated");
    let row = restated
        .rows
        .iter()
        .find(|row| row[0] == Cell::text("Ủy ban nhân dân xã A (xa-a)") && row[1] == Cell::text("Time down"))
        .unwrap();
    assert_eq!(row[2], Cell::Duration(4 * HOUR).mixed());
    assert_eq!(row[3], Cell::Duration(3 * HOUR).mixed());
    assert_eq!(row[4], Cell::Instant(CLOSED));
}

fn millis(cell: &Cell) -> i64 {
    let Cell::Duration(millis) = cell else { panic!("{cell:?} is no length of time") };
    *millis
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever was seen: causes add up to the time down, sites to the province, links to their contract.
    #[test]
    fn sums_agree(
        paints in prop::collection::vec(
            (prop::sample::select(vec!["trung-tam", "xa-a", "xa-c"]), prop::sample::select(vec!["lan", "wan", "internet"]),
             0_u32..740, 1_u32..60, 0_usize..4),
            0..60,
        ),
        works in prop::collection::vec((0_u32..700, 1_u32..40), 0..3),
    ) {
        let outcomes = [Outcome::Up, Outcome::Degraded, Outcome::Down, Outcome::Fault];
        let seen: Vec<Seen> = paints.iter().map(|&(site, link, from, length, outcome)| {
            (site, link, f64::from(from), f64::from(from + length), outcomes[outcome])
        }).collect();
        let works = works.into_iter().map(|(from, length)| (f64::from(from), f64::from(from + length))).collect();
        let sites = ["trung-tam", "xa-a", "xa-c"].map(|name| site(name, name, "commune"));
        let report = made(&state(sites.into(), works, &seen), Lang::En, CLOSED);
        let sites = table(&report, "sites");
        let by_site = report.tables.iter().find(|table| table.id == "site_causes");
        let rows = by_site.map(|table| table.rows.as_slice()).unwrap_or_default();
        let planned = 4 + Cause::ALL.iter().position(|cause| *cause == Cause::Planned).unwrap();
        for row in rows {
            let parts: i64 = row[4..].iter().map(millis).sum();
            prop_assert_eq!(millis(&row[3]), parts, "{:?}", row);
        }
        for site in &sites.rows {
            let down: i64 = rows.iter().filter(|row| row[0] == site[0] && row[2] == Cell::text("Down"))
                .map(|row| millis(&row[3]) - millis(&row[planned])).sum();
            prop_assert_eq!(millis(&site[column(sites, "down")]), down, "{:?}", site);
        }
        if let Some(causes) = report.tables.iter().find(|table| table.id == "causes") {
            for (name, at) in [("Down", 1), ("Degraded", 2), ("Unknown", 3)] {
                let whole: i64 = causes.rows.iter().map(|row| millis(&row[at])).sum();
                let parts: i64 = rows.iter().filter(|row| row[2] == Cell::text(name)).map(|row| millis(&row[3])).sum();
                prop_assert_eq!(whole, parts, "{}", name);
            }
        }
        if let Some(contracts) = report.tables.iter().find(|table| table.id == "contracts") {
            let links = table(&report, "contract_links");
            for contract in &contracts.rows {
                let charged: i64 = links.rows.iter().filter(|row| row[0] == contract[0])
                    .map(|row| millis(&row[column(links, "charged")])).sum();
                prop_assert_eq!(millis(&contract[column(contracts, "charged")]), charged);
                let told: i64 = report.tables.iter().filter(|table| table.id == "evidence").flat_map(|table| &table.rows)
                    .filter(|row| row[0] == contract[0] && row[8] != Cell::Empty).map(|row| millis(&row[8])).sum();
                prop_assert_eq!(told, charged, "every charged minute is in a line that can be sent");
            }
        }
        for format in Format::ALL {
            prop_assert_eq!(verify(&write(&report, format).unwrap(), &report).unwrap().differences, vec![]);
        }
    }
}

#[test]
fn progress_is_told_site_by_site() {
    let state = small();
    let province = Province::of(&state, CLOSED);
    let mut told = Vec::new();
    report(&province, subject(Lang::Vi), &Kept::default(), &mut |done, total| told.push((done, total)))
        .unwrap();
    assert_eq!(told, [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]);
}
