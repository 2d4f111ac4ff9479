//! Telling the current span what the application knows.
//!
//! The current span is the one of OpenTelemetry's current context: the request's own, or the
//! innermost `#[tracing::instrument]` span inside it. With no span current these do nothing.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;

use opentelemetry::trace::{SpanContext, Status, TraceContextExt, TraceState};
use opentelemetry::{Context, Key, KeyValue, Value};
use opentelemetry_semantic_conventions::attribute;

use crate::reqwest_error;

/// Sets an attribute; the value keeps its type (`i64`, `f64`, `bool`, string, arrays of them).
pub fn set_attribute(key: impl Into<Key>, value: impl Into<Value>) {
    Context::map_current(|cx| {
        let span = cx.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(key, value));
        }
    });
}

/// Sets a text of which nobody knows how long it is: beyond `max` characters it is cut, and ends with
/// `... (truncated)`, so that a reader knows. (`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` cuts without a word, as specified.)
///
/// ```
/// use opentelemetry::trace::{SpanKind, Tracer};
/// use telemetry_core::opentelemetry;
/// use telemetry_core::testing::{TestTelemetry, span};
///
/// let telemetry = TestTelemetry::new();
/// telemetry.tracer().in_span("import", |_| {
///     telemetry_core::span::set_text("import.header", "sku;name;price", 8);
///     telemetry_core::span::set_text("import.separator", ";", 8);
/// });
/// assert_eq!(
///     telemetry.trees(),
///     [span("import", SpanKind::Internal)
///         .attribute("import.header", "sku;name... (truncated)")
///         .attribute("import.separator", ";")]
/// );
/// ```
pub fn set_text(key: impl Into<Key>, value: impl Into<Cow<'static, str>>, max: usize) {
    let value = value.into();
    match crate::export::cut(&value, max) {
        Some(cut) => set_attribute(key, format!("{cut}... (truncated)")),
        None => set_attribute(key, value),
    }
}

/// Adds a span event. (A `tracing` event becomes a log record instead.)
pub fn add_event(name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
    Context::map_current(|cx| cx.span().add_event(name, attributes));
}

/// Marks the span as failed. `description` is for operators: no user's data.
pub fn fail(description: impl Into<Cow<'static, str>>) {
    Context::map_current(|cx| cx.span().set_status(Status::error(description)));
}

/// Records an error as an `exception` event and as `error.type`, and marks the span as failed.
///
/// `exception.type` is the error's type, or `error_type` where only a `dyn Error` is at hand; `exception.message` is the
/// error's own text, `exception.stacktrace` the chain of its sources.
pub fn record_error(error: &(impl Cause + ?Sized), error_type: &'static str) {
    Context::map_current(|cx| {
        let span = cx.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type));
            span.add_event("exception", Exception::of(error, error_type).attributes());
            span.set_status(Status::error(error_type));
        }
    });
}

/// The current span's trace id and span id as lower-case hex; `None` without a valid span.
pub fn ids() -> Option<(String, String)> {
    Context::map_current(|cx| {
        let span = cx.span();
        let span_context = span.span_context();
        span_context
            .is_valid()
            .then(|| (span_context.trace_id().to_string(), span_context.span_id().to_string()))
    })
}

/// The current span as a `traceparent` (W3C Trace Context), to be stored with what later work links
/// to; `None` without a valid span.
pub fn traceparent() -> Option<String> {
    Context::map_current(|cx| {
        let span = cx.span();
        span.span_context().is_valid().then(|| crate::propagation::traceparent(span.span_context()))
    })
}

/// Links the current span to the one whose [`traceparent`] was stored. What is none links to nothing.
///
/// [`Telemetry::background_linked`](crate::Telemetry::background_linked) starts work that is linked from its
/// beginning, where a sampler can see it.
pub fn link_to(traceparent: &str) {
    if let Some(stored) = stored(traceparent) {
        Context::map_current(|cx| cx.span().add_link(stored, Vec::new()));
    }
}

/// The span whose [`traceparent`] was stored, to be linked to, or to be the parent of what goes on in its trace; `None`
/// for what is no traceparent.
pub fn stored(traceparent: &str) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = crate::propagation::parse_traceparent(traceparent)?;
    Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE))
}

/// An error of a known type, or a `dyn Error`: what is recorded as an exception.
pub trait Cause: sealed::Sealed {
    #[doc(hidden)]
    fn as_error(&self) -> &(dyn Error + 'static);

    #[doc(hidden)]
    fn type_name(&self) -> Option<&'static str>;
}

impl<E: Error + 'static> Cause for E {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }

    fn type_name(&self) -> Option<&'static str> {
        Some(std::any::type_name::<E>())
    }
}

impl Cause for dyn Error + 'static {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }

    fn type_name(&self) -> Option<&'static str> {
        None
    }
}

/// An error and its sources in one text, outermost first, fit for logs and spans: of errors that quote
/// what was sent (reqwest's hold the URL, a database's the values), only their kind is told.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    chain(error, ": ")
}

pub(crate) fn chain(error: &(dyn Error + 'static), separator: &str) -> String {
    let mut text = own_text(error);
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(separator);
        text.push_str(&own_text(cause));
        source = cause.source();
    }
    text
}

/// The error's own text, without what it may quote.
pub(crate) fn own_text(error: &(dyn Error + 'static)) -> String {
    let reqwests = |error| reqwest_error::classify(error).1.to_owned();
    if let Some(error) = error.downcast_ref() {
        return reqwests(error);
    }
    #[cfg(feature = "reqwest")]
    if let Some(reqwest_middleware::Error::Reqwest(error)) = error.downcast_ref() {
        return reqwests(error);
    }
    #[cfg(feature = "diesel")]
    if let Some(error) = error.downcast_ref() {
        return crate::db::failure_text(error);
    }
    crate::redact::text(&error.to_string()).into_owned()
}

/// How each cause of an error begins in `exception.stacktrace`, on a line of its own.
pub(crate) const CAUSED_BY: &str = "caused by: ";

/// An error and its causes, as `exception.stacktrace` has them.
pub(crate) fn stacktrace(error: &(dyn Error + 'static)) -> String {
    cut(chain(error, &format!("\n{CAUSED_BY}")))
}

/// An error's text may be as long as what it complains about.
const MAX_TEXT_LENGTH: usize = 4096;

/// A backtrace is as long as its calls are deep; the innermost are told first.
const MAX_BACKTRACE_LENGTH: usize = 16 * 1024;

pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_LENGTH));
    text
}

/// `error.type` of work that panicked.
pub(crate) const PANIC: &str = "panic";

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> Cow<'static, str> {
    match (panic.downcast_ref::<&'static str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => Cow::Borrowed(message),
        (_, Some(message)) => Cow::Owned(message.clone()),
        _ => Cow::Borrowed("a panic without a message"),
    }
}

/// What an `exception` event says (semantic conventions, "Exceptions").
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    kind: Cow<'static, str>,
    message: String,
    chain: String,
}

impl Exception {
    /// Of a known type, or told by its code.
    pub(crate) fn of(error: &(impl Cause + ?Sized), code: &'static str) -> Self {
        Self::new(error.type_name().unwrap_or(code), error.as_error())
    }

    pub(crate) fn new(kind: impl Into<Cow<'static, str>>, error: &(dyn Error + 'static)) -> Self {
        Self { kind: kind.into(), message: cut(own_text(error)), chain: stacktrace(error) }
    }

    /// Of work that has just panicked on this thread.
    pub(crate) fn of_panic(message: impl Into<String>) -> Self {
        let mut exception = Self::from_text(PANIC, message);
        if let Some(place) = crate::panics::take_place() {
            exception.add_to_stacktrace(&place);
        }
        exception
    }

    /// Puts a backtrace below the chain of causes.
    pub(crate) fn add_to_stacktrace(&mut self, backtrace: &str) {
        self.chain.push('\n');
        self.chain.push_str(&backtrace[..backtrace.floor_char_boundary(MAX_BACKTRACE_LENGTH)]);
    }

    pub(crate) fn from_text(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        let message = cut(message.into());
        Self { kind: kind.into(), chain: message.clone(), message }
    }

    pub(crate) fn attributes(self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(attribute::EXCEPTION_TYPE, self.kind),
            KeyValue::new(attribute::EXCEPTION_MESSAGE, self.message),
            KeyValue::new(attribute::EXCEPTION_STACKTRACE, self.chain),
        ]
    }
}

mod sealed {
    use std::error::Error;

    pub trait Sealed {}

    impl<E: Error + 'static> Sealed for E {}
    impl Sealed for dyn Error + 'static {}
}
