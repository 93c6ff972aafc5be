//! The gateway between an in-memory queue and SMSCs on loopback sockets.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use domain::sms::ReceiptState;
use domain::trunk::{BindType, CarrierFacts};
use smpp_gateway::Config;
use smpp_proto::{BindMode, CommandStatus};
use world::smsc::{Answer, Smsc};
use world::{RowState, World, carrier, carrier_id, quick};

#[tokio::test]
async fn m1_a_queued_text_goes_out_and_its_receipt_finds_it() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let gateway = world.start(quick());
    world.queue.put("hello [€]", &[carrier_id(1)]);
    world.queued.notify_one();
    world.queue.until("acceptance", |rows| matches!(rows.rows[0].state, RowState::Accepted { .. })).await;
    assert_eq!(smsc.seen().texts, ["hello [€]"]);
    assert_eq!(world.queue.lock().rows[0].state, RowState::Accepted { carrier: carrier_id(1), id: "0000001B".into() });

    // The response was hexadecimal with zeros, the receipt is decimal.
    smsc.deliver_receipt("id:27 sub:001 dlvrd:001 stat:DELIVRD err:000 text:hello");
    world.queue.until("receipt", |rows| rows.receipts.len() == 1).await;
    smsc.until("acknowledgement", |seen| seen.delivered == [CommandStatus::ESME_ROK]).await;
    let report = world.queue.lock().receipts[0].clone();
    assert_eq!((report.state, report.carrier), (ReceiptState::Delivered, carrier_id(1)));
    assert!(report.id_candidates.contains(&"1b".to_owned()));
    gateway.stop().await;
    smsc.until("unbinding", |seen| seen.bound == 0).await;
}

#[tokio::test]
async fn m5_an_inbound_text_is_acknowledged_only_when_it_is_stored() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let gateway = world.start(quick());
    smsc.until("bind", |seen| seen.bound == 1).await;
    world.queue.down.store(true, Ordering::SeqCst);
    smsc.deliver_text("lost?");
    smsc.until("refusal", |seen| seen.delivered == [CommandStatus::ESME_RX_T_APPN]).await;
    world.queue.down.store(false, Ordering::SeqCst);
    smsc.deliver_text("kept");
    smsc.until("acknowledgement", |seen| seen.delivered.last() == Some(&CommandStatus::ESME_ROK)).await;
    assert_eq!(world.queue.lock().inbound.len(), 1, "stored before the acknowledgement");
    let part = world.queue.lock().inbound[0].clone();
    assert_eq!((part.from.as_str(), part.to.as_str(), part.text.as_str()), ("+15550009", "+15550001", "kept"));
    let foreign = smpp_proto::Message {
        destination: smpp_proto::Address::international(b"4477009"),
        short_message: b"x",
        ..world::smsc::to_us()
    };
    smsc.deliver(foreign);
    smsc.until("refusal", |seen| seen.delivered.last() == Some(&CommandStatus::ESME_RINVDSTADR)).await;
    gateway.stop().await;
}

#[tokio::test]
async fn m17_throttled_texts_go_by_the_other_carrier_without_loss_or_duplicate() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let world = World::new([carrier(1, first.port), carrier(2, second.port)]);
    let gateway = world.start(quick());
    for smsc in [&first, &second] {
        smsc.until("bind", |seen| seen.bound == 1).await;
    }
    first.seen().answer = Answer::Refuse(CommandStatus::ESME_RTHROTTLED);
    for n in 0..300 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1), carrier_id(2)]);
    }
    world.queued.notify_one();
    world.queue.until("acceptance of all", all_accepted).await;
    let mut texts = second.seen().texts.clone();
    texts.sort();
    texts.dedup();
    assert_eq!((texts.len(), second.seen().texts.len(), first.seen().texts.len()), (300, 300, 0));
    gateway.stop().await;
}

#[tokio::test]
async fn m17_a_carrier_that_unbinds_hands_its_texts_to_the_next_and_gets_later_ones_again() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let world = World::new([carrier(1, first.port), carrier(2, second.port)]);
    let gateway = world.start(quick());
    for smsc in [&first, &second] {
        smsc.until("bind", |seen| seen.bound == 1).await;
    }
    first.seen().answer = Answer::Silence;
    second.seen().answer = Answer::Silence;
    for n in 0..5 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1), carrier_id(2)]);
    }
    world.queued.notify_one();
    first.until("submits", |seen| seen.texts.len() == 5).await;
    second.seen().answer = Answer::Take;
    let port = first.port;
    drop(first);
    world.queue.until("acceptance of all", all_accepted).await;
    assert_eq!(second.seen().texts.len(), 5);
    let first = Smsc::start_on(port).await;
    first.until("a new bind", |seen| seen.bound == 1).await;
    world.queue.put("back home", &[carrier_id(1)]);
    world.queued.notify_one();
    first.until("a text", |seen| seen.texts == ["back home"]).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_queue_that_waits_for_its_carrier_moves_as_soon_as_that_is_bound() {
    let smsc = Smsc::start().await;
    smsc.seen().password = "other".into();
    let world = World::new([carrier(1, smsc.port)]);
    // Nothing but the bind itself can wake the dispatcher in time.
    let gateway = world.start(Config { poll_interval_ms: 60_000, ..quick() });
    for n in 0..50 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    smsc.until("a refused bind", |seen| seen.refused >= 2).await;
    assert_eq!(world.queue.lock().claims, 0, "nothing is claimed for a carrier that is not bound");
    smsc.seen().password = "secret".into();
    world.queue.until("acceptance of all", all_accepted).await;
    gateway.stop().await;
}

#[tokio::test]
async fn carriers_come_change_and_go_while_the_gateway_runs() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let world = World::new([carrier(1, first.port)]);
    let gateway = world.start(quick());
    first.until("bind", |seen| seen.bound == 1).await;
    world.directory.set(carrier(2, second.port));
    second.until("bind of a new carrier", |seen| seen.bound == 1).await;

    first.seen().password = "changed".into();
    world.directory.set(CarrierFacts { password: base::Secret::new("changed"), ..carrier(1, first.port) });
    first.until("bind with the new password", |seen| seen.binds.len() == 2 && seen.bound == 1).await;
    assert_eq!(first.seen().refused, 0);

    world.directory.set(CarrierFacts { enabled: false, ..carrier(2, second.port) });
    second.until("unbinding", |seen| seen.bound == 0).await;
    world.queue.put("only by the second", &[carrier_id(2)]);
    world.queue.put("by the first", &[carrier_id(1)]);
    world.queued.notify_one();
    first.until("a text", |seen| seen.texts == ["by the first"]).await;
    assert!(second.seen().texts.is_empty());
    gateway.stop().await;
}

#[tokio::test]
async fn a_text_without_an_answer_is_sent_again() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let gateway = world.start(Config { response_timeout_ms: 100, lease_ms: 1_000, ..quick() });
    smsc.seen().answers = vec![Answer::Silence];
    world.queue.put("twice", &[carrier_id(1)]);
    world.queued.notify_one();
    world.queue.until("acceptance", all_accepted).await;
    assert_eq!(smsc.seen().texts, ["twice", "twice"]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_refused_text_goes_to_the_next_carrier_and_fails_after_the_last() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let world = World::new([carrier(1, first.port), carrier(2, second.port)]);
    let gateway = world.start(quick());
    first.seen().answer = Answer::Refuse(CommandStatus::ESME_RINVSRCADR);
    second.seen().answers = vec![Answer::Take, Answer::Refuse(CommandStatus::ESME_RINVDSTADR)];
    for smsc in [&first, &second] {
        smsc.until("bind", |seen| seen.bound == 1).await;
    }
    for n in 0..2 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1), carrier_id(2)]);
        world.queued.notify_one();
        world.queue.until("an end", |rows| rows.rows[n].state != RowState::Queued).await;
    }
    let states: Vec<_> = world.queue.lock().rows.iter().map(|row| row.state.clone()).collect();
    assert!(matches!(states[0], RowState::Accepted { carrier, .. } if carrier == carrier_id(2)));
    assert_eq!(states[1], RowState::Failed { code: CommandStatus::ESME_RINVDSTADR.0 });
    gateway.stop().await;
}

#[tokio::test]
async fn m18_a_gateway_that_dies_in_the_middle_loses_nothing_and_repeats_at_most_what_was_in_flight() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let config = Config { response_timeout_ms: 200, lease_ms: 400, ..quick() };
    for n in 0..2_000 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    // A runtime of its own: every task of the gateway vanishes between two of its steps, as with kill -9.
    let doomed = tokio::runtime::Runtime::new().unwrap();
    let gateway = {
        let _inside = doomed.enter();
        world.start(config.clone())
    };
    smsc.until("a part of the work", |seen| seen.texts.len() >= 500).await;
    doomed.shutdown_background();
    smsc.until("the end of the bind", |seen| seen.bound == 0).await;
    drop(gateway);
    assert!(world.queue.accepted() < 2_000, "it was killed too late to prove anything");
    let gateway = world.start(config);
    world.queue.until("acceptance of all", all_accepted).await;
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    smsc.seen().texts.iter().for_each(|text| *count.entry(text.clone()).or_default() += 1);
    let repeated: usize = count.values().map(|times| times - 1).sum();
    // What was answered but not yet written counts too: at most what the line holds, ten windows.
    assert_eq!(count.len(), 2_000);
    assert!(repeated <= 100, "{repeated} repeated");
    gateway.stop().await;
}

#[tokio::test]
async fn a_store_that_is_down_for_a_while_gets_every_answer_and_nothing_is_sent_twice() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let gateway = world.start(quick());
    smsc.until("bind", |seen| seen.bound == 1).await;
    for n in 0..100 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    smsc.seen().answers = vec![Answer::Take; 30];
    world.queued.notify_one();
    smsc.until("the first texts", |seen| !seen.texts.is_empty()).await;
    world.queue.down.store(true, Ordering::SeqCst);
    smsc.until("what was claimed", |seen| seen.texts.len() >= 10).await;
    world.queue.down.store(false, Ordering::SeqCst);
    world.queue.until("acceptance of all", all_accepted).await;
    assert_eq!(smsc.seen().texts.len(), 100);
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_that_the_store_never_takes_does_not_hold_up_the_others() {
    let smsc = Smsc::start().await;
    let world = World::new([carrier(1, smsc.port)]);
    let gateway = world.start(quick());
    *world.queue.poison.lock().unwrap() = Some("0000001D".into());
    for n in 0..300 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    world
        .queue
        .until("acceptance of all but one", |rows| {
            rows.rows.iter().filter(|row| row.state == RowState::Queued).count() == 1
        })
        .await;
    assert_eq!(smsc.seen().texts.len(), 300);
    gateway.stop().await;
}

#[tokio::test]
async fn m17_throttling_keeps_the_order_of_the_queue() {
    let smsc = Smsc::start().await;
    let world = World::new([CarrierFacts { window: 1, ..carrier(1, smsc.port) }]);
    for n in 0..30 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    smsc.seen().answers =
        vec![Answer::Take, Answer::Refuse(CommandStatus::ESME_RTHROTTLED), Answer::Take, Answer::Take];
    let gateway = world.start(quick());
    world.queue.until("acceptance of all", all_accepted).await;
    let expected: Vec<_> = (0..30).map(|n| format!("text {n}")).collect();
    assert_eq!(smsc.seen().texts, expected);
    gateway.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_carrier_that_has_fallen_silent_goes_to_the_next() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let world = World::new([CarrierFacts { window: 1, ..carrier(1, first.port) }, carrier(2, second.port)]);
    let gateway = world.start(Config { response_timeout_ms: 4_000, lease_ms: 6_000, ..quick() });
    for smsc in [&first, &second] {
        smsc.until("bind", |seen| seen.bound == 1).await;
    }
    first.seen().answer = Answer::Silence;
    for n in 0..5 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1), carrier_id(2)]);
    }
    world.queued.notify_one();
    second.until("what waited", |seen| seen.texts.len() == 4).await;
    assert_eq!(first.seen().texts.len(), 1);
    world.queue.until("the last one, too", all_accepted).await;
    gateway.stop().await;
}

#[tokio::test]
async fn stopping_gives_back_what_was_not_sent_and_waits_for_open_answers() {
    let smsc = Smsc::start().await;
    let world = World::new([CarrierFacts { window: 2, ..carrier(1, smsc.port) }]);
    let gateway = world.start(Config { unbind_timeout_ms: 200, ..quick() });
    smsc.seen().answer = Answer::Silence;
    for n in 0..10 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1)]);
    }
    world.queued.notify_one();
    smsc.until("a full window", |seen| seen.texts.len() == 2).await;
    gateway.stop().await;
    let now = base::time::Clock::now(&base::time::SystemClock);
    let state = world.queue.lock();
    assert!(state.rows.iter().all(|row| row.lease_until <= now), "every lease is given back");
    assert_eq!(state.retries.len(), 2, "what was sent without an answer is told apart from what was not sent");
    assert_eq!(smsc.seen().texts.len(), 2);
}

#[tokio::test]
async fn receipts_on_a_receiver_bind_belong_to_the_transmitter_of_the_same_account() {
    let smsc = Smsc::start().await;
    let transmitter = CarrierFacts { bind: BindType::Transmitter, ..carrier(1, smsc.port) };
    let receiver = CarrierFacts { bind: BindType::Receiver, ..carrier(2, smsc.port) };
    let world = World::new([transmitter, receiver]);
    let gateway = world.start(quick());
    smsc.until("both binds", |seen| seen.bound == 2).await;
    let mut modes: Vec<_> = smsc.seen().binds.iter().map(|(mode, _)| *mode).collect();
    modes.sort();
    assert_eq!(modes, [BindMode::Receiver, BindMode::Transmitter]);
    world.queue.put("by the transmitter", &[carrier_id(1)]);
    world.queue.put("a receiver takes none", &[carrier_id(2)]);
    world.queued.notify_one();
    world.queue.until("acceptance", |rows| matches!(rows.rows[0].state, RowState::Accepted { .. })).await;
    smsc.deliver_receipt("id:1b stat:UNDELIV err:007");
    world.queue.until("receipt", |rows| rows.receipts.len() == 1).await;
    assert_eq!(world.queue.lock().receipts[0].carrier, carrier_id(1));
    assert_eq!(smsc.seen().texts.len(), 1);
    gateway.stop().await;
}

fn all_accepted(rows: &world::Rows) -> bool {
    rows.rows.iter().all(|row| matches!(row.state, RowState::Accepted { .. }))
}

#[tokio::test]
async fn a_full_carrier_keeps_its_texts_and_goes_on_as_soon_as_it_has_room() {
    let (first, second) = (Smsc::start().await, Smsc::start().await);
    let small = CarrierFacts { window: 1, ..carrier(1, first.port) };
    let world = World::new([small, carrier(2, second.port)]);
    // Nothing but the room itself can wake the dispatcher in time.
    let gateway = world.start(Config { poll_interval_ms: 60_000, ..quick() });
    for smsc in [&first, &second] {
        smsc.until("bind", |seen| seen.bound == 1).await;
    }
    for n in 0..100 {
        world.queue.put(&format!("text {n}"), &[carrier_id(1), carrier_id(2)]);
    }
    world.queued.notify_one();
    world.queue.until("acceptance of all", all_accepted).await;
    assert_eq!((first.seen().texts.len(), second.seen().texts.len()), (100, 0));
    gateway.stop().await;
}
