//! Load for the ingest benchmark: many agents' pushes over a few keep-alive connections, against any remote write 1.0 receiver.
//!
//! All requests are made before the clock starts, so that what is measured is the receiver and the loopback between. Each
//! carries one round of one site: five targets, eight metrics each, one sample, six labels (`agent` tells the sites apart, for
//! receivers that do not read it from the secret). A site's rounds are 5 s apart and end about now.
//!
//! Closed loop (default): every connection sends its next request when the last is answered; gives throughput and CPU. Open loop
//! (`--rate`): requests are due at fixed times whether or not the server keeps up, and latency counts from when a request was
//! *due*, so a stall is charged to every request it delayed (no coordinated omission).
//!
//! Live (`--live up:60,down:120,stop:30,up:60`): the sites' rounds end when they are sent, and all sites change their state together. In a
//! phase's first second every site pushes once what it is now; after that each pushes every five seconds, evenly spread, in open loop. A site that is
//! down has lost its WAN and its Internet. A push that the server puts off (429, 503) is sent again, as an agent would.

mod live;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Parser;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use wan_tests::payload::{self, Sample};
use wan_tests::{clock, process, sender};

/// The time between two rounds of a site: the product's default push interval.
const INTERVAL: Duration = Duration::from_secs(5);
const SERIES: usize = TARGETS.len() * METRICS.len();
const TARGETS: [(&str, &str, &str); 5] = [
    ("lan", "icmp", "192.168.10.1"),
    ("wan", "icmp", "10.79.0.2"),
    ("internet", "icmp", "203.0.113.10"),
    ("internet", "icmp", "2001:db8:ff::10"),
    ("service-mail", "tcp", "mail.tayninh.example:443"),
];
const METRICS: [&str; 8] = [
    "wan_round_fault",
    "wan_round_interval_seconds",
    "wan_round_received",
    "wan_round_rtt_max_seconds",
    "wan_round_rtt_mean_seconds",
    "wan_round_rtt_median_seconds",
    "wan_round_rtt_min_seconds",
    "wan_round_sent",
];

#[derive(Parser)]
#[command(
    about = "Sends the rounds of many sites to a remote write 1.0 receiver and prints one line of JSON"
)]
struct Arguments {
    /// The receiver.
    #[arg(long, default_value = "127.0.0.1:8080")]
    server: SocketAddr,
    /// Its path.
    #[arg(long, default_value = "/api/v1/write")]
    path: String,
    /// How many sites push.
    #[arg(long, default_value_t = 1000)]
    sites: usize,
    /// Rounds a site sends while measured.
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Rounds a site sends before that (a receiver meets its series for the first time).
    #[arg(long, default_value_t = 2)]
    warmup_rounds: usize,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Requests a second in open loop; without it, closed loop.
    #[arg(long)]
    rate: Option<f64>,
    /// CSV with the site first and its secret last, as `wan-collector agents issue --all` writes them; without it, made-up ones.
    #[arg(long)]
    secrets: Option<PathBuf>,
    /// The server's process id: its CPU time and memory are read around the run.
    #[arg(long)]
    server_pid: Option<u32>,
    /// After the run, wait this long before the server's CPU is read: work that it put off counts too.
    #[arg(long, default_value_t = 3.0)]
    settle_seconds: f64,
    /// Phases of state and seconds, such as up:60,down:120,stop:30, in place of a fixed number of rounds; one line of JSON each.
    #[arg(long, value_delimiter = ',')]
    live: Vec<live::Phase>,
    /// So many of the first sites are up in every phase, as the centre is.
    #[arg(long, default_value_t = 0, requires = "live")]
    steady: usize,
    /// Seed of the made-up round-trip times and losses.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let agents = agents(&arguments)?;
    if !arguments.live.is_empty() {
        return live::run(&arguments, &agents);
    }
    let total = arguments.warmup_rounds + arguments.rounds;
    let requests = Requests::make(&arguments, &agents, total)?;
    let first_measured = arguments.warmup_rounds * agents.len();
    drive(&arguments, &requests, 0..first_measured, None)?;

    let cpu = |pid: Option<u32>| pid.map(process::cpu_time).transpose();
    let (server_before, own_before) = (cpu(arguments.server_pid)?, process::cpu_time(std::process::id())?);
    let run = drive(&arguments, &requests, first_measured..requests.spans.len(), arguments.rate)?;
    let own = process::cpu_time(std::process::id())?.saturating_sub(own_before);
    std::thread::sleep(Duration::from_secs_f64(arguments.settle_seconds));
    let server =
        cpu(arguments.server_pid)?.zip(server_before).map(|(after, before)| after.saturating_sub(before));
    let memory = arguments.server_pid.map(process::resident).transpose()?;
    report(&arguments, agents.len(), &requests, run, server, own, memory);
    Ok(())
}

fn report(
    arguments: &Arguments,
    sites: usize,
    requests: &Requests,
    mut run: Run,
    server: Option<Duration>,
    own: Duration,
    memory: Option<process::Resident>,
) {
    run.latencies.sort_unstable();
    let sent = run.latencies.len();
    let samples = (sent * SERIES) as f64;
    let quantile = |per_mille: usize| {
        let index = (run.latencies.len() * per_mille).div_ceil(1000);
        run.latencies.get(index.saturating_sub(1)).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    };
    let per_sample = |time: Duration| time.as_secs_f64() * 1e6 / samples;
    let seconds = run.elapsed.as_secs_f64();
    println!(
        "{}",
        serde_json::json!({
            "sites": sites,
            "requests": sent,
            "mode": if arguments.rate.is_some() { "open" } else { "closed" },
            "body_bytes": requests.body_bytes / requests.spans.len().max(1),
            "seconds": round(seconds, 3),
            "requests_per_second": round(sent as f64 / seconds, 1),
            "samples_per_second": round(samples / seconds, 0),
            "server_cpu_us_per_sample": server.map(|time| round(per_sample(time), 4)),
            "client_cpu_us_per_sample": round(per_sample(own), 4),
            "client_core_share": round(own.as_secs_f64() / seconds, 3),
            "p50_ms": round(quantile(500), 3),
            "p99_ms": round(quantile(990), 3),
            "p999_ms": round(quantile(999), 3),
            "max_ms": round(quantile(1000), 3),
            "server_rss_mb": memory.map(|memory| memory.now / 1_000_000),
            "server_rss_peak_mb": memory.map(|memory| memory.peak / 1_000_000),
        })
    );
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

struct Agent {
    site: String,
    secret: String,
}

fn agents(arguments: &Arguments) -> Result<Vec<Agent>> {
    let Some(path) = &arguments.secrets else {
        let made_up = |index| Agent { site: format!("site-{index:05}"), secret: format!("wan_{index:043}") };
        return Ok((1..=arguments.sites).map(made_up).collect());
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let agents: Vec<Agent> = text
        .lines()
        .filter_map(|line| Some((line.split_once(',')?.0, line.rsplit_once(',')?.1)))
        .filter(|(_, secret)| secret.starts_with("wan_"))
        .map(|(site, secret)| Agent { site: site.to_owned(), secret: secret.trim().to_owned() })
        .take(arguments.sites)
        .collect();
    ensure!(
        agents.len() == arguments.sites,
        "{} has {} secrets, --sites asks for {}",
        path.display(),
        agents.len(),
        arguments.sites
    );
    Ok(agents)
}

/// Every request of the run, head and body, one after the other in one buffer.
struct Requests {
    bytes: Vec<u8>,
    spans: Vec<std::ops::Range<usize>>,
    body_bytes: usize,
}

impl Requests {
    fn make(arguments: &Arguments, agents: &[Agent], rounds: usize) -> Result<Self> {
        let mut random = SmallRng::seed_from_u64(arguments.seed);
        let mut requests = Self { bytes: Vec::new(), spans: Vec::new(), body_bytes: 0 };
        let interval = i64::try_from(INTERVAL.as_millis())?;
        let newest = clock::unix_millis();
        let mut encoder = snap::raw::Encoder::new();
        let mut plain = Vec::with_capacity(16 * 1024);
        let heads: Vec<String> = agents.iter().map(|agent| head(&arguments.path, agent)).collect();
        for round in 0..rounds {
            for (index, (agent, head)) in agents.iter().zip(&heads).enumerate() {
                // The sites' rounds are spread over the interval, as the agents spread theirs.
                let phase = interval * i64::try_from(index)? / i64::try_from(agents.len())?;
                let end = newest - interval * i64::try_from(rounds - round)? + phase;
                plain.clear();
                body(&mut plain, &agent.site, end, &mut random);
                let body = encoder.compress_vec(&plain)?;
                let start = requests.bytes.len();
                requests.bytes.extend_from_slice(head.as_bytes());
                requests.bytes.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
                requests.bytes.extend_from_slice(&body);
                requests.spans.push(start..requests.bytes.len());
                requests.body_bytes += body.len();
            }
        }
        Ok(requests)
    }
}

/// A request up to the length of its body.
fn head(path: &str, agent: &Agent) -> String {
    let bearer = format!("Bearer {}", agent.secret);
    let head = sender::request("POST", path, &sender::push_headers(&bearer), b"");
    String::from_utf8_lossy(&head).replace("Content-Length: 0\r\n\r\n", "Content-Length: ")
}

/// One round of all targets. One target in fifty lost packets, one in five hundred most of them; none all,
/// since such a round has no round-trip times and the number of samples would not be known beforehand.
fn body(out: &mut Vec<u8>, site: &str, end: i64, random: &mut SmallRng) {
    for (link, probe, target) in TARGETS {
        let received = match random.random_range(0..500) {
            0 => 1.0,
            1..10 => 3.0,
            _ => 5.0,
        };
        let rtt: f64 = random.random_range(0.001..0.020);
        for metric in METRICS {
            let value = match metric {
                "wan_round_fault" => 0.0,
                "wan_round_interval_seconds" => INTERVAL.as_secs_f64(),
                "wan_round_received" => received,
                "wan_round_sent" => 5.0,
                "wan_round_rtt_min_seconds" => rtt * 0.8,
                "wan_round_rtt_max_seconds" => rtt * 1.7,
                "wan_round_rtt_mean_seconds" => rtt * 1.1,
                _ => rtt,
            };
            let labels = [
                ("__name__", metric),
                ("agent", site),
                ("link", link),
                ("probe", probe),
                ("target", target),
                ("zone", "tay-ninh"),
            ];
            payload::push_series(out, &labels, &[Sample { value, time: end }]);
        }
    }
}

struct Run {
    elapsed: Duration,
    /// Microseconds, one for each request.
    latencies: Vec<u32>,
}

/// Sends the requests of `range` over all connections; any answer that is not 2xx ends the run with an error.
fn drive(
    arguments: &Arguments,
    requests: &Requests,
    range: std::ops::Range<usize>,
    rate: Option<f64>,
) -> Result<Run> {
    let next = AtomicUsize::new(range.start);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let gap = rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
    let mut streams = Vec::new();
    for _ in 0..arguments.connections {
        let stream = TcpStream::connect(arguments.server)
            .with_context(|| format!("connect to {}", arguments.server))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).context("set the read limit")?;
        streams.push(stream);
    }
    let start = clock::now();
    let worker = |mut stream: TcpStream| -> Vec<u32> {
        let mut latencies = Vec::with_capacity(range.len() / arguments.connections * 2);
        let mut answer = vec![0; 16 * 1024];
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= range.end {
                break;
            }
            let due = match gap {
                None => clock::now(),
                Some(gap) => wait_until(
                    start + gap.mul_f64(f64::from(u32::try_from(index - range.start).unwrap_or(u32::MAX))),
                ),
            };
            if let Err(error) =
                exchange(&mut stream, &requests.bytes[requests.spans[index].clone()], &mut answer)
            {
                stop.store(true, Ordering::Relaxed);
                if let Ok(mut failure) = failure.lock() {
                    failure.get_or_insert(error.context(format!("request {index}")));
                }
                break;
            }
            latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        latencies
    };
    let latencies = std::thread::scope(|scope| {
        let threads: Vec<_> = streams.into_iter().map(|stream| scope.spawn(|| worker(stream))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a sender panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    let elapsed = start.elapsed();
    match failure.into_inner() {
        Ok(None) => Ok(Run { elapsed, latencies: latencies.concat() }),
        Ok(Some(error)) => Err(error),
        Err(_) => bail!("a sender panicked"),
    }
}

fn wait_until(due: Instant) -> Instant {
    let left = due.saturating_duration_since(clock::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
    due
}

/// Sends one request and reads its whole answer, which must be 2xx.
fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> Result<()> {
    let (status, text) = ask(stream, request, answer)?;
    ensure!(status / 100 == 2, "answered with {}", String::from_utf8_lossy(text));
    Ok(())
}

/// Sends one request and reads its whole answer: the status, and all of it.
fn ask<'a>(stream: &mut TcpStream, request: &[u8], answer: &'a mut [u8]) -> Result<(u16, &'a [u8])> {
    stream.write_all(request).context("send")?;
    let mut filled = 0;
    loop {
        let read = stream.read(answer.get_mut(filled..).unwrap_or_default()).context("read the answer")?;
        ensure!(read > 0, "the server closed the connection, or its answer is over {} bytes", answer.len());
        filled += read;
        let text = &answer[..filled];
        let Some(head_end) = text.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..head_end]);
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if filled >= head_end + 4 + length.unwrap_or(0) {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.with_context(|| format!("no status in {head:?}"))?;
            return Ok((status, &answer[..filled]));
        }
    }
}
