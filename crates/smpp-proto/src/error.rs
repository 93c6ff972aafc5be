//! The one error type of this crate, ordered by who is at fault.

use crate::pdu::CommandId;

/// Why octets were not understood, or a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmppError {
    /// The peer's `command_length` cannot be; the stream cannot be followed any further (SMPP 3.4 §3.2).
    #[error("malformed command_length {length}: outside 16..={max}")]
    MalformedLength {
        /// What the header says, octets.
        length: u32,
        /// The longest PDU that we take, octets.
        max: usize,
    },
    /// The peer's PDU does not hold together; the next one may.
    #[error("malformed {field} at octet {offset}")]
    Malformed {
        /// The field's name in the specification.
        field: &'static str,
        /// Where it begins, octets from the start of the PDU.
        offset: usize,
    },
    /// The peer said something out of turn.
    #[error("peer misbehaved: {command} {rule}")]
    Misbehaved {
        /// What it sent.
        command: CommandId,
        /// The rule it broke.
        rule: &'static str,
    },
    /// A character that the coding cannot carry.
    #[error("unsupported character {0:?} in this coding")]
    UnsupportedCharacter(char),
    /// We were asked to send a field that does not fit its room (SMPP 3.4 §5.2).
    #[error("refused {field}: {octets} octets, at most {max}")]
    RefusedLength {
        /// The field's name in the specification.
        field: &'static str,
        /// What it has, octets.
        octets: usize,
        /// What it may have, octets.
        max: usize,
    },
    /// We were asked to send a NUL inside a NUL-terminated field.
    #[error("refused {field}: it holds a NUL")]
    RefusedNul {
        /// The field's name in the specification.
        field: &'static str,
    },
    /// The session is not bound, or not bound in a mode that may send this.
    #[error("refused: the session is not bound for this")]
    RefusedState,
    /// There is no such request to answer; it was answered before, or the link has gone.
    #[error("refused: no request with sequence {sequence} waits for an answer")]
    RefusedAnswer {
        /// Its sequence number.
        sequence: u32,
    },
    /// Window and queue are full; try when a response has come.
    #[error("unavailable: window and queue are full")]
    UnavailableRoom,
}
