//! Prices of tenants. A tenant's administrator reads its own; the platform's sets them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Rate, Tenant};
use base::{Currency, Id, Timestamp};
use domain::rate::Service;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{RateData, RateRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::{Admin, PlatformAdmin};
use crate::extract::{Body, OnPath, Params};
use crate::page::{self, Page, word};
use crate::problem::{Code, Problem};
use crate::routes::wallet::known;
use crate::value::{Time, micros};

/// What a price says.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateBody {
    /// Whose price; needed for a new one, and never changed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// `voice_out`, `voice_in`, `voice_on_net` or `sms_out`.
    #[schema(value_type = String, example = "voice_out")]
    service: Service,
    /// Digits without `+`; empty: every number. The longest prefix counts.
    #[schema(example = "1555")]
    prefix: String,
    /// Per minute or per segment, decimal, in the tenant's currency.
    #[schema(example = "0.01")]
    price: String,
    /// Once per answered call; `0` when not given.
    #[serde(default = "nothing")]
    #[schema(example = "0.00")]
    connect: String,
    /// Least seconds charged; 60 when not given.
    #[serde(default = "minute")]
    first_increment_s: u32,
    /// Steps after it, seconds; 60 when not given.
    #[serde(default = "minute")]
    next_increment_s: u32,
    /// From when it holds; always when not given. A later one of the same prefix takes its place.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    effective_from: Option<Time>,
}

fn nothing() -> String {
    "0".to_owned()
}
const fn minute() -> u32 {
    60
}

/// A price.
#[derive(Debug, Serialize, ToSchema)]
struct RateView {
    #[schema(value_type = String)]
    id: Id<Rate>,
    /// The tenant's currency.
    #[schema(value_type = String)]
    currency: Currency,
    #[serde(flatten)]
    rate: RateBody,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

impl From<RateRow> for RateView {
    fn from(row: RateRow) -> Self {
        let data = row.data;
        let since = data.effective_from;
        Self {
            id: row.id,
            currency: row.currency,
            rate: RateBody {
                tenant_id: Some(row.tenant),
                service: data.service,
                prefix: data.prefix,
                price: base::money::format_micros(data.price_micros),
                connect: base::money::format_micros(data.connect_micros),
                first_increment_s: data.first_increment_s,
                next_increment_s: data.next_increment_s,
                effective_from: (since.as_millis() > 0).then_some(Time(since)),
            },
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

impl RateBody {
    fn data(&self) -> Result<RateData, Problem> {
        Ok(RateData {
            service: self.service,
            prefix: self.prefix.clone(),
            price_micros: micros("/price", &self.price)?,
            connect_micros: micros("/connect", &self.connect)?,
            first_increment_s: self.first_increment_s,
            next_increment_s: self.next_increment_s,
            effective_from: self.effective_from.map_or(Timestamp::from_millis(0), |t| t.0),
        })
    }
}

/// Which prices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RateParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Of this tenant.
    tenant_id: Option<String>,
    /// `voice_out`, `voice_in`, `voice_on_net` or `sms_out`.
    service: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Prices, newest first
#[utoipa::path(get, path = "/rates", tag = "admin: money", params(RateParams),
    responses((status = 200, body = Page<RateView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<RateParams>,
) -> Result<Json<Page<RateView>>, Problem> {
    let slice = page::slice::<Id<Rate>>(params.cursor.as_deref(), params.limit)?;
    let scope = admin.within(word("tenant_id", params.tenant_id.as_deref())?)?;
    let service = known("service", params.service.as_deref(), Service::parse)?;
    let rows = app.store().list_rates(scope, service, slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| r.id, Into::into)))
}

/// Add a price
#[utoipa::path(post, path = "/rates", tag = "admin: money", request_body = RateBody,
    responses((status = 201, body = RateView)))]
async fn create(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<RateBody>,
) -> Result<(StatusCode, Json<RateView>), Problem> {
    let tenant = body.tenant_id.ok_or_else(|| Problem::field(Code::InvalidBody, "/tenant_id", "needed"))?;
    let row = app.store().create_rate(tenant, &body.data()?).await?;
    let (tenant, object) = (Some(row.tenant), row.id.as_i64());
    note(&app, &caller, Change { action: "rate.create", tenant, object, detail: json!(body) }).await;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// A price
#[utoipa::path(get, path = "/rates/{id}", tag = "admin: money", params(("id" = String, Path)),
    responses((status = 200, body = RateView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Rate>>,
) -> Result<Json<RateView>, Problem> {
    Ok(Json(app.store().find_rate(admin.scope(), id).await?.into()))
}

/// Make a price into what the body says
///
/// Calls that run keep the price that they began with.
#[utoipa::path(put, path = "/rates/{id}", tag = "admin: money", params(("id" = String, Path)),
    request_body = RateBody, responses((status = 200, body = RateView)))]
async fn update(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Rate>>,
    Body(body): Body<RateBody>,
) -> Result<Json<RateView>, Problem> {
    let there = app.store().find_rate(None, id).await?;
    if body.tenant_id.is_some_and(|t| t != there.tenant) {
        return Err(Problem::field(Code::InvalidBody, "/tenant_id", "a price stays with its tenant"));
    }
    let row = app.store().update_rate(None, id, &body.data()?).await?;
    let tenant = Some(row.tenant);
    note(&app, &caller, Change { action: "rate.update", tenant, object: id.as_i64(), detail: json!(body) }).await;
    Ok(Json(row.into()))
}

/// Remove a price
#[utoipa::path(delete, path = "/rates/{id}", tag = "admin: money", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Rate>>,
) -> Result<StatusCode, Problem> {
    let tenant = Some(app.store().find_rate(None, id).await?.tenant);
    app.store().delete_rate(None, id).await?;
    note(&app, &caller, Change { action: "rate.delete", tenant, object: id.as_i64(), detail: json!({}) }).await;
    Ok(StatusCode::NO_CONTENT)
}
