//! Call rules of a number from outside (R1-R7): forward always, on busy, no answer and unreachable, do not disturb, a
//! schedule, and which goes first.
#![allow(clippy::unwrap_used)]

mod common;

use common::{SOON, switch, tests};
use serde_json::{Value, json};
use testkit::http::Client;
use testkit::sipp::{Sipp, SippSetup};
use testkit::{DOMAIN, Manifest, Switch, micros, until};

const ALICE: &str = "+12025550101";
const BOB: &str = "+12025550102";
/// A number of the public network, as a target of forwards.
const MOBILE: &str = "+15559876543";
/// The trunk by which calls come in; the other one is the carrier of forwards.
const TRUNK: u8 = 40;
const CARRIER: u8 = 41;

fn start() -> Switch {
    let setup = switch();
    let manifest = Manifest::new()
        .user("alice", &[ALICE], "10.00")
        .user("bob", &[BOB], "10.00")
        .rate("voice_out", "1", "0.60", "60/60")
        .rate("voice_in", "", "0", "1/1")
        .trunk("in", setup.place().ip(TRUNK))
        .trunk("carrier", setup.place().ip(CARRIER))
        .route("1", &["carrier"]);
    setup.manifest(manifest).start()
}

/// Adds a rule to Alice's number.
fn rule(client: &Client, body: &Value) {
    let numbers = client.get("/api/v1/numbers").expect(200);
    let id = numbers["items"][0]["id"].as_str().unwrap().to_owned();
    client.post(&format!("/api/v1/numbers/{id}/rules"), body).expect(201);
}

/// A call from the trunk to Alice.
fn call(switch: &Switch, scenario: &str, words: &[(&str, &str)]) -> Sipp {
    let usual = [("from", "+15551234567"), ("domain", DOMAIN), ("to", ALICE)];
    SippSetup::new(switch.place(), TRUNK, tests(), scenario).words(words).words(&usual).towards(switch.sip())
}

/// A rule's change is known to running calls a moment later: the directory is told of it.
fn refused_with(switch: &Switch, code: &str) {
    let limit = std::time::Duration::from_secs(3);
    until(&format!("the rule refuses with {code}"), limit, || {
        call(switch, "trunk-call-refused", &[("code", code)]).ends(SOON)
    });
}

#[test]
fn forward_always_leaves_the_phones_alone_and_the_owner_pays() {
    let switch = start();
    let client = switch.user("alice");
    let alice = switch.phone(20, "alice").start().registered();
    rule(&client, &json!({ "kind": "forward_always", "forward_to": MOBILE }));
    let mut carrier = SippSetup::new(switch.place(), CARRIER, tests(), "answer").listens();
    call(&switch, "trunk-call", &[("talk_ms", "1000")]).succeeds(SOON);
    carrier.succeeds(SOON);
    let invite = carrier.received("the INVITE", SOON, |m| m.first_line().starts_with("INVITE"));
    assert!(invite.first_line().starts_with(&format!("INVITE sip:{MOBILE}@")), "{}", invite.first_line());
    let diverted = invite.header("Diversion").or(invite.header("History-Info")).unwrap_or_default();
    assert!(diverted.contains(ALICE), "{}", invite.text);
    assert!(!alice.has_told("CALL_INCOMING"));
    switch.calls(&client, "a completed one that cost a minute", |calls| {
        calls.iter().any(|c| c["status"] == json!("completed") && !c["cost"].is_null() && micros(&c["cost"]) == 600_000)
    });
    assert_eq!(micros(&client.get("/api/v1/wallet").expect(200)["balance"]), 9_400_000);
    switch.assert_ledger_sound();
}

#[test]
fn forward_no_answer_rings_first() {
    let switch = start();
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut bob = switch.phone(21, "bob").start().registered();
    rule(&switch.user("alice"), &json!({ "kind": "forward_no_answer", "forward_to": BOB, "timeout_seconds": 2 }));
    let mut call = call(&switch, "trunk-call", &[("talk_ms", "500")]);
    let rang = alice.wait("CALL_INCOMING", SOON).at;
    let forwarded = bob.wait("CALL_INCOMING", SOON).at;
    let waited = forwarded.duration_since(rang).as_millis();
    assert!((1_500..=3_500).contains(&waited), "{waited} ms");
    alice.wait("CALL_CLOSED", SOON);
    bob.accept();
    bob.wait("CALL_ESTABLISHED", SOON);
    call.succeeds(SOON);
}

#[test]
fn forward_busy_follows_a_phone_that_declines() {
    let switch = start();
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut bob = switch.phone(21, "bob").start().registered();
    rule(&switch.user("alice"), &json!({ "kind": "forward_busy", "forward_to": BOB }));
    let mut call = call(&switch, "trunk-call", &[("talk_ms", "500")]);
    alice.wait("CALL_INCOMING", SOON);
    alice.hangup();
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    bob.wait("CALL_ESTABLISHED", SOON);
    call.succeeds(SOON);
}

#[test]
fn forward_unreachable_follows_when_no_phone_is_registered() {
    let switch = start();
    let mut bob = switch.phone(21, "bob").start().registered();
    rule(&switch.user("alice"), &json!({ "kind": "forward_unreachable", "forward_to": BOB }));
    let mut call = call(&switch, "trunk-call", &[("talk_ms", "500")]);
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    call.succeeds(SOON);
}

#[test]
fn without_a_rule_an_unregistered_user_is_unavailable() {
    let switch = start();
    refused_with(&switch, "480");
}

#[test]
fn do_not_disturb_refuses_and_nothing_rings() {
    let switch = start();
    let alice = switch.phone(20, "alice").start().registered();
    rule(&switch.user("alice"), &json!({ "kind": "dnd" }));
    refused_with(&switch, "486");
    assert!(!alice.has_told("CALL_INCOMING"));
}

#[test]
fn a_schedule_holds_inside_its_window_only() {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let always = json!({ "days": days, "start": "00:00", "end": "24:00" });
    let never = json!({ "days": days, "start": "00:00", "end": "24:00", "when": "outside" });
    let switch = start();
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut bob = switch.phone(21, "bob").start().registered();
    let client = switch.user("alice");
    rule(&client, &json!({ "kind": "schedule", "forward_to": BOB, "schedule": never, "priority": 1 }));
    let mut first = call(&switch, "trunk-call", &[("talk_ms", "300")]);
    alice.wait("CALL_INCOMING", SOON);
    alice.accept();
    first.succeeds(SOON);
    alice.wait("CALL_CLOSED", SOON);
    rule(&client, &json!({ "kind": "schedule", "forward_to": BOB, "schedule": always, "priority": 2 }));
    let mut second = call(&switch, "trunk-call", &[("talk_ms", "300")]);
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    second.succeeds(SOON);
}

#[test]
fn the_lower_priority_number_goes_first() {
    let switch = start();
    let mut bob = switch.phone(21, "bob").start().registered();
    let client = switch.user("alice");
    rule(&client, &json!({ "kind": "dnd", "priority": 20 }));
    rule(&client, &json!({ "kind": "forward_always", "forward_to": BOB, "priority": 10 }));
    let mut call = call(&switch, "trunk-call", &[("talk_ms", "300")]);
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    call.succeeds(SOON);
}

#[test]
fn a_loop_of_forwards_is_not_taken() {
    let switch = start();
    rule(&switch.user("alice"), &json!({ "kind": "forward_always", "forward_to": BOB }));
    let bob = switch.user("bob");
    let numbers = bob.get("/api/v1/numbers").expect(200);
    let path = format!("/api/v1/numbers/{}/rules", numbers["items"][0]["id"].as_str().unwrap());
    bob.post(&path, &json!({ "kind": "forward_always", "forward_to": ALICE })).expect(409);
}
