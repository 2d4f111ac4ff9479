//! The reqwest middleware: one CLIENT span a try, propagation, and the conventions' metrics.
//!
//! [`Telemetry::client`](crate::Telemetry::client) makes a client that has it. To combine it with
//! other middleware, add [`Telemetry::client_middleware`](crate::Telemetry::client_middleware)
//! last: behind a retrying one, each try is a span of its own (`http.request.resend_count`).
//!
//! The span lasts until the response's headers are there.

mod exchange;

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use opentelemetry::context::FutureExt;
use opentelemetry_semantic_conventions::metric;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

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
        Self { telemetry, duration }
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
pub(crate) fn plain_client() -> reqwest::Client {
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
