//! The client's instruments (semantic conventions, "HTTP client metrics").
//!
//! Not there are `http.client.open_connections` and `http.client.connection.duration`: reqwest does not tell when a
//! connection of its pool is opened and closed.

use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry_semantic_conventions::metric;

use crate::Telemetry;
use crate::exemplars::TracedHistogram;
use crate::names::{BODY_SIZE_BUCKETS, DURATION_BUCKETS, OLD_DURATION_BUCKETS};

pub(super) struct Metrics {
    pub(super) duration: TracedHistogram,
    pub(super) active: UpDownCounter<i64>,
    pub(super) request_size: Histogram<u64>,
    pub(super) response_size: Histogram<u64>,
    /// `http.client.duration` from before the conventions were stable, where it is asked for.
    pub(super) old_duration: Option<Histogram<f64>>,
}

impl Metrics {
    pub(super) fn new(telemetry: &Telemetry) -> Self {
        let meter = telemetry.meter();
        let size = |name, description| {
            let histogram = meter.u64_histogram(name).with_unit("By").with_description(description);
            histogram.with_boundaries(BODY_SIZE_BUCKETS.to_vec()).build()
        };
        let duration = |name, unit, description, buckets: [f64; 14]| {
            let histogram = meter.f64_histogram(name).with_unit(unit).with_description(description);
            histogram.with_boundaries(buckets.to_vec()).build()
        };
        let name = metric::HTTP_CLIENT_REQUEST_DURATION;
        let stable = duration(name, "s", "Duration of HTTP client requests.", DURATION_BUCKETS);
        Self {
            duration: telemetry.exemplars().of(stable, name, &DURATION_BUCKETS),
            active: meter
                .i64_up_down_counter(metric::HTTP_CLIENT_ACTIVE_REQUESTS)
                .with_unit("{request}")
                .with_description("Number of active HTTP requests.")
                .build(),
            request_size: size(metric::HTTP_CLIENT_REQUEST_BODY_SIZE, "Size of HTTP client request bodies."),
            response_size: size(
                metric::HTTP_CLIENT_RESPONSE_BODY_SIZE,
                "Size of HTTP client response bodies.",
            ),
            old_duration: telemetry.http().old_names_too.then(|| {
                duration(
                    "http.client.duration",
                    "ms",
                    "Duration of HTTP client requests.",
                    OLD_DURATION_BUCKETS,
                )
            }),
        }
    }
}
