//! The TURN server against RFC 8656, by section, with the clock in our hand and sockets that are only named.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use base::{Random, Secret, Timestamp};
use stun_proto::credential::{Credentials, TimeLimited};
use stun_proto::nonce::NonceMaker;
use stun_proto::turn::{
    Config, FiveTuple, Now, Output, PeerPolicy, RelayAddress, RelayId, Server, ToPeer, Transport, Usage,
};
use stun_proto::{Class, Integrity, Key, Message, MessageWriter, Method, TransactionId, attribute as attr};

const REALM: &str = "tandem";
const UDP: [u8; 4] = [17, 0, 0, 0];

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client of the server under test, and the driver of its sockets.
struct Bench {
    server: Server,
    now: Now,
    client: SocketAddr,
    user: TimeLimited,
    nonce: String,
    sequence: u8,
    /// Ports that the driver cannot bind.
    busy: Vec<u16>,
    open: Vec<(RelayId, SocketAddr)>,
    closed: Vec<RelayId>,
    ended: Vec<Usage>,
    refuse_all: bool,
}

/// A response, kept.
#[derive(Debug)]
struct Reply(Vec<u8>);

impl Reply {
    fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }
    fn code(&self) -> u16 {
        match self.message().class() {
            Class::Success => 200,
            _ => self.message().error_code().unwrap().0,
        }
    }
    fn relayed(&self) -> SocketAddr {
        self.message().xor_address(attr::XOR_RELAYED_ADDRESS).unwrap()
    }
    fn lifetime(&self) -> u32 {
        self.message().number(attr::LIFETIME).unwrap()
    }
}

fn config() -> Config {
    Config {
        realm: REALM.into(),
        relays: vec![RelayAddress { bind: "10.0.0.5".parse().unwrap(), advertised: "8.0.0.5".parse().unwrap() }],
        relay_ports: 50_000..=50_099,
        allocations_per_user_max: 3,
        ..Config::default()
    }
}

impl Bench {
    fn new(config: Config) -> Self {
        let mut random = Random::from_seed(5);
        let nonces = NonceMaker::new(&mut random);
        let credentials = Credentials::from_secrets([Secret::new("s3cret")]);
        let now = Now { mono: Instant::now(), wall: Timestamp::from_millis(1_700_000_000_000) };
        let user = TimeLimited::issue(&Secret::new("s3cret"), "alice", now.wall, Duration::from_secs(86_400));
        let server = Server::new(config, credentials, nonces, random);
        Self {
            server,
            now,
            client: addr("198.51.100.7:4000"),
            user,
            nonce: String::new(),
            sequence: 0,
            busy: vec![],
            open: vec![],
            closed: vec![],
            ended: vec![],
            refuse_all: false,
        }
    }

    /// A bench whose client has an allocation.
    fn allocated() -> (Self, RelayId) {
        let mut bench = Self::new(config());
        assert_eq!(bench.allocate(&[]).code(), 200);
        let relay = bench.open[0].0;
        (bench, relay)
    }

    fn from(&self) -> FiveTuple {
        FiveTuple { transport: Transport::Udp, client: self.client, server: addr("10.0.0.5:3478") }
    }

    fn pass(&mut self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.now = Now { mono: self.now.mono + by, wall: self.now.wall.after(by) };
        self.server.handle_timeout(self.now);
        assert!(self.drain().is_empty());
    }

    /// Does what the server asks for; returns what it sends.
    fn drain(&mut self) -> Vec<Reply> {
        let mut replies = vec![];
        loop {
            // The server may be taken up elsewhere between any two of its outputs.
            self.server = self.server.snapshot(Random::from_seed(u64::from(self.sequence)));
            let Some(output) = self.server.poll_output() else { break };
            match output {
                Output::Transmit { to, bytes } => {
                    assert_eq!(to.client, self.client);
                    replies.push(Reply(bytes));
                }
                Output::OpenRelay { relay, bind } if self.refuse_all || self.busy.contains(&bind.port()) => {
                    assert_eq!(bind.ip(), self.server_ip());
                    self.server.relay_refused(self.now, relay);
                }
                Output::OpenRelay { relay, bind } => {
                    self.open.push((relay, bind));
                    self.server.relay_opened(self.now, relay);
                }
                Output::CloseRelay { relay } => {
                    self.open.retain(|(open, _)| *open != relay);
                    self.closed.push(relay);
                }
                Output::Ended(usage) => self.ended.push(usage),
            }
        }
        replies
    }

    fn server_ip(&self) -> IpAddr {
        "10.0.0.5".parse().unwrap()
    }

    fn id(&mut self) -> TransactionId {
        self.sequence += 1;
        TransactionId([self.sequence; 12])
    }

    fn build(&mut self, method: Method, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut writer = MessageWriter::new(Class::Request, method, self.id());
        for (kind, value) in attributes {
            writer = writer.attribute(*kind, value);
        }
        let key = Key::long_term(&self.user.username, REALM, self.user.password.expose());
        writer
            .attribute(attr::USERNAME, self.user.username.as_bytes())
            .attribute(attr::REALM, REALM.as_bytes())
            .attribute(attr::NONCE, self.nonce.as_bytes())
            .sign(&key, Integrity::Sha1)
            .finish()
    }

    fn send(&mut self, bytes: &[u8]) -> Option<Reply> {
        let from = self.from();
        assert_eq!(self.server.receive(self.now, from, bytes), None, "a request relays nothing");
        let mut replies = self.drain();
        assert!(replies.len() <= 1);
        replies.pop()
    }

    /// A request as a client makes it: again with the fresh nonce after a challenge.
    fn request(&mut self, method: Method, attributes: &[(u16, Vec<u8>)]) -> Reply {
        for _ in 0..2 {
            let bytes = self.build(method, attributes);
            let reply = self.send(&bytes).unwrap();
            if !matches!(reply.code(), 401 | 438) {
                let key = Key::long_term(&self.user.username, REALM, self.user.password.expose());
                assert_eq!(reply.message().verify(&key), Ok(()), "answers to a known client are signed");
                return reply;
            }
            self.nonce = reply.message().text(attr::NONCE).unwrap().to_owned();
        }
        panic!("challenged twice");
    }

    fn allocate(&mut self, more: &[(u16, Vec<u8>)]) -> Reply {
        let mut attributes = vec![(attr::REQUESTED_TRANSPORT, UDP.to_vec())];
        attributes.extend_from_slice(more);
        self.request(Method::Allocate, &attributes)
    }

    /// A request with peers, whose addresses are hidden by the transaction id that the request is going to have.
    fn with_peers(&mut self, method: Method, attributes: Vec<(u16, Vec<u8>)>, peers: &[&str]) -> Reply {
        for _ in 0..2 {
            let id = TransactionId([self.sequence + 1; 12]);
            let mut attributes = attributes.clone();
            for peer in peers {
                let mut value = [0; stun_proto::address::LENGTH_MAX];
                let length = stun_proto::address::write_xor(addr(peer), id, &mut value);
                attributes.push((attr::XOR_PEER_ADDRESS, value[..length].to_vec()));
            }
            let bytes = self.build(method, &attributes);
            let reply = self.send(&bytes).unwrap();
            if !matches!(reply.code(), 401 | 438) {
                return reply;
            }
            self.nonce = reply.message().text(attr::NONCE).unwrap().to_owned();
        }
        panic!("challenged twice");
    }

    fn permit(&mut self, peers: &[&str]) -> u16 {
        self.with_peers(Method::CreatePermission, vec![], peers).code()
    }

    fn bind(&mut self, number: u16, peer: &str) -> u16 {
        let value = (u32::from(number) << 16).to_be_bytes().to_vec();
        self.with_peers(Method::ChannelBind, vec![(attr::CHANNEL_NUMBER, value)], &[peer]).code()
    }

    /// Payload sent by Send indication: to whom it goes.
    fn indicate(&mut self, peer: &str, data: &[u8]) -> Option<(RelayId, SocketAddr, Vec<u8>)> {
        let bytes = MessageWriter::new(Class::Indication, Method::Send, self.id())
            .xor_address(attr::XOR_PEER_ADDRESS, addr(peer))
            .attribute(attr::DATA, data)
            .finish();
        let from = self.from();
        let ToPeer { relay, peer, data } = self.server.receive(self.now, from, &bytes)?;
        Some((relay, peer, data.to_vec()))
    }

    /// What reaches the client when a peer sends `data`.
    fn peer_sends(&mut self, relay: RelayId, peer: &str, data: &[u8]) -> Option<Vec<u8>> {
        let to = self.server.receive_from_peer(self.now.mono, relay, addr(peer), data.len())?;
        assert_eq!(to.client, self.from());
        let mut bytes = to.prefix.as_slice().to_vec();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len() + to.padding, 0);
        Some(bytes)
    }
}

const PEER: &str = "8.8.4.4:5000";

#[test]
fn rfc8489_3_binding_tells_the_client_its_address_without_credentials() {
    let mut bench = Bench::new(config());
    let request = MessageWriter::new(Class::Request, Method::Binding, TransactionId([9; 12])).fingerprint().finish();
    let reply = bench.send(&request).unwrap();
    assert_eq!(reply.message().xor_address(attr::XOR_MAPPED_ADDRESS), Some(bench.client));
    assert!(reply.message().has_fingerprint() && reply.message().verify_fingerprint().is_ok());
}

#[test]
fn rfc8489_6_3_1_unknown_required_attributes_are_named() {
    let mut bench = Bench::new(config());
    let request =
        MessageWriter::new(Class::Request, Method::Binding, TransactionId([9; 12])).attribute(0x0003, &[0; 4]);
    let reply = bench.send(&request.finish()).unwrap();
    assert_eq!(reply.code(), 420);
    assert_eq!(reply.message().attribute(attr::UNKNOWN_ATTRIBUTES), Some(&[0, 3][..]));
}

#[test]
fn rfc8489_9_2_4_the_ways_of_not_being_known() {
    let mut bench = Bench::new(config());
    let bare = MessageWriter::new(Class::Request, Method::Allocate, TransactionId([9; 12]))
        .attribute(attr::REQUESTED_TRANSPORT, &UDP);
    let challenge = bench.send(&bare.clone().finish()).unwrap();
    assert_eq!(challenge.code(), 401);
    assert_eq!(challenge.message().text(attr::REALM), Some(REALM));
    assert_eq!(challenge.message().integrity(), None);
    let signed_without_user = bare.sign(&Key::short_term("x"), Integrity::Sha1).finish();
    assert_eq!(bench.send(&signed_without_user).unwrap().code(), 400);
    bench.nonce = "0".repeat(40);
    let stale = bench.build(Method::Allocate, &[]);
    assert_eq!(bench.send(&stale).unwrap().code(), 438);
    bench.nonce = challenge.message().text(attr::NONCE).unwrap().to_owned();
    bench.user.password = Secret::new("wrong");
    let wrong = bench.build(Method::Allocate, &[]);
    assert_eq!(bench.send(&wrong).unwrap().code(), 401);
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "alice", bench.now.wall, Duration::ZERO);
    let expired = bench.build(Method::Allocate, &[]);
    assert_eq!(bench.send(&expired).unwrap().code(), 401);
}

#[test]
fn rfc8656_7_2_an_allocation_has_a_relayed_address_and_ten_minutes() {
    let mut bench = Bench::new(config());
    let reply = bench.allocate(&[]);
    assert_eq!(reply.code(), 200);
    assert_eq!(reply.relayed().ip(), "8.0.0.5".parse::<IpAddr>().unwrap(), "the advertised address");
    assert_eq!(reply.relayed().port(), bench.open[0].1.port());
    assert_eq!(reply.message().xor_address(attr::XOR_MAPPED_ADDRESS), Some(bench.client));
    assert_eq!(reply.lifetime(), 600);
    bench.pass(599);
    assert_eq!(bench.open.len(), 1);
    bench.pass(1);
    assert!(bench.open.is_empty() && bench.server.allocations() == 0);
    assert_eq!(bench.ended[0].duration, Duration::from_secs(600));
}

#[test]
fn rfc8656_7_2_a_retransmitted_allocate_is_answered_alike_another_one_refused() {
    let (mut bench, _) = Bench::allocated();
    let mut fresh = Bench::new(config());
    let challenge = fresh.build(Method::Allocate, &[]);
    fresh.nonce = fresh.send(&challenge).unwrap().message().text(attr::NONCE).unwrap().to_owned();
    let request = fresh.build(Method::Allocate, &[(attr::REQUESTED_TRANSPORT, UDP.to_vec())]);
    let first = fresh.send(&request).unwrap();
    let second = fresh.send(&request).unwrap();
    assert_eq!(first.code(), 200);
    assert_eq!(first.0, second.0);
    assert_eq!(fresh.open.len(), 1);
    assert_eq!(fresh.allocate(&[]).code(), 437);
    assert_eq!(bench.allocate(&[]).code(), 437);
}

#[test]
fn rfc8656_7_2_what_cannot_be_granted_has_its_code() {
    type Attributes<'a> = &'a [(u16, Vec<u8>)];
    let cases: [(Attributes, u16); 9] = [
        (&[], 400),
        (&[(attr::REQUESTED_TRANSPORT, vec![6, 0, 0, 0])], 442),
        (&[(attr::REQUESTED_TRANSPORT, vec![17])], 400),
        (&[(attr::REQUESTED_TRANSPORT, UDP.to_vec()), (attr::DONT_FRAGMENT, vec![])], 420),
        (&[(attr::REQUESTED_TRANSPORT, UDP.to_vec()), (attr::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0])], 440),
        (&[(attr::REQUESTED_TRANSPORT, UDP.to_vec()), (attr::RESERVATION_TOKEN, vec![1; 8])], 508),
        (
            &[
                (attr::REQUESTED_TRANSPORT, UDP.to_vec()),
                (attr::RESERVATION_TOKEN, vec![1; 8]),
                (attr::EVEN_PORT, vec![0; 1]),
            ],
            400,
        ),
        (&[(attr::REQUESTED_TRANSPORT, UDP.to_vec()), (attr::ADDITIONAL_ADDRESS_FAMILY, vec![1, 0, 0, 0])], 400),
        (&[(attr::REQUESTED_TRANSPORT, UDP.to_vec()), (attr::LIFETIME, vec![1])], 400),
    ];
    for (attributes, code) in cases {
        let mut bench = Bench::new(config());
        assert_eq!(bench.request(Method::Allocate, attributes).code(), code, "{attributes:?}");
        assert!(bench.open.is_empty() && bench.server.allocations() == 0);
    }
}

#[test]
fn rfc8656_7_2_one_family_of_a_double_request_is_granted_and_the_other_named() {
    let mut bench = Bench::new(config());
    let reply = bench.allocate(&[(attr::ADDITIONAL_ADDRESS_FAMILY, vec![2, 0, 0, 0])]);
    assert_eq!(reply.code(), 200);
    assert_eq!(reply.message().attribute(attr::ADDRESS_ERROR_CODE).unwrap()[..4], [2, 0, 4, 40]);
}

#[test]
fn rfc8656_7_2_even_port_and_its_neighbour() {
    let mut bench = Bench::new(config());
    let reply = bench.allocate(&[(attr::EVEN_PORT, vec![0x80])]);
    let (port, token) = (reply.relayed().port(), reply.message().attribute(attr::RESERVATION_TOKEN).unwrap().to_vec());
    assert_eq!(port % 2, 0);
    assert_eq!(bench.open.iter().map(|(_, bound)| bound.port()).collect::<Vec<_>>(), [port, port + 1]);
    bench.client = addr("198.51.100.7:4001");
    bench.nonce.clear();
    let second = bench.allocate(&[(attr::RESERVATION_TOKEN, token.clone())]);
    assert_eq!((second.code(), second.relayed().port()), (200, port + 1));
    bench.client = addr("198.51.100.7:4002");
    assert_eq!(bench.allocate(&[(attr::RESERVATION_TOKEN, token)]).code(), 508, "a token is good once");
}

#[test]
fn rfc8656_7_2_a_reservation_ends_after_thirty_seconds() {
    let mut bench = Bench::new(config());
    let reply = bench.allocate(&[(attr::EVEN_PORT, vec![0x80])]);
    let token = reply.message().attribute(attr::RESERVATION_TOKEN).unwrap().to_vec();
    bench.pass(30);
    assert_eq!(bench.open.len(), 1);
    bench.client = addr("198.51.100.7:4001");
    assert_eq!(bench.allocate(&[(attr::RESERVATION_TOKEN, token)]).code(), 508);
}

#[test]
fn a_reservation_belongs_to_the_user_who_made_it() {
    let mut bench = Bench::new(config());
    let reply = bench.allocate(&[(attr::EVEN_PORT, vec![0x80])]);
    let token = reply.message().attribute(attr::RESERVATION_TOKEN).unwrap().to_vec();
    bench.client = addr("198.51.100.8:4001");
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "mallory", bench.now.wall, Duration::from_secs(60));
    assert_eq!(bench.allocate(&[(attr::RESERVATION_TOKEN, token)]).code(), 508);
}

#[test]
fn ports_that_others_hold_are_skipped_and_a_machine_without_ports_says_508() {
    let mut bench = Bench::new(Config { relay_ports: 50_000..=50_003, ..config() });
    bench.busy = vec![50_000, 50_001, 50_003];
    assert_eq!(bench.allocate(&[]).relayed().port(), 50_002);
    let mut full = Bench::new(config());
    full.refuse_all = true;
    assert_eq!(full.allocate(&[]).code(), 508);
    assert_eq!(full.server.allocations(), 0);
    full.refuse_all = false;
    for _ in 0..3 {
        assert_eq!(full.allocate(&[]).code(), 200, "the refused one does not count against the quota");
        full.client.set_port(full.client.port() + 1);
        full.nonce.clear();
    }
}

#[test]
fn an_even_pair_whose_neighbour_is_busy_moves_on() {
    let mut bench = Bench::new(Config { relay_ports: 50_000..=50_003, ..config() });
    bench.busy = vec![50_001];
    let reply = bench.allocate(&[(attr::EVEN_PORT, vec![0x80])]);
    assert_eq!(reply.relayed().port(), 50_002);
    assert_eq!(bench.open.len(), 2);
}

#[test]
fn rfc8656_7_2_quota_counts_by_user_and_frees_with_the_allocation() {
    let mut bench = Bench::new(config());
    for port in 0..3 {
        bench.client = SocketAddr::new(bench.client.ip(), 4100 + port);
        assert_eq!(bench.allocate(&[]).code(), 200);
    }
    bench.client = SocketAddr::new(bench.client.ip(), 4200);
    assert_eq!(bench.allocate(&[]).code(), 486);
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "alice", bench.now.wall, Duration::from_secs(60));
    assert_eq!(bench.allocate(&[]).code(), 486, "a fresh credential is the same user");
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "bob", bench.now.wall, Duration::from_secs(60));
    assert_eq!(bench.allocate(&[]).code(), 200);
    bench.pass(600);
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "alice", bench.now.wall, Duration::from_secs(60));
    assert_eq!(bench.allocate(&[]).code(), 200);
}

#[test]
fn a_full_server_says_508() {
    let mut bench = Bench::new(Config { allocations_max: 1, ..config() });
    assert_eq!(bench.allocate(&[]).code(), 200);
    bench.client = addr("198.51.100.9:1");
    assert_eq!(bench.allocate(&[]).code(), 508);
}

#[test]
fn rfc8656_8_refresh_prolongs_within_bounds_and_zero_ends() {
    let (mut bench, relay) = Bench::allocated();
    let lifetime = |seconds: u32| vec![(attr::LIFETIME, seconds.to_be_bytes().to_vec())];
    assert_eq!(bench.request(Method::Refresh, &lifetime(1)).lifetime(), 600);
    assert_eq!(bench.request(Method::Refresh, &lifetime(1200)).lifetime(), 1200);
    assert_eq!(bench.request(Method::Refresh, &lifetime(1_000_000)).lifetime(), 3600);
    bench.pass(3599);
    assert_eq!(bench.open.len(), 1);
    let family = [(attr::REQUESTED_ADDRESS_FAMILY, vec![2, 0, 0, 0])];
    assert_eq!(bench.request(Method::Refresh, &family).code(), 443);
    assert_eq!(bench.request(Method::Refresh, &lifetime(0)).lifetime(), 0);
    assert_eq!(bench.closed, [relay]);
    assert_eq!(bench.request(Method::Refresh, &lifetime(0)).code(), 437);
}

#[test]
fn a_credential_may_end_before_its_allocation_unless_the_server_is_strict() {
    for strict in [false, true] {
        let mut bench = Bench::new(Config { strict_expiry: strict, ..config() });
        bench.user = TimeLimited::issue(&Secret::new("s3cret"), "alice", bench.now.wall, Duration::from_secs(300));
        assert_eq!(bench.allocate(&[]).lifetime(), if strict { 300 } else { 600 });
        bench.pass(301);
        assert_eq!(bench.open.len(), usize::from(!strict));
        if !strict {
            assert_eq!(bench.request(Method::Refresh, &[]).code(), 200);
        }
    }
}

#[test]
fn rfc8656_7_2_another_user_on_the_same_five_tuple_is_refused() {
    let (mut bench, _) = Bench::allocated();
    bench.user = TimeLimited::issue(&Secret::new("s3cret"), "mallory", bench.now.wall, Duration::from_secs(60));
    assert_eq!(bench.request(Method::Refresh, &[]).code(), 441);
    assert_eq!(bench.permit(&[PEER]), 441);
    assert_eq!(bench.bind(0x4000, PEER), 441);
}

#[test]
fn rfc8656_10_a_permission_opens_both_ways_for_an_address_and_five_minutes() {
    let (mut bench, relay) = Bench::allocated();
    assert_eq!(bench.indicate(PEER, b"hello"), None);
    assert_eq!(bench.peer_sends(relay, PEER, b"hi"), None);
    assert_eq!(bench.permit(&["8.8.4.4:0"]), 200);
    assert_eq!(bench.indicate(PEER, b"hello"), Some((relay, addr(PEER), b"hello".to_vec())));
    assert_eq!(bench.indicate("8.8.4.5:5000", b"hello"), None);
    let data = bench.peer_sends(relay, "8.8.4.4:6000", b"hi").unwrap();
    let message = Message::parse(&data).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
    assert_eq!(message.xor_address(attr::XOR_PEER_ADDRESS), Some(addr("8.8.4.4:6000")));
    assert_eq!(message.attribute(attr::DATA), Some(&b"hi"[..]));
    bench.pass(299);
    assert!(bench.indicate(PEER, b"hello").is_some());
    bench.pass(1);
    assert_eq!(bench.indicate(PEER, b"hello"), None);
    assert_eq!(bench.peer_sends(relay, PEER, b"hi"), None);
}

#[test]
fn rfc8656_10_2_a_permission_request_is_granted_wholly_or_not_at_all() {
    let (mut bench, _) = Bench::allocated();
    assert_eq!(bench.permit(&[]), 400);
    assert_eq!(bench.permit(&[PEER, "10.0.0.1:1"]), 403);
    assert_eq!(bench.permit(&[PEER, "[2606:4700::1]:1"]), 443);
    assert_eq!(bench.indicate(PEER, b"x"), None);
    assert_eq!(bench.permit(&[PEER, "9.9.9.9:1"]), 200);
    assert!(bench.indicate(PEER, b"x").is_some() && bench.indicate("9.9.9.9:7", b"x").is_some());
}

#[test]
fn inner_networks_are_closed_until_a_rule_opens_them() {
    let inner = ["127.0.0.1:53", "10.1.1.1:80", "169.254.169.254:80", "192.168.0.1:22", "100.64.0.1:1", "224.0.0.1:1"];
    let (mut bench, _) = Bench::allocated();
    for peer in inner {
        assert_eq!(bench.permit(&[peer]), 403, "{peer}");
        assert_eq!(bench.bind(0x4000, peer), 403, "{peer}");
    }
    let peers = PeerPolicy::default().allow(["127.0.0.1".parse().unwrap()]);
    let mut bench = Bench::new(Config { peers, ..config() });
    assert_eq!(bench.allocate(&[]).code(), 200);
    assert_eq!(bench.permit(&["127.0.0.1:53"]), 200);
    assert_eq!(bench.permit(&["127.0.0.2:53"]), 403);
}

#[test]
fn two_clients_meet_on_the_server_but_reach_nothing_else_on_it() {
    let own: IpAddr = "8.0.0.5".parse().unwrap();
    let peers = PeerPolicy::default().endpoint(own, 50_000..=50_099);
    let mut bench = Bench::new(Config { peers, ..config() });
    assert_eq!(bench.allocate(&[]).code(), 200);
    assert_eq!(bench.permit(&["8.0.0.5:50001"]), 200);
    assert!(bench.indicate("8.0.0.5:50001", b"x").is_some());
    assert_eq!(bench.indicate("8.0.0.5:5060", b"x"), None);
    assert_eq!(bench.bind(0x4000, "8.0.0.5:5060"), 403);
}

#[test]
fn rfc8656_12_a_channel_carries_both_ways_for_ten_minutes() {
    let (mut bench, relay) = Bench::allocated();
    assert_eq!(bench.bind(0x4abc, PEER), 200);
    let from = bench.from();
    let sent = bench.server.receive(bench.now, from, &[0x4a, 0xbc, 0, 3, 1, 2, 3, 0]);
    assert_eq!(sent, Some(ToPeer { relay, peer: addr(PEER), data: &[1, 2, 3] }));
    assert_eq!(bench.peer_sends(relay, PEER, b"abc"), Some(vec![0x4a, 0xbc, 0, 3, b'a', b'b', b'c']));
    bench.pass(301);
    assert_eq!(bench.peer_sends(relay, PEER, b"abc"), None, "the permission ended");
    assert!(bench.server.receive(bench.now, from, &[0x4a, 0xbc, 0, 1, 1]).is_some(), "the channel did not");
    assert_eq!(bench.bind(0x4abc, PEER), 200);
    assert_eq!(bench.peer_sends(relay, PEER, b"abc").unwrap()[..2], [0x4a, 0xbc]);
    assert_eq!(bench.request(Method::Refresh, &[(attr::LIFETIME, 3600u32.to_be_bytes().to_vec())]).code(), 200);
    bench.pass(600);
    assert_eq!(bench.server.receive(bench.now, from, &[0x4a, 0xbc, 0, 1, 1]), None);
    let traffic = bench.server.counters();
    assert_eq!((traffic.to_peers.packets, traffic.to_peers.bytes, traffic.from_peers.packets), (2, 4, 2));
}

#[test]
fn rfc8656_12_2_number_and_peer_are_bound_to_each_other() {
    let (mut bench, _) = Bench::allocated();
    assert_eq!(bench.bind(0x3fff, PEER), 400);
    assert_eq!(bench.bind(0x8000, PEER), 400);
    assert_eq!(bench.bind(0x7fff, "8.8.4.4:5002"), 200, "RFC 5766 clients bind up to here");
    assert_eq!(bench.bind(0x4000, PEER), 200);
    assert_eq!(bench.bind(0x4000, "8.8.4.4:5001"), 400, "the number is taken");
    assert_eq!(bench.bind(0x4001, PEER), 400, "the peer is taken");
    assert_eq!(bench.bind(0x4001, "8.8.4.4:5001"), 200);
    assert_eq!(bench.bind(0x4000, PEER), 200, "a refresh");
    assert_eq!(bench.request(Method::Refresh, &[(attr::LIFETIME, 3600u32.to_be_bytes().to_vec())]).code(), 200);
    bench.pass(601);
    assert_eq!(bench.bind(0x4001, PEER), 200, "both were free again");
}

#[test]
fn permissions_and_channels_are_bounded() {
    let (mut bench, _) = Bench::allocated();
    for n in 0..=255u16 {
        bench.sequence = 0;
        let peer = format!("8.8.{}.{}:9", n / 128, n % 128 + 1);
        assert_eq!(bench.bind(0x4000 + n, &peer), 200);
    }
    bench.sequence = 0;
    assert_eq!(bench.bind(0x4fff, "9.9.9.9:9"), 508);
    assert_eq!(bench.permit(&["9.9.9.9:9"]), 508);
    assert_eq!(bench.permit(&["8.8.0.1:9"]), 200, "a refresh needs no room");
    bench.pass(300);
    assert_eq!(bench.permit(&["9.9.9.9:9"]), 200, "ended ones make room");
}

#[test]
fn datagrams_that_are_nothing_are_counted_and_dropped() {
    let (mut bench, relay) = Bench::allocated();
    let from = bench.from();
    for bytes in [&[][..], &[0x40, 0, 0, 9, 1], &[0x40], &[0xff; 40], &[0; 20], b"GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(bench.server.receive(bench.now, from, bytes), None);
    }
    assert!(bench.drain().is_empty());
    assert_eq!(bench.server.counters().malformed, 6);
    let stale = RelayId { index: relay.index, generation: relay.generation + 1 };
    assert!(bench.server.receive_from_peer(bench.now.mono, stale, addr(PEER), 1).is_none());
}
