//! What distinguishes a call to somebody else's service.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use telemetry_core::Telemetry;

/// The instrumented client, for outside.
pub(super) fn client(telemetry: &Telemetry) -> ClientWithMiddleware {
    ClientBuilder::from_client(telemetry.client()).with(Outside).build()
}

/// Inside the telemetry's middleware, so it sees the headers that the telemetry has written, and the
/// try's own span is current.
struct Outside;

#[async_trait]
impl Middleware for Outside {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        // `peer.service` of old.
        telemetry_core::span::set_attribute("service.peer.name", super::NAME);
        request.headers_mut().remove("baggage");
        next.run(request, extensions).await
    }
}
