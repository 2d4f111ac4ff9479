//! The way of metrics out of the process.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};

use super::otlp::OtlpExporter;
use super::overflow::{Overflows, Watched};
use super::{ExportError, Pipelines};
use crate::config::{Metrics, Signal};
use crate::exemplars::Exemplars;

/// Collects and exports to the collector once an interval, and counts what is lost.
pub(super) fn otlp_reader(
    metrics: &Metrics,
    pipelines: &mut Pipelines,
    overflows: &Overflows,
    exemplars: &Exemplars,
) -> Result<PeriodicReader<Watched<OtlpMetrics>>, ExportError> {
    let Metrics { interval, export_timeout, temporality, otlp, .. } = metrics;
    // Metrics have no queue: an export takes them all.
    let (exporter, _) = pipelines.begin(Signal::Metrics, otlp, None, *export_timeout)?;
    let exporter = OtlpMetrics { exporter, temporality: *temporality, exemplars: exemplars.clone() };
    Ok(reader(exporter, *interval, overflows))
}

/// Collects and exports once an interval.
pub(super) fn reader<E: PushMetricExporter>(
    exporter: E,
    interval: Duration,
    overflows: &Overflows,
) -> PeriodicReader<Watched<E>> {
    PeriodicReader::builder(Watched::new(exporter, overflows.clone())).with_interval(interval).build()
}

/// Exports metrics with their exemplars, for which the SDK's metrics have no room.
#[derive(Debug)]
pub(super) struct OtlpMetrics {
    exporter: OtlpExporter,
    temporality: Temporality,
    exemplars: Exemplars,
}

impl PushMetricExporter for OtlpMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let points = points(metrics);
        self.exporter.collected(points);
        let mut request = ExportMetricsServiceRequest::from(metrics);
        self.exemplars.fill(&mut request);
        self.exporter.export(points, request).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
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
