//! The `alerts` key: worked examples, and one bad file for each rule.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use jiff::tz::TimeZone;
use wan_collector::alert::text::{Setting, load};
use wan_collector::alert::{Rule, Severity};
use wan_collector::config::Config;
use wan_collector::config::alerts::{Kind, RouteHours, SecretFrom, Security};
use wan_collector::inventory::Register;
use wan_collector::inventory::read::{File, Format, read};
use wan_collector::lang::Lang;

const EXAMPLES: [(&str, &str); 4] = [
    ("telegram.yaml", include_str!("../../deploy/examples/alerts/telegram.yaml")),
    ("slack.yaml", include_str!("../../deploy/examples/alerts/slack.yaml")),
    ("zalo.yaml", include_str!("../../deploy/examples/alerts/zalo.yaml")),
    ("sms-gateway.yaml", include_str!("../../deploy/examples/alerts/sms-gateway.yaml")),
];

#[test]
fn each_worked_example_is_without_mistakes_in_itself_and_in_its_templates() {
    for (file, text) in EXAMPLES {
        let config = Config::parse(file, text.as_bytes()).unwrap();
        assert!(!config.alerts.channels.is_empty(), "{file}");
        for channel in &config.alerts.channels {
            let zone = TimeZone::UTC;
            let setting = Setting { lang: channel.lang, zone: &zone, page: None };
            assert_eq!(load(channel, &setting).mistakes, [], "{file}");
        }
    }
}

/// The examples that the sample shows in comments.
#[test]
fn what_the_sample_shows_in_comments_is_without_mistakes() {
    let sample = include_str!("../../deploy/examples/collector.yaml");
    let mut text = "alerts:\n".to_owned();
    let (mut on, mut routes) = (false, String::new());
    for line in sample.lines().skip_while(|line| *line != "alerts:") {
        let Some(shown) = line.strip_prefix("  #   ") else { continue };
        if shown.starts_with("- name: mail") {
            text.push_str("  channels:\n");
            on = true;
        }
        match shown.starts_with("- {") {
            true => routes.push_str(&format!("    {shown}\n")),
            false if on && (shown.starts_with("- name") || shown.starts_with("  ")) => {
                text.push_str(&format!("    {shown}\n"));
            }
            false => {}
        }
    }
    let config = Config::parse("c", format!("{text}  routes:\n{routes}").as_bytes()).unwrap();
    assert_eq!(config.alerts.channels.len(), 4);
    assert_eq!(config.alerts.routes.len(), 4);
    assert!(config.alerts.routes[1].to.is_empty(), "to nobody");
}

#[test]
fn what_is_given_is_taken_and_the_rest_has_its_default() {
    let text = "urls: [{url: 'https://10.0.0.1:8443'}]\nalerts:\n  lang: en\n  expire: 12h\n  remind: never\n  channels:\n  \
                - {name: m, smtp: {host: h, security: tls, user: u, password_env: P, from: a@b.vn, to: [c@d.vn, c@d.vn]}}\n  \
                - {name: am, lang: vi, alertmanager: {urls: 'http://127.0.0.1:9093/'}}\n  \
                routes: [{rules: link_down, hours: outside, to: m, continue: true}]\n  \
                rules: {link_down: {hold: 5s}, clock_wrong: {enabled: false}}\n  heartbeat: {channel: am}\n";
    let config = Config::parse("c", text.as_bytes()).unwrap();
    assert_eq!(config.page(&config.alerts), Some("https://10.0.0.1:8443"));
    let alerts = &config.alerts;
    assert_eq!(
        (alerts.lang, alerts.expire, alerts.settings.remind),
        (Lang::En, Duration::from_secs(43_200), None)
    );
    assert_eq!((alerts.channels[0].lang, alerts.channels[1].lang), (Lang::En, Lang::Vi));
    let Kind::Smtp(smtp) = &alerts.channels[0].kind else { panic!() };
    assert_eq!((smtp.port, smtp.security), (465, Security::Tls));
    assert_eq!(smtp.login, Some(("u".into(), SecretFrom::Env("P".into()))));
    assert_eq!(smtp.to, ["c@d.vn"], "one who is listed twice is told once");
    let Kind::Alertmanager(manager) = &alerts.channels[1].kind else { panic!() };
    assert_eq!(
        (manager.urls[0].as_str(), manager.resend),
        ("http://127.0.0.1:9093", Duration::from_secs(60))
    );
    assert_eq!(alerts.routes[0].hours, RouteHours::Outside);
    assert!(alerts.routes[0].goes_on);
    let link_down = alerts.settings.of(Rule::LinkDown);
    assert_eq!((link_down.severity, link_down.hold), (Severity::Warning, Duration::from_secs(5)));
    assert!(!alerts.settings.of(Rule::ClockWrong).enabled && alerts.settings.of(Rule::SiteOffline).enabled);
}

#[test]
fn files_start_at_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.yaml");
    let text = "alerts: {channels: [{name: w, text: {file: t.txt}, webhook: {url_file: u, secret_file: /s, ca_file: c.pem, body_file: b}}]}";
    std::fs::write(&path, text).unwrap();
    let shown = format!("{:?}", Config::load(&path).unwrap().alerts.channels);
    for file in ["t.txt", "u", "c.pem", "b"] {
        assert!(shown.contains(&folder.path().join(file).display().to_string()), "{file}: {shown}");
    }
    assert!(shown.contains("File(\"/s\")"), "{shown}");
}

#[test]
fn ten_thousand_recipients_are_taken_and_a_secret_is_never_shown() {
    let to: Vec<String> = (0..10_000).map(|number| format!("n{number}@example.vn")).collect();
    let text = format!(
        "alerts: {{channels: [{{name: m, smtp: {{host: h, from: a@b.vn, to: [{}]}}}}]}}",
        to.join(", ")
    );
    let config = Config::parse("c", text.as_bytes()).unwrap();
    let Kind::Smtp(smtp) = &config.alerts.channels[0].kind else { panic!() };
    assert_eq!(smtp.to.len(), 10_000);
    let text = "alerts: {channels: [{name: w, webhook: {url: 'https://h/hunter2', headers: {A: hunter2}, body: hunter2}}], heartbeat: {url: 'https://h/hunter2'}}";
    assert!(!format!("{:?}", Config::parse("c", text.as_bytes()).unwrap()).contains("hunter2"));
    for bad in [
        "alerts: {channels: [{name: w, webhook: {url: 'ftp://h/hunter2'}}]}",
        "alerts: {channels: [{name: w, webhook: {url: 'https://u:hunter2@h/'}}]}",
        "alerts: {channels: [{name: w, alertmanager: {urls: ['https://u:hunter2@h/']}}]}",
    ] {
        let told = Config::parse("c", bad.as_bytes()).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn names_that_the_register_lacks_are_told_with_their_lines() {
    let text = "alerts:\n  channels: [{name: a, command: {run: [/bin/true]}}]\n  routes:\n    - districts:\n        - Gò Dầu\n        - Gò Dau\n      sites: [xa-x]\n      to: a\n";
    let config = Config::parse("c", text.as_bytes()).unwrap();
    let site = "id,name,tier,branch,district\nxa-a,A,commune,state,Gò Dầu\n";
    let file = File { name: "s.csv", bytes: site.as_bytes(), format: Format::Csv };
    let register = Register::new(read(&[file], &config.plan, &Register::default()).unwrap()).unwrap();
    let told: Vec<String> = config.alerts.unknown_places(&register).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "c:6:11: alerts.routes[0].districts[1]: found “Gò Dau”, expected a district of the register; did you mean Gò Dầu?",
            "c:7:15: alerts.routes[0].sites[0]: found “xa-x”, expected a site of the register; did you mean xa-a?",
        ]
    );
}

#[test]
fn a_password_that_cannot_be_read_is_told_once() {
    for (keys, expected) in [
        ("password_file: f, password_env: P", "found password_file as well"),
        ("password_env: 'a b'", "expected the name of a variable"),
        ("password_file: ''", "expected the file that holds it"),
    ] {
        let text = format!(
            "alerts: {{channels: [{{name: m, smtp: {{host: h, from: a@b.vn, to: [c@d.vn], user: u, {keys}}}}}]}}\n"
        );
        let told: Vec<String> =
            Config::parse("c", text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains(expected), "{keys}: {told:?}");
    }
}

#[test]
fn each_mistake_is_told_with_its_line_and_remedy() {
    let channel = "channels: [{name: a, command: {run: [/bin/true]}}], ";
    let cases = [
        (
            "channels: [{name: A b, command: {run: [/x]}}]",
            "1:28: alerts.channels[0].name: found “A b”, expected 1 to 32 lower-case letters",
        ),
        (
            "channels: [{name: a}]",
            "alerts.channels[0]: found none of them, expected one of alertmanager, smtp, webhook, command",
        ),
        ("channels: [{name: a, smtp: {}, webhook: {}}]", "found smtp and webhook, expected one of"),
        (
            "channels: [{name: a, command: {run: [/x]}}, {name: a, command: {run: [/y]}}]",
            "found the channel “a” twice",
        ),
        ("channels: [{name: a, command: {run: tell}}]", "expected a list of words"),
        (
            "channels: [{name: a, command: {run: [tell]}}]",
            "found no absolute path, expected a program by its absolute path",
        ),
        ("channels: [{name: a, command: {run: []}}]", "found no absolute path"),
        (
            "channels: [{name: a, webhook: {}}]",
            "alerts.channels[0].webhook.url: found nothing, expected an http",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://{{ site }}/'}}]",
            "found another address, expected an http",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', url_file: f}}]",
            "found url as well, expected one of url and url_file",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', method: post}}]",
            "found “post”, expected POST, PUT or GET",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', headers: {Host: x}}}]",
            "found “Host”, expected the name of an HTTP header",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', headers: {'a b': x}}}]",
            "found “a b”, expected the name of an HTTP header",
        ),
        ("channels: [{name: a, webhook: {url: 'https://h/', body: x, body_file: y}}]", "found body as well"),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {}}}]",
            "alerts.channels[0].webhook.expect: found a mapping of 0 keys, expected one of json and contains",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {json: /a, equals: 0, contains: x}}}]",
            "expected one of json and contains",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {json: error, equals: 0}}}]",
            "expect.json: found “error”, expected a JSON pointer (RFC 6901)",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {json: /a~2, equals: 0}}}]",
            "expected a JSON pointer (RFC 6901)",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {json: /error}}}]",
            "expect.equals: found nothing, expected the value that says that it was taken",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {json: /error, equals: {a: 1}}}}]",
            "expect.equals: found a mapping of 1 key",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {contains: '', refused: 1}}}]",
            "expect.refused: found refused without json",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', expect: {contains: ''}}}]",
            "expected a text that is not empty",
        ),
        (
            "channels: [{name: a, webhook: {url: 'https://h/', timeout: 10}}]",
            "expected a duration from 100ms to 5m",
        ),
        (
            "channels: [{name: a, smtp: {host: h, from: a@b.vn, to: []}}]",
            "found a list of 0, expected at least one",
        ),
        (
            "channels: [{name: a, smtp: {host: h, from: nobody, to: [a@b.vn]}}]",
            "found “nobody”, expected an e-mail address",
        ),
        (
            "channels: [{name: a, smtp: {host: h, from: a@b.vn, to: [\"a@b.vn\\r\\nBcc: c@d.vn\"]}}]",
            "expected an e-mail address",
        ),
        (
            "channels: [{name: a, smtp: {host: 'h:25', from: a@b.vn, to: [a@b.vn], user: u}}]",
            "found a user without a password, expected both or none",
        ),
        (
            "channels: [{name: a, smtp: {host: h, from: a@b.vn, to: [a@b.vn], password_env: P}}]",
            "found a password without a user",
        ),
        (
            "channels: [{name: a, smtp: {host: h, port: 0, from: a@b.vn, to: [a@b.vn]}}]",
            "expected a whole number from 1 to 65535",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: ['http://h'], user: u}}]",
            "found a user without a password, expected both or none",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: ['http://h'], user: u, password_env: P, token_env: T}}]",
            "token_env: found a user as well, expected one of the two ways to log in",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: ['http://h'], token_env: T, token_file: f}}]",
            "found token_file as well, expected one of token_file and token_env",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: ['http://h'], user: 'a:b', password_env: P}}]",
            "user: found “a:b”, expected a name without a colon",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: [h]}}]",
            "found “h”, expected an http:// or https:// address",
        ),
        (
            "channels: [{name: a, alertmanager: {urls: ['http://h'], resend: 10m}}]",
            "expected a duration from 1s to 4m",
        ),
        ("routes: [{to: nobody}]", "alerts.routes[0].to: found “nobody”, expected a channel"),
        ("{channel}routes: [{to: b}]", "found “b”, expected a channel: a; did you mean a?"),
        (
            "{channel}routes: [{to: a, tiers: [comune]}]",
            "found “comune”, expected a tier of the plan: province, district, commune; did you mean commune?",
        ),
        ("{channel}routes: [{to: a, branches: x}]", "expected a branch of the plan"),
        ("{channel}routes: [{to: a, rules: [link_dwn]}]", "did you mean link_down?"),
        ("{channel}routes: [{to: a, rules: []}]", "found a list of 0, expected at least one; remove the key"),
        (
            "{channel}routes: [{to: a, events: [end]}]",
            "expected an event: fired, flapping, reminder, resolved, corrected",
        ),
        ("{channel}routes: [{to: a, severity: bad}]", "expected info, warning or critical"),
        ("{channel}routes: [{to: a, hours: night}]", "expected all, service or outside"),
        ("{channel}routes: [{to: a, continue: sure}]", "expected true or false"),
        ("{channel}routes: [{severity: info}]", "alerts.routes[0].to: found nothing"),
        ("rules: {link_down: {enabled: 1}}", "expected true or false"),
        (
            "rules: {link_down: {hold: soon}}",
            "alerts.rules.link_down.hold: found “soon”, expected a duration from 0ms to 1d",
        ),
        ("remind: 1s", "alerts.remind: found “1s”, expected a duration"),
        ("flapping: {changes: 1}", "expected a whole number from 2 to 1000"),
        ("many: {share: 2}", "alerts.many.share: found 2, expected a share"),
        ("{channel}heartbeat: {channel: a}", "expected a channel of the kind alertmanager"),
        (
            "heartbeat: {url: 'https://h/{{ secret }}'}",
            "alerts.heartbeat.url: found a template, expected an address that is asked as it is",
        ),
        ("heartbeat: {url: 'https://h/{% if x %}y{% endif %}'}", "found a template"),
        ("heartbeat: {every: 1m}", "expected one of url and channel"),
        (
            "page: wan.example.vn",
            "alerts.page: found “wan.example.vn”, expected an http:// or https:// address",
        ),
        ("lang: fr", "expected vi or en"),
    ];
    for (text, expected) in cases {
        let text = format!("alerts: {{{}}}\n", text.replace("{channel}", channel));
        let told = match Config::parse("c", text.as_bytes()) {
            Ok(_) => panic!("{text} was taken"),
            Err(mistakes) => mistakes.to_string(),
        };
        assert!(told.starts_with("c:1:") && told.contains(expected), "{text}\n{told}\nnot: {expected}");
    }
}
