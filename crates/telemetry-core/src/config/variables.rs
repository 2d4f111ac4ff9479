//! The variables that this library knows: the one list that reading, warnings and documentation draw from.
//!
//! Tests hold it to the rest: each variable here is asked for by [`Config::read`](super::Config::read) and no other is,
//! each default is the one in force, and `docs/configuration.md` has a row for each.

/// A variable of the OpenTelemetry specification, or one of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The value in force without it, as the variable would hold it; empty where there is none.
    pub default: &'static str,
    /// What would be right instead, where it is known and refused.
    pub refused: Option<&'static str>,
}

/// One that is honoured.
const fn honoured(name: &'static str, default: &'static str) -> Variable {
    Variable { name, default, refused: None }
}

/// One of the specification that has no place here: told as a mistake wherever it is set.
const fn refused(name: &'static str, instead: &'static str) -> Variable {
    Variable { name, default: "", refused: Some(instead) }
}

const ZIPKIN: &str = "to be unset: Zipkin is not supported, OTLP is";
const JAEGER: &str = "to be unset: Jaeger takes OTLP, set OTEL_EXPORTER_OTLP_ENDPOINT";
/// By default as in the general variable.
const GENERAL: &str = "";

/// All of them, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    // General SDK
    honoured("OTEL_SDK_DISABLED", "false"),
    honoured("OTEL_CONFIG_FILE", ""),
    honoured("OTEL_SERVICE_NAME", ""),
    honoured("OTEL_RESOURCE_ATTRIBUTES", ""),
    honoured("OTEL_ENTITIES", ""),
    honoured("OTEL_LOG_LEVEL", ""),
    honoured("OTEL_PROPAGATORS", "tracecontext,baggage"),
    honoured("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
    honoured("OTEL_TRACES_SAMPLER_ARG", "1"),
    // Exporter selection
    honoured("OTEL_TRACES_EXPORTER", "console"),
    honoured("OTEL_METRICS_EXPORTER", "console"),
    honoured("OTEL_LOGS_EXPORTER", "console"),
    // Batch span processor
    honoured("OTEL_BSP_SCHEDULE_DELAY", "5000"),
    honoured("OTEL_BSP_EXPORT_TIMEOUT", "30000"),
    honoured("OTEL_BSP_MAX_QUEUE_SIZE", "2048"),
    honoured("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512"),
    // Batch log record processor
    honoured("OTEL_BLRP_SCHEDULE_DELAY", "1000"),
    honoured("OTEL_BLRP_EXPORT_TIMEOUT", "30000"),
    honoured("OTEL_BLRP_MAX_QUEUE_SIZE", "2048"),
    honoured("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512"),
    // Attribute limits
    honoured("OTEL_ATTRIBUTE_COUNT_LIMIT", "128"),
    honoured("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", ""),
    honoured("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "128"),
    honoured("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", ""),
    honoured("OTEL_SPAN_EVENT_COUNT_LIMIT", "128"),
    honoured("OTEL_SPAN_LINK_COUNT_LIMIT", "128"),
    honoured("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "128"),
    honoured("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "128"),
    honoured("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "128"),
    honoured("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", ""),
    // Metrics SDK
    honoured("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based"),
    honoured("OTEL_METRIC_EXPORT_INTERVAL", "5000"),
    honoured("OTEL_METRIC_EXPORT_TIMEOUT", "30000"),
    honoured("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative"),
    honoured("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
    honoured("OTEL_EXPORTER_PROMETHEUS_HOST", ""),
    honoured("OTEL_EXPORTER_PROMETHEUS_PORT", ""),
    // OTLP exporter
    honoured("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
    honoured("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    honoured("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_HEADERS", ""),
    honoured("OTEL_EXPORTER_OTLP_TRACES_HEADERS", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_HEADERS", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_HEADERS", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_TIMEOUT", "10000"),
    honoured("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    honoured("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_CERTIFICATE", ""),
    honoured("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_CLIENT_KEY", ""),
    honoured("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", ""),
    honoured("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_INSECURE", "false"),
    honoured("OTEL_EXPORTER_OTLP_TRACES_INSECURE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_METRICS_INSECURE", GENERAL),
    honoured("OTEL_EXPORTER_OTLP_LOGS_INSECURE", GENERAL),
    refused(
        "OTEL_EXPORTER_OTLP_SPAN_INSECURE",
        "to be unset: its name is OTEL_EXPORTER_OTLP_TRACES_INSECURE now",
    ),
    refused(
        "OTEL_EXPORTER_OTLP_METRIC_INSECURE",
        "to be unset: its name is OTEL_EXPORTER_OTLP_METRICS_INSECURE now",
    ),
    // Instrumentation
    honoured("OTEL_SEMCONV_STABILITY_OPT_IN", "http"),
    honoured(
        "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",
        "GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE,QUERY",
    ),
    honoured("OTEL_INSTRUMENTATION_HTTP_SERVER_EXCLUDED_URLS", "/health,/ready,/metrics,/favicon.ico"),
    honoured("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "none"),
    honoured("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS", "none"),
    honoured("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS", "none"),
    honoured("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", "none"),
    honoured("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ""),
    honoured("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", ""),
    honoured("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", ""),
    honoured("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE", ""),
    honoured("OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED", "false"),
    honoured("OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD", "50"),
    honoured("OTEL_INSTRUMENTATION_RUNTIME_METRICS_ENABLED", "true"),
    // Our own
    honoured("ENVIRONMENT", "development"),
    honoured("APP_VERSION", ""),
    honoured("SERVICE_NAMESPACE", ""),
    honoured("AWS_REGION", ""),
    honoured("RUST_LOG", "info"),
    honoured("LOG_FORMAT", "text"),
    honoured("LOG_RATE_LIMIT", "1000"),
    honoured("METRICS_CARDINALITY_LIMIT", "2000"),
    honoured("BAGGAGE_ATTRIBUTES", "tenant.id,tenant.name"),
    honoured("BAGGAGE_TRUSTED_URLS", "none"),
    honoured("TRUSTED_PROXIES", "none"),
    // What the orchestrator tells
    honoured("HOST_TYPE", ""),
    honoured("CONTAINER_NAME", ""),
    honoured("CONTAINER_IMAGE", ""),
    honoured("K8S_CLUSTER_NAME", ""),
    honoured("K8S_NAMESPACE_NAME", ""),
    honoured("K8S_NAMESPACE", ""),
    honoured("OTEL_K8S_NAMESPACE", ""),
    honoured("POD_NAMESPACE", ""),
    honoured("MY_POD_NAMESPACE", ""),
    honoured("K8S_POD_NAME", ""),
    honoured("OTEL_K8S_POD_NAME", ""),
    honoured("POD_NAME", ""),
    honoured("MY_POD_NAME", ""),
    honoured("K8S_POD_UID", ""),
    honoured("OTEL_K8S_POD_UID", ""),
    honoured("POD_UID", ""),
    honoured("MY_POD_UID", ""),
    honoured("K8S_NODE_NAME", ""),
    honoured("OTEL_K8S_NODE_NAME", ""),
    honoured("NODE_NAME", ""),
    honoured("MY_NODE_NAME", ""),
    honoured("K8S_CONTAINER_NAME", ""),
    honoured("OTEL_K8S_CONTAINER_NAME", ""),
    honoured("K8S_DEPLOYMENT_NAME", ""),
    honoured("OTEL_K8S_DEPLOYMENT_NAME", ""),
    honoured("KUBERNETES_SERVICE_HOST", ""),
    // Known, and refused
    refused("OTEL_EXPERIMENTAL_CONFIG_FILE", "to be unset: its name is OTEL_CONFIG_FILE now"),
    refused("OTEL_EXPORTER_ZIPKIN_ENDPOINT", ZIPKIN),
    refused("OTEL_EXPORTER_ZIPKIN_TIMEOUT", ZIPKIN),
    refused("OTEL_EXPORTER_ZIPKIN_PROTOCOL", ZIPKIN),
    refused("OTEL_EXPORTER_JAEGER_ENDPOINT", JAEGER),
    refused("OTEL_EXPORTER_JAEGER_AGENT_HOST", JAEGER),
    refused("OTEL_EXPORTER_JAEGER_AGENT_PORT", JAEGER),
];

/// Beginnings of names that belong to others who share the environment: SDKs of other languages, agents, the
/// collector, and the operator's helpers. They are passed over.
const OTHERS: &[&str] = &[
    "OTEL_COLLECTOR_",
    "OTEL_CPP_",
    "OTEL_DOTNET_",
    "OTEL_ERLANG_",
    "OTEL_GO_",
    "OTEL_INJECTOR_",
    "OTEL_JAVAAGENT_",
    "OTEL_JAVA_",
    "OTEL_JMX_",
    "OTEL_JS_",
    "OTEL_NODE_",
    "OTEL_OPERATOR_",
    "OTEL_PHP_",
    "OTEL_PYTHON_",
    "OTEL_RESOURCE_ATTRIBUTES_",
    "OTEL_RUBY_",
    "OTEL_SWIFT_",
];

/// The variable of this name.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// Whether a name is one of OpenTelemetry's that nobody known here reads: most likely a misspelling.
pub(super) fn is_unknown(name: &str) -> bool {
    name.starts_with("OTEL_") && find(name).is_none() && !is_of_others(name)
}

/// Whether a name belongs to another SDK or agent.
pub(super) fn is_of_others(name: &str) -> bool {
    find(name).is_none() && OTHERS.iter().any(|beginning| name.starts_with(beginning))
}

/// The honoured variable whose name is nearest, if any is near.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let honoured = VARIABLES.iter().filter(|variable| variable.refused.is_none());
    honoured
        .map(|variable| (strsim::osa_distance(&name, variable.name), variable.name))
        .min()
        // One letter in eight may be wrong: beyond that, the nearest is another thing.
        .filter(|(distance, _)| distance * 8 <= name.len())
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_no_far_one() {
        for (name, expected) in [
            ("OTEL_TRACE_EXPORTER", Some("OTEL_TRACES_EXPORTER")),
            ("OTEL_METRICS_EXPORT_INTERVAL", Some("OTEL_METRIC_EXPORT_INTERVAL")),
            ("OTEL_SERVICENAME", Some("OTEL_SERVICE_NAME")),
            ("OTEL_EXPORTER_OTLP_TRACE_ENDPOINT", Some("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")),
            ("OTEL_EXPORTER_OTLP_ENPDOINT", Some("OTEL_EXPORTER_OTLP_ENDPOINT")),
            ("otel_service_name", Some("OTEL_SERVICE_NAME")),
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICAT", Some("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE")),
            ("OTEL_EXPORTER_JAEGER_ENDPOIN", None),
            ("OTEL_SOMETHING_ELSE", None),
        ] {
            assert_eq!(nearest(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_others_are_passed_over() {
        for name in
            ["OTEL_PYTHON_LOG_CORRELATION", "OTEL_JAVAAGENT_ENABLED", "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"]
        {
            assert!(!is_unknown(name), "{name}");
        }
        for name in ["OTEL_TRACE_EXPORTER", "OTEL_PYTHONIC", "OTEL_INSTRUMENTATION_JDBC_ENABLED"] {
            assert!(is_unknown(name), "{name}");
        }
        assert!(!is_unknown("OTEL_EXPORTER_ZIPKIN_ENDPOINT"), "it is known, and refused");
        assert!(!is_unknown("PATH"));
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VARIABLES.len());
    }
}
