//! What a call tries, in order: steps one after the other, the targets of a step at the same time.

use std::time::Duration;

use base::E164;
use base::Id;
use base::id::kind::{Rule, Trunk, User};
use domain::ports::LegNetwork;

use crate::account::Account;
use crate::cause::Rejection;
use crate::output::Diversion;

/// Somewhere that can be called. `D` is what the driver needs to reach it; the machine does not look inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Target<D> {
    /// How to reach it.
    pub destination: D,
    /// How its media is to be treated.
    pub network: LegNetwork,
    /// The trunk, when it is one.
    pub trunk: Option<Id<Trunk>>,
}

/// Targets that ring together.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<D> {
    /// At least one; at most `base::limits::CALL_PARALLEL_LEGS_MAX` are called.
    pub targets: Vec<Target<D>>,
    /// How long they may ring before the step counts as not answered.
    pub ring_for: Duration,
}

/// A forward that waits for its condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditional {
    /// Where to.
    pub to: E164,
    /// By which rule.
    pub rule: Id<Rule>,
    /// Whose rule, and so who pays.
    pub by: Id<User>,
}

/// The whole plan for one destination. A forward asks for another plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<D> {
    /// Tried in order; the next one only when the one before could not be reached at all (fail-over).
    pub steps: Vec<Step<D>>,
    /// When all targets are busy.
    pub on_busy: Option<Conditional>,
    /// When nobody answers.
    pub on_no_answer: Option<Conditional>,
    /// When nothing can be reached, or there is no step.
    pub on_unreachable: Option<Conditional>,
    /// What the caller hears when nothing worked and no target said why.
    pub otherwise: Rejection,
    /// Who pays for what this plan reaches; `None` on a forward that costs nothing of its own.
    pub account: Option<Account>,
    /// What this plan was made for, as called: a forward from it names this number (Diversion, RFC 5806).
    pub called: String,
    /// Set when an unconditional forward led here.
    pub diversion: Option<Diversion>,
}
