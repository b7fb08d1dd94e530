//! What an agent probes: the grammar of `round`, `icmp` and `links`, and what they mean together.
//!
//! One reader serves both sides, so that what the collector has checked is what an agent takes: the agent's own file, the
//! layers that the collector puts on top of each other, and the document that goes from one to the other.
//!
//! ```text
//!  YAML ──Layer::read──► Layer ──over──► Layer ──resolve──► Probes
//!                        what one        what all           every target with its packets and timeout,
//!                        of them says    say together       or the flaws that are left
//! ```
//!
//! A [`Layer`] knows only what its text says; a target that names no timeout has none in it. [`Layer::resolve`] fills in the
//! rest, so that a round of another layer reaches the targets of this one, and finds what is wrong only in the whole: a
//! timeout over the interval, a link without targets, too many targets.

mod layer;
mod peer;
mod read;
mod render;
mod resolve;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use wan_wire::{LinkName, OutcomeRule, SiteId};

pub use layer::{Layer, LinkLayer, Place, RoundLayer, TargetLayer};
pub use peer::{bare_host, host, parse_url};
pub use read::{Form, RCODES, RECORD_TYPES, read_interface, read_name, read_path, read_source};
pub use render::{Origins, render};
pub use resolve::Flaw;

use crate::interface::InterfaceName;

/// Packets per round unless configured: with one a second, a single lost packet is 20 % loss, which is still `up` (c1 of
/// ITU-T Y.1540), two are `degraded`.
pub const DEFAULT_PACKETS: u32 = 5;
/// Length of a round unless configured: the resolution of every outage's start and end.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// How long an answer may take unless configured: above any usable path inside the country, below the packet spacing's order.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an HTTP answer may take unless configured: it is several round trips and the server's own work.
pub const DEFAULT_HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest round: a packet needs room for its answer. Half a second is for the centre's agent, which looks twice as often as agents of
/// sites that make rounds of a second.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(500);
/// The longest round: an outage's start is not told more coarsely.
pub const LONGEST_INTERVAL: Duration = Duration::from_secs(300);
/// The shortest time that an answer is given.
pub const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
/// Most packets of a round.
pub const MOST_PACKETS: u64 = 100;
/// Links of one agent; a site has a handful, the centre's agent one for each name of a link in the register.
pub const MOST_LINKS: usize = 64;
/// Targets of one agent: at five packets in five seconds this is [`MOST_PACKETS_A_SECOND`].
pub const MOST_TARGETS: usize = 2_000;
/// Packets that one agent sends each second, over all its targets: within what one core sends evenly. Past it packets pile up
/// in memory faster than they leave.
pub const MOST_PACKETS_A_SECOND: u64 = 2_000;
/// Bytes of a `target` label: longer ones are cut by stores or refused.
pub const LONGEST_LABEL: usize = 512;
/// Bytes of an HTTP body that are read for `body_match`, and at all.
pub const BODY_LIMIT: usize = 64 * 1024;

/// What an agent probes, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// How rounds are made, unless a target says otherwise.
    pub round: RoundConfig,
    /// Which kind of ICMP socket to use.
    pub icmp: IcmpSocket,
    /// What to probe. Never empty.
    pub links: Vec<LinkConfig>,
}

impl Probes {
    /// How many targets there are in all.
    pub fn targets(&self) -> usize {
        self.links.iter().map(|link| link.targets.len()).sum()
    }
}

/// What is probed where nothing is configured: the gateway, the collector's host, and two public resolvers.
impl Default for Probes {
    fn default() -> Self {
        Layer::default().resolve().0
    }
}

/// How a round is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundConfig {
    /// A round's length; all links share it.
    pub interval: Duration,
    /// Packets per round and target (HTTP: 1 unless the target says otherwise).
    pub packets: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Default for RoundConfig {
    fn default() -> Self {
        RoundConfig { interval: DEFAULT_INTERVAL, packets: DEFAULT_PACKETS, timeout: DEFAULT_TIMEOUT }
    }
}

/// Which kind of ICMP socket to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum IcmpSocket {
    /// Datagram where `net.ipv4.ping_group_range` allows it, else raw.
    #[default]
    Auto,
    /// Only raw (`CAP_NET_RAW`).
    Raw,
    /// Only unprivileged datagram.
    Datagram,
}

impl IcmpSocket {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            IcmpSocket::Auto => "auto",
            IcmpSocket::Raw => "raw",
            IcmpSocket::Datagram => "datagram",
        }
    }
}

/// One way out of the site, and what to probe on it.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkConfig {
    /// Its name; its kind is the name's prefix.
    pub name: LinkName,
    /// Send only out of this interface (`SO_BINDTODEVICE`).
    pub interface: Option<InterfaceName>,
    /// Send only from this address, which must be on the host.
    pub source: Option<IpAddr>,
    /// When a round of this link is up, degraded or down. Only the log and `probe` use it: the collector has its own.
    pub rule: OutcomeRule,
    /// What to probe. Never empty.
    pub targets: Vec<TargetConfig>,
}

/// One target of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetConfig {
    /// What to probe, and how.
    pub probe: ProbeConfig,
    /// The value of the `target` label; `None`: [`ProbeConfig::label`].
    pub label: Option<String>,
    /// The site that this target stands for, where this agent watches another site.
    pub about: Option<SiteId>,
    /// Packets per round.
    pub packets: u32,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What to probe, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeConfig {
    /// ICMP echo to a host.
    Icmp(Host),
    /// ICMP echo to the default gateways of the moment, of both families.
    Gateway,
    /// ICMP echo to the host of the first collector URL. Nothing when that is this very host.
    CollectorHost,
    /// A TCP connection.
    Tcp(HostPort),
    /// An HTTP or HTTPS request on a fresh connection.
    Http(Box<HttpConfig>),
    /// A DNS query.
    Dns(Box<DnsConfig>),
}

/// A host: an address, or a name with the family to look it up in. The families are separate targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// An address, or a name.
    pub name: String,
    /// The family of a name's address. An address is its own.
    pub family: Family,
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Family {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port, from 1.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.name.contains(':') {
            write!(f, "[{}]:{}", self.host.name, self.port)
        } else {
            write!(f, "{}:{}", self.host.name, self.port)
        }
    }
}

/// An HTTP or HTTPS request and what makes its answer a good one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpConfig {
    /// The URL.
    pub url: String,
    /// Its host and port.
    pub peer: HostPort,
    /// Good status codes, as inclusive ranges. Redirects are not followed.
    pub status: Vec<(u16, u16)>,
    /// Text that the first [`BODY_LIMIT`] bytes of the body must contain.
    pub body_match: Option<String>,
    /// A PEM file of the only authorities to trust; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The answer is wrong when the server's certificate is valid for fewer days than this.
    pub certificate_days: Option<u32>,
}

/// A DNS query and what makes its answer a good one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsConfig {
    /// The name server; port 53 unless given.
    pub server: HostPort,
    /// The name to ask for.
    pub name: String,
    /// The record type, in capitals: one of [`RECORD_TYPES`].
    pub record: String,
    /// The response code, in capitals as IANA writes it: one of [`RCODES`].
    pub expect_rcode: String,
    /// Record data that must be among the answers, in presentation form.
    pub expect_answer: Option<String>,
}

impl ProbeConfig {
    /// The value of the `target` label unless the target has its own.
    pub fn label(&self) -> String {
        match self {
            ProbeConfig::Icmp(host) => host.name.clone(),
            ProbeConfig::Gateway => "gateway".into(),
            ProbeConfig::CollectorHost => "collector".into(),
            ProbeConfig::Tcp(peer) => peer.to_string(),
            ProbeConfig::Http(http) => http.url.clone(),
            ProbeConfig::Dns(dns) => format!("{}/{}@{}", dns.name, dns.record, dns.server.host.name),
        }
    }

    /// The word for the kind of probe.
    pub fn kind(&self) -> &'static str {
        match self {
            ProbeConfig::Icmp(_) | ProbeConfig::Gateway | ProbeConfig::CollectorHost => "icmp",
            ProbeConfig::Tcp(_) => "tcp",
            ProbeConfig::Http(_) => "http",
            ProbeConfig::Dns(_) => "dns",
        }
    }

    /// The host that is asked, where it is named rather than found out.
    pub fn host(&self) -> Option<&Host> {
        match self {
            ProbeConfig::Icmp(host) => Some(host),
            ProbeConfig::Tcp(peer) => Some(&peer.host),
            ProbeConfig::Http(http) => Some(&http.peer.host),
            ProbeConfig::Dns(dns) => Some(&dns.server.host),
            ProbeConfig::Gateway | ProbeConfig::CollectorHost => None,
        }
    }
}
