//! What the four services share and `telemetry-core` must not know.
//!
//! A service is a type that implements [`Service`]: its name, its variables, how it is wired and its
//! routes. Everything else at the edge of a process is here, once:
//!
//! - [`process`]: the command line, start, signals, the order of shutting down, the exit code.
//! - [`config`]: the variables every service reads, and secrets.
//! - [`app`]: the HTTP application around a service's routes; building and running are two calls.
//! - [`problem`]: error answers, RFC 9457.
//! - [`page`]: which part of a list is asked for.
//! - [`db`]: SQLite or PostgreSQL behind one connection type.
//! - [`token`]: which service calls, and for which user.
//! - [`user`]: which person calls, and what they may do.
//! - [`peer`]: calling another service.
//! - [`faults`]: faults on purpose, off unless a process is started for them.
//! - [`idempotency`]: requests that are sent again get the same answer.
//! - [`deadline`]: how long the caller still waits.
//! - [`breaker`]: not asking someone who does not answer.
//! - [`throttle`]: how often someone may try.
//! - [`MetricsAccess`]: who may read `/metrics`.
//! - `testing` (feature `testing`): a service on a port and a database of its own.
//!
//! It is not a framework: a service's own code talks to actix-web, diesel and `telemetry-core`.
pub mod app;
pub mod breaker;
pub mod config;
pub mod db;
pub mod deadline;
pub mod faults;
pub mod idempotency;
mod metrics_access;
pub mod page;
pub mod peer;
pub mod problem;
pub mod process;
#[cfg(feature = "testing")]
pub mod testing;
pub mod throttle;
pub mod token;
pub mod user;

pub use app::{Parts, Service};
pub use metrics_access::MetricsAccess;
pub use problem::Problem;
