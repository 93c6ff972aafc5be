//! SRTP and SRTCP (RFC 3711, AES-192/256 of RFC 6188, AEAD of RFC 7714): packets are protected and opened in place, without
//! allocating. Where keys come from (SDES, DTLS) is somebody else's matter; key derivation rate is 0, as everywhere.
//!
//! [`Sealer`] and [`Opener`] are the two directions of one leg. Both can be turned into a [`Snapshot`] and back.

mod cipher;
mod context;
mod hmac;
mod kdf;
mod replay;
mod snapshot;

use base::Random;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::error::RtpError;

pub use context::{Opener, Sealer};
pub use replay::ReplayWindow;
pub use snapshot::{Snapshot, SourceSnapshot};

/// Most sources (SSRC) under one master key. A sender is refused over it, since to forget one could repeat a key stream;
/// a receiver forgets the one unused for longest.
pub const SOURCES_MAX: usize = 64;
/// Most bytes that protection adds to a packet, SRTCP's index word included.
pub const OVERHEAD_BYTES_MAX: usize = 20;
/// Longest key identifier (MKI) that we skip, bytes.
pub const MKI_BYTES_MAX: usize = 16;

/// A set of algorithms, named as in the IANA registry of RFC 4568.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, non_camel_case_types)]
pub enum Suite {
    AES_CM_128_HMAC_SHA1_80,
    AES_CM_128_HMAC_SHA1_32,
    AES_192_CM_HMAC_SHA1_80,
    AES_192_CM_HMAC_SHA1_32,
    AES_256_CM_HMAC_SHA1_80,
    AES_256_CM_HMAC_SHA1_32,
    AEAD_AES_128_GCM,
    AEAD_AES_256_GCM,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AES_CM_128_HMAC_SHA1_80,
        Self::AES_CM_128_HMAC_SHA1_32,
        Self::AES_192_CM_HMAC_SHA1_80,
        Self::AES_192_CM_HMAC_SHA1_32,
        Self::AES_256_CM_HMAC_SHA1_80,
        Self::AES_256_CM_HMAC_SHA1_32,
        Self::AEAD_AES_128_GCM,
        Self::AEAD_AES_256_GCM,
    ];

    /// Bytes of the master key (and of the cipher's session key).
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AES_CM_128_HMAC_SHA1_80 | Self::AES_CM_128_HMAC_SHA1_32 | Self::AEAD_AES_128_GCM => 16,
            Self::AES_192_CM_HMAC_SHA1_80 | Self::AES_192_CM_HMAC_SHA1_32 => 24,
            Self::AES_256_CM_HMAC_SHA1_80 | Self::AES_256_CM_HMAC_SHA1_32 | Self::AEAD_AES_256_GCM => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_bytes(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Whether it is AEAD (RFC 7714).
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AEAD_AES_128_GCM | Self::AEAD_AES_256_GCM)
    }

    /// Bytes of the authentication tag of RTP packets.
    pub const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AES_CM_128_HMAC_SHA1_80 | Self::AES_192_CM_HMAC_SHA1_80 | Self::AES_256_CM_HMAC_SHA1_80 => 10,
            Self::AES_CM_128_HMAC_SHA1_32 | Self::AES_192_CM_HMAC_SHA1_32 | Self::AES_256_CM_HMAC_SHA1_32 => 4,
            Self::AEAD_AES_128_GCM | Self::AEAD_AES_256_GCM => 16,
        }
    }

    /// Bytes of the authentication tag of RTCP packets: 80 bits even where RTP has 32 (RFC 4568 §6.2).
    pub const fn rtcp_tag_bytes(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }
}

/// A master key with its salt; wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: Suite,
    bytes: [u8; 46],
}

impl MasterKey {
    /// From key and salt one behind the other, as SDES carries them.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Result<Self, RtpError> {
        let needed = suite.key_bytes() + suite.salt_bytes();
        if key_and_salt.len() != needed {
            return Err(RtpError::KeyLength { got: key_and_salt.len(), needed });
        }
        let mut bytes = [0; 46];
        bytes[..needed].copy_from_slice(key_and_salt);
        Ok(Self { suite, bytes })
    }

    /// A fresh one.
    pub fn generate(suite: Suite, random: &mut Random) -> Self {
        let mut bytes = [0; 46];
        random.fill(&mut bytes[..suite.key_bytes() + suite.salt_bytes()]);
        Self { suite, bytes }
    }

    /// What it is for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt; only SDES and snapshots need them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes() + self.suite.salt_bytes()]
    }

    fn key(&self) -> &[u8] {
        &self.bytes[..self.suite.key_bytes()]
    }

    fn salt(&self) -> &[u8] {
        &self.expose()[self.suite.key_bytes()..]
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}
impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({:?}, <secret>)", self.suite)
    }
}

#[cfg(test)]
mod tests;
