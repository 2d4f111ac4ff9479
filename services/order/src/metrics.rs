//! The business instruments.

use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};

/// What the order service counts.
#[derive(Clone)]
pub(crate) struct Metrics {
    orders: Counter<u64>,
    recoveries: Counter<u64>,
}

/// What became of an order that was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// It is confirmed.
    Confirmed,
    /// It failed, and has given back what it took, or is doing so.
    Failed,
    /// It was called off, and has given back what it took.
    Cancelled,
    /// It has to wait.
    Postponed,
    /// It is left to people.
    Parked,
}

impl Recovered {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Postponed => "postponed",
            Self::Parked => "parked",
        }
    }
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Confirmed.
    Confirmed,
    /// Failed, for the reason with this code.
    Failed(&'static str),
    /// Called off by its customer.
    Cancelled,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let orders = meter
            .u64_counter("order.orders")
            .with_unit("{order}")
            .with_description("Orders that ended, by status and reason.")
            .build();
        let recoveries = meter
            .u64_counter("order.recoveries")
            .with_unit("{order}")
            .with_description("Unfinished orders that were taken over, by what became of them.")
            .build();
        Self { orders, recoveries }
    }

    /// Counts an order that was taken over.
    pub(crate) fn recovered(&self, recovered: Recovered) {
        self.recoveries.add(1, &[KeyValue::new("order.recovery.outcome", recovered.as_str())]);
    }

    /// Counts an order that has ended.
    pub(crate) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Confirmed => self.orders.add(1, &[KeyValue::new("order.status", "confirmed")]),
            Outcome::Cancelled => self.orders.add(1, &[KeyValue::new("order.status", "cancelled")]),
            Outcome::Failed(code) => self
                .orders
                .add(1, &[KeyValue::new("order.status", "failed"), KeyValue::new("error.type", code)]),
        }
    }
}
