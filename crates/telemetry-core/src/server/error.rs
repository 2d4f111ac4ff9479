//! What an answer says of its failure, and the answer of a middleware that gave up.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::redact;
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

    /// Adds where the error came from, as `anyhow` and others note it: below the causes in `exception.stacktrace`, up to
    /// 16 KiB. One that was not captured (`RUST_BACKTRACE` is unset) adds nothing, nor does one without
    /// [`caused_by`](Self::caused_by) before it.
    ///
    /// ```
    /// use std::backtrace::Backtrace;
    ///
    /// use telemetry_core::server::ErrorType;
    ///
    /// let error = std::io::Error::other("disk full");
    /// let error_type = ErrorType::new("storage").caused_by(&error).with_backtrace(&Backtrace::capture());
    /// ```
    #[must_use]
    pub fn with_backtrace(mut self, backtrace: &Backtrace) -> Self {
        if let Some(exception) = &mut self.exception
            && backtrace.status() == BacktraceStatus::Captured
        {
            exception.add_to_stacktrace(&backtrace.to_string());
        }
        self
    }
}

/// All that is told of an error of reqwest's, which quotes the URL.
const REQUEST_FAILED: &str = "a request to a peer failed";

/// What is told of an error that a handler answered with, where its answer has no [`ErrorType`].
///
/// actix tells no causes of its errors, but for a boxed one and an I/O error. What quotes requests and values when it is
/// shown, and was only given a status code, is told by its kind.
pub(super) fn exception(code: Cow<'static, str>, error: &actix_web::Error) -> Exception {
    if let Some(boxed) = error.as_error::<Box<dyn std::error::Error>>() {
        return Exception::new(code, &**boxed);
    }
    if let Some(io) = error.as_error::<std::io::Error>() {
        return Exception::of(io, "io");
    }
    if error.as_error::<InternalError<reqwest::Error>>().is_some() {
        return Exception::from_text(code, REQUEST_FAILED);
    }
    #[cfg(feature = "reqwest")]
    if error.as_error::<InternalError<reqwest_middleware::Error>>().is_some() {
        return Exception::from_text(code, REQUEST_FAILED);
    }
    #[cfg(feature = "diesel")]
    if error.as_error::<InternalError<diesel::result::Error>>().is_some() {
        return Exception::from_text(code, "a query failed");
    }
    Exception::from_text(code, redact::text(&error.to_string()))
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
