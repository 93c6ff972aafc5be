//! The answering side: our own registrations and calls towards carriers (RFC 3261 §22.1, RFC 8760 §2.4).

use base::{Random, Secret};

use super::digest::{Algorithm, Challenge, Credentials, Protection, Qop, ha1, response};
use crate::message::{HeaderName, Message, RequestBuilder};

/// The challenge to answer among several for one realm: the first that we understand, as the server prefers
/// (RFC 8760 §2.4).
pub fn preferred(challenges: &[Challenge]) -> Option<&Challenge> {
    challenges.first()
}

/// The account of ours at one peer, and the nonce it used last.
#[derive(Debug, Clone)]
pub struct ClientAuth {
    user: String,
    password: Secret,
    last: Option<Challenge>,
    proxy: bool,
    nonce_count: u32,
    attempts: u32,
}

/// Challenges in a row for one request, after which the password counts as wrong (RFC 3261 §22.1).
const ATTEMPTS_MAX: u32 = 2;

impl ClientAuth {
    /// With these credentials.
    pub fn new(user: &str, password: Secret) -> Self {
        Self { user: user.to_owned(), password, last: None, proxy: false, nonce_count: 0, attempts: 0 }
    }

    /// Takes in a 401 or 407; whether it makes sense to send the request again. It does not when no challenge is
    /// understood, or when the nonce was not the reason and we have answered already.
    pub fn challenged(&mut self, refusal: &Message) -> bool {
        let proxy = refusal.status() == Some(407);
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        let understood: Vec<Challenge> = refusal.header_lines(name).filter_map(Challenge::parse).collect();
        let Some(challenge) = preferred(&understood) else { return false };
        self.attempts += 1;
        let allowed = self.attempts == 1 || (challenge.stale && self.attempts <= ATTEMPTS_MAX);
        (self.last, self.proxy, self.nonce_count) = (Some(challenge.clone()), proxy, 0);
        allowed
    }

    /// A request was accepted: the next challenge is a first one again.
    pub fn accepted(&mut self) {
        self.attempts = 0;
    }

    /// The request with credentials, once there was a challenge; with the same nonce its count goes up by one each time.
    pub fn authorise(&mut self, request: RequestBuilder, body: &[u8], random: &mut Random) -> RequestBuilder {
        let Some(challenge) = &self.last else { return request };
        self.nonce_count += 1;
        let method = request.method();
        let uri = request.uri().to_owned();
        let credentials = answer(
            challenge,
            &self.user,
            self.password.expose(),
            method.as_str(),
            &uri,
            body,
            self.nonce_count,
            random,
        );
        let name = if self.proxy { HeaderName::ProxyAuthorization } else { HeaderName::Authorization };
        request.set(name, credentials)
    }
}

/// The credentials that answer a challenge.
#[allow(clippy::too_many_arguments)]
fn answer(
    challenge: &Challenge,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    body: &[u8],
    nonce_count: u32,
    random: &mut Random,
) -> Credentials {
    let algorithm: Algorithm = challenge.algorithm;
    let qop = if challenge.qops.contains(&Qop::Auth) { Some(Qop::Auth) } else { challenge.qops.first().copied() };
    let mut credentials = Credentials {
        username: user.to_owned(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: uri.to_owned(),
        response: String::new(),
        algorithm,
        session: challenge.session,
        protection: qop.map(|qop| Protection { qop, cnonce: random.token(16), nonce_count }),
        opaque: challenge.opaque.clone(),
    };
    credentials.response = response(&credentials, &ha1(algorithm, user, &challenge.realm, password), method, body);
    credentials
}
