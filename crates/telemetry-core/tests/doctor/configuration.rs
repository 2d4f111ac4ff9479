//! What the variables alone tell. Nothing is sent; nobody listens at these addresses.

use telemetry_core::doctor::{Outcome, Report};

use crate::harness::{all_signals, closed_port, codes, examination, stage};

fn told(variables: &[(&str, &str)]) -> Report {
    examination(variables).without_probe().examine()
}

/// The warnings about the configuration, by code.
fn warnings(variables: &[(&str, &str)]) -> Vec<&'static str> {
    let report = told(variables);
    report
        .configuration
        .iter()
        .filter(|finding| finding.outcome == Outcome::Warning)
        .filter_map(|finding| finding.code)
        .collect()
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

#[test]
fn each_near_miss_of_an_endpoint_is_told_and_its_right_form_is_not() {
    for (variable, wrong, code, right) in [
        (ENDPOINT, "http://127.0.0.1:4317", "grpc_port", "http://127.0.0.1:4318"),
        (ENDPOINT, "127.0.0.1:4318", "scheme_missing", "http://127.0.0.1:4318"),
        (ENDPOINT, "http://127.0.0.1", "port_missing", "http://127.0.0.1:4318"),
        (ENDPOINT, "http://127.0.0.1:4318/v1/traces", "path_doubled", "http://127.0.0.1:4318/otlp"),
        (ENDPOINT, "http://127.0.0.1:4318/otlp/v1/logs/", "path_doubled", "http://127.0.0.1:4318/"),
        (
            TRACES_ENDPOINT,
            "http://127.0.0.1:4318/v1/traces/v1/traces",
            "path_doubled",
            "http://127.0.0.1:4318/v1/traces",
        ),
        (TRACES_ENDPOINT, "http://127.0.0.1:4318", "path_missing", "http://127.0.0.1:4318/v1/traces"),
        (
            TRACES_ENDPOINT,
            "http://127.0.0.1:4318/v1/metrics",
            "path_of_another_signal",
            "http://127.0.0.1:4318/intake/spans",
        ),
    ] {
        assert_eq!(warnings(&[(variable, wrong)]), [code], "{variable}={wrong}");
        assert_eq!(warnings(&[(variable, right)]), [] as [&str; 0], "{variable}={right}");
    }
}

#[test]
fn headers_that_are_not_encoded_or_go_in_clear_are_told_without_their_values() {
    let local = (ENDPOINT, "http://127.0.0.1:4318");
    assert_eq!(warnings(&[local, (HEADERS, "authorization=Bearer hunter2")]), ["header_not_encoded"]);
    assert_eq!(warnings(&[local, (HEADERS, "x-a=1,x-b=\"hunter2\"")]), ["header_not_encoded"]);
    assert_eq!(warnings(&[local, (HEADERS, "authorization=Bearer%20hunter2")]), [] as [&str; 0]);

    let away = (ENDPOINT, "http://192.0.2.1:4318");
    let key = (HEADERS, "x-api-key=hunter2");
    let mut report = told(&[away, key]);
    assert_eq!(codes(&report, Outcome::Warning), ["credentials_in_clear"]);
    assert!(!report.to_string().contains("hunter2"), "{report}");
    report = told(&[(ENDPOINT, "https://192.0.2.1:4318"), key]);
    assert_eq!(codes(&report, Outcome::Warning), [] as [&str; 0]);
}

#[test]
fn whatever_keeps_telemetry_at_home_is_told() {
    let local = (ENDPOINT, "http://127.0.0.1:4318");
    for (variables, code) in [
        (&[local, ("OTEL_TRACES_SAMPLER", "always_off")][..], "sampler_keeps_nothing"),
        (&[local, ("OTEL_TRACES_SAMPLER", "parentbased_always_off")], "sampler_keeps_nothing"),
        (
            &[local, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")],
            "sampler_keeps_nothing",
        ),
        (&[("OTEL_TRACES_EXPORTER", "none")], "exporter_none"),
        (&[("OTEL_SDK_DISABLED", "true")], "disabled"),
        (&[local, ("OTEL_TRACES_EXPORTER", "console")], "endpoint_unused"),
    ] {
        assert_eq!(warnings(variables), [code], "{variables:?}");
    }
    let small = [local, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.01")];
    assert_eq!(warnings(&small), [] as [&str; 0]);
}

#[test]
fn an_export_that_may_outlast_the_shutdown_is_told() {
    let report = |timeout| {
        let port = closed_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let variables = [(ENDPOINT, endpoint.as_str()), ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout)];
        let examination = examination(&variables).without_probe();
        examination.shutdown_deadline(std::time::Duration::from_secs(5)).examine()
    };
    assert_eq!(codes(&report("5001"), Outcome::Warning).first(), Some(&"timeout_beyond_shutdown"));
    assert!(!codes(&report("5000"), Outcome::Warning).contains(&"timeout_beyond_shutdown"));
}

#[test]
fn an_unknown_variable_is_told_with_the_nearest_known_one() {
    let report = told(&[
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "http://127.0.0.1:4318"),
        ("OTEL_TRACES_EXPORTER", "console"),
    ]);
    let finding = stage(&report, "OTEL_EXPORTER_OTLP_ENDPIONT");
    assert_eq!(finding.outcome, Outcome::Warning);
    assert!(finding.detail.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{finding:?}");
    assert_eq!(report.exit_code, 0);
}

#[test]
fn every_mistake_is_told_with_what_would_be_right_and_the_rest_is_examined_all_the_same() {
    let endpoint = format!("http://127.0.0.1:{}", closed_port());
    let report = all_signals(&[
        ("ENVIRONMENT", "production"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        (ENDPOINT, &endpoint),
    ])
    .without_probe()
    .examine();
    for variable in ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_HEADERS"] {
        let finding = stage(&report, variable);
        assert_eq!(finding.outcome, Outcome::Mistake, "{finding:?}");
        assert!(finding.advice.as_ref().is_some_and(|advice| advice.starts_with("expected ")), "{finding:?}");
    }
    assert_eq!(stage(&report, "connect").code, Some("no_connection"));
    assert_eq!(report.exit_code, 2, "mistakes are graver than what does not work");
    assert!(!report.to_string().contains("hunter2"), "{report}");
}

#[test]
fn each_exporter_is_told_and_every_setting_with_its_source() {
    let report = told(&[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_METRICS_EXPORTER", "prometheus")]);
    let exporters: Vec<String> =
        report.exporters.iter().map(|finding| format!("{} {}", finding.subject, finding.detail)).collect();
    assert!(exporters[0].starts_with("traces console: "), "{exporters:?}");
    assert!(exporters[1].starts_with("metrics prometheus: "), "{exporters:?}");
    assert!(exporters[2].starts_with("logs console: "), "{exporters:?}");
    let text = report.to_string();
    let line = |name: &str| text.lines().find(|line| line.trim().starts_with(name)).unwrap().to_owned();
    assert!(line("OTEL_TRACES_EXPORTER").ends_with("console  (environment)"), "{text}");
    assert!(line("OTEL_TRACES_SAMPLER ").ends_with("parentbased_always_on  (default)"), "{text}");
    assert!(line("OTEL_SERVICE_NAME").ends_with("shop  (code)"), "{text}");
}
