//! The long-term credential mechanism (RFC 8489 §9.2.4): who sends this request?

use super::refusal::Refusal;
use super::server::Server;
use super::{FiveTuple, Now};
use crate::attribute as attr;
use crate::credential::{Proven, Signer};
use crate::message::Message;

/// Longest USERNAME, bytes (RFC 8489 §14.3).
const USERNAME_BYTES_MAX: usize = 508;

/// A request whose sender is known.
pub(super) struct Authenticated {
    pub(super) username: String,
    pub(super) proven: Proven,
    pub(super) signer: Signer,
}

impl Server {
    /// Checks nonce, user and integrity, in the order of the RFC.
    pub(super) fn authenticate(
        &self,
        now: Now,
        from: FiveTuple,
        message: &Message<'_>,
    ) -> Result<Authenticated, Refusal> {
        let integrity = message.integrity().ok_or(Refusal::Unauthorized)?;
        let required = |kind| message.text(kind).ok_or(Refusal::BadRequest);
        let (username, _, nonce) = (required(attr::USERNAME)?, required(attr::REALM)?, required(attr::NONCE)?);
        if username.len() > USERNAME_BYTES_MAX {
            return Err(Refusal::BadRequest);
        }
        if !self.nonces.is_good(now.wall, &self.config.realm, from.client, nonce) {
            return Err(Refusal::StaleNonce);
        }
        let proven = self.prove(now, from, message, username).ok_or(Refusal::Unauthorized)?;
        let signer = Signer { key: proven.key.clone(), integrity };
        Ok(Authenticated { username: username.to_owned(), proven, signer })
    }

    /// A running allocation vouches for its user beyond the end of the credential, unless the server is strict.
    fn prove(&self, now: Now, from: FiveTuple, message: &Message<'_>, username: &str) -> Option<Proven> {
        let Some((key, expires)) = self.known_key(from, username) else {
            return self.credentials.prove(message, username, &self.config.realm, now.wall);
        };
        if self.config.strict_expiry && expires.is_some_and(|expires| expires <= now.wall) {
            return None;
        }
        message.verify(&key).is_ok().then_some(Proven { key, expires })
    }
}
