//! The record of a call: what is written while it runs and once, for good, when it ends.

use base::id::kind::{Call, Device, Tenant, Trunk, User};
use base::{E164, Id, Money, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ports::LegStatistics;

/// The states of T25; the last four are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// Accepted by us, nothing rings yet.
    Initiated,
    /// Something rings.
    Ringing,
    /// Both sides talk.
    Answered,
    /// Ended after an answer.
    Completed,
    /// Ended without an answer because something went wrong.
    Failed,
    /// The callee was busy or declined.
    Busy,
    /// Nobody answered, or the caller gave up (cause `cancelled`).
    NoAnswer,
}

impl CallState {
    /// All of them, in the order of a call's life.
    pub const ALL: [Self; 7] =
        [Self::Initiated, Self::Ringing, Self::Answered, Self::Completed, Self::Failed, Self::Busy, Self::NoAnswer];

    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing comes after it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Busy | Self::NoAnswer)
    }

    /// Whether a call may go from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Initiated => !matches!(next, Self::Initiated | Self::Completed),
            Self::Ringing => !matches!(next, Self::Initiated | Self::Ringing | Self::Completed),
            Self::Answered => matches!(next, Self::Completed),
            Self::Completed | Self::Failed | Self::Busy | Self::NoAnswer => false,
        }
    }
}

/// Which way a call goes, seen from the tenant that pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// From a user out by a trunk.
    Outbound,
    /// From a trunk to a user.
    Inbound,
    /// Between users of the switch.
    OnNet,
}

impl CallDirection {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::OnNet => "on_net",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Outbound, Self::Inbound, Self::OnNet].into_iter().find(|d| d.as_str() == text)
    }
}

/// Who called whom; fixed when the call is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallParties {
    /// The call.
    pub call: Id<Call>,
    /// Call-ID of the caller's leg, by which a person finds the call in a trace.
    pub sip_call_id: String,
    /// The tenant that pays.
    pub tenant: Id<Tenant>,
    /// The user that pays and in whose history the call stands.
    pub user: Option<Id<User>>,
    /// The user that was called, when it is one of ours: the call stands in its history too.
    pub callee_user: Option<Id<User>>,
    /// The device that called, when it was one of ours.
    pub device: Option<Id<Device>>,
    /// Which way.
    pub direction: CallDirection,
    /// What the callee is shown: an E.164 number or `name@domain`.
    pub from: String,
    /// What was dialled: an E.164 number or `name@domain`.
    pub to: String,
    /// Trunk by which the call came in.
    pub trunk_in: Option<Id<Trunk>>,
    /// When it was taken.
    pub started_at: Timestamp,
}

/// How a call ended; with [`CallParties`] the whole record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEnd {
    /// A final state.
    pub state: CallState,
    /// Word for the reason: `normal`, `cancelled`, `busy`, `no_credit`, `unallocated`, `media_timeout` ...
    pub cause: String,
    /// Final SIP status towards the caller, 200 for answered calls.
    pub sip_status: u16,
    /// ITU-T Q.850 cause value, 1 to 127.
    pub q850: u8,
    /// Who hung up: `caller`, `callee` or `switch`.
    pub ended_by: String,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Seconds of talk, rounded up; 0 when never answered.
    pub talked_s: u64,
    /// Seconds charged.
    pub billed_s: u64,
    /// Trunk that carried it out.
    pub trunk_out: Option<Id<Trunk>>,
    /// Number that answered after a forward, as dialled.
    pub forwarded_to: Option<E164>,
    /// Price; `None` when nothing charges this call.
    pub price: Option<Money>,
    /// Media figures per leg.
    pub legs: Vec<LegStatistics>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_in_exactly_one_final_state() {
        for from in CallState::ALL {
            for to in CallState::ALL {
                if from.may_become(to) {
                    assert!(!from.is_final(), "{from:?} is final");
                    assert!(to > from, "{from:?} goes back to {to:?}");
                }
            }
        }
        assert!(CallState::Answered.may_become(CallState::Completed));
        assert!(!CallState::Ringing.may_become(CallState::Completed));
        assert!(!CallState::Answered.may_become(CallState::Busy));
    }
}
