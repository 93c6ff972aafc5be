//! Our parser against `rsip`, an independent one, on sane messages; and against our own builder on generated ones.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;
use rsip::headers::ToTypedHeader;
use rsip::prelude::{HasHeaders, HeadersExt, UntypedHeader};
use sip_proto::{HeaderName, Message, Method, NameAddr, RequestBuilder, ResponseBuilder, Uri};

const FIRST: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9\r\n\
Max-Forwards: 70\r\n\
From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
To: Bob <sip:bob@biloxi.example.com>\r\n\
Call-ID: 3848276298220188511@atlanta.example.com\r\n\
CSeq: 1 INVITE\r\n\
Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 3\r\n\r\nv=0";

const SECOND: &str = "REGISTER sips:ss2.biloxi.example.com SIP/2.0\r\n\
Via: SIP/2.0/TLS client.biloxi.example.com:5061;branch=z9hG4bKnashd92\r\n\
Max-Forwards: 70\r\n\
From: Bob <sips:bob@biloxi.example.com>;tag=ja743ks76zlflH\r\n\
To: Bob <sips:bob@biloxi.example.com>\r\n\
Call-ID: 1j9FpLxk3uxtm8tn@biloxi.example.com\r\n\
CSeq: 2 REGISTER\r\n\
Contact: <sips:bob@client.biloxi.example.com>\r\n\
Content-Length: 0\r\n\r\n";

const THIRD: &str = "BYE sip:alice@client.atlanta.example.com SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.201:5060;branch=z9hG4bKnashds7\r\n\
Max-Forwards: 69\r\n\
From: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n\
To: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
Call-ID: 2xTb9vxSit55XU7p8@atlanta.example.com\r\n\
CSeq: 4711 BYE\r\n\
Content-Length: 0\r\n\r\n";

#[test]
fn sane_messages_mean_the_same_to_both_parsers() {
    for text in [FIRST, SECOND, THIRD] {
        let ours = Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert_eq!(ours.validate(), Ok(()));
        let theirs = rsip::Request::try_from(text.as_bytes()).unwrap();
        assert_eq!(ours.method().as_str(), theirs.method.to_string());
        assert_eq!(ours.request_uri().unwrap().as_str(), theirs.uri.to_string());
        assert_eq!(ours.call_id(), theirs.call_id_header().unwrap().value());
        let cseq = theirs.cseq_header().unwrap().typed().unwrap();
        assert_eq!(ours.cseq().map(|(n, m)| (n, m.to_string())), Some((cseq.seq, cseq.method.to_string())));
        assert_eq!(ours.max_forwards().map(u32::from), theirs.max_forwards_header().unwrap().num().ok());
        let via = theirs.via_header().unwrap().typed().unwrap();
        let our_via = ours.via().unwrap();
        assert_eq!(our_via.branch(), via.branch().map(|b| b.value()));
        assert_eq!(our_via.transport(), via.transport.to_string());
        assert_eq!(our_via.port, via.uri.host_with_port.port.map(u16::from));
        let from = theirs.from_header().unwrap().typed().unwrap();
        let our_from = ours.from().unwrap();
        assert_eq!(our_from.tag(), from.tag().map(|t| t.value()));
        assert_eq!(our_from.uri.as_str(), from.uri.to_string());
        assert_eq!(our_from.display_name(), from.display_name.unwrap_or_default());
        assert_eq!(ours.headers().count(), theirs.headers().iter().count());
        assert_eq!(&ours.body()[..], &theirs.body[..]);
    }
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,24}"
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9-]{0,8}(\\.[a-z]{2,6}){0,2}", Just("192.0.2.7".to_owned()), Just("2001:db8::7".to_owned())]
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Invite),
        Just(Method::Options),
        Just(Method::Register),
        token().prop_map(|t| Method::parse(&t).unwrap())
    ]
}

proptest! {
    /// What is built is read back with the same fields, and a response to it carries what it must.
    #[test]
    fn a_built_request_reads_back(
        method in method(), user in "\\PC{1,16}", host in host(), port in proptest::option::of(1u16..),
        display in "\\PC{0,20}", tag in token(), call_id in token(), sequence in 0u32..1 << 31,
        subject in "\\PC{0,40}", body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let uri = Uri::sip(Some(&user), &host, port).unwrap();
        prop_assert_eq!(uri.user_unescaped().unwrap(), user.as_str());
        let from = NameAddr::new(uri.clone()).with_display(&display).with_tag(&tag);
        let built = RequestBuilder::new(method, &uri)
            .header(HeaderName::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
            .header(HeaderName::From, &from)
            .header(HeaderName::To, NameAddr::new(uri.clone()))
            .header(HeaderName::CallId, &call_id)
            .header(HeaderName::Subject, &subject)
            .cseq(sequence)
            .body("text/plain", body.clone())
            .build();
        let read = Message::parse(built).unwrap();
        prop_assert_eq!(read.validate(), Ok(()));
        prop_assert_eq!((read.method(), read.cseq()), (method, Some((sequence, method))));
        prop_assert_eq!(read.request_uri(), Some(uri));
        let from = read.from().unwrap();
        prop_assert_eq!((from.display_name().into_owned(), from.tag()), (display, Some(tag.as_str())));
        prop_assert_eq!(read.call_id(), call_id.as_str());
        prop_assert_eq!(read.header(HeaderName::Subject).unwrap(), subject.trim_matches([' ', '\t']));
        prop_assert_eq!(&read.body()[..], &body[..]);
        let answer = Message::parse(ResponseBuilder::to(&read, 200, "").to_tag("t").build()).unwrap();
        prop_assert_eq!(answer.validate(), Ok(()));
        prop_assert_eq!((answer.call_id(), answer.cseq()), (call_id.as_str(), Some((sequence, method))));
        prop_assert_eq!(answer.from(), read.from());
        let passed = Message::parse(RequestBuilder::forward(&read).build()).unwrap();
        prop_assert_eq!((passed.from(), passed.body(), passed.cseq()), (read.from(), read.body(), read.cseq()));
    }

    /// Damage never breaks the parser, and whatever still passes validation can be answered.
    #[test]
    fn damaged_messages_are_survived(at in 0usize..FIRST.len(), byte in any::<u8>(), cut in 0usize..FIRST.len(), inserted in any::<bool>()) {
        let mut bytes = FIRST.as_bytes().to_vec();
        if inserted { bytes.insert(at, byte) } else { bytes[at] = byte }
        bytes.truncate(bytes.len().max(cut) - cut.min(bytes.len()) / 4);
        if let Ok(message) = Message::parse(Bytes::from(bytes))
            && message.validate().is_ok()
        {
            let answer = if message.is_request() { ResponseBuilder::to(&message, 486, "").build() } else { message.bytes().clone() };
            prop_assert_eq!(Message::parse(answer).unwrap().validate(), Ok(()));
        }
    }
}
