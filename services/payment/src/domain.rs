//! What a payment is and which rules hold for it, without I/O.

mod method;
mod money;
mod payment;
mod record;

pub(crate) use method::PaymentMethod;
pub(crate) use money::{Currency, InvalidMoney, Money};
pub(crate) use payment::{DeclineReason, Failure, NewPayment, Payment, PaymentState, TransactionId};
pub(crate) use record::{Cancellation, Record};
