//! What the flow tests stand on: a switch in a process of its own, peers that we did not write (baresip, sipp, coturn's
//! client, a Python SMSC), a NAT box and an impairer for UDP, and the measuring of recorded sound.
//!
//! Everything here is blocking and belongs to one test. It panics with a clear message when a peer is missing or a
//! deadline passes: a test must fail then, never be skipped. Not for production code.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

pub mod http;
pub mod impair;
pub mod manifest;
pub mod nat;
pub mod phone;
mod place;
mod process;
pub mod sipp;
pub mod smsc;
pub mod sound;
mod switch;
mod wait;
pub mod world;

pub use manifest::Manifest;
pub use phone::{Phone, PhoneSetup};
pub use place::Place;
pub use process::{Process, tool};
pub use sipp::Sipp;
pub use smsc::Smsc;
pub use switch::{DOMAIN, Setup, Switch, micros, program};
pub use wait::{until, until_some};
