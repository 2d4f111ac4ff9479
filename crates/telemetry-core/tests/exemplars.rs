//! From the metrics of a request to its trace, as a collector and a Prometheus server get them. This file is a process
//! of its own, with one test.

#[path = "../src/export/tests/collector.rs"]
#[expect(dead_code, reason = "the exporters' own tests use more of it")]
mod collector;
mod support;

use std::time::Duration;

use actix_web::web;
use diesel::prelude::*;
use diesel::r2d2::ConnectionManager;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use support::{TestServer, eventually};
use telemetry_core::Config;
use telemetry_core::config::Env;
use telemetry_core::db::{Database, PoolOptions};
use telemetry_core::prometheus::Format;

use collector::{Answer, Collector};

#[actix_web::test]
async fn durations_lead_to_the_spans_that_took_them() {
    let collector = Collector::start(|_| Answer::Accept);
    let mut env = Env::of([
        ("ENVIRONMENT", "test"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
        ("RUST_LOG", "warn"),
    ]);
    let config = Config::read("test-service", "1.2.3", &mut env);
    env.finish().unwrap();
    let telemetry = telemetry_core::init(config).unwrap();
    let url = "sqlite://:memory:";
    let manager = ConnectionManager::<SqliteConnection>::new(url);
    let options = PoolOptions { max_size: 1, ..PoolOptions::default() };
    let pool = telemetry.pool(manager, Database::from_url(url).unwrap(), options).unwrap();
    let server = TestServer::start(telemetry.clone(), move |config| {
        let pool = pool.clone();
        let orders = move || {
            let pool = pool.clone();
            async move {
                let query =
                    |connection: &mut SqliteConnection| diesel::sql_query("SELECT 1").execute(connection);
                pool.run(query).await.unwrap().unwrap();
                "orders"
            }
        };
        config.route("/orders", web::get().to(orders));
    });
    let answer = telemetry.client().get(server.url("/orders")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "orders");
    let ended = || telemetry.export_health().traces.is_some_and(|traces| traces.ended == 3);
    eventually("all spans have ended", ended).await;
    let text = telemetry.scrape(Format::OpenMetrics).unwrap();
    assert!(telemetry.shutdown(Duration::from_secs(10)).is_complete());

    let received = collector.received();
    let body = |path: &str| received.iter().find(|request| request.path == path).expect(path);
    let spans = body("/v1/traces").traces().resource_spans.remove(0).scope_spans.remove(0).spans;
    let metrics = body("/v1/metrics").metrics().resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (metric, span) in [
        ("http.server.request.duration", "GET /orders"),
        ("http.client.request.duration", "GET"),
        ("db.client.operation.duration", "SELECT"),
    ] {
        let span = spans.iter().find(|own| own.name == span).unwrap();
        let point = metrics.iter().find(|own| own.name == metric).unwrap();
        let Some(Data::Histogram(histogram)) = &point.data else { panic!("{point:?}") };
        let [point] = &histogram.data_points[..] else { panic!("{point:?}") };
        let [exemplar] = &point.exemplars[..] else { panic!("{point:?}") };
        assert_eq!((&exemplar.trace_id, &exemplar.span_id), (&span.trace_id, &span.span_id), "{metric}");

        let bucket = format!("{}_seconds_bucket{{", metric.replace('.', "_"));
        let ids = format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} ", hex(&span.trace_id), hex(&span.span_id));
        let told = text.lines().filter(|line| line.starts_with(&bucket) && line.contains(&ids)).count();
        assert_eq!(told, 1, "{bucket} {ids} in {text}");
    }
}
