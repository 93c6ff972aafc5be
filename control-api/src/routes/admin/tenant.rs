//! Tenants. A tenant's administrator sees its own; the platform's makes, changes and deletes them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::Tenant;
use base::{Currency, Id};
use domain::account::AccountStatus;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{NewTenant, TenantChange, TenantRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::{Admin, PlatformAdmin};
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams};
use crate::problem::Problem;
use crate::value::Time;

/// A tenant to make.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantBody {
    /// Its unique name.
    #[schema(example = "example")]
    name: String,
    /// ISO 4217; for all its prices and wallets, for life.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// Its SIP domains, at least one; the first is its main one.
    #[schema(example = json!(["example.com"]))]
    domains: Vec<String>,
    /// Whether calls to its numbers are charged to their owners.
    #[serde(default)]
    inbound_charged: bool,
    /// Whether an undelivered text is refunded.
    #[serde(default)]
    refund_undelivered: bool,
    /// Whether media of its devices must be SRTP.
    #[serde(default)]
    secure_media: bool,
}

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TenantPatch {
    name: Option<String>,
    /// `active` or `suspended`.
    #[schema(value_type = Option<String>)]
    status: Option<AccountStatus>,
    /// All its SIP domains; one with users cannot go.
    domains: Option<Vec<String>>,
    inbound_charged: Option<bool>,
    refund_undelivered: Option<bool>,
    secure_media: Option<bool>,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
struct TenantView {
    #[schema(value_type = String)]
    id: Id<Tenant>,
    #[serde(flatten)]
    body: TenantBody,
    /// `active` or `suspended`.
    #[schema(value_type = String)]
    status: AccountStatus,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

impl From<TenantRow> for TenantView {
    fn from(row: TenantRow) -> Self {
        Self {
            id: row.id,
            body: TenantBody {
                name: row.name,
                currency: row.currency,
                domains: row.domains,
                inbound_charged: row.inbound_charged,
                refund_undelivered: row.refund_undelivered,
                secure_media: row.secure_media,
            },
            status: row.status,
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Tenants, newest first
#[utoipa::path(get, path = "/tenants", tag = "admin", params(PageParams),
    responses((status = 200, body = Page<TenantView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TenantView>>, Problem> {
    let slice = params.slice::<Id<Tenant>>()?;
    let rows = match admin.scope() {
        None => app.store().list_tenants(slice.of_store()).await?,
        Some(own) if slice.before.is_none_or(|before| own < before) => vec![app.store().find_tenant(own).await?],
        Some(_) => vec![],
    };
    Ok(Json(slice.page(rows, |r| r.id, Into::into)))
}

/// Make a tenant
#[utoipa::path(post, path = "/tenants", tag = "admin", request_body = TenantBody,
    responses((status = 201, body = TenantView)))]
async fn create(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<TenantBody>,
) -> Result<(StatusCode, Json<TenantView>), Problem> {
    let detail = json!(body);
    let new = NewTenant {
        name: body.name,
        currency: body.currency,
        domains: body.domains,
        inbound_charged: body.inbound_charged,
        refund_undelivered: body.refund_undelivered,
        secure_media: body.secure_media,
    };
    let row = app.store().create_tenant(&new).await?;
    let change = Change { action: "tenant.create", tenant: Some(row.id), object: row.id.as_i64(), detail };
    note(&app, &caller, change).await;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// A tenant
#[utoipa::path(get, path = "/tenants/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, body = TenantView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Tenant>>,
) -> Result<Json<TenantView>, Problem> {
    admin.within(Some(id))?;
    Ok(Json(app.store().find_tenant(id).await?.into()))
}

/// Change a tenant
///
/// A suspended tenant's users neither log in nor register, call or text.
#[utoipa::path(patch, path = "/tenants/{id}", tag = "admin", params(("id" = String, Path)),
    request_body = TenantPatch, responses((status = 200, body = TenantView)))]
async fn update(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Tenant>>,
    Body(body): Body<TenantPatch>,
) -> Result<Json<TenantView>, Problem> {
    let detail = json!(body);
    let change = TenantChange {
        name: body.name,
        status: body.status,
        domains: body.domains,
        inbound_charged: body.inbound_charged,
        refund_undelivered: body.refund_undelivered,
        secure_media: body.secure_media,
    };
    let row = app.store().update_tenant(id, &change).await?;
    note(&app, &caller, Change { action: "tenant.update", tenant: Some(id), object: id.as_i64(), detail }).await;
    Ok(Json(row.into()))
}

/// Delete a tenant
///
/// Nothing of it registers, calls or logs in any more. Its ledger and records stay.
#[utoipa::path(delete, path = "/tenants/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Tenant>>,
) -> Result<StatusCode, Problem> {
    app.store().delete_tenant(id).await?;
    note(&app, &caller, Change { action: "tenant.delete", tenant: Some(id), object: id.as_i64(), detail: json!({}) })
        .await;
    Ok(StatusCode::NO_CONTENT)
}
