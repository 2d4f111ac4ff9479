//! A peer, and what is expected of every request to it.

use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use telemetry_core::opentelemetry;
use telemetry_core::testing::{Series, SpanTree, TestTelemetry, span};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/orders/{id}", web::post().to(async || HttpResponse::Created().finish()))
        .route("/orders/{id}", web::get().to(async || "an order"))
        .route("/unavailable", web::get().to(async || HttpResponse::ServiceUnavailable().finish()))
        .route(
            "/headers",
            web::get().to(async |request: HttpRequest| {
                let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
                format!("{:?} {:?}", header("traceparent"), header("baggage"))
            }),
        );
}

/// The client spans: the server under the same telemetry has its own.
pub(crate) fn client_trees(telemetry: &TestTelemetry) -> Vec<SpanTree> {
    telemetry
        .trees()
        .into_iter()
        .filter(|tree| tree.kind == SpanKind::Client)
        .map(|tree| {
            let mut tree = tree.without(&["server.port", "network.peer.port"]);
            tree.children.clear();
            tree
        })
        .collect()
}

pub(crate) fn request_span(name: &str, url: String) -> SpanTree {
    span(name, SpanKind::Client)
        .attribute("http.request.method", "GET")
        .attribute("url.full", url)
        .attribute("server.address", "127.0.0.1")
}

pub(crate) fn exception(kind: &'static str, message: &'static str) -> [KeyValue; 3] {
    [
        KeyValue::new("exception.type", kind),
        KeyValue::new("exception.message", message),
        KeyValue::new("exception.stacktrace", message),
    ]
}

/// The series of one metric of the client's.
pub(crate) fn series(telemetry: &TestTelemetry, name: &str) -> Vec<Series> {
    telemetry.metrics().into_iter().filter(|series| series.name == name).collect()
}
