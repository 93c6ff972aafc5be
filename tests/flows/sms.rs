//! Texts from outside (M1-M7, M18, M29): the API on one side, on the other an SMSC on a codec that is not ours.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{SOON, switch, tests};
use serde_json::{Value, json};
use testkit::http::Client;
use testkit::{Manifest, Smsc, Switch, micros, until, until_some};

const ALICE: &str = "+12025550101";
const BOB: &str = "+12025550102";
const FAR: &str = "+15551234567";
/// Host of the SMSC.
const CARRIER: u8 = 45;

/// A switch with a carrier that behaves as `config` says; bound.
fn start(config: &Value) -> (Switch, Smsc) {
    // A lease of seconds, so that what a killed process had in its hands is sent again soon.
    let setup = switch()
        .set("smpp_gateway.poll_interval_ms", "200")
        .set("smpp_gateway.reconnect_min_ms", "200")
        .set("smpp_gateway.response_timeout_ms", "2000")
        .set("smpp_gateway.lease_ms", "3000")
        .set("smpp_gateway.retry_min_ms", "300");
    let host = setup.place().ip(CARRIER);
    let carrier = format!(
        "[[carrier]]\nname = \"smsc\"\nhost = \"{host}\"\nport = 12775\nsystem_id = \"tandem\"\npassword = \"secret\"\n\n\
         [[sms_route]]\nprefix = \"1\"\ncarriers = [\"smsc\"]\n"
    );
    let manifest = Manifest::new()
        .user("alice", &[ALICE], "1.00")
        .user("bob", &[BOB], "1.00")
        .rate("sms_out", "1", "0.01", "1/1")
        .and(&carrier);
    let mut all = json!({ "system_id": "tandem", "password": "secret" });
    all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let smsc = Smsc::start(setup.place(), CARRIER, tests(), &all);
    let switch = setup.manifest(manifest).start();
    smsc.bound(SOON);
    (switch, smsc)
}

fn send(client: &Client, text: &str) -> String {
    let body = json!({ "from": ALICE, "to": FAR, "text": text });
    client.post("/api/v1/sms/send", &body).expect(202)["id"].as_str().unwrap().to_owned()
}

/// Waits until a text has a status; returns its details.
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

#[test]
fn a_text_is_sent_paid_and_delivered() {
    let (switch, smsc) = start(&json!({}));
    let client = switch.user("alice");
    let id = send(&client, "hello, world");
    let details = becomes(&client, &id, "delivered");
    assert_eq!(micros(&details["charged"]), 10_000, "{details}");
    assert!(details["sent_at"].is_string() && details["delivered_at"].is_string(), "{details}");
    let messages = smsc.messages();
    assert_eq!(messages.len(), 1);
    let seen = &messages[0];
    assert_eq!(seen["text"], json!("hello, world"));
    assert_eq!(seen["to"].as_str().unwrap().trim_start_matches('+'), &FAR[1..]);
    assert_eq!(seen["from"].as_str().unwrap().trim_start_matches('+'), &ALICE[1..]);
    assert_eq!(wallet(&client), (990_000, 0));
    let list = client.get("/api/v1/sms").expect(200);
    assert_eq!(list["items"][0]["id"], json!(id));
    switch.assert_ledger_sound();
}

#[test]
fn the_segments_on_the_wire_are_those_that_are_paid() {
    let (switch, smsc) = start(&json!({}));
    let client = switch.user("alice");
    let mut on_the_wire = 0;
    for (text, segments) in [("a".repeat(160), 1), ("a".repeat(161), 2), ("ä".repeat(70), 1), ("я".repeat(71), 2)] {
        let id = send(&client, &text);
        let details = becomes(&client, &id, "delivered");
        assert_eq!(details["segments"], json!(segments), "{details}");
        on_the_wire += segments;
        assert_eq!(smsc.messages().len(), on_the_wire, "{text}");
        assert_eq!(micros(&details["charged"]), 10_000 * segments as i64);
    }
}

#[test]
fn receipts_that_come_early_or_with_another_form_of_the_id_still_match() {
    let cases = [
        json!({ "receipt": "early" }),
        json!({ "id_form": "hex", "receipt_id_form": "decimal", "receipt_tlv": false }),
        json!({ "id_form": "decimal", "receipt_id_form": "padded", "receipt_tlv": false }),
    ];
    let (switch, smsc) = start(&json!({}));
    let client = switch.user("alice");
    for case in cases {
        smsc.configure(&case);
        let id = send(&client, &format!("with {case}"));
        becomes(&client, &id, "delivered");
    }
}

#[test]
fn a_text_that_the_carrier_rejects_costs_nothing() {
    let (switch, _smsc) = start(&json!({ "submit_status": "ESME_RINVDSTADR" }));
    let client = switch.user("alice");
    let id = send(&client, "to nobody");
    becomes(&client, &id, "failed");
    until("the money is free again", SOON, || wallet(&client) == (1_000_000, 0));
    switch.assert_ledger_sound();
}

#[test]
fn an_undelivered_text_is_failed_and_stays_paid() {
    let (switch, _smsc) = start(&json!({ "receipt_state": "UNDELIV", "receipt_error": "001" }));
    let client = switch.user("alice");
    let id = send(&client, "into a hole");
    becomes(&client, &id, "failed");
    assert_eq!(wallet(&client), (990_000, 0), "refunds of undelivered texts are off");
}

#[test]
fn a_carrier_that_throttles_gets_every_text_once() {
    let (switch, smsc) = start(&json!({ "submits_per_second": 10 }));
    let client = switch.user("alice");
    let ids: Vec<String> = (0..20).map(|n| send(&client, &format!("text {n}"))).collect();
    for id in &ids {
        becomes(&client, id, "delivered");
    }
    let messages = smsc.messages();
    let taken = messages.iter().filter(|message| message["status"] == json!("ESME_ROK")).count();
    assert_eq!(taken, 20);
    assert_eq!(wallet(&client), (800_000, 0));
}

#[test]
fn a_text_to_an_own_number_is_stored_and_listed() {
    let (switch, smsc) = start(&json!({}));
    let statuses = smsc.deliver(FAR, ALICE, "are you there?");
    assert!(statuses.to_string().contains("ESME_ROK"), "{statuses}");
    let client = switch.user("alice");
    let list = client.get("/api/v1/sms").expect(200);
    let text = &list["items"][0];
    assert_eq!(
        (&text["text"], &text["direction"], &text["status"]),
        (&json!("are you there?"), &json!("inbound"), &json!("received"))
    );
    assert_eq!(text["from"], json!(FAR));
    assert_eq!(switch.user("bob").get("/api/v1/sms").expect(200)["items"], json!([]), "others do not see it");
    let long = "long ".repeat(60);
    let body = json!({ "from": FAR, "to": ALICE, "text": long, "concat": "udh8", "order": [3, 1, 2] });
    let statuses = smsc.control("/deliver", &body);
    assert_eq!(statuses["statuses"], json!(["ESME_ROK", "ESME_ROK", "ESME_ROK"]));
    let list = client.get("/api/v1/sms").expect(200);
    assert_eq!(list["items"][0]["text"], json!(long), "the parts are joined: {list}");
}

#[test]
fn a_text_to_a_foreign_number_is_refused() {
    let (_switch, smsc) = start(&json!({}));
    let statuses = smsc.deliver(FAR, "+12025550199", "wrong number").to_string();
    assert!(!statuses.contains("ESME_ROK"), "{statuses}");
}

#[test]
fn a_foreign_sender_and_an_empty_wallet_are_refused() {
    let (switch, smsc) = start(&json!({}));
    let client = switch.user("alice");
    let foreign = client.post("/api/v1/sms/send", &json!({ "from": BOB, "to": FAR, "text": "x" }));
    assert_eq!(foreign.status, 403, "{}", foreign.body);
    let mut status = 202;
    for n in 0..101 {
        let body = json!({ "from": ALICE, "to": FAR, "text": format!("text {n}") });
        status = client.post("/api/v1/sms/send", &body).status;
    }
    assert_eq!(status, 402, "the hundred and first");
    until("a hundred are sent", Duration::from_secs(30), || smsc.messages().len() == 100);
    until("a hundred are paid", SOON, || wallet(&client) == (0, 0));
    switch.assert_ledger_sound();
}

#[test]
fn kill_9_before_the_carrier_is_reached_loses_nothing() {
    let (mut switch, smsc) = start(&json!({}));
    smsc.configure(&json!({ "bind_status": "ESME_RBINDFAIL" }));
    smsc.control("/disconnect", &json!({}));
    let client = switch.user("alice");
    let ids: Vec<String> = (0..10).map(|n| send(&client, &format!("text {n}"))).collect();
    switch.kill();
    smsc.configure(&json!({ "bind_status": "ESME_ROK" }));
    switch.start();
    let client = switch.user("alice");
    for id in &ids {
        becomes(&client, id, "delivered");
    }
    assert_eq!((smsc.messages().len(), wallet(&client)), (10, (900_000, 0)));
    switch.assert_ledger_sound();
}

#[test]
fn kill_9_between_submit_and_response_sends_again_and_charges_once() {
    let (mut switch, smsc) = start(&json!({ "silent": true }));
    let client = switch.user("alice");
    let id = send(&client, "once or twice");
    until("the carrier has it", SOON, || smsc.messages().len() == 1);
    switch.kill();
    smsc.configure(&json!({ "silent": false }));
    switch.start();
    let client = switch.user("alice");
    becomes(&client, &id, "delivered");
    assert_eq!(smsc.messages().len(), 2, "what was not answered is sent again");
    assert_eq!(wallet(&client), (990_000, 0));
    switch.assert_ledger_sound();
}

#[test]
fn kill_9_before_the_receipt_still_delivers() {
    let (mut switch, smsc) = start(&json!({ "receipt": "never" }));
    let client = switch.user("alice");
    let id = send(&client, "patience");
    becomes(&client, &id, "sent");
    assert_eq!(wallet(&client), (990_000, 0), "paid when the carrier took it");
    let carrier_id = smsc.messages()[0]["message_id"].clone();
    switch.kill();
    switch.start();
    smsc.bound(SOON);
    smsc.control("/receipt", &json!({ "message_id": carrier_id, "state": "DELIVRD", "error": "000" }));
    let client = switch.user("alice");
    becomes(&client, &id, "delivered");
    assert_eq!((smsc.messages().len(), wallet(&client)), (1, (990_000, 0)));
}

#[test]
fn an_idempotency_key_sends_once() {
    let (switch, smsc) = start(&json!({}));
    let client = switch.user("alice");
    let body = json!({ "from": ALICE, "to": FAR, "text": "only once" });
    let key = [("Idempotency-Key", "a-key-of-the-test")];
    let first = client.send("POST", "/api/v1/sms/send", &key, Some(&body));
    let second = client.send("POST", "/api/v1/sms/send", &key, Some(&body));
    assert_eq!((first.status, second.status), (202, 202), "{}{}", first.body, second.body);
    assert_eq!(first.body["id"], second.body["id"]);
    becomes(&client, first.body["id"].as_str().unwrap(), "delivered");
    assert_eq!(smsc.messages().len(), 1);
    let other = json!({ "from": ALICE, "to": FAR, "text": "something else" });
    assert_eq!(client.send("POST", "/api/v1/sms/send", &key, Some(&other)).status, 422);
}
