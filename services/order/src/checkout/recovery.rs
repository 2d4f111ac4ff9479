//! Taking over what was left unfinished: orders whose process died, and those that had to wait for a peer.
//!
//! Every replica looks, and none takes what another has: see [`Orders::claim_unfinished`]. An order that is taken over
//! goes on in a trace of its own, which links to the one it was placed in; its history names both.
//!
//! [`Orders::claim_unfinished`]: crate::store::Orders::claim_unfinished

use std::error::Error;
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use service_kit::app::Stopping;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::{context, span};
use tokio::sync::Semaphore;

use super::Checkout;
use super::steps::{Interrupted, Mode, Progress};
use crate::domain::{Claimed, OrderStatus};
use crate::metrics::Recovered;

/// So many at once: after an outage there may be thousands, and peers that have just come back.
const AT_ONCE: usize = 8;

/// The longest wait for a peer that is away.
const LONGEST_WAIT: TimeDelta = TimeDelta::seconds(60);

/// Why an order is parked that was taken again and again and never put back: it ends whoever works on it.
const NEVER_PUT_BACK: &str = "interrupted";

impl Checkout {
    /// Runs as long as the process.
    pub(super) async fn recover(self, stopping: Stopping) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let is_more = self.take_over_orders(&places).await | self.take_over_mails().await;
            if is_more {
                // As soon as there is a place.
                tokio::select! {
                    () = stopping.requested() => return,
                    _ = places.acquire() => {}
                }
            } else {
                tokio::select! {
                    () = stopping.requested() => return,
                    () = tokio::time::sleep(self.settings.interval) => {}
                }
            }
        }
    }

    /// Whether there may be more.
    async fn take_over_orders(&self, places: &Arc<Semaphore>) -> bool {
        let limit = places.available_permits();
        if limit == 0 {
            return true;
        }
        // Looking is no news: it would be a trace of one query, every second, for ever.
        let claimed = match self.telemetry.untraced(self.orders.claim_unfinished(limit)).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(
                    error = &error as &(dyn Error + 'static),
                    "could not look for unfinished orders"
                );
                return false;
            }
        };
        let is_more = claimed.len() == limit;
        for claimed in claimed {
            let place = places.clone().acquire_owned().await.expect("nobody closes it");
            let checkout = self.clone();
            let tenant = [KeyValue::new("tenant.id", claimed.order.tenant_id.clone())];
            let placed_in = claimed.traceparent.clone().unwrap_or_default();
            let start = async {
                self.telemetry.background_linked("recover_order", &placed_in, async move {
                    checkout.take_over(claimed).await;
                    drop(place);
                });
            };
            context::with_baggage(tenant, start).await;
        }
        is_more
    }

    async fn take_over(&self, claimed: Claimed) {
        let Claimed { mut order, attempts, .. } = claimed;
        span::set_attribute("order.id", order.id.to_string());
        span::set_attribute("order.recovery.attempt", i64::from(attempts));
        if attempts > self.settings.max_attempts {
            return self.park(&order, NEVER_PUT_BACK).await;
        }
        let outcome = match order.status {
            OrderStatus::Failing => self.give_back(&mut order).await.map(|()| Recovered::Failed),
            OrderStatus::Cancelling => self.give_back(&mut order).await.map(|()| Recovered::Cancelled),
            _ => self.bring_on(&mut order, Mode::Recovering).await.map(|progress| match progress {
                Progress::Confirmed => Recovered::Confirmed,
                Progress::Failed(_) => Recovered::Failed,
            }),
        };
        match outcome {
            Ok(recovered) => {
                self.told(recovered);
                tracing::info!(order.id = %order.id, order.status = recovered.as_str(), "an unfinished order was taken over");
            }
            // Another replica found it more overdue than we have been fast.
            Err(Interrupted::TakenOver) => self.told(Recovered::Postponed),
            Err(interrupted) => {
                span::record_error(&interrupted, "order_not_recovered");
                let is_stuck = !interrupted.may_pass();
                if is_stuck && attempts >= self.settings.max_attempts {
                    return self.park(&order, &interrupted.code()).await;
                }
                self.told(Recovered::Postponed);
                let wait =
                    if is_stuck { LONGEST_WAIT.min(self.backoff(attempts)) } else { self.patience(&order) };
                if let Err(error) = self.orders.postpone(&order, wait, is_stuck).await {
                    tracing::warn!(order.id = %order.id, error = &error as &(dyn Error + 'static), "an unfinished order waits for the end of its lease");
                }
            }
        }
    }

    /// Twice as long each time.
    fn backoff(&self, attempts: i32) -> TimeDelta {
        self.settings.interval_delta() * (1 << attempts.clamp(0, 10))
    }

    /// A quarter of the time that it has waited already: soon at first, and seldom after a long outage.
    fn patience(&self, order: &crate::domain::Order) -> TimeDelta {
        let waited = (Utc::now() - order.updated_at).max(TimeDelta::zero());
        (waited / 4).clamp(self.settings.interval_delta(), LONGEST_WAIT)
    }

    async fn park(&self, order: &crate::domain::Order, reason: &str) {
        span::fail("Order parked");
        self.told(Recovered::Parked);
        tracing::error!(order.id = %order.id, error.type = reason, "an order was parked: somebody must look at it");
        if let Err(error) = self.orders.park(order, reason).await {
            span::record_error(&error, "order_not_parked");
        }
    }

    fn told(&self, recovered: Recovered) {
        span::set_attribute("order.recovery.outcome", recovered.as_str());
        self.metrics.recovered(recovered);
    }
}
