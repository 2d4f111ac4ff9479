//! The rows, and the domain types they stand for.

use chrono::{DateTime, NaiveDateTime, SubsecRound as _, Utc};
use diesel::prelude::*;
use service_kit::db::{DatabaseError, MultiBackend};
use uuid::Uuid;

use super::schema::{order_events, order_states, orders};
use crate::domain::{Amount, InvalidOrder, Order, OrderEvent, OrderStatus, Quantity};

/// A row that this service did not write.
pub(super) fn corrupt(error: InvalidOrder) -> DatabaseError {
    diesel::result::Error::DeserializationError(error.into()).into()
}

/// The current time as both databases keep it: PostgreSQL has no nanoseconds.
pub(super) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orders, check_for_backend(MultiBackend))]
pub(super) struct OrderRow {
    pub(super) id: String,
    tenant_id: String,
    user_id: String,
    product_id: String,
    quantity: i32,
    order_type: String,
    payment_method: String,
    status: String,
    failure_code: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    pub(super) traceparent: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    pub(super) version: i64,
    due_at: Option<NaiveDateTime>,
}

impl OrderRow {
    pub(super) fn new(order: &Order, traceparent: Option<String>, due_at: DateTime<Utc>) -> Self {
        Self {
            id: order.id.to_string(),
            tenant_id: order.tenant_id.clone(),
            user_id: order.user_id.clone(),
            product_id: order.product_id.to_string(),
            quantity: order.quantity.get(),
            order_type: order.order_type.as_str().to_owned(),
            payment_method: order.payment_method.as_str().to_owned(),
            status: order.status.as_str().to_owned(),
            failure_code: order.failure_code.clone(),
            amount_minor: order.amount.as_ref().map(|amount| amount.minor),
            currency: order.amount.as_ref().map(|amount| amount.currency.clone()),
            traceparent,
            created_at: order.created_at.naive_utc(),
            updated_at: order.updated_at.naive_utc(),
            version: order.version,
            due_at: Some(due_at.naive_utc()),
        }
    }

    pub(super) fn into_order(self) -> Result<Order, InvalidOrder> {
        let amount = match (self.amount_minor, self.currency) {
            (Some(minor), Some(currency)) => Some(Amount { minor, currency }),
            _ => None,
        };
        Ok(Order {
            id: self.id.parse().map_err(|_| InvalidOrder::Id)?,
            tenant_id: self.tenant_id,
            user_id: self.user_id,
            product_id: self.product_id.parse().map_err(|_| InvalidOrder::Id)?,
            quantity: Quantity::try_from(i64::from(self.quantity))?,
            order_type: self.order_type.parse()?,
            payment_method: self.payment_method.parse()?,
            status: self.status.parse()?,
            failure_code: self.failure_code,
            amount,
            created_at: self.created_at.and_utc(),
            updated_at: self.updated_at.and_utc(),
            version: self.version,
        })
    }
}

/// What changes; a field that is none stays as it is, but for `due_at`.
#[derive(AsChangeset)]
#[diesel(table_name = order_states)]
pub(super) struct OrderChange {
    pub(super) status: &'static str,
    pub(super) failure_code: Option<String>,
    pub(super) amount_minor: Option<i64>,
    pub(super) currency: Option<String>,
    pub(super) payment_id: Option<String>,
    pub(super) updated_at: NaiveDateTime,
    /// None, inside, for an order that is at its end.
    pub(super) due_at: Option<Option<NaiveDateTime>>,
    /// A change is progress.
    pub(super) attempts: i32,
    /// None, inside: so it is nobody's but the flow's again.
    pub(super) parked_reason: Option<Option<String>>,
}

impl OrderChange {
    /// To this status; somebody works on the order until `due_at`.
    pub(super) fn to(status: OrderStatus, at: DateTime<Utc>, due_at: DateTime<Utc>) -> Self {
        Self {
            status: status.as_str(),
            failure_code: None,
            amount_minor: None,
            currency: None,
            payment_id: None,
            updated_at: at.naive_utc(),
            due_at: Some((!status.is_final()).then(|| due_at.naive_utc())),
            attempts: 0,
            parked_reason: Some(None),
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = order_events, check_for_backend(MultiBackend))]
pub(super) struct EventRow {
    order_id: String,
    version: i64,
    message_id: String,
    status: String,
    failure_code: Option<String>,
    traceparent: Option<String>,
    created_at: NaiveDateTime,
}

impl EventRow {
    /// The event of what the order is now.
    pub(super) fn of(order: &Order, message_id: Uuid, traceparent: Option<String>) -> Self {
        Self {
            order_id: order.id.to_string(),
            version: order.version,
            message_id: message_id.to_string(),
            status: order.status.as_str().to_owned(),
            failure_code: order.failure_code.clone(),
            traceparent,
            created_at: order.updated_at.naive_utc(),
        }
    }

    pub(super) fn into_event(self) -> Result<OrderEvent, InvalidOrder> {
        Ok(OrderEvent {
            message_id: self.message_id.parse().map_err(|_| InvalidOrder::Id)?,
            version: self.version,
            status: self.status.parse()?,
            failure_code: self.failure_code,
            traceparent: self.traceparent,
            at: self.created_at.and_utc(),
        })
    }
}
