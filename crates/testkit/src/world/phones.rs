//! The caller and the called phones of the simulated world: an endpoint and a will of its own, by chance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base::Random;
use sip_proto::{
    ClientTx, Dialog, DialogId, Endpoint, EndpointConfig, Event, Flow, HeaderName, Message, Method, ResponseBuilder,
    ServerTx,
};

use super::{SWITCH, address, flow};

/// A phone's plan for a dialog or a ringing call.
#[derive(Debug)]
pub(super) enum Intention {
    Answer(ServerTx, Message),
    Refuse(ServerTx, Message),
    HangUp(DialogId),
    Cancel(ClientTx),
}

/// The caller or the called phones: an endpoint and a will of its own.
pub(super) struct Phones {
    pub(super) node: u8,
    pub(super) endpoint: Endpoint,
    pub(super) invites: BTreeMap<ClientTx, Message>,
    pub(super) dialogs: BTreeMap<DialogId, Dialog>,
    pub(super) ringing: BTreeSet<ServerTx>,
    pub(super) intentions: Vec<(Instant, Intention)>,
}

impl Phones {
    pub(super) fn new(node: u8, seed: u64) -> Self {
        let config = EndpointConfig { prefix: format!("n{node}."), ..EndpointConfig::default() };
        Self {
            node,
            endpoint: Endpoint::new(config, Random::from_seed(seed)),
            invites: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            ringing: BTreeSet::new(),
            intentions: Vec::new(),
        }
    }

    pub(super) fn flow(&self) -> Flow {
        flow(self.node, SWITCH)
    }

    pub(super) fn hear(&mut self, now: Instant, event: Event, random: &mut Random) {
        match event {
            Event::Request { tx, request, .. } if request.method() == Method::Invite => {
                self.endpoint.respond(now, tx, ResponseBuilder::to(&request, 180, ""));
                self.ringing.insert(tx);
                let after = now + Duration::from_millis(random.below(20_000));
                match random.below(5) {
                    0 => self.intentions.push((after, Intention::Refuse(tx, request))),
                    // Rings until the caller gives up, or the phone itself: the CANCEL of an INVITE that never got a
                    // response through is not sent (RFC 3261 §9.1).
                    1 => self.intentions.push((now + Duration::from_secs(200), Intention::Refuse(tx, request))),
                    _ => self.intentions.push((after, Intention::Answer(tx, request))),
                }
            }
            Event::Request { tx, request, .. } => {
                let known = DialogId::of(&request).and_then(|id| self.dialogs.remove(&id));
                let status = if known.is_some() { 200 } else { 481 };
                self.endpoint.respond(now, tx, ResponseBuilder::to(&request, status, ""));
            }
            Event::Cancel { tx, request } => {
                if self.ringing.remove(&tx) {
                    self.endpoint.respond(now, tx, ResponseBuilder::to(&request, 487, ""));
                }
            }
            Event::Response { tx, response, .. } => self.response(now, tx, &response, random),
            Event::TimedOut { tx } | Event::TransportFailed { tx } => drop(self.invites.remove(&tx)),
            Event::AckMissing { .. } | Event::Ack { .. } | Event::StrayResponse { .. } => {}
        }
    }

    pub(super) fn response(&mut self, now: Instant, tx: ClientTx, response: &Message, random: &mut Random) {
        let status = response.status().unwrap_or(0);
        if status < 200 {
            return;
        }
        let Some(invite) = self.invites.remove(&tx) else { return };
        if status < 300 {
            let dialog = Dialog::uac(&invite, response).expect("the switch's 200 makes a dialog");
            let flow = self.flow();
            self.endpoint.ack(now, dialog.ack(1), flow);
            self.keep(now, dialog, random);
        }
    }

    /// Talks for a while; whoever loses interest first hangs up.
    pub(super) fn keep(&mut self, now: Instant, dialog: Dialog, random: &mut Random) {
        let talk = Duration::from_millis(500 + random.below(240_000));
        self.intentions.push((now + talk, Intention::HangUp(dialog.id().clone())));
        self.dialogs.insert(dialog.id().clone(), dialog);
    }

    pub(super) fn do_intended(&mut self, now: Instant, random: &mut Random) {
        let (due, later) = std::mem::take(&mut self.intentions).into_iter().partition(|(at, _)| *at <= now);
        self.intentions = later;
        let due: Vec<(Instant, Intention)> = due;
        for (_, intention) in due {
            match intention {
                Intention::Answer(tx, request) if self.ringing.remove(&tx) => {
                    let contact = format!("<sip:phone@{}>", address(self.node));
                    let tag = self.endpoint.local_tag(tx).expect("a ringing transaction has a tag");
                    let dialog = Dialog::uas(&request, &tag, &contact).expect("the switch's INVITE makes a dialog");
                    let response = ResponseBuilder::to(&request, 200, "").header(HeaderName::Contact, contact);
                    self.endpoint.respond(now, tx, response.body("application/sdp", "answer"));
                    self.keep(now, dialog, random);
                }
                Intention::Refuse(tx, request) if self.ringing.remove(&tx) => {
                    self.endpoint.respond(now, tx, ResponseBuilder::to(&request, 486, ""));
                }
                Intention::HangUp(id) => {
                    if let Some(mut dialog) = self.dialogs.remove(&id) {
                        let flow = self.flow();
                        self.endpoint.request(now, dialog.request(Method::Bye), flow);
                    }
                }
                Intention::Cancel(tx) if self.invites.contains_key(&tx) => self.endpoint.cancel(now, tx, None),
                Intention::Answer(..) | Intention::Refuse(..) | Intention::Cancel(_) => {}
            }
        }
    }
}
