//! ICMP echo (RFC 792, RFC 4443) through surge-ping.
//!
//! - One socket for each (family, kind of socket, way), shared by all targets that leave by it. Sequence numbers are drawn
//!   from one counter per socket, so two targets at one address cannot take each other's replies.
//! - On a raw socket "destination unreachable" and its kin come back like replies: only an echo reply counts. On a datagram
//!   socket the kernel keeps them, and the packet times out.
//! - Replies to many packets arrive at once, so the receive buffer is raised as far as the kernel allows, and packets of many
//!   targets that are due at once go out in bursts that any buffer holds the replies of ([`Burst`]).
//! - A reply's time is the kernel's time of its arrival ([`arrival`]), from just before the request was handed to the kernel;
//!   surge-ping's own clock starts after that, when on a fast line the reply is back already. The kernel tells the time only of the
//!   packet that was read last, so it is asked while surge-ping hands over the reply, before it reads another ([`Listening`]).
//! - A socket stays bound to the interface it found: one that was deleted and made anew has another index, and the socket is
//!   opened again.

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use socket2::Type;
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, SurgeError};
use tokio::sync::Semaphore;

use super::arrival;
use super::lookup::Lookup;
use super::socket::{Way, answer_of, errno, short, unspecified};
use super::{Answer, Boxed, NotReady, Prober, Question, unsafe_fd};
use crate::clock::{self, Moment};
use crate::config::{Family, IcmpSocket};
use crate::push::trust::Times;

/// Holds the replies to some ten thousand packets that arrive while the agent is kept from running.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Bytes after the ICMP header: what `ping` sends, so that loss by size is the same (56 + 8 + 20 = 84 bytes on the wire).
const PAYLOAD: [u8; 56] = [0x57; 56];

/// Far above every configured timeout: the handler has the deadline, and surge-ping's own must not come first.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn make(question: &Question, way: &Way, pool: &Arc<Pool>, _: &Times) -> Option<Arc<dyn Prober>> {
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
        let burst = socket.burst.turn().await;
        let sequence = PingSequence(socket.sequence.fetch_add(1, Ordering::Relaxed));
        let mut ping = pin!(pinger.ping(sequence, &PAYLOAD));
        let mut listening: Option<Arc<Listening>> = None;
        let mut sent = None;
        // Nothing stands between this and the packet's sending but surge-ping's making of it.
        let asked = clock::moment();
        let mut poll = |context: &mut Context<'_>| {
            let here = match &listening {
                Some(here) if here.task.will_wake(context.waker()) => Arc::clone(here),
                Some(_) | None => Arc::new(Listening::new(&socket.client, context.waker())),
            };
            listening = Some(Arc::clone(&here));
            let polled = ping.as_mut().poll(&mut Context::from_waker(&Waker::from(here)));
            sent.get_or_insert_with(clock::monotonic);
            polled
        };
        let first = poll_fn(|context| Poll::Ready(poll(context))).await;
        burst.sent().await;
        let answered = match first {
            Poll::Ready(answered) => answered,
            Poll::Pending => poll_fn(poll).await,
        };
        match answered {
            Ok((packet, _)) => {
                let heard = listening.and_then(|here| here.heard());
                let (noticed, stamp) = heard.unwrap_or_else(|| (clock::moment(), None));
                let took = arrival::took(asked, sent.unwrap_or(noticed.instant), noticed, stamp);
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

/// Notes when a reply arrived, while surge-ping hands it to the task that waits for it.
///
/// surge-ping reads one packet after the other and wakes the one who waits for it before it reads the next: at that moment the
/// packet read last is this one. Whoever asks when it gets its turn may be told the time of a later packet; after the process
/// was kept from running, of one that came a second later.
struct Listening {
    client: Client,
    task: Waker,
    heard: Mutex<Option<Heard>>,
}

/// When a reply was noticed, and when the kernel says that it arrived.
type Heard = (Moment, Option<Duration>);

impl Listening {
    fn new(client: &Client, task: &Waker) -> Self {
        Self { client: client.clone(), task: task.clone(), heard: Mutex::default() }
    }

    /// Of the last time that the task was woken: by the reply, if there is one.
    fn heard(&self) -> Option<Heard> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Listening {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let stamp = unsafe_fd::last_arrival(&self.client);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((clock::moment(), stamp));
        self.task.wake_by_ref();
    }
}

/// Packets that may go out of a socket before what came in is read. A host that was kept from running finds all packets of that
/// time due at once, and their replies must fit into a receive buffer that the kernel may cap (`net.core.rmem_max` is 212,992 on
/// many hosts: some three hundred replies, each charged with what the kernel keeps about it).
const BURST: usize = 32;

/// Lets packets out in bursts that the receive buffer holds the replies of.
struct Burst {
    turns: Semaphore,
    taken: AtomicUsize,
}

impl Default for Burst {
    fn default() -> Self {
        Self { turns: Semaphore::new(BURST), taken: AtomicUsize::new(0) }
    }
}

impl Burst {
    /// Waits until a packet may go, first come, first served.
    async fn turn(&self) -> TurnToSend<'_> {
        // It is never closed, so this cannot fail.
        if let Ok(turn) = self.turns.acquire().await {
            turn.forget();
        }
        let last = self.taken.fetch_add(1, Ordering::Relaxed) % BURST == BURST - 1;
        TurnToSend(last.then_some(&self.turns))
    }
}

/// One packet's turn. The last one of a burst begins the next when it is dropped, however that comes.
struct TurnToSend<'a>(Option<&'a Semaphore>);

impl TurnToSend<'_> {
    /// The packet is out.
    async fn sent(self) {
        if self.0.is_some() {
            // Sockets are read, and whoever reads them runs, before this goes on.
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for TurnToSend<'_> {
    fn drop(&mut self) {
        if let Some(turns) = self.0 {
            turns.add_permits(BURST);
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
    burst: Burst,
    interface_index: Option<u32>,
}

/// The ICMP sockets of the agent.
pub(crate) struct Pool {
    sockets: Mutex<BTreeMap<Key, Arc<Socket>>>,
    receive_buffer: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self::with_receive_buffer(RECEIVE_BUFFER)
    }
}

impl Pool {
    /// Sockets whose receive buffer is about so many bytes, as far as the kernel allows.
    pub(super) fn with_receive_buffer(bytes: usize) -> Self {
        Self { sockets: Mutex::default(), receive_buffer: bytes }
    }

    fn socket(&self, key: &Key) -> Result<Arc<Socket>, String> {
        let index = key.way.interface.as_deref().and_then(interface_index);
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = sockets.get(key)
            && socket.interface_index == index
        {
            return Ok(Arc::clone(socket));
        }
        sockets.remove(key);
        let socket = Arc::new(open(key, index, self.receive_buffer)?);
        sockets.insert(key.clone(), Arc::clone(&socket));
        Ok(socket)
    }

    fn forget(&self, key: &Key) {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Opens a socket of the kind asked for; `Auto` prefers datagram, which needs no privilege and sees only its own replies.
fn open(key: &Key, interface_index: Option<u32>, receive_buffer: usize) -> Result<Socket, String> {
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
                if let Err(error) = unsafe_fd::set_receive_buffer(&client, receive_buffer) {
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
                    burst: Burst::default(),
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
