//! What can be wrong with bytes that claim to be SIP. Ordered by who is at fault; the status a peer gets for it is
//! decided in `message::validate`, not here.

/// A message, or a part of one, that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes break a rule of the grammar (RFC 3261 §25).
    #[error("malformed {rule} at byte {offset}")]
    Malformed {
        /// The rule that is broken, in the words of the grammar.
        rule: &'static str,
        /// Where, in bytes from the start of what was parsed.
        offset: usize,
    },
    /// More bytes or header lines than `base::limits` takes.
    #[error("{what} over the limit of {limit_max}")]
    TooLarge {
        /// What is too much.
        what: &'static str,
        /// The most that is taken.
        limit_max: usize,
    },
}

impl ParseError {
    /// A broken rule at `offset`.
    pub(crate) const fn malformed(rule: &'static str, offset: usize) -> Self {
        Self::Malformed { rule, offset }
    }

    /// The rule or limit that is broken, for a reason phrase.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Malformed { rule, .. } => rule,
            Self::TooLarge { what, .. } => what,
        }
    }
}
