//! The user agent on a virtual clock, with a caller made of text and media that is only named.
#![allow(clippy::unwrap_used)]

use sip_proto::{HeaderName, Message, Transport};

use super::*;

const OFFER: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

struct Bench {
    agent: Agent,
    now: Instant,
    sent: Vec<Message>,
    started: Vec<(LegId, Wire)>,
    updated: Vec<(LegId, Wire)>,
    stopped: Vec<LegId>,
    sockets: bool,
    sequence: u32,
}

fn flow() -> Flow {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Flow { transport: Transport::Memory, local: at(5070), peer: at(5060), connection: 1 }
}

impl Bench {
    fn new() -> Self {
        let limits = Limits { legs_max: 2, leg_max: Duration::from_secs(3_600) };
        let agent = Agent::new(limits, Apps::load().unwrap(), Random::from_seed(1));
        let (sent, started, updated, stopped) = (vec![], vec![], vec![], vec![]);
        Self { agent, now: Instant::now(), sent, started, updated, stopped, sockets: true, sequence: 0 }
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll_output() {
            match output {
                Output::Transmit { flow: to, bytes } => {
                    assert_eq!(to, flow());
                    self.sent.push(Message::parse(bytes).unwrap());
                }
                Output::OpenMedia { leg } if self.sockets => {
                    self.agent.media_opened(self.now, leg, "127.0.0.1:28000".parse().unwrap());
                }
                Output::OpenMedia { leg } => self.agent.media_refused(self.now, leg),
                Output::StartMedia { leg, wire, .. } => self.started.push((leg, wire)),
                Output::UpdateMedia { leg, wire } => self.updated.push((leg, wire)),
                Output::StopMedia { leg } => self.stopped.push(leg),
            }
        }
    }

    fn say(&mut self, text: String) {
        self.agent.receive(self.now, flow(), Bytes::from(text));
        self.drain();
    }

    /// A request of call `call`; in a dialog when `to` has a tag.
    fn request(&mut self, method: &str, uri: &str, call: &str, to: &str, more: &str, body: &str) {
        self.sequence += 1;
        let number = if method == "ACK" || method == "CANCEL" { self.sequence - 1 } else { self.sequence };
        self.sequence = number;
        let branch = if method == "CANCEL" || method != "ACK" { number } else { number + 1_000 };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        self.say(format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK{call}{branch}\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@test>;tag=a\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:alice@127.0.0.1:5060;transport=tcp>\r\n{kind}{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    }

    fn invite(&mut self, user: &str, call: &str, body: &str) {
        let uri = format!("sip:{user}@media.invalid");
        self.request("INVITE", &uri, call, &format!("<{uri}>"), "", body);
    }

    fn last(&self) -> &Message {
        self.sent.last().unwrap()
    }

    fn statuses(&self) -> Vec<u16> {
        self.sent.iter().filter_map(Message::status).collect()
    }

    /// In the dialog that the latest response to an INVITE made.
    fn in_dialog(&mut self, method: &str, call: &str, body: &str) {
        let made = self.sent.iter().rev().find(|m| m.header(HeaderName::Contact).is_some() && m.call_id() == call);
        let made = made.unwrap();
        let (to, target) = (made.to().unwrap().to_string(), made.contact().unwrap().uri.to_string());
        self.request(method, &target, call, &to, "", body);
    }

    fn echo(&mut self) -> LegId {
        self.invite("echo", "c1", OFFER);
        self.in_dialog("ACK", "c1", "");
        self.started[0].0
    }
}

#[test]
fn echo_is_answered_with_the_callers_first_codec_and_ends_with_bye() {
    let mut bench = Bench::new();
    let leg = bench.echo();
    let ok = bench.last().clone();
    assert_eq!(ok.status(), Some(200));
    let body = String::from_utf8(ok.body().to_vec()).unwrap();
    assert!(body.contains("m=audio 28000 RTP/AVP 8 101\r\n") && body.contains("c=IN IP4 127.0.0.1\r\n"), "{body}");
    assert!(ok.contact().unwrap().uri.to_string().starts_with("sip:echo@127.0.0.1:5070"));
    let (_, wire) = bench.started[0];
    assert_eq!((wire.remote.to_string(), wire.payload_type), ("192.0.2.1:4000".to_owned(), 8));
    assert_eq!((bench.agent.legs(), bench.stopped.len()), (1, 0));
    bench.in_dialog("BYE", "c1", "");
    assert_eq!(bench.last().status(), Some(200));
    assert_eq!((bench.agent.legs(), bench.stopped.clone()), (0, vec![leg]));
}

#[test]
fn not_in_service_is_early_media_then_404_with_the_cause() {
    let mut bench = Bench::new();
    bench.invite("not-in-service", "c1", OFFER);
    let early = bench.last();
    assert_eq!((early.status(), early.body().is_empty()), (Some(183), false));
    assert!(early.to().unwrap().tag().is_some());
    let leg = bench.started[0].0;
    bench.agent.media_event(bench.now, leg, MediaEvent::Finished);
    bench.drain();
    let end = bench.last();
    assert_eq!(end.status(), Some(404));
    assert_eq!(end.header(HeaderName::Reason), Some(r#"Q.850;cause=1;text="Unallocated number""#));
    assert_eq!(end.reason_cause("Q.850"), Some(1));
    assert_eq!((bench.agent.legs(), bench.stopped.clone()), (0, vec![leg]));
}

#[test]
fn without_an_offer_not_in_service_is_404_at_once() {
    let mut bench = Bench::new();
    bench.invite("not-in-service", "c1", "");
    assert_eq!((bench.statuses(), bench.last().reason_cause("Q.850")), (vec![404], Some(1)));
    assert!(bench.started.is_empty());
}

#[test]
fn rfc3261_9_2_cancel_during_the_announcement_ends_with_487() {
    let mut bench = Bench::new();
    bench.invite("not-in-service", "c1", OFFER);
    bench.request("CANCEL", "sip:not-in-service@media.invalid", "c1", "<sip:not-in-service@media.invalid>", "", "");
    assert_eq!(bench.statuses(), [183, 200, 487]);
    assert_eq!((bench.agent.legs(), bench.stopped.len()), (0, 1));
    bench.agent.media_event(bench.now, 1, MediaEvent::Finished);
    bench.drain();
    assert_eq!(bench.sent.len(), 3, "an event of a leg that is gone changes nothing");
}

#[test]
fn rfc3261_13_2_1_an_invite_without_offer_gets_ours_and_the_ack_answers() {
    let mut bench = Bench::new();
    bench.invite("echo", "c1", "");
    let offer = String::from_utf8(bench.last().body().to_vec()).unwrap();
    assert!(offer.contains("m=audio 28000 RTP/AVP 0 8 101\r\n"), "{offer}");
    assert!(bench.started.is_empty());
    bench.in_dialog("ACK", "c1", &OFFER.replace("AVP 8 0 101", "AVP 0 101"));
    assert_eq!(bench.started[0].1.payload_type, 0);
    let mut silent = Bench::new();
    silent.invite("echo", "c1", "");
    silent.in_dialog("ACK", "c1", "");
    assert_eq!(silent.last().method(), Method::Bye, "no answer, no call");
    assert_eq!(silent.agent.legs(), 0);
}

#[test]
fn what_cannot_be_served_has_its_status() {
    let video = OFFER.replace("audio", "video");
    let cases: [(&str, &str, &str, u16); 6] = [
        ("nobody", "", OFFER, 404),
        ("echo", "Require: 100rel\r\n", OFFER, 420),
        ("echo", "", &video, 488),
        ("echo", "", "v=0\r\nx", 400),
        ("echo", "Content-Encoding: gzip\r\n", "", 200),
        ("ECHO", "", OFFER, 200),
    ];
    for (user, more, body, status) in cases {
        let mut bench = Bench::new();
        let uri = format!("sip:{user}@media.invalid");
        bench.request("INVITE", &uri, "c1", &format!("<{uri}>"), more, body);
        assert_eq!(bench.last().status(), Some(status), "{user} {more} {body}");
        assert_eq!(bench.agent.legs(), usize::from(status == 200));
    }
    let mut bench = Bench::new();
    bench.request("SUBSCRIBE", "sip:echo@media.invalid", "c1", "<sip:echo@media.invalid>", "", "");
    assert_eq!((bench.last().status(), bench.last().header(HeaderName::Allow)), (Some(405), Some(ALLOW)));
    bench.request("BYE", "sip:echo@media.invalid", "c2", "<sip:echo@media.invalid>;tag=x", "", "");
    assert_eq!(bench.last().status(), Some(481));
    bench.request("OPTIONS", "sip:echo@media.invalid", "c3", "<sip:echo@media.invalid>", "", "");
    assert_eq!(bench.last().status(), Some(200));
}

#[test]
fn a_full_house_and_a_machine_without_ports_say_503_with_retry_after() {
    let mut bench = Bench::new();
    for call in ["c1", "c2", "c3"] {
        bench.invite("echo", call, OFFER);
    }
    assert_eq!(bench.statuses(), [200, 200, 503]);
    assert!(bench.last().header(HeaderName::RetryAfter).is_some());
    let mut bench = Bench::new();
    bench.sockets = false;
    bench.invite("echo", "c1", OFFER);
    assert_eq!((bench.statuses(), bench.agent.legs()), (vec![503], 0));
}

#[test]
fn hold_and_a_new_address_reach_the_media() {
    let mut bench = Bench::new();
    bench.echo();
    bench.in_dialog("INVITE", "c1", &format!("{}a=sendonly\r\n", OFFER.replace("4000", "4002")));
    let body = String::from_utf8(bench.last().body().to_vec()).unwrap();
    assert!(body.contains("a=recvonly") && body.contains("m=audio 28000"), "{body}");
    let (_, wire) = bench.updated[0];
    assert_eq!((wire.remote.port(), wire.direction), (4002, sdp_proto::Direction::RecvOnly));
    bench.in_dialog("ACK", "c1", "");
    bench.in_dialog("INVITE", "c1", &OFFER.replace("audio", "video"));
    assert_eq!((bench.last().status(), bench.agent.legs()), (Some(488), 1));
}

#[test]
fn silence_and_the_longest_time_end_a_leg_with_bye() {
    let mut bench = Bench::new();
    let leg = bench.echo();
    bench.agent.media_event(bench.now, leg, MediaEvent::Silent);
    bench.drain();
    let bye = bench.last();
    assert_eq!((bye.method(), bye.request_uri_text()), (Method::Bye, "sip:alice@127.0.0.1:5060;transport=tcp"));
    assert_eq!((bench.agent.legs(), bench.stopped.clone()), (0, vec![leg]));
    let mut bench = Bench::new();
    bench.echo();
    bench.now += Duration::from_secs(3_600);
    bench.agent.handle_timeout(bench.now);
    bench.drain();
    assert_eq!((bench.last().method(), bench.agent.legs()), (Method::Bye, 0));
}

#[test]
fn rfc3261_13_3_1_4_a_200_without_ack_is_given_up_with_bye() {
    let mut bench = Bench::new();
    bench.invite("echo", "c1", OFFER);
    let end = bench.now + Duration::from_secs(40);
    while let Some(due) = bench.agent.poll_timeout().filter(|due| *due < end) {
        bench.now = due;
        bench.agent.handle_timeout(due);
        bench.drain();
    }
    let bye = bench.sent.iter().position(|message| message.is_request()).unwrap();
    assert_eq!(bench.sent[bye].method(), Method::Bye);
    assert_eq!((bench.agent.legs(), bench.stopped.len()), (0, 1));
}

#[test]
fn stopping_hangs_up_on_everybody() {
    let mut bench = Bench::new();
    bench.echo();
    bench.invite("not-in-service", "c2", OFFER);
    bench.agent.hang_up_all(bench.now);
    bench.drain();
    let ends: Vec<_> = bench.sent[bench.sent.len() - 2..].iter().map(|m| (m.is_request(), m.status())).collect();
    assert_eq!(ends, [(true, None), (false, Some(480))]);
    assert_eq!((bench.agent.legs(), bench.stopped.len()), (0, 2));
}
