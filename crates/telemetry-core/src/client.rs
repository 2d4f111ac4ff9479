//! The reqwest middleware: one CLIENT span a try, propagation, and the conventions' metrics.
//!
//! [`Telemetry::client`](crate::Telemetry::client) makes a client that has it. To combine it with
//! other middleware, add [`Telemetry::client_middleware`](crate::Telemetry::client_middleware)
//! last: behind a retrying one, each try is a span of its own (`http.request.resend_count`). Redirects that reqwest
//! follows by itself are part of the try.
//!
//! The span lasts until the response's headers are there. Body sizes are those that are known by then: bodies
//! that are streamed without a `Content-Length` are not measured.
//!
//! The application may add attributes:
//!
//! ```
//! use telemetry_core::opentelemetry::KeyValue;
//!
//! # fn client(telemetry: telemetry_core::Telemetry) {
//! let client = telemetry
//!     .client_middleware()
//!     .on_request(|_, span| span.set_attribute(KeyValue::new("app.calling_service", "order-service")))
//!     .on_response(|response, span| {
//!         if let Some(Ok(media_type)) = response.headers().get("content-type").map(|value| value.to_str()) {
//!             span.set_attribute(KeyValue::new("http.response.content_type", media_type.to_owned()));
//!         }
//!     })
//!     .into_client();
//! # }
//! ```
//!
//! `error.type` is the status code of a 4xx or 5xx answer, `timeout`, `connect`, `transport`, `redirect`, `decode`,
//! `request`, `status`, `middleware`, or `cancelled` where the caller stopped waiting.
//!
//! The first hundred peers (address and port) of a [`Telemetry`](crate::Telemetry) have metric series of their own;
//! all later ones share those of `server.address` `_OTHER`, so that no caller who chooses addresses makes series.

mod exchange;
mod hosts;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::SpanRef;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use self::exchange::Exchange;
pub(crate) use self::exchange::failure_text;
pub(crate) use self::hosts::Hosts;
use self::metrics::Metrics;
use crate::Telemetry;
use crate::capture::Capture;
use crate::hooks::Hooks;
use crate::names::Methods;
use crate::propagation::RequestHeaders;

/// The URL's template, such as `/api/products/{id}`: put it into the request's extensions
/// (`RequestBuilder::with_extension`), and the span is named `{METHOD} {template}`.
#[derive(Debug, Clone, Copy)]
pub struct UrlTemplate(pub &'static str);

/// How often this request has been tried, kept in its extensions from try to try.
#[derive(Clone, Copy)]
struct Tries(i64);

type RequestHook = dyn Fn(&Request, &SpanRef<'_>) + Send + Sync;
type ResponseHook = dyn Fn(&Response, &SpanRef<'_>) + Send + Sync;

/// The middleware; made by [`Telemetry::client_middleware`](crate::Telemetry::client_middleware).
#[derive(Clone)]
pub struct ClientTelemetry {
    telemetry: Telemetry,
    metrics: Arc<Metrics>,
    methods: Methods,
    request_headers: Capture,
    response_headers: Capture,
    on_request: Hooks<RequestHook>,
    on_response: Hooks<ResponseHook>,
}

impl ClientTelemetry {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        let http = telemetry.http();
        Self {
            metrics: Arc::new(Metrics::new(telemetry.meter(), http.old_names_too)),
            methods: Methods::new(&http.known_methods),
            request_headers: Capture::new("http.request.header.", &http.client_headers.request),
            response_headers: Capture::new("http.response.header.", &http.client_headers.response),
            on_request: Hooks::default(),
            on_response: Hooks::default(),
            telemetry,
        }
    }

    /// Runs `hook` on every recorded try before it is sent, after those added before: it may add attributes. A panic
    /// in it costs no request, and is logged once.
    #[must_use]
    pub fn on_request(mut self, hook: impl Fn(&Request, &SpanRef<'_>) + Send + Sync + 'static) -> Self {
        self.on_request.push(Arc::new(hook));
        self
    }

    /// Like [`on_request`](Self::on_request) for the answer, when its headers are there.
    #[must_use]
    pub fn on_response(mut self, hook: impl Fn(&Response, &SpanRef<'_>) + Send + Sync + 'static) -> Self {
        self.on_response.push(Arc::new(hook));
        self
    }

    /// A client as [`Telemetry::client`](crate::Telemetry::client) makes it, with this middleware.
    pub fn into_client(self) -> ClientWithMiddleware {
        ClientBuilder::new(plain_client()).with(self).build()
    }
}

#[async_trait]
impl Middleware for ClientTelemetry {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let template = extensions.get::<UrlTemplate>().copied();
        let resends = extensions.get::<Tries>().map_or(0, |tries| tries.0);
        extensions.insert(Tries(resends + 1));

        let mut exchange = Exchange::start(self, &request, template, resends);
        let context = exchange.context().clone();
        self.telemetry.propagation().inject(&context, &mut RequestHeaders(request.headers_mut()));
        let result = next.run(request, extensions).with_context(context).await;
        match &result {
            Ok(response) => exchange.responded(response),
            Err(error) => exchange.failed(error),
        }
        result
    }
}

/// A reqwest client with the defaults of [`Telemetry::client`].
fn plain_client() -> reqwest::Client {
    crate::export::install_crypto_provider();
    let builder = || {
        reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(30))
    };
    builder().build().unwrap_or_else(|error| {
        // Minimal images have no CA certificates. Plain HTTP works without, and HTTPS will say so.
        tracing::warn!(error = %error, "no CA certificates: HTTPS requests will be refused");
        builder()
            .tls_certs_only([])
            .build()
            .expect("a client without certificates reads nothing that could fail")
    })
}
