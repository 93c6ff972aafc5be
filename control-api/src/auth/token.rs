//! Access tokens: JWT (RFC 7519) signed with HS256, short-lived, checked without the store.

use base::id::kind::{Session, Tenant, User};
use base::{Id, Secret, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use super::Role;
use crate::problem::{Code, Problem};

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Issuer.
    iss: String,
    /// Audience.
    aud: String,
    /// The user.
    pub(crate) sub: Id<User>,
    /// Its tenant.
    pub(crate) tenant: Id<Tenant>,
    /// What it may do.
    pub(crate) role: Role,
    /// The login that it comes from.
    pub(crate) sid: Id<Session>,
    /// When it was made, seconds since 1970.
    iat: i64,
    /// When it ends, seconds since 1970.
    exp: i64,
}

/// Signs and checks access tokens.
pub(crate) struct Tokens {
    issuer: String,
    ttl_s: u32,
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.issuer)
    }
}

impl Tokens {
    pub(crate) fn new(key: &Secret, issuer: &str, ttl_s: u32) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // Time is compared below, with the clock of the API.
        validation.validate_exp = false;
        let bytes = key.expose().as_bytes();
        Self {
            issuer: issuer.to_owned(),
            ttl_s,
            sign: EncodingKey::from_secret(bytes),
            check: DecodingKey::from_secret(bytes),
            validation,
        }
    }

    /// How long a token is good, seconds.
    pub(crate) const fn ttl_s(&self) -> u32 {
        self.ttl_s
    }

    /// A new token.
    pub(crate) fn issue(
        &self,
        user: Id<User>,
        tenant: Id<Tenant>,
        role: Role,
        session: Id<Session>,
        now: Timestamp,
    ) -> Result<String, Problem> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.issuer.clone(),
            sub: user,
            tenant,
            role,
            sid: session,
            iat: now.as_secs(),
            exp: now.as_secs() + i64::from(self.ttl_s),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(|e| Problem::internal(&e))
    }

    /// What a token says, if it is ours and good at `now`.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Result<Claims, Problem> {
        let claims = decode::<Claims>(token, &self.check, &self.validation)
            .map_err(|_| Problem::new(Code::Unauthenticated, "the access token is not one of ours"))?
            .claims;
        if claims.exp <= now.as_secs() {
            return Err(Problem::new(Code::TokenExpired, "refresh it with the refresh token"));
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tokens(key: &str, issuer: &str) -> Tokens {
        Tokens::new(&Secret::new(key), issuer, 900)
    }

    #[test]
    fn d4_a_token_is_good_for_its_time_with_our_key_and_our_name_only() {
        let (ours, now) = (tokens("k1", "tandem"), Timestamp::from_millis(1_700_000_000_000));
        let later = |s: i64| Timestamp::from_millis(now.as_millis() + s * 1000);
        let id = Id::from_i64(5);
        let token = ours.issue(id, Id::from_i64(6), Role::TenantAdmin, Id::from_i64(7), now).unwrap();
        let claims = ours.read(&token, later(899)).unwrap();
        assert_eq!((claims.sub, claims.role), (id, Role::TenantAdmin));
        assert_eq!(ours.read(&token, later(900)).unwrap_err().code(), Code::TokenExpired);
        for other in [tokens("k2", "tandem"), tokens("k1", "else")] {
            assert_eq!(other.read(&token, now).unwrap_err().code(), Code::Unauthenticated);
        }
        for broken in ["", "a.b.c", &token[..token.len() - 2], &format!("{token}x")] {
            assert_eq!(ours.read(broken, now).unwrap_err().code(), Code::Unauthenticated);
        }
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        use base64::Engine;
        let b64 = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let claims = r#"{"iss":"tandem","aud":"tandem","sub":"0000000000005","tenant":"0000000000006","role":"platform_admin","sid":"0000000000007","iat":1,"exp":9999999999}"#;
        let unsigned = format!("{}.{}.", b64(r#"{"alg":"none","typ":"JWT"}"#), b64(claims));
        assert_eq!(
            tokens("k", "tandem").read(&unsigned, Timestamp::from_millis(2)).unwrap_err().code(),
            Code::Unauthenticated
        );
    }
}
