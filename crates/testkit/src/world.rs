//! A simulated world without I/O: a caller, the switch and the called phones, joined by a network that loses, doubles and
//! reorders, on one virtual clock and from one seed. The switch here is made of the very machines that the real one runs,
//! `sip_proto::Endpoint` and `call::Call`, with a wallet that does in memory what the store's statements do.
//!
//! It shows what no run of the real program shows often enough: races. Media is not simulated; SDP passes as text.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use base::{Currency, Id, Money, Random, Timestamp};
use bytes::Bytes;
use call::{
    Account, Ask, Call, CallConfig, Caller, Cause, Input, LegCommand, LegEvent, Now, Output, Plan, Rejection, Step,
    Target,
};
use domain::call_record::{CallDirection, CallEnd, CallParties};
use domain::ports::{BillingError, LegIndex, LegNetwork};
use domain::rate::Rate;
use domain::wallet::{Grant, Hold};
use sip_proto::{
    ClientTx, Dialog, DialogId, Endpoint, EndpointConfig, Event, Flow, HeaderName, Message, Method, RequestBuilder,
    ResponseBuilder, ServerTx, Transport,
};

/// Which node an address belongs to: its last octet.
const CALLER: u8 = 1;
const SWITCH: u8 = 2;
const CALLED: u8 = 3;
/// Devices that ring together.
const DEVICES: [&str; 2] = ["desk", "mobile"];
/// Price of a minute, micros, and its increments, seconds.
const RATE: (i64, u32, u32) = (600_000, 6, 6);
/// Most events of a run; more means that it never ends.
const STEPS_MAX: usize = 400_000;

fn address(node: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, node), 5_060).into()
}

fn flow(from: u8, to: u8) -> Flow {
    Flow { transport: Transport::Udp, local: address(from), peer: address(to), connection: 0 }
}

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Seed of everything.
    pub seed: u64,
    /// Share of datagrams that are lost, per cent.
    pub loss_percent: u64,
    /// How many calls begin within half a minute.
    pub calls: usize,
    /// Money in the one wallet that pays for all, micros.
    pub balance_micros: i64,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The records, in the order of settlement.
    pub settled: Vec<(CallParties, CallEnd)>,
    /// Calls that were refused before they had a record, for lack of money.
    pub refused: usize,
    /// What the wallet has at the end, micros.
    pub balance_micros: i64,
    /// The least that was ever free, micros.
    pub free_least_micros: i64,
    /// What is still set aside, micros.
    pub held_micros: i64,
    /// Transactions that are left in any endpoint.
    pub transactions_left: usize,
    /// Calls of the machine that never finished.
    pub calls_left: usize,
}

/// Runs a scenario to its end.
pub fn run(scenario: Scenario) -> Outcome {
    let mut world = World::new(scenario);
    for step in 0.. {
        world.drain();
        if !world.step() {
            break;
        }
        assert!(step < STEPS_MAX, "seed {}: never ends", scenario.seed);
    }
    world.outcome()
}

/// A phone's plan for a dialog or a ringing call.
#[derive(Debug)]
enum Intention {
    Answer(ServerTx, Message),
    Refuse(ServerTx, Message),
    HangUp(DialogId),
    Cancel(ClientTx),
}

/// The caller or the called phones: an endpoint and a will of its own.
struct Phones {
    node: u8,
    endpoint: Endpoint,
    invites: BTreeMap<ClientTx, Message>,
    dialogs: BTreeMap<DialogId, Dialog>,
    ringing: BTreeSet<ServerTx>,
    intentions: Vec<(Instant, Intention)>,
}

/// A leg as the switch's driver sees it.
#[derive(Default)]
struct Leg {
    invite: Option<(ClientTx, Message)>,
    dialog: Option<Dialog>,
    cancelled: bool,
}

struct Running {
    call: Call<&'static str>,
    tx: ServerTx,
    request: Message,
    answered: bool,
    legs: BTreeMap<LegIndex, Leg>,
    held_micros: i64,
    finished: bool,
}

struct Switch {
    endpoint: Endpoint,
    calls: Vec<Running>,
    free_micros: i64,
    outcome: Outcome,
}

struct World {
    now: Instant,
    start: Instant,
    random: Random,
    scenario: Scenario,
    phones: [Phones; 2],
    switch: Switch,
    wire: BTreeMap<(Instant, u64), (u8, u8, Bytes)>,
    sent: u64,
    to_start: Vec<Instant>,
}

impl Phones {
    fn new(node: u8, seed: u64) -> Self {
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

    fn flow(&self) -> Flow {
        flow(self.node, SWITCH)
    }

    fn hear(&mut self, now: Instant, event: Event, random: &mut Random) {
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

    fn response(&mut self, now: Instant, tx: ClientTx, response: &Message, random: &mut Random) {
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
    fn keep(&mut self, now: Instant, dialog: Dialog, random: &mut Random) {
        let talk = Duration::from_millis(500 + random.below(240_000));
        self.intentions.push((now + talk, Intention::HangUp(dialog.id().clone())));
        self.dialogs.insert(dialog.id().clone(), dialog);
    }

    fn do_intended(&mut self, now: Instant, random: &mut Random) {
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

impl Switch {
    fn contact() -> String {
        format!("<sip:switch@{}>", address(SWITCH))
    }

    fn hear(&mut self, now: Now, event: Event) {
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

    fn leg_of(&self, fits: impl Fn(&Leg) -> bool) -> Option<(usize, LegIndex)> {
        let legs =
            self.calls.iter().enumerate().flat_map(|(n, call)| call.legs.iter().map(move |(leg, l)| (n, *leg, l)));
        legs.filter(|(_, _, leg)| fits(leg)).map(|(call, leg, _)| (call, leg)).next()
    }

    fn invite_of(&self, tx: ClientTx) -> Option<(usize, LegIndex)> {
        self.leg_of(|leg| leg.invite.as_ref().is_some_and(|(open, _)| *open == tx))
    }

    fn begin(&mut self, now: Now, tx: ServerTx, request: Message) {
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

    fn response(&mut self, now: Now, tx: ClientTx, response: &Message) {
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

    fn rejected(&mut self, now: Now, tx: ClientTx, status: u16) {
        let Some((call, leg)) = self.invite_of(tx) else { return };
        self.calls[call].legs.entry(leg).or_default().invite = None;
        if !self.calls[call].legs[&leg].cancelled {
            self.tell(now, call, Input::Leg(leg, LegEvent::Rejected { status }));
        }
    }

    fn tell(&mut self, now: Now, call: usize, input: Input<&'static str>) {
        self.calls[call].call.handle(now, input);
        self.follow(now, call);
    }

    /// Does what a call wants done.
    fn follow(&mut self, now: Now, call: usize) {
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

    fn command(&mut self, now: Now, n: usize, number: LegIndex, command: LegCommand<&'static str>) {
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

    fn ask(&mut self, call: usize, ask: Ask) -> Option<Input<&'static str>> {
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

    fn hold(&mut self, call: usize, hold: Hold) -> Result<Grant, BillingError> {
        let granted = hold.granted_micros(self.free_micros).ok_or(BillingError::NoCredit)?;
        self.free_micros -= granted;
        self.outcome.free_least_micros = self.outcome.free_least_micros.min(self.free_micros);
        self.calls[call].held_micros += granted;
        let total = Money::new(self.calls[call].held_micros, Currency::USD);
        Ok(Grant { reservation: Id::from_i64(call as i64 + 1), total })
    }
}

impl World {
    fn new(scenario: Scenario) -> Self {
        let mut random = Random::from_seed(scenario.seed);
        let now = Instant::now();
        let config = EndpointConfig { prefix: "s.".into(), ..EndpointConfig::default() };
        let outcome = Outcome { free_least_micros: scenario.balance_micros, ..Outcome::default() };
        Self {
            now,
            start: now,
            scenario,
            phones: [Phones::new(CALLER, random.u64()), Phones::new(CALLED, random.u64())],
            switch: Switch {
                endpoint: Endpoint::new(config, random.fork()),
                calls: Vec::new(),
                free_micros: scenario.balance_micros,
                outcome,
            },
            wire: BTreeMap::new(),
            sent: 0,
            to_start: (0..scenario.calls).map(|_| now + Duration::from_millis(random.below(30_000))).collect(),
            random,
        }
    }

    fn clocks(&self) -> Now {
        let wall = Timestamp::from_millis(1_800_000_000_000).after(self.now.saturating_duration_since(self.start));
        Now { instant: self.now, wall }
    }

    /// Carries out everything that the nodes want until nothing is left for this moment.
    fn drain(&mut self) {
        for node in [CALLER, SWITCH, CALLED] {
            while let Some(output) = self.endpoint(node).poll_output() {
                match output {
                    sip_proto::Output::Transmit { flow, bytes } => self.transmit(node, flow, &bytes),
                    sip_proto::Output::Event(event) => self.event(node, event),
                }
            }
        }
    }

    fn endpoint(&mut self, node: u8) -> &mut Endpoint {
        match node {
            CALLER => &mut self.phones[0].endpoint,
            SWITCH => &mut self.switch.endpoint,
            _ => &mut self.phones[1].endpoint,
        }
    }

    fn transmit(&mut self, from: u8, flow: Flow, bytes: &Bytes) {
        let IpAddr::V4(ip) = flow.peer.ip() else { return };
        let lost = self.random.below(100) < self.scenario.loss_percent;
        let copies = if lost { 0 } else { 1 + u64::from(self.random.below(20) == 0) };
        for _ in 0..copies {
            self.sent += 1;
            let at = self.now + Duration::from_millis(5 + self.random.below(200));
            self.wire.insert((at, self.sent), (from, ip.octets()[3], bytes.clone()));
        }
    }

    fn event(&mut self, node: u8, event: Event) {
        let now = self.clocks();
        match node {
            CALLER => self.phones[0].hear(now.instant, event, &mut self.random),
            SWITCH => self.switch.hear(now, event),
            _ => self.phones[1].hear(now.instant, event, &mut self.random),
        }
    }

    /// To the next moment at which something happens; false when nothing ever will.
    fn step(&mut self) -> bool {
        let mut moments: Vec<Instant> = self.wire.keys().next().map(|(at, _)| *at).into_iter().collect();
        moments.extend([CALLER, SWITCH, CALLED].into_iter().filter_map(|node| self.endpoint(node).poll_timeout()));
        moments.extend(self.phones.iter().flat_map(|phones| phones.intentions.iter().map(|(at, _)| *at)));
        moments.extend(self.switch.calls.iter().filter(|c| !c.finished).filter_map(|c| c.call.poll_timeout()));
        moments.extend(&self.to_start);
        let Some(next) = moments.into_iter().min() else { return false };
        self.now = self.now.max(next);
        let now = self.clocks();
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= now.instant) {
            let (from, to, bytes) = entry.remove();
            self.endpoint(to).receive(now.instant, flow(to, from), bytes);
        }
        for node in [CALLER, SWITCH, CALLED] {
            self.endpoint(node).handle_timeout(now.instant);
        }
        for phones in &mut self.phones {
            phones.do_intended(now.instant, &mut self.random);
        }
        for call in 0..self.switch.calls.len() {
            let due = self.switch.calls[call].call.poll_timeout().is_some_and(|at| at <= now.instant);
            if due && !self.switch.calls[call].finished {
                self.switch.tell(now, call, Input::Timeout);
            }
        }
        self.place_calls();
        true
    }

    fn place_calls(&mut self) {
        let (due, later) = std::mem::take(&mut self.to_start).into_iter().partition(|at| *at <= self.now);
        self.to_start = later;
        let due: Vec<Instant> = due;
        for _ in due {
            let id = self.random.u32();
            let draft = RequestBuilder::new(Method::Invite, format_args!("sip:called@{}", address(SWITCH)))
                .header(HeaderName::From, format_args!("<sip:caller@switch>;tag=t{id}"))
                .header(HeaderName::To, "<sip:called@switch>")
                .header(HeaderName::CallId, format_args!("call-{id}"))
                .header(HeaderName::Contact, format_args!("<sip:caller@{}>", address(CALLER)))
                .cseq(1);
            let message = Message::parse(draft.build()).expect("what is built can be read");
            let caller = &mut self.phones[0];
            let tx = caller.endpoint.request(self.now, draft, flow(CALLER, SWITCH));
            caller.invites.insert(tx, message);
            if self.random.below(3) == 0 {
                let at = self.now + Duration::from_millis(self.random.below(25_000));
                caller.intentions.push((at, Intention::Cancel(tx)));
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        let left = [CALLER, SWITCH, CALLED].map(|node| self.endpoint(node).stats().transactions as usize);
        let mut outcome = self.switch.outcome;
        outcome.transactions_left = left.into_iter().sum();
        outcome.balance_micros = self.switch.free_micros;
        outcome.held_micros = self.switch.calls.iter().map(|call| call.held_micros).sum();
        outcome.calls_left = self.switch.calls.iter().filter(|call| !call.finished).count();
        outcome
    }
}
