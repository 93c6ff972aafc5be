//! Refusals that the pipeline knows before there is a call.

use call::{Cause, Rejection};
use domain::ports::Unavailable;

/// The store or another part cannot answer now.
pub(crate) fn unavailable(error: Unavailable) -> Rejection {
    tracing::warn!(%error, "a port did not answer");
    Rejection::new(503, Cause::Unavailable)
}

/// A suspended account, a number that is not the caller's, a foreign domain.
pub(crate) fn forbidden() -> Rejection {
    Rejection::new(403, Cause::Forbidden)
}

/// No such name or number.
pub(crate) fn unknown() -> Rejection {
    Rejection::new(404, Cause::Unallocated)
}

/// A number to which no trunk or no price leads.
pub(crate) fn no_route() -> Rejection {
    Rejection { status: 404, q850: Cause::NoRoute.q850(), cause: Cause::NoRoute }
}

/// A call that comes back to where it was forwarded.
pub(crate) fn looping() -> Rejection {
    Rejection::new(482, Cause::Loop)
}
