//! One request and its response, told once: when the body has been sent or the client has gone.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use actix_rt::Arbiter;
use actix_web::HttpResponse;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;

use super::span::Facts;
use super::websocket::Connection;
use super::{ErrorType, Shared, error, old};
use crate::names::http_span_name;
use crate::span::{Exception, PANIC};
use crate::{db, status};

/// `error.type` when the client closed the connection before it had the whole response.
const CLIENT_GONE: &str = "client_disconnected";

/// `error.type` when the server was stopped before the response was sent.
const SERVER_STOPPED: &str = "server_stopped";

/// `error.type` when the application's body stream broke off with an error.
const BODY_FAILED: &str = "response_body";

/// A request body that claims to be larger than 64 GiB is not measured: the size is the caller's word,
/// and the sum of a histogram must not overflow by it.
const MAX_REQUEST_SIZE: u64 = 1 << 36;

/// Ends its span and records its metrics when dropped, whichever way the request went.
pub(super) struct Exchange {
    context: Context,
    shared: Arc<Shared>,
    start: Instant,
    facts: Facts,
    status: Option<StatusCode>,
    /// What went wrong first: `error.type` and the status's description.
    error: Option<(Cow<'static, str>, &'static str)>,
    request_size: Option<u64>,
    response_size: u64,
    /// What goes over the connection, where the request opened a WebSocket.
    socket: Option<Arc<Connection>>,
    completed: bool,
}

impl Exchange {
    pub(super) fn start(
        context: Context,
        shared: &Arc<Shared>,
        facts: Facts,
        request: &ServiceRequest,
    ) -> Self {
        let exchange = Self {
            context,
            shared: shared.clone(),
            start: Instant::now(),
            facts,
            status: None,
            error: None,
            request_size: content_length(request.headers()),
            response_size: 0,
            socket: None,
            completed: false,
        };
        shared.metrics.active.add(1, &exchange.active_attributes());
        {
            let span = exchange.context.span();
            if span.is_recording() {
                shared.on_request.run(|hook| hook(request.request(), &span));
            }
        }
        exchange
    }

    pub(super) fn is_head(&self) -> bool {
        self.facts.method == "HEAD"
    }

    /// The application answered; the body is still to be sent.
    pub(super) fn responded<B>(&mut self, response: &ServiceResponse<B>) {
        let route = response.request().match_pattern();
        if route != self.facts.route {
            let span = self.context.span();
            span.update_name(http_span_name(self.facts.method, route.as_deref()));
            if let Some(route) = &route {
                span.set_attribute(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
            }
            self.facts.route = route;
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.socket = response.response().extensions().get::<Arc<Connection>>().cloned();
        }
        self.answered(response.response(), response.response().error());
    }

    /// There is an answer, to an error where `error` is one.
    pub(super) fn answered<B>(&mut self, response: &HttpResponse<B>, error: Option<&actix_web::Error>) {
        let status = response.status();
        self.status = Some(status);
        self.describe(response);
        // Codes above 599 are of no class, and such an answer is taken for a 5xx (RFC 9110, 15).
        if status.as_u16() < 500 {
            return;
        }
        let extensions = response.extensions();
        let error_type = extensions.get::<ErrorType>();
        let code = match error_type {
            Some(error_type) => Cow::Borrowed(error_type.code),
            None => Cow::Owned(status.as_str().to_owned()),
        };
        let exception = match (error_type.and_then(|error_type| error_type.exception.clone()), error) {
            (Some(exception), _) => Some(exception),
            (None, Some(error)) => Some(error::exception(code.clone(), error)),
            (None, None) => None,
        };
        if let Some(exception) = exception {
            self.context.span().add_event("exception", exception.attributes());
        }
        // The description is left out where the status code says it all ("HTTP spans", Status).
        self.error(code, error_type.map_or("", |error_type| error_type.code));
    }

    fn describe<B>(&self, response: &HttpResponse<B>) {
        let status = response.status();
        let span = self.context.span();
        span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16())));
        if !span.is_recording() {
            return;
        }
        if self.shared.metrics.old.is_some() {
            span.set_attribute(KeyValue::new(old::STATUS_CODE, i64::from(status.as_u16())));
        }
        if !self.shared.response_headers.is_empty() {
            let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            for attribute in self.shared.response_headers.attributes(headers) {
                span.set_attribute(attribute);
            }
        }
        self.shared.on_response.run(|hook| hook(response.head(), &span));
    }

    /// A piece of the body was handed over. The answer to HEAD has none, whatever the application made.
    pub(super) fn sent(&mut self, bytes: usize) {
        if !self.is_head() {
            self.response_size = self.response_size.saturating_add(bytes as u64);
        }
    }

    /// The response has been sent as a whole.
    pub(super) fn completed(&mut self) {
        self.completed = true;
    }

    /// The application's body stream broke off with an error.
    pub(super) fn body_failed(&mut self, error: &(dyn Error + 'static)) {
        self.context.span().add_event("exception", Exception::new(BODY_FAILED, error).attributes());
        self.error(Cow::Borrowed(BODY_FAILED), "the response body broke off");
        self.completed = true;
    }

    pub(super) fn panicked(&mut self, message: Cow<'static, str>) {
        self.context.span().add_event("exception", Exception::of_panic(message).attributes());
        self.error(Cow::Borrowed(PANIC), "the handler panicked");
        self.completed = true;
    }

    fn error(&mut self, error_type: Cow<'static, str>, description: &'static str) {
        self.error.get_or_insert((error_type, description));
    }

    fn active_attributes(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.facts.method),
            KeyValue::new(attribute::URL_SCHEME, self.facts.scheme),
        ]
    }

    fn metric_attributes(&self) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(6);
        attributes.extend(self.active_attributes());
        if let Some(route) = &self.facts.route {
            attributes.push(KeyValue::new(attribute::HTTP_ROUTE, route.clone()));
        }
        let status = self.status.map(|status| status.as_u16());
        if let Some(status) = status {
            attributes.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status::of_metrics(status)));
        }
        if let Some(version) = self.facts.version {
            attributes.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
        if let Some((error_type, _)) = &self.error {
            let error_type = status::error_of_metrics(error_type.clone(), status);
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, error_type));
        }
        attributes
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.describe(&self.context.span());
            self.completed &= socket.is_closed();
            if let Some(error_type) = socket.error.get() {
                self.error(Cow::Borrowed(error_type), error_type);
            }
        }
        if !self.completed && self.error.is_none() {
            if is_server_stopped() {
                self.error(SERVER_STOPPED.into(), "the server stopped before the response was sent");
            } else {
                self.error(CLIENT_GONE.into(), "the client went away before the response was sent");
            }
        }
        let span = self.context.span();
        if let Some((error_type, description)) = &self.error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type.clone()));
            span.set_status(Status::error(*description));
        }
        // Recorded inside the request's context, so that the measurements can point to its trace.
        let _current = self.context.clone().attach();
        let metrics = &self.shared.metrics;
        let attributes = self.metric_attributes();
        let duration = self.start.elapsed();
        metrics.active.add(-1, &self.active_attributes());
        metrics.duration.record(duration.as_secs_f64(), &attributes);
        if let Some(size) = self.request_size {
            metrics.request_size.record(size, &attributes);
        }
        metrics.response_size.record(self.response_size, &attributes);
        if let Some(old) = &metrics.old {
            old.record(&self.facts, self.status, duration, self.response_size);
        }
        db::tell(&self.context);
        span.end();
    }
}

/// Whether what is dropped here goes because the worker does: it drops its connections after its arbiter has ended.
fn is_server_stopped() -> bool {
    Arbiter::try_current().is_some_and(|arbiter| !arbiter.alive())
}

fn content_length(headers: &header::HeaderMap) -> Option<u64> {
    let size: u64 = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    (size <= MAX_REQUEST_SIZE).then_some(size)
}
