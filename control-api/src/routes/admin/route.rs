//! Which prefix goes by which trunk (calls) or carrier (texts). For administrators of the platform.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::Id;
use base::id::kind::{Carrier, Rule, Tenant, Trunk};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::RouteRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, known_tenant, note};
use crate::app::App;
use crate::auth::PlatformAdmin;
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams};
use crate::problem::Problem;

/// Routes have no id type of their own; the text form is that of every id.
type RouteId = Id<Rule>;

/// Calls to a prefix go by a trunk.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrunkRouteBody {
    /// Whose route; none: of every tenant without one of its own for the prefix.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// Digits without `+`; empty: every number.
    #[schema(example = "1555")]
    prefix: String,
    /// Lower ones first.
    #[serde(default)]
    priority: i32,
    /// The trunk.
    #[schema(value_type = String)]
    trunk_id: Id<Trunk>,
}

/// Texts to a prefix go by a carrier.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SmsRouteBody {
    /// Whose route; none: of every tenant without one of its own for the prefix.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// Digits without `+`; empty: every number.
    #[schema(example = "1555")]
    prefix: String,
    /// Lower ones first.
    #[serde(default)]
    priority: i32,
    /// The carrier.
    #[schema(value_type = String)]
    carrier_id: Id<Carrier>,
}

/// A route to a trunk.
#[derive(Debug, Serialize, ToSchema)]
struct TrunkRouteView {
    #[schema(value_type = String)]
    id: RouteId,
    #[serde(flatten)]
    body: TrunkRouteBody,
    /// The manifest that owns it.
    managed_by: Option<String>,
}

/// A route to a carrier.
#[derive(Debug, Serialize, ToSchema)]
struct SmsRouteView {
    #[schema(value_type = String)]
    id: RouteId,
    #[serde(flatten)]
    body: SmsRouteBody,
    /// The manifest that owns it.
    managed_by: Option<String>,
}

impl From<RouteRow<Trunk>> for TrunkRouteView {
    fn from(row: RouteRow<Trunk>) -> Self {
        Self {
            id: Id::from_i64(row.id),
            body: TrunkRouteBody {
                tenant_id: row.tenant,
                prefix: row.prefix,
                priority: row.priority,
                trunk_id: row.to,
            },
            managed_by: row.managed_by,
        }
    }
}

impl From<RouteRow<Carrier>> for SmsRouteView {
    fn from(row: RouteRow<Carrier>) -> Self {
        Self {
            id: Id::from_i64(row.id),
            body: SmsRouteBody {
                tenant_id: row.tenant,
                prefix: row.prefix,
                priority: row.priority,
                carrier_id: row.to,
            },
            managed_by: row.managed_by,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(trunk_routes, create_trunk_route))
        .routes(routes!(delete_trunk_route))
        .routes(routes!(sms_routes, create_sms_route))
        .routes(routes!(delete_sms_route))
}

/// Routes of calls, newest first
#[utoipa::path(get, path = "/trunk-routes", tag = "admin: peers", params(PageParams),
    responses((status = 200, body = Page<TrunkRouteView>)))]
async fn trunk_routes(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TrunkRouteView>>, Problem> {
    let slice = params.slice::<RouteId>()?;
    let rows = app.store().list_trunk_routes(None, slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| Id::from_i64(r.id), Into::into)))
}

/// Add a route of calls
#[utoipa::path(post, path = "/trunk-routes", tag = "admin: peers", request_body = TrunkRouteBody,
    responses((status = 201, body = TrunkRouteView)))]
async fn create_trunk_route(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<TrunkRouteBody>,
) -> Result<(StatusCode, Json<TrunkRouteView>), Problem> {
    known_tenant(&app, body.tenant_id).await?;
    let id = app.store().create_trunk_route(body.tenant_id, &body.prefix, body.priority, body.trunk_id).await?;
    let change = Change { action: "trunk_route.create", tenant: body.tenant_id, object: id, detail: json!(body) };
    note(&app, &caller, change).await;
    Ok((StatusCode::CREATED, Json(TrunkRouteView { id: Id::from_i64(id), body, managed_by: None })))
}

/// Remove a route of calls
#[utoipa::path(delete, path = "/trunk-routes/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete_trunk_route(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<RouteId>,
) -> Result<StatusCode, Problem> {
    app.store().delete_trunk_route(None, id.as_i64()).await?;
    let change = Change { action: "trunk_route.delete", tenant: None, object: id.as_i64(), detail: json!({}) };
    note(&app, &caller, change).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Routes of texts, newest first
#[utoipa::path(get, path = "/sms-routes", tag = "admin: peers", params(PageParams),
    responses((status = 200, body = Page<SmsRouteView>)))]
async fn sms_routes(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<SmsRouteView>>, Problem> {
    let slice = params.slice::<RouteId>()?;
    let rows = app.store().list_sms_routes(None, slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| Id::from_i64(r.id), Into::into)))
}

/// Add a route of texts
#[utoipa::path(post, path = "/sms-routes", tag = "admin: peers", request_body = SmsRouteBody,
    responses((status = 201, body = SmsRouteView)))]
async fn create_sms_route(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<SmsRouteBody>,
) -> Result<(StatusCode, Json<SmsRouteView>), Problem> {
    known_tenant(&app, body.tenant_id).await?;
    let id = app.store().create_sms_route(body.tenant_id, &body.prefix, body.priority, body.carrier_id).await?;
    let change = Change { action: "sms_route.create", tenant: body.tenant_id, object: id, detail: json!(body) };
    note(&app, &caller, change).await;
    Ok((StatusCode::CREATED, Json(SmsRouteView { id: Id::from_i64(id), body, managed_by: None })))
}

/// Remove a route of texts
#[utoipa::path(delete, path = "/sms-routes/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete_sms_route(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<RouteId>,
) -> Result<StatusCode, Problem> {
    app.store().delete_sms_route(None, id.as_i64()).await?;
    let change = Change { action: "sms_route.delete", tenant: None, object: id.as_i64(), detail: json!({}) };
    note(&app, &caller, change).await;
    Ok(StatusCode::NO_CONTENT)
}
