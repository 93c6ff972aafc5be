//! What requests do: INVITE and re-INVITE, ACK, BYE, CANCEL, OPTIONS.

use std::net::SocketAddr;
use std::time::Instant;

use sdp_proto::Sdp;
use sip_proto::{Dialog, DialogId, Flow, HeaderName, Message, Method, ResponseBuilder, ServerTx};

use super::leg::{Leg, Media, Stage};
use super::{ALLOW, Agent, Output};
use crate::app::Answer;
use crate::metrics::METRICS;
use crate::worker::LegId;

const SDP: &str = "application/sdp";

/// A request that is not served: the status, and a header that goes with it.
struct Refused {
    status: u16,
    header: Option<(HeaderName, String)>,
}

fn refused(status: u16) -> Refused {
    Refused { status, header: None }
}

fn refused_with(status: u16, name: HeaderName, value: impl Into<String>) -> Refused {
    Refused { status, header: Some((name, value.into())) }
}

/// The description in a message: `None` when it has no body.
fn description(message: &Message) -> Result<Option<Sdp>, Refused> {
    let body = message.body();
    if body.is_empty() {
        return Ok(None);
    }
    if !message.content_type().is_some_and(|kind| kind.eq_ignore_ascii_case(SDP)) {
        return Err(refused_with(415, HeaderName::Accept, SDP));
    }
    Sdp::parse_bytes(&body).map(Some).map_err(|_| refused(400))
}

impl Agent {
    pub(super) fn request(&mut self, now: Instant, tx: ServerTx, request: &Message, flow: Flow) {
        let dialog = DialogId::of(request);
        let leg = dialog.as_ref().and_then(|id| self.by_dialog.get(id).copied());
        let done = match (dialog, leg) {
            (Some(_), None) => Err(refused(481)),
            (Some(_), Some(leg)) => self.in_dialog(now, tx, request, leg),
            (None, _) => match request.method() {
                Method::Invite => self.invite(now, tx, request, flow),
                Method::Options => {
                    self.ok(now, tx, request);
                    Ok(())
                }
                _ => Err(refused_with(405, HeaderName::Allow, ALLOW)),
            },
        };
        if let Err(Refused { status, header }) = done {
            let mut response = ResponseBuilder::to(request, status, "");
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            self.endpoint.respond(now, tx, response);
        }
    }

    fn ok(&mut self, now: Instant, tx: ServerTx, request: &Message) {
        let response = ResponseBuilder::to(request, 200, "").header(HeaderName::Allow, ALLOW);
        self.endpoint.respond(now, tx, response.header(HeaderName::Accept, SDP));
    }

    /// A new leg: everything is checked before a socket is asked for.
    fn invite(&mut self, now: Instant, tx: ServerTx, request: &Message, flow: Flow) -> Result<(), Refused> {
        let unsupported = request.unsupported_options(HeaderName::Require, &[]);
        if !unsupported.is_empty() {
            return Err(refused_with(420, HeaderName::Unsupported, unsupported.join(", ")));
        }
        let uri = request.request_uri().ok_or(refused(400))?;
        let user = uri.user_unescaped().unwrap_or_default();
        let app = self.apps.find(&user).ok_or(refused(404))?.clone();
        let offered = description(request)?;
        if offered.is_none() && app.answer == Answer::Early {
            // Without an offer there is nowhere to send early media: only the outcome is left.
            return Err(match app.script.then {
                crate::app::Then::End(ending) => refused_with(ending.status, HeaderName::Reason, ending.reason),
                crate::app::Then::Echo => refused(488),
            });
        }
        if self.legs.len() >= self.limits.legs_max {
            METRICS.shed.increment();
            return Err(refused_with(503, HeaderName::RetryAfter, "5"));
        }
        let tag = self.endpoint.local_tag(tx).ok_or(refused(500))?;
        let contact = self.endpoint.config().contact(&flow, Some(app.name));
        let dialog = Dialog::uas(request, &tag, &contact).map_err(|_| refused(400))?;
        let leg = self.next_leg;
        self.next_leg += 1;
        self.by_dialog.insert(dialog.id().clone(), leg);
        self.by_invite.insert(tx, leg);
        METRICS.legs.with([app.name]).increment();
        let media = Media::new(offered, self.random.u64());
        let (answer, script, invite) = (app.answer, app.script, request.clone());
        self.legs.insert(leg, Leg { stage: Stage::Opening, invite, tx, flow, dialog, answer, script, media });
        self.deadlines.set(leg, now + self.limits.leg_max);
        self.outputs.push_back(Output::OpenMedia { leg });
        Ok(())
    }

    /// 503 for a leg that found no socket.
    pub(super) fn shed(&mut self, now: Instant, leg: &Leg) {
        let response = ResponseBuilder::to(&leg.invite, 503, "").header(HeaderName::RetryAfter, "5");
        self.endpoint.respond(now, leg.tx, response);
    }

    /// The socket is there: answers the INVITE.
    pub(super) fn answer(&mut self, now: Instant, id: LegId, address: SocketAddr) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.media.place(address);
        let has_offer = leg.media.offered.is_some();
        let (body, wire) = if has_offer {
            match leg.media.answer() {
                Some((answer, wire)) => (answer, Some(wire)),
                None => return self.not_acceptable(now, id),
            }
        } else {
            match leg.media.offer() {
                Some(offer) => (offer, None),
                None => return self.not_acceptable(now, id),
            }
        };
        let (status, stage) = match leg.answer {
            Answer::Answered => (200, Stage::Answered),
            Answer::Early => (183, Stage::Early),
        };
        leg.stage = stage;
        if stage == Stage::Answered {
            leg.dialog.confirm();
        }
        leg.media.started = wire.is_some();
        let response = described(&leg.invite, status, leg.dialog.contact(), &body);
        let (tx, script) = (leg.tx, leg.script.clone());
        self.endpoint.respond(now, tx, response);
        if let Some(wire) = wire {
            self.outputs.push_back(Output::StartMedia { leg: id, wire, script });
        }
    }

    fn not_acceptable(&mut self, now: Instant, leg: LegId) {
        if let Some(leg) = self.forget(leg) {
            self.endpoint.respond(now, leg.tx, ResponseBuilder::to(&leg.invite, 488, ""));
        }
    }

    fn in_dialog(&mut self, now: Instant, tx: ServerTx, request: &Message, id: LegId) -> Result<(), Refused> {
        let leg = self.legs.get_mut(&id).ok_or(refused(481))?;
        leg.dialog.receive(request).map_err(refused)?;
        match request.method() {
            Method::Invite => self.reinvite(now, tx, request, id),
            Method::Bye => {
                self.ok(now, tx, request);
                self.gone(now, id);
                Ok(())
            }
            Method::Options => {
                self.ok(now, tx, request);
                Ok(())
            }
            _ => Err(refused_with(405, HeaderName::Allow, ALLOW)),
        }
    }

    /// A new description in a running dialog: hold, another address, another codec (RFC 3261 §14.2).
    fn reinvite(&mut self, now: Instant, tx: ServerTx, request: &Message, id: LegId) -> Result<(), Refused> {
        let offered = description(request)?;
        let leg = self.legs.get_mut(&id).ok_or(refused(481))?;
        match leg.stage {
            Stage::Opening | Stage::Early => {
                // The first INVITE is not answered yet.
                let seconds = self.random.below(10).to_string();
                return Err(refused_with(500, HeaderName::RetryAfter, seconds));
            }
            Stage::Answered | Stage::Talking if leg.media.offering.is_some() => return Err(refused(491)),
            Stage::Answered | Stage::Talking => {}
        }
        let (body, wire) = match offered {
            Some(offer) => {
                leg.media.offered = Some(offer);
                leg.media.answer().map(|(answer, wire)| (answer, Some(wire))).ok_or(refused(488))?
            }
            None => (leg.media.offer().ok_or(refused(488))?, None),
        };
        let response = described(request, 200, leg.dialog.contact(), &body);
        self.endpoint.respond(now, tx, response);
        if let Some(wire) = wire {
            self.outputs.push_back(Output::UpdateMedia { leg: id, wire });
        }
        Ok(())
    }

    /// ACK, perhaps with the answer to our offer. It is the leg's own by its dialog, whichever INVITE it belongs to.
    pub(super) fn acknowledged(&mut self, now: Instant, tx: Option<ServerTx>, request: &Message) {
        let by_dialog = DialogId::of(request).and_then(|id| self.by_dialog.get(&id).copied());
        let id = by_dialog.or_else(|| self.by_invite.get(&tx?).copied());
        let Some((id, leg)) = id.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else { return };
        if leg.stage == Stage::Answered {
            leg.stage = Stage::Talking;
        }
        if leg.media.offering.is_none() {
            return;
        }
        let answer = description(request).ok().flatten();
        match answer.and_then(|answer| leg.media.accept(&answer)) {
            Some(wire) if leg.media.started => self.outputs.push_back(Output::UpdateMedia { leg: id, wire }),
            Some(wire) => {
                leg.media.started = true;
                let script = leg.script.clone();
                self.outputs.push_back(Output::StartMedia { leg: id, wire, script });
            }
            // Without an answer there is no media: nothing to stay for (RFC 3261 §13.2.2.4).
            None => self.finish(now, id, None),
        }
    }

    pub(super) fn cancelled(&mut self, now: Instant, id: LegId) {
        // Once answered, a CANCEL has no effect (RFC 3261 §9.2); the caller sends BYE.
        if self.legs.get(&id).is_some_and(|leg| matches!(leg.stage, Stage::Opening | Stage::Early)) {
            self.gone(now, id);
        }
    }

    /// The caller has left: an INVITE that is still open gets 487 (RFC 3261 §9.2, §15.1.2).
    fn gone(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.forget(id) else { return };
        if matches!(leg.stage, Stage::Opening | Stage::Early) {
            self.endpoint.respond(now, leg.tx, ResponseBuilder::to(&leg.invite, 487, ""));
        }
    }
}

/// A response that makes or refreshes a dialog and describes media.
fn described(request: &Message, status: u16, contact: &str, body: &Sdp) -> ResponseBuilder {
    ResponseBuilder::to(request, status, "")
        .header(HeaderName::Contact, contact)
        .header(HeaderName::Allow, ALLOW)
        .body(SDP, body.to_string())
}
