//! The caller itself (D8): profile with limits and figures, and its password.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Tenant, User};
use base::{Id, Secret};
use domain::account::AccountStatus;
use serde::{Deserialize, Serialize};
use store::UserRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallet::WalletView;
use crate::app::App;
use crate::auth::{Caller, Role};
use crate::extract::Body;
use crate::problem::{Code, Problem};
use crate::value::Time;

/// Over which time figures are counted.
const FIGURES_DAYS: u64 = 30;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    #[schema(value_type = String)]
    pub(crate) id: Id<User>,
    #[schema(value_type = String)]
    pub(crate) tenant_id: Id<Tenant>,
    /// User part of its address-of-record.
    name: String,
    /// Domain part of its address-of-record.
    domain: String,
    /// Login of the API, besides `name@domain`.
    email: Option<String>,
    /// What callees may be shown.
    display_name: Option<String>,
    /// What it may do here.
    role: Role,
    /// `active` or `suspended`.
    #[schema(value_type = String)]
    status: AccountStatus,
    /// Whether it can log in here.
    has_password: bool,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

impl From<UserRow> for UserView {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant,
            name: row.name,
            domain: row.domain,
            email: row.email,
            display_name: row.display_name,
            role: row.role.into(),
            status: row.status,
            has_password: row.has_password,
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
struct Profile {
    #[serde(flatten)]
    user: UserView,
    wallet: WalletView,
    limits: ProfileLimits,
    figures: ProfileFigures,
}

/// What the caller may use up.
#[derive(Debug, Serialize, ToSchema)]
struct ProfileLimits {
    /// Requests per minute; 0: no limit.
    requests_per_minute: u32,
    /// Devices.
    devices_max: u32,
}

/// What the caller used up.
#[derive(Debug, Serialize, ToSchema)]
struct ProfileFigures {
    /// Days that calls and texts are counted over.
    days: u64,
    /// Calls made.
    calls: i64,
    /// Seconds of talk in them.
    talked_s: i64,
    texts_sent: i64,
    texts_received: i64,
    /// Devices now.
    devices: i64,
    /// Numbers now.
    numbers: i64,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    #[schema(value_type = String, format = Password)]
    current: Secret,
    /// 8 characters to 256 octets.
    #[schema(value_type = String, format = Password)]
    new: Secret,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(profile)).routes(routes!(password))
}

/// The caller's profile
#[utoipa::path(get, path = "/user/profile", tag = "profile", responses((status = 200, body = Profile)))]
async fn profile(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Profile>, Problem> {
    let user = app.store().find_user(Some(caller.tenant), caller.user).await?;
    let wallet = app.store().wallet_of(Some(caller.tenant), caller.user).await?;
    let since = app.now().before(Duration::from_secs(FIGURES_DAYS * 24 * 3600));
    let figures = app.store().user_figures(caller.user, since).await?;
    Ok(Json(Profile {
        user: user.into(),
        wallet: wallet.into(),
        limits: ProfileLimits {
            requests_per_minute: app.config.requests_per_minute_user,
            devices_max: app.config.devices_per_user_max,
        },
        figures: ProfileFigures {
            days: FIGURES_DAYS,
            calls: figures.calls,
            talked_s: figures.talked_s,
            texts_sent: figures.texts_sent,
            texts_received: figures.texts_received,
            devices: figures.devices,
            numbers: figures.numbers,
        },
    }))
}

/// Set the caller's password
///
/// Every login ends, this one too; log in again.
#[utoipa::path(put, path = "/user/password", tag = "profile", request_body = PasswordBody,
    responses((status = 204, description = "Set")))]
async fn password(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<PasswordBody>,
) -> Result<StatusCode, Problem> {
    app.limits.password(caller.user)?;
    let user = app.store().find_user(Some(caller.tenant), caller.user).await?;
    let login = app.store().find_login(&format!("{}@{}", user.name, user.domain)).await?;
    let hash = login.filter(|l| l.user.id == caller.user).and_then(|l| l.password_hash);
    if !app.store().verify_password(&body.current, hash.as_deref()).await? {
        return Err(Problem::field(Code::InvalidCredentials, "/current", "not the password"));
    }
    app.store().set_password(caller.user, &body.new).await?;
    app.end_logins_of(caller.user, "new password").await?;
    Ok(StatusCode::NO_CONTENT)
}
