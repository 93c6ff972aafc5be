//! Requests that we receive: their transactions and the user's answers to them.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use super::state::{Entry, ServerEntry, ServerMachine};
use super::{Endpoint, Event, ServerTx, key};
use crate::flow::Flow;
use crate::message::{HeaderName, Message, ResponseBuilder, Via, tag_of};
use crate::method::Method;
use crate::transaction::{InviteServer, Server, ServerAction, ServerActions, invite_server, server};

impl Endpoint {
    /// Answers a request, provisionally or finally. To gets the transaction's tag unless it has one; Server is added.
    ///
    /// A 2xx to INVITE is sent again until its ACK comes (RFC 3261 §13.3.1.4). What RFC 4320 forbids (408 and 1xx other
    /// than 100 to non-INVITE), a second final response, and an answer to a transaction that has ended are not sent,
    /// only counted.
    pub fn respond(&mut self, now: Instant, tx: ServerTx, response: ResponseBuilder) {
        let status = response.status();
        let Some(entry) = self.state.server(tx.0).filter(|entry| entry.is_open() && entry.allows(status)) else {
            self.state.stats.responses_suppressed += 1;
            return;
        };
        let tag = entry.tag;
        let response = self.dressed(response, tag);
        let bytes = response.build();
        if (200..300).contains(&status) {
            self.expect_ack(tx.0, &response);
        }
        if let Some(entry) = self.state.server(tx.0) {
            entry.last = Some(bytes);
            if status >= 200 {
                entry.request = None;
            }
        }
        self.step_server(now, tx.0, Step::Respond(status));
    }

    /// Answers a request and forgets it at once: a retransmission will be a new request. For answers that are cheap to
    /// make again and come in floods, such as challenges (RFC 3261 §8.2.7). Not for INVITE, whose ACK must be absorbed;
    /// there it is the same as [`Self::respond`].
    pub fn respond_stateless(&mut self, now: Instant, tx: ServerTx, response: ResponseBuilder) {
        match self.state.server(tx.0) {
            Some(ServerEntry { machine: ServerMachine::Other(_), .. }) if response.status() >= 200 => {
                self.respond(now, tx, response);
                self.state.remove(tx.0);
            }
            Some(_) | None => self.respond(now, tx, response),
        }
    }

    /// The To tag that answers of this transaction get; nothing when it has ended.
    pub fn local_tag(&mut self, tx: ServerTx) -> Option<String> {
        let tag = self.state.server(tx.0)?.tag;
        Some(self.tag_text(tag))
    }

    /// Takes up a new request, or sheds it when the table is full.
    pub(super) fn open_server(&mut self, now: Instant, request: Message, via: &Via, flow: Flow) {
        // What belongs to a dialog gets a reserve: a call that cannot end would hold more than it costs.
        let in_dialog = request.header(HeaderName::To).and_then(tag_of).is_some();
        let reserve = if in_dialog { self.config.transactions_max / 8 } else { 0 };
        if self.state.entries.len() >= self.config.transactions_max + reserve {
            self.state.stats.shed += 1;
            let retry_after_s = self.config.retry_after_s;
            let response = ResponseBuilder::to(&request, 503, "").header(HeaderName::RetryAfter, retry_after_s);
            self.respond_without_transaction(response, &request, via, flow);
            return;
        }
        let method = request.method();
        key::server(&mut self.state.scratch, &request, via, method);
        let key = self.state.key();
        let mut more_keys = SmallVec::new();
        let reliable = flow.transport.is_reliable();
        let machine = if method == Method::Invite {
            merged_key(&mut self.state.scratch, &request);
            more_keys.push(self.state.key());
            ServerMachine::Invite(InviteServer::start(now, &self.timing, reliable))
        } else {
            ServerMachine::Other(Server::start(now, &self.timing, reliable))
        };
        let tx = ServerTx(self.state.next_id());
        let entry = ServerEntry {
            machine,
            flow: self.response_flow(via, flow),
            key,
            more_keys,
            last: None,
            request: Some(Box::new(request.clone())),
            tag: self.random.u64(),
            rerouted: false,
            cancelled: false,
        };
        self.state.insert(tx.0, Entry::Server(Box::new(entry)));
        self.state.settle(tx.0);
        if method == Method::Invite && self.timing.trying_after.is_zero() {
            self.step_server(now, tx.0, Step::Timeout);
        }
        self.event(Event::Request { tx, request, flow });
    }

    /// Whether an INVITE that is not a retransmission is the twin of one that is open: it came over another path of a
    /// fork and deserves 482 (RFC 3261 §8.2.2.2). Another Request-URI makes it another call.
    pub(super) fn is_merged(&mut self, request: &Message) -> bool {
        if request.header(HeaderName::To).and_then(tag_of).is_some() {
            return false;
        }
        merged_key(&mut self.state.scratch, request);
        let twin = self.state.find().and_then(|id| self.state.server(id)).and_then(|entry| entry.request.as_ref());
        twin.is_some_and(|open| open.request_uri_text() == request.request_uri_text())
    }

    /// Answers without keeping anything (RFC 3261 §8.2.7): the tag is the same for each retransmission.
    pub(super) fn respond_without_transaction(
        &mut self,
        response: ResponseBuilder,
        request: &Message,
        via: &Via,
        flow: Flow,
    ) {
        let tag = fnv(&[request.call_id(), via.branch().unwrap_or_default(), &self.config.prefix]);
        let bytes = self.dressed(response, tag).build();
        let flow = self.response_flow(via, flow);
        self.transmit(flow, bytes);
    }

    pub(super) fn server_retransmission(&mut self, now: Instant, id: u64) {
        self.state.stats.retransmissions_received += 1;
        self.step_server(now, id, Step::Retransmission);
    }

    pub(super) fn server_ack(&mut self, now: Instant, id: u64, ack: Message, flow: Flow) {
        self.step_server(now, id, Step::Ack(ack, flow));
    }

    pub(super) fn server_timeout(&mut self, now: Instant, id: u64) {
        self.step_server(now, id, Step::Timeout);
    }

    /// A response that met a broken connection goes over a new one to where Via says, once (RFC 3261 §18.2.2).
    pub(super) fn server_transport_failed(&mut self, id: u64) {
        let Some(entry) = self.state.server(id) else { return };
        if entry.rerouted || !entry.flow.transport.is_reliable() || entry.flow.connection == 0 {
            return;
        }
        let old = entry.flow;
        let via = entry.last.clone().and_then(|bytes| Message::parse(bytes).ok()).and_then(|m| m.via());
        let via = via.or_else(|| entry.request.as_ref().and_then(|request| request.via()));
        let Some(via) = via else { return };
        let port = via.port.unwrap_or(old.transport.default_port());
        entry.flow = Flow { connection: 0, peer: SocketAddr::new(old.peer.ip(), port), ..old };
        entry.rerouted = true;
        let (flow, last) = (entry.flow, entry.last.clone());
        self.state.by_flow.remove(&(old, id));
        self.state.by_flow.insert((flow, id));
        if let Some(bytes) = last {
            self.transmit(flow, bytes);
        }
    }

    fn step_server(&mut self, now: Instant, id: u64, step: Step) {
        let timing = self.timing;
        let Some(entry) = self.state.server(id) else { return };
        let mut ack = None;
        let actions = match (&mut entry.machine, step) {
            (ServerMachine::Invite(machine), step) => {
                let input = match step {
                    Step::Retransmission => invite_server::Input::Retransmission,
                    Step::Respond(status) => invite_server::Input::Respond(status),
                    Step::Timeout => invite_server::Input::Timeout,
                    Step::Ack(request, flow) => {
                        ack = Some((request, flow));
                        invite_server::Input::Ack
                    }
                };
                machine.handle(now, &timing, input)
            }
            (ServerMachine::Other(machine), Step::Retransmission) => {
                machine.handle(now, &timing, server::Input::Retransmission)
            }
            (ServerMachine::Other(machine), Step::Respond(status)) => {
                machine.handle(now, &timing, server::Input::Respond(status))
            }
            (ServerMachine::Other(machine), Step::Timeout) => machine.handle(now, &timing, server::Input::Timeout),
            (ServerMachine::Other(_), Step::Ack(..)) => ServerActions::new(),
        };
        for action in actions {
            self.carry_out_server(id, action, &mut ack);
        }
        self.state.settle(id);
    }

    fn carry_out_server(&mut self, id: u64, action: ServerAction, ack: &mut Option<(Message, Flow)>) {
        let Some(entry) = self.state.server(id) else { return };
        let tx = ServerTx(id);
        match action {
            ServerAction::Send => {
                let (flow, bytes) = (entry.flow, entry.last.clone());
                if let Some(bytes) = bytes {
                    self.transmit(flow, bytes);
                }
            }
            ServerAction::SendTrying => {
                if let Some(bytes) = entry.trying() {
                    let flow = entry.flow;
                    entry.last = Some(bytes.clone());
                    self.transmit(flow, bytes);
                }
            }
            ServerAction::AckMissing => self.event(Event::AckMissing { tx }),
            ServerAction::DeliverAck => {
                if let Some((request, flow)) = ack.take() {
                    self.event(Event::Ack { tx: Some(tx), request, flow });
                }
            }
        }
    }

    /// The ACK of a 2xx has a branch of its own: it finds the INVITE by what both share with the response.
    fn expect_ack(&mut self, id: u64, response: &ResponseBuilder) {
        let to_tag = response.tag().unwrap_or_default().to_owned();
        let Some(entry) = self.state.server(id) else { return };
        if !matches!(entry.machine, ServerMachine::Invite(_)) {
            return;
        }
        let Some(request) = entry.request.take() else { return };
        ack_key(&mut self.state.scratch, &request, &to_tag);
        let key = self.state.key();
        self.state.keys.insert(key.clone(), id);
        if let Some(entry) = self.state.server(id) {
            entry.more_keys.push(key);
        }
    }

    fn dressed(&self, mut response: ResponseBuilder, tag: u64) -> ResponseBuilder {
        if response.status() > 100 {
            response.add_tag(&self.tag_text(tag));
        }
        if !self.config.product.is_empty() && response.get(HeaderName::Server).is_none() {
            response = response.header(HeaderName::Server, &self.config.product);
        }
        response
    }

    fn tag_text(&self, tag: u64) -> String {
        format!("{}{tag:016x}", self.config.prefix)
    }

    /// Where responses go (RFC 3261 §18.2.2, RFC 3581 §4): back over the connection, or for UDP to where Via says.
    fn response_flow(&self, via: &Via, flow: Flow) -> Flow {
        if flow.transport.is_reliable() || self.config.force_rport {
            return flow;
        }
        Flow { peer: via.response_address().unwrap_or(flow.peer), ..flow }
    }
}

/// What happens to a server transaction. Passed on once and never kept.
#[allow(clippy::large_enum_variant)]
enum Step {
    Retransmission,
    Respond(u16),
    Ack(Message, Flow),
    Timeout,
}

impl ServerEntry {
    pub(super) const fn is_open(&self) -> bool {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.is_open(),
            ServerMachine::Other(machine) => machine.is_open(),
        }
    }

    /// RFC 4320 §4.1, §4.2. A 408 still goes to the machine, which ends without a word.
    fn allows(&self, status: u16) -> bool {
        match &self.machine {
            ServerMachine::Invite(_) => true,
            ServerMachine::Other(_) => status >= 200,
        }
    }

    fn trying(&self) -> Option<Bytes> {
        Some(ResponseBuilder::to(self.request.as_ref()?, 100, "").build())
    }
}

fn merged_key(out: &mut Vec<u8>, request: &Message) {
    let from_tag = request.header(HeaderName::From).and_then(tag_of).unwrap_or_default();
    key::invite(out, "m", request.call_id(), from_tag, "", request.cseq().map_or(0, |(n, _)| n));
}

/// The key that a 2xx to this INVITE and its ACK share.
pub(super) fn ack_key(out: &mut Vec<u8>, request: &Message, to_tag: &str) {
    let from_tag = request.header(HeaderName::From).and_then(tag_of).unwrap_or_default();
    key::invite(out, "k", request.call_id(), from_tag, to_tag, request.cseq().map_or(0, |(n, _)| n));
}

/// FNV-1a: a tag that only has to be the same for the same request.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
