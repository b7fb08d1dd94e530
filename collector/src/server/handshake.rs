//! From a connection on a TLS port to a stream that HTTP can be spoken on.
//!
//! Each handshake runs in its connection's own task and has to end within [`HANDSHAKE_TIMEOUT`], so a client that stalls holds up
//! nobody. Few may be under way at once, and fewer from one network: what a handshake costs is bounded, and one network
//! cannot take all places. Who has sent nothing yet takes none.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::networks::{self, Networks};
use crate::tls::Secured;

/// From the connection to the handshake's end, waiting for a place included. Three round trips of a satellite line are 2 s.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way: each holds some 30 KB.
const HANDSHAKES: usize = 1024;
/// Of these from one network (an IPv4 address, or an IPv6 /48, which is what one subscriber is given): a province behind one address
/// comes back within seconds, and one hostile host leaves room for the others.
const HANDSHAKES_PER_NETWORK: usize = 256;
/// The first byte of a TLS handshake record (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// So much of a plain request is read, so that its sender gets to see the answer rather than a broken connection.
const PLAIN_BYTES: usize = 64 << 10;
/// And for so long.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What a plain request is answered. Not a 4xx: senders of remote write keep their data only at a 5xx.
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 55\r\n\
    connection: close\r\n\
    \r\n\
    This port speaks HTTPS: write https:// before its name\n";

/// Hands out places for handshakes.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    networks: Networks,
}

/// A place, until it is dropped.
struct Place<'p> {
    _own: networks::Place<'p>,
    _all: OwnedSemaphorePermit,
}

/// Why there is no secure stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoHandshake {
    #[error("no handshake within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    Timeout,
    #[error("a plain HTTP request to a port that speaks HTTPS")]
    Plain,
    #[error("{0}")]
    Failed(#[from] std::io::Error),
}

/// Shakes hands. A client that speaks plain HTTP is told so.
pub(super) async fn shake(
    mut stream: TcpStream,
    peer: IpAddr,
    secured: &Secured,
    places: &Places,
) -> Result<TlsStream<TcpStream>, NoHandshake> {
    let shaking = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(NoHandshake::Failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        if first[0] != HANDSHAKE_RECORD {
            if first[0].is_ascii_uppercase() {
                answer_plain(&mut stream).await?;
                return Err(NoHandshake::Plain);
            }
            return Err(NoHandshake::Failed(std::io::Error::other("neither TLS nor HTTP")));
        }
        let _place = places.take(peer).await?;
        Ok(TlsAcceptor::from(secured.server_config()).accept(stream).await?)
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await.unwrap_or(Err(NoHandshake::Timeout))
}

impl Places {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(HANDSHAKES)), networks: Networks::new(HANDSHAKES_PER_NETWORK) }
    }

    async fn take(&self, peer: IpAddr) -> Result<Place<'_>, std::io::Error> {
        let closed = |_| std::io::Error::other("no more handshakes");
        let own = self.networks.take(network(peer)).await.map_err(closed)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(closed)?;
        Ok(Place { _own: own, _all: all })
    }
}

async fn answer_plain(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(PLAIN_ANSWER).await?;
    stream.shutdown().await?;
    let drained = async {
        let (mut left, mut buffer) = (PLAIN_BYTES, [0; 4096]);
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    let _ = tokio::time::timeout(PLAIN_TIMEOUT, drained).await;
    Ok(())
}

/// The network that a handshake is counted under.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(PLAIN_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    #[tokio::test]
    async fn one_network_cannot_take_all_places_and_gives_back_its_own() {
        let places = Places::new();
        let hostile = |host: u16| IpAddr::from([0xfd00, 0, 0, host, 0, 0, 0, host]);
        let mut held = Vec::new();
        for host in 0..HANDSHAKES_PER_NETWORK {
            held.push(places.take(hostile(u16::try_from(host).unwrap())).await.unwrap());
        }
        let waits = tokio::time::timeout(Duration::from_millis(20), places.take(hostile(9999)));
        assert!(waits.await.is_err(), "the network's last place is taken");
        let other = places.take(IpAddr::from([10, 0, 0, 1])).await.unwrap();
        held.pop();
        held.push(places.take(hostile(9999)).await.unwrap());
        drop((held, other));
        assert!(places.networks.is_empty());
        assert_eq!(places.all.available_permits(), HANDSHAKES);
    }
}
