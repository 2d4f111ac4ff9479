//! Reserving stock and settling reservations: spans, logs and counts around the store.

mod timeouts;

use service_kit::app::Stopping;
use telemetry_core::{Telemetry, context, span};

use crate::config::Timeouts;
use crate::domain::{NewReservation, OrderId, Reservation, ReservationState, Settlement};
use crate::error::DATABASE_ERROR;
use crate::metrics::{Metrics, Outcome};
use crate::store::{Reservations, ReserveError, Reserved, SettleError, Settled};

#[derive(Clone)]
pub(crate) struct Warehouse {
    reservations: Reservations,
    metrics: Metrics,
    telemetry: Telemetry,
}

impl Warehouse {
    pub(crate) fn new(reservations: Reservations, metrics: Metrics, telemetry: Telemetry) -> Self {
        Self { reservations, metrics, telemetry }
    }

    /// Starts releasing what nobody bought in time, until `stopping`.
    pub(crate) fn start_timeouts(&self, timeouts: Timeouts, stopping: Stopping) {
        context::spawn(self.clone().time_out_reservations(timeouts, stopping));
    }

    /// Sets stock aside for an order; gives the reservation that the order has where it has the same.
    #[tracing::instrument(name = "inventory.reserve", skip_all)]
    pub(crate) async fn reserve(&self, wanted: NewReservation) -> Result<Reservation, ReserveError> {
        span::set_attribute("order.id", wanted.order_id.to_string());
        span::set_attribute("product.id", wanted.product_id.to_string());
        span::set_attribute("order.quantity", wanted.quantity.get());
        let outcome = self.reservations.reserve(wanted).await;
        match &outcome {
            Ok(Reserved::Now(_)) => {
                span::set_attribute("inventory.available", true);
                self.metrics.count_reservation(Outcome::Reserved);
                tracing::info!(order.id = %wanted.order_id, "reserved stock");
            }
            Ok(Reserved::Before(_)) => span::set_attribute("inventory.available", true),
            Err(ReserveError::OutOfStock) => {
                span::set_attribute("inventory.available", false);
                span::fail("Out of stock");
                self.metrics.count_reservation(Outcome::OutOfStock);
            }
            Err(ReserveError::UnknownProduct) => {
                span::set_attribute("inventory.available", false);
                span::fail("Unknown product");
                self.metrics.count_reservation(Outcome::UnknownProduct);
            }
            Err(ReserveError::Conflict) => span::fail("Reservation conflict"),
            Err(ReserveError::Released) => span::fail("Order released"),
            Err(ReserveError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome.map(|(Reserved::Now(reservation) | Reserved::Before(reservation))| reservation)
    }

    /// Sells the reserved pieces.
    #[tracing::instrument(name = "inventory.commit", skip_all)]
    pub(crate) async fn commit(&self, order: OrderId) -> Result<ReservationState, SettleError> {
        self.settle(order, Settlement::Commit, Outcome::Committed).await
    }

    /// Frees the reserved pieces; where there are none, what still comes to reserve some is refused.
    #[tracing::instrument(name = "inventory.release", skip_all)]
    pub(crate) async fn release(&self, order: OrderId) -> Result<ReservationState, SettleError> {
        self.settle(order, Settlement::Release, Outcome::Released).await
    }

    /// Gives the state that the reservation is in now.
    async fn settle(
        &self,
        order: OrderId,
        settlement: Settlement,
        counted_as: Outcome,
    ) -> Result<ReservationState, SettleError> {
        span::set_attribute("order.id", order.to_string());
        let outcome = self.reservations.settle(order, settlement).await;
        match &outcome {
            Ok(Settled::Now) => {
                self.metrics.count_reservation(counted_as);
                tracing::info!(order.id = %order, "{} a reservation", settlement.outcome().as_str());
            }
            Ok(Settled::Ahead) => {
                tracing::info!(order.id = %order, "released an order that had reserved nothing")
            }
            Ok(Settled::Before) => {}
            Err(SettleError::UnknownReservation) => span::fail("Unknown reservation"),
            Err(SettleError::Conflict(_)) => span::fail("Reservation conflict"),
            Err(SettleError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome.map(|_| settlement.outcome())
    }
}
