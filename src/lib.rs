//! The composition: all roles of the switch in one process, wired together. `main` and every test start the very same
//! [`Switch`].

pub mod admin;
pub mod apply;
pub mod cli;
pub mod config;
mod manifest;
pub mod roles;
mod seed;
mod signals;
mod start;
mod welcome;
mod wiring;

pub use config::Config;
pub use start::{Running, StartError, Switch, open_store};
