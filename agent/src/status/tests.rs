use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::socket::{AskError, NAME, ask, serve};
use super::*;

fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        pid: 7,
        started: 1_793_466_000_000,
        now: 1_793_466_060_000,
        site: Some("xa-hung-thuan".into()),
        collector: vec![
            PathStatus {
                url: "https://10.72.0.1:8443/api/v1/write".into(),
                path: "wan".into(),
                state: PathState::Fails,
                last_success: Some(1_793_466_010_000),
                last_failure: Some(1_793_466_055_000),
                last_error: Some("no answer within 10s".into()),
            },
            PathStatus {
                url: "https://wan.example/api/v1/write".into(),
                path: "internet".into(),
                state: PathState::Works,
                last_success: Some(1_793_466_059_000),
                last_failure: None,
                last_error: None,
            },
        ],
        clock: ClockStatus { anchored: true, offset_ms: Some(-61_000), bound_ms: Some(12) },
        queue: QueueStatus {
            rounds: 12,
            memory_bytes: 2_048,
            oldest: Some(1_793_466_050_000),
            ..QueueStatus::default()
        },
        config: ConfigStatus {
            central: true,
            etag: Some("\"ab\"".into()),
            sections: vec!["round".into(), "links".into()],
            applied: Some(1_793_466_005_000),
            fetched: Some(1_793_466_050_000),
            refused: Some(RefusedStatus {
                etag: "\"cd\"".into(),
                reason: "found no link".into(),
                at: 1_793_466_050_000,
            }),
            trouble: None,
            unkept: Some("/data/central.yaml: no space".into()),
            round: RoundStatus {
                interval_ms: 10_000,
                packets: 3,
                timeout_ms: 900,
                origin: "all, tier commune".into(),
                socket: "auto".into(),
                socket_origin: "default".into(),
            },
        },
        links: vec![LinkStatus {
            link: "wan".into(),
            about: None,
            targets: vec!["icmp collector".into(), "tcp mail.example:25".into()],
            origin: "all, site".into(),
            outcome: Some("down".into()),
            since: Some(1_793_466_020_000),
            why: Some("10.72.0.1: no answer".into()),
        }],
    }
}

#[test]
fn a_status_is_told_to_people_in_their_own_time() {
    let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
    let text = show(&status(), &zone, Some(200));
    for line in [
        "wan-agent 0.1.0 for site xa-hung-thuan, process 7, since 2026-11-01 00:00:00",
        "push by wan to https://10.72.0.1:8443/api/v1/write: FAILS, last delivered 2026-11-01 00:00:10; last failed 2026-11-01 00:00:55: no answer within 10s",
        "push by internet to https://wan.example/api/v1/write: works, last delivered 2026-11-01 00:00:59",
        "clock: the host's clock is 61 s ahead of the collector's, give or take 12 ms",
        "queue: 12 rounds wait, the oldest from 2026-11-01 00:00:50; 2 KiB in memory, 0 B on disk",
        "configuration: the collector's round, links \"ab\", since 2026-11-01 00:00:05",
        "  REFUSED \"cd\" at 2026-11-01 00:00:50: found no link",
        "  NOT KEPT for the next start: /data/central.yaml: no space",
        "rounds: 3 packets in 10s, each answered within 900ms (all, tier commune); ICMP socket auto (default)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        text.contains("icmp collector, tcp mail.example:25") && text.contains("10.72.0.1: no answer"),
        "{text}"
    );
}

#[test]
fn an_agent_whose_last_pushes_all_failed_is_not_pushing() {
    let mut status = status();
    assert_eq!(status.exit_code(), exit::FINE, "one of two URLs works");
    status.collector.pop();
    assert_eq!(status.exit_code(), exit::NOT_PUSHING);
    status.collector[0].state = PathState::Untried;
    assert_eq!(status.exit_code(), exit::NOT_PUSHING);
}

async fn asked_in(folder: &Path) {
    let stop = CancellationToken::new();
    let served = serve(folder, status, &stop);
    let asks = async {
        let mut answer = ask(folder).await;
        for _ in 0..100 {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            answer = ask(folder).await;
        }
        assert_eq!(answer.unwrap(), status());
        assert_eq!(ask(folder).await.unwrap(), status(), "as often as one asks");
        let mode = std::fs::metadata(folder.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        stop.cancel();
    };
    tokio::join!(served, asks);
    assert!(matches!(ask(folder).await, Err(AskError::NotRunning(_))));
    assert!(!folder.join(NAME).exists(), "it is taken away at the end");
}

#[tokio::test]
async fn the_socket_answers_and_one_that_a_killed_agent_left_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(ask(folder.path()).await, Err(AskError::NotRunning(_))));
    assert!(matches!(ask(&folder.path().join("none")).await, Err(AskError::NotRunning(_))));
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
    assert!(matches!(ask(folder.path()).await, Err(AskError::NotRunning(_))), "nobody listens on it");
    asked_in(folder.path()).await;
}

#[tokio::test]
async fn a_folder_with_a_very_long_path_has_a_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    asked_in(&folder.path().join("x".repeat(120)).join("y".repeat(120))).await;
}

#[tokio::test]
async fn a_socket_on_which_another_agent_answers_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _first = std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap();
    // Gives up by itself.
    serve(folder.path(), status, &CancellationToken::new()).await;
    assert!(folder.path().join(NAME).exists());
}

#[tokio::test]
async fn what_is_no_answer_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(folder.path().join(NAME)).unwrap();
    let answer = async {
        use tokio::io::AsyncWriteExt as _;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"<html>").await.unwrap();
    };
    let (found, ()) = tokio::join!(ask(folder.path()), answer);
    assert!(found.unwrap_err().to_string().contains("not the answer of this version"));
}

#[test]
fn links_are_listed_with_their_origin_and_each_watched_site_by_itself() {
    use crate::central::Central;
    use crate::config::{Config, Use};
    use crate::states::States;

    let shown = |config: Config| {
        let central = Central::open(config);
        let links = board::links(&central.running(), &central.view(), &States::default());
        let line = |link: LinkStatus| {
            format!(
                "{} {} {} {}",
                link.link,
                link.about.unwrap_or("-".into()),
                link.targets.join("+"),
                link.origin
            )
        };
        links.into_iter().map(line).collect::<Vec<_>>()
    };
    let read = |text: &str| Config::parse("f", text.as_bytes(), Use::Probe).unwrap();
    assert_eq!(shown(read(""))[..1], ["lan - icmp gateway default"]);
    let central = Central::open(read("round: {interval: 2s}"));
    let round = board::round(&central.running(), &central.view());
    assert_eq!((round.interval_ms, round.origin.as_str()), (2_000, "local"));
    assert_eq!((round.socket.as_str(), round.socket_origin.as_str()), ("auto", "default"));
    let links = board::links(&central.running(), &central.view(), &States::default());
    let why: Vec<Option<&str>> = links.iter().map(|link| link.why.as_deref()).collect();
    assert_eq!(why, [None, Some("collector: not probed, no collector is configured"), None]);
    let two = "links: [{name: wan, targets: [{icmp: 10.0.0.1}, {icmp: 10.0.1.1, about: xa-a}, {tcp: '10.0.0.2:1', label: x}]}]";
    assert_eq!(shown(read(two)), ["wan - icmp 10.0.0.1+tcp x local", "wan xa-a icmp 10.0.1.1 local"]);
}

#[test]
fn of_a_link_that_the_register_adds_to_each_part_says_where_it_comes_from() {
    use crate::central::Central;
    use crate::config::{Config, Use};
    use crate::states::States;

    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse("f", b"", Use::Probe).unwrap();
    config.data = Some(folder.path().to_owned());
    let central = Central::open(config);
    let document = "round: {packets: 7}\nlinks: [{name: wan, targets: [{icmp: collector}, {icmp: 10.0.1.1, about: xa-a}]}]\n\
                    origin: {round: all, links: {wan: 'default, register'}}\n";
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(central.fetched("\"1\"".into(), document.into(), wan_wire::UnixMillis(0)));
    let links = board::links(&central.running(), &central.view(), &States::default());
    let origins: Vec<&str> = links.iter().map(|link| link.origin.as_str()).collect();
    assert_eq!(origins, ["default", "register"]);
    let round = board::round(&central.running(), &central.view());
    assert_eq!((round.packets, round.origin.as_str(), round.socket_origin.as_str()), (7, "all", "default"));
}
