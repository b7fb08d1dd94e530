//! The server on real sockets, with small limits.

use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use wan_journal::{FullPolicy, Journal, Options};

use super::*;
use crate::config::Config;
use crate::counters::Counters;
use crate::state::State;

/// A hang would take for ever.
const PATIENCE: Duration = Duration::from_secs(60);

struct Served {
    local: SocketAddr,
    outside: SocketAddr,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Served {
    /// A loopback listener, and one that is treated as any other.
    async fn with(limits: Limits, proxies: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { full: FullPolicy::Refuse, ..Options::default() };
        let (journal, _) = Journal::open_dir(&folder.path().join("journal"), options).unwrap();
        let counters = Arc::new(Counters::new().unwrap());
        let (engine, _thread) = crate::engine::start(journal, 16, 1 << 30, Arc::clone(&counters)).unwrap();
        let proxies = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let config = Config { proxies, ..Config::default() };
        let state = Arc::new(State::new(config, None, Arc::clone(&counters)));
        let ingest = Arc::new(Ingest::new(state, engine));
        let router = axum::Router::new()
            .route("/large", get(|| async { "x".repeat(16 << 20) }))
            .route("/from", get(|via: axum::Extension<Via>| async move { via.peer.ip().to_string() }));
        let mut listeners = Vec::new();
        for open in [true, false] {
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listeners.push(Listener { socket, open, secured: None });
        }
        let [local, outside] = [0, 1].map(|index: usize| listeners[index].socket.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listeners, ingest, router, limits, shutdown.clone()));
        Self { local, outside, counters, shutdown, task, _folder: folder }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// What is answered, or nothing where the connection is closed instead.
async fn asked(stream: &mut TcpStream) -> String {
    let request = "GET /from HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    let _ = stream.write_all(request.as_bytes()).await;
    let (mut buffer, mut text) = ([0; 4096], String::new());
    while text.split_once("\r\n\r\n").is_none_or(|(_, body)| body.is_empty()) {
        match tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
            Ok(0) | Err(_) => break,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
    }
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned()
}

const LIMITS: Limits = Limits { connections: 8, local: 2, per_network: 3, unread: Duration::from_secs(3600) };

#[tokio::test]
async fn one_host_takes_its_share_of_the_connections_and_all_of_them_never_loopbacks() {
    let served = Served::with(LIMITS, &["127.0.0.9"]).await;
    let mut held = Vec::new();
    for host in ["127.0.0.2", "127.0.0.3"] {
        for _ in 0..3 {
            let mut stream = connect(host, served.outside).await;
            assert_eq!(asked(&mut stream).await, host);
            held.push(stream);
        }
        let mut more = connect(host, served.outside).await;
        assert_eq!(asked(&mut more).await, "", "one connection too many of {host}");
    }
    // The last one that is left to all; from then on others wait, until one goes.
    held.push(connect("127.0.0.4", served.outside).await);
    assert_eq!(asked(held.last_mut().unwrap()).await, "127.0.0.4");
    for _ in 0..2 {
        let mut local = connect("127.0.0.1", served.local).await;
        assert_eq!(asked(&mut local).await, "127.0.0.1", "what is kept for loopback");
    }
    drop(held.remove(0));
    let mut again = connect("127.0.0.2", served.outside).await;
    assert_eq!(asked(&mut again).await, "127.0.0.2", "a place is given back");
    drop(held);
    served.stop().await;
}

#[tokio::test]
async fn a_proxy_that_is_trusted_stands_for_many_and_says_for_whom_it_asks() {
    let served = Served::with(LIMITS, &["127.0.0.9"]).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = connect("127.0.0.9", served.outside).await;
        assert_eq!(asked(&mut stream).await, "203.0.113.9");
        held.push(stream);
    }
    drop(held);
    served.stop().await;
}

#[tokio::test]
async fn who_does_not_read_the_answers_is_cut_off() {
    let served = Served::with(Limits { unread: Duration::from_millis(100), ..LIMITS }, &[]).await;
    for to in [served.local, served.outside] {
        let mut stream = connect("127.0.0.2", to).await;
        stream.write_all("GET /large HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4).as_bytes()).await.unwrap();
        let closed = async {
            while served.counters.connections.get() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            while served.counters.connections.get() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, closed).await.is_ok(), "it still holds its connection");
    }
    served.stop().await;
}

#[test]
fn connections_leave_files_for_the_data() {
    for (files, connections) in
        [(1 << 20, 20_000), (4096, 4096 - 512 - 64), (1024, 1024 - 512 - 64), (256, 64), (0, 16)]
    {
        let limits = Limits::within(files);
        assert_eq!(limits.connections, connections, "{files}");
        assert!(limits.per_network * 4 <= limits.connections && limits.per_network > 0);
    }
}
