//! Placing an order, bringing it on, reading it.
//!
//! Who changes an order has read it before, and changes it only where it is still as it was read (its version): of two
//! that work on one order, because the first was slow and recovery took it, one goes on, and the other learns of it. A
//! change, the event that tells of it, and the messages it causes are one transaction.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::result::Error as QueryError;
use service_kit::db::{Connection, Database, DatabaseError};
use service_kit::page::Page;
use service_kit::user::User;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::mails::{self, MailMessage};
use super::rows::{EventRow, OrderChange, OrderRow, corrupt, now};
use super::schema::{order_events, order_states, orders};
use crate::domain::{Amount, NewOrder, Order, OrderEvent, OrderFilter, OrderStatus};
use crate::outbox::{Change, Changes, Destination, Outbox};

/// The orders of this service. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    pub(super) database: Database,
    outbox: Outbox,
    changes: Changes,
    /// For how long who has changed an order works on it.
    pub(super) lease: TimeDelta,
}

/// An order was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else has changed it meanwhile, and works on it now.
    #[error("the order was changed by somebody else")]
    Conflict,
    /// Nobody knows whether it was changed.
    #[error("the order could not be changed")]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for ChangeError {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

impl Orders {
    /// The orders in this database. Who changes one is left alone with it for `lease`, longer than any step takes.
    pub fn new(database: Database, outbox: Outbox, changes: Changes, lease: Duration) -> Self {
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        Self { database, outbox, changes, lease }
    }

    /// What changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.watch()
    }

    /// When others may take what is changed now.
    pub(super) fn lease_end(&self) -> DateTime<Utc> {
        now() + self.lease
    }

    /// Stores a new order under this id as pending, with the trace it is placed in.
    ///
    /// # Errors
    /// Where the database fails, or has an order of this id.
    pub async fn insert(&self, id: Uuid, new: NewOrder, customer: &User) -> Result<Order, DatabaseError> {
        let now = now();
        let order = Order {
            id,
            tenant_id: customer.tenant_id.clone(),
            user_id: customer.id.clone(),
            product_id: new.product_id,
            quantity: new.quantity,
            order_type: new.order_type,
            payment_method: new.payment_method,
            status: OrderStatus::Pending,
            failure_code: None,
            amount: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let row = OrderRow::new(&order, telemetry_core::span::traceparent(), self.lease_end());
        let (placed, outbox) = (order.clone(), self.outbox.clone());
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    diesel::insert_into(orders::table).values(&row).execute(connection)?;
                    send_event(connection, &outbox, &placed)?;
                    Ok::<_, DatabaseError>(())
                })
            })
            .await?;
        Ok(order)
    }

    /// The goods are reserved at this price; the payment comes next.
    ///
    /// # Errors
    /// Where the order was not changed; the order stays as it was.
    pub async fn set_reserved(&self, order: &mut Order, amount: Amount) -> Result<(), ChangeError> {
        let change = OrderChange {
            amount_minor: Some(amount.minor),
            currency: Some(amount.currency.clone()),
            ..self.change_to(OrderStatus::Reserved)
        };
        self.change(order, change, Some(amount)).await?;
        Ok(())
    }

    /// The payment is made; taking the goods out of the stock comes next.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_paid(&self, order: &mut Order, payment_id: &str) -> Result<(), ChangeError> {
        let change =
            OrderChange { payment_id: Some(payment_id.to_owned()), ..self.change_to(OrderStatus::Paid) };
        self.change(order, change, None).await?;
        Ok(())
    }

    /// The order is done, and the customer is to have a mail about it: the message is the caller's to work on.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_confirmed(&self, order: &mut Order) -> Result<MailMessage, ChangeError> {
        let sent = self.change(order, self.change_to(OrderStatus::Confirmed), None).await?;
        Ok(sent.expect("a confirmed order has a mail"))
    }

    /// The order fails for the reason with this code, and what it has taken must still be given back.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_failing(&self, order: &mut Order, code: &str) -> Result<(), ChangeError> {
        let change =
            OrderChange { failure_code: Some(code.to_owned()), ..self.change_to(OrderStatus::Failing) };
        self.change(order, change, None).await?;
        Ok(())
    }

    /// The order has failed for the reason with this code, and nothing of it is left to give back.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_failed(&self, order: &mut Order, code: &str) -> Result<(), ChangeError> {
        let change =
            OrderChange { failure_code: Some(code.to_owned()), ..self.change_to(OrderStatus::Failed) };
        self.change(order, change, None).await?;
        Ok(())
    }

    /// The customer has called the order off, and what it has taken must still be given back.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_cancelling(&self, order: &mut Order) -> Result<(), ChangeError> {
        self.change(order, self.change_to(OrderStatus::Cancelling), None).await?;
        Ok(())
    }

    /// The order is called off, and nothing of it is left to give back.
    ///
    /// # Errors
    /// As [`Orders::set_reserved`].
    pub async fn set_cancelled(&self, order: &mut Order) -> Result<(), ChangeError> {
        self.change(order, self.change_to(OrderStatus::Cancelled), None).await?;
        Ok(())
    }

    fn change_to(&self, status: OrderStatus) -> OrderChange {
        OrderChange::to(status, now(), self.lease_end())
    }

    async fn change(
        &self,
        order: &mut Order,
        change: OrderChange,
        amount: Option<Amount>,
    ) -> Result<Option<MailMessage>, ChangeError> {
        let changed = Order {
            status: change.status.parse().expect("a change is made to a status"),
            failure_code: change.failure_code.clone().or_else(|| order.failure_code.clone()),
            amount: amount.or_else(|| order.amount.clone()),
            updated_at: change.updated_at.and_utc(),
            version: order.version + 1,
            ..order.clone()
        };
        let (known, outbox, lease_end) = (order.version, self.outbox.clone(), self.lease_end());
        let (changed, mail) = self
            .database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let unchanged = order_states::table
                        .find(changed.id.to_string())
                        .filter(order_states::version.eq(known));
                    let rows = diesel::update(unchanged)
                        .set((&change, order_states::version.eq(changed.version)))
                        .execute(connection)?;
                    if rows == 0 {
                        return Err(ChangeError::Conflict);
                    }
                    send_event(connection, &outbox, &changed)?;
                    let mail = match changed.status {
                        OrderStatus::Confirmed => {
                            Some(mails::send(connection, &outbox, &changed, lease_end)?)
                        }
                        _ => None,
                    };
                    Ok((changed, mail))
                })
            })
            .await?;
        *order = changed;
        self.changes.tell(order.id);
        Ok(mail)
    }

    /// The customer's own order; another's is as unknown as one that never was.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn find(&self, id: Uuid, customer: &User) -> Result<Option<Order>, DatabaseError> {
        let (tenant_id, user_id) = (customer.tenant_id.clone(), customer.id.clone());
        self.database
            .read(move |connection: &mut Connection| {
                let row: Option<OrderRow> = orders::table
                    .find(id.to_string())
                    .filter(orders::tenant_id.eq(tenant_id))
                    .filter(orders::user_id.eq(user_id))
                    .select(OrderRow::as_select())
                    .get_result(connection)
                    .optional()?;
                row.map(|row| row.into_order().map_err(corrupt)).transpose()
            })
            .await
    }

    /// What became of an order since it had this version, the oldest first; with 0, its whole history.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn events(&self, id: Uuid, since: i64) -> Result<Vec<OrderEvent>, DatabaseError> {
        self.database
            .read(move |connection: &mut Connection| {
                let rows: Vec<EventRow> = order_events::table
                    .filter(order_events::order_id.eq(id.to_string()))
                    .filter(order_events::version.gt(since))
                    .order(order_events::version)
                    .select(EventRow::as_select())
                    .load(connection)?;
                rows.into_iter().map(|row| row.into_event().map_err(corrupt)).collect()
            })
            .await
    }

    /// The customer's own orders that are wanted, the latest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn list(
        &self,
        customer: &User,
        filter: OrderFilter,
        page: Page,
    ) -> Result<Vec<Order>, DatabaseError> {
        let (tenant_id, user_id) = (customer.tenant_id.clone(), customer.id.clone());
        let rows: Vec<OrderRow> = self
            .database
            .read(move |connection: &mut Connection| {
                let mut wanted = orders::table
                    .filter(orders::tenant_id.eq(tenant_id))
                    .filter(orders::user_id.eq(user_id))
                    .into_boxed();
                if let Some(status) = filter.status {
                    wanted = wanted.filter(orders::status.eq(status.as_str()));
                }
                if let Some(from) = filter.from {
                    wanted = wanted.filter(orders::created_at.ge(from.naive_utc()));
                }
                if let Some(before) = filter.before {
                    wanted = wanted.filter(orders::created_at.lt(before.naive_utc()));
                }
                wanted
                    .order((orders::created_at.desc(), orders::id.desc()))
                    .limit(page.limit)
                    .offset(page.offset)
                    .select(OrderRow::as_select())
                    .load(connection)
                    .map_err(DatabaseError::from)
            })
            .await?;
        rows.into_iter().map(|row| row.into_order().map_err(corrupt)).collect()
    }
}

/// Writes what the order is now to its history, which is the message to whoever watches it.
fn send_event(connection: &mut Connection, outbox: &Outbox, order: &Order) -> Result<(), QueryError> {
    let message_id = Uuid::now_v7();
    outbox.send(Destination::Events, message_id, |traceparent| {
        let row = EventRow::of(order, message_id, traceparent);
        diesel::insert_into(order_events::table).values(&row).execute(connection)?;
        Ok(())
    })
}
