//! The way of metrics out of the process.

use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};

use super::otlp::{Counted, configured};
use super::overflow::{Overflows, Watched};
use super::{ExportError, Pipelines};
use crate::config::{Metrics, Signal};

/// Collects and exports to the collector once an interval, and counts what is lost.
pub(super) fn otlp_reader(
    metrics: &Metrics,
    pipelines: &mut Pipelines,
    overflows: &Overflows,
) -> Result<PeriodicReader<Watched<Counted<MetricExporter>>>, ExportError> {
    let Metrics { interval, export_timeout, temporality, otlp, .. } = metrics;
    // Metrics have no queue: an export takes them all.
    let (counter, delivery) = pipelines.begin(Signal::Metrics, otlp, usize::MAX, *export_timeout);
    let builder = MetricExporter::builder().with_temporality(*temporality).with_http();
    let exporter = configured(builder, otlp, &delivery)
        .build()
        .map_err(|source| ExportError::Exporter { signal: Signal::Metrics, source })?;
    Ok(reader(Counted::new(exporter, counter, delivery), *interval, overflows))
}

/// Collects and exports once an interval.
pub(super) fn reader<E: PushMetricExporter>(
    exporter: E,
    interval: Duration,
    overflows: &Overflows,
) -> PeriodicReader<Watched<E>> {
    PeriodicReader::builder(Watched::new(exporter, overflows.clone())).with_interval(interval).build()
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let points = points(metrics);
        self.counter.collected(points);
        Counted::export(self, points, self.exporter.export(metrics)).await
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

fn points(metrics: &ResourceMetrics) -> usize {
    fn points<T>(data: &MetricData<T>) -> usize {
        match data {
            MetricData::Gauge(gauge) => gauge.data_points().count(),
            MetricData::Sum(sum) => sum.data_points().count(),
            MetricData::Histogram(histogram) => histogram.data_points().count(),
            MetricData::ExponentialHistogram(histogram) => histogram.data_points().count(),
        }
    }
    metrics
        .scope_metrics()
        .flat_map(|scope| scope.metrics())
        .map(|metric| match metric.data() {
            AggregatedMetrics::F64(data) => points(data),
            AggregatedMetrics::U64(data) => points(data),
            AggregatedMetrics::I64(data) => points(data),
        })
        .sum()
}
