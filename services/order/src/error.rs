//! The only map from our errors to answers.

use actix_web::http::StatusCode;
use service_kit::Problem;

use crate::checkout::{FailureReason, PlaceOrderError};
use crate::clients::{ChargeError, ReserveError, ValidateError};

/// 404: no such order, or another's.
pub const ORDER_NOT_FOUND: &str = "order_not_found";
/// 401: an access token that proves nothing.
pub const INVALID_TOKEN: &str = "invalid_token";
/// 403: the user exists and may not act.
pub const USER_INACTIVE: &str = "user_inactive";
/// 503: the user service gave no answer.
pub const USER_UNAVAILABLE: &str = "user_unavailable";

/// 404, for an order that the caller does not have.
pub fn order_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, ORDER_NOT_FOUND, "You have no order with this id.")
}

impl From<ValidateError> for Problem {
    fn from(error: ValidateError) -> Self {
        match error {
            ValidateError::InvalidToken => {
                Self::unauthorized(INVALID_TOKEN, "The access token is not valid, or has expired.")
            }
            ValidateError::Inactive => {
                Self::new(StatusCode::FORBIDDEN, USER_INACTIVE, "This user is not active.")
            }
            ValidateError::Unavailable(_) => {
                Self::unavailable(USER_UNAVAILABLE, "The user service gives no answer.").caused_by(error)
            }
        }
    }
}

impl From<PlaceOrderError> for Problem {
    fn from(error: PlaceOrderError) -> Self {
        match error {
            PlaceOrderError::NotStored(error) => error.into(),
            PlaceOrderError::Failed { order_id, reason } => {
                Self::from(reason).with_extension("order_id", order_id.to_string())
            }
        }
    }
}

impl From<FailureReason> for Problem {
    fn from(reason: FailureReason) -> Self {
        let code = reason.code();
        match &reason {
            FailureReason::Reserve(ReserveError::UnknownProduct) => {
                Self::new(StatusCode::NOT_FOUND, code, "There is no such product.")
            }
            FailureReason::Reserve(ReserveError::OutOfStock) => {
                Self::new(StatusCode::CONFLICT, code, "There is not enough of this product in stock.")
            }
            FailureReason::Reserve(ReserveError::Unavailable(_)) => {
                Self::unavailable(code, "The inventory service gives no answer.").caused_by(reason)
            }
            FailureReason::Commit(_) => Self::new(
                StatusCode::CONFLICT,
                code,
                "The goods were given away before the order was done. The payment is given back.",
            ),
            FailureReason::Charge(ChargeError::Declined) => {
                Self::new(StatusCode::PAYMENT_REQUIRED, code, "The payment was declined.")
            }
            FailureReason::Charge(ChargeError::UnknownMethod) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "There is no such payment method.")
            }
            FailureReason::Charge(ChargeError::GatewayTimeout(_)) => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                code,
                "The payment gateway did not answer in time. Nothing stays charged.",
            )
            .caused_by(reason),
            FailureReason::Charge(ChargeError::Gateway(_)) => {
                Self::unavailable(code, "The payment gateway cannot work now. Nothing stays charged.")
                    .caused_by(reason)
            }
            FailureReason::Charge(ChargeError::Unavailable(_)) => {
                Self::unavailable(code, "The payment service gives no answer.").caused_by(reason)
            }
            FailureReason::Amount => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The order costs more than can be counted.")
            }
            FailureReason::Store(_) => Self::internal(reason),
        }
    }
}
