//! The audit log: of the own tenant, or of everything.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base::Id;
use base::id::kind::{Audit, Rule, Tenant, User};
use serde::{Deserialize, Serialize};
use store::{AuditFilter, AuditRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Admin;
use crate::extract::Params;
use crate::page::{self, Page, word};
use crate::problem::Problem;
use crate::value::{Time, time_parameter};

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
struct AuditView {
    #[schema(value_type = String)]
    id: Id<Audit>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Whose object it is; none: the whole switch's.
    #[schema(value_type = Option<String>)]
    tenant_id: Option<Id<Tenant>>,
    /// Who did it.
    #[schema(value_type = Option<String>)]
    actor_id: Option<Id<User>>,
    /// In which role.
    actor_role: String,
    /// What: `user.create`, `wallet.adjust` ...
    action: String,
    /// What kind of object.
    object_kind: String,
    /// Which object.
    object_id: Option<String>,
    /// What exactly.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
    /// The `X-Request-Id` of the request.
    request_id: String,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: row.at.into(),
            tenant_id: row.tenant,
            actor_id: row.actor,
            actor_role: row.actor_role,
            action: row.action,
            object_kind: row.object_kind,
            object_id: row.object.map(|n| Id::<Rule>::from_i64(n).to_string()),
            detail: row.detail,
            request_id: row.request,
        }
    }
}

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    limit: Option<u32>,
    /// Objects of this tenant.
    tenant_id: Option<String>,
    /// Done by this user.
    actor_id: Option<String>,
    /// This action.
    action: Option<String>,
    /// From this time or date on.
    from: Option<String>,
    /// Before this time or date.
    to: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Who changed what, newest first
#[utoipa::path(get, path = "/audit", tag = "admin", params(AuditParams),
    responses((status = 200, body = Page<AuditView>)))]
async fn list(
    State(app): State<Arc<App>>,
    admin: Admin,
    Params(params): Params<AuditParams>,
) -> Result<Json<Page<AuditView>>, Problem> {
    let slice = page::slice::<Id<Audit>>(params.cursor.as_deref(), params.limit)?;
    let filter = AuditFilter {
        tenant: admin.within(word("tenant_id", params.tenant_id.as_deref())?)?,
        actor: word("actor_id", params.actor_id.as_deref())?,
        action: params.action,
        from: time_parameter("from", params.from.as_deref())?,
        until: time_parameter("to", params.to.as_deref())?,
    };
    let rows = app.store().audit_log(&filter, slice.before, slice.rows()).await?;
    Ok(Json(slice.page(rows, |r| r.id, Into::into)))
}
