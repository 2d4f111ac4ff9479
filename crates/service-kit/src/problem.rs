//! Error answers: problem documents as RFC 9457 has them.
//!
//! A client decides by `code`, which is stable; people read `detail`; `trace_id` finds the trace. A
//! detail repeats no input and no cause: the cause goes to the log and onto the span.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use telemetry_core::server::ErrorType;
use utoipa::ToSchema;

/// The codes that any service may answer with; a service's own stand in its `error.rs`.
pub mod code {
    /// 4xx: refused before any handler saw it, for a reason that only the status tells.
    pub const INVALID_REQUEST: &str = "invalid_request";
    /// 400: the body is not the JSON this path takes.
    pub const INVALID_JSON: &str = "invalid_json";
    /// 400: the query string is not what this path takes.
    pub const INVALID_QUERY: &str = "invalid_query";
    /// 400: a part of the path has the wrong form.
    pub const INVALID_PATH: &str = "invalid_path";
    /// 400: the body could not be read.
    pub const INVALID_BODY: &str = "invalid_body";
    /// 401: no access token.
    pub const MISSING_TOKEN: &str = "missing_token";
    /// 401: no service token.
    pub const MISSING_SERVICE_TOKEN: &str = "missing_service_token";
    /// 401: a service token that proves nothing.
    pub const INVALID_SERVICE_TOKEN: &str = "invalid_service_token";
    /// 401: an access token that proves nothing.
    pub const INVALID_TOKEN: &str = "invalid_token";
    /// 403: the user exists and may not act.
    pub const USER_INACTIVE: &str = "user_inactive";
    /// 403: only an admin may do this.
    pub const NOT_AN_ADMIN: &str = "not_an_admin";
    /// 403: the metrics are for the inside.
    pub const METRICS_NOT_PUBLIC: &str = "metrics_not_public";
    /// 404: no such path.
    pub const UNKNOWN_PATH: &str = "unknown_path";
    /// 404: this process makes no metrics.
    pub const METRICS_DISABLED: &str = "metrics_disabled";
    /// 405: the path exists, not with this method; `Allow` names those it has.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// 408: the body came too slowly.
    pub const BODY_TOO_SLOW: &str = "body_too_slow";
    /// 413: more bytes than this path takes.
    pub const BODY_TOO_LARGE: &str = "body_too_large";
    /// 415: the body does not claim to be JSON.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    /// 422: well-formed, and a field breaks a rule; `errors` names each.
    pub const VALIDATION_FAILED: &str = "validation_failed";
    /// 400: an `Idempotency-Key` that cannot be one.
    pub const INVALID_IDEMPOTENCY_KEY: &str = "invalid_idempotency_key";
    /// 409: the request with this `Idempotency-Key` has no answer yet.
    pub const IDEMPOTENCY_KEY_IN_USE: &str = "idempotency_key_in_use";
    /// 422: this `Idempotency-Key` came with another request before.
    pub const IDEMPOTENCY_KEY_REUSED: &str = "idempotency_key_reused";
    /// 429: too many tries; `Retry-After` tells when the next one is taken.
    pub const TOO_MANY_ATTEMPTS: &str = "too_many_attempts";
    /// 500: a mistake of ours.
    pub const INTERNAL_ERROR: &str = "internal_error";
    /// 503: the user service gave no answer.
    pub const USER_UNAVAILABLE: &str = "user_unavailable";
    /// 503: the database gave no answer.
    pub const DATABASE_UNAVAILABLE: &str = "database_unavailable";
    /// 503: more work than can be done in time; nothing of this request was done.
    pub const OVERLOADED: &str = "overloaded";
    /// 503: the process is going down.
    pub const SHUTTING_DOWN: &str = "shutting_down";
    /// 504: the time that this request was given is over.
    pub const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
}

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    extensions: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<Cause>>,
}

/// Why there is a problem.
#[derive(Debug)]
struct Cause {
    error: Box<dyn Error + Send + Sync>,
    /// What the span is told of it, made while its type was known.
    error_type: ErrorType,
}

impl Problem {
    /// A problem with this status. `code` is stable API; `detail` is a sentence without input in it.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), extensions: Map::new(), headers: Vec::new(), cause: None }
    }

    /// 401, with the challenge that it must carry (RFC 9110, 11.6.1).
    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 500 for what should not have happened. The caller learns nothing of `cause`.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL_ERROR, "Something went wrong here.")
            .caused_by(cause)
    }

    /// 503 for what may work again soon.
    pub fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 429, with the whole seconds after which another try is taken.
    pub fn too_many_attempts(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::new(StatusCode::TOO_MANY_REQUESTS, code::TOO_MANY_ATTEMPTS, "Too many tries. Wait a while.")
            .with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Keeps the cause for the log and the span, whose `exception.type` is the cause's type.
    pub fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        let error_type = ErrorType::new(self.code).caused_by(&cause);
        self.cause = Some(Box::new(Cause { error: Box::new(cause), error_type }));
        self
    }

    /// Adds a member beside the standard ones.
    pub fn with_extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status and the body that it is answered with, to be given again later.
    pub(crate) fn to_stored(&self) -> (u16, String) {
        let body = serde_json::to_string(&self.document()).expect("strings and JSON values are JSON");
        (self.status.as_u16(), body)
    }

    fn document(&self) -> ProblemDocument {
        ProblemDocument {
            // The code tells problems apart, so the type stays what RFC 9457 (4.2.1) gives to those
            // that say no more than their status; the title is then the status's own phrase.
            r#type: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone().into_owned(),
            code: self.code.to_owned(),
            trace_id: telemetry_core::span::ids().map(|(trace_id, _)| trace_id),
            extensions: self.extensions.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &*cause.error as _)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    /// Also the boundary where a failure of ours is logged, once, with all of its causes.
    fn error_response(&self) -> HttpResponse {
        if self.status.is_server_error() {
            tracing::error!(
                error.type = self.code,
                exception.message = telemetry_core::span::error_chain(self),
                "answered {}",
                self.status.as_u16()
            );
        }
        let mut response = HttpResponse::build(self.status);
        response.content_type(MEDIA_TYPE);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        let mut response =
            response.body(serde_json::to_vec(&self.document()).expect("strings and JSON values are JSON"));
        response.extensions_mut().insert(match &self.cause {
            Some(cause) => cause.error_type.clone(),
            None => ErrorType::new(self.code),
        });
        response
    }
}

/// Collects every field that breaks a rule, so that a caller learns all of them at once.
///
/// ```
/// # use service_kit::Problem;
/// use service_kit::problem::InvalidFields;
///
/// # fn example(quantity: &str, product: &str) -> Result<(u32, u64), Problem> {
/// let mut invalid = InvalidFields::default();
/// let quantity = invalid.check("quantity", quantity.parse::<u32>());
/// let product = invalid.check("product", product.parse::<u64>());
/// let (Some(quantity), Some(product)) = (quantity, product) else {
///     return Err(invalid.into());
/// };
/// # Ok((quantity, product))
/// # }
/// ```
#[derive(Debug, Default)]
pub struct InvalidFields {
    errors: Vec<Value>,
}

impl InvalidFields {
    /// The value, or a note of the rule that `field` breaks. The error's text is the rule, and is shown
    /// to the caller: it must not repeat what was sent.
    pub fn check<T, E: fmt::Display>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|rule| self.add(field, rule)).ok()
    }

    /// Whether no field breaks a rule.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Notes a rule that `field` breaks.
    pub fn add(&mut self, field: &'static str, rule: impl fmt::Display) {
        self.errors.push(serde_json::json!({ "field": field, "detail": rule.to_string() }));
    }
}

/// 422, with `errors` naming each field and its rule.
impl From<InvalidFields> for Problem {
    fn from(invalid: InvalidFields) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code::VALIDATION_FAILED, "Some fields break a rule.")
            .with_extension("errors", invalid.errors)
    }
}

/// A problem document on the wire, as it is written here and read from other services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// Always `about:blank`: see `code`.
    #[serde(default)]
    pub r#type: String,
    /// The status's phrase.
    #[serde(default)]
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong, for people.
    #[serde(default)]
    pub detail: String,
    /// What is wrong, for programs. Stable.
    pub code: String,
    /// The trace to look up, as 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// What else this problem tells.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extensions: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::{App, web};
    use telemetry_core::opentelemetry::KeyValue;
    use telemetry_core::testing::TestTelemetry;

    use super::*;

    async fn written(problem: &Problem) -> Value {
        let body = to_bytes(problem.error_response().into_body()).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[actix_web::test]
    async fn a_problem_is_written_as_the_standard_has_it() {
        let problem = Problem::new(StatusCode::CONFLICT, "out_of_stock", "Not enough of it is left.")
            .with_extension("available", 3);
        assert_eq!(problem.error_response().headers().get(header::CONTENT_TYPE).unwrap(), MEDIA_TYPE);
        assert_eq!(
            written(&problem).await,
            serde_json::json!({
                "type": "about:blank",
                "title": "Conflict",
                "status": 409,
                "detail": "Not enough of it is left.",
                "code": "out_of_stock",
                "available": 3,
            })
        );
    }

    #[actix_web::test]
    async fn the_cause_stays_here() {
        let problem = Problem::internal(std::io::Error::other("password authentication failed for user app"));
        assert_eq!(
            telemetry_core::span::error_chain(&problem),
            "Something went wrong here.: password authentication failed for user app"
        );
        assert!(!written(&problem).await.to_string().contains("password"));
    }

    #[actix_web::test]
    async fn a_failure_of_ours_is_on_the_span_with_its_code_and_cause() {
        let telemetry = TestTelemetry::new();
        let app = init_service(App::new().wrap(telemetry.server()).route(
            "/",
            web::to(async || {
                let cause = std::io::Error::other("connection refused");
                Err::<HttpResponse, _>(
                    Problem::unavailable("gateway_unavailable", "No answer.").caused_by(cause),
                )
            }),
        ))
        .await;
        let response = call_service(&app, TestRequest::default().to_request()).await;
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
        let document: ProblemDocument = read_body_json(response).await;
        let span = telemetry.spans().remove(0);
        assert_eq!(document.trace_id, Some(span.span_context.trace_id().to_string()));
        assert!(span.attributes.contains(&KeyValue::new("error.type", "gateway_unavailable")), "{span:?}");
        let exception = &span.events[0];
        assert_eq!(exception.name, "exception");
        assert_eq!(
            exception.attributes,
            [
                KeyValue::new("exception.type", "std::io::error::Error"),
                KeyValue::new("exception.message", "connection refused"),
                KeyValue::new("exception.stacktrace", "connection refused"),
            ]
        );
    }

    #[test]
    fn a_document_is_read_back_with_its_extensions() {
        let document: ProblemDocument =
            serde_json::from_str(r#"{"status":409,"code":"out_of_stock","available":3}"#).unwrap();
        assert_eq!((document.status, document.code.as_str()), (409, "out_of_stock"));
        assert_eq!(document.extensions["available"], 3);
    }
}
