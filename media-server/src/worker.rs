//! The media thread: every 20 ms it reads what has come on each socket and sends what is due.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base::Random;
use base::limits::RTP_PACKET_BYTES_MAX;
use tokio::sync::mpsc;

use crate::app::Script;
use crate::config::Config;
use crate::metrics::METRICS;
use crate::session::{MediaEvent, PACKET_BYTES, Session, TICK, Wire};

/// Commands that may wait: a tick's worth of calls beginning and ending. Over it a new leg gets 503.
const COMMANDS_MAX: usize = 4_096;
/// Datagrams read from one socket per tick; more is a flood and stays in the kernel, which drops it.
const READS_MAX: usize = 32;
/// Ticks that are made up for after a stall; what is older is skipped.
const CATCH_UP_MAX: u32 = 5;

/// Names a leg between agent and worker.
pub(crate) type LegId = u64;

#[derive(Debug)]
pub(crate) enum Command {
    Start { leg: LegId, socket: UdpSocket, wire: Wire, script: Script },
    Update { leg: LegId, wire: Wire },
    Stop { leg: LegId },
}

/// The agent's end of the worker; dropping it ends the thread.
pub(crate) struct Worker {
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Hands a command over; false when the queue is full or the thread is gone.
    pub(crate) fn tell(&self, command: Command) -> bool {
        self.commands.as_ref().is_some_and(|commands| commands.try_send(command).is_ok())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It ends at its next tick; a panic in it was logged where it happened.
            let _ = thread.join();
        }
    }
}

/// Starts the thread; its events come by the receiver, at most one per leg.
pub(crate) fn start(config: &Config, random: Random) -> io::Result<(Worker, mpsc::Receiver<(LegId, MediaEvent)>)> {
    let (commands, inbox) = sync_channel(COMMANDS_MAX);
    let (events, outbox) = mpsc::channel(config.sessions_max + 1);
    let silence_max = config.rtp_timeout();
    let state = State { legs: BTreeMap::new(), undelivered: Vec::new(), events, silence_max, random };
    let thread = std::thread::Builder::new().name("media".into()).spawn(move || run(state, &inbox))?;
    Ok((Worker { commands: Some(commands), thread: Some(thread) }, outbox))
}

struct State {
    legs: BTreeMap<LegId, (UdpSocket, Session)>,
    /// Events that did not fit into the queue; at most one per leg.
    undelivered: Vec<(LegId, MediaEvent)>,
    events: mpsc::Sender<(LegId, MediaEvent)>,
    silence_max: Duration,
    random: Random,
}

fn run(mut state: State, inbox: &Receiver<Command>) {
    let mut next = Instant::now();
    loop {
        if state.legs.is_empty() {
            match inbox.recv() {
                Ok(command) => state.obey(Instant::now(), command),
                Err(RecvError) => return,
            }
            next = Instant::now();
        }
        loop {
            match inbox.try_recv() {
                Ok(command) => state.obey(Instant::now(), command),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        state.tick(Instant::now());
        next += TICK;
        let now = Instant::now();
        if now > next + TICK {
            METRICS.late_ticks.increment();
            next = next.max(now.checked_sub(TICK * CATCH_UP_MAX).unwrap_or(next));
        }
        std::thread::sleep(next.saturating_duration_since(now));
    }
}

impl State {
    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            Command::Start { leg, socket, wire, script } => {
                let session = Session::new(now, wire, script, self.silence_max, &mut self.random);
                self.legs.insert(leg, (socket, session));
            }
            Command::Update { leg, wire } => {
                if let Some((_, session)) = self.legs.get_mut(&leg) {
                    session.update(now, wire);
                }
            }
            Command::Stop { leg } => {
                self.legs.remove(&leg);
                self.undelivered.retain(|(known, _)| *known != leg);
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        let mut buffer = [0; RTP_PACKET_BYTES_MAX];
        let mut packet = [0; PACKET_BYTES];
        for (leg, (socket, session)) in &mut self.legs {
            for _ in 0..READS_MAX {
                // Errors are "nothing there" and reports of unreachable peers; the session notices silence itself.
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { break };
                session.receive(now, from, &buffer[..length]);
            }
            if let Some(to) = session.tick(&mut packet) {
                // A packet that the system does not take is lost, as on any link.
                let _ = socket.send_to(&packet, to);
            }
            self.undelivered.extend(session.poll_event(now).map(|event| (*leg, event)));
        }
        let events = &self.events;
        self.undelivered.retain(|event| events.try_send(*event).is_err());
    }
}
