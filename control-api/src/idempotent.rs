//! `Idempotency-Key`: the same key with the same request gives the same answer, whatever happens in between. The id of what
//! the request makes is fixed in the store before it is made, so a crash never makes it twice.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base::Id;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::Claim;

use crate::app::App;
use crate::auth::Caller;
use crate::problem::{Code, Problem};

/// Longest key, characters.
const KEY_LENGTH_MAX: usize = 255;
/// Tells that an answer is the one of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The header, if it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Key(pub(crate) Option<String>);

impl FromRequestParts<Arc<App>> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let good = |key: &&str| (1..=KEY_LENGTH_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        match value.to_str().ok().filter(good) {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => Err(Problem::new(
                Code::MalformedRequest,
                "Idempotency-Key: 1 to 255 printable characters without blanks",
            )),
        }
    }
}

/// Whether what the request makes may be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Nobody tried before.
    First,
    /// An earlier attempt did not finish.
    Again,
}

/// What was done, as it is answered now and later.
pub(crate) struct Done<T> {
    pub(crate) status: StatusCode,
    pub(crate) body: T,
}

/// Runs `work` at most once in effect for the key, with the id of the object that it makes.
pub(crate) async fn run<K, T, F>(
    app: &App,
    caller: &Caller,
    key: Key,
    request: &impl Serialize,
    work: impl FnOnce(Id<K>, Attempt) -> F,
) -> Result<Response, Problem>
where
    T: Serialize,
    F: Future<Output = Result<Done<T>, Problem>>,
{
    let Some(key) = key.0 else {
        let done = work(app.store().new_id(), Attempt::First).await?;
        return Ok(answer(done.status, text(&done.body)?));
    };
    let (id, attempt) = match app.store().claim_key(caller.user, &key, &fingerprint(request)?).await? {
        Claim::First(id) => (id, Attempt::First),
        Claim::TakenOver(id) => (id, Attempt::Again),
        Claim::Done { status, answer: kept } => {
            let status = StatusCode::from_u16(status).map_err(|e| Problem::internal(&e))?;
            let mut response = answer(status, kept);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        Claim::Mismatch => return Err(Problem::new(Code::IdempotencyMismatch, "use a new key for a new request")),
        Claim::InFlight => {
            return Err(Problem::new(Code::IdempotencyInFlight, "try again in a moment").retry_after(1));
        }
    };
    match work(id, attempt).await {
        Ok(done) => {
            let body = text(&done.body)?;
            if let Err(error) = app.store().keep_answer(caller.user, &key, done.status.as_u16(), &body).await {
                // It is done; a retry after the lease finds the object and answers from it.
                tracing::error!(%error, "an answer could not be kept");
            }
            Ok(answer(done.status, body))
        }
        Err(problem) => {
            let freed = match problem.code() {
                // Nobody knows whether it was done: the next attempt finds out under the same id.
                Code::Unavailable | Code::Internal => app.store().yield_key(caller.user, &key).await,
                // Nothing was done, and there is nothing to remember.
                _ => app.store().release_key(caller.user, &key).await,
            };
            if let Err(error) = freed {
                tracing::warn!(%error, "an idempotency key stays until its lease ends");
            }
            Err(problem)
        }
    }
}

/// SHA-256 of the request as understood, so that blanks and the order of fields do not count.
fn fingerprint(request: &impl Serialize) -> Result<String, Problem> {
    let digest = Sha256::digest(text(request)?.as_bytes());
    Ok(digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn text(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|e| Problem::internal(&e))
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
