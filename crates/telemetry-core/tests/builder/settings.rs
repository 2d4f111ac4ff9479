//! Settings in code, each of which has a variable that wins.

use telemetry_core::config::{Env, Exporter};
use telemetry_core::doctor::{Examination, Report};
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::{Config, Telemetry, TelemetryBuilder};

use crate::harness::{Asked, Exporter as OwnExporter};

const EXCLUDED: &str = "OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS";
const CAPTURED: &str = "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";

/// What a builder with a setting of each kind makes of these variables.
fn read(variables: &[(&str, &str)]) -> Config {
    let mut env = Env::of(variables.iter().copied());
    let configured = Telemetry::builder("code-service", "1.0.0")
        .setting("OTEL_TRACES_EXPORTER", "otlp")
        .setting("OTEL_BSP_MAX_QUEUE_SIZE", 77)
        .excluded_paths(["/code", "/internal/*"])
        .capture_server_request_headers(["x-code"])
        .capture_server_response_headers(["x-code"])
        .capture_client_request_headers(["x-code"])
        .capture_client_response_headers(["x-code"])
        .resource_attributes([
            KeyValue::new("team.name", "code"),
            KeyValue::new("team.size", 7),
            KeyValue::new("deployment.environment.name", "code"),
        ])
        .sampler(Asked::default())
        .read(&mut env);
    env.finish().expect("all is right");
    configured.config().clone()
}

fn attribute(config: &Config, name: &str) -> Option<String> {
    let all = &config.service.resource_attributes;
    all.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.to_string())
}

#[test]
fn what_code_sets_holds_where_the_environment_says_nothing() {
    let config = read(&[]);
    assert_eq!((config.service.name.as_str(), config.service.version.as_str()), ("code-service", "1.0.0"));
    assert_eq!(config.traces.exporters, [Exporter::Otlp]);
    assert_eq!(config.traces.batch.queue_size, 77);
    assert_eq!(config.excluded_urls, ["/code", "/internal/*"]);
    for headers in [&config.http.server_headers, &config.http.client_headers] {
        assert_eq!(
            (&headers.request[..], &headers.response[..]),
            (&["x-code".to_owned()][..], &["x-code".to_owned()][..])
        );
    }
    assert_eq!(attribute(&config, "team.name").as_deref(), Some("code"));
    assert_eq!(attribute(&config, "deployment.environment.name").as_deref(), Some("code"));
    for line in [
        "OTEL_BSP_MAX_QUEUE_SIZE = 77 (code)",
        "OTEL_TRACES_SAMPLER = builder::harness::Asked (code)",
        "resource_attributes = team.name=code,team.size=7,deployment.environment.name=code (code)",
        "OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS = /code,/internal/* (code)",
    ] {
        assert!(config.summary().contains(line), "{line} in {}", config.summary());
    }
}

#[test]
fn the_environment_wins_over_every_setting_of_the_code() {
    let config = read(&[
        ("OTEL_SERVICE_NAME", "env-service"),
        ("APP_VERSION", "2.0.0"),
        ("ENVIRONMENT", "staging"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "5"),
        (EXCLUDED, "none"),
        (CAPTURED, "x-env"),
        // Another's word for the same setting is of the environment too.
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "x-env"),
        ("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS", "x-env"),
        ("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", "x-env"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team.name=env"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ]);
    assert_eq!((config.service.name.as_str(), config.service.version.as_str()), ("env-service", "2.0.0"));
    assert!(config.traces.exporters.is_empty() && config.excluded_urls.is_empty());
    assert_eq!(config.traces.batch.queue_size, 5);
    for headers in [&config.http.server_headers, &config.http.client_headers] {
        assert_eq!(
            (&headers.request[..], &headers.response[..]),
            (&["x-env".to_owned()][..], &["x-env".to_owned()][..])
        );
    }
    assert_eq!(attribute(&config, "team.name").as_deref(), Some("env"));
    assert_eq!(attribute(&config, "team.size").as_deref(), Some("7"), "they are merged");
    assert_eq!(attribute(&config, "deployment.environment.name"), None, "ENVIRONMENT decides");
    assert!(
        config.summary().contains("OTEL_TRACES_SAMPLER = always_off (environment)"),
        "{}",
        config.summary()
    );
}

#[test]
fn the_start_and_the_doctor_tell_what_code_decided_and_nothing_that_is_not_in_force() {
    let settings = |variables: &[(&str, &str)]| {
        let mut env = Env::of(variables.iter().copied());
        let configured = Telemetry::builder("code-service", "1.0.0")
            .resource_attributes([KeyValue::new("team.name", "code"), KeyValue::new("team.size", 7)])
            .resource_attributes([
                KeyValue::new("service.name", "ignored"),
                KeyValue::new("service.namespace", "shop"),
            ])
            .sampler(Asked::default())
            .span_exporter(OwnExporter::default())
            .read(&mut env);
        let told = configured.config().settings().to_vec();
        let report = Examination::new(configured.config(), env).without_probe().examine();
        assert_eq!(report.settings, told, "the doctor shows what the start logs");
        told.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let one = |settings: &[String], name: &str| {
        let found: Vec<&String> = settings.iter().filter(|line| line.starts_with(name)).collect();
        assert!(found.len() <= 1, "{found:?}");
        found.first().map(|line| (*line).clone())
    };

    let all = settings(&[]);
    let told = |name| one(&all, name);
    assert_eq!(
        told("resource_attributes").as_deref(),
        Some("resource_attributes = team.name=code,team.size=7,service.namespace=shop (code)")
    );
    let sampler = "OTEL_TRACES_SAMPLER = builder::harness::Asked (code)";
    assert_eq!(told("OTEL_TRACES_SAMPLER ").as_deref(), Some(sampler));
    assert_eq!(told("span_exporter").as_deref(), Some("span_exporter = builder::harness::Exporter (code)"));

    let some = settings(&[("OTEL_RESOURCE_ATTRIBUTES", "team.name=env"), ("SERVICE_NAMESPACE", "env")]);
    assert_eq!(
        one(&some, "resource_attributes").as_deref(),
        Some("resource_attributes = team.size=7 (code)")
    );
    let attributes = "team.name=env,team.size=8,service.namespace=env";
    let none = settings(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)]);
    assert_eq!(one(&none, "resource_attributes"), None);
}

#[test]
fn mistakes_in_code_are_told_with_those_of_the_environment() {
    let mut env = Env::of([("OTEL_BLRP_MAX_QUEUE_SIZE", "many")]);
    let _ = Telemetry::builder("code-service", "1.0.0")
        .setting("OTEL_BSP_MAX_QUEUE_SIZE", 0)
        .setting("OTEL_TRACE_EXPORTER", "otlp")
        .excluded_paths(["/a,/b"])
        .tracer_provider(Default::default())
        .span_exporter(OwnExporter::default())
        .sampler(Asked::default())
        .read(&mut env);
    let told = env.finish().expect_err("five mistakes").to_string();
    for line in [
        "the configuration has 6 mistakes",
        "OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS: expected items that are not empty and have no commas",
        "OTEL_TRACE_EXPORTER: expected a setting that telemetry-core knows; did you mean OTEL_TRACES_EXPORTER?",
        "span_exporter: expected no tracer_provider beside it",
        "sampler: expected no tracer_provider beside it",
        "OTEL_BSP_MAX_QUEUE_SIZE=0: expected a whole number greater than 0",
        "OTEL_BLRP_MAX_QUEUE_SIZE=many: expected a whole number greater than 0",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

#[test]
fn the_doctor_knows_what_goes_elsewhere_than_the_variables_say() {
    let report = |builder: TelemetryBuilder, exporter: &str| {
        let mut env = Env::of([
            ("OTEL_TRACES_EXPORTER", exporter),
            ("OTEL_METRICS_EXPORTER", "console"),
            ("OTEL_LOGS_EXPORTER", "console"),
        ]);
        let configured = builder.read(&mut env);
        Examination::new(configured.config(), env).without_probe().examine()
    };
    let of_traces = |report: &Report| -> Vec<String> {
        let told = report.exporters.iter().filter(|finding| finding.subject == "traces");
        told.map(|finding| finding.detail.clone()).collect()
    };
    let builder = || Telemetry::builder("code-service", "1.0.0");

    let provider = report(builder().tracer_provider(Default::default()), "otlp");
    let [told] = &of_traces(&provider)[..] else { panic!("{provider}") };
    assert!(
        told.ends_with("SdkTracerProvider: the program's own, in place of all exporters; not looked at"),
        "{told}"
    );
    assert!(provider.endpoints.is_empty(), "nothing goes there: {provider}");

    let exporter = report(builder().span_exporter(OwnExporter::default()), "none");
    assert_eq!(of_traces(&exporter), ["span_exporter: builder::harness::Exporter, the program's own"]);
    assert!(exporter.configuration.is_empty(), "spans go somewhere: {exporter}");
    assert_eq!(report(builder(), "none").configuration[0].code, Some("exporter_none"));
}
