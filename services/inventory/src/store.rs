//! Queries and rows. Takes and gives domain types; no row and no connection gets out.

mod leak;
mod products;
mod reservations;
mod rows;
mod schema;

pub(crate) use products::{AdjustStockError, ChangeProductError, Chunk, InsertProductsError, Products};
pub(crate) use reservations::{Open, Reservations, ReserveError, Reserved, SettleError, Settled};
