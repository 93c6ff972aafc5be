//! Two endpoints joined by hand on a virtual clock: what RFC 3261 §8, §9, §13, §17 and §18 ask of them together.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::flow::Transport;
use crate::message::{HeaderName, Message, RequestBuilder, ResponseBuilder};
use crate::method::Method;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// From the caller to the callee.
fn there(transport: Transport) -> Flow {
    Flow {
        transport,
        local: address("192.0.2.1:5060"),
        peer: address("192.0.2.2:5060"),
        connection: u64::from(transport.is_reliable()),
    }
}

/// The same seen from the callee.
fn back(flow: Flow) -> Flow {
    Flow { local: flow.peer, peer: flow.local, ..flow }
}

fn endpoint(seed: u64) -> Endpoint {
    let config = EndpointConfig { product: "Tandem".into(), prefix: format!("s{seed}-"), ..EndpointConfig::default() };
    Endpoint::new(config, Random::from_seed(seed))
}

fn draft(method: Method) -> RequestBuilder {
    RequestBuilder::new(method, "sip:bob@192.0.2.2")
        .header(HeaderName::From, "<sip:alice@example.com>;tag=a1")
        .header(HeaderName::To, "<sip:bob@example.com>")
        .header(HeaderName::CallId, "call-1")
        .header(HeaderName::Contact, "<sip:alice@192.0.2.1>")
        .cseq(1)
}

/// Two endpoints and what they said.
struct Pair {
    now: Instant,
    alice: Endpoint,
    bob: Endpoint,
    flow: Flow,
}

impl Pair {
    fn new(transport: Transport) -> Self {
        Self { now: Instant::now(), alice: endpoint(1), bob: endpoint(2), flow: there(transport) }
    }

    /// Carries messages both ways until nobody has more to say; returns the events of Alice and of Bob.
    fn settle(&mut self) -> (Vec<Event>, Vec<Event>) {
        let (mut alice, mut bob) = (vec![], vec![]);
        loop {
            let sent = drain(&mut self.alice, &mut alice);
            let answered = drain(&mut self.bob, &mut bob);
            if sent.is_empty() && answered.is_empty() {
                return (alice, bob);
            }
            for bytes in sent {
                self.bob.receive(self.now, back(self.flow), bytes);
            }
            for bytes in answered {
                self.alice.receive(self.now, self.flow, bytes);
            }
        }
    }

    /// Moves the clock; both work off what is due.
    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) =
            [self.alice.poll_timeout(), self.bob.poll_timeout()].into_iter().flatten().min().filter(|at| *at <= end)
        {
            self.now = at;
            self.alice.handle_timeout(at);
            self.bob.handle_timeout(at);
        }
        self.now = end;
    }
}

fn drain(endpoint: &mut Endpoint, events: &mut Vec<Event>) -> Vec<Bytes> {
    let mut sent = vec![];
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit { bytes, .. } => sent.push(bytes),
            Output::Event(event) => events.push(event),
        }
    }
    sent
}

fn sent(endpoint: &mut Endpoint) -> Vec<Message> {
    drain(endpoint, &mut vec![]).into_iter().map(|bytes| Message::parse(bytes).expect("ours")).collect()
}

fn only_request(events: &[Event]) -> (ServerTx, Message) {
    match events {
        [Event::Request { tx, request, .. }] => (*tx, request.clone()),
        other => panic!("one request expected: {other:?}"),
    }
}

fn statuses(events: &[Event]) -> Vec<u16> {
    let status = |event: &Event| match event {
        Event::Response { response, .. } | Event::StrayResponse { response, .. } => response.status(),
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

#[test]
fn a_call_is_set_up_and_ended_over_every_transport() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss, Transport::Memory]
    {
        let mut pair = Pair::new(transport);
        let flow = pair.flow;
        let tx = pair.alice.request(pair.now, draft(Method::Invite), flow);
        let (_, heard) = pair.settle();
        let (invite_tx, invite) = only_request(&heard);
        assert_eq!(invite.via().map(|v| v.transport().to_owned()).as_deref(), Some(transport.via_name()));
        assert_eq!((invite.max_forwards(), invite.header(HeaderName::UserAgent)), (Some(70), Some("Tandem")));
        pair.bob.respond(pair.now, invite_tx, ResponseBuilder::to(&invite, 180, ""));
        pair.bob.respond(
            pair.now,
            invite_tx,
            ResponseBuilder::to(&invite, 200, "").header(HeaderName::Contact, "<sip:bob@192.0.2.2>"),
        );
        let (heard, _) = pair.settle();
        assert_eq!(statuses(&heard), [180, 200]);
        let Some(Event::Response { tx: of, response, .. }) = heard.last() else { panic!("a response") };
        assert_eq!(*of, tx);
        assert_eq!(response.to().and_then(|to| to.tag().map(str::to_owned)), pair.bob.local_tag(invite_tx));
        let dialog = crate::Dialog::uac(&Message::parse(draft(Method::Invite).build()).expect("ours"), response)
            .expect("complete");
        pair.alice.ack(pair.now, dialog.ack(1), flow);
        let (_, heard) = pair.settle();
        assert!(matches!(&heard[..], [Event::Ack { tx: Some(of), .. }] if *of == invite_tx), "{transport:?} {heard:?}");
        pair.wait(Duration::from_secs(100));
        let (a, b) = pair.settle();
        assert!(a.is_empty() && b.is_empty());
        assert_eq!((pair.alice.stats().transactions, pair.bob.stats().transactions), (0, 0));
        assert_eq!((pair.alice.poll_timeout(), pair.bob.poll_timeout()), (None, None));
    }
}

#[test]
fn rfc3261_17_2_1_100_is_sent_for_a_slow_user_and_the_retransmission_is_answered_from_memory() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Invite), flow);
    pair.settle();
    pair.wait(Duration::from_millis(200));
    assert_eq!(statuses(&pair.settle().0), [100]);
    let invite = {
        pair.alice.request(pair.now, draft(Method::Invite).set(HeaderName::CallId, "call-2"), flow);
        drain(&mut pair.alice, &mut vec![]).remove(0)
    };
    pair.bob.receive(pair.now, back(flow), invite.clone());
    let mut events = vec![];
    drain(&mut pair.bob, &mut events);
    let (tx, request) = only_request(&events);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&request, 183, ""));
    let first = drain(&mut pair.bob, &mut vec![]);
    pair.bob.receive(pair.now, back(flow), invite);
    assert_eq!(drain(&mut pair.bob, &mut vec![]), first, "the same bytes");
    let mut at_once = Endpoint::new(
        EndpointConfig { trying_after: Duration::ZERO, ..EndpointConfig::default() },
        Random::from_seed(9),
    );
    at_once.receive(pair.now, back(flow), request.bytes().clone());
    assert!(matches!(at_once.poll_output(), Some(Output::Transmit { .. })), "100 at once by configuration");
}

#[test]
fn rfc3261_17_1_1_3_a_refusal_is_acknowledged_by_the_transaction() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Invite).route("<sip:p;lr>"), flow);
    let (_, heard) = pair.settle();
    let (tx, invite) = only_request(&heard);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&invite, 486, ""));
    let busy = drain(&mut pair.bob, &mut vec![]).remove(0);
    let mut events = vec![];
    pair.alice.receive(pair.now, flow, busy.clone());
    let ack = Message::parse(drain(&mut pair.alice, &mut events).remove(0)).expect("ours");
    assert_eq!(statuses(&events), [486]);
    assert_eq!(
        (ack.method(), ack.cseq(), ack.request_uri_text()),
        (Method::Ack, Some((1, Method::Ack)), "sip:bob@192.0.2.2")
    );
    assert_eq!(
        (ack.vias().count(), ack.via().map(|v| v.branch().map(str::to_owned))),
        (1, invite.via().map(|v| v.branch().map(str::to_owned)))
    );
    assert_eq!(ack.header(HeaderName::Route), Some("<sip:p;lr>"));
    assert!(ack.to().is_some_and(|to| to.tag().is_some()), "To of the response");
    pair.alice.receive(pair.now, flow, busy);
    let mut events = vec![];
    assert_eq!(drain(&mut pair.alice, &mut events).len(), 1, "acknowledged again");
    assert!(events.is_empty(), "but not told again");
    pair.bob.receive(pair.now, back(flow), ack.bytes().clone());
    pair.wait(Duration::from_secs(60));
    let (_, heard) = pair.settle();
    assert!(heard.is_empty(), "an ACK of a refusal is no event");
}

#[test]
fn rfc3261_13_2_2_4_a_2xx_that_comes_again_is_acknowledged_from_memory_and_each_fork_is_told_once() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    let tx = pair.alice.request(pair.now, draft(Method::Invite), flow);
    let (_, heard) = pair.settle();
    let (_, invite) = only_request(&heard);
    let ok = |tag: &str| ResponseBuilder::to(&invite, 200, "").to_tag(tag).build();
    pair.alice.receive(pair.now, flow, ok("b1"));
    pair.alice.receive(pair.now, flow, ok("b1"));
    let mut events = vec![];
    assert!(drain(&mut pair.alice, &mut events).is_empty(), "no ACK before the user made one");
    assert_eq!(statuses(&events), [200]);
    let ack = RequestBuilder::new(Method::Ack, "sip:bob@x")
        .header(HeaderName::From, "<sip:alice@example.com>;tag=a1")
        .header(HeaderName::To, "<sip:bob@example.com>;tag=b1")
        .header(HeaderName::CallId, "call-1")
        .cseq(1);
    pair.alice.ack(pair.now, ack, flow);
    let first = drain(&mut pair.alice, &mut vec![]);
    pair.alice.receive(pair.now, flow, ok("b1"));
    assert_eq!(drain(&mut pair.alice, &mut vec![]), first);
    let mut events = vec![];
    pair.alice.receive(pair.now, flow, ok("b2"));
    drain(&mut pair.alice, &mut events);
    assert!(matches!(&events[..], [Event::Response { tx: of, .. }] if *of == tx), "another branch of the fork");
    pair.wait(Duration::from_secs(33));
    pair.alice.receive(pair.now, flow, ok("b1"));
    let mut events = vec![];
    drain(&mut pair.alice, &mut events);
    assert!(matches!(&events[..], [Event::StrayResponse { .. }]), "after Timer M");
}

#[test]
fn rfc3261_13_3_1_4_a_2xx_without_ack_is_repeated_and_reported() {
    let mut pair = Pair::new(Transport::Tcp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Invite), flow);
    let (_, heard) = pair.settle();
    let (tx, invite) = only_request(&heard);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&invite, 200, ""));
    let mut events = vec![];
    pair.wait(Duration::from_secs(33));
    assert_eq!(drain(&mut pair.bob, &mut events).len(), 11);
    assert!(matches!(&events[..], [Event::AckMissing { tx: of }] if *of == tx));
}

#[test]
fn rfc3261_9_1_cancel_waits_for_a_provisional_response() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    let tx = pair.alice.request(pair.now, draft(Method::Invite), flow);
    let invite = drain(&mut pair.alice, &mut vec![]).remove(0);
    pair.alice.cancel(pair.now, tx, Some("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert!(sent(&mut pair.alice).is_empty(), "nothing before a provisional response");
    pair.bob.receive(pair.now, back(flow), invite);
    let mut events = vec![];
    drain(&mut pair.bob, &mut events);
    let (invite_tx, invite) = only_request(&events);
    pair.bob.respond(pair.now, invite_tx, ResponseBuilder::to(&invite, 180, ""));
    let (heard, told) = pair.settle();
    assert_eq!(statuses(&heard), [180], "the 200 of the CANCEL is not told");
    let [Event::Cancel { tx: of, request }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*of, request.reason_cause("SIP"), request.cseq()), (invite_tx, Some(200), Some((1, Method::Cancel))));
    assert_eq!(
        request.via().map(|v| v.branch().map(str::to_owned)),
        invite.via().map(|v| v.branch().map(str::to_owned))
    );
    pair.bob.respond(pair.now, invite_tx, ResponseBuilder::to(&invite, 487, ""));
    let (heard, _) = pair.settle();
    assert_eq!(statuses(&heard), [487]);
    pair.alice.cancel(pair.now, tx, None);
    assert!(sent(&mut pair.alice).is_empty(), "nothing to cancel any more");
}

#[test]
fn rfc3261_9_1_cancel_after_ringing_goes_out_at_once_and_only_once() {
    let mut pair = Pair::new(Transport::Tcp);
    let flow = pair.flow;
    let tx = pair.alice.request(pair.now, draft(Method::Invite), flow);
    let (_, heard) = pair.settle();
    let (invite_tx, invite) = only_request(&heard);
    pair.bob.respond(pair.now, invite_tx, ResponseBuilder::to(&invite, 180, ""));
    pair.settle();
    pair.alice.cancel(pair.now, tx, None);
    pair.alice.cancel(pair.now, tx, None);
    assert_eq!(pair.settle().1.len(), 1);
    pair.wait(Duration::from_secs(33));
    let (heard, _) = pair.settle();
    assert!(matches!(&heard[..], [Event::TimedOut { tx: of }] if *of == tx), "64·T1 without 487");
}

#[test]
fn rfc3261_9_2_cancel_of_nothing_gets_481() {
    let mut pair = Pair::new(Transport::Udp);
    let cancel = draft(Method::Cancel).build_with("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnone\r\n");
    pair.bob.receive(pair.now, back(pair.flow), cancel.clone());
    let first = sent(&mut pair.bob).remove(0);
    assert_eq!(first.status(), Some(481));
    pair.bob.receive(pair.now, back(pair.flow), cancel);
    assert_eq!(sent(&mut pair.bob).remove(0).to(), first.to(), "§8.2.7: the same tag");
}

#[test]
fn rfc3261_8_2_2_2_the_twin_of_an_open_invite_gets_482() {
    let mut pair = Pair::new(Transport::Udp);
    let invite = |branch: &str, uri: &str| {
        draft(Method::Invite)
            .with_uri(uri)
            .build_with(&format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n"))
    };
    pair.bob.receive(pair.now, back(pair.flow), invite("one", "sip:bob@x"));
    pair.bob.receive(pair.now, back(pair.flow), invite("two", "sip:bob@x"));
    let mut events = vec![];
    let answers = drain(&mut pair.bob, &mut events);
    only_request(&events);
    assert_eq!(Message::parse(answers[0].clone()).expect("ours").status(), Some(482));
    pair.bob.receive(pair.now, back(pair.flow), invite("three", "sip:carol@x"));
    assert!(
        matches!(pair.bob.poll_output(), Some(Output::Event(Event::Request { .. }))),
        "another Request-URI is another call"
    );
}

#[test]
fn rfc3581_4_the_answer_goes_to_where_the_request_came_from() {
    let mut pair = Pair::new(Transport::Udp);
    let nat = Flow { peer: address("203.0.113.7:40000"), ..back(pair.flow) };
    let options = |via: &str| {
        draft(Method::Options)
            .build_with(&format!("Via: SIP/2.0/UDP 10.0.0.5:5070;{via}branch=z9hG4bK{}\r\n", via.len()))
    };
    for (via, peer) in [("rport;", "203.0.113.7:40000"), ("", "203.0.113.7:5070")] {
        pair.bob.receive(pair.now, nat, options(via));
        let mut events = vec![];
        drain(&mut pair.bob, &mut events);
        let (tx, request) = only_request(&events);
        pair.bob.respond(pair.now, tx, ResponseBuilder::to(&request, 200, ""));
        let Some(Output::Transmit { flow, bytes }) = pair.bob.poll_output() else { panic!("an answer") };
        assert_eq!(flow.peer, address(peer));
        let via = Message::parse(bytes).expect("ours").via().expect("copied");
        assert_eq!(via.received(), Some(nat.peer.ip()));
    }
}

#[test]
fn a_full_table_sheds_requests_with_503_and_retry_after() {
    let mut pair = Pair::new(Transport::Udp);
    let config = EndpointConfig { transactions_max: 2, retry_after_s: 7, ..EndpointConfig::default() };
    let mut small = Endpoint::new(config, Random::from_seed(3));
    for n in 0..3 {
        let options = draft(Method::Options).build_with(&format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\n"));
        small.receive(pair.now, back(pair.flow), options);
    }
    let mut events = vec![];
    let answers = drain(&mut small, &mut events);
    let answer = Message::parse(answers[0].clone()).expect("ours");
    assert_eq!(
        (events.len(), answers.len(), answer.status(), answer.header(HeaderName::RetryAfter)),
        (2, 1, Some(503), Some("7"))
    );
    assert_eq!(small.stats().shed, 1);
    for _ in 0..3 {
        small.request(pair.now, draft(Method::Options), pair.flow);
    }
    let mut events = vec![];
    drain(&mut small, &mut events);
    assert!(matches!(&events[..], [Event::TransportFailed { .. }]), "twice the limit holds for our own");
    pair.now += Duration::from_secs(100);
    small.handle_timeout(pair.now);
    assert_eq!(small.stats().transactions, 0);
}

#[test]
fn in_overload_a_dialog_can_still_end() {
    let pair = Pair::new(Transport::Udp);
    let config = EndpointConfig { transactions_max: 8, ..EndpointConfig::default() };
    let mut small = Endpoint::new(config, Random::from_seed(3));
    let mut receive = |n: u32, to: &str| {
        let request = draft(Method::Bye).set(HeaderName::To, to);
        let via = format!("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\n");
        small.receive(pair.now, back(pair.flow), request.build_with(&via));
        matches!(small.poll_output(), Some(Output::Event(Event::Request { .. })))
    };
    assert!((0..8).all(|n| receive(n, "<sip:b@c>")));
    assert!(!receive(8, "<sip:b@c>") && receive(9, "<sip:b@c>;tag=1") && !receive(10, "<sip:b@c>;tag=1"));
}

#[test]
fn rfc3261_21_4_1_what_is_malformed_is_answered_when_it_can_be() {
    let mut pair = Pair::new(Transport::Udp);
    let via = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbad\r\n";
    let receive = |pair: &mut Pair, bytes: Bytes| {
        pair.bob.receive(pair.now, back(pair.flow), bytes);
        sent(&mut pair.bob).first().and_then(Message::status)
    };
    assert_eq!(
        receive(&mut pair, draft(Method::Options).set(HeaderName::CSeq, "x OPTIONS").build_with(via)),
        Some(400)
    );
    assert_eq!(receive(&mut pair, draft(Method::Options).with_uri("gopher:x").build_with(via)), Some(416));
    assert_eq!(
        receive(&mut pair, draft(Method::Ack).set(HeaderName::CSeq, "x ACK").build_with(via)),
        None,
        "never to ACK"
    );
    assert_eq!(receive(&mut pair, draft(Method::Options).build()), None, "no Via, no way back");
    assert_eq!(receive(&mut pair, Bytes::from_static(b"\r\n\r\n")), None);
    assert_eq!(receive(&mut pair, Bytes::from_static(b"\x00\x01\x02 nonsense")), None);
    assert_eq!((pair.bob.stats().malformed, pair.bob.stats().messages_received), (5, 6));
}

#[test]
fn rfc3261_17_1_4_a_broken_transport_fails_requests_and_18_4_reroutes_responses() {
    let mut pair = Pair::new(Transport::Tcp);
    let flow = pair.flow;
    let tx = pair.alice.request(pair.now, draft(Method::Options), flow);
    let (_, heard) = pair.settle();
    let (options_tx, options) = only_request(&heard);
    pair.alice.transport_failed(pair.now, flow);
    assert!(matches!(&pair.settle().0[..], [Event::TransportFailed { tx: of }] if *of == tx));
    pair.bob.transport_failed(pair.now, back(flow));
    pair.bob.respond(pair.now, options_tx, ResponseBuilder::to(&options, 200, ""));
    let Some(Output::Transmit { flow: over, .. }) = pair.bob.poll_output() else { panic!("a response") };
    assert_eq!((over.connection, over.peer), (0, address("192.0.2.1:5060")));
}

#[test]
fn a_connection_that_was_opened_for_a_request_is_its_own_from_then_on() {
    let mut pair = Pair::new(Transport::Tcp);
    let wanted = Flow { connection: 0, ..pair.flow };
    let opened = Flow { local: address("192.0.2.1:40001"), connection: 7, ..pair.flow };
    let tx = pair.alice.request(pair.now, draft(Method::Invite), wanted);
    let invite = sent(&mut pair.alice).remove(0);
    pair.alice.connection_opened(wanted, opened);
    pair.alice.receive(pair.now, opened, ResponseBuilder::to(&invite, 180, "").build());
    pair.alice.poll_output();
    pair.alice.cancel(pair.now, tx, None);
    assert!(matches!(pair.alice.poll_output(), Some(Output::Transmit { flow, .. }) if flow == opened));
    pair.alice.transport_failed(pair.now, wanted);
    assert!(pair.alice.poll_output().is_none());
    pair.alice.transport_failed(pair.now, opened);
    assert!(matches!(pair.alice.poll_output(), Some(Output::Event(Event::TransportFailed { tx: of })) if of == tx));
    assert_eq!(pair.alice.stats().transactions, 0, "the CANCEL has gone too");
}

#[test]
fn rfc3261_17_2_3_requests_of_rfc2543_are_matched_without_a_branch() {
    let mut pair = Pair::new(Transport::Udp);
    let old = |method: Method, to: &str| {
        draft(method).set(HeaderName::To, to).cseq(1).build_with("Via: SIP/2.0/UDP 192.0.2.1:5060\r\n")
    };
    let invite = old(Method::Invite, "<sip:bob@example.com>");
    pair.bob.receive(pair.now, back(pair.flow), invite.clone());
    let mut events = vec![];
    drain(&mut pair.bob, &mut events);
    let (tx, request) = only_request(&events);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&request, 486, ""));
    let busy = sent(&mut pair.bob).remove(0);
    pair.bob.receive(pair.now, back(pair.flow), invite);
    assert_eq!(sent(&mut pair.bob).remove(0).status(), Some(486), "a retransmission");
    let ack = old(Method::Ack, busy.header(HeaderName::To).expect("copied"));
    pair.bob.receive(pair.now, back(pair.flow), ack);
    pair.wait(Duration::from_secs(10));
    assert!(sent(&mut pair.bob).is_empty(), "the ACK was matched");
}

#[test]
fn rfc3261_8_2_7_a_challenge_leaves_nothing_behind() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Register), flow);
    let (_, heard) = pair.settle();
    let (tx, register) = only_request(&heard);
    pair.bob.respond_stateless(pair.now, tx, ResponseBuilder::to(&register, 401, ""));
    assert_eq!(pair.bob.stats().transactions, 0);
    assert_eq!(statuses(&pair.settle().0), [401]);
}

#[test]
fn late_and_second_answers_are_suppressed_and_counted() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Options), flow);
    let (_, heard) = pair.settle();
    let (tx, options) = only_request(&heard);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&options, 180, ""));
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&options, 200, ""));
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&options, 500, ""));
    assert_eq!(statuses(&pair.settle().0), [200]);
    assert_eq!(pair.bob.stats().responses_suppressed, 2);
}

#[test]
fn a_snapshot_taken_at_any_step_goes_on_alike() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    let restore = |bob: &Endpoint| Endpoint::restore(bob.config().clone(), Random::from_seed(77), bob.snapshot());
    pair.alice.request(pair.now, draft(Method::Invite), flow);
    let (_, heard) = pair.settle();
    pair.bob = restore(&pair.bob);
    let (tx, invite) = only_request(&heard);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&invite, 180, ""));
    pair.bob = restore(&pair.bob);
    assert_eq!(statuses(&pair.settle().0), [180]);
    pair.alice = restore(&pair.alice);
    pair.bob.respond(pair.now, tx, ResponseBuilder::to(&invite, 200, ""));
    drain(&mut pair.bob, &mut vec![]);
    pair.bob = restore(&pair.bob);
    pair.wait(Duration::from_millis(500));
    assert_eq!(statuses(&pair.settle().0), [200], "the copy repeats the 2xx that was lost");
}

#[test]
fn a_burst_of_deadlines_is_worked_off_in_portions() {
    let mut pair = Pair::new(Transport::Udp);
    for n in 0..TIMEOUT_BATCH_MAX + 10 {
        pair.alice.request(pair.now, draft(Method::Options).set(HeaderName::CallId, n), pair.flow);
    }
    drain(&mut pair.alice, &mut vec![]);
    pair.now += Duration::from_millis(500);
    pair.alice.handle_timeout(pair.now);
    assert_eq!(drain(&mut pair.alice, &mut vec![]).len(), TIMEOUT_BATCH_MAX);
    assert!(pair.alice.poll_timeout().is_some_and(|at| at <= pair.now));
    pair.alice.handle_timeout(pair.now);
    assert_eq!(drain(&mut pair.alice, &mut vec![]).len(), 10);
}

#[test]
fn rfc3261_8_1_3_3_a_response_with_foreign_vias_is_dropped() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Options), flow);
    let options = sent(&mut pair.alice).remove(0);
    let astray = ResponseBuilder::to(&options, 200, "")
        .header(HeaderName::Via, "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1")
        .build();
    pair.alice.receive(pair.now, flow, astray);
    assert!(pair.alice.poll_output().is_none());
    pair.alice.receive(pair.now, flow, ResponseBuilder::to(&options, 200, "").build());
    assert_eq!(statuses(&pair.settle().0), [200]);
}

#[test]
fn branches_tags_and_call_ids_begin_with_the_prefix_of_the_shard() {
    let mut pair = Pair::new(Transport::Udp);
    let flow = pair.flow;
    pair.alice.request(pair.now, draft(Method::Options).without(HeaderName::CallId), flow);
    let options = sent(&mut pair.alice).remove(0);
    assert!(options.call_id().starts_with("s1-"));
    assert!(options.via().is_some_and(|v| v.branch().is_some_and(|b| b.starts_with("z9hG4bKs1-"))));
    assert!(pair.alice.new_tag().starts_with("s1-"));
}

#[test]
fn what_is_advertised_stands_in_via_and_contact() {
    let flow = there(Transport::Tls);
    let entry = |local: Option<SocketAddr>, host: &str| Advertised {
        transport: Transport::Tls,
        local,
        host: host.into(),
        port: 5061,
    };
    let mut config = EndpointConfig { advertised: vec![entry(None, "sip.example.com")], ..EndpointConfig::default() };
    assert_eq!(config.contact(&flow, Some("bob")), "<sip:bob@sip.example.com:5061;transport=tls>");
    config.advertised.push(entry(Some(flow.local), "2001:db8::1"));
    assert_eq!(config.sent_by(&flow), "[2001:db8::1]:5061");
    assert_eq!(EndpointConfig::default().contact(&there(Transport::Udp), None), "<sip:192.0.2.1:5060>");
}
