//! Pushing to real HTTP servers on this host.

use std::path::Path;

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
use crate::queue::DataFolder;
use crate::queue::record::Record;
use crate::watch::{LinkRound, TargetResult};

mod outage;

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
        targets: vec![TargetResult { series: Arc::new(series), facts, note: None, certificate_end: None }],
    }
}

fn pusher_with(urls: &[String], secret: Secret) -> Pusher {
    pusher_in(urls, secret, None)
}

/// With its queue's disk in a folder.
fn pusher_in(urls: &[String], secret: Secret, data: Option<&Path>) -> Pusher {
    pusher_of(urls, secret, data, Duration::from_secs(10), QueueConfig::default())
}

/// With the limit of one push, where that is what the test is about.
fn pusher_within(urls: &[String], timeout: Duration) -> Pusher {
    pusher_of(urls, Secret::Inline("wan_test".into()), None, timeout, QueueConfig::default())
}

fn pusher_of(
    urls: &[String],
    secret: Secret,
    data: Option<&Path>,
    timeout: Duration,
    config: QueueConfig,
) -> Pusher {
    crate::install_crypto();
    let endpoint = |(at, url): (usize, &String)| Endpoint {
        url: format!("{url}/api/v1/write"),
        host: "127.0.0.1".into(),
        path: if at == 0 { LinkKind::Wan } else { LinkKind::Internet }.into(),
        interface: None,
        source: None,
    };
    let collector = Collector {
        urls: urls.iter().enumerate().map(endpoint).collect(),
        secret,
        ca_file: None,
        timeout,
        pins: Vec::new(),
    };
    // The rounds of these tests are of 1970.
    let config = QueueConfig { max_age: Duration::MAX, ..config };
    let queue = Arc::new(Queue::new(config.clone(), "", data.map(|data| DataFolder(data.to_owned()))));
    let timekeeper = Timekeeper::open(None, &Boot::default(), UnixMillis(1_700_000_000_000));
    let telemetry = Telemetry::new(&Config::default(), Boot::default(), timekeeper.clone());
    let board = Board::new(&collector, 0);
    let central = Central::open(Config::default());
    let pusher = Pusher::new(collector, &config, queue, telemetry, timekeeper, central, board);
    // These are about pushes: the hello has tests of its own.
    pusher.state().is_greeted = true;
    pusher
}

fn pusher(server: &MockServer) -> Pusher {
    pusher_with(&[server.uri()], Secret::Inline("wan_test".into()))
}

fn add(pusher: &Pusher, numbers: impl IntoIterator<Item = i64>) {
    for number in numbers {
        assert_eq!(pusher.queue.push(Record::of(&round(number), pusher.queue.boot())), None);
    }
}

fn waiting(pusher: &Pusher) -> u64 {
    pusher.queue.figures().rounds
}

/// How long anything may take on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// What hangs takes longer than any patience.
const HANGS: Duration = Duration::from_secs(600);

/// Waits until `check` says yes.
async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let began = clock::monotonic();
    while !check().await {
        assert!(clock::monotonic().duration_since(began) < PATIENCE, "{what}: not so within {PATIENCE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Runs its tasks until `check` says yes.
async fn run_until(pusher: Pusher, what: &str, check: impl AsyncFn() -> bool) -> Pusher {
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    tick.notify_one();
    let stopping = async {
        until(what, check).await;
        stop.cancel();
    };
    let (pusher, ()) = tokio::join!(pusher.run(&tick, stop.clone()), stopping);
    pusher
}

/// Runs its tasks until nothing waits.
async fn run_until_sent(pusher: Pusher) -> Pusher {
    let queue = Arc::clone(&pusher.queue);
    run_until(pusher, "all is sent", async || queue.figures().rounds == 0).await
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
    let pusher = pusher(&server);
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
        let pusher = pusher(&server);
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
    let pusher = pusher_with(&[server.uri()], Secret::File(file.clone()));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 1);
    assert_eq!(requests(&server).await.len(), 1, "the same secret is not tried twice");
    std::fs::write(&file, "wan_new\n").unwrap();
    pusher.state().paths.forgive();
    add(&pusher, [2]);
    let pusher = run_until_sent(pusher).await;
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
    let pusher = pusher_with(&[server.uri()], Secret::File(file));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    assert_eq!(pusher.state().counts.failed, 0);
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_ended_where_the_former_secret_is_refused() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (file, next) = (folder.path().join("secret"), folder.path().join("secret.next"));
    std::fs::write(&file, "wan_old\n").unwrap();
    let secret = crate::secret::Secret::generate().unwrap();
    secret.keep(&next).unwrap();
    let known = format!("Bearer {}", secret.line().trim());
    let good = Mock::given(method("POST")).and(header("authorization", known.as_str()));
    good.respond_with(accepted().insert_header("wan-time", "1800000000000")).mount(&server).await;
    answer(&server, ResponseTemplate::new(401)).await;
    let pusher = pusher_with(&[server.uri()], Secret::File(file.clone()));
    add(&pusher, [1]);
    pusher.push().await;
    assert_eq!((waiting(&pusher), pusher.state().counts.failed), (0, 0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret.line());
    assert!(!next.exists());
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
    ];
    let with_limit = kept.map(|(response, least)| (response, least, Duration::from_secs(10)));
    let hangs = (accepted().set_delay(HANGS), 0, Duration::from_millis(500));
    for (response, least, limit) in with_limit.into_iter().chain([hangs]) {
        let server = MockServer::start().await;
        answer(&server, response).await;
        let pusher = pusher_within(&[server.uri()], limit);
        add(&pusher, [1]);
        let began = clock::monotonic();
        pusher.push().await;
        assert!(clock::monotonic().duration_since(began) < PATIENCE);
        assert_eq!(waiting(&pusher), 1);
        assert_eq!(pusher.state().counts.failed, 1);
        assert!(pusher.state().paths.next_ready().unwrap() >= Duration::from_secs(least));
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_for_good_is_counted_and_lets_the_rest_through() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(400)
        .insert_header("x-prometheus-remote-write-samples-written", "0")
        .set_body_string("wan_round_sent: too old");
    answer(&server, refusal).await;
    let pusher = pusher(&server);
    add(&pusher, [1, 2]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    let counts = pusher.state().counts;
    assert_eq!((counts.refused, counts.set_aside_samples), (1, 6));
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_fits() {
    let server = MockServer::start().await;
    let small = |request: &Request| rounds_in(request).0.len() <= 2;
    Mock::given(small).respond_with(accepted()).mount(&server).await;
    answer(&server, ResponseTemplate::new(413)).await;
    let pusher = pusher(&server);
    add(&pusher, 1..=8);
    let pusher = run_until_sent(pusher).await;
    assert_eq!(waiting(&pusher), 0);
    assert_eq!(pusher.state().counts.set_aside_samples, 0);
}

#[tokio::test]
async fn after_an_outage_the_newest_goes_first_and_the_backlog_follows_in_bounded_requests() {
    let server = MockServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    for data in [None, Some(folder.path())] {
        server.reset().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(503))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        answer(&server, accepted()).await;
        let pusher = pusher_in(&[server.uri()], Secret::Inline("wan_test".into()), data);
        add(&pusher, 1..=700);
        for number in 701..=702 {
            pusher.state().paths.forgive();
            add(&pusher, [number]);
            pusher.push().await;
            pusher.queue.tend(pusher.now());
        }
        assert_eq!(pusher.queue.figures().disk_bytes > 0, data.is_some(), "offline, they are on the disk");
        pusher.state().paths.forgive();
        add(&pusher, [703]);
        let pusher = run_until_sent(pusher).await;
        let requests = requests(&server).await;
        let sent: Vec<Vec<i64>> = requests.iter().map(|request| rounds_in(request).0).collect();
        let lengths: Vec<usize> = sent.iter().map(Vec::len).collect();
        match data {
            None => assert_eq!(lengths, [500, 1, 1, 125, 250, 327]),
            Some(_) => assert_eq!(lengths, [500, 1, 1, 125, 250, 326, 1], "the disk first, then memory"),
        }
        assert_eq!(sent[2], [703]);
        assert_eq!((sent[3][0], sent[3][124]), (1, 125));
        assert_eq!((sent[5][0], sent[5][325]), (376, 701));
        assert!(
            rounds_in(&requests[2]).1 > 2 && rounds_in(&requests[3]).1 == 1,
            "only live pushes carry the agent's state, all carry their path"
        );
        assert_eq!(waiting(&pusher), 0);
    }
}

#[tokio::test]
async fn a_backlog_that_hangs_does_not_delay_a_live_push() {
    let server = MockServer::start().await;
    // A live push carries no more than its path either, while there is nothing to tell of the agent.
    let is_backlog = |request: &Request| {
        let (rounds, others) = rounds_in(request);
        others == 1 && rounds.iter().all(|number| *number <= 10)
    };
    Mock::given(is_backlog).respond_with(accepted().set_delay(HANGS)).mount(&server).await;
    answer(&server, accepted()).await;
    let pusher = pusher_within(&[server.uri()], HANGS);
    add(&pusher, 1..=10);
    let left = pusher.queue.take_live(1, &pusher.timekeeper);
    pusher.queue.put_back(&left);
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    let queue = Arc::clone(&pusher.queue);
    let has =
        async |rounds: &[i64]| requests(&server).await.iter().any(|request| rounds_in(request).0 == rounds);
    let ticking = async {
        for number in 11..=14 {
            queue.push(Record::of(&round(number), queue.boot()));
            tick.notify_one();
            until("a live push", async || has(&[number]).await).await;
            until("the backlog", async || has(&(1..=10).collect::<Vec<_>>()).await).await;
        }
        stop.cancel();
    };
    let _ = tokio::join!(pusher.run(&tick, stop.clone()), ticking);
}

#[tokio::test]
async fn a_preferred_url_that_swallows_packets_costs_one_push_and_is_returned_to_when_it_answers() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let hangs = accepted().set_delay(HANGS);
    Mock::given(method("POST")).respond_with(hangs.clone()).up_to_n_times(1).mount(&first).await;
    Mock::given(method("GET")).respond_with(hangs).up_to_n_times(1).mount(&first).await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(404)).mount(&first).await;
    answer(&first, accepted()).await;
    answer(&second, accepted()).await;
    let pusher = pusher_within(&[first.uri(), second.uri()], Duration::from_secs(3));
    let queue = Arc::clone(&pusher.queue);
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    let ticking = async {
        for number in 1.. {
            queue.push(Record::of(&round(number), queue.boot()));
            tick.notify_one();
            until("it is sent", async || !queue.has_waiting() && queue.figures().rounds == 0).await;
            if posted(&first).await.len() > 1 {
                stop.cancel();
                return number;
            }
            assert!(number < 600, "it does not return to the first");
            sleep(Duration::from_millis(100)).await;
        }
        0
    };
    let (_, last) = tokio::join!(pusher.run(&tick, stop.clone()), ticking);
    let (by_first, by_second) = (posted(&first).await, posted(&second).await);
    assert_eq!(by_first, [1, last], "the push that found out, and the first after it was back");
    assert_eq!(by_second, (1..last).collect::<Vec<_>>());
}

/// The rounds that were posted to a server.
async fn posted(server: &MockServer) -> Vec<i64> {
    let requests = requests(server).await;
    let posts = requests.iter().filter(|request| request.method.as_str() == "POST");
    posts.flat_map(|request| rounds_in(request).0).collect()
}

#[tokio::test]
async fn no_push_waits_for_the_answer_whether_a_preferred_url_is_back() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let hangs = accepted().set_delay(HANGS);
    Mock::given(method("GET")).respond_with(hangs).mount(&first).await;
    answer(&first, ResponseTemplate::new(503)).await;
    answer(&second, accepted()).await;
    let pusher = pusher_within(&[first.uri(), second.uri()], HANGS);
    let queue = Arc::clone(&pusher.queue);
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    let ticking = async {
        let send = async |number| {
            queue.push(Record::of(&round(number), queue.boot()));
            tick.notify_one();
            until("it is sent", async || !queue.has_waiting() && queue.figures().rounds == 0).await;
        };
        send(1).await;
        let asked = async || requests(&first).await.iter().any(|request| request.method.as_str() == "GET");
        until("the first is asked", asked).await;
        for number in 2..=5 {
            send(number).await;
        }
        stop.cancel();
    };
    let _ = tokio::join!(pusher.run(&tick, stop.clone()), ticking);
    assert_eq!((posted(&first).await, posted(&second).await), (vec![1], vec![1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn every_request_says_by_which_path_it_came() {
    let server = MockServer::start().await;
    answer(&server, accepted()).await;
    let pusher = pusher_with(&["http://127.0.0.1:1".into(), server.uri()], Secret::Inline("x".into()));
    add(&pusher, [1]);
    pusher.push().await;
    add(&pusher, [2, 3]);
    let left = pusher.queue.take_live(9, &pusher.timekeeper);
    pusher.queue.put_back(&left);
    let pusher = run_until_sent(pusher).await;
    assert_eq!(waiting(&pusher), 0);
    let requests = requests(&server).await;
    assert!(requests.len() >= 3);
    for request in requests.iter().filter(|request| request.method.as_str() == "POST") {
        let mut plain = Vec::new();
        decompress(&request.body, &Limits::default(), &mut plain).unwrap();
        assert!(contains(&plain, "wan_agent_path") && contains(&plain, "internet"));
    }
}

#[tokio::test]
async fn a_process_that_does_not_know_the_time_asks_for_it_before_it_pushes() {
    let server = MockServer::start().await;
    let known = ResponseTemplate::new(404).insert_header("wan-time", "1800000000000");
    let hello = Mock::given(method("GET")).and(path("/api/v1/agent/config"));
    hello.respond_with(known).expect(1).mount(&server).await;
    answer(&server, accepted().insert_header("wan-time", "1800000000000")).await;
    let pusher = pusher(&server);
    pusher.state().is_greeted = false;
    let mut before = round(1);
    before.end = Stamp { since_boot: 7, host: UnixMillis(77), synchronised: false, offset: None };
    pusher.queue.push(Record::of(&before, pusher.queue.boot()));
    pusher.push().await;
    assert!(pusher.timekeeper.anchored());
    let requests = requests(&server).await;
    assert_eq!((requests.len(), waiting(&pusher)), (2, 0));
    let since_boot = i64::try_from(clock::since_boot()).unwrap();
    let numbers = rounds_in(&requests[1]).0;
    let expected = (1_800_000_000_000 - since_boot) / 5000;
    assert!((numbers[0] - expected).abs() <= 2, "{numbers:?}, {expected}");

    // Without an answer nothing is sent, and the rounds stay as they are.
    let dead = pusher_with(&["http://127.0.0.1:1".into()], Secret::Inline("x".into()));
    dead.state().is_greeted = false;
    dead.queue.push(Record::of(&before, dead.queue.boot()));
    dead.push().await;
    assert_eq!((waiting(&dead), dead.state().counts.failed), (1, 1));
}

#[tokio::test]
async fn the_last_push_carries_what_was_cut_off_and_does_not_wait_long() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(accepted().set_delay(HANGS))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    answer(&server, accepted()).await;
    let pusher = pusher_within(&[server.uri()], HANGS);
    add(&pusher, [1]);
    let queue = Arc::clone(&pusher.queue);
    let pusher = run_until(pusher, "a push", async || !requests(&server).await.is_empty()).await;
    add(&pusher, [2]);
    pusher.last().await;
    assert_eq!(queue.figures().rounds, 0);
    assert_eq!(rounds_in(requests(&server).await.last().unwrap()).0, [1, 2]);

    let folder = tempfile::tempdir().unwrap();
    let hanging = MockServer::start().await;
    answer(&hanging, accepted().set_delay(HANGS)).await;
    let secret = Secret::Inline("x".into());
    let dead = pusher_of(&[hanging.uri()], secret, Some(folder.path()), HANGS, QueueConfig::default());
    add(&dead, [1, 2, 3]);
    let began = clock::monotonic();
    dead.last().await;
    assert!(clock::monotonic().duration_since(began) < PATIENCE);

    // The next process finds them, once it has opened its disk.
    let pusher = pusher_in(&[server.uri()], Secret::Inline("x".into()), Some(folder.path()));
    add(&pusher, [4]);
    let found = async || requests(&server).await.iter().any(|request| rounds_in(request).0 == [1, 2, 3]);
    run_until(pusher, "those on the disk", found).await;
    let sent: Vec<Vec<i64>> = requests(&server).await.iter().map(|request| rounds_in(request).0).collect();
    assert_eq!(sent[sent.len() - 2..], [vec![4], vec![1, 2, 3]]);
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
