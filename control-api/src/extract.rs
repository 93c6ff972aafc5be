//! Reading requests: strict JSON bodies, strict query parameters, ids in paths. Every refusal is a problem document that
//! names the field.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use base::limits::API_BODY_BYTES_MAX;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::{Code, FieldError, Problem};

/// A JSON body. Unknown fields are refused by the types themselves (`deny_unknown_fields`).
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"));
        }
        let bytes = read(request).await?;
        parse(&bytes).map(Self)
    }
}

/// The octets of a body within the bound.
async fn read(request: Request) -> Result<Bytes, Problem> {
    axum::body::to_bytes(request.into_body(), API_BODY_BYTES_MAX).await.map_err(|error| {
        let too_long = std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("length limit"));
        if too_long {
            Problem::new(Code::BodyTooLarge, format!("at most {API_BODY_BYTES_MAX} octets"))
        } else {
            Problem::new(Code::MalformedRequest, "the body ended early")
        }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would take a list for a struct, by position.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::field(Code::InvalidBody, "", "a JSON object is needed"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let cause = error.into_inner();
        match cause.classify() {
            serde_json::error::Category::Data => refused_field(pointer, &cause.to_string()),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => Problem::new(Code::MalformedJson, cause.to_string()),
        }
    })?;
    json.end().map_err(|e| Problem::new(Code::MalformedJson, e.to_string()))?;
    Ok(value)
}

/// What serde says of a field, with a pointer to the field itself where serde points to its parent.
fn refused_field(pointer: String, message: &str) -> Problem {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let named = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let (field, detail) = match (named("missing field `"), named("unknown field `")) {
        (Some(name), _) => (format!("{pointer}/{name}"), "needed".to_owned()),
        (None, Some(name)) => {
            let inside = pointer.strip_suffix(&format!("/{name}")).unwrap_or(&pointer);
            (format!("{inside}/{name}"), "unknown field".to_owned())
        }
        (None, None) => (pointer, message.to_owned()),
    };
    Problem::field(Code::InvalidBody, field, detail)
}

/// A path of serde as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            format!("/{}", key.replace('~', "~0").replace('/', "~1"))
        }
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                let named = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
                let field = match (named("unknown field `"), text.split_once(": ")) {
                    (Some(name), _) => FieldError { field: name.to_owned(), detail: "unknown parameter".to_owned() },
                    (None, Some((name, detail))) => FieldError { field: name.to_owned(), detail: detail.to_owned() },
                    (None, None) => FieldError { field: String::new(), detail: text.to_owned() },
                };
                Err(Problem::new(Code::InvalidParameter, text).with_errors(vec![field]))
            }
        }
    }
}

/// The one id of a path; text that is no id is nothing that exists.
#[derive(Debug)]
pub(crate) struct OnPath<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<Arc<App>> for OnPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, app).await else {
            return Err(Problem::not_found("object"));
        };
        text.parse().map(Self).map_err(|_| Problem::not_found("object"))
    }
}

/// The two ids of a path.
#[derive(Debug)]
pub(crate) struct BothOnPath<A, B>(pub(crate) A, pub(crate) B);

impl<A: FromStr, B: FromStr> FromRequestParts<Arc<App>> for BothOnPath<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Ok(Path((a, b))) = Path::<(String, String)>::from_request_parts(parts, app).await else {
            return Err(Problem::not_found("object"));
        };
        match (a.parse(), b.parse()) {
            (Ok(a), Ok(b)) => Ok(Self(a, b)),
            (Err(_), _) | (_, Err(_)) => Err(Problem::not_found("object")),
        }
    }
}
