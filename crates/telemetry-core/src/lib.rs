//! OpenTelemetry for services made of actix-web, reqwest and diesel.
//!
//! # What it emits
//!
//! | where | spans | metrics |
//! |---|---|---|
//! | [`server`] | one SERVER span a request: `{METHOD} {route}` | `http.server.request.duration`, `.active_requests`, `.request.body.size`, `.response.body.size` |
//! | [`client`] | one CLIENT span a try: `{METHOD} {url.template}` | `http.client.request.duration` |
//!
//! | [`tracing`](https://docs.rs/tracing) | `#[instrument]` spans, INTERNAL | |
//!
//! Names, units and attributes are those of the stable OpenTelemetry semantic conventions; a change of
//! them is a breaking change. `tracing` events are log records that know their trace. W3C Trace Context
//! and Baggage go in and out with every request.
//!
//! # What to know
//!
//! - OpenTelemetry's current [`Context`](opentelemetry::Context) is the one truth about the current
//!   trace. [`context`] carries it to other tasks and to blocking threads; the raw functions lose it.
//! - `RUST_LOG` filters log output and nothing else.
//! - Telemetry costs no request: exporters live on threads of their own, queues are bounded, and what
//!   is dropped is counted.
//! - [`span`] tells the current span what the application knows.

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
#[expect(dead_code, reason = "used once init lands")]
mod log_format;
mod paths;
mod redact;
mod resource;
mod subscriber;
mod telemetry;
mod tls;

pub use config::Config;
pub use opentelemetry;
pub use telemetry::Telemetry;
