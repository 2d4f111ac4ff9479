//! Reserving stock and settling reservations: spans, logs and counts around the store.

use telemetry_core::span;

use crate::domain::{NewReservation, Reservation, ReservationId, ReservationState, Settlement};
use crate::error::DATABASE_ERROR;
use crate::metrics::{Metrics, Outcome};
use crate::store::{Reservations, ReserveError, Reserved, SettleError, Settled};

#[derive(Clone)]
pub(crate) struct Warehouse {
    reservations: Reservations,
    metrics: Metrics,
}

impl Warehouse {
    pub(crate) fn new(reservations: Reservations, metrics: Metrics) -> Self {
        Self { reservations, metrics }
    }

    /// Sets stock aside for an order; gives the reservation that the order has where it has the same.
    #[tracing::instrument(name = "inventory.reserve", skip_all)]
    pub(crate) async fn reserve(&self, wanted: NewReservation) -> Result<Reservation, ReserveError> {
        span::set_attribute("order.id", wanted.order_id.to_string());
        span::set_attribute("product.id", wanted.product_id.to_string());
        span::set_attribute("order.quantity", wanted.quantity.get());
        let outcome = self.reservations.reserve(wanted).await;
        match &outcome {
            Ok(Reserved::Now(reservation)) => {
                span::set_attribute("inventory.available", true);
                span::set_attribute("reservation.id", reservation.id.to_string());
                self.metrics.count_reservation(Outcome::Reserved);
                tracing::info!(order.id = %wanted.order_id, reservation.id = %reservation.id, "reserved stock");
            }
            Ok(Reserved::Before(reservation)) => {
                span::set_attribute("inventory.available", true);
                span::set_attribute("reservation.id", reservation.id.to_string());
            }
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
            Err(ReserveError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome.map(|(Reserved::Now(reservation) | Reserved::Before(reservation))| reservation)
    }

    /// Sells the reserved pieces.
    #[tracing::instrument(name = "inventory.commit", skip_all)]
    pub(crate) async fn commit(&self, id: ReservationId) -> Result<ReservationState, SettleError> {
        self.settle(id, Settlement::Commit, Outcome::Committed).await
    }

    /// Frees the reserved pieces.
    #[tracing::instrument(name = "inventory.release", skip_all)]
    pub(crate) async fn release(&self, id: ReservationId) -> Result<ReservationState, SettleError> {
        self.settle(id, Settlement::Release, Outcome::Released).await
    }

    /// Gives the state that the reservation is in now.
    async fn settle(
        &self,
        id: ReservationId,
        settlement: Settlement,
        counted_as: Outcome,
    ) -> Result<ReservationState, SettleError> {
        span::set_attribute("reservation.id", id.to_string());
        let outcome = self.reservations.settle(id, settlement).await;
        match &outcome {
            Ok(Settled::Now) => {
                self.metrics.count_reservation(counted_as);
                tracing::info!(reservation.id = %id, "{} a reservation", settlement.outcome().as_str());
            }
            Ok(Settled::Before) => {}
            Err(SettleError::UnknownReservation) => span::fail("Unknown reservation"),
            Err(SettleError::Conflict(_)) => span::fail("Reservation conflict"),
            Err(SettleError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome.map(|_| settlement.outcome())
    }
}
