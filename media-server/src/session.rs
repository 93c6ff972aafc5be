//! The media of one leg, as a machine: packets and ticks of 20 ms in, packets and at most one event out.
//!
//! The stream that we send never stops while the leg may hear us: sound, then echo or silence, each tick one packet with
//! the timestamp of that tick (RFC 3550 §5.1). No RTCP is sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use audio::g711::Law;
use base::Random;
use rtp_proto::header::FIXED_BYTES;
use rtp_proto::{Evidence, Latch, LatchConfig, RtpHeader, Verdict};
use sdp_proto::Direction;

use crate::app::{Script, Then};

/// Time between packets.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// Samples, and with G.711 bytes, of a packet.
const FRAME: usize = 160;
/// One whole packet.
pub(crate) const PACKET_BYTES: usize = FIXED_BYTES + FRAME;
/// What is gathered before the echo begins, so that packets that come unevenly do not tear it: 40 ms.
const ECHO_BEGINS_AT: usize = 2 * FRAME;
/// Longest echo delay, 200 ms; beyond it the oldest is dropped.
const ECHO_MAX: usize = 10 * FRAME;

/// How both sides talk, from their descriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) remote: SocketAddr,
    pub(crate) law: Law,
    pub(crate) payload_type: u8,
    /// Our direction.
    pub(crate) direction: Direction,
}

/// What the agent must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaEvent {
    /// The script has come to its end.
    Finished,
    /// No media came for too long.
    Silent,
}

#[derive(Debug, Clone)]
pub(crate) struct Session {
    wire: Wire,
    latch: Latch,
    script: Script,
    /// How much of the opening was played, samples.
    played: usize,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Whether the next packet begins a talk spurt.
    begins: bool,
    /// SSRC and sequence number of the latest packet taken.
    heard: Option<(u32, u16)>,
    heard_at: Instant,
    silence_max: Duration,
    echo: VecDeque<u8>,
    echoing: bool,
    /// Whether the one event was given.
    told: bool,
}

impl Session {
    pub(crate) fn new(now: Instant, wire: Wire, script: Script, silence_max: Duration, random: &mut Random) -> Self {
        let mut session = Self {
            wire,
            latch: Latch::new(LatchConfig::default()),
            script,
            played: 0,
            ssrc: random.u32(),
            sequence: random.u32() as u16,
            timestamp: random.u32(),
            begins: true,
            heard: None,
            heard_at: now,
            silence_max,
            echo: VecDeque::new(),
            echoing: false,
            told: false,
        };
        session.update(now, wire);
        session
    }

    /// Goes on with what a new description says.
    pub(crate) fn update(&mut self, now: Instant, wire: Wire) {
        if wire.law != self.wire.law {
            self.echo.clear();
            self.echoing = false;
        }
        self.begins |= wire.direction.sends() != self.wire.direction.sends();
        self.wire = wire;
        self.latch.signal(wire.remote, None, wire.remote.ip(), false);
        self.heard_at = now;
    }

    /// Takes a datagram; what is not audio of this leg is dropped.
    pub(crate) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Ok(header) = RtpHeader::parse(datagram) else { return };
        let evidence = Evidence { ssrc: header.ssrc, sequence: header.sequence, authenticated: false };
        if self.latch.receive(now, from, evidence) == Verdict::Refuse {
            return;
        }
        self.heard_at = now;
        let late = self.heard.is_some_and(|(ssrc, last)| {
            ssrc == header.ssrc && !(1..0x8000).contains(&header.sequence.wrapping_sub(last))
        });
        if late || header.payload_type != self.wire.payload_type {
            return;
        }
        self.heard = Some((header.ssrc, header.sequence));
        let opened = self.played >= self.script.opening.len();
        if let (Then::Echo, true, Ok(payload)) = (self.script.then, opened, header.payload(datagram)) {
            self.echo.extend(payload);
            let excess = self.echo.len().saturating_sub(ECHO_MAX);
            self.echo.drain(..excess);
        }
    }

    /// The packet of this tick and where it goes; nothing while we may not send or know nowhere to.
    pub(crate) fn tick(&mut self, packet: &mut [u8; PACKET_BYTES]) -> Option<SocketAddr> {
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        if !self.wire.direction.sends() || self.is_over() {
            self.begins = true;
            return None;
        }
        let (head, frame) = packet.split_at_mut(FIXED_BYTES);
        self.fill(frame);
        let header = RtpHeader {
            marker: std::mem::take(&mut self.begins),
            payload_type: self.wire.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..RtpHeader::default()
        };
        head.copy_from_slice(&header.to_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.latch.destination()
    }

    /// The sound of this tick.
    fn fill(&mut self, frame: &mut [u8]) {
        let law = self.wire.law;
        frame.fill(law.silence());
        let rest = &self.script.opening[self.played..];
        if !rest.is_empty() {
            self.played += law.encode_slice(rest, frame);
        } else if self.script.then == Then::Echo {
            self.echoing = self.echo.len() >= if self.echoing { FRAME } else { ECHO_BEGINS_AT };
            if self.echoing {
                frame.iter_mut().zip(self.echo.drain(..FRAME)).for_each(|(out, byte)| *out = byte);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.played >= self.script.opening.len() && matches!(self.script.then, Then::End(_))
    }

    /// What happened, once. Silence counts only where we are to hear something.
    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<MediaEvent> {
        let listens = self.wire.direction.receives() && self.script.then == Then::Echo;
        let silent = listens && now.saturating_duration_since(self.heard_at) >= self.silence_max;
        let event = if self.is_over() {
            MediaEvent::Finished
        } else if silent {
            MediaEvent::Silent
        } else {
            return None;
        };
        (!std::mem::replace(&mut self.told, true)).then_some(event)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
