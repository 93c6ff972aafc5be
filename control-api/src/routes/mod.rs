//! All paths. Each file is one kind of object; each handler carries its description for OpenAPI.

mod admin;
mod auth;
mod call;
mod device;
mod ice;
mod number;
mod profile;
mod rule;
mod sms;
mod wallet;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::openapi;

/// Everything under `/api/v1`.
pub(crate) fn all() -> OpenApiRouter<Arc<App>> {
    let api = OpenApiRouter::new()
        .merge(auth::routes())
        .merge(profile::routes())
        .merge(number::routes())
        .merge(rule::routes())
        .merge(sms::routes())
        .merge(call::routes())
        .merge(wallet::routes())
        .merge(device::routes())
        .merge(ice::routes())
        .nest("/admin", admin::routes());
    OpenApiRouter::with_openapi(openapi::skeleton()).nest("/api/v1", api)
}
