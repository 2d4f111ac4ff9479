//! Exporters, processors, readers, samplers and providers of the application's own.

use std::time::Duration;

use actix_web::web;
use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::trace::Tracer as _;
use telemetry_core::opentelemetry_sdk::logs::SdkLoggerProvider;
use telemetry_core::opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use telemetry_core::opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SimpleSpanProcessor};
use telemetry_core::unless_untraced;

use crate::harness::{Asked, Broken, Exporter, Processor, Reader, Seen, collector, is_child, own_process};
use crate::support::TestServer;

const DEADLINE: Duration = Duration::from_secs(10);

/// Nothing configured, so that only the application's parts get anything.
const NONE: [(&str, &str); 3] =
    [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];

/// A span, a record and a metric.
fn tell(telemetry: &Telemetry) {
    telemetry.tracer().in_span("work", |_| {});
    tracing::info!("it is done");
    telemetry.meter().u64_counter("orders").build().add(1, &[]);
}

fn get(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async { reqwest::get(url).await });
    assert!(answer.expect("it answers").status().is_success());
}

fn answers(config: &mut web::ServiceConfig) {
    async fn work() -> &'static str {
        tracing::info_span!("inner").in_scope(|| "done")
    }
    config.route("/hello", web::get().to(work)).route("/internal/tick", web::get().to(work));
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_exporters() {
    assert!(is_child());
    let (seen, spans, logs, metrics) =
        (Seen::default(), Exporter::default(), Exporter::default(), Exporter::default());
    let (processor, records, reader) = (Processor::default(), Processor::default(), Reader::default());
    let telemetry = Telemetry::builder("test-service", "1.2.3")
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", collector(&seen))
        .setting("OTEL_BSP_SCHEDULE_DELAY", 3_600_000)
        .span_processor(processor.clone())
        .span_exporter(spans.clone())
        .log_processor(records.clone())
        .log_exporter(logs.clone())
        .metric_exporter(metrics.clone())
        .metric_reader(reader.clone())
        .view(|instrument: &Instrument| {
            let is_it = instrument.name() == "orders";
            is_it.then(|| Stream::builder().with_name("orders.renamed").build().ok())?
        })
        .init()
        .expect("it starts");
    tell(&telemetry);
    assert!(reader.names().contains(&"orders.renamed".to_owned()), "{:?}", reader.names());
    assert!(telemetry.export_health().further.iter().any(|one| one.health.ended > 0));
    let report = telemetry.shutdown(DEADLINE);

    assert!(report.is_complete(), "{report}");
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        assert!(seen.has(path), "the configured collector got {path}: {:?}", seen.all());
    }
    assert!(spans.0.has("work app.marked=true"), "what the processor set is exported: {:?}", spans.0.all());
    assert_eq!(processor.0.all(), ["work", "shutdown"]);
    for records in [logs.0, records.0] {
        assert!(records.all().iter().any(|record| record.contains("it is done")), "{:?}", records.all());
    }
    assert!(metrics.0.has("orders.renamed") && !metrics.0.has("orders"), "{:?}", metrics.0.all());
    assert_eq!(report.traces.exported, 1, "{report}");
    let names: Vec<&str> = report.further.iter().map(|one| one.exporter.as_str()).collect();
    assert_eq!(names, [0, 1, 2].map(|number| format!("builder::harness::Exporter/{number}")));
    assert!(report.further.iter().all(|one| one.report.exported > 0 && one.report.lost == 0), "{report}");
}

#[test]
fn exporters_of_ones_own_get_everything_beside_the_configured_ones() {
    own_process("parts::brings_exporters", &[("ENVIRONMENT", "production")]);
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_broken_parts() {
    assert!(is_child());
    let telemetry = Telemetry::builder("test-service", "1.2.3")
        .span_processor(Broken)
        .span_exporter(Broken)
        .log_exporter(Broken)
        .init()
        .expect("it starts");
    tell(&telemetry);
    let report = telemetry.shutdown(DEADLINE);
    let [spans, logs] = &report.further[..] else { panic!("two: {report}") };
    assert_eq!((spans.report.failed, spans.report.failures.own_exporter), (1, 1), "{report}");
    assert!(logs.report.failures.own_exporter > 0 && logs.report.exported == 0, "{report}");
    println!("{report}");
}

#[test]
fn a_broken_part_harms_nobody_and_what_it_loses_is_counted() {
    let told = own_process("parts::brings_broken_parts", &NONE);
    assert_eq!(told.matches("Broken panicked").count(), 1, "told once: {told}");
    assert!(told.contains("builder::harness::Broken/0: 0 exported, 1 failed (own exporter)"), "{told}");
    assert!(told.contains("the exporter panicked: export is broken"), "{told}");
    assert!(told.contains("the disk is full"), "{told}");
}

#[test]
#[ignore = "needs a process of its own; the others start it"]
fn brings_a_sampler() {
    assert!(is_child());
    let (asked, spans) = (Asked::default(), Exporter::default());
    let telemetry = Telemetry::builder("test-service", "1.2.3")
        .sampler(asked.clone())
        .excluded_paths(["/internal/*"])
        .capture_server_request_headers(["host"])
        .on_server_request(|request, span| {
            span.set_attribute(KeyValue::new("app.path", request.path().to_owned()));
        })
        .on_server_response(|_, span| span.set_attribute(KeyValue::new("app.answered", true)))
        .on_client_request(|_, span| span.set_attribute(KeyValue::new("app.calls", true)))
        .on_client_response(|_, span| span.set_attribute(KeyValue::new("app.is_answered", true)))
        .span_exporter(spans.clone())
        .init()
        .expect("it starts");
    let server = TestServer::start((*telemetry).clone(), answers);
    get(&server.url("/internal/tick"));
    let url = server.url("/hello");
    let client = telemetry.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime
        .block_on(async { client.get(&url).send().await.expect("it answers").text().await.expect("a body") });
    drop(server);
    telemetry.shutdown(DEADLINE);
    println!("asked: {:?}", asked.0.all());
    println!("exported: {:?}", spans.0.all());
}

#[test]
fn a_sampler_of_ones_own_is_asked_but_not_below_excluded_paths() {
    let told = own_process("parts::brings_a_sampler", &NONE);
    assert!(told.contains(r#"asked: ["GET", "GET /hello", "inner"]"#), "{told}");
    let exported = told.lines().find(|line| line.starts_with("exported: ")).expect("it is told");
    assert!(!exported.contains("internal"), "{exported}");
    for attribute in [
        "app.path=/hello",
        "app.answered=true",
        "app.calls=true",
        "app.is_answered=true",
        "http.request.header.host=",
    ] {
        assert!(exported.contains(attribute), "{attribute} in {exported}");
    }
}

#[test]
fn a_sampler_of_the_environment_wins_over_one_of_the_code() {
    let variables = [&NONE[..], &[("OTEL_TRACES_SAMPLER", "always_off")]].concat();
    let told = own_process("parts::brings_a_sampler", &variables);
    assert!(told.contains("asked: []") && told.contains("exported: []"), "{told}");
}

#[test]
fn a_disabled_telemetry_gives_nothing_to_anybody() {
    let told = own_process("parts::brings_a_sampler", &[("OTEL_SDK_DISABLED", "true")]);
    assert!(told.contains("asked: []") && told.contains("exported: []"), "{told}");
}

#[test]
#[ignore = "needs a process of its own; the others start it"]
fn brings_providers() {
    assert!(is_child());
    let (spans, logs, reader) = (Exporter::default(), Processor::default(), Reader::default());
    let tracers = SdkTracerProvider::builder().with_span_processor(SimpleSpanProcessor::new(spans.clone()));
    let tracers = match std::env::var("TEST_SAMPLER").as_deref() {
        Ok("parent") => tracers.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
        _ => tracers.with_sampler(unless_untraced(Sampler::AlwaysOn)),
    };
    let telemetry = Telemetry::builder("test-service", "1.2.3")
        .tracer_provider(tracers.build())
        .meter_provider(SdkMeterProvider::builder().with_reader(reader.clone()).build())
        .logger_provider(SdkLoggerProvider::builder().with_log_processor(logs.clone()).build())
        .init()
        .expect("it starts");
    tell(&telemetry);
    let server = TestServer::start((*telemetry).clone(), answers);
    get(&server.url("/hello"));
    get(&server.url("/internal/tick"));
    drop(server);
    assert!(reader.names().contains(&"orders".to_owned()), "{:?}", reader.names());
    assert!(reader.names().contains(&"http.server.request.duration".to_owned()), "{:?}", reader.names());
    assert_eq!(telemetry.prometheus(), None);
    assert!(logs.0.all().iter().any(|record| record.contains("it is done")), "{:?}", logs.0.all());
    assert!(telemetry.shutdown(DEADLINE).is_complete());
    let names: Vec<String> = spans.0.all().into_iter().filter(|name| !name.contains('=')).collect();
    println!("exported: {names:?}");
}

#[test]
fn providers_of_ones_own_get_everything_and_excluded_paths_stay_untraced() {
    for sampler in ["parent", "unless_untraced"] {
        let variables =
            [("TEST_SAMPLER", sampler), ("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "/internal/*")];
        let told = own_process("parts::brings_providers", &variables);
        assert!(told.contains(r#"exported: ["work", "work", "inner", "inner", "GET /hello"]"#), "{told}");
    }
}
