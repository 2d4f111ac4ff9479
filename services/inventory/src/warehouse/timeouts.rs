//! Reservations whose order neither bought nor released them in time. It may still be about to: of a commit and a
//! time-out that come at once, one finds the reservation open, and the other is refused or does nothing.

use std::error::Error;

use chrono::{TimeDelta, Utc};
use service_kit::app::Stopping;
use telemetry_core::span;

use super::Warehouse;
use crate::config::Timeouts;
use crate::domain::Settlement;
use crate::error::DATABASE_ERROR;
use crate::metrics::Outcome;
use crate::store::{Open, SettleError, Settled};

/// At once; the rest waits for the next look.
const BATCH: i64 = 100;

impl Warehouse {
    /// Runs as long as the process. Every replica looks: a reservation that two of them find ends once.
    pub(super) async fn time_out_reservations(self, timeouts: Timeouts, stopping: Stopping) {
        let timeout = TimeDelta::from_std(timeouts.reservation_timeout).unwrap_or(TimeDelta::MAX);
        loop {
            // Looking is no news: it would be a trace of one query, every few seconds, for ever.
            match self.telemetry.untraced(self.reservations.find_open(Utc::now() - timeout, BATCH)).await {
                Ok(reservations) => {
                    for reservation in reservations {
                        let warehouse = self.clone();
                        let reserved_in = reservation.traceparent.clone().unwrap_or_default();
                        self.telemetry.background_linked("expire_reservation", &reserved_in, async move {
                            warehouse.time_out(&reservation).await;
                        });
                    }
                }
                Err(error) => {
                    let error: &(dyn Error + 'static) = &error;
                    tracing::warn!(error, "could not look for reservations that have timed out");
                }
            }
            tokio::select! {
                () = stopping.requested() => return,
                () = tokio::time::sleep(timeouts.sweep_interval) => {}
            }
        }
    }

    async fn time_out(&self, reservation: &Open) {
        span::set_attribute("order.id", reservation.order.to_string());
        match self.reservations.settle(reservation.order, Settlement::Release).await {
            Ok(Settled::Now) => {
                self.metrics.count_reservation(Outcome::TimedOut);
                tracing::warn!(order.id = %reservation.order, "a reservation timed out");
            }
            // The order has ended it meanwhile, or another replica has.
            Ok(Settled::Before | Settled::Ahead)
            | Err(SettleError::Conflict(_) | SettleError::UnknownReservation) => {}
            Err(SettleError::Database(error)) => span::record_error(&error, DATABASE_ERROR),
        }
    }
}
