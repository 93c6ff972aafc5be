//! What the endpoint tells: new requests to the pipeline, requests within dialogs and responses to the legs they belong to.

use std::sync::Arc;

use call::{Cause, Input, LegEvent, Now};
use sip_proto::{Event, Flow, HeaderName, Message, Method, ResponseBuilder, ServerTx, reason_phrase};

use super::leg::{LegNumber, Side};
use super::{ClientUse, Pending, Shard, ToShard};
use crate::{ALLOW, invite, register, sdp_of};

/// Option tags that a caller may require (RFC 3261 §8.2.2.3).
const SUPPORTED: &[&str] = &[];

impl Shard {
    pub(super) fn on_event(&mut self, now: Now, event: Event) {
        match event {
            Event::Request { tx, request, flow } => self.on_request(now, tx, request, flow),
            Event::Ack { .. } | Event::StrayResponse { .. } => {}
            Event::Cancel { tx, .. } => self.on_cancel(now, tx),
            Event::AckMissing { tx } => {
                if let Some((call, _)) = self.leg_of_server(tx) {
                    self.inputs.push_back((call, Input::End(Cause::Failure)));
                }
            }
            Event::Response { tx, response, flow } => {
                // A 2xx to INVITE may come again from another branch; the leg keeps that entry until it is forgotten.
                let known = self.client_uses.get(&tx);
                let last_status = if matches!(known, Some(ClientUse::Invite(_))) { 300 } else { 200 };
                let last = response.status().is_some_and(|s| s >= last_status);
                match known {
                    Some(ClientUse::Invite(leg)) => {
                        let leg = *leg;
                        self.on_invite_response(now, leg, &response, flow);
                    }
                    Some(ClientUse::Reinvite(leg)) => {
                        let leg = *leg;
                        self.on_reinvite_response(now, leg, &response);
                    }
                    Some(ClientUse::Farewell) | None => {}
                }
                if last {
                    self.client_uses.remove(&tx);
                }
            }
            Event::TimedOut { tx } => self.on_client_failed(tx, 408),
            Event::TransportFailed { tx } => self.on_client_failed(tx, 503),
        }
    }

    fn on_request(&mut self, now: Now, tx: ServerTx, request: Message, flow: Flow) {
        if request.to().is_some_and(|to| to.tag().is_some()) {
            return self.on_dialog_request(now, tx, request, flow);
        }
        match request.method() {
            Method::Invite => self.on_invite(now, tx, request, flow),
            Method::Register => {
                let (context, own) = (Arc::clone(&self.context), self.own.clone());
                let tag = self.endpoint.local_tag(tx);
                self.context.questions.spawn(async move {
                    let response = register::answer(&context, &request, flow).await;
                    let response = match tag {
                        Some(tag) => response.to_tag(&tag),
                        None => response,
                    };
                    let _ = own.send(ToShard::Respond { tx, response: Box::new(response) }).await;
                });
            }
            Method::Options => self.respond(now, tx, &request, 200, |r| {
                r.header(HeaderName::Allow, ALLOW).header(HeaderName::Accept, "application/sdp")
            }),
            _ => self.respond(now, tx, &request, 405, |r| r.header(HeaderName::Allow, ALLOW)),
        }
    }

    fn on_invite(&mut self, now: Now, tx: ServerTx, request: Message, flow: Flow) {
        if self.draining {
            return self.respond(now, tx, &request, 503, |r| r.header(HeaderName::RetryAfter, 30));
        }
        if request.max_forwards() == Some(0) {
            return self.respond(now, tx, &request, 483, |r| r);
        }
        let unsupported = request.unsupported_options(HeaderName::Require, SUPPORTED).join(", ");
        if !unsupported.is_empty() {
            return self.respond(now, tx, &request, 420, |r| r.header(HeaderName::Unsupported, &unsupported));
        }
        if request.contact().is_none() {
            let tx_response = ResponseBuilder::to(&request, 400, "Missing Contact");
            return self.endpoint.respond(now.instant, tx, tx_response);
        }
        if sdp_of(&request).is_none() {
            let status = if request.body().is_empty() { 488 } else { 415 };
            let warning = "399 tandem \"An offer in the INVITE is needed\"";
            return self.respond(now, tx, &request, status, |r| {
                r.header(HeaderName::Accept, "application/sdp").header(HeaderName::Warning, warning)
            });
        }
        self.pending.insert(tx, Pending { request: request.clone(), flow });
        let (context, own) = (Arc::clone(&self.context), self.own.clone());
        self.context.questions.spawn(async move {
            let answered = Box::new(invite::answer(&context, &request, flow).await);
            let _ = own.send(ToShard::Routed { tx, answered }).await;
        });
    }

    fn on_cancel(&mut self, now: Now, tx: ServerTx) {
        if let Some(pending) = self.pending.remove(&tx) {
            return self.respond(now, tx, &pending.request, 487, |r| r);
        }
        let Some(number) = self.server_uses.get(&tx).copied() else { return };
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let (call, index) = (leg.call, leg.index);
        if let Side::Called { tx: open, invite } = &mut leg.side
            && open.take().is_some()
        {
            let response = ResponseBuilder::to(invite, 487, reason_phrase(487));
            self.endpoint.respond(now.instant, tx, response);
            self.leg_says(call, index, LegEvent::Cancelled);
        }
    }

    fn on_dialog_request(&mut self, now: Now, tx: ServerTx, request: Message, flow: Flow) {
        let tag = request.to().and_then(|to| to.tag().map(Box::<str>::from)).unwrap_or_default();
        let Some(number) = self.dialogs.get(&(request.call_id().into(), tag)).copied() else {
            return self.respond(now, tx, &request, 481, |r| r);
        };
        let Some(leg) = self.legs.get_mut(&number) else { return };
        let from_tag = request.from().and_then(|f| f.tag().map(str::to_owned)).unwrap_or_default();
        if leg.dialog.as_ref().is_none_or(|d| d.id().remote_tag != from_tag) {
            return self.respond(now, tx, &request, 481, |r| r);
        }
        if let Some(Err(status)) = leg.dialog.as_mut().map(|d| d.receive(&request)) {
            return self.respond(now, tx, &request, status, |r| r);
        }
        // A phone whose NAT binding moved is answered where it is now; a trunk is where its Contact says.
        if !leg.follows_target {
            leg.flow = flow;
        }
        let (call, index) = (leg.call, leg.index);
        match request.method() {
            Method::Bye => {
                self.refuse_peer_offer(now, number);
                self.respond(now, tx, &request, 200, |r| r);
                self.leg_says(call, index, LegEvent::HungUp);
            }
            // One offer at a time (RFC 3261 §14.2, RFC 3311 §5.2).
            Method::Invite if leg.peer_offer.is_some() => self.respond(now, tx, &request, 491, |r| r),
            Method::Update if leg.peer_offer.is_some() => {
                self.respond(now, tx, &request, 500, |r| r.header(HeaderName::RetryAfter, 2));
            }
            Method::Invite | Method::Update => match sdp_of(&request) {
                Some(sdp) => {
                    leg.peer_offer = Some((tx, Box::new(request)));
                    self.server_uses.insert(tx, number);
                    self.leg_says(call, index, LegEvent::Reoffer { sdp });
                }
                // A refresh without a word about media.
                None if request.method() == Method::Update => {
                    let contact = self.endpoint.config().contact(&flow, None);
                    self.respond(now, tx, &request, 200, |r| r.header(HeaderName::Contact, contact));
                }
                None => self.respond(now, tx, &request, 488, |r| r),
            },
            Method::Options => self.respond(now, tx, &request, 200, |r| r.header(HeaderName::Allow, ALLOW)),
            _ => self.respond(now, tx, &request, 405, |r| r.header(HeaderName::Allow, ALLOW)),
        }
    }

    fn on_client_failed(&mut self, tx: sip_proto::ClientTx, status: u16) {
        match self.client_uses.remove(&tx) {
            Some(ClientUse::Invite(number)) => self.leg_refused(number, status),
            Some(ClientUse::Reinvite(number)) => {
                if let Some(leg) = self.legs.get(&number) {
                    let (call, index) = (leg.call, leg.index);
                    self.leg_says(call, index, LegEvent::Reanswer { result: Err(status) });
                    // A dialog whose peer does not answer is over (RFC 3261 §12.2.1.2).
                    self.leg_says(call, index, LegEvent::HungUp);
                }
            }
            Some(ClientUse::Farewell) | None => {}
        }
    }

    /// Our INVITE ended without a 2xx.
    pub(super) fn leg_refused(&mut self, number: LegNumber, status: u16) {
        let Some(leg) = self.legs.get_mut(&number) else { return };
        if let Side::Calling { tx, .. } = &mut leg.side {
            *tx = None;
        }
        let (call, index, abandoned) = (leg.call, leg.index, leg.abandoned);
        self.remove_leg(number);
        if !abandoned {
            // A redirection is not followed: the callee cannot be reached where we look for it.
            let status = if status < 400 { 480 } else { status };
            self.leg_says(call, index, LegEvent::Rejected { status });
        }
    }

    pub(super) fn respond(
        &mut self,
        now: Now,
        tx: ServerTx,
        request: &Message,
        status: u16,
        more: impl FnOnce(ResponseBuilder) -> ResponseBuilder,
    ) {
        let response = more(ResponseBuilder::to(request, status, reason_phrase(status)));
        self.endpoint.respond(now.instant, tx, response);
    }

    fn leg_of_server(&self, tx: ServerTx) -> Option<(base::Id<base::id::kind::Call>, u16)> {
        let leg = self.legs.get(self.server_uses.get(&tx)?)?;
        Some((leg.call, leg.index))
    }
}
