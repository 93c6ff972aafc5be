//! Feeds arbitrary bytes to the STUN parser and, behind it, to a TURN server that has one allocation's worth of state.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use base::{Random, Secret, Timestamp};
use libfuzzer_sys::fuzz_target;
use stun_proto::credential::Credentials;
use stun_proto::nonce::NonceMaker;
use stun_proto::turn::{Config, FiveTuple, Now, Output, RelayAddress, Server, Transport};
use stun_proto::{Key, Message};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::parse(bytes) {
        let _ = (message.verify(&Key::short_term("pw")), message.verify_fingerprint(), message.error_code());
        for (kind, _) in message.attributes() {
            let _ = (message.text(kind), message.number(kind), message.xor_address(kind));
        }
    }
    let config = Config { relays: vec![RelayAddress::plain(IpAddr::V4(Ipv4Addr::LOCALHOST))], ..Config::default() };
    let mut random = Random::from_seed(1);
    let nonces = NonceMaker::new(&mut random);
    let mut server = Server::new(config, Credentials::from_secrets([Secret::new("s")]), nonces, random);
    let client = SocketAddr::from(([192, 0, 2, 1], 9));
    let from = FiveTuple { transport: Transport::Udp, client, server: SocketAddr::from(([192, 0, 2, 2], 3478)) };
    let now = Now { mono: Instant::now(), wall: Timestamp::from_millis(1_700_000_000_000) };
    let _ = server.receive(now, from, bytes);
    while let Some(output) = server.poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            assert!(Message::parse(&bytes).is_ok(), "answers are well-formed");
        }
    }
});
