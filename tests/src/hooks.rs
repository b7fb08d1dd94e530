//! A webhook's receiver: keeps what was posted to it and when, and answers with the status that it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::clock;
use crate::listener::Listener;
use crate::netns::Namespace;

/// One post.
#[derive(Debug, Clone)]
pub struct Post {
    /// When it was read, Unix milliseconds.
    pub at: i64,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// How it was answered.
    pub status: u16,
    /// Its body.
    pub body: Value,
}

#[derive(Debug)]
struct Shared {
    status: AtomicU16,
    posts: Mutex<Vec<Post>>,
}

/// The receiver; it ends when dropped.
#[derive(Debug)]
pub struct Hooks {
    listener: Listener,
    shared: Arc<Shared>,
}

impl Hooks {
    /// Listens on a free loopback port inside `space`.
    pub fn start(space: &Namespace) -> Result<Self> {
        let shared = Arc::new(Shared { status: AtomicU16::new(200), posts: Mutex::default() });
        let serving = Arc::clone(&shared);
        let listener = Listener::start(space, move |stream| serve(stream, &serving))?;
        Ok(Self { listener, shared })
    }

    /// The URL to post to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.listener.address)
    }

    /// How posts are answered from now on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::Relaxed);
    }

    /// All posts so far.
    pub fn posts(&self) -> Vec<Post> {
        self.shared.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut length, mut key) = (0, String::new());
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse()?,
                "idempotency-key" => value.trim().clone_into(&mut key),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (at, status) = (clock::unix_millis(), shared.status.load(Ordering::Relaxed));
        let body = serde_json::from_slice(&body).context("a body that is no JSON")?;
        shared.posts.lock().unwrap_or_else(PoisonError::into_inner).push(Post { at, key, status, body });
        write!(writer, "HTTP/1.1 {status} Answer\r\nContent-Length: 0\r\n\r\n")?;
    }
}
