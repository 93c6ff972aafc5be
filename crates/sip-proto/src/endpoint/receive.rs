//! What arrives: parsed, checked, and handed to its transaction (RFC 3261 §8.2, §9.2, §18.2.1).

use std::time::Instant;

use bytes::Bytes;

use super::server::ack_key;
use super::state::ServerMachine;
use super::{Endpoint, Event, ServerTx, key};
use crate::flow::Flow;
use crate::message::{HeaderName, Message, Refusal, ResponseBuilder, Via, tag_of};
use crate::method::Method;

impl Endpoint {
    /// Takes in one datagram or one framed message. Keep-alives (line ends only) are dropped without an answer; the
    /// ping of a stream is its framer's business. What cannot be read and what cannot be answered is counted.
    pub fn receive(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.state.stats.messages_received += 1;
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        let Ok(mut message) = Message::parse(bytes) else {
            self.state.stats.malformed += 1;
            return;
        };
        if message.is_request() {
            message.set_source(flow.peer);
            self.receive_request(now, message, flow);
        } else {
            self.receive_response(now, message, flow);
        }
    }

    fn receive_response(&mut self, now: Instant, response: Message, flow: Flow) {
        let (Ok(()), Some(via), Some((_, method))) = (response.validate(), response.via(), response.cseq()) else {
            self.state.stats.malformed += 1;
            return;
        };
        key::client(&mut self.state.scratch, via.branch().unwrap_or_default(), method);
        match self.state.find() {
            Some(id) => self.client_response(now, id, response, flow),
            None => self.event(Event::StrayResponse { response, flow }),
        }
    }

    fn receive_request(&mut self, now: Instant, request: Message, flow: Flow) {
        let Some(via) = request.via() else {
            self.state.stats.malformed += 1;
            return;
        };
        if let Err(refusal) = request.validate() {
            self.refuse(refusal, &request, &via, flow);
            return;
        }
        match request.method() {
            Method::Ack => self.receive_ack(now, request, &via, flow),
            Method::Cancel => self.receive_cancel(request, &via, flow),
            method => {
                key::server(&mut self.state.scratch, &request, &via, method);
                match self.state.find() {
                    Some(id) => self.server_retransmission(now, id),
                    None if method == Method::Invite && self.is_merged(&request) => {
                        let response = ResponseBuilder::to(&request, 482, "");
                        self.respond_without_transaction(response, &request, &via, flow);
                    }
                    None => self.open_server(now, request, &via, flow),
                }
            }
        }
    }

    /// A malformed request is answered while its Via, Call-ID, From, To and CSeq can be copied; an ACK never is.
    fn refuse(&mut self, refusal: Refusal, request: &Message, via: &Via, flow: Flow) {
        self.state.stats.malformed += 1;
        if request.method() == Method::Ack {
            return;
        }
        let response = ResponseBuilder::to(request, refusal.status, refusal.reason);
        self.respond_without_transaction(response, request, via, flow);
    }

    /// The ACK of a refusal has the branch of its INVITE, that of a 2xx only its dialog. Some peers use the branch of
    /// the INVITE for both, so the branch is tried first for either.
    fn receive_ack(&mut self, now: Instant, ack: Message, via: &Via, flow: Flow) {
        key::server(&mut self.state.scratch, &ack, via, Method::Invite);
        let found = self.state.find().or_else(|| {
            let to_tag = ack.header(HeaderName::To).and_then(tag_of).unwrap_or_default();
            ack_key(&mut self.state.scratch, &ack, to_tag);
            self.state.find()
        });
        match found {
            Some(id) => self.server_ack(now, id, ack, flow),
            None => self.event(Event::Ack { tx: None, request: ack, flow }),
        }
    }

    /// A CANCEL is answered here: 200 when its INVITE is known, else 481 (RFC 3261 §9.2).
    fn receive_cancel(&mut self, cancel: Message, via: &Via, flow: Flow) {
        key::server(&mut self.state.scratch, &cancel, via, Method::Invite);
        let invite = self.state.find();
        let Some(id) = invite else {
            self.respond_without_transaction(ResponseBuilder::to(&cancel, 481, ""), &cancel, via, flow);
            return;
        };
        let Some(entry) = self.state.server(id) else { return };
        let open = match &mut entry.machine {
            ServerMachine::Invite(machine) => machine.is_open(),
            ServerMachine::Other(_) => return,
        };
        let again = std::mem::replace(&mut entry.cancelled, true);
        let response = ResponseBuilder::to(&cancel, 200, "");
        let response = match self.local_tag(ServerTx(id)) {
            Some(tag) => response.to_tag(&tag),
            None => response,
        };
        // No transaction is kept for it: a CANCEL that comes again finds the INVITE and gets the same answer.
        self.respond_without_transaction(response, &cancel, via, flow);
        if open && !again {
            self.event(Event::Cancel { tx: ServerTx(id), request: cancel });
        }
    }
}
