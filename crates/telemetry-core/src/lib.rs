//! telemetry-core
pub mod config;
mod telemetry;
pub use config::Config;
pub use telemetry::Telemetry;
