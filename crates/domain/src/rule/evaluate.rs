//! Which rules decide a call: the first unconditional one by priority, else ringing with its conditional forwards.

use std::time::Duration;

use base::id::kind::Rule as RuleId;
use base::{E164, Id, Timestamp};

use super::{Rule, RuleKind};

/// A target and the rule that named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where to.
    pub to: E164,
    /// By which rule.
    pub rule: Id<RuleId>,
}

/// What happens to a call for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It goes elsewhere at once.
    Forward(Forward),
    /// Nobody is to be disturbed.
    Reject {
        /// By which rule.
        rule: Id<RuleId>,
    },
    /// The devices ring.
    Ring {
        /// Where to when all are busy.
        busy: Option<Forward>,
        /// After which time, and where to, when nobody answers.
        no_answer: Option<(Duration, Forward)>,
        /// Where to when no device can be reached.
        unreachable: Option<Forward>,
    },
}

/// Decides at `at`, in the number's time zone. `rules` are the active ones, in any order.
pub fn decide(rules: &[Rule], at: Timestamp, time_zone: &str) -> Decision {
    let mut ordered: Vec<&Rule> =
        rules.iter().filter(|r| r.schedule.as_ref().is_none_or(|s| s.holds(at, time_zone))).collect();
    ordered.sort_by_key(|r| (r.priority, r.id));
    let (mut busy, mut no_answer, mut unreachable) = (None, None, None);
    for rule in ordered {
        let forward = rule.forward_to.clone().map(|to| Forward { to, rule: rule.id });
        match (rule.kind, forward) {
            (RuleKind::ForwardAlways | RuleKind::Schedule, Some(forward)) => return Decision::Forward(forward),
            (RuleKind::Dnd | RuleKind::Schedule, None) => return Decision::Reject { rule: rule.id },
            (RuleKind::ForwardBusy, Some(forward)) => _ = busy.get_or_insert(forward),
            (RuleKind::ForwardUnreachable, Some(forward)) => _ = unreachable.get_or_insert(forward),
            (RuleKind::ForwardNoAnswer, Some(forward)) => {
                let after = Duration::from_secs(u64::from(rule.timeout_s.unwrap_or(30)));
                _ = no_answer.get_or_insert((after, forward));
            }
            // A forwarding rule without target does nothing; `Rule::check` keeps such ones out.
            (RuleKind::ForwardAlways | RuleKind::ForwardBusy, None)
            | (RuleKind::ForwardUnreachable | RuleKind::ForwardNoAnswer, None)
            | (RuleKind::Dnd, Some(_)) => {}
        }
    }
    Decision::Ring { busy, no_answer, unreachable }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Schedule, Weekday, When};
    use super::*;

    fn rule(id: i64, priority: i32, kind: RuleKind, to: Option<&str>) -> Rule {
        Rule {
            id: Id::from_i64(id),
            priority,
            kind,
            forward_to: to.map(|t| t.parse().unwrap()),
            timeout_s: Some(20),
            schedule: None,
        }
    }

    #[test]
    fn r7_the_lower_priority_number_wins_and_ringing_is_the_default() {
        let at = Timestamp::from_millis(0);
        assert_eq!(decide(&[], at, "UTC"), Decision::Ring { busy: None, no_answer: None, unreachable: None });
        let rules = [rule(1, 5, RuleKind::Dnd, None), rule(2, 1, RuleKind::ForwardAlways, Some("+15550001"))];
        assert!(matches!(decide(&rules, at, "UTC"), Decision::Forward(f) if f.rule == Id::from_i64(2)));
    }

    #[test]
    fn conditional_forwards_are_collected_the_first_of_each_kind() {
        let rules = [
            rule(1, 1, RuleKind::ForwardBusy, Some("+15550001")),
            rule(2, 2, RuleKind::ForwardBusy, Some("+15550002")),
            rule(3, 3, RuleKind::ForwardNoAnswer, Some("+15550003")),
        ];
        let Decision::Ring { busy, no_answer, unreachable } = decide(&rules, Timestamp::from_millis(0), "UTC") else {
            panic!("devices should ring")
        };
        assert_eq!(busy.unwrap().rule, Id::from_i64(1));
        assert_eq!(no_answer.unwrap().0, Duration::from_secs(20));
        assert!(unreachable.is_none());
    }

    #[test]
    fn a_schedule_switches_any_rule_on_and_off() {
        let nights =
            Schedule { days: vec![Weekday::Thu], start: "22:00".into(), end: "23:00".into(), when: When::Inside };
        let mut dnd = rule(1, 1, RuleKind::Schedule, None);
        dnd.schedule = Some(nights);
        let thursday = |hour: i64| Timestamp::from_millis(hour * 3_600_000); // 1970-01-01 was a Thursday
        assert!(matches!(decide(std::slice::from_ref(&dnd), thursday(22), "UTC"), Decision::Reject { .. }));
        assert!(matches!(decide(&[dnd], thursday(21), "UTC"), Decision::Ring { .. }));
    }
}
