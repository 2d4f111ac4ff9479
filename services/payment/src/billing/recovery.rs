//! What a crash, or a gateway that was away for long, has left: payments of which nobody knows whether
//! they were charged. They are voided, however late.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use telemetry_core::span;

use super::Billing;
use crate::domain::{Failure, Payment, PaymentState};

/// At once; the rest waits for the next look.
const BATCH: i64 = 50;

/// When is looked, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    pub(crate) interval: Duration,
    pub(crate) abandoned_after: TimeDelta,
}

impl Billing {
    /// Runs as long as the process.
    pub(super) async fn recover(self) {
        loop {
            self.recover_abandoned().await;
            tokio::select! {
                () = self.stopping.requested() => return,
                () = tokio::time::sleep(self.recovery.interval) => {}
            }
        }
    }

    async fn recover_abandoned(&self) {
        let unchanged_since = Utc::now() - self.recovery.abandoned_after;
        // Looking is no news: it would be a trace of one query, twice a minute, for ever.
        match self.telemetry.untraced(self.payments.find_unsettled(unchanged_since, BATCH)).await {
            Ok(payments) => {
                for payment in payments {
                    if self.stopping.is_requested() {
                        return;
                    }
                    self.recover_payment(&payment).await;
                }
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "could not look for abandoned payments");
            }
        }
    }

    #[tracing::instrument(name = "recover_payment", skip_all, fields(order.id = %payment.order_id))]
    async fn recover_payment(&self, payment: &Payment) {
        if let Some(asked_in) = &payment.traceparent {
            span::link_to(asked_in);
        }
        let outcome = async {
            // First it is taken from whoever may still, against all odds, be about to write "captured".
            let payment = match payment.state {
                PaymentState::Pending => {
                    let interrupted = PaymentState::Failed(Failure::Interrupted);
                    self.payments.settle(payment.clone(), interrupted).await?
                }
                _ => payment.clone(),
            };
            match payment.state {
                PaymentState::Failed(failure) if failure.may_have_charged() => {
                    self.void(payment, failure).await
                }
                _ => Ok(payment),
            }
        };
        match outcome.await {
            Ok(payment) => {
                super::describe(&payment);
                tracing::warn!(order.id = %payment.order_id, "voided an abandoned charge");
            }
            Err(error) => span::record_error(&error, "charge_not_voided"),
        }
    }
}
