//! STUN messages (RFC 8489), their credentials, and a TURN server (RFC 8656) as a machine without I/O.
//!
//! The message half ([`Message`], [`MessageWriter`], [`integrity`], [`nonce`], [`credential`]) serves the TURN server
//! and whoever answers connectivity checks. The server half is [`turn`]. No sockets, no clock, no threads: time is an
//! argument, randomness comes from [`base::Random`]. Not here: ICE, TCP allocations (RFC 6062), mobility (RFC 8016).

pub mod address;
pub mod attribute;
mod base64;
pub mod credential;
mod error;
pub mod integrity;
pub mod message;
pub mod nonce;
pub mod turn;
mod write;

pub use error::Error;
pub use integrity::{Integrity, Key};
pub use message::{Class, Message, Method, TransactionId};
pub use write::MessageWriter;
