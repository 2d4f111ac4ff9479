//! The only map from our errors to HTTP. No `_` arm: a new variant asks for its status.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use service_kit::Problem;

use crate::billing::{ChargeError, RefundError};
use crate::domain::Failure;

/// 402: the gateway said no; `reason` tells why.
pub(crate) const PAYMENT_DECLINED: &str = "payment_declined";
/// 404: nothing is on record about paying this order.
pub(crate) const PAYMENT_NOT_FOUND: &str = "payment_not_found";
/// 409: the order has a payment of another amount or method.
pub(crate) const PAYMENT_CONFLICT: &str = "payment_conflict";
/// 409: the order's payment is being made.
pub(crate) const PAYMENT_IN_PROGRESS: &str = "payment_in_progress";
/// 409: the order's payment was made and went back.
pub(crate) const PAYMENT_REFUNDED: &str = "payment_refunded";
// 502 `gateway_error`, 503 `gateway_unavailable`, 504 `gateway_timeout`, 500 `payment_interrupted` and
// 409 `payment_cancelled` are the codes of `Failure`.

impl From<ChargeError> for Problem {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::Conflict => Self::new(
                StatusCode::CONFLICT,
                PAYMENT_CONFLICT,
                "This order has a payment of another amount or method.",
            ),
            ChargeError::InProgress => {
                Self::new(StatusCode::CONFLICT, PAYMENT_IN_PROGRESS, "This order's payment is being made.")
                    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            ChargeError::Refunded => Self::new(
                StatusCode::CONFLICT,
                PAYMENT_REFUNDED,
                "This order was paid, and the money went back.",
            ),
            ChargeError::Declined(reason) => {
                Self::new(StatusCode::PAYMENT_REQUIRED, PAYMENT_DECLINED, "The gateway declined the payment.")
                    .with_extension("reason", reason.as_str())
            }
            ChargeError::Failed { failure, source: Some(source) } => not_charged(failure).caused_by(source),
            ChargeError::Failed { failure, source: None } => not_charged(failure),
            ChargeError::Database(error) => error.into(),
        }
    }
}

impl From<RefundError> for Problem {
    fn from(error: RefundError) -> Self {
        match error {
            RefundError::Gateway(error) => of_failure(
                error.failure(),
                "The payment gateway did not confirm that nothing stays charged. Ask again.",
            )
            .caused_by(error),
            RefundError::Database(error) => error.into(),
        }
    }
}

pub(crate) fn payment_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, PAYMENT_NOT_FOUND, "There is no payment of this order.")
}

fn not_charged(failure: Failure) -> Problem {
    let detail = match failure {
        Failure::GatewayTimeout => "The payment gateway did not answer in time. Nothing stays charged.",
        Failure::GatewayError => "The payment gateway failed. Nothing stays charged.",
        Failure::GatewayUnavailable => "The payment gateway cannot be reached. Nothing was charged.",
        Failure::Interrupted => "The payment was interrupted. Nothing stays charged.",
        Failure::Cancelled => "The order was refunded before it was charged.",
    };
    of_failure(failure, detail)
}

fn of_failure(failure: Failure, detail: &'static str) -> Problem {
    let code = failure.code();
    match failure {
        Failure::GatewayTimeout => Problem::new(StatusCode::GATEWAY_TIMEOUT, code, detail),
        Failure::GatewayError => Problem::new(StatusCode::BAD_GATEWAY, code, detail),
        Failure::GatewayUnavailable => Problem::unavailable(code, detail),
        Failure::Interrupted => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, code, detail),
        Failure::Cancelled => Problem::new(StatusCode::CONFLICT, code, detail),
    }
}
