//! Products, stock and reservations: types that cannot be wrong, rules without I/O.

mod money;
mod product;
mod reservation;

pub(crate) use money::{Amount, Currency, Price};
pub(crate) use product::{Category, NewProduct, Product, ProductId, ProductName, Sku, Stock};
pub(crate) use reservation::{NewReservation, OrderId, Quantity, Reservation, ReservationState, Settlement};
