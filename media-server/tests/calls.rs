//! The role as the proxy and the relay meet it: SIP over channels, RTP over sockets, real time.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use audio::g711::Law;
use audio::{RATE_HZ, Tone, level_dbm0, silence_runs, tone_share};
use bytes::Bytes;
use media_server::{Config, Deps, Handle};
use rtp_proto::RtpHeader;
use sip_proto::{Flow, HeaderName, Message, Transport};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// A caller with its own media socket.
struct Caller {
    role: Handle,
    to: mpsc::Sender<(Flow, Bytes)>,
    from: mpsc::Receiver<(Flow, Bytes)>,
    socket: UdpSocket,
    sequence: u16,
}

fn flow() -> Flow {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Flow { transport: Transport::Memory, local: at(5060), peer: at(5070), connection: 0 }
}

impl Caller {
    async fn new(first_port: u16) -> Self {
        let (to, inbound) = mpsc::channel(16);
        let (outbound, from) = mpsc::channel(16);
        let config = Config { rtp_port_min: first_port, rtp_port_max: first_port + 19, ..Config::default() };
        let role =
            media_server::start(config, Deps { inbound, outbound, media_address: Ipv4Addr::LOCALHOST.into() }).unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { role, to, from, socket, sequence: 0 }
    }

    async fn send(&self, method: &str, uri: &str, to: &str, number: u32, body: &str) {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@test>;tag=a\r\nTo: {to}\r\nCall-ID: one\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:alice@127.0.0.1:5060;transport=tcp>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.to.send((flow(), text.into())).await.unwrap();
    }

    async fn invite(&self, app: &str) {
        let port = self.socket.local_addr().unwrap().port();
        let offer = format!(
            "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        );
        let uri = format!("sip:{app}@media.invalid");
        self.send("INVITE", &uri, &format!("<{uri}>"), 1, &offer).await;
    }

    /// The next message that is not 100.
    async fn hear(&mut self) -> Message {
        loop {
            let (at, bytes) = timeout(PATIENCE, self.from.recv()).await.unwrap().unwrap();
            assert_eq!(at, flow(), "flows are the proxy's");
            let message = Message::parse(bytes).unwrap();
            if message.status() != Some(100) {
                return message;
            }
        }
    }

    /// The media address in a description.
    fn media(message: &Message) -> SocketAddr {
        sdp_proto::Sdp::parse_bytes(&message.body()).unwrap().rtp_address(0).unwrap()
    }

    async fn packet(&self) -> (RtpHeader, Vec<i16>) {
        packet(&self.socket).await
    }

    async fn speak(&mut self, to: SocketAddr, samples: &[i16]) {
        self.sequence += 1;
        let header = RtpHeader { sequence: self.sequence, ssrc: 77, ..RtpHeader::default() };
        let mut packet = header.to_bytes().to_vec();
        packet.extend(samples.iter().map(|sample| Law::Mu.encode(*sample)));
        self.socket.send_to(&packet, to).await.unwrap();
    }
}

/// The next packet on a socket, decoded.
async fn packet(socket: &UdpSocket) -> (RtpHeader, Vec<i16>) {
    let mut buffer = [0; 2_048];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    let header = RtpHeader::parse(&buffer[..length]).unwrap();
    let payload = header.payload(&buffer[..length]).unwrap();
    (header, payload.iter().map(|byte| Law::Mu.decode(*byte)).collect())
}

/// What the caller says comes back without a gap, after the beep and at an even pace.
#[tokio::test]
async fn the_echo_gives_back_what_the_caller_says() {
    let mut caller = Caller::new(27_100).await;
    caller.invite("echo").await;
    let ok = caller.hear().await;
    assert_eq!(ok.status(), Some(200));
    let (media, target) = (Caller::media(&ok), ok.contact().unwrap().uri.to_string());
    let to = ok.to().unwrap().to_string();
    caller.send("ACK", &target, &to, 1, "").await;
    let voice = Tone::repeating(&[440.0], -10.0, 5_000, 0).samples(RATE_HZ);
    let (mut heard, mut began) = (vec![], None);
    // Each packet of theirs is our tick: so we speak at their pace, as a phone at its own.
    for frame in voice.chunks(160).take(150) {
        let (_, samples) = caller.packet().await;
        began.get_or_insert_with(Instant::now);
        heard.extend(samples);
        caller.speak(media, frame).await;
    }
    let paced = began.unwrap().elapsed();
    assert!((2_900..6_000).contains(&paced.as_millis()), "150 packets of 20 ms took {paced:?}");
    assert!(tone_share(&heard[..1_600], 1_000.0, RATE_HZ) > 0.95, "the beep");
    let loud = heard[1_600..].iter().position(|sample| sample.unsigned_abs() > 500).unwrap() + 1_600;
    assert!(loud < 1_600 + 1_600, "the echo begins within 200 ms");
    let echo = &heard[loud..];
    assert!(tone_share(echo, 440.0, RATE_HZ) > 0.9, "{}", tone_share(echo, 440.0, RATE_HZ));
    // On an idle machine there is no gap at all; a busy one may hold up our own packets.
    assert_eq!(silence_runs(echo, 50, 1_200), [], "no gap of 150 ms");
    caller.send("BYE", &target, &to, 2, "").await;
    assert_eq!(caller.hear().await.status(), Some(200));
    caller.role.stop().await;
}

/// Tones, speech, then the refusal: all before any answer.
#[tokio::test]
async fn an_unknown_number_is_announced_before_it_is_refused() {
    let mut caller = Caller::new(27_200).await;
    caller.invite("not-in-service").await;
    let early = caller.hear().await;
    assert_eq!(early.status(), Some(183));
    let mut heard = vec![];
    let end = loop {
        tokio::select! {
            biased;
            (_, samples) = packet(&caller.socket) => heard.extend(samples),
            Some((_, bytes)) = caller.from.recv() => break Message::parse(bytes).unwrap(),
        }
    };
    assert_eq!(end.status(), Some(404));
    assert_eq!(end.header(HeaderName::Reason), Some(r#"Q.850;cause=1;text="Unallocated number""#));
    for (n, hz) in [950.0, 1_400.0, 1_800.0].into_iter().enumerate() {
        assert!(tone_share(&heard[n * 2_640..][..2_640], hz, RATE_HZ) > 0.95, "{hz} Hz");
    }
    let speech = &heard[3 * 2_640 + 8_000..];
    assert!(speech.len() > 4 * 8_000 && level_dbm0(speech) > -26.0, "{} samples", speech.len());
    caller.role.stop().await;
}

/// When the proxy goes away, or the role is stopped, running legs are hung up.
#[tokio::test]
async fn stopping_sends_bye() {
    let mut caller = Caller::new(27_300).await;
    caller.invite("echo").await;
    let ok = caller.hear().await;
    caller.send("ACK", &ok.contact().unwrap().uri.to_string(), &ok.to().unwrap().to_string(), 1, "").await;
    caller.packet().await;
    let Caller { role, mut from, .. } = caller;
    role.stop().await;
    let (_, bytes) = from.recv().await.unwrap();
    assert_eq!(Message::parse(bytes).unwrap().method().as_str(), "BYE");
}

#[test]
fn a_wrong_setting_is_named() {
    let (_, inbound) = mpsc::channel(1);
    let (outbound, _) = mpsc::channel(1);
    let config = Config { sessions_max: 0, ..Config::default() };
    let deps = Deps { inbound, outbound, media_address: Ipv4Addr::LOCALHOST.into() };
    let error = media_server::start(config, deps).err().unwrap();
    assert!(error.to_string().starts_with("media_server.sessions_max"), "{error}");
}
