//! Rows, and the domain types they stand for.

use std::str::FromStr;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use service_kit::db::MultiBackend;

use super::schema::payments;
use crate::domain::{Cancellation, Money, Payment, PaymentState, Record, TransactionId};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = payments, check_for_backend(MultiBackend))]
pub(super) struct PaymentRow {
    order_id: String,
    payment_id: Option<String>,
    user_id: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    payment_method: Option<String>,
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
            order_id: payment.order_id.to_string(),
            payment_id: Some(payment.id.to_string()),
            user_id: payment.user_id.clone(),
            amount_minor: Some(payment.amount.minor()),
            currency: Some(payment.amount.currency().as_str().to_owned()),
            payment_method: Some(payment.method.as_str().to_owned()),
            status: payment.state.as_str().to_owned(),
            transaction_id: payment.state.transaction_id().map(TransactionId::as_str).map(str::to_owned),
            failure_code: payment.state.failure_code().map(str::to_owned),
            traceparent: payment.traceparent.clone(),
            created_at: payment.created_at.naive_utc(),
            updated_at: payment.updated_at.naive_utc(),
        }
    }
}

impl From<&Cancellation> for PaymentRow {
    fn from(cancellation: &Cancellation) -> Self {
        let at = cancellation.at.naive_utc();
        Self {
            order_id: cancellation.order_id.to_string(),
            payment_id: None,
            user_id: None,
            amount_minor: None,
            currency: None,
            payment_method: None,
            status: Cancellation::STATUS.to_owned(),
            transaction_id: None,
            failure_code: None,
            traceparent: None,
            created_at: at,
            updated_at: at,
        }
    }
}

impl TryFrom<PaymentRow> for Record {
    type Error = ForeignRow;

    fn try_from(row: PaymentRow) -> Result<Self, ForeignRow> {
        if row.status == Cancellation::STATUS {
            let order_id = parse("payments.order_id", Some(&row.order_id))?;
            return Ok(Self::Cancellation(Cancellation { order_id, at: row.created_at.and_utc() }));
        }
        row.try_into().map(Self::Payment)
    }
}

impl TryFrom<PaymentRow> for Payment {
    type Error = ForeignRow;

    fn try_from(row: PaymentRow) -> Result<Self, ForeignRow> {
        let currency = parse("payments.currency", row.currency.as_deref())?;
        let amount = row.amount_minor.and_then(|minor| Money::new(minor, currency).ok());
        let (transaction_id, failure_code) = (row.transaction_id.as_deref(), row.failure_code.as_deref());
        Ok(Self {
            id: parse("payments.payment_id", row.payment_id.as_deref())?,
            order_id: parse("payments.order_id", Some(&row.order_id))?,
            user_id: row.user_id,
            amount: amount.ok_or(ForeignRow("payments.amount_minor"))?,
            method: parse("payments.payment_method", row.payment_method.as_deref())?,
            state: PaymentState::from_parts(&row.status, transaction_id, failure_code)
                .map_err(|_| ForeignRow("payments.status"))?,
            traceparent: row.traceparent,
            created_at: row.created_at.and_utc(),
            updated_at: row.updated_at.and_utc(),
        })
    }
}

fn parse<T: FromStr>(column: &'static str, text: Option<&str>) -> Result<T, ForeignRow> {
    text.and_then(|text| text.parse().ok()).ok_or(ForeignRow(column))
}
