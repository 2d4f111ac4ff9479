//! The reqwest middleware: one CLIENT span a try, propagation, and the conventions' metrics.
//!
//! [`Telemetry::client`](crate::Telemetry::client) makes a client that has it. To combine it with
//! other middleware, add [`Telemetry::client_middleware`](crate::Telemetry::client_middleware)
//! last: behind a retrying one, each try is a span of its own (`http.request.resend_count`). Redirects that reqwest
//! follows by itself are part of the try.
//!
//! ```
//! use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
//! use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
//! use telemetry_core::client::UrlTemplate;
//!
//! /// After `init`, which gives the process what TLS needs.
//! fn client(telemetry: &telemetry_core::Telemetry) -> reqwest::Result<ClientWithMiddleware> {
//!     let timeout = std::time::Duration::from_secs(2); // of each try
//!     let client = reqwest::Client::builder().timeout(timeout).build()?;
//!     let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
//!     Ok(ClientBuilder::new(client)
//!         .with(RetryTransientMiddleware::new_with_policy(backoff))
//!         .with(telemetry.client_middleware())
//!         .build())
//! }
//!
//! async fn name(client: &ClientWithMiddleware, id: u64) -> Result<String, reqwest_middleware::Error> {
//!     let request = client.get(format!("http://names.internal:8080/names/{id}"));
//!     // The spans of all tries are called `GET /names/{id}`.
//!     let answer = request.with_extension(UrlTemplate("/names/{id}")).send().await?;
//!     Ok(answer.error_for_status()?.text().await?)
//! }
//! ```
//!
//! In the manifest, without a second provider of TLS:
//!
//! ```toml
//! reqwest = { version = "0.13", default-features = false, features = ["rustls-no-provider"] }
//! reqwest-middleware = "0.5"
//! reqwest-retry = "0.9"
//! ```
//!
//! The span lasts until the response's headers are there. Body sizes are those that are known by then: bodies
//! that are streamed without a `Content-Length` are not measured. Metrics of connections (`http.client.open_connections`,
//! `http.client.connection.duration`) are not there: reqwest does not tell when one of its pool opens and closes.
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
//! Metrics tell the registered status codes apart, and those of common proxies; any other counts as x00 of its class,
//! one above 599 as 500 (RFC 9110, 15), so that no peer makes series by what it answers. The span has the code itself.
//!
//! The first hundred peers (address and port) of a [`Telemetry`] have metric series of their own;
//! all later ones share those of `server.address` `_OTHER`, so that no caller who chooses addresses makes series.
//!
//! What is sent to whom is the client's to say: [`ClientTelemetry::propagate_to`] names the hosts that learn
//! of the trace and the baggage at all, [`ClientTelemetry::without_baggage`] keeps the baggage inside.
//!
//! ```
//! # fn clients(telemetry: telemetry_core::Telemetry) {
//! let ours = telemetry.client_middleware().propagate_to(["inventory", "payment"]).into_client();
//! let gateway = telemetry.client_middleware().without_baggage().peer_name("card-gateway").into_client();
//! # }
//! ```
//!
//! A redirect that reqwest follows by itself takes the headers along, to whichever host it leads.

mod calls;
mod exchange;
mod hosts;
mod metrics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::trace::SpanRef;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use self::calls::Calls;
use self::exchange::Exchange;
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

pub(crate) type RequestHook = dyn Fn(&Request, &SpanRef<'_>) + Send + Sync;
pub(crate) type ResponseHook = dyn Fn(&Response, &SpanRef<'_>) + Send + Sync;

/// Hooks of all clients of a [`Telemetry`].
#[derive(Clone, Default)]
pub(crate) struct ClientHooks {
    pub(crate) on_request: Hooks<RequestHook>,
    pub(crate) on_response: Hooks<ResponseHook>,
}

/// The middleware; made by [`Telemetry::client_middleware`](crate::Telemetry::client_middleware).
#[derive(Clone)]
pub struct ClientTelemetry {
    telemetry: Telemetry,
    peer_name: Option<&'static str>,
    /// None: all hosts.
    hosts: Option<Arc<[String]>>,
    sends_baggage: bool,
    metrics: Arc<Metrics>,
    calls: Arc<Calls>,
    methods: Methods,
    request_headers: Capture,
    response_headers: Capture,
    on_request: Hooks<RequestHook>,
    on_response: Hooks<ResponseHook>,
}

impl Telemetry {
    /// An HTTP client that makes a CLIENT span and the client metrics of every request, and sends
    /// the trace along. It gives up connecting after 5 s and waiting after 30 s.
    pub fn client(&self) -> ClientWithMiddleware {
        self.client_middleware().into_client()
    }

    /// The middleware of [`Telemetry::client`], for a client of one's own. Add it last.
    pub fn client_middleware(&self) -> ClientTelemetry {
        ClientTelemetry::new(self.clone())
    }
}

impl ClientTelemetry {
    fn new(telemetry: Telemetry) -> Self {
        let http = telemetry.http();
        Self {
            metrics: Arc::new(Metrics::new(&telemetry)),
            calls: Arc::default(),
            methods: Methods::new(&http.known_methods),
            request_headers: Capture::new("http.request.header.", &http.client_headers.request),
            response_headers: Capture::new("http.response.header.", &http.client_headers.response),
            on_request: telemetry.client_hooks().on_request.clone(),
            on_response: telemetry.client_hooks().on_response.clone(),
            peer_name: None,
            hosts: None,
            sends_baggage: true,
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

    /// Sends trace and baggage to these hosts only: names or addresses as URLs have them, without ports, in
    /// any case. A request to another host carries neither; it has its span all the same.
    #[must_use]
    pub fn propagate_to<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        let plain = |host: H| {
            let host: String = host.into();
            host.trim_matches(['[', ']']).to_ascii_lowercase()
        };
        self.hosts = Some(hosts.into_iter().map(plain).collect());
        self
    }

    /// Sends the trace and no baggage: for peers that shall not learn what the baggage tells, such as
    /// tenants' names.
    #[must_use]
    pub fn without_baggage(mut self) -> Self {
        self.sends_baggage = false;
        self
    }

    /// `service.peer.name` on every span: what the service is called on the other side.
    #[must_use]
    pub fn peer_name(mut self, name: &'static str) -> Self {
        self.peer_name = Some(name);
        self
    }

    /// A client with this middleware; it gives up connecting after 5 s and waiting after 30 s.
    pub fn into_client(self) -> ClientWithMiddleware {
        ClientBuilder::new(plain_client()).with(self).build()
    }

    fn propagate(&self, context: &Context, request: &mut Request) {
        if !self.knows(request.url()) {
            return;
        }
        let headers = &mut RequestHeaders(request.headers_mut());
        let propagation = self.telemetry.propagation();
        if self.sends_baggage || context.baggage().is_empty() {
            propagation.inject(context, headers);
        } else {
            propagation.inject(&context.with_cleared_baggage(), headers);
        }
    }

    fn knows(&self, url: &Url) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        hosts.iter().any(|known| known == host)
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
        if !self.telemetry.is_enabled() {
            // What came along goes on, and that is all.
            Context::map_current(|context| self.propagate(context, &mut request));
            return next.run(request, extensions).await;
        }
        let template = extensions.get::<UrlTemplate>().copied();
        let resends = extensions.get::<Tries>().map_or(0, |tries| tries.0);
        extensions.insert(Tries(resends + 1));

        let mut exchange = Exchange::start(self, &request, template, resends);
        let context = exchange.context().clone();
        self.propagate(&context, &mut request);
        let result = next.run(request, extensions).with_context(context).await;
        match &result {
            Ok(response) => exchange.responded(response),
            Err(error) => exchange.failed(error),
        }
        result
    }
}

/// A reqwest client with the time limits of [`ClientTelemetry::into_client`].
fn plain_client() -> reqwest::Client {
    crate::export::install_crypto_provider();
    let builder = || {
        reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(30))
    };
    builder().build().unwrap_or_else(|error| {
        // Minimal images have no CA certificates. Plain HTTP works without, and HTTPS will say so.
        tracing::warn!(
            error = &error as &(dyn std::error::Error + 'static),
            "no CA certificates: HTTPS requests will be refused"
        );
        builder()
            .tls_certs_only([])
            .build()
            .expect("a client without certificates reads nothing that could fail")
    })
}
