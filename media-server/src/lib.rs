//! The media role: applications that callers talk to, each one a SIP user agent's side of a leg.
//!
//! It is dialled like any other target: SIP comes and goes over a pair of channels (transport `Memory`) or, later, over
//! the network; media over UDP sockets of its own, paced by a plain thread. It speaks plain RTP with G.711: it stands
//! behind the relay, where keys, ICE and other codecs end.
//!
//! | file | what |
//! |---|---|
//! | `agent` | the user agent as a machine: requests in, answers and media commands out |
//! | `app` | which application a Request-URI names, and what it plays |
//! | `session` | the media of one leg as a machine: packets and ticks |
//! | `worker` | the thread with the sockets |
//! | `driver` | the task that joins them |

mod agent;
mod app;
mod config;
mod driver;
mod metrics;
mod ports;
mod prompt;
mod session;
mod worker;

use std::net::IpAddr;

use base::Random;
use bytes::Bytes;
use sip_proto::Flow;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use config::Config;

/// What the role needs from the rest of the switch.
pub struct Deps {
    /// SIP from the proxy. The flow is the proxy's: our address is its `peer`. The role ends when the channel closes.
    pub inbound: mpsc::Receiver<(Flow, Bytes)>,
    /// SIP to the proxy, again with flows as the proxy sees them. What does not fit into the channel is lost and counted.
    pub outbound: mpsc::Sender<(Flow, Bytes)>,
    /// The local address of our media sockets, which the relay can reach.
    pub media_address: IpAddr,
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
        reason: &'static str,
    },
    /// A built-in prompt cannot be read.
    #[error("prompt {name}: {source}")]
    Prompt {
        /// Which.
        name: &'static str,
        /// Why not.
        #[source]
        source: audio::Error,
    },
    /// The system refused the media thread.
    #[error("media_server cannot start its worker: {0}")]
    System(#[from] std::io::Error),
}

/// The running role.
pub struct Handle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Checks the settings and the prompts and starts the role. Needs a tokio runtime.
pub fn start(config: Config, deps: Deps) -> Result<Handle, StartError> {
    config.check()?;
    let apps = app::Apps::load()?;
    let mut random = Random::from_entropy();
    let agent = agent::Agent::new(agent::Limits::of(&config), apps, random.fork());
    let ports = ports::Ports::new(deps.media_address, config.rtp_port_min..=config.rtp_port_max, &mut random);
    let (worker, events) = worker::start(&config, random)?;
    let (stop, stopped) = oneshot::channel();
    let link = driver::Link { inbound: deps.inbound, outbound: deps.outbound, events, stopped };
    let task = tokio::spawn(driver::run(agent, ports, worker, link));
    tracing::info!(media_address = %deps.media_address, "media applications are ready");
    Ok(Handle { stop, task })
}

impl Handle {
    /// Hangs up on everybody and ends the role.
    pub async fn stop(self) {
        // The task may have ended already, with the channel to the proxy.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}
