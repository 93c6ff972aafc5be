//! An impairer for UDP: a relay between a client and a server that loses, delays, reorders and doubles datagrams by a seed.
//! For machines whose kernel has no netem.

use std::collections::BinaryHeap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base::Random;

/// How long the thread waits at most before it looks around.
const TICK: Duration = Duration::from_millis(20);
/// Most datagrams that wait; more are lost, as in a router.
const WAITING_MAX: usize = 10_000;

/// What happens to datagrams, in both directions alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Share that is lost, 0 to 1.
    pub loss: f64,
    /// Share that comes twice, 0 to 1.
    pub duplicate: f64,
    /// Every datagram is late by this.
    pub delay: Duration,
    /// And by a random part of this; more than the distance of two datagrams reorders them.
    pub jitter: Duration,
    /// Seed of all chance.
    pub seed: u64,
}

impl Default for Impairment {
    fn default() -> Self {
        Self { loss: 0.0, duplicate: 0.0, delay: Duration::ZERO, jitter: Duration::ZERO, seed: 1 }
    }
}

/// A datagram that waits: earliest first.
#[derive(PartialEq, Eq)]
struct Waiting {
    due: std::cmp::Reverse<(Instant, u64)>,
    outwards: bool,
    bytes: Vec<u8>,
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A running impairer for one client.
pub struct Impairer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Impairer {
    /// Listens on `listen`, passes on to `server` from a port of the same address.
    pub fn start(listen: SocketAddr, server: SocketAddr, impairment: Impairment) -> std::io::Result<Self> {
        let inside = UdpSocket::bind(listen)?;
        let outside = UdpSocket::bind((inside.local_addr()?.ip(), 0))?;
        for socket in [&inside, &outside] {
            socket.set_nonblocking(true)?;
        }
        let (stop, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let address = inside.local_addr()?;
        let worker = Worker {
            inside,
            outside,
            server,
            impairment,
            random: Random::from_seed(impairment.seed),
            client: None,
            waiting: BinaryHeap::new(),
            count: 0,
            lost: lost.clone(),
        };
        let flag = stop.clone();
        let thread = std::thread::spawn(move || worker.run(&flag));
        Ok(Self { address, stop, lost, thread: Some(thread) })
    }

    /// Where the client has to send.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many datagrams it has lost.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Impairer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    inside: UdpSocket,
    outside: UdpSocket,
    server: SocketAddr,
    impairment: Impairment,
    random: Random,
    client: Option<SocketAddr>,
    waiting: BinaryHeap<Waiting>,
    count: u64,
    lost: Arc<AtomicUsize>,
}

impl Worker {
    fn run(mut self, stop: &AtomicBool) {
        let mut buffer = vec![0; 65_535];
        while !stop.load(Ordering::Relaxed) {
            let mut idle = true;
            while let Ok((length, from)) = self.inside.recv_from(&mut buffer) {
                self.client = Some(from);
                self.take(true, &buffer[..length]);
                idle = false;
            }
            while let Ok((length, _)) = self.outside.recv_from(&mut buffer) {
                self.take(false, &buffer[..length]);
                idle = false;
            }
            self.send_due();
            if idle {
                let due = self.waiting.peek().map(|first| first.due.0.0);
                let wait = due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()));
                std::thread::sleep(wait.clamp(Duration::from_micros(200), Duration::from_millis(1)));
            }
        }
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.random.below(1_000_000) as f64) < share * 1_000_000.0
    }

    fn take(&mut self, outwards: bool, bytes: &[u8]) {
        if self.chance(self.impairment.loss) || self.waiting.len() >= WAITING_MAX {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let copies = if self.chance(self.impairment.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter_us = self.impairment.jitter.as_micros() as u64;
            let late = Duration::from_micros(if jitter_us == 0 { 0 } else { self.random.below(jitter_us) });
            self.count += 1;
            let due = std::cmp::Reverse((Instant::now() + self.impairment.delay + late, self.count));
            self.waiting.push(Waiting { due, outwards, bytes: bytes.to_vec() });
        }
    }

    fn send_due(&mut self) {
        while self.waiting.peek().is_some_and(|first| first.due.0.0 <= Instant::now()) {
            let Some(datagram) = self.waiting.pop() else { return };
            match (datagram.outwards, self.client) {
                (true, _) => drop(self.outside.send_to(&datagram.bytes, self.server)),
                (false, Some(client)) => drop(self.inside.send_to(&datagram.bytes, client)),
                (false, None) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::until;

    #[test]
    fn about_the_share_is_lost_and_the_rest_arrives() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let impairment = Impairment { loss: 0.3, jitter: Duration::from_millis(5), seed: 7, ..Impairment::default() };
        let relay = Impairer::start("127.0.0.1:0".parse().unwrap(), server.local_addr().unwrap(), impairment).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..200u8 {
            client.send_to(&[n], relay.address()).unwrap();
        }
        let mut got = Vec::new();
        let mut buffer = [0; 10];
        until("all have come or are lost", Duration::from_secs(5), || {
            if let Ok((1, _)) = server.recv_from(&mut buffer) {
                got.push(buffer[0]);
            }
            got.len() + relay.lost() == 200
        });
        assert!((30..=90).contains(&relay.lost()), "{} lost", relay.lost());
        assert!(!got.is_sorted(), "jitter reorders");
    }
}
