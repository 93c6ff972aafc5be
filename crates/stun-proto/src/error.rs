//! What can be wrong with bytes that claim to be STUN. Refusals of the TURN server are in `turn::refusal`.

/// Why a message was not taken, ordered by whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a STUN message (RFC 8489 §6.3): drop them without an answer.
    #[error("malformed {what} at byte {offset}")]
    Malformed {
        /// The rule that is broken.
        what: &'static str,
        /// Where, in bytes from the start of the message.
        offset: usize,
    },
    /// FINGERPRINT or a message integrity is there and does not match.
    #[error("{what} does not match")]
    Misbehaved {
        /// The attribute.
        what: &'static str,
    },
}
