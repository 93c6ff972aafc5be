//! SMPP 3.4 without I/O: the PDU codec, the character codings, delivery receipts, and the session of either side.
//!
//! Strict in what it sends, tolerant but bounded in what it takes: carriers omit bodies, hand out over-long ids and
//! forget the final NUL. Deviations from the specification are listed in [`pdu`].
//!
//! What it does not do: open connections, read a clock, decide how a text is cut into segments or where it goes.
//! A driver feeds a [`session::Session`] with octets and time and carries out its outputs.
//!
//! Specification: Short Message Peer-to-Peer Protocol 3.4 issue 1.2; TLVs of 5.0 are passed as they are.

pub mod coding;
pub mod error;
pub mod pdu;
pub mod reader;
pub mod receipt;
pub mod session;
pub mod status;
pub mod udh;

pub use coding::{Alphabet, DataCoding};
pub use error::SmppError;
pub use pdu::{Address, Body, CommandId, Message, Pdu, Tlv, TlvBuffer, Tlvs};
pub use reader::PduReader;
pub use receipt::{Receipt, ReceiptId};
pub use session::{BindMode, Event, Input, Output, Session, SessionConfig};
pub use status::CommandStatus;
