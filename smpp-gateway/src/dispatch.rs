//! From the queue to the lines: claims parts under a lease and hands them to the carriers' binds.
//!
//! Wakes on the hint that a text was queued, when a line has become free or bound, when a pause ends, and at least every
//! `poll_interval_ms`. A text whose first carrier is down or paused goes to the next of its plan, or waits when there is
//! none; one whose carrier is merely full waits for it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use crate::lines::Open;
use crate::{Shared, stop_asked};

/// Least time between claims when the lines, not the queue, are what is short: lets their room add up to a batch.
const FULL_LINES_WAIT: Duration = Duration::from_millis(5);

/// Least number of parts to ask for, so that one nearly full line does not make claims tiny.
const CLAIM_MIN: usize = 16;

/// What a look at the queue has left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// Nothing that is due now.
    Nothing,
    /// Probably more than the lines could take.
    More,
}

/// Runs until stopped.
pub(crate) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let poll = Duration::from_millis(shared.config.poll_interval_ms);
    let mut left = Left::Nothing;
    loop {
        let now = Instant::now();
        let wake_at = shared.lines.open(now).next_at.map_or(now + poll, |at| at.min(now + poll));
        tokio::select! {
            () = stop_asked(&mut stopped) => return,
            () = shared.wake_dispatch.notified() => {}
            () = shared.lines.room.notified(), if left == Left::More => tokio::time::sleep(FULL_LINES_WAIT).await,
            () = tokio::time::sleep_until(wake_at) => {}
        }
        left = look(&shared).await;
    }
}

/// Claims until the queue or the room is used up.
async fn look(shared: &Shared) -> Left {
    loop {
        let open = shared.lines.open(Instant::now());
        if open.lines.is_empty() {
            return Left::More;
        }
        match claim(shared, &open).await {
            // For the lines that had no room there may be more.
            Left::Nothing if open.full.is_empty() => return Left::Nothing,
            Left::Nothing => return Left::More,
            Left::More => {}
        }
    }
}

/// One claim.
async fn claim(shared: &Shared, open: &Open) -> Left {
    let with_room: Vec<_> = open.lines.iter().map(|(id, _)| *id).collect();
    let available: Vec<_> = with_room.iter().chain(&open.full).copied().collect();
    // All of them may be for one line: what that one cannot take would only be given back.
    let least_room = open.lines.iter().map(|(_, room)| *room).min().unwrap_or_default();
    let limit = least_room.max(CLAIM_MIN).min(shared.config.claim_parts_max);
    let claimed = shared.deps.queue.claim(&available, &with_room, limit, shared.now(), shared.config.lease()).await;
    let parts = match claimed {
        Ok(parts) => parts,
        Err(error) => {
            tracing::warn!(%error, "the queue of texts cannot be read");
            return Left::Nothing;
        }
    };
    let count = parts.len();
    shared.metrics.claimed.add(count as u64);
    let mut refused = vec![];
    for part in parts {
        match shared.lines.get(part.carrier) {
            Some(line) => refused.extend(line.hand_over(part).err()),
            None => refused.push(part),
        }
    }
    let full = refused.len() == count;
    if !refused.is_empty() {
        shared.metrics.returned.add(refused.len() as u64);
        // If this fails the leases end by themselves.
        if let Err(error) = shared.deps.queue.unclaim(&refused).await {
            tracing::warn!(%error, parts = refused.len(), "texts that found no room keep their lease");
        }
    }
    // A round that placed nothing must not be repeated at once.
    if count < limit || full { Left::Nothing } else { Left::More }
}
