//! The way of metrics out of the process.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::write::GzEncoder;
use opentelemetry_otlp::MetricExporter;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality};

use prost::Message as _;

use super::delivery::Delivery;
use super::otlp::{Counted, configured};
use super::overflow::{Overflows, Watched};
use super::{ExportError, Pipelines};
use crate::config::{Compression, Metrics, Protocol, Signal};
use crate::exemplars::Exemplars;

/// Collects and exports to the collector once an interval, and counts what is lost.
pub(super) fn otlp_reader(
    metrics: &Metrics,
    pipelines: &mut Pipelines,
    overflows: &Overflows,
    exemplars: &Exemplars,
) -> Result<PeriodicReader<Watched<WithExemplars<Counted<MetricExporter>>>>, ExportError> {
    let Metrics { interval, export_timeout, temporality, otlp, .. } = metrics;
    // Metrics have no queue: an export takes them all.
    let (counter, delivery) = pipelines.begin(Signal::Metrics, otlp, usize::MAX, *export_timeout);
    let builder = MetricExporter::builder().with_temporality(*temporality).with_http();
    let exporter = configured(builder, otlp, &delivery)
        .build()
        .map_err(|source| ExportError::Exporter { signal: Signal::Metrics, source })?;
    let (protocol, compression) = (otlp.protocol, otlp.compression);
    let exporter = Counted::new(exporter, counter, delivery.clone());
    let exporter = WithExemplars { exporter, delivery, protocol, compression, exemplars: exemplars.clone() };
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

/// An exporter whose metrics get their exemplars on their way. The SDK's metrics have no room for them, so the
/// request is encoded here once more and sent in place of the exporter's own; retries are still the exporter's.
#[derive(Debug)]
pub(super) struct WithExemplars<E> {
    exporter: E,
    delivery: Arc<Delivery>,
    protocol: Protocol,
    compression: Compression,
    exemplars: Exemplars,
}

impl<E> WithExemplars<E> {
    /// The request with exemplars; `None` where it cannot be encoded.
    fn body(&self, metrics: &ResourceMetrics) -> Option<Vec<u8>> {
        let mut request = ExportMetricsServiceRequest::from(metrics);
        self.exemplars.fill(&mut request);
        let body = match self.protocol {
            Protocol::Protobuf => request.encode_to_vec(),
            Protocol::Json => serde_json::to_vec(&request).ok()?,
        };
        match self.compression {
            Compression::None => Some(body),
            Compression::Gzip => {
                let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
                gzip.write_all(&body).ok()?;
                gzip.finish().ok()
            }
        }
    }
}

impl<E: PushMetricExporter> PushMetricExporter for WithExemplars<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        if self.exemplars.is_empty() {
            return self.exporter.export(metrics).await;
        }
        self.delivery.replace_body(self.body(metrics).map(Into::into));
        let result = self.exporter.export(metrics).await;
        self.delivery.replace_body(None);
        result
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
