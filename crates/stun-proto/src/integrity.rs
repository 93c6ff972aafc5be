//! MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 §14.5-14.7), and the keys for them (§9).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::message::HEADER_BYTES;

/// Which message integrity protects a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY, what every client speaks.
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256.
    Sha256,
}

/// The key of a message integrity; never printed, wiped when dropped.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// Short-term: the password itself (RFC 8489 §9.1.1).
    pub fn short_term(password: &str) -> Self {
        Self(password.as_bytes().to_vec())
    }

    /// Long-term: MD5 of `user:realm:password` (§9.2.2), the default password algorithm.
    pub fn long_term(user: &str, realm: &str, password: &str) -> Self {
        Self(long_term_digest::<Md5>(user, realm, password))
    }

    /// Long-term with the password algorithm SHA-256 (§18.5.1.2).
    pub fn long_term_sha256(user: &str, realm: &str, password: &str) -> Self {
        Self(long_term_digest::<Sha256>(user, realm, password))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<key>")
    }
}

/// USERHASH of a user (RFC 8489 §14.4).
pub fn userhash(user: &str, realm: &str) -> [u8; 32] {
    let digest = Sha256::new().chain_update(user).chain_update(":").chain_update(realm).finalize();
    digest.into()
}

fn long_term_digest<D: Digest>(user: &str, realm: &str, password: &str) -> Vec<u8> {
    let parts = [user, ":", realm, ":", password];
    parts.iter().fold(D::new(), |digest, part| digest.chain_update(part)).finalize().to_vec()
}

/// HMAC over the message before `offset`, with the length that it has when `value_bytes` of integrity end it.
fn mac<M: Mac + KeyInit>(key: &Key, message: &[u8], offset: usize, value_bytes: usize) -> Option<M> {
    let length = (offset - HEADER_BYTES + 4 + value_bytes) as u16;
    let mut mac = <M as KeyInit>::new_from_slice(&key.0).ok()?;
    mac.update(&message[..2]);
    mac.update(&length.to_be_bytes());
    mac.update(&message[4..offset]);
    Some(mac)
}

pub(crate) fn sha1(key: &Key, message: &[u8], offset: usize) -> Vec<u8> {
    mac::<Hmac<Sha1>>(key, message, offset, 20).map(|m| m.finalize().into_bytes().to_vec()).unwrap_or_default()
}

pub(crate) fn sha256(key: &Key, message: &[u8], offset: usize, value_bytes: usize) -> Vec<u8> {
    let full = mac::<Hmac<Sha256>>(key, message, offset, value_bytes).map(|m| m.finalize().into_bytes());
    full.map(|full| full[..value_bytes].to_vec()).unwrap_or_default()
}

pub(crate) fn sha1_matches(key: &Key, message: &[u8], offset: usize, value: &[u8]) -> bool {
    sha1(key, message, offset).ct_eq(value).into()
}

pub(crate) fn sha256_matches(key: &Key, message: &[u8], offset: usize, value: &[u8]) -> bool {
    sha256(key, message, offset, value.len()).ct_eq(value).into()
}

/// The value of FINGERPRINT for the bytes before it, whose length field already counts it.
pub(crate) fn fingerprint(before: &[u8]) -> [u8; 4] {
    (crc32(before) ^ 0x5354_554e).to_be_bytes()
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut n = 0;
    while n < 256 {
        let mut value = n as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[n] = value;
        n += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}
