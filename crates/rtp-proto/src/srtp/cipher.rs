//! The two kinds of protection as seen by one packet: AES counter mode with HMAC-SHA1 (RFC 3711 §4.1.1, §4.2.1; RFC 6188)
//! and AES-GCM (RFC 7714 §8, §9). Indexes and replay are `context`'s.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc, Block};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::hmac::HmacSha1;
use super::kdf::{Label, derive};
use super::{MasterKey, Suite};
use crate::error::RtpError;

/// Counter blocks encrypted at once: enough for a 20 ms G.711 packet in two rounds, and what the AES unit pipelines.
const BLOCKS_AT_ONCE: usize = 8;

/// AES with its key schedule, encryption only.
pub(super) enum Aes {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl Aes {
    /// `key` has 16, 24 or 32 bytes; a longer one is cut, a shorter one filled with zeros, which no caller does.
    pub(super) fn new(key: &[u8]) -> Self {
        fn sized<const N: usize>(key: &[u8]) -> [u8; N] {
            std::array::from_fn(|n| key.get(n).copied().unwrap_or(0))
        }
        match key.len() {
            0..=16 => Self::Aes128(Aes128Enc::new(&Array::from(sized::<16>(key)))),
            17..=24 => Self::Aes192(Aes192Enc::new(&Array::from(sized::<24>(key)))),
            _ => Self::Aes256(Aes256Enc::new(&Array::from(sized::<32>(key)))),
        }
    }

    #[inline]
    fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(aes) => aes.encrypt_blocks(blocks),
            Self::Aes192(aes) => aes.encrypt_blocks(blocks),
            Self::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }
}

/// XORs `data` with the key stream that starts at the counter block `start`, whose last 16 bits count blocks
/// (RFC 3711 §4.1.1): at most 1 MiB.
#[inline]
pub(super) fn xor_key_stream(aes: &Aes, start: [u8; 16], data: &mut [u8]) {
    let mut counter = u16::from_be_bytes([start[14], start[15]]);
    for chunk in data.chunks_mut(16 * BLOCKS_AT_ONCE) {
        let mut stream = [Block::from(start); BLOCKS_AT_ONCE];
        let used = chunk.len().div_ceil(16);
        for block in &mut stream[..used] {
            block[14..].copy_from_slice(&counter.to_be_bytes());
            counter = counter.wrapping_add(1);
        }
        aes.encrypt(&mut stream[..used]);
        for (bytes, block) in chunk.chunks_mut(16).zip(&stream) {
            bytes.iter_mut().zip(block).for_each(|(b, k)| *b ^= k);
        }
    }
}

/// Protection of RTP or of RTCP under one master key.
// The key schedule stays inline: it is read for every packet.
#[allow(clippy::large_enum_variant)]
pub(super) enum Cipher {
    Counter { aes: Aes, salt: [u8; 14], mac: HmacSha1, tag_bytes: usize },
    Gcm { key: Box<LessSafeKey>, salt: [u8; 12] },
}

impl Cipher {
    pub(super) fn for_rtp(master: &MasterKey) -> Result<Self, RtpError> {
        Self::derive(
            master,
            [Label::RtpCipher, Label::RtpAuthentication, Label::RtpSalt],
            master.suite().rtp_tag_bytes(),
        )
    }

    pub(super) fn for_rtcp(master: &MasterKey) -> Result<Self, RtpError> {
        let labels = [Label::RtcpCipher, Label::RtcpAuthentication, Label::RtcpSalt];
        Self::derive(master, labels, master.suite().rtcp_tag_bytes())
    }

    fn derive(
        master: &MasterKey,
        [cipher, authentication, salt]: [Label; 3],
        tag_bytes: usize,
    ) -> Result<Self, RtpError> {
        let key = derive::<32>(master, cipher);
        let key = &key[..master.suite().key_bytes()];
        if master.suite().is_aead() {
            return Self::gcm(master.suite(), key, *derive::<12>(master, salt));
        }
        let mac = HmacSha1::new(derive::<20>(master, authentication).as_ref());
        Ok(Self::Counter { aes: Aes::new(key), salt: *derive::<14>(master, salt), mac, tag_bytes })
    }

    pub(super) fn gcm(suite: Suite, key: &[u8], salt: [u8; 12]) -> Result<Self, RtpError> {
        let algorithm = if suite.key_bytes() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let unbound = UnboundKey::new(algorithm, key).map_err(|_| RtpError::Unsupported("AES-GCM"))?;
        Ok(Self::Gcm { key: Box::new(LessSafeKey::new(unbound)), salt })
    }

    pub(super) const fn tag_bytes(&self) -> usize {
        match self {
            Self::Counter { tag_bytes, .. } => *tag_bytes,
            Self::Gcm { .. } => 16,
        }
    }

    /// Protects an RTP packet of `length` bytes at the start of `buffer`, of which `header` are left readable; returns
    /// its new length. `index` is roll-over counter and sequence number, 48 bits.
    #[inline]
    pub(super) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, RtpError> {
        let needed = length + self.tag_bytes();
        let room = buffer.len();
        let packet = buffer.get_mut(..needed).ok_or(RtpError::NoRoom { needed, room })?;
        let (body, tag) = packet.split_at_mut(length);
        match self {
            Self::Counter { aes, salt, mac, tag_bytes } => {
                xor_key_stream(aes, counter_block(salt, ssrc, index), &mut body[header..]);
                tag.copy_from_slice(&mac.tag(body, &rollover(index))[..*tag_bytes]);
            }
            Self::Gcm { key, salt } => {
                let (clear, secret) = body.split_at_mut(header);
                let nonce = gcm_nonce(salt, ssrc, index);
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(&*clear), secret);
                tag.copy_from_slice(made.map_err(|_| RtpError::KeyUsedUp)?.as_ref());
            }
        }
        Ok(needed)
    }

    /// Opens a protected RTP packet, MKI removed; returns its length without the tag. On failure the content is spoilt.
    #[inline]
    pub(super) fn open_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) -> Result<usize, RtpError> {
        let length = packet.len().checked_sub(self.tag_bytes()).filter(|length| *length >= header);
        let length = length.ok_or(RtpError::NotAuthentic)?;
        let (body, tag) = packet.split_at_mut(length);
        match self {
            Self::Counter { aes, salt, mac, tag_bytes } => {
                let expected = mac.tag(body, &rollover(index));
                if !bool::from(expected[..*tag_bytes].ct_eq(tag)) {
                    return Err(RtpError::NotAuthentic);
                }
                xor_key_stream(aes, counter_block(salt, ssrc, index), &mut body[header..]);
            }
            Self::Gcm { key, salt } => {
                let (clear, secret) = body.split_at_mut(header);
                let opened =
                    key.open_in_place_separate_tag(gcm_nonce(salt, ssrc, index), Aad::from(&*clear), tag, secret);
                opened.map_err(|_| RtpError::NotAuthentic)?;
            }
        }
        Ok(length)
    }

    /// Protects an RTCP compound of `length` bytes at the start of `buffer`; returns its new length.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], length: usize, ssrc: u32, index: u32) -> Result<usize, RtpError> {
        let needed = length + self.tag_bytes() + 4;
        let room = buffer.len();
        let packet = buffer.get_mut(..needed).ok_or(RtpError::NoRoom { needed, room })?;
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Counter { aes, salt, mac, tag_bytes } => {
                xor_key_stream(aes, counter_block(salt, ssrc, u64::from(index)), &mut packet[RTCP_CLEAR..length]);
                packet[length..length + 4].copy_from_slice(&word);
                let (body, tag) = packet.split_at_mut(length + 4);
                tag.copy_from_slice(&mac.tag(body, b"")[..*tag_bytes]);
            }
            Self::Gcm { key, salt } => {
                let (body, trailer) = packet.split_at_mut(length);
                let (clear, secret) = body.split_at_mut(RTCP_CLEAR);
                let aad = rtcp_aad(clear, word);
                let made = key.seal_in_place_separate_tag(gcm_rtcp_nonce(salt, ssrc, index), Aad::from(aad), secret);
                trailer[..16].copy_from_slice(made.map_err(|_| RtpError::KeyUsedUp)?.as_ref());
                trailer[16..].copy_from_slice(&word);
            }
        }
        Ok(needed)
    }

    /// The index word of a protected RTCP compound, MKI removed: whether it is encrypted, and its index.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Result<(bool, u32), RtpError> {
        let after = if matches!(self, Self::Counter { .. }) { self.tag_bytes() } else { 0 };
        let end = packet.len().checked_sub(after).ok_or(RtpError::NotAuthentic)?;
        let word =
            packet[..end].last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)).ok_or(RtpError::NotAuthentic)?;
        Ok((word & ENCRYPTED != 0, word & !ENCRYPTED))
    }

    /// Opens a protected RTCP compound, MKI removed; returns its length without tag and index.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        encrypted: bool,
        index: u32,
    ) -> Result<usize, RtpError> {
        let length = packet.len().checked_sub(self.tag_bytes() + 4).filter(|length| *length >= RTCP_CLEAR);
        let length = length.ok_or(RtpError::NotAuthentic)?;
        match self {
            Self::Counter { aes, salt, mac, tag_bytes } => {
                let (body, tag) = packet.split_at_mut(length + 4);
                if !bool::from(mac.tag(body, b"")[..*tag_bytes].ct_eq(tag)) {
                    return Err(RtpError::NotAuthentic);
                }
                if encrypted {
                    xor_key_stream(aes, counter_block(salt, ssrc, u64::from(index)), &mut body[RTCP_CLEAR..length]);
                }
            }
            Self::Gcm { .. } if !encrypted => {
                return Err(RtpError::Unsupported("SRTCP without encryption under AES-GCM"));
            }
            Self::Gcm { key, salt } => {
                let (body, trailer) = packet.split_at_mut(length);
                let (clear, secret) = body.split_at_mut(RTCP_CLEAR);
                let aad = rtcp_aad(clear, (index | ENCRYPTED).to_be_bytes());
                let nonce = gcm_rtcp_nonce(salt, ssrc, index);
                let opened = key.open_in_place_separate_tag(nonce, Aad::from(aad), &trailer[..16], secret);
                opened.map_err(|_| RtpError::NotAuthentic)?;
            }
        }
        Ok(length)
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        match self {
            Self::Counter { salt, .. } => salt.zeroize(),
            Self::Gcm { salt, .. } => salt.zeroize(),
        }
    }
}

/// The E flag of the SRTCP index word (RFC 3711 §3.4).
const ENCRYPTED: u32 = 0x8000_0000;
/// Bytes of an RTCP compound that stay readable: first head and SSRC.
pub(super) const RTCP_CLEAR: usize = 8;

fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// IV of RFC 3711 §4.1.1: salt · 2^16 ⊕ SSRC · 2^64 ⊕ index · 2^16.
#[inline]
fn counter_block(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut block = [0; 16];
    block[..14].copy_from_slice(salt);
    let value = u128::from_be_bytes(block) ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
    value.to_be_bytes()
}

/// IV of RFC 7714 §8.1: salt ⊕ (SSRC, roll-over counter, sequence number).
#[inline]
fn gcm_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut bytes = [0; 16];
    bytes[4..].copy_from_slice(salt);
    let value = u128::from_be_bytes(bytes) ^ u128::from(ssrc) << 48 ^ u128::from(index & 0xffff_ffff_ffff);
    let all = value.to_be_bytes();
    Nonce::assume_unique_for_key(std::array::from_fn(|n| all[n + 4]))
}

/// IV of RFC 7714 §9.1: salt ⊕ (SSRC, 16 zero bits, 0, SRTCP index).
fn gcm_rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> Nonce {
    gcm_nonce(salt, ssrc, u64::from(index))
}

/// Associated data of an encrypted SRTCP packet (RFC 7714 §9.2): the readable head and the index word.
fn rtcp_aad(clear: &[u8], word: [u8; 4]) -> [u8; RTCP_CLEAR + 4] {
    std::array::from_fn(|n| if n < RTCP_CLEAR { clear[n] } else { word[n - RTCP_CLEAR] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::srtp::tests::hex;

    #[test]
    fn rfc3711_b2_aes_cm_key_stream() {
        let aes = Aes::new(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let mut start: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut stream = [0; 48];
        xor_key_stream(&aes, start, &mut stream);
        let first =
            hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0");
        assert_eq!(stream.to_vec(), first);
        start[14..].copy_from_slice(&[0xfe, 0xff]);
        let mut stream = [0; 48];
        xor_key_stream(&aes, start, &mut stream);
        let last =
            hex("EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44");
        assert_eq!(stream.to_vec(), last);
    }

    const GALLIA: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
    const QUID_PRO_QUO: &str = "51756964 2070726f 2071756f";

    fn check_rtp(suite: Suite, expected: &str) {
        let key: Vec<u8> = (0..suite.key_bytes() as u8).collect();
        let cipher = Cipher::gcm(suite, &key, hex(QUID_PRO_QUO).try_into().unwrap()).unwrap();
        let plain = hex(GALLIA);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + 16, 0);
        let length = cipher.seal_rtp(&mut buffer, 12, plain.len(), 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(buffer[..length], hex(expected));
        assert_eq!(cipher.open_rtp(&mut buffer, 12, 0x5501_a0b2, 0xf17b), Ok(plain.len()));
        assert_eq!(buffer[..plain.len()], plain);
    }

    #[test]
    fn rfc7714_16_1_1_srtp_aead_aes_128_gcm() {
        check_rtp(
            Suite::AEAD_AES_128_GCM,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
    }

    #[test]
    fn rfc7714_16_2_1_srtp_aead_aes_256_gcm() {
        check_rtp(
            Suite::AEAD_AES_256_GCM,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        );
    }

    #[test]
    fn rfc7714_17_1_srtcp_aead_aes_128_gcm() {
        let key: Vec<u8> = (0..16).collect();
        let cipher = Cipher::gcm(Suite::AEAD_AES_128_GCM, &key, hex(QUID_PRO_QUO).try_into().unwrap()).unwrap();
        let plain = hex(
            "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef",
        );
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + 20, 0);
        let length = cipher.seal_rtcp(&mut buffer, plain.len(), 0x4d61_7273, 0x5d4).unwrap();
        let expected = hex(
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
        assert_eq!(buffer[..length], expected);
        assert_eq!(cipher.rtcp_index(&buffer), Ok((true, 0x5d4)));
        assert_eq!(cipher.open_rtcp(&mut buffer, 0x4d61_7273, true, 0x5d4), Ok(plain.len()));
        assert_eq!(buffer[..plain.len()], plain);
    }
}
