//! Feeds arbitrary bytes to the STUN parser and, behind it, to a TURN server on which the sender has an allocation.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use base::{Random, Secret, Timestamp};
use libfuzzer_sys::fuzz_target;
use stun_proto::credential::{Credentials, TimeLimited};
use stun_proto::nonce::NonceMaker;
use stun_proto::turn::{Config, FiveTuple, Now, Output, PeerPolicy, RelayAddress, Server, Transport};
use stun_proto::{Class, Integrity, Key, Message, MessageWriter, Method, TransactionId, attribute as attr};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::parse(bytes) {
        let _ = (message.verify(&Key::short_term("pw")), message.verify_fingerprint(), message.error_code());
        for (kind, _) in message.attributes() {
            let _ = (message.text(kind), message.number(kind), message.xor_address(kind));
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
});

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
