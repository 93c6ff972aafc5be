//! The tools themselves: two phones without a switch between them hear each other, so that a flow test that fails says
//! something about the switch.

use std::time::Duration;

use std::path::Path;

use testkit::sipp::SippSetup;
use testkit::{PhoneSetup, Place};

#[test]
fn two_phones_without_a_switch_hear_each_other() {
    let place = Place::claim();
    let b = PhoneSetup::new(&place, 21, "b", &place.ip(21).to_string()).tone_hz(700.0).encrypted("srtp").start();
    let mut a = PhoneSetup::new(&place, 20, "a", &place.ip(20).to_string()).encrypted("srtp").start();
    let mut b = b;
    let limit = Duration::from_secs(5);
    a.dial(&format!("sip:b@{}", b.address()));
    b.wait("CALL_INCOMING", limit);
    b.accept();
    let since = a.wait("CALL_ESTABLISHED", limit).at;
    testkit::until("three seconds of talk", limit, || since.elapsed() > Duration::from_secs(3));
    let talked = since.elapsed();
    a.hangup();
    b.wait("CALL_CLOSED", limit);
    a.assert_heard(700.0, talked);
    b.assert_heard(440.0, talked);
}

#[test]
fn sipp_calls_sipp_and_its_messages_are_read() {
    let place = Place::claim();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut called = SippSetup::new(&place, 31, &tests, "answer").listens();
    let caller = SippSetup::new(&place, 30, &tests, "trunk-call");
    let words = [("from", "+15550001"), ("to", "+15550002"), ("domain", "test"), ("headers", "X-Test: yes\n")];
    let mut caller = caller.words(&words).towards((place.ip(31), 15_060).into());
    let limit = Duration::from_secs(10);
    caller.succeeds(limit);
    called.succeeds(limit);
    let invite = called.received("the INVITE", limit, |m| m.first_line().starts_with("INVITE"));
    assert_eq!(invite.header("x-test"), Some("yes"));
    assert!(caller.messages().iter().any(|m| m.sent && m.first_line().starts_with("BYE")));
}
