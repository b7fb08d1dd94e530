use std::time::Duration;

use super::*;
use crate::config::Use;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn local(text: &str, data: Option<&Path>) -> Config {
    let mut config = Config::parse("f", text.as_bytes(), Use::Probe).unwrap();
    config.data = data.map(Path::to_owned);
    config
}

fn targets(config: &Config) -> Vec<String> {
    let links = config.links.iter();
    links
        .flat_map(|link| link.targets.iter().map(|target| format!("{} {}", link.name, target.probe.label())))
        .collect()
}

fn refusal(local_text: &str, document: &str) -> String {
    match decide(&local(local_text, None), Some("\"old\""), "\"new\"", document.as_bytes()) {
        Decision::Refuse(reason) => reason,
        other @ (Decision::Same | Decision::Apply(_)) => panic!("{document}: {other:?}"),
    }
}

#[test]
fn a_document_goes_before_the_agents_own_file_section_by_section() {
    let file = "round: {interval: 2s, packets: 3}\nlinks: [{name: wan-b, interface: eth1, targets: [{icmp: 10.0.0.1}]}]";
    let local = local(file, None);
    let apply = |document: &str| match decide(&local, None, "\"a\"", document.as_bytes()) {
        Decision::Apply(planned) => *planned,
        other @ (Decision::Same | Decision::Refuse(_)) => panic!("{document}: {other:?}"),
    };
    let planned = apply("round: {interval: 10s}");
    assert_eq!(planned.sections, ["round"]);
    // A section is taken whole: the packets are the default's, not the file's.
    assert_eq!((planned.config.round.interval, planned.config.round.packets), (Duration::from_secs(10), 5));
    assert_eq!(targets(&planned.config), ["wan-b 10.0.0.1"]);
    assert_eq!(planned.config.links[0].targets[0].packets, 5, "targets of the file follow the round");

    let planned =
        apply("links: [{name: lan, targets: [{icmp: gateway}]}]\norigin: {links: {lan: tier commune}}");
    assert_eq!((planned.config.round.packets, targets(&planned.config)), (3, vec!["lan gateway".to_owned()]));
    assert_eq!(planned.origins.links.get(&"lan".parse().unwrap()).map(String::as_str), Some("tier commune"));

    let nothing = apply("# nothing\n");
    assert_eq!((nothing.sections.len(), nothing.config), (0, local.clone()), "then the file holds");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    for (document, reason) in [
        ("links: []", "found no link: nothing to probe"),
        ("links: [{name: wan, remove: true}]", "found no link: nothing to probe"),
        ("links: [{name: wan, targets: []}]", "expected a list of at least one target"),
        ("links: {", "central:"),
        ("<html>Not Found</html>", "expected a mapping"),
        ("\u{0}", "central"),
        ("probes: []", "found an unknown key"),
        (
            "links: [{name: wan, interface: 'eth 0', targets: [{icmp: a.example}]}]",
            "expected an interface name",
        ),
    ] {
        let found = refusal("", document);
        assert!(found.contains(reason), "{document}: {found}");
    }
    let many: String = (0..10_000).map(|at| format!("{{icmp: 10.{}.{}.1}},", at / 250, at % 250)).collect();
    let found = refusal("", &format!("links: [{{name: wan, targets: [{many}]}}]"));
    assert_eq!(
        found,
        "links: found 10000 targets, expected at most 2000 targets in all; divide them among several agents"
    );
    let long = format!("round: {{interval: 5s}}\n# {}", "x".repeat(MOST_BYTES));
    assert_eq!(refusal("", &long), "more than 1048576 bytes");
    let wrong = format!("links: [{}]", "{name: x},".repeat(60));
    let found = refusal("", &wrong);
    assert!(found.chars().count() == MOST_REASON && found.ends_with('…'), "{found}");
}

#[test]
fn a_document_that_does_not_fit_over_the_agents_own_file_is_refused() {
    let document = "links: [{name: wan, targets: [{icmp: 10.0.0.1, timeout: 4s}]}]";
    assert!(matches!(decide(&local("", None), None, "\"a\"", document.as_bytes()), Decision::Apply(_)));
    let reason = refusal("round: {interval: 3s}", document);
    assert!(reason.contains("a timeout of 4s, expected at most the round's interval of 3s"), "{reason}");
}

#[test]
fn the_document_in_force_is_not_read_again() {
    assert_eq!(decide(&local("", None), Some("\"a\""), "\"a\"", b"links: []"), Decision::Same);
}

#[tokio::test]
async fn a_change_is_asked_for_once_and_its_end_is_reported_until_it_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let central = Central::open(local("", Some(folder.path())));
    let mut current = central.current();
    assert_eq!(current.begin(NOW).links.len(), 3);
    assert_eq!(central.first(), Some(Want { known: None }));
    assert_eq!(central.wants(), None);
    central.seen(None);
    central.seen(Some("\"1\""));
    assert_eq!(central.wants(), Some(Want { known: None }));

    central.fetched("\"1\"".into(), b"links: [{name: wan, targets: [{icmp: 10.0.0.1}]}]".to_vec(), NOW).await;
    assert_eq!((central.wants(), central.running().links.len()), (None, 1));
    assert_eq!(central.view().good.unwrap().in_force, None, "the round under way is not touched");
    assert_eq!(central.report(), None, "nothing holds yet");
    let later = UnixMillis(NOW.0 + 5_000);
    assert_eq!(targets(&current.at_boundary(|| later).unwrap()), ["wan 10.0.0.1"]);
    assert!(current.at_boundary(|| later).is_none());
    assert_eq!(central.view().good.unwrap().in_force, Some(later));

    let report = central.report().unwrap();
    assert_eq!((report.etag.as_str(), report.applied, report.reason.as_str()), ("\"1\"", true, ""));
    assert_eq!(central.report(), Some(report.clone()), "until it is heard");
    central.reported(&report);
    assert_eq!(central.report(), None);

    // A bad one: what ran goes on, said once, not asked for again.
    central.seen(Some("\"2\""));
    assert_eq!(central.wants(), Some(Want { known: Some("\"1\"".into()) }));
    central.fetched("\"2\"".into(), b"links: []".to_vec(), later).await;
    assert!(current.at_boundary(|| later).is_none());
    let report = central.report().unwrap();
    assert!(!report.applied && report.reason.contains("nothing to probe"), "{report:?}");
    central.reported(&report);
    central.seen(Some("\"2\""));
    assert_eq!((central.wants(), central.report()), (None, None));
    let view = central.view();
    assert_eq!((view.good.unwrap().etag, view.refused.unwrap().etag), ("\"1\"".into(), "\"2\"".into()));

    // The old one again: it is in force already, so the collector answers 304.
    central.seen(Some("\"1\""));
    assert_eq!(central.wants(), Some(Want { known: Some("\"1\"".into()) }));
    central.unchanged();
    assert!(current.at_boundary(|| later).is_none());
    assert_eq!((central.wants(), central.view().refused), (None, None));
    let report = central.report().unwrap();
    assert_eq!((report.etag.as_str(), report.applied, report.reason.as_str()), ("\"1\"", true, ""));
    central.reported(&report);
    // Asked by another path, it says the same: that is no news.
    central.unchanged();
    assert_eq!(central.report(), None);
}

#[tokio::test]
async fn an_agent_that_was_killed_before_it_could_say_that_a_document_holds_says_so_at_its_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let central = Central::open(local("", Some(folder.path())));
    central.fetched("\"1\"".into(), b"round: {interval: 7s}".to_vec(), NOW).await;
    drop(central);
    let again = Central::open(local("", Some(folder.path())));
    again.seen(Some("\"1\""));
    again.unchanged();
    assert_eq!(again.report(), None, "no round was made by it yet");
    again.current().begin(NOW);
    assert!(again.report().unwrap().applied);
}

#[tokio::test]
async fn a_document_that_cannot_be_kept_holds_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::write(&data, "").unwrap();
    let central = Central::open(local("", Some(&data)));
    central.fetched("\"1\"".into(), b"round: {interval: 7s}".to_vec(), NOW).await;
    assert_eq!(central.running().round.interval, Duration::from_secs(7));
    assert!(central.view().unkept.unwrap().contains("central.yaml: "));
    std::fs::remove_file(&data).unwrap();
    central.fetched("\"2\"".into(), b"round: {interval: 8s}".to_vec(), NOW).await;
    assert_eq!(central.view().unkept, None);
}

#[tokio::test]
async fn a_collector_that_has_none_or_nothing_new_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let central = Central::open(local("", Some(folder.path())));
    for none in [Central::none, Central::unchanged] {
        central.seen(Some("\"1\""));
        none(&central);
        assert_eq!((central.wants(), central.report()), (None, None));
        central.seen(Some("\"2\""));
    }
    central.unchanged();
    central.seen(Some(&"x".repeat(10_000)));
    assert_eq!(central.wants(), None, "that is no ETag");
}

#[tokio::test]
async fn the_last_good_document_outlives_the_process_and_a_refused_one_does_not_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let central = Central::open(local("", Some(folder.path())));
    central.fetched("\"1\"".into(), b"round: {interval: 7s}".to_vec(), NOW).await;
    central.fetched("\"2\"".into(), b"round: {interval: 0s}".to_vec(), NOW).await;

    let again = Central::open(local("", Some(folder.path())));
    assert_eq!(again.running().round.interval, Duration::from_secs(7));
    assert_eq!(again.first(), Some(Want { known: Some("\"1\"".into()) }));
    let mut current = again.current();
    current.begin(NOW);
    assert_eq!(again.view().good.unwrap().in_force, Some(NOW));

    let off = Central::open(local("central: off", Some(folder.path())));
    off.seen(Some("\"3\""));
    assert_eq!(
        (off.running().round.interval, off.wants(), off.first()),
        (Duration::from_secs(5), None, None)
    );
    assert!(!off.view().on);
    let report = off.report().unwrap();
    assert_eq!((report.etag.as_str(), report.applied), ("\"3\"", false));
    assert_eq!(report.reason, "the agent's own file says central: off");
    off.reported(&report);
    off.seen(Some("\"3\""));
    assert_eq!(off.report(), None, "said once");
}

#[tokio::test]
async fn a_document_that_came_unasked_is_not_taken_where_the_file_says_off() {
    let folder = tempfile::tempdir().unwrap();
    let off = Central::open(local("central: off", Some(folder.path())));
    off.fetched("\"1\"".to_owned(), b"round: {interval: 2s}".to_vec(), NOW).await;
    assert_eq!(off.current().begin(NOW).round.interval, Duration::from_secs(5));
    assert!(off.view().good.is_none() && !file_in(folder.path()).exists());
}

#[test]
fn a_damaged_or_unfit_document_leaves_the_agents_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path());
    store::save(&file, "\"1\"", b"links: [{name: wan, targets: [{icmp: 10.0.0.1, timeout: 4s}]}]").unwrap();
    let unfit = Central::open(local("round: {interval: 2s}", Some(folder.path())));
    assert_eq!(unfit.running().links.len(), 3);
    assert!(unfit.view().trouble.unwrap().contains("not usable over the agent's own file"));
    assert!(file.exists(), "the file may be changed back");

    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = Central::open(local("", Some(folder.path())));
    assert_eq!(damaged.running().links.len(), 3);
    assert!(damaged.view().trouble.unwrap().contains("damaged"));
    assert!(!file.exists(), "it is kept aside");
}
