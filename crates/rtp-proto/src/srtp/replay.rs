//! Packet indexes: the 48-bit index guessed from 16 bits of sequence number (RFC 3711 §3.3.1, appendix A), and the window of
//! those seen (§3.3.2).

use serde::{Deserialize, Serialize};

use crate::error::RtpError;

/// The last 128 indexes of one source: twice the least that RFC 3711 §3.3.2 asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWindow {
    /// Highest index accepted; meaningless while `seen` is 0.
    highest: u64,
    /// Bit n: `highest - n` was accepted.
    seen: u128,
}

/// Over this there is no roll-over counter left (RFC 3711 §3.3.1: 2^48 packets).
const INDEX_MAX: u64 = (1 << 48) - 1;

impl ReplayWindow {
    /// One that has seen nothing.
    pub const fn new() -> Self {
        Self { highest: 0, seen: 0 }
    }

    /// Whether `index` may be accepted.
    #[inline]
    pub fn check(&self, index: u64) -> Result<(), RtpError> {
        if self.seen == 0 || index > self.highest {
            return Ok(());
        }
        let age = self.highest - index;
        if age < 128 && self.seen >> age & 1 == 0 { Ok(()) } else { Err(RtpError::Replayed) }
    }

    /// Marks `index` as accepted; only after it was authenticated.
    #[inline]
    pub fn accept(&mut self, index: u64) {
        if self.seen == 0 {
            (self.highest, self.seen) = (index, 1);
        } else if index > self.highest {
            let shift = index - self.highest;
            self.seen = if shift < 128 { self.seen << shift | 1 } else { 1 };
            self.highest = index;
        } else if self.highest - index < 128 {
            self.seen |= 1 << (self.highest - index);
        }
    }

    /// The index that `sequence` most likely stands for (RFC 3711 appendix A). Before anything was accepted the roll-over
    /// counter is 0.
    #[inline]
    pub fn estimate(&self, sequence: u16) -> Result<u64, RtpError> {
        let sequence = u64::from(sequence);
        if self.seen == 0 {
            return Ok(sequence);
        }
        let (rollover, last) = (self.highest >> 16, self.highest & 0xffff);
        let index = if last < 0x8000 && sequence > last + 0x8000 {
            // Late by more than what there was before the first packet: older than any window.
            rollover.checked_sub(1).ok_or(RtpError::Replayed)? << 16 | sequence
        } else if last >= 0x8000 && sequence < last - 0x8000 {
            (rollover + 1) << 16 | sequence
        } else {
            rollover << 16 | sequence
        };
        if index > INDEX_MAX { Err(RtpError::KeyUsedUp) } else { Ok(index) }
    }

    /// The highest index accepted, 0 before the first.
    pub const fn highest(&self) -> u64 {
        self.highest
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn rfc3711_appendix_a_the_rollover_counter_follows_and_late_packets_belong_to_the_last_round() {
        let mut window = ReplayWindow::new();
        for sent in 65_500..200_000u64 {
            let index = sent - 65_500 + 65_500;
            let guess = window.estimate(index as u16).unwrap();
            assert_eq!(guess, index);
            window.accept(guess);
        }
        let mut window = ReplayWindow::new();
        window.accept(0x1_0003);
        assert_eq!(window.estimate(0xfffe), Ok(0xfffe));
        assert_eq!(window.estimate(0x0004), Ok(0x1_0004));
        let mut fresh = ReplayWindow::new();
        fresh.accept(3);
        assert_eq!(fresh.estimate(0xfffe), Err(RtpError::Replayed));
    }

    #[test]
    fn the_last_rollover_ends_the_key() {
        let mut window = ReplayWindow::new();
        window.accept(INDEX_MAX);
        assert_eq!(window.estimate(0), Err(RtpError::KeyUsedUp));
    }

    proptest! {
        /// Against the obvious model: a set of all that were accepted.
        #[test]
        fn nothing_is_accepted_twice_and_nothing_new_within_128_is_refused(steps in proptest::collection::vec(0u64..400, 1..200)) {
            let (mut window, mut model) = (ReplayWindow::new(), BTreeSet::new());
            for index in steps {
                let highest: u64 = model.last().copied().unwrap_or(0);
                let old = !model.is_empty() && highest.saturating_sub(index) >= 128;
                let expected = !old && !model.contains(&index);
                prop_assert_eq!(window.check(index).is_ok(), expected);
                if expected {
                    window.accept(index);
                    model.insert(index);
                }
            }
        }
    }
}
