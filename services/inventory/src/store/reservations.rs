//! Reservations in the database, and the stock they take.
//!
//! An order has one row, and whatever happens to it first writes that row: so of two requests for one
//! order, one waits for the other and sees what it did. The row is always written before its product's
//! stock, so two transactions never wait each for the other.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamp};
use service_kit::db::{Connection, Database, DatabaseError};
use uuid::Uuid;

use super::rows::{ForeignRow, ReservationRow, state};
use super::schema::{products, reservations, stock};
use crate::domain::{NewReservation, OrderId, Reservation, ReservationState, Settlement};

#[derive(Clone)]
pub(crate) struct Reservations {
    database: Database,
}

/// What reserving came to.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// Stock was set aside.
    Now(Reservation),
    /// The same was asked before, and this was the answer.
    Before(Reservation),
}

/// A reservation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) order: OrderId,
    /// The trace in which it was made.
    pub(crate) traceparent: Option<String>,
}

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReserveError {
    #[error("there is no such product")]
    UnknownProduct,
    #[error("fewer pieces are left than are wanted")]
    OutOfStock,
    #[error("the order has a reservation of another product or quantity")]
    Conflict,
    #[error("the order has been released")]
    Released,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for ReserveError {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

/// What settling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The reservation has ended.
    Now,
    /// It had ended this way before.
    Before,
    /// There was none: the order is released ahead of it.
    Ahead,
}

/// Why a reservation did not end this way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error("the order has no reservation")]
    UnknownReservation,
    /// It has ended the other way.
    #[error("the reservation is {}", .0.as_str())]
    Conflict(ReservationState),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for SettleError {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

impl Reservations {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Sets stock aside for an order. An order that has the same already keeps it.
    ///
    /// The statement that takes the stock also decides whether there is enough of it, so orders that
    /// race cannot take more than there is.
    pub(crate) async fn reserve(&self, wanted: NewReservation) -> Result<Reserved, ReserveError> {
        self.database
            .write(move |connection| {
                connection.transaction(|connection| match insert(connection, wanted)? {
                    Some(reservation) if take_stock(connection, wanted)? => Ok(Reserved::Now(reservation)),
                    Some(_) => Err(ReserveError::OutOfStock),
                    None => find_earlier(connection, wanted),
                })
            })
            .await
    }

    /// Reservations that have been open since before `made_before`, the oldest first.
    pub(crate) async fn find_open(
        &self,
        made_before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<Open>, DatabaseError> {
        self.database
            .read(move |connection| {
                let open: Vec<(String, Option<String>)> = reservations::table
                    // As the index on them says it, word for word: so both databases use it.
                    .filter(sql::<Bool>("state = 'reserved'"))
                    .filter(reservations::created_at.lt(made_before.naive_utc()))
                    .order(reservations::created_at)
                    .limit(limit)
                    .select((reservations::order_id, reservations::traceparent))
                    .load(connection)?;
                let open = open.into_iter().map(|(order, traceparent)| {
                    let order: Uuid = order
                        .parse()
                        .map_err(|_| ForeignRow("reservations.order_id"))
                        .map_err(QueryError::from)?;
                    Ok(Open { order: order.into(), traceparent })
                });
                open.collect()
            })
            .await
    }

    /// Ends the order's reservation. One that has ended this way already stays as it is.
    pub(crate) async fn settle(
        &self,
        order: OrderId,
        settlement: Settlement,
    ) -> Result<Settled, SettleError> {
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let ended = match settlement {
                        Settlement::Commit => commit(connection, order)?,
                        Settlement::Release => release(connection, order)?,
                    };
                    match ended {
                        Some((Some(product), Some(quantity))) => {
                            give_stock(connection, product, quantity, settlement)?;
                            Ok(Settled::Now)
                        }
                        Some(_) => Ok(Settled::Ahead),
                        None => match find_state(connection, order)? {
                            Some(state) if state == settlement.outcome() => Ok(Settled::Before),
                            Some(state) => Err(SettleError::Conflict(state)),
                            None => Err(SettleError::UnknownReservation),
                        },
                    }
                })
            })
            .await
    }
}

/// Inserts a reservation at the product's price of this moment. `None` where there is no such product,
/// or where the order has a row already; one that is being written elsewhere is waited for.
fn insert(connection: &mut Connection, wanted: NewReservation) -> Result<Option<Reservation>, QueryError> {
    let row = products::table.filter(products::id.eq(wanted.product_id.to_string())).select((
        wanted.order_id.to_string().into_sql::<Text>(),
        products::id.nullable(),
        wanted.quantity.get().into_sql::<Nullable<BigInt>>(),
        products::price_minor.nullable(),
        products::currency.nullable(),
        ReservationState::Reserved.as_str().into_sql::<Text>(),
        Utc::now().naive_utc().into_sql::<Timestamp>(),
        telemetry_core::span::traceparent().into_sql::<Nullable<Text>>(),
    ));
    let insert = diesel::insert_into(reservations::table)
        .values(row)
        .into_columns((
            reservations::order_id,
            reservations::product_id,
            reservations::quantity,
            reservations::unit_price_minor,
            reservations::currency,
            reservations::state,
            reservations::created_at,
            reservations::traceparent,
        ))
        .on_conflict_do_nothing();
    // diesel has ON CONFLICT for each of the databases, not for their union.
    let inserted: Option<ReservationRow> = match connection {
        Connection::Sqlite(connection) => {
            insert.returning(ReservationRow::as_returning()).get_result(connection).optional()?
        }
        Connection::Postgres(connection) => {
            insert.returning(ReservationRow::as_returning()).get_result(connection).optional()?
        }
    };
    Ok(inserted.map(Reservation::try_from).transpose()?)
}

/// Takes the wanted pieces, if so many are left.
fn take_stock(connection: &mut Connection, wanted: NewReservation) -> Result<bool, QueryError> {
    let quantity = wanted.quantity.get();
    let changed = diesel::update(stock::table.find(wanted.product_id.to_string()))
        .filter((stock::on_hand - stock::reserved).ge(quantity))
        .set(stock::reserved.eq(stock::reserved + quantity))
        .execute(connection)?;
    Ok(changed == 1)
}

/// The order's reservation, where it is of what is wanted and has not been released.
fn find_earlier(connection: &mut Connection, wanted: NewReservation) -> Result<Reserved, ReserveError> {
    let row: Option<ReservationRow> = reservations::table
        .find(wanted.order_id.to_string())
        .select(ReservationRow::as_select())
        .get_result(connection)
        .optional()?;
    // Neither inserted nor there: the product was missing.
    let row = row.ok_or(ReserveError::UnknownProduct)?;
    if row.state().map_err(QueryError::from)? == ReservationState::Released {
        return Err(ReserveError::Released);
    }
    let reservation = Reservation::try_from(row).map_err(QueryError::from)?;
    if reservation.wanted == wanted { Ok(Reserved::Before(reservation)) } else { Err(ReserveError::Conflict) }
}

/// The product and the pieces of a reservation that has just ended; neither, where there was none.
type Ended = (Option<String>, Option<i64>);

/// Commits a reservation that has not ended. `None` where there is no such.
fn commit(connection: &mut Connection, order: OrderId) -> Result<Option<Ended>, QueryError> {
    diesel::update(reservations::table.find(order.to_string()))
        .filter(reservations::state.eq(ReservationState::Reserved.as_str()))
        .set((
            reservations::state.eq(ReservationState::Committed.as_str()),
            reservations::settled_at.eq(Utc::now().naive_utc()),
        ))
        .returning((reservations::product_id, reservations::quantity))
        .get_result(connection)
        .optional()
}

/// Releases a reservation that has not ended, or inserts a released row where the order has none. `None`
/// where it has ended.
///
/// It is one statement, so that no reservation comes between looking for one and refusing it.
fn release(connection: &mut Connection, order: OrderId) -> Result<Option<Ended>, QueryError> {
    // For the condition of DO UPDATE; elsewhere it would be in the way of `QueryDsl::filter`.
    use diesel::query_dsl::methods::FilterDsl as _;

    let now = Utc::now().naive_utc();
    let released =
        (reservations::state.eq(ReservationState::Released.as_str()), reservations::settled_at.eq(now));
    let upsert = diesel::insert_into(reservations::table)
        .values((reservations::order_id.eq(order.to_string()), reservations::created_at.eq(now), released))
        .on_conflict(reservations::order_id)
        .do_update()
        .set(released)
        .filter(reservations::state.eq(ReservationState::Reserved.as_str()))
        .returning((reservations::product_id, reservations::quantity));
    match connection {
        Connection::Sqlite(connection) => upsert.get_result(connection).optional(),
        Connection::Postgres(connection) => upsert.get_result(connection).optional(),
    }
}

/// Gives back what was reserved, but for what is sold.
fn give_stock(
    connection: &mut Connection,
    product: String,
    quantity: i64,
    settlement: Settlement,
) -> Result<(), QueryError> {
    diesel::update(stock::table.find(product))
        .set((
            stock::on_hand.eq(stock::on_hand - settlement.sold(quantity)),
            stock::reserved.eq(stock::reserved - quantity),
        ))
        .execute(connection)?;
    Ok(())
}

fn find_state(connection: &mut Connection, order: OrderId) -> Result<Option<ReservationState>, QueryError> {
    let text: Option<String> = reservations::table
        .find(order.to_string())
        .select(reservations::state)
        .get_result(connection)
        .optional()?;
    Ok(text.as_deref().map(state).transpose()?)
}
