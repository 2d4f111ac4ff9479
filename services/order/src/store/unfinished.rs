//! Taking over orders that somebody left unfinished.

use std::error::Error;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_types::Bool;
use service_kit::db::{Connection, DatabaseError};

use super::orders::{ChangeError, Orders};
use super::rows::{OrderRow, now};
use super::schema::{order_states, orders};
use crate::domain::{Claimed, Order};

/// As the index on unfinished orders says it, word for word: so both databases use it.
const UNFINISHED: &str = "status <> 'confirmed' AND status <> 'failed' AND status <> 'cancelled'";

/// Orders that a version of this service wrote that knew no leases are taken so long after their last change.
const UNLEASED_FOR: TimeDelta = TimeDelta::minutes(15);

impl Orders {
    /// Takes orders that nobody works on any more, those that have waited for longest first. They are the caller's
    /// until the lease ends. Replicas that ask at once get different ones.
    ///
    /// # Errors
    /// Where the database fails, or holds an order that this service did not write.
    pub async fn claim_unfinished(&self, limit: usize) -> Result<Vec<Claimed>, DatabaseError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let lease_end = self.lease_end();
        // Most looks find nothing, and SQLite has one connection that writes.
        let is_any = self
            .database
            .read(move |connection: &mut Connection| {
                let is_any =
                    diesel::select(diesel::dsl::exists(due(now().naive_utc()))).get_result(connection)?;
                Ok::<bool, DatabaseError>(is_any)
            })
            .await?;
        if !is_any {
            return Ok(Vec::new());
        }
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let ids = lock_due(connection, limit)?;
                    ids.iter().filter_map(|id| claim(connection, id, lease_end).transpose()).collect()
                })
            })
            .await
    }

    /// Leaves the order alone for this long. It was not brought on because something has to be waited for, or, where
    /// `is_stuck`, for a reason that waiting may not cure: that is counted.
    ///
    /// # Errors
    /// Where the order was not changed.
    pub async fn postpone(&self, order: &Order, delay: TimeDelta, is_stuck: bool) -> Result<(), ChangeError> {
        let unchanged = (order.id.to_string(), order.version);
        let due_at = (now() + delay).naive_utc();
        self.database
            .write(move |connection| {
                let (id, version) = unchanged;
                let order = order_states::table.find(id).filter(order_states::version.eq(version));
                let rows = if is_stuck {
                    diesel::update(order).set(order_states::due_at.eq(due_at)).execute(connection)?
                } else {
                    diesel::update(order)
                        .set((order_states::due_at.eq(due_at), order_states::attempts.eq(0)))
                        .execute(connection)?
                };
                if rows == 0 { Err(ChangeError::Conflict) } else { Ok(()) }
            })
            .await
    }

    /// Leaves the order to people, for this reason.
    ///
    /// # Errors
    /// Where the order was not changed.
    pub async fn park(&self, order: &Order, reason: &str) -> Result<(), ChangeError> {
        let (id, version, reason) = (order.id.to_string(), order.version, reason.to_owned());
        self.database
            .write(move |connection| {
                let rows =
                    diesel::update(order_states::table.find(id).filter(order_states::version.eq(version)))
                        .set((
                            order_states::parked_reason.eq(reason),
                            order_states::due_at.eq(None::<NaiveDateTime>),
                        ))
                        .execute(connection)?;
                if rows == 0 { Err(ChangeError::Conflict) } else { Ok(()) }
            })
            .await
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn due(now: NaiveDateTime) -> _ {
    let unleased_since: NaiveDateTime = now - UNLEASED_FOR;
    let is_unfinished: SqlLiteral<Bool> = sql::<Bool>(UNFINISHED);
    order_states::table.filter(is_unfinished).filter(order_states::parked_reason.is_null()).filter(
        order_states::due_at
            .le(now)
            .or(order_states::due_at.is_null().and(order_states::updated_at.le(unleased_since))),
    )
}

/// The ids of those that are due. On PostgreSQL the rows are locked, and those that another replica is just taking are
/// left out.
fn lock_due(connection: &mut Connection, limit: i64) -> Result<Vec<String>, QueryError> {
    let ids = due(now().naive_utc()).order(order_states::due_at).limit(limit).select(order_states::id);
    match connection {
        Connection::Sqlite(connection) => ids.load(connection),
        Connection::Postgres(connection) => ids.for_update().skip_locked().load(connection),
    }
}

/// The version makes sure that whoever had the order before changes it no more. An order that nobody here wrote is
/// parked, so that it is in nobody's way.
fn claim(
    connection: &mut Connection,
    id: &str,
    lease_end: DateTime<Utc>,
) -> Result<Option<Claimed>, DatabaseError> {
    let unclaimed = order_states::table.find(id);
    let attempts: i32 = diesel::update(unclaimed)
        .set((
            order_states::version.eq(order_states::version + 1),
            order_states::attempts.eq(order_states::attempts + 1),
            order_states::due_at.eq(lease_end.naive_utc()),
        ))
        .returning(order_states::attempts)
        .get_result(connection)?;
    let row: OrderRow = orders::table.find(id).select(OrderRow::as_select()).get_result(connection)?;
    let traceparent = row.traceparent.clone();
    match row.into_order() {
        Ok(order) => Ok(Some(Claimed { order, traceparent, attempts })),
        Err(error) => {
            tracing::error!(order.id = id, error = &error as &(dyn Error + 'static), "an order was parked");
            diesel::update(unclaimed)
                .set((
                    order_states::parked_reason.eq("unreadable"),
                    order_states::due_at.eq(None::<NaiveDateTime>),
                ))
                .execute(connection)?;
            Ok(None)
        }
    }
}
