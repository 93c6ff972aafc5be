//! Optional parameters (SMPP 3.4 §5.3). Every tag is kept and passed, known or not; meaning is up to the reader.

use std::fmt;

/// Tags that we read or write ourselves (SMPP 3.4 §5.3.2).
#[allow(missing_docs)]
pub mod tag {
    pub const PAYLOAD_TYPE: u16 = 0x0019;
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
    pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub const SOURCE_PORT: u16 = 0x020a;
    pub const DESTINATION_PORT: u16 = 0x020b;
    pub const SAR_MSG_REF_NUM: u16 = 0x020c;
    pub const LANGUAGE_INDICATOR: u16 = 0x020d;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020f;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const DELIVERY_FAILURE_REASON: u16 = 0x0425;
    pub const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
    pub const MESSAGE_STATE: u16 = 0x0427;
    /// SMPP 5.0 §4.8.4.18: load of the SMSC, 0..=100.
    pub const CONGESTION_STATE: u16 = 0x0428;
    pub const MS_AVAILABILITY_STATUS: u16 = 0x0422;
    pub const ADDITIONAL_STATUS_INFO_TEXT: u16 = 0x001d;
}

/// One optional parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: u16,
    /// Its value as it came, at most 65,535 octets.
    pub value: &'a [u8],
}

/// The optional parameters of a PDU, as octets in the order in which they came.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

/// Optional parameters to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlvBuffer(Vec<u8>);

impl<'a> Tlvs<'a> {
    /// None.
    pub const EMPTY: Self = Self(&[]);

    /// As many whole parameters as `octets` begins with; what follows them is dropped.
    pub fn parse(octets: &'a [u8]) -> Self {
        let mut rest = octets;
        while let Some((_, after)) = split(rest) {
            rest = after;
        }
        Self(&octets[..octets.len() - rest.len()])
    }

    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tlv, after) = split(rest)?;
            rest = after;
            Some(tlv)
        })
    }

    /// The value of the first parameter with this tag.
    pub fn find(&self, tag: u16) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// An unsigned integer of one to four octets.
    pub fn find_number(&self, tag: u16) -> Option<u32> {
        let value = self.find(tag)?;
        if value.is_empty() || value.len() > 4 {
            return None;
        }
        Some(value.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    /// A C-Octet String up to its NUL, or whole when the carrier forgot that.
    pub fn find_text(&self, tag: u16) -> Option<&'a [u8]> {
        let value = self.find(tag)?;
        Some(value.split(|octet| *octet == 0).next().unwrap_or(value))
    }

    /// As they stand on the wire.
    pub const fn as_octets(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TlvBuffer {
    /// Appends one. A value over 65,535 octets cannot be said and is refused.
    ///
    /// # Errors
    /// [`crate::SmppError::RefusedLength`].
    pub fn push(&mut self, tag: u16, value: &[u8]) -> Result<&mut Self, crate::SmppError> {
        let Ok(length) = u16::try_from(value.len()) else {
            return Err(crate::SmppError::RefusedLength { field: "TLV", octets: value.len(), max: 65_535 });
        };
        self.0.extend_from_slice(&tag.to_be_bytes());
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        Ok(self)
    }

    /// For a PDU.
    pub fn as_tlvs(&self) -> Tlvs<'_> {
        Tlvs(&self.0)
    }
}

fn split(octets: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let head = octets.get(..4)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = octets.get(4..4 + length)?;
    Some((Tlv { tag: u16::from_be_bytes([head[0], head[1]]), value }, &octets[4 + length..]))
}

impl fmt::Debug for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}[{}]", self.tag, self.value.len())
    }
}
impl fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn unknown_tags_are_kept_in_order_and_a_cut_tail_is_dropped() {
        let mut buffer = TlvBuffer::default();
        buffer.push(0x1400, b"vendor").unwrap().push(tag::MESSAGE_STATE, &[2]).unwrap();
        let mut octets = buffer.as_tlvs().as_octets().to_vec();
        octets.extend_from_slice(&[0x04, 0x24, 0x00, 0x09, 1, 2]);
        let tlvs = Tlvs::parse(&octets);
        assert_eq!(tlvs, buffer.as_tlvs());
        assert_eq!(tlvs.find(0x1400), Some(&b"vendor"[..]));
        assert_eq!(tlvs.find_number(tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.find(tag::MESSAGE_PAYLOAD), None);
    }
}
