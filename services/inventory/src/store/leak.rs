//! The classic leak, on purpose: one query for the list, and one more for each row of it.

use diesel::prelude::*;
use diesel::result::Error as QueryError;
use service_kit::db::DatabaseError;
use service_kit::page::Page;

use super::Products;
use super::rows::{ForeignRow, ProductRow, StockRow};
use super::schema::{products, stock};
use crate::domain::Product;

impl Products {
    /// What [`Products::list`] gives, with 1 + N queries.
    pub(crate) async fn list_with_stock_by_product(&self, page: Page) -> Result<Vec<Product>, DatabaseError> {
        self.database
            .read(move |connection| {
                let rows: Vec<ProductRow> = products::table
                    .order(products::id)
                    .limit(page.limit)
                    .offset(page.offset)
                    .select(ProductRow::as_select())
                    .load(connection)?;
                let mut listed = Vec::new();
                for row in rows {
                    let stock = stock::table
                        .filter(stock::product_id.eq(row.id()))
                        .select(StockRow::as_select())
                        .get_result(connection)?;
                    listed.push(Product::try_from((row, stock)));
                }
                let listed: Result<_, ForeignRow> = listed.into_iter().collect();
                Ok(listed.map_err(QueryError::from)?)
            })
            .await
    }
}
