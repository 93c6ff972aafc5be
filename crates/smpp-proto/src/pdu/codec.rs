//! Octets to fields and back: integers in network order and the two string types of SMPP 3.4 §3.1.

use crate::error::SmppError;

/// Longest NUL-terminated field that we take, octets: four times what the specification gives a message id.
const C_OCTETS_MAX: usize = 255;

/// Reads fields one after another; offsets count from the start of the PDU.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(super) fn skip(&mut self, octets: usize) {
        self.at = (self.at + octets).min(self.octets.len());
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.octets.len()
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, SmppError> {
        let value = *self.octets.get(self.at).ok_or(SmppError::Malformed { field, offset: self.at })?;
        self.at += 1;
        Ok(value)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, SmppError> {
        let four = self.take(field, 4)?;
        Ok(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
    }

    /// Exactly `count` octets.
    pub(super) fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], SmppError> {
        let rest = &self.octets[self.at..];
        let taken = rest.get(..count).ok_or(SmppError::Malformed { field, offset: self.at })?;
        self.at += count;
        Ok(taken)
    }

    /// A C-Octet String without its NUL. One that runs to the end of the PDU needs none.
    pub(super) fn c_octets(&mut self, field: &'static str) -> Result<&'a [u8], SmppError> {
        let rest = &self.octets[self.at..];
        let end = rest.iter().position(|octet| *octet == 0);
        let taken = &rest[..end.unwrap_or(rest.len())];
        if taken.len() > C_OCTETS_MAX {
            return Err(SmppError::Malformed { field, offset: self.at });
        }
        self.at += taken.len() + usize::from(end.is_some());
        Ok(taken)
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.octets[self.at..];
        self.at = self.octets.len();
        rest
    }
}

/// Appends fields.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// A C-Octet String of at most `max` octets without its NUL.
    pub(super) fn c_octets(&mut self, field: &'static str, octets: &[u8], max: usize) -> Result<(), SmppError> {
        if octets.len() > max {
            return Err(SmppError::RefusedLength { field, octets: octets.len(), max });
        }
        if octets.contains(&0) {
            return Err(SmppError::RefusedNul { field });
        }
        self.out.extend_from_slice(octets);
        self.out.push(0);
        Ok(())
    }
}
