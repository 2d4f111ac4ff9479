//! What an answer says of its failure, and the answer of a middleware that gave up.

use std::cell::Cell;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::span::{Cause, Exception};

/// What went wrong, for the span and the metrics of the request. Put it into the response's
/// extensions: there it becomes `error.type` when the status is 5xx, where by itself the span
/// would only know the status code.
///
/// ```
/// use actix_web::HttpResponse;
/// use telemetry_core::server::ErrorType;
///
/// fn unavailable(error: &std::io::Error) -> HttpResponse {
///     let mut response = HttpResponse::ServiceUnavailable().finish();
///     response.extensions_mut().insert(ErrorType::new("storage_unavailable").caused_by(error));
///     response
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ErrorType {
    pub(super) code: &'static str,
    pub(super) exception: Option<Exception>,
}

impl ErrorType {
    /// A stable, low-cardinality code such as `inventory_unavailable`.
    pub fn new(code: &'static str) -> Self {
        Self { code, exception: None }
    }

    /// Adds the error itself: it is recorded as an `exception` event with its chain of sources.
    /// `exception.type` is the error's type, or the code where only a `dyn Error` is at hand.
    #[must_use]
    pub fn caused_by(self, error: &(impl Cause + ?Sized)) -> Self {
        Self { exception: Some(Exception::of(error, self.code)), ..self }
    }
}

/// The error of a middleware with the answer that was made of it: actix makes one where it has an error, and
/// making it twice would log and count it twice.
pub(super) struct Answered {
    error: actix_web::Error,
    status: StatusCode,
    response: Cell<Option<HttpResponse>>,
}

impl Answered {
    pub(super) fn new(error: actix_web::Error, response: HttpResponse) -> Self {
        Self { error, status: response.status(), response: Cell::new(Some(response)) }
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl ResponseError for Answered {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response.take().unwrap_or_else(|| HttpResponse::new(self.status))
    }
}
