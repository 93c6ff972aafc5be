//! REGISTER: who it is, whose address it may bind, and what the registrar makes of it (RFC 3261 §10).

use base::limits::SIP_BINDINGS_PER_USER_MAX;
use call::Rejection;
use domain::account::{AccountStatus, UserFacts};
use sip_proto::registrar::{self, Policy};
use sip_proto::{Flow, HeaderName, Message, ResponseBuilder, Uri, reason_phrase};

use crate::authenticate::{Identified, Role};
use crate::context::Context;
use crate::invite::{challenge, realm_of, tenant_of};
use crate::location::Placed;
use crate::pipeline::identify::number_in;
use crate::refuse;

/// Answers a REGISTER; the response has no To tag yet.
pub(crate) async fn answer(context: &Context, request: &Message, flow: Flow) -> ResponseBuilder {
    match try_answer(context, request, flow).await {
        Ok(response) => response,
        Err(refusal) => {
            context.metrics.registers_refused.increment();
            let response = ResponseBuilder::to(request, refusal.status, reason_phrase(refusal.status));
            if refusal.status == 503 { response.header(HeaderName::RetryAfter, 5) } else { response }
        }
    }
}

async fn try_answer(context: &Context, request: &Message, flow: Flow) -> Result<ResponseBuilder, Rejection> {
    let now = context.now().wall;
    let to = request.to().ok_or_else(refuse::unknown)?;
    let tenant = tenant_of(context, to.uri.host(), to.uri.host_ip()).await?.ok_or_else(refuse::forbidden)?;
    let realm = realm_of(context, &tenant, to.uri.host());
    let accounts = &*context.deps.accounts;
    let identified = context.authenticator.identify(accounts, now, Role::Registrar, &realm, request).await;
    let device = match identified.map_err(refuse::unavailable)? {
        Identified::Device(device) => device,
        Identified::Challenge(values) => {
            context.metrics.challenges.increment();
            return Ok(challenge(request, Role::Registrar, &values));
        }
    };
    let user = context.deps.directory.user(device.user).await.map_err(refuse::unavailable)?;
    let user = user.ok_or_else(refuse::forbidden)?;
    let active = device.status == AccountStatus::Active && user.status == AccountStatus::Active;
    if !active || !may_bind(&user, &device.username, &to.uri) {
        // Whatever a suspended user, or a suspended device of an active one, had registered is forgotten.
        if user.status != AccountStatus::Active {
            context.location.update(user.id, Vec::clear);
        } else if !active {
            context.location.update(user.id, |placed| placed.retain(|p| p.device != device.device));
        }
        return Err(refuse::forbidden());
    }
    let policy = Policy {
        expires_min_s: context.config.register_expires_min_s,
        expires_default_s: context.config.register_expires_default_s,
        expires_max_s: context.config.register_expires_max_s,
        contacts_max: SIP_BINDINGS_PER_USER_MAX,
    };
    let outcome = context.location.update(user.id, |placed| {
        let existing: Vec<_> = placed.iter().map(|p| p.binding.clone()).collect();
        let registration = registrar::register(request, &flow, &existing, &policy, now)?;
        let owner = |binding: &registrar::Binding| {
            let unchanged = placed.iter().find(|p| p.binding == *binding);
            unchanged.map_or(device.device, |p| p.device)
        };
        *placed = registration.bindings.iter().map(|b| Placed { device: owner(b), binding: b.clone() }).collect();
        Ok::<_, registrar::RegisterRefusal>(registration)
    });
    Ok(match outcome {
        Ok(registration) => {
            context.metrics.registers_accepted.increment();
            registration.response(request)
        }
        Err(refusal) => {
            context.metrics.registers_refused.increment();
            refusal.response(request)
        }
    })
}

/// Whether a device of `user` may bind the address-of-record `to`: the user's name, the device's own name, or one of the
/// user's numbers (SP36). The domain has been checked by then: it gave the realm.
fn may_bind(user: &UserFacts, device_username: &str, to: &Uri) -> bool {
    let Some(name) = to.user_unescaped() else { return false };
    name == user.name || name == device_username || number_in(&name).is_some_and(|n| user.owns(&n))
}
