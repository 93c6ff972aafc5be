//! Typed, time-ordered 64-bit identifiers, printed in Crockford base32 (13 lower-case letters and digits).
//!
//! Layout, from the top: 0 (sign) | 42 bits of milliseconds since 1970 | 1 bit of twin | 9 bits of node | 11 bits of
//! sequence. Generators leave the twin bit clear; an id with it set was derived from the id without it.
//! Positive, so that it fits a BIGINT; ordered by time, so that an index on it is an index on creation.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// What an id may point at. The variants are never made; they only tell one id from another at compile time.
pub mod kind {
    macro_rules! kinds { ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $($(#[$doc])* #[derive(Debug, Clone, Copy)] pub enum $name {})+ } }
    kinds! {
        /// A customer of the operator; owns domains, users, numbers.
        Tenant,
        /// A SIP domain of a tenant.
        Domain,
        /// A person or a service that owns devices and numbers.
        User,
        /// One SIP client of a user, with its own credentials.
        Device,
        /// A telephone number that we route.
        Number,
        /// A rule on a number.
        Rule,
        /// A SIP peer: carrier or customer PBX.
        Trunk,
        /// An SMPP peer.
        Carrier,
        /// A list of prices.
        RateDeck,
        /// One price.
        Rate,
        /// A purse of money.
        Wallet,
        /// Money set aside for a call or a message.
        Reservation,
        /// One posting of the ledger: two or more entries whose sum is zero.
        Posting,
        /// A call, both legs together.
        Call,
        /// A text message.
        Message,
        /// A login session of the API.
        Session,
        /// A published event.
        Event,
        /// A row of the audit log.
        Audit,
        /// A relay session.
        MediaSession,
    }
}

/// A typed identifier; `Id<kind::Call>` and `Id<kind::User>` cannot be confused.
pub struct Id<K>(i64, PhantomData<fn() -> K>);

/// Text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: 13 characters of 0-9 a-z without i, l, o, u")]
pub struct BadId;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 13;
/// Set in the id of a thing that was made from another one and bears its id.
const TWIN: i64 = 1 << 20;

impl<K> Id<K> {
    /// The id with this number. Numbers come from [`IdGenerator`] or from the store.
    pub const fn from_i64(value: i64) -> Self {
        Self(value, PhantomData)
    }

    /// The number, as stored.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The id derived from this one: the same each time, and never one that a generator makes. The twin of a twin is the
    /// first id again.
    #[must_use]
    pub const fn twin(self) -> Self {
        Self(self.0 ^ TWIN, PhantomData)
    }

    /// When the id was made, to the millisecond.
    pub const fn created_at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> 21)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; LENGTH];
        let mut rest = self.0 as u64;
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl<K> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if text.len() != LENGTH {
            return Err(BadId);
        }
        let mut value: u64 = 0;
        for byte in text.bytes() {
            let digit = ALPHABET.iter().position(|c| *c == byte.to_ascii_lowercase()).ok_or(BadId)?;
            value = value.checked_mul(32).and_then(|v| v.checked_add(digit as u64)).ok_or(BadId)?;
        }
        i64::try_from(value).map(Self::from_i64).map_err(|_| BadId)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes ids that grow strictly within one generator; two generators differ by their node number.
#[derive(Debug, Clone)]
pub struct IdGenerator {
    node: u16,
    last: i64,
}

impl IdGenerator {
    /// How many node numbers there are: 0 to 511.
    pub const NODES: u16 = 512;

    /// A generator for `node`, of which the lower 9 bits count.
    pub const fn new(node: u16) -> Self {
        Self { node: node & (Self::NODES - 1), last: 0 }
    }

    /// The next id at `now`. When more than 2,048 are made in a millisecond, or the clock steps back, it goes on in
    /// the following milliseconds, so that ids stay unique and ordered.
    pub fn next<K>(&mut self, now: Timestamp) -> Id<K> {
        let node = i64::from(self.node) << 11;
        let fresh = (now.as_millis() << 21) | node;
        let value = if fresh > self.last {
            fresh
        } else if self.last & 0x7ff == 0x7ff {
            (((self.last >> 21) + 1) << 21) | node
        } else {
            self.last + 1
        };
        self.last = value;
        Id::from_i64(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_stay_unique_when_the_clock_stands_or_steps_back() {
        let mut generator = IdGenerator::new(7);
        let mut last = Id::<kind::Call>::from_i64(0);
        for n in 0..10_000 {
            let now = Timestamp::from_millis(1_700_000_000_000 - (n % 3));
            let id = generator.next(now);
            assert!(id > last);
            last = id;
        }
    }

    #[test]
    fn no_generator_makes_a_twin_and_a_twin_leads_back() {
        for node in [0, 1, 511, 512, 1023, u16::MAX] {
            let mut generator = IdGenerator::new(node);
            let now = Timestamp::from_millis(1_700_000_000_123);
            // Past the end of a millisecond's sequence too.
            for _ in 0..5_000 {
                let id: Id<kind::Message> = generator.next(now);
                assert_eq!(id.as_i64() & TWIN, 0, "node {node}");
                assert!(id.twin() != id && id.twin().twin() == id);
                assert_eq!(id.twin().created_at(), id.created_at());
            }
        }
    }

    #[test]
    fn an_id_reads_back_from_its_text_and_bad_text_is_refused() {
        let id: Id<kind::User> = IdGenerator::new(3).next(Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.created_at().as_millis(), 1_700_000_000_123);
        for bad in ["", "0", "zzzzzzzzzzzzz", "000000000000u", "0000000000000000"] {
            assert_eq!(bad.parse::<Id<kind::User>>(), Err(BadId), "{bad}");
        }
    }
}
