//! M1-M4, M7, M29: sending texts through the API.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use base::id::kind::Message;
use base::{Id, Timestamp};
use domain::event::Fact;
use domain::ports::{Directory, SmsQueue};
use domain::sms::{Encoding, InboundPart, NewMessage};
use reqwest::Method;
use serde_json::{Value, json};
use store::{Claim, Page};
use world::{Answer, World};

const SEND: &str = "/api/v1/sms/send";

fn text(world: &World, body: &str) -> Value {
    json!({ "from": world.a.number.number, "to": "+15559876543", "text": body })
}

async fn keyed(world: &World, token: &str, key: &str, body: &Value) -> Answer {
    world.send(world.request(Method::POST, SEND, Some(token)).header("Idempotency-Key", key).json(body)).await
}

/// Balance and held money.
async fn money(world: &World, token: &str) -> (String, String) {
    let wallet = world.get("/api/v1/wallet", token).await.expect(200);
    let text = |v: &Value| v["amount"].as_str().unwrap().to_owned();
    (text(&wallet["balance"]), text(&wallet["held"]))
}

async fn funded() -> (World, String) {
    let world = World::start().await;
    world.can_text().await;
    world.fund(&world.a.user, 1_000_000).await;
    let token = world.token(&world.a.user).await;
    (world, token)
}

#[tokio::test]
async fn m1_a_text_is_taken_with_its_price_held_and_shows_in_the_history() {
    let (world, token) = funded().await;
    let taken = world.post(SEND, &token, &text(&world, "Hello")).await.expect(202);
    assert_eq!(
        (&taken["segments"], &taken["encoding"], &taken["status"]),
        (&json!(1), &json!("gsm7"), &json!("queued"))
    );
    assert_eq!(taken["price"], json!({ "amount": "0.05", "currency": "USD" }));
    assert_eq!(money(&world, &token).await, ("1.00".into(), "0.05".into()));
    let id: Id<Message> = taken["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        world.recorder.facts.lock().unwrap().as_slice(),
        [(Some(world.a.tenant.id), Fact::SmsQueued { message: id })]
    );
    let list =
        world.get("/api/v1/sms?direction=outbound&status=queued&number=%2B15559876543", &token).await.expect(200);
    assert_eq!(list["items"][0]["id"], taken["id"]);
    assert_eq!(list["items"][0]["text"], "Hello");
    let details = world.get(&format!("/api/v1/sms/{id}"), &token).await.expect(200);
    assert_eq!(details["events"][0]["event"], "queued");
    world.get("/api/v1/sms?status=received", &token).await.expect(200)["items"]
        .as_array()
        .unwrap()
        .is_empty()
        .then_some(())
        .unwrap();
}

#[tokio::test]
async fn m2_a_sender_that_is_not_the_callers_is_refused_and_nothing_is_queued() {
    let (world, token) = funded().await;
    for from in [json!(world.b.number.number), json!("+15550000001")] {
        let mut body = text(&world, "Hello");
        body["from"] = from;
        world.post(SEND, &token, &body).await.problem(403, "sender_not_owned");
    }
    let path = format!("/api/v1/numbers/{}/status", world.a.number.id);
    world.call(Method::PUT, &path, &token, &json!({ "status": "inactive" })).await.expect(200);
    world.post(SEND, &token, &text(&world, "Hello")).await.problem(403, "sender_not_owned");
    assert_eq!(world.get("/api/v1/sms", &token).await.expect(200)["items"], json!([]));
    assert_eq!(money(&world, &token).await.1, "0.00");
}

#[tokio::test]
async fn m3_a_wallet_below_the_price_gets_402() {
    let (world, token) = funded().await;
    // Twenty at 0.05 use up 1.00.
    for _ in 0..20 {
        world.post(SEND, &token, &text(&world, "Hello")).await.expect(202);
    }
    let refused = keyed(&world, &token, "broke", &text(&world, "Hello")).await;
    refused.problem(402, "insufficient_credit");
    // The key is free again, so that the same request works after a top-up.
    world.fund(&world.a.user, 50_000).await;
    keyed(&world, &token, "broke", &text(&world, "Hello")).await.expect(202);
}

#[tokio::test]
async fn m4_segments_are_counted_and_priced() {
    let (world, token) = funded().await;
    for (body, segments, encoding, price) in [
        ("a".repeat(160), 1, "gsm7", "0.05"),
        ("a".repeat(161), 2, "gsm7", "0.10"),
        ("я".repeat(71), 2, "ucs2", "0.10"),
    ] {
        let taken = world.post(SEND, &token, &text(&world, &body)).await.expect(202);
        assert_eq!(taken["segments"], segments);
        assert_eq!((&taken["encoding"], &taken["price"]["amount"]), (&json!(encoding), &json!(price)));
    }
    world.post(SEND, &token, &text(&world, &"a".repeat(1531))).await.problem(422, "text_not_sendable");
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let (world, token) = funded().await;
    let body = json!({ "from": "15550101", "to": "", "text": "" });
    let problem = world.post(SEND, &token, &body).await.problem(422, "invalid_body");
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["/from", "/to", "/text"]);
}

#[tokio::test]
async fn no_price_no_carrier_and_a_voice_only_sender_are_told_apart() {
    let world = World::start().await;
    world.fund(&world.a.user, 1_000_000).await;
    let (token, root) = (world.token(&world.a.user).await, world.token(&world.platform).await);
    world.post(SEND, &token, &text(&world, "Hello")).await.problem(422, "no_rate");
    let rate = json!({ "tenant_id": world.a.tenant.id, "service": "sms_out", "prefix": "", "price": "0.05" });
    world.post("/api/v1/admin/rates", &root, &rate).await.expect(201);
    world.post(SEND, &token, &text(&world, "Hello")).await.problem(422, "no_route");
    let path = format!("/api/v1/admin/numbers/{}", world.a.number.id);
    world.call(Method::PATCH, &path, &root, &json!({ "sms": false })).await.expect(200);
    world.post(SEND, &token, &text(&world, "Hello")).await.problem(422, "sender_without_sms");
}

#[tokio::test]
async fn the_same_key_sends_once_and_another_body_is_refused() {
    let (world, token) = funded().await;
    let first = keyed(&world, &token, "k-1", &text(&world, "Hello")).await.expect(202);
    let again = keyed(&world, &token, "k-1", &text(&world, "Hello")).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(202), first);
    keyed(&world, &token, "k-1", &text(&world, "Other")).await.problem(422, "idempotency_mismatch");
    // The order of fields and blanks do not count.
    let raw = format!("{{ \"text\":\"Hello\",\n \"to\":\"+15559876543\", \"from\":\"{}\"}}", world.a.number.number);
    let request = world.request(Method::POST, SEND, Some(&token)).header("Idempotency-Key", "k-1");
    let request = request.header("Content-Type", "application/json").body(raw);
    assert_eq!(world.send(request).await.expect(202), first);
    assert_eq!(money(&world, &token).await.1, "0.05");
    // A day later the key is free.
    world.clock.pass_s(24 * 3600);
    let token = world.token(&world.a.user).await;
    assert_ne!(keyed(&world, &token, "k-1", &text(&world, "Hello")).await.expect(202)["id"], first["id"]);
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let (world, token) = funded().await;
    world.fund(&world.b.user, 1_000_000).await;
    let other = world.token(&world.b.user).await;
    let first = keyed(&world, &token, "k", &text(&world, "Hello")).await.expect(202);
    let body = json!({ "from": world.b.number.number, "to": "+15559876543", "text": "Hello" });
    assert_ne!(keyed(&world, &other, "k", &body).await.expect(202)["id"], first["id"]);
}

#[tokio::test]
async fn parallel_requests_with_one_key_send_one_text() {
    let (world, token) = funded().await;
    let mut tasks = vec![];
    for _ in 0..10 {
        let request = world.request(Method::POST, SEND, Some(&token)).header("Idempotency-Key", "k");
        tasks.push(tokio::spawn(request.json(&text(&world, "Hello")).send()));
    }
    for task in tasks {
        let status = task.await.unwrap().unwrap().status().as_u16();
        assert!(matches!(status, 202 | 409), "{status}");
    }
    assert_eq!(world.get("/api/v1/sms", &token).await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(money(&world, &token).await.1, "0.05");
}

/// What the API does, cut off after `steps` of: claiming the key, accepting the text.
async fn cut_off_after(steps: usize) {
    let (world, token) = funded().await;
    let request = text(&world, "Hello");
    // The same fingerprint as the API's comes from a first request under another key.
    keyed(&world, &token, "probe", &request).await.expect(202);
    let hash = store_hash(&request);
    let claim = world.store.claim_key::<Message>(world.a.user.id, "k", &hash).await.unwrap();
    let Claim::First(id) = claim else { panic!("{claim:?}") };
    if steps > 1 {
        let carriers = world.store.carriers_for(world.a.tenant.id, &"+15559876543".parse().unwrap()).await.unwrap();
        let rate_price = base::Money::new(50_000, base::Currency::USD);
        let now = world.store.now();
        let message = NewMessage {
            id,
            tenant: world.a.tenant.id,
            user: world.a.user.id,
            wallet: world.a.user.wallet,
            from: world.a.number.number.clone(),
            to: "+15559876543".parse().unwrap(),
            body: "Hello".into(),
            encoding: Encoding::Gsm7,
            segments: vec!["Hello".into()],
            price: rate_price,
            carriers,
            created_at: now,
            due_at: now,
            valid_until: now.after(Duration::from_secs(3600)),
        };
        world.store.accept(message).await.unwrap();
    }
    // The process died here. Until the lease ends the key is taken; afterwards the same text goes on.
    keyed(&world, &token, "k", &request).await.problem(409, "idempotency_in_flight");
    world.clock.pass_s(61);
    let taken = keyed(&world, &token, "k", &request).await.expect(202);
    assert_eq!(taken["id"], json!(id));
    assert_eq!(keyed(&world, &token, "k", &request).await.expect(202)["id"], json!(id));
    let list = world.get("/api/v1/sms", &token).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "the probe and this one");
    assert_eq!(money(&world, &token).await.1, "0.10");
}

/// SHA-256 of the request as the API understands it.
fn store_hash(request: &Value) -> String {
    use sha2::Digest;
    let canonical = format!("{{\"from\":{},\"to\":{},\"text\":{}}}", request["from"], request["to"], request["text"]);
    sha2::Sha256::digest(canonical).iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn a_crash_between_key_and_text_sends_once() {
    cut_off_after(1).await;
}

#[tokio::test]
async fn a_crash_between_text_and_answer_sends_once() {
    cut_off_after(2).await;
}

#[tokio::test]
async fn m7_a_text_that_came_in_is_listed_for_the_owner_of_the_number() {
    let (world, token) = funded().await;
    let carrier = world.store.list_carriers(Page::default()).await.unwrap()[0].facts.id;
    let part = InboundPart {
        id: world.store.new_id(),
        carrier,
        from: "+15559876543".into(),
        to: world.a.number.number.clone(),
        text: "Hi there".into(),
        concatenation: None,
        at: Timestamp::from_millis(1_800_000_000_000),
    };
    world.store.inbound(part).await.unwrap();
    let list = world.get("/api/v1/sms?direction=inbound", &token).await.expect(200);
    assert_eq!((&list["items"][0]["text"], &list["items"][0]["status"]), (&json!("Hi there"), &json!("received")));
    let other = world.token(&world.b.user).await;
    assert_eq!(world.get("/api/v1/sms", &other).await.expect(200)["items"], json!([]));
}
