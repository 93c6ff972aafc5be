//! Both sides of a session on one virtual clock, and one side against hand-made octets.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use base::Secret;

use super::*;
use crate::pdu::{Address, Message};

const SECOND: Duration = Duration::from_secs(1);

fn esme_role(mode: BindMode) -> Role {
    Role::Esme(BindRequest::new(mode, "esme", Secret::new("pass")))
}

fn esme(now: Instant, mode: BindMode, config: SessionConfig) -> Session {
    Session::start(now, esme_role(mode), config).unwrap()
}

fn smsc(now: Instant) -> Session {
    Session::start(now, Role::Smsc { system_id: "smsc".into() }, SessionConfig::default()).unwrap()
}

fn text(octets: &[u8]) -> Message<'_> {
    Message {
        source: Address::international(b"15550001"),
        destination: Address::international(b"15550002"),
        short_message: octets,
        ..Message::default()
    }
}

/// Runs outputs of one side; returns the octets to carry and what was told.
fn drain(session: &mut Session) -> (Vec<Vec<u8>>, Vec<Event>, Option<CloseReason>) {
    let (mut sent, mut events, mut closed) = (vec![], vec![], None);
    while let Some(output) = session.poll_output() {
        match output {
            Output::Transmit(frame) => sent.push(frame.to_vec()),
            Output::Event(event) => events.push(event),
            Output::Close(reason) => closed = Some(reason),
        }
    }
    (sent, events, closed)
}

fn commands(frames: &[Vec<u8>]) -> Vec<CommandId> {
    frames.iter().map(|frame| Pdu::decode(frame).unwrap().body.command()).collect()
}

fn reply(now: Instant, session: &mut Session, sequence: u32, status: CommandStatus, body: Body<'_>) {
    let frame = Pdu { status, sequence, body }.to_vec().unwrap();
    session.handle(now, Input::Received(&frame));
}

fn sequence_of(frame: &[u8]) -> u32 {
    Pdu::decode(frame).unwrap().sequence
}

fn taken(id: &[u8]) -> Body<'_> {
    Body::SubmitSmResp(MessageResp { message_id: id, tlvs: Tlvs::EMPTY })
}

/// An ESME whose bind the far side, played by the test, has accepted.
fn bound(now: Instant, config: SessionConfig) -> Session {
    let mut session = esme(now, BindMode::Transceiver, config);
    let (sent, _, _) = drain(&mut session);
    let resp = BindResp { mode: BindMode::Transceiver, system_id: b"smsc", tlvs: Tlvs::EMPTY };
    reply(now, &mut session, sequence_of(&sent[0]), CommandStatus::ESME_ROK, Body::BindResp(resp));
    let (_, events, _) = drain(&mut session);
    assert!(matches!(events[..], [Event::Bound { mode: BindMode::Transceiver, .. }]));
    session
}

#[test]
fn smpp34_4_1_bind_submit_deliver_unbind_between_our_two_sides() {
    let now = Instant::now();
    let (mut us, mut them) = (esme(now, BindMode::Transceiver, SessionConfig::default()), smsc(now));
    let carry = |from: &mut Session, to: &mut Session| {
        let (sent, events, closed) = drain(from);
        for frame in sent {
            to.handle(now, Input::Received(&frame));
        }
        (events, closed)
    };
    carry(&mut us, &mut them);
    let (events, _) = carry(&mut them, &mut us);
    let [Event::BindRequested { mode: BindMode::Transceiver, system_id, password, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((system_id.as_str(), password.expose()), ("esme", "pass"));
    them.accept_bind(now).unwrap();
    carry(&mut them, &mut us);
    let (events, _) = carry(&mut us, &mut them);
    assert!(
        matches!(&events[..], [Event::Bound { system_id, interface_version: Some(0x34), .. }] if system_id == "smsc")
    );

    us.submit(now, 7, &Body::SubmitSm(text(b"hi"))).unwrap();
    carry(&mut us, &mut them);
    let (events, _) = carry(&mut them, &mut us);
    let [Event::Requested(request)] = &events[..] else { panic!("{events:?}") };
    them.respond(request.id, CommandStatus::ESME_ROK, "abc").unwrap();
    assert!(them.respond(request.id, CommandStatus::ESME_ROK, "abc").is_err(), "answered twice");
    them.submit(now, 1, &Body::DeliverSm(text(b"yo"))).unwrap();
    carry(&mut them, &mut us);
    let (events, _) = carry(&mut us, &mut them);
    let [Event::Answered(answer), Event::Requested(request)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((answer.key, answer.status, answer.message_id.as_str()), (7, CommandStatus::ESME_ROK, "abc"));
    us.respond(request.id, CommandStatus::ESME_ROK, "").unwrap();
    carry(&mut us, &mut them);
    let (events, _) = carry(&mut them, &mut us);
    assert!(matches!(&events[..], [Event::Answered(Answer { key: 1, .. })]));

    us.unbind(now);
    carry(&mut us, &mut them);
    let (_, closed) = carry(&mut them, &mut us);
    assert_eq!(closed, Some(CloseReason::PeerUnbound));
    assert_eq!(drain(&mut us).2, Some(CloseReason::Unbound));
}

#[test]
fn a_refused_or_unanswered_bind_ends_the_session() {
    let now = Instant::now();
    let mut session = esme(now, BindMode::Transmitter, SessionConfig::default());
    let sequence = sequence_of(&drain(&mut session).0[0]);
    let resp = BindResp { mode: BindMode::Transmitter, system_id: b"", tlvs: Tlvs::EMPTY };
    reply(now, &mut session, sequence, CommandStatus::ESME_RINVPASWD, Body::BindResp(resp));
    assert_eq!(drain(&mut session).2, Some(CloseReason::BindRefused(CommandStatus::ESME_RINVPASWD)));

    let mut session = esme(now, BindMode::Transmitter, SessionConfig::default());
    let at = session.poll_timeout().unwrap();
    assert_eq!(at - now, 10 * SECOND);
    session.handle(at, Input::Timeout);
    assert_eq!(drain(&mut session).2, Some(CloseReason::BindTimeout));
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn no_more_requests_are_open_than_the_window_allows_and_the_queue_is_bounded() {
    let now = Instant::now();
    let config = SessionConfig { window_requests: 3, queue_requests: 2, ..SessionConfig::default() };
    let mut session = bound(now, config);
    for key in 0..5 {
        session.submit(now, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    assert_eq!((session.load(), session.room()), ((2, 3), 0));
    assert_eq!(session.submit(now, 5, &Body::SubmitSm(text(b"x"))), Err(SmppError::UnavailableRoom));
    let (sent, _, _) = drain(&mut session);
    assert_eq!(sent.len(), 3);
    reply(now, &mut session, sequence_of(&sent[1]), CommandStatus::ESME_ROK, taken(b"id1"));
    let (sent, events, _) = drain(&mut session);
    assert_eq!(sent.len(), 1);
    assert!(matches!(&events[..], [Event::Answered(Answer { key: 1, .. })]));
}

#[test]
fn pace_delays_and_never_refuses() {
    let start = Instant::now();
    let config = SessionConfig { messages_per_second: Some(10), window_requests: 100, ..SessionConfig::default() };
    let mut session = bound(start, config);
    for key in 0..31 {
        session.submit(start, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    let (mut now, mut sent_at) = (start, vec![]);
    loop {
        sent_at.extend(drain(&mut session).0.iter().map(|_| (now - start).as_millis()));
        if sent_at.len() == 31 {
            break;
        }
        now = session.poll_timeout().unwrap();
        session.handle(now, Input::Timeout);
    }
    assert_eq!(sent_at, (0..31).map(|n| n * 100).collect::<Vec<_>>());
}

#[test]
fn a_fast_pace_holds_over_a_second_although_the_timer_is_coarse() {
    let start = Instant::now();
    let config = SessionConfig {
        messages_per_second: Some(5_000),
        window_requests: 10_000,
        queue_requests: 10_000,
        ..SessionConfig::default()
    };
    let mut session = bound(start, config);
    for key in 0..8_000 {
        session.submit(start, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    let mut sent = 0;
    for millisecond in 0..1_000 {
        session.handle(start + Duration::from_millis(millisecond), Input::Timeout);
        sent += drain(&mut session).0.len();
    }
    assert!((5_000..=5_101).contains(&sent), "{sent}");
}

#[test]
fn an_unanswered_request_is_told_once_and_its_late_answer_still_finds_it() {
    let start = Instant::now();
    let mut session = bound(start, SessionConfig::default());
    session.submit(start, 42, &Body::SubmitSm(text(b"x"))).unwrap();
    let sequence = sequence_of(&drain(&mut session).0[0]);
    let at = session.poll_timeout().unwrap();
    assert_eq!(at - start, 30 * SECOND);
    session.handle(at, Input::Timeout);
    let (_, events, closed) = drain(&mut session);
    assert_eq!((events, closed), (vec![Event::Unanswered { key: 42 }], None));
    reply(at, &mut session, sequence, CommandStatus::ESME_ROK, taken(b"late"));
    let (_, events, _) = drain(&mut session);
    assert!(
        matches!(&events[..], [Event::Answered(Answer { key: 42, late: true, message_id, .. })] if message_id == "late")
    );
    reply(at, &mut session, sequence, CommandStatus::ESME_ROK, taken(b"late"));
    assert!(matches!(&drain(&mut session).1[..], [Event::PeerFault(_)]));
}

#[test]
fn smpp34_4_11_silence_is_broken_by_enquire_link_and_a_dead_peer_is_left() {
    let start = Instant::now();
    let mut session = bound(start, SessionConfig::default());
    let at = session.poll_timeout().unwrap();
    assert_eq!(at - start, 30 * SECOND);
    session.handle(at, Input::Timeout);
    let (sent, _, _) = drain(&mut session);
    assert_eq!(commands(&sent), [CommandId::ENQUIRE_LINK]);
    reply(at, &mut session, sequence_of(&sent[0]), CommandStatus::ESME_ROK, Body::EnquireLinkResp);
    assert_eq!(session.poll_timeout(), Some(at + 30 * SECOND));

    session.submit(at, 1, &Body::SubmitSm(text(b"x"))).unwrap();
    let (reason, now) = loop {
        let now = session.poll_timeout().unwrap();
        session.handle(now, Input::Timeout);
        let (_, events, closed) = drain(&mut session);
        assert!(events.iter().all(|event| *event == Event::Unanswered { key: 1 }));
        if let Some(reason) = closed {
            break (reason, now);
        }
    };
    assert_eq!((reason, now - at), (CloseReason::KeepaliveLost, 60 * SECOND));
}

#[test]
fn a_peer_that_speaks_is_alive_whatever_it_says() {
    let start = Instant::now();
    let mut session = bound(start, SessionConfig::default());
    let at = start + 30 * SECOND;
    session.handle(at, Input::Timeout);
    assert_eq!(drain(&mut session).0.len(), 1);
    reply(at + 29 * SECOND, &mut session, 5, CommandStatus::ESME_ROK, Body::EnquireLink);
    let (sent, _, _) = drain(&mut session);
    assert_eq!(commands(&sent), [CommandId::ENQUIRE_LINK_RESP]);
    session.handle(at + 31 * SECOND, Input::Timeout);
    assert_eq!(drain(&mut session).2, None);
}

#[test]
fn throttling_pauses_halves_and_climbs_back() {
    let start = Instant::now();
    let config = SessionConfig { messages_per_second: Some(100), window_requests: 50, ..SessionConfig::default() };
    let mut session = bound(start, config);
    let mut now = start;
    for key in 0..5 {
        session.submit(now, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    while session.load().0 > 0 {
        now = session.poll_timeout().unwrap();
        session.handle(now, Input::Timeout);
    }
    let (sent, _, _) = drain(&mut session);
    for frame in &sent {
        let throttled = Body::SubmitSmResp(crate::pdu::NOTHING);
        reply(now, &mut session, sequence_of(frame), CommandStatus::ESME_RTHROTTLED, throttled);
    }
    let (_, events, _) = drain(&mut session);
    let pauses: Vec<_> = events.iter().filter(|event| matches!(event, Event::Throttled { .. })).collect();
    assert_eq!(pauses, [&Event::Throttled { pause: Duration::from_millis(250) }], "one pause for one burst");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Answered(_))).count(), 5);

    session.submit(now, 9, &Body::SubmitSm(text(b"x"))).unwrap();
    assert!(drain(&mut session).0.is_empty());
    let at = session.poll_timeout().unwrap();
    assert_eq!(at - now, Duration::from_millis(250));
    session.handle(at, Input::Timeout);
    let (sent, _, _) = drain(&mut session);
    reply(
        at,
        &mut session,
        sequence_of(&sent[0]),
        CommandStatus::ESME_RMSGQFUL,
        Body::SubmitSmResp(crate::pdu::NOTHING),
    );
    let (_, events, _) = drain(&mut session);
    assert_eq!(events[0], Event::Throttled { pause: Duration::from_millis(500) }, "the next refusal doubles the pause");

    let mut later = at + SECOND;
    let mut full_speed = false;
    for key in 100..160 {
        session.submit(later, key, &Body::SubmitSm(text(b"x"))).unwrap();
        let wait = session.poll_timeout().unwrap();
        let (sent, _, _) = drain(&mut session);
        full_speed = session.throttle.per_second(later, Some(100)) == Some(100);
        for frame in sent {
            reply(later, &mut session, sequence_of(&frame), CommandStatus::ESME_ROK, taken(b"1"));
        }
        assert!(wait >= later);
        later += SECOND;
        session.handle(later, Input::Timeout);
    }
    assert!(full_speed);
}

#[test]
fn every_request_comes_back_when_the_connection_breaks_and_what_never_left_is_told_apart() {
    let now = Instant::now();
    let config = SessionConfig { window_requests: 2, ..SessionConfig::default() };
    let mut session = bound(now, config);
    for key in 0..4 {
        session.submit(now, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    session.handle(now, Input::Disconnected);
    let (_, events, closed) = drain(&mut session);
    assert_eq!(
        events,
        [
            Event::Unanswered { key: 0 },
            Event::Unanswered { key: 1 },
            Event::Unsent { key: 2 },
            Event::Unsent { key: 3 }
        ]
    );
    assert_eq!(closed, Some(CloseReason::Disconnected));
    assert_eq!(session.submit(now, 9, &Body::SubmitSm(text(b"x"))), Err(SmppError::RefusedState));
}

#[test]
fn what_is_withdrawn_was_never_sent_and_the_session_goes_on() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig { window_requests: 1, ..SessionConfig::default() });
    for key in 0..3 {
        session.submit(now, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    session.withdraw();
    let (sent, events, closed) = drain(&mut session);
    assert_eq!((sent.len(), closed), (1, None));
    assert_eq!(events, [Event::Unsent { key: 1 }, Event::Unsent { key: 2 }]);
    reply(now, &mut session, sequence_of(&sent[0]), CommandStatus::ESME_ROK, taken(b"1"));
    session.submit(now, 3, &Body::SubmitSm(text(b"x"))).unwrap();
    assert_eq!(drain(&mut session).0.len(), 1);
}

#[test]
fn smpp34_4_2_unbind_waits_for_open_responses_and_gives_the_queue_back() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig { window_requests: 1, ..SessionConfig::default() });
    session.submit(now, 1, &Body::SubmitSm(text(b"x"))).unwrap();
    session.submit(now, 2, &Body::SubmitSm(text(b"x"))).unwrap();
    let (sent, _, _) = drain(&mut session);
    session.unbind(now);
    let (nothing, events, _) = drain(&mut session);
    assert_eq!((nothing.len(), events), (0, vec![Event::Unsent { key: 2 }]));
    reply(now, &mut session, sequence_of(&sent[0]), CommandStatus::ESME_ROK, taken(b"1"));
    let (sent, events, _) = drain(&mut session);
    assert_eq!(commands(&sent), [CommandId::UNBIND]);
    assert!(matches!(&events[..], [Event::Answered(Answer { key: 1, .. })]));
    reply(now, &mut session, sequence_of(&sent[0]), CommandStatus::ESME_ROK, Body::UnbindResp);
    assert_eq!(drain(&mut session).2, Some(CloseReason::Unbound));
}

#[test]
fn an_unbind_that_nobody_answers_ends_by_itself() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    session.submit(now, 1, &Body::SubmitSm(text(b"x"))).unwrap();
    session.unbind(now);
    let (reason, at) = loop {
        let at = session.poll_timeout().unwrap();
        session.handle(at, Input::Timeout);
        if let (_, _, Some(reason)) = drain(&mut session) {
            break (reason, at);
        }
    };
    assert_eq!((reason, at - now), (CloseReason::Unbound, 20 * SECOND));
}

#[test]
fn smpp34_4_3_an_unknown_command_is_nacked_and_the_session_goes_on() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    reply(now, &mut session, 77, CommandStatus::ESME_ROK, Body::Unknown { command: CommandId(0x77), octets: b"zz" });
    let (sent, _, closed) = drain(&mut session);
    let nack = Pdu::decode(&sent[0]).unwrap();
    assert_eq!((nack.body, nack.status, nack.sequence), (Body::GenericNack, CommandStatus::ESME_RINVCMDID, 77));
    assert_eq!(closed, None);
}

#[test]
fn smpp34_4_3_a_generic_nack_answers_the_request_that_it_names_and_never_means_taken() {
    let now = Instant::now();
    for (status, told) in [(0x03, CommandStatus::ESME_RINVCMDID), (0, CommandStatus::ESME_RUNKNOWNERR)] {
        let mut session = bound(now, SessionConfig::default());
        session.submit(now, 5, &Body::SubmitSm(text(b"x"))).unwrap();
        let sequence = sequence_of(&drain(&mut session).0[0]);
        reply(now, &mut session, sequence, CommandStatus(status), Body::GenericNack);
        let (_, events, _) = drain(&mut session);
        assert!(matches!(&events[..], [Event::Answered(Answer { key: 5, status, .. })] if *status == told));
    }
}

#[test]
fn smpp34_2_3_operations_out_of_state_are_refused() {
    let now = Instant::now();
    let mut receiver = esme(now, BindMode::Receiver, SessionConfig::default());
    let sequence = sequence_of(&drain(&mut receiver).0[0]);
    reply(now, &mut receiver, 9, CommandStatus::ESME_ROK, Body::DeliverSm(text(b"early")));
    let (sent, _, _) = drain(&mut receiver);
    assert_eq!(Pdu::decode(&sent[0]).unwrap().status, CommandStatus::ESME_RINVBNDSTS);
    let resp = BindResp { mode: BindMode::Receiver, system_id: b"", tlvs: Tlvs::EMPTY };
    reply(now, &mut receiver, sequence, CommandStatus::ESME_ROK, Body::BindResp(resp));
    drain(&mut receiver);
    assert_eq!(receiver.submit(now, 1, &Body::SubmitSm(text(b"x"))), Err(SmppError::RefusedState));
    reply(now, &mut receiver, 10, CommandStatus::ESME_ROK, Body::SubmitSm(text(b"wrong way")));
    let (sent, _, _) = drain(&mut receiver);
    assert_eq!(Pdu::decode(&sent[0]).unwrap().status, CommandStatus::ESME_RINVBNDSTS);

    let mut server = smsc(now);
    reply(now, &mut server, 1, CommandStatus::ESME_ROK, Body::SubmitSm(text(b"x")));
    assert_eq!(Pdu::decode(&drain(&mut server).0[0]).unwrap().status, CommandStatus::ESME_RINVBNDSTS);
    let at = server.poll_timeout().unwrap();
    server.handle(at, Input::Timeout);
    assert_eq!(drain(&mut server).2, Some(CloseReason::BindTimeout));
}

#[test]
fn a_request_with_a_broken_body_is_refused_and_the_session_goes_on() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    let mut frame = Pdu::new(3, Body::DeliverSm(text(b"hello"))).to_vec().unwrap();
    frame.truncate(30);
    frame[..4].copy_from_slice(&30u32.to_be_bytes());
    session.handle(now, Input::Received(&frame));
    let (sent, events, closed) = drain(&mut session);
    let refusal = Pdu::decode(&sent[0]).unwrap();
    assert_eq!((refusal.status, refusal.body.command()), (CommandStatus::ESME_RINVCMDLEN, CommandId::DELIVER_SM_RESP));
    assert!(matches!(&events[..], [Event::PeerFault(SmppError::Malformed { .. })]) && closed.is_none());
}

#[test]
fn a_length_that_cannot_be_ends_the_session_with_a_nack() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    session.handle(now, Input::Received(&[0xff; 16]));
    let (sent, _, closed) = drain(&mut session);
    assert_eq!(commands(&sent), [CommandId::GENERIC_NACK]);
    assert!(matches!(closed, Some(CloseReason::Malformed(_))));
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    let mut handed = 0;
    for sequence in 0..1_200 {
        reply(now, &mut session, sequence, CommandStatus::ESME_ROK, Body::DeliverSm(text(b"x")));
        let (sent, events, _) = drain(&mut session);
        handed += events.len();
        for frame in sent {
            assert_eq!(Pdu::decode(&frame).unwrap().status, CommandStatus::ESME_RMSGQFUL);
        }
    }
    assert_eq!(handed, INBOUND_REQUESTS_MAX);
}

#[test]
fn smpp34_3_2_sequence_numbers_wrap_and_skip_open_ones() {
    let now = Instant::now();
    let mut session = bound(now, SessionConfig::default());
    session.submit(now, 1, &Body::SubmitSm(text(b"x"))).unwrap();
    assert_eq!(sequence_of(&drain(&mut session).0[0]), 2);
    let open: Vec<_> = session.window.parts().1.collect();
    session.window = Window::from_parts(0x7fff_fffe, open);
    let mut sequences = vec![];
    for key in 2..5 {
        session.submit(now, key, &Body::SubmitSm(text(b"x"))).unwrap();
        sequences.push(sequence_of(&drain(&mut session).0[0]));
    }
    assert_eq!(sequences, [0x7fff_ffff, 1, 3]);
}

#[test]
fn a_restored_session_goes_on_as_if_nothing_had_happened() {
    let start = Instant::now();
    let config = SessionConfig { window_requests: 2, ..SessionConfig::default() };
    let mut session = bound(start, config.clone());
    for key in 0..4 {
        session.submit(start, key, &Body::SubmitSm(text(b"x"))).unwrap();
    }
    session.handle(start + SECOND, Input::Timeout);
    let (sent, _, _) = drain(&mut session);
    reply(start + SECOND, &mut session, 900, CommandStatus::ESME_ROK, Body::DeliverSm(text(b"in")));
    let (_, events, _) = drain(&mut session);
    let [Event::Requested(request)] = &events[..] else { panic!("{events:?}") };
    let answer = Pdu::new(sequence_of(&sent[0]), taken(b"first")).to_vec().unwrap();
    let (head, tail) = answer.split_at(20);
    session.handle(start + SECOND, Input::Received(head));

    let written = serde_json::to_string(&session.snapshot(start + SECOND).unwrap()).unwrap();
    let later = Instant::now() + 1_000 * SECOND;
    let snapshot = serde_json::from_str(&written).unwrap();
    let mut restored = Session::restore(later, esme_role(BindMode::Transceiver), config, snapshot).unwrap();
    restored.handle(later, Input::Received(tail));
    restored.respond(request.id, CommandStatus::ESME_ROK, "").unwrap();
    let (sent, events, _) = drain(&mut restored);
    assert!(matches!(&events[..], [Event::Answered(Answer { key: 0, message_id, .. })] if message_id == "first"));
    assert_eq!(commands(&sent), [CommandId::SUBMIT_SM, CommandId::DELIVER_SM_RESP]);
    restored.handle(later + 29 * SECOND, Input::Timeout);
    let (_, events, _) = drain(&mut restored);
    assert_eq!(events, [Event::Unanswered { key: 1 }], "the age of a request survives");
}
