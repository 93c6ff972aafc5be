//! Carriers: SMPP peers. For administrators of the platform. Passwords go in and never come out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::Carrier;
use base::{Id, Secret};
use domain::trunk::BindType;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{CarrierData, CarrierRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::PlatformAdmin;
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use crate::value::Time;

/// A carrier to make, or what one is to become.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CarrierBody {
    /// Its unique name.
    #[schema(example = "sms-a")]
    name: String,
    /// Host name or address.
    host: String,
    /// TCP port; 2775 when not given.
    #[serde(default = "smpp_port")]
    port: u16,
    /// At most 15 octets.
    system_id: String,
    /// Needed for a new carrier; left out in an update, the one that is there stays.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<Secret>,
    /// At most 12 octets.
    #[serde(default)]
    system_type: String,
    /// `transceiver`, `transmitter` or `receiver`; `transceiver` when not given.
    #[serde(default = "transceiver")]
    #[schema(value_type = String)]
    bind: BindType,
    /// Most submit_sm without a response; 10 when not given.
    #[serde(default = "window")]
    #[schema(minimum = 1)]
    window: u16,
    /// Most submit_sm per second; none: as fast as the window lets.
    #[serde(default)]
    submits_per_second: Option<u32>,
    /// Whether it may be used; yes when not given.
    #[serde(default = "yes")]
    enabled: bool,
}

const fn smpp_port() -> u16 {
    2775
}
const fn transceiver() -> BindType {
    BindType::Transceiver
}
const fn window() -> u16 {
    10
}
const fn yes() -> bool {
    true
}

/// A carrier.
#[derive(Debug, Serialize, ToSchema)]
struct CarrierView {
    #[schema(value_type = String)]
    id: Id<Carrier>,
    name: String,
    host: String,
    port: u16,
    system_id: String,
    system_type: String,
    #[schema(value_type = String)]
    bind: BindType,
    window: u16,
    submits_per_second: Option<u32>,
    enabled: bool,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

impl From<CarrierRow> for CarrierView {
    fn from(row: CarrierRow) -> Self {
        let facts = row.facts;
        Self {
            id: facts.id,
            name: facts.name,
            host: facts.host,
            port: facts.port,
            system_id: facts.system_id,
            system_type: facts.system_type,
            bind: facts.bind,
            window: facts.window,
            submits_per_second: facts.submits_per_second,
            enabled: facts.enabled,
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

impl From<CarrierBody> for CarrierData {
    fn from(body: CarrierBody) -> Self {
        Self {
            name: body.name,
            host: body.host,
            port: body.port,
            system_id: body.system_id,
            password: body.password,
            system_type: body.system_type,
            bind: body.bind,
            window: body.window,
            submits_per_second: body.submits_per_second,
            enabled: body.enabled,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Carriers, newest first
#[utoipa::path(get, path = "/carriers", tag = "admin: peers", params(PageParams),
    responses((status = 200, body = Page<CarrierView>)))]
async fn list(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<CarrierView>>, Problem> {
    let slice = params.slice::<Id<Carrier>>()?;
    let rows = app.store().list_carriers(slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| r.facts.id, Into::into)))
}

/// Make a carrier
#[utoipa::path(post, path = "/carriers", tag = "admin: peers", request_body = CarrierBody,
    responses((status = 201, body = CarrierView)))]
async fn create(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<CarrierBody>,
) -> Result<(StatusCode, Json<CarrierView>), Problem> {
    let row = app.store().create_carrier(&body.into()).await?;
    let view = CarrierView::from(row);
    let change = Change { action: "carrier.create", tenant: None, object: view.id.as_i64(), detail: json!(view) };
    note(&app, &caller, change).await;
    Ok((StatusCode::CREATED, Json(view)))
}

/// A carrier
#[utoipa::path(get, path = "/carriers/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 200, body = CarrierView)))]
async fn read(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    OnPath(id): OnPath<Id<Carrier>>,
) -> Result<Json<CarrierView>, Problem> {
    Ok(Json(app.store().find_carrier(id).await?.into()))
}

/// Make a carrier into what the body says
#[utoipa::path(put, path = "/carriers/{id}", tag = "admin: peers", params(("id" = String, Path)),
    request_body = CarrierBody, responses((status = 200, body = CarrierView)))]
async fn update(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Carrier>>,
    Body(body): Body<CarrierBody>,
) -> Result<Json<CarrierView>, Problem> {
    let new_password = body.password.is_some();
    let view = CarrierView::from(app.store().update_carrier(id, &body.into()).await?);
    let detail = json!({ "carrier": view, "new_password": new_password });
    note(&app, &caller, Change { action: "carrier.update", tenant: None, object: id.as_i64(), detail }).await;
    Ok(Json(view))
}

/// Take a carrier and its routes out of use
#[utoipa::path(delete, path = "/carriers/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Carrier>>,
) -> Result<StatusCode, Problem> {
    app.store().delete_carrier(id).await?;
    note(&app, &caller, Change { action: "carrier.delete", tenant: None, object: id.as_i64(), detail: json!({}) })
        .await;
    Ok(StatusCode::NO_CONTENT)
}
