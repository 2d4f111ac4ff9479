//! Products, stock and reservations: types that cannot be wrong, rules without I/O.

mod money;
mod product;
mod reservation;

pub(crate) use money::{Amount, Currency, Price};
pub(crate) use product::{
    Adjustment, Category, NewProduct, Product, ProductChange, ProductFilter, ProductId, ProductName, Sku,
    Stock, StockChange, StockLevel,
};
pub(crate) use reservation::{NewReservation, OrderId, Quantity, Reservation, ReservationState, Settlement};
