//! The whole relay over loopback sockets: what each peer sends and receives, byte by byte.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;

use domain::ports::*;
use rtp_proto::rtcp;
use sdp_proto::{CryptoSuite, Protocol, Sdp};
use support::*;

#[tokio::test]
async fn t17_plain_rtp_goes_both_ways_unchanged_and_is_counted() {
    let world = world(|_| {});
    let Call { id, mut caller, mut callee } = world.plain_call().await;
    for n in 0..50u8 {
        let said = caller.say(&[n; 160]);
        assert_eq!(callee.receive(), Some(said));
        let said = callee.say(&[n ^ 0xff; 160]);
        assert_eq!(caller.receive(), Some(said));
    }
    let statistics = world.relay.query(id).await.unwrap();
    let counted: Vec<_> = statistics
        .iter()
        .map(|s| (s.leg, s.packets_received, s.bytes_received, s.packets_sent, s.packets_lost))
        .collect();
    assert_eq!(counted, [(0, 50, 50 * 172, 50, 0), (1, 50, 50 * 172, 50, 0)]);
    caller.sequence += 3;
    caller.say(b"x");
    callee.receive().unwrap();
    assert_eq!(world.relay.delete(id).await[0].packets_lost, 3);
    assert_eq!(world.relay.query(id).await, Err(MediaError::Unknown));
    assert_eq!(world.relay.delete(id).await, []);
}

#[tokio::test]
async fn rr34_rtcp_goes_to_its_own_port_or_to_the_shared_one() {
    let world = world(|_| {});
    let (mut phone, mut trunk, id) = (Peer::new(), Peer::new(), session());
    let offered = phone.sdp("RTP/AVP", "a=rtcp-mux\r\n");
    let offer = world.offer(id, (0, network(None, false)), (1, network(PLAIN, false)), offered).await.unwrap();
    let asked = trunk.hear(&offer);
    assert!(asked.media[0].has_rtcp_mux());
    let answer = world.answer(id, (1, network(PLAIN, false)), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
    assert!(phone.hear(&answer).media[0].has_rtcp_mux());
    let mut report = vec![];
    rtcp::write_receiver_report(&mut report, 7, &[]);
    rtcp::write_cname(&mut report, 7, b"x");

    trunk
        .rtcp
        .send_to(
            &report,
            asked
                .rtcp_address(0)
                .map(|_| SocketAddr::new([127, 0, 0, 1].into(), asked.media[0].rtcp().unwrap().0))
                .unwrap(),
        )
        .unwrap();
    assert_eq!(phone.receive_raw(PATIENCE), Some(report.clone()), "on the shared port");
    phone.rtp.send_to(&report, phone.send_to.unwrap()).unwrap();
    let mut buffer = [0; 100];
    let length = trunk.rtcp.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..length], report, "on a port of its own");
    assert!(trunk.hears_nothing());
}

#[tokio::test]
async fn t16_t17_a_device_speaks_srtp_and_the_trunk_plain_rtp_in_every_suite() {
    let suites: Vec<String> = CryptoSuite::ALL.iter().map(|suite| suite.name().to_owned()).collect();
    let world = world(|config| config.srtp_suites = suites);
    for suite in CryptoSuite::ALL {
        let (mut device, mut trunk, id) = (Peer::new(), Peer::new(), session());
        let crypto = device.crypto(suite, 4);
        let offer = world
            .offer(id, (0, network(SDES, false)), (1, network(PLAIN, false)), device.sdp("RTP/SAVP", &crypto))
            .await
            .unwrap();
        let asked = trunk.hear(&offer);
        assert_eq!((&asked.media[0].protocol, asked.media[0].crypto().len()), (&Protocol::AVP, 0));
        let answer = world.answer(id, (1, network(PLAIN, false)), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
        let answered = device.hear(&answer);
        assert_eq!((&answered.media[0].protocol, answered.media[0].crypto()[0].tag), (&Protocol::SAVP, 4));
        for n in 0..20u8 {
            let said = device.say(&[n; 160]);
            assert_eq!(trunk.receive(), Some(said), "{suite:?}");
            let said = trunk.say(&[n; 160]);
            let wire = device.receive_raw(PATIENCE).unwrap();
            assert!(wire.len() > said.len() && !wire.windows(8).any(|w| w == [n; 8]), "no decodable audio on the wire");
            let mut opened = wire;
            let length = device.opener.as_mut().unwrap().unprotect_rtp(&mut opened).unwrap();
            assert_eq!(opened[..length], said);
        }
        world.relay.delete(id).await;
    }
}

#[tokio::test]
async fn t16_a_trunk_calls_a_device_that_speaks_srtp() {
    let world = world(|_| {});
    let (mut trunk, mut device, id) = (Peer::new(), Peer::new(), session());
    let offer =
        world.offer(id, (0, network(PLAIN, false)), (1, network(SDES, false)), trunk.sdp("RTP/AVP", "")).await.unwrap();
    let asked = Sdp::parse(&offer).unwrap();
    assert_eq!(
        (&asked.media[0].protocol, asked.media[0].crypto()[0].suite),
        (&Protocol::SAVP, CryptoSuite::AEAD_AES_128_GCM)
    );
    let crypto = device.crypto(CryptoSuite::AES_CM_128_HMAC_SHA1_80, 2);
    device.hear(&offer);
    let answer = world.answer(id, (1, network(SDES, false)), 0, device.sdp("RTP/SAVP", &crypto)).await.unwrap();
    trunk.hear(&answer);
    let said = device.say(b"hello");
    assert_eq!(trunk.receive(), Some(said));
    let said = trunk.say(b"hello back");
    assert_eq!(device.receive(), Some(said));

    // Forged and plain packets on the device's leg go nowhere, wherever they come from.
    let mut forged = Peer::new();
    forged.send_to = device.send_to;
    forged.say(b"forged");
    let plain = device.packet(b"plain");
    device.rtp.send_to(&plain, device.send_to.unwrap()).unwrap();
    assert!(trunk.hears_nothing());
    assert_eq!(world.relay.query(id).await.unwrap()[1].packets_refused, 2);
}

#[tokio::test]
async fn t16_what_must_be_srtp_is_refused_when_it_is_not() {
    let world = world(|_| {});
    let (mut phone, mut other) = (Peer::new(), Peer::new());
    let legs = |profile| ((0, network(profile, false)), (1, network(SDES, false)));
    let refused = |result: &Result<String, MediaError>| matches!(result, Err(MediaError::NotAcceptable(_)));
    let (from, to) = legs(SDES);
    assert!(refused(&world.offer(session(), from, to, phone.sdp("RTP/AVP", "")).await), "plain where SRTP is required");
    let (from, to) = legs(PLAIN);
    let crypto = phone.crypto(CryptoSuite::AEAD_AES_128_GCM, 1);
    assert!(
        refused(&world.offer(session(), from, to, phone.sdp("RTP/SAVP", &crypto)).await),
        "SRTP where plain is required"
    );
    let (from, to) = legs(None);
    assert!(refused(&world.offer(session(), from, to, phone.sdp("RTP/SAVP", "")).await), "no key");
    assert!(refused(
        &world.offer(session(), from, to, phone.sdp("UDP/TLS/RTP/SAVPF", "a=fingerprint:sha-256 AA\r\n")).await
    ));
    assert!(matches!(world.offer(session(), from, to, "v=0\r\nx".into()).await, Err(MediaError::Malformed(_))));
    assert_eq!(world.handle.control().sessions(), 0, "refused offers leave nothing behind");

    let id = session();
    world.offer(id, from, to, phone.sdp("RTP/SAVP", &crypto)).await.unwrap();
    assert!(refused(&world.answer(id, to, 0, other.sdp("RTP/AVP", "")).await), "plain answer to an SRTP offer");
    let wrong = other.crypto(CryptoSuite::AEAD_AES_128_GCM, 2);
    assert!(refused(&world.answer(id, to, 0, other.sdp("RTP/SAVP", &wrong)).await), "tag of another suite");
    assert_eq!(world.answer(session(), to, 0, other.sdp("RTP/AVP", "")).await, Err(MediaError::Unknown));
}

#[tokio::test]
async fn rfc8643_keys_under_the_plain_profile_are_taken_where_srtp_is_wanted() {
    let world = world(|_| {});
    let (mut device, mut trunk, id) = (Peer::new(), Peer::new(), session());
    let crypto = device.crypto(CryptoSuite::AES_CM_128_HMAC_SHA1_80, 1);
    let offer = world
        .offer(id, (0, network(SDES, false)), (1, network(PLAIN, false)), device.sdp("RTP/AVP", &crypto))
        .await
        .unwrap();
    trunk.hear(&offer);
    let answer = world.answer(id, (1, network(PLAIN, false)), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
    assert_eq!(device.hear(&answer).media[0].protocol, Protocol::AVP);
    let said = device.say(b"hello");
    assert_eq!(trunk.receive(), Some(said));
}

#[tokio::test]
async fn rfc3711_3_3_1_a_plain_stream_that_begins_anew_is_heard_on_the_srtp_leg() {
    let world = world(|_| {});
    let (mut device, mut trunk, id) = (Peer::new(), Peer::new(), session());
    let crypto = device.crypto(CryptoSuite::AEAD_AES_128_GCM, 1);
    let legs = ((0, network(SDES, false)), (1, network(PLAIN, false)));
    let offer = world.offer(id, legs.0, legs.1, device.sdp("RTP/SAVP", &crypto)).await.unwrap();
    trunk.hear(&offer);
    let answer = world.answer(id, legs.1, 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
    device.hear(&answer);
    for start in [40_000, 20_000, 3_000] {
        trunk.sequence = start;
        until_heard(&mut trunk, &mut device, 20);
        let said = trunk.say(b"as before");
        assert_eq!(device.receive().unwrap()[12..], said[12..]);
    }
}

/// A device behind a NAT: its description names an address that is not reached.
async fn natted_call(world: &World) -> Call {
    let (mut caller, mut callee, id) = (Peer::new(), Peer::new(), session());
    let private = caller.sdp("RTP/AVP", "").replace("c=IN IP4 127.0.0.1", "c=IN IP4 10.99.99.99");
    let offer = world.offer(id, (0, network(None, true)), (1, network(PLAIN, false)), private).await.unwrap();
    callee.hear(&offer);
    let answer = world.answer(id, (1, network(PLAIN, false)), 0, callee.sdp("RTP/AVP", "")).await.unwrap();
    caller.hear(&answer);
    Call { id, caller, callee }
}

#[tokio::test]
async fn sp27_a_device_behind_a_nat_is_latched_and_a_stranger_gets_nothing() {
    let world = world(|_| {});
    let Call { id, mut caller, mut callee } = natted_call(&world).await;
    callee.say(b"too early: nobody knows where the device is");
    let mut stranger = Peer::at("127.0.0.9");
    stranger.send_to = caller.send_to;
    for _ in 0..10 {
        stranger.say(b"I am the device");
    }
    assert!(callee.hears_nothing());
    let said = caller.say(b"hello");
    assert_eq!(callee.receive(), Some(said));
    for _ in 0..10 {
        stranger.say(b"I am the device");
    }
    let said = callee.say(b"hello back");
    assert_eq!(caller.receive(), Some(said));
    assert!(stranger.hears_nothing() && callee.hears_nothing());
    assert_eq!(world.relay.query(id).await.unwrap()[0].packets_refused, 20);
}

#[tokio::test]
async fn rr45_a_device_whose_nat_rebinds_keeps_its_call() {
    let world = world(|_| {});
    let Call { mut caller, mut callee, .. } = natted_call(&world).await;
    until_heard(&mut caller, &mut callee, 50);
    // The same stream goes on from another port, and then from another host.
    for ip in ["127.0.0.1", "127.0.0.7"] {
        let rebound = Peer::at(ip);
        caller.rtp = rebound.rtp;
        until_heard(&mut caller, &mut callee, 100);
        let said = callee.say(b"still there");
        assert_eq!(caller.receive(), Some(said));
    }
}

#[tokio::test]
async fn rr43_srtp_media_moves_at_once() {
    let world = world(|_| {});
    let (mut device, mut trunk, id) = (Peer::new(), Peer::new(), session());
    let crypto = device.crypto(CryptoSuite::AEAD_AES_128_GCM, 1);
    let offer = world
        .offer(id, (0, network(SDES, true)), (1, network(PLAIN, false)), device.sdp("RTP/SAVP", &crypto))
        .await
        .unwrap();
    trunk.hear(&offer);
    let answer = world.answer(id, (1, network(PLAIN, false)), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
    device.hear(&answer);
    for ip in ["127.0.0.1", "127.0.0.7", "127.0.0.8"] {
        device.rtp = Peer::at(ip).rtp;
        let said = device.say(b"hello");
        assert_eq!(trunk.receive(), Some(said));
        let said = trunk.say(b"hello back");
        assert_eq!(device.receive(), Some(said));
    }
}

#[tokio::test]
async fn forks_have_ports_of_their_own_and_the_last_answer_gets_the_media() {
    let world = world(|_| {});
    let (mut caller, mut one, mut two, id) = (Peer::new(), Peer::new(), Peer::new(), session());
    let first = world
        .offer(id, (0, network(None, false)), (1, network(PLAIN, false)), caller.sdp("RTP/AVP", ""))
        .await
        .unwrap();
    let second = world
        .offer(id, (0, network(None, false)), (2, network(PLAIN, false)), caller.sdp("RTP/AVP", ""))
        .await
        .unwrap();
    one.hear(&first);
    two.hear(&second);
    assert_ne!(one.send_to, two.send_to);

    let early = world.answer(id, (1, network(PLAIN, false)), 0, one.sdp("RTP/AVP", "")).await.unwrap();
    caller.hear(&early);
    let said = one.say(b"ringing");
    assert_eq!(caller.receive(), Some(said));

    let answer = world.answer(id, (2, network(PLAIN, false)), 0, two.sdp("RTP/AVP", "")).await.unwrap();
    let before = caller.send_to;
    caller.hear(&answer);
    assert_eq!(caller.send_to, before, "the caller keeps its port");
    until_heard(&mut two, &mut caller, 50);
    one.say(b"still ringing");
    let said = caller.say(b"hello two");
    assert_eq!(two.receive(), Some(said));
    assert!(one.hears_nothing() && caller.hears_nothing());
    world.relay.drop_leg(id, 1).await;
    world.relay.drop_leg(id, 9).await;
    assert_eq!(world.relay.delete(id).await.iter().map(|s| s.leg).collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test]
async fn exhausted_ports_are_full_and_delete_frees_them() {
    let world = world(|config| config.port_max = config.port_min + 3);
    let Call { id, mut caller, mut callee } = world.plain_call().await;
    let said = caller.say(b"x");
    assert_eq!(callee.receive(), Some(said));
    let legs = ((0, network(None, false)), (1, network(PLAIN, false)));
    let full = world.offer(session(), legs.0, legs.1, caller.sdp("RTP/AVP", "")).await;
    assert!(matches!(full, Err(MediaError::Full(_))), "{full:?}");
    world.relay.delete(id).await;
    // The worker closes the sockets at its next round.
    let again = async {
        loop {
            if let Ok(sdp) = world.offer(session(), legs.0, legs.1, caller.sdp("RTP/AVP", "")).await {
                return sdp;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, again).await.is_ok());
}

#[tokio::test]
async fn sessions_are_bounded() {
    let world = world(|config| config.sessions_max = 1);
    let Call { caller, .. } = world.plain_call().await;
    let full =
        world.offer(session(), (0, network(None, false)), (1, network(PLAIN, false)), caller.sdp("RTP/AVP", "")).await;
    assert!(matches!(full, Err(MediaError::Full(_))));
}

#[tokio::test]
async fn rfc3264_8_a_re_offer_keeps_ports_keys_and_rollover_counters() {
    let world = world(|_| {});
    let (mut device, mut trunk, id) = (Peer::new(), Peer::new(), session());
    let crypto = device.crypto(CryptoSuite::AEAD_AES_128_GCM, 1);
    let (device_net, trunk_net) = (network(SDES, false), network(PLAIN, false));
    let offer = world.offer(id, (0, device_net), (1, trunk_net), device.sdp("RTP/SAVP", &crypto)).await.unwrap();
    let asked = trunk.hear(&offer);
    let answer = world.answer(id, (1, trunk_net), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
    let answered = device.hear(&answer);
    // Over a roll-over in both directions.
    (device.sequence, trunk.sequence) = (65_500, 65_500);
    for n in 0..80u8 {
        let said = device.say(&[n; 160]);
        assert_eq!(trunk.receive(), Some(said));
        let said = trunk.say(&[n; 160]);
        assert_eq!(device.receive(), Some(said));
    }
    // Hold by the device, then resume by the trunk.
    let hold = world
        .offer(id, (0, device_net), (1, trunk_net), device.sdp("RTP/SAVP", &format!("{crypto}a=sendonly\r\n")))
        .await
        .unwrap();
    let hold = Sdp::parse(&hold).unwrap();
    assert!(hold.is_hold(0));
    assert_eq!((hold.rtp_address(0), hold.origin().unwrap().version), (asked.rtp_address(0), "2".into()));
    let held = world.answer(id, (1, trunk_net), 0, trunk.sdp("RTP/AVP", "a=recvonly\r\n")).await.unwrap();
    let held = Sdp::parse(&held).unwrap();
    assert_eq!((held.rtp_address(0), held.media[0].crypto()), (answered.rtp_address(0), answered.media[0].crypto()));

    let resume = world
        .offer(id, (1, trunk_net), (0, LegNetwork { profile: None, ..device_net }), trunk.sdp("RTP/AVP", ""))
        .await
        .unwrap();
    let resumed = Sdp::parse(&resume).unwrap();
    assert_eq!(resumed.media[0].protocol, Protocol::SAVP, "None: as it is");
    assert!(
        resumed.media[0].crypto().contains(&answered.media[0].crypto()[0])
            || resumed.media[0].crypto()[0].key_and_salt == answered.media[0].crypto()[0].key_and_salt
    );
    world.answer(id, (0, device_net), 1, device.sdp("RTP/SAVP", &crypto)).await.unwrap();
    for n in 0..20u8 {
        let said = device.say(&[n; 160]);
        assert_eq!(trunk.receive(), Some(said), "the old keys and counters go on");
        let said = trunk.say(&[n; 160]);
        assert_eq!(device.receive(), Some(said));
    }
}

#[tokio::test]
async fn a_key_that_was_given_up_is_never_used_again() {
    let world = world(|_| {});
    let (mut device, trunk, id) = (Peer::new(), Peer::new(), session());
    let crypto = device.crypto(CryptoSuite::AEAD_AES_128_GCM, 1);
    let (device_net, trunk_net) = (network(None, false), network(PLAIN, false));
    let mut keys = vec![];
    for (protocol, line) in [("RTP/SAVP", &*crypto), ("RTP/AVP", ""), ("RTP/SAVP", &*crypto)] {
        world.offer(id, (0, device_net), (1, trunk_net), device.sdp(protocol, line)).await.unwrap();
        let answer = world.answer(id, (1, trunk_net), 0, trunk.sdp("RTP/AVP", "")).await.unwrap();
        keys.push(Sdp::parse(&answer).unwrap().media[0].crypto());
    }
    assert!(keys[1].is_empty() && keys[0] != keys[2], "its counters were lost with the plain round");
}

#[tokio::test]
async fn rr44_ipv4_and_ipv6_legs_talk() {
    let world = world(|_| {});
    let (mut v4, mut v6, id) = (Peer::new(), Peer::at("::1"), session());
    let v6_net = LegNetwork { signalled_from: "::1".parse().unwrap(), ..network(PLAIN, false) };
    let offer = world.offer(id, (0, network(None, false)), (1, v6_net), v4.sdp("RTP/AVP", "")).await.unwrap();
    v6.hear(&offer);
    let answer = world.answer(id, (1, v6_net), 0, v6.sdp("RTP/AVP", "")).await.unwrap();
    v4.hear(&answer);
    assert!(v6.send_to.unwrap().is_ipv6() && v4.send_to.unwrap().is_ipv4());
    let said = v4.say(b"four");
    assert_eq!(v6.receive(), Some(said));
    let said = v6.say(b"six");
    assert_eq!(v4.receive(), Some(said));
}

#[tokio::test]
async fn video_and_fax_are_carried_and_other_transports_refused() {
    let world = world(|_| {});
    let (mut a, mut b, id) = (Peer::new(), Peer::new(), session());
    let more = |peer: &Peer| {
        let fax = peer.rtcp.local_addr().unwrap().port();
        format!(
            "m=image {fax} udptl t38\r\na=T38FaxVersion:0\r\nm=message 9 TCP/MSRP *\r\nm=video 4002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"
        )
    };
    let offer = world
        .offer(id, (0, network(None, false)), (1, network(PLAIN, false)), a.sdp("RTP/AVP", &more(&a)))
        .await
        .unwrap();
    let asked = b.hear(&offer);
    assert_eq!(asked.media.iter().map(|m| m.port != 0).collect::<Vec<_>>(), [true, true, false, true]);
    let answer = world
        .answer(id, (1, network(PLAIN, false)), 0, b.sdp("RTP/AVP", &more(&b).replace("message 9", "message 0")))
        .await
        .unwrap();
    let answered = a.hear(&answer);
    assert_eq!(answered.media[1].attribute("T38FaxVersion"), Some("0"));
    a.rtcp.send_to(b"\0\x01fax", answered.rtp_address(1).unwrap()).unwrap();
    let mut buffer = [0; 100];
    let length = b.rtcp.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"\0\x01fax");
    let said = a.say(b"audio beside it");
    assert_eq!(b.receive(), Some(said));
}

#[tokio::test]
async fn rr13_rr15_media_is_blocked_and_silenced_per_leg() {
    let world = world(|_| {});
    let Call { id, mut caller, mut callee } = world.plain_call().await;
    until_heard(&mut caller, &mut callee, 10);
    let control = world.handle.control();
    control.block_media(id, 0, true).unwrap();
    control.silence_media(id, 1, true).unwrap();
    until_silent(&mut caller, &callee);
    callee.say(&[0x11; 160]);
    assert_eq!(caller.receive().unwrap()[12..], [0xd5; 160]);
    control.block_media(id, 0, false).unwrap();
    control.silence_media(id, 1, false).unwrap();
    until_heard(&mut caller, &mut callee, 50);
    until_heard_as_said(&mut callee, &mut caller);
    assert_eq!(control.block_media(id, 7, true), Err(MediaError::Unknown));
}

/// Commands take effect at the worker's next round: packets before that may still come.
fn until_silent(from: &mut Peer, to: &Peer) {
    let silent = (0..100).any(|_| {
        from.say(b"x");
        to.receive_raw(SILENCE).is_none()
    });
    assert!(silent);
}

fn until_heard_as_said(from: &mut Peer, to: &mut Peer) {
    let heard = (0..100).any(|_| {
        let said = from.say(&[0x11; 160]);
        to.receive() == Some(said)
    });
    assert!(heard);
}

#[tokio::test]
async fn t25_the_warning_is_heard_over_the_peer_and_without_it() {
    let world = world(|_| {});
    let Call { id, mut caller, mut callee } = world.plain_call().await;
    until_heard(&mut caller, &mut callee, 10);
    until_heard(&mut callee, &mut caller, 10);
    let tone_share = |packet: &[u8]| {
        let samples: Vec<i16> = packet[12..].iter().map(|byte| audio::g711::Law::A.decode(*byte)).collect();
        audio::tone_share(&samples, 1_400.0, audio::RATE_HZ)
    };
    // The callee talks: its packets carry the tone, with their own sequence numbers.
    world.relay.play(id, 0, MediaSignal::LowCreditWarning).await.unwrap();
    let with_tone = (0..100)
        .filter(|_| {
            let said = callee.say(&[0xd5; 160]);
            let heard = caller.receive().unwrap();
            assert_eq!(heard[..12], said[..12]);
            tone_share(&heard) > 0.5
        })
        .count();
    assert!((20..=26).contains(&with_tone), "three times 150 ms: {with_tone}");
    // The caller is silent: packets are made.
    world.relay.play(id, 1, MediaSignal::LowCreditWarning).await.unwrap();
    let made: Vec<Vec<u8>> = std::iter::from_fn(|| callee.receive_raw(std::time::Duration::from_millis(600))).collect();
    assert!((20..=27).contains(&made.len()), "{}", made.len());
    assert!(made.iter().filter(|packet| tone_share(packet) > 0.5).count() >= 18);
    assert_eq!(world.relay.play(id, 5, MediaSignal::LowCreditWarning).await, Err(MediaError::Unknown));
}

#[tokio::test]
async fn stop_ends_the_threads() {
    let world = world(|config| config.worker_threads = 3);
    let _call = world.plain_call().await;
    world.handle.stop();
}
