//! The only map from our errors to HTTP. No `_` arm: a new variant asks for its status.

use actix_web::http::StatusCode;
use service_kit::Problem;

use crate::domain::Sku;
use crate::store::{AdjustStockError, ChangeProductError, InsertProductsError, ReserveError, SettleError};

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
/// What is wrong with the second row of a SKU.
pub(crate) const SKU_TWICE: &str = "no two rows have the same SKU";
/// 409: there are products of these SKUs; `skus` names them.
pub(crate) const SKU_TAKEN: &str = "sku_taken";

/// 409: the product has changed since it was read; `version` tells what it is at now.
pub(crate) const VERSION_CONFLICT: &str = "version_conflict";
/// 409: there cannot be so many pieces; `on_hand` and `reserved` tell what there is.
pub(crate) const STOCK_OUT_OF_BOUNDS: &str = "stock_out_of_bounds";
/// 409: another adjustment has this id.
pub(crate) const ADJUSTMENT_CONFLICT: &str = "adjustment_conflict";

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

impl From<ChangeProductError> for Problem {
    fn from(error: ChangeProductError) -> Self {
        match error {
            ChangeProductError::UnknownProduct => product_not_found(),
            ChangeProductError::Changed(version) => Self::new(
                StatusCode::CONFLICT,
                VERSION_CONFLICT,
                "The product has changed since you read it. Read it again.",
            )
            .with_extension("version", version),
            ChangeProductError::Database(error) => error.into(),
        }
    }
}

impl From<AdjustStockError> for Problem {
    fn from(error: AdjustStockError) -> Self {
        match error {
            AdjustStockError::UnknownProduct => product_not_found(),
            AdjustStockError::OutOfBounds(level) => Self::new(
                StatusCode::CONFLICT,
                STOCK_OUT_OF_BOUNDS,
                "Fewer pieces would be left than are set aside for orders, or more than there may be.",
            )
            .with_extension("on_hand", level.on_hand)
            .with_extension("reserved", level.reserved),
            AdjustStockError::Conflict => {
                Self::new(StatusCode::CONFLICT, ADJUSTMENT_CONFLICT, "Another adjustment has this id.")
            }
            AdjustStockError::Database(error) => error.into(),
        }
    }
}

pub(crate) fn product_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, PRODUCT_NOT_FOUND, "There is no such product.")
}

pub(crate) fn reservation_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, RESERVATION_NOT_FOUND, "The order has no reservation.")
}
