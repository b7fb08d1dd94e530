//! Probes against real servers on this host.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata};

use super::*;
use crate::config::Family;
use crate::push::trust::{TellsTimes, TlsTimes};

/// How long an answer may take that comes, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one is waited for that does not come.
const BRIEF: Duration = Duration::from_millis(800);

fn host(name: &str) -> Host {
    let family = if name.contains(':') { Family::V6 } else { Family::V4 };
    Host { name: name.into(), family }
}

fn peer(address: SocketAddr) -> HostPort {
    HostPort { host: host(&address.ip().to_string()), port: address.port() }
}

fn icmp(name: &str, socket: IcmpSocket) -> Question {
    Question::Icmp { host: host(name), scope: None, socket }
}

fn by_interface(name: &str) -> Way {
    Way { interface: Some(name.into()), source: None }
}

fn by_the_host() -> Times {
    Arc::new(|| TlsTimes { now: clock::wall(), floor: None, host: None })
}

async fn ask_by(way: Way, question: Question, packets: u32) -> Vec<Attempt> {
    ask_within(PATIENCE, way, question, packets).await
}

async fn ask_within(timeout: Duration, way: Way, question: Question, packets: u32) -> Vec<Attempt> {
    crate::install_crypto();
    let prober = prober(&question, &way, &Arc::default(), &by_the_host()).unwrap();
    let now = clock::monotonic();
    let due = (0..packets).map(|packet| now + Duration::from_millis(20) * packet).collect();
    probe_target(prober, TargetTurn { due, timeout }, CancellationToken::new()).await
}

async fn ask(question: Question) -> Attempt {
    ask_by(Way::default(), question, 1).await.remove(0)
}

async fn ask_briefly(question: Question) -> Attempt {
    ask_within(BRIEF, Way::default(), question, 1).await.remove(0)
}

fn lost(attempt: &Attempt, why: &str) {
    assert_eq!(attempt.end, End::Lost, "{attempt:?}");
    assert!(attempt.note.as_ref().is_some_and(|note| note.contains(why)), "{attempt:?} should say `{why}`");
}

fn fault(attempt: &Attempt, why: &str) {
    assert_eq!(attempt.end, End::Fault, "{attempt:?}");
    assert!(attempt.note.as_ref().is_some_and(|note| note.contains(why)), "{attempt:?} should say `{why}`");
}

fn received(attempt: &Attempt) -> Duration {
    match attempt.end {
        End::Received(rtt) => rtt,
        End::Lost | End::Fault => panic!("{attempt:?}"),
    }
}

/// A TCP port that is taken and on which nothing listens, to the end of the process.
fn closed_port() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    address
}

mod icmp_echo {
    use super::*;

    // Raw sockets need CAP_NET_RAW: without it these tests fail rather than pass in silence. Datagram sockets are tested in a
    // network namespace of their own (`tests/cli.rs`), where `ping_group_range` can be set.

    #[tokio::test]
    async fn both_families_answer_on_raw_sockets_and_no_time_is_zero() {
        for address in ["127.0.0.1", "::1"] {
            let attempts = ask_by(Way::default(), icmp(address, IcmpSocket::Raw), 5).await;
            assert_eq!(attempts.len(), 5);
            let rtts: Vec<Duration> = attempts.iter().map(received).collect();
            assert!(rtts.iter().all(|rtt| !rtt.is_zero()), "{address}: {rtts:?}");
            assert!(*rtts.iter().min().unwrap() < Duration::from_millis(200), "{address}: {rtts:?}");
        }
    }

    /// Asks through another prober, and holds up the thread once the question is out.
    struct HoldingUp(Arc<dyn Prober>, Duration);

    impl Prober for HoldingUp {
        fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
            Box::pin(async {
                // The first makes the socket ready: the second goes out when it is first polled.
                assert!(matches!(self.0.attempt().await, Answer::Timed(_)));
                Ok(())
            })
        }

        fn attempt(&self) -> Boxed<'_, Answer> {
            Box::pin(async {
                let mut attempt = self.0.attempt();
                poll_fn(|context| {
                    assert!(attempt.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                })
                .await;
                thread::sleep(self.1);
                attempt.await
            })
        }
    }

    #[tokio::test]
    async fn an_answer_that_was_there_in_time_counts_however_late_the_process_sees_it() {
        let held_up = Duration::from_secs(1);
        // An address of its own, so that no other test's answer is read after this one's.
        let way = Way { interface: None, source: Some([127, 0, 77, 1].into()) };
        let prober =
            prober(&icmp("127.0.77.2", IcmpSocket::Raw), &way, &Arc::default(), &by_the_host()).unwrap();
        let turn = TargetTurn { due: vec![clock::monotonic()], timeout: held_up / 2 };
        let holding_up = Arc::new(HoldingUp(prober, held_up));
        let attempts = probe_target(holding_up, turn, CancellationToken::new()).await;
        let rtt = received(&attempts[0]);
        assert!(!rtt.is_zero() && rtt < held_up / 2, "{rtt:?}");
    }

    #[tokio::test]
    async fn targets_at_one_address_do_not_take_each_others_replies() {
        crate::install_crypto();
        let pool = Arc::default();
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let prober =
                prober(&icmp("127.0.0.1", IcmpSocket::Raw), &Way::default(), &pool, &by_the_host()).unwrap();
            let turn = TargetTurn { due: vec![clock::monotonic(); 10], timeout: PATIENCE };
            tasks.spawn(probe_target(prober, turn, CancellationToken::new()));
        }
        let attempts: Vec<Attempt> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(attempts.iter().map(received).count(), 200);
    }

    #[tokio::test]
    async fn a_burst_of_five_hundred_loses_none_in_our_own_buffer_however_small_the_kernel_keeps_it() {
        for buffer in [64 * 1024, 4 * 1024 * 1024] {
            let pool = Arc::new(IcmpPool::with_receive_buffer(buffer));
            let mut tasks = JoinSet::new();
            let now = clock::monotonic() + Duration::from_millis(50);
            for at in 0..500 {
                let address = format!("127.1.{}.{}", at / 250, at % 250 + 1);
                let prober =
                    prober(&icmp(&address, IcmpSocket::Raw), &Way::default(), &pool, &by_the_host()).unwrap();
                let turn = TargetTurn { due: vec![now], timeout: Duration::from_secs(5) };
                tasks.spawn(probe_target(prober, turn, CancellationToken::new()));
            }
            let attempts: Vec<Attempt> = tasks.join_all().await.into_iter().flatten().collect();
            let received = attempts.iter().filter(|attempt| matches!(attempt.end, End::Received(_))).count();
            assert_eq!(received, 500, "with a buffer of {buffer} bytes");
        }
    }

    #[tokio::test]
    async fn an_address_that_nobody_has_is_an_outage() {
        // By loopback, so that nothing leaves the host. What a router says of such an address: `tests/e2e/instrument.rs`.
        let attempts = ask_within(BRIEF, by_interface("lo"), icmp("240.0.0.1", IcmpSocket::Raw), 1).await;
        assert_eq!(attempts[0].end, End::Lost, "{attempts:?}");
    }

    #[tokio::test]
    async fn a_missing_interface_and_a_foreign_source_are_faults() {
        let question = || icmp("127.0.0.1", IcmpSocket::Raw);
        fault(&ask_by(by_interface("nosuch0"), question(), 1).await[0], "interface nosuch0 does not exist");
        let foreign = Way { interface: None, source: Some([192, 0, 2, 251].into()) };
        fault(&ask_by(foreign, question(), 1).await[0], "not on this host");
        received(&ask_by(by_interface("lo"), question(), 1).await[0]);
        let own = Way { interface: Some("lo".into()), source: Some([127, 0, 0, 9].into()) };
        received(&ask_by(own, question(), 1).await[0]);
    }

    #[tokio::test]
    async fn a_name_that_is_not_found_is_an_outage_and_a_found_one_is_asked() {
        lost(&ask(icmp(&lookup::no_name(), IcmpSocket::Raw)).await, "not found");
        received(&ask(icmp("localhost", IcmpSocket::Raw)).await);
    }
}

mod tcp_connect {
    use super::*;

    #[tokio::test]
    async fn a_listener_answers_and_a_refusal_is_a_wrong_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = Question::Tcp(peer(listener.local_addr().unwrap()));
        assert!(received(&ask(open.clone()).await) < PATIENCE);
        received(&ask_by(by_interface("lo"), open.clone(), 1).await[0]);
        fault(&ask_by(by_interface("nosuch0"), open, 1).await[0], "interface nosuch0 does not exist");
        lost(&ask(Question::Tcp(peer(closed_port()))).await, "refused");
    }

    #[tokio::test]
    async fn silence_ends_at_the_timeout() {
        // A listener whose queue is full and never emptied lets further handshakes go unanswered.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let _kept: Vec<_> = (0..3)
            .map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)))
            .collect();
        let began = clock::monotonic();
        lost(&ask_briefly(Question::Tcp(peer(address))).await, "no answer within 800ms");
        assert!(clock::monotonic().duration_since(began) < Duration::from_secs(30));
    }
}

pub(crate) mod http_request {
    use super::*;

    fn config(url: String) -> HttpConfig {
        let parsed = reqwest::Url::parse(&url).unwrap();
        HttpConfig {
            peer: HostPort { host: host(parsed.host_str().unwrap()), port: parsed.port().unwrap() },
            url,
            status: vec![(200, 299)],
            body_match: None,
            ca_file: None,
            certificate_days: None,
        }
    }

    fn question(config: HttpConfig) -> Question {
        Question::Http(Box::new(config))
    }

    /// Answers each connection with these bytes once its request's head was read.
    fn serve(answer: Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let answer = answer.clone();
                thread::spawn(move || {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(&answer);
                });
            }
        });
        address
    }

    async fn ask_http(answer: &str, change: impl Fn(&mut HttpConfig)) -> Attempt {
        let mut config = config(format!("http://{}/health", serve(answer.as_bytes().to_vec())));
        change(&mut config);
        ask(question(config)).await
    }

    #[tokio::test]
    async fn status_and_body_decide() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhealthy";
        let good = ask_http(answer, |_| {}).await;
        assert!(received(&good) < PATIENCE);
        let note = good.note.unwrap();
        assert!(
            note.starts_with("200, connected ") && note.contains("first byte") && note.contains("total"),
            "{note}"
        );
        received(&ask_http(answer, |config| config.body_match = Some("heal".into())).await);
        lost(&ask_http(answer, |config| config.body_match = Some("sick".into())).await, "`sick` is not in");
        let error = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
        lost(&ask_http(error, |_| {}).await, "status 503");
        received(&ask_http(error, |config| config.status = vec![(200, 299), (503, 503)]).await);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let redirect = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        lost(&ask_http(redirect, |_| {}).await, "status 302");
        received(&ask_http(redirect, |config| config.status = vec![(302, 302)]).await);
    }

    #[tokio::test]
    async fn hostile_servers_cost_one_answer_and_no_more() {
        lost(&ask_http("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ncut", |_| {}).await, "");
        lost(&ask_http("garbage\r\n\r\n", |_| {}).await, "");
        lost(&ask_http("", |_| {}).await, "");
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}needle", "x".repeat(BODY_LIMIT_IN_TEST));
        lost(&ask_http(&endless, |config| config.body_match = Some("needle".into())).await, "first 64 KiB");
        lost(&ask(question(config(format!("http://{}/", closed_port())))).await, "refused");
    }

    const BODY_LIMIT_IN_TEST: usize = 64 * 1024;

    #[tokio::test]
    async fn a_server_that_never_answers_ends_at_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let silent = config(format!("http://{}/", listener.local_addr().unwrap()));
        lost(&ask_briefly(question(silent)).await, "no answer within 800ms");
    }

    #[tokio::test]
    async fn a_missing_interface_is_a_fault() {
        let config = config(format!("http://{}/", closed_port()));
        fault(
            &ask_by(by_interface("nosuch0"), question(config), 1).await[0],
            "interface nosuch0 does not exist",
        );
    }

    /// An HTTPS server with the certificate of `tests/tls`, which ends in 2126.
    pub(crate) fn serve_tls() -> u16 {
        serve_tls_with("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").0
    }

    /// The same with this answer. Tells each request that reaches it after a handshake.
    pub(crate) fn serve_tls_with(answer: &'static str) -> (u16, mpsc::Receiver<String>) {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        crate::install_crypto();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls");
        let certificate = CertificateDer::from_pem_file(format!("{folder}/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(format!("{folder}/server.key")).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
                let mut request = [0; 4096];
                if let Ok(read @ 1..) = stream.read(&mut request) {
                    let _ = heard.send(String::from_utf8_lossy(&request[..read]).into_owned());
                    let _ = stream.write_all(answer.as_bytes());
                    let _ = stream.flush();
                }
            }
        });
        (port, requests)
    }

    #[tokio::test]
    async fn a_certificate_is_verified_and_its_end_is_told() {
        let mut trusting = config(format!("https://localhost:{}/", serve_tls()));
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem");
        trusting.ca_file = Some(ca.into());
        let good = ask(question(trusting.clone())).await;
        received(&good);
        let note = good.note.unwrap();
        assert!(note.contains(", certificate 3") && note.ends_with(" d"), "{note}");

        let prober =
            prober(&question(trusting.clone()), &Way::default(), &Arc::default(), &by_the_host()).unwrap();
        assert_eq!(prober.certificate_end(), None, "nothing was shown yet");
        let turn = TargetTurn { due: vec![clock::monotonic()], timeout: PATIENCE };
        probe_target(Arc::clone(&prober), turn, CancellationToken::new()).await;
        let end = prober.certificate_end().unwrap();
        // The end of tests/tls' certificate: 100 years after it was made.
        assert!(end.to_string().starts_with("2126-10-"), "{end}");

        let strict = HttpConfig { certificate_days: Some(36_600), ..trusting.clone() };
        lost(&ask(question(strict)).await, "its certificate ends in ");

        let system = HttpConfig { ca_file: None, ..trusting.clone() };
        lost(&ask(question(system)).await, "ertificate");

        let wrong_name =
            HttpConfig { url: trusting.url.replace("localhost", "127.0.0.2"), ..trusting.clone() };
        let wrong_name =
            HttpConfig { peer: HostPort { host: host("127.0.0.2"), ..wrong_name.peer }, ..wrong_name };
        assert_ne!(ask(question(wrong_name)).await.end, End::Fault);

        let missing = HttpConfig { ca_file: Some("/nowhere.pem".into()), ..trusting };
        fault(&ask(question(missing)).await, "ca_file /nowhere.pem");
    }

    /// What an agent tells whose host's clock says `now`, of a server whose certificate is of November 2026 to October 2126.
    async fn ask_at(now: i64, floor: Option<i64>, told: bool) -> Attempt {
        struct At(TlsTimes, bool);
        impl TellsTimes for At {
            fn times(&self) -> TlsTimes {
                self.0
            }
            fn told(&self) -> Option<wan_wire::UnixMillis> {
                self.1.then_some(self.0.now)
            }
        }
        let mut config = config(format!("https://localhost:{}/", serve_tls()));
        config.ca_file = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/ca.pem").into());
        config.certificate_days = Some(200);
        let times: Times = Arc::new(At(
            TlsTimes { now: wan_wire::UnixMillis(now), floor: floor.map(wan_wire::UnixMillis), host: None },
            told,
        ));
        let prober = prober(&question(config), &Way::default(), &Arc::default(), &times).unwrap();
        let turn = TargetTurn { due: vec![clock::monotonic()], timeout: PATIENCE };
        probe_target(prober, turn, CancellationToken::new()).await.remove(0)
    }

    #[tokio::test]
    async fn a_wrong_clock_of_the_host_makes_no_certificate_bad() {
        const YEAR: i64 = 31_557_600_000;
        let at = |year: i64| (year - 1970) * YEAR;
        for clock in [at(1970), at(2020), at(2200)] {
            let good = ask_at(clock, Some(at(2020)), false).await;
            received(&good);
            // For how long it lasts cannot be told by such a clock, so it is not held against it.
            assert!(!good.note.as_ref().unwrap().contains("certificate"), "{good:?}");
        }
        // By a time that is known for certain it is in time, has not begun, has ended.
        let good = ask_at(at(2100), None, true).await;
        assert!(good.note.as_ref().unwrap().contains(", certificate "), "{good:?}");
        lost(&ask_at(at(2020), None, true).await, "not valid yet");
        lost(&ask_at(at(2200), None, true).await, "expired");
        lost(&ask_at(at(2200), Some(at(2199)), false).await, "expired");
        lost(&ask_at(at(2126) + YEAR / 2, None, true).await, "its certificate ends in ");
    }
}

mod dns_query {
    use super::*;

    fn config(server: SocketAddr) -> DnsConfig {
        DnsConfig {
            server: peer(server),
            name: "Mail.Example".into(),
            record: "A".into(),
            expect_rcode: "NOERROR".into(),
            expect_answer: None,
        }
    }

    fn question(config: DnsConfig) -> Question {
        Question::Dns(Box::new(config))
    }

    /// A name server that makes its datagrams from each query.
    fn serve(answers: impl Fn(Message) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                for answer in answers(Message::from_vec(&buffer[..length]).unwrap()) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        address
    }

    fn answer(query: &Message, code: ResponseCode, address: Option<[u8; 4]>) -> Message {
        let mut message = query.clone();
        message.metadata.message_type = MessageType::Response;
        message.metadata.response_code = code;
        if let Some([a, b, c, d]) = address {
            let name = query.queries[0].name().clone();
            message.add_answer(Record::from_rdata(name, 60, RData::A(rdata::A::new(a, b, c, d))));
        }
        message
    }

    fn good(query: &Message) -> Message {
        answer(query, ResponseCode::NoError, Some([10, 0, 0, 7]))
    }

    #[tokio::test]
    async fn the_rcode_and_the_answer_decide() {
        let server = serve(|query| vec![good(&query).to_vec().unwrap()]);
        let attempt = ask(question(config(server))).await;
        received(&attempt);
        assert_eq!(attempt.note.as_deref(), Some("10.0.0.7"));
        let expecting = |answer: &str| DnsConfig { expect_answer: Some(answer.into()), ..config(server) };
        received(&ask(question(expecting("10.0.0.7"))).await);
        lost(&ask(question(expecting("10.0.0.8"))).await, "`10.0.0.8` is not among the answers (10.0.0.7)");

        let server = serve(|query| vec![answer(&query, ResponseCode::NXDomain, None).to_vec().unwrap()]);
        lost(&ask(question(config(server))).await, "NXDOMAIN where NOERROR is expected");
        received(&ask(question(DnsConfig { expect_rcode: "NXDOMAIN".into(), ..config(server) })).await);
    }

    #[tokio::test]
    async fn forged_and_foreign_answers_are_passed_over() {
        let server = serve(|query| {
            let mut forged = answer(&query, ResponseCode::NXDomain, None);
            forged.metadata.id ^= 1;
            let mut foreign = answer(&query, ResponseCode::NXDomain, None);
            foreign.queries[0].set_query_type(hickory_proto::rr::RecordType::AAAA);
            let not_an_answer = query.clone();
            let messages = [forged, foreign, not_an_answer, good(&query)];
            let datagrams = messages.iter().map(|message| message.to_vec().unwrap());
            std::iter::once(b"noise".to_vec()).chain(datagrams).collect()
        });
        received(&ask(question(config(server))).await);
        let server = serve(|query| {
            let mut forged = good(&query);
            forged.metadata.id ^= 1;
            vec![forged.to_vec().unwrap(), b"noise".to_vec()]
        });
        lost(&ask_briefly(question(config(server))).await, "no answer within 800ms");
    }

    #[tokio::test]
    async fn a_truncated_answer_is_asked_again_over_tcp() {
        let truncating = || {
            serve(|query| {
                let mut truncated = answer(&query, ResponseCode::NoError, None);
                truncated.metadata.truncation = true;
                vec![truncated.to_vec().unwrap()]
            })
        };
        // The same number for both protocols: somebody else may have it for TCP.
        let both = || {
            let server = truncating();
            TcpListener::bind(server).ok().map(|listener| (server, listener))
        };
        let (server, listener) = std::iter::repeat_with(both).take(100).flatten().next().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            let answer = good(&Message::from_vec(&query).unwrap()).to_vec().unwrap();
            stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
            let _ = stream.read(&mut length);
        });
        let attempt =
            ask(question(DnsConfig { expect_answer: Some("10.0.0.7".into()), ..config(server) })).await;
        received(&attempt);
    }

    #[tokio::test]
    async fn a_dead_server_is_no_fault_and_a_missing_interface_is_one() {
        // A socket that hears one peer only: everybody else is refused, and nobody else can have its port.
        let deaf = UdpSocket::bind("127.0.0.1:0").unwrap();
        deaf.connect("127.0.0.1:9").unwrap();
        lost(&ask(question(config(deaf.local_addr().unwrap()))).await, "refused");
        let question = question(config(closed_port()));
        fault(&ask_by(by_interface("nosuch0"), question, 1).await[0], "interface nosuch0 does not exist");
    }
}

mod handler {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Gets ready and answers after these times; panics when the answer has none.
    struct Slow {
        ready: Duration,
        answer: Option<Duration>,
        asked: AtomicU32,
    }

    impl Prober for Slow {
        fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
            Box::pin(async {
                tokio::time::sleep(self.ready).await;
                Ok(())
            })
        }

        fn attempt(&self) -> Boxed<'_, Answer> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                match self.answer {
                    Some(after) => tokio::time::sleep(after).await,
                    None => panic!("a defect"),
                }
                Answer::Good(None)
            })
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    async fn probe(ready: u64, answer: Option<u64>, stop_after: Option<u64>) -> (Vec<Attempt>, u32) {
        let slow = Arc::new(Slow { ready: ms(ready), answer: answer.map(ms), asked: AtomicU32::new(0) });
        let now = clock::monotonic();
        let turn =
            TargetTurn { due: (0..5).map(|packet| now + ms(1000) * packet).collect(), timeout: ms(900) };
        let stop = CancellationToken::new();
        let probing = probe_target(Arc::clone(&slow) as Arc<dyn Prober>, turn, stop.clone());
        let stopping = async {
            if let Some(after) = stop_after {
                tokio::time::sleep(ms(after)).await;
                stop.cancel();
            }
        };
        let (attempts, ()) = tokio::join!(probing, stopping);
        let asked = slow.asked.load(Ordering::Relaxed);
        (attempts, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn getting_ready_is_not_part_of_the_round_trip_time() {
        let (attempts, asked) = probe(300, Some(40), None).await;
        assert_eq!(asked, 5);
        assert!(attempts.iter().all(|attempt| (ms(40)..ms(45)).contains(&received(attempt))), "{attempts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_packet_has_its_own_deadline() {
        let began = clock::monotonic();
        let (attempts, _) = probe(0, Some(60_000), None).await;
        attempts.iter().for_each(|attempt| lost(attempt, "no answer within 900ms"));
        let took = clock::monotonic().duration_since(began);
        assert!((ms(4890)..ms(4950)).contains(&took), "{took:?}");
    }

    /// Holds up the thread before it answers, with a time between these; after so many answers, with a good one at once.
    struct Late(u64, u64, u64, AtomicU32);

    impl Late {
        fn always(held_up: u64, least: u64, most: u64) -> Self {
            Self(held_up, least, most, AtomicU32::new(u32::MAX))
        }
    }

    impl Prober for Late {
        fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
            Box::pin(async { Ok(()) })
        }

        fn attempt(&self) -> Boxed<'_, Answer> {
            if self.3.fetch_sub(1, Ordering::Relaxed) == 0 {
                return Box::pin(async { Answer::Timed(Took { least: ms(1), most: ms(1) }) });
            }
            thread::sleep(ms(self.0));
            Box::pin(async { Answer::Timed(Took { least: ms(self.1), most: ms(self.2) }) })
        }
    }

    async fn ask_late(late: Late) -> Attempt {
        let turn = TargetTurn { due: vec![clock::monotonic()], timeout: ms(1000) };
        probe_target(Arc::new(late), turn, CancellationToken::new()).await.remove(0)
    }

    #[tokio::test]
    async fn an_answer_after_the_timeout_is_lost_and_one_of_an_unknown_time_is_a_fault() {
        assert_eq!(received(&ask_late(Late::always(1200, 700, 700)).await), ms(700));
        assert_eq!(received(&ask_late(Late::always(1200, 1, 1000)).await), ms(1000));
        fault(&ask_late(Late::always(1200, 1000, 1001)).await, "kept the agent from running");
        lost(&ask_late(Late::always(1200, 1001, 1001)).await, "no answer within 1s");
    }

    #[tokio::test]
    async fn a_packet_that_could_not_be_timed_is_sent_once_more() {
        assert!(received(&ask_late(Late(1200, 1000, 1001, AtomicU32::new(1))).await) <= ms(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instrument_that_is_not_ready_in_time_loses_the_packet_and_sends_none() {
        let (attempts, asked) = probe(60_000, Some(1), None).await;
        assert_eq!((attempts.len(), asked), (5, 0));
        attempts.iter().for_each(|attempt| lost(attempt, "not found"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_counts_what_was_answered_and_nothing_else() {
        let (attempts, asked) = probe(0, Some(100), Some(2050)).await;
        assert_eq!((attempts.len(), asked), (2, 3), "{attempts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_prober_that_panics_is_a_fault() {
        let (attempts, _) = probe(0, None, None).await;
        assert_eq!(attempts.len(), 5);
        attempts.iter().for_each(|attempt| fault(attempt, "panicked"));
    }
}
