//! URIs against the examples of RFC 3261 §19.1.

use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn rfc3261_19_1_3_examples_fall_into_their_parts() {
    let full = uri("sips:alice:secretword@atlanta.com:5071;transport=tcp;lr?subject=project%20x&priority=urgent");
    assert_eq!(full.scheme(), Scheme::Sips);
    assert_eq!((full.user(), full.password(), full.host()), (Some("alice"), Some("secretword"), "atlanta.com"));
    assert_eq!((full.port(), full.transport(), full.is_loose_router()), (Some(5071), Some("tcp"), true));
    assert_eq!(full.header("Subject").as_deref(), Some("project x"));
    let v6 = uri("sip:alice;day=tuesday@[2001:db8::1]:5070");
    assert_eq!((v6.user(), v6.host(), v6.port()), (Some("alice;day=tuesday"), "[2001:db8::1]", Some(5070)));
    assert_eq!(v6.host_ip(), "2001:db8::1".parse().ok());
    assert_eq!(uri("sip:+1-212-555-1212:1234@gateway.com;user=phone").password(), Some("1234"));
    assert_eq!(uri("tel:+1-201-555-0123;phone-context=x").user(), Some("+1-201-555-0123"));
    assert_eq!(uri("http://example.com/a").scheme(), Scheme::Other);
    assert_eq!(uri("sip:%61lice@example.com").user_unescaped().as_deref(), Some("alice"));
}

#[test]
fn what_is_no_uri_is_refused() {
    let bad = [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:user@",
        "sip:a b@c",
        "sip:a@b:port",
        "sip:a@b:65536",
        "<sip:a@b>",
        "sip:[::1",
        "sip:[nonsense]",
        "sip:a@b c",
        "1sip:a@b",
        "tel:",
        "tel:alice",
        "sip:a@b/path",
        "sip:u@h\r\nEvil: 1",
    ];
    for text in bad {
        assert!(Uri::parse(text).is_err(), "{text}");
    }
}

#[test]
fn rfc3261_19_1_4_equivalent_uris() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ] {
        assert!(uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn rfc3261_19_1_4_different_uris() {
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:b", "sip:a@b"),
    ] {
        assert!(!uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)), "{a} {b}");
    }
}

#[test]
fn parameters_can_be_set_and_taken_away() {
    let contact = uri("sip:a@b;ob;x=1?h=v");
    assert_eq!(
        contact.with_param("transport", Some("tls")).map(|u| u.to_string()).as_deref(),
        Ok("sip:a@b;ob;x=1;transport=tls?h=v")
    );
    assert_eq!(contact.with_param("X", None).map(|u| u.to_string()).as_deref(), Ok("sip:a@b;ob;X?h=v"));
    assert_eq!(contact.without_headers().map(|u| u.to_string()).as_deref(), Ok("sip:a@b;ob;x=1"));
    assert_eq!(
        Uri::sip(Some("a b@"), "2001:db8::1", Some(5060)).map(|u| u.to_string()).as_deref(),
        Ok("sip:a%20b%40@[2001:db8::1]:5060")
    );
}

#[test]
fn a_uri_passes_through_its_serial_form() {
    let contact = uri("sip:a@b;ob;x=1?h=v");
    let text = serde_json::to_string(&contact).expect("a URI serialises");
    assert_eq!(serde_json::from_str::<Uri>(&text).expect("and back"), contact);
}
