//! A session under any order of offers, answers and dropped legs; real ports, no worker.
#![allow(clippy::unwrap_used)]
use super::*;
use base::Id;
use proptest::prelude::*;

use crate::config::Config;

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";

fn section() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("m=audio 4000 RTP/AVP 0 8\r\n".to_owned()),
        Just("m=audio 4000 RTP/AVPF 0\r\na=rtcp-mux\r\n".to_owned()),
        Just(format!("m=audio 4000 RTP/SAVP 0\r\n{KEY}")),
        Just(format!("m=audio 4000 RTP/AVP 0\r\n{KEY}")),
        Just("m=audio 0 RTP/AVP 0\r\n".to_owned()),
        Just("m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n".to_owned()),
        Just("m=audio 65535 RTP/AVP 0\r\na=rtcp:1 IN IP6 ::1\r\n".to_owned()),
        Just("m=image 4002 udptl t38\r\n".to_owned()),
        Just("m=video 4004 RTP/SAVPF 99\r\nc=IN IP6 ::1\r\n".to_owned()),
        Just("m=application 9 TCP/X *\r\n".to_owned()),
    ];
    (line, prop_oneof![Just(""), Just("a=sendonly\r\n"), Just("a=inactive\r\n"), Just("c=IN IP4 0.0.0.0\r\n")])
        .prop_map(|(line, more)| line + more)
}

fn description() -> impl Strategy<Value = String> {
    proptest::collection::vec(section(), 0..3)
        .prop_map(|s| format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\n{}", s.concat()))
}

fn network() -> impl Strategy<Value = LegNetwork> {
    let profile = prop_oneof![Just(None), Just(Some(MediaProfile::Rtp)), Just(Some(MediaProfile::Sdes))];
    (profile, any::<bool>(), any::<bool>()).prop_map(|(profile, behind_nat, v4)| LegNetwork {
        profile,
        behind_nat,
        signalled_from: if v4 { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() },
    })
}

#[derive(Debug, Clone)]
enum Step {
    Offer(LegIndex, LegNetwork, LegIndex, LegNetwork, String),
    Answer(LegIndex, LegNetwork, LegIndex, String),
    Echo(LegIndex, LegNetwork, LegIndex),
    Drop(LegIndex),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u16..3, network(), 0u16..3, network(), description()).prop_map(|(a, x, b, y, s)| Step::Offer(a, x, b, y, s)),
        2 => (0u16..3, network(), 0u16..3, description()).prop_map(|(a, x, b, s)| Step::Answer(a, x, b, s)),
        4 => (0u16..3, network(), 0u16..3).prop_map(|(a, x, b)| Step::Echo(a, x, b)),
        1 => (0u16..3).prop_map(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever legs say in whatever order: no panic, every description written can be read, each stream is handed to the
    /// worker once and removed at most once, and in the end every port is free again.
    #[test]
    fn any_order_of_offers_and_answers_keeps_the_books(steps in proptest::collection::vec(step(), 1..20)) {
        let config = Config { port_min: 20_300, port_max: 20_499, port_rest_ms: 0, ..Config::default() };
        let (mut random, suites) = (Random::from_seed(1), [Suite::AES_CM_128_HMAC_SHA1_80, Suite::AEAD_AES_128_GCM]);
        let (ports, next_key) = (Ports::new(&config, &mut random).unwrap(), AtomicU64::new(1));
        let free = ports.free();
        let mut session = Session::new(0);
        let (mut held, mut asked) = (BTreeMap::new(), BTreeMap::new());
        for step in steps {
            let latch = LatchConfig::default();
            let mut context = Context { ports: &ports, suites: &suites, latch, random: &mut random, next_key: &next_key };
            let id = Id::from_i64(1);
            let answered = match step {
                Step::Offer(from, from_network, to, to_network, sdp) => {
                    if let Ok(text) = session.offer(&mut context, &MediaOffer { session: id, from, from_network, to, to_network, sdp }) {
                        prop_assert!(Sdp::parse(&text).is_ok());
                        asked.insert(to, text);
                    }
                    continue;
                }
                Step::Answer(from, from_network, to, sdp) => session.answer(&mut context, &MediaAnswer { session: id, from, from_network, to, sdp }),
                // An answer that fits: what was asked, word by word (so that SRTP is refused, as it names our own key).
                Step::Echo(from, from_network, to) => {
                    let sdp = asked.get(&from).cloned().unwrap_or_default();
                    session.answer(&mut context, &MediaAnswer { session: id, from, from_network, to, sdp })
                }
                Step::Drop(leg) => {
                    for key in session.drop_leg(leg) {
                        prop_assert!(held.remove(&key).is_some());
                    }
                    continue;
                }
            };
            let Ok((text, connection)) = answered else { continue };
            prop_assert!(Sdp::parse(&text).is_ok());
            for update in connection.updates {
                match update.fresh {
                    Some((pair, ..)) => prop_assert!(held.insert(update.key, pair).is_none()),
                    None => prop_assert!(held.contains_key(&update.key)),
                }
            }
            for key in connection.removed {
                prop_assert!(held.remove(&key).is_some());
            }
            prop_assert!(connection.links.iter().all(|(a, b)| held.contains_key(a) && held.contains_key(b)));
        }
        prop_assert_eq!(session.streams().len(), held.len());
        drop((session, held));
        prop_assert_eq!(ports.free(), free);
    }
}
