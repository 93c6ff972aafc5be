//! What must hold for any bytes: nothing panics, and what is written reads back. Replays the fuzz corpus.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use base::{Random, Secret, Timestamp};
use proptest::prelude::*;
use stun_proto::credential::{Credentials, TimeLimited};
use stun_proto::nonce::NonceMaker;
use stun_proto::turn::{Config, FiveTuple, Now, Output, PeerPolicy, RelayAddress, Server, Transport};
use stun_proto::{Class, Integrity, Key, Message, MessageWriter, Method, TransactionId, attribute as attr};

fn feed(bytes: &[u8]) {
    let key = Key::short_term("pw");
    if let Ok(message) = Message::parse(bytes) {
        let _ = (message.verify(&key), message.verify_fingerprint(), message.error_code());
        for (kind, value) in message.attributes() {
            let _ = (message.text(kind), message.number(kind), message.xor_address(kind), value.len());
        }
    }
    let client = SocketAddr::from(([192, 0, 2, 1], 9));
    let from = FiveTuple { transport: Transport::Udp, client, server: SocketAddr::from(([192, 0, 2, 2], 3478)) };
    let now = Now { mono: Instant::now(), wall: Timestamp::from_millis(1_700_000_000_000) };
    let mut server = allocated(from, now);
    assert_eq!(server.allocations(), 1);
    if let Some(to) = server.receive(now, from, bytes) {
        assert!(to.data.len() <= bytes.len());
        let _ = server.receive_from_peer(now.mono, to.relay, to.peer, bytes.len());
    }
    while let Some(output) = server.poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            assert!(Message::parse(&bytes).is_ok(), "answers are well-formed");
        }
    }
}

/// A server on which `from` has an allocation with a permission and a channel, as far as requests can make it.
fn allocated(from: FiveTuple, now: Now) -> Server {
    let peers = PeerPolicy::default();
    let relays = vec![RelayAddress::plain(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let mut random = Random::from_seed(1);
    let nonces = NonceMaker::new(&mut random);
    let (secret, realm) = (Secret::new("s"), Config::default().realm);
    let nonce = nonces.make(now.wall, &realm, from.client);
    let credentials = Credentials::from_secrets([secret.clone()]);
    let mut server = Server::new(Config { relays, peers, ..Config::default() }, credentials, nonces, random);
    let user = TimeLimited::issue(&secret, "fuzz", now.wall, Duration::from_secs(3600));
    let key = Key::long_term(&user.username, &realm, user.password.expose());
    let peer = SocketAddr::from(([8, 8, 4, 4], 5000));
    let request = |method, n| MessageWriter::new(Class::Request, method, TransactionId([n; 12]));
    let allocate = request(Method::Allocate, 1).attribute(attr::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
    let bind = request(Method::ChannelBind, 2).xor_address(attr::XOR_PEER_ADDRESS, peer);
    for writer in [allocate, bind.attribute(attr::CHANNEL_NUMBER, &[0x40, 0, 0, 0])] {
        let bytes = writer
            .attribute(attr::USERNAME, user.username.as_bytes())
            .attribute(attr::REALM, realm.as_bytes())
            .attribute(attr::NONCE, nonce.as_bytes())
            .sign(&key, Integrity::Sha1)
            .finish();
        let _ = server.receive(now, from, &bytes);
        while let Some(output) = server.poll_output() {
            if let Output::OpenRelay { relay, .. } = output {
                server.relay_opened(now, relay);
            }
        }
    }
    server
}

#[test]
fn every_input_of_the_fuzz_corpus_is_survived() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/stun");
    let mut inputs = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        feed(&std::fs::read(entry.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs >= 10, "the corpus is committed");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes);
    }

    /// Header and lengths right, the rest anything: gets past the first checks.
    #[test]
    fn any_attributes_are_survived(
        kind in 0u16..0x4000,
        attributes in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let mut writer = MessageWriter::new(Class::Request, Method::Binding, TransactionId([7; 12]));
        for (kind, value) in &attributes {
            writer = writer.attribute(*kind, value);
        }
        let mut bytes = writer.finish();
        bytes[..2].copy_from_slice(&kind.to_be_bytes());
        feed(&bytes);
    }

    #[test]
    fn what_is_written_reads_back(
        method in 0u16..0x100,
        transaction in any::<[u8; 12]>(),
        attributes in prop::collection::vec((0x8030u16..0xffff, prop::collection::vec(any::<u8>(), 0..80)), 0..10),
        ip in any::<IpAddr>(),
        port in any::<u16>(),
        sha256 in any::<bool>(),
    ) {
        let (key, id) = (Key::long_term("u", "r", "p"), TransactionId(transaction));
        let mut writer = MessageWriter::new(Class::Indication, Method::Other(method), id);
        for (kind, value) in &attributes {
            writer = writer.attribute(*kind, value);
        }
        let address = SocketAddr::new(ip, port);
        let integrity = if sha256 { Integrity::Sha256 } else { Integrity::Sha1 };
        let bytes = writer.xor_address(attr::XOR_PEER_ADDRESS, address).sign(&key, integrity).fingerprint().finish();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.transaction(), id);
        prop_assert_eq!(message.class(), Class::Indication);
        prop_assert_eq!(message.xor_address(attr::XOR_PEER_ADDRESS), Some(address));
        let read: Vec<(u16, Vec<u8>)> =
            message.attributes().filter(|(k, _)| *k >= 0x8030).map(|(k, v)| (k, v.to_vec())).collect();
        prop_assert_eq!(read, attributes);
        prop_assert!(message.verify(&key).is_ok() && message.verify_fingerprint().is_ok());
    }
}
