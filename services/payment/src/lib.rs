//! The payment service: it charges orders at a card gateway, once, and gives money back.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | the variables that only this service reads |
//! | `app` | wires the rest |
//! | `routes` | every path, and the handlers beside their wire types |
//! | `billing` | charging, refunding, voiding, recovering: the flows across the modules below |
//! | `clients` | the card gateway, as this service calls it |
//! | `store` | queries and rows |
//! | `domain` | types that cannot be wrong |
//! | `metrics` | what the business counts |
//! | `error` | the only map from our errors to HTTP |
//! | [`gateway`] | a card gateway to run the house with; no part of the service |
mod app;
mod billing;
mod clients;
mod config;
mod domain;
mod error;
pub mod gateway;
mod metrics;
mod routes;
mod store;

pub use app::PaymentService;
pub use config::PaymentSettings;
