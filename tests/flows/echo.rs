//! The echo test as a leg to media-server, and what SIGTERM does to calls.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{SOON, switch, tests};
use serde_json::json;
use testkit::manifest::sip_password;
use testkit::sipp::SippSetup;
use testkit::{DOMAIN, Manifest, until};

const ALICE: &str = "+12025550101";
const BOB: &str = "+12025550102";

fn manifest() -> Manifest {
    Manifest::new().user("alice", &[ALICE], "1.00").user("bob", &[BOB], "1.00")
}

#[test]
fn the_echo_test_gives_back_what_it_hears() {
    let switch = switch().manifest(manifest()).start();
    for encrypted in [false, true] {
        let phone =
            if encrypted { switch.tls_phone(21, "alice").encrypted("srtp-mand") } else { switch.phone(20, "alice") };
        let mut alice = phone.tone_hz(520.0).start().registered();
        alice.dial("*43");
        let since = alice.wait("CALL_ESTABLISHED", SOON).at;
        until("four seconds of talk", SOON, || since.elapsed() > Duration::from_secs(4));
        alice.hangup();
        alice.wait("CALL_CLOSED", SOON);
        // The beep at the beginning is not ours.
        alice.assert_heard(520.0, Duration::from_secs(3));
        alice.quit();
    }
}

#[test]
fn sigterm_takes_no_new_calls_lets_the_running_one_go_on_and_ends_it_at_the_deadline() {
    let mut switch = switch().manifest(manifest()).set("node.drain_s", "4").start();
    let mut alice = switch.phone(20, "alice").start().registered();
    let mut bob = switch.phone(21, "bob").start().registered();
    alice.dial(BOB);
    bob.wait("CALL_INCOMING", SOON);
    bob.accept();
    alice.wait("CALL_ESTABLISHED", SOON);
    let health = switch.health();
    switch.terminate();
    until("the switch says that it is not ready", Duration::from_secs(2), || health.get("/readyz").status == 503);
    let password = sip_password("bob");
    let words = [("from", "bob"), ("user", "bob"), ("password", &password), ("domain", DOMAIN), ("to", ALICE)];
    let refused = SippSetup::new(switch.place(), 30, tests(), "trunk-call-refused").words(&words);
    let mut refused = refused.word("code", "503").towards(switch.sip());
    refused.succeeds(SOON);
    let refusal = refused.messages().into_iter().find(|m| m.first_line().starts_with("SIP/2.0 503")).unwrap();
    assert!(refusal.header("Retry-After").is_some(), "{}", refusal.text);
    assert!(!alice.has_told("CALL_CLOSED"), "the running call goes on");
    for phone in [&mut alice, &mut bob] {
        phone.wait("CALL_CLOSED", SOON);
        assert!(phone.trace().contains("BYE sip:"), "it is ended with BYE");
    }
    let status = switch.ends(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0));
    switch.start();
    switch.calls(&switch.user("alice"), "completed", |calls| {
        calls.len() == 1 && calls[0]["status"] == json!("completed")
    });
    switch.assert_ledger_sound();
}

#[test]
fn sigterm_without_calls_ends_at_once() {
    let mut switch = switch().manifest(manifest()).set("node.drain_s", "60").start();
    switch.terminate();
    assert_eq!(switch.ends(Duration::from_secs(5)).code(), Some(0));
}
