//! Binds: SMPP sessions over TCP. The side that connects to carriers is here; the accepting side is not yet.

pub(crate) mod client;
mod drive;
mod held;
