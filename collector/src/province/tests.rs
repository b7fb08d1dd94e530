use wan_wire::Outcome;

use super::*;
use crate::counters::Counters;
use crate::engine::Painting;
use crate::inventory::Link as Registered;
use crate::ledger::timeline::{State as LinkState, Why};
use crate::planned::Planned;
use crate::store::{AgentSecret, Rotation, Snapshot};
use crate::verdict::{Rule, Verdict};

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_414_368_000);
const HOUR_S: i64 = 3_600;

pub(crate) fn id(text: &str) -> SiteId {
    text.parse().unwrap()
}

pub(super) fn site(name: &str, parent: Option<&str>) -> Site {
    Site {
        parent: parent.map(id),
        watches: if name == "centre" { Watches::All } else { Watches::None },
        links: vec![Registered::named("wan".parse().unwrap())],
        ..Site::named(id(name), name, "commune".parse().unwrap(), "state".parse().unwrap())
    }
}

/// A centre that watches a hub and two communes behind it. All were well until a minute ago.
pub(crate) fn province() -> State {
    province_with(Config::default())
}

/// The same, configured so.
pub(crate) fn province_with(config: Config) -> State {
    let names = ["centre", "hub", "xa-1", "xa-2"];
    let sites = names.map(|name| site(name, name.starts_with("xa").then_some("hub")));
    let state = province_of(config, sites.into());
    for name in names {
        for link in ["lan", "wan", "internet"] {
            see(&state, name, link, name, (HOUR_S, 60), Outcome::Up);
        }
        if name != "centre" {
            see(&state, name, "wan", "centre", (HOUR_S, 60), Outcome::Up);
        }
    }
    state
}

/// Of these sites, each with a secret, of which nothing is known yet.
pub(super) fn province_of(config: Config, sites: Vec<Site>) -> State {
    let state =
        State::new(config, Some(NOW.plus_millis(-10 * HOUR_S * 1000)), Arc::new(Counters::new().unwrap()));
    let secrets = (0u8..).zip(&sites).map(|(number, site)| AgentSecret {
        site: site.id.clone(),
        hash: [number; 32],
        issued: NOW.plus_millis(-9 * HOUR_S * 1000),
        revoked: None,
    });
    state.replace_register(Snapshot {
        revision: 1,
        secrets: secrets.collect(),
        register: Register::new(sites).unwrap(),
        rotation: Rotation::default(),
        planned: Planned::default(),
    });
    state
}

/// What `by` saw of a link over seconds before now, and pushed at its end.
pub(crate) fn see(state: &State, site: &str, link: &str, by: &str, (from, to): (i64, i64), outcome: Outcome) {
    let directory = state.directory();
    let runtime = &directory.runtimes[&id(site)];
    let track = runtime.track(&link.parse().unwrap(), &id(by)).unwrap();
    let (start, end) = (NOW.plus_millis(-from * 1000), NOW.plus_millis(-to * 1000));
    let latest = Latest { end, interval_ms: 5_000, sent: 5, received: 5, rtt_median: None, outcome };
    runtime.evidence_mut().paint(&Painting { about: None, track, start, end, outcome, latest });
    directory.runtimes[&id(by)].note_push(end);
}

fn verdicts(state: &State) -> Vec<(Verdict, Rule)> {
    let province = Province::of(state, NOW);
    province.standings().values().map(|standing| (standing.verdict, standing.rule)).collect()
}

#[test]
fn a_hub_that_is_cut_is_offline_and_what_is_behind_it_unreachable() {
    let state = province();
    for link in ["lan", "internet", "wan"] {
        see(&state, "centre", link, "centre", (60, 2), Outcome::Up);
    }
    for name in ["hub", "xa-1", "xa-2"] {
        see(&state, name, "wan", "centre", (60, 2), Outcome::Down);
    }
    let cut_off = (Verdict::Unreachable, Rule::ParentCutOff);
    let expected = [(Verdict::Online, Rule::AllWell), (Verdict::Offline, Rule::SeenDown), cut_off, cut_off];
    assert_eq!(verdicts(&state), expected);
}

#[test]
fn when_the_centre_itself_is_cut_off_nothing_is_said_of_the_others() {
    let state = province();
    // The centre's agent still reaches the collector beside it, and says that its own gateway and everything else is gone.
    see(&state, "centre", "lan", "centre", (60, 2), Outcome::Down);
    for name in ["hub", "xa-1", "xa-2"] {
        see(&state, name, "wan", "centre", (60, 2), Outcome::Down);
    }
    let found = verdicts(&state);
    assert_eq!(found[1..], [(Verdict::Unknown, Rule::Blind); 3]);
    assert_eq!(found[0].0, Verdict::Degraded, "the one failure is the centre's own");
    let province = Province::of(&state, NOW);
    let minute = Window::new(NOW.plus_millis(-50_000), NOW.plus_millis(-5_000));
    for name in ["hub", "xa-1"] {
        let site = province.site(&id(name)).unwrap();
        let timeline = province.timeline(&site, Some(&"wan".parse().unwrap()), minute).unwrap();
        let states: Vec<LinkState> = timeline.intervals.iter().map(|interval| interval.state).collect();
        assert_eq!(states, [LinkState::Unknown(Why::CollectorStopped)], "{name}");
        let charges = &province.causes(minute).of(&site)[&Some("wan".parse().unwrap())];
        assert!(charges.iter().all(|charge| charge.rule == crate::ledger::cause::Rule::CollectorStopped));
    }
}

#[test]
fn one_site_that_answers_proves_that_the_centre_is_not_cut_off() {
    let state = province();
    see(&state, "centre", "lan", "centre", (60, 2), Outcome::Down);
    see(&state, "xa-2", "wan", "centre", (60, 2), Outcome::Up);
    for name in ["hub", "xa-1"] {
        see(&state, name, "wan", "centre", (60, 2), Outcome::Down);
    }
    let found = verdicts(&state);
    assert_eq!(found[1], (Verdict::Offline, Rule::SeenDown));
    assert_eq!(found[2], (Verdict::Unreachable, Rule::ParentCutOff));
    assert_eq!(found[3], (Verdict::AgentSilent, Rule::LineWorks));
}

#[test]
fn after_the_centre_is_back_silence_is_judged_only_after_the_silence_limit() {
    let state = province();
    see(&state, "centre", "lan", "centre", (60, 20), Outcome::Down);
    see(&state, "centre", "lan", "centre", (20, 2), Outcome::Up);
    for name in ["hub", "xa-1", "xa-2"] {
        see(&state, name, "wan", "centre", (60, 20), Outcome::Down);
        see(&state, name, "wan", "centre", (20, 2), Outcome::Up);
    }
    // Its isolation ended ten seconds ago, the margin included: too little to call anybody silent.
    assert_eq!(verdicts(&state)[1..], [(Verdict::Unknown, Rule::Blind); 3]);
}

#[test]
fn what_fails_above_bears_on_a_window_by_way_of_a_wan_that_fails_outside_of_it() {
    use Outcome::{Down, Up};
    let service = "service-his";
    // Before a window that begins 30 s ago, and behind one that ends then: two edges apart, the path is cut and the service fails.
    let before = [("hub", "wan", 60, 42), ("xa-1", "wan", 38, 32), ("xa-1", service, 31, 0)];
    let behind = [("hub", "wan", 18, 0), ("xa-1", "wan", 28, 22), ("xa-1", service, 60, 30)];
    for (failures, from, to) in [(before, 30, 0), (behind, 60, 30)] {
        let state = province();
        for (name, link) in [("hub", "wan"), ("xa-1", "lan"), ("xa-1", "wan"), ("xa-1", service)] {
            let mut well_from = HOUR_S;
            for (_, _, start, end) in
                failures.into_iter().filter(|failure| (failure.0, failure.1) == (name, link))
            {
                see(&state, name, link, name, (well_from, start), Up);
                see(&state, name, link, name, (start, end), Down);
                well_from = end;
            }
            see(&state, name, link, name, (well_from, 0), Up);
        }
        let province = Province::of(&state, NOW);
        let site = province.site(&id("xa-1")).unwrap();
        let charged = |from: i64, to: i64| {
            let window = Window::new(NOW.plus_millis(-from * 1000), NOW.plus_millis(-to * 1000));
            province.causes(window).of(&site).remove(&Some(service.parse().unwrap())).unwrap()
        };
        let (start, end) = (NOW.plus_millis(-from * 1000), NOW.plus_millis(-to * 1000));
        let mut within = charged(HOUR_S, 0);
        within.retain(|charge| charge.start < end && start < charge.end);
        for charge in &mut within {
            (charge.start, charge.end) = (charge.start.max(start), charge.end.min(end));
        }
        assert!(within.iter().any(|charge| charge.rule == crate::ledger::cause::Rule::PathCut), "{within:?}");
        assert_eq!(charged(from, to), within, "asked of {from} to {to} s ago alone");
    }
}
