//! The settings of the TURN role, and how they become the settings of its workers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use stun_proto::turn::{self, Cidr, PeerPolicy, RelayAddress};

use crate::{StartError, sys};

settings::config! {
    /// TURN server: relays media of clients that no other way gets through (RFC 8656).
    pub struct Config {
        /// UDP addresses on which clients are served.
        pub listen: Vec<SocketAddr> = vec![([0, 0, 0, 0], 3478).into()],
        /// Realm of the credentials.
        pub realm: String = "tandem".into(),
        /// Local addresses of relay sockets, one IPv4 and one IPv6 at most. Empty: the address of the default route.
        pub relay_addresses: Vec<IpAddr> = Vec::new(),
        /// What clients are told instead of relay_addresses, in the same order, when the server is behind a 1:1 NAT.
        pub advertised_addresses: Vec<IpAddr> = Vec::new(),
        /// Lowest UDP port of relay sockets, 1024 to 65535.
        pub relay_port_min: u16 = 49_152,
        /// Highest UDP port of relay sockets.
        pub relay_port_max: u16 = 65_535,
        /// Ranges such as "10.1.0.0/16" that clients may reach although they are not public. By default a relay reaches
        /// public addresses only: never loopback, private, shared, link-local (cloud metadata) or multicast ones.
        pub allowed_peers: Vec<String> = Vec::new(),
        /// Ranges that clients may never reach.
        pub denied_peers: Vec<String> = Vec::new(),
        /// Most allocations at a time, 1 to 1,000,000; each one has a socket. Over it: error 508.
        pub allocations_max: usize = 10_000,
        /// Most allocations of one user at a time. Over it: error 486.
        pub allocations_per_user_max: u32 = 64,
        /// Longest lifetime that a client gets at once, seconds, 600 to 86,400.
        pub lifetime_max_s: u64 = 3_600,
        /// Whether an allocation ends with its credential. Browsers cannot renew a credential during a call.
        pub strict_expiry: bool = false,
        /// Threads that relay, 1 to 64. Clients are spread over them by their address.
        pub worker_threads: usize = 1,
        /// How long a busy thread gathers packets before it looks again, microseconds, 0 to 1,000: saves most of the
        /// wake-ups and delays media by as much. A thread with little to do never waits.
        pub batch_wait_us: u64 = 500,
    }
}

fn bad(key: &'static str, reason: impl Into<String>) -> StartError {
    StartError::Config { key, reason: reason.into() }
}

impl Config {
    /// Whether the settings make sense; nothing is opened.
    pub fn validate(&self) -> Result<(), StartError> {
        self.split(&[]).map(drop)
    }

    /// The relay addresses with what clients are told.
    pub(crate) fn relays(&self) -> Result<Vec<RelayAddress>, StartError> {
        let bind =
            if self.relay_addresses.is_empty() { vec![default_route_address()] } else { self.relay_addresses.clone() };
        for v4 in [true, false] {
            if bind.iter().filter(|ip| ip.is_ipv4() == v4).count() > 1 {
                return Err(bad("turn_server.relay_addresses", "at most one address per family"));
            }
        }
        if bind.iter().any(IpAddr::is_unspecified) {
            return Err(bad("turn_server.relay_addresses", "name an address, not 0.0.0.0 or ::"));
        }
        if self.advertised_addresses.is_empty() {
            return Ok(bind.into_iter().map(RelayAddress::plain).collect());
        }
        if self.advertised_addresses.len() != bind.len() {
            return Err(bad("turn_server.advertised_addresses", "needs one entry per relay address"));
        }
        let pairs = bind.into_iter().zip(&self.advertised_addresses);
        Ok(pairs.map(|(bind, advertised)| RelayAddress { bind, advertised: *advertised }).collect())
    }

    fn policy(
        &self,
        relays: &[RelayAddress],
        media: &[(IpAddr, RangeInclusive<u16>)],
    ) -> Result<PeerPolicy, StartError> {
        let allowed = cidrs("turn_server.allowed_peers", &self.allowed_peers)?;
        let denied = cidrs("turn_server.denied_peers", &self.denied_peers)?;
        let mut policy = PeerPolicy::default().allow(allowed).deny(denied);
        let ports = self.relay_port_min..=self.relay_port_max;
        // Loopback has many other listeners in that range: it needs a rule.
        for ip in relays.iter().flat_map(|relay| [relay.bind, relay.advertised]).filter(|ip| !ip.is_loopback()) {
            policy = policy.endpoint(ip, ports.clone());
        }
        for (ip, ports) in media {
            policy = policy.endpoint(*ip, ports.clone());
        }
        // What else listens on this machine trusts what comes from it: closed, unless a rule opens it.
        for ip in sys::local_addresses().into_iter().filter(|ip| !ip.is_loopback()) {
            policy = policy.endpoint(ip, RangeInclusive::new(1, 0));
        }
        Ok(policy)
    }

    /// Checks everything, then splits ports and places evenly over the workers.
    pub(crate) fn split(&self, media: &[(IpAddr, RangeInclusive<u16>)]) -> Result<Vec<turn::Config>, StartError> {
        let in_range = |key, good: bool, range| if good { Ok(()) } else { Err(bad(key, format!("must be {range}"))) };
        in_range("turn_server.worker_threads", (1..=64).contains(&self.worker_threads), "1 to 64")?;
        in_range("turn_server.batch_wait_us", self.batch_wait_us <= 1_000, "0 to 1000")?;
        in_range("turn_server.allocations_max", (1..=1_000_000).contains(&self.allocations_max), "1 to 1000000")?;
        in_range("turn_server.lifetime_max_s", (600..=86_400).contains(&self.lifetime_max_s), "600 to 86400")?;
        in_range("turn_server.realm", (1..=127).contains(&self.realm.len()), "1 to 127 bytes")?;
        in_range("turn_server.relay_port_min", self.relay_port_min >= 1024, "1024 to 65535")?;
        let count = u32::from(self.relay_port_max).saturating_sub(u32::from(self.relay_port_min)) + 1;
        let workers = self.worker_threads as u32;
        let enough = self.relay_port_max > self.relay_port_min && count >= 2 * workers;
        in_range("turn_server.relay_port_max", enough, "above relay_port_min, with two ports per worker")?;
        let relays = self.relays()?;
        let peers = self.policy(&relays, media)?;
        let port_at = |n: u32| u32::from(self.relay_port_min) + count * n / workers;
        let workers = (0..workers).map(|n| turn::Config {
            realm: self.realm.clone(),
            software: concat!("tandem ", env!("CARGO_PKG_VERSION")).into(),
            relays: relays.clone(),
            relay_ports: port_at(n) as u16..=(port_at(n + 1) - 1) as u16,
            peers: peers.clone(),
            lifetime_max: Duration::from_secs(self.lifetime_max_s),
            allocations_max: self.allocations_max.div_ceil(self.worker_threads),
            allocations_per_user_max: self.allocations_per_user_max,
            strict_expiry: self.strict_expiry,
            ..turn::Config::default()
        });
        Ok(workers.collect())
    }
}

fn cidrs(key: &'static str, texts: &[String]) -> Result<Vec<Cidr>, StartError> {
    let parse = |text: &String| text.parse().map_err(|error| bad(key, format!("{text:?}: {error}")));
    texts.iter().map(parse).collect()
}

/// The address from which this computer talks to the Internet; loopback when it does not. Nothing is sent.
fn default_route_address() -> IpAddr {
    let probe = || {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        socket.connect(("192.0.2.1", 9))?;
        socket.local_addr()
    };
    probe().map_or(IpAddr::from([127, 0, 0, 1]), |address| address.ip())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_and_places_are_split_without_overlap() {
        let config = Config { worker_threads: 3, relay_port_min: 50_000, relay_port_max: 50_099, ..Config::default() };
        let workers = config.split(&[]).unwrap();
        let ports: Vec<u16> = workers.iter().flat_map(|worker| worker.relay_ports.clone()).collect();
        assert_eq!(ports, (50_000..=50_099).collect::<Vec<u16>>());
    }

    #[test]
    fn bad_values_are_named_by_their_key() {
        let cases: [(&str, Config); 6] = [
            ("allowed_peers", Config { allowed_peers: vec!["10.0.0.0/99".into()], ..Config::default() }),
            ("relay_port_max", Config { relay_port_max: 1_000, ..Config::default() }),
            ("worker_threads", Config { worker_threads: 0, ..Config::default() }),
            (
                "advertised_addresses",
                Config { advertised_addresses: vec![[8, 8, 8, 8].into(); 2], ..Config::default() },
            ),
            ("relay_addresses", Config { relay_addresses: vec![[0, 0, 0, 0].into()], ..Config::default() }),
            ("realm", Config { realm: String::new(), ..Config::default() }),
        ];
        for (key, config) in cases {
            let error = config.split(&[]).unwrap_err().to_string();
            assert!(error.contains(&format!("turn_server.{key}")), "{error}");
        }
    }

    #[test]
    fn own_relays_and_media_are_reached_the_rest_of_the_machine_is_not() {
        let own: IpAddr = [10, 0, 0, 5].into();
        let config = Config { relay_addresses: vec![own], ..Config::default() };
        let peers = config.split(&[(own, 30_000..=30_999)]).unwrap().remove(0).peers;
        assert!(peers.permits(own));
        assert!(peers.reaches((own, 50_000).into()) && peers.reaches((own, 30_000).into()));
        assert!(!peers.reaches((own, 5060).into()) && !peers.permits([10, 0, 0, 6].into()));
        let loopback = Config { relay_addresses: vec![[127, 0, 0, 1].into()], ..Config::default() };
        assert!(!loopback.split(&[]).unwrap()[0].peers.permits([127, 0, 0, 1].into()));
    }
}
