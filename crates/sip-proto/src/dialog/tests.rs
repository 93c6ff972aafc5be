//! Dialogs by the sections of RFC 3261 §12.

use super::*;
use crate::message::ResponseBuilder;
use bytes::Bytes;

fn parse(bytes: Bytes) -> Message {
    Message::parse(bytes).expect("built here")
}

fn invite() -> Message {
    parse(
        RequestBuilder::new(Method::Invite, "sip:bob@biloxi.example.com")
            .header(HeaderName::Via, "SIP/2.0/UDP pc33;branch=z9hG4bK1")
            .header(HeaderName::From, "Alice <sip:alice@atlanta.example.com>;tag=a1")
            .header(HeaderName::To, "Bob <sip:bob@biloxi.example.com>")
            .header(HeaderName::CallId, "call1")
            .header(HeaderName::Contact, "<sip:alice@pc33.example.com>")
            .header(HeaderName::RecordRoute, "<sip:p2;lr>, <sip:p1;lr>")
            .cseq(314)
            .build(),
    )
}

fn answer(status: u16, tag: &str, contact: &str) -> Message {
    parse(ResponseBuilder::to(&invite(), status, "").to_tag(tag).header(HeaderName::Contact, contact).build())
}

#[test]
fn rfc3261_12_1_both_sides_have_the_same_dialog() {
    let ok = answer(200, "b1", "<sip:bob@192.0.2.4>");
    let mut alice = Dialog::uac(&invite(), &ok).expect("complete");
    let mut bob = Dialog::uas(&invite(), "b1", "<sip:bob@192.0.2.4>").expect("complete");
    assert_eq!(alice.id(), &DialogId { call_id: "call1".into(), local_tag: "a1".into(), remote_tag: "b1".into() });
    assert_eq!(alice.state(), DialogState::Confirmed);
    assert_eq!(alice.route_set(), ["<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!(bob.route_set(), ["<sip:p2;lr>", "<sip:p1;lr>"]);
    let bye = parse(alice.request(Method::Bye).build());
    assert_eq!((bye.request_uri_text(), bye.cseq()), ("sip:bob@192.0.2.4", Some((315, Method::Bye))));
    assert_eq!(bye.header_values(HeaderName::Route).collect::<Vec<_>>(), ["<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!(DialogId::of(&bye).as_ref(), Some(bob.id()));
    assert_eq!((bob.receive(&bye), alice.next_hop().as_str()), (Ok(()), "sip:p1;lr"));
    let reinvite = parse(bob.request(Method::Invite).build());
    assert_eq!(
        (reinvite.request_uri_text(), reinvite.cseq()),
        ("sip:alice@pc33.example.com", Some((1, Method::Invite)))
    );
    assert_eq!(reinvite.header(HeaderName::Contact), Some("<sip:bob@192.0.2.4>"));
    assert_eq!(DialogId::of(&reinvite).as_ref(), Some(alice.id()));
    assert_eq!(DialogId::of(&invite()), None);
    let ack = parse(alice.ack(314).build());
    assert_eq!(ack.cseq(), Some((314, Method::Ack)));
}

#[test]
fn rfc3261_12_2_2_what_is_out_of_order_is_refused_and_a_new_target_is_taken_over() {
    let mut alice = Dialog::uac(&invite(), &answer(200, "b1", "<sip:bob@old>")).expect("complete");
    let mut bob = Dialog::uas(&invite(), "b1", "<sip:bob@old>").expect("complete");
    let first = parse(bob.request(Method::Info).build());
    bob.set_contact("<sip:bob@new>");
    let second = parse(bob.request(Method::Update).build());
    assert_eq!(alice.receive(&second), Ok(()));
    assert_eq!(alice.remote_target().as_str(), "sip:bob@new");
    assert_eq!(alice.receive(&first), Err(500));
}

#[test]
fn rfc3261_12_2_1_1_a_strict_router_gets_itself_as_request_uri() {
    let strict = invite().bytes().iter().copied().collect::<Vec<u8>>();
    let strict = String::from_utf8(strict).expect("text").replace("<sip:p2;lr>, <sip:p1;lr>", "<sip:p2>");
    let mut bob = Dialog::uas(&parse(strict.into()), "b", "<sip:bob@x>").expect("complete");
    let bye = parse(bob.request(Method::Bye).build());
    assert_eq!(bye.request_uri_text(), "sip:p2");
    assert_eq!(bye.header_values(HeaderName::Route).collect::<Vec<_>>(), ["<sip:alice@pc33.example.com>"]);
}

#[test]
fn rfc3261_13_2_2_4_each_branch_of_a_fork_has_its_dialog_and_the_2xx_gives_the_final_routes() {
    let mut set = DialogSet::default();
    assert!(set.receive(&invite(), &answer(100, "", "<sip:x>")).is_none());
    for tag in ["b1", "b2", "b1"] {
        assert_eq!(
            set.receive(&invite(), &answer(180, tag, "<sip:early>")).map(|d| d.state()),
            Some(DialogState::Early)
        );
    }
    assert_eq!(set.iter().count(), 2);
    let text = String::from_utf8(answer(200, "b2", "<sip:final>").bytes().to_vec()).expect("text");
    let ok = parse(text.replace("<sip:p2;lr>, <sip:p1;lr>", "<sip:other;lr>").into());
    let winner = set.receive(&invite(), &ok).expect("known");
    assert_eq!((winner.state(), winner.remote_target().as_str()), (DialogState::Confirmed, "sip:final"));
    assert_eq!(winner.route_set(), ["<sip:other;lr>"]);
    assert!(set.take("b2").is_some() && set.take("b2").is_none());
    for n in 0..100 {
        set.receive(&invite(), &answer(180, &format!("x{n}"), "<sip:y>"));
    }
    assert_eq!(set.iter().count(), EARLY_DIALOGS_MAX);
}

#[test]
fn a_dialog_passes_through_its_serial_form_and_goes_on() {
    let mut alice = Dialog::uac(&invite(), &answer(200, "b1", "<sip:bob@192.0.2.4>")).expect("complete");
    let text = serde_json::to_string(&alice).expect("plain data");
    let mut again: Dialog = serde_json::from_str(&text).expect("and back");
    assert_eq!(again, alice);
    assert_eq!(again.request(Method::Bye).build(), alice.request(Method::Bye).build());
}
