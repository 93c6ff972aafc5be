//! Writing a STUN message, attribute by attribute, with padding, integrity and fingerprint.

use std::net::SocketAddr;

use crate::address;
use crate::attribute as attr;
use crate::integrity::{self, Integrity, Key};
use crate::message::{Class, HEADER_BYTES, MAGIC_COOKIE, Method, TransactionId, type_bits};

/// Most bytes of one attribute's value; longer ones are cut, which only texts of our own can reach.
const VALUE_BYTES_MAX: usize = 2_048;

/// A message in the making. Attributes first, then [`Self::sign`], then [`Self::fingerprint`].
#[derive(Debug, Clone)]
pub struct MessageWriter {
    bytes: Vec<u8>,
    transaction: TransactionId,
}

impl MessageWriter {
    /// A message without attributes.
    pub fn new(class: Class, method: Method, transaction: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(192);
        bytes.extend_from_slice(&type_bits(class, method).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC_COOKIE);
        bytes.extend_from_slice(&transaction.0);
        Self { bytes, transaction }
    }

    /// Adds an attribute, padded with zeros.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let value = &value[..value.len().min(VALUE_BYTES_MAX)];
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds a 32-bit number.
    #[must_use]
    pub fn number(self, kind: u16, value: u32) -> Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Adds a hidden address.
    #[must_use]
    pub fn xor_address(self, kind: u16, value: SocketAddr) -> Self {
        let mut buffer = [0; address::LENGTH_MAX];
        let length = address::write_xor(value, self.transaction, &mut buffer);
        self.attribute(kind, &buffer[..length])
    }

    /// Adds ERROR-CODE with a code of 300-699 (RFC 8489 §14.8).
    #[must_use]
    pub fn error_code(self, code: u16, reason: &str) -> Self {
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(attr::ERROR_CODE, &value)
    }

    /// Adds a message integrity over everything so far.
    #[must_use]
    pub fn sign(mut self, key: &Key, integrity: Integrity) -> Self {
        let offset = self.bytes.len();
        match integrity {
            Integrity::Sha1 => {
                let mac = integrity::sha1(key, &self.bytes, offset);
                self = self.attribute(attr::MESSAGE_INTEGRITY, &mac);
            }
            Integrity::Sha256 => {
                let mac = integrity::sha256(key, &self.bytes, offset, 32);
                self = self.attribute(attr::MESSAGE_INTEGRITY_SHA256, &mac);
            }
        }
        self
    }

    /// Adds FINGERPRINT; nothing may follow.
    #[must_use]
    pub fn fingerprint(mut self) -> Self {
        self.set_length(self.bytes.len() + 8);
        let value = integrity::fingerprint(&self.bytes);
        self.attribute(attr::FINGERPRINT, &value)
    }

    /// The finished message.
    pub fn finish(mut self) -> Vec<u8> {
        self.set_length(self.bytes.len());
        self.bytes
    }

    fn set_length(&mut self, total: usize) {
        let length = (total - HEADER_BYTES) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}
