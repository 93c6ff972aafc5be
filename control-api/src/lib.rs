//! The HTTP API of the switch: login, numbers and their rules, texts, calls, money, devices, TURN credentials, and
//! administration. It calls the store directly for plain objects, and ports for what lives elsewhere. It speaks plain HTTP;
//! TLS ends in front of it.

mod app;
mod auth;
mod config;
mod country;
mod extract;
mod idempotent;
mod limit;
mod middleware;
mod openapi;
mod page;
mod problem;
mod routes;
mod server;
mod value;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use utoipa::openapi::OpenApi;

pub use app::{Deps, Registrations, SipAccess, TurnAccess};
pub use config::Config;

use app::App;

/// Name of the store's secret that signs access tokens.
const TOKEN_KEY: &str = "api token key";
/// How often ended logins and old idempotency keys are forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(300);

/// Why the API did not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The store did not give the key of the access tokens.
    #[error("control API: {0}")]
    Store(#[from] store::Error),
    /// The listener is of no use.
    #[error("control API: {0}")]
    Listener(#[from] std::io::Error),
}

/// A running API.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
    housekeeping: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets running ones end (10 s at most).
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.housekeeping.abort();
        let _ = self.server.await;
    }
}

/// Starts the API on a listener that the caller bound.
pub async fn start(config: Config, deps: Deps, listener: TcpListener) -> Result<Handle, ApiError> {
    let address = listener.local_addr()?;
    let key = deps.store.named_secret(TOKEN_KEY).await?;
    let app = Arc::new(App::new(config, deps, &key));
    let (stop, stopped) = oneshot::channel();
    let housekeeping = tokio::spawn(keep_house(Arc::clone(&app)));
    let server = tokio::spawn(server::serve(listener, router(app), stopped));
    Ok(Handle { address, stop, server, housekeeping })
}

/// The description of the API (OpenAPI 3.1) as it is served and as it stands in `docs/openapi.json`.
pub fn openapi_json() -> String {
    let (_, api) = routes::all().split_for_parts();
    let mut text = openapi::complete(api).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn router(app: Arc<App>) -> Router {
    let (router, api) = routes::all().split_for_parts();
    let api: Arc<OpenApi> = Arc::new(openapi::complete(api));
    let around = axum::middleware::from_fn_with_state(Arc::clone(&app), middleware::around);
    router
        .with_state(app)
        .merge(Router::new().route("/openapi.json", get(openapi::document)).with_state(api))
        .route("/docs", get(openapi::page))
        .route("/docs/page.css", get(openapi::style))
        .route("/docs/page.js", get(openapi::script))
        .method_not_allowed_fallback(middleware::method_not_allowed)
        .fallback(middleware::not_found)
        .layer(around)
}

async fn keep_house(app: Arc<App>) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (what, done) in [("logins", app.store().sweep_sessions().await), ("keys", app.store().sweep_keys().await)] {
            match done {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(what, rows, "forgotten"),
                Err(error) => tracing::warn!(what, %error, "cannot forget old rows"),
            }
        }
    }
}
