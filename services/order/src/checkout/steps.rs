//! The steps from one status to the next, the same for who places an order and for who finds one that was left.

use std::error::Error;
use std::time::Duration;

use chrono::Utc;
use service_kit::deadline;
use service_kit::peer::PeerError;
use telemetry_core::span;
use tokio::time::Instant;

use super::{Checkout, FailureReason};
use crate::clients::{ChargeError, Payment, ReserveError};
use crate::domain::{Amount, Order, OrderStatus};
use crate::store::ChangeError;

/// Who works on the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its customer waits, until then where that is known. A peer that gives no answer fails the order, and nothing is
    /// charged for whom nobody waits any more.
    Placing(Option<Instant>),
    /// Nobody waits, and it is not known which calls have arrived. A peer that gives no answer is asked again later.
    Recovering,
}

/// How far the order was brought.
#[derive(Debug)]
pub(super) enum Progress {
    /// To its good end.
    Confirmed,
    /// To its bad end, or towards it: what it took may still be being given back, and recovery sees to that.
    Failed(FailureReason),
}

/// The order could not be brought to an end now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interrupted {
    /// A peer gave no answer that decides anything.
    #[error("a peer gave no answer")]
    Peer(#[source] PeerError),
    /// It could not be stored how far it had come.
    #[error("the order could not be stored")]
    Store(#[source] ChangeError),
    /// Somebody else works on it now.
    #[error("the order was taken over")]
    TakenOver,
}

impl Interrupted {
    /// Whether waiting cures it, as far as anyone can tell.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Peer(error) => error.is_retryable() || error.code() == Some("payment_in_progress"),
            Self::Store(_) | Self::TakenOver => true,
        }
    }

    /// A stable word for the reason.
    pub(super) fn code(&self) -> String {
        match self {
            Self::Peer(error) => error.code().unwrap_or("no_answer").to_owned(),
            Self::Store(_) => "order_not_stored".to_owned(),
            Self::TakenOver => "taken_over".to_owned(),
        }
    }
}

impl From<ChangeError> for Interrupted {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Conflict => Self::TakenOver,
            ChangeError::Database(_) => Self::Store(error),
        }
    }
}

/// Why a step did not lead to the next status.
enum Stop {
    /// The order fails; `taken` is what it may hold.
    Fails(FailureReason, Taken),
    Interrupted(Interrupted),
}

impl<E: Into<Interrupted>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Interrupted(error.into())
    }
}

/// What an order may hold that is to be given back when it fails or is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    goods: bool,
    money: bool,
}

impl Taken {
    const NOTHING: Self = Self { goods: false, money: false };
    const GOODS: Self = Self { goods: true, money: false };
    pub(super) const BOTH: Self = Self { goods: true, money: true };
}

impl Checkout {
    /// Brings an order that is not at its end to its end.
    pub(super) async fn bring_on(&self, order: &mut Order, mode: Mode) -> Result<Progress, Interrupted> {
        match self.advance(order, mode).await {
            Ok(()) => Ok(Progress::Confirmed),
            Err(Stop::Interrupted(interrupted)) => Err(interrupted),
            Err(Stop::Fails(reason, taken)) => {
                if taken == Taken::NOTHING {
                    self.orders.set_failed(order, reason.code()).await?;
                    self.failed(order, &reason);
                } else {
                    self.orders.set_failing(order, reason.code()).await?;
                    self.failed(order, &reason);
                    self.give_back_now(order, taken).await;
                }
                Ok(Progress::Failed(reason))
            }
        }
    }

    /// Gives back the money, then the goods, and records the order as failed, or cancelled. Each is done whether or not
    /// there is anything to give back, and leaves a mark that refuses what may still be on its way.
    pub(super) async fn give_back(&self, order: &mut Order) -> Result<(), Interrupted> {
        self.give_back_what_is(order, Taken::BOTH).await
    }

    /// Who is told of the order's end does not wait for peers that are away: recovery goes on.
    pub(super) async fn give_back_now(&self, order: &mut Order, taken: Taken) {
        if let Err(interrupted) = self.give_back_what_is(order, taken).await {
            tracing::warn!(order.id = %order.id, error = &interrupted as &(dyn Error + 'static), "compensation goes on in the background");
            self.leave(order, &interrupted).await;
        }
    }

    async fn give_back_what_is(&self, order: &mut Order, taken: Taken) -> Result<(), Interrupted> {
        if taken.money {
            self.payments.refund(order).await.map_err(Interrupted::Peer)?;
        }
        if taken.goods {
            self.inventory.release(order).await.map_err(Interrupted::Peer)?;
        }
        if order.status == OrderStatus::Cancelling {
            return Ok(self.orders.set_cancelled(order).await?);
        }
        let code = order.failure_code.clone().unwrap_or_default();
        Ok(self.orders.set_failed(order, &code).await?)
    }

    /// Takes the order from step to step until it is confirmed.
    async fn advance(&self, order: &mut Order, mode: Mode) -> Result<(), Stop> {
        loop {
            match order.status {
                OrderStatus::Pending => self.reserve(order, mode).await?,
                OrderStatus::Reserved => self.charge(order, mode).await?,
                OrderStatus::Paid => self.commit(order).await?,
                OrderStatus::Confirmed
                | OrderStatus::Failing
                | OrderStatus::Failed
                | OrderStatus::Cancelling
                | OrderStatus::Cancelled => return Ok(()),
            }
        }
    }

    async fn reserve(&self, order: &mut Order, mode: Mode) -> Result<(), Stop> {
        if self.has_expired(order, mode) {
            return Err(Stop::Fails(FailureReason::Expired, Taken::GOODS));
        }
        let unit_price = match self.check_inventory(order).await {
            Ok(unit_price) => unit_price,
            Err(ReserveError::Unavailable(error)) if mode == Mode::Recovering => {
                return Err(Interrupted::Peer(error).into());
            }
            Err(error) => {
                // An answer that never came may have been a yes.
                let taken = if error.may_have_happened() { Taken::GOODS } else { Taken::NOTHING };
                return Err(Stop::Fails(error.into(), taken));
            }
        };
        let Some(amount) = unit_price.times(order.quantity) else {
            return Err(Stop::Fails(FailureReason::Amount, Taken::GOODS));
        };
        span::set_attribute("order.amount", amount.minor);
        span::set_attribute("order.currency", amount.currency.clone());
        Ok(self.orders.set_reserved(order, amount).await?)
    }

    async fn charge(&self, order: &mut Order, mode: Mode) -> Result<(), Stop> {
        let Some(amount) = order.amount.clone() else {
            // The table has a constraint.
            return Err(Stop::Fails(FailureReason::Amount, Taken::BOTH));
        };
        if self.has_expired(order, mode) {
            return Err(Stop::Fails(FailureReason::Expired, Taken::BOTH));
        }
        if let Mode::Placing(Some(until)) = mode
            && until <= Instant::now()
        {
            return Err(Stop::Fails(FailureReason::DeadlineOver, Taken::GOODS));
        }
        let payment = match self.process_payment(order, &amount, mode).await {
            Ok(payment) => payment,
            Err(ChargeError::InProgress(error)) => return Err(Interrupted::Peer(error).into()),
            Err(ChargeError::Unavailable(error))
                if mode == Mode::Recovering && Interrupted::may_pass_for(&error) =>
            {
                return Err(Interrupted::Peer(error).into());
            }
            Err(error) => {
                let taken = if error.may_have_happened() { Taken::BOTH } else { Taken::GOODS };
                let reason =
                    if is_cut_off(&error, mode) { FailureReason::DeadlineOver } else { error.into() };
                return Err(Stop::Fails(reason, taken));
            }
        };
        Ok(self.orders.set_paid(order, &payment.id).await?)
    }

    /// The last step of an order that is paid. It goes forward: only where the inventory says that the goods are gone
    /// is the payment given back.
    async fn commit(&self, order: &mut Order) -> Result<(), Stop> {
        match self.inventory.commit(order).await {
            Ok(()) => {}
            Err(error @ PeerError::Rejected { .. }) => {
                return Err(Stop::Fails(FailureReason::Commit(error), Taken::BOTH));
            }
            Err(error) => return Err(Interrupted::Peer(error).into()),
        }
        let mail = self.orders.set_confirmed(order).await?;
        self.confirmed(order);
        self.send_confirmation(mail, order.clone());
        Ok(())
    }

    /// An order that nobody has paid and that was left for long: who placed it has given up on it.
    fn has_expired(&self, order: &Order, mode: Mode) -> bool {
        let age = (Utc::now() - order.created_at).to_std().unwrap_or_default();
        mode == Mode::Recovering && age > self.settings.give_up_after
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
    async fn process_payment(
        &self,
        order: &Order,
        amount: &Amount,
        mode: Mode,
    ) -> Result<Payment, ChargeError> {
        let until = if let Mode::Placing(until) = mode { until } else { None };
        let result = deadline::within(until, self.payments.charge(order, amount)).await;
        match &result {
            Ok(payment) => span::set_attribute("payment.transaction_id", payment.transaction_id.clone()),
            Err(error) => span::fail(error.to_string()),
        }
        result
    }
}

/// Whether the charge has no answer because its customer does not wait any more.
fn is_cut_off(error: &ChargeError, mode: Mode) -> bool {
    // It was told whole milliseconds, so there it may be over by one earlier.
    let soon = Instant::now() + Duration::from_millis(1);
    matches!(error, ChargeError::Unavailable(_))
        && matches!(mode, Mode::Placing(Some(until)) if until <= soon)
}

impl Interrupted {
    /// Whether asking this peer again later may bring another answer.
    fn may_pass_for(error: &PeerError) -> bool {
        !matches!(error, PeerError::Rejected { .. })
    }
}
