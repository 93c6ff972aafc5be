//! What can be wrong with a packet or a key. None of it is ever a reason to stop: the packet is dropped and counted.

/// Why a packet was not taken or could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// The bytes break a rule of the format.
    #[error("malformed {rule} at byte {offset}")]
    Malformed {
        /// The rule.
        rule: &'static str,
        /// Where, bytes from the start.
        offset: usize,
    },
    /// The authentication tag does not fit: damaged, forged, or protected with another key (RFC 3711 §3.3).
    #[error("not authentic")]
    NotAuthentic,
    /// Seen before, or older than the replay window (RFC 3711 §3.3.2).
    #[error("replayed or too old")]
    Replayed,
    /// A form that we know but do not do.
    #[error("unsupported {0}")]
    Unsupported(&'static str),
    /// A master key or salt of another length than the suite needs.
    #[error("{got} key and salt bytes, {needed} needed")]
    KeyLength {
        /// Bytes given.
        got: usize,
        /// Bytes that the suite takes.
        needed: usize,
    },
    /// The buffer has no room for what is added.
    #[error("{needed} bytes needed, the buffer has {room}")]
    NoRoom {
        /// Bytes needed in all.
        needed: usize,
        /// Bytes that there are.
        room: usize,
    },
    /// More sources under one key than [`crate::srtp::SOURCES_MAX`].
    #[error("too many sources under one key")]
    TooManySources,
    /// The key has protected as many packets as it may (RFC 3711 §9.2).
    #[error("key used up")]
    KeyUsedUp,
}

pub(crate) const fn malformed(rule: &'static str, offset: usize) -> RtpError {
    RtpError::Malformed { rule, offset }
}
