//! The business instruments.

use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};

/// What the order service counts.
#[derive(Clone)]
pub(crate) struct Metrics {
    orders: Counter<u64>,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Confirmed.
    Confirmed,
    /// Failed, for the reason with this code.
    Failed(&'static str),
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let orders = meter
            .u64_counter("order.orders")
            .with_unit("{order}")
            .with_description("Orders that ended, by status and reason.")
            .build();
        Self { orders }
    }

    /// Counts an order that has ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Confirmed => self.orders.add(1, &[KeyValue::new("order.status", "confirmed")]),
            Outcome::Failed(code) => self
                .orders
                .add(1, &[KeyValue::new("order.status", "failed"), KeyValue::new("error.type", code)]),
        }
    }
}
