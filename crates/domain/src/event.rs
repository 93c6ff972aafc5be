//! Facts that are published: versioned, small, safe to lose (every consumer that must not miss one reads the store).

use base::id::kind::{Call, Event as EventKind, Message, Tenant, User};
use base::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call_record::CallState;
use crate::sms::{MessageStatus, StatusChange};

/// A fact with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Ordered by time within one node.
    pub id: Id<EventKind>,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is; `None`: the whole switch's.
    pub tenant: Option<Id<Tenant>>,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened. The `type` names are the event catalogue of the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Fact {
    /// A call was taken, rings, was answered or ended.
    #[serde(rename = "call.status")]
    CallStatus {
        /// The call.
        call: Id<Call>,
        /// Users in whose history it stands.
        users: Vec<Id<User>>,
        /// Its new state.
        state: CallState,
        /// From, as presented.
        from: String,
        /// To, as dialled.
        to: String,
    },
    /// A text waits to be sent: a hint for the dispatcher.
    #[serde(rename = "sms.queued")]
    SmsQueued {
        /// The message.
        message: Id<Message>,
    },
    /// A text changed its status.
    #[serde(rename = "sms.status")]
    SmsStatus {
        /// The message.
        message: Id<Message>,
        /// Its sender.
        user: Option<Id<User>>,
        /// Its new status.
        status: MessageStatus,
    },
    /// A text came in.
    #[serde(rename = "sms.inbound")]
    SmsInbound {
        /// The message.
        message: Id<Message>,
        /// Owner of the number.
        user: Option<Id<User>>,
    },
    /// A device registered, refreshed for the first time from elsewhere, or went away.
    #[serde(rename = "device.registration")]
    Registration {
        /// Its user.
        user: Id<User>,
        /// Whether it can be reached now.
        online: bool,
    },
}

impl From<StatusChange> for Fact {
    fn from(change: StatusChange) -> Self {
        Self::SmsStatus { message: change.message, user: change.user, status: change.status }
    }
}
