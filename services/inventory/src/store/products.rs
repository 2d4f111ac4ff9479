//! Products and their stock in the database.

use chrono::Utc;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use service_kit::db::{Connection, Database, DatabaseError};

use super::rows::{ForeignRow, NewProductRow, NewStockRow, ProductRow, StockRow};
use super::schema::{products, stock};
use crate::domain::{NewProduct, Product, ProductId, Sku};

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
                    .first(connection)
                    .optional()?;
                let found = found.map(Product::try_from).transpose();
                Ok(found.map_err(QueryError::from)?)
            })
            .await
    }

    /// Up to `limit` products after the first `offset`, in the order in which they came.
    pub(crate) async fn list(&self, limit: i64, offset: i64) -> Result<Vec<Product>, DatabaseError> {
        self.database
            .read(move |connection| {
                let rows: Vec<(ProductRow, StockRow)> = products::table
                    .inner_join(stock::table)
                    .order(products::id)
                    .limit(limit)
                    .offset(offset)
                    .select((ProductRow::as_select(), StockRow::as_select()))
                    .load(connection)?;
                let listed: Result<_, ForeignRow> = rows.into_iter().map(Product::try_from).collect();
                Ok(listed.map_err(QueryError::from)?)
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

fn find_taken(connection: &mut Connection, new: &[NewProduct]) -> Result<Vec<Sku>, QueryError> {
    let taken: Vec<String> = products::table
        .filter(products::sku.eq_any(new.iter().map(|product| product.sku.as_str())))
        .order(products::sku)
        .select(products::sku)
        .load(connection)?;
    let taken: Result<_, _> = taken.iter().map(|sku| Sku::parse(sku)).collect();
    Ok(taken.map_err(|_| ForeignRow("products.sku"))?)
}
