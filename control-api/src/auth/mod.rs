//! Who asks, and what they may do. A user acts on itself, a tenant's administrator on the tenant's objects, the platform's
//! administrator on everything. What a caller may not know of is answered as if it did not exist.

mod revoked;
mod token;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base::Id;
use base::id::kind::{Session, Tenant, User};
use domain::account::AccountStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::{Code, Problem};

pub(crate) use revoked::Revoked;
pub(crate) use token::Tokens;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Its own numbers, devices, texts, calls, money.
    User,
    /// Users, devices and numbers of its tenant.
    TenantAdmin,
    /// Everything.
    PlatformAdmin,
}

impl Role {
    /// The stored and printed name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::TenantAdmin => "tenant_admin",
            Self::PlatformAdmin => "platform_admin",
        }
    }
}

impl From<store::Role> for Role {
    fn from(role: store::Role) -> Self {
        match role {
            store::Role::User => Self::User,
            store::Role::TenantAdmin => Self::TenantAdmin,
            store::Role::PlatformAdmin => Self::PlatformAdmin,
        }
    }
}

impl From<Role> for store::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::TenantAdmin => Self::TenantAdmin,
            Role::PlatformAdmin => Self::PlatformAdmin,
        }
    }
}

/// Somebody with a good access token and an active account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) user: Id<User>,
    pub(crate) tenant: Id<Tenant>,
    pub(crate) role: Role,
    pub(crate) session: Id<Session>,
}

/// A caller who administrates: its tenant or everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin(pub(crate) Caller);

/// A caller who administrates everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlatformAdmin(pub(crate) Caller);

impl Admin {
    /// The tenant within which it may see objects; `None`: everywhere.
    pub(crate) const fn scope(&self) -> Option<Id<Tenant>> {
        match self.0.role {
            Role::PlatformAdmin => None,
            Role::TenantAdmin | Role::User => Some(self.0.tenant),
        }
    }

    /// The tenant for a filter that asked for `wanted`: a foreign one is as if it did not exist.
    pub(crate) fn within(&self, wanted: Option<Id<Tenant>>) -> Result<Option<Id<Tenant>>, Problem> {
        match (self.scope(), wanted) {
            (Some(own), Some(wanted)) if own != wanted => Err(Problem::not_found("tenant")),
            (Some(own), _) => Ok(Some(own)),
            (None, wanted) => Ok(wanted),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        authenticate(parts, app).await
    }
}

/// Whether a request carries a good access token, whoever's it is.
pub(crate) fn has_good_token(app: &App, headers: &HeaderMap) -> bool {
    bearer(headers).is_ok_and(|token| app.tokens.read(token, app.now()).is_ok())
}

async fn authenticate(parts: &Parts, app: &App) -> Result<Caller, Problem> {
    let token = bearer(&parts.headers)?;
    let claims = app.tokens.read(token, app.now())?;
    if app.revoked.has(claims.sub, claims.sid) {
        return Err(Problem::new(Code::Unauthenticated, "the login was ended; log in again"));
    }
    let facts = app.deps.directory.user(claims.sub).await?;
    let facts = facts.filter(|f| f.tenant == claims.tenant);
    match facts.map(|f| f.status) {
        Some(AccountStatus::Active) => {}
        Some(AccountStatus::Suspended) => return Err(Problem::new(Code::AccountSuspended, "ask your administrator")),
        Some(AccountStatus::Deleted) | None => {
            return Err(Problem::new(Code::Unauthenticated, "the account is gone"));
        }
    }
    app.limits.caller(claims.sub, claims.tenant)?;
    Ok(Caller { user: claims.sub, tenant: claims.tenant, role: claims.role, session: claims.sid })
}

/// The token of `Authorization: Bearer` (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = value.and_then(|v| v.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim()).filter(|t| !t.is_empty()).ok_or_else(|| {
        Problem::new(Code::Unauthenticated, "send Authorization: Bearer with the token from POST /api/v1/auth/login")
    })
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.role {
            Role::TenantAdmin | Role::PlatformAdmin => Ok(Self(caller)),
            Role::User => Err(Problem::new(Code::Forbidden, "for administrators only")),
        }
    }
}

impl FromRequestParts<Arc<App>> for PlatformAdmin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.role {
            Role::PlatformAdmin => Ok(Self(caller)),
            Role::TenantAdmin | Role::User => {
                Err(Problem::new(Code::Forbidden, "for administrators of the platform only"))
            }
        }
    }
}
