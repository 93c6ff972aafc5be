//! Reads everything that a message offers: the body of the fuzz target and of the corpus replay, kept in one place so
//! that both mean the same. It asserts what must hold for any bytes.

use bytes::Bytes;

use super::{HeaderName, Message, RequestBuilder, ResponseBuilder};
use crate::auth::{Challenge, Credentials};
use crate::dialog::{Dialog, DialogId};
use crate::stream::StreamFramer;

/// Bytes of a stream and of a datagram through every reader; panics when an invariant is broken.
pub fn exercise(bytes: Bytes) {
    let mut framer = StreamFramer::default();
    for chunk in bytes.chunks(7) {
        framer.push(chunk);
        while let Ok(Some(_)) = framer.next_frame() {}
    }
    let Ok(mut message) = Message::parse(bytes) else { return };
    message.set_source(std::net::SocketAddr::from(([192, 0, 2, 1], 5060)));
    read_all(&message);
    if message.validate().is_err() {
        return;
    }
    if message.is_request() {
        let answer = ResponseBuilder::to(&message, 200, "").to_tag("x").build();
        // What is taken from a message over the limit may be too long to come back.
        if let Ok(answer) = Message::parse(answer) {
            assert_eq!(answer.validate(), Ok(()), "the answer to a valid request is valid");
            assert_eq!((answer.call_id(), answer.cseq()), (message.call_id(), message.cseq()));
            let _ = Dialog::uac(&message, &answer);
        }
        let _ = Dialog::uas(&message, "tag", "<sip:here>");
        if let Ok(passed) = Message::parse(RequestBuilder::forward(&message).build()) {
            assert_eq!(passed.validate(), Ok(()), "a valid request stays valid when it is passed on");
            assert_eq!((passed.body(), passed.cseq(), passed.from()), (message.body(), message.cseq(), message.from()));
        }
    } else if message.vias().count() > 1
        && let Ok(passed) = Message::parse(ResponseBuilder::forward(&message).build())
    {
        assert_eq!(passed.vias().count() + 1, message.vias().count());
    }
}

fn read_all(message: &Message) {
    let _ = (
        message.method(),
        message.status(),
        message.reason(),
        message.request_uri(),
        message.expires(),
        message.max_forwards(),
    );
    let _ = (message.content_type(), message.body(), message.reason_cause("Q.850"), DialogId::of(message));
    for via in message.vias().flatten() {
        let _ = (via.response_address(), via.to_string(), via.branch(), via.rport(), via.received());
    }
    for name in [HeaderName::From, HeaderName::To, HeaderName::Route, HeaderName::RecordRoute, HeaderName::ReferTo] {
        for address in message.name_addrs(name).flatten() {
            let again = super::NameAddr::parse(&address.to_string());
            assert_eq!(again.map(|a| a.uri), Ok(address.uri.clone()), "an address reads back");
            let _ = (address.tag(), address.display_name(), address.uri.user_unescaped(), address.uri.header("x"));
            assert!(address.uri.equivalent(&address.uri), "every URI is equivalent to itself");
            let _ = (address.uri.with_param("a", Some("b")), address.uri.without_headers());
        }
    }
    for contact in message.contacts().flatten() {
        let _ = contact;
    }
    for (_, value) in message.headers() {
        let _ = (Challenge::parse(value), Credentials::parse(value));
    }
}
