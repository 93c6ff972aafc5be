//! The health door: `/metrics`, `/healthz`, `/readyz` over plain HTTP, for the machine's own network.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Health, Metrics, TelemetryError};

/// The content type of OpenMetrics 1.0, which Prometheus negotiates.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A running health door.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    health: Arc<Health>,
    metrics: &'static Metrics,
}

impl Door {
    /// Serves on a listener that the caller bound, so that a taken port is found before anything runs.
    pub fn start(
        listener: TcpListener,
        health: Arc<Health>,
        metrics: &'static Metrics,
    ) -> Result<Self, TelemetryError> {
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/metrics", get(render))
            .route("/healthz", get(async || "alive\n"))
            .route("/readyz", get(readiness))
            .with_state(Shared { health, metrics });
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let end = async move { _ = stopped.await };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(end).await {
                tracing::error!(%error, "the health door closed");
            }
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes it after the requests that run.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn render(State(shared): State<Shared>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readiness(State(shared): State<Shared>) -> Response {
    let readiness = shared.health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn get(door: SocketAddr, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{door}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn the_door_tells_alive_from_ready_and_names_who_is_not() {
        let metrics: &'static Metrics = Box::leak(Box::default());
        metrics.counter("door_test", "Test.").increment();
        let health = Health::new();
        let part = health.component("store");
        let door = Door::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), health.clone(), metrics).unwrap();
        assert_eq!(get(door.address(), "/healthz").await.0, 200);
        let (status, body) = get(door.address(), "/readyz").await;
        assert!(status == 503 && body.contains(r#""store":"starting""#), "{body}");
        part.ready();
        assert_eq!(get(door.address(), "/readyz").await.0, 200);
        part.not_ready("disk full");
        assert!(get(door.address(), "/readyz").await.1.contains("disk full"));
        part.ready();
        health.drain();
        assert_eq!(get(door.address(), "/readyz").await.0, 503);
        assert_eq!(get(door.address(), "/healthz").await.0, 200);
        assert!(get(door.address(), "/metrics").await.1.contains("door_test_total 1"));
        door.stop().await;
    }
}
