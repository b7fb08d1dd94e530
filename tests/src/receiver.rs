//! A collector that does as it is told: answers, refuses, hangs, cuts connections, and remembers every sample that reached it.
//!
//! It reads remote write 2.0 by hand from the published protobuf definition and shares no code with the product.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::clock;
use crate::listener::Listener;
use crate::netns::Namespace;

/// What becomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Acknowledged, after so many milliseconds.
    Accept(u64),
    /// Taken note of, but the connection is cut before the answer.
    Cut,
    /// Answered with this status, unread.
    Refuse(u16),
    /// Answered with a web page of this status, as a captive portal or a firewall does.
    Html(u16),
    /// Answered with a redirect.
    Redirect,
    /// Never answered.
    Hang,
}

/// One sample that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric.
    pub metric: String,
    /// The other labels, sorted, as `name=value,…`.
    pub labels: String,
    /// Unix milliseconds.
    pub time: i64,
    /// The value.
    pub value: f64,
}

/// One write request that was read.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it was read.
    pub at: Instant,
    /// Whether it was acknowledged.
    pub acknowledged: bool,
    /// Its samples.
    pub samples: Vec<Sample>,
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<Mode>,
    requests: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

/// The collector; it ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    listener: Listener,
    shared: Arc<Shared>,
}

impl Receiver {
    /// Listens on a free loopback port inside `space`.
    pub fn start(space: &Namespace) -> Result<Self> {
        let shared = Arc::new(Shared {
            mode: Mutex::new(Mode::Accept(0)),
            requests: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let listener = Listener::start(space, move |stream| serve(stream, &serving))?;
        Ok(Self { listener, shared })
    }

    /// The URL to push to.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address)
    }

    /// What becomes of requests from now on.
    pub fn set(&self, mode: Mode) {
        *self.shared.mode() = mode;
    }

    /// What it has read so far; forgotten here.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.requests())
    }

    /// What it has read so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true).context("set TCP_NODELAY")?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).context("set the read limit")?;
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            fill(&mut stream, &mut buffer)?;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.unwrap_or(0);
        while buffer.len() < end + length {
            fill(&mut stream, &mut buffer)?;
        }
        let body: Vec<u8> = buffer.drain(..end + length).skip(end).collect();
        let mode = *shared.mode();
        let is_write = head.starts_with("post /api/v1/write");
        let status = match mode {
            Mode::Hang => {
                while *shared.mode() == Mode::Hang && !shared.stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return Ok(());
            }
            Mode::Refuse(status) => format!("{status} No\r\nwan-time: {}", clock::unix_millis()),
            Mode::Html(status) => format!("{status} Page\r\nContent-Type: text/html"),
            Mode::Redirect => "302 Found\r\nLocation: http://127.0.0.1:1/".to_owned(),
            Mode::Accept(_) | Mode::Cut if !is_write => {
                format!("404 Not Found\r\nwan-time: {}", clock::unix_millis())
            }
            Mode::Accept(_) | Mode::Cut => {
                let samples = decode(&body)?;
                let count = samples.len();
                let acknowledged = mode != Mode::Cut;
                if let Mode::Accept(slow) = mode {
                    std::thread::sleep(Duration::from_millis(slow));
                }
                shared.requests().push(Request { at: clock::now(), acknowledged, samples });
                if !acknowledged {
                    return Ok(());
                }
                format!(
                    "204 No Content\r\nwan-time: {}\r\nX-Prometheus-Remote-Write-Samples-Written: {count}",
                    clock::unix_millis()
                )
            }
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).context("answer")?;
    }
}

fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    let mut chunk = [0; 64 << 10];
    let read = stream.read(&mut chunk).context("read the request")?;
    ensure!(read > 0, "the agent closed the connection");
    buffer.extend_from_slice(&chunk[..read]);
    Ok(())
}

/// The samples of a compressed remote write 2.0 message.
fn decode(body: &[u8]) -> Result<Vec<Sample>> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).context("snappy")?;
    let (mut symbols, mut series): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for field in fields(&plain)? {
        match field {
            (4, Value::Bytes(text)) => symbols.push(text),
            (5, Value::Bytes(one)) => series.push(one),
            _ => {}
        }
    }
    let symbol = |at: u64| -> Result<String> {
        let text = usize::try_from(at).ok().and_then(|at| symbols.get(at));
        Ok(String::from_utf8(text.ok_or_else(|| anyhow!("no symbol {at}"))?.to_vec())?)
    };
    let mut samples = Vec::new();
    for one in series {
        let (mut labels, mut points) = (Vec::new(), Vec::new());
        for field in fields(one)? {
            match field {
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        labels.push(symbol(varint(&mut packed)?)?);
                    }
                }
                (2, Value::Bytes(sample)) => points.push(point(sample)?),
                _ => {}
            }
        }
        let mut metric = String::new();
        let mut others = Vec::new();
        for pair in labels.chunks_exact(2) {
            if pair[0] == "__name__" {
                metric.clone_from(&pair[1]);
            } else {
                others.push(format!("{}={}", pair[0], pair[1]));
            }
        }
        others.sort_unstable();
        let labels = others.join(",");
        samples.extend(points.into_iter().map(|(time, value)| Sample {
            metric: metric.clone(),
            labels: labels.clone(),
            time,
            value,
        }));
    }
    Ok(samples)
}

fn point(bytes: &[u8]) -> Result<(i64, f64)> {
    let (mut time, mut value) = (0, 0.0);
    for field in fields(bytes)? {
        match field {
            (1, Value::Fixed(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(number)) => time = number.cast_signed(),
            _ => {}
        }
    }
    Ok((time, value))
}

enum Value<'b> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'b [u8]),
}

fn fields(mut bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)?),
            1 => {
                let (fixed, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| anyhow!("cut short"))?;
                bytes = rest;
                Value::Fixed(u64::from_le_bytes(*fixed))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?)?;
                let (text, rest) = bytes.split_at_checked(length).ok_or_else(|| anyhow!("cut short"))?;
                bytes = rest;
                Value::Bytes(text)
            }
            other => return Err(anyhow!("wire type {other}")),
        };
        found.push((tag >> 3, value));
    }
    Ok(found)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or_else(|| anyhow!("cut short"))?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(anyhow!("a number too long"))
}
