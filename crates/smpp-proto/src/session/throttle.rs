//! What to do when the peer says that we are too fast: pause, halve the rate, and feel the way up again.

use std::time::{Duration, Instant};

/// First pause; each further refusal in a row doubles it.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A lowered rate is raised by a quarter (at least one per second) this often: it doubles in less than a second, because
/// carriers count by the second, and what was too fast in the last one may be welcome in the next.
const RAISE_EVERY: Duration = Duration::from_millis(250);

/// Additive-multiplicative control of one session's rate.
#[derive(Debug, Clone)]
pub(super) struct Throttle {
    pause: Duration,
    paused_until: Option<Instant>,
    /// Requests sent before this belong to a refusal that has been answered by a pause already.
    episode_began: Option<Instant>,
    lowered: Option<Lowered>,
    sent: Rate,
}

#[derive(Debug, Clone, Copy)]
struct Lowered {
    per_second: u32,
    /// Where the lowering ends when no rate is configured.
    enough: u32,
    raised_at: Instant,
}

/// Requests of the last whole second and of the running one.
#[derive(Debug, Clone, Copy)]
struct Rate {
    began: Instant,
    running: u32,
    last: u32,
}

impl Throttle {
    pub(super) const fn new(now: Instant) -> Self {
        let sent = Rate { began: now, running: 0, last: 0 };
        Self { pause: PAUSE_MIN, paused_until: None, episode_began: None, lowered: None, sent }
    }

    /// A request has left.
    pub(super) fn sent(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.sent.began).as_secs();
        if seconds >= 1 {
            let last = if seconds == 1 { self.sent.running } else { 0 };
            self.sent = Rate { began: now, running: 0, last };
        }
        self.sent.running = self.sent.running.saturating_add(1);
    }

    /// A request that left at `sent_at` was refused. Returns the pause that begins, if one does.
    pub(super) fn refused(&mut self, now: Instant, sent_at: Instant, limit: Option<u32>) -> Option<Duration> {
        if self.episode_began.is_some_and(|began| sent_at <= began) {
            return None;
        }
        let again = self.episode_began.is_some();
        self.pause = if again { (self.pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        let measured = self.sent.running.max(self.sent.last).max(1);
        let rate = self.per_second(now, limit).map_or(measured, |rate| rate.min(measured));
        self.lowered = Some(Lowered { per_second: (rate / 2).max(1), enough: rate.saturating_mul(4), raised_at: now });
        self.episode_began = Some(now);
        self.paused_until = Some(now + self.pause);
        Some(self.pause)
    }

    /// A request that left at `sent_at` was taken.
    pub(super) fn accepted(&mut self, sent_at: Instant) {
        if self.episode_began.is_some_and(|began| sent_at > began) {
            self.episode_began = None;
        }
    }

    /// Until when nothing may leave.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// The rate that holds now: the configured one, or a lowered one; none is no limit.
    pub(super) fn per_second(&mut self, now: Instant, limit: Option<u32>) -> Option<u32> {
        let Some(lowered) = &mut self.lowered else { return limit };
        while now.saturating_duration_since(lowered.raised_at) >= RAISE_EVERY {
            lowered.raised_at += RAISE_EVERY;
            lowered.per_second = lowered.per_second.saturating_add((lowered.per_second / 4).max(1));
            if lowered.per_second >= limit.unwrap_or(lowered.enough) {
                self.lowered = None;
                return limit;
            }
        }
        Some(lowered.per_second)
    }
}
