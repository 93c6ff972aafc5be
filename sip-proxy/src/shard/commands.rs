//! What a call wants said on a leg, as SIP messages; and what the called side answers.

use base::Id;
use base::id::kind::Call as CallKind;
use call::{Cause, Diversion, LegCommand, LegEvent, Now, Rejection};
use domain::ports::LegIndex;
use sip_proto::{
    Dialog, Flow, HeaderName, Message, Method, NameAddr, RequestBuilder, ResponseBuilder, Transport, Uri, reason_phrase,
};

use super::calls::{reason_value, refusal_reason};
use super::leg::{LegNumber, Side, SipLeg};
use super::{ClientUse, Shard, ToShard};
use crate::pipeline::{Destination, Identity};
use crate::{ALLOW, dispatch, sdp_of};

/// Reason of a CANCEL to a leg that lost the race (RFC 3326 §3.1).
const COMPLETED_ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";
const SDP: &str = "application/sdp";

impl Shard {
    pub(super) fn command(&mut self, now: Now, call: Id<CallKind>, index: LegIndex, command: LegCommand<Destination>) {
        if let LegCommand::Invite { destination, sdp, diversion } = command {
            return self.call_out(now, call, index, destination, sdp, diversion);
        }
        let Some(number) = self.leg_number(call, index) else { return };
        match command {
            LegCommand::Invite { .. } => {}
            LegCommand::Provisional { status, sdp } => self.provisional(now, number, status, sdp),
            LegCommand::Accept { sdp } => self.accept(now, number, sdp),
            LegCommand::Reject(refusal) => self.reject(now, number, &refusal),
            LegCommand::Cancel { completed_elsewhere } => self.cancel(now, number, completed_elsewhere),
            LegCommand::Bye(cause) => self.hang_up(now, number, cause),
            LegCommand::Reoffer { sdp } => self.reoffer(now, number, sdp),
            LegCommand::Reanswer { result } => self.reanswer(now, number, result),
        }
    }

    fn leg_number(&self, call: Id<CallKind>, index: LegIndex) -> Option<LegNumber> {
        *self.calls.get(&call)?.legs.get(usize::from(index))?
    }

    fn call_out(
        &mut self,
        now: Now,
        call: Id<CallKind>,
        index: LegIndex,
        destination: Destination,
        sdp: String,
        diversion: Option<Diversion>,
    ) {
        let Ok(uri) = Uri::parse(&destination.uri) else {
            return self.leg_says(call, index, LegEvent::Rejected { status: 404 });
        };
        let seat = destination.trunk.map(|trunk| self.context.seats.take(trunk));
        if matches!(seat, Some(None)) {
            return self.leg_says(call, index, LegEvent::Rejected { status: 503 });
        }
        let literal = uri.host_ip().map(|ip| (ip, uri.port().unwrap_or(destination.transport.default_port())).into());
        let known = destination.flow.or_else(|| literal.map(|peer| self.flow_to(destination.transport, peer)));
        let forwards = self.max_forwards(call);
        let flow = known.unwrap_or_else(|| self.flow_to(destination.transport, ([0, 0, 0, 0], 0).into()));
        let draft = self.draft_invite(&flow, &destination, sdp, diversion, forwards);
        let follows_target = destination.flow.is_none();
        let number = self.new_leg(SipLeg {
            call,
            index,
            flow,
            side: Side::Calling { tx: None, invite: Box::new(draft) },
            server_txs: Vec::new(),
            client_txs: Vec::new(),
            dialog: None,
            invite_cseq: 1,
            follows_target,
            peer_offer: None,
            seat: seat.flatten(),
            owner: destination.owner,
            lost_race: false,
            abandoned: false,
        });
        if let Some(running) = self.calls.get_mut(&call) {
            let slots = usize::from(index) + 1;
            if running.legs.len() < slots {
                running.legs.resize(slots, None);
            }
            running.legs[usize::from(index)] = Some(number);
        }
        match known {
            Some(_) => self.send_invite(now, number),
            None => {
                self.look_up(number, uri.host().to_owned(), uri.port().unwrap_or(destination.transport.default_port()))
            }
        }
    }

    fn flow_to(&self, transport: Transport, peer: std::net::SocketAddr) -> Flow {
        self.context.transports.flow_to(transport, peer)
    }

    /// One less than the caller's, so that a loop through other switches ends (RFC 3261 §16.6 (3)).
    fn max_forwards(&self, call: Id<CallKind>) -> u8 {
        let caller = self.leg_number(call, 0).and_then(|n| self.legs.get(&n));
        match caller.map(|l| &l.side) {
            Some(Side::Called { invite, .. }) => {
                invite.max_forwards().unwrap_or(base::limits::SIP_MAX_FORWARDS).saturating_sub(1)
            }
            Some(Side::Calling { .. }) | None => base::limits::SIP_MAX_FORWARDS,
        }
    }

    fn look_up(&self, leg: LegNumber, host: String, port: u16) {
        let own = self.own.clone();
        self.context.questions.spawn(async move {
            let address = match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(mut found) => found.next(),
                Err(error) => {
                    tracing::warn!(%host, %error, "a trunk's host name cannot be resolved");
                    None
                }
            };
            let _ = own.send(ToShard::Located { leg, address }).await;
        });
    }

    pub(super) fn on_located(&mut self, now: Now, number: LegNumber, address: Option<std::net::SocketAddr>) {
        let Some(leg) = self.legs.get_mut(&number).filter(|l| !l.abandoned) else { return self.remove_leg(number) };
        match address {
            Some(peer) => {
                leg.flow = self.context.transports.flow_to(leg.flow.transport, peer);
                if let Side::Calling { invite, .. } = &leg.side
                    && let Ok(uri) = Uri::parse(invite.uri())
                {
                    self.context.transports.note_name(peer, uri.host());
                }
                self.send_invite(now, number);
            }
            None => self.leg_refused(number, 503),
        }
    }

    fn draft_invite(
        &mut self,
        flow: &Flow,
        destination: &Destination,
        sdp: String,
        diversion: Option<Diversion>,
        forwards: u8,
    ) -> RequestBuilder {
        let identity = &destination.identity;
        let config = self.endpoint.config();
        let own_host = config.advertised(flow).0;
        let own_host = if own_host.contains(':') { format!("[{own_host}]") } else { own_host };
        let contact = config.contact(flow, None);
        let uri = identity_uri(identity, &own_host);
        let shown = if identity.private { anonymous_uri() } else { uri.clone() };
        let from = match identity.display_name.as_ref().filter(|_| !identity.private) {
            Some(name) => NameAddr::new(shown).with_display(name),
            None => NameAddr::new(shown),
        };
        let from = from.with_tag(&self.endpoint.new_tag());
        let mut draft = RequestBuilder::new(Method::Invite, &destination.uri)
            .header(HeaderName::MaxForwards, forwards)
            .header(HeaderName::From, &from)
            .header(HeaderName::To, format_args!("<{}>", destination.to))
            .header(HeaderName::CallId, dispatch::call_id(self.number, &self.random.token(24)))
            .cseq(1)
            .header(HeaderName::Contact, contact)
            .header(HeaderName::Allow, ALLOW);
        if identity.assert {
            draft = draft.header(HeaderName::PAssertedIdentity, NameAddr::new(uri));
            if identity.private {
                draft = draft.header_named("Privacy", "id");
            }
        }
        if let Some(Diversion { from, reason }) = diversion {
            let who = if from.contains('@') { from } else { format!("{from}@{own_host}") };
            draft = draft.header_named("Diversion", format_args!("<sip:{who}>;reason={reason}"));
        }
        draft.body(SDP, sdp)
    }

    fn send_invite(&mut self, now: Now, number: LegNumber) {
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let Side::Calling { tx, invite } = &mut leg.side else { return };
        let sent = self.endpoint.request(now.instant, (**invite).clone(), leg.flow);
        *tx = Some(sent);
        leg.client_txs.push(sent);
        self.client_uses.insert(sent, ClientUse::Invite(number));
    }

    pub(super) fn on_invite_response(&mut self, now: Now, number: LegNumber, response: &Message, flow: Flow) {
        let Some(status) = response.status() else { return };
        match status {
            100 => {}
            101..=199 => {
                if let Some(leg) = self.legs.get(&number).filter(|l| !l.abandoned) {
                    let (call, index) = (leg.call, leg.index);
                    self.leg_says(call, index, LegEvent::Provisional { status, sdp: sdp_of(response) });
                }
            }
            200..=299 => self.on_invite_accepted(now, number, response, flow),
            _ => self.leg_refused(number, status),
        }
    }

    fn on_invite_accepted(&mut self, now: Now, number: LegNumber, response: &Message, flow: Flow) {
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let Side::Calling { tx, invite } = &mut leg.side else { return };
        let Ok(dialog) = Message::parse(invite.build()).and_then(|sent| Dialog::uac(&sent, response)) else {
            tracing::warn!(%flow, "a 2xx without tags or Contact cannot be acknowledged");
            return self.leg_refused(number, 500);
        };
        // Only the first branch of a fork beyond us becomes the leg; others are acknowledged and hung up.
        let unwanted = leg.abandoned || leg.dialog.is_some();
        *tx = None;
        let cseq = leg.invite_cseq;
        if unwanted {
            let (abandoned, lost_race) = (leg.abandoned, leg.lost_race);
            self.dismiss(now, dialog, cseq, flow, lost_race);
            if abandoned {
                self.remove_leg(number);
            }
            return;
        }
        self.endpoint.ack(now.instant, dialog.ack(cseq), self.flow_in_dialog(number, &dialog));
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let (call, index) = (leg.call, leg.index);
        let id = dialog.id();
        self.dialogs.insert((id.call_id.as_str().into(), id.local_tag.as_str().into()), number);
        leg.dialog = Some(dialog);
        self.leg_says(call, index, LegEvent::Accepted { sdp: sdp_of(response) });
    }

    /// Acknowledges a 2xx that nobody wants any more, and hangs up.
    fn dismiss(&mut self, now: Now, mut dialog: Dialog, cseq: u32, flow: Flow, lost_race: bool) {
        self.endpoint.ack(now.instant, dialog.ack(cseq), flow);
        let normal = reason_value(Cause::Normal);
        let reason = if lost_race { COMPLETED_ELSEWHERE } else { &normal };
        let bye = dialog.request(Method::Bye).header(HeaderName::Reason, reason);
        let tx = self.endpoint.request(now.instant, bye, flow);
        self.client_uses.insert(tx, ClientUse::Farewell);
    }

    /// Where requests within a dialog go: to where the peer's Contact or first Route says when it can be believed and
    /// reached, else back on the flow on which the peer is.
    fn flow_in_dialog(&self, number: LegNumber, dialog: &Dialog) -> Flow {
        let Some(leg) = self.legs.get(&number) else { return self.flow_to(Transport::Udp, ([0, 0, 0, 0], 0).into()) };
        let open = self.context.transports.is_open(leg.flow);
        let stream = leg.flow.transport != Transport::Udp;
        if stream && (open || leg.flow.connection == 0) {
            return leg.flow;
        }
        if let Some((user, device)) = leg.owner {
            // Its connection is gone; it may have come back by another.
            let now = self.context.deps.clock.now();
            let current = || self.context.location.flow_of(user, device, now);
            return if stream { current().unwrap_or(leg.flow) } else { leg.flow };
        }
        if !leg.follows_target {
            return leg.flow;
        }
        let hop = dialog.next_hop();
        let transport = hop.transport().and_then(Transport::parse).unwrap_or(Transport::Udp);
        match hop.host_ip().filter(|_| transport == leg.flow.transport) {
            Some(ip) => {
                let peer = (ip, hop.port().unwrap_or(transport.default_port())).into();
                if stream { self.flow_to(transport, peer) } else { Flow { peer, ..leg.flow } }
            }
            None => leg.flow,
        }
    }

    fn provisional(&mut self, now: Now, number: LegNumber, status: u16, sdp: Option<String>) {
        let Some((response, tx)) = self.response_to_caller(number, status) else { return };
        let response = match sdp {
            Some(sdp) => response.body(SDP, sdp),
            None => response,
        };
        self.endpoint.respond(now.instant, tx, response);
    }

    /// A response with our Contact to the INVITE of a leg that called us, while it is open.
    fn response_to_caller(&mut self, number: LegNumber, status: u16) -> Option<(ResponseBuilder, sip_proto::ServerTx)> {
        let leg = self.legs.get(&number)?;
        let Side::Called { invite, tx: Some(tx) } = &leg.side else { return None };
        let contact = self.endpoint.config().contact(&leg.flow, None);
        let response = ResponseBuilder::to(invite, status, reason_phrase(status)).header(HeaderName::Contact, contact);
        Some((response, *tx))
    }

    fn accept(&mut self, now: Now, number: LegNumber, sdp: String) {
        let Some((response, tx)) = self.response_to_caller(number, 200) else { return };
        let Some(tag) = self.endpoint.local_tag(tx) else { return };
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let contact = self.endpoint.config().contact(&leg.flow, None);
        let Side::Called { invite, tx: open } = &mut leg.side else { return };
        *open = None;
        match Dialog::uas(invite, &tag, &contact) {
            Ok(mut dialog) => {
                dialog.confirm();
                self.dialogs.insert((dialog.id().call_id.as_str().into(), tag.as_str().into()), number);
                leg.dialog = Some(dialog);
                let response = response.to_tag(&tag).header(HeaderName::Allow, ALLOW).body(SDP, sdp);
                self.endpoint.respond(now.instant, tx, response);
            }
            Err(_) => {
                // No Contact to call back: found only now, because refusals need none.
                let (call, index) = (leg.call, leg.index);
                let refusal = ResponseBuilder::to(invite, 400, "Bad Contact");
                self.endpoint.respond(now.instant, tx, refusal);
                self.leg_says(call, index, LegEvent::HungUp);
            }
        }
    }

    fn reject(&mut self, now: Now, number: LegNumber, refusal: &Rejection) {
        let Some((response, tx)) = self.response_to_caller(number, refusal.status) else { return };
        let response = response.without(HeaderName::Contact).header(HeaderName::Reason, refusal_reason(refusal));
        let response = if refusal.status == 503 { response.header(HeaderName::RetryAfter, 5) } else { response };
        if let Some(SipLeg { side: Side::Called { tx: open, .. }, .. }) = self.legs.get_mut(&number) {
            *open = None;
        }
        self.server_uses.remove(&tx);
        self.endpoint.respond(now.instant, tx, response);
    }

    fn cancel(&mut self, now: Now, number: LegNumber, completed_elsewhere: bool) {
        let Some(leg) = self.legs.get_mut(&number) else { return };
        leg.abandoned = true;
        leg.lost_race = completed_elsewhere;
        if let Side::Calling { tx: Some(tx), .. } = &leg.side {
            self.endpoint.cancel(now.instant, *tx, completed_elsewhere.then_some(COMPLETED_ELSEWHERE));
        } else if let Some(dialog) = leg.dialog.take() {
            // It answered before it could be told.
            let flow = leg.flow;
            self.farewell(now, dialog, flow, Cause::Normal);
            self.remove_leg(number);
        }
    }

    fn hang_up(&mut self, now: Now, number: LegNumber, cause: Cause) {
        self.refuse_peer_offer(now, number);
        let Some(dialog) = self.legs.get_mut(&number).and_then(|l| l.dialog.take()) else { return };
        self.dialogs.remove(&(dialog.id().call_id.as_str().into(), dialog.id().local_tag.as_str().into()));
        let flow = self.flow_in_dialog(number, &dialog);
        self.farewell(now, dialog, flow, cause);
    }

    fn farewell(&mut self, now: Now, mut dialog: Dialog, flow: Flow, cause: Cause) {
        let bye = dialog.request(Method::Bye).header(HeaderName::Reason, reason_value(cause));
        let tx = self.endpoint.request(now.instant, bye, flow);
        self.client_uses.insert(tx, ClientUse::Farewell);
    }

    fn reoffer(&mut self, now: Now, number: LegNumber, sdp: String) {
        let Some(mut dialog) = self.legs.get(&number).and_then(|l| l.dialog.clone()) else { return };
        let flow = self.flow_in_dialog(number, &dialog);
        let request = dialog.request(Method::Invite).header(HeaderName::Allow, ALLOW).body(SDP, sdp);
        let Some(leg) = self.legs.get_mut(&number) else { return };
        leg.invite_cseq = dialog.local_sequence();
        leg.dialog = Some(dialog);
        let tx = self.endpoint.request(now.instant, request, flow);
        leg.client_txs.push(tx);
        self.client_uses.insert(tx, ClientUse::Reinvite(number));
    }

    pub(super) fn on_reinvite_response(&mut self, now: Now, number: LegNumber, response: &Message) {
        let Some(status) = response.status().filter(|s| *s >= 200) else { return };
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let (call, index, cseq) = (leg.call, leg.index, leg.invite_cseq);
        if status >= 300 {
            self.leg_says(call, index, LegEvent::Reanswer { result: Err(status) });
            if matches!(status, 408 | 481) {
                self.leg_says(call, index, LegEvent::HungUp);
            }
            return;
        }
        let Some(dialog) = leg.dialog.as_mut() else { return };
        dialog.receive_response(response);
        let dialog = dialog.clone();
        let flow = self.flow_in_dialog(number, &dialog);
        self.endpoint.ack(now.instant, dialog.ack(cseq), flow);
        let result = sdp_of(response).ok_or(488);
        self.leg_says(call, index, LegEvent::Reanswer { result });
    }

    /// A re-INVITE that is open when its dialog ends gets 487 (RFC 3261 §15.1.2).
    pub(super) fn refuse_peer_offer(&mut self, now: Now, number: LegNumber) {
        let Some((tx, request)) = self.legs.get_mut(&number).and_then(|l| l.peer_offer.take()) else { return };
        self.server_uses.remove(&tx);
        self.respond(now, tx, &request, 487, |r| r);
    }

    fn reanswer(&mut self, now: Now, number: LegNumber, result: Result<String, u16>) {
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let Some((tx, request)) = leg.peer_offer.take() else { return };
        let contact = self.endpoint.config().contact(&leg.flow, None);
        self.server_uses.remove(&tx);
        match result {
            Ok(sdp) => self.respond(now, tx, &request, 200, |r| {
                r.header(HeaderName::Contact, contact).header(HeaderName::Allow, ALLOW).body(SDP, sdp)
            }),
            Err(status) => self.respond(now, tx, &request, status, |r| r),
        }
    }
}

/// `sip:user@domain` of the caller as presented; our own host when its domain is not shown.
fn identity_uri(identity: &Identity, own_host: &str) -> Uri {
    let host = identity.domain.as_deref().unwrap_or(own_host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let anonymous = || Uri::sip(Some("anonymous"), "anonymous.invalid", None);
    match Uri::sip(Some(&identity.user), host, None).or_else(|_| anonymous()) {
        Ok(uri) => uri,
        Err(_) => anonymous_uri(),
    }
}

/// From of a caller that withholds its number (RFC 3323 §4.1.1.3).
fn anonymous_uri() -> Uri {
    Uri::parse("sip:anonymous@anonymous.invalid").expect("a constant URI parses")
}
