//! The only map from our errors to answers.

use actix_web::http::StatusCode;
use service_kit::Problem;
use service_kit::problem::code;

use crate::checkout::{CancelOrderError, FailureReason, PlaceOrderError};
use crate::clients::{ChargeError, ReserveError};
use crate::domain::OrderStatus;

/// 404: no such order, or another's.
pub const ORDER_NOT_FOUND: &str = "order_not_found";

/// 409: the order is paid or has failed, so there is nothing to cancel; `order_status` tells which.
pub const ORDER_NOT_CANCELLABLE: &str = "order_not_cancellable";

/// 409: the order was cancelled before it was done.
pub const ORDER_CANCELLED: &str = "order_cancelled";

/// 404, for an order that the caller does not have.
pub fn order_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, ORDER_NOT_FOUND, "You have no order with this id.")
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

impl From<CancelOrderError> for Problem {
    fn from(error: CancelOrderError) -> Self {
        match error {
            CancelOrderError::NotFound => order_not_found(),
            CancelOrderError::TooLate(status) => not_cancellable(status),
            CancelOrderError::Database(error) => error.into(),
        }
    }
}

fn not_cancellable(status: OrderStatus) -> Problem {
    let detail = "The order is paid or has failed: it cannot be cancelled any more.";
    Problem::new(StatusCode::CONFLICT, ORDER_NOT_CANCELLABLE, detail)
        .with_extension("order_status", status.as_str())
}

/// What is answered to who placed an order that was cancelled meanwhile.
pub fn cancelled() -> Problem {
    Problem::new(StatusCode::CONFLICT, ORDER_CANCELLED, "The order was cancelled. Nothing stays charged.")
}

impl From<FailureReason> for Problem {
    fn from(reason: FailureReason) -> Self {
        let problem = failed(reason.code());
        let is_ours = match &reason {
            FailureReason::Reserve(ReserveError::Unavailable(_))
            | FailureReason::Charge(
                ChargeError::GatewayTimeout(_)
                | ChargeError::Gateway(_)
                | ChargeError::Unavailable(_)
                | ChargeError::InProgress(_),
            ) => true,
            FailureReason::Reserve(
                ReserveError::UnknownProduct | ReserveError::OutOfStock | ReserveError::Released(_),
            )
            | FailureReason::Charge(ChargeError::Declined | ChargeError::UnknownMethod)
            | FailureReason::Commit(_)
            | FailureReason::Amount
            | FailureReason::DeadlineOver
            | FailureReason::Expired => false,
        };
        if is_ours { problem.caused_by(reason) } else { problem }
    }
}

/// What is answered to who placed an order that failed with this code ([`FailureReason::code`]), now or when they ask
/// again.
pub fn failed(failure_code: &str) -> Problem {
    let new = Problem::new;
    match failure_code {
        "product_not_found" => new(StatusCode::NOT_FOUND, "product_not_found", "There is no such product."),
        "out_of_stock" => {
            new(StatusCode::CONFLICT, "out_of_stock", "There is not enough of this product in stock.")
        }
        "inventory_unavailable" => {
            Problem::unavailable("inventory_unavailable", "The inventory service gives no answer.")
        }
        "reservation_lost" => new(
            StatusCode::CONFLICT,
            "reservation_lost",
            "The goods were given away before the order was done. The payment is given back.",
        ),
        "payment_declined" => {
            new(StatusCode::PAYMENT_REQUIRED, "payment_declined", "The payment was declined.")
        }
        "payment_method_unknown" => new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "payment_method_unknown",
            "There is no such payment method.",
        ),
        "payment_timeout" => new(
            StatusCode::GATEWAY_TIMEOUT,
            "payment_timeout",
            "The payment gateway did not answer in time. Nothing stays charged.",
        ),
        "payment_unavailable" => Problem::unavailable(
            "payment_unavailable",
            "The payment cannot be made now. Nothing stays charged.",
        ),
        "amount_out_of_range" => new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "amount_out_of_range",
            "The order costs more than can be counted.",
        ),
        code::DEADLINE_EXCEEDED => new(
            StatusCode::GATEWAY_TIMEOUT,
            code::DEADLINE_EXCEEDED,
            "The order took longer than it may. Nothing stays charged.",
        ),
        "order_expired" => {
            new(StatusCode::CONFLICT, "order_expired", "The order was left unpaid for too long.")
        }
        // Of a version that knows more reasons.
        _ => new(StatusCode::CONFLICT, "order_failed", "The order failed; its `failure_code` tells why."),
    }
}
