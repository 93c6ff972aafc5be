//! Questions of calls to ports: each asked by a task of its own, answered into the shard's queue.

use std::sync::Arc;
use std::time::Duration;

use base::Id;
use base::id::kind::Call as CallKind;
use call::{Ask, Input};
use domain::ports::BillingError;

use super::{Shard, ToShard};
use crate::context::Context;
use crate::invite;
use crate::pipeline::Destination;

/// Pauses between tries to settle a call; afterwards the sweeper of the store settles it to its last sign of life.
const SETTLE_RETRIES: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];

impl Shard {
    /// Asks; the answer, where there is one, comes back as the call's input.
    pub(super) fn ask(&mut self, call: Id<CallKind>, question: Ask) {
        let context = Arc::clone(&self.context);
        let shard = self.own.clone();
        let from =
            self.calls.get(&call).and_then(|r| r.call.parties()).map(|p| (p.from.clone(), p.sip_call_id.clone()));
        self.context.questions.spawn(async move {
            let input = answer(&context, call, question, from).await;
            if let Some(input) = input {
                let _ = shard.send(ToShard::Input { call, input: Box::new(input) }).await;
            }
        });
    }
}

async fn answer(
    context: &Context,
    call: Id<CallKind>,
    question: Ask,
    from: Option<(String, String)>,
) -> Option<Input<Destination>> {
    let (billing, relay) = (&context.deps.billing, &context.deps.relay);
    match question {
        Ask::Open(account, new) => Some(Input::Opened(account, billing.open_call(*new).await)),
        Ask::Extend { account, reservation, hold, ttl } => {
            Some(Input::Extended(account, billing.extend_call(reservation, hold, ttl).await))
        }
        Ask::Progress { call, state, at } => {
            if let Err(error) = billing.progress_call(call, state, at).await {
                tracing::warn!(%call, %error, state = state.as_str(), "state of a call not recorded");
            }
            None
        }
        Ask::Settle { parties, reservation, end } => {
            for pause in SETTLE_RETRIES {
                match billing.settle_call(&parties, reservation, &end).await {
                    Ok(()) => return None,
                    Err(BillingError::Unavailable(error)) => {
                        tracing::warn!(%call, %error, "call not settled, trying again");
                        tokio::time::sleep(pause).await;
                    }
                    Err(error @ (BillingError::NoCredit | BillingError::Unknown)) => {
                        tracing::error!(%call, %error, "call cannot be settled");
                        return None;
                    }
                }
            }
            tracing::error!(%call, "call not settled; it is left to the sweeper");
            None
        }
        Ask::Offer(offer) => {
            let leg = offer.to;
            Some(Input::Offered(leg, relay.offer(offer).await))
        }
        Ask::Answer(answer) => {
            let leg = answer.from;
            Some(Input::MediaAnswered(leg, relay.answer(answer).await))
        }
        Ask::DropLeg(session, leg) => {
            relay.drop_leg(session, leg).await;
            None
        }
        Ask::Play(session, leg, signal) => {
            if let Err(error) = relay.play(session, leg, signal).await {
                tracing::debug!(%call, %error, "warning not played");
            }
            None
        }
        Ask::Delete(session) => Some(Input::Deleted(relay.delete(session).await)),
        Ask::Forward { to, rule, by, called, reason, hops } => {
            tracing::debug!(%call, %rule, hops, "forward");
            let (from, sip_call_id) = from.unwrap_or_default();
            let router = invite::router(context, context.deps.clock.now(), &sip_call_id);
            let plan = crate::pipeline::plan_forward(&router, by, &to, called, reason, &from).await;
            Some(Input::Planned(plan.map(Box::new)))
        }
    }
}
