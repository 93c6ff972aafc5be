//! The SIP user agent as a machine: it answers for the applications and asks its driver for media.
//!
//! One leg is one dialog with the caller as the other side (RFC 3261 §12.1.1). It never calls anybody: its only requests
//! are BYE. No session timers (RFC 4028) and no reliable provisional responses (RFC 3262); who requires them gets 420.

mod leg;
mod request;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base::Random;
use base::timers::DeadlineHeap;
use bytes::Bytes;
use sip_proto::{DialogId, Endpoint, EndpointConfig, Event, Flow, Method, ResponseBuilder, ServerTx};

use crate::app::{Apps, Ending, Script, Then};
use crate::config::Config;
use crate::metrics::METRICS;
use crate::session::{MediaEvent, Wire};
use crate::worker::LegId;
use leg::{Leg, Stage};

/// Methods that we answer.
pub(crate) const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS";

/// How many legs, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) legs_max: usize,
    pub(crate) leg_max: Duration,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        Self { legs_max: config.sessions_max, leg_max: Duration::from_secs(config.session_max_s) }
    }
}

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send SIP.
    Transmit { flow: Flow, bytes: Bytes },
    /// Open a socket, then call [`Agent::media_opened`] or [`Agent::media_refused`].
    OpenMedia { leg: LegId },
    /// Hand the socket to the worker.
    StartMedia { leg: LegId, wire: Wire, script: Script },
    /// Tell the worker of a new description.
    UpdateMedia { leg: LegId, wire: Wire },
    /// Close the socket, wherever it is.
    StopMedia { leg: LegId },
}

pub(crate) struct Agent {
    endpoint: Endpoint,
    limits: Limits,
    apps: Apps,
    random: Random,
    legs: BTreeMap<LegId, Leg>,
    by_dialog: HashMap<DialogId, LegId>,
    by_invite: HashMap<ServerTx, LegId>,
    next_leg: LegId,
    deadlines: DeadlineHeap<LegId>,
    outputs: VecDeque<Output>,
}

impl Agent {
    pub(crate) fn new(limits: Limits, apps: Apps, mut random: Random) -> Self {
        let config = EndpointConfig {
            product: concat!("tandem ", env!("CARGO_PKG_VERSION")).into(),
            prefix: "m".into(),
            ..EndpointConfig::default()
        };
        Self {
            endpoint: Endpoint::new(config, random.fork()),
            limits,
            apps,
            random,
            legs: BTreeMap::new(),
            by_dialog: HashMap::new(),
            by_invite: HashMap::new(),
            next_leg: 1,
            deadlines: DeadlineHeap::default(),
            outputs: VecDeque::new(),
        }
    }

    /// How many legs there are.
    pub(crate) fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Takes one SIP message.
    pub(crate) fn receive(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.endpoint.receive(now, flow, bytes);
        self.work(now);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.deadlines.earliest()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        while let Some(leg) = self.deadlines.expire(now) {
            self.finish(now, leg, None);
        }
        self.work(now);
    }

    /// The driver opened a socket at `address`.
    pub(crate) fn media_opened(&mut self, now: Instant, leg: LegId, address: SocketAddr) {
        self.answer(now, leg, address);
        self.work(now);
    }

    /// The driver has no socket.
    pub(crate) fn media_refused(&mut self, now: Instant, leg: LegId) {
        METRICS.shed.increment();
        if let Some(leg) = self.forget(leg) {
            self.shed(now, &leg);
        }
        self.work(now);
    }

    /// The worker tells of a leg, which may have ended meanwhile.
    pub(crate) fn media_event(&mut self, now: Instant, leg: LegId, event: MediaEvent) {
        let ending = match event {
            MediaEvent::Finished => self.legs.get(&leg).and_then(|leg| match leg.script.then {
                Then::End(ending) => Some(ending),
                Then::Echo => None,
            }),
            MediaEvent::Silent => {
                METRICS.silent.increment();
                None
            }
        };
        self.finish(now, leg, ending);
        self.work(now);
    }

    /// Ends every leg.
    pub(crate) fn hang_up_all(&mut self, now: Instant) {
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.finish(now, leg, None);
        }
        self.work(now);
    }

    /// Lets the endpoint speak.
    fn work(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                sip_proto::Output::Transmit { flow, bytes } => self.outputs.push_back(Output::Transmit { flow, bytes }),
                sip_proto::Output::Event(event) => self.event(now, event),
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Request { tx, request, flow } => self.request(now, tx, &request, flow),
            Event::Ack { tx, request, .. } => self.acknowledged(now, tx, &request),
            Event::Cancel { tx, .. } => {
                if let Some(leg) = self.by_invite.get(&tx).copied() {
                    self.cancelled(now, leg);
                }
            }
            Event::AckMissing { tx } => {
                if let Some(leg) = self.by_invite.get(&tx).copied() {
                    self.finish(now, leg, None);
                }
            }
            // Only our BYE is answered or not, and its leg is gone already.
            Event::Response { .. }
            | Event::TimedOut { .. }
            | Event::TransportFailed { .. }
            | Event::StrayResponse { .. } => {}
        }
    }

    /// Ends a leg from our side: before the answer by a refusal, after it by BYE.
    fn finish(&mut self, now: Instant, leg: LegId, ending: Option<Ending>) {
        let Some(mut leg) = self.forget(leg) else { return };
        match leg.stage {
            Stage::Opening | Stage::Early => {
                let status = ending.map_or(480, |ending| ending.status);
                let mut response = ResponseBuilder::to(&leg.invite, status, "");
                if let Some(ending) = ending {
                    response = response.header(sip_proto::HeaderName::Reason, ending.reason);
                }
                self.endpoint.respond(now, leg.tx, response);
            }
            Stage::Answered | Stage::Talking => {
                let bye = leg.dialog.request(Method::Bye);
                self.endpoint.request(now, bye, leg.flow);
            }
        }
    }

    /// Takes a leg out of all tables and closes its media.
    fn forget(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        self.by_dialog.remove(leg.dialog.id());
        self.by_invite.remove(&leg.tx);
        self.deadlines.stop(&id);
        self.outputs.push_back(Output::StopMedia { leg: id });
        Some(leg)
    }
}

#[cfg(test)]
mod tests;
