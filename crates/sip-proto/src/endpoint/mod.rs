//! The driver surface: bytes and time in, bytes and events out. One endpoint is owned by one thread.
//!
//! Call [`Endpoint::receive`] for what arrives, act on [`Output`]s until [`Endpoint::poll_output`] has no more, and call
//! [`Endpoint::handle_timeout`] when [`Endpoint::poll_timeout`] is due. The endpoint knows transactions and nothing of
//! dialogs, users or routes; a request that its user never answers ends by RFC 4320 (non-INVITE) or stays (INVITE).

mod client;
mod config;
mod key;
mod receive;
mod server;
mod state;

use std::time::Instant;

use base::Random;
use bytes::Bytes;

pub use config::{Advertised, EndpointConfig};
pub use state::{EndpointState, Stats};

use crate::flow::Flow;
use crate::message::Message;
use crate::transaction::Timing;
use state::Entry;

/// A client transaction of this endpoint: a request that we sent. Numbers are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientTx(pub(crate) u64);

/// A server transaction of this endpoint: a request that we received. Numbers are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerTx(pub(crate) u64);

/// What the driver has to carry out, in this order.
// Outputs are taken one by one and never kept: moving a message is cheaper than boxing it.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Output {
    /// Send these bytes. A connection of 0 on a stream transport means: reuse one to that peer or open it.
    Transmit {
        /// Where to.
        flow: Flow,
        /// One whole message or keep-alive.
        bytes: Bytes,
    },
    /// Something for the user.
    Event(Event),
}

/// What the user of the endpoint hears.
#[derive(Debug, Clone)]
pub enum Event {
    /// A new valid request, neither ACK nor CANCEL. Answer it with [`Endpoint::respond`].
    Request {
        /// Its transaction.
        tx: ServerTx,
        /// The request.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The ACK of a 2xx, once; or an ACK that belongs to no transaction here.
    Ack {
        /// The transaction of the INVITE, when it is ours.
        tx: Option<ServerTx>,
        /// The ACK.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The caller cancels; the CANCEL is answered already, the INVITE wants its 487 from the user (RFC 3261 §9.2).
    Cancel {
        /// The transaction of the INVITE.
        tx: ServerTx,
        /// The CANCEL, for its Reason.
        request: Message,
    },
    /// A response; retransmissions do not show, forked 2xx with another To tag do.
    Response {
        /// The transaction of the request.
        tx: ClientTx,
        /// The response.
        response: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// Nobody answered in time: counts as 408 (RFC 3261 §8.1.3.1).
    TimedOut {
        /// The transaction of the request.
        tx: ClientTx,
    },
    /// It could not be sent: counts as 503 (RFC 3261 §8.1.3.1).
    TransportFailed {
        /// The transaction of the request.
        tx: ClientTx,
    },
    /// 64·T1 after our 2xx still no ACK: end the dialog with BYE (RFC 3261 §13.3.1.4).
    AckMissing {
        /// The transaction of the INVITE.
        tx: ServerTx,
    },
    /// A valid response without a transaction here, as a late 2xx.
    StrayResponse {
        /// The response.
        response: Message,
        /// Where it came from.
        flow: Flow,
    },
}

/// Deadlines that one [`Endpoint::handle_timeout`] works off, so that a burst of them cannot keep the driver from its
/// sockets; the rest is due at once.
const TIMEOUT_BATCH_MAX: usize = 1024;

/// The transactions of one shard.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    timing: Timing,
    random: Random,
    state: EndpointState,
}

impl Endpoint {
    /// An endpoint without transactions.
    pub fn new(config: EndpointConfig, random: Random) -> Self {
        Self::restore(config, random, EndpointState::default())
    }

    /// An endpoint that goes on where another one was when its [`Self::snapshot`] was taken.
    pub fn restore(config: EndpointConfig, random: Random, state: EndpointState) -> Self {
        let timing = Timing { t1: config.t1, t2: config.t2, t4: config.t4, trying_after: config.trying_after };
        Self { config, timing, random, state }
    }

    /// All that the endpoint knows, as plain data.
    pub fn snapshot(&self) -> EndpointState {
        self.state.clone()
    }

    /// How it is configured.
    pub const fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// A new unguessable tag, Call-ID part or the like, beginning with the configured prefix.
    pub fn new_tag(&mut self) -> String {
        format!("{}{:016x}", self.config.prefix, self.random.u64())
    }

    /// The next output, if there is one. Drain it after every call; a driver that does so sees at most a few per call,
    /// and 1,024 after [`Self::handle_timeout`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.state.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.state.deadlines.earliest()
    }

    /// Works off what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..TIMEOUT_BATCH_MAX {
            let Some(id) = self.state.deadlines.expire(now) else { return };
            match self.state.entries.get(&id) {
                Some(Entry::Client(_)) => self.client_timeout(now, id),
                Some(Entry::Server(_)) => self.server_timeout(now, id),
                None => {}
            }
        }
    }

    /// The transport could not deliver over `flow` (RFC 3261 §17.1.4, §17.2.4, §18.4): requests fail, responses are
    /// tried once more over a new connection to where Via says.
    pub fn transport_failed(&mut self, now: Instant, flow: Flow) {
        let on_flow: Vec<u64> = self.state.by_flow.range((flow, 0)..=(flow, u64::MAX)).map(|(_, id)| *id).collect();
        for id in on_flow {
            match self.state.entries.get(&id) {
                Some(Entry::Client(_)) => self.client_transport_failed(now, id),
                Some(Entry::Server(_)) => self.server_transport_failed(id),
                None => {}
            }
        }
    }

    /// The driver has opened the connection that `wanted` (connection 0) asked for: what was sent to it belongs to
    /// `opened` from here on, so that CANCEL and ACK take the same way and a break is noticed.
    pub fn connection_opened(&mut self, wanted: Flow, opened: Flow) {
        let waiting: Vec<u64> = self.state.by_flow.range((wanted, 0)..=(wanted, u64::MAX)).map(|(_, id)| *id).collect();
        for id in waiting {
            match self.state.entries.get_mut(&id) {
                Some(Entry::Client(entry)) => entry.flow = opened,
                Some(Entry::Server(entry)) => entry.flow = opened,
                None => continue,
            }
            self.state.by_flow.remove(&(wanted, id));
            self.state.by_flow.insert((opened, id));
        }
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        Stats { transactions: self.state.entries.len() as u64, ..self.state.stats }
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        self.state.stats.messages_sent += 1;
        self.state.outputs.push_back(Output::Transmit { flow, bytes });
    }

    fn event(&mut self, event: Event) {
        self.state.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
