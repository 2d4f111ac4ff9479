//! Every variable: a right value takes effect, a wrong one is refused aloud, and the list of them tells the truth.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::variables::{self, VARIABLES};
use super::*;

/// What a variable is tried with.
struct Row {
    name: &'static str,
    /// What it needs to have an effect.
    with: &'static [(&'static str, &'static str)],
    right: &'static str,
    /// `None` where any text is right.
    wrong: Option<&'static str>,
}

const fn row(name: &'static str, right: &'static str, wrong: &'static str) -> Row {
    Row { name, with: &[], right, wrong: Some(wrong) }
}

const fn text(name: &'static str, right: &'static str) -> Row {
    Row { name, with: &[], right, wrong: None }
}

const fn with(with: &'static [(&'static str, &'static str)], row: Row) -> Row {
    Row { with, ..row }
}

const PROMETHEUS: &[(&str, &str)] = &[("OTEL_METRICS_EXPORTER", "prometheus")];

const GRPC: &[(&str, &str)] =
    &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")];

/// General names are believed inside of a pod alone.
const IN_POD: &[(&str, &str)] = &[("KUBERNETES_SERVICE_HOST", "10.0.0.1")];

const TABLE: &[Row] = &[
    row("OTEL_SDK_DISABLED", "TRUE", "yes"),
    text("OTEL_SERVICE_NAME", "checkout"),
    row("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb", "team"),
    row("OTEL_ENTITIES", "host{host.id=1}[host.name=web]", "host"),
    row("OTEL_LOG_LEVEL", "debug", "loud"),
    row("OTEL_PROPAGATORS", "b3", "ottrace"),
    row("OTEL_TRACES_SAMPLER", "always_off", "jaeger_remote"),
    with(&[("OTEL_TRACES_SAMPLER", "traceidratio")], row("OTEL_TRACES_SAMPLER_ARG", "0.25", "1.5")),
    row("OTEL_TRACES_EXPORTER", "otlp", "zipkin"),
    row("OTEL_METRICS_EXPORTER", "prometheus", "statsd"),
    row("OTEL_LOGS_EXPORTER", "none", "logging"),
    row("OTEL_BSP_SCHEDULE_DELAY", "100", "-1"),
    row("OTEL_BSP_EXPORT_TIMEOUT", "0", "-1"),
    row("OTEL_BSP_MAX_QUEUE_SIZE", "4096", "0"),
    row("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048", "2049"),
    row("OTEL_BLRP_SCHEDULE_DELAY", "100", "1.5"),
    row("OTEL_BLRP_EXPORT_TIMEOUT", "100", "1s"),
    row("OTEL_BLRP_MAX_QUEUE_SIZE", "512", "many"),
    row("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1", "0"),
    row("OTEL_ATTRIBUTE_COUNT_LIMIT", "0", "-1"),
    row("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0", "-1"),
    row("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1", "few"),
    row("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1", "1k"),
    row("OTEL_SPAN_EVENT_COUNT_LIMIT", "1", "1.0"),
    row("OTEL_SPAN_LINK_COUNT_LIMIT", "1", "4294967296"),
    row("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1", "-"),
    row("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1", "NaN"),
    row("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1", "-1"),
    row("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1", "-1"),
    row("OTEL_METRICS_EXEMPLAR_FILTER", "always_off", "all"),
    row("OTEL_METRIC_EXPORT_INTERVAL", "60000", "0"),
    row("OTEL_METRIC_EXPORT_TIMEOUT", "0", "-1"),
    row("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory", "low"),
    row(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
        "exponential",
    ),
    with(PROMETHEUS, row("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0", "http://localhost")),
    with(PROMETHEUS, row("OTEL_EXPORTER_PROMETHEUS_PORT", "0", "65536")),
    row("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "ftp://collector"),
    row("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318", "http://"),
    row("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4318", "http://collector:99999"),
    row("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector:4318", "http://a/?key=1"),
    row("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "udp"),
    row("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "json"),
    row("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json", "http"),
    row("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json", "protobuf"),
    row("OTEL_EXPORTER_OTLP_HEADERS", "api-key=1", "api-key"),
    row("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=1", "a b=1"),
    row("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=1", "=1"),
    row("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "api-key=1", "a=%0A"),
    row("OTEL_EXPORTER_OTLP_TIMEOUT", "1", "10s"),
    row("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1", "-1"),
    row("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1", "1.5"),
    row("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "1", "soon"),
    row("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "zstd"),
    row("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip", "br"),
    row("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip", "snappy"),
    row("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip", "true"),
    with(GRPC, row("OTEL_EXPORTER_OTLP_INSECURE", "true", "yes")),
    with(GRPC, row("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true", "1")),
    with(GRPC, row("OTEL_EXPORTER_OTLP_METRICS_INSECURE", "TRUE", "on")),
    with(GRPC, row("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true", "plaintext")),
    row("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup", "database/dup"),
    row("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PURGE", "a b"),
    row("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "/internal/*", "internal"),
    row("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "accept", "authorization"),
    row("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS", "etag", "set-cookie"),
    row("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS", "accept", "x-api-key"),
    row("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", "etag", "a b"),
    row("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "accept", "cookie"),
    row("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "etag", "a b"),
    row("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", "accept", "proxy-authorization"),
    row("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE", "etag", "a b"),
    row("OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED", "true", "1"),
    row("OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD", "0", "-1"),
    row("OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED", "false", "off"),
    text("ENVIRONMENT", "production"),
    text("APP_VERSION", "2.0.0"),
    text("SERVICE_NAMESPACE", "shop"),
    text("AWS_REGION", "eu-west-1"),
    row("RUST_LOG", "warn", "info,=["),
    row("LOG_FORMAT", "json", "xml"),
    row("LOG_RATE_LIMIT", "0", "-1"),
    row("METRICS_CARDINALITY_LIMIT", "10", "0"),
    text("BAGGAGE_ATTRIBUTES", "app.tier"),
    row("BAGGAGE_TRUSTED_URLS", "/internal/*", "internal"),
    row("TRUSTED_PROXIES", "10.0.0.0/8", "proxy"),
    text("HOST_TYPE", "a"),
    text("CONTAINER_NAME", "a"),
    text("CONTAINER_IMAGE", "a"),
    text("K8S_CLUSTER_NAME", "a"),
    text("K8S_NAMESPACE_NAME", "a"),
    text("K8S_NAMESPACE", "a"),
    text("OTEL_K8S_NAMESPACE", "a"),
    with(IN_POD, text("POD_NAMESPACE", "a")),
    with(IN_POD, text("MY_POD_NAMESPACE", "a")),
    text("K8S_POD_NAME", "a"),
    text("OTEL_K8S_POD_NAME", "a"),
    with(IN_POD, text("POD_NAME", "a")),
    with(IN_POD, text("MY_POD_NAME", "a")),
    text("K8S_POD_UID", "a"),
    text("OTEL_K8S_POD_UID", "a"),
    with(IN_POD, text("POD_UID", "a")),
    with(IN_POD, text("MY_POD_UID", "a")),
    text("K8S_NODE_NAME", "a"),
    text("OTEL_K8S_NODE_NAME", "a"),
    with(IN_POD, text("NODE_NAME", "a")),
    with(IN_POD, text("MY_NODE_NAME", "a")),
    text("K8S_CONTAINER_NAME", "a"),
    text("OTEL_K8S_CONTAINER_NAME", "a"),
    text("K8S_DEPLOYMENT_NAME", "a"),
    text("OTEL_K8S_DEPLOYMENT_NAME", "a"),
];

/// What these variables decide: all of a configuration but the record of what was read.
fn decided(variables: &[(&str, &str)]) -> String {
    let mut config = read(variables);
    config.settings.clear();
    config.warnings.clear();
    format!("{config:?}")
}

#[test]
fn a_right_value_of_each_variable_takes_effect() {
    for Row { name, with, right, .. } in TABLE {
        let all = [*with, &[(*name, *right)]].concat();
        assert_ne!(decided(&all), decided(with), "{name}={right}");
        let config = read(&all);
        assert_eq!(config.warnings(), [], "{name}={right}");
        let told = config.settings().iter().find(|setting| setting.name == *name);
        let source = told.unwrap_or_else(|| panic!("{name} is not told in\n{}", config.summary())).source;
        assert_eq!(source, Source::Environment, "{name}");
    }
}

#[test]
fn a_wrong_value_of_each_variable_is_refused_aloud() {
    for Row { name, with, wrong, .. } in TABLE {
        let Some(wrong) = wrong else { continue };
        let told = mistakes(&[*with, &[(*name, *wrong)]].concat());
        assert_eq!(told.len(), 1, "{name}={wrong}: {told:?}");
        assert!(told[0].starts_with(name) && told[0].contains(": expected "), "{told:?}");
    }
}

#[test]
fn an_empty_value_of_each_variable_counts_as_unset() {
    for variable in VARIABLES {
        assert_eq!(decided(&[(variable.name, "")]), decided(&[]), "{}", variable.name);
        assert_eq!(decided(&[(variable.name, "  ")]), decided(&[]), "{}", variable.name);
    }
}

#[test]
fn what_is_known_and_not_honoured_is_refused_by_name() {
    for variable in VARIABLES {
        let Some(instead) = variable.refused else { continue };
        let told = mistakes(&[(variable.name, "anything")]);
        assert_eq!(told, [format!("{}=anything: expected {instead}", variable.name)]);
    }
}

#[test]
fn every_known_variable_is_in_the_table() {
    let tried: BTreeSet<&str> = TABLE.iter().map(|row| row.name).collect();
    let honoured = VARIABLES.iter().filter(|variable| variable.refused.is_none()).map(|one| one.name);
    // The file has a table of its own, and being in a pod decides only which names count.
    let elsewhere = ["OTEL_CONFIG_FILE", "KUBERNETES_SERVICE_HOST"];
    // They need files, which the tests of encrypted connections make.
    let is_file = |name: &&str| name.ends_with("CERTIFICATE") || name.ends_with("CLIENT_KEY");
    let expected: BTreeSet<&str> =
        honoured.filter(|name| !elsewhere.contains(name) && !is_file(name)).collect();
    assert_eq!(tried, expected);
    assert_eq!(tried.len(), TABLE.len(), "one row each");
}

#[test]
fn every_variable_that_is_read_is_a_known_one() {
    let asked = Rc::new(RefCell::new(BTreeSet::new()));
    let note = asked.clone();
    let mut env = Env::from_lookup(move |name| {
        note.borrow_mut().insert(name.to_owned());
        (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".to_owned())
    });
    Config::read("order-service", "1.2.3", &mut env);
    let known: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(*asked.borrow(), known);
}

#[test]
fn every_default_is_the_one_in_force() {
    let config = read(&[]);
    for setting in config.settings().iter().filter(|setting| setting.source == Source::Default) {
        let variable = variables::find(&setting.name).expect("a setting is a known variable");
        assert_eq!(variable.default, setting.value, "{}", setting.name);
    }
    let is_told = |name: &str| config.settings().iter().any(|setting| setting.name == name);
    for variable in VARIABLES.iter().filter(|variable| !variable.default.is_empty()) {
        // Only a ratio has one.
        assert!(is_told(variable.name) || variable.name == "OTEL_TRACES_SAMPLER_ARG", "{}", variable.name);
    }
}
