//! Placing an order: the one flow across the store and the peers, with its compensation.
//!
//! ```text
//! pending ──reserve──▶ reserved ──charge──▶ paid ──commit──▶ confirmed
//!    └──────────────────────┴────────────────┴──give back──▶ failed
//! ```
//!
//! Each status is stored before the call that comes next is made, and each call carries the order's
//! id as its key. An order that breaks off gives back what it took, the last first; where a peer is
//! down, that goes on in the background.

mod compensation;

use std::error::Error;

use service_kit::db::DatabaseError;
use service_kit::peer::PeerError;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::{Telemetry, span};

use crate::clients::{ChargeError, Inventory, Payment, Payments, ReserveError};
use crate::domain::{Amount, Customer, Mail, NewOrder, Order};
use crate::metrics::{Metrics, Outcome};
use crate::store::Orders;

/// Places orders. Cheap to clone.
#[derive(Clone)]
pub struct Checkout {
    orders: Orders,
    inventory: Inventory,
    payments: Payments,
    telemetry: Telemetry,
    metrics: Metrics,
}

impl Checkout {
    /// The flow over this store and these peers.
    pub fn new(orders: Orders, inventory: Inventory, payments: Payments, telemetry: Telemetry) -> Self {
        let metrics = Metrics::new(telemetry.meter());
        Self { orders, inventory, payments, telemetry, metrics }
    }

    /// Places an order for this customer, and answers when it is confirmed; or when it is paid, where the
    /// inventory does not answer any more: then it is confirmed in the background.
    ///
    /// A caller that goes away leaves no order half done: the flow runs to its end.
    ///
    /// # Errors
    /// Where it is refused or breaks off. It has then given back what it took, or is doing so.
    pub async fn place_order(&self, new: NewOrder, customer: Customer) -> Result<Order, PlaceOrderError> {
        let checkout = self.clone();
        self.telemetry.detached(async move { checkout.create_order(new, &customer).await }).await
    }

    #[tracing::instrument(
        name = "create_order",
        skip_all,
        fields(order.type = new.order_type.as_str(), order.quantity = i64::from(new.quantity.get()))
    )]
    async fn create_order(&self, new: NewOrder, customer: &Customer) -> Result<Order, PlaceOrderError> {
        span::set_attribute("app.user_tier", customer.tier.clone());
        let mut order = self.orders.insert(new, customer).await.map_err(PlaceOrderError::NotStored)?;
        span::set_attribute("order.id", order.id.to_string());
        let mut taken = Taken::default();
        let reason = match self.advance(&mut order, &mut taken).await {
            Ok(()) => match self.finish(&mut order).await {
                Ok(()) => {
                    self.confirmed(&order);
                    return Ok(order);
                }
                Err(Unfinished::Later(error)) => {
                    tracing::warn!(order.id = %order.id, error = &*error as &(dyn Error + 'static), "the order is confirmed in the background");
                    self.finish_later(order.clone());
                    return Ok(order);
                }
                Err(Unfinished::Refused(error)) => FailureReason::Commit(error),
            },
            Err(reason) => reason,
        };
        span::fail(reason.to_string());
        let order_id = order.id;
        self.fail(order, taken, &reason).await;
        Err(PlaceOrderError::Failed { order_id, reason })
    }

    fn confirmed(&self, order: &Order) {
        span::add_event("Order created successfully", vec![KeyValue::new("order.id", order.id.to_string())]);
        tracing::info!(order.id = %order.id, order.status = order.status.as_str(), "order confirmed");
        self.metrics.ended(Outcome::Confirmed);
        self.send_confirmation(order.clone());
    }

    async fn fail(&self, order: Order, taken: Taken, reason: &FailureReason) {
        tracing::warn!(order.id = %order.id, error.type = reason.code(), error = reason as &(dyn Error + 'static), "order failed");
        self.metrics.ended(Outcome::Failed(reason.code()));
        self.give_back(order, taken, reason.code()).await;
    }

    /// Takes the order from step to step. `taken` is told of each step before it is known to have worked:
    /// an answer that never came may have been a yes.
    async fn advance(&self, order: &mut Order, taken: &mut Taken) -> Result<(), FailureReason> {
        taken.goods = true;
        let unit_price =
            self.check_inventory(order).await.inspect_err(|error| taken.goods = error.may_have_happened())?;
        let amount = unit_price.times(order.quantity).ok_or(FailureReason::Amount)?;
        span::set_attribute("order.amount", amount.minor);
        span::set_attribute("order.currency", amount.currency.clone());
        self.orders.set_reserved(order, amount.clone()).await?;
        taken.money = true;
        let payment = self
            .process_payment(order, &amount)
            .await
            .inspect_err(|error| taken.money = error.may_have_happened())?;
        self.orders.set_paid(order, &payment.id).await?;
        Ok(())
    }

    /// The last steps of an order that is paid. From here it goes forward: only where the inventory says
    /// that the goods are gone is the payment given back. Both steps may be repeated.
    async fn finish(&self, order: &mut Order) -> Result<(), Unfinished> {
        match self.inventory.commit(order).await {
            Ok(()) => {}
            Err(error @ PeerError::Rejected { .. }) => return Err(Unfinished::Refused(error)),
            Err(error) => return Err(Unfinished::Later(error.into())),
        }
        self.orders.set_confirmed(order).await.map_err(|error| Unfinished::Later(error.into()))
    }

    #[tracing::instrument(
        name = "check_inventory",
        skip_all,
        fields(product.id = %order.product_id, order.quantity = i64::from(order.quantity.get()))
    )]
    async fn check_inventory(&self, order: &Order) -> Result<Amount, ReserveError> {
        let result = self.inventory.reserve(order).await;
        match &result {
            Ok(_) => span::set_attribute("inventory.available", true),
            Err(error) => {
                if matches!(error, ReserveError::OutOfStock) {
                    span::set_attribute("inventory.available", false);
                }
                span::fail(error.to_string());
            }
        }
        result
    }

    #[tracing::instrument(
        name = "process_payment",
        skip_all,
        fields(payment.method = order.payment_method.as_str())
    )]
    async fn process_payment(&self, order: &Order, amount: &Amount) -> Result<Payment, ChargeError> {
        let result = self.payments.charge(order, amount).await;
        match &result {
            Ok(payment) => span::set_attribute("payment.transaction_id", payment.transaction_id.clone()),
            Err(error) => span::fail(error.to_string()),
        }
        result
    }

    /// Writes the confirmation mail, after the answer: the customer does not wait for it.
    fn send_confirmation(&self, order: Order) {
        let orders = self.orders.clone();
        self.telemetry.background("send_email", async move {
            let mail = Mail::confirmation(&order);
            span::set_attribute("email.message_length", mail.body.len() as i64);
            if let Err(error) = orders.insert_mail(&order, mail).await {
                span::record_error(&error, "mail_not_stored");
                tracing::error!(order.id = %order.id, error = &error as &(dyn Error + 'static), "confirmation mail not stored");
            }
        });
    }
}

/// What an order may hold that is to be given back when it fails.
#[derive(Debug, Default)]
struct Taken {
    goods: bool,
    money: bool,
}

/// Why a paid order is not confirmed.
enum Unfinished {
    /// The goods are gone.
    Refused(PeerError),
    /// Nobody knows yet.
    Later(Box<dyn Error + Send + Sync>),
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
        order_id: uuid::Uuid,
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
    /// It could not be written down how far it had come.
    #[error("Order not stored")]
    Store(#[from] DatabaseError),
}

impl FailureReason {
    /// The stable code: in the answer, in the order's row, on the metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reserve(ReserveError::UnknownProduct) => "product_not_found",
            Self::Reserve(ReserveError::OutOfStock) => "out_of_stock",
            Self::Reserve(ReserveError::Unavailable(_)) => "inventory_unavailable",
            Self::Commit(_) => "reservation_lost",
            Self::Charge(ChargeError::Declined) => "payment_declined",
            Self::Charge(ChargeError::UnknownMethod) => "payment_method_unknown",
            Self::Charge(ChargeError::GatewayTimeout(_)) => "payment_timeout",
            Self::Charge(ChargeError::Gateway(_) | ChargeError::Unavailable(_)) => "payment_unavailable",
            Self::Amount => "amount_out_of_range",
            Self::Store(_) => "order_not_stored",
        }
    }
}
