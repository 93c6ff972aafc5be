//! SIP trunks and SMPP carriers: peers that are not our users.

use std::net::IpAddr;

use base::id::kind::{Carrier, Tenant, Trunk};
use base::{Id, Secret};
use serde::{Deserialize, Serialize};

/// Transport on which a trunk is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrunkTransport {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS.
    Tls,
}

impl TrunkTransport {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|t| t.as_str() == text)
    }
}

/// Where calls to a trunk go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrunkTarget {
    /// IP address or host name.
    pub host: String,
    /// Port, 5060 or 5061 by the transport when the manifest names none.
    pub port: u16,
    /// Transport.
    pub transport: TrunkTransport,
}

/// A SIP trunk. One without `target` only calls us; one without `sources` is only called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkFacts {
    /// The trunk.
    pub id: Id<Trunk>,
    /// Its unique name.
    pub name: String,
    /// The tenant that alone may use it; `None`: shared by all.
    pub tenant: Option<Id<Tenant>>,
    /// Where calls to it go.
    pub target: Option<TrunkTarget>,
    /// Addresses from which it calls us without digest.
    pub sources: Vec<SourceAddress>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Most calls at the same time in both directions; `None`: no limit of its own.
    pub calls_max: Option<u32>,
}

/// An address or network, optionally with one port, that identifies a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceAddress {
    /// The network's address.
    pub address: IpAddr,
    /// Leading bits that count; 32 or 128 for a single host.
    pub prefix_bits: u8,
    /// The port that the peer must send from; `None`: any.
    pub port: Option<u16>,
}

impl SourceAddress {
    /// Reads `192.0.2.1`, `192.0.2.0/24`, `192.0.2.1:5062`, `2001:db8::/32`, `[2001:db8::1]:5062`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
            let address = socket.ip();
            return Some(Self { address, prefix_bits: full_bits(address), port: Some(socket.port()) });
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let prefix_bits = bits.unwrap_or(full_bits(address));
        (prefix_bits <= full_bits(address)).then_some(Self { address, prefix_bits, port: None })
    }

    /// Whether a packet from `address`:`port` comes from this peer.
    pub fn matches(&self, address: IpAddr, port: u16) -> bool {
        let same_network = match (self.address, address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(theirs)) => {
                let shift = 32 - u32::from(self.prefix_bits.min(32));
                (u32::from(mine) ^ u32::from(theirs)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(mine), IpAddr::V6(theirs)) => {
                let shift = 128 - u32::from(self.prefix_bits.min(128));
                (u128::from(mine) ^ u128::from(theirs)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        };
        same_network && self.port.is_none_or(|p| p == port)
    }
}

impl std::fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}", std::net::SocketAddr::new(self.address, port)),
            None if self.prefix_bits == full_bits(self.address) => write!(f, "{}", self.address),
            None => write!(f, "{}/{}", self.address, self.prefix_bits),
        }
    }
}

const fn full_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// How we bind to a carrier (SMPP 3.4 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindType {
    /// bind_transmitter
    Transmitter,
    /// bind_receiver
    Receiver,
    /// bind_transceiver
    Transceiver,
}

impl BindType {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transmitter => "transmitter",
            Self::Receiver => "receiver",
            Self::Transceiver => "transceiver",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Transmitter, Self::Receiver, Self::Transceiver].into_iter().find(|t| t.as_str() == text)
    }
}

/// The switch itself, as the carrier of texts between its own numbers. No generator makes this id.
pub const ON_NET: Id<Carrier> = Id::from_i64(0);

/// An SMPP carrier to which we bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierFacts {
    /// The carrier.
    pub id: Id<Carrier>,
    /// Its unique name.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// system_id, at most 15 octets (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// password, at most 8 octets by the specification; longer ones are sent as they are.
    pub password: Secret,
    /// system_type, at most 12 octets.
    pub system_type: String,
    /// How to bind.
    pub bind: BindType,
    /// Most submit_sm without a response.
    pub window: u16,
    /// Most submit_sm per second; `None`: as fast as the window lets.
    pub submits_per_second: Option<u32>,
    /// Whether it may be used.
    pub enabled: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_source_matches_its_network_and_port_only() {
        let net = SourceAddress::parse("192.0.2.0/24").unwrap();
        assert!(net.matches("192.0.2.77".parse().unwrap(), 5060));
        assert!(net.matches("::ffff:192.0.2.77".parse().unwrap(), 5060));
        assert!(!net.matches("192.0.3.1".parse().unwrap(), 5060));
        let one = SourceAddress::parse("[2001:db8::1]:5062").unwrap();
        assert!(
            one.matches("2001:db8::1".parse().unwrap(), 5062) && !one.matches("2001:db8::1".parse().unwrap(), 5060)
        );
        assert!(SourceAddress::parse("0.0.0.0/0").unwrap().matches("203.0.113.9".parse().unwrap(), 1));
        for bad in ["", "x", "192.0.2.0/33", "192.0.2.0/"] {
            assert!(SourceAddress::parse(bad).is_none(), "{bad}");
        }
    }
}
