//! How fast requests leave: a token bucket in its time form (generic cell rate algorithm). Delays, never fails.

use std::time::{Duration, Instant};

/// Traffic that may leave at once although it was due one by one: 20 ms worth, so that a timer's coarseness does not
/// lower the rate, and a carrier that counts by the second sees at most 2 % more.
const BURST: Duration = Duration::from_millis(20);

/// One bucket.
#[derive(Debug, Clone)]
pub(super) struct Pacer {
    /// When the next request would be due if all came evenly.
    due: Instant,
}

impl Pacer {
    pub(super) const fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// When the next request may leave.
    pub(super) fn ready_at(&self) -> Instant {
        self.due.checked_sub(BURST).unwrap_or(self.due)
    }

    /// Takes one request out at `per_second`; none is no limit. False when it is too early.
    pub(super) fn take(&mut self, now: Instant, per_second: Option<u32>) -> bool {
        let Some(per_second) = per_second else {
            self.due = now;
            return true;
        };
        let interval = Duration::from_secs(1) / per_second.max(1);
        // A burst is at least one request, and a slow rate has no burst at all.
        if now < if interval < BURST { self.ready_at() } else { self.due } {
            return false;
        }
        self.due = self.due.max(now) + interval;
        true
    }

    /// When [`Self::take`] will say yes at this rate.
    pub(super) fn next(&self, per_second: u32) -> Instant {
        if Duration::from_secs(1) / per_second.max(1) < BURST { self.ready_at() } else { self.due }
    }
}
