//! The four transaction machines of RFC 3261 §17 as corrected by RFC 4320 and RFC 6026, one file each.
//!
//! A machine knows states and deadlines and nothing of messages: it is told what happened and says what to do. Bytes,
//! keys and flows are the endpoint's.

pub(crate) mod client;
pub(crate) mod invite_client;
pub(crate) mod invite_server;
pub(crate) mod server;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub(crate) use client::Client;
pub(crate) use invite_client::InviteClient;
pub(crate) use invite_server::InviteServer;
pub(crate) use server::Server;

/// The base timers (RFC 3261 §17.1.1.1 and table 4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Estimated round trip.
    pub(crate) t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and of INVITE responses.
    pub(crate) t2: Duration,
    /// How long a message stays in the network.
    pub(crate) t4: Duration,
    /// How long the user may take to answer an INVITE before 100 goes out.
    pub(crate) trying_after: Duration,
}

/// How long Timer D runs over unreliable transports at least (RFC 3261 §17.1.1.2).
const TIMER_D_MIN: Duration = Duration::from_secs(32);

impl Timing {
    /// 64·T1: Timers B, F, H, J, L and M.
    pub(crate) const fn long(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// When a client's Timer E reaches T2: from then on a non-INVITE request is answered 100 (RFC 4320 §4.1).
    fn trying_of_non_invite(&self) -> Duration {
        let (mut sum, mut interval) = (Duration::ZERO, self.t1.max(Duration::from_millis(1)));
        while interval < self.t2 {
            sum += interval;
            interval *= 2;
        }
        sum
    }
}

/// What a client machine wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAction {
    /// Send the request again.
    Resend,
    /// Give the response to the user.
    Deliver,
    /// Send the ACK of a final response that is not 2xx.
    Acknowledge,
    /// Tell the user that nobody answered.
    TimedOut,
    /// Tell the user that the request could not be sent.
    TransportFailed,
}

/// What a server machine wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerAction {
    /// Send the latest response (again).
    Send,
    /// Make and send a 100 Trying.
    SendTrying,
    /// Tell the user that the 2xx was never acknowledged.
    AckMissing,
    /// Tell the user of the first ACK of a 2xx.
    DeliverAck,
}

pub(crate) type ClientActions = SmallVec<[ClientAction; 2]>;
pub(crate) type ServerActions = SmallVec<[ServerAction; 2]>;

/// Two deadlines are all that any of the machines needs at a time.
#[derive(Debug, Clone, Copy, Default)]
struct Deadlines {
    /// The next retransmission, and the interval after it.
    resend: Option<(Instant, Duration)>,
    /// The end of the state.
    end: Option<Instant>,
}

impl Deadlines {
    fn next(&self) -> Option<Instant> {
        match (self.resend, self.end) {
            (Some((resend, _)), Some(end)) => Some(resend.min(end)),
            (Some((resend, _)), None) => Some(resend),
            (None, end) => end,
        }
    }

    /// Whether the state is over.
    fn ended(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    /// Whether a retransmission is due; the following one is then set, at twice the interval up to `interval_max`.
    fn resend_due(&mut self, now: Instant, interval_max: Duration) -> bool {
        match self.resend {
            Some((at, interval)) if at <= now => {
                let next = (interval * 2).min(interval_max);
                self.resend = Some((at + next, next));
                true
            }
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests;
