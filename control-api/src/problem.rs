//! What a client reads when something is refused: problem documents (RFC 9457) with a stable `code`. What we log is said
//! elsewhere; nothing of the store's own words gets in here unless it is meant for the client.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::middleware::request_id;

/// Media type of RFC 9457.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Stable names of refusals. Clients may rely on them; texts may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Code {
    /// The body is not JSON.
    MalformedJson,
    /// A header or the request as a whole cannot be read.
    MalformedRequest,
    /// A query parameter is unknown or wrong; `errors` says which.
    InvalidParameter,
    /// The body is JSON, but not what this operation takes; `errors` says where.
    InvalidBody,
    /// No access token, or one that is not ours.
    Unauthenticated,
    /// The access token has ended; refresh it.
    TokenExpired,
    /// Login or password is wrong.
    InvalidCredentials,
    /// The refresh token is unknown, ended, or was used before.
    InvalidRefreshToken,
    /// The wallet has less than the price.
    InsufficientCredit,
    /// The role may not do this.
    Forbidden,
    /// The account or its tenant is suspended.
    AccountSuspended,
    /// The sender's number is not one of yours, or not active.
    SenderNotOwned,
    /// Nothing there.
    NotFound,
    /// The path takes other methods; see `Allow`.
    MethodNotAllowed,
    /// It contradicts what is there.
    Conflict,
    /// The object comes from a manifest and is changed only there.
    Managed,
    /// The first request with this Idempotency-Key is still being worked on.
    IdempotencyInFlight,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// The Idempotency-Key was used with another body.
    IdempotencyMismatch,
    /// The sender's number cannot send texts.
    SenderWithoutSms,
    /// The text is empty or needs too many segments.
    TextNotSendable,
    /// There is no price for this destination.
    NoRate,
    /// No carrier reaches this destination.
    NoRoute,
    /// Most devices that a user may have are there.
    TooManyDevices,
    /// Too many requests; see `Retry-After`.
    RateLimited,
    /// All places for such work are taken; see `Retry-After`.
    Busy,
    /// The switch cannot answer now.
    Unavailable,
    /// Our fault.
    Internal,
}

impl Code {
    /// The only place where a refusal becomes a status.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson | Self::MalformedRequest | Self::InvalidParameter => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::TokenExpired | Self::InvalidCredentials | Self::InvalidRefreshToken => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientCredit => StatusCode::PAYMENT_REQUIRED,
            Self::Forbidden | Self::AccountSuspended | Self::SenderNotOwned => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::Managed | Self::IdempotencyInFlight | Self::TooManyDevices => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidBody
            | Self::IdempotencyMismatch
            | Self::SenderWithoutSms
            | Self::TextNotSendable
            | Self::NoRate
            | Self::NoRoute => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::MalformedJson => "The body is not JSON",
            Self::MalformedRequest => "The request cannot be read",
            Self::InvalidParameter => "A query parameter is wrong",
            Self::InvalidBody => "The body is not what this operation takes",
            Self::Unauthenticated => "An access token is needed",
            Self::TokenExpired => "The access token has ended",
            Self::InvalidCredentials => "Login or password is wrong",
            Self::InvalidRefreshToken => "The refresh token is not valid",
            Self::InsufficientCredit => "Not enough credit",
            Self::Forbidden => "Your role may not do this",
            Self::AccountSuspended => "The account is suspended",
            Self::SenderNotOwned => "The sender is not one of your active numbers",
            Self::NotFound => "Nothing there",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "It contradicts what is there",
            Self::Managed => "The object is managed by a manifest",
            Self::IdempotencyInFlight => "The first request is still being worked on",
            Self::BodyTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body must be application/json",
            Self::IdempotencyMismatch => "The Idempotency-Key was used with another body",
            Self::SenderWithoutSms => "The sender cannot send texts",
            Self::TextNotSendable => "The text cannot be sent",
            Self::NoRate => "No price for this destination",
            Self::NoRoute => "No carrier for this destination",
            Self::TooManyDevices => "Too many devices",
            Self::RateLimited => "Too many requests",
            Self::Busy => "Busy",
            Self::Unavailable => "Not available now",
            Self::Internal => "Internal error",
        }
    }

    /// The stable name.
    pub(crate) fn as_str(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// One field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer into the body (RFC 6901), or the name of the query parameter.
    #[schema(example = "/to")]
    pub(crate) field: String,
    /// What is wrong with it.
    #[schema(example = "not an E.164 number")]
    pub(crate) detail: String,
}

/// A refusal (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:tandem:problem:<code>`.
    #[serde(rename = "type")]
    kind: String,
    /// Short, the same for every refusal of this code.
    title: String,
    /// HTTP status.
    status: u16,
    /// Stable name of the refusal.
    code: Code,
    /// What happened this time.
    detail: String,
    /// The request's id, as in the `X-Request-Id` header.
    instance: String,
    /// Fields that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A refusal; `detail` is for the client.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, detail: detail.into(), errors: vec![], retry_after_s: None }))
    }

    /// With one refused field; `detail` says it all.
    pub(crate) fn field(code: Code, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        Self::new(code, format!("{field}: {detail}")).with_errors(vec![FieldError { field, detail }])
    }

    /// With refused fields.
    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// With a `Retry-After`, seconds.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Nothing there, or nothing that this caller may know of.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no such {what}"))
    }

    /// Logs what went wrong and tells the client only that it did.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, request = %request_id(), "the API cannot answer");
        Self::new(Code::Internal, "the fault was logged under this request's id")
    }

    /// The stable name.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { code, detail, errors, retry_after_s } = *self.0;
        let body = ProblemBody {
            kind: format!("urn:tandem:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            code,
            detail,
            instance: request_id(),
            errors,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (code.status(), [(header::CONTENT_TYPE, PROBLEM_JSON)], text).into_response();
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if code.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        use store::Error as Fault;
        match error {
            Fault::Malformed { what, why } => Self::field(Code::InvalidBody, format!("/{what}"), why),
            Fault::NotFound(what) => Self::not_found(what),
            // What the database says behind the first words names its tables; that is for nobody outside.
            Fault::Conflict(what) => Self::new(Code::Conflict, what.split(" (").next().unwrap_or_default()),
            Fault::Managed(manifest) => {
                Self::new(Code::Managed, format!("it comes from {manifest} and is changed only there"))
            }
            Fault::NoCredit => Self::new(Code::InsufficientCredit, "the wallet has less than needed"),
            Fault::Busy(what) => Self::new(Code::Busy, format!("{what}: all taken")).retry_after(1),
            Fault::Misbehaved(_) | Fault::Unsupported(_) => Self::internal(&error),
            Fault::Unavailable(_) => {
                tracing::error!(%error, request = %request_id(), "the store cannot answer");
                Self::new(Code::Unavailable, "the store cannot answer now").retry_after(1)
            }
        }
    }
}

impl From<domain::ports::Unavailable> for Problem {
    fn from(error: domain::ports::Unavailable) -> Self {
        store::Error::Unavailable(error.0).into()
    }
}
