//! Call rules of a number: data, and which of them decides a call (R1-R7).

mod evaluate;
mod schedule;

use base::id::kind::Rule as RuleId;
use base::{E164, Id};
use serde::{Deserialize, Serialize};

pub use evaluate::{Decision, Forward, decide};
pub use schedule::{BadSchedule, Schedule, Weekday, When, is_time_zone};

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// The call goes to the target; no device rings.
    ForwardAlways,
    /// When the devices are busy.
    ForwardBusy,
    /// When nobody answers for `timeout_s`.
    ForwardNoAnswer,
    /// When no device can be reached.
    ForwardUnreachable,
    /// Do not disturb.
    Dnd,
    /// As `ForwardAlways` (with a target) or `Dnd` (without), while the schedule says so.
    Schedule,
}

impl RuleKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ForwardAlways,
        Self::ForwardBusy,
        Self::ForwardNoAnswer,
        Self::ForwardUnreachable,
        Self::Dnd,
        Self::Schedule,
    ];

    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForwardAlways => "forward_always",
            Self::ForwardBusy => "forward_busy",
            Self::ForwardNoAnswer => "forward_no_answer",
            Self::ForwardUnreachable => "forward_unreachable",
            Self::Dnd => "dnd",
            Self::Schedule => "schedule",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

/// One rule of a number. Only active ones are ever evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its row.
    pub id: Id<RuleId>,
    /// Lower numbers are looked at first; equal ones in order of creation.
    pub priority: i32,
    /// What it does.
    pub kind: RuleKind,
    /// Where calls go; needed by the forwarding kinds.
    pub forward_to: Option<E164>,
    /// How long devices ring before `ForwardNoAnswer`, 1 to 120 seconds.
    pub timeout_s: Option<u32>,
    /// When the rule holds; always when `None`. Needed by `Schedule`.
    pub schedule: Option<Schedule>,
}

/// A rule that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// A forwarding rule without target.
    #[error("{0} needs forward_to")]
    NoTarget(&'static str),
    /// A target where none is used.
    #[error("dnd takes no forward_to")]
    NeedlessTarget,
    /// `forward_no_answer` without or with an impossible time.
    #[error("forward_no_answer needs timeout_seconds between 1 and 120")]
    Timeout,
    /// `schedule` without one.
    #[error("schedule needs a schedule")]
    NoSchedule,
    /// The target is the number itself.
    #[error("the rule forwards the number to itself")]
    ToItself,
    /// A schedule that cannot be read.
    #[error(transparent)]
    Schedule(#[from] BadSchedule),
}

impl Rule {
    /// Whether the rule is whole, on `number`.
    pub fn check(&self, number: &E164) -> Result<(), BadRule> {
        let forwards = matches!(
            self.kind,
            RuleKind::ForwardAlways | RuleKind::ForwardBusy | RuleKind::ForwardNoAnswer | RuleKind::ForwardUnreachable
        );
        if forwards && self.forward_to.is_none() {
            return Err(BadRule::NoTarget(self.kind.as_str()));
        }
        if self.kind == RuleKind::Dnd && self.forward_to.is_some() {
            return Err(BadRule::NeedlessTarget);
        }
        if self.kind == RuleKind::ForwardNoAnswer && !self.timeout_s.is_some_and(|t| (1..=120).contains(&t)) {
            return Err(BadRule::Timeout);
        }
        if self.kind == RuleKind::Schedule && self.schedule.is_none() {
            return Err(BadRule::NoSchedule);
        }
        if self.forward_to.as_ref() == Some(number) {
            return Err(BadRule::ToItself);
        }
        self.schedule.as_ref().map_or(Ok(()), |s| s.check().map_err(BadRule::from))
    }
}
