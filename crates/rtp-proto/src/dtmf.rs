//! Telephone events (RFC 4733): the four-byte payload, a receiver that turns packets into key presses, and a sender that
//! turns a key press into packets. In-band tones are `audio`'s.

use crate::error::{RtpError, malformed};

/// How often the last packet of an event is sent (RFC 4733 §2.5.1.4).
pub const END_PACKETS: u8 = 3;

/// One event payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Event code: 0-9, 10 `*`, 11 `#`, 12-15 A-D, 16 hook flash.
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// Power level in -dBm0, 0-63.
    pub volume: u8,
    /// How long it lasts so far, timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads the first event of a payload; further ones (RFC 4733 §2.5.1.5) carry other events' tails and are not needed.
    pub fn parse(payload: &[u8]) -> Result<Self, RtpError> {
        match payload.first_chunk::<4>() {
            Some(&[event, flags, high, low]) => Ok(Self {
                event,
                end: flags & 0x80 != 0,
                volume: flags & 0x3f,
                duration: u16::from_be_bytes([high, low]),
            }),
            None => Err(malformed("telephone event: 4 bytes", payload.len())),
        }
    }

    /// The payload.
    pub const fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, if self.end { 0x80 } else { 0 } | (self.volume & 0x3f), high, low]
    }
}

/// The key of an event code.
pub const fn key_of(event: u8) -> Option<char> {
    match event {
        0..=9 => Some((b'0' + event) as char),
        10 => Some('*'),
        11 => Some('#'),
        12..=15 => Some((b'A' + event - 12) as char),
        _ => None,
    }
}

/// The event code of a key.
pub const fn event_of(key: char) -> Option<u8> {
    match key {
        '0'..='9' => Some(key as u8 - b'0'),
        '*' => Some(10),
        '#' => Some(11),
        'A'..='D' => Some(key as u8 - b'A' + 12),
        'a'..='d' => Some(key as u8 - b'a' + 12),
        _ => None,
    }
}

/// What a receiver has to say about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// A key went down.
    Pressed(u8),
    /// It came up after so many timestamp units.
    Released(u8, u16),
}

/// Turns event packets into key presses. Retransmitted ends are told once; a lost end shows with the next event.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyReceiver {
    current: Option<(u32, TelephoneEvent)>,
}

impl KeyReceiver {
    /// Takes the payload of a packet of the telephone-event payload type with its RTP timestamp. When a press was missed and
    /// only its end is seen, it tells the release alone.
    pub fn push(&mut self, timestamp: u32, payload: &[u8]) -> Result<Option<KeyChange>, RtpError> {
        let event = TelephoneEvent::parse(payload)?;
        let same = self.current.is_some_and(|(at, last)| at == timestamp && last.event == event.event);
        if let Some((at, last)) = self.current {
            if same && last.end {
                return Ok(None);
            }
            if !same && (timestamp.wrapping_sub(at) as i32) < 0 {
                return Ok(None);
            }
        }
        self.current = Some((timestamp, event));
        Ok(match (same, event.end) {
            (_, true) => Some(KeyChange::Released(event.event, event.duration)),
            (false, false) => Some(KeyChange::Pressed(event.event)),
            (true, false) => None,
        })
    }
}

/// The packets of one key press. All carry the RTP timestamp of its start; the first has the marker bit.
#[derive(Debug, Clone, Copy)]
pub struct KeySender {
    event: u8,
    volume: u8,
    step: u16,
    total: u16,
    sent: u16,
    ends_left: u8,
}

impl KeySender {
    /// A press of `total` timestamp units, reported every `step` (both at least 1).
    pub const fn new(event: u8, volume: u8, total: u16, step: u16) -> Self {
        Self { event, volume, step, total, sent: 0, ends_left: END_PACKETS }
    }
}

impl Iterator for KeySender {
    /// Whether it is the first (marker), and the payload.
    type Item = (bool, TelephoneEvent);

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.sent == 0;
        let duration = self.sent.saturating_add(self.step).min(self.total);
        let end = duration == self.total;
        if end {
            self.ends_left = self.ends_left.checked_sub(1)?;
        } else {
            self.sent = duration;
        }
        let first = first && (!end || self.ends_left == END_PACKETS - 1);
        Some((first, TelephoneEvent { event: self.event, end, volume: self.volume, duration }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc4733_2_3_payload_reads_back() {
        let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 1_600 };
        assert_eq!(event.to_bytes(), [11, 0x8a, 6, 0x40]);
        assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Ok(event));
        assert!(TelephoneEvent::parse(&[1, 2, 3]).is_err());
    }

    #[test]
    fn every_key_has_its_code() {
        for event in 0..16 {
            assert_eq!(event_of(key_of(event).unwrap()), Some(event));
        }
        assert_eq!((key_of(16), event_of('x')), (None, None));
    }

    #[test]
    fn rfc4733_2_5_1_4_the_end_is_sent_three_times_and_heard_once() {
        let packets: Vec<_> = KeySender::new(5, 10, 800, 160).collect();
        assert_eq!(packets.iter().map(|(_, e)| e.duration).collect::<Vec<_>>(), [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(packets.iter().filter(|(_, e)| e.end).count(), 3);
        assert_eq!(packets.iter().map(|(first, _)| *first).filter(|f| *f).count(), 1);
        let mut receiver = KeyReceiver::default();
        let heard: Vec<_> = packets.iter().filter_map(|(_, e)| receiver.push(1_000, &e.to_bytes()).unwrap()).collect();
        assert_eq!(heard, [KeyChange::Pressed(5), KeyChange::Released(5, 800)]);
    }

    #[test]
    fn the_same_key_twice_is_two_presses_and_late_packets_are_none() {
        let mut receiver = KeyReceiver::default();
        let mut press = |at| -> Vec<_> {
            KeySender::new(1, 10, 320, 160).filter_map(|(_, e)| receiver.push(at, &e.to_bytes()).unwrap()).collect()
        };
        assert_eq!(press(0).len(), 2);
        assert_eq!(press(4_000).len(), 2);
        assert_eq!(press(0).len(), 0);
    }
}
