//! Writes back what became of a line's parts. What comes while one transaction runs goes together into the next.
//!
//! The store may be down for any time: the same batch is tried until it is in, and the parts' permits are held until
//! then, so that no more is claimed than can be settled.

use std::sync::Arc;
use std::time::Duration;

use domain::sms::{QueuedPart, SubmitOutcome};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::Shared;

/// Most entries of one transaction.
const BATCH_MAX: usize = 256;
/// First wait when the store cannot answer; doubled up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest wait when the store cannot answer.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What became of a part.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It was submitted.
    Outcome(SubmitOutcome),
    /// It was not.
    Unsent(QueuedPart),
}

/// An entry, with the permit that it frees; late answers have none.
pub(crate) type Settled = (Entry, Option<OwnedSemaphorePermit>);

/// Runs until the line drops its sender and everything is in.
pub(crate) async fn run(shared: Arc<Shared>, mut entries: mpsc::Receiver<Settled>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while entries.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut outcomes, mut unsent, mut permits) = (vec![], vec![], vec![]);
        for (entry, permit) in batch.drain(..) {
            match entry {
                Entry::Outcome(outcome) => outcomes.push(outcome),
                Entry::Unsent(part) => unsent.push(part),
            }
            permits.extend(permit);
        }
        write(&shared, &outcomes, &unsent).await;
        shared.metrics.returned.add(unsent.len() as u64);
        drop(permits);
        shared.lines.room.notify_one();
    }
}

/// Tries until it is written; both ports may be asked the same twice.
async fn write(shared: &Shared, outcomes: &[SubmitOutcome], unsent: &[QueuedPart]) {
    let mut wait = RETRY_MIN;
    loop {
        let result = async {
            if !outcomes.is_empty() {
                shared.deps.queue.submitted(outcomes).await?;
            }
            if !unsent.is_empty() {
                shared.deps.queue.unclaim(unsent).await?;
            }
            Ok::<(), domain::ports::Unavailable>(())
        };
        match result.await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, outcomes = outcomes.len(), unsent = unsent.len(), "answers wait for the store");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    }
}
