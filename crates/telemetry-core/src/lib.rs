//! telemetry-core
pub mod config;
pub mod export;
mod resource;
mod telemetry;
pub use config::Config;
pub use telemetry::Telemetry;
