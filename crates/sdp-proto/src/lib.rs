//! Session descriptions (RFC 8866): read, change, answer, write; unknown lines survive.
//!
//! | module | what | document |
//! |---|---|---|
//! | [`model`] | [`Sdp`], [`Media`] and their typed reads | RFC 8866, RFC 3605, RFC 5761 |
//! | [`protocol`] | RTP/AVP and its relatives | RFC 4568, RFC 4585, RFC 5124, RFC 5764 |
//! | [`crypto`] | `a=crypto` | RFC 4568, RFC 6188, RFC 7714 |
//! | [`rewrite`] | what a relay changes | – |
//! | [`negotiate`] | offer and answer of an endpoint | RFC 3264 |
//!
//! It does not run ICE or DTLS (their lines are kept, or taken out by [`rewrite`]), and does not transcode.

pub mod crypto;
pub mod error;
pub mod model;
pub mod negotiate;
mod parse;
pub mod protocol;
pub mod rewrite;

mod base64;

pub use crypto::{CryptoAttribute, CryptoSuite};
pub use error::SdpError;
pub use model::{Address, Codec, Direction, Line, Media, Origin, Sdp};
pub use negotiate::{Agreed, LocalMedia, OriginKeeper};
pub use protocol::Protocol;
pub use rewrite::{RelayEdit, RtcpPlace, SectionEdit, rewrite};
