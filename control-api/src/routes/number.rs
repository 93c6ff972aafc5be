//! The caller's numbers: list (N1), primary (N5), on and off (N6), capabilities (N7).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base::id::kind::{Number, Tenant, User};
use base::{E164, Id};
use domain::number::NumberStatus;
use serde::{Deserialize, Serialize};
use store::{NumberChange, NumberFilter, NumberRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::wallet::known;
use crate::app::App;
use crate::auth::Caller;
use crate::country::country_of;
use crate::extract::{Body, OnPath, Params};
use crate::page::{self, Page};
use crate::problem::{Code, Problem};
use crate::value::Time;

/// A number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NumberView {
    #[schema(value_type = String)]
    pub(crate) id: Id<Number>,
    /// Its tenant.
    #[schema(value_type = String)]
    tenant_id: Id<Tenant>,
    /// Its user; none: in stock.
    #[schema(value_type = Option<String>)]
    user_id: Option<Id<User>>,
    /// E.164.
    #[schema(value_type = String, example = "+15550100")]
    number: E164,
    /// ISO 3166-1 alpha-2 by its country code, the largest country where several share one; none for global services.
    #[schema(example = "US")]
    country: Option<&'static str>,
    /// `local`, `mobile` or `toll_free`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `active`, `inactive`, `porting` or `released`.
    #[schema(value_type = String)]
    status: NumberStatus,
    /// What it can do.
    capabilities: Capabilities,
    /// Whether callees see it when its user chose none.
    primary: bool,
    /// IANA time zone of its rules.
    time_zone: String,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// What a number can do.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct Capabilities {
    voice: bool,
    sms: bool,
    mms: bool,
    fax: bool,
    e911: bool,
    #[serde(rename = "10dlc")]
    ten_dlc: bool,
}

impl Capabilities {
    /// Voice and texts by the number's own flags. The switch has no MMS, fax, emergency address or campaign
    /// registration, so no number has those.
    const fn of(row: &NumberRow) -> Self {
        Self { voice: row.voice, sms: row.sms, mms: false, fax: false, e911: false, ten_dlc: false }
    }
}

/// On or off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NumberSwitch {
    /// `active` or `inactive`.
    #[schema(value_type = String, example = "inactive")]
    status: NumberStatus,
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
    /// `active`, `inactive` or `porting`.
    status: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(read))
        .routes(routes!(capabilities))
        .routes(routes!(primary))
        .routes(routes!(switch))
}

/// The caller's numbers, newest first
#[utoipa::path(get, path = "/numbers", tag = "numbers", params(NumberParams),
    responses((status = 200, body = Page<NumberView>)))]
async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Params(params): Params<NumberParams>,
) -> Result<Json<Page<NumberView>>, Problem> {
    let slice = page::slice::<Id<Number>>(params.cursor.as_deref(), params.limit)?;
    let status = known("status", params.status.as_deref(), NumberStatus::parse)?;
    let filter = NumberFilter { user: Some(caller.user), status, number: None };
    let rows = app.store().list_numbers(Some(caller.tenant), &filter, slice.of_store()).await?;
    let primary = app.store().primary_number(caller.user).await?;
    Ok(Json(slice.page(rows, |r| r.id, |row| view(row, primary))))
}

/// A number
#[utoipa::path(get, path = "/numbers/{id}", tag = "numbers", params(("id" = String, Path)),
    responses((status = 200, body = NumberView)))]
async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Number>>,
) -> Result<Json<NumberView>, Problem> {
    let row = own(&app, &caller, id).await?;
    one(&app, row).await.map(Json)
}

/// What a number can do
#[utoipa::path(get, path = "/numbers/{id}/capabilities", tag = "numbers", params(("id" = String, Path)),
    responses((status = 200, body = Capabilities)))]
async fn capabilities(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Number>>,
) -> Result<Json<Capabilities>, Problem> {
    Ok(Json(Capabilities::of(&own(&app, &caller, id).await?)))
}

/// Make a number the one that callees see when none is chosen
#[utoipa::path(put, path = "/numbers/{id}/primary", tag = "numbers", params(("id" = String, Path)),
    responses((status = 200, body = NumberView)))]
async fn primary(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Number>>,
) -> Result<Json<NumberView>, Problem> {
    let row = own(&app, &caller, id).await?;
    if row.status != NumberStatus::Active {
        return Err(Problem::new(Code::Conflict, "only an active number can be the primary one"));
    }
    let change = NumberChange { primary: true, ..NumberChange::default() };
    let row = app.store().update_number(Some(caller.tenant), id, &change).await?;
    one(&app, row).await.map(Json)
}

/// Switch a number on or off
///
/// Off: callers hear that it is not in service, texts to it are refused, it cannot be presented.
#[utoipa::path(put, path = "/numbers/{id}/status", tag = "numbers", params(("id" = String, Path)),
    request_body = NumberSwitch, responses((status = 200, body = NumberView)))]
async fn switch(
    State(app): State<Arc<App>>,
    caller: Caller,
    OnPath(id): OnPath<Id<Number>>,
    Body(body): Body<NumberSwitch>,
) -> Result<Json<NumberView>, Problem> {
    let row = own(&app, &caller, id).await?;
    if !matches!(body.status, NumberStatus::Active | NumberStatus::Inactive) {
        return Err(Problem::field(Code::InvalidBody, "/status", "active or inactive"));
    }
    if row.status == NumberStatus::Porting {
        return Err(Problem::new(Code::Conflict, "the number is still on its way in"));
    }
    let change = NumberChange { status: Some(body.status), ..NumberChange::default() };
    let row = app.store().update_number(Some(caller.tenant), id, &change).await?;
    one(&app, row).await.map(Json)
}

/// A number of the caller that is not given back.
pub(super) async fn own(app: &App, caller: &Caller, id: Id<Number>) -> Result<NumberRow, Problem> {
    let row = app.store().find_number(Some(caller.tenant), id).await?;
    if row.user == Some(caller.user) && row.status != NumberStatus::Released {
        Ok(row)
    } else {
        Err(Problem::not_found("number"))
    }
}

/// One number with whether it is the primary one.
pub(crate) async fn one(app: &App, row: NumberRow) -> Result<NumberView, Problem> {
    let primary = match row.user {
        Some(user) => app.store().primary_number(user).await?,
        None => None,
    };
    Ok(view(row, primary))
}

/// A number as it is shown.
pub(crate) fn view(row: NumberRow, primary: Option<Id<Number>>) -> NumberView {
    NumberView {
        id: row.id,
        tenant_id: row.tenant,
        user_id: row.user,
        country: country_of(&row.number),
        kind: row.kind.as_str(),
        status: row.status,
        capabilities: Capabilities::of(&row),
        primary: primary == Some(row.id),
        number: row.number,
        time_zone: row.time_zone,
        managed_by: row.managed_by,
        created_at: row.created_at.into(),
    }
}
