//! A small HTTP/1.1 client on blocking sockets: exact control over the bytes, for hostile input, durability and load.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// The headers of a remote write 1.0 request.
pub const REMOTE_WRITE_V1: &[(&str, &str)] = &[
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; every later read and write is bounded by `limit`.
    pub fn open(server: SocketAddr, limit: Duration) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&server, limit).with_context(|| format!("connect to {server}"))?;
        stream.set_nodelay(true).context("set TCP_NODELAY")?;
        stream.set_read_timeout(Some(limit)).context("set the read limit")?;
        stream.set_write_timeout(Some(limit)).context("set the write limit")?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Bounds every later read by `limit`.
    pub fn set_limit(&mut self, limit: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(limit)).context("set the read limit")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Reads one answer; its body is as long as Content-Length or the chunks say.
    pub fn receive(&mut self) -> Result<Answer> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| anyhow!("not an HTTP answer: {head:?}"))?;
        let answer = Answer { status, head, body: String::new() };
        self.buffer.drain(..end);
        let body = match answer.header("transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => self.chunks()?,
            Some(coding) => bail!("an answer in transfer encoding {coding:?}"),
            None => {
                let length =
                    answer.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
                self.take(length)?
            }
        };
        Ok(Answer { body: String::from_utf8_lossy(&body).into_owned(), ..answer })
    }

    /// GETs a path and reads the answer.
    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        self.receive()
    }

    /// POSTs `body` and reads the answer.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        self.send(&request("POST", path, headers, body))?;
        self.receive()
    }

    /// Whether the peer has closed: a read that ends, or fails with a reset. A read that times out means it has not.
    pub fn closed_by_peer(&mut self) -> bool {
        let mut scratch = [0; 1024];
        loop {
            match self.stream.read(&mut scratch) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(at) => break at,
                    None => self.fill()?,
                }
            };
            let line = String::from_utf8_lossy(&self.take(line_end + 2)?).into_owned();
            let size = line.trim().split(';').next().unwrap_or_default();
            let size =
                usize::from_str_radix(size, 16).with_context(|| format!("a chunk's size: {line:?}"))?;
            let chunk = self.take(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn fill(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        let read = self.stream.read(&mut chunk).context("read the answer")?;
        ensure!(read > 0, "the server closed the connection before it answered");
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

/// The bytes of one request with `Content-Length`.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request_to("localhost", method, path, headers, body)
}

/// The bytes of one request to a server that looks at `Host`.
pub fn request_to(host: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The headers of a remote write 1.0 push with a site's secret.
pub fn push_headers(bearer: &str) -> Vec<(&str, &str)> {
    let mut headers = REMOTE_WRITE_V1.to_vec();
    headers.push(("Authorization", bearer));
    headers
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
