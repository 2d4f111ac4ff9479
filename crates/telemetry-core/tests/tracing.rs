//! `tracing` in the application: its spans join the trace, its events are log records in it.

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemetry_core::testing::{TestTelemetry, span};
use telemetry_core::{context, opentelemetry};

#[tracing::instrument(name = "create_order", skip_all, fields(order.quantity = quantity))]
async fn create_order(quantity: i64, password: &str) {
    let _ = password;
    telemetry_core::span::set_attribute("order.amount", 1250_i64);
    tokio::task::yield_now().await;
    tracing::info!(order.id = "o-1", "order placed");
    context::blocking(|| {
        let _span = tracing::info_span!("inside").entered();
    })
    .await;
}

#[tracing::instrument(err)]
fn refuse() -> Result<(), std::fmt::Error> {
    Err(std::fmt::Error)
}

#[tokio::test]
async fn spans_nest_either_way_round_and_keep_types() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let cx = Context::new().with_span(telemetry.tracer().start("GET /orders"));
    opentelemetry::context::FutureExt::with_context(create_order(2, "hunter2"), cx.clone()).await;
    cx.span().end();
    assert_eq!(
        telemetry.trees(),
        [span("GET /orders", SpanKind::Internal).child(
            span("create_order", SpanKind::Internal)
                .attribute("order.quantity", 2_i64)
                .attribute("order.amount", 1250_i64)
                .child(span("inside", SpanKind::Internal))
        )]
    );
    telemetry.assert_absent("hunter2");
}

#[tokio::test]
async fn an_event_is_a_log_record_of_the_current_span_and_no_span_event() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    create_order(1, "").await;
    let [record] = telemetry.log_records().try_into().expect("one record");
    let spans = telemetry.spans();
    let span = spans.iter().find(|span| span.name == "create_order").expect("the function's span");
    let trace = record.trace_context().expect("the record knows its trace");
    assert_eq!(trace.trace_id, span.span_context.trace_id());
    assert_eq!(trace.span_id, span.span_context.span_id());
    assert!(spans.iter().all(|span| span.events.is_empty()));
}

#[test]
fn instrument_err_marks_the_span_as_failed() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    refuse().unwrap_err();
    let [tree] = telemetry.trees().try_into().expect("one tree");
    assert!(matches!(tree.status, Status::Error { .. }), "{tree:?}");
}

#[test]
fn the_export_paths_own_spans_and_events_are_not_exported() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let _span = tracing::info_span!(target: "hyper::client", "connect").entered();
    tracing::error!(target: "opentelemetry_sdk", "exporting");
    tracing::error!(target: "reqwest::connect", "exporting");
    drop(_span);
    assert!(telemetry.spans().is_empty());
    assert!(telemetry.log_records().is_empty());
}

#[test]
fn an_error_has_its_chain_and_a_safe_status() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot store the order")]
    struct StoreError(#[source] std::io::Error);
    let telemetry = TestTelemetry::new();
    telemetry.tracer().in_span("store", |_| {
        let error = StoreError(std::io::Error::other("disk full"));
        telemetry_core::span::record_error(&error, "store_failed");
    });
    assert_eq!(
        telemetry.trees(),
        [span("store", SpanKind::Internal)
            .status(Status::error("store_failed"))
            .attribute("error.type", "store_failed")
            .event(
                "exception",
                [
                    KeyValue::new("exception.type", std::any::type_name::<StoreError>()),
                    KeyValue::new("exception.message", "cannot store the order"),
                    KeyValue::new("exception.stacktrace", "cannot store the order\ncaused by: disk full"),
                ]
            )]
    );
}

#[test]
fn later_work_links_to_the_span_that_was_stored() {
    let telemetry = TestTelemetry::new();
    let stored = telemetry.tracer().in_span("ask", |_| telemetry_core::span::traceparent().unwrap());
    telemetry.tracer().in_span("recover", |_| {
        telemetry_core::span::link_to(&stored);
        telemetry_core::span::link_to("not a traceparent");
    });
    let spans = telemetry.spans();
    let [ask, recover] = &spans[..] else { panic!("two spans: {spans:?}") };
    let [link] = &recover.links[..] else { panic!("one link: {:?}", recover.links) };
    assert_eq!(link.span_context.span_id(), ask.span_context.span_id());
    assert_eq!(link.span_context.trace_id(), ask.span_context.trace_id());
    assert_ne!(recover.span_context.trace_id(), ask.span_context.trace_id());
}

#[test]
fn a_record_has_its_events_fields_by_their_types_and_its_place_in_the_source() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let _span = tracing::info_span!("order", customer.email = "ann@example.org").entered();
    let line = line!() + 1;
    tracing::warn!(
        signed = -1_i64,
        unsigned = 7_u64,
        huge = u64::MAX,
        wide = i128::from(i64::MIN),
        wider = u128::MAX,
        ratio = 0.5,
        is_paid = true,
        text = "text",
        shown = %1.5,
        debugged = ?Some(1),
        "order {}",
        "placed"
    );
    let [record] = telemetry.log_records().try_into().expect("one record");
    let attributes: Vec<(String, AnyValue)> =
        record.attributes_iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    let expected = [
        ("signed", AnyValue::Int(-1)),
        ("unsigned", AnyValue::Int(7)),
        ("huge", "18446744073709551615".into()),
        ("wide", AnyValue::Int(i64::MIN)),
        ("wider", "340282366920938463463374607431768211455".into()),
        ("ratio", AnyValue::Double(0.5)),
        ("is_paid", AnyValue::Boolean(true)),
        ("text", "text".into()),
        ("shown", "1.5".into()),
        ("debugged", "Some(1)".into()),
        ("code.file.path", file!().into()),
        ("code.line.number", AnyValue::Int(line.into())),
    ];
    assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value)));
    assert_eq!(record.body(), Some(&AnyValue::from("order placed")));
    assert_eq!((record.severity_text(), record.severity_number()), (Some("WARN"), Some(Severity::Warn)));
    assert_eq!(record.target().map(AsRef::as_ref), Some(module_path!()));
    assert_eq!(record.event_name(), None, "nobody gave it a name");
    assert!(record.timestamp().is_some() && record.timestamp() <= record.observed_timestamp());
    // A record tells what its event names, and nothing of the span's fields.
    assert!(!format!("{:?}", telemetry.log_records()).contains("ann@example.org"));
}

#[test]
fn an_event_that_has_a_name_keeps_it() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    tracing::info!(name: "order.placed", { order.id = "o-1" }, "placed");
    assert_eq!(telemetry.log_records()[0].event_name(), Some("order.placed"));
}

#[test]
fn an_error_is_the_records_exception_and_quotes_nothing() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot store the order")]
    struct StoreError(#[source] diesel::result::Error);
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let quoting = diesel::result::Error::QueryBuilderError("'ann@example.org' is no number".into());
    let error = StoreError(quoting);
    let other = std::io::Error::other("disk full");
    tracing::error!(
        error = &error as &(dyn std::error::Error + 'static),
        other = &other as &(dyn std::error::Error + 'static),
        "failed"
    );
    let [record] = telemetry.log_records().try_into().expect("one record");
    let text = |key: &str| {
        let value = record.attributes_iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value);
        match value {
            Some(AnyValue::String(text)) => text.as_str(),
            other => panic!("{key}: {other:?}"),
        }
    };
    assert_eq!(text("exception.message"), "cannot store the order");
    assert!(text("exception.stacktrace").starts_with("cannot store the order\ncaused by: "));
    assert_eq!(text("other"), "disk full");
    telemetry.assert_absent("ann@example.org");
}
