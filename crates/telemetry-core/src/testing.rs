//! Telemetry in memory, for tests: whole span trees compared by value (feature `testing`).
//!
//! Each test makes a [`TestTelemetry`] of its own, so tests run side by side.
//!
//! ```
//! use opentelemetry::trace::{SpanKind, Tracer};
//! use telemetry_core::opentelemetry;
//! use telemetry_core::testing::{TestTelemetry, span};
//!
//! let telemetry = TestTelemetry::new();
//! telemetry.tracer().in_span("outer", |_| {
//!     telemetry.tracer().in_span("inner", |_| {
//!         telemetry_core::span::set_attribute("order.quantity", 2_i64);
//!     });
//! });
//! assert_eq!(
//!     telemetry.trees(),
//!     [span("outer", SpanKind::Internal)
//!         .child(span("inner", SpanKind::Internal).attribute("order.quantity", 2_i64))]
//! );
//! ```

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanProcessor};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use crate::baggage::BaggageAttributes;
use crate::client::Hosts;
use crate::config::{self, ExemplarFilter, Http, Propagator};
use crate::exemplars::Exemplars;
use crate::export::{self, Overflows, limit_span};
use crate::names::{BAGGAGE_ATTRIBUTES, SCOPE};
use crate::paths::PathPatterns;
use crate::prometheus::PullReader;
use crate::propagation::{Deferring, Propagation};
use crate::subscriber::{self, LogRecords, RateLimit};
use crate::telemetry::{Background, Inner, Telemetry};
use crate::untraced::UnlessUntraced;

/// What differs from test to test.
struct Settings {
    sampler: Sampler,
    propagation: Propagation,
    database: config::Database,
    http: Http,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sampler: Sampler::AlwaysOn,
            propagation: Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]),
            database: config::Database::default(),
            http: Http::default(),
        }
    }
}

/// As in production, by default.
const CARDINALITY_LIMIT: usize = 2000;

/// A [`Telemetry`] whose spans, logs and metrics stay in memory.
pub struct TestTelemetry {
    telemetry: Telemetry,
    records: Arc<Records>,
    loggers: SdkLoggerProvider,
    reader: PullReader,
    // Kept for what they own: the tracer and the meter hold them weakly or not at all.
    _meters: SdkMeterProvider,
}

impl TestTelemetry {
    /// Everything sampled, `/health` and `/metrics` excluded, W3C propagation, all callers' baggage trusted.
    pub fn new() -> Self {
        Self::with_sampler(Sampler::AlwaysOn)
    }

    /// With a sampler of one's own.
    pub fn with_sampler(sampler: Sampler) -> Self {
        Self::build(Settings { sampler, ..Settings::default() })
    }

    /// With propagation of one's own, and the sampler that is the default elsewhere: it goes by the caller.
    /// Reserved baggage is believed under `/internal/`.
    pub fn with_propagation(propagation: Propagation) -> Self {
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        Self::build(Settings { sampler, propagation, ..Settings::default() })
    }

    /// With a sampler and settings of databases of one's own.
    pub fn with_database(sampler: Sampler, database: config::Database) -> Self {
        Self::build(Settings { sampler, database, ..Settings::default() })
    }

    /// With settings of HTTP requests of one's own.
    pub fn with_http(http: Http) -> Self {
        Self::build(Settings { http, ..Settings::default() })
    }

    fn build(settings: Settings) -> Self {
        let Settings { sampler, propagation, database, http } = settings;
        let records = Arc::new(Records::default());
        let tracers = SdkTracerProvider::builder()
            .with_sampler(UnlessUntraced(Deferring(sampler)))
            .with_span_processor(BaggageAttributes::new(BAGGAGE_ATTRIBUTES))
            .with_span_processor(Recorder(records.clone()))
            .build();
        let reader = PullReader::new(Overflows::new(CARDINALITY_LIMIT));
        let meters = export::limited(CARDINALITY_LIMIT).with_reader(reader.clone()).build();
        let loggers = SdkLoggerProvider::builder().with_log_processor(Recorder(records.clone())).build();
        let telemetry = Telemetry::from_parts(Inner {
            tracer: tracers.tracer(SCOPE),
            meter: meters.meter(SCOPE),
            propagation,
            baggage_trusted_paths: PathPatterns::new(["/internal/*"]),
            excluded_paths: PathPatterns::new(["/health", "/metrics"]),
            exemplars: Exemplars::new(ExemplarFilter::AlwaysOff),
            http,
            hosts: Hosts::default(),
            exports: None,
            metrics: Some(reader.clone()),
            is_enabled: true,
            database,
            has_database: AtomicBool::new(false),
            background: Background::on_current_runtime(),
            runtimes: None,
            _own_runtime: None,
        });
        Self { telemetry, records, loggers, reader, _meters: meters }
    }

    /// Makes `tracing` spans and events of this thread go here while the guard lives.
    #[must_use]
    pub fn collect_tracing(&self) -> DefaultGuard {
        let no_limit = RateLimit::new(0, Arc::default());
        let subscriber = tracing_subscriber::registry()
            .with(subscriber::spans(self.telemetry.tracer().clone()))
            .with(subscriber::logs(LogRecords::new(&self.loggers), "trace", no_limit));
        tracing::subscriber::set_default(subscriber)
    }

    /// The finished spans, in the order they ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.records.spans().clone()
    }

    /// The finished spans as trees, siblings in the order they started. A span whose parent is not
    /// here is a root.
    pub fn trees(&self) -> Vec<SpanTree> {
        let mut spans = self.spans();
        spans.sort_by_key(|span| span.start_time);
        let known: Vec<SpanId> = spans.iter().map(|span| span.span_context.span_id()).collect();
        let (roots, rest): (Vec<_>, Vec<_>) =
            spans.into_iter().partition(|span| !known.contains(&span.parent_span_id));
        roots.iter().map(|root| SpanTree::build(root, &rest)).collect()
    }

    /// The log records so far: severity text, message, trace id and span id as hex.
    pub fn logs(&self) -> Vec<SdkLogRecord> {
        self.records.logs().clone()
    }

    /// Every series of the metrics so far.
    pub fn metrics(&self) -> Vec<Series> {
        let metrics = self.reader.read().expect("the provider lives as long as this");
        let mut series = Vec::new();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let (name, unit) = (metric.name(), metric.unit());
            match metric.data() {
                AggregatedMetrics::F64(data) => Series::read(name, unit, data, &mut series),
                AggregatedMetrics::I64(data) => Series::read(name, unit, data, &mut series),
                AggregatedMetrics::U64(data) => Series::read(name, unit, data, &mut series),
            }
        }
        series
    }

    /// Panics when `canary` stands anywhere in what was recorded: names, attributes, events,
    /// status descriptions, logs, metric attributes.
    pub fn assert_absent(&self, canary: &str) {
        for span in self.spans() {
            let text = format!("{span:?}");
            assert!(!text.contains(canary), "{canary:?} leaked into a span: {text}");
        }
        for record in self.logs() {
            let text = format!("{record:?}");
            assert!(!text.contains(canary), "{canary:?} leaked into a log record: {text}");
        }
        for series in self.metrics() {
            let text = format!("{series:?}");
            assert!(!text.contains(canary), "{canary:?} leaked into a metric: {text}");
        }
    }
}

impl Default for TestTelemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for TestTelemetry {
    type Target = Telemetry;

    fn deref(&self) -> &Telemetry {
        &self.telemetry
    }
}

/// A span and what is below it, without ids and times.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanTree {
    /// The span's name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its status, with the description of an error.
    pub status: Status,
    /// Its attributes.
    pub attributes: BTreeMap<String, Value>,
    /// Its events: name and attributes.
    pub events: Vec<(String, BTreeMap<String, Value>)>,
    /// The spans whose parent it is, in the order they started.
    pub children: Vec<SpanTree>,
}

/// A span to compare with: status unset, nothing in it.
pub fn span(name: impl Into<String>, kind: SpanKind) -> SpanTree {
    SpanTree {
        name: name.into(),
        kind,
        status: Status::Unset,
        attributes: BTreeMap::new(),
        events: Vec::new(),
        children: Vec::new(),
    }
}

impl SpanTree {
    /// With this status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// With this attribute.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// With this event.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.events.push((name.into(), to_map(attributes)));
        self
    }

    /// With this span below it, after those already there.
    #[must_use]
    pub fn child(mut self, child: SpanTree) -> Self {
        self.children.push(child);
        self
    }

    /// Without these attributes, here and below: for those that differ from run to run, like ports.
    #[must_use]
    pub fn without(mut self, attributes: &[&str]) -> Self {
        self.attributes.retain(|name, _| !attributes.contains(&name.as_str()));
        self.children = self.children.into_iter().map(|child| child.without(attributes)).collect();
        self
    }

    fn build(span: &SpanData, others: &[SpanData]) -> Self {
        let is_child = |other: &&SpanData| {
            other.parent_span_id == span.span_context.span_id()
                && other.span_context.trace_id() == span.span_context.trace_id()
        };
        Self {
            name: span.name.to_string(),
            kind: span.span_kind.clone(),
            status: span.status.clone(),
            attributes: to_map(span.attributes.iter().cloned()),
            events: span
                .events
                .iter()
                .map(|event| (event.name.to_string(), to_map(event.attributes.iter().cloned())))
                .collect(),
            children: others.iter().filter(is_child).map(|child| Self::build(child, others)).collect(),
        }
    }
}

/// Panics on a key that is there twice: a span's attributes are unique (specification, "Attributes").
fn to_map(attributes: impl IntoIterator<Item = KeyValue>) -> BTreeMap<String, Value> {
    let mut map = BTreeMap::new();
    for attribute in attributes {
        let before = map.insert(attribute.key.to_string(), attribute.value);
        assert!(before.is_none(), "the attribute {} is there twice", attribute.key);
    }
    map
}

/// One series of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The instrument's name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What tells this series from the metric's others.
    pub attributes: BTreeMap<String, Value>,
    /// How often a histogram was recorded to; 1 for the other kinds.
    pub count: u64,
    /// A histogram's sum, a counter's or a gauge's value.
    pub value: f64,
}

impl Series {
    fn read<T: Copy + ToF64>(name: &str, unit: &str, data: &MetricData<T>, series: &mut Vec<Self>) {
        let mut add = |attributes: &mut dyn Iterator<Item = &KeyValue>, count: u64, value: f64| {
            series.push(Self {
                name: name.to_owned(),
                unit: unit.to_owned(),
                attributes: to_map(attributes.cloned()),
                count,
                value,
            });
        };
        match data {
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    add(&mut point.attributes(), 1, point.value().to_f64());
                }
            }
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    add(&mut point.attributes(), 1, point.value().to_f64());
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    add(&mut point.attributes(), point.count(), point.sum().to_f64());
                }
            }
            MetricData::ExponentialHistogram(histogram) => {
                for point in histogram.data_points() {
                    add(&mut point.attributes(), point.count() as u64, point.sum().to_f64());
                }
            }
        }
    }
}

trait ToF64 {
    fn to_f64(self) -> f64;
}

impl ToF64 for f64 {
    fn to_f64(self) -> f64 {
        self
    }
}

impl ToF64 for i64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl ToF64 for u64 {
    fn to_f64(self) -> f64 {
        self as f64
    }
}

#[derive(Debug, Default)]
struct Records {
    spans: Mutex<Vec<SpanData>>,
    logs: Mutex<Vec<SdkLogRecord>>,
}

impl Records {
    fn spans(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn logs(&self) -> MutexGuard<'_, Vec<SdkLogRecord>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps each span and log record as it ends.
#[derive(Debug)]
struct Recorder(Arc<Records>);

impl SpanProcessor for Recorder {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _cx: &opentelemetry::Context) {}

    fn on_end(&self, mut span: SpanData) {
        limit_span(&mut span, None);
        self.0.spans().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Recorder {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &opentelemetry::InstrumentationScope) {
        self.0.logs().push(record.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}
