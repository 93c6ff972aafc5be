//! The phases of a new INVITE: screen, identify, route. Their result is a call with a plan, or a refusal. What follows
//! (authorise money, anchor media, dial) is the call machine's.

mod forward;
pub(crate) mod identify;
pub(crate) mod route;

pub(crate) use forward::plan_forward;

use base::Id;
use base::id::kind::{Device, Trunk, User};
use call::{Account, Plan};
use domain::ports::LegNetwork;
use sip_proto::Flow;

/// Where a called leg goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Destination {
    /// Request-URI.
    pub(crate) uri: String,
    /// To URI.
    pub(crate) to: String,
    /// The way to it; `None`: the host of the URI is looked up first.
    pub(crate) flow: Option<Flow>,
    /// Transport to use when there is no flow.
    pub(crate) transport: sip_proto::Transport,
    /// How the caller is presented on this leg.
    pub(crate) identity: Identity,
    /// The trunk, with the most calls that it takes.
    pub(crate) trunk: Option<TrunkUse>,
    /// The device, when it is one of ours.
    pub(crate) owner: Option<(Id<User>, Id<Device>)>,
}

/// A trunk that a leg uses, and how many legs may use it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrunkUse {
    pub(crate) id: Id<Trunk>,
    pub(crate) calls_max: Option<u32>,
}

/// The caller as presented.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity {
    /// User part of the From URI: an E.164 number or a name.
    pub(crate) user: String,
    /// Host part of the From URI; `None`: our own address.
    pub(crate) domain: Option<String>,
    /// Display name.
    pub(crate) display_name: Option<String>,
    /// The caller withholds its number (RFC 3323): devices see `anonymous`, trunks get Privacy beside the identity.
    pub(crate) private: bool,
    /// Whether a P-Asserted-Identity goes along (trunks only: they are in our trust domain, RFC 3325).
    pub(crate) assert: bool,
}

/// An INVITE that may go on.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) account: Account,
    pub(crate) plan: Plan<Destination>,
    /// How the caller's media is to be treated.
    pub(crate) network: LegNetwork,
    /// The trunk by which it came in.
    pub(crate) trunk: Option<TrunkUse>,
}
