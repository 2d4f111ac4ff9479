//! Excluded paths.

use std::future::ready;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry::trace::Tracer as _;
use telemetry_core::opentelemetry;
use telemetry_core::testing::TestTelemetry;

use crate::harness::{client, one_tree, reqwest_get, routes, series};
use crate::support::TestServer;

#[tokio::test]
async fn an_excluded_path_makes_neither_spans_nor_metrics() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    reqwest_get(&server.url("/health")).await;
    reqwest_get(&server.url("/missing")).await;
    assert_eq!(one_tree(&telemetry).await.name, "GET /missing");
    assert_eq!(series(&telemetry, "http.server.request.duration").len(), 1);
}

#[tokio::test]
async fn below_an_excluded_path_nothing_is_recorded_but_logs_and_the_callers_trace_is_passed_on() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let seen_below = Arc::new(Mutex::new(String::new()));
    let note = seen_below.clone();
    let below = TestServer::start(TestTelemetry::new().clone(), move |config| {
        let note = note.clone();
        let echo = move |request: HttpRequest| {
            let header = request.headers().get("traceparent").unwrap().to_str().unwrap().to_owned();
            *note.lock().unwrap() = header;
            ready(HttpResponse::Ok())
        };
        config.route("/", web::get().to(echo));
    });

    // Even where every span is sampled, whatever its parent says.
    let telemetry = Arc::new(TestTelemetry::new());
    let (url, inside) = (below.url("/"), telemetry.clone());
    let server = TestServer::start((**telemetry).clone(), move |config| {
        let (url, telemetry) = (url.clone(), inside.clone());
        let call = move || {
            let (url, telemetry) = (url.clone(), telemetry.clone());
            async move {
                let _tracing = telemetry.collect_tracing();
                telemetry.tracer().in_span("own", |_| ());
                tracing::info_span!("instrumented").in_scope(|| tracing::info!("alive"));
                telemetry.client().get(url).send().await.unwrap();
                telemetry_core::span::ids().unwrap().0
            }
        };
        config.route("/health", web::get().to(call));
    });
    let request =
        client().get(server.url("/health")).header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    let response = request.send().await.unwrap();
    let told = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    assert_eq!(response.text().await.unwrap(), TRACE);
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");

    let passed_on = seen_below.lock().unwrap().clone();
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-00"), "{passed_on}");
    assert_eq!(telemetry.trees(), []);
    assert_eq!(telemetry.metrics(), []);
    let logs = telemetry.logs();
    let of_trace = logs.iter().filter_map(|log| log.trace_id).map(|trace| trace.to_string());
    assert_eq!(of_trace.collect::<Vec<_>>(), [TRACE]);
}
