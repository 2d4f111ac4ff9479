//! What each kind of instrument becomes, by the exact text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::logs::AnyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::family::number;
use super::text::Text;
use super::{Format, PullReader};
use crate::config::ExemplarFilter;
use crate::exemplars::Exemplars;
use crate::export::Overflows;
use crate::testing::TestTelemetry;

/// The text of what `record` records under the scope `test`, without a resource.
#[track_caller]
fn assert_text(record: impl FnOnce(&Meter), expected: &str) {
    let (provider, reader) = provider(Resource::builder_empty().build());
    record(&provider.meter("test"));
    assert_eq!(scrape(&reader).as_deref(), Some(expected));
}

fn scrape(reader: &PullReader) -> Option<String> {
    reader.scrape(Format::Text, &no_exemplars())
}

fn no_exemplars() -> Exemplars {
    Exemplars::new(ExemplarFilter::AlwaysOff)
}

fn provider(resource: Resource) -> (SdkMeterProvider, PullReader) {
    let reader = PullReader::new(Overflows::new(2000));
    (SdkMeterProvider::builder().with_resource(resource).with_reader(reader.clone()).build(), reader)
}

#[test]
fn a_counter_is_a_counter_and_ends_with_total() {
    assert_text(
        |meter| {
            let orders = meter.u64_counter("orders.created").with_unit("{order}");
            let orders = orders.with_description("Orders that were created.").build();
            orders.add(2, &[KeyValue::new("order.type", "standard")]);
            orders.add(1, &[KeyValue::new("order.type", "express")]);
            orders.add(1, &[KeyValue::new("order.type", "standard")]);
        },
        r#"# HELP orders_created_total Orders that were created.
# TYPE orders_created_total counter
orders_created_total{order_type="express",otel_scope_name="test"} 1
orders_created_total{order_type="standard",otel_scope_name="test"} 3
"#,
    );
}

#[test]
fn an_up_down_counter_is_a_gauge() {
    assert_text(
        |meter| {
            let active =
                meter.i64_up_down_counter("http.server.active_requests").with_unit("{request}").build();
            active.add(1, &[]);
            active.add(-3, &[]);
        },
        r#"# TYPE http_server_active_requests gauge
http_server_active_requests{otel_scope_name="test"} -2
"#,
    );
}

#[test]
fn a_gauge_tells_its_last_value() {
    assert_text(
        |meter| {
            let gauge = meter.f64_gauge("cache.utilization").with_unit("1").build();
            gauge.record(0.75, &[]);
            gauge.record(0.25, &[]);
        },
        r#"# TYPE cache_utilization_ratio gauge
cache_utilization_ratio{otel_scope_name="test"} 0.25
"#,
    );
}

#[test]
fn a_sum_that_overflows_is_infinite() {
    assert_text(
        |meter| {
            let sum = meter.f64_up_down_counter("balance").build();
            sum.add(f64::MIN, &[]);
            sum.add(f64::MIN, &[]);
        },
        r#"# TYPE balance gauge
balance{otel_scope_name="test"} -Inf
"#,
    );
}

#[test]
fn observed_values_are_read_at_every_scrape_whoever_reads_besides() {
    let (reader, other) = (PullReader::new(Overflows::new(2000)), PullReader::new(Overflows::new(2000)));
    let provider = SdkMeterProvider::builder()
        .with_resource(Resource::builder_empty().build())
        .with_reader(reader.clone())
        .with_reader(other.clone())
        .build();
    let read = AtomicU64::new(0);
    let _observed = provider
        .meter("test")
        .u64_observable_counter("reads")
        .with_callback(move |counter| counter.observe(read.fetch_add(1, Ordering::Relaxed) + 1, &[]))
        .build();
    for expected in [1, 3] {
        let line = format!("reads_total{{otel_scope_name=\"test\"}} {expected}\n");
        assert_eq!(scrape(&reader), Some(format!("# TYPE reads_total counter\n{line}")));
        scrape(&other);
    }
}

#[test]
fn a_histogram_has_cumulative_buckets_a_sum_and_a_count() {
    assert_text(
        |meter| {
            let duration = meter.f64_histogram("http.server.request.duration").with_unit("s");
            let duration = duration.with_boundaries(vec![0.005, 0.5, 1.0]).build();
            for seconds in [0.001, 0.25, 0.5, 3.0] {
                duration.record(seconds, &[KeyValue::new("http.route", "/api/orders")]);
            }
        },
        r#"# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="test",le="0.005"} 1
http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="test",le="0.5"} 3
http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="test",le="1"} 3
http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="test",le="+Inf"} 4
http_server_request_duration_seconds_sum{http_route="/api/orders",otel_scope_name="test"} 3.751
http_server_request_duration_seconds_count{http_route="/api/orders",otel_scope_name="test"} 4
"#,
    );
}

#[test]
fn a_histogram_of_negative_values_has_no_sum() {
    assert_text(
        |meter| {
            let change = meter.f64_histogram("change").with_boundaries(vec![-1.0]).build();
            change.record(-2.0, &[]);
            change.record(7.0, &[]);
        },
        r#"# TYPE change histogram
change_bucket{otel_scope_name="test",le="-1"} 1
change_bucket{otel_scope_name="test",le="+Inf"} 2
change_count{otel_scope_name="test"} 2
"#,
    );
}

#[test]
fn an_exponential_histogram_has_one_bucket() {
    let reader = PullReader::new(Overflows::new(2000));
    let view = |_: &Instrument| {
        let aggregation =
            Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };
        Stream::builder().with_aggregation(aggregation).build().ok()
    };
    let provider = SdkMeterProvider::builder()
        .with_resource(Resource::builder_empty().build())
        .with_reader(reader.clone())
        .with_view(view)
        .build();
    let size = provider.meter("test").u64_histogram("size").with_unit("By").build();
    size.record(3, &[]);
    size.record(4, &[]);
    assert_eq!(
        scrape(&reader).as_deref(),
        Some(
            r#"# TYPE size_bytes histogram
size_bytes_bucket{otel_scope_name="test",le="+Inf"} 2
size_bytes_sum{otel_scope_name="test"} 7
size_bytes_count{otel_scope_name="test"} 2
"#
        )
    );
}

#[test]
fn help_and_values_are_escaped() {
    assert_text(
        |meter| {
            let gauge = meter.i64_gauge("odd").with_description("a \"back\\slash\"\nand a line").build();
            gauge.record(
                1,
                &[
                    KeyValue::new("path", "C:\\temp\n\"x\"} 9"),
                    KeyValue::new("größe", "ä"),
                    KeyValue::new("1", true),
                    KeyValue::new("ids", Value::Array(Array::I64(vec![1, 2]))),
                    KeyValue::new("names", Value::Array(Array::String(vec![StringValue::from("a")]))),
                ],
            );
        },
        concat!(
            "# HELP odd a \"back\\\\slash\"\\nand a line\n",
            "# TYPE odd gauge\n",
            r#"odd{_1="true",gr_e="ä",ids="[1,2]",names="["#,
            r#"\"a\"]",otel_scope_name="test",path="C:\\temp\n\"x\"} 9"} 1"#,
            "\n"
        ),
    );
}

#[test]
fn attributes_that_become_one_label_are_joined_and_those_of_ours_are_renamed() {
    assert_text(
        |meter| {
            let histogram = meter.u64_histogram("h").with_boundaries(vec![]).build();
            histogram.record(
                5,
                &[
                    KeyValue::new("a_b", "2"),
                    KeyValue::new("a.b", "1"),
                    KeyValue::new("empty", ""),
                    KeyValue::new("le", "mine"),
                    KeyValue::new("otel.scope.name", "other"),
                ],
            );
        },
        r#"# TYPE h histogram
h_bucket{a_b="1;2",exported_le="mine",exported_otel_scope_name="other",otel_scope_name="test",le="+Inf"} 1
h_sum{a_b="1;2",exported_le="mine",exported_otel_scope_name="other",otel_scope_name="test"} 5
h_count{a_b="1;2",exported_le="mine",exported_otel_scope_name="other",otel_scope_name="test"} 1
"#,
    );
}

#[test]
fn the_resource_is_in_target_info_alone_and_the_scope_in_every_series() {
    let (provider, reader) = provider(
        Resource::builder_empty()
            .with_service_name("order-service")
            .with_attributes([KeyValue::new("process.pid", 7_i64)])
            .build(),
    );
    let scope = InstrumentationScope::builder("shop")
        .with_version("1.2")
        .with_schema_url("https://example.org/1")
        .with_attributes([KeyValue::new("team", "core"), KeyValue::new("name", "lost")])
        .build();
    // Both scopes have the instrument: one family, with the first help there is.
    provider
        .meter_with_scope(scope)
        .i64_gauge("up")
        .with_description("Whether it is up.")
        .build()
        .record(1, &[]);
    provider.meter("base").i64_gauge("up").build().record(2, &[]);
    assert_eq!(
        scrape(&reader).as_deref(),
        Some(
            r#"# HELP target_info Target metadata
# TYPE target_info gauge
target_info{process_pid="7",service_name="order-service"} 1
# HELP up Whether it is up.
# TYPE up gauge
up{otel_scope_name="base"} 2
up{otel_scope_name="shop",otel_scope_schema_url="https://example.org/1",otel_scope_team="core",otel_scope_version="1.2"} 1
"#
        )
    );
}

#[test]
fn what_is_left_out_is_logged_with_its_number_at_the_first_scrape() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    for name in ["orders.placed", "mails.sent"] {
        telemetry.meter().i64_gauge(name).build().record(1, &[]);
        telemetry.meter().u64_histogram(name.replace('.', "_")).build().record(1, &[]);
    }
    for _ in 0..2 {
        assert!(telemetry.prometheus().is_some());
    }
    let logs = telemetry.logs();
    let [log] = &logs[..] else { panic!("one record: {logs:?}") };
    assert_eq!(
        (log.severity.as_str(), log.attributes.get("metric.count")),
        ("WARN", Some(&AnyValue::Int(2)))
    );
    assert!(log.body.contains("left out of the metrics for Prometheus: "), "{log:?}");
}

#[test]
fn contradictions_are_left_out_and_told() {
    assert_text(
        |meter| {
            let depth = meter.i64_gauge("queue.depth").build();
            depth.record(1, &[KeyValue::new("queue", "a")]);
            // Two sets of attributes, one set of labels.
            depth.record(1, &[KeyValue::new("queue", "a"), KeyValue::new("empty", "")]);
            meter.u64_histogram("queue_depth").build().record(1, &[]);
            meter.u64_histogram("wait").with_boundaries(vec![]).build().record(4, &[]);
            meter.i64_gauge("wait.count").build().record(9, &[]);
            meter.i64_gauge("target.info").build().record(9, &[]);
        },
        r#"# TYPE queue_depth gauge
queue_depth{otel_scope_name="test",queue="a"} 1
# TYPE wait histogram
wait_bucket{otel_scope_name="test",le="+Inf"} 1
wait_sum{otel_scope_name="test"} 4
wait_count{otel_scope_name="test"} 1
# left out: queue_depth: some of its series have the labels of others
# left out: queue_depth: another metric of this name has another type
# left out: target_info: another metric makes series of this name
# left out: wait_count: another metric makes series of this name
"#,
    );
}

#[test]
fn a_text_ends_where_it_would_become_too_long() {
    let (provider, reader) = provider(Resource::builder_empty().build());
    let meter = provider.meter("test");
    for name in ["a", "b", "c"] {
        meter
            .i64_gauge(name)
            .with_description("x".repeat(if name == "b" { 500 } else { 5 }))
            .build()
            .record(1, &[]);
    }
    let metrics = reader.read().expect("the provider lives");
    let whole = Text::of(&metrics, Format::Text, &no_exemplars());
    assert!(whole.left_out.is_empty() && whole.text.len() > 600, "{whole:?}");
    assert_eq!(
        Text::within(300, &metrics, Format::Text, &no_exemplars()).text,
        r#"# HELP a xxxxx
# TYPE a gauge
a{otel_scope_name="test"} 1
# HELP c xxxxx
# TYPE c gauge
c{otel_scope_name="test"} 1
# left out: b: the text would become too long
"#
    );
}

#[test]
fn asking_twice_gives_the_same_text_and_nothing_gives_an_empty_one() {
    let (provider, reader) = provider(Resource::builder_empty().build());
    assert_eq!(scrape(&reader).as_deref(), Some(""));
    for scope in ["c", "a", "b"] {
        let counter = provider.meter(scope).f64_counter("work").with_unit("s").build();
        for worker in 0..20 {
            counter.add(0.5, &[KeyValue::new("worker", worker)]);
        }
    }
    let first = scrape(&reader);
    assert_eq!(first.as_deref().map(|text| text.lines().count()), Some(61));
    assert_eq!(scrape(&reader), first);
}

#[test]
fn numbers_are_spelled_as_prometheus_reads_them() {
    for (value, expected) in [
        (0.0, "0"),
        (1.0, "1"),
        (-0.5, "-0.5"),
        (1e15, "1000000000000000"),
        (1e300, "1e300"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(number(value), expected);
    }
}

/// The OpenMetrics text of what `record` records under the scope `test`.
#[track_caller]
fn assert_open_metrics(record: impl FnOnce(&Meter), resource: Resource, expected: &str) {
    let (provider, reader) = provider(resource);
    record(&provider.meter("test"));
    assert_eq!(reader.scrape(Format::OpenMetrics, &no_exemplars()).as_deref(), Some(expected));
}

#[test]
fn open_metrics_has_families_units_and_an_end() {
    assert_open_metrics(
        |meter| {
            let orders = meter.u64_counter("orders.created").with_unit("{order}");
            orders.with_description("So-called \"orders\".\n").build().add(2, &[]);
            meter.f64_counter("cpu.time").with_unit("s").build().add(0.5, &[]);
            meter.f64_gauge("cache.utilization").with_unit("1").build().record(0.25, &[]);
            let duration = meter.f64_histogram("work").with_unit("s").with_boundaries(vec![0.5, 1.0]).build();
            duration.record(0.75, &[]);
        },
        Resource::builder_empty().with_attribute(KeyValue::new("service.name", "order-service")).build(),
        r#"# HELP target Target metadata
# TYPE target info
target_info{service_name="order-service"} 1
# TYPE cache_utilization_ratio gauge
# UNIT cache_utilization_ratio ratio
cache_utilization_ratio{otel_scope_name="test"} 0.25
# TYPE cpu_time_seconds counter
# UNIT cpu_time_seconds seconds
cpu_time_seconds_total{otel_scope_name="test"} 0.5
# HELP orders_created So-called \"orders\".\n
# TYPE orders_created counter
orders_created_total{otel_scope_name="test"} 2
# TYPE work_seconds histogram
# UNIT work_seconds seconds
work_seconds_bucket{otel_scope_name="test",le="0.5"} 0
work_seconds_bucket{otel_scope_name="test",le="1.0"} 1
work_seconds_bucket{otel_scope_name="test",le="+Inf"} 1
work_seconds_sum{otel_scope_name="test"} 0.75
work_seconds_count{otel_scope_name="test"} 1
# EOF
"#,
    );
    assert_open_metrics(|_| {}, Resource::builder_empty().build(), "# EOF\n");
}

#[test]
fn open_metrics_leaves_out_names_that_another_type_reserves_without_a_comment() {
    assert_open_metrics(
        |meter| {
            meter.u64_counter("orders").build().add(1, &[]);
            meter.u64_gauge("orders.created").build().record(7, &[]);
            let change = meter.f64_histogram("change").with_boundaries(vec![-1.0]).build();
            change.record(-2.0, &[]);
        },
        Resource::builder_empty().build(),
        r#"# TYPE change histogram
change_bucket{otel_scope_name="test",le="-1.0"} 1
change_bucket{otel_scope_name="test",le="+Inf"} 1
# TYPE orders_created gauge
orders_created{otel_scope_name="test"} 7
# EOF
"#,
    );
}

#[test]
fn exemplars_stand_on_their_buckets_until_newer_ones_come() {
    let (provider, reader) = provider(Resource::builder_empty().build());
    let exemplars = Exemplars::new(ExemplarFilter::TraceBased);
    let tracers = SdkTracerProvider::builder().build();
    let histogram = provider.meter("test").f64_histogram("work").with_boundaries(vec![1.0]).build();
    let histogram = exemplars.of(histogram, "work", &[1.0]);
    let measure = |value: f64, route: &'static str| {
        tracers.tracer("test").in_span("work", |cx| {
            histogram.record(value, &[KeyValue::new("route", route)]);
            let span = cx.span().span_context().clone();
            format!("trace_id=\"{}\",span_id=\"{}\"", span.trace_id(), span.span_id())
        })
    };
    // Each line with an exemplar: which bucket of which route, and the exemplar without its time.
    let told = || {
        let text = reader.scrape(Format::OpenMetrics, &exemplars).expect("the provider lives");
        let lines = text.lines().filter_map(|line| line.split_once(" # ")).map(|(sample, exemplar)| {
            let (exemplar, time) = exemplar.rsplit_once(' ').expect("a time");
            let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
            assert!(
                (0.0..600.0).contains(&(since - time.parse::<f64>().expect("a number"))),
                "{exemplar} {time}"
            );
            let le = sample.split("le=\"").nth(1).expect("a bucket").split('"').next().unwrap_or_default();
            let route = if sample.contains("route=\"/a\"") { "a" } else { "b" };
            format!("{route} {le} {exemplar}")
        });
        lines.collect::<Vec<_>>()
    };

    histogram.record(0.5, &[KeyValue::new("route", "/a")]);
    assert_eq!(told(), Vec::<String>::new(), "no span is current");
    let first = measure(0.5, "/a");
    measure(0.7, "/b");
    let slow = measure(3.0, "/b");
    let expected = [format!("a 1.0 {{{first}}} 0.5"), format!("b +Inf {{{slow}}} 3")];
    assert_eq!(told(), expected);
    assert_eq!(told(), expected, "nothing newer has come");
    let other = measure(0.7, "/b");
    let mut request = (&reader.read().expect("the provider lives")).into();
    exemplars.fill(&mut request);
    assert_eq!(told(), [format!("b 1.0 {{{other}}} 0.7"), format!("b +Inf {{{slow}}} 3")]);
    // What is exported does not depend on who scrapes.
    let exported = format!("{request:?}").matches("filtered_attributes").count();
    assert_eq!(exported, 2);
    assert!(!reader.scrape(Format::Text, &exemplars).expect("the provider lives").contains(" # "));
}
