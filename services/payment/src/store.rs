//! Queries and rows. Takes and gives domain types; no row and no connection gets out.

mod payments;
mod rows;
mod schema;

pub(crate) use payments::{Begun, Payments};
