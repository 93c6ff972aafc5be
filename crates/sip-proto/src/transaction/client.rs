//! Non-INVITE client transaction (RFC 3261 §17.1.2).

use std::time::Instant;

use super::{ClientAction, ClientActions, Deadlines, Timing};
use ClientAction::{Deliver, Resend, TimedOut, TransportFailed};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// What happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// A response with this status.
    Response(u16),
    /// A deadline may have passed.
    Timeout,
    /// The transport could not send.
    TransportFailed,
}

/// The machine.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    state: State,
    reliable: bool,
    deadlines: Deadlines,
}

impl Client {
    /// The request has just been sent.
    pub(crate) fn start(now: Instant, timing: &Timing, reliable: bool) -> Self {
        let resend = (!reliable).then_some((now + timing.t1, timing.t1));
        Self { state: State::Trying, reliable, deadlines: Deadlines { resend, end: Some(now + timing.long()) } }
    }

    /// Feeds one input and says what to do.
    pub(crate) fn handle(&mut self, now: Instant, timing: &Timing, input: Input) -> ClientActions {
        use {Input as I, State::*};
        let mut actions = ClientActions::new();
        match (self.state, input) {
            (Trying | Proceeding, I::Response(..200)) => {
                self.state = Proceeding;
                // Timer E runs at T2 from here on; a retransmission that is already due sooner is left alone.
                self.deadlines.resend = self.deadlines.resend.map(|(at, _)| (at, timing.t2));
                actions.push(Deliver);
            }
            (Trying | Proceeding, I::Response(_)) => {
                self.state = if self.reliable { Terminated } else { Completed };
                self.deadlines = Deadlines { resend: None, end: (!self.reliable).then_some(now + timing.t4) };
                actions.push(Deliver);
            }
            (Trying | Proceeding, I::Timeout) if self.deadlines.ended(now) => {
                self.terminate();
                actions.push(TimedOut);
            }
            (Trying | Proceeding, I::Timeout) if self.deadlines.resend_due(now, timing.t2) => actions.push(Resend),
            (Trying | Proceeding, I::TransportFailed) => {
                self.terminate();
                actions.push(TransportFailed);
            }
            (Completed, I::Timeout) if self.deadlines.ended(now) => self.terminate(),
            (Completed, I::TransportFailed) => self.terminate(),
            (Trying | Proceeding | Completed, I::Timeout) | (Completed, I::Response(_)) | (Terminated, _) => {}
        }
        actions
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether it can be forgotten.
    pub(crate) const fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    const fn terminate(&mut self) {
        self.state = State::Terminated;
        self.deadlines = Deadlines { resend: None, end: None };
    }
}
