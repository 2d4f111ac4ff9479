//! The user service: who someone is, which tenant they belong to, and whether they may act.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | the variables that only this service reads |
//! | `app` | wires the rest |
//! | `routes` | every path, and the handlers beside their wire types |
//! | `accounts` | registering, logging in, validating a token: the flows across the modules below |
//! | `passwords`, `access_tokens` | argon2id and JWT |
//! | `attempts` | how often someone may try a password |
//! | `store` | queries and rows |
//! | `domain` | types that cannot be wrong |
//! | `metrics` | what is counted |
//! | `error` | the only map from our errors to HTTP |
mod access_tokens;
mod accounts;
mod app;
mod attempts;
mod config;
mod domain;
mod error;
mod metrics;
mod passwords;
mod routes;
mod store;

pub use app::UserService;
pub use config::UserSettings;
