//! Several sockets on one address, among which the kernel chooses by the client's address alone.
//!
//! The usual choice hashes the port too. But EVEN-PORT reserves a port that the same client claims from another port of
//! its own (RFC 8656 §7), and quotas count by user, so all of a client must meet the same worker.

use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::sys;

/// Opens `workers` sockets on `address`, in the order in which the kernel numbers them.
pub(crate) fn shared_sockets(address: SocketAddr, workers: usize) -> std::io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        let _ = socket.set_recv_buffer_size(4 << 20); // a wish, capped by the kernel
        let _ = socket.set_send_buffer_size(4 << 20);
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        sockets.push(UdpSocket::from(socket));
    }
    if let Some(first) = sockets.first() {
        sys::steer_by_source_address(first, address.is_ipv4(), workers as u32)?;
    }
    Ok(sockets)
}
