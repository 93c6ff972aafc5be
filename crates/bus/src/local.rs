//! The bus of one process: a bounded ring of encoded events ([`EVENT_RING_MAX`]). Publishing never waits; who reads too
//! slowly is told how many events went by.

use std::sync::{Arc, Mutex, PoisonError};

use base::limits::EVENT_RING_MAX;
use base::time::Clock;
use base::{Id, IdGenerator, id::kind::Tenant};
use domain::event::{Event, Fact};
use domain::ports::Events;
use tokio::sync::broadcast;

/// The bus; share it in an `Arc`.
pub struct LocalBus {
    ring: broadcast::Sender<Arc<[u8]>>,
    ids: Mutex<IdGenerator>,
    clock: Arc<dyn Clock>,
}

/// One reader of the bus, from the moment of subscribing on.
#[derive(Debug)]
pub struct Subscription {
    ring: broadcast::Receiver<Arc<[u8]>>,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivery {
    /// The next event.
    Event(Event),
    /// The reader was too slow: so many events are gone. What matters must be read from the store.
    Missed(u64),
}

impl std::fmt::Debug for LocalBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalBus({} subscribers)", self.ring.receiver_count())
    }
}

impl LocalBus {
    /// A bus for node `node` (10 bits), which stands in the events' ids.
    pub fn new(node: u16, clock: Arc<dyn Clock>) -> Self {
        Self::with_ring(EVENT_RING_MAX, node, clock)
    }

    fn with_ring(events_max: usize, node: u16, clock: Arc<dyn Clock>) -> Self {
        Self { ring: broadcast::channel(events_max).0, ids: Mutex::new(IdGenerator::new(node)), clock }
    }

    /// Reads everything published from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription { ring: self.ring.subscribe() }
    }
}

impl Events for LocalBus {
    fn publish(&self, tenant: Option<Id<Tenant>>, fact: Fact) {
        // Sending under the lock keeps the order of ids and the order in the ring the same.
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.clock.now();
        let event = Event { id: ids.next(at), at, tenant, fact };
        match serde_json::to_vec(&event) {
            // An error means that nobody listens.
            Ok(bytes) => _ = self.ring.send(bytes.into()),
            Err(error) => tracing::error!(%error, "an event cannot be encoded"),
        }
    }
}

impl Subscription {
    /// The next event, or how many were missed; `None` when the bus is gone. Safe to cancel.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            match self.ring.recv().await {
                Ok(bytes) => match serde_json::from_slice(&bytes) {
                    Ok(event) => return Some(Delivery::Event(event)),
                    Err(error) => tracing::error!(%error, "an event cannot be decoded"),
                },
                Err(broadcast::error::RecvError::Lagged(missed)) => return Some(Delivery::Missed(missed)),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base::Timestamp;

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_700_000_000_000)
        }
    }

    fn fact(n: i64) -> Fact {
        Fact::SmsQueued { message: Id::from_i64(n) }
    }

    fn event(delivery: Option<Delivery>) -> Event {
        let Some(Delivery::Event(event)) = delivery else { panic!("not an event: {delivery:?}") };
        event
    }

    #[tokio::test]
    async fn every_subscriber_gets_every_event_in_order_with_growing_ids() {
        let bus = LocalBus::with_ring(8, 3, Arc::new(Fixed));
        bus.publish(None, fact(0));
        let mut readers = [bus.subscribe(), bus.subscribe()];
        bus.publish(Some(Id::from_i64(9)), fact(1));
        bus.publish(None, fact(2));
        for reader in &mut readers {
            let (first, second) = (event(reader.next().await), event(reader.next().await));
            assert_eq!((first.fact, first.tenant), (fact(1), Some(Id::from_i64(9))));
            assert_eq!(second.fact, fact(2));
            assert!(second.id > first.id);
            assert_eq!(first.at, Fixed.now());
        }
        drop(bus);
        assert_eq!(readers[0].next().await, None);
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_how_many_it_missed() {
        let bus = LocalBus::with_ring(8, 0, Arc::new(Fixed));
        let mut reader = bus.subscribe();
        for n in 0..20 {
            bus.publish(None, fact(n));
        }
        assert_eq!(reader.next().await, Some(Delivery::Missed(12)));
        assert_eq!(event(reader.next().await).fact, fact(12));
    }

    #[tokio::test]
    async fn every_kind_of_fact_survives_encoding() {
        let bus = LocalBus::with_ring(8, 0, Arc::new(Fixed));
        let mut reader = bus.subscribe();
        let facts = [
            Fact::CallStatus {
                call: Id::from_i64(1),
                users: vec![Id::from_i64(2)],
                state: domain::call_record::CallState::Ringing,
                from: "+15550001".into(),
                to: "bob@example.net".into(),
            },
            fact(1),
            Fact::SmsStatus { message: Id::from_i64(1), user: None, status: domain::sms::MessageStatus::Sent },
            Fact::SmsInbound { message: Id::from_i64(1), user: Some(Id::from_i64(2)) },
            Fact::Registration { user: Id::from_i64(2), online: true },
        ];
        for fact in &facts {
            bus.publish(None, fact.clone());
        }
        for fact in facts {
            assert_eq!(event(reader.next().await).fact, fact);
        }
    }
}
