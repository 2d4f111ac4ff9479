//! From the metrics of a request to its trace, as a collector gets both. This file is a process of its own, with one
//! test.

#[path = "../src/export/tests/collector.rs"]
#[expect(dead_code, reason = "the exporters' own tests use more of it")]
mod collector;
mod support;

use std::time::Duration;

use actix_web::web;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use support::{TestServer, eventually};
use telemetry_core::Config;
use telemetry_core::config::Env;

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
    let server = TestServer::start(telemetry.clone(), |config| {
        config.route("/orders", web::get().to(async || "orders"));
    });
    let answer = telemetry.client().get(server.url("/orders")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "orders");
    let ended = || telemetry.export_health().traces.is_some_and(|traces| traces.ended == 2);
    eventually("both spans have ended", ended).await;
    assert!(telemetry.shutdown(Duration::from_secs(10)).is_complete());

    let received = collector.received();
    let body = |path: &str| received.iter().find(|request| request.path == path).expect(path);
    let spans = body("/v1/traces").traces().resource_spans.remove(0).scope_spans.remove(0).spans;
    let metrics = body("/v1/metrics").metrics().resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    for (metric, kind) in [("http.server.request.duration", 2), ("http.client.request.duration", 3)] {
        let span = spans.iter().find(|span| span.kind == kind).unwrap();
        let metric = metrics.iter().find(|own| own.name == metric).unwrap();
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        let [point] = &histogram.data_points[..] else { panic!("{metric:?}") };
        let [exemplar] = &point.exemplars[..] else { panic!("{metric:?}") };
        assert_eq!((&exemplar.trace_id, &exemplar.span_id), (&span.trace_id, &span.span_id), "{metric:?}");
    }
}
