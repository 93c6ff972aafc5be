//! Texts between our own numbers: through the program from outside, and with the process cut off at every step between
//! the queue and the recipient.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "sms_on_net/cut.rs"]
mod cut;

use std::time::Duration;

use common::{SOON, switch};
use serde_json::{Value, json};
use testkit::http::Client;
use testkit::{Manifest, Switch, micros, until, until_some};

const ALICE: &str = "+12025550101";
const BOB: &str = "+12025550102";
/// A number that takes no texts.
const MUTE: &str = "+12025550103";
const SEND: &str = "/api/v1/sms/send";

/// A switch with two users and no carrier at all.
fn start() -> Switch {
    let mute = format!("[[number]]\nnumber = \"{MUTE}\"\ntenant = \"test\"\nuser = \"bob\"\nsms = false\n");
    let manifest = Manifest::new()
        .user("alice", &[ALICE], "1.00")
        .user("bob", &[BOB], "1.00")
        .rate("sms_out", "1", "0.01", "1/1")
        .and(&mute);
    // A lease of seconds, so that what a killed process had in its hands is delivered soon.
    let setup = switch()
        .set("smpp_gateway.poll_interval_ms", "100")
        .set("smpp_gateway.response_timeout_ms", "600")
        .set("smpp_gateway.lease_ms", "1000");
    setup.manifest(manifest).start()
}

fn send(client: &Client, text: &str) -> String {
    send_to(client, BOB, text)
}

fn send_to(client: &Client, to: &str, text: &str) -> String {
    let body = json!({ "from": ALICE, "to": to, "text": text });
    client.post(SEND, &body).expect(202)["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn becomes(client: &Client, id: &str, status: &str) -> Value {
    until_some(&format!("the text is {status}"), Duration::from_secs(15), || {
        let details = client.get(&format!("/api/v1/sms/{id}")).expect(200);
        (details["status"] == json!(status)).then_some(details)
    })
}

fn wallet(client: &Client) -> (i64, i64) {
    let wallet = client.get("/api/v1/wallet").expect(200);
    (micros(&wallet["balance"]), micros(&wallet["held"]))
}

/// What a user has received, newest first.
fn received(client: &Client) -> Vec<Value> {
    let list = client.get("/api/v1/sms?direction=inbound&limit=200").expect(200);
    list["items"].as_array().unwrap().clone()
}

/// The bodies of the `curl`s that the first start prints, in their order.
fn printed_bodies(welcome: &str) -> Vec<Value> {
    let bodies = welcome.split("-d '").skip(1).filter_map(|rest| rest.split('\'').next());
    bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[test]
fn what_the_first_start_prints_sends_a_text_from_alice_to_bob() {
    let switch = switch().set("node.demo", "true").start();
    until("the welcome is printed", SOON, || switch.printed().contains("/docs"));
    let welcome = switch.printed();
    let bodies = printed_bodies(&welcome);
    let [login, text] = &bodies[..] else { panic!("two bodies of curl: {welcome}") };
    let token = switch.api().post("/api/v1/auth/login", login).expect(200)["access_token"].clone();
    let alice = switch.api().with_token(token.as_str().unwrap());
    let id = alice.post(SEND, text).expect(202)["id"].as_str().unwrap().to_owned();
    let details = becomes(&alice, &id, "delivered");
    assert_eq!((micros(&details["charged"]), &details["carrier_id"]), (10_000, &Value::Null), "{details}");
    let events: Vec<_> = details["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["queued", "submitted", "sent", "delivered"]);
    assert_eq!(wallet(&alice), (9_990_000, 0));

    let login_bob = welcome.lines().find(|line| line.trim_start().starts_with("login bob@")).unwrap();
    let words: Vec<&str> = login_bob.split_whitespace().collect();
    let login = json!({ "login": words[1], "password": words[3] });
    let token = switch.api().post("/api/v1/auth/login", &login).expect(200)["access_token"].clone();
    let bob = switch.api().with_token(token.as_str().unwrap());
    let texts = received(&bob);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(
        (&texts[0]["text"], &texts[0]["from"], &texts[0]["to"], &texts[0]["status"]),
        (&text["text"], &json!(ALICE), &json!(BOB), &json!("received"))
    );
    assert_ne!(texts[0]["id"], json!(id), "a copy of his own");
    let copy = bob.get(&format!("/api/v1/sms/{}", texts[0]["id"].as_str().unwrap())).expect(200);
    assert_eq!(copy["carrier_id"], Value::Null);
    assert_eq!(received(&alice), Vec::<Value>::new());
    switch.assert_ledger_sound();
}

#[test]
fn long_texts_arrive_whole_and_the_same_one_as_often_as_it_was_sent() {
    let switch = start();
    let (alice, bob) = (switch.user("alice"), switch.user("bob"));
    let long = format!("{}€ {}", "one ".repeat(60), "two ".repeat(60));
    let ids: Vec<_> = [&long, &long, "я".repeat(71).as_str()].map(|text| send(&alice, text)).into();
    let segments: Vec<_> = ids.iter().map(|id| becomes(&alice, id, "delivered")["segments"].clone()).collect();
    assert_eq!(segments, [json!(4), json!(4), json!(2)]);
    let mut texts: Vec<_> = received(&bob).iter().map(|t| t["text"].as_str().unwrap().to_owned()).collect();
    texts.sort();
    assert_eq!(texts, [long.clone(), long, "я".repeat(71)]);
    assert_eq!(wallet(&alice), (900_000, 0));
    switch.assert_ledger_sound();
}

#[test]
fn a_number_of_ours_that_takes_no_texts_fails_the_text_and_costs_nothing() {
    let switch = start();
    let alice = switch.user("alice");
    for text in ["short", "long ".repeat(60).as_str()] {
        let id = send_to(&alice, MUTE, text);
        let details = becomes(&alice, &id, "failed");
        assert_eq!(details["code"], json!("0x0000000B"), "{details}");
    }
    until("the money is free again", SOON, || wallet(&alice) == (1_000_000, 0));
    assert_eq!(received(&switch.user("bob")), Vec::<Value>::new());
    switch.assert_ledger_sound();
}

#[test]
fn kill_9_at_any_time_loses_nothing_and_delivers_once() {
    let mut switch = start();
    let mut sent = Vec::new();
    for round in 0..5 {
        let (alice, bob) = (switch.user("alice"), switch.user("bob"));
        for n in 0..4 {
            let text = format!("{round}.{n} {}", "and so on ".repeat(30 * (n % 2)));
            sent.push((send(&alice, &text), text));
        }
        // Killed at once, or when the next of them has just arrived: whatever the others are going through.
        let known = sent.len() - 4;
        until("some have arrived", SOON, || round % 2 == 0 || received(&bob).len() > known);
        switch.kill();
        switch.start();
        let alice = switch.user("alice");
        for (id, _) in &sent {
            becomes(&alice, id, "delivered");
        }
    }
    let mut arrived: Vec<_> =
        received(&switch.user("bob")).iter().map(|t| t["text"].as_str().unwrap().to_owned()).collect();
    let mut texts: Vec<_> = sent.into_iter().map(|(_, text)| text).collect();
    arrived.sort();
    texts.sort();
    assert_eq!(arrived, texts);
    let segments: i64 = texts.iter().map(|t| if t.len() > 160 { 2 } else { 1 }).sum();
    assert_eq!(wallet(&switch.user("alice")), (1_000_000 - 10_000 * segments, 0));
    switch.assert_ledger_sound();
}
