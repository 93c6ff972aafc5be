//! A new INVITE, from its first line to a plan: screen, authenticate, identify, route. Runs in a task of its own; the
//! shard goes on with what it finds.

use std::sync::Arc;
use std::time::Duration;

use base::Timestamp;
use call::Rejection;
use domain::account::{AccountStatus, DeviceMedia, TenantFacts};
use domain::ports::{LegNetwork, MediaProfile};
use sip_proto::{Flow, HeaderName, Message, NameAddr, ResponseBuilder, Uri, reason_phrase};

use crate::authenticate::{Identified, Role};
use crate::context::Context;
use crate::pipeline::identify::{self, CallerFacts, is_anonymous, number_in};
use crate::pipeline::route::{self, Router};
use crate::pipeline::{Routed, TrunkUse};
use crate::refuse;

/// What the pipeline found.
pub(crate) enum Answered {
    /// A call.
    Call(Box<Routed>),
    /// A final refusal.
    Refuse(ResponseBuilder),
    /// Credentials are wanted.
    Challenge(ResponseBuilder),
}

/// Everything before there is a call.
pub(crate) async fn answer(context: &Context, request: &Message, flow: Flow) -> Answered {
    match try_answer(context, request, flow).await {
        Ok(answered) => answered,
        Err(refusal) => Answered::Refuse(refusal_response(request, &refusal)),
    }
}

async fn try_answer(context: &Context, request: &Message, flow: Flow) -> Result<Answered, Rejection> {
    let now = context.now();
    let directory = &*context.deps.directory;
    let uri = request.request_uri().ok_or_else(refuse::unknown)?;
    let (ip, port) = (flow.peer.ip(), flow.peer.port());
    let trunk = directory.trunk_by_source(ip, port).await.map_err(refuse::unavailable)?;
    // Phones may share an address with a trunk (a PBX behind the same NAT): who brings credentials, or is registered on this
    // very flow, is a device.
    let device = request.header(HeaderName::ProxyAuthorization).is_some() || context.location.has_flow(&flow);
    let trunk = trunk.filter(|_| !device);
    let (caller, tenant) = match trunk {
        Some(trunk) => {
            refuse_loop(request, &uri)?;
            let named = tenant_of(context, uri.host(), uri.host_ip()).await?;
            let allowed = |t: &Arc<TenantFacts>| trunk.tenant.is_none_or(|own| own == t.id);
            (identify::trunk(trunk.clone(), request), named.filter(allowed))
        }
        None => {
            let from = request.from().ok_or_else(refuse::forbidden)?;
            // A caller that hides is asked who it is in the domain that it calls.
            let home = if is_anonymous(&from) { &uri } else { &from.uri };
            let tenant = tenant_of(context, home.host(), home.host_ip()).await?.ok_or_else(refuse::forbidden)?;
            let realm = realm_of(context, &tenant, home.host());
            let accounts = &*context.deps.accounts;
            let identified = context.authenticator.identify(accounts, now.wall, Role::Proxy, &realm, request).await;
            match identified.map_err(refuse::unavailable)? {
                Identified::Challenge(values) => {
                    return Ok(Answered::Challenge(challenge(request, Role::Proxy, &values)));
                }
                Identified::Device(device) => {
                    let called = tenant_of(context, uri.host(), uri.host_ip()).await?;
                    // Another tenant's users are reached by their numbers, not by name (W10).
                    let called = called.filter(|t| t.id == device.tenant);
                    (identify::user(directory, device, request).await?, called)
                }
            }
        }
    };
    if tenant.as_ref().is_some_and(|t| t.status != AccountStatus::Active) {
        return Err(refuse::forbidden());
    }
    let router = router(context, now.wall, request.call_id());
    let outcome = router.route(&caller, &uri, tenant.as_deref()).await?;
    let Some(fallback) = tenant_of_caller(&caller, tenant.as_deref(), &outcome) else {
        // A trunk of no tenant, for a number of no tenant: nobody's call, so no record either.
        return Err(refuse::unknown());
    };
    let call = context.new_call_id(now);
    let mut account = route::account(call, request.call_id(), &caller, &outcome, now.wall, fallback);
    account.parties.started_at = now.wall;
    let network = network_of(&caller, request, flow);
    let trunk = match &caller {
        CallerFacts::Trunk { trunk, .. } => Some(TrunkUse { id: trunk.id, calls_max: trunk.calls_max }),
        CallerFacts::User { .. } => None,
    };
    Ok(Answered::Call(Box::new(Routed { account, plan: outcome.plan, network, trunk })))
}

/// A call that a trunk brings back after we had forwarded it, or that was forwarded too often on its way: 482 before it holds
/// the forwarding user's money once more (RFC 5806 names who forwarded).
fn refuse_loop(request: &Message, called: &Uri) -> Result<(), Rejection> {
    let called = called.user_unescaped().and_then(|u| number_in(&u));
    let mut forwards = 0;
    for (_, value) in request.headers().filter(|(name, _)| name.eq_ignore_ascii_case("Diversion")) {
        for value in value.split(',') {
            forwards += 1;
            let by = NameAddr::parse(value.trim()).ok().and_then(|n| number_in(&n.uri.user_unescaped()?));
            if called.is_some() && by == called {
                return Err(refuse::looping());
            }
        }
    }
    if forwards > usize::from(base::limits::CALL_FORWARDS_MAX) { Err(refuse::looping()) } else { Ok(()) }
}

fn tenant_of_caller(
    caller: &CallerFacts,
    named: Option<&TenantFacts>,
    outcome: &route::Outcome,
) -> Option<base::Id<base::id::kind::Tenant>> {
    match caller {
        CallerFacts::User { user, .. } => Some(user.tenant),
        CallerFacts::Trunk { trunk, .. } => {
            outcome.callee.as_ref().map(|u| u.tenant).or(trunk.tenant).or_else(|| named.map(|t| t.id))
        }
    }
}

/// How the caller's own media is to be treated.
fn network_of(caller: &CallerFacts, request: &Message, flow: Flow) -> LegNetwork {
    let contact_ip = request.contact().and_then(|c| c.uri.host_ip());
    let behind_nat = match caller {
        CallerFacts::User { .. } => contact_ip.is_none_or(|ip| ip != flow.peer.ip()),
        CallerFacts::Trunk { .. } => false,
    };
    // A device that is to speak SRTP is not let off with plain RTP because it was the one to call: 488 (T16).
    let profile = match caller {
        CallerFacts::User { device, .. } if device.media == DeviceMedia::Sdes => Some(MediaProfile::Sdes),
        CallerFacts::User { .. } | CallerFacts::Trunk { .. } => None,
    };
    LegNetwork { profile, signalled_from: flow.peer.ip(), behind_nat }
}

/// The tenant meant by a host: the owner of the domain, or of the default domain when it is one of our addresses.
pub(crate) async fn tenant_of(
    context: &Context,
    host: &str,
    ip: Option<std::net::IpAddr>,
) -> Result<Option<Arc<TenantFacts>>, Rejection> {
    let ours = ip.is_some_and(|ip| context.transports.is_own_address(ip)) || host.eq_ignore_ascii_case("localhost");
    let domain = if ours { context.config.default_domain.as_str() } else { host };
    if domain.is_empty() {
        return Ok(None);
    }
    context.deps.directory.tenant_of_domain(domain).await.map_err(refuse::unavailable)
}

/// The realm of a host: the domain as the tenant has it, lower case.
pub(crate) fn realm_of(context: &Context, tenant: &TenantFacts, host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if tenant.domains.contains(&host) { host } else { context.config.default_domain.clone() }
}

/// The router with the settings in force.
pub(crate) fn router<'a>(context: &'a Context, now: Timestamp, sip_call_id: &'a str) -> Router<'a> {
    Router {
        directory: &*context.deps.directory,
        contacts: &*context.location,
        now,
        ring_for: Duration::from_secs(context.config.ring_timeout_s),
        trunk_for: Duration::from_secs(context.config.trunk_timeout_s),
        echo_code: &context.config.echo_code,
        media_flow: context.media_flow,
        ids: &context.ids,
        sip_call_id,
    }
}

/// 401 or 407 with its challenges.
pub(crate) fn challenge(request: &Message, role: Role, values: &[String]) -> ResponseBuilder {
    let response = ResponseBuilder::to(request, role.status(), reason_phrase(role.status()));
    values.iter().fold(response, |response, value| response.header(role.challenge_header(), value))
}

fn refusal_response(request: &Message, refusal: &Rejection) -> ResponseBuilder {
    let response = ResponseBuilder::to(request, refusal.status, reason_phrase(refusal.status));
    let response = response.header(HeaderName::Reason, format_args!("Q.850;cause={}", refusal.q850));
    if refusal.status == 503 { response.header(HeaderName::RetryAfter, 5) } else { response }
}
