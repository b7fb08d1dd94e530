//! The configuration file: the shipped sample, and one bad file for each rule.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use wan_collector::config::{Config, Targets, Tls};

const SAMPLE: &str = include_str!("../../deploy/examples/collector.yaml");
/// What the Debian package installs as the configuration.
const PACKAGED: &str = include_str!("../../deploy/debian/collector.yaml");

#[test]
fn the_shipped_sample_is_the_defaults_and_the_provinces_targets() {
    let mut expected = Config::default();
    for tier in &mut expected.plan.tiers {
        tier.target = Targets::always(if tier.id.as_str() == "commune" { 0.5 } else { 0.7 });
    }
    assert_eq!(Config::parse("collector.yaml", SAMPLE.as_bytes()).unwrap(), expected);
}

#[test]
fn the_packaged_file_says_what_the_sample_says() {
    let parse = |text: &str| Config::parse("collector.yaml", text.as_bytes()).unwrap();
    assert_eq!(parse(PACKAGED), parse(SAMPLE));
}

#[test]
fn the_shipped_sample_shows_every_key() {
    // A key that is misspelt is answered with all that could stand there: each of them has to be in the sample.
    let probes = [
        "x: 1",
        "ingest: {x: 1}",
        "journal: {x: 1}",
        "tls: {x: 1}",
        "urls: [{x: 1}]",
        "access: {x: 1}",
        "plan: {x: 1}",
        "plan: {tiers: [{x: 1}]}",
        "calendar: {x: 1}",
        "calendar: {holidays: [{x: 1}]}",
        "contracts: [{x: 1}]",
        "forward: [{x: 1}]",
        "alerts: {x: 1}",
        "alerts: {channels: [{x: 1}]}",
        "alerts: {channels: [{smtp: {x: 1}}]}",
        "alerts: {channels: [{alertmanager: {x: 1}}]}",
        "alerts: {channels: [{webhook: {x: 1}}]}",
        "alerts: {channels: [{webhook: {expect: {x: 1}}}]}",
        "alerts: {channels: [{command: {x: 1}}]}",
        "alerts: {routes: [{x: 1}]}",
        "alerts: {rules: {x: 1}}",
        "alerts: {rules: {link_down: {x: 1}}}",
        "alerts: {flapping: {x: 1}}",
        "alerts: {many: {x: 1}}",
        "alerts: {heartbeat: {x: 1}}",
    ];
    for probe in probes {
        let answer = Config::parse("c", probe.as_bytes()).unwrap_err();
        let unknown = answer.iter().find(|mistake| mistake.found == "an unknown key").unwrap();
        for key in unknown.expected.trim_start_matches("one of ").split(", ") {
            let shown = SAMPLE.contains(&format!("{key}:"));
            // Where one of two keys stands in an example, the other is beside it.
            assert!(shown || SAMPLE.contains(&format!("or {key}")), "{key} is not in the sample");
        }
    }
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "# nothing\n", "{}", "---\n"] {
        assert_eq!(Config::parse("c", text.as_bytes()).unwrap(), Config::default(), "{text:?}");
    }
}

#[test]
fn a_relative_data_folder_starts_at_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    std::fs::write(&path, "data: here").unwrap();
    assert_eq!(Config::load(&path).unwrap().data, folder.path().join("here"));
}

#[test]
fn the_files_of_a_certificate_start_at_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    std::fs::write(&path, "tls: {certificate: chain.pem, key: /etc/key.pem}").unwrap();
    let certificate = folder.path().join("chain.pem");
    assert_eq!(Config::load(&path).unwrap().tls, Tls::Files { certificate, key: "/etc/key.pem".into() });
}

#[test]
fn addresses_and_urls_are_lists() {
    let text = "listen: [127.0.0.1:8080, '[::]:8443']\ntls: off\n\
                urls:\n  - url: https://10.0.0.1:8443/\n  - {url: 'https://wan.example.vn/p', path: internet-ftth}\n";
    let config = Config::parse("c", text.as_bytes()).unwrap();
    let expected: [std::net::SocketAddr; 2] =
        ["127.0.0.1:8080".parse().unwrap(), "[::]:8443".parse().unwrap()];
    assert_eq!((config.listen.as_slice(), config.tls), (&expected[..], Tls::Off));
    let urls: Vec<_> = config.urls.iter().map(|url| (url.url.as_str(), url.path.as_str())).collect();
    assert_eq!(urls, [("https://10.0.0.1:8443", "wan"), ("https://wan.example.vn/p", "internet-ftth")]);
    assert_eq!(Config::parse("c", b"tls: auto\nurls: []\n").unwrap(), Config::default());
}

#[test]
fn a_missing_file_is_named() {
    let answer = Config::load("/nowhere/collector.yaml".as_ref()).unwrap_err().to_string();
    assert!(answer.starts_with("/nowhere/collector.yaml: found no readable file (No such file"), "{answer}");
}

#[test]
fn each_bad_file_is_answered_with_line_key_and_remedy() {
    let cases = [
        (
            "listn: 1",
            "c:1:1: listn: found an unknown key, expected one of listen, tls, urls, data, timezone, plan, ingest, journal, checkpoint_interval, agents, access, calendar, contracts, alerts, forward, senders; did you mean listen?",
        ),
        (
            "listen: localhost",
            "c:1:9: listen: found “localhost”, expected an IP address and port such as 127.0.0.1:8080; write [::]:8443 or 0.0.0.0:8443 to listen on every address",
        ),
        (
            "listen: 1.2.3.4:8080\nlisten: 1.2.3.4:8081",
            "c:2:1: listen: found the key twice, expected it once; remove one of them",
        ),
        (
            "listen: []",
            "c:1:9: listen: found a list of 0, expected at least one; remove the key to have the default",
        ),
        (
            "listen: [127.0.0.1:8080, here]",
            "c:1:26: listen[1]: found “here”, expected an IP address and port such as 127.0.0.1:8080; write [::]:8443 or 0.0.0.0:8443 to listen on every address",
        ),
        (
            "listen: [127.0.0.1:8080, 127.0.0.1:8080]",
            "c:1:26: listen[1]: found “127.0.0.1:8080”, expected every address once; remove the repeated one",
        ),
        (
            "tls: on",
            "c:1:6: tls: found “on”, expected auto, off, or a mapping of certificate and key; write {certificate: FILE, key: FILE} to use a certificate that you have",
        ),
        (
            "tls: {certificate: a.pem}",
            "c:1:6: tls.key: found nothing, expected the PEM file of the certificate's private key; add “key: …”",
        ),
        (
            "tls: {certificate: '', key: k}",
            "c:1:20: tls.certificate: found an empty text, expected the PEM file of the certificate and its chain",
        ),
        (
            "urls: https://a",
            "c:1:7: urls: found “https://a”, expected a list of “url: …”; begin each item with a dash",
        ),
        (
            "urls: [{path: wan}]",
            "c:1:8: urls[0].url: found nothing, expected https://HOST:PORT, or http:// for a collector without TLS, without user, query or fragment; add “url: …”",
        ),
        (
            "urls: [{url: a.example}]",
            "c:1:14: urls[0].url: found “a.example”, expected https://HOST:PORT, or http:// for a collector without TLS, without user, query or fragment; write it as in “https://10.0.0.1:8443”",
        ),
        (
            "urls: [{url: 'https://u:p@a'}]",
            "c:1:14: urls[0].url: found a URL with a user, expected https://HOST:PORT, or http:// for a collector without TLS, without user, query or fragment; remove what stands before the “@”",
        ),
        (
            "urls: [{url: https://a, path: Vnpt}]",
            "c:1:31: urls[0].path: found “Vnpt”, expected lan, wan, internet or service, alone or with a suffix as in “wan-vnpt”; use small letters, digits and hyphens",
        ),
        (
            "urls: [{url: https://a}, {url: https://a/}]",
            "c:1:26: urls[1]: found the URL “https://a” twice, expected every URL once; remove the repeated one",
        ),
        ("data: 7", "c:1:7: data: found 7, expected a folder such as /var/lib/wanwatch; put it in quotes"),
        ("data: ''", "c:1:7: data: found an empty text, expected a folder such as /var/lib/wanwatch"),
        (
            "timezone: Asia/Saigonn",
            "c:1:11: timezone: found “Asia/Saigonn”, expected an IANA time zone such as Asia/Ho_Chi_Minh; see the list of tz database zones",
        ),
        (
            "checkpoint_interval: 10",
            "c:1:22: checkpoint_interval: found 10, expected a duration from 1s to 1h; give it a unit, as in 10s or 10m",
        ),
        (
            "checkpoint_interval: 2h",
            "c:1:22: checkpoint_interval: found “2h”, expected a duration from 1s to 1h; keep it within these limits",
        ),
        (
            "ingest: 5",
            "c:1:9: ingest: found 5, expected a mapping with keys among max_age, max_future, silence_limit, confirm, compressed_limit, decompressed_limit, backlog; write it as “key: value” lines",
        ),
        (
            "ingest:\n  max_age: 1s",
            "c:2:12: ingest.max_age: found “1s”, expected a duration from 1m to 3660d; keep it within these limits",
        ),
        (
            "ingest: {backlog: 0}",
            "c:1:19: ingest.backlog: found 0, expected a whole number from 1 to 1000000; write a number within these limits",
        ),
        (
            "ingest: {compressed_limit: 1KiB}",
            "c:1:28: ingest.compressed_limit: found “1KiB”, expected a size from 64KiB to 1GiB; keep it within these limits",
        ),
        (
            "ingest: {decompressed_limit: 1MiB}",
            "c:1:30: ingest.decompressed_limit: found “1MiB”, expected a decompressed_limit not below compressed_limit; raise decompressed_limit",
        ),
        (
            "journal: {segment: 1GiB, limit: 1GiB}",
            "c:1:33: journal.limit: found “1GiB”, expected a limit of at least two segments; raise journal.limit or lower journal.segment",
        ),
        (
            "ingest: {max_age: a month}",
            "c:1:19: ingest.max_age: found “a month”, expected a duration from 1m to 3660d; write it as in 500ms, 15s, 5m, 2h or 35d",
        ),
        (
            "journal: {limit: plenty}",
            "c:1:18: journal.limit: found “plenty”, expected a size from 16MiB to 16TiB; write it as in 512KiB, 4MiB or 8GiB",
        ),
        (
            "plan:\n  rtt_limit: 200ms",
            "c:2:14: plan.rtt_limit: found “200ms”, expected a mapping of a kind of link and a duration each; write it as “key: value” lines",
        ),
        (
            "plan: {c1: 2}",
            "c:1:12: plan.c1: found 2, expected a share from 0 to 1, or a percentage such as 70%; 0.20 is ITU-T Y.1540's value",
        ),
        (
            "plan: {required: []}",
            "c:1:18: plan.required: found a list of 0, expected at least one kind of link; write [lan, wan, internet]",
        ),
        (
            "plan: {required: [lan, vpn]}",
            "c:1:24: plan.required[1]: found “vpn”, expected one of lan, wan, internet, service",
        ),
        (
            "plan: {rtt_limit: {vpn: 1s}}",
            "c:1:25: plan.rtt_limit.vpn: found the kind “vpn”, expected one of lan, wan, internet, service",
        ),
        (
            "plan: {tiers: []}",
            "c:1:15: plan.tiers: found a list of 0, expected at least one; remove the key to have the default",
        ),
        (
            "plan:\n  tiers:\n    - {name: Xã}",
            "c:3:7: plan.tiers[0].id: found nothing, expected the tier's id; add “id: …”",
        ),
        (
            "plan: {tiers: [{id: Xã, name: Xã}]}",
            "c:1:21: plan.tiers[0].id: found “Xã”, expected 1 to 32 lower-case letters, digits, “-” or “_”; write for example “commune”",
        ),
        (
            "plan: {tiers: [{id: a, name: A}, {id: a, name: B}]}",
            "c:1:34: plan.tiers[1]: found the tier “a” twice, expected each id once; rename or remove one of them",
        ),
        (
            "plan: {tiers: [{id: a, name: {en: A}}]}",
            "c:1:30: plan.tiers[0].name.vi: found nothing, expected the Vietnamese name; add “vi: …”",
        ),
        (
            "plan: {branches: [{id: a, name: A, target: 1}]}",
            "c:1:36: plan.branches[0].target: found an unknown key, expected one of id, name; remove it",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: 70}]}",
            "c:1:41: plan.tiers[0].target: found 70, expected a share from 0 to 1, or a percentage such as 70%; write 70% or 0.7",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: []}]}",
            "c:1:41: plan.tiers[0].target: found a list of 0, expected at least one; remove the key to have the default",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: [{target: 70%}]}]}",
            "c:1:42: plan.tiers[0].target[0].from: found nothing, expected the first day of the target; add “from: …”",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: [{from: 2026-02-30, target: 70%}]}]}",
            "c:1:49: plan.tiers[0].target[0].from: found “2026-02-30”, expected a day that exists, as 2026-01-01 or 1/1/2026; write year-month-day, or day/month/year",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: [{from: 2026-01-01, target: 7}]}]}",
            "c:1:69: plan.tiers[0].target[0].target: found 7, expected a share from 0 to 1, or a percentage such as 70%; write 70% or 0.7",
        ),
        (
            "plan: {tiers: [{id: a, name: A, target: [{from: 2026-01-01, target: 7%}, {from: 1/1/2026, target: 8%}]}]}",
            "c:1:74: plan.tiers[0].target[1]: found 2026-01-01 again, expected one target for each day; remove one of them",
        ),
    ];
    for (text, expected) in cases {
        let answer = Config::parse("c", text.as_bytes()).expect_err(text);
        assert_eq!(answer.to_string(), format!("{expected}\n1 mistake"), "{text}");
    }
}

#[test]
fn a_target_holds_from_its_day_to_the_next_ones() {
    let text = "plan: {tiers: [{id: a, name: A, target: [{from: 2026-01-01, target: 100%}, {from: 1/7/2018, target: 0.5}]}, {id: b, name: B, target: 70%}, {id: c, name: C}]}";
    let plan = Config::parse("c", text.as_bytes()).unwrap().plan;
    let on = |tier: usize, day: &str| plan.tiers[tier].target.on(day.parse().unwrap());
    assert_eq!(on(0, "2018-06-30"), None);
    assert_eq!((on(0, "2018-07-01"), on(0, "2025-12-31")), (Some(0.5), Some(0.5)));
    assert_eq!(on(0, "2026-01-01"), Some(1.0));
    assert_eq!((on(1, "0001-01-01"), on(2, "2026-01-01")), (Some(0.7), None));
    assert_eq!(plan.tiers[1].target, Targets::always(0.7));
}

#[test]
fn each_mistake_in_the_calendar_is_answered_with_line_key_and_remedy() {
    let expected_range = "expected hours of one day, such as 07:30-11:30; times of day are 00:00 to 23:59, and 24:00 as an end";
    let cases = [
        (
            "calendar: {service_hours: {}}",
            "c:1:27: calendar.service_hours: found a mapping of 0 keys, expected the hours of at least one weekday; remove the key to have office hours from Monday to Friday".to_owned(),
        ),
        (
            "calendar:\n  service_hours:\n    tu: ['07:30-11:30']",
            "c:3:5: calendar.service_hours.tu: found “tu”, expected a weekday from mon to sun, or a range such as mon-fri; did you mean thu?".to_owned(),
        ),
        (
            "calendar: {service_hours: {thứ-hai: ['07:30-11:30']}}",
            "c:1:28: calendar.service_hours.thứ-hai: found “thứ-hai”, expected a weekday from mon to sun, or a range such as mon-fri; did you mean thu?".to_owned(),
        ),
        (
            "calendar: {service_hours: {sat-tue: ['07:30-11:30']}}",
            "c:1:28: calendar.service_hours.sat-tue: found “sat-tue”, expected a weekday from mon to sun, or a range such as mon-fri; a week begins on Monday: write sat-sun and mon-tue as two keys".to_owned(),
        ),
        (
            "calendar:\n  service_hours:\n    mon-wed: ['07:30-11:30']\n    tue: ['07:30-11:30']",
            "c:4:5: calendar.service_hours.tue: found the day tue twice, expected each weekday once; give all its hours in one list".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: ['07:30']}}",
            "c:1:34: calendar.service_hours.mon[0]: found “07:30”, expected hours of one day, such as 07:30-11:30; write a start and an end with a hyphen between".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: ['07:30-24:30']}}",
            format!("c:1:34: calendar.service_hours.mon[0]: found “07:30-24:30”, {expected_range}"),
        ),
        (
            "calendar: {service_hours: {mon: ['24:00-06:00']}}",
            "c:1:34: calendar.service_hours.mon[0]: found “24:00-06:00”, expected an end after the start; 24:00 is the end of a day, and begins nothing: write 00:00 on the next weekday".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: ['17:00-07:30']}}",
            "c:1:34: calendar.service_hours.mon[0]: found “17:00-07:30”, expected an end after the start; exchange the two; hours over midnight are written on two weekdays, each up to or from midnight".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: ['08:00-08:00']}}",
            "c:1:34: calendar.service_hours.mon[0]: found “08:00-08:00”, expected an end after the start; for the whole day write 00:00-24:00".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: ['07:30-11:30', '11:00-12:00']}}",
            "c:1:49: calendar.service_hours.mon[1]: found “11:00-12:00”, expected hours that no other range of the day has; join the two to one range".to_owned(),
        ),
        (
            "calendar: {service_hours: {mon: 7}}",
            "c:1:33: calendar.service_hours.mon: found 7, expected a list of hours such as \"07:30-11:30\"; begin each item with a dash".to_owned(),
        ),
        (
            "calendar: {holidays: [{days: 2027-02-30, name: Tết}]}",
            "c:1:30: calendar.holidays[0].days: found “2027-02-30”, expected a day that exists, of the years 1970 to 2199, such as 2027-02-05; write year-month-day; a holiday of several days is FIRST..LAST".to_owned(),
        ),
        (
            "calendar: {holidays: [{days: 2027-02-11..2027-02-05, name: Tết}]}",
            "c:1:30: calendar.holidays[0].days: found “2027-02-11..2027-02-05”, expected a last day that is not before the first; exchange the two".to_owned(),
        ),
        (
            "calendar: {holidays: [{days: 2027-02-05..2028-02-11, name: Tết}]}",
            "c:1:30: calendar.holidays[0].days: found 372 days, expected at most 60; is one of the years mistyped?".to_owned(),
        ),
        (
            "calendar: {holidays: [{days: 2027-02-05}]}",
            "c:1:23: calendar.holidays[0].name: found nothing, expected what is celebrated; add “name: …”".to_owned(),
        ),
        (
            "calendar: {holidays: [{days: 2027-02-05..2027-02-11, name: Tết}, {days: 2027-02-11, name: Hội}]}",
            "c:1:66: calendar.holidays[1]: found a day that also belongs to Tết, expected each day in one holiday; shorten one of the two".to_owned(),
        ),
        (
            "calendar: {working_days: {2027-02-20: Monday}}",
            "c:1:39: calendar.working_days.2027-02-20: found “Monday”, expected a weekday: mon, tue, wed, thu, fri, sat or sun; name the weekday whose hours are worked on this day".to_owned(),
        ),
        (
            "calendar: {working_days: {2027-2-20: mon}}",
            "c:1:27: calendar.working_days.2027-2-20: found “2027-2-20”, expected a day that exists, of the years 1970 to 2199, such as 2027-02-05; write year-month-day".to_owned(),
        ),
        (
            "calendar:\n  holidays: [{days: 2027-02-05..2027-02-11, name: Tết}]\n  working_days: {2027-02-06: mon}",
            "c:3:18: calendar.working_days.2027-02-06: found 2027-02-06, a day of Tết, expected a day that is no holiday; shorten the holiday, or remove this day".to_owned(),
        ),
    ];
    for (text, expected) in cases {
        let answer = Config::parse("c", text.as_bytes()).expect_err(text);
        assert_eq!(answer.to_string(), format!("{expected}\n1 mistake"), "{text}");
    }
}

#[test]
fn hours_holidays_and_days_worked_in_exchange_are_read() {
    let text = "calendar:\n  service_hours:\n    mon-tue: ['13:00-24:00', '07:00-11:00']\n    sun: []\n  \
                holidays:\n    - {days: 2027-02-05..2027-02-11, name: Tết Nguyên đán}\n    - {days: 2027-09-02, name: Quốc khánh}\n  \
                working_days: {2027-02-20: tue}\n";
    let calendar = Config::parse("c", text.as_bytes()).unwrap().calendar;
    let shown = |day: &str| {
        let hours = calendar.hours(day.parse().unwrap()).iter();
        hours.map(|hours| format!("{}-{}", hours.from(), hours.to())).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("2027-02-01"), "07:00-11:00 13:00-24:00", "a Monday");
    assert_eq!(
        (shown("2027-02-03"), shown("2027-02-07")),
        (String::new(), String::new()),
        "not named; empty"
    );
    assert_eq!((shown("2027-02-08").as_str(), shown("2027-02-20").as_str()), ("", "07:00-11:00 13:00-24:00"));
    let holiday = calendar.holiday("2027-02-11".parse().unwrap()).map(|holiday| holiday.name.as_str());
    assert_eq!(holiday, Some("Tết Nguyên đán"));
    assert_eq!(Config::parse("c", b"calendar: {}\n").unwrap(), Config::default());
}

#[test]
fn a_file_that_is_not_yaml_is_answered_with_the_line() {
    for text in
        ["listen: [1\ndata: 2", "listen: 'x\n", "a:\n\t- b", "- listen", "listen: !env X", "a: 1\n---\nb: 2"]
    {
        let answer = Config::parse("c", text.as_bytes()).expect_err(text).to_string();
        assert!(answer.starts_with("c:"), "{text:?}: {answer}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_listed_at_once_in_its_order() {
    let text =
        "listen: here\nplan:\n  c1: 7\n  tiers:\n    - {id: a}\ningest:\n  backlog: many\n  max_age: 1\n";
    let answer = Config::parse("c", text.as_bytes()).unwrap_err();
    let lines: Vec<usize> = answer.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 3, 5, 7, 8]);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Config::parse("c", &bytes);
    }

    #[test]
    fn a_sample_with_a_broken_line_is_read_or_answered(line in 0usize..80, text in "[ -~]{0,20}") {
        let broken: Vec<&str> =
            SAMPLE.lines().enumerate().map(|(at, old)| if at == line { text.as_str() } else { old }).collect();
        if let Err(answer) = Config::parse("c", broken.join("\n").as_bytes()) {
            prop_assert!(!answer.is_empty());
        }
    }
}

#[test]
fn contracts_are_read_and_each_mistake_in_them_is_told() {
    let good = "contracts: [{id: HD-01, kind: wan, uptime: 99.5%, hours: service, carrier: VNPT}]";
    let config = Config::parse("c", good.as_bytes()).unwrap();
    assert_eq!(config.contracts[0].uptime, Some(0.995));
    assert_eq!(config.contracts[0].name.en, "HD-01");
    assert_eq!((config.contracts[0].rtt_limit, config.contracts[0].loss_limit), (None, None));
    let limits = "contracts: [{id: a, kind: wan, rtt_limit: 40ms, loss_limit: 0.5%}, {id: b, kind: wan, loss_limit: 0}]";
    let contracts = Config::parse("c", limits.as_bytes()).unwrap().contracts;
    assert_eq!(contracts[0].rtt_limit, Some(std::time::Duration::from_millis(40)));
    assert_eq!((contracts[0].loss_limit, contracts[1].loss_limit), (Some(0.005), Some(0.0)));
    let bad = [
        ("contracts: [{kind: wan}]", "the contract's number"),
        ("contracts: [{id: a}]", "wan or internet"),
        ("contracts: [{id: a, kind: lan}]", "wan or internet"),
        ("contracts: [{id: a, kind: wan, hours: night}]", "all or service"),
        ("contracts: [{id: a, kind: wan, rtt_limit: 40}]", "a duration from 1ms to 1m"),
        ("contracts: [{id: a, kind: wan, rtt_limit: 0ms}]", "a duration from 1ms to 1m"),
        ("contracts: [{id: a, kind: wan, rtt_limit: 2h}]", "a duration from 1ms to 1m"),
        ("contracts: [{id: a, kind: wan, loss_limit: 5}]", "a share"),
        ("contracts: [{id: a, kind: wan, loss_limit: -1%}]", "a share"),
        ("contracts: [{id: a, kind: wan}, {id: a, kind: internet}]", "each id once"),
    ];
    for (text, expected) in bad {
        let mistakes = Config::parse("c", text.as_bytes()).unwrap_err();
        assert!(mistakes.iter().any(|mistake| mistake.expected.contains(expected)), "{text}: {mistakes}");
    }
}
