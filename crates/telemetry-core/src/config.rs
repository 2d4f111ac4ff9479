//! Configuration.
mod env;
pub use env::{ConfigError, Env, Mistake};
