//! telemetry-core
pub mod config;
mod telemetry;
pub use telemetry::Telemetry;
