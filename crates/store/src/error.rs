//! What can go wrong in the store, ordered by who is at fault. Mapping to HTTP or SIP statuses is the services' business.

use domain::ports::{BillingError, SmsError, Unavailable};

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value that can never be kept: the caller's fault. `what` names the field.
    #[error("{what}: {why}")]
    Malformed {
        /// The field.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// What is stored cannot be read: somebody changed it behind our back, or the master key is another one.
    #[error("stored data cannot be read: {0}")]
    Misbehaved(String),
    /// Something that this store does not do, such as an unknown URL scheme.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Nothing there (or not in this tenant).
    #[error("no such {0}")]
    NotFound(&'static str),
    /// It contradicts what is there: a name taken, a transition that is not allowed.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The object belongs to a manifest and is changed only there. The text is the manifest's name.
    #[error("managed by {0}: change it there")]
    Managed(String),
    /// The wallet has less than needed.
    #[error("not enough credit")]
    NoCredit,
    /// All places for slow work are taken; try again later.
    #[error("busy: {0}")]
    Busy(&'static str),
    /// The database cannot answer now. The text is for the log.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// What store functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A value that cannot be kept.
    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Misbehaved(error.to_string())
            }
            sqlx::Error::Database(fault) if fault.is_unique_violation() => {
                Self::Conflict(format!("already there ({})", fault.message()))
            }
            sqlx::Error::Database(fault) if fault.is_check_violation() => {
                Self::Conflict(format!("it would break a rule of the data ({})", fault.message()))
            }
            sqlx::Error::Database(fault) if fault.is_foreign_key_violation() => {
                Self::Conflict(format!("something else refers to it ({})", fault.message()))
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(text) => Self(text),
            other => Self(other.to_string()),
        }
    }
}

impl From<Error> for BillingError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCredit => Self::NoCredit,
            Error::NotFound(_) => Self::Unknown,
            other => Self::Unavailable(other.into()),
        }
    }
}

impl From<Error> for SmsError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoCredit => Self::NoCredit,
            other => Self::Unavailable(other.into()),
        }
    }
}
