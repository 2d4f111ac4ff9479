//! Charging and refunding: the flows across the store and the gateway.
//!
//! A payment is written down as pending before the gateway is asked, and with its outcome after. Where
//! nobody knows the outcome, [`voiding`] sees to it that nothing stays charged; where this process died
//! in between, [`recovery`] does. [`refunding`] undoes a payment in whichever state it is.

mod recovery;
mod refunding;
mod voiding;

use service_kit::app::Stopping;
use service_kit::db::DatabaseError;
use service_kit::deadline;
use service_kit::page::Page;
use telemetry_core::{Telemetry, context, span};
use tokio::time::Instant;
use uuid::Uuid;

use crate::clients::gateway::{Charged, GatewayClient, GatewayError};
use crate::domain::{
    Cancellation, DeclineReason, Failure, NewPayment, Payment, PaymentState, Record, TransactionId,
};
use crate::metrics::Metrics;
use crate::store::{Begun, Payments};

pub(crate) use self::recovery::Recovery;
pub(crate) use self::refunding::RefundError;

#[derive(Clone)]
pub(crate) struct Billing {
    payments: Payments,
    gateway: GatewayClient,
    metrics: Metrics,
    telemetry: Telemetry,
    stopping: Stopping,
    recovery: Recovery,
}

/// Why an order is not paid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChargeError {
    #[error("the order's payment is another one")]
    Conflict,
    #[error("the order's payment is being made")]
    InProgress,
    #[error("the order's payment went back")]
    Refunded,
    #[error("the gateway declined the payment")]
    Declined(DeclineReason),
    /// The gateway gave no answer to rely on, now or when the payment was first asked for; or it was not
    /// asked, since the order was refunded before.
    #[error("the payment failed: {}", failure.code())]
    Failed { failure: Failure, source: Option<GatewayError> },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl ChargeError {
    /// Whether asking for the same again can come to nothing else.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Declined(_) | Self::Refunded | Self::Conflict => true,
            Self::Failed { failure, .. } => failure.may_have_charged(),
            Self::InProgress | Self::Database(_) => false,
        }
    }
}

/// A payment whose money is ours.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) payment_id: Uuid,
    pub(crate) transaction_id: TransactionId,
}

impl Billing {
    /// Starts recovery, too.
    pub(crate) fn new(
        payments: Payments,
        gateway: GatewayClient,
        telemetry: Telemetry,
        stopping: Stopping,
        recovery: Recovery,
    ) -> Self {
        let metrics = Metrics::new(telemetry.meter());
        let billing = Self { payments, gateway, metrics, telemetry, stopping, recovery };
        context::spawn(billing.clone().recover());
        billing
    }

    /// Charges an order, once: asking again for the same gives the same answer.
    ///
    /// The charge goes on when its caller hangs up, so that its outcome is written down. It does not begin once nobody
    /// waits for it any more.
    pub(crate) async fn charge(&self, payment: NewPayment) -> Result<Captured, ChargeError> {
        let (billing, until) = (self.clone(), deadline::current());
        self.telemetry.detached(async move { billing.charge_to_the_end(payment, until).await }).await
    }

    async fn charge_to_the_end(
        &self,
        new: NewPayment,
        until: Option<Instant>,
    ) -> Result<Captured, ChargeError> {
        let (payment, was_left) = match self.payments.begin(new.clone()).await? {
            Begun::Now(payment) => (payment, false),
            Begun::Again(payment) => (payment, true),
            Begun::Before(Record::Payment(payment)) if payment.is_same_charge_as(&new) => {
                return answer(payment, None);
            }
            Begun::Before(Record::Payment(_)) => {
                span::set_attribute("payment.method", new.method.as_str());
                return Err(ChargeError::Conflict);
            }
            Begun::Before(Record::Cancellation(_)) => {
                span::set_attribute("payment.method", new.method.as_str());
                span::set_attribute("payment.status", Cancellation::STATUS);
                return Err(ChargeError::Failed { failure: Failure::Cancelled, source: None });
            }
        };
        let charged = match until {
            // Writing it down took too long.
            Some(until) if until <= Instant::now() => Err(GatewayError::NotAwaited),
            _ => self.gateway.charge(&payment).await,
        };
        let (state, error) = match charged {
            Ok(Charged::Captured(transaction_id)) => (PaymentState::Captured(transaction_id), None),
            Ok(Charged::Declined(reason)) => (PaymentState::Declined(reason), None),
            Err(error) => {
                let failure = match error.failure() {
                    // Nothing was charged now; but who left it may have charged.
                    failure if was_left && !failure.may_have_charged() => Failure::Interrupted,
                    failure => failure,
                };
                (PaymentState::Failed(failure), Some(error))
            }
        };
        let settled = self.payments.settle(payment.clone(), state.clone()).await;
        // Who has settled it otherwise in the meantime, a refund or recovery, voids it as well.
        let is_ours = settled.as_ref().map_or(true, |settled| settled.state == state);
        if let PaymentState::Failed(failure) = state
            && failure.may_have_charged()
            && is_ours
        {
            self.void_later(settled.as_ref().unwrap_or(&payment).clone(), failure);
        }
        let payment = settled?;
        if !matches!(error, Some(GatewayError::NotAwaited)) {
            self.metrics.charged(&payment);
        }
        answer(payment, error)
    }

    /// What is on record about paying this order.
    pub(crate) async fn find(&self, order_id: Uuid) -> Result<Option<Record>, DatabaseError> {
        let record = self.payments.find(order_id).await?;
        if let Some(Record::Payment(payment)) = &record {
            describe(payment);
        }
        Ok(record)
    }

    /// A user's own payment of an order; another's is as unknown as one that never was.
    pub(crate) async fn find_own(
        &self,
        order_id: Uuid,
        user_id: &str,
    ) -> Result<Option<Record>, DatabaseError> {
        let record = self.payments.find(order_id).await?.filter(|record| match record {
            Record::Payment(payment) => payment.user_id.as_deref() == Some(user_id),
            Record::Cancellation(_) => false,
        });
        if let Some(Record::Payment(payment)) = &record {
            describe(payment);
        }
        Ok(record)
    }

    /// A user's own payments, the latest first; only those of this status where one is named.
    pub(crate) async fn list(
        &self,
        user_id: String,
        status: Option<String>,
        page: Page,
    ) -> Result<Vec<Record>, DatabaseError> {
        let payments = self.payments.list(user_id, status, page).await?;
        Ok(payments.into_iter().map(Record::Payment).collect())
    }
}

/// What the payment's state means to whoever asked for it.
fn answer(payment: Payment, source: Option<GatewayError>) -> Result<Captured, ChargeError> {
    describe(&payment);
    match payment.state {
        PaymentState::Captured(transaction_id) => Ok(Captured { payment_id: payment.id, transaction_id }),
        PaymentState::Pending => Err(ChargeError::InProgress),
        PaymentState::Refunded(_) => Err(ChargeError::Refunded),
        PaymentState::Declined(reason) => Err(ChargeError::Declined(reason)),
        PaymentState::Failed(failure) | PaymentState::Voided(failure) => {
            Err(ChargeError::Failed { failure, source })
        }
    }
}

/// Tells the request's span about the payment.
fn describe(payment: &Payment) {
    span::set_attribute("payment.method", payment.method.as_str());
    span::set_attribute("payment.status", payment.state.as_str());
    if let Some(transaction_id) = payment.state.transaction_id() {
        span::set_attribute("payment.transaction_id", transaction_id.as_str().to_owned());
    }
}
