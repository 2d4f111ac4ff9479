//! What an order is, and the rules that need no input or output.

mod customer;
mod order;

pub use customer::Customer;
pub use order::{
    Amount, Claimed, InvalidOrder, Mail, NewOrder, Order, OrderEvent, OrderStatus, OrderType, PaymentMethod,
    Quantity,
};
