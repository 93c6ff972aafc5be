//! A TURN server (RFC 8656) as a machine: datagrams and time in; answers, relay sockets wanted and forwards out.
//!
//! The driver owns the sockets. It hands every client datagram to [`Server::receive`] and every datagram that reaches a
//! relay socket to [`Server::receive_from_peer`]; both tell where the payload goes without copying it. Then it drains
//! [`Server::poll_output`]. UDP relays only (no RFC 6062); DONT-FRAGMENT is refused with 420.

mod allocate;
mod allocation;
mod authenticate;
pub mod channel_data;
mod config;
mod permit;
mod policy;
mod ports;
mod refusal;
mod server;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base::Timestamp;

pub use config::{Config, RelayAddress};
pub use policy::{BadCidr, Cidr, PeerPolicy};
pub use server::{Counters, Server};

/// How long a permission lasts (RFC 8656 §9).
pub const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
/// How long a channel binding lasts (§12).
pub const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// How long a reserved port waits for its RESERVATION-TOKEN (§7.2: at least 30 s).
pub const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);
/// How long a relayed port rests before somebody else gets it (§5: two minutes), so that stray packets die out.
pub const PORT_QUARANTINE: Duration = Duration::from_secs(120);
/// Most permissions of one allocation; a browser asks for one per candidate of its peer. Over it: 508.
pub const PERMISSIONS_MAX: usize = 256;
/// Most channels of one allocation. Over it: 508.
pub const CHANNELS_MAX: usize = 256;

/// Both clocks, read by the driver once per batch.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For lifetimes.
    pub mono: Instant,
    /// For nonces and the expiry of credentials.
    pub wall: Timestamp,
}

/// How a client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
}

/// What names an allocation (RFC 8656 §5): both addresses and the transport between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// How they talk.
    pub transport: Transport,
    /// The client, as the server sees it.
    pub client: SocketAddr,
    /// The server's listening address.
    pub server: SocketAddr,
}

/// A relay socket. The index is small and used again, the generation tells its users apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId {
    /// Place in a dense table.
    pub index: u32,
    /// Grows with every use of the place.
    pub generation: u32,
}

/// What the driver has to do.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send a message to a client.
    Transmit {
        /// To whom, and from which of our addresses.
        to: FiveTuple,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Open a UDP socket, then call [`Server::relay_opened`] or [`Server::relay_refused`].
    OpenRelay {
        /// Its name from now on.
        relay: RelayId,
        /// The local address and port to bind.
        bind: SocketAddr,
    },
    /// Close a relay socket.
    CloseRelay {
        /// Which.
        relay: RelayId,
    },
    /// An allocation ended; for usage records.
    Ended(Usage),
}

/// What an allocation carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The user name of the credential.
    pub username: String,
    /// Who it was.
    pub client: FiveTuple,
    /// How long it lived.
    pub duration: Duration,
    /// From the client to peers.
    pub to_peers: Traffic,
    /// From peers to the client.
    pub from_peers: Traffic,
}

/// Packets and bytes of payload, without the headers of TURN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
}

impl Traffic {
    fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// Payload for a peer: send `data` from the relay socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToPeer<'a> {
    /// From which socket.
    pub relay: RelayId,
    /// To whom.
    pub peer: SocketAddr,
    /// The payload, a part of the client's datagram.
    pub data: &'a [u8],
}

/// Payload for a client: send `prefix`, the peer's datagram, and `padding` zero bytes as one datagram.
#[derive(Debug, Clone, Copy)]
pub struct ToClient {
    /// To whom, and from which of our addresses.
    pub client: FiveTuple,
    /// What goes before the payload.
    pub prefix: Prefix,
    /// Zero bytes behind the payload, 0-3.
    pub padding: usize,
}

/// The bytes before relayed payload: a ChannelData header, or a Data indication up to its payload.
#[derive(Debug, Clone, Copy)]
pub struct Prefix {
    bytes: [u8; Prefix::BYTES_MAX],
    length: u8,
}

impl Prefix {
    /// Longest prefix: a Data indication from an IPv6 peer. Receive buffers leave this much room in front.
    pub const BYTES_MAX: usize = 48;

    fn new(parts: &[&[u8]]) -> Self {
        let mut prefix = Self { bytes: [0; Self::BYTES_MAX], length: 0 };
        for part in parts {
            let start = usize::from(prefix.length);
            prefix.bytes[start..start + part.len()].copy_from_slice(part);
            prefix.length += part.len() as u8;
        }
        prefix
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}
