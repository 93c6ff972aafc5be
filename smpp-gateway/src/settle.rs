//! Writes back what became of a line's parts. What comes while one transaction runs goes together into the next.
//!
//! The store may be down for any time: the same batch is tried until it is in, and the parts' permits are held until
//! then, so that no more is claimed than can be settled.

use std::sync::Arc;
use std::time::Duration;

use domain::ports::Unavailable;
use domain::sms::{QueuedPart, SubmitOutcome};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::Shared;

/// Most entries of one transaction.
const BATCH_MAX: usize = 256;
/// First wait when the store cannot answer; doubled up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest wait when the store cannot answer.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How often an entry is refused before it is left, when the store is known to answer.
const REFUSALS_MAX: u32 = 5;

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
        let (entries, permits): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        let unsent = entries.iter().filter(|entry| matches!(entry, Entry::Unsent(_))).count();
        write_all(&shared, entries).await;
        shared.metrics.returned.add(unsent as u64);
        drop(permits);
        shared.lines.room.notify_one();
    }
}

/// Tries until everything is written; the ports may be asked the same twice.
///
/// An entry that the store refuses again and again although it answers is left: its lease ends by itself.
pub(crate) async fn write_all(shared: &Shared, mut entries: Vec<Entry>) {
    let (mut wait, mut refusals) = (RETRY_MIN, 0);
    while let Err(error) = write(shared, &entries).await {
        tracing::warn!(%error, entries = entries.len(), "answers wait for the store");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
        // A store that takes nothing at all is down; one that does refuses these entries, or some of them.
        if shared.deps.queue.submitted(&[]).await.is_err() {
            continue;
        }
        entries = one_by_one(shared, entries).await;
        refusals += 1;
        if entries.is_empty() {
            return;
        }
        if refusals >= REFUSALS_MAX {
            tracing::error!(left = entries.len(), "the store refuses these answers; their leases end by themselves");
            return;
        }
    }
}

/// Writes what can be written; returns the rest.
async fn one_by_one(shared: &Shared, entries: Vec<Entry>) -> Vec<Entry> {
    let mut left = vec![];
    for entry in entries {
        if write(shared, std::slice::from_ref(&entry)).await.is_err() {
            left.push(entry);
        }
    }
    left
}

async fn write(shared: &Shared, entries: &[Entry]) -> Result<(), Unavailable> {
    let (mut outcomes, mut unsent) = (vec![], vec![]);
    for entry in entries {
        match entry {
            Entry::Outcome(outcome) => outcomes.push(outcome.clone()),
            Entry::Unsent(part) => unsent.push(part.clone()),
        }
    }
    if !outcomes.is_empty() {
        shared.publish(shared.deps.queue.submitted(&outcomes).await?);
    }
    if !unsent.is_empty() {
        shared.deps.queue.unclaim(&unsent).await?;
    }
    Ok(())
}
