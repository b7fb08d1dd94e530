//! Sockets bound to a link's way out, and which errors are the instrument's and which the network's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::Answer;
use crate::config::Family;

/// How packets leave the host: by interface, by source address, both, or as the routing table says.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Way {
    /// `SO_BINDTODEVICE`.
    pub(crate) interface: Option<String>,
    /// The address to bind to.
    pub(crate) source: Option<IpAddr>,
}

impl Way {
    /// Opens a non-blocking socket that leaves by this way; `Err` says what is wrong with the instrument.
    pub(super) fn open(
        &self,
        family: Family,
        kind: Type,
        protocol: Option<Protocol>,
    ) -> Result<Socket, String> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, kind, protocol)
            .map_err(|error| format!("no {kind:?} socket: {}", short(&error)))?;
        socket.set_nonblocking(true).map_err(|error| format!("socket: {}", short(&error)))?;
        self.bind(&socket, family)?;
        Ok(socket)
    }

    /// Proves that the interface exists and that the source address is on the host.
    pub(super) fn prove(&self, family: Family) -> Result<(), String> {
        if self.interface.is_none() && self.source.is_none() {
            return Ok(());
        }
        self.open(family, Type::DGRAM, Some(Protocol::UDP)).map(|_| ())
    }

    fn bind(&self, socket: &Socket, family: Family) -> Result<(), String> {
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes())).map_err(|error| match errno(&error) {
                Some(Errno::ENODEV) => format!("interface {interface} does not exist"),
                _ => format!("cannot bind to interface {interface}: {}", short(&error)),
            })?;
        }
        if let Some(source) = self.source {
            if source.is_ipv4() != (family == Family::V4) {
                return Err(format!("the source address {source} is of the other family than the target"));
            }
            socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| match errno(&error) {
                Some(Errno::EADDRNOTAVAIL) => format!("source address {source} is not on this host"),
                _ => format!("cannot bind to source address {source}: {}", short(&error)),
            })?;
        }
        Ok(())
    }
}

/// The unspecified address of a family.
pub(super) fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The answer that an error of connecting, sending or receiving means.
///
/// No route, host unreachable, interface down: that is what an outage looks like from inside, so it is a bad answer. What
/// is left is the instrument's own failing.
pub(super) fn answer_of(error: &io::Error) -> Answer {
    let why = short(error);
    if is_networks(error) { Answer::Bad(why) } else { Answer::Fault(why) }
}

/// Whether an error is the network's rather than the instrument's.
pub(super) fn is_networks(error: &io::Error) -> bool {
    match errno(error) {
        Some(
            Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::ECONNABORTED
            | Errno::EPIPE
            | Errno::ETIMEDOUT
            | Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENETDOWN
            | Errno::ENETRESET
            | Errno::ENONET
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EMSGSIZE,
        ) => true,
        // EPERM and EACCES (a local firewall, no permission), ENODEV (the interface went away), EADDRNOTAVAIL, EINVAL,
        // ENOBUFS, ENOMEM, EMFILE and whatever else the host may answer.
        Some(_) => false,
        // No code from the system: the peer's doing (unexpected end, bad data).
        None => true,
    }
}

/// The system's error code.
pub(super) fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// An error in few words: the system's own text without its number.
pub(super) fn short(error: &io::Error) -> String {
    match errno(error) {
        Some(Errno::ECONNREFUSED) => "refused".into(),
        Some(Errno::ENETUNREACH) => "no route".into(),
        Some(Errno::EHOSTUNREACH) => "host unreachable".into(),
        Some(Errno::EPERM) => "not permitted (a local firewall, or no CAP_NET_RAW)".into(),
        Some(code) => code.desc().to_ascii_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: Errno) -> bool {
        matches!(answer_of(&io::Error::from_raw_os_error(code as i32)), Answer::Fault(_))
    }

    #[test]
    fn an_outage_is_never_a_fault_and_a_broken_instrument_is_never_an_outage() {
        let outages = [
            Errno::ENETUNREACH,
            Errno::EHOSTUNREACH,
            Errno::ENETDOWN,
            Errno::ECONNREFUSED,
            Errno::ECONNRESET,
            Errno::ETIMEDOUT,
            Errno::EHOSTDOWN,
        ];
        let faults = [
            Errno::EPERM,
            Errno::EACCES,
            Errno::ENODEV,
            Errno::EADDRNOTAVAIL,
            Errno::EINVAL,
            Errno::ENOBUFS,
            Errno::ENOMEM,
            Errno::EMFILE,
            Errno::EAFNOSUPPORT,
        ];
        assert!(outages.into_iter().all(|code| !fault(code)));
        assert!(faults.into_iter().all(fault));
        assert!(is_networks(&io::Error::new(io::ErrorKind::UnexpectedEof, "closed")));
    }

    #[test]
    fn a_missing_interface_and_a_foreign_source_are_named() {
        let way = Way { interface: Some("nosuch0".into()), source: None };
        assert_eq!(way.prove(Family::V4), Err("interface nosuch0 does not exist".into()));
        let way = Way { interface: None, source: Some([192, 0, 2, 251].into()) };
        assert_eq!(way.prove(Family::V4), Err("source address 192.0.2.251 is not on this host".into()));
        assert!(way.prove(Family::V6).unwrap_err().contains("other family"));
        let way = Way { interface: Some("lo".into()), source: Some([127, 0, 0, 1].into()) };
        assert_eq!(way.prove(Family::V4), Ok(()));
        assert_eq!(Way::default().prove(Family::V6), Ok(()));
    }
}
