//! Nonces that need no memory (RFC 8489 §9.2, §16.1.1): the time and a keyed hash over time, realm and source.
//!
//! A nonce is good for its lifetime and only from the address that it was given to. Workers that share a key accept
//! each other's nonces. There is no count of uses: STUN requests are idempotent.

use std::net::SocketAddr;
use std::time::Duration;

use base::{Random, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a nonce is good; clients get 438 with a fresh one after it.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// Hexadecimal digits of the time and of the hash.
const TIME_DIGITS: usize = 8;
const HASH_BYTES: usize = 16;

/// Makes and checks nonces.
#[derive(Clone)]
pub struct NonceMaker {
    key: [u8; 32],
}

impl NonceMaker {
    /// A maker with a key of its own.
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self { key }
    }

    /// A nonce for `source`, 40 hexadecimal digits.
    pub fn make(&self, now: Timestamp, realm: &str, source: SocketAddr) -> String {
        let seconds = now.as_secs() as u32;
        let hash = self.hash(seconds, realm, source);
        let mut text = format!("{seconds:08x}");
        for byte in hash {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// Whether `nonce` is ours, for this source, and neither too old nor from the future.
    pub fn is_good(&self, now: Timestamp, realm: &str, source: SocketAddr, nonce: &str) -> bool {
        let Some((time, hash)) = nonce.split_at_checked(TIME_DIGITS) else { return false };
        let Ok(seconds) = u32::from_str_radix(time, 16) else { return false };
        let age = (now.as_secs() as u32).wrapping_sub(seconds);
        let expected = self.hash(seconds, realm, source);
        let mut given = [0; HASH_BYTES];
        parse_hex(hash, &mut given) && bool::from(expected.ct_eq(&given)) && u64::from(age) < LIFETIME.as_secs()
    }

    fn hash(&self, seconds: u32, realm: &str, source: SocketAddr) -> [u8; HASH_BYTES] {
        let mut out = [0; HASH_BYTES];
        if let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key) {
            mac.update(&seconds.to_be_bytes());
            match source.ip() {
                std::net::IpAddr::V4(ip) => mac.update(&ip.octets()),
                std::net::IpAddr::V6(ip) => mac.update(&ip.octets()),
            }
            mac.update(&source.port().to_be_bytes());
            mac.update(realm.as_bytes());
            out.copy_from_slice(&mac.finalize().into_bytes()[..HASH_BYTES]);
        }
        out
    }
}

impl std::fmt::Debug for NonceMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NonceMaker")
    }
}

fn parse_hex(text: &str, out: &mut [u8; HASH_BYTES]) -> bool {
    let digits = text.as_bytes();
    if digits.len() != HASH_BYTES * 2 {
        return false;
    }
    for (slot, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => *slot = (high << 4 | low) as u8,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn source(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    #[test]
    fn a_nonce_is_good_for_its_source_its_realm_and_its_time_only() {
        let maker = NonceMaker::new(&mut Random::from_seed(1));
        let nonce = maker.make(NOW, "r", source(5));
        assert!(maker.is_good(NOW, "r", source(5), &nonce));
        assert!(maker.is_good(NOW.after(LIFETIME - Duration::from_secs(1)), "r", source(5), &nonce));
        assert!(!maker.is_good(NOW.after(LIFETIME), "r", source(5), &nonce), "too old");
        assert!(!maker.is_good(NOW.before(Duration::from_secs(2)), "r", source(5), &nonce), "from the future");
        assert!(!maker.is_good(NOW, "r", source(6), &nonce), "another source");
        assert!(!maker.is_good(NOW, "s", source(5), &nonce), "another realm");
        assert!(!NonceMaker::new(&mut Random::from_seed(2)).is_good(NOW, "r", source(5), &nonce), "another key");
    }

    #[test]
    fn texts_that_are_not_nonces_are_refused() {
        let maker = NonceMaker::new(&mut Random::from_seed(1));
        let short = &maker.make(NOW, "r", source(5))[..39].to_owned();
        for bad in ["", "x", "é000000000", short, &"z".repeat(40), &"é".repeat(20)] {
            assert!(!maker.is_good(NOW, "r", source(5), bad), "{bad}");
        }
    }
}
