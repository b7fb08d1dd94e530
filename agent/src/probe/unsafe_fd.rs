//! The one place with `unsafe`: surge-ping lends its socket only as a raw descriptor number, and the ICMP filters of raw
//! sockets (`raw(7)`, RFC 3542 section 3.2) and the time of a packet's arrival (`SIOCGSTAMPNS`, `socket(7)`) have no safe wrapper.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use socket2::SockRef;
use surge_ping::Client;

use crate::config::Family;

/// `SOL_RAW`, `ICMP_FILTER` and `ICMP6_FILTER` of Linux.
const SOL_RAW: libc::c_int = 255;
const ICMP_FILTER: libc::c_int = 1;
const ICMP6_FILTER: libc::c_int = 1;

/// Sets the receive buffer of a client's socket to about `bytes` (the kernel caps it at `net.core.rmem_max`).
pub(super) fn set_receive_buffer(client: &Client, bytes: usize) -> io::Result<()> {
    with_fd(client, |fd| SockRef::from(&fd).set_recv_buffer_size(bytes))
}

/// Lets a raw socket receive only these ICMP types: every raw socket of a host gets a copy of every ICMP packet that comes
/// in, on loopback its own requests too.
pub(super) fn pass_only(client: &Client, family: Family, types: &[u8]) -> io::Result<()> {
    let blocked = blocked(types);
    with_fd(client, |fd| match family {
        Family::V4 => set(fd, SOL_RAW, ICMP_FILTER, &blocked[..1]),
        Family::V6 => set(fd, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &blocked),
    })
}

/// When the packet arrived that was last read from a client's socket, by the wall clock; `None` when the kernel cannot tell (none
/// was read yet, or a kernel older than 5.1).
pub(super) fn last_arrival(client: &Client) -> Option<Duration> {
    let mut stamp = [0i64; 2];
    with_fd(client, |fd| {
        // SAFETY: the descriptor is open for the call, and the kernel writes a `struct __kernel_timespec` of two 64-bit
        // integers (`SIOCGSTAMPNS_NEW`, on every architecture), for which `stamp` has room and alignment.
        unsafe { arrival_of_last_packet(fd.as_raw_fd(), &raw mut stamp) }
    })
    .ok()?;
    Some(Duration::new(u64::try_from(stamp[0]).ok()?, u32::try_from(stamp[1]).ok()?))
}

mod request {
    nix::ioctl_read!(
        /// `SIOCGSTAMPNS_NEW` of `asm-generic/sockios.h`.
        arrival_of_last_packet,
        0x89,
        0x07,
        [i64; 2]
    );
}
use request::arrival_of_last_packet;

/// Both filters are bit sets in which a set bit blocks a type; IPv4's covers the first 32 types, and lets the rest pass.
fn blocked(passed: &[u8]) -> [u32; 8] {
    let mut blocked = [u32::MAX; 8];
    for kind in passed {
        blocked[usize::from(kind / 32)] &= !(1 << (kind % 32));
    }
    blocked
}

fn with_fd<T>(client: &Client, work: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    let socket = client.get_socket();
    // SAFETY: `socket` holds a counted reference to the open socket until this function returns, so the descriptor is open
    // and is not reused while it is borrowed; `work` cannot keep it, since its lifetime is only that of the call.
    work(unsafe { BorrowedFd::borrow_raw(socket.get_native_sock()) })
}

fn set(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &[u32]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for the call; `value` is valid for reads of `length` bytes during it, and the kernel
    // only reads. `u32` has no padding, and the kernel's structures are arrays of `__u32`.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passed_types_are_not_blocked() {
        assert_eq!(blocked(&[]), [u32::MAX; 8]);
        let filter = blocked(&[0, 3, 129]);
        assert_eq!((filter[0], filter[4]), (!0b1001, !0b10));
        assert!([1, 2, 3, 5, 6, 7].iter().all(|at| filter[*at] == u32::MAX));
    }
}
