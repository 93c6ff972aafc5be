//! Where devices are: bindings in memory, written behind to the location store, restored at the start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::id::kind::{Device, User};
use base::{Id, Timestamp};
use domain::event::Fact;
use domain::ports::{BindingChange, Events, Locations, StoredBinding, Unavailable};
use serde::{Deserialize, Serialize};
use sip_proto::registrar::Binding;
use sip_proto::{Flow, Transport};
use telemetry::Gauge;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Changes that wait to be written; when more wait, the oldest keys are coalesced anyway (one entry per binding).
const WRITE_BATCH_MAX: usize = 1000;
/// How long a change may wait for company before it is written.
const WRITE_DELAY: Duration = Duration::from_millis(50);
/// How long to wait after the store did not answer.
const WRITE_RETRY: Duration = Duration::from_secs(1);
/// How often expired bindings are dropped.
const PURGE_EVERY: Duration = Duration::from_secs(5);

/// A way to a device.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contact {
    pub(crate) device: Id<Device>,
    /// The Contact URI, to be used as Request-URI.
    pub(crate) uri: String,
    pub(crate) flow: Flow,
    /// Whether the Contact's address is not the one from which it came.
    pub(crate) behind_nat: bool,
}

/// Looking contacts up, as routing needs it.
pub(crate) trait Contacts: Send + Sync {
    /// Live contacts of a user, best `q` first.
    fn of_user(&self, user: Id<User>, now: Timestamp) -> Vec<Contact>;
}

/// A binding with its owner, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) device: Id<Device>,
    pub(crate) binding: Binding,
}

impl Placed {
    /// What tells a user's bindings apart: instance and flow (RFC 5626 §6), else the Contact URI.
    fn key(&self) -> String {
        match (&self.binding.instance, self.binding.reg_id) {
            (Some(instance), Some(reg_id)) => format!("{instance};{reg_id}"),
            _ => self.binding.contact.as_str().to_owned(),
        }
    }
}

/// A binding's owner and key.
type Which = (Id<User>, String);

/// All bindings of the proxy.
pub(crate) struct Location {
    users: Mutex<HashMap<Id<User>, Vec<Placed>>>,
    /// How many bindings came by each flow, and whose they are.
    flows: Mutex<HashMap<Flow, Vec<Id<User>>>>,
    registrations: Gauge,
    /// What is to be written, one entry per binding, `None` for a removal.
    dirty: Mutex<HashMap<Which, Option<StoredBinding>>>,
    wake: Notify,
    store: Arc<dyn Locations>,
    events: Arc<dyn Events>,
}

impl Location {
    /// Restores what the store holds.
    pub(crate) async fn restore(
        store: Arc<dyn Locations>,
        events: Arc<dyn Events>,
        registrations: Gauge,
        now: Timestamp,
    ) -> Result<Self, Unavailable> {
        let mut users: HashMap<Id<User>, Vec<Placed>> = HashMap::new();
        for stored in store.load(now).await? {
            match serde_json::from_str::<Placed>(&stored.data) {
                Ok(placed) => users.entry(stored.user).or_default().push(placed),
                Err(error) => {
                    tracing::warn!(user = %stored.user, %error, "a stored binding cannot be read and is left out")
                }
            }
        }
        let mut flows: HashMap<Flow, Vec<Id<User>>> = HashMap::new();
        for (user, placed) in &users {
            for placed in placed {
                flows.entry(placed.binding.flow).or_default().push(*user);
                registrations.increment();
            }
        }
        let (users, flows) = (Mutex::new(users), Mutex::new(flows));
        Ok(Self { users, flows, registrations, dirty: Mutex::default(), wake: Notify::new(), store, events })
    }

    /// Whether a live binding came by exactly this flow.
    pub(crate) fn has_flow(&self, flow: &Flow) -> bool {
        lock(&self.flows).contains_key(flow)
    }

    /// A live flow of a device, when the one that it had is gone.
    pub(crate) fn flow_of(&self, user: Id<User>, device: Id<Device>, now: Timestamp) -> Option<Flow> {
        self.of_user(user, now).into_iter().find(|c| c.device == device).map(|c| c.flow)
    }

    /// Runs `change` on a user's bindings under the lock, so that two REGISTERs of one user do not overtake each other,
    /// then queues what differs for writing.
    pub(crate) fn update<R>(&self, user: Id<User>, change: impl FnOnce(&mut Vec<Placed>) -> R) -> R {
        let mut users = lock(&self.users);
        let placed = users.entry(user).or_default();
        let before: Vec<Placed> = placed.clone();
        let result = change(placed);
        self.queue_changes(user, &before, placed);
        self.index(user, &before, placed);
        let (was_online, is_online) = (!before.is_empty(), !placed.is_empty());
        if !is_online {
            users.remove(&user);
        }
        drop(users);
        if was_online != is_online {
            self.events.publish(None, Fact::Registration { user, online: is_online });
        }
        result
    }

    fn index(&self, user: Id<User>, before: &[Placed], after: &[Placed]) {
        let mut flows = lock(&self.flows);
        for gone in before {
            if let Some(users) = flows.get_mut(&gone.binding.flow) {
                if let Some(place) = users.iter().position(|u| *u == user) {
                    users.swap_remove(place);
                }
                if users.is_empty() {
                    flows.remove(&gone.binding.flow);
                }
            }
            self.registrations.decrement();
        }
        for placed in after {
            flows.entry(placed.binding.flow).or_default().push(user);
            self.registrations.increment();
        }
    }

    fn queue_changes(&self, user: Id<User>, before: &[Placed], after: &[Placed]) {
        let mut dirty = lock(&self.dirty);
        for key in before.iter().map(Placed::key).filter(|k| !after.iter().any(|a| a.key() == *k)) {
            dirty.insert((user, key), None);
        }
        for placed in after.iter().filter(|p| !before.contains(p)) {
            let Ok(data) = serde_json::to_string(placed) else { continue };
            let key = placed.key();
            let expires_at = placed.binding.expires_at;
            let stored = StoredBinding { user, device: placed.device, key: key.clone(), data, expires_at };
            dirty.insert((user, key), Some(stored));
        }
        if !dirty.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Drops a flow's bindings when its connection is gone: over a stream nobody can be called back there.
    pub(crate) fn flow_closed(&self, flow: Flow) {
        let affected = lock(&self.flows).get(&flow).cloned().unwrap_or_default();
        for user in affected {
            self.update(user, |placed| placed.retain(|p| p.binding.flow != flow));
        }
    }

    /// Writes behind until `stop`, then once more.
    pub(crate) async fn write_behind(self: Arc<Self>, clock: Arc<dyn base::time::Clock>, stop: CancellationToken) {
        let mut purge = tokio::time::interval(PURGE_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = purge.tick() => self.purge(clock.now()),
                () = self.wake.notified() => {
                    tokio::time::sleep(WRITE_DELAY).await;
                    self.flush().await;
                }
            }
        }
        self.flush().await;
    }

    fn purge(&self, now: Timestamp) {
        let expired = |p: &Placed| p.binding.expires_at <= now;
        let affected: Vec<Id<User>> =
            lock(&self.users).iter().filter(|(_, p)| p.iter().any(expired)).map(|(u, _)| *u).collect();
        for user in affected {
            self.update(user, |placed| placed.retain(|p| !expired(p)));
        }
    }

    fn put_back(&self, batch: Vec<(Which, Option<StoredBinding>)>) {
        let mut dirty = lock(&self.dirty);
        for (key, put) in batch {
            dirty.entry(key).or_insert(put); // a newer change goes before
        }
    }

    async fn flush(&self) {
        loop {
            let batch: Vec<_> = {
                let mut dirty = lock(&self.dirty);
                let keys: Vec<_> = dirty.keys().take(WRITE_BATCH_MAX).cloned().collect();
                keys.into_iter().filter_map(|k| dirty.remove_entry(&k)).collect()
            };
            if batch.is_empty() {
                return;
            }
            let changes: Vec<BindingChange> = batch
                .iter()
                .map(|((user, key), put)| match put {
                    Some(stored) => BindingChange::Put(stored.clone()),
                    None => BindingChange::Remove { user: *user, key: key.clone() },
                })
                .collect();
            if let Err(error) = self.store.write(&changes).await {
                tracing::warn!(%error, changes = changes.len(), "bindings not written, trying again");
                self.put_back(batch);
                tokio::time::sleep(WRITE_RETRY).await;
                self.wake.notify_one();
                return;
            }
        }
    }
}

impl Contacts for Location {
    fn of_user(&self, user: Id<User>, now: Timestamp) -> Vec<Contact> {
        let users = lock(&self.users);
        let mut live: Vec<&Placed> =
            users.get(&user).map(|p| p.iter().filter(|p| p.binding.expires_at > now).collect()).unwrap_or_default();
        live.sort_by_key(|p| std::cmp::Reverse(p.binding.q_thousandths));
        live.into_iter()
            .map(|p| Contact {
                device: p.device,
                uri: p.binding.contact.as_str().to_owned(),
                flow: way_to(&p.binding),
                behind_nat: p.binding.is_behind_nat(),
            })
            .collect()
    }
}

/// Over UDP a Contact with the address from which it came is believed, port and all (RFC 3261 §16.6); behind a NAT, and
/// over a connection, the way on which the REGISTER came is the only one.
fn way_to(binding: &Binding) -> Flow {
    let flow = binding.flow;
    match binding.contact.host_ip().filter(|ip| *ip == flow.peer.ip() && flow.transport == Transport::Udp) {
        Some(ip) => Flow { peer: (ip, binding.contact.port().unwrap_or(5060)).into(), ..flow },
        None => flow,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
