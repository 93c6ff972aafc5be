//! The description of the API (OpenAPI 3.1), made from the handlers themselves, and a page that shows it without asking
//! any other host.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use std::sync::Arc;
use utoipa::PartialSchema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement,
};

use crate::problem::{Code, FieldError, PROBLEM_JSON, ProblemBody};

/// What the page may load: its own script, style and the API.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                              form-action 'none'; frame-ancestors 'none'";

/// Everything but the paths.
pub(crate) fn skeleton() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Tandem API")
        .version("1")
        .description(Some(
            "Accounts, numbers, texts, calls, money and administration of a Tandem switch. Ids are 13 characters of \
             base32; money is a decimal string with its currency; times are RFC 3339 in UTC. Every refusal is an \
             application/problem+json document with a stable `code`. Lists are newest first and paged by `cursor`.",
        ))
        .build();
    let mut api = OpenApiBuilder::new().info(info).build();
    let bearer = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
    api.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    api.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    api
}

/// Adds to every operation what each may answer: a problem document; and says which need no token.
pub(crate) fn complete(mut api: OpenApi) -> OpenApi {
    let problem = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(problem)).build();
    let refused = ResponseBuilder::new().description("Refused; `code` says why").content(PROBLEM_JSON, content).build();
    let schemas = &mut api.components.get_or_insert_default().schemas;
    schemas.insert("Problem".to_owned(), ProblemBody::schema());
    schemas.insert("Code".to_owned(), Code::schema());
    schemas.insert("FieldError".to_owned(), FieldError::schema());
    for item in api.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            operation.responses.responses.insert("default".to_owned(), RefOr::T(refused.clone()));
        }
    }
    api
}

/// `GET /openapi.json`
pub(crate) async fn document(State(api): State<Arc<OpenApi>>) -> Json<OpenApi> {
    Json((*api).clone())
}

/// `GET /docs`
pub(crate) async fn page() -> impl IntoResponse {
    with_policy("text/html; charset=utf-8", include_str!("docs/page.html"))
}

/// `GET /docs/page.css`
pub(crate) async fn style() -> impl IntoResponse {
    with_policy("text/css; charset=utf-8", include_str!("docs/page.css"))
}

/// `GET /docs/page.js`
pub(crate) async fn script() -> impl IntoResponse {
    with_policy("text/javascript; charset=utf-8", include_str!("docs/page.js"))
}

fn with_policy(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let policy: (HeaderName, &str) = (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    ([(header::CONTENT_TYPE, kind), policy], text)
}
