//! The server's instruments (semantic conventions, "HTTP server metrics").

use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry_semantic_conventions::metric;

use super::old::OldMetrics;
use crate::Telemetry;
use crate::exemplars::TracedHistogram;
use crate::names::{BODY_SIZE_BUCKETS, DURATION_BUCKETS};

#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) duration: TracedHistogram,
    pub(super) active: UpDownCounter<i64>,
    pub(super) request_size: Histogram<u64>,
    pub(super) response_size: Histogram<u64>,
    /// Only where they are asked for.
    pub(super) old: Option<OldMetrics>,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let meter = telemetry.meter();
        let duration = meter
            .f64_histogram(metric::HTTP_SERVER_REQUEST_DURATION)
            .with_unit("s")
            .with_description("Duration of HTTP server requests.")
            .with_boundaries(DURATION_BUCKETS.to_vec())
            .build();
        Self {
            duration: telemetry.exemplars().of(
                duration,
                metric::HTTP_SERVER_REQUEST_DURATION,
                &DURATION_BUCKETS,
            ),
            active: meter
                .i64_up_down_counter(metric::HTTP_SERVER_ACTIVE_REQUESTS)
                .with_unit("{request}")
                .with_description("Number of active HTTP server requests.")
                .build(),
            request_size: meter
                .u64_histogram(metric::HTTP_SERVER_REQUEST_BODY_SIZE)
                .with_unit("By")
                .with_description("Size of HTTP server request bodies.")
                .with_boundaries(BODY_SIZE_BUCKETS.to_vec())
                .build(),
            response_size: meter
                .u64_histogram(metric::HTTP_SERVER_RESPONSE_BODY_SIZE)
                .with_unit("By")
                .with_description("Size of HTTP server response bodies.")
                .with_boundaries(BODY_SIZE_BUCKETS.to_vec())
                .build(),
            old: telemetry.http().old_names_too.then(|| OldMetrics::new(meter)),
        }
    }
}
