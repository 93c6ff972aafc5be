//! One SMPP session, of either side, as a machine without I/O (SMPP 3.4 §2).
//!
//! Feed it with [`Session::handle`] and the commands [`Session::submit`], [`Session::respond`], [`Session::unbind`];
//! after each call drain [`Session::poll_output`], then sleep until [`Session::poll_timeout`] at most. The connection
//! is open when the session starts; a closed session is thrown away, reconnecting is the driver's business.
//!
//! It keeps the window, the pace, the response times and the keepalive, and answers what is out of turn. Every
//! request given to it comes back exactly once as answered, unsent or unanswered (a late answer may follow the last).

mod config;
mod inbound;
mod io;
mod pacer;
mod snapshot;
mod throttle;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use base::timers::{TimerKind, TimerTable};
use bytes::Bytes;

use crate::coding::latin1;
use crate::error::SmppError;
use crate::pdu::{Bind, BindResp, Body, CommandId, MessageResp, Pdu, TlvBuffer, Tlvs, tag};
use crate::reader::PduReader;
use crate::status::{CommandStatus, StatusClass};
use pacer::Pacer;
use throttle::Throttle;
use window::{Outstanding, Purpose, Window};

pub use crate::pdu::BindMode;
pub use config::{BindRequest, Role, SessionConfig, WINDOW_MAX};
pub use io::{Answer, CloseReason, Event, Input, Output, Request, RequestId};
pub use snapshot::SessionSnapshot;

/// Requests of the peer that may wait for our answer; over it the peer gets ESME_RMSGQFUL, and the driver should
/// have stopped reading long before.
pub const INBOUND_REQUESTS_MAX: usize = 1_000;

/// One session.
#[derive(Debug)]
pub struct Session {
    role: Role,
    config: SessionConfig,
    state: State,
    reader: PduReader,
    window: Window,
    queue: VecDeque<Queued>,
    pacer: Pacer,
    throttle: Throttle,
    /// Requests of the peer that wait for our answer, and how often the peer used the same number.
    inbound: BTreeMap<RequestId, u16>,
    inbound_total: usize,
    timers: TimerTable<Timer, 4>,
    heard_at: Instant,
    outputs: VecDeque<Output>,
}

/// How far the session is (§2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// SMSC: connected, nobody has bound.
    Open,
    /// SMSC: the user decides about a bind.
    Deciding {
        mode: BindMode,
        sequence: u32,
    },
    /// ESME: the bind is on its way.
    Binding,
    Bound(BindMode),
    /// Unbinding has begun; open responses are awaited.
    Draining(BindMode),
    /// unbind is on its way.
    Unbinding(BindMode),
    Closed,
}

#[derive(Debug, Clone, Copy)]
enum Timer {
    Bind,
    Silence,
    EnquireLink,
    Unbind,
}

impl TimerKind for Timer {
    fn index(self) -> usize {
        self as usize
    }
}

/// A request that waits for window or pace; its sequence number is written when it leaves.
#[derive(Debug)]
struct Queued {
    key: u64,
    command: CommandId,
    frame: Vec<u8>,
}

impl Session {
    /// Starts on an open connection: an ESME sends its bind, an SMSC waits for one.
    ///
    /// # Errors
    /// When the bind's fields do not fit a PDU.
    pub fn start(now: Instant, role: Role, config: SessionConfig) -> Result<Self, SmppError> {
        let mut session = Self::idle(now, role, config);
        session.timers.set(Timer::Bind, now + session.config.bind_timeout);
        if let Role::Esme(request) = &session.role {
            let bind = Body::Bind(Bind {
                mode: request.mode,
                system_id: request.system_id.as_bytes(),
                password: request.password.expose().as_bytes(),
                system_type: request.system_type.as_bytes(),
                interface_version: request.interface_version,
                addr_ton: request.addr_ton,
                addr_npi: request.addr_npi,
                address_range: request.address_range.as_bytes(),
            });
            let sequence = session.window.open(now, Purpose::Bind, request.mode.command());
            let frame = Pdu::new(sequence, bind).to_vec()?;
            session.outputs.push_back(Output::Transmit(frame.into()));
            session.state = State::Binding;
        }
        Ok(session)
    }

    fn idle(now: Instant, role: Role, config: SessionConfig) -> Self {
        Self {
            role,
            config,
            state: State::Open,
            reader: PduReader::default(),
            window: Window::default(),
            queue: VecDeque::new(),
            pacer: Pacer::new(now),
            throttle: Throttle::new(now),
            inbound: BTreeMap::new(),
            inbound_total: 0,
            timers: TimerTable::default(),
            heard_at: now,
            outputs: VecDeque::new(),
        }
    }

    /// Feeds one input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Received(octets) => self.receive(now, octets),
            Input::Timeout => self.expire(now),
            Input::Disconnected => self.close(CloseReason::Disconnected),
        }
        self.pump(now);
    }

    /// What the driver has to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the session wants [`Input::Timeout`].
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let pump = self.next_pump();
        let response = self.window.next(self.config.response_timeout);
        [self.timers.earliest(), response, pump].into_iter().flatten().min()
    }

    /// Takes a request under the user's `key`; it leaves when window and pace allow.
    ///
    /// # Errors
    /// [`SmppError::RefusedState`] unless bound for it, [`SmppError::UnavailableRoom`] when the queue is full, and
    /// what [`Pdu::encode`] says. The key is then not known to the session.
    pub fn submit(&mut self, now: Instant, key: u64, body: &Body<'_>) -> Result<(), SmppError> {
        if !self.may_send() {
            return Err(SmppError::RefusedState);
        }
        if self.queue.len() >= usize::from(self.config.queue_requests.max(1)) {
            return Err(SmppError::UnavailableRoom);
        }
        let frame = Pdu::new(0, *body).to_vec()?;
        self.queue.push_back(Queued { key, command: body.command(), frame });
        self.pump(now);
        Ok(())
    }

    /// How many more requests [`Self::submit`] takes now.
    pub fn room(&self) -> usize {
        if !self.may_send() {
            return 0;
        }
        usize::from(self.config.queue_requests.max(1)).saturating_sub(self.queue.len())
    }

    /// Gives back, as [`Event::Unsent`], every request that waits for window or pace; the session goes on.
    pub fn withdraw(&mut self) {
        self.give_back_queue();
    }

    /// How many requests wait in the queue and how many for their response.
    pub fn load(&self) -> (usize, usize) {
        (self.queue.len(), self.window.users())
    }

    /// Whether requests may be submitted.
    pub fn may_send(&self) -> bool {
        match (self.state, &self.role) {
            (State::Bound(mode), Role::Esme(_)) => mode.may_submit(),
            (State::Bound(mode), Role::Smsc { .. }) => mode.may_deliver(),
            _ => false,
        }
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Answers a request of the peer; `message_id` counts for submit_sm and data_sm only.
    ///
    /// # Errors
    /// [`SmppError::RefusedAnswer`] when no such request waits.
    pub fn respond(&mut self, id: RequestId, status: CommandStatus, message_id: &str) -> Result<(), SmppError> {
        let resp = MessageResp { message_id: message_id.as_bytes(), tlvs: Tlvs::EMPTY };
        let body = match id.command {
            CommandId::SUBMIT_SM => Body::SubmitSmResp(resp),
            CommandId::DATA_SM => Body::DataSmResp(resp),
            CommandId::DELIVER_SM => Body::DeliverSmResp(crate::pdu::NOTHING),
            CommandId::CANCEL_SM => Body::CancelSmResp,
            CommandId::REPLACE_SM => Body::ReplaceSmResp,
            _ => Body::Unknown { command: id.command.response(), octets: &[] },
        };
        self.respond_with(id, status, &body)
    }

    /// Answers a request of the peer with a body of the user's making, for query_sm and for parameters.
    ///
    /// # Errors
    /// [`SmppError::RefusedAnswer`] when no such request waits, and what [`Pdu::encode`] says.
    pub fn respond_with(&mut self, id: RequestId, status: CommandStatus, body: &Body<'_>) -> Result<(), SmppError> {
        let Some(count) = self.inbound.get_mut(&id) else {
            return Err(SmppError::RefusedAnswer { sequence: id.sequence });
        };
        let frame = Pdu { status, sequence: id.sequence, body: *body }.to_vec()?;
        *count -= 1;
        if *count == 0 {
            self.inbound.remove(&id);
        }
        self.inbound_total -= 1;
        self.outputs.push_back(Output::Transmit(frame.into()));
        Ok(())
    }

    /// Takes the bind that [`Event::BindRequested`] told of.
    ///
    /// # Errors
    /// [`SmppError::RefusedState`] when none waits.
    pub fn accept_bind(&mut self, now: Instant) -> Result<(), SmppError> {
        let (State::Deciding { mode, sequence }, Role::Smsc { system_id }) = (self.state, &self.role) else {
            return Err(SmppError::RefusedState);
        };
        let mut tlvs = TlvBuffer::default();
        tlvs.push(tag::SC_INTERFACE_VERSION, &[0x34])?;
        let resp = BindResp { mode, system_id: system_id.as_bytes(), tlvs: tlvs.as_tlvs() };
        let frame = Pdu::new(sequence, Body::BindResp(resp)).to_vec()?;
        self.outputs.push_back(Output::Transmit(frame.into()));
        self.enter_bound(now, mode);
        Ok(())
    }

    /// Refuses the bind that [`Event::BindRequested`] told of, and closes.
    ///
    /// # Errors
    /// [`SmppError::RefusedState`] when none waits.
    pub fn refuse_bind(&mut self, status: CommandStatus) -> Result<(), SmppError> {
        let State::Deciding { mode, sequence } = self.state else { return Err(SmppError::RefusedState) };
        self.reply(sequence, status, mode.command().response());
        self.close(CloseReason::BindRefused(status));
        Ok(())
    }

    /// Ends the session in good order: what has not left is given back, open responses are awaited, then unbind.
    pub fn unbind(&mut self, now: Instant) {
        match self.state {
            State::Bound(mode) => {
                self.state = State::Draining(mode);
                self.timers.set(Timer::Unbind, now + self.config.unbind_timeout);
                self.give_back_queue();
                self.pump(now);
            }
            State::Open | State::Deciding { .. } | State::Binding => self.close(CloseReason::Unbound),
            State::Draining(_) | State::Unbinding(_) | State::Closed => {}
        }
    }

    fn enter_bound(&mut self, now: Instant, mode: BindMode) {
        self.state = State::Bound(mode);
        self.timers.stop(Timer::Bind);
        self.timers.set(Timer::Silence, now + self.config.enquire_link_interval);
    }

    /// Sends what window and pace allow, and the unbind when nothing is open any more.
    fn pump(&mut self, now: Instant) {
        match self.state {
            State::Bound(_) => {
                while !self.queue.is_empty() && self.window_has_room() && self.throttle.paused_until(now).is_none() {
                    let rate = self.throttle.per_second(now, self.config.messages_per_second);
                    if !self.pacer.take(now, rate) {
                        break;
                    }
                    self.send_next(now);
                }
            }
            State::Draining(mode) if self.window.users() == 0 => {
                self.state = State::Unbinding(mode);
                self.timers.set(Timer::Unbind, now + self.config.unbind_timeout);
                self.request(now, Purpose::Unbind, CommandId::UNBIND);
            }
            State::Open
            | State::Deciding { .. }
            | State::Binding
            | State::Draining(_)
            | State::Unbinding(_)
            | State::Closed => {}
        }
    }

    fn send_next(&mut self, now: Instant) {
        if let Some(Queued { key, command, mut frame }) = self.queue.pop_front() {
            let sequence = self.window.open(now, Purpose::User(key), command);
            frame[12..16].copy_from_slice(&sequence.to_be_bytes());
            self.throttle.sent(now);
            self.outputs.push_back(Output::Transmit(frame.into()));
        }
    }

    fn window_has_room(&self) -> bool {
        self.window.users() < usize::from(self.config.window_requests.clamp(1, WINDOW_MAX))
    }

    /// When [`Self::pump`] can do more without any input.
    fn next_pump(&mut self) -> Option<Instant> {
        let waits_for_time = matches!(self.state, State::Bound(_)) && !self.queue.is_empty() && self.window_has_room();
        if !waits_for_time {
            return None;
        }
        let free = self.pacer.ready_at();
        let paused = self.throttle.paused_until(free);
        let at = paused.unwrap_or(free);
        let rate = self.throttle.per_second(at, self.config.messages_per_second);
        Some(rate.map_or(at, |rate| at.max(self.pacer.next(rate))))
    }

    fn expire(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expire(now) {
            match timer {
                Timer::Bind => return self.close(CloseReason::BindTimeout),
                Timer::EnquireLink => return self.close(CloseReason::KeepaliveLost),
                Timer::Silence => self.break_silence(now),
                Timer::Unbind => match self.state {
                    State::Draining(mode) => {
                        self.state = State::Unbinding(mode);
                        self.timers.set(Timer::Unbind, now + self.config.unbind_timeout);
                        self.request(now, Purpose::Unbind, CommandId::UNBIND);
                    }
                    _ => return self.close(CloseReason::Unbound),
                },
            }
        }
        while let Some(lost) = self.window.expire(now, self.config.response_timeout) {
            if let Purpose::User(key) = lost.purpose {
                self.event(Event::Unanswered { key });
            }
        }
    }

    /// Asks for a sign of life when nothing was heard for long enough.
    fn break_silence(&mut self, now: Instant) {
        let due = self.heard_at + self.config.enquire_link_interval;
        if now < due {
            return self.timers.set(Timer::Silence, due);
        }
        self.request(now, Purpose::EnquireLink, CommandId::ENQUIRE_LINK);
        self.timers.set(Timer::EnquireLink, now + self.config.response_timeout);
    }

    /// Sends a request without a body.
    fn request(&mut self, now: Instant, purpose: Purpose, command: CommandId) {
        let sequence = self.window.open(now, purpose, command);
        self.transmit_bare(command, CommandStatus::ESME_ROK, sequence);
    }

    fn reply(&mut self, sequence: u32, status: CommandStatus, command: CommandId) {
        self.transmit_bare(command, status, sequence);
    }

    fn transmit_bare(&mut self, command: CommandId, status: CommandStatus, sequence: u32) {
        let body = Body::Unknown { command, octets: &[] };
        // A header alone always encodes.
        if let Ok(frame) = (Pdu { status, sequence, body }).to_vec() {
            self.outputs.push_back(Output::Transmit(frame.into()));
        }
    }

    /// What a response means for the request that it answers.
    fn answered(&mut self, now: Instant, request: Outstanding, frame: Bytes, pdu: &Pdu<'_>) {
        match request.purpose {
            Purpose::Bind => self.bind_answered(now, pdu),
            Purpose::EnquireLink => {}
            Purpose::Unbind => self.close(CloseReason::Unbound),
            Purpose::User(key) => {
                match pdu.status.class() {
                    StatusClass::Accepted => self.throttle.accepted(request.sent_at),
                    StatusClass::Throttled => {
                        let limit = self.config.messages_per_second;
                        if let Some(pause) = self.throttle.refused(now, request.sent_at, limit) {
                            self.event(Event::Throttled { pause });
                        }
                    }
                    StatusClass::Temporary | StatusClass::Link | StatusClass::Permanent => {}
                }
                self.user_answered(key, false, frame, pdu);
            }
        }
    }

    fn user_answered(&mut self, key: u64, late: bool, frame: Bytes, pdu: &Pdu<'_>) {
        // A generic_nack with ESME_ROK contradicts itself; it must not count as taken.
        let nack = pdu.body == Body::GenericNack && pdu.status.is_ok();
        let status = if nack { CommandStatus::ESME_RUNKNOWNERR } else { pdu.status };
        let message_id = pdu.body.message_id().map(latin1::decode).unwrap_or_default();
        self.event(Event::Answered(Answer { key, status, message_id, late, frame }));
    }

    fn bind_answered(&mut self, now: Instant, pdu: &Pdu<'_>) {
        match pdu.body {
            Body::BindResp(resp) if pdu.status.is_ok() => {
                let system_id = latin1::decode(resp.system_id);
                let version = resp.tlvs.find_number(tag::SC_INTERFACE_VERSION);
                let interface_version = version.and_then(|version| u8::try_from(version).ok());
                self.enter_bound(now, resp.mode);
                self.event(Event::Bound { mode: resp.mode, system_id, interface_version });
            }
            // generic_nack with ESME_ROK would be a contradiction; it is no bind.
            _ if pdu.status.is_ok() => self.close(CloseReason::BindRefused(CommandStatus::ESME_RBINDFAIL)),
            _ => self.close(CloseReason::BindRefused(pdu.status)),
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn give_back_queue(&mut self) {
        for queued in std::mem::take(&mut self.queue) {
            self.event(Event::Unsent { key: queued.key });
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.timers = TimerTable::default();
        self.inbound.clear();
        self.inbound_total = 0;
        for lost in self.window.drain() {
            if let Purpose::User(key) = lost.purpose {
                self.event(Event::Unanswered { key });
            }
        }
        self.give_back_queue();
        self.outputs.push_back(Output::Close(reason));
    }
}

#[cfg(test)]
mod tests;
