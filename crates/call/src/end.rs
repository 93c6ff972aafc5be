//! How a call ends: every leg told, the relay asked for its figures, every record closed exactly once.

use base::limits;
use base::{E164, Money};
use domain::call_record::{CallEnd, CallState};
use domain::ports::LegStatistics;

use crate::call::{CALLER, Call, Charge, Phase};
use crate::cause::{Cause, EndedBy, Rejection};
use crate::input::Now;
use crate::leg::LegState;
use crate::meter::whole_seconds;
use crate::output::{Ask, LegCommand, Output};

/// What is known of the end, until the figures are in.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    at: Now,
    cause: Cause,
    by: EndedBy,
    sip_status: u16,
    q850: u8,
    statistics: Vec<LegStatistics>,
}

impl<D: Clone> Call<D> {
    pub(crate) fn on_hung_up(&mut self, now: Now, index: u16) {
        self.legs[usize::from(index)].state = LegState::Gone;
        let by = if index == CALLER { EndedBy::Caller } else { EndedBy::Callee };
        self.finish(now, Cause::Normal, by, None);
    }

    /// Ends the call. `refusal` is what a caller hears that was not answered yet; without one it follows from the cause.
    pub(crate) fn finish(&mut self, now: Now, cause: Cause, by: EndedBy, refusal: Option<Rejection>) {
        if matches!(self.phase, Phase::Ending | Phase::Ended) {
            return;
        }
        let answered = self.answered.is_some();
        let refusal = refusal.unwrap_or_else(|| refusal_of(cause));
        self.end_called_legs(cause);
        match self.legs[0].state {
            LegState::Inviting if cause != Cause::Cancelled => self.say(CALLER, LegCommand::Reject(refusal.clone())),
            LegState::Answered => self.say(CALLER, LegCommand::Bye(cause)),
            LegState::Inviting | LegState::Offering | LegState::Gone => {}
        }
        self.legs[0].state = LegState::Gone;
        let (sip_status, q850) = if answered { (200, cause.q850()) } else { (refusal.status, refusal.q850) };
        self.ending = Some(Ending { at: now, cause, by, sip_status, q850, statistics: Vec::new() });
        self.phase = Phase::Ending;
        if self.media_used {
            self.delete_pending = true;
            self.ask(Ask::Delete(self.session));
        }
        self.settle_when_ready();
    }

    fn end_called_legs(&mut self, cause: Cause) {
        for index in 1..self.legs.len() {
            let (Ok(number), state) = (u16::try_from(index), self.legs[index].state) else { break };
            self.legs[index].state = match state {
                LegState::Answered | LegState::Inviting | LegState::Offering => LegState::Gone,
                LegState::Gone => continue,
            };
            match state {
                LegState::Answered => self.say(number, LegCommand::Bye(cause)),
                LegState::Inviting => self.say(number, LegCommand::Cancel { completed_elsewhere: false }),
                LegState::Offering | LegState::Gone => {}
            }
        }
    }

    pub(crate) fn on_deleted(&mut self, statistics: Vec<LegStatistics>) {
        self.delete_pending = false;
        if let Some(ending) = self.ending.as_mut() {
            ending.statistics = statistics;
        }
        self.settle_when_ready();
    }

    /// Closes the records once nothing is outstanding that could still open or fill one.
    pub(crate) fn settle_when_ready(&mut self) {
        if self.phase != Phase::Ending || self.opens_pending > 0 || self.delete_pending {
            return;
        }
        let Some(ending) = self.ending.take() else { return };
        self.phase = Phase::Ended;
        let last_tried = || self.legs.iter().skip(1).rev().find_map(|l| l.trunk);
        let trunk_out = match self.connected {
            Some(leg) => self.legs[usize::from(leg)].trunk,
            None => last_tried(),
        };
        let forwarded_to: Option<E164> =
            (self.forwards > 0).then(|| self.charges.last().and_then(|c| c.account.parties.to.parse().ok())).flatten();
        for charge in std::mem::take(&mut self.charges).iter_mut().filter(|c| c.opened) {
            let end = self.end_of(charge, &ending, trunk_out, forwarded_to.clone());
            let reservation = charge.meter.as_ref().and_then(crate::meter::Meter::reservation);
            let parties = charge.account.parties.clone();
            self.outputs.push_back(Output::Publish(parties.clone(), end.state));
            self.ask(Ask::Settle { parties: Box::new(parties), reservation, end: Box::new(end) });
        }
        self.outputs.push_back(Output::Finished);
    }

    fn end_of(
        &self,
        charge: &Charge,
        ending: &Ending,
        trunk_out: Option<base::Id<base::id::kind::Trunk>>,
        forwarded_to: Option<E164>,
    ) -> CallEnd {
        let talked = self.answered.map(|at| ending.at.instant.saturating_duration_since(at.instant));
        let state = if talked.is_some() { CallState::Completed } else { ending.cause.unanswered_state() };
        let free = |rate: &domain::rate::Rate| Money::zero(rate.currency);
        let (billed_s, price) = match (talked, &charge.meter, &charge.account.tariff) {
            (Some(talked), Some(meter), _) => {
                let (seconds, price) = meter.price(talked);
                (seconds, Some(price))
            }
            (None, Some(_), Some((rate, _))) | (_, None, Some((rate, _))) => (0, Some(free(rate))),
            (_, _, None) => (0, None),
        };
        CallEnd {
            state,
            cause: ending.cause.as_str().to_owned(),
            sip_status: ending.sip_status,
            q850: ending.q850,
            ended_by: ending.by.as_str().to_owned(),
            answered_at: self.answered.map(|n| n.wall),
            ended_at: ending.at.wall,
            talked_s: talked.map_or(0, |t| whole_seconds(t).max(1)),
            billed_s,
            trunk_out,
            forwarded_to,
            price,
            legs: ending.statistics.iter().take(limits::CALL_PARALLEL_LEGS_MAX * 2).copied().collect(),
        }
    }
}

/// The status for a caller that was not answered, when nothing more precise is known.
fn refusal_of(cause: Cause) -> Rejection {
    let status = match cause {
        Cause::Busy => 486,
        Cause::NoAnswer | Cause::Unreachable | Cause::Normal | Cause::DoNotDisturb => 480,
        Cause::Cancelled => 487,
        Cause::Unallocated | Cause::NoRoute => 404,
        Cause::NoCredit => 402,
        Cause::Forbidden => 403,
        Cause::Loop => 482,
        Cause::Media => 488,
        Cause::MediaTimeout => 408,
        Cause::Failure => 500,
        Cause::Unavailable | Cause::Administrative => 503,
    };
    Rejection { status, q850: cause.q850(), cause }
}
