//! The card gateway, somebody else's service.
//!
//! Its protocol is its own, so this is not a [`service_kit::peer::Peer`]: no token of ours, no problem
//! documents, and a charge is never tried twice. The trace goes along (`traceparent` is two random
//! numbers), the baggage, which tells tenants' names, does not.

mod call;

use reqwest::{Method, StatusCode};
use reqwest_middleware::ClientWithMiddleware;
use serde::{Deserialize, Serialize};
use service_kit::breaker::{Breaker, Open};
use service_kit::peer::PeerConfig;
use telemetry_core::Telemetry;
use uuid::Uuid;

use self::call::Answer;
use crate::domain::{DeclineReason, Failure, Payment, TransactionId};

/// The gateway's name in traces.
pub(crate) const NAME: &str = "payment-gateway";

const CHARGES: &str = "/charges";

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub(crate) struct GatewayClient {
    config: PeerConfig,
    client: ClientWithMiddleware,
    /// For charges alone: a gateway that charges nobody may still give money back, and its answers to that say nothing of
    /// charges.
    charging: Breaker,
    /// For the rest.
    settling: Breaker,
}

/// What a charge came to, where the gateway said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Charged {
    /// The money is ours.
    Captured(TransactionId),
    /// It is not going to be.
    Declined(DeclineReason),
}

/// The gateway did not do, or did not say that it did, what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatewayError {
    /// It was not asked: it has not answered others of late.
    #[error(transparent)]
    LeftAlone(#[from] Open),
    /// It was not asked: nobody waits for its answer any more.
    #[error("nobody waits for the charge any more")]
    NotAwaited,
    /// No connection was made, so nothing happened there.
    #[error("the gateway cannot be reached")]
    Unreachable(#[source] reqwest_middleware::Error),
    /// No whole answer in time.
    #[error("the gateway did not answer in time")]
    Timeout,
    /// The connection broke before the answer was whole.
    #[error("the connection to the gateway broke")]
    Interrupted(#[source] reqwest_middleware::Error),
    /// It answered with a status that is none of those this call ends with.
    #[error("the gateway answered {0}")]
    Unexpected(StatusCode),
    /// The status was right, and the body was not what belongs to it.
    #[error("the gateway's answer makes no sense")]
    Garbled,
}

impl GatewayError {
    /// What this means for a charge.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::LeftAlone(_) | Self::NotAwaited | Self::Unreachable(_) => Failure::GatewayUnavailable,
            Self::Timeout => Failure::GatewayTimeout,
            Self::Interrupted(_) | Self::Unexpected(_) | Self::Garbled => Failure::GatewayError,
        }
    }

    /// Whether it tells that the gateway is not well.
    fn is_its_fault(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout | Self::Interrupted(_) | Self::Garbled => true,
            Self::Unexpected(status) => status.is_server_error(),
            Self::LeftAlone(_) | Self::NotAwaited => false,
        }
    }
}

#[derive(Serialize)]
struct ChargeRequest<'a> {
    reference: String,
    amount_minor: i64,
    currency: &'a str,
    payment_method: &'static str,
}

#[derive(Deserialize)]
struct ChargeAnswer {
    transaction_id: String,
    status: String,
}

#[derive(Deserialize)]
struct DeclineAnswer {
    reason: String,
}

#[derive(Serialize)]
struct RefundRequest<'a> {
    transaction_id: &'a str,
    amount_minor: i64,
}

#[derive(Deserialize)]
struct StatusAnswer {
    status: String,
}

impl GatewayClient {
    /// A client of the gateway at this address.
    pub(crate) fn new(config: PeerConfig, telemetry: &Telemetry) -> Self {
        let middleware = telemetry.client_middleware().without_baggage().peer_name(NAME);
        let breaker = || Breaker::new(NAME, telemetry);
        Self { config, client: middleware.into_client(), charging: breaker(), settling: breaker() }
    }

    /// Asks once for the money. The order's id is the reference: an order is charged once, whatever
    /// happens to this process.
    ///
    /// # Errors
    /// Where nobody knows what the charge came to; [`Failure::may_have_charged`] tells whether it must
    /// be voided.
    pub(crate) async fn charge(&self, payment: &Payment) -> Result<Charged, GatewayError> {
        let currency = payment.amount.currency();
        let request = ChargeRequest {
            reference: reference(payment.order_id),
            amount_minor: payment.amount.minor(),
            currency: currency.as_str(),
            payment_method: payment.method.as_str(),
        };
        let answer = self.call(Method::POST, CHARGES, &[], Some(&request)).await?;
        match answer.status {
            StatusCode::CREATED => captured(&answer),
            StatusCode::PAYMENT_REQUIRED => {
                // The status alone says that nothing is charged; the reason is a courtesy.
                let reason = answer.json::<DeclineAnswer>().map(|answer| answer.reason).unwrap_or_default();
                Ok(Charged::Declined(DeclineReason::new(&reason)))
            }
            status => Err(GatewayError::Unexpected(status)),
        }
    }

    /// Sees to it that the order is not charged, now or later. May be repeated.
    ///
    /// # Errors
    /// Where the gateway does not confirm it.
    pub(crate) async fn void(&self, order_id: Uuid) -> Result<(), GatewayError> {
        let reference = reference(order_id);
        let answer = self.call(Method::POST, "/charges/{reference}/void", &[&reference], NO_BODY).await?;
        answer.confirms(StatusCode::OK, "voided")
    }

    /// Gives the money of a captured charge back. May be repeated: a transaction is refunded once.
    ///
    /// # Errors
    /// Where the gateway does not confirm it.
    pub(crate) async fn refund(
        &self,
        transaction: &TransactionId,
        amount_minor: i64,
    ) -> Result<(), GatewayError> {
        let request = RefundRequest { transaction_id: transaction.as_str(), amount_minor };
        let answer = self.call(Method::POST, "/refunds", &[], Some(&request)).await?;
        answer.confirms(StatusCode::CREATED, "refunded")
    }
}

const NO_BODY: Option<&()> = None;

fn reference(order_id: Uuid) -> String {
    order_id.to_string()
}

fn captured(answer: &Answer) -> Result<Charged, GatewayError> {
    let answer: ChargeAnswer = answer.json()?;
    match TransactionId::new(&answer.transaction_id) {
        Some(transaction_id) if answer.status == "captured" => Ok(Charged::Captured(transaction_id)),
        _ => Err(GatewayError::Garbled),
    }
}

impl Answer {
    fn confirms(&self, status: StatusCode, word: &str) -> Result<(), GatewayError> {
        if self.status != status {
            return Err(GatewayError::Unexpected(self.status));
        }
        let answer: StatusAnswer = self.json()?;
        if answer.status == word { Ok(()) } else { Err(GatewayError::Garbled) }
    }
}
