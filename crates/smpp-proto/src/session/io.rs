//! What goes into a session and what comes out of it.

use base::Secret;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::SmppError;
use crate::pdu::{BindMode, CommandId, Tlvs};
use crate::status::CommandStatus;

/// What the driver has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// Octets came.
    Received(&'a [u8]),
    /// The time of [`super::Session::poll_timeout`] has come.
    Timeout,
    /// The connection is gone.
    Disconnected,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write these octets.
    Transmit(Bytes),
    /// Tell the user of the session.
    Event(Event),
    /// Close the connection after writing what came before. Nothing follows.
    Close(CloseReason),
}

/// What the user of the session learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The session is bound; requests may go.
    Bound {
        /// Which way.
        mode: BindMode,
        /// Who the peer says it is.
        system_id: String,
        /// sc_interface_version, when it came.
        interface_version: Option<u8>,
    },
    /// A peer wants to bind (SMSC side): answer with `accept_bind` or `refuse_bind`.
    BindRequested {
        /// Which way.
        mode: BindMode,
        /// Who it says it is.
        system_id: String,
        /// What it says to prove that.
        password: Secret,
        /// Its kind.
        system_type: String,
        /// 0x34 for 3.4.
        interface_version: u8,
    },
    /// The response to a request of ours.
    Answered(Answer),
    /// A request of ours was never sent; it is safe to send it elsewhere.
    Unsent {
        /// The user's key.
        key: u64,
    },
    /// A request of ours was sent and no response came; the peer may have taken it.
    Unanswered {
        /// The user's key.
        key: u64,
    },
    /// The peer asks something; answer with `respond`, except an alert_notification.
    Requested(Request),
    /// The peer refuses for speed; nothing leaves for this long.
    Throttled {
        /// How long.
        pause: std::time::Duration,
    },
    /// The peer did something wrong that the session survives.
    PeerFault(SmppError),
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The user's key.
    pub key: u64,
    /// What the peer says.
    pub status: CommandStatus,
    /// The peer's id of the message; empty when it gave none.
    pub message_id: String,
    /// It came after [`Event::Unanswered`] had been said.
    pub late: bool,
    /// The whole response.
    pub frame: Bytes,
}

/// A request of the peer, whole and known to be readable by [`crate::Pdu::decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// For the answer.
    pub id: RequestId,
    /// The PDU.
    pub frame: Bytes,
}

/// Which request of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId {
    /// The peer's sequence number.
    pub sequence: u32,
    /// What it asks.
    pub command: CommandId,
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer's octets cannot be followed.
    #[error("{0}")]
    Malformed(SmppError),
    /// The peer did not bind, or did not answer the bind, in time.
    #[error("no bind in time")]
    BindTimeout,
    /// The bind was refused, by us or by the peer.
    #[error("bind refused: {0}")]
    BindRefused(CommandStatus),
    /// enquire_link was not answered.
    #[error("the peer is silent")]
    KeepaliveLost,
    /// The peer unbound.
    #[error("unbound by the peer")]
    PeerUnbound,
    /// We unbound.
    #[error("unbound")]
    Unbound,
    /// The connection went away.
    #[error("disconnected")]
    Disconnected,
}

impl Answer {
    /// The optional parameters of the response.
    pub fn with_tlvs<T>(&self, read: impl FnOnce(Tlvs<'_>) -> T) -> Option<T> {
        match crate::Pdu::decode(&self.frame).ok()?.body {
            crate::Body::SubmitSmResp(resp) | crate::Body::DataSmResp(resp) => Some(read(resp.tlvs)),
            _ => None,
        }
    }
}
