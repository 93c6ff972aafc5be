//! Where a message comes from or goes to: transport, both addresses, and the connection if there is one (RFC 5626 §3).

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A transport protocol for SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// RFC 3261 §18, unreliable.
    Udp,
    /// RFC 3261 §18.
    Tcp,
    /// RFC 3261 §26, RFC 5922.
    Tls,
    /// RFC 7118 over TCP.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
    /// Between two roles of one process.
    Memory,
}

impl Transport {
    /// Whether the transport itself delivers or tells of failure; requests are then not sent again.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// Whether nobody on the way can read along.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss | Self::Memory)
    }

    /// The transport's name in Via.
    pub const fn via_name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp | Self::Memory => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The transport named by a URI parameter or a Via, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|t| t.via_name().eq_ignore_ascii_case(text))
    }

    /// The port when none is written (RFC 3261 §19.1.2, RFC 7118 §5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp | Self::Memory => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

/// One way to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flow {
    /// The transport.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address as we see it.
    pub peer: SocketAddr,
    /// The driver's number of the connection; 0 for UDP, or for a connection that has yet to be opened.
    pub connection: u64,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}>{}", self.transport.via_name(), self.local, self.peer)?;
        if self.connection == 0 { Ok(()) } else { write!(f, "#{}", self.connection) }
    }
}
