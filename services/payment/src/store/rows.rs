//! Rows, and the domain types they stand for.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use service_kit::db::MultiBackend;

use super::schema::payments;
use crate::domain::{Money, Payment, PaymentState, TransactionId};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payments, check_for_backend(MultiBackend))]
pub(super) struct PaymentRow {
    id: String,
    order_id: String,
    user_id: Option<String>,
    amount_minor: i64,
    currency: String,
    payment_method: String,
    status: String,
    transaction_id: Option<String>,
    failure_code: Option<String>,
    traceparent: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

/// A row that no version of this service wrote.
#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what was never written there")]
pub(super) struct ForeignRow(&'static str);

impl From<ForeignRow> for diesel::result::Error {
    fn from(row: ForeignRow) -> Self {
        Self::DeserializationError(Box::new(row))
    }
}

impl From<&Payment> for PaymentRow {
    fn from(payment: &Payment) -> Self {
        Self {
            id: payment.id.to_string(),
            order_id: payment.order_id.to_string(),
            user_id: payment.user_id.clone(),
            amount_minor: payment.amount.minor(),
            currency: payment.amount.currency().as_str().to_owned(),
            payment_method: payment.method.as_str().to_owned(),
            status: payment.state.as_str().to_owned(),
            transaction_id: payment.state.transaction_id().map(TransactionId::as_str).map(str::to_owned),
            failure_code: payment.state.failure_code().map(str::to_owned),
            traceparent: payment.traceparent.clone(),
            created_at: payment.created_at.naive_utc(),
            updated_at: payment.updated_at.naive_utc(),
        }
    }
}

impl TryFrom<PaymentRow> for Payment {
    type Error = ForeignRow;

    fn try_from(row: PaymentRow) -> Result<Self, ForeignRow> {
        let currency = row.currency.parse().map_err(|_| ForeignRow("payments.currency"))?;
        let (transaction_id, failure_code) = (row.transaction_id.as_deref(), row.failure_code.as_deref());
        Ok(Self {
            id: row.id.parse().map_err(|_| ForeignRow("payments.id"))?,
            order_id: row.order_id.parse().map_err(|_| ForeignRow("payments.order_id"))?,
            user_id: row.user_id,
            amount: Money::new(row.amount_minor, currency)
                .map_err(|_| ForeignRow("payments.amount_minor"))?,
            method: row.payment_method.parse().map_err(|_| ForeignRow("payments.payment_method"))?,
            state: PaymentState::from_parts(&row.status, transaction_id, failure_code)
                .map_err(|_| ForeignRow("payments.status"))?,
            traceparent: row.traceparent,
            created_at: row.created_at.and_utc(),
            updated_at: row.updated_at.and_utc(),
        })
    }
}
