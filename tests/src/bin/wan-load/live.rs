//! Many sites that go on pushing, and change their state together.

use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use wan_tests::clock;
use wan_tests::payload::{self, Round};

use crate::{Agent, Arguments, INTERVAL, TARGETS, ask, head, round, wait_until};

/// In so long all sites change their state.
const CHANGE: Duration = Duration::from_secs(1);
/// After so long a push that was put off is sent again.
const PUT_OFF: Duration = Duration::from_millis(250);

/// What all sites are for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    state: State,
    length: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All is well.
    Up,
    /// Neither WAN nor Internet answers.
    Down,
    /// Nothing is pushed.
    Stop,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Stop => "stop",
        }
    }
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (state, seconds) =
            text.split_once(':').with_context(|| format!("{text:?} is not STATE:SECONDS"))?;
        let state = match state {
            "up" => State::Up,
            "down" => State::Down,
            "stop" => State::Stop,
            other => bail!("{other:?} is none of up, down, stop"),
        };
        let seconds: f64 = seconds.parse().with_context(|| format!("{seconds:?} are no seconds"))?;
        let length = Duration::try_from_secs_f64(seconds).context("the seconds of a phase")?;
        Ok(Self { state, length })
    }
}

/// All phases, one after the other; a line of JSON after each.
pub(crate) fn run(arguments: &Arguments, agents: &[Agent]) -> Result<()> {
    let mut load = Load {
        heads: agents.iter().map(|agent| head(&arguments.path, agent)).collect(),
        ends: agents.iter().map(|_| AtomicI64::new(0)).collect(),
        steady: arguments.steady,
        streams: Vec::new(),
    };
    for number in 0..arguments.connections {
        let stream = TcpStream::connect(arguments.server)
            .with_context(|| format!("connect to {}", arguments.server))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).context("set the read limit")?;
        let seed = arguments.seed.wrapping_add(u64::try_from(number)?);
        load.streams.push((stream, SmallRng::seed_from_u64(seed)));
    }
    for (number, phase) in arguments.live.iter().enumerate() {
        let began = clock::unix_millis();
        let mut sent = load.phase(*phase, number > 0)?;
        println!(
            "{}",
            serde_json::json!({
                "phase": phase.state.as_str(),
                "began_ms": began,
                "requests": sent.change.len() + sent.after.len(),
                "put_off": sent.put_off,
                "change_p99_ms": quantile(&mut sent.change, 0.99),
                "change_max_ms": quantile(&mut sent.change, 1.0),
                "p99_ms": quantile(&mut sent.after, 0.99),
                "max_ms": quantile(&mut sent.after, 1.0),
            })
        );
    }
    Ok(())
}

/// In milliseconds.
fn quantile(micros: &mut [u32], share: f64) -> Option<f64> {
    micros.sort_unstable();
    let last = micros.len().checked_sub(1)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the length")]
    let at = (last as f64 * share).round() as usize;
    micros.get(at).map(|micros| round(f64::from(*micros) / 1000.0, 2))
}

/// Latencies in microseconds since each was due, and how often the server asked to come again later.
#[derive(Default)]
struct Sent {
    change: Vec<u32>,
    after: Vec<u32>,
    put_off: usize,
}

struct Load {
    heads: Vec<String>,
    /// When each site's newest round ended.
    ends: Vec<AtomicI64>,
    /// So many of the first stay up.
    steady: usize,
    streams: Vec<(TcpStream, SmallRng)>,
}

impl Load {
    /// Pushes until the phase is over.
    fn phase(&mut self, phase: Phase, changes: bool) -> Result<Sent> {
        let sites = self.heads.len();
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let (heads, ends, steady) = (&self.heads, &self.ends, self.steady);
        let start = clock::now();
        let worker = |stream: &mut TcpStream, random: &mut SmallRng| -> Sent {
            let mut sent = Sent::default();
            let (mut plain, mut answer) = (Vec::new(), vec![0; 16 * 1024]);
            let mut encoder = snap::raw::Encoder::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let after = due(index, sites, changes);
                if after >= phase.length {
                    return sent;
                }
                let due = wait_until(start + after);
                let site = index % sites;
                let state = if site < steady { State::Up } else { phase.state };
                if state == State::Stop {
                    continue;
                }
                let pushed = (|| -> Result<usize> {
                    let end = clock::unix_millis();
                    let before = ends[site].swap(end, Ordering::Relaxed);
                    plain.clear();
                    body(&mut plain, state, end, end.saturating_sub(before), random);
                    let body = encoder.compress_vec(&plain)?;
                    let mut request = format!("{}{}\r\n\r\n", heads[site], body.len()).into_bytes();
                    request.extend_from_slice(&body);
                    let mut put_off = 0;
                    loop {
                        let (status, text) = ask(stream, &request, &mut answer)?;
                        match status {
                            200..300 => return Ok(put_off),
                            429 | 503 => put_off += 1,
                            _ => bail!("site {site}: answered with {}", String::from_utf8_lossy(text)),
                        }
                        std::thread::sleep(PUT_OFF);
                    }
                })();
                match pushed {
                    Ok(put_off) => sent.put_off += put_off,
                    Err(error) => {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        if let Ok(mut failure) = failure.lock() {
                            failure.get_or_insert(error);
                        }
                        return sent;
                    }
                }
                let took = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
                if changes && index < sites { sent.change.push(took) } else { sent.after.push(took) }
            }
        };
        let mut all = Sent::default();
        std::thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = self
                .streams
                .iter_mut()
                .map(|(stream, random)| scope.spawn(|| worker(stream, random)))
                .collect();
            for thread in threads {
                let sent = thread.join().map_err(|_| anyhow!("a sender panicked"))?;
                all.change.extend(sent.change);
                all.after.extend(sent.after);
                all.put_off += sent.put_off;
            }
            Ok(())
        })?;
        let rest = phase.length.saturating_sub(start.elapsed());
        match failure.into_inner() {
            Ok(None) => {
                std::thread::sleep(rest);
                Ok(all)
            }
            Ok(Some(error)) => Err(error),
            Err(_) => bail!("a sender panicked"),
        }
    }
}

/// When the push of this number is due after a phase's beginning: those of the change in its first second, then a round of all in each interval.
fn due(index: usize, sites: usize, changes: bool) -> Duration {
    let share = |number: usize| number as f64 / sites.max(1) as f64;
    if !changes {
        return INTERVAL.mul_f64(share(index));
    }
    match index.checked_sub(sites) {
        None => CHANGE.mul_f64(share(index)),
        Some(after) => CHANGE + INTERVAL.mul_f64(share(after)),
    }
}

/// One round of the targets that are asked by ICMP, which ends at `end`, `since` after the one before it.
fn body(out: &mut Vec<u8>, state: State, end: i64, since: i64, random: &mut SmallRng) {
    let whole = i64::try_from(INTERVAL.as_millis()).unwrap_or(i64::MAX);
    for (link, _, target) in TARGETS.into_iter().filter(|(_, probe, _)| *probe == "icmp") {
        let lost = state == State::Down && link != "lan";
        let received = if lost { 0 } else { 5 - u32::from(random.random_range(0..50) == 0) };
        let round = Round { link, target, end, interval: since.clamp(1, whole), sent: 5, received };
        payload::push_round(out, &round, &[]);
    }
}
