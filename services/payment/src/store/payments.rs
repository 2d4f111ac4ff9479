//! Payments in the database.
//!
//! Who writes has read before, and writes only where the row is still as it was read: of two that settle
//! a payment at once, one does, and the other gets to know what became of it.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use service_kit::db::{Connection, Database, DatabaseError};
use service_kit::page::Page;
use uuid::Uuid;

use super::rows::PaymentRow;
use super::schema::payments;
use crate::domain::{Cancellation, Failure, NewPayment, Payment, PaymentState, Record, TransactionId};

#[derive(Clone)]
pub(crate) struct Payments {
    database: Database,
    /// For how long at most somebody who began a payment is still at it.
    asking: TimeDelta,
}

/// What became of beginning a payment.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It is written down as pending, and the gateway may be asked.
    Now(Payment),
    /// The same; but somebody else was at it, who left it, and may have asked the gateway.
    Again(Payment),
    /// There is a record of the order already, of whatever content.
    Before(Record),
}

impl Payments {
    pub(crate) fn new(database: Database, asking: TimeDelta) -> Self {
        Self { database, asking }
    }

    /// Writes the payment down as pending, before anyone is asked for money. Of two that begin the same
    /// order's payment at once, one gets [`Begun::Now`]. A payment that was left pending, by a process that died, is
    /// begun [again](Begun::Again): the gateway knows the order, and charges it once.
    pub(crate) async fn begin(&self, new: NewPayment) -> Result<Begun, DatabaseError> {
        let asking = self.asking;
        self.database
            .write(move |connection| {
                let payment = pending(new.clone());
                if insert(connection, PaymentRow::from(&payment))? {
                    return Ok(Begun::Now(payment));
                }
                let known = match find_row(connection, new.order_id)?.try_into().map_err(QueryError::from)? {
                    Record::Payment(known) => known,
                    cancellation => return Ok(Begun::Before(cancellation)),
                };
                let again = Payment { id: known.id, created_at: known.created_at, ..payment };
                let was_left = known.state == PaymentState::Pending && known.updated_at < now() - asking;
                let may_begin = known.is_same_charge_as(&new) && (known.may_be_tried_again() || was_left);
                if may_begin && update(connection, &known, &again)? {
                    return Ok(if was_left { Begun::Again(again) } else { Begun::Now(again) });
                }
                Ok(Begun::Before(Record::Payment(known)))
            })
            .await
    }

    /// Writes down what became of a payment, unless it has changed since it was read. Gives the payment as
    /// it is now, in whichever state.
    pub(crate) async fn settle(
        &self,
        payment: Payment,
        state: PaymentState,
    ) -> Result<Payment, DatabaseError> {
        self.database
            .write(move |connection| {
                let settled = Payment { state, updated_at: now(), ..payment.clone() };
                if update(connection, &payment, &settled)? {
                    return Ok(settled);
                }
                Ok(find_row(connection, payment.order_id)?.try_into().map_err(QueryError::from)?)
            })
            .await
    }

    /// The order's record. Where there is none, one is made: then no payment of this order can begin.
    pub(crate) async fn find_or_cancel(&self, order_id: Uuid) -> Result<Record, DatabaseError> {
        self.database
            .write(move |connection| {
                let row = match find_row(connection, order_id).optional()? {
                    Some(row) => row,
                    None => {
                        let cancellation = Cancellation { order_id, at: now() };
                        if insert(connection, PaymentRow::from(&cancellation))? {
                            return Ok(Record::Cancellation(cancellation));
                        }
                        // Its payment has begun in the meantime.
                        find_row(connection, order_id)?
                    }
                };
                Ok(row.try_into().map_err(QueryError::from)?)
            })
            .await
    }

    /// The order's record.
    pub(crate) async fn find(&self, order_id: Uuid) -> Result<Option<Record>, DatabaseError> {
        self.database
            .read(move |connection| {
                let row = find_row(connection, order_id).optional()?;
                Ok(row.map(Record::try_from).transpose().map_err(QueryError::from)?)
            })
            .await
    }

    /// A user's payments, the latest first.
    pub(crate) async fn list(
        &self,
        user_id: String,
        status: Option<String>,
        page: Page,
    ) -> Result<Vec<Payment>, DatabaseError> {
        self.database
            .read(move |connection| {
                let mut wanted = payments::table
                    .filter(payments::user_id.eq(user_id))
                    // The mark of an order that is not to be paid is no payment.
                    .filter(payments::status.ne(Cancellation::STATUS))
                    .into_boxed();
                if let Some(status) = status {
                    wanted = wanted.filter(payments::status.eq(status));
                }
                let rows: Vec<PaymentRow> = wanted
                    .order((payments::created_at.desc(), payments::order_id.desc()))
                    .limit(page.limit)
                    .offset(page.offset)
                    .select(PaymentRow::as_select())
                    .load(connection)?;
                let payments: Result<_, _> = rows.into_iter().map(Payment::try_from).collect();
                Ok(payments.map_err(QueryError::from)?)
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
        order_id: new.order_id,
        id: Uuid::now_v7(),
        user_id: new.user_id,
        amount: new.amount,
        method: new.method,
        state: PaymentState::Pending,
        traceparent: new.traceparent,
        created_at: now,
        updated_at: now,
    }
}

/// Whether the row was inserted: it is not where its order has one.
fn insert(connection: &mut Connection, row: PaymentRow) -> Result<bool, QueryError> {
    let insert =
        diesel::insert_into(payments::table).values(row).on_conflict(payments::order_id).do_nothing();
    // The same text for both, but diesel writes ON CONFLICT only for a database that it knows.
    let inserted = match connection {
        Connection::Sqlite(connection) => insert.execute(connection)?,
        Connection::Postgres(connection) => insert.execute(connection)?,
    };
    Ok(inserted == 1)
}

fn find_row(connection: &mut Connection, order_id: Uuid) -> Result<PaymentRow, QueryError> {
    payments::table.find(order_id.to_string()).select(PaymentRow::as_select()).get_result(connection)
}

/// Whether the payment was changed: it is not where it is no longer as `known`.
fn update(connection: &mut Connection, known: &Payment, changed: &Payment) -> Result<bool, QueryError> {
    let unchanged = payments::table
        .find(known.order_id.to_string())
        .filter(payments::status.eq(known.state.as_str()))
        .filter(payments::updated_at.eq(known.updated_at.naive_utc()));
    let updated = diesel::update(unchanged)
        .set((
            payments::user_id.eq(&changed.user_id),
            payments::status.eq(changed.state.as_str()),
            payments::transaction_id.eq(changed.state.transaction_id().map(TransactionId::as_str)),
            payments::failure_code.eq(changed.state.failure_code()),
            payments::traceparent.eq(&changed.traceparent),
            payments::updated_at.eq(changed.updated_at.naive_utc()),
        ))
        .execute(connection)?;
    Ok(updated == 1)
}

/// The current time as both databases keep it: PostgreSQL has no nanoseconds.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
