//! `tandem apply`: a manifest into the store, as one transaction, with the difference shown.

use std::path::Path;

use store::{Difference, Store};

use crate::manifest;

/// Why a manifest was not applied: one line for a terminal.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Unreadable(String, std::io::Error),
    /// The manifest is wrong; the text names file, line and key.
    #[error("{0}")]
    Manifest(String),
    /// The store refused it; nothing was changed.
    #[error("{0}: {1}")]
    Store(String, store::Error),
}

/// Applies a file, or with `dry_run` only says what would change. What it brings is managed under the file's name, so the
/// same file applied again after an edit changes and removes what it brought before.
pub async fn apply(store: &Store, file: &Path, dry_run: bool) -> Result<Difference, ApplyError> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| ApplyError::Unreadable(shown.clone(), error))?;
    let source = file.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    let desired = manifest::read(&shown, &text).map_err(|error| ApplyError::Manifest(error.to_string()))?;
    store.provision(&source, &desired, dry_run).await.map_err(|error| ApplyError::Store(shown, error))
}

/// Applies a text under the name of `source`.
pub(crate) async fn apply_text(store: &Store, source: &str, text: &str) -> Result<Difference, ApplyError> {
    let desired = manifest::read(source, text).map_err(|error| ApplyError::Manifest(error.to_string()))?;
    store.provision(source, &desired, false).await.map_err(|error| ApplyError::Store(source.to_owned(), error))
}
