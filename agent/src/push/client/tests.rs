use std::sync::mpsc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::config::{Pin, Secret};
use crate::probe::tests::http_request::serve_tls_with;

fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        host: "127.0.0.1".into(),
        path: wan_wire::LinkKind::Wan.into(),
        interface: None,
        source: None,
    }
}

fn collector(url: &str) -> Collector {
    Collector {
        urls: vec![endpoint(url)],
        secret: Secret::Inline("wan_s".into()),
        ca_file: None,
        pins: Vec::new(),
        timeout: Duration::from_secs(5),
    }
}

fn pushing(url: &str) -> Pushing {
    crate::install_crypto();
    Pushing::new(collector(url))
}

async fn mock(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/prefix/api/v1/agent/config"))
        .and(header("authorization", "Bearer wan_s"))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

fn write_url(server: &MockServer) -> String {
    format!("{}/prefix/api/v1/write", server.uri())
}

#[tokio::test]
async fn a_central_configuration_is_fetched_with_its_etag_and_the_time() {
    let answer = ResponseTemplate::new(200)
        .insert_header("etag", "\"a1\"")
        .insert_header("wan-config", "\"a1\"")
        .insert_header("wan-time", "1795392000123")
        .set_body_string("links: []\n");
    let server = mock(answer).await;
    let before = clock::since_boot();
    let (told, fetched) = pushing(&write_url(&server)).config(0, "wan_s", None).await;
    assert_eq!(fetched, Some(Fetched { etag: "\"a1\"".into(), body: b"links: []\n".to_vec() }));
    assert_eq!(told.config.as_deref(), Some("\"a1\""));
    let exchange = told.exchange.unwrap();
    assert_eq!((exchange.server, exchange.resolution), (UnixMillis(1_795_392_000_123), 1));
    assert!(before <= exchange.sent && exchange.sent <= exchange.received);
    assert!(exchange.received <= clock::since_boot());
}

#[tokio::test]
async fn an_unchanged_or_missing_configuration_is_none() {
    let server = MockServer::start().await;
    Mock::given(header("if-none-match", "\"a1\""))
        .respond_with(ResponseTemplate::new(304))
        .mount(&server)
        .await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(404)).mount(&server).await;
    let pushing = pushing(&write_url(&server));
    for (etag, code) in [(Some("\"a1\""), 304), (None, 404)] {
        let (told, fetched) = pushing.config(0, "wan_s", etag).await;
        assert!(matches!(told.answered, Answered::Status { code: c, .. } if c == code), "{told:?}");
        assert_eq!(fetched, None);
    }
}

#[tokio::test]
async fn of_a_configuration_that_is_too_large_so_much_is_read_that_this_is_known_and_one_without_etag_is_none()
 {
    let large =
        ResponseTemplate::new(200)
            .insert_header("etag", "\"a\"")
            .set_body_bytes(vec![b'#'; CONFIG_LIMIT + 9]);
    let server = mock(large).await;
    let fetched = pushing(&write_url(&server)).config(0, "wan_s", None).await.1.unwrap();
    assert_eq!((fetched.etag.as_str(), fetched.body.len()), ("\"a\"", central::MOST_BYTES + 1));
    let server = mock(ResponseTemplate::new(200).set_body_string("<html>")).await;
    let (told, fetched) = pushing(&write_url(&server)).config(0, "wan_s", None).await;
    assert!(fetched.is_none() && told.why.contains("no ETag"), "{told:?}");
}

#[tokio::test]
async fn a_report_goes_beside_the_write_endpoint() {
    let server = mock(ResponseTemplate::new(204)).await;
    let report = ConfigReport { etag: "\"a1\"".into(), applied: false, reason: "no links".into() };
    let told = pushing(&write_url(&server)).report(0, "wan_s", &report).await;
    assert!(matches!(told.answered, Answered::Status { code: 204, .. }), "{told:?}");
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].body, br#"{"etag":"\"a1\"","applied":false,"reason":"no links"}"#);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_the_secret_goes_nowhere_else() {
    let elsewhere = MockServer::start().await;
    let to = ResponseTemplate::new(307).insert_header("location", format!("{}/x", elsewhere.uri()));
    let server = mock(to).await;
    let (told, fetched) = pushing(&write_url(&server)).config(0, "wan_s", None).await;
    assert!(matches!(told.answered, Answered::Status { code: 307, .. }) && fetched.is_none(), "{told:?}");
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[test]
fn whose_date_counts() {
    let headers = |pairs: &[(&'static str, &'static str)]| {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    };
    let date = ("date", "Mon, 23 Nov 2026 00:00:07 GMT");
    let second = Some((UnixMillis(1_795_392_007_000), 1000));
    let time = ("wan-time", "1795392007999");
    let exact = Some((UnixMillis(1_795_392_007_999), 1));
    assert_eq!(told_time(&headers(&[date]), 204, false), second);
    assert_eq!(told_time(&headers(&[date]), 302, false), None);
    assert_eq!(told_time(&headers(&[date]), 503, true), second);
    assert_eq!(told_time(&headers(&[date, ("content-type", "text/html")]), 200, false), None);
    assert_eq!(told_time(&headers(&[date, time]), 401, false), exact);
    assert_eq!(told_time(&headers(&[date, ("wan-time", "soon")]), 204, false), second);
    assert_eq!(told_time(&headers(&[("date", "yesterday")]), 204, true), None);
    assert_eq!(told_time(&headers(&[]), 204, true), None);
}

#[test]
fn other_endpoints_lie_beside_the_write_endpoint() {
    let config = |url| beside(url, CONFIG_PATH).map(String::from);
    assert_eq!(config("https://a:8443/api/v1/write").as_deref(), Ok("https://a:8443/api/v1/agent/config"));
    assert_eq!(
        config("http://[::1]/p/q/api/v1/write").as_deref(),
        Ok("http://[::1]/p/q/api/v1/agent/config")
    );
    assert_eq!(config("http://a/other/receiver").as_deref(), Ok("http://a/api/v1/agent/config"));
    assert_eq!(authority("https://a.example:8443/api/v1/write"), "a.example:8443");
    assert_eq!(authority("https://[fd00::1]:8443"), "[fd00::1]:8443");
}

/// A TLS server for localhost that takes every push. Tells each request that reaches it after a handshake.
fn serve() -> (u16, mpsc::Receiver<String>) {
    serve_tls_with("HTTP/1.1 204 No Content\r\n\r\n")
}

async fn ask(collector: Collector) -> Told {
    Pushing::new(collector).post(0, Protocol::V1, "wan_s", vec![1]).await
}

#[tokio::test]
async fn nothing_is_sent_before_the_collector_is_known() {
    let (port, requests) = serve();
    let url = format!("https://127.0.0.1:{port}/api/v1/write");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/server.pem");
    let own = trust::pin(&CertificateDer::from_pem_file(server).unwrap()).unwrap();

    let pinned = ask(Collector { pins: vec![own], ..collector(&url) }).await;
    assert!(matches!(pinned.answered, Answered::Status { code: 204, .. }), "{pinned:?}");
    assert!(requests.recv().unwrap().contains("Bearer wan_s"));

    let stranger = ask(collector(&url)).await;
    assert_eq!(stranger.answered, Answered::Failed);
    let words = ["enrol again", "collector.pins", &trust::show_pin(own)];
    assert!(words.iter().all(|word| stranger.why.contains(word)), "{}", stranger.why);

    let wrong = ask(Collector { pins: vec![Pin([7; 32])], ..collector(&url) }).await;
    assert!(wrong.why.contains(&format!("another collector answers at 127.0.0.1:{port}")), "{}", wrong.why);

    let ca_file = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem").into());
    let named = url.replace("127.0.0.1", "localhost");
    let by_name = ask(Collector { ca_file: ca_file.clone(), ..collector(&named) }).await;
    assert!(matches!(by_name.answered, Answered::Status { code: 204, .. }), "{by_name:?}");
    requests.recv().unwrap();
    let by_address = ask(Collector { ca_file, ..collector(&url.replace("0.0.1", "0.0.2")) }).await;
    assert_eq!(by_address.answered, Answered::Failed, "{by_address:?}");

    assert!(requests.try_recv().is_err(), "only who is trusted hears anything");
}

#[tokio::test]
async fn an_enrolment_is_sent_under_the_same_rules() {
    let (port, requests) = serve();
    let endpoint = endpoint(&format!("https://127.0.0.1:{port}/api/v1/enrol"));
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/server.pem");
    let own = trust::pin(&CertificateDer::from_pem_file(server).unwrap()).unwrap();
    let times: Times = Arc::new(|| TlsTimes { now: clock::wall(), floor: None, host: None });
    let post = async |pin| {
        let trust = Trust { pins: vec![pin], ca_file: None };
        post_json(&endpoint, &trust, &times, Duration::from_secs(5), b"{\"token\":\"t\"}".to_vec()).await
    };
    let why = post(Pin([7; 32])).await.unwrap_err();
    let NoAnswer::Stranger(Stranger { why, pin, .. }) = why else { panic!("{why:?}") };
    assert!(why.contains("another collector answers") && why.contains(&pin), "{why}");
    assert_eq!(post(own).await.unwrap().status, 204);
    assert!(requests.recv().unwrap().starts_with("POST /api/v1/enrol"));
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn a_plain_port_behind_an_https_url_is_told() {
    let server = MockServer::start().await;
    let told = pushing(&write_url(&server).replace("http:", "https:")).config(0, "wan_s", None).await.0;
    assert!(told.why.contains("does not speak TLS") && told.why.contains("http://"), "{}", told.why);
}
