//! Calls between two endpoints over a network that loses, doubles and reorders datagrams, on a virtual clock, one run
//! per seed; every few steps an endpoint is replaced by the copy restored from its snapshot. Whatever the network does,
//! every transaction ends with exactly one outcome and nothing is left behind.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use base::Random;
use bytes::Bytes;
use sip_proto::{
    ClientTx, Dialog, DialogId, Endpoint, EndpointConfig, Event, Flow, HeaderName, Message, Method, Output,
    RequestBuilder, ResponseBuilder, ServerTx, Transport,
};

const CALLS: usize = 6;

/// One side with the little user agent that drives it.
struct Side {
    endpoint: Endpoint,
    flow: Flow,
    /// Requests of ours that have no outcome yet, with what they were.
    open: BTreeMap<ClientTx, Message>,
    outcomes: BTreeMap<ClientTx, u32>,
    dialogs: BTreeMap<DialogId, Dialog>,
    acknowledged: BTreeSet<ServerTx>,
    ack_missing: BTreeSet<ServerTx>,
    /// Calls that ring here, until somebody answers, cancels or loses patience.
    ringing: BTreeMap<ServerTx, (Instant, Message)>,
}

/// A datagram under way: when it arrives, a number that keeps the order total, to which side, and what.
type Wire = BTreeMap<(Instant, u64), (usize, Bytes)>;

struct World {
    now: Instant,
    random: Random,
    sides: [Side; 2],
    wire: Wire,
    sent: u64,
    /// When the caller cancels what still rings.
    cancel_at: Instant,
}

fn side(seed: u64, local: &str, peer: &str) -> Side {
    let flow =
        Flow { transport: Transport::Udp, local: local.parse().unwrap(), peer: peer.parse().unwrap(), connection: 0 };
    let config = EndpointConfig { prefix: format!("{seed}."), ..EndpointConfig::default() };
    Side {
        endpoint: Endpoint::new(config, Random::from_seed(seed)),
        flow,
        open: BTreeMap::new(),
        outcomes: BTreeMap::new(),
        dialogs: BTreeMap::new(),
        acknowledged: BTreeSet::new(),
        ack_missing: BTreeSet::new(),
        ringing: BTreeMap::new(),
    }
}

impl Side {
    fn send(&mut self, now: Instant, draft: RequestBuilder) -> ClientTx {
        let tx = self.endpoint.request(now, draft.clone(), self.flow);
        self.open.insert(tx, Message::parse(draft.build()).unwrap());
        tx
    }

    fn finish(&mut self, tx: ClientTx) {
        self.open.remove(&tx);
        *self.outcomes.entry(tx).or_default() += 1;
    }

    fn hear(&mut self, now: Instant, event: Event, random: &mut Random) {
        match event {
            Event::Request { tx, request, .. } => self.answer(now, tx, &request, random),
            Event::Response { tx, response, .. } => self.response(now, tx, &response),
            Event::Cancel { tx, .. } => {
                if let Some((_, invite)) = self.ringing.remove(&tx) {
                    self.endpoint.respond(now, tx, ResponseBuilder::to(&invite, 487, ""));
                }
            }
            Event::Ack { tx, .. } => {
                if let Some(tx) = tx {
                    assert!(self.acknowledged.insert(tx), "an ACK is told once");
                }
            }
            Event::AckMissing { tx } => assert!(!self.acknowledged.contains(&tx) && self.ack_missing.insert(tx)),
            Event::TimedOut { tx } => self.finish(tx),
            Event::TransportFailed { .. } => panic!("nothing fails here"),
            Event::StrayResponse { .. } => {}
        }
    }

    fn answer(&mut self, now: Instant, tx: ServerTx, request: &Message, random: &mut Random) {
        if request.method() == Method::Invite {
            self.endpoint.respond(now, tx, ResponseBuilder::to(request, 180, ""));
            match random.below(4) {
                0 => self.endpoint.respond(now, tx, ResponseBuilder::to(request, 486, "")),
                // Left ringing: the caller cancels, or the callee gives up.
                1 => {
                    self.ringing.insert(tx, (now + Duration::from_secs(200), request.clone()));
                }
                _ => {
                    let tag = self.endpoint.local_tag(tx).unwrap();
                    let dialog = Dialog::uas(request, &tag, "<sip:callee@192.0.2.2>").unwrap();
                    self.dialogs.insert(dialog.id().clone(), dialog);
                    self.endpoint.respond(
                        now,
                        tx,
                        ResponseBuilder::to(request, 200, "").header(HeaderName::Contact, "<sip:callee@192.0.2.2>"),
                    );
                }
            }
        } else {
            let known = DialogId::of(request).and_then(|id| self.dialogs.remove(&id));
            let status = if known.is_some() { 200 } else { 481 };
            self.endpoint.respond(now, tx, ResponseBuilder::to(request, status, ""));
        }
    }

    fn response(&mut self, now: Instant, tx: ClientTx, response: &Message) {
        let Some(request) = self.open.get(&tx).cloned() else { panic!("a response after the outcome") };
        match response.status().unwrap() {
            100..=199 => {}
            200..=299 if request.method() == Method::Invite => {
                self.finish(tx);
                let mut dialog = Dialog::uac(&request, response).unwrap();
                self.endpoint.ack(now, dialog.ack(1), self.flow);
                let bye = dialog.request(Method::Bye);
                self.send(now, bye);
            }
            _ => self.finish(tx),
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let sides = [
            side(seed * 2 + 1, "192.0.2.1:5060", "192.0.2.2:5060"),
            side(seed * 2 + 2, "192.0.2.2:5060", "192.0.2.1:5060"),
        ];
        let now = Instant::now();
        Self {
            now,
            random: Random::from_seed(seed),
            sides,
            wire: Wire::new(),
            sent: 0,
            cancel_at: now + Duration::from_secs(60),
        }
    }

    fn drain(&mut self, loss_percent: u64) {
        for from in 0..2 {
            while let Some(output) = self.sides[from].endpoint.poll_output() {
                match output {
                    Output::Transmit { bytes, .. } => {
                        let copies = if self.random.below(100) < loss_percent {
                            0
                        } else {
                            1 + u64::from(self.random.below(10) == 0)
                        };
                        for _ in 0..copies {
                            self.sent += 1;
                            let at = self.now + Duration::from_millis(self.random.below(400));
                            self.wire.insert((at, self.sent), (1 - from, bytes.clone()));
                        }
                    }
                    Output::Event(event) => self.sides[from].hear(self.now, event, &mut self.random),
                }
            }
        }
    }

    /// To the next thing that happens; false when nothing ever will.
    fn step(&mut self) -> bool {
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let timeouts = [self.sides[0].endpoint.poll_timeout(), self.sides[1].endpoint.poll_timeout()];
        let patience = self.sides[1].ringing.values().map(|(end, _)| *end).min();
        let ringing = self.sides[0].open.values().any(|m| m.method() == Method::Invite).then_some(self.cancel_at);
        let alarms = ringing.filter(|at| *at > self.now);
        let Some(at) = timeouts.into_iter().flatten().chain(arrival).chain(patience).chain(alarms).min() else {
            return false;
        };
        self.now = self.now.max(at);
        if arrival == Some(at)
            && let Some((_, (to, bytes))) = self.wire.pop_first()
        {
            let flow = self.sides[to].flow;
            self.sides[to].endpoint.receive(self.now, flow, bytes);
        }
        let now = self.now;
        for side in &mut self.sides {
            side.endpoint.handle_timeout(now);
        }
        let callee = &mut self.sides[1];
        while let Some(entry) = callee.ringing.first_entry().filter(|entry| entry.get().0 <= now) {
            let (tx, (_, invite)) = entry.remove_entry();
            callee.endpoint.respond(now, tx, ResponseBuilder::to(&invite, 480, ""));
        }
        if now >= self.cancel_at {
            let caller = &mut self.sides[0];
            caller
                .open
                .iter()
                .filter(|(_, m)| m.method() == Method::Invite)
                .for_each(|(tx, _)| caller.endpoint.cancel(now, *tx, None));
        }
        true
    }

    fn swap_for_copy(&mut self, seed: u64) {
        for (n, side) in self.sides.iter_mut().enumerate() {
            let (config, state) = (side.endpoint.config().clone(), side.endpoint.snapshot());
            side.endpoint = Endpoint::restore(config, Random::from_seed(seed * 31 + n as u64), state);
        }
    }
}

fn run(seed: u64, loss_percent: u64) {
    let mut world = World::new(seed);
    for call in 0..CALLS {
        let invite = RequestBuilder::new(Method::Invite, "sip:callee@192.0.2.2")
            .header(HeaderName::From, format_args!("<sip:caller@example.com>;tag=t{call}"))
            .header(HeaderName::To, "<sip:callee@example.com>")
            .header(HeaderName::CallId, format_args!("{seed}-{call}"))
            .header(HeaderName::Contact, "<sip:caller@192.0.2.1>")
            .cseq(1);
        let now = world.now;
        let tx = world.sides[0].send(now, invite);
        if world.random.below(3) == 0 {
            world.sides[0].endpoint.cancel(now, tx, None);
        }
    }
    let mut steps = 0u64;
    loop {
        world.drain(loss_percent);
        steps += 1;
        if steps.is_multiple_of(7) {
            world.swap_for_copy(seed ^ steps);
        }
        if !world.step() {
            break;
        }
        assert!(steps < 100_000, "SEED={seed}: never ends");
    }
    let [caller, callee] = &world.sides;
    assert!(caller.open.is_empty(), "SEED={seed}: without outcome {:?}", caller.open);
    assert!(
        caller.outcomes.len() >= CALLS && caller.outcomes.values().all(|n| *n == 1),
        "SEED={seed}: {:?}",
        caller.outcomes
    );
    for side in [caller, callee] {
        assert_eq!(side.endpoint.stats().transactions, 0, "SEED={seed}");
    }
    assert!(callee.acknowledged.is_disjoint(&callee.ack_missing), "SEED={seed}");
    if loss_percent == 0 {
        assert!(callee.ack_missing.is_empty(), "SEED={seed}");
    }
}

#[test]
fn every_call_has_one_outcome_on_a_good_network() {
    (0..60).for_each(|seed| run(seed, 0));
}

#[test]
fn every_call_has_one_outcome_on_a_lossy_network() {
    (100..200).for_each(|seed| run(seed, 30));
}

#[test]
fn every_call_has_one_outcome_when_hardly_anything_arrives() {
    (200..240).for_each(|seed| run(seed, 90));
}
