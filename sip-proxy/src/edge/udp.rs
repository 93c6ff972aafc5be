//! UDP listeners: one reader task each; whatever is there is read before the task yields.

use std::net::SocketAddr;
use std::sync::Arc;

use base::limits::SIP_MESSAGE_BYTES_MAX;
use bytes::Bytes;
use sip_proto::{Flow, Transport};
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

use super::Inlet;

/// Datagrams read in a row before other tasks get their turn.
const BURST_MAX: usize = 64;

/// Reads `socket` until `stop`.
pub(crate) async fn read(socket: Arc<UdpSocket>, local: SocketAddr, inlet: Inlet, stop: CancellationToken) {
    let mut buffer = vec![0u8; SIP_MESSAGE_BYTES_MAX];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            ready = socket.readable() => if let Err(error) = ready {
                tracing::error!(%local, %error, "UDP listener failed");
                return;
            },
        }
        for _ in 0..BURST_MAX {
            let (length, peer) = match socket.try_recv_from(&mut buffer) {
                Ok(read) => read,
                // ICMP errors of earlier sends surface here; they concern a peer, not the socket.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(_) => break,
            };
            if is_keep_alive(&buffer[..length]) {
                continue;
            }
            let flow = Flow { transport: Transport::Udp, local, peer, connection: 0 };
            inlet.deliver(flow, Bytes::copy_from_slice(&buffer[..length]));
        }
        tokio::task::yield_now().await;
    }
}

/// Blank lines and single zero bytes keep NAT bindings alive and say nothing.
fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.len() <= 4 && datagram.iter().all(|b| matches!(b, 0 | b'\r' | b'\n' | b' '))
}
