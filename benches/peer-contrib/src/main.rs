//! The service of `subject` with opentelemetry-instrumentation-actix-web, traces and metrics, set up as the crate's
//! example does, with the stock OTLP exporters and the batch processor in place of those that print.

use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry::global;
use opentelemetry_instrumentation_actix_web::{RequestMetrics, RequestTracing};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Serialize;
use tokio::io::AsyncReadExt;

#[derive(Serialize)]
struct Item {
    id: u64,
    name: &'static str,
    price: u64,
}

async fn item(id: web::Path<u64>) -> HttpResponse {
    HttpResponse::Ok().json(Item { id: *id, name: "a small thing", price: 1999 })
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    rustls::crypto::ring::default_provider().install_default().expect("the first one");
    // The exporters' blocking client is not to be built on a runtime's thread.
    let (spans, metrics) = std::thread::spawn(|| {
        (SpanExporter::builder().with_http().build(), MetricExporter::builder().with_http().build())
    })
    .join()
    .expect("the exporters");
    let resource = Resource::builder().with_service_name("subject").build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracers =
        SdkTracerProvider::builder().with_batch_exporter(spans?).with_resource(resource.clone()).build();
    global::set_tracer_provider(tracers.clone());
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics?).with_resource(resource).build();
    global::set_meter_provider(meters.clone());

    let server = HttpServer::new(|| {
        App::new()
            .wrap(RequestTracing::new())
            .wrap(RequestMetrics::default())
            .route("/items/{id}", web::get().to(item))
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
    meters.shutdown()?;
    Ok(())
}
