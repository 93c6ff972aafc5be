//! Numbers. The platform takes them in and gives them back; a tenant's administrator gives them to users and switches them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::id::kind::{Number, Tenant, User};
use base::{E164, Id};
use domain::number::NumberStatus;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{NewNumber, NumberChange, NumberFilter, NumberKind};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, note};
use crate::app::App;
use crate::auth::{Admin, PlatformAdmin, Role};
use crate::extract::{Body, OnPath, Params};
use crate::page::{self, Page, word};
use crate::problem::{Code, Problem};
use crate::routes::number::{NumberView, one};
use crate::routes::wallet::known;
use crate::value::nullable;

/// A number to take in.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumberBody {
    /// Its tenant.
    #[schema(value_type = String)]
    tenant_id: Id<Tenant>,
    /// Its user; none: in stock.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    user_id: Option<Id<User>>,
    /// E.164.
    #[schema(value_type = String, example = "+15550100")]
    number: E164,
    /// `local`, `mobile` or `toll_free`; `local` when not given.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// `active`, `inactive` or `porting`; `active` when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    status: Option<NumberStatus>,
    /// IANA time zone of its rules; `UTC` when not given.
    #[serde(default)]
    time_zone: Option<String>,
    /// Whether it takes and sends texts; yes when not given.
    #[serde(default)]
    sms: Option<bool>,
}

/// What is to change; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumberPatch {
    /// Its user; `null` puts it in stock.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    user_id: Option<Option<Id<User>>>,
    /// `active`, `inactive`, `porting` or `released`, as far as the step is legal.
    #[schema(value_type = Option<String>)]
    status: Option<NumberStatus>,
    time_zone: Option<String>,
    /// `true` makes it its user's primary number.
    #[serde(default)]
    primary: bool,
    sms: Option<bool>,
}

/// Which numbers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NumberParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Of this tenant.
    tenant_id: Option<String>,
    /// Of this user.
    user_id: Option<String>,
    /// `active`, `inactive`, `porting` or `released`.
    status: Option<String>,
    /// This one, E.164.
    number: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Numbers, newest first
#[utoipa::path(get, path = "/numbers", tag = "admin: accounts", params(NumberParams),
    responses((status = 200, body = Page<NumberView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<NumberParams>,
) -> Result<Json<Page<NumberView>>, Problem> {
    let slice = page::slice::<Id<Number>>(params.cursor.as_deref(), params.limit)?;
    let scope = admin.within(word("tenant_id", params.tenant_id.as_deref())?)?;
    let filter = NumberFilter {
        user: word("user_id", params.user_id.as_deref())?,
        status: known("status", params.status.as_deref(), NumberStatus::parse)?,
        number: word("number", params.number.as_deref())?,
    };
    let rows = app.store().list_numbers(scope, &filter, slice.of_store()).await?;
    let page = slice.page(rows, |r| r.id, |r| r);
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(one(&app, row).await?);
    }
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Take a number in
#[utoipa::path(post, path = "/numbers", tag = "admin: accounts", request_body = NumberBody,
    responses((status = 201, body = NumberView)))]
async fn create(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<NumberBody>,
) -> Result<(StatusCode, Json<NumberView>), Problem> {
    let detail = json!(body);
    let kind = match body.kind.as_deref() {
        None => NumberKind::Local,
        Some(text) => NumberKind::parse(text)
            .ok_or_else(|| Problem::field(Code::InvalidBody, "/type", "local, mobile or toll_free"))?,
    };
    let new = NewNumber {
        tenant: body.tenant_id,
        user: body.user_id,
        number: body.number,
        kind,
        status: body.status.unwrap_or(NumberStatus::Active),
        time_zone: body.time_zone.unwrap_or_else(|| "UTC".to_owned()),
        sms: body.sms.unwrap_or(true),
    };
    let row = app.store().create_number(&new).await?;
    let change = Change { action: "number.create", tenant: Some(row.tenant), object: row.id.as_i64(), detail };
    note(&app, &caller, change).await;
    Ok((StatusCode::CREATED, Json(one(&app, row).await?)))
}

/// A number
#[utoipa::path(get, path = "/numbers/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 200, body = NumberView)))]
async fn read(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Number>>,
) -> Result<Json<NumberView>, Problem> {
    let row = app.store().find_number(admin.scope(), id).await?;
    one(&app, row).await.map(Json)
}

/// Change a number
#[utoipa::path(patch, path = "/numbers/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    request_body = NumberPatch, responses((status = 200, body = NumberView)))]
async fn update(
    State(app): State<Arc<App>>,
    admin: Admin,
    OnPath(id): OnPath<Id<Number>>,
    Body(body): Body<NumberPatch>,
) -> Result<Json<NumberView>, Problem> {
    // Looked for first: a foreign number is not there, whatever was to be done with it.
    app.store().find_number(admin.scope(), id).await?;
    let of_platform = matches!(body.status, Some(NumberStatus::Porting | NumberStatus::Released)) || body.sms.is_some();
    if of_platform && admin.0.role != Role::PlatformAdmin {
        return Err(Problem::new(Code::Forbidden, "porting, release and capabilities are the platform's"));
    }
    let detail = json!({
        "user": body.user_id, "status": body.status, "time_zone": body.time_zone, "primary": body.primary, "sms": body.sms,
    });
    let change = NumberChange {
        user: body.user_id,
        status: body.status,
        time_zone: body.time_zone,
        primary: body.primary,
        sms: body.sms,
    };
    let row = app.store().update_number(admin.scope(), id, &change).await?;
    let change = Change { action: "number.update", tenant: Some(row.tenant), object: id.as_i64(), detail };
    note(&app, &admin.0, change).await;
    one(&app, row).await.map(Json)
}

/// Give a number back: it stops routing, its record stays
#[utoipa::path(delete, path = "/numbers/{id}", tag = "admin: accounts", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Number>>,
) -> Result<StatusCode, Problem> {
    let row = app.store().release_number(None, id).await?;
    let change = Change { action: "number.delete", tenant: Some(row.tenant), object: id.as_i64(), detail: json!({}) };
    note(&app, &caller, change).await;
    Ok(StatusCode::NO_CONTENT)
}
