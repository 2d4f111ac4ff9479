//! Queries and rows. Takes and gives domain types; no row and no connection gets out.

mod rows;
mod schema;
mod tenants;
mod users;

pub(crate) use tenants::Tenants;
pub(crate) use users::{Credentials, InsertUserError, Users};
