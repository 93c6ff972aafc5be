//! The relay role: all media of calls passes through it, between legs that speak plain RTP or SDES-SRTP (RFC 3550, 3711, 4568).
//!
//! | file | what |
//! |---|---|
//! | `control` | the `MediaRelay` port: offer, answer, play, query, delete |
//! | `session` | legs, their sections, what an offer or answer changes |
//! | `sdes`, `ports` | keys of a leg; port pairs |
//! | `worker` | threads with batched sockets; packets never meet tokio |
//! | `forward` | the packet path: take, give |
//! | `signal`, `stats` | sounds of its own; counters |
//! | `sys` | system calls, the only `unsafe` |
//!
//! ICE and DTLS-SRTP are not spoken: sections that need them are refused. Nothing is transcoded.

mod config;
mod control;
mod forward;
mod metrics;
mod ports;
mod sdes;
mod session;
mod signal;
mod stats;
mod sys;
mod worker;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use base::Random;
use domain::ports::{MediaNotice, MediaRelay};

pub use config::Config;
pub use control::Relay;

/// Commands that may wait for a worker, which empties the queue every round. When full, an answer is refused (503).
const COMMANDS_MAX: usize = 4_096;

/// What the role needs from the rest of the switch.
#[derive(Debug)]
pub struct Deps {
    /// Where to tell about sessions without media. When full, a notice is repeated a second later.
    pub notices: tokio::sync::mpsc::Sender<MediaNotice>,
}

/// Why the role did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is wrong.
    #[error("{key}: {reason}")]
    Config {
        /// Which.
        key: &'static str,
        /// What it should be.
        reason: String,
    },
    /// An address cannot be used.
    #[error("{what}: no media on {address}: {source}")]
    Bind {
        /// Which setting asked for it.
        what: &'static str,
        /// Which address.
        address: IpAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The system refused a thread, an epoll or an eventfd.
    #[error("rtp_relay cannot start a worker: {0}")]
    System(#[from] std::io::Error),
}

/// The running role. Dropping it ends the role as [`Handle::stop`] does, without waiting.
pub struct Handle {
    relay: Arc<Relay>,
    doors: Vec<control::WorkerDoor>,
    threads: Vec<JoinHandle<()>>,
    /// Closing it ends the watch.
    watch: Option<SyncSender<()>>,
}

/// Checks the settings, tries the addresses, starts the threads.
pub fn start(config: Config, deps: Deps) -> Result<Handle, StartError> {
    let checked = config.check()?;
    let mut random = Random::from_entropy();
    let ports = ports::Ports::new(&config, &mut random)?;
    let (epoch, metrics) = (Instant::now(), metrics::RelayMetrics::new());
    let (mut doors, mut for_relay, mut threads) = (vec![], vec![], vec![]);
    for n in 0..config.worker_threads {
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let waker = Arc::new(sys::Waker::new()?);
        let poll = sys::Poll::new()?;
        poll.watch(waker.fd(), worker::WAKER)?;
        let (own_waker, own_metrics, own_random) = (Arc::clone(&waker), metrics.clone(), random.fork());
        let (batch_wait, cpu) = (checked.batch_wait, config.worker_cpus.get(n).copied());
        let work = move || {
            if let Some(cpu) = cpu
                && let Err(error) = sys::bind_to_cpu(cpu)
            {
                tracing::warn!(%error, cpu, "relay thread cannot be bound to its CPU");
            }
            worker::Worker::new(poll, own_waker, inbox, batch_wait, epoch, own_random, own_metrics).run();
        };
        threads.push(std::thread::Builder::new().name(format!("relay-{n}")).spawn(work)?);
        for_relay.push(control::WorkerDoor { commands: commands.clone(), waker: Arc::clone(&waker) });
        doors.push(control::WorkerDoor { commands, waker });
    }
    let relay = Arc::new(Relay::new(for_relay, ports, checked, random, epoch, deps.notices, metrics));
    let (watch, stop) = sync_channel(0);
    let watched = Arc::clone(&relay);
    threads.push(std::thread::Builder::new().name("relay-watch".into()).spawn(move || watched.watch(&stop))?);
    tracing::info!(ports = ?(config.port_min..=config.port_max), workers = config.worker_threads, "media relay ready");
    Ok(Handle { relay, doors, threads, watch: Some(watch) })
}

impl Handle {
    /// The port through which calls use it.
    pub fn relay(&self) -> Arc<dyn MediaRelay> {
        self.relay.clone()
    }

    /// The relay itself, with what only an operator asks for.
    pub fn control(&self) -> Arc<Relay> {
        self.relay.clone()
    }

    /// Ends all sessions and waits for the threads.
    pub fn stop(mut self) {
        self.end();
        for thread in std::mem::take(&mut self.threads) {
            // A panic was logged where it happened.
            let _ = thread.join();
        }
    }

    fn end(&mut self) {
        self.watch = None;
        for door in &self.doors {
            // A full queue is emptied as soon as the worker wakes.
            let _ = door.commands.send(worker::Command::Stop);
            door.waker.wake();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.watch.is_some() {
            self.end();
        }
    }
}
