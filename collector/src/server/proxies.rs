//! Which proxies are believed when they say for whom they ask.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;

/// What a proxy appends the address to of whom it asks for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address, nor one with the number of its first bits such as 10.0.0.0/24")]
pub struct NotANetwork;

impl Network {
    /// Whether `address` is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let first = |bits: u128, width: u32| bits.checked_shr(width - self.bits).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                first(own.to_bits().into(), 32) == first(other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => first(own.to_bits(), 128) == first(other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| NotANetwork)?;
        if bits <= width { Ok(Self { address, bits }) } else { Err(NotANetwork) }
    }
}

/// Whom a request is from that came from `peer`: whom the trusted proxies it came through name, else `peer` itself. Each proxy
/// appends whom it heard, so the names are believed from the last one backwards, as far as trusted proxies wrote them.
pub(super) fn origin(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> SocketAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    let mut from = peer;
    if trusted.is_empty() || !is_trusted(from.ip()) {
        return from;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    for name in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
        let Some(named) = address(name.trim()) else { break };
        from = named;
        if !is_trusted(from.ip()) {
            break;
        }
    }
    from
}

/// An address, with a port or without.
fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 0)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        for (network, address, expected) in [
            ("10.0.0.5", "10.0.0.5", true),
            ("10.0.0.5", "::ffff:10.0.0.5", true),
            ("10.0.0.5", "10.0.0.6", false),
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            let holds = network.parse::<Network>().unwrap().holds(address.parse().unwrap());
            assert_eq!(holds, expected, "{network} {address}");
        }
        for bad in ["", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.1:80", "10.0.0.0/-1"] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad}");
        }
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let trusted: Vec<Network> = ["10.0.0.5", "10.9.0.0/16"].map(|text| text.parse().unwrap()).to_vec();
        for (peer, lines, expected) in [
            ("10.0.0.5:1", &["203.0.113.9"][..], "203.0.113.9:0"),
            ("10.0.0.5:1", &["203.0.113.9:4711"], "203.0.113.9:4711"),
            ("10.0.0.5:1", &["2001:db8::1"], "[2001:db8::1]:0"),
            ("10.0.0.5:1", &[], "10.0.0.5:1"),
            // Whoever is no proxy may write what it likes.
            ("10.0.0.6:1", &["203.0.113.9"], "10.0.0.6:1"),
            ("10.0.0.5:1", &["198.51.100.1, 203.0.113.9"], "203.0.113.9:0"),
            ("10.0.0.5:1", &["198.51.100.1", "203.0.113.9"], "203.0.113.9:0"),
            // Two proxies, one behind the other.
            ("10.0.0.5:1", &["198.51.100.1, 203.0.113.9, 10.9.3.4"], "203.0.113.9:0"),
            ("10.0.0.5:1", &["10.9.3.4"], "10.9.3.4:0"),
            ("10.0.0.5:1", &["203.0.113.9, unknown"], "10.0.0.5:1"),
            ("10.0.0.5:1", &[""], "10.0.0.5:1"),
        ] {
            let headers: HeaderMap = lines
                .iter()
                .map(|line| (http::HeaderName::from_static(FORWARDED_FOR), HeaderValue::from_static(line)))
                .collect();
            let found = origin(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found, expected.parse().unwrap(), "{peer} {lines:?}");
        }
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(FORWARDED_FOR),
            HeaderValue::from_static("203.0.113.9"),
        )]);
        let peer = "10.0.0.5:1".parse().unwrap();
        assert_eq!(origin(peer, &headers, &[]), peer, "no proxy is believed unless it is named");
    }
}
