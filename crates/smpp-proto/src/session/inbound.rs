//! What a session does with the PDUs that come in: responses to their requests, requests to the user, the rest
//! answered on the spot (SMPP 3.4 §2.3 says which operation belongs to which state, §4.3 what to nack).

use std::time::Instant;

use bytes::Bytes;

use super::CloseReason;
use super::{Event, INBOUND_REQUESTS_MAX, Request, RequestId, Role, Session, State, Timer};
use crate::coding::latin1;
use crate::error::SmppError;
use crate::pdu::{Bind, Body, CommandId, Header, Pdu};
use crate::status::CommandStatus;

impl Session {
    pub(super) fn receive(&mut self, now: Instant, octets: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        self.reader.feed(octets);
        while self.state != State::Closed {
            match self.reader.next_pdu() {
                Ok(Some(frame)) => self.take(now, frame),
                Ok(None) => return,
                Err(error) => {
                    self.reply(0, CommandStatus::ESME_RINVCMDLEN, CommandId::GENERIC_NACK);
                    self.close(CloseReason::Malformed(error));
                }
            }
        }
    }

    fn take(&mut self, now: Instant, frame: Bytes) {
        self.heard_at = now;
        self.timers.stop(Timer::EnquireLink);
        if matches!(self.state, State::Bound(_) | State::Draining(_) | State::Unbinding(_)) {
            self.timers.set(Timer::Silence, now + self.config.enquire_link_interval);
        }
        // The reader hands out whole PDUs only, so that a header is always there.
        let Ok(header) = Header::decode(&frame) else { return };
        match Pdu::decode(&frame) {
            Ok(pdu) if header.command.is_response() => self.take_response(now, frame.clone(), &pdu),
            Ok(pdu) => self.take_request(frame.clone(), &pdu),
            Err(error) => self.take_unreadable(now, header, frame, error),
        }
    }

    /// A response that cannot be read still answers by its status; a request gets an error.
    fn take_unreadable(&mut self, now: Instant, header: Header, frame: Bytes, error: SmppError) {
        self.event(Event::PeerFault(error));
        if header.command.is_response() {
            let body = Body::Unknown { command: header.command, octets: &[] };
            self.take_response(now, frame, &Pdu { status: header.status, sequence: header.sequence, body });
        } else {
            self.reply(header.sequence, CommandStatus::ESME_RINVCMDLEN, header.command.response());
        }
    }

    fn take_response(&mut self, now: Instant, frame: Bytes, pdu: &Pdu<'_>) {
        let command = pdu.body.command();
        if let Some(request) = self.window.close(pdu.sequence, command) {
            self.answered(now, request, frame, pdu);
        } else if let Some(key) = self.window.close_late(pdu.sequence, command) {
            self.user_answered(key, true, frame, pdu);
        } else {
            self.event(Event::PeerFault(SmppError::Misbehaved { command, rule: "answers nothing that was asked" }));
        }
    }

    fn take_request(&mut self, frame: Bytes, pdu: &Pdu<'_>) {
        let (sequence, command) = (pdu.sequence, pdu.body.command());
        match (self.state, &pdu.body) {
            (_, Body::EnquireLink) => self.reply(sequence, CommandStatus::ESME_ROK, command.response()),
            (_, Body::Unbind) => {
                self.reply(sequence, CommandStatus::ESME_ROK, command.response());
                self.close(CloseReason::PeerUnbound);
            }
            (State::Open, Body::Bind(bind)) => self.take_bind(sequence, bind),
            (State::Binding, Body::Bind(_)) => self.refuse(sequence, CommandStatus::ESME_RINVBNDSTS, command),
            (_, Body::Bind(_)) => self.refuse(sequence, CommandStatus::ESME_RALYBND, command),
            // Neither is ever answered (§4.1.7, §4.12); an outbind on a session that binds anyway says nothing new.
            (_, Body::Outbind(_)) => {}
            (State::Bound(_) | State::Draining(_) | State::Unbinding(_), Body::AlertNotification(_)) => {
                self.event(Event::Requested(Request { id: RequestId { sequence, command }, frame }));
            }
            (_, Body::AlertNotification(_)) => {}
            (_, Body::Unknown { .. }) => {
                self.event(Event::PeerFault(SmppError::Misbehaved { command, rule: "is no command that we know" }));
                self.reply(sequence, CommandStatus::ESME_RINVCMDID, CommandId::GENERIC_NACK);
            }
            (State::Bound(mode) | State::Draining(mode) | State::Unbinding(mode), body) => {
                if may_ask(&self.role, mode.may_submit(), mode.may_deliver(), body) {
                    self.hand_over(RequestId { sequence, command }, frame);
                } else {
                    self.refuse(sequence, CommandStatus::ESME_RINVBNDSTS, command);
                }
            }
            // A carrier may deliver on the heels of its bind response, never before it.
            (State::Open | State::Deciding { .. } | State::Binding | State::Closed, _) => {
                self.refuse(sequence, CommandStatus::ESME_RINVBNDSTS, command);
            }
        }
    }

    fn take_bind(&mut self, sequence: u32, bind: &Bind<'_>) {
        if matches!(self.role, Role::Esme(_)) {
            return self.refuse(sequence, CommandStatus::ESME_RINVBNDSTS, bind.mode.command());
        }
        self.state = State::Deciding { mode: bind.mode, sequence };
        self.event(Event::BindRequested {
            mode: bind.mode,
            system_id: latin1::decode(bind.system_id),
            password: base::Secret::new(latin1::decode(bind.password)),
            system_type: latin1::decode(bind.system_type),
            interface_version: bind.interface_version,
        });
    }

    fn hand_over(&mut self, id: RequestId, frame: Bytes) {
        if self.inbound_total >= INBOUND_REQUESTS_MAX {
            return self.reply(id.sequence, CommandStatus::ESME_RMSGQFUL, id.command.response());
        }
        self.inbound_total += 1;
        *self.inbound.entry(id).or_default() += 1;
        self.event(Event::Requested(Request { id, frame }));
    }

    fn refuse(&mut self, sequence: u32, status: CommandStatus, command: CommandId) {
        self.event(Event::PeerFault(SmppError::Misbehaved { command, rule: "is not for this state" }));
        self.reply(sequence, status, command.response());
    }
}

/// Which operations the peer may ask for (§2.3).
fn may_ask(role: &Role, submit: bool, deliver: bool, body: &Body<'_>) -> bool {
    match (role, body) {
        (Role::Esme(_), Body::DeliverSm(_) | Body::DataSm(_)) => deliver,
        (
            Role::Smsc { .. },
            Body::SubmitSm(_) | Body::DataSm(_) | Body::QuerySm(_) | Body::CancelSm(_) | Body::ReplaceSm(_),
        ) => submit,
        _ => false,
    }
}
