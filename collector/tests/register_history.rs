//! A register with dates: what sites formerly were, mergers, links that come and go; read, compared, written, and asked of a day.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use wan_collector::api::coverage;
use wan_collector::config::{Config, Plan, Targets};
use wan_collector::inventory::diff::{Absent, Change, changes, differences};
use wan_collector::inventory::read::{File, Format, read, write};
use wan_collector::inventory::{Register, Site};
use wan_collector::province::Province;
use wan_collector::store::Store as _;
use wan_collector::store::sqlite::SqliteStore;
use wan_settings::Mistakes;
use wan_wire::{SiteId, UnixMillis};

fn parse(text: &str, format: Format) -> Result<Vec<Site>, Mistakes> {
    read(&[File { name: "f", bytes: text.as_bytes(), format }], &Plan::default(), &Register::default())
}

fn register(text: &str) -> Register {
    let sites = parse(text, Format::Yaml).unwrap_or_else(|wrong| panic!("{wrong}"));
    Register::new(sites).unwrap()
}

fn vietnam() -> TimeZone {
    TimeZone::get("Asia/Ho_Chi_Minh").unwrap()
}

fn midnight(day: Date) -> UnixMillis {
    UnixMillis(day.to_zoned(vietnam()).unwrap().timestamp().as_millisecond())
}

const REFORM: Date = date(2025, 7, 1);

/// A commune's office that was the district's until the reform, under a hub that closes then.
const WORKED: &str = "
sites:
- {id: centre, name: Centre, tier: province, branch: state}
- {id: hub, name: Huyện, tier: district, branch: state, parent: centre, valid_to: 2025-07-01, merged_into: xa}
- id: xa
  name: Xã mới
  tier: commune
  branch: state
  parent: centre
  valid_from: 2016-01-01
  former:
  - {until: 2025-07-01, name: Xã cũ, parent: hub, district: Gò Dầu}
  - {until: 2020-01-01, tier: district, parent: }
  links:
    lan:
    wan-vnpt: {carrier: VNPT, valid_to: 2024-01-01}
    wan-viettel: {carrier: Viettel, valid_from: 2024-01-01}
";

/// The same, as a table.
const TABLE: &str = "\
id,name,tier,branch,parent,district,valid_from,valid_to,merged_into,links,wan-vnpt.carrier,wan-vnpt.valid_to,wan-viettel.carrier,wan-viettel.valid_from
centre,Centre,province,state,,,,,,,,,,
hub,Huyện,district,state,centre,,,2025-07-01,xa,,,,,
xa,Xã mới,commune,state,centre,,1/7/2025,,,lan,VNPT,2024-01-01,Viettel,2024-01-01
xa,Xã cũ,district,state,,Gò Dầu,2016-01-01,2020-01-01,,,,,,
xa,Xã cũ,commune,state,hub,Gò Dầu,2020-01-01,2025-07-01,,lan,VNPT,,,
";

#[test]
fn a_site_is_what_it_was_on_the_day() {
    let register = register(WORKED);
    let xa = register.get(&"xa".parse().unwrap()).unwrap();
    let on = |day: Date| {
        let of = xa.as_of(day);
        (of.name, of.tier.as_str(), of.parent.map(SiteId::as_str), of.district)
    };
    assert_eq!(on(date(2019, 12, 31)), ("Xã cũ", "district", None, Some("Gò Dầu")));
    assert_eq!(on(date(2020, 1, 1)), ("Xã cũ", "commune", Some("hub"), Some("Gò Dầu")));
    assert_eq!(on(date(2025, 6, 30)), ("Xã cũ", "commune", Some("hub"), Some("Gò Dầu")));
    assert_eq!(on(REFORM), ("Xã mới", "commune", Some("centre"), None));
}

#[test]
fn the_bounds_of_an_era_are_the_provinces_midnights() {
    let register = register(WORKED);
    let (xa, zone) = (register.get(&"xa".parse().unwrap()).unwrap(), vietnam());
    let eras: Vec<_> = xa.eras(&zone).map(|era| (era.from, era.to, era.registered.tier.as_str())).collect();
    let (opens, second, reform) = (midnight(date(2016, 1, 1)), midnight(date(2020, 1, 1)), midnight(REFORM));
    assert_eq!(
        eras,
        [
            (Some(opens), Some(second), "district"),
            (Some(second), Some(reform), "commune"),
            (Some(reform), None, "commune")
        ]
    );
    assert_eq!(
        reform,
        UnixMillis("2025-06-30T17:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond())
    );
    assert_eq!(xa.as_of_instant(reform.plus_millis(-1), &zone).name, "Xã cũ");
    assert_eq!(xa.as_of_instant(reform, &zone).name, "Xã mới");
    assert_eq!(xa.as_of_instant(UnixMillis::MIN, &zone).tier.as_str(), "district");
    assert_eq!(xa.as_of_instant(UnixMillis::MAX, &zone).name, "Xã mới");
}

#[test]
fn a_parent_counts_only_while_it_is_registered() {
    let register = register(&WORKED.replace("valid_to: 2025-07-01, merged", "valid_to: 2025-03-01, merged"));
    let (id, zone) = ("xa".parse().unwrap(), vietnam());
    let parent = |day: Date| register.parent_at(&id, midnight(day), &zone).map(|site| site.id.as_str());
    assert_eq!(parent(date(2024, 1, 1)), Some("hub"));
    assert_eq!(parent(date(2025, 3, 1)), None, "its parent has closed, and the next is not yet");
    assert_eq!(parent(REFORM), Some("centre"));
    let odd: Vec<String> = register.oddities().iter().map(ToString::to_string).collect();
    assert_eq!(
        odd,
        ["xa: its parent hub closes on 2025-03-01; for the rest of the time it counts as having no parent"]
    );
}

#[test]
fn what_is_odd_is_said_and_what_is_well_is_not() {
    assert_eq!(register(WORKED).oddities(), []);
    let late = WORKED.replace("parent: centre, valid_to", "parent: centre, valid_from: 2021-01-01, valid_to");
    let odd = register(&late).oddities();
    assert_eq!(
        odd.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "xa: its parent hub is registered only from 2021-01-01 on; for the rest of the time it counts as having no parent"
        ]
    );
    let gone = WORKED.replace("valid_from: 2016-01-01\n", "valid_from: 2016-01-01\n  valid_to: 2026-01-01\n");
    assert_eq!(register(&gone).oddities(), []);
    let gone = register(
        &gone.replace("valid_to: 2025-07-01, merged_into: xa", "valid_to: 2026-01-01, merged_into: xa"),
    );
    assert_eq!(
        gone.oddities()[0].to_string(),
        "hub: it is merged into xa, which is not registered on 2026-01-01"
    );
}

#[test]
fn yaml_and_table_are_the_same_register_and_are_written_so_that_they_read_back() {
    let from_yaml = parse(WORKED, Format::Yaml).unwrap();
    let from_table = parse(TABLE, Format::Csv).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(from_table, from_yaml);
    let shuffled: String = {
        let mut rows: Vec<&str> = TABLE.lines().collect();
        rows[1..].reverse();
        rows.join("\n")
    };
    let mut found = parse(&shuffled, Format::Csv).unwrap();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, from_yaml, "the days tell the order of the rows");
    for format in [Format::Csv, Format::Yaml] {
        let written = write(&from_yaml.iter().collect::<Vec<_>>(), format);
        assert_eq!(parse(&written, format).unwrap(), from_yaml, "{written}");
    }
    let written = write(&from_yaml.iter().collect::<Vec<_>>(), Format::Csv);
    assert_eq!(written.lines().filter(|line| line.starts_with("xa,")).count(), 3, "{written}");
}

#[test]
fn each_bad_table_is_answered_with_line_column_and_remedy() {
    const HEAD: &str =
        "id,name,tier,branch,parent,valid_from,valid_to,merged_into,note,wan.valid_from,wan.valid_to\n";
    let cases = [
        (
            "a,A,district,state,,2016-01-01,2025-07-01,,,,\na,A,commune,state,,2025-07-02,,,,,",
            "f:3: valid_from of “a”: found 2025-07-02, where the row before it in time (line 2) ends on 2025-07-01, expected rows of one site that follow each other without a gap or an overlap; write 2025-07-01, or give one of them another id",
        ),
        (
            "a,A,commune,state,,2025-06-01,,,,,\na,A,district,state,,2016-01-01,2025-07-01,,,,",
            "f:2: valid_from of “a”: found 2025-06-01, where the row before it in time (line 3) ends on 2025-07-01, expected rows of one site that follow each other without a gap or an overlap; write 2025-07-01, or give one of them another id",
        ),
        (
            "a,A,district,state,,2016-01-01,,,,,\na,A,commune,state,,2025-07-01,,,,,",
            "f:3: id: found “a” again, first in f:2, expected each id once; remove one of them, or give one another id",
        ),
        (
            "a,A,district,state,,,2025-07-01,,old,,\na,A,commune,state,,2025-07-01,,,new,,",
            "f:2: note of “a”: found “old”, expected nothing, or the same as in the site's last row (line 3); only name, tier, branch, parent and district are told for each era; a link's own days are LINK.valid_from and LINK.valid_to",
        ),
        (
            "a,A,districts,state,,,2025-07-01,,,,\na,A,commune,state,,2025-07-01,,,,,",
            "f:2: tier of “a”: found “districts”, expected one of the plan's tiers: province, district, commune; did you mean district?",
        ),
        (
            "a,,district,state,,,2025-07-01,,,,\na,A,commune,state,,2025-07-01,,,,,",
            "f:2: name of “a”: found nothing, expected a value: every site has one; fill it in",
        ),
        (
            "a,A,district,state,hub,,2025-07-01,,,,\na,A,commune,state,,2025-07-01,,,,,",
            "f:2: parent of “a”: found the unknown site “hub”, expected the id of a site in the register; register that site too, or leave this empty",
        ),
        (
            "a,A,commune,state,,,,b,,,\nb,B,commune,state,,,,,,,",
            "f:2: merged_into of “a”: found “b”, expected it only of a site that has closed; write the day in valid_to, or leave this empty",
        ),
        (
            "a,A,commune,state,,,2025-07-01,a,,,",
            "f:2: merged_into of “a”: found “a”, expected another site; name the site that took over, or leave it empty",
        ),
        (
            "a,A,commune,state,,,2025-07-01,b,,,",
            "f:2: merged_into of “a”: found the unknown site “b”, expected the id of a site in the register; did you mean a?",
        ),
        (
            "a,A,commune,state,,,2025-07-01,b,,,\nb,B,commune,state,,,2025-07-01,a,,,",
            "f:2: merged_into of “a”: found sites that are merged in a circle: a → b → a, expected successors that lead to a site that is not merged into another; correct merged_into of one of these sites",
        ),
        (
            "a,A,commune,state,,,2025-07-01,,,2025-07-01,",
            "f:2: wan.valid_from of “a”: found “2025-07-01”, expected a link that is valid on some day of its site's registration; correct the days of the link or of the site, or remove the link",
        ),
        (
            "a,A,commune,state,,2025-07-01,,,,,2025-07-01",
            "f:2: wan.valid_to of “a”: found “2025-07-01”, expected a link that is valid on some day of its site's registration; correct the days of the link or of the site, or remove the link",
        ),
        (
            "a,A,commune,state,,,,,,2025-07-01,2025-07-01",
            "f:2: wan.valid_to of “a”: found “2025-07-01”, expected a day after the link's valid_from; valid_to is the first day on which it is a link of the site no more",
        ),
        (
            "a,A,commune,state,,,,,,2025-02-30,",
            "f:2: wan.valid_from of “a”: found “2025-02-30”, expected a day that exists, as 2020-12-31 or 31/12/2020; write year-month-day, or day/month/year",
        ),
    ];
    for (rows, expected) in cases {
        let answer = parse(&format!("{HEAD}{rows}\n"), Format::Csv).expect_err(rows).to_string();
        assert_eq!(answer, format!("{expected}\n1 mistake"), "{rows}");
    }
}

#[test]
fn each_bad_former_entry_is_answered_with_line_and_remedy() {
    let cases = [
        ("[{tier: district}]", "former[0].until", "found nothing, expected a value"),
        (
            "[{until: 2025-07-01}]",
            "former",
            "found nothing that was different, expected at least one of name, tier, branch, parent, district",
        ),
        (
            "[{until: soon, tier: district}]",
            "former.until of “a”",
            "found “soon”, expected a day that exists",
        ),
        (
            "[{until: 2016-01-01, tier: district}]",
            "former.until of “a”",
            "found “2016-01-01”, expected a day within the site's registration: after 2016-01-01, before 2026-01-01",
        ),
        (
            "[{until: 2026-01-01, tier: district}]",
            "former.until of “a”",
            "found “2026-01-01”, expected a day within the site's registration",
        ),
        (
            "[{until: 2025-07-01, tier: district}, {until: 2025-07-01, name: B}]",
            "former.until of “a”",
            "found 2025-07-01 again, expected each day once",
        ),
        ("[{until: 2025-07-01, tier: }]", "former.tier of “a”", "found nothing, expected a value"),
        (
            "[{until: 2025-07-01, teir: x}]",
            "former",
            "found an unknown key, expected one of until, name, tier",
        ),
        ("{until: 2025-07-01}", "former of “a”", "expected a list"),
    ];
    for (former, key, expected) in cases {
        let text = format!(
            "sites:\n- id: a\n  name: A\n  tier: commune\n  branch: state\n  valid_from: 2016-01-01\n  valid_to: 2026-01-01\n  former: {former}\n"
        );
        let answer = parse(&text, Format::Yaml).expect_err(former).to_string();
        assert!(answer.contains(expected), "{former}\n{answer}");
        assert!(
            answer.starts_with("f:8:") && (answer.contains(key) || key.contains("[0]")),
            "{former}\n{answer}"
        );
    }
}

#[test]
fn parents_that_form_a_circle_on_some_day_are_refused_and_others_are_not() {
    let two = |a: &str, b: &str| {
        format!(
            "sites:\n- {{id: a, name: A, tier: commune, branch: state{a}}}\n- {{id: b, name: B, tier: commune, branch: state{b}}}\n"
        )
    };
    // Each was the other's parent, one after the other.
    let swapped = two(
        ", parent: b, former: [{until: 2025-07-01, parent: }]",
        ", former: [{until: 2025-07-01, parent: a}]",
    );
    assert_eq!(register(&swapped).len(), 2);
    let overlapping = two(
        ", parent: b, former: [{until: 2025-06-30, parent: }]",
        ", former: [{until: 2025-07-01, parent: a}]",
    );
    let answer = parse(&overlapping, Format::Yaml).unwrap_err().to_string();
    assert!(answer.contains("parents that form a circle: a → b → a"), "{answer}");
    let own = two(", former: [{until: 2025-07-01, parent: a}]", "");
    assert!(parse(&own, Format::Yaml).unwrap_err().to_string().contains("a → a"));
}

#[test]
fn many_changes_on_many_days_are_read_in_little_time() {
    // 20,000 sites in a chain, each of which had another parent until a day of its own.
    let rows = (1..20_000).map(|n| {
        let day = date(2016, 1, 1).saturating_add(jiff::Span::new().days(n % 3000));
        let (before, since) = (n / 2, n - 1);
        format!("s{n},S,commune,state,s{before},,{day}\ns{n},S,commune,state,s{since},{day},\n")
    });
    let head = "id,name,tier,branch,parent,valid_from,valid_to\ns0,S,commune,state,,,\n".to_owned();
    let text: String = std::iter::once(head).chain(rows).collect();
    assert_eq!(parse(&text, Format::Csv).unwrap().len(), 20_000);
}

#[test]
fn an_import_since_a_day_keeps_what_was_until_then() {
    let before = register(WORKED);
    let xa = before.get(&"xa".parse().unwrap()).unwrap();
    let told = |name: &str| Site { name: name.to_owned(), former: Vec::new(), ..xa.clone() };
    let day = date(2026, 5, 1);
    let after = told("Xã mới nữa").since(day, xa);
    assert_eq!(after.former.len(), 3);
    assert_eq!(after.as_of(date(2026, 4, 30)).name, "Xã mới");
    assert_eq!(after.as_of(day).name, "Xã mới nữa");
    assert_eq!(after.as_of(date(2019, 1, 1)), xa.as_of(date(2019, 1, 1)));
    assert_eq!(told("Xã mới").since(day, xa), *xa, "what does not change leaves no trace");
    let corrected = told("Xã khác").since(REFORM, xa);
    assert_eq!(corrected.former, xa.former, "the same day said again is corrected, not doubled");
    let planned = xa.clone().since(day, &after);
    assert_eq!(planned.former, xa.former, "a change that is taken back is gone");
    let before_opening = told("X").since(date(2016, 1, 1), xa);
    assert_eq!((before_opening.former.len(), before_opening.name.as_str()), (0, "X"));

    let (all, register) = changes(&before, vec![after.clone()], Absent::Keep).unwrap();
    let [Change::Changed { before, after }] = &all[..] else { panic!("{all:?}") };
    let differences = differences(before, after);
    assert_eq!(differences.iter().map(|d| d.0).collect::<Vec<_>>(), ["name", "former"]);
    assert_eq!(
        differences[1].2,
        "until 2020-01-01: tier=district parent=–; until 2025-07-01: name=Xã cũ parent=hub district=Gò Dầu; until 2026-05-01: name=Xã mới"
    );
    assert_eq!(register.len(), 3);
}

#[test]
fn a_site_that_is_closed_before_what_was_planned_for_it_loses_the_plan() {
    let register = register(WORKED);
    let day = date(2023, 1, 1);
    let xa = "xa".parse().unwrap();
    let hub = register.get(&"hub".parse().unwrap()).unwrap().clone();
    let (_, after) = changes(&register, vec![hub], Absent::CloseOn(day)).unwrap();
    let closed = after.get(&xa).unwrap();
    assert_eq!((closed.name.as_str(), closed.valid_to), ("Xã cũ", Some(day)));
    assert_eq!(closed.former.iter().map(|former| former.until).collect::<Vec<_>>(), [date(2020, 1, 1)]);
    let links: Vec<&str> = closed.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(links, ["lan", "wan-vnpt"], "a line that was to come never will");
    let written = write(&after.sites().collect::<Vec<_>>(), Format::Csv);
    assert!(parse(&written, Format::Csv).is_ok(), "and it reads back: {written}");
}

#[test]
fn an_empty_register_has_nothing_odd_and_is_written_empty() {
    let nobody = Register::new([]).unwrap();
    assert_eq!(nobody.oddities(), []);
    assert!(nobody.parent_at(&"xa".parse().unwrap(), UnixMillis(0), &vietnam()).is_none());
    let written = write(&[], Format::Csv);
    assert_eq!(parse(&written, Format::Csv).unwrap(), []);
}

/// The worked sample of the reform of 2025, on top of the sample province.
#[test]
fn the_reform_of_2025_leaves_two_tiers_and_96_communes_and_wards() {
    const BEFORE: &str = include_str!("../../deploy/examples/tayninh-sites.csv");
    const REFORM_FILE: &str = include_str!("../../deploy/examples/tayninh-reform-2025.csv");
    let province = Register::new(parse(BEFORE, Format::Csv).unwrap()).unwrap();
    let file = File { name: "reform.csv", bytes: REFORM_FILE.as_bytes(), format: Format::Csv };
    let incoming = read(&[file], &Plan::default(), &province).unwrap_or_else(|wrong| panic!("{wrong}"));
    let (all, after) = changes(&province, incoming, Absent::Keep).unwrap();
    let added = all.iter().filter(|change| matches!(change, Change::Added(_))).count();
    assert_eq!((added, after.oddities()), (120, Vec::new()));

    let count = |day: Date, tier: &str, branch: &str| {
        let of = |site: &&Site| {
            let registered = site.as_of(day);
            site.registered_on(day)
                && (registered.tier.as_str(), registered.branch.as_str()) == (tier, branch)
        };
        after.sites().filter(of).count()
    };
    let (eve, reform) = (date(2025, 6, 30), REFORM);
    assert_eq!((count(eve, "commune", "state"), count(eve, "commune", "party")), (94, 94));
    assert_eq!(["party", "state", "mass"].map(|branch| count(eve, "district", branch)), [36, 36, 54]);
    assert_eq!((count(reform, "commune", "state"), count(reform, "commune", "party")), (96, 96));
    assert_eq!(["party", "state", "mass"].map(|branch| count(reform, "district", branch)), [0, 0, 0]);
    for branch in ["party", "state", "mass"] {
        assert_eq!(count(eve, "province", branch), count(reform, "province", branch));
    }

    let site = |id: &str| after.get(&id.parse().unwrap()).unwrap();
    let ward = site("ubnd-phuong-1");
    assert_eq!(ward.as_of(eve).name, "Ủy ban nhân dân phường 1");
    assert_eq!(ward.as_of(reform).name, "Ủy ban nhân dân phường Tân Ninh");
    let parent =
        |day: Date| after.parent_at(&ward.id, midnight(day), &vietnam()).map(|site| site.id.as_str());
    assert_eq!((parent(eve), parent(reform)), (Some("ubnd-thanh-pho-tay-ninh"), Some("trung-tam-du-lieu")));
    let merged = site("ubnd-phuong-2");
    assert_eq!((merged.valid_to, merged.merged_into.as_ref()), (Some(reform), Some(&ward.id)));

    // Coverage of a past day is counted by that day's register, also over a window across the reform.
    let mut config = Config { timezone: vietnam(), ..Config::default() };
    config.plan.tiers[1].target = Targets::always(0.7);
    let folder = tempfile::tempdir().unwrap();
    config.data = folder.path().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(async {
        let store = SqliteStore::open(&config.database()).await.unwrap();
        let everything: Vec<Change> = after.sites().cloned().map(Change::Added).collect();
        store.change_register(0, &everything).await.unwrap();
        store.close().await;
        wan_collector::load_read_only(config).await.unwrap()
    });
    let province = Province::of(&state, midnight(date(2025, 8, 1)));
    let told = |question: coverage::Question<'_>| coverage::answer(&province, question).unwrap();
    let registered = |at: &str| {
        let answer = told(coverage::Question { at: Some(at), ..Default::default() });
        answer.tiers.iter().map(|row| row.registered).collect::<Vec<_>>()
    };
    assert_eq!(registered("2025-03-01"), [40.0, 126.0, 188.0]);
    assert_eq!(registered("2025-06-30T23:59:59"), [40.0, 126.0, 188.0]);
    assert_eq!(registered("2025-07-01"), [40.0, 0.0, 192.0]);
    let trend = told(coverage::Question {
        from: Some("2025-06-29"),
        to: Some("2025-07-03"),
        trend: Some("day"),
        ..Default::default()
    });
    // Two of the four days had districts.
    assert_eq!(trend.tiers.iter().map(|row| row.registered).collect::<Vec<_>>(), [40.0, 63.0, 190.0]);
    let days = trend.trend.unwrap();
    let shown: Vec<_> = days.iter().map(|day| (day.day.as_str(), day.rows[1].registered)).collect();
    assert_eq!(
        shown,
        [("2025-06-29", 126.0), ("2025-06-30", 126.0), ("2025-07-01", 0.0), ("2025-07-02", 0.0)]
    );
    let by = |by, at| told(coverage::Question { by: Some(by), at: Some(at), ..Default::default() }).groups;
    let names = |rows: &[coverage::CoverageRow]| {
        rows.iter().filter_map(|row| row.district.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&by("district", "2025-06-30")).len(), 9);
    assert_eq!(names(&by("district", "2025-07-01")), ["Tây Ninh", ""], "those in none come last");
    let carriers = by("carrier", "2025-07-01");
    assert_eq!(
        carriers.iter().filter_map(|row| row.carrier.as_deref()).collect::<Vec<_>>(),
        ["VNPT", "Viettel"]
    );
    assert!(
        carriers.iter().map(|row| row.registered).sum::<f64>() > 233.0,
        "a site with two carriers is in both"
    );
}
