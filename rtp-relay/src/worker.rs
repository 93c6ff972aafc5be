//! A thread that relays: it owns the sockets of its sessions and moves packets between them. It waits in batches: when busy, it
//! sleeps for up to `batch_wait` and then takes what has come by many sockets, which costs a fraction of a wake-up per packet.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use audio::g711::Law;
use base::Random;
use rtp_proto::Latch;
use slab::Slab;

use crate::forward::{Inbound, Outbound, Packet, Stream, Taken};
use crate::metrics::RelayMetrics;
use crate::ports::PortPair;
use crate::signal::Playing;
use crate::stats::StreamStats;
use crate::sys::{BATCH, Batch, Poll, Waker};

/// Names a stream from outside its worker.
pub(crate) type StreamKey = u64;

/// How long it waits when nothing happens.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Batches taken from one socket before the others have their turn.
const ROUNDS_MAX: usize = 4;
/// The name of the waker; those of sockets are far below.
pub(crate) const WAKER: u64 = u64::MAX;

/// What a worker is told.
pub(crate) enum Command {
    /// Streams made, changed, connected and removed, all at once.
    Connect(Box<Connection>),
    /// Plays the signal into a stream's leg.
    Play(StreamKey, Law),
    /// Whether a leg's media is blocked, and whether it is silenced.
    Restrict(StreamKey, bool, bool),
    Stop,
}

/// One change of a session.
#[derive(Default)]
pub(crate) struct Connection {
    pub(crate) updates: Vec<Update>,
    pub(crate) links: Vec<(StreamKey, StreamKey)>,
    pub(crate) removed: Vec<StreamKey>,
}

/// What becomes of one stream.
pub(crate) struct Update {
    pub(crate) key: StreamKey,
    /// Its sockets, counters and latch when it is new.
    pub(crate) fresh: Option<(PortPair, Arc<StreamStats>, Latch)>,
    /// RTP address, RTCP address, signalling host, NAT; see [`Latch::signal`].
    pub(crate) signal: Option<(SocketAddr, Option<SocketAddr>, IpAddr, bool)>,
    /// `None`: stays.
    pub(crate) inbound: Option<Inbound>,
    /// `None`: stays.
    pub(crate) outbound: Option<Outbound>,
    pub(crate) raw: bool,
    pub(crate) rtcp_mux: bool,
    pub(crate) clock_rate_hz: u32,
}

pub(crate) struct Worker {
    poll: Poll,
    batch: Batch,
    waker: Arc<Waker>,
    commands: Receiver<Command>,
    streams: Slab<Stream>,
    places: HashMap<StreamKey, usize>,
    /// Streams into which something is played.
    playing: Vec<usize>,
    batch_wait: Duration,
    /// The zero of `StreamStats::heard_at_ms`.
    epoch: Instant,
    random: Random,
    metrics: RelayMetrics,
    round: Round,
}

/// What was done since the metrics were told.
#[derive(Default)]
struct Round {
    packets: u64,
    bytes: u64,
    refused: u64,
    unsent: u64,
}

impl Worker {
    /// To be called in its own thread. `poll` watches `waker` under [`WAKER`].
    pub(crate) fn new(
        poll: Poll,
        waker: Arc<Waker>,
        commands: Receiver<Command>,
        batch_wait: Duration,
        epoch: Instant,
        random: Random,
        metrics: RelayMetrics,
    ) -> Self {
        Self {
            poll,
            batch: Batch::new(),
            waker,
            commands,
            streams: Slab::new(),
            places: HashMap::new(),
            playing: Vec::new(),
            batch_wait,
            epoch,
            random,
            metrics,
            round: Round::default(),
        }
    }

    /// Relays until told to stop, or until nobody is left who could tell.
    pub(crate) fn run(mut self) {
        let mut rested_until = Instant::now();
        loop {
            let ready = self.poll.wait(self.wait_time());
            let now = Instant::now();
            let mut told = ready == 0;
            for n in 0..ready {
                match self.poll.name(n) {
                    WAKER => {
                        self.waker.clear();
                        told = true;
                    }
                    name => self.relay(now, (name >> 1) as usize, name & 1 == 1),
                }
            }
            // After the events, whose names a command could give to others; after clearing, so that none is missed.
            if told && !self.obey(now) {
                return;
            }
            self.play(now);
            self.tell_metrics();
            // Something came so soon after the last rest that more will come within another.
            if ready > 0 && !self.batch_wait.is_zero() && now.saturating_duration_since(rested_until) < self.batch_wait
            {
                std::thread::sleep(self.batch_wait.saturating_sub(now.elapsed()));
            }
            rested_until = Instant::now();
        }
    }

    fn wait_time(&self) -> Duration {
        let due =
            self.playing.iter().filter_map(|place| self.streams.get(*place)?.playing.as_ref().map(Playing::due)).min();
        due.map_or(IDLE_WAIT, |due| due.saturating_duration_since(Instant::now()).min(IDLE_WAIT))
    }

    /// Carries out what waits; `false` when it is to stop.
    fn obey(&mut self, now: Instant) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Connect(connection)) => self.connect(*connection),
                Ok(Command::Play(key, law)) => self.start_playing(now, key, law),
                Ok(Command::Restrict(key, blocked, silenced)) => {
                    if let Some(stream) = self.stream_mut(key) {
                        (stream.blocked, stream.silenced) = (blocked, silenced);
                    }
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn stream_mut(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.streams.get_mut(*self.places.get(&key)?)
    }

    fn connect(&mut self, connection: Connection) {
        for update in connection.updates {
            self.update(update);
        }
        for (one, other) in connection.links {
            let (Some(one), Some(other)) = (self.places.get(&one).copied(), self.places.get(&other).copied()) else {
                continue;
            };
            self.unlink(one);
            self.unlink(other);
            self.streams[one].peer = Some(other);
            self.streams[other].peer = Some(one);
        }
        for key in connection.removed {
            if let Some(place) = self.places.remove(&key) {
                self.unlink(place);
                // Closes the sockets, which leaves the epoll, and lets the ports rest.
                self.streams.remove(place);
            }
        }
    }

    fn unlink(&mut self, place: usize) {
        if let Some(peer) = self.streams[place].peer.take()
            && let Some(peer) = self.streams.get_mut(peer)
        {
            peer.peer = None;
        }
    }

    fn update(&mut self, update: Update) {
        if let Some((ports, stats, latch)) = update.fresh {
            let place = self.streams.insert(Stream::new(ports, stats, latch));
            let (stream, name) = (&self.streams[place], (place as u64) << 1);
            let watched = self.poll.watch(stream.ports.rtp.as_raw_fd(), name);
            if let Err(error) = watched.and_then(|()| self.poll.watch(stream.ports.rtcp.as_raw_fd(), name | 1)) {
                tracing::error!(%error, "media sockets cannot be watched; a stream is lost");
                self.streams.remove(place);
                return;
            }
            self.places.insert(update.key, place);
        }
        let Some(stream) = self.stream_mut(update.key) else { return };
        if let Some((rtp, rtcp, host, behind_nat)) = update.signal {
            stream.latch.signal(rtp, rtcp, host, behind_nat);
        }
        if let Some(inbound) = update.inbound {
            stream.inbound = inbound;
        }
        if let Some(outbound) = update.outbound {
            stream.outbound = outbound;
        }
        (stream.raw, stream.rtcp_mux, stream.clock_rate_hz) = (update.raw, update.rtcp_mux, update.clock_rate_hz);
    }

    /// Moves what waits on one socket to the peer.
    fn relay(&mut self, now: Instant, place: usize, on_rtcp_port: bool) {
        let clock_ms = now.saturating_duration_since(self.epoch).as_millis() as u64;
        for _ in 0..ROUNDS_MAX {
            let Some(stream) = self.streams.get(place) else { return };
            let socket = if on_rtcp_port { &stream.ports.rtcp } else { &stream.ports.rtp };
            let got = self.batch.receive(socket.as_raw_fd(), BATCH);
            for n in 0..got {
                self.pass(now, clock_ms, place, on_rtcp_port, n);
            }
            self.flush(place);
            if got < BATCH {
                return;
            }
        }
    }

    /// Passes one received datagram on; what cannot share a system call with those queued before is sent at once.
    #[inline]
    fn pass(&mut self, now: Instant, clock_ms: u64, place: usize, on_rtcp_port: bool, n: usize) {
        let Some((from, buffer, length)) = self.batch.received(n) else { return };
        let stream = &mut self.streams[place];
        let (packet, length) = match stream.take(now, clock_ms, from, on_rtcp_port, buffer, length) {
            Taken::Packet(packet, length) => (packet, length),
            Taken::Kept => return,
            Taken::Refused => {
                self.round.refused += 1;
                return;
            }
        };
        let Some(peer) = stream.peer.and_then(|peer| self.streams.get_mut(peer)) else { return };
        let Some(given) = peer.give(now, &packet, buffer, length) else { return };
        self.round.packets += 1;
        self.round.bytes += given.length as u64;
        if given.by_rtcp_port {
            // RTCP is rare: no batching.
            let sent = peer.ports.rtcp.send_to(&buffer[..given.length], given.to);
            self.round.unsent += u64::from(sent.is_err());
        } else {
            self.batch.queue(n, given.to, given.length);
        }
    }

    fn flush(&mut self, place: usize) {
        let peer = self.streams.get(place).and_then(|stream| self.streams.get(stream.peer?));
        if let Some(peer) = peer {
            self.round.unsent += self.batch.send(peer.ports.rtp.as_raw_fd()) as u64;
        }
    }

    fn start_playing(&mut self, now: Instant, key: StreamKey, law: Law) {
        let Some(place) = self.places.get(&key).copied() else { return };
        self.streams[place].playing = Some(Playing::new(now, law, &mut self.random));
        if !self.playing.contains(&place) {
            self.playing.push(place);
        }
    }

    /// Makes the packets of signals whose peer sends none.
    fn play(&mut self, now: Instant) {
        for n in (0..self.playing.len()).rev() {
            let stream = self.streams.get_mut(self.playing[n]);
            let Some((stream, playing)) =
                stream.and_then(|stream| stream.playing.take().map(|playing| (stream, playing)))
            else {
                self.playing.swap_remove(n);
                continue;
            };
            let mut playing = playing;
            if playing.due() <= now {
                let buffer = self.batch.buffer();
                if let Some(length) = playing.make(now, buffer)
                    && let Ok(header) = rtp_proto::RtpHeader::parse(&buffer[..length])
                    && let Some(given) = stream.give(now, &Packet::Rtp(header), buffer, length)
                {
                    let sent = stream.ports.rtp.send_to(&buffer[..given.length], given.to);
                    self.round.unsent += u64::from(sent.is_err());
                }
            }
            stream.playing = (!playing.is_over()).then_some(playing);
        }
    }

    fn tell_metrics(&mut self) {
        let round = std::mem::take(&mut self.round);
        for (counter, n) in [
            (&self.metrics.packets, round.packets),
            (&self.metrics.bytes, round.bytes),
            (&self.metrics.refused, round.refused),
            (&self.metrics.unsent, round.unsent),
        ] {
            if n > 0 {
                counter.add(n);
            }
        }
    }
}
