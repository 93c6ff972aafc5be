//! Why a request is refused, and the only place where that becomes an error code (RFC 8489 §18.3, RFC 8656 §19).

/// A refused request, ordered by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A required attribute is missing or malformed.
    BadRequest,
    /// Attributes that the server must understand and does not.
    UnknownAttributes(Vec<u16>),
    /// An allocation that is not there, or one too many on the same 5-tuple.
    AllocationMismatch,
    /// The allocation belongs to another user.
    WrongCredentials,
    /// The peer is of another address family than the relay.
    PeerFamilyMismatch,
    /// No relays of this address family here.
    FamilyUnsupported,
    /// Not UDP.
    TransportUnsupported,
    /// No proof of the password.
    Unauthorized,
    /// The nonce is too old, or somebody else's.
    StaleNonce,
    /// The peer is closed by policy.
    Forbidden,
    /// The user has enough allocations.
    QuotaReached,
    /// No room or no port left.
    InsufficientCapacity,
}

impl Refusal {
    /// Code and reason of the error response.
    pub(super) fn code(&self) -> (u16, &'static str) {
        match self {
            Self::BadRequest => (400, "Bad Request"),
            Self::Unauthorized => (401, "Unauthenticated"),
            Self::Forbidden => (403, "Forbidden"),
            Self::UnknownAttributes(_) => (420, "Unknown Attribute"),
            Self::AllocationMismatch => (437, "Allocation Mismatch"),
            Self::StaleNonce => (438, "Stale Nonce"),
            Self::FamilyUnsupported => (440, "Address Family not Supported"),
            Self::WrongCredentials => (441, "Wrong Credentials"),
            Self::TransportUnsupported => (442, "Unsupported Transport Protocol"),
            Self::PeerFamilyMismatch => (443, "Peer Address Family Mismatch"),
            Self::QuotaReached => (486, "Allocation Quota Reached"),
            Self::InsufficientCapacity => (508, "Insufficient Capacity"),
        }
    }

    /// Whether the response carries REALM and NONCE, so that the client may try again.
    pub(super) fn is_challenge(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::StaleNonce)
    }
}
