//! Listeners with the options that servers want; errors name what was to listen where.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Receive and send buffers of UDP sockets, bytes: room for a burst of some thousand datagrams. The kernel may grant less.
const UDP_BUFFER_BYTES: usize = 4 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Something cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot listen on {address}: {source}")]
pub struct BindError {
    /// Which configuration asked for it, e.g. `sip_proxy.udp_listen`.
    pub what: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub source: std::io::Error,
}

/// A non-blocking UDP socket for tokio or for a thread of its own.
pub fn udp_socket(what: &'static str, address: SocketAddr) -> Result<std::net::UdpSocket, BindError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Both are wishes: the kernel caps them at its own maximum.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    open().map_err(|source| BindError { what, address, source })
}

/// A non-blocking TCP listener.
pub fn tcp_listener(what: &'static str, address: SocketAddr) -> Result<std::net::TcpListener, BindError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // A restart must not wait for connections of the last run to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| BindError { what, address, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let first = udp_socket("test.udp", "127.0.0.1:0".parse().unwrap()).unwrap();
        let error = udp_socket("test.udp", first.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("test.udp cannot listen on {}", first.local_addr().unwrap())));
        let first = tcp_listener("test.tcp", "127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(tcp_listener("test.tcp", first.local_addr().unwrap()).is_err());
    }
}
