//! What an outage, and a collector that takes only a part, do to the queue and to the central configuration.

use super::*;
use crate::states::States;
use crate::status::PathState;

/// A collector that swallows each push, asked by a pusher with a queue on this disk that syncs each 200 ms.
async fn rounds_reach_the_disk_while(server: &MockServer, timeout: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let config = QueueConfig { sync: Duration::from_millis(200), ..QueueConfig::default() };
    let secret = Secret::Inline("wan_test".into());
    let pusher = pusher_of(&[server.uri()], secret, Some(folder.path()), timeout, config);
    let queue = Arc::clone(&pusher.queue);
    queue.set_offline(true);
    let (tick, stop) = (Notify::new(), CancellationToken::new());
    let rounds = async {
        for number in 1..=6 {
            queue.push(Record::of(&round(number), queue.boot()));
            tick.notify_one();
            // No push fails in all this time, and none succeeds; what the first of them carries is on the disk as well.
            // For a moment it has left the memory and is not counted on the disk yet.
            let is_on_disk = async || {
                let figures = queue.figures();
                figures.memory_bytes == 0 && figures.rounds == number.unsigned_abs()
            };
            until("what waits is on the disk", is_on_disk).await;
        }
        stop.cancel();
    };
    let _ = tokio::join!(pusher.run(&tick, stop.clone()), rounds);
}

#[tokio::test]
async fn rounds_reach_the_disk_while_a_request_hangs() {
    let server = MockServer::start().await;
    answer(&server, accepted().set_delay(HANGS)).await;
    rounds_reach_the_disk_while(&server, HANGS).await;
}

#[tokio::test]
async fn rounds_reach_the_disk_while_the_collector_wants_to_be_left_alone() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(503).insert_header("retry-after", "500")).await;
    rounds_reach_the_disk_while(&server, Duration::from_secs(10)).await;
}

fn samples_in(request: &Request) -> usize {
    let (limits, mut plain) = (Limits::default(), Vec::new());
    decompress(&request.body, &limits, &mut plain).unwrap();
    let mut scratch = Scratch::default();
    let mut decoder = Decoder::new(Protocol::V2, &plain, &mut scratch, &limits).unwrap();
    let mut samples = 0;
    while let Some(series) = decoder.next_series().unwrap() {
        samples += series.samples.len();
    }
    samples
}

fn refused() -> ResponseTemplate {
    let partly = ResponseTemplate::new(400).set_body_string("series of a link that is not this site's");
    partly.insert_header("wan-config", "\"new\"").insert_header("wan-time", "1800000000000")
}

#[tokio::test]
async fn a_push_that_is_refused_in_part_is_contact_and_counts_what_was_refused() {
    let server = MockServer::start().await;
    // Of 7 samples and more, all but two are written.
    let partly = |request: &Request| {
        let written = (samples_in(request) - 2).to_string();
        refused().insert_header("X-Prometheus-Remote-Write-Samples-Written", written.as_str())
    };
    Mock::given(method("POST")).and(path("/api/v1/write")).respond_with(partly).mount(&server).await;
    let pusher = pusher(&server);
    pusher.queue.set_offline(true);
    add(&pusher, [1, 2]);
    pusher.push().await;
    assert_eq!(waiting(&pusher), 0);
    let counts = pusher.state().counts;
    assert_eq!((counts.refused, counts.set_aside_samples, counts.delivered), (1, 2, 0));
    add(&pusher, [3]);
    assert_eq!(pusher.queue.tend_at(), None, "online: the disk is left alone");
    let queue = crate::queue_status(&pusher.queue.figures());
    let status = pusher.board.status(&pusher.timekeeper, queue, &pusher.central, &States::default());
    assert_eq!(status.collector[0].state, PathState::Works);
}

#[tokio::test]
async fn the_configuration_is_fetched_from_whoever_names_it_also_when_it_takes_no_push() {
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "500");
    let busy = busy.insert_header("wan-config", "\"new\"").insert_header("wan-time", "1800000000000");
    for response in [refused(), busy] {
        let server = MockServer::start().await;
        answer(&server, response).await;
        let config =
            ResponseTemplate::new(200).insert_header("etag", "\"new\"").set_body_string("round: {}\n");
        let asked = Mock::given(method("GET")).and(path("/api/v1/agent/config"));
        asked.respond_with(config).mount(&server).await;
        let folder = tempfile::tempdir().unwrap();
        let mut pusher = pusher(&server);
        pusher.central = Central::open(Config { data: Some(folder.path().into()), ..Config::default() });
        add(&pusher, [1]);
        let (tick, stop) = (Notify::new(), CancellationToken::new());
        tick.notify_one();
        let asking = async {
            until("it asks", async || {
                requests(&server).await.iter().any(|request| request.method.as_str() == "GET")
            })
            .await;
            stop.cancel();
        };
        let _ = tokio::join!(pusher.run(&tick, stop.clone()), asking);
    }
}
