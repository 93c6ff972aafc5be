//! What an endpoint remembers: plain data, so that it can be copied at any moment and taken up elsewhere.

use std::collections::{BTreeSet, HashMap, VecDeque};

use base::timers::DeadlineHeap;
use bytes::Bytes;
use smallvec::SmallVec;

use super::Output;
use crate::flow::Flow;
use crate::message::Message;
use crate::transaction::{Client, InviteClient, InviteServer, Server};

/// Counters since the start; never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions right now.
    pub transactions: u64,
    /// Datagrams and frames that came in.
    pub messages_received: u64,
    /// Messages that went out, retransmissions included.
    pub messages_sent: u64,
    /// What could not be read, or was refused as malformed.
    pub malformed: u64,
    /// Requests that came again and were answered from memory.
    pub retransmissions_received: u64,
    /// Messages that we sent again because time had passed.
    pub retransmissions_sent: u64,
    /// Requests that got 503 because the table was full.
    pub shed: u64,
    /// Requests of ours that nobody answered.
    pub timed_out: u64,
    /// Requests of ours that could not be sent.
    pub transport_failed: u64,
    /// Responses of the user that came too late or were not allowed, and were not sent.
    pub responses_suppressed: u64,
}

/// The transactions of an endpoint and what is queued for its driver.
#[derive(Debug, Clone, Default)]
pub struct EndpointState {
    /// Only looked up by key, never walked: the order of a hash table must not show.
    pub(super) entries: HashMap<u64, Entry>,
    pub(super) keys: HashMap<Box<[u8]>, u64>,
    /// By the flow that the transaction sends on; responses over UDP are left out, they cannot be rerouted.
    pub(super) by_flow: BTreeSet<(Flow, u64)>,
    pub(super) deadlines: DeadlineHeap<u64>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) last_id: u64,
    pub(super) stats: Stats,
    /// Where keys are put together before they are looked up.
    pub(super) scratch: Vec<u8>,
}

/// One transaction.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Client(Box<ClientEntry>),
    Server(Box<ServerEntry>),
}

/// A request of ours.
#[derive(Debug, Clone)]
pub(super) struct ClientEntry {
    pub(super) machine: ClientMachine,
    pub(super) request: Bytes,
    pub(super) flow: Flow,
    pub(super) key: Box<[u8]>,
    /// Via values of the request; a response with another number went astray (RFC 3261 §8.1.3.3).
    pub(super) vias: usize,
    /// A CANCEL of the endpoint's own making, of which the user hears nothing.
    pub(super) silent: bool,
}

#[derive(Debug, Clone)]
pub(super) enum ClientMachine {
    Invite(InviteClient, Box<Inviting>),
    Other(Client),
}

/// What an INVITE of ours needs beside its machine.
#[derive(Debug, Clone)]
pub(super) struct Inviting {
    /// Finds this transaction from the ACK that the user makes.
    pub(super) ack_key: Box<[u8]>,
    pub(super) cancel: Cancel,
    /// The ACK of a final response that is not 2xx.
    pub(super) refusal_ack: Option<Bytes>,
    /// One per To tag that a 2xx came with.
    pub(super) acks: SmallVec<[Acknowledged; 1]>,
}

/// A 2xx that came, and the ACK that answers it again.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) to_tag: Box<str>,
    pub(super) ack: Option<(Flow, Bytes)>,
}

/// Whether the user has cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// As soon as a provisional response comes (RFC 3261 §9.1), with this Reason.
    Waiting(Option<Box<str>>),
    Sent,
}

/// A request of a peer's.
#[derive(Debug, Clone)]
pub(super) struct ServerEntry {
    pub(super) machine: ServerMachine,
    /// Where responses go.
    pub(super) flow: Flow,
    pub(super) key: Box<[u8]>,
    /// The keys beside the first: an INVITE is also found by its merged twin and by the ACK of its 2xx.
    pub(super) more_keys: SmallVec<[Box<[u8]>; 2]>,
    /// The latest response.
    pub(super) last: Option<Bytes>,
    /// Kept until the final response.
    pub(super) request: Option<Box<Message>>,
    /// Our tag in this transaction.
    pub(super) tag: u64,
    /// A broken connection has been replaced once already.
    pub(super) rerouted: bool,
    /// A CANCEL has come; a second one is answered but not told.
    pub(super) cancelled: bool,
}

#[derive(Debug, Clone)]
pub(super) enum ServerMachine {
    Invite(InviteServer),
    Other(Server),
}

impl EndpointState {
    /// A fresh number.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn client(&mut self, id: u64) -> Option<&mut ClientEntry> {
        match self.entries.get_mut(&id) {
            Some(Entry::Client(entry)) => Some(entry),
            Some(Entry::Server(_)) | None => None,
        }
    }

    pub(super) fn server(&mut self, id: u64) -> Option<&mut ServerEntry> {
        match self.entries.get_mut(&id) {
            Some(Entry::Server(entry)) => Some(entry),
            Some(Entry::Client(_)) | None => None,
        }
    }

    /// The transaction whose key stands in the scratch buffer.
    pub(super) fn find(&self) -> Option<u64> {
        self.keys.get(self.scratch.as_slice()).copied()
    }

    /// The key in the scratch buffer, as one to keep.
    pub(super) fn key(&self) -> Box<[u8]> {
        self.scratch.as_slice().into()
    }

    /// Takes up a transaction under its keys.
    pub(super) fn insert(&mut self, id: u64, entry: Entry) {
        let flow = match &entry {
            Entry::Client(client) => {
                self.keys.insert(client.key.clone(), id);
                if let ClientMachine::Invite(_, inviting) = &client.machine {
                    self.keys.insert(inviting.ack_key.clone(), id);
                }
                client.flow
            }
            Entry::Server(server) => {
                self.keys.insert(server.key.clone(), id);
                for key in &server.more_keys {
                    self.keys.insert(key.clone(), id);
                }
                server.flow
            }
        };
        if flow.transport.is_reliable() || matches!(entry, Entry::Client(_)) {
            self.by_flow.insert((flow, id));
        }
        self.entries.insert(id, entry);
    }

    /// Sets the deadline of a transaction anew, or forgets it when it has ended.
    pub(super) fn settle(&mut self, id: u64) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (ended, deadline) = match entry {
            Entry::Client(client) => match &client.machine {
                ClientMachine::Invite(machine, _) => (machine.is_terminated(), machine.deadline()),
                ClientMachine::Other(machine) => (machine.is_terminated(), machine.deadline()),
            },
            Entry::Server(server) => match &server.machine {
                ServerMachine::Invite(machine) => (machine.is_terminated(), machine.deadline()),
                ServerMachine::Other(machine) => (machine.is_terminated(), machine.deadline()),
            },
        };
        match deadline {
            _ if ended => self.remove(id),
            Some(at) => self.deadlines.set(id, at),
            None => self.deadlines.stop(&id),
        }
    }

    /// Forgets a transaction.
    pub(super) fn remove(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        self.deadlines.stop(&id);
        match entry {
            Entry::Client(client) => {
                self.by_flow.remove(&(client.flow, id));
                self.forget_key(&client.key, id);
                if let ClientMachine::Invite(_, inviting) = &client.machine {
                    self.forget_key(&inviting.ack_key, id);
                }
            }
            Entry::Server(server) => {
                self.by_flow.remove(&(server.flow, id));
                self.forget_key(&server.key, id);
                server.more_keys.iter().for_each(|key| self.forget_key(key, id));
            }
        }
    }

    /// A key may have gone to another transaction in the meantime.
    fn forget_key(&mut self, key: &[u8], id: u64) {
        if self.keys.get(key) == Some(&id) {
            self.keys.remove(key);
        }
    }
}
