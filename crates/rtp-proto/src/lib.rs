//! RTP, RTCP and SRTP as pure functions and small machines: no socket, no clock, no task.
//!
//! | module | what | document |
//! |---|---|---|
//! | [`header`] | the fixed header: read, write, change in place | RFC 3550 §5.1 |
//! | [`rtcp`] | walk and write compound packets | RFC 3550 §6 |
//! | [`demux`] | which protocol a datagram speaks | RFC 7983, RFC 5761 |
//! | [`reception`] | sequence extension, loss, jitter | RFC 3550 A.1, A.3, A.8 |
//! | [`latch`] | where a peer's media comes from and should go | RFC 4961, RFC 7362 |
//! | [`dtmf`] | telephone events | RFC 4733 |
//! | [`srtp`] | SRTP and SRTCP, in place | RFC 3711, 6188, 7714 |
//!
//! It does not carry DTLS (no handshake here), decode audio, or reorder packets.

pub mod demux;
pub mod dtmf;
pub mod error;
pub mod header;
pub mod latch;
pub mod reception;
pub mod rtcp;
pub mod srtp;

pub use demux::{PacketKind, classify};
pub use error::RtpError;
pub use header::RtpHeader;
pub use latch::{Evidence, Latch, LatchConfig, Verdict};
pub use reception::{Reception, SequenceExtender};
pub use srtp::{Opener, Sealer, Suite};
