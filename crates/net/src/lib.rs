//! Sockets and TLS that several services share: bound before anything runs, so that a taken port is one clear error.
//!
//! It knows no protocol above TLS.

mod bind;
mod certificate;
mod tls;

pub use bind::{BindError, tcp_listener, udp_socket};
pub use certificate::{CertificateError, self_signed};
pub use tls::{TlsError, TlsServer, client_config};
