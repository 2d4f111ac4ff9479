//! Trials of telemetry-core in processes of its own: collectors that fail, processes that end. Each has a short form,
//! which runs with the other tests, and a long one, which does not:
//!
//! ```sh
//! cargo test -p trials -- --ignored --nocapture
//! ```

mod agent;
mod collector;
mod endings;
mod load;
mod outages;
mod service;
mod shutdown;
mod slices;
