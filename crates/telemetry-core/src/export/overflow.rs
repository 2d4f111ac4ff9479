//! Telling which metrics have more series than they may.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;

use super::TARGET;

/// The one attribute of the series in which the SDK sums up all series beyond the limit.
const OVERFLOW: &str = "otel.metric.overflow";

/// The instruments that were seen to overflow, each told once. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Overflows {
    limit: usize,
    seen: Arc<Mutex<BTreeSet<String>>>,
}

impl Overflows {
    /// `limit` is how many series an instrument may have; it is only told here, not kept.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, seen: Arc::default() }
    }

    /// Looks for instruments that overflow, and tells the log of those that did not before.
    pub(crate) fn watch(&self, metrics: &ResourceMetrics) {
        let overflowing = metrics
            .scope_metrics()
            .flat_map(|scope| scope.metrics())
            .filter(|metric| match metric.data() {
                AggregatedMetrics::F64(data) => overflows(data),
                AggregatedMetrics::U64(data) => overflows(data),
                AggregatedMetrics::I64(data) => overflows(data),
            })
            .map(|metric| metric.name());
        for name in overflowing {
            let is_new = self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
            if is_new {
                let limit = self.limit;
                // Readers suppress telemetry on their threads; this line is for the application.
                let _unsuppressed = Context::new().attach();
                tracing::warn!(
                    target: TARGET,
                    metric = name,
                    limit,
                    "a metric has more series than METRICS_CARDINALITY_LIMIT; further ones are summed up in one; told once"
                );
            }
        }
    }

    /// The instruments' names, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn overflows<T: Copy>(data: &MetricData<T>) -> bool {
    fn is_overflow<'a>(mut attributes: impl Iterator<Item = &'a KeyValue>) -> bool {
        attributes
            .next()
            .is_some_and(|first| first.key.as_str() == OVERFLOW && first.value == Value::Bool(true))
    }
    match data {
        MetricData::Gauge(gauge) => gauge.data_points().any(|point| is_overflow(point.attributes())),
        MetricData::Sum(sum) => sum.data_points().any(|point| is_overflow(point.attributes())),
        MetricData::Histogram(histogram) => {
            histogram.data_points().any(|point| is_overflow(point.attributes()))
        }
        MetricData::ExponentialHistogram(histogram) => {
            histogram.data_points().any(|point| is_overflow(point.attributes()))
        }
    }
}

/// An exporter whose metrics are watched.
#[derive(Debug)]
pub(super) struct Watched<E> {
    exporter: E,
    overflows: Overflows,
}

impl<E> Watched<E> {
    pub(super) fn new(exporter: E, overflows: Overflows) -> Self {
        Self { exporter, overflows }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.overflows.watch(metrics);
        self.exporter.export(metrics).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
