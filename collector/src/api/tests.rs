use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use wan_journal::{FullPolicy, Journal, Options};
use wan_wire::{Outcome, SiteId};

use super::*;
use crate::alert;
use crate::alert::deliver::Bell;
use crate::alert::pulse::Pulse;
use crate::config::Config;
use crate::counters::Counters;
use crate::engine::Painting;
use crate::incidents::{self, Teller};
use crate::inventory::{Link, Register, Site, Watches};
use crate::ledger::cause::GATEWAY_MEMORY;
use crate::planned::Planned;
use crate::state::{AgentFacts, Latest};
use crate::store::sqlite::SqliteStore;
use crate::store::{AgentSecret, Rotation, Snapshot};

/// 2026-11-23 13:12:48.250 in Vietnam.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_414_368_250);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// A name that would be code, if anything took it for that.
pub(crate) const HOSTILE: &str = "<script>alert(\"1\")</script>'&\\";

fn now() -> UnixMillis {
    NOW
}

fn id(text: &str) -> SiteId {
    text.parse().unwrap()
}

fn site(id: &str, name: &str, tier: &str, branch: &str) -> Site {
    let links = ["lan", "wan-vnpt", "internet"].map(|name| Link::named(name.parse().unwrap()));
    Site {
        parent: (id != "trung-tam").then(|| "trung-tam".parse().unwrap()),
        district: (tier == "commune").then(|| "Trảng Bàng".to_owned()),
        location: Some(crate::inventory::Location { latitude: 11.31, longitude: 106.1 }),
        contacts: vec!["Nguyễn Văn A, 0276 3822 123".to_owned()],
        watches: if id == "trung-tam" { Watches::All } else { Watches::None },
        links: links.into(),
        ..Site::named(id.parse().unwrap(), name, tier.parse().unwrap(), branch.parse().unwrap())
    }
}

#[test]
fn coverage_is_told_by_district_and_carrier_and_day() {
    let (router, _folder) = served(&province());
    let ask = |path: &str| -> Value {
        let (status, _, body) = get(&router, path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    let districts = ask("/api/v1/coverage?by=district");
    assert_eq!(districts["by"], "district");
    let rows: Vec<_> = districts["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["district"], &row["registered"]))
        .collect();
    assert_eq!(rows, [(&json!("Trảng Bàng"), &json!(3)), (&json!(""), &json!(2))]);
    let carriers = ask("/api/v1/coverage?by=carrier");
    assert_eq!(
        carriers["groups"],
        json!([{
            "tier": null, "branch": null, "carrier": "", "registered": 5, "equipped": 4, "covered": 2, "not_covered": 2,
            "unknown": 1, "equipped_share": 0.8, "low": 0.4, "high": 0.6, "target": null, "standing": null
        }]),
        "the register names none"
    );
    let branches = ask("/api/v1/coverage?by=branch&tier=commune");
    let names: Vec<_> = branches["groups"].as_array().unwrap().iter().map(|row| &row["branch"]).collect();
    assert_eq!(names, ["party", "state"]);
    let trend = ask("/api/v1/coverage?trend=day&from=-26h");
    let days: Vec<_> =
        trend["trend"].as_array().unwrap().iter().map(|day| (&day["day"], &day["end"])).collect();
    let midnight = 1_795_366_800_000_i64;
    assert_eq!(days, [(&json!("2026-11-22"), &json!(midnight)), (&json!("2026-11-23"), &json!(NOW.0))]);
    assert_eq!(trend["trend"][1]["rows"].as_array().unwrap().len(), 3);
    assert_eq!(
        ask("/api/v1/coverage?trend=day")["trend"].as_array().unwrap().len(),
        31,
        "30 days ago is a part of a day"
    );
    let by_day = ask("/api/v1/coverage?trend=day&by=district&from=-26h");
    assert_eq!(by_day["trend"][0]["rows"][0]["district"], "Trảng Bàng");
    assert_eq!(ask("/api/v1/coverage")["trend"], Value::Null);
    for (path, expected) in [
        ("/api/v1/coverage?by=distric", "did you mean district?"),
        ("/api/v1/coverage?by=district,carrier", "one of tier, branch, district, carrier"),
        ("/api/v1/coverage?trend=hour", "one or more of day"),
        ("/api/v1/coverage?trend=day&at=now", "no instant for a trend"),
        ("/api/v1/coverage?trend=day&from=2020-01-01", "a trend of at most 1100 days"),
        ("/api/v1/reach?by=tier", "one of the parameters at, from, to, tier"),
        ("/api/v1/reach?at=2090-01-01", "a time not after now"),
    ] {
        let (status, _, body) = get(&router, path);
        assert!(status == 400 && body.contains(expected), "{path}: {body}");
    }
}

#[test]
fn reach_counts_every_site_by_its_link_to_the_system() {
    let state = province();
    paint(&state, "trung-tam", "service-dms", HOUR, 3_000, Outcome::Up);
    paint(&state, "ubnd-loc-hung", "service-dms", HOUR, 3_000, Outcome::Down);
    let (router, _folder) = served(&state);
    let (status, _, body) = get(&router, "/api/v1/reach");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer["systems"].as_array().unwrap().len()), (200, 1));
    let system = &answer["systems"][0];
    assert_eq!(system["link"], "service-dms");
    // Of five: one reaches it; one does not, one has no agent; two do not measure it.
    let total = &system["total"];
    assert_eq!(
        (&total["covered"], &total["not_covered"], &total["unknown"], &total["low"], &total["high"]),
        (&json!(1), &json!(2), &json!(2), &json!(0.2), &json!(0.6))
    );
    let text = crate::metrics::tests::exposition(&state, NOW);
    assert!(
        text.contains("wan_reach_ratio{link=\"service-dms\",tier=\"province\",bound=\"low\"} 1\n"),
        "{text}"
    );
    let (_, _, body) = get(&served(&province()).0, "/api/v1/reach?from=-1h&tier=commune");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["systems"], json!([]), "nobody measures any");
}

/// Paints `[start, end)`, given before now in milliseconds, as the site's own agent would.
fn paint(state: &State, site: &str, link: &str, start: i64, end: i64, outcome: Outcome) {
    paint_rounds(state, site, link, (start, end), outcome, 5_000);
}

/// The same in rounds of this length.
fn paint_rounds(
    state: &State,
    site: &str,
    link: &str,
    (start, end): (i64, i64),
    outcome: Outcome,
    interval_ms: i64,
) {
    let directory = state.directory();
    let runtime = &directory.runtimes[&id(site)];
    let track = runtime.track(&link.parse().unwrap(), &id(site)).unwrap();
    let (start, end) = (NOW.plus_millis(-start), NOW.plus_millis(-end));
    let received = if outcome == Outcome::Down { 0 } else { 5 };
    let rtt_median = (received > 0).then_some(0.012);
    let latest = Latest { end, interval_ms, sent: 5, received, rtt_median, outcome };
    runtime.evidence_mut().paint(&Painting { about: None, track, start, end, outcome, latest });
    runtime.note_push(end);
}

/// Five sites: the centre, one whose WAN is down, one that fell silent, one without an agent, one with a hostile name.
pub(crate) fn province() -> Arc<State> {
    let mut config = Config::default();
    for tier in &mut config.plan.tiers {
        tier.target = crate::config::Targets::always(0.5);
    }
    let state = State::new(config, Some(NOW.plus_millis(-48 * HOUR)), Arc::new(Counters::new().unwrap()));
    let sites = [
        site("trung-tam", "Trung tâm dữ liệu", "province", "state"),
        site("ubnd-loc-hung", "Ủy ban nhân dân xã Lộc Hưng", "commune", "state"),
        site("ubnd-don-thuan", "Ủy ban nhân dân xã Đôn Thuận", "commune", "state"),
        site("du-hung-thuan", "Đảng ủy xã Hưng Thuận", "commune", "party"),
        site("hostile", HOSTILE, "district", "mass"),
    ];
    let secrets = ["trung-tam", "ubnd-loc-hung", "ubnd-don-thuan", "hostile"].map(|site| AgentSecret {
        site: id(site),
        hash: wan_hash(site),
        issued: NOW.plus_millis(-40 * HOUR),
        revoked: None,
    });
    let register = Register::new(sites).unwrap();
    state.replace_register(Snapshot {
        revision: 1,
        register,
        secrets: secrets.into(),
        rotation: Rotation::default(),
        planned: Planned::default(),
    });
    for name in ["trung-tam", "hostile"] {
        for link in ["lan", "wan-vnpt", "internet"] {
            paint(&state, name, link, 40 * HOUR, 3_000, Outcome::Up);
        }
    }
    for link in ["lan", "internet"] {
        paint(&state, "ubnd-loc-hung", link, 40 * HOUR, 3_000, Outcome::Up);
    }
    paint(&state, "ubnd-loc-hung", "wan-vnpt", 40 * HOUR, 30 * MINUTE, Outcome::Up);
    paint(&state, "ubnd-loc-hung", "wan-vnpt", 30 * MINUTE, 3_000, Outcome::Down);
    for link in ["lan", "wan-vnpt", "internet"] {
        paint(&state, "ubnd-don-thuan", link, 40 * HOUR, HOUR, Outcome::Up);
    }
    state.directory().runtimes[&id("trung-tam")].note_facts(AgentFacts {
        version: Some("0.1.0".to_owned()),
        boot_time: Some(1.795e9),
        start_time: Some(f64::NAN),
        clock_offset: Some(-400.5),
        clock_offset_bound: Some(0.012),
        queue_bytes: Some(f64::INFINITY),
        ..AgentFacts::default()
    });
    Arc::new(state)
}

fn wan_hash(text: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).into()
}

/// The router over `state` at [`NOW`], with an engine over a journal of its own.
pub(crate) fn served(state: &Arc<State>) -> (axum::Router, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { full: FullPolicy::Refuse, ..Options::default() };
    let (journal, _) = Journal::open_dir(&folder.path().join("journal"), options).unwrap();
    let (engine, _thread) = crate::engine::start(journal, 16, 1 << 30, Arc::clone(&state.counters)).unwrap();
    let store = runtime().block_on(SqliteStore::open(&folder.path().join("figures.db"))).unwrap();
    runtime().block_on(Teller::default().pass(state, &store, now())).unwrap();
    let store = Arc::new(store);
    let quality = super::quality::router_at(Arc::clone(state), Arc::clone(&store), now);
    let incidents = incidents::endpoint::router_at(Arc::clone(state), store, now);
    (router_at(Arc::clone(state), engine, now).merge(quality).merge(incidents), folder)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Status, headers and body of a GET.
pub(crate) fn get(router: &axum::Router, path: &str) -> (u16, HeaderMap, String) {
    ask(router, Request::get(path).body(Body::empty()).unwrap())
}

fn ask(router: &axum::Router, request: Request<Body>) -> (u16, HeaderMap, String) {
    runtime().block_on(async {
        let response = router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    })
}

fn answer(router: &axum::Router, path: &str) -> Value {
    let (status, headers, body) = get(router, path);
    assert_eq!(status, 200, "{path}: {body}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/json", "{path}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn a_site_with_long_rounds_is_not_silent_between_two_of_them() {
    let state = province();
    let seen = |interval_ms: i64| {
        for link in ["lan", "wan-vnpt", "internet"] {
            let window = (HOUR, 100_000 - interval_ms / 100);
            paint_rounds(&state, "ubnd-don-thuan", link, window, Outcome::Up, interval_ms);
        }
        let (router, _folder) = served(&state);
        let site = answer(&router, "/api/v1/sites/ubnd-don-thuan");
        let link = site["links"][0]["state"]["state"].clone();
        (site["verdict"].clone(), site["state"]["state"].clone(), link)
    };
    assert_eq!(seen(5_000), (json!("agent_silent"), json!("unknown"), json!("unknown")));
    assert_eq!(seen(60_000), (json!("online"), json!("up"), json!("up")));
    let runtime = Arc::clone(&state.directory().runtimes[&id("ubnd-don-thuan")]);
    assert_eq!(state.silence_limit(runtime.expected_round()), std::time::Duration::from_secs(180));
}

#[test]
fn sites_are_told_with_verdict_kinds_and_links() {
    let (router, _folder) = served(&province());
    let all = answer(&router, "/api/v1/sites");
    let sites = all["sites"].as_array().unwrap();
    let verdicts: BTreeMap<_, _> =
        sites.iter().map(|site| (site["id"].as_str().unwrap(), site["verdict"].as_str().unwrap())).collect();
    let expected = [
        ("du-hung-thuan", "not_enrolled"),
        ("hostile", "online"),
        ("trung-tam", "online"),
        ("ubnd-don-thuan", "agent_silent"),
        ("ubnd-loc-hung", "wan_down"),
    ];
    assert_eq!(verdicts, BTreeMap::from(expected));
    assert_eq!(all["zone"], "Asia/Ho_Chi_Minh");
    let site = &sites[4];
    assert_eq!(site["since_local"], "2026-11-23T12:42:48.25+07:00");
    assert_eq!(site["since"], NOW.0 - 30 * MINUTE);
    assert_eq!((&site["rule"], &site["state"]["state"]), (&json!("wan_down"), &json!("down")));
    assert_eq!(site["kinds"]["wan"], json!({ "state": "down", "why": null }));
    let link = &site["links"][2];
    assert_eq!((&link["link"], &link["kind"]), (&json!("wan-vnpt"), &json!("wan")));
    assert_eq!((&link["latest"]["loss"], &link["latest"]["rtt_median_seconds"]), (&json!(1.0), &json!(null)));
    assert_eq!(sites[2]["links"][0]["latest"]["rtt_median_seconds"], 0.012);
    assert_eq!(sites[0]["links"][0]["state"], json!({ "state": "unknown", "why": "not_equipped" }));
}

#[test]
fn while_the_history_is_loaded_the_present_is_told_and_what_reaches_back_waits_or_is_told_to() {
    let state = province();
    let (router, _folder) = served(&state);
    let whole = answer(&router, "/api/v1/uptime?from=-7d");
    let before = NOW.plus_millis(-30 * HOUR);
    state.history.begin(before, 5);
    let (status, _, body) = get(&router, "/readyz");
    let expected = "ready; loads the history before 2026-11-22T07:12:48.25+07:00 (0 % is done)\n";
    assert_eq!((status, body.as_str()), (200, expected));
    // All is well since 40 hours: as far as is known, at least since what is loaded begins.
    let list = answer(&router, "/api/v1/sites");
    let since =
        |site: usize| (list["sites"][site]["since"].clone(), list["sites"][site]["since_before"].clone());
    assert_eq!(since(2), (json!(before.0), json!(true)), "{list}");
    assert_eq!(since(4), (json!(NOW.0 - 30 * MINUTE), json!(false)));
    assert_eq!(since(0).1, json!(false), "that it has no agent does not rest on evidence");
    assert_eq!(answer(&router, "/api/v1/overview")["sites"][2]["since_before"], json!(true));
    // What is looked at around the time that is asked about has to be there too.
    state.history.known(before.minus(GATEWAY_MEMORY));
    answer(&router, "/api/v1/coverage?at=-5h");
    let early = [
        "/api/v1/uptime?from=-7d",
        "/api/v1/coverage?at=-7h",
        "/api/v1/sites/trung-tam",
        "/metrics",
        "/api/v1/sites/trung-tam/timeline",
    ];
    std::thread::scope(|scope| {
        for path in early {
            let router = router.clone();
            scope.spawn(move || {
                let (status, headers, body) = get(&router, path);
                assert_eq!(status, 503, "{path}: {body}");
                assert!(headers.contains_key(header::RETRY_AFTER), "{path}");
                let problem: Value = serde_json::from_str(&body).unwrap();
                assert_eq!(problem["error"], "loading", "{path}");
                let detail = problem["detail"].as_str().unwrap();
                assert!(
                    detail.contains("still loads the history before 2026-11-15T07:12:48.25+07:00"),
                    "{detail}"
                );
            });
        }
    });
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| answer(&router, "/api/v1/uptime?from=-7d"));
        std::thread::sleep(Duration::from_millis(300));
        state.history.known(NOW.plus_millis(-14 * 24 * HOUR));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished(), "two weeks are not enough");
        state.history.known(UnixMillis::MIN);
        assert_eq!(asked.join().unwrap(), whole);
    });
    assert_eq!(get(&router, "/readyz").2, "ready\n");
    assert_eq!(answer(&router, "/api/v1/sites")["sites"][2]["since_before"], json!(false));
}

#[test]
fn a_look_for_alerts_that_is_stuck_makes_it_unready_until_it_ends_and_so_does_a_delivery_that_died() {
    let mut state = province();
    Arc::get_mut(&mut state).unwrap().alerting = Pulse::impatient(Duration::from_secs(1));
    let (router, folder) = served(&state);
    let until = |path: &str, holds: &dyn Fn(u16, &str) -> bool| {
        let begin = clock::monotonic();
        loop {
            let (status, _, body) = get(&router, path);
            if holds(status, &body) {
                return body;
            }
            assert!(clock::monotonic() - begin < Duration::from_secs(60), "{path}: {status}: {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(get(&router, "/readyz").2, "ready\n", "nobody looks yet");
    let looks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let store = looks.block_on(SqliteStore::open(&folder.path().join("alerts.db"))).unwrap();
    let (store, bell, stop) = (Arc::new(store), Arc::new(Bell::default()), CancellationToken::new());
    let looking =
        alert::watch::run(Arc::clone(&state), Arc::clone(&store), Arc::clone(&bell), stop.child_token());
    let looking = looks.spawn(looking);
    until("/metrics", &|_, body| !body.contains("wan_collector_alerts_look_timestamp_seconds 0\n"));
    until("/readyz", &|status, _| status == 200);

    let site = Arc::clone(&state.directory().runtimes[&id("trung-tam")]);
    let held = site.evidence_mut();
    let told = until("/readyz", &|status, _| status == 503);
    assert!(told.starts_with("alerts stand still: no look at the province has ended for "), "{told}");
    drop(held);
    until("/readyz", &|status, _| status == 200);

    // Taken up, and dropped like a task that panics.
    let delivers = alert::deliver::run(Arc::clone(&state), store, bell, stop.child_token());
    looks.block_on(async {
        tokio::select! {
            biased;
            () = delivers => panic!("it goes on"),
            () = tokio::task::yield_now() => {}
        }
    });
    let told = until("/readyz", &|status, _| status == 503);
    assert!(told.starts_with("alerts are not delivered: the outbox ended by a defect"), "{told}");
    stop.cancel();
    looks.block_on(looking).unwrap();
}

#[test]
fn filters_of_the_list_are_joined_and_search_ignores_marks() {
    let (router, _folder) = served(&province());
    let ids = |query: &str| -> Vec<String> {
        let answer = answer(&router, &format!("/api/v1/sites?{query}"));
        answer["sites"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("tier=commune&branch=state"), ["ubnd-don-thuan", "ubnd-loc-hung"]);
    assert_eq!(ids("verdict=wan_down,agent_silent&q="), ["ubnd-don-thuan", "ubnd-loc-hung"]);
    assert_eq!(ids("q=don+thuan"), ["ubnd-don-thuan"]);
    assert_eq!(ids("q=%C4%90%E1%BA%A3ng"), ["du-hung-thuan"], "Đảng");
    assert_eq!(ids("q=trang+bang&tier=province,commune").len(), 3);
    assert_eq!(ids("q=%3Cscript"), ["hostile"]);
    assert!(ids("q=nowhere").is_empty());
}

#[test]
fn one_site_is_told_whole_with_what_its_agent_says() {
    let (router, _folder) = served(&province());
    let site = answer(&router, "/api/v1/sites/trung-tam");
    assert_eq!(site["children"].as_array().unwrap().len(), 4);
    assert_eq!(site["watches"], json!(["all"]));
    assert_eq!(site["contacts"], json!(["Nguyễn Văn A, 0276 3822 123"]));
    assert_eq!(site["agent"]["version"], "0.1.0");
    assert_eq!(site["agent"]["boot_time"], 1_795_000_000_000_i64);
    assert_eq!(site["agent"]["clock_offset_seconds"], -400.5);
    assert_eq!(site["agent"]["clock_offset_bound_seconds"], 0.012);
    assert_eq!(site["agent"]["clock_wrong"], true);
    assert_eq!((&site["agent"]["start_time"], &site["agent"]["queue_bytes"]), (&json!(null), &json!(null)));
    let periods: Vec<_> = site["uptime"].as_array().unwrap().iter().map(|u| &u["period"]).collect();
    assert_eq!(periods, ["24h", "7d", "30d", "month"]);
    assert_eq!(site["uptime"][0]["site"]["uptime"], 1.0);
    assert_eq!(site["uptime"][3]["site"]["window"]["start_local"], "2026-11-01T00:00:00+07:00");
    let cut = answer(&router, "/api/v1/sites/ubnd-loc-hung");
    let wan = &cut["uptime"][0]["links"]["wan-vnpt"];
    // 30 minutes of a day; the last three seconds are held over.
    assert_eq!(wan["down_ms"], 30 * MINUTE);
    assert_eq!(wan["outages"], 1);
    assert_eq!(wan["longest_outage"]["start_local"], "2026-11-23T12:42:48.25+07:00");
}

#[test]
fn a_timeline_is_gap_free_and_names_reasons() {
    let (router, _folder) = served(&province());
    let path = "/api/v1/sites/ubnd-don-thuan/timeline?link=wan-vnpt&from=-50h&to=now";
    let timeline = answer(&router, path);
    let rows: Vec<_> = timeline["intervals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["duration_ms"].as_i64().unwrap() / HOUR, row["state"].clone(), row["why"].clone()))
        .collect();
    let expected = [
        (10, json!("unknown"), json!("not_equipped")),
        (39, json!("up"), json!(null)),
        (1, json!("unknown"), json!("silent")),
    ];
    assert_eq!(rows, expected);
    assert_eq!(timeline["intervals"][1]["end_local"], "2026-11-23T12:12:48.25+07:00");
    let default = answer(&router, "/api/v1/sites/ubnd-don-thuan/timeline");
    assert_eq!(default["window"]["start"], NOW.0 - 24 * HOUR, "the default window is the last 24 hours");
    assert_eq!(default["link"], json!(null));
}

#[test]
fn coverage_is_told_for_an_instant_and_for_a_window() {
    let (router, _folder) = served(&province());
    let now = answer(&router, "/api/v1/coverage");
    let total = &now["total"];
    assert_eq!(
        (&total["registered"], &total["covered"], &total["not_covered"], &total["unknown"]),
        (&json!(5), &json!(2), &json!(2), &json!(1))
    );
    assert_eq!((&total["low"], &total["high"]), (&json!(0.4), &json!(0.6)));
    assert_eq!((&now["at"], &now["window"]), (&json!(NOW.0), &json!(null)));
    let tiers: Vec<_> = now["tiers"].as_array().unwrap().iter().map(|row| &row["standing"]).collect();
    assert_eq!(tiers, ["met", "met", "missed"]);
    let communes = answer(&router, "/api/v1/coverage?tier=commune");
    assert_eq!(
        (&communes["total"]["registered"], &communes["tiers"].as_array().unwrap().len()),
        (&json!(3), &1)
    );
    let window = answer(&router, "/api/v1/coverage?from=-2h&to=-1h");
    assert_eq!(window["at"], json!(null));
    assert_eq!((&window["total"]["registered"], &window["total"]["low"]), (&json!(5), &json!(0.8)));
    assert_eq!(window["window"]["end"], NOW.0 - HOUR);
    let day = answer(&router, "/api/v1/coverage?at=2026-11-23T08:00");
    assert_eq!((&day["at_local"], &day["total"]["low"]), (&json!("2026-11-23T08:00:00+07:00"), &json!(0.8)));
}

#[test]
fn uptime_is_told_for_each_site_and_link() {
    let (router, _folder) = served(&province());
    let all = answer(&router, "/api/v1/uptime?from=-1h");
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5 * 4);
    assert_eq!((&rows[0]["site"], &rows[0]["link"]), (&json!("du-hung-thuan"), &json!(null)));
    let one = answer(&router, "/api/v1/uptime?from=-1h&site=ubnd-loc-hung&link=wan-vnpt");
    let rows = one["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["uptime"], &rows[0]["low"], &rows[0]["kind"]),
        (&json!(0.5), &json!(0.5), &json!("wan"))
    );
    assert_eq!(answer(&router, "/api/v1/uptime?tier=province,district")["rows"].as_array().unwrap().len(), 8);
    let silent = answer(&router, "/api/v1/uptime?from=-30m&site=ubnd-don-thuan&link=lan");
    assert_eq!((&silent["rows"][0]["uptime"], &silent["rows"][0]["high"]), (&json!(null), &json!(1.0)));
}

#[test]
fn what_cannot_be_answered_names_parameter_finding_and_remedy() {
    let (router, _folder) = served(&province());
    let cases = [
        ("/api/v1/coverage?at=yesterday", 400, "at", "“yesterday”"),
        ("/api/v1/coverage?at=now&from=-1h", 400, "at", "either an instant or a window"),
        ("/api/v1/coverage?at=2027-01-01", 400, "at", "not after now"),
        ("/api/v1/coverage?form=-1h", 400, "form", "one of the parameters at, from, to, tier"),
        ("/api/v1/coverage?from=-1h&from=-2h", 400, "from", "once"),
        ("/api/v1/coverage?from=-1h&to=-2h", 400, "from", "before to=-2h"),
        ("/api/v1/uptime?from=2027-01-01", 400, "from", "before now"),
        ("/api/v1/uptime?tier=comune", 400, "tier", "one or more of province, district, commune"),
        ("/api/v1/uptime?site=ubnd-loc-hug", 404, "site", "“ubnd-loc-hug”"),
        ("/api/v1/uptime?link=leitung", 400, "link", "a link's name"),
        ("/api/v1/uptime?link=wan-fpt", 404, "link", "“wan-fpt”"),
        ("/api/v1/sites?verdict=down", 400, "verdict", "one or more of online"),
        ("/api/v1/sites/trung-tam?from=-1h", 400, "from", "no parameters here"),
        ("/api/v1/sites/nirgends", 404, "id", "“nirgends”"),
        ("/api/v1/sites/nirgends/timeline", 404, "id", "“nirgends”"),
        ("/api/v1/sites/N%20%C3%AA/timeline?from=-1h", 404, "id", "“N ê”"),
        ("/api/v1/sites/trung-tam/timeline?link=wan", 404, "link", "a link of trung-tam"),
        ("/api/v1/overview?x=1", 400, "x", "no parameters here"),
    ];
    for (path, status, parameter, words) in cases {
        let (found, headers, body) = get(&router, path);
        assert_eq!(found, status, "{path}: {body}");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["parameter"], parameter, "{path}");
        assert_eq!(problem["status"], status, "{path}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{path}: {detail}");
        assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{path}");
    }
    let problem: Value = serde_json::from_str(&get(&router, "/api/v1/uptime?site=ubnd-loc-hug").2).unwrap();
    assert_eq!(problem["remedy"], "did you mean ubnd-loc-hung?");
    let (status, _, body) = get(&router, "/api/v1/nothing");
    assert_eq!(status, 404);
    assert!(body.contains("openapi.json"), "{body}");
    let post = Request::post("/api/v1/coverage").body(Body::empty()).unwrap();
    assert_eq!(ask(&router, post).0, 405);
}

#[test]
fn an_overview_is_told_again_only_when_something_changed() {
    let state = province();
    let (router, _folder) = served(&state);
    let overview = answer(&router, "/api/v1/overview");
    assert_eq!(overview["counts"]["wan_down"], 1);
    assert_eq!(overview["counts"]["maintenance"], 0);
    assert_eq!(overview["sites"].as_array().unwrap().len(), 5);
    assert_eq!(overview["sites"][4]["kinds"], json!({ "internet": "up", "lan": "up", "wan": "down" }));
    assert_eq!(overview["coverage"]["total"]["low"], 0.4);
    let (_, headers, _) = get(&router, "/api/v1/overview");
    let etag = headers[header::ETAG].clone();
    let asked = |router: &axum::Router| {
        let request = Request::get("/api/v1/overview").header(header::IF_NONE_MATCH, etag.clone());
        ask(router, request.body(Body::empty()).unwrap())
    };
    assert_eq!((asked(&router).0, asked(&router).2), (304, String::new()));
    paint(&state, "ubnd-don-thuan", "wan-vnpt", HOUR, 3_000, Outcome::Down);
    let (router, _folder) = served(&state);
    assert_eq!(asked(&router).0, 200, "another verdict is another answer");
}

#[test]
fn large_answers_are_compressed_for_those_who_can_read_it() {
    let (router, _folder) = served(&province());
    let request = Request::get("/api/v1/overview").header(header::ACCEPT_ENCODING, "gzip");
    let (status, headers, _) = ask(&router, request.body(Body::empty()).unwrap());
    assert_eq!((status, headers[header::CONTENT_ENCODING].to_str().unwrap()), (200, "gzip"));
}

#[test]
fn the_document_describes_every_address_and_every_answer() {
    let (router, _folder) = served(&province());
    let document = answer(&router, "/api/v1/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let incidents = answer(&router, "/api/v1/incidents?from=-7d");
    let incident = incidents["incidents"][0]["id"].as_str().unwrap();
    let one = format!("/api/v1/incidents/{incident}");
    let one_in_french = format!("{one}?lang=fr");
    let of_incident = [one.as_str(), &one_in_french, "/api/v1/incidents/x"];
    let asked: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("/healthz", &["/healthz"][..]),
        ("/readyz", &["/readyz"]),
        ("/metrics", &["/metrics"]),
        ("/api/v1/openapi.json", &["/api/v1/openapi.json"]),
        ("/api/v1/overview", &["/api/v1/overview", "/api/v1/overview?x=1"]),
        ("/api/v1/sites", &["/api/v1/sites", "/api/v1/sites?tier=x"]),
        (
            "/api/v1/sites/{id}",
            &["/api/v1/sites/trung-tam", "/api/v1/sites/du-hung-thuan", "/api/v1/sites/x"],
        ),
        (
            "/api/v1/sites/{id}/timeline",
            &[
                "/api/v1/sites/ubnd-don-thuan/timeline?from=-50h",
                "/api/v1/sites/ubnd-don-thuan/timeline?link=lan",
                "/api/v1/sites/x/timeline",
                "/api/v1/sites/trung-tam/timeline?to=x",
            ],
        ),
        (
            "/api/v1/sites/{id}/quality",
            &[
                "/api/v1/sites/trung-tam/quality",
                "/api/v1/sites/ubnd-don-thuan/quality?from=-50h&link=lan",
                "/api/v1/sites/x/quality",
                "/api/v1/sites/trung-tam/quality?step=x",
            ],
        ),
        (
            "/api/v1/incidents",
            &["/api/v1/incidents?from=-7d", "/api/v1/incidents?site=x", "/api/v1/incidents?kind=x"],
        ),
        ("/api/v1/incidents/{id}", &of_incident),
        ("/api/v1/agents", &["/api/v1/agents", "/api/v1/agents?x=1"]),
        (
            "/api/v1/coverage",
            &["/api/v1/coverage?by=carrier&trend=day", "/api/v1/coverage?from=-7d", "/api/v1/coverage?at=x"],
        ),
        ("/api/v1/reach", &["/api/v1/reach", "/api/v1/reach?from=-7d", "/api/v1/reach?at=x"]),
        ("/api/v1/uptime", &["/api/v1/uptime", "/api/v1/uptime?site=x", "/api/v1/uptime?from=x"]),
    ]);
    // What is served beside the store has tests of its own, in the modules that serve it.
    let by_store = ["/api/v1/planned", "/api/v1/report", "/api/v1/alerts", "/api/v1/silences"];
    let (beside, here): (BTreeSet<&str>, BTreeSet<&str>) =
        paths.into_iter().partition(|path| by_store.iter().any(|root| path.starts_with(root)));
    assert_eq!(beside.len(), 8);
    assert_eq!(here, asked.keys().copied().collect());
    for (template, requests) in asked {
        let operation = &document["paths"][template]["get"];
        for request in requests {
            let (status, headers, body) = get(&router, request);
            let described = &operation["responses"][status.to_string()];
            assert!(described.is_object(), "{request} answers {status}, which is not described");
            let media = headers[header::CONTENT_TYPE].to_str().unwrap().split(';').next().unwrap().to_owned();
            let schema = &described["content"][media.as_str()]["schema"];
            assert!(schema.is_object(), "{request}: {status} with {media} is not described: {described}");
            if media.ends_with("json") {
                let value: Value = serde_json::from_str(&body).unwrap();
                if let Err(wrong) = conforms(&document, schema, &value, "$") {
                    panic!("{request}: {wrong}");
                }
            }
        }
        // Each described parameter is read, and nothing else is.
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                !parameter["description"].as_str().unwrap_or_default().is_empty(),
                "{template}: {parameter}"
            );
            if parameter["in"] == "query" {
                let name = parameter["name"].as_str().unwrap();
                let id = if template.starts_with("/api/v1/incidents") { incident } else { "trung-tam" };
                let path = template.replace("{id}", id);
                let (status, _, body) = get(&router, &format!("{path}?{name}="));
                assert_eq!(status, 200, "{template}: {name}: {body}");
            }
        }
    }
}

/// Whether a value has the shape that a schema describes: types, required and known properties, enumerations.
pub(crate) fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target =
            document.pointer(&reference[1..]).ok_or_else(|| format!("{at}: {reference} is nowhere"))?;
        return conforms(document, target, value, at);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        parts.iter().try_for_each(|part| conforms_open(document, part, value, at))?;
        let known: BTreeSet<String> = parts.iter().flat_map(|part| properties(document, part)).collect();
        return only_known(&known, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits: Vec<_> = choices.iter().map(|choice| conforms(document, choice, value, at)).collect();
        return if fits.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{at}: {fits:?}")) };
    }
    conforms_open(document, schema, value, at)?;
    if schema["properties"].is_object() {
        only_known(&properties(document, schema), value, at)?;
    }
    Ok(())
}

fn conforms_open(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target =
            document.pointer(&reference[1..]).ok_or_else(|| format!("{at}: {reference} is nowhere"))?;
        return conforms_open(document, target, value, at);
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().try_for_each(|part| conforms_open(document, part, value, at));
    }
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: the type {other} is none"),
    };
    let fits = match &schema["type"] {
        Value::Array(types) => types.iter().any(is),
        Value::String(_) => is(&schema["type"]),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(format!("{at}: no type in {schema}"));
        }
    };
    if !fits {
        return Err(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at}: {value} is none of {words:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{at}: {name} is missing"));
        }
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            conforms(document, schema, value, &format!("{at}.{name}"))?;
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item, &format!("{at}[]"))?;
    }
    if schema["additionalProperties"].is_object() {
        for (name, value) in value.as_object().into_iter().flatten() {
            conforms(document, &schema["additionalProperties"], value, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

fn properties(document: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return properties(document, document.pointer(&reference[1..]).unwrap());
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().flat_map(|part| properties(document, part)).collect();
    }
    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn only_known(known: &BTreeSet<String>, value: &Value, at: &str) -> Result<(), String> {
    match value.as_object().into_iter().flatten().find(|(name, _)| !known.contains(*name)) {
        Some((name, _)) => Err(format!("{at}.{name} is not described")),
        None => Ok(()),
    }
}

/// The province with planned works: of the carrier at a site whose WAN is down, and of a whole tier.
fn with_planned(drafts: &[crate::planned::draft::Draft<'_>]) -> Arc<State> {
    use crate::planned::draft::Known;
    use crate::planned::{PlannedId, PlannedWindow};
    let state = province();
    let directory = state.directory();
    let config = &state.config;
    let mut sites: Vec<Site> = directory.register.sites().cloned().collect();
    for link in sites.iter_mut().flat_map(|site| &mut site.links) {
        link.carrier = (link.name.as_str() == "wan-vnpt").then(|| "VNPT".to_owned());
    }
    let register = Register::new(sites).unwrap();
    let known = Known { register: &register, plan: &config.plan, zone: &config.timezone, now: NOW };
    let works = drafts.iter().map(|draft| draft.read("binh", &known).unwrap());
    let windows =
        (1..).zip(works).map(|(id, work)| PlannedWindow { id: PlannedId(id), work, removed: None }).collect();
    let secrets = directory.runtimes.keys().map(|site| AgentSecret {
        site: site.clone(),
        hash: wan_hash(site.as_str()),
        issued: NOW.plus_millis(-40 * HOUR),
        revoked: None,
    });
    let snapshot = Snapshot {
        revision: 2,
        register,
        secrets: secrets.collect(),
        rotation: Rotation::default(),
        planned: Planned::new(windows),
    };
    drop(directory);
    state.replace_register(snapshot);
    state
}

#[test]
fn planned_works_are_the_verdict_of_their_site_and_in_none_of_its_figures() {
    use crate::planned::draft::Draft;
    let works = Draft {
        site: Some("ubnd-loc-hung"),
        from: Some("-20m"),
        to: Some("-0s"),
        reason: Some("thay cáp <b>"),
        ..Draft::default()
    };
    let (router, _folder) = served(&with_planned(&[Draft { to: Some("2026-11-23T14:00"), ..works }]));
    let site = answer(&router, "/api/v1/sites/ubnd-loc-hung");
    assert_eq!((&site["verdict"], &site["rule"]), (&json!("maintenance"), &json!("planned")));
    assert_eq!(site["since"], NOW.0 - 20 * MINUTE);
    let window = &site["planned"][0];
    assert_eq!(
        (&window["id"], &window["added_by"], &window["reason"]),
        (&json!(1), &json!("binh"), &json!("thay cáp <b>"))
    );
    assert_eq!(answer(&router, "/api/v1/sites/trung-tam")["planned"], json!([]));
    let wan = &site["uptime"][0]["links"]["wan-vnpt"];
    assert_eq!((&wan["down_ms"], &wan["planned_ms"]), (&json!(10 * MINUTE), &json!(20 * MINUTE)));
    let row = |query: &str| {
        let path = format!("/api/v1/uptime?site=ubnd-loc-hung&link=wan-vnpt&from=-1h{query}");
        let answer = answer(&router, &path);
        (answer["hours"].clone(), answer["planned"].clone(), answer["rows"][0].clone())
    };
    let (hours, planned, excluded) = row("");
    assert_eq!((hours, planned), (json!("all"), json!("exclude")));
    assert_eq!((&excluded["uptime"], &excluded["planned_ms"]), (&json!(0.75), &json!(20 * MINUTE)));
    let (_, _, up) = row("&planned=up");
    assert_eq!((&up["down_ms"], &up["planned_ms"]), (&json!(10 * MINUTE), &json!(0)));
    let (_, _, ignored) = row("&planned=ignore");
    assert_eq!(ignored["down_ms"], json!(30 * MINUTE));
    // 13:12 is a quarter past the hour before the afternoon's service begins: nothing of the hour counts.
    let (_, _, service) = row("&hours=service");
    assert_eq!((&service["uptime"], &service["outside_ms"]), (&json!(null), &json!(HOUR)));
    for bad in ["hours=some", "planned=maybe", "period=2026-13", "period=2026-12", "period=2026-11&from=-1h"]
    {
        let (status, _, body) = get(&router, &format!("/api/v1/uptime?{bad}"));
        assert_eq!(status, 400, "{bad}: {body}");
    }
    let quarter = answer(&router, "/api/v1/uptime?period=2026-Q4");
    assert_eq!(quarter["window"]["start_local"], "2026-10-01T00:00:00+07:00");
    assert_eq!(quarter["window"]["end"], NOW.0, "cut to now");
}

#[test]
fn works_of_a_carrier_are_maintenance_only_where_they_are_what_is_missing() {
    use crate::planned::draft::Draft;
    let works = Draft {
        carrier: Some("VNPT"),
        from: Some("-20m"),
        to: Some("2026-11-23T14:00"),
        reason: Some("bảo trì"),
        ..Draft::default()
    };
    let state = with_planned(&[works]);
    let verdict = || {
        let (router, _folder) = served(&state);
        let site = answer(&router, "/api/v1/sites/ubnd-loc-hung");
        (site["verdict"].clone(), site["planned"].as_array().unwrap().len())
    };
    assert_eq!(verdict(), (json!("maintenance"), 1));
    paint(&state, "ubnd-loc-hung", "lan", 3_000, 2_000, Outcome::Down);
    assert_eq!(verdict(), (json!("wan_down"), 1), "the LAN is not the carrier's");
}
