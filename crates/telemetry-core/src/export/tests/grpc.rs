//! OTLP over gRPC: what arrives, and every way in which it may not.

use base64::Engine as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::*;

const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

/// Sends three spans to a collector; what it got, and the health after.
fn answered(
    variables: &[(&str, &str)],
    answer: impl Fn(usize) -> GrpcAnswer + Send + Sync + 'static,
) -> (Vec<grpc_collector::Call>, SignalHealth) {
    let collector = GrpcCollector::start(answer);
    let mut variables = variables.to_vec();
    variables.extend([GRPC, ("OTEL_LOGS_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")]);
    let providers = start(&collector.endpoint(), &variables);
    end_spans(&providers, 3);
    let report = providers.shutdown(DEADLINE);
    assert!(!report.traces.timed_out, "{report}");
    let health = providers.health().traces.expect("traces are exported");
    assert_eq!(health.ended, health.exported + health.failed + health.dropped + health.queued);
    (collector.calls(), health)
}

fn message(health: &SignalHealth) -> &str {
    &health.last_error.as_ref().expect("it failed").message
}

#[test]
fn all_three_signals_arrive_with_the_headers_as_metadata() {
    for compression in ["none", "gzip"] {
        let collector = GrpcCollector::start(|_| GrpcAnswer::Accept);
        let variables = [
            GRPC,
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
        ];
        let providers = start(&collector.endpoint(), &variables);
        end_spans(&providers, 10);
        log(&providers, 3);
        providers.meter.meter("test").u64_counter("orders.created").build().add(1, &[]);

        let report = providers.shutdown(DEADLINE);

        assert!(report.is_complete(), "{report}");
        assert_eq!((report.traces.exported, report.metrics.exported, report.logs.exported), (10, 1, 3));
        let calls = collector.calls();
        assert_eq!(calls.len(), 3);
        for call in &calls {
            assert_eq!(call.header("authorization"), Some("Bearer secret"));
            assert_eq!(call.header("content-type"), Some("application/grpc"));
            assert_eq!(call.header("te"), Some("trailers"));
            assert_eq!(call.header("grpc-encoding"), (compression == "gzip").then_some("gzip"));
            let timeout = call.header("grpc-timeout").expect("the collector knows how long it has");
            assert!(timeout.ends_with('m'), "{timeout}");
        }
        let call = |service: &str| {
            let path = format!("/opentelemetry.proto.collector.{service}/Export");
            calls.iter().find(|call| call.path == path).expect(service)
        };
        let traces: ExportTraceServiceRequest = call("trace.v1.TraceService").message();
        assert_eq!(traces.resource_spans[0].scope_spans[0].spans.len(), 10);
        let metrics: ExportMetricsServiceRequest = call("metrics.v1.MetricsService").message();
        assert_eq!(metrics.resource_metrics[0].scope_metrics[0].metrics[0].name, "orders.created");
        let logs: ExportLogsServiceRequest = call("logs.v1.LogsService").message();
        assert_eq!(logs.resource_logs[0].scope_logs[0].log_records.len(), 3);
    }
}

#[test]
fn a_collector_that_cannot_now_is_tried_again() {
    for code in [1, 4, 10, 11, 14, 15] {
        let (calls, health) = answered(&[], move |earlier| match earlier {
            0 => GrpcAnswer::Status(code, "not%20now", Vec::new()),
            _ => GrpcAnswer::Accept,
        });
        assert_eq!((calls.len(), health.exported, health.retried), (2, 3, 1), "{code}");
    }
}

#[test]
fn a_call_that_is_refused_for_good_is_not_sent_again_and_told_in_the_collectors_words() {
    let (calls, health) = answered(&[], |_| GrpcAnswer::Status(16, "unknown%20API key", Vec::new()));
    assert_eq!((calls.len(), health.failures.rejected, health.retried), (1, 3, 0));
    assert_eq!(message(&health), "gRPC UNAUTHENTICATED: unknown API key");
    // Nothing says when there would be room again.
    let (calls, health) = answered(&[], |_| GrpcAnswer::Status(8, "", Vec::new()));
    assert_eq!((calls.len(), health.failures.rejected), (1, 3));
    assert_eq!(message(&health), "gRPC RESOURCE_EXHAUSTED");
}

#[test]
fn the_pause_that_a_collector_asks_for_is_kept() {
    // google.rpc.Status { code: 8, details: [RetryInfo { retry_delay: 1 s }] }
    let type_url = b"type.googleapis.com/google.rpc.RetryInfo";
    let mut any = vec![0x0A, type_url.len() as u8];
    any.extend_from_slice(type_url);
    any.extend_from_slice(&[0x12, 4, 0x0A, 2, 0x08, 1]);
    let mut details = vec![0x08, 8, 0x1A, any.len() as u8];
    details.extend_from_slice(&any);
    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);

    let (calls, health) = answered(&[], move |earlier| match earlier {
        0 => GrpcAnswer::Status(8, "busy", vec![("grpc-status-details-bin", details.clone())]),
        _ => GrpcAnswer::Accept,
    });
    assert_eq!((health.exported, health.retried), (3, 1));
    let [first, second] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert!(second.time - first.time >= Duration::from_secs(1));
}

#[test]
fn what_a_collector_refuses_of_a_call_is_counted_as_failed() {
    let (_, health) = answered(&[], |_| GrpcAnswer::Refuse(2, "too old"));
    assert_eq!((health.exported, health.failed, health.failures.partly_rejected), (1, 2, 2));
    assert_eq!(message(&health), "too old");
}

#[test]
fn a_connection_that_breaks_before_the_end_of_an_answer_is_tried_again() {
    let (calls, health) = answered(&[], |earlier| match earlier {
        0 => GrpcAnswer::Cut,
        1 => GrpcAnswer::NoEnd,
        _ => GrpcAnswer::Accept,
    });
    assert_eq!((calls.len(), health.exported, health.retried), (3, 3, 2));
}

#[test]
fn what_is_no_collector_of_grpc_is_told() {
    let (calls, health) = answered(&[], |_| GrpcAnswer::Http(404));
    assert_eq!((calls.len(), health.failures.rejected), (1, 3));
    assert_eq!(message(&health), "gRPC UNIMPLEMENTED: HTTP 404 Not Found, not an answer of gRPC");
    let (calls, health) = answered(&[], |earlier| match earlier {
        0 => GrpcAnswer::Http(503),
        _ => GrpcAnswer::Accept,
    });
    assert_eq!((calls.len(), health.exported), (2, 3));
}

#[test]
fn a_collector_of_http_is_told_where_grpc_is_spoken_to_it() {
    let collector = Collector::start(|_| Answer::Accept);
    let providers = start(&collector.endpoint(), &[GRPC, ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")]);
    end_spans(&providers, 3);
    let report = providers.shutdown(DEADLINE);
    assert_eq!((report.traces.exported, report.traces.failed), (0, 3), "{report}");
}

#[test]
fn a_hanging_collector_costs_the_deadline_and_no_more() {
    let collector = GrpcCollector::start(|_| GrpcAnswer::Hang);
    let providers = start(&collector.endpoint(), &[GRPC]);
    end_spans(&providers, 6);
    log(&providers, 2);

    let report = providers.shutdown(Duration::from_millis(300));

    assert!(report.traces.timed_out && report.logs.timed_out, "{report}");
    assert_eq!((report.traces.drops.shutdown, report.logs.drops.shutdown), (6, 2));
    // The calls under way are cut, so nothing goes on behind the report's back.
    collector.wait_until_given_up(2);
}
