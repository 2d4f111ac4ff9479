//! What is on record about paying an order.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Payment;

/// What is known here about paying an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// It was asked for.
    Payment(Payment),
    /// It was refunded before it was asked for.
    Cancellation(Cancellation),
}

/// An order that was refunded before it was charged: should its charge arrive late, it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cancellation {
    /// What is not to be paid for.
    pub(crate) order_id: Uuid,
    /// When it was refunded.
    pub(crate) at: DateTime<Utc>,
}

impl Cancellation {
    /// What stands in the place of a payment's state, on the wire, in the database and in the telemetry.
    pub(crate) const STATUS: &'static str = "cancelled";
}
