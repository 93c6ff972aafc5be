//! What can be wrong with an audio file.

/// Why a file was not read or written, ordered by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a WAV file, or a broken one.
    #[error("malformed WAV: {0}")]
    Malformed(String),
    /// A WAV file of a kind that is not read here.
    #[error("unsupported WAV: {0}")]
    Unsupported(String),
}
