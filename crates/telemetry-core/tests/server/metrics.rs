//! The server's metrics.

use std::collections::BTreeMap;

use opentelemetry::Value;
use telemetry_core::opentelemetry;
use telemetry_core::testing::TestTelemetry;

use crate::harness::{client, routes, send_raw, series};
use crate::support::{TestServer, eventually};

#[tokio::test]
async fn metrics_have_the_conventions_names_units_and_attributes() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    client().post(server.url("/orders")).body("12345").send().await.unwrap();
    eventually("the span", || telemetry.spans().len() == 1).await;
    let found: Vec<_> = telemetry
        .metrics()
        .into_iter()
        .map(|series| (series.name, series.unit, series.count, series.attributes))
        .collect();
    let base = [("http.request.method", Value::from("POST")), ("url.scheme", Value::from("http"))];
    let full = base.clone().into_iter().chain([
        ("http.route", Value::from("/orders")),
        ("http.response.status_code", Value::from(201)),
        ("network.protocol.version", Value::from("1.1")),
    ]);
    let map = |pairs: &[(&str, Value)]| -> BTreeMap<String, Value> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    let (base, full) = (map(&base), map(&full.collect::<Vec<_>>()));
    let expected = |name: &str, unit: &str, attributes: &BTreeMap<String, Value>| {
        (name.to_owned(), unit.to_owned(), 1, attributes.clone())
    };
    assert_eq!(
        found,
        [
            expected("http.server.active_requests", "{request}", &base),
            expected("http.server.request.body.size", "By", &full),
            expected("http.server.request.duration", "s", &full),
            expected("http.server.response.body.size", "By", &full),
        ]
    );
    assert_eq!(series(&telemetry, "http.server.response.body.size")[0].value, 5.0);
}

#[tokio::test]
async fn a_length_that_nobody_sends_breaks_no_histogram() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    for count in 1..=2 {
        let head =
            format!("GET /missing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n", u64::MAX);
        drop(send_raw(&server, &head).await);
        eventually("the span", || telemetry.spans().len() == count).await;
    }
    assert!(series(&telemetry, "http.server.request.body.size").is_empty());
    assert_eq!(series(&telemetry, "http.server.request.duration")[0].count, 2);
}

#[tokio::test]
async fn durations_fall_into_the_conventions_buckets_and_are_described_as_there() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), routes);
    telemetry.client().get(server.url("/orders/7")).send().await.unwrap();
    eventually("both spans", || telemetry.spans().len() == 2).await;
    let text = telemetry.prometheus().expect("metrics are made");
    let bounds = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 +Inf";
    for side in ["server", "client"] {
        let bucket = format!("http_{side}_request_duration_seconds_bucket{{");
        let buckets = text.lines().filter(|line| line.starts_with(&bucket));
        let le =
            |line: &str| line.split("le=\"").nth(1).and_then(|le| le.split('"').next()).map(str::to_owned);
        assert_eq!(buckets.filter_map(le).collect::<Vec<_>>().join(" "), bounds);
        let help = format!("# HELP http_{side}_request_duration_seconds Duration of HTTP {side} requests.");
        assert!(text.lines().any(|line| line == help), "{help}");
    }
}
