//! What can be wrong with a session description, by fault.

/// Why a description was not taken or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text breaks a rule of the format.
    #[error("malformed {rule} at byte {offset}")]
    Malformed {
        /// The rule.
        rule: &'static str,
        /// Where, bytes from the start.
        offset: usize,
    },
    /// Over a bound of `base::limits`.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The answer does not fit its offer (RFC 3264 §6).
    #[error("misbehaved: {0}")]
    Misbehaved(&'static str),
    /// Nothing in it that we can do; 488 (RFC 3261 §21.4.26).
    #[error("not acceptable: {0}")]
    NotAcceptable(&'static str),
}
