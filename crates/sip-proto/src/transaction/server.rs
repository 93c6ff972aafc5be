//! Non-INVITE server transaction (RFC 3261 §17.2.2) with the corrections of RFC 4320: no provisional response but 100,
//! no 100 before the client's Timer E has reached T2, no 408, and nothing after the client has given up.

use std::time::Instant;

use super::{Deadlines, ServerAction, ServerActions, Timing};
use ServerAction::{Send, SendTrying};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the user answers; `end_at` is when the client has given up.
    Trying {
        end_at: Instant,
    },
    Proceeding,
    Completed,
    Terminated,
}

/// What happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request came again.
    Retransmission,
    /// The user answers with this status.
    Respond(u16),
    /// A deadline may have passed.
    Timeout,
}

/// The machine.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    state: State,
    reliable: bool,
    deadlines: Deadlines,
}

impl Server {
    /// The request has just come in.
    pub(crate) fn start(now: Instant, timing: &Timing, reliable: bool) -> Self {
        let end_at = now + timing.long();
        let trying_at = (now + timing.trying_of_non_invite()).min(end_at);
        Self { state: State::Trying { end_at }, reliable, deadlines: Deadlines { resend: None, end: Some(trying_at) } }
    }

    /// Feeds one input and says what to do. A response that must not be sent gets no action.
    pub(crate) fn handle(&mut self, now: Instant, timing: &Timing, input: Input) -> ServerActions {
        use {Input as I, State::*};
        let mut actions = ServerActions::new();
        match (self.state, input) {
            (Trying { .. } | Proceeding, I::Respond(408)) => self.terminate(),
            (Trying { .. } | Proceeding, I::Respond(200..)) => {
                self.state = if self.reliable { Terminated } else { Completed };
                self.deadlines.end = (!self.reliable).then_some(now + timing.long());
                actions.push(Send);
            }
            (Trying { end_at }, I::Timeout) if self.deadlines.ended(now) => {
                if now >= end_at {
                    self.terminate();
                } else {
                    self.state = Proceeding;
                    self.deadlines.end = Some(end_at);
                    actions.push(SendTrying);
                }
            }
            (Proceeding, I::Timeout) if self.deadlines.ended(now) => self.terminate(),
            (Completed, I::Timeout) if self.deadlines.ended(now) => self.terminate(),
            (Proceeding | Completed, I::Retransmission) => actions.push(Send),
            (Trying { .. }, I::Retransmission)
            | (Trying { .. } | Proceeding, I::Respond(_))
            | (Completed, I::Respond(_))
            | (Trying { .. } | Proceeding | Completed, I::Timeout)
            | (Terminated, _) => {}
        }
        actions
    }

    /// Whether the user has yet to give a final response.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Trying { .. } | State::Proceeding)
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
