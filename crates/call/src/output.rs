//! What a call wants done.

use std::time::Duration;

use base::id::kind::{Call as CallKind, MediaSession, Reservation, Rule, User};
use base::{E164, Id, Timestamp};
use domain::call_record::{CallEnd, CallParties, CallState};
use domain::ports::{LegIndex, MediaAnswer, MediaOffer, MediaSignal, NewCall};
use domain::wallet::Hold;

use crate::cause::{Cause, Rejection};

/// Something to do.
#[derive(Debug, Clone)]
pub enum Output<D> {
    /// Say this on a leg.
    Leg(LegIndex, LegCommand<D>),
    /// Ask this of a port; questions that have an answer get it back as an input.
    Ask(Ask),
    /// A record changed its state: publish it.
    Publish(CallParties, CallState),
    /// Nothing more will come; forget the call.
    Finished,
}

/// What to say on a leg.
#[derive(Debug, Clone, PartialEq)]
pub enum LegCommand<D> {
    /// Call the target.
    Invite {
        /// Where.
        destination: D,
        /// The offer.
        sdp: String,
        /// Set on forwarded legs.
        diversion: Option<Diversion>,
    },
    /// 180 or 183 to the caller.
    Provisional {
        /// The status.
        status: u16,
        /// Early media.
        sdp: Option<String>,
    },
    /// 200 to the caller.
    Accept {
        /// The answer.
        sdp: String,
    },
    /// Final refusal to the caller.
    Reject(Rejection),
    /// Give up our INVITE.
    Cancel {
        /// Whether another leg answered (Reason: SIP;cause=200, RFC 3326).
        completed_elsewhere: bool,
    },
    /// Hang up.
    Bye(Cause),
    /// re-INVITE with this offer.
    Reoffer {
        /// The offer.
        sdp: String,
    },
    /// Answer the leg's own re-INVITE: SDP for a 200, or a status.
    Reanswer {
        /// SDP or status.
        result: Result<String, u16>,
    },
}

/// Who had been called before a forward (RFC 5806).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// The number that forwards.
    pub from: String,
    /// `user-busy`, `no-answer`, `unavailable` or `unconditional`.
    pub reason: &'static str,
}

/// Questions to ports.
#[derive(Debug, Clone)]
pub enum Ask {
    /// `Billing::open_call`, for the account of this index.
    Open(usize, Box<NewCall>),
    /// `Billing::extend_call`, for the account of this index.
    Extend {
        /// Which account.
        account: usize,
        /// What to extend.
        reservation: Id<Reservation>,
        /// By how much.
        hold: Hold,
        /// Lifetime without a further sign.
        ttl: Duration,
    },
    /// `Billing::progress_call`; no answer is needed.
    Progress {
        /// Whose.
        call: Id<CallKind>,
        /// New state.
        state: CallState,
        /// Since when.
        at: Timestamp,
    },
    /// `Billing::settle_call`; must succeed in the end, the driver repeats it.
    Settle {
        /// Who called whom.
        parties: Box<CallParties>,
        /// Money that was held.
        reservation: Option<Id<Reservation>>,
        /// How it ended.
        end: Box<CallEnd>,
    },
    /// `MediaRelay::offer`.
    Offer(MediaOffer),
    /// `MediaRelay::answer`.
    Answer(MediaAnswer),
    /// `MediaRelay::drop_leg`; no answer.
    DropLeg(Id<MediaSession>, LegIndex),
    /// `MediaRelay::play`; no answer is needed.
    Play(Id<MediaSession>, LegIndex, MediaSignal),
    /// `MediaRelay::delete`.
    Delete(Id<MediaSession>),
    /// Where a forward leads.
    Forward {
        /// The target.
        to: E164,
        /// By which rule.
        rule: Id<Rule>,
        /// Whose rule, and so who pays.
        by: Id<User>,
        /// The number or name that forwards, as called.
        called: String,
        /// Why.
        reason: &'static str,
        /// How many forwards this call has followed, this one included.
        hops: u8,
    },
}
