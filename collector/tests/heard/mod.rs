//! Requests as a receiver of the test's own reads them.

#![allow(clippy::unwrap_used, dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// One request that came.
pub(crate) struct Request {
    /// Without the method.
    pub(crate) path: String,
    /// By names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// The next request of a connection; `read` is what came of it beyond the one before. `None`: it was closed.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, read).await?;
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let headers: BTreeMap<String, String> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while read.len() < end + 4 + length {
        more(stream, read).await?;
    }
    let rest = read.split_off(end + 4 + length);
    let body = read.split_off(end + 4);
    *read = rest;
    Some(Request { path, headers, body })
}

async fn more(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(read).await.unwrap_or(0) > 0).then_some(())
}
