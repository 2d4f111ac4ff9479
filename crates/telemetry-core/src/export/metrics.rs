//! The way of metrics out of the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, PeriodicReader, Pipeline, Temporality};

use super::otlp::OtlpExporter;
use super::overflow::{Overflows, Watched};
use super::own::OwnExporter;
use super::{ExportError, Pipelines};
use crate::config::{MetricPipeline, Metrics, Signal};
use crate::exemplars::Exemplars;

/// Collects and exports to the collector once an interval, and counts what is lost.
pub(super) fn otlp_reader(
    collector: &MetricPipeline,
    pipelines: &mut Pipelines,
    overflows: &Overflows,
    exemplars: Option<&Exemplars>,
) -> Result<Box<dyn MetricReader>, ExportError> {
    let MetricPipeline { interval, export_timeout, temporality, otlp } = collector;
    // Metrics have no queue: an export takes them all.
    let (exporter, _) = pipelines.begin(Signal::Metrics, otlp, None, *export_timeout)?;
    let exporter = OtlpMetrics { exporter, temporality: *temporality, exemplars: exemplars.cloned() };
    Ok(Box::new(reader(exporter, *interval, overflows)))
}

/// The same for an exporter of the application's own.
pub(super) fn own_reader<E: PushMetricExporter>(
    exporter: E,
    metrics: &Metrics,
    pipelines: &mut Pipelines,
    overflows: &Overflows,
) -> Box<dyn MetricReader> {
    let (exporter, _) = pipelines.begin_own(Signal::Metrics, exporter, None);
    Box::new(reader(exporter, metrics.interval, overflows))
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
    /// None where another exporter has them.
    exemplars: Option<Exemplars>,
}

impl PushMetricExporter for OtlpMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let points = points(metrics);
        self.exporter.collected(points);
        let mut request = ExportMetricsServiceRequest::from(metrics);
        if let Some(exemplars) = &self.exemplars {
            exemplars.fill(&mut request);
        }
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

impl<E: PushMetricExporter> PushMetricExporter for OwnExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let points = points(metrics);
        self.collected(points);
        self.counted(points, self.exporter.export(metrics)).await
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

/// A reader that its provider shares: with the shutdown, since a provider shuts its readers down one after the other,
/// five seconds each, whatever the deadline; and with whoever asks for metrics.
#[derive(Debug, Clone)]
pub(super) struct SharedReader {
    reader: Arc<dyn MetricReader>,
    is_shut_down: Arc<AtomicBool>,
}

impl SharedReader {
    pub(super) fn new(reader: Box<dyn MetricReader>) -> Self {
        Self { reader: Arc::from(reader), is_shut_down: Arc::default() }
    }

    /// Whether it tells of every instrument all that was measured so far.
    pub(super) fn is_cumulative(&self) -> bool {
        self.temporality(InstrumentKind::Counter) == Temporality::Cumulative
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.reader.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        if self.is_shut_down.load(Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        self.reader.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.reader.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.is_shut_down.store(true, Ordering::Relaxed);
        self.reader.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.reader.temporality(kind)
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
