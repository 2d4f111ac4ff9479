//! How a signal reaches its collector.

use super::*;

#[test]
fn a_general_endpoint_gets_the_path_of_each_signal() {
    let table = [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("http://collector:4318/otlp", "http://collector:4318/otlp/v1/traces"),
        ("http://collector:4318/otlp/", "http://collector:4318/otlp/v1/traces"),
        ("https://collector.example", "https://collector.example/v1/traces"),
        ("localhost:4318", "http://localhost:4318/v1/traces"),
        ("collector", "http://collector/v1/traces"),
        ("127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("[::1]:4318", "http://[::1]:4318/v1/traces"),
    ];
    for (text, expected) in table {
        let config = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]);
        assert_eq!(config.traces.otlp.endpoint.to_string(), expected, "{text}");
        let metrics = expected.replace("traces", "metrics");
        assert_eq!(config.metrics.otlp.endpoint.to_string(), metrics, "{text}");
        let logs = expected.replace("traces", "logs");
        assert_eq!(config.logs.otlp.endpoint.to_string(), logs, "{text}");
    }
}

#[test]
fn the_endpoint_of_a_signal_is_taken_as_it_is() {
    let table = [
        ("http://collector:4318", "http://collector:4318/"),
        ("https://collector/custom", "https://collector/custom"),
        ("collector:4318/v1/traces", "http://collector:4318/v1/traces"),
    ];
    for (text, expected) in table {
        let config = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text),
        ]);
        assert_eq!(config.traces.otlp.endpoint.to_string(), expected, "{text}");
        assert_eq!(config.logs.otlp.endpoint.to_string(), "http://other:1/v1/logs", "{text}");
    }
}

#[test]
fn grpc_has_a_port_of_its_own_and_no_path_and_is_encrypted_unless_told_otherwise() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    let endpoint = |variables: &[(&str, &str)]| read(variables).traces.otlp.endpoint.to_string();
    assert_eq!(endpoint(&[grpc]), "http://localhost:4317/");
    let table = [
        ("http://collector:4317", "http://collector:4317/", "http://collector:4317/"),
        ("https://collector:4317", "https://collector:4317/", "https://collector:4317/"),
        ("collector:4317", "https://collector:4317/", "http://collector:4317/"),
        ("[::1]:4317", "https://[::1]:4317/", "http://[::1]:4317/"),
    ];
    for (text, by_default, when_insecure) in table {
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", text);
        assert_eq!(endpoint(&[grpc, general]), by_default, "{text}");
        assert_eq!(endpoint(&[grpc, general, insecure]), when_insecure, "{text}");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", text);
        assert_eq!(endpoint(&[grpc, own]), by_default, "{text}");
        let own_insecure = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true");
        assert_eq!(endpoint(&[grpc, general, own_insecure]), when_insecure, "{text}");
        let own_secure = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "false");
        assert_eq!(endpoint(&[grpc, general, insecure, own_secure]), by_default, "{text}");
    }
    // Elsewhere the scheme alone decides.
    assert_eq!(endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]), "http://collector/v1/traces");
}

#[test]
fn each_signal_may_speak_a_protocol_of_its_own() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
    ]);
    assert_eq!(config.traces.otlp.protocol, Protocol::Grpc);
    assert_eq!(config.traces.otlp.endpoint.to_string(), "http://localhost:4317/");
    assert_eq!(config.metrics.otlp.protocol, Protocol::Protobuf);
    assert_eq!(config.metrics.otlp.endpoint.to_string(), "http://localhost:4318/v1/metrics");
    assert_eq!(config.logs.otlp.protocol, Protocol::Json);
}

#[test]
fn a_path_is_refused_where_grpc_would_ignore_it() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] {
        let told = mistakes(&[grpc, (variable, "http://collector:4317/v1/traces")]);
        let expected = "no path where the protocol is grpc, such as http://localhost:4317";
        assert_eq!(told, [format!("{variable}=http://collector:4317/v1/traces: expected {expected}")]);
    }
}

#[test]
fn the_variable_of_a_signal_wins_over_the_general_one() {
    let config = read(&[
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "HTTP/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=2"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "a=3"),
    ]);
    let (traces, logs) = (&config.traces.otlp, &config.logs.otlp);
    assert_eq!((traces.timeout, logs.timeout), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!((traces.compression, logs.compression), (Compression::Gzip, Compression::None));
    assert_eq!((traces.protocol, logs.protocol), (Protocol::Json, Protocol::Protobuf));
    assert_eq!(traces.headers.expose()["b"], "2");
    assert_eq!(logs.headers.expose()["a"], "3");
    assert!(!logs.headers.expose().contains_key("b"));
}

#[test]
fn code_for_one_signal_gives_way_to_the_environment_for_all() {
    let mut env = Env::of([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://environment:1")])
        .with_defaults([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://code:1")]);
    let config = Config::read("order-service", "1", &mut env);
    assert_eq!(config.traces.otlp.endpoint.to_string(), "http://environment:1/v1/traces");
}

#[test]
fn headers_are_decoded_and_never_printed() {
    let config = read(&[(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "Authorization=Bearer%20s3cret-token, x-tenant=s3cret%2Ctenant",
    )]);
    let headers = config.traces.otlp.headers.expose();
    assert_eq!(headers["authorization"], "Bearer s3cret-token");
    assert_eq!(headers["x-tenant"], "s3cret,tenant");

    let summary = config.summary();
    assert!(summary.contains("OTEL_EXPORTER_OTLP_HEADERS = authorization=***,x-tenant=*** (environment)"));
    for printed in [summary, format!("{config:?}"), format!("{headers:?}")] {
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn a_wrong_header_is_a_mistake_that_does_not_show_it() {
    for text in ["s3cret", "a=s3cret%", "a b=s3cret", "a=s3cret%0A", "=s3cret"] {
        let told = mistakes(&[("OTEL_EXPORTER_OTLP_TRACES_HEADERS", text)]);
        assert_eq!(
            told,
            [
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS: expected name=value pairs separated by commas, values percent-encoded"
            ],
            "{text}"
        );
    }
}

#[test]
fn an_endpoint_that_cannot_be_used_is_refused() {
    let misspelt = ["http//collector:4318", "http:/collector:4318", "https//collector", "htp//collector"];
    let others = ["ftp://collector", "http://", "http://collector/?key=1", "http://collector:99999"];
    for text in misspelt.into_iter().chain(others) {
        assert_eq!(mistakes(&[("OTEL_EXPORTER_OTLP_ENDPOINT", text)]).len(), 1, "{text}");
    }
}

#[test]
fn credentials_in_an_endpoint_are_refused_unseen() {
    let told = mistakes(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:s3cret@collector")]);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("credentials go to OTEL_EXPORTER_OTLP_HEADERS"), "{told:?}");
    assert!(!told[0].contains("s3cret"), "{told:?}");
}
