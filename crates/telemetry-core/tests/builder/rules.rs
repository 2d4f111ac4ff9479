//! What the documentation of the builder promises beside: orders, what leaves what out, and what a panic costs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::{App, web};
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::logs::LogRecord as _;
use telemetry_core::opentelemetry::trace::{Link, SpanKind, TraceId, Tracer as _};
use telemetry_core::opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemetry_core::opentelemetry_sdk::Resource;
use telemetry_core::opentelemetry_sdk::error::OTelSdkResult;
use telemetry_core::opentelemetry_sdk::logs::{
    LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLoggerProvider,
};
use telemetry_core::opentelemetry_sdk::trace::{
    SamplingResult, ShouldSample, Span, SpanData, SpanExporter, SpanProcessor,
};
use telemetry_core::testing::TestTelemetry;
use telemetry_core::{Config, Telemetry, TelemetryBuilder};

use crate::harness::{Exporter, Processor, Reader, Seen, collector, is_child, own_process};

const DEADLINE: Duration = Duration::from_secs(10);

const NONE: [(&str, &str); 3] =
    [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];

fn builder() -> TelemetryBuilder {
    Telemetry::builder("test-service", "1.2.3")
}

/// Notes that it was here, on spans and in records, and what it found there.
#[derive(Debug, Clone)]
struct Named(&'static str, Seen);

impl SpanProcessor for Named {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.1.note(format!("{} starts", self.0));
    }

    fn on_end(&self, _: SpanData) {
        self.1.note(format!("{} ends", self.0));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Named {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.1.note(format!("{} after {} others", self.0, names(record).len()));
        record.add_attribute(self.0, true);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The processors that a record has been at.
fn names(record: &SdkLogRecord) -> Vec<String> {
    let keys = record.attributes_iter().map(|(key, _)| key.to_string());
    keys.filter(|key| ["one", "two"].contains(&key.as_str())).collect()
}

/// Notes the resource and the records' processors.
#[derive(Debug, Clone, Default)]
struct Told(Seen);

impl LogExporter for Told {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        batch.iter().for_each(|(record, _)| self.0.note(names(record).join(",")));
        Ok(())
    }
}

impl SpanExporter for Told {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        resource.iter().for_each(|(key, value)| self.0.note(format!("{key}={value}")));
    }
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_processors_after_exporters() {
    assert!(is_child());
    let (seen, told) = (Seen::default(), Told::default());
    let telemetry = builder()
        .span_exporter(told.clone())
        .log_exporter(told.clone())
        .span_processor(Named("one", seen.clone()))
        .log_processor(Named("one", seen.clone()))
        .span_processor(Named("two", seen.clone()))
        .log_processor(Named("two", seen.clone()))
        .init()
        .expect("it starts");
    telemetry.tracer().in_span("work", |_| {});
    let spans =
        seen.all().into_iter().filter(|line| line.ends_with('s')).filter(|line| !line.contains("after"));
    assert_eq!(spans.collect::<Vec<_>>(), ["one starts", "two starts", "one ends", "two ends"]);
    tracing::info!("it is done");
    let seen = seen.all();
    assert!(seen.contains(&"one after 0 others".to_owned()), "{seen:?}");
    assert!(seen.contains(&"two after 1 others".to_owned()), "{seen:?}");
    assert!(telemetry.shutdown(DEADLINE).is_complete());
    let told = told.0.all();
    assert!(told.contains(&"one,two".to_owned()), "the exporter sees what processors changed: {told:?}");
}

#[test]
fn processors_run_in_the_order_of_the_calls_and_before_exporters_that_were_named_before() {
    own_process("rules::brings_processors_after_exporters", &NONE);
}

#[derive(Debug, Clone)]
struct BrokenSampler;

impl ShouldSample for BrokenSampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        panic!("no sampling of {name}");
    }
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_a_broken_sampler() {
    assert!(is_child());
    let spans = Exporter::default();
    let reader = Reader::default();
    let telemetry = builder()
        .sampler(BrokenSampler)
        .view(|instrument| panic!("no view of {}", instrument.name()))
        .span_exporter(spans.clone())
        .metric_reader(reader.clone())
        .init()
        .expect("it starts");
    telemetry.meter().u64_counter("orders").build().add(1, &[]);
    println!("read: {:?}", reader.names().contains(&"orders".to_owned()));
    for name in ["first", "second"] {
        assert_eq!(telemetry.tracer().in_span(name, |_| name.len()), name.len());
    }
    telemetry.shutdown(DEADLINE);
    println!("exported: {:?}", spans.0.all());
}

#[test]
fn a_sampler_that_panics_leaves_the_span_out_and_a_view_nothing_and_each_is_told_once() {
    let told = own_process("rules::brings_a_broken_sampler", &NONE);
    assert!(told.contains("read: true"), "{told}");
    assert_eq!(told.matches("}} panicked; later").count(), 1, "{told}");
    assert!(told.contains("exported: []"), "{told}");
    assert_eq!(told.matches("BrokenSampler panicked").count(), 1, "{told}");
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_providers_beside_a_collector() {
    assert!(is_child());
    let (seen, spans, records, reader) =
        (Seen::default(), Processor::default(), Processor::default(), Reader::default());
    let telemetry = builder()
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", collector(&seen))
        .tracer_provider(provider::of_spans(spans.clone()))
        .meter_provider(provider::of_metrics(reader.clone()))
        .logger_provider(provider::of_records(records.clone()))
        .init()
        .expect("it starts");
    telemetry.tracer().in_span("work", |_| {});
    tracing::info!("it is done");
    telemetry.meter().u64_counter("orders").build().add(1, &[]);
    // A reader that no provider has says so by a panic.
    let names = catch_unwind(AssertUnwindSafe(|| reader.names())).unwrap_or_default();
    println!("metrics: {:?}", names.contains(&"orders".to_owned()));
    telemetry.shutdown(DEADLINE);
    println!("spans: {:?}", spans.0.has("work"));
    println!("records: {:?}", records.0.all().iter().any(|record| record.contains("it is done")));
    println!("collector: {:?}", seen.all());
}

/// Providers with one processor or reader each.
mod provider {
    use telemetry_core::opentelemetry_sdk::logs::SdkLoggerProvider;
    use telemetry_core::opentelemetry_sdk::metrics::SdkMeterProvider;
    use telemetry_core::opentelemetry_sdk::trace::SdkTracerProvider;

    use crate::harness::{Processor, Reader};

    pub(super) fn of_spans(processor: Processor) -> SdkTracerProvider {
        SdkTracerProvider::builder().with_span_processor(processor).build()
    }

    pub(super) fn of_metrics(reader: Reader) -> SdkMeterProvider {
        SdkMeterProvider::builder().with_reader(reader).build()
    }

    pub(super) fn of_records(processor: Processor) -> SdkLoggerProvider {
        SdkLoggerProvider::builder().with_log_processor(processor).build()
    }
}

#[test]
fn providers_stand_in_place_of_what_is_configured_and_a_disabled_telemetry_leaves_them_out() {
    let run = |variables: &[(&str, &str)]| {
        let told = own_process("rules::brings_providers_beside_a_collector", variables);
        let lines = told.lines().filter(|line| line.contains(": ") && !line.starts_with(['{', '2']));
        let told = |name: &str| {
            let line = lines.clone().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{told}"));
            line[name.len()..].to_owned()
        };
        ["metrics: ", "spans: ", "records: ", "collector: "].map(told)
    };
    assert_eq!(run(&[("ENVIRONMENT", "production")]), ["true", "true", "true", "[]"]);
    let disabled = [("ENVIRONMENT", "production"), ("OTEL_SDK_DISABLED", "true")];
    assert_eq!(run(&disabled), ["false", "false", "false", "[]"]);
}

#[test]
#[ignore = "needs a process of its own; the next starts it"]
fn brings_attributes() {
    assert!(is_child());
    let told = Told::default();
    let telemetry = builder()
        .resource_attributes([
            KeyValue::new("service.namespace", "code"),
            KeyValue::new("cloud.region", "code"),
            KeyValue::new("host.name", "code"),
            KeyValue::new("team.size", 7),
            KeyValue::new("service.name", "code"),
        ])
        .span_exporter(told.clone())
        .init()
        .expect("it starts");
    telemetry.shutdown(DEADLINE);
    told.0.all().iter().for_each(|line| println!("resource {line}"));
}

#[test]
fn attributes_of_the_code_stand_between_what_is_detected_and_what_variables_say() {
    let told = own_process("rules::brings_attributes", &NONE);
    for line in ["host.name=code", "service.namespace=code", "cloud.region=code", "team.size=7"] {
        assert!(told.contains(&format!("resource {line}\n")), "{line} in {told}");
    }
    assert!(told.contains("resource service.name=test-service\n"), "the builder's argument: {told}");
    let variables =
        [("SERVICE_NAMESPACE", "env"), ("AWS_REGION", "env"), ("OTEL_RESOURCE_ATTRIBUTES", "host.name=env")];
    let told = own_process("rules::brings_attributes", &[&NONE[..], &variables].concat());
    for line in ["host.name=env", "service.namespace=env", "cloud.region=env", "team.size=7"] {
        assert!(told.contains(&format!("resource {line}\n")), "{line} in {told}");
    }
}

#[test]
fn what_would_go_into_a_provider_has_no_place_beside_it() {
    let told = |builder: TelemetryBuilder| {
        let mut env = Env::of::<&str, &str>([]);
        let _ = builder.read(&mut env);
        env.finish().err().map(|error| error.mistakes()[0].to_string()).unwrap_or_default()
    };
    let spans = || builder().tracer_provider(Default::default());
    let metrics = || builder().meter_provider(Default::default());
    let records = || builder().logger_provider(SdkLoggerProvider::builder().build());
    for (given, part, provider) in [
        (spans().span_exporter(Exporter::default()), "span_exporter", "tracer_provider"),
        (spans().span_processor(Processor::default()), "span_processor", "tracer_provider"),
        (spans().sampler(BrokenSampler), "sampler", "tracer_provider"),
        (metrics().metric_exporter(Exporter::default()), "metric_exporter", "meter_provider"),
        (metrics().metric_reader(Reader::default()), "metric_reader", "meter_provider"),
        (metrics().view(|_| None), "view", "meter_provider"),
        (records().log_exporter(Exporter::default()), "log_exporter", "logger_provider"),
        (records().log_processor(Processor::default()), "log_processor", "logger_provider"),
    ] {
        assert_eq!(told(given), format!("{part}: expected no {provider} beside it, or to be part of that"));
    }
}

#[test]
fn no_path_at_all_is_none_excluded() {
    let mut env = Env::of::<&str, &str>([]);
    let configured = builder().excluded_paths::<&str>([]).read(&mut env);
    env.finish().expect("all is right");
    let Config { excluded_urls, .. } = configured.config();
    assert!(excluded_urls.is_empty(), "{excluded_urls:?}");
}

#[actix_web::test]
async fn hooks_of_the_builder_run_before_a_servers_and_a_clients_own() {
    let builder = builder()
        .on_server_request(|_, span| span.set_attribute(KeyValue::new("app.request", "builder")))
        .on_server_response(|_, span| span.set_attribute(KeyValue::new("app.response", "builder")))
        .on_client_request(|_, span| span.set_attribute(KeyValue::new("app.request", "builder")));
    let telemetry = TestTelemetry::with_builder(builder);
    let client = telemetry.client_middleware();
    let client =
        client.on_request(|_, span| span.set_attribute(KeyValue::new("app.request", "own"))).into_client();
    let server = telemetry
        .server()
        .on_request(|_, span| span.set_attribute(KeyValue::new("app.request", "own")))
        .on_response(|_, span| span.set_attribute(KeyValue::new("app.response", "own")));
    let ask = move || {
        let client = client.clone();
        // Nobody listens there.
        async move { if client.get("http://127.0.0.1:1/").send().await.is_ok() { "answered" } else { "asked" } }
    };
    let app = init_service(App::new().route("/", web::get().to(ask)).wrap(server)).await;
    assert_eq!(call_and_read_body(&app, TestRequest::get().uri("/").to_request()).await, "asked");
    let [request] = telemetry.finished(1).await.try_into().expect("one request");
    for (attributes, key) in [
        (&request.attributes, "app.request"),
        (&request.attributes, "app.response"),
        (&request.children[0].attributes, "app.request"),
    ] {
        assert_eq!(attributes[key].as_str(), "own", "{key}");
    }
}
