//! One request and its response, told once: when the body has been sent or the client has gone.

use std::borrow::Cow;
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use actix_rt::Arbiter;
use actix_web::HttpResponse;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use opentelemetry::trace::{Span as _, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute;
use smallvec::SmallVec;

use super::span::{self, Facts};
use super::websocket::Connection;
use super::worker::{Route, Worker};
use super::{ErrorType, error, old};
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

/// Most paths are short enough to need no allocation.
type Path = SmallVec<[u8; 96]>;

/// Ends its span and records its metrics when dropped, whichever way the request went.
pub(super) struct Exchange {
    context: Context,
    worker: Rc<Worker>,
    start: Instant,
    /// The same moment on the clock of the span.
    started: SystemTime,
    facts: Facts,
    /// Its route is looked for by it where nobody tells it.
    path: Path,
    route: Option<Rc<Route>>,
    is_recorded: bool,
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
    pub(super) fn start(worker: &Rc<Worker>, request: &ServiceRequest, parent: &Context) -> Box<Self> {
        worker.learn(request);
        let (start, started) = (Instant::now(), SystemTime::now());
        let (span, facts, route) = span::start(worker, request, parent, started);
        worker.count_active(&facts, 1);
        let is_recorded = span.is_recording() && worker.shared.telemetry.keeps_spans();
        let context = if is_recorded {
            parent.with_span(span)
        } else {
            // Nobody gets the span: only its ids are of use.
            parent.with_remote_span_context(span.span_context().clone())
        };
        let exchange = Box::new(Self {
            context: db::counted(&worker.shared.telemetry, context),
            worker: worker.clone(),
            start,
            started,
            facts,
            path: Path::from_slice(request.path().as_bytes()),
            route,
            is_recorded,
            status: None,
            error: None,
            request_size: content_length(request.headers()),
            response_size: 0,
            socket: None,
            completed: false,
        });
        if is_recorded {
            let span = exchange.context.span();
            worker.shared.on_request.run(|hook| hook(request.request(), &span));
        }
        exchange
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn is_head(&self) -> bool {
        self.facts.method == "HEAD"
    }

    /// The application answered; the body is still to be sent.
    pub(super) fn responded<B>(&mut self, response: &ServiceResponse<B>) {
        let pattern = response.request().match_pattern();
        self.name_by(self.worker.route(self.facts.method, pattern.as_deref()));
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.socket = response.response().extensions().get::<Arc<Connection>>().cloned();
        }
        self.answered(response.response(), response.response().error());
    }

    /// A middleware gave up, and this is made of its error.
    pub(super) fn gave_up(&mut self, response: &HttpResponse, error: &actix_web::Error) {
        if self.route.is_none() {
            self.name_by(self.route_by_path());
        }
        self.answered(response, Some(error));
    }

    fn route_by_path(&self) -> Rc<Route> {
        self.worker.route_to(self.facts.method, str::from_utf8(&self.path).unwrap_or_default())
    }

    /// The route is known, or another one than it was thought to be.
    fn name_by(&mut self, route: Rc<Route>) -> &Rc<Route> {
        let is_known = self.route.as_ref().is_some_and(|known| Rc::ptr_eq(known, &route));
        if self.is_recorded && !is_known {
            let span = self.context.span();
            span.update_name(route.name);
            span.set_attributes(route.pattern.map(|pattern| KeyValue::new(attribute::HTTP_ROUTE, pattern)));
        }
        self.route.insert(route)
    }

    /// There is an answer, to an error where `error` is one.
    fn answered<B>(&mut self, response: &HttpResponse<B>, error: Option<&actix_web::Error>) {
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
        if !self.is_recorded {
            return;
        }
        let (span, shared) = (self.context.span(), &self.worker.shared);
        let code = i64::from(response.status().as_u16());
        span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, code));
        if shared.metrics.old.is_some() {
            span.set_attribute(KeyValue::new(old::STATUS_CODE, code));
        }
        if !shared.response_headers.is_empty() {
            let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            span.set_attributes(shared.response_headers.attributes(headers));
        }
        shared.on_response.run(|hook| hook(response.head(), &span));
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

    /// Records what it took, with the measurements pointing to the request's trace.
    fn measure(&self, route: &Route) {
        let Worker { shared, .. } = &*self.worker;
        let metrics = &shared.metrics;
        let duration = self.start.elapsed();
        let span = self.context.span();
        self.worker.count_active(&self.facts, -1);
        if let Some((error_type, _)) = &self.error {
            let mut attributes = route.attributes(&self.facts, self.status);
            let status = self.status.map(|status| status.as_u16());
            let error_type = status::error_of_metrics(error_type.clone(), status);
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, error_type));
            metrics.duration.record_of(span.span_context(), duration.as_secs_f64(), &attributes);
            if let Some(size) = self.request_size {
                metrics.request_size.record(size, &attributes);
            }
            metrics.response_size.record(self.response_size, &attributes);
        } else {
            let series = route.series(metrics, &self.facts, self.status);
            series.duration.record_of(span.span_context(), duration.as_secs_f64());
            if let Some(size) = self.request_size {
                series.request_size(metrics).record(size);
            }
            series.response_size.record(self.response_size);
        }
        if let Some(old) = &metrics.old {
            old.record(&self.facts, route.pattern, self.status, duration, self.response_size);
        }
        db::tell(&self.context);
        if self.is_recorded {
            span.end_with_timestamp(self.started + duration);
        }
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
        if let Some((error_type, description)) = &self.error {
            let span = self.context.span();
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error_type.clone()));
            span.set_status(Status::error(*description));
        }
        let route = match self.route.take() {
            Some(route) => route,
            None => self.name_by(self.route_by_path()).clone(),
        };
        self.measure(&route);
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
