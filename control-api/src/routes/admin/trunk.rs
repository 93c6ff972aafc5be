//! Trunks: SIP peers. For administrators of the platform.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base::Id;
use base::id::kind::{Tenant, Trunk};
use domain::trunk::{SourceAddress, TrunkTarget, TrunkTransport};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{TrunkData, TrunkRow};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Change, known_tenant, note};
use crate::app::App;
use crate::auth::PlatformAdmin;
use crate::extract::{Body, OnPath, Params};
use crate::page::{Page, PageParams};
use crate::problem::{Code, FieldError, Problem};
use crate::value::Time;

/// A trunk to make, or what one is to become.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TrunkBody {
    /// Its unique name.
    #[schema(example = "carrier-a")]
    name: String,
    /// The tenant that alone may use it; none: shared by all.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// Host name or address that we call; none: it only calls us.
    #[serde(default)]
    host: Option<String>,
    /// Its port; 5060, or 5061 for TLS, when not given.
    #[serde(default)]
    port: Option<u16>,
    /// `udp`, `tcp` or `tls`; `udp` when not given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    transport: Option<TrunkTransport>,
    /// Addresses from which it calls us without digest: `192.0.2.1`, `192.0.2.0/24`, `192.0.2.1:5062`.
    #[serde(default)]
    sources: Vec<String>,
    /// Most calls at the same time; none: no limit.
    #[serde(default)]
    calls_max: Option<u32>,
    /// Whether it may be used; yes when not given.
    #[serde(default = "yes")]
    enabled: bool,
}

const fn yes() -> bool {
    true
}

/// A trunk.
#[derive(Debug, Serialize, ToSchema)]
struct TrunkView {
    #[schema(value_type = String)]
    id: Id<Trunk>,
    #[serde(flatten)]
    body: TrunkBody,
    /// The manifest that owns it; the API does not change such ones.
    managed_by: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
}

impl From<TrunkRow> for TrunkView {
    fn from(row: TrunkRow) -> Self {
        let facts = row.facts;
        let (host, port, transport) = match facts.target {
            Some(target) => (Some(target.host), Some(target.port), Some(target.transport)),
            None => (None, None, None),
        };
        Self {
            id: facts.id,
            body: TrunkBody {
                name: facts.name,
                tenant_id: facts.tenant,
                host,
                port,
                transport,
                sources: facts.sources.iter().map(ToString::to_string).collect(),
                calls_max: facts.calls_max,
                enabled: facts.enabled,
            },
            managed_by: row.managed_by,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
        }
    }
}

impl TrunkBody {
    fn data(&self) -> Result<TrunkData, Problem> {
        let mut errors = vec![];
        let mut sources = vec![];
        for (n, text) in self.sources.iter().enumerate() {
            match SourceAddress::parse(text) {
                Some(source) => sources.push(source),
                None => errors.push(FieldError { field: format!("/sources/{n}"), detail: "not an address".to_owned() }),
            }
        }
        if self.host.is_none() && self.port.is_some() {
            errors.push(FieldError { field: "/port".to_owned(), detail: "needs host".to_owned() });
        }
        if self.host.is_none() && self.sources.is_empty() {
            let detail = "a trunk needs a host to call or sources that call".to_owned();
            errors.push(FieldError { field: "/host".to_owned(), detail });
        }
        if !errors.is_empty() {
            return Err(Problem::new(Code::InvalidBody, "the trunk cannot be kept").with_errors(errors));
        }
        let transport = self.transport.unwrap_or(TrunkTransport::Udp);
        let port = self.port.unwrap_or(if transport == TrunkTransport::Tls { 5061 } else { 5060 });
        Ok(TrunkData {
            name: self.name.clone(),
            tenant: self.tenant_id,
            target: self.host.clone().map(|host| TrunkTarget { host, port, transport }),
            sources,
            calls_max: self.calls_max,
            enabled: self.enabled,
        })
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(read, update, delete))
}

/// Trunks, newest first
#[utoipa::path(get, path = "/trunks", tag = "admin: peers", params(PageParams),
    responses((status = 200, body = Page<TrunkView>)))]
async fn list(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    Params(params): Params<PageParams>,
) -> Result<Json<Page<TrunkView>>, Problem> {
    let slice = params.slice::<Id<Trunk>>()?;
    let rows = app.store().list_trunks(None, slice.of_store()).await?;
    Ok(Json(slice.page(rows, |r| r.facts.id, Into::into)))
}

/// Make a trunk
#[utoipa::path(post, path = "/trunks", tag = "admin: peers", request_body = TrunkBody,
    responses((status = 201, body = TrunkView)))]
async fn create(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    Body(body): Body<TrunkBody>,
) -> Result<(StatusCode, Json<TrunkView>), Problem> {
    known_tenant(&app, body.tenant_id).await?;
    let row = app.store().create_trunk(&body.data()?).await?;
    let (object, tenant) = (row.facts.id.as_i64(), row.facts.tenant);
    note(&app, &caller, Change { action: "trunk.create", tenant, object, detail: json!(body) }).await;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// A trunk
#[utoipa::path(get, path = "/trunks/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 200, body = TrunkView)))]
async fn read(
    State(app): State<Arc<App>>,
    _: PlatformAdmin,
    OnPath(id): OnPath<Id<Trunk>>,
) -> Result<Json<TrunkView>, Problem> {
    Ok(Json(app.store().find_trunk(id).await?.into()))
}

/// Make a trunk into what the body says
#[utoipa::path(put, path = "/trunks/{id}", tag = "admin: peers", params(("id" = String, Path)),
    request_body = TrunkBody, responses((status = 200, body = TrunkView)))]
async fn update(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Trunk>>,
    Body(body): Body<TrunkBody>,
) -> Result<Json<TrunkView>, Problem> {
    known_tenant(&app, body.tenant_id).await?;
    let row = app.store().update_trunk(id, &body.data()?).await?;
    let tenant = row.facts.tenant;
    note(&app, &caller, Change { action: "trunk.update", tenant, object: id.as_i64(), detail: json!(body) }).await;
    Ok(Json(row.into()))
}

/// Take a trunk and its routes out of use
#[utoipa::path(delete, path = "/trunks/{id}", tag = "admin: peers", params(("id" = String, Path)),
    responses((status = 204, description = "Gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    PlatformAdmin(caller): PlatformAdmin,
    OnPath(id): OnPath<Id<Trunk>>,
) -> Result<StatusCode, Problem> {
    app.store().delete_trunk(id).await?;
    note(&app, &caller, Change { action: "trunk.delete", tenant: None, object: id.as_i64(), detail: json!({}) }).await;
    Ok(StatusCode::NO_CONTENT)
}
