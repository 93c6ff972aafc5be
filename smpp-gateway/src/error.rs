//! What can keep the gateway from starting. What goes wrong later is handled where it happens: carriers and the store
//! come back, and until then nothing is lost.

/// Why the gateway did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// A setting that cannot be; the text names the key.
    #[error("{0}")]
    Malformed(String),
}
