//! Passwords of people: argon2id hashes (D11), made in few slots, since each takes about 15 ms and 19 MiB.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base::Secret;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Hashes that are made at the same time: more would starve the packet path of cores and memory.
const SLOTS: usize = 2;
/// Callers that may wait for a slot (about half a second of work); the next one is told [`Error::Busy`].
const WAITING_MAX: usize = 64;
/// Longest password, octets: far beyond what people type, and a bound on the work of hashing.
const PASSWORD_BYTES_MAX: usize = 256;
/// Shortest password of the API, characters.
const PASSWORD_CHARS_MIN: usize = 8;

/// A bounded place where passwords are hashed and checked.
#[derive(Debug)]
pub(crate) struct Hashery {
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Hashery {
    pub(crate) fn new() -> Self {
        Self { slots: Arc::new(Semaphore::new(SLOTS)), waiting: Arc::new(Semaphore::new(WAITING_MAX)) }
    }

    /// The argon2id hash of a password, as a PHC string.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String> {
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose().as_bytes());
            hash.map(|h| h.to_string()).map_err(|e| Error::malformed("password", e))
        })
        .await
    }

    /// Whether `password` is the one behind `hash`. Without a hash the work is done all the same, so that a stopwatch
    /// does not tell which logins exist.
    pub(crate) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool> {
        if password.expose().len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        self.run(move || {
            let argon2 = Argon2::default();
            let Some(hash) = hash else {
                _ = argon2.hash_password(password.expose().as_bytes());
                return Ok(false);
            };
            let hash = PasswordHash::new(&hash).map_err(|e| Error::Misbehaved(format!("password hash: {e}")))?;
            Ok(argon2.verify_password(password.expose().as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy("password slots"))?;
        let slots = Arc::clone(&self.slots);
        let slot = slots.acquire_owned().await.map_err(|_| Error::Busy("password slots"))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        done.await.map_err(|e| Error::Unavailable(format!("hashing: {e}")))?
    }
}

/// Whether a password may be set: 8 characters to 256 octets.
pub(crate) fn check(password: &Secret) -> Result<()> {
    let text = password.expose();
    if text.chars().count() < PASSWORD_CHARS_MIN || text.len() > PASSWORD_BYTES_MAX {
        let why = format!("{PASSWORD_CHARS_MIN} characters to {PASSWORD_BYTES_MAX} octets");
        return Err(Error::malformed("password", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_hash_verifies_its_password_only() {
        let hashery = Hashery::new();
        let hash = hashery.hash(Secret::new("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains("horse"));
        assert!(hashery.verify(Secret::new("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hashery.verify(Secret::new("wrong horse"), Some(hash)).await.unwrap());
        assert!(!hashery.verify(Secret::new("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn more_waiters_than_allowed_are_told_busy() {
        let hashery = Arc::new(Hashery::new());
        let _all = hashery.waiting.acquire_many(u32::try_from(WAITING_MAX).unwrap()).await.unwrap();
        assert_eq!(hashery.hash(Secret::new("correct horse")).await, Err(Error::Busy("password slots")));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(check(&Secret::new("1234567")).is_err() && check(&Secret::new("x".repeat(257))).is_err());
        assert!(check(&Secret::new("12345678")).is_ok());
    }
}
