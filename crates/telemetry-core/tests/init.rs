//! The one call: what it sets up, once in a process. This file is a process of its own, with one test.

use std::time::Duration;

use opentelemetry::global;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use telemetry_core::config::Env;
use telemetry_core::{Config, InitError, opentelemetry};

#[test]
fn one_call_sets_everything_up_and_a_second_is_refused() {
    let read = || {
        let mut env = Env::of([("OTEL_METRICS_EXPORTER", "prometheus"), ("RUST_LOG", "warn")]);
        let config = Config::read("test-service", "1.2.3", &mut env);
        env.finish().unwrap();
        config
    };
    let early = global::meter("application").u64_counter("early").build();
    let telemetry = telemetry_core::init(read()).unwrap();
    // Without a TLS provider in the process this would panic.
    reqwest::Client::builder().build().expect("a client of the application's own can be built");
    assert!(telemetry.is_enabled());
    assert!(matches!(telemetry_core::init(read()), Err(InitError::AlreadyInitialized)));

    // The globals are set for whoever uses the API alone, and tracing spans are part of the trace,
    // whatever RUST_LOG says.
    let tracer = global::tracer("application");
    tracer.in_span("outer", |cx| {
        let outer = cx.span().span_context().clone();
        assert!(outer.is_valid() && outer.is_sampled());
        let _inner = tracing::info_span!("inner").entered();
        let (trace_id, span_id) = telemetry_core::span::ids().expect("a span is current");
        assert_eq!(trace_id, outer.trace_id().to_string());
        assert_ne!(span_id, outer.span_id().to_string());
        let mut headers = std::collections::HashMap::new();
        global::get_text_map_propagator(|propagator| propagator.inject(&mut headers));
        assert!(headers["traceparent"].contains(&trace_id));
    });
    // What was made before belongs to nobody.
    early.add(1, &[]);
    global::meter("application").u64_counter("late").build().add(1, &[]);
    let metrics = telemetry.prometheus().unwrap();
    assert!(metrics.contains("late_total{") && !metrics.contains("early_total"), "{metrics}");
    let report = telemetry.shutdown(Duration::from_secs(5));
    assert!(report.is_complete(), "{report}");
    assert!(!tracer.start("after").span_context().is_valid(), "nothing is recorded after the end");
}
