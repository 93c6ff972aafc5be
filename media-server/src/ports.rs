//! Media sockets of the role: even ports in turn, so that a port rests as long as possible after its leg.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use base::Random;
use socket2::{Domain, Protocol, Socket, Type};

#[derive(Debug)]
pub(crate) struct Ports {
    address: IpAddr,
    even: Vec<u16>,
    next: usize,
}

impl Ports {
    pub(crate) fn new(address: IpAddr, range: RangeInclusive<u16>, random: &mut Random) -> Self {
        let even: Vec<u16> = range.filter(|port| port.is_multiple_of(2)).collect();
        let next = random.below(even.len().max(1) as u64) as usize;
        Self { address, even, next }
    }

    /// A bound non-blocking socket, or the last error when every port is taken.
    pub(crate) fn open(&mut self) -> io::Result<UdpSocket> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for _ in 0..self.even.len() {
            let port = self.even[self.next];
            self.next = (self.next + 1) % self.even.len();
            match self.bind(port) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(self.address, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_are_even_taken_in_turn_and_freed_with_the_socket() {
        // A range that the system does not hand out on its own.
        let mut ports = Ports::new([127, 0, 0, 1].into(), 27_001..=27_006, &mut Random::from_seed(1));
        let sockets: Vec<UdpSocket> = std::iter::from_fn(|| ports.open().ok()).collect();
        let mut bound: Vec<u16> = sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        bound.sort_unstable();
        assert_eq!(bound, [27_002, 27_004, 27_006]);
        assert_eq!(ports.open().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(ports.open().is_ok());
    }
}
