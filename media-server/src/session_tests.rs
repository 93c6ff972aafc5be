//! The media of one leg on a virtual clock.
#![allow(clippy::unwrap_used)]

use audio::{RATE_HZ, Tone, tone_share};

use super::*;
use crate::app::{App, Apps};

const REMOTE: &str = "192.0.2.1:4000";
const SILENCE: Duration = Duration::from_secs(30);

struct Bench {
    session: Session,
    now: Instant,
    sequence: u16,
}

fn app(name: &str) -> App {
    Apps::load().unwrap().find(name).unwrap().clone()
}

fn wire() -> Wire {
    Wire { remote: REMOTE.parse().unwrap(), law: Law::Mu, payload_type: 0, direction: Direction::SendRecv }
}

impl Bench {
    fn new(name: &str) -> Self {
        let now = Instant::now();
        let session = Session::new(now, wire(), app(name).script, SILENCE, &mut Random::from_seed(3));
        Self { session, now, sequence: 7 }
    }

    fn hear(&mut self, from: &str, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        self.hear_numbered(from, self.sequence, payload);
    }

    fn hear_numbered(&mut self, from: &str, sequence: u16, payload: &[u8]) {
        let mut packet = RtpHeader { sequence, ssrc: 9, ..RtpHeader::default() }.to_bytes().to_vec();
        packet.extend_from_slice(payload);
        self.session.receive(self.now, from.parse().unwrap(), &packet);
    }

    /// One tick: header and payload.
    fn tick(&mut self) -> Option<(RtpHeader, Vec<u8>)> {
        self.now += TICK;
        let mut packet = [0; PACKET_BYTES];
        let to = self.session.tick(&mut packet)?;
        assert_eq!(to, REMOTE.parse().unwrap());
        let header = RtpHeader::parse(&packet).unwrap();
        Some((header, header.payload(&packet).unwrap().to_vec()))
    }

    /// Everything said in that many ticks, as samples.
    fn listen(&mut self, ticks: usize) -> Vec<i16> {
        let frames = (0..ticks).filter_map(|_| self.tick());
        frames.flat_map(|(_, payload)| payload.into_iter().map(|byte| Law::Mu.decode(byte))).collect()
    }
}

#[test]
fn the_echo_begins_with_a_beep_and_gives_back_what_came_40_ms_later() {
    let mut bench = Bench::new("echo");
    let beep = bench.listen(10);
    assert!(tone_share(&beep, 1_000.0, RATE_HZ) > 0.95);
    let spoken = Tone::beep(440.0, -10.0, 400).samples(RATE_HZ);
    let mut bytes = vec![0; spoken.len()];
    Law::Mu.encode_slice(&spoken, &mut bytes);
    let mut said = vec![];
    for frame in bytes.chunks(FRAME) {
        bench.hear(REMOTE, frame);
        said.extend(bench.tick().unwrap().1);
    }
    said.extend(bench.tick().unwrap().1);
    assert!(said[..FRAME].iter().all(|byte| *byte == Law::Mu.silence()));
    assert_eq!(said[FRAME..], bytes[..]);
}

#[test]
fn rfc3550_5_1_sequence_and_timestamp_grow_evenly_and_only_the_first_packet_is_marked() {
    let mut bench = Bench::new("echo");
    let (first, _) = bench.tick().unwrap();
    assert!(first.marker);
    for n in 1..50u16 {
        let (header, payload) = bench.tick().unwrap();
        assert_eq!(header.sequence, first.sequence.wrapping_add(n));
        assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 160));
        assert_eq!((header.ssrc, header.marker, payload.len()), (first.ssrc, false, 160));
    }
}

#[test]
fn uneven_packets_of_any_length_are_echoed_whole_and_in_order() {
    let mut bench = Bench::new("echo");
    bench.listen(10);
    let bytes: Vec<u8> = (0..4_800u32).map(|n| (n % 251) as u8).collect();
    let mut said = vec![];
    for frame in bytes.chunks(480) {
        bench.hear(REMOTE, &frame[..240]);
        bench.hear(REMOTE, &frame[240..]);
        (0..3).for_each(|_| said.extend(bench.tick().unwrap().1));
    }
    assert_eq!(said, bytes);
}

#[test]
fn late_and_repeated_packets_other_payloads_and_strangers_are_not_echoed() {
    let mut bench = Bench::new("echo");
    bench.listen(10);
    bench.hear_numbered(REMOTE, 100, &[1; 160]);
    bench.hear_numbered(REMOTE, 100, &[2; 160]);
    bench.hear_numbered(REMOTE, 99, &[3; 160]);
    bench.hear_numbered("198.51.100.9:4000", 101, &[4; 160]);
    let mut event = RtpHeader { sequence: 101, ssrc: 9, payload_type: 101, ..RtpHeader::default() }.to_bytes().to_vec();
    event.extend([5; 4]);
    bench.session.receive(bench.now, REMOTE.parse().unwrap(), &event);
    bench.hear_numbered(REMOTE, 102, &[6; 160]);
    let said: Vec<u8> = (0..3).flat_map(|_| bench.tick().unwrap().1).collect();
    assert_eq!(said[..160], [1; 160]);
    assert_eq!(said[160..320], [6; 160]);
    assert_eq!(said[320..], [Law::Mu.silence(); 160]);
}

#[test]
fn a_burst_does_not_delay_the_echo_for_ever() {
    let mut bench = Bench::new("echo");
    bench.listen(10);
    (0..100).for_each(|n| bench.hear(REMOTE, &[n; 160]));
    assert_eq!(bench.tick().unwrap().1, [90; 160]);
}

#[test]
fn an_announcement_is_the_tones_of_e180_then_speech_then_the_end_once() {
    let mut bench = Bench::new("not-in-service");
    let opening = app("not-in-service").script.opening;
    let ticks = opening.len().div_ceil(FRAME);
    assert_eq!(bench.session.poll_event(bench.now), None);
    let heard = bench.listen(ticks);
    for (n, hz) in [950.0, 1_400.0, 1_800.0].into_iter().enumerate() {
        assert!(tone_share(&heard[n * 2_640..][..2_640], hz, RATE_HZ) > 0.95, "{hz} Hz");
    }
    assert!(audio::level_dbm0(&heard[3 * 2_640 + 8_000..]) > -30.0, "speech follows");
    assert_eq!(bench.session.poll_event(bench.now), Some(MediaEvent::Finished));
    assert_eq!(bench.session.poll_event(bench.now), None);
    assert_eq!(bench.tick(), None);
}

#[test]
fn silence_ends_an_echo_but_not_one_that_is_on_hold_nor_an_announcement() {
    let mut bench = Bench::new("echo");
    bench.listen(10);
    bench.hear(REMOTE, &[1; 160]);
    assert_eq!(bench.session.poll_event(bench.now + SILENCE - TICK), None);
    let mut held = bench.session.clone();
    held.update(bench.now, Wire { direction: Direction::SendOnly, ..wire() });
    assert_eq!(held.poll_event(bench.now + SILENCE), None);
    assert_eq!(bench.session.poll_event(bench.now + SILENCE), Some(MediaEvent::Silent));
    assert_eq!(bench.session.poll_event(bench.now + SILENCE), None);
    let mut announcement = Bench::new("not-in-service");
    assert_eq!(announcement.session.poll_event(announcement.now + SILENCE), None);
}

#[test]
fn nothing_is_sent_while_the_other_does_not_listen_and_the_opening_waits() {
    let mut bench = Bench::new("echo");
    let (before, _) = bench.tick().unwrap();
    bench.session.update(bench.now, Wire { direction: Direction::RecvOnly, ..wire() });
    assert!((0..5).all(|_| bench.tick().is_none()));
    bench.session.update(bench.now, wire());
    let (after, _) = bench.tick().unwrap();
    assert!(after.marker && after.sequence == before.sequence.wrapping_add(1));
    assert_eq!(after.timestamp, before.timestamp.wrapping_add(6 * 160), "time went on");
    assert!(tone_share(&bench.listen(8), 1_000.0, RATE_HZ) > 0.95, "the beep goes on");
}

#[test]
fn a_law_sounds_like_the_original() {
    let mut bench = Bench::new("echo");
    bench.session.update(bench.now, Wire { law: Law::A, payload_type: 8, ..wire() });
    let (header, payload) = bench.tick().unwrap();
    assert_eq!(header.payload_type, 8);
    let samples: Vec<i16> = payload.into_iter().map(|byte| Law::A.decode(byte)).collect();
    assert!(tone_share(&samples, 1_000.0, RATE_HZ) > 0.95);
}
