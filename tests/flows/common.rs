//! What all flow tests share: where the program and the peers' files lie.
#![allow(dead_code, reason = "each flow uses its part")]

use std::path::Path;
use std::time::Duration;

use testkit::Setup;

/// How long anything may take that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(8);

/// A switch from the program of this build.
pub(crate) fn switch() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_tandem"))
}

/// The directory of the tests.
pub(crate) fn tests() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}
