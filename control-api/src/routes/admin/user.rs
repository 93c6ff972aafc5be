//! Users. A tenant's administrator works on those of its tenant, but neither makes nor touches administrators of the
//! platform.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Tenant, User};
use base::{Id, Secret};
use domain::account::AccountStatus;
use serde::Deserialize;
use serde_json::json;
use store::{NewUser, UserChange, UserFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::{Admin, Role};
use crate::extract::{Body, OnPath, Params};
use crate::page::{self, Page, word};
use crate::problem::{Code, Problem};
use crate::routes::profile::UserView;
use crate::routes::wallet::known;
use crate::value::nullable;

/// A user to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserBody {
    /// Its tenant; the own one when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// User part of its address-of-record, unique in the tenant.
    #[schema(example = "alice")]
    name: String,
    /// One of the tenant's domains; its main one when not given.
    #[serde(default)]
    domain: Option<String>,
    /// Login of the API, besides `name@domain`.
    #[serde(default)]
    email: Option<String>,
    /// What callees may be shown.
    #[serde(default)]
    display_name: Option<String>,
    /// What it may do here; `user` when not given.
    #[serde(default)]
    role: Option<Role>,
    /// Password of the API, 8 characters to 256 octets; without one it cannot log in.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret>,
}

/// What is to change; what is left out stays, `null` takes away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserPatch {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    display_name: Option<Option<String>>,
    role: Option<Role>,
    /// A new password of the API; every login of the user ends.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret>,
}

/// Active or suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserStatus {
    /// `active` or `suspended`.
    #[schema(value_type = String, example = "suspended")]
    status: AccountStatus,
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UserParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Of this tenant.
    tenant_id: Option<String>,
    /// `active`, `suspended` or `deleted`.
    status: Option<String>,
    /// With this name.
    name: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete)).routes(routes!(set_status))
}

/// Users, newest first
#[utoipa::path(get, path = "/users", tag = "admin: accounts", params(UserParams),
    responses((status = 200, body = Page<UserView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<UserParams>,
) -> Result<Json<Page<UserView>>, Problem> {
    let slice = page::slice::<Id<User>>(params.cursor.as_deref(), params.limit)?;
    let scope = admin.within(word("tenant_id", params.tenant_id.as_deref())?)?;
    let status = known("status", params.status.as_deref(), AccountStatus::parse)?;
    let filter = UserFilter { status, name: params.name };
    let rows = app.store().list_users(scope, &filter, slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| r.id, Into::into)))
}

/// Make a user with an empty wallet
#[utoipa::path(post, path = "/users", tag = "admin: accounts", request_body = UserBody,
    responses((status = 201, body = UserView)))]
async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Body(body): Body<UserBody>,
) -> Result<(StatusCode, Json<UserView>), Problem> {
    let tenant = admin.within(body.tenant_id)?.unwrap_or(admin.0.tenant);
    let role = body.role.unwrap_or(Role::User);
    may_give(&admin, role)?;
    let new = NewUser {
        tenant,
        name: body.name,
        domain: body.domain,
        email: body.email,
        display_name: body.display_name,
        role: role.into(),
        password: body.password,
    };
    let row = app.store().create_user(&new).await?;
    let detail = json!({ "name": row.name, "domain": row.domain, "role": role });
    note(&app, &admin.0, Change { action: "user.create", tenant: Some(tenant), object: row.id.as_i64(), detail }).await;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// A user
#[utoipa::path(get, path = "/users/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 200, body = UserView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<User>>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(app.store().find_user(admin.scope(), id).await?.into()))
}

/// Change a user
#[utoipa::path(patch, path = "/users/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    request_body = UserPatch, responses((status = 200, body = UserView)))]
async fn update(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<User>>,
    Body(body): Body<UserPatch>,
) -> Result<Json<UserView>, Problem> {
    may_touch(&app, &admin, id).await?;
    if let Some(role) = body.role {
        may_give(&admin, role)?;
    }
    let detail = json!({
        "email": body.email.is_some(), "display_name": body.display_name, "role": body.role,
        "password": body.password.is_some(),
    });
    // Tokens that were given out say the old role, or to somebody with the old password that he may come in.
    let ends_logins = body.role.is_some() || body.password.is_some();
    let change = UserChange {
        email: body.email,
        display_name: body.display_name,
        role: body.role.map(Into::into),
        status: None,
        password: body.password,
    };
    let row = app.store().update_user(admin.scope(), id, &change).await?;
    if ends_logins {
        app.end_logins_of(id, "changed by an administrator").await?;
    }
    let change = Change { action: "user.update", tenant: Some(row.tenant), object: id.as_i64(), detail };
    note(&app, &admin.0, change).await;
    Ok(Json(row.into()))
}

/// Suspend a user, or let it in again
///
/// A suspended user neither logs in nor registers, calls or texts, at once.
#[utoipa::path(put, path = "/users/{id}/status", tag = "admin: accounts", params(("id" = String, Path)),
    request_body = UserStatus, responses((status = 200, body = UserView)))]
async fn set_status(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<User>>,
    Body(body): Body<UserStatus>,
) -> Result<Json<UserView>, Problem> {
    may_touch(&app, &admin, id).await?;
    if id == admin.0.user {
        return Err(Problem::new(Code::Conflict, "nobody suspends himself"));
    }
    let change = UserChange { status: Some(body.status), ..UserChange::default() };
    let row = app.store().update_user(admin.scope(), id, &change).await?;
    if body.status != AccountStatus::Active {
        app.end_logins_of(id, "suspended").await?;
    }
    let detail = json!({ "status": body.status });
    let change = Change { action: "user.status", tenant: Some(row.tenant), object: id.as_i64(), detail };
    note(&app, &admin.0, change).await;
    Ok(Json(row.into()))
}

/// Delete a user
///
/// Devices go, numbers return to the tenant's stock; ledger and records stay.
#[utoipa::path(delete, path = "/users/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<User>>,
) -> Result<StatusCode, Problem> {
    let tenant = may_touch(&app, &admin, id).await?;
    if id == admin.0.user {
        return Err(Problem::new(Code::Conflict, "nobody deletes himself"));
    }
    let page = store::Page { before: None, limit: 1_000 };
    let devices = app.store().list_devices(admin.scope(), Some(id), page).await?;
    app.store().delete_user(admin.scope(), id).await?;
    app.end_logins_of(id, "deleted").await?;
    for device in devices {
        app.deps.registrations.drop_device(id, device.id).await?;
    }
    let change = Change { action: "user.delete", tenant: Some(tenant), object: id.as_i64(), detail: json!({}) };
    note(&app, &admin.0, change).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the administrator may work on this user; its tenant.
async fn may_touch(app: &App, admin: &Admin, user: Id<User>) -> Result<Id<Tenant>, Problem> {
    let row = app.store().find_user(admin.scope(), user).await?;
    if row.role == store::Role::PlatformAdmin && admin.0.role != Role::PlatformAdmin {
        return Err(Problem::new(Code::Forbidden, "an administrator of the platform is changed by such a one only"));
    }
    Ok(row.tenant)
}

/// Whether the administrator may give this role.
fn may_give(admin: &Admin, role: Role) -> Result<(), Problem> {
    if role == Role::PlatformAdmin && admin.0.role != Role::PlatformAdmin {
        return Err(Problem::new(Code::Forbidden, "only administrators of the platform make such"));
    }
    Ok(())
}
