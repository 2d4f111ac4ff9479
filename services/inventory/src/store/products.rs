//! Products and their stock in the database.

use chrono::Utc;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use service_kit::db::{Connection, Database, DatabaseError};
use service_kit::page::Page;

use super::rows::{
    AdjustmentRow, ForeignRow, NewProductRow, NewStockRow, ProductChangeRow, ProductRow, StockRow,
};
use super::schema::{products, stock, stock_adjustments};
use crate::domain::{
    Adjustment, NewProduct, Product, ProductChange, ProductFilter, ProductId, Sku, Stock, StockLevel,
};

#[derive(Clone)]
pub(crate) struct Products {
    pub(super) database: Database,
}

/// Why products were not inserted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InsertProductsError {
    #[error("there are products of these SKUs")]
    SkusTaken(Vec<Sku>),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for InsertProductsError {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

/// Why a product was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeProductError {
    #[error("there is no such product")]
    UnknownProduct,
    /// Somebody else has changed it; this is its version now.
    #[error("the product has changed")]
    Changed(i64),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for ChangeProductError {
    fn from(error: QueryError) -> Self {
        Self::Database(error.into())
    }
}

/// Why a stock was not adjusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdjustStockError {
    #[error("there is no such product")]
    UnknownProduct,
    /// Fewer pieces would be left than are set aside for orders, or more than there may be.
    #[error("there cannot be so many pieces")]
    OutOfBounds(StockLevel),
    /// An adjustment of this id was made, and was another.
    #[error("another adjustment has this id")]
    Conflict,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<QueryError> for AdjustStockError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NotFound | QueryError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                Self::UnknownProduct
            }
            error => Self::Database(error.into()),
        }
    }
}

/// How often an import looks which SKUs are taken before it leaves the rest to the other imports.
const INSERT_TRIES: usize = 3;

/// A part of many products that was inserted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// Its place, from 0.
    pub(crate) index: usize,
    /// How many products are in it.
    pub(crate) size: usize,
}

impl Products {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(crate) async fn find(&self, id: ProductId) -> Result<Option<Product>, DatabaseError> {
        self.database
            .read(move |connection| {
                let found: Option<(ProductRow, StockRow)> = products::table
                    .inner_join(stock::table)
                    .filter(products::id.eq(id.to_string()))
                    .select((ProductRow::as_select(), StockRow::as_select()))
                    .get_result(connection)
                    .optional()?;
                let found = found.map(Product::try_from).transpose();
                Ok(found.map_err(QueryError::from)?)
            })
            .await
    }

    /// A page of these products, in the order in which they came.
    pub(crate) async fn list(
        &self,
        filter: ProductFilter,
        page: Page,
    ) -> Result<Vec<Product>, DatabaseError> {
        self.database
            .read(move |connection| {
                let mut wanted = products::table.inner_join(stock::table).into_boxed();
                if let Some(category) = &filter.category {
                    wanted = wanted.filter(products::category.eq(category.as_str()));
                }
                if let Some(sku) = &filter.sku {
                    wanted = wanted.filter(products::sku.eq(sku.as_str()));
                }
                if filter.in_stock {
                    wanted = wanted.filter(stock::on_hand.gt(stock::reserved));
                }
                let rows: Vec<(ProductRow, StockRow)> = wanted
                    .order(products::id)
                    .limit(page.limit)
                    .offset(page.offset)
                    .select((ProductRow::as_select(), StockRow::as_select()))
                    .load(connection)?;
                let listed: Result<_, ForeignRow> = rows.into_iter().map(Product::try_from).collect();
                Ok(listed.map_err(QueryError::from)?)
            })
            .await
    }

    /// Changes a product that is still at the version that the change was made for, and gives it as it is then.
    pub(crate) async fn change(
        &self,
        id: ProductId,
        change: ProductChange,
    ) -> Result<Product, ChangeProductError> {
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let id = id.to_string();
                    let seen = products::table.find(&id).filter(products::version.eq(change.version));
                    let changed =
                        diesel::update(seen).set(ProductChangeRow::new(&change)).execute(connection)?;
                    let found: Option<(ProductRow, StockRow)> = products::table
                        .inner_join(stock::table)
                        .filter(products::id.eq(&id))
                        .select((ProductRow::as_select(), StockRow::as_select()))
                        .get_result(connection)
                        .optional()?;
                    let found = found.ok_or(ChangeProductError::UnknownProduct)?;
                    let product = Product::try_from(found).map_err(QueryError::from)?;
                    if changed == 1 { Ok(product) } else { Err(ChangeProductError::Changed(product.version)) }
                })
            })
            .await
    }

    /// Adjusts a product's stock, once for each adjustment's id, and gives what there is then.
    pub(crate) async fn adjust(&self, adjustment: Adjustment) -> Result<StockLevel, AdjustStockError> {
        self.database
            .write(move |connection| {
                connection.transaction(|connection| {
                    let id = adjustment.product_id.to_string();
                    let row = AdjustmentRow {
                        id: adjustment.id.to_string(),
                        product_id: id.clone(),
                        change: adjustment.change.get(),
                        reason: adjustment.reason.as_str().to_owned(),
                        user_id: adjustment.user_id.clone(),
                        created_at: Utc::now().naive_utc(),
                    };
                    if insert_once(connection, &row)? {
                        let change = adjustment.change.get();
                        let fits = stock::table
                            .find(&id)
                            .filter((stock::on_hand + change).ge(stock::reserved))
                            .filter((stock::on_hand + change).le(Stock::MAX));
                        let on_hand = stock::on_hand.eq(stock::on_hand + change);
                        if diesel::update(fits).set(on_hand).execute(connection)? == 0 {
                            return Err(AdjustStockError::OutOfBounds(find_level(connection, &id)?));
                        }
                    } else if !is_same(connection, &row)? {
                        return Err(AdjustStockError::Conflict);
                    }
                    Ok(find_level(connection, &id)?)
                })
            })
            .await
    }

    /// Inserts those of these products that are new, at once, and names the SKUs that were there.
    pub(crate) async fn insert_new(&self, new: Vec<NewProduct>) -> Result<Vec<Sku>, DatabaseError> {
        self.database
            .write(move |connection| {
                // Another import may take some of them between the look and the insertion: then it looks again.
                for _ in 0..INSERT_TRIES {
                    let taken = find_taken(connection, &new)?;
                    let free: Vec<NewProduct> =
                        new.iter().filter(|product| !taken.contains(&product.sku)).cloned().collect();
                    let ids: Vec<ProductId> = free.iter().map(|_| ProductId::new()).collect();
                    match connection
                        .transaction(|connection| insert(connection, &ids, &free, free.len().max(1), |_| ()))
                    {
                        Ok(()) => return Ok(taken),
                        Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(new.iter().map(|product| product.sku.clone()).collect())
            })
            .await
    }

    /// Inserts all of these products or none, `chunk_size` by statement, and gives their ids in the
    /// same order. `inserted` hears of each chunk before the next one begins.
    pub(crate) async fn insert_all(
        &self,
        new: Vec<NewProduct>,
        chunk_size: usize,
        inserted: impl FnMut(Chunk) + Send + 'static,
    ) -> Result<Vec<ProductId>, InsertProductsError> {
        self.database
            .write(move |connection| {
                let ids: Vec<ProductId> = new.iter().map(|_| ProductId::new()).collect();
                match connection
                    .transaction(|connection| insert(connection, &ids, &new, chunk_size, inserted))
                {
                    Ok(()) => Ok(ids),
                    // The SKU is all that can be there twice: the ids are new.
                    Err(QueryError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
                        Err(InsertProductsError::SkusTaken(find_taken(connection, &new)?))
                    }
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }
}

/// Inserts many rows by one statement: diesel has that for each of the databases, not for their union.
macro_rules! insert_rows {
    ($connection:expr, $table:expr, $rows:expr) => {
        match $connection {
            Connection::Sqlite(connection) => diesel::insert_into($table).values($rows).execute(connection),
            Connection::Postgres(connection) => diesel::insert_into($table).values($rows).execute(connection),
        }
    };
}

fn insert(
    connection: &mut Connection,
    ids: &[ProductId],
    new: &[NewProduct],
    chunk_size: usize,
    mut inserted: impl FnMut(Chunk),
) -> Result<(), QueryError> {
    let created_at = Utc::now().naive_utc();
    let mut products: Vec<_> = ids.iter().copied().zip(new).collect();
    // Of two imports that share SKUs one waits for the other, and never each for the other.
    products.sort_by(|(_, one), (_, other)| one.sku.cmp(&other.sku));
    for (index, chunk) in products.chunks(chunk_size).enumerate() {
        let rows: Vec<_> = chunk.iter().map(|(id, new)| NewProductRow::new(*id, new, created_at)).collect();
        insert_rows!(connection, products::table, &rows)?;
        let rows: Vec<_> = chunk.iter().map(|(id, new)| NewStockRow::new(*id, new)).collect();
        insert_rows!(connection, stock::table, &rows)?;
        inserted(Chunk { index, size: chunk.len() });
    }
    Ok(())
}

/// Whether the adjustment was written down: it is not where one of its id was before.
fn insert_once(connection: &mut Connection, row: &AdjustmentRow) -> Result<bool, QueryError> {
    let insert = diesel::insert_into(stock_adjustments::table)
        .values((
            stock_adjustments::id.eq(&row.id),
            stock_adjustments::product_id.eq(&row.product_id),
            stock_adjustments::change.eq(row.change),
            stock_adjustments::reason.eq(&row.reason),
            stock_adjustments::user_id.eq(&row.user_id),
            stock_adjustments::created_at.eq(row.created_at),
        ))
        .on_conflict(stock_adjustments::id)
        .do_nothing();
    // The same text for both, but diesel writes ON CONFLICT only for a database that it knows.
    let inserted = match connection {
        Connection::Sqlite(connection) => insert.execute(connection)?,
        Connection::Postgres(connection) => insert.execute(connection)?,
    };
    Ok(inserted == 1)
}

/// Whether the adjustment that was made under this id is this one.
fn is_same(connection: &mut Connection, row: &AdjustmentRow) -> Result<bool, QueryError> {
    let (product_id, change): (String, i64) = stock_adjustments::table
        .find(&row.id)
        .select((stock_adjustments::product_id, stock_adjustments::change))
        .get_result(connection)?;
    Ok(product_id == row.product_id && change == row.change)
}

fn find_level(connection: &mut Connection, product_id: &str) -> Result<StockLevel, QueryError> {
    let StockRow { on_hand, reserved } =
        stock::table.find(product_id).select(StockRow::as_select()).get_result(connection)?;
    Ok(StockLevel { on_hand, reserved })
}

fn find_taken(connection: &mut Connection, new: &[NewProduct]) -> Result<Vec<Sku>, QueryError> {
    let taken: Vec<String> = products::table
        .filter(products::sku.eq_any(new.iter().map(|product| product.sku.as_str())))
        .order(products::sku)
        .select(products::sku)
        .load(connection)?;
    let taken: Result<_, _> = taken.iter().map(|sku| Sku::parse(sku)).collect();
    Ok(taken.map_err(|_| ForeignRow("products.sku"))?)
}
