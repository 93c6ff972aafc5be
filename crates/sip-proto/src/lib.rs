//! SIP without I/O: messages, transactions, dialogs, digest authentication and the registrar's rules (RFC 3261 and kin).
//!
//! Drivers feed datagrams, decisions and time into an [`Endpoint`] and carry out what it puts out. Nothing here reads a
//! clock, opens a socket or looks a name up.

pub mod auth;
pub mod dialog;
pub mod endpoint;
mod error;
mod flow;
pub mod message;
mod method;
pub mod registrar;
mod scan;
mod status;
pub mod stream;
mod text;
mod transaction;
mod uri;

pub use dialog::{Dialog, DialogId, DialogSet, DialogState};
pub use endpoint::{Advertised, ClientTx, Endpoint, EndpointConfig, EndpointState, Event, Output, ServerTx, Stats};
pub use error::ParseError;
pub use flow::{Flow, Transport};
pub use message::{Contact, HeaderName, Message, NameAddr, Refusal, RequestBuilder, ResponseBuilder, Via};
pub use method::{METHOD_BYTES_MAX, Method, OtherMethod};
pub use scan::{Params, Values, escape, unescape};
pub use status::reason_phrase;
pub use stream::{Frame, StreamFramer};
pub use text::Text;
pub use uri::{Scheme, Uri};
