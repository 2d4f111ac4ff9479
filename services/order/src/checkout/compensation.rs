//! What goes on after the answer: finishing a paid order, and giving back what a failed one took.

use std::error::Error;
use std::time::Duration;

use service_kit::peer::PeerError;
use telemetry_core::span;

use super::{Checkout, FailureReason, Taken, Unfinished};
use crate::domain::Order;

/// Waits before each further round, about two minutes in all: longer than a peer's restart takes. What
/// is still held then stays on record as failing, and the log says so.
const ROUNDS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

impl Checkout {
    /// Confirms a paid order when the inventory answers again, in the same trace.
    pub(super) fn finish_later(&self, mut order: Order) {
        let checkout = self.clone();
        self.telemetry.background("finish_order", async move {
            for wait in ROUNDS {
                tokio::time::sleep(wait).await;
                match checkout.finish(&mut order).await {
                    Ok(()) => return checkout.confirmed(&order),
                    Err(Unfinished::Later(_)) => {}
                    Err(Unfinished::Refused(error)) => {
                        let taken = Taken { goods: true, money: true };
                        return checkout.fail(order, taken, &FailureReason::Commit(error)).await;
                    }
                }
            }
            span::fail("Finishing gave up");
            tracing::error!(order.id = %order.id, "finishing gave up: the order is paid and not confirmed");
        });
    }

    /// Gives back the money, then the goods, then records the order as failed. Where a peer is down, the
    /// order is recorded as failing, and a background task in the same trace goes on trying.
    pub(super) async fn give_back(&self, mut order: Order, mut taken: Taken, code: &'static str) {
        let Err(error) = self.try_give_back(&order, &mut taken).await else {
            return self.record_failed(&mut order, code).await;
        };
        tracing::warn!(order.id = %order.id, error = &error as &(dyn Error + 'static), "compensation goes on in the background");
        if let Err(error) = self.orders.set_failing(&mut order, code).await {
            tracing::error!(order.id = %order.id, error = &error as &(dyn Error + 'static), "order not recorded as failing");
        }
        let checkout = self.clone();
        self.telemetry.background("compensate_order", async move {
            for wait in ROUNDS {
                tokio::time::sleep(wait).await;
                if checkout.try_give_back(&order, &mut taken).await.is_ok() {
                    return checkout.record_failed(&mut order, code).await;
                }
            }
            span::fail("Compensation gave up");
            tracing::error!(order.id = %order.id, "compensation gave up: the order still holds goods or money");
        });
    }

    /// One round; `taken` keeps what is still to be given back.
    async fn try_give_back(&self, order: &Order, taken: &mut Taken) -> Result<(), PeerError> {
        if taken.money {
            self.payments.refund(order).await?;
            taken.money = false;
        }
        if taken.goods {
            self.inventory.release(order).await?;
            taken.goods = false;
        }
        Ok(())
    }

    async fn record_failed(&self, order: &mut Order, code: &'static str) {
        if let Err(error) = self.orders.set_failed(order, code).await {
            tracing::error!(order.id = %order.id, error = &error as &(dyn Error + 'static), "order not recorded as failed");
        }
    }
}
