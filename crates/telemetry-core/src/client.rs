//! The reqwest middleware: one CLIENT span a try, propagation, and the conventions' metrics.
//!
//! [`Telemetry::client`](crate::Telemetry::client) makes a client that has it. To combine it with
//! other middleware, add [`Telemetry::client_middleware`](crate::Telemetry::client_middleware)
//! last: behind a retrying one, each try is a span of its own (`http.request.resend_count`).
//!
//! The span lasts until the response's headers are there.
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

mod exchange;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry_semantic_conventions::metric;
use reqwest::{Request, Response, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};

use self::exchange::Exchange;
pub(crate) use self::exchange::failure_text;
use crate::Telemetry;
use crate::exemplars::TracedHistogram;
use crate::names::DURATION_BUCKETS;
use crate::propagation::RequestHeaders;

/// The URL's template, such as `/api/products/{id}`: put it into the request's extensions
/// (`RequestBuilder::with_extension`), and the span is named `{METHOD} {template}`.
#[derive(Debug, Clone, Copy)]
pub struct UrlTemplate(pub &'static str);

/// How often this request has been tried, kept in its extensions from try to try.
#[derive(Clone, Copy)]
struct Tries(i64);

/// The middleware; made by [`Telemetry::client_middleware`](crate::Telemetry::client_middleware).
#[derive(Clone)]
pub struct ClientTelemetry {
    telemetry: Telemetry,
    duration: TracedHistogram,
    peer_name: Option<&'static str>,
    /// None: all hosts.
    hosts: Option<Arc<[String]>>,
    sends_baggage: bool,
}

impl ClientTelemetry {
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        let duration = telemetry
            .meter()
            .f64_histogram(metric::HTTP_CLIENT_REQUEST_DURATION)
            .with_unit("s")
            .with_description("Duration of HTTP client requests.")
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        let duration =
            telemetry.exemplars().of(duration, metric::HTTP_CLIENT_REQUEST_DURATION, &DURATION_BUCKETS);
        Self { telemetry, duration, peer_name: None, hosts: None, sends_baggage: true }
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
        tracing::warn!(exception.message = %error, "no CA certificates: HTTPS requests will be refused");
        builder()
            .tls_certs_only([])
            .build()
            .expect("a client without certificates reads nothing that could fail")
    })
}
