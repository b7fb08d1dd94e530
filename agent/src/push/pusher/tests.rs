//! Pushing to real HTTP servers on this host.

use wan_wire::{
    Decoder, Limits, LinkKind, Metric, OutcomeRule, ProbeKind, RoundFacts, Scratch, UnixMillis, decompress,
};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::clock::{Stamp, Timekeeper};
use crate::config::{Config, Endpoint, QueueConfig, Secret};
use crate::link::Boot;
use crate::plan::Series;
use crate::watch::{LinkRound, TargetResult};

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn round(number: i64) -> LinkRound {
    let series =
        Series { link: LinkKind::Wan.into(), probe: ProbeKind::Icmp, target: "10.0.0.1".into(), about: None };
    let facts = RoundFacts { sent: 5, ..RoundFacts::default() };
    LinkRound {
        link: LinkKind::Wan.into(),
        rule: OutcomeRule::default(),
        end: Stamp::at(UnixMillis(5000 * number)),
        interval: Duration::from_secs(5),
        targets: vec![TargetResult { series: Arc::new(series), facts, note: None }],
    }
}

fn pusher_with(urls: &[String], secret: Secret) -> Pusher {
    crate::install_crypto();
    let endpoint = |url: &String| Endpoint {
        url: format!("{url}/api/v1/write"),
        host: "127.0.0.1".into(),
        path: wan_wire::LinkKind::Wan.into(),
        interface: None,
        source: None,
    };
    let collector = Collector {
        urls: urls.iter().map(endpoint).collect(),
        secret,
        ca_file: None,
        timeout: Duration::from_millis(500),
        pins: Vec::new(),
    };
    let queue = Arc::new(Mutex::new(Queue::new(QueueConfig::default().memory)));
    let timekeeper = Timekeeper::open(None, &Boot::default(), UnixMillis(0));
    Pusher::new(collector, queue, Telemetry::new(&Config::default(), Boot::default(), timekeeper))
}

fn pusher(server: &MockServer) -> Pusher {
    pusher_with(&[server.uri()], Secret::Inline("wan_test".into()))
}

fn add(pusher: &Pusher, numbers: impl IntoIterator<Item = i64>) {
    numbers.into_iter().for_each(|number| assert_eq!(lock(&pusher.queue).push(&round(number)), None));
}

fn waiting(pusher: &Pusher) -> usize {
    lock(&pusher.queue).rounds()
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(204).insert_header("X-Prometheus-Remote-Write-Samples-Written", "1")
}

async fn answer(server: &MockServer, response: ResponseTemplate) {
    Mock::given(method("POST")).and(path("/api/v1/write")).respond_with(response).mount(server).await;
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// The rounds in a request, by number in the order of their series' samples, and how many series of other metrics there are.
fn rounds_in(request: &Request) -> (Vec<i64>, usize) {
    let kind = request.headers.get("content-type").unwrap().to_str().unwrap();
    let protocol = if kind == V2 { Protocol::V2 } else { Protocol::V1 };
    let (limits, mut plain) = (Limits::default(), Vec::new());
    decompress(&request.body, &limits, &mut plain).unwrap();
    let mut scratch = Scratch::default();
    let mut decoder = Decoder::new(protocol, &plain, &mut scratch, &limits).unwrap();
    let (mut rounds, mut others) = (Vec::new(), 0);
    while let Some(series) = decoder.next_series().unwrap() {
        let key = series.key.unwrap().to_vec();
        if contains(&key, Metric::RoundSent.as_str()) {
            rounds.extend(series.samples.iter().map(|sample| sample.time.0 / 5000));
        } else if contains(&key, "wan_agent_") || contains(&key, "wan_interface_") {
            others += 1;
        }
    }
    (rounds, others)
}

fn contains(key: &[u8], text: &str) -> bool {
    key.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn a_push_carries_the_rounds_and_the_agents_own_state_and_is_deleted_after_2xx() {
    let server = MockServer::start().await;
    answer(&server, accepted()).await;
    let mut pusher = pusher(&server);
    add(&pusher, [1, 2, 3]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    let requests = requests(&server).await;
    assert_eq!(requests.len(), 1);
    let head = |name: &str| requests[0].headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(head("authorization"), "Bearer wan_test");
    assert_eq!(head("content-type"), V2);
    assert_eq!(head("content-encoding"), "snappy");
    assert_eq!(head("x-prometheus-remote-write-version"), "2.0.0");
    let (rounds, others) = rounds_in(&requests[0]);
    assert_eq!(rounds, [1, 2, 3]);
    assert!(others >= 8, "{others}");
}

#[tokio::test]
async fn a_receiver_of_1_0_is_spoken_to_in_1_0() {
    // One says so, the other acknowledges what it did not understand.
    for response in [ResponseTemplate::new(415), ResponseTemplate::new(204)] {
        let server = MockServer::start().await;
        let v2 = Mock::given(method("POST")).and(header("content-type", V2)).respond_with(response);
        v2.expect(1).mount(&server).await;
        let v1 = Mock::given(method("POST")).and(header("content-type", "application/x-protobuf"));
        v1.respond_with(ResponseTemplate::new(204)).expect(2).mount(&server).await;
        let mut pusher = pusher(&server);
        add(&pusher, [1]);
        pusher.push().await;
        assert_eq!(waiting(&pusher), 0);
        add(&pusher, [2]);
        pusher.push().await;
        let requests = requests(&server).await;
        assert_eq!(rounds_in(&requests[1]).0, [1]);
        assert_eq!(rounds_in(&requests[2]).0, [2]);
    }
}

#[tokio::test]
async fn a_changed_secret_is_read_again_after_401_and_the_data_is_kept() {
    let server = MockServer::start().await;
    let good = Mock::given(method("POST")).and(header("authorization", "Bearer wan_new"));
    good.respond_with(accepted()).expect(2).mount(&server).await;
    answer(&server, ResponseTemplate::new(401)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "wan_old\n").unwrap();
    let mut pusher = pusher_with(&[server.uri()], Secret::File(file.clone()));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 1);
    assert_eq!(requests(&server).await.len(), 1, "the same secret is not tried twice");
    std::fs::write(&file, "wan_new\n").unwrap();
    pusher.paths.forgive();
    add(&pusher, [2]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    let requests = requests(&server).await;
    assert_eq!((rounds_in(&requests[1]).0, rounds_in(&requests[2]).0), (vec![2], vec![1]));
}

#[tokio::test]
async fn a_secret_that_changes_while_it_is_refused_is_tried_at_once() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "wan_old\n").unwrap();
    let rotated = file.clone();
    let refuse = move |_: &Request| {
        std::fs::write(&rotated, "wan_new\n").unwrap();
        ResponseTemplate::new(401)
    };
    let old = Mock::given(method("POST")).and(header("authorization", "Bearer wan_old"));
    old.respond_with(refuse).expect(1).mount(&server).await;
    answer(&server, accepted()).await;
    let mut pusher = pusher_with(&[server.uri()], Secret::File(file));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    assert_eq!(pusher.counts.failed, 0);
}

#[tokio::test]
async fn what_may_pass_is_kept_and_asked_again_not_sooner_than_the_peer_wants() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>log in</html>", "text/html; charset=utf-8");
    let elsewhere = ResponseTemplate::new(307).insert_header("location", "/elsewhere");
    let kept = [
        (ResponseTemplate::new(429).insert_header("retry-after", "30"), 30),
        (ResponseTemplate::new(503).insert_header("retry-after", "7"), 7),
        (ResponseTemplate::new(500).set_body_string("x".repeat(100_000)), 0),
        (ResponseTemplate::new(502), 0),
        (ResponseTemplate::new(404), 0),
        (elsewhere, 0),
        (html, 0),
        (accepted().set_delay(Duration::from_secs(5)), 0),
    ];
    for (response, least) in kept {
        let server = MockServer::start().await;
        answer(&server, response).await;
        let mut pusher = pusher(&server);
        add(&pusher, [1]);
        let began = clock::monotonic();
        pusher.push().await;
        assert!(clock::monotonic().duration_since(began) < Duration::from_secs(2));
        assert_eq!(waiting(&pusher), 1);
        assert_eq!(pusher.counts.failed, 1);
        assert!(pusher.paths.next_ready().unwrap() >= Duration::from_secs(least));
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_counted_and_lets_the_rest_through() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(400).set_body_string("wan_round_sent: too old")).await;
    let mut pusher = pusher(&server);
    add(&pusher, [1, 2]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    assert_eq!((pusher.counts.refused, pusher.counts.set_aside_samples), (1, 6));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let server = MockServer::start().await;
    let small = |request: &Request| rounds_in(request).0.len() <= 2;
    Mock::given(small).respond_with(accepted()).mount(&server).await;
    answer(&server, ResponseTemplate::new(413)).await;
    let mut pusher = pusher(&server);
    add(&pusher, 1..=8);
    for _ in 0..4 {
        pusher.push().await;
    }
    assert_eq!(waiting(&pusher), 0);
    assert_eq!(pusher.counts.set_aside_samples, 0);
}

#[tokio::test]
async fn after_an_outage_the_newest_goes_first_and_the_backlog_follows_in_bounded_requests() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    answer(&server, accepted()).await;
    let mut pusher = pusher(&server);
    add(&pusher, 1..=700);
    for number in 701..=703 {
        pusher.paths.forgive();
        add(&pusher, [number]);
        pusher.push().await;
    }
    let requests = requests(&server).await;
    let sent: Vec<Vec<i64>> = requests.iter().map(|request| rounds_in(request).0).collect();
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [500, 1, 1, 500]);
    assert_eq!(sent[2], [703]);
    assert_eq!((sent[3][0], sent[3][499]), (1, 500));
    assert!(rounds_in(&requests[2]).1 > 0 && rounds_in(&requests[3]).1 == 0, "only live pushes carry state");
    assert_eq!(waiting(&pusher), 202);
}

#[tokio::test]
async fn the_second_url_is_used_while_the_first_is_dead_and_left_when_it_is_back() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let down = Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1);
    down.mount(&first).await;
    answer(&first, accepted()).await;
    answer(&second, accepted()).await;
    let mut pusher = pusher_with(&[first.uri(), second.uri()], Secret::Inline("x".into()));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    pusher.paths.forgive();
    add(&pusher, [2]);
    pusher.push().await;
    assert_eq!(rounds_in(&requests(&second).await[0]).0, [1]);
    assert_eq!(rounds_in(&requests(&first).await[1]).0, [2]);
    assert_eq!((requests(&first).await.len(), requests(&second).await.len()), (2, 1));
}

#[tokio::test]
async fn the_last_push_carries_what_was_cut_off_and_does_not_wait_long() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(accepted().set_delay(Duration::from_millis(400)))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    answer(&server, accepted()).await;
    let pusher = pusher(&server);
    add(&pusher, [1]);
    let queue = Arc::clone(&pusher.queue);
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    tick.notify_one();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        stop.cancel();
    };
    let (pusher, ()) = tokio::join!(pusher.run(&tick, stop.clone()), stopping);
    add(&pusher, [2]);
    pusher.last().await;
    assert_eq!(lock(&queue).rounds(), 0);
    assert_eq!(rounds_in(requests(&server).await.last().unwrap()).0, [1, 2]);

    let dead = pusher_with(&["http://127.0.0.1:1".into()], Secret::Inline("x".into()));
    add(&dead, [1]);
    let began = clock::monotonic();
    dead.last().await;
    assert!(clock::monotonic().duration_since(began) < LAST_PUSH + Duration::from_millis(500));
}

#[tokio::test]
async fn a_collector_behind_tls_is_trusted_only_by_its_authority() {
    let port = crate::probe::tests::http_request::serve_tls();
    let told = async |ca_file: Option<&str>| {
        let url = format!("https://localhost:{port}/api/v1/write");
        let collector = Collector {
            urls: vec![Endpoint {
                url,
                host: "localhost".into(),
                path: wan_wire::LinkKind::Wan.into(),
                interface: None,
                source: None,
            }],
            secret: Secret::Inline("x".into()),
            ca_file: ca_file.map(Into::into),
            timeout: Duration::from_secs(5),
            pins: Vec::new(),
        };
        Pushing::new(collector).post(0, Protocol::V1, "x", Vec::new()).await
    };
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem");
    let good = told(Some(ca)).await;
    assert!(matches!(good.answered, Answered::Status { code: 200, .. }), "{good:?}");
    let stranger = told(None).await;
    assert_eq!(stranger.answered, Answered::Failed);
    assert!(stranger.why.contains("ertificate"), "{stranger:?}");
    let missing = told(Some("/nowhere.pem")).await;
    assert!(missing.why.contains("ca_file /nowhere.pem"), "{missing:?}");
}
