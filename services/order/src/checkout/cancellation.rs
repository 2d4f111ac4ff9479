//! Cancelling: a customer calls off an order that is not paid yet.
//!
//! It is a change like any other, made to the version that was read: of the cancellation and the step that somebody
//! else is just taking, one comes first, and the other learns of it. Whoever works on the order then finds that it was
//! taken over, and what of theirs is still on its way is refused by the marks that giving back leaves.

use service_kit::db::DatabaseError;
use service_kit::user::User;
use telemetry_core::span;
use uuid::Uuid;

use super::Checkout;
use super::steps::Taken;
use crate::domain::{Order, OrderStatus};
use crate::metrics::Outcome;
use crate::store::ChangeError;

/// An order was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelOrderError {
    /// The customer has no such order.
    #[error("no such order")]
    NotFound,
    /// It has come too far.
    #[error("the order is {}", .0.as_str())]
    TooLate(OrderStatus),
    /// Nobody knows.
    #[error("the order could not be cancelled")]
    Database(#[from] DatabaseError),
}

impl Checkout {
    /// Cancels the customer's own order, and gives back what it took; or begins to, where a peer is away: the rest is
    /// done in the background. An order that was cancelled before is answered as it is.
    ///
    /// A caller that goes away leaves nothing half done.
    ///
    /// # Errors
    /// Where there is no such order, it is paid or fails anyway, or the database is away.
    pub async fn cancel_order(&self, id: Uuid, customer: User) -> Result<Order, CancelOrderError> {
        let checkout = self.clone();
        self.telemetry.detached(async move { checkout.call_off(id, &customer).await }).await
    }

    #[tracing::instrument(name = "cancel_order", skip_all, fields(order.id = %id))]
    async fn call_off(&self, id: Uuid, customer: &User) -> Result<Order, CancelOrderError> {
        // Whoever was faster has brought the order on, which happens a few times at the most.
        loop {
            let mut order = self.orders.find(id, customer).await?.ok_or(CancelOrderError::NotFound)?;
            match order.status {
                OrderStatus::Cancelling | OrderStatus::Cancelled => return Ok(order),
                status if !status.may_be_cancelled() => return Err(CancelOrderError::TooLate(status)),
                _ => {}
            }
            match self.orders.set_cancelling(&mut order).await {
                Ok(()) => {
                    self.cancelled(&order).await;
                    self.give_back_now(&mut order, Taken::BOTH).await;
                    return Ok(order);
                }
                Err(ChangeError::Conflict) => {}
                Err(ChangeError::Database(error)) => return Err(error.into()),
            }
        }
    }

    async fn cancelled(&self, order: &Order) {
        tracing::info!(order.id = %order.id, "order cancelled");
        self.metrics.ended(Outcome::Cancelled);
        // The first event's trace is the one in which it was placed. Without it there is one link less.
        if let Ok(events) = self.orders.events(order.id, 0).await
            && let Some(placed_in) = events.first().and_then(|event| event.traceparent.as_deref())
        {
            span::link_to(placed_in);
        }
    }
}
