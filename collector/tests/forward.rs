//! Forwarding in a running collector, to a store of the test's that refuses, does not answer, asks for pauses, fails on one request, or wants a login.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod heard;
mod register;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use heard::Request;
use running::Running;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wan_collector::clock;
use wan_collector::config::Config;
use wan_collector::config::forward::{RemoteStore, Start};
use wan_collector::forward::coverage::Order;
use wan_wire::{
    Decoder, Label, LabelPairs, Limits, Metric, Protocol, RequestBuilder, Sample, Scratch, UnixMillis,
};

const SITE: &str = "xa-1";
const SECRET: &str = "wan_secret-of-xa-1";
/// On a machine that does other things too.
const LONG: Duration = Duration::from_secs(90);

/// One request that came to the store.
#[derive(Clone, Debug)]
struct Heard {
    at: Instant,
    headers: BTreeMap<String, String>,
    /// Series with the times of their samples.
    series: BTreeMap<String, Vec<i64>>,
    taken: bool,
    /// How many others had no answer yet when it came, and whoever sent them still waited.
    beside: usize,
}

impl Heard {
    fn has(&self, name: &str) -> bool {
        self.series.keys().any(|series| series.starts_with(name))
    }
}

/// What a store answers: a status, headers as lines, a text.
type Answer = (u16, &'static str, &'static str);

const GOOD: Answer = (204, "X-Prometheus-Remote-Write-Samples-Written: 1\r\n", "");
const AWAY: Answer = (503, "", "away");
/// None at all, for as long as the one who asked waits.
const SILENT: Answer = (0, "", "");

type Rule = Box<dyn FnMut(&Heard) -> Answer + Send>;

/// A store that answers by a rule.
struct FakeStore {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    rule: Arc<Mutex<Rule>>,
    task: JoinHandle<()>,
}

impl Drop for FakeStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeStore {
    async fn new(rule: impl FnMut(&Heard) -> Answer + Send + 'static) -> Self {
        Self::listen(None, rule).await
    }

    async fn listen(
        tls: Option<tokio_rustls::TlsAcceptor>,
        rule: impl FnMut(&Heard) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let (its_heard, its_rule) = (Arc::clone(&heard), Arc::clone(&rule));
        let waiting: Arc<AtomicUsize> = Arc::default();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, rule, waiting) =
                    (Arc::clone(&its_heard), Arc::clone(&its_rule), Arc::clone(&waiting));
                match tls.clone() {
                    Some(tls) => drop(tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &heard, &rule, &waiting).await;
                        }
                    })),
                    None => drop(tokio::spawn(async move { serve(stream, &heard, &rule, &waiting).await })),
                }
            }
        });
        Self { url: format!("{scheme}://localhost:{}/api/v1/write", address.port()), heard, rule, task }
    }

    fn answers(&self, rule: impl FnMut(&Heard) -> Answer + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The times of a series' samples that it took.
    fn taken(&self, name: &str) -> BTreeSet<i64> {
        let heard = self.heard();
        let series = heard.iter().filter(|heard| heard.taken).flat_map(|heard| &heard.series);
        series.filter(|(series, _)| series.starts_with(name)).flat_map(|(_, times)| times).copied().collect()
    }

    /// It as a store of a configuration.
    fn configured(&self, name: &str) -> RemoteStore {
        RemoteStore::new(name.parse().unwrap(), self.url.clone())
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    all: &Mutex<Vec<Heard>>,
    rule: &Mutex<Rule>,
    waiting: &AtomicUsize,
) {
    let mut read = Vec::new();
    while let Some(Request { headers, body, .. }) = heard::request(&mut stream, &mut read).await {
        let series = decode(&headers, &body);
        let beside = waiting.load(Ordering::Relaxed);
        let mut one = Heard { at: clock::monotonic(), headers, series, taken: false, beside };
        let (status, more, text) = (rule.lock().unwrap())(&one);
        one.taken = (200..300).contains(&status);
        all.lock().unwrap().push(one);
        if status == SILENT.0 {
            waiting.fetch_add(1, Ordering::Relaxed);
            let _ = stream.read_u8().await;
            waiting.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let answer = format!("HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n{text}", text.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn decode(headers: &BTreeMap<String, String>, body: &[u8]) -> BTreeMap<String, Vec<i64>> {
    let is_v2 = headers["content-type"].contains("io.prometheus.write.v2");
    let protocol = if is_v2 { Protocol::V2 } else { Protocol::V1 };
    let (limits, mut plain, mut scratch) = (Limits::default(), Vec::new(), Scratch::new());
    wan_wire::decompress(body, &limits, &mut plain).unwrap();
    let mut decoder = Decoder::new(protocol, &plain, &mut scratch, &limits).unwrap();
    let mut found: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while let Some(series) = decoder.next_series().unwrap() {
        let labels = LabelPairs::parse(series.key.unwrap(), Protocol::V1).unwrap().to_string();
        found.entry(labels).or_default().extend(series.samples.iter().map(|sample| sample.time.0));
    }
    found
}

/// A register of one site.
async fn seed(data: &Path) {
    let sites = [register::site(SITE, "Xã 1")];
    register::seed(&config(data, &[]).database(), sites, &[(SITE, SECRET)]).await.close().await;
}

fn config(data: &Path, forward: &[&RemoteStore]) -> Config {
    let mut config = Config {
        data: data.to_owned(),
        checkpoint_interval: Duration::from_millis(200),
        forward: forward.iter().map(|store| Arc::new((*store).clone())).collect(),
        ..Config::default()
    };
    config.journal.segment_bytes = 1 << 20;
    config
}

/// A collector on `data` that forwards to these.
async fn collector(data: &Path, forward: &[&RemoteStore]) -> Running {
    Running::begin(config(data, forward)).await
}

async fn push(collector: &Running, name: &str, times: &[i64]) {
    let mut request = RequestBuilder::new(Protocol::V1);
    let samples: Vec<Sample> =
        times.iter().map(|time| Sample { time: UnixMillis(*time), value: 1.0 }).collect();
    request.series(&[("__name__", name)], &samples).unwrap();
    send(collector, request).await;
}

async fn send(collector: &Running, request: RequestBuilder) {
    let body = request.finish_compressed().unwrap();
    let sent = collector.client.post(collector.url("/api/v1/write")).bearer_auth(SECRET);
    let sent = sent
        .header("Content-Type", Protocol::V1.content_type())
        .header("Content-Encoding", "snappy")
        .body(body);
    assert_eq!(sent.send().await.unwrap().status(), 204, "no push is refused for a store's sake");
}

/// The sum of a metric's series that have these labels.
async fn figure(collector: &Running, metric: Metric, labels: &[(Label, &str)]) -> f64 {
    let page = collector.client.get(collector.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let labels: Vec<String> =
        labels.iter().map(|(label, value)| format!("{}=\"{value}\"", label.as_str())).collect();
    let is_it = |line: &&str| {
        let name = line.split(['{', ' ']).next();
        name == Some(metric.as_str()) && labels.iter().all(|label| line.contains(label))
    };
    page.lines().filter(is_it).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

async fn given_up(collector: &Running) -> f64 {
    figure(collector, Metric::CollectorForwardGivenUpRequestsTotal, &[]).await
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it did not happen: {what}"));
}

fn now() -> i64 {
    clock::now().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_left_alone_for_as_long_as_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let mut asked = false;
    let store = FakeStore::new(move |_| {
        let answer = if asked { GOOD } else { (429, "Retry-After: 2\r\n", "slowly") };
        asked = true;
        answer
    })
    .await;
    let collector = collector(folder.path(), &[&store.configured("a")]).await;
    let time = now();
    push(&collector, "s", &[time]).await;
    eventually("it arrives", async || store.taken("s").contains(&time)).await;
    let heard = store.heard();
    assert_eq!(heard.len(), 2, "one request, and the same again");
    let pause = heard[1].at.duration_since(heard[0].at);
    assert!(pause >= Duration::from_millis(1900), "{pause:?}");
    assert_eq!(figure(&collector, Metric::CollectorForwardRetriesTotal, &[]).await, 1.0);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answered_nothing_is_asked_again_while_what_was_asked_before_still_waits() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    // It is away when it has twice not answered.
    let mut silent = 0;
    let store = FakeStore::new(move |heard| {
        silent += 1;
        if silent > 3 && heard.beside > 0 { GOOD } else { SILENT }
    })
    .await;
    // One request at a time, then.
    let configured = RemoteStore {
        order: Order::InOrder,
        shards: 1,
        timeout: Duration::from_secs(3),
        ..store.configured("a")
    };
    let collector = collector(folder.path(), &[&configured]).await;
    let time = now();
    push(&collector, "s", &[time]).await;
    eventually("it arrives", async || store.taken("s").contains(&time)).await;
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_which_a_store_fails_time_and_again_costs_itself_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let store = FakeStore::new(|heard| if heard.has("poison") { (500, "", "a bug") } else { GOOD }).await;
    let collector = collector(folder.path(), &[&store.configured("a")]).await;
    let mut request = RequestBuilder::new(Protocol::V1);
    let start = now();
    for name in ["fine", "poison", "well"] {
        request.series(&[("__name__", name)], &[Sample { time: UnixMillis(start), value: 1.0 }]).unwrap();
    }
    send(&collector, request).await;
    // Some of each shard: the live stream cannot go on behind the bad request, and only the backlog can go beside it.
    let mut good = BTreeSet::new();
    let failed = [(Label::Reason, "failed")];
    eventually("it is given up", async || {
        let time = now();
        if good.insert(time) {
            let mut request = RequestBuilder::new(Protocol::V1);
            for n in ["1", "2", "3", "4", "5", "6", "7", "8"] {
                let sample = Sample { time: UnixMillis(time), value: 1.0 };
                request.series(&[("__name__", "good"), ("n", n)], &[sample]).unwrap();
            }
            send(&collector, request).await;
        }
        figure(&collector, Metric::CollectorForwardRefusedSamplesTotal, &failed).await == 1.0
    })
    .await;
    for n in 1..=8 {
        let series = format!("good{{n=\"{n}\"");
        eventually("all others arrive", async || store.taken(&series) == good).await;
    }
    for name in ["fine", "well"] {
        eventually("what came with it arrives", async || store.taken(name) == [start].into()).await;
    }
    assert!(store.taken("poison").is_empty());
    let tries = store.heard().iter().filter(|heard| heard.has("poison")).count();
    assert!(tries >= 10, "{tries} tries");
    assert_eq!(figure(&collector, Metric::CollectorForwardRefusedSamplesTotal, &[]).await, 1.0);
    assert_eq!(given_up(&collector).await, 0.0);
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_max_age_is_given_up_and_counted_and_the_rest_goes() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let store = FakeStore::new(|_| AWAY).await;
    let mut configured = store.configured("a");
    let first = collector(folder.path(), &[&configured]).await;
    let old: Vec<i64> = (0..5).map(|back| now() - back).collect();
    for time in &old {
        push(&first, "s", &[*time]).await;
    }
    eventually("it is away", async || !store.heard().is_empty()).await;
    first.stop().await;
    // It comes back when what waited is too old for it.
    configured.max_age = Duration::from_millis(1);
    store.answers(|_| GOOD);
    let second = collector(folder.path(), &[&configured]).await;
    eventually("they are given up", async || given_up(&second).await == 5.0).await;
    eventually("nothing waits", async || {
        figure(&second, Metric::CollectorForwardBacklogRequests, &[]).await == 0.0
    })
    .await;
    assert!(store.taken("s").is_empty());
    second.stop().await;
    configured.max_age = Duration::from_secs(3600);
    let third = collector(folder.path(), &[&configured]).await;
    let time = now();
    push(&third, "s", &[time]).await;
    eventually("the next one arrives", async || store.taken("s").contains(&time)).await;
    assert_eq!(store.taken("s"), [time].into(), "what was given up stays so");
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_max_bytes_the_oldest_is_given_up_and_counted_and_the_rest_goes() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let store = FakeStore::new(|_| AWAY).await;
    let mut configured = store.configured("a");
    configured.max_bytes = 2 << 20;
    let collector = collector(folder.path(), &[&configured]).await;
    // Some 100 KiB each, in segments of 1 MiB.
    let mut chance = 1_u64;
    let mut pushed = BTreeSet::new();
    let start = now();
    eventually("some are given up", async || {
        let marker = start - i64::try_from(pushed.len()).unwrap();
        pushed.insert(marker);
        let mut request = RequestBuilder::new(Protocol::V1);
        let mut noise = |back| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Sample { time: UnixMillis(start - back), value: f64::from_bits(chance >> 2) }
        };
        let noise: Vec<Sample> = (0..8000).map(&mut noise).collect();
        request.series(&[("__name__", "noise")], &noise).unwrap();
        request.series(&[("__name__", "s")], &[Sample { time: UnixMillis(marker), value: 1.0 }]).unwrap();
        send(&collector, request).await;
        given_up(&collector).await > 0.0
    })
    .await;
    store.answers(|_| GOOD);
    let newest = pushed.first().copied().unwrap();
    eventually("the newest arrives", async || store.taken("s").contains(&newest)).await;
    eventually("nothing waits", async || {
        figure(&collector, Metric::CollectorForwardBacklogRequests, &[]).await == 0.0
    })
    .await;
    let (there, lost) = (store.taken("s").len(), given_up(&collector).await);
    #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
    let (there, all) = (there as f64, pushed.len() as f64);
    assert_eq!(there + lost, all, "each arrived or is counted: {there} and {lost} of {all}");
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_begins_now_or_with_the_oldest_and_one_that_is_taken_out_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    seed(data).await;
    let (fresh, full) = (FakeStore::new(|_| GOOD).await, FakeStore::new(|_| GOOD).await);
    let none = collector(data, &[]).await;
    let before = now();
    push(&none, "s", &[before]).await;
    none.stop().await;

    let mut from_oldest = full.configured("full");
    from_oldest.start = Start::Oldest;
    let both = collector(data, &[&fresh.configured("fresh"), &from_oldest]).await;
    let during = before + 1;
    push(&both, "s", &[during]).await;
    eventually("the one that begins with the oldest has both", async || {
        full.taken("s") == [before, during].into()
    })
    .await;
    eventually("the other has the new one", async || fresh.taken("s").contains(&during)).await;
    assert_eq!(fresh.taken("s"), [during].into());
    both.stop().await;
    assert_eq!(cursors(data), ["forward-fresh", "forward-full"]);

    let one = collector(data, &[&from_oldest]).await;
    let after = before + 2;
    push(&one, "s", &[after]).await;
    eventually("the one that stayed has it", async || full.taken("s").contains(&after)).await;
    one.stop().await;
    assert_eq!(cursors(data), ["forward-full"]);

    // It comes back as a new one.
    let both = collector(data, &[&fresh.configured("fresh"), &from_oldest]).await;
    let last = before + 3;
    push(&both, "s", &[last]).await;
    eventually("it has the new one", async || fresh.taken("s").contains(&last)).await;
    assert_eq!(fresh.taken("s"), [during, last].into());
    both.stop().await;
}

/// The cursors of stores in a collector's journal.
fn cursors(data: &Path) -> Vec<String> {
    let journal =
        wan_journal::Journal::open_dir(&config(data, &[]).journal_dir(), wan_journal::Options::default());
    let (journal, _) = journal.unwrap();
    let mut found: Vec<String> = journal.cursors().map(|(name, _)| name.to_owned()).collect();
    found.retain(|name| name.starts_with("forward-"));
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn in_order_a_store_without_a_window_refuses_nothing_after_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let store = FakeStore::new(|_| AWAY).await;
    let mut configured = store.configured("a");
    configured.order = Order::InOrder;
    let collector = collector(folder.path(), &[&configured]).await;
    let start = now() - 100_000;
    let mut sent = BTreeSet::new();
    let mut one = async |collector: &Running| {
        let time = start + i64::try_from(sent.len()).unwrap();
        push(collector, "s", &[time]).await;
        sent.insert(time);
        sent.clone()
    };
    // Longer than the live stream would wait before it went on with the newest.
    let began = clock::monotonic();
    while clock::monotonic().duration_since(began) < Duration::from_secs(6) {
        one(&collector).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut newest = i64::MIN;
    store.answers(move |heard| {
        let times: Vec<i64> = heard.series.values().flatten().copied().collect();
        if times.iter().any(|time| *time <= newest) {
            return (400, "", "out of order sample");
        }
        newest = times.into_iter().max().unwrap_or(newest);
        GOOD
    });
    let sent = one(&collector).await;
    eventually("all of it arrives", async || store.taken("s") == sent).await;
    assert_eq!(figure(&collector, Metric::CollectorForwardRefusedSamplesTotal, &[]).await, 0.0);
    assert!(
        store
            .heard()
            .iter()
            .filter(|heard| heard.taken)
            .all(|heard| { heard.series.values().all(|times| times.is_sorted()) })
    );
    collector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_sees_the_login_of_the_configuration_over_tls_that_its_ca_file_trusts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    seed(folder.path()).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.pem()).unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let (bearer, basic, untrusted) = (
        FakeStore::listen(Some(tls.clone()), |_| GOOD).await,
        FakeStore::listen(Some(tls.clone()), |_| GOOD).await,
        FakeStore::listen(Some(tls), |_| GOOD).await,
    );
    std::fs::write(folder.path().join("token"), "t0ken\n").unwrap();
    std::fs::write(folder.path().join("password"), "pass word\n").unwrap();
    let text = format!(
        "forward:\n  - {{name: bearer, url: '{}', ca_file: ca.pem, token_file: token, headers: {{X-Scope-OrgID: tay-ninh}}}}\n  \
         - {{name: basic, url: '{}', ca_file: ca.pem, user: wan, password_file: password}}\n  \
         - {{name: untrusted, url: '{}'}}\n",
        bearer.url, basic.url, untrusted.url
    );
    let path = folder.path().join("collector.yaml");
    std::fs::write(&path, text).unwrap();
    let read = Config::load(&path).unwrap();
    let mut config = config(folder.path(), &[]);
    config.forward = read.forward;
    let collector = Running::begin(config).await;
    let time = now();
    push(&collector, "s", &[time]).await;
    eventually("both have it", async || {
        bearer.taken("s").contains(&time) && basic.taken("s").contains(&time)
    })
    .await;
    let header = |store: &FakeStore, name: &str| store.heard()[0].headers.get(name).cloned();
    assert_eq!(header(&bearer, "authorization").as_deref(), Some("Bearer t0ken"));
    assert_eq!(header(&bearer, "x-scope-orgid").as_deref(), Some("tay-ninh"));
    assert_eq!(header(&basic, "authorization").as_deref(), Some("Basic d2FuOnBhc3Mgd29yZA=="));
    assert_eq!(header(&basic, "x-scope-orgid"), None);
    // A secret that changes is read anew.
    std::fs::write(folder.path().join("token"), "n3w\n").unwrap();
    bearer.answers(|heard| {
        if heard.headers["authorization"] == "Bearer n3w" { GOOD } else { (401, "", "who are you?") }
    });
    push(&collector, "s", &[time + 1]).await;
    eventually("it goes with the new one", async || bearer.taken("s").contains(&(time + 1))).await;
    let retries = [(Label::Store, "untrusted")];
    eventually("the one that is not trusted is tried", async || {
        figure(&collector, Metric::CollectorForwardRetriesTotal, &retries).await > 0.0
    })
    .await;
    assert!(untrusted.heard().is_empty(), "nothing is told to one that is not trusted");
    collector.stop().await;
}
