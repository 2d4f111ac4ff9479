//! What the business counts.

use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::metrics::{Counter, Meter};

use crate::domain::{Payment, PaymentState};

/// The instruments. Every attribute's values are a fixed few: no caller can make series.
#[derive(Clone)]
pub(crate) struct Metrics {
    charges: Counter<u64>,
    voids: Counter<u64>,
    refunds: Counter<u64>,
}

impl Metrics {
    /// Makes the instruments.
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            charges: meter
                .u64_counter("payment.charges")
                .with_unit("{charge}")
                .with_description("Charges that the gateway was asked for, or would have been but for an open breaker, by method and \
                     outcome.")
                .build(),
            voids: meter
                .u64_counter("payment.voids")
                .with_unit("{charge}")
                .with_description("Charges of unknown outcome that were voided, or given up for now.")
                .build(),
            refunds: meter
                .u64_counter("payment.refunds")
                .with_unit("{refund}")
                .with_description("Captured charges whose money went back.")
                .build(),
        }
    }

    /// A charge has come to an end; asking for the same one again does not count.
    pub(crate) fn charged(&self, payment: &Payment) {
        let outcome = match &payment.state {
            PaymentState::Failed(failure) | PaymentState::Voided(failure) => failure.code(),
            state => state.as_str(),
        };
        self.charges.add(
            1,
            &[
                KeyValue::new("payment.method", payment.method.as_str()),
                KeyValue::new("payment.outcome", outcome),
            ],
        );
    }

    /// The gateway has confirmed that a charge of unknown outcome is void.
    pub(crate) fn voided(&self) {
        self.voids.add(1, &[KeyValue::new("payment.outcome", "voided")]);
    }

    /// A charge of unknown outcome could not be voided; recovery will try again.
    pub(crate) fn not_voided(&self) {
        self.voids.add(1, &[KeyValue::new("payment.outcome", "given_up")]);
    }

    /// A captured charge's money went back.
    pub(crate) fn refunded(&self) {
        self.refunds.add(1, &[]);
    }
}
