//! HMAC-SHA1 (RFC 2104) with the key's two blocks hashed beforehand: a packet costs its own blocks and one more.

use sha1::block_api::compress;
use zeroize::Zeroize;

const INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const BLOCK: usize = 64;

/// A key ready for use.
pub(super) struct HmacSha1 {
    inner: [u32; 5],
    outer: [u32; 5],
}

impl HmacSha1 {
    /// Prepares a key of at most 64 bytes (SRTP's have 20).
    pub(super) fn new(key: &[u8]) -> Self {
        let block = |mask: u8| {
            let mut block = [mask; BLOCK];
            block.iter_mut().zip(key).for_each(|(b, k)| *b ^= k);
            let mut state = INITIAL;
            compress(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self { inner: block(0x36), outer: block(0x5c) }
    }

    /// The authentication code of `message` followed by `trailer` (of at most eight bytes).
    pub(super) fn tag(&self, message: &[u8], trailer: &[u8]) -> [u8; 20] {
        let mut state = self.inner;
        let (blocks, rest) = message.as_chunks::<BLOCK>();
        compress(&mut state, blocks);
        let length_bits = ((BLOCK + message.len() + trailer.len()) as u64) * 8;
        finish(&mut state, &[rest, trailer], length_bits);

        let mut digest = [0; 20];
        write_state(&state, &mut digest);
        let mut state = self.outer;
        finish(&mut state, &[&digest], (BLOCK as u64 + 20) * 8);
        write_state(&state, &mut digest);
        digest
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// Hashes what does not fill a block (under 72 bytes in all), with SHA-1's padding.
fn finish(state: &mut [u32; 5], parts: &[&[u8]], length_bits: u64) {
    let mut tail = [[0u8; BLOCK]; 2];
    let flat = tail.as_flattened_mut();
    let mut used = 0;
    for part in parts {
        flat[used..used + part.len()].copy_from_slice(part);
        used += part.len();
    }
    flat[used] = 0x80;
    let blocks = if used + 9 <= BLOCK { 1 } else { 2 };
    flat[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&length_bits.to_be_bytes());
    compress(state, &tail[..blocks]);
}

fn write_state(state: &[u32; 5], digest: &mut [u8; 20]) {
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    #[test]
    fn rfc2202_3_hmac_sha1_vectors() {
        assert_eq!(
            HmacSha1::new(&[0x0b; 20]).tag(b"Hi There", b"").to_vec(),
            hex("b617318655057264e28bc0b6fb378c8ef146be00")
        );
        let tag = HmacSha1::new(b"Jefe").tag(b"what do ya want for ", b"nothing?");
        assert_eq!(tag.to_vec(), hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
    }

    #[test]
    fn every_length_agrees_with_aws_lc() {
        let key = [7u8; 20];
        let reference = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
        let message: Vec<u8> = (0..300).map(|n| n as u8).collect();
        for length in 4..message.len() {
            let (head, trailer) = message[..length].split_at(length - 4);
            let expected = aws_lc_rs::hmac::sign(&reference, &message[..length]);
            assert_eq!(&HmacSha1::new(&key).tag(head, trailer), expected.as_ref(), "{length}");
        }
    }
}
