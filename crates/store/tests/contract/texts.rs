//! Texts: `SmsQueue` and what it leaves behind.

use std::collections::HashSet;
use std::time::Duration;

use base::id::kind::{Carrier, Message};
use base::{Id, Timestamp};
use domain::ports::{Directory, InboundOutcome, ReceiptOutcome, SmsError, SmsQueue};
use domain::sms::{
    Concatenation, Encoding, InboundPart, MessageStatus, NewMessage, QueuedPart, ReceiptReport, ReceiptState,
    SubmitOutcome, SubmitResult,
};
use domain::trunk::ON_NET;
use store::{MessageDirection, MessageFilter, Place, TenantChange, UserRow};

use crate::world::{World, e164, usd};

const LEASE: Duration = Duration::from_secs(30);

fn carrier(n: i64) -> Id<Carrier> {
    Id::from_i64(n)
}

/// A text of `segments` segments at 100 micros each, to carriers 1 and 2.
fn text(w: &World, user: &UserRow, segments: usize) -> NewMessage {
    let price = i64::try_from(segments).unwrap() * 100;
    NewMessage {
        id: w.store.new_id(),
        tenant: user.tenant,
        user: user.id,
        wallet: user.wallet,
        from: e164("+15550000001"),
        to: e164("+442071234567"),
        body: "x".repeat(segments),
        encoding: Encoding::Gsm7,
        segments: vec!["x".into(); segments],
        price: usd(price),
        carriers: vec![carrier(1), carrier(2)],
        created_at: w.now(),
        due_at: w.now(),
        valid_until: w.now().after(Duration::from_secs(3600)),
    }
}

fn outcome(w: &World, part: &QueuedPart, result: SubmitResult) -> SubmitOutcome {
    SubmitOutcome { message: part.message, part: part.part, carrier: part.carrier, at: w.now(), result }
}

fn accepted(w: &World, part: &QueuedPart, id: &str) -> SubmitOutcome {
    outcome(w, part, SubmitResult::Accepted { carrier_message_id: id.into() })
}

fn report(w: &World, ids: &[&str], state: ReceiptState) -> ReceiptReport {
    ReceiptReport {
        carrier: carrier(1),
        id_candidates: ids.iter().map(|i| (*i).to_owned()).collect(),
        state,
        code: Some("000".into()),
        raw: "id:… stat:…".into(),
        at: w.now(),
    }
}

async fn claim(w: &World, carriers: &[i64]) -> Vec<QueuedPart> {
    let carriers: Vec<_> = carriers.iter().copied().map(carrier).collect();
    w.store.claim(&carriers, &carriers, 100, w.now(), LEASE).await.unwrap()
}

async fn status(w: &World, message: Id<Message>) -> MessageStatus {
    w.store.find_message(None, None, message).await.unwrap().status
}

async fn sender(w: &World, micros: i64) -> UserRow {
    let tenant = w.tenant("acme").await;
    w.funded(tenant.id, "alice", micros).await
}

pub(crate) async fn m3_a_text_holds_its_price_and_captures_it_when_sent(w: World) {
    let user = sender(&w, 1_000).await;
    let message = text(&w, &user, 2);
    assert_eq!(w.store.accept(message.clone()).await, Ok(message.id));
    assert_eq!(w.store.accept(message.clone()).await, Ok(message.id), "the id is the idempotency key");
    assert_eq!(w.wallet(&user).await, (1_000, 200));
    let parts = claim(&w, &[1]).await;
    assert_eq!(parts.iter().map(|p| (p.part, p.parts, p.attempts)).collect::<Vec<_>>(), [(1, 2, 0), (2, 2, 0)]);
    assert_eq!(parts[0].reference, parts[1].reference);
    w.store.submitted(&[accepted(&w, &parts[0], "a")]).await.unwrap();
    assert_eq!((status(&w, message.id).await, w.wallet(&user).await), (MessageStatus::Queued, (1_000, 200)));
    for _ in 0..2 {
        w.store.submitted(&[accepted(&w, &parts[1], "b")]).await.unwrap();
    }
    assert_eq!((status(&w, message.id).await, w.wallet(&user).await), (MessageStatus::Sent, (800, 0)));
    let row = w.store.find_message(None, None, message.id).await.unwrap();
    assert_eq!((row.charged, row.sent_at, row.carrier), (Some(usd(200)), Some(w.now()), Some(carrier(1))));
    w.check_ledger().await;
}

pub(crate) async fn m3_a_text_without_money_leaves_nothing(w: World) {
    let user = sender(&w, 199).await;
    assert_eq!(w.store.accept(text(&w, &user, 2)).await, Err(SmsError::NoCredit));
    assert!(w.store.list_messages(None, &MessageFilter::default(), None, 10).await.unwrap().is_empty());
    assert!(claim(&w, &[1, 2]).await.is_empty());
    assert_eq!(w.wallet(&user).await, (199, 0));
}

pub(crate) async fn m3_a_rejected_text_is_released_and_a_half_sent_one_pays_its_half(w: World) {
    let user = sender(&w, 1_000).await;
    let (rejected, half) = (text(&w, &user, 1), text(&w, &user, 2));
    w.store.accept(rejected.clone()).await.unwrap();
    w.store.accept(half.clone()).await.unwrap();
    let parts = claim(&w, &[1, 2]).await;
    let fail = |part| outcome(&w, part, SubmitResult::Failed { code: 0x0b });
    w.store.submitted(&[fail(&parts[0]), accepted(&w, &parts[1], "a"), fail(&parts[2])]).await.unwrap();
    let row = w.store.find_message(None, None, rejected.id).await.unwrap();
    assert_eq!((row.status, row.code.as_deref()), (MessageStatus::Failed, Some("0x0000000B")));
    let row = w.store.find_message(None, None, half.id).await.unwrap();
    assert_eq!((row.status, row.charged), (MessageStatus::Failed, Some(usd(100))));
    assert_eq!(w.wallet(&user).await, (900, 0));
    w.check_ledger().await;
}

pub(crate) async fn m18_eight_workers_claim_every_part_once(w: World) {
    let user = sender(&w, 1_000_000).await;
    let accepts = (0..200).map(|_| {
        let (store, message) = (w.store.clone(), text(&w, &user, 2));
        tokio::spawn(async move { store.accept(message).await })
    });
    for accept in accepts.collect::<Vec<_>>() {
        accept.await.unwrap().unwrap();
    }
    let other = w.another().await;
    let workers = (0..8).map(|n| {
        let (store, now) = (if n % 2 == 0 { w.store.clone() } else { other.clone() }, w.now());
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let parts = store.claim(&[carrier(1)], &[carrier(1)], 7, now, LEASE).await.unwrap();
                if parts.is_empty() {
                    return mine;
                }
                mine.extend(parts.iter().map(|p| (p.message, p.part)));
            }
        })
    });
    let mut claimed = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        claimed.extend(worker.await.unwrap());
    }
    // A worker may find everything locked by others and stop early; nothing is lost by that.
    claimed.extend(claim(&w, &[1]).await.iter().map(|p| (p.message, p.part)));
    assert_eq!(claimed.len(), 400);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 400, "a part was claimed twice");
}

pub(crate) async fn m18_a_crash_between_any_two_steps_loses_nothing(mut w: World) {
    let user = sender(&w, 1_000).await;
    let message = text(&w, &user, 2);
    w.store.accept(message.clone()).await.unwrap();
    w.crash().await;
    assert_eq!(claim(&w, &[1]).await.len(), 2);
    w.crash().await;
    assert!(claim(&w, &[1]).await.is_empty(), "the lease outlives the process");
    w.advance(LEASE);
    let parts = claim(&w, &[1]).await;
    assert_eq!(parts.iter().map(|p| p.attempts).collect::<Vec<_>>(), [1, 1]);
    w.store.submitted(&[accepted(&w, &parts[0], "a")]).await.unwrap();
    w.crash().await;
    w.advance(LEASE);
    let parts = claim(&w, &[1]).await;
    assert_eq!(parts.iter().map(|p| p.part).collect::<Vec<_>>(), [2], "only what has no answer");
    w.store.submitted(&[accepted(&w, &parts[0], "b")]).await.unwrap();
    w.crash().await;
    w.store.receipt(report(&w, &["a"], ReceiptState::Delivered)).await.unwrap();
    w.crash().await;
    w.store.receipt(report(&w, &["b"], ReceiptState::Delivered)).await.unwrap();
    assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
    assert_eq!(w.wallet(&user).await, (800, 0));
    w.check_ledger().await;
}

pub(crate) async fn a_part_goes_to_the_first_carrier_of_its_plan_that_is_there(w: World) {
    let user = sender(&w, 1_000).await;
    let message = text(&w, &user, 1);
    w.store.accept(message.clone()).await.unwrap();
    assert!(claim(&w, &[3]).await.is_empty());
    let full = w.store.claim(&[carrier(1), carrier(2)], &[carrier(2)], 9, w.now(), LEASE).await.unwrap();
    assert!(full.is_empty(), "a carrier that is merely full keeps its texts");
    let parts = claim(&w, &[2, 1]).await;
    assert_eq!(parts[0].carrier, carrier(1));
    w.store.submitted(&[outcome(&w, &parts[0], SubmitResult::NextCarrier { code: 8 })]).await.unwrap();
    assert!(claim(&w, &[1]).await.is_empty(), "carrier 1 has refused");
    let parts = claim(&w, &[1, 2]).await;
    assert_eq!(parts[0].carrier, carrier(2));
    w.store.submitted(&[outcome(&w, &parts[0], SubmitResult::NextCarrier { code: 8 })]).await.unwrap();
    assert_eq!(status(&w, message.id).await, MessageStatus::Failed, "the plan has no other");
    assert_eq!(w.wallet(&user).await, (1_000, 0));
}

pub(crate) async fn a_throttled_part_keeps_its_lease_and_an_unclaimed_one_is_free_at_once(w: World) {
    let user = sender(&w, 1_000).await;
    w.store.accept(text(&w, &user, 1)).await.unwrap();
    let parts = claim(&w, &[1]).await;
    w.store.unclaim(&parts).await.unwrap();
    w.store.unclaim(&parts).await.unwrap();
    let parts = claim(&w, &[1]).await;
    assert_eq!(parts[0].attempts, 0, "giving back is no attempt");
    let at = w.now().after(Duration::from_secs(60));
    w.store.submitted(&[outcome(&w, &parts[0], SubmitResult::RetryAt { at, code: 0x58 })]).await.unwrap();
    w.advance(LEASE);
    assert!(claim(&w, &[1, 2]).await.is_empty());
    w.advance(LEASE);
    assert_eq!(claim(&w, &[1]).await[0].attempts, 1);
}

pub(crate) async fn m6_a_receipt_matches_in_any_form_and_before_its_response(w: World) {
    let user = sender(&w, 1_000).await;
    let message = text(&w, &user, 1);
    w.store.accept(message.clone()).await.unwrap();
    let parts = claim(&w, &[1]).await;
    // It overtakes the response, and names the id in decimal.
    let early = report(&w, &["2804", "0af4", "AF4"], ReceiptState::Delivered);
    assert_eq!(w.store.receipt(early).await, Ok((ReceiptOutcome::Parked, vec![])));
    let changes = w.store.submitted(&[accepted(&w, &parts[0], "00000AF4")]).await.unwrap();
    assert_eq!(changes.last().map(|c| (c.message, c.status)), Some((message.id, MessageStatus::Delivered)));
    assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
    let again = report(&w, &["af4"], ReceiptState::Delivered);
    assert_eq!(w.store.receipt(again).await, Ok((ReceiptOutcome::Matched(message.id), vec![])));
    let events = w.store.message_events(message.id).await.unwrap();
    let events: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
    assert_eq!(events, ["queued", "submitted", "receipt", "sent", "delivered"]);
    let foreign = ReceiptReport { carrier: carrier(2), ..report(&w, &["af4"], ReceiptState::Delivered) };
    assert_eq!(w.store.receipt(foreign).await, Ok((ReceiptOutcome::Parked, vec![])));
    w.advance(Duration::from_secs(25 * 3600));
    let swept = SmsQueue::sweep(&w.store, w.now()).await.unwrap();
    assert_eq!((swept.rows, swept.changes.len()), (1, 0), "the parked one is dropped after a day");
}

pub(crate) async fn m3_an_undelivered_text_is_refunded_where_the_tenant_says_so(w: World) {
    let user = sender(&w, 1_000).await;
    for (refund, left) in [(false, 900), (true, 900)] {
        let change = TenantChange { refund_undelivered: Some(refund), ..TenantChange::default() };
        w.store.update_tenant(user.tenant, &change).await.unwrap();
        let message = text(&w, &user, 1);
        w.store.accept(message.clone()).await.unwrap();
        let parts = claim(&w, &[1]).await;
        let id = message.id.to_string();
        w.store.submitted(&[accepted(&w, &parts[0], &id)]).await.unwrap();
        for _ in 0..2 {
            w.store.receipt(report(&w, &[&id], ReceiptState::Undeliverable)).await.unwrap();
        }
        let row = w.store.find_message(None, None, message.id).await.unwrap();
        assert_eq!((row.status, row.receipt.as_deref()), (MessageStatus::Failed, Some("undeliverable")));
        assert_eq!(row.charged, Some(usd(if refund { 0 } else { 100 })));
        assert_eq!(w.wallet(&user).await, (left, 0));
        // The phone was found after all: the text is delivered, the money stays where it is.
        w.store.receipt(report(&w, &[&id], ReceiptState::Delivered)).await.unwrap();
        assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
        assert_eq!(w.wallet(&user).await, (left, 0));
    }
    w.check_ledger().await;
}

pub(crate) async fn delivered_needs_all_parts_and_stays(w: World) {
    let user = sender(&w, 1_000).await;
    let message = text(&w, &user, 2);
    w.store.accept(message.clone()).await.unwrap();
    let parts = claim(&w, &[1]).await;
    w.store.submitted(&[accepted(&w, &parts[0], "a"), accepted(&w, &parts[1], "b")]).await.unwrap();
    w.store.receipt(report(&w, &["a"], ReceiptState::Enroute)).await.unwrap();
    w.store.receipt(report(&w, &["a"], ReceiptState::Delivered)).await.unwrap();
    assert_eq!(status(&w, message.id).await, MessageStatus::Sent);
    w.store.receipt(report(&w, &["b"], ReceiptState::Delivered)).await.unwrap();
    assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
    w.store.receipt(report(&w, &["b"], ReceiptState::Expired)).await.unwrap();
    assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
}

pub(crate) async fn m5_parts_are_joined_and_repetitions_known(mut w: World) {
    let tenant = w.tenant("acme").await;
    let user = w.user(tenant.id, "alice").await;
    w.number(&user, "+15550000001").await;
    let part = |w: &World, n: u8, text: &str| InboundPart {
        id: w.store.new_id(),
        carrier: carrier(1),
        from: "+442071234567".into(),
        to: e164("+15550000001"),
        text: text.into(),
        concatenation: Some(Concatenation { reference: 7, parts: 3, part: n }),
        at: w.now(),
    };
    assert_eq!(w.store.inbound(part(&w, 3, "three")).await, Ok(InboundOutcome::PartStored));
    assert_eq!(w.store.inbound(part(&w, 1, "one ")).await, Ok(InboundOutcome::PartStored));
    assert_eq!(w.store.inbound(part(&w, 1, "one ")).await, Ok(InboundOutcome::Duplicate));
    w.crash().await;
    let last = part(&w, 2, "two ");
    assert_eq!(w.store.inbound(last.clone()).await, Ok(InboundOutcome::Stored(last.id)));
    assert_eq!(w.store.inbound(part(&w, 2, "two ")).await, Ok(InboundOutcome::Duplicate));
    let row = w.store.find_message(Some(tenant.id), Some(user.id), last.id).await.unwrap();
    assert_eq!((row.body.as_str(), row.segments, row.status), ("one two three", 3, MessageStatus::Received));
    // The same reference again, for another text.
    w.advance(Duration::from_secs(3600));
    for (n, text, outcome) in [(1, "un ", None), (2, "deux ", None), (3, "trois", Some("un deux trois"))] {
        let part = part(&w, n, text);
        let expected = outcome.map_or(InboundOutcome::PartStored, |_| InboundOutcome::Stored(part.id));
        assert_eq!(w.store.inbound(part.clone()).await, Ok(expected));
        if let Some(body) = outcome {
            assert_eq!(w.store.find_message(None, None, part.id).await.unwrap().body, body);
        }
    }
    // A text of one part is stored once per id.
    let single = InboundPart { concatenation: None, ..part(&w, 1, "привет") };
    assert_eq!(w.store.inbound(single.clone()).await, Ok(InboundOutcome::Stored(single.id)));
    assert_eq!(w.store.inbound(single.clone()).await, Ok(InboundOutcome::Duplicate));
    let row = w.store.find_message(None, None, single.id).await.unwrap();
    assert_eq!((row.encoding, row.direction), (Encoding::Ucs2, MessageDirection::Inbound));
    let inbound = MessageFilter { direction: Some(MessageDirection::Inbound), ..MessageFilter::default() };
    assert_eq!(w.store.list_messages(None, &inbound, None, 10).await.unwrap().len(), 3);
    let stranger = InboundPart { to: e164("+15550000009"), ..single };
    assert_eq!(w.store.inbound(stranger).await, Ok(InboundOutcome::UnknownNumber));
}

pub(crate) async fn a_text_past_its_validity_fails_and_is_released(w: World) {
    let user = sender(&w, 1_000).await;
    let (waiting, leased) = (text(&w, &user, 1), text(&w, &user, 1));
    w.store.accept(leased.clone()).await.unwrap();
    w.advance(Duration::from_secs(3590));
    let parts = claim(&w, &[1]).await;
    w.store.accept(waiting.clone()).await.unwrap();
    w.advance(Duration::from_secs(11));
    let swept = SmsQueue::sweep(&w.store, w.now()).await.unwrap();
    let given_up: Vec<_> = swept.changes.iter().map(|c| (c.message, c.status)).collect();
    assert_eq!(given_up, [(waiting.id, MessageStatus::Failed)]);
    assert_eq!(status(&w, leased.id).await, MessageStatus::Queued, "its answer is still awaited");
    w.store.submitted(&[accepted(&w, &parts[0], "a")]).await.unwrap();
    assert_eq!(status(&w, leased.id).await, MessageStatus::Sent);
    let row = w.store.find_message(None, None, waiting.id).await.unwrap();
    assert_eq!((row.status, row.code.as_deref()), (MessageStatus::Failed, Some("expired")));
    assert_eq!(w.wallet(&user).await, (900, 0));
    w.advance(Duration::from_secs(25 * 3600));
    SmsQueue::sweep(&w.store, w.now()).await.unwrap();
    let row = w.store.find_message(None, None, leased.id).await.unwrap();
    assert_eq!((row.status, row.receipt.as_deref()), (MessageStatus::Sent, Some("unknown")));
    w.check_ledger().await;
}

pub(crate) async fn a_text_between_our_own_numbers_is_delivered_once_without_a_carrier(w: World) {
    let tenant = w.tenant("acme").await;
    let (alice, bob) = (w.funded(tenant.id, "alice", 1_000).await, w.user(tenant.id, "bob").await);
    w.number(&bob, "+442071234567").await;
    let plan = w.store.carriers_for(tenant.id, &e164("+442071234567")).await.unwrap();
    assert_eq!(plan, [ON_NET]);
    let message = NewMessage { carriers: plan, ..text(&w, &alice, 2) };
    w.store.accept(message.clone()).await.unwrap();
    let parts = claim(&w, &[0]).await;
    let id = w.store.new_id();
    let mut outcomes = vec![];
    for part in &parts {
        let place = Concatenation { reference: u16::from(part.reference), parts: part.parts, part: part.part };
        let inbound = InboundPart {
            id,
            carrier: ON_NET,
            from: part.from.to_string(),
            to: part.to.clone(),
            text: part.text.clone(),
            concatenation: Some(place),
            at: w.now(),
        };
        outcomes.push(w.store.inbound(inbound.clone()).await.unwrap());
        assert_eq!(w.store.inbound(inbound).await, Ok(InboundOutcome::Duplicate));
        w.store.submitted(&[outcome(&w, part, SubmitResult::Delivered)]).await.unwrap();
    }
    assert_eq!(outcomes, [InboundOutcome::PartStored, InboundOutcome::Stored(id)]);
    assert_eq!(status(&w, message.id).await, MessageStatus::Delivered);
    assert_eq!(w.wallet(&alice).await, (800, 0));
    assert_eq!(w.store.find_message(None, Some(bob.id), id).await.unwrap().body, "xx");
    w.check_ledger().await;
}

pub(crate) async fn m7_texts_are_listed_newest_first_with_filters_and_events(w: World) {
    let user = sender(&w, 100_000).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let message = NewMessage { to: e164(&format!("+4420712345{n}")), ..text(&w, &user, 1) };
        ids.push(w.store.accept(message).await.unwrap());
        w.advance(Duration::from_millis(n % 2));
    }
    ids.reverse();
    let (mut seen, mut place) = (Vec::new(), None);
    loop {
        let page = w.store.list_messages(Some(user.tenant), &MessageFilter::default(), place, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        place = Some(Place { at: last.created_at, id: last.id.as_i64() });
        seen.extend(page.iter().map(|m| m.id));
    }
    assert_eq!(seen, ids);
    let count = async |filter: MessageFilter| w.store.list_messages(None, &filter, None, 100).await.unwrap().len();
    assert_eq!(count(MessageFilter { peer: Some("+44207123453".into()), ..MessageFilter::default() }).await, 1);
    assert_eq!(count(MessageFilter { status: Some(MessageStatus::Sent), ..MessageFilter::default() }).await, 0);
    assert_eq!(count(MessageFilter { user: Some(user.id), ..MessageFilter::default() }).await, 5);
    assert_eq!(count(MessageFilter { to: Some(Timestamp::from_millis(0)), ..MessageFilter::default() }).await, 0);
}
