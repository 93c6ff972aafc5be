//! Digest authentication of requests (RFC 3261 §22, RFC 7616, RFC 8760): who it is, or what to challenge with.

use std::sync::{Arc, Mutex, PoisonError};

use base::{Random, Timestamp};
use domain::account::{DeviceCredentials, Verifiers};
use domain::ports::{Accounts, Unavailable};
use sip_proto::auth::{self, Algorithm, Credentials, Verdict, Verifier};
use sip_proto::{HeaderName, Message, Method, Uri};

/// Which headers carry the exchange: a registrar's or a proxy's (RFC 3261 §22.2, §22.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// 401, WWW-Authenticate, Authorization.
    Registrar,
    /// 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Role {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Registrar => 401,
            Self::Proxy => 407,
        }
    }

    pub(crate) const fn challenge_header(self) -> HeaderName {
        match self {
            Self::Registrar => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    const fn credentials_header(self) -> HeaderName {
        match self {
            Self::Registrar => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// What is known of the sender.
pub(crate) enum Identified {
    /// It proved to be this device.
    Device(Arc<DeviceCredentials>),
    /// It has to answer these challenges, one header value each.
    Challenge(Vec<String>),
}

/// Verifies digests; shared by all shards, because a nonce count may be used once whichever shard it meets.
pub(crate) struct Authenticator {
    /// In the order of preference.
    offered: Vec<Algorithm>,
    inner: Mutex<Inner>,
}

struct Inner {
    server: auth::Authenticator,
    random: Random,
    tidied_at: Timestamp,
}

impl Authenticator {
    pub(crate) fn new(key: [u8; 32], nonce_lifetime_s: u32, offered: Vec<Algorithm>, random: Random) -> Self {
        let server = auth::Authenticator::new(key, nonce_lifetime_s);
        Self { offered, inner: Mutex::new(Inner { server, random, tidied_at: Timestamp::default() }) }
    }

    /// Identifies the sender of `request` in `realm`. A user that is not known is challenged and refused exactly like a
    /// wrong password, so that nobody can find out who exists.
    pub(crate) async fn identify(
        &self,
        accounts: &dyn Accounts,
        now: Timestamp,
        role: Role,
        realm: &str,
        request: &Message,
    ) -> Result<Identified, Unavailable> {
        let given: Vec<Credentials> = request
            .header_lines(role.credentials_header())
            .filter_map(Credentials::parse)
            .filter(|c| c.realm == realm)
            .collect();
        let mut stale = false;
        for credentials in given.iter().filter(|c| is_for(c, request)) {
            let device = accounts.credentials(&credentials.username, realm).await?;
            let verifiers = device.as_deref().map(|d| verifiers_of(&d.verifiers)).unwrap_or_default();
            match self.verify(now, credentials, realm, request, &verifiers) {
                Verdict::Ok => {
                    if let Some(device) = device {
                        return Ok(Identified::Device(device));
                    }
                }
                Verdict::Stale => stale = true,
                Verdict::Refused | Verdict::NotForUs => {}
            }
        }
        let algorithms = self.algorithms_for(accounts, realm, request, given.first()).await?;
        Ok(Identified::Challenge(self.challenge(now, realm, &algorithms, stale)))
    }

    /// Only algorithms with a verifier are challenged; a user that is not known gets all that are offered.
    async fn algorithms_for(
        &self,
        accounts: &dyn Accounts,
        realm: &str,
        request: &Message,
        given: Option<&Credentials>,
    ) -> Result<Vec<Algorithm>, Unavailable> {
        let from_user = || request.from().and_then(|f| f.uri.user_unescaped().map(|u| u.into_owned()));
        let username = given.map(|c| c.username.clone()).or_else(from_user).unwrap_or_default();
        let device = accounts.credentials(&username, realm).await?;
        let known: Vec<Algorithm> =
            device.map(|d| verifiers_of(&d.verifiers).into_iter().map(|v| v.algorithm).collect()).unwrap_or_default();
        let offered: Vec<Algorithm> =
            self.offered.iter().copied().filter(|a| known.is_empty() || known.contains(a)).collect();
        Ok(if offered.is_empty() { known } else { offered })
    }

    fn verify(
        &self,
        now: Timestamp,
        credentials: &Credentials,
        realm: &str,
        request: &Message,
        verifiers: &[Verifier],
    ) -> Verdict {
        let method: Method = request.method();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(inner.tidied_at).as_secs() >= 30 {
            inner.tidied_at = now;
            inner.server.tidy(now);
        }
        inner.server.verify(now, credentials, realm, method.as_str(), &request.body(), verifiers)
    }

    fn challenge(&self, now: Timestamp, realm: &str, algorithms: &[Algorithm], stale: bool) -> Vec<String> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { server, random, .. } = &mut *inner;
        server.challenges(now, realm, algorithms, stale, random)
    }
}

/// Whether credentials were made for this request (RFC 7616 §3.4.6): for its very URI, or for one of the same user and host,
/// since proxies on the way may have changed the rest. What was made for another callee is good for nothing here.
fn is_for(credentials: &Credentials, request: &Message) -> bool {
    if credentials.uri == request.request_uri_text() {
        return true;
    }
    let (Some(wanted), Ok(given)) = (request.request_uri(), Uri::parse(&credentials.uri)) else { return false };
    given.host().eq_ignore_ascii_case(wanted.host()) && given.user() == wanted.user()
}

/// In the order of preference: the stronger first (RFC 8760 §2.3).
fn verifiers_of(verifiers: &Verifiers) -> Vec<Verifier> {
    let all = [
        (Algorithm::Sha512_256, &verifiers.sha512_256),
        (Algorithm::Sha256, &verifiers.sha256),
        (Algorithm::Md5, &verifiers.md5),
    ];
    all.into_iter().filter_map(|(algorithm, ha1)| Some(Verifier { algorithm, ha1: ha1.clone()? })).collect()
}
