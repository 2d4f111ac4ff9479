//! The order service: it places orders, and gives back what an order took that failed.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the variables |
//! | [`app`] | what the service is made of |
//! | `routes` | its paths, handlers and wire types |
//! | [`checkout`] | placing an order: the one flow across the store and the peers, and its recovery |
//! | [`domain`] | what an order is |
//! | [`store`] | orders in the database |
//! | [`outbox`] | messages about orders; the place of a broker |
//! | [`clients`] | the inventory and payment services; the user service is `service_kit::user` |
//! | [`error`] | errors as answers |
//! | `metrics` | the business instruments |
pub mod app;
pub mod checkout;
pub mod clients;
pub mod config;
pub mod domain;
pub mod error;
mod metrics;
pub mod outbox;
mod routes;
pub mod store;

pub use app::OrderService;
