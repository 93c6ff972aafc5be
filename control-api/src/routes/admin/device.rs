//! Devices of users.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Device, User};
use base::{Id, Secret};
use domain::account::{AccountStatus, DeviceMedia};
use serde::Deserialize;
use serde_json::json;
use store::{Credential, DeviceChange, NewDevice};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::Admin;
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams, word};
use crate::problem::Problem;
use crate::routes::device::{DeviceView, NewDeviceView, one, page, remove, with_secret};
use crate::value::nullable;

/// A device to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceBody {
    /// Its owner.
    #[schema(value_type = String)]
    user_id: Id<User>,
    /// Digest username, unique in the owner's domain; made up when not given.
    #[serde(default)]
    username: Option<String>,
    /// What its owner calls it.
    #[serde(default)]
    label: Option<String>,
    /// `auto`, `rtp` or `sdes`; `auto` when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    media: Option<DeviceMedia>,
}

/// What is to change; what is left out stays, `null` takes away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DevicePatch {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    label: Option<Option<String>>,
    /// `auto`, `rtp` or `sdes`.
    #[schema(value_type = Option<String>)]
    media: Option<DeviceMedia>,
    /// `active` or `suspended`.
    #[schema(value_type = Option<String>)]
    status: Option<AccountStatus>,
    /// A new digest password.
    #[schema(value_type = Option<String>, format = Password)]
    secret: Option<Secret>,
}

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeviceParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Of this tenant.
    tenant_id: Option<String>,
    /// Of this user.
    user_id: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Devices, newest first
#[utoipa::path(get, path = "/devices", tag = "admin: accounts", params(DeviceParams),
    responses((status = 200, body = Page<DeviceView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<DeviceParams>,
) -> Result<Json<Page<DeviceView>>, Problem> {
    let scope = admin.within(word("tenant_id", params.tenant_id.as_deref())?)?;
    let user = word("user_id", params.user_id.as_deref())?;
    let wanted = PageParams { cursor: params.cursor, limit: params.limit };
    page(&app, scope, user, &wanted).await.map(Json)
}

/// Make a device
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/devices", tag = "admin: accounts", request_body = DeviceBody,
    responses((status = 201, body = NewDeviceView)))]
async fn create(
    State(app): State<Arc<App>>,
    admin: Admin,
    Body(body): Body<DeviceBody>,
) -> Result<(StatusCode, Json<NewDeviceView>), Problem> {
    let new = NewDevice {
        user: body.user_id,
        username: body.username,
        label: body.label,
        media: body.media.unwrap_or(DeviceMedia::Auto),
        credential: Credential::Minted,
    };
    let tenant = app.store().find_user(admin.scope(), body.user_id).await?.tenant;
    let made = with_secret(&app, admin.scope(), &new).await?;
    let detail = json!({ "user": body.user_id });
    let change = Change { action: "device.create", tenant: Some(tenant), object: made.id().as_i64(), detail };
    note(&app, &admin.0, change).await;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A device
#[utoipa::path(get, path = "/devices/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 200, body = DeviceView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Device>>,
) -> Result<Json<DeviceView>, Problem> {
    let row = app.store().find_device(admin.scope(), id).await?;
    one(&app, row).await.map(Json)
}

/// Change a device
///
/// A suspended device, and one with a new secret, loses its registration at once.
#[utoipa::path(patch, path = "/devices/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    request_body = DevicePatch, responses((status = 200, body = DeviceView)))]
async fn update(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Device>>,
    Body(body): Body<DevicePatch>,
) -> Result<Json<DeviceView>, Problem> {
    let drop = body.secret.is_some() || body.status.is_some_and(|s| s != AccountStatus::Active);
    let detail = json!({
        "label": body.label, "media": body.media, "status": body.status, "new_secret": body.secret.is_some(),
    });
    let change = DeviceChange { label: body.label, media: body.media, status: body.status, password: body.secret };
    let row = app.store().update_device(admin.scope(), id, &change).await?;
    if drop {
        app.deps.registrations.drop_device(row.user, id).await?;
    }
    let change = Change { action: "device.update", tenant: Some(row.tenant), object: id.as_i64(), detail };
    note(&app, &admin.0, change).await;
    one(&app, row).await.map(Json)
}

/// Delete a device and drop its registration
#[utoipa::path(delete, path = "/devices/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Device>>,
) -> Result<StatusCode, Problem> {
    let row = app.store().find_device(admin.scope(), id).await?;
    remove(&app, admin.scope(), row.user, id).await?;
    let detail = json!({ "user": row.user });
    let change = Change { action: "device.delete", tenant: Some(row.tenant), object: id.as_i64(), detail };
    note(&app, &admin.0, change).await;
    Ok(StatusCode::NO_CONTENT)
}
