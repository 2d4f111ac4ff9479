//! The inventory service: taking goods for an order, and giving them back.

use serde::{Deserialize, Serialize};
use service_kit::peer::{Peer, PeerError};

use crate::domain::{Amount, Order};

/// The inventory service.
#[derive(Clone)]
pub struct Inventory {
    peer: Peer,
}

impl Inventory {
    /// The inventory service at this address.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// Takes the goods of this order out of what others can order, and answers what one piece costs. The
    /// order's id is the key: asking again answers the same.
    ///
    /// # Errors
    /// Where there is no such product, not enough of it, or no answer.
    pub async fn reserve(&self, order: &Order) -> Result<Amount, ReserveError> {
        let request = ReserveRequest {
            order_id: order.id.to_string(),
            product_id: order.product_id.to_string(),
            quantity: order.quantity.get(),
        };
        let call = self.peer.post("/internal/reservations").json(&request);
        let answer: ReservedGoods = call.on_behalf_of(&order.user_id).idempotent().send().await?;
        Ok(Amount { minor: answer.unit_price_minor, currency: answer.currency })
    }

    /// The goods leave the stock.
    ///
    /// # Errors
    /// Where the service refuses or gives no answer.
    pub async fn commit(&self, order: &Order) -> Result<(), PeerError> {
        self.settle("/internal/reservations/{order_id}/commit", order).await
    }

    /// The goods can be ordered by others again, whether or not they had been reserved.
    ///
    /// # Errors
    /// Where the service refuses or gives no answer.
    pub async fn release(&self, order: &Order) -> Result<(), PeerError> {
        self.settle("/internal/reservations/{order_id}/release", order).await
    }

    async fn settle(&self, template: &'static str, order: &Order) -> Result<(), PeerError> {
        let call = self.peer.post(template).parameter(order.id).on_behalf_of(&order.user_id);
        let call = call.idempotent();
        let _: SettledReservation = call.send().await?;
        Ok(())
    }
}

/// Why no goods were kept.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// There is no such product.
    #[error("Unknown product")]
    UnknownProduct,
    /// There is not enough of it.
    #[error("Out of stock")]
    OutOfStock,
    /// The order was released, or its reservation timed out: it gets no goods any more.
    #[error("Reservation lost")]
    Released(#[source] PeerError),
    /// No answer to work with.
    #[error("Inventory unavailable")]
    Unavailable(#[source] PeerError),
}

impl ReserveError {
    /// Whether the goods may be kept all the same.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::UnknownProduct | Self::OutOfStock | Self::Released(_) => false,
            Self::Unavailable(error) => error.may_have_happened(),
        }
    }
}

impl From<PeerError> for ReserveError {
    fn from(error: PeerError) -> Self {
        match error.code() {
            Some("product_not_found") => Self::UnknownProduct,
            Some("out_of_stock") => Self::OutOfStock,
            Some("reservation_released") => Self::Released(error),
            _ => Self::Unavailable(error),
        }
    }
}

#[derive(Serialize)]
struct ReserveRequest {
    order_id: String,
    product_id: String,
    quantity: i32,
}

#[derive(Deserialize)]
struct ReservedGoods {
    unit_price_minor: i64,
    currency: String,
}

/// Read so that an answer of another form is told as one.
#[derive(Deserialize)]
struct SettledReservation {
    #[serde(rename = "state")]
    _state: String,
}
