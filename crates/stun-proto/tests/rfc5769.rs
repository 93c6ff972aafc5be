//! The messages of RFC 5769 and of RFC 8489 appendix B, read, verified and written again byte for byte.
#![allow(clippy::unwrap_used)]

use stun_proto::attribute as attr;
use stun_proto::integrity::userhash;
use stun_proto::{Class, Integrity, Key, Message, MessageWriter, Method, TransactionId};

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const MATRIX: &str = "マトリックス";
const SHORT_TERM_ID: &str = "b7e7a701 bc34d686 fa87dfae";
const LONG_TERM_ID: &str = "78ad3433 c6ad72c0 29da412e";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn id(text: &str) -> TransactionId {
    TransactionId(hex(text).try_into().unwrap())
}

const REQUEST: &str = "00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff 80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf";

#[test]
fn rfc5769_2_1_sample_request() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::Binding));
    assert_eq!(message.transaction(), id(SHORT_TERM_ID));
    assert_eq!(message.text(attr::USERNAME), Some("evtj:h6vY"));
    assert_eq!(message.text(attr::SOFTWARE), Some("STUN test client"));
    assert_eq!(message.verify_fingerprint(), Ok(()));
    assert_eq!(message.verify(&Key::short_term(PASSWORD)), Ok(()));
    assert!(message.verify(&Key::short_term("VOkJxbRl1RmTxUk/WvJxBu")).is_err());
}

#[test]
fn rfc5769_2_1_a_changed_byte_breaks_integrity_and_fingerprint() {
    let good = hex(REQUEST);
    for place in 24..good.len() - 8 {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        let Ok(message) = Message::parse(&bytes) else { continue };
        assert!(message.verify_fingerprint().is_err(), "byte {place}");
        assert!(message.verify(&Key::short_term(PASSWORD)).is_err(), "byte {place}");
    }
}

#[test]
fn rfc5769_2_2_sample_ipv4_response() {
    let bytes = hex("0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
        00200008 0001a147 e112a643 00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::Binding));
    assert_eq!(message.xor_address(attr::XOR_MAPPED_ADDRESS), Some("192.0.2.1:32853".parse().unwrap()));
    assert_eq!(message.verify_fingerprint(), Ok(()));
    assert_eq!(message.verify(&Key::short_term(PASSWORD)), Ok(()));
}

#[test]
fn rfc5769_2_3_sample_ipv6_response() {
    let bytes = hex("01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220
        00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
        00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c");
    let message = Message::parse(&bytes).unwrap();
    let mapped = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
    assert_eq!(message.xor_address(attr::XOR_MAPPED_ADDRESS), Some(mapped));
    assert_eq!(message.verify_fingerprint(), Ok(()));
    assert_eq!(message.verify(&Key::short_term(PASSWORD)), Ok(()));
    let written = MessageWriter::new(Class::Success, Method::Binding, id(SHORT_TERM_ID))
        .attribute(attr::SOFTWARE, b"test vector")
        .xor_address(attr::XOR_MAPPED_ADDRESS, mapped);
    // The RFC pads SOFTWARE with a blank where we write zero, so that only the address can be compared.
    assert_eq!(written.finish()[36..60], bytes[36..60]);
}

#[test]
fn rfc5769_2_4_sample_request_with_long_term_authentication() {
    let bytes = hex("00010060 2112a442 78ad3433 c6ad72c0 29da412e
        00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
        0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
        0014000b 6578616d 706c652e 6f726700 00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666");
    let key = Key::long_term(MATRIX, "example.org", "TheMatrIX");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.text(attr::USERNAME), Some(MATRIX));
    assert_eq!(message.verify(&key), Ok(()));
    assert_eq!(message.integrity(), Some(Integrity::Sha1));
    let written = MessageWriter::new(Class::Request, Method::Binding, id(LONG_TERM_ID))
        .attribute(attr::USERNAME, MATRIX.as_bytes())
        .attribute(attr::NONCE, b"f//499k954d6OL34oL9FSTvy64sA")
        .attribute(attr::REALM, b"example.org")
        .sign(&key, Integrity::Sha1);
    assert_eq!(written.finish(), bytes);
}

/// The integrity is that of the verified erratum: the value printed in the RFC is wrong.
#[test]
fn rfc8489_b_1_sample_request_with_sha256_and_userhash() {
    let key = Key::long_term_sha256(MATRIX, "example.org", "TheMatrIX");
    let hash = userhash(MATRIX, "example.org");
    assert_eq!(hash.to_vec(), hex("4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704"));
    let written = MessageWriter::new(Class::Request, Method::Binding, id(LONG_TERM_ID))
        .attribute(attr::USERHASH, &hash)
        .attribute(attr::NONCE, b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
        .attribute(attr::REALM, b"example.org")
        .attribute(attr::PASSWORD_ALGORITHM, &[0, 2, 0, 0])
        .sign(&key, Integrity::Sha256)
        .finish();
    let message = Message::parse(&written).unwrap();
    assert_eq!(message.integrity(), Some(Integrity::Sha256));
    assert_eq!(message.verify(&key), Ok(()));
    let mac = hex("b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65");
    assert_eq!(written[written.len() - 32..], mac);
}

#[test]
fn rfc8489_14_5_attributes_behind_the_integrity_are_not_seen() {
    let key = Key::short_term("pw");
    let bytes = MessageWriter::new(Class::Request, Method::Binding, id(SHORT_TERM_ID))
        .attribute(attr::USERNAME, b"alice")
        .sign(&key, Integrity::Sha1)
        .attribute(attr::REALM, b"smuggled")
        .fingerprint()
        .finish();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.text(attr::USERNAME), Some("alice"));
    assert_eq!(message.attribute(attr::REALM), None);
    assert_eq!(message.verify(&key), Ok(()), "the integrity itself still holds");
    assert_eq!(message.verify_fingerprint(), Ok(()));
}
