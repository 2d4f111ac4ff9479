//! What the service counts.

use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};

/// The business instruments.
#[derive(Clone)]
pub(crate) struct Metrics {
    reservations: Counter<u64>,
    imported: Counter<u64>,
}

/// What became of a reservation. One that is repeated changes nothing and is not counted again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Reserved,
    OutOfStock,
    UnknownProduct,
    Committed,
    Released,
    TimedOut,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            reservations: meter
                .u64_counter("inventory.reservations")
                .with_unit("{reservation}")
                .with_description("Reservations that were asked for, made, and ended, by outcome.")
                .build(),
            imported: meter
                .u64_counter("inventory.products.imported")
                .with_unit("{product}")
                .with_description("Products that were imported.")
                .build(),
        }
    }

    pub(crate) fn count_reservation(&self, outcome: Outcome) {
        self.reservations.add(1, &[KeyValue::new("inventory.outcome", outcome.as_str())]);
    }

    pub(crate) fn count_imported(&self, products: usize) {
        self.imported.add(products as u64, &[]);
    }
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::OutOfStock => "out_of_stock",
            Self::UnknownProduct => "unknown_product",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::TimedOut => "timed_out",
        }
    }
}
