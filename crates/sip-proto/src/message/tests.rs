//! Messages read and built, by the sections of RFC 3261.

use super::*;
use crate::status::reason_phrase;

const INVITE: &str = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n\
    Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9\r\n\
    v: SIP/2.0/UDP a;branch=1 , SIP/2.0/UDP b;branch=2\r\n\
    Max-Forwards: 70\r\n\
    From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
    t: \"Bob, B\" <sip:bob@biloxi.example.com>\r\n\
    i: 3848276298220188511@atlanta.example.com\r\n\
    CSeq: 2 INVITE\r\n\
    m: <sip:alice@client.atlanta.example.com;transport=tcp>, <sip:a2@x>;q=0.5\r\n\
    X-Caller-Id: +15551234567\r\n\
    Subject: one,\r\n two\r\n\
    Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n\
    c: application/SDP ; charset=x\r\n\
    l: 4\r\n\r\nv=0\r\ntrailing";

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap_or_else(|e| panic!("{e} in {text}"))
}

#[test]
fn rfc3261_7_3_headers_are_found_in_any_form() {
    let invite = parse(INVITE);
    assert_eq!(invite.validate(), Ok(()));
    assert_eq!((invite.method(), invite.status(), invite.cseq()), (Method::Invite, None, Some((2, Method::Invite))));
    assert_eq!(invite.request_uri().map(|u| u.to_string()).as_deref(), Some("sip:bob@biloxi.example.com"));
    assert_eq!(
        invite.vias().filter_map(Result::ok).filter_map(|v| v.branch().map(str::to_owned)).collect::<Vec<_>>(),
        ["z9hG4bK74bf9", "1", "2"]
    );
    assert_eq!(invite.to().map(|t| t.display_name().into_owned()).as_deref(), Some("Bob, B"));
    assert_eq!(invite.from().and_then(|f| f.tag().map(str::to_owned)).as_deref(), Some("9fxced76sl"));
    assert_eq!(invite.call_id(), "3848276298220188511@atlanta.example.com");
    assert_eq!(invite.contacts().count(), 2);
    assert_eq!(invite.header_by_name("x-caller-id"), Some("+15551234567"));
    assert_eq!(invite.header_by_name("SUBJECT"), Some("one,   two"));
    assert_eq!(invite.content_type().as_deref(), Some("application/sdp"));
    assert_eq!(&invite.body()[..], b"v=0\r", "octets beyond Content-Length are not part of the body");
    assert_eq!(invite.max_forwards(), Some(70));
}

#[test]
fn rfc3261_8_1_1_a_request_without_mandatory_headers_is_refused() {
    for (header, reason) in [("Via", "Bad Via"), ("From", "Bad From"), ("CSeq", "Bad CSeq")] {
        let without: Vec<&str> = INVITE
            .split("\r\n")
            .filter(|l| !(l.starts_with(header) || header == "Via" && l.starts_with("v:")))
            .collect();
        assert_eq!(parse(&without.join("\r\n")).validate(), Err(Refusal { status: 400, reason }));
    }
    let status = |text: &str| parse(text).validate().map_err(|r| r.status);
    assert_eq!(status(&INVITE.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia")), Err(505));
    assert_eq!(status(&INVITE.replace("INVITE sip:bob@", "INVITE http://bob@")), Err(416));
    assert_eq!(status(&INVITE.replace("CSeq: 2 INVITE", "CSeq: 2 BYE")), Err(400));
    assert_eq!(status(&INVITE.replace("l: 4", "l: 4444")), Err(400));
    assert_eq!(status(&INVITE.replace("l: 4", "l: 4\r\nContent-Length: 5")), Err(400));
    assert_eq!(status(&INVITE.replace("Max-Forwards: 70", "Max-Forwards: 70\r\nmax-forwards: 70")), Err(400));
    assert_eq!(status(&INVITE.replace("Max-Forwards: 70", "nonsense")), Err(400));
}

#[test]
fn hopeless_bytes_are_errors() {
    for bad in [
        "",
        "\r\n\r\n",
        "INVITE",
        "INVITE sip:a@b SIP/2.0\r\nVia: x",
        "SIP/2.0 20 OK\r\n\r\n",
        "SIP/2.0 2000 OK\r\n\r\n",
        "A B HTTP/1.1\r\n\r\n",
        "INVITE sip:a SIP/2.0\r\nA: b\rEvil: c\r\n\r\n",
    ] {
        assert!(Message::parse(Bytes::copy_from_slice(bad.as_bytes())).is_err(), "{bad:?}");
    }
    let many = format!("OPTIONS sip:a SIP/2.0\r\n{}\r\n", "A: b\r\n".repeat(base::limits::SIP_HEADERS_MAX + 1));
    assert!(matches!(Message::parse(Bytes::from(many)), Err(ParseError::TooLarge { .. })));
    let long = Bytes::from(vec![b'a'; base::limits::SIP_MESSAGE_BYTES_MAX + 1]);
    assert!(matches!(Message::parse(long), Err(ParseError::TooLarge { .. })));
}

#[test]
fn a_head_in_iso_8859_1_is_read_as_such() {
    let mut bytes = INVITE.as_bytes().to_vec();
    let at = INVITE.find("Alice").expect("in the text");
    bytes[at] = 0xc4;
    let invite = Message::parse(Bytes::from(bytes)).expect("tolerated");
    assert_eq!(invite.from().map(|f| f.display_name().into_owned()).as_deref(), Some("Älice"));
    assert_eq!(&invite.body()[..], b"v=0\r");
}

#[test]
fn rfc3261_8_2_6_a_response_copies_what_it_must() {
    let mut invite = parse(INVITE);
    invite.set_source("192.0.2.9:4000".parse().expect("an address"));
    let ok = ResponseBuilder::to(&invite, 200, "")
        .to_tag("abc")
        .to_tag("ignored")
        .header(HeaderName::Contact, "<sip:me@here>")
        .build();
    let ok = Message::parse(ok).expect("ours");
    assert_eq!(ok.validate(), Ok(()));
    assert_eq!((ok.status(), ok.reason(), ok.vias().count()), (Some(200), "OK", 3));
    assert_eq!(
        ok.via().map(|v| v.to_string()).as_deref(),
        Some("SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;received=192.0.2.9")
    );
    assert_eq!(ok.to().and_then(|t| t.tag().map(str::to_owned)).as_deref(), Some("abc"));
    assert_eq!((ok.record_routes().count(), ok.cseq()), (2, Some((2, Method::Invite))));
    let busy = Message::parse(ResponseBuilder::to(&invite, 486, "").build()).expect("ours");
    assert_eq!((busy.reason(), busy.record_routes().count()), (reason_phrase(486), 0));
}

#[test]
fn a_value_with_line_ends_cannot_make_a_header() {
    let request = RequestBuilder::new(Method::Message, "sip:a@b\r\nX: 1")
        .header(HeaderName::Subject, "hi\r\nEvil: yes")
        .header_named("X\n-Y", "1")
        .build();
    let request = Message::parse(request).expect("ours");
    assert_eq!(request.header_by_name("Evil"), None);
    assert_eq!(request.header(HeaderName::Subject), Some("hi  Evil: yes"));
}

#[test]
fn rfc3261_16_a_forwarded_request_keeps_what_it_does_not_know() {
    let invite = parse(INVITE);
    let passed = RequestBuilder::forward(&invite)
        .header_first(HeaderName::RecordRoute, "<sip:us;lr>")
        .build_with("Via: SIP/2.0/UDP us;branch=z9hG4bKx\r\n");
    let passed = Message::parse(passed).expect("ours");
    assert_eq!((passed.max_forwards(), passed.vias().count(), passed.record_routes().count()), (Some(69), 4, 3));
    assert_eq!(passed.header_by_name("X-Caller-Id"), Some("+15551234567"));
    assert_eq!(passed.body(), invite.body());
    let answer = Message::parse(ResponseBuilder::to(&passed, 180, "").build()).expect("ours");
    let upstream = Message::parse(ResponseBuilder::forward(&answer).build()).expect("ours");
    assert_eq!(upstream.via().and_then(|v| v.branch().map(str::to_owned)).as_deref(), Some("z9hG4bK74bf9"));
    let twice = Message::parse(
        RequestBuilder::new(Method::Bye, "sip:a")
            .route("<sip:a;lr>, <sip:b;lr>")
            .route("<sip:c;lr>")
            .without_first_route()
            .build(),
    )
    .expect("ours");
    assert_eq!(twice.header_values(HeaderName::Route).collect::<Vec<_>>(), ["<sip:b;lr>", "<sip:c;lr>"]);
}

#[test]
fn rfc3326_the_reason_header_gives_the_cause_per_protocol() {
    let bye = parse(&INVITE.replace("Subject: one,\r\n two", "Reason: SIP;cause=580;text=\"a,b\", Q.850 ;cause=16"));
    assert_eq!(
        (bye.reason_cause("SIP"), bye.reason_cause("q.850"), bye.reason_cause("X")),
        (Some(580), Some(16), None)
    );
}
