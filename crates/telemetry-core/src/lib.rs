//! telemetry-core
pub mod client;
pub mod config;
pub mod context;
pub mod names;
pub mod propagation;
pub mod server;
pub mod span;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod baggage;
mod log_format;
mod paths;
mod redact;
mod subscriber;
mod telemetry;
mod tls;

pub use opentelemetry;
pub use telemetry::Telemetry;
