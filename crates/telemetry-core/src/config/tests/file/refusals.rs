//! What of a file is refused, and where.

use super::*;

#[test]
fn what_is_not_honoured_is_refused_by_path_and_line() {
    let table = [
        (
            "tracer_provider:\n  processors: [{batch: {exporter: {zipkin: }}}]",
            "3 tracer_provider.processors[0].batch.exporter.zipkin: expected otlp_http, otlp_grpc or console (Zipkin",
        ),
        (
            "tracer_provider: {processors: [{batch: {exporter: {otlp_file/development: }}}]}",
            "2 tracer_provider.processors[0].batch.exporter.otlp_file/development: expected otlp_http",
        ),
        (
            "tracer_provider: {processors: [{simple: {exporter: {otlp_http: }}}]}",
            "2 tracer_provider.processors[0].simple: expected batch",
        ),
        (
            "tracer_provider: {processors: [{batch: {max_queue_size: 1, exporter: {console: }}}]}",
            "2 tracer_provider.processors[0].batch.max_queue_size: expected to be absent: the console",
        ),
        (
            "tracer_provider: {processors: [{batch: {exporter: {otlp_http: }}}, {batch: {exporter: {otlp_http: {endpoint: 'ftp://x'}}}}]}",
            "2 tracer_provider.processors[1].batch.exporter.otlp_http.endpoint=ftp://x: expected an http",
        ),
        (
            "tracer_provider: {processors: [{simple: {exporter: {console: }}}, {batch: {exporter: {console: }}}]}",
            "2 tracer_provider.processors[1].batch.exporter.console: expected one console exporter of traces",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {otlp_http: }}}, {periodic: {exporter: {otlp_grpc: {default_histogram_aggregation: base2_exponential_bucket_histogram}}}}]}",
            "2 meter_provider.readers[1].periodic.exporter.otlp_grpc: expected a default_histogram_aggregation of explicit_bucket_histogram as before",
        ),
        (
            "tracer_provider: {processors: [{custom: }]}",
            "2 tracer_provider.processors[0].custom: expected batch or simple",
        ),
        (
            "tracer_provider: {processors: [], sampler: {jaeger_remote/development: {}}}",
            "2 tracer_provider.sampler.jaeger_remote/development: expected always_on",
        ),
        (
            "tracer_provider: {processors: [], sampler: {parent_based: {remote_parent_sampled: {parent_based: }}}}",
            "2 tracer_provider.sampler.parent_based.remote_parent_sampled.parent_based: expected always_on",
        ),
        (
            "tracer_provider: {processors: [], sampler: {trace_id_ratio_based: {ratio: 2}}}",
            "2 tracer_provider.sampler.trace_id_ratio_based.ratio: expected a number from 0 to 1",
        ),
        (
            "tracer_provider: {processors: [], tracer_configurator/development: {}}",
            "2 tracer_provider.tracer_configurator/development: expected to be absent",
        ),
        ("tracer_provider: {sampler: }", "2 tracer_provider: expected processors"),
        (
            "meter_provider:\n  readers: []\n  views: [{}]",
            "4 meter_provider.views[0]: expected a selector and a stream",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {instrument_type: timer}, stream: }]}",
            "2 meter_provider.views[0]: expected a selector and a stream",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {instrument_type: timer}, stream: {}}]}",
            "2 meter_provider.views[0].selector.instrument_type: expected one of counter, gauge",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {instrument_name: a?}, stream: {}}]}",
            "2 meter_provider.views[0].selector.instrument_name: expected no ?",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {instrument_name: http.*}, stream: {name: x}}]}",
            "2 meter_provider.views[0].stream.name: expected to be absent, or a selector of one instrument",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {attribute_keys: {excluded: [a]}}}]}",
            "2 meter_provider.views[0].stream.attribute_keys.excluded: expected to be absent",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {attribute_keys: {included: ['a*']}}}]}",
            "2 meter_provider.views[0].stream.attribute_keys.included: expected a list of texts without",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {aggregation: {explicit_bucket_histogram: {boundaries: [2, 1]}}}}]}",
            "2 meter_provider.views[0].stream.aggregation.explicit_bucket_histogram.boundaries: expected numbers",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {aggregation: {base2_exponential_bucket_histogram: {max_scale: 21}}}}]}",
            "2 meter_provider.views[0].stream.aggregation.base2_exponential_bucket_histogram.max_scale: expected a whole number from -10 to 20",
        ),
        (
            "meter_provider: {readers: [], views: [{selector: {}, stream: {aggregation_cardinality_limit: 0}}]}",
            "2 meter_provider.views[0].stream.aggregation_cardinality_limit: expected a whole number from 1",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: {temporality_preference: delta}}}}]}",
            "2 meter_provider.readers[0].periodic.exporter.console.temporality_preference: expected cumulative",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }}}, {periodic: {interval: 5, exporter: {otlp_http: }}}]}",
            "2 meter_provider.readers[1].periodic.interval: expected 60000 as before",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }, cardinality_limits: {gauge: 5}}}]}",
            "2 meter_provider.readers[0].periodic.cardinality_limits.gauge: expected 2000, the default",
        ),
        (
            "meter_provider: {readers: [{pull: {exporter: {prometheus/development: {without_scope_info: true}}}}]}",
            "2 meter_provider.readers[0].pull.exporter.prometheus/development.without_scope_info: expected false",
        ),
        (
            "logger_provider: {processors: [], logger_configurator/development: {}}",
            "2 logger_provider.logger_configurator/development: expected to be absent",
        ),
        (
            "propagator: {composite: [{ottrace: }]}",
            "2 propagator.composite[0].ottrace: expected tracecontext",
        ),
        ("resource: {schema_url: x}", "2 resource.schema_url: expected to be absent"),
        (
            "resource: {attributes: [{name: a, value: x, type: int}]}",
            "2 resource.attributes[0].value: expected a value of the type int",
        ),
        ("resource: {attributes: [{name: a}]}", "2 resource.attributes[0]: expected a name and a value"),
        (
            "resource: {detection/development: {detectors: [{gcp: }]}}",
            "2 resource.detection/development.detectors[0].gcp: expected container",
        ),
        ("disabled: \"true\"", "2 disabled: expected true or false, without quotes"),
        (
            "attribute_limits: {attribute_count_limit: many}",
            "2 attribute_limits.attribute_count_limit: expected a whole number",
        ),
        (
            "attribute_limits: {attribute_count_limits: 1}",
            "2 attribute_limits.attribute_count_limits: expected to be absent: the schema does not know it, or it is not supported; did you mean attribute_count_limit?",
        ),
        ("log_level: loud", "2 log_level: expected trace"),
        (
            "instrumentation/development: {general: {peer: {}}}",
            "2 instrumentation/development.general.peer: expected to be absent",
        ),
        (
            "instrumentation/development: {rust: {telemetry_core: {excluded: []}}}",
            "2 instrumentation/development.rust.telemetry_core.excluded: expected to be absent",
        ),
        ("distribution: {}", "2 distribution: expected to be absent"),
        ("disabled: ${1X}", "2: expected ${NAME}"),
    ];
    for (rest, expected) in table {
        let told = try_read(&with(rest), &[]).expect_err(rest);
        assert_eq!(told.len(), 1, "{rest}: {told:?}");
        assert!(told[0].starts_with(&format!("otel.yaml:{expected}")), "{rest}: {told:?}");
    }
}

#[test]
fn values_of_a_file_are_checked_as_those_of_variables_are_and_told_with_their_place() {
    let text = with(
        "tracer_provider:\n  processors:\n    - batch:\n        max_queue_size: 10\n        max_export_batch_size: 11\n        \
         exporter:\n          otlp_http: {endpoint: \"ftp://x\", headers: [{name: \"a b\", value: s3cret}]}\n\
         instrumentation/development: {general: {http: {server: {request_captured_headers: [cookie]}}}}",
    );
    let told = try_read(&text, &[]).unwrap_err();
    let before = "otel.yaml:";
    for expected in [
        "8 tracer_provider.processors[0].batch.exporter.otlp_http.endpoint=ftp://x: expected an http",
        "8 tracer_provider.processors[0].batch.exporter.otlp_http.headers: expected name=value",
        "6 tracer_provider.processors[0].batch.max_export_batch_size=11: expected at most",
        "9 instrumentation/development.general.http.server.request_captured_headers=cookie: expected only",
    ] {
        assert!(
            told.iter().any(|told| told.starts_with(&format!("{before}{expected}"))),
            "{expected}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 4, "all together: {told:#?}");
    assert!(!format!("{told:?}").contains("s3cret"));
}

#[test]
fn a_file_that_is_none_is_refused() {
    for (format, is_right) in [
        ("\"1.0\"", true),
        ("'1.1'", true),
        ("\"1.0-rc.2\"", true),
        ("1.0", false),
        ("\"0.4\"", false),
        ("\"2.0\"", false),
    ] {
        assert_eq!(try_read(&format!("file_format: {format}"), &[]).is_ok(), is_right, "{format}");
    }
    assert_eq!(
        try_read("disabled: true", &[]).unwrap_err(),
        ["otel.yaml:1: expected file_format: \"1.0\", in quotes"]
    );
    assert_eq!(try_read("- a", &[]).unwrap_err().len(), 2);
    let told = mistakes(&[("OTEL_CONFIG_FILE", "otel.json")]);
    assert_eq!(
        told,
        ["OTEL_CONFIG_FILE=otel.json: expected a file of YAML, with the extension .yaml or .yml"]
    );
    for path in ["/does/not/exist.yaml", "/dev/null/otel.yaml"] {
        let told = mistakes(&[("OTEL_CONFIG_FILE", path)]);
        assert!(
            told[0].starts_with(&format!("OTEL_CONFIG_FILE={path}: expected a file that can be read (")),
            "{told:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.yaml");
    std::fs::write(&large, "#".repeat(2 << 20)).unwrap();
    let told = mistakes(&[("OTEL_CONFIG_FILE", large.to_str().unwrap())]);
    assert!(told[0].contains("larger than 1 MiB"), "{told:?}");
    let right = folder.path().join("right.yml");
    std::fs::write(&right, "file_format: '1.0'\ndisabled: true").unwrap();
    assert!(super::super::read(&[("OTEL_CONFIG_FILE", right.to_str().unwrap())]).disabled);
}
