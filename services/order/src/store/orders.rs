//! Every statement on orders.

use chrono::{NaiveDateTime, Utc};
use diesel::prelude::*;
use service_kit::db::{Connection, Database, DatabaseError};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::schema::{mails, orders};
use crate::domain::{Amount, Customer, InvalidOrder, Mail, NewOrder, Order, OrderStatus, Quantity};

/// The orders of this service. Cheap to clone.
#[derive(Clone)]
pub struct Orders {
    database: Database,
    changes: broadcast::Sender<Uuid>,
}

/// How many changes may wait for a slow reader; one that misses some is told so, and reads again.
const CHANGES_KEPT: usize = 256;

impl Orders {
    /// The orders in this database.
    pub fn new(database: Database) -> Self {
        Self { database, changes: broadcast::Sender::new(CHANGES_KEPT) }
    }

    /// The ids of orders that this process changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changes.subscribe()
    }

    /// Stores a new order as pending, with the trace it is placed in.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn insert(&self, new: NewOrder, customer: &Customer) -> Result<Order, DatabaseError> {
        let now = Utc::now();
        let order = Order {
            id: Uuid::now_v7(),
            tenant_id: customer.tenant_id.clone(),
            user_id: customer.user_id.clone(),
            product_id: new.product_id,
            quantity: new.quantity,
            order_type: new.order_type,
            payment_method: new.payment_method,
            status: OrderStatus::Pending,
            failure_code: None,
            amount: None,
            created_at: now,
            updated_at: now,
        };
        let row = OrderRow::new(&order, telemetry_core::span::traceparent());
        self.database
            .write(move |connection| {
                diesel::insert_into(orders::table).values(&row).execute(connection)?;
                Ok::<_, DatabaseError>(())
            })
            .await?;
        Ok(order)
    }

    /// The goods are reserved at this price; the payment comes next.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_reserved(&self, order: &mut Order, amount: Amount) -> Result<(), DatabaseError> {
        let change = OrderChange {
            amount_minor: Some(amount.minor),
            currency: Some(amount.currency.clone()),
            ..OrderChange::to(OrderStatus::Reserved)
        };
        self.change(order, change).await?;
        order.amount = Some(amount);
        Ok(())
    }

    /// The payment is made; taking the goods out of the stock comes next.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_paid(&self, order: &mut Order, payment_id: &str) -> Result<(), DatabaseError> {
        let change =
            OrderChange { payment_id: Some(payment_id.to_owned()), ..OrderChange::to(OrderStatus::Paid) };
        self.change(order, change).await
    }

    /// The order is done.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_confirmed(&self, order: &mut Order) -> Result<(), DatabaseError> {
        self.change(order, OrderChange::to(OrderStatus::Confirmed)).await
    }

    /// The order has failed, and nothing of it is left to give back.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_failed(&self, order: &mut Order, code: &str) -> Result<(), DatabaseError> {
        let change =
            OrderChange { failure_code: Some(code.to_owned()), ..OrderChange::to(OrderStatus::Failed) };
        self.change(order, change).await?;
        order.failure_code = Some(code.to_owned());
        Ok(())
    }

    /// The order will fail, and what it has taken must still be given back: its status stays.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn set_failing(&self, order: &mut Order, code: &str) -> Result<(), DatabaseError> {
        let change = OrderChange { failure_code: Some(code.to_owned()), ..OrderChange::to(order.status) };
        self.change(order, change).await?;
        order.failure_code = Some(code.to_owned());
        Ok(())
    }

    async fn change(&self, order: &mut Order, change: OrderChange) -> Result<(), DatabaseError> {
        let (id, status) = (order.id.to_string(), change.status);
        order.updated_at = change.updated_at.and_utc();
        self.database
            .write(move |connection| {
                diesel::update(orders::table.find(id)).set(&change).execute(connection)?;
                Ok::<_, DatabaseError>(())
            })
            .await?;
        order.status = status.parse().expect("a change is made to a status");
        // Nobody may be listening.
        let _ = self.changes.send(order.id);
        Ok(())
    }

    /// The customer's own order; another's is as unknown as one that never was.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn find(&self, id: Uuid, customer: &Customer) -> Result<Option<Order>, DatabaseError> {
        let (tenant_id, user_id) = (customer.tenant_id.clone(), customer.user_id.clone());
        let row = self
            .database
            .read(move |connection: &mut Connection| {
                orders::table
                    .find(id.to_string())
                    .filter(orders::tenant_id.eq(tenant_id))
                    .filter(orders::user_id.eq(user_id))
                    .select(OrderRow::as_select())
                    .first(connection)
                    .optional()
                    .map_err(DatabaseError::from)
            })
            .await?;
        row.map(|row| row.into_order().map_err(corrupt)).transpose()
    }

    /// The customer's own orders, the latest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn list(
        &self,
        customer: &Customer,
        limit: i64,
        offset: i64,
    ) -> Result<Vec<Order>, DatabaseError> {
        let (tenant_id, user_id) = (customer.tenant_id.clone(), customer.user_id.clone());
        let rows = self
            .database
            .read(move |connection: &mut Connection| {
                orders::table
                    .filter(orders::tenant_id.eq(tenant_id))
                    .filter(orders::user_id.eq(user_id))
                    .order((orders::created_at.desc(), orders::id.desc()))
                    .limit(limit)
                    .offset(offset)
                    .select(OrderRow::as_select())
                    .load(connection)
                    .map_err(DatabaseError::from)
            })
            .await?;
        rows.into_iter().map(|row| row.into_order().map_err(corrupt)).collect()
    }

    /// Puts a mail about an order to those that are to be sent.
    ///
    /// # Errors
    /// Where the database fails, or there is one for this order already.
    pub async fn insert_mail(&self, order: &Order, mail: Mail) -> Result<(), DatabaseError> {
        let row = MailRow {
            id: Uuid::now_v7().to_string(),
            order_id: order.id.to_string(),
            user_id: order.user_id.clone(),
            subject: mail.subject,
            body: mail.body,
            created_at: Utc::now().naive_utc(),
        };
        self.database
            .write(move |connection| {
                diesel::insert_into(mails::table).values(&row).execute(connection)?;
                Ok::<_, DatabaseError>(())
            })
            .await
    }
}

/// A row that this service did not write.
fn corrupt(error: InvalidOrder) -> DatabaseError {
    diesel::result::Error::DeserializationError(error.into()).into()
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orders)]
struct OrderRow {
    id: String,
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
    traceparent: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl OrderRow {
    fn new(order: &Order, traceparent: Option<String>) -> Self {
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
        }
    }

    fn into_order(self) -> Result<Order, InvalidOrder> {
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
        })
    }
}

/// What changes; a field that is none stays as it is.
#[derive(AsChangeset)]
#[diesel(table_name = orders)]
struct OrderChange {
    status: &'static str,
    failure_code: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    payment_id: Option<String>,
    updated_at: NaiveDateTime,
}

impl OrderChange {
    fn to(status: OrderStatus) -> Self {
        Self {
            status: status.as_str(),
            failure_code: None,
            amount_minor: None,
            currency: None,
            payment_id: None,
            updated_at: Utc::now().naive_utc(),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = mails)]
struct MailRow {
    id: String,
    order_id: String,
    user_id: String,
    subject: String,
    body: String,
    created_at: NaiveDateTime,
}
