//! `otel.sdk.*`: what telemetry tells of itself.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::*;

/// The scraped series whose lines begin so, without their scope.
fn series(providers: &Providers, name: &str) -> Vec<String> {
    let text = providers.pull.as_ref().and_then(|pull| pull.scrape(Format::Text, &providers.exemplars));
    let text = text.expect("metrics are made");
    let without_scope = |line: &str| {
        let scope = "otel_scope_name=\"test\"";
        line.replace(&format!("{scope},"), "").replace(&format!(",{scope}"), "").replace(scope, "")
    };
    text.lines().filter(|line| line.starts_with(name)).map(without_scope).collect()
}

#[test]
fn telemetry_tells_of_itself_what_the_conventions_want() {
    // The first export is refused, all others hang.
    let collector = Collector::start(|earlier| match earlier {
        0 => Answer::Status("400 Bad Request"),
        _ => Answer::Hang,
    });
    let providers = start(
        &collector.endpoint(),
        &[
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
        ],
    );
    providers.observe(&providers.meter.meter("test"));
    end_spans(&providers, 2);
    assert!(providers.tracer.force_flush().is_err(), "it is refused");
    let open = providers.tracer.tracer("test").start("open");
    let remote = SpanContext::new(
        TraceId::from(1),
        SpanId::from(1),
        TraceFlags::default(),
        true,
        TraceState::default(),
    );
    let unsampled = Context::new().with_remote_span_context(remote);
    providers.tracer.tracer("test").start_with_context("below", &unsampled).end();

    let port = collector.address().port();
    let exporter = format!(
        "otel_component_name=\"otlp_http_span_exporter/0\",otel_component_type=\"otlp_http_span_exporter\",\
         server_address=\"127.0.0.1\",server_port=\"{port}\""
    );
    let processor =
        "otel_component_name=\"batching_span_processor/0\",otel_component_type=\"batching_span_processor\"";
    let label = |more: &str, rest: &str| format!("{more}{rest}");
    assert_eq!(
        series(&providers, "otel_sdk_span_started_total"),
        [
            "otel_sdk_span_started_total{otel_span_parent_origin=\"none\",otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} 3",
            "otel_sdk_span_started_total{otel_span_parent_origin=\"remote\",otel_span_sampling_result=\"DROP\"} 1",
        ]
    );
    assert_eq!(
        series(&providers, "otel_sdk_span_live"),
        ["otel_sdk_span_live{otel_span_sampling_result=\"RECORD_AND_SAMPLE\"} 1"]
    );
    let errors = label("error_type=\"400\",", &exporter);
    assert_eq!(
        series(&providers, "otel_sdk_exporter_span_exported_total"),
        [
            format!("otel_sdk_exporter_span_exported_total{{{errors}}} 2"),
            format!("otel_sdk_exporter_span_exported_total{{{exporter}}} 0"),
        ]
    );
    assert_eq!(
        series(&providers, "otel_sdk_exporter_operation_duration_seconds_count"),
        [format!(
            "otel_sdk_exporter_operation_duration_seconds_count{{error_type=\"400\",\
             http_response_status_code=\"400\",{exporter}}} 1"
        )]
    );
    assert_eq!(
        series(&providers, "otel_sdk_processor_span_queue_capacity"),
        [format!("otel_sdk_processor_span_queue_capacity{{{processor}}} 4")]
    );
    assert_eq!(
        series(&providers, "otel_sdk_processor_span_processed_total"),
        [format!("otel_sdk_processor_span_processed_total{{{processor}}} 2")]
    );

    drop(open);
    end_spans(&providers, 20);
    let dropped = providers.health().traces.expect("traces are exported").drops.queue_full;
    assert!(dropped > 0);
    let full =
        format!("otel_sdk_processor_span_processed_total{{error_type=\"queue_full\",{processor}}} {dropped}");
    assert!(series(&providers, "otel_sdk_processor_span_processed_total").contains(&full));
    providers.shutdown(Duration::from_millis(100));
}
