//! telemetry-core
pub mod config;
pub mod db;
mod telemetry;
pub use telemetry::Telemetry;
