//! A simulated world without I/O: a caller, the switch and the called phones, joined by a network that loses, doubles and
//! reorders, on one virtual clock and from one seed. The switch here is made of the very machines that the real one runs,
//! `sip_proto::Endpoint` and `call::Call`, with a wallet that does in memory what the store's statements do.
//!
//! It shows what no run of the real program shows often enough: races. Media is not simulated; SDP passes as text.

mod phones;
mod switch;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use base::{Random, Timestamp};
use bytes::Bytes;
use call::{Input, Now};
use domain::call_record::{CallEnd, CallParties};
use sip_proto::{Endpoint, EndpointConfig, Event, Flow, HeaderName, Message, Method, RequestBuilder, Transport};

use phones::{Intention, Phones};
use switch::Switch;

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
