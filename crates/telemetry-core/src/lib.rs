//! telemetry-core
pub mod config;
mod resource;
mod telemetry;
pub use config::Config;
pub use telemetry::Telemetry;
