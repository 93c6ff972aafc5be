//! Login (D2), refresh with rotation (D4), logout (D3).

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use base::id::kind::{Session, Tenant, User};
use base::{Id, Secret};
use domain::account::{AccountStatus, DeviceMedia};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{NewAudit, NewSession, Rotation, SessionFacts};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::device::{self, NewDeviceView};
use super::ice::{self, IceServers};
use crate::app::App;
use crate::auth::{Caller, Role};
use crate::extract::Body;
use crate::middleware::{ClientAddress, request_id};
use crate::problem::{Code, Problem};

/// Characters of a refresh token, five bits each: 260 bits.
const REFRESH_TOKEN_LENGTH: usize = 52;
/// Longest login name looked up, characters.
const LOGIN_LENGTH_MAX: usize = 254;

/// Who logs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// E-mail address, or `name@domain` as in SIP.
    #[schema(example = "alice@example.com")]
    login: String,
    /// The password of the API, not that of a device.
    #[schema(value_type = String, format = Password)]
    password: Secret,
    /// A SIP client to make for this login; it goes with the logout. Without it no SIP credentials are made.
    #[serde(default)]
    device: Option<LoginDevice>,
}

/// A SIP client to make at login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginDevice {
    /// A name for the owner, such as `Alice's phone`.
    #[serde(default)]
    label: Option<String>,
    /// `auto`, `rtp` or `sdes`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    media: Option<DeviceMedia>,
}

/// A refresh token to use up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// From the last login or refresh.
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPair {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the access token is good, seconds.
    expires_in: u32,
    /// For `POST /auth/refresh`, once.
    refresh_token: String,
    /// How long the refresh token is good, seconds.
    refresh_expires_in: u32,
}

/// All that a client needs to begin.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    #[serde(flatten)]
    tokens: TokenPair,
    /// Who logged in.
    user: LoggedInUser,
    /// How to register with SIP.
    sip: SipLogin,
    /// STUN and TURN servers with credentials.
    ice: IceServers,
}

/// Who logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedInUser {
    /// The user.
    #[schema(value_type = String)]
    id: Id<User>,
    /// Its tenant.
    #[schema(value_type = String)]
    tenant_id: Id<Tenant>,
    /// What it may do.
    role: Role,
}

/// How to register with SIP.
#[derive(Serialize, ToSchema)]
pub(crate) struct SipLogin {
    /// The address-of-record.
    #[schema(example = "sip:alice@example.com")]
    address_of_record: String,
    /// Where to connect, the best first: WSS, TLS, TCP, UDP as far as the switch has them.
    uris: Vec<String>,
    /// The client that was made, with its secret, which is shown only now.
    device: Option<NewDeviceView>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(refresh)).routes(routes!(logout))
}

/// Log in
#[utoipa::path(post, path = "/auth/login", tag = "login", security(()), request_body = Login,
    responses((status = 200, body = LoggedIn)))]
async fn login(
    State(app): State<Arc<App>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Body(request): Body<Login>,
) -> Result<Json<LoggedIn>, Problem> {
    let outcome = log_in(&app, address, request).await;
    let word = outcome.as_ref().map_or_else(|p| p.code().as_str(), |_| "ok".to_owned());
    app.figures.logins.with([&word]).increment();
    outcome.map(Json)
}

async fn log_in(app: &App, address: IpAddr, request: Login) -> Result<LoggedIn, Problem> {
    let name = request.login.trim().to_lowercase();
    app.limits.login(&name, address)?;
    let known = if name.len() <= LOGIN_LENGTH_MAX { app.store().find_login(&name).await? } else { None };
    let hash = known.as_ref().and_then(|k| k.password_hash.as_deref());
    // Without a hash it takes as long, so that a stopwatch does not tell which logins exist.
    let right = app.store().verify_password(&request.password, hash).await?;
    let Some(known) = known.filter(|_| right) else {
        return Err(Problem::new(Code::InvalidCredentials, "login or password is wrong"));
    };
    let facts = app.deps.directory.user(known.user.id).await?;
    let Some(facts) = facts.filter(|f| f.status == AccountStatus::Active) else {
        return Err(Problem::new(Code::AccountSuspended, "ask your administrator"));
    };
    let device = match request.device {
        Some(wanted) => Some(device::mint(app, &facts, wanted.label, wanted.media).await?),
        None => None,
    };
    let refresh_token = app.token(REFRESH_TOKEN_LENGTH);
    let session = app
        .store()
        .open_session(NewSession {
            user: facts.id,
            tenant: facts.tenant,
            device: device.as_ref().map(NewDeviceView::id),
            device_minted: device.is_some(),
            token_hash: &hash_of(&refresh_token),
            ttl: refresh_ttl(app),
        })
        .await?;
    let role = known.user.role.into();
    let sip = SipLogin {
        address_of_record: format!("sip:{}", facts.address_of_record()),
        uris: app.deps.sip.uris.clone(),
        device,
    };
    Ok(LoggedIn {
        tokens: pair(app, facts.id, facts.tenant, role, session, refresh_token)?,
        user: LoggedInUser { id: facts.id, tenant_id: facts.tenant, role },
        sip,
        ice: ice::for_caller(app, &facts.id.to_string())?,
    })
}

/// Use up a refresh token for a new pair
///
/// Each refresh token is good once. Using one a second time ends the whole login, since somebody has a copy.
#[utoipa::path(post, path = "/auth/refresh", tag = "login", security(()), request_body = Refresh,
    responses((status = 200, body = TokenPair)))]
async fn refresh(State(app): State<Arc<App>>, Body(request): Body<Refresh>) -> Result<Json<TokenPair>, Problem> {
    let refused = || Problem::new(Code::InvalidRefreshToken, "log in again");
    let next = app.token(REFRESH_TOKEN_LENGTH);
    let old = hash_of(request.refresh_token.expose());
    let session = match app.store().rotate_session(&old, &hash_of(&next), refresh_ttl(&app)).await? {
        Rotation::Rotated(session) => session,
        Rotation::Reused(session) => {
            app.revoked.session(session.id, app.now());
            tracing::warn!(session = %session.id, "a refresh token was used twice; the login is ended");
            note_reuse(&app, &session).await;
            return Err(refused());
        }
        Rotation::Refused => return Err(refused()),
    };
    let user = app.store().find_user(Some(session.tenant), session.user).await.map_err(|_| refused())?;
    let facts = app.deps.directory.user(session.user).await?;
    if facts.is_none_or(|f| f.status != AccountStatus::Active) {
        return Err(Problem::new(Code::AccountSuspended, "ask your administrator"));
    }
    // The role is read anew, so that a change of it shows with the next refresh.
    pair(&app, session.user, session.tenant, user.role.into(), session.id, next).map(Json)
}

/// Log out
///
/// The login's tokens die; the SIP client that was made at login is deleted and its registration dropped.
#[utoipa::path(post, path = "/auth/logout", tag = "login", responses((status = 204, description = "Logged out")))]
async fn logout(State(app): State<Arc<App>>, caller: Caller) -> Result<StatusCode, Problem> {
    let ended = app.store().end_session(caller.session, "logout").await?;
    app.revoked.session(caller.session, app.now());
    if let Some((device, minted)) =
        ended.filter(|s| s.user == caller.user).and_then(|s| Some((s.device?, s.device_minted)))
    {
        if minted {
            device::remove(&app, Some(caller.tenant), caller.user, device).await?;
        } else {
            app.deps.registrations.drop_device(caller.user, device).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn note_reuse(app: &App, session: &SessionFacts) {
    let detail = json!({ "session": session.id });
    let row = NewAudit {
        tenant: Some(session.tenant),
        actor: Some(session.user),
        actor_role: "user",
        action: "session.reuse",
        object_kind: "session",
        object: Some(session.id.as_i64()),
        detail: &detail,
        request: &request_id(),
    };
    if let Err(error) = app.store().audit(row).await {
        tracing::error!(%error, "the audit log cannot be written");
    }
}

fn pair(
    app: &App,
    user: Id<User>,
    tenant: Id<Tenant>,
    role: Role,
    session: Id<Session>,
    refresh_token: String,
) -> Result<TokenPair, Problem> {
    Ok(TokenPair {
        access_token: app.tokens.issue(user, tenant, role, session, app.now())?,
        token_type: "Bearer",
        expires_in: app.tokens.ttl_s(),
        refresh_token,
        refresh_expires_in: app.config.refresh_token_ttl_s,
    })
}

fn refresh_ttl(app: &App) -> Duration {
    Duration::from_secs(u64::from(app.config.refresh_token_ttl_s))
}

/// SHA-256 in hexadecimal: the token has 260 random bits, so a fast hash is enough.
fn hash_of(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        _ = write!(hex, "{byte:02x}");
        hex
    })
}
