//! One side of a call, as far as the machine needs to know it.

use base::Id;
use base::id::kind::Trunk;
use domain::ports::LegNetwork;

/// Where a called leg is. The caller's leg is `Answered` from the start of talk, `Inviting` before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LegState {
    /// The relay is asked for an offer.
    Offering,
    /// INVITE sent (or, for the caller, received).
    Inviting,
    /// 2xx seen.
    Answered,
    /// Refused, cancelled or hung up; nothing more is heard of it.
    Gone,
}

/// What the relay is being asked about this leg's SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Early media of a provisional answer.
    Early(u16),
    /// The final answer.
    Final,
    /// The answer to a re-offer.
    Reoffer,
}

#[derive(Debug, Clone)]
pub(crate) struct Leg<D> {
    /// Taken when the INVITE is sent.
    pub(crate) destination: Option<D>,
    pub(crate) network: LegNetwork,
    pub(crate) trunk: Option<Id<Trunk>>,
    pub(crate) state: LegState,
    /// Whether it gave a 18x.
    pub(crate) rang: bool,
    /// Final status of a refusal.
    pub(crate) refused: Option<u16>,
    pub(crate) asking: Option<Asking>,
    /// SDP of the last provisional answer that had one.
    pub(crate) early_sdp: Option<String>,
    /// SDP of a 2xx that waits until the relay has answered about early media.
    pub(crate) accepted_sdp: Option<String>,
}

impl<D> Leg<D> {
    pub(crate) fn new(destination: Option<D>, network: LegNetwork, trunk: Option<Id<Trunk>>, state: LegState) -> Self {
        Self {
            destination,
            network,
            trunk,
            state,
            rang: false,
            refused: None,
            asking: None,
            early_sdp: None,
            accepted_sdp: None,
        }
    }

    pub(crate) const fn is_live(&self) -> bool {
        !matches!(self.state, LegState::Gone)
    }
}
