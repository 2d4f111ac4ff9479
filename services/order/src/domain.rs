//! What an order is, and the rules that need no input or output.

mod order;

pub use order::{
    Amount, Claimed, InvalidOrder, Mail, NewOrder, Order, OrderEvent, OrderFilter, OrderStatus, OrderType,
    PaymentMethod, Quantity,
};
