//! The SIP side of a call's legs: which transaction and dialog speak for which leg.

use base::Id;
use base::id::kind::{Call as CallKind, Device, User};
use domain::ports::LegIndex;

use sip_proto::dialog::Dialog;
use sip_proto::{ClientTx, Flow, Message, RequestBuilder, ServerTx};

use crate::seats::Seat;

/// A leg's number within its shard; never used twice.
pub(super) type LegNumber = u64;

/// Which side of a dialog we are, and what is open.
#[derive(Debug)]
pub(super) enum Side {
    /// The peer called us: its INVITE waits for our final answer, or has had it.
    Called {
        /// The INVITE.
        invite: Box<Message>,
        /// Its transaction; `None` once answered finally.
        tx: Option<ServerTx>,
    },
    /// We called: our INVITE is out.
    Calling {
        /// Its transaction; `None` once answered finally.
        tx: Option<ClientTx>,
        /// As sent, for the dialog.
        invite: Box<RequestBuilder>,
    },
}

/// One leg.
#[derive(Debug)]
pub(super) struct SipLeg {
    pub(super) call: Id<CallKind>,
    pub(super) index: LegIndex,
    pub(super) flow: Flow,
    pub(super) side: Side,
    /// Transactions that lead here until the leg is forgotten.
    pub(super) server_txs: Vec<ServerTx>,
    pub(super) client_txs: Vec<ClientTx>,
    /// There once a 2xx was sent or received.
    pub(super) dialog: Option<Dialog>,
    /// CSeq of the INVITE whose 2xx we acknowledge.
    pub(super) invite_cseq: u32,
    /// The peer's re-INVITE or UPDATE that waits for the other side.
    pub(super) peer_offer: Option<(ServerTx, Box<Message>)>,
    /// The device at the other end, when it is one of ours.
    pub(super) owner: Option<(Id<User>, Id<Device>)>,
    /// In-dialog requests go where the Contact says, not back on the flow: true for trunks, whose Contact can be believed.
    pub(super) follows_target: bool,
    /// A place on a trunk, given back when the leg is forgotten.
    #[expect(dead_code, reason = "held for its drop")]
    pub(super) seat: Option<Seat>,
    /// Reason of the BYE, if it answers after it was given up.
    pub(super) lost_race: bool,
    /// Given up: what still comes is acknowledged and hung up.
    pub(super) abandoned: bool,
}
