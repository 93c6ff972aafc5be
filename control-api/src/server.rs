//! The HTTP server: HTTP/1.1 and HTTP/2 in the clear on a listener that the caller bound. Connections are counted, slow
//! headers are cut off, and a stop lets running requests end. TLS ends in front of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tower::ServiceExt;

/// Connections open at the same time; over it they wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// Requests at the same time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Longest wait for the head of a request (slow loris).
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Header octets of one request.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// How long running requests may go on after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop` is sent or dropped, then lets requests end.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let builder = Arc::new(builder());
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => connection(stream, peer, place, &builder, &router, &graceful),
            Err(error) => {
                // Out of descriptors: waiting helps, spinning does not.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still ran when the API closed");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    builder: &Arc<Builder<TokioExecutor>>,
    router: &Router,
    graceful: &GracefulShutdown,
) {
    // Answers are small and must not wait for an acknowledgement.
    _ = stream.set_nodelay(true);
    let router = router.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let served = graceful.watch(served);
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(error, "a connection ended early");
        }
        drop(place);
    });
}
