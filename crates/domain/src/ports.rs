//! What services ask of each other. A port is filled by a local object or by a client of the node that has the role; the
//! composition root chooses. Ports are few, asynchronous, object-safe and concrete.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::id::kind::{Call, Carrier, Device, MediaSession, Message, Reservation, Tenant, User};
use base::{E164, Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::{DeviceCredentials, TenantFacts, UserFacts};
use crate::call_record::{CallEnd, CallParties, CallState};
use crate::event::Fact;
use crate::number::NumberFacts;
use crate::rate::{Rate, Service};
use crate::sms::{InboundPart, NewMessage, QueuedPart, ReceiptReport, StatusChange, SubmitOutcome};
use crate::trunk::{CarrierFacts, TrunkFacts};
use crate::wallet::{Grant, Hold};

/// The other side cannot answer now: database locked or down, node gone. The text is for the log, not for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unavailable: {0}")]
pub struct Unavailable(pub String);

/// Why money was not set aside or moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// The wallet has less than the least that is of use.
    #[error("not enough credit")]
    NoCredit,
    /// No such wallet or reservation, or it is closed.
    #[error("no such wallet or reservation")]
    Unknown,
    /// The store cannot answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Who may authenticate, and how it is checked.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// The device with this digest username in this realm; suspended ones are returned too, so that the caller can
    /// tell 403 from 401.
    async fn credentials(&self, username: &str, realm: &str) -> Result<Option<Arc<DeviceCredentials>>, Unavailable>;
}

/// Where names and numbers lead, and at what price. Answers come from memory; changes show within a second.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The tenant that owns a SIP domain (any case).
    async fn tenant_of_domain(&self, domain: &str) -> Result<Option<Arc<TenantFacts>>, Unavailable>;
    /// A tenant by id.
    async fn tenant(&self, tenant: Id<Tenant>) -> Result<Option<Arc<TenantFacts>>, Unavailable>;
    /// A user by id.
    async fn user(&self, user: Id<User>) -> Result<Option<Arc<UserFacts>>, Unavailable>;
    /// A user by the user part of its address-of-record, within a tenant.
    async fn user_by_name(&self, tenant: Id<Tenant>, name: &str) -> Result<Option<Arc<UserFacts>>, Unavailable>;
    /// A number that we route, whatever its status.
    async fn number(&self, number: &E164) -> Result<Option<Arc<NumberFacts>>, Unavailable>;
    /// The enabled trunk that calls from this address.
    async fn trunk_by_source(&self, address: IpAddr, port: u16) -> Result<Option<Arc<TrunkFacts>>, Unavailable>;
    /// Enabled trunks with a target for a destination, in the order in which to try them: routes of the longest
    /// matching prefix, by priority.
    async fn trunks_for(&self, tenant: Id<Tenant>, number: &E164) -> Result<Vec<Arc<TrunkFacts>>, Unavailable>;
    /// The tenant's price of a service to (or, inbound, at) a number: longest matching prefix of its deck in force.
    async fn rate(&self, tenant: Id<Tenant>, service: Service, number: &E164) -> Result<Option<Rate>, Unavailable>;
    /// Every carrier.
    async fn carriers(&self) -> Result<Vec<Arc<CarrierFacts>>, Unavailable>;
    /// Enabled carriers for a text's destination, in the order in which to try them; for an active number of ours
    /// nothing but [`crate::trunk::ON_NET`].
    async fn carriers_for(&self, tenant: Id<Tenant>, number: &E164) -> Result<Vec<Id<Carrier>>, Unavailable>;
}

/// A call that asks to be let through: its record is opened and its first money set aside in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCall {
    /// Who calls whom.
    pub parties: CallParties,
    /// What to set aside; `None`: nothing charges this call.
    pub hold: Option<Hold>,
    /// The price that the hold was made from, kept so that a sweeper can settle the call if its process dies; `None`: it is
    /// looked up by direction and destination.
    pub rate: Option<Rate>,
    /// How long the reservation lives without a sign of life.
    pub ttl: Duration,
}

/// Money of calls. (Money of texts moves inside [`SmsQueue`].)
#[async_trait]
pub trait Billing: Send + Sync {
    /// Opens the call's record (`initiated`) and sets money aside. Asking again for the same call changes nothing and
    /// answers the same.
    async fn open_call(&self, call: NewCall) -> Result<Option<Grant>, BillingError>;
    /// Sets aside more for a running call and prolongs its reservation by `ttl`. `wanted` is what should be added, `least`
    /// the least that is of use; [`BillingError::NoCredit`] leaves the reservation as it was, but prolonged.
    async fn extend_call(&self, reservation: Id<Reservation>, hold: Hold, ttl: Duration)
    -> Result<Grant, BillingError>;
    /// Notes that a call rings or was answered.
    async fn progress_call(&self, call: Id<Call>, state: CallState, at: Timestamp) -> Result<(), BillingError>;
    /// Ends the record, charges `end.price` and frees what is left of the reservation, all in one transaction. Asking again
    /// for the same call changes nothing.
    async fn settle_call(
        &self,
        parties: &CallParties,
        reservation: Option<Id<Reservation>>,
        end: &CallEnd,
    ) -> Result<(), BillingError>;
}

/// A registered contact as the location store keeps it. What only SIP understands is in `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBinding {
    /// Its user.
    pub user: Id<User>,
    /// The device that registered it.
    pub device: Id<Device>,
    /// What tells the user's bindings apart: instance-id and reg-id, else the Contact URI.
    pub key: String,
    /// Contact, flow, Call-ID, CSeq, q ... as JSON of `sip-proto`.
    pub data: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// One change to the location store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingChange {
    /// New or refreshed.
    Put(StoredBinding),
    /// Gone.
    Remove {
        /// Its user.
        user: Id<User>,
        /// Its key.
        key: String,
    },
}

/// Where devices are; the registrar keeps them in memory and writes behind.
#[async_trait]
pub trait Locations: Send + Sync {
    /// Everything that has not expired at `now`.
    async fn load(&self, now: Timestamp) -> Result<Vec<StoredBinding>, Unavailable>;
    /// Applies changes in one transaction.
    async fn write(&self, changes: &[BindingChange]) -> Result<(), Unavailable>;
}

/// A leg within a relay session; the caller of the port numbers them, 0 is the offerer.
pub type LegIndex = u16;

/// What a side of a call should be offered or answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaProfile {
    /// RTP/AVP.
    Rtp,
    /// RTP/SAVP with SDES keys (RFC 4568).
    Sdes,
}

/// Media of one leg comes from where its signalling says, or is latched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegNetwork {
    /// The profile to speak on this leg. For the offerer's leg `None` means as it offered.
    pub profile: Option<MediaProfile>,
    /// The address from which its signalling came.
    pub signalled_from: IpAddr,
    /// Whether the leg may be behind a NAT, so that its SDP address is not to be believed.
    pub behind_nat: bool,
}

/// An offer from leg 0 or, in a later round, from any leg, towards another.
#[derive(Debug, Clone)]
pub struct MediaOffer {
    /// The session; made when unknown.
    pub session: Id<MediaSession>,
    /// Who offers.
    pub from: LegIndex,
    /// What is known of it.
    pub from_network: LegNetwork,
    /// To whom.
    pub to: LegIndex,
    /// What is known of it.
    pub to_network: LegNetwork,
    /// The offer as it came.
    pub sdp: String,
}

/// The answer to an offer.
#[derive(Debug, Clone)]
pub struct MediaAnswer {
    /// The session.
    pub session: Id<MediaSession>,
    /// Who answers. Media of leg 0 flows to and from this leg from now on.
    pub from: LegIndex,
    /// What is known of it.
    pub from_network: LegNetwork,
    /// Who had offered.
    pub to: LegIndex,
    /// The answer as it came.
    pub sdp: String,
}

/// What was counted on one leg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LegStatistics {
    /// Its index in the session.
    pub leg: LegIndex,
    /// RTP packets received from it.
    pub packets_received: u64,
    /// RTP bytes received from it, headers included.
    pub bytes_received: u64,
    /// RTP packets sent to it.
    pub packets_sent: u64,
    /// Packets of it that never came (RFC 3550 A.3).
    pub packets_lost: u64,
    /// Interarrival jitter, microseconds (RFC 3550 A.8).
    pub jitter_us: u32,
    /// Packets refused: wrong source, bad authentication, replay.
    pub packets_refused: u64,
}

/// Why the relay did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The SDP cannot be read; a 400 or 488 to who sent it.
    #[error("malformed SDP: {0}")]
    Malformed(String),
    /// Nothing in it that we relay; 488.
    #[error("not acceptable: {0}")]
    NotAcceptable(String),
    /// No such session or leg.
    #[error("no such session or leg")]
    Unknown,
    /// No port or no room; 503.
    #[error("no room: {0}")]
    Full(String),
}

/// What the relay tells without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaNotice {
    /// No packet came from any leg for the configured time.
    TimedOut(Id<MediaSession>),
}

/// Sounds that the relay itself can play into a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaSignal {
    /// The money is about to end: three short beeps.
    LowCreditWarning,
}

/// Media between the legs of a call.
#[async_trait]
pub trait MediaRelay: Send + Sync {
    /// Takes an offer; returns the SDP to send to `to`.
    async fn offer(&self, offer: MediaOffer) -> Result<String, MediaError>;
    /// Takes an answer; returns the SDP to send to `to`.
    async fn answer(&self, answer: MediaAnswer) -> Result<String, MediaError>;
    /// Forgets one leg that lost the race (its ports are freed); unknown ones are ignored.
    async fn drop_leg(&self, session: Id<MediaSession>, leg: LegIndex);
    /// Plays a signal into one leg; refused when its codec is not one that the relay can make.
    async fn play(&self, session: Id<MediaSession>, leg: LegIndex, signal: MediaSignal) -> Result<(), MediaError>;
    /// What was counted so far.
    async fn query(&self, session: Id<MediaSession>) -> Result<Vec<LegStatistics>, MediaError>;
    /// Ends the session and says what was counted. An unknown session has no statistics.
    async fn delete(&self, session: Id<MediaSession>) -> Vec<LegStatistics>;
}

/// Why a text was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// The wallet has less than the price.
    #[error("not enough credit")]
    NoCredit,
    /// The store cannot answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Whether an inbound text found an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundOutcome {
    /// Stored; the message is whole.
    Stored(Id<Message>),
    /// Stored; other parts are still to come.
    PartStored,
    /// The same part had come before.
    Duplicate,
    /// The number is not ours or routes nothing.
    UnknownNumber,
}

/// What housekeeping did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmsSwept {
    /// How many rows it changed.
    pub rows: u64,
    /// Texts that it gave up.
    pub changes: Vec<StatusChange>,
}

/// Where a receipt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// It belongs to this message.
    Matched(Id<Message>),
    /// Nobody sent such a message yet: kept 24 h, in case it overtook its response.
    Parked,
}

/// Texts: accepted, queued, submitted, received. Every method is one transaction, and repeating it changes nothing.
#[async_trait]
pub trait SmsQueue: Send + Sync {
    /// Takes a text: message row, money set aside and queue rows together.
    async fn accept(&self, message: NewMessage) -> Result<Id<Message>, SmsError>;
    /// Leases up to `limit` due parts until `now + lease`; none is claimed twice. A part belongs to the first carrier of
    /// its plan that is among `available`, and is leased only when that one is among `with_room` too: a carrier that is
    /// merely full keeps its texts.
    async fn claim(
        &self,
        available: &[Id<Carrier>],
        with_room: &[Id<Carrier>],
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<QueuedPart>, Unavailable>;
    /// Gives leases back unsent.
    async fn unclaim(&self, parts: &[QueuedPart]) -> Result<(), Unavailable>;
    /// What the carriers answered to submitted parts: sent (price settled), try again, next carrier, or failed (released).
    /// Returns the new statuses that followed, in the order in which they did.
    async fn submitted(&self, outcomes: &[SubmitOutcome]) -> Result<Vec<StatusChange>, Unavailable>;
    /// A delivery receipt, and the new statuses that followed.
    async fn receipt(&self, report: ReceiptReport) -> Result<(ReceiptOutcome, Vec<StatusChange>), Unavailable>;
    /// A part of an inbound text. A part from [`crate::trunk::ON_NET`] belongs to the message with its `id`, which all parts
    /// of that message bear; however often it comes, the message is stored once.
    async fn inbound(&self, part: InboundPart) -> Result<InboundOutcome, Unavailable>;
    /// Housekeeping: fails texts whose validity ended, drops parked receipts and part sets that nobody completed.
    async fn sweep(&self, now: Timestamp) -> Result<SmsSwept, Unavailable>;
}

/// Facts for whoever listens. Publishing never waits and never fails; slow listeners miss events and are told how many.
pub trait Events: Send + Sync {
    /// Publishes a fact of a tenant.
    fn publish(&self, tenant: Option<Id<Tenant>>, fact: Fact);
}

/// A running call as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningCall {
    /// Who calls whom.
    pub parties: CallParties,
    /// Where it is.
    pub state: CallState,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
}

/// Running calls, seen from outside the proxy.
#[async_trait]
pub trait Calls: Send + Sync {
    /// Up to `limit` running calls of a tenant (or of all), oldest first.
    async fn list(&self, tenant: Option<Id<Tenant>>, limit: usize) -> Result<Vec<RunningCall>, Unavailable>;
    /// Ends a call with BYE or CANCEL; `false` when there is none.
    async fn end(&self, call: Id<Call>, cause: &str) -> Result<bool, Unavailable>;
}
