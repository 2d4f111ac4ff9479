//! The inventory service: what can be ordered, how much of it there is, and which orders hold some of it.
//!
//! An order takes stock in two steps: it reserves, and later commits (the pieces are sold) or releases
//! (they are free again). All go by the order's id, and each may be repeated without harm, since its
//! caller may not have heard the answer. An order may be released whether or not it has reserved; a
//! reservation that comes after that is refused. A reservation that is neither committed nor released in time is released.
//!
//! | module | what it is |
//! |---|---|
//! | `app` | wires the rest |
//! | `config` | the variables |
//! | `routes` | every path, and the handlers beside their wire types |
//! | `warehouse` | reserving, committing, releasing, timing out: spans and counts around the store |
//! | `catalogue` | importing products, with its progress on a span |
//! | `store` | queries and rows |
//! | `domain` | types that cannot be wrong |
//! | `error` | the only map from our errors to HTTP |
//! | `metrics` | the business instruments |
//! | `faults` | what it can be told to do wrong, for showing it |
mod app;
mod catalogue;
mod config;
mod domain;
mod error;
mod faults;
mod metrics;
mod routes;
mod store;
mod warehouse;

pub use app::InventoryService;
pub use config::Settings;
pub use faults::InventoryFaults;
