use super::*;
use crate::alert::machine::Seen::{Bad as IsBad, Unsure};
use crate::province::tests::{NOW, id, province, see};
use crate::state::{AgentFacts, State};

/// A look at a province whose agents have been heard for an hour.
fn look(state: &State) -> Sight {
    let directory = state.directory();
    let heard = directory.register.sites().map(|site| (site.id.clone(), NOW.plus_millis(-3_600_000)));
    look_at(state, NOW, &mut Memory { heard: heard.collect(), ..Memory::default() })
}

fn look_at(state: &State, now: UnixMillis, memory: &mut Memory) -> Sight {
    observe(&Province::of(state, now), &Own { many: 2, ..Own::default() }, memory)
}

fn of_site(rule: Rule, site: &str) -> Key {
    Key { rule, subject: Subject::Site { site: id(site) } }
}

fn of_link(rule: Rule, site: &str, link: &str) -> Key {
    Key { rule, subject: Subject::Link { site: id(site), link: link.parse().unwrap() } }
}

/// What is bad, and how it is held up.
fn bad(sight: &Sight) -> BTreeMap<Key, Option<Held>> {
    let bad = sight.seen.iter().filter_map(|(key, seen)| match seen {
        IsBad(bad) => Some((key.clone(), bad.held)),
        Unsure => None,
    });
    bad.collect()
}

/// The agents of these speak as before, and say that all is well.
fn well(state: &State, sites: &[&str]) {
    for site in sites {
        for link in ["lan", "wan", "internet"] {
            see(state, site, link, site, (60, 2), Outcome::Up);
        }
    }
}

fn seen_by_centre(state: &State, sites: &[&str], seconds: (i64, i64), outcome: Outcome) {
    for site in sites {
        see(state, site, "wan", "centre", seconds, outcome);
    }
}

#[test]
fn of_a_province_that_is_well_nothing_is_bad() {
    let state = province();
    well(&state, &["centre", "hub", "xa-1", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    let sight = look(&state);
    assert_eq!((sight.seen, sight.suspects), (BTreeMap::new(), BTreeMap::new()));
    assert_eq!(sight.totals, BTreeMap::from([(Common::All, 4)]));
}

#[test]
fn a_hub_that_is_cut_is_one_alert_and_what_is_behind_it_is_held_up() {
    let state = province();
    well(&state, &["centre"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Down);
    let held = bad(&look(&state));
    let offline = |site| (of_site(Rule::SiteOffline, site), (site != "hub").then_some(Held::Parent));
    assert_eq!(held, BTreeMap::from(["hub", "xa-1", "xa-2"].map(offline)));
}

#[test]
fn a_site_waits_for_a_word_about_its_parent_and_not_for_ever() {
    let state = province();
    well(&state, &["centre", "xa-2"]);
    // The commune's cut is confirmed; of the hub nothing was heard since, and it is not late yet.
    seen_by_centre(&state, &["hub"], (60, 12), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (60, 11), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (11, 1), Outcome::Down);
    see(&state, "hub", "wan", "hub", (60, 7), Outcome::Up);
    let key = of_site(Rule::SiteOffline, "xa-1");
    assert_eq!(bad(&look(&state)), BTreeMap::from([(key.clone(), Some(Held::Doubt))]));
    // The hub answers: it is the commune alone.
    seen_by_centre(&state, &["hub"], (12, 1), Outcome::Up);
    assert_eq!(bad(&look(&state)), BTreeMap::from([(key, None)]));
}

#[test]
fn when_the_centre_is_cut_off_there_is_one_alert_and_nothing_is_said_of_sites() {
    let state = province();
    see(&state, "centre", "lan", "centre", (60, 2), Outcome::Down);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Down);
    let sight = look(&state);
    let blind = Key { rule: Rule::CollectorBlind, subject: Subject::Collector };
    assert_eq!(bad(&sight), BTreeMap::from([(blind, None)]));
    assert!(sight.suspects.is_empty());
    assert_eq!(sight.seen[&of_site(Rule::SiteOffline, "hub")], Unsure, "what fires goes on");
}

#[test]
fn when_nothing_at_all_is_heard_it_is_the_centre_though_its_own_agent_does_not_see_it() {
    let state = province();
    // No hub in between: the hub is one site, the communes are behind it. Give each a way of its own.
    let directory = state.directory();
    let mut sites: Vec<_> = directory.register.sites().cloned().collect();
    sites.iter_mut().for_each(|site| site.parent = None);
    let secrets = (0u8..).zip(&sites).map(|(number, site)| crate::store::AgentSecret {
        site: site.id.clone(),
        hash: [number; 32],
        issued: NOW.plus_millis(-9 * 3_600_000),
        revoked: None,
    });
    state.replace_register(crate::store::Snapshot {
        revision: 2,
        secrets: secrets.collect(),
        register: crate::inventory::Register::new(sites).unwrap(),
        rotation: crate::store::Rotation::default(),
        planned: crate::planned::Planned::default(),
    });
    for link in ["lan", "wan"] {
        see(&state, "centre", link, "centre", (60, 2), Outcome::Up);
    }
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Down);
    let blind = Key { rule: Rule::CollectorBlind, subject: Subject::Collector };
    assert_eq!(bad(&look(&state)), BTreeMap::from([(blind, None)]));
    // Its Internet works: then it is the sites.
    see(&state, "centre", "internet", "centre", (60, 2), Outcome::Up);
    let sites = bad(&look(&state));
    assert_eq!(
        sites.keys().map(|key| key.rule).collect::<BTreeSet<_>>(),
        BTreeSet::from([Rule::SiteOffline])
    );
    assert_eq!(sites.len(), 3);
}

#[test]
fn a_centre_that_has_no_sites_yet_is_blind_to_nobody() {
    let state = province();
    let directory = state.directory();
    state.replace_register(crate::store::Snapshot {
        revision: 2,
        secrets: vec![crate::store::AgentSecret {
            site: id("centre"),
            hash: [0; 32],
            issued: NOW.plus_millis(-9 * 3_600_000),
            revoked: None,
        }],
        register: crate::inventory::Register::new(directory.register.sites().cloned()).unwrap(),
        rotation: crate::store::Rotation::default(),
        planned: crate::planned::Planned::default(),
    });
    see(&state, "centre", "lan", "centre", (60, 2), Outcome::Down);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Down);
    assert_eq!(Province::of(&state, NOW).hears_since(), None);
    assert_eq!(bad(&look(&state)).keys().map(|key| key.rule).collect::<Vec<_>>(), [Rule::LinkDown]);
}

#[test]
fn the_first_sign_of_a_cut_makes_a_suspect_and_no_alert() {
    let state = province();
    well(&state, &["centre", "hub", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-2"], (60, 1), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (60, 6), Outcome::Up);
    see(&state, "xa-1", "wan", "xa-1", (60, 6), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (6, 1), Outcome::Down);
    let sight = look(&state);
    assert_eq!(bad(&sight), BTreeMap::new());
    assert_eq!(sight.suspects.keys().collect::<Vec<_>>(), [&id("xa-1")]);
    assert_eq!(sight.suspects[&id("xa-1")].since, NOW.plus_millis(-6000));
}

#[test]
fn a_round_from_before_the_site_was_heard_again_says_nothing_of_its_links() {
    let state = province();
    well(&state, &["centre", "hub", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    see(&state, "xa-1", "wan", "xa-1", (60, 3), Outcome::Down);
    let mut memory = Memory::default();
    let key = of_link(Rule::LinkDown, "xa-1", "wan");
    let held = |sight: &Sight| bad(sight).get(&key).copied();
    assert_eq!(held(&look_at(&state, NOW, &mut memory)), Some(Some(Held::Doubt)));
    let later = NOW.plus_millis(57_000 + 1_000);
    assert_eq!(memory.heard[&id("xa-1")], NOW);
    see(&state, "xa-1", "wan", "xa-1", (3, -58), Outcome::Down);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (2, -58), Outcome::Up);
    assert_eq!(held(&look_at(&state, later, &mut memory)), Some(None));
}

#[test]
fn an_agent_is_silent_from_when_its_site_can_be_reached_again() {
    let state = province();
    well(&state, &["centre", "hub", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-2"], (600, 1), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (600, 500), Outcome::Up);
    see(&state, "xa-1", "wan", "xa-1", (600, 500), Outcome::Up);
    seen_by_centre(&state, &["xa-1"], (500, 20), Outcome::Down);
    seen_by_centre(&state, &["xa-1"], (20, 10), Outcome::Degraded);
    seen_by_centre(&state, &["xa-1"], (10, 1), Outcome::Up);
    let sight = look(&state);
    let Some(IsBad(bad)) = sight.seen.get(&of_site(Rule::AgentSilent, "xa-1")) else { panic!("{sight:?}") };
    assert_eq!(bad.since, Some(NOW.plus_millis(-20_000)));
}

#[test]
fn of_links_the_one_nearest_to_the_root_is_told() {
    let state = province();
    well(&state, &["centre", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    see(&state, "hub", "wan", "hub", (60, 2), Outcome::Up);
    for link in ["lan", "internet"] {
        see(&state, "xa-1", link, "xa-1", (60, 2), Outcome::Up);
    }
    for link in ["wan", "service-mail"] {
        see(&state, "xa-1", link, "xa-1", (60, 2), Outcome::Down);
    }
    let held = bad(&look(&state));
    let expected = [("wan", None), ("service-mail", Some(Held::Nearer))];
    let expected = expected.map(|(link, held)| (of_link(Rule::LinkDown, "xa-1", link), held));
    assert_eq!(held, BTreeMap::from(expected));
    see(&state, "xa-1", "lan", "xa-1", (2, 1), Outcome::Down);
    let held = bad(&look(&state));
    assert_eq!(held[&of_link(Rule::LinkDown, "xa-1", "lan")], None);
    assert_eq!(held[&of_link(Rule::LinkDown, "xa-1", "wan")], Some(Held::Nearer));
    see(&state, "hub", "internet", "hub", (60, 2), Outcome::Degraded);
    see(&state, "hub", "lan", "hub", (60, 2), Outcome::Fault);
    let held = bad(&look(&state));
    assert!(held.contains_key(&of_link(Rule::LinkDegraded, "hub", "internet")));
    assert!(held.contains_key(&of_link(Rule::InstrumentFault, "hub", "lan")));
}

#[test]
fn an_agent_that_is_silent_while_its_line_works_is_no_site_offline() {
    let state = province();
    well(&state, &["centre", "hub", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    let sight = look(&state);
    assert_eq!(bad(&sight), BTreeMap::from([(of_site(Rule::AgentSilent, "xa-1"), None)]));
    assert!(!sight.seen.contains_key(&of_site(Rule::SiteOffline, "xa-1")), "surely not offline");
    assert_eq!(sight.seen[&of_link(Rule::LinkDown, "xa-1", "wan")], Unsure);
}

#[test]
fn clocks_queues_and_the_certificate_are_looked_at() {
    let state = province();
    well(&state, &["centre", "hub", "xa-1", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    let tell = |site: &str, facts: AgentFacts| state.directory().runtimes[&id(site)].note_facts(facts);
    tell(
        "hub",
        AgentFacts { clock_offset: Some(-61.0), clock_offset_bound: Some(0.5), ..AgentFacts::default() },
    );
    tell(
        "xa-1",
        AgentFacts { clock_offset: Some(61.0), clock_offset_bound: Some(5.0), ..AgentFacts::default() },
    );
    tell("xa-2", AgentFacts { dropped_samples: Some(10.0), ..AgentFacts::default() });
    let mut memory = Memory::default();
    let ends = |seconds: i64| Own { certificate_ends: Some(NOW.plus_millis(seconds * 1000)), many: 2 };
    let mut look = |own: &Own| bad(&observe(&Province::of(&state, NOW), own, &mut memory));
    let clock = of_site(Rule::ClockWrong, "hub");
    assert_eq!(
        look(&ends(15 * 86_400)),
        BTreeMap::from([(clock.clone(), None)]),
        "what was dropped before is no news"
    );
    tell("xa-2", AgentFacts { dropped_samples: Some(11.0), ..AgentFacts::default() });
    let certificate = Key { rule: Rule::CertificateExpiring, subject: Subject::Collector };
    let dropping = of_site(Rule::QueueDropping, "xa-2");
    let all = BTreeMap::from([(clock, None), (certificate, None), (dropping, None)]);
    assert_eq!(look(&ends(13 * 86_400)), all);
    assert_eq!(look(&ends(-1)), all, "also when it is over");
}

#[test]
fn a_certificate_that_many_sites_see_is_one_and_the_first_end_counts() {
    use crate::state::CertificateOf;
    let state = province();
    well(&state, &["centre", "hub", "xa-1", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    let last_push = |site: &str| {
        let province = Province::of(&state, NOW);
        province.site(&id(site)).unwrap().last_push.unwrap()
    };
    // That the site said so many minutes before its last push that the target's certificate ends in so many days.
    let tell = |site: &str, link: &str, target: &str, days: i64, before: i64| {
        let of = CertificateOf { link: link.parse().unwrap(), target: target.to_owned() };
        let mut facts = AgentFacts::default();
        #[allow(clippy::cast_precision_loss)]
        let ends = (NOW.0 / 1000 + days * 86_400) as f64;
        facts.note_certificate(of, ends, last_push(site).plus_millis(-before * 60_000));
        state.directory().runtimes[&id(site)].note_facts(facts);
    };
    let of_target = |target: &str| Key {
        rule: Rule::CertificateExpiring,
        subject: Subject::Target { target: target.to_owned() },
    };
    let ends = || {
        let province = Province::of(&state, NOW);
        let sites: Vec<_> = province.sites().collect();
        let all = certificate::of_targets(sites.iter());
        let days = |end: &certificate::End| (end.ends.since(NOW).as_secs() / 86_400, end.sites);
        all.iter().map(|(target, end)| ((*target).to_owned(), days(end))).collect::<BTreeMap<_, _>>()
    };
    for site in ["hub", "xa-1", "xa-2"] {
        tell(site, "service-dms", "https://dms", 60, 0);
        tell(site, "service-mail", "https://mail", 13, 1);
    }
    // By a second line: still one site.
    tell("hub", "internet", "https://mail", 13, 0);
    let all =
        |dms, mail| BTreeMap::from([("https://dms".to_owned(), dms), ("https://mail".to_owned(), mail)]);
    assert_eq!(ends(), all((60, 3), (13, 3)));
    assert_eq!(bad(&look(&state)), BTreeMap::from([(of_target("https://mail"), None)]));
    // One site is shown another, which ends sooner.
    tell("xa-2", "service-dms", "https://dms", 3, 0);
    assert_eq!(ends(), all((3, 1), (13, 3)));
    // Renewed; and one has not spoken of it for ten minutes, though it was heard: it does not probe it any more.
    for (site, before) in [("hub", 0), ("xa-1", 0), ("xa-2", 10)] {
        tell(site, "service-dms", "https://dms", 365, before);
        tell(site, "service-mail", "https://mail", 365, before);
    }
    tell("hub", "internet", "https://mail", 365, 0);
    assert_eq!(ends(), all((365, 2), (365, 2)));
    assert_eq!(bad(&look(&state)), BTreeMap::new());
    // What is no time of a certificate is nothing, and so is what a former word said of it.
    for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        let mut facts = AgentFacts::default();
        let of = CertificateOf { link: "service-dms".parse().unwrap(), target: "https://dms".to_owned() };
        facts.note_certificate(of, nonsense, NOW);
        assert!(facts.certificates.is_empty(), "{nonsense}");
    }
    // An agent that names target after target is believed of the last ones, and 50 are told of.
    for number in 0..200 {
        tell("hub", "service", &format!("https://made-up-{number:03}"), -1, 200 - number);
    }
    let known = state.directory().runtimes[&id("hub")].facts().certificates.len();
    assert_eq!(known, 64);
    for number in 0..60 {
        tell("xa-1", "service", &format!("https://other-{number:03}"), -1, 0);
    }
    assert_eq!(bad(&look(&state)).len(), MOST_CERTIFICATES);
}

#[test]
fn a_link_that_works_is_degraded_while_it_is_beyond_its_contract() {
    use crate::config::Config;
    use crate::inventory::{Link, Register};
    use crate::quality::recent::{Figures, LastMinutes};
    let config = Config::parse("c", b"contracts: [{id: HD-01, kind: wan, rtt_limit: 40ms}]").unwrap();
    let state = crate::province::tests::province_with(config);
    let mut sites: Vec<_> = state.directory().register.sites().cloned().collect();
    for site in &mut sites {
        let contract = Some("HD-01".to_owned());
        site.links = vec![Link { contract, ..Link::named("wan".parse().unwrap()) }];
    }
    let secrets = (0u8..).zip(&sites).map(|(number, site)| crate::store::AgentSecret {
        site: site.id.clone(),
        hash: [number; 32],
        issued: NOW.plus_millis(-9 * 3_600_000),
        revoked: None,
    });
    state.replace_register(crate::store::Snapshot {
        revision: 2,
        secrets: secrets.collect(),
        register: Register::new(sites).unwrap(),
        rotation: crate::store::Rotation::default(),
        planned: crate::planned::Planned::default(),
    });
    well(&state, &["centre", "hub", "xa-1", "xa-2"]);
    seen_by_centre(&state, &["hub", "xa-1", "xa-2"], (60, 2), Outcome::Up);
    let key = of_link(Rule::LinkDegraded, "xa-1", "wan");
    let mut memory = Memory::default();
    // The round-trip time of xa-1 in the minutes that are closed so many minutes from now; `None`: nothing was measured.
    let mut look = |minutes: i64, millis: Option<u64>| {
        let now = NOW.plus_millis(minutes * 60_000);
        let figures = |site: &str, millis: u64| {
            let figures = Figures { minutes: 5, counted: 300, received: 300, rtt_sum: 300 * millis * 1000 };
            ((id(site), "wan".parse().unwrap()), figures)
        };
        let mut links = BTreeMap::from([figures("xa-2", 40)]);
        links.extend(millis.map(|millis| figures("xa-1", millis)));
        state.set_last_minutes(LastMinutes::new(LastMinutes::window_at(now), links));
        for site in ["centre", "hub", "xa-1", "xa-2"] {
            for link in ["lan", "wan", "internet"] {
                see(&state, site, link, site, (60, -minutes * 60), Outcome::Up);
            }
            seen_by_centre(&state, &[site], (60, -minutes * 60), Outcome::Up);
        }
        let province = Province::of(&state, now);
        let sight = observe(&province, &Own { many: 2, ..Own::default() }, &mut memory);
        assert!(sight.seen.keys().all(|other| *other == key), "{:?}", sight.seen);
        sight.seen.get(&key).cloned()
    };
    let since = |seen: Option<Seen>| match seen {
        Some(IsBad(bad)) => bad.since,
        Some(Unsure) | None => None,
    };
    assert_eq!(look(0, Some(40)), None, "40 ms are allowed");
    let first = since(look(1, Some(85)));
    assert_eq!(first, Some(LastMinutes::window_at(NOW.plus_millis(60_000)).start));
    assert_eq!(since(look(2, Some(85))), first, "it goes on since then");
    assert_eq!(look(3, None), Some(Unsure), "what began so is not over while nothing is measured");
    assert_eq!(since(look(4, Some(90))), first);
    assert_eq!(look(5, Some(39)), None, "it is kept again");
    assert_eq!(look(6, None), None);
    assert_ne!(since(look(7, Some(85))), first);
}
