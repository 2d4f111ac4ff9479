//! The payment service: charging, and giving money back.

use serde::{Deserialize, Serialize};
use service_kit::peer::{Peer, PeerError};

use crate::domain::{Amount, Order};

/// The payment service.
#[derive(Clone)]
pub struct Payments {
    peer: Peer,
}

impl Payments {
    /// The payment service at this address.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// Charges the customer for this order. The order's id is the key: no order is charged twice.
    ///
    /// # Errors
    /// Where the payment is refused or nobody knows; then the payment service sees to it that nothing
    /// stays charged.
    pub async fn charge(&self, order: &Order, amount: &Amount) -> Result<Payment, ChargeError> {
        let request = ChargeRequest {
            order_id: order.id.to_string(),
            amount_minor: amount.minor,
            currency: &amount.currency,
            payment_method: order.payment_method.as_str(),
        };
        let call = self.peer.post("/internal/payments").json(&request).on_behalf_of(&order.user_id);
        let answer: CapturedPayment = call.send().await?;
        Ok(Payment { id: answer.payment_id, transaction_id: answer.transaction_id })
    }

    /// Gives the money back, whether or not the payment had been made.
    ///
    /// # Errors
    /// Where the service refuses or gives no answer.
    pub async fn refund(&self, order: &Order) -> Result<(), PeerError> {
        let call = self.peer.post("/internal/payments/{order_id}/refund").parameter(order.id);
        let call = call.on_behalf_of(&order.user_id).idempotent();
        let _: RefundedPayment = call.send().await?;
        Ok(())
    }
}

/// A payment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The payment service's id of it.
    pub id: String,
    /// The gateway's id of it.
    pub transaction_id: String,
}

/// Why no payment was made.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// The card's bank said no.
    #[error("Payment declined")]
    Declined,
    /// There is no such payment method.
    #[error("Unknown payment method")]
    UnknownMethod,
    /// The gateway did not answer in time.
    #[error("Payment gateway timeout")]
    GatewayTimeout(#[source] PeerError),
    /// The gateway cannot work now.
    #[error("Payment gateway unavailable")]
    Gateway(#[source] PeerError),
    /// It is being made: somebody asked before, and has no answer yet.
    #[error("Payment in progress")]
    InProgress(#[source] PeerError),
    /// No answer from the payment service itself.
    #[error("Payment unavailable")]
    Unavailable(#[source] PeerError),
}

impl ChargeError {
    /// Whether the customer may have been charged all the same.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Declined | Self::UnknownMethod => false,
            // The payment service gives back itself what the gateway may have taken.
            Self::GatewayTimeout(_) | Self::Gateway(_) => false,
            Self::InProgress(_) => true,
            Self::Unavailable(error) => error.may_have_happened(),
        }
    }
}

impl From<PeerError> for ChargeError {
    fn from(error: PeerError) -> Self {
        match error.code() {
            Some("payment_declined") => Self::Declined,
            Some("validation_failed") => Self::UnknownMethod,
            Some("payment_in_progress") => Self::InProgress(error),
            Some("gateway_timeout") => Self::GatewayTimeout(error),
            Some("gateway_error" | "gateway_unavailable" | "payment_interrupted") => Self::Gateway(error),
            _ => Self::Unavailable(error),
        }
    }
}

#[derive(Serialize)]
struct ChargeRequest<'a> {
    order_id: String,
    amount_minor: i64,
    currency: &'a str,
    payment_method: &'a str,
}

#[derive(Deserialize)]
struct CapturedPayment {
    payment_id: String,
    transaction_id: String,
}

/// Read so that an answer of another form is told as one.
#[derive(Deserialize)]
struct RefundedPayment {
    #[serde(rename = "status")]
    _status: String,
}
