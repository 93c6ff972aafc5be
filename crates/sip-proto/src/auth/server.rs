//! The verifying side: challenges out, credentials checked against HA1 verifiers (RFC 3261 §22.2, RFC 7616 §3.4).

use base::{Random, Timestamp};
use subtle::ConstantTimeEq;

use super::digest::{Algorithm, Challenge, Credentials, Qop, response};
use super::nonce::{NonceIssuer, NonceState, Window};

/// Nonces whose counts are remembered; over it the oldest is dropped and its holder asked again with `stale=true`.
const NONCES_MAX: usize = 100_000;

/// What is kept of a password: H(user:realm:password) for one algorithm.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Which hash it is.
    pub algorithm: Algorithm,
    /// Hexadecimal, as [`super::ha1`] makes it.
    pub ha1: String,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.algorithm.as_str())
    }
}

/// What to do with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The sender knows the password.
    Ok,
    /// The password is right but the nonce is not ours, too old, or used: challenge again with `stale=true`.
    Stale,
    /// Wrong password or unknown user: challenge again.
    Refused,
    /// Not for this realm, or for an algorithm without verifier: as if there were none.
    NotForUs,
}

/// Issues nonces and verifies answers for any number of realms.
#[derive(Debug, Clone)]
pub struct Authenticator {
    issuer: NonceIssuer,
    lifetime_s: u32,
    window: Window,
}

impl Authenticator {
    /// With the key that all nodes of a cluster share, and the lifetime of a nonce in seconds.
    pub fn new(key: [u8; 32], lifetime_s: u32) -> Self {
        Self { issuer: NonceIssuer::new(key, lifetime_s), lifetime_s, window: Window::new(NONCES_MAX) }
    }

    /// The same with another bound on the nonces whose counts are remembered.
    #[must_use]
    pub fn with_nonces_max(self, nonces_max: usize) -> Self {
        Self { window: Window::new(nonces_max), ..self }
    }

    /// One challenge per algorithm, in this order, which is the server's preference (RFC 8760 §2.3): a header value each.
    pub fn challenges(
        &self,
        now: Timestamp,
        realm: &str,
        algorithms: &[Algorithm],
        stale: bool,
        random: &mut Random,
    ) -> Vec<String> {
        let one = |algorithm: &Algorithm| Challenge {
            realm: realm.to_owned(),
            nonce: self.issuer.issue(now, realm, *algorithm, random),
            algorithm: *algorithm,
            session: false,
            qops: vec![Qop::Auth],
            opaque: None,
            stale,
        };
        algorithms.iter().map(one).map(|challenge| challenge.to_string()).collect()
    }

    /// Checks credentials for `realm`. An unknown user has no verifiers: give none, and the time taken tells nothing.
    ///
    /// `method` and `body` are those of the request. That the URI of the credentials fits the request is the caller's
    /// to check, see [`Self::uri_fits`].
    pub fn verify(
        &mut self,
        now: Timestamp,
        credentials: &Credentials,
        realm: &str,
        method: &str,
        body: &[u8],
        verifiers: &[Verifier],
    ) -> Verdict {
        if credentials.realm != realm {
            return Verdict::NotForUs;
        }
        let known = verifiers.iter().find(|v| v.algorithm == credentials.algorithm);
        if known.is_none() && !verifiers.is_empty() {
            return Verdict::NotForUs;
        }
        let expected = response(credentials, known.map_or("", |v| v.ha1.as_str()), method, body);
        let proven = known.is_some()
            && bool::from(expected.as_bytes().ct_eq(credentials.response.to_ascii_lowercase().as_bytes()));
        if !proven {
            return Verdict::Refused;
        }
        match self.issuer.check(&credentials.nonce, now, realm, credentials.algorithm) {
            NonceState::Foreign | NonceState::Stale => Verdict::Stale,
            NonceState::Fresh => {
                // Without a count a nonce serves once.
                let count = credentials.protection.as_ref().map_or(1, |p| p.nonce_count);
                if self.window.take(&credentials.nonce, count) { Verdict::Ok } else { Verdict::Stale }
            }
        }
    }

    /// Whether the URI in credentials names what the request is for: the same host. Proxies on the
    /// way may have changed the rest (RFC 3261 §22.4 (5)).
    pub fn uri_fits(credentials: &Credentials, request_uri: &crate::uri::Uri) -> bool {
        credentials.uri == request_uri.as_str()
            || crate::uri::Uri::parse(&credentials.uri)
                .is_ok_and(|uri| uri.host().eq_ignore_ascii_case(request_uri.host()))
    }

    /// Forgets counts of nonces that have grown stale; call it every now and then.
    pub fn tidy(&mut self, now: Timestamp) {
        self.window.forget(now.before(std::time::Duration::from_secs(u64::from(self.lifetime_s) + 60)));
    }

    /// Nonces whose counts are remembered.
    pub fn nonces(&self) -> usize {
        self.window.len()
    }
}
