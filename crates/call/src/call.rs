//! The machine: from an offer and a plan to two sides that talk. How it ends is in `end.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base::id::kind::MediaSession;
use base::{Id, Timestamp, limits};
use domain::call_record::CallState;
use domain::ports::{BillingError, LegIndex, LegNetwork, MediaAnswer, MediaError, MediaOffer, MediaSignal, NewCall};
use domain::wallet::Grant;

use crate::account::Account;
use crate::cause::{Cause, EndedBy, Rejection, outcome_of_status};
use crate::input::{Input, LegEvent, Now};
use crate::leg::{Asking, Leg, LegState};
use crate::meter::{Due, Meter};
use crate::output::{Ask, Diversion, LegCommand, Output};
use crate::plan::{Conditional, Plan, Step};

/// The caller's leg.
pub(crate) const CALLER: LegIndex = 0;

/// Settings of a call; it keeps those that it started with.
#[derive(Debug, Clone, Copy)]
pub struct CallConfig {
    /// How long a reservation lives without a sign of life.
    pub reservation_ttl: Duration,
    /// Longest call; `None`: no limit.
    pub talk_max: Option<Duration>,
}

/// The side that calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The relay session to use.
    pub session: Id<MediaSession>,
    /// How its media is to be treated.
    pub network: LegNetwork,
    /// Its offer.
    pub sdp: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The record is being opened, money set aside.
    Opening,
    /// A forward is being looked up.
    Routing,
    /// Targets of a step are called.
    Trying,
    /// A target answered; the relay is asked.
    Connecting(LegIndex),
    /// Both talk.
    Talking(LegIndex),
    /// Waiting for answers before the records are closed.
    Ending,
    /// Done.
    Ended,
}

/// One account and its money.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) account: Account,
    pub(crate) meter: Option<Meter>,
    pub(crate) state: CallState,
    /// Whether the record exists in the store.
    pub(crate) opened: bool,
}

/// A call. Drain [`Self::poll_output`] after every [`Self::handle`].
#[derive(Debug, Clone)]
pub struct Call<D> {
    pub(crate) config: CallConfig,
    pub(crate) session: Id<MediaSession>,
    pub(crate) offer: String,
    pub(crate) legs: Vec<Leg<D>>,
    pub(crate) charges: Vec<Charge>,
    pub(crate) phase: Phase,
    pub(crate) outputs: VecDeque<Output<D>>,
    pub(crate) plan: Plan<D>,
    steps: VecDeque<Step<D>>,
    /// First leg of the step that is being tried.
    step_from: usize,
    ring_until: Option<Instant>,
    pub(crate) answered: Option<Now>,
    /// The leg with which the caller talked.
    pub(crate) connected: Option<LegIndex>,
    /// Who re-offers at the moment.
    reoffer: Option<LegIndex>,
    pub(crate) forwards: u8,
    pub(crate) diversion: Option<Diversion>,
    pub(crate) opens_pending: usize,
    pub(crate) delete_pending: bool,
    pub(crate) media_used: bool,
    pub(crate) ending: Option<crate::end::Ending>,
}

impl<D: Clone> Call<D> {
    /// A call with its first plan. Its record, and that of a user who forwards it unconditionally (`plan.account`), are
    /// opened before anything rings.
    pub fn start(caller: Caller, mut plan: Plan<D>, account: Account, config: CallConfig) -> Self {
        let forwarder = plan.account.take();
        let mut call = Self {
            config,
            session: caller.session,
            offer: caller.sdp,
            legs: vec![Leg::new(None, caller.network, None, LegState::Inviting)],
            charges: Vec::new(),
            phase: Phase::Opening,
            outputs: VecDeque::new(),
            steps: plan.steps.drain(..).collect(),
            diversion: plan.diversion.take(),
            plan,
            step_from: 1,
            ring_until: None,
            answered: None,
            connected: None,
            reoffer: None,
            forwards: 0,
            opens_pending: 0,
            delete_pending: false,
            media_used: false,
            ending: None,
        };
        call.open(account);
        if let Some(account) = forwarder {
            call.open(account);
        }
        call
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output<D>> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let meters = self.charges.iter().filter_map(|c| c.meter.as_ref()?.next());
        let talk_end = self.answered.zip(self.config.talk_max).map(|(at, max)| at.instant + max);
        match self.phase {
            Phase::Ending | Phase::Ended => None,
            Phase::Opening | Phase::Routing | Phase::Trying | Phase::Connecting(_) | Phase::Talking(_) => {
                meters.chain(self.ring_until).chain(talk_end).min()
            }
        }
    }

    /// The first account's parties: who called whom.
    pub fn parties(&self) -> Option<&domain::call_record::CallParties> {
        self.charges.first().map(|c| &c.account.parties)
    }

    /// The record's present state.
    pub fn state(&self) -> CallState {
        self.charges.first().map_or(CallState::Initiated, |c| c.state)
    }

    /// When it was answered.
    pub fn answered_at(&self) -> Option<Timestamp> {
        self.answered.map(|n| n.wall)
    }

    /// Feeds one input. What is late (a leg that is gone, a question that is moot) changes nothing.
    pub fn handle(&mut self, now: Now, input: Input<D>) {
        match input {
            Input::Opened(account, result) => self.on_opened(now, account, result),
            Input::Extended(account, result) => self.on_extended(now, account, result),
            Input::Planned(result) => self.on_planned(now, result),
            Input::Offered(leg, result) => self.on_offered(now, leg, result),
            Input::MediaAnswered(leg, result) => self.on_media_answered(now, leg, result),
            Input::Deleted(statistics) => self.on_deleted(statistics),
            Input::End(cause) => self.finish(now, cause, EndedBy::Switch, None),
            Input::Timeout => self.on_timeout(now),
            Input::Leg(leg, event) => self.on_leg(now, leg, event),
        }
    }

    fn open(&mut self, account: Account) {
        let meter = account.tariff.filter(|(rate, _)| !rate.is_free()).map(|(rate, wallet)| Meter::new(rate, wallet));
        let new = NewCall {
            parties: account.parties.clone(),
            hold: meter.as_ref().map(Meter::first_hold),
            rate: account.tariff.map(|(rate, _)| rate),
            ttl: self.config.reservation_ttl,
        };
        self.charges.push(Charge { account, meter, state: CallState::Initiated, opened: false });
        self.opens_pending += 1;
        self.ask(Ask::Open(self.charges.len() - 1, Box::new(new)));
    }

    fn on_opened(&mut self, now: Now, index: usize, result: Result<Option<Grant>, BillingError>) {
        self.opens_pending = self.opens_pending.saturating_sub(1);
        let Some(charge) = self.charges.get_mut(index) else { return };
        let refusal = match result {
            Ok(grant) => {
                charge.opened = true;
                if let (Some(meter), Some(grant)) = (charge.meter.as_mut(), grant) {
                    meter.granted(now.instant, grant);
                }
                None
            }
            // A caller is not told that the forwarding user's wallet is empty.
            Err(BillingError::NoCredit) if index > 0 => Some(Rejection::new(480, Cause::Unreachable)),
            Err(BillingError::NoCredit) => Some(Rejection::new(402, Cause::NoCredit)),
            Err(BillingError::Unknown) => Some(Rejection::new(403, Cause::Forbidden)),
            Err(BillingError::Unavailable(_)) => Some(Rejection::new(503, Cause::Unavailable)),
        };
        match (self.phase, refusal) {
            (Phase::Ending, _) => self.settle_when_ready(),
            (Phase::Opening, Some(refusal)) => {
                self.finish(now, refusal.cause, EndedBy::Switch, Some(refusal));
            }
            (Phase::Opening, None) => {
                let parties = self.charges[index].account.parties.clone();
                self.outputs.push_back(Output::Publish(parties, CallState::Initiated));
                if self.opens_pending == 0 {
                    self.next_step(now, None);
                }
            }
            (Phase::Routing | Phase::Trying | Phase::Connecting(_) | Phase::Talking(_) | Phase::Ended, _) => {}
        }
    }

    /// Calls the next step's targets; without one, acts on why the last one failed.
    fn next_step(&mut self, now: Now, failed: Option<Rejection>) {
        let Some(step) = self.steps.pop_front() else {
            let failed = failed.unwrap_or_else(|| self.plan.otherwise.clone());
            return self.give_up_plan(now, failed);
        };
        self.phase = Phase::Trying;
        self.step_from = self.legs.len();
        self.ring_until = Some(now.instant + step.ring_for);
        self.media_used = true;
        for target in step.targets.into_iter().take(limits::CALL_PARALLEL_LEGS_MAX) {
            let Ok(index) = LegIndex::try_from(self.legs.len()) else { break };
            self.ask(Ask::Offer(MediaOffer {
                session: self.session,
                from: CALLER,
                from_network: self.legs[0].network,
                to: index,
                to_network: target.network,
                sdp: self.offer.clone(),
            }));
            let leg = Leg::new(Some(target.destination), target.network, target.trunk, LegState::Offering);
            self.legs.push(leg);
        }
        self.judge_step(now);
    }

    fn on_offered(&mut self, now: Now, index: LegIndex, result: Result<String, MediaError>) {
        if let Phase::Talking(peer) = self.phase {
            return self.on_reoffer_prepared(peer, index, result);
        }
        let Some(leg) = self.legs.get_mut(usize::from(index)).filter(|l| l.state == LegState::Offering) else { return };
        match result {
            Ok(sdp) => {
                leg.state = LegState::Inviting;
                if let Some(destination) = leg.destination.take() {
                    let diversion = self.diversion.clone();
                    self.say(index, LegCommand::Invite { destination, sdp, diversion });
                }
            }
            Err(error) => {
                leg.state = LegState::Gone;
                leg.refused = Some(match error {
                    MediaError::Malformed(_) | MediaError::NotAcceptable(_) => 488,
                    MediaError::Full(_) | MediaError::Unknown => 503,
                });
                self.judge_step(now);
            }
        }
    }

    fn on_leg(&mut self, now: Now, index: LegIndex, event: LegEvent) {
        if !self.legs.get(usize::from(index)).is_some_and(Leg::is_live) {
            return;
        }
        match (index, event) {
            (CALLER, LegEvent::Cancelled) => self.finish(now, Cause::Cancelled, EndedBy::Caller, None),
            (_, LegEvent::HungUp) => self.on_hung_up(now, index),
            (_, LegEvent::Reoffer { sdp }) => self.on_reoffer(index, sdp),
            (_, LegEvent::Reanswer { result }) => self.on_reanswer(index, result),
            (CALLER, LegEvent::Provisional { .. } | LegEvent::Accepted { .. } | LegEvent::Rejected { .. }) => {}
            (_, LegEvent::Provisional { status, sdp }) => self.on_provisional(now, index, status, sdp),
            (_, LegEvent::Accepted { sdp }) => self.on_accepted(now, index, sdp),
            (_, LegEvent::Rejected { status }) => self.on_rejected(now, index, status),
            (_, LegEvent::Cancelled) => {}
        }
    }

    fn on_provisional(&mut self, now: Now, index: LegIndex, status: u16, sdp: Option<String>) {
        if self.phase != Phase::Trying {
            return;
        }
        self.progress(now, CallState::Ringing);
        let early_elsewhere =
            self.legs.iter().enumerate().any(|(i, l)| i != usize::from(index) && l.is_live() && l.early_sdp.is_some());
        let leg = &mut self.legs[usize::from(index)];
        leg.rang = true;
        match sdp {
            Some(sdp) if !early_elsewhere && leg.asking.is_none() => {
                leg.early_sdp = Some(sdp.clone());
                self.ask_answer(index, sdp, Asking::Early(status));
            }
            Some(_) => {}
            None if status == 180 || status == 183 => {
                self.say(CALLER, LegCommand::Provisional { status: 180, sdp: None });
            }
            None => {}
        }
    }

    fn on_accepted(&mut self, now: Now, index: LegIndex, sdp: Option<String>) {
        if self.phase != Phase::Trying {
            // Another leg was faster; the driver has been told to cancel this one, and hangs up by itself.
            return;
        }
        self.cancel_others(index, true);
        let leg = &mut self.legs[usize::from(index)];
        leg.state = LegState::Answered;
        self.ring_until = None;
        self.phase = Phase::Connecting(index);
        let Some(sdp) = sdp.or_else(|| leg.early_sdp.clone()) else {
            let refusal = Rejection::new(500, Cause::Media);
            return self.finish(now, Cause::Media, EndedBy::Switch, Some(refusal));
        };
        if leg.asking.is_some() {
            leg.accepted_sdp = Some(sdp);
        } else {
            self.ask_answer(index, sdp, Asking::Final);
        }
    }

    fn on_media_answered(&mut self, now: Now, index: LegIndex, result: Result<String, MediaError>) {
        let Some(leg) = self.legs.get_mut(usize::from(index)) else { return };
        let Some(asking) = leg.asking.take() else { return };
        let accepted = leg.accepted_sdp.take();
        match (self.phase, asking, result) {
            (Phase::Connecting(_), Asking::Early(_), _) => {
                if let Some(sdp) = accepted {
                    self.ask_answer(index, sdp, Asking::Final);
                }
            }
            (Phase::Trying, Asking::Early(status), Ok(sdp)) => {
                self.say(CALLER, LegCommand::Provisional { status: status.max(183), sdp: Some(sdp) });
            }
            (Phase::Trying, Asking::Early(_), Err(_)) => self.legs[usize::from(index)].early_sdp = None,
            (Phase::Connecting(_), Asking::Final, Ok(sdp)) => self.connected(now, index, sdp),
            (Phase::Connecting(_), Asking::Final, Err(_)) => {
                let refusal = Rejection::new(488, Cause::Media);
                self.finish(now, Cause::Media, EndedBy::Switch, Some(refusal));
            }
            (Phase::Talking(peer), Asking::Reoffer, result) => self.on_reoffer_done(peer, result),
            (Phase::Opening | Phase::Routing | Phase::Ending | Phase::Ended, _, _)
            | (Phase::Trying | Phase::Talking(_), Asking::Final, _)
            | (Phase::Trying | Phase::Connecting(_), Asking::Reoffer, _)
            | (Phase::Talking(_), Asking::Early(_), _) => {}
        }
    }

    fn connected(&mut self, now: Now, index: LegIndex, sdp: String) {
        self.phase = Phase::Talking(index);
        self.answered = Some(now);
        self.connected = Some(index);
        self.legs[0].state = LegState::Answered;
        self.say(CALLER, LegCommand::Accept { sdp });
        for charge in &mut self.charges {
            if let Some(meter) = charge.meter.as_mut() {
                meter.start(now.instant);
            }
        }
        self.progress(now, CallState::Answered);
    }

    fn on_rejected(&mut self, now: Now, index: LegIndex, status: u16) {
        let leg = &mut self.legs[usize::from(index)];
        leg.state = LegState::Gone;
        leg.refused = Some(status);
        self.ask(Ask::DropLeg(self.session, index));
        if self.phase == Phase::Trying {
            self.judge_step(now);
        }
    }

    /// When all legs of the step are gone: the next step if they could not be reached, else why not.
    fn judge_step(&mut self, now: Now) {
        let legs = &self.legs[self.step_from..];
        if self.phase != Phase::Trying || legs.iter().any(Leg::is_live) {
            return;
        }
        self.ring_until = None;
        let Some((status, rang)) =
            legs.iter().filter_map(|l| Some((l.refused?, l.rang))).min_by_key(|r| preference(*r))
        else {
            return self.next_step(now, None);
        };
        let cause = outcome_of_status(status, rang);
        // Which credentials we lack at a trunk is not the caller's business.
        let status = if matches!(status, 401 | 407) { 403 } else { status };
        let refusal = Rejection::new(status, cause);
        let try_next = matches!(cause, Cause::Failure | Cause::Unreachable) && status < 600;
        if try_next && !self.steps.is_empty() {
            self.next_step(now, Some(refusal));
        } else {
            self.give_up_plan(now, refusal);
        }
    }

    fn on_timeout(&mut self, now: Now) {
        if self.ring_until.is_some_and(|at| at <= now.instant) {
            self.on_ring_timeout(now);
        }
        let talked_out =
            self.answered.zip(self.config.talk_max).is_some_and(|(at, max)| at.instant + max <= now.instant);
        if talked_out && matches!(self.phase, Phase::Talking(_)) {
            return self.finish(now, Cause::Administrative, EndedBy::Switch, None);
        }
        self.run_meters(now);
    }

    fn on_ring_timeout(&mut self, now: Now) {
        self.ring_until = None;
        let rang = self.legs[self.step_from..].iter().any(|l| l.rang);
        self.cancel_others(CALLER, false);
        let cause = if rang { Cause::NoAnswer } else { Cause::Unreachable };
        if !rang && !self.steps.is_empty() {
            return self.next_step(now, Some(Rejection::new(408, cause)));
        }
        self.give_up_plan(now, Rejection { status: 480, q850: cause.q850(), cause });
    }

    /// The plan is exhausted: a conditional forward, or the end.
    fn give_up_plan(&mut self, now: Now, failed: Rejection) {
        let (conditional, reason) = match failed.cause {
            Cause::Busy => (self.plan.on_busy.clone(), "user-busy"),
            Cause::NoAnswer => (self.plan.on_no_answer.clone(), "no-answer"),
            Cause::Unreachable | Cause::Failure => {
                (self.plan.on_unreachable.clone().or_else(|| self.plan.on_no_answer.clone()), "unavailable")
            }
            Cause::Normal
            | Cause::Cancelled
            | Cause::Unallocated
            | Cause::NoRoute
            | Cause::DoNotDisturb
            | Cause::NoCredit
            | Cause::Forbidden
            | Cause::Loop
            | Cause::Media
            | Cause::MediaTimeout
            | Cause::Unavailable
            | Cause::Administrative => (None, ""),
        };
        let Some(forward) = conditional else {
            return self.finish(now, failed.cause, EndedBy::Callee, Some(failed));
        };
        if self.forwards >= limits::CALL_FORWARDS_MAX {
            let refusal = Rejection::new(482, Cause::Loop);
            return self.finish(now, Cause::Loop, EndedBy::Switch, Some(refusal));
        }
        self.forwards += 1;
        self.phase = Phase::Routing;
        let called = self.plan.called.clone();
        self.diversion = Some(Diversion { from: called.clone(), reason });
        let Conditional { to, rule, by } = forward;
        self.ask(Ask::Forward { to, rule, by, called, reason, hops: self.forwards });
    }

    fn on_planned(&mut self, now: Now, result: Result<Box<Plan<D>>, Rejection>) {
        if self.phase != Phase::Routing {
            return;
        }
        match result {
            Err(refusal) => self.finish(now, refusal.cause, EndedBy::Switch, Some(refusal)),
            Ok(mut plan) => {
                self.steps = plan.steps.drain(..).collect();
                let account = plan.account.take();
                self.diversion = plan.diversion.take().or(self.diversion.take());
                self.plan = *plan;
                match account {
                    None => self.next_step(now, None),
                    Some(account) => {
                        self.phase = Phase::Opening;
                        self.open(account);
                    }
                }
            }
        }
    }

    fn on_reoffer(&mut self, from: LegIndex, sdp: String) {
        let Phase::Talking(peer) = self.phase else {
            return self.say(from, LegCommand::Reanswer { result: Err(491) });
        };
        if self.reoffer.is_some() || (from != CALLER && from != peer) {
            return self.say(from, LegCommand::Reanswer { result: Err(491) });
        }
        self.reoffer = Some(from);
        let to = if from == CALLER { peer } else { CALLER };
        self.ask(Ask::Offer(MediaOffer {
            session: self.session,
            from,
            from_network: self.legs[usize::from(from)].network,
            to,
            to_network: self.legs[usize::from(to)].network,
            sdp,
        }));
    }

    fn on_reoffer_prepared(&mut self, peer: LegIndex, to: LegIndex, result: Result<String, MediaError>) {
        let Some(from) = self.reoffer else { return };
        if to != CALLER && to != peer {
            return;
        }
        match result {
            Ok(sdp) => self.say(to, LegCommand::Reoffer { sdp }),
            Err(_) => {
                self.reoffer = None;
                self.say(from, LegCommand::Reanswer { result: Err(488) });
            }
        }
    }

    fn on_reanswer(&mut self, index: LegIndex, result: Result<String, u16>) {
        let (Phase::Talking(_), Some(from)) = (self.phase, self.reoffer) else { return };
        if index == from {
            return;
        }
        match result {
            Ok(sdp) => self.ask_answer(index, sdp, Asking::Reoffer),
            Err(status) => {
                self.reoffer = None;
                self.say(from, LegCommand::Reanswer { result: Err(status) });
            }
        }
    }

    fn on_reoffer_done(&mut self, _peer: LegIndex, result: Result<String, MediaError>) {
        if let Some(from) = self.reoffer.take() {
            self.say(from, LegCommand::Reanswer { result: result.map_err(|_| 488) });
        }
    }

    fn on_extended(&mut self, now: Now, index: usize, result: Result<Grant, BillingError>) {
        let Some(meter) = self.charges.get_mut(index).and_then(|c| c.meter.as_mut()) else { return };
        match result {
            Ok(grant) => meter.extended(now.instant, grant),
            Err(BillingError::NoCredit | BillingError::Unknown) => meter.refused(now.instant),
            Err(BillingError::Unavailable(_)) => meter.unavailable(now.instant),
        }
    }

    fn run_meters(&mut self, now: Now) {
        let peer = match self.phase {
            Phase::Talking(peer) => peer,
            Phase::Opening | Phase::Routing | Phase::Trying | Phase::Connecting(_) => CALLER,
            Phase::Ending | Phase::Ended => return,
        };
        let ttl = self.config.reservation_ttl;
        for index in 0..self.charges.len() {
            while let Some(due) = self.charges[index].meter.as_mut().and_then(|m| m.due(now.instant)) {
                match due {
                    Due::Extend(reservation, hold) => {
                        self.ask(Ask::Extend { account: index, reservation, hold, ttl });
                    }
                    Due::Warn => {
                        let payer = self.payer_leg(index, peer);
                        self.ask(Ask::Play(self.session, payer, MediaSignal::LowCreditWarning));
                    }
                    Due::Cut => return self.finish(now, Cause::NoCredit, EndedBy::Switch, None),
                }
            }
        }
    }

    /// Who hears that the money of an account ends: its user, if on the line, else the caller.
    fn payer_leg(&self, account: usize, peer: LegIndex) -> LegIndex {
        let parties = &self.charges[account].account.parties;
        if parties.user.is_some() && parties.user == parties.callee_user && self.forwards == 0 { peer } else { CALLER }
    }

    /// Moves every open record on, where the states allow it.
    fn progress(&mut self, now: Now, state: CallState) {
        for index in 0..self.charges.len() {
            let charge = &mut self.charges[index];
            if !charge.opened || !charge.state.may_become(state) {
                continue;
            }
            charge.state = state;
            let parties = charge.account.parties.clone();
            self.ask(Ask::Progress { call: parties.call, state, at: now.wall });
            self.outputs.push_back(Output::Publish(parties, state));
        }
    }

    /// Gives up every called leg but `keep`.
    pub(crate) fn cancel_others(&mut self, keep: LegIndex, completed_elsewhere: bool) {
        for index in 1..self.legs.len() {
            let Ok(number) = LegIndex::try_from(index) else { break };
            if number == keep || !self.legs[index].is_live() {
                continue;
            }
            let invited = self.legs[index].state == LegState::Inviting;
            self.legs[index].state = LegState::Gone;
            if invited {
                self.say(number, LegCommand::Cancel { completed_elsewhere });
            }
            self.ask(Ask::DropLeg(self.session, number));
        }
    }

    fn ask_answer(&mut self, from: LegIndex, sdp: String, asking: Asking) {
        let to = if asking == Asking::Reoffer { self.reoffer.unwrap_or(CALLER) } else { CALLER };
        let leg = &mut self.legs[usize::from(from)];
        leg.asking = Some(asking);
        let from_network: LegNetwork = leg.network;
        self.ask(Ask::Answer(MediaAnswer { session: self.session, from, from_network, to, sdp }));
    }

    pub(crate) fn ask(&mut self, question: Ask) {
        self.outputs.push_back(Output::Ask(question));
    }

    pub(crate) fn say(&mut self, leg: LegIndex, command: LegCommand<D>) {
        self.outputs.push_back(Output::Leg(leg, command));
    }
}

/// Which refusal of several tells the caller most: 6xx, then busy, then what rang, then the rest by class.
const fn preference((status, rang): (u16, bool)) -> u16 {
    match status {
        600.. => 0,
        486 => 1,
        _ if rang => 2,
        400..=499 => status,
        _ => status + 1000,
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
