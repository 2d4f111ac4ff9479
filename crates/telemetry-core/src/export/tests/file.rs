//! What a file sets up that no variable can: several collectors, views, samplers below a parent.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::*;

/// Providers of a file of these lines.
fn start_by(rest: &str) -> Providers {
    let text = format!("file_format: \"1.0\"\n{rest}");
    let mut env = Env::of([("OTEL_CONFIG_FILE", "otel.yaml")]).with_file("otel.yaml", text);
    let config = Config::read("order-service", "1.2.3", &mut env);
    env.finish().expect("the file is right");
    Providers::start(&config, &resource(&config), Parts::default()).expect("exporters start")
}

/// All three signals to both of these.
fn to_both(first: &str, second: &str) -> Providers {
    let queues = |path: &str, kind: &str, delay: &str| {
        let one = |endpoint: &str| {
            format!(
                "{{{kind}: {{{delay}: 3600000, exporter: {{otlp_http: {{endpoint: '{endpoint}/v1/{path}'}}}}}}}}"
            )
        };
        format!("[{}, {}]", one(first), one(second))
    };
    start_by(&format!(
        "tracer_provider: {{processors: {}}}\nlogger_provider: {{processors: {}}}\nmeter_provider: {{readers: {}}}",
        queues("traces", "batch", "schedule_delay"),
        queues("logs", "batch", "schedule_delay"),
        queues("metrics", "periodic", "interval"),
    ))
}

fn tell(providers: &Providers) {
    end_spans(providers, 3);
    log(providers, 2);
    providers.meter.meter("test").u64_counter("orders").build().add(1, &[]);
}

fn items(collector: &Collector, path: &str) -> usize {
    collector.received().iter().filter(|one| one.path == path).map(collector::Received::items).sum()
}

#[test]
fn each_collector_of_a_signal_gets_everything_and_is_counted_by_itself() {
    let collectors = [Collector::start(|_| Answer::Accept), Collector::start(|_| Answer::Accept)];
    let providers = to_both(&collectors[0].endpoint(), &collectors[1].endpoint());
    providers.observe(&providers.meter.meter("of telemetry"));
    tell(&providers);
    let report = providers.shutdown(DEADLINE);
    assert!(report.is_complete(), "{report}");
    for collector in &collectors {
        assert_eq!((items(collector, "/v1/traces"), items(collector, "/v1/logs")), (3, 2));
        assert!(items(collector, "/v1/metrics") > 0);
    }
    assert_eq!((report.traces.exported, report.logs.exported), (3, 2));
    let further: Vec<(&str, u64)> =
        report.further.iter().map(|one| (one.exporter.as_str(), one.report.exported)).collect();
    let ["otlp_http_span_exporter/1", "otlp_http_metric_exporter/1", "otlp_http_log_exporter/1"] =
        further.iter().map(|(name, _)| *name).collect::<Vec<_>>()[..]
    else {
        panic!("{further:?}")
    };
    assert_eq!((further[0].1, further[2].1), (3, 2));

    // Each tells of itself under a name of its own.
    let metrics = collectors[0].received().into_iter().find(|one| one.path == "/v1/metrics");
    let metrics = format!("{:?}", metrics.expect("metrics were exported").metrics());
    for name in [
        "otlp_http_span_exporter/0",
        "otlp_http_span_exporter/1",
        "batching_span_processor/0",
        "batching_span_processor/1",
        "batching_log_processor/1",
    ] {
        assert!(metrics.contains(&format!("\"{name}\"")), "{name} in {metrics}");
    }
}

#[test]
fn a_collector_that_hangs_costs_the_other_nothing() {
    let (hangs, works) = (Collector::start(|_| Answer::Hang), Collector::start(|_| Answer::Accept));
    let providers = to_both(&hangs.endpoint(), &works.endpoint());
    tell(&providers);
    let report = providers.shutdown(Duration::from_secs(1));
    assert!(!report.is_complete());
    assert_eq!((report.traces.drops.shutdown, report.logs.drops.shutdown), (3, 2), "{report}");
    assert_eq!((items(&works, "/v1/traces"), items(&works, "/v1/logs")), (3, 2));
    assert_eq!(items(&works, "/v1/metrics"), 1);
    let counts: Vec<(u64, u64, bool)> = report
        .further
        .iter()
        .map(|one| (one.report.exported, one.report.lost, one.report.timed_out))
        .collect();
    assert_eq!(counts, [(3, 0, false), (1, 0, false), (2, 0, false)], "{report}");
    for health in providers.health().further {
        let health = health.health;
        assert_eq!(health.ended, health.exported + health.failed + health.dropped, "{health:?}");
    }
}

#[test]
fn views_decide_what_instruments_become() {
    let providers = start_by(
        r"
meter_provider:
  readers: [{pull: {exporter: {prometheus/development: }}}]
  views:
    - {selector: {instrument_name: ORDERS}, stream: {name: sales, attribute_keys: {included: [kind]}}}
    - {selector: {instrument_name: noise*}, stream: {aggregation: {drop: }}}
    - selector: {instrument_type: histogram}
      stream: {aggregation: {explicit_bucket_histogram: {boundaries: [1, 2]}}}
    - {selector: {instrument_name: many}, stream: {aggregation_cardinality_limit: 1}}
",
    );
    let meter = providers.meter.meter("test");
    let sale = |user: i64| [KeyValue::new("kind", "web"), KeyValue::new("user", user)];
    let orders = meter.u64_counter("orders").build();
    (0..5).for_each(|user| orders.add(1, &sale(user)));
    meter.u64_counter("noise.level").build().add(1, &[]);
    meter.f64_histogram("size").with_boundaries(vec![7.0]).build().record(1.5, &[]);
    let many = meter.u64_counter("many").build();
    (0..5).for_each(|user| many.add(1, &sale(user)));
    let plain = meter.u64_counter("plain").build();
    (0..5).for_each(|user| plain.add(1, &sale(user)));

    let text = scrape(&providers).expect("metrics are made");
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert!(text.contains("sales_total{kind=\"web\",otel_scope_name=\"test\"} 5"), "{text}");
    assert_eq!((lines("orders"), lines("noise")), (0, 0), "{text}");
    assert!(text.contains("le=\"2\"") && !text.contains("le=\"7\""), "{text}");
    assert!(lines("many_total") < 5 && text.contains("otel_metric_overflow"), "{text}");
    assert_eq!(lines("plain_total"), 5, "no view holds for it: {text}");
}

#[test]
fn a_sampler_below_a_parent_is_asked_in_its_place() {
    let providers = start_by(
        "tracer_provider: {processors: [], sampler: {parent_based: {root: {always_off: }, remote_parent_not_sampled: {always_on: }}}}",
    );
    let tracer = providers.tracer.tracer("test");
    let below = |flags| {
        let (trace, span) = (TraceId::from(1_u128), SpanId::from(1_u64));
        let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
        let context = Context::new().with_remote_span_context(parent);
        tracer.start_with_context("work", &context).span_context().is_sampled()
    };
    assert!(below(TraceFlags::NOT_SAMPLED), "as the file has it");
    assert!(below(TraceFlags::SAMPLED), "as the parent has it");
    assert!(!tracer.start("root").span_context().is_sampled());
}
