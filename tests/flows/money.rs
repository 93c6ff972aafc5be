//! Calls and money from outside (T23-T25, B1, B7-B11): increments, cut-off with a warning, one wallet for two calls, the
//! states of a record, a balance that is always the sum of its ledger.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{SOON, switch, tests};
use serde_json::{Value, json};
use testkit::http::Client;
use testkit::manifest::sip_password;
use testkit::sipp::{Sipp, SippSetup};
use testkit::{DOMAIN, Manifest, Setup, Switch, micros, sound, until};

const ALICE: &str = "+12025550101";
const FAR: &str = "+15551234567";
const CARRIER: u8 = 40;

/// Alice with a balance and a price for calls to the carrier's numbers.
fn alice_pays(setup: Setup, balance: &str, price: &str, increments: &str) -> Switch {
    let manifest = Manifest::new()
        .user("alice", &[ALICE], balance)
        .rate("voice_out", "1", price, increments)
        .trunk("carrier", setup.place().ip(CARRIER))
        .route("1", &["carrier"]);
    setup.manifest(manifest).start()
}

/// A carrier that plays `scenario`.
fn carrier<'a>(switch: &'a Switch, scenario: &str) -> SippSetup<'a> {
    SippSetup::new(switch.place(), CARRIER, tests(), scenario)
}

/// A call of Alice to the carrier's number.
fn caller(switch: &Switch, host: u8, scenario: &str, words: &[(&str, &str)]) -> Sipp {
    let password = sip_password("alice");
    let usual = [("from", "alice"), ("user", "alice"), ("password", &password), ("domain", DOMAIN), ("to", FAR)];
    SippSetup::new(switch.place(), host, tests(), scenario).words(words).words(&usual).towards(switch.sip())
}

/// Balance and what is held, micros.
fn wallet(client: &Client) -> (i64, i64) {
    let wallet = client.get("/api/v1/wallet").expect(200);
    (micros(&wallet["balance"]), micros(&wallet["held"]))
}

/// Waits until all of Alice's calls have a final state; returns them, newest first.
fn all_over(switch: &Switch, client: &Client, count: usize) -> Vec<Value> {
    const FINAL: [&str; 4] = ["completed", "failed", "busy", "no_answer"];
    switch.calls(client, "all in a final state", |calls| {
        calls.len() == count && calls.iter().all(|call| FINAL.contains(&call["status"].as_str().unwrap_or_default()))
    })
}

#[test]
fn sixty_one_seconds_at_60_60_cost_two_minutes() {
    // The peers send no sound for a minute.
    let switch = alice_pays(switch().set("rtp_relay.media_timeout_s", "300"), "10.00", "0.50", "60/60");
    let mut carrier = carrier(&switch, "answer").listens();
    let mut call = caller(&switch, 30, "call", &[("talk_ms", "61000")]);
    let client = switch.user("alice");
    switch.calls(&client, "an answered one", |calls| calls.len() == 1 && calls[0]["status"] == json!("answered"));
    let (balance, held) = wallet(&client);
    assert_eq!(balance, 10_000_000, "nothing is charged before the end");
    assert!(held >= 500_000, "a minute is set aside, {held}");
    call.succeeds(Duration::from_secs(80));
    carrier.succeeds(SOON);
    let calls = all_over(&switch, &client, 1);
    assert_eq!((&calls[0]["status"], micros(&calls[0]["cost"])), (&json!("completed"), 1_000_000));
    assert!((61..=62).contains(&calls[0]["duration_s"].as_i64().unwrap()), "{}", calls[0]);
    assert_eq!(wallet(&client), (9_000_000, 0));
    let transactions = client.get("/api/v1/transactions").expect(200);
    let sum: i64 = transactions["items"].as_array().unwrap().iter().map(|t| micros(&t["amount"])).sum();
    assert_eq!(sum, 9_000_000, "{transactions}");
    switch.assert_ledger_sound();
}

#[test]
fn a_second_at_1_1_costs_a_sixtieth_and_at_30_6_half_a_minute() {
    for (increments, price, cost) in [("1/1", "0.60", 10_000..=20_000), ("30/6", "0.60", 300_000..=300_000)] {
        let switch = alice_pays(switch(), "10.00", price, increments);
        let client = switch.user("alice");
        let mut carrier = carrier(&switch, "answer").listens();
        caller(&switch, 30, "call", &[("talk_ms", "900")]).succeeds(SOON);
        carrier.succeeds(SOON);
        let charged = micros(&all_over(&switch, &client, 1)[0]["cost"]);
        assert!(cost.contains(&charged), "{increments}: {charged}");
        assert_eq!(wallet(&client), (10_000_000 - charged, 0));
        switch.assert_ledger_sound();
    }
}

#[test]
fn without_money_nothing_rings() {
    let switch = alice_pays(switch(), "0.10", "6.00", "60/60");
    let client = switch.user("alice");
    let mut carrier = carrier(&switch, "answer").listens();
    caller(&switch, 30, "call-refused", &[("code", "402")]).succeeds(SOON);
    assert!(carrier.runs() && carrier.messages().is_empty(), "{}", carrier.conversation());
    assert_eq!(wallet(&client), (100_000, 0));
    let record = &all_over(&switch, &client, 1)[0];
    assert_eq!((&record["status"], &record["cause"]), (&json!("failed"), &json!("no_credit")));
    switch.assert_ledger_sound();
}

#[test]
fn an_empty_wallet_warns_and_then_ends_the_call() {
    // 0.30 at 1.20 a minute: 15 seconds.
    let switch = alice_pays(switch(), "0.30", "1.20", "1/1");
    let client = switch.user("alice");
    let mut carrier = carrier(&switch, "answer").listens();
    let mut alice = switch.phone(20, "alice").start().registered();
    alice.dial(FAR);
    let since = alice.wait("CALL_ESTABLISHED", SOON).at;
    let end = alice.wait("CALL_CLOSED", Duration::from_secs(25));
    carrier.succeeds(SOON);
    let talked = end.at.duration_since(since);
    assert!((Duration::from_secs(13)..=Duration::from_secs(16)).contains(&talked), "{talked:?}");
    let call = &all_over(&switch, &client, 1)[0];
    assert_eq!((&call["status"], &call["cause"]), (&json!("completed"), &json!("no_credit")));
    let (balance, held) = wallet(&client);
    assert!((0..=40_000).contains(&balance) && held == 0, "{balance} {held}");
    // The carrier sends no sound, so all that the phone has recorded is the warning.
    let recording = alice.recording();
    let loud: Vec<i16> = recording.samples.iter().copied().filter(|s| s.unsigned_abs() > 500).collect();
    assert!(loud.len() > 800, "no warning tone was heard");
    let first = recording.samples.iter().position(|s| s.unsigned_abs() > 500).unwrap();
    let tone_hz = sound::dominant_hz(&recording.samples[first..first + 800], recording.rate_hz);
    assert!((300.0..=2_000.0).contains(&tone_hz), "{tone_hz}");
    switch.assert_ledger_sound();
}

#[test]
fn two_calls_that_share_a_wallet_never_overdraw_it() {
    // 0.40 at 1.20 a minute: 20 seconds for both together.
    let switch = alice_pays(switch(), "0.40", "1.20", "1/1");
    let client = switch.user("alice");
    let mut one = carrier(&switch, "answer").arguments(&["-m", "2"]).listens();
    let mut calls = [30, 31].map(|host| caller(&switch, host, "call-hung-up", &[]));
    let mut lowest = i64::MAX;
    until("both calls are ended by the switch", Duration::from_secs(40), || {
        lowest = lowest.min(wallet(&client).0);
        !calls.iter_mut().any(Sipp::runs)
    });
    let ended_well: Vec<bool> = calls.iter_mut().map(|call| call.ends(SOON)).collect();
    assert!(ended_well.contains(&true), "at least one call was taken and cut off");
    let records = all_over(&switch, &client, 2);
    let charged: i64 = records.iter().filter(|r| !r["cost"].is_null()).map(|r| micros(&r["cost"])).sum();
    let (balance, held) = wallet(&client);
    assert!(lowest >= 0 && balance >= 0, "{lowest} {balance}");
    assert_eq!((balance + charged, held), (400_000, 0));
    let _ = one.runs();
    switch.assert_ledger_sound();
}

#[test]
fn a_record_passes_through_its_states() {
    let switch = alice_pays(switch(), "10.00", "0.60", "1/1");
    let mut carrier = carrier(&switch, "answer").word("ring_ms", "1500").listens();
    let mut call = caller(&switch, 30, "call", &[("talk_ms", "1500")]);
    let client = switch.user("alice");
    for status in ["ringing", "answered", "completed"] {
        switch.calls(&client, status, |calls| calls.len() == 1 && calls[0]["status"] == json!(status));
    }
    call.succeeds(SOON);
    carrier.succeeds(SOON);
    let calls = all_over(&switch, &client, 1);
    let id = calls[0]["id"].as_str().unwrap();
    let details = client.get(&format!("/api/v1/calls/{id}")).expect(200);
    for time in ["started_at", "ringing_at", "answered_at", "ended_at"] {
        assert!(details[time].is_string(), "{time}: {details}");
    }
    assert_eq!(details["ended_by"], json!("caller"));
    assert_eq!(details["billed_s"].as_i64(), details["duration_s"].as_i64());
}

#[test]
fn kill_9_in_a_call_leaves_a_final_record_and_a_sound_ledger() {
    let mut switch = alice_pays(switch().set("sip_proxy.reservation_ttl_s", "90"), "10.00", "0.60", "1/1");
    let _carrier = carrier(&switch, "answer").listens();
    let _call = caller(&switch, 30, "call", &[("talk_ms", "60000")]);
    switch.calls(&switch.user("alice"), "an answered one", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("answered")
    });
    switch.kill();
    switch.start();
    switch.assert_ledger_sound();
    let client = switch.user("alice");
    until("the sweeper ends the call", Duration::from_secs(120), || {
        let calls = client.get("/api/v1/calls").expect(200);
        let status = calls["items"][0]["status"].as_str().unwrap_or_default().to_owned();
        ["completed", "failed"].contains(&status.as_str())
    });
    let (balance, held) = wallet(&client);
    assert!((9_000_000..=10_000_000).contains(&balance) && held == 0, "{balance} {held}");
    switch.assert_ledger_sound();
}
