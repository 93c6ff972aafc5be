//! The phases of a new INVITE: screen, identify, route. Their result is a call with a plan, or a refusal. What follows
//! (authorise money, anchor media, dial) is the call machine's.

mod forward;
pub(crate) mod identify;
pub(crate) mod route;

pub(crate) use forward::plan_forward;

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
}
