//! The actix-web middleware: one SERVER span and the conventions' metrics for every request.
//!
//! ```
//! use actix_web::App;
//!
//! # fn app(telemetry: telemetry_core::Telemetry) {
//! let app = App::new().wrap(telemetry.server());
//! # }
//! ```
//!
//! Wrap it last, so that it is the outermost middleware and sees what the others do. The span is
//! OpenTelemetry's current span while the handler and the body are polled. It ends when the
//! response body has been sent, or was dropped because the client went away.
//!
//! Of an excluded path ([`Config::excluded_urls`](crate::Config::excluded_urls)) and what runs below it no span
//! and no metric is made. Its log records are kept, and it has a trace id, the caller's where there is one: the
//! services below get it as not sampled.

mod exchange;
mod metrics;
mod span;

use std::borrow::Cow;
use std::future::{Future, Ready, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Bytes;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use pin_project_lite::pin_project;

use self::exchange::Exchange;
use self::metrics::Metrics;
use crate::propagation::{ActixHeaders, traceparent};
use crate::runtime::RuntimeWatch;
use crate::span::{Exception, panic_message};
use crate::untraced::untraced;
use crate::{Telemetry, db};

/// The header that tells the caller its trace (W3C Trace Context, `traceresponse`).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

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
    code: &'static str,
    exception: Option<Exception>,
}

impl ErrorType {
    /// A stable, low-cardinality code such as `inventory_unavailable`.
    pub fn new(code: &'static str) -> Self {
        Self { code, exception: None }
    }

    /// Adds the error itself: it is recorded as an `exception` event with its chain of sources.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.exception = Some(Exception::new(self.code, error));
        self
    }
}

/// The middleware; made by [`Telemetry::server`].
#[derive(Clone)]
pub struct ServerTelemetry {
    shared: Arc<Shared>,
}

struct Shared {
    telemetry: Telemetry,
    metrics: Metrics,
}

impl ServerTelemetry {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        let metrics = Metrics::new(&telemetry);
        Self { shared: Arc::new(Shared { telemetry, metrics }) }
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
        ready(Ok(ServerService { shared: self.shared.clone(), service, _runtime: runtime }))
    }
}

/// The wrapped application.
pub struct ServerService<S> {
    shared: Arc<Shared>,
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
        let Shared { telemetry, metrics } = &*self.shared;
        let trusted = || telemetry.trusts_baggage(request.path());
        let parent = telemetry.propagation().extract(&ActixHeaders(request.headers()), trusted);
        if telemetry.is_excluded(request.path()) {
            let context = untraced(&parent, telemetry.tracer());
            let future = attached(&context, || self.service.call(request));
            return ServerFuture { context, exchange: None, future };
        }
        let span = span::start(telemetry, &request, &parent);
        let context = db::counted(telemetry, parent.with_span(span));
        let exchange = Exchange::start(context.clone(), metrics, &request);
        let mut exchange = Some(exchange);
        let future = guarded(&mut exchange, || attached(&context, || self.service.call(request)));
        ServerFuture { context, exchange, future }
    }
}

fn attached<T>(context: &Context, work: impl FnOnce() -> T) -> T {
    let _current = context.clone().attach();
    work()
}

/// Runs a piece of the handler; a panic is recorded on its way through.
fn guarded<T>(exchange: &mut Option<Exchange>, work: impl FnOnce() -> T) -> T {
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
        exchange: Option<Exchange>,
        context: Context,
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
        let context = &*this.context;
        let result = ready!(guarded(this.exchange, || attached(context, || future.poll(task))));
        let mut exchange = this.exchange.take();
        match result {
            Ok(mut response) => {
                if let Some(exchange) = &mut exchange {
                    exchange.responded(&response);
                }
                tell_trace(&mut response, context);
                let context = this.context.clone();
                Poll::Ready(Ok(response.map_body(|head, body| {
                    let sent_whole = match body.size() {
                        BodySize::None | BodySize::Sized(0) => true,
                        BodySize::Sized(_) | BodySize::Stream => {
                            head.status.is_informational() || exchange.as_ref().is_some_and(Exchange::is_head)
                        }
                    };
                    ServerBody { context, exchange, sent_whole, body }
                })))
            }
            Err(error) => {
                if let Some(exchange) = &mut exchange {
                    exchange.failed(&error);
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

fn tell_trace<B>(response: &mut ServiceResponse<B>, context: &Context) {
    let span = context.span();
    let span_context = span.span_context();
    if span_context.is_valid()
        && let Ok(value) = HeaderValue::try_from(traceparent(span_context))
    {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
}

pin_project! {
    /// The response body, watched until it has been sent.
    pub struct ServerBody<B> {
        context: Context,
        exchange: Option<Exchange>,
        // Nothing (more) is to be sent, so being dropped now is no loss.
        sent_whole: bool,
        #[pin]
        body: B,
    }

    impl<B> PinnedDrop for ServerBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(mut exchange) = this.exchange.take() {
                if *this.sent_whole {
                    exchange.completed();
                } else if std::thread::panicking() {
                    exchange.panicked(Cow::Borrowed("a panic while the body was made"));
                }
                // Else the exchange's own end tells that the client went away.
            }
        }
    }
}

impl<B: MessageBody> MessageBody for ServerBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let body = this.body;
        let context = &*this.context;
        let next = ready!(guarded(this.exchange, || attached(context, || body.poll_next(task))));
        match &next {
            Some(Ok(chunk)) => {
                if let Some(exchange) = this.exchange {
                    exchange.sent(chunk.len());
                }
            }
            Some(Err(_)) => {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.body_failed();
                }
            }
            None => {
                *this.sent_whole = true;
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.completed();
                }
            }
        }
        Poll::Ready(next)
    }
}
