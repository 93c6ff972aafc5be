//! INVITE server transaction (RFC 3261 §17.2.1, Accepted from RFC 6026 §7.1), with the retransmission of 2xx that the
//! user agent core owes until the ACK comes (RFC 3261 §13.3.1.4).

use std::time::Instant;

use super::{Deadlines, ServerAction, ServerActions, Timing};
use ServerAction::{AckMissing, DeliverAck, Send, SendTrying};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No response has been sent yet; a 100 is due.
    Arrived,
    Proceeding,
    Completed,
    Confirmed,
    Accepted {
        acknowledged: bool,
    },
    Terminated,
}

/// What happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE came again.
    Retransmission,
    /// The user answers with this status.
    Respond(u16),
    /// An ACK came, of a 2xx or of another final response.
    Ack,
    /// A deadline may have passed.
    Timeout,
}

/// The machine.
#[derive(Debug, Clone)]
pub(crate) struct InviteServer {
    state: State,
    reliable: bool,
    deadlines: Deadlines,
}

impl InviteServer {
    /// The request has just come in.
    pub(crate) fn start(now: Instant, timing: &Timing, reliable: bool) -> Self {
        Self {
            state: State::Arrived,
            reliable,
            deadlines: Deadlines { resend: None, end: Some(now + timing.trying_after) },
        }
    }

    /// Feeds one input and says what to do. A response that comes too late gets no action.
    pub(crate) fn handle(&mut self, now: Instant, timing: &Timing, input: Input) -> ServerActions {
        use {Input as I, State::*};
        let mut actions = ServerActions::new();
        let long = now + timing.long();
        match (self.state, input) {
            (Arrived | Proceeding, I::Respond(..200)) => {
                self.enter(Proceeding, Deadlines::default());
                actions.push(Send);
            }
            (Arrived | Proceeding, I::Respond(200..300)) => {
                // Over reliable transports too: a hop behind them may be unreliable.
                let resend = Some((now + timing.t1, timing.t1));
                self.enter(Accepted { acknowledged: false }, Deadlines { resend, end: Some(long) });
                actions.push(Send);
            }
            (Arrived | Proceeding, I::Respond(_)) => {
                let resend = (!self.reliable).then_some((now + timing.t1, timing.t1));
                self.enter(Completed, Deadlines { resend, end: Some(long) });
                actions.push(Send);
            }
            (Arrived, I::Timeout) if self.deadlines.ended(now) => {
                self.enter(Proceeding, Deadlines::default());
                actions.push(SendTrying);
            }
            (Arrived, I::Retransmission) => {
                self.enter(Proceeding, Deadlines::default());
                actions.push(SendTrying);
            }
            (Proceeding | Completed, I::Retransmission) => actions.push(Send),
            (Completed, I::Ack) => match self.reliable {
                true => self.enter(Terminated, Deadlines::default()),
                false => self.enter(Confirmed, Deadlines { resend: None, end: Some(now + timing.t4) }),
            },
            (Accepted { acknowledged: false }, I::Ack) => {
                let end = self.deadlines.end;
                self.enter(Accepted { acknowledged: true }, Deadlines { resend: None, end });
                actions.push(DeliverAck);
            }
            (Accepted { acknowledged }, I::Timeout) if self.deadlines.ended(now) => {
                self.enter(Terminated, Deadlines::default());
                if !acknowledged {
                    actions.push(AckMissing);
                }
            }
            (Completed | Confirmed, I::Timeout) if self.deadlines.ended(now) => {
                self.enter(Terminated, Deadlines::default())
            }
            (Completed | Accepted { .. }, I::Timeout) if self.deadlines.resend_due(now, timing.t2) => {
                actions.push(Send)
            }
            (Completed | Confirmed | Accepted { .. }, I::Respond(_))
            | (Confirmed | Accepted { .. }, I::Retransmission)
            | (Arrived | Proceeding | Confirmed | Accepted { acknowledged: true }, I::Ack)
            | (Arrived | Proceeding | Completed | Confirmed | Accepted { .. }, I::Timeout)
            | (Terminated, _) => {}
        }
        actions
    }

    /// Whether the user has yet to give a final response.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Arrived | State::Proceeding)
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether it can be forgotten.
    pub(crate) const fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    const fn enter(&mut self, state: State, deadlines: Deadlines) {
        self.state = state;
        self.deadlines = deadlines;
    }
}
