//! Prepaid charging of one account: reserve a quota, extend it before it is used up, warn and cut when no more comes.
//!
//! The quota is a granted unit in the sense of RFC 8506 §5.1.2: it is never tied to the billing increment, so that a price by
//! the second is cut by the second.

use std::time::{Duration, Instant};

use base::id::kind::{Reservation, Wallet};
use base::{Id, Money};
use domain::rate::Rate;
use domain::wallet::{Grant, Hold};

/// Talk time that one reservation buys, unless less is left.
const QUOTA_S: u64 = 60;
/// How long before the granted time ends more is asked for.
const EXTEND_BEFORE: Duration = Duration::from_secs(15);
/// How long before the cut the payer is warned.
const WARN_BEFORE: Duration = Duration::from_secs(10);
/// How often the reservation is prolonged although nothing more is needed, so that it outlives a long ring or a long first
/// increment. Half of the shortest lifetime that the settings allow.
const HEARTBEAT: Duration = Duration::from_secs(45);
/// When to ask again after the port could not answer.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What a meter wants when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask for more.
    Extend(Id<Reservation>, Hold),
    /// Warn the payer.
    Warn,
    /// The money is gone: end the call.
    Cut,
}

/// Money of one account while its call runs.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    rate: Rate,
    wallet: Id<Wallet>,
    grant: Option<Grant>,
    answered: Option<Instant>,
    extend_at: Option<Instant>,
    heartbeat_at: Option<Instant>,
    waiting: bool,
    warned: bool,
}

impl Meter {
    pub(crate) fn new(rate: Rate, wallet: Id<Wallet>) -> Self {
        Self {
            rate,
            wallet,
            grant: None,
            answered: None,
            extend_at: None,
            heartbeat_at: None,
            waiting: false,
            warned: false,
        }
    }

    /// What to set aside before anything rings.
    pub(crate) fn first_hold(&self) -> Hold {
        Hold { wallet: self.wallet, wanted: self.rate.price_of_call(QUOTA_S), least: self.rate.price_of_call(1) }
    }

    pub(crate) fn granted(&mut self, now: Instant, grant: Grant) {
        self.grant = Some(grant);
        self.heartbeat_at = Some(now + HEARTBEAT);
    }

    pub(crate) fn reservation(&self) -> Option<Id<Reservation>> {
        self.grant.map(|g| g.reservation)
    }

    /// The callee answered: the meter runs.
    pub(crate) fn start(&mut self, now: Instant) {
        self.answered = Some(now);
        self.plan_extension(now);
    }

    /// More was granted.
    pub(crate) fn extended(&mut self, now: Instant, grant: Grant) {
        self.waiting = false;
        let more = self.grant.is_none_or(|g| g.total.micros != grant.total.micros);
        self.grant = Some(grant);
        self.heartbeat_at = Some(now + HEARTBEAT);
        if more {
            self.warned = false;
        }
        self.plan_extension(now);
    }

    /// Nothing more is there; a last try is made shortly before the cut, in case somebody topped up.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.waiting = false;
        self.heartbeat_at = Some(now + HEARTBEAT);
        self.extend_at = self.cut_at().map(|cut| cut - Duration::from_secs(1)).filter(|at| *at > now);
    }

    /// The port could not answer.
    pub(crate) fn unavailable(&mut self, now: Instant) {
        self.waiting = false;
        self.heartbeat_at = Some(now + RETRY_AFTER);
        self.extend_at = self.cut_at().is_some().then(|| now + RETRY_AFTER);
    }

    /// The earliest time at which [`Self::due`] has something.
    pub(crate) fn next(&self) -> Option<Instant> {
        let warn_at = self.warn_at().filter(|_| !self.warned);
        let extend_at = self.extend_at.into_iter().chain(self.heartbeat_at).min().filter(|_| !self.waiting);
        [self.cut_at(), warn_at, extend_at].into_iter().flatten().min()
    }

    /// What is due at `now`; call until it has nothing.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.cut_at().is_some_and(|at| at <= now) {
            self.answered = None; // runs no more, so that a cut comes once
            self.extend_at = None;
            self.heartbeat_at = None;
            return Some(Due::Cut);
        }
        if !self.waiting && self.extend_at.is_some_and(|at| at <= now) {
            self.extend_at = None;
            let extension = self.extension();
            self.waiting = extension.is_some();
            return extension;
        }
        if !self.waiting && self.heartbeat_at.is_some_and(|at| at <= now) {
            self.heartbeat_at = None;
            self.waiting = true;
            let grant = self.grant?;
            let nothing = Money::zero(grant.total.currency);
            let hold = Hold { wallet: self.wallet, wanted: nothing, least: nothing };
            return Some(Due::Extend(grant.reservation, hold));
        }
        if !self.warned && self.warn_at().is_some_and(|at| at <= now) {
            self.warned = true;
            return Some(Due::Warn);
        }
        None
    }

    /// The price of `talked`, and the seconds that it bills. What the meter cut bills what was granted, not the moment
    /// that passed until the timer fired.
    pub(crate) fn price(&self, talked: Duration) -> (u64, Money) {
        let seconds = whole_seconds(talked).min(self.covered_s().unwrap_or(u64::MAX)).max(1);
        (self.rate.billed_seconds(seconds), self.rate.price_of_call(seconds))
    }

    fn extension(&self) -> Option<Due> {
        let grant = self.grant?;
        let covered = self.covered_s()?;
        let more = |seconds: u64| {
            Money::new(
                self.rate.price_of_call(covered.saturating_add(seconds)).micros - grant.total.micros,
                grant.total.currency,
            )
        };
        Some(Due::Extend(grant.reservation, Hold { wallet: self.wallet, wanted: more(QUOTA_S), least: more(1) }))
    }

    fn plan_extension(&mut self, now: Instant) {
        self.extend_at = self.cut_at().map(|cut| {
            let covered = cut.saturating_duration_since(now);
            now + covered.saturating_sub(EXTEND_BEFORE).max(covered / 4)
        });
    }

    /// Talk time that is paid for; `None`: without end.
    fn covered_s(&self) -> Option<u64> {
        let seconds = self.rate.seconds_for(self.grant?.total.micros).unwrap_or(0);
        (seconds < u64::from(u32::MAX)).then_some(seconds)
    }

    fn cut_at(&self) -> Option<Instant> {
        Some(self.answered? + Duration::from_secs(self.covered_s()?))
    }

    /// A warning makes sense only when no extension is still to come that would move the cut.
    fn warn_at(&self) -> Option<Instant> {
        let at = self.cut_at()? - WARN_BEFORE;
        let answered = self.answered?;
        Some(at.max(answered))
    }
}

/// Seconds of talk, rounded up, with half a second of grace: signalling delays are not the caller's.
pub(crate) fn whole_seconds(talked: Duration) -> u64 {
    u64::try_from((talked.as_millis().saturating_sub(500)).div_ceil(1000)).unwrap_or(u64::MAX)
}
