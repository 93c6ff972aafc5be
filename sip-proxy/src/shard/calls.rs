//! Calls of a shard: made from what the pipeline found, fed with inputs, their outputs carried out.

use std::time::Duration;

use base::Id;
use base::id::kind::Call as CallKind;
use base::limits::CALLS_PER_SHARD_MAX;
use call::{Call, CallConfig, Caller, Cause, Input, LegEvent, Now, Output, Rejection};
use domain::event::Fact;
use domain::ports::LegIndex;
use sip_proto::{HeaderName, ResponseBuilder, ServerTx, reason_phrase};

use super::leg::{Side, SipLeg};
use super::{Running, Shard};
use crate::context::media_session;
use crate::invite::Answered;
use crate::pipeline::{Destination, Routed};
use crate::sdp_of;

impl Shard {
    /// The pipeline's answer: a call, or a refusal.
    pub(super) fn on_routed(&mut self, now: Now, tx: ServerTx, answered: Answered) {
        // Cancelled or timed out in the meantime: the transaction is answered already.
        let Some(pending) = self.pending.remove(&tx) else { return };
        match answered {
            Answered::Call(routed) => self.start_call(now, tx, pending, *routed),
            Answered::Refuse(response) => {
                self.context.metrics.calls_refused.increment();
                self.endpoint.respond(now.instant, tx, response);
            }
            Answered::Challenge(response) => {
                self.context.metrics.challenges.increment();
                self.endpoint.respond(now.instant, tx, response);
            }
        }
    }

    fn start_call(&mut self, now: Now, tx: ServerTx, pending: super::Pending, routed: Routed) {
        let seat = routed.trunk.map(|trunk| self.context.seats.take(trunk));
        let full = self.draining || self.calls.len() >= CALLS_PER_SHARD_MAX || matches!(seat, Some(None));
        let refuse = full.then_some(503);
        let sdp = sdp_of(&pending.request);
        let (None, Some(sdp)) = (refuse, sdp) else {
            let status = refuse.unwrap_or(488);
            let response = ResponseBuilder::to(&pending.request, status, reason_phrase(status));
            let response = if status == 503 { response.header(HeaderName::RetryAfter, 5) } else { response };
            return self.endpoint.respond(now.instant, tx, response);
        };
        let Routed { account, plan, network, .. } = routed;
        let id = account.parties.call;
        let leg = self.new_leg(SipLeg {
            call: id,
            index: 0,
            flow: pending.flow,
            side: Side::Called { invite: Box::new(pending.request), tx: Some(tx) },
            server_txs: vec![tx],
            client_txs: Vec::new(),
            dialog: None,
            invite_cseq: 0,
            follows_target: account.parties.trunk_in.is_some(),
            peer_offer: None,
            seat: seat.flatten(),
            owner: account.parties.user.zip(account.parties.device),
            lost_race: false,
            abandoned: false,
        });
        self.server_uses.insert(tx, leg);
        let config = CallConfig {
            reservation_ttl: Duration::from_secs(self.context.config.reservation_ttl_s),
            talk_max: Some(self.context.config.talk_max_s).filter(|s| *s > 0).map(Duration::from_secs),
        };
        let caller = Caller { session: media_session(id), network, sdp };
        tracing::info!(call = %id, direction = account.parties.direction.as_str(), "call");
        let call = Call::start(caller, plan, account, config);
        self.calls.insert(id, Running { call, legs: vec![Some(leg)] });
        self.context.metrics.calls_running.increment();
        self.context.metrics.calls_started.increment();
        self.drain_call(now, id);
    }

    /// Feeds one input to a call, if it still runs.
    pub(super) fn feed(&mut self, now: Now, id: Id<CallKind>, input: Input<Destination>) {
        let Some(running) = self.calls.get_mut(&id) else { return };
        running.call.handle(now, input);
        self.drain_call(now, id);
    }

    /// What a leg says goes to its call.
    pub(super) fn leg_says(&mut self, call: Id<CallKind>, index: LegIndex, event: LegEvent) {
        self.inputs.push_back((call, Input::Leg(index, event)));
    }

    fn drain_call(&mut self, now: Now, id: Id<CallKind>) {
        while let Some(output) = self.calls.get_mut(&id).and_then(|r| r.call.poll_output()) {
            match output {
                Output::Leg(index, command) => self.command(now, id, index, command),
                Output::Ask(question) => self.ask(id, question),
                Output::Publish(parties, state) => {
                    let users = parties.user.into_iter().chain(parties.callee_user).collect();
                    let (call, from, to) = (parties.call, parties.from, parties.to);
                    let fact = Fact::CallStatus { call, users, state, from, to };
                    self.context.deps.events.publish(Some(parties.tenant), fact);
                }
                Output::Finished => return self.forget_call(id),
            }
        }
        match self.calls.get(&id).and_then(|r| r.call.poll_timeout()) {
            Some(at) => self.deadlines.set(id, at),
            None => self.deadlines.stop(&id),
        }
    }

    fn forget_call(&mut self, id: Id<CallKind>) {
        self.deadlines.stop(&id);
        let Some(running) = self.calls.remove(&id) else { return };
        self.context.metrics.calls_running.decrement();
        for number in running.legs.into_iter().flatten() {
            // A leg that was given up stays until its INVITE has ended.
            if !self.legs.get(&number).is_some_and(|l| l.abandoned) {
                self.remove_leg(number);
            }
        }
        tracing::info!(call = %id, "call ended");
    }
}

/// Cause of the BYE that ends a call for this reason, as a Reason value (RFC 3326).
pub(super) fn reason_value(cause: Cause) -> String {
    format!("Q.850;cause={};text=\"{}\"", cause.q850(), cause.as_str().replace('_', " "))
}

/// The Reason value of a refusal.
pub(super) fn refusal_reason(refusal: &Rejection) -> String {
    format!("Q.850;cause={};text=\"{}\"", refusal.q850, refusal.cause.as_str().replace('_', " "))
}
