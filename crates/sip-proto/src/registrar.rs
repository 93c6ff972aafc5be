//! The registrar's rules (RFC 3261 §10.3, RFC 5626 §6, RFC 3327): bindings before and a REGISTER in, bindings after out.
//!
//! Pure: who may register what, and where bindings are kept, is the caller's business.

use base::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

use crate::flow::Flow;
use crate::message::{Contact, HeaderName, Message, NameAddr, ResponseBuilder};
use crate::scan::{Params, delta_seconds, number, unquote};
use crate::uri::Uri;

/// How long and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Shortest registration, seconds; a shorter one is refused with 423.
    pub expires_min_s: u32,
    /// When the phone names no time, seconds.
    pub expires_default_s: u32,
    /// Longest registration, seconds; a longer one is cut.
    pub expires_max_s: u32,
    /// Most bindings of one address-of-record.
    pub contacts_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            expires_min_s: 60,
            expires_default_s: 3600,
            expires_max_s: 7200,
            contacts_max: base::limits::SIP_BINDINGS_PER_USER_MAX,
        }
    }
}

/// One contact of an address-of-record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The contact as the phone wrote it.
    pub contact: Uri,
    /// Its header parameters but `expires`, as `;q=0.5;+sip.instance="…"`.
    pub params: String,
    /// Preference in thousandths; 1000 when the phone named none.
    pub q_thousandths: u16,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Call-ID of the REGISTER that wrote it.
    pub call_id: String,
    /// CSeq number of the REGISTER that wrote it.
    pub sequence: u32,
    /// `+sip.instance` without quotes (RFC 5626 §4.1).
    pub instance: Option<String>,
    /// `reg-id`: which of the device's flows (RFC 5626 §4.2).
    pub reg_id: Option<u32>,
    /// Path values from the top (RFC 3327).
    pub path: Vec<String>,
    /// The device's User-Agent.
    pub user_agent: String,
    /// How the REGISTER came: the way back through a NAT or over its connection.
    pub flow: Flow,
}

impl Binding {
    /// Whether the contact's host is not the address that we see: a NAT is between (RFC 6314 §4).
    pub fn is_behind_nat(&self) -> bool {
        self.contact.host_ip() != Some(self.flow.peer.ip())
    }

    /// Seconds left at `now`, rounded up; 0 when it has ended.
    pub fn expires_in_s(&self, now: Timestamp) -> u32 {
        u32::try_from(self.expires_at.since(now).as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// Whether both are of one device over one of its flows, or for the same contact.
    fn same_place(&self, other: &Self) -> bool {
        match (&self.instance, self.reg_id, &other.instance, other.reg_id) {
            (Some(a), Some(m), Some(b), Some(n)) => a == b && m == n,
            _ => self.contact.equivalent(&other.contact),
        }
    }
}

/// What became of one binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(Binding),
    /// It replaces one that was there.
    Refreshed(Binding),
    /// It was taken away.
    Removed(Binding),
    /// It had ended by itself.
    Expired(Binding),
}

/// A REGISTER that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// All bindings after it.
    pub bindings: Vec<Binding>,
    /// How they differ from those before; empty for a mere query.
    pub changes: Vec<Change>,
    now: Timestamp,
}

/// A REGISTER that is refused; nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterRefusal {
    /// A contact cannot be read, or is of a scheme that cannot be called.
    #[error("a contact is malformed")]
    BadContact,
    /// `*` beside another contact, or without `Expires: 0` (RFC 3261 §10.3 step 6).
    #[error("wildcard contact only alone and with Expires 0")]
    BadWildcard,
    /// Older than what is registered already (RFC 3261 §10.3 step 7).
    #[error("CSeq is lower than that of an earlier REGISTER")]
    OutOfOrder,
    /// Too short.
    #[error("the shortest registration is {expires_min_s} s")]
    TooBrief {
        /// For Min-Expires, seconds.
        expires_min_s: u32,
    },
    /// Too many.
    #[error("at most {contacts_max} contacts")]
    TooMany {
        /// The limit.
        contacts_max: usize,
    },
}

impl RegisterRefusal {
    /// The status that it becomes.
    pub const fn status(&self) -> u16 {
        match self {
            Self::BadContact | Self::BadWildcard => 400,
            Self::OutOfOrder => 500,
            Self::TooBrief { .. } => 423,
            Self::TooMany { .. } => 403,
        }
    }

    /// The response to `request`.
    pub fn response(&self, request: &Message) -> ResponseBuilder {
        match self {
            Self::TooBrief { expires_min_s } => {
                ResponseBuilder::to(request, 423, "").header(HeaderName::MinExpires, expires_min_s)
            }
            Self::BadContact => ResponseBuilder::to(request, 400, "Bad Contact"),
            Self::BadWildcard => ResponseBuilder::to(request, 400, "Bad Wildcard Contact"),
            Self::OutOfOrder => ResponseBuilder::to(request, 500, "Out Of Order"),
            Self::TooMany { .. } => ResponseBuilder::to(request, 403, "Too Many Contacts"),
        }
    }
}

impl Registration {
    /// The Contact values of the 200, each with the time it has left.
    pub fn contacts(&self) -> impl Iterator<Item = String> + '_ {
        self.bindings.iter().map(|b| format!("<{}>{};expires={}", b.contact, b.params, b.expires_in_s(self.now)))
    }

    /// The 200 to `request` with every binding; Path is handed back (RFC 3327 §5.3).
    pub fn response(&self, request: &Message) -> ResponseBuilder {
        let ok = ResponseBuilder::to(request, 200, "").copy(request, HeaderName::Path);
        self.contacts().fold(ok, |ok, contact| ok.header(HeaderName::Contact, contact))
    }
}

/// Applies a REGISTER that came over `flow` at `now` to the bindings of its address-of-record.
///
/// A REGISTER with the Call-ID and CSeq of one that is in force counts as its retransmission and gets the same result.
pub fn register(
    request: &Message,
    flow: &Flow,
    existing: &[Binding],
    policy: &Policy,
    now: Timestamp,
) -> Result<Registration, RegisterRefusal> {
    let mut changes = Vec::new();
    let mut bindings = Vec::with_capacity(existing.len() + 1);
    for binding in existing {
        if binding.expires_at > now {
            bindings.push(binding.clone());
        } else {
            changes.push(Change::Expired(binding.clone()));
        }
    }
    let contacts: Result<Vec<Contact>, _> = request.contacts().collect();
    let contacts = contacts.map_err(|_| RegisterRefusal::BadContact)?;
    let writer = Writer { request, flow, policy, now, sequence: request.cseq().map_or(0, |(sequence, _)| sequence) };
    if contacts.contains(&Contact::Wildcard) {
        if contacts.len() != 1 || request.expires() != Some(0) {
            return Err(RegisterRefusal::BadWildcard);
        }
        for binding in &bindings {
            writer.check_order(binding)?;
        }
        changes.extend(bindings.drain(..).map(Change::Removed));
        return Ok(Registration { bindings, changes, now });
    }
    for contact in &contacts {
        if let Contact::Address(address) = contact {
            writer.apply(address, &mut bindings, &mut changes)?;
        }
    }
    if bindings.len() > policy.contacts_max.max(existing.len())
        || (bindings.len() > policy.contacts_max && grew(&changes))
    {
        return Err(RegisterRefusal::TooMany { contacts_max: policy.contacts_max });
    }
    Ok(Registration { bindings, changes, now })
}

fn grew(changes: &[Change]) -> bool {
    changes.iter().any(|change| matches!(change, Change::Added(_)))
}

struct Writer<'a> {
    request: &'a Message,
    flow: &'a Flow,
    policy: &'a Policy,
    now: Timestamp,
    sequence: u32,
}

impl Writer<'_> {
    fn apply(
        &self,
        address: &NameAddr,
        bindings: &mut Vec<Binding>,
        changes: &mut Vec<Change>,
    ) -> Result<(), RegisterRefusal> {
        if !address.uri.is_sip() {
            return Err(RegisterRefusal::BadContact);
        }
        let expires_s = self.expires_s(address)?;
        let fresh = self.binding(address, expires_s);
        let place = bindings.iter().position(|known| known.same_place(&fresh));
        if let Some(known) = place.and_then(|at| bindings.get(at)) {
            self.check_order(known)?;
        }
        match (place, expires_s) {
            (Some(at), 0) => changes.push(Change::Removed(bindings.remove(at))),
            (None, 0) => {}
            (Some(at), _) => {
                changes.push(Change::Refreshed(fresh.clone()));
                bindings[at] = fresh;
            }
            (None, _) => {
                changes.push(Change::Added(fresh.clone()));
                bindings.push(fresh);
            }
        }
        Ok(())
    }

    /// Within one Call-ID, only forward.
    fn check_order(&self, known: &Binding) -> Result<(), RegisterRefusal> {
        if known.call_id == self.request.call_id() && self.sequence < known.sequence {
            return Err(RegisterRefusal::OutOfOrder);
        }
        Ok(())
    }

    /// The contact's own `expires`, else the header's, else ours; one that cannot be read counts as an hour
    /// (RFC 3261 §20.10).
    fn expires_s(&self, address: &NameAddr) -> Result<u32, RegisterRefusal> {
        let asked_s = match address.param("expires") {
            Some(value) => value.and_then(delta_seconds).unwrap_or(3600),
            None => match self.request.header(HeaderName::Expires) {
                Some(value) => delta_seconds(value).unwrap_or(3600),
                None => self.policy.expires_default_s,
            },
        };
        if asked_s > 0 && asked_s < self.policy.expires_min_s {
            return Err(RegisterRefusal::TooBrief { expires_min_s: self.policy.expires_min_s });
        }
        Ok(asked_s.min(self.policy.expires_max_s))
    }

    fn binding(&self, address: &NameAddr, expires_s: u32) -> Binding {
        let instance = address.param("+sip.instance").flatten().map(|value| unquote(value).into_owned());
        Binding {
            contact: address.uri.detached(),
            params: params_without_expires(address),
            q_thousandths: address.q_thousandths().unwrap_or(1000),
            expires_at: self.now.after(Duration::from_secs(u64::from(expires_s))),
            updated_at: self.now,
            call_id: self.request.call_id().to_owned(),
            sequence: self.sequence,
            instance,
            reg_id: address.param("reg-id").flatten().and_then(number).filter(|id| *id > 0),
            path: self.request.header_values(HeaderName::Path).map(str::to_owned).collect(),
            user_agent: self.request.header(HeaderName::UserAgent).unwrap_or_default().to_owned(),
            flow: *self.flow,
        }
    }
}

fn params_without_expires(address: &NameAddr) -> String {
    let mut out = String::new();
    for (name, value) in Params::new(address.params()).filter(|(name, _)| !name.eq_ignore_ascii_case("expires")) {
        // Writing to a String cannot fail.
        let _ = match value {
            Some(value) => write!(out, ";{name}={value}"),
            None => write!(out, ";{name}"),
        };
    }
    out
}

#[cfg(test)]
mod tests;
