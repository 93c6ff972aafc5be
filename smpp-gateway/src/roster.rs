//! Keeps one bind per enabled carrier: starts it, stops it when the carrier is gone or disabled, and binds anew when its
//! facts have changed. The list is looked at every `poll_interval_ms`.
//!
//! A carrier that was changed is unbound before it is bound again, because many carriers allow one bind only.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::Id;
use base::id::kind::Carrier;
use domain::trunk::{BindType, CarrierFacts};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Duration;

use crate::bind::client;
use crate::{Shared, stop_asked};

/// A bind and what it was started with.
struct Running {
    facts: Arc<CarrierFacts>,
    receipts_for: Id<Carrier>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Runs until stopped; then ends every bind in good order.
pub(crate) async fn run(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let poll = Duration::from_millis(shared.config.poll_interval_ms);
    let mut running: BTreeMap<Id<Carrier>, Running> = BTreeMap::new();
    let mut ending: Vec<JoinHandle<()>> = vec![];
    loop {
        match shared.deps.directory.carriers().await {
            Ok(carriers) => update(&shared, &mut running, &mut ending, &carriers),
            Err(error) => tracing::warn!(%error, "the list of carriers cannot be read"),
        }
        ending.retain(|task| !task.is_finished());
        tokio::select! {
            () = stop_asked(&mut stopped) => break,
            () = tokio::time::sleep(poll) => {}
        }
    }
    for bind in running.values() {
        bind.stop.send_replace(true);
    }
    for task in running.into_values().map(|bind| bind.task).chain(ending) {
        if let Err(error) = task.await {
            tracing::error!(%error, "the task of a bind has died");
        }
    }
}

/// Makes what runs agree with the list.
fn update(
    shared: &Arc<Shared>,
    running: &mut BTreeMap<Id<Carrier>, Running>,
    ending: &mut Vec<JoinHandle<()>>,
    carriers: &[Arc<CarrierFacts>],
) {
    let wanted: BTreeMap<_, _> = carriers.iter().filter(|facts| facts.enabled).map(|facts| (facts.id, facts)).collect();
    let gone: Vec<_> = running.keys().filter(|id| !wanted.contains_key(*id)).copied().collect();
    for bind in gone.into_iter().filter_map(|id| running.remove(&id)) {
        tracing::info!(carrier = %bind.facts.name, "carrier removed or disabled");
        bind.stop.send_replace(true);
        ending.push(bind.task);
    }
    for (id, facts) in wanted {
        let receipts_for = receipts_for(facts, carriers);
        let before = running.remove(&id);
        if let Some(same) = before.as_ref()
            && same.facts == *facts
            && same.receipts_for == receipts_for
            && !same.task.is_finished()
        {
            running.extend(before.map(|same| (id, same)));
            continue;
        }
        let former = before.map(|changed| {
            tracing::info!(carrier = %facts.name, "carrier changed");
            changed.stop.send_replace(true);
            changed.task
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(client::run(Arc::clone(shared), Arc::clone(facts), receipts_for, former, stopped));
        running.insert(id, Running { facts: Arc::clone(facts), receipts_for, stop, task });
    }
}

/// Whose texts the receipts of a carrier are about: a receiver bind brings those of the transmitter bind of the same
/// account, which is another entry of the list.
fn receipts_for(facts: &CarrierFacts, carriers: &[Arc<CarrierFacts>]) -> Id<Carrier> {
    if facts.bind != BindType::Receiver {
        return facts.id;
    }
    let same_account = |other: &&Arc<CarrierFacts>| {
        other.bind == BindType::Transmitter && other.system_id == facts.system_id && other.host == facts.host
    };
    carriers.iter().find(same_account).map_or(facts.id, |other| other.id)
}
