//! A shard owns the transactions, legs and calls whose Call-IDs hash to it. One task, no locks: everything comes in by one
//! bounded queue, and questions to ports are asked by tasks of their own that answer into it.

mod asks;
mod calls;
mod commands;
mod events;
mod leg;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use base::id::kind::Call as CallKind;
use base::timers::DeadlineHeap;
use base::{Id, Random};
use bytes::Bytes;
use call::{Call, Cause, Input, Now};
use domain::ports::RunningCall;
use sip_proto::{ClientTx, Endpoint, Flow, Message, Output, ResponseBuilder, ServerTx};
use tokio::sync::{mpsc, oneshot};

use crate::context::Context;
use crate::invite::Answered;
use crate::pipeline::Destination;
use leg::{LegNumber, SipLeg};

/// Messages taken from the queue before outputs and timers get their turn.
const BATCH_MAX: usize = 128;

/// What a shard is told.
pub(crate) enum ToShard {
    /// One message from the wire.
    Received { flow: Flow, bytes: Bytes },
    /// A connection is gone or could not be opened.
    FlowFailed(Flow),
    /// The pipeline has an answer about an INVITE.
    Routed { tx: ServerTx, answered: Box<Answered> },
    /// A request was answered elsewhere (REGISTER).
    Respond { tx: ServerTx, response: Box<ResponseBuilder> },
    /// A port answered a call's question.
    Input { call: Id<CallKind>, input: Box<Input<Destination>> },
    /// A host name was looked up for a leg that waits to be called.
    Located { leg: LegNumber, address: Option<SocketAddr> },
    /// From the control side.
    Command(Command),
}

/// What the control side wants.
pub(crate) enum Command {
    /// Running calls.
    List(oneshot::Sender<Vec<RunningCall>>),
    /// How much is under way: calls, INVITEs that are being routed, requests of ours without a final answer.
    Busy(oneshot::Sender<usize>),
    /// End one call.
    End { call: Id<CallKind>, cause: Cause, done: oneshot::Sender<bool> },
    /// Take no new calls.
    Drain,
    /// End every call.
    EndAll(Cause),
}

/// An INVITE whose routing is under way.
struct Pending {
    request: Message,
    flow: Flow,
}

/// What a client transaction is for.
enum ClientUse {
    Invite(LegNumber),
    Reinvite(LegNumber),
    /// BYE: nobody waits for its answer.
    Farewell,
}

/// A call and its legs, by the call's own numbering.
struct Running {
    call: Call<Destination>,
    legs: Vec<Option<LegNumber>>,
}

pub(crate) struct Shard {
    number: usize,
    context: Arc<Context>,
    endpoint: Endpoint,
    random: Random,
    queue: mpsc::Receiver<ToShard>,
    /// To ourselves, for the tasks that ask ports.
    own: mpsc::Sender<ToShard>,
    pending: HashMap<ServerTx, Pending>,
    calls: HashMap<Id<CallKind>, Running>,
    legs: HashMap<LegNumber, SipLeg>,
    /// Call-ID and our tag.
    dialogs: HashMap<(Box<str>, Box<str>), LegNumber>,
    server_uses: HashMap<ServerTx, LegNumber>,
    client_uses: HashMap<ClientTx, ClientUse>,
    deadlines: DeadlineHeap<Id<CallKind>>,
    /// Inputs that arose while another call's or leg's was handled.
    inputs: VecDeque<(Id<CallKind>, Input<Destination>)>,
    next_leg: LegNumber,
    draining: bool,
}

impl Shard {
    pub(crate) fn new(
        number: usize,
        context: Arc<Context>,
        endpoint: Endpoint,
        random: Random,
        queue: mpsc::Receiver<ToShard>,
        own: mpsc::Sender<ToShard>,
    ) -> Self {
        Self {
            number,
            context,
            endpoint,
            random,
            queue,
            own,
            pending: HashMap::new(),
            calls: HashMap::new(),
            legs: HashMap::new(),
            dialogs: HashMap::new(),
            server_uses: HashMap::new(),
            client_uses: HashMap::new(),
            deadlines: DeadlineHeap::default(),
            inputs: VecDeque::new(),
            next_leg: 0,
            draining: false,
        }
    }

    /// Runs until every sender of its queue but its own is gone, or `stop`.
    pub(crate) async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let deadline = [self.endpoint.poll_timeout(), self.deadlines.earliest()].into_iter().flatten().min();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                taken = self.queue.recv_many(&mut batch, BATCH_MAX) => if taken == 0 { return },
                () = timer => {}
            }
            let now = self.context.now();
            for message in batch.drain(..) {
                self.on_message(now, message);
                self.work(now);
            }
            self.on_time(now);
            self.work(now);
        }
    }

    fn on_message(&mut self, now: Now, message: ToShard) {
        match message {
            ToShard::Received { flow, bytes } => self.endpoint.receive(now.instant, flow, bytes),
            ToShard::FlowFailed(flow) => self.endpoint.transport_failed(now.instant, flow),
            ToShard::Routed { tx, answered } => self.on_routed(now, tx, *answered),
            // A REGISTER that comes again is answered again: that costs less than remembering every answer for 32 s.
            ToShard::Respond { tx, response } => self.endpoint.respond_stateless(now.instant, tx, *response),
            ToShard::Input { call, input } => self.inputs.push_back((call, *input)),
            ToShard::Located { leg, address } => self.on_located(now, leg, address),
            ToShard::Command(command) => self.on_command(command),
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::List(reply) => {
                let running = |r: &Running| {
                    let parties = r.call.parties()?.clone();
                    Some(RunningCall { parties, state: r.call.state(), answered_at: r.call.answered_at() })
                };
                let mut list: Vec<_> = self.calls.values().filter_map(running).collect();
                list.sort_by_key(|c| c.parties.call);
                let _ = reply.send(list);
            }
            Command::Busy(reply) => {
                let _ = reply.send(self.calls.len() + self.pending.len() + self.client_uses.len());
            }
            Command::End { call, cause, done } => {
                let known = self.calls.contains_key(&call);
                if known {
                    self.inputs.push_back((call, Input::End(cause)));
                }
                let _ = done.send(known);
            }
            Command::Drain => self.draining = true,
            Command::EndAll(cause) => {
                let mut all: Vec<_> = self.calls.keys().copied().collect();
                all.sort_unstable();
                self.inputs.extend(all.into_iter().map(|call| (call, Input::End(cause))));
            }
        }
    }

    fn on_time(&mut self, now: Now) {
        self.endpoint.handle_timeout(now.instant);
        while let Some(call) = self.deadlines.expire(now.instant) {
            self.inputs.push_back((call, Input::Timeout));
            self.work(now);
        }
    }

    /// Carries out what machines put out, until they have no more.
    fn work(&mut self, now: Now) {
        loop {
            if let Some(output) = self.endpoint.poll_output() {
                match output {
                    Output::Transmit { flow, bytes } => self.context.transports.send(flow, bytes),
                    Output::Event(event) => self.on_event(now, event),
                }
            } else if let Some((call, input)) = self.inputs.pop_front() {
                self.feed(now, call, input);
            } else {
                return;
            }
        }
    }

    fn new_leg(&mut self, leg: SipLeg) -> LegNumber {
        self.next_leg += 1;
        self.legs.insert(self.next_leg, leg);
        self.next_leg
    }

    fn remove_leg(&mut self, number: LegNumber) {
        let Some(leg) = self.legs.remove(&number) else { return };
        if let Some((tx, _)) = &leg.peer_offer {
            self.server_uses.remove(tx);
        }
        for tx in &leg.server_txs {
            self.server_uses.remove(tx);
        }
        for tx in &leg.client_txs {
            self.client_uses.remove(tx);
        }
        if let Some(dialog) = &leg.dialog {
            self.dialogs.remove(&(dialog.id().call_id.as_str().into(), dialog.id().local_tag.as_str().into()));
        }
    }
}
