//! Calls from outside (T4-T7, T9, T16, T17, SP27, SP33, SP44): what each end recorded, what a trunk saw, how calls end.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{SOON, switch, tests};
use serde_json::json;
use testkit::impair::{Impairer, Impairment};
use testkit::manifest::sip_password;
use testkit::nat::NatBox;
use testkit::sipp::SippSetup;
use testkit::{DOMAIN, Manifest, Phone, Setup, Switch, micros, until};

const ALICE: &str = "+12025550101";
const ALICE_SECOND: &str = "+12025550111";
const BOB: &str = "+12025550102";
/// A number of the tenant that is not in service.
const OFF: &str = "+12025550103";
/// A number of the public network.
const FAR: &str = "+15551234567";
/// How long phones talk.
const TALK: Duration = Duration::from_secs(4);
/// Host of the carrier.
const CARRIER: u8 = 40;

fn two_users(setup: Setup) -> Switch {
    let carrier = setup.place().ip(CARRIER);
    let manifest = Manifest::new()
        .user("alice", &[ALICE, ALICE_SECOND], "10.00")
        .user("bob", &[BOB], "10.00")
        .rate("voice_out", "1555", "0.60", "60/60")
        .rate("voice_in", "", "0", "1/1")
        .and(&format!("[[number]]\nnumber = \"{OFF}\"\ntenant = \"test\"\nstatus = \"inactive\"\n"))
        .trunk("carrier", carrier)
        .route("1555", &["carrier"]);
    setup.manifest(manifest).start()
}

/// Lets an established call go on for a while.
fn talk(since: Instant) {
    until("the talk is over", TALK * 2, || since.elapsed() >= TALK);
}

/// `caller` dials, `callee` answers; both talk, both must have heard the other.
fn call_and_listen(caller: (&mut Phone, f64), whom: &str, callee: (&mut Phone, f64), callee_hangs_up: bool) {
    let ((caller, caller_hz), (callee, callee_hz)) = (caller, callee);
    caller.dial(whom);
    callee.wait("CALL_INCOMING", SOON);
    caller.wait("CALL_RINGING", SOON);
    callee.accept();
    let since = caller.wait("CALL_ESTABLISHED", SOON).at;
    callee.wait("CALL_ESTABLISHED", SOON);
    talk(since);
    let talked = since.elapsed();
    let (one, other) = if callee_hangs_up { (callee, caller) } else { (caller, callee) };
    one.hangup();
    other.wait("CALL_CLOSED", SOON);
    let (caller, callee) = if callee_hangs_up { (other, one) } else { (one, other) };
    caller.assert_heard(callee_hz, talked);
    callee.assert_heard(caller_hz, talked);
}

/// Shows what the relay counted on the legs of Alice's newest call, for failures.
struct ShowLegs<'a>(&'a Switch);

impl Drop for ShowLegs<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let client = self.0.user("alice");
            let calls = client.get("/api/v1/calls").body;
            let id = calls["items"][0]["id"].as_str().unwrap_or_default();
            eprintln!("legs: {}", client.get(&format!("/api/v1/calls/{id}")).body["legs"]);
        }
    }
}

#[test]
fn two_phones_talk_by_number() {
    let switch = two_users(switch());
    let mut alice = switch.phone(20, "alice").tone_hz(440.0).start().registered();
    let mut bob = switch.phone(21, "bob").tone_hz(700.0).start().registered();
    call_and_listen((&mut alice, 440.0), BOB, (&mut bob, 700.0), false);
    let calls = switch.calls(&switch.user("alice"), "one that is over", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("completed")
    });
    let call = &calls[0];
    assert_eq!((&call["direction"], &call["from"], &call["to"]), (&json!("on_net"), &json!(ALICE), &json!(BOB)));
    assert_eq!(micros(&call["cost"]), 0);
    switch.assert_ledger_sound();
}

#[test]
fn two_phones_talk_by_name_and_the_called_one_hangs_up() {
    let switch = two_users(switch());
    let mut alice = switch.phone(20, "alice").tone_hz(440.0).start().registered();
    let mut bob = switch.phone(21, "bob").tone_hz(700.0).start().registered();
    call_and_listen((&mut alice, 440.0), "bob", (&mut bob, 700.0), true);
}

#[test]
fn plain_rtp_over_udp_and_sdes_srtp_over_tls_are_bridged_both_ways() {
    let switch = two_users(switch());
    let _legs = ShowLegs(&switch);
    let mut alice = switch.phone(20, "alice").tone_hz(440.0).start().registered();
    let mut bob = switch.tls_phone(21, "bob").encrypted("srtp-mand").tone_hz(700.0).start().registered();
    call_and_listen((&mut alice, 440.0), BOB, (&mut bob, 700.0), false);
    assert!(bob.trace().contains("SRTP is Enabled"), "the TLS phone did not encrypt");
    assert!(bob.trace().contains("RTP/SAVP") && !alice.trace().contains("RTP/SAVP"), "one side each");
}

#[test]
fn the_encrypting_phone_may_call_too() {
    let switch = two_users(switch());
    let mut alice = switch.tls_phone(20, "alice").encrypted("srtp-mand").tone_hz(440.0).start().registered();
    let mut bob = switch.phone(21, "bob").tone_hz(700.0).start().registered();
    call_and_listen((&mut alice, 440.0), BOB, (&mut bob, 700.0), false);
    assert!(alice.trace().contains("SRTP is Enabled"), "the TLS phone did not encrypt");
}

#[test]
fn a_phone_behind_a_nat_calls_and_is_called() {
    let switch = two_users(switch());
    let nat = NatBox::start(switch.place(), 20, 11, 60);
    let inside = nat.switch_seen_from_inside();
    let setup = switch.phone(20, "alice").registers(inside, "udp", &sip_password("alice"));
    let mut alice = setup.tone_hz(440.0).start().registered();
    let mut bob = switch.phone(21, "bob").tone_hz(700.0).start().registered();
    call_and_listen((&mut bob, 700.0), ALICE, (&mut alice, 440.0), false);
    let traffic = nat.traffic();
    for counter in [&traffic.media_in, &traffic.media_out] {
        assert!(counter.load(Ordering::Relaxed) > 150, "media went another way: {traffic:?}");
    }
    alice.dial(BOB);
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    alice.wait("CALL_ESTABLISHED", SOON);
    alice.hangup();
    bob.wait("CALL_CLOSED", SOON);
    assert!(traffic.sip_in.load(Ordering::Relaxed) > 5, "{traffic:?}");
}

/// Every sixth SIP datagram of alice's is lost, every tenth comes twice, and they overtake each other.
#[test]
fn calls_over_a_bad_line_are_set_up_ended_and_recorded_once() {
    const PATIENCE: Duration = Duration::from_secs(30);
    let switch = two_users(switch());
    let line = Impairment {
        loss: 0.16,
        duplicate: 0.1,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(120),
        seed: 7,
    };
    let listen = (switch.place().ip(60), 0).into();
    let line = Impairer::start(listen, switch.sip(), line).expect("the impairer listens");
    let setup = switch.phone(20, "alice").registers(line.address(), "udp", &sip_password("alice"));
    let mut alice = setup.start();
    alice.wait("REGISTER_OK", PATIENCE);
    let mut bob = switch.phone(21, "bob").start().registered();
    const CALLS: usize = 4;
    for _ in 0..CALLS / 2 {
        alice.dial(BOB);
        bob.wait("CALL_INCOMING", PATIENCE);
        bob.accept();
        alice.wait("CALL_ESTABLISHED", PATIENCE);
        bob.hangup();
        alice.wait("CALL_CLOSED", PATIENCE);
        bob.dial(ALICE);
        alice.wait("CALL_INCOMING", PATIENCE);
        alice.accept();
        bob.wait("CALL_ESTABLISHED", PATIENCE);
        alice.hangup();
        bob.wait("CALL_CLOSED", PATIENCE);
    }
    let completed = |calls: &[serde_json::Value]| calls.iter().filter(|c| c["status"] == json!("completed")).count();
    let calls = switch.calls(&switch.user("alice"), "all of them over", |calls| completed(calls) == CALLS);
    assert_eq!(calls.len(), CALLS, "{calls:?}");
    assert!(line.lost() > 0, "the line was too good");
    switch.assert_ledger_sound();
}

#[test]
fn a_call_to_a_trunk_has_an_e164_request_uri_and_the_own_number_and_is_heard_back() {
    let switch = two_users(switch());
    let carrier = SippSetup::new(switch.place(), CARRIER, tests(), "answer").arguments(&["-rtp_echo"]);
    let mut carrier = carrier.listens();
    let mut alice = switch.phone(20, "alice").tone_hz(440.0).start().registered();
    alice.dial(FAR);
    let since = alice.wait("CALL_ESTABLISHED", SOON).at;
    talk(since);
    let talked = since.elapsed();
    alice.hangup();
    carrier.succeeds(SOON);
    // The carrier sends back what it hears: so it has heard, and so has the phone.
    alice.assert_heard(440.0, talked);
    let invite = carrier.received("the INVITE", SOON, |m| m.first_line().starts_with("INVITE"));
    assert!(invite.first_line().starts_with(&format!("INVITE sip:{FAR}@")), "{}", invite.first_line());
    for header in ["From", "P-Asserted-Identity"] {
        assert!(invite.header(header).is_some_and(|value| value.contains(ALICE)), "{header}: {}", invite.text);
    }
    assert!(!invite.text.contains("a=crypto") && invite.text.contains("RTP/AVP"), "plain RTP to the trunk");
    assert!(!invite.text.contains(&switch.place().ip(20).to_string()), "topology is hidden: {}", invite.text);
    let calls = switch.calls(&switch.user("alice"), "one that is over", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("completed")
    });
    assert_eq!(micros(&calls[0]["cost"]), 600_000, "one minute begun at 0.60");
    switch.assert_ledger_sound();
}

#[test]
fn a_call_from_a_tls_srtp_phone_reaches_the_trunk_as_plain_rtp() {
    let switch = two_users(switch());
    let carrier = SippSetup::new(switch.place(), CARRIER, tests(), "answer").arguments(&["-rtp_echo"]);
    let mut carrier = carrier.listens();
    let mut alice = switch.tls_phone(20, "alice").encrypted("srtp-mand").tone_hz(440.0).start().registered();
    alice.dial(FAR);
    let since = alice.wait("CALL_ESTABLISHED", SOON).at;
    talk(since);
    let talked = since.elapsed();
    alice.hangup();
    carrier.succeeds(SOON);
    alice.assert_heard(440.0, talked);
    let invite = carrier.received("the INVITE", SOON, |m| m.first_line().starts_with("INVITE"));
    assert!(!invite.text.contains("a=crypto") && invite.text.contains("RTP/AVP"), "{}", invite.text);
}

/// A caller of sipp, which can set any header.
fn caller<'a>(switch: &'a Switch, scenario: &str, to: &str) -> SippSetup<'a> {
    let password = sip_password("alice");
    let words = [("from", "alice"), ("user", "alice"), ("password", &password), ("domain", DOMAIN), ("to", to)];
    SippSetup::new(switch.place(), 30, tests(), scenario).words(&words)
}

#[test]
fn a_chosen_caller_id_is_presented_and_one_that_is_not_owned_gets_403() {
    let switch = two_users(switch());
    let mut carrier = SippSetup::new(switch.place(), CARRIER, tests(), "answer").listens();
    let chosen = format!("X-Caller-Id: {ALICE_SECOND}\n");
    let mut call = caller(&switch, "call", FAR).word("headers", &chosen).towards(switch.sip());
    call.succeeds(SOON);
    carrier.succeeds(SOON);
    let invite = carrier.received("the INVITE", SOON, |m| m.first_line().starts_with("INVITE"));
    for header in ["From", "P-Asserted-Identity"] {
        assert!(invite.header(header).is_some_and(|value| value.contains(ALICE_SECOND)), "{header}: {}", invite.text);
    }
    assert!(invite.header("X-Caller-Id").is_none(), "our own header does not leave");
    let foreign = format!("X-Caller-Id: {BOB}\n");
    let refused = caller(&switch, "call-refused", FAR).words(&[("headers", &foreign), ("code", "403")]);
    refused.towards(switch.sip()).succeeds(SOON);
}

fn trunk_caller<'a>(switch: &'a Switch, scenario: &str, to: &str) -> SippSetup<'a> {
    let words = [("from", FAR), ("domain", DOMAIN), ("to", to)];
    SippSetup::new(switch.place(), CARRIER, tests(), scenario).words(&words)
}

#[test]
fn a_call_from_a_trunk_rings_all_devices_the_first_wins_and_the_others_learn_why() {
    let switch = two_users(switch());
    let mut one = switch.phone(20, "alice").start().registered();
    let mut two = switch.tls_phone(21, "alice").encrypted("srtp-mand").start().registered();
    let mut carrier = trunk_caller(&switch, "trunk-call", ALICE).word("talk_ms", "1000").towards(switch.sip());
    for phone in [&mut one, &mut two] {
        let event = phone.wait("CALL_INCOMING", SOON);
        assert!(event.peer.contains(FAR), "{event:?}");
    }
    two.accept();
    two.wait("CALL_ESTABLISHED", SOON);
    one.wait("CALL_CLOSED", SOON);
    until("the CANCEL says why", SOON, || {
        let trace = one.trace();
        let cancel = trace.split("CANCEL sip:").nth(1);
        cancel.is_some_and(|text| text.contains("Reason: SIP;cause=200"))
    });
    carrier.succeeds(SOON);
    two.wait("CALL_CLOSED", SOON);
    let calls = switch.calls(&switch.user("alice"), "one that is over", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("completed")
    });
    assert_eq!((&calls[0]["direction"], &calls[0]["from"]), (&json!("inbound"), &json!(FAR)));
}

#[test]
fn a_caller_that_is_no_trunk_and_has_no_password_is_challenged() {
    let switch = two_users(switch());
    let words = [("from", FAR), ("domain", DOMAIN), ("to", ALICE), ("code", "407")];
    let stranger = SippSetup::new(switch.place(), CARRIER + 1, tests(), "trunk-call-refused").words(&words);
    stranger.towards(switch.sip()).succeeds(SOON);
}

#[test]
fn a_busy_carrier_makes_a_busy_call_without_charge() {
    let switch = two_users(switch());
    let mut carrier = SippSetup::new(switch.place(), CARRIER, tests(), "refuse").word("code", "486").listens();
    let mut call = caller(&switch, "call-refused", FAR).word("code", "486").towards(switch.sip());
    call.succeeds(SOON);
    carrier.succeeds(SOON);
    ends_uncharged(&switch, "busy");
}

#[test]
fn a_phone_that_declines_makes_a_busy_call() {
    let switch = two_users(switch());
    let mut bob = switch.phone(21, "bob").start().registered();
    let mut call = caller(&switch, "call-refused", BOB).word("code", "486").towards(switch.sip());
    bob.wait("CALL_INCOMING", SOON);
    bob.hangup();
    call.succeeds(SOON);
    ends_uncharged(&switch, "busy");
}

#[test]
fn nobody_answers_and_the_call_ends_after_the_ring_time() {
    let switch = two_users(switch().set("sip_proxy.ring_timeout_s", "2"));
    let mut bob = switch.phone(21, "bob").start().registered();
    let mut call = caller(&switch, "call-refused", BOB).word("code", "480").towards(switch.sip());
    bob.wait("CALL_INCOMING", SOON);
    bob.wait("CALL_CLOSED", SOON);
    call.succeeds(SOON);
    ends_uncharged(&switch, "no_answer");
}

#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let switch = two_users(switch());
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut bob = switch.phone(21, "bob").start().registered();
    alice.dial(BOB);
    bob.wait("CALL_INCOMING", SOON);
    alice.wait("CALL_RINGING", SOON);
    alice.hangup();
    bob.wait("CALL_CLOSED", SOON);
    assert_eq!(ends_uncharged(&switch, "no_answer")["cause"], json!("cancelled"));
}

#[test]
fn a_trunk_that_gives_up_stops_the_ringing() {
    let switch = two_users(switch());
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut carrier = trunk_caller(&switch, "trunk-call-cancelled", ALICE).towards(switch.sip());
    alice.wait("CALL_INCOMING", SOON);
    alice.wait("CALL_CLOSED", SOON);
    carrier.succeeds(SOON);
}

#[test]
fn a_number_that_is_not_in_service_is_announced_and_then_refused_with_its_cause() {
    let switch = two_users(switch());
    let mut carrier =
        trunk_caller(&switch, "trunk-call-refused", "+12025550199").word("code", "404").towards(switch.sip());
    carrier.succeeds(Duration::from_secs(30));
    let messages = carrier.messages();
    let early = messages.iter().find(|m| m.first_line().starts_with("SIP/2.0 183")).expect("183 with early media");
    assert!(early.text.contains("m=audio"), "{}", early.text);
    let refusal = messages.iter().find(|m| m.first_line().starts_with("SIP/2.0 404")).unwrap();
    let reason = refusal.header("Reason").unwrap_or_default();
    assert!(reason.contains("Q.850") && reason.contains("cause=1"), "{}", refusal.text);
}

#[test]
fn a_user_hears_that_a_number_is_not_in_service_and_pays_nothing() {
    let switch = two_users(switch());
    let mut alice = switch.phone(20, "alice").start().registered();
    alice.dial(OFF);
    let end = alice.wait("CALL_CLOSED", Duration::from_secs(30));
    assert!(end.parameter.starts_with("404"), "{end:?}");
    assert!(alice.has_told("CALL_PROGRESS"), "early media");
    // The special information tone: 950, 1400, 1800 Hz.
    let heard = testkit::sound::hear(&alice.recording(), 1_400.0);
    assert!(heard.span_ms > 250, "{heard:?}");
    ends_uncharged(&switch, "failed");
}

#[test]
fn a_tenant_that_wants_secure_media_refuses_plain_rtp_and_carries_srtp() {
    let manifest = Manifest::new().user("alice", &[ALICE], "1.00").user("bob", &[BOB], "1.00").secure_media();
    let switch = switch().manifest(manifest).start();
    let mut bob = switch.phone(21, "bob").encrypted("srtp-mand").tone_hz(700.0).start().registered();
    let mut call = caller(&switch, "call-refused", BOB).word("code", "488").towards(switch.sip());
    call.succeeds(SOON);
    let mut alice = switch.phone(20, "alice").encrypted("srtp-mand").tone_hz(440.0).start().registered();
    call_and_listen((&mut alice, 440.0), BOB, (&mut bob, 700.0), false);
}

#[test]
fn a_destination_without_a_route_gets_404() {
    let switch = two_users(switch());
    let mut call = caller(&switch, "call-refused", "+4930123456").word("code", "404").towards(switch.sip());
    call.succeeds(Duration::from_secs(30));
    pays_nothing(&switch);
}

#[test]
fn a_trunk_that_hangs_up_ends_the_call() {
    let switch = two_users(switch());
    let mut carrier =
        SippSetup::new(switch.place(), CARRIER, tests(), "answer-hangup").word("talk_ms", "1000").listens();
    let mut alice = switch.phone(20, "alice").start().registered();
    alice.dial(FAR);
    alice.wait("CALL_ESTABLISHED", SOON);
    alice.wait("CALL_CLOSED", SOON);
    carrier.succeeds(SOON);
    switch.calls(&switch.user("alice"), "a completed one", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("completed")
    });
}

/// Waits until Alice's only call has the final state; it must have cost nothing and hold nothing. Returns its record.
fn ends_uncharged(switch: &Switch, status: &str) -> serde_json::Value {
    let client = switch.user("alice");
    let calls = switch.calls(&client, status, |calls| calls.len() == 1 && calls[0]["status"] == json!(status));
    let cost = &calls[0]["cost"];
    assert!(cost.is_null() || micros(cost) == 0, "{}", calls[0]);
    pays_nothing(switch);
    calls[0].clone()
}

/// Alice's wallet is as it was in the beginning.
fn pays_nothing(switch: &Switch) {
    let wallet = switch.user("alice").get("/api/v1/wallet").expect(200);
    assert_eq!((micros(&wallet["balance"]), micros(&wallet["held"])), (10_000_000, 0));
    switch.assert_ledger_sound();
}
