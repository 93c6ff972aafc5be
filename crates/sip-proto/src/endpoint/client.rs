//! Requests that we send: their transactions, CANCEL (RFC 3261 §9.1), ACK (§13.2.2.4, §17.1.1.3).

use std::fmt::Write;
use std::time::Instant;

use base::limits::SIP_MAX_FORWARDS;
use bytes::Bytes;
use smallvec::SmallVec;

use super::state::{Acknowledged, Cancel, ClientEntry, ClientMachine, Entry, Inviting};
use super::{ClientTx, Endpoint, Event, key};
use crate::flow::Flow;
use crate::message::{HeaderName, Message, RequestBuilder, tag_of};
use crate::method::Method;
use crate::transaction::{Client, ClientAction, ClientActions, InviteClient, client, invite_client};

/// Most 2xx with different To tags taken from one INVITE; further branches of a fork are dropped.
const FORKED_2XX_MAX: usize = 16;

impl Endpoint {
    /// Sends a request in a transaction of its own. Via is put on top; Max-Forwards, Call-ID, CSeq and User-Agent are
    /// added where the draft has none. From and To are the caller's. An ACK goes to [`Self::ack`]. INVITEs that are open
    /// at the same time must differ in Call-ID, From tag or CSeq number, or their ACKs cannot be told apart.
    ///
    /// With twice the transactions of the configured limit it is not sent, and [`Event::TransportFailed`] follows.
    pub fn request(&mut self, now: Instant, draft: RequestBuilder, flow: Flow) -> ClientTx {
        let tx = ClientTx(self.state.next_id());
        if self.state.entries.len() >= self.config.transactions_max.saturating_mul(2) {
            self.state.stats.transport_failed += 1;
            self.event(Event::TransportFailed { tx });
            return tx;
        }
        let draft = self.completed(draft);
        let branch = self.new_branch();
        let bytes = draft.build_with(&self.via_line(&flow, &branch));
        key::client(&mut self.state.scratch, &branch, draft.method());
        let key = self.state.key();
        let reliable = flow.transport.is_reliable();
        let machine = if draft.method() == Method::Invite {
            draft_ack_key(&mut self.state.scratch, &draft);
            let ack_key = self.state.key();
            let inviting = Inviting { ack_key, cancel: Cancel::No, refusal_ack: None, acks: SmallVec::new() };
            ClientMachine::Invite(InviteClient::start(now, &self.timing, reliable), Box::new(inviting))
        } else {
            ClientMachine::Other(Client::start(now, &self.timing, reliable))
        };
        let entry = ClientEntry { machine, request: bytes.clone(), flow, key, vias: draft.vias() + 1, silent: false };
        self.state.insert(tx.0, Entry::Client(Box::new(entry)));
        self.state.settle(tx.0);
        self.transmit(flow, bytes);
        tx
    }

    /// Sends the ACK of a 2xx (RFC 3261 §13.2.2.4): with CSeq number, From tag and Call-ID of its INVITE. It is kept,
    /// and sent again each time the 2xx comes again.
    pub fn ack(&mut self, _now: Instant, draft: RequestBuilder, flow: Flow) {
        let draft = self.completed(draft);
        let branch = self.new_branch();
        let bytes = draft.build_with(&self.via_line(&flow, &branch));
        draft_ack_key(&mut self.state.scratch, &draft);
        let to_tag = draft.get(HeaderName::To).and_then(tag_of).map(str::to_owned);
        let found = self.state.find();
        if let (Some(entry), Some(to_tag)) = (found.and_then(|id| self.state.client(id)), to_tag)
            && let ClientMachine::Invite(_, inviting) = &mut entry.machine
        {
            match inviting.acks.iter_mut().find(|a| *a.to_tag == *to_tag) {
                Some(known) => known.ack = Some((flow, bytes.clone())),
                None => inviting.remember(&to_tag, Some((flow, bytes.clone()))),
            }
        }
        self.transmit(flow, bytes);
    }

    /// Gives an INVITE up: the CANCEL goes out now, or when the first provisional response comes. `reason` is a whole
    /// Reason value (RFC 3326), as `SIP;cause=200;text="Call completed elsewhere"`. The INVITE still ends by its own
    /// final response, or by [`Event::TimedOut`] 64·T1 later. Nothing happens to an INVITE that has ended.
    pub fn cancel(&mut self, now: Instant, tx: ClientTx, reason: Option<&str>) {
        let Some(ClientEntry { machine: ClientMachine::Invite(machine, inviting), .. }) = self.state.client(tx.0)
        else {
            return;
        };
        if inviting.cancel != Cancel::No {
            return;
        }
        if machine.is_calling() {
            inviting.cancel = Cancel::Waiting(reason.map(Into::into));
        } else if machine.is_proceeding() {
            self.send_cancel(now, tx.0, reason);
        }
    }

    fn send_cancel(&mut self, now: Instant, id: u64, reason: Option<&str>) {
        let Some(entry) = self.state.client(id) else { return };
        let (flow, request) = (entry.flow, entry.request.clone());
        if let ClientMachine::Invite(_, inviting) = &mut entry.machine {
            inviting.cancel = Cancel::Sent;
        }
        let Ok(invite) = Message::parse(request) else { return };
        let Some(via) = invite.via() else { return };
        let mut draft = follow_up(&invite, Method::Cancel).copy(&invite, HeaderName::To);
        if let Some(reason) = reason {
            draft = draft.header(HeaderName::Reason, reason);
        }
        let bytes = draft.build_with(&format!("Via: {via}\r\n"));
        key::client(&mut self.state.scratch, via.branch().unwrap_or_default(), Method::Cancel);
        let key = self.state.key();
        let machine = ClientMachine::Other(Client::start(now, &self.timing, flow.transport.is_reliable()));
        let cancel_id = self.state.next_id();
        let entry = ClientEntry { machine, request: bytes.clone(), flow, key, vias: 1, silent: true };
        self.state.insert(cancel_id, Entry::Client(Box::new(entry)));
        self.state.settle(cancel_id);
        self.transmit(flow, bytes);
        self.step_invite(now, id, invite_client::Input::Cancelled, None);
        self.state.settle(id);
    }

    pub(super) fn client_response(&mut self, now: Instant, id: u64, response: Message, flow: Flow) {
        let Some(status) = response.status() else { return };
        let Some(entry) = self.state.client(id) else { return };
        if response.header_values(HeaderName::Via).count() != entry.vias {
            self.state.stats.malformed += 1;
            return;
        }
        match &entry.machine {
            ClientMachine::Invite(..) => {
                self.step_invite(now, id, invite_client::Input::Response(status), Some((response, flow)));
                self.cancel_if_waiting(now, id);
            }
            ClientMachine::Other(_) => {
                self.step_client(now, id, client::Input::Response(status), Some((response, flow)))
            }
        }
        self.state.settle(id);
    }

    /// The first provisional response frees a CANCEL that waits; a final one makes it pointless.
    fn cancel_if_waiting(&mut self, now: Instant, id: u64) {
        let Some(ClientEntry { machine: ClientMachine::Invite(machine, inviting), .. }) = self.state.client(id) else {
            return;
        };
        if !machine.is_proceeding() {
            return;
        }
        if let Cancel::Waiting(reason) = &inviting.cancel {
            let reason = reason.clone();
            self.send_cancel(now, id, reason.as_deref());
        }
    }

    pub(super) fn client_timeout(&mut self, now: Instant, id: u64) {
        let Some(entry) = self.state.client(id) else { return };
        match &entry.machine {
            ClientMachine::Invite(..) => self.step_invite(now, id, invite_client::Input::Timeout, None),
            ClientMachine::Other(_) => self.step_client(now, id, client::Input::Timeout, None),
        }
        self.state.settle(id);
    }

    pub(super) fn client_transport_failed(&mut self, now: Instant, id: u64) {
        let Some(entry) = self.state.client(id) else { return };
        match &entry.machine {
            ClientMachine::Invite(..) => self.step_invite(now, id, invite_client::Input::TransportFailed, None),
            ClientMachine::Other(_) => self.step_client(now, id, client::Input::TransportFailed, None),
        }
        self.state.settle(id);
    }

    fn step_client(&mut self, now: Instant, id: u64, input: client::Input, response: Option<(Message, Flow)>) {
        let timing = self.timing;
        let Some(ClientEntry { machine: ClientMachine::Other(machine), .. }) = self.state.client(id) else { return };
        let actions = machine.handle(now, &timing, input);
        self.carry_out(id, actions, response);
    }

    fn step_invite(&mut self, now: Instant, id: u64, input: invite_client::Input, response: Option<(Message, Flow)>) {
        let timing = self.timing;
        let Some(ClientEntry { machine: ClientMachine::Invite(machine, _), .. }) = self.state.client(id) else {
            return;
        };
        let actions = machine.handle(now, &timing, input);
        self.carry_out(id, actions, response);
    }

    fn carry_out(&mut self, id: u64, actions: ClientActions, response: Option<(Message, Flow)>) {
        let tx = ClientTx(id);
        for action in actions {
            let Some(entry) = self.state.client(id) else { return };
            let (flow, silent) = (entry.flow, entry.silent);
            match action {
                ClientAction::Resend => {
                    let bytes = entry.request.clone();
                    self.state.stats.retransmissions_sent += 1;
                    self.transmit(flow, bytes);
                }
                ClientAction::Acknowledge => {
                    let response = response.as_ref().map(|(response, _)| response);
                    if let Some(bytes) = refusal_ack(entry, response) {
                        self.transmit(flow, bytes);
                    }
                }
                ClientAction::Deliver => {
                    if let Some((response, from)) = response.as_ref().filter(|_| !silent) {
                        self.deliver(id, response.clone(), *from);
                    }
                }
                ClientAction::TimedOut => {
                    self.state.stats.timed_out += 1;
                    if !silent {
                        self.event(Event::TimedOut { tx });
                    }
                }
                ClientAction::TransportFailed => {
                    self.state.stats.transport_failed += 1;
                    if !silent {
                        self.event(Event::TransportFailed { tx });
                    }
                }
            }
        }
    }

    /// A response for the user; a 2xx to INVITE that came before is answered with the ACK that is kept.
    fn deliver(&mut self, id: u64, response: Message, from: Flow) {
        let is_success = response.status().is_some_and(|status| (200..300).contains(&status));
        if let Some(ClientEntry { machine: ClientMachine::Invite(_, inviting), .. }) = self.state.client(id)
            && is_success
        {
            let tag = response.header(HeaderName::To).and_then(tag_of).unwrap_or_default();
            if let Some(known) = inviting.acks.iter().find(|a| *a.to_tag == *tag) {
                let again = known.ack.clone();
                self.state.stats.retransmissions_received += 1;
                if let Some((flow, bytes)) = again {
                    self.state.stats.retransmissions_sent += 1;
                    self.transmit(flow, bytes);
                }
                return;
            }
            if inviting.acks.len() == FORKED_2XX_MAX {
                return;
            }
            inviting.remember(tag, None);
        }
        self.event(Event::Response { tx: ClientTx(id), response, flow: from });
    }

    fn completed(&mut self, mut draft: RequestBuilder) -> RequestBuilder {
        if draft.get(HeaderName::MaxForwards).is_none() {
            draft = draft.header(HeaderName::MaxForwards, SIP_MAX_FORWARDS);
        }
        if draft.get(HeaderName::CallId).is_none() {
            let call_id = self.new_tag();
            draft = draft.header(HeaderName::CallId, call_id);
        }
        if draft.get(HeaderName::CSeq).is_none() {
            draft = draft.cseq(1);
        }
        if !self.config.product.is_empty() && draft.get(HeaderName::UserAgent).is_none() {
            draft = draft.header(HeaderName::UserAgent, &self.config.product);
        }
        draft
    }

    fn new_branch(&mut self) -> String {
        format!("z9hG4bK{}{:016x}", self.config.prefix, self.random.u64())
    }

    fn via_line(&self, flow: &Flow, branch: &str) -> String {
        let mut out = String::with_capacity(96);
        let rport = if flow.transport.is_reliable() { "" } else { ";rport" };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "Via: SIP/2.0/{} {};branch={branch}{rport}\r\n",
            flow.transport.via_name(),
            self.config.sent_by(flow)
        );
        out
    }
}

impl Inviting {
    fn remember(&mut self, to_tag: &str, ack: Option<(Flow, Bytes)>) {
        self.acks.push(Acknowledged { to_tag: to_tag.into(), ack });
    }
}

/// ACK and CANCEL: Request-URI, From, Call-ID, Route and CSeq number of the INVITE (RFC 3261 §9.1, §17.1.1.3).
fn follow_up(invite: &Message, method: Method) -> RequestBuilder {
    RequestBuilder::new(method, invite.request_uri_text())
        .copy(invite, HeaderName::Route)
        .header(HeaderName::MaxForwards, SIP_MAX_FORWARDS)
        .copy(invite, HeaderName::From)
        .copy(invite, HeaderName::CallId)
        .cseq(invite.cseq().map_or(0, |(sequence, _)| sequence))
}

/// The ACK of a final response that is not 2xx, made when the first one comes and kept.
fn refusal_ack(entry: &mut ClientEntry, response: Option<&Message>) -> Option<Bytes> {
    let request = entry.request.clone();
    let ClientMachine::Invite(_, inviting) = &mut entry.machine else { return None };
    if inviting.refusal_ack.is_none() {
        let invite = Message::parse(request).ok()?;
        let via = invite.via()?;
        let draft = follow_up(&invite, Method::Ack).copy(response?, HeaderName::To);
        inviting.refusal_ack = Some(draft.build_with(&format!("Via: {via}\r\n")));
    }
    inviting.refusal_ack.clone()
}

/// The key by which an ACK finds its INVITE.
fn draft_ack_key(out: &mut Vec<u8>, draft: &RequestBuilder) {
    let from_tag = draft.get(HeaderName::From).and_then(tag_of).unwrap_or_default();
    let sequence =
        draft.get(HeaderName::CSeq).and_then(|value| value.split_once(' ')).and_then(|(n, _)| n.parse().ok());
    key::invite(out, "a", draft.get(HeaderName::CallId).unwrap_or_default(), from_tag, "", sequence.unwrap_or(0));
}
