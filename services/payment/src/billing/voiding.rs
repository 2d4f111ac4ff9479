//! Voiding charges of unknown outcome, after their caller was told that the payment failed.

use std::time::Duration;

use service_kit::db::DatabaseError;
use telemetry_core::span;
use tokio::time::Instant;

use super::Billing;
use crate::clients::gateway::GatewayError;
use crate::domain::{Failure, Payment, PaymentState};

/// How long one task keeps trying. A gateway that is away for longer keeps a task for each charge that
/// it lost; after this, recovery has them all.
const PERSISTENCE: Duration = Duration::from_secs(60);

/// The first wait is short, since most gateways that were slow once answer the next request.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A charge may still be charged.
#[derive(Debug, thiserror::Error)]
pub(super) enum VoidError {
    #[error("the gateway did not void the charge")]
    Gateway(#[from] GatewayError),
    #[error("the charge is void, and this is not written down")]
    Database(#[from] DatabaseError),
}

impl Billing {
    /// Voids the charge in a background task of the same trace.
    pub(super) fn void_later(&self, payment: Payment, failure: Failure) {
        let billing = self.clone();
        self.telemetry
            .background("void_charge", async move { billing.void_persistently(&payment, failure).await });
    }

    async fn void_persistently(&self, payment: &Payment, failure: Failure) {
        let give_up = Instant::now() + PERSISTENCE;
        let mut wait = FIRST_WAIT;
        loop {
            let Err(error) = self.void(payment, failure).await else { return };
            if Instant::now() + wait > give_up || self.stopping.is_requested() {
                span::record_error(&error, "charge_not_voided");
                self.metrics.not_voided();
                tracing::error!(payment.id = %payment.id, "a charge could not be voided; recovery will try again");
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

    /// Tries once to void the charge and to write it down.
    pub(super) async fn void(&self, payment: &Payment, failure: Failure) -> Result<(), VoidError> {
        self.gateway.void(payment.order_id).await?;
        let payment = self.payments.settle(payment.clone(), PaymentState::Voided(failure)).await?;
        super::describe(&payment);
        self.metrics.voided();
        Ok(())
    }
}
