//! The only map from our errors to HTTP. No `_` arm: a new variant asks for its status.

use actix_web::http::StatusCode;
use service_kit::Problem;

use crate::domain::Sku;
use crate::store::{InsertProductsError, ReserveError, SettleError};

/// 404: there is no such product.
pub(crate) const PRODUCT_NOT_FOUND: &str = "product_not_found";
/// 404: the order has no reservation.
pub(crate) const RESERVATION_NOT_FOUND: &str = "reservation_not_found";
/// 409: fewer pieces are left than are wanted.
pub(crate) const OUT_OF_STOCK: &str = "out_of_stock";
/// 409: the order has a reservation of another product or quantity.
pub(crate) const RESERVATION_CONFLICT: &str = "reservation_conflict";
/// 409: the order has been released, and reserves nothing any more.
pub(crate) const RESERVATION_RELEASED: &str = "reservation_released";
/// 409: the reservation has ended the other way; `state` tells how.
pub(crate) const RESERVATION_STATE: &str = "reservation_state";
/// 409: there are products of these SKUs; `skus` names them.
pub(crate) const SKU_TAKEN: &str = "sku_taken";

/// The error type of a span whose queries failed.
pub(crate) const DATABASE_ERROR: &str = "database_error";

impl From<ReserveError> for Problem {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::UnknownProduct => product_not_found(),
            ReserveError::OutOfStock => {
                Self::new(StatusCode::CONFLICT, OUT_OF_STOCK, "Fewer pieces are left than are wanted.")
            }
            ReserveError::Conflict => Self::new(
                StatusCode::CONFLICT,
                RESERVATION_CONFLICT,
                "The order has a reservation of another product or quantity.",
            ),
            ReserveError::Released => Self::new(
                StatusCode::CONFLICT,
                RESERVATION_RELEASED,
                "The order has been released, and reserves nothing any more.",
            ),
            ReserveError::Database(error) => error.into(),
        }
    }
}

impl From<SettleError> for Problem {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::UnknownReservation => reservation_not_found(),
            SettleError::Conflict(state) => {
                Self::new(StatusCode::CONFLICT, RESERVATION_STATE, "The reservation has ended the other way.")
                    .with_extension("state", state.as_str())
            }
            SettleError::Database(error) => error.into(),
        }
    }
}

impl From<InsertProductsError> for Problem {
    fn from(error: InsertProductsError) -> Self {
        match error {
            InsertProductsError::SkusTaken(skus) => Self::new(
                StatusCode::CONFLICT,
                SKU_TAKEN,
                "There are products of the same SKUs; nothing was imported.",
            )
            .with_extension("skus", skus.iter().map(Sku::as_str).collect::<Vec<_>>()),
            InsertProductsError::Database(error) => error.into(),
        }
    }
}

pub(crate) fn product_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, PRODUCT_NOT_FOUND, "There is no such product.")
}

pub(crate) fn reservation_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, RESERVATION_NOT_FOUND, "The order has no reservation.")
}
