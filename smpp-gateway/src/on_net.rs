//! Texts between our own numbers: claimed from the queue like all others, stored for the recipient, and noted as delivered.
//!
//! The copy for the recipient has the twin of the text's id, so that it is stored once however often the part is claimed:
//! a process that dies after storing and before noting leaves a lease that ends, and whoever claims the part again finds
//! the copy there. Nothing here speaks SMPP; the one code that is noted is the one a carrier would give.
//!
//! It does not decide what stays in the switch (`Directory::carriers_for` does) and ignores validity: what is claimed here
//! arrives at once, and what waited for a switch that was down is for the queue's housekeeping to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Id;
use base::id::kind::Message;
use domain::ports::{InboundOutcome, Unavailable};
use domain::sms::{Concatenation, InboundPart, QueuedPart, SubmitOutcome, SubmitResult};
use domain::trunk::ON_NET;
use smpp_proto::CommandStatus;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Duration;

use crate::settle::{Entry, write_all};
use crate::{Shared, is_stopped, stop_asked};

/// Most parts of one round: what is being delivered when the process is told to stop is waited for.
const ROUND_PARTS_MAX: usize = 256;

/// Runs until stopped; a round that has begun is ended.
pub(crate) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let poll = Duration::from_millis(shared.config.poll_interval_ms);
    loop {
        tokio::select! {
            () = stop_asked(&mut stopped) => return,
            () = shared.wake_on_net.notified() => {}
            () = tokio::time::sleep(poll) => {}
        }
        while round(&shared).await && !is_stopped(&stopped) {}
    }
}

/// Claims and delivers; whether there may be more that can be delivered now.
async fn round(shared: &Arc<Shared>) -> bool {
    let limit = shared.config.claim_parts_max.min(ROUND_PARTS_MAX);
    let claimed = shared.deps.queue.claim(&[ON_NET], &[ON_NET], limit, shared.now(), shared.config.lease()).await;
    let parts = match claimed {
        Ok(parts) => parts,
        Err(error) => {
            tracing::warn!(%error, "the queue of texts cannot be read");
            return false;
        }
    };
    let full = parts.len() >= limit;
    shared.metrics.claimed.add(parts.len() as u64);
    let mut texts: BTreeMap<Id<Message>, Vec<QueuedPart>> = BTreeMap::new();
    for part in parts {
        texts.entry(part.message).or_default().push(part);
    }
    // At once, so that the store can commit them together.
    let mut deliveries: JoinSet<Vec<Entry>> = JoinSet::new();
    for parts in texts.into_values() {
        let shared = Arc::clone(shared);
        deliveries.spawn(async move { settled(&shared, parts).await });
    }
    let mut entries = vec![];
    while let Some(delivery) = deliveries.join_next().await {
        match delivery {
            Ok(settled) => entries.extend(settled),
            Err(error) => tracing::error!(%error, "a delivery has died; its lease ends by itself"),
        }
    }
    let unsent = entries.iter().filter(|entry| matches!(entry, Entry::Unsent(_))).count();
    shared.metrics.returned.add(unsent as u64);
    if !entries.is_empty() {
        write_all(shared, entries).await;
    }
    full && unsent == 0
}

/// Delivers the parts of one text that were claimed together; what is to be noted of them.
async fn settled(shared: &Shared, parts: Vec<QueuedPart>) -> Vec<Entry> {
    let result = match deliver(shared, &parts).await {
        Ok(true) => SubmitResult::Delivered,
        Ok(false) => SubmitResult::Failed { code: CommandStatus::ESME_RINVDSTADR.0 },
        Err(error) => {
            tracing::warn!(%error, "a text between our own numbers waits for the store");
            return parts.into_iter().map(Entry::Unsent).collect();
        }
    };
    let at = shared.now();
    let outcome = |part: QueuedPart| SubmitOutcome {
        message: part.message,
        part: part.part,
        carrier: ON_NET,
        at,
        result: result.clone(),
    };
    parts.into_iter().map(|part| Entry::Outcome(outcome(part))).collect()
}

/// Stores parts for the recipient; `false` when the number takes no texts.
async fn deliver(shared: &Shared, parts: &[QueuedPart]) -> Result<bool, Unavailable> {
    for part in parts {
        let copy = InboundPart {
            id: part.message.twin(),
            carrier: ON_NET,
            from: part.from.to_string(),
            to: part.to.clone(),
            text: part.text.clone(),
            concatenation: (part.parts > 1).then(|| Concatenation {
                reference: part.reference.into(),
                parts: part.parts,
                part: part.part,
            }),
            at: shared.now(),
        };
        match shared.deps.queue.inbound(copy).await? {
            InboundOutcome::Stored(message) => shared.announce(&part.to, message).await,
            InboundOutcome::PartStored | InboundOutcome::Duplicate => {}
            InboundOutcome::UnknownNumber => return Ok(false),
        }
    }
    Ok(true)
}
