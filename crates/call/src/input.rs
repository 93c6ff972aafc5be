//! What a call is told.

use std::time::Instant;

use base::Timestamp;
use domain::ports::{BillingError, LegIndex, LegStatistics, MediaError};
use domain::wallet::Grant;

use crate::cause::{Cause, Rejection};
use crate::plan::Plan;

/// The two clocks at one moment: monotonic for timers, wall for records.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub instant: Instant,
    /// Wall.
    pub wall: Timestamp,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input<D> {
    /// A leg said something.
    Leg(LegIndex, LegEvent),
    /// Answer to `Ask::Forward`.
    Planned(Result<Box<Plan<D>>, Rejection>),
    /// Answer to `Ask::Open` for this account.
    Opened(usize, Result<Option<Grant>, BillingError>),
    /// Answer to `Ask::Extend` for this account.
    Extended(usize, Result<Grant, BillingError>),
    /// Answer to `Ask::Offer` towards this leg.
    Offered(LegIndex, Result<String, MediaError>),
    /// Answer to `Ask::Answer` of this leg.
    MediaAnswered(LegIndex, Result<String, MediaError>),
    /// Answer to `Ask::Delete`.
    Deleted(Vec<LegStatistics>),
    /// End it: an administrator, a drain, the relay's time-out.
    End(Cause),
    /// The time that `poll_timeout` named has come.
    Timeout,
}

/// What a leg said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    /// 101 to 199 to our INVITE.
    Provisional {
        /// The status.
        status: u16,
        /// Its SDP, if any.
        sdp: Option<String>,
    },
    /// 2xx to our INVITE; the driver has sent the ACK.
    Accepted {
        /// Its SDP.
        sdp: Option<String>,
    },
    /// Final refusal of our INVITE; 408 when it never answered, 503 when it could not be sent.
    Rejected {
        /// The status.
        status: u16,
    },
    /// The caller's CANCEL; the driver has answered it.
    Cancelled,
    /// BYE; the driver has answered it. Also when the dialog broke (no ACK, 481).
    HungUp,
    /// re-INVITE or UPDATE with an offer.
    Reoffer {
        /// The offer.
        sdp: String,
    },
    /// Final answer to our re-INVITE.
    Reanswer {
        /// SDP of a 2xx, or the status of a refusal.
        result: Result<String, u16>,
    },
}
