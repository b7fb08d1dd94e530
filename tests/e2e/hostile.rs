//! Bad input against the real server: it answers with the right status and a reason, stays healthy, and its memory stays bounded.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use wan_tests::collector::{Collector, Site};
use wan_tests::payload::{self, Round};
use wan_tests::scene::Scene;
use wan_tests::sender::{self, Answer, Connection};
use wan_tests::{browser, clock};

const PATH: &str = "/api/v1/write";
const PATIENCE: Duration = Duration::from_secs(30);
const DAY: i64 = 86_400_000;
/// Resident memory that no input may drive the server past: what requests in flight may hold together (256 MiB of bodies) and
/// as much again for what they decompress to.
const MEMORY: u64 = 600 << 20;
/// Snappy's copy element of 64 bytes at distance 1.
const COPY_64: [u8; 3] = [0xfe, 0x01, 0x00];

fn post(collector: &Collector, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
    Connection::open(collector.address(), PATIENCE)?.post(PATH, headers, body)
}

fn expect(what: &str, answer: &Answer, status: u16, reason: &str) -> Result<()> {
    ensure!(answer.status == status, "{what}: {} instead of {status}: {}", answer.status, answer.body);
    ensure!(answer.body.contains(reason), "{what}: the reason does not say {reason:?}: {:?}", answer.body);
    Ok(())
}

/// A snappy block that says it holds `announced` bytes and is made of one literal zero and `copies` copies of 64 bytes.
fn bomb(announced: u32, copies: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(copies * 3 + 8);
    payload::push_varint(&mut body, u64::from(announced));
    body.extend_from_slice(&[0x00, 0x00]);
    for _ in 0..copies {
        body.extend_from_slice(&COPY_64);
    }
    body
}

fn one_round(link: &str, end: i64, extra: &[(&str, &str)]) -> Vec<u8> {
    let mut request = Vec::new();
    let round = Round { link, target: "10.79.0.2", end, interval: 5000, sent: 5, received: 5 };
    payload::push_round(&mut request, &round, extra);
    request
}

#[test]
fn hostile_input_is_answered_with_a_reason_and_the_server_stays_healthy_and_small() -> Result<()> {
    let scene = Scene::new("hostile")?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, browser::free_port()?));
    let sites = [Site::commune("tan-bien"), Site::commune("chau-thanh")];
    let mut collector = Collector::prepare(&scene, listen, "", &sites, &["tan-bien", "chau-thanh"])?;
    collector.start()?;

    let loris = slow_loris(&collector)?;
    credentials(&collector)?;
    content_types(&collector)?;
    malformed_bodies(&collector)?;
    bombs(&collector)?;
    speaking_for_another_site(&collector)?;
    wrong_times(&collector)?;
    long_heads(&collector)?;
    healthy(&mut collector)?;
    slow_connections_are_closed(loris)?;
    healthy(&mut collector)?;

    let memory = collector.resident()?;
    println!("resident {} MiB, peak {} MiB", memory.now >> 20, memory.peak >> 20);
    ensure!(memory.peak < MEMORY, "the server took {} MiB", memory.peak >> 20);
    let log = collector.log();
    ensure!(!log.contains("panicked"), "the server panicked:\n{log}");
    collector.stop()?;
    scene.passed();
    Ok(())
}

fn healthy(collector: &mut Collector) -> Result<()> {
    collector.check_running()?;
    for path in ["/healthz", "/readyz"] {
        let answer = collector.api().get(path)?;
        ensure!(answer.status == 200, "{path} answers {}: {}", answer.status, answer.body);
    }
    let bearer = collector.bearer("tan-bien")?;
    let body = payload::compress(&one_round("wan", clock::unix_millis(), &[]))?;
    let answer = post(collector, &sender::push_headers(&bearer), &body)?;
    expect("an honest push", &answer, 204, "")
}

fn credentials(collector: &Collector) -> Result<()> {
    let body = payload::compress(&one_round("wan", clock::unix_millis() - DAY, &[]))?;
    let unknown = format!("Bearer wan_{}", "A".repeat(43));
    let cut_short = collector.bearer("tan-bien")?;
    let cut_short = &cut_short[..cut_short.len() - 1];
    for credential in
        [None, Some(unknown.as_str()), Some(cut_short), Some("Basic dGFuOmJpZW4="), Some("Bearer")]
    {
        let mut headers = sender::REMOTE_WRITE_V1.to_vec();
        headers.extend(credential.map(|credential| ("Authorization", credential)));
        let answer = post(collector, &headers, &body)?;
        expect(&format!("credential {credential:?}"), &answer, 401, "")?;
        ensure!(!answer.body.trim().is_empty(), "a 401 for {credential:?} gives no reason");
        ensure!(!answer.body.contains("tan-bien"), "a 401 tells a site's name: {}", answer.body);
    }
    Ok(())
}

fn content_types(collector: &Collector) -> Result<()> {
    let bearer = collector.bearer("tan-bien")?;
    let body = payload::compress(&one_round("wan", clock::unix_millis(), &[]))?;
    for (content_type, encoding) in [
        ("application/json", "snappy"),
        ("text/plain", "snappy"),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/x-protobuf", "gzip"),
        ("application/x-protobuf", "zstd"),
    ] {
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", content_type),
            ("Content-Encoding", encoding),
        ];
        let answer = post(collector, &headers, &body)?;
        expect(&format!("{content_type} in {encoding}"), &answer, 415, "")?;
        ensure!(!answer.body.trim().is_empty(), "a 415 for {content_type} in {encoding} gives no reason");
    }
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    connection.send(&sender::request("PUT", PATH, &sender::push_headers(&bearer), &body))?;
    expect("PUT", &connection.receive()?, 405, "")
}

fn malformed_bodies(collector: &Collector) -> Result<()> {
    let bearer = collector.bearer("tan-bien")?;
    let headers = sender::push_headers(&bearer);
    let good = one_round("wan", clock::unix_millis(), &[]);
    let whole = payload::compress(&good)?;
    // Cut anywhere in the compressed form, and (compressed well) anywhere in the message.
    for length in (0..whole.len()).step_by(7) {
        let answer = post(collector, &headers, &whole[..length])?;
        ensure!(answer.status / 100 != 5, "cut at {length}: {} {}", answer.status, answer.body);
        ensure!(length == 0 || answer.status == 400, "cut at {length}: {} {}", answer.status, answer.body);
    }
    for length in (1..good.len()).step_by(11) {
        let answer = post(collector, &headers, &payload::compress(&good[..length])?)?;
        ensure!(
            matches!(answer.status, 204 | 400),
            "message cut at {length}: {} {}",
            answer.status,
            answer.body
        );
    }
    let mut random = SmallRng::seed_from_u64(20_261_123);
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    for case in 0..300 {
        let mut bytes = vec![0; random.random_range(1..4096)];
        random.fill(&mut bytes[..]);
        let body = if case % 2 == 0 { bytes } else { payload::compress(&bytes)? };
        let answer = connection.post(PATH, &headers, &body).with_context(|| format!("random body {case}"))?;
        ensure!(
            matches!(answer.status, 400 | 413) && !answer.body.trim().is_empty(),
            "random body {case}: {} {:?}",
            answer.status,
            answer.body
        );
    }
    // One byte of a whole request is flipped: whatever it comes to, no 5xx, and the connection goes on.
    for place in 0..whole.len() {
        let mut body = whole.clone();
        body[place] ^= 1 << random.random_range(0..8);
        let answer =
            connection.post(PATH, &headers, &body).with_context(|| format!("flipped byte {place}"))?;
        ensure!(answer.status / 100 != 5, "flipped byte {place}: {} {}", answer.status, answer.body);
    }
    Ok(())
}

fn bombs(collector: &Collector) -> Result<()> {
    let bearer = collector.bearer("tan-bien")?;
    let headers = sender::push_headers(&bearer);
    // Announces 4 GiB in five bytes; announces 64 MiB and would keep its word; announces little and holds much.
    expect("4 GiB announced", &post(collector, &headers, &bomb(u32::MAX, 16))?, 413, "send ")?;
    expect(
        "64 MiB compressed well",
        &post(collector, &headers, &bomb((64 << 20) + 1, 1 << 20))?,
        413,
        "send ",
    )?;
    expect("more than announced", &post(collector, &headers, &bomb(1000, 1 << 16))?, 400, "")?;
    // Compressed over the limit: refused by its announced length, before it is read.
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    let mut head = sender::request("POST", PATH, &headers, b"");
    let zero = b"Content-Length: 0\r\n\r\n".len();
    head.truncate(head.len() - zero);
    head.extend_from_slice(format!("Content-Length: {}\r\n\r\n", 5 << 20).as_bytes());
    connection.send(&head)?;
    expect("5 MiB announced", &connection.receive()?, 413, "send ")?;
    // The same without an announced length, in chunks.
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    head.truncate(head.len() - format!("Content-Length: {}\r\n\r\n", 5 << 20).len());
    head.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    connection.send(&head)?;
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend_from_slice(&[0x55; 0x10000]);
    chunk.extend_from_slice(b"\r\n");
    for _ in 0..80 {
        if connection.send(&chunk).is_err() {
            break; // the server has answered and closed already
        }
    }
    match connection.receive() {
        Ok(answer) => expect("5 MiB in chunks", &answer, 413, "send ")?,
        // It may close while we still send; the reset then overtakes the answer. What matters is that it did not take it.
        Err(error) => println!("5 MiB in chunks: {error:#}"),
    }
    // Thirty-two of the largest that are allowed, at once: 31 MiB of nothing each, out of 1.5 MiB.
    let largest = bomb((31 << 20) + 1, (31 << 20) / 64);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| post(collector, &headers, &largest).map(|answer| answer.status)))
            .collect();
        for thread in threads {
            let status = thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
            ensure!(matches!(status, 400 | 429), "a bomb within the limits: {status}");
        }
        Ok(())
    })
}

fn speaking_for_another_site(collector: &Collector) -> Result<()> {
    let bearer = collector.bearer("tan-bien")?;
    let end = clock::unix_millis() - 7 * DAY;
    for (label, value) in [("site", "chau-thanh"), ("about", "chau-thanh"), ("about", "no-such-site")] {
        let mut request = one_round("wan", end, &[(label, value)]);
        request.extend_from_slice(&one_round("lan", end, &[]));
        let answer = post(collector, &sender::push_headers(&bearer), &payload::compress(&request)?)?;
        expect(&format!("{label}={value}"), &answer, 400, value)?;
        ensure!(
            answer.body.contains("7 of 14"),
            "{label}={value}: its own samples are kept: {}",
            answer.body
        );
    }
    let own = one_round("wan", end, &[("site", "tan-bien")]);
    expect(
        "its own name",
        &post(collector, &sender::push_headers(&bearer), &payload::compress(&own)?)?,
        204,
        "",
    )?;
    let (from, to) = (end - DAY, end + DAY);
    let uptime = collector.api().uptime("chau-thanh", "wan", from, to)?;
    ensure!(uptime.is_none(), "chau-thanh has evidence that tan-bien sent: {uptime:?}");
    let uptime = collector.api().uptime("tan-bien", "wan", from, to)?;
    ensure!(
        uptime.as_ref().is_some_and(|uptime| uptime.observed_ms == 5000),
        "tan-bien's own round is not there: {uptime:?}"
    );
    Ok(())
}

fn wrong_times(collector: &Collector) -> Result<()> {
    let bearer = collector.bearer("chau-thanh")?;
    let now = clock::unix_millis();
    for wrong in [0, now - 36 * DAY, now + 10 * 60_000, now + 3650 * DAY, i64::MAX, i64::MIN] {
        let kept = now - 3_600_000;
        let mut request = one_round("wan", wrong, &[]);
        request.extend_from_slice(&one_round("lan", kept, &[]));
        let answer = post(collector, &sender::push_headers(&bearer), &payload::compress(&request)?)?;
        expect(&format!("time {wrong}"), &answer, 400, "wan_round_sent")?;
        ensure!(answer.body.contains("7 of 14"), "time {wrong}: the rest is kept: {}", answer.body);
    }
    let uptime = collector.api().uptime("chau-thanh", "lan", now - 2 * 3_600_000, now)?;
    ensure!(
        uptime.as_ref().is_some_and(|uptime| uptime.observed_ms == 5000),
        "the rest of the requests was not kept: {uptime:?}"
    );
    Ok(())
}

fn long_heads(collector: &Collector) -> Result<()> {
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    let long = "x".repeat(10_000);
    connection.send(format!("GET /healthz HTTP/1.1\r\nHost: c\r\nX-Long: {long}\r\n\r\n").as_bytes())?;
    expect("10 kB of headers", &connection.receive()?, 200, "ok")?;
    // A megabyte of headers is not read to its end.
    let mut connection = Connection::open(collector.address(), PATIENCE)?;
    let mut head = String::from("GET /healthz HTTP/1.1\r\nHost: c\r\n");
    for number in 0..100 {
        head.push_str(&format!("X-Long-{number}: {long}\r\n"));
    }
    let sent = connection.send(head.as_bytes());
    match connection.receive() {
        Ok(answer) => ensure!(answer.status == 431, "1 MB of headers: {}", answer.status),
        Err(_) => ensure!(
            sent.is_err() || connection.closed_by_peer(),
            "1 MB of headers: neither answered nor closed"
        ),
    }
    for garbage in
        ["\r\n\r\n\r\n", "GET\r\n\r\n", "\0\0\0\0\0\0\0\0\r\n\r\n", "POST /api/v1/write HTTP/9.9\r\n\r\n"]
    {
        let mut connection = Connection::open(collector.address(), Duration::from_secs(2))?;
        connection.send(garbage.as_bytes())?;
        if let Ok(answer) = connection.receive() {
            ensure!(answer.status / 100 == 4 || answer.status == 505, "{garbage:?}: {}", answer.status);
        }
    }
    Ok(())
}

/// Two hundred connections that begin a request and never finish it: half in the head, half in the body.
fn slow_loris(collector: &Collector) -> Result<Vec<Connection>> {
    let bearer = collector.bearer("chau-thanh")?;
    let mut slow = Vec::new();
    for index in 0..200 {
        let mut connection = Connection::open(collector.address(), PATIENCE)?;
        let whole = sender::request("POST", PATH, &sender::push_headers(&bearer), &[0; 1000]);
        // A site may have 32 requests in flight: a few bodies are enough to stay below.
        let sent = if index % 10 == 0 { whole.len() - 900 } else { 60 };
        connection.send(&whole[..sent])?;
        slow.push(connection);
    }
    Ok(slow)
}

fn slow_connections_are_closed(slow: Vec<Connection>) -> Result<()> {
    let mut left = slow;
    clock::eventually("slow connections are closed", Duration::from_secs(150), || {
        for connection in &mut left {
            connection.set_limit(Duration::from_millis(1))?;
        }
        left.retain_mut(|connection| !connection.closed_by_peer());
        ensure!(left.is_empty(), "{} of 200 slow connections are still open", left.len());
        Ok(())
    })
}
