//! Who may use the server: long-term users, and time-limited credentials (draft-uberti-behave-turn-rest-00).
//!
//! A time-limited user is `<unix seconds of expiry>:<name>` (or the seconds alone) and the password is
//! base64(HMAC-SHA1(secret, user)). Several secrets hold at once, so that one can be replaced while the other still
//! works. Nothing is stored per user.

use std::collections::HashMap;
use std::time::Duration;

use base::{Secret, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::base64;
use crate::{Integrity, Key, Message};

/// Most secrets at once: each one costs a wrong password two hashes.
pub const SECRETS_MAX: usize = 8;

/// A credential as it is handed to a client.
#[derive(Debug, Clone)]
pub struct TimeLimited {
    /// The user name, with its expiry in front.
    pub username: String,
    /// The password for it.
    pub password: Secret,
    /// When it ends.
    pub expires: Timestamp,
}

impl TimeLimited {
    /// A credential for `name` from `secret` that ends `lifetime` after `now`, in whole seconds.
    pub fn issue(secret: &Secret, name: &str, now: Timestamp, lifetime: Duration) -> Self {
        let expires = now.after(lifetime).as_secs();
        let username = if name.is_empty() { expires.to_string() } else { format!("{expires}:{name}") };
        let password = Secret::new(password(secret, &username));
        Self { username, password, expires: Timestamp::from_millis(expires * 1000) }
    }
}

/// base64(HMAC-SHA1(secret, username)).
fn password(secret: &Secret, username: &str) -> String {
    let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.expose().as_bytes());
    mac.map(|mac| base64::encode(&mac.chain_update(username).finalize().into_bytes())).unwrap_or_default()
}

/// The expiry that a user name carries in front, unix seconds.
fn expiry(username: &str) -> Option<Timestamp> {
    let digits = username.split_once(':').map_or(username, |(time, _)| time);
    let plain = (1..=12).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let seconds: i64 = plain.then(|| digits.parse().ok()).flatten()?;
    Some(Timestamp::from_millis(seconds * 1000))
}

/// The part of a user name that stands for a person: what follows the expiry, else all of it. Quotas count by it.
pub fn account(username: &str) -> &str {
    match username.split_once(':') {
        Some((time, name)) if time.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => username,
    }
}

/// A user who proved to know the password.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The key of the user's messages.
    pub key: Key,
    /// When the credential ends; never for long-term users.
    pub expires: Option<Timestamp>,
}

/// Everybody who may come in.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    secrets: Vec<Secret>,
    users: HashMap<String, Secret>,
}

impl Credentials {
    /// Time-limited credentials from any of `secrets`, of which the first [`SECRETS_MAX`] count; empty ones do not.
    pub fn from_secrets(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).take(SECRETS_MAX).collect();
        Self { secrets, users: HashMap::new() }
    }

    /// Also a long-term user.
    #[must_use]
    pub fn with_user(mut self, name: &str, password: Secret) -> Self {
        self.users.insert(name.to_owned(), password);
        self
    }

    /// Finds the key with which `message` of `username` was signed; `None` when the user is unknown, the credential
    /// expired, or the password wrong: the client gets the same 401 for all three (RFC 8489 §9.2.4).
    pub fn prove(&self, message: &Message<'_>, username: &str, realm: &str, now: Timestamp) -> Option<Proven> {
        message.integrity()?;
        if let Some(password) = self.users.get(username) {
            let key = Key::long_term(username, realm, password.expose());
            return message.verify(&key).is_ok().then_some(Proven { key, expires: None });
        }
        let expires = expiry(username).filter(|expires| *expires > now)?;
        self.secrets.iter().find_map(|secret| {
            let key = Key::long_term(username, realm, &password(secret, username));
            message.verify(&key).is_ok().then_some(Proven { key, expires: Some(expires) })
        })
    }
}

/// The key and algorithm that sign the answers to a user.
#[derive(Debug, Clone)]
pub struct Signer {
    /// The user's key.
    pub key: Key,
    /// What the request was signed with.
    pub integrity: Integrity,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, MessageWriter, Method, TransactionId};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn signed(username: &str, password: &str) -> Vec<u8> {
        let key = Key::long_term(username, "r", password);
        MessageWriter::new(Class::Request, Method::Allocate, TransactionId([1; 12]))
            .sign(&key, Integrity::Sha1)
            .finish()
    }

    fn proves(credentials: &Credentials, username: &str, password: &str, now: Timestamp) -> bool {
        let bytes = signed(username, password);
        let message = Message::parse(&bytes).expect("well-formed");
        credentials.prove(&message, username, "r", now).is_some()
    }

    /// The password for a user and secret that a REST service in any language computes, here by OpenSSL.
    #[test]
    fn time_limited_password_is_base64_of_hmac_sha1() {
        assert_eq!(password(&Secret::new("north"), "1433895918:ninefingers"), OPENSSL_PASSWORD);
        let issued = TimeLimited::issue(&Secret::new("north"), "alice", NOW, HOUR);
        assert_eq!(issued.username, "1700003600:alice");
        assert_eq!(issued.expires.as_secs(), 1_700_003_600);
    }
    const OPENSSL_PASSWORD: &str = "jy8hTxmOO7UtEKXqSkSlvakPVYA=";

    #[test]
    fn any_of_the_secrets_is_accepted_until_the_expiry() {
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let credentials = Credentials::from_secrets([new.clone(), old.clone()]);
        for secret in [&old, &new] {
            let issued = TimeLimited::issue(secret, "alice", NOW, HOUR);
            let proves = |now| proves(&credentials, &issued.username, issued.password.expose(), now);
            assert!(proves(NOW.after(HOUR - Duration::from_secs(1))));
            assert!(!proves(NOW.after(HOUR)), "expired");
        }
        let foreign = TimeLimited::issue(&Secret::new("foreign"), "alice", NOW, HOUR);
        assert!(!proves(&credentials, &foreign.username, foreign.password.expose(), NOW));
        assert!(!proves(&credentials, "alice", "old", NOW), "a user without an expiry");
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        let credentials = Credentials::from_secrets([Secret::default()]);
        let issued = TimeLimited::issue(&Secret::default(), "alice", NOW, HOUR);
        assert!(!proves(&credentials, &issued.username, issued.password.expose(), NOW));
    }

    #[test]
    fn long_term_users_need_their_password() {
        let credentials = Credentials::default().with_user("bob", Secret::new("pw"));
        assert!(proves(&credentials, "bob", "pw", NOW));
        assert!(!proves(&credentials, "bob", "pv", NOW));
        assert!(!proves(&credentials, "eve", "pw", NOW));
    }

    #[test]
    fn quotas_count_by_the_name_behind_the_expiry() {
        assert_eq!(account("1700003600:alice"), "alice");
        assert_eq!(account("alice"), "alice");
        assert_eq!(account("sip:alice"), "sip:alice");
    }
}
