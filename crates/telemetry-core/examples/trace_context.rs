//! The service that the W3C's own test suite for Trace Context drives.
//!
//! It takes `POST /test` with a list of `{"url": …, "arguments": …}`, posts each `arguments` to its `url`, one
//! after the other, and answers 200. What the suite looks at are the headers of those posts, which the library
//! writes.
//!
//! To run the suite (<https://github.com/w3c/trace-context>, folder `test`; it needs Python with `aiohttp`):
//!
//! ```text
//! OTEL_TRACES_EXPORTER=none OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none \
//!     cargo run -p telemetry-core --example trace_context
//! STRICT_LEVEL=2 SPEC_LEVEL=2 python test.py http://127.0.0.1:5000/test
//! ```
//!
//! `tests/w3c.rs` has the same rules and drives the same handler.

use std::time::Duration;

use actix_web::error::ErrorBadGateway;
use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use reqwest_middleware::ClientWithMiddleware;
use telemetry_core::Config;

/// A post to make.
#[derive(serde::Deserialize)]
struct Call {
    url: String,
    arguments: serde_json::Value,
}

async fn make_calls(
    calls: web::Json<Vec<Call>>,
    client: web::Data<ClientWithMiddleware>,
) -> actix_web::Result<impl Responder> {
    for call in &*calls {
        client.post(&call.url).json(&call.arguments).send().await.map_err(ErrorBadGateway)?;
    }
    Ok(HttpResponse::Ok())
}

/// The service's routes; the calls are made with this client.
pub(crate) fn routes(config: &mut web::ServiceConfig, client: ClientWithMiddleware) {
    config.app_data(web::Data::new(client)).route("/test", web::post().to(make_calls));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_env("trace-context", env!("CARGO_PKG_VERSION"))?;
    let telemetry = telemetry_core::init(config)?;
    let (middleware, client) = (telemetry.server(), telemetry.client());
    HttpServer::new(move || {
        App::new().configure(|config| routes(config, client.clone())).wrap(middleware.clone())
    })
    .workers(1)
    .bind(("127.0.0.1", 5000))?
    .run()
    .await?;
    println!("{}", telemetry.shutdown(Duration::from_secs(3)));
    Ok(())
}
