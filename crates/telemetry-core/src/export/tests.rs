//! The exporters against a collector on a real socket.

mod collector;
mod file;
mod grpc;
mod grpc_collector;
mod refusals;
mod sdk_metrics;
mod tls;

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue as AnyValueMessage;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar, number_data_point};

use super::*;
use crate::config::Env;
use crate::prometheus::Format;
use crate::resource::resource;
use collector::{Answer, Collector};
use grpc_collector::{GrpcAnswer, GrpcCollector};

/// Long enough for a loopback collector, short enough to see that it is kept.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a Prometheus server gets.
fn scrape(providers: &Providers) -> Option<String> {
    providers.pull.as_ref()?.scrape(Format::Text, &providers.exemplars)
}

/// Providers that send everything to `endpoint` and nothing before they are told to.
fn start(endpoint: &str, variables: &[(&str, &str)]) -> Providers {
    let quiet = [
        ("ENVIRONMENT", "test"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "3600000"),
    ];
    let mut env = Env::of(quiet.iter().chain(variables).copied());
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().expect("the variables are right");
    Providers::start(&config, &resource(&config), Parts::default()).expect("exporters start")
}

fn end_spans(providers: &Providers, count: usize) {
    let tracer = providers.tracer.tracer("test");
    for _ in 0..count {
        tracer.start("work").end();
    }
}

fn log(providers: &Providers, count: usize) {
    let logger = providers.logger.logger("test");
    for _ in 0..count {
        let mut record = logger.create_log_record();
        record.set_body(AnyValue::from("hello"));
        logger.emit(record);
    }
}

/// What is on its way ends in one of these.
fn counts(health: &SignalHealth) -> (u64, u64, u64, u64, u64) {
    (health.ended, health.exported, health.failed, health.dropped, health.queued)
}

#[test]
fn all_three_signals_arrive_with_the_resource_and_the_headers() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers =
        start(&collector.endpoint(), &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")]);
    end_spans(&providers, 10);
    log(&providers, 3);
    let orders = providers.meter.meter("test").u64_counter("orders.created").build();
    orders.add(1, &[KeyValue::new("order.type", "standard")]);

    let report = providers.shutdown(DEADLINE);

    assert!(report.is_complete(), "{report}");
    assert_eq!((report.traces.exported, report.metrics.exported, report.logs.exported), (10, 1, 3));
    let received = collector.received();
    let mut paths: Vec<&str> = received.iter().map(|request| request.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
    for request in &received {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(request.service_name().as_deref(), Some("order-service"));
        let items = if request.path == "/v1/traces" {
            10
        } else if request.path == "/v1/logs" {
            3
        } else {
            1
        };
        assert_eq!(request.items(), items, "{}", request.path);
    }
    let health = providers.health();
    assert_eq!(counts(health.traces.as_ref().expect("traces are exported")), (10, 10, 0, 0, 0));
    assert_eq!(counts(health.metrics.as_ref().expect("metrics are exported")), (1, 1, 0, 0, 0));
    assert_eq!(counts(health.logs.as_ref().expect("logs are exported")), (3, 3, 0, 0, 0));
}

#[test]
fn histograms_are_exponential_for_every_exporter_where_asked_for() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(
        &collector.endpoint(),
        &[
            ("OTEL_METRICS_EXPORTER", "otlp,console,prometheus"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
            ),
        ],
    );
    let meter = providers.meter.meter("test");
    let duration = meter.f64_histogram("duration").with_unit("s").with_boundaries(vec![1.0, 2.0]).build();
    [0.5, 1.5, 0.0].into_iter().for_each(|seconds| duration.record(seconds, &[]));
    meter.u64_counter("orders").build().add(1, &[]);
    let text = providers.pull.as_ref().and_then(|pull| pull.scrape(Format::Text, &providers.exemplars));
    let text = text.expect("metrics are made");
    assert!(text.contains("duration_seconds_count{otel_scope_name=\"test\"} 3"), "{text}");

    assert!(providers.shutdown(DEADLINE).is_complete());

    let metrics =
        collector.received()[0].metrics().resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    let data = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap();
    let Data::ExponentialHistogram(histogram) = data("duration") else { panic!("{metrics:?}") };
    let [point] = &histogram.data_points[..] else { panic!("{histogram:?}") };
    assert_eq!((point.count, point.zero_count, point.sum), (3, 1, Some(2.0)));
    assert!(matches!(data("orders"), Data::Sum(_)), "only histograms are");
}

#[test]
fn what_leaves_keeps_to_the_limits() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(
        &collector.endpoint(),
        &[
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1"),
        ],
    );
    let mut span = providers.tracer.tracer("test").start("work");
    span.set_attribute(KeyValue::new("key", "first"));
    span.set_attribute(KeyValue::new("key", "second"));
    span.end();
    let logger = providers.logger.logger("test");
    let mut record = logger.create_log_record();
    record.add_attribute("key", "größe");
    record.add_attribute("more", "text");
    logger.emit(record);

    assert!(providers.shutdown(DEADLINE).is_complete());

    let received = collector.received();
    let body = |path: &str| received.iter().find(|request| request.path == path).expect(path);
    let text = |text: &str| Some(AnyValueMessage { value: Some(Value::StringValue(text.to_owned())) });
    let spans = &body("/v1/traces").traces().resource_spans[0].scope_spans[0].spans;
    let attributes: Vec<_> =
        spans[0].attributes.iter().map(|one| (&one.key[..], one.value.clone())).collect();
    assert_eq!(attributes, [("key", text("sec"))]);
    let records = &body("/v1/logs").logs().resource_logs[0].scope_logs[0].log_records;
    let attributes: Vec<_> =
        records[0].attributes.iter().map(|one| (&one.key[..], one.value.clone())).collect();
    assert_eq!(attributes, [("key", text("grö"))]);
    assert_eq!(providers.health().limits.log_attributes_dropped, 1);
}

#[test]
fn a_metric_with_too_many_series_is_summed_up_and_told_once() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(&collector.endpoint(), &[("METRICS_CARDINALITY_LIMIT", "3")]);
    let test = crate::testing::TestTelemetry::new();
    let _tracing = test.collect_tracing();
    let meter = providers.meter.meter("test");
    let many = meter.u64_counter("many").build();
    let few = meter.f64_histogram("few").with_boundaries(vec![1.0, 2.0]).build();
    let read = || scrape(&providers).expect("metrics are made");
    for n in 0..3 {
        many.add(1, &[KeyValue::new("n", n)]);
        few.record(1.5, &[KeyValue::new("n", n)]);
    }
    assert!(!read().contains("overflow"));
    assert!(providers.health().limits.is_empty());

    for n in 3..100 {
        many.add(1, &[KeyValue::new("n", n)]);
    }
    let text = read();
    assert!(
        text.contains("many_total{otel_metric_overflow=\"true\",otel_scope_name=\"test\"} 97\n"),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.starts_with("many_total{")).count(), 4);
    // The limit leaves an instrument its buckets.
    assert!(text.contains("few_bucket{n=\"1\",otel_scope_name=\"test\",le=\"2\"} 1\n"), "{text}");
    read();
    assert!(providers.shutdown(DEADLINE).is_complete());

    assert_eq!(providers.health().limits.metrics_overflowing, ["many"]);
    let told: Vec<_> = test.logs().into_iter().filter(|log| log.body.contains("told once")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let json = serde_json::to_value(providers.health()).expect("health is JSON");
    assert_eq!(json["limits"]["metrics_overflowing"][0], "many");
}

#[test]
fn a_histogram_points_to_the_traces_of_its_measurements() {
    // One of each bucket, and of what failed; each is told once.
    let sampled = vec![(1, 0.5, true), (1, 1.5, true), (2, 0.7, true)];
    let next = vec![(1, 1.2, true)];
    assert_eq!(exemplars(&[]), [sampled.clone(), next.clone()]);
    let json = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    assert_eq!(exemplars(&json), [sampled, next.clone()]);
    let all = vec![(1, 0.1, false), (1, 1.5, true), (2, 0.7, true)];
    assert_eq!(exemplars(&[("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")]), [all, next]);
    assert_eq!(exemplars(&[("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")]), [vec![], vec![]]);
    assert_eq!(exemplars(&[("OTEL_TRACES_SAMPLER", "always_off")]), [vec![], vec![]]);
}

/// The exemplars of two exports with measurements before each: by how many attributes their point has, their
/// value, and whether they tell the trace.
fn exemplars(variables: &[(&str, &str)]) -> Vec<Vec<(usize, f64, bool)>> {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(&collector.endpoint(), variables);
    let meter = providers.meter.meter("test");
    let histogram = meter.f64_histogram("work").with_boundaries(vec![1.0, 2.0]).build();
    let [histogram, same] = [(); 2].map(|()| providers.exemplars.of(histogram.clone(), "work", &[1.0, 2.0]));
    let good = [KeyValue::new("route", "/")];
    let bad = [KeyValue::new("route", "/"), KeyValue::new("error.type", "500")];
    histogram.record(0.1, &good);
    let context = opentelemetry::Context::new().with_span(providers.tracer.tracer("test").start("work"));
    let attached = context.clone().attach();
    [0.5, 0.6, 1.0, 1.5].into_iter().for_each(|value| histogram.record(value, &good));
    same.record(0.7, &bad);
    same.record(1.6, &good);
    providers.meter.force_flush().expect("the collector takes it");
    histogram.record(1.2, &good);
    drop(attached);
    context.span().end();
    assert!(providers.shutdown(DEADLINE).is_complete());

    let span = context.span().span_context().clone();
    let read = |exemplar: &Exemplar| {
        let Some(exemplar::Value::AsDouble(value)) = exemplar.value else { panic!("{exemplar:?}") };
        let ids = (&exemplar.trace_id[..], &exemplar.span_id[..]);
        let is_traced = ids == (&span.trace_id().to_bytes(), &span.span_id().to_bytes());
        assert!(is_traced || ids == (&[], &[]), "{exemplar:?}");
        (value, is_traced, exemplar.time_unix_nano)
    };
    let received = collector.received().into_iter().filter(|request| request.path == "/v1/metrics");
    let exports = received.zip([true, false]).map(|(request, is_first)| {
        let request = match request.header("content-type") {
            Some("application/json") => serde_json::from_slice(&request.body).expect("the body is JSON"),
            _ => request.metrics(),
        };
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
        assert_eq!(
            histogram.data_points.iter().map(|point| point.count).sum::<u64>(),
            if is_first { 7 } else { 8 }
        );
        let mut told = Vec::new();
        for point in &histogram.data_points {
            for (value, is_traced, time) in point.exemplars.iter().map(read) {
                assert!((1..=point.time_unix_nano).contains(&time));
                told.push((point.attributes.len(), value, is_traced));
            }
        }
        told.sort_by(|one, other| one.partial_cmp(other).expect("no value is NaN"));
        told
    });
    exports.collect()
}

#[test]
fn exports_can_be_json_and_compressed() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(
        &collector.endpoint(),
        &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")],
    );
    end_spans(&providers, 2);
    assert!(providers.shutdown(DEADLINE).is_complete());
    let received = collector.received();
    assert_eq!(received[0].header("content-type"), Some("application/json"));
    assert_eq!(received[0].header("content-encoding"), Some("gzip"));
    let body: serde_json::Value = serde_json::from_slice(&received[0].body).expect("the body is JSON");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().map(Vec::len), Some(2));
}

#[test]
fn json_is_that_of_otlp() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(&collector.endpoint(), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
    let mut span = providers.tracer.tracer("test").start("work");
    span.set_attribute(KeyValue::new("number", i64::MAX));
    span.set_attribute(KeyValue::new("ratio", 0.5));
    span.end();
    let context = span.span_context().clone();
    let logger = providers.logger.logger("test");
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::Bytes(Box::new(vec![0xFB, 0xFF])));
    logger.emit(record);
    let meter = providers.meter.meter("test");
    meter.u64_counter("orders").build().add(7, &[]);
    meter.f64_histogram("work").with_boundaries(vec![1.0]).build().record(0.5, &[]);
    assert!(providers.shutdown(DEADLINE).is_complete());

    let received = collector.received();
    let body = |path: &str| -> serde_json::Value {
        let request = received.iter().find(|request| request.path == path).expect(path);
        serde_json::from_slice(&request.body).expect("the body is JSON")
    };
    // Ids in hexadecimal, 64-bit integers as text, enums as numbers, bytes in base64, names in camel case.
    let span = &body("/v1/traces")["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], context.trace_id().to_string());
    assert_eq!(span["spanId"], context.span_id().to_string());
    assert!(span["startTimeUnixNano"].as_str().is_some_and(|time| time.parse::<u64>().is_ok()), "{span}");
    assert_eq!(span["kind"], 1);
    assert_eq!(span["attributes"][0]["value"]["intValue"], i64::MAX.to_string());
    assert_eq!(span["attributes"][1]["value"]["doubleValue"], 0.5);
    let record = &body("/v1/logs")["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["body"]["bytesValue"], "+/8=");
    let metrics = body("/v1/metrics");
    let metrics = metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().expect("metrics");
    let metric = |name: &str| metrics.iter().find(|metric| metric["name"] == name).expect("it is there");
    assert_eq!(metric("orders")["sum"]["dataPoints"][0]["asInt"], "7");
    assert_eq!(metric("orders")["sum"]["aggregationTemporality"], 2);
    let point = &metric("work")["histogram"]["dataPoints"][0];
    assert_eq!((&point["count"], &point["bucketCounts"]), (&"1".into(), &serde_json::json!(["1", "0"])));
    assert_eq!(point["explicitBounds"], serde_json::json!([1.0]));
}

#[test]
fn a_signal_may_go_to_a_place_of_its_own_and_to_the_console_too() {
    let (general, own) = (Collector::start(|_| Answer::Accept), Collector::start(|_| Answer::Accept));
    let traces = format!("{}/custom", own.endpoint());
    let providers = start(
        &general.endpoint(),
        &[
            ("OTEL_TRACES_EXPORTER", "console,otlp"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces),
        ],
    );
    end_spans(&providers, 1);
    log(&providers, 1);
    let report = providers.shutdown(DEADLINE);
    assert!(report.is_complete(), "{report}");
    assert_eq!(own.received()[0].path, "/custom");
    assert_eq!(general.received()[0].path, "/v1/logs");
    assert_eq!(providers.health().metrics, None);
}

#[test]
fn a_collector_that_says_503_is_tried_again_and_then_counted_as_failed() {
    let collector = Collector::start(|_| Answer::Status("503 Service Unavailable"));
    let providers = start(
        &collector.endpoint(),
        &[("OTEL_LOGS_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")],
    );
    end_spans(&providers, 7);

    let report = providers.shutdown(DEADLINE);

    assert!(!report.is_complete());
    assert!(!report.traces.timed_out);
    assert_eq!((report.traces.exported, report.traces.failed, report.traces.dropped), (0, 7, 0));
    assert_eq!(report.traces.lost, 7);
    assert!(collector.received().len() > 1, "it was tried again");
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(counts(&health), (7, 0, 7, 0, 0));
    assert_eq!(health.failures.retries_exhausted, 7);
    assert_eq!(health.last_error.map(|error| error.message).as_deref(), Some("HTTP 503 Service Unavailable"));
    assert!(!health.healthy && health.retried > 0);
}

#[test]
fn a_collector_that_recovers_gets_what_waits() {
    let collector = Collector::start(|earlier| match earlier {
        0 => Answer::Status("503 Service Unavailable"),
        _ => Answer::Accept,
    });
    let providers = start(&collector.endpoint(), &[]);
    end_spans(&providers, 4);
    let report = providers.shutdown(DEADLINE);
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.traces.exported, 4);
}

#[test]
fn what_a_collector_refuses_of_an_export_is_counted_as_failed() {
    let collector = Collector::start(|_| Answer::Refuse(2, "too old"));
    let providers = start(&collector.endpoint(), &[]);
    end_spans(&providers, 5);
    let report = providers.shutdown(DEADLINE);
    assert!(!report.is_complete());
    assert_eq!((report.traces.exported, report.traces.failed), (3, 2));
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.failures.partly_rejected, 2);
    assert_eq!(health.last_error.map(|error| error.message).as_deref(), Some("too old"));
}

#[test]
fn a_hanging_collector_costs_the_deadline_and_no_more() {
    let collector = Collector::start(|_| Answer::Hang);
    let providers = start(&collector.endpoint(), &[]);
    end_spans(&providers, 6);
    log(&providers, 2);
    let start = Instant::now();

    let report = providers.shutdown(Duration::from_millis(300));

    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert!(report.traces.timed_out && report.logs.timed_out);
    assert_eq!((report.traces.exported, report.traces.failed, report.traces.dropped), (0, 0, 6));
    assert_eq!((report.logs.exported, report.logs.failed, report.logs.dropped), (0, 0, 2));
    assert!(!report.is_complete());
    assert!(
        report.to_string().contains("; traces: 0 exported, 6 dropped (shutdown), timed out; "),
        "{report}"
    );
    // The requests under way are cut, so nothing goes on behind the report's back.
    collector.wait_until_hung_up(2);
}

#[test]
fn an_export_ends_with_its_timeout() {
    let collector = Collector::start(|_| Answer::Hang);
    let providers = start(&collector.endpoint(), &[("OTEL_EXPORTER_OTLP_TIMEOUT", "200")]);
    end_spans(&providers, 3);
    let report = providers.shutdown(DEADLINE);
    assert!(!report.traces.timed_out, "{report}");
    assert_eq!((report.traces.failed, report.traces.dropped), (3, 0));
    assert!(report.took < Duration::from_secs(2), "{report}");
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.failures.timeout, 3);
    assert!(health.last_error.expect("it failed").message.contains("timed out"));
}

#[test]
fn a_collector_that_is_not_there_is_told_by_its_reason() {
    let endpoint = Collector::nowhere();
    let providers = start(&endpoint, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]);
    end_spans(&providers, 3);
    let report = providers.shutdown(DEADLINE);
    assert_eq!((report.traces.exported, report.traces.failed, report.traces.dropped), (0, 3, 0));
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.failures.unreachable, 3);
    let error = health.last_error.expect("it failed").message;
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_full_queue_drops_and_counts_every_span() {
    let collector = Collector::start(|_| Answer::Hang);
    let providers = start(
        &collector.endpoint(),
        &[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")],
    );
    end_spans(&providers, 100);
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.ended, 100);
    assert_eq!(health.exported + health.failed + health.dropped + health.queued, 100);
    // Ten wait, and at most one batch is with the collector.
    assert!((85..=90).contains(&health.dropped), "{health:?}");

    let report = providers.shutdown(Duration::from_millis(200));
    assert_eq!(report.traces.exported + report.traces.failed + report.traces.dropped, 100);
    assert_eq!(report.traces.lost, 100 - health.dropped, "what was lost before does not count");
}

#[test]
fn shutdown_works_on_the_only_thread_of_a_runtime() {
    let collector = Collector::start(|_| Answer::Accept);
    let grpc = GrpcCollector::start(|_| GrpcAnswer::Accept);
    for (endpoint, protocol) in [(collector.endpoint(), "http/protobuf"), (grpc.endpoint(), "grpc")] {
        let report = actix_web::rt::System::new().block_on(async {
            let providers = start(&endpoint, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
            end_spans(&providers, 10);
            log(&providers, 1);
            let report = providers.shutdown(DEADLINE);
            drop(providers);
            report
        });
        assert!(report.is_complete(), "{report}");
        assert_eq!((report.traces.exported, report.logs.exported), (10, 1));
    }
}

#[test]
fn a_second_shutdown_says_the_same_and_waits_for_nothing() {
    let collector = Collector::start(|_| Answer::Hang);
    let providers = start(&collector.endpoint(), &[]);
    end_spans(&providers, 2);
    let first = providers.shutdown(Duration::from_millis(100));
    let second = providers.shutdown(DEADLINE);
    assert_eq!(first.traces.dropped, 2);
    assert_eq!((second.traces.dropped + second.traces.failed, second.traces.lost), (2, 0));
    assert!(second.took < Duration::from_secs(1), "{second}");
}

#[test]
fn a_disabled_sdk_records_and_exports_nothing() {
    let providers = start(&Collector::nowhere(), &[("OTEL_SDK_DISABLED", "true")]);
    let span = providers.tracer.tracer("test").start("work");
    assert!(!span.is_recording());
    drop(span);
    log(&providers, 1);
    let report = providers.shutdown(DEADLINE);
    assert!(report.is_complete(), "{report}");
    let health = providers.health();
    assert_eq!((health.traces, health.metrics, health.logs), (None, None, None));
}

#[test]
fn what_the_sampler_leaves_out_is_not_counted() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(&collector.endpoint(), &[("OTEL_TRACES_SAMPLER", "always_off")]);
    end_spans(&providers, 5);
    assert!(providers.shutdown(DEADLINE).is_complete());
    assert_eq!(providers.health().traces.expect("traces are exported").ended, 0);
    assert!(collector.received().is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an export belongs to no trace")]
fn the_thread_of_exports_makes_no_telemetry_of_its_own() {
    install_crypto_provider();
    let connection = Connection::open().expect("the thread starts");
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    connection.runtime().spawn(async move {
        let blocking = tokio::runtime::Handle::current()
            .spawn_blocking(opentelemetry::Context::is_current_telemetry_suppressed);
        let here = opentelemetry::Context::is_current_telemetry_suppressed();
        let _ = sender.send((here, blocking.await.expect("no panic")));
    });
    assert_eq!(receiver.recv_timeout(DEADLINE), Ok((true, true)));
}

#[test]
fn metrics_can_be_fetched_beside_every_exporter_and_not_without_metrics() {
    let collector = Collector::start(|_| Answer::Accept);
    let fetched = |variables: &[(&str, &str)]| {
        let providers = start(&collector.endpoint(), variables);
        providers.meter.meter("test").u64_counter("orders").build().add(3, &[]);
        let text = scrape(&providers);
        assert!(providers.shutdown(DEADLINE).is_complete());
        assert_eq!(scrape(&providers), None, "after the shutdown");
        text
    };
    let exporters = ["prometheus", "console", "otlp", "otlp,prometheus,console"];
    for (exporter, temporality) in exporters.iter().flat_map(|one| [(one, "delta"), (one, "cumulative")]) {
        let text = fetched(&[
            ("OTEL_METRICS_EXPORTER", exporter),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality),
        ]);
        let text = text.expect("metrics are made");
        assert!(text.contains("orders_total{otel_scope_name=\"test\"} 3\n"), "{exporter}: {text}");
        assert!(text.starts_with("# HELP target_info Target metadata\n"), "{exporter}: {text}");
        assert_eq!(text.matches("service_name=\"order-service\"").count(), 1, "{exporter}: {text}");
    }
    assert_eq!(fetched(&[("OTEL_METRICS_EXPORTER", "none")]), None);
    assert_eq!(fetched(&[("OTEL_SDK_DISABLED", "true")]), None);
}

fn sum_of_orders(request: &ExportMetricsServiceRequest) -> i64 {
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{} is no sum", metric.name) };
    sum.data_points
        .iter()
        .map(|point| match point.value {
            Some(number_data_point::Value::AsInt(value)) => value,
            ref other => panic!("{other:?} is no integer"),
        })
        .sum()
}

#[test]
fn what_is_fetched_is_the_sum_whatever_was_exported_before() {
    for temporality in ["cumulative", "delta"] {
        let collector = Collector::start(|_| Answer::Accept);
        let providers = start(
            &collector.endpoint(),
            &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)],
        );
        let orders = providers.meter.meter("test").u64_counter("orders").build();
        let of = orders.bind(&[KeyValue::new("kind", "bound")]);
        for round in 1..=3 {
            orders.add(1, &[]);
            of.add(2);
            providers.meter.force_flush().expect("the collector is there");
            let text = scrape(&providers).expect("metrics are made");
            for (labels, sum) in [("", round), ("kind=\"bound\",", 2 * round)] {
                let line = format!("orders_total{{{labels}otel_scope_name=\"test\"}} {sum}\n");
                assert!(text.contains(&line), "{temporality}, {line}: {text}");
            }
        }
        assert!(providers.shutdown(DEADLINE).is_complete());
        let received = collector.received();
        let metrics = received.iter().filter(|request| request.path == "/v1/metrics");
        let sums: Vec<i64> = metrics.map(|request| sum_of_orders(&request.metrics())).collect();
        assert_eq!(sums[..3], if temporality == "delta" { [3, 3, 3] } else { [3, 6, 9] });
    }
}

#[test]
fn health_is_json_for_the_signals_that_are_exported() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers =
        start(&collector.endpoint(), &[("OTEL_METRICS_EXPORTER", "console"), ("OTEL_LOGS_EXPORTER", "none")]);
    end_spans(&providers, 1);
    providers.shutdown(DEADLINE);
    assert_eq!(
        serde_json::to_value(providers.health()).expect("health is plain data"),
        serde_json::json!({"traces": {
            "ended": 1, "exported": 1, "failed": 0, "dropped": 0, "queued": 0,
            "queue_capacity": 2048, "retried": 0, "healthy": true, "last_error": null,
        }})
    );
}
