//! `otel.sdk.*`: what the conventions want an SDK to tell of itself ("Semantic conventions for OpenTelemetry SDK
//! metrics"), read from the counters when somebody collects. A request pays for one relaxed addition a span.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use opentelemetry_semantic_conventions::{attribute, metric};

use super::counter::Counter;
use super::otlp::Delivered;
use crate::config::{Otlp, Protocol, Signal};
use crate::names::DURATION_BUCKETS;

/// One signal's way to the collector, as the metrics name it.
#[derive(Debug)]
pub(super) struct Component {
    signal: Signal,
    /// Of the exporter.
    name: String,
    /// Of the exporter.
    attributes: Vec<KeyValue>,
    /// Which of its signal's queues is in front of it.
    queue: usize,
    durations: OnceLock<Histogram<f64>>,
}

impl Component {
    /// A collector. `others` are those that were made before.
    pub(super) fn new<'a>(
        signal: Signal,
        otlp: &Otlp,
        others: impl Iterator<Item = &'a Self> + Clone,
    ) -> Self {
        let kind = match otlp.protocol {
            Protocol::Protobuf => "otlp_http",
            Protocol::Json => "otlp_http_json",
            Protocol::Grpc => "otlp_grpc",
        };
        let item = match signal {
            Signal::Traces => "span",
            Signal::Metrics => "metric",
            Signal::Logs => "log",
        };
        let mut component = Self::named(signal, &format!("{kind}_{item}_exporter"), others);
        let url = otlp.endpoint.url();
        if let Some(host) = url.host_str() {
            component.attributes.push(KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned()));
        }
        if let Some(port) = url.port_or_known_default() {
            component.attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
        component
    }

    /// An exporter of this kind, which for those of the application is the name of their type ("SHOULD use the fully
    /// qualified class name").
    pub(super) fn named<'a>(
        signal: Signal,
        kind: &str,
        others: impl Iterator<Item = &'a Self> + Clone,
    ) -> Self {
        let is_of_kind = |other: &&Self| other.name.rsplit_once('/').is_some_and(|(other, _)| other == kind);
        let name = format!("{kind}/{}", others.clone().filter(is_of_kind).count());
        Self {
            signal,
            attributes: named(kind.to_owned(), name.clone()),
            name,
            queue: others.filter(|other| other.signal == signal).count(),
            durations: OnceLock::new(),
        }
    }

    /// `otel.component.name`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An export is over.
    pub(super) fn exported(&self, delivered: &Delivered) {
        let Some(durations) = self.durations.get() else { return };
        let mut attributes = self.attributes.clone();
        if let Some(error) = delivered.outcome.error_type() {
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, error));
        }
        attributes.extend(delivered.outcome.status_attribute());
        durations.record(delivered.took.as_secs_f64(), &attributes);
    }

    /// Makes the metrics of this way. `counter` counts what goes there.
    pub(super) fn observe(self: &Arc<Self>, meter: &Meter, counter: &Arc<Counter>) {
        let durations = meter
            .f64_histogram(metric::OTEL_SDK_EXPORTER_OPERATION_DURATION)
            .with_unit("s")
            .with_description(described(metric::OTEL_SDK_EXPORTER_OPERATION_DURATION))
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        // A second time there is one already, of the same name.
        let _ = self.durations.set(durations);
        let (inflight, exported, unit) = match self.signal {
            Signal::Traces => {
                (metric::OTEL_SDK_EXPORTER_SPAN_INFLIGHT, metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED, "{span}")
            }
            Signal::Metrics => (
                metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_INFLIGHT,
                metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED,
                "{data_point}",
            ),
            Signal::Logs => (
                metric::OTEL_SDK_EXPORTER_LOG_INFLIGHT,
                metric::OTEL_SDK_EXPORTER_LOG_EXPORTED,
                "{log_record}",
            ),
        };
        let (component, counted) = (self.clone(), counter.clone());
        meter
            .i64_observable_up_down_counter(inflight)
            .with_unit(unit)
            .with_description(described(inflight))
            .with_callback(move |observer| {
                observer.observe(number(counted.progress().in_flight), &component.attributes)
            })
            .build();
        let (component, counted) = (self.clone(), counter.clone());
        meter
            .u64_observable_counter(exported)
            .with_unit(unit)
            .with_description(described(exported))
            .with_callback(move |observer| {
                let progress = counted.progress();
                observer.observe(progress.exported, &component.attributes);
                for (error, items) in progress.errors {
                    let mut attributes = component.attributes.clone();
                    attributes.push(KeyValue::new(attribute::ERROR_TYPE, error));
                    observer.observe(items, &attributes);
                }
            })
            .build();
        match self.signal {
            Signal::Traces => queue(
                meter,
                counter,
                ("batching_span_processor", self.queue),
                unit,
                [
                    metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
                    metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_CAPACITY,
                    metric::OTEL_SDK_PROCESSOR_SPAN_PROCESSED,
                ],
            ),
            Signal::Logs => queue(
                meter,
                counter,
                ("batching_log_processor", self.queue),
                unit,
                [
                    metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
                    metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY,
                    metric::OTEL_SDK_PROCESSOR_LOG_PROCESSED,
                ],
            ),
            // They have none.
            Signal::Metrics => {}
        }
        if self.signal == Signal::Logs && self.queue == 0 {
            let counted = counter.clone();
            meter
                .u64_observable_counter(metric::OTEL_SDK_LOG_CREATED)
                .with_unit(unit)
                .with_description(described(metric::OTEL_SDK_LOG_CREATED))
                .with_callback(move |observer| observer.observe(counted.ended(), &[]))
                .build();
        }
    }
}

/// The metrics of a queue: its size, its capacity, and what went through it.
fn queue(
    meter: &Meter,
    counter: &Arc<Counter>,
    (kind, number_of_it): (&'static str, usize),
    unit: &'static str,
    [size, capacity, processed]: [&'static str; 3],
) {
    let attributes = named(kind.to_owned(), format!("{kind}/{number_of_it}"));
    let (own, counted) = (attributes.clone(), counter.clone());
    meter
        .i64_observable_up_down_counter(size)
        .with_unit(unit)
        .with_description(described(size))
        .with_callback(move |observer| observer.observe(number(counted.progress().waiting), &own))
        .build();
    let (own, counted) = (attributes.clone(), counter.clone());
    meter
        .i64_observable_up_down_counter(capacity)
        .with_unit(unit)
        .with_description(described(capacity))
        .with_callback(move |observer| {
            observer.observe(number(counted.queue_size().unwrap_or_default() as u64), &own);
        })
        .build();
    let counted = counter.clone();
    meter
        .u64_observable_counter(processed)
        .with_unit(unit)
        .with_description(described(processed))
        .with_callback(move |observer| {
            let progress = counted.progress();
            observer.observe(progress.taken, &attributes);
            for (error, items) in [("queue_full", progress.overflown), ("already_shutdown", progress.late)] {
                if items > 0 {
                    let mut attributes = attributes.clone();
                    attributes.push(KeyValue::new(attribute::ERROR_TYPE, error));
                    observer.observe(items, &attributes);
                }
            }
        })
        .build();
}

/// What the conventions say of each.
fn described(name: &str) -> &'static str {
    match name {
        metric::OTEL_SDK_EXPORTER_LOG_EXPORTED => {
            "The number of log records for which the export has finished, either successful or failed."
        }
        metric::OTEL_SDK_EXPORTER_LOG_INFLIGHT => {
            "The number of log records which were passed to the exporter, but that have not been \
             exported yet (neither successful, nor failed)."
        }
        metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED => {
            "The number of metric data points for which the export has finished, either successful or \
             failed."
        }
        metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_INFLIGHT => {
            "The number of metric data points which were passed to the exporter, but that have not been \
             exported yet (neither successful, nor failed)."
        }
        metric::OTEL_SDK_EXPORTER_OPERATION_DURATION => {
            "The duration of exporting a batch of telemetry records."
        }
        metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED => {
            "The number of spans for which the export has finished, either successful or failed."
        }
        metric::OTEL_SDK_EXPORTER_SPAN_INFLIGHT => {
            "The number of spans which were passed to the exporter, but that have not been exported yet \
             (neither successful, nor failed)."
        }
        metric::OTEL_SDK_LOG_CREATED => "The number of logs submitted to enabled SDK Loggers.",
        metric::OTEL_SDK_PROCESSOR_LOG_PROCESSED => {
            "The number of log records for which the processing has finished, either successful or failed."
        }
        metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY => {
            "The maximum number of log records the queue of a given instance of an SDK Log Record \
             processor can hold."
        }
        metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE => {
            "The number of log records in the queue of a given instance of an SDK log processor."
        }
        metric::OTEL_SDK_PROCESSOR_SPAN_PROCESSED => {
            "The number of spans for which the processing has finished, either successful or failed."
        }
        metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_CAPACITY => {
            "The maximum number of spans the queue of a given instance of an SDK span processor can hold."
        }
        metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE => {
            "The number of spans in the queue of a given instance of an SDK span processor."
        }
        metric::OTEL_SDK_SPAN_LIVE => {
            "The number of created spans with `recording=true` for which the end operation has not been \
             called yet."
        }
        metric::OTEL_SDK_SPAN_STARTED => "The number of created spans.",
        _ => "",
    }
}

/// What names a component.
fn named(kind: String, name: String) -> Vec<KeyValue> {
    vec![
        KeyValue::new(attribute::OTEL_COMPONENT_TYPE, kind),
        KeyValue::new(attribute::OTEL_COMPONENT_NAME, name),
    ]
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The spans that were begun, by what their sampler decided and where their parents are. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Started(Arc<[[AtomicU64; 3]; 3]>);

const DECISIONS: [&str; 3] = ["DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"];
const ORIGINS: [&str; 3] = ["none", "local", "remote"];

impl Started {
    fn count(&self, parent: Option<&Context>, decision: &SamplingDecision) {
        let decision = match decision {
            SamplingDecision::Drop => 0,
            SamplingDecision::RecordOnly => 1,
            SamplingDecision::RecordAndSample => 2,
        };
        let origin = parent.map_or(0, |parent| {
            let span = parent.span();
            let span = span.span_context();
            if !span.is_valid() { 0 } else { 1 + usize::from(span.is_remote()) }
        });
        self.0[decision][origin].fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the metrics of spans. `ended` counts the sampled ones that have ended, where they go to a collector.
    pub(super) fn observe(&self, meter: &Meter, ended: Option<&Arc<Counter>>) {
        let started = self.clone();
        meter
            .u64_observable_counter(metric::OTEL_SDK_SPAN_STARTED)
            .with_unit("{span}")
            .with_description(described(metric::OTEL_SDK_SPAN_STARTED))
            .with_callback(move |observer| {
                for (decision, origins) in DECISIONS.iter().zip(started.0.iter()) {
                    for (origin, count) in ORIGINS.iter().zip(origins) {
                        let count = count.load(Ordering::Relaxed);
                        if count > 0 {
                            let attributes = [
                                KeyValue::new(attribute::OTEL_SPAN_SAMPLING_RESULT, *decision),
                                KeyValue::new(attribute::OTEL_SPAN_PARENT_ORIGIN, *origin),
                            ];
                            observer.observe(count, &attributes);
                        }
                    }
                }
            })
            .build();
        let Some(ended) = ended.cloned() else { return };
        let started = self.clone();
        meter
            .i64_observable_up_down_counter(metric::OTEL_SDK_SPAN_LIVE)
            .with_unit("{span}")
            .with_description(described(metric::OTEL_SDK_SPAN_LIVE))
            .with_callback(move |observer| {
                // The end is read first, so that no span ends that has not begun.
                let ended = ended.ended();
                let begun = started.0[2].iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
                let attributes = [KeyValue::new(attribute::OTEL_SPAN_SAMPLING_RESULT, DECISIONS[2])];
                observer.observe(number(begun.saturating_sub(ended)), &attributes);
            })
            .build();
    }
}

/// A sampler whose decisions are counted.
#[derive(Debug, Clone)]
pub(super) struct CountedSampler<S> {
    pub(super) sampler: S,
    pub(super) started: Started,
}

impl<S: ShouldSample + Clone + 'static> ShouldSample for CountedSampler<S> {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        span_kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let result = self.sampler.should_sample(parent_context, trace_id, name, span_kind, attributes, links);
        self.started.count(parent_context, &result.decision);
        result
    }
}
