//! The RTP header (RFC 3550 §5.1): read, write, and single fields changed in place. Payloads are not looked into.

use crate::error::{RtpError, malformed};

/// Bytes of the fixed part.
pub const FIXED_BYTES: usize = 12;

/// The fields of one packet's header. CSRC list and extension stay in the packet; see [`RtpHeader::csrcs`] and
/// [`RtpHeader::extension`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpHeader {
    /// The marker bit: start of a talk spurt, end of a video frame.
    pub marker: bool,
    /// Payload type, 0-127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in units of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The padding bit.
    pub padding: bool,
    /// How many contributing sources follow the fixed part, 0-15.
    pub csrc_count: u8,
    /// Bytes of the header extension with its own four-byte head; 0 without one.
    pub extension_bytes: usize,
}

impl RtpHeader {
    /// Reads the header of `packet`, checking that everything it announces is there.
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let Some(fixed) = packet.first_chunk::<FIXED_BYTES>() else {
            return Err(malformed("RTP header: 12 bytes", packet.len()));
        };
        if fixed[0] >> 6 != 2 {
            return Err(malformed("RTP version 2", 0));
        }
        let csrc_count = fixed[0] & 0x0f;
        let after_csrcs = FIXED_BYTES + usize::from(csrc_count) * 4;
        let mut extension_bytes = 0;
        if fixed[0] & 0x10 != 0 {
            let Some(&[_, _, high, low]) = packet.get(after_csrcs..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Err(malformed("RTP header extension", after_csrcs));
            };
            extension_bytes = 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
        }
        if packet.len() < after_csrcs + extension_bytes {
            return Err(malformed("RTP CSRC list or extension", packet.len()));
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            padding: fixed[0] & 0x20 != 0,
            csrc_count,
            extension_bytes,
        })
    }

    /// Bytes before the payload.
    #[inline]
    pub const fn len(&self) -> usize {
        FIXED_BYTES + self.csrc_count as usize * 4 + self.extension_bytes
    }

    /// Never: a header has at least twelve bytes.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Where in `packet` the payload is, without padding. `packet` must be the one that was parsed, unencrypted.
    pub fn payload_range(&self, packet: &[u8]) -> Result<std::ops::Range<usize>, RtpError> {
        let start = self.len();
        let mut end = packet.len();
        if self.padding {
            let count = usize::from(packet.last().copied().unwrap_or(0));
            if count == 0 || start + count > end {
                return Err(malformed("RTP padding count", end.saturating_sub(1)));
            }
            end -= count;
        }
        if start > end { Err(malformed("RTP header longer than its packet", end)) } else { Ok(start..end) }
    }

    /// The payload of `packet`, without padding.
    pub fn payload<'p>(&self, packet: &'p [u8]) -> Result<&'p [u8], RtpError> {
        self.payload_range(packet).map(|range| &packet[range])
    }

    /// The contributing sources of `packet`.
    pub fn csrcs(&self, packet: &[u8]) -> impl Iterator<Item = u32> {
        let list = packet.get(FIXED_BYTES..FIXED_BYTES + usize::from(self.csrc_count) * 4).unwrap_or_default();
        list.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// The header extension of `packet`: its profile word and its bytes (RFC 3550 §5.3.1, RFC 8285).
    pub fn extension<'p>(&self, packet: &'p [u8]) -> Option<(u16, &'p [u8])> {
        let start = FIXED_BYTES + usize::from(self.csrc_count) * 4;
        let bytes = packet.get(start..start + self.extension_bytes)?;
        let (head, body) = bytes.split_first_chunk::<4>()?;
        Some((u16::from_be_bytes([head[0], head[1]]), body))
    }

    /// The fixed part for a packet without CSRCs and extension; what this header says of those is not written.
    pub fn to_bytes(&self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0] = 0x80 | if self.padding { 0x20 } else { 0 };
        bytes[1] = (self.payload_type & 0x7f) | if self.marker { 0x80 } else { 0 };
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// Changes the payload type of a packet that [`RtpHeader::parse`] took, keeping the marker.
pub fn set_payload_type(packet: &mut [u8], payload_type: u8) {
    if let Some(byte) = packet.get_mut(1) {
        *byte = (*byte & 0x80) | (payload_type & 0x7f);
    }
}

/// Changes the sequence number of a packet that [`RtpHeader::parse`] took.
pub fn set_sequence(packet: &mut [u8], sequence: u16) {
    if let Some(field) = packet.get_mut(2..4) {
        field.copy_from_slice(&sequence.to_be_bytes());
    }
}

/// Changes the timestamp of a packet that [`RtpHeader::parse`] took.
pub fn set_timestamp(packet: &mut [u8], timestamp: u32) {
    if let Some(field) = packet.get_mut(4..8) {
        field.copy_from_slice(&timestamp.to_be_bytes());
    }
}

/// Changes the source of a packet that [`RtpHeader::parse`] took.
pub fn set_ssrc(packet: &mut [u8], ssrc: u32) {
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc3550_5_1_every_field_reads_back() {
        let header = RtpHeader {
            marker: true,
            payload_type: 101,
            sequence: 0xfffe,
            timestamp: 0x8000_0001,
            ssrc: 0xdead_beef,
            ..Default::default()
        };
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(b"payload");
        assert_eq!(RtpHeader::parse(&packet), Ok(header));
        assert_eq!(header.payload(&packet), Ok(&b"payload"[..]));
        set_payload_type(&mut packet, 8);
        set_sequence(&mut packet, 7);
        set_timestamp(&mut packet, 8);
        set_ssrc(&mut packet, 9);
        let changed = RtpHeader { payload_type: 8, sequence: 7, timestamp: 8, ssrc: 9, ..header };
        assert_eq!(RtpHeader::parse(&packet), Ok(changed));
    }

    #[test]
    fn rfc3550_5_3_1_csrcs_extension_and_padding_are_not_payload() {
        let mut packet = vec![0xb2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0]);
        packet.extend_from_slice(b"abc\0\x02");
        let header = RtpHeader::parse(&packet).unwrap();
        assert_eq!(header.len(), 28);
        assert_eq!(header.csrcs(&packet).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(header.extension(&packet), Some((0xbede, &[0x10, 0xff, 0, 0][..])));
        assert_eq!(header.payload(&packet), Ok(&b"abc"[..]));
    }

    #[test]
    fn announced_but_absent_bytes_are_malformed() {
        let whole = [0x91u8, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
        assert!(RtpHeader::parse(&whole).is_ok());
        for cut in 0..whole.len() {
            assert!(RtpHeader::parse(&whole[..cut]).is_err(), "{cut}");
        }
        assert_eq!(RtpHeader::parse(&[0x40; 12]), Err(malformed("RTP version 2", 0)));
        let header = RtpHeader::parse(&[0xa0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9]).unwrap();
        assert!(header.payload(&[0xa0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9]).is_err(), "padding over the payload");
    }
}
