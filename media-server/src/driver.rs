//! The task that joins agent, sockets and worker, and carries SIP between the agent and the proxy.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_proto::Flow;
use tokio::sync::{mpsc, oneshot};

use crate::agent::{Agent, Output};
use crate::metrics::METRICS;
use crate::ports::Ports;
use crate::session::MediaEvent;
use crate::worker::{Command, LegId, Worker};

/// The task's ways to the world.
pub(crate) struct Link {
    pub(crate) inbound: mpsc::Receiver<(Flow, Bytes)>,
    pub(crate) outbound: mpsc::Sender<(Flow, Bytes)>,
    pub(crate) events: mpsc::Receiver<(LegId, MediaEvent)>,
    pub(crate) stopped: oneshot::Receiver<()>,
}

/// A flow from the other end's point of view.
fn turned(flow: Flow) -> Flow {
    Flow { local: flow.peer, peer: flow.local, ..flow }
}

/// Runs until told to stop or until the proxy is gone; then everybody is hung up on.
pub(crate) async fn run(mut agent: Agent, mut ports: Ports, worker: Worker, mut link: Link) {
    // Sockets between their opening and the start of their leg.
    let mut opened: BTreeMap<LegId, UdpSocket> = BTreeMap::new();
    loop {
        let due = agent.poll_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            received = link.inbound.recv() => match received {
                Some((flow, bytes)) => agent.receive(Instant::now(), turned(flow), bytes),
                None => break,
            },
            Some((leg, event)) = link.events.recv() => agent.media_event(Instant::now(), leg, event),
            () = tokio::time::sleep_until(due.into()) => agent.handle_timeout(Instant::now()),
            _ = &mut link.stopped => break,
        }
        carry_out(&mut agent, &mut ports, &worker, &link.outbound, &mut opened);
    }
    agent.hang_up_all(Instant::now());
    carry_out(&mut agent, &mut ports, &worker, &link.outbound, &mut opened);
    METRICS.running.set(0);
}

fn carry_out(
    agent: &mut Agent,
    ports: &mut Ports,
    worker: &Worker,
    outbound: &mpsc::Sender<(Flow, Bytes)>,
    opened: &mut BTreeMap<LegId, UdpSocket>,
) {
    while let Some(output) = agent.poll_output() {
        match output {
            Output::Transmit { flow, bytes } => {
                if outbound.try_send((turned(flow), bytes)).is_err() {
                    METRICS.unsent.increment();
                }
            }
            Output::OpenMedia { leg } => match ports.open().and_then(|socket| Ok((socket.local_addr()?, socket))) {
                Ok((address, socket)) => {
                    opened.insert(leg, socket);
                    agent.media_opened(Instant::now(), leg, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "no media socket for a leg, it gets 503");
                    agent.media_refused(Instant::now(), leg);
                }
            },
            Output::StartMedia { leg, wire, script } => {
                let Some(socket) = opened.remove(&leg) else { continue };
                if !worker.tell(Command::Start { leg, socket, wire, script }) {
                    tracing::error!("the media worker does not keep up, a leg is given up");
                    agent.media_event(Instant::now(), leg, MediaEvent::Silent);
                }
            }
            Output::UpdateMedia { leg, wire } => {
                if !worker.tell(Command::Update { leg, wire }) {
                    agent.media_event(Instant::now(), leg, MediaEvent::Silent);
                }
            }
            Output::StopMedia { leg } => {
                opened.remove(&leg);
                // A worker that cannot hear it ends the session by its silence or its script; then nobody listens.
                worker.tell(Command::Stop { leg });
            }
        }
    }
    METRICS.running.set(i64::try_from(agent.legs()).unwrap_or(i64::MAX));
}
