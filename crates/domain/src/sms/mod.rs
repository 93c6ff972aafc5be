//! Text messages: from what a person wrote to what a carrier takes, and the states in between.

pub mod compose;
pub mod status;

use base::id::kind::{Carrier, Message, Tenant, User, Wallet};
use base::{E164, Id, Money, Timestamp};
use serde::{Deserialize, Serialize};

pub use compose::{ComposeError, Composed, Encoding, compose};
pub use status::MessageStatus;

/// A text on its way into the queue. `id` is the idempotency key of accepting it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The message.
    pub id: Id<Message>,
    /// Who pays.
    pub tenant: Id<Tenant>,
    /// Who sends.
    pub user: Id<User>,
    /// From which wallet.
    pub wallet: Id<Wallet>,
    /// Sender.
    pub from: E164,
    /// Recipient.
    pub to: E164,
    /// What was written, whole.
    pub body: String,
    /// How it goes on the wire.
    pub encoding: Encoding,
    /// Its segments' texts, in order; at least one.
    pub segments: Vec<String>,
    /// The price of all segments.
    pub price: Money,
    /// Carriers to try, in order; at least one.
    pub carriers: Vec<Id<Carrier>>,
    /// When it was taken.
    pub created_at: Timestamp,
    /// When it may leave; now or later.
    pub due_at: Timestamp,
    /// When it is no longer worth sending.
    pub valid_until: Timestamp,
}

/// One segment of a queued text, leased to whoever claimed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueuedPart {
    /// The message.
    pub message: Id<Message>,
    /// Which segment, from 1.
    pub part: u8,
    /// Of how many.
    pub parts: u8,
    /// The carrier to which it is to go.
    pub carrier: Id<Carrier>,
    /// Sender.
    pub from: E164,
    /// Recipient.
    pub to: E164,
    /// The segment's text.
    pub text: String,
    /// How it goes on the wire.
    pub encoding: Encoding,
    /// Concatenation reference shared by the segments of a message (3GPP TS 23.040 §9.2.3.24.1).
    pub reference: u8,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it is no longer worth sending.
    pub valid_until: Timestamp,
}

/// What became of a submitted part.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmitOutcome {
    /// The message.
    pub message: Id<Message>,
    /// Which segment, from 1.
    pub part: u8,
    /// Who answered.
    pub carrier: Id<Carrier>,
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub result: SubmitResult,
}

/// The carrier's answer, judged.
#[derive(Debug, Clone, PartialEq)]
pub enum SubmitResult {
    /// Taken, under this id (as it came, any form).
    Accepted {
        /// message_id of the response.
        carrier_message_id: String,
    },
    /// Taken and delivered in one: a text between our own numbers, which nobody sends a receipt for.
    Delivered,
    /// Not now: try again at this time, with the lease kept until then.
    RetryAt {
        /// When.
        at: Timestamp,
        /// command_status, for the record.
        code: u32,
    },
    /// Not by this carrier; the next one of the plan, or failed when there is none.
    NextCarrier {
        /// command_status.
        code: u32,
    },
    /// By no carrier.
    Failed {
        /// command_status.
        code: u32,
    },
}

/// A text that has got a new status, for whoever listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// The message.
    pub message: Id<Message>,
    /// Whose it is.
    pub tenant: Id<Tenant>,
    /// Its sender.
    pub user: Option<Id<User>>,
    /// Its new status.
    pub status: MessageStatus,
}

/// A delivery receipt, as far as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptReport {
    /// Who sent it.
    pub carrier: Id<Carrier>,
    /// The forms in which our side may know the id: as it came, hexadecimal to decimal and back, without leading zeros,
    /// lower case. The first match wins.
    pub id_candidates: Vec<String>,
    /// What became of the part.
    pub state: ReceiptState,
    /// Raw error code (`err:`), for the record.
    pub code: Option<String>,
    /// The receipt's own text, for the record.
    pub raw: String,
    /// When it came.
    pub at: Timestamp,
}

/// SMPP message_state (SMPP 3.4 §5.2.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    /// ENROUTE: not final.
    Enroute,
    /// DELIVERED.
    Delivered,
    /// EXPIRED.
    Expired,
    /// DELETED.
    Deleted,
    /// UNDELIVERABLE.
    Undeliverable,
    /// ACCEPTED: not final.
    Accepted,
    /// UNKNOWN.
    Unknown,
    /// REJECTED.
    Rejected,
}

impl ReceiptState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Enroute,
        Self::Delivered,
        Self::Expired,
        Self::Deleted,
        Self::Undeliverable,
        Self::Accepted,
        Self::Unknown,
        Self::Rejected,
    ];

    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enroute => "enroute",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Undeliverable => "undeliverable",
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// One PDU's worth of an inbound text.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundPart {
    /// The id that the message gets if this part completes it.
    pub id: Id<Message>,
    /// Who brought it.
    pub carrier: Id<Carrier>,
    /// Sender, as it came: a number or an alphanumeric name.
    pub from: String,
    /// Recipient.
    pub to: E164,
    /// Decoded text of this part.
    pub text: String,
    /// Its place, when it is one of several.
    pub concatenation: Option<Concatenation>,
    /// When it came.
    pub at: Timestamp,
}

/// Place of a part in a message (3GPP TS 23.040 §9.2.3.24.1 and .8, or SAR TLVs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concatenation {
    /// Reference, 8 or 16 bits.
    pub reference: u16,
    /// How many parts, 1 to 255.
    pub parts: u8,
    /// Which one, 1 to `parts`.
    pub part: u8,
}
