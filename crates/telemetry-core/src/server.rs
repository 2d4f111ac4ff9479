//! The actix-web middleware: one SERVER span and the conventions' metrics for every request.
//!
//! ```
//! use actix_web::App;
//! use telemetry_core::opentelemetry::KeyValue;
//!
//! # fn app(telemetry: telemetry_core::Telemetry) {
//! let middleware = telemetry
//!     .server()
//!     .on_request(|request, span| {
//!         if let Some(tier) = request.headers().get("x-user-tier").and_then(|tier| tier.to_str().ok()) {
//!             span.set_attribute(KeyValue::new("app.user_tier", tier.to_owned()));
//!         }
//!     })
//!     .on_response(|response, span| {
//!         span.set_attribute(KeyValue::new("app.is_cacheable", response.headers().contains_key("etag")));
//!         span.set_attribute(KeyValue::new("app.is_created", response.status.as_u16() == 201));
//!     });
//! let app = App::new().wrap(middleware);
//! # }
//! ```
//!
//! The hooks get actix-web's own [`HttpRequest`] and [`ResponseHead`]. What a handler knows and these do not tell, such as
//! who has signed in, the handler adds: [`span::set_attribute`](crate::span::set_attribute).
//!
//! Wrap it last, so that it is the outermost middleware and sees what the others do. The span is
//! OpenTelemetry's current span while the handler and the body are polled. It ends when the
//! response body has been sent, or was dropped because the client went away or the server stopped. A connection
//! that was upgraded (101) is such a body: its span lasts as long as it; [`websocket`] tells what goes over it.
//!
//! What is told beyond the default is set by [`Config::http`](crate::Config::http): captured headers, trusted
//! proxies, known methods, older names. In code, give the variables to
//! [`Env::with_defaults`](crate::config::Env::with_defaults), and the environment still wins.
//!
//! Of an excluded path ([`Config::excluded_urls`](crate::Config::excluded_urls)) and what runs below it no span
//! and no metric is made. Its log records are kept, and it has a trace id, the caller's where there is one: the
//! services below get it as not sampled.
//!
//! `error.type` is the status code of a 5xx answer or the service's own code ([`ErrorType`]), `panic`,
//! `response_body` where the application's body stream failed, `client_disconnected` or `server_stopped`. A 4xx
//! answer is no error of the server's. Metrics tell the registered status codes apart, and those of common proxies: any
//! other counts as x00 of its class, so that a service which passes on what others answer makes no series of it.

mod body;
mod error;
mod exchange;
mod forwarded;
mod metrics;
mod old;
mod span;
mod texts;
pub mod websocket;
mod worker;

use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix_web::HttpRequest;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ResponseHead, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::trace::{SpanRef, TraceContextExt};
use pin_project_lite::pin_project;

use self::error::Answered;
use self::exchange::Exchange;
use self::forwarded::Proxies;
use self::metrics::Metrics;
use self::websocket::WebSocketTelemetry;
use self::worker::Worker;
use crate::Telemetry;
use crate::capture::Capture;
use crate::hooks::Hooks;
use crate::names::Methods;
use crate::propagation::{ActixHeaders, new_trace, traceparent_bytes};
use crate::runtime::RuntimeWatch;
use crate::span::panic_message;
use crate::untraced::untraced;

pub use self::body::ServerBody;
pub use self::error::ErrorType;

/// The header that tells the caller its trace (W3C Trace Context, `traceresponse`).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The middleware; made by [`Telemetry::server`].
#[derive(Clone)]
pub struct ServerTelemetry {
    shared: Arc<Shared>,
}

type TrustHook = dyn Fn(&HttpRequest) -> bool + Send + Sync;
pub(crate) type RequestHook = dyn Fn(&HttpRequest, &SpanRef<'_>) + Send + Sync;
pub(crate) type ResponseHook = dyn Fn(&ResponseHead, &SpanRef<'_>) + Send + Sync;

/// Hooks of all middlewares of a [`Telemetry`].
#[derive(Clone, Default)]
pub(crate) struct ServerHooks {
    pub(crate) on_request: Hooks<RequestHook>,
    pub(crate) on_response: Hooks<ResponseHook>,
}

#[derive(Clone)]
struct Shared {
    telemetry: Telemetry,
    metrics: Metrics,
    methods: Methods,
    proxies: Proxies,
    request_headers: Capture,
    response_headers: Capture,
    baggage_trust: Hooks<TrustHook>,
    on_request: Hooks<RequestHook>,
    on_response: Hooks<ResponseHook>,
}

impl Telemetry {
    /// The middleware that makes a SERVER span and the server metrics of every request:
    /// `App::new().wrap(telemetry.server())`.
    pub fn server(&self) -> ServerTelemetry {
        ServerTelemetry::new(self.clone())
    }

    /// Who made this request: what is told as `client.address`. The peer's address, or where the peer is one of the
    /// [trusted proxies](crate::config::Http::trusted_proxies), the address that it tells. For what is to be decided by
    /// it, such as throttling; it is personal data.
    pub fn client_address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr();
        let proxies = &self.http().trusted_proxies;
        let told = forwarded::told_by(proxies, peer, request.headers()).and_then(|told| told.client);
        told.map(|(address, _)| address).or(peer.map(|peer| peer.ip()))
    }

    /// Observes WebSocket connections: what goes over them after their upgrade.
    pub fn websockets(&self) -> WebSocketTelemetry {
        WebSocketTelemetry::new(self.clone())
    }
}

impl ServerTelemetry {
    fn new(telemetry: Telemetry) -> Self {
        let http = telemetry.http();
        let shared = Shared {
            metrics: Metrics::new(&telemetry),
            methods: Methods::new(&http.known_methods),
            proxies: Proxies(http.trusted_proxies.clone()),
            request_headers: Capture::new("http.request.header.", &http.server_headers.request),
            response_headers: Capture::new("http.response.header.", &http.server_headers.response),
            baggage_trust: Hooks::default(),
            on_request: telemetry.server_hooks().on_request.clone(),
            on_response: telemetry.server_hooks().on_response.clone(),
            telemetry,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Believes reserved baggage ([`Config::baggage_attributes`](crate::Config::baggage_attributes)) of those requests
    /// only that prove to come from a service of one's own: on the paths of
    /// [`Config::baggage_trusted_urls`](crate::Config::baggage_trusted_urls) `proves` is asked too. Without it a path
    /// is proof enough, so that a caller who is refused there names the tenant on the span of the refusal.
    ///
    /// It is asked before there is a span, once, and only where a request brings baggage. Of several all must say yes;
    /// one that panics says no.
    ///
    /// ```
    /// # fn app(telemetry: telemetry_core::Telemetry, is_ours: fn(&[u8]) -> bool) {
    /// let middleware = telemetry.server().trust_baggage_of(move |request| {
    ///     request.headers().get("authorization").is_some_and(|token| is_ours(token.as_bytes()))
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn trust_baggage_of(mut self, proves: impl Fn(&HttpRequest) -> bool + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).baggage_trust.push(Arc::new(proves));
        self
    }

    /// Runs `hook` on every recorded request at its start, after those added before: it may add attributes. A panic
    /// in it costs no request, and is logged once.
    #[must_use]
    pub fn on_request(mut self, hook: impl Fn(&HttpRequest, &SpanRef<'_>) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).on_request.push(Arc::new(hook));
        self
    }

    /// Like [`on_request`](Self::on_request) for the answer, when its head is known and its body is not sent yet.
    #[must_use]
    pub fn on_response(mut self, hook: impl Fn(&ResponseHead, &SpanRef<'_>) + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.shared).on_response.push(Arc::new(hook));
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for ServerTelemetry
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<ServerBody<B>>;
    type Error = actix_web::Error;
    type Transform = ServerService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let runtime = self.shared.telemetry.watch_runtime();
        let worker = Rc::new(Worker::new(self.shared.clone()));
        ready(Ok(ServerService { worker, service, _runtime: runtime }))
    }
}

/// The wrapped application.
pub struct ServerService<S> {
    worker: Rc<Worker>,
    service: S,
    /// Of the worker that it runs in.
    _runtime: Option<RuntimeWatch>,
}

impl<S, B> Service<ServiceRequest> for ServerService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<ServerBody<B>>;
    type Error = actix_web::Error;
    type Future = ServerFuture<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let shared = &self.worker.shared;
        let telemetry = &shared.telemetry;
        let trusted = || {
            telemetry.trusts_baggage(request.path())
                && shared.baggage_trust.agree(|proves| proves(request.request()))
        };
        let sent = telemetry.propagation().extract(&ActixHeaders(request.headers()), trusted);
        if !telemetry.is_enabled() {
            // What the caller sent goes on to the services below, and that is all.
            let future = attached(sent.as_ref(), || self.service.call(request));
            return ServerFuture { context: sent, exchange: None, worker: None, future };
        }
        let parent = sent.unwrap_or_else(new_trace);
        let worker = Some(self.worker.clone());
        if telemetry.is_excluded(request.path()) {
            let context = Some(untraced(&parent, telemetry));
            let future = attached(context.as_ref(), || self.service.call(request));
            return ServerFuture { context, exchange: None, worker, future };
        }
        let exchange = Exchange::start(&self.worker, &request, &parent);
        let context = Some(exchange.context().clone());
        let mut exchange = Some(exchange);
        let future = guarded(&mut exchange, || attached(context.as_ref(), || self.service.call(request)));
        ServerFuture { context, exchange, worker, future }
    }
}

fn attached<T>(context: Option<&Context>, work: impl FnOnce() -> T) -> T {
    let _current = context.map(|context| context.clone().attach());
    work()
}

/// Runs a piece of the handler; a panic is recorded on its way through, where there is something to record it in.
fn guarded<T>(exchange: &mut Option<Box<Exchange>>, work: impl FnOnce() -> T) -> T {
    if exchange.is_none() {
        return work();
    }
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(panic) => {
            if let Some(mut exchange) = exchange.take() {
                exchange.panicked(panic_message(&*panic));
            }
            resume_unwind(panic)
        }
    }
}

pin_project! {
    /// The request on its way through the application.
    pub struct ServerFuture<F> {
        // Dropped first: what is cancelled with it still belongs to the exchange's span.
        #[pin]
        future: F,
        exchange: Option<Box<Exchange>>,
        // None where telemetry is disabled and the caller sent nothing.
        context: Option<Context>,
        // None where there is no trace of ours to tell.
        worker: Option<Rc<Worker>>,
    }
}

impl<F, B> Future for ServerFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, actix_web::Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<ServerBody<B>>, actix_web::Error>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let future = this.future;
        let context = this.context.as_ref();
        let result = ready!(guarded(this.exchange, || attached(context, || future.poll(task))));
        Poll::Ready(match result {
            Ok(mut response) => {
                let mut exchange = this.exchange.take();
                if let Some(exchange) = &mut exchange {
                    exchange.responded(&response);
                }
                tell_trace(response.headers_mut(), context, this.worker.as_deref());
                let context = context.cloned();
                Ok(response.map_body(|head, body| ServerBody::new(context, exchange, head.status, body)))
            }
            Err(error) => Err(answer(error, this.exchange, context, this.worker.as_deref())),
        })
    }
}

/// Makes the answer of an error that a middleware inside this one gave up with, as actix would do further out: here
/// it belongs to the request's trace, and its body is watched.
fn answer(
    error: actix_web::Error,
    exchange: &mut Option<Box<Exchange>>,
    context: Option<&Context>,
    worker: Option<&Worker>,
) -> actix_web::Error {
    let mut response = guarded(exchange, || attached(context, || error.error_response()));
    let mut exchange = exchange.take();
    if let Some(exchange) = &mut exchange {
        exchange.gave_up(&response, &error);
    }
    tell_trace(response.headers_mut(), context, worker);
    let context = context.cloned();
    let response =
        response.map_body(|head, body| BoxBody::new(ServerBody::new(context, exchange, head.status, body)));
    Answered::new(error, response).into()
}

/// Tells the trace of the request's span.
fn tell_trace(headers: &mut HeaderMap, context: Option<&Context>, worker: Option<&Worker>) {
    let (Some(context), Some(worker)) = (context, worker) else { return };
    let span = context.span();
    let span_context = span.span_context();
    if span_context.is_valid()
        && let Some(value) = worker.header_value(&traceparent_bytes(span_context))
    {
        headers.insert(TRACERESPONSE, value);
    }
}
