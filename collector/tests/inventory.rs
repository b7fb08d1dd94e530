//! The register's files: the shipped samples, one bad file for each rule, and what spreadsheets do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::collections::BTreeSet;

use jiff::civil::Date;
use proptest::prelude::*;
use wan_collector::config::{Config, Plan};
use wan_collector::inventory::diff::{Absent, Change, changes};
use wan_collector::inventory::era::Former;
use wan_collector::inventory::read::{File, Format, read, unknown_contracts, write};
use wan_collector::inventory::{Link, Location, Register, Site, Watches};
use wan_settings::Mistakes;
use wan_wire::{LinkKind, UnixMillis};

const PROVINCE: &str = include_str!("../../deploy/examples/tayninh-sites.csv");
const SMALL: &str = include_str!("../../deploy/examples/sites.yaml");
const CONFIG: &str = include_str!("../../deploy/examples/collector.yaml");

fn parse(text: &str, format: Format) -> Result<Vec<Site>, Mistakes> {
    parse_bytes(text.as_bytes(), format)
}

fn parse_bytes(bytes: &[u8], format: Format) -> Result<Vec<Site>, Mistakes> {
    read(&[File { name: "f", bytes, format }], &Plan::default(), &Register::default())
}

fn csv(text: &str) -> Result<Vec<Site>, Mistakes> {
    parse(text, Format::Csv)
}

fn yaml(text: &str) -> Result<Vec<Site>, Mistakes> {
    parse(text, Format::Yaml)
}

#[test]
fn a_contract_that_the_configuration_does_not_have_is_named_once_with_file_and_line() {
    let csv = "id,name,tier,branch,links,wan.contract,internet.contract\n\
        xa-a,A,commune,state,wan internet,HD-01,NET\n\
        xa-b,B,commune,state,wan internet,HD-02,\n\
        xa-c,C,commune,state,wan internet,HD-02,Nhà mạng cũ\n";
    let yaml = "sites:\n- id: xa-d\n  name: D\n  tier: commune\n  branch: state\n  links:\n    wan:\n      contract: NETT\n";
    let files = [
        File { name: "f.csv", bytes: csv.as_bytes(), format: Format::Csv },
        File { name: "g.yaml", bytes: yaml.as_bytes(), format: Format::Yaml },
    ];
    read(&files, &Plan::default(), &Register::default()).unwrap();
    let warnings = |known: &[&str]| -> Vec<String> {
        let known = known.iter().copied().collect();
        unknown_contracts(&files, &known).iter().map(ToString::to_string).collect()
    };
    let expected = [
        "f.csv:3: wan.contract of “xa-b”: found the unknown contract “HD-02”, expected the id of a contract in the configuration; did you mean HD-01?",
        "f.csv:4: internet.contract of “xa-c”: found the unknown contract “Nhà mạng cũ”, expected the id of a contract in the configuration; write its \
         terms under contracts, or leave this empty",
        "g.yaml:8:17: wan.contract of “xa-d”: found the unknown contract “NETT”, expected the id of a contract in the configuration; did you mean NET?",
    ];
    assert_eq!(warnings(&["HD-01", "NET"]), expected);
    assert_eq!(warnings(&["HD-01", "HD-02", "NET", "NETT", "Nhà mạng cũ"]), [""; 0]);
    assert_eq!(warnings(&[]).len(), 5, "each once");
}

#[test]
fn the_sites_that_the_guides_enrol_are_in_the_sample_province() {
    let sites = csv(PROVINCE).unwrap();
    for (name, text) in [
        ("README.md", include_str!("../../README.md")),
        ("guide.en.md", include_str!("../../deploy/guide.en.md")),
        ("guide.vi.md", include_str!("../../deploy/guide.vi.md")),
        ("examples/README.md", include_str!("../../deploy/examples/README.md")),
    ] {
        let words = text.split("wan-collector enroll ").skip(1);
        let ids: Vec<&str> = words
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next())
            .filter(|id| !id.is_empty() && !id.starts_with('-'))
            .collect();
        assert!(!ids.is_empty(), "{name} enrols no site");
        for id in ids {
            assert!(sites.iter().any(|site| site.id.as_str() == id), "{name}: {id} is in no register");
        }
    }
}

#[test]
fn the_sample_province_is_whole_and_without_a_mistake() {
    let plan = Config::parse("collector.yaml", CONFIG.as_bytes()).unwrap().plan;
    let file = File { name: "tayninh-sites.csv", bytes: PROVINCE.as_bytes(), format: Format::Csv };
    let sites = read(&[file], &plan, &Register::default()).unwrap();
    assert!(sites.len() >= 300, "{}", sites.len());

    let pairs: BTreeSet<(&str, &str)> =
        sites.iter().map(|site| (site.tier.as_str(), site.branch.as_str())).collect();
    for tier in ["province", "district"] {
        for branch in ["party", "state", "mass"] {
            assert!(pairs.contains(&(tier, branch)), "{tier} {branch}");
        }
    }
    let communes = |branch: &str| {
        sites.iter().filter(|site| site.tier.as_str() == "commune" && site.branch.as_str() == branch).count()
    };
    assert_eq!((communes("party"), communes("state")), (94, 94));

    let register = Register::new(sites).unwrap();
    let centre: Vec<&Site> = register.sites().filter(|site| site.parent.is_none()).collect();
    assert_eq!(centre.len(), 1, "everything depends on the centre");
    assert_eq!(centre[0].watches, Watches::All);
    for site in register.sites() {
        let kinds: BTreeSet<LinkKind> = site.links.iter().map(|link| link.name.kind()).collect();
        assert!(kinds.contains(&LinkKind::Lan) && kinds.contains(&LinkKind::Wan), "{}", site.id);
        assert!(site.location.is_some(), "{}", site.id);
    }
    let routers: Vec<_> =
        register.sites().flat_map(|site| &site.links).filter_map(|link| link.router).collect();
    assert_eq!(
        routers.iter().collect::<BTreeSet<_>>().len(),
        routers.len(),
        "each router has its own address"
    );
}

#[test]
fn the_small_sample_is_without_a_mistake() {
    let sites = yaml(SMALL).unwrap();
    assert_eq!(sites.len(), 3);
    assert_eq!(sites[0].contacts.len(), 2);
    assert_eq!(sites[2].links.len(), 3);
}

#[test]
fn what_spreadsheets_do_to_a_table_changes_nothing() {
    let plain = "id,name,tier,branch,valid_from,latitude,longitude\nxa-a,\"UBND xã A, huyện B\",commune,state,2020-12-31,11.5,106.25\n";
    let expected = csv(plain).unwrap();
    let variants = [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        "sep=;\r\nID;Name;Tier;Branch;Valid_From;Latitude;Longitude\r\nxa-a;UBND xã A, huyện B;commune;state;31/12/2020;11,5;106,25\r\n".to_owned(),
        "id;name;tier;branch;valid_from;latitude;longitude;;\nxa-a;UBND xã A, huyện B;commune;state;31/12/2020;11,5;106,25;;\n;;;;;;;;\n".to_owned(),
        "name\tid\ttier\tbranch\tlongitude\tlatitude\tvalid_from\nUBND xã A, huyện B\txa-a\tcommune\tstate\t106.25\t11.5\t2020-12-31\n".to_owned(),
        format!("\n\n{plain}\n\n"),
    ];
    for variant in variants {
        assert_eq!(csv(&variant).unwrap(), expected, "{variant:?}");
    }
}

#[test]
fn each_bad_table_is_answered_with_line_column_and_remedy() {
    const HEAD: &str =
        "id,name,tier,branch,parent,valid_from,valid_to,latitude,longitude,watches,wan.router,wan.uptime\n";
    let cases = [
        (
            "a,A,commune,state,,,,,,,,\na,B,commune,state,,,,,,,,",
            "f:3: id: found “a” again, first in f:2, expected each id once; remove one of them, or give one another id",
        ),
        (
            "a,A,comune,state,,,,,,,,",
            "f:2: tier of “a”: found “comune”, expected one of the plan's tiers: province, district, commune; did you mean commune?",
        ),
        (
            "a,A,commune,army,,,,,,,,",
            "f:2: branch of “a”: found “army”, expected one of the plan's branches: party, state, mass; correct it, or add it to plan.branches in the configuration",
        ),
        (
            "a,A,commune,state,hub-1,,,,,,,\nhub-2,B,district,state,,,,,,,,",
            "f:2: parent of “a”: found the unknown site “hub-1”, expected the id of a site in the register; did you mean hub-2?",
        ),
        (
            "a,A,commune,state,a,,,,,,,",
            "f:2: parent of “a”: found parents that form a circle: a → a, expected parents that lead to a site without one; correct the parent of one of these sites",
        ),
        (
            "b,B,commune,state,c,,,,,,,\nc,C,commune,state,a,,,,,,,\na,A,commune,state,b,,,,,,,",
            "f:4: parent of “a”: found parents that form a circle: a → b → c → a, expected parents that lead to a site without one; correct the parent of one of these sites",
        ),
        (
            "a,A,commune,state,,2020-02-30,,,,,,",
            "f:2: valid_from of “a”: found “2020-02-30”, expected a day that exists, as 2020-12-31 or 31/12/2020; write year-month-day, or day/month/year",
        ),
        (
            "a,A,commune,state,,2020-02-01,1/2/2020,,,,,",
            "f:2: valid_to of “a”: found “1/2/2020”, expected a day after valid_from, 2020-02-01; valid_to is the first day on which the site is closed",
        ),
        (
            "Xã Tân Bình,A,commune,state,,,,,,,,",
            "f:2: id: found “Xã Tân Bình”, expected 1 to 64 lower-case letters a-z, digits and hyphens, no hyphen at the ends; write xa-tan-binh",
        ),
        (
            "a,,commune,state,,,,,,,,",
            "f:2: name of “a”: found nothing, expected a value: every site has one; fill it in",
        ),
        (
            ",A,commune,state,,,,,,,,",
            "f:2: id: found nothing, expected a value: every site has one; fill it in",
        ),
        (
            "a,A,commune,state,,,,106.1,11.3,,,",
            "f:2: latitude of “a”: found “106.1”, expected degrees from -90 to 90; are latitude (north) and longitude (east) swapped?",
        ),
        (
            "a,A,commune,state,,,,11.3,east,,,",
            "f:2: longitude of “a”: found “east”, expected degrees from -180 to 180; write decimal degrees such as 11.3102",
        ),
        (
            "a,A,commune,state,,,,11.3,,,,",
            "f:2: latitude of “a”: found “11.3”, expected both latitude and longitude, or neither; add the other or remove this one",
        ),
        (
            "a,A\u{7}B,commune,state,,,,,,,,",
            "f:2: name of “a”: found “A\\u{7}B”, expected text in one line, without control characters; remove the character U+0007",
        ),
        (
            "a,\"A\nB\",commune,state,,,,,,,,",
            "f:2: name of “a”: found “A\\nB”, expected text in one line, without control characters; remove the line break; is a quotation mark left open above?",
        ),
        (
            "a,A\u{202e}B,commune,state,,,,,,,,",
            "f:2: name of “a”: found “A\u{202e}B”, expected text in one line, without control characters; remove the character U+202E",
        ),
        (
            "a,A,commune,state,,,,,,b,,",
            "f:2: watches of “a”: found the unknown site “b”, expected the id of a site in the register; did you mean a?",
        ),
        (
            "a,A,commune,state,,,,,,,10.0.0.1/24,",
            "f:2: wan.router of “a”: found “10.0.0.1/24”, expected an IPv4 or IPv6 address without port or prefix length",
        ),
        (
            "a,A,commune,state,,,,,,,127.0.0.1,",
            "f:2: wan.router of “a”: found “127.0.0.1”, expected the address of one other host; write the router's address on the site's side",
        ),
        (
            "a,A,commune,state,,,,,,,0.0.0.0,",
            "f:2: wan.router of “a”: found “0.0.0.0”, expected the address of one other host; write the router's address on the site's side",
        ),
        (
            "a,A,commune,state,,,,,,,ff02::1,",
            "f:2: wan.router of “a”: found “ff02::1”, expected the address of one other host; write the router's address on the site's side",
        ),
        (
            "a,A,commune,state,,,,,,,,99",
            "f:2: wan.uptime of “a”: found “99”, expected a share from 0 to 1, or a percentage such as 70%; write 99.5% or 0.995",
        ),
        (
            "a,A, B,commune,state,,,,,,,,,",
            "f:2: row of “a”: found 14 cells, expected 12 as in the first row; put text that holds the delimiter in quotation marks, and close every quotation mark",
        ),
        (
            "a,A,commune",
            "f:2: row of “a”: found 3 cells, expected 12 as in the first row; put text that holds the delimiter in quotation marks, and close every quotation mark",
        ),
    ];
    for (rows, expected) in cases {
        let answer = csv(&format!("{HEAD}{rows}\n")).expect_err(rows).to_string();
        assert_eq!(answer, format!("{expected}\n1 mistake"), "{rows}");
    }
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let cases = [
        ("id,name,tier,branch\n\n\na,,commune,state\n", "f:4: name"),
        ("id,name,tier,branch\r\n\r\na,,commune,state\r\n", "f:3: name"),
        ("sep=;\r\nid;name;tier;branch\r\n;;;\r\na;;commune;state\r\n", "f:4: name"),
        ("\u{feff}id,name,tier,branch\na,A,commune,state\nb,,commune,state\n", "f:3: name"),
    ];
    for (text, expected) in cases {
        let answer = csv(text).expect_err(text).to_string();
        assert!(answer.starts_with(expected), "{text:?}: {answer}");
    }
    let answer = csv("id,name,tier,branch\na,\"A\n\nA\",commune,state\nb,,commune,state\n").unwrap_err();
    assert_eq!(answer.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [2, 5]);
}

#[test]
fn a_bad_first_row_is_answered_column_by_column() {
    let answer = csv("id,nam,tier,tier,wan.speed\n").unwrap_err().to_string();
    for expected in [
        "f:1: branch: found no such column, expected it among the columns; add a column named branch, or is the delimiter not a comma, semicolon or tab?",
        "f:1: column 2: found the unknown column “nam”, expected one of id, name, ",
        "; did you mean name?",
        "f:1: column 4: found “tier” again, expected each column once; remove one of them",
        "f:1: column 5: found the unknown column “wan.speed”, ",
    ] {
        assert!(answer.contains(expected), "{expected}\n{answer}");
    }
    let answer = csv("id,name,tier\na,A,commune\nb,B,commune\n").unwrap_err();
    assert_eq!(answer.len(), 1, "a missing column is said once: {answer}");
    assert!(csv("").unwrap_err().to_string().contains("found no rows"));
}

#[test]
fn each_bad_yaml_is_answered_with_line_column_and_remedy() {
    let cases = [
        (
            "- {id: a}",
            "f:1:1: found a list of 1, expected a mapping with the key sites; write it as “key: value” lines",
        ),
        ("site: []", "f:1:1: site: found an unknown key, expected one of sites; did you mean sites?"),
        (
            "sites:\n- {id: a, name: A, tier: commune, branch: state, parant: b}",
            "f:2:50: sites[0].parant: found an unknown key, expected one of id, name, tier, branch, parent, district, valid_from, valid_to, merged_into, latitude, longitude, contacts, watches, links, note, former; did you mean parent?",
        ),
        (
            "sites:\n- {id: a, name: 17, tier: commune, branch: state}",
            "f:2:17: name of “a”: found 17, expected text; put it in quotes",
        ),
        (
            "sites:\n- {id: a, name: A, tier: x, branch: state}",
            "f:2:26: tier of “a”: found “x”, expected one of the plan's tiers: province, district, commune; correct it, or add it to plan.tiers in the configuration",
        ),
        (
            "sites:\n- &a {id: a, name: A, tier: commune, branch: state}\n- *a",
            "f:2:11: id: found “a” again, first in f:2, expected each id once; remove one of them, or give one another id",
        ),
        (
            "sites:\n- id: a\n  name: A\n  tier: commune\n  branch: state\n  links: {vpn: {}}",
            "f:6:16: links of “a”.vpn: found the link “vpn”, expected a link's name: lan, wan, internet or service, alone or with a suffix as in wan-vnpt; rename it",
        ),
        (
            "sites:\n- id: a\n  name: A\n  tier: commune\n  branch: state\n  links:\n    wan:\n      interface: far-too-long-a-name",
            "f:8:18: wan.interface of “a”: found “far-too-long-a-name”, expected an interface name of 1 to 15 bytes; see “ip link” for the names",
        ),
        (
            "sites:\n- id: a\n  name: A\n  tier: commune\n  branch: state\n  contacts: [a | b]",
            "f:6:14: contacts of “a”: found “a | b”, expected a contact without “|”; begin a new item",
        ),
    ];
    for (text, expected) in cases {
        let answer = yaml(text).expect_err(text).to_string();
        assert!(answer.starts_with(expected), "{text}\n{answer}\n{expected}");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_named_by_line_and_byte() {
    let latin = b"id,name,tier,branch\na,T\xe2y Ninh,commune,state\n";
    let answer = parse_bytes(latin, Format::Csv).unwrap_err().to_string();
    assert!(
        answer
            .starts_with("f:2:4: byte 24: found the byte 0xe2, expected UTF-8 text; save the file as UTF-8"),
        "{answer}"
    );
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain("id,name".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let answer = parse_bytes(&utf16, Format::Csv).unwrap_err().to_string();
    assert!(answer.contains("found UTF-16 text"), "{answer}");
}

#[test]
fn several_files_are_one_register() {
    let state = File {
        name: "state.csv",
        bytes: b"id,name,tier,branch,parent\nhub,Hub,district,state,\n",
        format: Format::Csv,
    };
    let party = File {
        name: "party.yaml",
        bytes: b"sites:\n- {id: a, name: A, tier: commune, branch: party, parent: hub}\n- {id: hub, name: B, tier: commune, branch: party}\n",
        format: Format::Yaml,
    };
    let answer = read(&[state, party], &Plan::default(), &Register::default()).unwrap_err().to_string();
    assert_eq!(
        answer,
        "party.yaml:3:8: id: found “hub” again, first in state.csv:2, expected each id once; remove one of them, or give one another id\n1 mistake"
    );
}

#[test]
fn parents_may_already_be_registered_and_circles_through_them_are_seen() {
    let present = Register::new(
        csv("id,name,tier,branch,parent\nhub,Hub,district,state,\nmid,M,district,state,hub\n").unwrap(),
    )
    .unwrap();
    let add = |text: &'static str| {
        read(&[File { name: "f", bytes: text.as_bytes(), format: Format::Csv }], &Plan::default(), &present)
    };
    assert!(add("id,name,tier,branch,parent\na,A,commune,state,mid\n").is_ok());
    let answer = add("id,name,tier,branch,parent\nhub,Hub,district,state,mid\n").unwrap_err().to_string();
    assert!(answer.contains("circle: hub → mid → hub"), "{answer}");
}

#[test]
fn a_deep_chain_of_parents_is_no_trouble() {
    let rows = (1..20_000).map(|n| format!("s{n},S,commune,state,s{}\n", n - 1));
    let text: String =
        std::iter::once("id,name,tier,branch,parent\ns0,S,commune,state,\n".to_owned()).chain(rows).collect();
    assert_eq!(csv(&text).unwrap().len(), 20_000);
    let closed = text.replace("s0,S,commune,state,\n", "s0,S,commune,state,s19999\n");
    assert_eq!(csv(&closed).unwrap_err().len(), 1);
}

#[test]
fn days_are_the_provinces() {
    let site = csv("id,name,tier,branch,valid_from,valid_to\na,A,commune,state,2020-01-01,2021-01-01\n")
        .unwrap()
        .remove(0);
    let zone = jiff::tz::TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
    let at = |text: &str| UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    assert!(!site.registered_at(at("2019-12-31T16:59:59.999Z"), &zone));
    assert!(site.registered_at(at("2019-12-31T17:00:00Z"), &zone));
    assert!(site.registered_at(at("2020-12-31T16:59:59.999Z"), &zone));
    assert!(!site.registered_at(at("2020-12-31T17:00:00Z"), &zone));
}

#[test]
fn an_import_changes_what_differs_and_closes_only_when_told() {
    let present = Register::new(csv("id,name,tier,branch,valid_from\na,A,commune,state,\nb,B,commune,state,\nc,C,commune,state,2030-01-01\n").unwrap()).unwrap();
    let incoming = csv("id,name,tier,branch\na,A2,commune,state\nd,D,commune,state\n").unwrap();
    let (kept, register) = changes(&present, incoming.clone(), Absent::Keep).unwrap();
    assert!(matches!(&kept[..], [Change::Changed { .. }, Change::Added(_)]), "{kept:?}");
    assert_eq!(register.len(), 4);

    let day = "2026-11-23".parse().unwrap();
    let (replaced, register) = changes(&present, incoming.clone(), Absent::CloseOn(day)).unwrap();
    let [Change::Changed { .. }, Change::Closed { after, .. }, Change::Dropped(never), Change::Added(_)] =
        &replaced[..]
    else {
        panic!("{replaced:?}")
    };
    assert_eq!((after.valid_to, never.id.as_str()), (Some(day), "c"));
    assert_eq!(register.len(), 3);
    let (again, _) = changes(&register, incoming, Absent::CloseOn(day)).unwrap();
    assert_eq!(again, [], "a second import of the same changes nothing");
}

/// Figures on paper: `cargo test --release -p wan-collector --test inventory -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: run it in the release profile"]
fn measure_reading_10_000_sites() {
    #[allow(clippy::disallowed_methods)]
    let measure = |what: &str, work: &dyn Fn()| {
        let start = std::time::Instant::now();
        work();
        println!("{what}: {:?}", start.elapsed());
    };
    let template = csv(PROVINCE).unwrap();
    let mut sites: Vec<Site> = template.iter().cycle().take(10_000).cloned().collect();
    for (index, site) in sites.iter_mut().enumerate() {
        site.id = format!("site-{index}").parse().unwrap();
        site.parent = (index > 0).then(|| format!("site-{}", index / 20).parse().unwrap());
    }
    let all: Vec<&Site> = sites.iter().collect();
    for format in [Format::Csv, Format::Yaml] {
        let written = write(&all, format);
        let bad = written.replace("commune", "comune");
        measure(&format!("{format:?}, {} bytes, good", written.len()), &|| {
            drop(parse(&written, format).unwrap())
        });
        measure(&format!("{format:?}, mistakes"), &|| {
            let mistakes = parse(&bad, format).unwrap_err();
            let located = mistakes.iter().filter(|mistake| mistake.line > 0).count();
            println!("{} mistakes, {located} with their line", mistakes.len());
        });
    }
}

fn text() -> impl Strategy<Value = String> {
    // What spreadsheets and YAML find special, and Vietnamese.
    "[a-zĐđấầộưỹ0-9'\",;:#=@&*!%{}\\[\\]<>~\\-. ]{0,24}".prop_map(|text| text.trim().to_owned())
}

fn optional_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text()).prop_map(|text| text.filter(|text| !text.is_empty()))
}

fn link() -> impl Strategy<Value = Link> {
    let name =
        prop::sample::select(vec!["lan", "wan", "wan-vnpt", "wan-viettel", "internet", "service-mail"]);
    let router = prop::option::of(any::<std::net::IpAddr>().prop_filter("of one host", |address| {
        let address = address.to_canonical();
        let broadcast = std::net::IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
        !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || address == broadcast)
    }));
    let interface = prop::option::of("[a-z0-9@-][a-z0-9.@-]{0,14}")
        .prop_map(|name| name.map(|name| name.parse().unwrap()));
    let uptime = prop::option::of(0.0..=1.0f64);
    let days = (prop::option::of(day()), prop::option::of(day()))
        .prop_filter("in order", |(from, to)| from.zip(*to).is_none_or(|(from, to)| from < to));
    (name, optional_text(), optional_text(), uptime, interface, router, days).prop_map(
        |(name, carrier, contract, uptime, interface, router, (valid_from, valid_to))| Link {
            name: name.parse().unwrap(),
            carrier,
            contract,
            uptime,
            interface,
            router,
            valid_from,
            valid_to,
        },
    )
}

fn day() -> impl Strategy<Value = jiff::civil::Date> {
    (1990i16..2100, 1i8..=12, 1i8..=28).prop_map(|(year, month, day)| jiff::civil::date(year, month, day))
}

fn site() -> impl Strategy<Value = Site> {
    let names = (text().prop_filter("a name", |name| !name.is_empty()), optional_text(), optional_text());
    let days = (prop::option::of(day()), prop::option::of(day()))
        .prop_filter("in order", |(from, to)| from.zip(*to).is_none_or(|(from, to)| from < to));
    let place = prop::option::of((-90.0..=90.0f64, -180.0..=180.0f64));
    let contacts = prop::collection::vec(text().prop_filter("a contact", |text| !text.is_empty()), 0..3);
    let links = prop::collection::btree_map(0u8..4, link(), 0..4);
    let former = prop::collection::btree_map(day(), (former(), 0usize..6), 0..4);
    (names, days, place, contacts, links, former, 0usize..6, 0usize..3).prop_map(
        |((name, district, note), (valid_from, valid_to), place, contacts, links, eras, kind, watches)| {
            let overlaps =
                |from: Option<Date>, to: Option<Date>| from.zip(to).is_none_or(|(from, to)| from < to);
            let mut links: Vec<Link> = links.into_values().collect();
            links.retain(|link| overlaps(valid_from, link.valid_to) && overlaps(link.valid_from, valid_to));
            let inside = |until: &Date| {
                valid_from.is_none_or(|from| from < *until) && overlaps(Some(*until), valid_to)
            };
            let of =
                |kind: usize| (["province", "district", "commune"][kind % 3], ["party", "state"][kind % 2]);
            let former = eras.into_iter().filter(|(until, _)| inside(until)).map(
                |(until, ((name, district), kind))| {
                    let (tier, branch) = (of(kind).0.parse().unwrap(), of(kind).1.parse().unwrap());
                    let parent = (kind == 1).then(|| "site-0".parse().unwrap());
                    Former { until, name, tier, branch, parent, district }
                },
            );
            links.sort_by(|a, b| a.name.cmp(&b.name));
            links.dedup_by(|a, b| a.name == b.name);
            Site {
                id: "placeholder".parse().unwrap(),
                name,
                tier: ["province", "district", "commune"][kind % 3].parse().unwrap(),
                branch: ["party", "state"][kind % 2].parse().unwrap(),
                parent: None,
                district,
                valid_from,
                valid_to,
                former: former.collect(),
                merged_into: None,
                location: place.map(|(latitude, longitude)| Location { latitude, longitude }),
                contacts,
                watches: match watches {
                    0 => Watches::None,
                    1 => Watches::All,
                    _ => Watches::Only(["site-0".parse().unwrap()].into()),
                },
                links,
                note,
            }
        },
    )
}

fn former() -> impl Strategy<Value = (String, Option<String>)> {
    (text().prop_filter("a name", |name| !name.is_empty()), optional_text())
}

fn register() -> impl Strategy<Value = Vec<Site>> {
    prop::collection::vec(site(), 1..6).prop_map(|mut sites| {
        for (index, site) in sites.iter_mut().enumerate() {
            site.id = format!("site-{index}").parse().unwrap();
            site.parent = (index % 3 == 2).then(|| format!("site-{}", index / 2).parse().unwrap());
            if index == 0 {
                site.former.iter_mut().for_each(|former| former.parent = None);
            }
            // What changed nothing is no era, and is not written.
            let mut later = site.latest().until(Date::MAX);
            let mut kept = Vec::new();
            for former in std::mem::take(&mut site.former).into_iter().rev() {
                if former.registered() != later.registered() {
                    kept.push(former.clone());
                }
                later = former;
            }
            site.former = kept.into_iter().rev().collect();
            site.merged_into =
                site.valid_to.filter(|_| index > 0).map(|_| format!("site-{}", index - 1).parse().unwrap());
        }
        sites
    })
}

proptest! {
    #[test]
    fn what_is_written_as_csv_reads_back(sites in register()) {
        let written = write(&sites.iter().collect::<Vec<_>>(), Format::Csv);
        let found = csv(&written).unwrap_or_else(|wrong| panic!("{wrong}\n{written}"));
        prop_assert_eq!(found, sites);
    }

    #[test]
    fn what_is_written_as_yaml_reads_back(sites in register()) {
        let written = write(&sites.iter().collect::<Vec<_>>(), Format::Yaml);
        let found = yaml(&written).unwrap_or_else(|wrong| panic!("{wrong}\n{written}"));
        prop_assert_eq!(found, sites);
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_bytes(&bytes, Format::Csv);
        let _ = parse_bytes(&bytes, Format::Yaml);
    }

    #[test]
    fn a_damaged_sample_is_read_or_answered(at in 0usize..2000, bytes in prop::collection::vec(any::<u8>(), 1..4)) {
        for (sample, format) in [(PROVINCE, Format::Csv), (SMALL, Format::Yaml)] {
            let mut damaged = sample.as_bytes()[..sample.len().min(2500)].to_vec();
            let at = at.min(damaged.len());
            damaged.splice(at..(at + bytes.len()).min(damaged.len()), bytes.iter().copied());
            if let Err(answer) = parse_bytes(&damaged, format) {
                prop_assert!(answer.to_string().starts_with("f:"));
            }
        }
    }
}
