//! INVITE client transaction (RFC 3261 §17.1.1, Accepted from RFC 6026 §7.2).
//!
//! How long a phone may ring is not decided here but by the call; a user that gives up calls `cancelled`.

use std::time::{Duration, Instant};

use super::{ClientAction, ClientActions, Deadlines, TIMER_D_MIN, Timing};
use ClientAction::{Acknowledge, Deliver, Resend, TimedOut, TransportFailed};

/// An INVITE that has provisional responses only is given up after this long without another one. Far over Timer C
/// (RFC 3261 §16.6), so that only a dead peer meets it; without it such a transaction would never end.
const SILENCE_MAX: Duration = Duration::from_secs(900);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
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
    /// A CANCEL was sent (RFC 3261 §9.1).
    Cancelled,
}

/// The machine.
#[derive(Debug, Clone)]
pub(crate) struct InviteClient {
    state: State,
    reliable: bool,
    /// A CANCEL went out: what has not ended 64·T1 later counts as ended.
    cancelled: bool,
    deadlines: Deadlines,
}

impl InviteClient {
    /// The request has just been sent.
    pub(crate) fn start(now: Instant, timing: &Timing, reliable: bool) -> Self {
        let resend = (!reliable).then_some((now + timing.t1, timing.t1));
        let deadlines = Deadlines { resend, end: Some(now + timing.long()) };
        Self { state: State::Calling, reliable, cancelled: false, deadlines }
    }

    /// Feeds one input and says what to do.
    pub(crate) fn handle(&mut self, now: Instant, timing: &Timing, input: Input) -> ClientActions {
        use {Input as I, State::*};
        let mut actions = ClientActions::new();
        match (self.state, input) {
            (Calling, I::Response(..200)) => {
                self.enter(Proceeding, Some(now + SILENCE_MAX));
                actions.push(Deliver);
            }
            (Proceeding, I::Response(..200)) => {
                if !self.cancelled {
                    self.deadlines.end = Some(now + SILENCE_MAX);
                }
                actions.push(Deliver);
            }
            (Calling | Proceeding, I::Response(200..300)) => {
                self.enter(Accepted, Some(now + timing.long()));
                actions.push(Deliver);
            }
            (Calling | Proceeding, I::Response(_)) => {
                match self.reliable {
                    true => self.enter(Terminated, None),
                    false => self.enter(Completed, Some(now + TIMER_D_MIN.max(timing.long()))),
                }
                actions.extend([Acknowledge, Deliver]);
            }
            (Accepted, I::Response(200..300)) => actions.push(Deliver),
            (Completed, I::Response(300..)) => actions.push(Acknowledge),
            (Calling, I::Timeout) if self.deadlines.ended(now) => {
                self.enter(Terminated, None);
                actions.push(TimedOut);
            }
            (Calling, I::Timeout) if self.deadlines.resend_due(now, Duration::MAX) => actions.push(Resend),
            (Proceeding, I::Timeout) if self.deadlines.ended(now) => {
                self.enter(Terminated, None);
                actions.push(TimedOut);
            }
            (Accepted | Completed, I::Timeout) if self.deadlines.ended(now) => self.enter(Terminated, None),
            (Calling | Proceeding, I::TransportFailed) => {
                self.enter(Terminated, None);
                actions.push(TransportFailed);
            }
            (Completed, I::TransportFailed) => self.enter(Terminated, None),
            (Calling | Proceeding, I::Cancelled) => {
                self.cancelled = true;
                self.deadlines.end = Some(now + timing.long());
            }
            (Accepted, I::TransportFailed | I::Response(_))
            | (Completed, I::Response(_))
            | (Accepted | Completed, I::Cancelled)
            | (Calling | Proceeding | Accepted | Completed, I::Timeout)
            | (Terminated, _) => {}
        }
        actions
    }

    /// Whether no provisional response has come yet, so that a CANCEL must wait (RFC 3261 §9.1).
    pub(crate) const fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling)
    }

    /// Whether a CANCEL may go out.
    pub(crate) const fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Whether it can be forgotten.
    pub(crate) const fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    const fn enter(&mut self, state: State, end: Option<Instant>) {
        self.state = state;
        self.deadlines = Deadlines { resend: None, end };
    }
}
