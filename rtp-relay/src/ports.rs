//! The ports of the relay: pairs of an even port for RTP and the next for RTCP, opened when asked for, resting for a while after
//! use. One pool per address family.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::Random;
use socket2::{Domain, Protocol, Socket, Type};

use crate::StartError;
use crate::config::Config;

/// How many pairs that another program has taken are passed over in one go.
const TAKEN_MAX: usize = 64;

/// Why there is no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PortError {
    /// All are in use or rest.
    #[error("no free media port")]
    Exhausted,
    /// No address of that family is configured or works.
    #[error("no media address of that IP version")]
    NoFamily,
}

/// Free pairs of one address.
struct Pool {
    bind: IpAddr,
    advertised: Option<IpAddr>,
    rest: Duration,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    ready: VecDeque<u16>,
    resting: VecDeque<(Instant, u16)>,
}

impl Pool {
    fn take(&self, now: Instant) -> Option<u16> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // Those never used first: the longer a port has been quiet, the better.
        if let Some(port) = free.ready.pop_front() {
            return Some(port);
        }
        let rested = free.resting.front().is_some_and(|(since, _)| now.saturating_duration_since(*since) >= self.rest);
        if rested { free.resting.pop_front().map(|(_, port)| port) } else { None }
    }

    fn give_back(&self, now: Instant, port: u16) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).resting.push_back((now, port));
    }
}

/// The right to use a pair; dropping it starts its rest.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    port: u16,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.give_back(Instant::now(), self.port);
    }
}

/// Two open sockets. Fields are dropped in this order: the sockets are closed before the port rests.
pub(crate) struct PortPair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    lease: Lease,
}

impl PortPair {
    /// The RTP port; RTCP has the next.
    pub(crate) const fn port(&self) -> u16 {
        self.lease.port
    }
}

/// The pools of both families.
#[derive(Clone)]
pub(crate) struct Ports {
    v4: Option<Arc<Pool>>,
    v6: Option<Arc<Pool>>,
}

impl Ports {
    /// Checks that every configured address can be opened. Without any, all addresses are used, IPv6 only where there is some.
    pub(crate) fn new(config: &Config, random: &mut Random) -> Result<Self, StartError> {
        let mut ports = Self { v4: None, v6: None };
        let wildcard = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let implied = config.addresses.is_empty();
        let addresses = if implied { &wildcard[..] } else { &config.addresses };
        for (n, bind) in addresses.iter().enumerate() {
            match open(SocketAddr::new(*bind, 0)) {
                Ok(_) => {}
                Err(_) if implied && bind.is_ipv6() => continue,
                Err(source) => return Err(StartError::Bind { what: "rtp_relay.addresses", address: *bind, source }),
            }
            let advertised = config.advertised_addresses.get(n).copied();
            let pool = Pool {
                bind: *bind,
                advertised: advertised.or((!bind.is_unspecified()).then_some(*bind)),
                rest: Duration::from_millis(config.port_rest_ms),
                free: Mutex::new(Free { ready: shuffled_pairs(config, random), resting: VecDeque::new() }),
            };
            *(if bind.is_ipv4() { &mut ports.v4 } else { &mut ports.v6 }) = Some(Arc::new(pool));
        }
        Ok(ports)
    }

    fn pool(&self, v4: bool) -> Result<&Arc<Pool>, PortError> {
        let pool = if v4 { &self.v4 } else { &self.v6 };
        pool.as_ref().ok_or(PortError::NoFamily)
    }

    /// Opens a pair of a family.
    pub(crate) fn open_pair(&self, v4: bool) -> Result<PortPair, PortError> {
        let pool = self.pool(v4)?;
        for _ in 0..TAKEN_MAX {
            let port = pool.take(Instant::now()).ok_or(PortError::Exhausted)?;
            let lease = Lease { pool: Arc::clone(pool), port };
            let both = open(SocketAddr::new(pool.bind, port))
                .and_then(|rtp| Ok((rtp, open(SocketAddr::new(pool.bind, port + 1))?)));
            if let Ok((rtp, rtcp)) = both {
                return Ok(PortPair { rtp, rtcp, lease });
            }
        }
        Err(PortError::Exhausted)
    }

    /// What a peer at `peer` is to be told as our address of its family.
    pub(crate) fn address_for(&self, v4: bool, peer: IpAddr) -> Result<IpAddr, PortError> {
        let pool = self.pool(v4)?;
        match pool.advertised {
            Some(address) => Ok(address),
            None => address_towards(v4, peer).ok_or(PortError::NoFamily),
        }
    }

    /// How many pairs could be opened now, of both families together.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        let count = |pool: &Arc<Pool>| {
            let free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.ready.len() + free.resting.iter().filter(|(since, _)| since.elapsed() >= pool.rest).count()
        };
        self.v4.iter().chain(&self.v6).map(count).sum()
    }
}

/// The even ports of the range in random order: who knows the port of one call knows nothing of the next.
fn shuffled_pairs(config: &Config, random: &mut Random) -> VecDeque<u16> {
    let first = config.port_min.next_multiple_of(2);
    let mut pairs: Vec<u16> = (first..config.port_max).step_by(2).collect();
    for n in (1..pairs.len()).rev() {
        pairs.swap(n, random.below(n as u64 + 1) as usize);
    }
    pairs.into()
}

fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The address from which this machine reaches a peer: the route is asked, nothing is sent. Where the peer is of the other
/// family, that of the default route.
fn address_towards(v4: bool, peer: IpAddr) -> Option<IpAddr> {
    let default = if v4 { IpAddr::from([192, 0, 2, 1]) } else { IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]) };
    let peer = if peer.is_ipv4() == v4 && !peer.is_unspecified() { peer } else { default };
    let any: IpAddr = if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let route = |peer| {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((peer, 9))?;
        socket.local_addr()
    };
    route(peer).or_else(|_| route(default)).ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Ranges of their own per test, below the ephemeral ports.
    fn ports(port_min: u16, pairs: u16, port_rest_ms: u64) -> Ports {
        let addresses = vec![[127, 0, 0, 1].into()];
        let config =
            Config { addresses, port_min, port_max: port_min + 2 * pairs - 1, port_rest_ms, ..Config::default() };
        Ports::new(&config, &mut Random::from_seed(1)).unwrap()
    }

    #[test]
    fn pairs_are_even_and_odd_and_run_out() {
        let ports = ports(20_001, 3, 60_000);
        let held: Vec<_> = std::iter::from_fn(|| ports.open_pair(true).ok()).collect();
        assert_eq!(held.len(), 2, "20002 and 20004; 20006 has no partner in the range");
        for pair in &held {
            let (rtp, rtcp) = (pair.rtp.local_addr().unwrap().port(), pair.rtcp.local_addr().unwrap().port());
            assert!(rtp % 2 == 0 && rtcp == rtp + 1 && rtp == pair.port());
        }
        assert_eq!(ports.open_pair(true).err(), Some(PortError::Exhausted));
        assert_eq!(ports.open_pair(false).err(), Some(PortError::NoFamily));
        drop(held);
        assert_eq!(ports.open_pair(true).err(), Some(PortError::Exhausted), "they rest");
    }

    #[test]
    fn rested_ports_come_again_and_those_of_other_programs_are_passed_over() {
        let ports = ports(20_010, 2, 0);
        let foreign = UdpSocket::bind("127.0.0.1:20011").unwrap();
        let pair = ports.open_pair(true).unwrap();
        assert_eq!(pair.port(), 20_012);
        drop((pair, foreign));
        assert_eq!(ports.free(), 2);
        assert_eq!([ports.open_pair(true).unwrap(), ports.open_pair(true).unwrap()].map(|p| p.port() / 10), [2_001; 2]);
    }

    #[test]
    fn a_peer_is_told_the_address_from_which_it_is_reached() {
        let any = Ports::new(&Config { port_max: 30_009, ..Config::default() }, &mut Random::from_seed(1)).unwrap();
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(any.address_for(true, loopback), Ok(loopback));
        assert_eq!(ports(20_020, 1, 0).address_for(true, [9, 9, 9, 9].into()), Ok(loopback));
    }
}
