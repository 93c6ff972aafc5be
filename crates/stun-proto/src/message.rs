//! Reading a STUN message (RFC 8489 §5, §6.3): a checked view over the bytes, nothing copied.
//!
//! Attributes behind a message integrity are not protected by it and therefore not seen (§14.5), except a stronger
//! integrity and FINGERPRINT.

use std::net::SocketAddr;

use base::limits::STUN_MESSAGE_BYTES_MAX;

use crate::Error;
use crate::address;
use crate::attribute as attr;
use crate::integrity::{self, Integrity, Key};

/// Bytes of a STUN header.
pub const HEADER_BYTES: usize = 20;
/// The bytes that tell STUN from what came before it.
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The 96 bits that join a response to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// What role a message plays (RFC 8489 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Asks for a response.
    Request,
    /// Asks for nothing.
    Indication,
    /// The request was granted.
    Success,
    /// The request was refused.
    Error,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// RFC 8489.
    Binding,
    /// RFC 8656 §7.
    Allocate,
    /// RFC 8656 §8.
    Refresh,
    /// RFC 8656 §11, client to server.
    Send,
    /// RFC 8656 §11, server to client.
    Data,
    /// RFC 8656 §10.
    CreatePermission,
    /// RFC 8656 §12.
    ChannelBind,
    /// Any other, 8 bits (RFC 8489 §18.2 keeps the upper four zero, so that the first byte tells STUN apart).
    Other(u16),
}

impl Method {
    const fn from_bits(bits: u16) -> Self {
        match bits {
            1 => Self::Binding,
            3 => Self::Allocate,
            4 => Self::Refresh,
            6 => Self::Send,
            7 => Self::Data,
            8 => Self::CreatePermission,
            9 => Self::ChannelBind,
            other => Self::Other(other),
        }
    }

    const fn bits(self) -> u16 {
        match self {
            Self::Binding => 1,
            Self::Allocate => 3,
            Self::Refresh => 4,
            Self::Send => 6,
            Self::Data => 7,
            Self::CreatePermission => 8,
            Self::ChannelBind => 9,
            Self::Other(bits) => bits & 0xff,
        }
    }
}

/// The 16 bits of a message type: method and class woven together (RFC 8489 figure 3).
pub(crate) const fn type_bits(class: Class, method: Method) -> u16 {
    let m = method.bits();
    let woven = (m & 0x00f) | ((m & 0x070) << 1) | ((m & 0x080) << 2);
    woven
        | match class {
            Class::Request => 0x000,
            Class::Indication => 0x010,
            Class::Success => 0x100,
            Class::Error => 0x110,
        }
}

/// Whether a datagram looks like STUN: its first byte is 0-3 (RFC 7983) and the cookie stands in its place.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_BYTES && datagram[0] < 4 && datagram[4..8] == MAGIC_COOKIE
}

/// A well-formed message.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    class: Class,
    method: Method,
    /// Where the unprotected part begins: the offset of the first integrity, else the end or FINGERPRINT.
    counted_end: usize,
    sha1_at: Option<usize>,
    sha256_at: Option<usize>,
    fingerprint_at: Option<usize>,
}

impl<'a> Message<'a> {
    /// Checks a whole message, up to [`STUN_MESSAGE_BYTES_MAX`] bytes: header, lengths and the order of the attributes
    /// that protect it. Their values are checked by [`Self::verify`] and [`Self::verify_fingerprint`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if !is_stun(bytes) {
            return Err(Error::Malformed { what: "header", offset: 0 });
        }
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if length % 4 != 0 || HEADER_BYTES + length != bytes.len() || bytes.len() > STUN_MESSAGE_BYTES_MAX {
            return Err(Error::Malformed { what: "message length", offset: 2 });
        }
        let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
        let class = match kind & 0x110 {
            0x000 => Class::Request,
            0x010 => Class::Indication,
            0x100 => Class::Success,
            _ => Class::Error,
        };
        let method = Method::from_bits((kind & 0x00f) | ((kind & 0x0e0) >> 1) | ((kind & 0x200) >> 2));
        let mut message = Self {
            bytes,
            class,
            method,
            counted_end: bytes.len(),
            sha1_at: None,
            sha256_at: None,
            fingerprint_at: None,
        };
        message.walk()?;
        Ok(message)
    }

    /// Finds the protecting attributes and checks that every attribute fits.
    fn walk(&mut self) -> Result<(), Error> {
        let mut offset = HEADER_BYTES;
        while offset < self.bytes.len() {
            if self.fingerprint_at.is_some() {
                return Err(Error::Malformed { what: "attribute behind FINGERPRINT", offset });
            }
            let (kind, length) = attribute_head(self.bytes, offset);
            let next = offset + 4 + length.next_multiple_of(4);
            if next > self.bytes.len() {
                return Err(Error::Malformed { what: "attribute length", offset });
            }
            let bad_length = match kind {
                attr::MESSAGE_INTEGRITY if self.sha1_at.is_none() && self.sha256_at.is_none() => {
                    self.sha1_at = Some(offset);
                    self.counted_end = self.counted_end.min(offset);
                    length != 20
                }
                attr::MESSAGE_INTEGRITY_SHA256 if self.sha256_at.is_none() => {
                    self.sha256_at = Some(offset);
                    self.counted_end = self.counted_end.min(offset);
                    !(16..=32).contains(&length) || length % 4 != 0
                }
                attr::FINGERPRINT => {
                    self.fingerprint_at = Some(offset);
                    self.counted_end = self.counted_end.min(offset);
                    length != 4
                }
                _ => false,
            };
            if bad_length {
                return Err(Error::Malformed { what: "attribute length", offset });
            }
            offset = next;
        }
        Ok(())
    }

    /// Request, indication or response.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What it is about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The id that joins request and response.
    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..20]);
        TransactionId(id)
    }

    /// The attributes that count, in order: type and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let (bytes, end, mut offset) = (self.bytes, self.counted_end, HEADER_BYTES);
        std::iter::from_fn(move || {
            if offset >= end {
                return None;
            }
            let (kind, length) = attribute_head(bytes, offset);
            let value = &bytes[offset + 4..offset + 4 + length];
            offset += 4 + length.next_multiple_of(4);
            Some((kind, value))
        })
    }

    /// The value of the first attribute of a type; later ones of the same type are ignored (RFC 8489 §14).
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|(k, _)| *k == kind).map(|(_, value)| value)
    }

    /// An attribute that is text; `None` when it is absent or not UTF-8.
    pub fn text(&self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(kind)?).ok()
    }

    /// An attribute that is one 32-bit number.
    pub fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.attribute(kind)?.try_into().ok()?))
    }

    /// An attribute that is a hidden address.
    pub fn xor_address(&self, kind: u16) -> Option<SocketAddr> {
        address::read_xor(self.attribute(kind)?, self.transaction())
    }

    /// Code (300-699) and reason of an error response.
    pub fn error_code(&self) -> Option<(u16, &'a str)> {
        let (head, reason) = self.attribute(attr::ERROR_CODE)?.split_at_checked(4)?;
        let (hundreds, rest) = (u16::from(head[2] & 7), u16::from(head[3]));
        ((3..=6).contains(&hundreds) && rest < 100)
            .then(|| (hundreds * 100 + rest, std::str::from_utf8(reason).unwrap_or_default()))
    }

    /// The strongest integrity that the message carries.
    pub fn integrity(&self) -> Option<Integrity> {
        match (self.sha256_at, self.sha1_at) {
            (Some(_), _) => Some(Integrity::Sha256),
            (None, Some(_)) => Some(Integrity::Sha1),
            (None, None) => None,
        }
    }

    /// Whether FINGERPRINT is there.
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint_at.is_some()
    }

    /// Checks the strongest integrity with `key`, in constant time; refused when there is none.
    pub fn verify(&self, key: &Key) -> Result<(), Error> {
        let value_at = |offset: usize| {
            let (_, length) = attribute_head(self.bytes, offset);
            &self.bytes[offset + 4..offset + 4 + length]
        };
        let matches = match (self.sha256_at, self.sha1_at) {
            (Some(offset), _) => integrity::sha256_matches(key, self.bytes, offset, value_at(offset)),
            (None, Some(offset)) => integrity::sha1_matches(key, self.bytes, offset, value_at(offset)),
            (None, None) => false,
        };
        if matches { Ok(()) } else { Err(Error::Misbehaved { what: "message integrity" }) }
    }

    /// Checks FINGERPRINT; a message without one passes.
    pub fn verify_fingerprint(&self) -> Result<(), Error> {
        let Some(offset) = self.fingerprint_at else { return Ok(()) };
        if self.bytes[offset + 4..offset + 8] == integrity::fingerprint(&self.bytes[..offset]) {
            Ok(())
        } else {
            Err(Error::Misbehaved { what: "FINGERPRINT" })
        }
    }
}

/// Type and length of the attribute at `offset`, which must be a multiple of four inside the message.
fn attribute_head(bytes: &[u8], offset: usize) -> (u16, usize) {
    (
        u16::from_be_bytes([bytes[offset], bytes[offset + 1]]),
        usize::from(u16::from_be_bytes([bytes[offset + 2], bytes[offset + 3]])),
    )
}
