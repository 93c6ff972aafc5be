//! Texts between our own numbers, on an in-memory queue: what the gateway asks of it and when.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::atomic::Ordering;

use domain::trunk::ON_NET;
use smpp_gateway::Config;
use world::{MemoryQueue, RowState, World, carrier_id, quick};

/// The number that the in-memory queue knows, and one that it does not.
const OURS: &str = "+15550001";
const UNKNOWN: &str = "+15550002";

fn put(queue: &MemoryQueue, text: &str, to: &str) {
    queue.put(text, &[ON_NET]);
    queue.lock().rows.last_mut().unwrap().part.to = to.parse().unwrap();
}

#[tokio::test]
async fn a_text_is_stored_under_its_twin_and_noted_as_delivered() {
    let world = World::new([]);
    // Nothing but the hint can wake the loop in time.
    let gateway = world.start(Config { poll_interval_ms: 60_000, ..quick() });
    put(&world.queue, "hello", OURS);
    world.queued.notify_one();
    world.queue.until("delivery", |rows| rows.rows[0].state == RowState::Delivered).await;
    gateway.stop().await;
    let rows = world.queue.lock();
    let copy = &rows.inbound[0];
    assert_eq!((copy.id, copy.carrier), (rows.rows[0].part.message.twin(), ON_NET));
    assert_eq!((copy.text.as_str(), copy.from.as_str(), copy.concatenation), ("hello", "+15550001", None));
    assert_eq!(rows.inbound.len(), 1);
}

#[tokio::test]
async fn a_number_that_takes_no_texts_fails_the_text() {
    let world = World::new([]);
    let gateway = world.start(quick());
    put(&world.queue, "hello", UNKNOWN);
    world.queue.until("failure", |rows| rows.rows[0].state == RowState::Failed { code: 0x0b }).await;
    gateway.stop().await;
}

#[tokio::test]
async fn texts_for_carriers_are_left_alone_and_a_crowd_is_delivered_in_one_wake() {
    let world = World::new([]);
    let gateway = world.start(Config { poll_interval_ms: 60_000, ..quick() });
    world.queue.put("for a carrier", &[carrier_id(1)]);
    for n in 0..600 {
        put(&world.queue, &format!("text {n}"), OURS);
    }
    world.queued.notify_one();
    let all = |rows: &world::Rows| rows.rows[1..].iter().all(|row| row.state == RowState::Delivered);
    world.queue.until("delivery of all", all).await;
    gateway.stop().await;
    let rows = world.queue.lock();
    assert_eq!((rows.inbound.len(), &rows.rows[0].state), (600, &RowState::Queued));
}

#[tokio::test]
async fn a_queue_that_is_down_for_a_while_delays_the_text() {
    let world = World::new([]);
    put(&world.queue, "patience", OURS);
    world.queue.down.store(true, Ordering::SeqCst);
    let gateway = world.start(quick());
    world.queue.until("claims in vain", |rows| rows.claims > 3).await;
    assert_eq!(world.queue.lock().inbound.len(), 0);
    world.queue.down.store(false, Ordering::SeqCst);
    world.queue.until("delivery", |rows| rows.rows[0].state == RowState::Delivered).await;
    gateway.stop().await;
}
