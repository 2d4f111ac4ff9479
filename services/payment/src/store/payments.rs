//! Payments in the database.

use chrono::{DateTime, SubsecRound as _, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use service_kit::db::{Connection, Database, DatabaseError};
use uuid::Uuid;

use super::rows::PaymentRow;
use super::schema::payments;
use crate::domain::{Failure, NewPayment, Payment, PaymentState, TransactionId};

#[derive(Clone)]
pub(crate) struct Payments {
    database: Database,
}

/// What became of beginning a payment.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is written down as pending, and the gateway may be asked.
    Now(Payment),
    /// The order has a payment already, of whatever content.
    Before(Payment),
}

impl Payments {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes the payment down as pending, before anyone is asked for money. Of two that begin the same
    /// order's payment at once, one gets [`Begun::Now`].
    pub(crate) async fn begin(&self, new: NewPayment) -> Result<Begun, DatabaseError> {
        self.database
            .write(move |connection| {
                let payment = pending(new.clone());
                if insert(connection, &payment)? {
                    return Ok(Begun::Now(payment));
                }
                let known = find_by_order(connection, payment.order_id)?;
                let may_begin = known.is_same_charge_as(&new) && known.may_be_tried_again();
                if may_begin && reopen(connection, &known, &payment)? {
                    return Ok(Begun::Now(Payment { id: known.id, created_at: known.created_at, ..payment }));
                }
                Ok(Begun::Before(known))
            })
            .await
    }

    /// Writes down what became of a payment, unless it is in a state that this one may not follow. Gives
    /// the payment as it is now, in whichever state.
    pub(crate) async fn settle(
        &self,
        payment: Payment,
        state: PaymentState,
    ) -> Result<Payment, DatabaseError> {
        self.database
            .write(move |connection| {
                let settled = Payment { state, updated_at: now(), ..payment };
                if update_state(connection, &settled)? {
                    return Ok(settled);
                }
                find_by_order(connection, settled.order_id)
            })
            .await
    }

    /// The payment with this id, or of the order with this id: who was not told of a payment knows only
    /// the order.
    pub(crate) async fn find(&self, id: Uuid) -> Result<Option<Payment>, DatabaseError> {
        self.database
            .read(move |connection| {
                let id = id.to_string();
                let found: Option<PaymentRow> = payments::table
                    .filter(payments::id.eq(id.clone()).or(payments::order_id.eq(id)))
                    .select(PaymentRow::as_select())
                    .first(connection)
                    .optional()?;
                Ok(found.map(Payment::try_from).transpose().map_err(QueryError::from)?)
            })
            .await
    }

    /// Payments that the gateway may have charged although nobody got to know it: those that have been
    /// pending, or failed with an unknown outcome, since before `unchanged_since`. The oldest come first.
    pub(crate) async fn find_unsettled(
        &self,
        unchanged_since: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Payment>, DatabaseError> {
        self.database
            .read(move |connection| {
                let of_unknown_outcome = payments::status
                    .eq("failed")
                    .and(payments::failure_code.ne(Failure::GatewayUnavailable.code()));
                let rows: Vec<PaymentRow> = payments::table
                    .filter(payments::status.eq("pending").or(of_unknown_outcome.assume_not_null()))
                    .filter(payments::updated_at.lt(unchanged_since.naive_utc()))
                    .order(payments::updated_at)
                    .limit(limit)
                    .select(PaymentRow::as_select())
                    .load(connection)?;
                let payments: Result<_, _> = rows.into_iter().map(Payment::try_from).collect();
                Ok(payments.map_err(QueryError::from)?)
            })
            .await
    }
}

fn pending(new: NewPayment) -> Payment {
    let now = now();
    Payment {
        id: Uuid::now_v7(),
        order_id: new.order_id,
        user_id: new.user_id,
        amount: new.amount,
        method: new.method,
        state: PaymentState::Pending,
        traceparent: new.traceparent,
        created_at: now,
        updated_at: now,
    }
}

/// Whether the payment was inserted: it is not where its order has one.
fn insert(connection: &mut Connection, payment: &Payment) -> Result<bool, QueryError> {
    let row = PaymentRow::from(payment);
    let insert =
        diesel::insert_into(payments::table).values(row).on_conflict(payments::order_id).do_nothing();
    // The same text for both, but diesel writes ON CONFLICT only for a database that it knows.
    let inserted = match connection {
        Connection::Sqlite(connection) => insert.execute(connection)?,
        Connection::Postgres(connection) => insert.execute(connection)?,
    };
    Ok(inserted == 1)
}

fn find_by_order(connection: &mut Connection, order_id: Uuid) -> Result<Payment, DatabaseError> {
    let row: PaymentRow = payments::table
        .filter(payments::order_id.eq(order_id.to_string()))
        .select(PaymentRow::as_select())
        .first(connection)?;
    Ok(Payment::try_from(row).map_err(QueryError::from)?)
}

/// Whether the payment's state was written: it is not where it may not follow the one that is there.
fn update_state(connection: &mut Connection, payment: &Payment) -> Result<bool, QueryError> {
    let in_time = payments::table
        .filter(payments::id.eq(payment.id.to_string()))
        .filter(payments::status.eq_any(payment.state.may_follow()));
    let updated = diesel::update(in_time)
        .set((
            payments::status.eq(payment.state.as_str()),
            payments::transaction_id.eq(payment.state.transaction_id().map(TransactionId::as_str)),
            payments::failure_code.eq(payment.state.failure_code()),
            payments::updated_at.eq(payment.updated_at.naive_utc()),
        ))
        .execute(connection)?;
    Ok(updated == 1)
}

/// Makes a failed payment pending again. Whether it did: another request may have been faster.
fn reopen(connection: &mut Connection, known: &Payment, again: &Payment) -> Result<bool, QueryError> {
    let unchanged = payments::table
        .filter(payments::id.eq(known.id.to_string()))
        .filter(payments::status.eq(known.state.as_str()))
        .filter(payments::updated_at.eq(known.updated_at.naive_utc()));
    let reopened = diesel::update(unchanged)
        .set((
            payments::status.eq(again.state.as_str()),
            payments::failure_code.eq(again.state.failure_code()),
            payments::user_id.eq(&again.user_id),
            payments::traceparent.eq(&again.traceparent),
            payments::updated_at.eq(again.updated_at.naive_utc()),
        ))
        .execute(connection)?;
    Ok(reopened == 1)
}

/// The current time as both databases keep it: PostgreSQL has no nanoseconds.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
