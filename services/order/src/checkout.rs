//! Placing an order: the one flow across the store and the peers, with its compensation.
//!
//! ```text
//! pending ──reserve──▶ reserved ──charge──▶ paid ──commit──▶ confirmed
//!    │                     │                 │
//!    ├─────────────────────┼─────────────────┴──▶ failing ──give back──▶ failed
//!    └─────────────────────┴──▶ cancelling ──give back──▶ cancelled
//! ```
//!
//! Each status is stored before the call that comes next is made, and each call carries the order's
//! id as its key: so whoever finds an order knows its next step, and may take it again. That an order fails is stored
//! before anything is given back, and before anyone is told.
//!
//! Who works on an order holds a lease on it. An order that is left, by a process that died or because a peer or the
//! database is away, is taken over by the flow's recovery, in this process or another.

mod cancellation;
mod confirmation;
mod recovery;
mod steps;

use std::error::Error;

use service_kit::app::Stopping;
use service_kit::db::DatabaseError;
use service_kit::peer::PeerError;
use service_kit::problem::code;
use service_kit::user::User;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::{Telemetry, span};
use tokio::time::Instant;
use uuid::Uuid;

pub use self::cancellation::CancelOrderError;
use self::steps::{Interrupted, Mode, Progress};
use crate::clients::{ChargeError, Inventory, Payments, ReserveError};
use crate::config::RecoverySettings;
use crate::domain::{NewOrder, Order};
use crate::metrics::{Metrics, Outcome};
use crate::outbox::Outbox;
use crate::store::Orders;

/// Places orders. Cheap to clone.
#[derive(Clone)]
pub struct Checkout {
    orders: Orders,
    outbox: Outbox,
    inventory: Inventory,
    payments: Payments,
    telemetry: Telemetry,
    metrics: Metrics,
    settings: RecoverySettings,
}

impl Checkout {
    /// The flow over this store and these peers.
    pub fn new(
        orders: Orders,
        outbox: Outbox,
        inventory: Inventory,
        payments: Payments,
        telemetry: Telemetry,
        settings: RecoverySettings,
    ) -> Self {
        let metrics = Metrics::new(telemetry.meter());
        Self { orders, outbox, inventory, payments, telemetry, metrics, settings }
    }

    /// Starts taking over what was left unfinished, until `stopping`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start_recovery(&self, stopping: Stopping) {
        telemetry_core::context::spawn(self.clone().recover(stopping));
    }

    /// Places an order under this id for this customer, and answers when it is confirmed; or earlier, where it cannot
    /// go on now: then it is brought to its end in the background. One that was taken over meanwhile, or cancelled, is
    /// answered as it is then. The customer waits until then, where that is known: what is not paid by then is not
    /// charged, and fails.
    ///
    /// A caller that goes away leaves no order half done: the flow runs to its end.
    ///
    /// # Errors
    /// Where it is refused or breaks off. It has then given back what it took, or is doing so.
    pub async fn place_order(
        &self,
        id: Uuid,
        new: NewOrder,
        customer: User,
        until: Option<Instant>,
    ) -> Result<Order, PlaceOrderError> {
        let checkout = self.clone();
        self.telemetry.detached(async move { checkout.create_order(id, new, &customer, until).await }).await
    }

    #[tracing::instrument(
        name = "create_order",
        skip_all,
        fields(order.type = new.order_type.as_str(), order.quantity = i64::from(new.quantity.get()))
    )]
    async fn create_order(
        &self,
        id: Uuid,
        new: NewOrder,
        customer: &User,
        until: Option<Instant>,
    ) -> Result<Order, PlaceOrderError> {
        span::set_attribute("app.user_tier", customer.tier.clone());
        let mut order = self.orders.insert(id, new, customer).await.map_err(PlaceOrderError::NotStored)?;
        span::set_attribute("order.id", order.id.to_string());
        match self.bring_on(&mut order, Mode::Placing(until)).await {
            Ok(Progress::Confirmed) => Ok(order),
            Ok(Progress::Failed(reason)) => {
                span::fail(reason.to_string());
                Err(PlaceOrderError::Failed { order_id: order.id, reason })
            }
            // Whoever took it tells what became of it. What cannot be read is answered as it was.
            Err(Interrupted::TakenOver) => {
                Ok(self.orders.find(order.id, customer).await.ok().flatten().unwrap_or(order))
            }
            Err(interrupted) => {
                tracing::warn!(order.id = %order.id, error = &interrupted as &(dyn Error + 'static), "the order goes on in the background");
                self.leave(&order, &interrupted).await;
                Ok(order)
            }
        }
    }

    /// Lets recovery have the order soon, and not only when the lease has ended.
    async fn leave(&self, order: &Order, interrupted: &Interrupted) {
        // Where this fails, there is the lease.
        if !matches!(interrupted, Interrupted::TakenOver) {
            let _ = self.orders.postpone(order, self.settings.interval_delta(), false).await;
        }
    }

    fn confirmed(&self, order: &Order) {
        span::add_event("Order created successfully", vec![KeyValue::new("order.id", order.id.to_string())]);
        tracing::info!(order.id = %order.id, order.status = order.status.as_str(), "order confirmed");
        self.metrics.ended(Outcome::Confirmed);
    }

    fn failed(&self, order: &Order, reason: &FailureReason) {
        tracing::warn!(order.id = %order.id, error.type = reason.code(), error = reason as &(dyn Error + 'static), "order failed");
        self.metrics.ended(Outcome::Failed(reason.code()));
    }
}

/// No order was made.
#[derive(Debug, thiserror::Error)]
pub enum PlaceOrderError {
    /// It could not even be written down.
    #[error("the order could not be stored")]
    NotStored(#[source] DatabaseError),
    /// It was written down and failed.
    #[error("the order failed")]
    Failed {
        /// Under which id it is on record.
        order_id: Uuid,
        /// Why.
        #[source]
        reason: FailureReason,
    },
}

/// Why an order failed. The texts are for operators; callers get `error.rs`'s.
#[derive(Debug, thiserror::Error)]
pub enum FailureReason {
    /// No goods.
    #[error("{0}")]
    Reserve(#[from] ReserveError),
    /// No money.
    #[error("{0}")]
    Charge(#[from] ChargeError),
    /// The goods were gone when they should have been taken out of the stock.
    #[error("Reservation refused")]
    Commit(#[source] PeerError),
    /// It costs more than can be counted.
    #[error("Amount out of range")]
    Amount,
    /// Its customer does not wait any more, and it is not paid; or nobody knows, since they did not wait for the answer.
    #[error("Deadline over")]
    DeadlineOver,
    /// It was left unpaid for so long that nobody may want it any more.
    #[error("Order expired")]
    Expired,
}

impl FailureReason {
    /// The stable code: in the answer, in the order's row, on the metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reserve(ReserveError::UnknownProduct) => "product_not_found",
            Self::Reserve(ReserveError::OutOfStock) => "out_of_stock",
            Self::Reserve(ReserveError::Unavailable(_)) => "inventory_unavailable",
            Self::Reserve(ReserveError::Released(_)) | Self::Commit(_) => "reservation_lost",
            Self::Charge(ChargeError::Declined) => "payment_declined",
            Self::Charge(ChargeError::UnknownMethod) => "payment_method_unknown",
            Self::Charge(ChargeError::GatewayTimeout(_)) => "payment_timeout",
            Self::Charge(
                ChargeError::Gateway(_) | ChargeError::Unavailable(_) | ChargeError::InProgress(_),
            ) => "payment_unavailable",
            Self::Amount => "amount_out_of_range",
            Self::DeadlineOver => code::DEADLINE_EXCEEDED,
            Self::Expired => "order_expired",
        }
    }
}
