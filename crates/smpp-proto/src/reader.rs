//! Cuts a byte stream into PDUs by `command_length` (SMPP 3.4 §3.2). Looks at nothing else.

use base::limits::SMPP_PDU_BYTES_MAX;
use bytes::{Buf, Bytes, BytesMut};

use crate::error::SmppError;
use crate::pdu::HEADER_OCTETS;

/// Collects octets of one connection and hands out whole PDUs without copying them again.
///
/// Holds at most one unfinished PDU ([`SMPP_PDU_BYTES_MAX`]) and what the last [`Self::feed`] brought.
#[derive(Debug, Default)]
pub struct PduReader {
    buffer: BytesMut,
}

impl PduReader {
    /// Takes what the connection brought; drain [`Self::next_pdu`] before the next call.
    pub fn feed(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next whole PDU with its header, or none until more octets come.
    ///
    /// # Errors
    /// [`SmppError::MalformedLength`]: the stream cannot be followed any further and must be closed.
    pub fn next_pdu(&mut self) -> Result<Option<Bytes>, SmppError> {
        let Some(mut head) = self.buffer.get(..4) else { return Ok(None) };
        let length = head.get_u32();
        let octets = length as usize;
        if !(HEADER_OCTETS..=SMPP_PDU_BYTES_MAX).contains(&octets) {
            return Err(SmppError::MalformedLength { length, max: SMPP_PDU_BYTES_MAX });
        }
        if self.buffer.len() < octets {
            self.buffer.reserve(octets - self.buffer.len());
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(octets).freeze()))
    }

    /// Octets of a PDU that has not ended.
    pub fn pending_octets(&self) -> usize {
        self.buffer.len()
    }

    /// The octets not handed out, for a snapshot.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ENQUIRE_LINK: [u8; 16] = [0, 0, 0, 16, 0, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 9];

    #[test]
    fn pdus_come_out_whole_however_the_stream_is_cut() {
        let stream = ENQUIRE_LINK.repeat(5);
        for chunk in 1..stream.len() {
            let mut reader = PduReader::default();
            let mut found = 0;
            for piece in stream.chunks(chunk) {
                reader.feed(piece);
                while let Some(pdu) = reader.next_pdu().unwrap() {
                    assert_eq!(&pdu[..], ENQUIRE_LINK);
                    found += 1;
                }
            }
            assert_eq!((found, reader.pending_octets()), (5, 0));
        }
    }

    #[test]
    fn smpp34_3_2_a_length_that_cannot_be_ends_the_stream() {
        for length in [0u32, 15, SMPP_PDU_BYTES_MAX as u32 + 1, u32::MAX] {
            let mut reader = PduReader::default();
            reader.feed(&length.to_be_bytes());
            assert!(matches!(reader.next_pdu(), Err(SmppError::MalformedLength { .. })), "{length}");
        }
    }
}
