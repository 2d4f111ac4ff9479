//! What the service counts.

use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};

use crate::attempts::Scope;

/// The business instruments.
#[derive(Clone)]
pub(crate) struct Metrics {
    throttled: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            throttled: meter
                .u64_counter("user.attempts.throttled")
                .with_unit("{attempt}")
                .with_description(
                    "Tries to log in or to register that were refused because there were too many.",
                )
                .build(),
        }
    }

    pub(crate) fn count_throttled(&self, scope: Scope) {
        self.throttled.add(1, &[KeyValue::new("throttle.scope", scope.as_str())]);
    }
}
