//! The caller's SIP clients (D12, D13): made with a secret that is shown once, listed with whether they are registered,
//! deleted together with their registration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::Id;
use base::id::kind::{Device, Tenant, User};
use domain::account::{AccountStatus, DeviceMedia, UserFacts};
use domain::event::Fact;
use serde::{Deserialize, Serialize};
use store::{Credential, DeviceRow, NewDevice};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Caller;
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams};
use crate::problem::{Code, Problem};
use crate::value::Time;

/// A SIP client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    #[schema(value_type = String)]
    pub(crate) id: Id<Device>,
    /// Its owner.
    #[schema(value_type = String)]
    pub(crate) user_id: Id<User>,
    /// What its owner calls it.
    label: Option<String>,
    /// Digest username.
    username: String,
    /// Digest realm: the domain of its user.
    realm: String,
    /// `auto`, `rtp` or `sdes`.
    #[schema(value_type = String)]
    media: DeviceMedia,
    /// `active` or `suspended`.
    #[schema(value_type = String)]
    status: AccountStatus,
    /// Whether it is registered now.
    online: bool,
    /// When its registration ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    registered_until: Option<Time>,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// A SIP client that was made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewDeviceView {
    #[serde(flatten)]
    device: DeviceView,
    /// The digest password; shown only now, kept nowhere.
    secret: String,
}

impl NewDeviceView {
    /// The device.
    pub(crate) const fn id(&self) -> Id<Device> {
        self.device.id
    }
}

/// A SIP client to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceBody {
    /// A name for the owner, such as `Alice's phone`.
    #[serde(default)]
    label: Option<String>,
    /// `auto`, `rtp` or `sdes`; `auto` when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    media: Option<DeviceMedia>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(create)).routes(routes!(delete))
}

/// The caller's devices, newest first
#[utoipa::path(get, path = "/device", tag = "devices", params(PageParams),
    responses((status = 200, body = Page<DeviceView>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<DeviceView>>, Problem> {
    page(&app, Some(caller.tenant), Some(caller.user), &params).await.map(Json)
}

/// Make a device
///
/// Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/device/register", tag = "devices", request_body = DeviceBody,
    responses((status = 201, body = NewDeviceView)))]
async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<DeviceBody>,
) -> Result<(StatusCode, Json<NewDeviceView>), Problem> {
    let facts = app.deps.directory.user(caller.user).await?.ok_or_else(|| Problem::not_found("user"))?;
    let made = mint(&app, &facts, body.label, body.media).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Delete a device
///
/// Its registration and connections are dropped at once.
#[utoipa::path(delete, path = "/device/{id}", tag = "devices", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Device>>,
) -> Result<StatusCode, Problem> {
    let row = app.store().find_device(Some(caller.tenant), id).await?;
    if row.user != caller.user {
        return Err(Problem::not_found("device"));
    }
    remove(&app, Some(caller.tenant), caller.user, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page of devices of a tenant or of all, or of one user.
pub(crate) async fn page(
    app: &App,
    scope: Option<Id<Tenant>>,
    user: Option<Id<User>>,
    params: &PageParams,
) -> Result<Page<DeviceView>, Problem> {
    let slice = params.slice::<Id<Device>>()?;
    let rows = app.store().list_devices(scope, user, slice.of_store()).await?;
    let online = online(app, &rows).await?;
    Ok(slice.page(rows, |r| r.id, |row| view(row, &online)))
}

/// One device with whether it is registered.
pub(crate) async fn one(app: &App, row: DeviceRow) -> Result<DeviceView, Problem> {
    let online = online(app, std::slice::from_ref(&row)).await?;
    Ok(view(row, &online))
}

type Online = Vec<(Id<Device>, base::Timestamp)>;

async fn online(app: &App, rows: &[DeviceRow]) -> Result<Online, Problem> {
    let mut users: Vec<Id<User>> = rows.iter().map(|r| r.user).collect();
    users.sort();
    users.dedup();
    Ok(app.store().online_devices(&users, app.now()).await?)
}

fn view(row: DeviceRow, online: &Online) -> DeviceView {
    let until = online.iter().find(|(device, _)| *device == row.id).map(|(_, until)| *until);
    DeviceView {
        id: row.id,
        user_id: row.user,
        label: row.label,
        username: row.username,
        realm: row.realm,
        media: row.media,
        status: row.status,
        online: until.is_some(),
        registered_until: until.map(Into::into),
        managed_by: row.managed_by,
        created_at: row.created_at.into(),
    }
}

/// Makes a device of `user` with a made-up secret.
pub(crate) async fn mint(
    app: &App,
    user: &UserFacts,
    label: Option<String>,
    media: Option<DeviceMedia>,
) -> Result<NewDeviceView, Problem> {
    let max = app.config.devices_per_user_max;
    let page = store::Page { before: None, limit: max.max(1) };
    let there = app.store().list_devices(Some(user.tenant), Some(user.id), page).await?;
    if there.len() >= max as usize {
        return Err(Problem::new(Code::TooManyDevices, format!("a user has at most {max} devices; delete one first")));
    }
    let media = media.unwrap_or(DeviceMedia::Auto);
    let new = NewDevice { user: user.id, username: None, label, media, credential: Credential::Minted };
    with_secret(app, Some(user.tenant), &new).await
}

/// Makes a device; the made-up secret is in the answer.
pub(crate) async fn with_secret(
    app: &App,
    scope: Option<Id<Tenant>>,
    new: &NewDevice,
) -> Result<NewDeviceView, Problem> {
    let (row, secret) = app.store().create_device(scope, new).await?;
    let secret = secret.map(|s| s.expose().to_owned()).unwrap_or_default();
    Ok(NewDeviceView { device: view(row, &vec![]), secret })
}

/// Deletes a device and drops its registration.
pub(crate) async fn remove(
    app: &App,
    scope: Option<Id<Tenant>>,
    user: Id<User>,
    device: Id<Device>,
) -> Result<(), Problem> {
    match app.store().delete_device(scope, device).await {
        // Gone before: what counts is that it is gone.
        Ok(()) | Err(store::Error::NotFound(_)) => {}
        Err(error) => return Err(error.into()),
    }
    app.deps.registrations.drop_device(user, device).await?;
    let tenant = app.deps.directory.user(user).await?.map(|u| u.tenant);
    let online = !app.store().online_devices(&[user], app.now()).await?.is_empty();
    app.deps.events.publish(tenant, Fact::Registration { user, online });
    Ok(())
}
