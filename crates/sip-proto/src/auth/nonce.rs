//! Nonces that need no memory: time, salt, and a keyed hash over both and the realm and algorithm (RFC 7616 §5.4, §5.5).
//!
//! Any node with the same key recognises them. Whether a nonce *count* was used before needs memory, and that is a
//! bounded table; what falls out of it is asked to authenticate anew with `stale=true`.

use std::collections::BTreeMap;

use base::{Random, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::digest::{Algorithm, hex};

/// Bytes of the keyed hash that stand in a nonce: 128 bits cannot be guessed.
const MAC_BYTES: usize = 16;
/// Characters of time and of salt, hexadecimal.
const TIME_CHARS: usize = 12;
const SALT_CHARS: usize = 16;

/// What is known of a nonce that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceState {
    /// Ours and young enough.
    Fresh,
    /// Ours, but too old, or of a count that was used before or can no longer be checked.
    Stale,
    /// Not ours, or for another realm or algorithm.
    Foreign,
}

/// Makes and recognises nonces.
#[derive(Clone)]
pub struct NonceIssuer {
    key: [u8; 32],
    lifetime_ms: i64,
}

impl std::fmt::Debug for NonceIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NonceIssuer({} ms)", self.lifetime_ms)
    }
}

impl NonceIssuer {
    /// With this key, shared by all nodes that answer for the same realm, and a lifetime in seconds.
    pub fn new(key: [u8; 32], lifetime_s: u32) -> Self {
        Self { key, lifetime_ms: i64::from(lifetime_s) * 1000 }
    }

    /// A nonce for one realm and algorithm.
    pub fn issue(&self, now: Timestamp, realm: &str, algorithm: Algorithm, random: &mut Random) -> String {
        let mut nonce = format!("{:012x}{:016x}", now.as_millis().max(0), random.u64());
        let mac = self.mac(&nonce, realm, algorithm);
        nonce.push_str(&mac);
        nonce
    }

    /// Whether a nonce is ours and young enough; counts are the [`Window`]'s.
    pub fn check(&self, nonce: &str, now: Timestamp, realm: &str, algorithm: Algorithm) -> NonceState {
        let Some((open, mac)) = nonce.split_at_checked(TIME_CHARS + SALT_CHARS) else { return NonceState::Foreign };
        let expected = self.mac(open, realm, algorithm);
        if !bool::from(expected.as_bytes().ct_eq(mac.as_bytes())) {
            return NonceState::Foreign;
        }
        match issued_at(nonce) {
            // A little into the future is another node's clock.
            Some(issued) if (-5_000..=self.lifetime_ms).contains(&(now.as_millis() - issued)) => NonceState::Fresh,
            Some(_) => NonceState::Stale,
            None => NonceState::Foreign,
        }
    }

    fn mac(&self, open: &str, realm: &str, algorithm: Algorithm) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(open.as_bytes());
        mac.update(&[0]);
        mac.update(realm.as_bytes());
        mac.update(&[0]);
        mac.update(algorithm.as_str().as_bytes());
        hex(mac.finalize().into_bytes().get(..MAC_BYTES).unwrap_or_default())
    }
}

fn issued_at(nonce: &str) -> Option<i64> {
    i64::from_str_radix(nonce.get(..TIME_CHARS)?, 16).ok()
}

/// Which counts of which nonces were used: the last 64 counts of each, like the replay window of RFC 4302.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// By time of issue and salt, so that the oldest is dropped first.
    nonces: BTreeMap<(i64, u64), Used>,
    nonces_max: usize,
    /// Nonces issued up to here may have been dropped.
    dropped_to: i64,
}

#[derive(Debug, Clone, Copy)]
struct Used {
    highest: u32,
    /// Bit n: count `highest - n` was used.
    seen: u64,
}

impl Window {
    pub(super) const fn new(nonces_max: usize) -> Self {
        Self { nonces: BTreeMap::new(), nonces_max, dropped_to: i64::MIN }
    }

    /// Notes the use of `count` (1 and up) of a fresh nonce; false when it was used before or cannot be told.
    pub(super) fn take(&mut self, nonce: &str, count: u32) -> bool {
        let salt = nonce.get(TIME_CHARS..TIME_CHARS + SALT_CHARS).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let (Some(issued), Some(salt)) = (issued_at(nonce), salt) else { return false };
        if count == 0 {
            return false;
        }
        let Some(used) = self.nonces.get_mut(&(issued, salt)) else {
            if issued <= self.dropped_to {
                return false;
            }
            self.nonces.insert((issued, salt), Used { highest: count, seen: 1 });
            if self.nonces.len() > self.nonces_max
                && let Some(((oldest, _), _)) = self.nonces.pop_first()
            {
                self.dropped_to = self.dropped_to.max(oldest);
            }
            return true;
        };
        used.take(count)
    }

    /// Forgets nonces issued before `before`, which are stale anyway.
    pub(super) fn forget(&mut self, before: Timestamp) {
        while self.nonces.first_key_value().is_some_and(|((issued, _), _)| *issued < before.as_millis()) {
            self.nonces.pop_first();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nonces.len()
    }
}

impl Used {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - count).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return false;
        }
        self.seen |= bit;
        true
    }
}
