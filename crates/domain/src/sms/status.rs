//! The states of a text.

use serde::{Deserialize, Serialize};

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Accepted from the user, price held.
    Queued,
    /// All segments accepted by the carrier, price settled.
    Sent,
    /// The recipient's phone has it.
    Delivered,
    /// It will not arrive.
    Failed,
    /// Taken back before it left.
    Cancelled,
    /// Inbound.
    Received,
}

impl MessageStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Sent, Self::Delivered, Self::Failed, Self::Cancelled, Self::Received];

    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Received => "received",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether a text may go from this status to `next`. A late receipt may turn `failed` (by validity) to `delivered`,
    /// never the other way round.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Queued => matches!(next, Self::Sent | Self::Delivered | Self::Failed | Self::Cancelled),
            Self::Sent => matches!(next, Self::Delivered | Self::Failed),
            Self::Failed => matches!(next, Self::Delivered),
            Self::Delivered | Self::Cancelled | Self::Received => false,
        }
    }
}
