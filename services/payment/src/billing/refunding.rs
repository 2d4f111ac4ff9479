//! Refunding: seeing to it that nothing stays charged for an order, whatever is known of its payment.
//!
//! Whoever asks may have lost the answer to a charge, or may have given up on one that still goes on.

use service_kit::db::DatabaseError;
use telemetry_core::span;
use uuid::Uuid;

use super::Billing;
use crate::clients::gateway::GatewayError;
use crate::domain::{Cancellation, Failure, Payment, PaymentState, Record};

/// Something may still be charged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefundError {
    #[error("the gateway did not confirm that nothing stays charged")]
    Gateway(#[from] GatewayError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Billing {
    /// Sees to it that nothing is charged for this order, now or later. May be repeated: money goes back
    /// once.
    pub(crate) async fn refund(&self, order_id: Uuid) -> Result<Record, RefundError> {
        match self.payments.find_or_cancel(order_id).await? {
            Record::Payment(payment) => self.undo(payment).await.map(Record::Payment),
            cancellation => {
                span::set_attribute("payment.status", Cancellation::STATUS);
                Ok(cancellation)
            }
        }
    }

    /// Goes on from wherever the payment is, until nothing is charged and nothing is going to be. A step
    /// that somebody else was faster to make gives the payment as they left it.
    async fn undo(&self, mut payment: Payment) -> Result<Payment, RefundError> {
        loop {
            payment = match payment.state.clone() {
                // Taken from the charge that is being made, so that its answer comes too late.
                PaymentState::Pending => {
                    self.payments.settle(payment, PaymentState::Failed(Failure::Cancelled)).await?
                }
                PaymentState::Failed(failure) if failure.may_have_charged() => {
                    self.void(payment, failure).await?
                }
                // Nothing was charged; but it may be tried again, until this is written down.
                PaymentState::Failed(_) => {
                    self.payments.settle(payment, PaymentState::Voided(Failure::Cancelled)).await?
                }
                PaymentState::Captured(transaction_id) => {
                    self.gateway.refund(&transaction_id, payment.amount.minor()).await?;
                    let state = PaymentState::Refunded(transaction_id);
                    let payment = self.payments.settle(payment, state).await?;
                    self.metrics.refunded();
                    payment
                }
                PaymentState::Declined(_) | PaymentState::Voided(_) | PaymentState::Refunded(_) => {
                    super::describe(&payment);
                    return Ok(payment);
                }
            }
        }
    }
}
