//! Administration. A tenant's administrator works on users, devices and numbers of its tenant; trunks, carriers, routes,
//! rates, tenants and money are the platform's. Every change stands in the audit log.

mod audit;
mod carrier;
mod device;
mod number;
mod rate;
mod route;
mod tenant;
mod trunk;
mod user;
mod wallet;

use std::sync::Arc;

use base::Id;
use base::id::kind::Tenant;
use store::NewAudit;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::auth::Caller;
use crate::middleware::request_id;
use crate::problem::{Code, Problem};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(tenant::routes())
        .merge(user::routes())
        .merge(device::routes())
        .merge(number::routes())
        .merge(trunk::routes())
        .merge(route::routes())
        .merge(carrier::routes())
        .merge(rate::routes())
        .merge(wallet::routes())
        .merge(audit::routes())
}

/// Refuses a body that names a tenant which does not exist.
async fn known_tenant(app: &App, tenant: Option<Id<Tenant>>) -> Result<(), Problem> {
    let Some(tenant) = tenant else { return Ok(()) };
    match app.store().find_tenant(tenant).await {
        Ok(_) => Ok(()),
        Err(store::Error::NotFound(_)) => Err(Problem::field(Code::InvalidBody, "/tenant_id", "no such tenant")),
        Err(error) => Err(error.into()),
    }
}

/// What was changed, for the audit log.
pub(crate) struct Change<'a> {
    /// `user.create` and the like.
    pub(crate) action: &'a str,
    /// Whose object it is.
    pub(crate) tenant: Option<Id<Tenant>>,
    /// The number of its id.
    pub(crate) object: i64,
    /// What exactly, without secrets.
    pub(crate) detail: serde_json::Value,
}

/// Writes a change into the audit log. The change is done by then; when it cannot be noted, the log of the process says so.
pub(crate) async fn note(app: &App, caller: &Caller, change: Change<'_>) {
    let row = NewAudit {
        tenant: change.tenant,
        actor: Some(caller.user),
        actor_role: caller.role.as_str(),
        action: change.action,
        object_kind: change.action.split('.').next().unwrap_or_default(),
        object: Some(change.object),
        detail: &change.detail,
        request: &request_id(),
    };
    if let Err(error) = app.store().audit(row).await {
        tracing::error!(%error, action = change.action, object = change.object, "the audit log cannot be written");
    }
}
