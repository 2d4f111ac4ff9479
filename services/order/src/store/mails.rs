//! Messages about mails that are to be written.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use service_kit::db::{Connection, DatabaseError};
use uuid::Uuid;

use super::orders::Orders;
use super::rows::{OrderRow, corrupt, now};
use super::schema::{mails, orders, outbox};
use crate::domain::{InvalidOrder, Mail, Order};
use crate::outbox::{Destination, Outbox};

/// A message: this order's customer is to have a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailMessage {
    /// The message's id.
    pub id: Uuid,
    /// Its PRODUCER span.
    pub traceparent: Option<String>,
}

/// Writes the message; its sender works on it until the lease ends.
pub(super) fn send(
    connection: &mut Connection,
    sender: &Outbox,
    order: &Order,
    lease_end: DateTime<Utc>,
) -> Result<MailMessage, QueryError> {
    let id = Uuid::now_v7();
    sender.send(Destination::Mails, id, |traceparent| {
        let row = MessageRow {
            id: id.to_string(),
            destination: Destination::Mails.as_str().to_owned(),
            order_id: order.id.to_string(),
            traceparent: traceparent.clone(),
            created_at: now().naive_utc(),
            due_at: lease_end.naive_utc(),
            attempts: 0,
        };
        diesel::insert_into(outbox::table).values(&row).execute(connection)?;
        Ok(MailMessage { id, traceparent })
    })
}

impl Orders {
    /// Takes messages that nobody works on any more, with their orders. They are the caller's until the lease ends, and
    /// then everybody's again, later each time. Replicas that ask at once get different ones.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_mails(&self, limit: i64) -> Result<Vec<(MailMessage, Order)>, DatabaseError> {
        let is_any = self
            .database
            .read(move |connection: &mut Connection| {
                let due = outbox::table.filter(outbox::due_at.le(now().naive_utc()));
                Ok::<bool, DatabaseError>(diesel::select(diesel::dsl::exists(due)).get_result(connection)?)
            })
            .await?;
        if !is_any {
            return Ok(Vec::new());
        }
        let lease = self.lease;
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let rows = lock_due(connection, limit)?;
                    rows.into_iter().map(|row| claim(connection, row, lease)).collect()
                })
            })
            .await
    }

    /// Puts the mail to those that are to be sent, once for an order, and deletes the message.
    ///
    /// # Errors
    /// Where the database fails; then the message stays.
    pub async fn insert_mail(
        &self,
        message: &MailMessage,
        order: &Order,
        mail: Mail,
    ) -> Result<(), DatabaseError> {
        let message_id = message.id.to_string();
        let row = MailRow {
            id: message_id.clone(),
            order_id: order.id.to_string(),
            user_id: order.user_id.clone(),
            subject: mail.subject,
            body: mail.body,
            created_at: now().naive_utc(),
        };
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let insert = diesel::insert_into(mails::table).values(&row).on_conflict_do_nothing();
                    // diesel has ON CONFLICT for each of the databases, not for their union.
                    match connection {
                        Connection::Sqlite(connection) => insert.execute(connection)?,
                        Connection::Postgres(connection) => insert.execute(connection)?,
                    };
                    diesel::delete(outbox::table.find(message_id)).execute(connection)?;
                    Ok(())
                })
            })
            .await
    }
}

fn lock_due(connection: &mut Connection, limit: i64) -> Result<Vec<MessageRow>, QueryError> {
    let due = outbox::table.filter(outbox::due_at.le(now().naive_utc())).order(outbox::due_at).limit(limit);
    match connection {
        Connection::Sqlite(connection) => due.select(MessageRow::as_select()).load(connection),
        Connection::Postgres(connection) => {
            due.select(MessageRow::as_select()).for_update().skip_locked().load(connection)
        }
    }
}

fn claim(
    connection: &mut Connection,
    row: MessageRow,
    lease: TimeDelta,
) -> Result<(MailMessage, Order), DatabaseError> {
    // Doubled each time, up to an hour or so for a lease of half a minute.
    let until = now() + lease * (1 << row.attempts.clamp(0, 7));
    diesel::update(outbox::table.find(&row.id))
        .set((outbox::due_at.eq(until.naive_utc()), outbox::attempts.eq(row.attempts.saturating_add(1))))
        .execute(connection)?;
    let order: OrderRow =
        orders::table.find(&row.order_id).select(OrderRow::as_select()).get_result(connection)?;
    let id = row.id.parse().map_err(|_| corrupt(InvalidOrder::Id))?;
    Ok((MailMessage { id, traceparent: row.traceparent }, order.into_order().map_err(corrupt)?))
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox)]
struct MessageRow {
    id: String,
    destination: String,
    order_id: String,
    traceparent: Option<String>,
    created_at: chrono::NaiveDateTime,
    due_at: chrono::NaiveDateTime,
    attempts: i32,
}

#[derive(Insertable)]
#[diesel(table_name = mails)]
struct MailRow {
    id: String,
    order_id: String,
    user_id: String,
    subject: String,
    body: String,
    created_at: chrono::NaiveDateTime,
}
