//! Where a forward leads, and that the forwarding user pays for it (T11).

use std::sync::Arc;

use base::id::kind::{Call as CallKind, User};
use base::{E164, Id, IdGenerator};
use call::{Account, Cause, Diversion, Plan, Rejection, Step};
use domain::account::{AccountStatus, UserFacts};
use domain::call_record::{CallDirection, CallParties};
use domain::number::NumberStatus;
use domain::rule::{self, Decision};

use super::route::{Router, empty_plan};
use super::{Destination, Identity};
use crate::refuse;

/// The plan for a conditional forward, asked for by the call machine.
pub(crate) async fn plan_forward(
    router: &Router<'_>,
    forwarder: Id<User>,
    to: &E164,
    called: String,
    reason: &'static str,
    from: &str,
) -> Result<Plan<Destination>, Rejection> {
    let user = router.directory.user(forwarder).await.map_err(refuse::unavailable)?.ok_or_else(refuse::forbidden)?;
    plan(router, &user, to, called, reason, from).await
}

/// A plan that reaches `to` on behalf of `forwarder`, whose number `called` had been dialled by `from`. One of our numbers
/// rings its owner's devices; another forward from there is followed only under a condition (loops end by count).
pub(super) async fn plan(
    router: &Router<'_>,
    forwarder: &Arc<UserFacts>,
    to: &E164,
    called: String,
    reason: &'static str,
    from: &str,
) -> Result<Plan<Destination>, Rejection> {
    let diversion = Some(Diversion { from: called.clone(), reason });
    let identity = Identity {
        user: from.to_owned(),
        domain: Some(forwarder.domain.clone()),
        display_name: None,
        private: false,
        assert: false,
    };
    if let Some(facts) = router.directory.number(to).await.map_err(refuse::unavailable)? {
        let owner =
            facts.owner.clone().filter(|o| facts.status == NumberStatus::Active && o.status == AccountStatus::Active);
        let callee = owner.ok_or_else(refuse::unknown)?;
        let mut plan = empty_plan(to.to_string(), Rejection::new(480, Cause::Unreachable));
        plan.diversion = diversion;
        match rule::decide(&facts.rules, router.now, &facts.time_zone) {
            Decision::Reject { .. } => plan.otherwise = Rejection::new(486, Cause::DoNotDisturb),
            // Followed by the machine, which counts forwards: a number that always forwards is unreachable here.
            Decision::Forward(next) => {
                plan.on_unreachable = Some(call::Conditional { to: next.to, rule: next.rule, by: callee.id });
            }
            Decision::Ring { no_answer, .. } => {
                let targets = router.devices_of(&callee, &to.to_string(), &identity);
                let ring_for = no_answer.map_or(router.ring_for, |(after, _)| after);
                if !targets.is_empty() {
                    plan.steps.push(Step { targets, ring_for });
                }
            }
        }
        return Ok(plan);
    }
    // Towards a trunk the forwarding user's number is presented: it is the one that is owned; the caller is in Diversion.
    let own = forwarder.primary_number().map_or_else(|| forwarder.name.clone(), ToString::to_string);
    let shown = Identity { user: own.clone(), ..identity };
    let (steps, rate) = router.trunk_steps(forwarder, to, &shown).await?;
    let mut plan = empty_plan(to.to_string(), Rejection::new(503, Cause::Failure));
    plan.steps = steps;
    plan.diversion = diversion;
    let parties = CallParties {
        call: new_call_id(router),
        sip_call_id: router.sip_call_id.to_owned(),
        tenant: forwarder.tenant,
        user: Some(forwarder.id),
        callee_user: None,
        device: None,
        direction: CallDirection::Outbound,
        from: own,
        to: to.to_string(),
        trunk_in: None,
        started_at: router.now,
    };
    plan.account = Some(Account { parties, tariff: Some((rate, forwarder.wallet)) });
    Ok(plan)
}

fn new_call_id(router: &Router<'_>) -> Id<CallKind> {
    let mut ids: std::sync::MutexGuard<'_, IdGenerator> =
        router.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    ids.next(router.now)
}
