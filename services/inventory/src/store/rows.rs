//! Rows, and the domain types they stand for.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::{products, reservations, stock};
use crate::domain::{
    Amount, Category, Currency, NewProduct, NewReservation, Price, Product, ProductChange, ProductId,
    ProductName, Quantity, Reservation, ReservationState, Sku,
};

// Columns that are always given: so SQLite, too, takes many rows by one statement.
#[derive(Insertable)]
#[diesel(table_name = products, treat_none_as_default_value = false)]
pub(super) struct NewProductRow<'a> {
    id: String,
    sku: &'a str,
    name: &'a str,
    category: &'a str,
    price_minor: i64,
    currency: &'a str,
    created_at: NaiveDateTime,
}

impl<'a> NewProductRow<'a> {
    pub(super) fn new(id: ProductId, product: &'a NewProduct, created_at: NaiveDateTime) -> Self {
        Self {
            id: id.to_string(),
            sku: product.sku.as_str(),
            name: product.name.as_str(),
            category: product.category.as_str(),
            price_minor: product.price.amount.minor(),
            currency: product.price.currency.as_str(),
            created_at,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = stock, treat_none_as_default_value = false)]
pub(super) struct NewStockRow {
    product_id: String,
    on_hand: i64,
    reserved: i64,
}

impl NewStockRow {
    pub(super) fn new(id: ProductId, product: &NewProduct) -> Self {
        Self { product_id: id.to_string(), on_hand: product.stock.get(), reserved: 0 }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = products)]
pub(super) struct ProductRow {
    id: String,
    sku: String,
    name: String,
    category: String,
    price_minor: i64,
    currency: String,
    created_at: NaiveDateTime,
    version: i64,
}

impl ProductRow {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = stock)]
pub(super) struct StockRow {
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
}

pub(super) struct AdjustmentRow {
    pub(super) id: String,
    pub(super) product_id: String,
    pub(super) change: i64,
    pub(super) reason: String,
    pub(super) user_id: String,
    pub(super) created_at: NaiveDateTime,
}

/// What is `None` stays as it is.
#[derive(AsChangeset)]
#[diesel(table_name = products)]
pub(super) struct ProductChangeRow {
    name: Option<String>,
    category: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    version: i64,
}

impl ProductChangeRow {
    pub(super) fn new(change: &ProductChange) -> Self {
        Self {
            name: change.name.as_ref().map(|name| name.as_str().to_owned()),
            category: change.category.as_ref().map(|category| category.as_str().to_owned()),
            price_minor: change.price.map(|price| price.amount.minor()),
            currency: change.price.map(|price| price.currency.as_str().to_owned()),
            version: change.version + 1,
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = reservations)]
pub(super) struct ReservationRow {
    order_id: String,
    product_id: Option<String>,
    quantity: Option<i64>,
    unit_price_minor: Option<i64>,
    currency: Option<String>,
    state: String,
}

impl ReservationRow {
    pub(super) fn state(&self) -> Result<ReservationState, ForeignRow> {
        state(&self.state)
    }
}

/// A row that no version of this service wrote.
#[derive(Debug, thiserror::Error)]
#[error("the column {0} holds what was never written there")]
pub(super) struct ForeignRow(pub(super) &'static str);

impl From<ForeignRow> for diesel::result::Error {
    fn from(row: ForeignRow) -> Self {
        Self::DeserializationError(Box::new(row))
    }
}

impl TryFrom<(ProductRow, StockRow)> for Product {
    type Error = ForeignRow;

    fn try_from((product, stock): (ProductRow, StockRow)) -> Result<Self, ForeignRow> {
        let amount =
            Amount::from_minor(product.price_minor).map_err(|_| ForeignRow("products.price_minor"))?;
        let currency = Currency::parse(&product.currency).map_err(|_| ForeignRow("products.currency"))?;
        Ok(Self {
            id: id(&product.id, "products.id")?.into(),
            sku: Sku::parse(&product.sku).map_err(|_| ForeignRow("products.sku"))?,
            name: ProductName::parse(&product.name).map_err(|_| ForeignRow("products.name"))?,
            category: Category::parse(&product.category).map_err(|_| ForeignRow("products.category"))?,
            price: Price { amount, currency },
            available: stock.on_hand - stock.reserved,
            created_at: product.created_at.and_utc(),
            version: product.version,
        })
    }
}

/// For rows of a product; what is released may be of none.
impl TryFrom<ReservationRow> for Reservation {
    type Error = ForeignRow;

    fn try_from(row: ReservationRow) -> Result<Self, ForeignRow> {
        let (Some(product), Some(quantity), Some(minor), Some(currency)) =
            (row.product_id, row.quantity, row.unit_price_minor, row.currency)
        else {
            return Err(ForeignRow("reservations.product_id"));
        };
        let wanted = NewReservation {
            order_id: id(&row.order_id, "reservations.order_id")?.into(),
            product_id: id(&product, "reservations.product_id")?.into(),
            quantity: Quantity::new(quantity).map_err(|_| ForeignRow("reservations.quantity"))?,
        };
        let amount = Amount::from_minor(minor).map_err(|_| ForeignRow("reservations.unit_price_minor"))?;
        let currency = Currency::parse(&currency).map_err(|_| ForeignRow("reservations.currency"))?;
        Ok(Self { wanted, unit_price: Price { amount, currency } })
    }
}

pub(super) fn state(text: &str) -> Result<ReservationState, ForeignRow> {
    text.parse().map_err(|_| ForeignRow("reservations.state"))
}

fn id(text: &str, column: &'static str) -> Result<Uuid, ForeignRow> {
    text.parse().map_err(|_| ForeignRow(column))
}
