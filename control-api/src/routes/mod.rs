//! x
mod ice;
use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::openapi;

/// Everything under `/api/v1`.
pub(crate) fn all() -> OpenApiRouter<Arc<App>> {
    let api = OpenApiRouter::new().merge(ice::routes());
    OpenApiRouter::with_openapi(openapi::skeleton()).nest("/api/v1", api)
}
