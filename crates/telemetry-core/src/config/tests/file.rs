//! Declarative configuration: what a file decides, and what of it is refused where.

mod refusals;

use opentelemetry::Key;

use super::super::variables;
use super::*;
use crate::resource::resource;

/// Ships with the repository.
const EXAMPLE: &str = include_str!("../../../../../telemetry/otel-config.yaml");

fn env(text: &str, variables: &[(&str, &str)]) -> Env {
    let file = [("OTEL_CONFIG_FILE", "conf/otel.yaml")];
    Env::of(variables.iter().chain(&file).copied()).with_file("conf/otel.yaml", text)
}

fn try_read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut env = env(text, variables);
    let config = Config::read("order-service", "1.2.3", &mut env);
    let told = |error: ConfigError| error.mistakes().iter().map(ToString::to_string).collect();
    env.finish().map(|()| config).map_err(told)
}

fn read(text: &str, variables: &[(&str, &str)]) -> Config {
    try_read(text, variables).expect("the file is right")
}

/// A file of these lines after the first.
fn with(rest: &str) -> String {
    format!("file_format: \"1.0\"\n{rest}")
}

#[test]
fn the_example_is_a_right_configuration() {
    let variables = [
        ("ENVIRONMENT", "production"),
        ("SAMPLING_RATIO", "0.25"),
        ("COLLECTOR_AUTHORIZATION", "Bearer a,b=%"),
    ];
    let config = read(EXAMPLE, &variables);
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    assert_eq!(config.service.name, "order-service");
    assert_eq!(config.traces.exporters, [Exporter::Otlp]);
    assert_eq!(config.metrics.exporters, [Exporter::Otlp, Exporter::Prometheus]);
    assert_eq!(config.metrics.prometheus, None);
    assert_eq!(config.logs.exporters, [Exporter::Otlp]);
    assert_eq!(format!("{:?}", config.traces.sampler), "ParentBased(TraceIdRatioBased(0.25))");
    assert_eq!(config.metrics.interval, Duration::from_secs(5));
    assert_eq!(config.logs.limits, AttributeLimits { count: 128, value_length: Some(4096) });
    assert_eq!(config.http.server_headers.request, ["accept-language"]);
    for (otlp, path) in
        [(&config.traces.otlp, "traces"), (&config.metrics.otlp, "metrics"), (&config.logs.otlp, "logs")]
    {
        assert_eq!(otlp.endpoint.to_string(), format!("http://localhost:4318/v1/{path}"));
        assert_eq!(otlp.compression, Compression::Gzip);
        assert_eq!(otlp.headers.expose()["authorization"], "Bearer a,b=%");
    }
    let resource = resource(&config);
    let attribute = |key: &'static str| resource.get(&Key::from_static_str(key));
    assert_eq!(attribute("deployment.cell"), Some(1.into()));
    assert!(attribute("process.pid").is_some() && attribute("process.executable.name").is_none());

    let summary = config.summary();
    for line in [
        "OTEL_CONFIG_FILE = conf/otel.yaml (environment)",
        "OTEL_BSP_MAX_QUEUE_SIZE = 2048 (file)",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS = authorization=*** (file)",
        "OTEL_METRIC_EXPORT_TIMEOUT = 30000 (default)",
        "ENVIRONMENT = production (environment)",
        "RUST_LOG = info (default)",
    ] {
        assert!(summary.lines().any(|told| told == line), "{line} is missing in\n{summary}");
    }
    assert!(!summary.contains("Bearer"), "{summary}");
}

#[test]
fn the_examples_references_work_and_no_other_variable_does() {
    let variables = [
        ("OTEL_SERVICE_NAME", "checkout"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a%2Cb,deployment.cell=7"),
        ("COLLECTOR", "https://collector.example"),
        ("CELL", "3"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "7"),
        ("OTEL_PYTHON_LOG_LEVEL", "debug"),
        ("OTEL_K8S_POD_NAME", "ignored"),
    ];
    let config = read(EXAMPLE, &variables);
    assert_eq!(config.service.name, "checkout");
    assert_eq!(config.traces.batch.queue_size, 2048);
    assert_eq!(config.traces.exporters, [Exporter::Otlp]);
    assert_eq!(config.metrics.otlp.endpoint.to_string(), "https://collector.example/v1/metrics");
    let resource = resource(&config);
    assert_eq!(resource.get(&Key::from_static_str("team")), Some("a,b".into()));
    assert_eq!(resource.get(&Key::from_static_str("deployment.cell")), Some(3.into()), "the file's own win");
    let told: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "OTEL_CONFIG_FILE: conf/otel.yaml decides; no effect have OTEL_BSP_MAX_QUEUE_SIZE, OTEL_K8S_POD_NAME, \
          OTEL_TRACES_EXPORTER"
        ]
    );
}

#[test]
fn what_a_file_leaves_out_is_not_there() {
    let config = read(&with(""), &[("ENVIRONMENT", "production"), ("HOST_TYPE", "m7g")]);
    assert!(config.traces.exporters.is_empty() && config.metrics.exporters.is_empty());
    assert!(config.logs.exporters.is_empty() && config.propagators.is_empty());
    assert!(!config.disabled);
    let resource = resource(&config);
    let mut keys: Vec<String> = resource.iter().map(|(key, _)| key.to_string()).collect();
    keys.retain(|key| !key.starts_with("telemetry."));
    keys.sort();
    assert_eq!(keys, ["deployment.environment.name", "service.name", "service.version"]);
}

#[test]
fn every_part_of_the_schema_that_is_honoured_takes_effect() {
    let text = with(
        r#"
disabled: true
log_level: WARN2
attribute_limits: {attribute_value_length_limit: 5, attribute_count_limit: 6}
propagator:
  composite: [{tracecontext: }, {b3: }]
  composite_list: b3,jaeger
tracer_provider:
  sampler:
    parent_based:
      root: {always_off: }
      remote_parent_sampled: {always_on: }
      local_parent_not_sampled: {always_off: {}}
  limits:
    attribute_value_length_limit: 1
    attribute_count_limit: 2
    event_count_limit: 3
    link_count_limit: 4
    event_attribute_count_limit: 5
    link_attribute_count_limit: 0x6
  processors:
    - simple: {exporter: {console: }}
    - batch:
        schedule_delay: 1
        export_timeout: 0
        max_queue_size: 20
        max_export_batch_size: 10
        exporter:
          otlp_http:
            encoding: json
            headers_list: "a=1,b=2"
            headers: [{name: b, value: 3}, {name: c, value: }]
meter_provider:
  exemplar_filter: always_off
  readers:
    - periodic:
        timeout: 9
        exporter:
          otlp_http: {temporality_preference: low_memory, default_histogram_aggregation: base2_exponential_bucket_histogram}
        cardinality_limits: {default: 7, counter: 7}
    - pull:
        cardinality_limits: {default: 7}
        exporter:
          prometheus/development: {host: 127.0.0.1, port: 0, translation_strategy: underscore_escaping_with_suffixes}
logger_provider:
  limits: {attribute_value_length_limit: 8, attribute_count_limit: 9}
  processors: [{batch: {exporter: {console: }}}]
resource:
  attributes:
    - {name: a, value: text}
    - {name: b, value: true, type: bool}
    - {name: c, value: 1.5, type: double}
    - {name: d, value: [1, 2], type: int_array}
    - {name: e, value: [x, y], type: string_array}
instrumentation/development:
  java: {anything: {at: all}}
  general:
    stability_opt_in_list: http/dup
    http:
      client: {response_captured_headers: [etag], known_methods: [GET, PURGE]}
      server: {known_methods: [GET, PURGE]}
  rust:
    telemetry_core: {excluded_urls: [/internal/*], runtime_metrics: false, sqlcommenter: true, repeated_query_threshold: 0}
"#,
    );
    let config = read(&text, &[]);
    assert!(
        config.disabled
            && config.http.old_names_too
            && config.database.sqlcommenter
            && !config.metrics.runtime
    );
    assert_eq!(config.logs.own_level, Some(LogLevel::Warn));
    assert_eq!(config.propagators, [Propagator::TraceContext, Propagator::B3, Propagator::Jaeger]);
    let Traces { exporters, sampler, limits, attribute_value_length, batch, otlp, .. } = &config.traces;
    assert_eq!(*exporters, [Exporter::Console, Exporter::Otlp]);
    assert_eq!(format!("{sampler:?}"), "ParentBased(AlwaysOff)");
    assert!(config.traces.parents.is_none(), "what the parent decided is kept");
    assert_eq!(
        (limits.max_attributes_per_span, limits.max_events_per_span, limits.max_links_per_span),
        (2, 3, 4)
    );
    assert_eq!((limits.max_attributes_per_event, limits.max_attributes_per_link), (5, 6));
    assert_eq!(*attribute_value_length, Some(1));
    assert_eq!((batch.queue_size, batch.batch_size, batch.export_timeout), (20, 10, Duration::MAX));
    assert_eq!(otlp.protocol, Protocol::Json);
    let headers = otlp.headers.expose();
    assert_eq!((headers.len(), headers["a"].as_bytes(), headers["b"].as_bytes()), (2, &b"1"[..], &b"3"[..]));
    let metrics = &config.metrics;
    assert_eq!(metrics.interval, Duration::from_secs(60), "the schema's default");
    assert_eq!((metrics.export_timeout, metrics.cardinality_limit), (Duration::from_millis(9), 7));
    assert_eq!(
        (metrics.temporality, metrics.histograms),
        (Temporality::LowMemory, HistogramAggregation::Exponential)
    );
    assert_eq!(metrics.exemplars, ExemplarFilter::AlwaysOff);
    assert_eq!(metrics.prometheus, Some(PrometheusServer { host: "127.0.0.1".to_owned(), port: 0 }));
    assert_eq!(config.logs.exporters, [Exporter::Console]);
    assert_eq!(config.logs.limits, AttributeLimits { count: 9, value_length: Some(8) });
    let settings = config.settings().iter().map(ToString::to_string);
    let told: Vec<String> = settings.filter(|line| line.starts_with("resource.")).collect();
    assert_eq!(told, ["resource.attributes = a=text,b=true,c=1.5,d=[1,2],e=[\"x\",\"y\"] (file)"]);
    assert_eq!((config.http.known_methods.len(), config.database.repeated_query_threshold), (2, 0));
    assert_eq!(
        (config.http.client_headers.response.len(), config.excluded_urls),
        (1, vec!["/internal/*".to_owned()])
    );
    let attributes = &config.service.resource_attributes;
    let told: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    assert_eq!(
        told,
        [
            "a=String(Owned(\"text\"))",
            "b=Bool(true)",
            "c=F64(1.5)",
            "d=Array(I64([1, 2]))",
            "e=Array(String([Owned(\"x\"), Owned(\"y\")]))"
        ]
    );
}

#[test]
fn grpc_and_certificates_are_those_of_the_variables() {
    let text = with(
        "tracer_provider: {processors: [{batch: {exporter: {otlp_grpc: {endpoint: 'collector:4317', tls: {insecure: true}}}}}]}\n\
         logger_provider: {processors: [{batch: {exporter: {otlp_grpc: }}}]}",
    );
    let config = read(&text, &[]);
    assert_eq!((config.traces.otlp.protocol, config.logs.otlp.protocol), (Protocol::Grpc, Protocol::Grpc));
    assert_eq!(config.traces.otlp.endpoint.to_string(), "http://collector:4317/");
    assert_eq!(config.logs.otlp.endpoint.to_string(), "http://localhost:4317/");

    let tls = "ca_file: /ca.pem, cert_file: /cert.pem, key_file: /key.pem";
    let text = with(&format!(
        "tracer_provider: {{processors: [{{batch: {{exporter: {{otlp_http: {{tls: {{{tls}}}}}}}}}}}]}}"
    ));
    let told = try_read(&text, &[]).expect_err("there are no such files");
    for file in ["ca", "cert", "key"] {
        let place = format!(
            "otel.yaml:2 tracer_provider.processors[0].batch.exporter.otlp_http.tls.{file}_file=/{file}.pem"
        );
        assert!(told.iter().any(|told| told.starts_with(&place)), "{file}: {told:#?}");
    }
}

#[test]
fn code_speaks_where_the_file_does_not_and_a_roots_own_keys_are_told() {
    let mut env = env(&with("x-anchors: {a: 1}\ndisabled: false"), &[]).with_defaults([
        ("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "/mine"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "otlp"),
    ]);
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().unwrap();
    assert_eq!(config.excluded_urls, ["/mine"]);
    assert!(!config.disabled && config.traces.exporters.is_empty());
    assert_eq!(config.warnings()[0].to_string(), "OTEL_CONFIG_FILE: otel.yaml:2 x-anchors has no effect");
}

#[test]
fn whatever_a_file_gives_is_a_known_variable() {
    let config = read(EXAMPLE, &[]);
    let given = config.settings().iter().filter(|setting| setting.source == Source::File);
    let unknown: Vec<&str> =
        given.map(|one| one.name.as_str()).filter(|name| variables::find(name).is_none()).collect();
    assert_eq!(unknown, ["resource.attributes"], "they have types, which no variable has");
}
