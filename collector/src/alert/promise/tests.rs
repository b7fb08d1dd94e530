use std::collections::BTreeMap;

use super::*;
use crate::config::Config;
use crate::inventory::{Link, Register};
use crate::province::tests::{NOW, id, province_with};
use crate::quality::hour::MINUTE_MS;
use crate::state::State;
use crate::store::{AgentSecret, Rotation, Snapshot};

/// A Thursday afternoon: [`NOW`] is in the hours of service.
const CONFIG: &str = "
contracts:
  - {id: HD-01, kind: wan, rtt_limit: 40ms, loss_limit: 0.5%}
  - {id: HD-02, kind: wan, rtt_limit: 40ms, hours: service}
  - {id: HD-03, kind: wan, uptime: 99.5%}
  - {id: HD-04, kind: internet, rtt_limit: 40ms}
";

/// The WAN line of xa-1 under a contract.
fn state(contract: Option<&str>) -> State {
    let state = province_with(Config::parse("c", CONFIG.as_bytes()).unwrap());
    let directory = state.directory();
    let mut sites: Vec<_> = directory.register.sites().cloned().collect();
    for site in sites.iter_mut().filter(|site| site.id == id("xa-1")) {
        site.links = vec![Link {
            contract: contract.map(str::to_owned),
            carrier: Some("VNPT".to_owned()),
            ..Link::named("wan".parse().unwrap())
        }];
    }
    let secrets = (0u8..).zip(&sites).map(|(number, site)| AgentSecret {
        site: site.id.clone(),
        hash: [number; 32],
        issued: NOW.plus_millis(-9 * 3_600_000),
        revoked: None,
    });
    state.replace_register(Snapshot {
        revision: 2,
        secrets: secrets.collect(),
        register: Register::new(sites).unwrap(),
        rotation: Rotation::default(),
        planned: crate::planned::Planned::default(),
    });
    state
}

/// Five minutes of 300 packets, so many lost, the others with this time.
fn figures(lost: u64, millis: u64) -> Figures {
    let received = 300 - lost;
    Figures { minutes: 5, counted: 300, received, rtt_sum: received * millis * 1000 }
}

fn measure(state: &State, window: Window, figures: Figures) {
    let links = BTreeMap::from([((id("xa-1"), "wan".parse().unwrap()), figures)]);
    state.set_last_minutes(LastMinutes::new(window, links));
}

fn promise(state: &State) -> Promise {
    let province = Province::of(state, NOW);
    let site = province.site(&id("xa-1")).unwrap();
    of(&province, &site, &"wan".parse().unwrap())
}

fn now() -> Window {
    LastMinutes::window_at(NOW)
}

#[test]
fn what_is_over_a_limit_is_told_with_the_figure_and_the_limit() {
    let state = state(Some("HD-01"));
    measure(&state, now(), figures(0, 85));
    let Promise::Broken(broken) = promise(&state) else { panic!("{:?}", promise(&state)) };
    assert_eq!(broken.sentence(Lang::En), "RTT 85 ms, contract HD-01 allows 40 ms (last 5 minutes)");
    assert_eq!(broken.sentence(Lang::Vi), "RTT 85 ms, hợp đồng HD-01 cho phép 40 ms (5 phút qua)");
    measure(&state, now(), figures(12, 40));
    let Promise::Broken(broken) = promise(&state) else { panic!("{:?}", promise(&state)) };
    assert_eq!(broken.sentence(Lang::Vi), "mất gói 4 %, hợp đồng HD-01 cho phép 0,5 % (5 phút qua)");
    assert_eq!((broken.rtt, broken.window), (None, now()), "40 ms are allowed");
    measure(&state, now(), figures(12, 300));
    let Promise::Broken(broken) = promise(&state) else { panic!("{:?}", promise(&state)) };
    assert_eq!(
        broken.sentence(Lang::En),
        "RTT 300 ms, contract HD-01 allows 40 ms; loss 4 %, contract HD-01 allows 0.5 % (last 5 minutes)"
    );
}

#[test]
fn what_is_within_the_limits_is_kept_and_chance_breaks_nothing() {
    let state = state(Some("HD-01"));
    // 1.5 lost packets are allowed; up to five may be chance.
    for (lost, kept) in [(0, true), (2, true), (5, true), (6, false)] {
        measure(&state, now(), figures(lost, 20));
        assert_eq!(promise(&state) == Promise::Kept, kept, "{lost}");
    }
}

#[test]
fn without_limits_or_for_another_kind_of_line_nothing_is_promised() {
    for contract in [None, Some("HD-03"), Some("HD-04"), Some("HD-99")] {
        let state = state(contract);
        measure(&state, now(), figures(100, 500));
        assert_eq!(promise(&state), Promise::Nothing, "{contract:?}");
    }
}

#[test]
fn on_too_little_or_on_what_is_old_nothing_is_said() {
    let state = state(Some("HD-01"));
    assert_eq!(promise(&state), Promise::Unsure, "nothing was measured since the start");
    let bad = figures(100, 500);
    for (window, figures) in [
        (now(), Figures { minutes: 2, ..bad }),
        // It was down: no figure.
        (now(), Figures { minutes: 5, ..Figures::default() }),
        (Window::new(now().start.plus_millis(-4 * MINUTE_MS), now().end.plus_millis(-4 * MINUTE_MS)), bad),
        (Window::new(NOW, NOW.plus_millis(1)), bad),
    ] {
        measure(&state, window, figures);
        assert_eq!(promise(&state), Promise::Unsure, "{window:?} {figures:?}");
    }
    measure(&state, now(), Figures { minutes: 3, ..bad });
    assert!(matches!(promise(&state), Promise::Broken(_)));
    // A host's figures, as large as they can be.
    let huge = Figures { minutes: u8::MAX, counted: u64::MAX, received: 1, rtt_sum: u64::MAX };
    measure(&state, now(), huge);
    let Promise::Broken(broken) = promise(&state) else { panic!() };
    assert!(broken.sentence(Lang::En).contains("loss 100 %"), "{}", broken.sentence(Lang::En));
}

#[test]
fn hours_that_do_not_count_are_not_judged() {
    let state = state(Some("HD-02"));
    // At four in the afternoon of a Monday, and an hour after midnight.
    for (hours, judged) in [(3, true), (-12, false)] {
        let now = NOW.plus_millis(hours * 3_600_000);
        measure(&state, LastMinutes::window_at(now), figures(0, 500));
        let province = Province::of(&state, now);
        let site = province.site(&id("xa-1")).unwrap();
        let promise = of(&province, &site, &"wan".parse().unwrap());
        assert_eq!(matches!(promise, Promise::Broken(_)), judged, "{hours}");
        assert_eq!(promise == Promise::Unsure, !judged, "{hours}");
    }
}

#[test]
fn works_that_are_planned_break_no_promise() {
    use crate::planned::{Planned, PlannedId, PlannedWindow, Scope, When, Work};
    let state = state(Some("HD-01"));
    measure(&state, now(), figures(0, 500));
    assert!(matches!(promise(&state), Promise::Broken(_)));
    let work = Work {
        scope: Scope::Site(id("xa-1")),
        when: When::Once { from: now().start, to: now().end },
        valid_from: None,
        valid_to: None,
        reason: "VNPT đổi cáp".to_owned(),
        added: NOW,
        by: "an".to_owned(),
    };
    let directory = state.directory();
    let sites: Vec<_> = directory.register.sites().cloned().collect();
    let window = PlannedWindow { id: PlannedId(1), work, removed: None };
    state.replace_register(Snapshot {
        revision: 3,
        secrets: Vec::new(),
        register: Register::new(sites).unwrap(),
        rotation: Rotation::default(),
        planned: Planned::new(vec![window]),
    });
    assert_eq!(promise(&state), Promise::Unsure);
    // Within the limits it is kept, planned or not.
    measure(&state, now(), figures(0, 30));
    assert_eq!(promise(&state), Promise::Kept);
}
