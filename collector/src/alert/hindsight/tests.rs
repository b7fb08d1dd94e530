use proptest::prelude::*;
use wan_wire::{LinkName, Outcome};

use super::*;
use crate::alert::notice::{AlertId, Severity, Subject};
use crate::ledger::cause::Cause;
use crate::ledger::life::Life;
use crate::province::tests::{NOW, id, province, see};
use crate::state::State as Collector;

/// Seconds before now.
fn ago(seconds: i64) -> UnixMillis {
    NOW.plus_millis(-seconds * 1000)
}

/// An alert that was told from so many seconds before now to so many.
fn record(rule: Rule, subject: Subject, (since, until): (i64, i64)) -> Record {
    let id = AlertId::of(rule, &subject, ago(since));
    Record {
        since: ago(since),
        until: Some(ago(until)),
        told: Some(ago(until)),
        cause: Some(Cause::Unknown),
        ..Record::begun(id, rule, subject, Severity::Critical, ago(since - 7))
    }
}

fn of_site(rule: Rule) -> Record {
    record(rule, Subject::Site { site: id("xa-1") }, (900, 300))
}

fn of_link(link: &str) -> Record {
    let link: LinkName = link.parse().unwrap();
    record(Rule::LinkDown, Subject::Link { site: id("xa-1"), link }, (900, 300))
}

/// All were well until 900 s ago and are since 300 s ago; of xa-1 in between only the centre tells: that its WAN was this.
fn told(seen: Outcome) -> Collector {
    let state = province();
    let directory = state.directory();
    for site in ["centre", "hub", "xa-1", "xa-2"] {
        let other = site != "xa-1";
        *directory.runtimes[&id(site)].evidence_mut() = crate::state::Evidence::default();
        for link in ["lan", "wan", "internet"] {
            see(&state, site, link, site, (3_600, if other { 0 } else { 900 }), Outcome::Up);
            if !other {
                see(&state, site, link, site, (300, 0), Outcome::Up);
            }
        }
        if site != "centre" {
            see(&state, site, "wan", "centre", (3_600, if other { 0 } else { 900 }), Outcome::Up);
        }
    }
    see(&state, "xa-1", "wan", "centre", (900, 300), seen);
    see(&state, "xa-1", "wan", "centre", (300, 0), Outcome::Up);
    state
}

fn own(state: &Collector, link: &str, seconds: (i64, i64), outcome: Outcome) {
    see(state, "xa-1", link, "xa-1", seconds, outcome);
}

fn found(state: &Collector, record: &Record) -> Option<Hindsight> {
    look(record, &Province::of(state, NOW))
}

fn said(state: &Collector, record: &Record) -> (Found, i64, i64, Option<Cause>) {
    let said = found(state, record).unwrap().said;
    let seconds = |at: UnixMillis| NOW.millis_since(at) / 1000;
    (said.found, seconds(said.since), seconds(said.until), said.cause)
}

#[test]
fn without_a_backlog_nothing_is_said_otherwise() {
    let state = told(Outcome::Down);
    let record = of_site(Rule::SiteOffline);
    assert_eq!(said(&state, &record), (Found::AsTold, 900, 300, Some(Cause::Unknown)));
    assert!(!record.said().unwrap().is_denied_by(&found(&state, &record).unwrap().said));
}

#[test]
fn a_backlog_says_whose_fault_it_was() {
    let state = told(Outcome::Down);
    for (link, outcome) in [("lan", Outcome::Up), ("wan", Outcome::Down), ("internet", Outcome::Down)] {
        own(&state, link, (900, 300), outcome);
    }
    let record = of_site(Rule::SiteOffline);
    assert_eq!(said(&state, &record), (Found::AsTold, 900, 300, Some(Cause::Carrier)));
    assert_eq!(found(&state, &record).unwrap().because, Because::Backlog);
}

#[test]
fn a_site_that_had_worked_was_not_cut_off() {
    let state = told(Outcome::Down);
    for link in ["lan", "wan", "internet"] {
        own(&state, link, (900, 300), Outcome::Up);
    }
    let record = of_site(Rule::SiteOffline);
    assert_eq!(said(&state, &record), (Found::Worked, 900, 300, None));
    assert_eq!(found(&state, &record).unwrap().because, Because::Backlog);
}

#[test]
fn a_site_whose_internet_worked_lost_its_wan_only() {
    let state = told(Outcome::Down);
    for (link, outcome) in [("lan", Outcome::Up), ("wan", Outcome::Down), ("internet", Outcome::Up)] {
        own(&state, link, (900, 300), outcome);
    }
    let record = of_site(Rule::SiteOffline);
    assert_eq!(said(&state, &record), (Found::WanOnly, 900, 300, Some(Cause::Carrier)));
}

#[test]
fn those_who_saw_it_fail_were_cut_off_themselves() {
    let state = told(Outcome::Down);
    // The centre's own backlog: its lines failed, and it reached nobody.
    let directory = state.directory();
    for site in ["centre", "hub", "xa-1", "xa-2"] {
        *directory.runtimes[&id(site)].evidence_mut() = crate::state::Evidence::default();
    }
    for link in ["lan", "wan", "internet"] {
        see(&state, "centre", link, "centre", (3_600, 900), Outcome::Up);
        see(&state, "centre", link, "centre", (900, 300), Outcome::Down);
        see(&state, "centre", link, "centre", (300, 0), Outcome::Up);
    }
    for site in ["hub", "xa-1", "xa-2"] {
        see(&state, site, "wan", "centre", (3_600, 900), Outcome::Up);
        see(&state, site, "wan", "centre", (900, 300), Outcome::Down);
        see(&state, site, "wan", "centre", (300, 0), Outcome::Up);
        see(&state, site, "wan", site, (3_600, 900), Outcome::Up);
        see(&state, site, "wan", site, (300, 0), Outcome::Up);
    }
    let record = of_site(Rule::SiteOffline);
    let (was, since, until, cause) = said(&state, &record);
    assert_eq!((was, since, until), (Found::NotKnown, 900, 300));
    assert_eq!(cause, Some(Cause::Collector));
    assert_eq!(found(&state, &record).unwrap().because, Because::Evidence);
}

#[test]
fn an_edge_moves_by_more_than_two_rounds_and_a_half_or_not_at_all() {
    // Observers may differ by EDGE, and a round is five seconds.
    for (from, to, since, until) in [
        (900, 300, 900, 300),
        (914, 300, 900, 300),
        (916, 300, 916, 300),
        (885, 314, 900, 300),
        (880, 316, 880, 316),
        (900, 600, 900, 600),
        (3_000, 300, 3_000, 300),
    ] {
        let state = told(Outcome::Down);
        let directory = state.directory();
        *directory.runtimes[&id("xa-1")].evidence_mut() = crate::state::Evidence::default();
        for link in ["lan", "wan", "internet"] {
            own(&state, link, (3_600, from), Outcome::Up);
            own(&state, link, (from, to), if link == "lan" { Outcome::Up } else { Outcome::Down });
            own(&state, link, (to, 0), Outcome::Up);
        }
        let record = of_site(Rule::SiteOffline);
        let (found, is_since, is_until, cause) = said(&state, &record);
        assert_eq!(
            (found, is_since, is_until, cause),
            (Found::AsTold, since, until, Some(Cause::Carrier)),
            "{from} {to}"
        );
    }
}

#[test]
fn what_a_silent_agent_did_is_told_by_its_backlog() {
    let silent = of_site(Rule::AgentSilent);
    // Nobody else looked, and the agent tells nothing.
    let state = told(Outcome::Fault);
    assert_eq!(said(&state, &silent).0, Found::AsTold);
    assert!(!silent.said().unwrap().is_denied_by(&found(&state, &silent).unwrap().said));
    // The site was cut off.
    for (link, outcome) in [("lan", Outcome::Up), ("wan", Outcome::Down), ("internet", Outcome::Down)] {
        own(&state, link, (900, 300), outcome);
    }
    assert_eq!(said(&state, &silent), (Found::CutOff, 900, 300, Some(Cause::Carrier)));
    // All had worked, but its pushes.
    let state = told(Outcome::Fault);
    for link in ["lan", "wan", "internet"] {
        own(&state, link, (900, 300), Outcome::Up);
    }
    assert_eq!(said(&state, &silent), (Found::Worked, 900, 300, None));
    // Its WAN was seen to work, and its host booted.
    let state = told(Outcome::Up);
    assert_eq!(said(&state, &silent), (Found::AsTold, 900, 300, Some(Cause::Agent)));
    let boot = ago(400).0 as f64 / 1000.0;
    let life = Life::of(ago(290), None, Some(boot), Some(boot + 20.0)).unwrap();
    state.directory().runtimes[&id("xa-1")].note_lives(vec![life]);
    assert_eq!(said(&state, &silent), (Found::AsTold, 900, 300, Some(Cause::Power)));
    assert_eq!(found(&state, &silent).unwrap().because, Because::Boot);
}

#[test]
fn a_line_that_was_told_to_be_down_may_have_worked() {
    let state = told(Outcome::Down);
    for link in ["lan", "internet"] {
        own(&state, link, (900, 300), Outcome::Up);
    }
    own(&state, "wan", (900, 300), Outcome::Down);
    let wan = of_link("wan");
    assert_eq!(said(&state, &wan), (Found::AsTold, 900, 300, Some(Cause::Carrier)));
    // Its second target had answered.
    own(&state, "wan", (900, 300), Outcome::Degraded);
    assert_eq!(said(&state, &wan), (Found::Worked, 900, 300, None));
}

#[test]
fn of_what_is_gone_or_unknown_nothing_is_said() {
    let state = told(Outcome::Down);
    let nobody = record(Rule::SiteOffline, Subject::Site { site: id("nowhere") }, (900, 300));
    assert_eq!(found(&state, &nobody), None);
    assert_eq!(found(&state, &of_link("wan-viettel")), None);
    let fires = Record { until: None, ..of_site(Rule::SiteOffline) };
    assert_eq!(found(&state, &fires), None);
    // Before anything was known, at an instant, in the future, backwards: no words fail.
    for (since, until) in [(9_000_000, 8_000_000), (600, 600), (-100, -900), (300, 900)] {
        let record = record(Rule::SiteOffline, Subject::Site { site: id("xa-1") }, (since, until));
        if let Some(found) = found(&state, &record) {
            assert!(matches!(found.said.found, Found::AsTold | Found::NotKnown), "{since} {until} {found:?}");
        }
    }
    // While its history is still being loaded.
    state.history.begin(ago(60), 5);
    assert_eq!(found(&state, &of_site(Rule::SiteOffline)), None);
    state.history.known(UnixMillis::MIN);
    assert!(found(&state, &of_site(Rule::SiteOffline)).is_some());
}

#[test]
fn runs_before_and_after_an_alert_are_not_its_own() {
    let at = UnixMillis;
    let told = Window::new(at(100_000), at(200_000));
    let slack = Duration::from_secs(15);
    let (bad, part, well, unknown) = (Sign::Bad, Sign::Part, Sign::Well, Sign::Unknown);
    let rows = |rows: &[(i64, Sign)]| -> Vec<Stretch> {
        let mut start = 0;
        rows.iter()
            .map(|&(end, sign)| {
                let row = (at(start), at(end * 1000), sign);
                start = end * 1000;
                row
            })
            .collect()
    };
    let (as_told, wan_only) = (Found::AsTold, Found::WanOnly);
    for (name, signs, expected) in [
        ("as told", rows(&[(100, well), (200, bad), (300, well)]), (as_told, Some(100), Some(200))),
        (
            "one before",
            rows(&[(50, well), (99, bad), (101, well), (200, bad), (300, well)]),
            (as_told, Some(101), Some(200)),
        ),
        (
            "one after, that the end overlaps",
            rows(&[(100, well), (195, bad), (197, well), (290, bad), (300, well)]),
            (as_told, Some(100), Some(195)),
        ),
        (
            "interrupted",
            rows(&[(100, well), (140, bad), (160, well), (210, bad), (300, well)]),
            (as_told, Some(100), Some(210)),
        ),
        (
            "nothing known in between",
            rows(&[(90, well), (110, bad), (190, unknown), (220, bad), (300, well)]),
            (as_told, Some(90), Some(220)),
        ),
        (
            "not known when it ended",
            rows(&[(100, well), (150, bad), (300, unknown)]),
            (as_told, Some(100), None),
        ),
        (
            "not known when it began",
            rows(&[(100, unknown), (200, bad), (300, well)]),
            (as_told, None, Some(200)),
        ),
        ("it goes on", rows(&[(100, well), (300, bad)]), (as_told, Some(100), None)),
        (
            "the Internet worked",
            rows(&[(100, well), (120, bad), (200, part), (300, well)]),
            (wan_only, Some(100), Some(200)),
        ),
        ("all worked", rows(&[(300, well)]), (Found::Worked, None, None)),
        ("nobody knows", rows(&[(140, well), (300, unknown)]), (Found::NotKnown, None, None)),
        ("a second of it", rows(&[(150, well), (151, bad), (300, well)]), (as_told, Some(150), Some(151))),
        ("nothing", Vec::new(), (Found::NotKnown, None, None)),
    ] {
        let (found, since, until) = failed(&signs, told, slack);
        let seconds = |edge: Option<UnixMillis>| edge.map(|edge| edge.0 / 1000);
        assert_eq!((found, seconds(since), seconds(until)), expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// A backlog in any order, in pieces, twice: what is said is the same.
    #[test]
    fn the_order_of_a_backlog_does_not_matter(
        rounds in prop::collection::vec((0..3_usize, 0..4_usize), 120),
        order in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let outcomes = [Outcome::Up, Outcome::Degraded, Outcome::Down, Outcome::Down];
        let pieces: Vec<_> = rounds
            .iter()
            .enumerate()
            .map(|(number, (link, outcome))| {
                let number = i64::try_from(number).unwrap();
                (["lan", "wan", "internet"][*link], (900 - number * 5, 895 - number * 5), outcomes[*outcome])
            })
            .collect();
        let (forward, mixed) = (told(Outcome::Down), told(Outcome::Down));
        for (link, seconds, outcome) in &pieces {
            own(&forward, link, *seconds, *outcome);
        }
        for index in order {
            let (link, seconds, outcome) = index.get(&pieces);
            own(&mixed, link, *seconds, *outcome);
        }
        for (link, seconds, outcome) in pieces.iter().rev() {
            own(&mixed, link, *seconds, *outcome);
        }
        for rule in [Rule::SiteOffline, Rule::AgentSilent] {
            let record = of_site(rule);
            prop_assert_eq!(found(&forward, &record), found(&mixed, &record));
        }
        prop_assert_eq!(found(&forward, &of_link("wan")), found(&mixed, &of_link("wan")));
    }
}
