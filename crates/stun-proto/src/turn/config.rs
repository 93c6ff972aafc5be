//! What the operator decides about the server.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::PeerPolicy;

/// Where relay sockets live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayAddress {
    /// The local address that sockets are bound to.
    pub bind: IpAddr,
    /// The address that clients are told; differs from `bind` behind a 1:1 NAT.
    pub advertised: IpAddr,
}

/// The settings of one [`super::Server`].
#[derive(Debug, Clone)]
pub struct Config {
    /// REALM of the long-term credentials.
    pub realm: String,
    /// SOFTWARE in every response; empty sends none.
    pub software: String,
    /// Where relays live: the first IPv4 and the first IPv6 entry count.
    pub relays: Vec<RelayAddress>,
    /// UDP ports for relays.
    pub relay_ports: RangeInclusive<u16>,
    /// Whom clients may reach.
    pub peers: PeerPolicy,
    /// Lifetime of an allocation that asks for none, and the shortest one (RFC 8656 §3.2: ten minutes).
    pub lifetime_default: Duration,
    /// Longest lifetime granted at once (§7.2: one hour).
    pub lifetime_max: Duration,
    /// Most allocations at a time. Over it: 508.
    pub allocations_max: usize,
    /// Most allocations of one user at a time. Over it: 486.
    pub allocations_per_user_max: u32,
    /// Whether an allocation ends with its credential. Browsers cannot change credentials in mid-call, so the default
    /// lets them refresh beyond it.
    pub strict_expiry: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            realm: "tandem".into(),
            software: "tandem".into(),
            relays: Vec::new(),
            relay_ports: 49_152..=65_535,
            peers: PeerPolicy::default(),
            lifetime_default: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3600),
            allocations_max: 10_000,
            allocations_per_user_max: 64,
            strict_expiry: false,
        }
    }
}

impl RelayAddress {
    /// An address that clients are told as it is.
    pub fn plain(ip: IpAddr) -> Self {
        Self { bind: ip, advertised: ip }
    }

    pub(super) fn local(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.bind, port)
    }

    pub(super) fn public(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.advertised, port)
    }
}
