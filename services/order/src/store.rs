//! Orders in the database. Methods take and give domain types; rows stay inside.

mod orders;
mod schema;

pub use orders::Orders;
