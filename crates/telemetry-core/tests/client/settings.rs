//! What the application adds to the default: hooks, headers, older names.

use opentelemetry::{Array, KeyValue, Value};
use telemetry_core::config::Http;
use telemetry_core::opentelemetry;
use telemetry_core::testing::TestTelemetry;

use crate::harness::{client_trees, request_span, routes, series};
use crate::support::TestServer;

#[tokio::test]
async fn hooks_add_attributes_and_one_that_panics_costs_nothing() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    let client = telemetry
        .client_middleware()
        .on_request(|_, _| panic!("a bad hook"))
        .on_request(|_, span| span.set_attribute(KeyValue::new("app.calling_service", "order-service")))
        .on_response(|response, span| {
            let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
            span.set_attribute(KeyValue::new("http.response.content_type", media_type));
        })
        .into_client();
    client.get(server.url("/orders/7")).send().await.unwrap();
    let [tree] = client_trees(&telemetry).try_into().unwrap();
    assert_eq!(tree.attributes["app.calling_service"], Value::from("order-service"));
    assert_eq!(tree.attributes["http.response.content_type"], Value::from("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn allowed_headers_are_captured_and_secrets_never() {
    let mut http = Http::default();
    http.client_headers.request = ["x-*", "authorization"].map(str::to_owned).to_vec();
    http.client_headers.response = vec!["content-type".to_owned()];
    let telemetry = TestTelemetry::with_http(http);
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    let request = telemetry.client().get(server.url("/orders/7")).bearer_auth("canary");
    request.header("x-api-key", "canary").header("x-tag", "a").send().await.unwrap();
    let [tree] = client_trees(&telemetry).try_into().unwrap();
    let captured: Vec<_> = tree.attributes.iter().filter(|(name, _)| name.contains(".header.")).collect();
    let one = |text: &'static str| Value::Array(Array::String(vec![text.into()]));
    assert_eq!(
        captured,
        [
            (&"http.request.header.x-tag".to_owned(), &one("a")),
            (&"http.response.header.content-type".to_owned(), &one("text/plain; charset=utf-8"))
        ]
    );
    telemetry.assert_absent("canary");
}

#[tokio::test]
async fn under_http_dup_the_older_names_stand_beside_the_stable_ones() {
    let mut http = Http::default();
    http.old_names_too = true;
    let telemetry = TestTelemetry::with_http(http);
    let server = TestServer::start(TestTelemetry::new().clone(), routes);
    telemetry.client().get(server.url("/orders/7?token=canary")).send().await.unwrap();
    let redacted = server.url("/orders/7?token=REDACTED");
    assert_eq!(
        client_trees(&telemetry),
        [request_span("GET", redacted.clone())
            .attribute("network.peer.address", "127.0.0.1")
            .attribute("network.protocol.version", "1.1")
            .attribute("http.response.status_code", 200)
            .attribute("http.method", "GET")
            .attribute("http.url", redacted)
            .attribute("http.status_code", 200)]
    );
    let [old] = series(&telemetry, "http.client.duration").try_into().unwrap();
    let [stable] = series(&telemetry, "http.client.request.duration").try_into().unwrap();
    assert_eq!(old.unit, "ms");
    assert!((old.value - stable.value * 1000.0).abs() < 1e-6, "{} ms, {} s", old.value, stable.value);
}
