mod collectors;
mod file;
mod otlp;
mod table;

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};

use super::*;

/// The configuration of these variables; they must be right.
fn read(variables: &[(&str, &str)]) -> Config {
    let mut env = Env::of(variables.iter().copied());
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().expect("the variables are right");
    config
}

/// What is told of these variables, a line each.
fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
    let mut env = Env::of(variables.iter().copied());
    Config::read("order-service", "1.2.3", &mut env);
    match env.finish() {
        Ok(()) => Vec::new(),
        Err(error) => error.mistakes().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn without_variables_every_setting_has_its_documented_default() {
    let config = read(&[]);
    assert_eq!(config.environment, "development");
    assert!(config.is_development());
    assert!(!config.disabled);
    assert_eq!(config.service.name, "order-service");
    assert_eq!(config.service.version, "1.2.3");
    assert_eq!(config.service.namespace, None);
    assert_eq!(config.service.region, None);
    assert_eq!(config.service.resource_attributes, []);
    assert_eq!(config.propagators, [Propagator::TraceContext, Propagator::Baggage]);
    assert_eq!(config.excluded_urls, ["/health", "/ready", "/metrics", "/favicon.ico"]);

    let traces = &config.traces;
    assert_eq!(traces.exporters, [Exporter::Console]);
    assert_eq!(format!("{:?}", traces.sampler), "ParentBased(AlwaysOn)");
    assert_eq!(traces.limits.max_attributes_per_span, 128);
    assert_eq!(traces.limits.max_events_per_span, 128);
    assert_eq!(traces.limits.max_links_per_span, 128);
    assert_eq!(traces.limits.max_attributes_per_event, 128);
    assert_eq!(traces.limits.max_attributes_per_link, 128);
    let batch = |delay| Batch {
        queue_size: 2048,
        delay: Duration::from_millis(delay),
        batch_size: 512,
        export_timeout: Duration::from_secs(30),
    };
    assert_eq!(traces.batch, batch(5000));
    assert_eq!(traces.attribute_value_length, None);
    assert_eq!(config.logs.limits, AttributeLimits { count: 128, value_length: None });
    assert_eq!(config.logs.rate_limit, 1000);

    let metrics = &config.metrics;
    assert_eq!(metrics.exporters, [Exporter::Console]);
    assert_eq!(metrics.interval, Duration::from_secs(5));
    assert_eq!(metrics.export_timeout, Duration::from_secs(30));
    assert_eq!(metrics.temporality, Temporality::Cumulative);
    assert_eq!(metrics.exemplars, ExemplarFilter::TraceBased);
    assert_eq!(metrics.cardinality_limit, 2000);
    assert!(metrics.runtime);

    let logs = &config.logs;
    assert_eq!(logs.exporters, [Exporter::Console]);
    assert_eq!(logs.filter, "info");
    assert_eq!(logs.format, LogFormat::Text);
    assert_eq!(logs.batch, batch(1000));

    for (otlp, path) in [(&traces.otlp, "traces"), (&metrics.otlp, "metrics"), (&logs.otlp, "logs")] {
        assert_eq!(otlp.endpoint.to_string(), format!("http://localhost:4318/v1/{path}"));
        assert_eq!(otlp.protocol, Protocol::Protobuf);
        assert_eq!(otlp.timeout, Duration::from_secs(10));
        assert_eq!(otlp.compression, Compression::None);
        assert!(otlp.headers.expose().is_empty());
    }
}

#[test]
fn outside_development_signals_go_to_the_collector_and_logs_are_json() {
    let config = read(&[("ENVIRONMENT", "production")]);
    assert!(!config.is_development());
    assert_eq!(config.traces.exporters, [Exporter::Otlp]);
    assert_eq!(config.metrics.exporters, [Exporter::Otlp]);
    assert_eq!(config.logs.exporters, [Exporter::Otlp]);
    assert_eq!(config.logs.format, LogFormat::Json);
}

#[test]
fn an_explicit_exporter_wins_over_the_environment() {
    let table: [(&str, &[Exporter]); 6] = [
        ("otlp", &[Exporter::Otlp]),
        ("console", &[Exporter::Console]),
        ("none", &[]),
        ("console,otlp", &[Exporter::Console, Exporter::Otlp]),
        (" OTLP , Console ", &[Exporter::Otlp, Exporter::Console]),
        ("otlp,otlp", &[Exporter::Otlp]),
    ];
    for (text, expected) in table {
        for environment in ["development", "production"] {
            let config = read(&[
                ("ENVIRONMENT", environment),
                ("OTEL_TRACES_EXPORTER", text),
                ("OTEL_METRICS_EXPORTER", text),
                ("OTEL_LOGS_EXPORTER", text),
            ]);
            assert_eq!(config.traces.exporters, expected, "{text}");
            assert_eq!(config.metrics.exporters, expected, "{text}");
            assert_eq!(config.logs.exporters, expected, "{text}");
        }
    }
}

#[test]
fn metrics_may_be_fetched_and_pushed() {
    let config = read(&[("OTEL_METRICS_EXPORTER", "prometheus,otlp")]);
    assert_eq!(config.metrics.exporters, [Exporter::Prometheus, Exporter::Otlp]);
    assert!(config.summary().contains("OTEL_METRICS_EXPORTER = prometheus,otlp (environment)"));
}

#[test]
fn the_service_name_comes_from_its_variable_then_from_the_attributes_then_from_code() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute");
    let table: [(&[(&str, &str)], &str); 4] = [
        (&[("OTEL_SERVICE_NAME", "variable"), attributes], "variable"),
        (&[attributes], "attribute"),
        (&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=")], "order-service"),
        (&[], "order-service"),
    ];
    for (variables, expected) in table {
        assert_eq!(read(variables).service.name, expected, "{variables:?}");
    }
}

#[test]
fn the_environment_names_the_service_even_where_code_sets_the_stronger_variable() {
    let mut env = Env::of([("OTEL_RESOURCE_ATTRIBUTES", "service.name=environment")])
        .with_defaults([("OTEL_SERVICE_NAME", "code")]);
    let config = Config::read("argument", "1", &mut env);
    assert_eq!(config.service.name, "environment");
}

#[test]
fn the_other_names_of_a_service_have_variables_too() {
    let config =
        read(&[("APP_VERSION", "2.0.0"), ("SERVICE_NAMESPACE", "shop"), ("AWS_REGION", "eu-west-1")]);
    assert_eq!(config.service.version, "2.0.0");
    assert_eq!(config.service.namespace.as_deref(), Some("shop"));
    assert_eq!(config.service.region.as_deref(), Some("eu-west-1"));

    let attributes = "service.version=3,service.namespace=mall,cloud.region=z%C3%BCrich";
    let config = read(&[("APP_VERSION", "2.0.0"), ("OTEL_RESOURCE_ATTRIBUTES", attributes)]);
    assert_eq!(config.service.version, "3");
    assert_eq!(config.service.namespace.as_deref(), Some("mall"));
    assert_eq!(config.service.region.as_deref(), Some("zürich"));
}

#[test]
fn every_sampler_of_the_specification_is_known_or_refused() {
    let table = [
        ("always_on", "", "AlwaysOn", true),
        ("always_off", "", "AlwaysOff", false),
        ("traceidratio", "", "TraceIdRatioBased(1.0)", true),
        ("traceidratio", "0.25", "TraceIdRatioBased(0.25)", false),
        ("parentbased_always_on", "", "ParentBased(AlwaysOn)", true),
        ("PARENTBASED_ALWAYS_OFF", "", "ParentBased(AlwaysOff)", false),
        ("parentbased_traceidratio", "0", "ParentBased(TraceIdRatioBased(0.0))", false),
        ("parentbased_traceidratio", "0.75", "ParentBased(TraceIdRatioBased(0.75))", true),
    ];
    for (sampler, argument, expected, samples_roots) in table {
        let config = read(&[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert_eq!(format!("{:?}", config.traces.sampler), expected, "{sampler}");
        assert!(config.traces.has_plain_sampler(), "{sampler}");
        assert_eq!(config.traces.samples_roots(), samples_roots, "{sampler} {argument}");
    }
    for sampler in ["jaeger_remote", "parentbased_jaeger_remote", "xray", "sometimes"] {
        let told = mistakes(&[("OTEL_TRACES_SAMPLER", sampler)]);
        assert_eq!(told.len(), 1, "{sampler}");
        assert!(
            told[0].starts_with(&format!("OTEL_TRACES_SAMPLER={sampler}: expected always_on,")),
            "{told:?}"
        );
    }
    for argument in ["1.5", "-0.1", "NaN", "half"] {
        let told =
            mistakes(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert_eq!(told, [format!("OTEL_TRACES_SAMPLER_ARG={argument}: expected a ratio from 0 to 1")]);
    }
}

/// The application's own, in the one place where a configuration has room for it.
#[test]
fn a_sampler_of_ones_own_is_not_asked_before_there_is_a_span() {
    #[derive(Debug, Clone)]
    struct Own;
    impl ShouldSample for Own {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            panic!("it is asked")
        }
    }
    let mut config = read(&[]);
    config.traces.sampler = Sampler::ParentBased(Box::new(Own));
    assert!(!config.traces.has_plain_sampler());
    assert!(!config.traces.samples_roots());
}

#[test]
fn attribute_limits_fall_back_to_the_general_one() {
    let limits = read(&[
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "3"),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "4"),
    ])
    .traces
    .limits;
    assert_eq!(limits.max_attributes_per_span, 20);
    assert_eq!(limits.max_attributes_per_event, 10);
    assert_eq!(limits.max_attributes_per_link, 4);
    assert_eq!(limits.max_events_per_span, 0);
    assert_eq!(limits.max_links_per_span, 3);
}

#[test]
fn value_lengths_and_counts_have_a_limit_for_all_and_one_for_each() {
    let all = [("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "10"), ("OTEL_ATTRIBUTE_COUNT_LIMIT", "20")];
    let each = [
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "4"),
    ];
    let limits = |variables: &[(&str, &str)]| {
        let Config { traces, logs, .. } = read(variables);
        let spans = AttributeLimits {
            count: traces.limits.max_attributes_per_span,
            value_length: traces.attribute_value_length,
        };
        (spans, logs.limits)
    };
    let limit = |count, value_length| AttributeLimits { count, value_length };
    assert_eq!(limits(&all), (limit(20, Some(10)), limit(20, Some(10))));
    assert_eq!(limits(&each), (limit(3, Some(1)), limit(4, Some(0))));
    assert_eq!(limits(&[&all[..], &each].concat()), (limit(3, Some(1)), limit(4, Some(0))));
    assert_eq!(limits(&[&all[..1], &each[2..3]].concat()), (limit(3, Some(10)), limit(128, Some(10))));
}

#[test]
fn batches_and_intervals_are_set_in_milliseconds() {
    let config = read(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "7"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "200"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
    ]);
    let spans = &config.traces.batch;
    assert_eq!(spans.delay, Duration::from_millis(100));
    assert_eq!((spans.queue_size, spans.batch_size), (10, 10));
    assert_eq!(spans.export_timeout, Duration::MAX);
    assert_eq!(config.logs.batch.batch_size, 7);
    assert_eq!(config.metrics.interval, Duration::from_millis(250));
    assert_eq!(config.metrics.export_timeout, Duration::from_millis(200));
    assert_eq!(config.metrics.temporality, Temporality::Delta);
}

#[test]
fn propagators_and_exclusions_are_lists() {
    let config = read(&[
        ("OTEL_PROPAGATORS", "TraceContext"),
        ("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "/health, /internal/*,*.css"),
    ]);
    assert_eq!(config.propagators, [Propagator::TraceContext]);
    assert_eq!(config.excluded_urls, ["/health", "/internal/*", "*.css"]);

    let config =
        read(&[("OTEL_PROPAGATORS", "none"), ("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "none")]);
    assert_eq!(config.propagators, []);
    assert!(config.excluded_urls.is_empty());

    let all = "tracecontext,baggage,b3,b3multi,jaeger,xray";
    let config = read(&[("OTEL_PROPAGATORS", "tracecontext, baggage,B3,b3,b3multi,jaeger,xray")]);
    assert_eq!(config.propagators.len(), 6);
    assert!(config.summary().contains(&format!("OTEL_PROPAGATORS = {all} (environment)")));
}

#[test]
fn callers_set_no_tenants_unless_they_are_trusted() {
    let config = read(&[]);
    assert_eq!(config.baggage_attributes, ["tenant.id", "tenant.name"]);
    assert!(config.baggage_trusted_urls.is_empty());

    let config =
        read(&[("BAGGAGE_ATTRIBUTES", "tenant.id, app.tier"), ("BAGGAGE_TRUSTED_URLS", "/internal/*")]);
    assert_eq!(config.baggage_attributes, ["tenant.id", "app.tier"]);
    assert_eq!(config.baggage_trusted_urls, ["/internal/*"]);
    assert!(read(&[("BAGGAGE_ATTRIBUTES", "none")]).baggage_attributes.is_empty());
}

#[test]
fn logs_have_a_filter_and_a_format() {
    for (text, filter) in [
        ("warn, order_service=debug", "warn,order_service=debug"),
        ("warn,\t\u{1700}=info", "warn,\u{1700}=info"),
    ] {
        assert_eq!(read(&[("RUST_LOG", text)]).logs.filter, filter, "{text}");
    }
    let config = read(&[("RUST_LOG", "warn,order_service=debug"), ("LOG_FORMAT", "JSON")]);
    assert_eq!(config.logs.filter, "warn,order_service=debug");
    assert_eq!(config.logs.format, LogFormat::Json);
}

#[test]
fn a_wrong_value_is_told_with_what_would_be_right() {
    let table = [
        ("OTEL_SDK_DISABLED", "yes", "true or false"),
        ("OTEL_TRACES_EXPORTER", "stackdriver", "otlp, console, several of them, or none"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "otlp, console, several of them, or none (Jaeger takes OTLP)"),
        (
            "OTEL_TRACES_EXPORTER",
            "zipkin",
            "otlp, console, several of them, or none (Zipkin is not supported, OTLP is)",
        ),
        (
            "OTEL_LOGS_EXPORTER",
            "logging",
            "otlp, console, several of them, or none (logging is called console now)",
        ),
        ("OTEL_TRACES_EXPORTER", "prometheus", "otlp, console, several of them, or none"),
        ("OTEL_LOGS_EXPORTER", "prometheus", "otlp, console, several of them, or none"),
        ("OTEL_METRICS_EXPORTER", "statsd", "otlp, console, prometheus, several of them, or none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp", "http/protobuf, http/json or grpc"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "gzip or none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "milliseconds, a whole number (0 for no limit)"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number greater than 0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "1.5", "milliseconds, a whole number greater than 0"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "many", "a whole number"),
        (
            "OTEL_PROPAGATORS",
            "ottrace",
            "a list of tracecontext, baggage, b3, b3multi, jaeger and xray, or none (ottrace is not supported)",
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name", "key=value pairs separated by commas, percent-encoded"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a whole number"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "few", "a whole number"),
        ("METRICS_CARDINALITY_LIMIT", "0", "series of an instrument, 1 to 1000000"),
        ("METRICS_CARDINALITY_LIMIT", "1000001", "series of an instrument, 1 to 1000000"),
        ("OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED", "on", "true or false"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "all", "trace_based, always_on or always_off"),
        ("LOG_RATE_LIMIT", "-1", "lines a second, a whole number (0 for no limit)"),
        ("RUST_LOG", "info,=[", "directives such as info or warn,order_service=debug"),
        ("LOG_FORMAT", "xml", "text or json"),
        (
            "OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS",
            "health",
            "paths that begin with `/`, or globs that begin with `*`, separated by commas, or none",
        ),
        ("OTEL_EXPERIMENTAL_CONFIG_FILE", "otel.yaml", "to be unset: its name is OTEL_CONFIG_FILE now"),
    ];
    for (name, value, expected) in table {
        assert_eq!(mistakes(&[(name, value)]), [format!("{name}={value}: expected {expected}")]);
    }
}

/// What is warned of these variables, a line each; they must be right.
fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    read(variables).warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn an_unknown_variable_is_warned_about_with_the_nearest_name() {
    let told = warnings(&[
        ("OTEL_TRACE_EXPORTER", "otlp"),
        ("OTEL_WHATEVER", "s3cret"),
        ("OTEL_UNSET", ""),
        ("OTEL_PYTHON_LOG_CORRELATION", "true"),
        ("OTEL_SERVICE_NAME", "checkout"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(
        told,
        [
            "OTEL_TRACE_EXPORTER: unknown; did you mean OTEL_TRACES_EXPORTER?",
            "OTEL_WHATEVER: unknown; it has no effect"
        ]
    );
}

#[test]
fn a_setting_without_effect_is_warned_about() {
    let table: [(&[(&str, &str)], &str); 4] = [
        (
            &[("OTEL_TRACES_SAMPLER_ARG", "0.1")],
            "OTEL_TRACES_SAMPLER_ARG: no effect: the sampler is parentbased_always_on, which takes no argument",
        ),
        (
            &[("OTEL_EXPORTER_PROMETHEUS_PORT", "9464")],
            "OTEL_EXPORTER_PROMETHEUS_PORT: no effect: OTEL_METRICS_EXPORTER does not name prometheus",
        ),
        (
            &[("OTEL_SEMCONV_STABILITY_OPT_IN", "htp/dup")],
            "OTEL_SEMCONV_STABILITY_OPT_IN: no effect: htp/dup is no category of names that are emitted here",
        ),
        (
            &[("OTEL_ENTITIES", "host{host.id=1};host{host.id=2}")],
            "OTEL_ENTITIES: host.id has several values; the last one counts",
        ),
    ];
    for (variables, expected) in table {
        assert_eq!(warnings(variables), [expected]);
    }
    let shared = "http,database,messaging,rpc/dup,gen_ai_latest_experimental";
    assert!(
        warnings(&[("OTEL_SEMCONV_STABILITY_OPT_IN", shared)]).is_empty(),
        "others may share the variable"
    );
}

#[test]
fn entities_are_attributes_that_the_service_own_variables_win_over() {
    let entities = ("OTEL_ENTITIES", "service{service.name=entity}[service.version=7];host{host.id=h-1}");
    let service = read(&[entities]).service;
    assert_eq!((service.name.as_str(), service.version.as_str()), ("entity", "7"));
    assert!(service.resource_attributes.contains(&("host.id".to_owned(), "h-1".into())));
    let service = read(&[entities, ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute")]).service;
    assert_eq!((service.name.as_str(), service.version.as_str()), ("attribute", "7"));
    assert_eq!(read(&[entities, ("OTEL_SERVICE_NAME", "variable")]).service.name, "variable");
}

#[test]
fn a_port_for_prometheus_is_opened_where_it_is_asked_for() {
    let exporter = ("OTEL_METRICS_EXPORTER", "prometheus,otlp");
    assert_eq!(read(&[exporter]).metrics.prometheus, None);
    let server = |host: &str, port| Some(PrometheusServer { host: host.to_owned(), port });
    let (host, port) = (("OTEL_EXPORTER_PROMETHEUS_HOST", "::1"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"));
    assert_eq!(read(&[exporter, host]).metrics.prometheus, server("::1", 9464));
    assert_eq!(read(&[exporter, port]).metrics.prometheus, server("localhost", 0));
    assert_eq!(read(&[exporter, host, port]).metrics.prometheus, server("::1", 0));
}

#[test]
fn a_batch_larger_than_its_queue_is_refused() {
    let told = mistakes(&[("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "11")]);
    assert_eq!(
        told,
        ["OTEL_BSP_MAX_EXPORT_BATCH_SIZE=11: expected at most OTEL_BSP_MAX_QUEUE_SIZE, which is 10"]
    );
}

#[test]
fn mistakes_are_told_all_together() {
    let told = mistakes(&[
        ("OTEL_TRACES_EXPORTER", "otlp,jaeger,zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("LOG_FORMAT", "xml"),
    ]);
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn the_summary_tells_every_setting_with_its_source() {
    let mut env = Env::of([("ENVIRONMENT", "staging"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500")])
        .with_defaults([("OTEL_METRIC_EXPORT_INTERVAL", "60000")]);
    let config = Config::read("order-service", "1.2.3", &mut env);
    let summary = config.summary();
    for line in [
        "ENVIRONMENT = staging (environment)",
        "OTEL_SDK_DISABLED = false (default)",
        "OTEL_SERVICE_NAME = order-service (code)",
        "APP_VERSION = 1.2.3 (code)",
        "OTEL_EXPORTER_OTLP_ENDPOINT = http://localhost:4318 (default)",
        "OTEL_EXPORTER_OTLP_TIMEOUT = 10000 (default)",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT = 500 (environment)",
        "OTEL_TRACES_EXPORTER = otlp (default)",
        "OTEL_TRACES_SAMPLER = parentbased_always_on (default)",
        "OTEL_BSP_MAX_QUEUE_SIZE = 2048 (default)",
        "OTEL_METRIC_EXPORT_INTERVAL = 60000 (code)",
        "OTEL_PROPAGATORS = tracecontext,baggage (default)",
        "RUST_LOG = info (default)",
        "LOG_FORMAT = json (default)",
    ] {
        assert!(summary.lines().any(|told| told == line), "{line} is missing in\n{summary}");
    }
    assert!(!summary.contains("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"), "{summary}");
}
