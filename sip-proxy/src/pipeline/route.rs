//! Where a call goes: a service, a user by name or number, or out by trunks; and who pays at which price.

use std::sync::Arc;
use std::time::Duration;

use base::id::kind::{Call as CallKind, Tenant};
use base::{E164, Id, Timestamp};
use call::{Account, Cause, Conditional, Plan, Rejection, Step, Target};
use domain::account::{AccountStatus, DeviceMedia, TenantFacts, UserFacts};
use domain::call_record::{CallDirection, CallParties};
use domain::number::{NumberFacts, NumberStatus};
use domain::ports::{Directory, LegNetwork, MediaProfile};
use domain::rate::{Rate, Service};
use domain::rule::{self, Decision};
use domain::trunk::{TrunkFacts, TrunkTransport};
use sip_proto::{Flow, Transport, Uri};

use super::identify::{CallerFacts, number_in};
use super::{Destination, Identity, TrunkUse};
use crate::location::Contacts;
use crate::refuse;

/// What routing needs besides the caller: ports, settings, the moment.
pub(crate) struct Router<'a> {
    pub(crate) directory: &'a dyn Directory,
    pub(crate) contacts: &'a dyn Contacts,
    pub(crate) now: Timestamp,
    pub(crate) ring_for: Duration,
    pub(crate) trunk_for: Duration,
    pub(crate) echo_code: &'a str,
    /// Host under which media applications are dialled, and the way to them.
    pub(crate) media_flow: Flow,
    /// Numbers the records of forwarded legs.
    pub(crate) ids: &'a std::sync::Mutex<base::IdGenerator>,
    /// Call-ID of the caller's leg, for the records of forwarded legs.
    pub(crate) sip_call_id: &'a str,
}

/// A plan and, on the way there, who is called.
pub(crate) struct Outcome {
    pub(crate) plan: Plan<Destination>,
    pub(crate) direction: CallDirection,
    pub(crate) callee: Option<Arc<UserFacts>>,
    /// The dialled number or name, for the record.
    pub(crate) to: String,
    /// Price and payer of what the plan reaches; `None`: nothing is charged.
    pub(crate) charge: Option<(Rate, Arc<UserFacts>)>,
}

impl Router<'_> {
    /// Routes `uri` for a caller of `tenant`.
    pub(crate) async fn route(
        &self,
        caller: &CallerFacts,
        uri: &Uri,
        tenant: Option<&TenantFacts>,
    ) -> Result<Outcome, Rejection> {
        let user = uri.user_unescaped().ok_or_else(refuse::unknown)?.into_owned();
        let identity = identity_of(caller);
        if matches!(caller, CallerFacts::User { .. }) && (user == self.echo_code || user == "echo") {
            return Ok(self.service("echo", &user, identity));
        }
        if let Some(tenant) = tenant {
            let named = self.directory.user_by_name(tenant.id, &user).await.map_err(refuse::unavailable)?;
            if let Some(callee) = named {
                return self.to_user(caller, callee, identity).await;
            }
        }
        let Some(number) = number_in(&user) else { return Err(refuse::unknown()) };
        match self.directory.number(&number).await.map_err(refuse::unavailable)? {
            Some(facts) => self.to_number(caller, facts, identity).await,
            None => self.to_trunks(caller, &number, identity).await,
        }
    }

    /// A user dialled by name: the rules of its primary number hold, so that nobody calls around them.
    async fn to_user(
        &self,
        caller: &CallerFacts,
        callee: Arc<UserFacts>,
        identity: Identity,
    ) -> Result<Outcome, Rejection> {
        let facts = match callee.primary_number() {
            Some(number) => self.directory.number(number).await.map_err(refuse::unavailable)?,
            None => None,
        };
        let called = callee.address_of_record();
        let (rules, zone) = facts.as_ref().map_or((&[][..], "UTC"), |f| (&f.rules[..], f.time_zone.as_str()));
        let decision = rule::decide(rules, self.now, zone);
        self.to_callee(caller, callee, called, decision, facts.as_deref(), identity).await
    }

    async fn to_number(
        &self,
        caller: &CallerFacts,
        facts: Arc<NumberFacts>,
        identity: Identity,
    ) -> Result<Outcome, Rejection> {
        let called = facts.number.to_string();
        let owner = facts.owner.clone().filter(|_| facts.status == NumberStatus::Active);
        let Some(callee) = owner else {
            return Ok(self.not_in_service(caller, called, identity));
        };
        let decision = rule::decide(&facts.rules, self.now, &facts.time_zone);
        self.to_callee(caller, callee, called, decision, Some(&facts), identity).await
    }

    async fn to_callee(
        &self,
        caller: &CallerFacts,
        callee: Arc<UserFacts>,
        called: String,
        decision: Decision,
        number: Option<&NumberFacts>,
        identity: Identity,
    ) -> Result<Outcome, Rejection> {
        if callee.status != AccountStatus::Active {
            return Ok(self.not_in_service(caller, called, identity));
        }
        let (direction, charge) = self.charge_to_callee(caller, &callee, number).await?;
        let mut plan = empty_plan(
            called.clone(),
            Rejection { cause: Cause::Unreachable, ..Rejection::new(480, Cause::Unreachable) },
        );
        match decision {
            Decision::Reject { .. } => plan.otherwise = Rejection::new(486, Cause::DoNotDisturb),
            Decision::Forward(forward) => {
                let reason = "unconditional";
                plan = super::forward::plan(self, &callee, &forward.to, called.clone(), reason, &caller.presented())
                    .await?;
            }
            Decision::Ring { busy, no_answer, unreachable } => {
                let by = callee.id;
                let conditional = |f: rule::Forward| Conditional { to: f.to, rule: f.rule, by };
                let ring_for = no_answer.as_ref().map_or(self.ring_for, |(after, _)| *after);
                plan.on_busy = busy.map(conditional);
                plan.on_no_answer = no_answer.map(|(_, f)| conditional(f));
                plan.on_unreachable = unreachable.map(conditional);
                let targets = self.devices_of(&callee, &called, &identity);
                if !targets.is_empty() {
                    plan.steps.push(Step { targets, ring_for });
                }
            }
        }
        Ok(Outcome { plan, direction, callee: Some(callee), to: called, charge })
    }

    /// The steps that ring a user's devices; none when none is registered.
    pub(crate) fn devices_of(&self, callee: &UserFacts, called: &str, identity: &Identity) -> Vec<Target<Destination>> {
        // A name that a trunk brings is not one of ours, whatever it looks like; only numbers are shown in our domain.
        let number = identity.user.starts_with('+').then(|| callee.domain.clone());
        let domain = identity.domain.clone().or(number);
        let contacts = self.contacts.of_user(callee.id, self.now);
        contacts
            .into_iter()
            .map(|contact| {
                let media =
                    callee.devices.iter().find(|(id, _)| *id == contact.device).map_or(DeviceMedia::Auto, |d| d.1);
                Target {
                    destination: Destination {
                        uri: contact.uri,
                        to: format!(
                            "sip:{called}{}",
                            if called.contains('@') { String::new() } else { format!("@{}", callee.domain) }
                        ),
                        flow: Some(contact.flow),
                        transport: contact.flow.transport,
                        identity: Identity { domain: domain.clone(), ..identity.clone() },
                        trunk: None,
                        owner: Some((callee.id, contact.device)),
                    },
                    network: LegNetwork {
                        profile: Some(profile_of(media, contact.flow.transport)),
                        signalled_from: contact.flow.peer.ip(),
                        behind_nat: contact.behind_nat,
                    },
                    trunk: None,
                }
            })
            .collect()
    }

    /// Direction and price of a call to one of our users.
    async fn charge_to_callee(
        &self,
        caller: &CallerFacts,
        callee: &Arc<UserFacts>,
        number: Option<&NumberFacts>,
    ) -> Result<(CallDirection, Option<(Rate, Arc<UserFacts>)>), Rejection> {
        let number = number.map(|n| &n.number).or_else(|| callee.primary_number());
        match caller {
            CallerFacts::User { user, .. } => {
                let rate = match number {
                    Some(number) => self.rate(user.tenant, Service::VoiceOnNet, number).await?,
                    None => None,
                };
                Ok((CallDirection::OnNet, rate.map(|r| (r, Arc::clone(user)))))
            }
            CallerFacts::Trunk { .. } => {
                let tenant = self.directory.tenant(callee.tenant).await.map_err(refuse::unavailable)?;
                let rate = match (number, tenant) {
                    (Some(number), Some(tenant)) if tenant.inbound_charged => {
                        self.rate(tenant.id, Service::VoiceIn, number).await?
                    }
                    _ => None,
                };
                Ok((CallDirection::Inbound, rate.map(|r| (r, Arc::clone(callee)))))
            }
        }
    }

    async fn to_trunks(&self, caller: &CallerFacts, number: &E164, identity: Identity) -> Result<Outcome, Rejection> {
        let CallerFacts::User { user, .. } = caller else {
            // A trunk that sends us a number that is not ours wants transit, which nobody pays.
            return Ok(self.not_in_service(caller, number.to_string(), identity));
        };
        let (steps, rate) = self.trunk_steps(user, number, &identity).await?;
        let mut plan = empty_plan(number.to_string(), Rejection::new(503, Cause::Failure));
        plan.steps = steps;
        Ok(Outcome {
            plan,
            direction: CallDirection::Outbound,
            callee: None,
            to: number.to_string(),
            charge: Some((rate, Arc::clone(user))),
        })
    }

    /// Trunks to a number in the order in which to try them, and the payer's price.
    pub(crate) async fn trunk_steps(
        &self,
        payer: &UserFacts,
        number: &E164,
        identity: &Identity,
    ) -> Result<(Vec<Step<Destination>>, Rate), Rejection> {
        let trunks = self.directory.trunks_for(payer.tenant, number).await.map_err(refuse::unavailable)?;
        let rate = self.rate(payer.tenant, Service::VoiceOut, number).await?.ok_or_else(refuse::no_route)?;
        let identity = Identity { assert: true, domain: None, ..identity.clone() };
        let steps: Vec<_> = trunks.iter().filter_map(|t| self.trunk_step(t, number, &identity)).collect();
        if steps.is_empty() { Err(refuse::no_route()) } else { Ok((steps, rate)) }
    }

    fn trunk_step(&self, trunk: &TrunkFacts, number: &E164, identity: &Identity) -> Option<Step<Destination>> {
        let target = trunk.target.as_ref()?;
        let transport = match target.transport {
            TrunkTransport::Udp => Transport::Udp,
            TrunkTransport::Tcp => Transport::Tcp,
            TrunkTransport::Tls => Transport::Tls,
        };
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let suffix = match transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Udp | Transport::Ws | Transport::Wss | Transport::Memory => "",
        };
        let destination = Destination {
            uri: format!("sip:{number}@{host}:{}{suffix}", target.port),
            to: format!("sip:{number}@{host}"),
            flow: None,
            transport,
            identity: identity.clone(),
            trunk: Some(TrunkUse { id: trunk.id, calls_max: trunk.calls_max }),
            owner: None,
        };
        let signalled_from = target.host.parse().unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        let network = LegNetwork { profile: Some(MediaProfile::Rtp), signalled_from, behind_nat: false };
        Some(Step { targets: vec![Target { destination, network, trunk: Some(trunk.id) }], ring_for: self.trunk_for })
    }

    async fn rate(&self, tenant: Id<Tenant>, service: Service, number: &E164) -> Result<Option<Rate>, Rejection> {
        self.directory.rate(tenant, service, number).await.map_err(refuse::unavailable)
    }

    /// A media application, dialled as a leg; never charged.
    pub(crate) fn service(&self, app: &str, called: &str, identity: Identity) -> Outcome {
        let destination = Destination {
            uri: format!("sip:{app}@media.invalid"),
            to: format!("sip:{app}@media.invalid"),
            flow: Some(self.media_flow),
            transport: Transport::Memory,
            identity,
            trunk: None,
            owner: None,
        };
        let network = LegNetwork {
            profile: Some(MediaProfile::Rtp),
            signalled_from: self.media_flow.peer.ip(),
            behind_nat: false,
        };
        let mut plan = empty_plan(called.to_owned(), Rejection::new(503, Cause::Unavailable));
        plan.steps.push(Step { targets: vec![Target { destination, network, trunk: None }], ring_for: self.ring_for });
        Outcome { plan, direction: CallDirection::OnNet, callee: None, to: called.to_owned(), charge: None }
    }

    /// The announcement for numbers that lead nowhere: early media, then 404.
    fn not_in_service(&self, caller: &CallerFacts, called: String, identity: Identity) -> Outcome {
        let direction = match caller {
            CallerFacts::User { .. } => CallDirection::OnNet,
            CallerFacts::Trunk { .. } => CallDirection::Inbound,
        };
        let mut outcome = self.service("not-in-service", &called, identity);
        outcome.plan.otherwise = refuse::unknown();
        Outcome { direction, ..outcome }
    }
}

pub(crate) fn empty_plan(called: String, otherwise: Rejection) -> Plan<Destination> {
    Plan {
        steps: Vec::new(),
        on_busy: None,
        on_no_answer: None,
        on_unreachable: None,
        otherwise,
        account: None,
        called,
        diversion: None,
    }
}

/// How a caller is shown to a device; trunks override domain and assertion.
fn identity_of(caller: &CallerFacts) -> Identity {
    match caller {
        CallerFacts::User { user, caller_id, private, .. } => Identity {
            private: *private,
            user: caller_id.as_ref().map_or_else(|| user.name.clone(), ToString::to_string),
            domain: Some(user.domain.clone()),
            display_name: user.display_name.clone(),
            assert: false,
        },
        CallerFacts::Trunk { from, display_name, private, .. } => Identity {
            user: from.clone(),
            domain: None,
            display_name: display_name.clone(),
            private: *private,
            assert: false,
        },
    }
}

const fn profile_of(media: DeviceMedia, transport: Transport) -> MediaProfile {
    match (media, transport) {
        (DeviceMedia::Sdes, _) | (DeviceMedia::Auto, Transport::Tls | Transport::Wss) => MediaProfile::Sdes,
        (DeviceMedia::Rtp, _)
        | (DeviceMedia::Auto, Transport::Udp | Transport::Tcp | Transport::Ws | Transport::Memory) => MediaProfile::Rtp,
    }
}

/// Record and payer of a routed call.
pub(crate) fn account(
    call: Id<CallKind>,
    sip_call_id: &str,
    caller: &CallerFacts,
    outcome: &Outcome,
    now: Timestamp,
    fallback_tenant: Id<Tenant>,
) -> Account {
    let (user, device, trunk_in, tenant) = match caller {
        CallerFacts::User { user, device, .. } => (Some(user.id), Some(device.device), None, user.tenant),
        CallerFacts::Trunk { trunk, .. } => {
            let owner = outcome.callee.as_ref();
            let tenant = owner.map(|u| u.tenant).or(trunk.tenant).unwrap_or(fallback_tenant);
            (owner.map(|u| u.id), None, Some(trunk.id), tenant)
        }
    };
    let parties = CallParties {
        call,
        sip_call_id: sip_call_id.to_owned(),
        tenant,
        user,
        callee_user: outcome.callee.as_ref().map(|u| u.id),
        device,
        direction: outcome.direction,
        from: caller.presented(),
        to: outcome.to.clone(),
        trunk_in,
        started_at: now,
    };
    Account { parties, tariff: outcome.charge.as_ref().map(|(rate, payer)| (*rate, payer.wallet)) }
}
