//! What only a file can say: several collectors of a signal, samplers below a parent, views.

use opentelemetry_sdk::metrics::{Aggregation, InstrumentKind};

use super::*;

fn read_file(rest: &str) -> Config {
    let text = format!("file_format: \"1.0\"\n{rest}");
    let mut env = Env::of([("OTEL_CONFIG_FILE", "otel.yaml"), ("ENVIRONMENT", "production")])
        .with_file("otel.yaml", text);
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().expect("the file is right");
    config
}

#[test]
fn each_collector_of_a_signal_has_a_connection_and_a_queue_of_its_own() {
    let config = read_file(
        r"
tracer_provider:
  processors:
    - batch:
        max_queue_size: 100
        exporter: {otlp_http: {endpoint: 'http://first:4318/v1/traces', timeout: 1, headers: [{name: a, value: s3cret}]}}
    - batch:
        schedule_delay: 7
        exporter: {otlp_grpc: {endpoint: 'http://second:4317', compression: gzip, headers: [{name: b, value: s3cret}]}}
    - batch: {exporter: {otlp_http: }}
meter_provider:
  readers:
    - periodic: {interval: 1, exporter: {otlp_http: }}
    - periodic: {interval: 2, timeout: 3, exporter: {otlp_http: {temporality_preference: delta}}}
logger_provider:
  processors:
    - batch: {exporter: {otlp_http: }}
    - batch: {max_queue_size: 600, exporter: {otlp_http: {encoding: json}}}
",
    );
    let traces = &config.traces;
    assert_eq!(traces.exporters, [Exporter::Otlp]);
    assert_eq!((traces.batch.queue_size, traces.batch.delay), (100, Duration::from_secs(5)));
    assert_eq!(traces.otlp.endpoint.to_string(), "http://first:4318/v1/traces");
    let [second, third] = &traces.further[..] else { panic!("{:?}", traces.further) };
    assert_eq!((second.batch.queue_size, second.batch.delay), (2048, Duration::from_millis(7)));
    assert_eq!((second.otlp.protocol, second.otlp.compression), (Protocol::Grpc, Compression::Gzip));
    assert_eq!(second.otlp.headers.expose().keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(second.otlp.timeout, Duration::from_secs(10), "nothing of the first holds for the second");
    assert_eq!(third.otlp.endpoint.to_string(), "http://localhost:4318/v1/traces");
    let metrics = &config.metrics;
    assert_eq!(metrics.interval, Duration::from_millis(1));
    let [further] = &metrics.further[..] else { panic!("{:?}", metrics.further) };
    assert_eq!(
        (further.interval, further.export_timeout),
        (Duration::from_millis(2), Duration::from_millis(3))
    );
    assert_eq!((metrics.temporality, further.temporality), (Temporality::Cumulative, Temporality::Delta));
    assert_eq!(
        (config.logs.further[0].batch.queue_size, config.logs.further[0].otlp.protocol),
        (600, Protocol::Json)
    );

    let summary = config.summary();
    for line in [
        "OTEL_BSP_MAX_QUEUE_SIZE = 100 (file)",
        "tracer_provider.processors[1].batch.exporter.otlp_grpc = http://second:4317/ over grpc (file)",
        "meter_provider.readers[1].periodic.exporter.otlp_http = http://localhost:4318/v1/metrics over http/protobuf (file)",
    ] {
        assert!(summary.lines().any(|told| told == line), "{line} is missing in\n{summary}");
    }
    assert_eq!(summary.matches("OTEL_BSP_MAX_QUEUE_SIZE").count(), 1, "{summary}");
    assert!(!summary.contains("s3cret"), "{summary}");
}

#[test]
fn a_file_names_samplers_below_each_kind_of_parent() {
    let config = read_file(
        "tracer_provider: {processors: [], sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.5}}, \
         remote_parent_sampled: {trace_id_ratio_based: {ratio: 0.1}}, local_parent_not_sampled: {always_on: }}}}",
    );
    assert_eq!(format!("{:?}", config.traces.sampler), "ParentBased(TraceIdRatioBased(0.5))");
    let told = "remote_sampled: TraceIdRatioBased(0.1), remote_not_sampled: AlwaysOff, local_sampled: AlwaysOn, \
                local_not_sampled: AlwaysOn";
    assert!(format!("{:?}", config.traces.parents).contains(told), "{:?}", config.traces.parents);
    assert!(config.summary().contains("tracer_provider.sampler.parent_based = "), "{}", config.summary());
}

#[test]
fn a_file_names_views() {
    let config = read_file(
        r"
meter_provider:
  readers: []
  views:
    - selector: {instrument_name: http.*, instrument_type: histogram, unit: s, meter_name: m, meter_version: '1', meter_schema_url: u}
      stream:
        description: fewer
        aggregation: {explicit_bucket_histogram: {boundaries: [1, 2.5], record_min_max: false}}
        aggregation_cardinality_limit: 9
        attribute_keys: {included: [http.route]}
    - selector: {instrument_name: orders}
      stream: {name: orders.all, aggregation: {drop: }}
    - {selector: {}, stream: {aggregation: {base2_exponential_bucket_histogram: {max_scale: 3}}}}
    - {selector: {}, stream: {aggregation: {default: }}}
",
    );
    let [first, second, third, fourth] = &config.metrics.views[..] else {
        panic!("{:?}", config.metrics.views)
    };
    let some = |text: &str| Some(text.to_owned());
    let expected = View {
        instrument_name: some("http.*"),
        instrument_kind: Some(InstrumentKind::Histogram),
        unit: some("s"),
        meter_name: some("m"),
        meter_version: some("1"),
        meter_schema_url: some("u"),
        name: None,
        description: some("fewer"),
        aggregation: Some(Aggregation::ExplicitBucketHistogram {
            boundaries: vec![1.0, 2.5],
            record_min_max: false,
        }),
        cardinality_limit: Some(9),
        attribute_keys: Some(vec!["http.route".to_owned()]),
    };
    assert_eq!(*first, expected);
    assert_eq!((&second.name, &second.aggregation), (&some("orders.all"), &Some(Aggregation::Drop)));
    let exponential =
        Aggregation::Base2ExponentialHistogram { max_scale: 3, max_size: 160, record_min_max: true };
    assert_eq!((&third.aggregation, &fourth.aggregation), (&Some(exponential), &None));
}
