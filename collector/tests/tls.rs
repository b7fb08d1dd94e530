//! A listener that speaks TLS, and clients of every kind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use wan_collector::config::{Config, Tls};
use wan_collector::counters::Counters;
use wan_collector::ingest::Ingest;
use wan_collector::server::{self, Limits, Listener};
use wan_collector::state::State;
use wan_collector::tls::{self, Secured};
use wan_collector::{api, clock, engine};
use wan_journal::{FullPolicy, Journal, Options};

/// Far above what a handshake takes here, far below the collector's own limit.
const PROMPT: Duration = Duration::from_secs(9);
/// How long a change may take that the collector looks for every few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The collector's server alone, with one listener that speaks TLS and one that does not.
struct Server {
    folder: tempfile::TempDir,
    secure: SocketAddr,
    plain: SocketAddr,
    stop: CancellationToken,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        put(folder.path(), "first.example");
        let config = Config {
            data: folder.path().to_owned(),
            tls: Tls::Files { certificate, key },
            ..Config::default()
        };
        let counters = Arc::new(Counters::new().unwrap());
        let secured = Arc::new(Secured::open(&config, clock::now()).unwrap().unwrap());
        let options = Options { full: FullPolicy::Refuse, ..Options::default() };
        let journal = Journal::open_dir(&folder.path().join("journal"), options).unwrap().0;
        let (engine, _) = engine::start(journal, 16, 1 << 30, Arc::clone(&counters)).unwrap();
        let state = Arc::new(State::new(config, None, Arc::clone(&counters)));
        let ingest = Arc::new(Ingest::new(Arc::clone(&state), engine.clone()));
        let sockets = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let [secure, plain] = [&sockets[0], &sockets[1]].map(|socket| socket.local_addr().unwrap());
        let [first, second] = sockets;
        let listeners = vec![
            Listener::new(first, Some(Arc::clone(&secured))).unwrap(),
            Listener::new(second, None).unwrap(),
        ];
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(
            listeners,
            ingest,
            api::router(state, engine),
            Limits::of_this_process(),
            stop.clone(),
        ));
        tokio::spawn(tls::follow(Some(secured), counters, stop.clone()));
        Self { folder, secure, plain, stop }
    }

    /// A handshake by who trusts the certificate for `name` that is in the files now.
    async fn shake(&self, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.folder.path().join("chain.pem")).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = TcpStream::connect(self.secure).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
        tokio::time::timeout(PROMPT, shaking).await?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Puts a new certificate, signed by itself, into the folder.
fn put(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("chain.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// GET /healthz on a connection that stays open.
async fn healthy(stream: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin)) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 2048];
    let read = tokio::time::timeout(PROMPT, stream.read(&mut answer)).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&answer[..read]);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

async fn answer_to(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PROMPT, stream.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http_is_spoken_inside_tls_and_beside_it() {
    let server = Server::start().await;
    let mut stream = server.shake("first.example").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    healthy(&mut stream).await;
    healthy(&mut stream).await;
    healthy(&mut TcpStream::connect(server.plain).await.unwrap()).await;
}

#[tokio::test]
async fn a_plain_request_to_a_tls_port_is_told_so_and_keeps_its_data() {
    let server = Server::start().await;
    let body = vec![b'x'; 40_000];
    let head = format!("POST /api/v1/write HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = answer_to(server.secure, &[head.as_bytes(), &body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("This port speaks HTTPS"), "{answer}");
}

#[tokio::test]
async fn garbage_ends_the_connection() {
    let server = Server::start().await;
    for sent in [&b"\x00\x01\x02"[..], b"\x16\x03\x01\xff\xff", b"\x16GET / HTTP/1.1\r\n\r\n", b"\xff"] {
        let mut whole = sent.to_vec();
        whole.resize(20_000, 0);
        let answer = answer_to(server.secure, &whole).await;
        assert!(!answer.starts_with("HTTP"), "{answer}");
    }
    healthy(&mut server.shake("first.example").await.unwrap()).await;
}

#[tokio::test]
async fn clients_that_stall_hold_up_nobody_and_are_let_go() {
    let server = Server::start().await;
    let mut stalled = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(server.secure).await.unwrap();
        // Nothing; a first byte; half a record's head; a record of which the rest never comes.
        let sent: &[u8] = match number % 4 {
            0 => b"",
            1 => b"\x16",
            2 => b"\x16\x03\x01",
            _ => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        };
        stream.write_all(sent).await.unwrap();
        stalled.push(stream);
    }
    healthy(&mut server.shake("first.example").await.unwrap()).await;
    for mut stream in stalled {
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a client that stalls is cut off");
    }
    healthy(&mut server.shake("first.example").await.unwrap()).await;
}

#[tokio::test]
async fn a_replaced_certificate_meets_new_handshakes_and_standing_connections_go_on() {
    let server = Server::start().await;
    let mut standing = server.shake("first.example").await.unwrap();
    healthy(&mut standing).await;

    let good = std::fs::read(server.folder.path().join("chain.pem")).unwrap();
    std::fs::write(server.folder.path().join("chain.pem"), &good[..good.len() / 2]).unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    std::fs::write(server.folder.path().join("chain.pem"), &good).unwrap();
    healthy(&mut server.shake("first.example").await.expect("a bad replacement keeps the former one")).await;

    put(server.folder.path(), "second.example");
    let taken_over = async {
        loop {
            healthy(&mut standing).await;
            match server.shake("second.example").await {
                Ok(fresh) => break fresh,
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        }
    };
    let mut fresh = tokio::time::timeout(PATIENCE, taken_over).await.expect("it is taken over");
    healthy(&mut fresh).await;
    healthy(&mut standing).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_handshakes() {
    let server = Server::start().await;
    let mut stalled = TcpStream::connect(server.secure).await.unwrap();
    stalled.write_all(b"\x16").await.unwrap();
    healthy(&mut server.shake("first.example").await.unwrap()).await;
    server.stop.cancel();
    let ended = tokio::time::timeout(PROMPT, stalled.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "the stop cuts a handshake off");
}
