//! The registrar by the steps of RFC 3261 §10.3.

use super::*;
use crate::flow::Transport;
use crate::message::RequestBuilder;
use crate::method::Method;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn flow() -> Flow {
    let address = |text: &str| text.parse().expect("an address");
    Flow {
        transport: Transport::Udp,
        local: address("192.0.2.1:5060"),
        peer: address("203.0.113.5:40000"),
        connection: 0,
    }
}

fn request(call_id: &str, sequence: u32, contacts: &[&str], expires: Option<&str>) -> Message {
    let mut register = RequestBuilder::new(Method::Register, "sip:example.com")
        .header(HeaderName::Via, "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK1")
        .header(HeaderName::From, "<sip:bob@example.com>;tag=1")
        .header(HeaderName::To, "<sip:bob@example.com>")
        .header(HeaderName::CallId, call_id)
        .header(HeaderName::Path, "<sip:edge;lr>")
        .header(HeaderName::UserAgent, "phone/1")
        .cseq(sequence);
    for contact in contacts {
        register = register.header(HeaderName::Contact, contact);
    }
    if let Some(expires) = expires {
        register = register.header(HeaderName::Expires, expires);
    }
    Message::parse(register.build()).expect("ours")
}

fn apply(existing: &[Binding], request: &Message, at: Timestamp) -> Result<Registration, RegisterRefusal> {
    register(request, &flow(), existing, &Policy::default(), at)
}

#[test]
fn rfc3261_10_3_contacts_are_added_refreshed_fetched_and_removed() {
    let first = apply(
        &[],
        &request("c", 1, &["<sip:bob@10.0.0.2:5060>;q=0.5;expires=120", "<sip:bob@10.0.0.3>"], Some("600")),
        NOW,
    )
    .expect("accepted");
    assert!(matches!(&first.changes[..], [Change::Added(_), Change::Added(_)]));
    let one = &first.bindings[0];
    assert_eq!(
        (one.q_thousandths, one.expires_at, one.path.as_slice()),
        (500, later(120), &["<sip:edge;lr>".to_owned()][..])
    );
    assert!(one.is_behind_nat() && one.user_agent == "phone/1");
    let fetched = apply(&first.bindings, &request("x", 1, &[], None), later(20)).expect("accepted");
    assert!(fetched.changes.is_empty());
    assert_eq!(
        fetched.contacts().collect::<Vec<_>>(),
        ["<sip:bob@10.0.0.2:5060>;q=0.5;expires=100", "<sip:bob@10.0.0.3>;expires=580"]
    );
    let ok = Message::parse(fetched.response(&request("x", 1, &[], None)).build()).expect("ours");
    assert_eq!((ok.contacts().count(), ok.header(HeaderName::Path)), (2, Some("<sip:edge;lr>")));
    let again = apply(&first.bindings, &request("c", 2, &["<sip:bob@10.0.0.2:5060>"], Some("600")), later(100))
        .expect("accepted");
    assert!(matches!(&again.changes[..], [Change::Refreshed(b)] if b.expires_at == later(700)));
    let gone = apply(&again.bindings, &request("c", 3, &["<sip:bob@10.0.0.2:5060>;expires=0"], None), later(101))
        .expect("accepted");
    assert!(matches!(&gone.changes[..], [Change::Removed(_)]) && gone.bindings.len() == 1);
    let late = apply(&gone.bindings, &request("d", 1, &[], None), later(5000)).expect("accepted");
    assert!(matches!(&late.changes[..], [Change::Expired(_)]) && late.bindings.is_empty());
}

#[test]
fn rfc3261_10_3_step_6_a_wildcard_stands_alone_with_expires_0() {
    let before = apply(&[], &request("c", 5, &["<sip:a@b>", "<sip:c@d>"], None), NOW).expect("accepted").bindings;
    for (contacts, expires) in [(&["*"][..], None), (&["*"], Some("10")), (&["*", "<sip:a@b>"], Some("0"))] {
        assert_eq!(apply(&before, &request("x", 1, contacts, expires), NOW), Err(RegisterRefusal::BadWildcard));
    }
    assert_eq!(apply(&before, &request("c", 4, &["*"], Some("0")), NOW), Err(RegisterRefusal::OutOfOrder));
    let gone = apply(&before, &request("c", 6, &["*"], Some("0")), NOW).expect("accepted");
    assert!(gone.bindings.is_empty() && gone.changes.len() == 2);
}

#[test]
fn rfc3261_10_3_step_7_an_older_request_of_the_same_phone_changes_nothing() {
    let before = apply(&[], &request("c", 5, &["<sip:a@b>"], None), NOW).expect("accepted").bindings;
    let old = request("c", 4, &["<sip:new@b>", "<sip:a@b>;expires=0"], None);
    assert_eq!(apply(&before, &old, NOW), Err(RegisterRefusal::OutOfOrder));
    assert_eq!(RegisterRefusal::OutOfOrder.status(), 500);
    assert!(apply(&before, &request("c", 5, &["<sip:a@b>"], None), NOW).is_ok(), "a retransmission");
    assert!(apply(&before, &request("rebooted", 1, &["<sip:a@b>"], None), NOW).is_ok(), "another Call-ID");
}

#[test]
fn rfc3261_10_2_8_times_are_bounded_by_policy() {
    let brief = apply(&[], &request("c", 1, &["<sip:a@b>;expires=30"], None), NOW);
    assert_eq!(brief, Err(RegisterRefusal::TooBrief { expires_min_s: 60 }));
    let response = RegisterRefusal::TooBrief { expires_min_s: 60 }.response(&request("c", 1, &[], None));
    assert_eq!((response.status(), response.get(HeaderName::MinExpires)), (423, Some("60")));
    let expires = |contact: &str, header| {
        apply(&[], &request("c", 1, &[contact], header), NOW).map(|r| r.bindings[0].expires_in_s(NOW))
    };
    assert_eq!(expires("<sip:a@b>", Some("99999999999999")), Ok(7200), "cut");
    assert_eq!(expires("<sip:a@b>", None), Ok(3600), "the default");
    assert_eq!(expires("<sip:a@b>;expires=soon", Some("100")), Ok(3600), "§20.10: what cannot be read is an hour");
}

#[test]
fn too_many_contacts_are_refused_but_refreshes_pass() {
    let many: Vec<String> = (0..11).map(|n| format!("<sip:a{n}@b>")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(apply(&[], &request("c", 1, &many, None), NOW), Err(RegisterRefusal::TooMany { contacts_max: 10 }));
    let full = apply(&[], &request("c", 1, &many[..10], None), NOW).expect("accepted").bindings;
    assert_eq!(apply(&full, &request("c", 2, &many[10..], None), NOW).map_err(|r| r.status()), Err(403));
    assert!(apply(&full, &request("c", 2, &many[..1], None), NOW).is_ok());
    let lowered = Policy { contacts_max: 5, ..Policy::default() };
    assert!(
        register(&request("c", 2, &many[..1], None), &flow(), &full, &lowered, NOW).is_ok(),
        "a lowered limit ends nobody's registration"
    );
}

#[test]
fn rfc5626_6_a_device_that_moves_replaces_its_own_flow() {
    let contact = |ip: &str, reg_id: u32| format!("<sip:bob@{ip}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}");
    let first =
        apply(&[], &request("c", 1, &[&contact("10.0.0.1", 1), &contact("10.0.0.1", 2)], None), NOW).expect("accepted");
    assert_eq!(
        (first.bindings.len(), first.bindings[1].reg_id, first.bindings[1].instance.as_deref()),
        (2, Some(2), Some("<urn:uuid:1>"))
    );
    let moved =
        apply(&first.bindings, &request("rebooted", 1, &[&contact("10.9.9.9", 1)], None), NOW).expect("accepted");
    assert_eq!(moved.bindings.len(), 2);
    assert_eq!(moved.bindings[0].contact.as_str(), "sip:bob@10.9.9.9");
}

#[test]
fn contacts_that_cannot_be_called_are_refused() {
    for bad in ["<mailto:a@b>", "sip:a@b?Route=x", "\"open <sip:a@b>", "nonsense"] {
        assert_eq!(apply(&[], &request("c", 1, &[bad], None), NOW), Err(RegisterRefusal::BadContact), "{bad}");
    }
}

#[test]
fn a_binding_passes_through_its_serial_form() {
    let before = apply(&[], &request("c", 5, &["<sip:a@b>;q=0.1"], None), NOW).expect("accepted").bindings;
    let text = serde_json::to_string(&before).expect("plain data");
    assert_eq!(serde_json::from_str::<Vec<Binding>>(&text).expect("and back"), before);
}
