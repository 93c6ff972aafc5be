//! Process settings: a TOML file with overrides from the environment, read into typed structs, and the reference file that
//! is written from their defaults. It does not know any service's keys, and objects of the business (tenants, numbers,
//! trunks ...) are not settings: they live in the store.

// The macro names this crate by its name, also inside it.
extern crate self as settings;

mod config;
mod document;
mod load;
mod locate;
mod redact;

pub use config::{Documented, Key};
pub use document::Document;
pub use load::{ENV_PREFIX, SettingsError, load, load_str};
pub use redact::redacted;

#[doc(hidden)]
pub use serde;
