//! The switch of the simulated world: drives `call::Call` over a `sip_proto::Endpoint` as sip-proxy's shards do, with a
//! wallet in memory.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base::{Currency, Id, Money};
use call::{
    Account, Ask, Call, CallConfig, Caller, Cause, Input, LegCommand, LegEvent, Now, Output, Plan, Rejection, Step,
    Target,
};
use domain::call_record::{CallDirection, CallParties};
use domain::ports::{BillingError, LegIndex, LegNetwork};
use domain::rate::Rate;
use domain::wallet::{Grant, Hold};
use sip_proto::{
    ClientTx, Dialog, DialogId, Endpoint, Event, HeaderName, Message, Method, RequestBuilder, ResponseBuilder, ServerTx,
};

use super::{CALLED, CALLER, DEVICES, Outcome, RATE, SWITCH, address, flow};

/// A leg as the switch's driver sees it.
#[derive(Default)]
pub(super) struct Leg {
    pub(super) invite: Option<(ClientTx, Message)>,
    pub(super) dialog: Option<Dialog>,
    pub(super) cancelled: bool,
}

pub(super) struct Running {
    pub(super) call: Call<&'static str>,
    pub(super) tx: ServerTx,
    pub(super) request: Message,
    pub(super) answered: bool,
    pub(super) legs: BTreeMap<LegIndex, Leg>,
    pub(super) held_micros: i64,
    pub(super) finished: bool,
}

pub(super) struct Switch {
    pub(super) endpoint: Endpoint,
    pub(super) calls: Vec<Running>,
    pub(super) free_micros: i64,
    pub(super) outcome: Outcome,
}

impl Switch {
    pub(super) fn contact() -> String {
        format!("<sip:switch@{}>", address(SWITCH))
    }

    pub(super) fn hear(&mut self, now: Now, event: Event) {
        match event {
            Event::Request { tx, request, .. } if request.method() == Method::Invite => self.begin(now, tx, request),
            Event::Request { tx, request, .. } => {
                let leg = DialogId::of(&request)
                    .and_then(|id| self.leg_of(|leg| leg.dialog.as_ref().map(Dialog::id) == Some(&id)));
                let status = if leg.is_some() { 200 } else { 481 };
                self.endpoint.respond(now.instant, tx, ResponseBuilder::to(&request, status, ""));
                if let Some((call, leg)) = leg {
                    self.calls[call].legs.entry(leg).or_default().dialog = None;
                    self.tell(now, call, Input::Leg(leg, LegEvent::HungUp));
                }
            }
            Event::Cancel { tx, .. } => {
                let Some(call) = self.calls.iter().position(|call| call.tx == tx && !call.answered) else { return };
                let response = ResponseBuilder::to(&self.calls[call].request, 487, "");
                self.calls[call].answered = true;
                self.endpoint.respond(now.instant, tx, response);
                self.tell(now, call, Input::Leg(0, LegEvent::Cancelled));
            }
            Event::AckMissing { tx } => {
                let Some(call) = self.calls.iter().position(|call| call.tx == tx) else { return };
                self.tell(now, call, Input::Leg(0, LegEvent::HungUp));
            }
            Event::Response { tx, response, .. } => self.response(now, tx, &response),
            Event::TimedOut { tx } | Event::TransportFailed { tx } => self.rejected(now, tx, 408),
            Event::Ack { .. } | Event::StrayResponse { .. } => {}
        }
    }

    pub(super) fn leg_of(&self, fits: impl Fn(&Leg) -> bool) -> Option<(usize, LegIndex)> {
        let legs =
            self.calls.iter().enumerate().flat_map(|(n, call)| call.legs.iter().map(move |(leg, l)| (n, *leg, l)));
        legs.filter(|(_, _, leg)| fits(leg)).map(|(call, leg, _)| (call, leg)).next()
    }

    pub(super) fn invite_of(&self, tx: ClientTx) -> Option<(usize, LegIndex)> {
        self.leg_of(|leg| leg.invite.as_ref().is_some_and(|(open, _)| *open == tx))
    }

    pub(super) fn begin(&mut self, now: Now, tx: ServerTx, request: Message) {
        let n = self.calls.len();
        let network = LegNetwork { profile: None, signalled_from: IpAddr::V4(Ipv4Addr::LOCALHOST), behind_nat: false };
        let (price_micros, first_increment_s, next_increment_s) = RATE;
        let rate = Rate {
            id: Id::from_i64(1),
            currency: Currency::USD,
            price_micros,
            connect_micros: 0,
            first_increment_s,
            next_increment_s,
        };
        let parties = CallParties {
            call: Id::from_i64(n as i64 + 1),
            sip_call_id: request.call_id().to_owned(),
            tenant: Id::from_i64(1),
            user: Some(Id::from_i64(1)),
            callee_user: None,
            device: None,
            direction: CallDirection::Outbound,
            from: "caller".into(),
            to: "called".into(),
            trunk_in: None,
            started_at: now.wall,
        };
        let plan = Plan {
            steps: vec![Step {
                targets: DEVICES.map(|destination| Target { destination, network, trunk: None }).to_vec(),
                ring_for: Duration::from_secs(30),
            }],
            on_busy: None,
            on_no_answer: None,
            on_unreachable: None,
            otherwise: Rejection::new(480, Cause::Unreachable),
            account: None,
            called: "called".into(),
            diversion: None,
        };
        let account = Account { parties, tariff: Some((rate, Id::from_i64(1))) };
        let caller = Caller { session: Id::from_i64(n as i64 + 1), network, sdp: "offer".into() };
        let config =
            CallConfig { reservation_ttl: Duration::from_secs(120), talk_max: Some(Duration::from_secs(3_600)) };
        let call = Call::start(caller, plan, account, config);
        let legs = BTreeMap::new();
        self.calls.push(Running { call, tx, request, answered: false, legs, held_micros: 0, finished: false });
        self.follow(now, n);
    }

    pub(super) fn response(&mut self, now: Now, tx: ClientTx, response: &Message) {
        let Some((call, leg)) = self.invite_of(tx) else { return };
        match response.status().unwrap_or(0) {
            100 => {}
            status @ 101..=199 => self.tell(now, call, Input::Leg(leg, LegEvent::Provisional { status, sdp: None })),
            200..=299 => {
                let Some((_, invite)) = self.calls[call].legs.entry(leg).or_default().invite.take() else { return };
                let mut dialog = Dialog::uac(&invite, response).expect("a phone's 200 makes a dialog");
                self.endpoint.ack(now.instant, dialog.ack(1), flow(SWITCH, CALLED));
                if self.calls[call].legs[&leg].cancelled {
                    // It answered while the CANCEL was under way.
                    self.endpoint.request(now.instant, dialog.request(Method::Bye), flow(SWITCH, CALLED));
                    return;
                }
                self.calls[call].legs.entry(leg).or_default().dialog = Some(dialog);
                self.tell(now, call, Input::Leg(leg, LegEvent::Accepted { sdp: Some("answer".into()) }));
            }
            status => self.rejected(now, tx, status),
        }
    }

    pub(super) fn rejected(&mut self, now: Now, tx: ClientTx, status: u16) {
        let Some((call, leg)) = self.invite_of(tx) else { return };
        self.calls[call].legs.entry(leg).or_default().invite = None;
        if !self.calls[call].legs[&leg].cancelled {
            self.tell(now, call, Input::Leg(leg, LegEvent::Rejected { status }));
        }
    }

    pub(super) fn tell(&mut self, now: Now, call: usize, input: Input<&'static str>) {
        self.calls[call].call.handle(now, input);
        self.follow(now, call);
    }

    /// Does what a call wants done.
    pub(super) fn follow(&mut self, now: Now, call: usize) {
        while let Some(output) = self.calls[call].call.poll_output() {
            let answer = match output {
                Output::Leg(leg, command) => {
                    self.command(now, call, leg, command);
                    None
                }
                Output::Ask(ask) => self.ask(call, ask),
                Output::Publish(..) => None,
                Output::Finished => {
                    self.calls[call].finished = true;
                    None
                }
            };
            if let Some(input) = answer {
                self.calls[call].call.handle(now, input);
            }
        }
    }

    pub(super) fn command(&mut self, now: Now, n: usize, number: LegIndex, command: LegCommand<&'static str>) {
        let call = &mut self.calls[n];
        let leg = call.legs.entry(number).or_default();
        match command {
            LegCommand::Invite { destination, .. } => {
                let draft = RequestBuilder::new(Method::Invite, format_args!("sip:{destination}@{}", address(CALLED)))
                    .header(HeaderName::From, format_args!("<sip:caller@switch>;tag=c{n}l{number}"))
                    .header(HeaderName::To, "<sip:called@switch>")
                    .header(HeaderName::CallId, format_args!("c{n}l{number}"))
                    .header(HeaderName::Contact, Self::contact())
                    .cseq(1);
                let message = Message::parse(draft.build()).expect("what is built can be read");
                leg.invite = Some((self.endpoint.request(now.instant, draft, flow(SWITCH, CALLED)), message));
            }
            LegCommand::Cancel { .. } => {
                leg.cancelled = true;
                if let Some((tx, _)) = &leg.invite {
                    self.endpoint.cancel(now.instant, *tx, None);
                }
            }
            LegCommand::Bye(_) => {
                if let Some(mut dialog) = leg.dialog.take() {
                    let to = if number == 0 { CALLER } else { CALLED };
                    self.endpoint.request(now.instant, dialog.request(Method::Bye), flow(SWITCH, to));
                }
            }
            LegCommand::Provisional { status, .. } if !call.answered => {
                self.endpoint.respond(now.instant, call.tx, ResponseBuilder::to(&call.request, status, ""));
            }
            LegCommand::Accept { sdp } if !call.answered => {
                call.answered = true;
                let tag = self.endpoint.local_tag(call.tx).expect("an open transaction has a tag");
                leg.dialog = Dialog::uas(&call.request, &tag, &Self::contact()).ok();
                let response = ResponseBuilder::to(&call.request, 200, "").header(HeaderName::Contact, Self::contact());
                self.endpoint.respond(now.instant, call.tx, response.body("application/sdp", sdp));
            }
            LegCommand::Reject(rejection) if !call.answered => {
                call.answered = true;
                let response = ResponseBuilder::to(&call.request, rejection.status, "");
                self.endpoint.respond(now.instant, call.tx, response);
            }
            LegCommand::Provisional { .. }
            | LegCommand::Accept { .. }
            | LegCommand::Reject(_)
            | LegCommand::Reoffer { .. }
            | LegCommand::Reanswer { .. } => {}
        }
    }

    pub(super) fn ask(&mut self, call: usize, ask: Ask) -> Option<Input<&'static str>> {
        Some(match ask {
            Ask::Open(account, new) => {
                let granted = new.hold.map(|hold| self.hold(call, hold)).transpose();
                self.outcome.refused += usize::from(granted.is_err());
                Input::Opened(account, granted)
            }
            Ask::Extend { account, hold, .. } => Input::Extended(account, self.hold(call, hold)),
            Ask::Offer(offer) => Input::Offered(offer.to, Ok(offer.sdp)),
            Ask::Answer(answer) => Input::MediaAnswered(answer.from, Ok(answer.sdp)),
            Ask::Delete(_) => Input::Deleted(Vec::new()),
            Ask::Settle { parties, end, .. } => {
                let price = end.price.map_or(0, |price| price.micros);
                let held = std::mem::take(&mut self.calls[call].held_micros);
                // As the store does: what was held is free again, the price is taken, never more than there is.
                self.free_micros += held - price.min(held + self.free_micros);
                self.outcome.settled.push((*parties, *end));
                return None;
            }
            Ask::Forward { .. } => Input::Planned(Err(Rejection::new(404, Cause::NoRoute))),
            Ask::Progress { .. } | Ask::DropLeg(..) | Ask::Play(..) => return None,
        })
    }

    pub(super) fn hold(&mut self, call: usize, hold: Hold) -> Result<Grant, BillingError> {
        let granted = hold.granted_micros(self.free_micros).ok_or(BillingError::NoCredit)?;
        self.free_micros -= granted;
        self.outcome.free_least_micros = self.outcome.free_least_micros.min(self.free_micros);
        self.calls[call].held_micros += granted;
        let total = Money::new(self.calls[call].held_micros, Currency::USD);
        Ok(Grant { reservation: Id::from_i64(call as i64 + 1), total })
    }
}
