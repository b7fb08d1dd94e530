//! The one place with `unsafe`: surge-ping lends its socket only as a raw descriptor number.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;

use socket2::SockRef;
use surge_ping::Client;

/// Sets the receive buffer of a client's socket to about `bytes` (the kernel caps it at `net.core.rmem_max`).
pub(super) fn set_receive_buffer(client: &Client, bytes: usize) -> io::Result<()> {
    let socket = client.get_socket();
    // SAFETY: `socket` holds a counted reference to the open socket until this function returns, so the descriptor is open
    // and is not reused while it is borrowed here; nothing in between closes it.
    let fd = unsafe { BorrowedFd::borrow_raw(socket.get_native_sock()) };
    SockRef::from(&fd).set_recv_buffer_size(bytes)
}
