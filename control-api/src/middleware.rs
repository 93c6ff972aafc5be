//! What happens around every request: an id, a bound on what runs at once, a deadline, a log line without personal data,
//! metrics, security headers. Handlers run in a task of their own, so that a client that hangs up does not cut a
//! transaction in two and a panic becomes a 500.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::auth::has_good_token;
use crate::problem::{Code, Problem};

/// Longest time that a request may take; every statement of the store is far below it.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken over from a client, characters.
const REQUEST_ID_LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works on; empty outside of one.
pub(crate) fn request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// Where the request comes from: the peer, or what a trusted proxy says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// The outermost layer.
pub(crate) async fn around(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = taken_over(request.headers()).unwrap_or_else(|| app.token(16));
    let method = request.method().clone();
    // The route's template, not the path: paths hold numbers and ids.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", |p| p.as_str()).to_owned();
    let address = client_address(&app, &request);
    request.extensions_mut().insert(ClientAddress(address));
    let mut response = CURRENT.scope(id.clone(), guarded(&app, request, next, address)).await;
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let took_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    tracing::info!(target: "access", %method, route, status, took_us, request = id, "request");
    app.figures.requests.with([known(&method), &route, response.status().as_str()]).increment();
    app.figures.wait.observe(elapsed.as_secs_f64());
    harden(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn guarded(app: &Arc<App>, request: Request, next: Next, address: IpAddr) -> Response {
    if !has_good_token(app, request.headers())
        && let Err(problem) = app.limits.address(address)
    {
        return problem.into_response();
    }
    let Ok(slot) = Arc::clone(&app.slots).try_acquire_owned() else {
        return Problem::new(Code::Busy, "too many requests at once").retry_after(1).into_response();
    };
    let work = tokio::spawn(CURRENT.scope(request_id(), async move {
        let response = next.run(request).await;
        drop(slot);
        response
    }));
    match tokio::time::timeout(REQUEST_TIME_MAX, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(fault)) => Problem::internal(&fault).into_response(),
        Err(_) => Problem::new(Code::Unavailable, "it took too long").retry_after(5).into_response(),
    }
}

/// The method as a label: clients may invent others, and each would be a series.
fn known(method: &Method) -> &str {
    let all = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if all.contains(method) { method.as_str() } else { "other" }
}

/// A client's own request id, when it is harmless.
fn taken_over(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let good = (1..=REQUEST_ID_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    good.then(|| text.to_owned())
}

fn client_address(app: &App, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip().to_canonical());
    let peer = peer.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    if !app.config.trusted_proxies.contains(&peer) {
        return peer;
    }
    // The last entry is the one that the trusted proxy itself wrote.
    let forwarded = request.headers().get_all("x-forwarded-for").iter().next_back().and_then(|v| v.to_str().ok());
    forwarded.and_then(|v| v.rsplit(',').next()).and_then(|v| v.trim().parse().ok()).unwrap_or(peer)
}

fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// For paths that nobody serves.
pub(crate) async fn not_found() -> Problem {
    Problem::new(Code::NotFound, "no such path; /openapi.json lists them")
}

/// For methods that a path does not take; the router adds `Allow`.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the path takes other methods; see Allow")
}
