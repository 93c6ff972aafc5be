//! Dialogs (RFC 3261 §12): identity, route set, sequence numbers, remote target. Plain data that serialises.
//!
//! A dialog does not know its calls, its media or its transactions; session timers and PRACK are not kept here.

use serde::{Deserialize, Serialize};

use crate::error::ParseError;
use crate::message::{HeaderName, Message, NameAddr, RequestBuilder};
use crate::method::Method;
use crate::uri::Uri;

/// Most early dialogs taken from one INVITE; further branches of a fork are ignored.
pub const EARLY_DIALOGS_MAX: usize = 16;

/// What names a dialog at our side (RFC 3261 §12).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; empty for peers of RFC 2543.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog that a received message belongs to: our tag is in To of a request and in From of a response. Nothing
    /// when our tag is missing, as in a request that begins a dialog.
    pub fn of(message: &Message) -> Option<Self> {
        let (from, to) = (message.from()?, message.to()?);
        let (local, remote) = if message.is_request() { (to, from) } else { (from, to) };
        Some(Self {
            call_id: message.call_id().to_owned(),
            local_tag: local.tag()?.to_owned(),
            remote_tag: remote.tag().unwrap_or_default().to_owned(),
        })
    }
}

/// How far a dialog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DialogState {
    /// Made by a provisional response.
    Early,
    /// Made or confirmed by a 2xx.
    Confirmed,
}

/// One dialog, seen from our side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    id: DialogId,
    state: DialogState,
    /// From of our requests, with our tag.
    local: String,
    /// To of our requests, with the peer's tag.
    remote: String,
    /// Our Contact, a whole value.
    contact: String,
    local_sequence: u32,
    remote_sequence: Option<u32>,
    remote_target: Uri,
    route_set: Vec<String>,
    /// Whether we sent the request that began it.
    caller: bool,
}

impl Dialog {
    /// The dialog that `response`, 101 to 299 with a To tag, makes of our `request` (RFC 3261 §12.1.2). A provisional
    /// response without Contact leaves the Request-URI as target until a later one has it.
    pub fn uac(request: &Message, response: &Message) -> Result<Self, ParseError> {
        let missing = |rule| ParseError::Malformed { rule, offset: 0 };
        let (from, to) = (response.from().ok_or(missing("From"))?, response.to().ok_or(missing("To"))?);
        let (local_sequence, _) = response.cseq().ok_or(missing("CSeq"))?;
        let target = response.contact().map(|contact| contact.uri).or_else(|| request.request_uri());
        Ok(Self {
            id: DialogId::of(response).ok_or(missing("From tag"))?,
            state: state_of(response),
            local: from.to_string(),
            remote: to.to_string(),
            contact: request.header(HeaderName::Contact).unwrap_or_default().to_owned(),
            local_sequence,
            remote_sequence: None,
            remote_target: target.ok_or(missing("Contact"))?.detached(),
            route_set: route_set(response, true),
            caller: true,
        })
    }

    /// The dialog that a response with `local_tag` and `contact` (a whole Contact value) makes of a peer's `request`
    /// (RFC 3261 §12.1.1). It is early until [`Self::confirm`].
    pub fn uas(request: &Message, local_tag: &str, contact: &str) -> Result<Self, ParseError> {
        let missing = |rule| ParseError::Malformed { rule, offset: 0 };
        let (from, to) = (request.from().ok_or(missing("From"))?, request.to().ok_or(missing("To"))?);
        let (remote_sequence, _) = request.cseq().ok_or(missing("CSeq"))?;
        Ok(Self {
            id: DialogId {
                call_id: request.call_id().to_owned(),
                local_tag: local_tag.to_owned(),
                remote_tag: from.tag().unwrap_or_default().to_owned(),
            },
            state: DialogState::Early,
            local: to.with_tag(local_tag).to_string(),
            remote: from.to_string(),
            contact: contact.to_owned(),
            local_sequence: 0,
            remote_sequence: Some(remote_sequence),
            remote_target: request.contact().ok_or(missing("Contact"))?.uri.detached(),
            route_set: route_set(request, false),
            caller: false,
        })
    }

    /// What names it.
    pub const fn id(&self) -> &DialogId {
        &self.id
    }

    /// How far it is.
    pub const fn state(&self) -> DialogState {
        self.state
    }

    /// Whether we sent the request that began it.
    pub const fn is_caller(&self) -> bool {
        self.caller
    }

    /// Our address as it stands in From of our requests, with tag.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The peer's address as it stands in To of our requests, with tag.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// The peer's Contact.
    pub const fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    /// The Route values of our requests, from the top.
    pub fn route_set(&self) -> &[String] {
        &self.route_set
    }

    /// The CSeq number of our latest request, 0 before the first.
    pub const fn local_sequence(&self) -> u32 {
        self.local_sequence
    }

    /// Our Contact, a whole value.
    pub fn contact(&self) -> &str {
        &self.contact
    }

    /// With another Contact of ours from now on.
    pub fn set_contact(&mut self, contact: &str) {
        contact.clone_into(&mut self.contact);
    }

    /// A 2xx was sent or received for the request that began it.
    pub const fn confirm(&mut self) {
        self.state = DialogState::Confirmed;
    }

    /// Where our next request goes: the first route, or the remote target (RFC 3261 §8.1.2, §12.2.1.1).
    pub fn next_hop(&self) -> Uri {
        let first = self.route_set.first().and_then(|route| NameAddr::parse(route).ok());
        first.map_or_else(|| self.remote_target.clone(), |route| route.uri)
    }

    /// A request in this dialog with the next CSeq number (RFC 3261 §12.2.1.1). Requests that refresh the target carry
    /// our Contact. For ACK use [`Self::ack`], for CANCEL the endpoint.
    pub fn request(&mut self, method: Method) -> RequestBuilder {
        self.local_sequence = self.local_sequence.wrapping_add(1) & 0x7fff_ffff;
        let request = self.draft(method, self.local_sequence);
        match method.refreshes_target() && !self.contact.is_empty() {
            true => request.header(HeaderName::Contact, &self.contact),
            false => request,
        }
    }

    /// The ACK of the 2xx to our INVITE with CSeq number `sequence` (RFC 3261 §13.2.2.4).
    pub fn ack(&self, sequence: u32) -> RequestBuilder {
        self.draft(Method::Ack, sequence)
    }

    fn draft(&self, method: Method, sequence: u32) -> RequestBuilder {
        let strict = self.route_set.first().and_then(|route| NameAddr::parse(route).ok());
        let request = match strict.filter(|first| !first.uri.is_loose_router()) {
            // A strict router wants itself in the Request-URI and the target at the end of the routes.
            Some(first) => {
                let rest = self.route_set.iter().skip(1);
                let uri = first.uri.without_headers().unwrap_or(first.uri);
                let request = rest.fold(RequestBuilder::new(method, uri), |request, route| request.route(route));
                request.route(format_args!("<{}>", self.remote_target))
            }
            None => {
                let request = RequestBuilder::new(method, &self.remote_target);
                self.route_set.iter().fold(request, |request, route| request.route(route))
            }
        };
        request
            .header(HeaderName::From, &self.local)
            .header(HeaderName::To, &self.remote)
            .header(HeaderName::CallId, &self.id.call_id)
            .cseq(sequence)
    }

    /// A request of the peer's in this dialog: 500 when it is out of order (RFC 3261 §12.2.2); else its sequence number
    /// and, if it refreshes the target, its Contact are taken over. ACK and CANCEL have the number of their INVITE and
    /// pass.
    pub fn receive(&mut self, request: &Message) -> Result<(), u16> {
        let Some((sequence, method)) = request.cseq() else { return Err(400) };
        if !matches!(method, Method::Ack | Method::Cancel) {
            if self.remote_sequence.is_some_and(|last| sequence < last) {
                return Err(500);
            }
            self.remote_sequence = Some(sequence);
        }
        self.refresh_target(request, method);
        Ok(())
    }

    /// A response of the peer's in this dialog: a 2xx confirms it and takes over Contact; the one that confirms an
    /// early dialog of ours also gives the final route set (RFC 3261 §13.2.2.4).
    pub fn receive_response(&mut self, response: &Message) {
        let Some((_, method)) = response.cseq() else { return };
        if !response.status().is_some_and(|status| (101..300).contains(&status)) {
            return;
        }
        self.refresh_target(response, method);
        if method == Method::Invite && state_of(response) == DialogState::Confirmed {
            if self.state == DialogState::Early && self.caller {
                self.route_set = route_set(response, true);
            }
            self.state = DialogState::Confirmed;
        }
    }

    fn refresh_target(&mut self, message: &Message, method: Method) {
        if let Some(contact) = message.contact().filter(|_| method.refreshes_target()) {
            self.remote_target = contact.uri.detached();
        }
    }
}

fn state_of(response: &Message) -> DialogState {
    match response.status() {
        Some(200..) => DialogState::Confirmed,
        Some(_) | None => DialogState::Early,
    }
}

/// Record-Route as it stands for the called side, in reverse for the caller (RFC 3261 §12.1).
fn route_set(message: &Message, reverse: bool) -> Vec<String> {
    let mut routes: Vec<String> = message.header_values(HeaderName::RecordRoute).map(str::to_owned).collect();
    if reverse {
        routes.reverse();
    }
    routes
}

/// The dialogs that one INVITE of ours makes: one per To tag, as forking proxies on the way may return several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogSet(Vec<Dialog>);

impl DialogSet {
    /// Takes in a response, 101 to 299, to `request`: makes or updates the dialog of its To tag and returns it.
    /// Nothing for a response that makes no dialog, and beyond [`EARLY_DIALOGS_MAX`].
    pub fn receive(&mut self, request: &Message, response: &Message) -> Option<&mut Dialog> {
        if !response.status().is_some_and(|status| (101..300).contains(&status)) {
            return None;
        }
        let id = DialogId::of(response)?;
        if id.remote_tag.is_empty() && response.status() < Some(200) {
            return None;
        }
        if let Some(known) = self.0.iter().position(|dialog| dialog.id == id) {
            let dialog = self.0.get_mut(known)?;
            dialog.receive_response(response);
            return Some(dialog);
        }
        if self.0.len() == EARLY_DIALOGS_MAX {
            return None;
        }
        self.0.push(Dialog::uac(request, response).ok()?);
        self.0.last_mut()
    }

    /// The dialogs so far, in the order in which they came up.
    pub fn iter(&self) -> impl Iterator<Item = &Dialog> {
        self.0.iter()
    }

    /// Takes the dialog of this To tag out.
    pub fn take(&mut self, remote_tag: &str) -> Option<Dialog> {
        let at = self.0.iter().position(|dialog| dialog.id.remote_tag == remote_tag)?;
        Some(self.0.remove(at))
    }
}

#[cfg(test)]
mod tests;
