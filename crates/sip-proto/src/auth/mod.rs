//! HTTP digest as SIP uses it (RFC 3261 §22, RFC 7616, RFC 8760): challenges, credentials, verification, answers.
//!
//! Who a user is and which verifiers exist is the caller's knowledge; Basic is never offered (RFC 3261 §22).

mod client;
mod digest;
mod nonce;
mod server;

pub use client::{ClientAuth, preferred};
pub use digest::{Algorithm, Challenge, Credentials, Protection, Qop, ha1, response};
pub use nonce::{NonceIssuer, NonceState};
pub use server::{Authenticator, Verdict, Verifier};

#[cfg(test)]
mod tests;
