//! Voiding charges of unknown outcome, after their caller was told that the payment failed.

use std::time::Duration;

use telemetry_core::span;
use tokio::time::Instant;

use super::{Billing, RefundError};
use crate::domain::{Failure, Payment, PaymentState};

/// How long one task keeps trying. A gateway that is away for longer keeps a task for each charge that
/// it lost; after this, recovery has them all.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// The first wait is short, since most gateways that were slow once answer the next request.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Billing {
    /// Voids the charge in a background task of the same trace.
    pub(super) fn void_later(&self, payment: Payment, failure: Failure) {
        let billing = self.clone();
        self.telemetry
            .background("void_charge", async move { billing.void_persistently(payment, failure).await });
    }

    async fn void_persistently(&self, payment: Payment, failure: Failure) {
        let give_up = Instant::now() + PERSISTENCE;
        let mut wait = FIRST_WAIT;
        loop {
            let error = match self.void(payment.clone(), failure).await {
                Ok(payment) => return super::describe(&payment),
                Err(error) => error,
            };
            if Instant::now() + wait > give_up || self.stopping.is_requested() {
                span::record_error(&error, "charge_not_voided");
                self.metrics.not_voided();
                tracing::error!(order.id = %payment.order_id, "a charge could not be voided; recovery will try again");
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // One last try, at once.
                () = self.stopping.requested() => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Tries once to void the charge and to write it down. Gives the payment as it is then.
    pub(super) async fn void(&self, payment: Payment, failure: Failure) -> Result<Payment, RefundError> {
        self.gateway.void(payment.order_id).await?;
        let payment = self.payments.settle(payment, PaymentState::Voided(failure)).await?;
        self.metrics.voided();
        Ok(payment)
    }
}
