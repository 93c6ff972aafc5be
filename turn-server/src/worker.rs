//! One worker: reads datagrams in batches, asks the machine, sends in batches.

use std::io::{self, PipeReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use base::Pii;
use base::time::{Clock, SystemClock};
use socket2::{Domain, Protocol, Socket, Type};
use stun_proto::turn::{Counters, FiveTuple, Now, Output, RelayId, Server, Transport, Usage};

use crate::Command;
use crate::metrics::Report;
use crate::sys::{self, Batch, Poll, Way};

/// Names of listeners in the poll begin here; relays are named by index and generation, and indices stay far below.
const LISTENERS: u64 = 0xffff_0000;
const COMMANDS: u64 = 0xfffe_0000;
/// Datagrams taken from one socket before the others get their turn.
const TURN: usize = 32;
/// How many datagrams must be expected in the time of one wait for it to save more wake-ups than it costs.
const BATCH_WORTH_WAITING: f64 = 4.0;
/// How often counters are reported and the load is looked at.
const REPORT_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Worker {
    server: Server,
    listeners: Vec<(UdpSocket, SocketAddr)>,
    relays: Vec<Option<(u32, UdpSocket)>>,
    poll: Poll,
    batch: Batch,
    inbox: Receiver<Command>,
    woken: PipeReader,
    batch_wait: Duration,
    report: Report,
    next_report: Instant,
    /// Datagrams since the last report.
    datagrams: u64,
    /// Whether so much came in the last second that gathering it pays: then a wake-up costs more than the packet that
    /// caused it.
    is_busy: bool,
}

impl Worker {
    pub(crate) fn new(
        server: Server,
        listeners: Vec<UdpSocket>,
        inbox: Receiver<Command>,
        woken: PipeReader,
        batch_wait_us: u64,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.watch(woken.as_raw_fd(), COMMANDS)?;
        let mut named = Vec::new();
        for (n, socket) in listeners.into_iter().enumerate() {
            poll.watch(socket.as_raw_fd(), LISTENERS + n as u64)?;
            let address = socket.local_addr()?;
            if address.ip().is_unspecified() {
                sys::tell_local_address(&socket, address.is_ipv4())?;
            }
            named.push((socket, address));
        }
        Ok(Self {
            server,
            listeners: named,
            relays: Vec::new(),
            poll,
            batch: Batch::new(),
            inbox,
            woken,
            batch_wait: Duration::from_micros(batch_wait_us),
            report: Report::default(),
            next_report: Instant::now() + REPORT_EVERY,
            datagrams: 0,
            is_busy: false,
        })
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) -> Counters {
        loop {
            let until = self.server.poll_timeout().map_or(self.next_report, |at| at.min(self.next_report));
            let ready = self.poll.wait(until.saturating_duration_since(Instant::now()));
            let now = Now { mono: Instant::now(), wall: SystemClock.now() };
            let mut datagrams = 0;
            for name in ready {
                match name {
                    COMMANDS => {
                        if self.obey() {
                            self.publish();
                            return self.server.counters();
                        }
                    }
                    LISTENERS.. if name <= u64::from(u32::MAX) => {
                        datagrams += self.read_clients(now, (name - LISTENERS) as usize);
                    }
                    _ => {
                        let relay = RelayId { index: name as u32, generation: (name >> 32) as u32 };
                        datagrams += self.read_peers(now, relay);
                    }
                }
            }
            self.server.handle_timeout(now);
            self.drain(now);
            self.batch.flush();
            self.datagrams += datagrams as u64;
            if now.mono >= self.next_report {
                self.next_report = now.mono + REPORT_EVERY;
                self.is_busy = self.datagrams as f64 * self.batch_wait.as_secs_f64() >= BATCH_WORTH_WAITING;
                self.datagrams = 0;
                self.publish();
            }
            if self.is_busy && datagrams < TURN {
                std::thread::sleep(self.batch_wait);
            }
        }
    }

    fn publish(&mut self) {
        self.report.publish(self.server.counters(), self.batch.send_failures, self.server.allocations());
    }

    /// Takes commands; whether to stop.
    fn obey(&mut self) -> bool {
        let mut wakes = [0; 64];
        let closed = self.woken.read(&mut wakes).is_ok_and(|count| count == 0);
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Credentials(credentials)) => self.server.set_credentials(credentials),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return closed,
            }
        }
    }

    fn read_clients(&mut self, now: Now, listener: usize) -> usize {
        self.make_room();
        let Some((socket, server)) = self.listeners.get(listener) else { return 0 };
        let bound = *server;
        let slots = self.batch.receive(socket, TURN);
        let count = slots.len();
        for slot in slots {
            let Some((datagram, client)) = self.batch.datagram(slot) else { continue };
            let server = SocketAddr::new(self.batch.local(slot).unwrap_or(bound.ip()), bound.port());
            let from = FiveTuple { transport: Transport::Udp, client, server };
            if let Some(to) = self.server.receive(now, from, datagram) {
                let place = self.batch.place(to.data);
                if let Some(fd) = self.relay_fd(to.relay) {
                    self.batch.forward(fd, to.peer, place);
                }
            }
            self.drain(now);
        }
        count
    }

    fn read_peers(&mut self, now: Now, relay: RelayId) -> usize {
        self.make_room();
        // Closed since it was reported: nothing to read.
        let Some(Some((generation, socket))) = self.relays.get(relay.index as usize) else { return 0 };
        if *generation != relay.generation {
            return 0;
        }
        let slots = self.batch.receive(socket, TURN);
        let count = slots.len();
        for slot in slots {
            let Some((datagram, peer)) = self.batch.datagram(slot) else { continue };
            let Some(to) = self.server.receive_from_peer(now.mono, relay, peer, datagram.len()) else { continue };
            let Some(way) = self.way(to.client) else { continue };
            self.batch.forward_wrapped(way, slot, to.prefix.as_slice(), to.padding);
        }
        count
    }

    fn make_room(&mut self) {
        if self.batch.room() < TURN {
            self.batch.flush();
        }
    }

    /// Does what the machine asks for.
    fn drain(&mut self, now: Now) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    if let Some(way) = self.way(to) {
                        self.batch.send(way, bytes);
                    }
                }
                Output::OpenRelay { relay, bind } => match self.open(relay, bind) {
                    Ok(()) => self.server.relay_opened(now, relay),
                    Err(error) => {
                        tracing::debug!(%bind, %error, "a relay port cannot be opened, another one is tried");
                        self.server.relay_refused(now, relay);
                    }
                },
                Output::CloseRelay { relay } => {
                    // Queued payload may still name the descriptor, which the next socket could get.
                    self.batch.send_queued();
                    if let Some(slot) = self.relays.get_mut(relay.index as usize) {
                        *slot = None;
                    }
                }
                Output::Ended(usage) => log_usage(usage),
            }
        }
    }

    fn open(&mut self, relay: RelayId, bind: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
        if bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        let name = u64::from(relay.generation) << 32 | u64::from(relay.index);
        self.poll.watch(socket.as_raw_fd(), name)?;
        let index = relay.index as usize;
        if self.relays.len() <= index {
            self.relays.resize_with(index + 1, || None);
        }
        self.relays[index] = Some((relay.generation, socket.into()));
        Ok(())
    }

    fn relay_fd(&self, relay: RelayId) -> Option<RawFd> {
        let (generation, socket) = self.relays.get(relay.index as usize)?.as_ref()?;
        (*generation == relay.generation).then(|| socket.as_raw_fd())
    }

    /// The way back to a client. A listener on all addresses answers from the one that the client knows.
    fn way(&self, client: FiveTuple) -> Option<Way> {
        let serves = |bound: &SocketAddr| {
            let same_family = bound.is_ipv4() == client.server.is_ipv4();
            *bound == client.server
                || bound.ip().is_unspecified() && same_family && bound.port() == client.server.port()
        };
        let (socket, bound) = self.listeners.iter().find(|(_, bound)| serves(bound))?;
        let source = bound.ip().is_unspecified().then_some(client.server.ip());
        Some(Way { fd: socket.as_raw_fd(), to: client.client, source })
    }
}

fn log_usage(usage: Usage) {
    tracing::info!(
        user = %Pii(&usage.username),
        client = %Pii(usage.client.client),
        seconds = usage.duration.as_secs(),
        packets_to_peers = usage.to_peers.packets,
        bytes_to_peers = usage.to_peers.bytes,
        packets_from_peers = usage.from_peers.packets,
        bytes_from_peers = usage.from_peers.bytes,
        "TURN allocation ended"
    );
}
