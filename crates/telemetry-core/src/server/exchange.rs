//! One request and its response, told once: when the body has been sent or the client has gone.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;

use super::metrics::Metrics;
use super::{ErrorType, span};
use crate::db;
use crate::names::{http_span_name, known_method};
use crate::span::{Exception, PANIC};

/// `error.type` when the client closed the connection before it had the whole response.
const CLIENT_GONE: &str = "client_disconnected";

/// A request body that claims to be larger than 64 GiB is not measured: the size is the caller's word,
/// and the sum of a histogram must not overflow by it.
const MAX_REQUEST_SIZE: u64 = 1 << 36;

/// Ends its span and records its metrics when dropped, whichever way the request went.
pub(super) struct Exchange {
    pub(super) context: Context,
    metrics: Metrics,
    start: Instant,
    method: &'static str,
    scheme: &'static str,
    version: Option<&'static str>,
    route: Option<String>,
    status: Option<StatusCode>,
    /// What went wrong first: `error.type` and the status's description.
    error: Option<(Cow<'static, str>, &'static str)>,
    request_size: Option<u64>,
    response_size: u64,
    completed: bool,
}

impl Exchange {
    pub(super) fn start(context: Context, metrics: &Metrics, request: &ServiceRequest) -> Self {
        let exchange = Self {
            context,
            metrics: metrics.clone(),
            start: Instant::now(),
            method: known_method(request.method().as_str()),
            scheme: span::scheme(request),
            version: span::protocol_version(request.version()),
            route: request.match_pattern(),
            status: None,
            error: None,
            request_size: content_length(request.headers()),
            response_size: 0,
            completed: false,
        };
        exchange.metrics.active.add(1, &exchange.active_attributes());
        exchange
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The application answered; the body is still to be sent.
    pub(super) fn responded<B>(&mut self, response: &ServiceResponse<B>) {
        let span = self.context.span();
        let route = response.request().match_pattern();
        if route != self.route {
            span.update_name(http_span_name(self.method, route.as_deref()));
            if let Some(route) = &route {
                span.set_attribute(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
            }
            self.route = route;
        }
        let extensions = response.response().extensions();
        self.answered(response.status(), extensions.get::<ErrorType>(), response.response().error());
    }

    /// A middleware inside this one gave up with an error, which actix answers.
    pub(super) fn failed(&mut self, error: &actix_web::Error) {
        let response = error.error_response();
        self.answered(response.status(), response.extensions().get::<ErrorType>(), Some(error));
        self.completed = true;
    }

    fn answered(
        &mut self,
        status: StatusCode,
        error_type: Option<&ErrorType>,
        error: Option<&actix_web::Error>,
    ) {
        self.status = Some(status);
        let span = self.context.span();
        span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        if !status.is_server_error() {
            return;
        }
        let code = match error_type {
            Some(error_type) => Cow::Borrowed(error_type.code),
            None => Cow::Owned(status.as_str().to_owned()),
        };
        let exception = match (error_type.and_then(|error_type| error_type.exception.clone()), error) {
            (Some(exception), _) => Some(exception),
            (None, Some(error)) => Some(Exception::from_text(code.clone(), error.to_string())),
            (None, None) => None,
        };
        if let Some(exception) = exception {
            span.add_event("exception", exception.attributes());
        }
        // The description is left out where the status code says it all ("HTTP spans", Status).
        self.error(code, error_type.map_or("", |error_type| error_type.code));
    }

    /// A piece of the body was handed over. The answer to HEAD has none, whatever the application made.
    pub(super) fn sent(&mut self, bytes: usize) {
        if !self.is_head() {
            self.response_size += bytes as u64;
        }
    }

    /// The response has been sent as a whole.
    pub(super) fn completed(&mut self) {
        self.completed = true;
    }

    /// The application's body stream broke off with an error.
    pub(super) fn body_failed(&mut self) {
        self.error(Cow::Borrowed("response_body"), "the response body broke off");
        self.completed = true;
    }

    pub(super) fn panicked(&mut self, message: Cow<'static, str>) {
        self.context.span().add_event("exception", Exception::from_text(PANIC, message).attributes());
        self.error(Cow::Borrowed(PANIC), "the handler panicked");
        self.completed = true;
    }

    fn error(&mut self, error_type: Cow<'static, str>, description: &'static str) {
        self.error.get_or_insert((error_type, description));
    }

    fn active_attributes(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(attribute::URL_SCHEME, self.scheme),
        ]
    }

    fn metric_attributes(&self) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(6);
        attributes.extend(self.active_attributes());
        if let Some(route) = &self.route {
            attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
        }
        if let Some(status) = self.status {
            attributes.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        }
        if let Some(version) = self.version {
            attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
        if let Some((error_type, _)) = &self.error {
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, error_type.clone()));
        }
        attributes
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.completed {
            self.error(Cow::Borrowed(CLIENT_GONE), "the client went away before the response was sent");
        }
        let span = self.context.span();
        if let Some((error_type, description)) = &self.error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type.clone()));
            span.set_status(Status::error(*description));
        }
        // Recorded inside the request's context, so that the measurements can point to its trace.
        let _current = self.context.clone().attach();
        let attributes = self.metric_attributes();
        self.metrics.active.add(-1, &self.active_attributes());
        self.metrics.duration.record(self.start.elapsed().as_secs_f64(), &attributes);
        if let Some(size) = self.request_size {
            self.metrics.request_size.record(size, &attributes);
        }
        self.metrics.response_size.record(self.response_size, &attributes);
        db::tell(&self.context);
        span.end();
    }
}

fn content_length(headers: &header::HeaderMap) -> Option<u64> {
    let size: u64 = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (size <= MAX_REQUEST_SIZE).then_some(size)
}
