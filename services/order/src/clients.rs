//! The peers of the order flow, one file each.

mod inventory;
mod payment;

pub use inventory::{Inventory, ReserveError};
pub use payment::{ChargeError, Payment, Payments};
