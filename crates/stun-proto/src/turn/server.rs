//! The server itself: its tables, the way of a datagram, and time. Requests are handled in the sibling files.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use base::Random;
use base::timers::DeadlineHeap;
use slab::Slab;

use super::allocation::Allocation;
use super::authenticate::Authenticated;
use super::ports::Ports;
use super::refusal::Refusal;
use super::{
    Config, FiveTuple, Now, Output, Prefix, RelayAddress, RelayId, ToClient, ToPeer, Traffic, Usage, channel_data,
};
use crate::address;
use crate::attribute as attr;
use crate::credential::{Credentials, Signer, account};
use crate::message::{self, Class, Message, Method, TransactionId};
use crate::nonce::NonceMaker;
use crate::{Key, MessageWriter};

/// What the server counted since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Binding requests answered.
    pub bindings: u64,
    /// Allocations granted.
    pub allocations: u64,
    /// Requests answered with an error, without the challenges that every client meets first.
    pub refusals: u64,
    /// 401 and 438 answers.
    pub challenges: u64,
    /// Datagrams that were no STUN and no ChannelData, or broken.
    pub malformed: u64,
    /// Payload dropped: no allocation, channel or permission, or a closed peer.
    pub dropped: u64,
    /// Payload from clients to peers.
    pub to_peers: Traffic,
    /// Payload from peers to clients.
    pub from_peers: Traffic,
}

/// The TURN server of one worker.
#[derive(Debug)]
pub struct Server {
    pub(super) config: Config,
    pub(super) credentials: Credentials,
    pub(super) nonces: NonceMaker,
    pub(super) random: Random,
    pub(super) clients: HashMap<FiveTuple, RelayId>,
    pub(super) slots: Slab<Entry>,
    generation: u32,
    pub(super) deadlines: DeadlineHeap<RelayId>,
    pub(super) pools: Vec<Pool>,
    pub(super) reservations: HashMap<[u8; 8], RelayId>,
    pub(super) per_user: HashMap<String, u32>,
    outputs: VecDeque<Output>,
    pub(super) counters: Counters,
}

/// The relay ports of one address.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) relay: RelayAddress,
    pub(super) ports: Ports,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    generation: u32,
    pub(super) slot: Slot,
}

/// The life of a relay socket.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// Asked for, for an Allocate that waits.
    Opening(Box<super::allocate::Pending>),
    /// The neighbour of an EVEN-PORT, asked for.
    OpeningNeighbour { of: RelayId },
    /// Waits for its RESERVATION-TOKEN.
    Reserved(Reserved),
    /// Relays.
    Active(Box<Allocation>),
}

/// A reserved port.
#[derive(Debug, Clone)]
pub(super) struct Reserved {
    pub(super) token: [u8; 8],
    pub(super) username: String,
    pub(super) relay: RelayAddress,
    pub(super) port: u16,
}

/// What an answer needs to know of its request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) from: FiveTuple,
    pub(super) method: Method,
    pub(super) transaction: TransactionId,
    pub(super) fingerprint: bool,
}

impl Server {
    /// A server without allocations. `nonces` may be shared between workers.
    pub fn new(config: Config, credentials: Credentials, nonces: NonceMaker, random: Random) -> Self {
        let first_of = |v4: bool| config.relays.iter().find(|relay| relay.bind.is_ipv4() == v4);
        let pools = [first_of(true), first_of(false)].into_iter().flatten();
        let pools = pools.map(|relay| Pool { relay: *relay, ports: Ports::new(&config.relay_ports) }).collect();
        Self {
            config,
            credentials,
            nonces,
            random,
            clients: HashMap::new(),
            slots: Slab::new(),
            generation: 0,
            deadlines: DeadlineHeap::default(),
            pools,
            reservations: HashMap::new(),
            per_user: HashMap::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// All that the server knows, to go on elsewhere as if nothing had happened: relay sockets keep their names, outputs that
    /// were not polled yet come again. Randomness is the copy's own, so that no port or token is guessed from the other's.
    #[must_use]
    pub fn snapshot(&self, random: Random) -> Self {
        Self {
            config: self.config.clone(),
            credentials: self.credentials.clone(),
            nonces: self.nonces.clone(),
            random,
            clients: self.clients.clone(),
            slots: self.slots.clone(),
            generation: self.generation,
            deadlines: self.deadlines.clone(),
            pools: self.pools.clone(),
            reservations: self.reservations.clone(),
            per_user: self.per_user.clone(),
            outputs: self.outputs.clone(),
            counters: self.counters,
        }
    }

    /// Replaces the credentials; running allocations keep theirs.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.credentials = credentials;
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many allocations there are, with those that wait for their socket.
    pub fn allocations(&self) -> usize {
        self.clients.len()
    }

    /// Takes a datagram (or one framed message) from a client. Payload for a peer is returned at once; everything else
    /// shows in [`Self::poll_output`].
    pub fn receive<'d>(&mut self, now: Now, from: FiveTuple, datagram: &'d [u8]) -> Option<ToPeer<'d>> {
        if channel_data::is_channel_data(datagram) {
            return self.channel_data(now.mono, from, datagram);
        }
        let Ok(message) = Message::parse(datagram) else {
            self.counters.malformed += 1;
            return None;
        };
        if message.verify_fingerprint().is_err() {
            self.counters.malformed += 1;
            return None;
        }
        match (message.class(), message.method()) {
            (Class::Indication, Method::Send) => return self.send_indication(now.mono, from, &message),
            (Class::Request, _) => self.request(now, from, &message),
            (Class::Indication | Class::Success | Class::Error, _) => {}
        }
        None
    }

    fn request(&mut self, now: Now, from: FiveTuple, message: &Message<'_>) {
        let (method, transaction) = (message.method(), message.transaction());
        let asker = Asker { from, method, transaction, fingerprint: message.has_fingerprint() };
        if method == Method::Binding {
            return self.binding(now, asker, message);
        }
        let Authenticated { username, proven, signer } = match self.authenticate(now, from, message) {
            Ok(authenticated) => authenticated,
            Err(refusal) => return self.refuse(now, asker, &refusal, None),
        };
        let unknown = unknown_attributes(message);
        let answer = if !unknown.is_empty() {
            Err(Refusal::UnknownAttributes(unknown))
        } else {
            match method {
                Method::Allocate => self.allocate(now, asker, message, username, proven, &signer),
                Method::Refresh => self.refresh(now, asker, message, &username).map(Some),
                Method::CreatePermission => self.create_permission(now, asker, message, &username).map(Some),
                Method::ChannelBind => self.channel_bind(now, asker, message, &username).map(Some),
                Method::Binding | Method::Send | Method::Data | Method::Other(_) => Err(Refusal::BadRequest),
            }
        };
        match answer {
            Ok(Some(writer)) => {
                let bytes = self.finish(asker, writer, Some(&signer));
                self.push(Output::Transmit { to: from, bytes });
            }
            Ok(None) => {}
            Err(refusal) => self.refuse(now, asker, &refusal, Some(&signer)),
        }
    }

    /// A Binding request needs no credential and leaves no trace (RFC 8489 §3.1).
    fn binding(&mut self, now: Now, asker: Asker, message: &Message<'_>) {
        let unknown = unknown_attributes(message);
        if !unknown.is_empty() {
            return self.refuse(now, asker, &Refusal::UnknownAttributes(unknown), None);
        }
        self.counters.bindings += 1;
        let writer = self.success(asker).xor_address(attr::XOR_MAPPED_ADDRESS, asker.from.client);
        let bytes = self.finish(asker, writer, None);
        self.push(Output::Transmit { to: asker.from, bytes });
    }

    fn channel_data<'d>(&mut self, now: Instant, from: FiveTuple, datagram: &'d [u8]) -> Option<ToPeer<'d>> {
        let Some((number, data)) = channel_data::parse(datagram) else {
            self.counters.malformed += 1;
            return None;
        };
        let relay = self.clients.get(&from).copied();
        let peer = relay.and_then(|relay| self.allocation(relay)?.channel_peer(now, number));
        self.forward(relay?, peer, data)
    }

    fn send_indication<'d>(&mut self, now: Instant, from: FiveTuple, message: &Message<'d>) -> Option<ToPeer<'d>> {
        let peer = message.xor_address(attr::XOR_PEER_ADDRESS);
        let (Some(peer), Some(data)) = (peer, message.attribute(attr::DATA)) else {
            self.counters.malformed += 1;
            return None;
        };
        let relay = self.clients.get(&from).copied();
        let permitted = unknown_attributes(message).is_empty()
            && relay.and_then(|relay| self.allocation(relay)).is_some_and(|a| a.is_permitted(now, peer.ip()));
        self.forward(relay?, permitted.then_some(peer), data)
    }

    /// Counts payload on its way to a peer, or its loss.
    fn forward<'d>(&mut self, relay: RelayId, peer: Option<SocketAddr>, data: &'d [u8]) -> Option<ToPeer<'d>> {
        let Some(peer) = peer.filter(|peer| self.config.peers.reaches(*peer)) else {
            self.counters.dropped += 1;
            return None;
        };
        self.allocation_mut(relay)?.to_peers.count(data.len());
        self.counters.to_peers.count(data.len());
        Some(ToPeer { relay, peer, data })
    }

    /// Takes a datagram of `length` bytes that reached a relay socket: where it goes and what to put in front.
    pub fn receive_from_peer(
        &mut self,
        now: Instant,
        relay: RelayId,
        peer: SocketAddr,
        length: usize,
    ) -> Option<ToClient> {
        let allocation = self.allocation(relay).filter(|a| a.is_permitted(now, peer.ip()));
        let Some((allocation, length)) = allocation.zip(u16::try_from(length).ok()) else {
            self.counters.dropped += 1;
            return None;
        };
        let (client, channel) = (allocation.client, allocation.channel_to(now, peer));
        let (prefix, padding) = match channel {
            Some(number) => (Prefix::new(&[&channel_data::header(number, length)]), 0),
            None => self.data_indication(peer, length)?,
        };
        self.allocation_mut(relay)?.from_peers.count(usize::from(length));
        self.counters.from_peers.count(usize::from(length));
        Some(ToClient { client, prefix, padding })
    }

    /// A Data indication up to its payload, and the padding behind it.
    fn data_indication(&mut self, peer: SocketAddr, length: u16) -> Option<(Prefix, usize)> {
        let mut transaction = TransactionId([0; 12]);
        self.random.fill(&mut transaction.0);
        let mut value = [0; address::LENGTH_MAX];
        let value_bytes = address::write_xor(peer, transaction, &mut value) as u16;
        let padded = length.checked_next_multiple_of(4)?;
        let total = value_bytes.checked_add(8)?.checked_add(padded)?;
        let prefix = Prefix::new(&[
            &message::type_bits(Class::Indication, Method::Data).to_be_bytes(),
            &total.to_be_bytes(),
            &message::MAGIC_COOKIE,
            &transaction.0,
            &attr::XOR_PEER_ADDRESS.to_be_bytes(),
            &value_bytes.to_be_bytes(),
            &value[..usize::from(value_bytes)],
            &attr::DATA.to_be_bytes(),
            &length.to_be_bytes(),
        ]);
        Some((prefix, usize::from(padded - length)))
    }

    /// The next thing to do; call until `None` after every input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.deadlines.earliest()
    }

    /// Ends what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(relay) = self.deadlines.expire(now.mono) {
            self.end(now.mono, relay);
        }
    }

    /// Ends an allocation or a reservation and closes its socket.
    pub(super) fn end(&mut self, now: Instant, relay: RelayId) {
        self.deadlines.stop(&relay);
        let Some(slot) = self.remove_slot(relay) else { return };
        match slot {
            Slot::Active(allocation) => {
                self.clients.remove(&allocation.client);
                self.leave(&allocation.username);
                self.give_back(now, allocation.relay, allocation.port);
                self.push(Output::CloseRelay { relay });
                self.push(Output::Ended(Usage {
                    username: allocation.username.clone(),
                    client: allocation.client,
                    duration: now.saturating_duration_since(allocation.began),
                    to_peers: allocation.to_peers,
                    from_peers: allocation.from_peers,
                }));
            }
            Slot::Reserved(reserved) => {
                self.reservations.remove(&reserved.token);
                self.give_back(now, reserved.relay, reserved.port);
                self.push(Output::CloseRelay { relay });
            }
            // Sockets that are still asked for have no deadline: the driver's answer ends them.
            Slot::Opening(_) | Slot::OpeningNeighbour { .. } => {}
        }
    }

    /// Counts an allocation less for its user.
    pub(super) fn leave(&mut self, username: &str) {
        let account = account(username);
        if let Some(count) = self.per_user.get_mut(account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_user.remove(account);
            }
        }
    }

    pub(super) fn give_back(&mut self, now: Instant, relay: RelayAddress, port: u16) {
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.relay == relay) {
            pool.ports.give_back(now, port);
        }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn insert_slot(&mut self, slot: Slot) -> RelayId {
        self.generation = self.generation.wrapping_add(1);
        let index = self.slots.insert(Entry { generation: self.generation, slot }) as u32;
        RelayId { index, generation: self.generation }
    }

    pub(super) fn slot(&self, relay: RelayId) -> Option<&Slot> {
        let entry = self.slots.get(relay.index as usize)?;
        (entry.generation == relay.generation).then_some(&entry.slot)
    }

    pub(super) fn slot_mut(&mut self, relay: RelayId) -> Option<&mut Slot> {
        let entry = self.slots.get_mut(relay.index as usize)?;
        (entry.generation == relay.generation).then_some(&mut entry.slot)
    }

    pub(super) fn remove_slot(&mut self, relay: RelayId) -> Option<Slot> {
        self.slot(relay)?;
        Some(self.slots.remove(relay.index as usize).slot)
    }

    fn allocation(&self, relay: RelayId) -> Option<&Allocation> {
        match self.slot(relay)? {
            Slot::Active(allocation) => Some(allocation),
            Slot::Opening(_) | Slot::OpeningNeighbour { .. } | Slot::Reserved(_) => None,
        }
    }

    fn allocation_mut(&mut self, relay: RelayId) -> Option<&mut Allocation> {
        match self.slot_mut(relay)? {
            Slot::Active(allocation) => Some(allocation),
            Slot::Opening(_) | Slot::OpeningNeighbour { .. } | Slot::Reserved(_) => None,
        }
    }

    /// The allocation of a 5-tuple, with its relay.
    pub(super) fn allocation_of(&self, from: FiveTuple) -> Option<(RelayId, &Allocation)> {
        let relay = *self.clients.get(&from)?;
        Some((relay, self.allocation(relay)?))
    }

    /// The allocation that a request of `username` works on.
    pub(super) fn owned(&mut self, from: FiveTuple, username: &str) -> Result<(RelayId, &mut Allocation), Refusal> {
        let relay = self.clients.get(&from).copied().ok_or(Refusal::AllocationMismatch)?;
        let allocation = self.allocation_mut(relay).ok_or(Refusal::AllocationMismatch)?;
        if allocation.username == username { Ok((relay, allocation)) } else { Err(Refusal::WrongCredentials) }
    }

    pub(super) fn success(&self, asker: Asker) -> MessageWriter {
        MessageWriter::new(Class::Success, asker.method, asker.transaction)
    }

    /// Adds what every response carries.
    pub(super) fn finish(&self, asker: Asker, mut writer: MessageWriter, signer: Option<&Signer>) -> Vec<u8> {
        if !self.config.software.is_empty() {
            writer = writer.attribute(attr::SOFTWARE, self.config.software.as_bytes());
        }
        if let Some(signer) = signer {
            writer = writer.sign(&signer.key, signer.integrity);
        }
        if asker.fingerprint {
            writer = writer.fingerprint();
        }
        writer.finish()
    }

    /// Answers with an error; `signer` once the client has proved itself.
    pub(super) fn refuse(&mut self, now: Now, asker: Asker, refusal: &Refusal, signer: Option<&Signer>) {
        let (code, reason) = refusal.code();
        let mut writer = MessageWriter::new(Class::Error, asker.method, asker.transaction).error_code(code, reason);
        if refusal.is_challenge() {
            self.counters.challenges += 1;
            let nonce = self.nonces.make(now.wall, &self.config.realm, asker.from.client);
            writer = writer.attribute(attr::REALM, self.config.realm.as_bytes());
            writer = writer.attribute(attr::NONCE, nonce.as_bytes());
        } else {
            self.counters.refusals += 1;
        }
        if let Refusal::UnknownAttributes(kinds) = refusal {
            let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
            writer = writer.attribute(attr::UNKNOWN_ATTRIBUTES, &value);
        }
        let bytes = self.finish(asker, writer, signer);
        self.push(Output::Transmit { to: asker.from, bytes });
    }

    /// The key of a running allocation of this user, so that its requests need not be looked up again.
    pub(super) fn known_key(&self, from: FiveTuple, username: &str) -> Option<(Key, Option<base::Timestamp>)> {
        let (_, allocation) = self.allocation_of(from).filter(|(_, a)| a.username == username)?;
        Some((allocation.key.clone(), allocation.credential_expires))
    }
}

/// The attributes of a message that must be understood and are not (RFC 8489 §6.3.1); at most 16 are named.
fn unknown_attributes(message: &Message<'_>) -> Vec<u16> {
    let known = |kind: u16| {
        matches!(
            kind,
            attr::MAPPED_ADDRESS
                | attr::USERNAME
                | attr::ERROR_CODE
                | attr::UNKNOWN_ATTRIBUTES
                | attr::CHANNEL_NUMBER
                | attr::LIFETIME
                | attr::XOR_PEER_ADDRESS
                | attr::DATA
                | attr::REALM
                | attr::NONCE
                | attr::XOR_RELAYED_ADDRESS
                | attr::REQUESTED_ADDRESS_FAMILY
                | attr::EVEN_PORT
                | attr::REQUESTED_TRANSPORT
                | attr::XOR_MAPPED_ADDRESS
                | attr::RESERVATION_TOKEN
        )
    };
    let kinds = message.attributes().map(|(kind, _)| kind);
    kinds.filter(|kind| *kind < attr::COMPREHENSION_OPTIONAL && !known(*kind)).take(16).collect()
}
