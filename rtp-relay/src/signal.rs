//! Sounds that the relay plays itself, over the media that passes: the samples of a G.711 packet are replaced, so that source,
//! sequence and timestamps stay the peer's. When the peer sends nothing, packets are made.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use audio::Tone;
use audio::g711::Law;
use base::Random;
use rtp_proto::RtpHeader;

/// The law of a static payload type (RFC 3551 §6).
pub(crate) const fn law_of(payload_type: u8) -> Option<Law> {
    match payload_type {
        0 => Some(Law::Mu),
        8 => Some(Law::A),
        _ => None,
    }
}

/// A beep; pauses have the same length.
const BEEP_MS: u32 = 150;
const BEEP_SAMPLES: usize = (audio::RATE_HZ * BEEP_MS / 1_000) as usize;
const BEEP_HZ: f64 = 1_400.0;
/// Clearly heard over speech, and no pain.
const BEEP_LEVEL_DBM0: f64 = -13.0;
const BEEPS: usize = 3;
const TOTAL_SAMPLES: usize = BEEP_SAMPLES * (2 * BEEPS - 1);
/// Samples of a packet of our own: 20 ms.
const PACKET_SAMPLES: usize = 160;
/// A peer that has been silent for that long gets its packets made.
const PEER_SILENCE: Duration = Duration::from_millis(100);
/// How far apart packets of our own are.
const PACKET_TIME: Duration = Duration::from_millis(20);

/// One beep in both laws.
static BEEP: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let samples = Tone::beep(BEEP_HZ, BEEP_LEVEL_DBM0, BEEP_MS).samples(audio::RATE_HZ);
    [Law::Mu, Law::A].map(|law| samples.iter().map(|sample| law.encode(*sample)).collect())
});

/// A signal being played into a leg.
#[derive(Debug)]
pub(crate) struct Playing {
    law: Law,
    /// Samples played.
    position: usize,
    /// When a packet of our own is due, should the peer not send.
    due: Instant,
    own: RtpHeader,
}

impl Playing {
    pub(crate) fn new(now: Instant, law: Law, random: &mut Random) -> Self {
        // The first use makes the table; not in the middle of the packet path.
        LazyLock::force(&BEEP);
        let own = RtpHeader {
            marker: true,
            payload_type: if law == Law::Mu { 0 } else { 8 },
            sequence: random.u32() as u16 & 0x7fff,
            timestamp: random.u32(),
            ssrc: random.u32(),
            ..RtpHeader::default()
        };
        Self { law, position: 0, due: now + PEER_SILENCE, own }
    }

    /// Whether it is over.
    pub(crate) const fn is_over(&self) -> bool {
        self.position >= TOTAL_SAMPLES
    }

    /// When it wants to be asked for a packet.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Puts the signal over a packet of the peer on its way to the leg. In pauses, and over other codecs, the packet stays.
    pub(crate) fn overlay(&mut self, now: Instant, header: &RtpHeader, packet: &mut [u8]) {
        let (Some(law), Ok(range)) = (law_of(header.payload_type), header.payload_range(packet)) else { return };
        for (n, byte) in packet[range.clone()].iter_mut().enumerate() {
            *byte = sample(law, self.position + n).unwrap_or(*byte);
        }
        self.position += range.len();
        self.due = now + PEER_SILENCE;
    }

    /// The packet that is due, since the peer sent none; nothing in pauses. Returns its length.
    pub(crate) fn make(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        let packet = buffer.get_mut(..12 + PACKET_SAMPLES)?;
        packet[..12].copy_from_slice(&self.own.to_bytes());
        let mut sounds = false;
        for (n, byte) in packet[12..].iter_mut().enumerate() {
            let sample = sample(self.law, self.position + n);
            sounds |= sample.is_some();
            *byte = sample.unwrap_or(self.law.silence());
        }
        self.position += PACKET_SAMPLES;
        self.due = (self.due + PACKET_TIME).max(now);
        self.own.timestamp = self.own.timestamp.wrapping_add(PACKET_SAMPLES as u32);
        if !sounds {
            self.own.marker = true;
            return None;
        }
        self.own.sequence = self.own.sequence.wrapping_add(1);
        self.own.marker = false;
        Some(12 + PACKET_SAMPLES)
    }
}

/// The sample at a place of the signal; none in pauses.
fn sample(law: Law, position: usize) -> Option<u8> {
    let (round, within) = (position / BEEP_SAMPLES, position % BEEP_SAMPLES);
    let beep = &BEEP[usize::from(law == Law::A)];
    if round % 2 == 0 && position < TOTAL_SAMPLES { beep.get(within).copied() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn three_beeps_are_put_over_the_peers_packets_and_pauses_are_left() {
        let now = Instant::now();
        let mut playing = Playing::new(now, Law::A, &mut Random::from_seed(1));
        let mut runs: Vec<bool> = vec![];
        while !playing.is_over() {
            let header = RtpHeader { payload_type: 8, ..RtpHeader::default() };
            let mut packet = header.to_bytes().to_vec();
            packet.resize(12 + 160, 1);
            playing.overlay(now, &header, &mut packet);
            assert_eq!(packet[..12], header.to_bytes());
            let sounds = packet[12..].iter().any(|b| *b != 1);
            if runs.last() != Some(&sounds) {
                runs.push(sounds);
            }
        }
        assert!(runs.starts_with(&[true, false, true, false, true]), "{runs:?}");
    }

    #[test]
    fn without_a_peer_packets_are_made_every_20_ms() {
        let now = Instant::now();
        let mut playing = Playing::new(now, Law::Mu, &mut Random::from_seed(1));
        let (mut buffer, mut made, mut last) = ([0u8; 200], vec![], None);
        while !playing.is_over() {
            let due = playing.due();
            if let Some(before) = last {
                assert_eq!(due - before, PACKET_TIME);
            }
            last = Some(due);
            if let Some(length) = playing.make(due, &mut buffer) {
                made.push(RtpHeader::parse(&buffer[..length]).unwrap());
            }
        }
        assert_eq!(made.iter().filter(|header| header.marker).count(), 3);
        assert!(made.windows(2).all(|w| w[1].sequence == w[0].sequence + 1 && w[0].ssrc == w[1].ssrc));
        assert!((22..=27).contains(&made.len()), "{}", made.len());
    }
}
