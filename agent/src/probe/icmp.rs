//! ICMP echo (RFC 792, RFC 4443) through surge-ping.
//!
//! - One socket for each (family, kind of socket, way), shared by all targets that leave by it. Sequence numbers are drawn
//!   from one counter per socket, so two targets at one address cannot take each other's replies.
//! - On a raw socket "destination unreachable" and its kin come back like replies: only an echo reply counts. On a datagram
//!   socket the kernel keeps them, and the packet times out.
//! - Replies to many packets arrive at once, so the receive buffer is raised; packets of a round are spread anyway.
//! - A reply's time is the kernel's time of its arrival ([`arrival`]), from just before it was handed to the kernel; surge-ping's own
//!   clock starts after that, when on a fast line the reply is back already.
//! - A socket stays bound to the interface it found: one that was deleted and made anew has another index, and the socket is
//!   opened again.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::Type;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};

use super::arrival;
use super::lookup::Lookup;
use super::socket::{Way, answer_of, errno, short, unspecified};
use super::{Answer, Boxed, NotReady, Prober, Question, unsafe_fd};
use crate::clock;
use crate::config::{Family, IcmpSocket};

/// Holds the replies to some ten thousand packets that arrive while the agent is kept from running.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes after the ICMP header: what `ping` sends, so that loss by size is the same (56 + 8 + 20 = 84 bytes on the wire).
const PAYLOAD: [u8; 56] = [0x57; 56];

/// Far above every configured timeout: the handler has the deadline, and surge-ping's own must not come first.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn make(question: &Question, way: &Way, pool: &Arc<Pool>) -> Option<Arc<dyn Prober>> {
    let Question::Icmp { host, scope, socket } = question else { return None };
    Some(Arc::new(Icmp {
        lookup: Lookup::new(host),
        scope: scope.clone(),
        key: Key { family: host.family, socket: *socket, way: way.clone() },
        pool: Arc::clone(pool),
    }))
}

struct Icmp {
    lookup: Lookup,
    scope: Option<String>,
    key: Key,
    pool: Arc<Pool>,
}

impl Prober for Icmp {
    fn prove(&self) -> Boxed<'_, Result<(), NotReady>> {
        Box::pin(async {
            self.key.way.prove(self.key.family).map_err(NotReady::Fault)?;
            self.pool.socket(&self.key).map_err(NotReady::Fault)?;
            self.lookup.find().await.map(|_| ())
        })
    }

    fn attempt(&self) -> Boxed<'_, Answer> {
        Box::pin(async {
            let Some(address) = self.lookup.latest() else {
                return Answer::Bad("its name was not found".into());
            };
            let socket = match self.pool.socket(&self.key) {
                Ok(socket) => socket,
                Err(why) => return Answer::Fault(why),
            };
            let answer = self.echo(&socket, address).await;
            if let Answer::Fault(_) = answer {
                // Whatever it is, a fresh socket next round is the remedy that is in our hands.
                self.pool.forget(&self.key);
            }
            answer
        })
    }
}

impl Icmp {
    async fn echo(&self, socket: &Socket, address: IpAddr) -> Answer {
        let mut pinger = socket.client.pinger(address, socket.identifier).await;
        pinger.timeout(NEVER);
        if let Some(scope) = &self.scope {
            match interface_index(scope) {
                Some(index) => pinger.scope_id(index),
                // The gateway's interface went away, and its route with it.
                None => return Answer::Bad(format!("interface {scope} does not exist")),
            };
        }
        let sequence = PingSequence(socket.sequence.fetch_add(1, Ordering::Relaxed));
        // Nothing stands between this and the packet's sending but surge-ping's making of it.
        let sent = clock::moment();
        match pinger.ping(sequence, &PAYLOAD).await {
            Ok((packet, _)) => {
                let stamp = unsafe_fd::last_arrival(&socket.client);
                let took = arrival::took(sent, clock::moment(), stamp);
                judge(&packet).map_or_else(Answer::Bad, |()| Answer::Timed(took))
            }
            Err(SurgeError::IOError(error)) => answer_of(&error),
            Err(error @ (SurgeError::Timeout { .. } | SurgeError::MalformedPacket(_))) => {
                Answer::Bad(error.to_string())
            }
            Err(
                error @ (SurgeError::IncorrectBufferSize
                | SurgeError::EchoRequestPacket
                | SurgeError::NetworkError
                | SurgeError::IdenticalRequests { .. }
                | SurgeError::ClientDestroyed),
            ) => Answer::Fault(error.to_string()),
        }
    }
}

/// ICMP type numbers (IANA).
const V4_ECHO_REPLY: u8 = 0;
const V6_ECHO_REPLY: u8 = 129;

/// What can come back for a request: the reply, unreachable, (IPv6: too big,) time exceeded, parameter problem.
const V4_PASSED: [u8; 4] = [V4_ECHO_REPLY, 3, 11, 12];
const V6_PASSED: [u8; 5] = [V6_ECHO_REPLY, 1, 2, 3, 4];

/// Only an echo reply is an answer.
fn judge(packet: &IcmpPacket) -> Result<(), String> {
    match packet {
        IcmpPacket::V4(packet) => match packet.get_icmp_type().0 {
            V4_ECHO_REPLY => Ok(()),
            3 => {
                Err(format!("unreachable, says {} (code {})", packet.get_source(), packet.get_icmp_code().0))
            }
            11 => Err(format!("time exceeded, says {}", packet.get_source())),
            other => Err(format!("ICMP type {other} from {}", packet.get_source())),
        },
        IcmpPacket::V6(packet) => match packet.get_icmpv6_type().0 {
            V6_ECHO_REPLY => Ok(()),
            1 => Err(format!(
                "unreachable, says {} (code {})",
                packet.get_source(),
                packet.get_icmpv6_code().0
            )),
            3 => Err(format!("time exceeded, says {}", packet.get_source())),
            other => Err(format!("ICMPv6 type {other} from {}", packet.get_source())),
        },
    }
}

/// What a socket is opened for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    family: Family,
    socket: IcmpSocket,
    way: Way,
}

/// One open socket.
struct Socket {
    client: Client,
    identifier: PingIdentifier,
    sequence: AtomicU16,
    interface_index: Option<u32>,
}

/// The ICMP sockets of the agent.
#[derive(Default)]
pub(crate) struct Pool {
    sockets: Mutex<BTreeMap<Key, Arc<Socket>>>,
}

impl Pool {
    fn socket(&self, key: &Key) -> Result<Arc<Socket>, String> {
        let index = key.way.interface.as_deref().and_then(interface_index);
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = sockets.get(key)
            && socket.interface_index == index
        {
            return Ok(Arc::clone(socket));
        }
        sockets.remove(key);
        let socket = Arc::new(open(key, index)?);
        sockets.insert(key.clone(), Arc::clone(&socket));
        Ok(socket)
    }

    fn forget(&self, key: &Key) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Opens a socket of the kind asked for; `Auto` prefers datagram, which needs no privilege and sees only its own replies.
fn open(key: &Key, interface_index: Option<u32>) -> Result<Socket, String> {
    let kinds: &[Type] = match key.socket {
        IcmpSocket::Auto => &[Type::DGRAM, Type::RAW],
        IcmpSocket::Raw => &[Type::RAW],
        IcmpSocket::Datagram => &[Type::DGRAM],
    };
    let mut refused = Vec::new();
    for kind in kinds {
        let name = if *kind == Type::RAW { "raw" } else { "datagram" };
        match open_kind(key, *kind) {
            Ok(client) => {
                tracing::info!(
                    socket = name,
                    family = ?key.family,
                    interface = key.way.interface.as_deref(),
                    source = key.way.source.map(tracing::field::display),
                    "opened an ICMP socket"
                );
                if let Err(error) = unsafe_fd::set_receive_buffer(&client, RECEIVE_BUFFER) {
                    tracing::warn!(%error, "the ICMP receive buffer stays small; bursts of replies may be lost");
                }
                let passed = match key.family {
                    Family::V4 => V4_PASSED.as_slice(),
                    Family::V6 => V6_PASSED.as_slice(),
                };
                // The kernel notes the arrival of packets from the first time that one is asked for.
                let _ = unsafe_fd::last_arrival(&client);
                if *kind == Type::RAW
                    && let Err(error) = unsafe_fd::pass_only(&client, key.family, passed)
                {
                    tracing::debug!(%error, "no ICMP filter; packets of others are sorted out by the agent");
                }
                return Ok(Socket {
                    client,
                    identifier: PingIdentifier(rand::random()),
                    sequence: AtomicU16::new(rand::random()),
                    interface_index,
                });
            }
            Err(error) => refused.push(format!("{name}: {}", explain(*kind, &error))),
        }
    }
    Err(format!("no ICMP socket ({})", refused.join("; ")))
}

fn open_kind(key: &Key, kind: Type) -> io::Result<Client> {
    // surge-ping falls back to the other kind in silence; opening one first keeps the choice ours.
    let (domain, protocol, icmp) = match key.family {
        Family::V4 => (socket2::Domain::IPV4, socket2::Protocol::ICMPV4, ICMP::V4),
        Family::V6 => (socket2::Domain::IPV6, socket2::Protocol::ICMPV6, ICMP::V6),
    };
    drop(socket2::Socket::new(domain, kind, Some(protocol))?);
    let mut config = Config::builder().kind(icmp).sock_type_hint(kind);
    config = config.bind(SocketAddr::new(key.way.source.unwrap_or_else(|| unspecified(key.family)), 0));
    if let Some(interface) = &key.way.interface {
        config = config.interface(interface);
    }
    Client::new(&config.build())
}

fn explain(kind: Type, error: &io::Error) -> String {
    use nix::errno::Errno;
    match (kind == Type::RAW, errno(error)) {
        (true, Some(Errno::EPERM | Errno::EACCES)) => "needs CAP_NET_RAW".into(),
        (false, Some(Errno::EPERM | Errno::EACCES)) => "net.ipv4.ping_group_range does not allow it".into(),
        _ => short(error),
    }
}

fn interface_index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}
