//! The torture messages of RFC 4475, byte for byte from the archive in its appendix A, each against what the RFC says
//! an element should do with it. What only a role above can decide (415, 420, 483 …) is checked as far as the message
//! gives that role what it needs.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use base::{Random, Timestamp};
use bytes::Bytes;
use sip_proto::registrar::{Policy, RegisterRefusal, register};
use sip_proto::{
    Endpoint, EndpointConfig, Event, Flow, HeaderName, Message, Method, Output, Scheme, StreamFramer, Transport,
};

fn bytes(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475").join(format!("{name}.dat"));
    Bytes::from(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn message(name: &str) -> Message {
    Message::parse(bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Parsed and found to be in order.
fn valid(name: &str) -> Message {
    let message = message(name);
    assert_eq!(message.validate(), Ok(()), "{name}");
    message
}

fn flow() -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    Flow {
        transport: Transport::Udp,
        local: address("192.0.2.200:5060"),
        peer: address("192.0.2.201:5060"),
        connection: 0,
    }
}

/// What an endpoint does with it: the status that it sends, and whether its user hears of it.
fn received(name: &str) -> (Option<u16>, bool) {
    let mut endpoint = Endpoint::new(EndpointConfig::default(), Random::from_seed(1));
    endpoint.receive(Instant::now(), flow(), bytes(name));
    let (mut status, mut heard) = (None, false);
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit { bytes, .. } => status = Message::parse(bytes).unwrap().status(),
            Output::Event(Event::Request { .. } | Event::StrayResponse { .. }) => heard = true,
            Output::Event(other) => panic!("{other:?}"),
        }
    }
    (status, heard)
}

#[test]
fn all_messages_of_the_archive_are_here_and_none_breaks_the_endpoint() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        received(name.strip_suffix(".dat").unwrap());
        count += 1;
    }
    assert_eq!(count, 50, "49 tests and the archive's own test.dat");
}

#[test]
fn valid_requests_reach_the_user() {
    for name in [
        "wsinv",
        "intmeth",
        "esc01",
        "escnull",
        "esc02",
        "lwsdisp",
        "longreq",
        "dblreq",
        "semiuri",
        "transports",
        "mpart01",
        "badbranch",
        "unksm2",
        "bext01",
        "invut",
        "regaut01",
        "zeromf",
        "cparam01",
        "cparam02",
        "regescrt",
        "sdp01",
        "inv2543",
        "baddate",
    ] {
        valid(name);
        assert_eq!(received(name), (None, true), "{name}");
    }
}

#[test]
fn invalid_requests_are_refused_with_the_right_status() {
    for (name, status) in [
        ("badinv01", 400),
        ("clerr", 400),
        ("ncl", 400),
        ("scalar02", 400),
        ("quotbal", 400),
        ("ltgtruri", 400),
        ("lwsruri", 400),
        ("lwsstart", 400),
        ("trws", 400),
        ("escruri", 400),
        ("regbadct", 400),
        ("badaspec", 400),
        ("baddn", 400),
        ("badvers", 505),
        ("mismatch01", 400),
        ("mismatch02", 501),
        ("insuf", 400),
        ("unkscm", 416),
        ("novelsc", 416),
        ("multi01", 400),
        ("mcl01", 400),
    ] {
        assert_eq!(message(name).validate().map_err(|r| r.status), Err(status), "{name}");
        assert_eq!(received(name), (Some(status), false), "{name}");
    }
}

#[test]
fn responses_that_are_malformed_are_dropped() {
    for name in ["scalarlg", "bigcode"] {
        assert_eq!(received(name), (None, false), "{name}");
    }
    assert!(Message::parse(bytes("bigcode")).is_err());
    assert!(Message::parse(bytes("test")).is_err(), "a request line without version");
}

#[test]
fn section_3_1_1_1_a_short_tortuous_invite() {
    let invite = valid("wsinv");
    let uri = invite.request_uri().unwrap();
    assert_eq!(
        (uri.user(), uri.host(), uri.param("unknownparam")),
        (Some("vivekg"), "chair-dnrc.example.com", Some(None))
    );
    assert_eq!(invite.to().unwrap().tag(), Some("1918181833n"));
    let from = invite.from().unwrap();
    assert_eq!((from.display_name().as_ref(), from.tag()), (r#"J Rosenberg \""#, Some("98asjd8")));
    assert_eq!((invite.max_forwards(), invite.cseq()), (Some(68), Some((9, Method::Invite))));
    assert_eq!(invite.call_id(), "wsinv.ndaksdj@192.0.2.1");
    let vias: Vec<_> = invite.vias().map(Result::unwrap).collect();
    let shown: Vec<_> = vias.iter().map(|v| (v.transport(), v.host(), v.branch())).collect();
    assert_eq!(
        shown,
        [
            ("UDP", "192.0.2.2", Some("390skdjuw")),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111", Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(invite.header(HeaderName::Subject), Some(""));
    assert_eq!(
        invite
            .header_by_name("newfangledheader")
            .map(|v| v.split_whitespace().collect::<Vec<_>>().join(" "))
            .as_deref(),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(invite.header_by_name("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let route = invite.routes().next().unwrap().unwrap();
    assert!(route.uri.is_loose_router() && route.uri.param("unknown-no-value") == Some(None));
    let contact = invite.contact().unwrap();
    assert_eq!(
        (contact.display_name().as_ref(), contact.q_thousandths(), contact.param("newparam")),
        (r#"Quoted string """#, Some(330), Some(Some("newvalue")))
    );
    assert_eq!((invite.content_type().as_deref(), invite.body().len()), (Some("application/sdp"), 150));
}

#[test]
fn section_3_1_1_2_a_wide_range_of_valid_characters() {
    let request = valid("intmeth");
    assert_eq!(request.method().as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    let uri = request.request_uri().unwrap();
    assert_eq!(uri.user(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(uri.password(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    assert_eq!(request.to().unwrap().display_name(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    let from = request.from().unwrap();
    assert_eq!((from.tag(), from.uri.as_str()), (Some("_token~1'+`*%!-."), "sip:mundane@example.com"));
    assert_eq!(from.param("fromParam''~+*_!.-%"), Some(Some("\"работающий\"")));
    assert_eq!(request.call_id(), r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
    assert_eq!(request.header_by_name("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
    assert_eq!(request.via().unwrap().branch(), Some("z9hG4bK-.!%66*_+`'~"));
}

#[test]
fn section_3_1_1_3_and_4_escapes_are_undone_where_they_may_stand() {
    let invite = valid("esc01");
    let uri = invite.request_uri().unwrap();
    assert_eq!((uri.user_unescaped().as_deref(), uri.host()), (Some("sips:user@example.com"), "example.net"));
    assert_eq!(invite.to().unwrap().uri.user_unescaped().as_deref(), Some("user"));
    assert_eq!(invite.from().unwrap().uri.user_unescaped().as_deref(), Some("I have spaces"));
    assert_eq!(invite.contact().unwrap().uri.user_unescaped().as_deref(), Some("caller"));
    let register_null = valid("escnull");
    let contacts =
        register(&register_null, &flow(), &[], &Policy::default(), Timestamp::from_millis(0)).unwrap().bindings;
    assert_eq!(contacts.len(), 2, "an escaped NUL ends nothing: the two contacts differ");
    assert_eq!(contacts[1].contact.user_unescaped().as_deref(), Some("\0\0"));
}

#[test]
fn section_3_1_1_5_a_percent_sign_in_a_token_is_no_escape() {
    let request = valid("esc02");
    assert_eq!((request.method().as_str(), request.method() == Method::Register), ("RE%47IST%45R", false));
    assert_eq!(request.to().unwrap().display_name(), "%Z%45");
    assert_eq!(request.contacts().count(), 2, "C%6Fntact is not Contact");
}

#[test]
fn section_3_1_1_6_to_9_messages_are_read_to_their_end() {
    assert_eq!(valid("lwsdisp").from().unwrap().display_name(), "caller");
    let long = valid("longreq");
    assert_eq!((long.vias().filter(Result::is_ok).count(), long.body().len()), (34, 150));
    let first = valid("dblreq");
    assert_eq!(
        (first.method(), first.body().len()),
        (Method::Register, 0),
        "the octets behind Content-Length are ignored in a datagram"
    );
    let semi = valid("semiuri").request_uri().unwrap();
    assert_eq!((semi.user_unescaped().as_deref(), semi.params()), (Some("user;par=u@example.net"), ""));
}

#[test]
fn section_3_1_1_8_two_requests_in_one_stream_are_two_messages() {
    let mut framer = StreamFramer::default();
    framer.push(&bytes("dblreq"));
    let mut methods = vec![];
    while let Ok(Some(frame)) = framer.next_frame() {
        if let sip_proto::Frame::Message(bytes) = frame {
            methods.push(Message::parse(bytes).unwrap().method());
        }
    }
    assert_eq!(methods, [Method::Register, Method::Invite]);
}

#[test]
fn section_3_1_1_10_to_13_transports_bodies_and_reasons() {
    let transports: Vec<_> = valid("transports").vias().map(|v| v.unwrap().transport().to_owned()).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
    let multipart = valid("mpart01");
    assert_eq!(multipart.content_type().as_deref(), Some("multipart/mixed"));
    assert_eq!(multipart.body().len(), multipart.header(HeaderName::ContentLength).unwrap().parse().unwrap());
    let unusual = valid("unreason");
    assert_eq!((unusual.status(), unusual.reason()), (Some(200), "= 2**3 * 5**2 но сто девяносто девять - простое"));
    let silent = valid("noreason");
    assert_eq!((silent.status(), silent.reason()), (Some(100), ""));
}

#[test]
fn section_3_1_2_3_and_4_bad_lengths_end_a_stream() {
    for name in ["ncl", "mcl01"] {
        let mut framer = StreamFramer::default();
        framer.push(&bytes(name));
        assert!(framer.next_frame().is_err(), "{name}");
    }
    let mut framer = StreamFramer::default();
    framer.push(&bytes("clerr"));
    assert_eq!(framer.next_frame(), Ok(None), "waits for the rest");
}

#[test]
fn section_3_2_1_a_cookie_without_identifier_counts_as_rfc_2543() {
    let via = valid("badbranch").via().unwrap();
    assert_eq!((via.branch(), via.unique_branch()), (Some("z9hG4bK"), None));
}

#[test]
fn section_3_3_roles_find_what_they_need_to_refuse() {
    let bext = valid("bext01");
    assert_eq!(
        bext.unsupported_options(HeaderName::Require, &["path"]),
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    assert_eq!(
        bext.unsupported_options(HeaderName::ProxyRequire, &[]),
        ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    );
    assert_eq!(valid("invut").content_type().as_deref(), Some("application/unknownformat"));
    assert_eq!(valid("zeromf").max_forwards(), Some(0));
    assert_eq!(valid("sdp01").header(HeaderName::Accept), Some("text/nobodyKnowsThis"));
    let authorization = valid("regaut01").header(HeaderName::Authorization).unwrap().to_owned();
    assert_eq!(sip_proto::auth::Credentials::parse(&authorization), None, "not Digest: challenge");
    let unknown = valid("unksm2");
    assert_eq!(unknown.to().unwrap().uri.scheme(), Scheme::Other);
    let refused = register(&unknown, &flow(), &[], &Policy::default(), Timestamp::from_millis(0));
    assert_eq!(refused, Err(RegisterRefusal::BadContact));
}

#[test]
fn section_3_3_10_a_response_with_a_foreign_second_via_finds_no_transaction() {
    let response = valid("bcast");
    assert_eq!(response.vias().count(), 2, "more than our own: RFC 3261 §8.1.3.3 drops it");
    assert_eq!(response.vias().nth(1).unwrap().unwrap().host(), "255.255.255.255");
}

#[test]
fn section_3_3_12_to_14_parameters_of_contact_and_of_its_uri_stay_apart() {
    let registered = |name: &str| {
        let registration = register(&valid(name), &flow(), &[], &Policy::default(), Timestamp::from_millis(0)).unwrap();
        registration.contacts().next().unwrap()
    };
    assert_eq!(registered("cparam01"), "<sip:+19725552222@gw1.example.net>;unknownparam;expires=3600");
    assert_eq!(registered("cparam02"), "<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600");
    assert_eq!(registered("regescrt"), "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600");
}

#[test]
fn section_3_4_1_an_invite_of_rfc_2543_is_answered() {
    let invite = valid("inv2543");
    assert_eq!(
        (invite.from().unwrap().tag(), invite.via().unwrap().branch(), invite.max_forwards()),
        (None, None, None)
    );
    assert_eq!(
        invite.body().len(),
        bytes("inv2543").len() - invite.bytes().windows(4).position(|w| w == b"\r\n\r\n").unwrap() - 4
    );
}
