//! The service of `subject` with tracing-actix-web and tracing-opentelemetry, traces alone (it has no metrics), set up
//! by hand from the crates' documentation: the default root span, batches, the stock OTLP exporter. `/hop` calls the
//! service itself by reqwest with reqwest-tracing.

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::error::ErrorBadGateway;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_tracing::TracingMiddleware;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tracing_actix_web::TracingLogger;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

#[derive(Serialize)]
struct Item {
    id: u64,
    name: &'static str,
    price: u64,
}

async fn item(id: web::Path<u64>) -> HttpResponse {
    HttpResponse::Ok().json(Item { id: *id, name: "a small thing", price: 1999 })
}

/// Made at the first hop, so that the others do not pay for it; its limits are those of `subject`.
static CLIENT: LazyLock<ClientWithMiddleware> = LazyLock::new(|| {
    let client = reqwest::Client::builder()
        .tls_certs_only([])
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client without certificates reads nothing that could fail");
    ClientBuilder::new(client).with(TracingMiddleware::default()).build()
});

async fn hop(request: HttpRequest) -> Result<HttpResponse, Error> {
    let url = format!("http://{}/items/7", request.app_config().local_addr());
    let answer = CLIENT.get(url).send().await.map_err(ErrorBadGateway)?;
    let body = answer.bytes().await.map_err(ErrorBadGateway)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    // The exporter's blocking client is not to be built on a runtime's thread.
    let spans =
        std::thread::spawn(|| SpanExporter::builder().with_http().build()).join().expect("the exporter");
    let resource = Resource::builder().with_service_name("subject").build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracers = SdkTracerProvider::builder().with_batch_exporter(spans?).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("subject"));
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).init();

    let server = HttpServer::new(|| {
        App::new()
            .wrap(TracingLogger::default())
            .route("/items/{id}", web::get().to(item))
            .route("/hop", web::get().to(hop))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))?;
    println!("{}", server.addrs()[0].port());
    let server = server.run();
    let handle = server.handle();
    #[expect(clippy::disallowed_methods, reason = "it belongs to no request")]
    actix_web::rt::spawn(async move {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
        handle.stop(true).await;
    });
    server.await?;

    tracers.shutdown()?;
    Ok(())
}
