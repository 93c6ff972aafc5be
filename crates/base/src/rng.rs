//! Seeded randomness: a machine gets its generator from its constructor, so that a run can be repeated from its seed.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A cryptographically strong generator (ChaCha12), seeded once.
#[derive(Debug)]
pub struct Random(StdRng);

impl Random {
    /// From the operating system's entropy; for drivers.
    pub fn from_entropy() -> Self {
        Self(rand::make_rng())
    }

    /// From a seed; for tests and replay.
    pub fn from_seed(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A generator that goes its own way from here on.
    pub fn fork(&mut self) -> Self {
        Self(StdRng::from_rng(&mut self.0))
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// `length` characters out of 0-9 and a-z without i, l, o, u: five random bits each.
    pub fn token(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        (0..length).map(|_| char::from(ALPHABET[(self.u32() & 31) as usize])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (mut a, mut b) = (Random::from_seed(7), Random::from_seed(7));
        assert_eq!(a.token(20), b.token(20));
        assert_ne!(a.token(20), Random::from_seed(8).token(20));
    }
}
