//! The TURN role: sockets and threads around [`stun_proto::turn::Server`].
//!
//! Every worker is a thread with its own server, its own share of the relay ports and its own epoll; packets never meet
//! tokio. Several workers listen on the same address and the kernel hands each client address to the same one, so that
//! reserved ports and quotas stay in one place. UDP between client and server only; TCP and TLS are not served here.

mod config;
mod metrics;
mod steer;
mod sys;
mod worker;

use std::io::PipeWriter;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use base::{Random, Secret};
use stun_proto::credential::Credentials;
use stun_proto::nonce::NonceMaker;
use stun_proto::turn::{Counters, Server};

pub use config::Config;

/// Commands that may wait for a worker: there are hardly any, and a worker looks at least once a second.
const COMMANDS_MAX: usize = 16;

/// What the role needs from the rest of the switch.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Secrets of time-limited credentials, the current one and those that still hold; none of them may be empty.
    pub secrets: Vec<Secret>,
    /// Long-term users with their passwords.
    pub users: Vec<(String, Secret)>,
    /// Addresses and ports of the operator's media relays, which clients may reach although they are not public.
    pub media: Vec<(IpAddr, RangeInclusive<u16>)>,
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
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] net::BindError),
    /// The system refused a thread, a pipe or an epoll.
    #[error("turn_server cannot start a worker: {0}")]
    System(#[from] std::io::Error),
}

/// What a worker is told while it runs.
enum Command {
    Credentials(Credentials),
    Stop,
}

struct Worker {
    commands: SyncSender<Command>,
    wake: PipeWriter,
    thread: JoinHandle<Counters>,
}

/// The running role. Dropping it lets the workers run on; [`Handle::stop`] ends them.
pub struct Handle {
    addresses: Vec<SocketAddr>,
    workers: Vec<Worker>,
}

/// Checks the settings, opens every listener, then starts the workers.
pub fn start(config: Config, deps: Deps) -> Result<Handle, StartError> {
    let shares = config.split(&deps.media)?;
    let mut addresses = Vec::new();
    let mut listeners: Vec<Vec<UdpSocket>> = shares.iter().map(|_| Vec::new()).collect();
    for wanted in &config.listen {
        let sockets = listen(*wanted, shares.len())?;
        addresses.extend(sockets[0].local_addr());
        listeners.iter_mut().zip(sockets).for_each(|(worker, socket)| worker.push(socket));
    }
    let mut random = Random::from_entropy();
    let (nonces, credentials) = (NonceMaker::new(&mut random), credentials(deps.secrets, deps.users));
    let mut workers = Vec::new();
    for (n, (share, listeners)) in shares.into_iter().zip(listeners).enumerate() {
        let server = Server::new(share, credentials.clone(), nonces.clone(), random.fork());
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let (woken, wake) = std::io::pipe()?;
        let worker = worker::Worker::new(server, listeners, inbox, woken, config.batch_wait_us)?;
        let thread = std::thread::Builder::new().name(format!("turn-{n}")).spawn(move || worker.run())?;
        workers.push(Worker { commands, wake, thread });
    }
    tracing::info!(?addresses, workers = workers.len(), "TURN server listens");
    Ok(Handle { addresses, workers })
}

fn credentials(secrets: Vec<Secret>, users: Vec<(String, Secret)>) -> Credentials {
    users.into_iter().fold(Credentials::from_secrets(secrets), |all, (name, password)| all.with_user(&name, password))
}

/// One socket per worker on the same address. The first one is opened alone, so that a taken port is an error even
/// though workers share it.
fn listen(wanted: SocketAddr, workers: usize) -> Result<Vec<UdpSocket>, StartError> {
    const WHAT: &str = "turn_server.listen";
    let probe = net::udp_socket(WHAT, wanted)?;
    if workers == 1 {
        return Ok(vec![probe]);
    }
    let address = probe.local_addr()?;
    drop(probe);
    let failed = |source| net::BindError { what: WHAT, address, source };
    let sockets = steer::shared_sockets(address, workers).map_err(failed)?;
    Ok(sockets)
}

impl Handle {
    /// Where clients are served, in the order of the settings, with the ports that were given for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Replaces secrets and users; running allocations are not touched. Workers whose command queue is full keep the
    /// old ones, which the returned count of workers reached tells.
    pub fn set_credentials(&self, secrets: Vec<Secret>, users: Vec<(String, Secret)>) -> usize {
        let credentials = credentials(secrets, users);
        self.workers.iter().filter(|worker| worker.tell(Command::Credentials(credentials.clone()))).count()
    }

    /// Ends all workers with their allocations and returns what they counted.
    pub fn stop(self) -> Counters {
        for worker in &self.workers {
            // A full queue is emptied as soon as the worker wakes; then the closed channel says the same.
            worker.tell(Command::Stop);
        }
        let mut sum = Counters::default();
        for Worker { commands, wake, thread } in self.workers {
            drop((commands, wake));
            if let Ok(counters) = thread.join() {
                metrics::add(&mut sum, &counters);
            }
        }
        sum
    }
}

impl Worker {
    fn tell(&self, command: Command) -> bool {
        let sent = self.commands.try_send(command).is_ok();
        // A full pipe wakes the worker as well.
        let _ = (&self.wake).write(&[0]);
        sent
    }
}
