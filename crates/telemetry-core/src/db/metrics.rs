//! The instruments of queries and pools (semantic conventions, "Database metrics").

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use opentelemetry::trace::SpanContext;
use opentelemetry_semantic_conventions::metric::{
    DB_CLIENT_CONNECTION_CREATE_TIME, DB_CLIENT_CONNECTION_TIMEOUTS, DB_CLIENT_CONNECTION_USE_TIME,
    DB_CLIENT_CONNECTION_WAIT_TIME, DB_CLIENT_OPERATION_DURATION,
};

use super::failure::Failure;
use super::query::Query;
use crate::Telemetry;
use crate::exemplars::TracedHistogram;

/// Seconds, from the conventions' text of `db.client.operation.duration`. They give none for a
/// pool's times, which are of the same order.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// `db.client.operation.duration`.
#[derive(Clone)]
pub(super) struct OperationMetrics {
    duration: TracedHistogram,
}

impl OperationMetrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let description = "Duration of database client operations.";
        let duration = seconds(telemetry.meter(), DB_CLIENT_OPERATION_DURATION, description);
        Self { duration: telemetry.exemplars().of(duration, DB_CLIENT_OPERATION_DURATION, &BUCKETS) }
    }

    /// `span` is the query's own; without one (of the statements that begin and end transactions) the measurement
    /// belongs to the current span.
    pub(super) fn record(
        &self,
        query: &Query,
        failure: Option<&Failure>,
        span: Option<&SpanContext>,
        duration: Duration,
    ) {
        let seconds = duration.as_secs_f64();
        match (failure, span) {
            (None, Some(span)) => {
                let bind = || self.duration.bind(query.metric_attributes.clone());
                query.duration.get_or_init(bind).record_of(span, seconds);
            }
            (failure, span) => {
                let mut attributes = query.metric_attributes.clone();
                attributes.extend(failure.into_iter().flat_map(Failure::attributes));
                match span {
                    Some(span) => self.duration.record_of(span, seconds, &attributes),
                    None => self.duration.record(seconds, &attributes),
                }
            }
        }
    }
}

/// The instruments of one pool that are recorded to as things happen.
pub(super) struct PoolMetrics {
    wait_time: Histogram<f64>,
    use_time: Histogram<f64>,
    create_time: Histogram<f64>,
    timeouts: Counter<u64>,
    attributes: [KeyValue; 1],
}

impl PoolMetrics {
    pub(super) fn new(meter: &Meter, pool: KeyValue) -> Self {
        Self {
            wait_time: seconds(
                meter,
                DB_CLIENT_CONNECTION_WAIT_TIME,
                "The time it took to obtain an open connection from the pool.",
            ),
            use_time: seconds(
                meter,
                DB_CLIENT_CONNECTION_USE_TIME,
                "The time between borrowing a connection and returning it to the pool.",
            ),
            create_time: seconds(
                meter,
                DB_CLIENT_CONNECTION_CREATE_TIME,
                "The time it took to create a new connection.",
            ),
            timeouts: meter
                .u64_counter(DB_CLIENT_CONNECTION_TIMEOUTS)
                .with_unit("{timeout}")
                .with_description(
                    "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
                )
                .build(),
            attributes: [pool],
        }
    }

    pub(super) fn waited(&self, duration: Duration) {
        self.wait_time.record(duration.as_secs_f64(), &self.attributes);
    }

    pub(super) fn used(&self, duration: Duration) {
        self.use_time.record(duration.as_secs_f64(), &self.attributes);
    }

    pub(super) fn created(&self, duration: Duration) {
        self.create_time.record(duration.as_secs_f64(), &self.attributes);
    }

    pub(super) fn timed_out(&self) {
        self.timeouts.add(1, &self.attributes);
    }
}

fn seconds(meter: &Meter, name: &'static str, description: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(BUCKETS.to_vec())
        .build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
    use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps the bucket bounds of what is exported.
    #[derive(Clone, Default)]
    struct Bounds(Arc<Mutex<Vec<f64>>>);

    impl PushMetricExporter for Bounds {
        async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
            for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
                if let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() {
                    self.0.lock().unwrap().extend(histogram.data_points().flat_map(|point| point.bounds()));
                }
            }
            Ok(())
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
            Ok(())
        }

        fn temporality(&self) -> Temporality {
            Temporality::Cumulative
        }
    }

    #[test]
    fn durations_fall_into_the_conventions_buckets() {
        let bounds = Bounds::default();
        let provider = SdkMeterProvider::builder()
            .with_reader(
                PeriodicReader::builder(bounds.clone()).with_interval(Duration::from_secs(3600)).build(),
            )
            .build();
        seconds(&provider.meter("test"), DB_CLIENT_OPERATION_DURATION, "").record(0.2, &[]);
        provider.force_flush().unwrap();
        assert_eq!(*bounds.0.lock().unwrap(), [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
    }
}
