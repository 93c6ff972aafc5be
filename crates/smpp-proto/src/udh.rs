//! User data header (3GPP TS 23.040 §9.2.3.24) and the SAR parameters of SMPP that say the same.
//!
//! Knows concatenation; any other information element is handed out as it is. Does not join parts.

use serde::{Deserialize, Serialize};

use crate::error::SmppError;
use crate::pdu::{TlvBuffer, Tlvs, tag};

/// Concatenation with an 8-bit reference.
pub const IE_CONCAT_8: u8 = 0x00;
/// Application ports, 16 bits each.
pub const IE_PORTS_16: u8 = 0x05;
/// Concatenation with a 16-bit reference.
pub const IE_CONCAT_16: u8 = 0x08;

/// The information elements of a header, without its length octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udh<'a>(&'a [u8]);

/// How a message says that it is a part. References of different kinds are never the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcatKind {
    /// Header with an 8-bit reference.
    Udh8,
    /// Header with a 16-bit reference.
    Udh16,
    /// SAR parameters.
    Sar,
}

/// Which part of which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Concat {
    /// How it is said.
    pub kind: ConcatKind,
    /// Same for all parts of a message between two addresses.
    pub reference: u16,
    /// How many parts, 1..=255.
    pub total: u8,
    /// This one, 1..=total.
    pub part: u8,
}

impl<'a> Udh<'a> {
    /// Takes the header off the front of `user_data`.
    ///
    /// # Errors
    /// [`SmppError::Malformed`] when the length octet or an element runs over the end; the offset counts from
    /// the start of the user data.
    pub fn parse(user_data: &'a [u8]) -> Result<(Self, &'a [u8]), SmppError> {
        let malformed = |offset| SmppError::Malformed { field: "user data header", offset };
        let (length, rest) = user_data.split_first().ok_or(malformed(0))?;
        let elements = rest.get(..usize::from(*length)).ok_or(malformed(0))?;
        let mut at = 0;
        while at < elements.len() {
            let length = usize::from(*elements.get(at + 1).ok_or(malformed(1 + at))?);
            at += 2 + length;
            if at > elements.len() {
                return Err(malformed(1 + at - length));
            }
        }
        Ok((Self(elements), &rest[elements.len()..]))
    }

    /// Identifier and value of each element, in order.
    pub fn elements(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (head, after) = rest.split_at_checked(2)?;
            let (value, after) = after.split_at_checked(usize::from(head[1]))?;
            rest = after;
            Some((head[0], value))
        })
    }

    /// Its place in a longer message. The last element of several counts (§9.2.3.24); an impossible one does not.
    pub fn concat(&self) -> Option<Concat> {
        let found = self.elements().filter_map(|element| match element {
            (IE_CONCAT_8, [reference, total, part]) => {
                Some(Concat { kind: ConcatKind::Udh8, reference: u16::from(*reference), total: *total, part: *part })
            }
            (IE_CONCAT_16, [high, low, total, part]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                Some(Concat { kind: ConcatKind::Udh16, reference, total: *total, part: *part })
            }
            _ => None,
        });
        found.filter(Concat::is_possible).last()
    }

    /// Destination and source port, when the message is for an application.
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.elements().find_map(|element| match element {
            (IE_PORTS_16, [a, b, c, d]) => Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))),
            _ => None,
        })
    }
}

impl Concat {
    /// From sar_msg_ref_num, sar_total_segments and sar_segment_seqnum; all three or nothing (SMPP 3.4 §5.3.2.22).
    pub fn from_sar(tlvs: Tlvs<'_>) -> Option<Self> {
        let reference = u16::try_from(tlvs.find_number(tag::SAR_MSG_REF_NUM)?).ok()?;
        let total = u8::try_from(tlvs.find_number(tag::SAR_TOTAL_SEGMENTS)?).ok()?;
        let part = u8::try_from(tlvs.find_number(tag::SAR_SEGMENT_SEQNUM)?).ok()?;
        Some(Self { kind: ConcatKind::Sar, reference, total, part }).filter(Self::is_possible)
    }

    /// Appends the header with its length octet. SAR has none: see [`Self::push_sar`].
    pub fn push_udh(&self, out: &mut Vec<u8>) {
        let [high, low] = self.reference.to_be_bytes();
        match self.kind {
            ConcatKind::Udh8 => out.extend_from_slice(&[5, IE_CONCAT_8, 3, low, self.total, self.part]),
            ConcatKind::Udh16 => out.extend_from_slice(&[6, IE_CONCAT_16, 4, high, low, self.total, self.part]),
            ConcatKind::Sar => {}
        }
    }

    /// Appends the three parameters.
    ///
    /// # Errors
    /// None in practice: the values always fit.
    pub fn push_sar(&self, out: &mut TlvBuffer) -> Result<(), SmppError> {
        out.push(tag::SAR_MSG_REF_NUM, &self.reference.to_be_bytes())?;
        out.push(tag::SAR_TOTAL_SEGMENTS, &[self.total])?;
        out.push(tag::SAR_SEGMENT_SEQNUM, &[self.part])?;
        Ok(())
    }

    const fn is_possible(&self) -> bool {
        self.total > 0 && self.part > 0 && self.part <= self.total
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ts23040_9_2_3_24_concatenation_is_found_among_other_elements() {
        let user_data = [12, IE_PORTS_16, 4, 0x0b, 0x84, 0, 9, IE_CONCAT_16, 4, 1, 2, 3, 1, b'h', b'i'];
        let (udh, text) = Udh::parse(&user_data).unwrap();
        assert_eq!(udh.concat(), Some(Concat { kind: ConcatKind::Udh16, reference: 0x0102, total: 3, part: 1 }));
        assert_eq!(udh.ports(), Some((0x0b84, 9)));
        assert_eq!(text, b"hi");
    }

    #[test]
    fn ts23040_9_2_3_24_1_what_we_write_reads_back() {
        for kind in [ConcatKind::Udh8, ConcatKind::Udh16] {
            let concat = Concat { kind, reference: 0xab, total: 3, part: 2 };
            let mut octets = vec![];
            concat.push_udh(&mut octets);
            octets.extend_from_slice(b"text");
            let (udh, text) = Udh::parse(&octets).unwrap();
            assert_eq!((udh.concat(), text), (Some(concat), &b"text"[..]));
        }
        let sar = Concat { kind: ConcatKind::Sar, reference: 0x1234, total: 3, part: 2 };
        let mut tlvs = TlvBuffer::default();
        sar.push_sar(&mut tlvs).unwrap();
        assert_eq!(Concat::from_sar(tlvs.as_tlvs()), Some(sar));
    }

    #[test]
    fn ts23040_9_2_3_24_1_impossible_parts_do_not_count() {
        for (total, part) in [(0, 0), (2, 0), (2, 3)] {
            let octets = [5, IE_CONCAT_8, 3, 9, total, part];
            assert_eq!(Udh::parse(&octets).unwrap().0.concat(), None);
        }
    }

    #[test]
    fn headers_that_run_over_their_end_are_malformed() {
        for bad in [&[][..], &[1], &[5, 0, 3, 1, 2], &[2, 0, 1], &[3, 0, 9, 1], &[1, 0]] {
            assert!(Udh::parse(bad).is_err(), "{bad:?}");
        }
    }
}
